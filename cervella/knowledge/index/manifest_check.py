"""Checks a manifest that somebody else may have made, before anything in it is believed.

A SQLite file can have other tables than it should, a view that computes for ever, a trigger, and values of any type in
any column. A compressed text can be a thousand times as long as its bytes, and JSON can be nested without end.
"""

from __future__ import annotations

import json
import sqlite3
import zlib
from collections.abc import Mapping
from contextlib import closing
from functools import cache
from typing import Any, get_args

from cervella.knowledge.index.entries import is_inside
from cervella.types import Status

_MOST_TEXT = 256_000_000
"""Bytes of one value of the manifest: many times the longest file that is indexed."""
_TYPES = {
    "meta": "typeof(key) = 'text' AND typeof(value) = 'text'",
    "files": " AND ".join(
        [
            *(f"typeof({name}) = 'text'" for name in ("path", "disk_path", "sha256", "title", "status", "about")),
            *(f"typeof({name}) IN ('text', 'null')" for name in ("role", "project", "date")),
            *(f"typeof({name}) IN ('blob', 'null')" for name in ("reading", "stems")),
            "typeof(text) = 'blob' AND typeof(size) = 'integer' AND size >= 0 AND local_only IN (0, 1)",
        ]
    ),
    "chunks": " AND ".join(
        [
            *(f"typeof({name}) = 'text'" for name in ("id", "heading", "lead")),
            *(f"typeof({name}) = 'integer' AND {name} >= 0" for name in ("file", "ordinal", "parent", "reading_start")),
            *(f"typeof({name}) = 'integer'" for name in ("start_line", "end_line", "reading_end")),
            "start_line >= 1 AND end_line >= start_line AND reading_end >= reading_start AND embedded IN (0, 1)",
            "typeof(common_component) IN ('real', 'integer', 'null')",
        ]
    ),
}
"""For each table, the condition that each of its rows fulfils."""


def problem_of(database: sqlite3.Connection, schema: str) -> str | None:
    """The reason why an open database is no manifest; None if it is one. `schema` is the SQL that makes a manifest.

    Raises sqlite3.Error.
    """
    database.setlimit(sqlite3.SQLITE_LIMIT_LENGTH, _MOST_TEXT)
    database.execute("PRAGMA trusted_schema = OFF")
    wanted = _objects(schema)
    if {*database.execute(_OBJECTS).fetchmany(len(wanted) + 1)} != wanted:
        return "it has other tables than a manifest"
    for table, condition in _TYPES.items():
        if database.execute(f"SELECT 1 FROM {table} WHERE NOT ({condition}) LIMIT 1").fetchone():
            return f"its table {table!r} has values of another type"
    return None


_OBJECTS = "SELECT type, name, tbl_name, sql FROM sqlite_master"


@cache
def _objects(schema: str) -> frozenset[Any]:
    with closing(sqlite3.connect(":memory:")) as database:
        database.executescript(schema)
        return frozenset(database.execute(_OBJECTS))


def inflated(data: bytes) -> str:
    """A compressed text. Raises zlib.error if it is damaged, or longer than any text of a manifest."""
    unpacker = zlib.decompressobj()
    text = unpacker.decompress(data, _MOST_TEXT)
    if not unpacker.eof:
        raise zlib.error("a text is incomplete or too long")
    return text.decode()


def file_facts(values: Mapping[str, Any], about: str, names: tuple[str, ...]) -> dict[str, Any]:
    """The fields of a row of `files`, with those of its JSON `about`, whose keys are among `names`.

    Raises ValueError if a path leads out of the folder or a value has another type than it should.
    """
    for name in ("path", "disk_path"):
        if not is_inside(values[name]):
            raise ValueError(f"{values[name]!r} is no path in a folder")
    if values["status"] not in get_args(Status):
        raise ValueError(f"{values['status']!r} is no status")
    try:
        found = json.loads(about)
    except RecursionError as error:
        raise ValueError("facts are nested too deep") from error
    if not isinstance(found, dict) or not found.keys() <= set(names):
        raise ValueError("a file has unknown facts")
    facts: dict[str, Any] = {}
    for name, value in found.items():
        if name == "meta":
            sound = isinstance(value, dict) and all(isinstance(one, str) or _is_list(one) for one in value.values())
            facts[name] = {key: _frozen(one) for key, one in value.items()} if sound else None
        else:
            kind = {"points": bool, "session": str, "document": str}.get(name)
            sound = isinstance(value, kind) if kind else _is_list(value)
            facts[name] = _frozen(value)
        if not sound:
            raise ValueError(f"{name!r} of a file has another type")
    return {**values, "local_only": bool(values["local_only"]), **facts}


def _is_list(value: object) -> bool:
    return isinstance(value, list) and all(isinstance(one, str) for one in value)


def _frozen(value: Any) -> Any:
    return tuple(value) if isinstance(value, list) else value
