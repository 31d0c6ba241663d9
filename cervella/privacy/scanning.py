"""Finds where the rules for secrets can match at all, with string searches that are much faster than the rules."""

from __future__ import annotations

import string
from collections.abc import Iterable, Iterator

_RUN = 16  # every vendor's shape is as long
_SIGNS = frozenset(string.ascii_letters + string.digits + "_+/=.:~\\-")
_SHAPE = bytes(ord("x" if chr(code) in _SIGNS else " ") for code in range(256))
# The signs beside ASCII that `re.IGNORECASE` equates with an ASCII letter and `str.lower` does not.
_LIKE_ASCII = str.maketrans({"ſ": "s", "ı": "i", "İ": "i"})


def lower(text: str) -> str:
    """The text in lower case, with the same length."""
    small = text.lower()
    return small if len(small) == len(text) else "".join(c.lower() if len(c.lower()) == 1 else c for c in text)


def folded(small: str) -> str:
    """A text in lower case, with the same length, that contains each ASCII word that `re.IGNORECASE` finds in it."""
    return small.translate(_LIKE_ASCII) if any(map(small.__contains__, "ſıİ")) else small


def places(text: str, parts: Iterable[str]) -> Iterator[int]:
    """Where the parts are in a text, part by part."""
    for part in parts:
        at = text.find(part)
        while at >= 0:
            yield at
            at = text.find(part, at + len(part))


def line_start(text: str, at: int, most: int) -> int:
    """Where the line around a place starts, or the place `most` characters before, if the line starts earlier."""
    first = max(0, at - most)
    return max(first, text.rfind("\n", first, at) + 1)


def line_end(text: str, at: int, most: int) -> int:
    """Where the line around a place ends, or the place `most` characters after, if the line ends later."""
    end = text.find("\n", at, at + most)
    return end if end >= 0 else min(at + most, len(text))


def runs(text: str) -> list[tuple[int, int]]:
    """The runs of 16 characters and more that keys, tokens, addresses and base64 are made of, each with its two ends.

    >>> runs("usa sk-a1b2c3d4e5f6a7b8 qui")
    [(4, 23)]
    """
    shape = text.encode("latin-1", "replace").translate(_SHAPE)
    found, wanted = [], b"x" * _RUN
    start = shape.find(wanted)
    while start >= 0:
        end = shape.find(b" ", start)
        end = len(shape) if end < 0 else end
        found.append((start, end))
        start = shape.find(wanted, end)
    return found
