"""Answers with Claude, or with another server that has Anthropic's Messages API."""

from __future__ import annotations

import base64
import contextlib
import logging
import re
from collections.abc import AsyncGenerator
from dataclasses import replace
from functools import cache
from typing import TYPE_CHECKING, Any, Literal

from cervella.brains.http.brain import Answer, HttpBrain, Sent
from cervella.brains.http.clients import async_client, checked_number, closing, key_from, shown_url
from cervella.brains.http.refusals import Refusal, error_object
from cervella.process.files import read_packaged
from cervella.prompt.layout import estimate_tokens
from cervella.types import Message, Prompt, Usage, UsageUpdate

if TYPE_CHECKING:
    from anthropic import AsyncAnthropic

_logger = logging.getLogger("cervella")

_URL = "https://api.anthropic.com"
_KEYS = ("ANTHROPIC_API_KEY", "ANTHROPIC_AUTH_TOKEN")
_CONTEXT_TOKENS = 200_000
"""Size in tokens of the context window of a Claude model that models.toml does not list."""


class ClaudeBrain(HttpBrain["AsyncAnthropic"]):
    """Answers with Claude, through Anthropic's own client, or with another server that has the Messages API, at `url`.

    The key is read from ANTHROPIC_API_KEY, else ANTHROPIC_AUTH_TOKEN. With a `url`, it is only read from the
    environment variable `api_key_env`, so that Anthropic's key is not sent to another server. `context_tokens` defaults
    to the window of the Claude model; with a `url` it is unknown, and prompts are not cut.

    `cache_ttl` is the time for which the server caches the soul (the system prompt) and the conversation so far: "5m",
    "1h", or "off" for no cache. `thinking` is "adaptive", "enabled" or "disabled", `effort` is "low" to "max"; if
    one is not set, the server's default for the model applies. `thinking_tokens` is the maximum length of the thoughts,
    if the model may think. It is added to `max_output_tokens`, the maximum length of the answer.
    """

    extra = "claude"
    capabilities = frozenset({"images"})

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
        for option, word, words in (
            ("cache_ttl", cache_ttl, ("5m", "1h", "off")),
            ("thinking", thinking, (None, "adaptive", "enabled", "disabled")),
            ("effort", effort, (None, "low", "medium", "high", "xhigh", "max")),
        ):
            if word not in words:
                raise ValueError(f"{option} is {word!r}, and must be one of {', '.join(w for w in words if w)}")
        checked_number("thinking_tokens", thinking_tokens)
        own = url is not None
        facts = _facts(str(model).strip())
        thinks = thinking != "disabled" if thinking else not own and facts.get("thinks") in ("always", "default")
        super().__init__(
            name=name,
            model=model,
            url=_URL if url is None else url,
            api_key_env=api_key_env,
            key_variables=() if own else _KEYS,
            context_tokens=context_tokens or (None if own else facts.get("context_tokens", _CONTEXT_TOKENS)),
            max_output_tokens=max_output_tokens,
            thinking_tokens=thinking_tokens if thinks else 0,
            connect_timeout=connect_timeout,
        )
        self._url = self._url.removesuffix("/v1")
        self._own = own
        self._key_needed = self._key_needed or not own
        self._may_fold = self._defuses = own
        if not own:
            self.start = "Check the network, or ask another brain."
            self._reading = None  # Anthropic's own server never cuts a prompt
        self._cache_ttl = cache_ttl
        self._thinking = thinking
        self._effort = effort
        self._cache_floor: int | None = facts.get("cache_floor_tokens")
        self._warned_uncached = False

    async def _send(
        self, client: AsyncAnthropic, sent: Sent, answer: Answer
    ) -> AsyncGenerator[str | UsageUpdate, None]:
        usage = Usage()
        async with closing(await client.messages.create(**self._request(sent), stream=True)) as events:
            async for event in events:
                if event.type == "message_start":
                    usage, answer.model = _usage_of(event.message.usage, Usage()), event.message.model or answer.model
                    # Almost nothing is generated at this point.
                    yield UsageUpdate(usage=replace(usage, output_tokens=None))
                elif event.type == "message_delta":
                    usage, answer.ending = _usage_of(event.usage, usage), event.delta.stop_reason or answer.ending
                    answer.refusal = _reason_of(event.delta) or answer.refusal
                    yield UsageUpdate(usage=usage)
                else:
                    yield _text_of(event)
        answer.flags |= self._uncached(usage, sent.prompt)

    def _request(self, sent: Sent) -> dict[str, Any]:
        body = self._parts(sent.messages)
        body["max_tokens"] = sent.room
        if sent.prompt.temperature is not None:
            body["extra_body"] = {"temperature": sent.prompt.temperature}  # the client no longer has an argument for it
        if self._thinking is not None:
            budget = {"budget_tokens": self._thinking_room} if self._thinking == "enabled" else {}
            body["thinking"] = {"type": self._thinking, **budget}
        if self._effort is not None:
            body["output_config"] = {"effort": self._effort}
        return body

    def _parts(self, messages: tuple[Message, ...]) -> dict[str, Any]:
        """The request's fields for the model, the system prompt and the messages.

        Unless caching is off, the system prompt and the last message before the question have a cache breakpoint: the
        server caches the prompt up to there.
        """
        caching = {} if self._cache_ttl == "off" else {"cache_control": {"type": "ephemeral", "ttl": self._cache_ttl}}
        system = [m for m in messages if m.role == "system" and m.content.strip()]
        turns = [m for m in messages if m.role != "system"]
        wired = [_wire_message(m, caching if n == len(turns) - 2 else {}) for n, m in enumerate(turns)]
        blocks = [{"type": "text", "text": m.content, **caching} for m in system]
        return {"model": self.model, "messages": wired, **({"system": blocks} if blocks else {})}

    def _uncached(self, usage: Usage, prompt: Prompt) -> dict[str, int]:
        """The flag `cache_unused` if caching is on, but no tokens were read from a cache or written to it; else empty.

        The first such answer is also logged as a warning.
        """
        if self._cache_ttl == "off" or usage.cache_read_tokens != 0 or usage.cache_write_tokens != 0:
            return {}
        if not self._warned_uncached:
            self._warned_uncached = True
            floor = (
                f"{self.model} only caches prompts of {self._cache_floor} tokens or more"
                if self._cache_floor
                else f"the minimum length of a prompt that {self.model} caches is unknown"
            )
            _logger.warning(
                "brain %s: caching is on, but none of the %s prompt tokens was written to or read from a cache; "
                "the soul is about %d of them; %s",
                self.name,
                usage.input_tokens,
                estimate_tokens(prompt.system),
                floor,
            )
        return {"cache_unused": 1}

    # The server

    async def _models(self, client: AsyncAnthropic) -> list[str]:
        return [model.id for model in (await client.models.list()).data]

    async def _count(self, client: AsyncAnthropic, prompt: Prompt) -> int | None:
        import anthropic

        tokens = None
        with contextlib.suppress(anthropic.NotFoundError):
            counted = await client.messages.count_tokens(**self._parts(self._messages(prompt)[0]))
            tokens = getattr(counted, "input_tokens", None)
        self._counts = isinstance(tokens, int)
        return tokens if self._counts else None

    def _look(self) -> None:
        if not self._own:
            return  # a request to Anthropic would need a valid key
        import httpx2

        # The server answers, but may have no list of models.
        with contextlib.suppress(httpx2.HTTPStatusError, ValueError):
            self._get("/v1/models")
        if self._reading is not None:
            self._reading.check(self._failures(), key=self._key())

    def _connect(self, key: str | None) -> AsyncAnthropic:
        from anthropic import AsyncAnthropic

        key = key or "none"  # without a value, the client would read Anthropic's key from the environment
        bearer = self._own or (self._key_variables == _KEYS and key_from(_KEYS[0]) is None)
        return AsyncAnthropic(
            api_key=None if bearer else key,
            auth_token=key if bearer else None,
            base_url=shown_url(self._url),
            max_retries=0,  # the shield has the only retry loop
            open_telemetry=False,
            http_client=async_client(self._url, self._connect_timeout),
        )

    def _refusal(self, error: Exception) -> Refusal | None:
        import anthropic

        if not isinstance(error, anthropic.APIStatusError):
            return None
        facts = error_object(error.body)
        return Refusal(
            status=error.status_code,
            kind=str(facts.get("type") or ""),
            message=str(facts.get("message") or error.message),
            headers=error.response.headers,
            facts=facts,
        )


@cache
def _known_models() -> dict[str, dict[str, Any]]:
    return read_packaged("cervella.brains.claude", "models.toml")


def _facts(model: str) -> dict[str, Any]:
    """The properties of a model from models.toml; empty if it is not listed. A date at the end of its name is
    ignored."""
    return _known_models().get(re.sub(r"-\d{8}$", "", model), {})


def _wire_message(message: Message, caching: dict[str, Any]) -> dict[str, Any]:
    if not message.images and not (caching and message.content.strip()):
        return {"role": message.role, "content": message.content}
    blocks: list[dict[str, Any]] = [
        {
            "type": "image",
            "source": {
                "type": "base64",
                "media_type": image.media_type,
                "data": base64.b64encode(image.data).decode("ascii"),
            },
        }
        for image in message.images
    ]
    if message.content.strip():
        blocks.append({"type": "text", "text": message.content, **caching})
    return {"role": message.role, "content": blocks}


def _text_of(event: Any) -> str:
    """The text in one event of the server's stream; empty for other events. The start of a text block may contain
    text."""
    if event.type == "content_block_delta":
        return (event.delta.text or "") if event.delta.type == "text_delta" else ""
    block = getattr(event, "content_block", None)
    return (getattr(block, "text", None) or "") if getattr(block, "type", None) == "text" else ""


def _reason_of(delta: Any) -> str | None:
    """Why the model refused to answer: its explanation, else the category of the refusal; None if neither is given."""
    details = getattr(delta, "stop_details", None)
    return getattr(details, "explanation", None) or getattr(details, "category", None)


def _usage_of(counts: Any, before: Usage) -> Usage:
    """The API's token counts as a `Usage`. A missing count keeps its value from `before`, the usage of earlier events.

    The API counts cached tokens separately, while `Usage.input_tokens` includes them.
    """

    def count(holder: Any, name: str, former: int | None) -> int | None:
        value = getattr(holder, name, None)
        return value if isinstance(value, int) else former

    read = count(counts, "cache_read_input_tokens", before.cache_read_tokens)
    write = count(counts, "cache_creation_input_tokens", before.cache_write_tokens)
    fresh = count(counts, "input_tokens", None)
    hour = count(getattr(counts, "cache_creation", None), "ephemeral_1h_input_tokens", before.cache_write_1h_tokens)
    return Usage(
        input_tokens=before.input_tokens if fresh is None else fresh + (read or 0) + (write or 0),
        cache_read_tokens=read,
        cache_write_tokens=write,
        cache_write_1h_tokens=hour,
        output_tokens=count(counts, "output_tokens", before.output_tokens),
    )
