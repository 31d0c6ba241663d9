"""Text without what never decides, case, accents, the kind of apostrophe; and phrases, made into patterns over it."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterable
from itertools import filterfalse

__all__ = ["APOSTROPHES", "any_of", "fold", "is_blank", "phrase", "words"]

APOSTROPHES = str.maketrans(dict.fromkeys("’‘ʼʹ′`´", "'"))
_MARKED = re.compile(r"[^\x00-\x5f\x61-\x7f]+")  # no ASCII, or a backtick; what is between has nothing to fold
_WORD = re.compile(r"[^\W_]+")
_SIGNS = re.compile(r"\.\.\.|[*_()|^$]|\{\w+\}|[^*_()|{}.^$]+|.", re.DOTALL)
_START, _END = r"(?<!\w)", r"(?!\w)"
_GAP = f"{_END}.{{0,60}}{_START}"
_WRITTEN = {"...": _GAP, "*": r"\w*", "_": r"[^\W_]+", "(": "(?:", ")": ")", "|": "|", "^": "^", "$": "$"}


def fold(text: str) -> str:
    """Lower case without accents, and every apostrophe the same: `è`, `e'` and `e` give the same words.

    >>> fold("Perché"), words("Perche' è l’unica") == words("perché e' l'unica")
    ('perche', True)
    """
    return _MARKED.sub(_unmarked, text).casefold()


def _unmarked(match: re.Match[str]) -> str:
    return "".join(filterfalse(unicodedata.combining, unicodedata.normalize("NFKD", match[0].translate(APOSTROPHES))))


def words(text: str) -> list[str]:
    """The folded words and numbers of a text, in order.

    >>> words("L'età è 3,5 anni: PROMPT_RIPRESA")
    ['l', 'eta', 'e', '3', '5', 'anni', 'prompt', 'ripresa']
    """
    return _WORD.findall(fold(text))


def is_blank(text: str) -> bool:
    """Whether nothing in a text can be seen: it is empty, or white space and invisible characters alone.

    >>> is_blank(" \\n\\u200b"), is_blank(" .")
    (True, False)
    """
    return not any(char.isprintable() and not char.isspace() for char in text)


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
