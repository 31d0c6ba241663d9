"""The history of an index changes no ranking: built at once or in steps, the same files rank alike."""

from __future__ import annotations

import random
from pathlib import Path

import pytest

from bench.incremental import build_in_steps, ranking
from cervella.knowledge import KnowledgeIndex
from cervella.knowledge.index import builder, matrix
from tests.knowledge.conftest import HashEmbedder

WORDS = [
    *("lancio", "rinvio", "margine", "tariffa", "camera", "prenotazione", "caparra", "disdetta", "pulizia", "turno"),
    *("cucina", "cantina", "vino", "olio"),
]


@pytest.fixture
def base(tmp_path: Path) -> Path:
    chance = random.Random(7)
    for number in range(30):
        folder = tmp_path / "base" / f"cartella{number % 4}"
        folder.mkdir(parents=True, exist_ok=True)
        parts = [f"## {chance.choice(WORDS)}\n\n{' '.join(chance.choices(WORDS, k=40))}.\n" for _ in range(4)]
        (folder / f"{number}.md").write_text(f"# Nota {number}\n\n" + "\n".join(parts))
    return tmp_path / "base"


@pytest.mark.parametrize("exact", [True, False], ids=["exact", "by Chroma's graph"])
def test_an_index_that_grew_in_steps_ranks_as_one_that_was_built_at_once(
    base: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, exact: bool
) -> None:
    if not exact:
        monkeypatch.setattr(matrix, "MOST_VECTORS", 0)
        monkeypatch.setattr(builder, "MOST_VECTORS", 0)
    embedder = HashEmbedder()
    KnowledgeIndex(base, tmp_path / "clean", embedder=embedder).update()
    folder, index_dir = tmp_path / "steps", tmp_path / "grown"
    folder.mkdir()
    build_in_steps(base, folder, KnowledgeIndex(folder, index_dir, embedder=embedder), 1)
    chance = random.Random(3)
    queries = [" ".join(chance.choices(WORDS, k=4)) for _ in range(20)]
    grown = ranking(index_dir, folder, embedder, queries)
    clean = ranking(tmp_path / "clean", base, embedder, queries)
    if exact:
        assert grown == clean
    assert [[row[:2] for row in rows] for rows in grown] == [[row[:2] for row in rows] for rows in clean]
