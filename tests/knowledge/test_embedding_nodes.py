"""From pending chunks to their vectors: the cache first, then batches of even lengths."""

from __future__ import annotations

import itertools
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pytest

from cervella.knowledge.documents.chunking import CHUNKER_VERSION, chunk
from cervella.knowledge.documents.indexed_text import embedding_text
from cervella.knowledge.documents.markdown import parse
from cervella.knowledge.embedders.cache import EmbeddingCache
from cervella.knowledge.index.manifest import ChunkRow, chunk_id
from cervella.knowledge.index.nodes import vectors_of

FIELDS = (
    *("ordinal", "parent", "start_line", "end_line", "heading", "lead", "text"),
    *("reading", "reading_start", "reading_end"),
)


class Counting:
    """A vector that depends on the text and on how often any text was embedded: no two calls agree."""

    name = fingerprint = "counting"
    dimensions = 4

    def __init__(self) -> None:
        self.batches: list[list[str]] = []
        self._calls = itertools.count(1)

    def embed_passages(self, texts: Sequence[str], /) -> np.ndarray:
        self.batches.append(list(texts))
        made = np.array([[len(text), next(self._calls), 1 / 3, 0] for text in texts], dtype=np.float32)
        return made / np.linalg.norm(made, axis=1, keepdims=True)

    def embed_query(self, text: str, /) -> np.ndarray:
        raise NotImplementedError

    @property
    def texts(self) -> list[str]:
        return [text for batch in self.batches for text in batch]


def files(count: int = 6) -> list[tuple[str, str]]:
    return [
        (f"f{number}.md", "\n\n".join(f"# Capo {number}.{n}\n\n" + "parola " * (n * 7 % 40 + 5) for n in range(5)))
        for number in range(count)
    ]


def rows(texts: Sequence[tuple[str, str]]) -> list[ChunkRow]:
    return [
        ChunkRow(
            id=chunk_id(path, piece, chunker=CHUNKER_VERSION, embedder="counting"),
            path=path,
            **{name: getattr(piece, name) for name in FIELDS},
        )
        for path, text in texts
        for piece in chunk(parse(text))
    ]


def ids(texts: Sequence[tuple[str, str]]) -> dict[str, str]:
    """What is embedded of each chunk, by id."""
    return {row.id: embedding_text(row.lead, row.reading) for row in rows(texts)}


def run(
    texts: Sequence[tuple[str, str]], embedder: Counting, cache: EmbeddingCache | None = None, batch: int = 4
) -> dict[str, Sequence[float]]:
    made: dict[str, Sequence[float]] = {}
    for vectors in vectors_of(rows(texts), embedder, batch=batch, cache=cache):
        assert not made.keys() & vectors.keys()
        made.update(vectors)
    return made


@pytest.fixture
def cache(tmp_path: Path) -> EmbeddingCache:
    return EmbeddingCache(tmp_path / "cache")


def test_every_wanted_chunk_gets_the_vector_of_its_own_text() -> None:
    embedder = Counting()
    made, expected = run(files(), embedder), ids(files())
    assert made.keys() == expected.keys()
    assert {one: round(v[0] / v[2] / 3) for one, v in made.items()} == {one: len(t) for one, t in expected.items()}


def test_only_the_chunks_that_are_given_are_embedded() -> None:
    embedder, expected = Counting(), ids(files())
    some = rows(files())[::3]
    [*batches] = vectors_of(some, embedder, batch=100)
    assert {one for batch in batches for one in batch} == {row.id for row in some}
    assert sorted(embedder.texts) == sorted({expected[row.id] for row in some})


def test_batches_hold_texts_of_even_length() -> None:
    embedder = Counting()
    run(files(), embedder)
    assert [len(text) for text in embedder.texts] == sorted(len(text) for text in embedder.texts)
    assert {len(batch) for batch in embedder.batches[:-1]} == {4}


def test_equal_texts_are_embedded_once() -> None:
    embedder = Counting()
    twins = [("uno.md", files()[0][1]), ("due.md", files()[0][1])]
    made, expected = run(twins, embedder), ids(twins)
    assert len(embedder.texts) == len(set(embedder.texts)) == len(set(expected.values()))
    by_text: dict[str, set[tuple[float, ...]]] = {}
    for one, vector in made.items():
        by_text.setdefault(expected[one], set()).add(tuple(vector))
    assert {len(vectors) for vectors in by_text.values()} == {1}


def test_nothing_is_embedded_twice_whatever_the_files_are_called(cache: EmbeddingCache) -> None:
    first = run(files(), Counting(), cache)
    again = Counting()
    assert run(files(), again, EmbeddingCache(cache.folder)) == first, "the same to the last bit"
    moved = [(f"altrove/{path}", text) for path, text in files()]
    assert sorted(run(moved, again, cache).values()) == sorted(first.values())
    assert again.batches == []
    grown = [*files(), ("nuovo.md", "# Nuovo\n\nmai visto prima\n")]
    run(grown, again, cache)
    assert len(again.texts) == 1


def test_a_kill_costs_one_batch(cache: EmbeddingCache) -> None:
    class Mortal(Counting):
        def embed_passages(self, texts: Sequence[str], /) -> np.ndarray:
            if len(self.batches) == 3:
                raise KeyboardInterrupt
            return super().embed_passages(texts)

    mortal = Mortal()
    with pytest.raises(KeyboardInterrupt):
        list(vectors_of(rows(files()), mortal, batch=4, cache=cache))
    assert len(mortal.texts) == 12
    after = Counting()
    run(files(), after, cache)
    assert not set(after.texts) & set(mortal.texts)
    assert len(after.texts) == len(ids(files())) - len(mortal.texts)
