"""Defines the rows of the ledger, and their tables in SQLite."""

from __future__ import annotations

import datetime
from collections.abc import Sequence
from dataclasses import dataclass, fields
from decimal import Decimal
from typing import Any

from cervella.records.sqlite_file import storable

SCHEMA_VERSION = 1


@dataclass(frozen=True, slots=True, kw_only=True)
class Row:
    """One call of one engine, as the ledger keeps it. An unknown value is None, never 0."""

    at: str
    """When the call ended: ISO 8601, UTC."""
    reply: str = ""
    """The id of the reply that the call was made for. One reply can have several calls."""
    session: str | None = None
    soul: str = ""
    brain: str
    model: str = ""
    location: str = "local"
    route: str | None = None
    reason: str | None = None
    outcome: str = "ok"
    error: str | None = None
    retries: int = 0
    """Number of earlier calls of this brain for the same reply."""
    input_tokens: int | None = None
    cache_read_tokens: int | None = None
    cache_write_tokens: int | None = None
    cache_write_1h_tokens: int | None = None
    output_tokens: int | None = None
    estimated: bool = False
    """Whether the call broke off: then the counts that the engine had not reported, and so the cost, are estimated from
    the text."""
    seconds: float = 0.0
    first_token_seconds: float | None = None
    load_seconds: float | None = None
    cost_usd: Decimal | None = None
    price_source: str | None = None
    price_date: str | None = None
    estimate_usd: Decimal | None = None
    """The amount that was reserved for the call, if its cost is unknown; the budget then counts this amount. Otherwise
    None."""
    question: str | None = None
    answer: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Feedback:
    """A person's judgement of a reply."""

    at: str
    """The time of the judgement, ISO 8601, UTC."""
    reply: str
    """The id of the reply that was judged."""
    good: bool
    note: str | None = None


COLUMNS = tuple(field.name for field in fields(Row))
_MONEY = ("cost_usd", "estimate_usd")
_TYPES = {
    "retries": "INTEGER NOT NULL", "estimated": "INTEGER NOT NULL", "seconds": "REAL NOT NULL",
    "first_token_seconds": "REAL", "load_seconds": "REAL",
    **{name: "INTEGER" for name in COLUMNS if name.endswith("_tokens")},
    **dict.fromkeys(("at", "reply", "soul", "brain", "model", "location", "outcome"), "TEXT NOT NULL"),
}  # fmt: skip
SCHEMA = f"""
CREATE TABLE IF NOT EXISTS attempt (
    number INTEGER PRIMARY KEY, {", ".join(f"{name} {_TYPES.get(name, 'TEXT')}" for name in COLUMNS)}
);
CREATE INDEX IF NOT EXISTS spent ON attempt(at, brain, cost_usd, estimate_usd);
CREATE INDEX IF NOT EXISTS attempt_of_reply ON attempt(reply);
CREATE INDEX IF NOT EXISTS attempt_of_session ON attempt(session) WHERE session IS NOT NULL;
CREATE TABLE IF NOT EXISTS feedback (reply TEXT PRIMARY KEY, at TEXT NOT NULL, good INTEGER NOT NULL, note TEXT);
CREATE TABLE IF NOT EXISTS reservation (
    number INTEGER PRIMARY KEY, brain TEXT NOT NULL, usd TEXT NOT NULL, expires TEXT NOT NULL
);
"""
INSERT = f"INSERT INTO attempt ({', '.join(COLUMNS)}) VALUES ({', '.join('?' * len(COLUMNS))})"


def iso(at: datetime.datetime | None = None) -> str:
    at = at or datetime.datetime.now(datetime.UTC)
    return at.astimezone(datetime.UTC).isoformat(timespec="milliseconds")


def stored(value: Any) -> Any:
    if isinstance(value, Decimal):
        return f"{value:f}"
    return storable(value) if isinstance(value, str) else value


def as_row(values: Sequence[Any]) -> Row:
    given = dict(zip(COLUMNS, values, strict=True))
    given["estimated"] = bool(given["estimated"])
    for name in _MONEY:
        if given[name] is not None:
            given[name] = Decimal(given[name])
    return Row(**given)
