"""Scores chunks for a query by stems, character n-grams, vectors and facts about their files, and selects passages.

All scores have one unit of measure: the standard deviation of the centred cosines between questions and passages of
the index. The lexical score is a share of the highest score that the query could reach. So a query of rare words is
decided by words, and a query whose words the index lacks is decided by vectors. The constants were chosen on the
questions of docs/explanation/retrieval.md, which reports the effect of each.
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
"""Highest score of a chunk for its stems, and again for its n-grams. Values from 4 to 8 were best on both test sets."""
_WORDS_ALONE = 20.0
"""The same maximum for an index without vectors. The larger value makes the priors of files count less."""
_MIN_NGRAMS = 1 / 3
"""Minimum share of the query's n-grams in a chunk that has none of its stems. A smaller overlap is chance."""
_UNCALIBRATED_RANGE = 3.0
"""Score difference between the nearest and the farthest result, used while the standard deviation is unknown."""
_SUPPORT, _BEST = 0.4, 3
"""A file loses `_SUPPORT` times the difference between its best chunk and the mean of its `_BEST` best chunks."""
_LENGTH = 0.3
"""Factor of the logarithm of a file's number of chunks, which is subtracted: the best of many is better by chance."""
_ROLE, _NOT_CURRENT, _NEWNESS = 2.5, {"archived": 0.25, "superseded": 1.0, "deprecated": 1.0}, 0.25
"""Factor of the logarithm of a role's weight; penalty for each status; bonus of the newest file over the oldest."""
_ROLE_RATIO = 1.2
"""If two roles' weights differ by more than this factor, the heavier role wins and the date is ignored."""
_SCORE_TIE, _RIVALS = 0.5, 10
"""Files whose scores differ by at most this count as equal; only this many of the best files are compared."""
_REPEATED_FILE = 0.25
"""Penalty of a passage for each passage of the same file that was already selected."""
_CANDIDATES = 40
"""Chunks examined for each requested passage, since several chunks may belong to one passage."""


@dataclass(frozen=True, slots=True, kw_only=True)
class FileFacts:
    """Facts about the files of a loaded index that do not depend on the query."""

    file_of: np.ndarray
    """The number of each chunk's file, shape (chunks,). The chunks of one file are adjacent."""
    prior: np.ndarray
    """The score of each chunk's file before the query is known, shape (chunks,)."""
    files: Sequence[FileRow]
    replaced: Sequence[bool]
    """For each file, whether the same folder has a later version of it."""
    roles: Roles

    def prefers(self, file: int, other: int) -> bool:
        """Whether `file` is more likely to be valid today than `other`, by version, status, role, then date."""
        one, two = self.files[file], self.files[other]
        if self.replaced[file] != self.replaced[other]:
            return self.replaced[other]
        if one.status != two.status and "current" in (one.status, two.status):
            return one.status == "current"
        ratio = self.roles.weight(one.role) / self.roles.weight(two.role)
        if not 1 / _ROLE_RATIO < ratio < _ROLE_RATIO:  # a decision of any date precedes research
            return ratio > 1
        return (one.date or "") > (two.date or "") > ""


def file_facts(loaded: Snapshot, roles: Roles) -> FileFacts:
    """Compute the prior of each file from its length, role, status and date."""
    import numpy as np

    paths = np.asarray(loaded.paths)
    starts = np.flatnonzero(np.r_[True, paths[1:] != paths[:-1]]) if len(paths) else np.zeros(0, dtype=int)
    lengths = np.diff(np.r_[starts, len(paths)])
    files = [loaded.files[loaded.paths[int(start)]] for start in starts]
    dates = sorted({file.date for file in files if file.date})
    newness = {date: number / max(len(dates) - 1, 1) for number, date in enumerate(dates)}

    def prior(file: FileRow, length: int) -> float:
        role = _ROLE * math.log(roles.weight(file.role))
        new = _NEWNESS * newness.get(file.date or "", 0.5)
        return role - _NOT_CURRENT.get(file.status, 0.0) + new - _LENGTH * math.log(length)

    each = np.asarray(list(map(prior, files, lengths.tolist())), dtype=np.float32)
    versions = [roles.version_of(file.path) for file in files]
    last: dict[str, float] = {}
    for document, version in versions:
        last[document] = max(version, last.get(document, version))
    return FileFacts(
        file_of=np.repeat(np.arange(len(starts)), lengths),
        prior=np.repeat(each, lengths),
        files=files,
        replaced=[version < last[document] for document, version in versions],
        roles=roles,
    )


def by_words(loaded: Snapshot, stems: Sequence[str], *, vectors: float) -> tuple[np.ndarray, np.ndarray]:
    """The lexical score of each chunk, and whether its overlap is large enough to count; both of shape (chunks,).

    `vectors` is the share of chunks that have a vector, 0 to 1.
    """
    weight = vectors * _WORDS + (1 - vectors) * _WORDS_ALONE
    whole = loaded.words.stem_shares(stems)
    ngrams, overlap = loaded.words.ngram_shares(stems)
    return weight * (whole + ngrams), (whole > 0) | (overlap >= _MIN_NGRAMS)


def by_vectors(loaded: Snapshot, query: np.ndarray, found: dict[int, float]) -> np.ndarray:
    """The vector score of each chunk, shape (chunks,). A chunk that is not in `found` gets the lowest score of those.

    `found` maps the positions of the nearest chunks to their cosines.
    """
    import numpy as np

    out = np.zeros(len(loaded.ids), dtype=np.float32)
    if not found:
        return out
    places = np.fromiter(found, dtype=np.int64, count=len(found))
    cosines = np.fromiter(found.values(), dtype=np.float32, count=len(found))
    if loaded.centring is not None:
        near = loaded.centring.centred(query, cosines, loaded.common_components[places])
    else:  # too few vectors to compute their mean
        near = (cosines - cosines.min()) * (_UNCALIBRATED_RANGE / max(float(cosines.max() - cosines.min()), 1e-6))
    out += near.min()
    out[places] = near
    return out


def supported_by_file(scores: np.ndarray, base: FileFacts) -> np.ndarray:
    """Scores, lowered for files with only one good chunk: a chance match in a file on another subject is no answer."""
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


def _by_file(scores: np.ndarray, base: FileFacts) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """The positions of the chunks with a finite score, a consecutive file number for each, and each file's first index.

    The first indices are positions in the first array.
    """
    import numpy as np

    places = np.flatnonzero(np.isfinite(scores))
    files = base.file_of[places]
    starts = np.flatnonzero(np.r_[True, files[1:] != files[:-1]]) if len(places) else places
    return places, np.repeat(np.arange(len(starts)), np.diff(np.r_[starts, len(places)])), starts


def current_first(scores: np.ndarray, base: FileFacts) -> np.ndarray:
    """Scores, raised for a file that `FileFacts.prefers` to a better-ranked file with almost the same score."""
    import numpy as np

    places, homes, starts = _by_file(scores, base)
    if not len(places):
        return scores
    best, files = np.maximum.reduceat(scores[places], starts), base.file_of[places[starts]].tolist()
    first = np.argsort(-best, kind="stable")[:_RIVALS].tolist()
    lift = np.zeros(len(best), dtype=scores.dtype)
    for place, file in enumerate(first):
        for rival in first[:place]:
            if best[rival] - best[file] <= _SCORE_TIE and base.prefers(files[file], files[rival]):
                lift[file] = max(lift[file], best[rival] - best[file] + 1e-3 * (place + 1))
    out = scores.copy()
    out[places] += lift[homes]
    return out


def selected(loaded: Snapshot, base: FileFacts, scores: np.ndarray, count: int, *, in_order: bool = False) -> list[int]:
    """The position of the best chunk of each of the `count` best passages, best first.

    Chunks without a finite score are ignored. `in_order` turns off the penalty for several passages of one file.
    `scores` is changed: a returned chunk gets the score by which it was selected, so that scores never rise.
    """
    import numpy as np

    candidates = np.flatnonzero(np.isfinite(scores))
    against = -scores[candidates]
    enough = _CANDIDATES * (count + 10)
    if len(candidates) > enough:  # sorting all chunks of a large index would take most of the search time
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
        passage, home = loaded.passages[place], int(base.file_of[place])
        if passage in done:
            continue
        now = float(scores[place]) - (0.0 if in_order else _REPEATED_FILE * shown.get(home, 0))
        if now < -held:
            heapq.heappush(waiting, (-now, place))
            continue
        done.add(passage)
        text = " ".join(loaded.text(passage).split())
        if (twin := texts.get(text)) is not None:
            if base.prefers(home, int(base.file_of[chosen[twin]])):
                scores[place] = scores[chosen[twin]]
                chosen[twin] = place
            continue
        scores[place] = now
        texts[text] = len(chosen)
        shown[home] = shown.get(home, 0) + 1
        chosen.append(place)
    return chosen
