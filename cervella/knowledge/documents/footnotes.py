"""Reads a footnote where it is cited: its text follows the sentence that carries its mark, in parentheses.

A footnote often changes what the sentence says (until 30 June, VAT excluded), so both have to be found and quoted
together.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from functools import cached_property

_MARK = re.compile(r"\[\^([^\]\s\[]{1,100})\]|\^\[")
_DEFINITION = re.compile(r"([ \t]{0,3}(?:>[ \t]?)*)\[\^([^\]\s\[]{1,100})\]:[ \t]*(.*)")
_ENDS = re.compile(r"(?<![.!?…])[.!?…]++(?=[\s\"'»”)]|$)")
_CLOSING = re.compile(r"[.!?…]*+(?:[»”\"')*_]++[.!?…]*+)?+\s*$")
_BRACKET = re.compile(r"[\[\]]")
_STARTS = re.compile(r"\s*(?:>\s?)*(?:[-*+•]\s|\d{1,9}[.)]\s|#{1,6}\s|\|)")
_LONGEST = 4_000  # characters of a note that are read with a sentence
_GROWTH = 2  # how many times the length of the text all insertions may have

Sentences = Callable[[str], Iterable[tuple[int, int]]]


@dataclass
class _Note:
    lines: list[int]
    """The indices of the lines of its definition."""
    parts: list[str] = field(default_factory=list)
    cited: bool = False

    @cached_property
    def text(self) -> str:
        return told(" ".join(" ".join(self.parts).split())[:_LONGEST])


def told(text: str) -> str:
    """The text of a note as it stands in parentheses: without a full stop at its end, and with none inside."""
    text = _MARK.sub("", text).strip().removesuffix("↩").rstrip()
    text = _ENDS.sub(lambda match: ";" if match.group() == "." and match.end() < len(text) else match.group(), text)
    return text[:-1] if text.endswith((".", ";")) and not text.endswith("..") else text


def with_footnotes(lines: Sequence[str], code: Sequence[bool], sentences: Sentences) -> list[str]:
    """The lines with each footnote after the sentence that cites it. The lines of its definition become empty.

    `code` says which lines are code. `sentences` gives start and end of the sentences of a text. A note that nothing
    cites stays where it is, without its mark; a mark without a note stays as it is.
    """
    if not any("[^" in line or "^[" in line for line in lines):
        return list(lines)
    out = list(lines)
    notes = _notes(lines, code)
    defined = {place for note in notes.values() for place in note.lines}
    budget = [_GROWTH * sum(map(len, lines)) + 10_000]
    start = 0
    while start < len(lines):
        end = start + 1
        if code[start] or start in defined or not lines[start].strip():
            start = end
            continue
        while (
            end < len(lines)
            and lines[end].strip()
            and not code[end]
            and end not in defined
            and not _STARTS.match(lines[end])
        ):
            end += 1
        if any("[^" in line or "^[" in line for line in lines[start:end]):
            out[start:end] = _paragraph(lines[start:end], notes, sentences, budget)
        start = end
    for note in notes.values():
        first = note.lines[0]
        if note.cited:
            for place in note.lines:
                out[place] = ""
        else:
            match = _DEFINITION.match(lines[first])
            out[first] = f"{match[1]}{match[3]}" if match else lines[first]
            for place in note.lines[1:]:
                out[place] = lines[place].strip()
    return out


def _notes(lines: Sequence[str], code: Sequence[bool]) -> dict[str, _Note]:
    notes: dict[str, _Note] = {}
    place = 0
    while place < len(lines):
        match = _DEFINITION.fullmatch(lines[place]) if "[^" in lines[place] and not code[place] else None
        place += 1
        if match is None:
            continue
        note = _Note([place - 1], [match[3]])
        blank = False
        while place < len(lines):
            line = lines[place]
            bare = line.lstrip(" \t>")
            if not bare.strip():
                ahead = lines[place + 1] if place + 1 < len(lines) else ""
                if not ahead.startswith(("    ", "\t")):
                    break
                blank = True
            elif _ends_note(line, blank=blank, quoted=bool(match[1])):
                break
            else:
                note.parts.append(bare)
                note.lines.append(place)
            place += 1
        notes.setdefault(match[2].casefold(), note)
    return notes


def _ends_note(line: str, *, blank: bool, quoted: bool) -> bool:
    """Whether a line is no part of the definition of a note above it. `blank` says if a blank line is between them."""
    if _DEFINITION.match(line) or (blank and not line.startswith(("    ", "\t"))):
        return True
    return not line.startswith((" ", "\t")) and not quoted and bool(_STARTS.match(line))


def _paragraph(lines: Sequence[str], notes: dict[str, _Note], sentences: Sentences, budget: list[int]) -> list[str]:
    """The lines of one paragraph, item or row, with the notes that it cites."""
    text = "\n".join(lines)
    closing = _brackets(text) if "^[" in text else {}
    plain: list[str] = []
    cited: list[tuple[int, str]] = []  # where in the plain text, and the note's text
    size = done = 0
    position = 0
    while match := _MARK.search(text, position):
        position = match.end()
        if match.group() == "^[":
            close = closing.get(position - 1, -1)
            if not 0 <= close - position <= _LONGEST:
                continue
            note, end = told(" ".join(text[position:close].split())), close + 1
            gap = text.count("\n", match.start(), end)
        else:
            known = notes.get(match[1].casefold())
            if known is None:
                continue
            note, end, gap = known.text, match.end(), 0
            if len(note) > budget[0]:
                note = ""
            else:
                known.cited = True
        budget[0] -= len(note)
        kept = text[done : match.start()]
        if not gap and text[end : end + 1] in ".,;:!?" and kept.endswith(" "):
            kept = kept.rstrip(" ")
        plain += (kept, "\n" * gap)
        size += len(kept)
        if note:
            cited.append((size, note))
        size += gap
        done = position = end
    plain.append(text[done:])
    joined = "".join(plain)
    if not cited:
        return joined.split("\n")
    in_row = joined.lstrip(" >").startswith("|")
    ends = [] if in_row else [end for _, end in sentences(joined)]
    inserted: dict[int, list[str]] = {}
    following = 0
    for place, note in cited:
        if in_row:
            inserted.setdefault(len(joined[:place].rstrip()), []).append(note)
            continue
        while following < len(ends) and ends[following] < place:
            following += 1
        end = ends[following] if following < len(ends) else len(joined.rstrip())
        # A mark that stands after the full stop is of the sentence before it.
        if following and place - ends[following - 1] <= 1 and joined[:place].rstrip()[-1:] in '.!?…»”"':
            end = ends[following - 1]
        stop = _CLOSING.search(joined, max(0, end - 12), end)
        inserted.setdefault(stop.start() if stop else end, []).append(note)
    parts: list[str] = []
    before = 0
    for place in sorted(inserted):
        texts = dict.fromkeys(inserted[place])
        parts += (joined[before:place], *(f" ({note})" for note in texts))
        before = place
    parts.append(joined[before:])
    return "".join(parts).split("\n")


def _brackets(text: str) -> dict[int, int]:
    """For each opening bracket of a text that is closed, the place of its closing one."""
    found: dict[int, int] = {}
    opened: list[int] = []
    for match in _BRACKET.finditer(text):
        if match.group() == "[":
            opened.append(match.start())
        elif opened:
            found[opened.pop()] = match.start()
    return found
