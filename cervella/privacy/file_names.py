"""Finds secrets in the names of files and folders: `wifi password Girasole77.md`, `PIN cassaforte 4821.md`.

A file whose path has a secret is not read, so the evidence must be strong: a vendor's shape, the password of a URL, or
the name of a password with a value right after it that ends the file's name.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from functools import lru_cache

from cervella.privacy.addresses import in_addresses
from cervella.privacy.names import names_in, one_of, words
from cervella.privacy.scanning import folded, lower
from cervella.privacy.secret import Secret
from cervella.privacy.values import is_example, is_year
from cervella.privacy.vendors import vendor_secrets

_ENDINGS = (
    r"\.(?:md|markdown|mdx|txt|png|jpe?g|gif|webp|heic|svg|pdf|docx?|odt|"
    r"xlsx?|ods|csv|zip|7z|rar|gz|"
    r"kdbx|json|ya?ml|toml|ini|cfg|conf|html?|rtf|pptx?|mp[34]|m4a|mov)"
)
_FILE = re.compile(rf"[\w%+@!$&=.~-]{{3,200}}{_ENDINGS}(?!\w)", re.IGNORECASE)
_ENDING = re.compile(rf"{_ENDINGS}\Z", re.IGNORECASE)
_DATE = re.compile(r"(?:19|20)\d{2}(?:[-.]?[01]\d(?:[-.]?[0-3]\d)?)?\w?")
_SPACE = r"(?:[ ]|%20)"
_TELLING = re.compile(r".*[!@#$%&*+].*|.*[^\W\d_]{3,}[._-]?\d{2,4}")
_JOINED = re.compile(r"[A-Z][a-z]+\.[A-Z][a-z]+\d{2,4}|[A-Z]?[a-z]{5,}\d{4}|(?=.*[!@#$%&*+]).+")
"""A value after a hyphen or underscore, which stands between ordinary words too."""
_CODE = re.compile(r"\d{4,8}")
_LONGEST = 400  # characters of a file's name that are looked at


def in_file_names(line: str) -> Iterator[Secret]:
    """The secrets in the names of files that a line of limited length mentions."""
    for match in _FILE.finditer(line):
        yield from (secret.moved(match.start()) for secret in _in_name(match.group()))


def in_path(path: str) -> Iterator[Secret]:
    """The secrets in the parts of a path."""
    start = path[:_LONGEST]
    yield from in_addresses(start, folded(lower(start)))
    at = 0
    for part in path.split("/"):
        ending = _ENDING.search(part)
        stem = part[: ending.start() if ending else len(part)][:_LONGEST]
        found = (*_in_name(part[:_LONGEST]), *vendor_secrets(stem))
        yield from (secret.moved(at) for secret in found)
        at += len(part) + 1


def _in_name(part: str) -> Iterator[Secret]:
    """The value that ends a file's name right after the name of a password."""
    ending = _ENDING.search(part)
    end = ending.start() if ending else len(part)
    spaced = re.sub(r"[_-]|%20", lambda match: " " * len(match.group()), part)
    for name in names_in(spaced):
        if name.strength != "enough" or name.group == "pairs":
            continue
        after = _after().fullmatch(part, name.end, end)
        if not after:
            continue
        value = after["value"]
        start = after.start("value")
        if value.lower() in words("metadata") or _DATE.fullmatch(value) or is_year(value):
            continue
        if name.group == "pins":
            fits = _CODE.fullmatch(value) is not None and after["joint"] is None
        else:
            shape = _JOINED if after["joint"] else _TELLING
            fits = shape.fullmatch(value) is not None and not is_example(value) and after["place"] is None
        if fits:
            yield Secret(name.kind, start, start + len(value))


@lru_cache(maxsize=1)
def _after() -> re.Pattern[str]:
    """What stands between the name of a password and the value that ends a file's name."""
    value = r"(?P<value>[^\s/]{4,64}(?<!%20))"
    devices = "nas|router|wi-?fi|wlan|modem|server"
    return re.compile(
        rf"(?i:{_SPACE}{{0,2}}[=:]{_SPACE}{{0,2}}|{_SPACE}[-–—]{_SPACE}|{_SPACE}(?:{one_of('verbs')}){_SPACE}|{_SPACE}"
        rf"(?:(?:{devices}){_SPACE}|(?P<place>{one_of('places')}){_SPACE})?"
        rf"|(?P<joint>[-_])(?:(?:{devices})[-_])?)(?:(?!%20){value})"
    )
