"""BM25 over stems, by bm25s, and over their letters, in a folder of its own that is written once and never changed."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any
from zipfile import BadZipFile

from cervella.errors import IndexDamagedError
from cervella.knowledge.index.ngrams import LetterIndex, rarity

if TYPE_CHECKING:
    import numpy as np

__all__ = ["LexicalIndex", "load_lexical", "write_lexical"]

_K1, _B = 1.2, 0.75  # the values that Lucene ships
_FORMAT = "3"  # changes with what is written


def write_lexical(parent: Path, documents: Sequence[Sequence[str]]) -> str:
    """Index documents given as lists of stems. Gives the name of the folder under `parent`.

    The name is empty where there is not one stem: there is nothing to write then.
    """
    if not any(documents):
        return ""
    from bm25s import BM25

    digest = hashlib.sha256("\n".join([_FORMAT, *map(" ".join, documents)]).encode("utf-8", "replace"))
    name = f"lexical-{digest.hexdigest()[:24]}"
    if (parent / name).is_dir():
        return name
    columns: dict[str, int] = {}
    said = [[columns.setdefault(stem, len(columns)) for stem in document] for document in documents]
    model = BM25(method="lucene", k1=_K1, b=_B)
    model.index((said, dict(columns)), show_progress=False)  # it adds a stem of its own
    model.save(parent / name, show_progress=False)
    LetterIndex.of(list(columns), said).save(parent / name)
    return name


def load_lexical(parent: Path, name: str, size: int) -> LexicalIndex:
    """Read an index of `size` documents back. Raises IndexDamagedError where it can't be, or is of another size."""
    if not name:
        return LexicalIndex(None, None, size)
    from bm25s import BM25

    try:
        model = BM25.load(parent / name, show_progress=False)
        letters = LetterIndex.load(parent / name)
        held = {int(model.scores["num_docs"])} | ({letters.size} if letters else set())
    except (OSError, ValueError, KeyError, TypeError, EOFError, BadZipFile) as error:
        raise _damaged(parent / name, str(error)) from error
    if held != {size}:
        raise _damaged(parent / name, f"it holds {max(held)} chunks, the manifest {size}")
    return LexicalIndex(model, letters, size)


def _damaged(path: Path, reason: str) -> IndexDamagedError:
    return IndexDamagedError(
        f"The index of words at {str(path)!r} can't be read: {reason}.",
        remedy="Build it anew with `cervella index --rebuild`.",
    )


class LexicalIndex:
    """A loaded index. Documents are known by their place, from 0."""

    def __init__(self, model: Any, letters: LetterIndex | None, size: int) -> None:
        self.letters = letters
        """The same documents by the letters of their stems; None where an older version wrote the index."""
        self._model = model
        self._size = size

    def scores(self, stems: Sequence[str]) -> np.ndarray:
        """The BM25 score of every document, shape (size,), float32; 0 without a common stem."""
        import numpy as np

        known = [] if self._model is None else [self._column(stem) for stem in stems if self._column(stem) is not None]
        if not known:
            return np.zeros(self._size, dtype=np.float32)
        scores: np.ndarray = self._model.get_scores_from_ids(known)
        return scores

    def shares(self, stems: Sequence[str]) -> np.ndarray:
        """How much of what these stems could score each document scores, 0 to 1, shape (size,)."""
        once = list(dict.fromkeys(stems))
        shares: np.ndarray = self.scores(once) / max(sum(map(self.idf, once)), 1e-6)
        return shares

    def idf(self, stem: str) -> float:
        """How much a stem tells: log(1 + (N - n + 0.5) / (n + 0.5)), n of the N documents having it."""
        return rarity(self._size, len(self.holders(stem)))

    def holders(self, stem: str) -> Sequence[int]:
        """The documents that have a stem."""
        column = self._column(stem)
        if column is None:
            return ()
        first, last = self._model.scores["indptr"][column : column + 2]
        places: Sequence[int] = self._model.scores["indices"][first:last]
        return places

    def _column(self, stem: str) -> int | None:
        return None if self._model is None else self._model.vocab_dict.get(stem)
