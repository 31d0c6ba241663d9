"""Stores a copy of a small index's vectors as one matrix in one file, so that a search needs no Chroma.

Loading Chroma takes almost half of a cold search. A product with a few thousand vectors takes a millisecond.
"""

from __future__ import annotations

import hashlib
import io
from collections.abc import Sequence, Set
from pathlib import Path
from typing import IO, TYPE_CHECKING

from cervella.errors import IndexDamagedError
from cervella.knowledge.index.arrays import UNREADABLE, read_arrays
from cervella.knowledge.index.checksums import MATRIX
from cervella.knowledge.index.entries import read_file
from cervella.knowledge.index.manifest import damaged
from cervella.knowledge.index.storage import Generation

if TYPE_CHECKING:
    import numpy as np

_MOST_BYTES = 1_000_000_000
MOST_VECTORS = 5_000  # maximum number of vectors: 8 MB at 384 dimensions


class VectorMatrix:
    """The vectors of a small index in memory. `rows` has one vector for each of `ids`, shape (chunks, dimensions)."""

    def __init__(self, ids: Sequence[str], rows: np.ndarray) -> None:
        import numpy as np

        self._places = {one: place for place, one in enumerate(ids)}
        self._rows = rows / np.maximum(np.linalg.norm(rows, axis=1, keepdims=True), 1e-12)

    @staticmethod
    def write(folder: Path, ids: Sequence[str], rows: np.ndarray) -> None:
        """Write the vectors `rows`, shape (chunks, dimensions), of the chunks `ids` to a file in `folder`.

        Nothing is written if there are no vectors, or more than `MOST_VECTORS`.
        """
        import numpy as np

        if 0 < len(ids) <= MOST_VECTORS:
            np.savez(folder / MATRIX, ids=np.asarray(ids), rows=rows)

    @classmethod
    def read(cls, generation: Generation, ids: Set[str]) -> VectorMatrix | None:
        """Load the vectors of the chunks `ids` of a generation.

        None if the file is missing, fails its checksum, or lacks one of the chunks. It may have more: those of chunks
        that were deleted by an update of the words alone.
        """
        data = _checked(generation)
        if data is None:
            return None
        try:
            found, rows = _read(io.BytesIO(data))
        except UNREADABLE as error:
            raise damaged("file of vectors", generation.path / MATRIX, str(error)) from error
        if not ids <= set(found):
            return None
        kept = [place for place, one in enumerate(found) if one in ids]
        return cls([found[place] for place in kept], rows[kept])

    @staticmethod
    def stored(folder: Path) -> dict[str, np.ndarray]:
        """The vectors of the file in a folder, by chunk id; none if it is missing or damaged."""
        try:
            return dict(zip(*_read(folder / MATRIX), strict=True))
        except UNREADABLE:
            return {}

    @staticmethod
    def copy(generation: Generation, folder: Path) -> None:
        """Copy the file of a generation to `folder`, unless it is missing or fails its checksum."""
        data = _checked(generation)
        if data is not None:
            (folder / MATRIX).write_bytes(data)

    def query(self, vector: np.ndarray, count: int, *, among: Sequence[str] | None = None) -> dict[str, float]:
        """The cosines of the `count` chunks nearest to a vector, by chunk id, best first.

        If `among` is given, only the chunks with these ids are searched.
        """
        import numpy as np

        if len(vector) != self._rows.shape[1]:
            raise IndexDamagedError(
                f"The index has vectors of {self._rows.shape[1]} dimensions, the embedder makes {len(vector)}.",
                remedy="Build the index again with `cervella index --rebuild`.",
            )
        ids = [one for one in (self._places if among is None else among) if one in self._places]
        rows = self._rows[[self._places[one] for one in ids]] if among is not None else self._rows
        cosines = rows @ (vector / max(float(np.linalg.norm(vector)), 1e-12))
        return {ids[place]: float(cosines[place]) for place in np.argsort(-cosines, kind="stable")[:count]}


def _read(file: Path | IO[bytes]) -> tuple[list[str], np.ndarray]:
    """The chunk ids and their vectors. Raises the errors of `UNREADABLE`."""
    import numpy as np

    arrays = read_arrays(file, "ids", "rows")
    ids, rows = arrays["ids"].tolist(), arrays["rows"]
    if rows.ndim != 2 or len(rows) != len(ids) or rows.dtype.kind != "f" or not np.isfinite(rows).all():
        raise ValueError("it has no vector for each chunk")
    return ids, rows


def _checked(generation: Generation) -> bytes | None:
    """The bytes of the file; None if it is missing, or its checksum differs."""
    try:
        data = read_file(generation.path / MATRIX, _MOST_BYTES)
    except OSError:
        return None
    return data if hashlib.sha256(data).hexdigest() == generation.checksums()["files"].get(MATRIX) else None
