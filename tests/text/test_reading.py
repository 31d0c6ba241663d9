"""A text is read once, whoever looks at it; figures, dates and negations are read as people write them."""

from __future__ import annotations

import json
from collections import Counter
from typing import Any

import pytest

from cervella.claims import evidence, grounding
from cervella.claims.citations import claims_of, find_citations
from cervella.claims.grounding import findings
from cervella.review.verdict import review_text
from cervella.text import reading
from cervella.text.language import Language, known_languages, language
from cervella.text.quantities import quantities
from cervella.text.reading import ReadText
from tests.conftest import DATA, make_passage

IT, EN = language("it"), language("en")
ANSWER = (
    "Il lancio è poi il 20 gennaio 2026 [F1]. Il canone del piano piccolo è di circa 12 euro al mese, cioè "
    "150 euro l'anno [F2]. Il piano grande ha 41 postazioni e costa 99 € [F2][F1]. Mancano i «test di carico» [F1]."
)
SOURCES = {
    "F1": make_passage("Il lancio è rinviato al 20 gennaio 2026.\nMancano i «test di carico», dice il team.", id="1"),
    "F2": make_passage(
        "| Piano | Canone | Postazioni |\n|---|---|---|\n| Piccolo | 12,50 € | 3 |\n| Grande | 99 € | 40 |\n\n"
        "I prezzi valgono dal 9 gennaio; sconti del dieci per cento per dodici mesi.",
        id="2",
        path="prezzi.md",
    ),
}


@pytest.mark.parametrize("check", [find_citations, review_text])
def test_a_claim_and_each_line_are_read_once_for_figures_and_once_for_stems(
    check: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    parsed: Counter[str] = Counter()
    stemmed: Counter[str] = Counter()

    def counted(text: str, *given: Any, **options: Any) -> Any:
        parsed[text] += 1
        return quantities(text, *given, **options)

    def stems(self: Language, text: str) -> list[str]:
        stemmed[text] += 1
        return real(self, text)

    real = Language.stems
    marks = {claim.text for claim in claims_of(ANSWER, IT)}
    monkeypatch.setattr(reading, "quantities", counted)
    monkeypatch.setattr(Language, "stems", stems)
    evidence.source_of.cache_clear()
    grounding.read_claim.cache_clear()
    check(ANSWER, SOURCES, IT)
    lines = {line.text for passage in SOURCES.values() for line in evidence.source_of(passage, IT).lines}
    assert marks <= set(parsed)
    assert set(parsed) <= marks | lines | {"", "\n"}  # the question and what else was given are two lines more
    assert {text: count for text, count in parsed.items() if count > 1 and text} == {}
    assert {text: count for text, count in stemmed.items() if count > 1 and len(text.split()) > 2} == {}


def rows(name: str) -> list[dict[str, Any]]:
    found = [json.loads(line) for line in (DATA / f"{name}.jsonl").read_text("utf-8").splitlines()]
    return [row for row in found if row["language"] in known_languages()]


def right_numbers(row: dict[str, Any]) -> bool:
    figures = ReadText(row["text"], language(row["language"])).undated
    return len(figures) == len(row["numbers"]) and all(
        wanted in figure.readings for wanted, figure in zip(row["numbers"], figures, strict=True)
    )


def right_dates(row: dict[str, Any]) -> bool:
    read = ReadText(row["text"], language(row["language"]))
    return sorted(iso for _, _, iso in read.date_spans) == sorted(row["dates"])


def right_negation(row: dict[str, Any]) -> bool:
    found = findings(row["claim"], [make_passage(row["source"])], language(row["language"]))
    return ("negation" in {one.kind for one in found}) is row["contradicts"]


FLOORS = {
    ("numbers", "it en pt"): 0.99,
    ("numbers", "es"): 0.975,
    ("numbers", "de"): 0.875,
    ("dates", "it en pt es"): 1.0,
    ("dates", "de"): 0.96,
    ("negation", "it en pt"): 0.9,
    ("negation", "es"): 0.8,
    ("negation", "de"): 0.86,
}
"""Minimum share of rows that are read right. The authors of the rows had not seen the code."""


@pytest.mark.parametrize(("name", "codes"), FLOORS)
def test_figures_dates_and_negations_are_read_as_others_write_them(name: str, codes: str) -> None:
    judge = {"numbers": right_numbers, "dates": right_dates, "negation": right_negation}[name]
    own = [row for row in rows(name) if row["language"] in codes.split()]
    wrong = [row for row in own if not judge(row)]
    assert 1 - len(wrong) / len(own) >= FLOORS[name, codes], wrong


@pytest.mark.parametrize(
    ("code", "source", "right", "wrong"),
    [
        ("de", "Die Besprechung ist um 15 Uhr.", "Die Besprechung ist um 15:00 Uhr.", "Die Besprechung ist um 16 Uhr."),
        ("de", "Er zahlte am 24.12.25.", "Er zahlte am 24. Dezember 2025.", "Er zahlte am 24. Dezember 2024."),
        ("de", "Es dauert 90 Minuten.", "Es dauert anderthalb Stunden.", "Es dauert eineinhalb Tage."),
        ("pt", "Abre às 9h.", "Abre às 9:00.", "Abre às 10h."),
        ("pt", "A reunião é às 14h30.", "A reunião é às 14:30.", "A reunião é às 14h45."),
        ("it", "La prova dura 90 minuti.", "La prova dura 1h30.", "La prova dura 1h40."),
        ("en", "It starts at 2:30 PM.", "It starts at 14:30.", "It starts at 2:30 AM."),
        ("en", "It opens at 9 a.m.", "It opens at 9:00.", "It opens at 21:00."),
        ("en", "It closes at 18:00.", "It closes at 6 pm.", "It closes at 6 am."),
        ("en", "It is served at 12:30.", "It is served at 12:30 pm.", "It is served at 12:30 am."),
        ("en", "We met on 2026-07-04.", "We met on Jul. 4, 2026.", "We met on Jun. 4, 2026."),
        ("en", "The fee is 3½ percent.", "The fee is 3.5 percent.", "The fee is 3 percent."),
    ],
)
def test_hours_dates_and_halves_are_compared_however_they_are_written(
    code: str, source: str, right: str, wrong: str
) -> None:
    assert not findings(right, [make_passage(source)], language(code))
    assert findings(wrong, [make_passage(source)], language(code))


def test_a_version_is_no_date_where_dates_have_no_full_stops() -> None:
    assert [language(code).find_date("Python 3.11.12") for code in ("it", "en")] == [None, None]


@pytest.mark.parametrize(
    ("code", "source", "claim"),
    [
        ("en", "The price didn't change in March.", "The price changed in March."),
        ("en", "They haven’t signed the contract.", "They have signed the contract."),
        ("en", "The tests weren't run.", "The tests were run."),
        ("en", "You shouldn't share the private key.", "You should share the private key."),
        ("en", "The office hadnt ordered the chairs.", "The office had ordered the chairs."),
        ("en", "Smoking is forbidden on the terrace.", "Smoking is allowed on the terrace."),
        ("en", "Nobody answered the survey.", "Everybody answered the survey."),
        ("it", "Nessuno ha risposto al sondaggio.", "Tutti hanno risposto al sondaggio."),
        ("it", "È vietato fumare in terrazza.", "Si può fumare in terrazza."),
        ("it", "È impossibile entrare dal cortile.", "È possibile entrare dal cortile."),
        ("es", "Nadie respondió a la encuesta.", "Todos respondieron a la encuesta."),
        ("es", "Está prohibido fumar en la terraza.", "Se puede fumar en la terraza."),
        ("pt", "Ninguém respondeu ao inquérito.", "Todos responderam ao inquérito."),
        ("pt", "É proibido fumar no terraço.", "Pode-se fumar no terraço."),
        ("es", "No se permiten mascotas.", "Se permiten mascotas."),
        ("de", "Rauchen ist nicht erlaubt.", "Rauchen ist erlaubt."),
        ("de", "Niemand hat die Umfrage beantwortet.", "Alle haben die Umfrage beantwortet."),
        ("de", "Rauchen ist auf der Terrasse verboten.", "Rauchen ist auf der Terrasse erlaubt."),
    ],
)
def test_what_nobody_did_and_what_is_forbidden_is_not_what_all_did_and_what_is_allowed(
    code: str, source: str, claim: str
) -> None:
    for one, other in ((source, claim), (claim, source)):
        assert "negation" in {found.kind for found in findings(other, [make_passage(one)], language(code))}
    for same in (source, claim):
        assert not findings(same, [make_passage(same)], language(code))


@pytest.mark.parametrize(
    ("code", "text", "iso"),
    [
        ("en", "January 9th, 2026", "2026-01-09"),
        ("en", "the 9th of January, 2026", "2026-01-09"),
        ("it", "1º gennaio 2025", "2025-01-01"),
        ("es", "1.º de enero de 2026", "2026-01-01"),
        ("de", "9. Januar 2026", "2026-01-09"),
        ("de", "Januar 9, 2026", "2026-01-09"),
    ],
)
def test_a_document_and_a_claim_read_the_same_dates(code: str, text: str, iso: str) -> None:
    assert language(code).find_date(text) == iso
    assert ReadText(text, language(code)).dates == {iso}


def test_a_month_in_lower_case_is_none_where_months_have_capitals_and_the_day_is_a_word() -> None:
    assert [ReadText(text, EN).days for text in ("One may say so.", "You may 3 times.")] == [frozenset(), frozenset()]
    assert ReadText("We start on the third of May.", EN).days == {"05-03"}


@pytest.mark.parametrize(
    ("text", "lang", "value", "unit"),
    [
        ("vent'anni", "it", "20", "months"),
        ("due milioni e mezzo di euro", "it", "2500000", "eur"),
        ("duemilacentottanta euro", "it", "2180", "eur"),
        ("tre virgola cinque ore", "it", "3.5", "time"),
        ("two hundred and five days", "en", "205", "time"),
        ("twenty-five per cent", "en", "25", "%"),
        ("vinte e cinco horas", "pt", "25", "time"),
    ],
)
def test_number_words_are_put_together(text: str, lang: str, value: str, unit: str) -> None:
    [figure] = quantities(text, language(lang))
    assert (figure.readings, figure.senses[0][0]) == ({value}, unit)


def test_a_language_that_the_library_does_not_know_reads_its_own_table_of_number_words() -> None:
    invented = type("Invented", (), {"code": "xx", "numbers": {"mik": 7}, "review": {}})()
    assert [sorted(one.readings) for one in quantities("mik tolu 3", invented)] == [["7"], ["3"]]
