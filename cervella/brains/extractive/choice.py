"""Chooses what of the passages answers a question: one quotation, or «I don't know» and the nearest point.

More than one quotation is chosen only for a list, a procedure, a comparison, or a question of two parts.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import lru_cache

from cervella.brains.extractive.excerpts import Excerpt
from cervella.brains.extractive.match import Fit, Question
from cervella.text.asking import Kind
from cervella.text.folding import words
from cervella.types import Passage

_SHORT, _FULL, _LIST = 24, 42, 90
"""Words of an answer: up to `_SHORT`, sentences that go on with it; up to `_FULL`, those of the answer to a question of
the notes, and up to one that shows what is asked for; `_LIST` is for lists and procedures."""
_LINES = 10
"""Maximum lines of a box or code fence that are chosen around one of them."""
_NEWER, _CHANGES, _RIVALS = 0.6, 0.45, 20
"""A newer document's excerpt, one of the best `_RIVALS`, takes the place of the best one from this share of its score:
`_CHANGES` where it says itself that something changes."""
_SHARED = 0.25
"""It must have this share of what the best one has of the question."""
_MORE = 2.0
"""How many times as well as the best current excerpt an outdated one must match."""
_SAME_WORDS, _SAME_NAME = 0.6, 0.5
"""Two excerpts state the same thing if, figures apart, they share at least `_SAME_WORDS` of the words of the shorter
one, and their documents' names and titles share more than `_SAME_NAME`, or as much if their roles differ."""
_AS_GOOD = 0.93
"""What another document says in other figures is quoted too if it matches as well, but for this share."""
_ALSO = 0.5
"""A second part of a question is answered by an excerpt with at least this share of the best one's score."""
_NAMED = 0.3
"""A name of the question, such as a room's, must be held by this share: in the excerpt, or in what is above it."""
_SAID, _SAID_BY_WORDS, _SAID_FULLY, _PER_COSINE, _USUAL = 0.08, 0.2, 0.95, 8.0, 0.85
"""An answer must hold this share of the question, its light words apart: `_SAID_BY_WORDS` where no cosine is known,
else `_SAID`, where a cosine above `_USUAL` counts `_PER_COSINE` times for it, and one below against it. One that does
not show the person, the place or the number to call that is asked for must hold `_SAID_FULLY`."""
_TWO = 2
_WITH_HEADING = 2
"""The fewest `Excerpt.headings` of an excerpt below a heading: the first one is the name of the file."""
_LONGEST_INTRO = 100
"""Maximum characters of the line that announces a list and is shown with one item of it."""
_NEAREST_WORDS = 25
"""Maximum words of the nearest point."""
_SURELY_TOLD: frozenset[Kind] = frozenset({"price", "time", "duration", "quantity"})
"""The kinds of which a text that does not show one is no answer at all: a stove's 4 kW are not its price."""
_MANY: frozenset[Kind] = frozenset({"list", "procedure", "tasks"})


@dataclass(frozen=True, slots=True)
class Answer:
    """What is quoted."""

    blocks: Sequence[Sequence[Fit]] = field(default=())
    """The chosen excerpts, best block first; those of one block are of one paragraph, list, table or box. Empty: the
    passages do not answer the question."""
    before: Fit | None = None
    """Of the blocks of a question about the past, the excerpt that no longer holds."""
    nearest: Fit | None = None
    """The excerpt that comes nearest to it, if there is no answer and one names its subject."""


def answer(question: Question) -> Answer:
    """What of the excerpts answers the question."""
    fits = _eligible(question)
    if not fits:
        return Answer()
    groups: dict[tuple[str, int], list[Fit]] = {}
    for fit in question.fits:
        groups.setdefault((fit.excerpt.mark, fit.excerpt.group), []).append(fit)
    if "self" in question.asks:
        return Answer([_fitting([fit for fit in question.fits if fit.match >= fits[0].match], _LIST, fits[0])])
    best = _newest(question, fits)
    blocks = [_block(question, best, groups)]
    blocks += _more(question, fits, blocks[0], groups) or _before(question, fits, best, groups)
    if _answers(question, blocks):
        return Answer(blocks, before=_outlived(question, blocks))
    return Answer(nearest=_nearest(question, fits))


def _eligible(question: Question) -> list[Fit]:
    """The excerpts that may be quoted, best first.

    An outdated one is left out, if a current one matches half as well, unless the question is about the past.
    """
    fits = sorted(question.fits, key=lambda fit: -fit.score)
    if "self" in question.asks:
        return fits
    if "past" not in question.asks:
        current = max((fit.match for fit in fits if not fit.excerpt.outdated), default=-1.0)
        fits = [
            fit
            for fit in fits
            if not fit.excerpt.outdated
            or fit.match > _MORE * current >= 0
            or current < 0
            or question.names_year(fit.excerpt)
        ]
    says = [fit for fit in fits if fit.held and not fit.points]
    told = [fit for fit in fits if fit.points != "links" or not any(_says_as_much(one, fit) for one in says)]
    return [fit for fit in told if not fit.excerpt.asks or fit.excerpt.kind == "row"] or told


def _says_as_much(fit: Fit, pointer: Fit) -> bool:
    return fit.match >= pointer.match and pointer.held.keys() <= fit.held.keys()


def _newest(question: Question, fits: Sequence[Fit]) -> Fit:
    """The best excerpt, or one of a newer document that says something else of the same.

    It states other figures in the same words, or says itself that something changes: «d'ora in poi …» ("from now on").
    """
    best = fits[0]
    if "past" in question.asks:
        return best
    for fit in fits[1:_RIVALS]:
        outlived = best.excerpt.outdated and not fit.excerpt.outdated
        if (fit.excerpt.passage.date or "") <= (best.excerpt.passage.date or "") and not outlived:
            continue
        ends = question.ends(fit.excerpt)
        if not (ends or _shows_as_much(fit, best)) or not _is_about_the_same(question, fit, best):
            continue
        if fit.score >= _CHANGES * best.score and fit.own and (ends or question.changes(fit.excerpt)):
            return fit
        if fit.score >= _NEWER * best.score and replaces(fit.excerpt, best.excerpt):
            return fit
    return best


def _is_about_the_same(question: Question, fit: Fit, best: Fit) -> bool:
    """Whether an excerpt has of the question what the best one has: a common word such as "books" is not enough."""
    shared = dict.fromkeys(fit.held.keys() & best.held.keys(), 1.0)
    return question.coverage(shared) >= _SHARED * question.coverage(dict.fromkeys(best.held, 1.0)) > 0


def _shows_as_much(fit: Fit, best: Fit) -> bool:
    return all(fit.shown[kind] for kind, shown in best.shown.items() if shown)


def _block(question: Question, fit: Fit, groups: Mapping[tuple[str, int], list[Fit]]) -> list[Fit]:
    """The excerpts that are quoted with one: what it announces, the rest of its list or box, the next sentences."""
    excerpt = fit.excerpt
    group = groups[excerpt.mark, excerpt.group]
    place = group.index(fit)
    if announced := _announced(question, fit):
        return [fit, *_fitting(announced, _LIST, announced[0])]
    if excerpt.kind == "line":
        above = [
            one for one in question.fits if one.excerpt.mark == excerpt.mark and one.excerpt.start == excerpt.intro
        ]
        return above + group[max(0, place - 1) : place + _LINES]
    silent = not fit.own - question.light
    if excerpt.kind == "row":
        alike = [one for one in group if one.own >= fit.own] if silent or _MANY & set(question.kinds) else [fit]
        return _fitting(alike, _LIST, fit)
    if fit.is_task and (said := fit.own - question.light):
        return _fitting([one for one in group if one.is_task and one.own >= said], _LIST, fit)
    if excerpt.kind == "item":
        beside = [one for one in group if one.excerpt.above[: len(excerpt.above)] == excerpt.above]
        if (_MANY & set(question.kinds) or not question.kinds) and _is_part(question, fit):
            return _fitting(beside, _LIST, fit)
        return _fitting(beside, _FULL, fit) if silent and excerpt.above and not excerpt.opens else [fit]
    if silent and not excerpt.is_answer and not excerpt.above:
        return _section(question, fit)
    return _paragraph(question, group, place)


def _section(question: Question, fit: Fit) -> list[Fit]:
    """What stands below the heading or name that the question asks about, from its start."""
    excerpt = fit.excerpt
    below = [
        one
        for one in question.fits
        if one.excerpt.mark == excerpt.mark and one.excerpt.headings == excerpt.headings and one.excerpt.kind != "line"
    ]
    if any(any(one.shown.values()) for one in below):
        below = [one for one in below if one is fit or any(one.shown.values())]
    chosen: list[Fit] = []
    for one in below:
        if chosen and sum(map(_words, chosen)) + _words(one) > _FULL:
            break
        chosen.append(one)
    return chosen if fit in chosen else [fit]


def _is_part(question: Question, fit: Fit) -> bool:
    """Whether a list item answers only together with the others: what is above the list is what was asked for."""
    if fit.shown.get("tasks"):
        return True
    own = sum(question.weights[term] for term in fit.own - question.light)
    above = sum(question.weights[term] for term in fit.held.keys() - fit.own - question.light)
    return own <= above


def _announced(question: Question, fit: Fit) -> list[Fit]:
    """What an excerpt announces, such as the items below «Da portare:» ("To bring:"); empty if it announces nothing."""
    excerpt = fit.excerpt
    if not (excerpt.announces or excerpt.opens):
        return []
    return [
        other
        for other in question.fits
        if other.excerpt.mark == excerpt.mark
        and excerpt.start in {other.excerpt.intro, *(start for start, _ in other.excerpt.above)}
    ]


def _paragraph(question: Question, group: Sequence[Fit], place: int) -> list[Fit]:
    """A sentence, with the ones before and after it that it needs.

    It needs the one before if it begins with a word that refers to it; the rest of the answer, if it is part of one to
    a question of the notes; else the next ones up to one that shows what is asked for, if it does not itself. Where
    that can be told, others follow only if they say something of the question too, or begin with a word that refers to
    it.
    """
    fit = group[place]
    first = last = place
    count = _words(fit)

    def room(at: int, most: int) -> bool:
        return (
            0 <= at < len(group)
            and count + _words(group[at]) <= most
            and group[at].excerpt.above == fit.excerpt.above
            and not group[at].excerpt.asks
        )

    answered = fit.excerpt.is_answer
    while (answered or (first == place and question.points_back(fit.excerpt))) and room(first - 1, _FULL):
        first -= 1
        count += _words(group[first])
    while room(last + 1, _FULL) and (answered or not _shown(group[first : last + 1])):
        last += 1
        count += _words(group[last])
    if not answered and not _shown(group[first : last + 1]):
        last, count = place, sum(map(_words, group[first : place + 1]))  # none of them shows it
    told = any(shown is not None for shown in fit.shown.values())
    most = _SHORT if told or "procedure" not in question.kinds else _FULL
    while not answered and room(last + 1, most) and (not told or _goes_on(question, group[last + 1])):
        last += 1
        count += _words(group[last])
    return list(group[first : last + 1])


def _goes_on(question: Question, fit: Fit) -> bool:
    return bool(fit.own - question.light) or question.points_back(fit.excerpt)


def _shown(fits: Sequence[Fit]) -> bool:
    """Whether these excerpts show a thing of each kind that is asked for, as far as texts can tell."""
    kinds = {kind for fit in fits for kind, shown in fit.shown.items() if shown is not None}
    return all(any(fit.shown[kind] for fit in fits) for kind in kinds)


def _more(
    question: Question, fits: Sequence[Fit], block: Sequence[Fit], groups: Mapping[tuple[str, int], list[Fit]]
) -> list[list[Fit]]:
    """A further block, or none.

    It shows what the first one does not of a question of two parts, is the other side of a comparison, or says
    otherwise what a document says of which neither replaces the other.
    """
    taken = {(fit.excerpt.mark, fit.excerpt.start) for fit in block}
    others = [fit for fit in fits if (fit.excerpt.mark, fit.excerpt.start) not in taken]
    best = max(fit.score for fit in block)
    for kind in question.kinds:
        other = next((fit for fit in others if _adds(question, block, fit, kind)), None)
        if other is not None and other.score >= _ALSO * best:
            return [[fit for fit in _block(question, other, groups) if fit in others]]
    first = block[0]
    if question.names_file(first.excerpt):
        return []
    for other in others[:_RIVALS]:
        if (
            first.held.keys() <= other.held.keys()
            and other.match >= _AS_GOOD * first.match
            and _shows_as_much(other, first)
            and _contradicts(other, first)
        ):
            return [_block(question, other, groups)]
    return []


def _adds(question: Question, block: Sequence[Fit], fit: Fit, kind: Kind) -> bool:
    """Whether an excerpt adds to a block what a question of this kind wants besides it."""
    if kind == "comparison":
        return bool(fit.own.difference(question.light, *(one.own for one in block)))
    if len(question.kinds) == 1 or any(one.shown[kind] is not False for one in block):
        return False
    return bool(fit.shown[kind] and fit.own - question.light)


def _contradicts(one: Fit, other: Fit) -> bool:
    """Whether two documents state other figures in the same words, and neither replaces the other: of two houses."""
    (said, figures), (rival, others) = _stated(one.excerpt.text), _stated(other.excerpt.text)
    return (
        one.excerpt.passage.path != other.excerpt.passage.path
        and not (figures <= others or others <= figures)
        and len(said & rival) >= _SAME_WORDS * max(2, min(len(said), len(rival)))
        and not replaces(one.excerpt, other.excerpt)
        and not replaces(other.excerpt, one.excerpt)
    )


def _before(
    question: Question, fits: Sequence[Fit], best: Fit, groups: Mapping[tuple[str, int], list[Fit]]
) -> list[list[Fit]]:
    """For a question about the past: what held before, or what holds today where the best excerpt is outdated."""
    if "past" not in question.asks or question.names_file(best.excerpt):
        return []
    for fit in fits:
        replaced = replaces(best.excerpt, fit.excerpt) or replaces(fit.excerpt, best.excerpt)
        if fit.excerpt.outdated != best.excerpt.outdated or replaced:
            return [_block(question, fit, groups)] if fit.score >= _ALSO * best.score else []
    return []


def _outlived(question: Question, blocks: Sequence[Sequence[Fit]]) -> Fit | None:
    """Of two blocks of a question about the past, the excerpt of the one that the other one replaces."""
    if "past" not in question.asks or len(blocks) < _TWO:
        return None
    one, other = blocks[0][0], blocks[1][0]
    return max((one, other), key=lambda fit: (fit.excerpt.outdated, -_day(fit)))


def _day(fit: Fit) -> int:
    return int((fit.excerpt.passage.date or "0").replace("-", ""))


def _answers(question: Question, blocks: Sequence[Sequence[Fit]]) -> bool:
    """Whether the chosen excerpts show the kind of thing that is asked for, and name what it is asked of."""
    fits = [fit for block in blocks for fit in block]
    if any(max(fit.held.get(name, 0.0) for fit in fits) < _NAMED for name in question.names):
        return False
    told = [kind for kind in question.kinds if any(fit.shown[kind] is not None for fit in fits)]
    shown = [kind for kind in told if any(fit.shown[kind] or question.ends(fit.excerpt) for fit in fits)]
    if "tasks" in shown:
        return True
    named = _named(question, fits)
    cosines = [fit.cosine for fit in fits if fit.cosine is not None]
    if cosines:
        named += _PER_COSINE * (max(cosines) - _USUAL)
    elif question.is_foreign:
        return True
    if told and not shown:
        return _SURELY_TOLD.isdisjoint(told) and named >= _SAID_FULLY
    return named >= (_SAID if cosines else _SAID_BY_WORDS)


def _named(question: Question, fits: Iterable[Fit]) -> float:
    """How much of the question the excerpts hold together, its light words apart: 0 to 1; 1 for light words alone."""
    weights = {term: weight for term, weight in question.weights.items() if term not in question.light}
    if not weights:
        return 1.0
    held: dict[str, float] = {}
    for fit in fits:
        for term, share in fit.held.items():
            held[term] = max(held.get(term, 0.0), share)
    return sum(weight * held.get(term, 0.0) for term, weight in weights.items()) / sum(weights.values())


def subject_of(question: Question, fits: Sequence[Fit]) -> str:
    """What says the subject of excerpts of one paragraph or list: the line that announces a list of which one item is
    quoted, or the heading, if the question names it and they do not. Else empty.
    """
    excerpt = fits[0].excerpt
    if excerpt.kind not in ("sentence", "item") or "self" in question.asks:
        return ""
    if excerpt.kind == "item" and len(fits) == 1 and not excerpt.above and excerpt.announced and not fits[0].is_task:
        return excerpt.announced if len(excerpt.announced) <= _LONGEST_INTRO else ""
    if len(excerpt.headings) < _WITH_HEADING:
        return ""
    named = question.terms_in(excerpt.headings[-1]) - question.light
    said = frozenset[str]().union(*(fit.own for fit in fits))
    said |= question.terms_in("\n".join(excerpt.subjects[len(excerpt.headings) :]))
    return excerpt.headings[-1] if named - said else ""


def _nearest(question: Question, fits: Sequence[Fit]) -> Fit | None:
    """The excerpt that says most of what the question is about, and does not look like an answer to it.

    A price of something else is not quoted where a price was asked for: it would be read as the answer.
    """
    near = [
        fit
        for fit in fits
        if fit.own - question.light
        and not any(fit.shown.values())
        and fit.excerpt.kind in ("sentence", "item")
        and _words(fit) <= _NEAREST_WORDS
        and not fit.points
        and not fit.excerpt.announces
        and not fit.excerpt.outdated
    ]
    return max(near, key=lambda fit: fit.match, default=None)


def _fitting(fits: Sequence[Fit], most: int, needed: Fit) -> list[Fit]:
    """The excerpts that have at most so many words together, in their order: all of them, else the best ones."""
    chosen: list[Fit] = []
    count = 0
    for fit in sorted(fits, key=lambda fit: (fit is not needed, -fit.match)):
        count += _words(fit)
        if chosen and count > most:
            break
        chosen.append(fit)
    return [fit for fit in fits if fit in chosen]


def _words(fit: Fit) -> int:
    return fit.excerpt.words


def replaces(one: Excerpt, other: Excerpt) -> bool:
    """Whether an excerpt states with other figures what one of a not newer document of its name states."""
    if one.passage.path == other.passage.path or (one.passage.date or "") < (other.passage.date or ""):
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
