"""Stores vectors in a cache that all indexes of this user share, so that no text is embedded twice.

The key is the SHA-256 of the embedded text and the embedder's fingerprint, so a rebuild, a renamed file and a fresh
clone find the same vectors. The cache contains no text. Problems with it are logged, and never raise an error.
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
"""Maximum size of the cache, about 650,000 vectors of 384 dimensions. Above it the oldest quarter is deleted."""

_FILE = "vectors-1.sqlite"  # the number changes with the schema
_BUSY_SECONDS = 30.0  # timeout for another process's lock
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
"""SQLite errors that are caused by the machine, such as a full disk: the cache is then not used any more.

All other errors mean that the file is damaged: it is then deleted and built again.
"""

_logger = logging.getLogger("cervella")


def default_cache_folder() -> Path:
    """The folder of this user's cache, shared by all projects: `~/.cache/cervella/embeddings` on Linux."""
    return platformdirs.user_cache_path("cervella") / "embeddings"


class EmbeddingCache:
    """Stores vectors, by text and embedder, in one SQLite file. Several processes may use the same file.

    `folder` is created with the first vector, readable by its owner only (0700, the file 0600). If the file grows
    larger than `max_bytes`, its oldest quarter is deleted. Each call opens the file, so a cache may be used in any
    thread and after a fork.
    """

    def __init__(self, folder: str | os.PathLike[str], *, max_bytes: int = MAX_BYTES) -> None:
        self.folder = Path(folder)
        self._file = self.folder / _FILE
        self._max_bytes = max_bytes
        self._off = False

    def __repr__(self) -> str:
        return f"EmbeddingCache({str(self.folder)!r})"

    def get(self, fingerprint: str, texts: Sequence[str]) -> list[np.ndarray | None]:
        """The cached vector of each text, float32 of shape (dimensions,); None for a text without one.

        `fingerprint` is that of the embedder that made the vectors.
        """
        found: dict[bytes, np.ndarray] = {}
        keys = [_hash(text) for text in texts]
        if keys:
            self._attempt(lambda database: found.update(_read(database, _embedder(fingerprint), keys)), create=False)
        return [found.get(key) for key in keys]

    def put(self, fingerprint: str, texts: Sequence[str], vectors: Sequence[np.ndarray] | np.ndarray) -> None:
        """Store a vector for each text, made by the embedder with this fingerprint.

        A vector that is already cached is not replaced. One that is not finite is not stored.
        """
        import numpy as np

        embedder = _embedder(fingerprint)
        rows: list[tuple[bytes, bytes, bytes, int]] = []
        for text, vector in zip(texts, vectors, strict=True):
            if np.isfinite(vector).all():  # a failed embedding is not cached
                key, data = _hash(text), np.asarray(vector, dtype="<f4").tobytes()
                rows.append((key, embedder, data, _checksum(key, embedder, data)))

        def write(database: sqlite3.Connection) -> None:
            with database:
                database.executemany("INSERT OR IGNORE INTO vectors VALUES (?, ?, ?, ?)", rows)
                self._make_room(database)

        if rows:
            self._attempt(write, create=True)

    def forget(self, texts: Sequence[str]) -> None:
        """Delete the vectors of these texts for all embedders, and overwrite their bytes."""
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
        """Run `work` with the database, or log why it failed.

        A damaged file is deleted, and `work` is tried once more. `create` makes a missing file; without it nothing is
        run if the file is missing.
        """
        for _ in range(2):
            if self._off:
                return
            try:
                if not self._file.exists():
                    if not create:
                        return
                    make_private_folder(self.folder)
                    self._file.touch(mode=FILE_MODE)  # SQLite gives its journal the same mode
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
        _logger.warning(
            "the embedding cache in %s is damaged (%s): it was deleted and is built again", self.folder, error
        )
        try:
            # The journal first: SQLite must never apply it to the new file.
            self._file.with_name(f"{_FILE}-journal").unlink(missing_ok=True)
            self._file.unlink(missing_ok=True)
        except OSError as problem:
            self._give_up(problem)

    def _give_up(self, error: Exception) -> None:
        self._off = True
        _logger.warning("the embedding cache in %s can't be used and is ignored: %s", self.folder, error)


@contextlib.contextmanager
def _opened(file: Path) -> Iterator[sqlite3.Connection]:
    with unforked, contextlib.closing(sqlite3.connect(file, timeout=_BUSY_SECONDS)) as database:
        database.execute("PRAGMA secure_delete = ON")
        if _pragma(database, "user_version") == 0:
            database.execute("PRAGMA page_size = 8192")  # a page has five vectors of 384 dimensions
            database.executescript(_LAYOUT)
        yield database


class _DamagedError(Exception):
    """The error for a vector that fails its checksum in a file that SQLite can read."""


def _read(database: sqlite3.Connection, embedder: bytes, keys: Sequence[bytes]) -> dict[bytes, np.ndarray]:
    import numpy as np

    found: dict[bytes, np.ndarray] = {}
    for start in range(0, len(keys), _AT_ONCE):
        part = keys[start : start + _AT_ONCE]
        placeholders = ",".join("?" * len(part))
        rows = database.execute(
            f"SELECT text, vector, checksum FROM vectors WHERE embedder = ? AND text IN ({placeholders})",
            (embedder, *part),
        )
        for key, data, checksum in rows:
            # SQLite detects a malformed page, but not a changed byte in a vector.
            if not isinstance(data, bytes) or checksum != _checksum(key, embedder, data):
                raise _DamagedError("a vector fails its checksum")
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
