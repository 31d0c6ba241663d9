"""Removes characters that nobody sees from a text, and gives each letter the form in which people type it.

Text that was copied from a word processor, a PDF or a web page has soft hyphens and zero-width spaces inside words,
letters with separate accents, and ligatures: a search for the word as it is typed would not find it.
"""

from __future__ import annotations

import re
import unicodedata

SPACES = "\u00a0\u1680\u2000-\u200a\u202f\u205f\u3000"
"""The spaces other than the plain one, as the inside of a character class of a regular expression."""
UNSEEN = "\u00ad\u034f\u180e\u200b\u2060-\u2064\ufeff"
"""Characters that are not shown in any script that needs no help to separate words: the same form."""

_SPACE = re.compile(f"[{SPACES}]")
_CONTROL = re.compile(r"[\x00-\x08\x0b\x0c\x0e-\x1f\x7f-\x84\x86-\x9f]")
# Thai, Lao, Burmese and Khmer are written without spaces, and a zero-width space separates words there.
_UNSEEN = re.compile(f"(?<![\u0e00-\u0eff\u1000-\u109f\u1780-\u17ff])\u200b|[{UNSEEN.replace(chr(0x200B), '')}]")
# Joiners change letters in Persian or Hindi and make one picture of several emoji; between Latin letters they do
# nothing.
_JOINERS = re.compile(r"(?<![^\x00-\u024f\s])[\u200c\u200d]+(?![^\x00-\u024f\s])")
_DIRECTIONS = re.compile(r"[\u200e\u200f\u202a-\u202e\u2066-\u2069]+")
_RIGHT_TO_LEFT = re.compile(r"[\u0590-\u08ff\ufb1d-\ufdff\ufe70-\ufefc]")
# Invisible copies of ASCII; only the flags of regions, which begin with a black flag, are made of them.
_TAGS = re.compile("(?<![\U0001f3f4\U000e0000-\U000e007f])[\U000e0000-\U000e007f]+")
_LIGATURES = {code: unicodedata.normalize("NFKC", chr(code)) for code in range(0xFB00, 0xFB07)}


def cleaned(text: str) -> str:
    """The text in NFC with plain spaces, without unseen characters and ligatures. Line ends stay as they are.

    In this example `penalità` is Italian for penalty; it has a soft hyphen, and its accent is a character of its own:

    >>> cleaned("pena\\u00adlita\\u0300: 5\\u00a0e")
    'penalità: 5 e'
    """
    if text.isascii():
        return _CONTROL.sub("", text) if not text.isprintable() else text
    if not unicodedata.is_normalized("NFC", text):
        text = unicodedata.normalize("NFC", text)
    text = _TAGS.sub("", _JOINERS.sub("", _UNSEEN.sub("", _SPACE.sub(" ", _CONTROL.sub("", text)))))
    if not _RIGHT_TO_LEFT.search(text):
        text = _DIRECTIONS.sub("", text)
    return text.translate(_LIGATURES)
