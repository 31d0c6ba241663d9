"""The results of a soul test: scores with their intervals by brain and dimension, and a verdict on each brain.

None is unknown: not scored, or only one side of a comparison. `as_dict` puts times, cost and cache counts under
`measured`; the rest is the same bytes whenever a deterministic brain is tested again.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from decimal import Decimal
from typing import Any, Literal, TypeAlias

from cervella.evaluation.records import Condition
from cervella.evaluation.soul_test.scoring import ProbeScore
from cervella.evaluation.statistics.intervals import Estimate
from cervella.evaluation.statistics.statistics import Difference, Drift

SoulVerdict: TypeAlias = Literal["PASS", "CONDITIONAL", "FAIL", "INCOMPLETE"]


@dataclass(frozen=True, slots=True, kw_only=True)
class HardFailure:
    """An answer that failed a hard probe."""

    probe: str
    dimension: str
    variant: int
    repeat: int
    turn: int
    failed: tuple[str, ...]
    """The checks that failed, with their details."""


@dataclass(frozen=True, slots=True, kw_only=True)
class DimensionResult:
    """One brain in one dimension. Intervals are over probes, whose paraphrases, repeats and turns are averaged."""

    dimension: str
    score: Estimate | None
    """Mean of the probes' scores, 0 to 1."""
    passed: Estimate | None
    """Share of answers in which all checks pass, averaged within each probe."""
    controls: Mapping[Condition, float | None]
    """Mean scores of the same probes, as written, without the soul and with a scrambled one."""
    discrimination: Mapping[Condition, Difference | None]
    """The score with the soul minus the control's."""
    perfect: float | None
    """The score of the scripted perfect brain on the same probes."""
    flatterer: float | None
    """The score of the scripted flatterer on the same probes."""
    hard_failures: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Abstention:
    """How well she says that she does not know exactly where the passages do not answer."""

    precision: float | None
    """Share of her abstentions that are right."""
    recall: float | None
    """Share of the unanswerable questions on which she abstains."""
    f1: float | None
    unanswerable: int
    """Number of answers to questions that the passages do not answer."""
    answerable: int
    """Number of answers to their twins, which the passages answer."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Measured:
    """Time, cache and cost, which differ from run to run. None is unknown."""

    seconds: float | None
    """Sum over all answers."""
    seconds_p50: float | None
    seconds_p95: float | None
    first_token_p50: float | None
    first_token_p95: float | None
    tokens_per_second: float | None
    """Generated tokens, over the answers whose tokens and seconds are known."""
    cache_read_tokens: int | None
    """Prompt tokens served from the engine's prefix cache."""
    cost_usd: Decimal | None
    """None if the cost of one answer is not known."""


@dataclass(frozen=True, slots=True, kw_only=True)
class BrainResult:
    """The result of one brain."""

    brain: str
    models: tuple[str, ...]
    """The weights that answered."""
    location: str
    verdict: SoulVerdict
    reasons: tuple[str, ...]
    """Why the verdict is not better, and remarks on it."""
    total: Estimate | None
    """The mean of the dimensions' scores, with the soul, 0 to 1."""
    passed: Estimate | None
    """The mean over dimensions of the share of answers in which all checks pass."""
    dimensions: tuple[DimensionResult, ...]
    hard_failures: tuple[HardFailure, ...]
    discrimination: Mapping[Condition, Difference | None]
    """The score with the soul minus the control's, over all dimensions. If it is not above 0, the Constitution makes no
    difference."""
    self_agreement: Estimate | None
    """Share of pairs of wordings of one probe that both pass or both fail."""
    pair_consistency: Estimate | None
    """Share of twins (a claim and its opposite) that both pass: the answers follow the facts, not the person."""
    abstention: Abstention | None
    drift: Drift | None
    """The slope of the score per turn of a conversation, and the score at the last turn minus that at the first."""
    planned: int
    """Number of answers in the plan."""
    answered: int
    errors: Mapping[str, int]
    """Number of errors by code. Their answers are missing: they are neither failed nor left out."""
    empty: int
    """Number of empty answers and refusals; they score 0."""
    at_limit: int
    """Number of answers that broke off at the token limit; the checks saw the text until there."""
    cut: Mapping[str, int]
    """Number of answers whose prompt was not sent as planned, by reason: removed by a shield, temperature refused."""
    not_scored: Mapping[str, int]
    """Number of checks that could not be scored (no embedder, no judge) and of answers without a score, by reason."""
    numbers: Mapping[str, int]
    """Number of scored checks, by `Checked.how`: deterministic, embedder, judge, human."""
    input_tokens: int | None
    """Sum of what the engine reported; None if it reported nothing."""
    output_tokens: int | None
    """The same for generated tokens."""
    measured: Measured


@dataclass(frozen=True, slots=True, kw_only=True)
class Controls:
    """The scores of the scripted brains on these probes, over all dimensions."""

    perfect: float | None
    flatterer: float | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Defect:
    """A probe that does not tell a perfect answer from a flatterer's, which is a fault of the suite."""

    probe: str
    dimension: str
    problem: str


@dataclass(frozen=True, slots=True, kw_only=True)
class SoulTestResult:
    """The result of a soul test."""

    run: str
    folder: str
    settings: Mapping[str, Any]
    """The settings of the run, as in its file."""
    scored_with: str
    """sha256 of the suite whose checks were used."""
    brains: Mapping[str, BrainResult]
    controls: Controls
    defects: tuple[Defect, ...]
    left_out: Mapping[str, str]
    """Id of each probe of the suite that is not asked → the reason."""
    scores: tuple[ProbeScore, ...] = field(repr=False)
    """The scores of all answers, of all brains and conditions."""

    def as_dict(self, *, scores: bool = False) -> dict[str, Any]:
        """Plain values for JSON; times, cost, cache counts and the run's name are under `measured`."""
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
            data["scores"] = [asdict(one) for one in self.scores]
        return {**data, "measured": {"run": self.run, "folder": self.folder, "brains": measured}}
