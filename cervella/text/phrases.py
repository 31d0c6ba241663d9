"""Phrases as people write them, made into one pattern over folded text: how the files of a language spell words."""

from __future__ import annotations

import re
from collections.abc import Iterable

from cervella.text.folding import fold

__all__ = ["any_of", "phrase"]

_SIGNS = re.compile(r"\.\.\.|[*_()|]|\{\w+\}|[^*_()|{}.]+|.", re.DOTALL)
_GAP, _REST = r"(?!\w).{0,60}(?<!\w)", r"(?!\w).*"
_WRITTEN = {"...": _GAP, "*": r"\w*", "_": r"[^\W_]+", "(": "(?:", ")": ")", "|": "|"}


def phrase(text: str) -> str:
    """The regular expression of one phrase, its case and accents folded. It begins and ends with a whole word.

    `word*` is any word that begins so, `_` any one word, `...` up to sixty characters, at the end any number, `(a|b)`
    either, `(a |)` perhaps. `{name}` stays: a name is put in later. A text between slashes is a regular expression
    already, over folded text.

    >>> [bool(re.search(phrase("¿qué tal( estás|)"), text)) for text in ("¿que tal estas?", "que talento")]
    [True, False]
    >>> phrase("/^no/")
    '^no'
    """
    if len(text) > 2 and text[0] == text[-1] == "/":
        return text[1:-1]
    bare = re.sub(r" *\.\.\. *", "...", fold(text).strip("¿¡"))
    body = "".join(_WRITTEN.get(sign) or (sign if sign[0] == "{" else re.escape(sign)) for sign in _SIGNS.findall(bare))
    body = body.removesuffix(_GAP) + _REST if bare.endswith("...") else body
    return ("" if _open(bare[:1]) else r"(?<!\w)") + body + ("" if _open(bare[-1:]) else r"(?!\w)")


def _open(edge: str) -> bool:
    """Whether no word begins or ends at this edge of a phrase."""
    return not (edge.isalnum() or edge in "()_")


def any_of(phrases: Iterable[str]) -> str:
    """One regular expression for any of several phrases; it matches nowhere where there are none.

    >>> re.findall(any_of(["uno", "due*", "/3+/"]), "uno dueto 33")
    ['uno', 'dueto', '33']
    """
    return f"(?:{'|'.join(map(phrase, phrases)) or '(?!)'})"
