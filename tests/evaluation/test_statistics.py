"""Intervals, paired tests, drift, equivalence and agreement: against scipy, and against worked examples."""

from __future__ import annotations

import math
import random

import numpy as np
import pytest
from scipy import stats

from cervella.errors import EvaluationError
from cervella.evaluation.statistics.intervals import Estimate, cluster_means, kappa, mean_interval, wilson
from cervella.evaluation.statistics.statistics import (
    drift_slope,
    holm,
    mcnemar,
    non_inferior,
    paired_difference,
    tost,
    tost_power,
)

FEW = {"draws": 2000}


def passes(n: int, share: float, seed: int) -> list[float]:
    draw = random.Random(seed)
    return [float(draw.random() < share) for _ in range(n)]


# Newcombe, Statistics in Medicine 17 (1998) 857-872, table I, method 3.
@pytest.mark.parametrize(
    ("passed", "n", "low", "high"),
    [(81, 263, 0.2553, 0.3662), (15, 148, 0.0624, 0.1605), (0, 20, 0.0, 0.1611), (1, 29, 0.0061, 0.1718)],
)
def test_wilson_gives_newcombes_examples(passed, n, low, high):
    found = wilson(passed, n)
    assert (round(found.low, 4), round(found.high, 4)) == (low, high)


@pytest.mark.parametrize(("passed", "n"), [(17, 18), (0, 1), (1, 1), (3, 7), (120, 120)])
def test_wilson_is_scipys(passed, n):
    reference = stats.binomtest(passed, n).proportion_ci(method="wilson")
    found = wilson(passed, n)
    assert (found.low, found.high) == pytest.approx((reference.low, reference.high), abs=1e-12)


def test_seventeen_of_eighteen_are_74_to_99_percent():
    found = wilson(17, 18)
    assert f"{found.low:.0%} {found.high:.0%}" == "74% 99%"


def test_the_interval_of_a_mean_is_bca_as_efron_wrote_it():
    values = [*passes(60, 0.8, 1), 0.25, 0.5, 0.75]
    found = mean_interval(values)
    data = np.asarray(values)
    replicas = np.random.default_rng(7).choice(data, (40_000, len(data))).mean(axis=1)
    below = (np.mean(replicas < data.mean()) + np.mean(replicas <= data.mean())) / 2
    z0 = stats.norm.ppf(below)
    left_out = (data.sum() - data) / (len(data) - 1)
    from_mean = left_out.mean() - left_out
    acceleration = (from_mean**3).sum() / (6 * (from_mean**2).sum() ** 1.5)
    shares = [stats.norm.cdf(z0 + (z0 + z) / (1 - acceleration * (z0 + z))) for z in stats.norm.ppf([0.025, 0.975])]
    assert (found.low, found.high) == pytest.approx(tuple(np.quantile(replicas, shares)), abs=0.01)
    assert found.method == "bca"
    assert found.estimate == pytest.approx(data.mean())


def test_the_interval_of_a_difference_is_scipys_with_the_same_seed():
    a, b = passes(80, 0.9, 1), passes(80, 0.7, 2)
    found = paired_difference(a, b, seed=5)
    reference = stats.bootstrap(
        (np.subtract(a, b),), np.mean, n_resamples=10_000, batch=2_000_000 // 80, rng=np.random.default_rng(5)
    ).confidence_interval
    assert (found.low, found.high) == pytest.approx(tuple(reference), abs=1e-12)
    exact = stats.wilcoxon(a, b, zero_method="zsplit", method="asymptotic").pvalue
    assert found.p == pytest.approx(exact, abs=0.02)


def test_intervals_cover_the_truth_about_as_often_as_they_say():
    inside = 0
    for seed in range(200):
        found = mean_interval(passes(120, 0.85, seed), draws=1000)
        inside += found.low <= 0.85 <= found.high
    assert 0.90 <= inside / 200 <= 0.99


def test_the_total_of_strata_is_the_mean_of_their_means():
    values, strata = [1.0, 1.0, 1.0, 0.0, 0.0, 1.0], ["a", "a", "a", "a", "b", "b"]
    found = mean_interval(values, strata=strata, **FEW)
    assert found.estimate == pytest.approx((0.75 + 0.5) / 2)
    assert found.n == 6
    difference = paired_difference(values, [0.0] * 6, strata=strata, **FEW)
    assert difference.estimate == pytest.approx(0.625)


# Twelve dimensions, as alike as can be and very different, with as many probes each as a short run has.
@pytest.mark.parametrize("shares", [np.full(12, 0.7), np.linspace(0.1, 0.9, 12)], ids=["alike", "different"])
@pytest.mark.parametrize("probes", [1, 2, 3, 10])
def test_intervals_of_strata_cover_the_truth_however_small_the_strata(probes, shares):
    draw, rounds = np.random.default_rng(11), 150
    strata = list(np.repeat(np.arange(12), probes))
    inside = 0
    for _ in range(rounds):
        values = (draw.random((12, probes)) < shares[:, None]).ravel().astype(float)
        found = mean_interval(values, strata=strata, draws=200)
        inside += found.low <= shares.mean() <= found.high
    assert inside / rounds >= 0.92


def test_one_probe_a_stratum_has_the_spread_of_all():
    values, strata = [1.0, 0.0] * 6, list(range(12))
    found = mean_interval(values, strata=strata)
    assert found == mean_interval(values)
    assert found.high - found.low == pytest.approx(0.5, abs=0.1)
    beside = paired_difference(values, [0.0] * 12, strata=strata)
    assert (beside.low, beside.high) == pytest.approx((found.low, found.high))


def test_strata_that_each_agree_with_themselves_still_have_a_spread():
    found = mean_interval([1.0, 1.0, 0.0, 0.0] * 6, strata=[index // 2 for index in range(24)])
    assert (found.method, found.estimate) == ("bca", 0.5)
    assert found.high - found.low > 0.3


def test_weights_alone_are_no_spread():
    found = mean_interval([0.3] * 5, strata=["a", "a", "a", "a", "b"])
    assert found == mean_interval([0.3] * 5)
    assert found.method == "wilson"


def test_passed_and_failed_are_values():
    assert mean_interval([True, False]) == mean_interval([1.0, 0.0])
    assert mean_interval(np.asarray([True, False])) == mean_interval([1.0, 0.0])
    assert paired_difference([True, False], [False, False]) == paired_difference([1.0, 0.0], [0.0, 0.0])


def test_strata_of_one_and_all_equal_strata_do_not_stop_it():
    found = mean_interval([1.0, 1.0, 0.0, 1.0, 0.5], strata=["a", "a", "b", "b", "c"], **FEW)
    assert found.low < found.estimate < found.high


@pytest.mark.parametrize("value", [0.0, 1.0])
def test_equal_values_get_wilsons_interval(value):
    found = mean_interval([value] * 12)
    reference = wilson(12 * value, 12)
    assert (found.low, found.high) == pytest.approx((reference.low, reference.high))
    assert found.method == "wilson"


def test_equal_values_between_the_ends_get_an_interval_around_them():
    found = mean_interval([0.5] * 12)
    assert 0 < found.low < 0.5 < found.high < 1


def test_one_value_has_a_wide_interval_and_no_value_has_none():
    found = mean_interval([1.0])
    assert (found.low, found.high) == pytest.approx((0.2065, 1.0), abs=1e-4)
    assert mean_interval([]) is None
    assert wilson(0, 0) is None
    assert paired_difference([], []) is None
    assert mcnemar([], []) is None
    assert tost([1.0], [1.0], 0.1) is None
    assert kappa([], []) is None
    assert drift_slope([], [], []) is None
    assert paired_difference([1.0], [0.0]).p == 1.0


@pytest.mark.parametrize("bad", [math.nan, math.inf])
def test_what_is_no_number_is_refused(bad):
    for call in (
        lambda: mean_interval([1.0, bad]),
        lambda: paired_difference([1.0, bad], [1.0, 0.0]),
        lambda: tost([1.0, bad], [1.0, 0.0], 0.1),
        lambda: drift_slope([1, 2], [1.0, bad], ["p", "p"]),
        lambda: holm([0.5, bad]),
        lambda: cluster_means([bad], ["p"]),
        lambda: wilson(bad, 3),
    ):
        with pytest.raises(EvaluationError, match=str(bad)) as caught:
            call()
        assert caught.value.remedy


def test_what_does_not_pair_is_refused():
    with pytest.raises(EvaluationError, match="2 values do not pair with 1"):
        paired_difference([1.0, 0.0], [1.0])
    with pytest.raises(EvaluationError, match="margin"):
        non_inferior(Estimate(estimate=0.0, low=0.0, high=0.0, n=1, method="bca"), 0)


def test_the_same_scores_give_the_same_figures():
    a, b = passes(50, 0.9, 3), passes(50, 0.8, 4)
    assert paired_difference(a, b) == paired_difference(a, b)
    assert kappa([x > 0 for x in a], [x > 0 for x in b]) == kappa([x > 0 for x in a], [x > 0 for x in b])
    assert paired_difference(a, b) != paired_difference(a, b, seed=1)


def test_few_pairs_are_permuted_exactly():
    # Five pairs, all for a: of the 32 ways to swap, two are as far from 0.
    assert paired_difference([1.0] * 5, [0.0, 0.1, 0.2, 0.3, 0.4]).p == pytest.approx(2 / 32)


def test_swapping_the_two_turns_the_difference_round():
    a, b = passes(40, 0.9, 1), passes(40, 0.6, 2)
    forth, back = paired_difference(a, b), paired_difference(b, a)
    assert forth.estimate == pytest.approx(-back.estimate)
    assert forth.low == pytest.approx(-back.high, abs=0.03)


def test_a_brain_beside_itself_differs_by_nothing():
    found = paired_difference([1.0, 0.0, 0.5] * 40, [1.0, 0.0, 0.5] * 40)
    assert (found.estimate, found.p) == (0.0, 1.0)
    assert non_inferior(found, 0.05)


def test_too_few_probes_prove_no_equality():
    assert not non_inferior(paired_difference([1.0] * 5, [1.0] * 5), 0.10)


def test_holm_gives_the_textbook_example():
    # The worked example of Holm's method in Wikipedia, "Holm–Bonferroni method": at 0.05 the first and the last hold.
    assert holm([0.01, 0.04, 0.03, 0.005]) == pytest.approx([0.03, 0.06, 0.06, 0.02])
    assert holm([]) == ()
    assert holm([0.9, 0.8]) == (1.0, 1.0)


def test_mcnemar_is_the_binomial_test_of_the_discordant_pairs():
    a = [True] * 6 + [False] + [True] * 10
    b = [False] * 6 + [True] + [True] * 10
    found = mcnemar(a, b)
    assert (found.only_a, found.only_b, found.n) == (6, 1, 17)
    assert found.p == pytest.approx(2 * (math.comb(7, 0) + math.comb(7, 1)) / 2**7)
    assert mcnemar([True], [True]).p == 1.0


def test_the_slope_is_that_of_the_regression_with_every_probe_its_own_control():
    draw = random.Random(1)
    turns = [1, 4, 8, 16] * 10
    clusters = [index // 4 for index in range(40)]
    base = [draw.random() * 0.3 for _ in range(10)]
    scores = [0.9 - base[c] - 0.02 * t + draw.gauss(0, 0.02) for t, c in zip(turns, clusters, strict=True)]
    found = drift_slope(turns, scores, clusters)
    dummies = np.eye(10)[clusters]
    reference = np.linalg.lstsq(np.column_stack([turns, dummies]), np.asarray(scores), rcond=None)[0][0]
    assert found.estimate == pytest.approx(reference)
    assert found.low < -0.02 < found.high < 0
    assert found.n == 10
    assert found.delta.estimate == pytest.approx(np.mean([scores[4 * c + 3] - scores[4 * c] for c in range(10)]))


def test_hard_probes_asked_late_are_no_drift():
    turns, scores, clusters = [1, 2, 15, 16] * 2, [1.0, 1.0, 0.0, 0.0] * 2, [0, 0, 1, 1, 2, 2, 3, 3]
    found = drift_slope(turns, scores, clusters)
    assert found.estimate == 0
    assert found.delta is None


def test_no_drift_has_an_interval_and_one_turn_has_no_slope():
    flat = drift_slope([1, 16] * 10, [1.0] * 20, [index // 2 for index in range(20)])
    assert flat.low < flat.estimate == 0 < flat.high
    assert flat.method == "wilson"
    assert drift_slope([1, 1], [1.0, 0.0], ["a", "b"]) is None


def test_a_sudden_fall_is_as_steep_as_it_is():
    found = drift_slope([1, 2, 15, 16] * 4, [1.0, 1.0, 0.0, 0.0] * 4, [index // 4 for index in range(16)])
    assert found.estimate == pytest.approx(-np.polyfit([1, 2, 15, 16], [0, 0, 1, 1], 1)[0])
    assert found.low <= found.estimate <= found.high


def test_tost_is_two_t_tests():
    a, b = passes(60, 0.9, 1), passes(60, 0.88, 2)
    found = tost(a, b, 0.15)
    difference = np.subtract(a, b)
    lower = stats.ttest_1samp(difference, -0.15, alternative="greater")
    upper = stats.ttest_1samp(difference, 0.15, alternative="less")
    assert found.p == pytest.approx(max(lower.pvalue, upper.pvalue))
    interval = stats.ttest_1samp(difference, 0).confidence_interval(0.90)
    assert (found.low, found.high) == pytest.approx(tuple(interval))
    assert found.equivalent == (found.low > -0.15 and found.high < 0.15)


def test_tost_gives_what_statsmodels_gives():
    # statsmodels 0.15.0, ttost_paired(a, b, -0.15, 0.15) on these sixty pairs.
    draw = random.Random(1)
    a = [float(draw.random() < 0.9) for _ in range(60)]
    b = [float(draw.random() < 0.88) for _ in range(60)]
    assert tost(a, b, 0.15).p == pytest.approx(0.0032450121803774)


def test_differences_without_a_spread_are_equivalent_only_where_there_are_enough():
    many, few = tost([1.0] * 120, [1.0] * 120, 0.10), tost([1.0] * 10, [1.0] * 10, 0.10)
    assert (many.equivalent, many.p, many.power) == (True, None, None)
    assert not few.equivalent


def test_the_power_of_equivalence_is_that_of_the_published_table():
    # PowerTOST 1.5 (Labes, Schütz, Lang), sampleN.TOST(CV = 0.3), 2x2 design, n = 40: power 0.815845, exact.
    error = math.sqrt(math.log(1 + 0.3**2)) * math.sqrt(2 / 40)
    power = tost_power(error, 38, math.log(1.25), difference=math.log(0.95))
    assert power == pytest.approx(0.815845, abs=1e-4)
    assert tost_power(1.0, 10, 0.1) == pytest.approx(0.0, abs=1e-9)


def test_kappa_gives_the_textbook_example():
    # Wikipedia, "Cohen's kappa": 50 proposals, 20 yes/yes, 5 yes/no, 10 no/yes, 15 no/no.
    a = ["yes"] * 25 + ["no"] * 25
    b = ["yes"] * 20 + ["no"] * 5 + ["yes"] * 10 + ["no"] * 15
    found = kappa(a, b)
    assert found.estimate == pytest.approx(0.4)
    # Fleiss, Cohen and Everitt 1969: the large-sample interval of the same table.
    assert (found.low, found.high) == pytest.approx((0.1511, 0.6489), abs=0.03)


def test_kappa_of_full_agreement_is_1_and_of_one_mark_alone_none():
    assert kappa([1, 2, 3], [1, 2, 3]).estimate == 1
    assert kappa([1, 2, 3], [1, 2, 3]).low < 1
    assert kappa([1, 1], [1, 1]) is None


@pytest.mark.parametrize(("a", "b"), [([1, 1], [2, 2]), ([1], [2]), ([1, 1, 1, 1], [1, 2, 1, 2])])
def test_kappa_of_a_marker_with_one_mark_is_0_and_unsure(a, b):
    found = kappa(a, b)
    assert found.estimate == 0
    assert found.low < -0.4
    assert found.high > 0.4


def test_repeats_count_once():
    assert cluster_means([1.0, 0.0, 1.0], ["p", "p", "q"]) == {"p": 0.5, "q": 1.0}
