"""Lays text out for a terminal: lines broken between words, and a few colours. Files and pipes get the plain text."""

from __future__ import annotations

import os
import re
import shutil
import sys
from typing import TextIO

_STYLES = {"bold": "1", "red": "31", "green": "32", "yellow": "33", "cyan": "36"}
_NARROWEST = 20
"""On a terminal with fewer columns than these, lines are not broken: a line would have no room for words."""


def is_terminal(stream: TextIO) -> bool:
    """Whether the stream is a terminal that a person reads.

    A notebook's stream says that it is a terminal, but the result is False: a notebook breaks lines itself, and would
    keep every state of a progress bar.
    """
    return stream.isatty() and "JPY_PARENT_PID" not in os.environ


def width_of(stream: TextIO) -> int | None:
    """The number of columns of the terminal to which the stream writes.

    None for a file, a pipe, or a terminal that is too narrow to break lines.
    """
    columns = shutil.get_terminal_size().columns if is_terminal(stream) else 0
    return columns if columns >= _NARROWEST else None


def styled(text: str, style: str, stream: TextIO) -> str:
    """The text in a style (`red`, `bold`), if the stream is a terminal that shows styles and NO_COLOR is not set."""
    shows = is_terminal(stream) and os.environ.get("TERM") != "dumb" and not os.environ.get("NO_COLOR")
    if not shows or (sys.platform == "win32" and "WT_SESSION" not in os.environ):
        return text
    return f"\x1b[{_STYLES[style]}m{text}\x1b[0m"


def wrapped(text: str, width: int | None, *, indent: int = 0) -> str:
    """The text with lines of at most `width` columns. If `width` is None, the text is returned unchanged.

    The lines after a break begin with `indent` spaces.
    """
    if width is None:
        return text
    wrap = WordWrap(width, indent=indent)
    return wrap.feed(text) + wrap.end()


class WordWrap:
    """Breaks a stream of text between words. Table rows and fenced code keep their lines.

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
        """Take the next piece of a text, and return the part that can be shown now.

        The last word is held back, because the next piece may continue it.
        """
        shown = []
        for token in re.findall(r"\n|[^\S\n]+|\S+", text):
            if not token.isspace():
                self._word += token
                continue
            shown.append(self.end())
            if token == "\n":
                shown.append("\n")
                self._column, self._space, self._row = 0, "", False
            else:
                self._space += token
        return "".join(shown)

    def end(self) -> str:
        """The word that was held back, at the end of the text."""
        word, self._word = self._word, ""
        if not word:
            return ""
        if self._column == 0:
            self._row = word.startswith("|")
            self._fenced ^= word.startswith(("```", "~~~"))  # a stream can't be parsed as a whole document
        space, self._space = self._space, ""
        if self._column and self._column + len(space) + len(word) > self._width and not (self._row or self._fenced):
            self._column = len(self._indent) + len(word)
            return f"\n{self._indent}{word}"
        self._column += len(space) + len(word)
        return space + word
