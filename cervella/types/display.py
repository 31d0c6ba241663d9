"""Formats tables, answers and passages as markdown and HTML, for notebooks. Imports no other module of this package."""

from __future__ import annotations

import html
import re
from collections.abc import Iterable

_MAX_CHARACTERS = 60
"""Characters of one attribute that `short_repr` shows before it cuts."""


def short_repr(value: object, *names: str) -> str:
    """The class name of a value with the named attributes. Long texts are cut, collections are shown as their length.

    >>> from types import SimpleNamespace
    >>> short_repr(SimpleNamespace(text="a" * 99, marks=("F1", "F2")), "text", "marks")[-16:]
    "aa…', marks=<2>)"
    """
    shown = ", ".join(f"{name}={_short(getattr(value, name))}" for name in names)
    return f"{type(value).__name__}({shown})"


def _short(value: object) -> str:
    if isinstance(value, str):
        return repr(value if len(value) <= _MAX_CHARACTERS else f"{value[:_MAX_CHARACTERS]}…")
    if isinstance(value, (tuple, list, dict, frozenset)):
        return f"<{len(value)}>"
    shown = repr(value)
    return shown if len(shown) <= _MAX_CHARACTERS else f"{shown[:_MAX_CHARACTERS]}…"


def markdown_table(header: Iterable[object], rows: Iterable[Iterable[object]]) -> str:
    """A table as markdown. Pipes in cells are escaped and line breaks become spaces."""

    def line(cells: Iterable[object]) -> str:
        return "| " + " | ".join(" ".join(str(cell).replace("|", "\\|").split()) for cell in cells) + " |"

    head = [str(cell) for cell in header]
    return "\n".join([line(head), line("---" for _ in head), *map(line, rows)])


def html_table(header: Iterable[object], rows: Iterable[Iterable[object]]) -> str:
    """A table as HTML, with every cell escaped."""
    head = "".join(f"<th>{html.escape(str(cell))}</th>" for cell in header)
    body = "".join("<tr>" + "".join(f"<td>{html.escape(str(cell))}</td>" for cell in row) + "</tr>" for row in rows)
    return f"<table><thead><tr>{head}</tr></thead><tbody>{body}</tbody></table>"


def html_answer(text: str) -> str:
    """An answer as HTML paragraphs, with its text escaped: no markup in it is run and no link is fetched."""
    blocks = re.split(r"\n{2,}", text.strip())
    return "".join(f'<p style="white-space:pre-wrap">{html.escape(block)}</p>' for block in blocks)


def html_passage(text: str, start_line: int | None, quote: str = "") -> str:
    """A passage as HTML. The first occurrence of `quote` is highlighted, if it is given.

    The lines are numbered from `start_line`; if it is None, they have no numbers.
    """
    marked = html.escape(text)
    if quote.strip():
        marked = marked.replace(html.escape(quote), f"<mark>{html.escape(quote)}</mark>", 1)
    if start_line is None:
        return f'<pre style="margin:0;white-space:pre-wrap">{marked}</pre>'
    numbers = "\n".join(str(start_line + n) for n in range(text.count("\n") + 1))
    return (
        '<div style="display:flex;gap:1em;overflow-x:auto">'
        f'<pre style="opacity:.5;text-align:right;user-select:none;margin:0">{numbers}</pre>'
        f'<pre style="margin:0">{marked}</pre></div>'
    )


def html_details(summary: str, body: str) -> str:
    """A summary line that expands to `body`, which must be HTML."""
    return f"<details><summary>{html.escape(summary)}</summary>{body}</details>"
