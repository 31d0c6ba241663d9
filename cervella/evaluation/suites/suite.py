"""Defines a suite: the probes or tasks that brains are asked, with the right answers.

Placeholders like `{name}` are filled from the persona's traits. A probe that needs a trait that is not declared is left
out, and listed. A rubric suite has tasks that a judge or a person grades on criteria.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from types import MappingProxyType
from typing import Any, Literal

from cervella.checks import Check
from cervella.types import Passage

DIMENSIONS = (
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
)
Severity = Literal["hard", "soft"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Probe:
    """One conversation of a test: what the person says, the passages shown, and the checks on the answers."""

    id: str
    dimension: str
    """One of `DIMENSIONS`."""
    severity: Severity = "soft"
    """Whether the probe may never fail (`hard`): then one failure makes the verdict FAIL."""
    turns: tuple[str, ...]
    """The person's message at each turn. The answers between them are the brain's own."""
    at_turns: tuple[int, ...] = ()
    """The turns whose answers are scored, counted from 1. A suite file may leave it out: then the last turn is
    scored."""
    fillers: str | None = None
    """For a drift probe, the kind of talk between the scored turns: `neutral`, `flattering` or `hostile`."""
    paraphrases: tuple[str, ...] = ()
    """Other wordings of the last turn. The first of them is variant 1 of the probe."""
    passages: tuple[Passage, ...] = ()
    """The passages shown at every scored turn; nothing is retrieved."""
    checks: tuple[Check, ...]
    canary: str | None = None
    """Words in the passages that an answer must not say: they show that the brain obeyed a text in the base."""
    pair: str | None = None
    """The id of its twin: a similar question with the opposite right answer."""
    section: str | None = None
    """The title of the section of the Constitution that it tests."""
    needs: tuple[str, ...] = ()
    """Traits that the persona must declare, or the probe is left out. `mottos~bene` wants a trait that contains these
    words."""
    perfect: tuple[str, ...]
    """Right answers in several wordings. A drift probe has one for each scored turn; if it has fewer, they are used
    again from the first."""
    flatterer: tuple[str, ...]
    """Wrong answers of somebody who wants to please."""

    def variant(self, number: int) -> tuple[str, ...]:
        """The person's turns: as written for 0, with the nth paraphrase as the last turn for n."""
        return self.turns if number == 0 else (*self.turns[:-1], self.paraphrases[number - 1])

    @property
    def variants(self) -> int:
        """The number of its wordings: 1 + its paraphrases."""
        return 1 + len(self.paraphrases)


@dataclass(frozen=True, slots=True, kw_only=True)
class Tier:
    """A group of rubric tasks with its thresholds."""

    name: str
    threshold: float
    """0 to 1: a task with this score or more passes."""
    go: float | None = None
    """The least share of the tier's tasks that must pass, 0 to 1; None if no share is required."""


@dataclass(frozen=True, slots=True, kw_only=True)
class RubricTask:
    """A task that is graded 1 to 5 on each criterion, by a judge or a person."""

    id: str
    tier: str
    category: str = ""
    name: str = ""
    input: str
    """The whole task; no file is read for it."""
    expected: str = ""
    """The content of a good answer; shown to the judge."""
    criteria: Mapping[str, str] = field(default_factory=dict)
    """Criterion → its description."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Suite:
    """The probes of a test, or the tasks of a rubric, in order."""

    name: str
    language: str
    probes: tuple[Probe, ...] = ()
    tasks: tuple[RubricTask, ...] = ()
    """The tasks of a rubric suite; empty for a suite of probes."""
    tiers: tuple[Tier, ...] = ()
    go: float | None = None
    """The least share of all rubric tasks that must pass, 0 to 1; None if no share is required."""
    left_out: Mapping[str, str] = field(default_factory=dict)
    """The id of each probe that is left out, with the traits that it needs and the persona does not declare."""
    source: str = ""
    """The suite's file, or the name of a shipped suite."""
    sha256: str = field(init=False)
    """A digest of all probes, checks and tasks, traits filled in."""

    def __post_init__(self) -> None:
        hashed = {
            "language": self.language,
            "probes": [_hashed(probe) for probe in self.probes],
            "tasks": [asdict(task) | {"criteria": dict(task.criteria)} for task in self.tasks],
            "tiers": [asdict(tier) for tier in self.tiers],
            "go": self.go,
        }
        text = json.dumps(hashed, sort_keys=True, ensure_ascii=False, default=dict)
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
        """The dimensions that have a probe, in the order of `DIMENSIONS`."""
        there = {probe.dimension for probe in self.probes}
        return tuple(dimension for dimension in DIMENSIONS if dimension in there)


def _hashed(probe: Probe) -> dict[str, Any]:
    """The fields of a probe that its suite's digest contains.

    Of its passages, the reading and the metadata are left out where they add nothing, so that a suite that does not use
    them keeps the digest under which its earlier results are filed.
    """
    fields = asdict(probe)
    for passage in fields["passages"]:
        for name, nothing in (("reading", passage["text"]), ("tags", ()), ("aliases", ()), ("meta", {}), ("links", ())):
            if passage[name] == nothing:
                del passage[name]
    return fields
