"""`cervella review`, `ask --review` and `/review` in a chat, as an owner uses them."""

from __future__ import annotations

import io
import json
from pathlib import Path
from typing import Any

import pytest

from cervella import Agent
from cervella.cli import main
from cervella.testing import ScriptedBrain

TOML = """
brain = "extractive"
[soul]
constitution = "anima.md"
[knowledge]
folder = "note"
embedder = "none"
"""
SOUL = (
    "# Cervella\n\nCalma, precisa, in italiano.\n\n"
    "## TRATTI\n\n- nome: Cervella\n- emoji: mai\n- parole vuote: Ottima domanda!\n"
)
NOTE = (
    "# Decisione: rinvio del lancio\n\n> **Data:** 9 gennaio 2026\n\n"
    "Il lancio di Miracollo è rinviato al 20 gennaio 2026 perché mancano i test di carico.\n"
)
QUESTION = "Quando è il lancio di Miracollo?"
RIGHT, WRONG = "Il lancio è il 20 gennaio 2026 [F1].", "Il lancio è il 21 gennaio 2026 [F1]."


@pytest.fixture
def home(isolated: Path, capsys: pytest.CaptureFixture[str]) -> Path:
    (isolated / "note").mkdir()
    for name, text in {"cervella.toml": TOML, "anima.md": SOUL, "note/lancio.md": NOTE}.items():
        (isolated / name).write_text(text, encoding="utf-8")
    assert main(["index"]) == 0
    capsys.readouterr()
    return isolated


@pytest.fixture
def cervella(capsys: pytest.CaptureFixture[str]) -> Any:
    def run(*arguments: str) -> tuple[int, str, str]:
        capsys.readouterr()
        code = main(list(arguments))
        out, err = capsys.readouterr()
        assert "Traceback" not in err + out
        return code, out, err

    return run


def kept(*answers: str) -> list[str]:
    """A session whose turns have these answers; the ids of the replies."""
    with Agent(brain=ScriptedBrain(answers, name="una", model="m")) as agent:
        talk = agent.session("ospite")
        return [talk.ask(QUESTION).id for _ in answers]


def test_a_text_is_held_against_the_base(home: Path, cervella: Any) -> None:
    (home / "bozza.md").write_text(WRONG, encoding="utf-8")
    code, out, _ = cervella("review", "--text", "bozza.md", "--question", QUESTION)
    assert code == 0
    assert out.startswith("Review: 6/10, not approved, 1 issue\n")
    assert "date: «21 gennaio 2026»: The cited lines do not give this date.  lancio.md:" in " ".join(out.split("\n"))
    code, out, _ = cervella("review", "--text", "bozza.md", "--question", QUESTION, "--json")
    data = json.loads(out)
    assert (data["approved"], data["score"], data["reply"], data["answer"]) == (False, 6.0, None, WRONG)
    assert data["issues"][0]["kind"] == "date"
    assert data["second"] is None


def test_a_text_may_come_from_standard_input_and_be_judged_strictly(
    home: Path, cervella: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    for text, code in ((RIGHT, 0), (WRONG, 1)):
        monkeypatch.setattr("sys.stdin", io.StringIO(text))
        assert cervella("review", "--text", "-", "--question", QUESTION, "--strict")[0] == code


def test_a_kept_answer_is_reviewed_by_its_id_its_session_or_as_the_last(home: Path, cervella: Any) -> None:
    first, last = kept(WRONG, RIGHT)
    assert json.loads(cervella("review", first, "--json")[1])["approved"] is False
    for arguments in (("review", last), ("review", "ospite"), ("review",)):
        data = json.loads(cervella(*arguments, "--json")[1])
        assert (data["reply"], data["approved"], data["question"]) == (last, True, QUESTION)
    code, out, err = cervella("review")
    assert (code, RIGHT in out, "Review: 10/10, approved" in out) == (0, True, True)
    assert "as it is now" in err


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (("review",), "No answer is kept yet"),
        (("review", "nessuno"), "There is no session or reply 'nessuno'"),
        (("review", "--text", "x.md"), "can't be combined"),
        (("review", "--question", "x"), "can't be combined"),
        (("review", "id", "--text", "x.md", "--question", "x"), "can't be combined"),
        (("review", "--text", "manca.md", "--question", "x"), "can't be read"),
        (("review", "--text", "bozza.md", "--question", "x", "--brain", "cluade"), "'cluade'"),
    ],
)
def test_what_can_not_be_reviewed_is_two_lines(home: Path, cervella: Any, arguments: Any, words: str) -> None:
    (home / "bozza.md").write_text(RIGHT, encoding="utf-8")
    code, out, err = cervella(*arguments)
    assert (code, out) == (2, "")
    assert words in err
    assert [line.partition(":")[0] for line in err.splitlines()] == ["error", "help"]


def test_ask_shows_the_verdict_and_json_has_it_only_where_there_is_one(home: Path, cervella: Any) -> None:
    code, out, _ = cervella("ask", QUESTION, "--review")
    assert (code, "20 gennaio 2026" in out, "Review: 10/10, approved" in out) == (0, True, True)
    assert json.loads(cervella("ask", QUESTION, "--review", "--json")[1])["review"]["approved"] is True
    assert "review" not in json.loads(cervella("ask", QUESTION, "--json")[1])
    (home / "cervella.toml").write_text(f"{TOML}[review]\nenabled = true\n", encoding="utf-8")
    assert "Review:" in cervella("ask", QUESTION)[1]
    assert "Review:" not in cervella("ask", QUESTION, "--no-review")[1]


def test_a_chat_reviews_its_last_answer(home: Path, cervella: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    lines = iter(["/review", QUESTION, "/review", "/quit"])
    monkeypatch.setattr("builtins.input", lambda _="": next(lines))
    code, out, err = cervella("chat")
    assert code == 0
    assert "There is no answer yet" in err
    assert "Review: 10/10, approved" in out
