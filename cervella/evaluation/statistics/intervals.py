"""Computes means with their 95 % intervals: by the bootstrap, or by Wilson's formula if all values are equal."""

from __future__ import annotations

import math
import warnings
from collections import Counter
from collections.abc import Hashable, Sequence
from dataclasses import dataclass
from statistics import NormalDist
from typing import Any

from cervella.errors import EvaluationError

CONFIDENCE = 0.95
DRAWS = 10_000
"""By default, the number of resamples of a bootstrap and of permutations of a test."""
SEED = 20260109
AT_ONCE = 2_000_000
"""Resamples are drawn in batches of at most this many numbers, so that they fit into memory."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Estimate:
    """A mean, a share, a slope or an agreement, with the interval from `low` to `high`."""

    estimate: float
    low: float
    high: float
    n: int
    """Number of probes, questions or clusters behind the estimate."""
    method: str
    """How the interval was computed: `bca`, `percentile` (where BCa gives no finite interval), `wilson` or `t`."""


def wilson(passed: float, n: int, *, confidence: float = CONFIDENCE) -> Estimate | None:
    """The share `passed` / `n` with its score interval (Wilson 1927); None if n is 0.

    >>> share = wilson(17, 18)
    >>> f"{share.low:.0%} to {share.high:.0%}"
    '74% to 99%'
    """
    check_finite([passed])
    if not 0 <= passed <= n:
        raise EvaluationError(f"{passed} of {n} is no share.", remedy="Give counts with 0 <= passed <= n.")
    if n == 0:
        return None
    z2 = NormalDist().inv_cdf((1 + confidence) / 2) ** 2
    share = passed / n
    middle = (share + z2 / (2 * n)) / (1 + z2 / n)
    half = math.sqrt(z2 * (share * (1 - share) / n + z2 / (4 * n * n))) / (1 + z2 / n)
    low = 0.0 if passed == 0 else max(0.0, middle - half)
    high = 1.0 if passed == n else min(1.0, middle + half)
    return Estimate(estimate=share, low=low, high=high, n=n, method="wilson")


def mean_interval(
    values: Sequence[float],
    *,
    strata: Sequence[Hashable] | None = None,
    bounds: tuple[float, float] = (0.0, 1.0),
    draws: int = DRAWS,
    seed: int = SEED,
) -> Estimate | None:
    """The mean with its BCa bootstrap interval (Efron 1987); None if there are no values.

    `strata` gives the dimension of each value. The estimate is then the mean of the dimensions' means, so a value
    weighs more the fewer values its dimension has. Resamples are drawn from all dimensions together, because two or
    three values of one dimension show too little of its standard deviation. Where the dimensions differ, the interval
    is wider than it need be, never narrower. If all values are equal, the interval is that of `all_equal`.
    """
    check_finite(values)
    if not len(values):
        return None
    own = [float(value) for value in values]
    if strata is not None:
        check_paired(own, strata)
        weights = stratum_weights(strata)
        mean = math.fsum(weight * value for weight, value in zip(weights, own, strict=True)) / len(own)
        # Weighted around their mean: equal values stay equal, whatever their weights.
        own = [mean + weight * (value - mean) for weight, value in zip(weights, own, strict=True)]
    return bootstrapped([own], _mean, bounds=bounds, draws=draws, seed=seed)


def kappa(a: Sequence[Hashable], b: Sequence[Hashable], *, draws: int = DRAWS, seed: int = SEED) -> Estimate | None:
    """Agreement of two raters beyond chance (Cohen 1960), with a bootstrap interval over the items.

    None if there are no items, or if both raters give the same grade to all: chance alone explains that. If all
    resamples have the same agreement, the interval is that of `all_equal`.

    >>> a = ["yes"] * 25 + ["no"] * 25
    >>> b = ["yes"] * 20 + ["no"] * 5 + ["yes"] * 10 + ["no"] * 15
    >>> round(kappa(a, b).estimate, 3)
    0.4
    """
    import numpy as np

    check_paired(a, b)
    grades = {grade: number for number, grade in enumerate(dict.fromkeys([*a, *b]))}
    if len(grades) < 2:
        return None
    table = np.zeros((len(a), len(grades), len(grades)))
    for row, (x, y) in enumerate(zip(a, b, strict=True)):
        table[row, grades[x], grades[y]] = 1

    def agreement(counts: Any) -> Any:
        n = counts.sum(axis=(-2, -1))
        observed = np.trace(counts, axis1=-2, axis2=-1) / n
        chance = (counts.sum(axis=-1) * counts.sum(axis=-2)).sum(axis=-1) / n**2
        with np.errstate(invalid="ignore", divide="ignore"):
            return (observed - chance) / (1 - chance)

    estimate = float(agreement(table.sum(axis=0)))
    drawn = np.random.default_rng(seed).multinomial(len(a), np.full(len(a), 1 / len(a)), size=draws)
    replicas = agreement(np.tensordot(drawn, table, axes=1))
    replicas = replicas[np.isfinite(replicas)]
    if not replicas.size or np.ptp(replicas) < 1e-12:
        return all_equal(estimate, len(a), (-1.0, 1.0))
    low, high = np.quantile(replicas, [(1 - CONFIDENCE) / 2, (1 + CONFIDENCE) / 2])
    return Estimate(estimate=estimate, low=float(low), high=float(high), n=len(a), method="percentile")


def cluster_means(values: Sequence[float], clusters: Sequence[Hashable]) -> dict[Hashable, float]:
    """The mean of each cluster (the repeats and paraphrases of one probe), in the order in which clusters appear.

    >>> cluster_means([1.0, 0.0, 1.0], ["p1", "p1", "p2"])
    {'p1': 0.5, 'p2': 1.0}
    """
    check_finite(values)
    return {name: math.fsum(own) / len(own) for name, own in grouped(values, clusters).items()}


def stratum_weights(strata: Sequence[Hashable]) -> list[float]:
    """A weight for each value, 1 on average, so that the weighted mean of all values is the mean of the strata's means.

    `strata` gives the group (stratum) of each value.

    >>> stratum_weights(["a", "a", "a", "b"])
    [0.6666666666666666, 0.6666666666666666, 0.6666666666666666, 2.0]
    """
    sizes = Counter(strata)
    return [len(strata) / (len(sizes) * sizes[stratum]) for stratum in strata]


def _mean(group: Any, axis: int = -1) -> Any:
    # BCa counts the resamples that equal the estimate: rounding keeps them equal whatever the order of a sum.
    return group.mean(axis=axis).round(12)


def bootstrapped(
    groups: Sequence[Sequence[float]],
    statistic: Any,
    *,
    bounds: tuple[float, float],
    draws: int,
    seed: int,
) -> Estimate:
    """The value of `statistic` on these groups of values, with a bootstrap interval limited to `bounds`.

    The first interval that is finite is used: BCa, then percentile, then that of `all_equal`.
    """
    import numpy as np

    data = [np.asarray(group) for group in groups]
    n = sum(len(group) for group in data)
    estimate = float(statistic(*data, axis=-1))
    if all(np.ptp(group) <= 1e-12 for group in data):
        return all_equal(estimate, n, bounds)
    stats = scipy_stats()
    # scipy refuses a sample of one value. Two copies of it give the same resamples.
    data = [group if len(group) > 1 else np.repeat(group, 2) for group in data]
    for method in ("BCa", "percentile"):
        with warnings.catch_warnings(), np.errstate(invalid="ignore", divide="ignore"):
            warnings.simplefilter("ignore", stats.DegenerateDataWarning)
            found = stats.bootstrap(
                data,
                statistic,
                n_resamples=draws,
                batch=max(1, AT_ONCE // n),
                vectorized=True,
                confidence_level=CONFIDENCE,
                method=method,
                rng=np.random.default_rng(seed),
            ).confidence_interval
        low, high = float(found.low), float(found.high)
        if math.isfinite(low) and math.isfinite(high):
            low, high = max(bounds[0], low), min(bounds[1], high)
            return Estimate(
                estimate=estimate, low=min(low, estimate), high=max(high, estimate), n=n, method=method.lower()
            )
    return all_equal(estimate, n, bounds)


def scipy_stats() -> Any:
    """The module `scipy.stats`, loaded at the first call. An evaluation calls this before it asks any brain.

    Raises EvaluationError, code `scipy_missing`, where it can't be imported.
    """
    try:
        from scipy import stats
    except ImportError as error:
        raise EvaluationError(
            f"scipy, which soul tests and comparisons take their intervals from, can't be imported: {error}.",
            remedy='Install it: `pip install "cervella[evaluation]"`.',
            code="scipy_missing",
        ) from error
    return stats


def all_equal(value: float, n: int, bounds: tuple[float, float], confidence: float = CONFIDENCE) -> Estimate:
    """The interval of n equal values, which a bootstrap can't give.

    Other values were seen 0 times in n; their share may still be as large as the upper limit of Wilson's interval of
    0 in n. With the bounds 0 and 1, the interval of the value 1 is Wilson's own interval of n in n.
    """
    unseen = wilson(0, n, confidence=confidence)
    share = 1.0 if unseen is None else unseen.high
    low, high = value - share * (value - bounds[0]), value + share * (bounds[1] - value)
    return Estimate(estimate=value, low=low, high=high, n=n, method="wilson")


def grouped(values: Sequence[Any], labels: Sequence[Hashable]) -> dict[Hashable, list[Any]]:
    """The values of each label, in the order in which labels appear."""
    check_paired(values, labels)
    groups: dict[Hashable, list[Any]] = {}
    for value, label in zip(values, labels, strict=True):
        groups.setdefault(label, []).append(value)
    return groups


def check_paired(a: Sequence[Any], b: Sequence[Any]) -> None:
    if len(a) != len(b):
        raise EvaluationError(
            f"{len(a)} values do not pair with {len(b)}.", remedy="Give the scores of the same probes, in one order."
        )


def check_finite(values: Sequence[float]) -> None:
    for value in values:
        if not math.isfinite(value):
            raise EvaluationError(
                f"A score is {value}.", remedy="Leave out the probes that were not scored.", code="bad_score"
            )
