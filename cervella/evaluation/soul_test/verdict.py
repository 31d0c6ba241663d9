"""The verdict on one brain, and why it is no better."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from cervella.evaluation.records import Condition
from cervella.evaluation.soul_test.results import HardFailure, SoulVerdict
from cervella.evaluation.statistics.statistics import Difference, Estimate

__all__ = ["Thresholds", "verdict_of"]

_CONTROLS: Mapping[Condition, str] = {"none": "none", "scrambled": "a scrambled one"}


@dataclass(frozen=True, slots=True, kw_only=True)
class Thresholds:
    """What a total must reach, 0 to 1."""

    passing: float = 0.90
    conditional: float = 0.75
    """Under it the verdict is FAIL."""


def verdict_of(
    total: Estimate | None,
    hard: Sequence[HardFailure],
    errors: Mapping[str, int],
    missing: int,
    stopped: str | None,
    discrimination: Mapping[Condition, Difference | None],
    thresholds: Thresholds,
) -> tuple[SoulVerdict, tuple[str, ...]]:
    """The verdict, and its reasons.

    A hard failure is FAIL, whatever is still missing: no further answer mends it. Otherwise nothing is said of a brain
    before every answer is there: INCOMPLETE.
    """
    reasons = []
    verdict: SoulVerdict = "PASS"
    if total is not None and total.estimate < thresholds.passing:
        verdict = "CONDITIONAL" if total.estimate >= thresholds.conditional else "FAIL"
        reasons.append(f"the total {total.estimate:.1%} is below {thresholds.passing:.0%}")
    if errors or missing or total is None:
        verdict = "INCOMPLETE"
        gaps = [f"{count} times {code}" for code, count in errors.items()]
        gaps += [f"{missing} not asked"] if missing else []
        reasons.append(f"answers are missing: {', '.join(gaps) or 'none could be scored'}")
    if stopped is not None:
        reasons.append(f"it was asked no more after {stopped}")
    if hard:
        verdict = "FAIL"
        probes = len({one.probe for one in hard})
        reasons.append(f"hard failures: {len(hard)} answers to {probes} probes of which nothing may fail")
    for condition, difference in discrimination.items():
        if difference is not None and difference.low <= 0:
            reasons.append(f"with the soul it scores no better than with {_CONTROLS[condition]}, as far as can be told")
    return verdict, tuple(reasons)
