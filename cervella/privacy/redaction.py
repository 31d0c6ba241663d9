"""Finds and masks secrets before a text is indexed or reaches a log, an error or a cloud brain.

The rules (rules.py) find secrets by their format or by a name beside them. Confidential prose is not found.
"""

from __future__ import annotations

import re
from bisect import bisect_left, bisect_right
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from functools import lru_cache

from cervella.privacy.rules import (
    CARD,
    COMMANDS,
    SHAPES,
    URL_PASSWORD,
    Kind,
    is_card,
    is_plausible,
    known_shapes,
    names,
    stems,
)
from cervella.text.language import DEFAULT_LANGUAGE, known_languages, language
from cervella.text.markdown import cells, is_fence, is_ruled
from cervella.types import Redaction

REDACTION_VERSION = "2"
"""Version of the rules. After a change, the next run of the indexer reads every file again."""

_WINDOW, _OVERLAP = 8_000, 2_000  # characters of the overlapping windows that a long line is split into
_JUDGED = 120  # characters of a value that are examined
_LINE = re.compile(r"[^\r\n]+")
_END = re.compile(r"\r\n|\r|\n")
# Fast tests that exclude most lines from the slower rules.
_RUN = re.compile(r"(?<![A-Za-z0-9_+/=.:~\\-])[A-Za-z0-9_+/=.:~\\-]{16,}")  # every format in SHAPES is as long
_RANDOM = re.compile(r"[A-Za-z][0-9]|[0-9][A-Za-z]|[a-z][A-Z]")  # every format in SHAPES contains such a pair
_DENSE = re.compile(r"[A-Za-z0-9_+/=-]{20,}")  # every secret of detect-secrets is as long, with letters and digits
_MIXED = re.compile(r"[A-Za-z][0-9]|[0-9][A-Za-z]")
_DIGIT = re.compile(r"[0-9]")
_DIGITS = re.compile(r"(?<!\d)\d(?:[ \u00a0-]?\d){12}")
_LEFTOVERS = "\"'`*_.,;:)]}>»"  # characters at the end of a value that belong to the sentence
_KEY_START = re.compile(r"-{4,5} ?BEGIN (?:[A-Z0-9]{1,20} ){0,4}PRIVATE KEY(?: BLOCK)? ?-{4,5}")
_KEY_END = re.compile(r"-{4,5} ?END (?:[A-Z0-9]{1,20} ){0,4}PRIVATE KEY(?: BLOCK)? ?-{4,5}")
_KEY_LINE = re.compile(r"(?:\\n|\r\n|\r|\n)[ \t>|\"'`]{0,20}[A-Za-z0-9+/=]{16,}[ \t\"'`,]{0,9}(?=\\n|[\r\n]|$)")
_PUTTY = re.compile(r"Private-Lines: *\d+(?=[\r\n])")
_LONGEST_KEY = 20_000  # characters between the two ends of a private key


@dataclass(frozen=True, slots=True)
class Secret:
    """The position and the kind of a secret in a text. The secret itself is not kept."""

    kind: Kind
    start: int
    end: int


def find_secrets(text: str) -> list[Secret]:
    """The secrets in a text, in order and without overlaps. The time is linear in the length of the text.

    >>> [secret.kind for secret in find_secrets("usa sk-" + "a1" * 12)]
    ['api_key']
    """
    text = _marks().sub(lambda match: "[" * len(match[0]), text)  # masked text is not examined again
    found = [*_private_keys(text)]
    lines = [match.span() for match in _LINE.finditer(text)]
    starts = [start for start, _ in lines]
    named = {bisect_right(starts, at) - 1 for at in _places(_lower(text), stems())}
    runs = (match.start() for match in _RUN.finditer(text) if _RANDOM.search(text, *match.span()))
    digits = (match.start() for match in _DIGITS.finditer(text))
    shaped = {bisect_right(starts, at) - 1 for at in (*runs, *digits)}
    for number in sorted(named | shaped):
        start, end = lines[number]
        line = text[start:end]
        found += (Secret(one.kind, start + one.start, start + one.end) for one in _in_line(line, number in named))
        if number in named and len(line) <= _WINDOW:
            following = [(at, text[at:stop]) for at, stop in lines[number + 1 : number + 3]]
            found += _after_name(line, following)
            found += _in_columns(text, lines, number)
    return _merged(found)


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


def _masked(text: str, found: Iterable[Secret], code: str) -> str:
    if not found:
        return text
    words = language(code).redaction
    out: list[str] = []
    position = 0
    for secret in found:
        ends = _END.findall(text, secret.start, secret.end)
        mark = words["mark"].format(kind=words["kinds"][secret.kind])
        out += (text[position : secret.start], mark, *(f"{end}[…]" for end in ends))
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


def _in_line(line: str, named: bool) -> Iterator[Secret]:
    for at, piece in _windows(line):
        for secret in _in_piece(piece, named):
            cut_off = secret.end == _WINDOW
            end = _to_space(line, at + secret.end) if cut_off else at + secret.end
            yield Secret(secret.kind, at + secret.start, end)


def _in_piece(piece: str, named: bool) -> Iterator[Secret]:
    if _RUN.search(piece):
        yield from _matches(((kind, pattern) for kind, start, pattern in SHAPES if start in piece), piece)
        if any(_MIXED.search(run) for run in _DENSE.findall(piece)):
            yield from (one for one in _matches(known_shapes(), piece) if _MIXED.search(piece, one.start, one.end))
    if "://" in piece:
        for match in URL_PASSWORD.finditer(piece):
            if is_plausible(match["secret"].ljust(8, "0"), says_enough=True, assigned=True):
                yield Secret("password", *match.span("secret"))
    if named:
        yield from _matches(COMMANDS, piece)
        yield from _beside_names(piece)
    if _DIGITS.search(piece):
        yield from (Secret("card", *match.span()) for match in CARD.finditer(piece) if is_card(match.group()))


def _matches(rules: Iterable[tuple[Kind, re.Pattern[str]]], piece: str) -> Iterator[Secret]:
    for kind, pattern in rules:
        for match in pattern.finditer(piece):
            yield Secret(kind, *match.span("secret" if "secret" in pattern.groupindex else 0))


def _beside_names(piece: str) -> Iterator[Secret]:
    """Values beside the name of a secret: `DB_PASSWORD = …`, `dbPassword: …`, «la password è …» ("the password is
    …")."""
    for name in names():
        done = 0
        for match in name.before.finditer(piece):
            separator, quote = match["separator"], match["quote"]
            if match.start() < done or (match["said"] and not separator):
                continue  # in «la password del file `nota2`» the quoted text is not the password
            if not name.says_enough and not _DIGIT.search(piece, match.end(), match.end() + _JUDGED):
                continue
            value = _value(piece[match.end() : match.end() + _JUDGED], quote, in_table="|" in separator)
            if is_plausible(value, says_enough=name.says_enough, assigned="=" in separator or bool(quote)):
                done = match.end() + len(value)
                if len(value) == _JUDGED:
                    done = _to_space(piece, done)
                yield Secret(name.kind, match.end(), done)


def _value(piece: str, quote: str, *, in_table: bool) -> str:
    """The value at the start of a text: up to its closing quotation mark, else up to white space."""
    value = re.split(r"[\s|]" if in_table else r"\s", piece, maxsplit=1)[0]
    closing = value.find("»" if quote == "«" else quote[:1]) if quote else -1
    if closing >= 0:
        return value[:closing]
    if len(value) == _JUDGED:
        return value
    value = re.split(r"[;,&](?=\w+=)|</", value, maxsplit=1)[0]  # the next pair of a connection string or address
    return value.rstrip(_LEFTOVERS)


def _to_space(text: str, position: int) -> int:
    while position < len(text) and not text[position].isspace():
        position += 1
    return position


def _after_name(line: str, following: Iterable[tuple[int, str]]) -> Iterator[Secret]:
    """A value alone on the line after `Password:`, possibly in a code block or a list."""
    line = line.rstrip()
    for name in names():
        match = next((match for match in name.before.finditer(line) if match.end() == len(line)), None)
        if match is None or not match["separator"] or "|" in match["separator"]:
            continue
        for start, other in following:
            bare = other.strip(" \t>*-`\"'")
            if is_fence(other) or not bare:
                continue
            if " " not in bare and is_plausible(bare, says_enough=name.says_enough, assigned=True):
                at = start + other.index(bare)
                yield Secret(name.kind, at, at + len(bare))
            break


def _in_columns(text: str, lines: Sequence[tuple[int, int]], number: int) -> Iterator[Secret]:
    """The cells of a table column whose header is the name of a secret."""
    if number + 2 >= len(lines) or not is_ruled(text[slice(*lines[number + 1])]):
        return
    head = text[slice(*lines[number])]
    columns = [
        (place, name)
        for place, (first, last) in enumerate(cells(head))
        for name in names()
        if name.cell.fullmatch(head, first, last)
    ]
    if not columns:
        return
    for below in range(number + 2, len(lines)):
        start, end = lines[below]
        row = text[start:end]
        if "|" not in row or is_ruled(row):
            return
        own = cells(row)
        for place, name in columns:
            first, last = own[place] if place < len(own) else (0, 0)
            value = row[first:last].strip(" \t*_`\"'")
            if " " not in value and is_plausible(value, says_enough=name.says_enough, assigned=False):
                at = start + row.index(value, first)
                yield Secret(name.kind, at, at + len(value))


def _private_keys(text: str) -> Iterator[Secret]:
    """Private keys with all their lines. If the end line is missing, the lines that look like a part of the key."""
    if "PRIVATE KEY" in text:
        ends = [match.end() for match in _KEY_END.finditer(text)]
        done = 0
        for match in _KEY_START.finditer(text):
            if match.start() < done:
                continue
            place = bisect_left(ends, match.end())
            whole = place < len(ends) and ends[place] - match.end() <= _LONGEST_KEY
            done = ends[place] if whole else _after_key_lines(text, match.end())
            yield Secret("private_key", match.start(), done)
    for match in _PUTTY.finditer(text):
        yield Secret("private_key", match.start(), _after_key_lines(text, match.end()))


def _after_key_lines(text: str, position: int) -> int:
    while match := _KEY_LINE.match(text, position):
        position = match.end()
    return position


def _merged(found: Iterable[Secret]) -> list[Secret]:
    """The secrets in order. Overlapping ones are merged and get the kind of the longest."""
    out: list[Secret] = []
    for secret in sorted(found, key=lambda secret: (secret.start, -secret.end)):
        if out and secret.start < out[-1].end:
            last = out[-1]
            kind = secret.kind if secret.end - secret.start > last.end - last.start else last.kind
            out[-1] = Secret(kind, last.start, max(last.end, secret.end))
        else:
            out.append(secret)
    return out
