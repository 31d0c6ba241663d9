"""The ledger: one row for every call of an engine, in one SQLite file. It holds no word of anybody, unless told to."""

from __future__ import annotations

import contextlib
import datetime
import os
import sqlite3
import weakref
from collections.abc import Iterator, Sequence
from decimal import Decimal
from pathlib import Path

from cervella.errors import LedgerError
from cervella.process.files import make_private_folder
from cervella.process.forks import ForkLock, immortal, unforked
from cervella.records.ledger.budget import Limit
from cervella.records.ledger.rows import COLUMNS, INSERT, SCHEMA, SCHEMA_VERSION, Feedback, Row, as_row, iso, stored
from cervella.records.sqlite_file import SqliteFile, storable, transaction

__all__ = ["Ledger"]

_BUSY_SECONDS = 5.0
_RESERVED = datetime.timedelta(hours=1)
"""After so long a call that never ended was killed with its process."""


_SPENT = "SELECT sum(CAST(round(coalesce(cost_usd, estimate_usd) * 1e12) AS INTEGER)) FROM attempt WHERE at >= ?"
"""In whole 10^-12 dollars: a sum of these is exact."""


class Ledger:
    """The calls in one file. Thread-safe, and safe for several processes: SQLite in WAL mode.

    Nothing is read or written before the first call. Calls raise LedgerError where the file can't be used.
    """

    def __init__(self, path: str | Path, *, keep_days: int | None = None) -> None:
        self.path = Path(path)
        self._file = SqliteFile(
            path=self.path,
            kind=LedgerError,
            called="ledger",
            section="ledger",
            schema=SCHEMA,
            version=SCHEMA_VERSION,
            busy_seconds=_BUSY_SECONDS,
        )
        self._keep_days = keep_days
        self._lock = ForkLock()
        self._open: _Open | None = None
        unforked.idle.add(self)

    def __repr__(self) -> str:
        return f"Ledger({str(self.path)!r})"

    # Writing

    def record(self, rows: Sequence[Row], *, reserved: Sequence[int] = ()) -> None:
        """Write calls that ended, and give back what was set aside for them: all of it, or nothing."""
        with self._connected(write=True) as database:
            database.executemany(INSERT, [[stored(getattr(row, name)) for name in COLUMNS] for row in rows])
            database.executemany("DELETE FROM reservation WHERE number = ?", [(number,) for number in reserved])

    def reserve(self, brain: str, usd: Decimal, limits: Sequence[Limit]) -> int:
        """Set aside what a call may cost, and give the number to release it by.

        Raises BudgetError where it could pass a limit: what was spent, what is set aside in any process, and this.
        """
        now = datetime.datetime.now(datetime.UTC)
        with self._connected(write=True) as database:
            database.execute("DELETE FROM reservation WHERE expires < ?", (iso(now),))
            self._check(database, brain, usd, limits, now)
            added = database.execute(
                "INSERT INTO reservation (brain, usd, expires) VALUES (?, ?, ?)",
                (storable(brain), f"{usd:f}", iso(now + _RESERVED)),
            )
            return int(added.lastrowid or 0)

    def check(self, brain: str, usd: Decimal, limits: Sequence[Limit]) -> None:
        """Raises BudgetError where a call could pass a limit now; nothing is set aside for it."""
        with self._existing() as database:
            if database is not None:
                self._check(database, brain, usd, limits, datetime.datetime.now(datetime.UTC))
                return
        for limit in limits:
            if limit.holds_for(brain):
                limit.check(Decimal(0), Decimal(0), usd)

    def _check(
        self, database: sqlite3.Connection, brain: str, usd: Decimal, limits: Sequence[Limit], now: datetime.datetime
    ) -> None:
        for limit in limits:
            if limit.holds_for(brain):
                reserved = database.execute("SELECT brain, usd FROM reservation WHERE expires >= ?", (iso(now),))
                running = sum((Decimal(usd) for of, usd in reserved if limit.holds_for(of)), Decimal(0))
                limit.check(self._spent(database, limit, now), running, usd)

    def keep_answer(self, reply: str, text: str) -> None:
        """Keep the words of an answer with the call that gave it."""
        with self._connected(write=True) as database:
            database.execute(
                "UPDATE attempt SET answer = ? WHERE number = (SELECT max(number) FROM attempt WHERE reply = ?)",
                (storable(text), reply),
            )

    def add_feedback(self, reply: str, *, good: bool, note: str | None = None) -> None:
        """Keep what somebody said of a reply; a second word replaces the first.

        Raises LedgerError where there is no such reply.
        """
        with self._connected(write=True) as database:
            if not database.execute("SELECT 1 FROM attempt WHERE reply = ? LIMIT 1", (storable(reply),)).fetchone():
                raise LedgerError(
                    f"The ledger holds no reply {reply!r:.40}.",
                    remedy="Give a Reply of this agent, or its id; [ledger] enabled must be true when it is made.",
                    code="reply_missing",
                )
            database.execute(
                "INSERT OR REPLACE INTO feedback VALUES (?, ?, ?, ?)", (reply, iso(), int(good), stored(note))
            )

    # Reading

    def rows(self, since: datetime.datetime | None = None) -> list[Row]:
        """The calls that ended at this time or later, oldest first."""
        with self._existing() as database:
            found = database and database.execute(
                f"SELECT {', '.join(COLUMNS)} FROM attempt WHERE at >= ? ORDER BY at, number",
                ("" if since is None else iso(since),),
            )
            return [as_row(values) for values in found or ()]

    def feedback(self) -> list[Feedback]:
        """What was said, oldest first."""
        with self._existing() as database:
            found = database and database.execute("SELECT at, reply, good, note FROM feedback ORDER BY at, reply")
            return [Feedback(at=at, reply=reply, good=bool(good), note=note) for at, reply, good, note in found or ()]

    def spent(self, limit: Limit) -> Decimal:
        """What was spent in the present period of a limit, in US dollars; a call of unknown cost as estimated."""
        with self._existing() as database:
            return self._spent(database, limit, datetime.datetime.now(datetime.UTC)) if database else Decimal(0)

    def _spent(self, database: sqlite3.Connection, limit: Limit, now: datetime.datetime) -> Decimal:
        since = iso(limit.since(now))
        only = ("", (since,)) if limit.brain is None else (" AND brain = ?", (since, storable(limit.brain)))
        return Decimal(database.execute(_SPENT + only[0], only[1]).fetchone()[0] or 0).scaleb(-12).normalize() + 0

    # Deleting

    def release(self, reserved: Sequence[int]) -> None:
        """Give back what was set aside for calls that were not made."""
        self.record((), reserved=reserved)

    def forget(self, session: str) -> None:
        """Take a session's words out for good, notes too, and its name off its calls: what they cost stays."""
        with self._existing() as database:
            if database is None:
                return
            with transaction(database):
                replies = "SELECT reply FROM attempt WHERE session = ?"
                database.execute(f"UPDATE feedback SET note = NULL WHERE reply IN ({replies})", (storable(session),))
                database.execute(
                    "UPDATE attempt SET session = NULL, question = NULL, answer = NULL WHERE session = ?",
                    (storable(session),),
                )
            self._file.clear(database)

    def purge(self, before: datetime.datetime) -> None:
        """Delete the calls that ended before this time, with what was said of them."""
        with self._connected(write=True) as database:
            _purge(database, before)

    # The file

    def close(self) -> None:
        """Let go of the file. A closed ledger can be used again."""
        with self._lock:
            if self._open is not None:
                self._open.close()
                self._open = None

    @contextlib.contextmanager
    def _existing(self) -> Iterator[sqlite3.Connection | None]:
        """A connection; None where nothing was written yet, and nothing is made then."""
        if not self.path.exists():
            yield None
            return
        with self._connected() as database:
            yield database

    @contextlib.contextmanager
    def _connected(self, *, write: bool = False) -> Iterator[sqlite3.Connection]:
        """The connection, for one caller at a time; with `write` in one transaction."""
        if self._open is not None and self._open.pid != os.getpid():
            self._open = None  # forked by a program that calls no hook of Python's: this one is the parent's
        with unforked, self._lock:
            try:
                with self._file.guarded():
                    if self._open is None or not self._open.current():
                        self.close()
                        self._file.create()
                        make_private_folder(self.path.parent)
                        self._open = self._opened()
                    with transaction(self._open.database) if write else contextlib.nullcontext():
                        yield self._open.database
            except LedgerError as error:
                if isinstance(error.__cause__, (sqlite3.Error, OSError)):
                    self.close()
                raise

    def _opened(self) -> _Open:
        opened = _Open(self._file)
        try:
            self._file.prepare(opened.database)
            # A crash of the machine may cost the last rows, never the file.
            opened.database.execute("PRAGMA synchronous = NORMAL")
            if self._keep_days is not None:
                with transaction(opened.database) as database:
                    _purge(database, datetime.datetime.now(datetime.UTC) - datetime.timedelta(days=self._keep_days))
        except BaseException:
            opened.close()
            raise
        return opened


class _Open:
    """An open file; closed with the last reference."""

    def __init__(self, file: SqliteFile) -> None:
        self.pid = os.getpid()
        self._path = file.path
        self.database = file.connect(any_thread=True)
        self._inode = file.path.stat().st_ino
        self.close = weakref.finalize(self, _close, self.database, self.pid)

    def current(self) -> bool:
        """Whether the file is still the one at its path: somebody may have moved it away."""
        try:
            return self._path.stat().st_ino == self._inode
        except FileNotFoundError:
            return False


def _close(database: sqlite3.Connection, pid: int) -> None:
    if os.getpid() == pid:
        database.close()
    else:
        immortal(database)  # to close it in a child takes the file's locks from under what else is open there


def _purge(database: sqlite3.Connection, before: datetime.datetime) -> None:
    database.execute("DELETE FROM attempt WHERE at < ?", (iso(before),))
    database.execute("DELETE FROM feedback WHERE reply NOT IN (SELECT reply FROM attempt)")
