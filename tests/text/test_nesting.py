"""What stands above a quotable part: the list items that contain it, the term that it defines."""

from __future__ import annotations

import time

import pytest

from cervella.text.language import language
from cervella.text.sentences import quotables

IT = language("it")


def above(text: str) -> dict[str, list[str]]:
    return {text[q.start : q.end]: [text[a:b] for a, b in q.above] for q in quotables(text, IT)}


def test_an_item_stands_under_the_items_that_contain_it() -> None:
    text = (
        "- Cucina\n    - mattina\n        - cuoco: Bruno\n    - sera\n        - cuoco: Dario\n- Sala\n\t- sera: Gina\n"
    )
    found = above(text)
    assert found["cuoco: Bruno"] == ["Cucina", "mattina"]
    assert found["cuoco: Dario"] == ["Cucina", "sera"]
    assert found["sera: Gina"] == ["Sala"]
    assert found["Cucina"] == found["Sala"] == []


def test_a_paragraph_in_an_item_stands_under_it_and_one_after_the_list_does_not() -> None:
    found = above("1. Chiusura\n\n   Si spegne il quadro.\n\nIl resto lo fa Ada.\n\n- da solo\n")
    assert found["Si spegne il quadro."] == ["Chiusura"]
    assert found["Il resto lo fa Ada."] == found["da solo"] == []


def test_a_heading_ends_a_list() -> None:
    assert above("- Cucina\n\n## Sala\n\n  - sera\n")["sera"] == []


@pytest.mark.parametrize("blank", ["", "\n"])
def test_a_definition_stands_under_its_term(blank: str) -> None:
    found = above(f"Caparra\n{blank}: Si versa subito. Non torna.\n: Anche in contanti.\n{blank}Saldo\n:   Il resto.\n")
    assert found["Si versa subito."] == found["Non torna."] == found["Anche in contanti."] == ["Caparra"]
    assert found["Il resto."] == ["Saldo"]


def test_a_colon_that_defines_nothing_stays_in_its_sentence() -> None:
    assert above(": da solo\n") == {": da solo": []}
    long = "Una frase molto lunga che non è un termine. " * 8
    assert all(not items for items in above(f"{long}\n: seguito\n").values())


def test_a_line_that_is_underlined_is_a_heading_and_a_sentence_above_a_rule_is_not() -> None:
    text = "Parole\n======\n\nTelaio\n------\nTiene tutto.\n\nFine della pagina.\n---\n"
    assert [text[q.start : q.end] for q in quotables(text, IT) if q.kind == "heading"] == ["Parole", "Telaio"]


@pytest.mark.parametrize(
    "line",
    ["- a\n", " " * 40 + "- a\n", "Voce\n: testo\n", "a\n---\n", "> " * 30 + "- a\n", ":\t" * 20 + "\n"],
    ids=range(6),
)
def test_long_texts_are_read_in_linear_time(line: str) -> None:
    started = time.perf_counter()
    quotables(line * (300_000 // len(line)), IT)
    assert time.perf_counter() - started < 20
    deep = "".join(f"{' ' * depth}- a\n" for depth in range(700))
    assert max(len(q.above) for q in quotables(deep, IT)) < 20


def test_a_rule_below_a_list_makes_no_heading_of_its_last_item() -> None:
    kinds = {"- mattina 9:10\n- sera 18:40\n---\n\nResi.": "sera 18:40", "Titolo\n---\n\nResi.": "Titolo"}
    found = [{text[q.start : q.end]: q.kind for q in quotables(text, IT)}[part] for text, part in kinds.items()]
    assert found == ["sentence", "heading"]
