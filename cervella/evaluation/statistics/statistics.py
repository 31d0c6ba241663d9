"""What scores allow one to say: intervals, paired differences, drift, equivalence, agreement.

The unit is the probe (or the question): give one value for each, repeats averaged before (`cluster_means`). Every draw
comes from a seeded generator, so that the same scores give the same bytes. scipy (the extra
`evaluation`) is imported at the first call that needs it. A value that is no finite number is refused, never skipped.
"""

from __future__ import annotations

import math
from collections.abc import Hashable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from cervella.errors import EvaluationError
from cervella.evaluation.statistics.intervals import (
    AT_ONCE,
    CONFIDENCE,
    DRAWS,
    SEED,
    Estimate,
    all_equal,
    bootstrapped,
    check_finite,
    check_paired,
    cluster_means,
    grouped,
    kappa,
    mean_interval,
    scipy_stats,
    stratum_weights,
    wilson,
)

__all__ = [
    "DRAWS",
    "SEED",
    "Difference",
    "Drift",
    "Equivalence",
    "Estimate",
    "McNemar",
    "cluster_means",
    "drift_slope",
    "holm",
    "kappa",
    "mcnemar",
    "mean_interval",
    "non_inferior",
    "paired_difference",
    "tost",
    "tost_power",
    "wilson",
]


@dataclass(frozen=True, slots=True, kw_only=True)
class Difference(Estimate):
    """The mean of a - b over the same probes."""

    p: float
    """Two-sided, of the permutation test that swaps a and b within a probe; not yet corrected for many brains."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Drift(Estimate):
    """How much of a score is lost or won with each further turn of a conversation."""

    delta: Estimate | None
    """Score at the last turn minus score at the first; None where no cluster has both."""


@dataclass(frozen=True, slots=True, kw_only=True)
class McNemar:
    """Passed and failed in pairs."""

    only_a: int
    """Pairs in which a alone passed."""
    only_b: int
    n: int
    p: float
    """Two-sided, exact."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Equivalence(Estimate):
    """Two one-sided tests on the paired difference; the interval is the one of 1 - 2 alpha that belongs to them."""

    margin: float
    p: float | None
    """None where the differences are all one: then the interval alone decides."""
    equivalent: bool
    power: float | None
    """Chance to find equivalence at this n and this spread if the true difference were 0; None without a spread."""


def paired_difference(
    a: Sequence[float],
    b: Sequence[float],
    *,
    strata: Sequence[Hashable] | None = None,
    confidence: float = CONFIDENCE,
    draws: int = DRAWS,
    seed: int = SEED,
) -> Difference | None:
    """The mean of a - b over the same probes, scores 0 to 1: paired BCa bootstrap, and a permutation test; None of
    nothing.

    `strata` as in `mean_interval`. The permutation test is exact where there are few enough ways to swap.
    """
    _paired(a, b)
    differences = [float(x) - float(y) for x, y in zip(a, b, strict=True)]
    found = mean_interval(differences, strata=strata, bounds=(-1.0, 1.0), confidence=confidence, draws=draws, seed=seed)
    if found is None:
        return None
    return Difference(**_fields(found), p=_permutation_p(differences, strata, draws=draws, seed=seed))


def holm(ps: Sequence[float]) -> tuple[float, ...]:
    """p values corrected for being several (Holm 1979), in the order given.

    >>> [round(p, 3) for p in holm([0.01, 0.04, 0.03, 0.005])]
    [0.03, 0.06, 0.06, 0.02]
    """
    check_finite(ps)
    corrected = [0.0] * len(ps)
    highest = 0.0
    for rank, index in enumerate(sorted(range(len(ps)), key=lambda index: ps[index])):
        highest = max(highest, min(1.0, (len(ps) - rank) * ps[index]))
        corrected[index] = highest
    return tuple(corrected)


def mcnemar(a: Sequence[bool], b: Sequence[bool]) -> McNemar | None:
    """Whether one of two passes more often over the same probes: McNemar's test, exact; None of nothing."""
    check_paired(a, b)
    if not len(a):
        return None
    only_a = sum(bool(x) and not y for x, y in zip(a, b, strict=True))
    only_b = sum(bool(y) and not x for x, y in zip(a, b, strict=True))
    p = 1.0
    if only_a + only_b:
        p = float(scipy_stats().binomtest(only_a, only_a + only_b).pvalue)
    return McNemar(only_a=only_a, only_b=only_b, n=len(a), p=p)


def drift_slope(
    turns: Sequence[float],
    scores: Sequence[float],
    clusters: Sequence[Hashable],
    *,
    confidence: float = CONFIDENCE,
    draws: int = DRAWS,
    seed: int = SEED,
) -> Drift | None:
    """The score's slope per turn within a cluster (a probe's conversation), clusters drawn whole; None where no cluster
    has two different turns.

    Each cluster is its own control: its mean turn and mean score are taken out first, so that hard probes asked late
    are no drift.
    """
    import numpy as np

    check_paired(turns, scores)
    check_paired(turns, clusters)
    check_finite(turns)
    check_finite(scores)
    products, squares, ends = [], [], []
    steepest = 0.0
    for rows in grouped(list(zip(turns, scores, strict=True)), clusters).values():
        own = np.asarray(rows, dtype=float)
        x, y = (own - own.mean(axis=0)).T
        if x.any():
            products.append(float(x @ y))
            squares.append(float(x @ x))
            # The steepest that scores between 0 and 1 can be: 0 before the mean turn, 1 after it.
            steepest = max(steepest, float(x[x > 0].sum() / (x @ x)))
    if not products:
        return None
    first, last = min(turns), max(turns)
    for rows in grouped(list(zip(turns, scores, strict=True)), clusters).values():
        at_first = [score for turn, score in rows if turn == first]
        at_last = [score for turn, score in rows if turn == last]
        if at_first and at_last:
            ends.append(math.fsum(at_last) / len(at_last) - math.fsum(at_first) / len(at_first))
    pairs = np.asarray([products, squares])

    def slope(index: Any, axis: int = -1) -> Any:
        sums = pairs[:, index].sum(axis=axis)
        return sums[0] / sums[1]

    own_slopes = pairs[0] / pairs[1]
    options: dict[str, Any] = {"confidence": confidence, "draws": draws, "seed": seed}
    if np.ptp(own_slopes) < 1e-12:
        found = all_equal(float(own_slopes[0]), len(products), (-steepest, steepest), confidence)
    else:
        found = bootstrapped([list(range(len(products)))], slope, bounds=(-steepest, steepest), **options)
    return Drift(**_fields(found), delta=mean_interval(ends, bounds=(-1.0, 1.0), **options))


def non_inferior(difference: Estimate, margin: float) -> bool:
    """Whether the whole interval of a - b lies above -margin: a is at most `margin` worse than b, if worse at all."""
    return difference.low > -_positive(margin)


def tost(a: Sequence[float], b: Sequence[float], margin: float, *, alpha: float = 0.05) -> Equivalence | None:
    """Whether the paired means differ by less than `margin` either way (Schuirmann 1987); None under two pairs.

    Differences that are all one have no spread to test with: Wilson's interval decides.
    """
    import numpy as np

    _paired(a, b)
    _positive(margin)
    n = len(a)
    if n < 2:
        return None
    differences = np.asarray(a, dtype=float) - np.asarray(b, dtype=float)
    mean, error = float(differences.mean()), float(differences.std(ddof=1) / math.sqrt(n))
    if np.ptp(differences) < 1e-12:
        found = all_equal(mean, n, (-1.0, 1.0), 1 - 2 * alpha)
        inside = -margin < found.low and found.high < margin
        return Equivalence(**_fields(found), margin=margin, p=None, equivalent=inside, power=None)
    t = scipy_stats().t
    p = float(max(t.sf((mean + margin) / error, n - 1), t.cdf((mean - margin) / error, n - 1)))
    half = float(t.isf(alpha, n - 1)) * error
    return Equivalence(
        estimate=mean,
        low=mean - half,
        high=mean + half,
        n=n,
        method="t",
        margin=margin,
        p=p,
        equivalent=p < alpha,
        power=tost_power(error, n - 1, margin, alpha=alpha),
    )


def tost_power(error: float, df: int, margin: float, *, difference: float = 0.0, alpha: float = 0.05) -> float:
    """Chance that two one-sided tests find equivalence where the true difference is `difference`, by the noncentral t
    (Phillips 1990). `error` is the standard error of the difference."""
    stats = scipy_stats()
    critical = float(stats.t.isf(alpha, df))
    upper = float(stats.nct.cdf(-critical, df, (difference - margin) / error))
    lower = float(stats.nct.cdf(critical, df, (difference + margin) / error))
    power = upper - lower
    return max(0.0, min(1.0, power)) if math.isfinite(power) else 0.0


def _permutation_p(differences: Sequence[float], strata: Sequence[Hashable] | None, *, draws: int, seed: int) -> float:
    """Two-sided, of the mean (of the strata's means) under swaps within pairs, which turn a difference's sign."""
    import numpy as np

    if len(differences) < 2 or not any(differences):
        return 1.0
    labels = [None] * len(differences) if strata is None else list(strata)
    halves = np.asarray(differences) * stratum_weights(labels) / 2

    def mean(a: Any, b: Any, axis: int) -> Any:
        return (a - b).mean(axis=axis)

    result = scipy_stats().permutation_test(
        (halves, -halves),
        mean,
        permutation_type="samples",
        vectorized=True,
        n_resamples=draws,
        batch=max(1, AT_ONCE // len(differences)),
        rng=np.random.default_rng(seed),
    )
    return float(result.pvalue)


def _fields(estimate: Estimate) -> Mapping[str, Any]:
    return {name: getattr(estimate, name) for name in ("estimate", "low", "high", "n", "method")}


def _paired(a: Sequence[float], b: Sequence[float]) -> None:
    check_paired(a, b)
    check_finite(a)
    check_finite(b)


def _positive(margin: float) -> float:
    if not (math.isfinite(margin) and margin > 0):
        raise EvaluationError(f"The margin is {margin}.", remedy="Give a share above 0, as 0.10 for ten points.")
    return margin
