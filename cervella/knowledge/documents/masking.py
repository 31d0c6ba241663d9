"""Masks the secrets that only the reading of a file shows: the markup in its text hid them from the rules.

In «Password: <!-- new --> Mario.Rossi85» the comment stands between the name and the value, and in the reading nothing.
"""

from __future__ import annotations

import re
from bisect import bisect_right
from collections import defaultdict
from collections.abc import Iterator, Sequence
from dataclasses import replace
from itertools import accumulate

from cervella.knowledge.documents.scan import Source
from cervella.privacy.redaction import find_secrets, mask_for
from cervella.types import Redaction

_BEFORE = re.compile(r"[ \t]*(?:(?:>|#{1,6}|[-*+]|\d{1,3}[.)]|\[\^[\w-]{1,40}\]:)[ \t]+)*")  # the signs of structure
_KNOWN = str.maketrans("", "", " \t*`_~|>-#")  # signs of markup that hide nothing from the rules
_AROUND = 4  # lines before and after a line between which a name and its value may stand
_LEAST = 6  # characters of a value that is looked for in other lines than its own

_Part = tuple[int, int, int, str]
"""The number of a line from 0, start and end of a secret in it, and the secret's kind."""


def masked_by_reading(source: Source, written: Sequence[str], reading: Sequence[str]) -> Source | None:
    """The source with those secrets masked that its reading shows; None if it shows none.

    `written` are the lines of `source.text`, `reading` those of its reading: one for each, which may have line breaks.
    A value is masked where the text has it literally: in its line, else in any other; else its line is masked whole.
    """
    near = _near_changes(written, reading)
    if not near:
        return None
    found = list(_parts([line if number in near else "" for number, line in enumerate(reading)]))
    if not found:
        return None
    lines = list(written)
    redactions = list(source.redactions)
    for number, start, end, kind in found:
        value, mask = reading[number][start:end], mask_for(kind, source.language)
        places = [number] if value in lines[number] else []
        if not places and len(value) >= _LEAST:
            places = [place for place, line in enumerate(lines) if value in line]
        for place in places:
            lines[place] = lines[place].replace(value, mask)
        if not places and lines[number] == written[number]:
            before = _BEFORE.match(written[number])
            lines[number] = (before.group() if before else "") + mask
            places = [number]
        redactions += [Redaction(path=source.path, line=place + 1, kind=kind) for place in places]
    redactions.sort(key=lambda one: one.line)
    last = "\n" if source.text.endswith(("\n", "\r")) else ""
    return replace(source, masked=("\n".join(lines) + last, tuple(redactions)))


def _near_changes(written: Sequence[str], reading: Sequence[str]) -> set[int]:
    """The numbers of the lines near one that reads otherwise than it is written, but for the marks the rules know."""
    near: set[int] = set()
    for number, (line, read) in enumerate(zip(written, reading, strict=True)):
        if line != read and line.translate(_KNOWN) != read.translate(_KNOWN):
            near.update(range(max(0, number - _AROUND), min(len(reading), number + _AROUND + 1)))
    return near


def masked_reading(lines: Sequence[str], language: str) -> tuple[str, ...]:
    """The lines of a reading with their secrets masked. Each line may have line breaks."""
    parts: dict[int, list[tuple[int, int, str]]] = defaultdict(list)
    for number, start, end, kind in _parts(lines):
        parts[number].append((start, end, kind))
    return tuple(_masked(line, parts.get(number, ()), language) for number, line in enumerate(lines))


def _masked(line: str, parts: Sequence[tuple[int, int, str]], language: str) -> str:
    for start, end, kind in reversed(parts):
        line = line[:start] + mask_for(kind, language) + line[end:]
    return line


def _parts(lines: Sequence[str]) -> Iterator[_Part]:
    """The secrets in lines, in order; one that goes over several lines has a part in each of them."""
    starts = [0, *accumulate(len(line) + 1 for line in lines)]
    for secret in find_secrets("\n".join(lines)):
        number = bisect_right(starts, secret.start) - 1
        while number < len(lines) and starts[number] < secret.end:
            start = max(0, secret.start - starts[number])
            end = min(len(lines[number]), secret.end - starts[number])
            if lines[number][start:end].strip():
                yield number, start, end, secret.kind
            number += 1
