"""The soul test: is she still herself under this brain?

The same probes with the soul, without it and with a scrambled one, through each brain's own shield and into the
ledger; beside them what a scripted perfect Cervella and a scripted flatterer score. Answers are kept as they come, and
a test that was broken off goes on where it was.
"""

from __future__ import annotations

import datetime
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from decimal import Decimal
from pathlib import Path
from typing import Any, TypeAlias

from cervella import __version__
from cervella.agent import Agent, Progress
from cervella.checks import Context, Judge
from cervella.errors import EvaluationError
from cervella.evaluation.actors import FlattererActor, PerfectActor
from cervella.evaluation.controls import defects, scripted_scores
from cervella.evaluation.interview import (
    SESSION,
    Plan,
    conversations,
    interview,
    prompt_of,
    scored_turns,
    scrambled,
    sha256_of,
)
from cervella.evaluation.measures import brain_result, mean_of_dimensions
from cervella.evaluation.records import CONDITIONS, Condition, Key, Output, Run, canonical_sha256
from cervella.evaluation.results import BrainResult, Controls, SoulTestResult
from cervella.evaluation.scoring import ProbeScore, score
from cervella.evaluation.selection import selected
from cervella.evaluation.suite import Probe, Suite
from cervella.evaluation.verdict import Thresholds
from cervella.ledger.prices import Prices
from cervella.prompt import LAYOUT_VERSION, estimate_tokens, render
from cervella.protocols import Brain, Embedder
from cervella.settings import EvaluationConfig
from cervella.soul.traits import Traits
from cervella.types import Prompt, Reply

__all__ = ["most_cost", "planned_calls", "probes_asked", "rescore", "run_soul_test", "systems_of"]

AnyOne: TypeAlias = str | Brain


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
    plan = plan or Plan()
    _check(plan)
    named = _named(agent, brains or (agent.config.brain or agent.brain_name,))
    soul = agent.soul
    systems = systems_of(soul.system_prompt(), plan)
    if systems["soul"] and sha256_of(systems["soul"]) != soul.fingerprint:
        raise EvaluationError(
            f"The soul {soul.name!r} has another fingerprint than its system prompt.",
            remedy="A Soul's fingerprint is the sha256 of system_prompt() in UTF-8.",
        )
    asked, left_out = probes_asked(suite, probes, plan)
    settings = _settings(agent, suite, asked, named, systems, plan)
    root = folder or agent.config.evaluation.folder
    run = None if fresh else Run.unfinished(root, settings)
    if run is None:
        run = Run.create(root, settings, suite=suite.source, system=systems["soul"])
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
                return agent.complete(prompt, brain=brain, session=SESSION)

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
        context=_context(suite, traits or _traits(agent), systems["soul"], embedder, judge),
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


def planned_calls(probes: Sequence[Probe], plan: Plan) -> int:
    """How many answers one brain is asked for."""
    return sum(max(scored_turns(one.probe, plan.max_turn), default=0) for one in conversations(probes, plan))


def most_cost(agent: Agent, brain: AnyOne, probes: Sequence[Probe], plan: Plan, lang: str) -> Decimal | None:
    """What one brain may cost at most, in US dollars: every answer as long as it may be, nothing from a cache.

    None where its price is not known, and for an engine of one's own that has none.
    """
    prices, shield = Prices(agent.config.brains), agent.brain_named(brain)
    systems, now, most = systems_of(agent.soul.system_prompt(), plan), datetime.datetime.now(datetime.UTC), Decimal(0)
    for one in conversations(probes, plan):
        said = 0
        for turn in range(1, max(scored_turns(one.probe, plan.max_turn), default=0) + 1):
            prompt = prompt_of(one, turn, (), plan, systems[one.condition], lang)
            usd = prices.estimate(
                shield.name,
                shield.model,
                shield.location,
                input_tokens=estimate_tokens(render(prompt)) + said,
                output_tokens=plan.max_output_tokens,
                at=now,
            )
            if usd is None:
                return None
            most += usd
            said += estimate_tokens(prompt.question) + plan.max_output_tokens
    return most


def _planned(name: str, probes: Sequence[Probe], plan: Plan) -> set[Key]:
    return {
        one.key(name, turn)
        for one in conversations(probes, plan)
        for turn in range(1, max(scored_turns(one.probe, plan.max_turn), default=0) + 1)
    }


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
        planned = _planned(name, probes, plan)
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


# What is asked, of whom


def _check(plan: Plan) -> None:
    if not plan.conditions or plan.conditions[0] != "soul" or set(plan.conditions) - set(CONDITIONS):
        raise EvaluationError(
            f"The conditions are {', '.join(plan.conditions) or 'none'}.",
            remedy="Give soul first, then none, scrambled or both: the controls mean nothing without it.",
        )
    if plan.repeats < 1 or plan.paraphrases < 0 or (plan.max_turn is not None and plan.max_turn < 1):
        raise EvaluationError(
            "The soul test has repeats, paraphrases or turns below their least.",
            remedy="Give repeats and max_turn from 1, paraphrases from 0.",
        )


def _named(agent: Agent, brains: Sequence[Any]) -> dict[str, AnyOne]:
    """The brains by name; one that is not known, or can't be made, fails here and not after the first hour."""
    named: dict[str, AnyOne] = {}
    for brain in brains:
        agent.brain_named(brain)
        name = brain if isinstance(brain, str) else ", ".join(brain) if isinstance(brain, (list, tuple)) else brain.name
        if name in named:
            raise EvaluationError(f"The brain {name!r} is named twice.", remedy="Name each brain once.")
        named[name] = brain
    return named


def systems_of(system: str, plan: Plan) -> dict[Condition, str]:
    """What stands in the system prompt, by condition."""
    every: dict[Condition, str] = {"soul": system, "none": "", "scrambled": scrambled(system, plan.seed)}
    return {condition: every[condition] for condition in plan.conditions}


def probes_asked(suite: Suite, count: int | None, plan: Plan) -> tuple[tuple[Probe, ...], dict[str, str]]:
    """The probes that are asked, and why others are not. Raises EvaluationError where none is left."""
    left_out = dict(suite.left_out)
    reached = [probe for probe in suite.probes if scored_turns(probe, plan.max_turn)]
    left_out |= {
        probe.id: f"its first scored turn is after turn {plan.max_turn}"
        for probe in suite.probes
        if not scored_turns(probe, plan.max_turn)
    }
    chosen = selected(reached, count, plan.seed)
    if not chosen:
        raise EvaluationError(
            f"The suite {suite.name!r} has no probe to ask.",
            remedy="Declare the traits that its probes need, or name another suite with --suite.",
        )
    return chosen, left_out


def _settings(
    agent: Agent,
    suite: Suite,
    probes: Sequence[Probe],
    brains: Mapping[str, AnyOne],
    systems: Mapping[Condition, str],
    plan: Plan,
) -> dict[str, Any]:
    own = agent.config.brains
    return {
        "suite": {"name": suite.name, "language": suite.language, "sha256": suite.sha256, "probes": len(suite.probes)},
        "probes": [probe.id for probe in probes],
        "soul": {"name": agent.soul.name, "language": agent.soul.language, "fingerprint": agent.soul.fingerprint},
        "systems": {condition: sha256_of(text) for condition, text in systems.items()},
        "layout_version": LAYOUT_VERSION,
        "version": __version__,
        "brains": [
            {
                "name": name,
                "model": agent.brain_named(brain).model,
                "location": agent.brain_named(brain).location,
                "options_sha256": canonical_sha256(own.get(name.partition(":")[0], {})),
            }
            for name, brain in brains.items()
        ],
        "plan": {**asdict(plan), "conditions": list(plan.conditions)},
    }


def _traits(agent: Agent) -> Traits:
    return Traits.of(agent.soul, agent.config.soul.traits.model_dump(exclude_none=True))


def _context(suite: Suite, traits: Traits, system: str, embedder: Embedder | None, judge: Judge | None) -> Context:
    return Context(language=suite.language, traits=traits, embedder=embedder, judge=judge, system=system)
