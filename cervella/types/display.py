"""Plain strings to markdown and HTML, for notebooks; imports nothing of ours."""

from __future__ import annotations

import html
import re
from collections.abc import Iterable

_LONGEST = 60


def short_repr(value: object, *names: str) -> str:
    """A value's class with some of its attributes: long texts cut, several things only counted.

    >>> from types import SimpleNamespace
    >>> short_repr(SimpleNamespace(text="a" * 99, marks=("F1", "F2")), "text", "marks")[-16:]
    "aa…', marks=<2>)"
    """
    shown = ", ".join(f"{name}={_short(getattr(value, name))}" for name in names)
    return f"{type(value).__name__}({shown})"


def _short(value: object) -> str:
    if isinstance(value, str):
        return repr(value if len(value) <= _LONGEST else f"{value[:_LONGEST]}…")
    if isinstance(value, (tuple, list, dict, frozenset)):
        return f"<{len(value)}>"
    shown = repr(value)
    return shown if len(shown) <= _LONGEST else f"{shown[:_LONGEST]}…"


def markdown_table(header: Iterable[object], rows: Iterable[Iterable[object]]) -> str:
    """A table as markdown, its cells kept in their places."""

    def line(cells: Iterable[object]) -> str:
        return "| " + " | ".join(" ".join(str(cell).replace("|", "\\|").split()) for cell in cells) + " |"

    head = [str(cell) for cell in header]
    return "\n".join([line(head), line("---" for _ in head), *map(line, rows)])


def html_table(header: Iterable[object], rows: Iterable[Iterable[object]]) -> str:
    """A table as HTML, every cell escaped."""
    head = "".join(f"<th>{html.escape(str(cell))}</th>" for cell in header)
    body = "".join("<tr>" + "".join(f"<td>{html.escape(str(cell))}</td>" for cell in row) + "</tr>" for row in rows)
    return f"<table><thead><tr>{head}</tr></thead><tbody>{body}</tbody></table>"


def html_answer(text: str) -> str:
    """An answer as HTML: its text as it stands, its blocks apart. What it holds is shown, never run or fetched."""
    blocks = re.split(r"\n{2,}", text.strip())
    return "".join(f'<p style="white-space:pre-wrap">{html.escape(block)}</p>' for block in blocks)


def html_passage(text: str, start_line: int, quote: str = "") -> str:
    """Lines with their numbers, the quoted words marked."""
    marked = html.escape(text)
    if quote.strip():
        marked = marked.replace(html.escape(quote), f"<mark>{html.escape(quote)}</mark>", 1)
    numbers = "\n".join(str(start_line + n) for n in range(text.count("\n") + 1))
    return (
        '<div style="display:flex;gap:1em;overflow-x:auto">'
        f'<pre style="opacity:.5;text-align:right;user-select:none;margin:0">{numbers}</pre>'
        f'<pre style="margin:0">{marked}</pre></div>'
    )


def html_details(summary: str, body: str) -> str:
    """A line that unfolds; `body` is HTML already."""
    return f"<details><summary>{html.escape(summary)}</summary>{body}</details>"
