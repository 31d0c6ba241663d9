"""Reads the place of a document in its series from its file name: a version, a word for a draft, or a number.

`plan_v2.md` is a later version of `plan.md`, and `HANDOFF_255.md` a later part of the series of `HANDOFF_252.md`. A
version replaces the ones before it. A number only orders: part 4 of a study does not replace part 1.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import TypeAlias

from cervella.text.folding import fold

Version: TypeAlias = tuple[int, float]
"""A later version is greater. First -1 for a draft, 1 for a final version, else 0; then the number, 1.0 without one."""

_NAME_DATE = re.compile(r"(?<!\d)(?:19|20)\d\d[-_]?\d\d[-_]?\d\d(?!\d)|(?<!\d)\d\d[-_.]\d\d[-_.](?:19|20)\d\d(?!\d)")
_NUMBER = re.compile(r"\d+")
_LONGEST_NUMBER = 9  # digits that are compared; a longer run is no number of a series
_NOT_A_WORD = re.compile(r"[\W_]+")
_ENDING = re.compile(r"\.(?:md|mdx|markdown|txt)$")
_SESSION = re.compile(r"(\d{1,9})([a-z]?)")


@dataclass(frozen=True, slots=True)
class InSeries:
    """The place of a document among those of its folder."""

    document: str
    """Its path without version and date. It is equal for all versions of one document."""
    version: Version
    series: str
    """Its path without any number. It is equal for all documents of one series."""
    numbers: tuple[int, ...]
    """The numbers in its name, in order, dates and versions apart."""


def in_series(path: str, drafts: Sequence[str], finals: Sequence[str]) -> InSeries:
    """Read a file's place in its series. `drafts` and `finals` are folded words for a draft and a final version.

    >>> one = in_series("idee/20260111_Servizio_v2.md", ["bozza"], ["finale"])
    >>> one.document, one.version
    ('idee/servizio', (0, 2.0))
    >>> in_series("HANDOFF_255.md", [], []).numbers
    (255,)
    """
    folder, _, name = _ENDING.sub("", fold(path)).rpartition("/")
    name = _NAME_DATE.sub(" ", name)
    pattern = _versions(tuple(drafts), tuple(finals))
    found = list(pattern.finditer(name))
    stages = [-1 if one["draft"] else 1 if one["final"] else 0 for one in found]
    stage = -1 if -1 in stages else max(stages, default=0)
    numbers = [float(one["number"].replace("_", ".")) for one in found if one["number"]]
    bare = _NOT_A_WORD.sub(" ", pattern.sub(" ", name)).strip()
    if not bare:  # named by its date alone
        bare = path.rpartition("/")[2]
        return InSeries(f"{folder}/{bare}", (0, 1.0), f"{folder}/{bare}", ())
    counted = tuple(int(one) for one in _NUMBER.findall(bare) if len(one) <= _LONGEST_NUMBER)
    if not any(map(str.isalpha, bare)) and not all(map(_is_year, counted)):
        counted = ()  # a bare number is an identifier, such as that of a Zettel; a bare year is a year
    return InSeries(
        document=f"{folder}/{bare}",
        version=(stage, min(numbers, default=1.0)),
        series=f"{folder}/{_NUMBER.sub('#', bare)}",
        numbers=counted,
    )


def _is_year(number: int) -> bool:
    return 1900 <= number < 2100


def session_order(session: str | None) -> tuple[int, str] | None:
    """A session number as a value to compare: `159` comes before `159e`. None without a number.

    >>> sorted(["159e", "60", "159"], key=session_order)
    ['60', '159', '159e']
    """
    match = _SESSION.fullmatch(session or "")
    return (int(match[1]), match[2]) if match else None


@lru_cache(maxsize=8)
def _versions(drafts: tuple[str, ...], finals: tuple[str, ...]) -> re.Pattern[str]:
    """Finds versions in a folded file name: a number such as `v2`, with a word before it or not, or a word."""
    draft, final = (
        "|".join(r"[\W_]+".join(map(re.escape, word.split())) for word in some) or "(?!)" for some in (drafts, finals)
    )
    number = r"v[ ._-]?(?P<number>\d{1,2}(?:[._]\d{1,2})?)"
    return re.compile(rf"(?<![^\W_])(?:{number}|(?P<draft>{draft})|(?P<final>{final}))(?![^\W_])")
