"""Claude, and every server that speaks the Messages API."""

from __future__ import annotations

import logging
from collections.abc import AsyncGenerator
from dataclasses import replace
from typing import TYPE_CHECKING, Any, Literal

import anyio

from cervella.brains.claude.wire import failure_of, model_facts, reason_of, refusal_of, text_of, usage_of, wire_message
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
)
from cervella.brains.http.failures import HttpFailures, checked, checked_async, translated
from cervella.brains.http.folding import fold_system, merge_neighbours, system_refused
from cervella.brains.http.ollama_server import is_ollamas_cloud
from cervella.brains.http.prompt_reading import PromptReading
from cervella.errors import BrainError
from cervella.prompt.layout import estimate_tokens, render
from cervella.types import BrainEvent, Completion, Finished, Location, Message, Prompt, TextDelta, Usage, UsageUpdate
from cervella.types.endings import ending_of

if TYPE_CHECKING:
    from anthropic import AsyncAnthropic

__all__ = ["ClaudeBrain"]

_logger = logging.getLogger("cervella")

_URL = "https://api.anthropic.com"
_KEYS = ("ANTHROPIC_API_KEY", "ANTHROPIC_AUTH_TOKEN")
_CONTEXT_TOKENS = 200_000
_LISTING_SECONDS = 5.0
_CHECK_SECONDS = 2.0


class ClaudeBrain:
    """Answers with Claude, through Anthropic's own client; with `url`, with any server that speaks its Messages API.

    The key is read from ANTHROPIC_API_KEY, or ANTHROPIC_AUTH_TOKEN; with a `url` of one's own, only from the variable
    that `api_key_env` names, so that no key goes where it does not belong.

    The soul is one block that is cached, and the conversation behind it, for `cache_ttl`: "5m", "1h" or "off".
    `thinking` is "adaptive", "enabled" or "disabled", `effort` "low" to "max"; left out, they are the model's own.
    `thinking_tokens` is the room for thoughts beside that of the answer, where the model may think.
    """

    capabilities: frozenset[str] = frozenset({"images"})

    def __init__(
        self,
        *,
        name: str = "claude",
        model: str = "claude-sonnet-5-5",
        url: str | None = None,
        api_key_env: str | None = None,
        context_tokens: int | None = None,
        max_output_tokens: int = 2048,
        cache_ttl: Literal["5m", "1h", "off"] = "5m",
        thinking: Literal["adaptive", "enabled", "disabled"] | None = None,
        thinking_tokens: int = 4096,
        effort: Literal["low", "medium", "high", "xhigh", "max"] | None = None,
        connect_timeout: float = 10.0,
    ) -> None:
        for option, number in (("max_output_tokens", max_output_tokens), ("thinking_tokens", thinking_tokens)):
            if not isinstance(number, int) or number < 1:
                raise ValueError(f"{option} is {number!r}, and must be a whole number above 0")
        for option, word, words in (
            ("cache_ttl", cache_ttl, ("5m", "1h", "off")),
            ("thinking", thinking, (None, "adaptive", "enabled", "disabled")),
            ("effort", effort, (None, "low", "medium", "high", "xhigh", "max")),
        ):
            if word not in words:
                raise ValueError(f"{option} is {word!r}, and must be one of {', '.join(w for w in words if w)}")
        model = checked_model(model) or model
        facts = model_facts(model)
        self.name = name
        self.model = model
        self.remote = is_ollamas_cloud(model)
        self.location: Location = "cloud" if url is None else location_of_url(checked_url(url))
        self._thinking = thinking
        self._effort = effort
        thinks = thinking != "disabled" if thinking else url is None and facts.get("thinks") in ("always", "default")
        self._thinking_room = thinking_tokens if thinks else 0
        window = context_tokens or (facts.get("context_tokens", _CONTEXT_TOKENS) if url is None else None)
        self.context_tokens: int | None = max(1, window - self._thinking_room) if window else None
        """Without the room for thoughts: what prompt and answer share."""
        window = self.context_tokens
        self.max_output_tokens = min(max_output_tokens, max(1, window // 4)) if window else max_output_tokens
        self._url = url and checked_url(url).removesuffix("/v1")
        self._key_variables = (checked_variable(api_key_env),) if url or api_key_env else _KEYS
        self._reading = PromptReading(self._url) if self._url else None
        """Of a server of one's own: Anthropic's never cuts."""
        self._cache_ttl = cache_ttl
        self._cache_floor: int | None = facts.get("cache_floor_tokens")
        self._said_uncached = False
        self._folded = False
        self._may_fold = url is not None
        """Anthropic's own models take a system message, always."""
        self._counts = True
        self._connect_timeout = connect_timeout
        self._clients: PerLoop[AsyncAnthropic] = PerLoop(self._client, _close)

    def stream(self, prompt: Prompt, /) -> AsyncGenerator[BrainEvent, None]:
        """Stream the answer; see `Brain`. Closing it closes the connection, and Claude stops writing."""
        return translated(self._answer(prompt), self._failure_of)

    async def _answer(self, prompt: Prompt) -> AsyncGenerator[BrainEvent, None]:
        import anthropic

        client = await self._clients.get()
        try:
            events: Any = await client.messages.create(**self._request(prompt), stream=True)
        except anthropic.APIStatusError as error:
            if refusal_of(error).sort == "missing":
                raise await self._model_missing(client, error) from error
            if self._folded or not self._refuses_system(error, prompt):
                raise
            self._folded = True  # a server whose template knows no system role says so before the first token
            events = await client.messages.create(**self._request(prompt), stream=True)
        texts: list[str] = []
        usage, stop_reason, model = Usage(), None, self.model
        refusal: str | None = None
        try:
            async for event in events:
                if event.type == "message_start":
                    usage, model = usage_of(event.message.usage, Usage()), event.message.model or model
                    yield UsageUpdate(usage=replace(usage, output_tokens=None))  # so far it has written next to none
                elif text := text_of(event):
                    texts.append(text)
                    yield TextDelta(text=text)
                elif event.type == "message_delta":
                    usage, stop_reason = usage_of(event.usage, usage), event.delta.stop_reason or stop_reason
                    refusal = reason_of(event.delta) or refusal
        finally:
            with anyio.CancelScope(shield=True):
                await events.close()
        failures = self._failures()
        if stop_reason is None:
            raise failures.unended("ended its answer without a reason", "".join(texts))
        if self._reading is not None:
            yield UsageUpdate(usage=usage)
            sent, room = self._messages(prompt), self._request(prompt)["max_tokens"]
            await self._reading.ends(client, sent, usage.input_tokens, room=room, failures=failures)
        if stop_reason == "max_tokens" and not "".join(texts).strip():
            raise failures.unfinished_thought()
        flags = {**self._uncached(usage, prompt), **({"soul_folded": 1} if self._folded else {})}
        yield Finished(
            completion=Completion(
                text="".join(texts),
                finish_reason=ending_of(stop_reason),
                refusal=refusal,
                usage=usage,
                model=model,
                flags=flags,
            )
        )

    @checked_async
    async def count_tokens(self, prompt: Prompt) -> int:
        """The prompt's tokens, as the API counts them; of a server that can't count, ceil(characters / 3)."""
        import anthropic

        if self._counts:
            client = await self._clients.get()
            try:
                counted = await client.messages.count_tokens(**self._parts(prompt), model=self.model)
                tokens = getattr(counted, "input_tokens", None)
                if isinstance(tokens, int):
                    return tokens
                self._counts = False
            except anthropic.NotFoundError:
                self._counts = False
        return estimate_tokens(render(prompt))

    @checked
    def check(self) -> None:
        """Whether it could answer: there is a key, and a server of one's own is there. Nobody is asked anything."""
        self._key()
        if self._url is not None:
            import httpx2

            try:
                get_json(f"{self._url}/v1/models", timeout=_CHECK_SECONDS, key=self._key())
            except (httpx2.HTTPStatusError, ValueError):
                pass  # it is there, and need not list its models
            except httpx2.HTTPError as error:
                raise self._failures().unreachable(error) from error
            if self._reading is not None:
                self._reading.check(self._failures(), timeout=_CHECK_SECONDS, key=self._key())

    async def aclose(self) -> None:
        """Close this loop's connections."""
        await self._clients.aclose()

    # The request

    def _request(self, prompt: Prompt) -> dict[str, Any]:
        body = self._parts(prompt)
        body["model"] = self.model
        body["max_tokens"] = (prompt.max_output_tokens or self.max_output_tokens) + self._thinking_room
        if prompt.temperature is not None:
            body["extra_body"] = {"temperature": prompt.temperature}  # the client has no argument for it any more
        if self._thinking is not None:
            budget = {"budget_tokens": self._thinking_room} if self._thinking == "enabled" else {}
            body["thinking"] = {"type": self._thinking, **budget}
        if self._effort is not None:
            body["output_config"] = {"effort": self._effort}
        return body

    def _messages(self, prompt: Prompt) -> tuple[Message, ...]:
        return fold_system(render(prompt)) if self._folded else merge_neighbours(render(prompt))

    def _parts(self, prompt: Prompt) -> dict[str, Any]:
        """System and messages, with a breakpoint on the soul and one on the last message of the history."""
        messages = self._messages(prompt)
        caching = {} if self._cache_ttl == "off" else {"cache_control": {"type": "ephemeral", "ttl": self._cache_ttl}}
        system = [m for m in messages if m.role == "system" and m.content.strip()]
        turns = [m for m in messages if m.role != "system"]
        body: dict[str, Any] = {
            "messages": [wire_message(m, caching if n == len(turns) - 2 else {}) for n, m in enumerate(turns)]
        }
        if system:
            body["system"] = [{"type": "text", "text": m.content, **caching} for m in system]
        return body

    def _refuses_system(self, error: Any, prompt: Prompt) -> bool:
        return self._may_fold and system_refused(refusal_of(error), self._messages(prompt))

    def _uncached(self, usage: Usage, prompt: Prompt) -> dict[str, int]:
        """What to flag where caching was asked for and did nothing; it is said once."""
        if self._cache_ttl == "off" or usage.cache_read_tokens != 0 or usage.cache_write_tokens != 0:
            return {}
        if not self._said_uncached:
            self._said_uncached = True
            floor = (
                f"{self.model} caches a beginning of {self._cache_floor} tokens or more"
                if self._cache_floor
                else f"from how many tokens on {self.model} caches is not known here"
            )
            _logger.warning(
                "brain %s: caching was asked for, and nothing of the %s prompt tokens was cached or read from a cache; "
                "the soul is about %d of them. %s",
                self.name,
                usage.input_tokens,
                estimate_tokens(prompt.system),
                floor,
            )
        return {"cache_unused": 1}

    # The client

    def _key(self) -> str | None:
        key = key_from(*self._key_variables)
        if key is None and (self._url is None or self._key_variables != (None,)):
            raise self._failures().no_key()
        return key

    def _client(self) -> AsyncAnthropic:
        from anthropic import AsyncAnthropic

        url = self._url or _URL
        key = self._key() or "none"  # a server of one's own may ask for none; without any the client looks for others
        bearer = self._url is not None or (self._key_variables == _KEYS and key_from(_KEYS[0]) is None)
        return AsyncAnthropic(
            api_key=None if bearer else key,
            auth_token=key if bearer else None,
            base_url=bare_url(url),
            max_retries=0,  # the shield has the only retry loop
            open_telemetry=False,
            http_client=async_client(url, self._connect_timeout),
        )

    def _failures(self) -> HttpFailures:
        variable = next((v for v in self._key_variables if v), "ANTHROPIC_API_KEY")
        return HttpFailures(
            brain=self.name,
            model=self.model,
            url=self._url or _URL,
            start=f"Start its server, or change url in [brains.{self.name}]."
            if self._url
            else "Check the network, or ask another brain.",
            key_cure=f"Set {variable} in the environment to a key that is valid there; never in a file."
            if any(self._key_variables)
            else f"Name the environment variable that holds its key: api_key_env in [brains.{self.name}].",
            key_variables=self._key_variables,
        )

    def _failure_of(self, error: Exception) -> BrainError:
        failures = self._failures()
        return failures.keyless(error if isinstance(error, BrainError) else failure_of(error, failures), error)

    async def _model_missing(self, client: AsyncAnthropic, error: Any) -> BrainError:
        there: list[str] = []
        try:
            with anyio.fail_after(_LISTING_SECONDS):
                there = [model.id for model in (await client.models.list()).data]
        except Exception:  # who can't list its models leaves the error as it is
            there = []
        failures = self._failures()
        return failures.model_missing(f": {failures.said(refusal_of(error).message)}", there=there)


async def _close(client: AsyncAnthropic) -> None:
    await client.close()
