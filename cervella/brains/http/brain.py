"""The base class of all brains whose model runs behind an HTTP server."""

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
"""Timeout of a request for the list of models."""
_CHECK_SECONDS = 2.0
"""Timeout of a request in `check`."""

C = TypeVar("C")


@dataclass(frozen=True, slots=True, kw_only=True)
class Sent:
    """A prompt in the form in which it is sent to a server."""

    prompt: Prompt
    messages: tuple[Message, ...]
    """The messages to send. If the model's template supports no system message, the first user message begins with the
    soul."""
    room: int
    """Maximum tokens of the answer, thoughts included."""
    window: int | None = None
    """The window to request, in tokens; None where a request can't set it."""
    flags: Mapping[str, int] = field(default_factory=dict)
    """The number of changes in the messages by kind, such as `control_tokens_defused`."""


@dataclass(slots=True, kw_only=True)
class Answer:
    """The state of one answer. `_send` fills it in while the answer arrives."""

    model: str
    """The model's name as reported by the server."""
    ending: str | None = None
    """The reason for the end as reported by the server; None until then."""
    refusal: str | None = None
    """The model's explanation of a refusal; None where it gives none."""
    usage: Usage = field(default_factory=Usage)
    load_seconds: float | None = None
    flags: dict[str, int] = field(default_factory=dict)
    texts: list[str] = field(default_factory=list)
    """The deltas so far. HttpBrain fills this in, not `_send`."""

    @property
    def text(self) -> str:
        return "".join(self.texts)


class HttpBrain(Generic[C]):
    """A brain whose model runs behind an HTTP server.

    A subclass implements `_send`. It also implements `_connect` and `_refusal` if it uses a vendor's client, and
    `_models`, `_learn`, `_count` and `_look` if its server has routes for them.

    This class keeps one client for each event loop and reads the key when it creates a client. It moves the soul (the
    system prompt) into the first user turn if the server refuses a system role, names the server's models in the error
    if the configured one is missing, finds out whether the server read the whole prompt, and translates every failure
    into a `BrainError` without keys.

    `url` is the server's address. `api_key_env` is the name of the environment variable that contains the key; without
    it, the first of `key_variables` that is set is used, else no key. `context_tokens` is the window, for prompt and
    answer together; None if it is unknown. `max_output_tokens` is the maximum length of an answer. `thinking_tokens` is
    the maximum length of the thoughts before it, in addition. `connect_timeout` is in seconds.
    """

    start = "Start its server, or change url in [brains.{name}]."
    """The advice in the error for a server that does not answer: a sentence that says how to start it."""
    extra: str | None = None
    """The extra that installs the client's package: `pip install 'cervella[extra]'`."""
    capabilities: frozenset[str] = frozenset()
    _may_fold = True
    """Whether the soul is moved into the first user turn if the server refuses a system role."""
    _defuses = True
    """Whether control tokens (such as `<|im_end|>`) in documents are broken up, because the server may obey them."""

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
        """False once the server has shown that it can't count a prompt's tokens."""
        self._reading: PromptReading | None = PromptReading(self._url)
        """Finds out whether the server read the whole prompt; None for a server that never cuts one."""
        self._clients: PerLoop[C] = PerLoop(self._client, _close)

    @property
    def context_tokens(self) -> int | None:
        """Tokens for prompt and answer together: the window less `thinking_tokens`. None if the window is unknown."""
        return max(1, self._window - self._thinking_room) if self._window else None

    @property
    def max_output_tokens(self) -> int:
        """Maximum tokens of an answer if the prompt sets none; at most a quarter of the window."""
        window = self.context_tokens
        return min(self._max_output_tokens, max(1, window // 4)) if window else self._max_output_tokens

    # For subclasses to implement

    def _connect(self, key: str | None) -> C:
        """A new client for the server; by default one of httpx2, in which paths are relative to `url`."""
        return cast(C, async_client(self._url, self._connect_timeout, key=key))

    def _send(self, client: C, sent: Sent, answer: Answer) -> AsyncGenerator[str | UsageUpdate, None]:
        """Send the request. Yields each text as it arrives, and a UsageUpdate when the server reports token counts.

        Writes the reason for which the answer ended, and the name of its model, into `answer`.
        """
        raise NotImplementedError

    def _refusal(self, error: Exception) -> Refusal | None:
        """The server's error response, from an exception of the client; None if the server did not respond."""
        response = getattr(error, "response", None)
        if type(error).__name__ != "HTTPStatusError" or response is None:
            return None
        facts: dict[str, Any] = {}
        with contextlib.suppress(Exception):  # the body may not be JSON, or was not read
            facts = error_object(response.json())
        message = str(facts.get("message") or error)
        return Refusal(status=response.status_code, message=message, headers=response.headers, facts=facts)

    async def _learn(self) -> None:
        """Ask the server, before the first prompt, for its model, its window, and its support of a system role; by
        default nothing."""

    async def _models(self, client: C) -> list[str]:
        """The names of the server's models; by default none."""
        return []

    async def _count(self, client: C, prompt: Prompt) -> int | None:
        """The prompt's tokens, counted by the server; None if it can't count them."""
        return None

    def _look(self) -> None:
        """Raise a BrainError if the server does not answer or does not have the model. Generates nothing."""

    # The same for all subclasses

    @checked_async
    async def prepare(self) -> None:
        """Ask the server once for the facts that are needed to fit a prompt into its window."""
        if not self._ready:
            await self._learn()
            self._ready = True

    def stream(self, prompt: Prompt, /) -> Translated:
        """Stream the answer; see `Brain`. Closing the stream closes the connection, which stops the server."""
        return Translated(self._answer(prompt), self._failure_of)

    @checked_async
    async def count_tokens(self, prompt: Prompt) -> int:
        """The prompt's tokens, counted by the server; ceil(characters / 3) if it can't count them."""
        counted = await self._count(await self._clients.get(), prompt) if self._counts else None
        return estimate_tokens(self._messages(prompt)[0]) if counted is None else counted

    @checked
    def check(self) -> None:
        """Raise a BrainError if the key is not set, or the server does not answer or does not have the model.
        Generates nothing."""
        self._key()
        self._look()

    async def aclose(self) -> None:
        """Close the connections of the running event loop."""
        await self._clients.aclose()

    async def _answer(self, prompt: Prompt) -> AsyncGenerator[BrainEvent, None]:
        was_remote = self.remote
        await self.prepare()
        if self.remote and not was_remote and prompt.tainted:
            # The prompt was prepared for a local brain, before the server reported where its model runs.
            raise self._failures().broken("runs its model on another machine, and this prompt is local only")
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
                if answer.texts or not await self._folds(client, sent, error):
                    raise
                answer = None
        if answer.ending is None:
            raise self._failures().unended(answer.text)
        await self._check_read(client, sent, answer)
        if answer.ending in ("length", "max_tokens") and not answer.text.strip():
            cure = f"Raise thinking_tokens or max_output_tokens in [brains.{self.name}], or let it think less."
            problem = "used up its length limit by thinking, and answered nothing"
            raise self._failures().broken(problem, cure, code="thinking_unfinished")
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

    async def _folds(self, client: C, sent: Sent, error: Exception) -> bool:
        """Whether the prompt is to be sent again with the soul in the first user turn, because of this error.

        Raises the BrainError for a model that the server does not have.
        """
        refusal = self._refusal(error)
        if refusal is None:
            return False
        if refusal.category == "missing":
            raise await self._model_missing(client, refusal) from error
        if self._may_fold and not self._folded and system_refused(refusal, sent.messages):
            self._folded = True
            return True
        return False

    def _messages(self, prompt: Prompt) -> tuple[tuple[Message, ...], dict[str, int]]:
        """The prompt as messages that the server accepts, and the number of changes in them by kind: see
        `Sent.flags`."""
        messages, defused = defuse_control_tokens(render(prompt)) if self._defuses else (render(prompt), 0)
        flags = {"control_tokens_defused": defused} if defused else {}
        return fold_system(messages) if self._folded else merge_neighbours(messages), flags

    def _sent(self, prompt: Prompt) -> Sent:
        messages, flags = self._messages(prompt)
        room = (prompt.max_output_tokens or self.max_output_tokens) + self._thinking_room
        return Sent(prompt=prompt, messages=messages, room=room, flags=flags)

    async def _lay_out(self, client: C, prompt: Prompt) -> Sent:
        """The prompt as it is sent. A subclass that needs facts about this prompt asks the server for them here."""
        return self._sent(prompt)

    def _holds_back(self, sent: Sent) -> bool:
        """Whether the answer is held back until its end, because only then it is certain that the soul was not cut."""
        return self._reading is not None and self._reading.holds_back(sent.messages, sent.room)

    async def _check_read(self, client: C, sent: Sent, answer: Answer) -> None:
        """Raise PersonaTruncatedError if the server read less than the whole prompt."""
        if self._reading is not None:
            await self._reading.ends(client, sent.messages, answer.usage, room=sent.room, failures=self._failures())

    async def _model_missing(self, client: C, refusal: Refusal | None = None) -> BrainError:
        self._ready = False  # the server may have been restarted with another model
        available: list[str] = []
        with contextlib.suppress(Exception):  # without a list of models the error is raised all the same
            with anyio.fail_after(LISTING_SECONDS):
                available = await self._models(client)
        return self._missing(available, f": {self._failures().quoted(refusal.message)}" if refusal else "")

    def _missing(self, available: list[str], detail: str = "") -> BrainError:
        """The error for a model that the server lacks. `available` are the models that it has; `detail` is added to the
        message."""
        return self._failures().model_missing(detail, available=available)

    def _get(self, path: str) -> Any:
        """The JSON of the server's response to a GET request for `path`, with a timeout of two seconds.

        Raises BrainError if the server does not answer or refuses the key, httpx2.HTTPStatusError for another error
        status, and ValueError for a response that is not JSON.
        """
        import httpx2

        try:
            return get_json(f"{self._url}{path}", timeout=_CHECK_SECONDS, key=self._key())
        except httpx2.HTTPStatusError as error:
            if error.response.status_code not in (401, 403):
                raise
            raise self._failures().refused(Refusal(status=error.response.status_code, message="")) from error
        except httpx2.HTTPError as error:
            raise self._failures().unreachable(error) from error

    def _key(self) -> str | None:
        key = key_from(*self._key_variables)
        if key is None and self._key_needed:
            raise self._failures().no_key()
        return key

    def _client(self) -> C:
        return self._connect(self._key())

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
            else f"Name the environment variable that contains its key: {table}.",
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
