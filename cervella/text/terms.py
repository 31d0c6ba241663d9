"""The terms by which texts are searched: stems of words, and one term for each figure, whatever its spelling.

`1.250.000 €`, `1250000` and "un milione e duecentocinquantamila euro" have the term `=1250000` in common, and
`14/03/2026` and "14 marzo 2026" the term `=2026-03-14`. The terms of figures begin with `=`, which no stem contains.
A figure with several possible values, such as 1.250, has a term for each of them.
"""

from __future__ import annotations

import datetime
import re
import unicodedata
from bisect import bisect_left
from collections.abc import Collection, Iterator, Mapping
from decimal import Decimal
from functools import lru_cache
from typing import NamedTuple, TypeAlias

from cervella.text.dates import FoundDate
from cervella.text.folding import fold, fold_in_place, without_invisible, words
from cervella.text.language import Language
from cervella.text.number_words import multiples, plain, words_around
from cervella.text.quantities import Quantity, senses_of
from cervella.text.reading import ReadText

Wanted: TypeAlias = Mapping[str, float]
"""One word or figure of a query: the terms that satisfy it, each with its weight, 0 to 1."""

FIGURE = "="
"""The first character of the term of a figure."""
_LONGEST = 20_000
"""Characters of a text in which figures are read. Further ones are split into words only."""
_OTHER_UNIT, _AS_NUMBER, _PART, _NO_YEAR, _MONTH, _DAY = 0.8, 0.5, 0.7, 0.7, 0.5, 0.4
"""Weights of a term that satisfies only a part of a figure of a query. It has the same number without its unit; the
number that may be a year, with a separator or a unit; a part of a code or a time; the day without its year; the month
of the day; the number of the day alone."""
_WORD = re.compile(r"[^\W_]+")
_DIGIT = re.compile(r"\d")
_YEAR = re.compile(r"(?:19|20)\d\d")
_HALF_IN_DIGITS = re.compile(r"\d[.,]\d")
_FEWEST_DIGITS = 3
"""Minimum number of digits of a figure inside a word, such as S317, that is a term by itself."""
_CODE = re.compile(r"(?<![\w.,:])\+?\(?\+?\d(?:[ .\-/()\u00a0\u202f]{0,2}\d){7,18}(?!\w|[.,]\d)")
_GROUP = re.compile(r"\d+")
_KEY, _FEWEST_IN_CODE = 8, 8
"""The last digits of a code or a telephone number that are its term: with or without the country's prefix, they are
the same."""
_MOST_GROUPS = 4
"""Maximum number of groups of digits of a telephone number that begins neither with + nor with 0."""
_SHORT = 3
"""Maximum number of small letters before a space and digits that may be a code: "rx 200"."""
_MARKED = re.compile(r"(?<![^\W_])([^\W\d_]{1,5})([-./ ]?)(\d{1,10})(?![^\W_])")
_MONTH_AND_YEAR = (
    re.compile(r"(?<![\w/.,-])(?P<month>\d{1,2})/(?P<year>(?:19|20)\d\d)(?![\w/]|[.,-]\d)"),
    re.compile(r"(?<![\w/.,-])(?P<year>(?:19|20)\d\d)-(?P<month>\d\d)(?![\w/-]|[.,]\d)"),
)
_DAY_AND_MONTH = re.compile(r"(?<![\w/.,:-])(?P<day>\d{1,2})/(?P<month>\d{1,2})(?![\w/%€$£-]|[.,]\d)")
_SHORT_DATE = re.compile(r"(?<![\w.])(?P<day>\d{1,2})\.(?P<month>\d{1,2})\.(?P<year>\d\d)(?!\w|\.\d)")


def terms(text: str, lang: Language) -> list[str]:
    """The terms that an indexed text has: its stems without stop words, then those of its figures and dates.

    >>> from cervella.text.language import language
    >>> terms("La caparra è 1.200€, entro il 14/03/2026", language("it"))  # doctest: +NORMALIZE_WHITESPACE
    ['caparr', 'entro', '=1200', '=1.2', '=eur1200', '=2026-03-14', '=03-14', '=2026-03', '=y2026', '=14', 'marz']
    """
    read = _Figures(text, lang, lang)
    return read.stems + read.offered


def asked_terms(query: str, lang: Language, spoken: Language | None = None) -> list[Wanted]:
    """The words and figures of a query, stop words left out, each with the terms that satisfy it.

    `lang` is the language of the indexed texts, `spoken` that of the query. A word has its stem only. A figure prefers
    its unit, and takes the number without it.

    >>> from cervella.text.language import language
    >>> asked_terms("caparra 1200 euro", language("it"))
    [{'caparr': 1.0}, {'=eur1200': 1.0, '=1200': 0.8}]
    """
    return _Figures(query, lang, spoken or lang).asked


class _Token(NamedTuple):
    start: int
    end: int
    word: str
    """Folded in place."""


class _Figures:
    """A text, with the words that its figures and dates consist of."""

    def __init__(self, text: str, lang: Language, spoken: Language) -> None:
        text = unicodedata.normalize("NFC", without_invisible(text))
        self.lang = lang
        self.stems: list[str] = []
        """The stems of all words outside figures, months and units of measure included."""
        self.offered: list[str] = []
        self.asked: list[Wanted] = []
        if len(text) > _LONGEST:
            self.stems = [stem for stem in lang.stems(text[_LONGEST:]) if not stem.isdigit()]
            text = text[:_LONGEST]
        read = ReadText(text, spoken)
        if not (_DIGIT.search(text) or read.number_words):
            self.stems = lang.stems(text) + self.stems
            self.asked = [{stem: 1.0} for stem in dict.fromkeys(self.stems)]
            return
        self._read, self._text = read, text
        self._tokens = [_Token(*match.span(), match.group()) for match in _WORD.finditer(fold_in_place(text))]
        self._starts = [token.start for token in self._tokens]
        self._taken: set[int] = set()
        """The numbers of the tokens that are parts of figures."""
        self._unit_words: set[int] = set()
        self._wanted: dict[int, dict[str, float]] = {}
        """What a query asks with a figure, by the start of the figure; and, for a word, what satisfies it besides."""
        self._dates: list[Wanted] = []
        self._spelled = {word.start: word.end for word in read.number_words}
        self._read_dates()
        self._read_figures()
        self._read_codes()
        kept = " ".join(token.word for number, token in enumerate(self._tokens) if number not in self._taken)
        rest, self.stems = self.stems, lang.stems(kept)
        self.asked = self._ask(rest)
        self.stems += rest

    def _inside(self, start: int, end: int) -> range:
        """The numbers of the tokens that begin in `text[start:end]`."""
        return range(bisect_left(self._starts, start), bisect_left(self._starts, end))

    # Dates

    def _read_dates(self) -> None:
        for found in self._read.found_dates:
            self._date(found.start, found.end, found.day, found.month, found)
        spans = [(one.start, one.end) for one in self._read.found_dates]
        for pattern in (*_MONTH_AND_YEAR, _DAY_AND_MONTH, _SHORT_DATE):
            for match in pattern.finditer(self._text):
                if any(start < match.end() and match.start() < end for start, end in spans):
                    continue
                self._maybe_date({name: int(value) for name, value in match.groupdict().items()}, match.start())

    def _date(self, start: int, end: int, day: int | None, month: int, found: FoundDate) -> None:
        year = int(found.iso[:4]) if found.iso else found.year
        terms = _date_terms(year, month, day)
        name = self.lang.stems(self.lang.months[month - 1])
        tokens = self._inside(start, end)
        named = [n for n in tokens if self._tokens[n].word.isalpha() and n not in self._numbers(start, end)]
        self.offered += terms
        if day:
            self.offered.append(f"={day}")
        if year and found.iso:
            self.offered.insert(len(self.offered) - 1, f"=y{year}")
        if not named:
            self.offered += name
        self._taken.update(n for n in tokens if n not in named)
        wanted = dict(zip(terms, _date_weights(year, day), strict=True))
        if day:
            wanted[f"={day}"] = _DAY
        if day or year:
            self._dates.append(wanted)
        for n in named:  # a query in another language than the base names the month otherwise
            self._wanted.setdefault(self._tokens[n].start, {}).update(dict.fromkeys(name, 1.0))
        if not named:
            self._dates.append(dict.fromkeys(name, 1.0))
        if found.iso:
            self._dates.append({f"=y{year}": 1.0})

    def _numbers(self, start: int, end: int) -> set[int]:
        """The tokens of number words in a part of the text."""
        spans = [(one, stop) for one, stop in self._spelled.items() if start <= one < end]
        return {n for one, stop in spans for n in self._inside(one, stop)}

    def _maybe_date(self, given: Mapping[str, int], start: int) -> None:
        """A month and a year in digits, or a day and a month, that may be another figure as well: 3/4, 3.11.12."""
        year, day, month = given.get("year"), given.get("day"), given["month"]
        year = 2000 + year if year is not None and year < 100 else year
        if not _exists(year, month, day):
            return
        terms = _date_terms(year, month, day)
        self.offered += terms
        self._wanted.setdefault(start, {}).update(dict.fromkeys(terms[:1], 1.0))

    # Figures

    def _read_figures(self) -> None:
        dated = [(one.start, one.end) for one in self._read.found_dates if one.iso or one.day]
        for figure in self._read.undated:
            if any(start <= figure.start < end for start, end in dated):
                continue
            self._figure(figure)

    def _figure(self, figure: Quantity) -> None:
        tokens = self._inside(figure.start, figure.end)
        first = tokens.start - 1
        part_of = first if first >= 0 and self._tokens[first].end > figure.start else None
        if part_of in self._taken:
            part_of = None
        if part_of is None and tokens and self._tokens[tokens[-1]].end > figure.end:
            part_of = tokens[-1]
        if part_of is not None:
            self._inside_word(figure, part_of)
            return
        values, measures = _values(figure, self._text), _measures(figure)
        year = self._year(figure)
        self.offered += [f"=y{year}"] if year else [*values, *measures]
        if year and figure.start in self._spelled:
            self.offered += values
        if hour := self._hour(figure):
            values = {f"={hour}:00": 1.0, **values}
        wanted = dict.fromkeys(measures, 1.0)
        for value, weight in values.items():
            wanted.setdefault(value, weight * (_OTHER_UNIT if measures else _AS_NUMBER if year else 1.0))
        if year:
            wanted = {f"=y{year}": 1.0, **wanted}
        self._wanted.setdefault(figure.start, {}).update(wanted)
        self._take(figure, tokens, measures)

    def _hour(self, figure: Quantity) -> str:
        """The hour of a figure after a word for hours, "ore 9" (9 o'clock); that word need not be in the passage."""
        before = bisect_left(self._starts, figure.start) - 1
        if before < 0 or figure.senses or len(figure.readings) > 1:
            return ""
        token, reading = self._tokens[before], next(iter(figure.readings))
        near = figure.start - token.end == 1 and len(token.word) > 1 and senses_of(token.word) == senses_of("h")
        if not near or not reading.partition(":")[0].isdigit() or int(reading.partition(":")[0]) > 24:
            return ""
        self._unit_words.add(before)
        self._wanted[token.start] = {}
        return reading if ":" not in reading else ""

    def _take(self, figure: Quantity, tokens: range, measures: Collection[str]) -> None:
        """Tell the words of a figure from those of its unit. A unit that has the figure's measure is satisfied by it.

        "5 kg" in a query is satisfied by "cinque chili" (five kilos), although neither of its words is there.
        """
        spelled = self._inside(figure.start, self._spelled.get(figure.start, figure.start))
        unit = False
        money = any(term.startswith(("=eur", "=usd", "=gbp", "=%")) for term in measures)
        for n in tokens:
            word = self._tokens[n].word
            letters = word.lstrip("0123456789")
            unit = unit or (
                n not in spelled and letters not in multiples() and letters and bool(senses_of(letters)) and not figure.percent
            )
            if not unit or letters != word:
                self._taken.add(n)
            if unit and letters == word:
                self._unit_words.add(n)
                if money:
                    self._wanted[self._tokens[n].start] = {}
                else:
                    self._wanted.setdefault(self._tokens[n].start, {}).update(dict.fromkeys(measures, 1.0))

    def _inside_word(self, figure: Quantity, token: int) -> None:
        """The figure of a name, such as 317 in S317: a query with the number alone finds it."""
        digits = [reading for reading in figure.readings if len(reading.replace(".", "")) >= _FEWEST_DIGITS]
        found = {f"={reading}": 1.0 if "." in reading else _PART for reading in digits}
        self.offered += found
        self._wanted.setdefault(self._tokens[token].start, {}).update(found)
        self._taken.update(n for n in self._inside(figure.start, figure.end) if self._tokens[n].word.isdigit())

    def _year(self, figure: Quantity) -> str:
        """The year that a figure may be; empty if it can't be one: 2.026 has a separator, 2026 € a unit."""
        if figure.senses or figure.negative or figure.percent or len(figure.readings) > 1:
            return ""
        reading = next(iter(figure.readings))
        written = self._text[figure.start : figure.end]
        return reading if _YEAR.fullmatch(reading) and (written == reading or not _DIGIT.search(written)) else ""

    # Codes

    def _read_codes(self) -> None:
        dated = [(one.start, one.end) for one in self._read.found_dates]
        for match in _CODE.finditer(self._text):
            if not any(start < match.end() and match.start() < end for start, end in dated):
                self._code(match)
        for match in _MARKED.finditer(fold_in_place(self._text)):
            letters, between, digits = match.groups()
            upper = self._text[match.start(1) : match.end(1)].isupper()
            spaced = between == " " and not upper
            if not between or (spaced and len(letters) > _SHORT) or self._is_common(letters):
                continue
            joined = letters + digits
            if not spaced:
                self.offered.append(joined)
            for start in (match.start(1), match.start(3)):
                self._wanted.setdefault(start, {})[joined] = 1.0

    def _is_common(self, letters: str) -> bool:
        """Whether letters before digits are a word of their own: no letters of a code."""
        known = (self.lang.stop_words, self._read.spoken.stop_words, self._read.spoken.calendar_names)
        return any(letters in some for some in known) or bool(senses_of(letters))

    def _code(self, match: re.Match[str]) -> None:
        """A telephone number or a long code: `+39 333 123 4567` and `3331234567` have the same last digits."""
        groups, keys, digits = _GROUP.findall(match.group()), [], ""
        for group in groups:
            digits += group
            if len(digits) >= _FEWEST_IN_CODE:
                keys.append(f"=#{digits[-_KEY:]}")
        self.offered += keys
        one_figure = sum(match.start() <= start < match.end() for start in self._wanted) == 1
        if one_figure:
            start = next(start for start in self._wanted if match.start() <= start < match.end())
            self._wanted[start].setdefault(keys[-1], 1.0)
            return
        national = match.group().lstrip("(")[0] in "+0"
        if not national and (len(groups) > _MOST_GROUPS or any(map(_YEAR.fullmatch, groups))):
            return  # a list of numbers
        for start in [start for start in self._wanted if match.start() <= start < match.end()]:
            del self._wanted[start]
        self._wanted[match.start()] = {keys[-1]: 1.0}

    # The query

    def _ask(self, rest: list[str]) -> list[Wanted]:
        asked: list[Wanted] = []
        left = dict(self._wanted)
        for number, token in enumerate(self._tokens):
            if number in self._taken:
                continue
            besides = left.pop(token.start, None)
            if besides == {} and number in self._unit_words:
                continue  # the currency of a figure is asked with the figure
            for stem in self.lang.stems(token.word):
                asked.append({stem: 1.0, **(besides or {})})
        asked += self._dates
        asked += [left[start] for start in sorted(left) if left[start]]
        asked += [{stem: 1.0} for stem in rest]
        return [dict(one) for one in dict.fromkeys(tuple(one.items()) for one in asked)]


def _values(figure: Quantity, text: str) -> dict[str, float]:
    """The terms of a figure's possible values, without its unit."""
    found: dict[str, float] = {}
    readings = figure.readings
    if figure.dimensions & {"eur", "usd", "gbp"}:  # cents have two digits: 1.200 € is 1200
        readings = frozenset(one for one in readings if one.isdigit()) or readings
    for reading in sorted(readings, key=lambda reading: (":" in reading, len(reading), reading)):
        if ":" in reading:
            hour, _, minutes = reading.partition(":")
            if figure.dimensions - {"time"} or (minutes.isdigit() and (int(minutes) > 59 or int(hour) > 24)):
                continue
            found[f"={reading}"] = 1.0
            if minutes == "00":
                found.setdefault(f"={hour}", _PART)
        elif reading.count(".") == 1:
            short = plain(Decimal(reading))
            found[f"={reading if '.' not in short else short}"] = 1.0
            whole, _, rest = short.partition(".")
            written = text[figure.start : figure.end]
            if rest == "5" and not figure.senses and int(whole) <= 24 and not _HALF_IN_DIGITS.search(written):
                found[f"={whole}:30"] = 1.0  # half past
        else:
            found[f"={reading}"] = 1.0
    if figure.negative:
        found = {f"=-{value[1:]}": weight for value, weight in found.items()} | {
            value: weight * _PART for value, weight in found.items()
        }
    return found


def _measures(figure: Quantity) -> list[str]:
    """The terms of a figure with its unit, in the basic unit of its dimension: 90 minutes and 1.5 hours have the same.

    A unit with several meanings has a term for each.
    """
    sign = "-" if figure.negative else ""
    measures = sorted((dimension, value) for dimension, value in figure.measures() if dimension)
    return [f"={dimension}{sign}{plain(value)}" for dimension, value in measures]


def _date_terms(year: int | None, month: int, day: int | None) -> list[str]:
    """The terms of a date, the most exact first."""
    found = [f"={year}-{month:02}-{day:02}"] if year and day else []
    found += [f"={month:02}-{day:02}"] if day else []
    return found + ([f"={year}-{month:02}"] if year else [])


def _date_weights(year: int | None, day: int | None) -> list[float]:
    if year and day:
        return [1.0, _NO_YEAR, _MONTH]
    return [1.0]


def _exists(year: int | None, month: int, day: int | None) -> bool:
    try:
        datetime.date(year or 2000, month, day or 1)  # 29 February is a day of 2000
    except ValueError:
        return False
    return True
