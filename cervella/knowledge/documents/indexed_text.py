"""Removes markup and drawn lines from a text before it is embedded and lexically indexed.

Box borders, rules, table pipes, emphasis and repeated punctuation cost tokens and have no meaning. Passages are shown
and quoted without this last step.
"""

from __future__ import annotations

import re
from collections.abc import Sequence

# A pattern that begins with a literal or a set is about twenty times as fast as one that begins with a lookbehind.
# So there are several patterns, with their lookbehinds after the first character.
_BORDER = re.compile(r"\+[-=+]{2,}|[\u2500-\u259f]+")
_RUN = re.compile(r"([-=~*#.+!?_·•…<>^\\'\",;:])\1{2,}")
_EMPHASIS = re.compile(
    r"""
    \*\**+ (?: (?<!\w\*)(?<!\w\*\*) | (?!\w) ) (?!/|\.\w) (?<!/\*)(?<!/\*\*)    # not a*b, docs/**/*.md, *.md
    | _ (?: (?<!\w_)(?=[^\W_]) | (?<=[^\W_]_)(?!\w) )                            # not snake_case, __init__
    """,
    re.VERBOSE,
)
_MARKS = (("`", ""), ("~~", ""), ("|", " "), ("<!--", " "), ("-->", " "))
_LINE_START = re.compile(
    r"^[ \t]*(?:>[ \t>]*)?(?:\#{1,6}(?=[ \t])|(?:[-*+•]|\d{1,3}[.)])(?=[ \t]))|^[ \t]*>[ \t>]*", re.MULTILINE
)
_SPACE = re.compile(r"[^\S\n ]+| {2,}")
_WORD = re.compile(r"[^\W_]")


def indexed_text(text: str) -> str:
    """A text without markup, and without the lines that have no words. Numbers, paths and code are kept.

    In this example `Porta` is Italian for port:

    >>> indexed_text("| **Porta** | `8002` |\\n|---|---|\\n| VM | 35.1.2.3 |")
    'Porta 8002\\nVM 35.1.2.3'
    """
    return "\n".join(line for line in indexed_lines(text.split("\n")) if line)


def embedding_text(lead: str, text: str) -> str:
    """The text that is embedded for a chunk: its lead (the titles of the headings above it), then its text."""
    return indexed_text(f"{lead}\n{text}" if lead else text)


def indexed_lines(lines: Sequence[str]) -> list[str]:
    """Each of `lines` without markup, in the same order. A line that has no word becomes an empty text.

    A line may have line breaks in it.
    """
    if any("\n" in line for line in lines):
        return [indexed_text(line) if "\n" in line else indexed_lines([line])[0] for line in lines]
    text = _LINE_START.sub("", "\n".join(lines))
    for mark, instead in _MARKS:
        text = text.replace(mark, instead)
    text = _SPACE.sub(" ", _EMPHASIS.sub("", _RUN.sub(" ", _BORDER.sub(" ", text))))
    indexed = (line.strip() for line in text.split("\n"))
    return [line if _WORD.search(line) else "" for line in indexed] if lines else []
