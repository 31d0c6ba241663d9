"""Parses markdown within a time limit.

Hostile or generated markdown can take a parser minutes. A long file is therefore parsed in a worker process, which the
system ends at the limit; the file is then split by lines only. Short files are parsed in this process. See cutting.py
for the limit of all steps together.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import fields, replace
from types import MappingProxyType
from typing import Any

from cervella.knowledge.documents.front_matter import FrontMatter, front_matter
from cervella.knowledge.documents.markdown import Block, Document, body_of, parse, split_lines
from cervella.knowledge.documents.workers import FAILURES, Worker, stopped_after

_ORDINARY = 50_000  # characters up to which any text is parsed in less than a second
# Limit of processor time: seconds, plus seconds per million characters. Prose takes 0.1 s per million, lists 1 s.
_SECONDS, _SECONDS_PER_MILLION = 0.4, 1.1
_ALL_SECONDS, _ALL_SECONDS_PER_MILLION = 5.0, 20.0  # the same for all steps, which take about 3 s per million
_MANY_LINES, _SHORT = 5_000, 10  # a file with more lines, and fewer characters per line, is not parsed
_LONGEST_TITLE = 400  # characters of the title of a text that could not be read
_HEAD_LINES, _HEAD = 30, 4_000  # of other files, so many lines and characters below front matter are parsed


def budget_for(text: str) -> float:
    """The time limit for parsing a text, in seconds of processor time."""
    return _SECONDS + _SECONDS_PER_MILLION * len(text) / 1e6


def _is_no_document(text: str) -> str | None:
    lines = text.count("\n")
    if lines > _MANY_LINES and len(text) < _SHORT * lines:
        return "it has too many short lines to be a document, so it is cut by its lines"
    return None


def budget_for_cutting(text: str) -> float:
    """The time limit for all that is done with a text: parsing, reading, chunking and its terms, in the same unit."""
    return _ALL_SECONDS + _ALL_SECONDS_PER_MILLION * len(text) / 1e6


def too_slow(budget_seconds: float) -> str:
    """The reason, shown in the report of an update, why a file was not parsed: parsing exceeded the time limit."""
    return f"it could not be parsed within {budget_seconds:.1f} s, so it is cut by its lines"


def parse_within(text: str, budget_seconds: float) -> tuple[Document, str | None]:
    """Parse a text in this process. If parsing takes longer than the limit, the system ends the process.

    Returns the document, then the reason why it was split by lines only, or None if it was parsed.
    """
    why = _is_no_document(text)
    if why:
        return plain(text), why
    if len(text) <= _ORDINARY:
        return parse(text), None
    with stopped_after(budget_seconds):
        document = parse(text)
    return document, None


class SafeParser:
    """Parses texts within a time limit. Not thread-safe. Close it to end its worker process."""

    def __init__(self) -> None:
        self._worker = Worker()

    def close(self) -> None:
        """End the worker process, if there is one."""
        self._worker.close()

    def __enter__(self) -> SafeParser:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def parse(self, text: str, *, budget_seconds: float | None = None) -> tuple[Document, str | None]:
        """Parse a text. Returns the document, then the reason why it was split by lines only, or None if it was parsed.

        The limit is in seconds of processor time and applies to texts of more than 50,000 characters. The default is
        0.4 s plus 1.1 s per million characters.
        """
        if _is_no_document(text) or len(text) <= _ORDINARY:
            return parse_within(text, 0.0)
        budget = budget_for(text) if budget_seconds is None else budget_seconds
        try:
            parsed = self._worker.call(f"{__name__}:_parsed", text, budget, budget_seconds=budget)
        except FAILURES:
            return plain(text), too_slow(budget)
        document = Document(**{**parsed, "header": MappingProxyType(parsed["header"])}, lines=tuple(split_lines(text)))
        return document, None


def _parsed(text: str, budget_seconds: float) -> dict[str, Any]:
    """Parse a text in a worker process. Returns the fields of the document by their names.

    The lines are left out to send less data; the caller has them already.
    """
    with stopped_after(budget_seconds):
        document = parse(text)
    made = {one.name: getattr(document, one.name) for one in fields(document) if one.name != "lines"}
    return {**made, "header": dict(document.header)}


def plain(text: str) -> Document:
    """The document for a text that is not parsed: one paragraph from the first to the last non-blank line.

    Only its front matter and the first lines after it are parsed, for the title and the header.
    """
    lines = split_lines(text)
    front = front_matter(lines).lines
    head = parse("\n".join((*lines[:front], "\n".join(lines[front : front + _HEAD_LINES])[:_HEAD])))
    body, absorbed = body_of(lines, head.front)
    return replace(head, lines=tuple(lines), body=body, absorbed=absorbed, blocks=_one_paragraph(body))


def bare(text: str) -> Document:
    """The document for a text that could not be read: its lines as they are, as one paragraph, front matter included.

    Its title is the first line with the sign of a heading.
    """
    lines = tuple(split_lines(text))
    titles = (line.lstrip("#").strip()[:_LONGEST_TITLE] for line in lines if line.startswith("#"))
    return Document(
        lines=lines,
        body=lines,
        blocks=_one_paragraph(lines),
        title=next(filter(None, titles), ""),
        named=False,
        header=MappingProxyType({}),
        front=FrontMatter(),
    )


def _one_paragraph(lines: Sequence[str]) -> tuple[Block, ...]:
    filled = [number for number, line in enumerate(lines, start=1) if line.strip()]
    return (Block(kind="paragraph", start_line=filled[0], end_line=filled[-1]),) if filled else ()
