"""Ways out for local-only text: spelled patterns.

Written from the documentation by somebody who had not read the code.
"""

from __future__ import annotations

import os
import shutil
import unicodedata
from pathlib import Path
from typing import Any

import pytest

import cervella
from cervella import (
    Agent,
)
from tests.fixtures.ways_out import (
    Cloud,
    Q,
    World,
    ask_near_and_far,
    near_brain,
    no_leak,
    saw,
)

ACCENT = "societ\u00e0"
PATTERNS = [
    ("privato", "privato/**"),
    ("privato", "privato"),
    ("privato", "privato/"),
    ("privato", "./privato"),
    ("privato", "/privato/**"),
    ("privato", "notes/privato"),
    ("privato", "{ABSOLUTE}/privato"),
    ("privato", "privato\\**"),
    ("privato", "PRIVATO/**"),
    ("PriVato", "privato"),
    ("privato", "{privato,altro}/**"),
    ("privato", "{privato,turni.md}"),
    ("privato", "priv[ab]to/*.md"),
    ("privato", "priv?to/*"),
    ("privato", "privato/orsaia"),
    ("privato", "privato/ORSAIA.MD"),
    ("privato", "orsaia.md"),
    ("area/privato/2026", "privato"),
    ("area/privato/2026", "**/privato/**"),
    (ACCENT, unicodedata.normalize("NFD", ACCENT) + "/**"),
    (unicodedata.normalize("NFD", ACCENT), ACCENT),
    ("privato riservato", "privato riservato"),
    ("privato [soci]", "privato [soci]"),
    ("privato", " privato/** "),
    ("privato", "//privato//**"),
]


@pytest.mark.parametrize(("folder", "pattern"), PATTERNS)
def test_pattern_spelling(tmp_path: Path, folder: Any, pattern: Any) -> None:
    world = World(tmp_path)
    text = (world.notes / "privato/orsaia.md").read_bytes()
    shutil.rmtree(world.notes / "privato")
    world.write(f"{folder}/orsaia.md", text)
    agent = world.indexed([pattern.replace("{ABSOLUTE}", str(world.notes))])
    near, far = near_brain(), Cloud()
    try:
        first = agent.ask(Q, brain=near)
        agent.ask(Q, brain=far)
    finally:
        world.close()
    saw(near)
    no_leak(far)
    assert first.tainted, "control: the local answer is not tainted"


def test_pattern_names_a_symlink_to_the_folder(world: World) -> None:
    os.symlink(world.notes / "privato", world.notes / "scorciatoia")
    agent = world.indexed(["scorciatoia"])
    ask_near_and_far(agent)


def test_knowledge_folder_is_itself_a_symlink(world: World) -> None:
    os.symlink(world.notes, world.root / "vault")
    far = Cloud()
    folder = {"folder": str(world.root / "vault")}
    agent = world.agent(
        [str(world.notes / "privato")], knowledge=folder | {"local_only": [str(world.notes / "privato")]}
    )
    agent.index()
    agent.ask(Q, brain=far)
    no_leak(far)


def test_pattern_given_by_the_environment(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    data = world.settings()
    del data["knowledge"]["local_only"]
    monkeypatch.setenv("CERVELLA_KNOWLEDGE__LOCAL_ONLY", '["privato/**"]')
    blank = world.root / "blank.toml"
    blank.touch()
    far = Cloud()
    with Agent(config=cervella.load_config(blank, data)) as agent:
        agent.index()
        agent.ask(Q, brain=far)
    no_leak(far)


def test_one_good_pattern_beside_a_bad_one(world: World) -> None:
    agent = world.indexed(["inesistente/**", "privato/**", "../altro"])
    far = Cloud()
    reply = agent.ask(Q, brain=far)
    assert reply.flags.get("local_only_unmatched"), "control: unmatched patterns are not counted"
    no_leak(far)
