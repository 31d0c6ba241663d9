"""Scores how well each excerpt of the passages answers a question."""

from __future__ import annotations

import math
import re
from collections import Counter
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cache, lru_cache
from itertools import chain, islice
from typing import Literal

from cervella.brains.extractive.quotes import Excerpt, wide_header
from cervella.knowledge.documents.linking import link_name, link_texts, opens_entry
from cervella.text.detection import language_of
from cervella.text.language import Language, fold
from cervella.text.terms import Wanted, asked_terms, terms
from cervella.types import Passage

_CONTEXT, _NEIGHBOURS, _HEADER = 0.5, 0.1, 0.75
"""Weights of a stem of the question that occurs in the subjects of an excerpt, in the same paragraph, or in the table's
header. In the excerpt itself its weight is 1; but an example in a fence repeats the name of what it shows, so there
a stem of the subject has no higher weight than in the subject."""
_RANK, _BY_SCORE, _SAME_PASSAGE = 1.6, 1.0, 0.3
_CUE, _HEADING_CUE, _SELF, _BOLD, _OPENING, _NEWEST = 0.08, 0.15, 1.2, 0.1, 0.1, 0.05
_SHOWS = {
    "shows_amount": r"\d",
    "shows_name": r"`|\w_\w|\w/\w|\w-\w+-\w|#\w|\d+\.\d+\.\d|:\d{2,5}\b",
    "shows_time": r"\b(?:19|20)\d\d\b|{words}",
    "shows_self": r"^\W*{words}",
    "points_back": r"^\W*{words}",
    "metadata": r"^\W*{words}\W*:",
}
"""Patterns by which an excerpt is recognised that contains a certain kind of answer, such as an amount, a name or a
time. `{words}` stands for the pattern of the language."""
_SELF_EXCERPTS = 5
_MOST_LINKS = 200
"""Maximum links of a passage that are read."""
_MOST_COLUMNS = 12
"""Maximum columns of a wide table that are quoted beside the first one."""
_WEAK, _LIGHT, _RELATED, _METADATA = 0.1, 0.4, 0.6, 0.5
_TITLES, _MOSTLY = 0.25, 0.5
"""Factor for an excerpt that only has words of the question or titles; and the share of an excerpt's stems from which
on it mostly consists of titles or links."""


_folded = lru_cache(maxsize=4_096)(fold)  # an excerpt is read many times for one question


@dataclass(frozen=True, slots=True, eq=False)
class Fit:
    """The scores of one excerpt for a question."""

    excerpt: Excerpt
    match: float
    """How much of the question the excerpt and its surroundings contain, 0 to about 1. The rank is not included."""
    score: float
    own: Mapping[str, float]
    """The question's terms in the excerpt (stems and figures), each with its weight; for a row, also those in the
    table's header."""
    says: bool
    """Whether the excerpt itself contains a term of the question."""
    held: frozenset[str]
    """The question's terms in the excerpt and in its subjects."""
    above: frozenset[str]
    """Those in its subjects."""
    named: frozenset[str]
    """Those in a subject that the question names with all of its words."""
    words: int
    points: Literal["", "titles", "links"]
    """Whether the excerpt only points to what is said elsewhere.

    `titles`: it has no word besides some of the question, or besides links, or mostly names headings of its passage;
    `links`: it mostly names notes that it links to.
    """


@lru_cache(maxsize=16)
def _patterns(lang: Language) -> Mapping[str, re.Pattern[str]]:
    """The compiled patterns for folded text, by name: `asks_...` for questions, the others for excerpts."""
    asks = {name: words for name, words in lang.phrases.items() if name.startswith("asks_")}
    shows = {name: text.replace("{words}", lang.phrases.get(name, "")) for name, text in _SHOWS.items()}
    return {name: re.compile(text) for name, text in (asks | shows).items()}


class Question:
    """Scores the excerpts of all retrieved passages for one question. The scores are in `fits`."""

    def __init__(self, question: str, found: Sequence[Excerpt], lang: Language, persona: str | None = None) -> None:
        """`found` are the excerpts in the order of their passages; `persona` is the name of the persona, None if
        unknown."""
        folded = _folded(question)
        self._patterns = _patterns(lang)
        self.asks = {
            name.removeprefix("asks_")
            for name, pattern in self._patterns.items()
            if name.startswith("asks_") and pattern.search(folded)
        }
        if lang.asks_identity(question, persona) is not None:
            self.asks.add("self")
            found = _of_her(found)
        found = _in_the_state_asked(found, self.asks, lang)
        wanted = {next(iter(one)): one for one in asked_terms(question, lang, language_of(question, lang))}
        if "self" in self.asks:  # her name occurs all over her Constitution
            wanted = {term: one for term, one in wanted.items() if term not in lang.stems(persona or "")}
        asked = frozenset(wanted)
        kept = [one for one in found if not self._is_header(one) or self._names_datum(one, asked, lang)]
        first_of_equals = {excerpt.text: excerpt for excerpt in reversed(kept)}
        found = self.excerpts = list(reversed(first_of_equals.values()))
        self._stems = [frozenset(terms(excerpt.text, lang)) for excerpt in found]
        above = {text for excerpt in found for text in (*excerpt.subjects, excerpt.header)}
        cached = {text: frozenset(terms(text, lang)) for text in above}
        self._subjects = [tuple(cached[text] for text in excerpt.subjects) for excerpt in found]
        self._headers = [cached[excerpt.header] for excerpt in found]
        self._contexts = [
            header.union(*subjects) for header, subjects in zip(self._headers, self._subjects, strict=True)
        ]
        frequency = Counter(stem for stems in self._stems for stem in stems)
        known = frozenset(frequency).union(*self._contexts)
        related = {term: _related(one, known) for term, one in wanted.items()}
        self._related = {stem: others for stem, others in related.items() if others}
        light = frozenset(lang.stems(lang.phrases["light"]))
        if light.issuperset(self._related):
            self._related = {}  # a question of light words alone: only the order of the passages counts
        self._weights = {
            stem: math.log(1 + len(found) / (0.5 + max(frequency[other] for other in others)))
            * (_LIGHT if stem in light else 1.0)
            for stem, others in self._related.items()
        }
        self._asked = frozenset(other for others in self._related.values() for other in others)
        columns = cache(lambda header: self._columns(header, lang))
        found = self.excerpts = [
            replace(excerpt, columns=columns(tuple(header))) if (header := wide_header(excerpt)) else excerpt
            for excerpt in found
        ]
        self._in_subject = cache(lambda subject: self._held(subject, _CONTEXT))
        self._titles: dict[str, set[frozenset[str]]] = {}
        for excerpt in found:
            own = self._titles.setdefault(excerpt.mark, set())
            own.update(cached[title] for title in excerpt.headings[-1:])
        passages = {excerpt.mark: excerpt.passage for excerpt in found}
        self._links = {
            mark: [(text, frozenset(terms(text, lang))) for text in islice(link_texts(passage.text), _MOST_LINKS)]
            for mark, passage in passages.items()
        }
        ranks = {link_name(name): excerpt.rank for excerpt in reversed(found) for name in _names(excerpt.passage)}
        self._below_linked = {
            excerpt.mark
            for excerpt in found
            if any(ranks.get(link_name(link), excerpt.rank) < excerpt.rank for link in excerpt.passage.links)
        }
        """The marks of the passages that a note to which they link is ranked above."""
        self._states = tuple(chain.from_iterable(_told_states(lang).values()))
        self.fits = self._fits()

    def _says(self, name: str, folded: str) -> bool:
        return name in self._patterns and self._patterns[name].search(folded) is not None

    def _is_header(self, excerpt: Excerpt) -> bool:
        return self._says("metadata", _folded(excerpt.text[:40]))

    def _names_datum(self, excerpt: Excerpt, asked: frozenset[str], lang: Language) -> bool:
        """Whether a line with metadata of a document, such as `Author: …`, has the field that the question asks for.

        `asked` are the stems of the question. False if the question does not ask for metadata.
        """
        if "metadata" not in self.asks:
            return False
        dated = "time" in self.asks and self._says("shows_time", _folded(excerpt.text))
        return dated or not asked.isdisjoint(lang.stems(excerpt.text.split(":", 1)[0]))

    def _held(self, stems: Collection[str], factor: float = 1.0) -> dict[str, float]:
        held = {}
        for wanted, others in self._related.items():
            weight = max((weight for other, weight in others.items() if other in stems), default=0.0)
            if weight:
                held[wanted] = weight * factor
        return held

    def coverage(self, held: Mapping[str, float]) -> float:
        """The weight of the stems in `held`, as a share of the weight of all stems of the question: 0 to 1."""
        total = sum(self._weights.values())
        return sum(self._weights[stem] * weight for stem, weight in held.items()) / total if total else 0.0

    def _columns(self, header: Sequence[str], lang: Language) -> tuple[int, ...]:
        """The first column of a table and those that the question asks for; empty if it asks for none.

        `header` has the cells of its header. Of two columns, `week 33` and `week 34`, a question about week 34 asks for
        the second one only.
        """
        asked: dict[frozenset[str], list[int]] = {}
        for column, cell in enumerate(header[1:], 1):
            if held := frozenset(self._held(terms(cell, lang))):
                asked.setdefault(held, []).append(column)
        wanted: list[int] = []
        covered: frozenset[str] = frozenset()
        for held in sorted(asked, key=lambda held: -self.coverage(dict.fromkeys(held, 1.0))):
            if not held <= covered:
                wanted += asked[held]
                covered |= held
        return (0, *sorted(wanted[:_MOST_COLUMNS])) if wanted else ()

    def _fits(self) -> list[Fit]:
        near: dict[tuple[str, int], set[str]] = {}
        far: dict[str, set[str]] = {}
        for excerpt, stems, context in zip(self.excerpts, self._stems, self._contexts, strict=True):
            near.setdefault((excerpt.mark, excerpt.group), set()).update(stems)
            far.setdefault(excerpt.mark, set()).update(stems | context)
        dates = sorted({excerpt.passage.date for excerpt in self.excerpts if excerpt.passage.date})
        prior = _rank_priors(self.excerpts)
        passages = {mark: self.coverage(self._held(stems)) for mark, stems in far.items()}
        groups = {key: self._held(stems) for key, stems in near.items()}
        identity = self._identity()
        fits = []
        for number, excerpt in enumerate(self.excerpts):
            own = self._held(self._headers[number], _HEADER) | self._held(self._stems[number])
            subjects = self._subjects[number]
            in_subjects = frozenset[str]().union(*map(self._in_subject, subjects))
            named = frozenset[str]().union(*(self._in_subject(one) for one in subjects if one <= self._asked))
            if excerpt.kind == "line":
                own = {s: w for s, w in own.items() if s not in named}
            above = {s: w for s, w in self._held(self._contexts[number], _CONTEXT).items() if s not in own}
            beside = {s: w for s, w in groups[excerpt.mark, excerpt.group].items() if s not in own and s not in above}
            match = self.coverage(own) + self.coverage(above) + _NEIGHBOURS * self.coverage(beside)
            heading = _folded(excerpt.headings[-1]) if excerpt.headings else ""
            if any(name in self.asks and self._says(f"asks_{name}", heading) for name in ("amount", "time", "cause")):
                match += _HEADING_CUE  # a heading with the same kind of question: «Perché abbiamo cambiato idea»
            points = self._points(number)
            match *= _TITLES if points == "titles" else 1.0
            if number in identity:
                match = max(match, _SELF)
            if "metadata" in self.asks and self._is_header(excerpt):
                match += _METADATA * passages[excerpt.mark]
            score = match + _SAME_PASSAGE * passages[excerpt.mark] + _RANK * prior[excerpt.rank]
            score += self._merits(excerpt, self._stems[number])
            if len(dates) > 1 and excerpt.passage.date:
                newest = dates.index(excerpt.passage.date) / (len(dates) - 1)
                score += _NEWEST * newest * (4 if "now" in self.asks else 1)
            says = bool(self._held(self._stems[number]))
            held = frozenset(own).union(above, self._held(self._stems[number]))
            fits.append(Fit(excerpt, match, score, own, says, held, in_subjects, named, excerpt.words, points))
        return fits

    def _points(self, number: int) -> Literal["", "titles", "links"]:
        """The field `Fit.points` of the excerpt with this number."""
        excerpt, stems = self.excerpts[number], self._stems[number]
        items = self._subjects[number][len(self._subjects[number]) - len(excerpt.above) :]
        # An item that repeats all of a longer question confirms it: «parcheggio gratuito». A task does, by its state.
        confirms = len(stems) > 1 and len(self._held(stems)) == len(self._related)
        confirms |= excerpt.text.startswith(self._states)
        if stems.union(*items) <= self._asked and not confirms and not any(map(str.isdigit, excerpt.text)):
            return "titles"
        titles = [title for title in self._titles[excerpt.mark] if title and title <= stems]
        if len(titles) > 1 and len(frozenset().union(*titles)) >= _MOSTLY * len(stems):
            return "titles"
        links = [(text, link) for text, link in self._links[excerpt.mark] if text in excerpt.text]
        linked = frozenset[str]().union(*(link for _, link in links))
        if links and stems <= linked and excerpt.mark in self._below_linked:
            return "titles"
        if linked.isdisjoint(self._asked):  # a link may be the answer: «- [[Rossi]]»
            return ""
        if stems <= linked:
            return "titles"
        mostly = len(linked & stems) >= _MOSTLY * len(stems)
        return "links" if links and (mostly or any(opens_entry(excerpt.text, text) for text, _ in links)) else ""

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

    def _merits(self, excerpt: Excerpt, stems: Collection[str]) -> float:
        """The part of an excerpt's score that does not depend on the words of the question.

        It is higher for an excerpt with the kind of answer that is asked for (such as a date), with bold text or near
        the beginning, and lower for a question, an announcement, a link or an excerpt with fewer than two stems.
        """
        folded = _folded(excerpt.text)
        shown = [name for name in self.asks - {"self"} if self._says(f"shows_{name}", folded)]
        merit = _CUE * len(shown) + _OPENING / (1 + excerpt.group)
        merit += _BOLD if "**" in excerpt.text else 0.0
        asks = excerpt.text.rstrip("*_ ").endswith("?")
        flaws = (asks, excerpt.announces, "](" in excerpt.text, len(stems) < 2)
        return merit - _WEAK * sum(flaws)

    def points_back(self, excerpt: Excerpt) -> bool:
        """Whether a sentence begins with a word that refers to the sentence before it."""
        return self._says("points_back", _folded(excerpt.text[:40]))


@lru_cache(maxsize=16)
def _told_states(lang: Language) -> Mapping[str, tuple[str, ...]]:
    """How the reading of a task begins that is `done`, `open`, or of `no` use as an answer about either."""
    tasks: Mapping[str, str] = lang.file("notes.toml")["tasks"]
    kinds = {"done": "done", "cancelled": "no"}
    told: dict[str, tuple[str, ...]] = {"done": (), "open": (), "no": ()}
    for state, words in tasks.items():
        # The title of a board's column may stand between the words and the colon.
        told[kinds.get(state, "open")] += (f"{words}:", f"{words},")
    return told


def _in_the_state_asked(found: Sequence[Excerpt], asks: Collection[str], lang: Language) -> Sequence[Excerpt]:
    """The excerpts without the tasks in another state than the one that the question asks for.

    Of a passage with tasks in that state, only these stay. If the question asks for no state, or for both, or if no
    task is in that state, all excerpts stay.
    """
    if ("open" in asks) == ("done" in asks):
        return found
    told = _told_states(lang)
    wanted, others = ("open", "done") if "open" in asks else ("done", "open")
    tasks = {excerpt.mark for excerpt in found if excerpt.text.startswith(told[wanted])}
    if not tasks:
        return found
    kept = (excerpt for excerpt in found if not excerpt.text.startswith(told[others] + told["no"]))
    return [excerpt for excerpt in kept if excerpt.mark not in tasks or excerpt.text.startswith(told[wanted])]


def _names(passage: Passage) -> tuple[str, ...]:
    return (passage.path, *passage.aliases)


def _is_hers(excerpt: Excerpt) -> bool:
    return excerpt.passage.role == "constitution"


def _of_her(found: Sequence[Excerpt]) -> Sequence[Excerpt]:
    """For a question about the persona: only the excerpts of the Constitution, her description, if it is ranked first.

    Other documents may contain «I am …» too. If another document is ranked first, all excerpts are returned.
    """
    if not found or not _is_hers(found[0]):
        return found
    return [excerpt for excerpt in found if excerpt.passage.path == found[0].passage.path]


def _rank_priors(found: Sequence[Excerpt]) -> dict[int, float]:
    """A number of 0 to 1 for each rank, 1 for the best: from the retriever's scores if they differ, else from the
    order."""
    scores = {excerpt.rank: excerpt.passage.score for excerpt in found}
    ranks, best = 1 + max(scores, default=0), max(scores.values(), default=0.0)
    differ = best > 0 and min(scores.values()) < best
    return {
        rank: (1 - _BY_SCORE) * (1 - rank / ranks)
        + _BY_SCORE * (max(score, 0.0) / best if differ else 1 - rank / ranks)
        for rank, score in scores.items()
    }


def _related(wanted: Wanted, known: Collection[str]) -> dict[str, float]:
    """The terms in `known`, those of the passages, that match a word or figure of a question, each with its weight.

    They are the terms that satisfy it; if no passage contains one, those that begin like its stem, with a lower weight.
    Empty if there are none.
    """
    if found := {term: weight for term, weight in wanted.items() if term in known}:
        return found
    stem = next(iter(wanted))
    if len(stem) < 4 or not stem.isalpha():
        return {}
    related = {}
    for other in (other for other in known if other[:4] == stem[:4]):
        short, long = sorted((stem, other), key=len)
        alike = max(5, math.ceil(0.6 * len(long)))
        if long.startswith(short) or stem[:alike] == other[:alike]:
            related[other] = _RELATED
    return related
