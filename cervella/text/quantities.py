"""Figures as they are written: what a number may mean, its unit, and whether two of them say the same.

`94.603` is one number in one country and another in the next; `95K`, `95 mila` and `95000` are one; `1,5 s` and
`1500 ms` too; `3 giorni` and `3 ore` are not.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass, replace
from decimal import Decimal
from functools import lru_cache

from cervella.text.language import Language, fold
from cervella.text.units import MONEY, PERCENT, Senses, named_unit, senses_of

__all__ = ["Quantity", "numbers", "quantities", "same_unit", "same_value", "whole_number"]

_NUMBER = re.compile(
    r"(?:(?<![\w.,)%€$])[-−])?"  # a sign, where no range or name stands before it
    r"(?:\d{1,3}(?:[ \u00a0\u202f'’]\d{3})+(?![\d.,]*\d)|\d+(?:[.,:]\d+)*)"
)
_WORD = re.compile(r"[^\W\d_]+")
_MULTIPLES = {
    **dict.fromkeys(("k", "mila", "thousand", "mil"), Decimal(1000)),
    **dict.fromkeys(("m", "mln", "milione", "milioni", "million", "milhões", "milhão"), Decimal(10**6)),
    **dict.fromkeys(("mld", "bn", "miliardo", "miliardi", "billion"), Decimal(10**9)),
}
_SHORT_MULTIPLES = frozenset({"k", "m", "mil"})  # may be a unit of measure, or stand in a table's header
_MULTIPLE = re.compile(rf"\s?({'|'.join(sorted(_MULTIPLES, key=len, reverse=True))})\b", re.IGNORECASE)
_PERCENT = re.compile(r"\s?(?:%|per ?cento\b|percent\b|por cento\b)", re.IGNORECASE)
_UNIT = re.compile(
    r"\+?\s?(?:(?:di|de|of|d['’])\s?)?"
    # The l of "49 l'anno" is no litre.
    r"([€$£]|°\s?[CF]\b|µs|(?:gradi|degrees?|graus?) (?:fahrenheit|celsius)\b|(?!l['’])[^\W\d_]+)",
    re.IGNORECASE,
)
_BEFORE = re.compile(r"(?:(?<!\w)(EUR|USD|GBP|US\$)|([€$£]))\s?[-−]?$", re.IGNORECASE)
_RATE = re.compile(
    r"\s?(?:/|al |all['’]|alla |allo |il |l['’]|la |per |ogni |a |por |ao |each |every |an? )\s?([^\W\d_]+)",
    re.IGNORECASE,
)
_RATE_WORD = re.compile(
    r"\s?(?:(?P<year>annu[oaie]|annual[ei]|annual|yearly|anual|anuais)|(?P<month>mensil[ei]|monthly|mensal|mensais)"
    r"|(?P<week>settimanal[ei]|weekly|semanal|semanais)|(?P<day>giornalier[oaie]|daily|diári[oa]s?))\b",
    re.IGNORECASE,
)
_LONGEST_WORD = 80
"""Letters of a figure in words; 999,999 has fewer in every language here."""
_MOST_DIGITS = 30
"""A longer run of digits is a code: it is compared as written, and nobody calculates with it."""
_SIGNED = frozenset({"temperature", "fahrenheit"})
_LESS = re.compile(r"(?<!\bo )(?<!\bou )\b(?:meno|minus|menos) $", re.IGNORECASE)
_BELOW_ZERO = re.compile(r"\s?(?:sotto (?:lo )?zero|below zero|abaixo de zero)\b", re.IGNORECASE)
_RANGE = re.compile(r"\s?(?:[-–—/~÷]|a|o|e|ed|to|or|and|ou|até)\s?")


@dataclass(frozen=True, slots=True, kw_only=True)
class Quantity:
    """A number as it is written, with its unit where it has one."""

    start: int
    end: int
    """Of the number, its sign and what belongs to it, in the text."""
    number_end: int
    readings: frozenset[str]
    """Its possible values, the multiple that follows it told: `95K` reads as 95 and as 95000."""
    bare: frozenset[str]
    """Those of the digits alone."""
    negative: bool = False
    percent: bool = False
    senses: Senses = ()
    """Dimension and factor, for each thing that its unit may mean; none where it has no unit that is known."""
    rate: str = ""
    """Per what it is: `month` in "12 euro al mese"."""
    worded: bool = False
    """Written as a word."""
    named: bool = False
    """Part of a name: the 3 of "V3"."""

    def asked(self) -> frozenset[str]:
        """What must be offered for a claim that gives this figure."""
        sign, unit = "-" if self.negative else "", "%" if self.percent else ""
        return frozenset(f"{sign}{reading}{unit}" for reading in self.readings)

    def offered(self) -> set[str]:
        """What a passage that holds it offers: less 5 is a 5 too; a bare 20 may stand in a column of percentages."""
        values = {f"{reading}%" for reading in self.readings}
        values |= set() if self.percent else self.readings
        values |= {part for reading in self.readings if "." in reading for part in reading.split(":")}  # address:port
        values |= {reading.removesuffix(":00") for reading in self.readings if reading.count(":") == 1}  # at 9 is 9:00
        return values | ({f"-{value}" for value in values} if self.negative else set())

    def measures(self) -> set[tuple[str, Decimal]]:
        """Its possible values in the own unit of each dimension."""
        # 3.000 is 3000 or 3, and in another unit nothing tells which: it is read as people write thousands.
        whole = {reading for reading in self.bare if reading.isdigit()} or self.bare
        values = [Decimal(reading) for reading in whole if _is_value(reading)]
        return {(dimension, (value * factor).normalize()) for value in values for dimension, factor in self.senses}

    @property
    def dimensions(self) -> frozenset[str]:
        return frozenset(dimension for dimension, _ in self.senses)


def whole_number(reading: str) -> int | None:
    """The value of a reading that is digits alone; None for any other, and for more digits than a figure has.

    >>> whole_number("94603"), whole_number("94.603"), whole_number("9" * 5000)
    (94603, None, None)
    """
    return int(reading) if reading.isdigit() and len(reading) <= _MOST_DIGITS else None


def numbers(text: str) -> list[frozenset[str]]:
    """The figures in a text, each as the set of its possible readings: `94.603` is one number here, another there.

    `95K` reads as 95 and as 95000, `95 mila` as 95000. Signs and percent signs are left out.

    >>> [sorted(n) for n in numbers("94.603 o 97,6 %")]
    [['94.603', '94603'], ['97.6']]
    """
    return [figure.readings for figure in _in_digits(text)]


def quantities(text: str, lang: Language | None = None) -> list[Quantity]:
    """The figures in a text, in order; with a language also the words that stand for figures, and for nothing else.

    >>> from cervella.text.language import language
    >>> [(sorted(q.readings), q.senses[0][0]) for q in quantities("trentasei ore, 12,5 €", language("it"))]
    [(['36'], 'time'), (['12.5'], 'eur')]
    """
    return list(_quantities(text, lang))


@lru_cache(maxsize=256)  # one claim is read once for each of its figures
def _quantities(text: str, lang: Language | None) -> tuple[Quantity, ...]:
    found = [_below_zero(text, quantity) for quantity in _in_digits(text)]
    if lang is not None:
        rest = list(text)
        for quantity in found:  # the "cento" of "20 per cento" is no figure, nor the "zero" of "5 gradi sotto zero"
            rest[quantity.start : quantity.end] = " " * (quantity.end - quantity.start)
        found = sorted([*found, *_in_words("".join(rest), lang)], key=lambda quantity: quantity.start)
    found = _with_cents(text, [_below_zero(text, quantity) for quantity in found])
    # "5-6 giorni", "da 5 a 6 giorni", "$175-438": the unit is said once.
    for n in range(len(found) - 2, -1, -1):
        one, other = found[n], found[n + 1]
        between = text[one.end : other.start]
        if _RANGE.fullmatch(between) and not one.senses and other.senses and not (other.percent and not between):
            found[n] = replace(one, senses=other.senses, rate=other.rate)
    for n in range(len(found) - 1):
        one, other = found[n], found[n + 1]
        if (
            one.senses
            and not other.senses
            and _RANGE.fullmatch(text[one.end : other.start])
            and "usd" in one.dimensions
        ):
            rate, end = _rate(text, other.end)
            found[n + 1] = replace(other, senses=one.senses, rate=rate, end=end)
            found[n] = replace(one, rate=rate)
    return tuple(found)


_AND = re.compile(r" (?:e|and) ")


def _with_cents(text: str, found: list[Quantity]) -> list[Quantity]:
    """The figures with "1 euro e 12 centesimi" as one."""
    joined: list[Quantity] = []
    for quantity in found:
        last = joined[-1] if joined else None
        cents = next(iter(quantity.bare)) if quantity.senses == senses_of("cent") and len(quantity.bare) == 1 else ""
        whole = next((reading for reading in last.bare if reading.isdigit()), "") if last is not None else ""
        if (
            last is None
            or not (whole and whole_number(cents) in range(100) and last.dimensions & MONEY)
            or last.readings != last.bare
            or not _AND.fullmatch(text, last.end, quantity.start)
        ):
            joined.append(quantity)
            continue
        value = frozenset({_plain(Decimal(f"{whole}.{int(cents):02}"))})
        joined[-1] = replace(
            last, end=quantity.end, number_end=quantity.number_end, readings=value, bare=value, rate=quantity.rate
        )
    return joined


def _below_zero(text: str, quantity: Quantity) -> Quantity:
    """A temperature with the sign that words give it: "18 gradi sotto zero", "meno 18 °C"."""
    if quantity.negative or not quantity.dimensions & _SIGNED:
        return quantity
    if below := _BELOW_ZERO.match(text, quantity.end):
        return replace(quantity, negative=True, end=below.end())
    return replace(quantity, negative=bool(_LESS.search(text[max(0, quantity.start - 8) : quantity.start])))


def same_value(claimed: Quantity, told: Quantity) -> bool:
    """Whether two figures give the same number, in whatever writing or unit."""
    if claimed.negative != told.negative and (claimed.dimensions | told.dimensions) & _SIGNED:
        return False  # less 5 is a fall of 5, but -18 °C is no 18 °C
    if claimed.asked() & told.offered():
        return True
    shared = {pair for pair in claimed.measures() & told.measures() if pair[0]}
    return bool(shared) and claimed.negative <= told.negative


def same_unit(claimed: Quantity, told: Quantity) -> bool:
    """Whether nothing in the units of two figures of the same value speaks against it: an unknown unit does not."""
    if claimed.rate and told.rate and claimed.rate != told.rate:
        return False
    if not claimed.senses or not told.senses:
        return True
    ours, theirs = claimed.measures(), told.measures()
    if not ours or not theirs:  # a time, a version: compared as written
        return bool(claimed.dimensions & told.dimensions)
    if ours & theirs:
        return True
    # "95 mila" of what is not said: of anything.
    return any(one == other and not (own and its) for own, one in ours for its, other in theirs)


def _in_digits(text: str) -> Iterator[Quantity]:
    for match in _NUMBER.finditer(text):
        token = match.group()
        bare = _readings(token.lstrip("-−"))
        readings = set(bare)
        end = match.end()
        percent = _PERCENT.match(text, end)
        if percent:
            yield Quantity(
                start=match.start(),
                end=percent.end(),
                number_end=end,
                readings=frozenset(readings),
                bare=frozenset(bare),
                negative=token[0] in "-−",
                percent=True,
                senses=PERCENT,
            )
            continue
        multiple = _MULTIPLE.match(text, end)
        factor = Decimal(1)
        if multiple:
            name = multiple.group(1).lower()
            factor = _MULTIPLES[name]
            times = {_plain(Decimal(r) * factor) for r in bare if _is_value(r)}
            short = name in _SHORT_MULTIPLES
            readings = readings | times if short or not times else times
        senses, stop, rate = _unit(text, match.start(), end, multiple, factor)
        yield Quantity(
            start=match.start(),
            end=stop,
            number_end=end,
            readings=frozenset(readings),
            bare=frozenset(bare),
            negative=token[0] in "-−",
            senses=senses,
            rate=rate,
            named=not senses and text[max(0, match.start() - 1) : match.start()].isalpha(),
        )


def _in_words(text: str, lang: Language) -> Iterator[Quantity]:
    end = 0
    for match in _WORD.finditer(text):
        value = _stands_for(match.group(), lang) if match.start() >= end else None  # "cinque per cento" has no hundred
        if value is None:
            continue
        word = fold(match.group())
        reading = frozenset({str(value)})
        if percent := _PERCENT.match(text, match.end()):
            end = percent.end()
            yield Quantity(
                start=match.start(),
                end=end,
                number_end=match.end(),
                readings=reading,
                bare=reading,
                percent=True,
                senses=PERCENT,
                worded=True,
            )
            continue
        multiple = _MULTIPLE.match(text, match.end())
        if multiple is not None and multiple.group(1).lower() in _SHORT_MULTIPLES:
            multiple = None
        factor = _MULTIPLES[multiple.group(1).lower()] if multiple else Decimal(1)
        senses, end, rate = _unit(text, match.start(), match.end(), multiple, factor)
        # "una" and "sei" are figures and other words too: such a word counts only before a unit.
        following = _WORD.search(text, match.end())
        if following and fold(following.group()) in lang.review["fractions"].split():
            continue  # "tre quarti"
        if word in lang.review["no_figures"].split() and (not senses or value == 1):
            continue
        yield Quantity(
            start=match.start(),
            end=end,
            number_end=match.end(),
            readings=frozenset({_plain(value * factor)}),
            bare=reading,
            senses=senses,
            rate=rate,
            worded=True,
        )


@lru_cache(maxsize=16384)
def _stands_for(word: str, lang: Language) -> int | None:
    return _number_word(fold(word), lang)


def _number_word(word: str, lang: Language) -> int | None:
    """What a word stands for, `trentasei` put together from its parts; None where it is no figure."""
    if word in lang.numbers:
        return lang.numbers[word]
    if not 6 <= len(word) <= _LONGEST_WORD or not lang.number_parts:
        return None
    for part, factor in lang.number_parts.items():
        if part in word:
            before, _, after = word.partition(part)
            times = 1 if not before else _number_word(before, lang)
            rest = 0 if not after else _number_word(after, lang)
            if times is None or rest is None or rest >= factor or (factor == 100 and times > 9):
                continue
            return times * factor + rest
    for tens, value in lang.numbers.items():
        if 20 <= value < 100 and word.startswith(tens[:-1]):
            rest = lang.numbers.get(word.removeprefix(tens), lang.numbers.get(word.removeprefix(tens[:-1])))
            if rest is not None and 1 <= rest <= 9:
                return value + rest
    return None


def _unit(text: str, start: int, end: int, multiple: re.Match[str] | None, factor: Decimal) -> tuple[Senses, int, str]:
    """The senses of the unit of a number at `text[start:end]`, where all of it ends, and per what it is."""
    before = _BEFORE.search(text, max(0, start - 6), start)
    if before:
        senses = senses_of(before.group(1) or before.group(2))
        stop = multiple.end() if multiple else end
        rate, stop = _rate(text, stop)
        return _times(senses, factor), stop, rate
    after = multiple.end() if multiple else end
    match = _UNIT.match(text, after)
    senses = () if match is None else senses_of(match.group(1), glued=text[after : after + 1].isalpha())
    if match is not None and senses:
        rate, stop = _rate(text, match.end())
        return _times(senses, factor), stop, rate
    if multiple:
        name = multiple.group(1).lower()
        own = senses_of(name) if name in _SHORT_MULTIPLES else ()
        return own or (("", factor),), multiple.end(), ""
    return (), end, ""


def _times(senses: Senses, factor: Decimal) -> Senses:
    return senses if factor == 1 else tuple((dimension, own * factor) for dimension, own in senses)


def _rate(text: str, position: int) -> tuple[str, int]:
    """Per what a figure is that ends there, and where that ends: "12 euro al mese"."""
    if (word := _RATE_WORD.match(text, position)) is not None:
        return word.lastgroup or "", word.end()
    end = position
    for _ in range(2):  # "2,50 € a pezzo al giorno"
        match = _RATE.match(text, end)
        if match is None:
            break
        name, end = fold(match.group(1)), match.end()
        unit = named_unit(name)
        if unit in ("h", "day", "week", "month", "year", "s", "min"):
            return unit, end
    return "", position


def _readings(token: str) -> set[str]:
    if ":" in token:
        return {re.sub(r"^0(?=\d:)", "", token)}  # 03:15 is 3:15
    separators = re.sub(r"\d", "", token)
    if not separators:
        return {_plain(Decimal(token))}
    if not separators.strip(" \u00a0\u202f'’"):  # 12 345 and 12'345
        return {_plain(Decimal(re.sub(r"\D", "", token)))}
    if len(set(separators)) > 1:  # 1.234,56 or 1,234.56: the last separator is the decimal one
        whole, _, cents = token.rpartition(separators[-1])
        return {_plain(Decimal(re.sub(r"\D", "", whole) + "." + cents))}
    groups = re.split(r"[.,]", token)
    thousands = 1 <= len(groups[0]) <= 3 and groups[0] != "0" and all(len(group) == 3 for group in groups[1:])
    readings = {_plain(Decimal("".join(groups)))} if thousands else set()
    if len(groups) == 2:
        # Where both readings are possible the decimal one keeps its zeros: 3.000 may be 3000, but it is no 3.
        readings.add(".".join(groups) if thousands else _plain(Decimal(".".join(groups))))
        if len(groups[0]) <= 2 and len(groups[1]) == 2:
            readings.add(":".join((str(int(groups[0])), groups[1])))  # 14.30 may be a time
    elif not thousands:
        readings.add(".".join(groups))  # a version, or a date: compared as written
    return readings


def _is_value(reading: str) -> bool:
    return reading.count(".") <= 1 and ":" not in reading


def _plain(value: Decimal) -> str:
    digits = format(value, "f")  # exact, however long: `normalize` would round to the context's precision
    return digits.rstrip("0").rstrip(".") if "." in digits else digits
