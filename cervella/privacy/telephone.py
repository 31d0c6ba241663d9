"""Finds telephone numbers: valid ones of the base's countries, and of any country with their code.

A number without its country's code may also be an order's or a price: `phonenumbers` says whether it is valid, and the
words and signs around it whether it is meant as one.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING, Any

from cervella.privacy.context import Context

if TYPE_CHECKING:
    from phonenumbers import PhoneNumber

_SPACE = " \u00a0\u2009\u202f"
_RUN = re.compile(
    rf"(?<![^\W_])(?<![^\W_]_)(?<!@)(?<!\d[.,:/-])(?:\(?\+|\()?\d(?:[{_SPACE}.()/-]{{0,3}}\d){{5,29}}(?![^\W_]|_\w|[.,:-]\d)"
)
_DIGITS = rf"\d(?:[{_SPACE}.()/-]{{0,2}}\d)"
_BROKEN = re.compile(  # in the next line, perhaps of a quotation, or after a semicolon
    rf"(?<![^\W_])(?<!\d[.,:/-])(?:\(?\+|\()?{_DIGITS}{{0,7}}\)?(?:[{_SPACE}]{{0,3}}\r?\n[ \t>]{{0,8}}|; ?)"
    rf"{_DIGITS}{{2,11}}(?![^\W_]|_\w|[.,:-]\d)"
)
_PART = re.compile(rf"[{_SPACE}]*/[{_SPACE}]*|[{_SPACE}]+-[{_SPACE}]+|[{_SPACE}]{{2,}}")
_GROUP = re.compile(r"\(?\+?\d+\)?")
_DATE = re.compile(r"(?:\d{1,2}([./-])\d{1,2}\1\d{2,4}|\d{4}([./-])\d{2}\2\d{2})(?!\d)")
_THOUSANDS = re.compile(r"[1-9]\d{0,2}(?:\.\d{3})+(?: ?[-/] ?[1-9]\d{0,2}(?:\.\d{3})+)?")
_FIGURE = re.compile(rf"[1-9]\d*|[1-9]\d{{0,2}}(?:[{_SPACE}]\d{{3}})+")  # no telephone's own grouping
_ASIDE = re.compile(r"(?<=.)\((?!0\))")  # brackets hold an area code, which comes first, or a trunk prefix: (0)
_MONEY_BEFORE = re.compile(r"(?:[€$£¥]|\b(?:eur|euro|usd|gbp|chf|brl)) ?\Z", re.IGNORECASE)
_MONEY_AFTER = re.compile(r"[ \u00a0]?(?:[€$£¥%°]|(?:eur|euros?|usd|gbp|chf|brl)\b)|,\d", re.IGNORECASE)
_DECIMAL = re.compile(r"(?:0|[1-9]\d?|[1-9]\d{3,})\.\d+")
_WITH_TRUNK = frozenset({"DE", "AT", "CH", "GB", "IE", "AU", "NZ"})
"""Countries where a number is always written with its first 0, which `phonenumbers` does not ask for."""
_IP = re.compile(r"(?:(?:25[0-5]|2[0-4]\d|1?\d?\d)(?:\.(?!\Z)|\Z)){4}")
_TOKEN = re.compile(r"\S{1,200}\Z")
_FEWEST, _FEWEST_ALONE, _MOST = 6, 9, 15  # digits: beside a name, without one, and the most of E.164


def find_phones(text: str, context: Context, home: Sequence[str]) -> Iterator[tuple[int, int, str]]:
    """Start, end and E.164 form of each telephone number in a text. `home` are the base's countries, the main first.

    The time is linear in the length of the text.
    """
    for run in _RUN.finditer(text):
        start, end = run.span()
        if run[0].startswith("(") and ")" not in run[0]:
            start += 1
        address = _TOKEN.search(text, max(0, start - 200), start)
        linked = address is not None and ("://" in address[0] or "www." in address[0] or "wa.me/" in address[0])
        if linked and address is not None and not re.search(r"(?:wa\.me/|phone=|tel:)\+?\Z", address[0]):
            continue
        named = "phone" if linked else context.before(start)
        money = _MONEY_BEFORE.search(text, max(0, start - 6), start) or _MONEY_AFTER.match(text, end)
        counted = _FIGURE.fullmatch(text, start, end) and context.is_counted(end)
        if (money or counted) and named != "phone":
            continue
        yield from _in_run(text, start, end, named, home, linked=linked)


def find_broken_phones(text: str, context: Context, home: Sequence[str]) -> Iterator[tuple[int, int, str]]:
    """As `find_phones`: the numbers that go on in the next line, if a name stands before them, or `+`."""
    for match in _BROKEN.finditer(text):
        written = re.sub(r"[\s>;]+", " ", match[0])
        named = context.before(match.start())
        if named != "phone" and not written.startswith(("+", "(+")):
            continue
        if number := _number(written, named, home, linked=False):
            yield *match.span(), number


def _in_run(
    text: str, start: int, end: int, named: str | None, home: Sequence[str], *, linked: bool
) -> Iterator[tuple[int, int, str]]:
    """The number that a run of digits is, or those in its parts, which slashes, dashes and wide spaces separate."""
    if number := _number(text[start:end], named, home, linked=linked):
        yield start, end, number
        return
    position = start
    parts = []
    for gap in _PART.finditer(text, start, end):
        parts.append((position, gap.start()))
        position = gap.end()
    parts.append((position, end))
    for first, last in parts:
        if len(parts) > 1 and (number := _number(text[first:last], named, home, linked=linked)):
            yield first, last, number
        else:
            yield from _side_by_side(text, first, last, named, home)


def _side_by_side(
    text: str, start: int, end: int, named: str | None, home: Sequence[str]
) -> Iterator[tuple[int, int, str]]:
    """Numbers that only a space separates, as in a list of them: each has at most three groups of digits."""
    groups = [match.span() for match in _GROUP.finditer(text, start, end)]
    place = 0
    while place < len(groups):
        for several in (3, 2, 1):
            own = groups[place : place + several]
            first, last = own[0][0], own[-1][1]
            if len(own) == several and (number := _number(text[first:last], named, home, linked=False)):
                yield first, last, number
                place += several - 1
                break
        place += 1


def _number(written: str, named: str | None, home: Sequence[str], *, linked: bool) -> str | None:
    """The E.164 form of a text if it is a telephone number, given the name before it; else None."""
    digits = re.sub(r"\D", "", written)
    if not _FEWEST <= len(digits) <= _MOST + 2:
        return None
    bare = written.lstrip("(")
    if bare.startswith("+") or (linked and not digits.startswith("0")):
        return _valid(f"+{digits}", None)
    if digits.startswith("00") and not digits.startswith("000") and len(digits) > _FEWEST_ALONE:
        return None if named == "other" else _valid(f"+{digits[2:]}", None)
    if named not in (None, "phone") or _DATE.match(bare):
        return None
    if named is None and (len(digits) < _FEWEST_ALONE or _THOUSANDS.fullmatch(written) or _DECIMAL.fullmatch(written)):
        return None
    if named is None and (_IP.fullmatch(written) or _ASIDE.search(bare)):
        return None
    for region in home if named or digits != written else home[:1]:
        if named is None and region in _WITH_TRUNK and not digits.startswith("0"):
            continue
        if (number := _valid(digits, region)) and (named or _is_meant(written, digits, region)):
            return number
    return None


def _is_meant(written: str, digits: str, region: str) -> bool:
    """Whether a valid number without a name is written as people write telephone numbers, and no other figures.

    A mobile number may stand without spaces; any other needs its trunk prefix, or spaces.
    """
    import phonenumbers

    kind = phonenumbers.number_type(_parsed(digits, region))
    types = phonenumbers.PhoneNumberType
    if kind == types.MOBILE:
        return len(_GROUP.findall(written)) <= 5
    if kind not in (types.FIXED_LINE, types.FIXED_LINE_OR_MOBILE, types.VOIP, types.PERSONAL_NUMBER):
        return False
    if digits == written:
        return digits.startswith("0")
    return len(_GROUP.findall(written)) <= 5


def _valid(digits: str, region: str | None) -> str | None:
    """The E.164 form of a valid number; None for any other."""
    import phonenumbers  # loaded with the first run of digits: it takes some 50 ms

    number = _parsed(digits, region)
    if number is None or not phonenumbers.is_valid_number(number):
        return None
    return str(phonenumbers.format_number(number, phonenumbers.PhoneNumberFormat.E164))


def _parsed(digits: str, region: str | None) -> Any:
    import phonenumbers

    try:
        found: PhoneNumber = phonenumbers.parse(digits, region)
    except phonenumbers.NumberParseException:
        return None
    return found
