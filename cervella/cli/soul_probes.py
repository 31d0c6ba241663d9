"""`cervella soul probes`"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from cervella.cli.options import AsJson, ConfigPath
from cervella.cli.output import counted, note, picked, print_json, print_line
from cervella.configuration.config import load_config
from cervella.errors import ConfigError
from cervella.soul import Constitution, Traits

if TYPE_CHECKING:
    from cervella.evaluation.suites.suite import Suite

__all__ = ["soul_probes"]


def soul_probes(
    suite: Annotated[
        str | None, typer.Option("--suite", metavar="FILE", help="Your own suite; by default that of the language.")
    ] = None,
    init: Annotated[
        Path | None, typer.Option("--init", metavar="FILE", help="Write the probes of your Constitution there.")
    ] = None,
    config: ConfigPath = None,
    as_json: AsJson = False,
) -> None:
    """Show what the soul test asks, by dimension, and what it leaves out for want of a trait."""
    from cervella.evaluation.suites.file import known_suites, load_suite
    from cervella.evaluation.suites.writing import write_suite

    loaded = load_config(config)
    own = loaded.soul
    soul = Constitution.load(own.constitution, own.also, language=own.language, max_tokens=own.max_tokens)
    traits = Traits.of(soul, own.traits.model_dump(exclude_none=True))
    if init is not None:
        text = write_suite(traits)
        if init.exists():
            raise ConfigError(f"{str(init)!r} is there already.", remedy="Name another file, or move that one away.")
        init.parent.mkdir(parents=True, exist_ok=True)
        init.write_text(text, encoding="utf-8")
        suite = str(init)
    if suite is None and traits.language not in known_suites():
        write_suite(traits)  # says which languages there are
    found = load_suite(suite or traits.language, traits)
    if as_json:
        print_json(_data(found, init))
        return
    if init is not None:
        print_line(f"written {init}")
    for dimension in found.dimensions:
        probes = found.of(dimension)
        hard = sum(probe.severity == "hard" for probe in probes)
        print_line(f"  {dimension:<14} {counted(len(probes), 'probe'):<10} {f'{hard} hard' if hard else ''}".rstrip())
    if found.tasks:
        print_line(f"  {counted(len(found.tasks), 'rubric task')}")
    print_line(f"{counted(len(found.probes), 'probe')}, suite {found.sha256[:12]}…")
    for id, missing in found.left_out.items():
        note(f"note: Left out: {id} (the traits say nothing of {missing}).")


def _data(suite: Suite, written: Path | None) -> dict[str, Any]:
    return {
        "name": suite.name,
        "language": suite.language,
        "sha256": suite.sha256,
        "written": None if written is None else str(written),
        "probes": [
            {
                **picked(probe, "id", "dimension", "severity", "section", "pair"),
                "turns": len(probe.turns),
                "at_turns": list(probe.at_turns),
                "paraphrases": len(probe.paraphrases),
                "checks": [check.kind for check in probe.checks],
            }
            for probe in suite.probes
        ],
        "tasks": [task.id for task in suite.tasks],
        "left_out": dict(suite.left_out),
    }
