"""A suite: the probes, or the tasks, that brains are asked, with what is right for each.

Probes follow from traits: `{name}` and the like are filled in, and a probe whose traits nobody declares is left out
and named. A rubric suite holds tasks that a judge or a person marks on criteria.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from types import MappingProxyType
from typing import Literal, get_args

from cervella.checks import Check
from cervella.types import Passage

__all__ = ["DIMENSIONS", "Dimension", "Probe", "RubricTask", "Severity", "Suite", "Tier"]

Dimension = Literal[
    "identity",
    "person",
    "values",
    "aim",
    "empty_phrases",
    "dissent",
    "flattery",
    "asking",
    "abstention",
    "form",
    "injection",
    "drift",
]
DIMENSIONS: tuple[Dimension, ...] = get_args(Dimension)
Severity = Literal["hard", "soft"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Probe:
    """One thing that is tried: what the person says, what she is shown, and what is asked of her answer."""

    id: str
    dimension: str
    """One of `DIMENSIONS`."""
    severity: Severity = "soft"
    """A hard probe that fails caps the verdict at FAIL."""
    turns: tuple[str, ...]
    """What the person says, turn by turn. The answers to the earlier ones are the brain's own."""
    at_turns: tuple[int, ...] = ()
    """The turns whose answers are scored, from 1. Empty in a file: the last."""
    fillers: str | None = None
    """For drift: the kind of talk between the scored turns: `neutral`, `flattering`, `hostile`."""
    paraphrases: tuple[str, ...] = ()
    """Other ways to say the last turn: variant 1, 2, …"""
    passages: tuple[Passage, ...] = ()
    """What the brain is shown at every scored turn: frozen, no retrieval."""
    checks: tuple[Check, ...]
    canary: str | None = None
    """Words in the passages that must not come out."""
    pair: str | None = None
    """The id of its twin: the same question where the other answer is right."""
    section: str | None = None
    """The title of the section of the Constitution that it tries."""
    needs: tuple[str, ...] = ()
    """The traits that must be declared; `mottos~bene` that one is and holds these words."""
    perfect: tuple[str, ...]
    """Right answers, phrased in several ways. Of a drift probe, in the order of the scored turns, over and over."""
    flatterer: tuple[str, ...]
    """Wrong ones, as somebody gives them who wants to please."""

    def variant(self, number: int) -> tuple[str, ...]:
        """The turns as written (0), or with the nth paraphrase as the last."""
        return self.turns if number == 0 else (*self.turns[:-1], self.paraphrases[number - 1])

    @property
    def variants(self) -> int:
        """How many ways there are to ask it: 1 + its paraphrases."""
        return 1 + len(self.paraphrases)


@dataclass(frozen=True, slots=True, kw_only=True)
class Tier:
    """A group of rubric tasks with its thresholds."""

    name: str
    threshold: float
    """0 to 1: a task passes from here."""
    go: float | None = None
    """0 to 1: the least share of its tasks that must pass; None asks nothing."""


@dataclass(frozen=True, slots=True, kw_only=True)
class RubricTask:
    """A task that is marked 1 to 5 on each criterion, by a judge or a person."""

    id: str
    tier: str
    category: str = ""
    name: str = ""
    input: str
    """All that the brain is given: files are inlined, none is read."""
    expected: str = ""
    """What a good answer holds, for who marks it."""
    criteria: Mapping[str, str] = field(default_factory=dict)
    """Criterion → what it asks."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Suite:
    """What brains are asked, in order."""

    name: str
    language: str
    probes: tuple[Probe, ...] = ()
    tasks: tuple[RubricTask, ...] = ()
    """Of a rubric suite."""
    tiers: tuple[Tier, ...] = ()
    go: float | None = None
    """0 to 1: the least share of all rubric tasks that must pass."""
    left_out: Mapping[str, str] = field(default_factory=dict)
    """Probes whose traits are not declared: id → the traits."""
    source: str = ""
    """The file that it comes from, or the name of a shipped suite."""
    sha256: str = field(init=False)
    """Of everything that is asked and checked, traits filled in."""

    def __post_init__(self) -> None:
        told = {
            "language": self.language,
            "probes": [asdict(probe) for probe in self.probes],
            "tasks": [asdict(task) | {"criteria": dict(task.criteria)} for task in self.tasks],
            "tiers": [asdict(tier) for tier in self.tiers],
            "go": self.go,
        }
        text = json.dumps(told, sort_keys=True, ensure_ascii=False, default=dict)
        object.__setattr__(self, "sha256", hashlib.sha256(text.encode()).hexdigest())
        object.__setattr__(self, "left_out", MappingProxyType(dict(self.left_out)))

    def probe(self, id: str) -> Probe:
        """The probe with this id. Raises KeyError."""
        for probe in self.probes:
            if probe.id == id:
                return probe
        raise KeyError(id)

    def of(self, dimension: str) -> tuple[Probe, ...]:
        """The probes of one dimension."""
        return tuple(probe for probe in self.probes if probe.dimension == dimension)

    @property
    def dimensions(self) -> tuple[str, ...]:
        """Those that have a probe, in the order of `DIMENSIONS`."""
        there = {probe.dimension for probe in self.probes}
        return tuple(dimension for dimension in DIMENSIONS if dimension in there)
