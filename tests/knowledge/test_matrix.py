"""The vectors of a small index in one file: the neighbours that Chroma finds, without Chroma."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from cervella.errors import IndexDamagedError
from cervella.knowledge import HybridRetriever, KnowledgeIndex
from cervella.knowledge.index import matrix, snapshot
from cervella.knowledge.index.checksums import write_checksums
from cervella.knowledge.index.matrix import VectorMatrix
from cervella.knowledge.index.storage import Generation, IndexFolder
from cervella.knowledge.index.vectors import VectorStore

QUERY = "lievito madre"
Write = Callable[[Path, str, str | bytes], Path]


def vectors_of(count: int, seed: int = 1) -> dict[str, np.ndarray]:
    rows = np.random.default_rng(seed).normal(size=(count, 16)).astype(np.float32)
    return {f"{place:04}": row for place, row in enumerate(rows)}


def matrix_of(vectors: dict[str, np.ndarray], folder: Path) -> VectorMatrix:
    VectorMatrix.write(folder, list(vectors), np.asarray(list(vectors.values())))
    found = VectorMatrix.read(Generation(folder, write_checksums(folder)), set(vectors))
    assert found is not None
    return found


@pytest.mark.parametrize(
    "among", [None, [f"{place:04}" for place in range(0, 300, 3)], []], ids=["all", "some", "none"]
)
def test_it_finds_what_chroma_finds_with_the_same_cosines(tmp_path: Path, among: list[str] | None) -> None:
    vectors = vectors_of(300)
    found = matrix_of(vectors, tmp_path)
    with VectorStore(tmp_path, "own") as store:
        store.upsert(vectors)
        for query in vectors_of(20, seed=2).values():
            ours, chromas = (one.query(query, 10, among=among) for one in (found, store))
            assert list(ours) == list(chromas)
            assert list(ours.values()) == pytest.approx(list(chromas.values()), abs=1e-5)


def test_an_id_without_a_vector_is_left_out(tmp_path: Path) -> None:
    assert list(matrix_of(vectors_of(5), tmp_path).query(vectors_of(1)["0000"], 5, among=["gone", "0001"])) == ["0001"]


def test_vectors_are_read_only_if_there_is_one_for_each_chunk_of_the_manifest(tmp_path: Path) -> None:
    matrix_of(vectors_of(5), tmp_path)
    generation = Generation(tmp_path, write_checksums(tmp_path))
    assert VectorMatrix.read(generation, set(vectors_of(5))) is not None
    assert VectorMatrix.read(generation, set(vectors_of(6))) is None


def test_a_vector_of_a_chunk_that_the_manifest_lacks_is_never_found(tmp_path: Path) -> None:
    vectors = vectors_of(5)
    matrix_of(vectors, tmp_path)
    four = VectorMatrix.read(Generation(tmp_path, write_checksums(tmp_path)), set(vectors_of(4)))
    assert four is not None
    assert set(four.query(vectors["0004"], 5)) == set(vectors_of(4))


@pytest.fixture
def asked(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """The kind of each thing that was opened to be asked for vectors, in order."""
    kinds: list[str] = []
    read = VectorMatrix.read

    def reading(generation: Generation, ids: set[str]) -> VectorMatrix | None:
        found = read(generation, ids)
        kinds.extend(["matrix"] if found else [])
        return found

    class Opened(VectorStore):
        def __init__(self, *given: Any) -> None:
            kinds.append("chroma")
            super().__init__(*given)

    monkeypatch.setattr(VectorMatrix, "read", reading)
    monkeypatch.setattr(snapshot, "VectorStore", Opened)
    return kinds


@pytest.fixture
def index(notes: Path, index_dir: Path, make_embedder: Callable[..., Any]) -> KnowledgeIndex:
    built = KnowledgeIndex(notes, index_dir, embedder=make_embedder(), cache=None)
    built.update()
    return built


def search(notes: Path, index_dir: Path, embedder: Any) -> list[tuple[str, float]]:
    with HybridRetriever(index_dir, folder=notes, embedder=embedder) as retriever:
        return [(passage.id, round(passage.score, 4)) for passage in retriever.retrieve(QUERY)]


def file_of(index_dir: Path) -> Path:
    return IndexFolder(index_dir).current() / "vectors.npz"


def ids_in(index_dir: Path) -> set[str]:
    with np.load(file_of(index_dir)) as file:
        return set(file["ids"].tolist())


def turned(file: Path) -> None:
    """A valid file that says the opposite of what was stored."""
    with np.load(file) as held:
        np.savez(file, ids=held["ids"], rows=-held["rows"])


@pytest.mark.parametrize(
    "change",
    [
        turned,
        Path.unlink,
        lambda file: file.write_bytes(file.read_bytes()[:100]),
        lambda file: file.write_bytes(b""),
        lambda file: (file.unlink(), file.mkdir()),
    ],
    ids=["other vectors", "gone", "cut", "empty", "a folder"],
)
def test_a_file_that_is_not_as_it_was_sealed_is_not_read_and_chroma_answers_the_same(
    index: KnowledgeIndex,
    notes: Path,
    index_dir: Path,
    make_embedder: Callable[..., Any],
    asked: list[str],
    change: Callable[[Path], object],
) -> None:
    before = search(notes, index_dir, make_embedder())
    change(file_of(index_dir))
    assert search(notes, index_dir, make_embedder()) == before
    assert asked == ["matrix", "chroma"]


def test_a_changed_file_is_not_taken_over_by_the_next_generation(
    index: KnowledgeIndex, notes: Path, index_dir: Path, write: Write, make_embedder: Callable[..., Any]
) -> None:
    turned(file_of(index_dir))
    write(notes, "nuovo.md", "# Nuovo\n\nUna nota.\n")
    index.update()
    index.update(rebuild=True)
    after = file_of(index_dir).read_bytes()
    turned(file_of(index_dir))
    index.update(purge=True)
    assert file_of(index_dir).read_bytes() == after


def test_it_has_the_vectors_of_what_is_indexed_and_of_nothing_else(
    index: KnowledgeIndex, notes: Path, index_dir: Path, asked: list[str], make_embedder: Callable[..., Any]
) -> None:
    first = ids_in(index_dir)
    (notes / "decisioni" / "20260109_hosting.md").unlink()
    index.update()
    kept = ids_in(index_dir)
    assert kept < first
    index.update(purge=True)
    assert ids_in(index_dir) == kept
    assert search(notes, index_dir, make_embedder())
    assert asked == ["matrix"]


def test_a_run_that_is_stopped_leaves_an_index_that_is_searched_by_the_vectors_of_before(
    index: KnowledgeIndex,
    notes: Path,
    index_dir: Path,
    write: Write,
    make_embedder: Callable[..., Any],
    asked: list[str],
) -> None:
    write(notes, "nuovo.md", "# Nuovo\n\nIl lievito madre riposa otto ore.\n")
    with pytest.raises(KeyboardInterrupt):
        KnowledgeIndex(notes, index_dir, embedder=make_embedder(fail_after=0), cache=None).update()
    assert search(notes, index_dir, make_embedder())
    KnowledgeIndex(notes, index_dir, embedder=make_embedder(), cache=None).update()
    assert search(notes, index_dir, make_embedder())
    assert asked == ["matrix", "matrix"]


def test_a_large_index_is_searched_by_chroma(
    index: KnowledgeIndex,
    notes: Path,
    index_dir: Path,
    make_embedder: Callable[..., Any],
    asked: list[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    before = search(notes, index_dir, make_embedder())
    monkeypatch.setattr(matrix, "MOST_VECTORS", 1)
    index.update(rebuild=True)
    assert not file_of(index_dir).exists()
    assert search(notes, index_dir, make_embedder()) == before
    assert asked == ["matrix", "chroma"]


def test_an_index_that_was_deleted_and_built_again_is_searched_anew(
    notes: Path, index_dir: Path, make_embedder: Callable[..., Any]
) -> None:
    KnowledgeIndex(notes, index_dir, embedder=make_embedder()).update()
    with HybridRetriever(index_dir, folder=notes, embedder=make_embedder()) as retriever:
        assert "otto ore" in retriever.retrieve(QUERY).passages[0].text
        shutil.rmtree(index_dir)
        (notes / "ricette/pane.md").write_text("# Pane\n\nLievito madre e nove ore di riposo.\n", encoding="utf-8")
        KnowledgeIndex(notes, index_dir, embedder=make_embedder()).update()
        assert "nove ore" in retriever.retrieve(QUERY).passages[0].text


def test_an_index_without_its_vectors_is_damaged_and_not_searched_by_words_alone(
    notes: Path, index_dir: Path, make_embedder: Callable[..., Any]
) -> None:
    KnowledgeIndex(notes, index_dir, embedder=make_embedder()).update()
    shutil.rmtree(IndexFolder(index_dir).current() / "chroma")
    with (
        pytest.raises(IndexDamagedError),
        HybridRetriever(index_dir, folder=notes, embedder=make_embedder()) as retriever,
    ):
        retriever.retrieve(QUERY)


def test_a_vector_of_another_size_is_an_error_of_the_index(tmp_path: Path) -> None:
    with pytest.raises(IndexDamagedError, match="16 dimensions, the embedder makes 8"):
        matrix_of(vectors_of(3), tmp_path).query(np.ones(8, dtype=np.float32), 1)
