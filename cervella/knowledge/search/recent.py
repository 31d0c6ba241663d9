"""Keeps the vectors of the last questions and of the last excerpts, so that an answer embeds no text twice."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Sequence
from threading import Lock
from typing import TYPE_CHECKING

from cervella.protocols import Embedder

if TYPE_CHECKING:
    import numpy as np

_QUESTIONS, _TEXTS = 8, 4_096
"""Maximum vectors that are kept: 4,096 of 384 dimensions take 6 MB."""


class RecentVectors:
    """The vectors of recent texts of one embedder. Thread-safe. The oldest ones are dropped."""

    def __init__(self, embedder: Embedder) -> None:
        self._embedder = embedder
        self._lock = Lock()
        self._questions: OrderedDict[str, np.ndarray] = OrderedDict()
        self._texts: OrderedDict[str, np.ndarray] = OrderedDict()

    def question(self, text: str) -> np.ndarray:
        """The vector of a question, shape (dimensions,)."""
        with self._lock:
            found = self._questions.get(text)
        if found is None:
            found = self._embedder.embed_query(text)
            self._keep(self._questions, text, found, _QUESTIONS)
        return found

    def texts(self, texts: Sequence[str]) -> list[np.ndarray]:
        """The vectors of texts of the notes, in their order."""
        with self._lock:
            known = {text: self._texts[text] for text in texts if text in self._texts}
        missing = list(dict.fromkeys(text for text in texts if text not in known))
        if missing:
            known.update(zip(missing, self._embedder.embed_passages(missing), strict=True))
        for text in texts:
            self._keep(self._texts, text, known[text], _TEXTS)
        return [known[text] for text in texts]

    def _keep(self, kept: OrderedDict[str, np.ndarray], text: str, vector: np.ndarray, most: int) -> None:
        with self._lock:
            kept[text] = vector
            kept.move_to_end(text)
            while len(kept) > most:
                kept.popitem(last=False)
