"""The doors by which a stranger's text reaches a terminal: at each, what would steer it is an escape."""

from __future__ import annotations

import json
import logging
import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from cervella.cli import main
from cervella.cli.output import Flow, note, print_json, print_line, print_table, print_wrapped, warnings_shown
from tests.visible.test_visible import FORBIDDEN, HOSTILE, NATURAL

PAYLOAD = "\x1b]52;c;aGk=\x07\x9b2J\u202egpj.\u2066x\u2069\u200e\U000e0041\U000e0042\x7f"
NAME = PAYLOAD.replace("/", "")
NOTE = f"# Rinvio {PAYLOAD}\n\n> **Data:** 9 gennaio 2026\n\nIl lancio {PAYLOAD} è rinviato al 20 gennaio 2026.\n"
ESCAPED = "".join(f"\\U{ord(letter):08x}" for letter in PAYLOAD if ord(letter) > 0x9F)
TOML = f"""brain = "extractive"
[soul]
constitution = "anima.md"
[knowledge]
folder = "note"
embedder = "none"
[brains.vllm]
model = "{ESCAPED}"
url = "http://127.0.0.1:9/v1"
"""


def warned() -> None:
    with warnings_shown("cervella.test"):
        logging.getLogger("cervella.test").warning("%s", PAYLOAD)


def streamed() -> None:
    flow = Flow()
    for letter in PAYLOAD:
        flow.show(letter)
    flow.end()


FUNCTIONS: dict[str, Callable[[], object]] = {
    "a line": lambda: print_line(PAYLOAD),
    "a wrapped line": lambda: print_wrapped(PAYLOAD, start=PAYLOAD),
    "a note": lambda: note(f"error: {PAYLOAD}"),
    "a warning of the log": warned,
    "an answer while it is generated": streamed,
    "a table": lambda: print_table(["", PAYLOAD], [[PAYLOAD, PAYLOAD]]),
    "a JSON document": lambda: print_json({PAYLOAD: PAYLOAD}),
}
COMMANDS = {
    "index": ["index", "--verbose"],
    "index as JSON": ["index", "--json"],
    "search": ["search", "quando è rinviato il lancio"],
    "search as JSON": ["search", "--json", "quando è rinviato il lancio"],
    "ask": ["ask", "quando è rinviato il lancio?"],
    "ask as JSON": ["ask", "--json", "quando è rinviato il lancio?"],
    "the prompt": ["ask", "--show-prompt", "quando è rinviato il lancio?"],
    "review": ["review", "--text", PAYLOAD, "--question", PAYLOAD],
    "brains": ["brains"],
    "doctor": ["doctor"],
    "doctor as JSON": ["doctor", "--json"],
    "soul": ["soul", "show"],
    "an unknown brain": ["ask", "--brain", PAYLOAD, "ciao"],
    "an unknown session": ["sessions", "--export", PAYLOAD],
    "an unknown option": ["ask", f"--{PAYLOAD}"],
    "an unknown command": [PAYLOAD],
    "a file that is missing": ["ask", "--config", PAYLOAD, "ciao"],
    "a filter": ["search", "--path", PAYLOAD, "lancio"],
    "a server that is silent": ["ask", "--brain", "vllm", "ciao"],
}


@pytest.fixture
def home(isolated: Path) -> Path:
    (isolated / "note").mkdir()
    (isolated / "cervella.toml").write_text(TOML, encoding="utf-8")
    (isolated / "anima.md").write_text(f"# Cervella\n\n- nome: Cervella\n\nCalma {PAYLOAD}.\n", encoding="utf-8")
    (isolated / "note" / f"lancio{NAME}.md").write_text(NOTE, encoding="utf-8")
    (isolated / "note" / f"foto{NAME}.png").write_bytes(b"\x89PNG")
    return isolated


def shown(capsys: pytest.CaptureFixture[str]) -> str:
    return "".join(capsys.readouterr())


@pytest.mark.parametrize("print_it", FUNCTIONS.values(), ids=FUNCTIONS)
def test_no_way_of_printing_lets_a_control_through(
    print_it: Callable[[], object], capsys: pytest.CaptureFixture[str]
) -> None:
    print_it()
    out = shown(capsys)
    assert not FORBIDDEN & set(out)
    assert "u202e" in out.replace("\n", "")


@pytest.mark.skipif(os.name == "nt", reason="Windows has no file with such a name")
@pytest.mark.parametrize("arguments", COMMANDS.values(), ids=COMMANDS)
def test_no_command_lets_a_control_through(
    home: Path, arguments: list[str], capsys: pytest.CaptureFixture[str]
) -> None:
    main(["index"])
    shown(capsys)
    main(arguments)
    out = shown(capsys)
    assert out
    assert "u202e" in out or "lancio" not in out
    assert not FORBIDDEN & set(out)


@pytest.mark.skipif(os.name == "nt", reason="Windows has no file with such a name")
def test_the_document_of_a_command_has_the_values_unchanged(home: Path, capsys: pytest.CaptureFixture[str]) -> None:
    main(["index"])
    shown(capsys)
    main(["search", "--json", "quando è rinviato il lancio"])
    data: Any = json.loads(capsys.readouterr().out)
    assert data["passages"][0]["path"] == f"lancio{NAME}.md"


@pytest.mark.skipif(os.name == "nt", reason="Windows has no file with such a name")
def test_a_chat_lets_no_control_through(
    home: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    main(["index"])
    lines = iter(
        [f"{PAYLOAD} quando è rinviato il lancio?", "/sources", "/sources 1", f"/{PAYLOAD}", f"/sources {PAYLOAD}",
         f"/brain {PAYLOAD}", f"/search {PAYLOAD} lancio", "/review"]
    )  # fmt: skip

    def typed(prompt: str = "") -> str:
        assert not FORBIDDEN & set(prompt)
        if (line := next(lines, None)) is None:
            raise EOFError
        return line

    monkeypatch.setattr("builtins.input", typed)
    main(["chat", "--session", PAYLOAD])
    main(["sessions"])
    main(["sessions", "--export", PAYLOAD])
    main(["stats"])
    assert not FORBIDDEN & set(shown(capsys))


def test_a_traceback_lets_no_control_through() -> None:
    code = (
        "import sys, logging, cervella.cli as c\n"
        f"text = {PAYLOAD!r}\n"
        "def main():\n    logging.getLogger('other').warning(text)\n    raise RuntimeError(text)\n"
        "c.main = main\nc.entry()\n"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, check=False)
    err = done.stderr.decode()
    assert done.returncode == 1
    assert err.count("\\x1b]52;c;aGk=\\x07") == 2
    assert not FORBIDDEN & set(err)


@pytest.mark.parametrize("text", [*NATURAL, *HOSTILE.values()])
def test_a_line_of_any_script_is_printed_and_no_terminal_is_steered(
    text: str, capsys: pytest.CaptureFixture[str]
) -> None:
    print_line(text)
    out = shown(capsys)
    assert (out == f"{text}\n") == (text in NATURAL)
    assert not FORBIDDEN & set(out)
