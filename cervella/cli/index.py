"""The command `cervella index` brings the index up to date."""

from __future__ import annotations

import datetime
import time
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from pathlib import Path, PurePosixPath
from typing import Annotated

import typer

from cervella.agent.agent import Agent
from cervella.cli.options import AsJson, ConfigPath
from cervella.cli.output import counted, note, print_json, print_line, progress_bar, warn_of_index, warnings_shown
from cervella.errors import ConfigError
from cervella.types import IndexReport, SkippedFile
from cervella.visible import visible

_MOST_LISTED = 9
"""Number of skipped files that are listed without --verbose. With the line above them that makes ten lines."""
_PARTS = {"image": "encoded image", "data": "data block", "code": "minified code block"}
"""How the kinds of parts that are no text are called, besides `drawing`."""

_MOST_NAMED, _MOST_KINDS = 5, 8
"""Number of ignored paths, or of files in another encoding, and of kinds of files, that are named in one line."""
_UNREAD = "not_markdown"
_WAKE_SECONDS = 0.2


def index(
    config: ConfigPath = None,
    force: Annotated[
        bool, typer.Option("--force", help="Read every file again; accept also that many files are gone.")
    ] = False,
    rebuild: Annotated[bool, typer.Option("--rebuild", help="Build a new index from all files.")] = False,
    verify: Annotated[bool, typer.Option("--verify", help="Compare the whole index with its manifest.")] = False,
    purge: Annotated[bool, typer.Option("--purge", help="Remove deleted texts from the disk too.")] = False,
    verbose: Annotated[bool, typer.Option("--verbose", "-v", help="Name every file that was skipped.")] = False,
    roll_back: Annotated[
        bool, typer.Option("--roll-back", help="Return to the index before the last run; a second time undoes that.")
    ] = False,
    watch: Annotated[
        bool, typer.Option("--watch", help="Stay, and follow every change of the folder until Ctrl-C.")
    ] = False,
    as_json: AsJson = False,
) -> None:
    """Bring the index up to date with the folder."""
    if roll_back:
        others = {"force": force, "rebuild": rebuild, "verify": verify, "purge": purge, "verbose": verbose}
        others["watch"] = watch
        _roll_back(config, [f"--{name}" for name, value in others.items() if value], as_json)
        return
    if watch and as_json:
        raise ConfigError("--json prints one document, and --watch never ends.", remedy="Leave out one of them.")
    with Agent(config=config) as agent:
        with warnings_shown(), progress_bar() as progress:
            report = agent.index(
                force=force, rebuild=rebuild, verify=verify, purge=purge, strict=True, progress=progress
            )
        _print_report(report, verbose=verbose, as_json=as_json)
        if watch:
            _watch(agent)


def _watch(agent: Agent) -> None:
    """Follow the changes of the folder until Ctrl-C, and print a line for each update."""
    with warnings_shown(), progress_bar(vanishing=True) as progress:
        try:
            with agent.watch(on_update=_print_update, progress=progress):
                note(f"note: {str(agent.config.knowledge.folder)!r} is watched; Ctrl-C ends it.")
                while True:
                    # The system may hand Ctrl-C to another thread. Python acts on it when this one wakes up.
                    time.sleep(_WAKE_SECONDS)
        except KeyboardInterrupt:
            note("note: The watch has ended.")


def _print_update(report: IndexReport) -> None:
    now = datetime.datetime.now().strftime("%H:%M:%S")
    print_line(
        f"{now}  {report.added} added, {report.changed} changed, {report.removed} removed: "
        f"{counted(report.files_indexed, 'file')}, {counted(report.chunks_total, 'chunk')}, {report.seconds:.1f} s."
    )


def _print_report(report: IndexReport, *, verbose: bool, as_json: bool) -> None:
    for warning in report.warnings:
        note(f"warning: {warning}")
    if as_json:
        print_json(asdict(report))
        return
    _print_skipped(report.files_skipped, all=verbose)
    _print_encodings(report.encodings)
    if report.redactions:
        files = len({one.path for one in report.redactions})
        first = report.redactions[0]
        note(
            f"note: {len(report.redactions)} secrets in {files} files are masked in the index, the first at "
            f"{first.path}:{first.line}; `cervella index --json` lists all."
        )
    if any(report.left_out.values()):
        parts = ", ".join(counted(number, _PARTS.get(kind, kind)) for kind, number in report.left_out.items() if number)
        note(f"note: {parts} in the files are no text: a placeholder stands in their place.")
    print_line(
        f"{report.files_indexed} of {report.files_seen} files indexed: {report.added} added, {report.changed} changed, "
        f"{report.removed} removed, {report.unchanged} unchanged."
    )
    vectors = _vectors(report.embedder, report.pending_embeddings)
    print_line(f"{report.chunks_total} chunks, {vectors}, {report.seconds:.1f} s.")


def _roll_back(config: Path | None, others: Sequence[str], as_json: bool) -> None:
    if others:
        raise ConfigError("--roll-back reads no file of the folder.", remedy=f"Leave out: {', '.join(others)}.")
    with Agent(config=config) as agent:
        done = agent.roll_back()
    warn_of_index({"index_behind": done.behind, "index_unchecked": done.unchecked})
    if as_json:
        print_json(asdict(done))
        return
    print_line(
        f"Searches read the previous index again, generation {done.generation}: {counted(done.files, 'file')}, "
        f"{counted(done.chunks, 'chunk')}, {_vectors(done.embedder, done.pending_embeddings)}."
    )
    note("note: Run `cervella index --roll-back` again to undo this.")


def _vectors(embedder: str, pending: int) -> str:
    words = "words only" if embedder == "none" else f"embedder {embedder}"
    return words + (f", {pending} still without a vector" if pending else "")


def _print_skipped(skipped: Sequence[SkippedFile], *, all: bool) -> None:
    """Print how many files are skipped for each reason, and list files, the rarest reasons first.

    Files of kinds that can't be read are only counted by kind, unless `all`. What is ignored is apart: it is not seen.
    """
    ignored = [one.path for one in skipped if one.reason == "ignored"]
    if ignored:
        note(f"ignored: {_some(ignored, _MOST_LISTED if all else _MOST_NAMED)}")
    skipped = [one for one in skipped if one.reason != "ignored"]
    if not skipped:
        return
    reasons = Counter(one.reason for one in skipped)
    named = sorted(skipped, key=lambda one: (reasons[one.reason], one.reason, one.path))
    kinds = [] if all else [one.path for one in named if one.reason == _UNREAD]
    if not all:
        named = [one for one in named if one.reason != _UNREAD]
    shown = named if all else named[:_MOST_LISTED]
    if len(skipped) > 1:
        counts = ", ".join(f"{count} {reason}" for reason, count in reasons.most_common())
        more = "; the first of them follow, --verbose lists all" if len(named) > len(shown) else ""
        note(f"skipped: {len(skipped)} files ({counts}){more}{':' if shown else ''}")
    for one in shown:
        note(f"skipped: {_printable(one.path)} ({one.reason})")
    if kinds:
        note(f"skipped: {_by_kind(kinds)} cannot be read")


def _by_kind(paths: Sequence[str]) -> str:
    """The number of files of each kind, the most frequent first: `2 .pdf, 1 .docx`."""
    kinds = Counter(PurePosixPath(path).suffix.lower() for path in paths)
    most = [f"{count} {kind or 'without an ending'}" for kind, count in kinds.most_common(_MOST_KINDS)]
    rest = len(paths) - sum(count for _, count in kinds.most_common(_MOST_KINDS))
    return _printable(", ".join([*most, f"{rest} of other kinds"] if rest else most))


def _print_encodings(encodings: Mapping[str, str]) -> None:
    if encodings:
        named = [f"{path} ({encoding})" for path, encoding in sorted(encodings.items())]
        note(f"note: {counted(len(encodings), 'file')} not in UTF-8, read as: {_some(named, _MOST_NAMED)}")


def _some(names: Sequence[str], most: int) -> str:
    rest = len(names) - most
    return _printable(", ".join(names[:most])) + (f" and {rest} more" if rest > 0 else "")


def _printable(text: str) -> str:
    """The text in one line, with characters escaped that a reader can't see."""
    return visible(text).replace("\n", "\\x0a").replace("\t", "\\x09")
