"""Writes the checksums of a generation's files when it is published, and compares them when it is opened.

A generation is the folder with one state of the index.

Cervella's own files and Chroma's graph files have a SHA-256 of their bytes. Chroma changes its SQLite file whenever it
opens it, so the checksum of that file covers the rows of its tables.
"""

from __future__ import annotations

import hashlib
import json
import sqlite3
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from cervella.errors import IndexDamagedError, KnowledgeError
from cervella.knowledge.index.entries import is_inside, read_file
from cervella.knowledge.index.manifest import FILE_NAME as MANIFEST, SCHEMA_VERSION, damaged
from cervella.process.files import flush, open_regular

FILE_NAME = "seal.json"
MATRIX = "vectors.npz"
"""The file with a copy of Chroma's vectors. If its checksum differs, it is ignored; the index is not damaged then."""
_MOST_BYTES = 10_000_000
"""More than `seal.json` ever has."""
_CHROMA = "chroma"
_TABLES = "chroma/chroma.sqlite3"
_GRAPH_IDS = "index_metadata.pickle"
_TOUCHED = "acquire_write"
"""The table that Chroma writes when it opens its file. It has no data of the index, so the checksum leaves it out."""


def write_checksums(generation: Path) -> str:
    """Write the checksums of a finished generation, and flush all its files to disk.

    Returns the SHA-256 of the file of checksums, in hexadecimal.
    """
    files = sorted(path for path in generation.rglob("*") if path.is_file() and _has_checksum(generation, path))
    checksums = {
        "schema": SCHEMA_VERSION,
        "files": {path.relative_to(generation).as_posix(): _digest(path) for path in files},
        "chroma": _contents(generation / _TABLES),
    }
    data = json.dumps(checksums, indent=1).encode()
    (generation / FILE_NAME).write_bytes(data)
    for path in generation.rglob("*"):
        flush(path)
    flush(generation)
    return hashlib.sha256(data).hexdigest()


def read_checksums(generation: Path, digest: str) -> Mapping[str, Any]:
    """Read a generation's checksums. `digest` is the SHA-256 of their file.

    Raises IndexDamagedError if the digest or the format differs; the code is `index_outdated` for an older format.
    """
    try:
        data = read_file(generation / FILE_NAME, _MOST_BYTES)
    except OSError as error:
        raise damaged("index", generation, f"{FILE_NAME!r} can't be read: {error.strerror or error}") from error
    if hashlib.sha256(data).hexdigest() != digest:
        raise damaged("index", generation, f"{FILE_NAME!r} was changed after it was published")
    try:
        checksums: Mapping[str, Any] = json.loads(data)
        sound = _is_sound(checksums)
    except (ValueError, RecursionError):
        sound = False
    if not sound:
        raise damaged("index", generation, f"{FILE_NAME!r} has no list of checksums of files in it")
    if checksums["schema"] < SCHEMA_VERSION:
        raise outdated(generation)
    if checksums["schema"] > SCHEMA_VERSION:
        raise IndexDamagedError(
            f"The index at {str(generation)!r} has format {checksums['schema']}; this version reads {SCHEMA_VERSION}.",
            remedy="Update cervella, or build it anew with `cervella index --rebuild`.",
        )
    return checksums


def _is_sound(checksums: Any) -> bool:
    """Whether checksums have the right types, and name files of the generation only."""
    if not isinstance(checksums, dict) or type(checksums.get("schema")) is not int:
        return False
    if checksums["schema"] != SCHEMA_VERSION:
        return True  # another version has another format
    files, chroma = checksums.get("files"), checksums.get("chroma")
    if not isinstance(files, dict) or not isinstance(chroma, str | None):
        return False
    return all(is_inside(name) and isinstance(digest, str) for name, digest in files.items())


def outdated(generation: Path) -> IndexDamagedError:
    """The error for an index that an older version wrote."""
    return IndexDamagedError(
        f"The index at {str(generation)!r} was written by an older version of cervella.",
        remedy="Build it anew with `cervella index`; nothing but time is lost.",
        code="index_outdated",
    )


def check_files(generation: Path, checksums: Mapping[str, Any]) -> None:
    """Compare all files except the vectors with their checksums. Raises IndexDamagedError."""
    ours = {name: digest for name, digest in checksums["files"].items() if name != MATRIX and not _is_vectors(name)}
    if MANIFEST not in ours:
        raise damaged("index", generation, f"{FILE_NAME!r} leaves out {MANIFEST!r}")
    _compare(generation, ours)


def check_vectors(generation: Path, checksums: Mapping[str, Any]) -> None:
    """Compare Chroma's folder with its checksums. Raises IndexDamagedError."""
    _compare(generation, {name: digest for name, digest in checksums["files"].items() if _is_vectors(name)})
    if checksums["chroma"] != _contents(generation / _TABLES):
        raise damaged("index", generation, f"the tables of {_TABLES!r} were changed after it was published")


def _is_vectors(name: str) -> bool:
    return name.startswith(_CHROMA + "/")


def _has_checksum(generation: Path, path: Path) -> bool:
    name = path.relative_to(generation).as_posix()
    if name == FILE_NAME or name.startswith(_TABLES):  # the second also excludes a journal of the tables
        return False
    # A graph that was never written to disk is a file of random bytes; its vectors are in the tables.
    return not _is_vectors(name) or (path.parent / _GRAPH_IDS).is_file()


def _compare(generation: Path, digests: Mapping[str, str]) -> None:
    for name, digest in digests.items():
        try:
            found = _digest(generation / name)
        except OSError as error:
            raise damaged("index", generation, f"{name!r} can't be read: {error.strerror or error}") from error
        if found != digest:
            raise damaged("index", generation, f"{name!r} was changed after it was published")


def _digest(path: Path) -> str:
    with open_regular(path) as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def _contents(path: Path) -> str | None:
    """The SHA-256 of all rows in Chroma's SQLite file, in hexadecimal; None if there is no file.

    Raises IndexDamagedError if SQLite's integrity check fails.
    """
    if not path.is_file():
        return None
    digest = hashlib.sha256()
    try:
        connection = sqlite3.connect(path, isolation_level=None, timeout=5)
        try:
            if connection.execute("PRAGMA integrity_check").fetchone()[0] != "ok":
                raise damaged("index", path.parent.parent, f"SQLite finds {_TABLES!r} broken")
            tables = connection.execute("SELECT name, type, sql FROM sqlite_master ORDER BY name, type").fetchall()
            for name, kind, sql in tables:
                if kind not in ("table", "index") or '"' in name:  # a view can compute for ever
                    raise damaged("index", path.parent.parent, f"{_TABLES!r} has a {kind} that Chroma does not make")
                digest.update(repr((name, kind, sql)).encode())
                if kind == "table" and name != _TOUCHED and not (sql or "").startswith("CREATE VIRTUAL"):
                    for row in connection.execute(f'SELECT * FROM "{name}"'):
                        digest.update(repr(row).encode())
        finally:
            connection.close()
    except sqlite3.OperationalError as error:
        if any(sign in str(error) for sign in ("locked", "disk", "unable to open")):
            raise KnowledgeError(
                f"{str(path)!r} can't be read: {error}.",
                remedy="Check its disk, and that no other program has it open.",
                code="index_unusable",
            ) from error
        raise damaged("index", path.parent.parent, f"{_TABLES!r}: {error}") from error
    except (sqlite3.Error, UnicodeError) as error:
        raise damaged("index", path.parent.parent, f"{_TABLES!r}: {error}") from error
    return digest.hexdigest()
