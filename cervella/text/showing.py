"""Whether a text holds a thing of the kind that a question asks for: a price, an hour, a person.

Figures, money, dates and units are read as in every language of the library; further words are in the asking.toml of
the language's folder.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from functools import cached_property, lru_cache
from itertools import islice
from typing import Literal, TypeAlias

from cervella.text.asking_words import listed, pattern
from cervella.text.capitals import Capital, capitals
from cervella.text.detection import language_of
from cervella.text.folding import fold, fold_in_place
from cervella.text.language import Language, read_dates
from cervella.text.number_words import number_words
from cervella.text.quantities import MONEY, Quantity, quantities, senses_of

Kind: TypeAlias = Literal[
    "person",
    "place",
    "time",
    "duration",
    "price",
    "quantity",
    "yes_no",
    "reason",
    "list",
    "procedure",
    "contact",
    "definition",
    "comparison",
    "tasks",
    "choice",
]
"""A kind of thing that a question asks for."""

_LONGEST = 10_000
"""Maximum number of characters of a text that are read."""
_DURATIONS = frozenset({"time", "months"})
_MAIL = re.compile(r"[\w.+-]{1,64}@[\w-]{1,63}\.\w")
_WEB = re.compile(
    r"https?://\S|\bwww\.\w|(?<![\w@.])@\w{3}|(?<![\w.@/-])[\w-]{2,63}\.(?:com|org|net|eu|it|de|es|pt|br|ch|at|uk)(?![\w.-])",
    re.IGNORECASE,
)
_PHONE = re.compile(r"(?<![\w.,/:€$£+-])(?:\+|00)?\(?\d(?:[ .()/\-\u00a0\u202f]{0,2}\d){5,16}(?![\w%€$£])(?![.,:/]\d)")
_GROUPED = re.compile(r"\d{1,3}(?:[ .'\u00a0\u202f]\d{3})+")
_CLOCK = re.compile(
    r"(?<![\d.,:])(?:[01]?\d|2[0-4])(?::[0-5]\d(?![\d:])|[hH](?:[0-5]\d)?(?![\w]))|(?<!\w)[hH]\.? ?\d{1,2}(?!\w)"
)
_DOTTED = re.compile(r"(?<![\d.,:€$£])(?<![€$£] )(?:[01]?\d|2[0-4])\.[0-5]\d(?![\d%€$£])(?![.,:/]\d)")
_HOUR = re.compile(r"(?:[01]?\d|2[0-4])(?:[.:,][0-5]\d)?(?![\d%°€$£])(?![.,:/]\d)")
_HOURS = re.compile(r"(?<![\d.,:/+-])(?:[01]?\d|2[0-4]) ?[-–—/] ?(?:[01]?\d|2[0-4])(?![\d:/%]|[.,]\d)")
_YEAR = re.compile(r"(?<![\d.,:/-])(?:19|20)\d\d(?![\d%]|[.,:/]\d)")
_SHORT_DATE = re.compile(r"(?<![\d./:,-])(?:[0-2]?\d|3[01])/(?:0?\d|1[0-2])(?![\d/])")
_LIST_NUMBER = re.compile(r"\s*(?:[-*+•]\s+)?\d{1,3}[.)]\s")

_WORD = re.compile(r"[^\W\d_][^\W_]*(?:[-'’][^\W\d_]+)*")
_NEXT_WORD = re.compile(r"[ '’]?([^\W\d_]+)")
_STOP_OR_FIGURE = re.compile(r"[.:]|\s?[-–—/&+,]|\s\d")
_SWISS = re.compile(r"\d[.,] ?[-–—]{1,2}(?!\w)")
_DIGIT = re.compile(r"\d")
_FRACTIONS = frozenset({"1/2", "1/3", "2/3", "1/4", "3/4", "1/5", "1/8", "1/10"})
_DASHES = "-–—/"
_HOURS_OF_DAY = 24
_FEWEST_DIGITS = 8
"""Minimum number of digits of a telephone number that begins neither with 0 nor with + and has no word before it."""
_LONGEST_PAIR = 3
"""Minimum length of the longest group of its digits."""
_IN_WORDS = frozenset({"place", "time", "duration", "price", "quantity"})
"""The kinds that words may show without a figure: they are read in the language of the text too."""
_SHORT_LINE = 5
"""Maximum number of words of a line below a heading that may be a price without its unit: `11 with fitting`."""
_WORDS_OF_CELL = 2
"""Maximum number of words of a cell, such as `Cellar`, that may be a place without any other sign."""


def shows(text: str, kind: Kind, lang: Language) -> bool | None:
    """Whether a text, such as a sentence, a row of a table or an item of a list, holds a thing of that kind.

    None where a text cannot tell it; a reason is True or None. Only the first 10,000 characters are read. `lang` is the
    language of the base; figures with their units and currencies are those of any language.

    >>> from cervella.text.language import language
    >>> it = language("it")
    >>> shows("Colonnina da 11 kW.", "price", it), shows("Colonnina: 0,45 €/kWh.", "price", it)
    (False, True)
    >>> shows("La apre Marta.", "person", it), shows("La apre alle 9.", "person", it), shows("Sì.", "yes_no", it)
    (True, False, None)
    """
    rule = _RULES.get(kind)
    if rule is None:
        return None
    text = text[:_LONGEST]
    shown = rule(_read(text, lang))
    if shown is False and kind in _IN_WORDS and (own := _own_language(text, lang)) is not lang:
        return rule(_read(text, own))  # a Spanish sentence in an Italian base
    return shown


@lru_cache(maxsize=512)
def _own_language(text: str, lang: Language) -> Language:
    return language_of(text, lang)


class _Read:
    """A text with its figures, sorted by what they are. Each property is computed on first use."""

    def __init__(self, text: str, lang: Language) -> None:
        self.text = text
        self.lang = lang

    @cached_property
    def folded(self) -> str:
        return fold_in_place(self.text)

    @cached_property
    def quantities(self) -> tuple[Quantity, ...]:
        """All figures but those that are parts of names, such as the 3 of "V3"."""
        return tuple(one for one in quantities(self.text, self.lang) if not one.named)

    @cached_property
    def figures(self) -> tuple[Quantity, ...]:
        """The figures that are no hour, date or telephone number, and that name nothing."""
        marker = _LIST_NUMBER.match(self.text)
        apart = [*self.times, *self.contacts, *([marker.span()] if marker else [])]
        found = (one for one in self.quantities if one.start not in self.labelled)
        return tuple(one for one in found if not _overlaps((one.start, one.end), apart))

    @cached_property
    def labelled(self) -> frozenset[int]:
        """Where the numbers start that name a thing and count nothing: room 12, order no. 340, version 2.10."""
        return _labelled(self.folded, self.lang) if self.quantities else frozenset()

    @cached_property
    def dates(self) -> tuple[tuple[int, int], ...]:
        return tuple((one.start, one.end) for one in read_dates(self.text, self.lang))

    @cached_property
    def times(self) -> tuple[tuple[int, int], ...]:
        """Start and end of each date, year and hour."""
        hours = _hours(self.text, self.folded, self.lang, self.quantities)
        hours = (span for span in hours if span[0] not in self.labelled and not _overlaps(span, self.contacts))
        times = [*self.dates, *hours]
        starts, ends = {start for start, _ in times}, {end for _, end in times}
        ranges = (
            one
            for one in self.quantities
            if (one.start - 1 in ends and self.text[one.start - 1] in _DASHES)
            or (one.end + 1 in starts and self.text[one.end] in _DASHES)
        )
        return (*times, *((one.start, one.end) for one in ranges))

    @cached_property
    def contacts(self) -> tuple[tuple[int, int], ...]:
        """Start and end of each telephone number, mail address and web address."""
        phones = _phones(self.text, self.folded, self.lang, self.labelled) if self.quantities else ()
        return (*self.addresses, *(span for span in phones if not _overlaps(span, self.dates)))

    @cached_property
    def addresses(self) -> tuple[tuple[int, int], ...]:
        """Start and end of each mail address and web address."""
        return tuple(match.span() for form in (_MAIL, _WEB) for match in form.finditer(self.text))

    @cached_property
    def capitals(self) -> tuple[Capital, ...]:
        found = capitals(self.text, self.folded, self.lang)
        return tuple(one for one in found if not _overlaps((one.start, one.end), self.addresses))

    @cached_property
    def speaks_of_time(self) -> bool:
        return _speaks_of_time(self.text, self.folded, self.lang)

    def has(self, key: str) -> bool:
        """Whether a phrase of asking.toml occurs."""
        return pattern(self.lang, key).search(self.folded) is not None


_read = lru_cache(maxsize=512)(_Read)


def _overlaps(span: tuple[int, int], spans: Iterable[tuple[int, int]]) -> bool:
    return any(start < span[1] and span[0] < end for start, end in spans)


# Figures, sorted


def _labelled(folded: str, lang: Language) -> frozenset[int]:
    found = pattern(lang, "labels", r"(?:{})(?: (?:{}))?[ .:°]{0,3}(?=\d)").finditer(folded)
    streets = pattern(
        lang, "streets", r"(?:{}) [^\W\d_][\w'’]{0,20}(?: [^\W\d_][\w'’]{0,20}){0,2},? (?=\d)(?!\d{1,2}[:.]\d\d)"
    ).finditer(folded)
    return frozenset(match.end() for matches in (found, streets) for match in matches)


def _phones(text: str, folded: str, lang: Language, labelled: Collection[int]) -> Iterator[tuple[int, int]]:
    """The telephone numbers. A short number is one after a word such as "tel." only."""
    introduced = {match.end() for match in pattern(lang, "phone", r"(?:{})[ :.*_=|]{0,4}(?=[+(\d])").finditer(folded)}
    for match in _PHONE.finditer(text):
        number, (start, end) = match[0], match.span()
        digits, groups = re.sub(r"\D", "", number), re.findall(r"\d+", number)
        if start in labelled:
            continue
        if start not in introduced:
            if _GROUPED.fullmatch(number) or _HOURS.match(text, start) or all(map(_YEAR.fullmatch, groups)):
                continue
            prefixed = number[0] in "+(0" or number.startswith("00")
            if not prefixed and (len(digits) < _FEWEST_DIGITS or max(map(len, groups)) < _LONGEST_PAIR):
                continue
        yield start, end
    for match in pattern(lang, "phone", r"(?:{})[ :.*_=|]{0,4}(\d{3,6})(?! ?[\d€$£%°.,:/])").finditer(folded):
        if not _counts(folded, match.end(1), lang):
            yield match.span(1)


def _hours(text: str, folded: str, lang: Language, figures: Sequence[Quantity]) -> Iterator[tuple[int, int]]:
    """The hours of a day, the years, and dates without a year such as 15/6."""
    measured = {one.start for one in figures if one.senses}
    for one in figures:
        in_words = any(map(str.isalpha, text[one.start : one.end]))  # "9 am", "15 Uhr"
        if in_words and not one.senses and any(":" in reading for reading in one.readings):
            yield one.start, one.end
    yield from (match.span() for match in _CLOCK.finditer(text))
    after = listed(lang, "clock_after")
    words = {word.start: word.end for word in number_words(text, lang) if _is_hour(word.value)}
    for cue in pattern(lang, "clock", r"(?:{})(?: |(?<=['.h])|$)").finditer(folded):
        hour = _HOUR.match(text, cue.end())
        end = hour.end() if hour else words.get(cue.end())
        if end is not None and cue.end() not in measured and _is_followed(folded, end, after):
            yield cue.end(), end
    spoken_of = _speaks_of_time(text, folded, lang)
    if spoken_of or not pattern(lang, "price_words").search(folded):
        yield from (match.span() for match in _DOTTED.finditer(text) if match.start() not in measured)
    if spoken_of:
        found = (match for match in _HOURS.finditer(text) if match.end() not in measured)
        yield from (match.span() for match in found if not _counts(folded, match.end(), lang))
    for dated in (_YEAR, _SHORT_DATE):
        for match in dated.finditer(text):
            if match.start() not in measured and match[0] not in _FRACTIONS and not _counts(folded, match.end(), lang):
                yield match.span()


def _is_hour(value: str) -> bool:
    return value.isdigit() and int(value) <= _HOURS_OF_DAY


def _is_followed(folded: str, end: int, after: Collection[str]) -> bool:
    """Whether nothing is counted by the figure that ends there: a stop follows, or one of some words."""
    following = _NEXT_WORD.match(folded, end)
    return following is None or following[1] in after


def _counts(folded: str, end: int, lang: Language) -> bool:
    """Whether the figure that ends there counts what follows: a word that is no function word."""
    following = _NEXT_WORD.match(folded, end)
    return following is not None and following[1] not in lang.stop_words


def _speaks_of_time(text: str, folded: str, lang: Language) -> bool:
    """Whether a text names a day, a month, a part of the day or another time in words."""
    if pattern(lang, "show_time").search(folded):
        return True
    days, months = _calendar(lang)
    if days.search(folded):
        return True
    short = list(islice(pattern(lang, "weekdays").finditer(folded), 2))
    if len(short) > 1 or any(_STOP_OR_FIGURE.match(folded, match.end()) for match in short):
        return True
    written_large = lang.months[0][0].isupper()
    return any(not written_large or text[match.start()].isupper() for match in months.finditer(folded))


@lru_cache(maxsize=16)
def _calendar(lang: Language) -> tuple[re.Pattern[str], re.Pattern[str]]:
    """The names of the days of the week, and of the months."""
    days, months = ("|".join(re.escape(fold(name)) for name in names) for names in (lang.weekdays, lang.months))
    return re.compile(rf"(?<!\w)(?:{days})s?(?!\w)"), re.compile(rf"(?<!\w)(?:{months})(?!\w)")


# Kinds


def _shows_time(read: _Read) -> bool:
    if read.speaks_of_time or read.times:
        return True
    starts = {match.end() for match in pattern(read.lang, "until", r"(?:{}) ?").finditer(read.folded)}
    after = pattern(read.lang, "until_after", r" ?(?:{})")
    return any(_is_duration(one) and (one.start in starts or after.match(read.folded, one.end)) for one in read.figures)


def _shows_duration(read: _Read) -> bool | None:
    if any(map(_is_duration, read.figures)) or read.has("show_duration"):
        return True
    # From the 3rd to the 10th, from 9 to 5: a stretch of time, which is not said to be one.
    return None if _may_be_in_header(read) or len(read.times) > 1 else False


def _is_duration(one: Quantity) -> bool:
    return not _DURATIONS.isdisjoint(one.dimensions) and "length" not in one.dimensions


def _shows_price(read: _Read) -> bool | None:
    if any(not MONEY.isdisjoint(one.dimensions) for one in read.quantities) or read.has("show_price"):
        return True
    if _has_currency_sign(read.text) or pattern(read.lang, "money", r"(?:{}) ?\d").search(read.folded):
        return True
    if _SWISS.search(read.text):
        return True
    percent = any(one.percent for one in read.figures)
    if read.has("price_words") and (_bare(read) or percent):
        return True
    return None if percent or _may_be_in_header(read) else False


def _bare(read: _Read) -> bool:
    """Whether a text has a figure without a unit that counts nothing: "the room is 90"."""
    return any(not one.senses and not _counts(read.folded, one.end, read.lang) for one in read.figures)


def _may_be_in_header(read: _Read) -> bool:
    """Whether the unit of a figure may stand elsewhere: in the header of its table, or above a short line."""
    short = len(read.text.split()) <= _SHORT_LINE and _DIGIT.search(read.text) is not None
    return ("|" in read.text or short) and _bare(read)


def _has_currency_sign(text: str) -> bool:
    """Whether a figure stands beside the sign of a currency of any country: 20 zł has none, ₹ 20 has one."""
    signs = (place for place, char in enumerate(text) if ord(char) > 127 and unicodedata.category(char) == "Sc")
    return any(_DIGIT.search(text[max(0, place - 2) : place + 3]) for place in signs)


def _shows_quantity(read: _Read) -> bool:
    if read.has("show_quantity"):
        return True
    money = {match.end() for match in pattern(read.lang, "money", r"(?:{}) ?(?=\d)").finditer(read.folded)}
    named = {one.start for one in read.capitals if one.is_name}
    return any(
        MONEY.isdisjoint(one.dimensions)
        and one.start not in money | named
        and not (read.text[one.start].isupper() and one.end + 1 in named)  # "Otto Weber": otto is eight in Italian
        for one in read.figures
    )


def _shows_contact(read: _Read) -> bool | None:
    if read.contacts:
        return True
    return None if read.has("show_contact") else False


def _shows_reason(read: _Read) -> bool | None:
    return read.has("show_reason") or None


def _shows_person(read: _Read) -> bool | None:
    if read.has("show_person") or pattern(read.lang, "firms", r"[^\W\d_]{2}[,.]? (?:{})").search(read.folded):
        return True
    if any(one.is_name for one in read.capitals):
        return True
    return None if read.capitals else False


def _shows_place(read: _Read) -> bool | None:
    places = pattern(read.lang, "before_places", r"(?:{})[ .]{1,2}").finditer(read.folded)
    if read.has("show_place") or any(read.text[match.end() : match.end() + 1].isupper() for match in places):
        return True
    spans = [*read.times, *read.contacts, *((one.start, one.end) for one in read.figures)]
    after = (
        _NEXT_WORD.match(read.folded, cue.end()) for cue in pattern(read.lang, "may_be_place").finditer(read.folded)
    )
    if any(word and not senses_of(word[1]) and not _overlaps(word.span(1), spans) for word in after):
        return None
    words = [] if spans else [match[0] for match in _WORD.finditer(read.text)]
    own = [word for word in words if fold(word) not in read.lang.stop_words]
    return None if 0 < len(own) <= _WORDS_OF_CELL or any(one.is_place for one in read.capitals) else False


_RULES: Mapping[Kind, Callable[[_Read], bool | None]] = {
    "person": _shows_person,
    "place": _shows_place,
    "time": _shows_time,
    "duration": _shows_duration,
    "price": _shows_price,
    "quantity": _shows_quantity,
    "contact": _shows_contact,
    "reason": _shows_reason,
}
"""The kinds that a text can tell."""
