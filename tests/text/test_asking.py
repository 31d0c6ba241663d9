"""The kind of thing that a question asks for, and whether a text shows such a thing."""

from __future__ import annotations

import json
from collections import Counter
from pathlib import Path
from typing import get_args

import pytest

from cervella.text import showing
from cervella.text.asking import KINDS, Kind, asked_kinds, shows
from cervella.text.detection import language_of
from cervella.text.language import Language, known_languages, language
from tests.conftest import DATA
from tests.contracts.test_own_language import CODE, turned, written

LANGUAGES = ("it", "en", "es", "de", "pt")
CASES = [json.loads(line) for line in (DATA / "asking" / "kinds.jsonl").read_text(encoding="utf-8").splitlines()]
MISSED = {
    "k-pt-22": "The price is asked for in the middle of what begins as a question for yes or no.",
}
"""Questions whose kind is not found, with the reason."""
RIGHT_WHERE_DETECTED = 294
"""Right answers where the language of each question is detected beside an Italian base, in 300."""


def is_right(found: tuple[Kind, ...], kind: str) -> bool:
    return kind == "other_fact" or found == tuple(kind.split("+"))


@pytest.mark.parametrize("code", LANGUAGES)
def test_the_kinds_of_questions_that_people_wrote_are_found_but_for_those_named(code: str) -> None:
    own = [row for row in CASES if row["lang"] == code]
    missed = {row["id"] for row in own if not is_right(asked_kinds(row["question"], language(code)), row["kind"])}
    assert len(own) == 60
    assert missed == {name for name in MISSED if name.startswith(f"k-{code}")}


def test_nearly_as_many_are_found_where_the_language_is_detected() -> None:
    it = language("it")
    found = [is_right(asked_kinds(row["question"], language_of(row["question"], it)), row["kind"]) for row in CASES]
    assert sum(found) >= RIGHT_WHERE_DETECTED


QUESTIONS: tuple[tuple[str, str, str], ...] = (
    # The language of the question, what it asks for, and the question.
    ("it", "price", "quanto costa la mezza pensione?"),
    ("it", "price", "prezzo mezza pensione"),
    ("it", "price", "mi dici quanto viene la camera doppia?"),
    ("it", "price", "qunto costa un molare?"),
    ("it", "price", "qual è il costo del parcheggio?"),
    ("it", "price", "Quanto vi devo?"),
    ("it", "duration", "quanto dura il corso?"),
    ("it", "duration", "quanto ci vuole per una corona?"),
    ("it", "duration", "per quanti giorni vale il biglietto?"),
    ("it", "duration", "ogni quanto si cambia il filtro?"),
    ("it", "time", "a che ora chiudete?"),
    ("it", "time", "orari sabato"),
    ("it", "time", "fino a che ora siete aperti il mercoledì?"),
    ("it", "time", "da quando vale il listino nuovo?"),
    ("it", "time", "quanto tempo fa abbiamo cambiato fornitore?"),
    ("it", "person", "chi apre la palestra?"),
    ("it", "person", "a chi lo chiedo?"),
    ("it", "person", "come si chiama il responsabile del magazzino?"),
    ("it", "person price", "da chi lo prendo e quanto devo spendere?"),
    ("it", "quantity", "quante persone ci stanno in sala?"),
    ("it", "quantity", "quanto è alto il portone?"),
    ("it", "place", "dov'è la chiave di riserva?"),
    ("it", "place", "quando arrivo, dove parcheggio?"),
    ("it", "yes_no", "posso portare il cane quando vengo?"),
    ("it", "yes_no", "cani ammessi?"),
    ("it", "yes_no price", "avete la piscina? quanto costa l'ingresso?"),
    ("it", "reason", "perke abbiamo rimandato?"),
    ("it", "reason", "come mai è chiuso?"),
    ("it", "procedure", "come si accende la caldaia?"),
    ("it", "procedure", "se va via la corrente?"),
    ("it", "contact", "numero di telefono del veterinario"),
    ("it", "definition", "cosa vuol dire TAO?"),
    ("it", "comparison", "che differenza c'è tra i due corsi?"),
    ("it", "choice", "si paga in contanti o con la carta?"),
    ("it", "tasks", "cosa resta da fare?"),
    ("it", "list", "quali documenti servono?"),
    ("it", "", "ciao"),
    ("it", "", "qual è la capitale della Norvegia?"),
    ("en", "price", "how much is a double room?"),
    ("en", "quantity", "how much sugar goes in?"),
    ("en", "yes_no", "kids allowed?"),
    ("en", "person time", "who has the keys and when can I pick them up?"),
    ("en", "price", "what's the weekend price?"),
    ("en", "list", "what is included in the price?"),
    ("en", "place", "do you know where I can park?"),
    ("en", "time", "what are the opening hours?"),
    ("en", "duration", "can you tell me how long it takes?"),
    ("es", "price", "¿me puedes decir cuánto sale la entrada?"),
    ("es", "time", "¿a qué hora abrís?"),
    ("es", "place", "¿dónde están las llaves?"),
    ("de", "price", "Was kostet ein Doppelzimmer?"),
    ("de", "time", "Öffnungszeiten Samstag"),
    ("de", "yes_no", "Gibt es einen Pool?"),
    ("pt", "price", "quanto custa o quarto?"),
    ("pt", "place", "onde estão as chaves?"),
    ("pt", "duration", "quanto tempo demora o curso?"),
)


@pytest.mark.parametrize(("code", "kinds", "question"), QUESTIONS)
def test_a_question_asks_for_its_kinds_in_order(code: str, kinds: str, question: str) -> None:
    assert asked_kinds(question, language(code)) == tuple(kinds.split())


def test_a_short_question_in_another_language_is_read_in_that_language() -> None:
    assert asked_kinds("how much is the parking?", language("it")) == ("price",)


SHOWN: tuple[tuple[str, str, str], ...] = (
    # The language of the base, the kinds that the text shows among those below, and the text.
    ("it", "price", "Costa 12 euro al mese."),
    ("it", "price", "Si pagano 0,45 € al kWh."),
    ("it", "price", "| Otturazione | C1 | 110 € |"),
    ("it", "price", "Il parcheggio è gratuito."),
    ("it", "price", "euro 20,00"),
    ("it", "price", "CHF 20.-"),
    ("it", "price", "Non costa nulla."),
    ("it", "price quantity", "La camera viene 90."),
    ("it", "quantity", "Colonnina da 11 kW."),
    ("it", "quantity", "La sala tiene al massimo 90 persone."),
    ("it", "quantity", "tre camere"),
    ("it", "quantity", "Autoclave a 134 gradi."),
    ("it", "quantity", "Ospiti illimitati."),
    ("it", "duration quantity", "Dura trenta giorni."),
    ("it", "duration quantity", "30 giorni"),
    ("it", "duration", "Mezz'ora."),
    ("it", "duration quantity", "Tre quarti d'ora."),
    ("it", "duration", "Una volta all'anno."),
    ("it", "duration time quantity", "Ogni 6 mesi."),
    ("it", "duration time quantity", "entro 30 giorni"),
    ("it", "duration time quantity", "48 ore prima"),
    ("it", "time", "ore 9"),
    ("it", "time", "Si apre alle 9."),
    ("it", "time", "dalle 9 alle 13"),
    ("it", "time", "h 9-13"),
    ("it", "time", "9.30"),
    ("it", "time", "lun-ven 9-13, sab 9.30-12"),
    ("it", "time", "Chiusi dall'8 al 23 agosto."),
    ("it", "time", "entro il 30 novembre 2026"),
    ("it", "time", "nel 2026"),
    ("it", "time", "2026"),
    ("it", "time", "la mattina"),
    ("it", "time", "Domenica chiuso."),
    ("it", "time", "a mezzogiorno"),
    ("it", "time", "alle nove"),
    ("it", "time", "in agosto"),
    ("it", "time", "il 15/6"),
    ("it", "contact", "Tel. 340 1234567"),
    ("it", "contact", "000 777888"),
    ("it", "contact", "Scrivere a info@example.com."),
    ("it", "contact", "chiama il 112"),
    ("it", "contact", "+39 0471 123456"),
    ("it", "person", "Lo cura Marta."),
    ("it", "person time", "La dott.ssa Oltrani viene il martedì."),
    ("it", "person", "il sig. Bianchi"),
    ("it", "person", "Marta Rossi tiene le chiavi."),
    ("it", "person", "Lo apre il bagnino."),
    ("it", "person", "Dentalfarfalla srl"),
    ("it", "person", "Chiedere alla segretaria."),
    ("it", "place", "Le chiavi stanno nel cassetto, sotto la stampante."),
    ("it", "place", "secondo piano"),
    ("it", "place", "in cantina, dietro la botte"),
    ("it", "place", "Via Roma 12, Bolzano"),
    ("it", "place", "al piano terra, stanza 3"),
    ("it", "reason", "Rimandato perché mancavano i test."),
    ("it", "person", "Referente: Giulia"),
    ("it", "contact person", "Chiamare Otto Weber, tel. 0471 000 111."),
    ("it", "time", "Katia habla español y está los lunes por la tarde."),
    ("it", "", "versione 2.10"),
    ("it", "", "ordine n. 20458"),
    ("it", "", "1. Aprire il rubinetto."),
    ("it", "", "non si accettano animali"),
    ("en", "price", "It costs 12 euros a month."),
    ("en", "price", "$15 per night"),
    ("en", "price", "Parking is free."),
    ("en", "price", "£20"),
    ("en", "duration quantity", "It takes two hours."),
    ("en", "duration quantity", "half an hour"),
    ("en", "time", "Open at 9 am."),
    ("en", "time", "from 9 to 5"),
    ("en", "time", "Mon-Fri 9-17"),
    ("en", "time", "on 3 May"),
    ("en", "person", "Ask Martha."),
    ("en", "person", "Mrs Brown has it."),
    ("en", "person", "the lifeguard"),
    ("en", "place", "behind the shed"),
    ("en", "place", "on the second floor"),
    ("en", "quantity", "forty guests"),
    ("en", "contact", "Phone: 555 010 2030"),
    ("en", "reason", "because the tests were missing"),
    ("es", "price", "Cuesta 25 euros."),
    ("es", "price", "Es gratis."),
    ("es", "time", "a las 9"),
    ("es", "time", "los lunes por la tarde"),
    ("es", "duration quantity", "Dura dos horas."),
    ("es", "place", "en el cajón"),
    ("es", "person", "Lo lleva Katia."),
    ("es", "quantity", "40 personas"),
    ("de", "price", "Kostet 25 Euro."),
    ("de", "price", "Das Frühstück ist kostenlos."),
    ("de", "time", "ab 15 Uhr"),
    ("de", "time", "montags"),
    ("de", "time", "Geöffnet Mo-Fr 8-12 Uhr."),
    ("de", "duration quantity", "Der Kurs dauert drei Wochen."),
    ("de", "person", "Frau Huber"),
    ("de", "person", "der Hausmeister"),
    ("de", "place", "im Keller"),
    ("de", "quantity", "40 Plätze"),
    ("pt", "price", "Custa 25 euros."),
    ("pt", "price", "É grátis."),
    ("pt", "time", "às 9h"),
    ("pt", "time", "segunda-feira"),
    ("pt", "duration quantity", "Demora duas horas."),
    ("pt", "duration quantity", "O bilhete vale 30 dias."),
    ("pt", "place", "na gaveta"),
    ("pt", "person", "Fale com a Marta."),
    ("pt", "quantity", "40 pessoas"),
)
TOLD: tuple[Kind, ...] = ("person", "place", "time", "duration", "price", "quantity", "contact", "reason")


@pytest.mark.parametrize(("code", "kinds", "text"), SHOWN)
def test_a_text_shows_the_kinds_of_thing_that_it_holds(code: str, kinds: str, text: str) -> None:
    assert {kind for kind in TOLD if shows(text, kind, language(code))} == set(kinds.split())


NOT_SHOWN: tuple[tuple[str, Kind, str], ...] = (
    ("it", "price", "Colonnina da 11 kW."),
    ("it", "price", "2026"),
    ("it", "price", "ore 9"),
    ("it", "price", "30 giorni"),
    ("it", "price", "Tel. 340 1234567"),
    ("it", "person", "aperto dalle 9 alle 13"),
    ("it", "person", "La apre alle 9."),
    ("it", "person", "Lei la apre sempre."),
    ("it", "quantity", "Costa 12 euro."),
    ("it", "quantity", "Via Roma 12"),
    ("it", "duration", "ore 9"),
    ("it", "duration", "12 euro al mese"),
    ("it", "time", "Costa 3.50 euro."),
    ("it", "time", "90 persone"),
    ("it", "place", "12 €"),
    ("it", "place", "9-13"),
    ("it", "contact", "1.250.000 abitanti"),
    ("it", "contact", "10/01/2026"),
    ("en", "person", "open from 9 to 5"),
    ("en", "time", "You may come."),
    ("de", "price", "um 9 Uhr"),
)


@pytest.mark.parametrize(("code", "kind", "text"), NOT_SHOWN)
def test_a_text_without_such_a_thing_is_told(code: str, kind: Kind, text: str) -> None:
    assert shows(text, kind, language(code)) is False


UNTOLD: tuple[tuple[str, Kind, str], ...] = (
    ("it", "person", "Marta tiene le chiavi."),
    ("it", "person", "La Ginestra costa 120 €."),
    ("it", "place", "| Cantina |"),
    ("it", "price", "| Camera doppia | 90 | 110 |"),
    ("it", "price", "15% su tutto"),
    ("it", "contact", "Chiamare la segreteria."),
    ("it", "reason", "Costa 12 euro."),
    ("de", "person", "Der Schlüssel liegt im Kasten."),
)


@pytest.mark.parametrize(("code", "kind", "text"), UNTOLD)
def test_a_text_that_may_hold_such_a_thing_is_none(code: str, kind: Kind, text: str) -> None:
    assert shows(text, kind, language(code)) is None


@pytest.mark.parametrize("kind", sorted(set(KINDS) - set(TOLD)))
def test_a_text_cannot_tell_an_answer_that_has_no_form(kind: Kind) -> None:
    assert shows("Sì, costa 12 euro, lo dice Marta alle 9.", kind, language("it")) is None


def test_figures_are_read_in_any_language() -> None:
    it = language("it")
    assert shows("It costs 12 pounds.", "price", it)
    assert shows("zwölf Stunden, 12 Stunden", "duration", it)
    assert shows("₹ 500", "price", it)


@pytest.mark.parametrize("code", LANGUAGES)
def test_every_list_of_words_has_some(code: str) -> None:
    may_be_empty = {"de": {"may_be_yes_no"}, "en": {"may_be_yes_no"}}.get(code, set())
    empty = {key for key, value in language(code).file("asking.toml").items() if not value or value == "(?:(?!))"}
    assert empty - {"capitals"} == may_be_empty


def test_a_language_without_these_words_has_no_kinds_and_still_reads_figures(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    written(tmp_path)
    monkeypatch.setenv("CERVELLA_LANGUAGES", str(tmp_path))
    own = language(CODE)
    assert asked_kinds(turned("How much is it?"), own) == ()
    assert shows("12 euro", "price", own)
    assert shows("09:30", "time", own)
    assert shows("3 giorni", "price", own) is False


def test_a_long_text_is_read_up_to_a_bound(monkeypatch: pytest.MonkeyPatch) -> None:
    read: Counter[str] = Counter()

    def reading(text: str, lang: Language) -> showing._Read:
        read["characters"] = len(text)
        return showing._Read(text, lang)

    monkeypatch.setattr(showing, "_read", reading)
    assert shows("a " * 500_000, "reason", language("it")) is None
    assert read["characters"] == showing._LONGEST
    assert asked_kinds("chi, " * 200_000, language("it")) == ("person",)


def test_the_kinds_are_those_of_the_type() -> None:
    assert get_args(Kind) == KINDS
    assert set(LANGUAGES) <= set(known_languages())
