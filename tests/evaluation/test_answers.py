"""Question files, and whether an answer is right and stands on the right lines."""

from __future__ import annotations

import json
from typing import Any

import pytest

from cervella.errors import EvaluationError
from cervella.evaluation.comparison.answers import AnswerScore, score_answer
from cervella.evaluation.suites.question_file import KnownQuestion, load_questions
from cervella.text.language import language
from tests.conftest import DATA, make_passage

IT = language("it")
SHIPPED = DATA / "questions-knowledge.jsonl"
PORT = KnownQuestion(
    id="port",
    line=1,
    question="A che porta trovo Cervella adesso?",
    answer="Alla 8010 dal 21 gennaio; la 8002 era quella del primo rilascio.",
    evidence=("Cervella risponde sulla porta **8010**.",),
    files=("decisioni/porte.md",),
)
UNKNOWN = KnownQuestion(id="x", line=2, question="Quante camere ha l'albergo?", answerable=False)
SHOWN = {
    "F1": make_passage("Cervella risponde sulla porta **8010**.", path="decisioni/porte.md"),
    "F2": make_passage("Il primo rilascio usava la porta 8002.", id="p2", path="archivio/note.md"),
}


def scored(text: str, question: KnownQuestion = PORT, **facts: Any) -> AnswerScore:
    return score_answer(question, text, SHOWN, IT, **facts)


def test_a_right_answer_on_a_right_line_is_grounded():
    found = scored("Cervella risponde alla porta 8010 [F1].")
    assert (found.right, found.grounded, found.precision, found.recall) == (True, True, 1.0, 1.0)
    assert found.reasons == ()


def test_another_spelling_of_the_fact_is_the_fact():
    question = KnownQuestion(id="d", line=1, question="Quando?", answer="Il 21 gennaio 2026, a 1.200 euro.")
    for text in ("2026-01-21, 1200 euro", "21/01/2026: 1 200 euro", "Il 21 gennaio 2026 costava 1200,00 euro."):
        assert scored(text, question).right, text
    assert not scored("Il 22 gennaio 2026 costava 1200 euro.", question).right


def test_the_superseded_figure_alone_is_wrong():
    found = scored("Alla porta 8002 [F2].")
    assert not found.right
    assert found.missing_facts == ("8010",)
    assert "lacks 8010" in found.reasons
    assert "cites other files" in found.reasons


def test_a_right_answer_without_a_source_is_right_and_not_grounded():
    found = scored("Alla porta 8010.")
    assert (found.right, found.grounded, found.precision, found.recall) == (True, False, None, 0.0)
    assert found.reasons == ("cites nothing",)


def test_invented_marks_count_against_precision():
    found = scored("Risponde sulla porta 8010 [F1], dicono [F7].")
    assert found.invented == 1
    assert found.precision == 0.5


def test_the_evidence_quoted_is_right_whatever_the_markup():
    assert scored("«Cervella risponde sulla porta 8010» [F1]").evidence_quoted


def test_not_knowing_is_right_only_where_nothing_is_known():
    assert scored("Non lo so.", UNKNOWN).right
    assert scored("Non lo so.", UNKNOWN).grounded
    wrong = scored("Ha quaranta camere [F1].", UNKNOWN)
    assert not wrong.right
    assert (wrong.precision, wrong.recall) == (None, None)
    assert scored("Non lo so.").reasons == ("says that it does not know, and the base does",)
    assert scored("Non lo so.").abstained


@pytest.mark.parametrize(
    ("text", "right"),
    [
        ("Non lo so, le camere sono 12.", False),
        ("Non lo so quante siano, ma sono 12.", False),
        ("Non lo so quante siano, ma sono 8.", False),
        ("Non lo so, le camere sono dodici.", False),
        ("I don't know, there are 12 rooms.", False),
        ("Non lo so: le fonti parlano solo del parcheggio dell'albergo [F1].", True),
        ("Non lo so: la nota del 20 gennaio 2026 parla solo del parcheggio [F1].", True),
        ("Le fonti disponibili non indicano quante camere ha l'albergo [F1].", True),
        ("I don't know.", True),
        ("Não sei.", True),
    ],
)
def test_not_knowing_and_nothing_else_is_right_where_nothing_is_known(text, right):
    shown = {"F1": make_passage("Il parcheggio dell'albergo è vicino, nota del 20/01/2026.")}
    found = score_answer(UNKNOWN, text, shown, IT)
    assert (found.right, found.abstained, found.grounded) == (right, right, right)


@pytest.mark.parametrize(
    ("expected", "text", "right"),
    [
        ("No", "Sì, l'officina il sabato è aperta [F1].", False),
        ("No", "No, il sabato è chiusa [F1].", True),
        ("No", "**No**: è chiusa [F1].", True),
        ("No", "Não.", True),
        ("Sì", "L'officina si trova in via Roma [F1].", False),
        ("Sì", "Si trova in via Roma.", False),
        ("Sì", "Sì [F1].", True),
        ("Sì, è aperta", "No, non è aperta", False),
        ("Sì, è aperta", "Sì è aperta", True),
        ("Si, è aperta", "È aperta.", True),
        ("Si trova in via Roma", "No, si trova in via Roma.", True),
        ("Lei", "Giovanni", False),
        ("Lei", "La apre lei.", True),
    ],
)
def test_a_yes_a_no_and_words_that_carry_little_are_told_apart(expected, text, right):
    question = KnownQuestion(id="s", line=1, question="L'officina il sabato è aperta?", answer=expected)
    found = score_answer(question, text, {"F1": make_passage("L'officina è chiusa il sabato.")}, IT)
    assert found.right is right
    assert right or any("says no where it is yes" in one or "does not say" in one for one in found.reasons)


def test_an_engine_that_failed_gave_no_answer():
    found = scored("", UNKNOWN, failed=True)
    assert (found.right, found.abstained, found.failed) == (False, False, True)


def test_figures_of_the_question_are_no_answer():
    question = KnownQuestion(
        id="q", line=1, question="Con 348 dollari, da quante richieste?", answer="Da 101.754 richieste."
    )
    assert not scored("Con 348 dollari conviene.", question).right
    assert scored("Con 348 dollari, da 101754 richieste.", question).right


def test_names_with_underscores_are_facts():
    question = KnownQuestion(id="q", line=1, question="Quale variabile?", answer="`CERVELLA_PORT`")
    assert scored("La variabile cervella_port.", question).right
    assert not scored("La porta di Cervella.", question).right


def test_every_expected_answer_of_the_shipped_file_is_right_and_hardly_another_ones():
    questions = [one for one in load_questions(SHIPPED).questions if one.answerable]
    crossed = 0
    for one in questions:
        assert score_answer(one, one.answer, {}, IT).right, one.id
        assert score_answer(one, " ".join(one.evidence), {}, IT).right, one.id
        crossed += sum(score_answer(one, other.answer, {}, IT).right for other in questions if other is not one)
    # A figure like 20 stands in many answers: the pairs that are taken for right are known, and few.
    assert crossed / (len(questions) * (len(questions) - 1)) < 0.005


def test_the_shipped_questions_load():
    file = load_questions(SHIPPED)
    assert len(file.questions) == 60
    assert sum(not one.answerable for one in file.questions) == 9
    assert file.source == SHIPPED.name


@pytest.mark.parametrize(
    ("line", "words"),
    [
        ("{", "is not JSON"),
        ("[1]", "is not an object"),
        ("[" * 200_000, "is not JSON"),
        ('{"answer": "sì"}', "has no `question`"),
        ('{"question": 3}', "`question` that is not a text"),
        ('{"question": "a?"}', "neither `answer` nor `evidence`"),
        ('{"question": "a?", "answer": ["b"]}', "`answer` that is not a text"),
        ('{"question": "a?", "answer": "b", "files": [1]}', "`files`"),
        ('{"question": "a?", "kind": "unanswerable", "evidence": "b"}', "unanswerable and has evidence"),
        ('{"id": "one", "question": "a?", "answer": "b"}', "has the id 'one' of line 1"),
    ],
)
def test_a_bad_line_is_named(tmp_path, line, words):
    path = tmp_path / "questions.jsonl"
    path.write_text(json.dumps({"id": "one", "question": "x?", "answer": "y"}) + "\n\n" + line + "\n", encoding="utf-8")
    with pytest.raises(EvaluationError, match="Line 3") as caught:
        load_questions(path)
    assert words in caught.value.message
    assert caught.value.remedy
    assert caught.value.code == "bad_question"


def test_no_file_and_no_question_are_errors(tmp_path):
    with pytest.raises(EvaluationError, match="can't be read"):
        load_questions(tmp_path / "none.jsonl")
    (tmp_path / "empty.jsonl").write_text("\n")
    with pytest.raises(EvaluationError, match="holds no question"):
        load_questions(tmp_path / "empty.jsonl")
