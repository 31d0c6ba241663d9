"""Answers with quotations from the passages, and generates nothing: the extractive brain.

It needs no key, no model and no network, and the same prompt always gives the same answer. The rank of a passage has
the largest weight. Inside a passage, a sentence, row or line scores by the question's word stems in it and around it (a
rare stem counts more), and by the kind of answer that the question asks for: a figure, a date, a reason, a name. If
some excerpts contain most of the question's stems, only these are quoted; else more excerpts are shown.
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import AsyncIterator, Iterable, Iterator, Mapping, Sequence
from functools import lru_cache

from cervella.brains.extractive.match import Fit, Question
from cervella.brains.extractive.quotes import Excerpt, excerpts, quote
from cervella.text.folding import words
from cervella.text.language import Language, fold, language_in
from cervella.types import BrainEvent, Completion, Finished, Location, Passage, Prompt, TextDelta

_WORDS, _WORDS_SURE = 130, 100
"""Approximate words of an answer; the second number is for an answer that is sure (see `_SURE`)."""
_MOST_EXCERPTS, _MOST_SOURCES = 12, 4
"""Maximum excerpts of an answer, and maximum passages that they come from."""
_CONSIDERED = 150
"""Maximum number of best excerpts that are compared in the selection."""
_WHOLE = 0.9
"""An excerpt with its subjects has all that is asked if they contain this share of the question."""
_SURE, _KEPT, _PAST = 0.65, 0.6, 0.5
"""An answer is sure if the match of the best excerpt is at least `_SURE`. Then another excerpt is only quoted if its
match is at least `_KEPT` times the best match; for an outdated source, `_KEPT` times `_PAST` is enough."""
_ENOUGH = 0.35
"""No further excerpt is quoted if the next one is worth less than this share of the first one."""
_ANNOUNCED = 3
"""Maximum items, rows or lines that are shown after a quoted sentence that announces them (it ends with a colon)."""
_SAME_WORDS, _SAME_NAME = 0.6, 0.5
"""Two excerpts state the same thing if, figures apart, they share at least `_SAME_WORDS` of the words of the shorter
one, and their documents' names and titles share more than `_SAME_NAME`, or as much if their roles differ."""
_SAME_GROUP, _SPREAD, _COVERED = 0.16, 0.8, 0.35
"""Bonus for an excerpt of a paragraph, list or table of which a part is already quoted; penalty for each `_WORDS` words
already quoted from the same passage; penalty for stems that the quoted excerpts contain already."""


class ExtractiveBrain:
    """Answers with quotations: the sentences, rows and lines of the passages that fit the question best."""

    capabilities: frozenset[str] = frozenset()
    thinks_aloud = False
    quotes_only = True
    location: Location = "local"
    model = "extractive"

    def __init__(self, name: str = "extractive") -> None:
        self.name = name

    async def stream(self, prompt: Prompt, /) -> AsyncIterator[BrainEvent]:
        lang = language_in(prompt.hints)
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
    """Yields the blocks of the answer: each quotes one paragraph, list, table or box of a passage.

    A block is an iterator of its versions: first complete, then with fewer and fewer excerpts, from which the caller
    takes the first that is short enough.
    """
    if said := prompt.hints.get("small_talk"):
        yield iter([str(said)])
        return
    if prompt.hints.get("abstain") or not prompt.question.strip():
        return
    sources = enumerate(prompt.sources.items())
    found = [excerpt for rank, (mark, passage) in sources for excerpt in excerpts(mark, passage, rank, lang)]
    question = Question(prompt.question, found, lang, prompt.hints.get("persona"))
    groups: dict[tuple[str, int], list[Excerpt]] = {}
    for excerpt in question.excerpts:
        groups.setdefault((excerpt.mark, excerpt.group), []).append(excerpt)
    chosen = _choose(question, groups)
    chosen += _surroundings(question, chosen)
    chosen = _without_dangling(chosen)
    for mark in _in_order(chosen):
        own = sorted((fit for fit in chosen if fit.excerpt.mark == mark), key=lambda fit: fit.excerpt.start)
        for number in dict.fromkeys(fit.excerpt.group for fit in own):
            yield _versions([fit for fit in own if fit.excerpt.group == number], groups[mark, number], lang)


def _versions(fits: list[Fit], group: Sequence[Excerpt], lang: Language) -> Iterator[str]:
    while fits:
        if block := quote([fit.excerpt for fit in fits], group, lang):
            yield block
        weakest = min(fits, key=lambda fit: fit.score)
        fits = [fit for fit in fits if fit is not weakest]


def _choose(question: Question, groups: Mapping[tuple[str, int], Sequence[Excerpt]]) -> list[Fit]:
    left, most = _eligible(question)
    left = _without_other_rows(left)
    if "past" not in question.asks:
        left = [fit for fit in left if not any(_replaces(other.excerpt, fit.excerpt) for other in left)]
    chosen: list[Fit] = []
    covered: set[str] = set()
    opened: set[tuple[str, int]] = set()
    spent: Counter[str] = Counter()

    def gain(fit: Fit) -> float:
        again = {stem: weight for stem, weight in fit.own.items() if stem in covered}
        # A bonus for another row of the same table, if the row itself contains a stem of the question.
        beside = _SAME_GROUP if fit.says and (fit.excerpt.mark, fit.excerpt.group) in opened else 0.0
        return fit.score - _COVERED * question.coverage(again) + beside - _SPREAD * spent[fit.excerpt.mark] / _WORDS

    first = 0.0
    while left and len(chosen) < _MOST_EXCERPTS and spent.total() < most:
        best = max(left, key=gain)
        value, mark = gain(best), best.excerpt.mark
        left.remove(best)
        key = (mark, best.excerpt.group)
        cost = best.words
        if best.excerpt.kind == "line":  # a line of a box is shown with the lines around it
            cost = 0 if key in opened else sum(len(excerpt.text.split()) for excerpt in groups[key][:10])
        elif key not in opened:
            cost += best.excerpt.header_words
        if chosen and value < _ENOUGH * first:
            break
        if chosen and (spent.total() + cost > 1.15 * most or (mark not in spent and len(spent) >= _MOST_SOURCES)):
            continue
        if any(_same(best.excerpt, fit.excerpt) for fit in chosen):
            continue
        first = first or value
        chosen.append(best)
        opened.add(key)
        covered.update(best.own)
        spent[mark] += cost
    return chosen


def _eligible(question: Question) -> tuple[list[Fit], int]:
    """The scored excerpts that may be quoted, and the approximate maximum of words for the whole answer.

    An outdated source is left out if it does not match more than twice as well as the best current one, unless the
    question is about the past or there is no current source.
    """
    fits = sorted(question.fits, key=lambda fit: -fit.score)[:_CONSIDERED]
    about_her = "self" in question.asks  # then the first sentences of the Constitution answer
    fits = fits if about_her else _without_other_rows(_without_pointers(fits))
    current = _best(fit for fit in fits if not fit.excerpt.outdated)
    if "past" not in question.asks and current >= 0:
        fits = [fit for fit in fits if not fit.excerpt.outdated or fit.match > 2 * current]
    fits, named = (fits, False) if about_her else _of_the_subject(question, fits)
    # The threshold only depends on outdated sources if there are no others.
    current = _best(fit for fit in fits if not fit.excerpt.outdated)
    best = current if current >= 0 else _best(fits)
    if best < _SURE and not named:
        return fits, _WORDS
    return [fit for fit in fits if fit.match >= best * _KEPT * (_PAST if fit.excerpt.outdated else 1)], _WORDS_SURE


def _without_pointers(fits: list[Fit]) -> list[Fit]:
    """The fits without those that only point to another one.

    An excerpt with mostly links is left out if another one has all of the question that it has.
    """
    says = {fit.held for fit in fits if fit.held and not fit.points}
    if not says:
        return fits
    return [
        fit for fit in fits if not fit.points or (fit.points == "links" and not any(fit.held <= held for held in says))
    ]


def _without_other_rows(fits: list[Fit]) -> list[Fit]:
    """The fits without the rows of a table that say nothing of the question, if another row of that table does.

    All rows share the header. Of «Qual è l'interno della lavanderia?» (what is the laundry's extension?), only the row
    of the laundry has something itself.
    """
    said = {(fit.excerpt.mark, fit.excerpt.group) for fit in fits if fit.says and fit.excerpt.kind == "row"}

    def is_another(fit: Fit) -> bool:
        return fit.excerpt.kind == "row" and not fit.says and (fit.excerpt.mark, fit.excerpt.group) in said

    return [fit for fit in fits if not is_another(fit)]


def _of_the_subject(question: Question, fits: list[Fit]) -> tuple[list[Fit], bool]:
    """The fits without those that are about something else than the best one, and whether the question names it.

    If the question names the heading above the best excerpt, a line that only mentions it elsewhere is left out, and so
    is one under another heading, such as the price of another room, and another item of the same list, if none of
    these contains more of the question.
    """
    if not fits:
        return fits, False
    complete = {id(fit): round(question.coverage(dict.fromkeys(fit.held, 1.0)), 2) for fit in fits}
    first = max(fits, key=lambda fit: (not fit.excerpt.outdated, complete[id(fit)], bool(fit.named), fit.score))
    if not first.named and first.match < _SURE:
        return fits, False

    whole = complete[id(first)] >= _WHOLE

    def elsewhere(fit: Fit) -> bool:
        one, other = fit.excerpt, first.excerpt
        same_file = one.passage.path == other.passage.path
        if not first.named <= fit.named and fit.held <= first.above and (whole or (same_file and not fit.says)):
            return True  # mentions the subject, or not even that
        if not fit.held < first.held:
            return False
        under_another = not first.named <= fit.held and (same_file or not first.named.isdisjoint(fit.above))
        same_list = one.kind == other.kind == "item" and one.headings == other.headings and one.above == other.above
        return under_another or (same_list and same_file)

    kept = [fit for fit in fits if fit is first or not elsewhere(fit)]
    return kept, bool(first.named) and complete[id(first)] >= _SURE


def _best(fits: Iterable[Fit]) -> float:
    return max((fit.match for fit in fits), default=-1.0)


def _in_order(chosen: Sequence[Fit]) -> list[str]:
    """The marks (such as F1) of the quoted passages in the order of the answer: best first, outdated sources last.

    An outdated passage that the retriever ranks first keeps its place if it matches more than twice as well as the best
    current one.
    """
    outdated = {fit.excerpt.mark: fit.excerpt.outdated for fit in chosen}
    current = _best(fit for fit in chosen if not fit.excerpt.outdated)
    for fit in chosen:
        if fit.excerpt.outdated and fit.excerpt.rank == 0 and fit.match > 2 * current:
            outdated[fit.excerpt.mark] = False
    return sorted(outdated, key=outdated.__getitem__)


def _same(one: Excerpt, other: Excerpt) -> bool:
    """Whether two excerpts have nearly the same words, so that only one of them is quoted."""
    a, b = _words(one.text), _words(other.text)
    return len(a & b) > 0.8 * max(len(a), len(b))


def _replaces(one: Excerpt, other: Excerpt) -> bool:
    """Whether an excerpt states with other figures what a lower-ranked and not newer document of its name states.

    The retriever ranks the document that holds today first, so the other one's figures are those of before.
    """
    if one.rank >= other.rank or one.passage.path == other.passage.path:
        return False
    if (one.passage.date or "") < (other.passage.date or ""):
        return False
    (said, figures), (rival, others) = _stated(one.text), _stated(other.text)
    if figures <= others or others <= figures or len(said & rival) < _SAME_WORDS * max(2, min(len(said), len(rival))):
        return False
    name, rival_name = _name(one.passage), _name(other.passage)
    shared, half = len(name & rival_name), _SAME_NAME * min(len(name), len(rival_name))
    # A decision and a study of one subject have other names; two price lists whose names differ are of two houses.
    return name == rival_name or shared > half or (one.passage.role != other.passage.role and shared == half > 0)


@lru_cache(maxsize=4_096)
def _stated(text: str) -> tuple[frozenset[str], frozenset[str]]:
    """The words of a text that have at least three letters, and its figures."""
    said = words(text)
    figures = frozenset(word for word in said if any(map(str.isdigit, word)))
    return frozenset(word for word in said if len(word) > 2) - figures, figures


def _name(passage: Passage) -> frozenset[str]:
    title = passage.lead.split("\n", 1)[0]
    return _stated(f"{passage.path.rsplit('/', 1)[-1].rsplit('.', 1)[0]} {title}")[0]


@lru_cache(maxsize=4_096)
def _words(text: str) -> frozenset[str]:
    return frozenset(fold(text).split())


def _surroundings(question: Question, chosen: Sequence[Fit]) -> list[Fit]:
    """Further excerpts that are needed to understand the chosen ones.

    They are the sentence that announces a chosen excerpt (`…:`), the best items after a chosen announcement, and a
    sentence before or after a chosen one.
    """
    fits = question.fits
    places = {(fit.excerpt.mark, fit.excerpt.start): place for place, fit in enumerate(fits)}
    wanted: dict[int, None] = {}
    for number, fit in enumerate(chosen):
        excerpt, place = fit.excerpt, places[fit.excerpt.mark, fit.excerpt.start]
        before, after = (fits[n] if 0 <= n < len(fits) else None for n in (place - 1, place + 1))
        announced = places.get((excerpt.mark, excerpt.intro))
        if announced is not None and fits[announced].excerpt.announces and fits[announced].words <= 20:
            wanted[announced] = None
        if excerpt.announces or excerpt.opens:
            announces = [other for other in fits if _belongs(other.excerpt, excerpt)]
            best = sorted(announces, key=lambda other: -other.match)[:_ANNOUNCED]
            wanted.update(dict.fromkeys(places[other.excerpt.mark, other.excerpt.start] for other in best))
        if excerpt.kind != "sentence":
            continue
        paragraph = (excerpt.mark, excerpt.group)
        cut_short = number == 0 or fit.words <= 8 or excerpt.text.endswith("?")
        if cut_short and after and (after.excerpt.mark, after.excerpt.group) == paragraph and after.words <= 30:
            wanted[place + 1] = None
        points_back = before and question.points_back(excerpt) and before.words <= 30
        if before and points_back and before.excerpt.mark == excerpt.mark and before.excerpt.kind == "sentence":
            wanted[place - 1] = None
    return [fits[place] for place in wanted if "](" not in fits[place].excerpt.text and fits[place] not in chosen]


def _belongs(excerpt: Excerpt, other: Excerpt) -> bool:
    """Whether an excerpt is an item or row that another one announces or contains, or a definition of it."""
    above = {excerpt.intro, *(start for start, _ in excerpt.above)}
    return excerpt.mark == other.mark and other.start in above


def _without_dangling(chosen: Sequence[Fit]) -> list[Fit]:
    """The chosen excerpts without announcements, such as «Ecco il conto:» ("Here is the bill:"), that nothing
    follows, and without list items that are shown above an item inside them."""
    announced = {(fit.excerpt.mark, fit.excerpt.intro) for fit in chosen}
    shown = {(fit.excerpt.mark, start) for fit in chosen for start, _ in fit.excerpt.above}
    kept = [
        fit
        for fit in chosen
        if (place := (fit.excerpt.mark, fit.excerpt.start)) not in shown
        and (not fit.excerpt.announces or place in announced)
    ]
    return kept or list(chosen)
