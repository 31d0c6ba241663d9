"""The border to Chroma: vectors by chunk id, in an embedded store under the index folder. Text is not kept here."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

from cervella.errors import IndexDamagedError

if TYPE_CHECKING:
    import numpy as np

__all__ = ["VectorStore"]

FOLDER_NAME = "chroma"
_PAGE = 2_000  # ids per read
_HNSW: Any = {"space": "cosine", "ef_construction": 200, "ef_search": 200, "max_neighbors": 16}


class VectorStore:
    """The vectors of one embedder. Only one process may write; the index's lock sees to that."""

    def __init__(self, folder: Path, fingerprint: str) -> None:
        self._where = folder / FOLDER_NAME
        # Chroma takes 3 to 512 characters of [a-zA-Z0-9._-] as a name; a fingerprint may be anything.
        self._name = f"cervella-{hashlib.sha256(fingerprint.encode()).hexdigest()[:16]}"
        with self._border():
            self._client = _open_client(self._where)
            try:
                self._collection = self._client.get_or_create_collection(
                    self._name,
                    embedding_function=None,
                    configuration={"hnsw": _HNSW},
                    metadata={"fingerprint": fingerprint},
                )
                self._batch = int(self._client.get_max_batch_size())
            except BaseException:
                self._client.close()
                raise

    @staticmethod
    def exists(folder: Path) -> bool:
        """Whether vectors were ever written under this folder."""
        return (folder / FOLDER_NAME).is_dir()

    def close(self) -> None:
        self._client.close()

    def __enter__(self) -> VectorStore:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    @contextmanager
    def _border(self) -> Iterator[None]:
        from chromadb.errors import ChromaError

        try:
            yield
        except (ChromaError, ValueError, RuntimeError, OSError) as error:
            raise IndexDamagedError(
                f"Chroma can't use its store at {str(self._where)!r}: {error}",
                remedy="Check the free space and the rights of the folder, then build it anew with "
                "`cervella index --rebuild`.",
            ) from error

    def upsert(self, vectors: Mapping[str, Sequence[float] | np.ndarray]) -> None:
        """Put vectors in, by chunk id, over what was there."""
        import numpy as np

        ids = list(vectors)
        with self._border():
            for start in range(0, len(ids), self._batch):
                part = ids[start : start + self._batch]
                rows = np.asarray([vectors[one] for one in part], dtype=np.float32)
                self._collection.upsert(ids=part, embeddings=rows)

    def delete(self, ids: Sequence[str]) -> None:
        with self._border():
            for start in range(0, len(ids), self._batch):
                self._collection.delete(ids=list(ids[start : start + self._batch]))

    def ids(self) -> set[str]:
        """Every id that has a vector."""
        return {one for page in self._pages([]) for one in page["ids"]}

    def items(self) -> Iterator[dict[str, np.ndarray]]:
        """All vectors by id, page by page."""
        for page in self._pages(["embeddings"]):
            yield dict(zip(page["ids"], page["embeddings"], strict=True))

    def _pages(self, include: list[Any]) -> Iterator[Any]:
        offset = 0
        while True:
            with self._border():
                page = self._collection.get(include=include, limit=_PAGE, offset=offset)
            if not page["ids"]:
                return
            yield page
            offset += len(page["ids"])

    def query(self, vector: np.ndarray, count: int, *, among: Sequence[str] | None = None) -> dict[str, float]:
        """The nearest chunks and their cosine, best first; `among` narrows the search to these ids."""
        # Chroma passes ids to SQLite one by one: a long list is cheaper, and safer, to look through afterwards.
        narrow = list(among) if among is not None and len(among) <= self._batch else None
        if among is not None and narrow is None:
            wide, wanted = self.query(vector, 10 * count), frozenset(among)
            return {one: cosine for one, cosine in wide.items() if one in wanted}
        if narrow == []:
            return {}
        with self._border():
            held = self._collection.count()
            if not held:
                return {}
            found = self._collection.query(
                query_embeddings=vector.reshape(1, -1),
                n_results=min(count, held),
                ids=narrow,
                include=["distances"],
            )
        distances = (found["distances"] or [[]])[0]
        return {one: 1.0 - float(distance) for one, distance in zip(found["ids"][0], distances, strict=True)}

    def unfindable(self) -> list[str]:
        """The ids whose own vector, asked for, does not find them: Chroma can count and get what it never returns."""
        lost = []
        for page in self.items():
            for one, vector in page.items():
                best = self.query(vector, 10)
                # Equal texts have equal vectors: any of them in its place is no loss.
                if one not in best and max(best.values(), default=0.0) < 0.9999:
                    lost.append(one)
        return lost

    def drop_others(self) -> None:
        """Remove the vectors of other embedders."""
        with self._border():
            for collection in self._client.list_collections():
                if collection.name != self._name:
                    self._client.delete_collection(collection.name)


def _open_client(path: Path) -> Any:
    import chromadb
    from chromadb.config import Settings

    return chromadb.PersistentClient(str(path), settings=Settings(anonymized_telemetry=False))
