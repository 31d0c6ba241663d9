"""`python -m bench.soul [RUN]`: the soul test of SmolLM2, into docs/explanation/soul-test-runs.md.

With the folder of a run nobody is asked: its answers are scored again. Broken off, it goes on where it was.
"""

from __future__ import annotations

import sys
import textwrap
from pathlib import Path

from bench import ROOT
from cervella import Agent
from cervella.cli.before_asking import KeptSoul
from cervella.configuration.config import load_config
from cervella.evaluation.records import Run
from cervella.evaluation.soul_test.interview import Plan
from cervella.evaluation.soul_test.results import BrainResult, DimensionResult, SoulTestResult
from cervella.evaluation.soul_test.soul_test import rescore, run_soul_test
from cervella.evaluation.statistics.intervals import Estimate
from cervella.evaluation.suites.file import load_suite
from cervella.soul import Traits

PAGE = ROOT / "docs" / "explanation" / "soul-test-runs.md"
HEADING = "## Measured: SmolLM2-135M in the process\n"
BRAIN, PROBES = "embedded", 36
PLAN = Plan(conditions=("soul", "none"), paraphrases=0, max_turn=4, max_output_tokens=48)
PROSE = """
Written by `python -m bench.soul`: {probes} of the {all} probes, spread over the dimensions, with the soul
`{soul}…` and without one, temperature 0, at most {limit} tokens per answer, conversations to turn {turn}.
{answered} of {planned} answers are there. The model has 135 million parameters, was trained on English, and is for
tests: it strings Italian words together. The table shows only that the test works with a real engine, and rejects one
that does not play the persona.

**{verdict}, {total}** of 100 (95 %: BCa over the probes, weighted by dimension; Wilson where all are equal). All
checks pass in {passed}. Without the Constitution the same probes score {none}; the difference is **{difference}**
points, permutation p {p:.2f}. {hard} answers fail a hard probe. On these probes the scripted perfect scores {perfect},
the flatterer {flatterer}.

{table}

{drift}{abstention}{cut} answers reached the token limit. Half arrived within {p50:.0f} s, 95 of 100 within
{p95:.0f} s, on two busy cores. Before every probe the slot contained the soul's {slot} tokens, and no others.

The dimensions above 0 are not a success: a model that says nothing relevant also uses no empty phrase, leaks nothing,
and does not flatter. So read a dimension beside its controls; the result is the difference, not the score.
"""
ABSTENTION = "«Non lo so»: F1 {} over {} answers to questions that can't be answered and {} to their answerable twins."


def measured() -> SoulTestResult:
    config = load_config(
        ROOT / "cervella.toml", {"brains": {BRAIN: {"first_token_timeout": 1800, "idle_timeout": 600}}}
    )
    with Agent(config=config, embedder="none") as agent:
        suite = load_suite("it", Traits.of(agent.soul))
        return run_soul_test(agent, suite, [BRAIN], plan=PLAN, probes=PROBES)


def again(folder: Path) -> SoulTestResult:
    run = Run.open(folder)
    traits = Traits.of(KeptSoul(text=run.facts["system"], **run.settings["soul"]))
    return rescore(run, load_suite("it", traits), traits)


def points(value: float | None, sign: str = "") -> str:
    return "–" if value is None else f"{value * 100:{sign}z.0f}"


def interval(value: Estimate | None, sign: str = "") -> str:
    if value is None:
        return "–"
    return f"{points(value.estimate, sign)} ({points(value.low, sign)} to {points(value.high, sign)})"


def row(one: DimensionResult) -> str:
    cells = (
        one.dimension,
        str(one.score.n if one.score else 0),
        interval(one.score),
        points(one.passed.estimate if one.passed else None),
        points(one.controls.get("none")),
        interval(one.discrimination.get("none"), "+"),
        points(one.perfect),
        points(one.flatterer),
    )
    return f"| {' | '.join(cells)} |"


def section(result: SoulTestResult) -> str:
    found: BrainResult = result.brains[BRAIN]
    run = Run.open(Path(result.folder))
    reused = {
        one.cache_read_tokens for one in run.outputs().values() if one.turn == 1 and one.system_sha256 and one.text
    }
    head = ("", "probes", "score", "all pass", "without", "difference", "perfect", "flatterer")
    difference, drift, said = found.discrimination["none"], found.drift, found.abstention
    assert difference is not None
    text = PROSE.format(
        probes=len(result.settings["probes"]),
        all=result.settings["suite"]["probes"],
        soul=result.settings["soul"]["fingerprint"][:12],
        limit=result.settings["plan"]["max_output_tokens"],
        turn=result.settings["plan"]["max_turn"],
        answered=found.answered,
        planned=found.planned,
        verdict=found.verdict,
        total=interval(found.total),
        passed=interval(found.passed),
        none=points(found.total.estimate - difference.estimate if found.total else None),
        difference=interval(difference, "+"),
        p=difference.p,
        hard=len(found.hard_failures),
        perfect=points(result.controls.perfect),
        flatterer=points(result.controls.flatterer),
        table="\n".join([f"| {' | '.join(head)} |", "|---" * len(head) + "|", *map(row, found.dimensions)]),
        drift="" if drift is None else f"Drift to turn 4: {interval(drift, '+')} points per turn. ",
        abstention="" if said is None else f"{ABSTENTION.format(points(said.f1), said.unanswerable, said.answerable)} ",
        cut=found.at_limit,
        p50=found.measured.seconds_p50,
        p95=found.measured.seconds_p95,
        slot=" or ".join(str(number) for number in sorted(reused - {0, None})),  # type: ignore[type-var]
    )
    return HEADING + "\n" + "\n\n".join(map(_filled, text.strip().split("\n\n"))) + "\n"


def _filled(paragraph: str) -> str:
    """The paragraph with lines of at most 120 characters, as in all pages. A table keeps its lines."""
    if paragraph.startswith("|"):
        return paragraph
    return textwrap.fill(paragraph, 120, break_long_words=False, break_on_hyphens=False)


def main() -> None:
    result = again(Path(sys.argv[1])) if len(sys.argv) > 1 else measured()
    page = PAGE.read_text(encoding="utf-8")
    PAGE.write_text(page[: page.index(HEADING)] + section(result), encoding="utf-8")
    print(section(result))


if __name__ == "__main__":
    main()
