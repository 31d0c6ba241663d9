"""Does a figure stand there for what the claim says, or for its neighbour: another row, another clause, another line?

A figure that stands somewhere in the cited lines is not yet right: a digit that was changed may give a number that
stands three rows below. The claim's words say which line is meant; where that line gives another figure of the same
kind, and the line that gives this one has less to do with the claim, the figure belongs to something else.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

from cervella.claims.evidence import Line, Scale, Source, about_of, noun_after
from cervella.text.language import Language
from cervella.text.quantities import Quantity, same_unit, same_value

__all__ = ["Fact", "best_line", "meant_line"]

_ROW_ONLY, _PROSE_ONLY, _ROW_SHARE, _LISTED = 0.2, 0.35, 0.4, 12
"""How much of a clause only the neighbour has to have to be the line that is meant, in lists and tables and in prose;
how much less the line that gives the figure; stems of a line that is taken for one of a list."""
_ALIKE, _MOST_OF = 0.6, 0.4
"""How like a claim is to a line that it repeats; how much of a claim a line has that it is about."""
_FEWEST_WORDS, _FEWEST_OF_A_CLAUSE = 4, 2
_MOST_PIECES = 12
"""Pieces of a claim before a figure that are looked at for the words that it belongs to."""


@dataclass(frozen=True, eq=False)
class Fact:
    """A figure, a date or a quotation of a claim, and where it stands."""

    kind: Literal["figure", "date", "quote"]
    text: str
    holders: tuple[int, ...]
    """The numbers of the passages that give it."""
    lines: tuple[Line, ...] = ()
    figure: Quantity | None = None
    unit_only: bool = False
    """The value stands there, with another unit."""
    iso: str = ""
    day: str = ""
    """Of a date: `01-20`."""


def best_line(about: frozenset[str], sources: Sequence[Source], scale: Scale) -> Line | None:
    """The line that has most of a claim's words; None where none has any."""
    lines = [line for source in sources for line in source.lines if line.kind != "lead"]
    best = max(lines, key=lambda line: scale.cover(about, line), default=None)
    return best if best is not None and scale.cover(about, best) > 0 else None


def meant_line(
    fact: Fact, claim: str, facts: Sequence[Fact], sources: Sequence[Source], scale: Scale, lang: Language
) -> Line | None:
    """The line that a figure or date seems to be about, where that line gives another one; None where all is well."""
    if not fact.lines:
        return None
    lines = [line for source in sources for line in source.lines if line.kind not in ("lead", "heading")]
    clause = _clause(claim, fact, facts, lang)
    within = [other for other in facts if other.text in clause]
    about = about_of(clause, lang)
    return (
        _of_the_same_noun(fact, claim, within, lines, lang)
        or _anchored(fact, within)
        or _other_part(fact, about, facts)
        or _repeated(fact, about_of(claim, lang), facts, lines, scale)
        or _neighbour(fact, about, within, lines, scale)
        or _coincidence(fact, about, sources, scale)
    )


def _of_the_same_noun(
    fact: Fact, claim: str, facts: Sequence[Fact], lines: Sequence[Line], lang: Language
) -> Line | None:
    """The line that counts the same things, "16 agenti", where none that gives the figure speaks of them."""
    noun = "" if fact.figure is None else noun_after(claim, fact.figure, lang)
    if not noun or any(noun in line.stems or noun in line.near for line in fact.lines):
        return None
    for line in lines:
        if line not in fact.lines and any(not _claimed(one, facts) for one in line.counted(noun)):
            return line
    return None


def _anchored(fact: Fact, facts: Sequence[Fact]) -> Line | None:
    """The line that gives all other figures of a clause, two at least, and another in place of this."""
    anchors = [other for other in facts if other is not fact and other.lines]
    if len(anchors) < _FEWEST_OF_A_CLAUSE:
        return None
    shared = [line for line in anchors[0].lines if all(line in other.lines for other in anchors[1:])]
    if any(line in fact.lines for line in shared):
        return None
    return next((line for line in shared if _rivals(fact, line, facts, strictly=False)), None)


def _repeated(
    fact: Fact, about: frozenset[str], facts: Sequence[Fact], lines: Sequence[Line], scale: Scale
) -> Line | None:
    """The line that a claim nearly repeats, where the figure stands in no such line and in place of another."""
    if len(about) < _FEWEST_OF_A_CLAUSE or any(scale.likeness(about, line) >= _ALIKE for line in fact.lines):
        return None
    repeated = [line for line in lines if line not in fact.lines and scale.likeness(about, line) >= _ALIKE]
    return next((line for line in repeated if _rivals(fact, line, facts)), None)


def _neighbour(
    fact: Fact, about: frozenset[str], facts: Sequence[Fact], lines: Sequence[Line], scale: Scale
) -> Line | None:
    """The line that has more of the claim than those that give the figure: a table's other row, another item."""
    whole = scale.weight(about)
    held = max(fact.lines, key=lambda line: scale.weight(about & line.read_with))
    told = frozenset(stem for one in facts if _tells(one, fact) for line in one.lines for stem in line.stems)
    for line in lines:
        # What of the claim only this line has, beside what only the line has that gives the figure.
        only = scale.weight((about & line.stems) - held.read_with - told)
        listed = max(len(line.stems), len(held.stems)) <= _LISTED or line.kind == held.kind == "row"
        if only <= whole * (_ROW_ONLY if listed else _PROSE_ONLY) or line in fact.lines:
            continue
        if scale.weight((about & held.stems) - line.stems) <= only * _ROW_SHARE and _rivals(fact, line, facts):
            return line
    return None


def _tells(one: Fact, fact: Fact) -> bool:
    """Whether another fact of the claim tells what its lines are about; the 3 of "V3" stands in all kinds of lines."""
    return one is not fact and (one.figure is None or not one.figure.named)


def _coincidence(fact: Fact, about: frozenset[str], sources: Sequence[Source], scale: Scale) -> Line | None:
    """The line that says most of a claim, where those that give the figure have nothing to do with it."""
    if fact.figure is None or len(about) < _FEWEST_WORDS:
        return None
    if any(line.kind == "lead" or about & line.read_with for line in fact.lines):
        return None
    best = best_line(about, sources, scale)
    return best if best is not None and scale.cover(about, best) >= _MOST_OF else None


def _other_part(fact: Fact, about: frozenset[str], facts: Sequence[Fact]) -> Line | None:
    """The line that gives a figure, where it gives it for another of its parts than the one that is meant."""
    figure = fact.figure
    if figure is None or not about:
        return None
    for line in fact.lines:
        parts = line.parts
        holding = [n for n, (_, told) in enumerate(parts) if any(_gives(figure, one) for one in told)]
        if not holding or any(not parts[n][0] or parts[n][0] & about for n in holding):
            return None
        own = frozenset(stem for n in holding for stem in parts[n][0])
        rivals = [
            one for n, (named, told) in enumerate(parts) if n not in holding and named & about - own for one in told
        ]
        if not any(_alike(figure, one) and not _claimed(one, facts) for one in rivals):
            return None
    return fact.lines[0] if fact.lines else None


def _gives(figure: Quantity, told: Quantity) -> bool:
    return same_value(figure, told) and same_unit(figure, told)


def _alike(figure: Quantity, other: Quantity) -> bool:
    """Whether they measure the same thing, as far as their units say."""
    return bool(figure.dimensions & other.dimensions) if figure.senses else not other.senses


def _claimed(told: Quantity, facts: Sequence[Fact]) -> bool:
    return any(one.figure is not None and same_value(one.figure, told) for one in facts)


def _rivals(fact: Fact, line: Line, facts: Sequence[Fact], *, strictly: bool = True) -> bool:
    """Whether a line gives, in place of this figure or date, another of the kind that the claim does not give."""
    if fact.iso:
        return bool(line.dates - {other.iso for other in facts})
    if fact.day:
        return bool(line.days - {other.day for other in facts})
    figure = fact.figure
    if figure is None:
        return False
    return any(
        (_alike(figure, other) or not (strictly or figure.senses)) and not other.named and not _claimed(other, facts)
        for other in line.quantities
    )


def _clause(claim: str, fact: Fact, facts: Sequence[Fact], lang: Language) -> str:
    """The part of a claim that a figure belongs to, where it gives several: "A costa 3 e B costa 4"."""
    if sum(one.figure is not None or bool(one.iso) for one in facts) < 2:
        return claim
    cuts = [
        0,
        *(m.end() for m in re.finditer(r"[;:]|,(?!\d)|\b(?:e|ed|mentre|ma|and|while|but|enquanto|mas)\b", claim)),
    ]
    pieces = [claim[start:end] for start, end in zip(cuts, [*cuts[1:], len(claim)], strict=True)]
    holding = [n for n, piece in enumerate(pieces) if fact.text in piece]
    if len(holding) != 1:
        return claim
    first = last = holding[0]
    earliest = max(0, last - _MOST_PIECES)
    while first > earliest and len(about_of("".join(pieces[first : last + 1]), lang)) < _FEWEST_OF_A_CLAUSE:
        first -= 1
    clause = "".join(pieces[first : last + 1])
    return clause if len(about_of(clause, lang)) >= _FEWEST_OF_A_CLAUSE else claim
