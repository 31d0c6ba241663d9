"""The owner's rubric: tasks marked 1 to 5 on named criteria, in tiers, and what the marks come to.

Marks are a person's (a marks file) or a judge brain's; a task without them is "not scored", never 0.
"""

from __future__ import annotations

import json
import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from cervella.errors import EvaluationError, did_you_mean, refused
from cervella.evaluation.statistics.intervals import Estimate, kappa, wilson
from cervella.evaluation.suites.suite import RubricTask, Tier

__all__ = [
    "TIERS",
    "Marks",
    "TaskScore",
    "TierScore",
    "blind_share",
    "check_marks",
    "load_marks",
    "marks_agreement",
    "task_score",
    "tier_scores",
]

TIERS = (
    Tier(name="1", threshold=0.80, go=0.60),
    Tier(name="2", threshold=0.75, go=0.625),
    Tier(name="3", threshold=0.70, go=0.50),
)
"""The owner's: from which share of the best marks a task is passed, and how many of a tier must be."""
_LOWEST, _HIGHEST = 1, 5


@dataclass(frozen=True, slots=True, kw_only=True)
class Marks:
    """What somebody gave one brain's answer to one task."""

    brain: str
    task: str
    by: str
    """A person's name, or the judge brain's."""
    how: str
    """`human` or `judge`."""
    marks: Mapping[str, float]
    """By criterion, 1 to 5."""


@dataclass(frozen=True, slots=True, kw_only=True)
class TaskScore:
    """One task under one brain."""

    task: str
    tier: str
    score: float | None
    """0 to 1: the mean mark / 5; None where it was not scored."""
    passed: bool | None


@dataclass(frozen=True, slots=True, kw_only=True)
class TierScore:
    """A tier's tasks under one brain."""

    tier: str
    tasks: int
    scored: int
    passed: int
    mean: float | None
    share: Estimate | None
    """Of the scored tasks, those passed, with Wilson's interval."""
    go: bool | None
    """Whether enough of the tier's tasks are passed; None where the tier asks nothing, or not all are scored."""


def task_score(task: str, tier: Tier, marks: Mapping[str, float] | None) -> TaskScore:
    """The mean of the criteria's marks times 20 %, passed from its tier's threshold on.

    >>> task_score("T08", TIERS[0], {"correttezza": 5, "completezza": 5, "stile": 5, "utilita": 4}).score
    0.95
    """
    if not marks:
        return TaskScore(task=task, tier=tier.name, score=None, passed=None)
    check_marks(task, marks)
    score = math.fsum(marks.values()) / len(marks) / _HIGHEST
    return TaskScore(task=task, tier=tier.name, score=score, passed=score >= tier.threshold - 1e-9)


def check_marks(task: str, marks: Mapping[str, float]) -> None:
    """Raises EvaluationError for a mark outside 1 to 5."""
    for criterion, mark in marks.items():
        if isinstance(mark, bool) or not isinstance(mark, (int, float)) or not _LOWEST <= mark <= _HIGHEST:
            raise EvaluationError(
                f"The mark of {criterion!r} for {task} is {mark!r}.",
                remedy=f"Marks go from {_LOWEST} to {_HIGHEST}.",
                code="bad_mark",
            )


def tier_scores(scores: Iterable[TaskScore], tiers: Sequence[Tier] = TIERS) -> tuple[TierScore, ...]:
    """The tiers that have tasks, in order, each over its own."""
    every = list(scores)
    found = []
    for tier in tiers:
        own = [one for one in every if one.tier == tier.name]
        marked = [one.score for one in own if one.score is not None]
        passed = sum(bool(one.passed) for one in own)
        known = tier.go is not None and len(marked) == len(own)
        if own:
            found.append(
                TierScore(
                    tier=tier.name,
                    tasks=len(own),
                    scored=len(marked),
                    passed=passed,
                    mean=math.fsum(marked) / len(marked) if marked else None,
                    share=wilson(passed, len(marked)),
                    go=passed / len(own) >= (tier.go or 0) - 1e-9 if known else None,
                )
            )
    return tuple(found)


def blind_share(wins: int, ties: int, n: int) -> float | None:
    """The preference in blind pairs, a tie counting half; passed from 0.40 on. None of no pair.

    >>> blind_share(wins=7, ties=4, n=20)
    0.45
    """
    return (wins + 0.5 * ties) / n if n else None


def load_marks(
    path: Path, *, brains: Sequence[str] | None = None, tasks: Sequence[RubricTask] | None = None
) -> tuple[Marks, ...]:
    """A person's marks, JSON Lines: `{"brain": "claude", "task": "T01", "marks": {"correttezza": 5, …}, "by": "Anna"}`.

    With `brains` and `tasks`, a mark of none of them, or on a criterion that its task does not have, is an error too.
    Raises EvaluationError, which names the line.
    """
    criteria = None if tasks is None else {task.id: list(task.criteria) for task in tasks}
    with refused(EvaluationError, f"The marks file {str(path)!r} can't be read", remedy="Correct its path."):
        lines = path.read_text(encoding="utf-8-sig").splitlines()
    found = []
    for number, line in enumerate(lines, 1):
        if not line.strip():
            continue
        try:
            row: Any = json.loads(line)
            marks = Marks(
                brain=_word(row["brain"]),
                task=_word(row["task"]),
                by=_word(row.get("by", "a person")),
                how="human",
                marks={_word(name): mark for name, mark in row["marks"].items()},
            )
            check_marks(marks.task, marks.marks)
            if brains is not None:
                _known("brain", marks.brain, brains)
            if criteria is not None:
                _known("task", marks.task, list(criteria))
                for criterion in marks.marks if criteria[marks.task] else ():
                    _known(f"criterion of {marks.task}", criterion, criteria[marks.task])
        except (ValueError, KeyError, TypeError, AttributeError, RecursionError) as error:
            raise EvaluationError(
                f"Line {number} of {str(path)!r} holds no marks: {error}.",
                remedy='Write {"brain": "…", "task": "…", "marks": {"…": 4}}.',
                code="bad_mark",
            ) from error
        except EvaluationError as error:
            raise EvaluationError(
                f"Line {number} of {str(path)!r}: {error.message}", remedy=error.remedy, code="bad_mark"
            ) from error
        found.append(marks)
    return tuple(found)


def _known(what: str, name: str, known: Sequence[str]) -> None:
    if name not in known:
        raise EvaluationError(
            f"{name!r} is no {what}.", remedy=f"{did_you_mean(name, known)}Known: {', '.join(known) or 'none'}."
        )


def _word(value: Any) -> str:
    if not isinstance(value, str) or not value:
        raise ValueError(f"{value!r} is no name")
    return value


def marks_agreement(marks: Iterable[Marks], tiers: Mapping[str, Tier]) -> Estimate | None:
    """Kappa of a judge's and a person's passed or failed over the answers that both marked; None where none is.

    `tiers` maps a task to its tier; a task that it does not have is left out.
    """
    passed: dict[tuple[str, str], dict[str, bool]] = {}
    for one in marks:
        if one.task in tiers:
            result = task_score(one.task, tiers[one.task], one.marks).passed
            passed.setdefault((one.brain, one.task), {})[one.how] = bool(result)
    both = [own for own in passed.values() if {"human", "judge"} <= own.keys()]
    return kappa([own["judge"] for own in both], [own["human"] for own in both])
