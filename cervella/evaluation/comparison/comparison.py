"""Compares brains: all are asked the same questions with the same soul and the same passages."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, replace
from functools import partial
from pathlib import Path
from typing import Any

from cervella import __version__
from cervella.agent.agent import Agent
from cervella.agent.small_talk import TalkPrompt, small_talk_beside, talk_prompt
from cervella.checks import Judge
from cervella.configuration.settings import EvaluationConfig
from cervella.errors import EvaluationError
from cervella.evaluation.comparison.frozen import Frozen, freeze, probes_of, thaw
from cervella.evaluation.comparison.rubric import load_grades
from cervella.evaluation.comparison.rubric_run import HUMAN_GRADES, judge_answers, rubric_probes
from cervella.evaluation.comparison.scoreboard import SOUL_TEST, Comparison, compared, soul_run
from cervella.evaluation.records import Run, unwritable
from cervella.evaluation.soul_test.interview import AnyOne, Plan, interview_all, sha256_of
from cervella.evaluation.soul_test.preparation import brains_named, settings_of_brains
from cervella.evaluation.soul_test.soul_test import rescore, run_soul_test
from cervella.evaluation.statistics.intervals import scipy_stats
from cervella.evaluation.suites.question_file import load_questions
from cervella.evaluation.suites.suite import Probe, Suite
from cervella.privacy.stored import masked
from cervella.process.files import replace_file
from cervella.prompt.layout import LAYOUT_VERSION
from cervella.protocols import Embedder
from cervella.soul.traits import Traits
from cervella.types import Progress

_SESSION = "comparison"
"""The name under which the ledger records the questions of a comparison."""


def compare(
    agent: Agent,
    brains: Sequence[AnyOne],
    *,
    suite: Suite | None = None,
    questions: Path | None = None,
    reference: str | None = None,
    plan: Plan | None = None,
    probes: int | None = None,
    top_k: int | None = None,
    fresh: bool = False,
    embedder: Embedder | None = None,
    judge: Judge | None = None,
    grader: AnyOne | None = None,
    marks: Path | None = None,
    before: Callable[[Sequence[Probe]], None] | None = None,
    progress: Progress | None = None,
) -> Comparison:
    """Ask every brain the suite's probes, the question file, or both, and compare each with the reference.

    The reference is by default the first brain. Retrieval is done once; every brain is sent the same system bytes,
    passages and instructions, at temperature 0 with a seed. The tasks of a rubric suite are graded by the brain
    `grader`, by a person (`marks`, a file), or not at all; `judge` decides the checks of a soul test that no rule can
    decide. An unfinished run of the same settings continues, unless `fresh`. `before` is called with the questions and
    tasks, as probes, before any brain is asked. Raises EvaluationError; an error of a brain is part of the result.
    """
    scipy_stats()
    if suite is None and questions is None:
        raise EvaluationError("There is nothing to compare.", remedy="Give a question file, a suite, or both.")
    rules, plan = agent.config.evaluation, plan or Plan()
    named = brains_named(agent, brains)
    if not named:
        raise EvaluationError("No brain is named.", remedy="Name the brains: cervella compare extractive claude.")
    reference = _reference(reference, list(named))
    grades = None if marks is None else _human_grades(marks, suite, list(named))
    settings = _settings(agent, named, suite, questions, plan, probes, top_k)
    run = None if fresh else Run.unfinished(rules.folder, settings)
    run = run or Run.create(rules.folder, settings, suite=suite.source if suite else None)
    frozen = None
    if questions is not None:
        cloud = any(agent.brain_named(brain, repeatable=True).location == "cloud" for brain in named.values())
        frozen = freeze(agent, questions, run.folder, top_k=top_k, cloud=cloud, progress=progress)
    asked = (*(probes_of(frozen) if frozen is not None else ()), *(rubric_probes(suite) if suite is not None else ()))
    if before is not None:
        before(asked)
    complete = _ask(agent, named, asked, frozen, run, plan, progress)
    if grades is not None:
        with unwritable(run.folder):
            replace_file(run.folder / HUMAN_GRADES, grades)
    if grader is not None and suite is not None and suite.tasks:
        shield = agent.brain_named(grader, repeatable=True)
        ask = partial(agent.complete, brain=grader, session=_SESSION, repeatable=True)
        judge_answers(run.folder, suite, run.outputs(), list(named), reference, shield.name, shield.model, ask)
    soul, inside = None, soul_run(run)
    if suite is not None and inside is not None and inside.finished:
        soul = rescore(inside, suite, agent.traits, embedder=embedder, judge=judge, evaluation=rules)
    elif suite is not None and suite.probes:
        soul = run_soul_test(
            agent,
            suite,
            list(named.values()),
            plan=plan,
            probes=probes,
            folder=run.folder / SOUL_TEST,
            embedder=embedder,
            judge=judge,
            progress=progress,
        )
        complete = complete and all(one.answered == one.planned for one in soul.brains.values())
    if complete:
        run.finish()
    return compared(run, soul, frozen, suite, reference, rules, agent.language.code)


def rescore_comparison(
    run: Run,
    *,
    suite: Suite | None = None,
    traits: Traits | None = None,
    questions: Path | None = None,
    reference: str | None = None,
    rules: EvaluationConfig,
    embedder: Embedder | None = None,
    judge: Judge | None = None,
    marks: Path | None = None,
) -> Comparison:
    """Compute every score of a run again from its kept answers. No brain is asked.

    `suite`, `questions` and `marks` may hold corrected checks, expected answers and a person's grades. A probe or
    question whose words have changed is not scored. Raises EvaluationError.
    """
    scipy_stats()
    settings = run.settings
    if "comparison" not in settings:
        raise EvaluationError(
            f"The run {run.id} is not a comparison.",
            remedy="Score a soul test again with `cervella soul test --rescore`.",
        )
    names = [brain["name"] for brain in settings["brains"]]
    soul, frozen = None, None
    if settings["suite"] is not None and suite is None:
        raise EvaluationError(f"The run {run.id} needs the suite that was asked.", remedy="Name it with --suite.")
    inside = soul_run(run)
    if inside is not None and suite is not None and traits is not None:
        soul = rescore(inside, suite, traits, embedder=embedder, judge=judge, evaluation=rules)
    if settings["questions"] is not None:
        frozen = thaw(run.folder, questions)
    if marks is not None:
        with unwritable(run.folder):
            replace_file(run.folder / HUMAN_GRADES, _human_grades(marks, suite, names))
    return compared(run, soul, frozen, suite, _reference(reference, names), rules, settings["language"])


def _ask(
    agent: Agent,
    named: Mapping[str, AnyOne],
    asked: Sequence[Probe],
    frozen: Frozen | None,
    run: Run,
    plan: Plan,
    progress: Progress | None,
) -> bool:
    """Ask every brain for the answers that the run lacks; returns whether the run then has all of them."""

    def talk(question: str) -> TalkPrompt | None:
        found = small_talk_beside(agent.retriever, question, agent.language, agent.persona)
        if found is None:
            return None
        return talk_prompt(found, agent.soul, agent.traits, agent.persona, today=plan.today)

    with run.writing() as append:
        interview_all(
            agent,
            named,
            asked,
            questions_plan(plan),
            session=_SESSION,
            systems={"soul": agent.soul.system_prompt()},
            lang=agent.language.code,
            done=run.outputs(),
            append=append,
            progress=None if progress is None else lambda name, n: progress(f"{name}, questions", n, len(asked)),
            retrievals=frozen.retrievals if frozen is not None else None,
            persona=agent.persona,
            talk=talk,
        )
    outputs = run.outputs()
    return len(outputs) >= len(asked) * len(named) and not any(one.failed for one in outputs.values())


def _human_grades(path: Path, suite: Suite | None, brains: Sequence[str]) -> bytes:
    """The bytes of a file of a person's grades, once it is known that they are for these brains and tasks."""
    if suite is None or not suite.tasks:
        raise EvaluationError("Grades are for the tasks of a rubric, and there are none.", remedy="Leave --marks out.")
    load_grades(path, brains=brains, tasks=suite.tasks)
    text: str = masked(path.read_bytes().decode("utf-8", "replace"))
    return text.encode()


def questions_plan(plan: Plan) -> Plan:
    """The plan for a question file, made from a soul test's plan: each question is asked once, as written, with the
    soul."""
    return replace(plan, conditions=("soul",), repeats=1, paraphrases=0, max_turn=None)


def _reference(reference: str | None, names: Sequence[str]) -> str:
    if reference is not None and reference not in names:
        raise EvaluationError(
            f"The reference {reference!r} is none of the brains.", remedy=f"Name one of them: {', '.join(names)}."
        )
    return reference or names[0]


def _settings(
    agent: Agent,
    named: Mapping[str, AnyOne],
    suite: Suite | None,
    questions: Path | None,
    plan: Plan,
    probes: int | None,
    top_k: int | None,
) -> dict[str, Any]:
    return {
        "comparison": 1,
        "language": agent.language.code,
        "soul": {"name": agent.soul.name, "language": agent.soul.language, "fingerprint": agent.soul.fingerprint},
        "system_sha256": sha256_of(agent.soul.system_prompt()),
        "suite": suite and {"name": suite.name, "language": suite.language, "sha256": suite.sha256, "asked": probes},
        "questions": questions and {"source": questions.name, "sha256": load_questions(questions).sha256},
        "top_k": top_k or agent.config.knowledge.top_k,
        "layout_version": LAYOUT_VERSION,
        "version": __version__,
        "brains": settings_of_brains(agent, named),
        "plan": {**asdict(plan), "conditions": list(plan.conditions)},
    }
