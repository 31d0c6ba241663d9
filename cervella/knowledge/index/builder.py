"""Builds the next generation (state) of an index as a changed copy of the last one, then checks and publishes it.

The copy is made in a work folder of its own, so that searches can use the last one meanwhile.
"""

from __future__ import annotations

import random
import shutil
from collections.abc import Callable, Collection, Mapping, Sequence, Set
from pathlib import Path
from typing import TYPE_CHECKING, TypeVar

from cervella.errors import IndexDamagedError
from cervella.knowledge.index.centring import Centring
from cervella.knowledge.index.manifest import FileRow, Manifest
from cervella.knowledge.index.matrix import MOST_VECTORS, VectorMatrix
from cervella.knowledge.index.storage import Generation, IndexFolder
from cervella.knowledge.index.vectors import VectorStore
from cervella.knowledge.index.words import load_lexical

if TYPE_CHECKING:
    import numpy as np

_Read = TypeVar("_Read")
_SAMPLE = 200  # old vectors per run whose retrieval is checked, besides all new ones
_LEFT_OUT = 0.02  # share of vectors that the graph of a small index may not find
_MANY_NEW = 0.25  # share of new chunks above which confidence is calibrated again
_AT_ONCE = 256  # vectors stored in one write
_SEED = 4  # of the random sample, so that a run can be repeated


class Builder:
    """Makes one or more generations of an index, one after another. Always close it.

    To write, the caller must have the writer lock of the index.
    """

    def __init__(
        self,
        storage: IndexFolder,
        *,
        base: Generation | None,
        former: Generation | None,
        fingerprint: str,
        thorough: bool = False,
    ) -> None:
        """`base` is the generation to copy; None starts with an empty index. `former` is kept for a roll-back.

        `fingerprint` is that of the embedder. `thorough` checks that Chroma finds every vector, not only the new ones
        and a sample.
        """
        self.storage = storage
        self._base = base
        self._former = former
        self._fingerprint = fingerprint
        self._thorough = thorough
        self._manifest = Manifest.open(base.path) if base else None
        self._work: Path | None = None
        self._store: VectorStore | None = None
        self._waiting: dict[str, Sequence[float] | np.ndarray] = {}
        self._written: set[str] = set()
        self._exact: dict[str, np.ndarray] = {}
        self._vectors_sound = True
        self.centring_is_new = False
        """Whether the mean of the vectors changed so much that confidence must be calibrated again."""

    def close(self) -> None:
        """Delete an unpublished generation."""
        if self._store is not None:
            self._store.close()
            self._store = None
        if self._manifest is not None:
            self._manifest.close()
            self._manifest = None
        if self._work is not None:
            shutil.rmtree(self._work, ignore_errors=True)
            self._work = None

    @property
    def manifest(self) -> Manifest:
        """The manifest of the generation in progress; if there is none, the published one, for reading."""
        return self._manifest or self.begin()[0]

    def files(self) -> dict[str, FileRow]:
        """The indexed files, by path."""
        return self._manifest.files() if self._manifest else {}

    def meta(self, key: str) -> str | None:
        return self._manifest.meta(key) if self._manifest else None

    def read_meta(self, key: str, read: Callable[[str | None], _Read]) -> _Read:
        """See `Manifest.read_meta`; of an empty text if there is no manifest yet."""
        return self._manifest.read_meta(key, read) if self._manifest else read(None)

    def check(self) -> None:
        """Compare the files of `base`, the generation to copy, with their checksums.

        Raises IndexDamagedError. If only vectors are damaged, it is raised if `thorough`; else all chunks are embedded
        again in the next generation.
        """
        if self._base is None:
            return
        self._base.check()
        try:
            self._base.check_vectors()
        except IndexDamagedError:
            if self._thorough:
                raise
            self._vectors_sound = False
            self.begin()

    def add(self, vectors: Mapping[str, Sequence[float] | np.ndarray]) -> None:
        """Store vectors by chunk id. They are collected and written in batches, because Chroma commits each write."""
        self._waiting.update(vectors)
        if len(self._waiting) >= _AT_ONCE:
            self._store_waiting()

    def _store_waiting(self) -> None:
        import numpy as np

        if not self._waiting:
            return
        manifest, _ = self.begin()
        self._vectors().upsert(self._waiting)
        manifest.set_embedded(self._waiting, True)
        self._written.update(self._waiting)
        if len(self._exact) <= MOST_VECTORS:
            self._exact.update({one: np.asarray(row, dtype=np.float32) for one, row in self._waiting.items()})
        self._waiting.clear()

    def drop_stale(self) -> None:
        """Remove the vectors of deleted chunks, after the new ones were stored."""
        self._store_waiting()
        manifest, work = self.begin()
        store, wanted = self._vectors(), manifest.ids()
        stale = store.ids() - wanted
        store.delete(sorted(stale))
        # Chroma never removes a deleted vector from its graph, so the graph is rebuilt when most are deleted.
        dropped = self.read_meta("dropped", lambda text: int(text or 0)) + len(stale)
        if dropped > len(wanted):
            self._refill(work, wanted)
            dropped = 0
        manifest.put_meta({"vectors": "current", "dropped": str(dropped)})
        self._measure()

    def nearest(self, query: np.ndarray, count: int) -> dict[str, float]:
        """The cosines of the `count` chunks nearest to a query's vector, by chunk id, in the generation in progress."""
        self._store_waiting()
        return self._vectors().query(query, count)

    def _measure(self) -> None:
        """Compute the mean of all vectors, and write the vectors as a matrix.

        Both use all vectors in the order of their ids, and as the embedder made them where these are known: Chroma
        changes their last digits with each write. So the history of an index does not change its ranking.
        """
        import numpy as np

        manifest, work = self.begin()
        former, new = manifest.meta("centring"), manifest.without_common_component()
        vectors = dict(sorted((one, vector) for page in self._vectors().items() for one, vector in page.items()))
        exact = VectorMatrix.stored(work) | self._exact
        vectors = {one: exact.get(one, vector) for one, vector in vectors.items()}
        rows = np.asarray(list(vectors.values()), dtype=np.float32)
        with self.storage.translated_errors():
            VectorMatrix.write(work, list(vectors), rows)
        centring = Centring.of(rows) if vectors else None
        manifest.put_meta({"centring": centring.to_json() if centring else ""})
        self.centring_is_new = self.centring_is_new or not former or len(new) > _MANY_NEW * manifest.count()
        if centring is not None:
            manifest.put_common_components(dict(zip(vectors, centring.common_components(rows).tolist(), strict=True)))

    def _vectors(self) -> VectorStore:
        """The vector store of the generation in progress."""
        if self._store is None:
            self._store = VectorStore(self.begin()[1], self._fingerprint)
        return self._store

    def _refill(self, work: Path, wanted: Collection[str]) -> None:
        """Rebuild the vector store in `work`, the folder of the generation, from its own vectors.

        Only the chunks with the ids `wanted` are kept. Chroma itself never frees the space of deleted vectors.
        """
        aside = work / "aside"
        with VectorStore(aside, self._fingerprint) as new:
            for page in self._vectors().items():
                new.upsert({one: vector for one, vector in page.items() if one in wanted})
        self._vectors().close()
        self._store = None
        with self.storage.translated_errors():
            VectorStore.move(aside, work)
            aside.rmdir()

    def begin(self, *, lexical: bool = True) -> tuple[Manifest, Path]:
        """The manifest and the folder of the generation in progress.

        The first call begins the generation, as a copy of `base` if there is one. `lexical` also copies the lexical
        index; without it the caller must write a new one.
        """
        if self._work is not None and self._manifest is not None:
            return self._manifest, self._work
        self._work = work = self.storage.new_work()
        if self._base is None:
            self._manifest = manifest = Manifest.create(work)
            return manifest, work
        if self._manifest is not None:
            self._manifest.close()
        self._manifest = manifest = Manifest.copy(self._base.path, work)
        built = manifest.built_with
        if self._vectors_sound and built and built.fingerprint == self._fingerprint:
            VectorStore.copy(self._base.path, work)
            with self.storage.translated_errors():
                VectorMatrix.copy(self._base, work)
        else:
            manifest.set_embedded(manifest.ids(embedded=True), False)
            manifest.put_meta({"vectors": "stale", "dropped": "0"})
            self._vectors_sound = True
        name = manifest.meta("lexical")
        if lexical and name:
            with self.storage.translated_errors():
                shutil.copytree(self._base.path / name, work / name)
        return manifest, work

    def publish(self) -> None:
        """Check the generation in progress, and make it the current one. Does nothing if there is none."""
        self._store_waiting()
        if self._work is None or self._manifest is None:
            return
        written, self._written = self._written, set()
        if self._store is not None:
            self._compact()
            if self._lost(self._work, written):
                # Chroma's graph sometimes has no path to a stored vector; a rebuilt graph has one.
                self._refill(self._work, self._manifest.ids())
                self._vectors()
                self._compact()
                self._prove(self._work, written)
        if self._thorough:
            self._check_words(self._work)
        self._manifest.close()
        self._base = self.storage.publish(self._work, former=self._former)
        self._work = None
        self._manifest = Manifest.open(self._base.path)
        self.storage.sweep()

    def verify(self) -> None:
        """Check manifest, lexical index and vectors of the published generation. Raises IndexDamagedError."""
        if self._base is None or self._manifest is None:
            return
        self._check_words(self._base.path)
        if VectorStore.exists(self._base.path):
            self._prove(self._base.path, set())

    def _check_words(self, folder: Path) -> None:
        self.manifest.check()
        load_lexical(folder, self.manifest.meta("lexical") or "", self.manifest.count())

    def _compact(self) -> None:
        if self._store is not None:
            self._store.compact()
            self._store = None

    def _prove(self, folder: Path, written: Set[str]) -> None:
        """Raises IndexDamagedError if a vector cannot be found. The parameters are those of `_lost`."""
        lost = self._lost(folder, written)
        if lost:
            raise IndexDamagedError(
                f"{len(lost)} chunks have no vector that can be found, though they were stored.",
                remedy="Build it anew with `cervella index --rebuild`.",
            )

    def _lost(self, folder: Path, written: Set[str]) -> Set[str]:
        """The ids of chunks whose vector is missing, or is not among the results of a query with that vector.

        `folder` is the generation's folder. The query is made for the chunks `written` and for a random sample, or for
        all chunks if `thorough`.
        """
        assert self._manifest is not None
        embedded = self._manifest.ids(embedded=True)
        with VectorStore(folder, self._fingerprint) as store:
            missing = embedded - store.ids()
            if missing:
                return missing
            sample = random.Random(_SEED).sample(sorted(embedded), min(_SAMPLE, len(embedded)))
            asked = embedded if self._thorough else embedded & (written | set(sample))
            lost = set(store.unfindable(asked))
        # Beside hundreds of nearly equal texts Chroma's graph may leave one out. A small index is not searched by it.
        few = len(embedded) <= MOST_VECTORS and len(lost) <= _LEFT_OUT * len(embedded)
        return set() if few else lost

    def purge(self) -> None:
        """Publish a generation without any bytes of deleted text, and remove all other generations."""
        manifest, work = self.begin()
        manifest.vacuum()
        if VectorStore.exists(work):
            self._refill(work, manifest.ids())
            self._measure()
        self._former = None
        self.publish()
        self.storage.sweep(force=True)
