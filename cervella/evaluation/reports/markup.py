"""Pieces of the report's HTML: escaped text, shares with intervals, tables."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from html import escape
from typing import Any

from cervella.evaluation.reports.plots import marker

__all__ = ["change", "equivalence", "percent", "points", "signed", "table", "text"]

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
    estimate, low, high = (_with_sign(found[name]) for name in ("estimate", "low", "high"))
    return f'{estimate} <span class="range">{low} to {high}{f"; {note}" if note else ""}</span>'


def _with_sign(share: float) -> str:
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


def points(pair: Mapping[str, Any] | None) -> str:
    if pair is None:
        return '<span class="soft">reference</span>'
    found = pair["difference"]
    p = pair["p_holm"]
    shown = "p < 0.001" if p < 0.001 else f"p = {p:.3f}"
    return change(found, shown)


def equivalence(pair: Mapping[str, Any] | None) -> str:
    if pair is None:
        return ""
    found = pair["tost"]
    if found is None:
        return '<span class="soft">too few</span>'
    word = "equivalent" if found["equivalent"] else "not shown"
    power = "no spread" if found["power"] is None else f"power {100 * found['power']:.0f} %"
    return f'{word} <span class="range">within {100 * found["margin"]:g} points; {power}</span>'


def signed(data: Mapping[str, Any]) -> list[str]:
    """The brains' names with their signs."""
    return [f"{marker(place)} <bdi>{text(name)}</bdi>" for place, name in enumerate(data["brains"])]
