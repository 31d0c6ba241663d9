"""Tests the scores of probes: paired differences, drift over turns, equivalence.

Give one value for each probe or question; average its repeats before (`cluster_means`). Resamples come from a seeded
generator: the same scores give the same bytes. scipy (the extra `evaluation`) is imported at the first call that needs
it. A value that is not a finite number is an error, never skipped.
"""

from __future__ import annotations

import math
from collections.abc import Hashable, Sequence
from dataclasses import asdict, dataclass
from typing import Any

from cervella.errors import EvaluationError
from cervella.evaluation.statistics.intervals import (
    AT_ONCE,
    DRAWS,
    SEED,
    Estimate,
    all_equal,
    bootstrapped,
    check_finite,
    check_paired,
    grouped,
    mean_interval,
    scipy_stats,
    stratum_weights,
)

_ALPHA = 0.05
"""The level of each of the two one-sided tests of an equivalence."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Difference(Estimate):
    """The mean of a - b, where a and b are the scores of two brains, or of two conditions, on the same probes."""

    p: float
    """Two-sided p value of the permutation test that swaps a and b within a probe. It is not corrected for the
    comparison of several brains."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Drift(Estimate):
    """The change of a score, 0 to 1, with each further turn of a conversation."""

    delta: Estimate | None
    """Score at the last turn minus score at the first; None if no conversation has both."""


@dataclass(frozen=True, slots=True, kw_only=True)
class McNemar:
    """The result of McNemar's exact test on pairs: a and b each passed or failed the same probe."""

    only_a: int
    """Number of pairs in which a passed and b failed."""
    only_b: int
    n: int
    """Number of all pairs."""
    p: float
    """The p value, two-sided and exact."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Equivalence(Estimate):
    """Two one-sided tests (alpha 0.05) on the paired difference, with the 90 % interval that belongs to them."""

    margin: float
    """The largest difference that counts as none, 0 to 1."""
    p: float | None
    """The p value of the two tests; None if all differences are equal, because then the interval alone decides."""
    equivalent: bool
    power: float | None
    """Probability of finding equivalence at this n and standard deviation if the true difference were 0; None if all
    differences are equal."""


def paired_difference(
    a: Sequence[float],
    b: Sequence[float],
    *,
    strata: Sequence[Hashable] | None = None,
    draws: int = DRAWS,
    seed: int = SEED,
) -> Difference | None:
    """The mean of a - b over the same probes, scores 0 to 1, by a paired BCa bootstrap and a permutation test.

    None if there are no pairs. `strata` gives the dimension of each pair, as in `mean_interval`. The permutation test
    is exact if `draws` is at least the number of possible swaps.
    """
    _check_pairs(a, b)
    differences = [float(x) - float(y) for x, y in zip(a, b, strict=True)]
    found = mean_interval(differences, strata=strata, bounds=(-1.0, 1.0), draws=draws, seed=seed)
    if found is None:
        return None
    return Difference(**asdict(found), p=_permutation_p(differences, strata, draws=draws, seed=seed))


def holm(ps: Sequence[float]) -> tuple[float, ...]:
    """p values corrected for multiple tests (Holm 1979), in the order given.

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
    """McNemar's exact test of whether a passes more or fewer of the same probes than b; None if there are no pairs."""
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
    draws: int = DRAWS,
    seed: int = SEED,
) -> Drift | None:
    """The slope of the score per turn within a cluster (a probe's conversation), with an interval over the clusters.

    None if no cluster has two different turns. Each cluster's mean turn and mean score are subtracted first: hard
    probes that are asked late are not drift.
    """
    import numpy as np

    _check_pairs(turns, scores)
    conversations = grouped(list(zip(turns, scores, strict=True)), clusters).values()
    products, squares, ends = [], [], []
    steepest, first, last = 0.0, min(turns, default=0), max(turns, default=0)
    for rows in conversations:
        own = np.asarray(rows, dtype=float)
        x, y = (own - own.mean(axis=0)).T
        if x.any():
            products.append(float(x @ y))
            squares.append(float(x @ x))
            # The steepest slope of scores between 0 and 1: 0 before the mean turn, 1 after it.
            steepest = max(steepest, float(x[x > 0].sum() / (x @ x)))
        at_first = [score for turn, score in rows if turn == first]
        at_last = [score for turn, score in rows if turn == last]
        if at_first and at_last:
            ends.append(math.fsum(at_last) / len(at_last) - math.fsum(at_first) / len(at_first))
    if not products:
        return None
    pairs = np.asarray([products, squares])

    def slope(index: Any, axis: int = -1) -> Any:
        sums = pairs[:, index].sum(axis=axis)
        return sums[0] / sums[1]

    own_slopes = pairs[0] / pairs[1]
    bounds = (-steepest, steepest)
    if np.ptp(own_slopes) < 1e-12:
        found = all_equal(float(own_slopes[0]), len(products), bounds)
    else:
        found = bootstrapped([range(len(products))], slope, bounds=bounds, draws=draws, seed=seed)
    return Drift(**asdict(found), delta=mean_interval(ends, bounds=(-1.0, 1.0), draws=draws, seed=seed))


def non_inferior(difference: Estimate, margin: float) -> bool:
    """Whether the whole interval of a - b lies above -margin, so that a is worse than b by at most `margin`."""
    return difference.low > -_positive(margin)


def tost(a: Sequence[float], b: Sequence[float], margin: float) -> Equivalence | None:
    """Whether the paired means differ by less than `margin` either way (Schuirmann 1987); None for less than two pairs.

    If all differences are equal, there is no standard deviation to test with, and the interval of `all_equal` decides.
    """
    import numpy as np

    _check_pairs(a, b)
    _positive(margin)
    n = len(a)
    if n < 2:
        return None
    differences = np.asarray(a, dtype=float) - np.asarray(b, dtype=float)
    mean, error = float(differences.mean()), float(differences.std(ddof=1) / math.sqrt(n))
    if np.ptp(differences) < 1e-12:
        found = all_equal(mean, n, (-1.0, 1.0), 1 - 2 * _ALPHA)
        inside = -margin < found.low and found.high < margin
        return Equivalence(**asdict(found), margin=margin, p=None, equivalent=inside, power=None)
    t = scipy_stats().t
    p = float(max(t.sf((mean + margin) / error, n - 1), t.cdf((mean - margin) / error, n - 1)))
    half = float(t.isf(_ALPHA, n - 1)) * error
    return Equivalence(
        estimate=mean,
        low=mean - half,
        high=mean + half,
        n=n,
        method="t",
        margin=margin,
        p=p,
        equivalent=p < _ALPHA,
        power=tost_power(error, n - 1, margin),
    )


def tost_power(error: float, df: int, margin: float, *, difference: float = 0.0) -> float:
    """Probability that two one-sided tests find equivalence if the true difference is `difference`.

    By the noncentral t distribution (Phillips 1990). `error` is the standard error of the difference.
    """
    stats = scipy_stats()
    critical = float(stats.t.isf(_ALPHA, df))
    upper = float(stats.nct.cdf(-critical, df, (difference - margin) / error))
    lower = float(stats.nct.cdf(critical, df, (difference + margin) / error))
    power = upper - lower
    return max(0.0, min(1.0, power)) if math.isfinite(power) else 0.0


def _permutation_p(differences: Sequence[float], strata: Sequence[Hashable] | None, *, draws: int, seed: int) -> float:
    """Two-sided p value of the mean difference, if each difference could as well have the other sign.

    With `strata` the mean is that of the strata's means.
    """
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


def _check_pairs(a: Sequence[float], b: Sequence[float]) -> None:
    check_paired(a, b)
    check_finite(a)
    check_finite(b)


def _positive(margin: float) -> float:
    if not (math.isfinite(margin) and margin > 0):
        raise EvaluationError(f"The margin is {margin}.", remedy="Give a share above 0, as 0.10 for ten points.")
    return margin
