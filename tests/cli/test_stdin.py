"""A text on standard input in place of one on the command line."""

from __future__ import annotations

import io
import json
import sys
from pathlib import Path
from typing import Any

import pytest

from cervella.cli import main
from tests.cli.test_newcomer import PAGES, QUESTION

ANSWER = "Il lancio di Miracollo è rinviato al 20 gennaio 2026 [F1]."


@pytest.fixture
def piped(isolated: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Any:
    """Runs a command with bytes on standard input; gives exit code, stdout and stderr."""
    for name, text in PAGES.items():
        path = isolated / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text, encoding="utf-8")
    assert main(["index"]) == 0

    def run(data: bytes, *arguments: str) -> tuple[int, str, str]:
        # A terminal's encoding is none of the text's: here it could not even hold an accent.
        monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO(data), encoding="ascii"))
        capsys.readouterr()
        code = main(list(arguments))
        return code, *capsys.readouterr()

    return run


@pytest.mark.parametrize("start", [b"", b"\xef\xbb\xbf"], ids=["plain", "with a byte order mark"])
def test_a_question_comes_from_standard_input(piped: Any, start: bytes) -> None:
    code, out, _ = piped(start + f"{QUESTION}\n".encode(), "ask", "-", "--json")
    assert (code, json.loads(out)["question"]) == (0, QUESTION)


def test_what_is_searched_for_and_what_is_routed_too(piped: Any) -> None:
    assert json.loads(piped(b"lancio\n", "search", "-", "--json")[1])["query"] == "lancio"
    assert json.loads(piped(b"lancio\n", "brains", "route", "-", "--json")[1])["question"] == "lancio"


def test_an_answer_to_review_comes_from_standard_input(piped: Any) -> None:
    for arguments in (("-",), ("--text", "-")):
        code, out, _ = piped(ANSWER.encode(), "review", *arguments, "--question", QUESTION, "--json")
        assert (code, json.loads(out)["answer"], json.loads(out)["approved"]) == (0, ANSWER, True)


@pytest.mark.parametrize("arguments", [("ask", "-"), ("search", "-"), ("review", "-", "--question", QUESTION)])
@pytest.mark.parametrize(
    ("data", "words", "cure"), [(b" \n", "Standard input holds no", "|"), (b"perch\xe9", "not UTF-8: byte 5", "UTF-8")]
)
def test_what_is_wrong_with_standard_input_is_said(
    piped: Any, arguments: tuple[str, ...], data: bytes, words: str, cure: str
) -> None:
    code, out, err = piped(data, *arguments)
    assert (code, out) == (2, "")
    error, remedy = err.splitlines()
    assert words in error
    assert cure in remedy


def test_a_terminal_says_what_it_waits_for(piped: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("cervella.cli.stdin.is_terminal", lambda stream: True)
    code, _, err = piped(QUESTION.encode(), "ask", "-")
    assert code == 0
    assert "Type the question" in err


def test_no_standard_input_at_all_is_an_empty_one(piped: Any, monkeypatch: pytest.MonkeyPatch, capsys: Any) -> None:
    piped(b"x", "sessions")
    monkeypatch.setattr(sys, "stdin", None)
    assert main(["ask", "-"]) == 2
    assert "holds no question" in capsys.readouterr().err
