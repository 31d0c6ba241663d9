"""The results of a brain on a question file, its speed and cost, and the comparison of two brains' scores."""

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
    """One brain on the questions of one kind."""

    kind: str
    questions: int
    """Questions that have an answer."""
    grounded: int
    """How many of them are answered right on a right source."""


@dataclass(frozen=True, slots=True, kw_only=True)
class AnswersResult:
    """One brain on a question file. Shares are of the questions that have an answer; None if none has."""

    questions: int
    answered: int
    missing: int
    """Questions that ended in an error, or that were never asked."""
    right: Estimate | None
    """Share of answers with the expected figures, dates and words, or that rightly say that she does not know."""
    grounded: Estimate | None
    """Share of answers that are right and have a supported citation of a right file."""
    precision: Estimate | None
    """Mean, over the answers that cite, of the share of citations that their lines support and that are of a right
    file."""
    recall: Estimate | None
    """Share of answerable questions for which a right file is cited with support."""
    abstains_rightly: Estimate | None
    """Share of unanswerable questions to which she says that she does not know."""
    abstains_wrongly: Estimate | None
    """Share of answerable questions to which she says so."""
    invented_marks: int
    """Marks `[F1]` that stand for no passage, in all answers."""
    kinds: tuple[KindResult, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Speed:
    """Time and cost, which differ from run to run. None is unknown."""

    answers: int
    seconds_p50: float | None
    seconds_p95: float | None
    first_token_p50: float | None
    first_token_p95: float | None
    tokens_per_second: float | None
    """Generated tokens, over the answers whose tokens and seconds are known."""
    cost_per_1000: Decimal | None
    """US dollars for 1,000 such answers; None if the cost of one is not known."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Pair:
    """A brain compared with the reference, over the probes or questions that both answered."""

    difference: Difference
    """The brain's score minus the reference's, -1 to 1."""
    p_holm: float
    """`difference.p`, corrected for the number of brains compared."""
    mcnemar: McNemar | None
    tost: Equivalence | None


def answers_result(questions: Sequence[KnownQuestion], scores: Mapping[str, AnswerScore], **how: Any) -> AnswersResult:
    """`scores` maps a question's id to its score; `how` goes to the intervals (`draws`, `seed`)."""
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
    """By dimension and probe: a brain's mean score with the soul, and whether all its answers passed."""
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
    """A brain's (score, passed) compared with the reference's, over the keys that both have; None if there are none.

    With `strata` the first part of a key is its stratum. `p_holm` is not corrected here: that takes all the pairs.
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
