"""A text in pieces that can be quoted, and what it puts in quotation marks.

The pieces are the sentences of its prose and lists, the rows of its tables, the lines of its fences and
boxes.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from functools import lru_cache

from cervella.text.language import Language, fold

__all__ = ["Quotable", "normal", "quotables", "quotations", "stands"]

_FENCE = re.compile(r"^\s{0,3}(`{3,}|~{3,})")
_RULE = re.compile(r"^[^\w]*$")
_TABLE_RULE = re.compile(r"^\s*\|?[\s:|+=-]+\|?\s*$")
_ITEM = re.compile(r"^\s*(?:>\s*)*(?:[-*+•]|\d{1,3}[.)])\s+(?:\[[ xX]\]\s+)?")
_HEADING = re.compile(r"^\s{0,3}#{1,6}\s+")
_QUOTE_MARK = re.compile(r"^\s*(?:>\s?)+")
_BOX_EDGE = re.compile(r"^[\s|│┃║+*]+|[\s|│┃║+*]+$")
_BOX = re.compile(r"[│┃║┌┐└┘├┤═─╔╗╚╝]|^\s*[|+].*[|+]\s*$")
_QUOTATION = re.compile(r"«([^«»]+)»|“([^“”]+)”|„([^„“”]+)[“”]|\"([^\"]{1,400})\"|‘([^‘’]+)’(?!\w)")
_ELLIPSIS = re.compile(r"\[\s*(?:…|\.{3})\s*\]|\(\s*(?:…|\.{3})\s*\)|…|\.{3}")


@dataclass(frozen=True, slots=True)
class Quotable:
    """A piece of a text that can be quoted: `text[start:end]`."""

    start: int
    end: int
    kind: str
    """`sentence`, `row`, `line` (of a fence or a box), `heading`."""
    block: int
    """Those of one paragraph, item, table or fence share a number."""


@lru_cache(maxsize=512)
def quotables(text: str, lang: Language) -> tuple[Quotable, ...]:
    """The quotable pieces of a text, in order: sentences, table rows, lines of fences and boxes, headings.

    Each is a stretch of the text as it stands; markers of lists and quotes, ruled lines and box edges belong to none.
    """
    return tuple(_pieces(text, lang))


def _pieces(text: str, lang: Language) -> Iterator[Quotable]:
    fence: str | None = None
    block = 0
    paragraph: tuple[int, int] | None = None
    position = 0
    in_table = False
    for line in text.split("\n"):
        start, end = position, position + len(line)
        position = end + 1
        opening = _FENCE.match(line)
        structural = (
            fence is not None
            or opening
            or _RULE.match(line)
            or _is_row(line)
            or _HEADING.match(line)
            or _ITEM.match(line)
        )
        if paragraph and structural:
            yield from _sentences(text, paragraph, lang, block)
            paragraph = None
        row = fence is None and not opening and _is_row(line)
        if structural and not (row and in_table):  # the rows of one table are one block
            block += 0 if (fence is not None and not opening) else 1
        in_table = row
        if opening and fence is None:
            fence = opening.group(1)
        elif opening and fence is not None and opening.group(1).startswith(fence) and not line.strip(" `~"):
            fence = None
        elif _RULE.match(line):
            continue
        elif fence is not None:
            yield _trimmed(text, start, end, "line", block)
        elif _is_row(line):
            if not _TABLE_RULE.match(line):
                yield _trimmed(text, start, end, "row" if line.lstrip().startswith("|") else "line", block)
        elif match := _HEADING.match(line):
            yield Quotable(start + match.end(), start + len(line.rstrip(" #")), "heading", block)
        elif match := _ITEM.match(line):
            paragraph = (start + match.end(), end)
        elif paragraph:
            paragraph = (paragraph[0], end)
        else:
            block += 1
            quote = _QUOTE_MARK.match(line)
            paragraph = (start + (quote.end() if quote else 0), end)
    if paragraph:
        yield from _sentences(text, paragraph, lang, block)


def _is_row(line: str) -> bool:
    stripped = line.strip()
    return (stripped.startswith("|") and stripped.count("|") >= 2) or bool(_BOX.search(line))


def _trimmed(text: str, start: int, end: int, kind: str, block: int) -> Quotable:
    """One line; of a box line, what stands between its edges; of a table row, the whole row."""
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


def quotations(text: str) -> list[str]:
    """What a text puts in quotation marks (« », “ ”, " "), cut at each ellipsis.

    >>> quotations('Dice «mancano i test […] di carico».')
    ['mancano i test', 'di carico']
    """
    quoted = [next(group for group in match.groups() if group is not None) for match in _QUOTATION.finditer(text)]
    pieces = [piece for quote in quoted for piece in _ELLIPSIS.split(quote)]
    return [piece.strip() for piece in pieces if normal(piece)]


def normal(text: str) -> str:
    """Folded words alone: no emphasis, no punctuation but inside figures, one space between; `24GB` is `24 GB`."""
    text = fold(text)
    text = re.sub(r"\]\([^()\s]*\)", "]", text)  # where a link leads is not among its words
    text = re.sub(r"(?<=\d)(?=[^\W\d_])", " ", re.sub(r"[–—−]", "-", text))
    text = " ".join(
        re.sub(r"[^\w%€$£+.,:\-/]|_", " ", text).split()
    )  # single spaces: `\s+` on runs of them is quadratic
    text = re.sub(r"(?<!\d)[.,:]|[.,:](?!\d)| - |(?<=\d) (?=%)", lambda found: "-" if "-" in found[0] else "", text)
    return " ".join(text.split())


def stands(quote: str, words: str) -> bool:
    """Whether the words of a quote stand there as whole words."""
    return re.search(rf"(?<!\w){re.escape(quote)}(?!\w)", words) is not None
