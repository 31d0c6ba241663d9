"""Vectors that were made once, kept for every later index of this user: no text is embedded twice.

A vector is found by the SHA-256 of the text as it was embedded and by the embedder's fingerprint, so that a rebuild, a
renamed file and a fresh clone find it again, bit by bit. There is no text in the cache. It is a cache: whatever is
wrong with it is logged and costs time, and is never an error of the run that uses it.
"""

from __future__ import annotations

import contextlib
import hashlib
import logging
import os
import sqlite3
import zlib
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import platformdirs

from cervella.process.files import FILE_MODE, make_private_folder
from cervella.process.forks import unforked

if TYPE_CHECKING:
    import numpy as np

MAX_BYTES = 1 << 30
"""Of vectors: some 650,000 of 384 dimensions. Beyond it the oldest quarter goes."""

_FILE = "vectors-1.sqlite"  # a layout that changes takes another name
_BUSY_SECONDS = 30.0
_AT_ONCE = 500  # hashes in one statement
_LAYOUT = """
BEGIN IMMEDIATE;
CREATE TABLE IF NOT EXISTS vectors (
    text BLOB NOT NULL, embedder BLOB NOT NULL, vector BLOB NOT NULL, checksum INTEGER NOT NULL
);
CREATE UNIQUE INDEX IF NOT EXISTS vectors_key ON vectors (text, embedder);
PRAGMA user_version = 1;
COMMIT;
"""
_ENVIRONMENT = frozenset(
    {
        sqlite3.SQLITE_PERM,
        sqlite3.SQLITE_BUSY,
        sqlite3.SQLITE_LOCKED,
        sqlite3.SQLITE_NOMEM,
        sqlite3.SQLITE_READONLY,
        sqlite3.SQLITE_IOERR,
        sqlite3.SQLITE_FULL,
        sqlite3.SQLITE_CANTOPEN,
    }
)
"""What SQLite says of the machine; all else that it says is about the file."""

_logger = logging.getLogger("cervella")


def default_cache_folder() -> Path:
    """Where the cache of this user is, whatever the project: `~/.cache/cervella/embeddings` on Linux."""
    return platformdirs.user_cache_path("cervella") / "embeddings"


class EmbeddingCache:
    """Vectors by text and embedder, in one SQLite file of a folder of its own. Any number of processes may share it.

    `folder` is made when the first vector is put, for its owner alone (0700, its file 0600). Each call opens the file
    anew: a cache may be used from any thread, and after a fork.
    """

    def __init__(self, folder: str | os.PathLike[str], *, max_bytes: int = MAX_BYTES) -> None:
        self.folder = Path(folder)
        self._file = self.folder / _FILE
        self._max_bytes = max_bytes
        self._off = False

    def __repr__(self) -> str:
        return f"EmbeddingCache({str(self.folder)!r})"

    def get(self, fingerprint: str, texts: Sequence[str]) -> list[np.ndarray | None]:
        """The vector of each text, float32 of shape (dimensions,); None where this embedder has not embedded it."""
        found: dict[bytes, np.ndarray] = {}
        keys = [_hash(text) for text in texts]
        if keys:
            self._attempt(lambda database: found.update(_read(database, _embedder(fingerprint), keys)), create=False)
        return [found.get(key) for key in keys]

    def put(self, fingerprint: str, texts: Sequence[str], vectors: Sequence[np.ndarray] | np.ndarray) -> None:
        """Keep a vector for each text. It survives a power cut once this returns; what is there already stays."""
        import numpy as np

        embedder = _embedder(fingerprint)
        rows: list[tuple[bytes, bytes, bytes, int]] = []
        for text, vector in zip(texts, vectors, strict=True):
            if np.isfinite(vector).all():  # an embedder's accident is not kept
                key, data = _hash(text), np.asarray(vector, dtype="<f4").tobytes()
                rows.append((key, embedder, data, _checksum(key, embedder, data)))

        def write(database: sqlite3.Connection) -> None:
            with database:
                database.executemany("INSERT OR IGNORE INTO vectors VALUES (?, ?, ?, ?)", rows)
                self._make_room(database)

        if rows:
            self._attempt(write, create=True)

    def forget(self, texts: Sequence[str]) -> None:
        """Drop the vectors of these texts, of all embedders, and overwrite the bytes where they stood."""
        keys = [(_hash(text),) for text in texts]

        def drop(database: sqlite3.Connection) -> None:
            with database:
                database.executemany("DELETE FROM vectors WHERE text = ?", keys)

        if keys:
            self._attempt(drop, create=False)

    def _make_room(self, database: sqlite3.Connection) -> None:
        pages, free, size = (_pragma(database, name) for name in ("page_count", "freelist_count", "page_size"))
        if (pages - free) * size > self._max_bytes:
            oldest, newest = database.execute("SELECT min(rowid), max(rowid) FROM vectors").fetchone()
            database.execute("DELETE FROM vectors WHERE rowid <= ?", (oldest + (newest - oldest) // 4,))

    def _attempt(self, work: Callable[[sqlite3.Connection], None], *, create: bool) -> None:
        """Do it, or log why it can't be done. A damaged file is thrown away, and the work done with a fresh one."""
        for _ in range(2):
            if self._off:
                return
            try:
                if not self._file.exists():
                    if not create:
                        return
                    make_private_folder(self.folder)
                    self._file.touch(mode=FILE_MODE)  # SQLite gives its journal the same rights
                with _opened(self._file) as database:
                    work(database)
                return
            except (sqlite3.Error, _DamagedError) as error:
                code = getattr(error, "sqlite_errorcode", None)
                if code is not None and code & 0xFF in _ENVIRONMENT:
                    self._give_up(error)
                    return
                self._throw_away(error)
            except OSError as error:
                self._give_up(error)

    def _throw_away(self, error: Exception) -> None:
        _logger.warning("the embedding cache in %s is damaged (%s): thrown away, begun anew", self.folder, error)
        try:
            # Its journal first: it must never be played back into the file that comes next.
            self._file.with_name(f"{_FILE}-journal").unlink(missing_ok=True)
            self._file.unlink(missing_ok=True)
        except OSError as problem:
            self._give_up(problem)

    def _give_up(self, error: Exception) -> None:
        self._off = True
        _logger.warning("the embedding cache in %s can't be used, and is left aside: %s", self.folder, error)


@contextlib.contextmanager
def _opened(file: Path) -> Iterator[sqlite3.Connection]:
    with unforked, contextlib.closing(sqlite3.connect(file, timeout=_BUSY_SECONDS)) as database:
        database.execute("PRAGMA secure_delete = ON")
        if _pragma(database, "user_version") == 0:
            database.execute("PRAGMA page_size = 8192")  # five vectors of 384 dimensions to a page
            database.executescript(_LAYOUT)
        yield database


class _DamagedError(Exception):
    """The file reads well and holds nonsense."""


def _read(database: sqlite3.Connection, embedder: bytes, keys: Sequence[bytes]) -> dict[bytes, np.ndarray]:
    import numpy as np

    found: dict[bytes, np.ndarray] = {}
    for start in range(0, len(keys), _AT_ONCE):
        part = keys[start : start + _AT_ONCE]
        marks = ",".join("?" * len(part))
        rows = database.execute(
            f"SELECT text, vector, checksum FROM vectors WHERE embedder = ? AND text IN ({marks})", (embedder, *part)
        )
        for key, data, checksum in rows:  # a key that was found is one that was asked for
            # SQLite sees that a page is broken, not that a number in it has changed.
            if not isinstance(data, bytes) or checksum != _checksum(key, embedder, data):
                raise _DamagedError("a vector is not the one that was put there")
            found[key] = np.frombuffer(data, dtype="<f4").astype(np.float32)
    return found


def _hash(text: str) -> bytes:
    return hashlib.sha256(text.encode("utf-8", "surrogatepass")).digest()


def _embedder(fingerprint: str) -> bytes:
    return hashlib.sha256(fingerprint.encode("utf-8", "surrogatepass")).digest()[:16]


def _checksum(key: bytes, embedder: bytes, data: bytes) -> int:
    return zlib.crc32(key + embedder + data)


def _pragma(database: sqlite3.Connection, name: str) -> int:
    return int(database.execute(f"PRAGMA {name}").fetchone()[0])
