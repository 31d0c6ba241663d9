"""`cervella compare`"""

from __future__ import annotations

from collections.abc import Collection, Sequence
from decimal import Decimal
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from cervella.agent.agent import Agent
from cervella.cli.options import AsJson, ConfigPath, MaxTurn, Paraphrases, Probes, Rescore, TopK, Yes, complete_brain
from cervella.cli.output import json_text, note, print_json, print_line, print_wrapped
from cervella.errors import ConfigError
from cervella.process.files import make_private_folder, replace_file

if TYPE_CHECKING:
    from cervella.evaluation.comparison.scoreboard import Comparison
    from cervella.evaluation.soul_test.interview import Plan
    from cervella.evaluation.suites.suite import Probe, Suite

__all__ = ["compare_brains"]

_NO_SUITE = "none"
_STYLES = {"GO": "green", "CONDITIONAL": "yellow", "INCOMPLETE": "yellow", "NO-GO": "red"}
_Option = typer.Option


def compare_brains(
    context: typer.Context,
    brains: Annotated[
        list[str] | None,
        typer.Argument(
            metavar="BRAIN",
            help="The brains to compare.",
            autocompletion=complete_brain,
            show_default=False,
        ),
    ] = None,
    questions: Annotated[
        Path | None, _Option("--questions", metavar="FILE", help="Questions with known answers, in JSON Lines.")
    ] = None,
    suite: Annotated[
        str | None,
        _Option("--suite", metavar="FILE", help="A suite of your own; by default that of the language; none for none."),
    ] = None,
    probes: Probes = None,
    max_turn: MaxTurn = None,
    paraphrases: Paraphrases = 1,
    reference: Annotated[
        str | None, _Option("--reference", metavar="BRAIN", help="Whom the others are held against; the first one.")
    ] = None,
    top_k: TopK = None,
    rescored: Rescore = None,
    retrieval: Annotated[
        Path | None,
        _Option("--retrieval", metavar="FILE", help="Instead of brains, hold the search against these questions."),
    ] = None,
    judge: Annotated[
        str | None,
        _Option("--judge", metavar="BRAIN", help="Judges what no rule can; by default [evaluation] judge."),
    ] = None,
    marks: Annotated[
        Path | None, _Option("--marks", metavar="FILE", help="A person's grades for the tasks of a rubric.")
    ] = None,
    out: Annotated[
        Path | None, _Option("--out", metavar="DIR", help="Where report.html and comparison.json go; the run's folder.")
    ] = None,
    resume: Annotated[
        bool, _Option("--resume/--fresh", help="Go on with the same run where it was broken off, or start anew.")
    ] = True,
    strict: Annotated[bool, _Option("--strict", help="Exit code 1 unless every verdict is GO.")] = False,
    yes: Yes = False,
    config: ConfigPath = None,
    as_json: AsJson = False,
) -> None:
    """Compare brains under the same soul: who may take her place, and why."""
    if retrieval is not None:
        if given := _given(context, besides={"retrieval", "config", "top_k", "as_json"}):
            raise ConfigError("--retrieval asks no brain.", remedy=f"Leave out: {', '.join(given)}.")
        from cervella.cli.compare_retrieval import compare_retrieval

        compare_retrieval(retrieval, config=config, top_k=top_k, as_json=as_json)
        return
    from cervella.evaluation.soul_test.interview import Plan

    with Agent(config=config) as agent:
        if rescored is not None:
            if brains:
                raise ConfigError("--rescore asks no brain.", remedy="Leave the brains out: the run has its own.")
            comparison, loaded = _rescore(agent, rescored, suite, questions, reference, judge, marks)
        else:
            if not brains:
                raise ConfigError("No brain is named.", remedy="Name them, as in `cervella compare extractive claude`.")
            loaded = _suite(agent, suite)
            plan = Plan(paraphrases=paraphrases, max_turn=max_turn)
            options = {"reference": reference, "probes": probes, "top_k": top_k, "fresh": not resume, "marks": marks}
            options |= _judges(agent, judge, brains, loaded)
            comparison = _compare(agent, brains, questions, loaded, plan, yes=yes, **options)
    _show(comparison, loaded, out, as_json)
    if strict and any(one.word != "GO" for one in comparison.decisions.values()):
        raise typer.Exit(1)


def _given(context: typer.Context, *, besides: Collection[str]) -> list[str]:
    """The arguments and options of the command line, as they are called there."""
    return [
        "the brains" if one.param_type_name == "argument" else "/".join([one.opts[0], *one.secondary_opts])
        for one in context.command.params
        if one.name not in besides
        and (source := context.get_parameter_source(str(one.name))) is not None
        and source.name == "COMMANDLINE"
    ]


def _suite(agent: Agent, named: str | None) -> Suite | None:
    from cervella.evaluation.suites.file import load_suite

    if named == _NO_SUITE:
        return None
    return load_suite(named or agent.soul.language, agent.traits)


def _compare(
    agent: Agent,
    brains: Sequence[str],
    questions: Path | None,
    suite: Suite | None,
    plan: Plan,
    *,
    yes: bool,
    **options: Any,
) -> Comparison:
    from cervella.cli.before_asking import resumable
    from cervella.evaluation.comparison.comparison import compare

    def before(asked: Sequence[Probe]) -> None:
        _tell_cost(agent, brains, suite, asked, plan, options["probes"], yes=yes)

    with resumable() as progress:
        return compare(
            agent, brains, suite=suite, questions=questions, plan=plan, before=before, progress=progress, **options
        )


def _rescore(
    agent: Agent,
    named: str,
    suite: str | None,
    questions: Path | None,
    reference: str | None,
    judge: str | None,
    marks: Path | None,
) -> tuple[Comparison, Suite | None]:
    from cervella.cli.before_asking import run_named, soul_of, traits_of
    from cervella.evaluation.comparison.comparison import rescore_comparison
    from cervella.evaluation.comparison.scoreboard import soul_run
    from cervella.evaluation.suites.file import load_suite

    run = run_named(agent, named)
    traits, loaded = None, None
    if "comparison" in run.settings and run.settings["suite"] is not None:
        inside = soul_run(run)
        traits = traits_of(agent.soul if inside is None else soul_of(inside), agent)
        loaded = load_suite(suite or run.facts["suite"], traits)
    comparison = rescore_comparison(
        run,
        suite=loaded,
        traits=traits,
        questions=questions,
        reference=reference,
        rules=agent.config.evaluation,
        judge=_judges(agent, judge, [], loaded)["judge"],
        marks=marks,
    )
    return comparison, loaded


def _judges(agent: Agent, named: str | None, brains: Sequence[str], suite: Suite | None) -> dict[str, Any]:
    """Who grades a rubric's tasks, and who decides the checks of a soul test that no rule can."""
    from cervella.cli.before_asking import judge_of

    if suite is None:
        return {"grader": None, "judge": None}
    if suite.tasks:
        return {"grader": named or agent.config.evaluation.judge, "judge": None}  # no judge grades its own family
    return {"grader": None, "judge": judge_of(agent, named, tuple(brains))}


def _tell_cost(
    agent: Agent,
    brains: Sequence[str],
    suite: Suite | None,
    questions: Sequence[Probe],
    plan: Plan,
    probes: int | None,
    *,
    yes: bool,
) -> None:
    from cervella.cli.before_asking import tell_cost
    from cervella.evaluation.comparison.comparison import questions_plan
    from cervella.evaluation.soul_test.preparation import most_cost, planned_calls, probes_asked

    asked = probes_asked(suite, probes, plan)[0] if suite is not None and suite.probes else ()
    once = questions_plan(plan)

    def most(name: str) -> Decimal | None:
        costs = [
            most_cost(agent, name, asked, plan, agent.soul.language),
            most_cost(agent, name, questions, once, agent.language.code),
        ]
        return None if None in costs else sum((cost for cost in costs if cost is not None), Decimal(0))

    calls = planned_calls(asked, plan) + planned_calls(questions, once)
    tell_cost(agent, brains, calls, most, less="--probes 36, --paraphrases 0", yes=yes)


def _show(comparison: Comparison, suite: Suite | None, out: Path | None, as_json: bool) -> None:
    from cervella.evaluation.comparison.document import document
    from cervella.evaluation.reports.report import report_html

    data = document(comparison, suite)
    folder = out or comparison.folder
    make_private_folder(folder)
    replace_file(folder / "comparison.json", json_text(data, indent=1))
    replace_file(folder / "report.html", report_html(data))
    if as_json:
        print_json(data)
    else:
        _print(comparison)
    note(f"note: The report is {folder / 'report.html'}; score the answers again with `--rescore {comparison.run}`.")


def _print(comparison: Comparison) -> None:
    for name in comparison.brains:
        one = comparison.decisions[name]
        role = " (reference)" if name == comparison.reference and len(comparison.brains) > 1 else ""
        print_wrapped(f" {name}{role}", start=one.word, style=_STYLES[one.word])
        for criterion in sorted(one.criteria, key=lambda one: one.word == "GO"):
            held = "held" if criterion.word == "GO" else criterion.word
            print_wrapped(f"  {held}: {criterion.text}", indent=4)
        speed = comparison.speed[name]
        cost = "cost not known" if speed.cost_per_1000 is None else f"1,000 answers ${speed.cost_per_1000:.2f}"
        pace = "" if speed.tokens_per_second is None else f", {speed.tokens_per_second:.1f} tokens a second"
        if speed.seconds_p50 is not None:
            print_line(f"  half of the answers within {speed.seconds_p50:.2g} s{pace}; {cost}")
        print_line()
