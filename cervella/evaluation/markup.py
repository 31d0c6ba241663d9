"""Pieces of the report's HTML: escaped text, shares with intervals, tables."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from html import escape
from typing import Any

__all__ = ["change", "percent", "table", "text"]

_CONTROL = re.compile(r"[\x00-\x08\x0b-\x1f\x7f-\x9f\ud800-\udfff]")


def text(value: object) -> str:
    """Anything as it stands in HTML; what would steer a terminal or a reader is replaced."""
    return escape(_CONTROL.sub("\N{REPLACEMENT CHARACTER}", str(value)))


def percent(found: Mapping[str, Any] | None) -> str:
    """A share with its interval below; a dash for unknown."""
    if found is None:
        return '<span class="soft">not scored</span>'
    return f"{100 * found['estimate']:.0f} % {_range(found)}"


def change(found: Mapping[str, Any], note: str = "") -> str:
    """A difference in points of 100 with its interval below."""
    estimate, low, high = (_signed(found[name]) for name in ("estimate", "low", "high"))
    return f'{estimate} <span class="range">{low} to {high}{f"; {note}" if note else ""}</span>'


def _signed(share: float) -> str:
    points = round(100 * share, 1)
    return f"{points:+.1f}" if points else "0.0"


def _range(found: Mapping[str, Any]) -> str:
    return f'<span class="range">{100 * found["low"]:.0f}–{100 * found["high"]:.0f}</span>'


def table(caption: str, columns: Sequence[str], rows: Iterable[tuple[str, Sequence[str]]]) -> str:
    """A table whose first column heads each row; it scrolls by itself where it is too wide."""
    head = "".join(f'<th scope="col">{column}</th>' for column in columns)
    body = "".join(
        f'<tr><th scope="row">{name}</th>{"".join(f"<td>{cell}</td>" for cell in cells)}</tr>' for name, cells in rows
    )
    return (
        f'<div class="scroll" role="region" tabindex="0" aria-label="{text(caption)}"><table><caption>{text(caption)}'
        f"</caption><thead><tr>{head}</tr></thead><tbody>{body}</tbody></table></div>"
    )
