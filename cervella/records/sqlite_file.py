"""A SQLite file in WAL mode that appears whole, readable by its owner alone."""

from __future__ import annotations

import contextlib
import sqlite3
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from cervella.errors import CervellaError
from cervella.process.files import draft_of, locked, make_private_folder, put_in_place
from cervella.process.forks import unforked

__all__ = ["SqliteFile", "storable", "transaction"]


@dataclass(frozen=True, slots=True, kw_only=True)
class SqliteFile:
    """Where the file is, what stands in it, and how its failures are told."""

    path: Path
    kind: type[CervellaError]
    """Of all errors that it raises."""
    called: str
    """In errors: `ledger`."""
    section: str
    """Of the configuration: its `path` names the file."""
    schema: str
    version: int
    busy_seconds: float
    """For which another process is waited for."""

    @contextlib.contextmanager
    def guarded(self) -> Iterator[None]:
        """What SQLite or the system refuses inside is an error of this file's kind."""
        try:
            yield
        except (sqlite3.Error, OSError) as error:
            raise self.kind(
                f"The {self.called} {str(self.path)!r} can't be used: {error}.",
                remedy="Check that the folder is writable and the disk not full; a damaged file can be moved away.",
            ) from error

    def create(self) -> None:
        """Make the file, unless it is there or somebody else makes it first. Raises OSError and sqlite3.Error.

        Only when it is in WAL mode and has its tables does it appear: of two that would switch a file to WAL at once,
        SQLite turns one away without waiting.
        """
        if self.path.exists():
            return
        make_private_folder(self.path.parent)
        with locked(self.path.with_name(self.path.name + ".lock"), seconds=self.busy_seconds):
            if self.path.exists():
                return
            for log in ("-wal", "-shm"):  # of a file that was moved away: SQLite would play it into this one
                self.path.with_name(self.path.name + log).unlink(missing_ok=True)
            with draft_of(self.path) as draft:  # SQLite gives its logs the mode of the file
                with unforked, contextlib.closing(sqlite3.connect(draft, isolation_level=None)) as database:
                    self._lay_out(database)
                put_in_place(draft, self.path)

    def _lay_out(self, database: sqlite3.Connection) -> None:
        database.execute("PRAGMA journal_mode = WAL")
        database.executescript(f"BEGIN IMMEDIATE; {self.schema} PRAGMA user_version = {self.version}; COMMIT;")

    def connect(self, *, any_thread: bool = False) -> sqlite3.Connection:
        """A connection to the file as it is."""
        return sqlite3.connect(
            self.path, timeout=self.busy_seconds, isolation_level=None, check_same_thread=not any_thread
        )

    def prepare(self, database: sqlite3.Connection) -> None:
        """Ready a connection that was just made."""
        database.execute("PRAGMA foreign_keys = ON")
        database.execute("PRAGMA secure_delete = ON")
        version = database.execute("PRAGMA user_version").fetchone()[0]
        if version > self.version:
            raise self.kind(
                f"A newer Cervella wrote the {self.called} {str(self.path)!r}.",
                remedy=f"Update Cervella, or name another file in [{self.section}] path.",
            )
        if version < self.version:
            self._lay_out(database)

    def clear(self, database: sqlite3.Connection) -> None:
        """Leave nothing of what was deleted in the file, nor in the log beside it, which keeps it else."""
        self.empty_log(database)
        database.execute("VACUUM")
        self.empty_log(database)

    def empty_log(self, database: sqlite3.Connection) -> None:
        """Bring the log into the file, and cut it to nothing."""
        if database.execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchone()[0]:
            raise self.kind(
                f"Another program is reading the {self.called} {str(self.path)!r}: deleted words would stay there.",
                remedy="End that program, then delete the session again.",
                code="deletion_unfinished",
            )


@contextlib.contextmanager
def transaction(database: sqlite3.Connection) -> Iterator[sqlite3.Connection]:
    """All that is written inside or nothing, and nobody else's writing between."""
    database.execute("BEGIN IMMEDIATE")
    with database:
        yield database


def storable(text: str) -> str:
    """Without what UTF-8 can't hold: half a surrogate pair out of a careless JSON."""
    return text.encode("utf-8", "replace").decode()
