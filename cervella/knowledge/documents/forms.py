"""Tells a document that somebody fills in, such as a template for minutes, from one that is about templates."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from itertools import islice

from cervella.knowledge.documents.markdown import Block, Document

_MOST_LINES, _LONGEST = 300, 500  # lines, and characters of each, that are read
_ENOUGH = 2
_CODE = re.compile(r"`[^`]*`")
_SIGN = re.compile(r"\{\{(?![<%])[^{}]{1,80}\}\}|<%[^%]{1,200}%>")
_PLACE = re.compile(
    r"(?<![\]\w!\[])\[[^\W\d_][^\[\]]{1,80}\](?![(\[:\w])"  # [Name]
    r"|_{4,}|\.{5,}|…{2,}|\b(?:YYYY|AAAA|JJJJ)[-/.]MM\b|\bNNN\b|\bXXX+\b"
)
_FIELD = re.compile(r"[ \t>]*(?:[-*+][ \t]+)?[*_]{0,3}[^\W\d_][^:*_`,;.]{0,30}[*_]{0,3}:[*_ \t]*")
_NEXT = re.compile(r"[ \t>]*#|-{3}")


def is_form(document: Document) -> bool:
    """Whether a document has places to fill in: signs of a program for templates, or at least two other places.

    Such places are words in brackets, lines to write on, the letters of a date, and fields without a value. Code has
    none, because documentation shows templates there.
    """
    lines = list(islice(_prose(document), _MOST_LINES))
    if any(map(_SIGN.search, lines)):
        return True
    return sum(len(_PLACE.findall(line)) for line in lines) + _empty_fields(lines) >= _ENOUGH


def _empty_fields(lines: Sequence[str]) -> int:
    """How many lines have a key and nothing else: `Present:`, with another key, a heading or the end below."""
    filled = [line for line in lines if line.strip()]
    below = [*filled[1:], "---"]
    return sum(
        _FIELD.fullmatch(line) is not None and (_NEXT.match(after) is not None or _FIELD.fullmatch(after) is not None)
        for line, after in zip(filled, below, strict=False)
    )


def _prose(document: Document) -> Iterator[str]:
    """Yields the lines of the file, front matter included, with "`" in place of code."""
    code = set(_code(document.blocks))
    for number, line in enumerate(document.lines, start=1):
        yield "`" if number in code else _CODE.sub("`", line[:_LONGEST])


def _code(blocks: Sequence[Block]) -> Iterator[int]:
    waiting = list(blocks)
    while waiting:
        block = waiting.pop()
        waiting += block.children
        if block.kind == "fence":
            yield from range(block.start_line, block.end_line + 1)
