"""Plain strings to markdown and HTML; imports nothing of ours."""

from __future__ import annotations

import html
from collections.abc import Iterable

__all__ = ["html_table", "markdown_quote"]


def markdown_quote(text: str) -> str:
    """A text as a markdown block quote."""
    return "\n".join(f"> {line}".rstrip() for line in text.split("\n"))


def html_table(header: Iterable[object], rows: Iterable[Iterable[object]]) -> str:
    """A table as HTML, every cell escaped."""
    head = "".join(f"<th>{html.escape(str(cell))}</th>" for cell in header)
    body = "".join("<tr>" + "".join(f"<td>{html.escape(str(cell))}</td>" for cell in row) + "</tr>" for row in rows)
    return f"<table><thead><tr>{head}</tr></thead><tbody>{body}</tbody></table>"
