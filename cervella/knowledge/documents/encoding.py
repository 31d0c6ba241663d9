"""Decodes the bytes of a file: UTF-8, UTF-16 and UTF-32 by their mark, else the encoding that fits the language best.

A single byte means another letter in each of the old encodings, and statistics over all languages often take a near
relative: cp1250 for cp1252. So the encodings that are usual for the base's language are tried first, and are judged by
whether the letters and signs that come out stand where that language has them. If none fits, charset-normalizer
decides.
"""

from __future__ import annotations

import codecs
import re
import unicodedata
from collections.abc import Iterator, Sequence

from cervella.text.language import language

USUAL = ("cp1252", "mac_roman", "cp850")
"""The encodings that are tried for a language that names none."""
_OTHERS = (
    *("cp1250", "cp1251", "cp1252", "cp1253", "cp1254", "cp1255", "cp1256", "cp1257", "cp1258", "cp866", "cp874"),
    *("iso8859_2", "iso8859_5", "iso8859_7", "koi8_r", "koi8_u"),
    *("cp932", "euc_jp", "gb18030", "big5", "cp949", "euc_kr"),
)
"""The encodings that are tried if none of the usual ones fits: those of web pages, by the WHATWG's standard."""
_MARKS = (
    (codecs.BOM_UTF32_LE, "utf_32"),
    (codecs.BOM_UTF32_BE, "utf_32"),
    (codecs.BOM_UTF16_LE, "utf_16"),
    (codecs.BOM_UTF16_BE, "utf_16"),
)
"""UTF-32 is first, because its mark begins with that of UTF-16."""
_CONTROLS = bytes({*range(32)} - set(b"\b\t\n\v\f\r\x1a\x1b")) + b"\x7f"
_MOST_CONTROLS = 0.01
"""Share of control characters from which bytes that are not UTF-8 are no text."""
_STRANGE = frozenset({"Cn", "Co", "Cs"})
"""Unicode's categories of characters that no text has."""
_SAMPLE, _NEAR = 1 << 15, 40
"""Bytes by which an encoding is chosen, and bytes on each side of one that is not ASCII that belong to them."""
_FITS = 0.5
"""Fit, of at most 1, below which none of the usual encodings is taken for certain. See `_fit`."""
_ESCAPED = re.compile("[\udc80-\udcff]+")
_PIECES = re.compile(rb"[\x80-\xff](?:[^\n]{0,%d}[\x80-\xff])*" % _NEAR)

_WESTERN = frozenset("àáâãäåæçèéêëìíîïñòóôõöøùúûüýÿßœ")
"""Letters of names and foreign words in any western language."""
_OPENING, _CLOSING, _DASHES = frozenset("“‘«„‚¿¡"), frozenset("”’»"), frozenset("–—")
_NUMERIC = frozenset("€£¥°ºª²³¹½¼¾±×÷§‰µ")
_FREE = frozenset("•·…©®™†‡→\xa0\xad")


def decoded(data: bytes, code: str) -> tuple[str, str] | None:
    """The text of a file, without a byte order mark, and the name of Python's codec for it; "" for UTF-8.

    A text in UTF-8 with some bytes of another encoding in it gives both names: `utf_8+cp1252`. `code` is the language
    of the base. None if the bytes are no text. Whether they are does not depend on the language.
    """
    for mark, codec in _MARKS:
        if data.startswith(mark):
            text = data.decode(codec, "replace")
            return (text, codec) if _is_wide_text(text) else None
    try:
        text = data.decode("utf-8-sig")
    except UnicodeDecodeError:
        return _guessed(data, code) if _is_text(data) else None
    return None if "\0" in text else (text, "")


def _is_text(data: bytes) -> bool:
    controls = len(data) - len(data.translate(None, _CONTROLS))
    return b"\0" not in data and controls <= _MOST_CONTROLS * len(data)


def _is_wide_text(text: str) -> bool:
    """Whether a text that was in UTF-16 or UTF-32 is one. Other bytes become characters from all over Unicode."""
    sample = text[:_SAMPLE]
    strange = sum(unicodedata.category(letter) in _STRANGE for letter in sample) + sample.count("\ufffd")
    has_ascii = any(letter.isascii() for letter in sample)
    return "\0" not in text and strange <= _MOST_CONTROLS * len(sample) and (has_ascii or not sample)


def _guessed(data: bytes, code: str) -> tuple[str, str]:
    escaped = data.decode("utf-8", "surrogateescape")
    broken = sum(map(len, _ESCAPED.findall(escaped)))
    # A character of several bytes in UTF-8 hardly ever comes about by chance.
    if len(escaped) - len(data.translate(None, bytes(range(128, 256)))) - broken >= broken:
        lost = b"\n".join(piece.encode("utf-8", "surrogateescape") for piece in _around(escaped))
        codec = _codec(lost, code)
        return _ESCAPED.sub(lambda found: _bytes_of(found[0]).decode(codec, "replace"), escaped), f"utf_8+{codec}"
    codec = _codec(data, code)
    return data.decode(codec, "replace"), codec


def _bytes_of(escaped: str) -> bytes:
    return escaped.encode("utf-8", "surrogateescape")


def _around(escaped: str) -> Iterator[str]:
    """What lies around the bytes that are not UTF-8, without other characters that are not ASCII."""
    taken = 0
    for found in _ESCAPED.finditer(escaped):
        piece = escaped[max(0, found.start() - _NEAR) : found.end() + _NEAR]
        yield "".join(letter for letter in piece if letter.isascii() or "\udc80" <= letter <= "\udcff")
        taken += len(piece)
        if taken > _SAMPLE:
            return


def _codec(data: bytes, code: str) -> str:
    """The encoding of bytes that are not UTF-8."""
    own = language(code).file("language.toml")
    letters = frozenset(own.get("letters", ""))
    usual: Sequence[str] = own.get("encodings") or USUAL
    sample = _sample(data)
    fits = {codec: _fit(sample.decode(codec, "replace"), letters) for codec in usual}
    best = max(fits, key=fits.__getitem__)
    if fits[best] >= _FITS:
        return best
    from charset_normalizer import from_bytes  # not needed for most folders

    match = from_bytes(sample, cp_isolation=list(_OTHERS)).best()
    return best if match is None else match.encoding


def _sample(data: bytes) -> bytes:
    """Some lines with bytes that are not ASCII. Only these bytes, and their neighbours, tell encodings apart."""
    pieces: list[bytes] = []
    taken, end = 0, 0
    for found in _PIECES.finditer(data):
        start = max(end, found.start() - _NEAR)
        end = min(len(data), found.end() + _NEAR)
        pieces.append(data[start:end])
        taken += end - start
        if taken > _SAMPLE:
            break
    return b"\n".join(pieces)[: 2 * _SAMPLE]


def _fit(text: str, letters: frozenset[str]) -> float:
    """How well the characters beyond ASCII stand in a text of a language, from -1 to 1.

    A letter of the language in a word counts 1, a letter of another western language 0.5, a sign where it belongs 1.
    A capital or a sign within a word, or a letter between two others that are not ASCII, counts -1.
    """
    points = [
        _points(text[at - 1] if at else "\n", letter, text[at + 1] if at + 1 < len(text) else "\n", letters)
        for at, letter in enumerate(text)
        if not letter.isascii()
    ]
    return sum(points) / len(points) if points else 0.0


def _points(before: str, letter: str, after: str, letters: frozenset[str]) -> float:
    if letter == "\ufffd":  # a byte without meaning in this encoding
        return -1.0
    if letter.isalpha() and letter not in _NUMERIC:
        if before.islower() and letter.isupper():
            return -1.0
        if all(not near.isascii() and near.isalpha() for near in (before, after)):
            return -1.0  # of another alphabet
        small = letter.lower()
        return 1.0 if small in letters else 0.5 if small in _WESTERN else -0.5
    within_word = before.isalpha() and after.isalpha()
    if letter == "’":
        return 1.0 if before.isalnum() or before in ".,;:!?)…" else -0.5
    if within_word and letter not in _DASHES and letter not in "·\xad":
        return -1.0
    if letter in _OPENING:
        return 1.0 if not before.isalnum() and not after.isspace() else -0.5
    if letter in _CLOSING:
        return 1.0 if not before.isspace() and not after.isalnum() else -0.5
    if letter in _DASHES:
        return 1.0 if before.isspace() == after.isspace() and not within_word else 0.0
    if letter in _NUMERIC:
        near = {before, after}
        return 1.0 if any(one.isdigit() or one.isspace() or one in ".m/" for one in near) else -0.5
    if letter in _FREE:
        return 0.75
    return -0.5
