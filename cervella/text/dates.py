"""Dates in one language: found in a text, and written."""

from __future__ import annotations

import datetime
import re
from collections.abc import Collection, Iterable, Mapping
from functools import cached_property
from typing import Any, NamedTuple

from cervella.text.folding import fold, fold_in_place

# A pattern that begins with a set is several times as fast as one that begins with a lookbehind: so that comes second.
_NUMERIC_DATES = (
    re.compile(r"(?P<year>[12](?<!\d.)(?:(?<=1)9|(?<=2)0)\d\d)[-/.](?P<month>\d{1,2})[-/.](?P<day>\d{1,2})(?!\d)"),
    re.compile(r"(?P<year>[12](?<!\d.)(?:(?<=1)9|(?<=2)0)\d\d)(?P<month>\d\d)(?P<day>\d\d)(?!\d)"),
    re.compile(r"(?P<day>\d(?<!\d.)\d?)[-/.](?P<month>\d{1,2})[-/.](?P<year>(?:19|20)\d\d)(?!\d)"),
    re.compile(r"(?P<day>\d(?<![\w/].)\d?)/(?P<month>\d{1,2})/(?P<year>\d\d)(?![\w/])"),
)
_MAYBE_NUMERIC = re.compile(r"\d[-/.]\d|\d{8}")
_DIGIT, _WORD = re.compile(r"\d"), re.compile(r"[^\W\d_]+")
_SHORTEST_MONTH = 3
"""Minimum number of letters of an abbreviated month. No other month of the language may begin with them."""


class FoundDate(NamedTuple):
    """A date, or a month beside a day or a year: `text[start:end]`."""

    start: int
    end: int
    day: int | None
    month: int
    iso: str = ""
    """The full date; empty where the text has no day or no year, or where no calendar has that day."""
    year: int | None = None
    """The year after a month without a day; else None."""


class Calendar:
    """The dates of one language: `dates.toml` of its folder."""

    def __init__(self, data: Mapping[str, Any]) -> None:
        spellings = [spelled.split() for spelled in data["months"]]
        self.months = tuple(own[0] for own in spellings)
        self.weekdays: tuple[str, ...] = data["weekdays"]
        self.ordinals: tuple[str, ...] = data["ordinals"]
        self._written: str = data["written"]
        self._whole = {fold(name): number for number, own in enumerate(spellings, 1) for name in own}
        self._numbers = _with_prefixes(self._whole)
        space, year = r"\s{1,24}", r"(?P<year>(?:19|20)\d\d)(?!\d)"
        month, between = _either(self._numbers), rf"(?:(?:{_either(map(fold, data['between']))}){space})?"
        ordinal = rf"(?:{_either(map(fold, self.ordinals))})"
        after_day = rf"(?:{ordinal}{{1,3}}\s{{0,24}}|{space}){between}"
        dotted = r"(?P<day>\d(?<![\w.].)\d?)\.(?P<month>\d{1,2})\.(?P<year>\d\d)(?!\w|\.\d)"
        # Elsewhere 3.11.12 is a version.
        self._numeric = (*_NUMERIC_DATES, *([re.compile(dotted)] if "." in self.ordinals else []))
        self._patterns = tuple(
            re.compile(pattern)
            for pattern in (
                rf"(?P<day>\d(?<![\w-].)\d?)[-/](?P<month>{month})[-/]{year}",
                rf"(?P<day>\d(?<!\d.)\d?){after_day}(?P<month>{month})(?!\w)(?:\.?,?{space}{between}{year})?",
                rf"(?<!\w)(?P<month>{month})\.?{space}(?P<day>\d{{1,2}}){ordinal}{{0,3}}(?![\w/]|[.,:]\d)"
                rf"(?:,?{space}{between}{year})?",
                rf"(?<!\w)(?P<month>{_either(self._whole)})(?={space}{between}(?:(?P<of>(?:19|20)\d\d)(?!\d)|\d))",
            )
        )

    @cached_property
    def names(self) -> frozenset[str]:
        """The folded names of months and days of the week, with the abbreviations of months."""
        return frozenset(self._numbers) | frozenset(map(fold, self.weekdays))

    def write(self, iso: str) -> str:
        """An ISO date in the words of this language: 2026-01-09 is "9 gennaio 2026" in Italian.

        A text that is not an ISO date is returned unchanged.
        """
        try:
            date = datetime.date.fromisoformat(iso)
        except ValueError:
            return iso
        return self._written.format(day=date.day, month=self.months[date.month - 1], year=date.year)

    def find(self, text: str, number_words: Collection[tuple[int, int, str]] = ()) -> list[FoundDate]:
        """The dates of a text in order, and the months beside a day or a year.

        `number_words` are start, end and value of number words: beside a month they are days ("il nove gennaio").
        """
        if not number_words and text.isascii() and not _DIGIT.search(text):
            return []  # most lines: other scripts have letters that fold to a digit
        folded = fold_in_place(text)
        spelled = _with_days(folded, number_words) if number_words else folded
        if not _DIGIT.search(spelled):
            return []
        found: dict[int, FoundDate] = {}
        taken: set[int] = set()
        # Most texts name no month: then the patterns that begin with a month's name are not tried at each character.
        for pattern in () if self._numbers.keys().isdisjoint(_WORD.findall(spelled)) else self._patterns:
            for match in pattern.finditer(spelled):
                if taken.isdisjoint(range(*match.span("month"))) and self._is_date(match, text):
                    taken.update(range(*match.span()))
                    given = match.groupdict()
                    day = int(given["day"]) if given.get("day") else None
                    month = self._numbers[given["month"]]
                    iso = _iso(given.get("year"), month, day)
                    of = given.get("of")
                    found[match.start()] = FoundDate(*match.span(), day, month, iso, int(of) if of else None)
        for pattern in self._numeric if _MAYBE_NUMERIC.search(folded) else ():
            for match in pattern.finditer(folded):
                day, month = int(match["day"]), int(match["month"])
                if iso := _iso(f"20{match['year'][-2:]}" if len(match["year"]) == 2 else match["year"], month, day):
                    found[match.start()] = FoundDate(*match.span(), day, month, iso)
        return [found[start] for start in sorted(found)]

    def _is_date(self, match: re.Match[str], text: str) -> bool:
        """Whether the name of a month means a month: "one may say" and "you may 3 times" have none.

        Without a year an abbreviation is none. Where the language writes months with a capital, one in lower case
        then needs a day in digits before it.
        """
        given = match.groupdict()
        if given.get("year") or given.get("of"):
            return True
        if match["month"] not in self._whole:
            return False
        if self.months[0].islower() or text[match.start("month")].isupper():
            return True
        return match.start("month") > match.start() and text[match.start()].isdigit()


def _with_days(text: str, number_words: Iterable[tuple[int, int, str]]) -> str:
    """The text with each number word, given as start, end and value, replaced by its value; its length is the same."""
    parts, done = [], 0
    for start, end, value in sorted(number_words):
        if start >= done:
            parts += [text[done:start], value.ljust(end - start)]
            done = end
    return "".join([*parts, text[done:]])


def _iso(year: str | None, month: int, day: int | None) -> str:
    """An ISO date; empty where a part is missing or where there is no such day."""
    try:
        return datetime.date(int(year), month, day).isoformat() if year and day else ""
    except ValueError:  # 2026-13-40 is a number, not a date
        return ""


def _with_prefixes(months: Mapping[str, int]) -> dict[str, int]:
    """The numbers of the months by name, and by each beginning that only one month has."""
    found = dict(months)
    for name, number in months.items():
        for length in range(_SHORTEST_MONTH, len(name)):
            same_beginning = {other for spelled, other in months.items() if spelled.startswith(name[:length])}
            if same_beginning == {number}:
                found[name[:length]] = number
    return found


def _either(texts: Iterable[str]) -> str:
    return "|".join(re.escape(text) for text in sorted(texts, key=len, reverse=True)) or "(?!)"
