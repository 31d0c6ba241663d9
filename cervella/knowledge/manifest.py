"""What the index holds, in SQLite: the files, their chunks, and what it was built with. It decides what has changed."""

from __future__ import annotations

import hashlib
import sqlite3
import threading
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from cervella.errors import IndexDamagedError, IndexMissingError, KnowledgeError
from cervella.knowledge.chunking import Chunk
from cervella.knowledge.embedding import BuiltWith
from cervella.types import Status

__all__ = ["ChunkRow", "FileRow", "Manifest", "chunk_id"]

SCHEMA_VERSION = "1"
FILE_NAME = "manifest.sqlite"

_SCHEMA = """
CREATE TABLE meta (key TEXT PRIMARY KEY, value TEXT NOT NULL) WITHOUT ROWID;
CREATE TABLE files (
    path TEXT PRIMARY KEY, disk_path TEXT NOT NULL, sha256 TEXT NOT NULL, size INTEGER NOT NULL, title TEXT NOT NULL,
    role TEXT, project TEXT, date TEXT, status TEXT NOT NULL, local_only INTEGER NOT NULL
) WITHOUT ROWID;
CREATE TABLE chunks (
    id TEXT PRIMARY KEY, path TEXT NOT NULL REFERENCES files(path) ON DELETE CASCADE, ordinal INTEGER NOT NULL,
    start_line INTEGER NOT NULL, end_line INTEGER NOT NULL, heading TEXT NOT NULL, lead TEXT NOT NULL,
    text TEXT NOT NULL, embedded INTEGER NOT NULL DEFAULT 0
);
CREATE INDEX chunks_by_path ON chunks(path, ordinal);
CREATE INDEX chunks_pending ON chunks(id) WHERE embedded = 0;
"""
_FILE_COLUMNS = "path, disk_path, sha256, size, title, role, project, date, status, local_only"
_CHUNK_COLUMNS = "id, path, ordinal, start_line, end_line, heading, lead, text"


@dataclass(frozen=True, slots=True, kw_only=True)
class FileRow:
    """One indexed file."""

    path: str
    disk_path: str
    sha256: str
    size: int
    title: str
    role: str | None
    project: str | None
    date: str | None
    status: Status
    local_only: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class ChunkRow:
    """One chunk of an indexed file."""

    id: str
    path: str
    ordinal: int
    start_line: int
    end_line: int
    heading: str
    lead: str
    text: str


def chunk_id(path: str, chunk: Chunk, *, chunker: str, embedder: str) -> str:
    """The same for the same text at the same place of a file, however often it is computed: writes can be repeated.

    Line numbers are left out, so that a chunk that only moved keeps its vector.
    """
    parts = (path, str(chunk.ordinal), chunk.lead, chunk.text, chunker, embedder)
    return hashlib.sha256("\0".join(parts).encode("utf-8", "replace")).hexdigest()


class Manifest:
    """An open manifest. Usable from several threads, one at a time. A write is durable once its `with` block ends."""

    def __init__(self, connection: sqlite3.Connection, path: Path) -> None:
        self._connection = connection
        self._path = path
        self._lock = threading.RLock()

    @classmethod
    def create(cls, folder: Path) -> Manifest:
        """A new, empty one."""
        manifest = cls(_connect(folder / FILE_NAME, create=True), folder / FILE_NAME)
        with manifest._guard():
            manifest._connection.executescript(_SCHEMA)
            manifest.put_meta({"schema": SCHEMA_VERSION, "generation": "0"})
            manifest._connection.commit()
        return manifest

    @classmethod
    def open(cls, folder: Path) -> Manifest:
        """The one in a folder. Raises IndexMissingError, or IndexDamagedError where it is not one of ours."""
        path = folder / FILE_NAME
        if not path.is_file() and folder.is_dir():
            raise IndexDamagedError(
                f"The index at {str(folder)!r} has lost its manifest.",
                remedy="Build it anew with `cervella index --rebuild`.",
            )
        if not path.is_file():
            raise IndexMissingError(f"No index at {str(folder)!r}.", remedy="Build it with `cervella index`.")
        manifest = cls(_connect(path, create=False), path)
        try:
            with manifest._guard():
                version = manifest.meta("schema")
                if version != SCHEMA_VERSION:
                    raise IndexDamagedError(
                        f"The index at {str(folder)!r} has format {version!r}; this version reads {SCHEMA_VERSION!r}.",
                        remedy="Build it anew with `cervella index --rebuild`.",
                    )
        except KnowledgeError:
            manifest.close()
            raise
        return manifest

    def close(self) -> None:
        with self._lock:
            self._connection.close()

    def __enter__(self) -> Manifest:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    @contextmanager
    def _guard(self) -> Iterator[sqlite3.Connection]:
        with self._lock:
            try:
                yield self._connection
            except sqlite3.OperationalError as error:
                if "no such table" not in str(error) and "malformed" not in str(error):
                    raise KnowledgeError(
                        f"The index at {str(self._path)!r} can't be used: {error}.",
                        remedy="Check the free space and the rights of its folder, and that no other program holds it.",
                        code="index_unusable",
                    ) from error
                raise self._damaged(error) from error
            except sqlite3.DatabaseError as error:
                raise self._damaged(error) from error

    def _damaged(self, error: sqlite3.Error) -> IndexDamagedError:
        return IndexDamagedError(
            f"The index at {str(self._path)!r} is damaged: {error}.",
            remedy="Build it anew with `cervella index --rebuild`.",
        )

    @contextmanager
    def transaction(self) -> Iterator[None]:
        """All that is written inside, or nothing."""
        with self._guard() as connection:
            connection.execute("BEGIN IMMEDIATE")
            try:
                yield
                connection.execute("COMMIT")
            except BaseException:
                if connection.in_transaction:  # a full disk has ended it already
                    connection.execute("ROLLBACK")
                raise

    @contextmanager
    def snapshot(self) -> Iterator[None]:
        """All that is read inside is of one moment."""
        with self._guard() as connection:
            connection.execute("BEGIN")
            try:
                yield
            finally:
                connection.execute("ROLLBACK")

    @property
    def generation(self) -> int:
        """Grows whenever files or chunks change; a reader that loaded another one loads anew."""
        return int(self.meta("generation") or 0)

    def next_generation(self) -> None:
        self.put_meta({"generation": str(self.generation + 1)})

    @property
    def built_with(self) -> BuiltWith | None:
        """The embedder that the index was built with; None before its first commit."""
        name, fingerprint = self.meta("embedder"), self.meta("fingerprint")
        return BuiltWith(name=name, fingerprint=fingerprint) if name and fingerprint else None

    def meta(self, key: str) -> str | None:
        with self._guard() as connection:
            row = connection.execute("SELECT value FROM meta WHERE key = ?", (key,)).fetchone()
        return row[0] if row else None

    def put_meta(self, values: dict[str, str]) -> None:
        with self._guard() as connection:
            connection.executemany("INSERT OR REPLACE INTO meta VALUES (?, ?)", values.items())

    def files(self) -> dict[str, FileRow]:
        """The indexed files, by path."""
        with self._guard() as connection:
            rows = connection.execute(f"SELECT {_FILE_COLUMNS} FROM files ORDER BY path").fetchall()
        names = _FILE_COLUMNS.split(", ")
        made = (FileRow(**{**dict(zip(names, row, strict=True)), "local_only": bool(row[-1])}) for row in rows)
        return {row.path: row for row in made}

    def replace_file(self, file: FileRow, chunks: Sequence[ChunkRow], *, embedded: Iterable[str] = ()) -> None:
        """Put a file and its chunks in the place of what was there. Those in `embedded` have their vector already."""
        ready = frozenset(embedded)
        self.delete_file(file.path)
        with self._guard() as connection:
            connection.execute(
                f"INSERT INTO files ({_FILE_COLUMNS}) VALUES ({', '.join('?' * 10)})",
                [getattr(file, name) for name in _FILE_COLUMNS.split(", ")],
            )
            connection.executemany(
                f"INSERT INTO chunks ({_CHUNK_COLUMNS}, embedded) VALUES ({', '.join('?' * 9)})",
                [[*(getattr(row, name) for name in _CHUNK_COLUMNS.split(", ")), row.id in ready] for row in chunks],
            )

    def delete_file(self, path: str) -> None:
        with self._guard() as connection:
            connection.execute("DELETE FROM chunks WHERE path = ?", (path,))
            connection.execute("DELETE FROM files WHERE path = ?", (path,))

    def chunks(self, ids: Sequence[str] | None = None) -> list[ChunkRow]:
        """All chunks in order of path and ordinal, or those of these ids, in no order."""
        query = f"SELECT {_CHUNK_COLUMNS} FROM chunks"
        with self._guard() as connection:
            if ids is None:
                rows = connection.execute(f"{query} ORDER BY path, ordinal").fetchall()
            else:
                found = (connection.execute(f"{query} WHERE id = ?", (one,)).fetchone() for one in ids)
                rows = [row for row in found if row]
        names = _CHUNK_COLUMNS.split(", ")
        return [ChunkRow(**dict(zip(names, row, strict=True))) for row in rows]

    def places(self) -> list[tuple[str, str]]:
        """Id and path of every chunk, in order of path and ordinal: the order of the lexical index."""
        with self._guard() as connection:
            return connection.execute("SELECT id, path FROM chunks ORDER BY path, ordinal").fetchall()

    def ids(self, *, embedded: bool | None = None) -> set[str]:
        """The ids of all chunks, of those with a vector, or of those without."""
        where = "" if embedded is None else f" WHERE embedded = {int(embedded)}"
        with self._guard() as connection:
            return {row[0] for row in connection.execute(f"SELECT id FROM chunks{where}")}

    def count(self, *, embedded: bool | None = None) -> int:
        where = "" if embedded is None else f" WHERE embedded = {int(embedded)}"
        with self._guard() as connection:
            return int(connection.execute(f"SELECT count(*) FROM chunks{where}").fetchone()[0])

    def pending_paths(self) -> list[str]:
        """The files with chunks that have no vector yet."""
        with self._guard() as connection:
            query = "SELECT DISTINCT path FROM chunks WHERE embedded = 0 ORDER BY path"
            return [row[0] for row in connection.execute(query)]

    def mark(self, ids: Iterable[str], *, embedded: bool) -> None:
        """Note that these chunks have a vector, or have none."""
        with self.transaction(), self._guard() as connection:
            connection.executemany("UPDATE chunks SET embedded = ? WHERE id = ?", [(embedded, one) for one in ids])

    def check(self) -> None:
        """Raises IndexDamagedError where SQLite finds its file broken."""
        with self._guard() as connection:
            found = connection.execute("PRAGMA integrity_check").fetchone()[0]
            if found != "ok":
                raise self._damaged(sqlite3.DatabaseError(found))

    def copy_to(self, folder: Path) -> None:
        """A copy with nothing of what was deleted."""
        with self._guard() as connection:
            connection.execute("VACUUM INTO ?", (str(folder / FILE_NAME),))
        _connect(folder / FILE_NAME, create=True).close()


def _connect(path: Path, *, create: bool) -> sqlite3.Connection:
    try:
        connection = sqlite3.connect(path, isolation_level=None, check_same_thread=False, timeout=5)
        try:
            connection.execute("PRAGMA synchronous = FULL")
            connection.execute("PRAGMA secure_delete = ON")
            if create:
                connection.execute("PRAGMA journal_mode = WAL")
        except sqlite3.Error:
            connection.close()
            raise
    except sqlite3.Error as error:
        if isinstance(error, sqlite3.OperationalError) and "disk" in str(error):  # it is full, or it fails
            raise KnowledgeError(
                f"The index at {str(path)!r} can't be opened: {error}.",
                remedy="Check the free space and the rights of its folder, and that no other program holds it.",
                code="index_unusable",
            ) from error
        raise IndexDamagedError(
            f"The index at {str(path)!r} can't be opened: {error}.",
            remedy="Build it anew with `cervella index --rebuild`.",
        ) from error
    return connection
