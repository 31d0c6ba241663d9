"""Finds the figures in a text, with their possible values and units of measure, and decides whether two are equal.

A figure may have several values: `94.603` means one number in Italy and another in England. `95K`, `95 mila` (Italian
for 95 thousand) and `95000` are equal, and so are `1,5 s` and `1500 ms`; `3 giorni` (days) and `3 ore` (hours) are not.
The units are in units.toml, the words around figures in numbers.toml.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from decimal import Decimal
from functools import lru_cache
from itertools import pairwise
from typing import Any

from cervella.text.language import Language, fold, known_languages, language
from cervella.text.number_words import NumberWord, multiples, number_words, plain, units_file, words_around

Senses = tuple[tuple[str, Decimal], ...]
"""The meanings of a unit: for each, its dimension, such as `time`, and its factor to the dimension's basic unit."""

_NUMBER = re.compile(
    # A digit, or a sign where no range or name stands before it and then a digit. It is so written because a pattern
    # that begins with a set is several times as fast as one that begins with a lookbehind.
    r"[-−\d](?:(?<=\d)|(?<![\w.,)%€$].)\d)"
    r"(?:\d?[hH]\d\d(?!\w)|\d{0,2}(?:[ \u00a0\u202f\u2009'’]\d{3})+(?:[.,]\d{1,2})?(?![\d.,]*\d)|\d*(?:[.,:]\d+)*)"
)
_HOURS_AND_MINUTES = re.compile(r"(\d{1,2})h(\d\d)", re.IGNORECASE)
_WORD = re.compile(r"[^\W\d_]+")
_BEFORE = re.compile(r"(?:(?<!\w)(EUR|USD|GBP|CHF|BRL|US\$|R\$)|([€$£]))\s?[-−]?$", re.IGNORECASE)
_BEFORE_ENDS = frozenset("rdpflRDPFL€$£")
"""The last characters of what `_BEFORE` finds: a quick test."""
_NO_UNIT = re.compile(r"\s?(?:[|;)\]]|[.,](?:\s|$)|$)")
_NOTHING_AFTER = re.compile(r"\s?+(?:[\s|;:,.)\](\[{}=<>*_`\"«»“”…\-–—]|$)")
"""Follows a figure that is alone: no unit, multiple, percent sign, rate, half or word of the clock begins so."""
_MOST_DIGITS = 30
"""Maximum number of digits of a number. A longer sequence is a code and is only compared as written."""
_SIGNED = frozenset({"temperature", "fahrenheit"})
MONEY = frozenset({"eur", "usd", "gbp", "chf", "brl"})
_ALONE = frozenset("hmsgklq€$£")
"""Single characters that are units also with a space before them. Others must follow the figure directly."""
_RATES = ("yearly", "monthly", "weekly", "daily")
_RATE_UNITS = dict(zip(_RATES, ("year", "month", "week", "day"), strict=True))
_PATTERNS = {
    # The names in braces are keys of numbers.toml: the words of all languages.
    "multiple": r"\s?({multiples})\b",
    "percent": r"\s?(?:%|(?:{percent})\b)",
    "unit": r"\+?\s?(?:(?:{of})(?:\s|(?<=['’])))?([€$£]|°\s?[CF]\b|µs|[cdk]?m[23²³](?!\w)"
    r"|[^\W\d_]+ (?:celsius|fahrenheit)\b"
    r"|(?:{compound_units})(?!\w)|(?!(?:{article})['’])[^\W\d_]+)",  # the l of "49 l'anno" is no litre
    "rate": r"\s?(?:/|{per})\s?([^\W\d_]+)",
    "rate_word": r"\s?(?:" + "|".join(f"(?P<{name}>{{{name}}})" for name in _RATES) + r")\b",
    "less": r"\b(?P<unless>(?:{unless}) )?(?:{minus}) $",
    "below_zero": r"\s?(?:{below_zero})\b",
    "range": r"[^\S\n]?[-–—/~÷][^\S\n]?|\s?(?:{range})\s?",
    "cents": r" (?:{and}) ",
    "and_half": r"\s(?:{and_half})\b|½",
    "clock": r"\s?(?:(?P<before>{before_noon})|(?P<after>{after_noon})|(?:{clock}))(?!\w)",
    # One of `multiple`, `percent`, `clock` and `and_half`, or nothing of them is there.
    "after": r"\s?(?:(?:{multiples}|{percent})\b|%|(?:{before_noon}|{after_noon}|{clock})(?!\w))|\s(?:{and_half})\b|½",
    "out_of": r" [^\W\d_]+ (?:{out_of}) ",
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Quantity:
    """A figure in a text, with its unit of measure if it has one."""

    start: int
    end: int
    """Positions in the text, of the number with its sign, multiple, unit and rate."""
    readings: frozenset[str]
    """Its possible values, as digits, with the multiple that follows it: `95K` may be 95 or 95000."""
    bare: frozenset[str]
    """Its possible values without that multiple: only 95 for `95K`."""
    negative: bool = False
    percent: bool = False
    senses: Senses = ()
    """The meanings of its unit, see `Senses`; empty if it has no known unit."""
    rate: str = ""
    """The unit of time of a rate: `month` in "12 euro al mese" (12 euros a month); empty if it is no rate."""
    named: bool = False
    """Whether it is a part of a name, such as the 3 of "V3"."""

    def asked(self) -> frozenset[str]:
        """The values of this figure in a claim, with its signs. A passage must have one of them among its `offered`."""
        sign, unit = "-" if self.negative else "", "%" if self.percent else ""
        return frozenset(f"{sign}{reading}{unit}" for reading in self.readings)

    def offered(self) -> set[str]:
        """The values that a claim may take from this figure in a passage.

        -5 also offers 5, because a claim may say "5 less". 20 also offers 20%: it may be in a column of percentages.
        """
        values = {f"{reading}%" for reading in self.readings}
        values |= set() if self.percent else self.readings
        values |= {part for reading in self.readings if "." in reading for part in reading.split(":")}  # address:port
        values |= {reading.removesuffix(":00") for reading in self.readings if reading.count(":") == 1}  # at 9 is 9:00
        return values | ({f"-{value}" for value in values} if self.negative else set())

    def measures(self) -> frozenset[tuple[str, Decimal]]:
        """Pairs of dimension and value in its basic unit, for each possible value and each meaning of the unit."""
        return _measures(self.bare, self.senses)

    def values(self) -> list[tuple[Decimal, str]]:
        """Pairs of value and dimension, the value in the dimension's basic unit.

        Without a known unit, the values are those written, and the dimension is empty.
        """
        measures = [(value, dimension) for dimension, value in self.measures() if dimension]
        if measures:
            return measures
        plain = self.readings - self.bare or self.readings
        return [(Decimal(reading), "") for reading in sorted(plain) if _is_value(reading)]

    @property
    def dimensions(self) -> frozenset[str]:
        """The dimensions that the unit may measure, such as `time`."""
        return frozenset(dimension for dimension, _ in self.senses)

    @property
    def whole(self) -> int | None:
        """Its value, if exactly one of the values in `bare` is a whole number; else None."""
        values = {value for reading in self.bare if (value := whole_number(reading)) is not None}
        return values.pop() if len(values) == 1 else None


@lru_cache(maxsize=4096)
def _measures(bare: frozenset[str], senses: Senses) -> frozenset[tuple[str, Decimal]]:
    # 3.000 is 3000 or 3, and in another unit nothing decides between them: it is read as thousands.
    whole = {reading for reading in bare if reading.isdigit()} or bare
    values = [Decimal(reading) for reading in whole if _is_value(reading)]
    return frozenset((dimension, (value * factor).normalize()) for value in values for dimension, factor in senses)


def whole_number(reading: str) -> int | None:
    """The value of a reading (a possible value of a figure, as text) that has digits only.

    None for any other reading, and for one of more than 30 digits.

    >>> whole_number("94603"), whole_number("94.603"), whole_number("9" * 5000)
    (94603, None, None)
    """
    return int(reading) if reading.isdigit() and len(reading) <= _MOST_DIGITS else None


def same_value(claimed: Quantity, other: Quantity) -> bool:
    """Whether a claim's figure and another, of a passage, may have the same value, in any notation and unit."""
    if claimed.negative != other.negative and (claimed.dimensions | other.dimensions) & _SIGNED:
        return False  # less 5 is a fall of 5, but -18 °C is no 18 °C
    if claimed.asked() & other.offered():
        return True
    shared = {pair for pair in claimed.measures() & other.measures() if pair[0]}
    return bool(shared) and claimed.negative <= other.negative


def same_unit(claimed: Quantity, other: Quantity) -> bool:
    """Whether the units of a claim's figure and another one of the same value may be the same.

    A figure without a known unit is compatible with any unit.
    """
    if claimed.rate and other.rate and claimed.rate != other.rate:
        return False
    if not claimed.senses or not other.senses:
        return True
    ours, theirs = claimed.measures(), other.measures()
    if not ours or not theirs:  # a time, a version: compared as written
        return bool(claimed.dimensions & other.dimensions)
    if ours & theirs:
        return True
    # "95 mila" of what is not said: of anything.
    return any(one == other and not (own and its) for own, one in ours for its, other in theirs)


def quantities(
    text: str,
    lang: Language | None = None,
    *,
    apart: Sequence[tuple[int, int]] = (),
    in_words: Sequence[NumberWord] | None = None,
) -> list[Quantity]:
    """The figures in a text, in order. With `lang`, also those in words of this language, if they can mean only that.

    `apart` are start and end of parts such as dates: no figure crosses the edge of one, and no number words in one are
    read. `in_words` are the number words of the text, if they were read before. This example has 36 hours and 12.5 €:

    >>> from cervella.text.language import language
    >>> [(sorted(q.readings), q.senses[0][0]) for q in quantities("trentasei ore, 12,5 €", language("it"))]
    [(['36'], 'time'), (['12.5'], 'eur')]
    """
    edges = sorted({0, len(text), *(edge for span in apart for edge in span)})
    matches = (match for start, end in pairwise(edges) for match in _NUMBER.finditer(text, start, end))
    found = [_quantity(text, *match.span(), _readings(match.group().lstrip("-−"))) for match in matches]
    if lang is not None:
        taken = [*apart, *((quantity.start, quantity.end) for quantity in found)]
        found += _in_words(text, lang, number_words(text, lang) if in_words is None else in_words, taken)
    found.sort(key=lambda quantity: quantity.start)
    return _ranges(text, _with_cents(text, found))


def _quantity(text: str, start: int, end: int, bare: frozenset[str], *, worded: bool = False) -> Quantity:
    """The figure at `text[start:end]`, with the percent sign, multiple, unit, rate and minus sign that belong to it.

    `bare` are the values of its digits. `worded` says that it is a number word.
    """
    negative = text[start] in "-−"
    readings, factor = bare, Decimal(1)
    is_time = "h" in text[start:end].lower()
    if not is_time and _NOTHING_AFTER.match(text, end):  # most cells of tables
        senses, stop, rate = _currency_before(text, start) or (), end, ""
    elif not is_time and not _pattern("after").match(text, end):  # most others
        senses, stop, rate = _unit(text, start, end)
    else:
        if time := None if negative else _of_the_clock(text, start, end, bare):
            return time
        bare, after = _with_half(text, end, bare)
        if percent := _pattern("percent").match(text, after):
            senses = senses_of("%")
            return Quantity(
                start=start, end=percent.end(), readings=bare, bare=bare, negative=negative, percent=True, senses=senses
            )
        multiple, readings = _pattern("multiple").match(text, after), bare
        name = multiple.group(1).lower() if multiple else ""
        short = _is_short(name)
        if multiple and not (short and worded):
            factor = multiples()[name]
            bare, after = _with_half(text, multiple.end(), bare)
            times = frozenset(plain(Decimal(reading) * factor) for reading in bare if _is_value(reading))
            readings = bare | times if short or not times else times
        senses, stop, rate = _unit(text, start, after)
        if factor != 1:
            own = tuple((dimension, one * factor) for dimension, one in senses)
            senses = own or (senses_of(name) if short else ()) or (("", factor),)
    if senses and factor == 1:
        bare, stop = _with_half(text, stop, bare)
        readings = bare
    named = not senses and not worded and text[max(0, start - 1) : start].isalpha()
    if senses and not negative and not _SIGNED.isdisjoint(dimension for dimension, _ in senses):
        below = _pattern("below_zero").match(text, stop)
        less = _pattern("less").search(text[max(0, start - 12) : start])
        negative, stop = bool(below or (less and not less["unless"])), below.end() if below else stop
    return Quantity(
        start=start, end=stop, readings=readings, bare=bare, negative=negative, senses=senses, rate=rate, named=named
    )


def _of_the_clock(text: str, start: int, end: int, bare: frozenset[str]) -> Quantity | None:
    """The time of day at `text[start:end]`, with the words after it; None if there is none.

    "2:30 PM" is 14:30, "15 Uhr" (German) is 15:00, "14h30" is 14:30. `bare` are the values of its digits.
    """
    if match := _HOURS_AND_MINUTES.fullmatch(text, start, end):
        minutes = 60 * int(match[1]) + int(match[2])  # 1h30 may also be a duration of 90 minutes
        return Quantity(start=start, end=end, readings=bare, bare=frozenset({str(minutes)}), senses=senses_of("min"))
    match = _pattern("clock").match(text, end)
    times = [(reading if ":" in reading else f"{reading}:00") for reading in bare if _is_hour(reading)]
    if match is None or not times:
        return None
    if not (match["before"] or match["after"]):
        senses, stop, rate = _unit(text, start, end)
        stop = max(stop, match.end())
        return Quantity(start=start, end=stop, readings=bare.union(times), bare=bare, senses=senses, rate=rate)
    hour, _, rest = times[0].partition(":")
    exact = f"{int(hour) % 12 + (12 if match['after'] else 0)}:{rest}"
    return Quantity(start=start, end=match.end(), readings=frozenset({exact}), bare=frozenset({exact}))


def _is_hour(reading: str) -> bool:
    hour = whole_number(reading.partition(":")[0])
    return hour is not None and hour <= 24 and reading.count(":") <= 1 and "." not in reading


def _with_half(text: str, end: int, bare: frozenset[str]) -> tuple[frozenset[str], int]:
    """The values in `bare` of a whole figure, increased by the half that follows at `end`, and the end of that half.

    "due e mezzo" (two and a half) is 2.5; after millions, the half is half a million. Without a half, `bare` and `end`.
    """
    half = _pattern("and_half").match(text, end)
    whole = None if half is None or len(bare) > 1 else whole_number(next(iter(bare)))
    if half is None or whole is None:
        return bare, end
    step = next((step for step in (10**6, 1000) if whole and not whole % step), 1)
    return frozenset({plain(whole + Decimal(step) / 2)}), half.end()


def _with_cents(text: str, found: Iterable[Quantity]) -> list[Quantity]:
    """The figures, with an amount and its cents as one: "1 euro e 12 centesimi" (1 euro and 12 cents) is 1.12."""
    joined: list[Quantity] = []
    for quantity in found:
        last = joined[-1] if joined else None
        if last is None or not last.senses or last.dimensions.isdisjoint(MONEY):
            joined.append(quantity)
            continue
        cents = quantity.whole if quantity.senses == senses_of("cent") or _ends(text, quantity) else None
        whole = next((reading for reading in last.bare if reading.isdigit()), "")
        if (
            not (whole and cents in range(100))
            or last.readings != last.bare
            or not _pattern("cents").fullmatch(text, last.end, quantity.start)
        ):
            joined.append(quantity)
            continue
        value = frozenset({plain(Decimal(f"{whole}.{cents:02}"))})
        joined[-1] = replace(last, end=quantity.end, readings=value, bare=value, rate=quantity.rate)
    return joined


def _ends(text: str, figure: Quantity) -> bool:
    """Whether a number of two digits has no unit and no word after it: the 30 of "sette euro e trenta"."""
    return not figure.senses and len(next(iter(figure.bare))) == 2 and _NO_UNIT.match(text, figure.end) is not None


def _ranges(text: str, found: list[Quantity]) -> list[Quantity]:
    """The figures, with the unit that a range has only once given to both its ends: "5-6 giorni" (days), "$175-438"."""
    pairs = range(len(found) - 1) if any(one.senses for one in found) else ()
    for n in (*reversed(pairs), *pairs):
        one, other = found[n], found[n + 1]
        if bool(one.senses) is bool(other.senses) or not _pattern("range").fullmatch(text, one.end, other.start):
            continue
        if other.senses and not (other.percent and one.end == other.start):
            found[n] = replace(one, senses=other.senses, rate=other.rate)
        elif "usd" in one.dimensions:
            rate, end = _rate(text, other.end)
            found[n : n + 2] = replace(one, rate=rate), replace(other, senses=one.senses, rate=rate, end=end)
    return found


def _in_words(
    text: str, lang: Language, words: Sequence[NumberWord], taken: Sequence[tuple[int, int]]
) -> Iterator[Quantity]:
    """Yields the figures of the number words `words`, except those inside one of the spans `taken`."""
    if not words:
        return
    covered, end = {place for start, stop in taken for place in range(start, stop)}, 0
    starts = {word.start for word in words}
    no_figures, fractions = (lang.review.get(key, "").split() for key in ("no_figures", "fractions"))
    for word in words:
        # The "cento" of "20 per cento" is no figure, nor is the "zero" of "5 gradi sotto zero".
        if word.ordinal or word.start < end or not covered.isdisjoint((word.start, word.end - 1)):
            continue
        quantity = _quantity(text, word.start, word.end, frozenset({word.value}), worded=True)
        following = _WORD.search(text, word.end)
        # "una" and "sei" are figures and other words too: such a word counts only before a unit. "tre quarti" is no 3.
        unsure = word.unsure or fold(text[word.start : word.end]) in no_figures
        ratio = _pattern("out_of").match(text, word.end)
        if ratio and ratio.end() in starts:
            unsure = unsure and word.value == "1"  # "sei pazienti su dieci"
        parted = following is not None and fold(following.group()) in fractions
        parted = parted and len(word.value) == 1
        if not parted and not (unsure and (not quantity.senses or quantity.bare == {"1"})):
            yield quantity
        end = quantity.end


def _unit(text: str, start: int, end: int) -> tuple[Senses, int, str]:
    """The meanings of the unit of a number at `text[start:end]`, the end of unit and rate, and the rate's time unit."""
    currency = _currency_before(text, start)
    if currency is not None:
        senses, stop = currency, end
    else:
        match = _pattern("unit").match(text, end)
        senses = senses_of(match.group(1), glued=text[end : end + 1].isalpha()) if match else ()
        stop = match.end() if match else end
    rate, stop = _rate(text, stop) if senses else ("", end)
    return senses, stop, rate


def _currency_before(text: str, start: int) -> Senses | None:
    """The meanings of the currency before a number; None if there is none."""
    if _BEFORE_ENDS.isdisjoint(text[max(0, start - 3) : start]):
        return None
    before = _BEFORE.search(text, max(0, start - 6), start)
    return senses_of(before.group(1) or before.group(2)) if before else None


def _rate(text: str, position: int) -> tuple[str, int]:
    """The unit of time of a rate that begins at `position`, and its end: `month` for "al mese" ("a month").

    The unit is empty, and the end is `position`, if there is no rate.
    """
    if _NOTHING_AFTER.match(text, position):
        return "", position
    if (word := _pattern("rate_word").match(text, position)) is not None:
        return _RATE_UNITS[word.lastgroup or ""], word.end()
    end = position
    for _ in range(2):  # "2,50 € a pezzo al giorno"
        match = _pattern("rate").match(text, end)
        if match is None:
            break
        end = match.end()
        unit = _unit_named(match.group(1))
        if unit in ("h", "day", "week", "month", "year", "s", "min"):
            return unit, end
    return "", position


@lru_cache(maxsize=4096)
def _readings(token: str) -> frozenset[str]:
    if match := _HOURS_AND_MINUTES.fullmatch(token):
        return frozenset({f"{int(match[1])}:{match[2]}"})
    if ":" in token:
        return frozenset({re.sub(r"^0(?=\d:)", "", token)})  # 03:15 is 3:15
    separators = re.sub(r"\d", "", token)
    if not separators:
        return frozenset({plain(Decimal(token))})
    if not separators.strip(" \u00a0\u202f\u2009'’"):  # 12 345 and 12'345
        return frozenset({plain(Decimal(re.sub(r"\D", "", token)))})
    if len(set(separators)) > 1:  # 1.234,56 or 1,234.56: the last separator is the decimal one
        whole, _, cents = token.rpartition(separators[-1])
        return frozenset({plain(Decimal(re.sub(r"\D", "", whole) + "." + cents))})
    groups = re.split(r"[.,]", token)
    thousands = 1 <= len(groups[0]) <= 3 and groups[0] != "0" and all(len(group) == 3 for group in groups[1:])
    readings = {plain(Decimal("".join(groups)))} if thousands else set()
    if len(groups) == 2:
        # Where both readings are possible the decimal one keeps its zeros: 3.000 may be 3000, but it is no 3.
        readings.add(".".join(groups) if thousands else plain(Decimal(".".join(groups))))
        if len(groups[0]) <= 2 and len(groups[1]) == 2:
            readings.add(":".join((str(int(groups[0])), groups[1])))  # 14.30 may be a time
    elif not thousands:
        readings.add(".".join(groups))  # a version, or a date: compared as written
    return frozenset(readings)


def _is_value(reading: str) -> bool:
    return reading.count(".") <= 1 and ":" not in reading


# Units of measure


@lru_cache(maxsize=4096)
def senses_of(name: str, *, glued: bool = True) -> Senses:
    """The meanings of a unit by its name; empty if no unit has it.

    `glued` says that the name directly follows a figure. A single letter that does not is rarely a unit.
    """
    if not glued and len(name) == 1 and fold(name) not in _ALONE:
        return ()
    unit = _unit_named(name)
    known: Mapping[str, Senses] = _units()["senses"]
    return known.get(unit, ((unit, Decimal(1)),)) if unit else ()


def unit_of(header: str) -> Senses:
    """The meanings of the unit in a column's header, such as days in "Durata (giorni)", Italian for "duration (days)".

    Empty if the header names no unit, or several.
    """
    distinct = {senses for name in re.findall(r"[€$£%]|[^\W\d_]{2,}", header) if (senses := senses_of(name))}
    return distinct.pop() if len(distinct) == 1 else ()


def _unit_named(name: str) -> str:
    """The unit, as a key of units.toml, of a name or a symbol; empty if there is none.

    Of several words the last one decides: "gradi Celsius" (degrees Celsius).
    """
    named: Mapping[str, str] = _units()["named"]
    return named.get(name.lower().replace(" ", "")) or named.get(fold(name).split()[-1], "")


@lru_cache(maxsize=1)
def _units() -> Mapping[str, Any]:
    """`senses`, the meanings of each unit, and `named`, the unit of each name and symbol.

    The names are of all languages, because an answer may be in another language than the notes.
    """
    data = units_file()
    words = [names for code in known_languages() for names in language(code).units.items()]
    named = {fold(name): unit for unit, names in words for name in names.split()}
    senses = {unit: tuple((of, Decimal(factor)) for of, factor in found) for unit, found in data["senses"].items()}
    return {"senses": senses, "named": {**named, **{unit: unit for unit in senses}, **data["symbols"]}}


@lru_cache(maxsize=16)
def _pattern(name: str) -> re.Pattern[str]:
    words = {key: words_around(key) for key in re.findall(r"\{(\w+)\}", _PATTERNS[name]) if key != "multiples"}
    words["multiples"] = "|".join(multiples())
    return re.compile(_PATTERNS[name].format(**words), 0 if name == "range" else re.IGNORECASE)


@lru_cache(maxsize=256)
def _is_short(name: str) -> bool:
    """Whether a multiplier is so short that it may be a unit of measure instead: `m` is million or metre."""
    return name in units_file()["multiples"] or re.fullmatch(words_around("short"), name) is not None
