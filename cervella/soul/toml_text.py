"""Values as TOML, to be read by people and compared by git: one key a line, long text over several lines."""

from __future__ import annotations

import datetime
import json
import re
from collections.abc import Iterator, Mapping
from typing import Any

__all__ = ["toml_text"]

_BARE = re.compile(r"[A-Za-z0-9_-]+")
_ESCAPED = re.compile(r"[\x00-\x08\x0b-\x1f\x7f]")


def toml_text(data: Mapping[str, Any]) -> str:
    """A document of these keys, in their order, simple values first. None is left out: TOML has no word for it.

    >>> print(toml_text({"a": 1, "b": None, "t": {"x": "è"}, "rows": [{"y": True}]}), end="")
    a = 1
    <BLANKLINE>
    [t]
    x = "è"
    <BLANKLINE>
    [[rows]]
    y = true
    """
    return "\n".join(_table(data, ())) + "\n"


def _table(data: Mapping[str, Any], at: tuple[str, ...]) -> Iterator[str]:
    tables = {key: value for key, value in data.items() if _is_table(value) or _are_tables(value)}
    for key, value in data.items():
        if key not in tables and value is not None:
            yield f"{_key(key)} = {_value(value)}"
    for key, value in tables.items():
        path = (*at, key)
        name = ".".join(map(_key, path))
        for one in value if _are_tables(value) else [value]:
            yield f"\n[[{name}]]" if _are_tables(value) else f"\n[{name}]"
            yield from _table(one, path)


def _is_table(value: Any) -> bool:
    return isinstance(value, Mapping)


def _are_tables(value: Any) -> bool:
    return isinstance(value, (list, tuple)) and bool(value) and all(map(_is_table, value))


def _key(key: str) -> str:
    return key if _BARE.fullmatch(key) else _string(key)


def _value(value: Any) -> str:
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, (datetime.date, datetime.time)):
        return value.isoformat()
    if isinstance(value, str):
        return _long_string(value) if "\n" in value else _string(value)
    if isinstance(value, (list, tuple)):
        return f"[{', '.join(map(_value, value))}]"
    if isinstance(value, Mapping):
        return "{" + ", ".join(f"{_key(key)} = {_value(one)}" for key, one in value.items()) + "}"
    return repr(value)  # int and float: nan and inf are TOML's words too


def _string(text: str) -> str:
    return json.dumps(text, ensure_ascii=False).replace("\x7f", "\\u007f")


def _long_string(text: str) -> str:
    text = text.replace("\\", "\\\\").replace('"""', '""\\"')
    text = _ESCAPED.sub(lambda match: f"\\u{ord(match.group()):04x}", text)
    if text.endswith('"'):
        text = text[:-1] + '\\"'
    return f'"""\n{text}"""'
