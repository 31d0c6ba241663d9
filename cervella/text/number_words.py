"""Words that stand for numbers, and the words that stand around figures, clauses and negations: wording.toml.

The library text2num reads number words; for a language that it does not know the language's own table is read.
"""

from __future__ import annotations

import re
import tomllib
from collections.abc import Iterable, Iterator, Mapping
from decimal import Decimal
from functools import lru_cache
from importlib import resources
from typing import Any, NamedTuple

from cervella.text.language import Language, fold

__all__ = ["NumberWord", "data_of", "multiples", "number_words", "plain", "words_around"]

_WORD = re.compile(r"[^\W\d_]+")
_SMALL, _THOUSAND = 12, 1000


class NumberWord(NamedTuple):
    """Words that stand for a number: `text[start:end]`."""

    start: int
    end: int
    value: str
    ordinal: bool = False
    unsure: bool = False
    """Whether it counts only before a unit."""


class _Token(NamedTuple):
    """One word, as the reader of number words wants it."""

    word: str
    start: int
    end: int
    apart: bool
    """Whether more than a space or a hyphen parts it from the word before."""

    def text(self) -> str:
        return self.word

    def text_lowercase(self) -> str:
        return self.word.lower()

    def nt_separated(self, before: object) -> bool:
        return self.apart

    def not_a_number_part(self) -> bool:
        return False


def number_words(text: str, lang: Language) -> list[NumberWord]:
    """The words of a text that stand for numbers, put together: "vinte e cinco" is 25."""
    idle = {place for match in _patterns()["idioms"].finditer(text) for place in range(*match.span())}
    halves = (NumberWord(*match.span(), "0.5", unsure=True) for match in _patterns()["half_of"].finditer(text))
    words = (*_read(_tokens(text, lang), lang), *halves)
    return sorted(_dozens(text, [word for word in words if word.start not in idle]))


def _tokens(text: str, lang: Language) -> list[_Token]:
    tokens, last, elided = [], 0, _elided(lang)
    for match in _WORD.finditer(text):
        word, apart, last = match.group(), bool(text[last : match.start()].strip(" \n-")), match.end()
        if text[last : last + 1] in ("'", "’") and fold(word) in elided:  # "vent'anni"
            word, last = elided[fold(word)], last + 1
        tokens.append(_Token(word, match.start(), last, apart))
    return tokens


def _read(tokens: list[_Token], lang: Language) -> Iterator[NumberWord]:
    import text_to_num  # a C extension: loaded when the first text is read for number words

    try:
        found = text_to_num.find_numbers(tokens, lang.code, threshold=-1.0)
    except ValueError:  # a language that the library does not know has a table of its own
        values = ((token, lang.numbers.get(fold(token.text()))) for token in tokens)
        yield from (NumberWord(one.start, one.end, str(value)) for one, value in values if value is not None)
        return
    vague = words_around(lang.code).get("vague", "").split("|")
    for one in found:
        last, single = one.end - 1, fold(tokens[one.start].text()) if one.end == one.start + 1 else None
        # The library reads "ones" and "os" too: a small number is one of the words that the language lists.
        listed = single is None or one.is_ordinal or one.value > _SMALL or single in lang.numbers
        if not listed or single in vague:
            continue
        value = Decimal(int(one.value)) if one.is_ordinal else Decimal(one.text.replace(",", "."))
        factor = multiples().get(tokens[last].text_lowercase(), Decimal(0))
        if factor > _THOUSAND and value > factor:  # "da dieci a quindici milioni": both are millions
            value, last = value / factor, last - 1
        yield NumberWord(tokens[one.start].start, tokens[last].end, plain(value), one.is_ordinal)


def _dozens(text: str, words: Iterable[NumberWord]) -> list[NumberWord]:
    """The number words, with "due dozzine" as one."""
    by_end = {word.end: word for word in words}
    for match in _patterns()["dozen"].finditer(text):
        before = by_end.pop(match.start() - 1, None)  # one space between
        start, times = (match.start(), "1") if before is None else (before.start, before.value)
        by_end[match.end()] = NumberWord(start, match.end(), plain(12 * Decimal(times)))
    return list(by_end.values())


@lru_cache(maxsize=16)
def _elided(lang: Language) -> Mapping[str, str]:
    return {word[:-1]: word for word, value in lang.numbers.items() if value >= 20}


def plain(value: Decimal) -> str:
    """A value as digits."""
    digits = format(value, "f")  # exact, however long: `normalize` would round to the context's precision
    return digits.rstrip("0").rstrip(".") if "." in digits else digits


def data_of(name: str) -> dict[str, Any]:
    """A data file of this room; its figures are exact."""
    text = (resources.files("cervella.text") / name).read_text(encoding="utf-8")
    return tomllib.loads(text, parse_float=Decimal)


@lru_cache(maxsize=32)
def words_around(code: str = "") -> Mapping[str, str]:
    """The words around figures: of one language, or of all of them, as alternatives of a regular expression."""
    data = data_of("wording.toml")
    if code:
        return dict(data.get(code, {}))
    every: dict[str, list[str]] = {}
    for words in data.values():
        for key, alternatives in words.items():
            every.setdefault(key, []).append(alternatives)
    return {key: "|".join(found) for key, found in every.items()}


@lru_cache(maxsize=1)
def _patterns() -> Mapping[str, re.Pattern[str]]:
    names, words = ("half_of", "dozen", "idioms"), words_around()
    return {name: re.compile(rf"(?<!\w)(?:{words[name]})(?!\w)", re.IGNORECASE) for name in names}


@lru_cache(maxsize=1)
def multiples() -> dict[str, Decimal]:
    """What multiplies a figure, in all languages."""
    powers = {"thousand": 3, "million": 6, "billion": 9}
    return {word: Decimal(10**power) for key, power in powers.items() for word in words_around()[key].split("|")}
