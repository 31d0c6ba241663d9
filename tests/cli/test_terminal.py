"""Lines broken between words, and colours where they are wanted."""

from __future__ import annotations

import io

import pytest
from hypothesis import given, strategies as st

from cervella.cli.terminal import WordWrap, styled, width_of, wrapped


class Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


@given(st.text(alphabet="ab |`\n", max_size=80), st.integers(5, 30), st.data())
def test_the_words_stay_and_pieces_change_nothing(text: str, width: int, data: st.DataObject) -> None:
    whole = wrapped(text, width)
    cut = data.draw(st.integers(0, len(text)))
    wrap = WordWrap(width)
    assert wrap.feed(text[:cut]) + wrap.feed(text[cut:]) + wrap.end() == whole
    assert whole.split() == text.split()


def test_a_line_is_broken_between_words_and_set_in() -> None:
    text = "[F1] decisioni/20260109_rinvio.md:12-19  (9 gennaio 2026, superata)"
    lines = wrapped(text, 42, indent=5).split("\n")
    assert lines == ["[F1] decisioni/20260109_rinvio.md:12-19", "     (9 gennaio 2026, superata)"]
    assert wrapped(text, None) == text


def test_rows_and_code_keep_their_lines() -> None:
    text = "| uno due tre quattro | cinque |\n```\nuno due tre quattro cinque\n```\n"
    assert wrapped(text, 20) == text


def test_a_word_longer_than_the_line_is_left_whole() -> None:
    assert wrapped("a " + "b" * 30 + " c", 20) == "a\n" + "b" * 30 + "\nc"


@pytest.mark.parametrize(
    ("variables", "coloured"),
    [
        ({}, True),
        ({"NO_COLOR": "1"}, False),
        ({"NO_COLOR": ""}, True),  # as no-color.org has it: an empty one says nothing
        ({"TERM": "dumb"}, False),
        ({"JPY_PARENT_PID": "1"}, False),  # a cell of a notebook
    ],
)
def test_colours_are_for_terminals_that_show_them(
    monkeypatch: pytest.MonkeyPatch, variables: dict[str, str], coloured: bool
) -> None:
    for name in ("NO_COLOR", "TERM", "JPY_PARENT_PID"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("WT_SESSION", "1")
    for name, value in variables.items():
        monkeypatch.setenv(name, value)
    assert (styled("x", "red", Terminal()) != "x") is coloured
    assert styled("x", "red", io.StringIO()) == "x"


def test_what_is_no_terminal_has_no_width(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("JPY_PARENT_PID", raising=False)
    monkeypatch.setenv("COLUMNS", "60")
    assert width_of(Terminal()) == 60
    assert width_of(io.StringIO()) is None
    monkeypatch.setenv("JPY_PARENT_PID", "1")
    assert width_of(Terminal()) is None, "a notebook lays its lines out itself"
    monkeypatch.delenv("JPY_PARENT_PID")
    monkeypatch.setenv("COLUMNS", "12")
    assert width_of(Terminal()) is None
