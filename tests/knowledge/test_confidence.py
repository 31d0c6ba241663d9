from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from cervella.knowledge import HybridRetriever, KnowledgeIndex
from cervella.knowledge.index import ingestion
from cervella.knowledge.index.confidence import ABSTAIN_BELOW, calibrated
from cervella.knowledge.index.manifest import Manifest
from cervella.knowledge.index.storage import IndexFolder
from cervella.text.language import known_languages, language
from tests.knowledge.conftest import HashEmbedder, write

HEADINGS = [(f"Titolo {number}", f"{number}.md") for number in range(10)]


def nearest(question: str) -> Sequence[tuple[str, float]]:
    """A heading finds its own file first, then others less near; any other question finds little."""
    if question.startswith("Titolo"):
        return [(f"{question.split()[1]}.md", 0.95), ("x.md", 0.87)]
    return [("x.md", 0.81)]


def test_a_base_is_calibrated_by_questions_on_other_matters_and_by_its_own_headings_in_other_files() -> None:
    assert calibrated(language("it"), HEADINGS, nearest) == (0.81, 0.87)


def test_every_language_has_questions_on_other_matters() -> None:
    assert all(calibrated(language(code), HEADINGS, nearest) for code in known_languages())


def test_a_base_that_is_too_small_or_an_embedder_that_tells_nothing_apart_is_not_calibrated() -> None:
    assert calibrated(language("it"), HEADINGS[:3], nearest) is None
    assert calibrated(language("it"), HEADINGS, lambda question: [("x.md", 0.9), ("y.md", 0.9)]) is None
    assert calibrated(language("it"), HEADINGS, lambda question: []) is None


# By words alone


SHOP = {
    "listino.md": "# Listino officina\n\n| Lavoro | Euro |\n|---|---|\n| Fresatura CNC | 53 |\n| Frizione | 390 |\n",
    "orari.md": "# Orari\n\nLa palestra di domenica apre alle 9:35. I tappi vanno ordinati entro maggio.\n",
    "rubrica.md": "# Rubrica\n\nElettricista: Saveria, 555 0122. Mai di sabato.\n",
}


@pytest.mark.parametrize(
    "question",
    [
        "Quanto costa la fresatura CNC?",
        "quanto costano le fresature?",
        "qual è il numero dell'elettricista?",
        "Entro quando vanno ordinati i tappi?",
        "Che cosa vuol dire CNC?",
        "a che ora chiude la palestra la domenica?",
    ],
)
def test_words_that_only_ask_need_not_be_in_a_small_base(tmp_path: Path, question: str) -> None:
    assert words_confidence(tmp_path, SHOP, question) >= ABSTAIN_BELOW


@pytest.mark.parametrize(
    "question",
    [
        "Qual è la capitale della Mongolia?",
        "Quanto costa la verniciatura a polvere?",
        "Quanto pesa un elefante di domenica?",
        "Quanto costa?",
        "ciao, come va?",
        "Che cosa vuol dire?",
    ],
)
def test_a_small_base_refuses_what_is_not_in_it(tmp_path: Path, question: str) -> None:
    assert words_confidence(tmp_path, SHOP, question) < ABSTAIN_BELOW


@pytest.mark.parametrize(
    ("code", "text", "question"),
    [
        ("en", "# Prices\n\n- canoe 14 an hour\n- rowing boat 9\n", "How much is a canoe?"),
        ("en", "# Orders\n\nBirthdays are collected before 20 November.\n", "By when must the birthdays be collected?"),
        ("pt", "# Pães\n\n| Pão | Euros |\n|---|---|\n| Centeio | 2,85 |\n", "quanto custa o pão de centeio?"),
        ("es", "# Panes\n\n| Pan | Euros |\n|---|---|\n| Centeno | 2,85 |\n", "¿cuánto cuesta el pan de centeno?"),
        ("de", "# Brote\n\n| Brot | Euro |\n|---|---|\n| Roggenbrot | 2,85 |\n", "Was kostet das Roggenbrot?"),
    ],
)
def test_words_that_only_ask_are_known_in_every_language(tmp_path: Path, code: str, text: str, question: str) -> None:
    other = {"de": "# Ofen\n\nDer Ofen wird um vier Uhr angeheizt.\n"}.get(code, "# Other\n\nNothing here, nada.\n")
    assert words_confidence(tmp_path, {"a.md": text, "b.md": other}, question, code) >= ABSTAIN_BELOW


def words_confidence(folder: Path, files: Mapping[str, str], question: str, code: str = "it") -> float:
    for path, text in files.items():
        write(folder / "kb", path, text)
    KnowledgeIndex(folder / "kb", folder / "index", embedder=None, language=code).update()
    with HybridRetriever(folder / "index", folder=folder / "kb", embedder=None, language=code) as retriever:
        return retriever.retrieve(question).confidence


# While vectors are being made


@pytest.fixture
def base(tmp_path: Path) -> Path:
    for number, subject in enumerate(("il lievito madre", "la fatturazione", "il server", "i prezzi", "il lancio")):
        write(tmp_path, f"note/{number}.md", f"# Nota {number}\n\nQui si parla di {subject}, e di altro.\n")
    return tmp_path / "note"


class Ranged(HashEmbedder):
    cosine_range = (0.5, 0.9)


def partly(base: Path, without: str) -> KnowledgeIndex:
    """An index of which the file `without` has no vector yet."""
    kept = base / without
    text = kept.read_text(encoding="utf-8")
    kept.unlink()
    index = KnowledgeIndex(base, base.parent / "index", embedder=Ranged())
    index.update()
    kept.write_text(text, encoding="utf-8")
    index.update_words()
    return index


def confidence_of(base: Path, query: str) -> float:
    with HybridRetriever(base.parent / "index", folder=base, embedder=Ranged()) as retriever:
        return retriever.retrieve(query).confidence


def test_a_question_whose_words_are_in_a_chunk_without_a_vector_is_judged_by_its_words(base: Path) -> None:
    partly(base, "0.md")
    with HybridRetriever(base.parent / "index", folder=base, embedder=Ranged()) as retriever:
        assert retriever.retrieve("lievito madre").confidence >= ABSTAIN_BELOW
        assert retriever._loaded is not None
        everywhere = np.ones_like(retriever._loaded.has_vector)
        retriever._loaded = replace(retriever._loaded, has_vector=everywhere)
        assert retriever.retrieve("lievito madre").confidence < ABSTAIN_BELOW, "by the cosines of the other chunks"


def test_a_question_whose_words_are_elsewhere_is_judged_by_the_cosines_as_ever(base: Path) -> None:
    partly(base, "4.md")
    before = confidence_of(base, "fatturazione zzz qqq www kkk")
    KnowledgeIndex(base, base.parent / "index", embedder=Ranged()).update()
    assert confidence_of(base, "fatturazione zzz qqq www kkk") == before


def test_a_first_run_that_is_interrupted_has_a_calibration_of_the_vectors_that_it_has(
    base: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(ingestion, "_FIRST", 16)
    monkeypatch.setattr("cervella.knowledge.index.confidence._FEW", 2)
    for number in range(40):
        write(base, f"altre/{number:02}.md", f"# Titolo lungo {number}\n\nTesto di prova {number}, come gli altri.\n")
    with pytest.raises(KeyboardInterrupt):
        KnowledgeIndex(base, base.parent / "index", embedder=HashEmbedder(fail_after=36)).update()
    with Manifest.open(IndexFolder(base.parent / "index").current()) as manifest:
        assert 0 < manifest.count(embedded=True) < manifest.count()
        assert manifest.meta("calibration")
