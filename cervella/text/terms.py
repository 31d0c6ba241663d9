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
from collections.abc import Collection, Iterable, Mapping, Sequence
from decimal import Decimal
from functools import lru_cache
from itertools import pairwise
from typing import TypeAlias

from cervella.text.dates import FoundDate
from cervella.text.folding import fold, fold_in_place, without_invisible
from cervella.text.language import Language
from cervella.text.number_words import NumberWord, may_have_numbers, multiples, plain
from cervella.text.quantities import MONEY, Quantity, senses_of, whole_number
from cervella.text.reading import ReadText

Wanted: TypeAlias = Mapping[str, float]
"""One word or figure of a query: the terms that satisfy it, each with its weight, 0 to 1."""

TERMS_VERSION = "2"
"""The version of the rules of `terms`. An index of another version is made anew from the files."""
FIGURE = "="
"""The first character of the term of a figure."""
_LONGEST = 20_000
"""Characters of a text in which figures are read. Further ones are split into words only."""
_OTHER_UNIT, _AS_NUMBER, _HOUR, _IN_NAME, _NO_YEAR, _MONTH, _DAY = 0.8, 0.5, 0.7, 0.4, 0.7, 0.5, 0.4
"""Weights of a term that satisfies a figure of a query only in part. It is the same number without its unit; the number
that may be a year, with a separator or a unit; the hour without ":00"; the number in a name, such as 317 in S317; the
day without its year; the month of the day; the number of the day alone."""
_WITHOUT_UNIT = MONEY | {"%"}
"""The dimensions whose units a query need not find: 5 € is found by 5."""
_WORD = re.compile(r"[^\W_]+")
_DIGIT = re.compile(r"\d")
_APART = "."
"""Stands for lines without figures: no date and no figure goes on after them."""
_YEAR = re.compile(r"(?:19|20)\d\d")
_HALF_IN_DIGITS = re.compile(r"\d[.,]\d")
_FEWEST_DIGITS = 3
"""Minimum number of digits of a figure inside a word, such as S317, that is a term by itself."""
_CODE = re.compile(r"(?<![\w.,:])\+?\(?\+?\d(?:[ .\-/()\u00a0\u202f]{0,2}\d){7,18}(?!\w|[.,]\d)")
_MAYBE_CODE = re.compile(r"\d(?:[ .\-/()\u00a0\u202f]{0,2}\d){7}")
_GROUP = re.compile(r"\d+")
_KEY, _FEWEST_IN_CODE = 8, 8
"""The last digits of a code or a telephone number that are its term: with or without the country's prefix, they are
the same."""
_METRES = re.compile(r"\d\s?m$")
_HOURS, _NEAR = 24, 24
"""The last hour of a day, and the characters before an hour in which words such as "half past" are looked for."""
_MOST_GROUPS = 4
"""Maximum number of groups of digits of a telephone number that begins neither with + nor with 0."""
_SHORT = 3
"""Maximum number of small letters before a space and digits that may be a code: "rx 200"."""
_LETTERS, _IN_CODES = 5, (" ", "-", ".", "/")
"""The letters that a code may begin with, half of the digits that may follow, and what may be between them."""
_MONTH_AND_YEAR = (
    re.compile(r"(?P<month>\d(?<![\w/.,-].)\d?)/(?P<year>(?:19|20)\d\d)(?![\w/]|[.,-]\d)"),
    re.compile(r"(?P<year>[12](?<![\w/.,-].)(?:(?<=1)9|(?<=2)0)\d\d)-(?P<month>\d\d)(?![\w/-]|[.,]\d)"),
)
_DAY_AND_MONTH = re.compile(r"(?P<day>\d(?<![\w/.,:-].)\d?)/(?P<month>\d{1,2})(?![\w/%€$£-]|[.,]\d)")
_MAYBE_DATE = re.compile(r"\d[-/.]\d")
_SHORT_DATE = re.compile(r"(?P<day>\d(?<![\w.].)\d?)\.(?P<month>\d{1,2})\.(?P<year>\d\d)(?!\w|\.\d)")


def terms(text: str, lang: Language) -> list[str]:
    """The terms that an indexed text has: its stems without stop words, then those of its figures and dates.

    >>> from cervella.text.language import language
    >>> terms("La caparra è 1.200€, entro il 14/03/2026", language("it"))  # doctest: +NORMALIZE_WHITESPACE
    ['caparr', 'entro', '=2026-03-14', '=03-14', '=2026-03', '=y2026', '=14', 'marz', '=1200', '=eur1200']
    """
    with_figures: list[str] = []
    without: list[str] = []
    spelled = may_have_numbers(text, lang)
    for line in text.split("\n"):
        has = _DIGIT.search(line) is not None or (spelled and may_have_numbers(line, lang))
        (with_figures if has else without).append(line)
        if not has and with_figures and with_figures[-1] != _APART:
            with_figures.append(_APART)
    stems = lang.stems("\n".join(without)) if without else []
    if not with_figures:
        return stems
    read = _Figures("\n".join(with_figures), lang, lang)
    return stems + read.stems + read.offered


def asked_terms(
    query: str, lang: Language, spoken: Language | None = None, without: Collection[str] | None = None
) -> list[Wanted]:
    """The words and figures of a query, stop words left out, each with the terms that satisfy it.

    `lang` is the language of the indexed texts, `spoken` that of the query. `without` are the words that are left out
    besides the stop words of `lang`; by default those of `spoken`. A word has its stem only. A figure prefers its unit,
    and takes the number without it.

    >>> from cervella.text.language import language
    >>> asked_terms("caparra 1200 euro", language("it"))
    [{'caparr': 1.0}, {'=eur1200': 1.0, '=1200': 0.8}]
    """
    spoken = spoken or lang
    return _Figures(query, lang, spoken, spoken.stop_words if without is None else without).asked()


class _Figures:
    """A text, with the words that its figures and dates consist of."""

    def __init__(self, text: str, lang: Language, spoken: Language, without: Collection[str] = ()) -> None:
        text = unicodedata.normalize("NFC", without_invisible(text))
        self.lang = lang
        self._without = without
        self.stems: list[str] = []
        """The stems of all words outside figures, months and units of measure included."""
        self.offered: list[str] = []
        self._rest: list[str] = []
        self._tokens: list[str] = []
        """The words and numbers, folded in place."""
        self._starts: list[int] = []
        self._ends: list[int] = []
        self._taken: set[int] = set()
        """The numbers of the tokens that are parts of figures."""
        self._units: set[int] = set()
        """The numbers of the tokens that are units of measure of figures."""
        self._wanted: dict[int, dict[str, float]] = {}
        """What a query asks with a figure, by the start of the figure; and, for a word, what satisfies it besides."""
        self._dates: list[Wanted] = []
        if len(text) > _LONGEST:
            self._rest = [stem for stem in lang.stems(text[_LONGEST:], without) if not stem.isdigit()]
            text = text[:_LONGEST]
        read = ReadText(text, spoken)
        if not (_DIGIT.search(text) or read.number_words):
            self.stems = lang.stems(text, without) + self._rest
            self._rest = self.stems
            return
        self._read, self._text, self._folded = read, text, fold_in_place(text)
        matches = list(_WORD.finditer(self._folded))
        self._tokens = [match[0] for match in matches]
        self._starts, self._ends = [match.start() for match in matches], [match.end() for match in matches]
        self._says_minutes = any(_minutes(spoken, before=one)[2].search(self._folded) for one in (True, False))
        self._spelled = {word.start: word.end for word in read.number_words}
        self._spelled_starts = sorted(self._spelled)
        self._read_dates()
        self._read_figures()
        self._read_codes()
        kept = " ".join(word for number, word in enumerate(self._tokens) if number not in self._taken)
        self.stems = lang.stems(kept) + self._rest

    def _inside(self, start: int, end: int) -> range:
        """The numbers of the tokens that begin in `text[start:end]`."""
        return range(bisect_left(self._starts, start), bisect_left(self._starts, end))

    # Dates

    def _read_dates(self) -> None:
        for found in self._read.found_dates:
            self._date(found.start, found.end, found.day, found.month, found)
        dated = _places((one.start, one.end) for one in self._read.found_dates)
        for pattern in (*_MONTH_AND_YEAR, _DAY_AND_MONTH, _SHORT_DATE) if _MAYBE_DATE.search(self._text) else ():
            for match in pattern.finditer(self._text):
                if not dated.isdisjoint(range(*match.span())):
                    continue
                self._maybe_date({name: int(value) for name, value in match.groupdict().items()}, match.start())

    def _date(self, start: int, end: int, day: int | None, month: int, found: FoundDate) -> None:
        year = int(found.iso[:4]) if found.iso else found.year
        terms = _date_terms(year, month, day)
        name = self.lang.stems(self.lang.months[month - 1])
        tokens = self._inside(start, end)
        named = [n for n in tokens if self._tokens[n].isalpha() and n not in self._numbers(start, end)]
        self.offered += terms
        if day:
            self.offered.append(f"={day}")
        if year and found.iso:
            self.offered.insert(len(self.offered) - 1, f"=y{year}")
        if not named:
            self.offered += name
        self._taken.update(n for n in tokens if n not in named)
        wanted = dict(zip(terms, (1.0, _NO_YEAR, _MONTH), strict=False))
        if day:
            wanted[f"={day}"] = _DAY
        if day or year:
            self._dates.append(wanted)
        for n in named:  # a query in another language than the base names the month otherwise
            self._wanted.setdefault(self._starts[n], {}).update(dict.fromkeys(name, 1.0))
        if not named:
            self._dates.append(dict.fromkeys(name, 1.0))
        if found.iso:
            self._dates.append({f"=y{year}": 1.0})

    def _numbers(self, start: int, end: int) -> set[int]:
        """The tokens of number words in a part of the text."""
        starts = self._spelled_starts
        spelled = starts[bisect_left(starts, start) : bisect_left(starts, end)]
        return {n for one in spelled for n in self._inside(one, self._spelled[one])}

    def _maybe_date(self, given: Mapping[str, int], start: int) -> None:
        """A month and a year in digits, or a day and a month, that may be another figure as well: 3/4, 3.11.12."""
        year, day, month = given.get("year"), given.get("day"), given["month"]
        year = 2000 + year if year is not None and year < 100 else year
        if not _exists(year, month, day):
            return
        terms = _date_terms(year, month, day)
        self.offered += terms
        if year:
            self.offered += [f"=y{year}", *self.lang.stems(self.lang.months[month - 1])]
        self._wanted.setdefault(start, {}).update(zip(terms, (1.0, _NO_YEAR, _MONTH), strict=False))

    # Figures

    def _read_figures(self) -> None:
        dated = _places((one.start, one.end) for one in self._read.found_dates if one.iso or one.day)
        for figure in self._read.undated:
            if figure.start not in dated and not self._is_plain(figure):
                self._figure(figure)
        self._minutes_apart()
        for word in self._read.number_words:
            hour = word.value if self._says_minutes and word.value.isdigit() and len(word.value) < 3 else ""
            if hour and word.start not in self._wanted:  # "acht" alone is no figure in German, and in "halb acht" it is
                times = self._times(word.start, word.end, int(hour))
                self.offered += times
                self._wanted[word.start] = dict.fromkeys(times, 1.0)
            if word.ordinal and self._counts(word):
                self.offered.append(f"={word.value}°")
                self._wanted.setdefault(word.start, {})[f"={word.value}°"] = 1.0

    def _is_plain(self, figure: Quantity) -> bool:
        """Whether a figure is only a whole number in digits, as most are; then it is read.

        No unit or ordinal sign stands beside it, and it is neither a year nor a time nor a part of a word.
        """
        start, end = figure.start, figure.end
        n = bisect_left(self._starts, start)
        if (
            figure.senses
            or figure.negative
            or figure.percent
            or self._says_minutes
            or n == len(self._starts)
            or self._starts[n] != start
            or self._ends[n] != end
            or not (self._tokens[n].isascii() and self._tokens[n].isdigit())
            or start in self._spelled
            or (n and start - self._ends[n - 1] == 1 and senses_of(self._tokens[n - 1]))
        ):
            return False
        (value,) = figure.readings
        if (len(value) == 4 and _YEAR.fullmatch(value)) or self._ordinal(figure):
            return False
        term = f"={value}"
        self.offered.append(term)
        self._wanted.setdefault(start, {})[term] = 1.0
        self._taken.add(n)
        return True

    def _figure(self, figure: Quantity) -> None:
        tokens = self._inside(figure.start, figure.end)
        first = tokens.start - 1
        part_of = first if first >= 0 and self._ends[first] > figure.start else None
        if part_of in self._taken:
            part_of = None
        ordinal = self._ordinal(figure)
        if part_of is None and tokens and self._ends[tokens[-1]] > figure.end and not ordinal:
            part_of = tokens[-1]
        if part_of is not None:
            self._inside_word(figure, part_of)
            return
        values, measures = _values(figure, self._text), _measures(figure)
        times, year, before = self._times_of(figure), self._year(figure), self._unit_before(figure, first)
        if year:
            wanted = {f"=y{year}": 1.0}
            wanted |= {} if before == "year" else dict.fromkeys(values, _AS_NUMBER)
            self.offered += [*wanted] if figure.start in self._spelled else [f"=y{year}"]
        else:
            if before == "h" and (clock := {value: 1.0 for value in values if ":" in value}):
                values = clock
            best = [*ordinal, *times, *measures]
            self.offered += [*values, *best]
            if before == "h" and figure.whole is not None and figure.whole <= _HOURS and not best:
                best = [f"={figure.whole}:00"]
            wanted = dict.fromkeys(best, 1.0)
            for value, weight in values.items():
                wanted.setdefault(value, weight * (_OTHER_UNIT if best else 1.0))
        self._wanted.setdefault(figure.start, {}).update(wanted)
        self._take(figure, tokens, measures)

    def _counts(self, word: NumberWord) -> bool:
        """Whether an ordinal counts something: "la prima rata" (the first instalment) does, "prima di" (before) not."""
        after = bisect_left(self._starts, word.end)
        counted = after < len(self._tokens) and self._tokens[after] not in self._read.spoken.stop_words
        return counted or int(word.value) > 2

    def _unit_before(self, figure: Quantity, before: int) -> str:
        """`h` or `year` if a word for it stands before a figure without a unit: "ore 9" (9 o'clock), "anno 2026".

        `before` is the number of the token before the figure. That word need not be in the passage.
        """
        if before < 0 or figure.senses or figure.start - self._ends[before] != 1:
            return ""
        word = self._tokens[before]
        senses = senses_of(word) if len(word) > 1 else ()
        if not senses:
            return ""
        unit = next((one for one in ("h", "year") if senses == senses_of(one)), "")
        if unit == "h" or (unit == "year" and self._year(figure)):
            self._units.add(before)
            self._wanted[self._starts[before]] = {}
            return unit
        return ""

    def _ordinal(self, figure: Quantity) -> list[str]:
        """The term of an ordinal in digits: 3°, 3rd."""
        signs = _ordinal_signs(self._read.spoken)
        written = self._text[figure.start : figure.end]
        return [f"={plain(Decimal(written))}°"] if written.isdecimal() and signs.match(self._text, figure.end) else []

    def _times_of(self, figure: Quantity) -> list[str]:
        hour = figure.whole if self._says_minutes and not figure.dimensions - {"time"} else None
        return [] if hour is None else self._times(figure.start, figure.end, hour)

    def _times(self, start: int, end: int, hour: int) -> list[str]:
        """The times of day of an hour with the words around it: "nove e un quarto" is 9:15, "halb acht" is 7:30.

        The hour is `text[start:end]`.
        """
        if hour > _HOURS:
            return []
        found = []
        minutes, pattern, _ = _minutes(self._read.spoken, before=True)
        near = max(0, start - _NEAR)
        if match := pattern.search(self._folded[near:start]):
            found.append(_time(60 * hour + minutes[match[1]]))
            self._taken.update(self._inside(near + match.start(), start))
        minutes, pattern, _ = _minutes(self._read.spoken, before=False)
        if match := pattern.match(self._folded, end):
            found.append(_time(60 * hour + minutes[match[1]]))
            self._taken.update(self._inside(*match.span()))
        return found

    def _minutes_apart(self) -> None:
        """Times with the word "and" between hours and minutes: "7 e 30", "sette e trenta" (Italian for 7:30)."""
        spoken = _between_times(self._read.spoken)
        for one, other in pairwise(self._read.undated):
            if one.senses or other.senses or not spoken.fullmatch(self._text, one.end, other.start):
                continue
            hour, minutes = one.whole, other.whole
            if hour is None or minutes is None or hour > _HOURS or not 10 <= minutes < 60:
                continue
            time = _time(60 * hour + minutes)
            self.offered.append(time)
            for figure in (one, other):
                wanted = self._wanted.setdefault(figure.start, {})
                wanted.update({term: weight * _OTHER_UNIT for term, weight in wanted.items()})
                wanted[time] = 1.0

    def _take(self, figure: Quantity, tokens: range, measures: Collection[str]) -> None:
        """Tell the words of a figure from those of its unit. A unit that has the figure's measure is satisfied by it.

        "5 kg" in a query is satisfied by "cinque chili" (five kilos), although neither of its words is there.
        """
        if not figure.senses and figure.start not in self._spelled:
            words = self._tokens[tokens.start : tokens.stop]
            if all(word.isascii() and word.isdigit() for word in words):  # most figures
                self._taken.update(tokens)
                return
        stop = self._spelled.get(figure.start)
        spelled = range(0) if stop is None else self._inside(figure.start, stop)
        unit = False
        money = not figure.dimensions.isdisjoint(_WITHOUT_UNIT)
        for n in tokens:
            word = self._tokens[n]
            letters = word.lstrip("0123456789")
            if not unit and letters and n not in spelled and not figure.percent:
                unit = letters not in multiples() and bool(senses_of(letters))
            if not unit or letters != word:
                self._taken.add(n)
            if unit and letters == word:
                self._units.add(n)
                if money:
                    self._wanted[self._starts[n]] = {}
                else:
                    self._wanted.setdefault(self._starts[n], {}).update(dict.fromkeys(measures, 1.0))

    def _inside_word(self, figure: Quantity, token: int) -> None:
        """The figure of a name, such as 317 in S317: a query with the number alone finds it."""
        digits = [reading for reading in sorted(figure.readings) if len(reading.replace(".", "")) >= _FEWEST_DIGITS]
        found = {f"={reading}": 1.0 if "." in reading else _IN_NAME for reading in digits}
        self.offered += found
        self._wanted.setdefault(self._starts[token], {}).update(found)
        self._taken.update(n for n in self._inside(figure.start, figure.end) if self._tokens[n].isdigit())

    def _year(self, figure: Quantity) -> str:
        """The year that a figure may be; empty if it can't be one: 2.026 has a separator, 2026 € a unit."""
        if figure.senses or figure.negative or figure.percent or len(figure.readings) > 1:
            return ""
        reading = next(iter(figure.readings))
        written = self._text[figure.start : figure.end]
        return reading if _YEAR.fullmatch(reading) and (written == reading or not _DIGIT.search(written)) else ""

    # Codes

    def _read_codes(self) -> None:
        dated = _places((one.start, one.end) for one in self._read.found_dates)
        wanted = sorted(self._wanted)
        for match in _CODE.finditer(self._text) if _MAYBE_CODE.search(self._text) else ():
            if dated.isdisjoint(range(*match.span())):
                self._code(match, wanted[bisect_left(wanted, match.start()) : bisect_left(wanted, match.end())])
        for n, digits in enumerate(self._tokens[1:]):
            if not digits.isdigit():
                continue
            letters = self._tokens[n]
            if not (letters.isalpha() and len(letters) <= _LETTERS >= len(digits) - _LETTERS):
                continue
            between = self._text[self._ends[n] : self._starts[n + 1]]
            spaced = between == " " and not self._text[self._starts[n] : self._ends[n]].isupper()
            if between not in _IN_CODES or (spaced and len(letters) > _SHORT) or self._is_common(letters):
                continue
            joined = letters + digits
            if not spaced:
                self.offered.append(joined)
            for start in self._starts[n : n + 2]:
                self._wanted.setdefault(start, {})[joined] = 1.0

    def _is_common(self, letters: str) -> bool:
        """Whether letters before digits are a word of their own: no letters of a code."""
        known = (self.lang.stop_words, self._read.spoken.stop_words, self._read.spoken.calendar_names)
        return any(letters in some for some in known) or bool(senses_of(letters))

    def _code(self, match: re.Match[str], figures: Sequence[int]) -> None:
        """A telephone number or a long code: `+39 333 123 4567` and `3331234567` have the same last digits.

        `figures` are the starts of the wanted figures in it.
        """
        groups, keys, digits = _GROUP.findall(match.group()), [], ""
        for group in groups:
            digits += group
            if len(digits) >= _FEWEST_IN_CODE:
                keys.append(f"=#{digits[-_KEY:]}")
        self.offered += keys
        if len(figures) == 1:
            self._wanted[figures[0]].setdefault(keys[-1], 1.0)
            return
        national = match.group().lstrip("(")[0] in "+0"
        if not national and (len(groups) > _MOST_GROUPS or any(map(_YEAR.fullmatch, groups))):
            return  # a list of numbers
        for start in figures:
            del self._wanted[start]
        self._wanted[match.start()] = {keys[-1]: 1.0}

    # The query

    def asked(self) -> list[Wanted]:
        found: list[Wanted] = []
        left = dict(self._wanted)
        for number, word in enumerate(self._tokens):
            if number in self._taken:
                continue
            besides = left.pop(self._starts[number], None)
            if besides == {} and number in self._units:
                continue  # the currency of a figure is asked with the figure
            found += ({stem: 1.0, **(besides or {})} for stem in self.lang.stems(word, self._without))
        found += self._dates
        found += [left[start] for start in sorted(left) if left[start]]
        found += [{stem: 1.0} for stem in self._rest]
        return [dict(one) for one in dict.fromkeys(tuple(one.items()) for one in found)]


def _places(spans: Iterable[tuple[int, int]]) -> frozenset[int]:
    """All offsets in the spans of a text."""
    return frozenset(place for start, end in spans for place in range(start, end))


def _values(figure: Quantity, text: str) -> dict[str, float]:
    """The terms of a figure's possible values, without its unit."""
    found: dict[str, float] = {}
    readings = figure.readings
    if len(readings) == 1 and not figure.negative and (only := next(iter(readings))).isdigit():
        return {f"={only}": 1.0}
    if _METRES.search(text, figure.start, figure.end):  # 1,25 m are metres, 1,25 M may be millions
        readings = figure.bare
    if figure.dimensions & MONEY:  # cents have two digits: 1.200 € is 1200
        readings = frozenset(one for one in readings if one.isdigit()) or readings
    for reading in sorted(readings, key=lambda reading: (":" in reading, len(reading), reading)):
        if ":" in reading:
            hour, _, minutes = reading.partition(":")
            if not hour.isdigit():  # a ratio, such as 4.5:1
                found[f"={reading}"] = 1.0
                continue
            if figure.dimensions - {"time"} or (minutes.isdigit() and not (_is(hour, 24) and _is(minutes, 59))):
                continue
            found[f"={reading}"] = 1.0
            if minutes == "00":
                found.setdefault(f"={hour}", _HOUR)
        elif reading.count(".") == 1:
            short = plain(Decimal(reading))
            found[f"={reading if '.' not in short else short}"] = 1.0
            whole, _, rest = short.partition(".")
            written = text[figure.start : figure.end]
            if rest == "5" and not figure.senses and _is(whole, 24) and not _HALF_IN_DIGITS.search(written):
                found[f"={whole}:30"] = 1.0  # half past
        else:
            found[f"={reading}"] = 1.0
    if figure.negative:
        found = {f"=-{value[1:]}": weight for value, weight in found.items()} | {
            value: weight * _OTHER_UNIT for value, weight in found.items()
        }
    return found


def _is(written: str, most: int) -> bool:
    """Whether digits are a number of at most `most`."""
    value = whole_number(written)
    return value is not None and value <= most


@lru_cache(maxsize=16)
def _ordinal_signs(lang: Language) -> re.Pattern[str]:
    """What may follow an ordinal in digits. A full stop makes one only before a word."""
    signs = [
        re.escape(sign) + (r" (?=[^\W\d_])" if sign == "." else r"(?![^\W\d_])(?!\s?[CF]\b)")
        for sign in lang.file("dates.toml")["ordinals"]
    ]
    return re.compile("|".join(signs) or "(?!)")


@lru_cache(maxsize=16)
def _between_times(lang: Language) -> re.Pattern[str]:
    return re.compile(rf" (?:{lang.file('numbers.toml')['and'] or '(?!)'}) ", re.IGNORECASE)


@lru_cache(maxsize=32)
def _minutes(lang: Language, *, before: bool) -> tuple[Mapping[str, int], re.Pattern[str], re.Pattern[str]]:
    """The minutes of the words before or after an hour; patterns for folded text, beside an hour and anywhere."""
    own = lang.file("numbers.toml")["minutes_before" if before else "minutes_after"]
    words = {fold(word): minutes for word, minutes in own.items()}
    either = "|".join(map(re.escape, sorted(words, key=len, reverse=True))) or "(?!)"
    beside = re.compile(rf"(?<!\w)({either}) $" if before else rf"\s({either})(?!\w)")
    return words, beside, re.compile(either)


def _measures(figure: Quantity) -> list[str]:
    """The terms of a figure with its unit, in the basic unit of its dimension: 90 minutes and 1.5 hours have the same.

    A unit with several meanings has a term for each.
    """
    if not figure.senses:
        return []
    sign = "-" if figure.negative else ""
    measures = sorted((dimension, value) for dimension, value in figure.measures() if dimension)
    return [f"={dimension}{sign}{plain(value)}" for dimension, value in measures]


def _time(minutes: int) -> str:
    """The term of a time of day, by its minutes since midnight."""
    return f"={minutes // 60 % 24}:{minutes % 60:02}"


def _date_terms(year: int | None, month: int, day: int | None) -> list[str]:
    """The terms of a date, the most exact first."""
    found = [f"={year}-{month:02}-{day:02}"] if year and day else []
    found += [f"={month:02}-{day:02}"] if day else []
    return found + ([f"={year}-{month:02}"] if year else [])


def _exists(year: int | None, month: int, day: int | None) -> bool:
    try:
        datetime.date(year or 2000, month, day or 1)  # 29 February is a day of 2000
    except ValueError:
        return False
    return True
