"""The brain that generates nothing: it picks what answers the question from the passages, and quotes it.

It needs no key, no model and no network, and the same prompt always gives the same answer. Which passage answers is
the retriever's judgement, so rank weighs most; which lines of it answer is judged here, by the question's stems that a
piece and its surroundings hold, the rare ones counting more, and by what a question of its sort asks for: a figure, a
date, a reason, a name. Where pieces say most of the question, only those are quoted; else more is shown.
"""

from __future__ import annotations

import math
import re
from collections import Counter
from collections.abc import AsyncIterator, Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass

from cervella.brains.extractive_quotes import Piece, pieces, quote
from cervella.language import Language, fold, language
from cervella.types import BrainEvent, Completion, Finished, Location, Prompt, TextDelta

__all__ = ["ExtractiveBrain"]

_WORDS, _WORDS_SURE = 100, 70
"""About how long an answer is; the second where some piece says most of the question."""
_MOST_PIECES, _MOST_SOURCES = 12, 3
_CONSIDERED = 150
_SURE, _KEPT, _PAST = 0.65, 0.6, 0.5
"""A piece that says this much of the question makes the answer sure; then the others must say this part of that, half
as much where the past is asked for and told."""
_ENOUGH = 0.35
"""The answer ends where the next piece is worth less than this part of the first."""
_CONTEXT, _NEIGHBOURS, _HEADER = 0.5, 0.1, 0.75
"""What a stem counts that stands in the headings above, in the same paragraph, in the header of the table."""
_RANK, _SAME_PASSAGE, _SAME_GROUP, _SPREAD, _COVERED = 1.6, 0.1, 0.16, 0.8, 0.35
_CUE, _HEADING_CUE, _SELF, _BOLD, _OPENING, _NEWEST = 0.08, 0.15, 0.7, 0.1, 0.25, 0.05
_PATTERNS = ("asks_", "shows_", "metadata", "points_back")
_SELF_PIECES = 5
_WEAK, _LIGHT, _RELATED, _METADATA = 0.1, 0.4, 0.6, 0.5


class ExtractiveBrain:
    """Answers with quotations: the sentences, rows and lines of the passages that fit the question best."""

    capabilities: frozenset[str] = frozenset()
    location: Location = "local"
    model = "extractive"

    def __init__(self, name: str = "extractive") -> None:
        self.name = name

    async def stream(self, prompt: Prompt, /) -> AsyncIterator[BrainEvent]:
        lang = language(str(prompt.hints.get("language", "it")))
        limit = math.inf if prompt.max_output_tokens is None else 3 * prompt.max_output_tokens
        text, finish_reason = "", "stop"
        for versions in _blocks(prompt, lang):
            for version in versions:
                delta = f"\n\n{version}" if text else version
                if len(text) + len(delta) <= limit:
                    text += delta
                    yield TextDelta(text=delta)
                    break
                finish_reason = "length"
        if not text and finish_reason == "stop":
            text = lang.abstention
            yield TextDelta(text=text)
        yield Finished(completion=Completion(text=text, finish_reason=finish_reason, model=self.model))


def _blocks(prompt: Prompt, lang: Language) -> Iterator[Iterator[str]]:
    """The blocks of an answer, each in versions: whole, then with fewer and fewer pieces."""
    if prompt.hints.get("abstain") or not prompt.question.strip():
        return
    sources = enumerate(prompt.sources.items())
    found = [piece for rank, (mark, passage) in sources for piece in pieces(mark, passage, rank, lang)]
    question = _Question(prompt.question, found, lang)
    groups: dict[tuple[str, int], list[Piece]] = {}
    for piece in question.pieces:
        groups.setdefault((piece.mark, piece.group), []).append(piece)
    chosen = _choose(question, groups)
    chosen += _surroundings(question, chosen)
    outdated = {fit.piece.mark: fit.piece.outdated for fit in chosen}
    for mark in sorted(outdated, key=outdated.__getitem__):  # stable: best first, the current ones before the others
        own = sorted((fit for fit in chosen if fit.piece.mark == mark), key=lambda fit: fit.piece.start)
        for number in dict.fromkeys(fit.piece.group for fit in own):
            yield _versions([fit for fit in own if fit.piece.group == number], groups[mark, number], lang)


def _versions(fits: list[_Fit], group: Sequence[Piece], lang: Language) -> Iterator[str]:
    while fits:
        if block := quote([fit.piece for fit in fits], group, lang):
            yield block
        weakest = min(fits, key=lambda fit: fit.score)
        fits = [fit for fit in fits if fit is not weakest]


@dataclass(frozen=True, slots=True, eq=False)
class _Fit:
    """How well a piece answers."""

    piece: Piece
    match: float
    """0 to about 1: how much of the question the piece and its surroundings say, whatever its rank."""
    score: float
    own: Mapping[str, float]
    """The question's stems that it holds, with the weight of each."""
    words: int


class _Question:
    """A question held against the pieces of all its passages."""

    def __init__(self, question: str, found: Sequence[Piece], lang: Language) -> None:
        folded = fold(question)
        self._patterns = {name: re.compile(text) for name, text in lang.phrases.items() if name.startswith(_PATTERNS)}
        self.asks = {
            name.removeprefix("asks_")
            for name, pattern in self._patterns.items()
            if name.startswith("asks_") and pattern.search(folded)
        }
        if lang.asks_identity(question) is not None:
            self.asks.add("self")
        if "metadata" not in self.asks and "metadata" in self._patterns:
            found = [piece for piece in found if not self._says("metadata", fold(piece.text[:40]))]
        found = list({piece.text: piece for piece in reversed(found)}.values())[::-1]  # of copies, the first
        self.pieces = found
        self._stems = [frozenset(lang.stems(piece.text)) for piece in found]
        above = {text for piece in found for text in (piece.context, piece.header)}
        cached = {text: frozenset(lang.stems(text)) for text in above}
        self._contexts = [cached[piece.context] | cached[piece.header] for piece in found]
        self._headers = [cached[piece.header] for piece in found]
        frequency = Counter(stem for stems in self._stems for stem in stems)
        known = frozenset(frequency).union(*self._contexts)
        related = {stem: _related(stem, known) for stem in dict.fromkeys(lang.stems(question))}
        self._related = {stem: others for stem, others in related.items() if others}
        light = frozenset(lang.stems(lang.phrases.get("light", "")))
        if light.issuperset(self._related):
            self._related = {}  # such words alone ask for nothing: the passages' order decides
        self._weights = {
            stem: math.log(1 + len(found) / (0.5 + max(frequency[other] for other in others)))
            * (_LIGHT if stem in light else 1.0)
            for stem, others in self._related.items()
        }
        self.fits = self._fits()

    def _says(self, name: str, folded: str) -> bool:
        return name in self._patterns and self._patterns[name].search(folded) is not None

    def _held(self, stems: Collection[str], factor: float = 1.0) -> dict[str, float]:
        held = {}
        for wanted, others in self._related.items():
            weight = max((weight for other, weight in others.items() if other in stems), default=0.0)
            if weight:
                held[wanted] = weight * factor
        return held

    def coverage(self, held: Mapping[str, float]) -> float:
        """0 to 1: how much of the question's weight these stems are."""
        total = sum(self._weights.values())
        return sum(self._weights[stem] * weight for stem, weight in held.items()) / total if total else 0.0

    def _fits(self) -> list[_Fit]:
        near: dict[tuple[str, int], set[str]] = {}
        far: dict[str, set[str]] = {}
        for piece, stems, context in zip(self.pieces, self._stems, self._contexts, strict=True):
            near.setdefault((piece.mark, piece.group), set()).update(stems)
            far.setdefault(piece.mark, set()).update(stems | context)
        dates = sorted({piece.passage.date for piece in self.pieces if piece.passage.date})
        ranks = 1 + max((piece.rank for piece in self.pieces), default=0)
        passages = {mark: self.coverage(self._held(stems)) for mark, stems in far.items()}
        groups = {key: self._held(stems) for key, stems in near.items()}
        told = self._who_she_is()
        fits = []
        for number, piece in enumerate(self.pieces):
            own = self._held(self._headers[number], _HEADER) | self._held(self._stems[number])
            above = {s: w for s, w in self._held(self._contexts[number]).items() if s not in own}
            beside = {s: w for s, w in groups[piece.mark, piece.group].items() if s not in own and s not in above}
            match = self.coverage(own) + _CONTEXT * self.coverage(above) + _NEIGHBOURS * self.coverage(beside)
            heading = fold(piece.section.rsplit("\n", 1)[-1])
            if any(name in self.asks and self._says(f"asks_{name}", heading) for name in ("amount", "time", "cause")):
                match += _HEADING_CUE  # a heading that asks what the question asks: «Perché abbiamo cambiato idea»
            if number in told:
                match += _SELF
            if "metadata" in self.asks and self._says("metadata", fold(piece.text[:40])):
                match += _METADATA * passages[piece.mark]
            score = match + _SAME_PASSAGE * passages[piece.mark] + _RANK * (1 - piece.rank / ranks)
            score += self._merits(piece, self._stems[number])
            if len(dates) > 1 and piece.passage.date:
                newest = dates.index(piece.passage.date) / (len(dates) - 1)
                score += _NEWEST * newest * (4 if "now" in self.asks else 1)
            fits.append(_Fit(piece, match, score, own, len(piece.text.split())))
        return fits

    def _who_she_is(self) -> range:
        """The pieces that tell who she is, where that is asked: the first that says «I am …», and what follows it."""
        if "self" in self.asks:
            for number, piece in enumerate(self.pieces):
                if self._says("shows_self", fold(piece.text)):
                    same = [other.mark == piece.mark for other in self.pieces[number : number + _SELF_PIECES]]
                    return range(number, number + sum(same))
        return range(0)

    def _merits(self, piece: Piece, stems: Collection[str]) -> float:
        """What a piece is worth whatever words it shares with the question."""
        folded = fold(piece.text)
        shown = [name for name in self.asks - {"self"} if self._says(f"shows_{name}", folded)]
        merit = _CUE * len(shown) + _OPENING / (1 + piece.group)
        merit += _BOLD if "**" in piece.text else 0.0
        flaws = [piece.text.rstrip("*_ ").endswith(end) for end in ("?", ":")] + ["](" in piece.text, len(stems) < 2]
        return merit - _WEAK * sum(flaws)

    def points_back(self, piece: Piece) -> bool:
        """Whether a sentence starts with a word that only the one before explains."""
        return self._says("points_back", fold(piece.text[:40]))


def _related(stem: str, known: Collection[str]) -> dict[str, float]:
    """The stems of the passages that stand for one of the question: itself, else those that start alike."""
    if stem in known:
        return {stem: 1.0}
    if len(stem) < 4 or not stem.isalpha():
        return {}
    related = {}
    for other in (other for other in known if other[:4] == stem[:4]):
        short, long = sorted((stem, other), key=len)
        alike = max(5, math.ceil(0.6 * len(long)))
        if long.startswith(short) or stem[:alike] == other[:alike]:
            related[other] = _RELATED
    return related


def _choose(question: _Question, groups: Mapping[tuple[str, int], Sequence[Piece]]) -> list[_Fit]:
    left, most = _eligible(question)
    chosen: list[_Fit] = []
    covered: set[str] = set()
    opened: set[tuple[str, int]] = set()
    spent: Counter[str] = Counter()

    def gain(fit: _Fit) -> float:
        again = {stem: weight for stem, weight in fit.own.items() if stem in covered}
        beside = _SAME_GROUP if (fit.piece.mark, fit.piece.group) in opened else 0.0
        return fit.score - _COVERED * question.coverage(again) + beside - _SPREAD * spent[fit.piece.mark] / _WORDS

    first = 0.0
    while left and len(chosen) < _MOST_PIECES and spent.total() < most:
        best = max(left, key=gain)
        value, mark = gain(best), best.piece.mark
        left.remove(best)
        key = (mark, best.piece.group)
        cost = best.words
        if best.piece.kind == "line":  # a box is shown with the lines around
            cost = 0 if key in opened else sum(len(piece.text.split()) for piece in groups[key][:10])
        elif key not in opened:
            cost += len(best.piece.header.split())
        if chosen and value < _ENOUGH * first:
            break
        if chosen and (spent.total() + cost > 1.15 * most or (mark not in spent and len(spent) >= _MOST_SOURCES)):
            continue
        if any(_same(best.piece, fit.piece) for fit in chosen):
            continue
        first = first or value
        chosen.append(best)
        opened.add(key)
        covered.update(best.own)
        spent[mark] += cost
    return chosen


def _eligible(question: _Question) -> tuple[list[_Fit], int]:
    """The fits that may be chosen, and about how many words to spend on them."""
    fits = sorted(question.fits, key=lambda fit: -fit.score)[:_CONSIDERED]
    current = max((fit.match for fit in fits if not fit.piece.outdated), default=-1.0)
    if "past" not in question.asks and current >= 0:
        fits = [fit for fit in fits if not fit.piece.outdated or fit.match > 2 * current]
    best = max((fit.match for fit in fits), default=0.0)
    if best < _SURE:
        return fits, _WORDS
    return [fit for fit in fits if fit.match >= best * _KEPT * (_PAST if fit.piece.outdated else 1)], _WORDS_SURE


def _same(one: Piece, other: Piece) -> bool:
    """Whether two pieces say nearly the same words."""
    a, b = set(fold(one.text).split()), set(fold(other.text).split())
    return len(a & b) > 0.8 * max(len(a), len(b))


def _surroundings(question: _Question, chosen: Sequence[_Fit]) -> list[_Fit]:
    """What the chosen pieces need to be understood: what announces or explains them, what they point back to."""
    fits = question.fits
    places = {(fit.piece.mark, fit.piece.start): place for place, fit in enumerate(fits)}
    wanted: dict[int, None] = {}
    for number, fit in enumerate(chosen):
        piece, place = fit.piece, places[fit.piece.mark, fit.piece.start]
        before, after = (fits[n] if 0 <= n < len(fits) else None for n in (place - 1, place + 1))
        announced = places.get((piece.mark, piece.intro))
        if announced is not None and fits[announced].words <= 20:
            wanted[announced] = None
        if piece.kind != "sentence":
            continue
        paragraph = (piece.mark, piece.group)
        cut_short = number == 0 or fit.words <= 8 or piece.text.endswith("?")
        if cut_short and after and (after.piece.mark, after.piece.group) == paragraph and after.words <= 30:
            wanted[place + 1] = None
        points_back = before and question.points_back(piece) and before.words <= 30
        if before and points_back and before.piece.mark == piece.mark and before.piece.kind == "sentence":
            wanted[place - 1] = None
    return [fits[place] for place in wanted if "](" not in fits[place].piece.text and fits[place] not in chosen]
