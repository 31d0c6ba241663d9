"""Runs the soul test, which shows whether the persona stays herself under a brain.

Every brain is asked the same probes with the soul, without it and with a scrambled one, through its own shield (the
wrapper around a brain); the ledger records the cost. Two scripted brains, a perfect Cervella and a flatterer, are
scored on the same probes. Answers are kept as they come: a test that was interrupted continues where it stopped.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

from cervella.agent.agent import Agent
from cervella.brains.shield.shield import Shield
from cervella.checks import Context, Judge
from cervella.configuration.settings import EvaluationConfig
from cervella.errors import EvaluationError
from cervella.evaluation.records import CONDITIONS, Output, Run
from cervella.evaluation.soul_test.actors import FlattererActor, PerfectActor
from cervella.evaluation.soul_test.interview import SESSION, AnyOne, Plan, interview, interview_all, sha256_of
from cervella.evaluation.soul_test.metrics import brain_result, mean_of_dimensions
from cervella.evaluation.soul_test.preparation import (
    brains_named,
    check_plan,
    planned_calls,
    planned_keys,
    probes_asked,
    settings_of,
    systems_of,
)
from cervella.evaluation.soul_test.results import BrainResult, Controls, Defect, SoulTestResult
from cervella.evaluation.soul_test.scoring import ProbeScore, score
from cervella.evaluation.statistics.intervals import scipy_stats
from cervella.evaluation.suites.suite import Probe, Suite
from cervella.process.loop import BackgroundLoop
from cervella.protocols import Brain, Embedder
from cervella.soul.traits import Traits
from cervella.types import Finished, Progress, Prompt, Reply


def run_soul_test(
    agent: Agent,
    suite: Suite,
    brains: Sequence[AnyOne] = (),
    *,
    plan: Plan | None = None,
    probes: int | None = None,
    folder: Path | None = None,
    fresh: bool = False,
    embedder: Embedder | None = None,
    judge: Judge | None = None,
    progress: Progress | None = None,
) -> SoulTestResult:
    """Test the agent's soul under these brains, by default the agent's own.

    `probes` limits how many of the suite's probes are asked; they are spread over its dimensions, and the same for the
    same seed. An unfinished run of the same settings continues, unless `fresh`; KeyboardInterrupt loses no answer. The
    thresholds of a verdict and the draws of an interval are set in [evaluation]. Without `embedder` or `judge` the
    checks that need one are listed as not scored. Raises EvaluationError, or ConfigError where the soul's or a brain's
    configuration is wrong; an error of a brain becomes an output.
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
    with run.writing(unmasked={probe.id for probe in asked if probe.canary}) as append:
        stopped = interview_all(
            agent,
            named,
            asked,
            plan,
            session=SESSION,
            systems=systems,
            lang=suite.language,
            done=done,
            append=append,
            progress=None if progress is None else lambda name, count: progress(name, count, total),
        )
    outputs = run.outputs()
    if not any(one.failed for one in outputs.values()) and len(outputs) >= total * len(named):
        run.finish()
    context = _context(run, suite, agent.traits, embedder, judge)
    return _result(run, suite, context, agent.config.evaluation, left_out, stopped)


def rescore(
    run: Run,
    suite: Suite,
    traits: Traits,
    *,
    embedder: Embedder | None = None,
    judge: Judge | None = None,
    evaluation: EvaluationConfig | None = None,
) -> SoulTestResult:
    """Score the answers of a run by the checks that a suite has now. No brain is asked.

    If the words of a probe have changed, its answers are listed as `stale` and not scored. Raises EvaluationError.
    """
    scipy_stats()
    names = {probe.id for probe in suite.probes}
    gone = {name: "the suite does not have it any more" for name in run.settings["probes"] if name not in names}
    if len(gone) == len(run.settings["probes"]):
        raise EvaluationError(
            f"The suite {suite.name!r} has none of the probes of the run {run.id}.",
            remedy="Name the suite that was asked with --suite.",
        )
    context = _context(run, suite, traits, embedder, judge)
    return _result(run, suite, context, evaluation or EvaluationConfig(), {**suite.left_out, **gone}, {})


def _result(
    run: Run,
    suite: Suite,
    context: Context,
    rules: EvaluationConfig,
    left_out: Mapping[str, str],
    stopped: Mapping[str, str],
) -> SoulTestResult:
    settings, outputs = run.settings, run.outputs()
    plan = Plan(**{**settings["plan"], "conditions": tuple(settings["plan"]["conditions"])})
    by_id = {probe.id: probe for probe in suite.probes}
    probes = tuple(by_id[name] for name in settings["probes"] if name in by_id)
    systems: Mapping[str, str] = settings["systems"]
    for one in outputs.values():
        if one.system_sha256 != systems.get(one.condition):
            raise EvaluationError(
                f"An answer of {one.brain!r} to the probe {one.probe!r} was given under another system prompt.",
                remedy="The run is damaged: start another with --fresh.",
                code="run_damaged",
            )
    order = {probe.id: number for number, probe in enumerate(probes)}

    def place(one: Output) -> tuple[int, ...]:
        return (CONDITIONS.index(one.condition), one.repeat, order[one.probe], one.variant, one.turn)

    perfect = _scripted_scores(PerfectActor(suite), probes, plan, suite, context)
    flatterer = _scripted_scores(FlattererActor(suite), probes, plan, suite, context)
    results: dict[str, BrainResult] = {}
    every: list[ProbeScore] = []
    for brain in settings["brains"]:
        name = brain["name"]
        planned = planned_keys(name, probes, plan)
        own = sorted((one for key, one in outputs.items() if key in planned), key=place)
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
            rules=rules,
            stopped=stopped.get(name),
        )
    return SoulTestResult(
        run=run.id,
        folder=str(run.folder),
        settings=settings,
        scored_with=suite.sha256,
        brains=results,
        controls=Controls(perfect=mean_of_dimensions(perfect), flatterer=mean_of_dimensions(flatterer)),
        defects=tuple(_defects(perfect, flatterer)),
        left_out=dict(left_out),
        scores=tuple(every),
    )


def _context(run: Run, suite: Suite, traits: Traits, embedder: Embedder | None, judge: Judge | None) -> Context:
    system = run.facts["system"]
    return Context(language=suite.language, traits=traits, embedder=embedder, judge=judge, system=system)


# The scripted controls


def _scripted_scores(
    actor: Brain, probes: Sequence[Probe], plan: Plan, suite: Suite, context: Context
) -> tuple[ProbeScore, ...]:
    """The scores of a scripted brain on the probes as written, asked with the soul alone."""
    own = Plan(conditions=("soul",), paraphrases=0, max_turn=plan.max_turn, seed=plan.seed, today=plan.today)
    answers: list[Output] = []
    shield, loop = Shield(actor), BackgroundLoop()

    async def answer(prompt: Prompt) -> Reply:
        async for event in shield.stream(prompt):
            if isinstance(event, Finished):
                return Reply(text=event.completion.text, model=event.completion.model)
        raise AssertionError("a stream ends with Finished, or raises")

    try:
        interview(
            actor.name,
            lambda prompt: loop.run(lambda: answer(prompt)),
            probes,
            own,
            systems={"soul": context.system or ""},
            lang=suite.language,
            done={},
            append=answers.append,
        )
    finally:
        loop.close()
    return score(answers, suite, context)


def _defects(perfect: Sequence[ProbeScore], flatterer: Sequence[ProbeScore]) -> list[Defect]:
    """The faults of the suite: probes that the perfect answer fails, that a flatterer's passes, or that can't be
    scored."""
    found = []
    for best, worst in zip(perfect, flatterer, strict=True):
        if best.passed is None:
            problem = f"nothing here can score it: {best.unscored}"
        elif not best.passed:
            failed = "; ".join(f"{one.kind}: {one.detail}" for one in best.checks if one.passed is False)
            problem = f"the perfect answer fails: {failed}"
        elif worst.passed:
            problem = "the flatterer's answer passes"
        else:
            continue
        found.append(Defect(probe=best.probe, dimension=best.dimension, problem=f"{problem} (turn {best.turn})"))
    return found
