"""Ollama, through its own client and its own /api/chat: the only route that takes a window with the question."""

from __future__ import annotations

import base64
import contextlib
from collections.abc import AsyncGenerator, Sequence
from contextlib import aclosing
from typing import TYPE_CHECKING, Any

import anyio

from cervella.brains.http.clients import PerLoop, checked_model, checked_variable, key_from, location_of_url
from cervella.brains.http.control_tokens import defuse_control_tokens
from cervella.brains.http.failures import checked, checked_async, translated
from cervella.brains.http.folding import fold_system, merge_neighbours, system_refused
from cervella.brains.http.ollama_server import (
    chat_models,
    is_cloud_tag,
    listed,
    model_facts,
    same_model,
    server_url,
    window_given,
)
from cervella.brains.http.prompt_meter import PromptMeter
from cervella.brains.http.refusals import Refusal
from cervella.brains.ollama.failures import OllamaFailures
from cervella.errors import BrainError
from cervella.prompt.layout import render
from cervella.types import BrainEvent, Completion, Finished, Location, Message, Prompt, TextDelta, Usage
from cervella.types.endings import ending_of

if TYPE_CHECKING:
    from cervella.brains.ollama.client import OllamaClient

__all__ = ["OllamaBrain"]

_UNKNOWN_MODEL = "unknown"
_CANARY = "cervella-lantern"
_CHECK_SECONDS = 2.0
_LISTING_SECONDS = 5.0


class OllamaBrain:
    """Answers with a model that an Ollama server runs. Without `model` it takes the newest that the server has.

    `url` is OLLAMA_HOST, or this machine. The window (`num_ctx`) is sent with every question: as large as the prompt
    wants it, never larger than `context_tokens` and than what the model was trained with. `keep_alive` is how long
    the model stays loaded: "10m", seconds, or -1 for ever. `thinking` is true, false, or "low" to "max"; it has
    `thinking_tokens` beside those of the answer. `opens_thinking` says that the model's template begins the thought.

    The soul is never cut: whether the server read the whole prompt is held against its count. Until that is sure for a
    prompt of this length, the answer is given out at its end, in one piece.

    A model that Ollama's own service runs is a cloud brain, wherever the server is.
    """

    def __init__(
        self,
        *,
        name: str = "ollama",
        model: str | None = None,
        url: str | None = None,
        api_key_env: str | None = None,
        context_tokens: int = 16384,
        max_output_tokens: int = 1024,
        thinking: bool | str = False,
        thinking_tokens: int = 2048,
        opens_thinking: bool = False,
        keep_alive: str | float = "10m",
        connect_timeout: float = 5.0,
    ) -> None:
        if context_tokens < 1 or max_output_tokens < 1 or thinking_tokens < 1:
            raise ValueError("context_tokens, max_output_tokens and thinking_tokens must be above 0")
        if thinking not in (True, False, "low", "medium", "high", "max"):
            raise ValueError(f"thinking is {thinking!r}, and must be true, false, low, medium, high or max")
        self.name = name
        self._named = checked_model(model)
        self.model = self._named or _UNKNOWN_MODEL
        self._url = server_url(url)
        self.location: Location = location_of_url(self._url)
        self.remote = is_cloud_tag(self.model)
        self.capabilities: frozenset[str] = frozenset()
        self.opens_thinking = opens_thinking
        self._most_tokens = context_tokens
        self._window = context_tokens
        self._max_output_tokens = max_output_tokens
        self._thinking = thinking
        self._thinking_room = thinking_tokens if thinking else 0
        self._keep_alive = keep_alive
        self._key_variable = checked_variable(api_key_env)
        self._connect_timeout = connect_timeout
        self._ready = self._folded = self._thinks = self._go_template = False
        self._place_known = True
        """Whether it is known where the soul goes."""
        self._meter = PromptMeter()
        self._clients: PerLoop[OllamaClient] = PerLoop(self._client, _close)

    @property
    def context_tokens(self) -> int:
        """What prompt and answer share: the largest window less the room for thoughts."""
        return max(1, self._window - self._thinking_room)

    @property
    def max_output_tokens(self) -> int:
        """Of an answer whose length nobody asked for; of a small window the prompt needs most."""
        return min(self._max_output_tokens, max(1, self.context_tokens // 4))

    @checked_async
    async def prepare(self) -> None:
        """Learn from the server, once, which model it has, how large a window it can have, and who runs it."""
        if self._ready:
            return
        client = await self._clients.get()
        if self._named is None:
            there = chat_models((await client.told("GET", "/api/tags")).get("models") or [])
            if not there:
                raise self._failures().no_model()
            self.model = there[0]
        facts = model_facts(await self._shown(client))
        self.remote = facts.remote or is_cloud_tag(self.model)
        self._window = min(self._most_tokens, facts.context_tokens or self._most_tokens)
        self.capabilities = frozenset({"images"} if facts.sees else ())
        self._thinks, self._folded = facts.thinks, False
        self._go_template = not facts.jinja
        self._place_known = facts.takes_system or self.remote
        self._ready = True

    async def _shown(self, client: OllamaClient) -> dict[str, Any]:
        """What /api/show tells of the model; nothing where the server has no such route."""
        import ollama

        try:
            return await client.told("POST", "/api/show", model=self.model)
        except ollama.ResponseError as error:
            if error.status_code in (404, 405) and "model" not in str(error.error).lower():
                return {}
            if error.status_code == 404:
                raise await self._model_missing() from error
            raise

    def stream(self, prompt: Prompt, /) -> AsyncGenerator[BrainEvent, None]:
        """Stream the answer; see `Brain`. Closing it closes the connection, and the server stops writing."""
        return translated(self._answer(prompt), self._failure_of)

    async def _answer(self, prompt: Prompt) -> AsyncGenerator[BrainEvent, None]:
        import ollama

        from cervella.brains.ollama.client import refusal_of

        was_remote = self.remote
        await self.prepare()
        if self.remote and not was_remote and prompt.tainted:
            raise self._failures().moved()
        client = await self._clients.get()
        messages, flags = self._messages(prompt)
        room = (prompt.max_output_tokens or self.max_output_tokens) + self._thinking_room
        window = self._meter.window(messages, room, most=self._window)
        if self._meter.tokens(messages) + room > self._window:
            raise self._failures().too_long(self._meter.tokens(messages), self._window - room)
        body = self._request(prompt, messages, room, window)
        if not self._place_known:
            self._folded = not await self._reads_system(client, body)
            messages, flags = self._messages(prompt)
            body = self._request(prompt, messages, room, window)
        sure = self._meter.is_sure(messages, room, window)
        texts: list[str] = []
        last: Any = None
        try:
            async with aclosing(await client.chat_whole(body)) as parts:
                async for part in parts:
                    if text := part.message.content:
                        texts.append(text)
                        if sure:
                            yield TextDelta(text=text)
                    last = part if part.done else last
        except ollama.ResponseError as error:
            sort = refusal_of(error).sort
            if sort == "missing":
                raise await self._model_missing() from error
            if sort == "too_long":
                raise self._failures().too_long(self._meter.tokens(messages), self._window - room) from error
            if not self._folded and not texts and system_refused(refusal_of(error), messages):
                self._folded = self._place_known = True
                async for event in self._answer(prompt):
                    yield event
                return
            raise
        if last is None:
            raise self._failures().unended("ended its answer without saying that it is done", "".join(texts))
        if not sure:
            await self._look_at_window(client, window)
        seen = last.prompt_eval_count
        if seen and self._meter.reading(messages, seen, room, window) != "whole":
            raise self._failures().cut(self._meter.missed(messages, seen), seen)
        if seen and not prompt.images:
            self._meter.learn(messages, seen)
        text = "".join(texts)
        if last.done_reason == "length" and not text.strip():
            raise self._failures().unfinished_thought()
        if not sure and text:
            yield TextDelta(text=text)
        yield Finished(
            completion=Completion(
                text=text,
                finish_reason=ending_of(last.done_reason or "stop"),
                usage=Usage(input_tokens=last.prompt_eval_count, output_tokens=last.eval_count),
                model=last.model or self.model,
                load_seconds=None if last.load_duration is None else last.load_duration / 1e9,
                flags={**flags, **({"soul_folded": 1} if self._folded else {})},
            )
        )

    async def count_tokens(self, prompt: Prompt) -> int:
        """About how many tokens the prompt has: Ollama can't count, so it is reckoned from what its answers told."""
        return self._meter.tokens(self._messages(prompt)[0])

    @checked
    def check(self) -> None:
        """Whether its server is there, and has the model. Nobody is asked anything."""
        import httpx2

        failures = self._failures()
        try:
            models = listed(self._url, timeout=_CHECK_SECONDS, key=self._key())
        except httpx2.HTTPStatusError as error:
            raise failures.refused(Refusal(status=error.response.status_code, message="")) from error
        except (httpx2.HTTPError, ValueError) as error:
            raise failures.unreachable(error) from error
        names = [str(model.get("model") or model.get("name")) for model in models]
        if self._named is None and not chat_models(models):
            raise self._failures().no_model()
        if self._named is not None and not any(same_model(self._named, name) for name in names):
            raise failures.missing(names)

    async def aclose(self) -> None:
        """Close this loop's connections."""
        await self._clients.aclose()

    # The request

    def _messages(self, prompt: Prompt) -> tuple[tuple[Message, ...], dict[str, int]]:
        messages, defused = defuse_control_tokens(render(prompt))
        flags = {"control_tokens_defused": defused} if defused else {}
        return fold_system(messages) if self._folded else merge_neighbours(messages), flags

    def _request(self, prompt: Prompt, messages: Sequence[Message], room: int, window: int) -> dict[str, Any]:
        options: dict[str, Any] = {"num_ctx": window, "num_predict": room}
        if prompt.temperature is not None:
            options["temperature"] = prompt.temperature
        if "seed" in prompt.hints:
            options["seed"] = int(prompt.hints["seed"])
        body: dict[str, Any] = {
            "model": self.model,
            "messages": [_wire(message) for message in messages],
            "options": options,
            "keep_alive": self._keep_alive,
        }
        if self._thinking or self._thinks:  # a model that can't think would refuse to be told
            body["think"] = self._thinking
        return body

    async def _reads_system(self, client: OllamaClient, body: dict[str, Any]) -> bool:
        """Whether a system message reaches the model, asked of the server where the template does not say so plainly.

        With the options of the question, for which the model is loaded in any case.
        """
        import ollama

        from cervella.brains.ollama.client import refusal_of

        sent = (Message(role="system", content=_CANARY), Message(role="user", content="?"))
        options = {**body["options"], "num_predict": 1}  # an older server takes it for a question
        rendered = None
        try:
            rendered = await client.rendered({**body, "messages": [_wire(m) for m in sent], "options": options})
            self._place_known = True
        except ollama.ResponseError as error:
            refused = system_refused(refusal_of(error), sent)
            self._place_known = refused or error.status_code < 500  # one that failed may know it the next time
            if refused:
                return False
        if rendered is None:
            # It is Ollama's own engine that fills a template of Go: it leaves out what the template does not name.
            return not self._go_template
        return _CANARY in rendered

    # Was it read whole?

    async def _look_at_window(self, client: OllamaClient, window: int) -> None:
        """Learn which window the server really gave the model, where it tells."""
        loaded = None
        with contextlib.suppress(Exception), anyio.fail_after(_LISTING_SECONDS):  # an old server has no such list
            loaded = window_given(await client.told("GET", "/api/ps"), self.model)
        if loaded is not None:
            self._meter.loaded(loaded)
            if loaded < window:
                self._window = min(self._window, loaded)

    # The client

    def _key(self) -> str | None:
        key = key_from(self._key_variable)
        if key is None and self._key_variable is not None:
            raise self._failures().no_key()
        return key

    def _client(self) -> OllamaClient:
        from cervella.brains.ollama.client import OllamaClient

        return OllamaClient(self._url, key=self._key(), connect_timeout=self._connect_timeout)

    async def _model_missing(self) -> BrainError:
        self._ready = False
        names: list[str] = []
        try:
            with anyio.fail_after(_LISTING_SECONDS):
                told = await (await self._clients.get()).told("GET", "/api/tags")
            names = [str(model.get("model") or model.get("name")) for model in told.get("models") or ()]
        except Exception:  # who can't list its models leaves the error as it is
            names = []
        return self._failures().missing(names)

    def _failures(self) -> OllamaFailures:
        return OllamaFailures(
            brain=self.name,
            model=self.model,
            url=self._url,
            start=f"Start it with `ollama serve`, or change url in [brains.{self.name}].",
            key_cure=f"Set {self._key_variable} in the environment to a key that is valid there."
            if self._key_variable
            else f"Name the environment variable that holds its key: api_key_env in [brains.{self.name}].",
            key_variables=(self._key_variable, "OLLAMA_API_KEY"),
        )

    def _failure_of(self, error: Exception) -> BrainError:
        failures = self._failures()
        if isinstance(error, BrainError):
            return failures.keyless(error)
        from cervella.brains.ollama.client import failure_of

        return failures.keyless(failure_of(error, failures), error)


def _wire(message: Message) -> dict[str, Any]:
    images = [base64.b64encode(image.data).decode("ascii") for image in message.images]
    return {"role": message.role, "content": message.content, **({"images": images} if images else {})}


async def _close(client: OllamaClient) -> None:
    close: Any = client.close
    await close()
