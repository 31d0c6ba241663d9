"""The report's answers side by side: each question a fold of its own, with what failed in it."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from cervella.evaluation.reports.markup import text
from cervella.evaluation.reports.plots import marker

__all__ = ["answers_section"]


def answers_section(data: Mapping[str, Any]) -> str:
    """Questions and probes, folded; a chooser above each list where scripts run."""
    parts = []
    if data["questions"]:
        rows = [_fold(data, one, _question_head(one), _question_facts(one), _answer_notes) for one in data["questions"]]
        parts.append(_list(data, "questions", "Every question, answers side by side", rows))
    if data["probes"]:
        rows = [_fold(data, one, _probe_head(one), "", _probe_notes) for one in data["probes"]]
        parts.append(_list(data, "probes", "Every probe, answers side by side", rows))
    if data["tasks"]:
        rows = [_fold(data, one, _task_head(one), _task_facts(one), _task_notes) for one in data["tasks"]]
        parts.append(_list(data, "tasks", "Every task, answers side by side", rows))
    return "".join(parts)


def _list(data: Mapping[str, Any], name: str, title: str, rows: list[str]) -> str:
    brains = "".join(
        f'<option value="failed-{place}">failed by {text(brain)}</option>' for place, brain in enumerate(data["brains"])
    )
    chooser = (
        f'<p hidden><label>Show <select data-list="{name}"><option value="">all</option>'
        '<option value="failed">where any brain failed</option>'
        f'<option value="differ">where brains differ</option>{brains}'
        f'</select></label> <span id="{name}-count" class="soft" role="status"></span></p>'
    )
    return f'<section><h2>{title}</h2>{chooser}<div id="{name}">{"".join(rows)}</div></section>'


def _held(answer: Mapping[str, Any]) -> bool | None:
    """Whether an answer is as it should be; None where that is not known."""
    if "passed" in answer:
        passed: bool | None = answer["passed"]
        return passed
    score = answer["score"]
    return None if score is None or score["failed"] else bool(score["grounded"])


def _fold(data: Mapping[str, Any], row: Mapping[str, Any], head: str, facts: str, notes: Any) -> str:
    held = {name: _held(row["answers"][name]) for name in data["brains"] if name in row["answers"]}
    tags = [f"failed-{place}" for place, name in enumerate(data["brains"]) if held.get(name) is False]
    tags += (["failed"] if tags else []) + (["differ"] if len(set(held.values())) > 1 else [])
    signs = " ".join(
        f'<span class="{_kind(held[name])}">{marker(place)}{_word(held[name])}</span>'
        for place, name in enumerate(data["brains"])
        if name in held
    )
    lang = text(data["settings"].get("language", ""))
    columns = "".join(
        f'<div class="said"><strong>{marker(place)} <bdi>{text(name)}</bdi></strong> '
        f'<span class="{_kind(held[name])}">{_word(held[name])}</span>'
        f'<div class="text" dir="auto" lang="{lang}">{_said(row["answers"][name])}</div>'
        f"{notes(row['answers'][name])}</div>"
        for place, name in enumerate(data["brains"])
        if name in held
    )
    return (
        f'<details data-is="{" ".join(tags)}"><summary>{head} {signs}</summary>'
        f'<div>{facts}<div class="side">{columns}</div></div></details>'
    )


def _kind(held: bool | None) -> str:
    return "unknown" if held is None else "yes" if held else "no"


def _word(held: bool | None) -> str:
    return "not scored" if held is None else "passed" if held else "failed"


def _said(answer: Mapping[str, Any]) -> str:
    if answer["error"] and not answer["text"]:
        return f'<em class="no">{text(answer["error"])}: {text(answer["message"] or "no answer")}</em>'
    return text(answer["text"])


def _items(lines: list[str]) -> str:
    return f"<ul>{''.join(f'<li>{line}</li>' for line in lines)}</ul>" if lines else ""


def _question_head(row: Mapping[str, Any]) -> str:
    kind = f" <span class='soft'>{text(row['kind'])}</span>" if row["kind"] else ""
    return f"<strong>{text(row['id'])}</strong>{kind} <bdi>{text(row['question'])}</bdi>"


def _question_facts(row: Mapping[str, Any]) -> str:
    lines = []
    if row["answerable"]:
        lines += [f"expected: <bdi>{text(row['expected'])}</bdi>"] if row["expected"] else []
        lines += [f"evidence: <bdi>{text(one)}</bdi>" for one in row["evidence"]]
        lines += [f"files: {text(', '.join(row['files']))}"] if row["files"] else []
    else:
        lines.append("the base does not hold it: «non lo so» is right")
    shown = "; ".join(f"{one['mark']} {one['path']}:{one['start_line']}-{one['end_line']}" for one in row["passages"])
    lines.append(f"passages, the same for every brain: {text(shown) or 'none'}")
    return _items(lines)


def _answer_notes(answer: Mapping[str, Any]) -> str:
    score = answer["score"]
    if score is None:
        return _items(["not scored: the question asks other words now"])
    lines = [f'<span class="no">{text(reason)}</span>' for reason in score["reasons"]]
    for cited in score["cited"]:
        place = f"{cited['mark']} {cited['path']}:{cited['start_line']}-{cited['end_line']}"
        good = cited["supported"] and cited["right_file"] is not False
        doubts = {True: "", False: ", not supported by these lines", None: ", not checked against these lines"}
        doubt = doubts[cited["supported"]]
        doubt += ", another file" if cited["right_file"] is False else ""
        lines.append(f'<span class="{"yes" if good else "no"}">{text(place)}{doubt}</span>')
    return _items(lines)


def _probe_head(row: Mapping[str, Any]) -> str:
    told = [row["dimension"], row["severity"]]
    told += [f"wording {row['variant']}"] if row["variant"] else []
    told += [f"repeat {row['repeat']}"] if row["repeat"] else []
    told += [f"turn {row['turn']}"] if row["turn"] > 1 else []
    return (
        f'<strong>{text(row["id"])}</strong> <span class="soft">{text(", ".join(told))}</span> '
        f"<bdi>{text(row['question'])}</bdi>"
    )


def _probe_notes(answer: Mapping[str, Any]) -> str:
    if answer["unscored"]:
        return _items([f"not scored: {text(answer['unscored'])}"])
    return _items(
        [
            f'<span class="{_kind(check["passed"])}">{text(check["kind"])}: {_word(check["passed"])}</span>'
            f" <span class='soft'>({text(check['how'])})</span> <bdi>{text(check['detail'])}</bdi>"
            for check in answer["checks"]
        ]
    )


def _task_head(row: Mapping[str, Any]) -> str:
    return f'<strong>{text(row["id"])}</strong> <span class="soft">tier {text(row["tier"])}</span> {text(row["name"])}'


def _task_facts(row: Mapping[str, Any]) -> str:
    lines = [f"task: <bdi>{text(row['question'])}</bdi>"]
    return _items(lines + ([f"expected: <bdi>{text(row['expected'])}</bdi>"] if row["expected"] else []))


def _task_notes(answer: Mapping[str, Any]) -> str:
    score = answer["score"]
    return _items(["not scored: nobody marked it" if score is None else f"mean mark {100 * score:.0f} %"])
