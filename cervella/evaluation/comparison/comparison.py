"""The comparison of brains: the same soul, the same passages, the same words, and what each brain makes of them."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

from cervella import __version__
from cervella.agent.agent import Agent
from cervella.checks import Judge
from cervella.configuration.settings import EvaluationConfig
from cervella.errors import EvaluationError
from cervella.evaluation.comparison.frozen import Frozen, freeze, probes_of, thaw
from cervella.evaluation.comparison.rubric import load_marks
from cervella.evaluation.comparison.rubric_run import HUMAN_MARKS, judged, rubric_probes
from cervella.evaluation.records import Run, unwritable
from cervella.evaluation.soul_test.interview import Plan, interview, sha256_of
from cervella.evaluation.soul_test.preparation import AnyOne, brains_named, settings_of_brains
from cervella.evaluation.soul_test.scoreboard import SOUL_TEST, Comparison, compared, soul_run
from cervella.evaluation.soul_test.soul_test import rescore, run_soul_test
from cervella.evaluation.statistics.intervals import scipy_stats
from cervella.evaluation.suites.question_file import load_questions
from cervella.evaluation.suites.suite import Probe, Suite
from cervella.process.files import replace_file
from cervella.prompt.layout import LAYOUT_VERSION
from cervella.protocols import Embedder
from cervella.soul.traits import Traits
from cervella.types import Progress, Prompt, Reply

__all__ = ["SESSION", "Comparison", "compare", "questions_plan", "rescore_comparison"]

SESSION = "comparison"
"""What the ledger calls these questions."""


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
    traits: Traits | None = None,
    embedder: Embedder | None = None,
    judge: Judge | None = None,
    marker: AnyOne | None = None,
    marks: Path | None = None,
    before: Callable[[Sequence[Probe]], None] | None = None,
    progress: Progress | None = None,
) -> Comparison:
    """Ask every brain the suite's probes, the question file, or both, and hold each against the reference, by default
    the first brain.

    Retrieval is done once; every brain is sent the same system bytes, passages and instructions, at temperature 0 with
    a seed. The tasks of a rubric suite are marked by the brain that `marker` names, by a person's `marks` (a file), or
    not at all; `judge` decides those checks of a soul test that no rule can. A run of the same settings that did not
    come to its end goes on, unless `fresh`. `before` is called with the questions and tasks, as probes, before any
    brain is asked. Raises EvaluationError; an error of a brain is part of the result.
    """
    scipy_stats()
    if suite is None and questions is None:
        raise EvaluationError("There is nothing to compare.", remedy="Give a question file, a suite, or both.")
    rules, plan = agent.config.evaluation, plan or Plan()
    named = brains_named(agent, brains)
    if not named:
        raise EvaluationError("No brain is named.", remedy="Name the brains: cervella compare extractive claude.")
    reference = _reference(reference, list(named))
    marked = None if marks is None else _marks(marks, suite, list(named))
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
    if marked is not None:
        with unwritable(run.folder):
            replace_file(run.folder / HUMAN_MARKS, marked)
    if marker is not None and suite is not None and suite.tasks:
        _let_mark(agent, run, suite, named, reference, marker)
    soul, inside = None, soul_run(run)
    if suite is not None and inside is not None and inside.finished:
        traits = traits or agent.traits
        soul = rescore(inside, suite, traits, embedder=embedder, judge=judge, evaluation=rules)
    elif suite is not None and suite.probes:
        soul = run_soul_test(
            agent,
            suite,
            list(named.values()),
            plan=plan,
            probes=probes,
            traits=traits,
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
    """Derive every score of a run again from the answers that it keeps; nobody is asked.

    `suite`, `questions` and `marks` may hold corrected checks, expected answers and a person's marks; a probe or
    question that asks other words now is not scored. Raises EvaluationError.
    """
    scipy_stats()
    settings = run.settings
    if "comparison" not in settings:
        raise EvaluationError(
            f"The run {run.id} is no comparison.",
            remedy="Derive a soul test again with `cervella soul test --rescore`.",
        )
    names = [brain["name"] for brain in settings["brains"]]
    soul, frozen = None, None
    if settings["suite"] is not None and suite is None:
        raise EvaluationError(f"The run {run.id} was of a suite.", remedy="Name it with --suite.")
    inside = soul_run(run)
    if inside is not None and suite is not None and traits is not None:
        soul = rescore(inside, suite, traits, embedder=embedder, judge=judge, evaluation=rules)
    if settings["questions"] is not None:
        frozen = thaw(run.folder, questions)
    if marks is not None:
        with unwritable(run.folder):
            replace_file(run.folder / HUMAN_MARKS, _marks(marks, suite, names))
    return compared(run, soul, frozen, suite, _reference(reference, names), rules, settings["language"])


# Asking


def _ask(
    agent: Agent,
    named: Mapping[str, AnyOne],
    asked: Sequence[Probe],
    frozen: Frozen | None,
    run: Run,
    plan: Plan,
    progress: Progress | None,
) -> bool:
    """Ask every brain what the run does not hold yet; whether every answer is there in the end."""
    done, once = run.outputs(), questions_plan(plan)
    with run.writing() as writer:
        for name, brain in named.items():
            count = 0

            def tell(number: int, name: str = name) -> None:
                nonlocal count
                count += number
                if progress is not None:
                    progress(f"{name}, questions", count, len(asked))

            def ask(prompt: Prompt, brain: AnyOne = brain) -> Reply:
                return agent.complete(prompt, brain=brain, session=SESSION, repeatable=True)

            interview(
                name,
                ask,
                asked,
                once,
                systems={"soul": agent.soul.system_prompt()},
                lang=agent.language.code,
                done=done,
                writer=writer,
                progress=tell,
                retrievals=frozen.retrievals if frozen is not None else None,
            )
    outputs = run.outputs()
    return len(outputs) >= len(asked) * len(named) and not any(one.failed for one in outputs.values())


def _let_mark(
    agent: Agent, run: Run, suite: Suite, named: Mapping[str, AnyOne], reference: str, marker: AnyOne
) -> None:
    def ask(prompt: Prompt) -> Reply:
        return agent.complete(prompt, brain=marker, session=SESSION, repeatable=True)

    shield = agent.brain_named(marker, repeatable=True)
    judged(run.folder, suite, run.outputs(), list(named), reference, shield.name, shield.model, ask)


def _marks(path: Path, suite: Suite | None, brains: Sequence[str]) -> bytes:
    """A person's marks as they are written, once they are known to be marks of these brains and tasks."""
    if suite is None or not suite.tasks:
        raise EvaluationError("Marks are for the tasks of a rubric, and there are none.", remedy="Leave --marks out.")
    load_marks(path, brains=brains, tasks=suite.tasks)
    return path.read_bytes()


def questions_plan(plan: Plan) -> Plan:
    """Each question once, as it is written, with the soul."""
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
