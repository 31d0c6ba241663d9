"""Words with a capital letter: which of them are names of people, as far as a text shows it."""

from __future__ import annotations

import re
from collections.abc import Iterator
from functools import lru_cache
from typing import NamedTuple

from cervella.text.asking_words import listed, pattern
from cervella.text.folding import fold
from cervella.text.language import Language

_WORD = re.compile(r"[^\W\d_][^\W_]*(?:[-'’][^\W\d_]+)*")
_PARTS = re.compile(r"[-'’]")
_ELIDED = re.compile(r"^[^\W\d_]{1,5}['’](?=[^\W\d_])")
_OPENS = re.compile(r"(?:^|[.!?…:;|>•([]|\n|[«“\"„‘]|[-*+–—] ?|\*\*|__)[\s*_]{0,6}$")
_ADDRESS = re.compile(r"[\s\d,./()-]{1,16}")
_BEFORE = 24
"""Characters before a capital letter that say what it is."""


class Capital(NamedTuple):
    """A word with a capital letter that is no function word."""

    start: int
    end: int
    is_name: bool
    """Whether it is the name of somebody: it does not only open a sentence, and nothing says that it is a place's."""
    is_place: bool


def capitalises_nouns(lang: Language) -> bool:
    """Whether every noun of a language has a capital letter, so that one alone is no name."""
    return listed(lang, "capitals") == ("nouns",)


def capitals(text: str, folded_text: str, lang: Language) -> Iterator[Capital]:
    """The words of a text with a capital letter, in order. `folded_text` is the text folded in its length.

    Days, months and function words are left out, and so are words in capitals only.
    """
    last: Capital | None = None
    nouns = capitalises_nouns(lang)
    known = _frequent(lang)
    forms = (
        pattern(lang, "titles", r"(?:{})[ .]{1,3}$"),
        pattern(lang, "noun_person", r"(?:{})[ *_]{0,3}[:|][ *_]{0,3}$"),  # "Contact person: Martha"
    )
    for match in _WORD.finditer(text):
        word = _ELIDED.sub("", match[0])
        folded, start = fold(word), match.end() - len(word)
        if not _is_written_large(word) or folded in lang.calendar_names or folded in lang.stop_words:
            continue
        if all(map(pattern(lang, "weekdays").fullmatch, _PARTS.split(folded))):
            continue  # "Mo-Fr" (German)
        before = folded_text[max(0, start - _BEFORE) : start]
        titled = any(form.search(before) for form in forms)
        placed = pattern(lang, "before_places", r"(?:{})[ .]{1,2}$").search(before) is not None
        article = pattern(lang, "articles", r"(?:{}) ?$").search(before) is not None
        opens = _OPENS.search(text[max(0, start - _BEFORE) : start]) is not None and word == match[0]
        first = text[last.start : last.end] if last and text[last.end : start] in (" ", "-", ". ") else ""
        if first and not titled and pattern(lang, "before_places", "(?:{})$").search(fold(first)):
            placed = True  # "Lake Garda"
        if last is not None and last.is_place and _ADDRESS.fullmatch(text, last.end, start):
            placed = True  # "Via Roma 5, Bolzano"
        if titled:
            is_name = True
        elif placed or folded in known:
            is_name = False
        elif first:
            is_name = True
        else:
            is_name = not (opens or article or nouns)
        if opens and folded in known:
            continue
        last = Capital(start, match.end(), is_name, placed and not is_name)
        yield last


def _is_written_large(word: str) -> bool:
    """Whether the first letter alone is a capital, of each part: "Anna-Maria", and neither "NASA" nor "WhatsApp"."""
    first, *others = _PARTS.split(word)
    return first.istitle() and len(first) > 1 and all(part.istitle() or part.islower() for part in others)


@lru_cache(maxsize=16)
def _frequent(lang: Language) -> frozenset[str]:
    """Frequent words, folded, which at the start of a sentence are no names."""
    return frozenset(map(fold, lang.file("detection.txt"))) | lang.stop_words
