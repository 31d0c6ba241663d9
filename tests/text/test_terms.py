"""A figure, a date or a code is one search term, however it is written."""

from __future__ import annotations

import time
from collections.abc import Iterator

import pytest

from cervella.text.language import language
from cervella.text.number_words import _NumberTest
from cervella.text.terms import FIGURE, Wanted, _Figures, asked_terms, terms

IT = language("it")


def score(query: str, text: str, code: str = "it") -> float:
    """The share of a query's words and figures that a text has, 0 to 1; a figure satisfied in part counts less."""
    lang, offered = language(code), set(terms(text, language(code)))
    asked = asked_terms(query, lang)
    return sum(max((weight for term, weight in one.items() if term in offered), default=0.0) for one in asked) / len(
        asked
    )


@pytest.mark.parametrize(
    ("code", "spellings"),
    [
        ("it", ["1.250.000 €", "1250000 euro", "1 250 000 €", "1,25 milioni di euro", "€ 1.250.000,00"]),
        ("it", ["un milione e duecentocinquantamila euro", "EUR 1.250.000"]),
        ("it", ["1 234,50 €", "1.234,50 euro", "1234,5 €"]),
        ("it", ["2'400 CHF", "2400 franchi", "CHF 2’400.00"]),
        ("it", ["12,5 %", "12.5%", "dodici e mezzo per cento"]),
        ("it", ["14/03/2026", "2026-03-14", "14 marzo 2026", "14.3.2026", "il quattordici marzo 2026"]),
        ("it", ["4.3.26", "04/03/2026"]),
        ("it", ["3/2026", "marzo 2026"]),
        ("it", ["alle 7:30", "alle 7.30", "07:30", "7h30", "7 e 30", "sette e mezza"]),
        ("it", ["alle 9:15", "nove e un quarto"]),
        ("it", ["90 minuti", "un'ora e mezza", "1,5 ore"]),
        ("it", ["5 kg", "cinque chili", "5kg", "5000 g"]),
        ("it", ["30 m²", "30 mq", "trenta metri quadrati"]),
        ("it", ["3° piano", "terzo piano"]),
        ("it", ["+39 333 123 4567", "3331234567", "333 12 34 567", "0039 333-1234567", "333/1234567"]),
        ("it", ["RX-200", "RX200", "rx 200"]),
        ("en", ["$1,200", "1200 dollars", "twelve hundred dollars"]),
        ("en", ["March 14, 2026", "14 March 2026", "2026-03-14", "the 14th of March 2026"]),
        ("en", ["7:30 pm", "19:30", "half past 19"]),
        ("pt", ["R$ 1.250,00", "1250 reais", "mil duzentos e cinquenta reais"]),
        ("es", ["14 de marzo de 2026", "14/03/2026"]),
        ("de", ["1.200 €", "1200 Euro", "tausendzweihundert Euro"]),
        ("de", ["7:30", "halb acht"]),
    ],
)
def test_each_spelling_of_a_figure_finds_the_others(code: str, spellings: list[str]) -> None:
    weak = [
        (query, text, round(score(query, text, code), 2))
        for query in spellings
        for text in spellings
        if score(query, text, code) < 0.4
    ]
    assert not weak


@pytest.mark.parametrize(
    ("query", "better", "worse"),
    [
        ("12,5", "12,5", "125"),
        ("1.250", "1250", "1.250.000"),
        ("1250000", "1.250.000 €", "1,25 m"),
        ("nel 2026", "nel 2026", "2.026 €"),
        ("2.026 euro", "2.026 €", "nel 2026"),
        ("1200 euro", "1.200 €", "1200 persone"),
        ("entro 3 giorni", "entro tre giorni", "entro 3 ore"),
        ("14 marzo", "14/03/2026", "14 aprile 2026"),
        ("ore 7.30", "alle 7:30", "7,30 euro"),
        ("terzo piano", "3° piano", "piano 13, interno 3"),
    ],
)
def test_another_figure_is_not_the_same(query: str, better: str, worse: str) -> None:
    assert score(query, better) > score(query, worse)


@pytest.mark.parametrize("query", ["12,5", "1.250", "2.026 euro", "7:30", "3331234567"])
def test_other_figures_of_the_same_digits_have_none_of_the_terms(query: str) -> None:
    other = {"12,5": "125", "1.250": "1.250.000", "2.026 euro": "2026", "7:30": "730", "3331234567": "3331234576"}
    assert score(query, other[query]) == 0


def test_a_missing_currency_does_not_hinder() -> None:
    assert score("caparra 1200 euro", "caparra: 1200") >= 0.8
    assert score("caparra 1200", "caparra: 1.200 €") == 1


def test_the_parts_of_a_date_find_it() -> None:
    for query in ("14 marzo", "marzo 2026", "marzo", "2026"):
        assert score(query, "il 14/03/2026") == 1, query


def test_soft_hyphens_and_zero_width_characters_do_not_hinder_a_query() -> None:
    assert asked_terms("pre\u00adno\u200btazione 1\u2060250", IT) == asked_terms("prenotazione 1250", IT)


def test_words_are_as_before() -> None:
    text = "Le decisioni che abbiamo preso"
    assert terms(text, IT) == IT.stems(text)
    wanted: list[Wanted] = [{"decision": 1.0}, {"pres": 1.0}]
    assert asked_terms(text, IT) == wanted


@pytest.mark.parametrize("piece", ["1 ", "12.", "+39 333 ", "sette e ", "mezza ", "3/4/", "marzo 20 ", "x1", "111 "])
def test_a_text_of_a_stranger_is_read_in_linear_time(piece: str) -> None:
    text, start = piece * (1_000_000 // len(piece)), time.process_time()
    found = terms(text, IT)
    assert time.process_time() - start < 20
    assert all(term.startswith(FIGURE) or term for term in found)


@pytest.mark.parametrize("text", ["a 2.3:1 ratio", "contrasto 4,5:1", "1.000:1", "4:3", "12:5:7"])
def test_a_ratio_is_a_term_and_no_time(text: str) -> None:
    for code in ("it", "en"):
        assert terms(text, language(code))
        assert asked_terms(text, language(code), language(code))


def test_words_that_are_tested_together_are_number_words_each_for_itself() -> None:
    test = _NumberTest(IT)
    assert test.among(["venti", "due", "casa", "cento"]) == {"venti", "due", "cento"}
    assert test.among(["casa", "due", "tetto"]) == {"due"}


@pytest.mark.parametrize("sign", [".", ",", ")", " |", ":", "\n\n", " -", "*"])
def test_a_sign_after_a_figure_parts_it_from_a_unit(sign: str) -> None:
    assert "=time5400" not in terms(f"righe 90{sign} min", IT)
    assert "=time5400" in terms("righe 90 min", IT)


@pytest.mark.parametrize(
    "written",
    ["{}°", "{},5", "{}:30", "1:{}", "{}h30", "x{}", "{} %", "{} milioni", "{} e mezzo", "-{} gradi", "ore {}", "€ {}"],
)
def test_a_number_of_five_thousand_digits_stops_no_index_and_no_search(written: str) -> None:
    text = written.format("1" * 5_000) + " caparra"
    for code in ("it", "en", "de"):
        assert "caparr" in {term[:6] for term in terms(text, language(code))}
        assert asked_terms(text, language(code))


class Counted(dict[int, dict[str, float]]):
    """A dict that counts how often all of it is read."""

    reads = 0

    def __iter__(self) -> Iterator[int]:
        Counted.reads += 1
        return super().__iter__()


def test_telephone_numbers_by_the_thousand_are_compared_with_their_own_figures_only(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    made = _Figures._read_dates

    def counted(self: _Figures) -> None:
        self._wanted = Counted(self._wanted)
        Counted.reads = 0
        made(self)

    monkeypatch.setattr(_Figures, "_read_dates", counted)
    asked_terms("+39 045 8003000 " * 500, IT)
    assert Counted.reads < 10, "not once for each number"
