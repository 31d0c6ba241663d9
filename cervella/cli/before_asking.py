"""What `soul test` and `compare` share: the cost shown first, the progress, the judge, and earlier runs."""

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
from cervella.errors import ConfigError
from cervella.evaluation.records import Run
from cervella.evaluation.soul_test.interview import AnyOne
from cervella.evaluation.soul_test.judging import JUDGEMENTS, BrainJudge
from cervella.evaluation.soul_test.preparation import name_of, repeats
from cervella.protocols import Soul
from cervella.soul.traits import Traits
from cervella.types import Progress

__all__ = ["KeptSoul", "judge_of", "resumable", "run_named", "soul_of", "tell_cost", "traits_of"]

_ASKED_BEFORE = Decimal(1)
"""US dollars: what may cost more, or what nobody knows, is not asked without a word of the owner."""
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
    """What goes to whom, before it goes; a cloud brain that may cost much is asked only if the owner says so.

    `most` is what `calls` prompts to a brain cost at most, in dollars, None where nobody knows; `less` are the options
    that ask less; `of` says what the answers are to.
    """
    dear = False
    for brain in brains:
        name = name_of(brain)
        if repeats(agent, brain) is False:
            note(f"note: {name}: repeatable is false, so the same question may get other words in another run.")
        if agent.brain_named(brain, repeatable=True).location != "cloud":
            note(f"note: {name}: {counted(calls, 'answer')}{of}.")
            continue
        usd = most(brain)
        dear |= usd is None or usd > _ASKED_BEFORE
        cost = "nobody knows at what cost" if usd is None else f"for at most ${usd:.2f}"
        note(f"note: {name} is a cloud brain: the soul and {counted(calls, 'prompt')} go there, {cost}.")
    if not dear or yes:
        return
    if not (is_terminal(sys.stderr) and sys.stdin.isatty()):
        raise ConfigError(
            f"This may cost more than ${_ASKED_BEFORE}.",
            remedy=f"Say so with --yes; or ask less: {less}.",
            code="cost_not_confirmed",
        )
    typer.confirm("Ask them?", abort=True, err=True)


@contextmanager
def resumable() -> Iterator[Progress | None]:
    """Progress on a terminal while many are asked; where that is interrupted, how to go on."""
    try:
        with progress_bar() as progress:
            yield progress
    except KeyboardInterrupt:
        note("note: Run the same command again: it goes on where it was.")
        raise


def judge_of(agent: Agent, named: str | None, judged: Sequence[AnyOne]) -> BrainJudge | None:
    """The judge of this name, or the configured one; None where there is none."""
    own = agent.config.evaluation
    name = named or own.judge
    return None if name is None else BrainJudge(agent, name, judged=judged, kept=own.folder / JUDGEMENTS)


@dataclass(frozen=True)
class KeptSoul:
    """The soul of a run, which need not be the soul of today."""

    text: str
    name: str
    language: str
    fingerprint: str

    def system_prompt(self) -> str:
        return self.text


def soul_of(run: Run) -> KeptSoul:
    """The soul that a run of the soul test was made with."""
    return KeptSoul(text=run.facts["system"], **run.settings["soul"])


def run_named(agent: Agent, named: str) -> Run:
    """A run by its folder, or by its name in the folder of runs."""
    path = Path(named)
    return Run.open(path if path.is_dir() else agent.config.evaluation.folder / named)


def traits_of(soul: Soul, agent: Agent) -> Traits:
    """What a soul declares, which need not be the agent's own; `[soul.traits]` on top."""
    return Traits.of(soul, agent.config.soul.traits.model_dump(exclude_none=True))
