"""Reads and scores the grades of an owner's rubric: tasks that are graded 1 to 5 on named criteria, in groups called
tiers.

Grades are given by a person (in a file) or by a judge brain. A task without grades is not scored, never 0.
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

TIERS = (
    Tier(name="1", threshold=0.80, go=0.60),
    Tier(name="2", threshold=0.75, go=0.625),
    Tier(name="3", threshold=0.70, go=0.50),
)
"""The tiers of a rubric that defines none: `threshold` is the score from which a task passes, `go` the share of a
tier's tasks that must pass."""
_LOWEST, _HIGHEST = 1, 5


@dataclass(frozen=True, slots=True, kw_only=True)
class Grades:
    """The grades that a person or a judge gave one brain's answer to one task."""

    brain: str
    task: str
    by: str
    """A person's name, or the judge brain's."""
    how: str
    """`human` if a person gave the grades, `judge` if a brain did."""
    grades: Mapping[str, float]
    """The grade for each criterion, 1 to 5."""


@dataclass(frozen=True, slots=True, kw_only=True)
class TaskScore:
    """The score of one brain's answer to one task."""

    task: str
    tier: str
    score: float | None
    """0 to 1: the mean grade / 5; None if it was not scored."""
    passed: bool | None


@dataclass(frozen=True, slots=True, kw_only=True)
class TierScore:
    """The result of one brain on the tasks of one tier."""

    tier: str
    tasks: int
    scored: int
    passed: int
    mean: float | None
    share: Estimate | None
    """Share of the scored tasks that passed, with Wilson's interval."""
    go: bool | None
    """Whether enough of the tier's tasks passed; None if the tier has no `go`, or not all its tasks are scored."""


def task_score(task: str, tier: Tier, grades: Mapping[str, float] | None) -> TaskScore:
    """The mean of the criteria's grades / 5. The task passes from its tier's threshold on.

    >>> task_score("T08", TIERS[0], {"correttezza": 5, "completezza": 5, "stile": 5, "utilita": 4}).score
    0.95
    """
    if not grades:
        return TaskScore(task=task, tier=tier.name, score=None, passed=None)
    _check_grades(task, grades)
    score = math.fsum(grades.values()) / len(grades) / _HIGHEST
    return TaskScore(task=task, tier=tier.name, score=score, passed=score >= tier.threshold - 1e-9)


def is_grade(value: object) -> bool:
    """Whether a value is a number from 1 to 5."""
    return isinstance(value, (int, float)) and not isinstance(value, bool) and _LOWEST <= value <= _HIGHEST


def _check_grades(task: str, grades: Mapping[str, float]) -> None:
    for criterion, grade in grades.items():
        if not is_grade(grade):
            raise EvaluationError(
                f"The grade of {criterion!r} for {task} is {grade!r}.",
                remedy=f"Grades go from {_LOWEST} to {_HIGHEST}.",
                code="bad_mark",
            )


def tier_scores(scores: Iterable[TaskScore], tiers: Sequence[Tier] = TIERS) -> tuple[TierScore, ...]:
    """The result of each tier that has tasks, in the order of `tiers`."""
    every = list(scores)
    groups = [(tier, [one for one in every if one.tier == tier.name]) for tier in tiers]
    return tuple(_tier_score(tier, own) for tier, own in groups if own)


def _tier_score(tier: Tier, tasks: Sequence[TaskScore]) -> TierScore:
    scored = [one.score for one in tasks if one.score is not None]
    passed = sum(bool(one.passed) for one in tasks)
    known = tier.go is not None and len(scored) == len(tasks)
    return TierScore(
        tier=tier.name,
        tasks=len(tasks),
        scored=len(scored),
        passed=passed,
        mean=math.fsum(scored) / len(scored) if scored else None,
        share=wilson(passed, len(scored)),
        go=passed / len(tasks) >= (tier.go or 0) - 1e-9 if known else None,
    )


def blind_share(wins: int, ties: int, n: int) -> float | None:
    """The share of pairs that a brain wins, a tie counting half, where the judge does not know whose answers it
    compares.

    A brain passes from 0.40 on. None if there are no pairs.

    >>> blind_share(wins=7, ties=4, n=20)
    0.45
    """
    return (wins + 0.5 * ties) / n if n else None


def load_grades(
    path: Path, *, brains: Sequence[str] | None = None, tasks: Sequence[RubricTask] | None = None
) -> tuple[Grades, ...]:
    """Read a person's grades; a line is `{"brain": "claude", "task": "T01", "marks": {"stile": 5, …}, "by": "Anna"}`.

    With `brains` and `tasks`, an unknown brain, task or criterion is an error too. Raises EvaluationError, which names
    the line.
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
            grades = Grades(
                brain=_word(row["brain"]),
                task=_word(row["task"]),
                by=_word(row.get("by", "a person")),
                how="human",
                grades={_word(name): grade for name, grade in row["marks"].items()},
            )
            _check_grades(grades.task, grades.grades)
            if brains is not None:
                _check_known("brain", grades.brain, brains)
            if criteria is not None:
                _check_known("task", grades.task, list(criteria))
                for criterion in grades.grades if criteria[grades.task] else ():
                    _check_known(f"criterion of {grades.task}", criterion, criteria[grades.task])
        except (ValueError, KeyError, TypeError, AttributeError, RecursionError) as error:
            raise EvaluationError(
                f"Line {number} of {str(path)!r} has no grades: {error}.",
                remedy='Write {"brain": "…", "task": "…", "marks": {"…": 4}}.',
                code="bad_mark",
            ) from error
        except EvaluationError as error:
            raise EvaluationError(
                f"Line {number} of {str(path)!r}: {error.message}", remedy=error.remedy, code="bad_mark"
            ) from error
        found.append(grades)
    return tuple(found)


def _check_known(what: str, name: str, known: Sequence[str]) -> None:
    if name not in known:
        raise EvaluationError(
            f"{name!r} is no {what}.", remedy=f"{did_you_mean(name, known)}Known: {', '.join(known) or 'none'}."
        )


def _word(value: Any) -> str:
    if not isinstance(value, str) or not value:
        raise ValueError(f"{value!r} is no name")
    return value


def grades_agreement(grades: Iterable[Grades], tiers: Mapping[str, Tier]) -> Estimate | None:
    """Kappa of a judge and a person: do the same answers pass by the grades of both? None if no answer has both.

    `tiers` maps a task to its tier; grades of other tasks are left out.
    """
    passed: dict[tuple[str, str], dict[str, bool]] = {}
    for one in grades:
        if one.task in tiers:
            result = task_score(one.task, tiers[one.task], one.grades).passed
            passed.setdefault((one.brain, one.task), {})[one.how] = bool(result)
    both = [own for own in passed.values() if {"human", "judge"} <= own.keys()]
    return kappa([own["judge"] for own in both], [own["human"] for own in both])
