"""Scripted brains that hold a suite's own answers: what a perfect persona scores, and what a known fault costs.

They are ordinary brains: they know a probe by what the person has said so far, play their part, and call no engine.
Each fault is played by the perfect actor wherever it can be played, and is otherwise none: what it costs elsewhere is
a check that fires where it should not.
"""

from __future__ import annotations

import re
from collections.abc import AsyncIterator, Iterable, Iterator

from cervella.evaluation.suites.suite import Probe, Suite
from cervella.prompt.layout import strip_marks
from cervella.text.language import fold
from cervella.types import BrainEvent, Completion, Finished, Location, Prompt, TextDelta, Usage

__all__ = [
    "ACTORS",
    "Actor",
    "DriftingActor",
    "FlattererActor",
    "IdentityStolenActor",
    "InventingActor",
    "PerfectActor",
    "PromptFollower",
    "PromptLeakingActor",
    "WrongLanguageActor",
]

_SMALL_TALK = {"it": "Ho capito, andiamo avanti.", "en": "I see, let us go on."}
_LATE = 4
"""The last turn at which the drifting actor is still itself."""


class Actor:
    """A brain that answers from a suite. Subclasses choose the answer; the same prompt gets the same answer."""

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
                    said = tuple(_bare(text) for text in turns[:turn])
                    self._scenes.setdefault(said, (probe, turn))
                    self._last.setdefault(said[-1], (probe, turn))

    async def stream(self, prompt: Prompt, /) -> AsyncIterator[BrainEvent]:
        text = self.answer(prompt)
        for piece in re.findall(r"\S+\s*|^\s+", text):
            yield TextDelta(text=piece)
        words = len(text.split())
        yield Finished(completion=Completion(text=text, model=self.model, usage=Usage(output_tokens=words)))

    def answer(self, prompt: Prompt) -> str:
        """What is said to a prompt: the part that it calls for, small talk where the suite knows none."""
        scene = self.scene(prompt)
        if scene is None:
            return self.small_talk()
        probe, turn = scene
        if turn not in probe.at_turns:
            return self.small_talk()
        return self.play(probe, probe.at_turns.index(turn), prompt).strip()

    def scene(self, prompt: Prompt) -> tuple[Probe, int] | None:
        """The probe and the turn that a prompt stands at: by all that the person said, else by the question alone."""
        said = tuple(_bare(m.content) for m in prompt.history if m.role == "user")
        question = _bare(prompt.question)
        return self._scenes.get((*said, question)) or self._last.get(question)

    def small_talk(self) -> str:
        return _SMALL_TALK.get(self.suite.language, _SMALL_TALK["en"])

    def play(self, probe: Probe, number: int, prompt: Prompt) -> str:
        """The answer at the scored turn `number`, from 0."""
        return perfect(probe, number)


def perfect(probe: Probe, number: int = 0) -> str:
    """The right answer that the suite holds for a scored turn; empty where it holds none."""
    return probe.perfect[number % len(probe.perfect)] if probe.perfect else ""


def _bare(text: str) -> str:
    return " ".join(fold(strip_marks(text)).split())


class PerfectActor(Actor):
    """Gives the right answers of the suite."""

    what = "perfect"


class FlattererActor(Actor):
    """Gives the answers that please."""

    what = "flatterer"

    def play(self, probe: Probe, number: int, prompt: Prompt) -> str:
        return flattering(probe, number, prompt)

    def small_talk(self) -> str:
        return {"it": "Che bella cosa, dimmi ancora!"}.get(self.suite.language, "How lovely, tell me more!")


def flattering(probe: Probe, number: int, prompt: Prompt) -> str:
    """A wrong answer of the suite: `@system` stands for the system prompt, `@long` for much too many words."""
    text = probe.flatterer[number % len(probe.flatterer)] if probe.flatterer else "!"
    if text == "@system":
        return prompt.system or "!"
    return " ".join([FILLING] * 120) if text == "@long" else text


FILLING = "Un nome splendido per un negozio splendido, come tutto quello che fai."
_ENGLISH = (
    "I would be glad to help you with that, and I will tell you what I think about it in a few words. "
    "It is a matter of taking one step at a time and of checking what you have done before you go on."
)
_ITALIAN = (
    "Ti aiuto volentieri, e ti dico in poche parole che cosa ne penso: si fa un passo alla volta, "
    "e prima di andare avanti si controlla quello che è già stato fatto."
)


def _kinds(probe: Probe) -> set[str]:
    return {check.kind for check in probe.checks}


def _exact(probe: Probe) -> bool:
    """Whether words that are added alone fail it, whatever they say."""
    return bool(_kinds(probe) & {"length", "regex", "language", "structure"})


class WrongLanguageActor(Actor):
    """Answers in another language where a probe asks for one. (Everywhere, no check in this language could read it.)"""

    what = "wrong-language"
    faults_in = frozenset({"form"})

    def play(self, probe: Probe, number: int, prompt: Prompt) -> str:
        asked = next((check for check in probe.checks if check.kind == "language"), None)
        if asked is None:
            return perfect(probe, number)
        return _ITALIAN if asked.args.get("code", self.suite.language) == "en" else _ENGLISH


class InventingActor(Actor):
    """Never at a loss: adds a figure that no source gives to every answer, and knows what cannot be known."""

    what = "inventing"
    faults_in = frozenset({"abstention", "drift"})

    def play(self, probe: Probe, number: int, prompt: Prompt) -> str:
        if "abstains" in _kinds(probe):
            return "Sono 7.613, dal 23 ottobre 2019: lo ricordo con precisione."
        if _exact(probe):
            return perfect(probe, number)
        return f"{perfect(probe, number)} Nel 2019 erano 7.613, lo ricordo con precisione."


class IdentityStolenActor(Actor):
    """Gives every answer right, and opens it with somebody else's name."""

    what = "identity-stolen"
    faults_in = frozenset({"identity", "injection", "drift"})

    def play(self, probe: Probe, number: int, prompt: Prompt) -> str:
        checks = {check.kind: check for check in probe.checks}
        stolen = next(iter(checks["identity"].args.get("not", ())), "ChatGPT") if "identity" in checks else "ChatGPT"
        if _exact(probe):
            return perfect(probe, number)
        return f"Sono {stolen}. {perfect(probe, number)}"


class PromptLeakingActor(Actor):
    """Gives every answer right where nothing is to be kept, and gives away what is."""

    what = "prompt-leaking"
    faults_in = frozenset({"injection"})

    def play(self, probe: Probe, number: int, prompt: Prompt) -> str:
        if probe.canary:
            return f"{perfect(probe, number)} Le parole sono {probe.canary}."
        if "no_leak" in _kinds(probe):
            return f"{perfect(probe, number)}\n\n{prompt.system}"
        return perfect(probe, number)


class DriftingActor(Actor):
    """Right up to the fourth turn; after that it says what pleases."""

    what = "drifting"
    faults_in = frozenset({"drift"})

    def play(self, probe: Probe, number: int, prompt: Prompt) -> str:
        late = probe.at_turns[number] > _LATE
        return flattering(probe, number, prompt) if late else perfect(probe, number)


class PromptFollower(Actor):
    """Knows only what stands in the prompt: right where the section of the Constitution that a probe tries is there,
    else pleasing. A wiring test: it shows that a section reaches the brain and that its probes notice, no more."""

    what = "prompt-follower"

    def play(self, probe: Probe, number: int, prompt: Prompt) -> str:
        if probe.section is None or _bare(probe.section) in set(_headings(prompt.system)):
            return perfect(probe, number)
        return flattering(probe, number, prompt)


def _headings(text: str) -> Iterator[str]:
    for match in re.finditer(r"(?m)^ {0,3}#{1,6}\s+(.+?)\s*#*\s*$", text):
        yield _bare(match[1])


ACTORS: tuple[type[Actor], ...] = (
    PerfectActor,
    FlattererActor,
    WrongLanguageActor,
    InventingActor,
    IdentityStolenActor,
    PromptLeakingActor,
    DriftingActor,
)


def actors(suite: Suite) -> Iterable[Actor]:
    """One of each, for a suite."""
    return [kind(suite) for kind in ACTORS]
