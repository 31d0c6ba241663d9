"""Conversations that last: questions and answers in one SQLite file, really deleted on request.

What is kept of a turn is its question and its answer, never its passages; the taint of a turn is kept with it.
"""

from __future__ import annotations

import contextlib
import datetime
import json
import sqlite3
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from cervella.errors import ConversationError
from cervella.types import Filters, Message, Reply

__all__ = ["Conversation", "Conversations", "Turn"]

_SCHEMA_VERSION = 1
_BUSY_SECONDS = 10.0
_SCHEMA = """
CREATE TABLE IF NOT EXISTS session (
    id TEXT PRIMARY KEY, created TEXT NOT NULL, updated TEXT NOT NULL, filters TEXT
) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS turn (
    number INTEGER PRIMARY KEY, session TEXT NOT NULL REFERENCES session(id) ON DELETE CASCADE, asked TEXT NOT NULL,
    question TEXT NOT NULL, answer TEXT NOT NULL, query TEXT NOT NULL, tainted INTEGER NOT NULL,
    finish_reason TEXT NOT NULL, brain TEXT NOT NULL, model TEXT NOT NULL, soul TEXT NOT NULL, reply TEXT NOT NULL
);
CREATE INDEX IF NOT EXISTS turn_of_session ON turn(session, number);
"""


@dataclass(frozen=True, slots=True, kw_only=True)
class Turn:
    """One question and its answer."""

    asked: str
    """When, ISO 8601, UTC."""
    question: str
    answer: str
    query: str
    """What was searched for; the question, or for a follow-up more than it."""
    tainted: bool
    finish_reason: str
    brain: str
    model: str
    soul: str
    reply: str
    """The reply's id."""

    def messages(self) -> tuple[Message, Message]:
        """As history for the next question."""
        return (
            Message(role="user", content=self.question, tainted=self.tainted),
            Message(role="assistant", content=self.answer, tainted=self.tainted),
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class Conversation:
    """A session as a list shows it."""

    id: str
    created: str
    """ISO 8601, UTC."""
    updated: str
    turns: int
    filters: Filters | None


class Conversations:
    """The conversations in one file. Thread-safe, and safe for several processes: SQLite in WAL mode."""

    def __init__(self, path: str | Path) -> None:
        """Nothing is read or written before the first call. Calls raise ConversationError."""
        self._path = Path(path)

    def open(self, session: str, filters: Filters | None) -> Filters | None:
        """Start a session, or go on with it. Gives the filters that hold: those kept, narrowed by those given."""
        if not session.strip():
            raise ConversationError("A session's id is empty.", remedy="Give it a name, such as 'guest-42'.")
        with self._connected() as database:
            row = database.execute("SELECT filters FROM session WHERE id = ?", (session,)).fetchone()
            if row is None:
                now = _now()
                database.execute("INSERT INTO session VALUES (?, ?, ?, ?)", (session, now, now, _dumped(filters)))
                return filters
        kept = _loaded(row[0])
        return filters if kept is None or kept == filters else kept.narrowed(filters)

    def append(self, session: str, reply: Reply) -> None:
        """Keep a turn."""
        with self._connected() as database:
            now = _now()
            changed = database.execute("UPDATE session SET updated = ? WHERE id = ?", (now, session)).rowcount
            if not changed:
                raise _missing(session)
            database.execute(
                "INSERT INTO turn (session, asked, question, answer, query, tainted, finish_reason, brain, model, soul,"
                " reply) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)",
                (
                    session,
                    now,
                    reply.question,
                    reply.text,
                    reply.retrieval_query or reply.question,
                    int(reply.tainted),
                    reply.finish_reason,
                    reply.brain,
                    reply.model,
                    reply.soul,
                    reply.id,
                ),
            )

    def turns(self, session: str, *, last: int | None = None) -> list[Turn]:
        """The turns of a session, oldest first; of a session that does not exist, none."""
        with self._connected() as database:
            rows = database.execute(
                "SELECT asked, question, answer, query, tainted, finish_reason, brain, model, soul, reply FROM turn"
                " WHERE session = ? ORDER BY number DESC LIMIT ?",
                (session, -1 if last is None else last),
            ).fetchall()
        return [
            Turn(
                asked=asked,
                question=question,
                answer=answer,
                query=query,
                tainted=bool(tainted),
                finish_reason=finish_reason,
                brain=brain,
                model=model,
                soul=soul,
                reply=reply,
            )
            for asked, question, answer, query, tainted, finish_reason, brain, model, soul, reply in reversed(rows)
        ]

    def list(self) -> list[Conversation]:
        """All sessions, the last used first."""
        if not self._path.exists():
            return []
        with self._connected() as database:
            rows = database.execute(
                "SELECT s.id, s.created, s.updated, count(t.number), s.filters FROM session s"
                " LEFT JOIN turn t ON t.session = s.id GROUP BY s.id ORDER BY s.updated DESC, s.id"
            ).fetchall()
        return [
            Conversation(id=one, created=created, updated=updated, turns=turns, filters=_loaded(filters))
            for one, created, updated, turns, filters in rows
        ]

    def export(self, session: str) -> dict[str, Any]:
        """A session with its turns, as plain data."""
        found = next((one for one in self.list() if one.id == session), None)
        if found is None:
            raise _missing(session)
        return {
            "id": found.id,
            "created": found.created,
            "updated": found.updated,
            "filters": None if found.filters is None else _plain(found.filters),
            "turns": [asdict(turn) for turn in self.turns(session)],
        }

    def delete(self, session: str) -> None:
        """Delete a session so that none of its words is left in the file, or in the log beside it."""
        with self._connected() as database:
            if not database.execute("DELETE FROM session WHERE id = ?", (session,)).rowcount:
                raise _missing(session)
        with self._connected() as database:
            database.commit()
            database.isolation_level = None
            database.execute("VACUUM")
            database.execute("PRAGMA wal_checkpoint(TRUNCATE)")

    @contextlib.contextmanager
    def _connected(self) -> Iterator[sqlite3.Connection]:
        """A connection with one transaction, committed at the end."""
        try:
            self._path.parent.mkdir(parents=True, exist_ok=True)
            with contextlib.closing(sqlite3.connect(self._path, timeout=_BUSY_SECONDS)) as database:
                database.execute("PRAGMA journal_mode = WAL")
                database.execute("PRAGMA foreign_keys = ON")
                database.execute("PRAGMA secure_delete = ON")
                version = database.execute("PRAGMA user_version").fetchone()[0]
                if version > _SCHEMA_VERSION:
                    raise ConversationError(
                        f"The conversations in {str(self._path)!r} were written by a newer Cervella.",
                        remedy="Update Cervella, or name another file.",
                    )
                if version < _SCHEMA_VERSION:
                    database.executescript(_SCHEMA)
                    database.execute(f"PRAGMA user_version = {_SCHEMA_VERSION}")
                with database:
                    yield database
        except (sqlite3.Error, OSError) as error:
            raise ConversationError(
                f"The conversations in {str(self._path)!r} can't be used: {error}.",
                remedy="Check that the folder is writable and the disk not full; a damaged file can be moved away.",
            ) from error


def _now() -> str:
    return datetime.datetime.now(datetime.UTC).isoformat(timespec="milliseconds")


def _missing(session: str) -> ConversationError:
    return ConversationError(
        f"There is no session {session!r}.", remedy="List them with `cervella sessions`.", code="session_missing"
    )


def _plain(filters: Filters) -> dict[str, Any]:
    return {key: value for key, value in asdict(filters).items() if value is not None}


def _dumped(filters: Filters | None) -> str | None:
    return None if filters is None else json.dumps(_plain(filters), ensure_ascii=False)


def _loaded(text: str | None) -> Filters | None:
    def built(data: dict[str, Any]) -> Filters:
        within = data.pop("within", None)
        return Filters(**data, within=None if within is None else built(within))

    return None if text is None else built(json.loads(text))
