"""Finds the code in markdown that has not been parsed yet: fences, indented lines, and parts between backticks."""

from __future__ import annotations

import re
from bisect import bisect_left
from collections.abc import Sequence
from enum import IntEnum

from cervella.knowledge.documents.fences import fence_in, opens_inside, without_inner_fences
from cervella.text.markdown import math_end

_CONTAINER = re.compile(r"\s*(?:>\s?)*(?:[-*+•]|\d{1,9}[.)]|\[\^[^\]]*\]:|:|!!!|\?\?\?\+?|===)(?=\s|$)")
_TICKS = re.compile(r"`+")
_PARAGRAPH_END = re.compile(r"\n[ \t>]*\n")


class Code(IntEnum):
    """How a line is code."""

    NO = 0
    INDENTED = 1
    """By its indentation. Inside HTML, indentation means nothing."""
    FENCED = 2
    """In a fence or a formula over several lines, its first and last line included."""


def code_lines(lines: Sequence[str]) -> list[Code]:
    """For each line of a text, whether it is code. Indented lines below a list item are no code.

    >>> [code.name for code in code_lines(["a", "", "    b", "- c", "", "    d"])]
    ['NO', 'NO', 'INDENTED', 'NO', 'NO', 'NO']
    """
    found = _code_lines(lines)
    if any(code is Code.FENCED for code in found) and _nested(lines, found):
        found = _code_lines(without_inner_fences(lines))
    return found


def _nested(lines: Sequence[str], found: Sequence[Code]) -> bool:
    """Whether a fence of the text seems to contain the start of another one."""
    first = None
    for place, code in enumerate([*found, Code.NO]):
        fenced = code == Code.FENCED
        if fenced and first is None:
            first = place
        elif not fenced and first is not None:
            if opens_inside(lines[first:place]):
                return True
            first = None
    return False


def _code_lines(lines: Sequence[str]) -> list[Code]:
    found: list[Code] = []
    fence = ""
    blank, listed = True, False
    formula = 0  # the line after the formula that is open
    for place, line in enumerate(lines):
        if place < formula:
            found.append(Code.FENCED)
            continue
        sign = fence_in(line)
        if fence:
            found.append(Code.FENCED)
            if sign and sign[0].startswith(fence) and not sign[1]:
                fence, blank = "", False
            continue
        if sign:
            fence = sign[0]
            found.append(Code.FENCED)
            continue
        if ("$$" in line or "\\[" in line) and (more := _formula(lines, place)) is not None:
            found.append(Code.FENCED)
            formula, blank = place + more + 1, False
            continue
        if not line.strip():
            found.append(Code.NO)
            blank = True
            continue
        deep = (line[0] == "\t" or line.startswith("    ")) if line[0] in " \t" else False
        code = deep and not listed and (blank or found[-1] is Code.INDENTED)
        found.append(Code.INDENTED if code else Code.NO)
        if not deep or listed:
            if _CONTAINER.match(line):
                listed = True
            elif blank and line[0] not in " \t":
                listed = False
        blank = False
    return found


def _formula(lines: Sequence[str], first: int) -> int | None:
    following = (lines[place].strip(" \t>") for place in range(first + 1, len(lines)))
    return math_end(lines[first].strip(" \t>"), following)


def code_spans(text: str) -> list[tuple[int, int, int]]:
    """Start, end and number of backticks of each part between backticks, in order. Time is linear.

    >>> [text[start:end] for text in ["a `b` ``c`d`` `e"] for start, end, _ in code_spans(text)]
    ['`b`', '``c`d``']
    """
    runs = [(match.start(), match.end() - match.start()) for match in _TICKS.finditer(text)]
    if len(runs) < 2:
        return []
    ends = [match.start() for match in _PARAGRAPH_END.finditer(text)]
    places: dict[int, list[int]] = {}
    for place, (_, length) in enumerate(runs):
        places.setdefault(length, []).append(place)
    found = []
    place = 0
    while place < len(runs):
        start, length = runs[place]
        if length == 1 and text[max(0, start - 2) : start].endswith("\\") and text[start - 2 : start] != "\\\\":
            place += 1
            continue
        same = places[length]
        following = bisect_left(same, place + 1)
        if following < len(same):
            closing = runs[same[following]][0]
            limit = bisect_left(ends, start)
            if limit == len(ends) or ends[limit] > closing:
                found.append((start, closing + length, length))
                place = same[following] + 1
                continue
        place += 1
    return found
