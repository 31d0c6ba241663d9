"""Keeps the ledger: one row for every call of an engine, in one SQLite file.

By default it keeps no text of questions.
"""

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
from cervella.privacy.stored import quoted
from cervella.process.files import make_private_folder
from cervella.process.forks import ForkLock, immortal, unforked
from cervella.records.ledger.budget import Limit
from cervella.records.ledger.rows import COLUMNS, INSERT, SCHEMA, SCHEMA_VERSION, Feedback, Row, as_row, iso, stored
from cervella.records.sqlite_file import SqliteFile, storable, transaction

_BUSY_SECONDS = 5.0
_RESERVED = datetime.timedelta(hours=1)
"""An older reservation counts no more: its process was probably killed before the call was recorded."""

_SPENT = "SELECT sum(CAST(round(coalesce(cost_usd, estimate_usd) * 1e12) AS INTEGER)) FROM attempt WHERE at >= ?"
"""Sum of costs in whole 10^-12 dollars, which SQLite adds exactly. A call of unknown cost counts with its estimate."""


class Ledger:
    """The calls of engines in one file. Thread-safe, and safe for several processes (SQLite in WAL mode).

    The file is opened by the first method call. Methods raise LedgerError if the file can't be used.
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
        """Write calls that ended, and release the reservations with these numbers, in one transaction."""
        with self._connected(write=True) as database:
            database.executemany(INSERT, [[stored(getattr(row, name)) for name in COLUMNS] for row in rows])
            database.executemany("DELETE FROM reservation WHERE number = ?", [(number,) for number in reserved])

    def reserve(self, brain: str, usd: Decimal, limits: Sequence[Limit]) -> int:
        """Reserve the estimated cost of a call. Returns the number of the reservation, by which `record` or `release`
        ends it.

        Raises BudgetError if the amounts spent, the reservations of all processes and this call could exceed a limit.
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
        """Raises BudgetError if a call with the estimated cost `usd` could exceed a limit now. Reserves nothing."""
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
        """Keep the text of an answer in the row of the call that generated it."""
        with self._connected(write=True) as database:
            database.execute(
                "UPDATE attempt SET answer = ? WHERE number = (SELECT max(number) FROM attempt WHERE reply = ?)",
                (storable(text), reply),
            )

    def add_feedback(self, reply: str, *, good: bool, note: str | None = None) -> None:
        """Keep a person's judgement of a reply; it replaces an earlier one.

        Raises LedgerError if the ledger has no call for this reply.
        """
        with self._connected(write=True) as database:
            if not database.execute("SELECT 1 FROM attempt WHERE reply = ? LIMIT 1", (storable(reply),)).fetchone():
                raise LedgerError(
                    f"The ledger holds no reply {quoted(reply, 40)}.",
                    remedy="Give a Reply of this agent, or its id; [ledger] enabled must be true when it is made.",
                    code="reply_missing",
                )
            database.execute(
                "INSERT OR REPLACE INTO feedback VALUES (?, ?, ?, ?)", (reply, iso(), int(good), stored(note))
            )

    # Reading

    def rows(self, since: datetime.datetime | None = None) -> list[Row]:
        """The calls that ended at the time `since` or later, oldest first; all calls for None."""
        with self._existing() as database:
            found = database and database.execute(
                f"SELECT {', '.join(COLUMNS)} FROM attempt WHERE at >= ? ORDER BY at, number",
                ("" if since is None else iso(since),),
            )
            return [as_row(values) for values in found or ()]

    def feedback(self) -> list[Feedback]:
        """The judgements of all replies, oldest first."""
        with self._existing() as database:
            found = database and database.execute("SELECT at, reply, good, note FROM feedback ORDER BY at, reply")
            return [Feedback(at=at, reply=reply, good=bool(good), note=note) for at, reply, good, note in found or ()]

    def spent(self, limit: Limit) -> Decimal:
        """US dollars spent in the present period of a limit; a call of unknown cost counts with its estimate."""
        with self._existing() as database:
            return self._spent(database, limit, datetime.datetime.now(datetime.UTC)) if database else Decimal(0)

    def _spent(self, database: sqlite3.Connection, limit: Limit, now: datetime.datetime) -> Decimal:
        since = iso(limit.since(now))
        only = ("", (since,)) if limit.brain is None else (" AND brain = ?", (since, storable(limit.brain)))
        return Decimal(database.execute(_SPENT + only[0], only[1]).fetchone()[0] or 0).scaleb(-12).normalize() + 0

    # Deleting

    def release(self, reserved: Sequence[int]) -> None:
        """Release the reservations of calls that were not made."""
        self.record((), reserved=reserved)

    def forget(self, session: str) -> None:
        """Erase the texts, notes and name of a session from its calls. Their costs stay."""
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
        """Delete the calls that ended before this time, and their feedback."""
        with self._connected(write=True) as database:
            _purge(database, before)

    # The file

    def close(self) -> None:
        """Close the file. The next method call opens it again."""
        with self._lock:
            if self._open is not None:
                self._open.close()
                self._open = None

    @contextlib.contextmanager
    def _existing(self) -> Iterator[sqlite3.Connection | None]:
        """A connection to the file; None if the file does not exist. The file is not created."""
        if not self.path.exists():
            yield None
            return
        with self._connected() as database:
            yield database

    @contextlib.contextmanager
    def _connected(self, *, write: bool = False) -> Iterator[sqlite3.Connection]:
        """The connection to the file, which is created if it does not exist.

        Only one thread has it at a time. With `write`, the block is a transaction.
        """
        if self._open is not None and self._open.pid != os.getpid():
            self._open = None  # forked without Python's fork hooks: the connection belongs to the parent
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
            # A crash of the machine may lose the last rows, but does not damage the file.
            opened.database.execute("PRAGMA synchronous = NORMAL")
            if self._keep_days is not None:
                with transaction(opened.database) as database:
                    _purge(database, datetime.datetime.now(datetime.UTC) - datetime.timedelta(days=self._keep_days))
        except BaseException:
            opened.close()
            raise
        return opened


class _Open:
    """An open connection, which closes when it is garbage-collected."""

    def __init__(self, file: SqliteFile) -> None:
        self.pid = os.getpid()
        self._path = file.path
        self.database = file.connect(any_thread=True)
        self._inode = file.path.stat().st_ino
        self.close = weakref.finalize(self, _close, self.database, self.pid)

    def current(self) -> bool:
        """Whether the path still leads to the file that is open. It does not if the file was moved away or deleted."""
        try:
            return self._path.stat().st_ino == self._inode
        except FileNotFoundError:
            return False


def _close(database: sqlite3.Connection, pid: int) -> None:
    if os.getpid() == pid:
        database.close()
    else:
        immortal(database)  # closing it in a child process would release the locks of other connections to the file


def _purge(database: sqlite3.Connection, before: datetime.datetime) -> None:
    database.execute("DELETE FROM attempt WHERE at < ?", (iso(before),))
    database.execute("DELETE FROM feedback WHERE reply NOT IN (SELECT reply FROM attempt)")
