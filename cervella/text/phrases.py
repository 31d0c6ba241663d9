"""Phrases as people write them, made into one pattern over folded text: how the files of a language spell words."""

from __future__ import annotations

import re
from collections.abc import Iterable

from cervella.text.folding import fold

__all__ = ["any_of", "phrase"]

_SIGNS = re.compile(r"\.\.\.|[*_()|^$]|\{\w+\}|[^*_()|{}.^$]+|.", re.DOTALL)
_START, _END = r"(?<!\w)", r"(?!\w)"
_GAP = f"{_END}.{{0,60}}{_START}"
_WRITTEN = {"...": _GAP, "*": r"\w*", "_": r"[^\W_]+", "(": "(?:", ")": ")", "|": "|", "^": "^", "$": "$"}


def phrase(text: str) -> str:
    """The regular expression of one phrase, its case and accents folded. It begins and ends with a whole word.

    `word*` is any word that begins so, `_` any one word, `(a|b)` either, `(a |)` perhaps, `^` the head of the text, `$`
    its end. `...` is up to sixty characters, at the head of a phrase up to two hundred, at its end any number. `{name}`
    stays: a name is put in later. A text between slashes is a regular expression already, over folded text.

    >>> [bool(re.search(phrase("¿qué tal( estás|)"), text)) for text in ("¿que tal estas?", "que talento")]
    [True, False]
    >>> phrase("/^no/")
    '^no'
    """
    if len(text) > 2 and text[0] == text[-1] == "/":
        return text[1:-1]
    bare = re.sub(r" *\.\.\. *", "...", fold(text).strip("¿¡"))
    body = "".join(_WRITTEN.get(sign) or (sign if sign[0] == "{" else re.escape(sign)) for sign in _SIGNS.findall(bare))
    body = f".{{0,200}}{_START}{body[len(_GAP) :]}" if bare.startswith("...") else body
    body = f"{body[: -len(_GAP)]}{_END}.*" if bare.endswith("...") else body
    return ("" if _open(bare[:1]) else _START) + body + ("" if _open(bare[-1:]) else _END)


def _open(edge: str) -> bool:
    """Whether no word begins or ends at this edge of a phrase."""
    return not (edge.isalnum() or edge in "()_")


def any_of(phrases: Iterable[str]) -> str:
    """One regular expression for any of several phrases; it matches nowhere where there are none.

    >>> re.findall(any_of(["uno", "due*", "/3+/"]), "uno dueto 33")
    ['uno', 'dueto', '33']
    """
    return f"(?:{'|'.join(map(phrase, phrases)) or '(?!)'})"
