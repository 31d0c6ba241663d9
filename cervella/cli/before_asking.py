"""Helps `soul test` and `compare` before they ask: the cost, the progress, the judge, and earlier runs."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from decimal import Decimal
from pathlib import Path
from typing import TypeVar

import typer

from cervella.agent.agent import Agent
from cervella.cli.output import counted, note, progress_bar
from cervella.cli.terminal import is_terminal
from cervella.configuration.config import Config
from cervella.errors import ConfigError
from cervella.evaluation.records import Run
from cervella.evaluation.soul_test.interview import AnyOne
from cervella.evaluation.soul_test.judging import JUDGEMENTS, BrainJudge
from cervella.evaluation.soul_test.preparation import name_of, repeats
from cervella.protocols import Soul
from cervella.soul.traits import Traits
from cervella.types import Progress

_FREE_OF_CONFIRMATION = Decimal(1)
"""A run whose highest cost in US dollars is above this amount, or unknown, needs the owner's confirmation."""
_Brain = TypeVar("_Brain", bound=AnyOne)


def tell_cost(
    agent: Agent,
    brains: Iterable[_Brain],
    calls: int,
    most: Callable[[_Brain], Decimal | None],
    *,
    less: str,
    yes: bool,
    of: str = "",
) -> None:
    """Print how many prompts each brain will get and their highest cost; ask for confirmation if that is high.

    `most` gives the highest cost of `calls` prompts to a brain in US dollars, or None if it is unknown. `less` lists
    options that ask fewer questions; `yes` confirms in advance; `of` is added after the number of answers, as in "12
    answers to 4 probes". Raises ConfigError if nobody is there to confirm.
    """
    expensive = False
    for brain in brains:
        name = name_of(brain)
        if repeats(agent, brain) is False:
            note(f"note: {name}: repeatable is false, so the same question may get another answer in another run.")
        if agent.brain_named(brain, repeatable=True).location != "cloud":
            note(f"note: {name}: {counted(calls, 'answer')}{of}.")
            continue
        usd = most(brain)
        expensive |= usd is None or usd > _FREE_OF_CONFIRMATION
        cost = "at an unknown cost" if usd is None else f"for at most ${usd:.2f}"
        note(f"note: {name} is a cloud brain: the soul and {counted(calls, 'prompt')} go there, {cost}.")
    if not expensive or yes:
        return
    if not (is_terminal(sys.stderr) and sys.stdin.isatty()):
        raise ConfigError(
            f"This may cost more than ${_FREE_OF_CONFIRMATION}.",
            remedy=f"Confirm it with --yes; or ask less: {less}.",
            code="cost_not_confirmed",
        )
    typer.confirm("Ask them?", abort=True, err=True)


@contextmanager
def resumable() -> Iterator[Progress | None]:
    """Give a function that shows the progress, or None if stderr is no terminal.

    On Ctrl-C, a note says how to continue.
    """
    try:
        with progress_bar() as progress:
            yield progress
    except KeyboardInterrupt:
        note("note: Run the same command again: it continues where it stopped.")
        raise


def judge_of(agent: Agent, name: str | None, judged: Sequence[AnyOne]) -> BrainJudge | None:
    """The brain with this name as judge, by default the one that [evaluation] judge names; None if neither is given."""
    own = agent.config.evaluation
    name = name or own.judge
    return None if name is None else BrainJudge(agent, name, judged=judged, kept=own.folder / JUDGEMENTS)


@dataclass(frozen=True)
class KeptSoul:
    """The soul with which an earlier run was made. It may differ from the present soul."""

    text: str
    name: str
    language: str
    fingerprint: str

    def system_prompt(self) -> str:
        return self.text


def soul_of(run: Run) -> KeptSoul:
    """The soul with which a run of the soul test was made."""
    return KeptSoul(text=run.facts["system"], **run.settings["soul"])


def run_named(agent: Agent, named: str) -> Run:
    """The run in a folder, if `named` is the path of one, else the run with this name among the configured runs."""
    path = Path(named)
    return Run.open(path if path.is_dir() else agent.config.evaluation.folder / named)


def traits_of(soul: Soul, config: Config) -> Traits:
    """The traits of a soul, overridden by the configured `[soul.traits]`. The soul may be that of an earlier run."""
    return Traits.of(soul, config.soul.traits.model_dump(exclude_none=True))
