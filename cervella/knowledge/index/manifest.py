"""Reads and writes the manifest of an index: a SQLite database of its files, their chunks, and the index's settings."""

from __future__ import annotations

import hashlib
import json
import sqlite3
import zlib
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from itertools import zip_longest
from pathlib import Path
from typing import Any, TypeVar

from cervella.errors import IndexDamagedError, IndexMissingError, KnowledgeError
from cervella.knowledge.documents.chunking import Chunk
from cervella.knowledge.documents.front_matter import Value
from cervella.knowledge.documents.markdown import split_lines
from cervella.knowledge.embedders.registry import BuiltWith
from cervella.knowledge.index.manifest_check import file_facts, inflated, problem_of
from cervella.knowledge.index.supersession import successors
from cervella.process.forks import ForkLock, unforked
from cervella.text.markdown import Fence, line_fences, with_whole_fences
from cervella.types import Status

SCHEMA_VERSION = 4
FILE_NAME = "manifest.sqlite"

# A file's text is stored once; a chunk is a range of its lines. `reading` is what is read in them, NULL if that is the
# text; a chunk is a range of its characters. `about` has the fields of `_ABOUT` as JSON. `stems` lists the stems of
# each chunk, one per line, each followed by the stems of its subjects after tabs; it is NULL without chunks.
_SCHEMA = """
CREATE TABLE meta (key TEXT PRIMARY KEY, value TEXT NOT NULL) WITHOUT ROWID;
CREATE TABLE files (
    number INTEGER PRIMARY KEY, path TEXT NOT NULL UNIQUE, disk_path TEXT NOT NULL, sha256 TEXT NOT NULL,
    size INTEGER NOT NULL, title TEXT NOT NULL, role TEXT, project TEXT, date TEXT, status TEXT NOT NULL,
    local_only INTEGER NOT NULL, about TEXT NOT NULL, text BLOB NOT NULL, reading BLOB, stems BLOB
);
CREATE TABLE chunks (
    file INTEGER NOT NULL REFERENCES files(number), ordinal INTEGER NOT NULL, id TEXT NOT NULL UNIQUE,
    parent INTEGER NOT NULL, start_line INTEGER NOT NULL, end_line INTEGER NOT NULL, heading TEXT NOT NULL,
    lead TEXT NOT NULL, reading_start INTEGER NOT NULL, reading_end INTEGER NOT NULL,
    embedded INTEGER NOT NULL DEFAULT 0, common_component REAL, PRIMARY KEY (file, ordinal)
) WITHOUT ROWID;
CREATE INDEX chunks_pending ON chunks(file) WHERE embedded = 0;
"""
_FILE_COLUMNS = ("path", "disk_path", "sha256", "size", "title", "role", "project", "date", "status", "local_only")
_ABOUT = ("document", "tags", "aliases", "meta", "links", "points", "session", "supersedes", "superseded_by")
_CHUNK_COLUMNS = (
    *("id", "path", "ordinal", "parent", "start_line", "end_line", "heading", "lead"),
    *("reading_start", "reading_end"),
)
_CHUNKS = f"SELECT {', '.join(_CHUNK_COLUMNS)} FROM chunks JOIN files ON file = number"
_Held = TypeVar("_Held")
_CACHED_TEXTS = 64  # files whose lines stay in memory


@dataclass(frozen=True, slots=True, kw_only=True)
class FileRow:
    """One indexed file. Its fields are explained at `FoundFile`, `Source` and `DocumentFacts`."""

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
    document: str = ""
    """A digest that all copies of the file have, see `document_digest`; empty in an index of an earlier version."""
    tags: tuple[str, ...] = ()
    aliases: tuple[str, ...] = ()
    meta: Mapping[str, Value] = field(default_factory=dict)
    links: tuple[str, ...] = ()
    session: str | None = None
    supersedes: tuple[str, ...] = ()
    superseded_by: tuple[str, ...] = ()
    successors: tuple[str, ...] = ()
    """The paths of the files that supersede this one. It is not stored: what the other files say decides."""
    points: bool = False
    """Whether the file mostly links to others, as an index note does."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ChunkRow:
    """One chunk of an indexed file. Its other fields are explained at `Chunk`."""

    id: str
    """See `chunk_id`."""
    path: str
    """The file's path."""
    ordinal: int
    parent: int
    """The number of the passage within the file, from 0. Adjacent chunks with the same number form a passage."""
    start_line: int
    end_line: int
    heading: str
    lead: str
    reading_start: int
    reading_end: int
    text: str
    reading: str


def chunk_id(path: str, chunk: Chunk, *, chunker: str, embedder: str) -> str:
    """A chunk's identifier: 32 hexadecimal digits of a hash of its path, ordinal, lead and reading.

    `chunker`, the version of the chunking rules, and `embedder`, the fingerprint of the embedder, are hashed too. Line
    numbers are left out, so that a chunk that only moved within its file keeps its vector.
    """
    parts = (path, str(chunk.ordinal), chunk.lead, chunk.reading, chunker, embedder)
    return hashlib.sha256("\0".join(parts).encode("utf-8", "replace")).hexdigest()[:32]


class Manifest:
    """An open manifest. Threads may share it; calls are serialised."""

    def __init__(self, connection: sqlite3.Connection, path: Path) -> None:
        self._connection = connection
        self._path = path
        self._lock = ForkLock()
        self._texts: dict[str, list[str]] = {}
        self._readings: dict[str, tuple[str, Sequence[Fence]]] = {}

    @classmethod
    def create(cls, folder: Path) -> Manifest:
        """Create an empty manifest in a folder."""
        manifest = cls._edit(folder)
        with manifest._guard():
            manifest._connection.executescript(_SCHEMA)
        return manifest

    @classmethod
    def open(cls, folder: Path) -> Manifest:
        """Open the manifest of a published generation for reading. Raises IndexMissingError, IndexDamagedError."""
        path = folder / FILE_NAME
        if not path.is_file():
            if folder.is_dir():
                raise damaged("manifest of the index", path, "it is gone")
            raise IndexMissingError(f"No index at {str(folder)!r}.", remedy="Build it with `cervella index`.")
        # A published manifest is never written again; immutable=1 spares SQLite its lock and journal files.
        manifest = cls(_connect(f"{path.absolute().as_uri()}?mode=ro&immutable=1", path), path)
        try:
            with manifest._guard() as connection:  # SQLite opens any file without an error; only a query fails
                problem = problem_of(connection, _SCHEMA)
            if problem:
                raise damaged("manifest of the index", path, problem)
        except BaseException:
            manifest.close()
            raise
        return manifest

    @classmethod
    def copy(cls, source: Path, folder: Path) -> Manifest:
        """Copy the manifest in the folder `source` to `folder`, and open the copy for writing."""
        manifest = cls._edit(folder)
        try:
            with cls.open(source) as original, original._guard(), manifest._guard():
                original._connection.backup(manifest._connection)
        except BaseException:
            manifest.close()
            raise
        return manifest

    @classmethod
    def _edit(cls, folder: Path) -> Manifest:
        path = folder / FILE_NAME
        connection = _connect(f"{path.absolute().as_uri()}?mode=rwc", path)
        # If the writer dies, the unpublished generation is deleted; publishing flushes it to disk as a whole.
        connection.execute("PRAGMA journal_mode = MEMORY")
        connection.execute("PRAGMA synchronous = OFF")
        connection.execute("PRAGMA secure_delete = ON")
        return cls(connection, path)

    def close(self) -> None:
        with self._lock:
            self._connection.close()

    def __enter__(self) -> Manifest:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    @contextmanager
    def _guard(self) -> Iterator[sqlite3.Connection]:
        with unforked, self._lock:
            try:
                yield self._connection
            except (sqlite3.Error, zlib.error, UnicodeDecodeError, OverflowError) as error:
                damage = any(sign in str(error) for sign in ("no such table", "no such column", "malformed"))
                if isinstance(error, sqlite3.OperationalError) and not damage:
                    raise _unusable(self._path, error) from error
                raise damaged("manifest of the index", self._path, str(error)) from error

    def _rows(self, query: str, *values: Any) -> list[Any]:
        with self._guard() as connection:
            return connection.execute(query, values).fetchall()

    @contextmanager
    def transaction(self) -> Iterator[None]:
        """Run the block in a transaction: an exception undoes all writes."""
        with self._guard() as connection:
            connection.execute("BEGIN IMMEDIATE")
            try:
                yield
                connection.execute("COMMIT")
            except BaseException:
                if connection.in_transaction:  # SQLite ends it by itself if the disk is full
                    connection.execute("ROLLBACK")
                raise

    @property
    def built_with(self) -> BuiltWith | None:
        """The embedder that the index was built with; None before the first update."""
        name, fingerprint = self.meta("embedder"), self.meta("fingerprint")
        return BuiltWith(name=name, fingerprint=fingerprint) if name and fingerprint else None

    def meta(self, key: str) -> str | None:
        rows = self._rows("SELECT value FROM meta WHERE key = ?", key)
        return rows[0][0] if rows else None

    def read_meta(self, key: str, read: Callable[[str | None], _Held]) -> _Held:
        """What `read` makes of a text of the table `meta`. Raises IndexDamagedError if it can't make anything of it."""
        try:
            return read(self.meta(key))
        except (ValueError, TypeError, LookupError, AttributeError, RecursionError, OverflowError) as error:
            raise damaged("manifest of the index", self._path, f"{key!r} can't be read") from error

    def put_meta(self, values: Mapping[str, str]) -> None:
        with self._guard() as connection:
            connection.executemany("INSERT OR REPLACE INTO meta VALUES (?, ?)", values.items())

    def files(self) -> dict[str, FileRow]:
        """The files by path, in its order. A file that another one supersedes has the status `superseded`."""
        rows = self._rows(f"SELECT {', '.join(_FILE_COLUMNS)}, about FROM files ORDER BY path")
        try:
            files = {row.path: row for row in map(_file_row, rows)}
        except ValueError as error:
            raise damaged("manifest of the index", self._path, str(error)) from error
        for path, others in successors(files).items():
            status: Status = "superseded" if files[path].status == "current" else files[path].status
            files[path] = replace(files[path], status=status, successors=others)
        return files

    def replace_file(
        self,
        file: FileRow,
        text: str,
        chunks: Sequence[ChunkRow],
        stems: Sequence[Sequence[str]],
        *,
        subjects: Sequence[Sequence[Sequence[str]]] = (),
        reading: str | None = None,
        embedded: Iterable[str] = (),
    ) -> None:
        """Store a file and its chunks, replacing an earlier version of the file.

        `text` is the file's text with secrets masked; `reading` what is read in it, or None if that is the same.
        `stems` has one list per chunk; `subjects` one list of lists, or is empty. `embedded` are the ids of chunks with
        a stored vector.
        """
        ready = frozenset(embedded)
        self.delete_file(file.path)
        lines = split_lines(text)
        whole = "\n".join(lines)
        read = None if reading is None or reading == whole else zlib.compress(reading.encode())
        about = json.dumps({name: value for name in _ABOUT if (value := getattr(file, name))}, ensure_ascii=False)
        names = (*_FILE_COLUMNS, "about", "text", "reading", "stems")
        parts = zip_longest(stems, subjects, fillvalue=())
        each = ("\t".join(map(" ".join, (own, *named))) for own, named in parts)
        stem_lines = zlib.compress("\n".join(each).encode(), 1) if chunks else None
        with self._guard() as connection:
            number = connection.execute(
                f"INSERT INTO files ({', '.join(names)}) VALUES ({', '.join('?' * len(names))})",
                [
                    *(getattr(file, name) for name in _FILE_COLUMNS),
                    *(about, zlib.compress(whole.encode()), read, stem_lines),
                ],
            ).lastrowid
            columns = [name for name in _CHUNK_COLUMNS if name != "path"]
            connection.executemany(
                f"INSERT INTO chunks (file, embedded, {', '.join(columns)}) VALUES (?, ?{', ?' * len(columns)})",
                [(number, row.id in ready, *(getattr(row, name) for name in columns)) for row in chunks],
            )

    def delete_file(self, path: str) -> None:
        self._texts.pop(path, None)
        self._readings.pop(path, None)
        with self._guard() as connection:
            connection.execute("DELETE FROM chunks WHERE file = (SELECT number FROM files WHERE path = ?)", (path,))
            connection.execute("DELETE FROM files WHERE path = ?", (path,))

    def lines(self, path: str, start: int, end: int) -> str:
        """Lines `start` to `end` of an indexed file, 1-based, inclusive, joined by \\n; empty if they do not exist."""
        with self._guard() as connection:
            held = self._texts.get(path)
            if held is None:
                row = connection.execute("SELECT text FROM files WHERE path = ?", (path,)).fetchone()
                held = inflated(row[0]).split("\n") if row else []
                _keep(self._texts, path, held)
        return "\n".join(held[start - 1 : end])

    def reading(self, path: str, start: int, end: int) -> str:
        """Characters `start` to `end` of what is read in an indexed file, from 0, exclusive; empty without the file."""
        return self._reading(path)[0][start:end]

    def passage(self, path: str, start: int, end: int) -> str:
        """The same without blank lines around it. A part of a fence is a fence of its own."""
        text, fences = self._reading(path)
        return with_whole_fences(text, start, end, fences)

    def _reading(self, path: str) -> tuple[str, Sequence[Fence]]:
        """What is read in a whole file, and the fences in it."""
        with self._guard() as connection:
            held = self._readings.get(path)
            if held is None:
                query = "SELECT coalesce(reading, text) FROM files WHERE path = ?"
                row = connection.execute(query, (path,)).fetchone()
                text = inflated(row[0]) if row else ""
                held = text, line_fences(text)
                _keep(self._readings, path, held)
        return held

    def chunks(self, ids: Sequence[str] | None = None) -> list[ChunkRow]:
        """All chunks in the order of path and ordinal, or the chunks with these ids in the order of `ids`."""
        if ids is None:
            return list(map(self._row, self._rows(f"{_CHUNKS} ORDER BY path, ordinal")))
        return [self._row(row) for one in ids for row in self._rows(f"{_CHUNKS} WHERE id = ?", one)]

    def pending(self, path: str) -> list[ChunkRow]:
        """The chunks of a file that have no vector yet, in file order."""
        return list(map(self._row, self._rows(f"{_CHUNKS} WHERE path = ? AND embedded = 0 ORDER BY ordinal", path)))

    def _row(self, values: Sequence[Any]) -> ChunkRow:
        row = dict(zip(_CHUNK_COLUMNS, values, strict=True))
        text = self.lines(row["path"], row["start_line"], row["end_line"])
        return ChunkRow(**row, text=text, reading=self.reading(row["path"], row["reading_start"], row["reading_end"]))

    def stems(self) -> list[list[str]]:
        """The stems of every chunk, in the order of path and ordinal."""
        return self.stems_and_subjects()[0]

    def stems_and_subjects(self) -> tuple[list[list[str]], list[list[list[str]]]]:
        """The same, and the stems of each subject of every chunk, read once."""
        stems: list[list[str]] = []
        subjects: list[list[list[str]]] = []
        for line in self._stem_lines():
            own, *named = line.split("\t")
            stems.append(own.split())
            subjects.append(list(map(str.split, named)))
        return stems, subjects

    def _stem_lines(self) -> list[str]:
        with self._guard() as connection:
            rows = connection.execute("SELECT stems FROM files WHERE stems IS NOT NULL ORDER BY path").fetchall()
            return [line for row in rows for line in inflated(row[0]).split("\n")]

    def places(self) -> list[tuple[str, str, int, int, int, int, int, float | None]]:
        """Id, path, parent, first and last line, start and end of the reading, common component of every chunk.

        The order is that of path and ordinal. The common component (see centring.py) is None for a chunk that
        has none yet.
        """
        columns = "id, path, parent, start_line, end_line, reading_start, reading_end, common_component"
        return self._rows(f"SELECT {columns} FROM chunks JOIN files ON file = number ORDER BY path, ordinal")

    def ids(self, *, embedded: bool | None = None) -> set[str]:
        """The ids of the chunks that have a vector (`embedded` is True) or have none (False); of all chunks if None."""
        where = "" if embedded is None else f" WHERE embedded = {int(embedded)}"
        return {row[0] for row in self._rows(f"SELECT id FROM chunks{where}")}

    def count(self, *, embedded: bool | None = None) -> int:
        where = "" if embedded is None else f" WHERE embedded = {int(embedded)}"
        return int(self._rows(f"SELECT count(*) FROM chunks{where}")[0][0])

    def pending_paths(self) -> list[str]:
        """The paths of files with chunks that have no vector yet."""
        query = "SELECT path FROM files WHERE number IN (SELECT file FROM chunks WHERE embedded = 0) ORDER BY path"
        return [row[0] for row in self._rows(query)]

    def set_embedded(self, ids: Iterable[str], embedded: bool) -> None:
        """Record whether these chunks have a vector."""
        with self.transaction(), self._guard() as connection:
            connection.executemany("UPDATE chunks SET embedded = ? WHERE id = ?", [(embedded, one) for one in ids])

    def headings(self) -> list[tuple[str, str]]:
        """Pairs of the heading and the path of a chunk, without repetitions, in the order of path and ordinal."""
        return self._rows(
            "SELECT DISTINCT heading, path FROM chunks JOIN files ON file = number ORDER BY path, ordinal"
        )

    def without_common_component(self) -> list[str]:
        """The ids of chunks that have a vector but no common component (see centring.py): their vectors are new."""
        return [row[0] for row in self._rows("SELECT id FROM chunks WHERE embedded = 1 AND common_component IS NULL")]

    def put_common_components(self, values: Mapping[str, float]) -> None:
        """Store the common component (see centring.py) of each chunk, by id."""
        with self.transaction(), self._guard() as connection:
            rows = [(value, one) for one, value in values.items()]
            connection.executemany("UPDATE chunks SET common_component = ? WHERE id = ?", rows)

    def check(self) -> None:
        """Run SQLite's integrity check. Raises IndexDamagedError."""
        with self._guard() as connection:
            found = connection.execute("PRAGMA integrity_check").fetchone()[0]
            if found != "ok":
                raise damaged("manifest of the index", self._path, found)

    def vacuum(self) -> None:
        """Remove the bytes of deleted rows from the file."""
        self._rows("VACUUM")


def _keep(held: dict[str, _Held], path: str, value: _Held) -> None:
    if len(held) >= _CACHED_TEXTS:
        del held[next(iter(held))]
    held[path] = value


def _file_row(row: Sequence[Any]) -> FileRow:
    *values, about = row
    return FileRow(**file_facts(dict(zip(_FILE_COLUMNS, values, strict=True)), about, _ABOUT))


def damaged(what: str, path: Path, reason: str) -> IndexDamagedError:
    """The error for a part of the index that was changed or broken since it was written.

    `what` names the part, such as "manifest of the index"; `path` is its file or folder.
    """
    return IndexDamagedError(
        f"The {what} at {str(path)!r} is damaged: {reason}.", remedy="Build it anew with `cervella index --rebuild`."
    )


def _unusable(path: Path, error: sqlite3.Error) -> KnowledgeError:
    return KnowledgeError(
        f"The index at {str(path)!r} can't be used: {error}.",
        remedy="Check the free space and the rights of its folder, and that no other program has it open.",
        code="index_unusable",
    )


def _connect(uri: str, path: Path) -> sqlite3.Connection:
    try:
        return sqlite3.connect(uri, uri=True, isolation_level=None, check_same_thread=False, timeout=5)
    except sqlite3.Error as error:
        raise _unusable(path, error) from error
