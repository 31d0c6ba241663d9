"""Some of a suite's probes: as many from each dimension, the same ones each time, twins together."""

from __future__ import annotations

import random
from collections.abc import Sequence

from cervella.evaluation.suites.suite import Probe

__all__ = ["selected"]


def selected(probes: Sequence[Probe], count: int | None, seed: int = 0) -> tuple[Probe, ...]:
    """`count` of the probes, spread over the dimensions, in their own order; all of them for None.

    Twins are taken both or not at all: what one of them is worth shows beside the other. What a dimension of twins
    can't take of its share goes to the next ones, so that `count` is met wherever single probes are left.
    """
    if count is None or count >= len(probes):
        return tuple(probes)
    units = {name: _units(probes, name, seed) for name in dict.fromkeys(probe.dimension for probe in probes)}
    chosen: set[str] = set()
    left = count
    for turn, dimension in enumerate(list(units)):
        share = -(-left // (len(units) - turn))
        left -= _take(units[dimension], share, chosen)
    for rest in units.values():  # what a small dimension could not give
        left -= _take(rest, left, chosen)
    return tuple(probe for probe in probes if probe.id in chosen)


def _units(probes: Sequence[Probe], dimension: str, seed: int) -> list[tuple[str, ...]]:
    """The probes of a dimension by id, twins as one, shuffled."""
    units: dict[str, tuple[str, ...]] = {}
    for probe in probes:
        if probe.dimension == dimension:
            name = min(probe.id, probe.pair or probe.id)
            units[name] = (*units.get(name, ()), probe.id)
    order = list(units.values())
    random.Random(f"{seed}:{dimension}").shuffle(order)
    return order


def _take(units: list[tuple[str, ...]], share: int, chosen: set[str]) -> int:
    """Move units that fit into a share to what is chosen; gives how many probes that were."""
    taken = 0
    for unit in list(units):
        if taken + len(unit) <= share:
            units.remove(unit)
            chosen.update(unit)
            taken += len(unit)
    return taken
