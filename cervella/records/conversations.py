"""Keeps conversations in one SQLite file, and erases them from it on request.

A turn is kept with its question, its answer, whether it is tainted (contains local-only text), and which documents its
brain was shown; passages are not kept. Which documents are local-only may change later, so a reader of a turn has to
judge it anew. Secrets in the texts are masked before they are written.
"""

from __future__ import annotations

import contextlib
import datetime
import json
import sqlite3
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, fields, replace
from pathlib import Path
from typing import Any

from cervella.errors import ConfigError, ConversationError
from cervella.privacy.stored import masked, quoted
from cervella.process.files import make_private_folder
from cervella.process.forks import unforked
from cervella.records.sqlite_file import SqliteFile, storable, transaction
from cervella.text.folding import text_sha256
from cervella.text.language import DEFAULT_LANGUAGE
from cervella.types import Filters, Location, Message, Reply, ShownDocument

_SCHEMA_VERSION = 2
_BUSY_SECONDS = 10.0
# `turn.sources` lists numbers of `shown` as JSON; NULL if the documents are not known, as in turns of version 1.
_SHOWN = """
CREATE TABLE IF NOT EXISTS shown (
    number INTEGER PRIMARY KEY, session TEXT NOT NULL REFERENCES session(id) ON DELETE CASCADE, path TEXT NOT NULL,
    document TEXT NOT NULL, UNIQUE (session, path, document)
);
"""
_TURN_OF_ANSWER = "CREATE INDEX IF NOT EXISTS turn_of_answer ON turn(answer_sha256);"
_SCHEMA = f"""
CREATE TABLE IF NOT EXISTS session (
    id TEXT PRIMARY KEY, created TEXT NOT NULL, updated TEXT NOT NULL, filters TEXT
) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS turn (
    number INTEGER PRIMARY KEY, session TEXT NOT NULL REFERENCES session(id) ON DELETE CASCADE, asked TEXT NOT NULL,
    question TEXT NOT NULL, answer TEXT NOT NULL, query TEXT NOT NULL, tainted INTEGER NOT NULL,
    finish_reason TEXT NOT NULL, brain TEXT NOT NULL, model TEXT NOT NULL, soul TEXT NOT NULL, reply TEXT NOT NULL,
    sources TEXT, answer_sha256 TEXT
);
CREATE INDEX IF NOT EXISTS turn_of_session ON turn(session, number);
{_SHOWN}{_TURN_OF_ANSWER}
"""
_MIGRATIONS = {
    2: (
        "ALTER TABLE turn ADD COLUMN sources TEXT",
        "ALTER TABLE turn ADD COLUMN answer_sha256 TEXT",
        _SHOWN,
        _TURN_OF_ANSWER,
    )
}
_MOST_DIGESTS = 500  # in one query


@dataclass(frozen=True, slots=True, kw_only=True)
class Turn:
    """One question and its answer."""

    asked: str
    """Time of the answer, ISO 8601, UTC."""
    question: str
    answer: str
    query: str
    """The query that the search used: the question itself or, for a follow-up question, with words of earlier turns."""
    tainted: bool
    """Whether the turn contains local-only text, which must not reach a cloud brain."""
    finish_reason: str
    brain: str
    model: str
    soul: str
    reply: str
    """The id of the reply that gave the answer."""
    sources: tuple[ShownDocument, ...] | None = None
    """The documents that the answer was made from: see `Reply.sources`. None in turns that an earlier version kept."""

    def messages(self) -> tuple[Message, ...]:
        """The turn as two messages of the history for the next question.

        It is empty if the brain refused to answer: a refusal is kept, but never sent again.
        """
        if self.finish_reason == "refusal":
            return ()
        return (
            Message(role="user", content=self.question, tainted=self.tainted, sources=self.sources),
            Message(role="assistant", content=self.answer, tainted=self.tainted, sources=self.sources),
        )


_COLUMNS = tuple(field.name for field in fields(Turn))
_TURN = ", ".join(_COLUMNS)


@dataclass(frozen=True, slots=True, kw_only=True)
class Conversation:
    """A kept session, as the list of sessions shows it."""

    id: str
    created: str
    """The time when the session was started, ISO 8601, UTC."""
    updated: str
    turns: int
    filters: Filters | None


class Conversations:
    """Keeps the conversations in one file. Thread-safe, and safe for several processes (SQLite in WAL mode)."""

    def __init__(
        self,
        path: str | Path,
        *,
        on_delete: Callable[[str], None] | None = None,
        language: str = DEFAULT_LANGUAGE,
        is_tainted: Callable[[Turn], bool] | None = None,
    ) -> None:
        """The file is opened by the first method call. Methods raise ConversationError.

        `on_delete` is called with the id of a session before the session is deleted. `language` is the language of the
        masks that replace secrets. `is_tainted` says whether a turn is tainted by today's marks; without it,
        `Turn.tainted` is what was kept with the turn.
        """
        self._path = Path(path)
        self._file = SqliteFile(
            path=self._path,
            kind=ConversationError,
            called="conversations",
            section="conversations",
            schema=_SCHEMA,
            version=_SCHEMA_VERSION,
            busy_seconds=_BUSY_SECONDS,
            migrations=_MIGRATIONS,
        )
        self._on_delete = on_delete
        self._language = language
        self._is_tainted = is_tainted or (lambda turn: turn.tainted)

    def open(self, session: str, filters: Filters | None) -> Filters | None:
        """Start the session, or continue it if it exists. Returns the filters that its searches must use.

        A document must meet both `filters` and the filters with which the session was started. None if there are
        neither.
        """
        if not isinstance(session, str) or not session.strip():
            raise ConversationError(
                f"A session's id is {quoted(session)}.", remedy="Use a text that is not empty, such as 'guest-42'."
            )
        with self._connected(write=True) as database:
            row = database.execute("SELECT filters FROM session WHERE id = ?", (storable(session),)).fetchone()
            if row is None:
                now = _now()
                database.execute(
                    "INSERT INTO session VALUES (?, ?, ?, ?)", (storable(session), now, now, _dumped(filters))
                )
                return filters
        kept = _loaded(session, row[0])
        return filters if kept is None or kept == filters else kept.narrowed(filters)

    def append(self, session: str, reply: Reply) -> None:
        """Keep a reply as the next turn of a session, with the secrets in its texts masked."""
        with self._connected(write=True) as database:
            now = _now()
            changed = database.execute("UPDATE session SET updated = ? WHERE id = ?", (now, storable(session))).rowcount
            if not changed:
                raise _missing(session)
            turn = Turn(
                asked=now,
                question=masked(reply.question, self._language),
                answer=masked(reply.text, self._language),
                query=masked(reply.retrieval_query or reply.question, self._language),
                tainted=reply.tainted,
                finish_reason=reply.finish_reason,
                brain=reply.brain,
                model=reply.model,
                soul=reply.soul,
                reply=reply.id,
                sources=reply.sources,
            )
            given = {name: getattr(turn, name) for name in _COLUMNS}
            given["sources"] = _numbered(database, storable(session), turn.sources)
            values = [storable(one) if isinstance(one, str) else one for one in given.values()]
            database.execute(
                f"INSERT INTO turn (session, {_TURN}, answer_sha256) VALUES (?{', ?' * len(values)}, ?)",
                (storable(session), *values, text_sha256(turn.answer)),
            )

    def turns(self, session: str, *, last: int | None = None) -> list[Turn]:
        """The turns of a session, oldest first; empty if there is no such session.

        `last` gives only that many of the newest.
        """
        with self._connected() as database:
            rows = database.execute(
                f"SELECT {_TURN} FROM turn WHERE session = ? ORDER BY number DESC LIMIT ?",
                (storable(session), -1 if last is None else last),
            ).fetchall()
            shown = _shown(database, {storable(session)})
        return [self._turn(row, shown) for row in reversed(rows)]

    def _turn(self, values: Sequence[Any], shown: Mapping[int, ShownDocument]) -> Turn:
        row = dict(zip(_COLUMNS, values, strict=True))
        turn = Turn(**{**row, "tainted": bool(row["tainted"]), "sources": _documents(row["sources"], shown)})
        return replace(turn, tainted=self._is_tainted(turn))

    def known(self, digests: Iterable[str]) -> dict[str, Sequence[Turn]]:
        """The turns of all sessions whose answers have these digests, see `text_sha256`."""
        wanted = [*dict.fromkeys(digests)]
        if not wanted or not self._path.exists():
            return {}
        known: dict[str, Sequence[Turn]] = {}
        with self._connected() as database:
            for start in range(0, len(wanted), _MOST_DIGESTS):
                some = wanted[start : start + _MOST_DIGESTS]
                rows = database.execute(
                    f"SELECT answer_sha256, session, {_TURN} FROM turn"
                    f" WHERE answer_sha256 IN (?{', ?' * (len(some) - 1)})",
                    some,
                ).fetchall()
                shown = _shown(database, {session for _, session, *_ in rows})
                for digest, _, *values in rows:
                    known[digest] = (*known.get(digest, ()), self._turn(values, shown))
        return known

    def list(self) -> list[Conversation]:
        """All sessions, the most recently used first."""
        if not self._path.exists():
            return []
        with self._connected() as database:
            rows = database.execute(
                "SELECT s.id, s.created, s.updated, count(t.number), s.filters FROM session s"
                " LEFT JOIN turn t ON t.session = s.id GROUP BY s.id ORDER BY s.updated DESC, s.id"
            ).fetchall()
        return [
            Conversation(id=one, created=created, updated=updated, turns=turns, filters=_loaded(one, filters))
            for one, created, updated, turns, filters in rows
        ]

    def export(self, session: str, *, location: Location = "cloud") -> dict[str, Any]:
        """A session with its turns, as data for JSON. Raises ConversationError if there is no such session.

        Tainted turns are left out, and counted in `turns_withheld`, unless `location`, the place where the export is
        going to be read, is local or private. Secrets are masked also in turns that an earlier version kept unmasked.
        """
        found = next((one for one in self.list() if one.id == storable(session)), None)
        if found is None:
            raise _missing(session)
        turns = self.turns(session)
        shown = [turn for turn in turns if location in ("local", "private") or not turn.tainted]
        return {
            "id": found.id,
            "created": found.created,
            "updated": found.updated,
            "filters": None if found.filters is None else _plain(found.filters),
            "turns": masked([asdict(turn) for turn in shown], self._language),
            "turns_withheld": len(turns) - len(shown),
        }

    def delete(self, session: str) -> None:
        """Erase a session: none of its text is left in the file or in SQLite's log.

        Raises ConversationError if there is no such session, or if another program is still reading it.
        """
        if self._on_delete is not None:
            self._on_delete(session)
        if not self._path.exists():
            raise _missing(session)
        with self._connected() as database:
            database.execute("DELETE FROM turn WHERE session = ?", (storable(session),))
            self._file.empty_log(database)  # if this fails, the session is still listed, and can be deleted again
            deleted = database.execute("DELETE FROM session WHERE id = ?", (storable(session),)).rowcount
            self._file.clear(database)
        if not deleted:
            raise _missing(session)

    @contextlib.contextmanager
    def _connected(self, *, write: bool = False) -> Iterator[sqlite3.Connection]:
        """A connection to the file, which is created if it does not exist. With `write`, the block is a transaction."""
        with self._file.guarded():
            self._file.create()
            if write:
                make_private_folder(self._path.parent)
            with unforked, contextlib.closing(self._file.connect()) as database:
                self._file.prepare(database)
                with transaction(database) if write else contextlib.nullcontext():
                    yield database


def _numbered(database: sqlite3.Connection, session: str, sources: Sequence[ShownDocument] | None) -> str | None:
    """The numbers of these documents in the table `shown`, as JSON; None if they are not known."""
    if sources is None:
        return None
    numbers = []
    for one in sources:
        key = (session, storable(one.path), storable(one.document))
        database.execute("INSERT OR IGNORE INTO shown (session, path, document) VALUES (?, ?, ?)", key)
        where = "SELECT number FROM shown WHERE session = ? AND path = ? AND document = ?"
        numbers.append(database.execute(where, key).fetchone()[0])
    return json.dumps(numbers)


def _shown(database: sqlite3.Connection, sessions: Iterable[str]) -> dict[int, ShownDocument]:
    """The documents that the brains of these sessions were shown, by number."""
    rows = [
        row
        for session in sessions
        for row in database.execute("SELECT number, path, document FROM shown WHERE session = ?", (session,))
    ]
    return {number: ShownDocument(path=path, document=document) for number, path, document in rows}


def _documents(numbers: str | None, shown: Mapping[int, ShownDocument]) -> tuple[ShownDocument, ...] | None:
    """The documents with these numbers; None if they are not known."""
    try:
        return None if numbers is None else tuple(shown[number] for number in json.loads(numbers))
    except (KeyError, TypeError, ValueError):  # the file was changed by somebody else
        return None


def _now() -> str:
    return datetime.datetime.now(datetime.UTC).isoformat(timespec="milliseconds")


def _missing(session: str) -> ConversationError:
    return ConversationError(
        f"There is no session {quoted(session)}.", remedy="List them with `cervella sessions`.", code="session_missing"
    )


def _plain(filters: Filters) -> dict[str, Any]:
    """The filters as JSON data, without conditions that are None."""

    def cut(data: dict[str, Any]) -> dict[str, Any]:
        return {
            key: cut(value) if isinstance(value, dict) else list(value) if isinstance(value, tuple) else value
            for key, value in data.items()
            if value is not None
        }

    return cut(asdict(filters))


def _dumped(filters: Filters | None) -> str | None:
    return None if filters is None else json.dumps(_plain(filters), ensure_ascii=False)


def _loaded(session: str, text: str | None) -> Filters | None:
    """The filters that are kept with a session; None if it has none.

    Raises ConversationError if they can't be read: a search without them could find documents that the session
    excludes.
    """

    def built(data: dict[str, Any]) -> Filters:
        within = data.pop("within", None)
        return Filters(**data, within=None if within is None else built(within))

    try:
        return None if text is None else built(json.loads(text))
    except (AttributeError, ConfigError, TypeError, ValueError) as error:
        raise ConversationError(
            f"The filters of the session {session!r} can't be read.",
            remedy=f"Start another session, and delete this one with `cervella sessions --delete {session}`.",
            code="session_damaged",
        ) from error
