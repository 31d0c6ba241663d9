"""`cervella index`"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Annotated

import typer

from cervella.agent.agent import Agent
from cervella.cli.options import AsJson, ConfigPath
from cervella.cli.output import counted, note, print_json, print_line, progress_bar, warn_of_index, warnings_shown
from cervella.errors import ConfigError
from cervella.types import SkippedFile

_NAMED = 9  # of the skipped files: with the line before them that is ten


def index(
    config: ConfigPath = None,
    force: Annotated[
        bool, typer.Option("--force", help="Read every file again, and accept that many are gone.")
    ] = False,
    rebuild: Annotated[bool, typer.Option("--rebuild", help="Build the index again from nothing.")] = False,
    verify: Annotated[bool, typer.Option("--verify", help="Hold the whole index against its manifest.")] = False,
    purge: Annotated[bool, typer.Option("--purge", help="Leave no trace of what was deleted.")] = False,
    verbose: Annotated[bool, typer.Option("--verbose", "-v", help="Name every file that was skipped.")] = False,
    roll_back: Annotated[
        bool, typer.Option("--roll-back", help="Search the index as it was before the last run; once more undoes it.")
    ] = False,
    as_json: AsJson = False,
) -> None:
    """Bring the index up to date with the folder."""
    if roll_back:
        given = {"force": force, "rebuild": rebuild, "verify": verify, "purge": purge, "verbose": verbose}
        _roll_back(config, [f"--{name}" for name, value in given.items() if value], as_json)
        return
    with Agent(config=config) as agent, warnings_shown(), progress_bar() as progress:
        report = agent.index(force=force, rebuild=rebuild, verify=verify, purge=purge, strict=True, progress=progress)
    for warning in report.warnings:
        note(f"warning: {warning}")
    if as_json:
        print_json(asdict(report))
        return
    _tell_what_was_skipped(report.files_skipped, whole=verbose)
    if report.redactions:
        files = len({one.path for one in report.redactions})
        first = report.redactions[0]
        note(
            f"note: {len(report.redactions)} secrets are masked in the index, in {files} files, at "
            f"{first.path}:{first.line} for one; `cervella index --json` names every line."
        )
    print_line(
        f"{report.files_indexed} of {report.files_seen} files indexed: {report.added} added, {report.changed} changed, "
        f"{report.removed} removed, {report.unchanged} unchanged."
    )
    vectors = _vectors(report.embedder, report.pending_embeddings)
    print_line(f"{report.chunks_total} chunks, {vectors}, {report.seconds:.1f} s.")


def _roll_back(config: Path | None, besides: Sequence[str], as_json: bool) -> None:
    if besides:
        raise ConfigError("--roll-back reads no file of the folder.", remedy=f"Leave out: {', '.join(besides)}.")
    with Agent(config=config) as agent:
        done = agent.roll_back()
    warn_of_index({"index_behind": done.behind, "index_unchecked": done.unchecked})
    if as_json:
        print_json(asdict(done))
        return
    print_line(
        f"Searches read the generation before the last run again, {done.generation}: {counted(done.files, 'file')}, "
        f"{counted(done.chunks, 'chunk')}, {_vectors(done.embedder, done.pending_embeddings)}."
    )
    note("note: `cervella index --roll-back` once more undoes this.")


def _vectors(embedder: str, pending: int) -> str:
    words = "words only" if embedder == "none" else f"embedder {embedder}"
    return words + (f", {pending} still without a vector" if pending else "")


def _tell_what_was_skipped(skipped: Sequence[SkippedFile], *, whole: bool) -> None:
    """How many files are left out for each reason, and some of them by name: those of the rarest reasons first."""
    if not skipped:
        return
    reasons = Counter(one.reason for one in skipped)
    named = sorted(skipped, key=lambda one: (reasons[one.reason], one.reason, one.path))
    shown = named if whole else named[:_NAMED]
    if len(named) > 1:
        counts = ", ".join(f"{count} {reason}" for reason, count in reasons.most_common())
        more = "; some of them follow, --verbose names all" if len(named) > len(shown) else ""
        note(f"skipped: {len(skipped)} files ({counts}){more}:")
    for one in shown:
        path = "".join(letter if letter.isprintable() else "�" for letter in one.path)  # one line each
        note(f"skipped: {path} ({one.reason})")
