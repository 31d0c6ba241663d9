"""Computes the scores, pairs and decisions of a comparison from the kept answers of a run alone."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from cervella.configuration.settings import EvaluationConfig
from cervella.evaluation.comparison.answer_results import (
    AnswersResult,
    Pair,
    Speed,
    answers_result,
    pair_of,
    soul_values,
    speed_of,
)
from cervella.evaluation.comparison.answers import AnswerScore, score_answer
from cervella.evaluation.comparison.decision import Decision, decide
from cervella.evaluation.comparison.frozen import Frozen, probes_of
from cervella.evaluation.comparison.rubric import load_grades
from cervella.evaluation.comparison.rubric_run import HUMAN_GRADES, RubricResult, kept_judgements, rubric_result
from cervella.evaluation.comparison.spelling_results import SpellingResult, spelling_pairs, spelling_result
from cervella.evaluation.comparison.spelling_scores import SpellingScore, score_spellings
from cervella.evaluation.records import Key, Output, Run
from cervella.evaluation.soul_test.interview import asked_sha256
from cervella.evaluation.soul_test.results import SoulTestResult
from cervella.evaluation.statistics.statistics import holm
from cervella.evaluation.suites.question_file import KnownQuestion
from cervella.evaluation.suites.suite import Suite
from cervella.text.language import language
from cervella.types import Passage

SOUL_TEST = "soul-test"
"""The folder inside a comparison's run that holds its soul test."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Comparison:
    """The result of a comparison.

    A mapping has the name of a brain as its key, in the order in which the brains were named.
    """

    run: str
    folder: Path
    started: str
    settings: Mapping[str, Any]
    """The settings of the run, as `run.json` keeps them."""
    rules: EvaluationConfig
    brains: tuple[str, ...]
    reference: str
    decisions: Mapping[str, Decision]
    soul: SoulTestResult | None
    """None if no soul test was asked for."""
    soul_pairs: Mapping[str, Pair | None]
    """Each brain but the reference, compared with the reference."""
    frozen: Frozen | None
    """None if no question file was given."""
    answers: Mapping[str, AnswersResult]
    """Empty if there is no question file, or if its answers are scored by spellings."""
    answer_pairs: Mapping[str, Pair | None]
    scores: Mapping[str, Mapping[str, AnswerScore]]
    """The score of each answer, by brain and then by question id."""
    spellings: Mapping[str, SpellingResult]
    """Empty unless the answers to the question file are scored by spellings."""
    spelling_pairs: Mapping[str, Mapping[str, Pair | None]]
    """Each brain but the reference, compared with the reference: by measure, and for `passed`."""
    spelling_scores: Mapping[str, Mapping[str, SpellingScore]]
    """The score of each answer that is scored by spellings, by brain and then by question id."""
    rubric: Mapping[str, RubricResult]
    """Empty if the suite has no tasks."""
    speed: Mapping[str, Speed]
    """Speed and cost over the answers to questions and tasks; if there are none, over the soul test's answers."""
    outputs: Mapping[Key, Output] = field(repr=False)
    """The answers to the question file, and to a rubric's tasks."""
    soul_outputs: Mapping[Key, Output] = field(repr=False)


def compared(
    run: Run,
    soul: SoulTestResult | None,
    frozen: Frozen | None,
    suite: Suite | None,
    reference: str,
    rules: EvaluationConfig,
    lang: str,
) -> Comparison:
    """The result of a run; `reference` is the brain that the others are compared with."""
    names = tuple(brain["name"] for brain in run.settings["brains"])
    outputs = run.outputs()
    inside = soul_run(run) if soul is not None else None
    soul_outputs = inside.outputs() if inside is not None else {}
    how: dict[str, Any] = {"draws": rules.draws, "seed": rules.seed}
    scores = dict[str, dict[str, AnswerScore]]()
    spelled = dict[str, dict[str, SpellingScore]]()
    if frozen is not None and frozen.file.spelled:
        spelled = {name: _spelling_scores(name, frozen, outputs, lang) for name in names}
    elif frozen is not None:
        scores = {name: _scores(name, frozen, outputs, lang) for name in names}
    answers = {name: answers_result(frozen.file.questions, own, **how) for name, own in scores.items() if frozen}
    spellings = {name: spelling_result(frozen.file.questions, own) for name, own in spelled.items() if frozen}
    soul_pairs, answer_pairs = dict[str, Pair | None](), dict[str, Pair | None]()
    beside = dict[str, dict[str, Pair | None]]()
    for name in names:
        other = name != reference
        if soul is not None and other:
            own, theirs = soul_values(soul.scores, name), soul_values(soul.scores, reference)
            soul_pairs[name] = pair_of(own, theirs, margin=rules.margin, strata=True, **how)
        if scores and other:
            mine, base = _grounded(scores[name]), _grounded(scores[reference])
            answer_pairs[name] = pair_of(mine, base, margin=rules.margin, **how)
        if spelled and other:
            beside[name] = spelling_pairs(spelled[name], spelled[reference], margin=rules.margin, **how)
    beside = _corrected_measures(beside)
    soul_pairs, answer_pairs = _corrected(soul_pairs), _corrected(answer_pairs)
    rubric = _rubric(run, suite, outputs, names, reference, how)
    measured = outputs or {key: one for key, one in soul_outputs.items() if one.condition == "soul"}
    speed = {name: speed_of(one for one in measured.values() if one.brain == name) for name in names}
    decisions = {
        name: decide(
            name,
            rules,
            soul=soul.brains[name] if soul is not None else None,
            soul_pair=soul_pairs.get(name),
            answers=answers.get(name),
            answers_pair=answer_pairs.get(name) or beside.get(name, {}).get("passed"),
            spellings=spellings.get(name),
            rubric=rubric.get(name),
            speed=speed[name],
            reference=reference,
        )
        for name in names
    }
    return Comparison(
        run=run.id,
        folder=run.folder,
        started=run.facts["started"],
        settings=run.settings,
        rules=rules,
        brains=names,
        reference=reference,
        decisions=decisions,
        soul=soul,
        soul_pairs=soul_pairs,
        frozen=frozen,
        answers=answers,
        answer_pairs=answer_pairs,
        scores=scores,
        spellings=spellings,
        spelling_pairs=beside,
        spelling_scores=spelled,
        rubric=rubric,
        speed=speed,
        outputs=outputs,
        soul_outputs=soul_outputs,
    )


def _rubric(
    run: Run,
    suite: Suite | None,
    outputs: Mapping[Key, Output],
    names: Sequence[str],
    reference: str,
    how: Mapping[str, Any],
) -> dict[str, RubricResult]:
    if suite is None or not suite.tasks:
        return {}
    path = run.folder / HUMAN_GRADES
    grades = load_grades(path) if path.exists() else ()
    judgements = kept_judgements(run.folder)
    return {name: rubric_result(name, suite, outputs, judgements, grades, reference=reference, **how) for name in names}


def _scores(name: str, frozen: Frozen, outputs: Mapping[Key, Output], lang: str) -> dict[str, AnswerScore]:
    return {
        one.id: score_answer(one, output.text, shown, language(lang), failed=output.failed)
        for one, output, shown in _answered(name, frozen, outputs)
    }


def _spelling_scores(name: str, frozen: Frozen, outputs: Mapping[Key, Output], lang: str) -> dict[str, SpellingScore]:
    return {
        one.id: score_spellings(
            one, output.text, shown, language(lang), abstained=output.abstained, failed=output.failed
        )
        for one, output, shown in _answered(name, frozen, outputs)
    }


def _answered(
    name: str, frozen: Frozen, outputs: Mapping[Key, Output]
) -> Iterator[tuple[KnownQuestion, Output, dict[str, Passage]]]:
    """Each question whose words were asked, with a brain's answer and the passages that it was shown, by mark."""
    probes = {probe.id: probe for probe in probes_of(frozen)}
    own = {key[2]: output for key, output in outputs.items() if output.brain == name}
    for one in frozen.file.questions:
        output, probe = own.get(one.id), probes.get(one.id)
        if output is None or probe is None or output.asked_sha256 != asked_sha256(probe, 0, 1):
            continue
        yield one, output, {f"F{number}": passage for number, passage in enumerate(probe.passages, 1)}


def _grounded(scores: Mapping[str, AnswerScore]) -> dict[str, tuple[float, bool]]:
    return {id: (float(one.grounded), one.grounded) for id, one in scores.items() if not one.failed}


def _corrected(pairs: Mapping[str, Pair | None]) -> dict[str, Pair | None]:
    known = {name: pair for name, pair in pairs.items() if pair is not None}
    corrected = dict(zip(known, holm([pair.difference.p for pair in known.values()]), strict=True))
    return {name: pair and replace(pair, p_holm=corrected[name]) for name, pair in pairs.items()}


def _corrected_measures(pairs: Mapping[str, Mapping[str, Pair | None]]) -> dict[str, dict[str, Pair | None]]:
    """The pairs with Holm's correction over the brains, for each measure by itself."""
    corrected: dict[str, dict[str, Pair | None]] = {name: {} for name in pairs}
    for measure in next(iter(pairs.values()), {}):
        for name, pair in _corrected({name: own[measure] for name, own in pairs.items()}).items():
            corrected[name][measure] = pair
    return corrected


def soul_run(run: Run) -> Run | None:
    """The newest soul test inside a comparison's folder."""
    found = sorted((run.folder / SOUL_TEST).glob("*/run.json"))
    return Run.open(found[-1].parent) if found else None
