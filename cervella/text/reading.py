"""A text, read once: its words and stems, figures, dates, quotations, clauses and negations.

Whoever compares texts passes these values on. What is not asked for is never read, what was read is kept.
"""

from __future__ import annotations

import re
from bisect import bisect_left
from collections.abc import Mapping, Sequence
from functools import cached_property, lru_cache
from itertools import chain, pairwise
from typing import NamedTuple

from cervella.text.language import Language, fold
from cervella.text.number_words import NumberWord, number_words, words_around
from cervella.text.quantities import Quantity, quantities
from cervella.text.sentences import normal, quotations

__all__ = ["ReadText"]

_WORD = re.compile(r"[^\W_](?:[^\W_]|[\u0300-\u036f])*")
_LONGEST_MONTH, _SHORT_MONTH = 31, 3
"""Days, and letters of a month cut short."""
_FOLDED_WORD = re.compile(r"[^\W_]+")
_CELL = re.compile(r"\|")


class Statement(NamedTuple):
    """One clause of a text."""

    about: frozenset[str]
    denies: bool
    unsure: bool
    """Whether a "not" before it may reach it: "non servono A, B"."""


class ReadText:
    """A text in one language. Figures and dates may be read in another one, `spoken`, as people mix them."""

    def __init__(self, text: str, lang: Language, spoken: Language | None = None) -> None:
        self.text = text
        self.lang = lang
        self.spoken = spoken or lang

    @cached_property
    def words(self) -> tuple[tuple[int, str], ...]:
        """Its folded words with where they start."""
        if len(self.folded) == len(self.text):
            return tuple((match.start(), match.group()) for match in _FOLDED_WORD.finditer(self.folded))
        found = ((match.start(), fold(match.group())) for match in _WORD.finditer(self.text))
        return tuple((start, part) for start, word in found for part in _FOLDED_WORD.findall(word))

    @cached_property
    def _in_words(self) -> list[NumberWord]:
        return number_words(self.text, self.spoken)

    @cached_property
    def dated(self) -> str:
        """The text with its dates as day, month and year, in digits, at the same places: "May 3rd, 2026".

        Only what stands beside a month is written anew.
        """
        rest = list(self.text)
        for word in self._in_words:
            if word.value.isdigit() and 1 <= int(word.value) <= _LONGEST_MONTH:
                rest[word.start : word.end] = word.value.ljust(word.end - word.start)
        spelled = "".join(rest)
        rest = list(self.text)
        for match in _dates(self.spoken).finditer(spelled):
            day, month, year = (match[name] or match[name + "2"] or "" for name in ("day", "month", "year"))
            whole = fold(month) in map(fold, self.spoken.months)
            written = f"{day} {month if whole else month[:_SHORT_MONTH]} "
            room = len(match.group()) - len(year)
            if len(written) - (not year) <= room:
                rest[match.start() : match.end()] = written.ljust(room)[:room] + year
        return "".join(rest)

    @cached_property
    def date_spans(self) -> tuple[tuple[int, int, str], ...]:
        """Where each date starts and ends, and its ISO form."""
        return tuple(self.spoken.find_dates(self.dated))

    @cached_property
    def dates(self) -> frozenset[str]:
        """Its dates, ISO."""
        return frozenset(iso for _, _, iso in self.date_spans)

    @cached_property
    def months(self) -> tuple[tuple[int | None, int], ...]:
        """The months that it names outside dates, each with its day or None."""
        rest = list(self.dated)
        for start, end, _ in self.date_spans:
            rest[start:end] = " " * (end - start)
        return tuple(self.spoken.find_months("".join(rest)))

    @cached_property
    def days(self) -> frozenset[str]:
        """The days that it names, with or without a year: `01-20`."""
        named = {f"{month:02}-{day:02}" for day, month in self.months if day}
        return frozenset(named | {iso[5:] for iso in self.dates})

    @cached_property
    def figures(self) -> tuple[Quantity, ...]:
        """Its figures in order, those of its dates too."""
        dates = [(start, end) for start, end, _ in self.date_spans]
        return tuple(quantities(self.text, self.spoken, apart=dates, in_words=self._in_words))

    @cached_property
    def undated(self) -> tuple[Quantity, ...]:
        """The figures outside its dates."""
        dated = {place for start, end, _ in self.date_spans for place in range(start, end)}
        return tuple(figure for figure in self.figures if figure.start not in dated)

    @cached_property
    def readings(self) -> frozenset[str]:
        """All values that its figures may have."""
        return frozenset(reading for figure in self.figures for reading in figure.readings)

    @property
    def offered(self) -> frozenset[str]:
        """The same with its dates and their parts: what an answer may repeat."""
        return self.readings | self.dates | {str(int(part)) for iso in self.dates for part in iso.split("-")}

    @cached_property
    def quotations(self) -> tuple[tuple[str, str], ...]:
        """What it puts in quotation marks, as it stands and as words alone."""
        return tuple((quote, normal(quote)) for quote in quotations(self.text))

    @cached_property
    def normal(self) -> str:
        return normal(self.text)

    @cached_property
    def folded(self) -> str:
        return fold(self.text)

    @cached_property
    def statements(self) -> tuple[Statement, ...]:
        """What it says, clause by clause, as far as the reach of a "not" goes: up to a comma, or a "but"."""
        turns = _turns(self.spoken)
        cuts = [0, *(match.start() for match in turns.finditer(self.text)), len(self.text)]
        negations, denials = _negations(self.spoken)
        found, before = [], False
        for start, end in pairwise(cuts):
            text = self.text[start:end]
            # "Non è impossibile" denies nothing.
            words = [[match.span() for match in pattern.finditer(text)] for pattern in (negations, denials)]
            denies = bool(words[0]) is not bool(words[1])
            about = self.about_in(start, end, [(start + a, start + b) for a, b in chain(*words)])
            opening = turns.match(self.text, start) if start else None
            carried = before and not (opening and opening["turn"])
            found.append(Statement(about, denies, carried and not denies))
            before = before or denies
        return tuple(found)

    @cached_property
    def clauses(self) -> tuple[tuple[int, int], ...]:
        """Where each clause starts and ends: they are parted by `;`, `:`, a comma, or a word that opens another."""
        cuts = [match.start() for match in _joins().finditer(self.text)]
        return tuple(pairwise([0, *cuts, len(self.text)]))

    @cached_property
    def cells(self) -> tuple[tuple[int, int], ...]:
        """Where each cell of a table row starts and ends."""
        bare, cuts = self.text.strip(), [match.start() for match in _CELL.finditer(self.text)]
        cuts = [*([] if bare.startswith("|") else [-1]), *cuts, *([] if bare.endswith("|") else [len(self.text)])]
        return tuple((start + 1, end) for start, end in pairwise(cuts))

    # Stems

    @cached_property
    def _stems(self) -> tuple[tuple[int, str], ...]:
        kept = [(start, word) for start, word in self.words if word not in self.lang.stop_words]
        stems = self.lang.stems(" ".join(word for _, word in kept))
        # A letter that folds to two words, a rarity, moves the places of the rest by one.
        return tuple((start, stem) for (start, _), stem in zip(kept, stems, strict=False))

    @cached_property
    def all_stems(self) -> frozenset[str]:
        return frozenset(stem for _, stem in self._stems)

    @cached_property
    def stems(self) -> frozenset[str]:
        """The stems of its words, figures left out."""
        return frozenset(stem for stem in self.all_stems if not stem.isdigit())

    @cached_property
    def _about(self) -> tuple[tuple[int, str], ...]:
        spans = [(figure.start, figure.end) for figure in self.figures if not figure.named]  # "V3" says which row
        starts = [start for start, _ in self._stems]
        taken = {n for start, end in spans for n in range(bisect_left(starts, start), bisect_left(starts, end))}
        return tuple(one for n, one in enumerate(self._stems) if n not in taken and not one[1].isdigit())

    @cached_property
    def about(self) -> frozenset[str]:
        """The stems of what it is about: its figures and their units left out."""
        return frozenset(stem for _, stem in self._about)

    def about_in(self, start: int, end: int, without: Sequence[tuple[int, int]] = ()) -> frozenset[str]:
        """The same of a stretch of it, without other stretches."""
        own = _between(self._about, start, end)
        return frozenset(stem for at, stem in own if not any(a <= at < b for a, b in without))

    def stems_in(self, start: int, end: int) -> frozenset[str]:
        return frozenset(stem for _, stem in _between(self._stems, start, end) if not stem.isdigit())

    def noun_after(self, figure: Quantity) -> str:
        """The stem of the word right after a figure without a unit; empty where there is none that says anything."""
        match = None if figure.senses else _next_word().match(self.text, figure.end)
        return self._stem_at.get(match.end(), "") if match else ""

    @cached_property
    def _stem_at(self) -> Mapping[int, str]:
        return dict(self._stems)


def _between(stems: Sequence[tuple[int, str]], start: int, end: int) -> Sequence[tuple[int, str]]:
    return stems[bisect_left(stems, (start, "")) : bisect_left(stems, (end, ""))]


@lru_cache(maxsize=16)
def _negations(lang: Language) -> tuple[re.Pattern[str], re.Pattern[str]]:
    """Words of negation, turns of speech with one left out ("not only"), and words that deny without one."""
    around = words_around(lang.code)
    denying = re.compile(around.get("denials") or "(?!)", re.IGNORECASE)
    plain = [word for word in lang.review["negations"] if not denying.fullmatch(word)]
    spelled = "|".join(re.escape(word).replace("'", "['’]") for word in plain)
    negations = rf"(?<!\w)(?:{spelled})(?!\w)(?! (?:{around.get('not_only', '-')})(?!\w))"
    denials = rf"(?<!\w)(?:{denying.pattern})(?!\w)"
    return re.compile(negations, re.IGNORECASE), re.compile(denials, re.IGNORECASE)


@lru_cache(maxsize=16)
def _dates(lang: Language) -> re.Pattern[str]:
    """A month beside its day; capitals count where the language writes months so: "one may say" is no date.

    A day in words leaves blanks behind: `dated` writes the figure in its place.
    """
    flags = re.IGNORECASE if lang.months[0].islower() else 0
    months = "|".join(rf"{month[:3]}(?:{month[3:]}|[^\W\d_]?\.?(?!\w))" for month in lang.months)
    link = rf"(?:(?:{words_around(lang.code).get('of', '-')})\s{{1,24}})?"
    day, year = r"(?<![\w/.,-])(?P<day{n}>\d{{1,2}})(?:st|nd|rd|th|[°ºª.])?", r"(?P<year{n}>(?:19|20)\d\d)(?!\d)"
    first = rf"{day.format(n='')}\s{{1,24}}{link}(?P<month>{months})(?:,?\s{{1,24}}{link}{year.format(n='')})?"
    after = rf"(?<!\w)(?P<month2>{months})\s{{1,24}}{day.format(n=2)}(?!\w)(?:,?\s{{1,24}}{year.format(n=2)})?"
    return re.compile(f"{first}|{after}", flags)


@lru_cache(maxsize=16)
def _turns(lang: Language) -> re.Pattern[str]:
    turns = words_around(lang.code).get("turns") or "(?!)"
    return re.compile(rf"(?P<turn>[;:()]|\s[-–—]\s|,?\s?(?<!\w)(?:{turns})(?!\w))|,(?!\d)", re.IGNORECASE)


@lru_cache(maxsize=1)
def _next_word() -> re.Pattern[str]:
    return re.compile(rf"\+?[*_ ]{{1,4}}(?:(?:{words_around()['of']}) ?)?(?=[^\W\d_]{{3}})")


@lru_cache(maxsize=1)
def _joins() -> re.Pattern[str]:
    return re.compile(rf"[;]|[,:](?!\d)|\b(?:{words_around()['joins']})\b")
