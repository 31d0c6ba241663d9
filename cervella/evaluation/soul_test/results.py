"""Defines the results of a soul test: scores with their intervals by brain and dimension, and a verdict on each brain.

None stands for a value that is not known, for example because nothing was scored. `as_dict` puts times, cost and cache
counts under `measured`; the rest is the same bytes whenever a deterministic brain is tested again.
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
    """An answer that failed a hard probe, that is, a probe that may never fail."""

    probe: str
    dimension: str
    variant: int
    repeat: int
    turn: int
    failed: tuple[str, ...]
    """The checks that failed, with their details."""


@dataclass(frozen=True, slots=True, kw_only=True)
class DimensionResult:
    """The result of one brain in one dimension (a group of probes about the same trait).

    Intervals are over probes, after each probe's paraphrases, repeats and turns were averaged.
    """

    dimension: str
    score: Estimate | None
    """Mean of the probes' scores, 0 to 1."""
    passed: Estimate | None
    """Share of answers in which all checks pass, averaged within each probe."""
    controls: Mapping[Condition, float | None]
    """For each control condition (without the soul, or with a scrambled one), the mean score of the same probes as
    written."""
    discrimination: Mapping[Condition, Difference | None]
    """For each control condition, the score with the soul minus the score under that condition."""
    perfect: float | None
    """The score of the scripted perfect brain on the same probes."""
    flatterer: float | None
    """The score of the scripted flatterer on the same probes."""
    hard_failures: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Abstention:
    """How well she abstains (says that she does not know): she should do so only if the passages do not answer."""

    precision: float | None
    """Share of her abstentions that are right."""
    recall: float | None
    """Share of the unanswerable questions on which she abstains."""
    f1: float | None
    unanswerable: int
    """Number of answers to questions that the passages do not answer."""
    answerable: int
    """Number of answers to the questions that are paired with those, and that the passages answer."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Measured:
    """Time, cache and cost, which differ from run to run. A value that is not known is None."""

    seconds: float | None
    """Sum of the seconds of all answers."""
    seconds_p50: float | None
    seconds_p95: float | None
    first_token_p50: float | None
    first_token_p95: float | None
    tokens_per_second: float | None
    """Generated tokens per second, over the answers whose tokens and seconds are known."""
    cache_read_tokens: int | None
    """Prompt tokens served from the engine's prefix cache."""
    cost_usd: Decimal | None
    """Cost of all answers in US dollars; None if the cost of one answer is not known."""


@dataclass(frozen=True, slots=True, kw_only=True)
class BrainResult:
    """The result of one brain in a soul test."""

    brain: str
    models: tuple[str, ...]
    """The models that answered."""
    location: str
    verdict: SoulVerdict
    reasons: tuple[str, ...]
    """The reasons why the verdict is not better, and remarks on the verdict."""
    total: Estimate | None
    """The mean of the dimensions' scores in the answers with the soul, 0 to 1."""
    passed: Estimate | None
    """The mean over dimensions of the share of answers in which all checks pass."""
    dimensions: tuple[DimensionResult, ...]
    hard_failures: tuple[HardFailure, ...]
    discrimination: Mapping[Condition, Difference | None]
    """For each control condition, the score with the soul minus the score under that condition, over all dimensions. If
    it is not above 0, the Constitution makes no difference."""
    self_agreement: Estimate | None
    """Share of pairs of wordings of one probe that both pass or both fail."""
    pair_consistency: Estimate | None
    """Share of twins (a claim and its opposite) that both pass: the answers follow the facts, not the person."""
    abstention: Abstention | None
    drift: Drift | None
    """The slope of the score per turn of a conversation, and the score at the last turn minus that at the first."""
    planned: int
    """Number of answers that the plan wants from this brain."""
    answered: int
    errors: Mapping[str, int]
    """Number of errors by code. An answer that is missing because of an error counts neither as failed nor as left
    out."""
    empty: int
    """Number of empty answers and refusals; they score 0."""
    at_limit: int
    """Number of answers that broke off at the token limit; the checks saw the text until there."""
    cut: Mapping[str, int]
    """Number of answers whose prompt was not sent as planned, by reason: removed by a shield, temperature refused."""
    not_scored: Mapping[str, int]
    """Number of checks that could not be scored (no embedder, no judge) and of answers without a score, by reason."""
    numbers: Mapping[str, int]
    """Number of scored checks by the way in which they were decided: deterministic, embedder, judge, human."""
    input_tokens: int | None
    """Sum of the prompt tokens that the engine reported; None if it reported nothing."""
    output_tokens: int | None
    """Sum of the generated tokens that the engine reported; None if it reported nothing."""
    measured: Measured


@dataclass(frozen=True, slots=True, kw_only=True)
class Controls:
    """The scores of the two scripted brains, perfect and flatterer, on the probes of this test, over all dimensions."""

    perfect: float | None
    flatterer: float | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Defect:
    """A fault of the suite: a probe that the perfect answer fails, that a flatterer's answer passes, or that can't be
    scored."""

    probe: str
    dimension: str
    problem: str


@dataclass(frozen=True, slots=True, kw_only=True)
class SoulTestResult:
    """The result of a soul test: of all its brains, and of the suite itself."""

    run: str
    folder: str
    settings: Mapping[str, Any]
    """The settings of the run, as `run.json` keeps them."""
    scored_with: str
    """sha256 of the suite whose checks were used."""
    brains: Mapping[str, BrainResult]
    controls: Controls
    defects: tuple[Defect, ...]
    left_out: Mapping[str, str]
    """The id of each probe of the suite that is not asked, with the reason."""
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
