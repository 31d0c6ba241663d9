"""A text that is read once: its words, stems, figures, dates, quotations, clauses and negations.

Code that compares texts passes these values on. Each property is computed on first use and kept.
"""

from __future__ import annotations

import re
from bisect import bisect_left
from collections.abc import Mapping, Sequence
from functools import cached_property, lru_cache
from itertools import chain, pairwise
from typing import NamedTuple

from cervella.text.dates import FoundDate
from cervella.text.folding import any_of, fold_in_place
from cervella.text.language import Language, fold, known_languages, language, read_dates
from cervella.text.markdown import cells
from cervella.text.number_words import NumberWord, number_words, words_around
from cervella.text.quantities import Quantity, quantities
from cervella.text.quotations import normal, quoted_texts

_WORD = re.compile(r"[^\W_](?:[^\W_]|[\u0300-\u036f])*")
_LONGEST_MONTH = 31
"""Days."""
_FOLDED_WORD = re.compile(r"[^\W_]+")


class Statement(NamedTuple):
    """One clause of a text."""

    about: frozenset[str]
    """Stems of its words, without figures and words that only deny or affirm."""
    denies: bool
    unsure: bool
    """Whether a "not" in an earlier clause may apply to this one: "non servono A, B"."""


class ReadText:
    """A text in one language. Its figures and dates may be written in another, `spoken`: people mix them."""

    def __init__(self, text: str, lang: Language, spoken: Language | None = None) -> None:
        self.text = text
        self.lang = lang
        self.spoken = spoken or lang

    @cached_property
    def words(self) -> tuple[tuple[int, str], ...]:
        """The folded words, each with its start in the text."""
        if len(self.folded) == len(self.text):
            return tuple((match.start(), match.group()) for match in _FOLDED_WORD.finditer(self.folded))
        found = ((match.start(), fold(match.group())) for match in _WORD.finditer(self.text))
        return tuple((start, part) for start, word in found for part in _FOLDED_WORD.findall(word))

    @cached_property
    def number_words(self) -> list[NumberWord]:
        """The number words, each number as one, also those that are no figures, such as "una"."""
        return number_words(self.text, self.spoken)

    @cached_property
    def found_dates(self) -> tuple[FoundDate, ...]:
        """The dates, and the months beside a day or a year."""
        days = [
            (word.start, word.end, word.value)
            for word in self.number_words
            if word.value.isdigit() and 1 <= int(word.value) <= _LONGEST_MONTH
        ]
        return tuple(read_dates(self.text, self.spoken, days))

    @cached_property
    def date_spans(self) -> tuple[tuple[int, int, str], ...]:
        """The full dates: start, end and ISO form."""
        return tuple((one.start, one.end, one.iso) for one in self.found_dates if one.iso)

    @cached_property
    def dates(self) -> frozenset[str]:
        """The full dates, ISO."""
        return frozenset(iso for _, _, iso in self.date_spans)

    @cached_property
    def months(self) -> tuple[tuple[int | None, int], ...]:
        """The months outside full dates, each with its day or None."""
        return tuple((one.day, one.month) for one in self.found_dates if not one.iso)

    @cached_property
    def days(self) -> frozenset[str]:
        """The days, with or without a year, as `01-20`."""
        return frozenset(f"{one.month:02}-{one.day:02}" for one in self.found_dates if one.day)

    @cached_property
    def figures(self) -> tuple[Quantity, ...]:
        """The figures in order, also those in dates."""
        dates = [(start, end) for start, end, _ in self.date_spans]
        return tuple(quantities(self.text, self.spoken, apart=dates, in_words=self.number_words))

    @cached_property
    def undated(self) -> tuple[Quantity, ...]:
        """The figures outside full dates."""
        dated = {place for start, end, _ in self.date_spans for place in range(start, end)}
        return tuple(figure for figure in self.figures if figure.start not in dated)

    @cached_property
    def readings(self) -> frozenset[str]:
        """All values that the figures may have."""
        return frozenset(reading for figure in self.figures for reading in figure.readings)

    @property
    def offered(self) -> frozenset[str]:
        """The values, dates and parts of dates that an answer may repeat."""
        return self.readings | self.dates | {str(int(part)) for iso in self.dates for part in iso.split("-")}

    @cached_property
    def quotations(self) -> tuple[tuple[str, str], ...]:
        """The texts in quotation marks: as written, and in the normal form in which quotations are compared."""
        return tuple((quote, normal(quote)) for quote in quoted_texts(self.text))

    @cached_property
    def normal(self) -> str:
        return normal(self.text)

    @cached_property
    def folded(self) -> str:
        return fold(self.text)

    @cached_property
    def _in_place(self) -> str:
        """The folded text, with every character at its position in the text."""
        return self.folded if len(self.folded) == len(self.text) else fold_in_place(self.text)

    @cached_property
    def statements(self) -> tuple[Statement, ...]:
        """The clauses that a negation applies to: they end at a comma, at a dash or before a word such as "but"."""
        turns = _turns(self.spoken)
        cuts = [0, *(match.start() for match in turns.finditer(self._in_place)), len(self.text)]
        found, negated_before = [], False
        for start, end in pairwise(cuts):
            text = self._in_place[start:end]
            spans = ([match.span() for match in one.finditer(text)] for one in _negations(self.spoken))
            negations, denials, affirms = spans
            denies = bool(negations) is not bool(denials)  # "Non è impossibile" denies nothing
            denying = [(start + first, start + last) for first, last in chain(negations, denials)]
            affirming = [(start + first, start + last) for first, last in affirms]
            opening = turns.match(self._in_place, start) if start else None
            carried = negated_before and not (opening and opening["turn"])
            about = self.about_in(start, end, [*denying, *affirming])
            if len(about) < 2:  # "Pets are not allowed": without that word nothing is left to compare
                about = self.about_in(start, end, denying)
            found.append(Statement(about, denies, carried and not denies))
            negated_before = negated_before or denies
        return tuple(found)

    @cached_property
    def clauses(self) -> tuple[tuple[int, int], ...]:
        """Start and end of each clause: `;`, `:`, a comma or a conjunction separates them."""
        cuts = [match.start() for match in _conjunctions().finditer(self._in_place)]
        return tuple(pairwise([0, *cuts, len(self.text)]))

    @cached_property
    def cells(self) -> tuple[tuple[int, int], ...]:
        """Start and end of each cell of a table's row."""
        return tuple(cells(self.text))

    # Stems

    @cached_property
    def _stems(self) -> tuple[tuple[int, str], ...]:
        kept = [(start, word) for start, word in self.words if word not in self.lang.stop_words]
        stems = self.lang.stems(" ".join(word for _, word in kept))
        # A letter that folds to two words, which is rare, gives a stem more than there are starts.
        return tuple((start, stem) for (start, _), stem in zip(kept, stems, strict=False))

    @cached_property
    def all_stems(self) -> frozenset[str]:
        return frozenset(stem for _, stem in self._stems)

    @cached_property
    def stems(self) -> frozenset[str]:
        """The stems of the words, figures left out."""
        return frozenset(stem for stem in self.all_stems if not stem.isdigit())

    @cached_property
    def _about(self) -> tuple[tuple[int, str], ...]:
        spans = [(figure.start, figure.end) for figure in self.figures if not figure.named]  # "V3" names a row
        starts = [start for start, _ in self._stems]
        taken = {n for start, end in spans for n in range(bisect_left(starts, start), bisect_left(starts, end))}
        return tuple(one for n, one in enumerate(self._stems) if n not in taken and not one[1].isdigit())

    @cached_property
    def about(self) -> frozenset[str]:
        """The stems of all words except numbers and the units of measure after them: the subject of the text."""
        return frozenset(stem for _, stem in self._about)

    def about_in(self, start: int, end: int, without: Sequence[tuple[int, int]] = ()) -> frozenset[str]:
        """The same for one part of the text; the spans in `without` are left out."""
        apart = {place for a, b in without for place in range(a, b)}
        return frozenset(stem for at, stem in _between(self._about, start, end) if at not in apart)

    def stems_in(self, start: int, end: int) -> frozenset[str]:
        return frozenset(stem for _, stem in _between(self._stems, start, end) if not stem.isdigit())

    def noun_after(self, figure: Quantity) -> str:
        """The stem of the word right after a figure without a unit; empty where there is none, or a stop word."""
        match = None if figure.senses else _next_word().match(self.text, figure.end)
        return self._stem_at.get(match.end(), "") if match else ""

    @cached_property
    def _stem_at(self) -> Mapping[int, str]:
        return dict(self._stems)


def _between(stems: Sequence[tuple[int, str]], start: int, end: int) -> Sequence[tuple[int, str]]:
    return stems[bisect_left(stems, (start, "")) : bisect_left(stems, (end, ""))]


@lru_cache(maxsize=16)
def _negations(lang: Language) -> tuple[re.Pattern[str], ...]:
    """Patterns over folded text: words of negation, except in idioms ("not only"); words that deny alone; words that
    only affirm.
    """
    denials = re.compile(lang.review["denials"])
    negations = any_of(word for word in lang.review["negations"] if not denials.fullmatch(fold(word)))
    denying = re.compile(rf"(?<!\w)(?=\w){negations}(?! {lang.review['not_only']})")
    return denying, denials, re.compile(rf"(?<!\w)(?=\w){lang.review['affirms']}")


@lru_cache(maxsize=16)
def _turns(lang: Language) -> re.Pattern[str]:
    """Ends of the clauses that a negation applies to; `turn` is one after which no negation is carried on."""
    return re.compile(rf"(?P<turn>[;:()]|\s[-–—]\s|,?\s?(?<!\w)(?=\w){lang.review['turns']})|,(?!\d)")


@lru_cache(maxsize=1)
def _next_word() -> re.Pattern[str]:
    return re.compile(rf"\+?[*_ ]{{1,4}}(?:(?:{words_around('of')}) ?)?(?=[^\W\d_]{{3}})")


@lru_cache(maxsize=1)
def _conjunctions() -> re.Pattern[str]:
    """Ends of clauses over folded text, in all languages: an answer may be in another than the base."""
    own = "|".join(language(code).review[key] for code in known_languages() for key in ("joins", "turns"))
    return re.compile(rf"[;]|[,:](?!\d)|(?<!\w)(?=\w)(?:{own})")  # alternatives are tried at heads of words only
