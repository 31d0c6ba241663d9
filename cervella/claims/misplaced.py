"""Does a figure stand there for what the claim says, or for its neighbour: another row, another clause, another line?

A figure that stands somewhere in the cited lines is not yet right: a digit that was changed may give a number that
stands three rows below. The claim's words say which line is meant; where that line gives another figure of the same
kind, and the line that gives this one has less to do with the claim, the figure belongs to something else.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from cervella.claims.evidence import Evidence, Fact, Line
from cervella.text.quantities import Quantity, same_unit, same_value

__all__ = ["meant_line"]

_ROW_ONLY, _PROSE_ONLY, _ROW_SHARE, _LISTED = 0.2, 0.35, 0.4, 12
"""How much of a clause only the neighbour has to have to be the line that is meant, in lists and tables and in prose;
how much less the line that gives the figure; stems of a line that is taken for one of a list."""
_ALIKE, _MOST_OF = 0.6, 0.4
"""How like a claim is to a line that it repeats; how much of a claim a line has that it is about."""
_FEWEST_WORDS, _FEWEST_OF_A_CLAUSE = 4, 2
_MOST_PIECES = 12
"""Pieces of a claim before a figure that are looked at for the words that it belongs to."""


def meant_line(fact: Fact, evidence: Evidence) -> Line | None:
    """The line that a figure or date seems to be about, where that line gives another one; None where all is well."""
    return _Place(fact, evidence).meant() if fact.lines else None


class _Place:
    """A figure or date of a claim in its clause, beside the lines that give it and those that might be meant."""

    def __init__(self, fact: Fact, evidence: Evidence) -> None:
        self._fact = fact
        self._all = evidence.facts
        self._claim = evidence.claim
        self._evidence = evidence
        self._scale = evidence.scale
        self._lines = [line for line in evidence.lines if line.kind not in ("lead", "heading")]
        start, end = self._clause()
        self._about = self._claim.about_in(start, end)
        clause = self._claim.text[start:end]
        self._within = [other for other in self._all if other.text in clause]

    def meant(self) -> Line | None:
        return (
            self._of_the_same_noun()
            or self._anchored()
            or self._other_part()
            or self._repeated()
            or self._neighbour()
            or self._coincidence()
        )

    def _of_the_same_noun(self) -> Line | None:
        """The line that counts the same things, "16 agenti", where none that gives the figure speaks of them."""
        noun = "" if self._fact.figure is None else self._claim.noun_after(self._fact.figure)
        if not noun or any(noun in line.stems or noun in line.near for line in self._fact.lines):
            return None
        others = (line for line in self._lines if line not in self._fact.lines)
        return next((line for line in others if any(not self._claimed(one) for one in line.counted(noun))), None)

    def _anchored(self) -> Line | None:
        """The line that gives all other figures of a clause, two at least, and another in place of this."""
        anchors = [other for other in self._within if other is not self._fact and other.lines]
        if len(anchors) < _FEWEST_OF_A_CLAUSE:
            return None
        shared = [line for line in anchors[0].lines if all(line in other.lines for other in anchors[1:])]
        if any(line in self._fact.lines for line in shared):
            return None
        return next((line for line in shared if self._rivals(line, strictly=False)), None)

    def _repeated(self) -> Line | None:
        """The line that a claim nearly repeats, where the figure stands in no such line and in place of another."""
        about = self._claim.about
        alike = [line for line in self._lines if self._scale.likeness(about, line) >= _ALIKE]
        if len(about) < _FEWEST_OF_A_CLAUSE or any(
            self._scale.likeness(about, one) >= _ALIKE for one in self._fact.lines
        ):
            return None
        return next((line for line in alike if self._rivals(line, self._all)), None)

    def _neighbour(self) -> Line | None:
        """The line that has more of the claim than those that give the figure: a table's other row, another item."""
        about, weight = self._about, self._scale.weight
        held = max(self._fact.lines, key=lambda line: weight(about & line.read_with))
        told = frozenset(stem for one in self._telling() for line in one.lines for stem in line.stems)
        for line in self._lines:
            # What of the claim only this line has, beside what only the line has that gives the figure.
            only = weight((about & line.stems) - held.read_with - told)
            listed = max(len(line.stems), len(held.stems)) <= _LISTED or line.kind == held.kind == "row"
            if only <= weight(about) * (_ROW_ONLY if listed else _PROSE_ONLY) or line in self._fact.lines:
                continue
            if weight((about & held.stems) - line.stems) <= only * _ROW_SHARE and self._rivals(line):
                return line
        return None

    def _telling(self) -> Iterator[Fact]:
        """The other facts of the clause that tell what it is about; the 3 of "V3" stands in all kinds of lines."""
        for one in self._within:
            if one is not self._fact and (one.figure is None or not one.figure.named):
                yield one

    def _coincidence(self) -> Line | None:
        """The line that says most of a claim, where those that give the figure have nothing to do with it."""
        about = self._about
        if self._fact.figure is None or len(about) < _FEWEST_WORDS:
            return None
        if any(line.kind == "lead" or about & line.read_with for line in self._fact.lines):
            return None
        lines = [line for line in self._evidence.lines if line.kind != "lead"]
        best = max(lines, key=lambda line: self._scale.cover(about, line), default=None)
        return best if best is not None and self._scale.cover(about, best) >= _MOST_OF else None

    def _other_part(self) -> Line | None:
        """The line that gives a figure, where it gives it for another of its parts than the one that is meant."""
        figure, about = self._fact.figure, self._about
        if figure is None or not about:
            return None
        for line in self._fact.lines:
            holding = [part for part in line.parts if any(_gives(figure, one) for one in part[1])]
            if not holding or any(not named or named & about for named, _ in holding):
                return None
            own = frozenset(stem for named, _ in holding for stem in named)
            others = (part for part in line.parts if part not in holding and part[0] & about - own)
            if not any(
                _alike(figure, one) and not self._claimed(one, self._within) for _, told in others for one in told
            ):
                return None
        return self._fact.lines[0]

    def _claimed(self, told: Quantity, facts: Sequence[Fact] | None = None) -> bool:
        facts = self._within if facts is None else facts
        return any(one.figure is not None and same_value(one.figure, told) for one in facts)

    def _rivals(self, line: Line, facts: Sequence[Fact] | None = None, *, strictly: bool = True) -> bool:
        """Whether a line gives, in place of this figure or date, another of the kind that the claim does not give."""
        facts, figure = self._within if facts is None else facts, self._fact.figure
        if self._fact.iso:
            return bool(line.dates - {other.iso for other in facts})
        if self._fact.day:
            return bool(line.days - {other.day for other in facts})
        return figure is not None and any(
            (_alike(figure, other) or not (strictly or figure.senses))
            and not other.named
            and not self._claimed(other, facts)
            for other in line.given
        )

    def _clause(self) -> tuple[int, int]:
        """The part of a claim that a figure belongs to, where it gives several: "A costa 3 e B costa 4"."""
        claim, whole = self._claim, (0, len(self._claim.text))
        if sum(one.figure is not None or bool(one.iso) for one in self._all) < 2:
            return whole
        holding = [n for n, (start, end) in enumerate(claim.clauses) if self._fact.text in claim.text[start:end]]
        if len(holding) != 1:
            return whole
        starts = [start for start, _ in claim.clauses[max(0, holding[0] - _MOST_PIECES) : holding[0] + 1]]
        end = claim.clauses[holding[0]][1]
        wide = (start for start in reversed(starts) if len(claim.about_in(start, end)) >= _FEWEST_OF_A_CLAUSE)
        start = next(wide, None)
        return whole if start is None else (start, end)


def _gives(figure: Quantity, told: Quantity) -> bool:
    return same_value(figure, told) and same_unit(figure, told)


def _alike(figure: Quantity, other: Quantity) -> bool:
    """Whether they measure the same thing, as far as their units say."""
    return bool(figure.dimensions & other.dimensions) if figure.senses else not other.senses
