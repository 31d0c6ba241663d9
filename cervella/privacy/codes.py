"""Finds the codes of doors, gates, safes and alarms: short numbers that only the words around them tell from others."""

from __future__ import annotations

import re
from collections.abc import Iterator
from functools import lru_cache

from cervella.privacy.names import one_of, words
from cervella.privacy.secret import Secret

_NUMBER = re.compile(
    r"(?<![\w.,/#-])(?P<code>[A-Z]?\d{4,8}[A-Z]?[#*]{0,2}|[A-Z]\d{3,6}[A-Z]|"
    r"[#*]\d{3,8}[#*]{0,2})(?![\w€$%°]|[.,:/-]\d|[ ]\d{3})"
)
_DIGITS = re.compile(r"\d\d\d+")
_BEFORE, _AROUND = 80, 200  # characters before a number, and around it, that may tell what it is
_WORDS, _WORD_BEFORE = re.compile(r"[^\W\d_]+"), re.compile(r"([^\W\d_]+)[ \t-]\Z")
_FOLLOWING = re.compile(r"[ \t]{1,3}(\w{1,20})")


def door_codes(text: str) -> Iterator[Secret]:
    """The codes in a text: a number after a word such as `code`, if its line or the line above names what it opens."""
    for number in _numbers(text):
        start = max(text.rfind("\n", 0, number.start()) + 1, number.start() - _BEFORE)
        end = number.end("code")
        match = _coded().search(text, start, end)
        if not match or match.end() != end or _is_other(text, match, number):
            continue
        above = max(0, text.rfind("\n", 0, max(0, start - 1)) + 1, start - _AROUND)
        below = text.find("\n", end, end + _AROUND)
        if match.lastgroup == "alone" or _place().search(text, above, below if below >= 0 else end + _AROUND):
            yield Secret("password", number.start("code"), end)


def _numbers(text: str) -> Iterator[re.Match[str]]:
    """The matches of `_NUMBER`: only digits are searched for, since they are rare. A sign or a capital may precede."""
    done = 0
    for digits in _DIGITS.finditer(text):
        for start in (digits.start() - 1, digits.start()):
            if start >= done and (match := _NUMBER.match(text, start)):
                yield match
                done = match.end()
                break


def _is_other(text: str, match: re.Match[str], number: re.Match[str]) -> bool:
    """Whether the number is a quantity, a year, or another code: `error code 4012`."""
    code = number["code"]
    others = words("metadata") | words("other_codes")
    before = _WORD_BEFORE.findall(text[max(0, match.start() - 24) : match.start()])
    if any(word.lower() in others for word in (*before, *_WORDS.findall(match.group()))):
        return True
    following = _FOLLOWING.match(text, number.end())
    if following and following[1].lower() in words("counted"):
        return True
    return len(code) == 4 and code[:2] in ("19", "20") and code.isdigit() and not _told(match.group())


def _told(text: str) -> bool:
    """Whether no word stands between the announcing word and its number: `code 1985`, not `code since 1985`."""
    return len(text.split()) <= 2


@lru_cache(maxsize=1)
def _place() -> re.Pattern[str]:
    return re.compile(rf"(?i)(?<!\w)(?:{one_of('places')})(?!\w)")


@lru_cache(maxsize=1)
def _coded() -> re.Pattern[str]:
    marks = r"[ \t:=`\"'*_(«“–-]"
    word = r"[^\W\d_]{1,14}+(?:_[^\W\d_]{1,14}+){0,3}"  # an underscore is also a mark: only single ones are in a word
    return re.compile(
        rf"(?i)(?<!\w)(?:(?P<alone>(?:{one_of('alarms')}){marks}{{1,6}})"
        rf"|(?:{one_of('entering')})(?:{marks}{{1,6}}{word}){{0,2}}{marks}{{1,6}})"
        r"[A-Z#*]?\d{3,8}[A-Z]?[#*]{0,2}\Z"
    )
