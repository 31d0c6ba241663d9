"""Finds secrets in the names of files and folders: `password_nas_cedrata1960.png`, `PIN cassaforte 4821.md`."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Sequence

from cervella.privacy.names import Name, names_in, words
from cervella.privacy.secret import Secret
from cervella.privacy.values import is_example, is_random, is_striking

_ENDINGS = (
    r"\.(?:md|markdown|mdx|txt|png|jpe?g|gif|webp|heic|svg|pdf|docx?|odt|"
    r"xlsx?|ods|csv|zip|7z|rar|gz|"
    r"kdbx|json|ya?ml|toml|ini|cfg|conf|html?|rtf|pptx?|mp[34]|m4a|mov)"
)
_FILE = re.compile(rf"[\w%+@!$&=.~-]{{3,200}}{_ENDINGS}(?!\w)", re.IGNORECASE)
_ENDING = re.compile(rf"{_ENDINGS}\Z", re.IGNORECASE)
_PIECE = re.compile(r"(?:(?!%20)[^\s_])+")
_TOKEN = re.compile(r"[A-Z0-9]{3,}(?:_[A-Z0-9]{2,})+(?![A-Za-z0-9])")  # HOTEL_2026
_DATE = re.compile(r"(?:19|20)\d{2}(?:[-.]?[01]\d(?:[-.]?[0-3]\d)?)?\w?")
_SIGNS = "-=+:.,()[]"


def in_file_names(line: str) -> Iterator[Secret]:
    """The secrets in the names of files that a line of limited length mentions."""
    for match in _FILE.finditer(line):
        yield from (secret.moved(match.start()) for secret in _in_name(match.group()))


def in_path(path: str, find: Callable[[str], Sequence[Secret]]) -> Iterator[Secret]:
    """The secrets in the parts of a path. `find` finds the secrets of a text."""
    at = 0
    for part in path.split("/"):
        ending = _ENDING.search(part)
        yield from (secret.moved(at) for secret in _in_name(part[:400]))
        yield from (secret.moved(at) for secret in find(part[: ending.start() if ending else len(part)]))
        at += len(part) + 1


def _in_name(part: str) -> Iterator[Secret]:
    spaced = re.sub(r"[_-]|%20", lambda match: " " * len(match.group()), part)
    ending = _ENDING.search(part)
    end = ending.start() if ending else len(part)
    for name in names_in(spaced):
        if name.strength == "weak" or name.group == "pairs":
            continue
        for piece in (*_TOKEN.finditer(part, name.end, end), *_PIECE.finditer(part, name.end, end)):
            text = piece.group().strip(_SIGNS)
            if text.lower() in words("metadata"):
                break
            if _is_secret(text, name):
                start = piece.start() + piece.group().index(text)
                yield Secret(name.kind, start, start + len(text))


def _is_secret(text: str, name: Name) -> bool:
    if _DATE.fullmatch(text):
        return False
    if name.group == "pins" and re.fullmatch(r"\d{4,8}", text):
        return True
    if is_example(text) or not is_striking(text):
        return False
    return name.strength == "enough" or is_random(text)
