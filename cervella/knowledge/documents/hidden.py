"""Finds the lines of a note that its program never shows: comments, queries, templates, the data of drawings."""

from __future__ import annotations

import re
from bisect import bisect_left
from collections import defaultdict
from collections.abc import Iterator, Sequence

QUERIES = frozenset({
    "base", "button", "buttons", "chartsview", "contributiongraph", "datacorejs", "datacorejsx", "datacorets",
    "datacoretsx", "dataview", "dataviewjs", "folder-index", "folder-overview", "heatmap-calendar", "meta-bind",
    "meta-bind-button", "meta-bind-embed", "meta-bind-js-view", "query", "table-of-contents", "tasks", "templater",
    "toc", "tracker", "waypoint",
})  # fmt: skip
"""Languages of fences that a program replaces by something else, such as the result of a query."""
_FENCE = re.compile(r"[ \t>]*(?:(?:[-*+]|\d{1,9}[.)])[ \t]+)?(?P<mark>`{3,}|~{3,})[ \t]*(?P<info>[\w-]*)(?P<rest>.*)")
_BACKTICKS = re.compile(r"`+")
_PLACEHOLDER = re.compile(r"\{\{(?:date|time|title)(?::[^{}]{0,60})?\}\}")
_COMMENT, _TEMPLATE, _TEMPLATE_END = "%%", "<%", "%>"
_TOKEN = re.compile(r"%%|<%|%>")
_TYPED = re.compile(r"\d%%(?=[\s.,;:!?)]|$)")  # «5%% di sconto» is a typing error
_ONLY_MARKS = re.compile(r"[ \t>]*(?:(?:[-*+]|\d{1,9}[.)])[ \t]*)?(?:\[.\][ \t]*)?")
_PATIENCE = 20
"""How often the end of a comment is searched outside of fences, where the fences after its start are never closed."""

# In a file of Excalidraw, one heading precedes the texts of the drawing, and one its data.
_TEXTS = re.compile(r"#{1,2} (?:Text Elements|Excalidraw Data)\s*")
_TABLES = re.compile(r"#{1,2} (?:Element Links|Embedded [Ff]iles)\s*")
_DRAWING = re.compile(r"#{1,2} Drawing\s*")
_SWITCH = re.compile(r"==⚠.*EXCALIDRAW VIEW", re.IGNORECASE)


def opened_fence(line: str) -> tuple[str, str] | None:
    """The mark and the language of the fence that a line opens, also in a list or a quote; None if it opens none."""
    match = _FENCE.match(line)
    if match is None or (match["mark"][0] == "`" and "`" in match["rest"]):
        return None
    return match["mark"], match["info"].lower()


def closes(line: str, mark: str) -> bool:
    """Whether a line closes the fence that was opened with `mark`."""
    bare = line.strip(" \t>")
    return bare.startswith(mark) and not bare.strip(mark[0])


def code_spans(text: str) -> list[tuple[int, int]]:
    """Start and end of each part of a line that is between backticks, these included. In linear time.

    >>> [text[a:b] for text in ["usa `a` e ``b`c`` o `"] for a, b in code_spans(text)]
    ['`a`', '``b`c``']
    """
    if "`" not in text:
        return []
    runs = [match.span() for match in _BACKTICKS.finditer(text)]
    places = defaultdict(list)
    for number, (start, end) in enumerate(runs):
        places[end - start].append(number)
    found, number = [], 0
    while number < len(runs):
        start, end = runs[number]
        alike = places[end - start]
        following = bisect_left(alike, number + 1)
        if following < len(alike):
            number = alike[following]
            found.append((start, runs[number][1]))
        number += 1
    return found


def without_hidden(lines: Sequence[str]) -> list[str]:
    """The lines of a note with the parts empty that are never shown. The number of lines stays the same.

    These are comments (`%% … %%`), commands and places of templates (`<% … %>`, `{{date}}`), fences that are queries or
    buttons, and the data of a drawing. A comment, command or fence without an end hides nothing.
    """
    lines = _without_drawing(lines)
    if not any(mark in line for line in lines for mark in (_COMMENT, _TEMPLATE, "{{", "```", "~~~")):
        return lines
    return _Hider(lines).shown()


def _without_drawing(lines: Sequence[str]) -> list[str]:
    """The lines of a drawing with only the texts in it, and the notes above them; other lines as they are."""
    out = list(lines)
    first = next((number for number, line in enumerate(lines) if line.startswith("#") and _TEXTS.fullmatch(line)), None)
    if first is None:
        return out
    numbers = range(first, len(lines))
    drawing = next((n for n in numbers if lines[n].startswith("#") and _DRAWING.fullmatch(lines[n])), None)
    if drawing is None and not any(_SWITCH.match(line) for line in lines[:first]):
        return out
    above = next((n for n in range(first - 1, -1, -1) if lines[n].strip()), None)
    if above is not None and lines[above].strip() == _COMMENT:
        out[above] = ""
    tables = False
    for number, line in enumerate(lines):
        if number >= first and line.startswith("#"):
            tables = _TABLES.fullmatch(line) is not None or (tables and not _TEXTS.fullmatch(line))
        hidden = number >= first and (tables or _TEXTS.fullmatch(line) or line.strip() == _COMMENT)
        if hidden or (drawing is not None and number >= drawing) or _SWITCH.match(line):
            out[number] = ""
    return out


class _Hider:
    """Walks over the lines of one note, and empties what is hidden."""

    def __init__(self, lines: list[str]) -> None:
        self._lines = lines
        self._comments = [number for number, line in enumerate(lines) if _COMMENT in line]
        self._ends = [number for number, line in enumerate(lines) if _TEMPLATE_END in line]
        self._blank = [number for number, line in enumerate(lines) if not line.strip()]
        self._patience = _PATIENCE

    def shown(self) -> list[str]:
        """The lines, with the hidden parts taken out."""
        number = 0
        while number < len(self._lines):
            line = self._lines[number]
            fence = opened_fence(line) if "```" in line or "~~~" in line else None
            if fence:
                number = self._after_fence(number, *fence)
            elif "{{" in line and _PLACEHOLDER.search(line):
                self._lines[number] = _tidy(_PLACEHOLDER.split(line))
            elif _COMMENT in line or _TEMPLATE in line:
                number = self._after_marks(number)
            else:
                number += 1
        return self._lines

    def _after_fence(self, first: int, mark: str, info: str) -> int:
        """The number of the line after a fence. A query is emptied."""
        last = next((n for n in range(first + 1, len(self._lines)) if closes(self._lines[n], mark)), None)
        if last is None:
            return len(self._lines)
        if info in QUERIES:
            self._lines[first : last + 1] = [""] * (last + 1 - first)
        return last + 1

    def _after_marks(self, number: int) -> int:
        """Take the comments and commands out of one line, and out of those after it where they go on there.

        Returns the number of the next line to be read.
        """
        line, kept, done = self._lines[number], [], 0
        for start, end, closed in self._pairs(line):
            if not closed:
                last, after = self._elsewhere(number, start, line[start : start + 2])
                if last is None:
                    continue
                kept.append(line[done:start])
                self._lines[number] = _tidy(kept)
                self._lines[number + 1 : last] = [""] * (last - number - 1)
                rest = self._lines[last][after:]
                self._lines[last] = rest if rest.strip() else ""
                return last
            kept.append(line[done:start])
            done = end
        if done:
            self._lines[number] = _tidy([*kept, line[done:]])
        return number + 1

    def _pairs(self, line: str) -> Iterator[tuple[int, int, bool]]:
        """Yields start and end of each hidden part of a line. The last one may go on in another line: then False."""
        code = code_spans(line)
        starts = [start for start, _ in code]
        opened: re.Match[str] | None = None
        for token in _TOKEN.finditer(line):
            place = bisect_left(starts, token.start()) - 1
            if place >= 0 and token.start() < code[place][1]:
                continue
            if opened is None:
                typed = token.start() and _TYPED.match(line, token.start() - 1)
                opened = token if token.group() != _TEMPLATE_END and not typed else None
            elif token.group() == (_COMMENT if opened.group() == _COMMENT else _TEMPLATE_END):
                yield opened.start(), token.end(), True
                opened = None
        if opened is not None:
            yield opened.start(), len(line), False

    def _elsewhere(self, number: int, start: int, mark: str) -> tuple[int | None, int]:
        """The later line in which a comment or command ends, and the place after its end. None if it has no end.

        One that begins within a line ends in the same paragraph.
        """
        places = self._comments if mark == _COMMENT else self._ends
        following = bisect_left(places, number + 1)
        if following == len(places):
            return None, 0
        end = _COMMENT if mark == _COMMENT else _TEMPLATE_END
        last = places[following]
        if mark == _COMMENT and not self._lines[number][:start].strip(" \t>-*+"):
            last = self._outside_fences(number, start, last)
        elif mark == _COMMENT:
            blank = bisect_left(self._blank, number)
            if blank < len(self._blank) and self._blank[blank] < last:
                return None, 0
        return last, self._lines[last].index(end) + 2

    def _outside_fences(self, number: int, start: int, nearest: int) -> int:
        """The first line after `number` with the mark of a comment that is in no fence; `nearest` if there is none."""
        inner = opened_fence(self._lines[number][start + 2 :])
        mark = inner[0] if inner else ""
        if not self._patience:
            return nearest
        for later in range(number + 1, len(self._lines)):
            line = self._lines[later]
            if mark:
                mark = "" if closes(line, mark) else mark
            elif _COMMENT in line:
                return later
            elif "```" in line or "~~~" in line:
                fence = opened_fence(line)
                mark = fence[0] if fence else ""
        self._patience -= 1
        return nearest


def _tidy(kept: Sequence[str]) -> str:
    """The parts of a line around what was taken out, without double spaces; empty if only a list marker is left."""
    out = kept[0]
    pieces = [out]
    for piece in kept[1:]:
        pieces.append(piece[1:] if (not pieces[-1] or pieces[-1].endswith(" ")) and piece.startswith(" ") else piece)
    line = "".join(pieces).rstrip()
    return "" if _ONLY_MARKS.fullmatch(line) else line
