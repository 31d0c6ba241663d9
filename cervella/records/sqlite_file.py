"""A SQLite file in WAL mode that appears whole, readable by its owner alone."""

from __future__ import annotations

import contextlib
import sqlite3
from collections.abc import Callable
from pathlib import Path

from cervella.privacy.files import FILE_MODE, make_private_folder
from cervella.process.forks import unforked

__all__ = ["create_whole"]


def create_whole(path: Path, lay_out: Callable[[sqlite3.Connection], None], *, seconds: float) -> None:
    """Make the file, unless somebody else does so first, who is waited for so many seconds.

    `lay_out` switches it to WAL and makes the tables; only then does it appear: of two that would switch a file to WAL
    at once, SQLite turns one away without waiting.
    Raises OSError and sqlite3.Error.
    """
    from filelock import FileLock  # 12 ms that only the first use pays

    make_private_folder(path.parent)
    with FileLock(path.with_name(path.name + ".lock"), timeout=seconds, mode=FILE_MODE):
        if path.exists():
            return
        for log in ("-wal", "-shm"):  # of a file that was moved away: SQLite would play it into this one
            path.with_name(path.name + log).unlink(missing_ok=True)
        fresh = path.with_name(path.name + ".new")
        fresh.unlink(missing_ok=True)  # of one that was killed here
        fresh.touch(mode=FILE_MODE)  # what people ask is nobody else's business; SQLite gives its logs the same rights
        with unforked, contextlib.closing(sqlite3.connect(fresh, isolation_level=None)) as database:
            lay_out(database)
        fresh.replace(path)
