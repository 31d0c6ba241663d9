"""The report's plots as inline SVG: coordinates in percent, so that they fit any width and letters keep their size.

Every brain has a colour and a shape of its own; what a plot shows stands in a table too.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from html import escape
from itertools import pairwise

__all__ = ["Dot", "Row", "drift_plot", "intervals_plot", "latency_plot", "legend", "marker"]

_LEFT, _WIDTH = 3.0, 94.0
"""Percent of the drawing's width: where a scale begins, and how far it goes."""
_LINE = 18
_SHAPES = (
    "M-5,0 a5,5 0 1,0 10,0 a5,5 0 1,0 -10,0",
    "M-4.5,-4.5 h9 v9 h-9 z",
    "M0,-6 L5.5,4.5 L-5.5,4.5 z",
    "M0,-6 L6,0 L0,6 L-6,0 z",
    "M0,6 L5.5,-4.5 L-5.5,-4.5 z",
    "M-2,-6 h4 v4 h4 v4 h-4 v4 h-4 v-4 h-4 v-4 h4 z",
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Dot:
    """One brain's value in a row, 0 to 1."""

    brain: int
    """Its place among the brains, from 0: decides colour and shape."""
    estimate: float
    low: float
    high: float
    control: float | None = None
    """The same brain without the soul."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Row:
    """One line of a dot-and-interval plot."""

    label: str
    dots: Sequence[Dot]
    band: tuple[float, float] | None = None
    """From the scripted flatterer to the scripted perfect brain."""


def marker(brain: int) -> str:
    """The sign of a brain, for a legend and for table headers."""
    return (
        '<svg class="mark" width="14" height="14" viewBox="-7 -7 14 14" aria-hidden="true">'
        f'<path class="b{brain % 6}" d="{_SHAPES[brain % len(_SHAPES)]}"/></svg>'
    )


def legend(brains: Sequence[str], *, controls: bool = False) -> str:
    """What the signs stand for."""
    items = [f"<li>{marker(number)} <bdi>{escape(name)}</bdi></li>" for number, name in enumerate(brains)]
    if controls:
        items.append('<li><span class="tick"></span> the same brain without the soul</li>')
        items.append('<li><span class="swatch"></span> from the scripted flatterer to the scripted perfect brain</li>')
    return f'<ul class="legend">{"".join(items)}</ul>'


def intervals_plot(title: str, rows: Sequence[Row]) -> str:
    """For each row a scale from 0 to 100, the controls as a band, and each brain's value with its interval."""
    body: list[str] = []
    y = 4.0
    for row in rows:
        label = row.label if row.dots else f"{row.label}: not scored"
        body.append(f'<text x="{_LEFT}%" y="{y + 12:.0f}" class="label">{escape(label)}</text>')
        y += 20
        if not row.dots:
            continue
        height = len(row.dots) * _LINE
        if row.band is not None:
            low, high = sorted(row.band)
            width = f"{(high - low) * _WIDTH:.2f}%"
            body.append(f'<rect class="band" x="{_at(low)}" y="{y:.0f}" width="{width}" height="{height}"/>')
        for share in (0.0, 0.25, 0.5, 0.75, 1.0):
            body.append(_vertical(share, y, y + height, "grid"))
        for place, dot in enumerate(row.dots):
            middle = y + place * _LINE + _LINE / 2
            kind = f"b{dot.brain % 6}"
            body.append(_horizontal(dot.low, dot.high, middle, f"whisker {kind}"))
            if dot.control is not None:
                body.append(_vertical(dot.control, middle - 6, middle + 6, f"control {kind}"))
            body.append(_sign(dot.brain, _at(dot.estimate), middle))
        y += height + 10
    for share in (0.0, 0.25, 0.5, 0.75, 1.0):
        body.append(_text(share, y + 8, f"{share:.0%}"))
    return _svg(title, y + 16, body)


def latency_plot(title: str, brains: Sequence[tuple[int, str, float, float]], *, limit: float | None = None) -> str:
    """Seconds from 50 of 100 answers (the sign) to 95 of 100 (the bar's end), by brain: place, name, p50, p95.

    A limit is drawn where some brain comes near it.
    """
    top = _rounded_up(max((p95 for _, _, _, p95 in brains), default=0.0))
    body: list[str] = []
    y = 4.0
    for place, name, p50, p95 in brains:
        body.append(f'<text x="{_LEFT}%" y="{y + 12:.0f}" class="label">{escape(name)}</text>')
        y += 20
        middle = y + _LINE / 2
        for share in (0.0, 0.5, 1.0):
            body.append(_vertical(share, y, y + _LINE, "grid"))
        body.append(_horizontal(p50 / top, p95 / top, middle, f"whisker b{place % 6}"))
        body.append(_vertical(p95 / top, middle - 5, middle + 5, f"control b{place % 6}"))
        body.append(_sign(place, _at(p50 / top), middle))
        y += _LINE + 6
    if limit is not None and limit <= top:
        body.append(_vertical(limit / top, 4, y, "limit"))
    for share in (0.0, 0.5, 1.0):
        body.append(_text(share, y + 10, f"{share * top:g} s"))
    return _svg(title, y + 18, body)


def drift_plot(title: str, series: Mapping[int, Sequence[tuple[int, float]]]) -> str:
    """Each brain's mean score by turn of a conversation; `series` maps its place to (turn, score) pairs."""
    turns = sorted({turn for points in series.values() for turn, _ in points})
    if not turns:
        return ""
    first, last = turns[0], max(turns[-1], turns[0] + 1)
    height, top = 160, 8
    body: list[str] = []
    for share in (0.0, 0.5, 1.0):
        y = top + (1 - share) * height
        body.append(_horizontal(0, 1, y, "grid"))
        body.append(f'<text x="{_LEFT}%" dx="9" y="{y - 3:.0f}" class="axis">{share:.0%}</text>')
    for place, points in sorted(series.items()):
        spots = [((turn - first) / (last - first), top + (1 - score) * height) for turn, score in sorted(points)]
        for (x1, y1), (x2, y2) in pairwise(spots):
            body.append(f'<line class="path b{place % 6}" x1="{_at(x1)}" y1="{y1:.1f}" x2="{_at(x2)}" y2="{y2:.1f}"/>')
        body += [_sign(place, _at(x), y) for x, y in spots]
    for turn in turns:
        body.append(
            _text((turn - first) / (last - first), top + height + 20, f"turn {turn}" if turn == first else f"{turn}")
        )
    return _svg(title, top + height + 28, body)


def _svg(title: str, height: float, body: Sequence[str]) -> str:
    return (
        f'<svg class="plot" role="img" width="100%" height="{height:.0f}" aria-label="{escape(title)}">'
        f"<title>{escape(title)}</title>{''.join(body)}</svg>"
    )


def _at(share: float) -> str:
    return f"{_LEFT + min(1.0, max(0.0, share)) * _WIDTH:.2f}%"


def _sign(brain: int, x: str, y: float) -> str:
    shape = _SHAPES[brain % len(_SHAPES)]
    place = f'x="{x}" y="{y:.1f}" width="1" height="1" overflow="visible"'
    return f'<svg {place}><path class="b{brain % 6}" d="{shape}"/></svg>'


def _horizontal(low: float, high: float, y: float, kind: str) -> str:
    return f'<line class="{kind}" x1="{_at(low)}" y1="{y:.1f}" x2="{_at(high)}" y2="{y:.1f}"/>'


def _vertical(share: float, top: float, bottom: float, kind: str) -> str:
    return f'<line class="{kind}" x1="{_at(share)}" y1="{top:.1f}" x2="{_at(share)}" y2="{bottom:.1f}"/>'


def _text(share: float, y: float, text: str) -> str:
    anchor = "start" if share <= 0.01 else "end" if share >= 0.99 else "middle"
    return f'<text class="axis" x="{_at(share)}" y="{y:.0f}" text-anchor="{anchor}">{escape(text)}</text>'


def _rounded_up(value: float) -> float:
    """The next of 1, 2, 5, 10, … that is not less."""
    if value <= 0:
        return 1.0
    power: float = 10 ** math.floor(math.log10(value))
    return float(next(step * power for step in (1, 2, 5, 10) if step * power >= value * 0.999999))
