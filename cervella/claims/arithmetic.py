"""Decides whether a figure that the cited lines do not contain follows from their figures: rounded, added, counted,
compared.

The rules are narrow, because a wrong figure may be the sum of two others by chance. The claim has to say that it rounds
or computes, and its operands have to be in one line, in one column or in the claim itself.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from decimal import Decimal
from functools import lru_cache
from itertools import combinations, pairwise, permutations

from cervella.claims.evidence import Evidence, Source
from cervella.text.language import fold
from cervella.text.number_words import words_around
from cervella.text.quantities import Quantity
from cervella.text.reading import ReadText

_MOST_TOGETHER = 5
"""Maximum number of operands from one line: with more, chance alone gives almost any result."""
_MOST_COUNTED = 30
_LONGEST_BEFORE = 40
_ABOUT, _BOUND = Decimal("0.1"), Decimal("0.25")
"""Maximum distance between a figure of the claim and the figure in the lines, as a share of the claim's figure: for a
rounded figure ("about 90"), and for a bound ("more than 90")."""
_MEASURED = frozenset({"time", "months", "%", "eur", "usd", "gbp", "bytes"})
_MONEY = ("eur", "usd", "gbp", "%")
_LONGER = {
    "s": (60, 3600),
    "min": (60, 1440),
    "h": (24, 168, 720, 730, 8760),
    "day": (7, 30, 31, 365),
    "week": (4, 52),
    "month": (3, 6, 12, 24),
}
"""For each time, how many of it make up the longer ones: 60 seconds are a minute, 3600 an hour."""


def follows(figure: Quantity, evidence: Evidence, given: Iterable[Quantity]) -> bool:
    """Whether a figure that the lines do not contain follows from their figures and those of the question."""
    known = [*evidence.supported, *(other for other in given if other.senses)]
    return _rounded(figure, evidence) or _counted(figure, evidence) or _computed(figure, known, evidence)


def _rounded(figure: Quantity, evidence: Evidence) -> bool:
    """Whether the claim calls a figure rounded or a bound, and the lines have a figure near it.

    For example, "circa 95 mila" ("about 95 thousand") is near 94.603.
    """
    claim, words = evidence.claim, evidence.claim.spoken.review
    shares = [(len(claim.about & (line.stems | line.near)), line) for line in evidence.lines]
    most = max((share for share, _ in shares), default=0)
    near = [one for share, line in shares if 2 * share >= most for one in line.given]
    before = _before(claim, figure)
    after = fold(claim.text[figure.end : figure.end + 30])
    about = _ends(words["about"], before) or re.match(rf"\s?,?\s?{words['about_after']}\b", after) or before[-1:] == "~"
    above, below = _ends(words["above"], before), _ends(words["below"], before)
    if _within_range(figure, claim, near):
        return True
    if not (about or above or below or before.endswith("≈")):
        return False
    for value, dimension in figure.values():
        step = _step(value)
        for known, its in (one for other in near for one in other.values()):
            if dimension != its and (its or not about):
                continue
            if (about or not (above or below)) and abs(known - value) <= min(step / 2, abs(value) * _ABOUT):
                return True
            if above and value <= known <= value + max(min(step, value), value * _BOUND):
                return True
            if below and value * (1 - _BOUND) <= known <= value:
                return True
    return False


def _within_range(figure: Quantity, claim: ReadText, near: Iterable[Quantity]) -> bool:
    """Whether the figure is one end of a rounded range ("circa 5-6 minuti", "about 5-6 minutes") that contains a figure
    of the lines."""
    both = next((pair for pair in pairwise(claim.undated) if figure.start in (pair[0].start, pair[1].start)), None)
    if both is None or not _or().fullmatch(claim.text, both[0].end, both[1].start):
        return False
    ends = zip(both[0].values(), both[1].values(), strict=False)
    return _ends(claim.spoken.review["about"], _before(claim, both[0])) and any(
        its == dimension and low <= known <= high
        for (low, dimension), (high, _) in ends
        for other in near
        for known, its in other.values()
    )


def _computed(figure: Quantity, known: Sequence[Quantity], evidence: Evidence) -> bool:
    """Whether a figure is the result of a calculation with figures of the claim, of one line or of one column."""
    operands, claim = known[:_MOST_TOGETHER], evidence.claim
    if _from_two(figure, operands) or _per_longer(figure, operands):
        return True
    words = claim.spoken.review
    if re.search(words["divided"], claim.folded) and _divided(figure, operands):
        return True
    if not (figure.percent or re.search(words["reckoned"], claim.folded)):
        return False
    rows = [[one for one in line.given if not _is_year(one)] for line in evidence.nearest]
    for own in rows:
        if len(own) <= _MOST_TOGETHER and (
            _from_two(figure, own, few=figure.percent)
            or any(_from_two(figure, (one, other), few=True) for one in operands for other in own)
        ):
            return True
    for one, other in combinations(rows, 2):  # the same column of two rows
        if len(one) == len(other) <= 4 and any(
            _from_two(figure, pair, few=True) for pair in zip(one, other, strict=True)
        ):
            return True
    totals = {total for source in evidence.sources for total in _totals(source)}
    return bool(re.search(words["total"], claim.folded)) and any(value in totals for value, _ in figure.values())


def _counted(figure: Quantity, evidence: Evidence) -> bool:
    """Whether a figure is the number of things that the claim then lists, or of the items of a list in a passage.

    That passage has to contain the noun after the figure, and no other count of it.
    """
    value = figure.whole
    if value is None or not 2 <= value <= _MOST_COUNTED or figure.dimensions & _MEASURED:
        return False
    after = evidence.claim.text[figure.end :]
    if ":" in after and _named(after.partition(":")[2]) == value:
        return True
    noun = evidence.claim.noun_after(figure)
    return bool(noun) and any(
        value in source.items and noun in source.stems and not any(line.counted(noun) for line in source.lines)
        for source in evidence.sources
    )


def _named(text: str) -> int:
    """The number of things that a text lists."""
    return len([item for item in _listed().split(text) if re.search(r"\w", item)])


@lru_cache(maxsize=1)
def _listed() -> re.Pattern[str]:
    return re.compile(rf"[,;+\n]| (?:&|{words_around('and')}|{words_around('or')}) ")


@lru_cache(maxsize=1)
def _or() -> re.Pattern[str]:
    return re.compile(rf"\s?(?:[-–—/]|{words_around('or')})\s?")


def _is_year(quantity: Quantity) -> bool:
    return quantity.whole in range(1900, 2101) and not quantity.senses


def _from_two(figure: Quantity, known: Iterable[Quantity], *, few: bool = False) -> bool:
    """Whether a figure is the sum, difference, product, ratio or percentage of two figures in `known`.

    With `few`, the result is False if `known` has more than four values: with more, chance alone gives many results.
    """
    operands = [(quantity, value, dimension) for quantity in known for value, dimension in quantity.values()[:2]]
    if few and len(operands) > 4:
        return False
    decimals = max((len(reading.partition(".")[2]) for reading in figure.bare), default=0)
    within = Decimal(1).scaleb(-decimals) / 2
    return any(
        _percentage(figure, one, other, within) if figure.percent else _result(figure, one, other, within)
        for one, other in permutations(operands, 2)
    )


_Operand = tuple[Quantity, Decimal, str]


def _percentage(figure: Quantity, first: _Operand, second: _Operand, within: Decimal) -> bool:
    (_, one, its), (_, other, others) = first, second
    results = []
    if other and (its == others or "" in (its, others)):
        results += [abs(one - other) / other * 100, one / other * 100]
    if its == others == "%":
        results += [one + other, abs(one - other)]
    values = [Decimal(reading) for reading in figure.bare if reading.count(".") <= 1 and ":" not in reading]
    return any(abs(result - value) <= within for result in results for value in values)


def _result(figure: Quantity, first: _Operand, second: _Operand, within: Decimal) -> bool:
    (quantity, one, its), (counter, other, others) = first, second
    alike = its == others or "" in (its, others)
    times = counter.whole if quantity is not counter and others not in _MONEY else None
    return any(
        (alike and dimension in ("", its, others) and value in (one + other, one - other))
        or (times is not None and dimension == its and value == one * times)
        or (not dimension and other and its == others and value > 1 and abs(one / other - value) <= within)
        for value, dimension in figure.values()
    )


def _divided(figure: Quantity, operands: Iterable[Quantity]) -> bool:
    """Whether a figure is another one of the claim divided by a count: "4 ore (40 ore diviso 10 lezioni)" is 4 hours,
    40 hours divided by 10 lessons."""
    return any(
        other and not others and its == dimension and one == value * other
        for first, second in permutations(operands, 2)
        for one, its in first.values()
        for other, others in second.values()
        for value, dimension in figure.values()
    )


def _per_longer(figure: Quantity, operands: Iterable[Quantity]) -> bool:
    """Whether a figure is a rate of the claim, converted to a longer time: 49 € a month are 588 € a year."""
    return any(
        value == one * times and dimension == its
        for quantity in operands
        for times in _LONGER.get(quantity.rate, ())
        for one, its in quantity.values()
        for value, dimension in figure.values()
    )


def _step(value: Decimal) -> Decimal:
    """The value of one step of the last digit that is not zero: 1000 in "95 mila" (95 thousand)."""
    exponent = value.normalize().as_tuple().exponent
    return Decimal(1).scaleb(exponent if isinstance(exponent, int) else 0)


@lru_cache(maxsize=256)
def _totals(source: Source) -> frozenset[Decimal]:
    """The sums of the columns of a table, and of three or more figures in one line."""
    columns: dict[object, list[Decimal]] = {}
    for line in source.lines:
        for number, quantity in enumerate(line.given):
            for value, dimension in quantity.values()[:1]:
                columns.setdefault((line.header, number, dimension), []).append(value)
                if len(line.given) > 2:  # "4.200 € di corrente, 1.350 € di acqua e 6.900 € di pulizie"
                    columns.setdefault((line, dimension), []).append(value)
    return frozenset(sum(values, Decimal(0)) for values in columns.values() if len(values) > 1)


def _before(claim: ReadText, figure: Quantity) -> str:
    return fold(claim.text[max(0, figure.start - _LONGEST_BEFORE) : figure.start])


@lru_cache(maxsize=64)
def _ending(pattern: str) -> re.Pattern[str]:
    return re.compile(rf"\b{pattern}\s?(?:{words_around('articles')})?[€$£]?\s?$")


def _ends(pattern: str, text: str) -> bool:
    return _ending(pattern).search(text) is not None
