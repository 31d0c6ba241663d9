"""Computes the results of brains on a question file with spellings: shares, by kind too, and pairs of brains."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any

from cervella.evaluation.comparison.answer_results import Pair, pair_of
from cervella.evaluation.comparison.spelling_scores import MEASURES, SpellingScore
from cervella.evaluation.statistics.intervals import Estimate, wilson
from cervella.evaluation.suites.question_file import KnownQuestion


@dataclass(frozen=True, slots=True, kw_only=True)
class Share(Estimate):
    """A share of answers with Wilson's interval."""

    count: int
    """Number of answers for which the measure holds, of `n`."""


@dataclass(frozen=True, slots=True, kw_only=True)
class SpellingKind:
    """The result of one brain on the questions of one kind."""

    kind: str
    questions: int
    answered: int
    measures: Mapping[str, Share | None]
    """The share of each measure; None if the measure counts no answer of this kind."""
    median_words: int | None
    """Of all answers of this kind; the upper one of two medians. None if there are none."""


@dataclass(frozen=True, slots=True, kw_only=True)
class SpellingResult:
    """The result of one brain on a question file with spellings. Only answers count that did not fail."""

    questions: int
    answered: int
    missing: int
    """Number of questions that ended in an error, or that were never asked."""
    passed: Share | None
    """Share of answers that are as they should be: see `SpellingScore.passed`."""
    measures: Mapping[str, Share | None]
    """By the name of the measure, in the order of `MEASURES`; None if no answer counts."""
    median_words: int | None
    """Of the answers to answerable questions, without those about the persona; the upper one of two medians. None if
    there are none."""
    kinds: tuple[SpellingKind, ...]
    """In the order of the file."""


def spelling_result(questions: Sequence[KnownQuestion], scores: Mapping[str, SpellingScore]) -> SpellingResult:
    """The result of one brain; `scores` maps a question's id to the score of its answer."""
    given = [scores[one.id] for one in questions if one.id in scores and not scores[one.id].failed]
    kinds: dict[str, list[KnownQuestion]] = {}
    for one in questions:
        kinds.setdefault(one.kind or "fact", []).append(one)
    answered = {id: score for id, score in scores.items() if not score.failed}
    return SpellingResult(
        questions=len(questions),
        answered=len(given),
        missing=len(questions) - len(given),
        passed=_share([one.passed for one in given]),
        measures=_measures(given),
        median_words=_median([one.words for one in given if one.told]),
        kinds=tuple(
            SpellingKind(
                kind=kind,
                questions=len(own),
                answered=len(of_kind),
                measures=_measures(of_kind),
                median_words=_median([one.words for one in of_kind]),
            )
            for kind, own in kinds.items()
            for of_kind in [[answered[one.id] for one in own if one.id in answered]]
        ),
    )


def spelling_pairs(
    scores: Mapping[str, SpellingScore], reference: Mapping[str, SpellingScore], **how: Any
) -> dict[str, Pair | None]:
    """A brain compared with the reference, by measure, and for `passed`.

    Only questions count that both answered; None if there are none. `how` holds the options of `pair_of`.
    """

    def values(name: str, own: Mapping[str, SpellingScore]) -> dict[str, tuple[float, bool]]:
        if name == "passed":
            held = {id: one.passed for id, one in own.items() if not one.failed}
        else:
            measure = next(one for one in MEASURES if one.name == name)
            held = {id: measure.holds(one) for id, one in own.items() if not one.failed and measure.counts(one)}
        return {id: (float(value), value) for id, value in held.items()}

    names = ("passed", *(one.name for one in MEASURES))
    return {name: pair_of(values(name, scores), values(name, reference), **how) for name in names}


def _measures(scores: Sequence[SpellingScore]) -> dict[str, Share | None]:
    return {one.name: _share([one.holds(score) for score in scores if one.counts(score)]) for one in MEASURES}


def _share(held: Sequence[bool]) -> Share | None:
    found = wilson(sum(held), len(held))
    return None if found is None else Share(**asdict(found), count=sum(held))


def _median(counts: Sequence[int]) -> int | None:
    return sorted(counts)[len(counts) // 2] if counts else None
