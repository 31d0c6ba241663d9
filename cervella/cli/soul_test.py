"""`cervella soul test`"""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, cast

import typer

from cervella.agent import Agent
from cervella.checks import Judge
from cervella.cli.before_asking import tell_cost, traits_of
from cervella.cli.options import AsJson, ConfigPath, complete_brain
from cervella.cli.output import as_json_value, counted, note, print_json, progress_bar
from cervella.cli.soul_test_report import print_result
from cervella.errors import ConfigError
from cervella.evaluation.interview import MAX_OUTPUT_TOKENS, Plan
from cervella.evaluation.judging import JUDGEMENTS, BrainJudge
from cervella.evaluation.preparation import AnyOne, most_cost, planned_calls, probes_asked
from cervella.evaluation.records import CONDITIONS, Condition, Run
from cervella.evaluation.results import SoulTestResult
from cervella.evaluation.soul_test import rescore, run_soul_test
from cervella.evaluation.suite import Suite
from cervella.evaluation.suite_file import load_suite
from cervella.prompt import LAYOUT_VERSION
from cervella.soul.lock import record_verdict
from cervella.soul.traits import Traits

__all__ = ["KeptSoul", "soul_test"]

_Option = typer.Option


def soul_test(
    brains: Annotated[
        list[str] | None,
        typer.Argument(
            metavar="[BRAIN]...",
            help="The brains to test; by default the configured one.",
            autocompletion=complete_brain,
            show_default=False,
        ),
    ] = None,
    brain: Annotated[list[str] | None, _Option("--brain", help="One more brain to test.")] = None,
    suite: Annotated[
        str | None, _Option("--suite", metavar="FILE", help="A suite of your own; by default that of the language.")
    ] = None,
    probes: Annotated[
        int | None, _Option("--probes", min=1, help="So many probes, spread over the dimensions.", show_default=False)
    ] = None,
    max_turn: Annotated[
        int | None, _Option("--max-turn", min=1, help="End conversations with this turn.", show_default=False)
    ] = None,
    conditions: Annotated[str, _Option("--conditions", help="soul, and the controls: none, scrambled.")] = ",".join(
        CONDITIONS
    ),
    repeats: Annotated[int, _Option("--repeats", min=1, help="How often each probe is asked, each with a seed.")] = 1,
    paraphrases: Annotated[int, _Option("--paraphrases", min=0, help="Other wordings of each probe.")] = 1,
    seed: Annotated[int, _Option("--seed", help="Chooses the probes, and goes to engines that take one.")] = 0,
    temperature: Annotated[float, _Option("--temperature", min=0.0, help="Of all answers.")] = 0.0,
    max_tokens: Annotated[int, _Option("--max-tokens", min=1, help="Of one answer.")] = MAX_OUTPUT_TOKENS,
    resume: Annotated[
        bool, _Option("--resume/--fresh", help="Go on with the same test where it was broken off, or start anew.")
    ] = True,
    rescored: Annotated[
        str | None, _Option("--rescore", metavar="RUN", help="Score a run's answers again; nobody is asked.")
    ] = None,
    out: Annotated[
        Path | None, _Option("--out", metavar="FILE", help="Write the document of --json there, all scores included.")
    ] = None,
    judge: Annotated[
        str | None,
        _Option(
            "--judge",
            metavar="BRAIN",
            help="Marks what no rule can; by default [evaluation] judge.",
            show_default=False,
        ),
    ] = None,
    strict: Annotated[bool, _Option("--strict", help="Exit code 1 unless every verdict is PASS.")] = False,
    yes: Annotated[bool, _Option("--yes", help="Ask cloud brains whatever it may cost, up to the budget.")] = False,
    config: ConfigPath = None,
    as_json: AsJson = False,
) -> None:
    """Test whether she is still herself under a brain: probes with known right answers, and controls beside them."""
    with Agent(config=config) as agent:
        if rescored is not None:
            result = _rescore(agent, rescored, suite, judge)
        else:
            plan = Plan(
                conditions=_conditions(conditions),
                repeats=repeats,
                paraphrases=paraphrases,
                seed=seed,
                temperature=temperature,
                max_output_tokens=max_tokens,
                max_turn=max_turn,
            )
            traits = agent.traits
            loaded = load_suite(suite or agent.soul.language, traits)
            named: list[AnyOne] = [*(brains or ()), *(brain or ())] or [agent.config.brain or agent.brain_name]
            _tell_cost(agent, loaded, named, plan, probes, yes=yes)
            marks = _judge(agent, judge, named)
            result = _run(agent, loaded, named, plan, probes, traits, marks, fresh=not resume)
            _record(agent, result, loaded, plan)
    if out is not None:
        out.parent.mkdir(parents=True, exist_ok=True)
        text = json.dumps(result.as_dict(scores=True), ensure_ascii=False, indent=2, default=as_json_value)
        out.write_text(text + "\n", encoding="utf-8")
        note(f"note: The scores are in {out}.")
    if as_json:
        print_json(result.as_dict())
    else:
        print_result(result)
    if strict and any(one.verdict != "PASS" for one in result.brains.values()):
        raise typer.Exit(1)


def _run(
    agent: Agent,
    suite: Suite,
    brains: Sequence[AnyOne],
    plan: Plan,
    probes: int | None,
    traits: Traits,
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
                traits=traits,
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


def _rescore(agent: Agent, named: str, suite: str | None, judge: str | None) -> SoulTestResult:
    path = Path(named)
    run = Run.open(path if path.is_dir() else agent.config.evaluation.folder / named)
    soul = KeptSoul(text=run.facts["system"], **run.settings["soul"])
    traits = traits_of(soul, agent)
    loaded = load_suite(suite or run.facts["suite"]["source"], traits)
    marks = _judge(agent, judge, [])
    return rescore(run, loaded, traits, judge=marks, evaluation=agent.config.evaluation)


@dataclass(frozen=True)
class KeptSoul:
    """The soul of a run, which need not be the soul of today."""

    text: str
    name: str
    language: str
    fingerprint: str

    def system_prompt(self) -> str:
        return self.text


def _conditions(text: str) -> tuple[Condition, ...]:
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
