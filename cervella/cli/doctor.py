"""`cervella doctor`"""

from __future__ import annotations

import platform
from collections.abc import Callable, Iterator
from dataclasses import asdict, dataclass
from typing import Any, Literal

import typer

from cervella import __version__
from cervella.agent import Agent
from cervella.cli.options import AsJson, ConfigPath
from cervella.cli.output import print_json, print_line
from cervella.errors import CervellaError, IndexMissingError

_SIGN = {"ok": "ok   ", "warning": "warn ", "fault": "FAULT"}


@dataclass(frozen=True, slots=True, kw_only=True)
class Finding:
    """One thing that was looked at."""

    name: str
    state: Literal["ok", "warning", "fault"]
    detail: str
    cure: str | None = None


def doctor(config: ConfigPath = None, as_json: AsJson = False) -> None:
    """Look whether everything stands: configuration, soul, index, embedder, brains. Exit code 1 on a fault."""
    findings = list(_findings(config))
    sound = all(finding.state != "fault" for finding in findings)
    if as_json:
        print_json({"sound": sound, "findings": [asdict(finding) for finding in findings]})
    else:
        for finding in findings:
            print_line(f"{_SIGN[finding.state]} {finding.name}: {finding.detail}")
            if finding.cure:
                print_line(f"      help: {finding.cure}")
    if not sound:
        raise typer.Exit(1)


def _findings(config: Any) -> Iterator[Finding]:
    yield Finding(
        name="cervella", state="ok", detail=f"{__version__}, Python {platform.python_version()}, {platform.platform()}"
    )
    agent: Agent | None = None

    def configuration() -> str:
        nonlocal agent
        agent = Agent(config=config)
        return str(agent.config.file or "no cervella.toml here or above: the built-in defaults")

    yield _looked("configuration", configuration)
    if agent is None:
        return
    with agent:
        yield _looked("soul", lambda: _soul(agent))
        yield from _index(agent)
        names = [*sorted(agent.config.brains), None]
        for name in names:
            yield _looked(f"brain {name}" if name else "brain that answers", lambda name=name: _brain(agent, name))  # type: ignore[misc]


def _looked(name: str, look: Callable[[], str]) -> Finding:
    try:
        return Finding(name=name, state="ok", detail=look())
    except CervellaError as error:
        return Finding(name=name, state="fault", detail=error.message, cure=error.remedy)


def _soul(agent: Agent) -> str:
    soul = agent.soul
    limit = agent.config.soul.max_tokens
    tokens = -(-len(soul.system_prompt()) // 3)
    return f"{soul.name}, {soul.language}, {tokens} of {limit} tokens, fingerprint {soul.fingerprint[:12]}…"


def _index(agent: Agent) -> Iterator[Finding]:
    try:
        drift = agent.drift()
    except IndexMissingError as error:
        yield Finding(name="index", state="warning", detail=error.message, cure=error.remedy)
        return
    except CervellaError as error:
        yield Finding(name="index", state="fault", detail=error.message, cure=error.remedy)
        return
    detail = (
        f"{drift.files_indexed} of {drift.files_seen} files, {drift.chunks_total} chunks, embedder {drift.embedder}"
    )
    stale = drift.added + drift.changed + drift.removed
    yield Finding(
        name="index",
        state="warning" if stale else "ok",
        detail=f"{detail}; behind the folder: {drift.added} to add, {drift.changed} changed, {drift.removed} gone"
        if stale
        else f"{detail}; equal to the folder",
        cure="Run `cervella index`." if stale else None,
    )
    for skipped in drift.files_skipped:
        yield Finding(name="skipped file", state="ok", detail=f"{skipped.path} ({skipped.reason})")
    for warning in drift.warnings:
        yield Finding(name="index", state="warning", detail=warning)
    if drift.pending_embeddings:
        yield Finding(
            name="vectors",
            state="warning",
            detail=f"{drift.pending_embeddings} of {drift.chunks_total} chunks have none yet: words alone find them",
            cure="Run `cervella index`: it goes on where it was.",
        )


def _brain(agent: Agent, name: str | None) -> str:
    shield = agent.brain if name is None else agent.with_brain(name).brain
    window = f", window {shield.context_tokens} tokens" if shield.context_tokens else ""
    return f"{shield.name} ({shield.model}), {shield.location}{window}"
