"""Computes the results of a brain on a question file, its speed and cost, and the comparison of its scores with those
of the reference brain."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from decimal import Decimal
from typing import Any

from cervella.evaluation.comparison.answers import AnswerScore
from cervella.evaluation.records import Output
from cervella.evaluation.soul_test.metrics import probe_values, timings, total_cost
from cervella.evaluation.soul_test.scoring import ProbeScore
from cervella.evaluation.statistics.intervals import Estimate, mean_interval
from cervella.evaluation.statistics.statistics import Difference, Equivalence, McNemar, mcnemar, paired_difference, tost
from cervella.evaluation.suites.question_file import KnownQuestion


@dataclass(frozen=True, slots=True, kw_only=True)
class KindResult:
    """The result of one brain on the questions of one kind (the key `kind` of the question file)."""

    kind: str
    questions: int
    """Number of questions of this kind that the brain answered."""
    grounded: int
    """Number of those answers that are right and cite a right file."""


@dataclass(frozen=True, slots=True, kw_only=True)
class AnswersResult:
    """The result of one brain on a question file.

    A share counts only questions that the brain answered; it is None if there are no such questions.
    """

    questions: int
    answered: int
    missing: int
    """Number of questions that ended in an error, or that were never asked."""
    right: Estimate | None
    """Share of answers with the expected figures, dates and words, or that rightly say that she does not know."""
    grounded: Estimate | None
    """Share of answers that are right and have a supported citation of a right file."""
    precision: Estimate | None
    """Share of an answer's citations that are of a right file and supported by the cited lines: the mean over all
    answers that cite."""
    recall: Estimate | None
    """Share of the answerable questions whose answer cites a right file and is supported by the cited lines."""
    abstains_rightly: Estimate | None
    """Share of unanswerable questions to which she says that she does not know."""
    abstains_wrongly: Estimate | None
    """Share of answerable questions to which she says that she does not know."""
    invented_marks: int
    """Number of citation marks, such as `[F1]`, that stand for no passage, in all answers."""
    kinds: tuple[KindResult, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Speed:
    """Time and cost, which differ from run to run. A value that is not known is None."""

    answers: int
    seconds_p50: float | None
    seconds_p95: float | None
    first_token_p50: float | None
    first_token_p95: float | None
    tokens_per_second: float | None
    """Generated tokens per second, over the answers whose tokens and seconds are known."""
    cost_per_1000: Decimal | None
    """Cost of 1,000 answers in US dollars, from the mean of these answers; None if the cost of one answer is not
    known."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Pair:
    """A brain compared with the reference, over the probes or questions that both answered."""

    difference: Difference
    """The brain's score minus the reference brain's score, -1 to 1."""
    p_holm: float
    """`difference.p`, corrected by Holm's method because several brains are compared with the same reference."""
    mcnemar: McNemar | None
    tost: Equivalence | None


def answers_result(questions: Sequence[KnownQuestion], scores: Mapping[str, AnswerScore], **how: Any) -> AnswersResult:
    """The result of one brain on a question file.

    `scores` maps a question's id to the score of its answer. `how` holds the options of the intervals: `draws` and
    `seed`.
    """
    answered = [one for one in questions if one.id in scores and not scores[one.id].failed]
    given = [scores[one.id] for one in answered]
    kinds: dict[str, list[bool]] = {}
    for one in answered:
        kind = one.kind or ("fact" if one.answerable else "unanswerable")
        kinds.setdefault(kind, []).append(scores[one.id].grounded)

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
    """The speed and cost of the answers that did not end in an error."""
    answers = [one for one in outputs if not one.failed]
    cost = total_cost(answers)
    return Speed(
        answers=len(answers),
        **timings(answers),
        cost_per_1000=None if cost is None else 1000 * cost / len(answers),
    )


def soul_values(scores: Iterable[ProbeScore], brain: str) -> dict[tuple[str, str], tuple[float, bool]]:
    """For each pair of dimension and probe: a brain's mean score with the soul, and whether all its answers passed."""
    own = [one for one in scores if one.brain == brain and one.condition == "soul"]
    passed = probe_values(own, passed=True)
    return {place: (mean, passed[place] == 1) for place, mean in probe_values(own).items()}


def pair_of(
    values: Mapping[Any, tuple[float, bool]],
    reference: Mapping[Any, tuple[float, bool]],
    *,
    margin: float,
    strata: bool = False,
    **how: Any,
) -> Pair | None:
    """Compare a brain with the reference, over the probes or questions that both answered; None if there are none.

    Each mapping gives, for a key, the score and whether the answer passed. With `strata` the first part of a key is the
    dimension, and every dimension weighs the same. `p_holm` is left equal to `difference.p`: the correction needs all
    the pairs.
    """
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
