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
from collections.abc import Iterator, Sequence, Set
from functools import cache, lru_cache

from cervella.text.language import known_languages, language

USUAL = ("cp1252", "mac_roman", "cp850")
"""The encodings that are tried for a language that names none."""
_OTHERS = (
    *("cp1250", "cp1251", "cp1252", "cp1253", "cp1254", "cp1255", "cp1256", "cp1257", "cp1258", "cp866", "cp874"),
    *("iso8859_2", "iso8859_5", "iso8859_7", "koi8_r", "koi8_u"),
    *("cp932", "euc_jp", "gb18030", "big5", "cp949", "euc_kr"),
)
"""The encodings that are tried if none of the usual ones fits: those of web pages, by the WHATWG's standard."""
_MARKS = (
    (codecs.BOM_UTF32_LE, "utf-32"),
    (codecs.BOM_UTF32_BE, "utf-32"),
    (codecs.BOM_UTF16_LE, "utf-16"),
    (codecs.BOM_UTF16_BE, "utf-16"),
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
_OWN, _KNOWN, _FOREIGN = 1.0, 0.9, 0.5
"""Points for a letter of the base's language, of another language that the program knows, and of a western one."""
_APOSTROPHE, _SIGN = 0.95, 1.0
"""Points for an apostrophe and for another sign that stand where they belong."""
_WORD = 1.0
"""Additional points for a letter in a frequent word of a known language."""
_AHEAD = 0.15
"""By how much another encoding must fit better than the most usual one."""
_QUOTES, _DASHES, _LISTS = frozenset("“”‘„‚«»"), frozenset("–—"), frozenset("•·…→†‡©®™")
_UNITS = frozenset({"m", "cm", "km", "mm", "n", "nº", "co"})
"""What may stand before ², º and ° beside a figure."""
_A_WORD = re.compile(r"\w+")
_MONEY, _AFTER_NUMBERS, _BESIDE_NUMBERS = frozenset("€£¥"), frozenset("°ºª²³‰"), frozenset("¼½¾±×÷§")


def decoded(data: bytes, code: str) -> tuple[str, str] | None:
    """The text of a file, without a byte order mark, and the name of Python's codec for it; "" for UTF-8.

    A text in UTF-8 with some bytes of another encoding in it gives both names: `utf-8+cp1252`. `code` is the language
    of the base. None if the bytes are no text. Whether they are does not depend on the language.
    """
    for mark, codec in _MARKS:
        if data.startswith(mark):
            text = data.decode(codec, "replace")
            return (text, codec) if _is_wide_text(text) else None
    try:
        text = data.decode("utf-8-sig")
    except UnicodeDecodeError:
        if not _is_text(data):
            return None
        whole = _with_surrogates(data)
        return _guessed(data, code) if whole is None else (whole, "")
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


def _with_surrogates(data: bytes) -> str | None:
    """A text in UTF-8 of programs that write a rare character as two surrogates, or half of one; else None."""
    try:
        text = data.decode("utf-8", "surrogatepass")
    except UnicodeDecodeError:
        return None
    return text.encode("utf-16", "surrogatepass").decode("utf-16", "replace").removeprefix("\ufeff")


def _guessed(data: bytes, code: str) -> tuple[str, str]:
    escaped = data.decode("utf-8", "surrogateescape")
    broken = sum(map(len, _ESCAPED.findall(escaped)))
    # A character of several bytes in UTF-8 hardly ever comes about by chance.
    if len(escaped) - len(data.translate(None, bytes(range(128, 256)))) - broken >= broken:
        lost = b"\n".join(piece.encode("utf-8", "surrogateescape") for piece in _around(escaped))
        codec = _codec(lost, code)
        return _ESCAPED.sub(lambda found: _bytes_of(found[0]).decode(codec, "replace"), escaped), f"utf-8+{codec}"
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
    usual: Sequence[str] = language(code).file("language.toml").get("encodings") or USUAL
    sample = _sample(data)
    fits = {codec: _fit(sample.decode(codec, "replace"), code) for codec in usual}
    best = max(usual, key=lambda codec: fits[codec][1] + (_AHEAD if codec == usual[0] else 0.0))
    if fits[best][0] >= _FITS:
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


def _fit(text: str, code: str) -> tuple[float, float]:
    """How well the characters beyond ASCII stand in a text, on average, from -1 to 1; then with points for known words.

    A letter that the base's language has counts 1, another western letter less, a sign where it belongs up to 1. A
    capital or a sign within a word, or a letter between two others that are not ASCII, counts -1.
    """
    own, known, words = _letters(code), _known_letters(), _frequent_words()
    places = [at for at, letter in enumerate(text) if not letter.isascii()]
    if not places:
        return 0.0, 0.0
    padded = f"\n\n{text}\n\n"
    points = sum(_points(padded, at + 2, own, known) for at in places)
    frequent = sum(
        sum(not letter.isascii() for letter in word) for word in _A_WORD.findall(text.lower()) if word in words
    )
    return points / len(places), (points + _WORD * frequent) / len(places)


def _points(text: str, at: int, own: Set[str], known: Set[str]) -> float:
    before, letter, after = text[at - 1], text[at], text[at + 1]
    if letter in _AFTER_NUMBERS:  # º and ª are letters to Unicode
        of_unit = text[at - 2 : at].strip().rstrip(".").lower() in _UNITS
        return _SIGN if (before.isdigit() or of_unit) and not after.isalpha() else -0.5
    if letter.isalpha():
        small = letter.lower()
        if (before.islower() and letter.isupper()) or all(_is_foreign(near) for near in (before, after)):
            return -1.0
        return _OWN if small in own else _KNOWN if small in known else _FOREIGN if small in _WESTERN else -0.5
    if letter == "\ufffd":  # a byte without meaning in this encoding
        return -1.0
    if letter == "’":
        return _APOSTROPHE if not before.isspace() or after.isalnum() else -0.5
    if letter == "\xad":
        return _FOREIGN if before.isalpha() and after.isalpha() else -0.5
    if before.isalpha() and after.isalpha() and letter not in _DASHES:
        return _SIGN if letter == "·" and before == after == "l" else -1.0
    if letter in _MONEY:
        return _SIGN if any(one.isdigit() for one in text[at - 2 : at + 3]) or not before.isalpha() else -0.5
    if letter in _BESIDE_NUMBERS:
        return _SIGN if before.isdigit() or after.isdigit() or (before.isspace() and after.isspace()) else -0.5
    if letter == "\xa0":
        return _FOREIGN if not before.isspace() and not after.isspace() else -0.5
    if letter in _QUOTES:
        return _SIGN
    if letter in "¿¡":
        return _SIGN if not before.isalnum() and not after.isspace() else -0.5
    if letter in _DASHES:
        return _SIGN if before.isspace() == after.isspace() and not (before.isalpha() and after.isalpha()) else 0.0
    return _FOREIGN if letter in _LISTS and (before.isspace() or letter in "…®™") else -0.5


def _is_foreign(letter: str) -> bool:
    return letter.isalpha() and not letter.isascii()


@lru_cache(maxsize=16)
def _letters(code: str) -> frozenset[str]:
    return frozenset(language(code).file("language.toml").get("letters", ""))


@cache
def _known_letters() -> frozenset[str]:
    return frozenset().union(*map(_letters, known_languages()))


@cache
def _frequent_words() -> frozenset[str]:
    """The frequent words of all languages that have a letter beyond ASCII."""
    all_of_them = (language(code) for code in known_languages())
    lists = (one.file("detection.txt") for one in all_of_them if one.has("detection.txt"))
    return frozenset(word for words in lists for word in words if not word.isascii())
