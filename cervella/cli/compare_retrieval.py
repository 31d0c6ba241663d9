"""`cervella compare --retrieval FILE`: does the search find what answers? No brain is asked."""

from __future__ import annotations

from pathlib import Path

from cervella.agent.agent import Agent
from cervella.cli.output import console, counted, note, print_json, print_line, print_table, print_wrapped, progress_bar
from cervella.evaluation.search.retrieval import CurvePoint, FoundShares, RetrievalReport, evaluate_retrieval
from cervella.evaluation.statistics.intervals import Estimate
from cervella.evaluation.suites.question_file import load_questions

__all__ = ["compare_retrieval", "print_report"]

_SHOWN_MISSES = 10
_WIDE = 120  # columns: there is room for the interval of every share
_SHOWN_THRESHOLDS = (0.1, 0.2, 0.3, 0.4, 0.5, 0.6, 0.7, 0.8, 0.9)


def compare_retrieval(
    questions: Path, *, config: Path | None = None, top_k: int | None = None, as_json: bool = False
) -> RetrievalReport:
    """Search for every question of the file and print what was found."""
    asked = load_questions(questions, for_retrieval=True)
    with Agent(config=config) as agent, progress_bar() as progress:
        report = evaluate_retrieval(agent, asked, top_k=top_k, progress=progress)
    if as_json:
        print_json(report.as_dict())
    else:
        print_report(report)
    _warn(report, questions)
    return report


def _warn(report: RetrievalReport, questions: Path) -> None:
    if report.drafts:
        note(
            f"warning: {counted(report.drafts, 'question')} of {questions.name} "
            f"{'is a draft' if report.drafts == 1 else 'are drafts'}: a program proposed them from these very texts, "
            'which flatters the search. Correct them, then take "draft" out.'
        )
    for line, path in report.unknown_files or ():
        note(f"warning: Line {line} of {questions.name} names {path!r}, which the index does not have.")


def print_report(report: RetrievalReport) -> None:
    """The figures as tables, shares with their 95 % interval, and the questions whose file a brain would not see."""
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
        print_table(["", "n", *columns], [_cells_of(*group, name, wide) for group in groups], wraps=True)
    print_line()
    if report.newest_hit or report.current_first:
        print_line("what holds today")
        for label, one in (
            ("newest_wins, hit@3", report.newest_hit),
            ("the current file above the superseded ones", report.current_first),
        ):
            if one is not None:
                print_line(f"  {label}: {told(one)} of {one.n}")
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
        cells = list(map(told, shares))
    elif label == "all":
        cells = ["–" if one is None else f"{one.estimate:.2f}\n{one.low:.2f}–{one.high:.2f}" for one in shares]
    else:
        cells = [told(one).partition(" ")[0] for one in shares]
    return [label or "–", n, *cells]


def _print_abstention(report: RetrievalReport) -> None:
    if not report.unanswerable:
        note("note: No question is unanswerable: how well the search knows what it does not know was not measured.")
        return
    print_line("what the base does not hold")
    if report.auroc is not None:
        print_line(f"  confidence tells it apart: AUROC {told(report.auroc)} (0.5 is chance)")
    points = (report.as_it_decides, *(one for one in report.curve if one.threshold in _SHOWN_THRESHOLDS))
    print_table(
        ["abstains below", "answers what it can't", "abstains though it could"], map(_cells, points), wraps=True
    )


def _cells(point: CurvePoint) -> tuple[str, str, str]:
    threshold = "as it decides" if point.threshold is None else f"{point.threshold:.1f}"
    return threshold, told(point.false_answer), told(point.false_abstain)


def told(share: Estimate | None) -> str:
    """A share with its interval: `0.59 [0.49, 0.68]`."""
    return "–" if share is None else f"{share.estimate:.2f} [{share.low:.2f}, {share.high:.2f}]"
