"""A rubric suite under several brains: its tasks asked, marked by a judge or a person, and what the marks come to."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from cervella.errors import EvaluationError
from cervella.evaluation.comparison.rubric import (
    TIERS,
    Marks,
    TaskScore,
    TierScore,
    blind_share,
    marks_agreement,
    task_score,
    tier_scores,
)
from cervella.evaluation.comparison.rubric_judge import Ask, judge_marks, judge_pair, same_family
from cervella.evaluation.records import Key, Output, append_row, canonical_sha256
from cervella.evaluation.statistics.statistics import Estimate, mean_interval
from cervella.evaluation.suites.suite import Probe, Suite, Tier
from cervella.process.files import open_private

__all__ = [
    "DIMENSION",
    "HUMAN_MARKS",
    "BlindPairs",
    "RubricResult",
    "judged",
    "kept_judgements",
    "rubric_probes",
    "rubric_result",
]

DIMENSION = "rubric"
"""What the tasks are called where probes have a dimension."""
_FILE = "marks.jsonl"
HUMAN_MARKS = "marks-human.jsonl"
"""A person's marks, kept with the run."""
_PREFIX = "task:"


@dataclass(frozen=True, slots=True, kw_only=True)
class BlindPairs:
    """A brain's answers beside the reference's, the judge asked in both orders."""

    wins: int
    ties: int
    """Where it could not tell, or told otherwise in the other order."""
    losses: int
    share: float | None
    """(wins + ties / 2) / all of them."""


@dataclass(frozen=True, slots=True, kw_only=True)
class RubricResult:
    """One brain over the tasks. Nothing is scored that nobody marked."""

    tasks: tuple[TaskScore, ...]
    tiers: tuple[TierScore, ...]
    mean: Estimate | None
    """Of the scored tasks, 0 to 1."""
    scored: int
    passed: int
    go: bool | None
    """Whether enough tasks are passed, in all and in each tier; None where the suite asks nothing, or not all are
    scored."""
    by: Mapping[str, int]
    """How many tasks a person marked, and how many only a judge."""
    blind: BlindPairs | None
    agreement: Estimate | None
    """Kappa of judge and person, over all brains' answers that both marked."""
    not_judged: str | None
    """Why a judge that there is did not mark this brain."""


def rubric_probes(suite: Suite) -> tuple[Probe, ...]:
    """The tasks as probes without checks: asked, kept and gone on with as those of a soul test are."""
    return tuple(
        Probe(id=f"{_PREFIX}{task.id}", dimension=DIMENSION, turns=(task.input,), checks=(), perfect=(), flatterer=())
        for task in suite.tasks
    )


def judged(
    folder: Path,
    suite: Suite,
    outputs: Mapping[Key, Output],
    brains: Sequence[str],
    reference: str,
    judge: str,
    model: str,
    ask: Ask,
) -> None:
    """Let a judge mark what it did not mark yet, and compare with the reference; each word is kept as it comes.

    Answers of the judge's own family are left out: it would mark itself.
    """
    known = {(row["what"], row["brain"], row["task"], row["text_sha256"]) for row in kept_judgements(folder)}
    answers = _answers(outputs)
    with open_private(folder / _FILE, "ab", buffering=0) as file:
        for task in suite.tasks:
            for brain in brains:
                own, base = answers.get((brain, task.id)), answers.get((reference, task.id))
                if own is None or same_family(model, own.model):
                    continue
                about: dict[str, Any] = {"brain": brain, "task": task.id, "judge": judge, "model": model}
                if ("marks", brain, task.id, _digest(own)) not in known:
                    marks = judge_marks(ask, task, own.text)
                    append_row(file, {"what": "marks", **about, "text_sha256": _digest(own), "marks": marks}, folder)
                if base is None or brain == reference or same_family(model, base.model):
                    continue
                if ("pair", brain, task.id, _digest(own, base)) not in known:
                    won = judge_pair(ask, task, own.text, base.text)
                    row = {"what": "pair", **about, "text_sha256": _digest(own, base), "against": reference, "won": won}
                    append_row(file, row, folder)


def rubric_result(
    brain: str,
    suite: Suite,
    outputs: Mapping[Key, Output],
    judgements: Sequence[Mapping[str, Any]],
    marks: Sequence[Marks] = (),
    *,
    reference: str,
    **how: Any,
) -> RubricResult:
    """What the marks of one brain come to; a person's stand before a judge's."""
    answers = _answers(outputs)
    tiers = {tier.name: tier for tier in suite.tiers or TIERS}
    of_task = {task.id: _tier(tiers, task.tier) for task in suite.tasks}
    criteria = {task.id: task.criteria.keys() for task in suite.tasks}
    # Some of the criteria alone say nothing of the whole: such an answer is not scored.
    every = [
        one
        for one in (*marks, *_judge_marks(judgements, answers))
        if one.task in criteria and one.marks.keys() >= criteria[one.task]
    ]
    human = {one.task: one for one in every if one.brain == brain and one.how == "human"}
    judge = {one.task: one for one in every if one.brain == brain and one.how == "judge"}
    scores = []
    for id, tier in of_task.items():
        given = human.get(id) or judge.get(id)
        scores.append(task_score(id, tier, given.marks if given and (brain, id) in answers else None))
    marked = [one.score for one in scores if one.score is not None]
    by_tier = tier_scores(scores, list(tiers.values()))
    own = next((one for (name, _), one in answers.items() if name == brain), None)
    models = {row["model"] for row in judgements}
    kin = own is not None and any(same_family(model, own.model) for model in models)
    return RubricResult(
        tasks=tuple(scores),
        tiers=by_tier,
        mean=mean_interval(marked, **how),
        scored=len(marked),
        passed=sum(bool(one.passed) for one in scores),
        go=_go(scores, by_tier, tiers, suite.go),
        by={"human": len(human), "judge": len(judge.keys() - human.keys())},
        blind=_blind(brain, reference, judgements, answers),
        agreement=marks_agreement(every, of_task),
        not_judged=f"the judge is of its family, {', '.join(sorted(models))}" if kin else None,
    )


def kept_judgements(folder: Path) -> list[dict[str, Any]]:
    """What a judge said in a run. A row that was cut off is none."""
    try:
        lines = (folder / _FILE).read_bytes().splitlines(keepends=True)
    except FileNotFoundError:
        return []
    try:
        return [json.loads(line) for line in lines if line.endswith(b"\n")]
    except ValueError as error:
        raise EvaluationError(
            f"{str(folder / _FILE)!r} can't be read: {error}.", remedy="Take the bad line out.", code="run_damaged"
        ) from error


def _answers(outputs: Mapping[Key, Output]) -> dict[tuple[str, str], Output]:
    return {
        (one.brain, one.probe.removeprefix(_PREFIX)): one
        for one in outputs.values()
        if one.probe.startswith(_PREFIX) and not one.failed
    }


def _digest(*outputs: Output) -> str:
    return canonical_sha256([one.text for one in outputs])


def _judge_marks(judgements: Iterable[Mapping[str, Any]], answers: Mapping[tuple[str, str], Output]) -> Iterable[Marks]:
    """Those that were given to the answers that there are now."""
    for row in judgements:
        own = answers.get((row["brain"], row["task"]))
        if row["what"] == "marks" and row["marks"] and own is not None and row["text_sha256"] == _digest(own):
            yield Marks(brain=row["brain"], task=row["task"], by=row["judge"], how="judge", marks=row["marks"])


def _blind(
    brain: str,
    reference: str,
    judgements: Iterable[Mapping[str, Any]],
    answers: Mapping[tuple[str, str], Output],
) -> BlindPairs | None:
    found: dict[str, float] = {}
    for row in judgements:
        own, base = answers.get((row["brain"], row["task"])), answers.get((reference, row["task"]))
        if row["what"] != "pair" or row["brain"] != brain or row["against"] != reference or row["won"] is None:
            continue
        if own is not None and base is not None and row["text_sha256"] == _digest(own, base):
            found[row["task"]] = row["won"]
    if not found:
        return None
    won = list(found.values())
    wins, ties = won.count(1.0), won.count(0.5)
    return BlindPairs(wins=wins, ties=ties, losses=len(won) - wins - ties, share=blind_share(wins, ties, len(won)))


def _go(
    scores: Sequence[TaskScore], by_tier: Sequence[TierScore], tiers: Mapping[str, Tier], go: float | None
) -> bool | None:
    asked = [one.go for one in by_tier if tiers[one.tier].go is not None]
    if any(one is False for one in asked):
        return False
    if (go is None and not asked) or any(one.score is None for one in scores):
        return None
    return go is None or sum(bool(one.passed) for one in scores) / len(scores) >= go - 1e-9


def _tier(tiers: Mapping[str, Tier], name: str) -> Tier:
    if name not in tiers:
        raise EvaluationError(
            f"The tier {name!r} has no threshold.", remedy=f"Give it one in the suite; known: {', '.join(tiers)}."
        )
    return tiers[name]
