"""Ways out for local-only text: marked later, pattern removed.

Written from the documentation by somebody who had not read the code.
"""

from __future__ import annotations

from typing import Any

import pytest

from cervella import (
    Prompt,
)
from tests.fixtures.ways_out import (
    FIRST_LINE,
    Q_PUBLIC,
    SECRET,
    SOUL,
    TOLD,
    Cloud,
    Q,
    World,
    ask_far,
    near_brain,
    no_leak,
)


def test_marked_later_session_answered_by_local(world: World) -> None:
    open_ = world.indexed([])
    near, far = near_brain(), Cloud()
    assert not open_.session("s").ask(Q, brain=near).tainted
    marked = world.agent()
    marked.session("s").ask("E il turno del mattino?", brain=far)
    no_leak(far)


def test_marked_later_and_indexed_session(world: World) -> None:
    open_ = world.indexed([])
    near, far = near_brain(), Cloud()
    open_.session("s").ask(Q, brain=near)
    marked = world.indexed()
    marked.session("s").ask("E il turno del mattino?", brain=far)
    no_leak(far)


def test_marked_later_session_answered_by_the_cloud_itself(world: World) -> None:
    open_ = world.indexed([])
    far = Cloud([TOLD, "Non lo so."])
    open_.session("s").ask(Q, brain=far)
    far.prompts.clear()
    far.counted.clear()
    world.agent().session("s").ask("E il turno del mattino?", brain=far)
    no_leak(far)


def test_marked_later_reply_given_as_history(world: World) -> None:
    reply = world.indexed([]).ask(Q, brain=near_brain())
    far = Cloud()
    world.agent().ask(Q_PUBLIC, brain=far, history=[reply])
    no_leak(far)


def test_marked_later_reply_messages_given_as_history(world: World) -> None:
    reply = world.indexed([]).ask(Q, brain=near_brain())
    far = Cloud()
    world.agent().ask(Q_PUBLIC, brain=far, history=list(reply.as_turn()))
    no_leak(far)


def test_marked_later_pair_given_as_history(world: World) -> None:
    reply = world.indexed([]).ask(Q, brain=near_brain())
    far = Cloud()
    world.agent().ask(Q_PUBLIC, brain=far, history=[(reply.question, reply.text)])
    no_leak(far)


def test_marked_later_quoting_pair_given_as_history(world: World) -> None:
    reply = world.indexed([]).ask(Q, brain=near_brain(f"«{FIRST_LINE}» [F1]"))
    far = Cloud()
    world.indexed().ask(Q_PUBLIC, brain=far, history=[(reply.question, reply.text)])
    no_leak(far)


def test_marked_later_reply_reviewed_by_the_cloud(world: World) -> None:
    reply = world.indexed([]).ask(Q, brain=near_brain())
    far = Cloud()
    world.agent().review(reply, brain=far)
    no_leak(far, asked=False)


def test_marked_later_question_before_any_index(world: World) -> None:
    world.indexed([])
    ask_far(world.agent(knowledge={"refresh": "off"}))


def test_marked_later_passages_of_an_old_search(world: World) -> None:
    found = world.indexed([]).search(Q)
    far = Cloud()
    prompt = Prompt(system=SOUL, question=Q, passages=found.passages)
    agent = world.agent()
    agent.complete(prompt, brain=far)
    no_leak(far)


@pytest.mark.parametrize("refresh", ["auto", "warn", "off"])
def test_pattern_removed_and_not_yet_indexed(world: World, refresh: Any) -> None:
    world.indexed()
    ask_far(world.agent([], knowledge={"refresh": refresh}))


def test_pattern_removed_and_another_file_refreshed(world: World) -> None:
    world.indexed()
    world.write("nuovo.md", "# Nuovo\n\nUna nota nuova sulla cessione.\n")
    ask_far(world.agent([]))


def test_pattern_removed_and_the_marked_file_itself_edited(world: World) -> None:
    world.indexed()
    world.write("privato/orsaia.md", SECRET + "\nAggiunta alla cessione riservata.\n")
    ask_far(world.agent([]))


def test_pattern_replaced_by_a_typo(world: World) -> None:
    world.indexed()
    agent = world.indexed(["privvato/**"])
    ask_far(agent)


def test_old_tainted_session_after_the_pattern_is_gone(world: World) -> None:
    """A turn that was tainted when it was given stays tainted: its text was local-only then."""
    world.indexed().session("s").ask(Q, brain=near_brain())
    ask_far(world.agent([]).session("s"), Q_PUBLIC)
