"""Writes the statistics of the ledger as text for a terminal, and as one HTML page with plots.

The page loads no other file, runs no script, and follows the reader's light or dark colour scheme.
"""

from __future__ import annotations

import datetime
import html
import math
from collections.abc import Callable, Mapping, Sequence
from decimal import Decimal
from importlib import resources
from typing import Any, Literal

from jinja2 import Environment, PackageLoader, StrictUndefined
from markupsafe import Markup

from cervella.records.ledger.statistics import BrainStatistics, Day, Percentiles, Statistics
from cervella.visible import visible

Unit = Literal["count", "seconds", "share", "usd", "rate"]


def shown(value: float | Decimal | None, unit: Unit) -> str:
    """A value with its unit; a dash if it is unknown.

    >>> shown(0.254, "share"), shown(12.3456, "seconds"), shown(None, "usd"), shown(Decimal("0.0085"), "usd")
    ('25.4 %', '12.3 s', '–', '$0.0085')
    """
    if value is None:
        return "–"
    if unit == "count":
        return f"{value:,}"
    if unit == "share":
        return f"{100 * value:.1f} %"
    if unit == "rate":
        return f"{value:,.1f}"
    if unit == "usd":
        if 0 < value < 1e-8:
            return "<$0.00000001"
        return f"${value:,.2f}" if value >= 100 or not value else f"${_short(value)}"
    return f"{value:.0f} s" if value >= 100 else f"{value:.3g} s" if value >= 1 else f"{1000 * value:.3g} ms"


def _short(value: float | Decimal) -> str:
    """The value with two decimals, or with more if two would show fewer than two significant digits."""
    decimals = max(2, 1 - math.floor(math.log10(abs(float(value)))))
    return f"{value:.{min(decimals, 8)}f}"


def _times(get: Callable[[BrainStatistics], Percentiles], part: str) -> Callable[[BrainStatistics], str]:
    return lambda one: shown(getattr(get(one), part), "seconds")


MEASURES: tuple[tuple[str, Callable[[BrainStatistics], str]], ...] = (
    ("calls", lambda one: shown(one.calls, "count")),
    ("answered", lambda one: shown(one.answered, "count")),
    ("refused", lambda one: shown(one.refused, "count")),
    ("latency p50", _times(lambda one: one.latency, "p50")),
    ("latency p95", _times(lambda one: one.latency, "p95")),
    ("latency p99", _times(lambda one: one.latency, "p99")),
    ("first token p50", _times(lambda one: one.first_token, "p50")),
    ("first token p95", _times(lambda one: one.first_token, "p95")),
    ("first token p99", _times(lambda one: one.first_token, "p99")),
    ("output tokens/s", lambda one: shown(one.tokens_per_second, "rate")),
    ("input tokens", lambda one: shown(one.input_tokens, "count")),
    ("output tokens", lambda one: shown(one.output_tokens, "count")),
    ("cache share", lambda one: shown(one.cache_share, "share")),
    ("cost", lambda one: shown(one.cost_usd, "usd")),
    ("cost per request", lambda one: shown(one.cost_per_request, "usd")),
    ("cost unknown", lambda one: shown(one.cost_unknown, "count")),
    ("cost estimated", lambda one: shown(one.cost_estimated, "count")),
    ("errors", lambda one: shown(one.error_rate, "share")),
    ("fallback", lambda one: shown(one.fallback_rate, "share")),
    ("retries", lambda one: shown(one.retries, "count")),
    ("feedback +/-", lambda one: f"{one.feedback_good}/{one.feedback_bad}"),
)
"""The rows of the table of brains, in order: the name of a measure, and the function that formats it for one brain."""

# The page. Positions in plots are percentages of the width, so that text keeps its size on a phone.

_COLOURS = 5
"""Number of brains that have a colour of their own in the plots. All others are grey."""


def html_report(found: Statistics, budget: Sequence[Mapping[str, Any]] = ()) -> str:
    """The statistics as an HTML page.

    `budget` is the list that `cervella stats --json` prints under the key `budget`.
    """
    templates = Environment(
        loader=PackageLoader("cervella.records.ledger"),
        autoescape=True,
        finalize=lambda value: visible(value) if type(value) is str else value,
        undefined=StrictUndefined,
        trim_blocks=True,
    )
    colours = {one.brain: f"var(--c{min(number, _COLOURS)})" for number, one in enumerate(found.brains)}
    style = resources.files("cervella.records.ledger").joinpath("templates", "report.css").read_text(encoding="utf-8")
    plots = _plots(found, colours) if found.calls else {}
    page = templates.get_template("report.html")
    tiles = _tiles(found, budget)
    return page.render(found=found, style=Markup(style.strip()), measures=MEASURES, tiles=tiles, **plots) + "\n"


def _plots(found: Statistics, colours: Mapping[str, str]) -> dict[str, Any]:
    """The plots of the page as SVG, and the entries of their key: the name and the colour of each brain."""
    days = _calendar(found.days)
    paints = {**colours, "": "var(--line)"}
    requests = [(day, {brain: float(n) for brain, n in one.requests.items()}) for day, one in days]
    costs = [(day, {brain: float(usd) for brain, usd in one.cost_usd.items()}) for day, one in days]
    unanswered = any("" in one.requests for one in found.days)
    return {
        "latency": Markup(_spans([(one.brain, one.latency) for one in found.brains], colours)),
        "first_token": Markup(_spans([(one.brain, one.first_token) for one in found.brains], colours)),
        "requests": Markup(_columns(requests, paints, "count")),
        "costs": Markup(_columns(costs, paints, "usd")) if any(sum(parts.values()) for _, parts in costs) else None,
        "entries": [(name, paint) for name, paint in paints.items() if name or unanswered],
    }


def _tiles(found: Statistics, budget: Sequence[Mapping[str, Any]]) -> list[tuple[str, str]]:
    """The totals above the plots: each a formatted value and its label."""
    failed = sum(one.failed for one in found.brains)
    finished = found.calls - sum(one.cancelled for one in found.brains)
    unknown = f", {found.cost_unknown:,} calls unknown" if found.cost_unknown else ""
    tiles = [
        (shown(found.requests, "count"), "requests"),
        (shown(found.cost_usd, "usd"), f"cost{unknown}"),
        (shown(failed / finished if finished else None, "share"), "of calls failed"),
        (shown(found.fallback_rate, "share"), "answered by a fallback"),
    ]
    for one in budget:
        of = f", {one['brain']}" if one["brain"] else ""
        tiles.append((shown(one["spent_usd"], "usd"), f"of {shown(one['limit_usd'], 'usd')} this {one['period']}{of}"))
    return tiles


def _spans(rows: Sequence[tuple[str, Percentiles]], colours: Mapping[str, str]) -> str:
    """A plot with a bar from p50 to p95 and a tick at p99 for each brain."""
    known = [(name, times) for name, times in rows if times.p50 is not None]
    top = _round_up(max((times.p99 or 0.0 for _, times in known), default=0.0))
    if not known or not top:
        return "<p>No call has this time yet.</p>"
    step, height = 46, 46 * len(known) + 22
    parts = []
    for share in (0.0, 0.25, 0.5, 0.75, 1.0):
        anchor = "" if not share else "end" if share == 1 else "middle"
        parts.append(_line(100 * share, 0, 100 * share, height - 22, "grid"))
        if share in (0.0, 0.5, 1.0):
            tick = shown(top * share, "seconds") if share else "0"
            parts.append(_text(100 * share, height - 6, tick, anchor))
    for number, (name, times) in enumerate(known):
        y, paint = step * number + 32, f"stroke:{colours[name]}"
        at = [100 * (value or 0.0) / top for value in (times.p50, times.p95, times.p99)]
        texts = [shown(value, "seconds") for value in (times.p50, times.p95, times.p99)]
        title = f"{name}: p50 {texts[0]}, p95 {texts[1]}, p99 {texts[2]}"
        parts.append(
            f"<g><title>{html.escape(visible(title))}</title>{_text(0, y - 14, name, 'name')}"
            f"{_text(100, y - 14, ' · '.join(texts), 'end')}{_line(at[0], y, at[1], y, 'bar', paint)}"
            f"{_line(at[2], y - 7, at[2], y + 7, 'tick', paint)}"
            f'<circle cx="{at[0]:.2f}%" cy="{y}" r="6" style="fill:{colours[name]}"/></g>'
        )
    return f'<svg height="{height}" role="img">{"".join(parts)}</svg>'


def _calendar(days: Sequence[Day]) -> list[tuple[str, Day]]:
    first, last = (datetime.date.fromisoformat(days[end].day) for end in (0, -1))
    by_day = {one.day: one for one in days}
    every = [(first + datetime.timedelta(days=n)).isoformat() for n in range((last - first).days + 1)]
    if len(every) > 92:  # too many columns: show only days with requests
        every = [one.day for one in days]
    return [(day, by_day.get(day, Day(day=day, requests={}, cost_usd={}))) for day in every]


def _columns(
    days: Sequence[tuple[str, Mapping[str, float]]], paints: Mapping[str, str], unit: Literal["count", "usd"]
) -> str:
    top = _round_up(max(sum(parts.values()) for _, parts in days), whole=unit == "count")
    plot, parts = 130, []
    for share in (0.0, 0.5, 1.0):
        y = 14 + plot * (1 - share)
        parts.append(_line(0, y, 100, y, "grid"))
        if share:
            value = top * share
            text = shown(value, unit) if unit == "usd" else f"{value:,.10g}"
            parts.append(_text(0, y - 3, text))
    wide = 100 / max(len(days), 7)
    for number, (day, by_brain) in enumerate(days):
        bottom, total = 14.0 + plot, sum(by_brain.values())
        text = shown(total, unit) if unit == "usd" else f"{total:,.0f}"
        each = ", ".join(
            f"{visible(name) or 'no answer'} {shown(v, unit) if unit == 'usd' else f'{v:,.0f}'}"
            for name, v in by_brain.items()
        )
        parts.append(f"<g><title>{day}: {text}{f' ({html.escape(each)})' if len(by_brain) > 1 else ''}</title>")
        for name in paints:
            if height := plot * by_brain.get(name, 0.0) / top:
                bottom -= height
                parts.append(
                    f'<rect x="{wide * (number + 0.14):.3f}%" y="{bottom:.2f}" width="{wide * 0.72:.3f}%" '
                    f'height="{max(height - 1, 0.5):.2f}" rx="2" style="fill:{paints[name]}"/>'
                )
        parts.append("</g>")
    parts.append(_text(0, plot + 32, days[0][0]))
    if len(days) > 1:
        end = wide * len(days)
        parts.append(_text(end, plot + 32, days[-1][0], "end") if end > 45 else "")
    return f'<svg height="{plot + 38}" role="img">{"".join(parts)}</svg>'


_STEPS = (1.0, 1.2, 1.5, 2.0, 2.5, 3.0, 4.0, 5.0, 6.0, 8.0, 10.0)


def _round_up(value: float, *, whole: bool = False) -> float:
    """The next round number that is not smaller than the value.

    With `whole` it is an even integer, which can be halved.
    """
    if value <= 0:
        return 0.0
    power = 10.0 ** math.floor(math.log10(value))
    found = next(power * step for step in _STEPS if power * step >= value * (1 - 1e-9))
    return max(2.0, 2 * math.ceil(found / 2)) if whole else found


def _line(x1: float, y1: float, x2: float, y2: float, kind: str, style: str = "") -> str:
    return f'<line x1="{x1:.2f}%" y1="{y1:g}" x2="{x2:.2f}%" y2="{y2:g}" class="{kind}" style="{style}"/>'


def _text(x: float, y: float, text: str, kind: str = "") -> str:
    return f'<text x="{x:.2f}%" y="{y:g}" class="{kind}">{html.escape(visible(text))}</text>'
