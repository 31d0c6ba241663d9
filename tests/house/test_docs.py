"""Docs are executed: every Python block and transcript of the README and of docs/, and every example in a docstring.

On a page, a fenced block with a title is a file, and a block of `console` is a transcript: files are written and
commands run in the order of the page, in one empty folder. Where a TOML file is there already, the block holds the
lines to change. A `chat` runs on a terminal of its own, and is told the lines that begin with `> `.

Where commands print something else on purpose, `python -m tests.house.test_docs` writes that into the transcripts.
"""

from __future__ import annotations

import contextlib
import datetime
import doctest
import importlib
import io
import os
import pkgutil
import re
import runpy
import select
import shlex
import shutil
import string
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from markdown_it import MarkdownIt

import cervella
from cervella.cli import main
from cervella.text.language import language
from tests.conftest import ROOT

PAGES = [ROOT / "README.md", *sorted((ROOT / "docs").rglob("*.md"))]
MODULES = [
    module.name
    for module in pkgutil.walk_packages(cervella.__path__, "cervella.")
    if module.name != "cervella.__main__"
]


def blocks(page: Path) -> list[tuple[int, str, str]]:
    """The fenced blocks of a page: the line that each starts at, what it says of itself, its text."""
    tokens = MarkdownIt("commonmark").parse(page.read_text(encoding="utf-8"))
    return [(t.map[0] + 1, t.info, t.content) for t in tokens if t.type == "fence" and t.map]


def named(page: Path) -> str:
    return page.relative_to(ROOT).as_posix()


PYTHON = [(page, line, code) for page in PAGES for line, info, code in blocks(page) if info == "python"]
TRANSCRIPTS = [page for page in PAGES[1:] if any(info == "console" for _, info, _ in blocks(page))]


@pytest.fixture(scope="session")
def shipped_index(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """An index of knowledge/, by words."""
    folder = tmp_path_factory.mktemp("docs") / "index"
    with cervella.Agent(config=ROOT / "cervella.toml", index=folder, embedder="none") as agent:
        agent.index()
    return folder


@pytest.mark.parametrize(("page", "line", "code"), PYTHON, ids=[f"{named(page)}:{line}" for page, line, _ in PYTHON])
def test_every_python_block_runs(
    page: Path, line: int, code: str, shipped_index: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    shutil.copytree(shipped_index, tmp_path / "index")
    monkeypatch.chdir(ROOT)
    monkeypatch.setenv("CERVELLA_KNOWLEDGE__INDEX", str(tmp_path / "index"))
    monkeypatch.setenv("CERVELLA_KNOWLEDGE__EMBEDDER", "none")
    monkeypatch.setenv("CERVELLA_CONVERSATIONS__PATH", str(tmp_path / "conversations.sqlite"))
    monkeypatch.setenv("CERVELLA_LEDGER__PATH", str(tmp_path / "ledger.sqlite"))
    monkeypatch.setenv("CERVELLA_EVALUATION__FOLDER", str(tmp_path / "evaluations"))
    exec(compile("\n" * line + code, str(page), "exec"), {"__name__": "page"})


@pytest.mark.parametrize("name", ["soul", "swap"])
def test_a_measured_page_has_the_words_of_the_program_that_writes_it(name: str) -> None:
    program = importlib.import_module(f"bench.{name}")
    page = " ".join(program.PAGE.read_text(encoding="utf-8").split())
    for words, *_ in string.Formatter().parse(program.PROSE):
        assert " ".join(words.split()) in page


@pytest.mark.parametrize("page", TRANSCRIPTS, ids=named)
def test_every_transcript_is_what_the_commands_print(
    page: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("CERVELLA_KNOWLEDGE__EMBEDDER", "none")
    for line, command, expected, got in walk(page):
        assert settled(got, tmp_path) == settled(expected, tmp_path), f"{named(page)}:{line}: {command}"


def walk(page: Path) -> Iterator[tuple[int, str, str, str]]:
    """Each command of a page, with what the page says that it prints and what it does print."""
    for line, info, text in blocks(page):
        if title := re.search(r'title="([^"]+)"', info):
            write(Path(title[1]), text)
        elif info == "console":
            for command, expected in commands(text):
                yield line, command, expected, run(command, expected)


def write(path: Path, text: str) -> None:
    if path.suffix == ".toml" and path.exists():
        kept = path.read_text(encoding="utf-8")
        for line in text.splitlines():
            kept, found = re.subn(rf"(?m)^{re.escape(line.partition('=')[0])}=.*$", lambda _, line=line: line, kept)
            assert found == 1, f"{path} has no line for {line!r}"
        text = kept
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text, encoding="utf-8")


def commands(transcript: str) -> Iterator[tuple[str, str]]:
    """Each command of a transcript with what it printed."""
    for part in re.split(r"(?m)^\$ ", transcript)[1:]:
        command, _, output = part.partition("\n")
        yield command, output


def run(command: str, expected: str) -> str:
    """What a command prints on a terminal, stdout and stderr in their order."""
    name, *arguments = shlex.split(command)
    if command.startswith("cervella chat"):
        return on_terminal([sys.executable, "-m", "cervella", *arguments], re.findall(r"(?m)^> (.*)$", expected))
    printed = io.StringIO()
    with contextlib.redirect_stdout(printed), contextlib.redirect_stderr(printed):
        if name == "cervella":
            main(arguments)
        elif name == "python":
            runpy.run_path(arguments[0], run_name="__main__")
        elif name == "mkdir":
            Path(arguments[0]).mkdir()
        elif name == "cd":
            os.chdir(arguments[0])
        else:
            raise AssertionError(f"a transcript has no command {name!r}")
    return printed.getvalue()


def on_terminal(command: list[str], typed: list[str]) -> str:
    """What stands on a terminal on which these lines are typed, each once it is asked for."""
    pty = pytest.importorskip("pty")
    outer, inner = pty.openpty()
    environment = {**os.environ, "TERM": "dumb", "XDG_STATE_HOME": str(Path.cwd().parent), "COLUMNS": "500"}
    process = subprocess.Popen(command, stdin=inner, stdout=inner, stderr=inner, env=environment)
    os.close(inner)
    seen, waiting, until = b"", list(typed), time.monotonic() + 60
    try:
        while time.monotonic() < until:
            if not select.select([outer], [], [], 0.1)[0]:
                if waiting and seen.endswith(b"> "):
                    os.write(outer, f"{waiting.pop(0)}\n".encode())
                continue
            try:
                piece = os.read(outer, 65536)
            except OSError:  # Linux says the end of a terminal so
                break
            if not piece:
                break
            seen += piece
        process.wait(timeout=10)
    finally:
        process.kill()
        process.wait()
        os.close(outer)
    return seen.decode().replace("\r\n", "\n").replace("\r", "")


def settled(text: str, folder: Path) -> str:
    """The text without what differs from day to day and from machine to machine."""
    today = language("it").format_date(datetime.date.today().isoformat())
    for pattern, instead in (
        (re.escape(str(folder)), "/home/you"),
        (r"\b\d+\.\d s\b", "0.4 s"),
        (re.escape(today), "22 novembre 2026"),
        (datetime.date.today().isoformat(), "2026-11-22"),
        (r"fingerprint [0-9a-f]{12}…", "fingerprint e838ef00661a…"),
        (r"(?m)^ok    cervella: .*$", "ok    cervella: 0.1.0, Python 3.11.7, Linux"),
        (r"[\d,]+ MB free", "75,000 MB free"),
        (r"\d{4}-\d\d-\d\d \d\d:\d\d UTC", "2026-11-22 12:00 UTC"),
    ):
        text = re.sub(pattern, instead, text)
    return text.strip("\n")


def test_every_link_between_pages_leads_somewhere() -> None:
    for page in PAGES:
        for token in MarkdownIt("commonmark").parse(page.read_text(encoding="utf-8")):
            for child in token.children or ():
                target = str(child.attrGet("href") or "")
                if target and not target.startswith(("http:", "https:", "#")):
                    assert (page.parent / target.partition("#")[0]).exists(), f"{page.name} links to {target}"


@pytest.mark.parametrize("name", MODULES)
def test_the_examples_of_docstrings_hold(name: str) -> None:
    result = doctest.testmod(importlib.import_module(name))
    assert result.failed == 0


def rewrite(page: Path) -> None:
    """Write what the commands of a page print now into it."""
    text, at = page.read_text(encoding="utf-8"), 0
    with tempfile.TemporaryDirectory() as name, contextlib.chdir(name):
        folder = Path(name).resolve()
        for _, command, expected, got in walk(page):
            at = text.index(f"$ {command}\n{expected}", at) + len(f"$ {command}\n")
            if settled(got, folder) != settled(expected, folder):
                told = f"{settled(got, folder)}\n".lstrip()
                text = text[:at] + told + text[at + len(expected) :]
    page.write_text(text, encoding="utf-8", newline="\n")


if __name__ == "__main__":
    os.environ["CERVELLA_KNOWLEDGE__EMBEDDER"] = "none"
    for one in TRANSCRIPTS:
        rewrite(one)
