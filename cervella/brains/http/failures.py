"""Failures between this program and a server, translated into `BrainError`."""

from __future__ import annotations

import functools
from collections.abc import AsyncGenerator, Awaitable, Callable, Coroutine
from dataclasses import dataclass, field
from typing import Any, Concatenate, ParamSpec, Protocol, TypeVar

from cervella.brains.http.clients import shown_url
from cervella.brains.http.refusals import Refusal, counts, retry_after
from cervella.errors import (
    BrainAuthError,
    BrainError,
    BrainNotInstalledError,
    BrainRateLimitError,
    BrainResponseError,
    BrainTimeoutError,
    BrainUnavailableError,
    PersonaTruncatedError,
    PromptTooLongError,
    StreamInterruptedError,
)
from cervella.privacy.causes import keyless, known_keys, mask_keys
from cervella.types import BrainEvent, TextDelta


class _Translating(Protocol):
    def _failure_of(self, error: Exception) -> BrainError:
        """A BrainError for any error, without keys."""
        ...


B = TypeVar("B", bound=_Translating)
E = TypeVar("E", bound=BrainError)
P = ParamSpec("P")
R = TypeVar("R")

_SAID_AT_MOST, _NAME_AT_MOST = 500, 200


@dataclass(frozen=True, slots=True, kw_only=True)
class HttpFailures:
    """Makes the errors of one brain."""

    brain: str
    model: str
    url: str = field(repr=False)
    """It may hold a password."""
    start: str
    """How its server is started, or what else to do where it does not answer: a sentence."""
    key_cure: str
    """What to do where the key is missing or refused: a sentence."""
    key_variables: tuple[str | None, ...] = ()
    """The environment variables that its key may stand in."""
    extra: str | None = None
    """The extra that brings the packages it needs."""

    def keyless(self, failure: BrainError, error: BaseException | None = None) -> BrainError:
        """The failure, with `error` as its cause, and no key in either. See `cervella.privacy.causes`.

        The frames that it came through are left out: their locals hold what the server said.
        """
        if failure is not error and failure.__cause__ is None:
            failure.__cause__ = error
        return keyless(failure, known_keys(*self.key_variables, url=self.url)).with_traceback(None)

    def of(self, error: Exception) -> BrainError:
        """A client's error as one of ours; a BrainError as it is.

        Clients' errors are known by name: httpx and httpx2 share the names of theirs, and so do the clients of
        Anthropic and OpenAI; none of them is imported for it.
        """
        if isinstance(error, BrainError):
            return error
        if isinstance(error, ImportError):
            wanted = f"'cervella[{self.extra}]'" if self.extra else error.name
            what, cure = f"needs a package that is not installed: {error}", f"Install it: `pip install {wanted}`."
            return self._error(BrainNotInstalledError, what, cure, extra=self.extra)
        names = {kind.__name__ for kind in type(error).__mro__}
        if names & {"TimeoutException", "APITimeoutError"}:
            return self.silent()
        if "APIConnectionError" in names:
            return self.unreachable(error.__cause__ or error)
        if names & {"ConnectionError", "ConnectError"}:
            return self.unreachable(error)
        if "HTTPError" in names:
            return self.broken_off(error)
        return self.broken(f"answered what can't be read ({type(error).__name__})")

    def said(self, text: object) -> str:
        """What a server said, for a message: on one line, without keys, and no longer than is read."""
        keys = known_keys(*self.key_variables, url=self.url)
        return " ".join(mask_keys(str(text), keys, parts=True).split())[:_SAID_AT_MOST]

    def refused(self, refusal: Refusal) -> BrainError:
        """The error for what a server said instead of an answer."""
        said = f": {self.said(refusal.message)}" if refusal.message.strip() else ""
        wait = {"retry_after": retry_after(refusal.headers)}
        later = "Ask again later, or ask another brain."
        table = f"[brains.{self.brain}]"
        match refusal.sort:
            case "auth":
                return self._error(BrainAuthError, f"was refused{said}", self.key_cure)
            case "billing":
                cure = "Add credit to the account, or ask another brain."
                return self._error(BrainError, f"was refused for want of credit{said}", cure, code="brain_billing")
            case "rate":
                cure = "Ask again later, ask less at once, or ask another brain."
                return self._error(BrainRateLimitError, f"is asked too much{said}", cure, **wait)
            case "unavailable":
                what = f"can't answer now (status {refusal.status}){said}"
                return self._error(BrainUnavailableError, what, later, **wait)
            case "timeout":
                cure = "Ask again, or ask a shorter question."
                return self._error(BrainTimeoutError, f"gave up in time{said}", cure)
            case "too_long":
                prompt, limit = counts(refusal)
                cure = f"Set context_tokens in {table} to what its server really has, shorten the question or the "
                cure += "Constitution, or ask another brain."
                what, facts = f"finds the prompt too long{said}", {"prompt_tokens": prompt, "limit_tokens": limit}
                return self._error(PromptTooLongError, what, cure, **facts)
            case "missing":
                return self.model_missing(said)
            case "redirect":
                cure = f"Set url in {table} to where it leads, if you trust that place."
                return self.broken(f"is not at {shown_url(self.url)}: the server there answers with a redirect", cure)
            case "request":
                cure = f"Change the question, or the options in {table} that it names; other questions may be "
                cure += "answered as before."
                what = f"does not take this question (status {refusal.status}){said}"
                return self.broken(what, cure, code="bad_request")
            case _:
                return self.broken(f"refused the question (status {refusal.status}){said}")

    def model_missing(self, said: str = "", *, there: list[str] | None = None, cure: str | None = None) -> BrainError:
        """The model, or the whole address, is not there. `there` are the models that are."""
        named = f". It has: {', '.join(self.said(name)[:_NAME_AT_MOST] for name in there[:20])}" if there else ""
        cure = cure or f"Set model in [brains.{self.brain}] to one that is there, or check its url."
        what = f"finds no model {self.model!r} at {shown_url(self.url)}{said}{named}"
        return self.broken(what, cure, code="model_missing")

    def cut(self, prompt_tokens: int, seen_tokens: int, *, remedy: str | None = None) -> PersonaTruncatedError:
        """The server read less than the whole prompt."""
        cure = f"Let the server give a larger window, or set context_tokens in [brains.{self.brain}] to the one that "
        cure += "it gives, so that passages are left out instead."
        what = f"read {seen_tokens} tokens of a prompt of about {prompt_tokens}: the soul was cut"
        facts = {"prompt_tokens": prompt_tokens, "seen_tokens": seen_tokens}
        return self._error(PersonaTruncatedError, what, remedy or cure, **facts)

    def unreachable(self, error: BaseException) -> BrainUnavailableError:
        """Nothing answers, or the connection broke."""
        said = f" ({type(error).__name__})" if type(error).__name__ not in ("ConnectError", "ConnectionError") else ""
        return self._error(BrainUnavailableError, f"does not answer at {shown_url(self.url)}{said}", self.start)

    def broken_off(self, error: BaseException) -> BrainUnavailableError:
        """The connection broke while the answer came."""
        what = f"lost its connection while it answered: {type(error).__name__}"
        return self._error(BrainUnavailableError, what, "Ask again; if it stays so, look at the server's log.")

    def silent(self) -> BrainTimeoutError:
        """No connection came about in time."""
        cure = f"{self.start} Or raise connect_timeout in [brains.{self.brain}]."
        return self._error(BrainTimeoutError, f"could not be reached in time at {shown_url(self.url)}", cure)

    def broken(self, what: str, remedy: str | None = None, *, code: str | None = None) -> BrainResponseError:
        """The server answered something that is no answer."""
        cure = remedy or "Ask again; if it stays so, look at the server's log, or ask another brain."
        return self._error(BrainResponseError, what, cure, code=code)

    def moved(self) -> BrainResponseError:
        """It turned out, after the prompt was made for a local brain, that the model runs elsewhere."""
        return self.broken("runs its model elsewhere, and was about to be shown what is local only")

    def unended(self, text: str) -> BrainResponseError:
        """The stream ended before the answer did; where no text had come, that is an empty answer."""
        return self.broken("ended its answer without a reason", code=None if text.strip() else "empty_answer")

    def unfinished_thought(self) -> BrainResponseError:
        """All the room went into thoughts."""
        cure = f"Raise thinking_tokens or max_output_tokens in [brains.{self.brain}], or let it think less."
        return self.broken("used up its room thinking, and answered nothing", cure, code="thinking_unfinished")

    def no_key(self) -> BrainAuthError:
        """The variable that should hold the key is not set."""
        return self._error(BrainAuthError, "has no key", self.key_cure)

    def _error(self, kind: type[E], what: str, remedy: str, **facts: Any) -> E:
        return kind(f"The brain {self.brain!r} {what}.", remedy=remedy, brain=self.brain, model=self.model, **facts)


class Translated:
    """The events of a brain; whatever breaks them becomes a BrainError, after the first text StreamInterruptedError.

    `failure_of` makes the errors, without keys. It is no generator around a generator: a loop that ends closes all
    generators at once, and the outer one would find the inner one busy.
    """

    def __init__(self, events: AsyncGenerator[BrainEvent, None], failure_of: Callable[[Exception], BrainError]) -> None:
        self._events = events
        self._failure_of = failure_of
        self._texts: list[str] = []

    def __aiter__(self) -> Translated:
        return self

    async def __anext__(self) -> BrainEvent:
        try:
            event = await anext(self._events)
            if isinstance(event, TextDelta):
                self._texts.append(event.text)
            return event
        except StopAsyncIteration:
            raise
        except Exception as error:
            failure = self._failure_of(error)
        # Raised out here: within the handler the vendor's error would be its context.
        raise StreamInterruptedError.after("".join(self._texts), failure)

    async def aclose(self) -> None:
        """Stop the engine."""
        await self._events.aclose()


def checked(check: Callable[[B], None]) -> Callable[[B], None]:
    """A brain's `check` whose errors hold no key."""

    @functools.wraps(check)
    def wrapped(self: B) -> None:
        try:
            return check(self)
        except Exception as error:
            failure = self._failure_of(error)
        raise failure  # out here: see `Translated`

    return wrapped


def checked_async(
    method: Callable[Concatenate[B, P], Awaitable[R]],
) -> Callable[Concatenate[B, P], Coroutine[Any, Any, R]]:
    """An async method of a brain whose errors hold no key."""

    @functools.wraps(method)
    async def wrapped(self: B, /, *args: P.args, **options: P.kwargs) -> R:
        try:
            return await method(self, *args, **options)
        except Exception as error:
            failure = self._failure_of(error)
        raise failure

    return wrapped
