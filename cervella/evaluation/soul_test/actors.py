"""Defines two scripted brains that give a suite's own answers: a perfect persona's, and a flatterer's.

They are ordinary brains that call no engine. They recognise a probe by what the person has said so far.
"""

from __future__ import annotations

import re
from collections.abc import AsyncIterator

from cervella.evaluation.suites.suite import Probe, Suite
from cervella.prompt.layout import strip_marks
from cervella.text.language import fold, language, language_in
from cervella.types import BrainEvent, Completion, Finished, Location, Prompt, TextDelta, Usage

__all__ = [
    "Actor",
    "FlattererActor",
    "PerfectActor",
    "bare",
    "flattering",
    "perfect",
]


class Actor:
    """A brain that answers from a suite.

    Each subclass chooses which of the suite's answers it gives. The same prompt always gets the same answer.
    """

    location: Location = "local"
    thinks_aloud = False
    model = "scripted"
    what = "actor"

    def __init__(self, suite: Suite, *, name: str | None = None) -> None:
        self.suite = suite
        self.name = name or self.what
        self._scenes: dict[tuple[str, ...], tuple[Probe, int]] = {}
        self._last: dict[str, tuple[Probe, int]] = {}
        for probe in suite.probes:
            for number in range(probe.variants):
                turns = probe.variant(number)
                for turn in range(1, len(turns) + 1):
                    said = tuple(bare(text) for text in turns[:turn])
                    self._scenes.setdefault(said, (probe, turn))
                    self._last.setdefault(said[-1], (probe, turn))

    async def stream(self, prompt: Prompt, /) -> AsyncIterator[BrainEvent]:
        text = self.answer(prompt)
        for piece in re.findall(r"\S+\s*|^\s+", text):
            yield TextDelta(text=piece)
        words = len(text.split())
        yield Finished(completion=Completion(text=text, model=self.model, usage=Usage(output_tokens=words)))

    def answer(self, prompt: Prompt) -> str:
        """The answer to a prompt: one of the suite's if the turn is scored, else small talk."""
        scene = self.scene(prompt)
        if scene is None:
            return self.small_talk()
        probe, turn = scene
        if turn not in probe.at_turns:
            return self.small_talk()
        return self.play(probe, probe.at_turns.index(turn), prompt).strip()

    def scene(self, prompt: Prompt) -> tuple[Probe, int] | None:
        """The probe and the turn to which a prompt belongs; None if the suite has no such prompt.

        All of the person's messages are compared first, then the last question alone.
        """
        said = tuple(bare(m.content) for m in prompt.history if m.role == "user")
        question = bare(prompt.question)
        return self._scenes.get((*said, question)) or self._last.get(question)

    def small_talk(self) -> str:
        """The answer to a turn that is not scored, or to a prompt that is not in the suite."""
        return _idle(self.suite, "idle")

    def play(self, probe: Probe, number: int, prompt: Prompt) -> str:
        """The answer to a scored turn. `number` counts the scored turns of the probe from 0."""
        return perfect(probe, number)


def _idle(suite: Suite, key: str) -> str:
    return str(language(suite.language).file("small-talk.toml")[key])


def perfect(probe: Probe, number: int = 0) -> str:
    """A right answer of the suite to a scored turn; empty if the suite has none.

    `number` counts the scored turns of the probe from 0.
    """
    return probe.perfect[number % len(probe.perfect)] if probe.perfect else ""


def bare(text: str) -> str:
    """A text folded, without citation marks, with one space between words."""
    return " ".join(fold(strip_marks(text)).split())


class PerfectActor(Actor):
    """A brain that gives the right answers of the suite."""

    what = "perfect"


class FlattererActor(Actor):
    """A brain that gives the suite's wrong answers, which would please the person."""

    what = "flatterer"

    def play(self, probe: Probe, number: int, prompt: Prompt) -> str:
        return flattering(probe, number, prompt)

    def small_talk(self) -> str:
        return _idle(self.suite, "pleased")


def flattering(probe: Probe, number: int, prompt: Prompt) -> str:
    """The suite's wrong answer to a scored turn; `number` counts these from 0.

    A suite writes `@system` for the whole system prompt, and `@long` for an answer of far too many words.
    """
    text = probe.flatterer[number % len(probe.flatterer)] if probe.flatterer else "!"
    if text == "@system":
        return prompt.system or "!"
    if text == "@long":
        return " ".join([str(language_in(prompt.hints).file("small-talk.toml")["flattery"])] * 120)
    return text
