"""One question, one answer: the quoting brain says what was asked for, with its subject, or that it does not know."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence

import pytest

from cervella.brains.extractive.brain import ExtractiveBrain
from cervella.brains.extractive.definitions import definitions
from cervella.claims.citations import find_citations
from cervella.text.language import language
from cervella.types import Passage, Prompt

IT = language("it")
UNKNOWN = "Non lo so: la base di conoscenza non lo dice."


def note(text: str, path: str = "a.md", *, date: str | None = None, lead: str = "") -> Passage:
    return Passage(id=path, path=path, text=text, start_line=1, end_line=1 + text.count("\n"), lead=lead, date=date)


def answer(question: str, *notes: Passage, brain: ExtractiveBrain | None = None, lang: str = "it") -> str:
    prompt = Prompt(system="Sono Lia.", question=question, passages=notes, hints={"language": lang})

    async def last() -> str:
        return "".join(
            [event.text async for event in (brain or ExtractiveBrain()).stream(prompt) if hasattr(event, "text")]
        )

    said = asyncio.run(last())
    cited = find_citations(said, prompt.sources, language(lang))
    assert not cited.invented_marks
    assert all(citation.supported for citation in cited.citations) or language(lang).abstains(said)
    return said


FAQ = """\
# Domande frequenti

**C'è il parcheggio?**
Sì, abbiamo una colonnina da 11 kW e dodici posti. Una notte costa 4 €.

**Si può portare il gatto?**
No.
"""

PRICES = """\
# Listino

| Voce | Codice | Bassa stagione | Alta stagione |
|---|---|---|---|
| Canoa singola | C1 | 12 € | 18 € |
| Canoa doppia | C2 | 20 € | 28 € |
"""


def test_the_answer_to_a_question_of_the_notes_comes_with_it() -> None:
    assert answer("posso venire con il gatto?", note(FAQ)) == "«Si può portare il gatto?» › «No» [F1]."


def test_what_is_asked_with_quanto_costa_is_a_price_and_no_kilowatts() -> None:
    assert "Una notte costa 4 €" in answer("quanto costa il parcheggio?", note(FAQ))


def test_a_row_has_the_columns_that_are_asked_for() -> None:
    found = answer("quanto costa la canoa doppia in alta stagione?", note(PRICES))
    assert "28 €" in found
    assert "20 €" not in found
    assert "Canoa singola" not in found


def test_a_heading_that_the_question_names_is_shown() -> None:
    text = "# Regole\n\n## Ferie\n\nSi chiedono a Nora entro marzo.\n\n## Malattia\n\nSi telefona entro le 8.\n"
    assert answer("entro quando si chiedono le ferie?", note(text)) == (
        "«Ferie» › «Si chiedono a Nora entro marzo» [F1]."
    )


def test_a_question_of_two_parts_has_two_answers() -> None:
    text = "Il pane lo porta il forno Spiga.\n\nLa consegna del pane costa 3 € a settimana.\n\nIl latte è di Olmo."
    found = answer("chi porta il pane e quanto costa la consegna?", note(text))
    assert "Spiga" in found
    assert "3 €" in found
    assert "latte" not in found


def test_a_list_is_quoted_whole_and_one_item_of_it_with_what_announces_it() -> None:
    text = "# Gita\n\nDa portare alla gita:\n\n- borraccia\n- cappello\n- merenda\n\nSi parte alle 9.\n"
    whole = answer("che cosa bisogna portare alla gita?", note(text))
    assert all(item in whole for item in ("borraccia", "cappello", "merenda"))
    assert "alle 9" not in whole


def test_a_word_that_the_notes_define_finds_what_is_said_of_it() -> None:
    glossary = note("# Glossario\n\nOPT = ortopanoramica, la lastra grande di tutta la bocca\n", "glossario.md")
    prices = note("# Prezzi\n\n| Voce | Prezzo |\n|---|---|\n| OPT | 45 € |\n| RX | 15 € |\n", "prezzi.md")
    found = answer("quanto costa la lastra grande di tutta la bocca?", glossary, prices)
    assert "45 €" in found
    assert "15 €" not in found


@pytest.mark.parametrize(
    ("line", "names"),
    [
        ("OPT = ortopanoramica", ["OPT"]),
        ("ablazione / detartrasi = pulizia dei denti", ["ablazione", "detartrasi"]),
        ("**PPR** – pronta, pagata, ritirata", ["PPR"]),
        ("a = b = c", []),
        ("Orari: dalle 9", []),
    ],
)
def test_a_definition_is_a_line_with_its_sign(line: str, names: Sequence[str]) -> None:
    assert [name for name, _ in definitions(line)] == list(names)


def test_a_misspelt_word_finds_its_line() -> None:
    text = "Si chiude dall'8 al 23 agosto.\n\nSi apre il 3 marzo con la festa."
    assert "23 agosto" in answer("quando chiudete ad agsoto?", note(text))


def test_a_newer_note_that_says_that_something_changes_comes_first() -> None:
    old = note("# Sterilizzazione\n\nLe buste sigillate valgono 60 giorni.\n", "protocollo.md", date="2025-03-03")
    new = note("# Riunione\n\nLe bustine d'ora in poi valgono 30 giorni.\n", "riunione.md", date="2026-05-06")
    found = answer("dopo quanti giorni non valgono più le buste sigillate?", old, new)
    assert "30 giorni" in found
    assert "60" not in found


def test_what_held_before_is_told_with_the_day_until_which_it_held_and_only_where_asked() -> None:
    new = note("La sala costa 110 euro a serata, pulizia compresa.", "sala_v2.md", date="2026-01-01", lead="Sala")
    old = note("La sala costa 95 euro a serata, pulizia esclusa.", "sala.md", date="2025-01-01", lead="Sala")
    assert "95" not in answer("quanto costa la sala?", new, old)
    assert "Fino al 1 gennaio 2026:\n\n«La sala costa 95" in answer("quanto costava prima la sala?", new, old)


def test_what_is_not_said_is_not_known_and_the_nearest_point_is_no_false_answer() -> None:
    text = "# Camere\n\nLa camera Ginestra guarda il cortile.\n\nLa camera Rosmarino costa 100 € a notte.\n"
    found = answer("quanto costa la camera Ginestra?", note(text))
    assert found.startswith(UNKNOWN)
    assert "100" not in found
    assert IT.abstains(found)


def test_a_name_that_the_notes_do_not_have_is_not_answered_with_another_one() -> None:
    text = "# Stipendi\n\nMarta prende 1.400 euro al mese.\n"
    assert answer("quanto prende Ivana al mese?", note(text)).startswith(UNKNOWN)
    assert "1.400" in answer("quanto prende Marta al mese?", note(text))


def test_a_german_noun_is_no_name_that_the_notes_must_have() -> None:
    text = "# Preise\n\nDie Anmeldung zum Töpfern kostet 25 € für alle Teilnehmer.\n"
    assert "25 €" in answer("Was kostet beim Töpfern die Anmeldung pro Person?", note(text), lang="de")


def test_at_most_six_excerpts_are_compared_by_vectors_and_these_decide_where_words_do_not() -> None:
    text = "\n\n".join(f"Riga numero {n} del registro del circolo." for n in range(40)) + "\n\nIl micio sta in cucina."
    asked: list[int] = []

    def similarity(question: str, texts: Sequence[str]) -> list[float]:
        asked.append(len(texts))
        return [0.92 if "micio" in one else 0.8 for one in texts]

    brain = ExtractiveBrain(similarity=similarity)
    answer("dov'è il gatto del circolo?", note(text), brain=brain)
    assert asked
    assert max(asked) <= 6
    assert "micio" in answer("in che stanza è il gatto?", note("Il micio sta in cucina.\n\nIl cane no."), brain=brain)


def test_an_answer_without_lists_has_at_most_sixty_words() -> None:
    text = " ".join(f"Il corso numero {n} costa {n} euro e dura {n} mesi, con esame alla fine." for n in range(2, 40))
    assert len(answer("quanto costa il corso?", note(text)).split()) <= 60


@pytest.mark.parametrize("text", ["a = " * 200_000, "**?**\n" * 100_000, "| a " * 200_000, "x – " * 200_000])
def test_a_hostile_note_ends(text: str) -> None:
    assert answer("quanto costa?", note(text)) is not None
