"""Splits a text into parts that can be quoted: sentences, table rows, headings, lines of code fences and boxes."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from functools import lru_cache

from cervella.text.language import Language
from cervella.text.markdown import fence_of, is_ruled

_BLANK = re.compile(r"^\W*$")
_ITEM = re.compile(r"^\s*(?:>\s*)*(?:[-*+•]|\d{1,3}[.)])\s+(?:\[[ xX]\]\s+)?")
_HEADING = re.compile(r"^\s{0,3}#{1,6}\s+")
_QUOTE_SIGNS = re.compile(r"^\s*(?:>\s?)+")
_BOX_EDGE = re.compile(r"^[\s|│┃║+*]+|[\s|│┃║+*]+$")
_BOX = re.compile(r"[│┃║┌┐└┘├┤═─╔╗╚╝]|^\s*[|+].*[|+]\s*$")


@dataclass(frozen=True, slots=True)
class Quotable:
    """A part of a text that can be quoted: `text[start:end]`."""

    start: int
    end: int
    kind: str
    """`sentence`, `row` (of a table), `line` (of a code fence, or of a box drawn with characters) or `heading`."""
    block: int
    """The number of the paragraph, list item, table or fence that contains it. Parts of one block have one number."""


@lru_cache(maxsize=512)
def quotables(text: str, lang: Language) -> tuple[Quotable, ...]:
    """The parts of a text that can be quoted, in order.

    Each is a verbatim part of the text, and excludes list markers, the `>` of quotations, the rules of tables and the
    edges of boxes. `lang` decides where a sentence ends.
    """
    return tuple(_parts(text, lang))


def _parts(text: str, lang: Language) -> Iterator[Quotable]:
    """Yields the parts, read line by line.

    No CommonMark parser is used, because a passage may begin in the middle of a table or of a fence.
    """
    fence = ""
    block = position = 0
    paragraph: tuple[int, int] | None = None
    in_table = False
    for line in text.split("\n"):
        start, end = position, position + len(line)
        position = end + 1
        signs = fence_of(line)
        blank, row = _BLANK.match(line), _is_row(line)
        structural = fence or signs or blank or row or _HEADING.match(line) or _ITEM.match(line)
        if paragraph and structural:
            yield from _sentences(text, paragraph, lang, block)
            paragraph = None
        table_row = row and not fence and not signs
        if structural and not (table_row and in_table) and not (fence and not signs):
            block += 1
        in_table = table_row
        if signs and not fence:
            fence = signs
        elif signs and signs.startswith(fence) and not line.strip(" `~"):
            fence = ""
        elif blank:
            continue
        elif fence:
            yield _trimmed(text, start, end, "line", block)
        elif row:
            if not is_ruled(line):
                yield _trimmed(text, start, end, "row" if line.lstrip().startswith("|") else "line", block)
        elif match := _HEADING.match(line):
            yield Quotable(start + match.end(), start + len(line.rstrip(" #")), "heading", block)
        elif match := _ITEM.match(line):
            paragraph = (start + match.end(), end)
        elif paragraph:
            paragraph = (paragraph[0], end)
        else:
            block += 1
            quote = _QUOTE_SIGNS.match(line)
            paragraph = (start + (quote.end() if quote else 0), end)
    if paragraph:
        yield from _sentences(text, paragraph, lang, block)


def _is_row(line: str) -> bool:
    stripped = line.strip()
    return (stripped.startswith("|") and stripped.count("|") >= 2) or bool(_BOX.search(line))


def _trimmed(text: str, start: int, end: int, kind: str, block: int) -> Quotable:
    """The line `text[start:end]` without its indentation. A box line loses its edges, a row keeps its pipes."""
    line = text[start:end]
    if kind == "row":
        return Quotable(start + len(line) - len(line.lstrip()), start + len(line.rstrip()), kind, block)
    inner = _BOX_EDGE.sub("", line) if _BOX.search(line) else line.strip()
    offset = line.find(inner)
    return Quotable(start + offset, start + offset + len(inner), kind, block)


def _sentences(text: str, span: tuple[int, int], lang: Language, block: int) -> Iterator[Quotable]:
    start, end = span
    for first, last in lang.sentences(text[start:end]):
        yield Quotable(start + first, start + last, "sentence", block)
