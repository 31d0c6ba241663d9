"""Two hundred conversations at once: each hears its own questions, passages and history, and no other's."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from cervella import Agent
from cervella.testing import EchoBrain
from cervella.types import BrainEvent, Completion, Filters, Finished, Passage, Prompt, Reply, Retrieval, TextDelta
from tests.conftest import PlainSoul

SESSIONS, TURNS = 200, 3


class Mirror(EchoBrain):
    """Says everything that it was shown, in pieces, and lets others go between them."""

    async def stream(self, prompt: Prompt, /) -> AsyncIterator[BrainEvent]:
        said = [message.content for message in prompt.history] + [prompt.question]
        text = "|".join([*said, *(passage.text for passage in prompt.passages)])
        for piece in text.split(" "):
            await asyncio.sleep(0)
            yield TextDelta(text=f"{piece} ")
        yield Finished(completion=Completion(text=f"{text} ", model=self.model))


class Own:
    """Finds what belongs to the session that its filters name."""

    def retrieve(self, query: str, /, *, top_k: int = 6, filters: Filters | None = None) -> Retrieval:
        (project,) = filters.project if filters else ("nobody",)
        passage = Passage(id=project, path=f"{project}.md", text=f"riservato-{project}", start_line=1, end_line=1)
        return Retrieval(query=query, passages=(passage,), confidence=1.0, abstain=False, coverage=1.0)


@pytest.fixture
def agent(tmp_path: Path, soul: PlainSoul, monkeypatch: pytest.MonkeyPatch) -> Agent:
    monkeypatch.setenv("CERVELLA_CONVERSATIONS__PATH", str(tmp_path / "talk.sqlite"))
    return Agent(brain=Mirror(), retriever=Own(), soul=soul)


def name(number: int) -> str:
    return f"ospite{number:03}"


def question(number: int, turn: int) -> str:
    return f"domanda di {name(number)} numero {turn}?"


def check(agent: Agent, replies: dict[tuple[int, int], Reply]) -> None:
    assert len(replies) == SESSIONS * TURNS
    for (number, _), reply in replies.items():
        others = [other for other in range(SESSIONS) if other != number and name(other) in reply.text]
        assert others == [], f"{name(number)} heard of others"
        assert [passage.text for passage in reply.passages] == [f"riservato-{name(number)}"]
    for number in range(SESSIONS):
        turns = agent.session(name(number), filters={"project": name(number)}).turns()
        assert [turn.question for turn in turns] == [question(number, turn) for turn in range(TURNS)]
        assert [turn.answer for turn in turns] == [replies[number, turn].text for turn in range(TURNS)]


def test_two_hundred_sessions_at_once_hear_nothing_of_each_other(agent: Agent) -> None:
    async def talk(number: int, replies: dict[tuple[int, int], Reply]) -> None:
        session = agent.session(name(number), filters={"project": name(number)})
        for turn in range(TURNS):
            replies[number, turn] = await session.aask(question(number, turn))

    async def everybody() -> dict[tuple[int, int], Reply]:
        replies: dict[tuple[int, int], Reply] = {}
        await asyncio.gather(*(talk(number, replies) for number in range(SESSIONS)))
        return replies

    with agent:
        check(agent, asyncio.run(everybody()))


def test_nor_do_they_in_threads(agent: Agent) -> None:
    replies: dict[tuple[int, int], Reply] = {}

    def talk(number: int) -> None:
        session = agent.session(name(number), filters={"project": name(number)})
        for turn in range(TURNS):
            replies[number, turn] = session.ask(question(number, turn))

    with agent, ThreadPoolExecutor(32) as threads:
        list(threads.map(talk, range(SESSIONS)))
        check(agent, replies)
