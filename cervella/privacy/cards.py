"""Finds the numbers of payment cards by their check digit."""

from __future__ import annotations

import re
from collections.abc import Iterator

from cervella.privacy.secret import Secret

DIGITS = re.compile(r"\d(?<!\d\d)(?:[ \u00a0-]?\d){12}")
"""A line without this many digits in a row has no card."""
_CARD = re.compile(r"(?<![\w.,/+=-])[3-6]\d{3}(?:[ \u00a0-]?\d){9,15}(?![\w=]|[.,-]\d)")
_CARD_LENGTHS = {"3": (14, 15, 16), "4": (13, 16, 19), "5": (16,), "6": (16, 19)}
# Published by the payment companies for everybody's tests.
_TEST_CARDS = (
    *("4242424242424242", "4000056655665556", "4111111111111111", "4012888888881881", "5555555555554444"),
    *("5105105105105100", "378282246310005", "371449635398431", "6011111111111117", "3566002020360505"),
)


def cards(text: str) -> Iterator[Secret]:
    """The payment cards in a text."""
    return (Secret("card", *match.span()) for match in _CARD.finditer(text) if _is_card(match.group()))


def _is_card(text: str) -> bool:
    """Whether the digits can be a payment card number, by length and Luhn check digit. Test numbers are excluded."""
    digits = re.sub(r"\D", "", text)
    if len(digits) not in _CARD_LENGTHS[digits[0]] or len(set(digits)) < 4 or digits in _TEST_CARDS:
        return False
    doubled = (sum(divmod(2 * int(digit), 10)) for digit in digits[-2::-2])
    return (sum(map(int, digits[-1::-2])) + sum(doubled)) % 10 == 0
