"""Writes a comparison as one JSON document, from which the report is made. Times and speeds are under `measured`."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import asdict
from typing import Any

from cervella.evaluation.comparison.answers import AnswerScore
from cervella.evaluation.comparison.decision import sentence
from cervella.evaluation.comparison.rubric_run import rubric_probes
from cervella.evaluation.comparison.scoreboard import Comparison
from cervella.evaluation.comparison.spelling_scores import CLEAN_WORDS, MEASURES, OFF_WORDS, SpellingScore
from cervella.evaluation.records import Output
from cervella.evaluation.soul_test.metrics import of_long_conversations
from cervella.evaluation.soul_test.scoring import ProbeScore
from cervella.evaluation.suites.suite import Probe, Suite
from cervella.privacy.stored import masked
from cervella.types import Passage


def document(comparison: Comparison, suite: Suite | None = None) -> dict[str, Any]:
    """The JSON document of a comparison. Costs are strings. Secrets are masked.

    `suite` gives the words of the probes and the tasks; without it both are left out. Apart from `measured`, the
    document has the same bytes whenever deterministic brains are compared again.
    """
    c = comparison
    soul = None if c.soul is None else c.soul.as_dict()
    if soul is not None:
        del soul["measured"]
    data: dict[str, Any] = {
        "format": 1,
        "sentence": sentence([c.decisions[name] for name in c.brains]),
        "brains": list(c.brains),
        "reference": c.reference,
        "verdicts": {
            name: {
                "verdict": one.word,
                "criteria": [asdict(criterion) for criterion in one.criteria if criterion.name != "latency"],
            }
            for name, one in c.decisions.items()
        },
        "soul": soul,
        "soul_pairs": {name: pair and asdict(pair) for name, pair in c.soul_pairs.items()},
        "drift": _drift(c),
        "answers": {name: asdict(one) for name, one in c.answers.items()},
        "answer_pairs": {name: pair and asdict(pair) for name, pair in c.answer_pairs.items()},
        **_spellings(c),
        "questions": list(_questions(c)),
        "probes": list(_probes(c, suite)),
        "rubric": {name: asdict(one) for name, one in c.rubric.items()},
        "tasks": list(_tasks(c, suite)),
        "settings": {
            **c.settings,
            "questions": c.frozen
            and {"source": c.frozen.file.source, "sha256": c.frozen.file.sha256, "withheld": c.frozen.withheld},
            "rules": c.rules.model_dump(mode="json", exclude={"folder"}),
        },
        "measured": {
            "run": c.run,
            "started": c.started,
            "speed": {
                name: asdict(one) | {"cost_per_1000": None if one.cost_per_1000 is None else str(one.cost_per_1000)}
                for name, one in c.speed.items()
            },
            "latency": {
                name: [asdict(one) for one in decision.criteria if one.name == "latency"]
                for name, decision in c.decisions.items()
            },
            "seconds": {
                name: {key[2]: one.seconds for key, one in c.outputs.items() if key[0] == name} for name in c.brains
            },
        },
    }
    clean: dict[str, Any] = masked(data)
    return clean


def _drift(c: Comparison) -> dict[str, list[dict[str, float]]]:
    """For each brain, the mean score at each turn. Only conversations that are scored at several turns count."""
    if c.soul is None:
        return {}
    found: dict[str, list[dict[str, float]]] = {}
    for name in c.brains:
        own = [one for one in c.soul.scores if one.brain == name and one.condition == "soul"]
        at: dict[int, list[float]] = {}
        for one, score in of_long_conversations(own):
            at.setdefault(one.turn, []).append(score)
        found[name] = [{"turn": turn, "score": sum(values) / len(values)} for turn, values in sorted(at.items())]
    return found


def _spellings(c: Comparison) -> dict[str, Any]:
    """The part of a comparison whose answers are scored by spellings; nothing for another."""
    if not c.spellings or c.frozen is None:
        return {}
    return {
        "spellings": {
            "limits": {"clean": CLEAN_WORDS, "off": OFF_WORDS},
            "measures": [
                {**_fields(one, "name", "label"), "best": "high" if one.wanted else "low"} for one in MEASURES
            ],
            "brains": {name: asdict(one) for name, one in c.spellings.items()},
            "pairs": {
                name: {measure: pair and asdict(pair) for measure, pair in pairs.items()}
                for name, pairs in c.spelling_pairs.items()
            },
            "misses": {name: list(_misses(c, name)) for name in c.brains},
            "unanswered": {name: list(_unanswered(c, name)) for name in c.brains},
        }
    }


def _misses(c: Comparison, brain: str) -> Iterator[dict[str, Any]]:
    """The answers of a brain that some measure counts against it, those that are not as they should be first."""
    assert c.frozen is not None
    scores = c.spelling_scores[brain]
    said = {key[2]: output.text for key, output in c.outputs.items() if key[0] == brain}
    missed = [one for one in c.frozen.file.questions if one.id in scores and scores[one.id].missed]
    for one in sorted(missed, key=lambda one: scores[one.id].passed):
        score = scores[one.id]
        yield {
            **_fields(one, "id", "line", "kind", "question", "answerable"),
            "expected": one.answer,
            "files": list(one.files),
            "said": said[one.id],
            "sources": [asdict(source) for source in score.sources],
            **_fields(score, "passed", "words"),
            "missed": list(score.missed),
            "reasons": list(score.reasons),
        }


def _unanswered(c: Comparison, brain: str) -> Iterator[dict[str, Any]]:
    """The questions that a brain was not asked, or whose call failed. They are in no share."""
    assert c.frozen is not None
    outputs = {key[2]: output for key, output in c.outputs.items() if key[0] == brain}
    for one in c.frozen.file.questions:
        score, output = c.spelling_scores[brain].get(one.id), outputs.get(one.id)
        if score is None or score.failed:
            yield {
                **_fields(one, "id", "line", "kind", "question"),
                **({"error": None, "message": None} if output is None else _fields(output, "error", "message")),
            }


def _questions(c: Comparison) -> Iterator[dict[str, Any]]:
    """Each question with all brains' answers side by side."""
    if c.frozen is None:
        return
    by_place = {(key[0], key[2]): output for key, output in c.outputs.items()}
    scores: Mapping[str, Mapping[str, AnswerScore | SpellingScore]] = c.spelling_scores or c.scores
    for one in c.frozen.file.questions:
        if one.id not in c.frozen.retrievals:
            continue
        retrieval = c.frozen.retrievals[one.id]
        yield {
            **_fields(one, "id", "kind", "question"),
            "expected": one.answer,
            "evidence": list(one.evidence),
            "files": list(one.files),
            "answerable": one.answerable,
            **({} if one.spellings is None else asdict(one.spellings)),
            "passages": [_place(mark, passage) for mark, passage in enumerate(retrieval.passages, 1)],
            "answers": {
                name: {**_said(by_place[name, one.id]), "score": (s := scores[name].get(one.id)) and asdict(s)}
                for name in c.brains
                if (name, one.id) in by_place
            },
        }


def _tasks(c: Comparison, suite: Suite | None) -> Iterator[dict[str, Any]]:
    """Each task of a rubric with all brains' answers side by side."""
    if suite is None or not c.rubric:
        return
    scores = {(name, one.task): asdict(one) for name, result in c.rubric.items() for one in result.tasks}
    for probe, task in zip(rubric_probes(suite), suite.tasks, strict=True):
        yield {
            **_fields(task, "id", "tier", "name"),
            "question": task.input,
            "expected": task.expected,
            "answers": {
                name: {**_said(output), **scores[name, task.id]}
                for name in c.brains
                if (output := c.outputs.get((name, "soul", probe.id, 0, 0, 1))) is not None
            },
        }


def _probes(c: Comparison, suite: Suite | None) -> Iterator[dict[str, Any]]:
    """A row for each wording, repeat and scored turn of a probe that was asked with the soul, with the answers of all
    brains side by side."""
    if c.soul is None:
        return
    words = {probe.id: probe for probe in suite.probes} if suite is not None else {}
    rows: dict[tuple[str, int, int, int], dict[str, ProbeScore]] = {}
    for one in c.soul.scores:
        if one.condition == "soul":
            rows.setdefault((one.probe, one.variant, one.repeat, one.turn), {})[one.brain] = one
    for (probe, variant, repeat, turn), scores in rows.items():
        yield {
            "id": probe,
            **_fields(next(iter(scores.values())), "dimension", "severity", "variant", "repeat", "turn"),
            "question": _question(words.get(probe), variant, turn),
            "answers": {
                name: {
                    **_said(c.soul_outputs[name, "soul", probe, variant, repeat, turn]),
                    **_fields(score, "score", "passed", "unscored"),
                    "checks": [asdict(check) for check in score.checks],
                }
                for name, score in scores.items()
            },
        }


def _question(probe: Probe | None, variant: int, turn: int) -> str:
    if probe is None or variant > len(probe.paraphrases) or turn > len(probe.turns):
        return ""
    return probe.variant(variant)[turn - 1]


def _said(output: Output) -> dict[str, Any]:
    return _fields(output, "text", "model", "finish_reason", "error", "message") | {"flags": dict(output.flags)}


def _place(number: int, passage: Passage) -> dict[str, Any]:
    return {"mark": f"F{number}"} | _fields(passage, "path", "start_line", "end_line", "date", "status")


def _fields(value: object, *names: str) -> dict[str, Any]:
    return {name: getattr(value, name) for name in names}
