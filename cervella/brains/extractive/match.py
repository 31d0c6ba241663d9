"""Scores how well each excerpt of the passages answers a question.

An excerpt is scored by what it says of the question, in its own words and in what says its subject (a question of the
notes, a heading, the header of a table, the sentence before); by whether it shows the kind of thing that is asked for,
such as a price; and by the rank of its passage. The vectors of the best excerpts decide where words do not.
"""

from __future__ import annotations

import math
import re
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cache, lru_cache
from itertools import chain
from statistics import fmean, pstdev
from typing import TypeAlias

from cervella.brains.extractive.asked import (
    in_the_state_asked,
    names_in,
    related_terms,
    task_states,
    terms_of,
    wanted_terms,
)
from cervella.brains.extractive.definitions import definitions, satisfied_by_definitions
from cervella.brains.extractive.excerpts import Excerpt, cells_of
from cervella.brains.extractive.pointers import Pointers, Points
from cervella.text.asking import Kind, asked_kinds, asking_words, shows
from cervella.text.detection import language_of
from cervella.text.language import Language, fold
from cervella.text.spelling import misspelt

Similarity: TypeAlias = Callable[[str, Sequence[str]], Sequence[float] | None]
"""The cosines of a question with texts, in their order; None if there are no vectors."""

_ABOVE, _HEADING, _HEADINGS, _NAME, _HEADER, _BEFORE, _BEFORE_THAT, _AFTER = 0.7, 0.6, 0.35, 0.35, 0.4, 0.6, 0.3, 0.2
"""Weights of a word of the question that an excerpt does not have itself: in the question, list items or sentence above
it, in its heading, in the headings above that one, in the name of its file, in the header of its table, in the sentence
before, in the one before that, and in the next one."""
_WHOLE_NAME = 1.05
"""The same weight where the question has all words of that heading or name: what is said below it leads over a line
that only mentions it."""
_SHOWN, _NOT_SHOWN = 0.28, 0.35
"""Added if an excerpt shows a thing of a kind that is asked for, subtracted if it does not show one of the first."""
_PRIOR, _NEWEST, _OUTDATED, _ARCHIVED = 0.35, 0.08, 0.5, 0.15
"""Weights of the passage's score as a share of the best one, of its date, and of a status that says it is outdated, or
archived."""
_NEAR, _NEAR_WITHOUT_WORDS, _EMBEDDED, _LONGEST, _SPREAD = 0.05, 0.2, 6, 240, 4.0
"""Weights of an excerpt's cosine with the question, in standard deviations: always, and where no excerpt has a word of
the question; the number of best excerpts whose cosines are computed, the last characters of each with its subjects that
are embedded, and the most standard deviations that two cosines are apart."""
_LINE, _ASKS, _ANNOUNCES, _HERS, _TITLE_ONLY = 0.1, 0.5, 0.15, 0.5, 0.6
"""Subtracted for a line of a fence or box, a question, an announcement, a line of the persona's Constitution, and one
that only names titles."""
_ROW = 0.15
"""Added for a row of a table whose first cell the question names."""
_SELF = 1.2
_SHOWS = {
    "shows_self": r"^\W*{words}",
    "points_back": r"^\W*{words}",
    "metadata": r"^\W*{words}\W*:",
    "changes": "{words}",
    "ends": "{words}",
}
"""Patterns by which an excerpt is recognised. `{words}` stands for the pattern of the language."""
_SELF_EXCERPTS = 5
_MOST_COLUMNS, _NARROW = 12, 3
"""Maximum columns of a table that are quoted beside the first one, and the columns of a table that is always whole."""
_LIGHT, _MISSPELT = 0.35, 0.8
"""Weights of a word of the question that carries little, and of a word that is spelt nearly like one."""
_ABSENT = 0.7
"""Weight of a word of the question that no passage has, as a share of what it would weigh."""
_SHORT_TEXT = 20
"""Maximum characters of an excerpt that may stand in several places, each time about something else."""
_folded = lru_cache(maxsize=4_096)(fold)  # an excerpt is read many times for one question


@dataclass(slots=True, eq=False)
class Fit:
    """The scores of one excerpt for a question."""

    excerpt: Excerpt
    match: float
    """How much of the question the excerpt and its surroundings contain, 0 to about 1."""
    score: float
    held: Mapping[str, float]
    """The question's terms, each with the share of it that the excerpt or its surroundings have: 1 for a word of its
    own."""
    own: frozenset[str]
    """The question's terms in the excerpt itself."""
    shown: Mapping[Kind, bool | None]
    """Whether the excerpt shows a thing of each kind that is asked for; None where a text can't tell."""
    points: Points
    """Whether the excerpt only points to what is said elsewhere."""
    is_task: bool = False
    """Whether it begins with the state of a task: `still to do`."""
    cosine: float | None = None
    """The cosine of the question with the excerpt and its subjects; None where it was not computed."""


@dataclass(frozen=True, slots=True)
class _Said:
    """The terms of an excerpt."""

    own: frozenset[str]
    names: tuple[tuple[float, frozenset[str]], ...] = ()
    """The terms of what names its subject, such as its heading, each with its weight."""
    beside: tuple[tuple[float, frozenset[str]], ...] = ()
    """Those of the sentences before and after it."""


@lru_cache(maxsize=16)
def _patterns(lang: Language) -> Mapping[str, re.Pattern[str]]:
    """The compiled patterns for folded text, by name: `asks_...` for questions, the others for excerpts."""
    asks = {name: words for name, words in lang.phrases.items() if name.startswith("asks_")}
    shown = {name: text.replace("{words}", words) for name, text in _SHOWS.items() if (words := lang.phrases.get(name))}
    return {name: re.compile(text) for name, text in (asks | shown).items()}


class Question:
    """Scores the excerpts of all retrieved passages for one question. The scores are in `fits`."""

    def __init__(
        self,
        question: str,
        found: Sequence[Excerpt],
        lang: Language,
        persona: str | None = None,
        similarity: Similarity | None = None,
    ) -> None:
        """`found` are the excerpts in the order of their passages; `persona` is the name of the persona, None if
        unknown."""
        folded = _folded(question)
        spoken = language_of(question, lang)
        self._text, self._lang, self._spoken = question, lang, spoken
        self._patterns = _patterns(lang)
        self.asks = {
            name.removeprefix("asks_")
            for patterns in (self._patterns, _patterns(spoken))
            for name, pattern in patterns.items()
            if name.startswith("asks_") and pattern.search(folded)
        }
        self.kinds = asked_kinds(question, spoken)
        if lang.asks_identity(question, persona) is not None:
            self.asks.add("self")
            self.kinds = ()
            found = _of_her(found)
        found = in_the_state_asked(found, self.asks, lang)
        self.wanted = wanted_terms(question, lang, spoken)
        if "self" in self.asks:  # her name occurs all over her Constitution
            own_name = lang.stems(persona or "")
            self.wanted = {term: one for term, one in self.wanted.items() if term not in own_name}
        asked = frozenset(self.wanted)
        kept = [one for one in found if not self._is_metadata(one) or self._names_datum(one, asked, lang)]
        self.excerpts = _once(kept)
        self._said = self._read()
        self._related = self._all_related(question)
        frequency = Counter(stem for said in self._said for stem in said.own)
        light = frozenset(lang.stems(f"{lang.phrases['light']} {' '.join(asking_words(question, spoken))}"))
        self.light = light & self.wanted.keys()
        self.names = names_in(question, lang, spoken) & self.wanted.keys() - light
        """The terms of the names in the question: of somebody, a room, a firm."""
        if self.light == self.wanted.keys():
            self._related = {}  # a question of light words alone: only the order of the passages counts
        count = len(self.excerpts)
        self.weights = {
            stem: math.log(1 + count / (0.5 + max((frequency[other] for other in others), default=0)))
            * (_LIGHT if stem in light else 1.0)
            for stem, others in self._related.items()
        }
        self._asked = frozenset(other for others in self._related.values() for other in others)
        self._columns = cache(self._columns_asked)  # many rows have one header
        self.excerpts = list(map(self._with_columns, self.excerpts))
        self._states = task_states(lang)
        self._has_tasks = any(excerpt.text.startswith(self._states) for excerpt in self.excerpts)
        self._pointers = Pointers(self.excerpts, self._asked, lang)
        self.fits = self._fits()
        if similarity is not None:
            self._near(question, similarity)

    def _says(self, name: str, folded: str) -> bool:
        return name in self._patterns and self._patterns[name].search(folded) is not None

    def _is_metadata(self, excerpt: Excerpt) -> bool:
        return excerpt.in_head and self._says("metadata", _folded(excerpt.text[:40]))

    def _names_datum(self, excerpt: Excerpt, asked: frozenset[str], lang: Language) -> bool:
        """Whether a line with metadata of a document, such as `Author: …`, has the field that the question asks for.

        `asked` are the stems of the question. False if the question does not ask for metadata.
        """
        if "metadata" not in self.asks:
            return False
        dated = "time" in self.kinds and bool(shows(excerpt.text, "time", lang))
        return dated or not asked.isdisjoint(lang.stems(excerpt.text.split(":", 1)[0]))

    # What the excerpts say

    def _read(self) -> list[_Said]:
        lang, out = self._lang, list[_Said]()
        owns = [terms_of(excerpt.text, lang) for excerpt in self.excerpts]
        for place, excerpt in enumerate(self.excerpts):
            *above, last = excerpt.headings[1:] or ("",)
            names = [
                *((_ABOVE, terms_of(text, lang)) for text in excerpt.subjects[len(excerpt.headings) :]),
                (_HEADING, terms_of(last, lang)),
                (_HEADINGS, terms_of("\n".join(above), lang)),
                (_NAME, terms_of("".join(excerpt.headings[:1]), lang)),
                (_HEADER, terms_of(excerpt.header, lang)),
            ]
            near = (
                ((place - 1, _BEFORE), (place - 2, _BEFORE_THAT), (place + 1, _AFTER)) if excerpt.kind != "row" else ()
            )
            beside = [(weight, owns[other]) for other, weight in near if self._is_beside(place, other)]
            out.append(_Said(owns[place], tuple((weight, stems) for weight, stems in names if stems), tuple(beside)))
        return out

    def _is_beside(self, place: int, other: int) -> bool:
        """Whether the excerpts at two places are in the same paragraph, list or box."""
        if not 0 <= other < len(self.excerpts):
            return False
        one, two = self.excerpts[place], self.excerpts[other]
        return one.mark == two.mark and one.group == two.group

    def _all_related(self, question: str) -> dict[str, dict[str, float]]:
        """For each term of the question, the terms in the passages that match it, each with its weight."""
        said = list(
            chain.from_iterable((one.own, *(stems for _, stems in (*one.names, *one.beside))) for one in self._said)
        )
        known = frozenset[str]().union(*said)
        related = {term: related_terms(one, known) for term, one in self.wanted.items()}
        if missing := {term for term, others in related.items() if not others and term.isalpha()}:
            texts = (text for one in self.excerpts for text in (one.text, *one.subjects))
            for term, stems in misspelt(question, missing, texts, self._lang).items():
                related[term] = dict.fromkeys(stems & known, _MISSPELT)
        return satisfied_by_definitions(self.excerpts, related, self.wanted, self._lang)

    def coverage(self, held: Mapping[str, float]) -> float:
        """The weight of the terms in `held`, as a share of the weight of all terms of the question: 0 to 1.

        A term that no passage has tells them not apart, and weighs `_ABSENT` times as much.
        """
        total = sum(weight * (1.0 if self._related[term] else _ABSENT) for term, weight in self.weights.items())
        return sum(self.weights[stem] * weight for stem, weight in held.items()) / total if total else 0.0

    def _held(self, said: _Said) -> dict[str, float]:
        held = {}
        for wanted, others in self._related.items():
            best = 0.0
            whole = ((_WHOLE_NAME if stems <= self._asked else weight, stems) for weight, stems in said.names)
            for weight, stems in ((1.0, said.own), *whole, *said.beside):
                found = max((share for other, share in others.items() if other in stems), default=0.0)
                best = max(best, weight * found)
            if best:
                held[wanted] = best
        return held

    # Tables

    def _with_columns(self, excerpt: Excerpt) -> Excerpt:
        header = tuple(cells_of(excerpt.header)) if excerpt.kind == "row" and excerpt.header else ()
        wanted = self._columns(header) if len(header) > _NARROW else ()
        if wanted:
            cells = enumerate(cells_of(excerpt.text)[: len(header)])
            named = {column for column, cell in cells if not self._asked.isdisjoint(terms_of(cell, self._lang))}
            wanted = tuple(sorted({*wanted, *named}))
        return replace(excerpt, columns=wanted) if wanted else excerpt

    def _columns_asked(self, header: tuple[str, ...]) -> tuple[int, ...]:
        """The first column of a table and those that the question asks for; empty if it asks for none.

        `header` has the cells of its header. Of two columns, `week 33` and `week 34`, a question about week 34 asks for
        the second one only.
        """
        asked: dict[frozenset[str], list[int]] = {}
        for column, cell in enumerate(header[1:], 1):
            if held := self.terms_in(cell):
                asked.setdefault(held, []).append(column)
        wanted: list[int] = []
        covered: frozenset[str] = frozenset()
        for held in sorted(asked, key=lambda held: -self.coverage(dict.fromkeys(held, 1.0))):
            if not held <= covered:
                wanted += asked[held]
                covered |= held
        return (0, *sorted(wanted[:_MOST_COLUMNS])) if wanted else ()

    # Scores

    def _fits(self) -> list[Fit]:
        best = max((excerpt.passage.score for excerpt in self.excerpts), default=0.0)
        dates = sorted({excerpt.passage.date for excerpt in self.excerpts if excerpt.passage.date})
        ranks = 1 + max((excerpt.rank for excerpt in self.excerpts), default=0)
        differ = best > min((excerpt.passage.score for excerpt in self.excerpts), default=0.0)
        identity = self._identity()
        fits = []
        for number, excerpt in enumerate(self.excerpts):
            said = self._said[number]
            if excerpt.kind == "line":  # an example in a fence repeats the name of what it shows
                said = replace(said, own=said.own.difference(*(stems for _, stems in said.names)))
            held = self._held(said)
            match = self.coverage(held)
            if number in identity:
                match = max(match, _SELF)
            shown = {kind: self._shows(excerpt, kind) for kind in self.kinds}
            confirms = self._confirms(excerpt, self._said[number].own)
            points = self._pointers.points(excerpt, self._said[number].own, confirms=confirms)
            prior = max(excerpt.passage.score, 0.0) / best if differ and best > 0 else 1 - excerpt.rank / ranks
            score = match + _PRIOR * prior
            missed = bool(self.kinds) and shown[self.kinds[0]] is False
            score += _ROW * (excerpt.kind == "row" and self._is_named(excerpt))
            score += _SHOWN if any(shown.values()) else -_NOT_SHOWN * missed
            if excerpt.passage.date and len(dates) > 1:
                newest = dates.index(excerpt.passage.date) / (len(dates) - 1)
                score += _NEWEST * newest * (4 if "now" in self.asks else 1)
            if "self" not in self.asks:
                score -= _HERS * _is_hers(excerpt)
            if "past" not in self.asks:
                score -= _OUTDATED * excerpt.outdated + _ARCHIVED * (excerpt.passage.status == "archived")
            score -= (
                _LINE * (excerpt.kind == "line")
                + _ASKS * excerpt.asks
                + _ANNOUNCES * excerpt.announces
                + _TITLE_ONLY * (points == "titles")
            )
            own = self.terms_in(excerpt.text)
            is_task = excerpt.text.startswith(self._states)
            fits.append(Fit(excerpt, match, score, held, own, shown, points, is_task))
        return fits

    def _shows(self, excerpt: Excerpt, kind: Kind) -> bool | None:
        """Whether an excerpt shows a thing of a kind. The header of a table may say it: `Price (€)`."""
        if (
            kind not in ("yes_no", "reason", "tasks")
            and excerpt.header
            and self._columns(tuple(cells_of(excerpt.header)))
        ):
            return True  # the header has what is asked for
        if kind == "reason" and "reason" in _kinds_of("".join(excerpt.headings[-1:]), self._lang):
            return True  # below the heading «Perché» ("why")
        if kind == "tasks":
            return excerpt.text.startswith(self._states) if self._has_tasks else None
        if kind == "definition":
            above = [excerpt.passage.reading[start:end] for start, end in excerpt.above]
            defined = (*(name for name, _ in definitions(excerpt.text)), *above, *excerpt.headings[-1:])
            names = (terms_of(name, self._lang) for name in defined)
            return True if any(name and name <= self._asked for name in names) else None
        labels = (excerpt.passage.reading[start:end] for start, end in excerpt.above if not excerpt.is_answer)
        told = shows("\n".join((*labels, excerpt.text)), kind, self._lang)
        if told is False and excerpt.header and any(map(str.isdigit, excerpt.text)):
            told = shows(f"{excerpt.header} {excerpt.text}", kind, self._lang)
        if told is False and kind == "quantity" and shows(excerpt.text, "price", self._lang):
            told = True
        if told is False and self._spoken is not self._lang:  # a note may be in the language of the question
            told = shows(excerpt.text, kind, self._spoken)
        return told

    def _is_named(self, row: Excerpt) -> bool:
        """Whether the question names the first cell of a row with all of its words."""
        first = terms_of(next(iter(cells_of(row.text)), ""), self._lang)
        return bool(first) and first <= self._asked

    def _near(self, question: str, similarity: Similarity) -> None:
        """Add to the scores of the best excerpts how near their vectors are to that of the question."""
        best = sorted(self.fits, key=lambda fit: -fit.score)[:_EMBEDDED]
        weight = _NEAR + _NEAR_WITHOUT_WORDS * (1 - min(1.0, max((fit.match for fit in best), default=0.0)))
        if len(best) <= 1 or best[0].score - best[1].score > _SPREAD * weight:
            return  # the words decide alone
        cosines = similarity(question, [_with_subjects(fit.excerpt) for fit in best])
        if cosines is None:
            return
        mean, deviation = fmean(cosines), max(pstdev(cosines), 1e-6)
        for fit, cosine in zip(best, cosines, strict=True):
            fit.cosine = float(cosine)
            fit.score += weight * (fit.cosine - mean) / deviation

    def _confirms(self, excerpt: Excerpt, stems: frozenset[str]) -> bool:
        """Whether an excerpt that only repeats the question answers it: `free parking` does, and a task by its state.

        It has to repeat all of it, in more than one word.
        """
        said = sum(not stems.isdisjoint(others) for others in self._related.values())
        return excerpt.text.startswith(self._states) or (len(stems) > 1 and said == len(self._related))

    def _identity(self) -> range:
        """The places of the excerpts that say who the persona is; empty if the question does not ask this.

        They begin with the first excerpt that says «I am …», else with the first sentence of the Constitution.
        """
        if "self" not in self.asks:
            return range(0)
        says = (n for n, excerpt in enumerate(self.excerpts) if self._says("shows_self", _folded(excerpt.text)))
        opens = (n for n, excerpt in enumerate(self.excerpts) if _is_hers(excerpt) and excerpt.kind == "sentence")
        first = next(says, next(opens, None))
        if first is None:
            return range(0)
        same = [other.mark == self.excerpts[first].mark for other in self.excerpts[first : first + _SELF_EXCERPTS]]
        return range(first, first + sum(same))

    def points_back(self, excerpt: Excerpt) -> bool:
        """Whether a sentence begins with a word that refers to the sentence before it."""
        return self._says("points_back", _folded(excerpt.text[:40]))

    @property
    def is_foreign(self) -> bool:
        """Whether the question is in another language than the notes, so that its words need not be in them."""
        return self._spoken is not self._lang

    def terms_in(self, text: str) -> frozenset[str]:
        """The terms of the question that a text has."""
        stems = terms_of(text, self._lang)
        return frozenset(term for term, others in self._related.items() if not stems.isdisjoint(others))

    def names_file(self, excerpt: Excerpt) -> bool:
        """Whether the question has the name of the excerpt's file, such as `minutes.md`."""
        return excerpt.passage.path.rpartition("/")[2].casefold() in self._text.casefold()

    def names_year(self, excerpt: Excerpt) -> bool:
        """Whether the question asks for the year of the excerpt's document: «nel listino 2024»."""
        years = {term.removeprefix("=y") for term in self.wanted if term.startswith("=y")}
        of_document = f"{excerpt.passage.path} {excerpt.passage.date or ''} {excerpt.passage.lead}"
        return any(year in of_document for year in years)

    def ends(self, excerpt: Excerpt) -> bool:
        """Whether an excerpt says that something no longer holds: «non si paga più» ("is no longer paid")."""
        return self._says("ends", _folded(excerpt.text))

    def changes(self, excerpt: Excerpt) -> bool:
        """Whether an excerpt says that something changes: «d'ora in poi …» ("from now on")."""
        return self._says("changes", _folded(excerpt.text))


_kinds_of = lru_cache(maxsize=2_048)(asked_kinds)


def _once(found: Sequence[Excerpt]) -> list[Excerpt]:
    """The excerpts without those that repeat an earlier one. A short one, such as «No.», answers elsewhere again."""
    seen: set[tuple[str, ...]] = set()
    kept = []
    for excerpt in found:
        place = () if len(excerpt.text) > _SHORT_TEXT else (excerpt.mark, str(excerpt.start))
        key = (excerpt.text, *place)
        if key not in seen:
            kept.append(excerpt)
        seen.add(key)
    return kept


def _with_subjects(excerpt: Excerpt) -> str:
    """The text of an excerpt whose vector is computed: its headings and what is above it, then the excerpt."""
    parts = (*excerpt.headings[1:], *excerpt.subjects[len(excerpt.headings) :], excerpt.header, excerpt.text)
    return ": ".join(" ".join(part.split()) for part in parts if part)[-_LONGEST:]


def _is_hers(excerpt: Excerpt) -> bool:
    return excerpt.passage.role == "constitution"


def _of_her(found: Sequence[Excerpt]) -> Sequence[Excerpt]:
    """For a question about the persona: only the excerpts of the Constitution, her description, if it is ranked first.

    Other documents may contain «I am …» too. If another document is ranked first, all excerpts are returned.
    """
    if not found or not _is_hers(found[0]):
        return found
    return [excerpt for excerpt in found if excerpt.passage.path == found[0].passage.path]
