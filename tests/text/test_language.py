"""Italian, as data: folding, sentences, dates, and the words of «non lo so»."""

from __future__ import annotations

import datetime
import threading
import time
from itertools import pairwise

import pytest
from hypothesis import given, strategies as st

from cervella.errors import ConfigError
from cervella.text.language import fold, known_languages, language, words
from tests.conftest import PATIENCE

IT = language("it")


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("è", "e'"),
        ("è", "e"),
        ("È", "E’"),
        ("perché", "perche'"),
        ("perché", "PERCHE`"),
        ("l’unità", "l'unita"),
        ("città", "citta\u0300"),
        ("po'", "po"),
        ("PIÙ", "piu'"),
    ],
)
def test_accent_apostrophe_and_bare_letter_give_the_same_words(one: str, other: str) -> None:
    assert words(one) == words(other)
    assert IT.stems(f"la {one} notte") == IT.stems(f"la {other} notte")


@given(st.text())
def test_folding_twice_is_folding_once_for_words(text: str) -> None:
    assert words(fold(text)) == words(text)


def test_stop_words_leave_no_stem() -> None:
    assert IT.stems("e il lo la di che è") == []
    assert IT.stems("Le decisioni") == IT.stems("la decisione")


@pytest.mark.parametrize(
    ("text", "sentences"),
    [
        ("Costa 3.5 euro, cfr. la tabella. Va bene?", ["Costa 3.5 euro, cfr. la tabella.", "Va bene?"]),
        ("Il dott. Capo tace.", ["Il dott. Capo tace."]),
        ("Uva, pere, ecc. Poi mele.", ["Uva, pere, ecc. Poi mele."]),
        ("1. Primo punto. Secondo.", ["1. Primo punto.", "Secondo."]),
        ("Disse: «Basta.» E tacque.", ["Disse: «Basta.»", "E tacque."]),
        ("Aspetta… Ecco!", ["Aspetta…", "Ecco!"]),
        ("  spazi  intorno  ", ["spazi  intorno"]),
        ("v1.2.3 esce. OK", ["v1.2.3 esce.", "OK"]),
        ("Fine.Senza spazio", ["Fine.Senza spazio"]),
        ("", []),
        ("   ", []),
        ("...", ["..."]),
    ],
)
def test_a_text_is_cut_into_its_sentences(text: str, sentences: list[str]) -> None:
    assert [text[start:end] for start, end in IT.sentences(text)] == sentences


@pytest.mark.parametrize(
    ("code", "text", "count"),
    [
        ("de", "Der Start wurde auf den 20. Januar 2026 verschoben.", 1),
        ("de", "Das 3. Quartal war gut. Die 2. Fassung gilt ab dem 18. Mai.", 2),
        ("de", "Vom 3. bis 5. Mai ist zu. Am 24.12. schließen wir um zwei.", 2),
        ("de", "Am 20.\nJanuar geht es los.", 1),
        ("de", "Es kamen 12. Danach kam keiner.", 2),
        ("de", "Das war 2026. Lukas ging.", 2),
        ("de", "Es kostet 3.50. Lukas zahlt.", 2),
        ("de", "Wir sind 12.", 1),
        ("it", "Sono 12. Lucia arriva.", 2),
    ],
)
def test_a_full_stop_after_an_ordinal_number_ends_no_sentence(code: str, text: str, count: int) -> None:
    assert len(language(code).sentences(text)) == count


@given(st.text(alphabet="ab1 .!?…»\"')]*_\n\té", max_size=60))
def test_sentences_hold_every_character_but_white_space_once_and_in_order(text: str) -> None:
    spans = IT.sentences(text)
    assert "".join("".join(text[a:b].split()) for a, b in spans) == "".join(text.split())
    assert all(a < b for a, b in spans)
    assert all(first[1] <= second[0] for first, second in pairwise(spans))
    assert all(text[a:b] == text[a:b].strip() for a, b in spans)


@pytest.mark.parametrize(
    "text", ["Sì va. " * 6000, "." * 20000 + "x", "a" * 40000 + ".", "art. " * 8000, " " * 40000 + "x"]
)
def test_sentences_are_found_in_linear_time(text: str) -> None:
    started = time.perf_counter()
    IT.sentences(text)
    assert time.perf_counter() - started < PATIENCE


@pytest.mark.parametrize(
    ("text", "dates"),
    [
        ("9 gennaio 2026", ["2026-01-09"]),
        ("il 1° Marzo 2026", ["2026-03-01"]),
        ("9 DICEMBRE 2026 e 2026-01-12", ["2026-12-09", "2026-01-12"]),
        ("09/01/2026, 9.1.2026, 9-1-2026", ["2026-01-09"] * 3),
        ("20260109_rinvio.md", ["2026-01-09"]),
        ("2026-02-30", []),
        ("30 febbraio 2026", []),
        ("1234567890", []),
        ("120260109", []),
        ("12026-01-09", []),
        ("versione 2026.13.1", []),
        ("tra il 9 di gennaio di 2026", ["2026-01-09"]),
    ],
)
def test_a_date_is_found_in_every_spelling(text: str, dates: list[str]) -> None:
    assert [iso for _, _, iso in IT.find_dates(text)] == dates


@pytest.mark.parametrize("before", ["", "ﬁ ", "½ ", "İ ", "e\u0300 ", "ß "])
def test_a_dates_place_is_its_place_in_the_text(before: str) -> None:
    text = f"{before}9 gennaio 2026."
    [(start, end, _)] = IT.find_dates(text)
    assert text[start:end] == "9 gennaio 2026"


def test_months_are_found_with_the_day_that_stands_before() -> None:
    assert IT.find_months("dal 20 gennaio a FEBBRAIO del 2027, non marzolino 3") == [(20, 1), (None, 2)]


def test_a_word_that_is_also_a_month_is_none_without_a_day() -> None:
    assert language("en").find_months("You may leave on May 20") == [(20, 5)]


@given(st.dates(min_value=datetime.date(1900, 1, 1), max_value=datetime.date(2099, 12, 31)))
def test_a_written_date_reads_back(day: object) -> None:
    iso = day.isoformat()  # type: ignore[attr-defined]
    assert IT.find_date(IT.format_date(iso)) == iso


@pytest.mark.parametrize(
    "answer",
    [
        IT.abstention,
        "Non lo so.",
        "non lo so",
        "Non so.",
        "No, non lo so.",
        "**Non lo so**: la base non ne parla.",
        "Mi dispiace, non lo so.",
        "Purtroppo non lo so.",
        "«Non lo so.»",
        "Non so dirti quando: le fonti non lo dicono.",
        "Non ho informazioni su questo.",
        "Non ho trovato nulla nelle fonti.",
        "Non ho trovato informazioni sul prezzo.",
        "Le fonti non lo dicono.",
        "La base di conoscenza non ne parla.",
        "I documenti non riportano il prezzo.",
        "Non è indicato nelle fonti.",
    ],
)
def test_saying_that_the_base_does_not_know_is_abstaining(answer: str) -> None:
    assert IT.abstains(answer)


@pytest.mark.parametrize(
    "answer",
    [
        "",
        "Il lancio è rinviato al 20 gennaio.",
        "Non costa nulla.",
        "Non solo è rinviato: è annullato.",
        "Non so fare in meno di 3 giorni.",
        "Non lo so fare in meno di 3 giorni.",
        "Non ho trovato errori: il piano regge.",
        "Non trovo alcun problema in questo piano, procedi pure.",
        "Non abbiamo dati sensibili nel deposito.",
        "Sono Cervella. Se non lo so, te lo dico.",
        "Chi ha scritto «non lo so»? Il team, il 9 gennaio.",
        "Il prezzo è 3 euro. Il resto non lo so.",
    ],
)
def test_an_answer_that_answers_is_not_abstaining(answer: str) -> None:
    assert not IT.abstains(answer)


@pytest.mark.parametrize(
    ("code", "answers", "abstentions"),
    [
        ("de", ["Das weiß ich nicht mehr genau, aber es kostet 900 Euro laut Tabelle.", "Keine Ahnung: 900 Euro?"], []),
        (
            "es",
            ["No sé si te lo dije: cuesta 900 euros.", "No lo sé, pero cuesta nueve euros."],
            ["No lo sé: las notas de 2025 no lo dicen."],
        ),
        ("en", ["I don't know why, but it costs 900 euros."], ["I don't know, but you could ask the team."]),
        ("it", ["Non lo so con certezza, ma costa 900 euro."], ["Non lo so: le fonti del 2025 non ne parlano."]),
        ("pt", ["Não sei ao certo, mas custa 900 euros."], ["Não sei: a base de conhecimento não diz."]),
    ],
)
def test_what_goes_on_with_a_figure_is_an_answer(code: str, answers: list[str], abstentions: list[str]) -> None:
    assert [text for text in answers if language(code).abstains(text)] == []
    assert [text for text in abstentions if not language(code).abstains(text)] == []


def test_a_long_answer_is_not_abstaining_whatever_it_starts_with() -> None:
    assert not IT.abstains("Non lo so. " + "Però il piano dice altro. " * 5)


def test_an_unknown_language_names_the_known_ones() -> None:
    with pytest.raises(ConfigError, match="'xx'") as caught:
        language("xx")
    assert "it" in str(caught.value.remedy)
    for code in ("../languages/it", "", "IT/", "it.toml"):
        with pytest.raises(ConfigError):
            language(code)


@pytest.mark.parametrize("code", known_languages())
def test_every_language_is_whole(code: str) -> None:
    lang = language(code)
    assert len(lang.months) == 12
    assert lang.abstains(lang.abstention)
    assert lang.format_date("2026-01-09")
    assert {"instructions", "without_passages", "doubtful", "sources", "question", "lines", "line"} <= set(lang.prompt)
    assert set(lang.status) == {"superseded", "deprecated", "archived", "draft"}


def test_stems_are_the_same_from_many_threads() -> None:
    text = "decisioni rinviate perché mancavano i test di carico " * 20
    wanted, found = IT.stems(text), []
    threads = [threading.Thread(target=lambda: found.append(IT.stems(text))) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert found == [wanted] * 8


@pytest.mark.parametrize(
    "answer",
    [
        "Dalle fonti non risulta.",
        "Non ci sono informazioni su questo.",
        "Mi dispiace, non ho trovato informazioni.",
        "Nessuna fonte ne parla.",
        "Purtroppo le fonti fornite non contengono questa informazione.",
        "Non saprei.",
        "Non è possibile rispondere con le fonti disponibili.",
    ],
)
def test_the_other_ways_of_not_knowing_are_known(answer: str) -> None:
    assert IT.abstains(answer)


@pytest.mark.parametrize(
    "answer",
    [
        "Non ci sono errori.",
        "Nessuna fonte è stata cancellata.",
        "Non è possibile tornare indietro.",
        "Dai dati risulta 3.",
    ],
)
def test_what_sounds_like_it_is_an_answer(answer: str) -> None:
    assert not IT.abstains(answer)
