"""Splits a text into parts that can be quoted: sentences, table rows, headings, lines of code fences and boxes."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from functools import lru_cache

from cervella.text.language import Language
from cervella.text.markdown import fence_of, is_ruled, math_end

_BLANK = re.compile(r"^\W*$")
_ITEM = re.compile(r"^\s*(?:>\s*)*(?:[-*+•]|\d{1,3}[.)])\s+(?:\[[ xX]\]\s+)?")
_HEADING = re.compile(r"^\s{0,3}#{1,6}\s+")
_UNDERLINE = re.compile(r"^ {0,3}(?:=+|-{2,})[ \t]*$")
_DEFINITION = re.compile(r"^ {0,3}:[ \t]+(?=\S)")
_QUOTE_SIGNS = re.compile(r"^\s*(?:>\s?)+")
_BOX_EDGE = re.compile(r"^[\s|│┃║+*]+|[\s|│┃║+*]+$")
_BOX = re.compile(r"[│┃║┌┐└┘├┤═─╔╗╚╝]|^\s*[|+].*[|+]\s*$")
_TAB = 4
_DEEPEST = 12
"""Maximum levels of a list whose items are the `above` of an item. Deeper items count as one level."""
_LONGEST_TERM = 200
"""Maximum characters of a paragraph that a definition (`: …`) below it explains."""


@dataclass(frozen=True, slots=True)
class Quotable:
    """A part of a text that can be quoted: `text[start:end]`."""

    start: int
    end: int
    kind: str
    """`sentence`, `row` (of a table), `line` (of a code fence, a formula, or a box of characters) or `heading`."""
    block: int
    """The number of the paragraph, list item, table or fence that contains it. Parts of one block have one number."""
    above: tuple[tuple[int, int], ...] = ()
    """The first lines of the list items that contain it, outermost first, as `text[start:end]`.

    For a definition (`: …`) it is the term. An item does not contain itself.
    """
    formula: bool = False
    """Whether it is a line of a formula over several lines."""


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
    in_table = item = False
    outline = _Outline()
    lines = text.split("\n")
    formula = 0  # the line after the formula that is open
    for place, line in enumerate(lines):
        start, end = position, position + len(line)
        position = end + 1
        if not fence and place >= formula and (more := math_end(line.strip(), _stripped(lines, place + 1))) is not None:
            formula = place + more + 1
            if paragraph:
                yield from _sentences(text, paragraph, lang, block, outline.above)
            paragraph, in_table = None, False
            block += 1
        if place < formula:
            if not _BLANK.match(line):
                yield replace(_trimmed(text, start, end, "line", block), formula=True)
            continue
        signs = fence_of(line)
        blank, row = _BLANK.match(line), _is_row(line)
        defines = None if fence or signs else _DEFINITION.match(line)
        defines = defines if defines and (outline.term or (paragraph and _may_be_term(paragraph))) else None
        structural = fence or signs or blank or row or defines or _HEADING.match(line) or _ITEM.match(line)
        underlined = paragraph and structural and not item and _UNDERLINE.match(line)  # below an item it is a rule
        if paragraph and underlined and _is_title(text[slice(*paragraph)], line):
            outline.leave()
            yield Quotable(paragraph[0], paragraph[0] + len(text[slice(*paragraph)].rstrip()), "heading", block)
            paragraph = None
            continue
        if paragraph and structural:
            term = None
            if defines and outline.term and (cut := text.rfind("\n", *paragraph)) > 0 and text[cut + 1] not in " \t":
                paragraph, term = (paragraph[0], cut), (cut + 1, paragraph[1])  # the next term, without a blank line
            yield from _sentences(text, paragraph, lang, block, outline.above)
            if term:
                block += 1
                yield from _sentences(text, term, lang, block, ())
                outline.term = term
            elif not outline.above:
                outline.term = paragraph if _may_be_term(paragraph) else None
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
            outline.leave()
            yield Quotable(start + match.end(), start + len(line.rstrip(" #")), "heading", block)
        elif defines:
            outline.define()
            paragraph, item = (start + defines.end(), end), False
        elif match := _ITEM.match(line):
            paragraph, item = (start + match.end(), end), True
            outline.enter(_width(line[: match.end()]), paragraph)
        elif paragraph:
            paragraph = (paragraph[0], end)
        else:
            block += 1
            quote = _QUOTE_SIGNS.match(line)
            paragraph, item = (start + (quote.end() if quote else 0), end), False
            outline.text(_width(line))
    if paragraph:
        yield from _sentences(text, paragraph, lang, block, outline.above)


def _stripped(lines: Sequence[str], first: int) -> Iterator[str]:
    return (lines[place].strip() for place in range(first, len(lines)))


class _Outline:
    """The list items, or the term of a definition, above the line that is read."""

    def __init__(self) -> None:
        self._items: list[tuple[int, tuple[int, int]]] = []  # the column of each open item's marker, and its text
        self.above: tuple[tuple[int, int], ...] = ()
        self.term: tuple[int, int] | None = None
        """The last paragraph, if a definition may follow it."""

    def leave(self) -> None:
        """A heading or unindented text ends all lists and definitions."""
        self._items.clear()
        self.above, self.term = (), None

    def enter(self, column: int, item: tuple[int, int]) -> None:
        """An item begins whose marker stands in a column, counted from 0."""
        while self._items and (self._items[-1][0] >= column or len(self._items) > _DEEPEST):
            self._items.pop()
        self.above, self.term = tuple(span for _, span in self._items), None
        self._items.append((column, item))

    def text(self, column: int) -> None:
        """A paragraph begins after a blank line: it belongs to the items that it is indented under."""
        while self._items and self._items[-1][0] >= column:
            self._items.pop()
        self.above, self.term = tuple(span for _, span in self._items), None

    def define(self) -> None:
        """A definition of the term begins."""
        self._items.clear()
        self.above = (self.term,) if self.term else ()


def _is_title(paragraph: str, underline: str) -> bool:
    """Whether a line of `=` or `-` makes the paragraph above it a heading.

    Dashes below a sentence were more likely meant as a rule.
    """
    if "\n" in paragraph or len(paragraph) > _LONGEST_TERM:
        return False
    return "=" in underline or not paragraph.rstrip().endswith((".", ":", ";", "!", ",", "**"))


def _width(line: str) -> int:
    """The column of the first character of a line that is no space, tab or `>`, counted from 0."""
    column = 0
    for character in line:
        if character == "\t":
            column += _TAB - column % _TAB
        elif character in " >":
            column += 1
        else:
            break
    return column


def _may_be_term(paragraph: tuple[int, int]) -> bool:
    return paragraph[1] - paragraph[0] <= _LONGEST_TERM


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


def _sentences(
    text: str, span: tuple[int, int], lang: Language, block: int, above: tuple[tuple[int, int], ...]
) -> Iterator[Quotable]:
    start, end = span
    for first, last in lang.sentences(text[start:end]):
        yield Quotable(start + first, start + last, "sentence", block, above)
