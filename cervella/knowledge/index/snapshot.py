"""One generation of an index, loaded for searching."""

from __future__ import annotations

from collections.abc import Mapping, Sequence, Set
from dataclasses import dataclass
from itertools import groupby
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING

from cervella.knowledge.embedders.registry import NO_EMBEDDER, choose_embedder
from cervella.knowledge.index.centring import Centring
from cervella.knowledge.index.confidence import Calibration
from cervella.knowledge.index.manifest import FileRow, Manifest
from cervella.knowledge.index.matrix import VectorMatrix
from cervella.knowledge.index.storage import Generation, IndexFolder
from cervella.knowledge.index.vectors import VectorStore
from cervella.knowledge.index.words import LexicalIndex, load_lexical
from cervella.protocols import Embedder

if TYPE_CHECKING:
    import numpy as np


@dataclass(frozen=True, slots=True, kw_only=True)
class Snapshot:
    """One generation of an index. Texts stay on disk.

    A chunk's position is its index, from 0, in the order of path and ordinal. `paths`, `passages`, `lines` and
    `common_components` are indexed by position.
    """

    generation: Generation
    """Locked, so that no writer removes it."""
    manifest: Manifest
    files: Mapping[str, FileRow]
    ids: Sequence[str]
    paths: Sequence[str]
    places: Mapping[str, int]
    """The position of each chunk id."""
    words: LexicalIndex
    passages: Sequence[range]
    """The positions of all chunks of the same passage."""
    lines: Sequence[tuple[int, int]]
    """First and last line, 1-based, inclusive."""
    embedder: Embedder | None
    centring: Centring | None
    """None if the index has too few vectors."""
    readings: Sequence[tuple[int, int]]
    """Start and end of the chunk's reading in that of its file, in characters from 0, exclusive."""
    common_components: np.ndarray
    """Shape (chunks,). A chunk without one has the mean of the others."""
    calibration: Calibration | None
    """What the cosines of this index mean; None if unknown."""
    vectors: VectorStore | VectorMatrix | None
    """None if the index has no vectors, or its embedder does not run here."""
    copied: TemporaryDirectory[str] | None
    """A writable copy of the vectors, if the generation is read-only."""
    has_vector: np.ndarray
    """Whether each chunk has a vector, shape (chunks,), bool."""
    wants_vectors: bool
    pending: int
    """Chunks that have no vector yet."""
    warning: str | None
    """The reason why the index's vectors are not searched."""

    def coverage(self) -> float:
        """The share of chunks that have a vector, 0 to 1; 1.0 for an index built without an embedder."""
        if not self.wants_vectors or not self.ids:
            return 1.0
        return 1.0 - self.pending / len(self.ids)

    def text(self, passage: range) -> str:
        """The lines of a passage, joined by \\n. `passage` are the positions of its chunks."""
        start, end = self.lines[passage[0]][0], self.lines[passage[-1]][1]
        return self.manifest.lines(self.paths[passage[0]], start, end)

    def reading(self, passage: range) -> str:
        """What is read in a passage. `passage` are the positions of its chunks."""
        start, end = self.readings[passage[0]][0], self.readings[passage[-1]][1]
        return self.manifest.passage(self.paths[passage[0]], start, end)

    def close(self) -> None:
        if isinstance(self.vectors, VectorStore):
            self.vectors.close()
        if self.copied is not None:
            self.copied.cleanup()
        self.manifest.close()
        self.generation.close()


def load_snapshot(storage: IndexFolder, asked: str | Embedder | None) -> Snapshot:
    """Load the current generation. Raises IndexMissingError, IndexMismatchError, IndexDamagedError."""
    generation = storage.hold()
    manifest = copied = None
    try:
        manifest = Manifest.open(generation.path)
        chunks, built = manifest.places(), manifest.built_with
        choice = choose_embedder(asked, built)
        words = load_lexical(generation.path, manifest.meta("lexical") or "", len(chunks))
        centring = manifest.read_meta("centring", Centring.from_json)
        calibration = manifest.read_meta("calibration", Calibration.from_json)
        files, pending = manifest.files(), manifest.count(embedded=False)
        vectors: VectorStore | VectorMatrix | None = None
        embedded = manifest.ids(embedded=True)
        if choice.embedder is not None and (embedded or VectorStore.exists(generation.path)):
            generation.check_vectors()
            vectors = VectorMatrix.read(generation, embedded)
            if vectors is None:
                copied = None if VectorStore.writable(generation.path) else _copied(generation.path)
                where = generation.path if copied is None else Path(copied.name)
                vectors = VectorStore(where, choice.embedder.fingerprint)
    except BaseException:
        if manifest is not None:
            manifest.close()
        if copied is not None:
            copied.cleanup()
        generation.close()
        raise
    return Snapshot(
        generation=generation,
        manifest=manifest,
        files=files,
        ids=[one for one, *_ in chunks],
        paths=[path for _, path, *_ in chunks],
        places={one: place for place, (one, *_) in enumerate(chunks)},
        words=words,
        passages=_passages([(path, parent) for _, path, parent, *_ in chunks]),
        lines=[(start, end) for _, _, _, start, end, *_ in chunks],
        readings=[(start, end) for *_, start, end, _ in chunks],
        embedder=choice.embedder,
        centring=centring,
        calibration=calibration,
        common_components=_common_components([value for *_, value in chunks]),
        vectors=vectors,
        copied=copied,
        has_vector=_membership([one for one, *_ in chunks], embedded),
        wants_vectors=built is not None and built.name != NO_EMBEDDER,
        pending=pending,
        warning=choice.warning,
    )


def _copied(generation: Path) -> TemporaryDirectory[str]:
    """Copy the vectors of a read-only generation to a temporary folder, because Chroma writes to a store it opens."""
    folder = TemporaryDirectory(prefix="cervella-", ignore_cleanup_errors=True)
    try:
        VectorStore.copy(generation, Path(folder.name))
    except BaseException:
        folder.cleanup()
        raise
    return folder


def _passages(parents: Sequence[tuple[str, int]]) -> list[range]:
    out: list[range] = []
    for _, group in groupby(parents):
        size = len(list(group))
        out += [range(len(out), len(out) + size)] * size
    return out


def _membership(ids: Sequence[str], among: Set[str]) -> np.ndarray:
    import numpy as np

    return np.fromiter((one in among for one in ids), dtype=bool, count=len(ids))


def _common_components(stored: Sequence[float | None]) -> np.ndarray:
    import numpy as np

    values = np.asarray([np.nan if value is None else value for value in stored], dtype=np.float32)
    missing = np.isnan(values)
    values[missing] = 0.0 if missing.all() else values[~missing].mean()
    return values
