"""What every brain that speaks HTTP does alike. A new one says how its wire looks, in one class."""

from __future__ import annotations

import contextlib
from collections.abc import AsyncGenerator, Mapping
from contextlib import aclosing
from dataclasses import dataclass, field
from typing import Any, Generic, TypeVar, cast

import anyio

from cervella.brains.http.clients import (
    Inner,
    PerLoop,
    async_client,
    checked_model,
    checked_number,
    checked_url,
    checked_variable,
    get_json,
    key_from,
    location_of_url,
)
from cervella.brains.http.failures import HttpFailures, Translated, checked, checked_async
from cervella.brains.http.messages import defuse_control_tokens, fold_system, merge_neighbours, system_refused
from cervella.brains.http.ollama_server import is_ollamas_cloud
from cervella.brains.http.prompt_reading import PromptReading
from cervella.brains.http.refusals import Refusal, error_object
from cervella.errors import BrainError
from cervella.prompt.layout import estimate_tokens, render
from cervella.types import BrainEvent, Completion, Finished, Location, Message, Prompt, TextDelta, Usage, UsageUpdate
from cervella.types.endings import ending_of

UNKNOWN_MODEL = "unknown"
LISTING_SECONDS = 5.0
_CHECK_SECONDS = 2.0

C = TypeVar("C")


@dataclass(frozen=True, slots=True, kw_only=True)
class Sent:
    """A prompt as it goes to a server."""

    prompt: Prompt
    messages: tuple[Message, ...]
    """In order; without a system message where the model's template takes none."""
    room: int
    """The most tokens of the answer, thoughts included."""
    window: int | None = None
    """The window to ask for, where the server takes one with the question."""
    flags: Mapping[str, int] = field(default_factory=dict)
    """What was changed in the messages, counted."""


@dataclass(slots=True, kw_only=True)
class Answer:
    """What came of one answer so far; `_send` fills it in."""

    model: str
    """As the server names it."""
    ending: str | None = None
    """The server's word for the end; None as long as it has not said one."""
    refusal: str | None = None
    """Why the model refused, where it says so."""
    usage: Usage = field(default_factory=Usage)
    load_seconds: float | None = None
    flags: dict[str, int] = field(default_factory=dict)
    texts: list[str] = field(default_factory=list)
    """Kept by the base."""

    @property
    def text(self) -> str:
        return "".join(self.texts)


class HttpBrain(Generic[C]):
    """A brain whose model runs behind an HTTP server.

    A subclass gives `_send`, and what else is different on its wire: `_connect` and `_refusal` where it has a client of
    its own, `_models`, `_learn`, `_count` and `_look` where its server can be asked these things.

    The base keeps one client a loop, reads the key when a client is made, folds the soul into the first user turn where
    the server refuses a system role, names the models that are there where one is missing, finds out whether the server
    read the whole prompt, and translates every failure into a `BrainError` without keys.

    `url` is where the server is. `api_key_env` names the variable that holds the key; without it the first of
    `key_variables` that is set is used, or none. `context_tokens` is the window, prompt and answer together.
    `thinking_tokens` is the room for thoughts beside that of the answer. `connect_timeout` is in seconds.
    """

    start = "Start its server, or change url in [brains.{name}]."
    """What cures a server that does not answer: a sentence."""
    extra: str | None = None
    """The extra that brings the client's package: `pip install 'cervella[extra]'`."""
    capabilities: frozenset[str] = frozenset()
    _may_fold = True
    """Whether the model behind the server may be one whose template takes no system role."""
    _defuses = True
    """Whether the server may obey control tokens that stand in a document."""

    def __init__(
        self,
        *,
        name: str,
        model: str | None,
        url: str,
        api_key_env: str | None = None,
        key_variables: tuple[str, ...] = (),
        context_tokens: int | None = None,
        max_output_tokens: int = 1024,
        thinking_tokens: int = 0,
        connect_timeout: float = 10.0,
    ) -> None:
        self.name = name
        self._named = checked_model(model)
        self.model = self._named or UNKNOWN_MODEL
        self.remote = is_ollamas_cloud(self.model)
        self._url = checked_url(url)
        self.location: Location = location_of_url(self._url)
        variable = checked_variable(api_key_env)
        self._key_variables = (variable,) if variable else key_variables
        self._key_needed = variable is not None
        self._window = checked_number("context_tokens", context_tokens)
        self._max_output_tokens = checked_number("max_output_tokens", max_output_tokens) or 1
        self._thinking_room = checked_number("thinking_tokens", thinking_tokens, least=0) or 0
        self._connect_timeout = connect_timeout
        self._ready = self._folded = False
        self._counts = True
        """Whether the server can count a prompt's tokens, as far as it is known."""
        self._reading: PromptReading | None = PromptReading(self._url)
        """Whether the server read the whole prompt; None where it never cuts one."""
        self._clients: PerLoop[C] = PerLoop(self._client, _close)

    @property
    def context_tokens(self) -> int | None:
        """What prompt and answer share: the window less the room for thoughts."""
        return max(1, self._window - self._thinking_room) if self._window else None

    @property
    def max_output_tokens(self) -> int:
        """The longest answer where the question does not say; at most a quarter of the window."""
        window = self.context_tokens
        return min(self._max_output_tokens, max(1, window // 4)) if window else self._max_output_tokens

    # What a subclass says of its wire

    def _connect(self, key: str | None) -> C:
        """A client of the server; by default one of httpx2, in which paths are relative to `url`."""
        return cast(C, async_client(self._url, self._connect_timeout, key=key))

    def _send(self, client: C, sent: Sent, answer: Answer) -> AsyncGenerator[str | UsageUpdate, None]:
        """Ask. Yields each text as it comes, and a UsageUpdate where the server counts; the rest goes into `answer`."""
        raise NotImplementedError

    def _refusal(self, error: Exception) -> Refusal | None:
        """What the server said instead of an answer; None for an error that is not its word."""
        response = getattr(error, "response", None)
        if type(error).__name__ != "HTTPStatusError" or response is None:
            return None
        facts: dict[str, Any] = {}
        with contextlib.suppress(Exception):  # the body may be no JSON, or not read
            facts = error_object(response.json())
        said = facts.get("message") or error
        return Refusal(status=response.status_code, message=str(said), headers=response.headers, facts=facts)

    async def _learn(self) -> None:
        """Ask the server, once, what it must be known for: the model, the window, whether it takes a system role."""

    async def _models(self, client: C) -> list[str]:
        """The models that the server has."""
        return []

    async def _count(self, client: C, prompt: Prompt) -> int | None:
        """The prompt's tokens as the server counts them; None where it can't."""
        return None

    def _look(self) -> None:
        """Whether the server is there and has the model; raises a BrainError. Asks no question."""

    # What is the same for all

    @checked_async
    async def prepare(self) -> None:
        """Learn from the server, once, what must be known before a prompt is cut for it."""
        if not self._ready:
            await self._learn()
            self._ready = True

    def stream(self, prompt: Prompt, /) -> Translated:
        """Stream the answer; see `Brain`. Closing it closes the connection, and the server stops writing."""
        return Translated(self._answer(prompt), self._failure_of)

    @checked_async
    async def count_tokens(self, prompt: Prompt) -> int:
        """The prompt's tokens as the server counts them; where it can't, ceil(characters / 3)."""
        counted = await self._count(await self._clients.get(), prompt) if self._counts else None
        return estimate_tokens(self._messages(prompt)[0]) if counted is None else counted

    @checked
    def check(self) -> None:
        """Whether it could answer: its key is set, its server is there and has the model. Asks no question."""
        self._key()
        self._look()

    async def aclose(self) -> None:
        """Close this loop's connections."""
        await self._clients.aclose()

    async def _answer(self, prompt: Prompt) -> AsyncGenerator[BrainEvent, None]:
        was_remote = self.remote
        await self.prepare()
        if self.remote and not was_remote and prompt.tainted:
            raise self._failures().moved()
        client = await self._clients.get()
        answer: Answer | None = None
        while answer is None:
            sent = await self._lay_out(client, prompt)
            answer, held = Answer(model=self.model), False
            try:
                async with aclosing(Inner(self._send(client, sent, answer))) as events:
                    async for event in events:
                        if isinstance(event, UsageUpdate):
                            answer.usage = event.usage
                            yield event
                        elif event:
                            held = held if answer.texts else self._holds_back(sent)
                            answer.texts.append(event)
                            if not held:
                                yield TextDelta(text=event)
            except Exception as error:
                refusal = None if answer.texts else self._refusal(error)
                if refusal is None:
                    raise
                if refusal.sort == "missing":
                    raise await self._model_missing(client, refusal) from error
                if self._folded or not self._may_fold or not system_refused(refusal, sent.messages):
                    raise
                self._folded, answer = True, None
        if answer.ending is None:
            raise self._failures().unended(answer.text)
        await self._check_read(client, sent, answer)
        if answer.ending in ("length", "max_tokens") and not answer.text.strip():
            raise self._failures().unfinished_thought()
        if held:
            yield TextDelta(text=answer.text)
        folded = {"soul_folded": 1} if self._folded else {}
        yield Finished(
            completion=Completion(
                text=answer.text,
                finish_reason=ending_of(answer.ending),
                refusal=answer.refusal,
                usage=answer.usage,
                model=answer.model,
                load_seconds=answer.load_seconds,
                flags={**sent.flags, **answer.flags, **folded},
            )
        )

    def _messages(self, prompt: Prompt) -> tuple[tuple[Message, ...], dict[str, int]]:
        """The prompt's messages, and what was changed in them, counted."""
        messages, defused = defuse_control_tokens(render(prompt)) if self._defuses else (render(prompt), 0)
        flags = {"control_tokens_defused": defused} if defused else {}
        return fold_system(messages) if self._folded else merge_neighbours(messages), flags

    def _sent(self, prompt: Prompt) -> Sent:
        messages, flags = self._messages(prompt)
        room = (prompt.max_output_tokens or self.max_output_tokens) + self._thinking_room
        return Sent(prompt=prompt, messages=messages, room=room, flags=flags)

    async def _lay_out(self, client: C, prompt: Prompt) -> Sent:
        """The prompt as it goes to the server; what must be asked of the server for it is asked here."""
        return self._sent(prompt)

    def _holds_back(self, sent: Sent) -> bool:
        """Whether the answer is given out at its end only: until then nobody knows whether the soul was cut."""
        return self._reading is not None and self._reading.holds_back(sent.messages, sent.room)

    async def _check_read(self, client: C, sent: Sent, answer: Answer) -> None:
        """Raises PersonaTruncatedError where the server read less than the whole prompt."""
        if self._reading is not None:
            await self._reading.ends(client, sent.messages, answer.usage, room=sent.room, failures=self._failures())

    async def _model_missing(self, client: C, refusal: Refusal | None = None) -> BrainError:
        self._ready = False  # the server may have been started anew, with another model
        there: list[str] = []
        with contextlib.suppress(Exception):  # a server that can't list its models leaves the error as it is
            with anyio.fail_after(LISTING_SECONDS):
                there = await self._models(client)
        return self._missing(there, f": {self._failures().said(refusal.message)}" if refusal else "")

    def _missing(self, there: list[str], said: str = "") -> BrainError:
        """The error for a model that is not there; `there` are those that are."""
        return self._failures().model_missing(said, there=there)

    def _get(self, path: str) -> Any:
        """What the server says to a GET, in a moment. Raises BrainError where it is not there or refuses the key,
        httpx2.HTTPStatusError for another refusal, and ValueError for no JSON."""
        import httpx2

        try:
            return get_json(f"{self._url}{path}", timeout=_CHECK_SECONDS, key=self._key())
        except httpx2.HTTPStatusError as error:
            if error.response.status_code not in (401, 403):
                raise
            raise self._failures().refused(Refusal(status=error.response.status_code, message="")) from error
        except httpx2.HTTPError as error:
            raise self._failures().unreachable(error) from error

    # The client

    def _key(self) -> str | None:
        key = key_from(*self._key_variables)
        if key is None and self._key_needed:
            raise self._failures().no_key()
        return key

    def _client(self) -> C:
        return self._connect(self._key())

    # Failures

    def _failures(self) -> HttpFailures:
        variable = next(iter(self._key_variables), None)
        table = f"api_key_env in [brains.{self.name}]"
        return HttpFailures(
            brain=self.name,
            model=self.model,
            url=self._url,
            start=self.start.format(name=self.name),
            key_cure=f"Set {variable} in the environment to a key that is valid there, or name another: {table}."
            if variable
            else f"Name the environment variable that holds its key: {table}.",
            key_variables=self._key_variables,
            extra=self.extra,
        )

    def _failure_of(self, error: Exception) -> BrainError:
        failures = self._failures()
        if isinstance(error, (BrainError, ImportError)) or (refusal := self._refusal(error)) is None:
            return failures.keyless(failures.of(error), error)
        return failures.keyless(self._refused(refusal, failures), error)

    def _refused(self, refusal: Refusal, failures: HttpFailures) -> BrainError:
        return failures.refused(refusal)


async def _close(client: Any) -> None:
    await (getattr(client, "aclose", None) or client.close)()
