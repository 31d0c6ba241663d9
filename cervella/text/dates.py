"""Dates as people write them in one language: found in a text, and written."""

from __future__ import annotations

import contextlib
import datetime
import re
from collections.abc import Iterable, Mapping
from typing import Any

from cervella.text.folding import APOSTROPHES, fold

__all__ = ["Calendar"]

_ISO_DATE = re.compile(r"(?<!\d)((?:19|20)\d\d)[-/.](\d{1,2})[-/.](\d{1,2})(?!\d)")
_COMPACT_DATE = re.compile(r"(?<!\d)((?:19|20)\d\d)(\d\d)(\d\d)(?!\d)")
_DAY_FIRST_DATE = re.compile(r"(?<!\d)(\d{1,2})[-/.](\d{1,2})[-/.]((?:19|20)\d\d)(?!\d)")
_SHORT_DATE = re.compile(r"(?<![\w/])(\d{1,2})/(\d{1,2})/(\d\d)(?![\w/])")
_SHORTEST_MONTH = 3
"""Letters by which a month may be written, where they tell it from the others."""


class Calendar:
    """The dates of one language: `dates.toml` of its folder."""

    def __init__(self, data: Mapping[str, Any]) -> None:
        spellings = [spelled.split() for spelled in data["months"]]
        self.months = tuple(own[0] for own in spellings)
        self.weekdays: tuple[str, ...] = data["weekdays"]
        self._written: str = data["written"]
        self._whole = {fold(name): number for number, own in enumerate(spellings, 1) for name in own}
        self._short = _prefixes(self._whole)
        names, whole = _either(self._short, r"\.?"), _either(self._whole)
        ordinals = _either(map(fold, data["ordinals"]))
        between = rf"(?:(?:{_either(map(fold, data['between']))}) +)?"
        day = rf"(\d{{1,2}})(?:(?:{ordinals})+ *| +){between}"
        self._date = re.compile(rf"(?<!\d){day}({whole}|{names}) +{between}((?:19|20)\d\d)(?!\d)")
        self._month = re.compile(rf"(?<!\w)(?:{day}({whole})(?!\w)|({whole})(?= +{between}\d))")
        self._after_day = rf"(?:{ordinals})*\W+{between}"

    def write(self, iso: str) -> str:
        """An ISO date as people write it; what is none stays as it came."""
        try:
            date = datetime.date.fromisoformat(iso)
        except ValueError:
            return iso
        return self._written.format(day=date.day, month=self.months[date.month - 1], year=date.year)

    def day_pattern(self, days: Iterable[str], month: int) -> re.Pattern[str]:
        """A day, in any of these spellings, of a month, over folded text: `17 aprile`."""
        names = _either(name for name, number in self._whole.items() if number == month)
        return re.compile(rf"\b(?:{_either(days)}){self._after_day}(?:{names})")

    def find_months(self, text: str) -> list[tuple[int | None, int]]:
        """The months that a text names beside a day or a year, each with the day that stands before it, or None."""
        found = self._month.finditer(fold(text))
        return [(int(match[1]) if match[1] else None, self._whole[match[2] or match[3]]) for match in found]

    def find_dates(self, text: str) -> list[tuple[int, int, str]]:
        """Where each date starts and ends, and its ISO form."""
        found: list[tuple[int, int, str]] = []
        # Position by position what `fold` would make of it, where that keeps the length: the spans must fit `text`.
        folded = fold(text)
        if len(folded) != len(text):
            folded = text.translate(APOSTROPHES).lower()
        for match in self._date.finditer(folded):
            _note(found, match, match[3], self._short[match[2].rstrip(".")], match[1])
        for pattern, order in ((_ISO_DATE, (1, 2, 3)), (_COMPACT_DATE, (1, 2, 3)), (_DAY_FIRST_DATE, (3, 2, 1))):
            for match in pattern.finditer(folded):
                _note(found, match, *(match[group] for group in order))
        for match in _SHORT_DATE.finditer(folded):
            _note(found, match, f"20{match[3]}", match[2], match[1])
        return sorted(found)


def _prefixes(months: Mapping[str, int]) -> dict[str, int]:
    """The months whole, and by their first letters where no other month begins so."""
    found = dict(months)
    for name, number in months.items():
        for length in range(_SHORTEST_MONTH, len(name)):
            begun = {other for spelled, other in months.items() if spelled.startswith(name[:length])}
            if begun == {number}:
                found[name[:length]] = number
    return found


def _either(texts: Iterable[str], end: str = "") -> str:
    return "|".join(re.escape(text) + end for text in sorted(texts, key=len, reverse=True)) or "(?!)"


def _note(found: list[tuple[int, int, str]], match: re.Match[str], year: Any, month: Any, day: Any) -> None:
    with contextlib.suppress(ValueError):  # 2026-13-40 is a number, not a date
        found.append((*match.span(), datetime.date(int(year), int(month), int(day)).isoformat()))
