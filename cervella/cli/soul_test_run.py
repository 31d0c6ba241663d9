"""`cervella soul test`: what it does."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import cast

from cervella.agent.agent import Agent
from cervella.checks import Judge
from cervella.cli.before_asking import run_named, tell_cost, traits_of
from cervella.cli.output import counted, note, progress_bar
from cervella.errors import ConfigError
from cervella.evaluation.records import CONDITIONS, Condition
from cervella.evaluation.soul_test.interview import AnyOne, Plan
from cervella.evaluation.soul_test.judging import JUDGEMENTS, BrainJudge
from cervella.evaluation.soul_test.preparation import most_cost, planned_calls, probes_asked
from cervella.evaluation.soul_test.results import SoulTestResult
from cervella.evaluation.soul_test.soul_test import rescore, run_soul_test
from cervella.evaluation.statistics.intervals import scipy_stats
from cervella.evaluation.suites.file import load_suite
from cervella.evaluation.suites.suite import Suite
from cervella.prompt.layout import LAYOUT_VERSION
from cervella.soul.lock import record_verdict

__all__ = ["KeptSoul", "conditions_of", "rescored_test", "tested"]


def tested(
    agent: Agent,
    brains: Sequence[str],
    suite: str | None,
    plan: Plan,
    probes: int | None,
    judge: str | None,
    *,
    fresh: bool,
    yes: bool,
) -> SoulTestResult:
    """Test the brains, or the configured one, once their cost is told; verdicts on the whole suite go into the lock."""
    scipy_stats()
    loaded = load_suite(suite or agent.soul.language, agent.traits)
    named: list[AnyOne] = [*brains] or [agent.config.brain or agent.brain_name]
    _tell_cost(agent, loaded, named, plan, probes, yes=yes)
    decides = _judge(agent, judge, named)
    result = _run(agent, loaded, named, plan, probes, decides, fresh=fresh)
    _record(agent, result, loaded, plan)
    return result


def _run(
    agent: Agent,
    suite: Suite,
    brains: Sequence[AnyOne],
    plan: Plan,
    probes: int | None,
    judge: Judge | None,
    *,
    fresh: bool,
) -> SoulTestResult:
    try:
        with progress_bar() as progress:
            return run_soul_test(
                agent,
                suite,
                brains,
                plan=plan,
                probes=probes,
                fresh=fresh,
                judge=judge,
                progress=progress,
            )
    except KeyboardInterrupt:
        note("note: Run the same command again: it goes on where it was.")
        raise


def _judge(agent: Agent, named: str | None, brains: Sequence[AnyOne]) -> Judge | None:
    own = agent.config.evaluation
    judge = named or own.judge
    return None if judge is None else BrainJudge(agent, judge, judged=brains, kept=own.folder / JUDGEMENTS)


def rescored_test(agent: Agent, named: str, suite: str | None, judge: str | None) -> SoulTestResult:
    run = run_named(agent, named)
    soul = KeptSoul(text=run.facts["system"], **run.settings["soul"])
    traits = traits_of(soul, agent)
    loaded = load_suite(suite or run.facts["suite"]["source"], traits)
    decides = _judge(agent, judge, [])
    return rescore(run, loaded, traits, judge=decides, evaluation=agent.config.evaluation)


@dataclass(frozen=True)
class KeptSoul:
    """The soul of a run, which need not be the soul of today."""

    text: str
    name: str
    language: str
    fingerprint: str

    def system_prompt(self) -> str:
        return self.text


def conditions_of(text: str) -> tuple[Condition, ...]:
    named = [part.strip() for part in text.split(",") if part.strip()]
    if unknown := [name for name in named if name not in CONDITIONS]:
        raise ConfigError(
            f"There is no condition {unknown[0]!r}.",
            remedy=f"Name some of {', '.join(CONDITIONS)}, with commas between.",
        )
    return cast(tuple[Condition, ...], tuple(name for name in CONDITIONS if name in named))


def _tell_cost(
    agent: Agent, suite: Suite, brains: Sequence[AnyOne], plan: Plan, probes: int | None, *, yes: bool
) -> None:
    asked = probes_asked(suite, probes, plan)[0]
    tell_cost(
        agent,
        brains,
        planned_calls(asked, plan),
        lambda brain: most_cost(agent, brain, asked, plan, suite.language),
        less="--probes 36, --conditions soul,none, --paraphrases 0",
        yes=yes,
        of=f" to {counted(len(asked), 'probe')}",
    )


def _record(agent: Agent, result: SoulTestResult, suite: Suite, plan: Plan) -> None:
    """Keep the verdicts in soul.lock: those of the whole suite, on a brain that answered it all."""
    path = agent.config.soul.lock
    if not path.exists():
        return
    whole = len(result.settings["probes"]) == len(suite.probes) and plan.max_turn is None
    if not whole:
        note(f"note: {path.name} keeps no verdict of a part of the suite.")
        return
    for one in result.brains.values():
        if one.verdict == "INCOMPLETE":
            continue
        kept = record_verdict(
            path,
            fingerprint=agent.soul.fingerprint,
            language=agent.soul.language,
            brain=one.brain,
            model=", ".join(one.models),
            verdict=one.verdict,
            score=None if one.total is None else round(one.total.estimate, 4),
            suite=suite.sha256,
            layout=LAYOUT_VERSION,
        )
        told = f"{path.name} keeps the verdict on {one.brain}" if kept else f"{path.name} pins another soul: no verdict"
        note(f"note: {told}.")
