"""Finds the codes of doors, gates, safes and alarms: short numbers that only the words around them tell from others."""

from __future__ import annotations

import re
from collections.abc import Iterator
from functools import lru_cache

from cervella.privacy.names import one_of, words
from cervella.privacy.scanning import line_end, line_start
from cervella.privacy.secret import Secret
from cervella.privacy.values import is_year

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
        start = line_start(text, number.start(), _BEFORE)
        end = number.end("code")
        match = _coded().search(text, start, end)
        if not match or match.end() != end or _is_other(text, match, number):
            continue
        above = line_start(text, max(0, start - 1), _AROUND - 1)
        if match.lastgroup == "alone" or _place().search(text, above, line_end(text, end, _AROUND)):
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
    line = text[line_start(text, match.start(), _BEFORE) : match.start()]
    if any(word.lower() in words("other_codes") for word in _WORDS.findall(line)):
        return True
    before = _WORD_BEFORE.findall(text[max(0, match.start() - 24) : match.start()])
    if any(word.lower() in others for word in (*before, *_WORDS.findall(match.group()))):
        return True
    following = _FOLLOWING.match(text, number.end())
    if following and (following[1].lower() in words("counted") or _UNIT.fullmatch(following[1])):
        return True
    if following and _CODES.search(match.group()):
        return True  # a list of codes and their meanings
    return is_year(code) and not _told(match.group())


_UNIT = re.compile(r"(?i)[mcd]?l|[km]?g|[cmk]?m|mq|m[2²]|k?wh?|[kmgt]b|k?hz|rpm|pz|pcs")
_CODES = re.compile(r"(?i)codes\b|\bcodici")


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
        rf"(?i)(?<!\w)(?:(?P<alone>(?:{one_of('alarms')})"
        rf"(?:{marks}{{1,6}}|(?:[ \t][\w.]{{1,14}}){{1,3}}:[ \t]{{1,3}}(?=\d{{5}})))"
        rf"|(?:{one_of('entering')})(?:{marks}{{1,6}}{word}){{0,2}}{marks}{{1,6}})"
        r"[A-Z#*]?\d{3,8}[A-Z]?[#*]{0,2}\Z"
    )
