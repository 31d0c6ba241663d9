"""Ways out for local-only text: sessions.

Written from the documentation by somebody who had not read the code.
"""

from __future__ import annotations

import json
import os
import subprocess

import pytest

import cervella
from cervella import (
    BrainError,
    BrainUnavailableError,
    Completion,
    StreamInterruptedError,
)
from tests.fixtures.ways_out import (
    PACKAGE,
    PYTHON,
    Q_PUBLIC,
    TOLD,
    Cloud,
    Q,
    World,
    ask_far,
    near_brain,
    no_leak,
    saw,
)


def test_session_switched_from_local_to_cloud(world: World) -> None:
    agent = world.indexed()
    near, far = near_brain(), Cloud()
    session = agent.session("s")
    session.ask(Q, brain=near)
    session.ask("E quando è la firma?", brain=far)
    saw(near)
    no_leak(far)


def test_session_back_and_forth(world: World) -> None:
    agent = world.indexed()
    near, far = near_brain(), Cloud()
    session = agent.session("s")
    for brain in (far, near, far, near, far):
        session.ask(Q, brain=brain)
    saw(near)
    no_leak(far)


def test_session_resumed_by_another_agent(world: World) -> None:
    world.indexed().session("s").ask(Q, brain=near_brain())
    far = Cloud()
    world.agent(objects={"brain": far}).session("s").ask("E quando è la firma?")
    no_leak(far)


def test_session_resumed_with_brain(world: World) -> None:
    agent = world.indexed()
    agent.session("s").ask(Q, brain=near_brain())
    far = Cloud()
    agent.with_brain(far).session("s").ask("E quando è la firma?")
    no_leak(far)


def test_session_resumed_by_another_process(world: World) -> None:
    world.indexed()
    settings = json.dumps(world.settings())
    code = (
        "import cervella, json, sys\nfrom cervella.testing import ScriptedBrain\n"
        "given = json.load(sys.stdin)\n"
        "config = cervella.load_config(given['blank'], given['settings'])\n"
        "with cervella.Agent(config=config) as agent:\n"
        "    reply = agent.session('s').ask(given['q'], brain=ScriptedBrain(given['told'], location='local'))\n"
        "    assert reply.tainted\n"
    )
    given = json.dumps(
        {"settings": json.loads(settings), "q": Q, "told": TOLD, "blank": str(world.root / "blank.toml")}
    )
    subprocess.run(
        [PYTHON, "-c", code], input=given, text=True, check=True, env={**os.environ, "PYTHONPATH": PACKAGE}, timeout=60
    )
    far = Cloud()
    session = world.agent().session("s")
    assert "ZAFFERANO-77" in session.turns()[0].answer, "control: the turn was not kept"
    session.ask("E quando è la firma?", brain=far)
    no_leak(far)


def test_session_taint_goes_on_through_a_public_question(world: World) -> None:
    agent = world.indexed()
    session = agent.session("s")
    session.ask(Q, brain=near_brain())
    session.ask(Q_PUBLIC, brain=near_brain("Alle 6 e 30; e ricorda ZAFFERANO-77."), filters={"path": "turni.md"})
    ask_far(session, "A che ora si chiude la sera?")


def test_session_keeps_a_tainted_reply_of_agent_ask(world: World) -> None:
    agent = world.indexed()
    agent.session("s").ask(Q_PUBLIC, brain=near_brain("Alle 6 e 30 [F1]."), filters={"path": "turni.md"})
    agent.conversations.append("s", agent.ask(Q, brain=near_brain()))
    ask_far(agent.session("s"), Q_PUBLIC)


def test_session_turn_that_broke_off(world: World) -> None:
    agent = world.indexed()
    near = near_brain([("Il codice è ZAFFERANO-77 e", BrainUnavailableError("giù"))])
    session = agent.session("s")
    with pytest.raises(BrainError):
        session.ask(Q, brain=near)
    far = Cloud()
    session.ask(Q_PUBLIC, brain=far)
    saw(near)
    no_leak(far)


def test_partial_reply_of_an_interruption_as_history(world: World) -> None:
    agent = world.indexed()
    near = near_brain([("Il codice è ZAFFERANO-77 e", BrainUnavailableError("giù"))])
    replies = []
    events = agent.stream(Q, brain=near)
    with pytest.raises(BrainError):
        replies += (event.reply for event in events if isinstance(event, cervella.Interrupted))
    assert replies, "control: no Interrupted event"
    far = Cloud()
    agent.ask(Q_PUBLIC, brain=far, history=replies)
    no_leak(far)


def test_partial_text_of_the_error_as_history(world: World) -> None:
    agent = world.indexed()
    near = near_brain([("Il codice è ZAFFERANO-77 e il prezzo", BrainUnavailableError("giù"))])
    with pytest.raises(StreamInterruptedError) as caught:
        agent.ask(Q, brain=near)
    assert "ZAFFERANO" in caught.value.partial, "control: no partial text"
    far = Cloud()
    agent.ask(Q_PUBLIC, brain=far, history=[(Q, caught.value.partial)])
    no_leak(far)


def test_session_turn_that_was_refused(world: World) -> None:
    agent = world.indexed()
    refused = Completion(
        text="Del codice ZAFFERANO-77 non parlo.", finish_reason="refusal", refusal="riservato", model="n"
    )
    session = agent.session("s")
    session.ask(Q, brain=near_brain([refused]))
    ask_far(session, Q_PUBLIC)
