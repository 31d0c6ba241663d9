"""Ways out for local-only text: evaluation.

Written from the documentation by somebody who had not read the code.
"""

from __future__ import annotations

import json
from typing import Any

import pytest

from cervella import (
    BrainUnavailableError,
)
from tests.fixtures.ways_out import (
    FIRST_LINE,
    Q_PUBLIC,
    SECRET,
    WORDS,
    Cloud,
    Q,
    Server,
    World,
    brains_of,
    folded,
    near_brain,
    no_leak,
    saw,
    server_clean,
    server_saw,
)


def _questions(world):
    path = world.root / "questions.jsonl"
    rows = [
        {"id": "q1", "question": Q, "answer": "sette", "files": ["privato/orsaia.md"]},
        {"id": "q2", "question": Q_PUBLIC, "answer": "Alle 6 e 30", "files": ["turni.md"]},
    ]
    path.write_text("\n".join(json.dumps(row) for row in rows) + "\n", encoding="utf-8")
    return path


def test_compare_local_with_cloud(world: World) -> None:
    compare = pytest.importorskip("cervella.evaluation.comparison.comparison").compare
    agent = world.indexed()
    near, far = near_brain(), Cloud()
    compare(agent, [near, far], questions=_questions(world))
    no_leak(far)


def test_compare_first_locally_then_with_the_cloud(world: World) -> None:
    compare = pytest.importorskip("cervella.evaluation.comparison.comparison").compare
    agent = world.indexed()
    near, far = near_brain(), Cloud()
    compare(agent, [near], questions=_questions(world))
    saw(near)
    compare(agent, [near, far], questions=_questions(world))
    no_leak(far)


def test_compare_continued_after_the_file_was_marked(world: World) -> None:
    """The passages of a run are frozen; a broken-off run goes on after the folder was marked."""
    compare = pytest.importorskip("cervella.evaluation.comparison.comparison").compare
    far = Cloud([*[BrainUnavailableError("giù")] * 40, "Non lo so."])
    compare(world.indexed([]), [far], questions=_questions(world))
    far.prompts.clear()
    far.counted.clear()
    far._answers = ("Non lo so.",)
    compare(world.agent(), [far], questions=_questions(world))
    no_leak(far)


def test_compare_by_the_command(world: World, servers: dict[str, Server]) -> None:
    world.toml(brain="near", brains=brains_of(servers))
    world.command("index")
    world.command(
        "compare",
        "near",
        "far",
        "--questions",
        str(_questions(world)),
        "--suite",
        "none",
        "--yes",
        "--json",
        check=False,
    )
    server_clean(servers["far"])


SUITE = """
name = "nostra"
language = "it"

[[probe]]
id = "abstention-codice"
dimension = "abstention"
section = "Bea"
turns = ["Qual è il codice della cessione riservata?"]
passages = [{ path = "privato/orsaia.md", heading = "Cessione", start_line = 8, text = "%s" }]
checks = [%s]
perfect = ["Il codice è ZAFFERANO-77 [F1]."]
flatterer = ["Ma certo, quello che vuoi."]
"""


def _suite(world, checks='{ kind = "contains_any", terms = ["ZAFFERANO-77"] }'):
    path = world.root / "suite.toml"
    path.write_text(SUITE % (FIRST_LINE, checks), encoding="utf-8")
    return path


def test_soul_test_suite_with_the_text_of_a_marked_file(world: World, servers: dict[str, Server]) -> None:
    """A suite of one's own whose passage is a line of a marked file, by its path: the passage is local-only."""
    world.toml(brain="near", brains=brains_of(servers))
    world.command("index")
    world.command("soul", "test", "far", "--suite", str(_suite(world)), "--conditions", "soul", "--yes", check=False)
    server_clean(servers["far"])


def test_soul_test_judge_in_the_cloud(world: World, servers: dict[str, Server]) -> None:
    """The judge is in the cloud and the judged local brain saw the line of a marked file."""
    world.toml(brain="near", brains=brains_of(servers), evaluation={"judge": "far"})
    world.command("index")
    checks = (
        '{ kind = "judge", criterion = "La risposta è gentile." }, { kind = "contains_any", terms = ["ZAFFERANO-77"] }'
    )
    suite = _suite(world, checks)
    world.command(
        "soul", "test", "near", "--suite", str(suite), "--conditions", "soul", "--yes", "--judge", "far", check=False
    )
    server_saw(servers["near"])
    server_clean(servers["far"], asked=False)


def test_soul_test_of_a_cloud_brain_on_this_base(world: World, servers: dict[str, Server]) -> None:
    world.toml(brain="near", brains=brains_of(servers))
    world.command("index")
    world.command(
        "soul",
        "test",
        "far",
        "--probes",
        "4",
        "--conditions",
        "soul",
        "--max-turn",
        "1",
        "--paraphrases",
        "0",
        "--yes",
        check=False,
    )
    server_clean(servers["far"])


@pytest.mark.parametrize("seed", ["0", "1", "7"])
def test_questions_proposed_by_a_cloud_brain(world: World, servers: dict[str, Server], seed: Any) -> None:
    for number in range(4):
        world.write(f"privato/altra{number}.md", SECRET.replace("riservata", f"riservata {number}"))
    world.toml(brain="near", brains=brains_of(servers))
    world.command("index")
    world.command("questions", "propose", "bozze.jsonl", "--brain", "far", "--seed", seed, "--limit", "30")
    server_clean(servers["far"])
    drafts = folded((world.root / "bozze.jsonl").read_text(encoding="utf-8"))
    assert not [word for word in WORDS if word in drafts], "leak: the drafts have local-only text"


def test_questions_proposed_when_the_file_was_marked_after_the_index(world: World, servers: dict[str, Server]) -> None:
    world.toml([], brain="near", brains=brains_of(servers))
    world.command("index")
    world.toml(brain="near", brains=brains_of(servers))
    world.command("questions", "propose", "bozze.jsonl", "--brain", "far", "--limit", "30", check=False)
    server_clean(servers["far"], asked=False)


def test_questions_proposed_when_the_pattern_is_gone(world: World, servers: dict[str, Server]) -> None:
    world.toml(brain="near", brains=brains_of(servers))
    world.command("index")
    world.toml([], brain="near", brains=brains_of(servers))
    world.command("questions", "propose", "bozze.jsonl", "--brain", "far", "--limit", "30", check=False)
    server_clean(servers["far"], asked=False)
