"""Compares a claim with the passages that it cites: finds its figures, dates and quotations, and their lines."""

from __future__ import annotations

import math
import re
from bisect import bisect_left
from collections import Counter, defaultdict
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cached_property, lru_cache
from itertools import islice, pairwise
from typing import Literal

from cervella.text.language import Language, fold, known_languages, language, words
from cervella.text.quantities import Quantity, same_unit, same_value, unit_of
from cervella.text.quotations import normal, occurs
from cervella.text.reading import ReadText
from cervella.text.sentences import quotables
from cervella.types import Passage

_LIST_NUMBER = re.compile(r"\W*\d{1,3}[.)]\s")
_LIST_ITEM = re.compile(r"^([ \t]*)(?:[-*+•]|\d{1,3}[.)])[ \t]+\S", re.MULTILINE)
_DAY_AND_MONTH = re.compile(r"(?<![\w/.,])(\d{1,2})/(\d{1,2})(?![\w/]|[.,]\d)")
_MOST_PLACES = 100
"""Maximum number of places kept for one value in one passage, so that reading stays linear in its length."""
FEWEST_WORDS, FEWEST_OF_A_CLAUSE = 4, 2
"""Minimum number of stems of a claim, and of a clause of it, that are compared with the lines."""
_LONGEST_PASSAGE = 30_000
"""Maximum number of characters of a passage that are compared. Those of an index have a tenth of that."""
MOST_FACTS = 120
"""Maximum number of figures, dates and quotations of one claim that are checked."""
_NEAREST = 6
"""Maximum number of lines in `Evidence.nearest`."""


class Line(ReadText):
    """A sentence, a table row, a heading or a line of a fence in a passage.

    `under` are the texts above it: the heading, with those that lead to it, and the list items that contain it.
    `before` is the line before it in the same paragraph or fence; a row has none. `date` is the document's, and is
    given for the lead only.
    """

    def __init__(
        self,
        text: str,
        kind: str,
        lang: Language,
        *,
        under: Sequence[ReadText] = (),
        before: Line | None = None,
        date: str | None = None,
    ) -> None:
        super().__init__(text, lang)
        self.kind = kind
        """A kind of `Quotable`, or `lead`: the line that the prompt shows above the passage."""
        self._under = under
        self._before = before
        self.header: ReadText | None = None
        """The header of the table, for a table row."""
        self._date = date

    @cached_property
    def given(self) -> tuple[Quantity, ...]:
        """The figures of the line, except the number of a list item.

        In a table row, a figure without a unit gets the unit that the header of its column names.
        """
        number = _LIST_NUMBER.match(self.text) if self.kind in ("heading", "line") else None
        if number:
            return tuple(figure for figure in self.figures if figure.start >= number.end())
        units = () if self.header is None else [unit_of(self.header.text[a:b]) for a, b in self.header.cells]
        measured = {
            figure: senses
            for figures, senses in zip(_within(self.figures, self.cells), units, strict=False)
            for figure in figures
            if senses and not figure.senses
        }
        return tuple(
            replace(figure, senses=measured[figure]) if figure in measured else figure for figure in self.figures
        )

    @cached_property
    def near(self) -> frozenset[str]:
        """The stems of the heading above, of the table's header and of the sentence before."""
        header = frozenset() if self.header is None else self.header.stems
        return header.union(*(one.stems for one in self._under), self._stems_before)

    @cached_property
    def near_only(self) -> frozenset[str]:
        """The stems of `near` that the line itself does not have."""
        return self.near - self.stems

    @property
    def _stems_before(self) -> frozenset[str]:
        return frozenset() if self._before is None else self._before.stems

    @cached_property
    def read_with(self) -> frozenset[str]:
        """The stems of the line, with those of the sentence before in the same paragraph."""
        return self.stems | self._stems_before

    @cached_property
    def dates(self) -> frozenset[str]:
        """The full dates, ISO; for the lead also the date of the document."""
        return frozenset({iso for _, _, iso in self.date_spans} | ({self._date} if self._date else set()))

    def counted(self, noun: str) -> tuple[Quantity, ...]:
        """The figures directly before a noun, which is given as a stem: 16 in "16 agenti" (16 agents)."""
        return tuple(figure for figure in self.given if self.noun_after(figure) == noun)

    @cached_property
    def parts(self) -> tuple[tuple[frozenset[str], tuple[Quantity, ...]], ...]:
        """The cells of a row or the clauses of another line, each as its stems and its figures.

        The stems of a cell are those of its column's header. The first cell, which names the row, is left out.
        """
        if self.header is None:
            spans = [(span, self.about_in(*span)) for span in self.clauses]
        else:
            header = self.header
            columns = zip(self.cells[1:], header.cells[1:], strict=False)
            spans = [(span, header.stems_in(*column)) for span, column in columns]
        figures = _within(self.given, [span for span, _ in spans])
        return tuple((named, own) for (_, named), own in zip(spans, figures, strict=True))


def _within(figures: Sequence[Quantity], spans: Iterable[tuple[int, int]]) -> Iterator[tuple[Quantity, ...]]:
    """Yields, for each of `spans`, the figures that start in it. `figures` are in the order of the text."""
    starts = [figure.start for figure in figures]
    for start, end in spans:
        yield tuple(figures[bisect_left(starts, start) : bisect_left(starts, end)])


class Source:
    """A passage, split into lines."""

    def __init__(self, passage: Passage, lang: Language) -> None:
        self.whole = len(passage.reading) <= _LONGEST_PASSAGE
        """Whether all of the passage is compared. Only the start of a very long one is."""
        if not self.whole:
            passage = replace(passage, reading=passage.reading[:_LONGEST_PASSAGE])
        self.passage = passage
        lead = "\n".join(filter(None, (passage.lead or passage.heading, (passage.date or "")[:4])))
        self.lines = (Line(lead, "lead", lang, date=passage.date), *_lines(passage, lang))
        """The lead comes first: the prompt shows it above the lines, with the date of the document."""
        self._path = frozenset(lang.stems(passage.path))

    @cached_property
    def _values(self) -> Mapping[object, Sequence[tuple[Line, Quantity]]]:
        """The places of each value, as written and converted to the basic unit of its dimension."""
        found: dict[object, list[tuple[Line, Quantity]]] = {}
        for line in self.lines:
            for figure in line.given:
                for value in (*figure.offered(), *figure.measures()):
                    places = found.setdefault(value, [])
                    if len(places) < _MOST_PLACES:
                        places.append((line, figure))
        return found

    def matches(self, figure: Quantity) -> list[tuple[Line, Quantity]]:
        """The lines and figures with the same value as this figure, in any notation and unit."""
        wanted = (*figure.asked(), *(one for one in figure.measures() if one[0]))
        found = [pair for value in wanted for pair in self._values.get(value, ())]
        return list({id(other): (line, other) for line, other in found if same_value(figure, other)}.values())

    @cached_property
    def dates(self) -> frozenset[str]:
        return frozenset(self.on_date)

    @cached_property
    def on_date(self) -> Mapping[str, Sequence[Line]]:
        """The lines with each full date."""
        found: defaultdict[str, list[Line]] = defaultdict(list)
        for line in self.lines:
            for iso in line.dates:
                found[iso].append(line)
        return dict(found)

    @cached_property
    def on_day(self) -> Mapping[str, Sequence[Line]]:
        """The lines with each day, such as `01-20`, in any year or none."""
        found: defaultdict[str, list[Line]] = defaultdict(list)
        for line in self.lines:
            for day in line.days:
                found[day].append(line)
        return dict(found)

    @cached_property
    def dated_days(self) -> frozenset[str]:
        """The days of the full dates, such as `01-20`."""
        return frozenset(iso[5:] for iso in self.dates)

    @cached_property
    def months(self) -> frozenset[int]:
        named = {month for line in self.lines for _, month in line.months}
        return frozenset(named | {int(iso[5:7]) for iso in self.dates})

    @cached_property
    def normal(self) -> str:
        """The text in the normal form in which quotations are compared."""
        return normal(self.passage.reading)

    @cached_property
    def stems(self) -> frozenset[str]:
        return self._path.union(*(line.all_stems for line in self.lines))

    @cached_property
    def folded(self) -> str:
        """The path, heading, lead and text of the passage, joined and folded: lower case, without accents."""
        one = self.passage
        return fold(f"{one.path}\n{one.heading}\n{one.lead}\n{one.reading}")

    @cached_property
    def vocabulary(self) -> frozenset[str]:
        """The words of path, heading, lead and text, folded."""
        return frozenset(words(self.folded))

    def begins(self, root: str) -> bool:
        """Whether a word of the vocabulary begins with these letters."""
        at = bisect_left(self._sorted_vocabulary, root)
        return at < len(self._sorted_vocabulary) and self._sorted_vocabulary[at].startswith(root)

    @cached_property
    def _sorted_vocabulary(self) -> Sequence[str]:
        return sorted(self.vocabulary)

    @cached_property
    def items(self) -> frozenset[int]:
        """The numbers that somebody gets who counts in the passage: list items, table rows or headings; not 0 and 1."""
        text = self.passage.reading
        rows = Counter(line.header for line in self.lines if line.kind == "row")
        items = Counter(len(match.group(1)) for match in _LIST_ITEM.finditer(text))
        runs = {len(_LIST_ITEM.findall(paragraph)) for paragraph in re.split(r"\n[ \t]*\n", text)}
        headings = sum(line.kind == "heading" for line in self.lines)
        return frozenset({count - 1 for count in rows.values()} | set(items.values()) | runs | {headings}) - {0, 1}

    @cached_property
    def windows(self) -> tuple[tuple[frozenset[str], frozenset[str]], ...]:
        """For each two neighbouring lines, their stems, and the further stems of the headings above them."""
        above = self.lines[0].stems
        pairs = [(one.stems | other.stems, one.near | above) for one, other in pairwise((*self.lines, self.lines[0]))]
        return tuple((own, near - own) for own, near in pairs)

    @cached_property
    def places(self) -> re.Pattern[str]:
        """The pattern of the file's name and line numbers in an answer.

        An answer repeats them from the prompt, so they are not compared with the lines.
        """
        one = self.passage
        name = one.path.rsplit("/", 1)[-1]
        files = [one.path, name] + ([name.removesuffix(".md")] if re.search(r"\d", name) else [])
        prompts = [language(code).prompt for code in known_languages()]
        lines = "|".join(prompt[key].partition(" ")[0] for prompt in prompts for key in ("lines", "line"))
        return re.compile(
            rf"(?<![\w/])(?:{'|'.join(map(re.escape, files))})(?![\w/])"
            rf"|(?i:(?:\b(?:{lines})\s+|:){one.start_line}\s*[-–]\s*{one.end_line}\b)"
        )


@lru_cache(maxsize=512)
def source_of(passage: Passage, lang: Language) -> Source:
    """A passage as a `Source`, read once however many claims cite it."""
    return Source(passage, lang)


def _lines(passage: Passage, lang: Language) -> Iterator[Line]:
    above = ReadText(f"{passage.lead} {passage.heading}", lang)
    items: dict[tuple[int, int], ReadText] = {}
    split = ReadText(passage.lead.splitlines()[-1], lang) if "|" in passage.lead else None  # a split table's header
    header: ReadText | None = split
    before: Line | None = None
    block = -1
    for part in quotables(passage.reading, lang):
        text, neighbour = passage.reading[part.start : part.end], before if part.block == block else None
        if part.kind == "row":
            line = Line(text, "row", lang, under=(above,))
            header = header if part.block == block or split else line
            line.header = header
        else:
            for span in part.above:
                items.setdefault(span, ReadText(passage.reading[slice(*span)], lang))
            line = Line(text, part.kind, lang, under=(above, *map(items.__getitem__, part.above)), before=neighbour)
        if part.kind == "heading":
            above = line
        yield line
        before, block = line, part.block


class Scale:
    """Weights of stems: the fewer lines of the passages contain a stem, the higher its weight."""

    def __init__(self, sources: Iterable[Source]) -> None:
        lines = [line for source in sources for line in source.lines]
        count = Counter(stem for line in lines for stem in line.stems)
        rarest = math.log(1.0 + max(1, len(lines)))
        self._weights: dict[str, float] = defaultdict(lambda: rarest)
        self._weights |= {stem: math.log(1.0 + len(lines) / times) for stem, times in count.items()}

    def weight(self, stems: Collection[str]) -> float:
        """The sum of the weights of these stems."""
        return sum(map(self._weights.__getitem__, stems), 0.0)

    def cover(self, claim: frozenset[str], line: Line) -> float:
        """The weighted share of a claim's stems that a line has, 0 to 1; those that only its `near` has count half."""
        whole = self.weight(claim)
        near = self.weight(claim & line.near_only)
        return (self.weight(claim & line.stems) + 0.5 * near) / whole if whole else 0.0

    def likeness(self, claim: frozenset[str], line: Line) -> float:
        """The similarity of a claim and a line, 0 to 1: the smaller of the two shares of common stems."""
        shared = self.weight(claim & line.about)
        if not shared:
            return 0.0
        whole, back = self.weight(claim), self.weight(line.about)
        return min(shared / whole, shared / back) if whole and back else 0.0

    def window_cover(self, claim: frozenset[str], source: Source) -> float:
        """The highest weighted share of a claim's stems in two neighbouring lines of a passage, 0 to 1."""
        whole = self.weight(claim)
        shared = ((claim & own, claim & near) for own, near in source.windows)
        best = max((self.weight(own) + 0.5 * self.weight(near) for own, near in shared if own or near), default=0.0)
        return best / whole if whole else 0.0


@lru_cache(maxsize=64)
def _scale_of(sources: frozenset[Source]) -> Scale:
    return Scale(sources)


@dataclass(frozen=True, eq=False)
class Fact:
    """A figure, a date or a quotation of a claim, with the lines that contain it."""

    kind: Literal["figure", "date", "quote"]
    text: str
    holders: tuple[int, ...]
    """The numbers of the passages that contain the fact."""
    lines: tuple[Line, ...] = ()
    """The lines that contain the fact; empty for a quotation, and for a month without a day."""
    figure: Quantity | None = None
    """The figure; None for a date or a quotation."""
    other_unit: bool = False
    """Whether the passages have the value only with another unit."""
    iso: str = ""
    """The full date; empty for other facts."""
    day: str = ""
    """Month and day of a date, `01-20`; empty for other facts."""
    month: int | None = None
    """The month of a date without a year."""


class Evidence:
    """A claim and the passages that it cites together. All checks of the claim share the results.

    `others` are passages of the prompt that it does not cite. They only change the weights of the stems.
    """

    def __init__(self, claim: ReadText, sources: Sequence[Source], others: Sequence[Source] = ()) -> None:
        self.claim = claim
        self.sources = sources
        self._others = others

    @property
    def whole(self) -> bool:
        """Whether all of each cited passage is compared."""
        return all(source.whole for source in self.sources)

    @cached_property
    def scale(self) -> Scale:
        """The weight of each stem: high where few of the passages of this answer contain it, cited or not."""
        return _scale_of(frozenset([*self.sources, *self._others]))

    @cached_property
    def lines(self) -> list[Line]:
        return [line for source in self.sources for line in source.lines]

    @cached_property
    def best(self) -> Line | None:
        """The line with the highest share of the claim's stems; None where no line has any."""
        about, lines = self.claim.about, [line for line in self.lines if line.kind != "lead"]
        best = max(lines, key=lambda line: self.scale.cover(about, line), default=None)
        return best if best is not None and self.scale.cover(about, best) > 0 else None

    @cached_property
    def nearest(self) -> list[Line]:
        """The lines with figures that share most stems with the claim: at most six, the best first."""
        shared = [(len(self.claim.about & line.stems), line) for line in self.lines]
        sharing = [pair for pair in shared if pair[0] and pair[1].given]
        return [line for _, line in sorted(sharing, key=lambda pair: -pair[0])][:_NEAREST]

    @cached_property
    def supported(self) -> list[Quantity]:
        """The figures of the claim that the lines contain."""
        return [fact.figure for fact in self.facts if fact.figure is not None and fact.holders]

    @cached_property
    def facts(self) -> list[Fact]:
        """The dates, figures and quotations of the claim; of a very long one more than `MOST_FACTS`, but not all."""
        figures = list(self.claim.undated)
        dates = [*self._slashed(figures), *self._dates(), *self._months(figures)]
        return [*dates, *map(self._figure, figures[: MOST_FACTS + 1]), *islice(self._quotes(), MOST_FACTS + 1)]

    def _places(self, *, date: str = "", day: str = "") -> list[tuple[int, Line]]:
        """The lines with a full date, or with a day such as `01-20` in any year, each after its passage's number."""
        held = (source.on_date.get(date, ()) if date else source.on_day.get(day, ()) for source in self.sources)
        return [(n, line) for n, lines in enumerate(held) for line in lines]

    def _slashed(self, figures: list[Quantity]) -> Iterator[Fact]:
        """Dates such as "20/1" whose day a line has; others are fractions. Removes their figures from `figures`."""
        by_start = {figure.start: figure for figure in figures}
        taken: set[int] = set()
        for match in _DAY_AND_MONTH.finditer(self.claim.text):
            own = by_start.keys() & set(range(*match.span()))
            day = f"{int(match[2]):02}-{int(match[1]):02}"
            if own and (places := self._places(day=day)):
                taken |= own
                yield _fact("date", match.group(), places, day=day)
        figures[:] = [figure for figure in figures if figure.start not in taken]

    def _dates(self) -> Iterator[Fact]:
        for start, end, iso in self.claim.date_spans:
            yield _fact("date", self.claim.text[start:end], self._places(date=iso), iso=iso, day=iso[5:])

    def _months(self, figures: list[Quantity]) -> Iterator[Fact]:
        """Months with or without a day: "20 gennaio" (20 January), "a gennaio" (in January).

        Removes from `figures` the figure of a day that a passage has.
        """
        bare: defaultdict[str, list[Quantity]] = defaultdict(list)
        for figure in figures:
            if len(figure.readings) == 1 and not figure.senses:
                bare[next(iter(figure.readings))].append(figure)
        taken: set[int] = set()
        for day, month in self.claim.months:
            name = self.claim.spoken.months[month - 1]
            named = [n for n, source in enumerate(self.sources) if month in source.months]
            if day is None:
                yield Fact("date", name, tuple(named), month=month)
                continue
            end = f"{month:02}-{day:02}"
            whole = [n for n, source in enumerate(self.sources) if end in source.dated_days]
            if whole and (same := bare.get(str(day))):
                taken.add(same.pop(0).start)
            lines = tuple(line for n, line in self._places(day=end) if n in (whole or named))
            yield Fact("date", f"{day} {name}", tuple(whole or named), lines, day=end, month=month)
        figures[:] = [figure for figure in figures if figure.start not in taken]

    def _figure(self, figure: Quantity) -> Fact:
        found = [(n, line, other) for n, source in enumerate(self.sources) for line, other in source.matches(figure)]
        fitting = self._fitting(figure, found)
        text = self.claim.text[figure.start : figure.end].strip()
        return replace(_fact("figure", text, fitting), figure=figure, other_unit=bool(found) and not fitting)

    def _fitting(self, figure: Quantity, found: Sequence[tuple[int, Line, Quantity]]) -> list[tuple[int, Line]]:
        """The places with a figure's value in the same unit or without a known unit."""
        fitting = [(n, line, other) for n, line, other in found if same_unit(figure, other)]
        if not figure.senses or len(fitting) == len(found) or any(other.senses for _, _, other in fitting):
            measured = [(n, line) for n, line, other in fitting if other.senses]
            return measured if figure.senses and measured else [(n, line) for n, line, _ in fitting]
        # A bare 5 somewhere is no "5 secondi" where the line that is meant says "5 min".
        about = self.claim.about
        meant = max(len(about & line.stems) for _, line, other in found if not same_unit(figure, other))
        return [(n, line) for n, line, _ in fitting if len(about & line.stems) > meant]

    def _quotes(self) -> Iterator[Fact]:
        for quote, bare in self.claim.quotations:
            yield Fact("quote", quote, tuple(n for n, one in enumerate(self.sources) if occurs(bare, one.normal)))


def _fact(
    kind: Literal["figure", "date"], text: str, places: Sequence[tuple[int, Line]], *, iso: str = "", day: str = ""
) -> Fact:
    holders = tuple(dict.fromkeys(n for n, _ in places))
    return Fact(kind, text, holders, tuple(line for _, line in places), iso=iso, day=day)
