"""Decides on a brain: GO, CONDITIONAL, INCOMPLETE or NO-GO, whichever is the worst among its criteria."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Literal, TypeAlias

from cervella.configuration.settings import EvaluationConfig
from cervella.evaluation.comparison.answer_results import AnswersResult, Pair, Speed
from cervella.evaluation.comparison.rubric_run import RubricResult
from cervella.evaluation.comparison.spelling_results import SpellingResult
from cervella.evaluation.soul_test.results import BrainResult
from cervella.evaluation.statistics.intervals import Estimate
from cervella.evaluation.statistics.statistics import non_inferior

Word: TypeAlias = Literal["GO", "CONDITIONAL", "NO-GO", "INCOMPLETE"]
_FROM_BEST: tuple[Word, ...] = ("GO", "CONDITIONAL", "INCOMPLETE", "NO-GO")


@dataclass(frozen=True, slots=True, kw_only=True)
class Criterion:
    """One criterion of a decision, for example the soul score or the cost."""

    name: str
    word: Word
    text: str
    """A sentence with the value that was found and the value that GO needs."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Decision:
    """The decision on one brain."""

    brain: str
    word: Word
    criteria: tuple[Criterion, ...]
    """All criteria that were judged, whether they are met or not."""

    @property
    def reasons(self) -> tuple[str, ...]:
        """The criteria that are not met, worst first; empty at GO."""
        worst = sorted(self.criteria, key=lambda one: -_FROM_BEST.index(one.word))
        return tuple(one.text for one in worst if one.word != "GO")


def decide(
    brain: str,
    rules: EvaluationConfig,
    *,
    soul: BrainResult | None = None,
    soul_pair: Pair | None = None,
    answers: AnswersResult | None = None,
    answers_pair: Pair | None = None,
    spellings: SpellingResult | None = None,
    rubric: RubricResult | None = None,
    speed: Speed | None = None,
    reference: str | None = None,
) -> Decision:
    """Decide on a brain from its results. A result that is None is not judged.

    `soul_pair` and `answers_pair` compare the brain with the brain `reference`; they are None for the reference itself.
    NO-GO: a hard probe failed, a score is below the lowest threshold, or the brain is certainly worse than the
    reference by more than the margin. INCOMPLETE: answers are missing. GO: all criteria are met. CONDITIONAL: all other
    cases.
    """
    criteria = [
        *_soul(soul, rules),
        *_beside("soul", soul_pair, rules, reference),
        *_answers(answers, rules),
        *_spellings(spellings, rules),
        *_beside("answers", answers_pair, rules, reference),
        *_rubric(rubric),
        *_speed(speed, rules),
    ]
    if not criteria:
        criteria = [Criterion(name="measured", word="INCOMPLETE", text="nothing was measured")]
    word = max((one.word for one in criteria), key=_FROM_BEST.index)
    return Decision(brain=brain, word=word, criteria=tuple(criteria))


def _shown(found: Estimate) -> str:
    """An estimate in percent, with its interval and the number of values: `92.5 % (85.0–97.1, n = 120)`."""
    return f"{100 * found.estimate:.1f} % ({100 * found.low:.1f}–{100 * found.high:.1f}, n = {found.n})"


def _points(found: Estimate) -> str:
    """A difference in percentage points, with its interval and the number of values: `-3.2 points (-6.1 to 0.4, n =
    120)`."""
    estimate, low, high = (round(100 * value, 1) + 0.0 for value in (found.estimate, found.low, found.high))
    return f"{f'{estimate:+.1f}' if estimate else '0.0'} points ({low:.1f} to {high:.1f}, n = {found.n})"


def _threshold(name: str, what: str, found: Estimate, go: float, conditional: float) -> Criterion:
    if found.estimate < min(go, conditional) - 1e-9:
        return Criterion(name=name, word="NO-GO", text=f"{what} {_shown(found)}, below {100 * conditional:g} %")
    word: Word = "GO" if found.estimate >= go - 1e-9 else "CONDITIONAL"
    return Criterion(name=name, word=word, text=f"{what} {_shown(found)}; GO wants {100 * go:g} %")


def _soul(soul: BrainResult | None, rules: EvaluationConfig) -> Iterator[Criterion]:
    if soul is None:
        return
    if soul.hard_failures:
        probes = list(dict.fromkeys(one.probe for one in soul.hard_failures))
        named = ", ".join(probes[:5]) + (" …" if len(probes) > 5 else "")
        count = f"{len(probes)} probe{'' if len(probes) == 1 else 's'}"
        text = f"{count} failed of those that may never fail: {named}"
        yield Criterion(name="hard failures", word="NO-GO", text=text)
    else:
        yield Criterion(name="hard failures", word="GO", text="no probe failed of those that may never fail")
    if soul.answered < soul.planned:
        errors = ", ".join(f"{count} × {code}" for code, count in soul.errors.items())
        text = f"{soul.planned - soul.answered} of {soul.planned} answers of the soul test are missing"
        yield Criterion(name="soul test", word="INCOMPLETE", text=text + (f": {errors}" if errors else ""))
    if soul.total is not None:
        yield _threshold("soul", "soul score", soul.total, rules.soul_go, rules.soul_conditional)
    for condition, difference in soul.discrimination.items():
        if difference is not None:
            control = {"none": "without the soul", "scrambled": "with its words scrambled"}.get(condition, condition)
            points = _points(difference)
            held = difference.low > 0
            text = f"beside the same brain {control}: {points}" + ("" if held else ": no difference is shown")
            yield Criterion(name=f"control: {condition}", word="GO" if held else "CONDITIONAL", text=text)


def _answers(answers: AnswersResult | None, rules: EvaluationConfig) -> Iterator[Criterion]:
    if answers is None:
        return
    if answers.missing:
        text = f"{answers.missing} of {answers.questions} questions have no answer"
        yield Criterion(name="questions", word="INCOMPLETE", text=text)
    if answers.grounded is not None:
        what = "right answers on a right source"
        yield _threshold("answers", what, answers.grounded, rules.answers_go, rules.answers_conditional)


def _spellings(spellings: SpellingResult | None, rules: EvaluationConfig) -> Iterator[Criterion]:
    if spellings is None:
        return
    if spellings.missing:
        text = f"{spellings.missing} of {spellings.questions} questions have no answer"
        yield Criterion(name="questions", word="INCOMPLETE", text=text)
    if spellings.passed is not None:
        what = "answers as they should be"
        yield _threshold("answers", what, spellings.passed, rules.answers_go, rules.answers_conditional)


def _rubric(rubric: RubricResult | None) -> Iterator[Criterion]:
    if rubric is None:
        return
    count = len(rubric.tasks)
    text = f"{rubric.passed} of {count} tasks of the rubric passed"
    tiers = ", ".join(f"tier {one.tier}: {one.passed} of {one.tasks}" for one in rubric.tiers)
    text += f" ({tiers})" if len(rubric.tiers) > 1 else ""
    if rubric.go is False:
        yield Criterion(name="rubric", word="NO-GO", text=f"{text}; too few")
    elif rubric.scored < count:
        why = f": {rubric.not_judged}" if rubric.not_judged else ""
        text = f"{count - rubric.scored} of {count} tasks of the rubric are not scored{why}"
        yield Criterion(name="rubric", word="INCOMPLETE", text=text)
    elif rubric.go is None:
        text += "; the suite does not say how many must be (`go`)"
        yield Criterion(name="rubric", word="CONDITIONAL", text=text)
    else:
        yield Criterion(name="rubric", word="GO", text=text)


def _beside(name: str, pair: Pair | None, rules: EvaluationConfig, reference: str | None) -> Iterator[Criterion]:
    if pair is None:
        return
    found, margin = pair.difference, f"{100 * rules.margin:g} points"
    word: Word
    if non_inferior(found, rules.margin):
        word, note = "GO", "better" if found.low > 0 else f"at most {margin} worse"
    elif found.high < -rules.margin:
        word, note = "NO-GO", f"worse by more than {margin}"
    else:
        word, note = "CONDITIONAL", f"that it is at most {margin} worse is not shown"
    text = f"{name} beside {reference}: {_points(found)}; {note}"
    yield Criterion(name=f"{name} beside reference", word=word, text=text)


def _speed(speed: Speed | None, rules: EvaluationConfig) -> Iterator[Criterion]:
    if speed is None or not speed.answers:
        return
    if rules.latency_p95 is not None and speed.seconds_p95 is not None:
        held = speed.seconds_p95 <= rules.latency_p95
        text = f"95 of 100 answers within {speed.seconds_p95:.2g} s; GO wants {rules.latency_p95:g} s"
        yield Criterion(name="latency", word="GO" if held else "CONDITIONAL", text=text)
    if rules.cost_per_1000 is not None:
        cost = speed.cost_per_1000
        told = "is not known" if cost is None else f"is ${cost:.2f}"
        held = cost is not None and cost <= rules.cost_per_1000
        text = f"the cost of 1,000 answers {told}; GO wants ${rules.cost_per_1000:.2f} at most"
        yield Criterion(name="cost", word="GO" if held else "CONDITIONAL", text=text)


def sentence(decisions: Sequence[Decision]) -> str:
    """All decisions in one line: `GO: claude. NO-GO: echo.`"""
    groups = {word: [one.brain for one in decisions if one.word == word] for word in _FROM_BEST}
    return " ".join(f"{word}: {', '.join(names)}." for word, names in groups.items() if names)
