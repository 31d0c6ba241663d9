"""Opens a SQLite file in WAL mode. The file is created atomically and readable only by its owner."""

from __future__ import annotations

import contextlib
import sqlite3
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from cervella.errors import CervellaError
from cervella.process.files import check_regular, draft_of, locked, make_private_folder, put_in_place
from cervella.process.forks import unforked


@dataclass(frozen=True, slots=True, kw_only=True)
class SqliteFile:
    """A SQLite file: its path, its tables, and the wording of its errors."""

    path: Path
    kind: type[CervellaError]
    """The class of the errors that the methods raise."""
    called: str
    """The name of the file in error messages, for example `ledger`."""
    section: str
    """The section of the configuration in which the key `path` names the file."""
    schema: str
    """SQL that creates the tables."""
    version: int
    """Version of the schema. A file with a higher version is refused."""
    busy_seconds: float
    """Seconds to wait for another process that is writing."""
    migrations: Mapping[int, Sequence[str]] = field(default_factory=dict)
    """SQL statements by the version that they lead to, from the version before."""

    @contextlib.contextmanager
    def guarded(self) -> Iterator[None]:
        """Turn an error of SQLite or of the operating system inside the block into an error of the class `kind`."""
        try:
            yield
        except (sqlite3.Error, OSError) as error:
            raise self.kind(
                f"The {self.called} {str(self.path)!r} can't be used: {error}.",
                remedy="Check that the folder is writable and the disk not full; a damaged file can be moved away.",
            ) from error

    def create(self) -> None:
        """Create the file if it does not exist. Raises OSError and sqlite3.Error.

        The file appears only in WAL mode and with its tables: if two processes switched it to WAL at the same time,
        SQLite would fail in one of them without waiting.
        """
        if self.path.exists():
            return
        make_private_folder(self.path.parent)
        with locked(self.path.with_name(self.path.name + ".lock"), seconds=self.busy_seconds):
            if self.path.exists():
                return
            for log in ("-wal", "-shm"):  # the log of a file that was moved away: SQLite would apply it to the new file
                self.path.with_name(self.path.name + log).unlink(missing_ok=True)
            with draft_of(self.path) as draft:  # SQLite gives its logs the same access mode
                with unforked, contextlib.closing(sqlite3.connect(draft, isolation_level=None)) as database:
                    self._lay_out(database)
                put_in_place(draft, self.path)

    def _lay_out(self, database: sqlite3.Connection) -> None:
        database.execute("PRAGMA journal_mode = WAL")
        database.executescript(f"BEGIN IMMEDIATE; {self.schema} PRAGMA user_version = {self.version}; COMMIT;")

    def connect(self, *, any_thread: bool = False) -> sqlite3.Connection:
        """Open a new connection. Call `prepare` with it before any other use.

        With `any_thread`, other threads may use the connection too. Raises OSError if the file is a link or a pipe.
        """
        check_regular(self.path)
        return sqlite3.connect(
            self.path, timeout=self.busy_seconds, isolation_level=None, check_same_thread=not any_thread
        )

    def prepare(self, database: sqlite3.Connection) -> None:
        """Configure a new connection and check the schema version."""
        database.execute("PRAGMA foreign_keys = ON")
        database.execute("PRAGMA secure_delete = ON")
        database.execute("PRAGMA trusted_schema = OFF")
        # A view can compute for ever, and a trigger can delete what it does not show.
        if database.execute("SELECT 1 FROM sqlite_master WHERE type IN ('view', 'trigger')").fetchone():
            raise self.kind(
                f"The {self.called} {str(self.path)!r} has views or triggers, which cervella does not make.",
                remedy=f"Move it away, or name another file in [{self.section}] path.",
            )
        version = database.execute("PRAGMA user_version").fetchone()[0]
        if version > self.version:
            raise self.kind(
                f"A newer Cervella wrote the {self.called} {str(self.path)!r}.",
                remedy=f"Update Cervella, or name another file in [{self.section}] path.",
            )
        if version and version < self.version:
            self._migrate(database)
        elif not version:
            self._lay_out(database)

    def _migrate(self, database: sqlite3.Connection) -> None:
        with transaction(database):
            version = database.execute("PRAGMA user_version").fetchone()[0]  # another process may have done it
            for number in range(version + 1, self.version + 1):
                for statement in self.migrations.get(number, ()):
                    database.execute(statement)
            database.execute(f"PRAGMA user_version = {max(version, self.version)}")

    def clear(self, database: sqlite3.Connection) -> None:
        """Erase deleted rows from the file and from SQLite's log."""
        self.empty_log(database)
        database.execute("VACUUM")
        self.empty_log(database)

    def empty_log(self, database: sqlite3.Connection) -> None:
        """Write SQLite's log into the file, and truncate the log."""
        if database.execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchone()[0]:
            raise self.kind(
                f"Another program is reading the {self.called} {str(self.path)!r}: deleted text would stay in it.",
                remedy="End that program, then delete the session again.",
                code="deletion_unfinished",
            )


@contextlib.contextmanager
def transaction(database: sqlite3.Connection) -> Iterator[sqlite3.Connection]:
    """Run the block in a transaction: either all of its writes happen or none, and no other process writes between
    them."""
    database.execute("BEGIN IMMEDIATE")
    with database:
        yield database


def storable(text: str) -> str:
    """The text with lone surrogates replaced, which UTF-8 can't encode. They come from faulty JSON."""
    return text.encode("utf-8", "replace").decode()
