"""Number words, and the words around figures: `numbers.toml` of the languages' folders.

The library text2num reads number words. For a language that it does not have, the language's own table is read.
"""

from __future__ import annotations

import re
import tomllib
from collections.abc import Iterable, Iterator, Mapping
from decimal import Decimal
from functools import lru_cache
from importlib import resources
from typing import Any, NamedTuple

from cervella.text.language import Language, fold, known_languages, language

_WORD = re.compile(r"[^\W\d_]+")
_SMALL, _THOUSAND = 12, 1000
_NOWHERE = "(?!)"
_MOST_WORDS = 20_000
"""Words per language for which the cache keeps whether they may be number words."""


class NumberWord(NamedTuple):
    """Words that mean a number: `text[start:end]`."""

    start: int
    end: int
    value: str
    ordinal: bool = False
    unsure: bool = False
    """Whether it counts only before a unit."""


class _Token(NamedTuple):
    """One word, in the interface that text2num requires."""

    word: str
    start: int
    end: int
    separated: bool
    """Whether more than a space or a hyphen separates it from the word before."""

    def text(self) -> str:
        return self.word

    def text_lowercase(self) -> str:
        return self.word.lower()

    def nt_separated(self, before: object) -> bool:
        return self.separated

    def not_a_number_part(self) -> bool:
        return False


def number_words(text: str, lang: Language) -> list[NumberWord]:
    """The number words of a text, each number as one: "vinte e cinco" is 25."""
    lowered = text.lower() if len(text.lower()) == len(text) else text
    found: list[NumberWord] = []
    if _number_test(lang).among(_WORD.findall(lowered)):  # most lines have none: text2num is not asked
        idioms = {place for match in _pattern("idioms").finditer(lowered) for place in range(*match.span())}
        found = [word for word in _read(_tokens(text, lang), lang) if word.start not in idioms]
    if not _shares().search(lowered):
        return sorted({word.end: word for word in found}.values())
    found += (NumberWord(*span, "0.5", unsure=True) for span in _spans("half_of", lowered))
    found += (NumberWord(*span, "1.5") for span in _spans("one_and_half", lowered))
    by_end = {word.end: word for word in found}
    numbers = dict(by_end)
    for start, end in _spans("dozen", lowered):
        # "due dozzine": one space between. A dozen multiplies no other dozen.
        before = by_end.pop(start - 1) if start - 1 in numbers else None
        first, times = (start, "1") if before is None else (before.start, before.value)
        by_end[end] = NumberWord(first, end, plain(12 * Decimal(times)))
    return sorted(by_end.values())


def may_have_numbers(text: str, lang: Language) -> bool:
    """Whether a text may have number words other than "one", as a quick test before it is read for figures."""
    lowered = text.lower()
    found = _number_test(lang).among(_WORD.findall(lowered))
    return not found <= _ones(lang) or _fractions().search(lowered) is not None


@lru_cache(maxsize=16)
def _ones(lang: Language) -> frozenset[str]:
    words = {word for word, value in lang.numbers.items() if value == 1}
    return frozenset(words | {word[:-1] for word in words})


@lru_cache(maxsize=1)
def _fractions() -> re.Pattern[str]:
    keys = ("half_of", "and_half", "one_and_half", "dozen")
    return re.compile(rf"(?<!\w)(?:{'|'.join(map(words_around, keys))})(?!\w)")


@lru_cache(maxsize=1)
def _shares() -> re.Pattern[str]:
    """What `_spans` may find: a quick test that most texts fail."""
    return re.compile(rf"(?:{'|'.join(map(words_around, ('half_of', 'one_and_half', 'dozen')))})(?!\w)")


def _spans(key: str, lowered: str) -> Iterator[tuple[int, int]]:
    for match in _pattern(key).finditer(lowered):
        if not lowered[max(0, match.start() - 1) : match.start()].isalnum():
            yield match.span()


class _NumberTest:
    """Finds the words that are number words, or the elided form of one ("vent'"). It keeps what it found."""

    def __init__(self, lang: Language) -> None:
        self._lang = lang
        self._plain: set[str] = set()
        self._numbers: set[str] = set()

    def among(self, words: Iterable[str]) -> set[str]:
        """The number words among these words, which are in lower case."""
        found = set(words) - self._plain
        new = found - self._numbers
        if not new:
            return found
        numbers = self._tested(sorted(new))
        if len(self._plain) + len(self._numbers) + len(new) > _MOST_WORDS:
            self._plain, self._numbers = set(), set()
        self._plain.update(new - numbers)
        self._numbers.update(numbers)
        return (found - new) | numbers

    def _tested(self, words: list[str]) -> set[str]:
        lang = self._lang
        elided = {word for word in words if fold(word) in _elided(lang)}
        # In one call, because a call takes ten times as long as a word. They are separated: each is read alone.
        found = _found([_Token(word, 0, len(word), True) for word in words], lang)
        if found is None:
            return elided | {word for word in words if fold(word) in lang.numbers}
        return elided | {words[place] for one in found for place in range(one.start, one.end)}


_number_test = lru_cache(maxsize=16)(_NumberTest)


def _tokens(text: str, lang: Language) -> list[_Token]:
    tokens, last, elided = [], 0, _elided(lang)
    for match in _WORD.finditer(text):
        word, separated, last = match.group(), bool(text[last : match.start()].strip(" \n-")), match.end()
        if text[last : last + 1] in ("'", "’") and fold(word) in elided:
            word, last = elided[fold(word)], last + 1
        tokens.append(_Token(word, match.start(), last, separated))
    return tokens


def _found(tokens: list[_Token], lang: Language) -> list[Any] | None:
    """The numbers that text2num finds. For a language that it does not have: None, or [] where no word is a number."""
    import text_to_num  # a C extension: loaded when the first text is read for number words

    try:
        return list(text_to_num.find_numbers(tokens, lang.code, threshold=-1.0))
    except ValueError:
        return None if any(fold(token.word) in lang.numbers for token in tokens) else []


def _read(tokens: list[_Token], lang: Language) -> Iterator[NumberWord]:
    found = _found(tokens, lang)
    if found is None:
        values = ((token, lang.numbers.get(fold(token.word))) for token in tokens)
        yield from (NumberWord(one.start, one.end, str(value)) for one, value in values if value is not None)
        return
    vague = re.compile(lang.file("numbers.toml")["vague"] or _NOWHERE)
    for one in found:
        last, single = one.end - 1, fold(tokens[one.start].word) if one.end == one.start + 1 else None
        # text2num also reads "ones" and "os": a small number is only a word that the language lists.
        listed = single is None or one.is_ordinal or one.value > _SMALL or single in lang.numbers
        if not listed or (single is not None and vague.fullmatch(single)):
            continue
        value = Decimal(int(one.value)) if one.is_ordinal else Decimal(one.text.replace(",", "."))
        factor = multiples().get(tokens[last].text_lowercase(), Decimal(0))
        if factor > _THOUSAND and value > factor:  # "da dieci a quindici milioni": both are millions
            value, last = value / factor, last - 1
        yield NumberWord(tokens[one.start].start, tokens[last].end, plain(value), one.is_ordinal)


@lru_cache(maxsize=16)
def _elided(lang: Language) -> Mapping[str, str]:
    """Number words without their last vowel, as before an apostrophe: "vent'anni", "un'ora e mezza"."""
    return {word[:-1]: word for word, value in lang.numbers.items() if value == 1 or value >= 20}


def plain(value: Decimal) -> str:
    """A value as digits."""
    digits = format(value, "f")  # exact, however long: `normalize` would round to the context's precision
    return digits.rstrip("0").rstrip(".") if "." in digits else digits


@lru_cache(maxsize=1)
def units_file() -> Mapping[str, Any]:
    """The units of measure that no language owns: units.toml of this room. Its figures are exact."""
    text = (resources.files("cervella.text") / "units.toml").read_text(encoding="utf-8")
    return tomllib.loads(text, parse_float=Decimal)


@lru_cache(maxsize=64)
def words_around(key: str) -> str:
    """The words of all languages for one key of numbers.toml, as one regular expression without flags.

    Of all languages together: an answer may be in another language than the base.
    """
    own: Iterable[str] = (language(code).file("numbers.toml")[key] for code in known_languages())
    return "|".join(filter(None, own)) or _NOWHERE


@lru_cache(maxsize=4)
def _pattern(key: str) -> re.Pattern[str]:
    return re.compile(rf"(?:{words_around(key)})(?!\w)")


@lru_cache(maxsize=1)
def multiples() -> dict[str, Decimal]:
    """The factor of each word or sign that multiplies a figure, in all languages."""
    powers = {"thousand": 3, "million": 6, "billion": 9}
    own = {word: Decimal(10**power) for key, power in powers.items() for word in words_around(key).split("|")}
    return own | {sign: Decimal(factor) for sign, factor in units_file()["multiples"].items()}
