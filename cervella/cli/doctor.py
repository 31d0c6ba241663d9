"""The command `cervella doctor` checks the configuration, the brains and this machine."""

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
from cervella.knowledge.documents.scan import ignore_rules, scan
from cervella.knowledge.embedders.registry import DEFAULT_SENTENCE_TRANSFORMER, NO_EMBEDDER, choose_embedder
from cervella.knowledge.index.storage import IndexFolder
from cervella.prompt.layout import estimate_tokens
from cervella.protocols import optional_members
from cervella.types import IndexReport

_LOCAL_ONLY = "local_only"
_SIGN = {"ok": ("ok   ", "green"), "warning": ("warn ", "yellow"), "fault": ("FAULT", "red")}
_LEAST_FREE = 200 * 2**20
"""If fewer bytes than these are free, the disk is reported as nearly full. An index of some thousand files and its copy
need about that much."""
_CROWDED = 0.5
"""If the soul takes more than this share of a brain's context window, there is too little room for passages and
answer."""


@dataclass(frozen=True, slots=True)
class Finding:
    """The result of one check."""

    name: str
    state: Literal["ok", "warning", "fault"]
    detail: str
    cure: str | None = None


def doctor(config: ConfigPath = None, as_json: AsJson = False) -> None:
    """Check the configuration, soul, index, brains, disk and clock. Exit code 1 on a fault.

    Exit code 2 if a pattern of local_only matches no file.
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
    yield Finding("cervella", "ok", system)
    agent: Agent | None = None

    def configuration() -> str:
        nonlocal agent
        agent = Agent(config=config)
        return str(agent.config.file or "no cervella.toml here or above: the built-in defaults")

    finding = _checked("configuration", configuration)
    if agent is not None and agent.config.file is None:
        finding = replace(finding, state="warning", cure=cure_without_config())
    yield finding
    if agent is None:
        return
    with agent:
        yield (soul := _checked("soul", lambda: _soul(agent)))
        yield from _local_only(agent)
        yield from _index(agent)
        yield from _embedder(agent)
        for name in [*sorted(agent.config.brains), None]:
            yield from _brain(agent, name, soul)
        yield _checked("conversations", lambda: counted(len(agent.conversations.list()), "session"))
        yield from _clock(agent)
        yield from _disk(agent.config.knowledge.index)


def _checked(name: str, check: Callable[[], str]) -> Finding:
    try:
        return Finding(name, "ok", check())
    except CervellaError as error:
        return Finding(name, "fault", error.message, error.remedy)
    except OSError as error:
        return Finding(name, "fault", str(error), "Check that it exists, and that this user may read it.")


def _tokens(agent: Agent) -> int:
    return estimate_tokens(agent.soul.system_prompt())


def _soul(agent: Agent) -> str:
    soul, limit = agent.soul, agent.config.soul.max_tokens
    return f"{soul.name}, {soul.language}, {_tokens(agent)} of {limit} tokens, fingerprint {soul.fingerprint[:12]}…"


# The knowledge base


def _local_only(agent: Agent) -> Iterator[Finding]:
    own = agent.config.knowledge
    if own.local_only and own.folder.is_dir():  # the index reports a folder that is missing

        def look() -> str:
            rules = ignore_rules(own.folder, gitignore=own.gitignore)
            found = local_only_in(scan(own.folder, exclude=own.exclude, ignores=rules), own.folder, own.local_only)
            if found.nearest:
                raise found.error()
            return f"{counted(len(own.local_only), 'pattern')}; each matches a file"

        yield _checked(_LOCAL_ONLY, look)


def _index(agent: Agent) -> Iterator[Finding]:
    try:
        drift = agent.drift()
    except CervellaError as error:
        state: Literal["warning", "fault"] = "warning" if isinstance(error, IndexMissingError) else "fault"
        yield Finding("index", state, error.message, error.remedy)
        return
    stale = drift.added + drift.changed + drift.removed
    detail = f"{drift.files_indexed} of {drift.files_seen} files, {drift.chunks_total} chunks"
    if stale:
        detail += f"; behind the folder: {drift.added} to add, {drift.changed} changed, {drift.removed} gone"
        yield Finding("index", "warning", detail, "Run `cervella index`.")
    else:
        yield Finding("index", "ok", f"{detail}; equal to the folder")
    yield from _remarks(drift, agent.config.knowledge.folder)


def _remarks(drift: IndexReport, folder: Path) -> Iterator[Finding]:
    reasons = Counter(skipped.reason for skipped in drift.files_skipped)
    for reason, count in sorted(reasons.items()):
        first = next(skipped.path for skipped in drift.files_skipped if skipped.reason == reason)
        others = f" and {count - 1} more" if count > 1 else ""
        yield Finding("skipped files", "ok", f"{first}{others} ({reason})")
    for warning in drift.warnings:
        cure = f"Check {str(folder)!r}, or set [knowledge] folder to another one; then run `cervella index`."
        if "built with" in warning:
            cure = "Install the embedder of the index, or build an index for this machine: `cervella index --rebuild`."
        yield Finding("knowledge", "warning", warning, cure)
    if drift.pending_embeddings:
        detail = f"{drift.pending_embeddings} of {drift.chunks_total} chunks have none yet: only words find them"
        yield Finding("vectors", "warning", detail, "Run `cervella index`: it computes those that are missing.")


def _embedder(agent: Agent) -> Iterator[Finding]:
    asked = agent.config.knowledge.embedder
    from cervella.evaluation.search.indexed import manifest_of

    with manifest_of(agent) as manifest:
        built = manifest.built_with if manifest else None
    missing: list[str] = []

    def look() -> str:
        choice = choose_embedder(asked, built)
        mine = choice.embedder
        if mine is None:
            of = choice.built_with.name
            why = "" if of == NO_EMBEDDER else f" (the index was built with {of})"
            return f"none{why}: passages are found only by their words"
        kind, _, model = mine.name.partition(":")
        if kind == "sentence-transformers":
            model = model or DEFAULT_SENTENCE_TRANSFORMER
            if not _on_disk(model):
                missing.append(model)
            return f"{mine.name}; it was not loaded"
        mine.embed_query("prova")
        return f"{mine.name}, {mine.dimensions} dimensions; it runs here"

    finding = _checked("embedder", look)
    for model in missing:
        finding = replace(
            finding,
            state="warning",
            detail=f"the model {model!r} is not on this disk: it is downloaded at its first use",
            cure="Allow that, or name a model's folder on this disk: embedder = 'sentence-transformers:/path/to/it'.",
        )
    yield finding


def _on_disk(model: str) -> bool:
    """Whether a model of sentence-transformers needs no download: it is a folder, or in the cache of the Hugging Face
    hub."""
    if Path(model).is_dir():
        return True
    from huggingface_hub import try_to_load_from_cache

    return isinstance(try_to_load_from_cache(model, "config.json"), str)


# Brains


def _brain(agent: Agent, name: str | None, soul: Finding) -> Iterator[Finding]:
    called = f"brain {name}" if name else "brain that answers"
    found: list[Shielded] = []

    def look() -> str:
        # Not agent.with_brain, which also reads the soul: a broken soul is reported once.
        shield = agent.brain if name is None else agent.brain_named(name)
        check = optional_members(shield.brain).check
        if check is not None:
            check()
        found.append(shield)
        ready = "; it could answer, and was not loaded" if check else ""
        return f"{shield.name} ({shield.model}), {shield.location}{ready}"

    yield (finding := _checked(called, look))
    if finding.state == soul.state == "ok":  # each fault is reported once
        yield from _window(agent, called, found[0])


def _window(agent: Agent, called: str, shield: Shielded) -> Iterator[Finding]:
    window = shield.context_tokens
    if window is None:
        return
    tokens = _tokens(agent)
    name, detail = f"window of the {called}", f"the soul takes about {tokens} of its {window} tokens"
    if tokens <= window * _CROWDED:
        yield Finding(name, "ok", detail)
        return
    cure = (
        f"Raise context_tokens in [brains.{shield.name}], use another brain, or shorten the Constitution: "
        "passages, history and answer need room too."
    )
    yield Finding(name, "fault" if tokens >= window else "warning", detail, cure)


# The machine


def _clock(agent: Agent) -> Iterator[Finding]:
    from cervella.evaluation.search.indexed import manifest_of

    today = datetime.date.today().isoformat()
    newest = ("", "")
    with manifest_of(agent) as manifest:
        if manifest:
            newest = max(((file.date or "", file.path) for file in manifest.files().values()), default=newest)
    date, path = newest
    detail = f"today is {today}; the newest document, {path}, is of {date}" if date else f"today is {today}"
    if date > today:
        cure = "Set this machine's clock, or correct the date in that document: the newest document counts most."
        yield Finding("clock", "warning", detail, cure)
    else:
        yield Finding("clock", "ok", detail)


def _disk(index: Path) -> Iterator[Finding]:
    folder = next((one for one in (index, *index.parents) if one.is_dir()), Path())
    free = shutil.disk_usage(folder).free
    detail = f"{free / 2**20:,.0f} MB free at {folder}"
    if free < _LEAST_FREE:
        cure = "Free some space, or set [knowledge] index to another disk: an index needs room for itself and a copy."
        yield Finding("disk space", "warning", detail, cure)
    else:
        yield Finding("disk space", "ok", detail)
    if _writable(folder):
        yield Finding("index folder", "ok", f"{index} can be written")
        return
    exists = IndexFolder(index).current_or_none() is not None
    detail = f"{folder} can't be written: {'the index stays as it is' if exists else 'no index can be built'}"
    cure = "Give this user the right to write there, or set [knowledge] index to another folder."
    yield Finding("index folder", "warning" if exists else "fault", detail, cure)


def _writable(folder: Path) -> bool:
    """Whether a file can be created in the folder. Access rights alone don't show a full or read-only disk."""
    if not os.access(folder, os.W_OK):
        return False
    try:
        with tempfile.TemporaryFile(dir=folder):
            return True
    except OSError:
        return False
