"""A passage line by line, with what each line gives, so that a claim can be laid beside the line that it is about."""

from __future__ import annotations

import math
import re
from collections import Counter
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cached_property, lru_cache
from itertools import pairwise

from cervella.text.language import Language, fold, words
from cervella.text.quantities import Quantity, quantities, same_value
from cervella.text.sentences import normal, units
from cervella.text.units import unit_of
from cervella.types import Passage

__all__ = ["Line", "Scale", "Source", "about_of", "content_of", "negated", "noun_after", "source_of"]


@dataclass(frozen=True, eq=False)
class Line:
    """A sentence, a table row or a line of a fence, and what it gives. What a short look does not need is read late."""

    text: str
    """Verbatim; of the lead, what is shown above the passage."""
    kind: str
    """As of `Unit`, or `lead`."""
    lang: Language
    quantities: tuple[Quantity, ...]
    under: str = ""
    """What it stands under: the heading, its table's header."""
    before: str = ""
    """The sentence before it, in the same paragraph."""
    header: tuple[str, ...] = ()
    """Of a table row: the cells of its table's header."""
    date: str | None = None
    """Of the lead: the document's date."""

    @cached_property
    def stems(self) -> frozenset[str]:
        return content_of(self.text, self.lang)

    @cached_property
    def about(self) -> frozenset[str]:
        """The stems without its figures and their units."""
        return _without(self.text, self.quantities, self.lang)

    @cached_property
    def near(self) -> frozenset[str]:
        """The stems of what it stands under, and of the sentence before."""
        return content_of(f"{self.under} {self.before}", self.lang)

    @cached_property
    def read_with(self) -> frozenset[str]:
        """The stems that a reader takes it to be about: of prose, those of the sentence before too."""
        return self.stems | content_of(self.before, self.lang)

    @cached_property
    def dates(self) -> frozenset[str]:
        found = {iso for _, _, iso in self.lang.find_dates(self.text)}
        return frozenset(found | ({self.date} if self.date else set()))

    @cached_property
    def days(self) -> frozenset[str]:
        """The days that it names, with or without a year: `01-20`."""
        named = {f"{month:02}-{day:02}" for day, month in self.lang.find_months(self.text) if day}
        return frozenset({iso[5:] for iso in self.dates} | named)

    def counted(self, noun: str) -> tuple[Quantity, ...]:
        """The figures in it that stand right before this noun: "16 agenti"."""
        return tuple(quantity for quantity in self.quantities if noun_after(self.text, quantity, self.lang) == noun)

    @cached_property
    def parts(self) -> tuple[tuple[frozenset[str], tuple[Quantity, ...]], ...]:
        """Its cells, each with its column's name, or its clauses: what each is about, and the figures that it gives.

        Of a row the first cell, which names it, is left out.
        """
        row = self.kind == "row" and bool(self.header)
        cuts = [match.start() for match in (_CELL if row else _CLAUSE).finditer(self.text)]
        cuts = cuts if row else [0, *cuts]
        found = []
        for number, (start, end) in enumerate(pairwise([*cuts, len(self.text)])):
            own = tuple(quantity for quantity in self.quantities if start <= quantity.start < end)
            if not row:
                found.append((about_of(self.text[start:end], self.lang), own))
            elif 0 < number < len(self.header):
                found.append((content_of(self.header[number], self.lang), own))
        return tuple(found)


_CELL = re.compile(r"\|")
_CLAUSE = re.compile(r"[;]|,(?!\d)|\b(?:e|ed|mentre|ma|and|while|but|enquanto|mas)\b")


@dataclass(frozen=True, eq=False)
class Source:
    """A passage as claims are held against it."""

    passage: Passage
    lines: tuple[Line, ...]
    """The lead first: it is shown with the lines, and so is the document's date."""
    values: Mapping[str, tuple[tuple[Line, Quantity], ...]]
    """Where each value is offered."""
    measures: Mapping[object, tuple[tuple[Line, Quantity], ...]]
    """The same by dimension and value."""
    dates: frozenset[str]
    months: frozenset[int]
    words: str
    """All of its words, folded, for quotations."""
    stems: frozenset[str]

    @cached_property
    def folded(self) -> str:
        """Path, lead and text as they stand, folded."""
        one = self.passage
        return fold(f"{one.path}\n{one.heading}\n{one.lead}\n{one.text}")

    @cached_property
    def vocabulary(self) -> frozenset[str]:
        """Folded words of path, lead and text."""
        return frozenset(words(self.folded))

    @cached_property
    def items(self) -> frozenset[int]:
        """How many items its lists have, and how many rows its tables."""
        return _items(self.passage.text, self.lines)

    def told(self, figure: Quantity) -> list[tuple[Line, Quantity]]:
        """Where it gives the value of a figure, in whatever writing or unit."""
        found = [pair for value in figure.asked() for pair in self.values.get(value, ())]
        found += [pair for one in figure.measures() if one[0] for pair in self.measures.get(one, ())]
        return list({id(told): (line, told) for line, told in found if same_value(figure, told)}.values())


def content_of(text: str, lang: Language) -> frozenset[str]:
    """The stems of a text's words, figures left out."""
    return frozenset(stem for stem in lang.stems(text) if not stem.isdigit())


@lru_cache(maxsize=1024)  # one claim is looked at once for each of its figures
def about_of(text: str, lang: Language) -> frozenset[str]:
    """The stems of what a text is about: its figures and their units left out."""
    return _without(text, quantities(text, lang), lang)


def _without(text: str, figures: Iterable[Quantity], lang: Language) -> frozenset[str]:
    rest = list(text)
    for figure in figures:
        if not figure.named:  # "V3" says which row is meant
            rest[figure.start : figure.end] = " " * (figure.end - figure.start)
    return content_of("".join(rest), lang)


def noun_after(text: str, figure: Quantity, lang: Language) -> str:
    """The stem of the word right after a figure without a unit; empty where there is none that says anything."""
    match = None if figure.senses else _NEXT_WORD.match(text, figure.end)
    stems = lang.stems(match.group(1)) if match else []
    return stems[0] if stems else ""


_NEXT_WORD = re.compile(r"\+?[*_ ]{1,4}(?:di |d['’]|of |de )?([^\W\d_]{3,})")


_MOST_PLACES = 100
"""Of one value in one passage: a passage that says "1" a thousand times is read in linear time too."""


@lru_cache(maxsize=512)
def source_of(passage: Passage, lang: Language) -> Source:
    """A passage read line by line."""
    lead = "\n".join(filter(None, (passage.lead or passage.heading, (passage.date or "")[:4])))
    shown = f"{passage.lead}\n{passage.text}"
    lines = [Line(lead, "lead", lang, tuple(quantities(lead, lang)), date=passage.date), *_lines(passage, lang)]
    values: dict[str, list[tuple[Line, Quantity]]] = {}
    measures: dict[object, list[tuple[Line, Quantity]]] = {}
    for line in lines:
        for quantity in line.quantities:
            for value in quantity.offered():
                values.setdefault(value, []).append((line, quantity))
            for measure in quantity.measures():
                measures.setdefault(measure, []).append((line, quantity))
    dates = {iso for _, _, iso in lang.find_dates(shown)} | ({passage.date} if passage.date else set())
    return Source(
        passage=passage,
        lines=tuple(lines),
        values={key: tuple(found[:_MOST_PLACES]) for key, found in values.items()},
        measures={key: tuple(found[:_MOST_PLACES]) for key, found in measures.items()},
        dates=frozenset(dates),
        months=frozenset({month for _, month in lang.find_months(shown)} | {int(iso[5:7]) for iso in dates}),
        words=normal(passage.text),
        stems=frozenset(lang.stems(f"{passage.path} {shown}")),
    )


_ORDINAL = re.compile(r"\W*\d{1,3}[.)]\s")


def _lines(passage: Passage, lang: Language) -> Iterator[Line]:
    above = f"{passage.lead} {passage.heading}"
    cells = _cells(passage.lead.splitlines()[-1]) if "|" in passage.lead else ()  # the header of a split table
    split = bool(cells)
    before, block = "", -1
    for unit in units(passage.text, lang):
        text = passage.text[unit.start : unit.end]
        figures = tuple(quantities(text, lang))
        if unit.kind in ("heading", "line") and (ordinal := _ORDINAL.match(text)):  # "4. Simbiosi" gives no 4
            figures = tuple(figure for figure in figures if figure.start >= ordinal.end())
        if unit.kind == "row":
            if unit.block != block and not split:
                cells = _cells(text)
            yield Line(text, "row", lang, _under(text, figures, cells), f"{above} {' '.join(cells)}", header=cells)
        else:
            yield Line(text, unit.kind, lang, figures, above, before if unit.block == block else "")
        if unit.kind == "heading":
            above = text
        before, block = text, unit.block


def _cells(row: str) -> tuple[str, ...]:
    return tuple(cell.strip() for cell in row.strip().strip("|").split("|"))


def _under(row: str, figures: Iterable[Quantity], header: tuple[str, ...]) -> tuple[Quantity, ...]:
    """The figures of a row under its header: a bare one has the unit that its column names."""
    known = []
    for quantity in figures:
        column = row.count("|", 0, quantity.start) - row.startswith("|")
        senses = unit_of(header[column]) if not quantity.senses and 0 <= column < len(header) else ()
        known.append(replace(quantity, senses=senses) if senses else quantity)
    return tuple(known)


_LIST_ITEM = re.compile(r"^([ \t]*)(?:[-*+•]|\d{1,3}[.)])[ \t]+\S", re.MULTILINE)


def _items(text: str, lines: Sequence[Line]) -> frozenset[int]:
    rows = Counter(line.header for line in lines if line.kind == "row")
    items = Counter(len(match.group(1)) for match in _LIST_ITEM.finditer(text))
    runs = []  # lists that something else parts
    for paragraph in re.split(r"\n[ \t]*\n", text):
        runs.append(len(_LIST_ITEM.findall(paragraph)))
    headings = sum(line.kind == "heading" for line in lines)
    return frozenset({count - 1 for count in rows.values()} | set(items.values()) | set(runs) | {headings}) - {0, 1}


class Scale:
    """How much a word says, among the lines of some passages: the rarer, the more."""

    def __init__(self, sources: Iterable[Source]) -> None:
        count: Counter[str] = Counter()
        total = 0
        for source in sources:
            for line in source.lines:
                count.update(line.stems)
                total += 1
        self._weights = {stem: math.log(1.0 + total / times) for stem, times in count.items()}
        self._rarest = math.log(1.0 + max(1, total))

    def weight(self, stems: Collection[str]) -> float:
        return sum(self._weights.get(stem, self._rarest) for stem in stems)

    def cover(self, claim: frozenset[str], line: Line) -> float:
        """The share of a claim's words that a line has, 0 to 1; what it stands under counts half."""
        whole = self.weight(claim)
        if not whole:
            return 0.0
        return (self.weight(claim & line.stems) + 0.5 * self.weight(claim & (line.near - line.stems))) / whole

    def likeness(self, claim: frozenset[str], line: Line) -> float:
        """How nearly a claim is the line itself: the smaller of the shares that each has of the other, 0 to 1."""
        shared = self.weight(claim & line.about)
        whole, back = self.weight(claim), self.weight(line.about)
        return min(shared / whole, shared / back) if whole and back else 0.0

    def passage_cover(self, claim: frozenset[str], source: Source) -> float:
        """The share of a claim's words that a passage has anywhere."""
        whole = self.weight(claim)
        return self.weight(claim & source.stems) / whole if whole else 0.0

    def window_cover(self, claim: frozenset[str], source: Source) -> float:
        """The share of a claim's words that two neighbouring lines of a passage have, at best."""
        whole = self.weight(claim)
        if not whole:
            return 0.0
        best = 0.0
        above = source.lines[0].stems
        for one, other in zip(source.lines, (*source.lines[1:], source.lines[0]), strict=True):
            own = one.stems | other.stems
            best = max(best, self.weight(claim & own) + 0.5 * self.weight(claim & ((one.near | above) - own)))
        return best / whole


def negated(text: str, lang: Language) -> bool:
    """Whether there is a word of negation in it."""
    return bool(_negations(lang) & set(words(text)))


@lru_cache(maxsize=16)
def _negations(lang: Language) -> frozenset[str]:
    return frozenset(fold(word).replace("'", "") for word in lang.review["negations"])
