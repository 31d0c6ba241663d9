"""Reads the questions of the notes that are no headings, such as `D: Serve la tessera?` above `R: No.`."""

from __future__ import annotations

import re
from dataclasses import dataclass

_LONGEST_QUESTION = 160
"""Maximum characters of a question of the notes that is the subject of the sentences below it."""
_LABEL = re.compile(r"(?P<opens>[*_]{0,3})(?P<letter>[A-Z])(?: ?\d{1,3})? ?:(?P<closes>[*_]{0,3})[ \t]+")
_NUMBER = re.compile(r"[ \t]*(?:>[ \t]*)*\d{1,3}[.)][ \t]+[*_]{0,3}")
_MARKUP = "*_ \t"


def is_question(text: str) -> bool:
    return text.rstrip('*_"» ').endswith("?")


@dataclass(frozen=True, slots=True)
class _Asked:
    start: int
    end: int
    group: int
    letter: str
    """The letter of its label: `D` of `D: …?`; empty if it has none."""
    numbered: bool
    alone: bool
    """Whether it is alone on its line."""


class Pairs:
    """The last question of the notes while the excerpts of a passage are read in order.

    It is the subject of the sentences that follow, to the next question or heading, and no further than one paragraph,
    list or table after its own.
    """

    def __init__(self, text: str) -> None:
        self._text = text
        self._asked: _Asked | None = None
        self._answered = ""  # the letter of the answer to it, once it was read

    def leave(self) -> None:
        """A heading begins."""
        self._asked = None

    def read(self, start: int, end: int, group: int) -> tuple[int, int]:
        """Read the part `text[start:end]`; returns it without the label of a question or of its answer.

        The labels are a capital with a colon. An answer is known by another letter than that of its question: it may
        end with a question itself. A capital that begins neither, as in a list of rooms, stays.
        """
        text, asked = self._text, self._asked
        label = _LABEL.match(text, start, end)
        letter = label["letter"] if label else ""
        other = bool(asked and asked.letter and letter and letter != asked.letter and self._reaches(group))
        answers = other and self._answered in ("", letter)
        asks = not answers and end - start <= _LONGEST_QUESTION and is_question(text[start:end])
        line = text.rfind("\n", 0, start) + 1
        before, after = text[line:start], text[end : end + 20].split("\n", 1)[0]
        numbered = bool(_NUMBER.fullmatch(before))
        if asked and asked.numbered and numbered:
            self._asked = None  # the next item of the list
        if label and (asks or answers):
            start = label.end()
            end = end if label["closes"] or not label["opens"] else start + len(text[start:end].rstrip(_MARKUP))
        if asks:
            alone = not any(map(str.isalnum, before)) and not after.strip(_MARKUP)
            self._asked, self._answered = _Asked(start, end, group, letter, numbered, alone), ""
        elif answers:
            self._answered = letter
        return start, end

    def _reaches(self, group: int) -> bool:
        return self._asked is not None and group - self._asked.group <= 1

    def is_open(self, start: int) -> bool:
        """Whether the part that starts there is a question with a label or number: what follows is its answer."""
        asked = self._asked
        return asked is not None and asked.start == start and (bool(asked.letter) or asked.numbered)

    def stands_between(self, group: int) -> bool:
        """Whether a part of a group belongs to a question nearer than the heading.

        A question in the middle of a text, such as "Why not?", takes nothing away from the heading.
        """
        asked = self._asked
        return asked is not None and (bool(asked.letter) or (self._reaches(group) and (asked.numbered or asked.alone)))

    def above(self, start: int, group: int, items: tuple[tuple[int, int], ...]) -> tuple[tuple[int, int], ...]:
        """The question above the part that starts there, then the list items above it, without repeating it."""
        asked = self._asked
        if asked is None or asked.start == start or not self._reaches(group):
            return items
        span = (asked.start, asked.end)
        holding = next((item for item in items if item[0] <= asked.start < item[1]), None)
        if holding is None:
            return (span, *items)
        if self._text[asked.end : holding[1]].strip(_MARKUP):
            return items
        return tuple(span if item == holding else item for item in items)
