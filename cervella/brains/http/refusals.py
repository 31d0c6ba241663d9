"""Classifies the error responses of servers.

The server's own error type (`error.type`) counts more than the HTTP status: an error inside a stream, such as an
overload, comes after the status 200.
"""

from __future__ import annotations

import ast
import contextlib
import email.utils
import functools
import json
import math
import re
import time
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

from cervella.process.files import read_packaged

_TOO_LONG = re.compile(
    r"prompt (?:is )?too long|too many (?:input )?tokens|context[ _](?:length|size|window|limit)|input length"
    r"|maximum (?:model|context) length|max_new_tokens`? must be|(?:input|prompt) tokens? .{0,40}exceeds?",
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
_FEW_WORDS = r"(?:\S*[^\s.;!?] ){0,5}?"
_MODEL = "".join(f"(?<!{word} )(?<!{word} the )(?<!{word} this )" for word in ("for", "with", "of", "by"))
_MODEL += r"\b(?:model|deployment|adapter|engine)"
_READ_AT_MOST, _WORDS_AT_MOST = 4_000, 400
"""Characters of an error message that are read, and that are searched after quotations were removed."""
_QUOTED = re.compile(
    r"\"([^\"\n]{0,2000})\"|`([^`\n]{0,2000})`|«([^»]{0,2000})»|“([^”]{0,2000})”|(?<!\w)'([^'\n]{0,2000})'(?!\w)"
)
_NAME = re.compile(r"\W?\S{0,60}\W?")
"""Matches a quotation without blanks: it is the name of a model or parameter, and no part of the prompt."""
_ECHO = re.compile(
    r"input_value\s*=|\binput['\"]?\s*[:=]|\b(?:prompt|content|text|value|received|got|body|near|question|quoted?)"
    r"\b[^:=\n]{0,30}[:=](?!//)",
    re.IGNORECASE,
)
"""Finds words such as `input:`, after which a server's message may repeat the prompt."""
_NEARER = (("rate", 413), ("unavailable", 429))
"""Pairs of the category of an error type and an HTTP status: for these, the status says more exactly what happened."""


@dataclass(frozen=True, slots=True, kw_only=True)
class _Rules:
    """The rules of refusals.toml, with compiled patterns."""

    typed: Mapping[str, str]
    typed_like: tuple[tuple[str, re.Pattern[str]], ...]
    words: tuple[tuple[str, re.Pattern[str]], ...]
    lead: re.Pattern[str]
    by_status: Mapping[int, str]
    overrules: Mapping[str, tuple[str, ...]]
    """For each category that follows from a status: the categories that replace it if the words of the message belong
    to one of them."""


@functools.cache
def _rules() -> _Rules:
    rules = read_packaged("cervella.brains.http", "refusals.toml")
    return _Rules(
        typed={word: category for category, words in rules["typed"].items() for word in words},
        typed_like=tuple((category, _any_of(patterns)) for category, patterns in rules["typed_like"].items()),
        words=tuple((category, _any_of(patterns)) for category, patterns in rules["words"].items()),
        lead=_any_of([rf"^\W{{0,3}}(litellm\.\w+: )?({pattern})" for pattern in rules["lead"]["request"]]),
        by_status={status: category for category, statuses in rules["status"].items() for status in statuses},
        overrules={category: tuple(words) for category, words in rules["overrules"].items()},
    )


def _any_of(patterns: Iterable[str]) -> re.Pattern[str]:
    expanded = (pattern.replace("~", _FEW_WORDS).replace("@", _MODEL) for pattern in patterns)
    return re.compile("|".join(f"(?:{pattern})" for pattern in expanded), re.IGNORECASE)


@dataclass(frozen=True, slots=True, kw_only=True)
class Refusal:
    """The error response of a server."""

    status: int
    """HTTP status; 200 for an error inside a stream."""
    message: str
    kind: str = ""
    """`error.type` or `error.code` of the response."""
    headers: Mapping[str, str] = field(default_factory=dict)
    facts: Mapping[str, Any] = field(default_factory=dict)
    """The error object of the response."""

    @property
    def category(self) -> str:
        """The category of the error, such as `auth` or `too_long`; `HttpFailures.refused` has an error for each.

        The rules are in refusals.toml. `request` is an error in this prompt or its parameters: another question may be
        answered. Typed fields, such as `error.type`, count before the message. Text that the message may have repeated
        from the prompt does not count.
        """
        typed = _typed(self._typed_words)
        if typed in ("", "generic", "unavailable") and (inner := _inner(self.message, self.facts)):
            category = Refusal(status=self.status, message=str(inner["message"]), facts=inner).category
            if category not in ("response", "unavailable"):
                return category
        words, by_status = _own_words(self.message, self.facts), self._by_status
        if _TOO_LONG.search(words) and self.status in (200, 400, 413, 422, 429, 500):
            return "too_long"
        worded = next((category for category, pattern in _rules().words if pattern.search(words)), "")
        if typed not in ("", "generic", "request"):
            if typed == "unavailable" and worded == "request":
                return worded  # a server that fails because of the contents of this prompt
            return by_status if (typed, self.status) in _NEARER else typed
        if self.status in (401, 402):
            return by_status
        if (about := _about(self.facts)) and by_status in ("request", "missing"):
            return about
        if typed == "request" or (_rules().lead.search(words) and by_status in ("request", "response")):
            return "request"
        overruled = _rules().overrules.get(by_status, ())
        if worded and (by_status in ("request", "response", "redirect") or worded in overruled):
            return worded
        return "request" if typed == "generic" and by_status in ("response", "unavailable") else by_status

    @property
    def _typed_words(self) -> list[str]:
        names = ("code", "type", "error_type", "reason", "status", "error_code")
        details = self.facts.get("details")
        finer = details if isinstance(details, Mapping) else {}
        words = [facts.get(name) for facts in (finer, self.facts) for name in names]
        return [word for word in (self.kind, *words) if isinstance(word, str) and word and not word.isdigit()]

    @property
    def _by_status(self) -> str:
        status, code = self.status, self.facts.get("code")
        if status == 200 and isinstance(code, int) and code >= 400:
            status = code
        otherwise = "unavailable" if status >= 500 else "redirect" if 300 <= status < 400 else "response"
        return _rules().by_status.get(status, otherwise)


def _typed(words: Iterable[str]) -> str:
    """The category of the typed fields in `words`; `generic` for a bad request without details, "" if none is
    recognised."""
    generic = False
    found = ""
    for word in words:
        category = _rules().typed.get("".join(filter(str.isalnum, word)).lower())
        if category is None and len(word) <= 80 and " " not in word:
            category = next((category for category, pattern in _rules().typed_like if pattern.search(word)), "")
            category = "request" if category == "request_part" else category
        if category == "generic":
            generic = True
        elif category and found in ("", "rate", "unavailable", "request"):  # a more precise category replaces these
            found = category
    return found or ("generic" if generic else "")


def _about(facts: Mapping[str, Any]) -> str:
    """The category of a validation error, by the invalid field: `missing` for the model, `request` for others, "" for
    none."""
    places = [facts.get("param"), *(detail.get("loc") for detail in _details(facts))]
    named = [str(place[-1] if isinstance(place, (list, tuple)) else place) for place in places if place]
    named = [name for name in named if name.lower() not in ("none", "null")]
    if not named:
        return ""
    return "missing" if all(name == "model" for name in named) else "request"


def _details(facts: Mapping[str, Any]) -> list[Mapping[str, Any]]:
    detail = facts.get("detail")
    return [item for item in detail if isinstance(item, Mapping)] if isinstance(detail, list) else []


def error_object(body: Any) -> dict[str, Any]:
    """The error object of a response's body, in any common layout. Its `message` is set if the body has a text."""
    body = body[0] if isinstance(body, list) and body else body
    if isinstance(body, str):
        return {"message": body}
    if not isinstance(body, Mapping):
        return {}
    inner = next((body[name] for name in ("error", "detail") if isinstance(body.get(name), (str, Mapping))), None)
    if isinstance(inner, Mapping):
        return {**body, **inner}
    message = inner if isinstance(inner, str) else body.get("message") or body.get("msg")
    return {**body, **({"message": message} if message else {})}


def _inner(message: str, facts: Mapping[str, Any]) -> Mapping[str, Any] | None:
    """The error of another server that a gateway passes on in its message or in `metadata.raw`; None if there is
    none."""
    metadata = facts.get("metadata")
    raw = metadata.get("raw") if isinstance(metadata, Mapping) else None
    for text in (raw, message):
        if not isinstance(text, str) or (start := text.find("{")) < 0 or start > _WORDS_AT_MOST:
            continue
        found = _parsed(text[start : start + _READ_AT_MOST])
        error = found.get("error", found) if isinstance(found, dict) else None
        if isinstance(error, dict) and isinstance(error.get("message"), str):
            return {key: value for key, value in error.items() if key != "metadata"}
        if isinstance(error, str):
            return {"message": error}
    return None


def _parsed(text: str) -> Any:
    """The value at the beginning of a text, written as JSON or as a Python literal; None where there is none."""
    with contextlib.suppress(ValueError, RecursionError):
        return json.JSONDecoder().raw_decode(text)[0]
    with contextlib.suppress(ValueError, SyntaxError, RecursionError, MemoryError):
        return ast.literal_eval(text[: text.rfind("}") + 1])
    return None


def _own_words(message: str, facts: Mapping[str, Any]) -> str:
    """The beginning of a server's message, without quotations and repetitions of the prompt."""
    if details := _details(facts):
        message = "; ".join(str(detail.get("msg") or detail.get("message") or "") for detail in details[:8])
    text = _QUOTED.sub(lambda quote: quote[0] if _NAME.fullmatch(quote[0]) else '"…"', message[:_READ_AT_MOST])
    if echo := _ECHO.search(text):
        text = text[: echo.end()]
    return " ".join(text.split())[:_WORDS_AT_MOST]


def retry_after(headers: Mapping[str, str], *, now: float | None = None) -> float | None:
    """Seconds to wait before the next request, 0 or more, from a response's headers; None if they name no valid time.

    Understands `retry-after-ms`, and `retry-after` in seconds or as a date. `now` is the present time in seconds since
    1970, by default that of the clock.

    >>> retry_after({"retry-after": "2.5"}), retry_after({"retry-after-ms": "40"}), retry_after({"retry-after": "soon"})
    (2.5, 0.04, None)
    """
    milliseconds = _number(headers.get("retry-after-ms"))
    if milliseconds is not None:
        return max(0.0, milliseconds / 1000)
    text = headers.get("retry-after", "")
    seconds = _number(text)
    if seconds is not None:
        return max(0.0, seconds)
    try:
        date = email.utils.parsedate_to_datetime(text)
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
    """The number of tokens in the prompt, and the maximum that the server accepts, from its error; None for an unknown
    one."""
    prompt, limit = refusal.facts.get("n_prompt_tokens"), refusal.facts.get("n_ctx")
    if isinstance(prompt, int) and isinstance(limit, int):
        return prompt, limit
    for pattern in _COUNTS:
        if found := pattern.search(refusal.message[:_READ_AT_MOST]):
            named = found.groupdict()
            return int(named.get("prompt") or found[1]), int(named.get("limit") or found[2])
    return None, None
