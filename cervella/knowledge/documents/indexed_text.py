"""What is embedded and lexically indexed of a text: its words, without the drawing around them.

Box borders, ruled lines, table pipes, marks of emphasis and runs of punctuation cost an embedder tokens and say
nothing. What is shown and quoted is always the text as it stands.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Container, Iterable, Sequence

__all__ = ["common_closings", "indexed_lines", "indexed_text"]

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
_RULE = re.compile(r"[ \t]{0,3}(?:(?:-[ \t]*){3,}|(?:\*[ \t]*){3,}|(?:_[ \t]*){3,})")
_CLOSING_LINES, _CLOSING_CHARACTERS = 10, 160
_COMMON = 5  # files that close with the same line


def indexed_text(text: str, *, without: Container[str] = frozenset()) -> str:
    """The words of a chunk's text or lead, line by line; empty where there are none. Numbers, paths and code are kept.

    `without` are the base's `common_closings`: they are left out where they close the text.

    >>> indexed_text("| **Porta** | `8002` |\\n|---|---|\\n| VM | 35.1.2.3 |")
    'Porta 8002\\nVM 35.1.2.3'
    """
    lines = text.split("\n")
    indexed = indexed_lines(lines)
    if without:
        start = _closing(lines)
        indexed = indexed[:start] + [line for line in indexed[start:] if line not in without]
    return "\n".join(line for line in indexed if line)


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


def common_closings(documents: Iterable[Sequence[str]]) -> frozenset[str]:
    """The lines, as indexed, that stand under the closing rule of many documents and say nothing of any: mottos.

    Each document is its lines. A line that no document has anywhere else is not among them: it would be found nowhere.
    """
    closings: Counter[str] = Counter()
    elsewhere: set[str] = set()
    for lines in documents:
        start, indexed = _closing(lines), indexed_lines(lines)
        closings.update(set(indexed[start:]) - {""})
        elsewhere.update(indexed[:start])
    return frozenset(line for line, count in closings.items() if count >= _COMMON and line in elsewhere)


def _closing(lines: Sequence[str]) -> int:
    """The place, from 0, of the last ruled line if nothing but a few short lines follows it; else after the last."""
    seen = 0
    for place in range(len(lines) - 1, 0, -1):
        line = lines[place].strip()
        if _RULE.fullmatch(line):
            return place
        seen += bool(line)
        if len(line) > _CLOSING_CHARACTERS or seen > _CLOSING_LINES:
            break
    return len(lines)
