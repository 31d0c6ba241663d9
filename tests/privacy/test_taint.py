"""Today's local-only marks judge everything before a cloud brain gets it, and withhold nothing else."""

from __future__ import annotations

import sqlite3
import tempfile
from collections.abc import AsyncIterator, Callable
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings, strategies as st

import cervella
from cervella import Agent, Message, Passage, Prompt
from cervella.cli import main
from cervella.errors import CervellaError
from cervella.prompt import render
from cervella.records.conversations import Conversations
from cervella.testing import FixedRetriever, ScriptedBrain
from cervella.types import Completion, Finished, Reply, TextDelta
from tests.conftest import PlainSoul, make_passage

FOLDERS = {"ambra": "ZAFFIRO", "betulla": "TOPAZIO", "cedro": "OPALE"}
"""Folders of a base, each with a word that only its note has."""


class Telling:
    """A brain that tells all it was shown: each word of `FOLDERS` that is anywhere in its prompt."""

    def __init__(self, name: str, location: str) -> None:
        self.name, self.model, self.location = name, f"{name}-1", location
        self.prompts: list[Prompt] = []

    def said(self, prompt: Prompt) -> set[str]:
        whole = "\n".join(message.content for message in render(prompt)) + repr(prompt.passages)
        return {word for word in FOLDERS.values() if word in whole}

    async def stream(self, prompt: Prompt, /) -> AsyncIterator[Any]:
        self.prompts.append(prompt)
        text = f"Risposta {len(self.prompts)} di {self.name}: {', '.join(sorted(self.said(prompt))) or 'niente'}."
        yield TextDelta(text=text)
        yield Finished(completion=Completion(text=text, model=self.model))


def passage_of(folder: str) -> Passage:
    return make_passage(f"La parola è {FOLDERS[folder]}.", id=folder, path=f"{folder}/nota.md", start_line=1)


def agent_of(root: Path, *marked: str, **options: Any) -> Agent:
    config = cervella.load_config(
        None,
        {
            "knowledge": {"folder": str(root / "notes"), "local_only": [f"{one}/**" for one in marked]},
            "conversations": {"path": str(root / "conversations.sqlite")},
            "ledger": {"path": str(root / "ledger.sqlite")},
        },
    )
    every = FixedRetriever([passage_of(folder) for folder in FOLDERS])
    return Agent(
        config=config, **{"soul": PlainSoul(), "retriever": every, "brain": Telling("near", "local"), **options}
    )


# Whatever is done in whatever order

HISTORIES: dict[str, Callable[[Reply], Any]] = {
    "reply": lambda reply: reply,
    "pair": lambda reply: (reply.question, reply.text),
    "answer": lambda reply: {"role": "assistant", "content": reply.text},
    "message": lambda reply: Message(role="assistant", content=reply.text),
    "as a question": lambda reply: Message(role="user", content=reply.text),
}
DOORS = ("ask", "session", "stream", "batch", "complete", "review", "revised", "fallback", "shield", "preview")
STEPS = st.one_of(
    st.tuples(st.just("mark"), st.sampled_from(list(FOLDERS))),
    st.tuples(st.just("near"), st.sampled_from(list(FOLDERS))),
    st.tuples(st.sampled_from(DOORS), st.sampled_from(list(HISTORIES))),
)


def through(door: str, agent: Agent, far: Telling, history: list[Any], replies: list[Reply]) -> Reply | None:
    """Ask the cloud brain by one of the doors. Returns its reply, if it gave one."""
    question = "Quale parola?"
    if door == "session":
        return agent.session("s").ask(question, brain=far)
    if door == "stream":
        return list(agent.stream(question, brain=far, history=history))[-1].reply  # type: ignore[union-attr]
    if door == "batch":
        [found] = agent.batch([question], brain=far, history=history)
        assert isinstance(found, Reply)
        return found
    if door in ("complete", "shield"):
        messages = tuple(one for reply in replies for one in (Message(role="assistant", content=reply.text),))
        prompt = Prompt(
            system="", question=question, history=messages, passages=tuple(passage_of(one) for one in FOLDERS)
        )
        if door == "complete":
            return agent.complete(prompt, brain=far)
        agent._loop.run(lambda: _drained(agent.brain_named(far).stream(prompt)))
        return None
    if door == "review":
        for reply in replies:
            agent.review(reply, brain=far)
            agent.review(reply.text, question=question, brain=far)
        return None
    if door == "revised":
        return agent.ask(question, brain=far, history=history, review=ScriptedBrain("no", location="cloud", name="b"))
    if door == "fallback":
        return agent.ask(
            question,
            brain=[ScriptedBrain([cervella.BrainUnavailableError("giù")], name="broken"), far],
            history=history,
        )
    if door == "preview":
        agent.preview(question, brain=far, history=history)
        return None
    return agent.ask(question, brain=far, history=history)


async def _drained(events: Any) -> None:
    async for _ in events:
        pass


@settings(max_examples=40)
@given(st.lists(STEPS, min_size=2, max_size=7))
def test_no_word_of_a_marked_folder_reaches_a_cloud_brain_by_any_door_in_any_order(
    steps: list[tuple[str, str]],
) -> None:
    marked: list[str] = []
    replies: list[Reply] = []
    with tempfile.TemporaryDirectory() as root:
        agent = agent_of(Path(root))
        try:
            for step, what in steps:
                if step == "mark":
                    marked.append(what)
                    agent.close()
                    agent = agent_of(Path(root), *marked)
                elif step == "near":
                    replies.append(agent.session("s").ask(f"Che cosa c'è in {what}?", filters={"path": f"{what}/**"}))
                else:
                    far = Telling("far", "cloud")
                    reply = through(step, agent, far, [HISTORIES[what](one) for one in replies], replies)
                    replies += [] if reply is None else [reply]
                    for prompt in far.prompts:
                        assert not far.said(prompt) & {FOLDERS[one] for one in marked}
        finally:
            agent.close()


# What is known and untainted goes through


@pytest.mark.parametrize("form", ["reply", "pair", "message"])
def test_an_answer_that_was_made_without_local_only_text_is_still_sent(tmp_path: Path, form: str) -> None:
    far = Telling("far", "cloud")
    with agent_of(tmp_path, "ambra") as agent:
        first = agent.ask("Che cosa c'è?", filters={"path": "betulla/**"})
        assert not first.tainted
        again = agent.ask("E poi?", brain=far, history=[HISTORIES[form](first)])
    assert "TOPAZIO" in far.prompts[0].history[-1].content
    assert "turns_withheld" not in again.flags


def test_an_answer_of_another_process_is_known_by_the_conversations(tmp_path: Path) -> None:
    with agent_of(tmp_path, "ambra") as agent:
        first = agent.session("s").ask("Che cosa c'è?", filters={"path": "betulla/**"})
        other = agent.ask("Che cosa c'è ancora?", filters={"path": "cedro/**"})  # in no conversation
    far = Telling("far", "cloud")
    with agent_of(tmp_path, "ambra") as agent:
        agent.ask("E poi?", brain=far, history=[(first.question, f" {first.text}\r\n"), (other.question, other.text)])
    [prompt] = far.prompts
    assert [message.content.strip() for message in prompt.history] == [first.question, first.text]


def test_without_declared_files_every_history_is_sent(tmp_path: Path) -> None:
    far = Telling("far", "cloud")
    with agent_of(tmp_path) as agent:
        agent.ask("E poi?", brain=far, history=[("Ciao?", "Ciao."), {"role": "assistant", "content": "Sì."}])
    assert [message.content for message in far.prompts[0].history] == ["Ciao?", "Ciao.", "Sì."]


def test_an_answer_keeps_the_documents_of_the_answers_before_it(tmp_path: Path) -> None:
    with agent_of(tmp_path) as agent:
        first = agent.ask("Che cosa c'è?", filters={"path": "ambra/**"})
        second = agent.ask("E poi?", filters={"path": "cedro/**"}, history=[first])
        unknown = agent.ask("E poi?", filters={"path": "cedro/**"}, history=[("Ciao?", "Ciao.")])
    assert [one.path for one in second.sources or ()] == ["cedro/nota.md", "ambra/nota.md"]
    assert unknown.sources is None
    far = Telling("far", "cloud")
    with agent_of(tmp_path, "ambra") as agent:
        agent.ask("E ora?", brain=far, history=[second, unknown])
    assert far.prompts[0].history == ()


def test_an_agent_remembers_a_limited_number_of_answers(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("cervella.agent.taint._MOST_ANSWERS", 2)
    far = Telling("far", "cloud")
    with agent_of(tmp_path, "ambra") as agent:
        made = [agent.ask(f"Domanda {n}?", filters={"path": "cedro/**"}) for n in range(3)]
        agent.ask("E poi?", brain=far, history=[(one.question, one.text) for one in made])
    assert [one.content for one in far.prompts[0].history if one.role == "user"] == ["Domanda 1?", "Domanda 2?"]


# Kept conversations of an earlier version

VERSION_1 = """
CREATE TABLE session (id TEXT PRIMARY KEY, created TEXT NOT NULL, updated TEXT NOT NULL, filters TEXT) WITHOUT ROWID;
CREATE TABLE turn (
    number INTEGER PRIMARY KEY, session TEXT NOT NULL REFERENCES session(id) ON DELETE CASCADE, asked TEXT NOT NULL,
    question TEXT NOT NULL, answer TEXT NOT NULL, query TEXT NOT NULL, tainted INTEGER NOT NULL,
    finish_reason TEXT NOT NULL, brain TEXT NOT NULL, model TEXT NOT NULL, soul TEXT NOT NULL, reply TEXT NOT NULL
);
CREATE INDEX turn_of_session ON turn(session, number);
INSERT INTO session VALUES ('s', '2026-01-01', '2026-01-01', NULL);
INSERT INTO turn VALUES
    (1, 's', '2026-01-01', 'Quando?', 'Il 20 gennaio.', 'Quando?', 0, 'stop', 'near', 'm', 'x', 'r');
PRAGMA user_version = 1;
"""


@pytest.fixture
def version_1(tmp_path: Path) -> Path:
    path = tmp_path / "conversations.sqlite"
    with sqlite3.connect(path) as database:
        database.executescript(VERSION_1)
    database.close()
    return path


def test_a_file_of_version_1_is_brought_up_to_date_and_loses_nothing(version_1: Path) -> None:
    kept = Conversations(version_1)
    kept.append("s", Reply(question="Dove?", text="A Trento.", id="r2", sources=()))
    first, second = Conversations(version_1).turns("s")
    assert (first.question, first.answer, first.tainted, first.sources) == ("Quando?", "Il 20 gennaio.", False, None)
    assert (second.answer, second.sources) == ("A Trento.", ())
    kept.delete("s")
    assert b"Trento" not in b"".join(one.read_bytes() for one in version_1.parent.glob("conversations*"))


@pytest.mark.parametrize(("marked", "sent"), [((), 2), (("ambra",), 0)])
def test_a_turn_of_version_1_is_not_approved_where_files_are_declared(
    tmp_path: Path, version_1: Path, marked: tuple[str, ...], sent: int
) -> None:
    far = Telling("far", "cloud")
    with agent_of(tmp_path, *marked) as agent:
        agent.session("s").ask("E poi?", brain=far)
        assert agent.session("s").turns()[0].tainted is bool(marked)
    assert len(far.prompts[0].history) == sent


# Exports


def test_an_export_leaves_local_only_turns_out_unless_its_place_is_private(tmp_path: Path) -> None:
    with agent_of(tmp_path) as agent:
        agent.session("s").ask("Che cosa c'è?", filters={"path": "ambra/**"})
        agent.session("s").ask("E qui?", filters={"path": "cedro/**"}, brain=Telling("far", "cloud"))
    with agent_of(tmp_path, "ambra") as agent:
        assert agent.conversations.export("s")["turns_withheld"] == 2  # the second was made with the first
        assert "ZAFFIRO" not in str(agent.conversations.export("s"))
        for location in ("local", "private"):
            data = agent.conversations.export("s", location=location)  # type: ignore[arg-type]
            assert len(data["turns"]) == 2
            assert data["turns_withheld"] == 0
    with pytest.raises(CervellaError):
        agent.conversations.export("manca")


def test_the_command_says_how_many_turns_it_left_out(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    with agent_of(tmp_path, "ambra") as agent:
        agent.session("s").ask("Che cosa c'è?", filters={"path": "ambra/**"})
    monkeypatch.setenv("CERVELLA_CONVERSATIONS__PATH", str(tmp_path / "conversations.sqlite"))
    assert main(["sessions", "--export", "s"]) == 0
    out, err = capsys.readouterr()
    assert "ZAFFIRO" not in out
    assert "1 turn left out" in err
    assert main(["sessions", "--export", "s", "--location", "private"]) == 0
    assert "ZAFFIRO" in capsys.readouterr().out
