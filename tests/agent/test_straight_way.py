"""The way of a question through the rooms: few files, and each room is entered from one of them."""

from __future__ import annotations

import asyncio
import sys
import threading
from collections import defaultdict
from pathlib import Path
from types import FrameType
from typing import Any

import cervella
from cervella import Agent, Passage
from cervella.testing import FixedRetriever, ScriptedBrain
from tests.conftest import PlainSoul

PACKAGE = Path(cervella.__file__).parent
VOCABULARY = {"types", "text", "process", "privacy", "configuration", "protocols.py", "errors.py"}
"""Rooms of values and words, which every room may ask at any time."""
AGENT = {
    "agent/agent.py", "agent/answering.py", "agent/assembly.py", "agent/bookkeeping.py", "agent/small_talk.py",
    "agent/taint.py",
}  # fmt: skip
UNSEEN = {"<genexpr>", "<listcomp>", "<dictcomp>", "<setcomp>", "<lambda>", "<module>"}
"""Frames that are no functions of their own: their caller is the function around them."""


class Way:
    """Which files of the package are entered, and from which other files of it."""

    def __init__(self) -> None:
        self.entered: dict[str, set[str]] = defaultdict(set)

    def look(self, frame: FrameType, event: str, _: Any) -> None:
        here = self._file(frame)
        if event == "call" and here and frame.f_code.co_name not in UNSEEN:
            before = frame.f_back
            while before is not None and before.f_code.co_name in UNSEEN:
                before = before.f_back
            self.entered[here] |= {self._file(before) if before is not None else ""} - {"", here}

    def _file(self, frame: FrameType) -> str:
        path = Path(frame.f_code.co_filename)
        return path.relative_to(PACKAGE).as_posix() if path.is_relative_to(PACKAGE) else ""

    def rooms(self) -> set[str]:
        return {file.partition("/")[0] for file in self.entered} - VOCABULARY


def way_of(agent: Agent, question: str) -> Way:
    """The way of a question that is not the first: nothing has to be imported or made any more."""
    way = Way()

    async def ask() -> None:
        async for _ in agent.astream(question):
            pass

    asyncio.run(ask())
    threading.setprofile(way.look)
    sys.setprofile(way.look)
    try:
        asyncio.run(ask())
    finally:
        sys.setprofile(None)
        threading.setprofile(None)
    return way


def test_a_question_is_led_through_the_rooms_by_one_file(
    soul: PlainSoul, passages: tuple[Passage, ...], isolated: Path
) -> None:
    brain, retriever = ScriptedBrain("Il 20 gennaio 2026 [F1]."), FixedRetriever(passages)
    with Agent(brain=brain, retriever=retriever, soul=soul) as agent:
        way = way_of(agent, "Quando partiamo?")
    assert way.rooms() <= {"agent", "prompt", "brains", "claims", "records", "knowledge", "testing.py"}
    entered = {file for file in way.entered if file.partition("/")[0] not in {*VOCABULARY, "brains", "testing.py"}}
    assert {file for file in entered if file.startswith("agent/")} == AGENT
    assert len(entered) <= 13  # small talk is one of them
    for room in ("claims/citations.py", "brains/shield/shield.py", "prompt/history.py"):
        assert {file for file in way.entered[room] if file.startswith("agent/")} == {"agent/answering.py"}, room
    led = {file for files in way.entered.values() for file in files if file.startswith("agent/")}
    assert led == AGENT
