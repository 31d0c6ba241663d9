"""The extractive brain quotes what stands under the heading, the item or the term that the question names."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from cervella.brains.extractive import brain as extractive
from cervella.claims.citations import find_citations
from cervella.text.language import language
from cervella.types import Finished, Passage, Prompt

IT = language("it")
SHIFTS = "- Cucina\n    - mattina\n        - cuoco: Bruno\n    - sera\n        - cuoco: Dario\n        - aiuto: Elsa\n"
ROOMS = "# Tariffe\n\n## Camera doppia\n\nCosta 95 euro a notte.\n\n## Camera singola\n\nCosta 60 euro a notte.\n"
COMMANDS = "# Comandi\n\n## storna\n\nAnnulla una riga già stampata.\n\nEsempio:\n\n```\nstorna 1204 3\n```\n"


def answer(question: str, *texts: str, paths: tuple[str, ...] = (), lead: str = "") -> str:
    """What the brain answers from these passages, the best first. Each of its citations must be supported."""
    names = paths or tuple(f"nota{n}.md" for n in range(len(texts)))
    place: dict[str, Any] = {"lead": lead, "start_line": 1, "end_line": 9}
    passages = tuple(Passage(id=path, path=path, text=text, **place) for path, text in zip(names, texts, strict=True))
    prompt = Prompt(system="Sono Cervella.", question=question, passages=passages, hints={})

    async def told() -> str:
        events = [event async for event in extractive.ExtractiveBrain().stream(prompt)]
        assert isinstance(events[-1], Finished)
        return events[-1].completion.text

    text = asyncio.run(told())
    assert all(one.supported for one in find_citations(text, prompt.sources, IT).citations)
    return text


def test_a_nested_item_is_quoted_under_the_items_above_it() -> None:
    assert answer("chi è il cuoco la sera?", SHIFTS) == "«Cucina» › «sera» › «cuoco: Dario» [F1]."


def test_an_item_that_is_only_a_title_is_answered_with_its_items() -> None:
    found = answer("chi c'è la sera in cucina?", SHIFTS)
    assert "«Cucina» › «sera» › «cuoco: Dario»" in found
    assert "«Cucina» › «sera» › «aiuto: Elsa»" in found
    assert "Bruno" not in found


def test_an_item_that_repeats_the_question_is_quoted_for_what_stands_above_it() -> None:
    text = "- Lunedì\n  - Ivo apre\n- Martedì\n  - Nedda\n    - porta le chiavi di riserva\n"
    assert answer("chi porta le chiavi di riserva?", text) == "«Martedì» › «Nedda» › «porta le chiavi di riserva» [F1]."
    assert (
        answer("il parcheggio è gratuito?", "- parcheggio gratuito\n- piscina chiusa\n")
        == "«parcheggio gratuito» [F1]."
    )


def test_only_the_price_under_the_heading_that_is_asked_for_is_quoted() -> None:
    assert (
        answer("quanto costa la camera singola?", ROOMS, lead="Tariffe > Camera doppia")
        == "«Camera singola» › «Costa 60 euro a notte» [F1]."
    )


def test_the_sentence_under_a_heading_comes_before_the_example_that_repeats_it() -> None:
    found = answer("Che cosa fa storna?", COMMANDS)
    assert found.startswith("«Annulla una riga già stampata»")


def test_a_definition_is_quoted_with_its_term() -> None:
    text = "Biga\n: Preimpasto asciutto, 18 ore.\n\nPoolish\n: Preimpasto liquido, 10 ore.\n"
    assert answer("che cos'è il poolish?", text) == "«Poolish» › «Preimpasto liquido, 10 ore» [F1]."


def test_the_name_of_a_file_is_the_subject_of_its_lines() -> None:
    rules, mention = "Fino a sette giorni prima si rende tutto.\n", "I buoni seguono la politica di cancellazione.\n"
    found = answer("Politica di cancellazione", rules, mention, paths=("Politica di cancellazione.md", "Buoni.md"))
    assert found == "«Fino a sette giorni prima si rende tutto» [F1]."
    other = answer("che politica seguono i buoni?", mention, rules, paths=("Buoni.md", "Politica di cancellazione.md"))
    assert other.startswith("«I buoni seguono")


@pytest.mark.parametrize("question", ["Come è arrivato il vetro il 14 aprile?", "il vetro del 14/04/2026?"])
def test_a_line_of_another_day_is_not_quoted(question: str) -> None:
    days = ("Il vetro è arrivato alle 15.\n", "Il vetro è arrivato alle 11.\n")
    found = answer(question, *days, paths=("2026-04-14.md", "2026-03-14.md"))
    assert "alle 15" in found
    assert "alle 11" not in found


def test_a_line_that_lists_the_headings_is_not_quoted_for_what_they_say() -> None:
    sections = "## sospendi\n\nMette da parte lo scontrino.\n\n## ripesca\n\nRiporta l'ultimo.\n"
    text = f"# Cassa\n\nComandi: sospendi, ripesca, lampo.\n\n{sections}"
    assert "Comandi:" not in answer("Che cosa fa il comando sospendi?", text)
