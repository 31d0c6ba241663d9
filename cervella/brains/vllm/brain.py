"""vLLM, and every server that speaks OpenAI's chat completions: llama.cpp, LM Studio, TGI, …"""

from __future__ import annotations

from collections.abc import AsyncGenerator, Mapping
from typing import TYPE_CHECKING, Any

import anyio

from cervella.brains.http.addresses import openai_address
from cervella.brains.http.clients import (
    PerLoop,
    async_client,
    bare_url,
    checked_model,
    checked_url,
    checked_variable,
    get_json,
    key_from,
    location_of_url,
    shown_url,
)
from cervella.brains.http.control_tokens import defuse_control_tokens
from cervella.brains.http.failures import HttpFailures, checked, checked_async, translated
from cervella.brains.http.folding import fold_system, merge_neighbours, system_refused
from cervella.brains.http.ollama_server import is_ollamas_cloud
from cervella.brains.http.prompt_reading import PromptReading
from cervella.brains.http.refusals import Refusal
from cervella.brains.vllm.wire import (
    counted_tokens,
    failure_of,
    listed_models,
    refusal_of,
    usage_of,
    window_of,
    wire_message,
)
from cervella.errors import BrainError
from cervella.prompt.layout import estimate_tokens, render
from cervella.types import BrainEvent, Completion, Finished, Location, Message, Prompt, TextDelta, Usage, UsageUpdate
from cervella.types.endings import ending_of

if TYPE_CHECKING:
    from openai import AsyncOpenAI

__all__ = ["VllmBrain"]

_URL = "http://localhost:8000/v1"
_KEY = "VLLM_API_KEY"
_UNKNOWN_MODEL = "unknown"
_LISTING_SECONDS = 5.0
_CHECK_SECONDS = 2.0


class VllmBrain:
    """Answers with a model behind an OpenAI-compatible server, through OpenAI's own client.

    Without `model` it takes the first that the server lists. The key is read from the variable that `api_key_env`
    names; without one, no key is sent. `context_tokens` is the server's word where it gives one. `images` says that the
    model can see. `thinking_tokens` is the room for thoughts beside that of the answer; `opens_thinking` says that the
    model's template begins the thought, so that only its end is seen.

    `chat_template_kwargs` go to the template (`{enable_thinking = false}`), `cache_salt` parts the server's prefix
    cache from that of others, `extra_body` is added to the request as it stands.
    """

    def __init__(
        self,
        *,
        name: str = "vllm",
        model: str | None = None,
        url: str | None = None,
        api_key_env: str | None = None,
        context_tokens: int | None = None,
        max_output_tokens: int = 1024,
        thinking_tokens: int = 0,
        opens_thinking: bool = False,
        images: bool = False,
        chat_template_kwargs: Mapping[str, Any] | None = None,
        cache_salt: str | None = None,
        extra_body: Mapping[str, Any] | None = None,
        connect_timeout: float = 10.0,
    ) -> None:
        if max_output_tokens < 1 or thinking_tokens < 0 or (context_tokens is not None and context_tokens < 1):
            raise ValueError("context_tokens and max_output_tokens must be above 0, thinking_tokens 0 or more")
        self.name = name
        self._named = checked_model(model)
        self.model = self._named or _UNKNOWN_MODEL
        self.remote = is_ollamas_cloud(self.model)
        self.capabilities: frozenset[str] = frozenset({"images"} if images else ())
        self._url = checked_url(url or _URL)
        self.location: Location = location_of_url(self._url)
        self._max_output_tokens = max_output_tokens
        self.opens_thinking = opens_thinking
        self._thinking_tokens = thinking_tokens
        self._window = context_tokens
        self._key_variable = checked_variable(api_key_env) or _KEY
        self._key_needed = api_key_env is not None
        self._extra_body = {
            **({"chat_template_kwargs": dict(chat_template_kwargs)} if chat_template_kwargs else {}),
            **({"cache_salt": cache_salt} if cache_salt else {}),
            **(extra_body or {}),
        }
        self._connect_timeout = connect_timeout
        self._ready = False
        self._folded = False
        self._reading = PromptReading(self._url)
        self._counts: bool | None = None
        self._clients: PerLoop[AsyncOpenAI] = PerLoop(self._client, _close)

    @property
    def context_tokens(self) -> int | None:
        """What prompt and answer share: the window less the room for thoughts."""
        return max(1, self._window - self._thinking_tokens) if self._window else None

    @property
    def max_output_tokens(self) -> int:
        """Of an answer whose length nobody asked for; of a small window the prompt needs most."""
        window = self.context_tokens
        return min(self._max_output_tokens, max(1, window // 4)) if window else self._max_output_tokens

    @checked_async
    async def prepare(self) -> None:
        """Learn from the server, once, which model it has, how large its window is, and whether its template takes a
        system role."""
        if self._ready:
            return
        client = await self._clients.get()
        listed = await listed_models(client)
        one = next((m for m in listed if m.get("id") == self._named or self._named in m.get("aliases", ())), None)
        if self._named is None:
            if not listed:
                raise self._wrong_address() if openai_address(self._url) else self._failures().model_missing()
            one = next((m for m in listed if not is_ollamas_cloud(str(m["id"]))), listed[0])
            self.model = str(one["id"])
            self.remote = is_ollamas_cloud(self.model)
        if self._window is None and one is not None:
            self._window = window_of(one)
        self._reading = PromptReading(self._url)  # it may be another model than before
        await self._try_system(client)
        self._ready = True

    def stream(self, prompt: Prompt, /) -> AsyncGenerator[BrainEvent, None]:
        """Stream the answer; see `Brain`. Closing it closes the connection, and the server stops writing."""
        return translated(self._answer(prompt), self._failure_of)

    async def _answer(self, prompt: Prompt) -> AsyncGenerator[BrainEvent, None]:
        import openai

        was_remote = self.remote
        await self.prepare()
        if self.remote and not was_remote and prompt.tainted:
            raise self._failures().moved()
        client = await self._clients.get()
        body, flags = self._request(prompt)
        try:
            chunks: Any = await client.chat.completions.create(**body)
        except openai.APIStatusError as error:
            if refusal_of(error).sort == "missing":
                raise await self._model_missing(client, error) from error
            if self._folded or not system_refused(refusal_of(error), self._messages(prompt)[0]):
                raise
            self._folded = True
            body, flags = self._request(prompt)
            chunks = await client.chat.completions.create(**body)
        texts: list[str] = []
        refusal: list[str] = []
        usage, finish_reason, model = Usage(), None, self.model
        messages, room, held = self._messages(prompt)[0], int(body["max_tokens"]), False
        try:
            async for chunk in chunks:
                if not texts:
                    self._reading.begins(getattr(chunk, "system_fingerprint", None))
                    held = self._reading.holds_back(messages, room)
                model = getattr(chunk, "model", None) or model
                if getattr(chunk, "usage", None) is not None:
                    usage = usage_of(chunk.usage)
                    yield UsageUpdate(usage=usage)
                for choice in getattr(chunk, "choices", None) or ():
                    finish_reason = choice.finish_reason or finish_reason
                    text = getattr(choice.delta, "content", None)
                    if text:
                        texts.append(text)
                        if not held:
                            yield TextDelta(text=text)
                    refusal.append(getattr(choice.delta, "refusal", None) or "")
        finally:
            with anyio.CancelScope(shield=True):
                await chunks.close()
        if finish_reason is None:
            raise self._failures().unended("ended its answer without a reason", "".join(texts))
        await self._reading.ends(
            client,
            messages,
            usage.input_tokens,
            room=room,
            failures=self._failures(),
            cached=usage.cache_read_tokens,
        )
        reason = "".join(refusal).strip()
        if finish_reason == "length" and not reason and not "".join(texts).strip():
            raise self._failures().unfinished_thought()
        if held and texts:
            yield TextDelta(text="".join(texts))
        yield Finished(
            completion=Completion(
                text="".join(texts),
                finish_reason="refusal" if reason else ending_of(finish_reason),
                refusal=reason or None,
                usage=usage,
                model=model,
                flags={**flags, **({"soul_folded": 1} if self._folded else {})},
            )
        )

    @checked_async
    async def count_tokens(self, prompt: Prompt) -> int:
        """The prompt's tokens: exactly, where the server counts them in the model's own template, as vLLM and llama.cpp
        do; elsewhere ceil(characters / 3)."""
        messages, _ = self._messages(prompt)
        counted: int | None = None
        if self._counts is not False and not prompt.images:
            counted = await self._count(await self._clients.get(), messages)
        return estimate_tokens(messages) if counted is None else counted

    @checked
    def check(self) -> None:
        """Whether its server is there, has the model, and is none that cuts. Nobody is asked anything."""
        import httpx2

        failures, key = self._failures(), self._key()
        listed: Any = None
        lost = False
        try:
            listed = get_json(f"{self._url}/models", timeout=_CHECK_SECONDS, key=key)
        except httpx2.HTTPStatusError as error:
            if error.response.status_code in (401, 403):
                raise failures.refused(Refusal(status=error.response.status_code, message="")) from error
            lost = error.response.status_code == 404
        except httpx2.HTTPError as error:
            raise failures.unreachable(error) from error
        except ValueError:
            lost = True  # it is there, and need not list its models
        self._reading.check(failures, timeout=_CHECK_SECONDS, key=key)
        if lost and openai_address(self._url):
            raise self._wrong_address()
        there = [m for m in listed.get("data") or () if isinstance(m, dict)] if isinstance(listed, dict) else []
        if self._named and there and not any(self._named in (m.get("id"), *m.get("aliases", ())) for m in there):
            raise failures.model_missing(there=[str(m.get("id")) for m in there])

    async def aclose(self) -> None:
        """Close this loop's connections."""
        await self._clients.aclose()

    # The request

    def _messages(self, prompt: Prompt) -> tuple[tuple[Message, ...], int]:
        messages, defused = defuse_control_tokens(render(prompt))
        return fold_system(messages) if self._folded else merge_neighbours(messages), defused

    def _request(self, prompt: Prompt) -> tuple[dict[str, Any], dict[str, int]]:
        messages, defused = self._messages(prompt)
        body: dict[str, Any] = {
            "model": self.model,
            "messages": [wire_message(message) for message in messages],
            "max_tokens": (prompt.max_output_tokens or self.max_output_tokens) + self._thinking_tokens,
            "stream": True,
            "stream_options": {"include_usage": True},
            "extra_body": self._extra_body,
        }
        if prompt.temperature is not None:
            body["temperature"] = prompt.temperature
        if "seed" in prompt.hints:
            body["seed"] = int(prompt.hints["seed"])
        return body, {"control_tokens_defused": defused} if defused else {}

    # What the server is asked beside questions

    async def _count(self, client: AsyncOpenAI, messages: tuple[Message, ...]) -> int | None:
        tokens = await counted_tokens(client, self.model, messages)
        self._counts = tokens is not None
        return tokens

    async def _try_system(self, client: AsyncOpenAI) -> None:
        """Fold the soul into the first user turn where the template refuses a system role, or leaves it out."""
        import openai

        self._folded = False  # it may be another model than before
        user = Message(role="user", content="a")
        counts = []
        try:
            for words in (1, 64):  # a template may put a system text of its own where there is none
                system = Message(role="system", content="a " * words)
                counts.append(await self._count(client, (system, user)))
        except openai.APIStatusError as error:
            if not system_refused(refusal_of(error), (system, user)):
                return  # it says so of every prompt, and the question will tell
            self._folded = True
            return
        short, long = counts
        if short is not None and long is not None and long - short < 8:
            self._folded = True

    async def _model_missing(self, client: AsyncOpenAI, error: Any) -> BrainError:
        self._ready = False  # the server may have been started anew, with another model
        there: list[str] = []
        try:
            with anyio.fail_after(_LISTING_SECONDS):
                there = [str(model.get("id")) for model in await listed_models(client)]
        except Exception:  # who can't list its models leaves the error as it is
            there = []
        if not there and openai_address(self._url):
            return self._wrong_address()
        failures = self._failures()
        return failures.model_missing(f": {failures.said(refusal_of(error).message)}", there=there)

    def _wrong_address(self) -> BrainError:
        right = shown_url(openai_address(self._url) or self._url)
        return self._failures().broken(
            f"finds no OpenAI-compatible server at {shown_url(self._url)}",
            remedy=f'Such servers usually answer below /v1: set url = "{right}" in [brains.{self.name}].',
            code="wrong_address",
        )

    # The client

    def _key(self) -> str | None:
        key = key_from(self._key_variable)
        if key is None and self._key_needed:
            raise self._failures().no_key()
        return key

    def _client(self) -> AsyncOpenAI:
        from openai import AsyncOpenAI, Omit

        # What the environment says of an organization is meant for OpenAI, not for this server.
        headers: Any = {"OpenAI-Organization": Omit(), "OpenAI-Project": Omit()}
        return AsyncOpenAI(
            api_key=self._key() or "none",
            base_url=bare_url(self._url),
            default_headers=headers,
            max_retries=0,  # the shield has the only retry loop
            http_client=async_client(self._url, self._connect_timeout),
        )

    def _failures(self) -> HttpFailures:
        return HttpFailures(
            brain=self.name,
            model=self.model,
            url=self._url,
            start=f"Start its server (`vllm serve MODEL`), or change url in [brains.{self.name}].",
            key_cure=f"Set {self._key_variable} in the environment to a key that is valid there, or name another "
            f"variable: api_key_env in [brains.{self.name}].",
            key_variables=(self._key_variable,),
        )

    def _failure_of(self, error: Exception) -> BrainError:
        failures = self._failures()
        return failures.keyless(error if isinstance(error, BrainError) else failure_of(error, failures), error)


async def _close(client: AsyncOpenAI) -> None:
    await client.close()
