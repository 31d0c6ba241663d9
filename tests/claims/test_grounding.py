"""Numbers, dates and quotations of a claim must stand in the lines that it cites."""

from __future__ import annotations

import time
from itertools import pairwise

import pytest
from hypothesis import given, strategies as st

from cervella.claims.grounding import best_quote, findings, supports
from cervella.text.language import language
from cervella.text.quantities import quantities
from cervella.text.quotations import quoted_texts
from cervella.text.reading import ReadText
from cervella.text.sentences import quotables
from cervella.types import Passage
from tests.conftest import PATIENCE, make_passage

IT = language("it")
RINVIO = make_passage(
    "Il lancio è rinviato al 20 gennaio 2026: mancano i «test di carico», dice il team.\n"
    "Il canone è 1.250,50 € al mese, il margine 97,6 %; servono 94.603 gettoni e 3.000 righe.\n"
    "Tre prove su quattro sono passate, 95K in tutto.",
    lead="Rinvio > 12 punti",
    date="2026-01-09",
)
PREZZI = make_passage(
    "| Piano | Canone |\n|---|---|\n| Piccolo | 12,50 € |\n| Grande | $1,299.99 |", path="prezzi.md", id="2"
)


def read(*texts: str) -> list[ReadText]:
    return [ReadText(text, IT) for text in texts]


@pytest.mark.parametrize(
    "claim",
    [
        "Il lancio è rinviato al 20 gennaio 2026.",
        "Il lancio è il 2026-01-20.",
        "Il lancio è il 20/01/2026.",
        "Il lancio è il 20 gennaio.",
        "Il lancio è a gennaio 2026.",
        "Lo dice il documento del 9 gennaio 2026.",
        "Lo dice il documento del 9 gennaio.",
        "Il canone è 1250,50 euro.",
        "Il canone è 1,250.50 euro.",
        "Il canone è 1250,5 euro.",
        "Il margine è 97,6%.",
        "Il margine è 97.6 per cento.",
        "Servono 94603 gettoni.",
        "Servono 94.603 gettoni.",
        "Servono 94,603 gettoni.",
        "Servono 3000 righe.",
        "Sono 3 prove su 4.",
        "Sono 95 mila in tutto.",
        "Sono 95.000 in tutto.",
        "Mancano i «test di carico».",
        'Mancano i "TEST di carico".',
        "«Il lancio è rinviato […] mancano i test».",
        "**Rinviato** al lancio.",
        "1. Il lancio è rinviato.",
        "Sono 12 punti.",
    ],
)
def test_a_claim_that_stands_in_the_lines_is_supported(claim: str) -> None:
    assert supports(claim, [RINVIO], IT)


@pytest.mark.parametrize(
    "claim",
    [
        "Il lancio è rinviato al 20 febbraio 2026.",
        "Il lancio è rinviato al 20 gennaio 2027.",
        "Il lancio è rinviato al 21 gennaio 2026.",
        "Il lancio è il 2026-02-20.",
        "Il lancio è il 20 febbraio.",
        "Il lancio è a febbraio 2026.",
        "Il lancio è a gennaio 2027.",
        "Il canone è 1.250,51 €.",
        "Il canone è 125.050 €.",
        "Il canone è 12,50 €.",
        "Il margine è 97,5 %.",
        "Il margine è 976 %.",
        "Servono 94.604 gettoni.",
        "Servono 94 gettoni.",
        "Servono 3 milioni di righe e 3000001 gettoni.",
        "Il canone è 9 €.",
        "Sono 95 milioni.",
        "Mancano i «test di scarico».",
        "Mancano i «test di caric».",
        "«Mancano i test di fumo».",
        "Un elefante suona la tromba.",
    ],
)
def test_an_altered_number_date_or_quote_is_not_supported(claim: str) -> None:
    assert not supports(claim, [RINVIO], IT)


def test_three_thousand_is_not_three() -> None:
    assert not supports("Servono 3 righe.", [make_passage("Servono 3.000 righe.")], IT)
    assert not supports("Servono 3.000 righe.", [make_passage("Servono 3 righe.")], IT)
    assert not supports("Servono 1,5 righe.", [make_passage("Servono 1.500 righe.")], IT)


def test_swapped_sources_support_nothing() -> None:
    assert supports("Il piano piccolo costa 12,50 €.", [PREZZI], IT)
    assert not supports("Il piano piccolo costa 12,50 €.", [RINVIO], IT)
    assert supports("Il grande costa 1.299,99 $.", [PREZZI], IT)


def test_of_two_sources_together_each_must_hold_something_and_both_all() -> None:
    claim = "Il lancio è il 20 gennaio 2026 e costa 12,50 €."
    assert supports(claim, [RINVIO, PREZZI], IT, mark=0)
    assert supports(claim, [RINVIO, PREZZI], IT, mark=1)
    assert not supports(claim, [RINVIO], IT)
    assert not supports("Il lancio è il 20 gennaio 2026.", [RINVIO, PREZZI], IT, mark=1)


def test_numbers_too_long_for_arithmetic_are_compared_whole() -> None:
    long = "1" * 40
    assert not supports(f"Codice {long}2", [make_passage(f"Codice {long}3")], IT)
    assert supports(f"Codice {long}2", [make_passage(f"Codice {long}2")], IT)


@given(st.text(max_size=80))
def test_no_claim_makes_it_fail(text: str) -> None:
    supports(text, [RINVIO, PREZZI], IT, mark=1)
    best_quote(read(text), make_passage(text), IT)


@given(st.integers(0, 10**9))
def test_a_whole_number_reads_the_same_in_every_writing(value: int) -> None:
    plain, italian, english = str(value), f"{value:,}".replace(",", "."), f"{value:,}"
    for writing in (italian, english):
        assert quantities(plain)[0].readings & quantities(writing)[0].readings


@pytest.mark.parametrize(
    ("text", "pieces"),
    [
        ('Dice «uno» e “due” e "tre" e „quattro“.', ["uno", "due", "tre", "quattro"]),
        ("«prima … dopo» e «x (...) y»", ["prima", "dopo", "x", "y"]),
        ('un pollice è 5" e basta', []),
        ("«» «…»", []),
    ],
)
def test_quotations_are_cut_at_ellipses(text: str, pieces: list[str]) -> None:
    assert quoted_texts(text) == pieces


PIECES = """# Titolo

Prima frase. Seconda
frase lunga.

- voce uno. Altra
- [ ] da fare

> citata qui

| A | B |
|---|---|
| 1 | 2 |

```py
codice = 1
```
┌────┐
│ in │
└────┘
"""


def test_units_are_sentences_rows_lines_and_headings() -> None:
    found = [(unit.kind, PIECES[unit.start : unit.end]) for unit in quotables(PIECES, IT)]
    assert found == [
        ("heading", "Titolo"),
        ("sentence", "Prima frase."),
        ("sentence", "Seconda\nfrase lunga."),
        ("sentence", "voce uno."),
        ("sentence", "Altra"),
        ("sentence", "da fare"),
        ("sentence", "citata qui"),
        ("row", "| A | B |"),
        ("row", "| 1 | 2 |"),
        ("line", "codice = 1"),
        ("line", "in"),
    ]


markdown_like = st.text(alphabet="ab1 .,|-#>*`~│\n\t«»[]", max_size=120)


@given(markdown_like)
def test_units_are_in_order_and_never_overlap(text: str) -> None:
    found = quotables(text, IT)
    assert all(0 <= unit.start <= unit.end <= len(text) for unit in found)
    assert all(one.end <= other.start for one, other in pairwise(found))


@given(markdown_like, st.text(max_size=40))
def test_the_best_quote_is_verbatim(text: str, claim: str) -> None:
    quote = best_quote(read(claim), Passage(id="1", path="a", text=text, start_line=1, end_line=9), IT)
    assert quote in text
    assert quote.strip() or not text.strip()


def test_the_best_quote_is_the_row_or_sentence_that_answers() -> None:
    assert best_quote(read("Il grande costa 1.299,99"), PREZZI, IT) == "| Grande | $1,299.99 |"
    assert best_quote(read("tre prove su quattro"), RINVIO, IT) == "Tre prove su quattro sono passate, 95K in tutto."


@pytest.mark.parametrize(
    "text", ["«" * 20000, '"a' + " " * 20000 + 'b"', "\n" * 20000 + "x", "a. " * 8000, "| a " * 10000, "1.2," * 8000]
)
def test_grounding_takes_linear_time(text: str) -> None:
    started = time.perf_counter()
    supports(text, [make_passage(text)], IT)
    best_quote(read(text), make_passage(text), IT)
    assert time.perf_counter() - started < PATIENCE


def test_a_dozen_multiplies_a_number_and_no_other_dozen() -> None:
    english = language("en")
    findings("12 eggs are needed.", [make_passage("dozen " * 4000)], english)
    assert [one.whole for one in quantities("two dozen eggs, a dozen dozen", english)] == [24, 12, 12]


@pytest.mark.parametrize("text", ["non pane ", "non pane, ", "12 euro al mese, ", "| 12 euro "])
def test_a_long_line_is_compared_in_linear_time(text: str) -> None:
    long = make_passage(text * 8000)
    started = time.process_time()
    findings("Costa 12 euro al mese il pane.", [long], IT)
    findings("Il pane non costa: pane e pane.", [long], IT)
    _ = ReadText(long.text, IT).statements
    assert time.process_time() - started < 1.5


@pytest.mark.parametrize(
    ("claim", "lines", "stands"),
    [
        ("Costa 1 euro.", "Una GPU costa 20 euro.", False),  # an article is no figure
        ("Servono 6 GPU.", "Se sei pronto: servono GPU.", False),
        ("Abbiamo quattro agenti.", "Gli agenti sono 3.", False),
        ("Abbiamo quattro agenti.", "Gli agenti sono 4.", True),
        ("Cambia di −5.", "Cambia di 5.", False),
        ("Cala del 31 %.", "Il conto: -31 %.", True),
        ("Alle 15:30.", "Alle 14:30, in 15 persone.", False),
        ("Alle 14.30.", "Alle 14:30.", True),
        ("Costa 345 €.", "Costa 12 345 €.", False),
        ("Costa 12.345 €.", "Costa 12 345 €.", True),
        ("Costa 12'345 €.", "Costa 12.345 €.", True),
        ("Costa 20 euro.", "Cala del 20%.", False),
        ("Cala del 20 per cento.", "Cala del 20%.", True),
        ("Cala del 50-80 %.", "Costa il 50-80 % in meno.", True),
        ("Il 9 gennaio 2026.", "Deciso il 9 Gen 2026.", True),
        ("Dice ‘mancano i dati’.", "Ci sono i dati.", False),
        ('Dice "mancano\ni dati".', "Ci sono i dati.", False),
        ("Dice «24 GB».", "VRAM: 24GB.", True),
        ("Dice «vedi la guida».", "Prima vedi [la guida](http://x/y).", True),
        ("Dice «175–438».", "Da $175-438.", True),
        ("Dice «Costi controllati: paghiamo».", "**Costi controllati** : paghiamo poco.", True),
        ("Secondo 20260109_conti.md (righe 12-19) costa 3.", "Costa 3.", True),
    ],
)
def test_figures_and_words_are_read_as_a_person_reads_them(claim: str, lines: str, stands: bool) -> None:
    source = make_passage(f"{lines}{chr(10) * 7}", path="idee/20260109_conti.md")
    assert (source.start_line, source.end_line) == (12, 19)
    assert supports(claim, [source], IT) is stands
