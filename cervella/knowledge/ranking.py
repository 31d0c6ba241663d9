"""From a query to a score for every chunk: words, letters, headings and vectors, and whose word holds.

Each signal is scaled to 0..1 before it is added. The numbers for words were picked with both question sets in view, and
between neighbouring values the difference is noise. The weight of the vectors is the best on the shipped base only: 33
questions over a fifth of the SNCP liked 0.7 better, by three answers.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

from cervella.knowledge.snapshot import Snapshot

if TYPE_CHECKING:
    import numpy as np

__all__ = ["by_words", "fused", "standing"]

_STEMS, _HEADS = 0.3, 0.2
"""What whole stems, and the letters of headings and path, add to the letters of the whole chunk, which count 1."""
_ALIKE = 1 / 3
"""A chunk without a stem of the query's must have this share of its runs of letters: less is chance."""
_DENSE = 0.5
# Of two documents on one topic the one that holds comes first. Mild: an archived file is sometimes the only source.
_STATUS = {"current": 1.0, "archived": 0.95, "deprecated": 0.8, "superseded": 0.8}
_ROLE = {"template": 0.8}
_NEWEST = 0.03
"""What the newest document's chunks gain over the oldest's: it decides among those that match about equally."""


def by_words(loaded: Snapshot, stems: Sequence[str]) -> np.ndarray:
    """How well each chunk's words fit, 0 to 1, shape (chunks,); 0 where none does."""
    whole = loaded.words.scores(stems)
    letters = loaded.words.letters
    if letters is None:
        return _scaled(whole)
    parts = letters.scores(stems)
    enough = (whole > 0) | (letters.shares(stems) >= _ALIKE)
    return _scaled((_scaled(parts) + _STEMS * _scaled(whole) + _HEADS * _scaled(loaded.heads.scores(stems))) * enough)


def fused(words: np.ndarray, cosines: Mapping[int, float], coverage: float) -> np.ndarray:
    """Words and vectors together. While vectors are still being made, chunks that have none are not to lose by it."""
    if not cosines:
        return words
    weight = _DENSE * coverage
    return (1 - weight) * words + weight * _scaled_cosines(cosines, len(words))


def standing(loaded: Snapshot) -> np.ndarray:
    """What each chunk's document is worth whatever the query: its status, its role and, mildly, its date."""
    import numpy as np

    dates = sorted({file.date for file in loaded.files.values() if file.date})
    newness = {date: number / max(len(dates) - 1, 1) for number, date in enumerate(dates)}
    worth = {
        path: _STATUS[file.status] * _ROLE.get(file.role or "", 1.0) * (1 + _NEWEST * newness.get(file.date or "", 0.5))
        for path, file in loaded.files.items()
    }
    return np.asarray([worth[path] for path in loaded.paths], dtype=np.float32)


def _scaled(scores: np.ndarray) -> np.ndarray:
    """Scores between 0 and 1: the lowest of a whole base is 0."""
    highest = scores.max(initial=0.0)
    return scores / highest if highest > 0 else scores


def _scaled_cosines(cosines: Mapping[int, float], size: int) -> np.ndarray:
    """Cosines between 0, the lowest that was found and all that were not, and 1, the highest."""
    import numpy as np

    out = np.zeros(size, dtype=np.float32)
    lowest, highest = min(cosines.values()), max(cosines.values())
    for place, cosine in cosines.items():
        out[place] = (cosine - lowest) / (highest - lowest) if highest > lowest else 1.0
    return out
