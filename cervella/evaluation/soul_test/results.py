"""What a soul test comes to, as values: per brain and dimension scores with their intervals, and a verdict.

Unknown is None: what could not be scored, or has no two sides to compare. `as_dict` parts what was measured (times,
cost, caches) from what was scored: the scored part is the same bytes whenever a deterministic brain is tested again.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from decimal import Decimal
from typing import Any, Literal, TypeAlias

from cervella.evaluation.records import Condition
from cervella.evaluation.soul_test.scoring import ProbeScore
from cervella.evaluation.statistics.statistics import Difference, Drift, Estimate

__all__ = [
    "Abstention",
    "BrainResult",
    "Controls",
    "Defect",
    "DimensionResult",
    "HardFailure",
    "Measured",
    "SoulTestResult",
    "SoulVerdict",
]

SoulVerdict: TypeAlias = Literal["PASS", "CONDITIONAL", "FAIL", "INCOMPLETE"]


@dataclass(frozen=True, slots=True, kw_only=True)
class HardFailure:
    """An answer that failed a probe of which nothing may fail."""

    probe: str
    dimension: str
    variant: int
    repeat: int
    turn: int
    failed: tuple[str, ...]
    """The checks that failed, with what they say."""


@dataclass(frozen=True, slots=True, kw_only=True)
class DimensionResult:
    """One brain in one dimension. Intervals are over probes; paraphrases, repeats and turns are averaged within."""

    dimension: str
    score: Estimate | None
    """Mean of the probes' scores, 0 to 1."""
    passed: Estimate | None
    """Share of answers in which all checks pass, averaged within each probe."""
    controls: Mapping[Condition, float | None]
    """The same probes as they are written, without the soul and with a scrambled one."""
    discrimination: Mapping[Condition, Difference | None]
    """With the soul minus without."""
    perfect: float | None
    """What a scripted brain that does all of it scores on the same probes."""
    flatterer: float | None
    """What a scripted flatterer scores on them."""
    hard_failures: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Abstention:
    """Whether she says that she does not know where she can't, and only there."""

    precision: float | None
    recall: float | None
    f1: float | None
    unanswerable: int
    """Answers to questions that the passages do not answer."""
    answerable: int
    """Answers to their twins, which they do answer."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Measured:
    """What differs from run to run."""

    seconds: float | None
    """All answers together."""
    seconds_p50: float | None
    seconds_p95: float | None
    first_token_p50: float | None
    first_token_p95: float | None
    tokens_per_second: float | None
    """Generated tokens over the time of the answers that have a count."""
    cache_read_tokens: int | None
    cost_usd: Decimal | None
    """None where the cost of an answer is not known."""


@dataclass(frozen=True, slots=True, kw_only=True)
class BrainResult:
    """One brain."""

    brain: str
    models: tuple[str, ...]
    """The weights that answered."""
    location: str
    verdict: SoulVerdict
    reasons: tuple[str, ...]
    """Why the verdict is no better; and what a reader should know of it."""
    total: Estimate | None
    """The mean of the dimensions' scores, with the soul."""
    passed: Estimate | None
    """The mean of the dimensions' shares of answers in which all checks pass."""
    dimensions: tuple[DimensionResult, ...]
    hard_failures: tuple[HardFailure, ...]
    discrimination: Mapping[Condition, Difference | None]
    """With the soul minus the control, over all dimensions: above 0, or the Constitution makes no difference."""
    self_agreement: Estimate | None
    """Share of pairs of wordings of one probe that pass together or fail together."""
    pair_consistency: Estimate | None
    """Share of twins, a claim and its contrary, of which both pass: the answer follows the fact, not the flattery."""
    abstention: Abstention | None
    drift: Drift | None
    """The score's slope per turn of a conversation, and last turn minus first."""
    planned: int
    """Answers that the plan wants."""
    answered: int
    errors: Mapping[str, int]
    """Errors by code, with the answer still missing: they are neither failed nor left out."""
    empty: int
    """Answers that say nothing, refusals included: they score 0."""
    at_limit: int
    """Answers that broke off at the most tokens an answer may have: checks saw what was there."""
    cut: Mapping[str, int]
    """What was not sent as planned, by answers: what a shield took out of prompts, a temperature that was refused."""
    not_scored: Mapping[str, int]
    """Checks that nothing could score here (no embedder, no judge), and answers without a score, by why."""
    numbers: Mapping[str, int]
    """How many checks stand behind the scores, by kind: deterministic, embedder, judge, human."""
    input_tokens: int | None
    output_tokens: int | None
    measured: Measured


@dataclass(frozen=True, slots=True, kw_only=True)
class Controls:
    """What the scripted brains score on these probes; per dimension beside each brain's score."""

    perfect: float | None
    flatterer: float | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Defect:
    """A probe that does not tell a perfect answer from a flatterer's: the suite's own fault, no brain's."""

    probe: str
    dimension: str
    problem: str


@dataclass(frozen=True, slots=True, kw_only=True)
class SoulTestResult:
    """A soul test. `scores` holds every answer's score, of all brains and conditions."""

    run: str
    folder: str
    settings: Mapping[str, Any]
    """What was asked, of whom and how: as in the run's file."""
    scored_with: str
    """sha256 of the suite whose checks gave the scores."""
    brains: Mapping[str, BrainResult]
    controls: Controls
    defects: tuple[Defect, ...]
    left_out: Mapping[str, str]
    """Probes of the suite that are not asked, and why."""
    scores: tuple[ProbeScore, ...] = field(repr=False)

    def as_dict(self, *, scores: bool = False) -> dict[str, Any]:
        """As JSON has it: all that is measured, and the run's name, stand under `measured`."""
        brains = {name: asdict(one) for name, one in self.brains.items()}
        measured = {name: one.pop("measured") for name, one in brains.items()}
        data = {
            "settings": dict(self.settings),
            "scored_with": self.scored_with,
            "brains": brains,
            "controls": asdict(self.controls),
            "defects": [asdict(one) for one in self.defects],
            "left_out": dict(self.left_out),
        }
        if scores:
            data["scores"] = [one.as_dict() for one in self.scores]
        return {**data, "measured": {"run": self.run, "folder": self.folder, "brains": measured}}
