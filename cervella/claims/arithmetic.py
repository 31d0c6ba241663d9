"""Figures that the lines do not give, and that follow from those that they do: rounded, added up, counted, compared.

What is accepted is kept narrow, since a wrong figure may by chance be the sum of two others: the answer has to say that
it rounds or reckons, and what it reckons with has to stand in one line, in one column, or in the claim itself.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from decimal import Decimal
from functools import lru_cache
from itertools import combinations, pairwise, permutations

from cervella.claims.evidence import Line, Source, noun_after
from cervella.text.language import Language, fold
from cervella.text.quantities import Quantity, quantities, whole_number

__all__ = ["counted", "reckoned", "rounded"]

_MOST_TOGETHER = 5
"""Figures in one line that are reckoned with: with more, chance alone gives almost any result."""
_MOST_COUNTED = 30
_TO = re.compile(r"\s?(?:[-–—/]|o|or|ou)\s?")
_ABOUT, _BOUND = Decimal("0.1"), Decimal("0.25")
"""How far a rounded figure, and a bound, may be from what is told, as a share of it."""


def rounded(figure: Quantity, claim: str, told: Iterable[Quantity], lang: Language) -> bool:
    """Whether a claim says that a figure is rounded or a bound, and what is told is near: "circa 95 mila" of 94.603."""
    before, after = fold(claim[: figure.start]), fold(claim[figure.end : figure.end + 30])
    words = lang.review
    about = (
        _ends(words["about"], before) or re.match(rf"\s?,?\s?{words['about_after']}\b", after) or before.endswith("~")
    )
    above, below = _ends(words["above"], before), _ends(words["below"], before)
    told = list(told)
    if _within_range(figure, claim, told, lang):
        return True
    if not (about or above or below or before.endswith("≈")):
        return False
    for value, dimension in _values(figure):
        step = _step(value)
        for other in told:
            for known, its in _values(other):
                if dimension != its and (its or not about):
                    continue
                if (about or not (above or below)) and abs(known - value) <= min(step / 2, abs(value) * _ABOUT):
                    return True
                if above and value <= known <= value + max(min(step, value), value * _BOUND):
                    return True
                if below and value * (1 - _BOUND) <= known <= value:
                    return True
    return False


def _within_range(figure: Quantity, claim: str, told: Iterable[Quantity], lang: Language) -> bool:
    """Whether it is an end of a range that is said to be rounded, and what is told lies in it: "circa 5-6 minuti"."""
    both = next(
        (pair for pair in pairwise(quantities(claim, lang)) if figure.start in (pair[0].start, pair[1].start)), None
    )
    if both is None or not _TO.fullmatch(claim, both[0].end, both[1].start):
        return False
    if not _ends(lang.review["about"], fold(claim[: both[0].start])):
        return False
    ends = zip(_values(both[0]), _values(both[1]), strict=False)
    return any(
        its == dimension and low <= known <= high
        for (low, dimension), (high, _) in ends
        for other in told
        for known, its in _values(other)
    )


def reckoned(
    figure: Quantity,
    claim: str,
    beside: Sequence[Quantity],
    lines: Sequence[Line],
    sources: Sequence[Source],
    lang: Language,
) -> bool:
    """Whether a figure follows from others: `beside` are those of the claim that stand in the lines, `lines` are those
    that the claim is about."""
    told = beside[:_MOST_TOGETHER]
    if _from_two(figure, told) or _per_longer(figure, told):
        return True
    folded = fold(claim)
    if re.search(lang.review["divided"], folded) and _divided(figure, told):
        return True
    if not (figure.percent or re.search(lang.review["reckoned"], folded)):
        return False
    for line in lines:
        own = [quantity for quantity in line.quantities if not _is_year(quantity)]
        if len(own) <= _MOST_TOGETHER and _from_two(figure, own, few=figure.percent):
            return True
        if len(own) <= _MOST_TOGETHER and any(
            _from_two(figure, (one, other), few=True) for one in told for other in own
        ):
            return True
    for first, second in combinations(lines, 2):  # the same column of two rows
        one, other = ([q for q in line.quantities if not _is_year(q)] for line in (first, second))
        if len(one) == len(other) <= 4 and any(
            _from_two(figure, pair, few=True) for pair in zip(one, other, strict=True)
        ):
            return True
    if re.search(lang.review["total"], folded):
        return any(total == value for source in sources for total in _totals(source) for value, _ in _values(figure))
    return False


def counted(figure: Quantity, claim: str, sources: Iterable[Source], lang: Language) -> bool:
    """Whether a figure is how many the claim goes on to name, or how many items a list has of what it counts.

    The passage has to speak of what is counted, and give no other count of it.
    """
    value = _whole(figure)
    if value is None or not 2 <= value <= _MOST_COUNTED or figure.dimensions & _MEASURED:
        return False
    after = claim[figure.end :]
    if ":" in after and _named(after.partition(":")[2]) == value:
        return True
    noun = noun_after(claim, figure, lang)
    return any(
        value in source.items and noun in source.stems and not any(line.counted(noun) for line in source.lines)
        for source in sources
        if noun
    )


def _named(text: str) -> int:
    """How many things a text lists."""
    return len([piece for piece in re.split(r"[,;+]| (?:e|ed|and|&|o) |\n", text) if re.search(r"\w", piece)])


def _whole(figure: Quantity) -> int | None:
    values = {value for reading in figure.bare if (value := whole_number(reading)) is not None}
    return values.pop() if len(values) == 1 else None


def _is_year(quantity: Quantity) -> bool:
    value = _whole(quantity)
    return value is not None and 1900 <= value <= 2100 and not quantity.senses


def _from_two(figure: Quantity, known: Iterable[Quantity], *, few: bool = False) -> bool:
    """Whether it is the sum, the difference, the product, the ratio or the percentage of two of them."""
    operands = [(quantity, value, dimension) for quantity in known for value, dimension in _values(quantity)[:2]]
    if few and len(operands) > 4:
        return False
    wanted = _values(figure)
    decimals = max((len(reading.partition(".")[2]) for reading in figure.bare), default=0)
    within = Decimal(1).scaleb(-decimals) / 2
    for (first, one, its), (second, other, others) in permutations(operands, 2):
        alike = its == others or "" in (its, others)
        if figure.percent:
            if other and alike and _near(figure, (abs(one - other) / other * 100, one / other * 100), within):
                return True
            if its == others == "%" and _near(figure, (one + other, abs(one - other)), within):
                return True
            continue
        for value, dimension in wanted:
            if alike and dimension in ("", its, others) and value in (one + other, one - other):
                return True
            times = _whole(second)
            if (
                first is not second
                and times is not None
                and dimension == its
                and others not in _MONEY
                and value == one * times
            ):
                return True
            if not dimension and other and its == others and abs(one / other - value) <= within and value > 1:
                return True
    return False


def _divided(figure: Quantity, told: Iterable[Quantity]) -> bool:
    """Whether it is one figure of the claim divided by a count: "4 ore (40 ore diviso 10 lezioni)"."""
    return any(
        other and not others and its == dimension and one == value * other
        for first, second in permutations(told, 2)
        for one, its in _values(first)
        for other, others in _values(second)
        for value, dimension in _values(figure)
    )


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
"""How often a time is in longer ones."""


def _per_longer(figure: Quantity, told: Iterable[Quantity]) -> bool:
    """Whether it is a rate of the claim over a longer time: 49 € a month are 588 € a year."""
    return any(
        value == one * times and dimension == its
        for quantity in told
        for times in _LONGER.get(quantity.rate, ())
        for one, its in _values(quantity)
        for value, dimension in _values(figure)
    )


def _near(figure: Quantity, results: Iterable[Decimal], within: Decimal) -> bool:
    values = [Decimal(reading) for reading in figure.bare if reading.count(".") <= 1 and ":" not in reading]
    return any(abs(result - value) <= within for result in results for value in values)


def _values(quantity: Quantity) -> list[tuple[Decimal, str]]:
    """The values of a figure with what they measure: in the dimension's own unit, or as they are read."""
    measures = [(value, dimension) for dimension, value in quantity.measures() if dimension]
    if measures:
        return measures
    plain = quantity.readings - quantity.bare or quantity.readings
    return [(Decimal(reading), "") for reading in sorted(plain) if reading.count(".") <= 1 and ":" not in reading]


def _step(value: Decimal) -> Decimal:
    """What the last digit that says something stands for: 1000 in "95 mila"."""
    digits = value.normalize().as_tuple()
    exponent = digits.exponent
    return Decimal(1).scaleb(exponent if isinstance(exponent, int) else 0)


@lru_cache(maxsize=256)
def _totals(source: Source) -> frozenset[Decimal]:
    """The sums of a table's columns, and of the figures of a list."""
    columns: dict[tuple[int, int, str], list[Decimal]] = {}
    for place, line in enumerate(source.lines):
        if len(line.quantities) > 2:  # "4.200 € di corrente, 1.350 € di acqua e 6.900 € di pulizie"
            for quantity in line.quantities:
                for value, dimension in _values(quantity)[:1]:
                    columns.setdefault((-3 - place, 0, dimension), []).append(value)
        block = hash(line.header) if line.kind == "row" else -2
        for number, quantity in enumerate(line.quantities):
            for value, dimension in _values(quantity)[:1]:
                columns.setdefault((block, number, dimension), []).append(value)
    return frozenset(sum(values, Decimal(0)) for values in columns.values() if len(values) > 1)


@lru_cache(maxsize=64)
def _ending(pattern: str) -> re.Pattern[str]:
    return re.compile(rf"\b{pattern}\s?(?:i |gli |le |il |la |l?l'|'|l |a |ai |alle |di |the |o |os |as )?[€$£]?\s?$")


def _ends(pattern: str, text: str) -> bool:
    return _ending(pattern).search(text[-40:]) is not None
