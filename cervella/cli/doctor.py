"""`cervella doctor`"""

from __future__ import annotations

import datetime
import os
import platform
import shutil
import tempfile
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any, Literal

import typer

from cervella import __version__
from cervella.agent.agent import Agent
from cervella.brains.routing.fallback import Shielded
from cervella.cli.failures import cure_without_config
from cervella.cli.options import AsJson, ConfigPath
from cervella.cli.output import counted, print_json, print_wrapped
from cervella.errors import CervellaError, IndexMissingError
from cervella.knowledge.documents.local_only import local_only_in
from cervella.knowledge.documents.scan import scan
from cervella.knowledge.embedders.registry import DEFAULT_SENTENCE_TRANSFORMER, NO_EMBEDDER, choose_embedder
from cervella.knowledge.index.storage import IndexFolder
from cervella.prompt.layout import estimate_tokens
from cervella.protocols import optional_members
from cervella.types import IndexReport

_LOCAL_ONLY = "local_only"
_SIGN = {"ok": ("ok   ", "green"), "warning": ("warn ", "yellow"), "fault": ("FAULT", "red")}
_LEAST_FREE = 200 * 2**20  # bytes: what an index of some thousand files and its copy take
_CROWDED = 0.5  # share of a window: where the soul takes more, passages and answer are short of room


@dataclass(frozen=True, slots=True, kw_only=True)
class Finding:
    """One thing that was looked at."""

    name: str
    state: Literal["ok", "warning", "fault"]
    detail: str
    cure: str | None = None


def doctor(config: ConfigPath = None, as_json: AsJson = False) -> None:
    """Look whether everything stands: configuration, soul, index, brains, disk, clock. Exit code 1 on a fault.

    Exit code 2 where a pattern of local_only names nothing.
    """
    findings = list(_findings(config))
    sound = all(finding.state != "fault" for finding in findings)
    if as_json:
        print_json({"sound": sound, "findings": [asdict(finding) for finding in findings]})
    else:
        for finding in findings:
            sign, colour = _SIGN[finding.state]
            print_wrapped(f" {finding.name}: {finding.detail}", start=sign, style=colour, indent=6)
            if finding.cure:
                print_wrapped(f"      help: {finding.cure}", indent=12)
    if not sound:
        patterns = any(finding.name == _LOCAL_ONLY and finding.state == "fault" for finding in findings)
        raise typer.Exit(2 if patterns else 1)  # 2: the configuration is wrong


def _findings(config: Any) -> Iterator[Finding]:
    system = f"{__version__}, Python {platform.python_version()}, {platform.platform()}"
    yield Finding(name="cervella", state="ok", detail=system)
    agent: Agent | None = None

    def configuration() -> str:
        nonlocal agent
        agent = Agent(config=config)
        return str(agent.config.file or "no cervella.toml here or above: the built-in defaults")

    finding = _looked("configuration", configuration)
    if agent is not None and agent.config.file is None:
        finding = replace(finding, state="warning", cure=cure_without_config())
    yield finding
    if agent is None:
        return
    with agent:
        yield (soul := _looked("soul", lambda: _soul(agent)))
        yield from _local_only(agent)
        yield from _index(agent)
        yield from _embedder(agent)
        for name in [*sorted(agent.config.brains), None]:
            yield from _brain(agent, name, soul)
        yield _looked("conversations", lambda: counted(len(agent.conversations.list()), "session"))
        yield from _clock(agent)
        yield from _disk(agent.config.knowledge.index)


def _looked(name: str, look: Callable[[], str]) -> Finding:
    try:
        return Finding(name=name, state="ok", detail=look())
    except CervellaError as error:
        return Finding(name=name, state="fault", detail=error.message, cure=error.remedy)
    except OSError as error:
        cure = "Check that it is there, and that this user may read it."
        return Finding(name=name, state="fault", detail=str(error), cure=cure)


def _tokens(agent: Agent) -> int:
    return estimate_tokens(agent.soul.system_prompt())


def _soul(agent: Agent) -> str:
    soul, limit = agent.soul, agent.config.soul.max_tokens
    return f"{soul.name}, {soul.language}, {_tokens(agent)} of {limit} tokens, fingerprint {soul.fingerprint[:12]}…"


# What is known


def _local_only(agent: Agent) -> Iterator[Finding]:
    own = agent.config.knowledge
    if own.local_only and own.folder.is_dir():  # the index reports a folder that is missing

        def look() -> str:
            found = local_only_in(scan(own.folder, exclude=own.exclude), own.folder, own.local_only)
            if found.nearest:
                raise found.error()
            return f"{counted(len(own.local_only), 'pattern')}; each names something"

        yield _looked(_LOCAL_ONLY, look)


def _index(agent: Agent) -> Iterator[Finding]:
    try:
        drift = agent.drift()
    except CervellaError as error:
        state: Literal["warning", "fault"] = "warning" if isinstance(error, IndexMissingError) else "fault"
        yield Finding(name="index", state=state, detail=error.message, cure=error.remedy)
        return
    stale = drift.added + drift.changed + drift.removed
    detail = f"{drift.files_indexed} of {drift.files_seen} files, {drift.chunks_total} chunks"
    yield Finding(
        name="index",
        state="warning" if stale else "ok",
        detail=f"{detail}; behind the folder: {drift.added} to add, {drift.changed} changed, {drift.removed} gone"
        if stale
        else f"{detail}; equal to the folder",
        cure="Run `cervella index`." if stale else None,
    )
    yield from _remarks(drift, agent.config.knowledge.folder)


def _remarks(drift: IndexReport, folder: Path) -> Iterator[Finding]:
    reasons = Counter(skipped.reason for skipped in drift.files_skipped)
    for reason, count in sorted(reasons.items()):
        first = next(skipped.path for skipped in drift.files_skipped if skipped.reason == reason)
        others = f" and {count - 1} more" if count > 1 else ""
        yield Finding(name="skipped files", state="ok", detail=f"{first}{others} ({reason})")
    for warning in drift.warnings:
        yield Finding(
            name="knowledge",
            state="warning",
            detail=warning,
            cure="Install what the index was built with, or build it for this machine: `cervella index --rebuild`."
            if "built with" in warning
            else f"Look into {str(folder)!r}, or point [knowledge] folder somewhere else; then run `cervella index`.",
        )
    if drift.pending_embeddings:
        yield Finding(
            name="vectors",
            state="warning",
            detail=f"{drift.pending_embeddings} of {drift.chunks_total} chunks have none yet: words alone find them",
            cure="Run `cervella index`: it goes on where it was.",
        )


def _embedder(agent: Agent) -> Iterator[Finding]:
    asked = agent.config.knowledge.embedder
    from cervella.evaluation.search.indexed import manifest_of

    with manifest_of(agent) as manifest:
        built = manifest.built_with if manifest else None
    waits: list[str] = []

    def look() -> str:
        choice = choose_embedder(asked, built)
        mine = choice.embedder
        if mine is None:
            of = choice.built_with.name
            why = "" if of == NO_EMBEDDER else f" (the index was built with {of})"
            return f"none{why}: passages are found by their words alone"
        kind, _, model = mine.name.partition(":")
        if kind == "sentence-transformers":
            model = model or DEFAULT_SENTENCE_TRANSFORMER
            if not _on_disk(model):
                waits.append(model)
            return f"{mine.name}; it was not loaded"
        mine.embed_query("prova")
        return f"{mine.name}, {mine.dimensions} dimensions; it runs here"

    finding = _looked("embedder", look)
    for model in waits:
        finding = replace(
            finding,
            state="warning",
            detail=f"the model {model!r} is not on this disk: its first use downloads it",
            cure="Let it, or name the folder of a model that is here: embedder = 'sentence-transformers:/path/to/it'.",
        )
    yield finding


def _on_disk(model: str) -> bool:
    """Whether a model of sentence-transformers is a folder here, or in the cache of the hub."""
    if Path(model).is_dir():
        return True
    from huggingface_hub import try_to_load_from_cache

    return isinstance(try_to_load_from_cache(model, "config.json"), str)


# What thinks


def _brain(agent: Agent, name: str | None, soul: Finding) -> Iterator[Finding]:
    called = f"brain {name}" if name else "brain that answers"
    found: list[Shielded] = []

    def look() -> str:
        # Not agent.with_brain: it wants the soul too, and a soul that can't be read is said once.
        shield = agent.brain if name is None else agent.brain_named(name)
        check = optional_members(shield.brain).check
        if check is not None:
            check()
        found.append(shield)
        ready = "; it could answer, and was not loaded" if check else ""
        return f"{shield.name} ({shield.model}), {shield.location}{ready}"

    yield (finding := _looked(called, look))
    if finding.state == soul.state == "ok":  # each fault is said once
        yield from _window(agent, called, found[0])


def _window(agent: Agent, called: str, shield: Shielded) -> Iterator[Finding]:
    window = shield.context_tokens
    if window is None:
        return
    tokens = _tokens(agent)
    state: Literal["ok", "warning", "fault"] = "warning" if tokens > window * _CROWDED else "ok"
    if tokens >= window:
        state = "fault"
    yield Finding(
        name=f"window of the {called}",
        state=state,
        detail=f"the soul takes about {tokens} of its {window} tokens",
        cure=None
        if state == "ok"
        else f"Raise context_tokens in [brains.{shield.name}], take another brain, or shorten the Constitution: "
        "passages, history and answer need room too.",
    )


# The machine


def _clock(agent: Agent) -> Iterator[Finding]:
    from cervella.evaluation.search.indexed import manifest_of

    today = datetime.date.today().isoformat()
    newest = ("", "")
    with manifest_of(agent) as manifest:
        if manifest:
            newest = max(((file.date or "", file.path) for file in manifest.files().values()), default=newest)
    date, path = newest
    late = date > today
    cure = "Set this machine's clock, or correct the date in that document: what is newest counts most."
    yield Finding(
        name="clock",
        state="warning" if late else "ok",
        detail=f"today is {today}; the newest document, {path}, is of {date}" if date else f"today is {today}",
        cure=cure if late else None,
    )


def _disk(index: Path) -> Iterator[Finding]:
    folder = next((one for one in (index, *index.parents) if one.is_dir()), Path())
    free = shutil.disk_usage(folder).free
    short = free < _LEAST_FREE
    cure = "Make room, or point [knowledge] index at another disk: an index is used only once it is written whole."
    yield Finding(
        name="disk space",
        state="warning" if short else "ok",
        detail=f"{free / 2**20:,.0f} MB free at {folder}",
        cure=cure if short else None,
    )
    if _writable(folder):
        yield Finding(name="index folder", state="ok", detail=f"{index} can be written")
        return
    there = IndexFolder(index).current_or_none() is not None
    yield Finding(
        name="index folder",
        state="warning" if there else "fault",
        detail=f"{folder} can't be written: {'what is indexed stays as it is' if there else 'no index can be built'}",
        cure="Give this user the right to write there, or point [knowledge] index somewhere else.",
    )


def _writable(folder: Path) -> bool:
    """Whether a file can really be made there: rights alone do not tell, on a disk that is full or mounted to read."""
    if not os.access(folder, os.W_OK):
        return False
    try:
        with tempfile.TemporaryFile(dir=folder):
            return True
    except OSError:
        return False
