"""Writes the report of a comparison: one HTML file that loads nothing from elsewhere. All data in it are escaped."""

from __future__ import annotations

import base64
import hashlib
import math
from collections.abc import Iterable, Mapping, Sequence
from html import escape
from importlib import resources
from typing import Any

from jinja2 import Environment, PackageLoader, StrictUndefined
from markupsafe import Markup

from cervella.visible import visible

_FROM_WORST = ("NO-GO", "INCOMPLETE", "CONDITIONAL", "GO")
_MEANING = {
    "GO": "everything that was measured holds",
    "CONDITIONAL": "nothing speaks against it for sure; read the reasons",
    "NO-GO": "it must not take her place",
    "INCOMPLETE": "answers are missing; run it again to go on",
}
_ANSWER_METRICS = (
    ("grounded", "right, on a right source"),
    ("right", "right"),
    ("precision", "citations that are right and supported"),
    ("recall", "right source cited"),
    ("abstains_rightly", "says «non lo so» where it should"),
    ("abstains_wrongly", "says «non lo so» where it should not"),
)


def report_html(data: Mapping[str, Any]) -> str:
    """The HTML page of a comparison. `data` is the document that `cervella.evaluation.comparison.document` makes."""
    script = _resource("report.js")
    speed = data["measured"]["speed"]
    series = {
        place: [(one["turn"], one["score"]) for one in data["drift"].get(name, ())]
        for place, name in enumerate(data["brains"])
    }
    run = {name: data["measured"][name] for name in ("run", "started")}
    return (
        templates()
        .get_template("report.html")
        .render(
            data=data,
            style=Markup(_resource("report.css")),
            script=Markup(script),
            script_sha256=base64.b64encode(hashlib.sha256(script.encode()).digest()).decode(),
            asked=_asked(data),
            drifts={place: points for place, points in series.items() if points},
            latencies=[
                (place, name, speed[name]["seconds_p50"], speed[name]["seconds_p95"])
                for place, name in enumerate(data["brains"])
                if speed[name]["seconds_p95"] is not None
            ],
            settings=list(_flat({**data["settings"], **run})),
        )
    )


def templates() -> Environment:
    """The report's templates. Whatever they print is escaped, unless it is markup of a template already."""
    made = Environment(
        loader=PackageLoader("cervella.evaluation.reports"),
        autoescape=True,
        finalize=lambda value: value if isinstance(value, Markup) else _escaped(value),
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        keep_trailing_newline=True,
    )
    made.globals.update(meaning=_MEANING, answer_metrics=_ANSWER_METRICS)
    texts = (_in_order, _criteria_of, _counted_in, _kinds, _outcome, _outcomes)
    plots = (_soul_rows, _answer_rows, _spelling_rows, _at, _rounded_up)
    made.filters.update({one.__name__.removeprefix("_"): one for one in (*texts, *plots)})
    return made


def _escaped(value: object) -> Markup:
    """The value as escaped HTML text. Characters that a reader cannot see, and lone surrogates, are escapes."""
    return Markup(escape(visible(str(value))))


def _asked(data: Mapping[str, Any]) -> str:
    parts = []
    if data["soul"] is not None:
        probes = len({one["id"] for one in data["probes"]})
        parts.append(f"{probes} probes of the soul")
    if data["questions"]:
        parts.append(f"{len(data['questions'])} questions, each with the same passages for every brain")
    return f"Asked: {' and '.join(parts)}." if parts else ""


def _in_order(results: Mapping[str, Any], brains: Iterable[str]) -> list[Any]:
    """Each brain's result, in the order of the brains; None for a brain that has none."""
    return [results.get(name) for name in brains]


def _criteria_of(data: Mapping[str, Any], name: str) -> list[Mapping[str, Any]]:
    """All criteria of one brain's verdict, worst first."""
    every = [*data["verdicts"][name]["criteria"], *data["measured"]["latency"][name]]
    return sorted(every, key=lambda one: _FROM_WORST.index(one["word"]))


def _kinds(results: Iterable[Mapping[str, Any]]) -> list[str]:
    """The kinds of question that some brain was asked, in the order of the file."""
    return list(dict.fromkeys(kind["kind"] for one in results for kind in one["kinds"]))


def _counted_in(measures: Iterable[Mapping[str, Any]], kinds: Sequence[Mapping[str, Any]]) -> list[Mapping[str, Any]]:
    """The measures that count an answer of some kind."""
    return [one for one in measures if any(kind["measures"][one["name"]] for kind in kinds)]


def _outcome(answer: Mapping[str, Any]) -> bool | None:
    """Whether an answer passed; None if that is not known."""
    if "passed" in answer:
        passed: bool | None = answer["passed"]
        return passed
    score = answer["score"]
    if score is None or score["failed"]:
        return None
    return bool(score["passed" if "passed" in score else "grounded"])


def _outcomes(row: Mapping[str, Any], brains: Sequence[str]) -> str:
    """The classes of a row of answers, by which report.js shows or hides it.

    `failed` says that some brain failed, `failed-0` that the first brain did, `differ` that the brains have different
    outcomes.
    """
    outcomes = {name: _outcome(row["answers"][name]) for name in brains if name in row["answers"]}
    words = [f"failed-{place}" for place, name in enumerate(brains) if outcomes.get(name) is False]
    return " ".join(words + (["failed"] if words else []) + (["differ"] if len(set(outcomes.values())) > 1 else []))


def _flat(data: Mapping[str, Any], before: str = "") -> Iterable[tuple[str, Any]]:
    for name, value in data.items():
        if isinstance(value, Mapping):
            yield from _flat(value, f"{before}{name} ")
        elif isinstance(value, list) and value and isinstance(value[0], Mapping):
            for number, one in enumerate(value, 1):
                yield from _flat(one, f"{before}{name} {number} ")
        elif value is not None:
            yield f"{before}{name}".replace("_", " "), ", ".join(map(str, value)) if isinstance(value, list) else value


def _resource(name: str) -> str:
    return (resources.files("cervella.evaluation.reports") / "templates" / name).read_text(encoding="utf-8").strip()


# For the plots


def _soul_rows(results: Sequence[Mapping[str, Any]]) -> list[dict[str, Any]]:
    rows = []
    for own in zip(*(result["dimensions"] for result in results), strict=True):
        band = (own[0]["flatterer"], own[0]["perfect"])
        rows.append(
            {
                "label": own[0]["dimension"],
                "scores": [one["score"] for one in own],
                "controls": [one["controls"].get("none") for one in own],
                "band": None if None in band else band,
            }
        )
    return rows


def _answer_rows(results: Sequence[Mapping[str, Any]]) -> list[dict[str, Any]]:
    none = [None] * len(results)
    return [
        {"label": label, "scores": [one[key] for one in results], "controls": none, "band": None}
        for key, label in _ANSWER_METRICS
    ]


def _spelling_rows(results: Sequence[Mapping[str, Any]], measures: Iterable[Mapping[str, Any]]) -> list[dict[str, Any]]:
    none = [None] * len(results)
    return [
        {
            "label": f"{one['name']}: {one['label']}{' (best: 0)' if one['best'] == 'low' else ''}",
            "scores": [own["measures"][one["name"]] for own in results],
            "controls": none,
            "band": None,
        }
        for one in measures
    ]


def _at(share: float) -> str:
    """A place on a scale, 0 to 1, in percent of a drawing's width: the scale has a margin of 3 on both sides."""
    return f"{3.0 + min(1.0, max(0.0, share)) * 94.0:.2f}%"


def _rounded_up(value: float) -> float:
    """The smallest number among 1, 2, 5 and their multiples by powers of ten that is not less than the value."""
    if value <= 0:
        return 1.0
    power: float = 10 ** math.floor(math.log10(value))
    return float(next(step * power for step in (1, 2, 5, 10) if step * power >= value * 0.999999))
