"""Checks of one claim against the lines that it cites. They are deterministic: no model is asked.

`findings` lists the faults: a figure, date or unit that the lines do not contain, a quotation that they do not contain,
a figure that they give for something else, another source that fits better. `supports` is the short answer: whether
the lines contain every figure, date and quotation of the claim.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property, lru_cache
from typing import Literal, TypeAlias

from cervella.claims.arithmetic import follows
from cervella.claims.evidence import (
    FEWEST_OF_A_CLAUSE,
    FEWEST_WORDS,
    MOST_FACTS,
    Evidence,
    Fact,
    Line,
    Source,
    source_of,
)
from cervella.claims.misplaced import meant_line
from cervella.claims.names import codes, is_known, names
from cervella.text.detection import language_of
from cervella.text.language import Language
from cervella.text.quantities import same_unit
from cervella.text.quotations import normal, occurs
from cervella.text.reading import ReadText
from cervella.types import Passage

FindingKind: TypeAlias = Literal[
    "figure", "date", "unit", "quote", "row", "name", "source", "words", "negation", "unread"
]
"""Kinds of faults in a claim:

- `figure`, `date`, `quote`, `name`: the lines do not contain it; `unit`: they have the figure with another unit;
- `row`: the lines have the figure or date, but for something else;
- `source`: the lines have few of the claim's words, and another passage has most of them;
- `words`: the claim and the lines have no word in common;
- `negation`: the lines have the same words, but only one of the two has a negation;
- `unread`: the claim is too long, and its end was not checked.
"""
_SOURCE_COVER, _SOURCE_MARGIN = 0.4, 0.22
"""Minimum share of a claim's words in another passage for a `source` finding, and minimum lead over the cited ones."""
_SAME_WORDS = 0.75
"""Minimum share of common words of a clause and a line for a negation in only one of them to be a contradiction."""
_ALL_WORDS = 0.99
"""The same threshold for a clause of two words."""
_SHORTEST_ROOT = 5
"""Minimum number of letters of a stem that may have one more in another form of the word."""
_LONGEST_CLAIM = 6_000
"""Maximum number of characters of one claim that are checked."""
_LONGEST_GIVEN = 30_000
"""Maximum number of characters read of the text that a claim may repeat without a source, such as the question."""
_MOST_QUOTES = 50
"""Maximum number of an answer's quotations that are searched for in a passage, to choose the sentence to show."""
_MISSING = ("figure", "date", "unit", "quote", "name", "source", "words")
"""The kinds of findings that say that the lines do not contain something."""
_SHOWN = 80
"""Maximum number of characters that an `unread` finding shows of its claim."""
_LIST_NUMBER = re.compile(r"^[ \t]*(?:>[ \t]*)*\d{1,3}[.)]\s+", re.MULTILINE)


@dataclass(frozen=True, slots=True, kw_only=True)
class Claim:
    """The text of an answer that one mark, or one group of adjacent marks, belongs to."""

    text: str
    """The words, without the marks."""
    group: tuple[str, ...]
    """The marks of the group."""
    whole: bool = True
    """False if its paragraph, list or table was so long that the start is left out of `text`."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Finding:
    """One fault of a claim."""

    kind: FindingKind
    text: str
    """The words of the claim with the fault."""
    nearest: str = ""
    """The most similar line, verbatim; empty where no line has a word of the claim."""
    elsewhere: tuple[int, ...] = ()
    """The indices of the passages that contain these words, among the `others` given to `findings`."""


class Grounding:
    """A claim, read once, with the passages that it cites.

    `others` are the passages of the prompt that the claim does not cite: a fact in one of them means a wrong mark, not
    an invention. A claim in another language than the base's is read in its own language.
    """

    def __init__(
        self, claim: str, passages: Sequence[Passage], lang: Language, *, others: Sequence[Passage] = ()
    ) -> None:
        self._written = claim
        sources = [source_of(passage, lang) for passage in passages]
        self._others = [source_of(passage, lang) for passage in others]
        text = _LIST_NUMBER.sub("", claim[:_LONGEST_CLAIM])
        for source in sources:
            text = source.places.sub(" ", text)
        self.claim = read_claim(text, lang)
        self._evidence = Evidence(self.claim, sources, self._others)

    @cached_property
    def _facts(self) -> list[Fact]:
        return self._evidence.facts[:MOST_FACTS]

    @property
    def whole(self) -> bool:
        """Whether all of the claim is compared. Only the start of a very long claim is."""
        return len(self._written) <= _LONGEST_CLAIM and len(self._evidence.facts) <= MOST_FACTS

    def supports(self, number: int) -> bool | None:
        """As the function `supports`, for the cited passage with this number, counted from 0."""
        if not all(fact.holders for fact in self._facts):
            return False if self._evidence.whole else None
        if not self.whole:
            return None
        if self._facts:
            return any(number in fact.holders for fact in self._facts)
        stems = self.claim.all_stems
        source = self._evidence.sources[number]
        return not stems or bool(stems & source.stems) or (False if source.whole else None)

    def findings(self, given: str = "") -> list[Finding]:
        """As the function `findings`."""
        spoken = self.claim.spoken
        question = Passage(id="", path="", text=given[:_LONGEST_GIVEN], start_line=1, end_line=1)
        allowed = source_of(question, spoken)
        found = [] if self.whole else [Finding(kind="unread", text=self._written.strip()[:_SHOWN])]
        found += [one for fact in self._facts for one in self._of_fact(fact, allowed)]
        if spoken is self.claim.lang:
            has_facts = bool(found or self._evidence.supported)
            found += [*self._of_names(allowed), *self._of_the_words(has_facts)]
        if not self._evidence.whole and any(one.kind in _MISSING for one in found):
            # The end of a very long passage, which is not compared, may have it.
            unread = Finding(kind="unread", text=self._written.strip()[:_SHOWN])
            found = [unread, *(one for one in found if one.kind not in (*_MISSING, "unread"))]
        return found

    @cached_property
    def _nearest(self) -> str:
        return self._evidence.best.text if self._evidence.best is not None else ""

    def _of_fact(self, fact: Fact, allowed: Source) -> Iterator[Finding]:
        """The findings on one figure, date or quotation."""
        if fact.holders:
            foreign = self.claim.spoken is not self.claim.lang
            line = None if foreign else meant_line(fact, self._evidence)
            if line is not None and not self._follows(fact, allowed):
                yield Finding(kind="row", text=fact.text, nearest=line.text)
        elif not _allowed(fact, allowed) and not self._follows(fact, allowed):
            elsewhere = [n for n in range(len(self._others)) if (fact.kind, fact.text) in self._in_others[n]]
            kind: FindingKind = "unit" if fact.other_unit else fact.kind
            yield Finding(kind=kind, text=fact.text, nearest=self._nearest, elsewhere=tuple(elsewhere))

    @cached_property
    def _in_others(self) -> list[set[tuple[str, str]]]:
        """For each of the other passages, the facts of the claim that it contains, as kind and words."""
        beside = [Evidence(self.claim, [source]) for source in self._others]
        return [{(fact.kind, fact.text) for fact in one.facts if fact.holders} for one in beside]

    def _follows(self, fact: Fact, allowed: Source) -> bool:
        given = (figure for line in allowed.lines for figure in line.figures)
        return fact.figure is not None and not fact.other_unit and follows(fact.figure, self._evidence, given)

    def _of_names(self, allowed: Source) -> Iterator[Finding]:
        """The findings on names and codes that the lines do not contain."""
        measured = " ".join(fact.text for fact in self._facts if fact.figure is not None and fact.figure.senses)
        for name in (*names(self.claim.text, self.claim.lang), *codes(self.claim.text)):
            if name not in measured and not is_known(name, [*self._evidence.sources, allowed]):
                elsewhere = tuple(n for n, source in enumerate(self._others) if is_known(name, [source]))
                yield Finding(kind="name", text=name, nearest=self._nearest, elsewhere=elsewhere)

    def _of_the_words(self, has_facts: bool) -> Iterator[Finding]:
        """The findings of kind `source`, `words` and `negation`."""
        about, scale, sources = self.claim.about, self._evidence.scale, self._evidence.sources
        if not about or not sources:
            return
        own = max(scale.window_cover(about, source) for source in sources)
        covers = [scale.window_cover(about, source) for source in self._others]
        elsewhere = tuple(n for n, there in enumerate(covers) if there >= max(_SOURCE_COVER, own + _SOURCE_MARGIN))
        text = self.claim.text.strip()
        if elsewhere and len(about) >= FEWEST_WORDS:
            yield Finding(kind="source", text=text, nearest=self._nearest, elsewhere=elsewhere)
        elif not has_facts and len(about) >= FEWEST_OF_A_CLAUSE and not any(about & one.stems for one in sources):
            yield Finding(kind="words", text=text, nearest=self._nearest)
        if self._contradicts():
            yield Finding(kind="negation", text=text, nearest=self._nearest)

    def _contradicts(self) -> bool:
        """Whether the most similar line has the words of a clause of the claim, but only one of the two a negation."""
        line, weight = self._evidence.best, self._evidence.scale.weight
        if line is None or line.kind != "sentence":
            return False
        known = [(one, weight(one.about) or 1.0) for one in dict.fromkeys(line.statements)]
        for clause in dict.fromkeys(self.claim.statements):
            about = _in_stems_of(line, clause.about)
            least = _SAME_WORDS if len(about) >= FEWEST_WORDS - 1 else _ALL_WORDS
            if len(about) < FEWEST_OF_A_CLAUSE or self._evidence.scale.cover(about, line) < least:
                continue
            shared = ((weight(one.about & about), whole, one) for one, whole in known)
            backs = ((share, share / whole, one) for share, whole, one in shared)
            _, back, other = max(backs, key=lambda found: found[:2])
            if back >= least and clause.denies != other.denies and not (clause.unsure or other.unsure):
                return True
        return False


def _in_stems_of(line: Line, stems: frozenset[str]) -> frozenset[str]:
    """Replaces each of `stems` by a stem of the line if the two differ only in the last letter.

    The stemmer gets words without accents, so that "respondió" and "respondieron", forms of one Spanish verb, get two
    stems.
    """
    roots = {one[:-1]: one for one in line.stems if len(one) > _SHORTEST_ROOT}

    def known(stem: str) -> str:
        if stem in line.stems:
            return stem
        return stem[:-1] if stem[:-1] in line.stems and len(stem) > _SHORTEST_ROOT else roots.get(stem, stem)

    return frozenset(map(known, stems))


@lru_cache(maxsize=512)
def read_claim(text: str, lang: Language) -> ReadText:
    """A claim, read once for the citations and for the review of an answer."""
    return ReadText(text, lang, language_of(text, lang))


def supports(claim: str, passages: Sequence[Passage], lang: Language, *, mark: int = 0) -> bool | None:
    """Whether `passages[mark]` supports a claim that cites all of `passages` together.

    The passages must contain every figure, date and quotation of the claim, and `passages[mark]` at least one of them.
    A claim without any must share a content word with `passages[mark]`, unless it has no content word. None means that
    the claim is too long to be checked fully, and that no fault was found in the checked part.
    """
    return Grounding(claim, passages, lang).supports(mark)


def findings(
    claim: str, passages: Sequence[Passage], lang: Language, *, others: Sequence[Passage] = (), given: str = ""
) -> list[Finding]:
    """The faults of a claim, compared with all passages that it cites together.

    `others` are the passages of the prompt that it does not cite. `given` is a text that the claim may repeat without a
    source: the question, today's date. In a claim in another language than the base's only figures, dates and
    quotations are checked.

    >>> from cervella.text.language import language
    >>> lines = Passage(id="1", path="a.md", text="La prova dura 3 giorni.", start_line=1, end_line=1)
    >>> [(f.kind, f.text) for f in findings("La prova dura 3 ore", [lines], language("it"))]
    [('unit', '3 ore')]
    """
    return Grounding(claim, passages, lang, others=others).findings(given)


def _allowed(fact: Fact, allowed: Source) -> bool:
    """Whether a text that claims may repeat without a source, such as the question, contains the fact."""
    if fact.figure is not None:
        return any(same_unit(fact.figure, other) for _, other in allowed.matches(fact.figure))
    if fact.kind == "quote":
        return occurs(normal(fact.text), allowed.normal)
    return fact.iso in allowed.dates if fact.iso else fact.month in allowed.months


def best_quote(claims: Iterable[ReadText], passage: Passage, lang: Language) -> str:
    """The sentence or row of a passage that fits the claims best, verbatim; the whole passage where it has none."""
    claims = list(claims)
    stems = frozenset(stem for claim in claims for stem in claim.all_stems)
    values = frozenset(value for claim in claims for value in claim.readings)
    quoted = [bare for claim in claims for _, bare in claim.quotations][:_MOST_QUOTES]
    best, best_score = "", -1.0
    for line in source_of(passage, lang).lines[1:]:
        plain = line.normal if quoted else ""
        score = len(stems & line.all_stems) + 2.0 * len({one.readings for one in line.figures if one.readings & values})
        score += sum(3.0 + len(quote) / 50 for quote in quoted if quote in plain or plain in quote)
        score -= 0.01 * len(line.all_stems) + (0.5 if line.kind == "heading" else 0.0)
        if score > best_score and line.text.strip():
            best, best_score = line.text, score
    return best or passage.reading.strip()
