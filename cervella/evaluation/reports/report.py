"""The report of a comparison: one HTML file that asks for nothing outside itself. Whatever a brain said is escaped."""

from __future__ import annotations

import base64
import hashlib
from collections.abc import Iterable, Mapping
from html import escape
from importlib import resources
from typing import Any

from cervella.evaluation.reports.markup import equivalence, percent, points, signed, table, text
from cervella.evaluation.reports.plots import Dot, Row, intervals_plot, latency_plot, legend, marker
from cervella.evaluation.reports.report_answers import answers_section
from cervella.evaluation.reports.report_soul import drift_section, soul_section

__all__ = ["report_html"]

_FROM_WORST = ("NO-GO", "INCOMPLETE", "CONDITIONAL", "GO")
_MEANING = {
    "GO": "everything that was measured holds",
    "CONDITIONAL": "nothing speaks against it for sure; read the reasons",
    "NO-GO": "it must not take her place",
    "INCOMPLETE": "answers are missing; run it again to go on",
}


def report_html(data: Mapping[str, Any]) -> str:
    """The page for a document of `cervella.evaluation.comparison.document`."""
    style = _resource("report.css")
    script = _resource("report.js")
    digest = base64.b64encode(hashlib.sha256(script.encode()).digest()).decode()
    policy = (
        f"default-src 'none'; img-src data:; style-src 'unsafe-inline'; script-src 'sha256-{digest}'; base-uri 'none'"
    )
    body = "\n".join(
        part
        for part in (
            _head(data),
            soul_section(data),
            _questions(data),
            _rubric(data),
            _speed(data),
            drift_section(data),
            answers_section(data),
            _settings(data),
        )
        if part
    )
    return f"""<!DOCTYPE html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta http-equiv="Content-Security-Policy" content="{escape(policy)}">
<meta name="viewport" content="width=device-width, initial-scale=1">
<meta name="referrer" content="no-referrer">
<link rel="icon" href="data:,">
<title>Is she still herself? {text(data["sentence"])}</title>
<style>{style}</style>
</head>
<body>
<main>
{body}
</main>
<script>{script}</script>
</body>
</html>
"""


def _head(data: Mapping[str, Any]) -> str:
    cards = []
    for place, name in enumerate(data["brains"]):
        word = data["verdicts"][name]["verdict"]
        criteria = [*data["verdicts"][name]["criteria"], *data["measured"]["latency"][name]]
        criteria.sort(key=lambda one: _FROM_WORST.index(one["word"]))
        items = "".join(
            f'<li><span class="{one["word"]}">{"held" if one["word"] == "GO" else one["word"]}</span>: '
            f"{text(one['text'])}</li>"
            for one in criteria
        )
        role = " (reference)" if name == data["reference"] else ""
        cards.append(
            f'<article class="card"><h3>{marker(place)} <bdi>{text(name)}</bdi>{role}</h3>'
            f'<p><span class="badge {word}">{word}</span> '
            f'<span class="soft">{_MEANING[word]}</span></p><ul>{items}</ul></article>'
        )
    soul = data["settings"]["soul"]
    return (
        f"<header><h1>Is she still herself? {text(data['sentence'])}</h1>"
        f'<p class="soft">The soul of {text(soul["name"])} ({text(soul["fingerprint"][:12])}) under '
        f"{len(data['brains'])} brains, each held against {text(data['reference'])}. {text(_asked(data))}</p></header>"
        f'<section aria-label="Verdicts"><div class="cards">{"".join(cards)}</div></section>'
    )


def _asked(data: Mapping[str, Any]) -> str:
    parts = []
    if data["soul"] is not None:
        probes = len({one["id"] for one in data["probes"]})
        parts.append(f"{probes} probes of the soul")
    if data["questions"]:
        parts.append(f"{len(data['questions'])} questions, each with the same passages for every brain")
    return f"Asked: {' and '.join(parts)}." if parts else ""


_ANSWERS = (
    ("grounded", "right, on a right source"),
    ("right", "right"),
    ("precision", "citations that are right and supported"),
    ("recall", "right source cited"),
    ("abstains_rightly", "says «non lo so» where it should"),
    ("abstains_wrongly", "says «non lo so» where it should not"),
)


def _questions(data: Mapping[str, Any]) -> str:
    if not data["questions"]:
        return ""
    results = [data["answers"][name] for name in data["brains"]]
    rows = [(label, [percent(one[key]) for one in results]) for key, label in _ANSWERS]
    rows.append(("marks without a source", [str(one["invented_marks"]) for one in results]))
    rows.append(("answers missing", [str(one["missing"]) for one in results]))
    pairs = [data["answer_pairs"].get(name) for name in data["brains"]]
    rows.append((f"beside {text(data['reference'])}, points", [points(pair) for pair in pairs]))
    rows.append(("equivalent to it?", [equivalence(pair) for pair in pairs]))
    kinds = {kind["kind"]: None for one in results for kind in one["kinds"]}
    found = [{kind["kind"]: kind for kind in one["kinds"]} for one in results]
    by_kind = [
        (text(kind), [f"{own[kind]['grounded']} of {own[kind]['questions']}" if kind in own else "" for own in found])
        for kind in kinds
    ]
    plot = intervals_plot(
        "Answers to the question file, with 95 % intervals",
        [
            Row(
                label=label,
                dots=[
                    Dot(brain=place, estimate=one[key]["estimate"], low=one[key]["low"], high=one[key]["high"])
                    for place, one in enumerate(results)
                    if one[key] is not None
                ],
            )
            for key, label in _ANSWERS
        ],
    )
    return (
        "<section><h2>Answers from the base</h2>"
        '<p class="soft">By rule, no model judges: the expected figures, dates and words, and citations held against '
        "their lines.</p>"
        f"{legend(data['brains'])}{plot}"
        + table("Answers to the question file, by brain", ["measure", *signed(data)], rows)
        + table("Right on a right source, by kind of question", ["kind", *signed(data)], by_kind)
        + "</section>"
    )


def _rubric(data: Mapping[str, Any]) -> str:
    if not data["rubric"]:
        return ""
    results = [data["rubric"][name] for name in data["brains"]]
    rows = [
        (f"tier {text(tier['tier'])}, passed", [_tier(one, place) for one in results])
        for place, tier in enumerate(results[0]["tiers"])
    ]
    rows.append(("mean mark", [percent(one["mean"]) for one in results]))
    rows.append(("marked by a person, by a judge", [f"{one['by']['human']}, {one['by']['judge']}" for one in results]))
    rows.append(("blind pairs won, tied, lost", [_blind(one["blind"]) for one in results]))
    kappa = results[0]["agreement"]
    agreed = "no answer was marked by both" if kappa is None else f"kappa {kappa['estimate']:.2f} (n = {kappa['n']})"
    notes = "".join(
        f"<li><bdi>{text(name)}</bdi>: not judged, {text(one['not_judged'])}</li>"
        for name, one in zip(data["brains"], results, strict=True)
        if one["not_judged"]
    )
    return (
        f"<section><h2>The rubric's tasks</h2>{table('Marks by tier and brain', ['', *signed(data)], rows)}"
        f'<p class="soft">Judge beside person: {agreed}.</p><ul>{notes}</ul></section>'
    )


def _tier(result: Mapping[str, Any], place: int) -> str:
    one = result["tiers"][place]
    if not one["scored"]:
        return '<span class="soft">not scored</span>'
    return f"{one['passed']} of {one['scored']} scored {percent(one['share'])}"


def _blind(found: Mapping[str, Any] | None) -> str:
    if found is None:
        return '<span class="soft">not asked</span>'
    return f"{found['wins']}, {found['ties']}, {found['losses']} ({100 * found['share']:.0f} %)"


def _speed(data: Mapping[str, Any]) -> str:
    speed = data["measured"]["speed"]
    rows = []
    for key, label, form in (
        ("seconds_p50", "half of the answers within", "{:.2g} s"),
        ("seconds_p95", "95 of 100 within", "{:.2g} s"),
        ("first_token_p50", "first word, half within", "{:.2g} s"),
        ("tokens_per_second", "tokens a second", "{:.1f}"),
        ("cost_per_1000", "1,000 answers cost", "${}"),
    ):
        values = [speed[name][key] for name in data["brains"]]
        rows.append((label, ["not known" if value is None else form.format(value) for value in values]))
    known = [
        (place, name, speed[name]["seconds_p50"], speed[name]["seconds_p95"])
        for place, name in enumerate(data["brains"])
        if speed[name]["seconds_p95"] is not None
    ]
    limit = data["settings"]["rules"]["latency_p95"]
    plot = latency_plot("Seconds for an answer: half of them to 95 of 100", known, limit=limit) if known else ""
    shown = table("Time and cost, by brain", ["", *signed(data)], rows)
    return f"<section><h2>Time and cost</h2>{legend(data['brains'])}{plot}{shown}</section>"


def _settings(data: Mapping[str, Any]) -> str:
    flat = list(_flat({**data["settings"], "run": data["measured"]["run"], "started": data["measured"]["started"]}))
    items = "".join(f"<dt>{text(name)}</dt><dd>{text(value)}</dd>" for name, value in flat)
    return f"<section><h2>What was asked, and how</h2><dl>{items}</dl></section>"


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
    return resources.files("cervella.evaluation.reports").joinpath(name).read_text(encoding="utf-8").strip()
