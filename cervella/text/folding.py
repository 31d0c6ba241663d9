"""Folds texts (lower case, no accents) so that spellings compare equal, and turns phrases into patterns for them."""

from __future__ import annotations

import hashlib
import re
import unicodedata
from collections.abc import Iterable
from itertools import filterfalse

APOSTROPHES = str.maketrans(dict.fromkeys("’‘ʼʹ′`´", "'"))
"""Turns each character that people type as an apostrophe into `'`, by `str.translate`."""
_MARKED = re.compile(r"[^\x00-\x5f\x61-\x7f]+")  # not ASCII, or a backtick: all other characters need lower case only
_INVISIBLE = re.compile("[\u00ad\u200b-\u200f\u2060\ufeff]")
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


def fold_in_place(text: str) -> str:
    """The folded text in the length of the original: a character that folds to none or to several stays as it is.

    >>> fold_in_place("Straße: è l’età")
    "straße: e l'eta"
    """
    folded = fold(text)
    if len(folded) == len(text):
        return folded
    return "".join(one if len(one := fold(character)) == 1 else character for character in text)


def words(text: str) -> list[str]:
    """The folded words and numbers of a text, in order.

    >>> words("L'età è 3,5 anni: PROMPT_RIPRESA")
    ['l', 'eta', 'e', '3', '5', 'anni', 'prompt', 'ripresa']
    """
    return _WORD.findall(fold(text))


def without_invisible(text: str) -> str:
    """The text without soft hyphens and zero-width characters, which word processors and web pages leave in words.

    >>> without_invisible("pre\\u00adno\\u200bta")
    'prenota'
    """
    return _INVISIBLE.sub("", text)


def text_sha256(text: str) -> str:
    """The SHA-256 of a text in hexadecimal, whatever its white space.

    >>> text_sha256("Il 20\\r\\ngennaio. ") == text_sha256("Il 20 gennaio.")
    True
    """
    return hashlib.sha256(" ".join(text.split()).encode("utf-8", "replace")).hexdigest()


def is_blank(text: str) -> bool:
    """Whether a text has no visible character: it is empty, or has only white space and invisible characters.

    >>> is_blank(" \\n\\u200b"), is_blank(" .")
    (True, False)
    """
    return not any(char.isprintable() and not char.isspace() for char in text)


def phrase(text: str) -> str:
    """The regular expression of one phrase, for folded texts. It matches whole words only.

    `word*` is any word that begins with these letters, `_` any one word, `(a|b)` one of the two, `(a |)` an optional
    part, `^` the start of the text, `$` its end. `...` is up to sixty characters; at the start of the phrase up to two
    hundred, at its end any number. `{name}` is kept, for a name that is filled in later. A phrase between slashes is
    already a regular expression, and is returned without them.

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
    """Whether a phrase may begin or end inside a word. `edge` is its first or last character."""
    return not (edge.isalnum() or edge in "()_")


def any_of(phrases: Iterable[str]) -> str:
    """One regular expression that matches any of several phrases. Without phrases it never matches.

    >>> re.findall(any_of(["uno", "due*", "/3+/"]), "uno dueto 33")
    ['uno', 'dueto', '33']
    """
    return f"(?:{'|'.join(map(phrase, phrases)) or '(?!)'})"
