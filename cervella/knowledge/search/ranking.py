"""From a query to a score for every chunk: words, n-grams and vectors, what its file says besides, and what holds.

Scores are in spreads: the standard deviation of a question's cosines with the passages of the base. What the words
say is a share of what the query could score at all, so that a question of rare words weighs them, and one whose words
the base does not have leans on the vectors by itself. The few constants were swept over the
questions of docs/explanation/retrieval.md, which tells what each is worth and what was tried beside it.
"""

from __future__ import annotations

import heapq
import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from cervella.knowledge.documents.roles import Roles
from cervella.knowledge.index.manifest import FileRow
from cervella.knowledge.index.snapshot import Snapshot

if TYPE_CHECKING:
    import numpy as np

_WORDS = 6.0
"""What a chunk gains that says all of the query, by stems and, once more, by n-grams. Best at 4 to 8 on both bases."""
_WORDS_ALONE = 20.0
"""The same where there are no vectors: what files are worth weighs less then."""
_ALIKE = 1 / 3
"""A chunk without a stem of the query's must have this share of its n-grams: less is chance."""
_UNKNOWN = 3.0
"""Spreads between the nearest chunk and the last that was found, where the spread is not known yet."""
_SUPPORT, _BEST = 0.4, 3
"""How much of the distance between a file's best chunk and the mean of its best three it loses."""
_LENGTH = 0.3
"""What a chunk loses with every e-fold of its file's: the best of many is better by chance."""
_ROLE, _NOT_CURRENT, _NEWNESS = 2.5, {"archived": 0.25, "superseded": 1.0, "deprecated": 1.0}, 0.25
"""Of a role's weight, its logarithm counts so much; what the status takes; what the newest gains over the oldest."""
_OTHER_KIND = 1.2
"""Roles whose weights are so far apart are of another kind: which one holds is not told by the date."""
_AS_GOOD, _RIVALS = 0.5, 10
"""Files this near to each other answer equally well, as far as scores can tell: of the first ones, what holds leads."""
_AGAIN = 0.25
"""What a passage loses, in spreads, with each that its file has shown before."""
_LOOKED_AT = 40
"""Chunks looked at for each passage that is wanted: a passage has few chunks, and a file is not held back for ever."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Standing:
    """What is known of a loaded base whatever the query."""

    homes: np.ndarray
    """The number of each chunk's file, shape (chunks,); the chunks of a file stand together."""
    worth: np.ndarray
    """What each chunk's file is worth, in spreads, shape (chunks,)."""
    files: Sequence[FileRow]
    replaced: Sequence[bool]
    """Whether a later version of the file stands beside it."""
    roles: Roles

    def holds(self, file: int, other: int) -> bool:
        """Whether, of two files that answer equally well, it is this one that is true today."""
        one, two = self.files[file], self.files[other]
        if self.replaced[file] != self.replaced[other]:
            return self.replaced[other]
        if one.status != two.status and "current" in (one.status, two.status):
            return one.status == "current"
        kinds = self.roles.weight(one.role) / self.roles.weight(two.role)
        if not 1 / _OTHER_KIND < kinds < _OTHER_KIND:  # today's decision, and yesterday's too, before research
            return kinds > 1
        return (one.date or "") > (two.date or "") > ""


def standing(loaded: Snapshot, roles: Roles) -> Standing:
    """What each file's length, role, status and date say for it, or against it."""
    import numpy as np

    paths = np.asarray(loaded.paths)
    starts = np.flatnonzero(np.r_[True, paths[1:] != paths[:-1]]) if len(paths) else np.zeros(0, dtype=int)
    lengths = np.diff(np.r_[starts, len(paths)])
    files = [loaded.files[loaded.paths[int(start)]] for start in starts]
    dates = sorted({file.date for file in files if file.date})
    newness = {date: number / max(len(dates) - 1, 1) for number, date in enumerate(dates)}

    def worth(file: FileRow, length: int) -> float:
        role = _ROLE * math.log(roles.weight(file.role))
        new = _NEWNESS * newness.get(file.date or "", 0.5)
        return role - _NOT_CURRENT.get(file.status, 0.0) + new - _LENGTH * math.log(length)

    each = np.asarray(list(map(worth, files, lengths.tolist())), dtype=np.float32)
    return Standing(
        homes=np.repeat(np.arange(len(starts)), lengths),
        worth=np.repeat(each, lengths),
        files=files,
        replaced=_replaced(files, roles),
        roles=roles,
    )


def _replaced(files: Sequence[FileRow], roles: Roles) -> list[bool]:
    """Of each file, whether a later version stands in the same folder: `x_v2` beside `x`, `x` beside `x_bozza`."""
    versions = [roles.version_of(file.path) for file in files]
    last: dict[str, float] = {}
    for document, version in versions:
        last[document] = max(version, last.get(document, version))
    return [version < last[document] for document, version in versions]


def by_words(loaded: Snapshot, stems: Sequence[str], *, vectors: float) -> tuple[np.ndarray, np.ndarray]:
    """What each chunk's words say for it, in spreads, and whether they say enough to count; shape (chunks,) both.

    `vectors` is how much of the base has any, 0 to 1.
    """
    weight = vectors * _WORDS + (1 - vectors) * _WORDS_ALONE
    whole = loaded.words.stem_shares(stems)
    parts, alike = loaded.words.ngram_shares(stems)
    return weight * (whole + parts), (whole > 0) | (alike >= _ALIKE)


def by_vectors(loaded: Snapshot, query: np.ndarray, found: dict[int, float]) -> np.ndarray:
    """What the vectors say for each chunk, in spreads, shape (chunks,); those not among the nearest have the least."""
    import numpy as np

    out = np.zeros(len(loaded.ids), dtype=np.float32)
    if not found:
        return out
    places = np.fromiter(found, dtype=np.int64, count=len(found))
    cosines = np.fromiter(found.values(), dtype=np.float32, count=len(found))
    if loaded.geometry is not None:
        near = loaded.geometry.centred(query, cosines, loaded.leans[places])
    else:  # the first vectors of a base: nothing is known of them yet
        near = (cosines - cosines.min()) * (_UNKNOWN / max(float(cosines.max() - cosines.min()), 1e-6))
    out += near.min()
    out[places] = near
    return out


def with_file(scores: np.ndarray, base: Standing) -> np.ndarray:
    """Scores with what the rest of the file says: one lucky chunk in a file on something else is not the answer."""
    import numpy as np

    places, homes, starts = _by_file(scores, base)
    if not len(places):
        return scores
    left, tops = scores[places], []
    for _ in range(_BEST):
        tops.append(np.maximum.reduceat(left, starts))
        left[left == tops[-1][homes]] = -np.inf
    best, there = np.stack(tops), np.isfinite(np.stack(tops))
    mean = np.where(there, best, 0).sum(axis=0) / there.sum(axis=0)
    out = scores.copy()
    out[places] -= (_SUPPORT * (best[0] - mean)[homes]).astype(scores.dtype)
    return out


def _by_file(scores: np.ndarray, base: Standing) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """The places of the chunks that count, mostly a few of the base's; for each the number of its file among those that
    they are of; and where each of those files starts among them."""
    import numpy as np

    places = np.flatnonzero(np.isfinite(scores))
    files = base.homes[places]
    starts = np.flatnonzero(np.r_[True, files[1:] != files[:-1]]) if len(places) else places
    return places, np.repeat(np.arange(len(starts)), np.diff(np.r_[starts, len(places)])), starts


def newest_first(scores: np.ndarray, base: Standing) -> np.ndarray:
    """Among the first files, those about as good as one before them are lifted above it where they hold and it does
    not."""
    import numpy as np

    places, homes, starts = _by_file(scores, base)
    if not len(places):
        return scores
    best, files = np.maximum.reduceat(scores[places], starts), base.homes[places[starts]].tolist()
    first = np.argsort(-best, kind="stable")[:_RIVALS].tolist()
    lift = np.zeros(len(best), dtype=scores.dtype)
    for place, file in enumerate(first):
        for rival in first[:place]:
            if best[rival] - best[file] <= _AS_GOOD and base.holds(files[file], files[rival]):
                lift[file] = max(lift[file], best[rival] - best[file] + 1e-3 * (place + 1))
    out = scores.copy()
    out[places] += lift[homes]
    return out


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
