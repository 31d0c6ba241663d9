"""BM25 over the letters of stems, four at a time: what an ending, a compound or a typo changes is little of them.

«prenotazione» and «prenotato» share no stem, but five of their runs of letters. Long words have more runs than short
ones and so weigh more, which is right more often than not.
"""

from __future__ import annotations

import json
import math
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import chain
from pathlib import Path
from typing import TYPE_CHECKING
from zipfile import ZIP_DEFLATED, ZipFile

if TYPE_CHECKING:
    import numpy as np

__all__ = ["LetterIndex", "rarity", "runs_of"]

_LENGTH = 4
_K1, _B = 1.2, 0.75
_FILE, _VOCABULARY = "letters.npz", "letters.json"


def runs_of(stem: str) -> list[str]:
    """The runs of letters of a stem, its ends marked.

    >>> runs_of("porta"), runs_of("è")
    (['_por', 'port', 'orta', 'rta_'], ['_è_'])
    """
    marked = f"_{stem}_"
    return [marked[n : n + _LENGTH] for n in range(max(1, len(marked) - _LENGTH + 1))]


def rarity(size: int, holders: int) -> float:
    """How much it tells that a document has what `holders` of `size` documents have: the idf of BM25."""
    return math.log(1 + (size - holders + 0.5) / (holders + 0.5))


@dataclass(frozen=True, slots=True)
class LetterIndex:
    """Which documents have which runs of letters. Documents are known by their place, from 0."""

    size: int
    columns: dict[str, int]
    """The column of each run."""
    starts: np.ndarray
    """Where each column starts in `places` and `weights`; one more at the end."""
    places: np.ndarray
    counts: np.ndarray
    """How often the document at the same position has the run, uint16."""
    lengths: np.ndarray
    """The runs of each document, int32."""
    weights: np.ndarray
    """What the run adds to the score of the document at the same position, float32."""

    @classmethod
    def of(cls, stems: Sequence[str], documents: Sequence[Sequence[int]]) -> LetterIndex:
        """Index documents given as the places in `stems` of what they say."""
        import numpy as np

        size = len(documents)
        columns: dict[str, int] = {}
        runs = [[columns.setdefault(run, len(columns)) for run in runs_of(stem)] for stem in stems]
        counts = np.fromiter(map(len, runs), np.int64, len(runs))
        flat = np.fromiter(chain.from_iterable(runs), np.int64, int(counts.sum()))
        firsts = np.cumsum(counts) - counts
        spoken = np.fromiter(chain.from_iterable(documents), np.int64)
        homes = np.repeat(np.arange(size), [len(document) for document in documents])
        # Each stem that is said, replaced by its runs: the position of every run in `flat`.
        many = counts[spoken]
        steps = np.arange(int(many.sum())) - np.repeat(np.cumsum(many) - many, many)
        column, place = flat[np.repeat(firsts[spoken], many) + steps], np.repeat(homes, many)
        keys, often = np.unique(column * max(size, 1) + place, return_counts=True)
        column, place = keys // max(size, 1), keys % max(size, 1)
        return cls._weighed(
            columns,
            starts=np.concatenate([[0], np.cumsum(np.bincount(column, minlength=len(columns)))]),
            places=place.astype(np.int32),
            counts=np.minimum(often, np.iinfo(np.uint16).max).astype(np.uint16),
            lengths=np.bincount(np.repeat(homes, many), minlength=size).astype(np.int32),
        )

    @classmethod
    def _weighed(
        cls, columns: dict[str, int], *, starts: np.ndarray, places: np.ndarray, counts: np.ndarray, lengths: np.ndarray
    ) -> LetterIndex:
        import numpy as np

        size, holders = len(lengths), np.diff(starts)
        rarities = np.log(1 + (size - holders + 0.5) / (holders + 0.5))
        damping = _K1 * (1 - _B + _B * lengths / max(float(lengths.mean()) if size else 0.0, 1.0))
        weights = np.repeat(rarities, holders) * counts / (counts + damping[places])
        return cls(
            size=size,
            columns=columns,
            starts=starts,
            places=places,
            counts=counts,
            lengths=lengths,
            weights=weights.astype(np.float32),
        )

    def save(self, folder: Path) -> None:
        import numpy as np

        # What a weight is made of takes a sixth of the weights' place; steps from one document to the next pack well.
        parts = {"starts": self.starts, "counts": self.counts, "lengths": self.lengths}
        with ZipFile(folder / _FILE, "w", ZIP_DEFLATED, compresslevel=1) as file:
            for name, array in {**parts, "steps": np.diff(self.places, prepend=np.int32(0))}.items():
                with file.open(f"{name}.npy", "w") as part:
                    np.lib.format.write_array(part, array)
        (folder / _VOCABULARY).write_text(json.dumps(list(self.columns)), encoding="ascii")

    @classmethod
    def load(cls, folder: Path) -> LetterIndex | None:
        """Read it back; None where an older version wrote the folder. Raises OSError, ValueError, KeyError."""
        import numpy as np

        if not (folder / _FILE).is_file():
            return None
        with np.load(folder / _FILE, allow_pickle=False) as arrays:
            parts = {name: arrays[name] for name in ("starts", "counts", "lengths")}
            places = np.cumsum(arrays["steps"], dtype=np.int32)
        runs = json.loads((folder / _VOCABULARY).read_text(encoding="ascii"))
        return cls._weighed({run: column for column, run in enumerate(runs)}, places=places, **parts)

    def shares(self, stems: Sequence[str]) -> tuple[np.ndarray, np.ndarray]:
        """How much of what the runs of these stems could score each document scores, and how many of them it has; both
        0 to 1, shape (size,)."""
        import numpy as np

        runs = [run for stem in dict.fromkeys(stems) for run in runs_of(stem)]
        known = [column for run in runs if (column := self.columns.get(run)) is not None]
        spans = [slice(int(self.starts[column]), int(self.starts[column + 1])) for column in known]
        most = sum(rarity(self.size, span.stop - span.start) for span in spans)
        most += (len(runs) - len(known)) * rarity(self.size, 0)
        if not spans:
            return np.zeros(self.size, dtype=np.float32), np.zeros(self.size, dtype=np.float32)
        places = np.concatenate([self.places[span] for span in spans])
        weights = np.concatenate([self.weights[span] for span in spans])
        scores = np.bincount(places, weights, minlength=self.size) / max(most, 1e-6)
        has = np.bincount(places, minlength=self.size) / len(runs)
        return scores.astype(np.float32), has.astype(np.float32)
