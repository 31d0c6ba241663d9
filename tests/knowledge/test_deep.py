"""Text that is nested by the thousand: it is indexed, found, asked about, reviewed and shown, and nothing recurses."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from cervella import Agent

N = 3_000
DEEP = {
    "wiki links": "[[" * N,
    "wiki links that end": "[[" * N + "x" + "]]" * N,
    "brackets": "[" * N + "x" + "]" * N,
    "images": "![" * N + "x" + "](u)" * N,
    "parentheses": "(" * N + ")" * N,
    "quotes": ">" * N + " x",
    "lists": "".join(f"{'  ' * depth}- a\n" for depth in range(800)),
    "emphases": "*a _b " * N + "*" * N + "x" + "*" * N,
    "tags": "<div>" * N + "x" + "</div>" * N + "<b><i>" * N,
    "tables in tables": "<table><tr><td>" * 1_000 + "x",
    "callouts": "\n".join("> " * depth + "[!note] t" for depth in range(1, 300)),
    "YAML in brackets": "---\na: " + "[" * N + "]" * N + "\n---\nx",
    "YAML in braces": "---\na: " + "{a: " * N + "1" + "}" * N + "\n---\nx",
    "YAML by lines": "---\n" + "".join(f"{'  ' * depth}a{depth}:\n" for depth in range(900)) + "---\nx",
    "TOML": "+++\na = " + "[" * N + "]" * N + "\n+++\nx",
    "JSON": '{"a": ' * N + "1" + "}" * N,
    "footnotes in a circle": "".join(f"[^{n}]: vedi [^{(n + 1) % 2000}]\n\n" for n in range(2_000)) + "x[^0]",
    "a footnote of itself": "a[^1]\n\n[^1]: b[^1] [^1]",
    "quotations": "«" * N + "x" + "»" * N + "\"'" * N,
    "templates": "{{" * N + "}}" * N + "${" * N + "{{< " * N,
    "code": "`" * N + "``" * N,
    "fields": "".join(f"{':' * (depth + 3)} a\n" for depth in range(600)),
}


@pytest.fixture
def home(isolated: Path) -> Path:
    (isolated / "note").mkdir()
    (isolated / "anima.md").write_text("# Cervella\n\n- nome: Cervella\n\nCalma.\n", encoding="utf-8")
    (isolated / "cervella.toml").write_text(
        'brain = "extractive"\n[soul]\nconstitution = "anima.md"\n[knowledge]\nfolder = "note"\nembedder = "none"\n'
    )
    return isolated


def test_text_that_is_nested_by_the_thousand_goes_through_every_room(home: Path) -> None:
    for name, text in DEEP.items():
        (home / "note" / f"{name}.md").write_text(f"{text}\n\nIl lancio è rinviato al 20 gennaio 2026.\n")
    with Agent() as agent:
        report = agent.index()
        assert report.files_indexed == len(DEEP)
        for text in DEEP.values():
            agent.search(text)
            reply = agent.ask(f"{text[:5_000]} quando è rinviato il lancio?")
            agent.review(f"{text} Il lancio è rinviato al 21 gennaio [F1].", question="Quando?")
            shown = replace(reply, text=text)
            assert shown._repr_markdown_()
            assert shown._repr_html_()
