"""The vote of words and vectors that a question is off the subject of a base."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from cervella.knowledge import HybridRetriever, KnowledgeIndex
from cervella.knowledge.index.confidence import Calibration
from cervella.knowledge.index.query import Query
from cervella.knowledge.search.off_subject import vote, word_share
from cervella.text.language import language
from tests.knowledge.conftest import HashEmbedder, write

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
    assert not abstains(tmp_path, SHOP, question)


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
    assert abstains(tmp_path, SHOP, question)


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
    assert not abstains(tmp_path, {"a.md": text, "b.md": other}, question, code)


def abstains(folder: Path, files: Mapping[str, str], question: str, code: str = "it") -> bool:
    for path, text in files.items():
        write(folder / "kb", path, text)
    KnowledgeIndex(folder / "kb", folder / "index", embedder=None, language=code).update()
    with HybridRetriever(folder / "index", folder=folder / "kb", embedder=None, language=code) as retriever:
        found = retriever.retrieve(question)
    assert found.confidence in (None, 0.0), "words give no confidence; where nothing is found, it is 0"
    return found.abstain


@pytest.mark.parametrize(
    "question",
    [
        "Chi ha vinto il campionato di pallavolo nel 2025?",
        "Quanto fa 35 per 53?",
        "Dove si compra un biglietto per sabato?",
    ],
)
def test_years_days_and_short_figures_put_nothing_on_the_subject(tmp_path: Path, question: str) -> None:
    files = {**SHOP, "anni.md": "# Anni\n\nNel 2025 abbiamo chiuso di sabato, dalle 17 alle 19.\n"}
    assert abstains(tmp_path, files, question)


def test_a_figure_asked_for_by_its_value_is_on_the_subject_if_the_base_has_it(tmp_path: Path) -> None:
    assert not abstains(tmp_path, SHOP, "chi risponde al 555 0122?")


def test_a_question_for_open_tasks_has_no_words_and_is_on_the_subject(tmp_path: Path) -> None:
    tasks = {**SHOP, "lavori.md": "# Lavori\n\n- [ ] chiamare Saveria, devo farlo io\n- [x] ordinare i tappi\n"}
    assert not abstains(tmp_path, tasks, "Cosa devo ancora fare?")
    assert abstains(tmp_path, tasks, "Cosa devo?")


# With vectors


@pytest.fixture
def retriever(tmp_path: Path) -> HybridRetriever:
    for path, text in SHOP.items():
        write(tmp_path / "kb", path, text)
    KnowledgeIndex(tmp_path / "kb", tmp_path / "index", embedder=HashEmbedder()).update()
    return HybridRetriever(tmp_path / "index", folder=tmp_path / "kb", embedder=HashEmbedder())


def is_off(retriever: HybridRetriever, question: str, cosine: float, *, vectors: bool = True) -> bool:
    """The vote if the best cosine is `cosine`, in standard deviations above the median of off-topic questions."""
    with retriever:
        loaded = retriever._current()
        size = len(loaded.ids)
        loaded = replace(loaded, calibration=Calibration(off_topic=0.0, deviation=1.0, headings=None))
        loaded = replace(loaded, has_vector=np.full(size, vectors), pending=0 if vectors else size - 1)
        nothing = np.zeros(size, dtype=np.float32)
        query = Query(text=question, language=language("it"))
        return vote(loaded, query, {0: cosine}, np.arange(size), nothing).off_subject


def test_a_question_is_off_the_subject_if_words_and_vectors_say_it(retriever: HybridRetriever) -> None:
    assert is_off(retriever, "Come si cucina la parmigiana?", 1.0)
    assert not is_off(retriever, "Come si cucina la parmigiana?", 4.0), "very near"
    assert not is_off(retriever, "Quanto costa la frizione?", 1.0), "its words are there"
    assert is_off(retriever, "Quanto costa la frizione dell'autobus volante?", -2.0), "very far"


def test_a_question_in_another_language_is_judged_by_its_vectors(retriever: HybridRetriever) -> None:
    assert not is_off(retriever, "How much is the polishing of the whole engine?", 1.5)
    assert is_off(retriever, "How much is the polishing of the whole engine?", 0.0)


def test_vectors_refuse_nothing_whose_words_are_there_while_most_are_still_being_made(
    retriever: HybridRetriever,
) -> None:
    assert not is_off(retriever, "Quanto costa la frizione?", -5.0, vectors=False)
    assert is_off(retriever, "Come si cucina la parmigiana?", -5.0, vectors=False)


def test_a_base_of_a_few_notes_says_no_with_vectors_and_has_no_confidence(retriever: HybridRetriever) -> None:
    with retriever:
        found = retriever.retrieve("Come si cucina la parmigiana?")
        assert (found.abstain, found.confidence) == (True, None)
        found = retriever.retrieve("Quanto costa la fresatura CNC?")
        assert (found.abstain, found.confidence) == (False, None)


def test_a_chunk_that_has_all_the_words_has_the_whole_share(retriever: HybridRetriever) -> None:
    with retriever:
        loaded = retriever._current()
        query = Query(text="i tappi della palestra", language=language("it"))
        share, best = word_share(loaded.words, query, np.arange(len(loaded.ids)))
        assert share == pytest.approx(1.0)
        assert best is not None
        assert loaded.paths[best] == "orari.md"
        assert word_share(loaded.words, Query(text="e poi?", language=language("it")), np.arange(3)) == (None, None)
