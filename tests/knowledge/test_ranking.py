from __future__ import annotations

import dataclasses
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest

from cervella.knowledge import HybridRetriever, KnowledgeIndex
from cervella.knowledge.documents.roles import Roles
from cervella.knowledge.index.centring import Centring
from cervella.knowledge.index.manifest import Manifest
from cervella.knowledge.index.storage import IndexFolder
from cervella.knowledge.index.words import LexicalIndex
from cervella.knowledge.search.ranking import FileFacts, current_first
from cervella.text.language import language
from tests.knowledge.conftest import HashEmbedder

Write = Callable[[Path, str, str | bytes], Path]


def unit(rows: Any) -> np.ndarray:
    rows = np.asarray(rows, dtype=np.float32)
    return rows / np.linalg.norm(rows, axis=-1, keepdims=True)


@pytest.fixture
def vectors() -> np.ndarray:
    return unit(np.random.default_rng(7).normal(size=(200, 16)) + 1.5)


def test_a_cosine_is_centred_without_the_vector_itself(vectors: np.ndarray) -> None:
    centring = Centring.of(vectors)
    assert centring is not None
    query = vectors[0]
    told = centring.centred(query, vectors @ query, centring.common_components(vectors))
    exact = unit(vectors - centring.mean) @ unit(query - centring.mean) / centring.standard_deviation
    np.testing.assert_allclose(told, exact, atol=1e-3)


def test_a_geometry_survives_being_written_down(vectors: np.ndarray) -> None:
    centring = Centring.of(vectors)
    assert centring is not None
    again = Centring.from_json(centring.to_json())
    assert again is not None
    np.testing.assert_array_equal(again.mean, centring.mean)
    assert again.standard_deviation == centring.standard_deviation
    assert Centring.from_json(None) is None
    assert Centring.from_json("") is None


def test_too_few_vectors_or_equal_ones_have_no_geometry(vectors: np.ndarray) -> None:
    assert Centring.of(vectors[:1]) is None
    assert Centring.of(np.repeat(vectors[:1], 5, axis=0)) is None


def base(lengths: list[int], files: list[Any]) -> FileFacts:
    homes = np.repeat(np.arange(len(lengths)), lengths)
    replaced = [False] * len(files)
    prior = np.zeros(len(homes))
    roles = Roles.of()
    return FileFacts(
        file_of=homes,
        prior=prior,
        files=files,
        replaced=replaced,
        roles=roles,
        places=[roles.in_series(file.path) for file in files],
        language=language("it"),
    )


def test_how_much_of_a_query_ngrams_say_is_between_nothing_and_all() -> None:
    index = LexicalIndex.of([["fattur"], ["fatturazion", "consum"], ["pan"]])
    scores, has = index.ngram_shares([{"fatturazion": 1.0}])
    assert has.tolist() == [pytest.approx(4 / 10), 1.0, 0.0]
    assert 0 == scores[2] < scores[0] < scores[1] < 1


@pytest.mark.parametrize(
    ("first", "second"),
    [
        ("20260120_nota.md", "20260110_nota.md"),
        ("20260110_nota.md", "archivio/20260120_nota.md"),
        ("ricerche/20260120_nota.md", "decisioni/20260110_nota.md"),
        ("decisioni/20260120_nota.md", "ricerche/20260110_nota.md"),
        ("decisioni/20260110_nota.md", "ricerche/20260110_nota.md"),
        ("20260110_nota.md", "nota.md"),
        ("20260110_nota.md", "20260120_template.md"),
        ("handoff/20260110_HANDOFF_255.md", "handoff/20260110_HANDOFF_254.md"),
        ("nota_finale.md", "nota_v3.md"),
        ("idee/SERVIZIO.md", "idee/20260120_SERVIZIO_BOZZA.md"),
        ("idee/20260110_SERVIZIO_v2.md", "idee/20260120_SERVIZIO_v1.md"),
    ],
)
def test_of_two_documents_about_as_good_that_which_holds_leads(
    tmp_path: Path, write: Write, first: str, second: str
) -> None:
    folder = tmp_path / "base"
    write(folder, first, "# Servizio\n\nIl servizio gira sulla porta 8002.\n")
    write(folder, second, "# Servizio\n\nIl servizio gira sulla porta 8001.\n")
    KnowledgeIndex(folder, tmp_path / "index", embedder="none").update()
    with HybridRetriever(tmp_path / "index", folder=folder) as retriever:
        assert [p.path for p in retriever.retrieve("Su quale porta gira il servizio?")] == [first, second]


def test_what_holds_does_not_pass_what_answers_better() -> None:
    files = [_file("2026-01-01"), _file("2026-01-20")]
    standing, loaded = base([1, 1], files), _loaded(["gatto", "gatto"])
    assert current_first(np.array([5.0, 4.8]), loaded, standing, "gatto").argmax() == 1
    assert current_first(np.array([5.0, 3.0]), loaded, standing, "gatto").argmax() == 0


def test_a_newer_sentence_that_says_as_much_of_the_query_passes_a_better_score() -> None:
    standing = base([1, 1], [_file("2026-01-01"), _file("2026-01-20")])
    old = "La quota annuale è portata a 70 euro. Gita a Gaeta."
    same, other = _loaded([old, "La quota annuale è portata a 75 euro."]), _loaded([old, "La quota. È annuale."])
    query = "a quanto è portata la quota annuale"
    assert current_first(np.array([5.0, 4.0]), same, standing, query).argmax() == 1
    assert current_first(np.array([5.0, 4.0]), other, standing, query).argmax() == 0


def test_a_query_that_names_the_year_of_the_older_one_keeps_it_first() -> None:
    files = [_file("2023-01-01", title="Listino tennis"), _file("2026-01-20", title="Listino tennis")]
    loaded = _loaded(["listino tennis 2023", "listino tennis"])
    scores, standing = np.array([5.0, 4.0]), base([1, 1], files)
    assert current_first(scores, loaded, standing, "listino tennis").argmax() == 1
    assert current_first(scores, loaded, standing, "listino tennis 2023").argmax() == 0
    assert current_first(scores, loaded, standing, "il listino tennis del 1 gennaio").argmax() == 0


def test_the_score_that_decides_is_the_one_of_the_query() -> None:
    files = [_file("2026-01-01", title="Caparra"), _file("2026-01-20", title="Caparra")]
    standing = dataclasses.replace(base([1, 1], files), prior=np.array([1.0, 0.0]))
    assert current_first(np.array([3.0, 2.0]), _loaded(["a", "b"]), standing, "caparra").argmax() == 1


def _loaded(texts: list[str]) -> Any:
    """What is read of an index here: its words, and the reading of each chunk."""
    words = LexicalIndex.of([language("it").stems(text) for text in texts])
    return SimpleNamespace(words=words, reading=lambda passage: texts[passage[0]])


def _file(date: str, title: str = "") -> Any:
    from cervella.knowledge.index.manifest import FileRow

    return FileRow(
        path=date, disk_path=date, sha256="", size=1, title=title, role=None, project=None, date=date, status="current",
        local_only=False,
    )  # fmt: skip


def test_an_index_that_grew_ranks_as_one_that_was_built_at_once(
    notes: Path, index_dir: Path, tmp_path: Path, write: Write
) -> None:
    for number in range(12):
        write(notes, f"n{number}.md", f"# Nota {number}\n\nparola{number} altra{number}\n")
    embedder = HashEmbedder()
    KnowledgeIndex(notes, index_dir, embedder=embedder).update()
    write(notes, "n3.md", "# Nota 3\n\ntutt'altro\n")
    (notes / "n5.md").unlink()
    KnowledgeIndex(notes, index_dir, embedder=embedder).update()
    KnowledgeIndex(notes, tmp_path / "fresh", embedder=embedder).update()

    def known(where: Path) -> tuple[str | None, list[str], list[tuple[str, float]]]:
        with Manifest.open(IndexFolder(where).current()) as manifest:
            centring, missing = manifest.meta("centring"), manifest.without_common_component()
        with HybridRetriever(where, folder=notes, embedder=embedder) as retriever:
            found = retriever.retrieve("parola7 tutt'altro", top_k=8)
        return centring, missing, [(one.id, one.score) for one in found]

    assert known(index_dir) == known(tmp_path / "fresh")
    assert known(index_dir)[1] == []
