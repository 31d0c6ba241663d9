"""Docs are executed: every Python block of the README and of docs/, and every example in a docstring."""

from __future__ import annotations

import doctest
import importlib
import pkgutil
from pathlib import Path

import pytest
from markdown_it import MarkdownIt

import cervella

ROOT = Path(__file__).resolve().parent.parent
PAGES = [ROOT / "README.md", *sorted((ROOT / "docs").rglob("*.md"))]
MODULES = [
    module.name
    for module in pkgutil.walk_packages(cervella.__path__, "cervella.")
    if module.name != "cervella.__main__"
]


def blocks(page: Path, info: str) -> list[tuple[int, str]]:
    """The fenced blocks of a language, with the line that each starts at."""
    tokens = MarkdownIt("commonmark").parse(page.read_text(encoding="utf-8"))
    return [(t.map[0] + 1, t.content) for t in tokens if t.type == "fence" and t.info == info and t.map]


PYTHON = [(page, line, code) for page in PAGES for line, code in blocks(page, "python")]


@pytest.mark.parametrize(
    ("page", "line", "code"), PYTHON, ids=[f"{page.relative_to(ROOT)}:{line}" for page, line, _ in PYTHON]
)
def test_every_python_block_runs(
    page: Path, line: int, code: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(ROOT)
    monkeypatch.setenv("CERVELLA_KNOWLEDGE__INDEX", str(tmp_path / "index"))
    monkeypatch.setenv("CERVELLA_KNOWLEDGE__EMBEDDER", "none")
    with cervella.Agent() as agent:
        agent.index()
    exec(compile("\n" * line + code, str(page), "exec"), {"__name__": "page"})


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
