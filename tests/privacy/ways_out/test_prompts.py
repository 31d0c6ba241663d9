"""Ways out for local-only text: passages and prompts by the caller.

Written from the documentation by somebody who had not read the code.
"""

from __future__ import annotations

import asyncio
import contextlib
import dataclasses
from typing import Any

import pytest

from cervella import (
    CervellaError,
    Message,
    Passage,
    Prompt,
)
from tests.fixtures.ways_out import (
    FIRST_LINE,
    Q_PUBLIC,
    SOUL,
    TOLD,
    Cloud,
    Q,
    World,
    near_brain,
    no_leak,
    saw,
)


def test_complete_with_found_passages(world: World) -> None:
    agent = world.indexed()
    found = agent.search(Q)
    assert any(passage.local_only for passage in found)
    near, far = near_brain(), Cloud()
    prompt = Prompt(system=SOUL, question=Q, passages=found.passages)
    agent.complete(prompt, brain=near)
    agent.complete(prompt, brain=far)
    saw(near)
    no_leak(far)


@pytest.mark.parametrize("path", ["privato/orsaia.md", "PRIVATO/orsaia.md", "./privato/orsaia.md", "privato/nuova.md"])
def test_complete_with_passages_of_the_caller_at_a_marked_path(world: World, path: Any) -> None:
    agent = world.indexed()
    passage = Passage(id="x", path=path, text=FIRST_LINE, start_line=8, end_line=8)
    far = Cloud()
    agent.complete(Prompt(system=SOUL, question=Q, passages=(passage,)), brain=far)
    no_leak(far)


def test_complete_with_unmarked_copies_of_found_passages(world: World) -> None:
    agent = world.indexed()
    passages = tuple(dataclasses.replace(passage, local_only=False) for passage in agent.search(Q))
    far = Cloud()
    agent.complete(Prompt(system=SOUL, question=Q, passages=passages), brain=far)
    no_leak(far)


def test_complete_again_the_prompt_of_a_local_brain(world: World) -> None:
    agent = world.indexed()
    near, far = near_brain(), Cloud()
    first = agent.ask(Q, brain=near)
    agent.ask(Q, brain=near, history=[first])
    for prompt in near.prompts:
        agent.complete(prompt, brain=far)
        asyncio.run(agent.acomplete(prompt, brain=far))
    no_leak(far)


def test_complete_with_the_preview_of_a_local_brain(world: World) -> None:
    agent = world.indexed()
    prompt = agent.preview(Q, brain=near_brain()).prompt
    far = Cloud()
    agent.complete(prompt, brain=far)
    no_leak(far)


def test_complete_with_the_history_of_a_local_answer(world: World) -> None:
    agent = world.indexed()
    reply = agent.session("s").ask(Q, brain=near_brain())
    history = (Message(role="user", content=Q), Message(role="assistant", content=reply.text))
    far = Cloud()
    agent.complete(Prompt(system=SOUL, question=Q_PUBLIC, history=history), brain=far)
    no_leak(far)


def test_complete_with_a_confidential_question(world: World) -> None:
    agent = world.indexed()
    far = Cloud()
    with contextlib.suppress(CervellaError):
        agent.complete(Prompt(system=SOUL, question=f"Verifica: {TOLD}", confidential=True), brain=far)
    no_leak(far, asked=False)


def test_shielded_brain_called_directly(world: World) -> None:
    agent = world.indexed()
    near, far = near_brain(), Cloud()
    agent.ask(Q, brain=near)
    shielded = agent.brain_named(far)

    async def collected() -> list[Any]:
        return [event async for event in shielded.stream(near.prompts[0])]

    asyncio.run(collected())
    no_leak(far)


def test_search_results_as_history(world: World) -> None:
    agent = world.indexed()
    found = agent.search(Q)
    text = "\n\n".join(passage.text for passage in found if passage.local_only)
    far = Cloud()
    agent.ask(Q_PUBLIC, brain=far, history=[("Che cosa dice la base?", text)])
    no_leak(far)


def test_search_readings_as_history(world: World) -> None:
    agent = world.indexed()
    text = " ".join(agent.search(Q)[0].reading.split())
    far = Cloud()
    agent.ask(
        Q_PUBLIC, brain=far, history=[{"role": "user", "content": "Leggi."}, {"role": "assistant", "content": text}]
    )
    no_leak(far)


def test_citation_quotes_as_history(world: World) -> None:
    agent = world.indexed()
    reply = agent.ask(Q, brain=near_brain())
    text = f"{reply.citations[0].quote} {reply.citations[0].read().text}"
    far = Cloud()
    agent.ask(Q_PUBLIC, brain=far, history=[("Mostra la fonte.", text)])
    no_leak(far)
