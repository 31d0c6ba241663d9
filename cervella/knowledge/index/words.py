"""Scores chunks for a query by BM25, the usual formula of word search: over stems, and over character n-grams of stems.

A third score tells how far the query and a subject of the chunk, such as a heading, are the same.

The index is stored in a folder that is written once.
In Italian, «prenotazione» (booking) and «prenotato» (booked) have different stems, but share five n-grams: an ending, a
compound or a typo changes only a few. Long words have more n-grams than short ones and so weigh more, which helps more
often than it hurts.
"""

from __future__ import annotations

import hashlib
import math
import re
from collections import defaultdict
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from itertools import chain
from pathlib import Path
from typing import TYPE_CHECKING
from zipfile import ZIP_DEFLATED, ZipFile

from cervella.knowledge.index.arrays import UNREADABLE, read_arrays
from cervella.knowledge.index.manifest import damaged
from cervella.text.terms import FIGURE, Wanted

if TYPE_CHECKING:
    import numpy as np

_K1, _B = 1.2, 0.75  # the values that Lucene ships
_NGRAM = 4  # characters
_FIGURE_NGRAMS = 4
"""A figure counts as much as this number of n-grams. It has none itself: 12,5 is not similar to 125."""
_FORMAT = "6"  # version of the file format; part of the folder's name
_FOLDER = re.compile(r"lexical-[0-9a-f]{24}")
_STEMS, _NGRAMS, _SUBJECTS = "stems.npz", "ngrams.npz", "subjects.npz"


def ngrams_of(stem: str) -> list[str]:
    """All substrings of four characters of a stem, after an underscore was added at either end; none of a figure.

    >>> ngrams_of("porta"), ngrams_of("è"), ngrams_of("=1250")
    (['_por', 'port', 'orta', 'rta_'], ['_è_'], [])
    """
    if stem.startswith(FIGURE):
        return []
    marked = f"_{stem}_"
    return [marked[n : n + _NGRAM] for n in range(max(1, len(marked) - _NGRAM + 1))]


def _numbered(terms: Iterable[str], count: int) -> tuple[dict[str, int], np.ndarray]:
    """The number of each distinct term, in order of its first occurrence, and the number of each of `count` terms."""
    import numpy as np

    numbers: defaultdict[str, int] = defaultdict()
    numbers.default_factory = numbers.__len__
    ids = np.fromiter(map(numbers.__getitem__, terms), np.int64, count)
    return dict(numbers), ids


@dataclass(frozen=True, slots=True)
class Bm25:
    """An inverted index with BM25 weights. Documents are numbered from 0; each has a list of terms (stems or n-grams).

    The arrays `places`, `counts` and `weights` have one element for each pair of a term and a document that contains
    it. The elements of one term are adjacent: they are its column.
    """

    size: int
    """The number of documents."""
    columns: dict[str, int]
    """The number of each term's column, from 0."""
    starts: np.ndarray
    """The offset of each column in `places`, `counts` and `weights`, and their total length as the last element."""
    places: np.ndarray
    """The numbers of the documents, ascending within a column, int32."""
    counts: np.ndarray
    """The number of occurrences of the term in the document, uint16."""
    lengths: np.ndarray
    """The number of terms of each document, int32."""
    weights: np.ndarray
    """The BM25 score of the document for the term alone, float32."""

    @classmethod
    def of(cls, columns: dict[str, int], terms: np.ndarray, documents: np.ndarray, size: int) -> Bm25:
        """Index `size` documents. `columns` has the column of each term.

        `terms` and `documents` have one element for each occurrence of a term: its column, and the document.
        """
        import numpy as np

        keys, often = np.unique(terms * max(size, 1) + documents, return_counts=True)
        column, place = keys // max(size, 1), keys % max(size, 1)
        return cls._weighed(
            columns,
            starts=np.concatenate([[0], np.cumsum(np.bincount(column, minlength=len(columns)))]),
            places=place.astype(np.int32),
            counts=np.minimum(often, np.iinfo(np.uint16).max).astype(np.uint16),
            lengths=np.bincount(documents, minlength=size).astype(np.int32),
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

    def save(self, file: Path, **beside: np.ndarray) -> None:
        """Write the index to a file, with the arrays `beside` it."""
        import numpy as np

        # The counts need a sixth of the space of the weights; differences of document numbers compress well.
        arrays = {
            "starts": self.starts,
            "counts": self.counts,
            "lengths": self.lengths,
            "steps": np.diff(self.places, prepend=np.int32(0)),
            "terms": np.frombuffer("\n".join(self.columns).encode("utf-8", "surrogatepass"), np.uint8),
            **beside,
        }
        with ZipFile(file, "w", ZIP_DEFLATED, compresslevel=1) as archive:
            for name, array in arrays.items():
                with archive.open(f"{name}.npy", "w") as part:
                    np.lib.format.write_array(part, array)

    @classmethod
    def load(cls, file: Path) -> Bm25:
        """Read a saved index. Raises the errors of `UNREADABLE`."""
        import numpy as np

        arrays = read_arrays(file, "starts", "counts", "lengths", "steps", "terms")
        starts, counts, lengths = (arrays[name] for name in ("starts", "counts", "lengths"))
        places = np.cumsum(arrays["steps"], dtype=np.int32)
        text = arrays["terms"].tobytes().decode("utf-8", "surrogatepass")
        terms = text.split("\n") if text else []
        whole = len(terms) + 1 == len(starts) and len(places) == len(counts) == int(starts[-1]) and not int(starts[0])
        if not whole or (np.diff(starts) < 0).any() or (lengths < 0).any():
            raise ValueError("its arrays do not fit together")
        if len(places) and not 0 <= int(places.min()) <= int(places.max()) < len(lengths):
            raise ValueError("it has words of chunks that do not exist")
        columns = {term: column for column, term in enumerate(terms)}
        return cls._weighed(columns, starts=starts, places=places, counts=counts, lengths=lengths)

    def holders(self, term: str) -> np.ndarray:
        """The numbers of the documents that contain a term."""
        return self.places[self._span(term)]

    def idf(self, term: str) -> float:
        """Inverse document frequency of a term, see `idf_of`."""
        span = self._span(term)
        return self.idf_of(span.stop - span.start)

    def idf_of(self, holders: int) -> float:
        """Inverse document frequency of a term that n = `holders` of N documents contain.

        It is log(1 + (N - n + 0.5) / (n + 0.5)).
        """
        return math.log(1 + (self.size - holders + 0.5) / (holders + 0.5))

    def wanted(self, wanted: Sequence[Wanted]) -> tuple[np.ndarray, np.ndarray, float]:
        """Each document's score for words and figures that several terms satisfy: the best of them counts.

        Returns the sums of the scores and the numbers of words and figures that the document has, both of shape
        (size,), float32; and the highest sum that is possible.
        """
        import numpy as np

        scores, has, highest = np.zeros(self.size, np.float32), np.zeros(self.size, np.float32), 0.0
        for one in wanted:
            known = {term: weight for term, weight in one.items() if term in self.columns}
            best = np.zeros(self.size, np.float32)
            for term, weight in known.items():
                span = self._span(term)
                places = self.places[span]
                best[places] = np.maximum(best[places], weight * self.weights[span])
            scores += best
            has += best > 0
            highest += max((weight * self.idf(term) for term, weight in (known or one).items()), default=0.0)
        return scores, has, highest

    def sums(self, terms: Sequence[str]) -> tuple[np.ndarray, np.ndarray]:
        """The BM25 score of every document for these terms, and the number of the terms that it contains.

        Both are of shape (size,), float32, and 0 for a document that has none of the terms.
        """
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
class SubjectIndex:
    """What each chunk is about: the names of its file and its headings, each as a set of stems."""

    names: Bm25
    """Here a document is a subject."""
    homes: np.ndarray
    """The number of each subject's chunk, int32."""
    totals: np.ndarray
    """The sum of the weights of each subject's stems, float32."""

    @classmethod
    def of(cls, subjects: Sequence[Sequence[Sequence[str]]], weight: Callable[[str], float]) -> SubjectIndex:
        """Index the subjects of each chunk, given as lists of distinct stems. `weight` gives the weight of a stem."""
        import numpy as np

        flat = [subject for own in subjects for subject in own]
        columns, ids = _numbered(chain.from_iterable(flat), sum(map(len, flat)))
        documents = np.repeat(np.arange(len(flat)), [len(one) for one in flat])
        homes = np.repeat(np.arange(len(subjects)), [len(own) for own in subjects]).astype(np.int32)
        return cls.weighed(Bm25.of(columns, ids, documents, len(flat)), homes, weight)

    @classmethod
    def weighed(cls, names: Bm25, homes: np.ndarray, weight: Callable[[str], float]) -> SubjectIndex:
        import numpy as np

        each = np.repeat(np.fromiter(map(weight, names.columns), np.float64), np.diff(names.starts))
        totals = np.bincount(names.places, each, minlength=names.size).astype(np.float32)
        return cls(names, homes, totals)

    def shares(self, weights: Mapping[str, float], size: int) -> np.ndarray:
        """How far a query and the most similar subject of each of `size` chunks are the same, 0 to 1, shape (size,).

        `weights` has the weight of each stem of the query. It is the product of two shares: of the subject's weight in
        the query, and of the query's in the subject.
        """
        import numpy as np

        shared = np.zeros(self.names.size, dtype=np.float32)
        for stem, weight in weights.items():
            shared[self.names.holders(stem)] += weight
        found, out = np.flatnonzero(shared), np.zeros(size, dtype=np.float32)
        both = self.totals[found] * np.float32(max(sum(weights.values()), 1e-6))
        np.maximum.at(out, self.homes[found], np.minimum(shared[found] ** 2 / np.maximum(both, 1e-6), 1.0))
        return out

    def named(self, stems: Collection[str], content: Collection[str], size: int) -> np.ndarray:
        """How many of the stems in `content` a subject of each of `size` chunks has, shape (size,).

        Only subjects count all of whose stems are in `stems`, those of the query.
        """
        import numpy as np

        has, telling = np.zeros(self.names.size, dtype=np.int32), np.zeros(self.names.size, dtype=np.int32)
        for stem in dict.fromkeys(stems):
            places = self.names.holders(stem)
            has[places] += 1
            telling[places] += stem in content
        found, out = np.flatnonzero((has > 0) & (has == self.names.lengths)), np.zeros(size, dtype=np.int32)
        np.maximum.at(out, self.homes[found], telling[found])
        return out


@dataclass(frozen=True, slots=True)
class LexicalIndex:
    """Indexes of the same documents: of stems, of the stems' n-grams, and of subjects. A document is a chunk."""

    stems: Bm25
    ngrams: Bm25
    subjects: SubjectIndex

    @classmethod
    def of(cls, documents: Sequence[Sequence[str]], subjects: Sequence[Sequence[Sequence[str]]] = ()) -> LexicalIndex:
        """Index documents given as lists of stems. `subjects` has those of each document, or is empty."""
        import numpy as np

        size = len(documents)
        stems, ids = _numbered(chain.from_iterable(documents), sum(map(len, documents)))
        homes = np.repeat(np.arange(size), [len(document) for document in documents])
        columns: dict[str, int] = {}
        ngrams = [[columns.setdefault(ngram, len(columns)) for ngram in ngrams_of(stem)] for stem in stems]
        counts = np.fromiter(map(len, ngrams), np.int64, len(ngrams))
        flat = np.fromiter(chain.from_iterable(ngrams), np.int64, int(counts.sum()))
        firsts = np.cumsum(counts) - counts
        # Replace each occurrence of a stem by its n-grams, taken from `flat`.
        many = counts[ids]
        steps = np.arange(int(many.sum())) - np.repeat(np.cumsum(many) - many, many)
        occurrences = flat[np.repeat(firsts[ids], many) + steps]
        whole = Bm25.of(stems, ids, homes, size)
        ngram_index = Bm25.of(columns, occurrences, np.repeat(homes, many), size)
        return cls(whole, ngram_index, SubjectIndex.of(subjects, whole.idf))

    def stem_shares(self, wanted: Sequence[Wanted]) -> np.ndarray:
        """Each document's score over the highest score that this query could reach, 0 to 1, shape (size,)."""
        import numpy as np

        scores, _, highest = self.stems.wanted(wanted)
        return scores / np.float32(max(highest, 1e-6))

    def ngram_shares(self, wanted: Sequence[Wanted]) -> tuple[np.ndarray, np.ndarray]:
        """The same for the character n-grams of the query's words, and the share of the n-grams that a document has.

        A figure has no n-grams: it counts as `_FIGURE_NGRAMS` of them, by its terms.
        """
        import numpy as np

        figures = [one for one in wanted if next(iter(one)).startswith(FIGURE)]
        stems = [next(iter(one)) for one in wanted if not next(iter(one)).startswith(FIGURE)]
        ngrams = [ngram for stem in stems for ngram in ngrams_of(stem)]
        scores, has = self.ngrams.sums(ngrams)
        more, there, highest = self.stems.wanted(figures)
        highest = sum(map(self.ngrams.idf, ngrams)) + _FIGURE_NGRAMS * highest
        count = len(ngrams) + _FIGURE_NGRAMS * len(figures)
        shares = (scores + _FIGURE_NGRAMS * more) / np.float32(max(highest, 1e-6))
        return shares, (has + _FIGURE_NGRAMS * there) / np.float32(max(count, 1))

    def subject_shares(self, stems: Sequence[str]) -> np.ndarray:
        """How far the query of these stems and a subject of each document are the same, 0 to 1, shape (size,)."""
        return self.subjects.shares({stem: self.stems.idf(stem) for stem in stems}, self.stems.size)


def write_lexical(
    parent: Path, documents: Sequence[Sequence[str]], subjects: Sequence[Sequence[Sequence[str]]] = ()
) -> str:
    """Index documents, given as lists of stems, and write the index to a folder under `parent`.

    `subjects` has the subjects of each document, as lists of stems, or is empty.

    Returns the folder's name, which depends on the documents only. If there are no stems, nothing is written, and the
    name is empty.
    """
    if not any(documents):
        return ""
    named = ("\t".join(map(" ".join, own)) for own in subjects)
    digest = hashlib.sha256("\n".join([_FORMAT, *map(" ".join, documents), *named]).encode("utf-8", "replace"))
    folder = parent / f"lexical-{digest.hexdigest()[:24]}"
    if not folder.is_dir():
        index = LexicalIndex.of(documents, subjects)
        folder.mkdir()
        index.stems.save(folder / _STEMS)
        index.ngrams.save(folder / _NGRAMS)
        index.subjects.names.save(folder / _SUBJECTS, homes=index.subjects.homes)
    return folder.name


def load_lexical(parent: Path, name: str, size: int) -> LexicalIndex:
    """Read the index that `write_lexical` wrote under `parent` and named `name`; an empty name gives an empty index.

    Raises IndexDamagedError if it is unreadable, or has another number of documents than `size`.
    """
    if not name:
        return LexicalIndex.of([()] * size)
    if not _FOLDER.fullmatch(name):
        raise damaged("index of words", parent, f"{name!r} is not the name of its folder")
    try:
        stems, ngrams = Bm25.load(parent / name / _STEMS), Bm25.load(parent / name / _NGRAMS)
        index = LexicalIndex(stems, ngrams, _load_subjects(parent / name / _SUBJECTS, stems))
    except UNREADABLE as error:
        raise damaged("index of words", parent / name, str(error)) from error
    if {index.stems.size, index.ngrams.size} != {size}:
        raise damaged("index of words", parent / name, f"it has {index.stems.size} chunks, the manifest {size}")
    return index


def _load_subjects(file: Path, stems: Bm25) -> SubjectIndex:
    names = Bm25.load(file)
    homes = read_arrays(file, "homes")["homes"]
    if len(homes) != names.size or (names.size and not 0 <= int(homes.min()) <= int(homes.max()) < stems.size):
        raise ValueError("the subjects belong to other chunks")
    return SubjectIndex.weighed(names, homes, stems.idf)
