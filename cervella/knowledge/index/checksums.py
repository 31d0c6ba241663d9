"""What a generation of the index holds, byte for byte: written when it is published, compared when it is opened.

Our own files, and the graph files of Chroma, are known by their SHA-256. Chroma writes into its SQLite file whenever it
opens it, so that one is known by what its tables say.
"""

from __future__ import annotations

import hashlib
import json
import sqlite3
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from cervella.errors import IndexDamagedError, KnowledgeError
from cervella.knowledge.index.manifest import SCHEMA_VERSION, damaged
from cervella.process.files import flush

FILE_NAME = "seal.json"
MATRIX = "vectors.npz"
"""A cache of Chroma's vectors: where it is not as it was sealed it is not read, and the index is not damaged."""
_CHROMA = "chroma"
_TABLES = "chroma/chroma.sqlite3"
_GRAPH_IDS = "index_metadata.pickle"
_TOUCHED = "acquire_write"
"""The table that Chroma writes when it opens its file; it says nothing of what is stored."""


def write_checksums(generation: Path) -> str:
    """Seal a folder that nobody will write any more, and make it durable. Gives the seal's own SHA-256."""
    files = sorted(path for path in generation.rglob("*") if path.is_file() and _has_checksum(generation, path))
    seal = {
        "schema": SCHEMA_VERSION,
        "files": {path.relative_to(generation).as_posix(): _digest(path) for path in files},
        "chroma": _contents(generation / _TABLES),
    }
    data = json.dumps(seal, indent=1).encode()
    (generation / FILE_NAME).write_bytes(data)
    for path in generation.rglob("*"):
        flush(path)
    flush(generation)
    return hashlib.sha256(data).hexdigest()


def read_checksums(generation: Path, digest: str) -> Mapping[str, Any]:
    """The seal of a generation. Raises IndexDamagedError where it is not the one of this SHA-256, or of another format.

    An older format has the code `index_outdated`.
    """
    try:
        data = (generation / FILE_NAME).read_bytes()
    except OSError as error:
        raise damaged("index", generation, f"its seal can't be read: {error.strerror or error}") from error
    if hashlib.sha256(data).hexdigest() != digest:
        raise damaged("index", generation, "its seal is another than the one that was published")
    seal: Mapping[str, Any] = json.loads(data)
    if seal["schema"] < SCHEMA_VERSION:
        raise outdated(generation)
    if seal["schema"] > SCHEMA_VERSION:
        raise IndexDamagedError(
            f"The index at {str(generation)!r} has format {seal['schema']}; this version reads {SCHEMA_VERSION}.",
            remedy="Update cervella, or build it anew with `cervella index --rebuild`.",
        )
    return seal


def outdated(generation: Path) -> IndexDamagedError:
    """The error of an index that an older version wrote."""
    return IndexDamagedError(
        f"The index at {str(generation)!r} was written by an older version of cervella.",
        remedy="Build it anew with `cervella index`; nothing but time is lost.",
        code="index_outdated",
    )


def check_seal(generation: Path, seal: Mapping[str, Any]) -> None:
    """Compare all but the vectors with the seal. Raises IndexDamagedError."""
    ours = {name: digest for name, digest in seal["files"].items() if name != MATRIX and not _is_vectors(name)}
    _compare(generation, ours)


def check_vectors(generation: Path, seal: Mapping[str, Any]) -> None:
    """Compare Chroma's folder with the seal. Raises IndexDamagedError."""
    _compare(generation, {name: digest for name, digest in seal["files"].items() if _is_vectors(name)})
    if seal["chroma"] != _contents(generation / _TABLES):
        raise damaged("index", generation, f"{_TABLES!r} does not say what was stored")


def _is_vectors(name: str) -> bool:
    return name.startswith(_CHROMA + "/")


def _has_checksum(generation: Path, path: Path) -> bool:
    name = path.relative_to(generation).as_posix()
    if name == FILE_NAME or name.startswith(_TABLES):  # nor a journal beside it
        return False
    # A graph that was never put on disk is a file of chance bytes; its vectors are in the tables.
    return not _is_vectors(name) or (path.parent / _GRAPH_IDS).is_file()


def _compare(generation: Path, digests: Mapping[str, str]) -> None:
    for name, digest in digests.items():
        try:
            found = _digest(generation / name)
        except OSError as error:
            raise damaged("index", generation, f"{name!r} can't be read: {error.strerror or error}") from error
        if found != digest:
            raise damaged("index", generation, f"{name!r} is not as it was written")


def _digest(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def _contents(path: Path) -> str | None:
    """A digest of what the tables of Chroma's SQLite file say; None where there is no such file.

    Raises IndexDamagedError where SQLite finds the file broken.
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
                remedy="Check its disk, and that no other program holds it.",
                code="index_unusable",
            ) from error
        raise damaged("index", path.parent.parent, f"{_TABLES!r}: {error}") from error
    except (sqlite3.Error, UnicodeError) as error:
        raise damaged("index", path.parent.parent, f"{_TABLES!r}: {error}") from error
    return digest.hexdigest()
