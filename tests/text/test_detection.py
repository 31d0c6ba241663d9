"""Which language a text is in, and when an answer is in none that it may be in."""

from __future__ import annotations

import json
import time
from collections import Counter
from types import SimpleNamespace
from typing import Any

import pytest

from cervella.review.persona import soul_issues
from cervella.soul import Traits
from cervella.text import detection
from cervella.text.detection import foreign_language, language_of, languages_asked_for
from cervella.text.folder import folder_of
from cervella.text.language import known_languages, language
from cervella.text.markdown import without_code
from tests.conftest import DATA

ANSWERS = [json.loads(line) for line in (DATA / "answer-languages.jsonl").read_text("utf-8").splitlines()]
TEXTS = [json.loads(line) for line in (DATA / "texts-languages.jsonl").read_text("utf-8").splitlines()]
FIVE = {"it", "en", "pt", "es", "de"}


def is_foreign(row: dict[str, Any]) -> bool:
    allowed = {row["persona"], *languages_asked_for(row["question"])}
    return foreign_language(without_code(row["answer"]), allowed) is not None


def test_hardly_any_right_answer_is_called_foreign_and_most_foreign_ones_are() -> None:
    found = Counter((row["verdict"], is_foreign(row)) for row in ANSWERS)
    fine, foreign = (sum(row["verdict"] == verdict for row in ANSWERS) for verdict in ("fine", "foreign"))
    assert found["fine", True] <= 0.02 * fine
    assert found["foreign", False] <= 0.05 * foreign


@pytest.mark.parametrize("code", sorted(FIVE & set(known_languages())))
def test_a_review_calls_no_right_answer_foreign(code: str) -> None:
    rows = [row for row in ANSWERS if (row["persona"], row["verdict"]) == (code, "fine")]
    traits, lang = Traits(name="Ada", language=code), language(code)
    wrong = [row["answer"] for row in rows if _kinds(row["answer"], traits, lang, row["question"])]
    assert len(wrong) <= 0.02 * len(rows), wrong


def _kinds(answer: str, traits: Traits, lang: Any, question: str) -> list[str]:
    return [kind for kind, _ in soul_issues(answer, traits, lang, question=question) if kind == "language"]


def test_a_language_that_is_found_is_the_right_one() -> None:
    rows = [(row["answer"], row["detected"]) for row in ANSWERS if row["detected"]]
    rows += [(row["text"], row["language"]) for row in TEXTS if row["language"]]
    found = [(foreign_language(text, [own]), code) for text, code in rows for own in FIVE - {code}]
    assert sum(code == right for code, right in found) >= 0.82 * len(found)
    assert sum(code not in (right, None) for code, right in found) <= 0.01 * len(found)


def test_a_text_in_none_of_the_five_is_never_found_in_one() -> None:
    texts = [row["text"] for row in TEXTS if row["language"] is None]
    assert not [text for text in texts for own in FIVE if foreign_language(text, [own]) in FIVE]


@pytest.mark.parametrize(
    "text",
    [
        *("20 €", "OK", "No", "Marta Rossi", "Redis, PostgreSQL e Kafka", "2026-01-20", "config.toml", "", "🎉"),
        *("https://example.org/the/house/of/the/people", "git merge main", "Rio de Janeiro", "New York Times"),
    ],
)
def test_what_may_stand_in_any_language_is_in_none(text: str) -> None:
    assert not any(foreign_language(text, [code]) for code in FIVE)


@pytest.mark.parametrize(
    ("text", "code"),
    [
        ("Non lo so.", "it"),
        ("perche' mancavano i test", "it"),
        ("By Friday.", "en"),
        ("It costs 20 euros.", "en"),
        ("nao sei dizer", "pt"),
        ("El lanzamiento es el 20 de enero.", "es"),
        ("Keine Ahnung.", "de"),
        ("Je ne sais pas.", "fr"),
        ("Het is niet bekend.", "nl"),
        ("Encara no ho sé.", "ca"),
        ("Это ещё не решено.", "other"),
    ],
)
def test_a_few_words_are_enough(text: str, code: str) -> None:
    assert {foreign_language(text, [one]) for one in FIVE - {code}} == {code}
    assert foreign_language(text, [code]) is None


def test_loan_words_titles_and_quotations_are_foreign_to_nobody() -> None:
    assert foreign_language("Il team di customer care usa il feedback dei beta tester.", ["it"]) is None
    assert foreign_language("Il film è «The house on the hill and what was in it».", ["it"]) is None
    assert foreign_language("Consiglio *The house on the hill*.", ["it"]) is None


def test_an_answer_that_changes_over_is_foreign() -> None:
    text = "Il lancio è il 20 gennaio. The load tests are still missing, so we will have to wait for them."
    assert foreign_language(text, ["it"]) == "en"


def test_a_question_allows_the_languages_that_it_may_be_in_and_those_that_it_names() -> None:
    assert languages_asked_for("Why was it postponed?") == {"en"}
    assert languages_asked_for("Come si dice grazie in tedesco?") == {"it", "de"}
    assert languages_asked_for("RTX 4090?") == languages_asked_for("vpn") == set()


def test_nothing_is_foreign_where_every_language_is_allowed() -> None:
    every = detection._lists().codes
    assert foreign_language("Il lancio è a marzo.", every) is None
    assert foreign_language("Il lancio è a marzo.", {"it", *languages_asked_for("vpn")}) is None
    assert foreign_language("We launch in March, after the tests.", {"it", *languages_asked_for("vpn")}) == "en"


class Own(SimpleNamespace):
    __hash__ = object.__hash__


def test_a_language_without_a_list_is_found_by_its_stop_words(monkeypatch: pytest.MonkeyPatch) -> None:
    files = {
        "detection.txt": (),
        "stop-words.txt": ["vel", "oru", "tamin", "quzo", "pel", "irna", "dosk", "umbe", "zat"],
    }
    own = Own(code="xq", file=files.__getitem__)
    monkeypatch.setattr(detection, "known_languages", lambda: ["it", "en", "pt", "xq"])
    monkeypatch.setattr(detection, "folder_of", lambda code: own if code == "xq" else folder_of(code))
    assert foreign_language("Oru madalin vel tamin quzo.", ["it"]) == "xq"
    assert foreign_language("Non lo so.", ["xq"]) is None, "its stop words are too few to be certain"
    assert foreign_language("Oru madalin vel tamin quzo.", ["xq"]) is None


def test_the_language_of_the_base_holds_where_another_is_not_certain() -> None:
    it = language("it")
    assert language_of("What does the daily backup cost?", it) is language("en")
    assert language_of("Backup?", it) is language_of("Quanto costa?", it) is language_of("Je ne sais pas.", it) is it


def test_a_long_text_is_read_in_bounded_time() -> None:
    for piece in ("a", "«", "*a", '"', "é.", "a.b", "parola nuova "):
        started = time.process_time()
        foreign_language(piece * (1_000_000 // len(piece)), ["it"])
        assert time.process_time() - started < 2
