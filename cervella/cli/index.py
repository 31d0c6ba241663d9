"""`cervella index`"""

from __future__ import annotations

from typing import Annotated

import typer

from cervella.agent import Agent
from cervella.cli.options import AsJson, ConfigPath
from cervella.cli.output import note, print_json, print_line, progress_bar, report_data, warnings_shown


def index(
    config: ConfigPath = None,
    force: Annotated[
        bool, typer.Option("--force", help="Read every file again, and accept that many are gone.")
    ] = False,
    rebuild: Annotated[bool, typer.Option("--rebuild", help="Build the index again from nothing.")] = False,
    verify: Annotated[bool, typer.Option("--verify", help="Hold the whole index against its manifest.")] = False,
    purge: Annotated[bool, typer.Option("--purge", help="Leave no trace of what was deleted.")] = False,
    as_json: AsJson = False,
) -> None:
    """Bring the index up to date with the folder."""
    with Agent(config=config) as agent, warnings_shown(), progress_bar() as progress:
        report = agent.index(force=force, rebuild=rebuild, verify=verify, purge=purge, strict=True, progress=progress)
    for warning in report.warnings:
        note(f"warning: {warning}")
    if as_json:
        print_json(report_data(report))
        return
    for skipped in report.files_skipped:
        note(f"skipped: {skipped.path} ({skipped.reason})")
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
    vectors = "words only" if report.embedder == "none" else f"embedder {report.embedder}"
    pending = f", {report.pending_embeddings} still without a vector" if report.pending_embeddings else ""
    print_line(f"{report.chunks_total} chunks, {vectors}{pending}, {report.seconds:.1f} s.")
