"""The fast searches of redaction find the same places as the patterns that they stand for."""

from __future__ import annotations

import re

import pytest

from cervella.privacy import codes
from cervella.privacy.names import heads_of
from cervella.privacy.scanning import folded, lower, runs

TEXTS = (
    "",
    "a" * 16,
    "x sk-a1b2c3d4e5f6a7b8 é",
    "è" + "a=" * 9 + "è" + "b" * 15,
    "*1234# B4821C 12345,6 *4821* x1234 ٣٤٥٦ #482",
)


@pytest.mark.parametrize("text", TEXTS)
def test_runs_and_codes_are_those_of_the_patterns(text: str) -> None:
    run = re.compile(r"(?<![A-Za-z0-9_+/=.:~\\-])[A-Za-z0-9_+/=.:~\\-]{16,}")
    assert runs(text) == [match.span() for match in run.finditer(text)]
    assert [one.span() for one in codes._numbers(text)] == [one.span() for one in codes._NUMBER.finditer(text)]


@pytest.mark.parametrize("text", ["PRıVATE", "ACCEſS", "PİN", "\u212aEY", "İİkey"])
def test_a_folded_text_has_the_words_that_a_pattern_finds_in_any_case(text: str) -> None:
    plain = folded(lower(text))
    assert len(plain) == len(text)
    for word in ("private", "access", "pin", "key"):
        assert (word in plain) is (re.search(word, text, re.IGNORECASE) is not None)


def test_the_heads_of_a_name_are_the_letters_that_it_can_start_with() -> None:
    assert heads_of(r"(?<![\w-])(?:(?:db|wi-fi)[ _-]?)?pass") >= set("dwp")
    assert heads_of("c[óo]digo") >= {"c"}
