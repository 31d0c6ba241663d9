"""What goes wrong between here and a server, said as the errors of the house.

A server's own word for what is wrong (`error.type`) counts more than the status: an overload may come after a 200.
"""

from __future__ import annotations

import email.utils
import math
import re
import time
from collections.abc import AsyncGenerator, Callable, Mapping
from contextlib import aclosing
from dataclasses import dataclass, field
from typing import Any

from cervella.brains.http_clients import key_from, shown_url
from cervella.errors import (
    BrainAuthError,
    BrainError,
    BrainRateLimitError,
    BrainResponseError,
    BrainTimeoutError,
    BrainUnavailableError,
    PromptTooLongError,
    StreamInterruptedError,
)
from cervella.types import BrainEvent, TextDelta

__all__ = ["HttpFailures", "Refusal", "retry_after", "translated", "without_key"]

_SAID_AT_MOST = 500
_TOO_LONG = re.compile(
    r"prompt (?:is )?too long|too many (?:input )?tokens|context[ _](?:length|size|window|limit)|input length"
    r"|maximum (?:model|context) length|max_new_tokens`? must be",
    re.IGNORECASE,
)
_COUNTS = (  # prompt, limit
    re.compile(r"(\d+) tokens? > (\d+)"),
    re.compile(r"(\d+) \+ \d+ > (\d+)"),
    re.compile(r"\((\d+) tokens\) exceeds .*?\((\d+) tokens\)"),
    re.compile(r"\(?length (\d+)\)? is longer than .*? (\d+)"),
    re.compile(
        r"maximum context length (?:is|of) (?P<limit>\d+) tokens.*?(?P<prompt>\d+) (?:in the messages|input tokens)"
    ),
)
_KINDS = {
    "authentication_error": "auth",
    "permission_error": "auth",
    "permission_denied_error": "auth",
    "invalid_api_key": "auth",
    "billing_error": "billing",
    "insufficient_quota": "billing",
    "rate_limit_error": "rate",
    "rate_limit_exceeded": "rate",
    "overloaded_error": "unavailable",
    "api_error": "unavailable",
    "server_error": "unavailable",
    "internal_server_error": "unavailable",
    "internalservererror": "unavailable",
    "service_unavailable": "unavailable",
    "unavailable_error": "unavailable",
    "timeout_error": "timeout",
    "not_found_error": "missing",
    "notfounderror": "missing",
    "model_not_found": "missing",
    "exceed_context_size_error": "too_long",
    "context_length_exceeded": "too_long",
    "request_too_large": "too_long",
    "invalid_request_error": "response",
    "badrequesterror": "response",
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Refusal:
    """What a server said instead of an answer."""

    status: int
    """Of HTTP; 200 where it came inside a stream."""
    message: str
    kind: str = ""
    """`error.type` or `error.code`, the server's own word."""
    headers: Mapping[str, str] = field(default_factory=dict)
    facts: Mapping[str, Any] = field(default_factory=dict)
    """The error object."""

    @property
    def sort(self) -> str:
        """Which of the errors of the house it is."""
        for word in (self.kind, str(self.facts.get("code", "")), str(self.facts.get("type", ""))):
            if (sort := _KINDS.get(word.lower())) and sort != "response":
                return sort
        if _TOO_LONG.search(self.message) and self.status in (200, 400, 413, 422, 500):
            return "too_long"
        status, code = self.status, self.facts.get("code")
        if status == 200 and isinstance(code, int) and code >= 400:
            status = code
        return {
            401: "auth",
            403: "auth",
            402: "billing",
            404: "missing",
            408: "timeout",
            413: "too_long",
            429: "rate",
        }.get(status, "unavailable" if status >= 500 else "redirect" if 300 <= status < 400 else "response")


def retry_after(headers: Mapping[str, str], *, now: float | None = None) -> float | None:
    """Seconds to wait as a server says, 0 or more; None where it says nothing that can be read.

    Understands `retry-after-ms`, and `retry-after` in seconds or as a date.

    >>> retry_after({"retry-after": "2.5"}), retry_after({"retry-after-ms": "40"}), retry_after({"retry-after": "soon"})
    (2.5, 0.04, None)
    """
    milliseconds = _number(headers.get("retry-after-ms"))
    if milliseconds is not None:
        return max(0.0, milliseconds / 1000)
    said = headers.get("retry-after", "")
    seconds = _number(said)
    if seconds is not None:
        return max(0.0, seconds)
    try:
        date = email.utils.parsedate_to_datetime(said)
        return max(0.0, date.timestamp() - (time.time() if now is None else now))
    except (TypeError, ValueError, OverflowError):
        return None


def _number(text: str | None) -> float | None:
    try:
        number = float(text or "")
    except ValueError:
        return None
    return number if math.isfinite(number) else None


@dataclass(frozen=True, slots=True, kw_only=True)
class HttpFailures:
    """Makes the errors of one brain."""

    brain: str
    model: str
    url: str
    start: str
    """How its server is started, or what else to do where it does not answer: a sentence."""
    key_cure: str
    """What to do where the key is missing or refused: a sentence."""

    def refused(self, refusal: Refusal) -> BrainError:
        """What an answer says that is none."""
        said = f": {' '.join(refusal.message.split())[:_SAID_AT_MOST]}" if refusal.message.strip() else ""
        wait = retry_after(refusal.headers)
        match refusal.sort:
            case "auth":
                return BrainAuthError(f"The brain {self.brain!r} was refused{said}.", remedy=self.key_cure, **self._who)
            case "billing":
                return BrainError(
                    f"The brain {self.brain!r} was refused for want of credit{said}.",
                    remedy="Add credit to the account, or ask another brain.",
                    code="brain_billing",
                    **self._who,
                )
            case "rate":
                return BrainRateLimitError(
                    f"The brain {self.brain!r} is asked too much{said}.",
                    retry_after=wait,
                    remedy="Ask again later, ask less at once, or ask another brain.",
                    **self._who,
                )
            case "unavailable":
                return BrainUnavailableError(
                    f"The brain {self.brain!r} can't answer now (status {refusal.status}){said}.",
                    retry_after=wait,
                    remedy="Ask again later, or ask another brain.",
                    **self._who,
                )
            case "timeout":
                return BrainTimeoutError(
                    f"The brain {self.brain!r} gave up in time{said}.",
                    remedy="Ask again, or ask a shorter question.",
                    **self._who,
                )
            case "too_long":
                prompt, limit = _counts(refusal)
                return PromptTooLongError(
                    f"The prompt is too long for {self.brain!r}{said}.",
                    prompt_tokens=prompt,
                    limit_tokens=limit,
                    remedy=f"Set context_tokens in [brains.{self.brain}] to what its server really has, shorten the "
                    "question or the Constitution, or ask another brain.",
                    **self._who,
                )
            case "missing":
                return self.model_missing(said)
            case "redirect":
                return self.broken(
                    f"is not at {shown_url(self.url)}: the server there answers with a redirect",
                    remedy=f"Set url in [brains.{self.brain}] to where it leads, if you trust that place.",
                )
            case _:
                return self.broken(f"refused the question (status {refusal.status}){said}")

    def model_missing(self, said: str = "", *, there: list[str] | None = None, cure: str | None = None) -> BrainError:
        """The model, or the whole address, is not there. `there` are the models that are."""
        named = f" It has: {', '.join(there[:20])}." if there else ""
        return BrainResponseError(
            f"The brain {self.brain!r} finds no model {self.model!r} at {shown_url(self.url)}{said}.{named}",
            remedy=cure or f"Set model in [brains.{self.brain}] to one that is there, or check its url.",
            code="model_missing",
            **self._who,
        )

    def unreachable(self, error: BaseException) -> BrainUnavailableError:
        """Nobody answers, or the connection broke."""
        said = f" ({type(error).__name__})" if type(error).__name__ not in ("ConnectError", "ConnectionError") else ""
        return BrainUnavailableError(
            f"The brain {self.brain!r} does not answer at {shown_url(self.url)}{said}.", remedy=self.start, **self._who
        )

    def broken_off(self, error: BaseException) -> BrainUnavailableError:
        """The connection broke while the answer came."""
        return BrainUnavailableError(
            f"The connection to {self.brain!r} broke: {type(error).__name__}.",
            remedy="Ask again; if it stays so, look at the server's log.",
            **self._who,
        )

    def silent(self) -> BrainTimeoutError:
        return BrainTimeoutError(
            f"The brain {self.brain!r} could not be reached in time at {shown_url(self.url)}.",
            remedy=f"{self.start} Or raise connect_timeout in [brains.{self.brain}].",
            **self._who,
        )

    def broken(self, what: str, *, remedy: str | None = None, code: str | None = None) -> BrainResponseError:
        return BrainResponseError(
            f"The brain {self.brain!r} {what}.",
            remedy=remedy or "Ask again; if it stays so, look at the server's log, or ask another brain.",
            code=code,
            **self._who,
        )

    def unfinished_thought(self) -> BrainResponseError:
        return self.broken(
            "used up its room thinking, and answered nothing",
            remedy=f"Raise thinking_tokens or max_output_tokens in [brains.{self.brain}], or let it think less.",
            code="thinking_unfinished",
        )

    def no_key(self) -> BrainAuthError:
        return BrainAuthError(f"The brain {self.brain!r} has no key.", remedy=self.key_cure, **self._who)

    @property
    def _who(self) -> dict[str, Any]:
        return {"brain": self.brain, "model": self.model}


def _counts(refusal: Refusal) -> tuple[int | None, int | None]:
    """The tokens of the prompt and of the window, where the server tells them."""
    prompt, limit = refusal.facts.get("n_prompt_tokens"), refusal.facts.get("n_ctx")
    if isinstance(prompt, int) and isinstance(limit, int):
        return prompt, limit
    for pattern in _COUNTS:
        if found := pattern.search(refusal.message):
            named = found.groupdict()
            return int(named.get("prompt") or found[1]), int(named.get("limit") or found[2])
    return None, None


def without_key(failure: BrainError, error: Exception, *variables: str | None) -> BrainError:
    """The failure with its cause, and without the keys in these environment variables, which a server may repeat.

    Then the cause, which repeats them too, is not shown.
    """
    repeated = False
    for key in filter(None, map(key_from, variables)):
        if key in failure.message or key in str(error):
            failure.message, repeated = failure.message.replace(key, "…"), True
    failure.args = (failure.message,)
    if failure is not error:
        failure.__cause__ = None if repeated else error
        failure.__suppress_context__ = True
    return failure


async def translated(
    events: AsyncGenerator[BrainEvent, None], failure_of: Callable[[Exception], BrainError], *variables: str | None
) -> AsyncGenerator[BrainEvent, None]:
    """The events, and what breaks them as errors of the house: after the first text, StreamInterruptedError.

    The keys in these environment variables appear in none of them.
    """
    texts: list[str] = []
    try:
        async with aclosing(events):
            async for event in events:
                if isinstance(event, TextDelta):
                    texts.append(event.text)
                yield event
    except Exception as error:
        failure = without_key(failure_of(error), error, *variables)
        if texts and not isinstance(failure, StreamInterruptedError):
            raise StreamInterruptedError(
                f"The answer broke off: {failure.message}",
                partial="".join(texts),
                brain=failure.brain,
                model=failure.model,
                remedy="Ask again: part of the answer was shown already, so nothing is replayed on its own.",
            ) from failure
        raise failure from failure.__cause__
