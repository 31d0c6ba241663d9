"""The command `cervella soul test` runs the soul test and prints its result."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Annotated, cast

import typer

from cervella.agent.agent import Agent
from cervella.cli.before_asking import judge_of, resumable, run_named, soul_of, tell_cost, traits_of
from cervella.cli.options import (
    AsJson,
    ConfigPath,
    Judge,
    MaxTurn,
    Paraphrases,
    Probes,
    Rescore,
    Suite,
    Yes,
    complete_brain,
)
from cervella.cli.output import counted, json_text, note, print_json, print_line, print_table, print_wrapped
from cervella.errors import ConfigError
from cervella.evaluation.records import CONDITIONS, Condition
from cervella.evaluation.soul_test.interview import AnyOne, Plan
from cervella.evaluation.soul_test.preparation import most_cost, planned_calls, probes_asked
from cervella.evaluation.soul_test.results import BrainResult, DimensionResult, HardFailure, SoulTestResult
from cervella.evaluation.soul_test.soul_test import rescore, run_soul_test
from cervella.evaluation.statistics.intervals import Estimate, scipy_stats
from cervella.evaluation.suites.file import load_suite
from cervella.evaluation.suites.suite import Suite as LoadedSuite
from cervella.process.files import make_private_folder, replace_file
from cervella.prompt.layout import LAYOUT_VERSION
from cervella.soul.lock import record_verdict

_Option = typer.Option
_STYLES = {"PASS": "green", "CONDITIONAL": "yellow", "INCOMPLETE": "yellow", "FAIL": "red"}
_MOST_SHOWN = 5
"""Number of failures, and of defects, that are listed. Of the others only the number is shown."""
_COLUMNS = ("", "score", "95 %", "all", "none", "mixed", "perfect", "flat.", "n")
_WITHOUT = {"none": "no Constitution", "scrambled": "a scrambled one"}


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
    suite: Suite = None,
    probes: Probes = None,
    max_turn: MaxTurn = None,
    conditions: Annotated[
        str, _Option("--conditions", help="soul, and the controls without it: none, scrambled.")
    ] = "soul,none,scrambled",
    repeats: Annotated[
        int, _Option("--repeats", min=1, help="Number of times that each probe is asked, each with a seed.")
    ] = 1,
    paraphrases: Paraphrases = 1,
    seed: Annotated[int, _Option("--seed", help="Seed for the choice of probes, and for engines that take one.")] = 0,
    temperature: Annotated[float, _Option("--temperature", min=0.0, help="Sampling temperature.")] = 0.0,
    max_tokens: Annotated[int, _Option("--max-tokens", min=1, help="Most tokens of one answer.")] = 700,
    resume: Annotated[
        bool, _Option("--resume/--fresh", help="Continue a test that was broken off, or start anew.")
    ] = True,
    rescored: Rescore = None,
    out: Annotated[
        Path | None, _Option("--out", metavar="FILE", help="Write the JSON document with all scores to this file.")
    ] = None,
    judge: Judge = None,
    strict: Annotated[bool, _Option("--strict", help="Exit code 1 unless every verdict is PASS.")] = False,
    yes: Yes = False,
    config: ConfigPath = None,
    as_json: AsJson = False,
) -> None:
    """Test whether the persona stays herself under a brain: probes with known right answers, and controls."""
    with Agent(config=config) as agent:
        if rescored is not None:
            result = rescored_test(agent, rescored, suite, judge)
        else:
            plan = Plan(
                conditions=conditions_of(conditions),
                repeats=repeats,
                paraphrases=paraphrases,
                seed=seed,
                temperature=temperature,
                max_output_tokens=max_tokens,
                max_turn=max_turn,
            )
            named = [*(brains or ()), *(brain or ())]
            result = tested(agent, named, suite, plan, probes, judge, fresh=not resume, yes=yes)
    if out is not None:
        make_private_folder(out.parent)
        replace_file(out, json_text(result.as_dict(scores=True)))
        note(f"note: The scores are in {out}.")
    if as_json:
        print_json(result.as_dict())
    else:
        print_result(result)
    if strict and any(one.verdict != "PASS" for one in result.brains.values()):
        raise typer.Exit(1)


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
    """Show the cost, then test the brains, by default the configured one. Complete verdicts go into the soul lock."""
    scipy_stats()
    loaded = load_suite(suite or agent.soul.language, agent.traits)
    named: list[AnyOne] = [*brains] or [agent.config.brain or agent.brain_name]
    _tell_cost(agent, loaded, named, plan, probes, yes=yes)
    decides = judge_of(agent, judge, named)
    with resumable() as progress:
        result = run_soul_test(
            agent, loaded, named, plan=plan, probes=probes, fresh=fresh, judge=decides, progress=progress
        )
    _record(agent, result, loaded, plan)
    return result


def rescored_test(agent: Agent, named: str, suite: str | None, judge: str | None) -> SoulTestResult:
    run = run_named(agent, named)
    traits = traits_of(soul_of(run), agent.config)
    loaded = load_suite(suite or run.facts["suite"]["source"], traits)
    return rescore(run, loaded, traits, judge=judge_of(agent, judge, []), evaluation=agent.config.evaluation)


def conditions_of(text: str) -> tuple[Condition, ...]:
    named = [part.strip() for part in text.split(",") if part.strip()]
    if unknown := [name for name in named if name not in CONDITIONS]:
        raise ConfigError(
            f"There is no condition {unknown[0]!r}.",
            remedy=f"Name some of {', '.join(CONDITIONS)}, with commas between.",
        )
    return cast(tuple[Condition, ...], tuple(name for name in CONDITIONS if name in named))


def _tell_cost(
    agent: Agent, suite: LoadedSuite, brains: Sequence[AnyOne], plan: Plan, probes: int | None, *, yes: bool
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


def _record(agent: Agent, result: SoulTestResult, suite: LoadedSuite, plan: Plan) -> None:
    """Write the verdicts to soul.lock, if the whole suite was asked and a brain answered all of it."""
    path = agent.config.soul.lock
    if not path.exists():
        return
    whole = len(result.settings["probes"]) == len(suite.probes) and plan.max_turn is None
    if not whole:
        note(f"note: {path.name} keeps only verdicts of the whole suite.")
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


# The result: a table for each brain, then what stands beside its total


def print_result(result: SoulTestResult) -> None:
    """Print the result of every brain, then the defects of the suite itself."""
    settings = result.settings
    soul, suite = settings["soul"], settings["suite"]
    print_line(
        f"{soul['name']}, fingerprint {soul['fingerprint'][:12]}…; {len(settings['probes'])} of {suite['probes']} "
        f"probes of the suite {suite['name']!r}, {result.scored_with[:12]}…"
    )
    for one in result.brains.values():
        print_line()
        _print_brain(one)
    print_line()
    print_line(
        f"scripted controls: perfect {_share(result.controls.perfect)}, flatterer {_share(result.controls.flatterer)}"
    )
    _few("the suite's own defects", (f"{one.probe}: {one.problem}" for one in result.defects))
    if result.left_out:
        note(f"note: Not asked: {_list(f'{name} ({why})' for name, why in result.left_out.items())}.")
    note(f"note: The answers are in {result.folder}; score them again with `--rescore {result.run}`.")


def _print_brain(one: BrainResult) -> None:
    models = f" ({', '.join(one.models)})" if one.models else ""
    print_wrapped(f" {one.brain}{models}: {_with_interval(one.total)}", start=one.verdict, style=_STYLES[one.verdict])
    for reason in one.reasons:
        print_wrapped(f"  {reason}", start="", indent=2)
    print_table(_COLUMNS, map(_row, one.dimensions))
    for condition, difference in one.discrimination.items():
        if difference is not None:
            shown = (
                f"{difference.estimate * 100:+.1f} points [{difference.low * 100:+.1f}, {difference.high * 100:+.1f}]"
            )
            print_line(f"the soul beside {_WITHOUT[condition]}: {shown}, p {difference.p:.3g}")
    print_line(f"all checks pass: {_with_interval(one.passed)}")
    if one.self_agreement is not None:
        print_line(f"other wordings, same outcome: {_with_interval(one.self_agreement)}")
    if one.pair_consistency is not None:
        print_line(f"true and false twins both right: {_with_interval(one.pair_consistency)}")
    if (found := one.abstention) is not None:
        parts = f"precision {_share(found.precision)}, recall {_share(found.recall)}"
        kinds = f"{found.unanswerable} unanswerable, {found.answerable} answerable"
        print_line(f"says that it does not know: F1 {_share(found.f1)}, {parts} ({kinds})")
    if one.drift is not None:
        low, high = one.drift.low * 100, one.drift.high * 100
        print_line(f"drift: {one.drift.estimate * 100:+.2f} points a turn [{low:+.2f}, {high:+.2f}]")
    _few("hard failures", (f"{_place(hard)}: {'; '.join(hard.failed)}" for hard in one.hard_failures))
    print_line(f"{one.answered} of {counted(one.planned, 'answer')}{_and(one.errors)}; {_measured(one)}")
    for label, counts in (
        ("checks by kind", one.numbers),
        ("not scored", one.not_scored),
        ("not sent as planned", one.cut),
    ):
        if counts:
            print_line(f"{label}: {_list(f'{name} {count}' for name, count in counts.items())}")
    if one.at_limit:
        print_line(f"answers that were cut at --max-tokens: {one.at_limit}")
    if one.empty:
        print_line(f"empty or refused answers, which score 0: {one.empty}")


def _row(one: DimensionResult) -> tuple[str, ...]:
    score = one.score
    return (
        one.dimension,
        _share(None if score is None else score.estimate),
        "–" if score is None else f"{score.low * 100:.0f}–{score.high * 100:.0f}",
        _share(None if one.passed is None else one.passed.estimate),
        _share(one.controls.get("none")),
        _share(one.controls.get("scrambled")),
        _share(one.perfect),
        _share(one.flatterer),
        str(0 if score is None else score.n),
    )


def _measured(one: BrainResult) -> str:
    found = one.measured
    parts = []
    if found.seconds is not None:
        parts.append(f"{found.seconds:.1f} s, half within {found.seconds_p50:.2f} s")
    if one.output_tokens is not None:
        parts.append(f"{one.input_tokens or 0} tokens in, {one.output_tokens} out")
    parts.append("cost unknown" if found.cost_usd is None else f"${found.cost_usd:.4f}")
    return "; ".join(parts)


def _place(hard: HardFailure) -> str:
    wording = f", wording {hard.variant + 1}" if hard.variant else ""
    repeat = f", repeat {hard.repeat + 1}" if hard.repeat else ""
    return f"{hard.probe} (turn {hard.turn}{wording}{repeat})"


def _and(errors: Mapping[str, int]) -> str:
    return f", errors: {_list(f'{name} {count}' for name, count in errors.items())}" if errors else ""


def _few(title: str, rows: Iterable[str]) -> None:
    every = list(rows)
    if every:
        print_line(f"{title}: {len(every)}")
        for row in every[:_MOST_SHOWN]:
            print_wrapped(f"  {row}", start="", indent=4)
        if len(every) > _MOST_SHOWN:
            print_line(f"  … and {len(every) - _MOST_SHOWN} more")


def _list(parts: Iterable[str]) -> str:
    return ", ".join(parts)


def _share(value: float | None) -> str:
    return "–" if value is None else f"{value * 100:.0f} %"


def _with_interval(value: Estimate | None) -> str:
    if value is None:
        return "no score"
    return f"{value.estimate * 100:.1f} % [{value.low * 100:.1f}, {value.high * 100:.1f}]"
