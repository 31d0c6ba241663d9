from __future__ import annotations

import sqlite3
from collections.abc import Callable
from contextlib import closing
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from cervella.errors import IndexDamagedError, IndexMissingError, KnowledgeError
from cervella.knowledge import HybridRetriever, KnowledgeIndex
from cervella.knowledge.embedders.cache import EmbeddingCache
from cervella.knowledge.index.manifest import Manifest
from cervella.knowledge.index.storage import IndexFolder
from cervella.knowledge.index.vectors import VectorStore

Write = Callable[[Path, str, str | bytes], Path]


def update(folder: Path, index_dir: Path, embedder: Any = "none", **options: Any) -> None:
    KnowledgeIndex(folder, index_dir, embedder=embedder).update(**options)


def generations(index_dir: Path) -> list[str]:
    return sorted(path.name for path in index_dir.iterdir() if path.is_dir())


def bytes_of(folder: Path) -> dict[str, bytes]:
    return {str(path): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


def best(retriever: HybridRetriever, query: str) -> str | None:
    found = retriever.retrieve(query)
    return found[0].path if found else None


def test_a_published_generation_is_not_written_again(notes: Path, index_dir: Path, write: Write) -> None:
    update(notes, index_dir)
    first = IndexFolder(index_dir).current()
    before = bytes_of(first)
    write(notes, "nuovo.md", "# Nuovo\n\nqualcosa\n")
    update(notes, index_dir)
    with HybridRetriever(index_dir, folder=notes) as retriever:
        assert best(retriever, "qualcosa") == "nuovo.md"
    assert IndexFolder(index_dir).current() != first
    assert bytes_of(first) == before


def test_a_run_that_changes_nothing_makes_no_generation(notes: Path, index_dir: Path) -> None:
    update(notes, index_dir)
    before = bytes_of(index_dir)
    update(notes, index_dir)
    assert bytes_of(index_dir) == before


def test_one_generation_is_kept_to_go_back_to_and_back_again(notes: Path, index_dir: Path, write: Write) -> None:
    index = KnowledgeIndex(notes, index_dir, embedder="none")
    index.update()
    with pytest.raises(IndexMissingError):
        index.roll_back()
    for word in ("quercia", "zanzibarino", "gelsomino"):
        write(notes, f"{word}.md", f"# {word}\n")
        index.update()
    assert len(generations(index_dir)) == 2
    with HybridRetriever(index_dir, folder=notes) as retriever:
        assert best(retriever, "gelsomino") == "gelsomino.md"
        index.roll_back()
        assert best(retriever, "gelsomino") is None
        assert best(retriever, "zanzibarino") == "zanzibarino.md"
        index.roll_back()
        assert best(retriever, "gelsomino") == "gelsomino.md"
    index.roll_back()
    assert index.update().added == 1
    assert len(generations(index_dir)) == 2


def test_the_generation_before_the_run_is_kept_not_one_of_its_middle(
    notes: Path, index_dir: Path, write: Write, make_embedder: Callable[..., Any]
) -> None:
    index = KnowledgeIndex(notes, index_dir, embedder=make_embedder())
    index.update()
    before = IndexFolder(index_dir).current()
    write(notes, "nuovo.md", "# Nuovo\n\nqualcosa\n")
    index.update()  # words first, then vectors: two generations
    index.roll_back()
    assert IndexFolder(index_dir).current() == before


def test_what_a_reader_holds_is_removed_by_the_next_writer_after_it(notes: Path, index_dir: Path, write: Write) -> None:
    update(notes, index_dir)
    held = IndexFolder(index_dir).hold()
    for number in range(3):
        write(notes, f"{number}.md", f"# {number}\n")
        update(notes, index_dir)
    assert held.path.name in generations(index_dir)
    assert len(generations(index_dir)) == 3
    with Manifest.open(held.path) as manifest:
        assert len(manifest.files()) == 3
    held.close()
    update(notes, index_dir)
    assert held.path.name not in generations(index_dir)
    assert len(generations(index_dir)) == 2


def test_a_purge_does_not_wait_for_readers_and_they_move_on(notes: Path, index_dir: Path, write: Write) -> None:
    write(notes, "segreto.md", "# Segreto\n\nzanzibarino\n")
    update(notes, index_dir)
    with HybridRetriever(index_dir, folder=notes) as retriever:
        assert best(retriever, "zanzibarino") == "segreto.md"
        (notes / "segreto.md").unlink()
        update(notes, index_dir, purge=True)
        assert len(generations(index_dir)) == 1
        assert best(retriever, "zanzibarino") is None
        assert best(retriever, "lievito madre") == "ricette/pane.md"


class Watching:
    """An embedder that asks the index, at each call, what a reader finds by then."""

    name, fingerprint, dimensions = "watching", "watching-1", 8

    def __init__(self, look: Callable[[], float]) -> None:
        self.coverage: list[float] = []
        self.texts: list[str] = []
        self._look = look

    def embed_passages(self, texts: list[str], /) -> np.ndarray:
        self.coverage.append(self._look())
        self.texts += texts
        return np.stack([self.embed_query(text) for text in texts])

    def embed_query(self, text: str, /) -> np.ndarray:
        vector = np.random.default_rng(sum(text.encode())).normal(size=self.dimensions)
        return (vector / np.linalg.norm(vector)).astype(np.float32)


def test_words_are_found_before_the_first_vector_and_vectors_come_in_growing_steps(
    tmp_path: Path, index_dir: Path, write: Write
) -> None:
    folder = tmp_path / "molte"
    for number in range(700):
        write(folder, f"{number:03}.md", f"# Nota {number}\n\nparola{number}\n")

    def look() -> float:
        with HybridRetriever(index_dir, folder=folder, embedder=Watching(lambda: 0.0)) as retriever:
            found = retriever.retrieve("parola7")
            assert found.passages
            return round(found.coverage * 700)

    watching = Watching(look)
    update(folder, index_dir, watching)
    assert sorted(set(watching.coverage)) == [0, 256, 512]
    with HybridRetriever(index_dir, folder=folder, embedder=watching) as retriever:
        assert retriever.retrieve("parola7").coverage == 1.0


def test_what_is_most_asked_for_gets_its_vectors_first(tmp_path: Path, index_dir: Path, write: Write) -> None:
    folder = tmp_path / "ruoli"
    for path in ("archivio/20260112_vecchio.md", "ricerche/20260101_uno.md", "ricerche/20260111_due.md"):
        write(folder, path, f"# {path}\n")
    write(folder, "PROMPT_RIPRESA.md", "# Ripresa\n")
    watching = Watching(lambda: 0.0)
    update(folder, index_dir, watching)
    order = [next(line for line in text.splitlines() if line) for text in watching.texts]
    assert [name for line in order for name in ("Ripresa", "due", "uno", "vecchio") if name in line] == [
        "Ripresa",
        "due",
        "uno",
        "vecchio",
    ]


@pytest.fixture
def with_vectors(notes: Path, index_dir: Path, make_embedder: Callable[..., Any]) -> Path:
    update(notes, index_dir, make_embedder())
    return IndexFolder(index_dir).current()


@pytest.mark.parametrize("part", ["seal.json", "manifest.sqlite", "lexical-*/stems.npz", "lexical-*/ngrams.npz"])
def test_a_flipped_byte_of_ours_is_an_error_with_a_cure(
    with_vectors: Path, notes: Path, index_dir: Path, part: str, make_embedder: Callable[..., Any]
) -> None:
    file = next(with_vectors.glob(part))
    data = bytearray(file.read_bytes())
    data[len(data) // 2] ^= 1
    file.write_bytes(data)
    with pytest.raises(IndexDamagedError) as caught, HybridRetriever(index_dir, folder=notes) as retriever:
        retriever.retrieve("pane")
    assert "--rebuild" in (caught.value.remedy or "")
    with pytest.raises(IndexDamagedError):
        update(notes, index_dir, make_embedder())
    update(notes, index_dir, make_embedder(), rebuild=True)
    with HybridRetriever(index_dir, folder=notes, embedder=make_embedder()) as retriever:
        assert best(retriever, "lievito madre") == "ricette/pane.md"


def test_a_change_in_chromas_part_is_seen_and_the_next_run_makes_the_vectors_again(
    with_vectors: Path, notes: Path, index_dir: Path, make_embedder: Callable[..., Any]
) -> None:
    with closing(sqlite3.connect(with_vectors / "chroma" / "chroma.sqlite3")) as tables:
        tables.execute("UPDATE embeddings SET embedding_id = 'another' WHERE id = 1")
        tables.commit()
    with (
        pytest.raises(IndexDamagedError),
        HybridRetriever(index_dir, folder=notes, embedder=make_embedder()) as retriever,
    ):
        retriever.retrieve("pane")
    update(notes, index_dir, make_embedder())
    update(notes, index_dir, make_embedder(), verify=True)
    with HybridRetriever(index_dir, folder=notes, embedder=make_embedder()) as retriever:
        assert retriever.retrieve("lievito madre").coverage == 1.0


def test_a_pointer_that_names_another_generation_is_not_believed(notes: Path, index_dir: Path, write: Write) -> None:
    update(notes, index_dir)
    write(notes, "nuovo.md", "# Nuovo\n")
    update(notes, index_dir)
    pointer = index_dir / "current"
    pointer.write_text(pointer.read_text().replace("gen-00000002", "gen-00000001", 1))
    with pytest.raises(IndexDamagedError), HybridRetriever(index_dir, folder=notes) as retriever:
        retriever.retrieve("pane")


def test_a_files_text_is_kept_once_and_any_lines_of_it_can_be_had(notes: Path, index_dir: Path) -> None:
    update(notes, index_dir)
    lines = (notes / "decisioni" / "20260110_hosting.md").read_text(encoding="utf-8").splitlines()
    with Manifest.open(IndexFolder(index_dir).current()) as manifest:
        assert manifest.lines("decisioni/20260110_hosting.md", 3, 6) == "\n".join(lines[2:6])
        assert manifest.lines("decisioni/nessuno.md", 1, 2) == ""
        for chunk in manifest.chunks():
            assert chunk.text == manifest.lines(chunk.path, chunk.start_line, chunk.end_line)


def test_vectors_that_are_gone_do_not_pile_up(
    tmp_path: Path, index_dir: Path, write: Write, make_embedder: Callable[..., Any]
) -> None:
    folder = tmp_path / "molte"

    def size() -> int:
        graphs = (IndexFolder(index_dir).current() / "chroma").rglob("data_level0.bin")
        return sum(file.stat().st_size for file in graphs)

    for version in range(6):
        for number in range(20):
            write(folder, f"{number}.md", f"# Nota {number}\n\nversione {version}\n")
        update(folder, index_dir, make_embedder())
        if version == 0:
            first = size()
    with VectorStore(IndexFolder(index_dir).current(), "hash-1") as store:
        assert len(store.ids()) == 20
    assert size() <= 3 * first


def test_a_folder_that_refuses_is_an_error_with_a_cure(notes: Path, tmp_path: Path) -> None:
    (tmp_path / "index").write_text("a file")
    with pytest.raises(KnowledgeError) as caught:
        update(notes, tmp_path / "index")
    assert caught.value.remedy


def test_a_purge_forgets_the_vectors_of_deleted_text(
    notes: Path, index_dir: Path, tmp_path: Path, write: Write, make_embedder: Callable[..., Any]
) -> None:
    cache = EmbeddingCache(tmp_path / "vectors")
    write(notes, "segreto.md", "# Segreto\n\nzanzibarino\n")
    first, second = make_embedder(), make_embedder()
    KnowledgeIndex(notes, index_dir, embedder=first, cache=cache).update()
    [secret] = [text for text in first.embedded if "zanzibarino" in text]
    others = [text for text in first.embedded if text != secret]
    (notes / "segreto.md").unlink()
    KnowledgeIndex(notes, index_dir, embedder=second, cache=cache).update()
    assert cache.get("hash-1", [secret])[0] is not None, "it may come back, without a purge"
    KnowledgeIndex(notes, index_dir, embedder=second, cache=cache).update(purge=True)
    assert cache.get("hash-1", [secret]) == [None]
    assert all(vector is not None for vector in cache.get("hash-1", others))
    assert second.embedded == []


def test_a_vector_that_chroma_holds_and_does_not_find_gets_a_new_graph(
    notes: Path, index_dir: Path, make_embedder: Callable[..., Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    asked: list[int] = []
    find = VectorStore.unfindable

    def lost_once(store: VectorStore, ids: set[str]) -> list[str]:
        asked.append(len(ids))
        return sorted(ids)[:1] if len(asked) == 1 else find(store, ids)

    monkeypatch.setattr(VectorStore, "unfindable", lost_once)
    update(notes, index_dir, make_embedder())
    assert len(asked) == 2
    monkeypatch.undo()
    update(notes, index_dir, make_embedder(), verify=True)
    with HybridRetriever(index_dir, folder=notes, embedder=make_embedder()) as retriever:
        assert retriever.retrieve("lievito madre").coverage == 1.0


def test_a_roll_back_never_shows_unmarked_what_is_marked_local_only_now(
    notes: Path, index_dir: Path, write: Write
) -> None:
    def index(*local_only: str) -> KnowledgeIndex:
        return KnowledgeIndex(notes, index_dir, embedder="none", local_only=local_only)

    secret = write(notes, "paga.md", "# Paga\n\nlo zanzibarino costa\n")
    index().update()
    (notes / "privato").mkdir()
    secret.rename(notes / "privato" / "paga.md")
    index("privato").update()
    pointer = (index_dir / "current").read_bytes()
    with pytest.raises(KnowledgeError) as caught:
        index("privato").roll_back()
    assert caught.value.code == "local_only_exposed"
    assert caught.value.remedy
    assert (index_dir / "current").read_bytes() == pointer


def test_a_roll_back_is_fine_where_the_patterns_mark_the_former_path_too(
    notes: Path, index_dir: Path, write: Write
) -> None:
    index = KnowledgeIndex(notes, index_dir, embedder="none", local_only=["privato", "vecchio"])
    write(notes, "vecchio/paga.md", "# Paga\n\nlo zanzibarino costa\n")
    write(notes, "privato/altro.md", "# Altro\n")
    index.update()
    (notes / "vecchio/paga.md").rename(notes / "privato" / "paga.md")
    index.update()
    found = index.roll_back()
    assert (found.behind, found.unchecked, found.files) == (2, 0, 5)
    with HybridRetriever(index_dir, folder=notes, local_only=["privato", "vecchio"]) as retriever:
        [passage] = retriever.retrieve("zanzibarino").passages[:1]
        assert passage.local_only
        assert retriever.retrieve("zanzibarino").behind == 2


def test_a_roll_back_over_vectors_counts_those_that_are_missing(
    notes: Path, index_dir: Path, write: Write, make_embedder: Callable[..., Any]
) -> None:
    index = KnowledgeIndex(notes, index_dir, embedder=make_embedder())
    index.update()
    write(notes, "nuovo.md", "# Nuovo\n\nqualcosa\n")
    index.update()
    found = index.roll_back()
    assert (found.pending_embeddings, found.behind) == (0, 1)
    assert found.embedder != "none"
    assert found.chunks == 3
