"""`cervella soul test`: the test, and its result as people read it."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import cast

from cervella.agent.agent import Agent
from cervella.cli.before_asking import judge_of, resumable, run_named, soul_of, tell_cost, traits_of
from cervella.cli.output import counted, note, print_line, print_table, print_wrapped
from cervella.errors import ConfigError
from cervella.evaluation.records import CONDITIONS, Condition
from cervella.evaluation.soul_test.interview import AnyOne, Plan
from cervella.evaluation.soul_test.preparation import most_cost, planned_calls, probes_asked
from cervella.evaluation.soul_test.results import BrainResult, DimensionResult, HardFailure, SoulTestResult
from cervella.evaluation.soul_test.soul_test import rescore, run_soul_test
from cervella.evaluation.statistics.intervals import Estimate, scipy_stats
from cervella.evaluation.suites.file import load_suite
from cervella.evaluation.suites.suite import Suite
from cervella.prompt.layout import LAYOUT_VERSION
from cervella.soul.lock import record_verdict

__all__ = ["conditions_of", "print_result", "rescored_test", "tested"]

_STYLES = {"PASS": "green", "CONDITIONAL": "yellow", "INCOMPLETE": "yellow", "FAIL": "red"}
_MOST_SHOWN = 5
_COLUMNS = ("", "score", "95 %", "all", "none", "mixed", "perfect", "flat.", "n")
_WITHOUT = {"none": "no Constitution", "scrambled": "a scrambled one"}


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
    """Test the brains, by default the configured one, after showing the cost; whole verdicts go into the lock."""
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
    traits = traits_of(soul_of(run), agent)
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


# The result: a table for each brain, then what stands beside its total


def print_result(result: SoulTestResult) -> None:
    """Every brain, then the defects of the suite itself."""
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
            told = (
                f"{difference.estimate * 100:+.1f} points [{difference.low * 100:+.1f}, {difference.high * 100:+.1f}]"
            )
            print_line(f"the soul beside {_WITHOUT[condition]}: {told}, p {difference.p:.3g}")
    print_line(f"all checks pass: {_with_interval(one.passed)}")
    if one.self_agreement is not None:
        print_line(f"other wordings, same outcome: {_with_interval(one.self_agreement)}")
    if one.pair_consistency is not None:
        print_line(f"true and false twins both right: {_with_interval(one.pair_consistency)}")
    if (said := one.abstention) is not None:
        parts = f"precision {_share(said.precision)}, recall {_share(said.recall)}"
        kinds = f"{said.unanswerable} unanswerable, {said.answerable} answerable"
        print_line(f"says that it does not know: F1 {_share(said.f1)}, {parts} ({kinds})")
    if one.drift is not None:
        low, high = one.drift.low * 100, one.drift.high * 100
        print_line(f"drift: {one.drift.estimate * 100:+.2f} points a turn [{low:+.2f}, {high:+.2f}]")
    _few("hard failures", (f"{_place(hard)}: {'; '.join(hard.failed)}" for hard in one.hard_failures))
    print_line(f"{one.answered} of {counted(one.planned, 'answer')}{_and(one.errors)}; {_measured(one)}")
    for what, counts in (
        ("checks by kind", one.numbers),
        ("not scored", one.not_scored),
        ("not sent as planned", one.cut),
    ):
        if counts:
            print_line(f"{what}: {_list(f'{name} {count}' for name, count in counts.items())}")
    if one.at_limit:
        print_line(f"answers that broke off at the most tokens: {one.at_limit}")
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


def _few(what: str, rows: Iterable[str]) -> None:
    every = list(rows)
    if every:
        print_line(f"{what}: {len(every)}")
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
