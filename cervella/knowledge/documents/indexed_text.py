"""What is embedded and lexically indexed of a text: its words, without the drawing around them.

Box borders, ruled lines, table pipes, marks of emphasis and runs of punctuation cost an embedder tokens and say
nothing. What is shown and quoted is always the text as it stands.
"""

from __future__ import annotations

import re
from collections.abc import Sequence

# Patterns that begin with a literal or a set are found at the speed of a search; one alternative that does not costs
# twenty times as much. Hence several, each with what it must not follow behind its first character.
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
    """The words of a chunk's text or lead, line by line; empty where there are none. Numbers, paths and code are kept.

    >>> indexed_text("| **Porta** | `8002` |\\n|---|---|\\n| VM | 35.1.2.3 |")
    'Porta 8002\\nVM 35.1.2.3'
    """
    return "\n".join(line for line in indexed_lines(text.split("\n")) if line)


def embedding_text(lead: str, text: str) -> str:
    """What is embedded of a chunk: where it stands, then what it says."""
    return indexed_text(f"{lead}\n{text}" if lead else text)


def indexed_lines(lines: Sequence[str]) -> list[str]:
    """The same for each line of a text, in order; empty for a line that says nothing."""
    text = _LINE_START.sub("", "\n".join(lines))
    for mark, instead in _MARKS:
        text = text.replace(mark, instead)
    text = _SPACE.sub(" ", _EMPHASIS.sub("", _RUN.sub(" ", _BORDER.sub(" ", text))))
    indexed = (line.strip() for line in text.split("\n"))
    return [line if _WORD.search(line) else "" for line in indexed] if lines else []
