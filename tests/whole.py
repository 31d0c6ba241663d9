"""A value with all that is in it, as text: the reprs of prompts, replies and retrievals leave most of it out."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import fields, is_dataclass
from typing import Any


def whole(value: Any) -> str:
    """Every field, key and element, down to plain values."""
    if isinstance(value, str):
        return value
    if is_dataclass(value) and not isinstance(value, type):
        return "\n".join(whole(getattr(value, field.name)) for field in fields(value))
    if isinstance(value, Mapping):
        return "\n".join(f"{whole(key)}={whole(item)}" for key, item in value.items())
    if isinstance(value, Iterable) and not isinstance(value, bytes):
        return "\n".join(map(whole, value))
    return repr(value)
