"""Ways out for local-only text: batches and faces.

Written from the documentation by somebody who had not read the code.
"""

from __future__ import annotations

import asyncio
import json
from typing import Any

import pytest

from cervella import (
    Message,
)
from tests.fixtures.ways_out import (
    FIRST_LINE,
    Q_PUBLIC,
    TOLD,
    Cloud,
    Q,
    Server,
    World,
    brains_of,
    found_in,
    in_prompts,
    near_brain,
    no_leak,
    saw,
    server_clean,
    server_saw,
    texts_of,
)


def test_batch(world: World) -> None:
    agent = world.indexed()
    far = Cloud()
    replies = list(agent.batch([Q, Q_PUBLIC, Q, "Chi è il notaio della cessione riservata?"], brain=far))
    assert len(replies) == 4
    no_leak(far)


def test_batch_of_both_brains_at_once(world: World) -> None:
    agent = world.indexed()
    near, far = near_brain(delay=0.002), Cloud(delay=0.002)
    tainted = agent.ask(Q, brain=near)
    questions = [{"question": Q, "brain": brain, "history": [tainted]} for _ in range(6) for brain in (near, far)]
    list(agent.batch(questions, concurrency=8))
    saw(near)
    no_leak(far)


def test_batch_by_the_command(world: World, servers: dict[str, Server]) -> None:
    world.toml(brain="far", brains=brains_of(servers))
    world.command("index")
    lines = [{"question": Q}, {"question": Q_PUBLIC, "history": [[Q, "Ciao."]]}, {"question": Q, "top_k": 20}]
    (world.root / "q.jsonl").write_text("\n".join(json.dumps(line) for line in lines) + "\n", encoding="utf-8")
    world.command("ask", "--batch", "q.jsonl", "--out", "a.jsonl", check=False)
    server_clean(servers["far"])


def test_batch_out_of_a_local_run_as_history_of_a_cloud_run(world: World, servers: dict[str, Server]) -> None:
    """The answers that a local batch wrote are handed in as history by the next batch."""
    world.toml(brain="near", brains=brains_of(servers))
    world.command("index")
    (world.root / "q.jsonl").write_text(json.dumps({"question": Q}) + "\n", encoding="utf-8")
    world.command("ask", "--batch", "q.jsonl", "--out", "a.jsonl")
    answer = json.loads((world.root / "a.jsonl").read_text(encoding="utf-8").splitlines()[0])
    text = next(value for value in texts_of(answer) if "ZAFFERANO" in value)
    (world.root / "q2.jsonl").write_text(
        json.dumps({"question": Q_PUBLIC, "history": [[Q, text]]}) + "\n", encoding="utf-8"
    )
    world.command("ask", "--batch", "q2.jsonl", "--out", "a2.jsonl", "--brain", "far", check=False)
    server_saw(servers["near"])
    server_clean(servers["far"])


async def _collected(stream):
    return [event async for event in stream]


def _async_session(agent, far, history):
    asyncio.run(agent.session("s").aask(Q, brain=far))


FACES = {
    "stream": lambda a, far, h: list(a.stream(Q, brain=far, history=h)),
    "aask": lambda a, far, h: asyncio.run(a.aask(Q, brain=far, history=h)),
    "astream": lambda a, far, h: asyncio.run(_collected(a.astream(Q, brain=far, history=h))),
    "abatch": lambda a, far, h: asyncio.run(_collected(a.abatch([Q, Q_PUBLIC], brain=far, history=h))),
    "with_brain": lambda a, far, h: a.with_brain(far).ask(Q, history=h),
    "session.stream": lambda a, far, h: list(a.session("s").stream(Q, brain=far)),
    "session.aask": _async_session,
    "session.astream": lambda a, far, h: asyncio.run(_collected(a.session("s").astream(Q, brain=far))),
    "filters": lambda a, far, h: a.ask(Q, brain=far, history=h, filters={"path": "privato/**"}),
    "filters-tags": lambda a, far, h: a.ask(Q, brain=far, history=h, filters={"tags": "velata"}),
    "query": lambda a, far, h: a.ask("E questo?", brain=far, history=h, query=FIRST_LINE),
    "top_k": lambda a, far, h: a.ask(Q, brain=far, history=h, top_k=100),
    "timeout": lambda a, far, h: a.ask(Q, brain=far, history=h, timeout=30),
}


@pytest.mark.parametrize("face", FACES)
def test_face(world: World, face: Any) -> None:
    agent = world.indexed()
    near, far = near_brain(), Cloud()
    first = agent.session("s").ask(Q, brain=near)
    assert first.tainted
    FACES[face](agent, far, [first])
    saw(near)
    no_leak(far)


@pytest.mark.parametrize("face", ["preview", "apreview", "route"])
def test_preview(world: World, face: Any) -> None:
    agent = world.indexed()
    first = agent.ask(Q, brain=near_brain())
    far = Cloud()
    if face == "route":
        agent.route(Q, brain=far, history=[first])
        no_leak(far, asked=False)
        return
    options = {"brain": far, "history": [first]}
    preview = agent.preview(Q, **options) if face == "preview" else asyncio.run(agent.apreview(Q, **options))
    assert not in_prompts([preview.prompt]), "leak: preview.prompt has what this brain may not see"
    assert not found_in([preview.messages, preview.flags]), "leak: preview.messages"
    no_leak(far, asked=False)
    assert found_in(agent.preview(Q, brain=near_brain()).messages), "control: the local preview lacks it"


def test_show_prompt_by_the_command(world: World, servers: dict[str, Server]) -> None:
    world.toml(brain="far", brains=brains_of(servers))
    world.command("index")
    done = world.command("ask", "--show-prompt", Q)
    assert not found_in(done.stdout), "leak: --show-prompt of a cloud brain has local-only text"
    server_clean(servers["far"], asked=False)


def test_preview_messages_of_a_local_brain_as_history(world: World) -> None:
    agent = world.indexed()
    messages = list(agent.preview(Q, brain=near_brain()).messages)
    history = [message for message in messages if message.role != "system"]
    history.append(Message(role="assistant", content="Ecco."))
    far = Cloud()
    agent.ask(Q_PUBLIC, brain=far, history=history)
    no_leak(far)


def test_chat_switched_with_slash_brain(world: World, servers: dict[str, Server]) -> None:
    world.toml(brain="near", brains=brains_of(servers))
    world.command("index")
    world.command(
        "chat", "--session", "c", stdin=f"{Q}\n/brain far\nE quando è la firma?\n/review\n/quit\n", check=False
    )
    server_saw(servers["near"])
    server_clean(servers["far"])


def test_chat_resumed_by_another_command(world: World, servers: dict[str, Server]) -> None:
    world.toml(brain="near", brains=brains_of(servers))
    world.command("index")
    world.command("chat", "--session", "c", stdin=f"{Q}\n/quit\n", check=False)
    world.command("chat", "--session", "c", "--brain", "far", stdin="E quando è la firma?\n/quit\n", check=False)
    server_saw(servers["near"])
    server_clean(servers["far"])


@pytest.mark.parametrize("how", ["last", "session", "text", "stdin"])
def test_review_by_the_command(world: World, servers: dict[str, Server], how: Any) -> None:
    world.toml(brain="near", brains=brains_of(servers))
    world.command("index")
    world.command("chat", "--session", "c", stdin=f"{Q}\n/quit\n", check=False)
    server_saw(servers["near"])
    if how == "last":
        world.command("review", "--brain", "far", check=False)
    elif how == "session":
        world.command("review", "c", "--brain", "far", check=False)
    elif how == "text":
        (world.root / "bozza.md").write_text(TOLD, encoding="utf-8")
        world.command("review", "--text", "bozza.md", "--question", Q, "--brain", "far", check=False)
    else:
        world.command("review", "-", "--question", Q, "--brain", "far", stdin=TOLD, check=False)
    server_clean(servers["far"], asked=False)
