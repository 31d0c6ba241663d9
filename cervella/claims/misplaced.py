"""Finds figures that the cited lines contain, but in another row, clause or line than the claim is about.

A wrong digit may give a number of the table row below. The words of the claim decide which line it is about. If that
line has another figure of the same kind, and the line with the claim's figure fits the claim less, the figure is
misplaced.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from cervella.claims.evidence import FEWEST_OF_A_CLAUSE, FEWEST_WORDS, Evidence, Fact, Line
from cervella.text.quantities import Quantity, same_unit, same_value

_ROW_ONLY, _PROSE_ONLY, _ROW_SHARE, _LISTED = 0.2, 0.35, 0.4, 12
"""The first two: minimum share of a clause's stems, by weight, that only the neighbouring line has, in lists and
tables, and in prose. The third: maximum ratio of the stems that only the line with the figure has to those. The last:
maximum number of stems of a line that counts as a list's."""
_ALIKE, _MOST_OF = 0.6, 0.4
"""Minimum similarity of a claim and a line that it repeats. Minimum share of a claim's stems in a line it is about."""
_MOST_CLAUSES = 12
"""Maximum number of clauses before a figure that may belong to it."""


def meant_line(fact: Fact, evidence: Evidence) -> Line | None:
    """The line that a claim is about, if that line has another figure or date than `fact`, which is then misplaced.

    None if nothing is misplaced.
    """
    return _Place(fact, evidence).meant() if fact.lines else None


class _Place:
    """A figure or date of a claim in its clause, with the lines that contain it and the others."""

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
        """The line that counts the same noun ("16 agenti", 16 agents), if no line with the claim's figure has that
        noun."""
        noun = "" if self._fact.figure is None else self._claim.noun_after(self._fact.figure)
        if not noun or any(noun in line.stems or noun in line.near for line in self._fact.lines):
            return None
        others = (line for line in self._lines if line not in self._fact.lines)
        return next((line for line in others if any(not self._claimed(one) for one in line.counted(noun))), None)

    def _anchored(self) -> Line | None:
        """The line with all other figures of the clause, at least two, but with another figure in place of the
        claim's."""
        anchors = [other for other in self._within if other is not self._fact and other.lines]
        if len(anchors) < FEWEST_OF_A_CLAUSE:
            return None
        shared = [line for line in anchors[0].lines if all(line in other.lines for other in anchors[1:])]
        if any(line in self._fact.lines for line in shared):
            return None
        return next((line for line in shared if self._rivals(line, strictly=False)), None)

    def _repeated(self) -> Line | None:
        """The line that the claim nearly repeats, if that line has another figure in place of the claim's."""
        about = self._claim.about
        alike = [line for line in self._lines if self._scale.likeness(about, line) >= _ALIKE]
        if len(about) < FEWEST_OF_A_CLAUSE or any(
            self._scale.likeness(about, one) >= _ALIKE for one in self._fact.lines
        ):
            return None
        return next((line for line in alike if self._rivals(line, self._all)), None)

    def _neighbour(self) -> Line | None:
        """The line that fits the claim better than those with the figure: another row of a table, another list item."""
        about, weight = self._about, self._scale.weight
        held = max(self._fact.lines, key=lambda line: weight(about & line.read_with))
        elsewhere = frozenset(stem for one in self._other_facts() for line in one.lines for stem in line.stems)
        for line in self._lines:
            # Compare the stems of the claim that only this line has with those that only the line with the figure has.
            only = weight((about & line.stems) - held.read_with - elsewhere)
            listed = max(len(line.stems), len(held.stems)) <= _LISTED or line.kind == held.kind == "row"
            if only <= weight(about) * (_ROW_ONLY if listed else _PROSE_ONLY) or line in self._fact.lines:
                continue
            if weight((about & held.stems) - line.stems) <= only * _ROW_SHARE and self._rivals(line):
                return line
        return None

    def _other_facts(self) -> Iterator[Fact]:
        """The other facts of the clause, except figures in names: the 3 of "V3" is in unrelated lines."""
        for one in self._within:
            if one is not self._fact and (one.figure is None or not one.figure.named):
                yield one

    def _coincidence(self) -> Line | None:
        """The line with most of the claim's words, if the lines with the claim's figure have none of these words."""
        about = self._about
        if self._fact.figure is None or len(about) < FEWEST_WORDS:
            return None
        if any(line.kind == "lead" or about & line.read_with for line in self._fact.lines):
            return None
        lines = [line for line in self._evidence.lines if line.kind != "lead"]
        best = max(lines, key=lambda line: self._scale.cover(about, line), default=None)
        return best if best is not None and self._scale.cover(about, best) >= _MOST_OF else None

    def _other_part(self) -> Line | None:
        """The line with the claim's figure, if the figure is in another cell or clause of that line than the claim is
        about."""
        figure, about = self._fact.figure, self._about
        if figure is None or not about:
            return None
        for line in self._fact.lines:
            given = [any(_gives(figure, one) for one in figures) for _, figures in line.parts]
            holding = [part for part, gives in zip(line.parts, given, strict=True) if gives]
            if not holding or any(not named or named & about for named, _ in holding):
                return None
            own = frozenset(stem for named, _ in holding for stem in named)
            beside = (part for part, gives in zip(line.parts, given, strict=True) if not gives)
            others = (part for part in beside if part[0] & about - own)
            if not any(
                _alike(figure, one) and not self._claimed(one, self._within) for _, figures in others for one in figures
            ):
                return None
        return self._fact.lines[0]

    def _claimed(self, other: Quantity, facts: Sequence[Fact] | None = None) -> bool:
        facts = self._within if facts is None else facts
        return any(one.figure is not None and same_value(one.figure, other) for one in facts)

    def _rivals(self, line: Line, facts: Sequence[Fact] | None = None, *, strictly: bool = True) -> bool:
        """Whether a line has another figure or date of the same kind, one that the claim does not have."""
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
        """Start and end of the clause that the figure belongs to: "A costa 3 e B costa 4" (A costs 3 and B costs 4) has
        two."""
        claim, whole = self._claim, (0, len(self._claim.text))
        if sum(one.figure is not None or bool(one.iso) for one in self._all) < 2:
            return whole
        holding = [n for n, (start, end) in enumerate(claim.clauses) if self._fact.text in claim.text[start:end]]
        if len(holding) != 1:
            return whole
        starts = [start for start, _ in claim.clauses[max(0, holding[0] - _MOST_CLAUSES) : holding[0] + 1]]
        end = claim.clauses[holding[0]][1]
        wide = (start for start in reversed(starts) if len(claim.about_in(start, end)) >= FEWEST_OF_A_CLAUSE)
        start = next(wide, None)
        return whole if start is None else (start, end)


def _gives(figure: Quantity, other: Quantity) -> bool:
    return same_value(figure, other) and same_unit(figure, other)


def _alike(figure: Quantity, other: Quantity) -> bool:
    """Whether two figures measure the same dimension, or neither has a unit."""
    return bool(figure.dimensions & other.dimensions) if figure.senses else not other.senses
