"""A SQLite file in WAL mode that appears whole, readable by its owner alone."""

from __future__ import annotations

import contextlib
import sqlite3
from collections.abc import Callable
from pathlib import Path

from cervella.process.files import draft_of, locked, make_private_folder, put_in_place
from cervella.process.forks import unforked

__all__ = ["create_whole"]


def create_whole(path: Path, lay_out: Callable[[sqlite3.Connection], None], *, seconds: float) -> None:
    """Make the file, unless somebody else does so first, who is waited for so many seconds.

    `lay_out` switches it to WAL and makes the tables; only then does it appear: of two that would switch a file to WAL
    at once, SQLite turns one away without waiting.
    Raises OSError and sqlite3.Error.
    """
    make_private_folder(path.parent)
    with locked(path.with_name(path.name + ".lock"), seconds=seconds):
        if path.exists():
            return
        for log in ("-wal", "-shm"):  # of a file that was moved away: SQLite would play it into this one
            path.with_name(path.name + log).unlink(missing_ok=True)
        with draft_of(path) as draft:  # what people ask is nobody else's business; SQLite gives its logs the same mode
            with unforked, contextlib.closing(sqlite3.connect(draft, isolation_level=None)) as database:
                lay_out(database)
            put_in_place(draft, path)
