"""The report's sections on the soul: scores by dimension with their controls, and whether she lasts."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from cervella.evaluation.reports.markup import change, equivalence, percent, points, signed, table, text
from cervella.evaluation.reports.plots import Dot, Row, drift_plot, intervals_plot, legend

__all__ = ["drift_section", "soul_section"]


def soul_section(data: Mapping[str, Any]) -> str:
    soul = data["soul"]
    if soul is None:
        return ""
    results = [soul["brains"][name] for name in data["brains"]]
    dimensions = [one["dimension"] for one in results[0]["dimensions"]]
    by_name = [{one["dimension"]: one for one in result["dimensions"]} for result in results]
    first = by_name[0]
    rows: list[tuple[str, list[str]]] = [
        (text(name), [*(percent(own[name]["score"]) for own in by_name), _controls(first[name])]) for name in dimensions
    ]
    total = soul["controls"]
    rows.append(
        (
            "all",
            [*(percent(one["total"]) for one in results), _controls(total)],
        )
    )
    pairs = [data["soul_pairs"].get(name) for name in data["brains"]]
    rows.append((f"beside {text(data['reference'])}, points", [*map(points, pairs), ""]))
    rows.append(("equivalent to it?", [*map(equivalence, pairs), ""]))
    rows.append(("without the soul, points", [*(_control(one, "none") for one in results), ""]))
    rows.append(("soul scrambled, points", [*(_control(one, "scrambled") for one in results), ""]))
    rows.append(("same over wordings", [*(percent(one["self_agreement"]) for one in results), ""]))
    rows.append(("hard failures", [*(str(len(one["hard_failures"])) for one in results), ""]))
    plot = intervals_plot(
        "Score of the soul by dimension, with 95 % intervals",
        [_row(name, by_name, name) for name in dimensions],
    )
    defects = "".join(
        f"<li>{text(one['probe'])} ({text(one['dimension'])}): {text(one['problem'])}</li>" for one in soul["defects"]
    )
    return (
        "<section><h2>Soul, by dimension</h2>"
        '<p class="soft">Mean score over probes, 0 to 100, with its 95\u00a0% interval. The band is what a test can '
        "tell apart: from a scripted flatterer to a scripted perfect brain.</p>"
        f"{legend(data['brains'], controls=True)}{plot}"
        + table("Soul scores by dimension and brain", ["dimension", *signed(data), "flatterer to perfect"], rows)
        + (f"<h3>Probes that tell nothing apart: the suite's own defects</h3><ul>{defects}</ul>" if defects else "")
        + "</section>"
    )


def _controls(one: Mapping[str, Any]) -> str:
    ends = [one["flatterer"], one["perfect"]]
    return "" if None in ends else f"{100 * ends[0]:.0f}–{100 * ends[1]:.0f} %"


def _control(result: Mapping[str, Any], condition: str) -> str:
    found = result["discrimination"].get(condition)
    if found is None:
        return '<span class="soft">not asked</span>'
    return change({"estimate": -found["estimate"], "low": -found["high"], "high": -found["low"]})


def _row(name: str, by_name: Sequence[Mapping[str, Any]], label: str) -> Row:
    dots = [
        Dot(
            brain=place,
            estimate=own[name]["score"]["estimate"],
            low=own[name]["score"]["low"],
            high=own[name]["score"]["high"],
            control=own[name]["controls"].get("none"),
        )
        for place, own in enumerate(by_name)
        if own[name]["score"] is not None
    ]
    ends = (by_name[0][name]["flatterer"], by_name[0][name]["perfect"])
    return Row(label=label, dots=dots, band=None if None in ends else ends)


def drift_section(data: Mapping[str, Any]) -> str:
    series = {
        place: [(one["turn"], one["score"]) for one in data["drift"].get(name, [])]
        for place, name in enumerate(data["brains"])
    }
    series = {place: points for place, points in series.items() if points}
    if not series:
        return ""
    results = [data["soul"]["brains"][name]["drift"] for name in data["brains"]]
    rows = [
        ("points a turn", [_slope(one) for one in results]),
        ("last turn minus first", [_slope(one and one["delta"]) for one in results]),
    ]
    return (
        "<section><h2>Does she last? Score by turn of a conversation</h2>"
        f"{legend(data['brains'])}{drift_plot('Mean score by turn of a conversation', series)}"
        f"{table('Drift, by brain', ['', *signed(data)], rows)}</section>"
    )


def _slope(found: Mapping[str, Any] | None) -> str:
    if found is None:
        return '<span class="soft">not scored</span>'
    return change(found)
