"""What is embedded and lexically indexed of a text: its words, without the drawing around them.

Box borders, ruled lines, table pipes, marks of emphasis and runs of punctuation cost an embedder tokens and say
nothing. What is shown and quoted is always the text as it stands.
"""

from __future__ import annotations

import re
from collections.abc import Sequence

__all__ = ["indexed_lines", "indexed_text", "motto_start"]

_DRAWING = re.compile(
    r"""
    [\u2500-\u259f]+                          # boxes and bars
    | \+[-=+]{2,}\+?                          # the borders of an ASCII box
    | ([-=~*#.+!?_·•…<>^\\'",;:])\1{2,}       # ruled lines, dots that lead to a number, !!!
    | (?<!\\)\|+                              # the columns of a table
    | <!--|-->
    """,
    re.VERBOSE,
)
_EMPHASIS = re.compile(
    r"""
    `+
    | (?<![*/])\*{1,2}(?=\S)(?!/) (?=[^*\n]+\*)    # **opening, not a glob's: docs/**/*.md
    | (?<=[^\s*/])\*{1,2}(?![*/\w.])               # closing**
    | ~~
    | (?<!\w)_(?=[^\W_]) | (?<=[^\W_])_(?!\w)      # _emphasis_, not snake_case and not __init__
    """,
    re.VERBOSE,
)
_LINE_START = re.compile(
    r"^[ \t]*(?:>[ \t>]*)?(?:\#{1,6}(?=[ \t])|(?:[-*+•]|\d{1,3}[.)])(?=[ \t]))|^[ \t]*>[ \t>]*", re.MULTILINE
)
_SPACE = re.compile(r"[^\S\n ]+| {2,}")
_WORD = re.compile(r"[^\W_]")
_MOTTO = re.compile(r"(?:>[ \t]*)?(?:[*_]+[\"“«]?.*[\"”»]?[*_]+|[\"“«].*[\"”»])[ \t\W]*")
_RULE = re.compile(r"[ \t]{0,3}(?:-[ \t]*){3,}|[ \t]{0,3}(?:\*[ \t]*){3,}|[ \t]{0,3}(?:_[ \t]*){3,}")
_MOTTO_LINES, _MOTTO_CHARACTERS = 8, 160


def indexed_text(text: str) -> str:
    """The words of a chunk's text or lead, line by line; empty where there are none. Numbers, paths and code are kept.

    A motto that closes the text under a ruled line is left out: it stands under many files and is about none of them.

    >>> indexed_text("| **Porta** | `8002` |\\n|---|---|\\n| VM | 35.1.2.3 |")
    'Porta 8002\\nVM 35.1.2.3'
    """
    return "\n".join(line for line in indexed_lines(text.split("\n")) if line)


def indexed_lines(lines: Sequence[str]) -> list[str]:
    """The same for each line of a text, in order; empty for a line that says nothing."""
    end = motto_start(lines)
    text = "\n".join(lines[:end])
    text = _SPACE.sub(" ", _EMPHASIS.sub("", _DRAWING.sub(" ", _LINE_START.sub("", text))))
    kept = [line.strip() for line in text.split("\n")] if end else []
    return [line if _WORD.search(line) else "" for line in kept] + [""] * (len(lines) - end)


def motto_start(lines: Sequence[str]) -> int:
    """The place, from 0, of the ruled line above a closing motto; how many lines there are where there is none.

    >>> motto_start(["## Fine", "testo", "", "---", "", '*"Una cosa alla volta."*'])
    3
    """
    place, mottos = len(lines), 0
    while place and mottos <= _MOTTO_LINES:
        place -= 1
        line = lines[place].strip()
        if _RULE.fullmatch(line):
            above = any(_WORD.search(other) for other in lines[:place])
            return place if mottos and above else len(lines)
        if line and (len(line) > _MOTTO_CHARACTERS or not _MOTTO.fullmatch(line)):
            return len(lines)
        mottos += bool(line)
    return len(lines)
