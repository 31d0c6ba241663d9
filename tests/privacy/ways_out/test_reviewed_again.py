"""Ways out for local-only text that a second look found: an agent without patterns, links, moved images, odd paths."""

from __future__ import annotations

import contextlib
import logging
from collections.abc import Callable
from typing import Any

import pytest

import cervella
from cervella import CervellaError, Image, Message, Passage, Prompt
from cervella.testing import FixedRetriever
from tests.fixtures.ways_out import FIRST_LINE, Q_PUBLIC, TOLD, Cloud, Q, World, near_brain, no_leak

PICTURE = b"\x89PNG\r\n\x1a\n" + b"zafferano-77 " * 20
IMAGE = Image(media_type="image/png", data=PICTURE)


def passage(path: str, text: str = FIRST_LINE) -> Passage:
    return Passage(id="r1", path=path, text=text, start_line=8, end_line=8)


def sent_image(agent: cervella.Agent) -> bool:
    far = Cloud()
    with contextlib.suppress(CervellaError):
        agent.ask("Che cosa mostra?", brain=far, images=[IMAGE])
    return any(prompt.images for prompt in far.prompts)


# An agent that declares nothing, after another one did

DOORS: dict[str, Callable[[cervella.Agent, str, Any], object]] = {
    "pair": lambda agent, text, far: agent.ask("E allora?", brain=far, history=[(Q, text)]),
    "dicts": lambda agent, text, far: agent.ask(
        "E allora?", brain=far, history=[{"role": "user", "content": Q}, {"role": "assistant", "content": text}]
    ),
    "complete": lambda agent, text, far: agent.complete(
        Prompt(
            system="",
            question="E allora?",
            history=(Message(role="user", content=Q), Message(role="assistant", content=text)),
        ),
        brain=far,
    ),
    "review": lambda agent, text, far: agent.review(text, question=Q, brain=far),
}


@pytest.mark.parametrize("door", list(DOORS))
def test_a_removed_pattern_stays_in_force_for_history_until_the_index_is_updated(world: World, door: str) -> None:
    reply = world.indexed().ask(Q, brain=near_brain())
    agent, far = world.agent([]), Cloud()
    DOORS[door](agent, reply.text, far)
    no_leak(far, asked=door != "review")
    agent.index()
    far = Cloud()
    agent.ask(Q_PUBLIC, brain=far, history=[("Ciao?", "Ciao.")])
    assert far.prompts[0].history


def test_a_removed_pattern_stays_in_force_for_images(world: World) -> None:
    world.write("privato/foto.png", PICTURE)
    world.indexed()
    assert not sent_image(world.agent([]))


def test_a_tainted_turn_of_another_folders_agent_is_known_by_the_conversations(world: World) -> None:
    reply = world.indexed().session("k").ask(Q, brain=near_brain())
    (world.root / "others").mkdir()
    (world.root / "others/a.md").write_text("# A\n\nIl turno comincia alle 6.\n", encoding="utf-8")
    knowledge = {"folder": str(world.root / "others"), "index": str(world.root / "index-2")}
    agent, far = world.agent([], knowledge=knowledge | {"local_only": [], "embedder": "none"}), Cloud()
    agent.index()
    told = agent.ask(Q_PUBLIC, brain=far, history=[(Q, reply.text), ("Ciao?", "Ciao.")])
    assert [one.content for one in far.prompts[0].history] == ["Ciao?", "Ciao."]
    assert told.flags["turns_withheld"] == 1


# Images


def test_an_image_behind_a_link_in_a_marked_folder(world: World) -> None:
    outside = world.root / "outside"
    outside.mkdir()
    (outside / "foto.png").write_bytes(PICTURE)
    (world.notes / "privato/album").symlink_to(outside, target_is_directory=True)
    (outside / "again").symlink_to(world.notes, target_is_directory=True)  # a circle
    agent = world.agent()
    assert not sent_image(agent)
    agent.index()
    (outside / "foto.png").unlink()
    assert not sent_image(agent)


@pytest.mark.parametrize("again", [False, True])
def test_an_image_that_was_moved_out_of_a_marked_folder(world: World, again: bool) -> None:
    agent = world.indexed()
    path = world.write("privato/foto.png", PICTURE)
    agent.index()  # nothing but the image changed
    path.rename(world.notes / "foto.png")
    if again:
        agent.index()
    assert not sent_image(agent)
    released = world.agent([])
    released.index()
    assert sent_image(released)


# Custom retrievers

ODD = [
    "", "chunk-81c2", "privato%2Forsaia.md", "~/notes/privato/orsaia.md", "https://wiki.example/privato/orsaia.md",
    "obsidian://open?vault=notes&file=privato%2Forsaia", "ｐｒｉｖａｔｏ/orsaia.md", "privato/orsaia.md?line=8",
    "vault:privato/orsaia.md", "privato\\orsaia.md", "notes.zip/privato/orsaia.md",
]  # fmt: skip


@pytest.mark.parametrize("path", ODD)
def test_a_passage_that_names_no_file_is_not_approved(
    world: World, caplog: pytest.LogCaptureFixture, path: str
) -> None:
    passages = [passage(path), passage("turni.md", "Il turno comincia alle 6 e 30.")]
    agent, far = world.agent(objects={"retriever": FixedRetriever(passages)}), Cloud()
    with caplog.at_level(logging.WARNING):
        replies = [agent.ask(Q, brain=far) for _ in range(2)]
    no_leak(far)
    assert replies[0].flags["passages_withheld"] == 1
    assert len(far.prompts[0].passages) == 1
    assert len([one for one in caplog.records if "names no file" in one.getMessage()]) <= 1


class Marking(FixedRetriever):
    """A retriever over another store that marks its passages itself."""

    local_only = ()


@pytest.mark.parametrize(("path", "sent"), [("crm/81c2", 1), ("https://wiki.example/privato/orsaia.md", 0)])
def test_a_retriever_that_marks_its_passages_may_use_other_paths(world: World, path: str, sent: int) -> None:
    agent, far = world.agent(objects={"retriever": Marking([passage(path, "Alle 6.")])}), Cloud()
    agent.ask(Q_PUBLIC, brain=far)
    assert len(far.prompts[0].passages) == sent


def test_without_local_only_files_a_retriever_may_use_any_path(world: World) -> None:
    agent, far = world.agent([], objects={"retriever": FixedRetriever([passage("crm/81c2", "Alle 6.")])}), Cloud()
    agent.ask(Q_PUBLIC, brain=far)
    assert len(far.prompts[0].passages) == 1


def test_the_marks_of_the_index_hold_for_a_custom_retriever(world: World) -> None:
    agent = world.indexed()
    (world.notes / "privato/orsaia.md").rename(world.notes / "orsaia.md")
    agent.index()
    custom, far = world.agent(objects={"retriever": FixedRetriever([passage("orsaia.md")])}), Cloud()
    custom.ask(Q, brain=far)
    no_leak(far)


# Marks that change during an answer


def test_marks_that_change_before_the_second_opinion(world: World) -> None:
    agent, far = world.indexed([]), Cloud("FATTI: 9")

    class Marks(type(near_brain())):  # type: ignore[misc]
        async def stream(self, prompt: Prompt, /) -> Any:
            world.agent().index()
            async for event in super().stream(prompt):
                yield event

    agent.ask(Q, brain=Marks(TOLD, name="near", location="local"), review=far)
    no_leak(far, asked=False)


# What is withheld is said, and what is remembered is bounded


def test_history_of_unknown_origin_is_withheld_with_one_warning(world: World, caplog: pytest.LogCaptureFixture) -> None:
    agent, far = world.agent(objects={"retriever": FixedRetriever([])}), Cloud()
    with caplog.at_level(logging.WARNING):
        for _ in range(2):
            agent.ask(Q_PUBLIC, brain=far, history=[("Ciao?", "Ciao.")])
    [record] = [one for one in caplog.records if "history" in one.getMessage()]
    assert record.name.startswith("cervella")
    assert "session" in record.getMessage()


def test_many_answers_with_one_text_stay_few_and_keep_the_strictest(world: World) -> None:
    agent = world.agent(objects={"retriever": FixedRetriever([])})
    taint = agent._assembly.taint
    taint.remember(cervella.Reply(question=Q, text="Sì.", tainted=True, sources=()))
    for number in range(50):
        taint.remember(cervella.Reply(question=f"Domanda {number}?", text="Sì.", sources=()))
    assert all(len(variants) <= 8 for variants in taint._answers.values())
    history = taint.history([Message(role="user", content=Q), Message(role="assistant", content="Sì.")])
    assert history[-1].tainted
    late = taint.history([Message(role="user", content="Domanda 49?"), Message(role="assistant", content="Sì.")])
    assert not late[-1].tainted
