"""BM25 over stems, and over the character n-grams of stems, in a folder of its own that is written once.

«prenotazione» and «prenotato» share no stem, but five of their n-grams: an ending, a compound or a typo changes few of
them. Long words have more n-grams than short ones and so weigh more, which is right more often than not.
"""

from __future__ import annotations

import hashlib
import math
import zlib
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import chain
from pathlib import Path
from typing import TYPE_CHECKING
from zipfile import ZIP_DEFLATED, BadZipFile, ZipFile

from cervella.knowledge.index.manifest import damaged

if TYPE_CHECKING:
    import numpy as np

_K1, _B = 1.2, 0.75  # the values that Lucene ships
_NGRAM = 4  # characters
_FORMAT = "4"  # changes with what is written
_STEMS, _NGRAMS = "stems.npz", "ngrams.npz"


def ngrams_of(stem: str) -> list[str]:
    """The runs of four characters of a stem, its ends marked.

    >>> ngrams_of("porta"), ngrams_of("è")
    (['_por', 'port', 'orta', 'rta_'], ['_è_'])
    """
    marked = f"_{stem}_"
    return [marked[n : n + _NGRAM] for n in range(max(1, len(marked) - _NGRAM + 1))]


@dataclass(frozen=True, slots=True)
class Bm25:
    """Which documents have which terms. Documents are known by their place, from 0."""

    size: int
    columns: dict[str, int]
    """The column of each term."""
    starts: np.ndarray
    """Where each column starts in `places`, `counts` and `weights`; one more at the end."""
    places: np.ndarray
    """The documents that have the term, in order, int32."""
    counts: np.ndarray
    """How often the document at the same position has the term, uint16."""
    lengths: np.ndarray
    """The terms of each document, int32."""
    weights: np.ndarray
    """What the term adds to the score of the document at the same position, float32."""

    @classmethod
    def of(cls, columns: dict[str, int], said: np.ndarray, homes: np.ndarray, size: int) -> Bm25:
        """Index `size` documents: `said` has the column of every term that is said, `homes` the document at the same
        position."""
        import numpy as np

        keys, often = np.unique(said * max(size, 1) + homes, return_counts=True)
        column, place = keys // max(size, 1), keys % max(size, 1)
        return cls._weighed(
            columns,
            starts=np.concatenate([[0], np.cumsum(np.bincount(column, minlength=len(columns)))]),
            places=place.astype(np.int32),
            counts=np.minimum(often, np.iinfo(np.uint16).max).astype(np.uint16),
            lengths=np.bincount(homes, minlength=size).astype(np.int32),
        )

    @classmethod
    def _weighed(
        cls, columns: dict[str, int], *, starts: np.ndarray, places: np.ndarray, counts: np.ndarray, lengths: np.ndarray
    ) -> Bm25:
        import numpy as np

        size, holders = len(lengths), np.diff(starts)
        idf = np.log(1 + (size - holders + 0.5) / (holders + 0.5))
        damping = _K1 * (1 - _B + _B * lengths / max(float(lengths.mean()) if size else 0.0, 1.0))
        weights = (np.repeat(idf, holders) * counts / (counts + damping[places])).astype(np.float32)
        return cls(size, columns, starts, places, counts, lengths, weights)

    def save(self, file: Path) -> None:
        import numpy as np

        # What a weight is made of takes a sixth of the weights' place; steps from one document to the next pack well.
        arrays = {
            "starts": self.starts,
            "counts": self.counts,
            "lengths": self.lengths,
            "steps": np.diff(self.places, prepend=np.int32(0)),
            "terms": np.frombuffer("\n".join(self.columns).encode("utf-8", "surrogatepass"), np.uint8),
        }
        with ZipFile(file, "w", ZIP_DEFLATED, compresslevel=1) as archive:
            for name, array in arrays.items():
                with archive.open(f"{name}.npy", "w") as part:
                    np.lib.format.write_array(part, array)

    @classmethod
    def load(cls, file: Path) -> Bm25:
        """Read it back. Raises OSError, ValueError, KeyError, EOFError, BadZipFile, zlib.error."""
        import numpy as np

        with np.load(file, allow_pickle=False) as arrays:
            parts = {name: arrays[name] for name in ("starts", "counts", "lengths")}
            places = np.cumsum(arrays["steps"], dtype=np.int32)
            text = arrays["terms"].tobytes().decode("utf-8", "surrogatepass")
        terms = text.split("\n") if text else []
        return cls._weighed({term: column for column, term in enumerate(terms)}, places=places, **parts)

    def holders(self, term: str) -> np.ndarray:
        """The documents that have a term."""
        return self.places[self._span(term)]

    def idf(self, term: str) -> float:
        """How much a term tells: log(1 + (N - n + 0.5) / (n + 0.5)), n of the N documents having it."""
        span = self._span(term)
        holders = span.stop - span.start
        return math.log(1 + (self.size - holders + 0.5) / (holders + 0.5))

    def scores(self, terms: Sequence[str]) -> np.ndarray:
        """The BM25 score of every document, shape (size,), float32; 0 without a common term."""
        return self._sums(terms)[0]

    def shares(self, terms: Sequence[str]) -> tuple[np.ndarray, np.ndarray]:
        """How much of what these terms could score each document scores, and how many of them it has; both 0 to 1,
        shape (size,), float32."""
        import numpy as np

        scores, has = self._sums(terms)
        return scores / np.float32(max(sum(map(self.idf, terms)), 1e-6)), has / np.float32(max(len(terms), 1))

    def _sums(self, terms: Sequence[str]) -> tuple[np.ndarray, np.ndarray]:
        import numpy as np

        spans = [self._span(term) for term in terms] or [slice(0, 0)]
        places = np.concatenate([self.places[span] for span in spans])
        weights = np.concatenate([self.weights[span] for span in spans])
        scores = np.bincount(places, weights, minlength=self.size).astype(np.float32)
        return scores, np.bincount(places, minlength=self.size).astype(np.float32)

    def _span(self, term: str) -> slice:
        column = self.columns.get(term)
        return slice(0, 0) if column is None else slice(int(self.starts[column]), int(self.starts[column + 1]))


@dataclass(frozen=True, slots=True)
class LexicalIndex:
    """The same documents by their stems, and by the n-grams of their stems."""

    stems: Bm25
    ngrams: Bm25

    @classmethod
    def of(cls, documents: Sequence[Sequence[str]]) -> LexicalIndex:
        """Index documents given as lists of stems."""
        import numpy as np

        size = len(documents)
        stems: dict[str, int] = {}
        said = np.asarray([stems.setdefault(stem, len(stems)) for document in documents for stem in document], np.int64)
        homes = np.repeat(np.arange(size), [len(document) for document in documents])
        columns: dict[str, int] = {}
        ngrams = [[columns.setdefault(ngram, len(columns)) for ngram in ngrams_of(stem)] for stem in stems]
        counts = np.fromiter(map(len, ngrams), np.int64, len(ngrams))
        flat = np.fromiter(chain.from_iterable(ngrams), np.int64, int(counts.sum()))
        firsts = np.cumsum(counts) - counts
        # Each stem that is said, replaced by its n-grams: the position of every n-gram in `flat`.
        many = counts[said]
        steps = np.arange(int(many.sum())) - np.repeat(np.cumsum(many) - many, many)
        spoken = flat[np.repeat(firsts[said], many) + steps]
        return cls(Bm25.of(stems, said, homes, size), Bm25.of(columns, spoken, np.repeat(homes, many), size))

    def stem_shares(self, stems: Sequence[str]) -> np.ndarray:
        """How much of what these stems could score each document scores, 0 to 1, shape (size,)."""
        return self.stems.shares(list(dict.fromkeys(stems)))[0]

    def ngram_shares(self, stems: Sequence[str]) -> tuple[np.ndarray, np.ndarray]:
        """The same of the n-grams of these stems; and how many of the n-grams each document has, 0 to 1."""
        return self.ngrams.shares([ngram for stem in dict.fromkeys(stems) for ngram in ngrams_of(stem)])


def write_lexical(parent: Path, documents: Sequence[Sequence[str]]) -> str:
    """Index documents given as lists of stems. Gives the name of the folder under `parent`.

    The name is empty where there is not one stem: there is nothing to write then.
    """
    if not any(documents):
        return ""
    digest = hashlib.sha256("\n".join([_FORMAT, *map(" ".join, documents)]).encode("utf-8", "replace"))
    folder = parent / f"lexical-{digest.hexdigest()[:24]}"
    if not folder.is_dir():
        index = LexicalIndex.of(documents)
        folder.mkdir()
        index.stems.save(folder / _STEMS)
        index.ngrams.save(folder / _NGRAMS)
    return folder.name


def load_lexical(parent: Path, name: str, size: int) -> LexicalIndex:
    """Read an index of `size` documents back. Raises IndexDamagedError where it can't be, or is of another size."""
    if not name:
        return LexicalIndex.of([()] * size)
    try:
        index = LexicalIndex(Bm25.load(parent / name / _STEMS), Bm25.load(parent / name / _NGRAMS))
    except (OSError, ValueError, KeyError, EOFError, BadZipFile, zlib.error) as error:
        raise damaged("index of words", parent / name, str(error)) from error
    if {index.stems.size, index.ngrams.size} != {size}:
        raise damaged("index of words", parent / name, f"it holds {index.stems.size} chunks, the manifest {size}")
    return index
