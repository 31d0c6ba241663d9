"""What a server says instead of an answer, read.

Its own word for what is wrong (`error.type`) counts more than the status: an overload may come after a 200.
"""

from __future__ import annotations

import email.utils
import math
import re
import time
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

__all__ = ["Refusal", "counts", "retry_after"]

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
_READ = 2_000  # characters of a server's message: more are none
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


def counts(refusal: Refusal) -> tuple[int | None, int | None]:
    """The tokens of the prompt and of the window, where the server tells them."""
    prompt, limit = refusal.facts.get("n_prompt_tokens"), refusal.facts.get("n_ctx")
    if isinstance(prompt, int) and isinstance(limit, int):
        return prompt, limit
    for pattern in _COUNTS:
        if found := pattern.search(refusal.message[:_READ]):
            named = found.groupdict()
            return int(named.get("prompt") or found[1]), int(named.get("limit") or found[2])
    return None, None
