"""From scored chunks to the passages that are shown: each once, few of one file, of equal ones the newest."""

from __future__ import annotations

import heapq
from typing import TYPE_CHECKING

from cervella.knowledge.index.snapshot import Snapshot
from cervella.knowledge.search.ranking import Standing

if TYPE_CHECKING:
    import numpy as np

__all__ = ["selected"]

_AGAIN = 0.25
"""What a passage loses, in spreads, with each that its file has shown before."""

_LOOKED_AT = 40
"""Chunks looked at for each passage that is wanted: a passage has few chunks, and a file is not held back for ever."""


def selected(loaded: Snapshot, base: Standing, scores: np.ndarray, count: int, *, in_order: bool = False) -> list[int]:
    """The best chunk of each of the best passages, best first. A chunk whose score is not finite is none.

    With `in_order` files are not held back: what is one text is shown as one. The scores of the chunks that are given
    back are set to what they were chosen by, so that they fall from first to last.
    """
    import numpy as np

    candidates = np.flatnonzero(np.isfinite(scores))
    against = -scores[candidates]
    enough = _LOOKED_AT * (count + 10)
    if len(candidates) > enough:  # sorting all of a large base takes longer than all the rest
        near = against <= np.partition(against, enough)[enough]
        candidates, against = candidates[near], against[near]
    order = np.argsort(against, kind="stable")[:enough]
    waiting = list(zip(against[order].tolist(), candidates[order].tolist(), strict=True))  # a heap: sorted
    chosen: list[int] = []
    texts: dict[str, int] = {}
    done: set[range] = set()
    shown: dict[int, int] = {}
    while waiting and len(chosen) < count:
        held, place = heapq.heappop(waiting)
        passage, home = loaded.passages[place], int(base.homes[place])
        if passage in done:
            continue
        now = float(scores[place]) - (0.0 if in_order else _AGAIN * shown.get(home, 0))
        if now < -held:
            heapq.heappush(waiting, (-now, place))
            continue
        done.add(passage)
        text = " ".join(loaded.text(passage).split())
        if (twin := texts.get(text)) is not None:
            if base.holds(home, int(base.homes[chosen[twin]])):
                scores[place] = scores[chosen[twin]]
                chosen[twin] = place
            continue
        scores[place] = now
        texts[text] = len(chosen)
        shown[home] = shown.get(home, 0) + 1
        chosen.append(place)
    return chosen
