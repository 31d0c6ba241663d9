"""The next generation of an index: made in a folder of its own from a copy of the last, proven, and only then shown."""

from __future__ import annotations

import random
import shutil
from collections.abc import Collection, Mapping, Sequence, Set
from pathlib import Path
from typing import TYPE_CHECKING

from cervella.errors import IndexDamagedError
from cervella.knowledge.index.centring import Centring
from cervella.knowledge.index.manifest import FileRow, Manifest
from cervella.knowledge.index.matrix import VectorMatrix
from cervella.knowledge.index.storage import Generation, IndexFolder
from cervella.knowledge.index.vectors import VectorStore
from cervella.knowledge.index.words import load_lexical

if TYPE_CHECKING:
    import numpy as np

_SAMPLE = 200  # vectors asked for by themselves in every run, besides those that it wrote
_MANY_NEW = 0.25  # of the chunks: then confidence is calibrated anew
_AT_ONCE = 256  # vectors stored in one write
_SEED = 4  # of the sample: the same index is asked for the same


class Builder:
    """Makes generations, one after the other, for the one writer. Close it, whatever happened."""

    def __init__(
        self,
        storage: IndexFolder,
        *,
        base: Generation | None,
        former: Generation | None,
        fingerprint: str,
        thorough: bool = False,
    ) -> None:
        """`base` is the generation to go on from; without one everything is made anew. `former` is kept beside.

        `fingerprint` is the embedder's. `thorough` asks for every vector by itself, not for a sample.
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
        self._vectors_sound = True
        self.centring_is_new = False
        """Whether what all vectors have in common was measured anew."""

    def close(self) -> None:
        """Throw away what was not published."""
        if self._store is not None:
            self._store.close()
            self._store = None
        if self._manifest is not None:
            self._manifest.close()
            self._manifest = None
        if self._work is not None:
            self.storage.discard(self._work)
            self._work = None

    @property
    def manifest(self) -> Manifest:
        """The one that is being written; where none is, that of what is published, to be read."""
        return self._manifest or self.begin()[0]

    def files(self) -> dict[str, FileRow]:
        """What is indexed, by path."""
        return self._manifest.files() if self._manifest else {}

    def meta(self, key: str) -> str | None:
        return self._manifest.meta(key) if self._manifest else None

    def check(self) -> None:
        """Compare the base with its seal. Vectors that are not as they were stored are made again in the next one.

        Raises IndexDamagedError; with `thorough` for vectors too.
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
        """Store vectors by chunk id: some at a time, since each write costs Chroma a commit."""
        self._waiting.update(vectors)
        if len(self._waiting) >= _AT_ONCE:
            self._store_waiting()

    def _store_waiting(self) -> None:
        if not self._waiting:
            return
        manifest, _ = self.begin()
        self._vectors().upsert(self._waiting)
        manifest.mark(self._waiting, embedded=True)
        self._written.update(self._waiting)
        self._waiting.clear()

    def drop_stale(self) -> None:
        """Remove the vectors of chunks that are gone, now that those of the new ones are there."""
        self._store_waiting()
        manifest, work = self.begin()
        store, wanted = self._vectors(), manifest.ids()
        stale = store.ids() - wanted
        store.delete(sorted(stale))
        # Chroma only marks vectors as gone: when most of them are, its graph is made anew.
        dropped = int(self.meta("dropped") or 0) + len(stale)
        if dropped > len(wanted):
            self._refill(work, wanted)
            dropped = 0
        manifest.put_meta({"vectors": "current", "dropped": str(dropped)})
        self._measure()

    def nearest(self, query: np.ndarray, count: int) -> dict[str, float]:
        """The ids of the chunks nearest to a query in the generation that is being made, and their cosine."""
        return self._vectors().query(query, count)

    def _measure(self) -> None:
        """Note what all vectors have in common, and write them as a matrix. All of them, in the order of their ids: an
        index that grew file by file ranks as one that was built at once."""
        import numpy as np

        manifest, work = self.begin()
        former, new = manifest.meta("centring"), manifest.without_common_component()
        vectors = dict(sorted((one, vector) for page in self._vectors().items() for one, vector in page.items()))
        rows = np.asarray(list(vectors.values()), dtype=np.float32)
        with self.storage.translated_errors():
            VectorMatrix.write(work, list(vectors), rows)
        centring = Centring.of(rows) if vectors else None
        manifest.put_meta({"centring": centring.to_json() if centring else ""})
        self.centring_is_new = self.centring_is_new or not former or len(new) > _MANY_NEW * manifest.count()
        if centring is not None:
            manifest.put_common_components(dict(zip(vectors, centring.common_components(rows).tolist(), strict=True)))

    def _vectors(self) -> VectorStore:
        """The vectors of the generation that is being made."""
        if self._store is None:
            self._store = VectorStore(self.begin()[1], self._fingerprint)
        return self._store

    def _refill(self, work: Path, wanted: Collection[str]) -> None:
        """Make the store anew from its own vectors: Chroma never gives up what it was given."""
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
        """The generation that is being made: a copy of the base, where there is one."""
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
        else:
            manifest.mark(manifest.ids(embedded=True), embedded=False)
            manifest.put_meta({"vectors": "stale", "dropped": "0"})
            self._vectors_sound = True
        name = manifest.meta("lexical")
        if lexical and name:
            with self.storage.translated_errors():
                shutil.copytree(self._base.path / name, work / name)
        return manifest, work

    def publish(self) -> None:
        """Check the generation that was made, and show it to readers."""
        self._store_waiting()
        if self._work is None or self._manifest is None:
            return
        written, self._written = self._written, set()
        if self._store is not None:
            self._compact()
            if self._lost(self._work, written):
                # It happens that Chroma's graph loses its way to a vector it holds: a new graph has all ways.
                self._refill(self._work, self._manifest.ids())
                self._vectors()
                self._compact()
                self._prove(self._work, written)
        if self._thorough:
            self._manifest.check()
            load_lexical(self._work, self._manifest.meta("lexical") or "", self._manifest.count())
        self._manifest.close()
        self._base = self.storage.publish(self._work, former=self._former)
        self._work = None
        self._manifest = Manifest.open(self._base.path)
        self.storage.sweep()

    def verify(self) -> None:
        """Prove of what is published that all that it names can be found. Raises IndexDamagedError where it can't."""
        if self._base is None or self._manifest is None:
            return
        self._manifest.check()
        load_lexical(self._base.path, self._manifest.meta("lexical") or "", self._manifest.count())
        if VectorStore.exists(self._base.path):
            self._prove(self._base.path, set())

    def _compact(self) -> None:
        if self._store is not None:
            self._store.compact()
            self._store = None

    def _prove(self, folder: Path, written: Set[str]) -> None:
        """Raises IndexDamagedError where a vector that should be there is not, or does not find itself."""
        lost = self._lost(folder, written)
        if lost:
            raise IndexDamagedError(
                f"{len(lost)} chunks have no vector that can be found, though they were stored.",
                remedy="Build it anew with `cervella index --rebuild`.",
            )

    def _lost(self, folder: Path, written: Set[str]) -> Set[str]:
        """The chunks whose vector is not there, or, of those that are asked, does not find itself."""
        assert self._manifest is not None
        embedded = self._manifest.ids(embedded=True)
        with VectorStore(folder, self._fingerprint) as store:
            missing = embedded - store.ids()
            if missing:
                return missing
            sample = random.Random(_SEED).sample(sorted(embedded), min(_SAMPLE, len(embedded)))
            asked = embedded if self._thorough else embedded & (written | set(sample))
            return set(store.unfindable(asked))

    def purge(self) -> None:
        """Publish the index once more with no byte of what was deleted, and remove all other generations."""
        manifest, work = self.begin()
        manifest.vacuum()
        if VectorStore.exists(work):
            self._refill(work, manifest.ids())
            self._measure()
        self._former = None
        self.publish()
        self.storage.sweep(force=True)
