"""One state of an index, loaded for searching."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import groupby
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING

from cervella.knowledge.embedders.registry import NO_EMBEDDER, choose_embedder
from cervella.knowledge.index.centring import Centring
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
    """One generation of an index, in memory; texts stay on disk."""

    generation: Generation
    """Held, so that no writer removes it."""
    manifest: Manifest
    files: Mapping[str, FileRow]
    ids: Sequence[str]
    paths: Sequence[str]
    """Of the chunk at the same place."""
    places: Mapping[str, int]
    """By id."""
    words: LexicalIndex
    passages: Sequence[range]
    """The places of the chunks that are one passage with the chunk at the same place."""
    lines: Sequence[tuple[int, int]]
    """The first and the last line of the chunk at the same place."""
    embedder: Embedder | None
    centring: Centring | None
    """None while too few vectors were made to know it."""
    common_components: np.ndarray
    """Of each chunk's vector, shape (chunks,); what is usual where it is not known."""
    calibration: tuple[float, float] | None
    """The usual best cosine of questions on other matters, and of the base's own headings."""
    vectors: VectorStore | VectorMatrix | None
    """None while there is none, or none that can be asked here."""
    copied: TemporaryDirectory[str] | None
    """Where the vectors lie that are asked, if not in the generation."""
    wants_vectors: bool
    pending: int
    """Chunks that have no vector yet."""
    warning: str | None
    """Why vectors are not searched although the index is made for them."""

    def is_current(self, path: Path) -> bool:
        """Whether this is the generation in that folder."""
        return self.generation.path == path

    def coverage(self) -> float:
        """Chunks with vectors / chunks; 1.0 where no vectors are wanted."""
        if not self.wants_vectors or not self.ids:
            return 1.0
        return 1.0 - self.pending / len(self.ids)

    def text(self, passage: range) -> str:
        """What a passage says: exactly its lines."""
        start, end = self.lines[passage[0]][0], self.lines[passage[-1]][1]
        return self.manifest.lines(self.paths[passage[0]], start, end)

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
        centring = Centring.from_json(manifest.meta("centring"))
        files, pending = manifest.files(), manifest.count(embedded=False)
        vectors: VectorStore | VectorMatrix | None = None
        if choice.embedder is not None and VectorStore.exists(generation.path):
            generation.check_vectors()
            vectors = VectorMatrix.read(generation, manifest.ids(embedded=True))
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
        lines=[(start, end) for *_, start, end, _ in chunks],
        embedder=choice.embedder,
        centring=centring,
        calibration=_pair(manifest.meta("calibration")),
        common_components=_common_components([common_component for *_, common_component in chunks]),
        vectors=vectors,
        copied=copied,
        wants_vectors=built is not None and built.name != NO_EMBEDDER,
        pending=pending,
        warning=choice.warning,
    )


def _copied(generation: Path) -> TemporaryDirectory[str]:
    """A copy of the vectors of an index that this user may only read: Chroma writes into its store to open it."""
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


def _common_components(known: Sequence[float | None]) -> np.ndarray:
    import numpy as np

    common_components = np.asarray(
        [np.nan if common_component is None else common_component for common_component in known], dtype=np.float32
    )
    missing = np.isnan(common_components)
    common_components[missing] = 0.0 if missing.all() else common_components[~missing].mean()
    return common_components


def _pair(text: str | None) -> tuple[float, float] | None:
    values = json.loads(text) if text else None
    return (float(values[0]), float(values[1])) if values else None
