"""The soul test: is she still herself under this brain?

The same probes with the soul, without it and with a scrambled one, through each brain's own shield and into the
ledger; beside them what a scripted perfect Cervella and a scripted flatterer score. Answers are kept as they come, and
a test that was broken off goes on where it was.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

from cervella.agent.agent import Agent
from cervella.checks import Context, Judge
from cervella.configuration.settings import EvaluationConfig
from cervella.errors import EvaluationError
from cervella.evaluation.records import CONDITIONS, Key, Output, Run
from cervella.evaluation.soul_test.actors import FlattererActor, PerfectActor
from cervella.evaluation.soul_test.controls import defects, scripted_scores
from cervella.evaluation.soul_test.interview import SESSION, Plan, interview, sha256_of
from cervella.evaluation.soul_test.measures import brain_result, mean_of_dimensions
from cervella.evaluation.soul_test.preparation import (
    AnyOne,
    brains_named,
    check_plan,
    planned_calls,
    planned_keys,
    probes_asked,
    settings_of,
    systems_of,
)
from cervella.evaluation.soul_test.results import BrainResult, Controls, SoulTestResult
from cervella.evaluation.soul_test.scoring import ProbeScore, score
from cervella.evaluation.soul_test.verdict import Thresholds
from cervella.evaluation.statistics.intervals import scipy_stats
from cervella.evaluation.suites.suite import Probe, Suite
from cervella.protocols import Embedder
from cervella.soul.traits import Traits
from cervella.types import Progress, Prompt, Reply

__all__ = ["rescore", "run_soul_test"]


def run_soul_test(
    agent: Agent,
    suite: Suite,
    brains: Sequence[AnyOne] = (),
    *,
    plan: Plan | None = None,
    probes: int | None = None,
    traits: Traits | None = None,
    folder: Path | None = None,
    fresh: bool = False,
    embedder: Embedder | None = None,
    judge: Judge | None = None,
    progress: Progress | None = None,
) -> SoulTestResult:
    """Test the agent's soul under these brains, by default the agent's own.

    `probes` is how many of the suite's are asked, spread over its dimensions, the same ones for the same seed. A run of
    the same settings that did not come to its end goes on, unless `fresh`; KeyboardInterrupt keeps what is done.
    What a total must reach, and how intervals are drawn, says [evaluation]. Without `embedder` or `judge` the checks
    that want one are not scored, and are named. Raises EvaluationError, and what is wrong with the soul or a brain's
    configuration; an error of a brain is an output.
    """
    scipy_stats()
    plan = plan or Plan()
    check_plan(plan)
    named = brains_named(agent, brains or (agent.config.brain or agent.brain_name,))
    soul = agent.soul
    systems = systems_of(soul.system_prompt(), plan)
    if systems["soul"] and sha256_of(systems["soul"]) != soul.fingerprint:
        raise EvaluationError(
            f"The soul {soul.name!r} has another fingerprint than its system prompt.",
            remedy="A Soul's fingerprint is the sha256 of system_prompt() in UTF-8.",
        )
    asked, left_out = probes_asked(suite, probes, plan)
    settings = settings_of(agent, suite, asked, named, systems, plan)
    root = folder or agent.config.evaluation.folder
    run = None if fresh else Run.unfinished(root, settings)
    if run is None:
        run = Run.create(root, settings, suite={"source": suite.source, "sha256": suite.sha256}, system=systems["soul"])
    done = run.outputs()
    total = planned_calls(asked, plan)
    stopped: dict[str, str] = {}
    with run.writing() as writer:
        for name, brain in named.items():
            count = 0

            def tell(number: int, name: str = name) -> None:
                nonlocal count
                count += number
                if progress is not None:
                    progress(name, count, total)

            def ask(prompt: Prompt, brain: AnyOne = brain) -> Reply:
                return agent.complete(prompt, brain=brain, session=SESSION, repeatable=True)

            error = interview(
                name, ask, asked, plan, systems=systems, lang=suite.language, done=done, writer=writer, progress=tell
            )
            if error is not None:
                stopped[name] = error
    outputs = run.outputs()
    if not any(one.failed for one in outputs.values()) and len(outputs) >= total * len(named):
        run.finish()
    return _result(
        run,
        outputs,
        suite,
        asked,
        plan,
        context=_context(suite, traits or agent.traits, systems["soul"], embedder, judge),
        evaluation=agent.config.evaluation,
        left_out=left_out,
        stopped=stopped,
    )


def rescore(
    run: Run,
    suite: Suite,
    traits: Traits,
    *,
    embedder: Embedder | None = None,
    judge: Judge | None = None,
    evaluation: EvaluationConfig | None = None,
) -> SoulTestResult:
    """The scores of a run's answers by the checks that a suite has now; nobody is asked.

    An answer to a probe that asks other words now is `stale`: it is named, and not scored. Raises EvaluationError.
    """
    scipy_stats()
    settings = run.settings
    plan = Plan(**{**settings["plan"], "conditions": tuple(settings["plan"]["conditions"])})
    by_id = {probe.id: probe for probe in suite.probes}
    asked = tuple(by_id[name] for name in settings["probes"] if name in by_id)
    gone = {name: "the suite does not have it any more" for name in settings["probes"] if name not in by_id}
    if not asked:
        raise EvaluationError(
            f"The suite {suite.name!r} has none of the probes of the run {run.id}.",
            remedy="Name the suite that was asked with --suite.",
        )
    context = _context(suite, traits, run.facts["system"], embedder, judge)
    return _result(
        run,
        run.outputs(),
        suite,
        asked,
        plan,
        context=context,
        evaluation=evaluation or EvaluationConfig(),
        left_out={**suite.left_out, **gone},
        stopped={},
    )


def _result(
    run: Run,
    outputs: Mapping[Key, Output],
    suite: Suite,
    probes: Sequence[Probe],
    plan: Plan,
    *,
    context: Context,
    evaluation: EvaluationConfig,
    left_out: Mapping[str, str],
    stopped: Mapping[str, str],
) -> SoulTestResult:
    systems: Mapping[str, str] = run.settings["systems"]
    for one in outputs.values():
        if one.system_sha256 != systems.get(one.condition):
            raise EvaluationError(
                f"An answer of {one.brain!r} to the probe {one.probe!r} was given under another system prompt.",
                remedy="The run is damaged: start another with --fresh.",
                code="run_damaged",
            )
    perfect = scripted_scores(PerfectActor(suite), probes, plan, suite, context)
    flatterer = scripted_scores(FlattererActor(suite), probes, plan, suite, context)
    results: dict[str, BrainResult] = {}
    every: list[ProbeScore] = []
    for brain in run.settings["brains"]:
        name = brain["name"]
        planned = planned_keys(name, probes, plan)
        own = sorted((one for key, one in outputs.items() if key in planned), key=lambda one: _place(one, probes))
        scores = score(own, suite, context)
        every += scores
        results[name] = brain_result(
            name,
            brain["location"],
            outputs=own,
            scores=scores,
            probes=probes,
            planned=len(planned),
            perfect=perfect,
            flatterer=flatterer,
            context=context,
            thresholds=Thresholds(passing=evaluation.soul_go, conditional=evaluation.soul_conditional),
            drawing={"draws": evaluation.draws, "seed": evaluation.seed},
            stopped=stopped.get(name),
        )
    return SoulTestResult(
        run=run.id,
        folder=str(run.folder),
        settings=run.settings,
        scored_with=suite.sha256,
        brains=results,
        controls=Controls(perfect=mean_of_dimensions(perfect), flatterer=mean_of_dimensions(flatterer)),
        defects=tuple(defects(perfect, flatterer)),
        left_out=dict(left_out),
        scores=tuple(every),
    )


def _place(output: Output, probes: Sequence[Probe]) -> tuple[int, ...]:
    order = {probe.id: number for number, probe in enumerate(probes)}
    return (CONDITIONS.index(output.condition), output.repeat, order[output.probe], output.variant, output.turn)


def _context(suite: Suite, traits: Traits, system: str, embedder: Embedder | None, judge: Judge | None) -> Context:
    return Context(language=suite.language, traits=traits, embedder=embedder, judge=judge, system=system)
