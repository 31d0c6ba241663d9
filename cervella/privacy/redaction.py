"""Finds and masks secrets before a text is indexed or reaches a log, an error or a cloud brain.

The rules find secrets by their shape (vendors.py, keys.py, cards.py), by a name beside them (beside.py) or in another
line (layout.py), and in addresses and commands (addresses.py). Confidential prose is not found.
"""

from __future__ import annotations

import re
from bisect import bisect_right
from collections.abc import Iterable, Iterator
from functools import lru_cache

from cervella.privacy.addresses import in_addresses, in_commands
from cervella.privacy.beside import beside_names, to_space
from cervella.privacy.cards import DIGITS, cards
from cervella.privacy.codes import door_codes
from cervella.privacy.encoded import in_base64, without_invisible, without_links
from cervella.privacy.file_names import in_file_names, in_path
from cervella.privacy.keys import private_keys
from cervella.privacy.layout import by_position, in_footnotes
from cervella.privacy.names import Name, names_in, stems
from cervella.privacy.secret import Secret, merged
from cervella.privacy.settings import in_settings
from cervella.privacy.tables import Budget
from cervella.privacy.vendors import companions, vendor_secrets
from cervella.text.language import DEFAULT_LANGUAGE, known_languages, language
from cervella.types import Redaction

__all__ = ["REDACTION_VERSION", "Secret", "find_secrets", "mask_for", "mask_path", "mask_secrets", "masks", "redact"]

REDACTION_VERSION = "3"
"""Version of the rules. After a change, the next run of the indexer reads every file again."""

_WINDOW, _OVERLAP = 8_000, 2_000  # characters of the overlapping windows that a long line is split into
_LINE = re.compile(r"[^\r\n]+")
_END = re.compile(r"\r\n|\r|\n")
# Fast tests that exclude most lines from the slower rules.
_RUN = re.compile(r"(?<![A-Za-z0-9_+/=.:~\\-])[A-Za-z0-9_+/=.:~\\-]{16,}")  # every vendor's shape is as long
_RANDOM = re.compile(r"[A-Za-z][0-9]|[0-9][A-Za-z]|[a-z][A-Z]")  # every vendor's shape contains such a pair


def find_secrets(text: str) -> list[Secret]:
    """The secrets in a text, in order and without overlaps. The time is linear in the length of the text.

    >>> [secret.kind for secret in find_secrets("usa sk-" + "a1" * 12)]
    ['api_key']
    """
    text = _marks().sub(lambda match: "[" * len(match[0]), text)  # masked text is not examined again
    text = without_links(text)
    bare, place = without_invisible(text)
    found = [*_found(bare), *in_base64(bare, _found)]
    new = (one for one in found if bare[one.start : one.end].strip("["))
    return merged([*(Secret(one.kind, *place(one.start, one.end)) for one in new), *in_footnotes(text)])


def _found(text: str) -> list[Secret]:
    found = [*private_keys(text)]
    lines = [match.span() for match in _LINE.finditer(text)]
    starts = [start for start, _ in lines]
    named = {bisect_right(starts, at) - 1 for at in _places(_lower(text), stems())}
    runs = (match.start() for match in _RUN.finditer(text) if _RANDOM.search(text, *match.span()))
    digits = (match.start() for match in DIGITS.finditer(text))
    addresses = _places(text, ("://", "WIFI:", "="))
    shaped = {bisect_right(starts, at) - 1 for at in (*runs, *digits, *addresses)}
    budget = Budget(len(lines))
    for number in sorted(named | shaped):
        start, end = lines[number]
        line = text[start:end]
        names = names_in(line) if number in named and len(line) <= _WINDOW else None
        found += (one.moved(start) for one in _in_line(line, number in named, names))
        if names:
            found += by_position(text, lines, number, names, budget)
        if number in named:
            found += in_settings(text, start, end)
    found += door_codes(text)
    found += list(companions(text, found))
    return merged(found)


def _lower(text: str) -> str:
    """The text in lower case, with the same length."""
    lower = text.lower()
    return lower if len(lower) == len(text) else "".join(c.lower() if len(c.lower()) == 1 else c for c in text)


def _places(text: str, parts: Iterable[str]) -> Iterator[int]:
    for part in parts:
        at = text.find(part)
        while at >= 0:
            yield at
            at = text.find(part, at + len(part))


def mask_secrets(text: str, language: str = DEFAULT_LANGUAGE) -> tuple[str, int]:
    """Replace every secret by a mask such as `[REDATTO: password]`. Returns the text and the number of secrets.

    `language` is the language of the mask: `REDATTO` is Italian for "redacted". Line ends are kept: the further lines
    of a secret become `[…]`.

    >>> mask_secrets("password: Segreta99!")
    ('password: [REDATTO: password]', 1)
    """
    found = find_secrets(text)
    return _masked(text, found, language), len(found)


def redact(text: str, path: str, language: str = DEFAULT_LANGUAGE) -> tuple[str, tuple[Redaction, ...]]:
    """The text of a file with its secrets masked, and the position of each secret.

    `path` is stored with each position. `language` is the language of the masks.
    """
    found = find_secrets(text)
    if not found:
        return text, ()
    places, line, position = [], 1, 0
    for secret in found:
        line += len(_END.findall(text, position, secret.start))
        position = secret.start
        places.append(Redaction(path=path, line=line, kind=secret.kind))
    return _masked(text, found, language), tuple(places)


def mask_for(kind: str, code: str) -> str:
    """The text that stands in place of a secret of this kind, in the language with this code: `[REDATTO: password]`."""
    words = language(code).redaction
    return str(words["mark"].format(kind=words["kinds"][kind]))


@lru_cache(maxsize=10_000)
def mask_path(path: str, language: str = DEFAULT_LANGUAGE) -> str:
    """A path with the secrets in the names of its folders and its file masked: `nas_[REDATTO: password].md`."""
    return _masked(path, merged(in_path(path)), language)


def _masked(text: str, found: Iterable[Secret], code: str) -> str:
    if not found:
        return text
    out: list[str] = []
    position = 0
    for secret in found:
        ends = _END.findall(text, secret.start, secret.end)
        out += (text[position : secret.start], mask_for(secret.kind, code), *(f"{end}[…]" for end in ends))
        position = secret.end
    return "".join([*out, text[position:]])


@lru_cache(maxsize=1)
def masks() -> tuple[str, ...]:
    """All texts that may stand in place of a secret, in any language."""
    words = [language(code).redaction for code in known_languages()]
    return tuple(dict.fromkeys(one["mark"].format(kind=kind) for one in words for kind in one["kinds"].values()))


@lru_cache(maxsize=1)
def _marks() -> re.Pattern[str]:
    return re.compile("|".join(map(re.escape, masks())))


def _windows(line: str) -> Iterator[tuple[int, str]]:
    """Split a long line into overlapping windows, each with its offset, so that the time stays linear."""
    if len(line) <= _WINDOW:
        yield 0, line
        return
    for start in range(0, len(line) - _OVERLAP, _WINDOW - _OVERLAP):
        yield start, line[start : start + _WINDOW]


def _in_line(line: str, named: bool, names: list[Name] | None) -> Iterator[Secret]:
    for at, piece in _windows(line):
        for secret in _in_piece(piece, named, names):
            cut_off = secret.end == _WINDOW
            end = to_space(line, at + secret.end) if cut_off else at + secret.end
            yield Secret(secret.kind, at + secret.start, end)


def _in_piece(piece: str, named: bool, names: list[Name] | None) -> Iterator[Secret]:
    if _RUN.search(piece):
        yield from vendor_secrets(piece)
    yield from in_addresses(piece)
    if named:
        yield from in_commands(piece)
        yield from beside_names(piece, names)
        yield from in_file_names(piece)
    if DIGITS.search(piece):
        yield from cards(piece)
