"""Finds the codes of doors, gates, safes and alarms: short numbers that only the words around them tell from others."""

from __future__ import annotations

import re
from collections.abc import Iterator
from functools import lru_cache

from cervella.privacy.names import one_of, words
from cervella.privacy.secret import Secret

_CODE = r"(?P<code>[A-Z]?\d{4,8}[A-Z]?[#*]{0,2}|[A-Z]\d{3,6}[A-Z]|[#*]\d{3,8}[#*]{0,2})(?![\w€$%°]|[.,:/-]\d|[ ]\d{3})"
_WORDS, _WORD_BEFORE = re.compile(r"[^\W\d_]+"), re.compile(r"([^\W\d_]+)[ \t-]\Z")
_FOLLOWING = re.compile(r"[ \t]{1,3}(\w{1,20})")


def door_codes(text: str, before: str = "") -> Iterator[Secret]:
    """The codes in a line of limited length. `before` is the line above, which may name the thing that they open."""
    if not _place().search(text) and not _place().search(before):
        return
    for match in _coded().finditer(text):
        group = "code" if match["code"] else "other"
        code = match[group]
        said = {*_WORD_BEFORE.findall(text[max(0, match.start() - 24) : match.start()]), *_WORDS.findall(match.group())}
        if any(word.lower() in words("metadata") | words("other_codes") for word in said):
            continue
        following = _FOLLOWING.match(text, match.end())
        if following and following[1].lower() in words("counted"):
            continue
        if len(code) == 4 and code.isdigit() and code[:2] in ("19", "20") and not _told(match.group()):
            continue
        yield Secret("password", *match.span(group))


def _told(text: str) -> bool:
    """Whether nothing but a colon or a space stands between the word and its number: `code 1985`, not `code since 1985`."""
    return len(text.split()) <= 2


@lru_cache(maxsize=1)
def _place() -> re.Pattern[str]:
    return re.compile(rf"(?i)(?<!\w)(?:{one_of('places')})(?!\w)")


@lru_cache(maxsize=1)
def _coded() -> re.Pattern[str]:
    marks = r"[ \t:=`\"'*_(«“–-]"
    return re.compile(
        rf"(?i:(?<!\w)(?:{one_of('entering')}))(?:{marks}{{1,6}}(?!\d)[^\W\d]{{1,14}}){{0,2}}{marks}{{1,6}}{_CODE}"
        rf"|(?i:(?<!\w)(?:{one_of('alarms')})){marks}{{1,6}}{_CODE.replace('<code>', '<other>')}"
    )


def could_be_code(line: str) -> bool:
    """A fast test: whether a line has digits as a code does."""
    return _DIGITS.search(line) is not None


_DIGITS = re.compile(r"(?<![\w.,/-])[A-Z#*]?\d{3,8}")
