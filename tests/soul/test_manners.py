"""What a Constitution says of the persona herself, and in which register she speaks."""

from __future__ import annotations

from pathlib import Path

import pytest

from cervella.soul import Constitution, Traits
from cervella.soul.manners import introduction, is_formal, says_machine
from cervella.text.language import language


def soul(folder: Path, text: str, code: str = "it") -> Constitution:
    path = folder / "SOUL.md"
    path.write_text(text, encoding="utf-8")
    return Constitution.load(path, language=code)


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("# Nina\n\nQui dico chi sono. Sono **Nina**, la voce di qui. Altro.\n", "Sono Nina, la voce di qui."),
        ("# Nina\n\n- Sono in un elenco.\n\n> Sono una citazione.\n\n| Sono | una |\n", None),
        ("# Nina\n\nNina è la voce dello studio.\n", None),
        ("# Nina\n\nSono " + "molto " * 60 + "lunga.\n", None),
    ],
)
def test_she_introduces_herself_with_the_first_sentence_in_the_first_person(
    tmp_path: Path, text: str, says: str | None
) -> None:
    assert introduction(soul(tmp_path, text), language("it")) == says


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("Sono Nina. Non sono una persona: sono un'assistente digitale.", True),
        ("Sono un programma, non una persona.", True),
        ("Sono una persona che usa un programma.", False),
        ("Non sono un programma.", False),
        ("Sono Nina. Il programma della giornata è fitto.", False),
    ],
)
def test_only_a_sentence_that_affirms_no_person_says_what_she_is(tmp_path: Path, text: str, says: bool) -> None:
    found = says_machine(soul(tmp_path, f"# Nina\n\n{text}\n"), language("it"))
    assert (found is not None) is says


@pytest.mark.parametrize(
    ("text", "code", "formal"),
    [
        ("Do del lei ai pazienti e del tu ai colleghi.", "it", True),
        ("In italiano, con il tu. Mai del lei.", "it", False),
        ("Parlo di lei e di te.", "it", False),
        ("## Tratti\n\n- come si rivolge: con il Lei\n\nNei testi uso il tu.", "it", True),
        ("Auf Deutsch, per Sie.", "de", True),
        ("Auf Deutsch, per Du. Sie ist neu.", "de", False),
        ("En español, de usted.", "es", True),
        ("Trato as pessoas por o senhor e a senhora.", "pt", True),
        ("In English.", "en", False),
        ("Do del Lei agli ospiti.", "en", True),
    ],
)
def test_the_constitution_decides_the_register(tmp_path: Path, text: str, code: str, formal: bool) -> None:
    own = soul(tmp_path, f"# Nina\n\n{text}\n", code)
    assert is_formal(own, Traits.of(own)) is formal


def test_a_constitution_of_much_text_is_read_in_part(tmp_path: Path) -> None:
    path = tmp_path / "SOUL.md"
    path.write_text("# Nina\n\n" + "Bene. " * 200_000 + "Sono Nina.\n", encoding="utf-8")
    long = Constitution.load(path, max_tokens=10**9)
    assert introduction(long, language("it")) is None
