"""Finds private keys: PEM, OpenSSH, PGP, PuTTY, also incomplete or on one line, and the private parts of JSON keys."""

from __future__ import annotations

import re
from bisect import bisect_left
from collections.abc import Iterator

from cervella.privacy.secret import Secret

_START = re.compile(r"-{4,5} ?BEGIN (?:[A-Z0-9]{1,20} ){0,4}PRIVATE KEY(?: BLOCK)? ?-{4,5}")
_END = re.compile(r"-{4,5} ?END (?:[A-Z0-9]{1,20} ){0,4}PRIVATE KEY(?: BLOCK)? ?-{4,5}")
_KEY_LINE = re.compile(
    r"(?:(?:\\r)?\\n|\r\n|\r|\n|[ \t])[ \t>|\"'`+#/*]{0,20}(?:[A-Za-z0-9+/=]{16,}|"
    r"[A-Za-z0-9+/]{1,15}={0,2}(?=\s*(?:\\n|[\r\n]|$)))"
    r"[ \t\"'`,+\\]{0,9}(?=\\n|[\r\n \t]|$)"
)
_BODY = re.compile(r"[ \t>|\"'`]{0,20}[A-Za-z0-9+/=]{8,80}[ \t\"'`,]{0,9}")
_HEADERS = re.compile(
    r"(?:(?:\r\n|\r|\n)[ \t>]{0,9}(?:Proc-Type|DEK-Info|Version|Comment|Hash)[^\r\n]{0,200}|"
    r"(?:\r\n|\r|\n)[ \t>]{0,9}(?=[\r\n]))"
)
_PUTTY = re.compile(r"Private-Lines: *\d+(?=[\r\n])")
_LONGEST = 20_000  # characters between the two ends of a private key
_JSON_PART = re.compile(r"[\"'](?:d|p|q|dp|dq|qi|k)[\"']\s{0,9}:\s{0,9}[\"'](?P<secret>[A-Za-z0-9_-]{20,2000})[\"']")
_JSON_KEY = re.compile(r"[\"']kty[\"']\s{0,9}:")
_AROUND = 6_000  # characters around `"kty"` in which the parts of the same key may stand
_WIREGUARD = re.compile(r"(?im)^[ \t>]{0,9}(?:PrivateKey|PresharedKey)[ \t]*=[ \t]*(?P<secret>[A-Za-z0-9+/]{42,43}=)")


def private_keys(text: str, small: str) -> Iterator[Secret]:
    """Private keys with all their lines. If the end line is missing, the lines that look like a part of the key.

    `small` is the text as `scanning.folded` returns it.
    """
    if "PRIVATE KEY" in text:
        ends = [match.end() for match in _END.finditer(text)]
        done = 0
        for match in _START.finditer(text):
            if match.start() < done:
                continue
            place = bisect_left(ends, match.end())
            whole = place < len(ends) and ends[place] - match.end() <= _LONGEST
            done = ends[place] if whole else _after_lines(text, match.end())
            yield Secret("private_key", match.start(), done)
        done = 0
        for match in _END.finditer(text):
            first = _before_lines(text, match.start(), done)
            done = match.end()
            if first < match.start():
                yield Secret("private_key", first, match.end())
    for match in _PUTTY.finditer(text):
        yield Secret("private_key", match.start(), _after_lines(text, match.end()))
    done = 0
    for match in _JSON_KEY.finditer(text) if "kty" in text else ():
        first = max(done, match.start() - _AROUND)
        done = max(first, match.end() + _AROUND)
        for part in _JSON_PART.finditer(text, first, done):
            yield Secret("private_key", *part.span("secret"))
    for match in _WIREGUARD.finditer(text) if "privatekey" in small or "presharedkey" in small else ():
        yield Secret("private_key", *match.span("secret"))


def _before_lines(text: str, end: int, least: int) -> int:
    """Where the lines of a key begin that end at `end`: its start may be missing."""
    first = at = end
    while at > max(least, end - _LONGEST):
        before = max(text.rfind("\n", least, at - 1) + 1, least)
        if before >= at or not _BODY.fullmatch(text[before:at].rstrip("\r\n")):
            break
        first = at = before
    return first


def _after_lines(text: str, position: int) -> int:
    while match := _HEADERS.match(text, position):
        position = match.end()
    while match := _KEY_LINE.match(text, position):
        position = match.end()
    return position
