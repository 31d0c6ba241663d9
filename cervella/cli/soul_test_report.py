"""A soul test as people read it: a table for each brain, then what stands beside its total."""

from __future__ import annotations

import sys
from collections.abc import Iterable, Mapping

from cervella.cli.output import counted, note, print_line, print_wrapped
from cervella.evaluation.soul_test.results import BrainResult, DimensionResult, HardFailure, SoulTestResult
from cervella.evaluation.statistics.intervals import Estimate

__all__ = ["print_result"]

_STYLES = {"PASS": "green", "CONDITIONAL": "yellow", "INCOMPLETE": "yellow", "FAIL": "red"}
_MOST_SHOWN = 5
_WITHOUT = {"none": "no Constitution", "scrambled": "a scrambled one"}


def print_result(result: SoulTestResult) -> None:
    """Every brain, then what the suite itself has to be told."""
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
    _print_table(one.dimensions)
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


def _print_table(dimensions: Iterable[DimensionResult]) -> None:
    from rich.console import Console
    from rich.table import Table

    table = Table(box=None, pad_edge=False, header_style="bold")
    table.add_column("", no_wrap=True)
    for name in ("score", "95 %", "all", "none", "mixed", "perfect", "flat.", "n"):
        table.add_column(name, justify="right", no_wrap=True)
    for one in dimensions:
        score = one.score
        table.add_row(
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
    Console(file=sys.stdout, highlight=False, emoji=False, markup=False).print(table)


def _measured(one: BrainResult) -> str:
    found = one.measured
    told = []
    if found.seconds is not None:
        told.append(f"{found.seconds:.1f} s, half within {found.seconds_p50:.2f} s")
    if one.output_tokens is not None:
        told.append(f"{one.input_tokens or 0} tokens in, {one.output_tokens} out")
    told.append("cost unknown" if found.cost_usd is None else f"${found.cost_usd:.4f}")
    return "; ".join(told)


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
