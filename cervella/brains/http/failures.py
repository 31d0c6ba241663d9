"""Translates the failures of a server, and of the connection to it, into `BrainError`."""

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

_QUOTED_AT_MOST, _NAME_AT_MOST = 500, 200
"""Maximum characters that an error message quotes: of a server's message, and of a model's name."""


@dataclass(frozen=True, slots=True, kw_only=True)
class HttpFailures:
    """Creates the errors of one brain."""

    brain: str
    model: str
    url: str = field(repr=False)
    """The server's address, which may contain a password."""
    start: str
    """The advice in the error for a server that does not answer: a sentence that says how to start it."""
    key_cure: str
    """The advice in the error for a key that is missing or refused: a sentence that says how to set it."""
    key_variables: tuple[str, ...] = ()
    """The environment variables that may contain the brain's key."""
    extra: str | None = None
    """The extra in `pip install cervella[EXTRA]` that installs the packages that the brain needs."""

    def keyless(self, failure: BrainError, error: BaseException | None = None) -> BrainError:
        """The failure with `error` as its cause. All keys are removed from both; see `cervella.privacy.causes`.

        The traceback is removed too: the local variables in its frames contain the server's response.
        """
        if failure is not error and failure.__cause__ is None:
            failure.__cause__ = error
        return keyless(failure, known_keys(*self.key_variables, url=self.url)).with_traceback(None)

    def of(self, error: Exception) -> BrainError:
        """The BrainError for an exception of a client. A BrainError is returned unchanged.

        The exception's class is recognised by its name, so that no client is imported: httpx and httpx2 use the same
        names, and so do the clients of Anthropic and OpenAI.
        """
        if isinstance(error, BrainError):
            return error
        if isinstance(error, ImportError):
            package = f"'cervella[{self.extra}]'" if self.extra else error.name
            what, cure = f"needs a package that is not installed: {error}", f"Install it: `pip install {package}`."
            return self._error(BrainNotInstalledError, what, cure, extra=self.extra)
        names = {kind.__name__ for kind in type(error).__mro__}
        if names & {"TimeoutException", "APITimeoutError"}:
            return self.timed_out()
        if "APIConnectionError" in names:
            return self.unreachable(error.__cause__ or error)
        if names & {"ConnectionError", "ConnectError"}:
            return self.unreachable(error)
        if "HTTPError" in names:
            what = f"lost its connection while it answered: {type(error).__name__}"
            return self._error(BrainUnavailableError, what, "Ask again; if it happens again, read the server's log.")
        return self.broken(f"sent a response that can't be read ({type(error).__name__})")

    def quoted(self, text: object) -> str:
        """A server's text for an error message: on one line, without keys, at most 500 characters."""
        keys = known_keys(*self.key_variables, url=self.url)
        return " ".join(mask_keys(str(text), keys, parts=True).split())[:_QUOTED_AT_MOST]

    def refused(self, refusal: Refusal) -> BrainError:
        """The BrainError for the server's error response, by its category."""
        detail = f": {self.quoted(refusal.message)}" if refusal.message.strip() else ""
        wait = {"retry_after": retry_after(refusal.headers)}
        later = "Ask again later, or ask another brain."
        table = f"[brains.{self.brain}]"
        match refusal.category:
            case "auth":
                return self._error(BrainAuthError, f"was refused{detail}", self.key_cure)
            case "billing":
                cure = "Add credit to the account, or ask another brain."
                return self._error(
                    BrainError, f"was refused because the account has no credit{detail}", cure, code="brain_billing"
                )
            case "rate":
                cure = "Ask again later, send fewer questions at once, or ask another brain."
                return self._error(BrainRateLimitError, f"gets too many requests{detail}", cure, **wait)
            case "unavailable":
                what = f"can't answer now (status {refusal.status}){detail}"
                return self._error(BrainUnavailableError, what, later, **wait)
            case "timeout":
                cure = "Ask again, or ask a shorter question."
                return self._error(BrainTimeoutError, f"stopped at a time limit of its server{detail}", cure)
            case "too_long":
                prompt, limit = counts(refusal)
                cure = f"Set context_tokens in {table} to the window of its server, shorten the question or the "
                cure += "Constitution, or ask another brain."
                facts = {"prompt_tokens": prompt, "limit_tokens": limit}
                return self._error(PromptTooLongError, f"refused the prompt as too long{detail}", cure, **facts)
            case "missing":
                return self.model_missing(detail)
            case "redirect":
                cure = f"Set url in {table} to the address in its redirect, if you trust that server."
                return self.broken(
                    f"was not found at {shown_url(self.url)}: the server there answers with a redirect", cure
                )
            case "request":
                cure = f"Change the question, or the options in {table} that the server names; other "
                cure += "questions may still be answered."
                what = f"refused this question (status {refusal.status}){detail}"
                return self.broken(what, cure, code="bad_request")
            case _:
                return self.broken(f"refused the question (status {refusal.status}){detail}")

    def model_missing(
        self, detail: str = "", *, available: list[str] | None = None, cure: str | None = None
    ) -> BrainError:
        """The error for a model that the server does not have.

        `available` are the models that it has, and `detail` is added to the message. `cure` is the advice; by default
        it says where to set another model.
        """
        names = ", ".join(self.quoted(name)[:_NAME_AT_MOST] for name in (available or ())[:20])
        names = f". It has: {names}" if names else ""
        cure = cure or f"Set model in [brains.{self.brain}] to a model of its server, or check its url."
        what = f"finds no model {self.model!r} at {shown_url(self.url)}{detail}{names}"
        return self.broken(what, cure, code="model_missing")

    def cut(self, prompt_tokens: int, seen_tokens: int, *, remedy: str | None = None) -> PersonaTruncatedError:
        """The error for a server that read only `seen_tokens` of the prompt's `prompt_tokens`.

        `remedy` is the advice; by default it is to enlarge the server's window, or to configure its true size.
        """
        cure = f"Configure a larger window on the server, or set context_tokens in [brains.{self.brain}] to its "
        cure += "window, so that passages are left out instead."
        what = f"read {seen_tokens} tokens of a prompt of about {prompt_tokens}: the soul was cut"
        facts = {"prompt_tokens": prompt_tokens, "seen_tokens": seen_tokens}
        return self._error(PersonaTruncatedError, what, remedy or cure, **facts)

    def unreachable(self, error: BaseException) -> BrainUnavailableError:
        """The error for a server that does not answer. `error` is the failure of the connection."""
        detail = f" ({type(error).__name__})" if type(error).__name__ not in ("ConnectError", "ConnectionError") else ""
        return self._error(BrainUnavailableError, f"does not answer at {shown_url(self.url)}{detail}", self.start)

    def timed_out(self) -> BrainTimeoutError:
        """The error for a server to which no connection was made within `connect_timeout`."""
        cure = f"{self.start} Or raise connect_timeout in [brains.{self.brain}]."
        return self._error(BrainTimeoutError, f"could not be reached in time at {shown_url(self.url)}", cure)

    def broken(self, what: str, remedy: str | None = None, *, code: str | None = None) -> BrainResponseError:
        """The error for a response that is no answer.

        `what` is the predicate of the message, such as "answered nothing": the subject is the brain. `remedy` is the
        advice; by default it is to ask again.
        """
        cure = remedy or "Ask again; if it happens again, read the server's log, or ask another brain."
        return self._error(BrainResponseError, what, cure, code=code)

    def unended(self, text: str) -> BrainResponseError:
        """The error for a stream that ended after `text`, although the server had not reported a reason for the end."""
        return self.broken("ended its answer without a reason", code=None if text.strip() else "empty_answer")

    def no_key(self) -> BrainAuthError:
        """The error for a key whose environment variable is not set."""
        return self._error(BrainAuthError, "has no key", self.key_cure)

    def _error(self, kind: type[E], what: str, remedy: str, **facts: Any) -> E:
        return kind(f"The brain {self.brain!r} {what}.", remedy=remedy, brain=self.brain, model=self.model, **facts)


class Translated:
    """Passes on the events of a brain, and translates its exceptions.

    An exception becomes a BrainError before the first text, and a StreamInterruptedError after it. `failure_of` creates
    the BrainError, without keys. This class is no async generator, because an event loop that ends closes all
    generators at the same time: an outer generator could not close the inner one then.
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
        # Raised outside the handler: inside it, Python would attach the vendor's error, with its keys, as the context.
        raise StreamInterruptedError.after("".join(self._texts), failure)

    async def aclose(self) -> None:
        """Stop the engine."""
        await self._events.aclose()


def checked(check: Callable[[B], None]) -> Callable[[B], None]:
    """Decorates a brain's `check`: its errors become a BrainError without keys."""

    @functools.wraps(check)
    def wrapped(self: B) -> None:
        try:
            return check(self)
        except Exception as error:
            failure = self._failure_of(error)
        raise failure  # outside the handler: see `Translated`

    return wrapped


def checked_async(
    method: Callable[Concatenate[B, P], Awaitable[R]],
) -> Callable[Concatenate[B, P], Coroutine[Any, Any, R]]:
    """Decorates an async method of a brain: its errors become a BrainError without keys."""

    @functools.wraps(method)
    async def wrapped(self: B, /, *args: P.args, **options: P.kwargs) -> R:
        try:
            return await method(self, *args, **options)
        except Exception as error:
            failure = self._failure_of(error)
        raise failure

    return wrapped
