"""`cervella chat`: answers with their sources, the commands of the conversation, and Ctrl-C."""

from __future__ import annotations

import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from cervella.cli import main

TOML = """brain = "extractive"
[soul]
constitution = "anima.md"
[knowledge]
folder = "note"
embedder = "none"
[brains.lento]
kind = "scripted"
delay = 0.2
answers = ["Il lancio è rinviato al 20 gennaio 2026, perché mancano ancora i test di carico [F1].", "Detto."]
[brains.vuoto]
kind = "embedded"
model = "manca.gguf"
"""
PAGES = {
    "cervella.toml": TOML,
    "anima.md": "# Cervella\n\n- nome: Cervella\n\nCalma, precisa, in italiano.\n",
    "note/decisioni/20260109_lancio.md": "# Decisione: rinvio del lancio\n\n> **Data:** 9 gennaio 2026\n\n"
    "Il lancio di Miracollo è rinviato al 20 gennaio 2026 perché mancano i test di carico.\n",
}
QUESTION = "Perché il lancio è rinviato?"
SOURCE = "[F1] decisioni/20260109_lancio.md:1-5  (9 gennaio 2026)"


@pytest.fixture
def home(isolated: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("XDG_STATE_HOME", str(isolated / "state"))
    for name, text in PAGES.items():
        path = isolated / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text, encoding="utf-8")
    assert main(["index"]) == 0
    return isolated


@pytest.fixture
def talk(home: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Any:
    """Types these lines, and gives what was printed: stdout, stderr."""

    def run(*lines: str, arguments: tuple[str, ...] = ()) -> tuple[str, str]:
        typed: Iterator[str] = iter(lines)

        def read(prompt: str = "") -> str:
            try:
                return next(typed)
            except StopIteration:
                raise EOFError from None

        monkeypatch.setattr("builtins.input", read)
        capsys.readouterr()
        assert main(["chat", "--session", "prova", *arguments]) == 0
        assert next(typed, None) is None, "it left before the last line"
        out, err = capsys.readouterr()
        assert "Traceback" not in out + err
        return out, err

    return run


def test_an_answer_ends_with_its_sources_and_their_dates(talk: Any) -> None:
    out, err = talk(QUESTION, "/sources")
    assert "test di carico» [F1]" in out
    assert out.count(SOURCE) == 2
    assert "Cervella, through extractive. Session prova, 0 turns." in err


def test_a_source_opens_as_it_stands_on_disk(home: Path, talk: Any) -> None:
    out, err = talk(QUESTION, "/sources 1", "/sources F1", "/sources 9")
    assert out.count("\n# Decisione: rinvio del lancio\n") == 2
    assert "no source '9'" in err
    assert "from 1 to 1" in err


def test_the_brain_changes_and_the_conversation_goes_on(talk: Any) -> None:
    out, _ = talk(QUESTION, "/brain echo", "ciao", "/brain")
    assert out.count("echo (echo), local") == 2
    assert "\nciao\n" in out
    _, err = talk("/quit")
    assert "2 turns" in err


def test_a_folder_that_went_on_is_told_once_and_again_when_it_went_on_further(
    home: Path, talk: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("cervella.knowledge.index.freshness._EVERY", 0.0)
    monkeypatch.setenv("CERVELLA_KNOWLEDGE__REFRESH", "warn")
    (home / "note/nuova.md").write_text("# Nuova\n", encoding="utf-8")
    _, err = talk(QUESTION, QUESTION, "/search lancio", "/brain echo", QUESTION)
    assert err.count("warning: 1 file changed since the index was built; run `cervella index`.") == 1
    (home / "note/decisioni/20260109_lancio.md").unlink()
    out, err = talk("/search lancio", QUESTION)
    assert err.count("warning: 2 files changed") == 1
    assert f"{SOURCE}  changed or gone since it was indexed" in out
    main(["index"])
    assert "warning" not in talk("/search lancio", "ciao")[1]


@pytest.mark.parametrize(("name", "words"), [("extractve", "'extractive'"), ("vuoto", "manca.gguf")])
def test_a_brain_that_can_not_answer_is_not_taken(talk: Any, name: str, words: str) -> None:
    out, err = talk(f"/brain {name}", "/brain", QUESTION)
    assert words in err
    assert "help: " in err
    assert "extractive (extractive), local" in out
    assert SOURCE in out


def test_a_search_asks_nobody(talk: Any) -> None:
    out, err = talk("/search rinvio", "/search", "/search zzz")
    assert "1. decisioni/20260109_lancio.md" in out
    assert "/search break-even" in err
    assert "Nothing was found." in err


@pytest.mark.parametrize("word", ["/quit", "/exit", "quit", "Exit"])
def test_there_are_several_words_for_leaving(talk: Any, word: str) -> None:
    out, _ = talk(word)
    assert out == ""


def test_an_unknown_command_is_not_a_question(talk: Any) -> None:
    out, err = talk("/brian echo", "/sources", "", "/help")
    assert "Did you mean '/brain'?" in err
    assert "There are no sources yet" in err
    assert "/search WORDS" in out
    assert max(map(len, out.splitlines())) <= 60, "the list fits a narrow window"


def test_a_session_that_is_named_again_goes_on(talk: Any) -> None:
    talk(QUESTION)
    _, err = talk("/quit")
    assert "Session prova, 1 turn." in err


@pytest.mark.skipif(sys.platform == "win32", reason="a child can't be sent Ctrl-C alone there")
def test_ctrl_c_stops_the_answer_and_not_the_program(home: Path) -> None:
    command = [sys.executable, "-u", "-m", "cervella", "chat", "--brain", "lento", "--session", "prova"]
    with subprocess.Popen(
        command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, encoding="utf-8"
    ) as chat:
        assert chat.stdin is not None
        assert chat.stdout is not None
        chat.stdin.write(f"{QUESTION}\n")
        chat.stdin.flush()
        seen = ""
        while not seen.endswith("Il lancio"):
            seen += (piece := chat.stdout.read(1))
            assert piece, seen
        chat.send_signal(signal.SIGINT)
        rest, _ = chat.communicate("E poi?\n/quit\n")
    assert chat.returncode == 0
    assert "(stopped)" in rest
    assert "test di carico" not in rest
    assert "Detto." in rest
