"""Text without what never decides: case, accents, the kind of apostrophe."""

from __future__ import annotations

import re
import unicodedata
from itertools import filterfalse

__all__ = ["APOSTROPHES", "fold", "is_blank", "words"]

APOSTROPHES = str.maketrans(dict.fromkeys("’‘ʼʹ′`´", "'"))
_MARKED = re.compile(r"[^\x00-\x5f\x61-\x7f]+")  # no ASCII, or a backtick; what is between has nothing to fold
_WORD = re.compile(r"[^\W_]+")


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
