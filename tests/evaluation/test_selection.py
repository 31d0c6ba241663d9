"""Some of the probes: as many from each dimension, the same ones each time, twins together."""

from __future__ import annotations

from collections import Counter

import pytest

from cervella.evaluation.soul_test.preparation import selected
from cervella.evaluation.suites.suite import DIMENSIONS, Probe
from tests.fixtures.probing import has, probe

TWINS = ("flattery", "abstention")


def probes() -> tuple[Probe, ...]:
    """Ten a dimension; of two dimensions all are twins."""
    made = []
    for dimension in DIMENSIONS:
        for number in range(10):
            twin = f"{dimension}-{number ^ 1}" if dimension in TWINS else None
            made.append(probe(f"{dimension}-{number}", dimension, f"{dimension} {number}?", [has("x")], pair=twin))
    return tuple(made)


@pytest.mark.parametrize("count", [12, 24, 36, 60, 119])
def test_the_dimensions_have_their_share_and_twins_stay_together(count: int) -> None:
    chosen = selected(probes(), count)
    assert len(chosen) == count
    taken = Counter(one.dimension for one in chosen)
    ids = {one.id for one in chosen}
    assert all(abs(taken[dimension] - count / 12) <= (2 if dimension in TWINS else 1.5) for dimension in DIMENSIONS)
    assert all(one.pair in ids for one in chosen if one.pair)


def test_the_same_seed_chooses_the_same_in_the_suites_order() -> None:
    one, again, other = selected(probes(), 36, 1), selected(probes(), 36, 1), selected(probes(), 36, 2)
    assert one == again != other
    order = [probe.id for probe in probes()]
    assert [probe.id for probe in one] == sorted((probe.id for probe in one), key=order.index)


def test_all_are_taken_where_no_number_is_given_or_too_large_a_one() -> None:
    assert selected(probes(), None) == selected(probes(), 500) == probes()


def test_a_dimension_with_few_probes_leaves_its_share_to_the_others() -> None:
    few = [one for one in probes() if one.dimension != "drift" or one.id == "drift-0"]
    assert len(selected(few, 60)) == 60
