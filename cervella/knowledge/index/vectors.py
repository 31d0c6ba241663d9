"""Stores and searches the vectors of chunks with Chroma, a vector database that runs in this process.

Each generation (one state of the index) has its own store. It contains vectors and chunk ids, but no text.
"""

from __future__ import annotations

import hashlib
import os
import shutil
import sqlite3
import time
import warnings
import weakref
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

from cervella.errors import IndexDamagedError, KnowledgeError
from cervella.process.files import FILE_MODE, set_modes
from cervella.process.forks import LibraryThreads, immortal

if TYPE_CHECKING:
    import numpy as np

FOLDER_NAME = "chroma"
_TABLES = "chroma.sqlite3"
_IMPLEMENTATION = "chromadb.api.rust.RustBindingsAPI"
_PAGE = 2_000  # ids per read
_FEW_RESULTS, _MANY_RESULTS = 10, 200
"""Results of a query that looks for its own vector. Beside hundreds of equal texts, the graph finds it only among as
many as a search asks for."""
_SPARE = 3
"""Results that are asked for, for each that is wanted."""
_QUERIES = 100  # query vectors in one call
_WAITS = (0.05, 0.2, 0.5, 1.0, 2.0, 4.0)  # seconds between retries
_SAME = 0.9999  # cosine from which two vectors count as equal
_DAMAGE = (ValueError, RuntimeError, OSError, LookupError, TypeError, AttributeError, MemoryError)
"""What Chroma raises for a store that it did not write, besides its own errors."""
_FEW = 3  # vectors written again to make Chroma write its graph to disk
_FLUSHING: Any = {"batch_size": 100, "sync_threshold": 1000}  # writes until Chroma updates its graph, and its disk file
_THREADS = LibraryThreads()  # Chroma's threads, which outlive a closed store
_HNSW: Any = {"space": "cosine", "ef_construction": 200, "ef_search": 200, "max_neighbors": 16, **_FLUSHING}


class VectorStore:
    """An open store with the vectors of one embedder.

    `folder` is the folder that contains the store, usually a generation; `fingerprint` is the embedder's. Only one
    process may write, so a caller that writes must have the writer lock of the index.
    """

    def __init__(self, folder: Path, fingerprint: str) -> None:
        self._where = folder / FOLDER_NAME
        self._fingerprint = fingerprint
        self._open()

    def _open(self) -> None:
        # Chroma's collection names are 3 to 512 characters of [a-zA-Z0-9._-]; a fingerprint may be any text.
        name = f"cervella-{hashlib.sha256(self._fingerprint.encode()).hexdigest()[:16]}"
        with self._translated_errors():
            import chromadb
            from chromadb.config import Settings

            # Named, because Chroma would take another implementation, which reads pickles, from a file .env.
            settings = Settings(anonymized_telemetry=False, chroma_api_impl=_IMPLEMENTATION)
            client: Any = chromadb.PersistentClient(str(self._where), settings=settings)
            self._client = client
            _THREADS.started()
            _open.add(self)
            try:
                self._collection = self._retried(
                    self._client.get_or_create_collection,
                    name=name,
                    embedding_function=None,
                    configuration={"hnsw": _HNSW},
                    metadata={"fingerprint": self._fingerprint},
                )
                self._batch = int(self._client.get_max_batch_size())
                self._count: int | None = None  # counting is slow, so the result is cached
            except BaseException:
                self._client.close()
                raise

    @staticmethod
    def check_fork() -> None:
        """Raises KnowledgeError (`forked`) in a child of a process that used Chroma: a fork copies no threads."""
        if _THREADS.lost:
            raise KnowledgeError(
                "Chroma does not work in a process that was forked from one where it works.",
                remedy="Start the process with the method 'spawn', multiprocessing.get_context(\"spawn\"), or fork it "
                "before the first search and the first run of the index.",
                code="forked",
            )

    @staticmethod
    def copy(source: Path, folder: Path) -> None:
        """Copy the store in the folder `source` to `folder`. Readers may have the original open."""
        if not VectorStore.exists(source):
            return
        old, new = source / FOLDER_NAME, folder / FOLDER_NAME
        tables = shutil.ignore_patterns(f"{_TABLES}*")
        with _sqlite_errors(old):
            shutil.copytree(old, new, ignore=tables)
            set_modes(new, FILE_MODE)  # the original may be read-only
            before, after = sqlite3.connect(old / _TABLES), sqlite3.connect(new / _TABLES)
            try:
                before.backup(after)
            finally:
                before.close()
                after.close()

    @staticmethod
    def move(source: Path, folder: Path) -> None:
        """Replace the store in `folder` with the closed store in the folder `source`."""
        shutil.rmtree(folder / FOLDER_NAME)
        os.replace(source / FOLDER_NAME, folder / FOLDER_NAME)

    @staticmethod
    def exists(folder: Path) -> bool:
        """Whether this folder contains a store."""
        return (folder / FOLDER_NAME).is_dir()

    @staticmethod
    def writable(folder: Path) -> bool:
        """Whether this process may write to the store in a folder. Chroma needs that even for reading."""
        return all(os.access(folder / FOLDER_NAME / name, os.W_OK) for name in ("", _TABLES))

    def close(self) -> None:
        if not _THREADS.lost:
            self._client.close()

    def __enter__(self) -> VectorStore:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    @contextmanager
    def _translated_errors(self) -> Iterator[None]:
        self.check_fork()
        from chromadb.errors import ChromaError

        try:
            yield
        except BaseException as error:
            panic = type(error).__name__ == "PanicException"  # a Rust panic, no subclass of Exception
            if not panic and not isinstance(error, (ChromaError, *_DAMAGE)):
                raise
            raise IndexDamagedError(
                f"Chroma can't use its store at {str(self._where)!r}: {error}",
                remedy="Check the free space and the rights of the folder, then build it anew with "
                "`cervella index --rebuild`.",
            ) from error

    def _retried(self, call: Callable[..., Any], **values: Any) -> Any:
        """Call `call`, and retry while Chroma's own threads lock its tables. The call must be idempotent."""
        from chromadb.errors import InternalError

        for wait in (*_WAITS, None):
            try:
                return call(**values)
            except InternalError as error:
                if wait is None or "database is locked" not in str(error):
                    raise
                time.sleep(wait)
        return None

    def upsert(self, vectors: Mapping[str, Sequence[float] | np.ndarray]) -> None:
        """Store vectors by chunk id, replacing earlier ones."""
        import numpy as np

        ids = list(vectors)
        self._count = None
        with self._translated_errors():
            for start in range(0, len(ids), self._batch):
                part = ids[start : start + self._batch]
                rows = np.asarray([vectors[one] for one in part], dtype=np.float32)
                self._retried(self._collection.upsert, ids=part, embeddings=rows)

    def delete(self, ids: Sequence[str]) -> None:
        self._count = None
        with self._translated_errors():
            for start in range(0, len(ids), self._batch):
                self._retried(self._collection.delete, ids=list(ids[start : start + self._batch]))

    def ids(self) -> set[str]:
        """The ids of all stored vectors."""
        return {one for page in self._pages([]) for one in page["ids"]}

    def items(self) -> Iterator[dict[str, np.ndarray]]:
        """Yields all vectors by id, one page at a time."""
        for page in self._pages(["embeddings"]):
            yield dict(zip(page["ids"], page["embeddings"], strict=True))

    def get(self, ids: Sequence[str]) -> dict[str, np.ndarray]:
        """The stored vectors of these chunks, by id. A chunk that has none is missing in the result."""
        return {one: vector for page in self._some(ids) for one, vector in page.items()}

    def _pages(self, include: list[Any]) -> Iterator[Any]:
        offset = 0
        while True:
            with self._translated_errors():
                page = self._retried(self._collection.get, include=include, limit=_PAGE, offset=offset)
            if not page["ids"]:
                return
            yield page
            offset += len(page["ids"])

    def query(self, vector: np.ndarray, count: int, *, among: Sequence[str] | None = None) -> dict[str, float]:
        """The cosines of the `count` chunks nearest to a vector, by chunk id, best first.

        If `among` is given, only the chunks with these ids are searched.
        """
        # Chroma passes each id to SQLite as a parameter, so a long list is applied to a wider result instead.
        narrow = list(among) if among is not None and len(among) <= self._batch else None
        if among is not None and narrow is None:
            wide, wanted = self.query(vector, 10 * count), frozenset(among)
            return {one: cosine for one, cosine in wide.items() if one in wanted}
        if narrow == []:
            return {}
        with self._translated_errors():
            if self._count is None:
                self._count = int(self._retried(self._collection.count))
            if not self._count:
                return {}
            found = self._retried(
                self._collection.query,
                query_embeddings=vector.reshape(1, -1),
                # The graph leaves out other vectors after another history; far from the end of the list it leaves few.
                n_results=min(_SPARE * count, self._count),
                ids=narrow,
                include=["distances"],
            )
        distances = (found["distances"] or [[]])[0]
        best = sorted(zip(distances, found["ids"][0], strict=True))[:count]
        return {one: 1.0 - float(distance) for distance, one in best}

    def unfindable(self, ids: Collection[str] | None = None) -> list[str]:
        """The ids of stored vectors that Chroma does not find: a query with the same vector does not return them.

        Only `ids` are tested; all if None.
        """
        lost: list[str] = []
        for page in self.items() if ids is None else self._some(sorted(ids)):
            for results in (_FEW_RESULTS, _MANY_RESULTS):
                page = self._not_found(page, results)
            lost += page
        return lost

    def _not_found(self, page: Mapping[str, np.ndarray], results: int) -> dict[str, np.ndarray]:
        """Those of the vectors that are not among this number of results of a query with the same vector."""
        import numpy as np

        names, rows = list(page), np.asarray(list(page.values()), dtype=np.float32)
        lost = {}
        for start in range(0, len(names), _QUERIES):
            with self._translated_errors():
                found = self._retried(
                    self._collection.query,
                    query_embeddings=rows[start : start + _QUERIES],
                    n_results=results,
                    include=["distances"],
                )
            answers = zip(found["ids"], found["distances"] or [], strict=True)
            for one, (best, distances) in zip(names[start : start + _QUERIES], answers, strict=True):
                # Chunks with equal text have equal vectors; any of them is a right result.
                if one not in best and 1 - min(distances, default=2.0) < _SAME:
                    lost[one] = page[one]
        return lost

    def _some(self, ids: Sequence[str]) -> Iterator[dict[str, np.ndarray]]:
        for start in range(0, len(ids), _PAGE):
            with self._translated_errors():
                page = self._retried(self._collection.get, ids=list(ids[start : start + _PAGE]), include=["embeddings"])
            yield dict(zip(page["ids"], page["embeddings"], strict=True))

    def _set_flushing(self, values: Any) -> None:
        with warnings.catch_warnings():  # Chroma warns of its own notation of "no embedding function"
            warnings.simplefilter("ignore", DeprecationWarning)
            self._retried(self._collection.modify, configuration={"hnsw": values})

    def compact(self) -> None:
        """Make Chroma write all queued vectors to its graph on disk, then close the store.

        Chroma writes the graph after `sync_threshold` writes, so the threshold is lowered for a few writes.
        """
        self.close()
        self._open()
        with self._translated_errors():
            # Must precede all reads: once Chroma has opened its graph, it ignores a changed threshold.
            self._set_flushing({"batch_size": 2, "sync_threshold": 2})
            few = self._retried(self._collection.get, limit=_FEW, include=["embeddings"])
            if few["ids"]:
                self._retried(self._collection.upsert, ids=few["ids"], embeddings=few["embeddings"])
            self._set_flushing(_FLUSHING)
        self.close()
        with _sqlite_errors(self._where):
            connection = sqlite3.connect(self._where / _TABLES, isolation_level=None)
            try:
                connection.execute("VACUUM")
            finally:
                connection.close()


_open: weakref.WeakSet[VectorStore] = weakref.WeakSet()


def _outlive_a_fork() -> None:
    """Keep a forked child from destroying Chroma's client at exit, which would wait for ever."""
    for store in list(_open):
        immortal(store)


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_outlive_a_fork)


@contextmanager
def _sqlite_errors(where: Path) -> Iterator[None]:
    try:
        yield
    except (sqlite3.Error, OSError) as error:
        raise KnowledgeError(
            f"Chroma's store at {str(where)!r} can't be copied or tidied: {error}.",
            remedy="Check the free space and the rights of the index folder.",
            code="index_unusable",
        ) from error
