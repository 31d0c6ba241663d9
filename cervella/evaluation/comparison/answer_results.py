"""What a brain's answers to a question file come to, and how two brains' scores compare."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from decimal import Decimal
from typing import Any

from cervella.evaluation.comparison.answers import AnswerScore
from cervella.evaluation.records import Output
from cervella.evaluation.soul_test.scoring import ProbeScore
from cervella.evaluation.statistics.statistics import (
    Difference,
    Equivalence,
    Estimate,
    McNemar,
    cluster_means,
    mcnemar,
    mean_interval,
    paired_difference,
    tost,
)
from cervella.evaluation.suites.question_file import KnownQuestion
from cervella.records.ledger.statistics import percentile

__all__ = ["AnswersResult", "KindResult", "Pair", "Speed", "answers_result", "pair_of", "soul_values", "speed_of"]


@dataclass(frozen=True, slots=True, kw_only=True)
class KindResult:
    """The questions of one kind."""

    kind: str
    questions: int
    grounded: int


@dataclass(frozen=True, slots=True, kw_only=True)
class AnswersResult:
    """One brain over a question file. Shares are over the questions that have an answer; None where none has."""

    questions: int
    answered: int
    missing: int
    """Questions for which the engine gave an error, or that were never asked."""
    right: Estimate | None
    """The expected figures, dates and words are there, or she rightly says that she does not know."""
    grounded: Estimate | None
    """Right, and on a supported citation of a right file."""
    precision: Estimate | None
    """Of an answer's citations, those supported by their lines and of a right file; over the answers that cite."""
    recall: Estimate | None
    """Answerable questions for which a right file is cited with support."""
    abstains_rightly: Estimate | None
    """Of the unanswerable questions, those to which she says that she does not know."""
    abstains_wrongly: Estimate | None
    """Of the answerable ones."""
    invented_marks: int
    kinds: tuple[KindResult, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Speed:
    """Times and cost: what differs from run to run. None is unknown."""

    answers: int
    seconds_p50: float | None
    seconds_p95: float | None
    first_token_p50: float | None
    first_token_p95: float | None
    tokens_per_second: float | None
    """Generated tokens over the time of the answers whose tokens are known."""
    cost_per_1000: Decimal | None
    """US dollars for 1,000 such answers; None where the cost of one is not known."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Pair:
    """A brain beside the reference, over what both answered."""

    difference: Difference
    """The brain minus the reference, 0 to 1 points."""
    p_holm: float
    """`difference.p`, corrected for the number of brains that are compared."""
    mcnemar: McNemar | None
    tost: Equivalence | None


def answers_result(questions: Sequence[KnownQuestion], scores: Mapping[str, AnswerScore], **how: Any) -> AnswersResult:
    """`scores` maps a question's id to its score; `how` goes to the intervals (`draws`, `seed`)."""
    given = [scores[one.id] for one in questions if one.id in scores and not scores[one.id].failed]
    kinds: dict[str, list[bool]] = {}
    for one in questions:
        if one.id in scores and not scores[one.id].failed:
            kinds.setdefault(one.kind or ("fact" if one.answerable else "unanswerable"), []).append(
                scores[one.id].grounded
            )

    def share(values: Iterable[float | None]) -> Estimate | None:
        return mean_interval([float(value) for value in values if value is not None], **how)

    return AnswersResult(
        questions=len(questions),
        answered=len(given),
        missing=len(questions) - len(given),
        right=share(one.right for one in given),
        grounded=share(one.grounded for one in given),
        precision=share(one.precision for one in given),
        recall=share(one.recall for one in given),
        abstains_rightly=share(one.abstained for one in given if not one.answerable),
        abstains_wrongly=share(one.abstained for one in given if one.answerable),
        invented_marks=sum(one.invented for one in given),
        kinds=tuple(KindResult(kind=kind, questions=len(own), grounded=sum(own)) for kind, own in kinds.items()),
    )


def speed_of(outputs: Iterable[Output]) -> Speed:
    """Of the answers that came."""
    answers = [one for one in outputs if not one.failed]
    seconds = [one.seconds for one in answers if one.seconds is not None]
    first = [one.first_token_seconds for one in answers if one.first_token_seconds is not None]
    spoken = [(one.output_tokens, one.seconds) for one in answers if one.output_tokens is not None and one.seconds]
    costs = [one.cost_usd for one in answers]
    known = sum((cost for cost in costs if cost is not None), Decimal(0))
    return Speed(
        answers=len(answers),
        seconds_p50=percentile(seconds, 0.5),
        seconds_p95=percentile(seconds, 0.95),
        first_token_p50=percentile(first, 0.5),
        first_token_p95=percentile(first, 0.95),
        tokens_per_second=sum(n for n, _ in spoken) / math.fsum(s for _, s in spoken) if spoken else None,
        cost_per_1000=None if not costs or None in costs else 1000 * known / len(costs),
    )


def soul_values(scores: Iterable[ProbeScore], brain: str) -> dict[tuple[str, str], tuple[float, bool]]:
    """By dimension and probe: a brain's mean score with the soul, and whether all its answers passed."""
    own = [
        one
        for one in scores
        if one.brain == brain and one.condition == "soul" and one.score is not None and one.passed is not None
    ]
    places = [(one.dimension, one.probe) for one in own]
    means: dict[Any, float] = cluster_means([one.score for one in own if one.score is not None], places)
    failed = {place for one, place in zip(own, places, strict=True) if not one.passed}
    return {place: (mean, place not in failed) for place, mean in means.items()}


def pair_of(
    values: Mapping[Any, tuple[float, bool]],
    reference: Mapping[Any, tuple[float, bool]],
    *,
    margin: float,
    strata: bool = False,
    **how: Any,
) -> Pair | None:
    """A brain's values beside the reference's, over the keys that both have; None of none. With `strata` the first part
    of a key is its stratum. Holm's correction is put in by who knows all pairs."""
    both = [key for key in reference if key in values]
    a, b = [values[key][0] for key in both], [reference[key][0] for key in both]
    difference = paired_difference(a, b, strata=[key[0] for key in both] if strata else None, **how)
    if difference is None:
        return None
    return Pair(
        difference=difference,
        p_holm=difference.p,
        mcnemar=mcnemar([values[key][1] for key in both], [reference[key][1] for key in both]),
        tost=tost(a, b, margin),
    )
