"""Parsing that ends: a long file is parsed by a process that its own clock stops; then its lines are all there is.

Markdown that somebody built to keep a parser busy, or a program wrote without end, takes a parser minutes. Ordinary
files are parsed here and pay nothing.
"""

from __future__ import annotations

from types import MappingProxyType

from cervella.knowledge.documents.markdown import Block, Document, parse, split_lines
from cervella.knowledge.documents.workers import FAILURES, Worker, stopped_after

_ORDINARY = 50_000  # characters; what takes a parser longest takes well under a second up to here
# Of processor time; prose takes 0.1 s a million characters, lists ten times that.
_SECONDS, _SECONDS_PER_MILLION = 0.4, 1.1
_MANY_LINES, _SHORT = 5_000, 10  # more lines than that, of fewer characters on average, are no document
_HEAD_LINES, _HEAD = 30, 4_000  # what is looked at for the title and the header of a file that is not parsed


def is_ordinary(text: str) -> bool:
    """Whether a text is parsed without a clock."""
    return len(text) <= _ORDINARY


def budget_for(text: str) -> float:
    """Seconds of processor time that the parser may take for a text."""
    return _SECONDS + _SECONDS_PER_MILLION * len(text) / 1e6


def _is_no_document(text: str) -> str | None:
    lines = text.count("\n")
    if lines > _MANY_LINES and len(text) < _SHORT * lines:
        return "it has too many short lines to be a document, so it is cut by its lines"
    return None


def too_slow(budget_seconds: float) -> str:
    """Why a text that took longer than that is cut by its lines."""
    return f"it could not be parsed within {budget_seconds:.1f} s, so it is cut by its lines"


def parse_within(text: str, budget_seconds: float) -> tuple[Document, str | None]:
    """A text parsed here; where that takes too long, the system ends this process."""
    why = _is_no_document(text)
    if why:
        return plain(text), why
    if is_ordinary(text):
        return parse(text), None
    with stopped_after(budget_seconds):
        document = parse(text)
    return document, None


class SafeParser:
    """Parses texts, however they are made. Not thread-safe. Close it: a process may wait for more."""

    def __init__(self) -> None:
        self._worker = Worker()

    def close(self) -> None:
        """End the process, where there is one."""
        self._worker.close()

    def __enter__(self) -> SafeParser:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def parse(self, text: str, *, budget_seconds: float | None = None) -> tuple[Document, str | None]:
        """A file's text parsed; where that takes too long, its plain lines, and why.

        `budget_seconds` of processor time hold for texts of more than 50,000 characters; by default they are 0.4
        and 1.1 for each million characters.
        """
        if _is_no_document(text) or is_ordinary(text):
            return parse_within(text, 0.0)
        budget = budget_for(text) if budget_seconds is None else budget_seconds
        try:
            parsed = self._worker.call(f"{__name__}:_parsed", text, budget, budget_seconds=budget)
        except FAILURES:
            return plain(text), too_slow(budget)
        blocks, title, header = parsed
        return Document(
            lines=tuple(split_lines(text)), blocks=blocks, title=title, header=MappingProxyType(header)
        ), None


def _parsed(text: str, budget_seconds: float) -> tuple[tuple[Block, ...], str, dict[str, str]]:
    """A document without its lines, as the process gives it."""
    with stopped_after(budget_seconds):
        document = parse(text)
    return document.blocks, document.title, dict(document.header)


def plain(text: str) -> Document:
    """A document of one block, which the chunker cuts at its lines; title and header as its first lines give them."""
    lines = split_lines(text)
    head = parse("\n".join(lines[:_HEAD_LINES])[:_HEAD])
    filled = [number for number, line in enumerate(lines, start=1) if line.strip()]
    blocks = (Block(kind="paragraph", start_line=filled[0], end_line=filled[-1]),) if filled else ()
    return Document(lines=tuple(lines), blocks=blocks, title=head.title, header=head.header)
