"""What a terminal adds to the plain text: lines broken between words, and a few colours. Elsewhere nothing changes."""

from __future__ import annotations

import os
import re
import shutil
import sys
from typing import TextIO

__all__ = ["WordWrap", "is_terminal", "styled", "width_of", "wrapped"]

_STYLES = {"bold": "1", "red": "31", "green": "32", "yellow": "33", "cyan": "36"}
_NARROWEST = 20  # columns: below this nothing is broken, there is no room for words


def is_terminal(stream: TextIO) -> bool:
    """Whether a person looks at the stream in a terminal. A notebook's cell says so too, and is none: it lays lines
    out itself, and keeps every state of a progress bar."""
    return stream.isatty() and "JPY_PARENT_PID" not in os.environ


def width_of(stream: TextIO) -> int | None:
    """Columns of the terminal that the stream is; None for a file, a pipe, or a terminal too narrow to lay out."""
    columns = shutil.get_terminal_size().columns if is_terminal(stream) else 0
    return columns if columns >= _NARROWEST else None


def styled(text: str, style: str, stream: TextIO) -> str:
    """The text in a style, where the stream is a terminal that shows it and the owner wants it (NO_COLOR unset)."""
    shows = is_terminal(stream) and os.environ.get("TERM") != "dumb" and not os.environ.get("NO_COLOR")
    if not shows or (sys.platform == "win32" and "WT_SESSION" not in os.environ):
        return text
    return f"\x1b[{_STYLES[style]}m{text}\x1b[0m"


def wrapped(text: str, width: int | None, *, indent: int = 0) -> str:
    """Lines of text broken between words, what is broken off set in by `indent` columns; as it is without a width."""
    if width is None:
        return text
    wrap = WordWrap(width, indent=indent)
    return wrap.feed(text) + wrap.end()


class WordWrap:
    """Breaks a text that comes in pieces between its words. Table rows and fenced code keep their lines.

    >>> wrap = WordWrap(12)
    >>> wrap.feed("una parola d") + wrap.feed("opo l'altra") + wrap.end()
    "una parola\\ndopo l'altra"
    """

    def __init__(self, width: int, *, indent: int = 0) -> None:
        self._width = width
        self._indent = " " * indent
        self._column = 0
        self._space = self._word = ""
        self._fenced = self._row = False

    def feed(self, text: str) -> str:
        """What can be shown now; the last word waits, for it may go on."""
        shown = []
        for piece in re.findall(r"\n|[^\S\n]+|\S+", text):
            if not piece.isspace():
                self._word += piece
                continue
            shown.append(self.end())
            if piece == "\n":
                shown.append("\n")
                self._column, self._space, self._row = 0, "", False
            else:
                self._space += piece
        return "".join(shown)

    def end(self) -> str:
        """The word that waits."""
        word, self._word = self._word, ""
        if not word:
            return ""
        if self._column == 0:
            self._row = word.startswith("|")
            self._fenced ^= word.startswith(("```", "~~~"))  # of a text that still comes there is no whole to parse
        space, self._space = self._space, ""
        if self._column and self._column + len(space) + len(word) > self._width and not (self._row or self._fenced):
            self._column = len(self._indent) + len(word)
            return f"\n{self._indent}{word}"
        self._column += len(space) + len(word)
        return space + word
