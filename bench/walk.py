"""The tutorial walked word for word, as a newcomer does: an empty folder, an environment of its own, each step timed.

`python -m bench.walk` runs the page's commands with what the page itself installs; `--notebook` runs the same steps as
cells, through nbclient, in an environment that has the extra `notebook` too. What a command prints is held against the
page. Not part of the test suite: it installs from the package index.
"""

from __future__ import annotations

import argparse
import contextlib
import json
import os
import re
import shlex
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

from bench import ROOT
from tests.house.test_docs import blocks, commands, on_terminal, settled, write

PAGE = ROOT / "docs" / "tutorial" / "first-hour.md"
CHECKOUT = "/path/to/cervella"
WORDS_ONLY = "CERVELLA_KNOWLEDGE__EMBEDDER"
Step = tuple[str, str, str]
"""What to do (`shell`, `write` or `run`), the command or path, what it prints or holds."""


def steps(page: Path) -> Iterator[Step]:
    for _, info, text in blocks(page):
        if title := re.search(r'title="([^"]+)"', info):
            yield "write", title[1], text
        elif info == "sh":
            yield from (("shell", line.replace(CHECKOUT, str(ROOT)), "") for line in text.splitlines())
        elif info == "console":
            yield from (("run", command, expected) for command, expected in commands(text))


def on_command_line() -> bool:
    """Every step in its order, with its seconds; whether every output is the page's."""
    folder, same, total = Path.cwd(), True, 0.0
    for what, name, text in steps(PAGE):
        started, printed = time.perf_counter(), ""
        if what == "write":
            write(Path(name), text)
        elif name.startswith(". "):  # an activated environment is its folder of programs, first in PATH
            os.environ["PATH"] = f"{folder / '.venv' / 'bin'}{os.pathsep}{os.environ['PATH']}"
        elif name.startswith("cd "):
            os.chdir(name.removeprefix("cd "))
        elif name.startswith("cervella chat"):
            printed = on_terminal(shlex.split(name), re.findall(r"(?m)^> (.*)$", text))
        else:
            printed = output(name)
        seconds = time.perf_counter() - started
        total += seconds
        good = what != "run" or settled(printed, folder) == settled(text, folder)
        same &= good
        print(f"{seconds:7.1f} s  {'' if good else 'DIFFERS  '}{'write ' if what == 'write' else ''}{name}", flush=True)
        if not good:
            print(printed)
    print(f"{total:7.1f} s  in all, reading and typing apart")
    return same


def output(command: str) -> str:
    """What a command prints; it has to succeed."""
    pipes = {"stdout": subprocess.PIPE, "stderr": subprocess.STDOUT}
    done = subprocess.run(command, shell=True, check=False, encoding="utf-8", **pipes)
    if done.returncode:
        raise SystemExit(f"{command} gave {done.returncode}:\n{done.stdout}")
    return done.stdout


def in_notebook() -> bool:
    """The same steps as cells of one notebook; whether every output is the page's."""
    output("python3 -m venv .venv")
    python = Path.cwd() / ".venv" / "bin" / "python"
    output(f"{python} -m pip install --quiet '{ROOT}[embedded,notebook]' nbclient")
    Path("walk.py").write_text(_NOTEBOOK, encoding="utf-8")
    cells, told = [], []
    for what, name, text in steps(PAGE):
        if what == "write" and name.endswith(".toml"):  # the page gives the lines that change
            key, value = text.strip().split(" = ", 1)
            cells.append(f"!sed -i.old 's/^{key} = .*/{key} = {value}/' {name}")
        elif what == "write":
            cells.append(
                f"from pathlib import Path\nfile = Path({name!r})\nfile.parent.mkdir(parents=True, exist_ok=True)"
            )
            cells.append(f"%%writefile {name}\n{text}")
        elif what == "run" and name.startswith("cd "):
            cells.append(f"%{name}")
        elif what == "run" and name.startswith("cervella chat"):  # there is no terminal: the lines come by a pipe
            lines = "\\n".join(re.findall(r"(?m)^> (.*)$", text))
            cells.append(f'!printf "{lines}\\n" | {name}')
        elif what == "run":
            cells.append(f"!{name}")
        told += [None] * (len(cells) - len(told) - 1)
        plain = what == "run" and not name.startswith(("cd ", "cervella chat"))  # %cd says where it is
        told += [text if plain else None] * (len(cells) - len(told))
    os.environ["PATH"] = f"{python.parent}{os.pathsep}{os.environ['PATH']}"
    ran = subprocess.run(
        [python, "walk.py"], input=json.dumps(cells), capture_output=True, check=False, encoding="utf-8"
    )
    if ran.returncode:
        raise SystemExit(ran.stderr)
    same = True
    for (seconds, printed), cell, text in zip(json.loads(ran.stdout), cells, told, strict=True):
        good = text is None or settled(printed.replace("\r", ""), Path.cwd()) == settled(text, Path.cwd())
        same &= good
        print(f"{seconds:7.1f} s  {'' if good else 'DIFFERS  '}{cell.splitlines()[0]}")
        if not good:
            print(printed)
    return same


_NOTEBOOK = """
import json, sys, time, nbclient, nbformat
cells = json.load(sys.stdin)
book = nbformat.v4.new_notebook(cells=[nbformat.v4.new_code_cell(cell) for cell in cells])
client = nbclient.NotebookClient(book, timeout=600, kernel_name="python3")
results = []
with client.setup_kernel():
    for number, cell in enumerate(book.cells):
        started = time.perf_counter()
        client.execute_cell(cell, number)
        text = "".join(output.get("text", "") for output in cell.outputs)
        results.append((time.perf_counter() - started, text))
print(json.dumps(results))
"""


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--notebook", action="store_true", help="the same steps in a notebook")
    parser.add_argument("--embedder", action="store_true", help="with the embedder: outputs then differ from the page")
    given = parser.parse_args()
    if not given.embedder:
        os.environ[WORDS_ONLY] = "none"
    os.environ.pop("PYTHONPATH", None)
    with tempfile.TemporaryDirectory() as name, contextlib.chdir(name):
        sys.exit(0 if (in_notebook if given.notebook else on_command_line)() else 1)
