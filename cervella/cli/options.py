"""Options that several commands share."""

from __future__ import annotations

import contextlib
from pathlib import Path
from typing import Annotated, Any

import typer

from cervella.errors import CervellaError

__all__ = [
    "AsJson",
    "ConfigPath",
    "FilterPath",
    "FilterProject",
    "FilterRole",
    "FilterSince",
    "FilterStatus",
    "FilterUntil",
    "MaxTurn",
    "Paraphrases",
    "Probes",
    "Rescore",
    "Suite",
    "TopK",
    "Yes",
    "brain_option",
    "complete_brain",
    "filters_of",
]

ConfigPath = Annotated[
    Path | None,
    typer.Option("--config", help="The cervella.toml to use; by default the nearest one.", show_default=False),
]
AsJson = Annotated[bool, typer.Option("--json", help="Print one JSON document.")]
TopK = Annotated[int | None, typer.Option("--top-k", min=1, help="How many passages.", show_default=False)]
Suite = Annotated[
    str | None,
    typer.Option("--suite", metavar="FILE", help="A suite of your own; by default that of the language."),
]
Probes = Annotated[
    int | None,
    typer.Option("--probes", min=1, help="So many probes, spread over the dimensions.", show_default=False),
]
MaxTurn = Annotated[
    int | None, typer.Option("--max-turn", min=1, help="End conversations with this turn.", show_default=False)
]
Paraphrases = Annotated[int, typer.Option("--paraphrases", min=0, help="Other wordings of each probe.")]
Rescore = Annotated[
    str | None, typer.Option("--rescore", metavar="RUN", help="Score a run's answers again; nobody is asked.")
]
Yes = Annotated[bool, typer.Option("--yes", help="Ask cloud brains whatever it may cost, up to the budget.")]
FilterRole = Annotated[list[str] | None, typer.Option("--role", help="Only documents of this kind.")]
FilterProject = Annotated[list[str] | None, typer.Option("--project", help="Only documents of this project.")]
FilterStatus = Annotated[
    list[str] | None, typer.Option("--status", help="current, superseded, deprecated or archived.")
]
FilterPath = Annotated[list[str] | None, typer.Option("--path", help="Only files that match, as in 'progetti/**'.")]
FilterSince = Annotated[str | None, typer.Option("--since", help="Only documents of this day or later, as 2026-01-31.")]
FilterUntil = Annotated[str | None, typer.Option("--until", help="Only documents of this day or earlier.")]


def brain_option(help: str) -> Any:
    """The option `--brain`, with the names of brains for the shell's completion."""
    return typer.Option("--brain", help=help, autocompletion=complete_brain)


def complete_brain(incomplete: str) -> list[str]:
    """The brains whose names begin so, for the shell's completion."""
    from cervella.brains import brain_names
    from cervella.configuration.config import load_config

    options = {}
    with contextlib.suppress(CervellaError):
        options = dict(load_config().brains)
    return [name for name in brain_names(options) if name.startswith(incomplete)]


def filters_of(**given: Any) -> dict[str, Any] | None:
    """The filters that were asked for; None for none."""
    return {key: value for key, value in given.items() if value} or None
