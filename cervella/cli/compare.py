"""The command `cervella compare` compares brains under one soul, or measures the search."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from decimal import Decimal
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from cervella.agent.agent import Agent
from cervella.cli.options import (
    AsJson,
    ConfigPath,
    Judge,
    MaxTurn,
    Paraphrases,
    Probes,
    Rescore,
    TopK,
    Yes,
    complete_brain,
)
from cervella.cli.output import (
    console,
    counted,
    json_text,
    note,
    print_json,
    print_line,
    print_table,
    print_wrapped,
    progress_bar,
)
from cervella.errors import ConfigError
from cervella.process.files import make_private_folder, replace_file

if TYPE_CHECKING:
    from cervella.evaluation.comparison.scoreboard import Comparison
    from cervella.evaluation.search.retrieval import CurvePoint, FoundShares, RetrievalReport
    from cervella.evaluation.soul_test.interview import Plan
    from cervella.evaluation.statistics.intervals import Estimate
    from cervella.evaluation.suites.suite import Probe, Suite

_STYLES = {"GO": "green", "CONDITIONAL": "yellow", "INCOMPLETE": "yellow", "NO-GO": "red"}
_SHOWN_MISSES = 10
"""Number of questions without their right file that are listed. The output of --json has all of them."""
_WIDE = 120
"""On a terminal with at least this many columns, each share is shown with its interval."""
_SHOWN_THRESHOLDS = (0.1, 0.2, 0.3, 0.4, 0.5, 0.6, 0.7, 0.8, 0.9)
_Option = typer.Option


def compare_brains(
    context: typer.Context,
    brains: Annotated[
        list[str] | None,
        typer.Argument(
            metavar="BRAIN", help="The brains to compare.", autocompletion=complete_brain, show_default=False
        ),
    ] = None,
    questions: Annotated[
        Path | None,
        _Option("--questions", metavar="FILE", help="Questions with known answers or spellings, in JSON Lines."),
    ] = None,
    suite: Annotated[
        str | None,
        _Option(
            "--suite",
            metavar="FILE",
            help="A suite of your own; by default the one of the soul's language; `none` for no soul test.",
        ),
    ] = None,
    probes: Probes = None,
    max_turn: MaxTurn = None,
    paraphrases: Paraphrases = 1,
    reference: Annotated[
        str | None,
        _Option(
            "--reference", metavar="BRAIN", help="The brain that the others are compared with; by default the first."
        ),
    ] = None,
    top_k: TopK = None,
    rescored: Rescore = None,
    retrieval: Annotated[
        Path | None,
        _Option("--retrieval", metavar="FILE", help="Measure the search with these questions; no brain is asked."),
    ] = None,
    judge: Judge = None,
    marks: Annotated[
        Path | None, _Option("--marks", metavar="FILE", help="A person's grades for the tasks of a rubric.")
    ] = None,
    out: Annotated[
        Path | None,
        _Option("--out", metavar="DIR", help="Folder for report.html and comparison.json; by default the run's."),
    ] = None,
    resume: Annotated[
        bool, _Option("--resume/--fresh", help="Continue a run that was broken off, or start anew.")
    ] = True,
    strict: Annotated[bool, _Option("--strict", help="Exit code 1 unless every verdict is GO.")] = False,
    yes: Yes = False,
    config: ConfigPath = None,
    as_json: AsJson = False,
) -> None:
    """Compare brains under the same soul: which can replace the present one?"""
    if retrieval is not None:
        if given := _given(context, ignore={"retrieval", "config", "top_k", "as_json"}):
            raise ConfigError("--retrieval asks no brain.", remedy=f"Leave out: {', '.join(given)}.")
        compare_retrieval(retrieval, config=config, top_k=top_k, as_json=as_json)
        return
    from cervella.evaluation.soul_test.interview import Plan

    with Agent(config=config) as agent:
        if rescored is not None:
            if brains:
                raise ConfigError("--rescore asks no brain.", remedy="Leave the brains out: the run names its brains.")
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


def _given(context: typer.Context, *, ignore: Collection[str]) -> list[str]:
    """Names of the arguments and options that were given on the command line, without those in `ignore`."""
    return [
        "the brains" if one.param_type_name == "argument" else "/".join([one.opts[0], *one.secondary_opts])
        for one in context.command.params
        if one.name not in ignore
        and (source := context.get_parameter_source(str(one.name))) is not None
        and source.name == "COMMANDLINE"
    ]


def _suite(agent: Agent, name: str | None) -> Suite | None:
    from cervella.evaluation.suites.file import load_suite

    if name == "none":
        return None
    return load_suite(name or agent.soul.language, agent.traits)


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
        if questions is not None:
            _warn_of_files(agent, questions)
        _tell_cost(agent, brains, suite, asked, plan, options["probes"], yes=yes)

    with resumable() as progress:
        return compare(
            agent, brains, suite=suite, questions=questions, plan=plan, before=before, progress=progress, **options
        )


def _warn_of_files(agent: Agent, questions: Path) -> None:
    """Warn of files that the questions name and the index does not have. Files scored by words are not looked up."""
    from cervella.cli.spellings import warn_of_files
    from cervella.evaluation.suites.question_file import load_questions

    file = load_questions(questions)
    if file.spelled:
        warn_of_files(agent, file)


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
        traits = traits_of(agent.soul if inside is None else soul_of(inside), agent.config)
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
    """The arguments of a comparison that name the judge.

    `grader` grades the tasks of a rubric, `judge` decides the checks of a soul test that no rule can decide. The one
    that is not needed is None.
    """
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
    from cervella.records.ledger.statistics import sum_all

    asked = probes_asked(suite, probes, plan)[0] if suite is not None and suite.probes else ()
    once = questions_plan(plan)

    def most(name: str) -> Decimal | None:
        return sum_all(
            [
                most_cost(agent, name, asked, plan, agent.soul.language),
                most_cost(agent, name, questions, once, agent.language.code),
            ]
        )

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
    from cervella.cli.spellings import print_spellings

    for name in comparison.brains:
        one = comparison.decisions[name]
        role = " (reference)" if name == comparison.reference and len(comparison.brains) > 1 else ""
        print_wrapped(f" {name}{role}", start=one.word, style=_STYLES[one.word])
        for criterion in sorted(one.criteria, key=lambda one: one.word == "GO"):
            outcome = "passed" if criterion.word == "GO" else criterion.word
            print_wrapped(f"  {outcome}: {criterion.text}", indent=4)
        speed = comparison.speed[name]
        cost = "cost unknown" if speed.cost_per_1000 is None else f"1,000 answers ${speed.cost_per_1000:.2f}"
        pace = "" if speed.tokens_per_second is None else f", {speed.tokens_per_second:.1f} tokens a second"
        if speed.seconds_p50 is not None:
            print_line(f"  median time of an answer {speed.seconds_p50:.2g} s{pace}; {cost}")
        print_line()
    if comparison.spellings:
        print_spellings(comparison)


# --retrieval


def compare_retrieval(
    questions: Path, *, config: Path | None = None, top_k: int | None = None, as_json: bool = False
) -> RetrievalReport:
    """Search for every question of the file and print the shares of right files. No brain is asked."""
    from cervella.evaluation.search.retrieval import evaluate_retrieval
    from cervella.evaluation.suites.question_file import load_questions

    asked = load_questions(questions, for_retrieval=True)
    with Agent(config=config) as agent, progress_bar() as progress:
        report = evaluate_retrieval(agent, asked, top_k=top_k, progress=progress)
    if as_json:
        print_json(report.as_dict())
    else:
        _print_retrieval(report)
    _warn_of_questions(report, questions)
    return report


def _warn_of_questions(report: RetrievalReport, questions: Path) -> None:
    if report.drafts:
        note(
            f"warning: {counted(report.drafts, 'question')} of {questions.name} "
            f"{'is a draft' if report.drafts == 1 else 'are drafts'}: a program proposed them from these very texts, "
            'which flatters the search. Correct them, then remove "draft".'
        )
    for line, path in report.unknown_files or ():
        note(f"warning: Line {line} of {questions.name} names {path!r}, which the index does not have.")


def _print_retrieval(report: RetrievalReport) -> None:
    """Print shares with their 95 % intervals as tables, and the questions whose right file was not retrieved."""
    print_line(
        f"{report.source}: {counted(len(report.rows), 'question')}, {report.answerable} that the base answers, "
        f"{report.unanswerable} that it does not; embedder {report.embedder or 'unknown'}"
    )
    wide = console().width >= _WIDE
    depths = list(report.overall.hit)
    for title, name in (("hit: the right file", "hit"), ("evidence: its very words", "evidence")):
        if not any(getattr(report.overall, name).values()):
            continue
        print_line(f"\n{title}, among the first passages")
        columns = [f"@{depth}{' (given)' if depth == report.top_k else ''}" for depth in depths]
        groups = (("all", report.overall), *report.by_kind.items(), *report.by_language.items())
        print_table(["", "n", *columns], [_cells_of(*group, name, wide) for group in groups])
    print_line()
    if report.newest_hit or report.current_first:
        print_line("current documents before superseded ones")
        for label, one in (
            ("newest_wins, hit@3", report.newest_hit),
            ("the current file above the superseded ones", report.current_first),
        ):
            if one is not None:
                print_line(f"  {label}: {_interval(one)} of {one.n}")
        print_line()
    _print_abstention(report)
    if report.missed:
        print_line(f"\nnot among the {report.top_k} passages that a question gets: {len(report.missed)}")
        for row in report.missed[:_SHOWN_MISSES]:
            place = f"at {row.file_rank}" if row.file_rank else "not found"
            text = f" {row.question.question} ({place}; first: {row.first or 'nothing'})"
            print_wrapped(text, start=f"  {row.question.id}:", indent=4)
        if (more := len(report.missed) - _SHOWN_MISSES) > 0:
            print_line(f"  … and {more} more: --json has them all")


def _cells_of(label: str, found: FoundShares, name: str, wide: bool) -> list[str]:
    shares: list[Estimate | None] = list(getattr(found, name).values())
    n = next((str(one.n) for one in shares if one is not None), "0")
    if wide:
        cells = list(map(_interval, shares))
    elif label == "all":
        cells = ["–" if one is None else f"{one.estimate:.2f}\n{one.low:.2f}–{one.high:.2f}" for one in shares]
    else:
        cells = [_interval(one).partition(" ")[0] for one in shares]
    return [label or "–", n, *cells]


def _print_abstention(report: RetrievalReport) -> None:
    if not report.unanswerable:
        note("note: No question is unanswerable, so false answers of the search were not measured.")
        return
    print_line("questions that the base does not answer")
    if report.auroc is not None:
        print_line(f"  confidence separates them from the others: AUROC {_interval(report.auroc)} (0.5 is chance)")
    elif not report.curve:
        print_line("  the search has no confidence here: it takes vectors, and a base with more headings")
    points = (report.as_it_decides, *(one for one in report.curve if one.threshold in _SHOWN_THRESHOLDS))
    print_table(["abstains below", "false answers", "false abstentions"], map(_cells, points))


def _cells(point: CurvePoint) -> tuple[str, str, str]:
    threshold = "as it decides" if point.threshold is None else f"{point.threshold:.1f}"
    return threshold, _interval(point.false_answer), _interval(point.false_abstain)


def _interval(share: Estimate | None) -> str:
    """A share with its 95 % interval: `0.59 [0.49, 0.68]`."""
    return "–" if share is None else f"{share.estimate:.2f} [{share.low:.2f}, {share.high:.2f}]"
