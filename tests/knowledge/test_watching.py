"""`Agent.watch`: an index that follows its folder while a program runs."""

from __future__ import annotations

import gc
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from cervella.agent.agent import Agent
from cervella.errors import KnowledgeError
from cervella.knowledge import KnowledgeIndex
from cervella.knowledge.index import pace, watching
from cervella.knowledge.index.storage import IndexFolder
from cervella.types import IndexReport
from tests.conftest import PATIENCE, PlainSoul
from tests.knowledge.conftest import HashEmbedder, write


def until(holds: Callable[[], bool]) -> bool:
    end = time.monotonic() + PATIENCE
    while time.monotonic() < end:
        if holds():
            return True
        time.sleep(0.02)
    return holds()


@pytest.fixture(autouse=True)
def brisk(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(watching, "_DEBOUNCE_SECONDS", 0.05)
    monkeypatch.setattr(watching, "_AGAIN_SECONDS", 0.1)


@pytest.fixture
def embedder() -> HashEmbedder:
    return HashEmbedder()


@pytest.fixture
def agent(notes: Path, index_dir: Path, embedder: HashEmbedder, soul: PlainSoul) -> Iterator[Agent]:
    with Agent(knowledge=notes, index=index_dir, embedder=embedder, soul=soul, brain="echo", refresh="off") as made:
        yield made


def is_found(agent: Agent, text: str) -> bool:
    return any(text in passage.text for passage in agent.search(text))


def threads() -> set[str]:
    return {thread.name for thread in threading.enumerate() if thread.name.startswith("cervella-")}


def test_a_change_before_the_system_began_to_report_is_found_at_once(
    agent: Agent, notes: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    occasions = watching._occasions

    def late(*arguments: Any) -> Iterator[None]:
        write(notes, "note/zanzibar.md", "# Zanzibar\n\nUn'isola delle spezie.\n")
        return occasions(*arguments)

    monkeypatch.setattr(watching, "_occasions", late)
    monkeypatch.setattr(watching, "_LOOK_SECONDS", 10 * PATIENCE)
    with agent.watch():
        assert until(lambda: is_found(agent, "isola delle spezie"))


def test_a_watch_begins_with_an_index_of_all_words_and_follows_every_change(agent: Agent, notes: Path) -> None:
    reports: list[IndexReport] = []
    with agent.watch(on_update=reports.append):
        assert is_found(agent, "otto ore")
        write(notes, "ricette/focaccia.md", "# Focaccia\n\nOlio e rosmarino.\n")
        assert until(lambda: is_found(agent, "rosmarino"))
        (notes / "ricette/pane.md").unlink()
        assert until(lambda: not is_found(agent, "otto ore"))
        (notes / "ricette").rename(notes / "cucina")
        assert until(lambda: agent.search("rosmarino")[0].path == "cucina/focaccia.md")
        assert until(lambda: agent.search("rosmarino").coverage == 1.0), "vectors follow"
    assert [(one.added, one.changed, one.removed) for one in reports] == [(3, 0, 0), (1, 0, 0), (0, 0, 1), (1, 0, 1)]
    assert not threads()
    write(notes, "dopo.md", "# Dopo\n\nZanzibarino.\n")
    assert not is_found(agent, "Zanzibarino")


def test_the_index_in_the_watched_folder_wakes_nobody(notes: Path, soul: PlainSoul) -> None:
    seen: list[IndexReport] = []
    with (
        Agent(knowledge=notes, index=notes / "indice", embedder="none", soul=soul, brain="echo") as agent,
        agent.watch(on_update=seen.append),
    ):
        write(notes, "nuovo.md", "# Nuovo\n")
        assert until(lambda: len(seen) == 2)
        time.sleep(0.5)
        assert len(seen) == 2


def test_an_error_is_told_once_and_does_not_end_the_watch(
    agent: Agent, notes: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    failing = threading.Event()
    update = KnowledgeIndex.update_words

    def sometimes(self: KnowledgeIndex, **named: Any) -> Any:
        if failing.is_set():
            raise KnowledgeError("The disk is full.", remedy="Make room.")
        return update(self, **named)

    monkeypatch.setattr(KnowledgeIndex, "update_words", sometimes)
    monkeypatch.setattr(watching, "_LOOK_SECONDS", 0.1)
    with agent.watch():
        failing.set()
        write(notes, "nuovo.md", "# Nuovo\n\nRosmarino.\n")
        assert until(lambda: "The disk is full." in caplog.text)
        time.sleep(0.5)
        failing.clear()
        assert until(lambda: is_found(agent, "Rosmarino")), "the next look does it, without a further change"
    assert [one.getMessage() for one in caplog.records if one.name.endswith("watching")] == [
        "The disk is full. Make room."
    ]


def test_a_folder_that_disappears_is_followed_when_it_is_back(
    agent: Agent, notes: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(watching, "_LOOK_SECONDS", 0.1)
    monkeypatch.setattr(watching, "_POLL_SECONDS", 0.1)
    with agent.watch():
        notes.rename(notes.with_name("altrove"))
        time.sleep(0.5)
        assert is_found(agent, "otto ore")
        notes.with_name("altrove").rename(notes)
        write(notes, "nuovo.md", "# Nuovo\n\nRosmarino.\n")
        assert until(lambda: is_found(agent, "Rosmarino"))


def test_most_documents_are_not_dropped(agent: Agent, notes: Path, caplog: pytest.LogCaptureFixture) -> None:
    with agent.watch():
        for path in list(notes.rglob("*.md"))[:2]:
            path.unlink()
        assert until(lambda: "2 of the 3 indexed files are gone" in caplog.text)
    assert agent.drift().removed == 2


def test_an_index_that_another_process_writes_is_waited_for(agent: Agent, notes: Path, index_dir: Path) -> None:
    with agent.watch():
        assert until(lambda: agent.search("pane").coverage == 1.0)
        with IndexFolder(index_dir).writing():
            write(notes, "nuovo.md", "# Nuovo\n\nRosmarino.\n")
            time.sleep(0.5)
            assert not is_found(agent, "Rosmarino")
        assert until(lambda: is_found(agent, "Rosmarino"))


def test_a_watch_makes_all_vectors_however_many(agent: Agent, notes: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(pace, "SECONDS_PER_CHUNK", 100.0)
    with agent.watch():
        assert until(lambda: agent.search("pane").coverage == 1.0)


def test_closing_the_agent_ends_its_watch(agent: Agent, notes: Path) -> None:
    watch = agent.watch()
    watch.__enter__()
    assert watch.running
    agent.close()
    assert not watch.running
    assert not threads()


def test_a_watch_that_nobody_holds_ends(agent: Agent) -> None:
    watch = agent.watch()
    watch.__enter__()
    del watch
    gc.collect()
    assert until(lambda: not threads())


def test_a_watch_of_no_folder_is_an_error_at_its_beginning(index_dir: Path, tmp_path: Path, soul: PlainSoul) -> None:
    with (
        Agent(knowledge=tmp_path / "manca", index=index_dir, embedder="none", soul=soul, brain="echo") as agent,
        pytest.raises(KnowledgeError, match="There is no folder"),
        agent.watch(),
    ):
        pass
    assert not threads()
