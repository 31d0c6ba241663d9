"""Reads what a server says instead of an answer.

Its own word for the fault (`error.type`) counts more than the status: an overload may come after a 200.
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
_QUOTED = re.compile(
    r"\"([^\"\n]{0,2000})\"|`([^`\n]{0,2000})`|«([^»]{0,2000})»|“([^”]{0,2000})”|(?<!\w)'([^'\n]{0,2000})'(?!\w)"
)
_NAME = re.compile(r"\W?\S{0,60}\W?")
"""What may stand in quotation marks and be the server's own: the name of a model or of a parameter."""
_ECHO = re.compile(
    r"input_value\s*=|\binput['\"]?\s*[:=]|\b(?:prompt|content|text|value|received|got|body|near|question|quoted?)"
    r"\b[^:=\n]{0,30}[:=](?!//)",
    re.IGNORECASE,
)
"""Behind it a server may repeat what it was sent."""
_NEARER = (("rate", 413), ("unavailable", 429))
"""Typed words that the status says more exactly."""


@dataclass(frozen=True, slots=True, kw_only=True)
class _Known:
    """refusals.toml, read."""

    typed: Mapping[str, str]
    typed_like: tuple[tuple[str, re.Pattern[str]], ...]
    words: tuple[tuple[str, re.Pattern[str]], ...]
    lead: re.Pattern[str]
    by_status: Mapping[int, str]
    overrules: Mapping[str, tuple[str, ...]]
    """What a server's words may say against its status."""


@functools.cache
def _known() -> _Known:
    told = read_packaged("cervella.brains.http", "refusals.toml")
    return _Known(
        typed={word: sort for sort, words in told["typed"].items() for word in words},
        typed_like=tuple((sort, _any_of(patterns)) for sort, patterns in told["typed_like"].items()),
        words=tuple((sort, _any_of(patterns)) for sort, patterns in told["words"].items()),
        lead=_any_of([rf"^\W{{0,3}}(litellm\.\w+: )?({pattern})" for pattern in told["lead"]["request"]]),
        by_status={status: sort for sort, statuses in told["status"].items() for status in statuses},
        overrules={sort: tuple(words) for sort, words in told["overrules"].items()},
    )


def _any_of(patterns: Iterable[str]) -> re.Pattern[str]:
    written = (one.replace("~", _FEW_WORDS).replace("@", _MODEL) for one in patterns)
    return re.compile("|".join(f"(?:{one})" for one in written), re.IGNORECASE)


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
        """Which of the errors of the house it is.

        `request` is about this prompt or its parameters: another question may well be answered. What the server typed
        counts before what it wrote, and of that nothing counts that it may only have repeated from the prompt.
        """
        typed = _typed(self._typed_words)
        if typed in ("", "generic", "unavailable") and (inner := _inner(self.message, self.facts)):
            sort = Refusal(status=self.status, message=str(inner["message"]), facts=inner).sort
            if sort not in ("response", "unavailable"):
                return sort
        words, by_status = _own_words(self.message, self.facts), self._by_status
        if _TOO_LONG.search(words) and self.status in (200, 400, 413, 422, 429, 500):
            return "too_long"
        said = next((sort for sort, pattern in _known().words if pattern.search(words)), "")
        if typed not in ("", "generic", "request"):
            if typed == "unavailable" and said == "request":
                return said  # a server that fails for what this prompt holds
            return by_status if (typed, self.status) in _NEARER else typed
        if self.status in (401, 402):
            return by_status
        if (about := _about(self.facts)) and by_status in ("request", "missing"):
            return about
        if typed == "request" or (_known().lead.search(words) and by_status in ("request", "response")):
            return "request"
        if said and (by_status in ("request", "response", "redirect") or said in _known().overrules.get(by_status, ())):
            return said
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
        return _known().by_status.get(status, otherwise)


def _typed(words: Iterable[str]) -> str:
    """What the typed words say: one of the sorts, `generic` for a bad request of no kind, "" for nothing."""
    generic = False
    found = ""
    for word in words:
        sort = _known().typed.get("".join(filter(str.isalnum, word)).lower())
        if sort is None and len(word) <= 80 and " " not in word:
            sort = next((sort for sort, pattern in _known().typed_like if pattern.search(word)), "")
            sort = "request" if sort == "request_part" else sort
        if sort == "generic":
            generic = True
        elif sort and found in ("", "rate", "unavailable", "request"):  # the finer word counts
            found = sort
    return found or ("generic" if generic else "")


def _about(facts: Mapping[str, Any]) -> str:
    """What a validation says of the place that it does not like: `missing` for the model, `request` for the rest."""
    places = [facts.get("param"), *(one.get("loc") for one in _details(facts))]
    named = [str(place[-1] if isinstance(place, (list, tuple)) else place) for place in places if place]
    named = [name for name in named if name.lower() not in ("none", "null")]
    if not named:
        return ""
    return "missing" if all(name == "model" for name in named) else "request"


def _details(facts: Mapping[str, Any]) -> list[Mapping[str, Any]]:
    detail = facts.get("detail")
    return [one for one in detail if isinstance(one, Mapping)] if isinstance(detail, list) else []


def error_object(body: Any) -> dict[str, Any]:
    """The error object of a body, however it is wrapped; `message` is what it says, where it says anything."""
    body = body[0] if isinstance(body, list) and body else body
    if isinstance(body, str):
        return {"message": body}
    if not isinstance(body, Mapping):
        return {}
    inner = next((body[name] for name in ("error", "detail") if isinstance(body.get(name), (str, Mapping))), None)
    if isinstance(inner, Mapping):
        return {**body, **inner}
    said = inner if isinstance(inner, str) else body.get("message") or body.get("msg")
    return {**body, **({"message": said} if said else {})}


def _inner(message: str, facts: Mapping[str, Any]) -> Mapping[str, Any] | None:
    """The error of another server that this one passes on, in its message or beside it."""
    beside = facts.get("metadata")
    raw = beside.get("raw") if isinstance(beside, Mapping) else None
    for text in (raw, message):
        if not isinstance(text, str) or (start := text.find("{")) < 0 or start > _WORDS_AT_MOST:
            continue
        told = _read(text[start : start + _READ_AT_MOST])
        error = told.get("error", told) if isinstance(told, dict) else None
        if isinstance(error, dict) and isinstance(error.get("message"), str):
            return {key: value for key, value in error.items() if key != "metadata"}
        if isinstance(error, str):
            return {"message": error}
    return None


def _read(text: str) -> Any:
    """What JSON, or the print of a Python dict, begins a text; None where none does."""
    with contextlib.suppress(ValueError, RecursionError):
        return json.JSONDecoder().raw_decode(text)[0]
    with contextlib.suppress(ValueError, SyntaxError, RecursionError, MemoryError):
        return ast.literal_eval(text[: text.rfind("}") + 1])
    return None


def _own_words(message: str, facts: Mapping[str, Any]) -> str:
    """The beginning of what a server wrote, without what it quotes or repeats."""
    if details := _details(facts):
        message = "; ".join(str(one.get("msg") or one.get("message") or "") for one in details[:8])
    text = _QUOTED.sub(lambda quote: quote[0] if _NAME.fullmatch(quote[0]) else '"…"', message[:_READ_AT_MOST])
    if echo := _ECHO.search(text):
        text = text[: echo.end()]
    return " ".join(text.split())[:_WORDS_AT_MOST]


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
        if found := pattern.search(refusal.message[:_READ_AT_MOST]):
            named = found.groupdict()
            return int(named.get("prompt") or found[1]), int(named.get("limit") or found[2])
    return None, None
