"""Ways out for local-only text: history given by the caller.

Written from the documentation by somebody who had not read the code.
"""

from __future__ import annotations

import dataclasses
import pickle
import re
from typing import Any

import pytest

from cervella import (
    Image,
    Message,
)
from tests.fixtures.ways_out import (
    FIRST_LINE,
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


def _plain(text):
    return re.sub(r"\s*\[F\d+\]", "", text)


HISTORIES = {
    "reply": lambda r: [r],
    "pair": lambda r: [(r.question, r.text)],
    "pair-list": lambda r: [[r.question, r.text]],
    "dicts": lambda r: [{"role": "user", "content": r.question}, {"role": "assistant", "content": r.text}],
    "messages": lambda r: [Message(role="user", content=r.question), Message(role="assistant", content=r.text)],
    "as_turn": lambda r: list(r.as_turn()),
    "only-assistant": lambda r: [{"role": "user", "content": "Ciao."}, {"role": "assistant", "content": r.text}],
    "marks-stripped": lambda r: [(r.question, _plain(r.text))],
    "bold": lambda r: [(r.question, _plain(r.text).replace("ZAFFERANO-77", "**ZAFFERANO-77**"))],
    "quoted-in-user-turn": lambda r: [("Mi hai detto: «" + _plain(r.text) + "» Giusto?", "Sì.")],
    "wrapped": lambda r: [(r.question, "Ciao!\n\n" + _plain(r.text) + "\n\nAltro?")],
    "reply-pickled": lambda r: [pickle.loads(pickle.dumps(r))],
    "reply-untainted": lambda r: [dataclasses.replace(r, tainted=False)],
    "reply-untainted-without-passages": lambda r: [dataclasses.replace(r, tainted=False, passages=(), citations=())],
    "generator": lambda r: (turn for turn in [r]),
}


@pytest.mark.parametrize("form", HISTORIES)
@pytest.mark.parametrize("answer", ["quote", "own-words"])
def test_history_of_a_local_answer(world: World, form: Any, answer: Any) -> None:
    """The text that the local brain answered, handed in by the product that kept it."""
    agent = world.indexed()
    near = near_brain(f"«{FIRST_LINE}» [F1]" if answer == "quote" else TOLD)
    reply = agent.ask(Q, brain=near)
    far = Cloud()
    agent.ask(Q_PUBLIC, brain=far, history=HISTORIES[form](reply))
    saw(near)
    no_leak(far)


@pytest.mark.parametrize("form", ["pair", "dicts", "messages", "marks-stripped"])
def test_history_is_verbatim_a_reply_stored_in_a_session(world: World, form: Any) -> None:
    agent = world.indexed()
    reply = agent.session("s").ask(Q, brain=near_brain())
    far = Cloud()
    world.agent().ask(Q_PUBLIC, brain=far, history=HISTORIES[form](reply))
    no_leak(far)


@pytest.mark.parametrize(
    "quote",
    [
        "è ZAFFERANO-77. Il prezzo concordato è di 4.318.250 euro",
        "Il prezzo concordato è di 4.318.250 euro.",
        "il notaio della cessione riservata è ovidio brindamonte",
        "Il codice della cessione riservata\nè ZAFFERANO-77.",
        "> Il codice della cessione riservata è **ZAFFERANO-77**.",
    ],
)
def test_history_with_a_partial_quote_of_the_marked_file(world: World, quote: Any) -> None:
    """No brain of ours wrote it: the product's own text in the history quotes lines of a local-only file."""
    agent = world.indexed()
    far = Cloud()
    agent.ask(Q_PUBLIC, brain=far, history=[("Che cosa dice la nota?", f"Dice: {quote}")])
    no_leak(far)


def test_history_of_the_sessions_export(world: World) -> None:
    agent = world.indexed()
    agent.session("s").ask(Q, brain=near_brain())
    kept = agent.conversations.export("s")
    turns = kept["turns"]
    pairs = [(turn["question"], turn["answer"]) for turn in turns]
    far = Cloud()
    agent.ask(Q_PUBLIC, brain=far, history=pairs)
    no_leak(far)


def test_history_of_stored_turns(world: World) -> None:
    agent = world.indexed()
    session = agent.session("s")
    session.ask(Q, brain=near_brain())
    far = Cloud()
    agent.ask(Q_PUBLIC, brain=far, history=[m for turn in session.turns() for m in turn.messages()])
    no_leak(far)


def test_history_taint_goes_on_through_a_later_local_answer(world: World) -> None:
    agent = world.indexed()
    first = agent.ask(Q, brain=near_brain())
    second = agent.ask(Q_PUBLIC, brain=near_brain("Alle 6 e 30; e ricorda ZAFFERANO-77 [F1]."), history=[first])
    far = Cloud()
    agent.ask("A che ora si chiude la sera?", brain=far, history=[second])
    no_leak(far)


def test_history_taint_goes_on_through_pairs(world: World) -> None:
    """Tainted text comes in as a pair, the local brain repeats it, and that Reply is handed to the cloud."""
    agent = world.indexed()
    first = agent.ask(Q, brain=near_brain())
    second = agent.ask(
        Q_PUBLIC, brain=near_brain("Alle 6 e 30; e ricorda ZAFFERANO-77 [F1]."), history=[(first.question, first.text)]
    )
    far = Cloud()
    agent.ask("A che ora si chiude la sera?", brain=far, history=[second])
    no_leak(far)


def test_history_message_with_tainted_image(world: World) -> None:
    agent = world.indexed()
    picture = Image(media_type="image/png", data=b"\x89PNG zafferano-77")
    history = [
        Message(role="user", content="Che cosa mostra?", images=(picture,), tainted=True),
        Message(role="assistant", content="Il contratto ZAFFERANO-77.", tainted=True),
    ]
    near, far = near_brain(), Cloud()
    agent.ask(Q_PUBLIC, brain=near, history=history)
    agent.ask(Q_PUBLIC, brain=far, history=history)
    saw(near)
    no_leak(far)


def test_follow_up_takes_no_words_of_a_tainted_question(world: World) -> None:
    agent = world.indexed()
    near, far = near_brain(), Cloud()
    session = agent.session("s")
    session.ask("Che cos'è ZAFFERANO-77, della cessione riservata?", brain=near)
    session.ask("E quanto costa?", brain=far)
    no_leak(far)


def test_which_sources_question_after_a_local_answer(world: World) -> None:
    agent = world.indexed()
    session = agent.session("s")
    session.ask(Q, brain=near_brain())
    ask_far(session, "Quali fonti hai usato?")
