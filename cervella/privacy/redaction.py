"""Finds and masks secrets before a text is indexed or reaches a log, an error or a cloud brain.

The rules find secrets by their shape (vendors.py, keys.py, cards.py), by a name beside them (beside.py) or in another
line (layout.py, tables.py, settings.py), in addresses and commands (addresses.py), in the names of files
(file_names.py), and the codes of doors (codes.py). Confidential prose is not found.
"""

from __future__ import annotations

import re
from bisect import bisect_right
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from functools import lru_cache

from cervella.privacy.addresses import in_addresses, in_commands
from cervella.privacy.beside import beside_names, to_space
from cervella.privacy.cards import DIGITS, cards
from cervella.privacy.codes import door_codes
from cervella.privacy.encoded import in_base64, without_invisible, without_links
from cervella.privacy.file_names import in_file_names, in_path
from cervella.privacy.keys import private_keys
from cervella.privacy.layout import by_position, in_footnotes
from cervella.privacy.names import Name, any_stem, names_in
from cervella.privacy.scanning import folded, lower, places, runs
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
_RANDOM = re.compile(r"[A-Za-z][0-9]|[0-9][A-Za-z]|[a-z][A-Z]")  # every vendor's shape contains such a pair


def find_secrets(text: str) -> list[Secret]:
    """The secrets in a text, in order and without overlaps. The time is linear in the length of the text.

    >>> [secret.kind for secret in find_secrets("usa sk-" + "a1" * 12)]
    ['api_key']
    """
    text = _marks().sub(lambda match: "[" * len(match[0]), text)  # masked text is not examined again
    text = without_links(text)
    bare, place = without_invisible(text)
    own = runs(bare)
    found = [*_found(bare, own), *in_base64(bare, own, lambda decoded: _found(decoded, runs(decoded)))]
    new = (one for one in found if bare[one.start : one.end].strip("["))
    return merged([*(Secret(one.kind, *place(one.start, one.end)) for one in new), *in_footnotes(text)])


@dataclass(frozen=True, slots=True)
class _Line:
    """A line, and which rules can find anything in it."""

    text: str
    small: str
    """The text in lower case, as `scanning.folded` returns it."""
    named: bool
    has_run: bool
    has_digits: bool
    names: list[Name] | None
    """The names of secrets in it; None if they are not known yet."""


def _found(text: str, own_runs: list[tuple[int, int]]) -> list[Secret]:
    small = lower(text)
    plain = folded(small)
    found = [*private_keys(text, plain)]
    lines = [match.span() for match in _LINE.finditer(text)]
    starts = [start for start, _ in lines]

    def numbers(at: Iterable[int]) -> set[int]:
        return {bisect_right(starts, one) - 1 for one in at}

    named = numbers(match.start() for match in any_stem().finditer(small))
    with_run = numbers(start for start, _ in own_runs)
    with_digits = numbers(match.start() for match in DIGITS.finditer(text))
    random = numbers(start for start, end in own_runs if _RANDOM.search(text, start, end))
    addresses = numbers(places(text, ("://", "WIFI:", "=", "@")))
    budget = Budget(len(lines))
    for number in sorted(named | random | with_digits | addresses):
        start, end = lines[number]
        is_named = number in named
        names = names_in(text[start:end]) if is_named and end - start <= _WINDOW else None
        line = _Line(text[start:end], plain[start:end], is_named, number in with_run, number in with_digits, names)
        found += (one.moved(start) for one in _in_line(line))
        if names:
            found += by_position(text, lines, number, names, budget)
        if is_named:
            found += in_settings(text, start, end)
    found += door_codes(text)
    found += list(companions(text, found))
    return merged(found)


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
    redactions, line, position = [], 1, 0
    for secret in found:
        line += len(_END.findall(text, position, secret.start))
        position = secret.start
        redactions.append(Redaction(path=path, line=line, kind=secret.kind))
    return _masked(text, found, language), tuple(redactions)


def mask_for(kind: str, code: str) -> str:
    """The text that stands in place of a secret of this kind, in the language with this code: `[REDATTO: password]`."""
    words = language(code).redaction
    return str(words["mark"].format(kind=words["kinds"][kind]))


@lru_cache(maxsize=10_000)
def mask_path(path: str, language: str = DEFAULT_LANGUAGE) -> str:
    """A path with the secrets in the names of its folders and its file masked: `nas_[REDATTO: password].md`."""
    return _masked(path, merged(in_path(path)), language)


def _masked(text: str, found: Iterable[Secret], code: str) -> str:
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


def _windows(line: _Line) -> Iterator[tuple[int, _Line]]:
    """Split a long line into overlapping windows, each with its offset, so that the time stays linear."""
    if len(line.text) <= _WINDOW:
        yield 0, line
        return
    for start in range(0, len(line.text) - _OVERLAP, _WINDOW - _OVERLAP):
        text, small = line.text[start : start + _WINDOW], line.small[start : start + _WINDOW]
        has_run = line.has_run and bool(runs(text))
        has_digits = line.has_digits and DIGITS.search(text) is not None
        yield start, _Line(text, small, line.named, has_run, has_digits, None)


def _in_line(line: _Line) -> Iterator[Secret]:
    for at, piece in _windows(line):
        for secret in _in_piece(piece):
            cut_off = secret.end == _WINDOW
            end = to_space(line.text, at + secret.end) if cut_off else at + secret.end
            yield Secret(secret.kind, at + secret.start, end)


def _in_piece(piece: _Line) -> Iterator[Secret]:
    if piece.has_run:
        yield from vendor_secrets(piece.text)
    yield from in_addresses(piece.text, piece.small)
    if piece.named:
        yield from in_commands(piece.text, piece.small)
        yield from beside_names(piece.text, piece.names)
        yield from in_file_names(piece.text)
    if piece.has_digits:
        yield from cards(piece.text)
