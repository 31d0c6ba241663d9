"""Finds the secrets of tables in markdown, HTML and CSV: a header names the secret, the cells below hold it."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Sequence
from typing import TypeAlias

from cervella.privacy.beside import beside_names, value_at
from cervella.privacy.fitting import fits
from cervella.privacy.names import Name, words
from cervella.privacy.secret import Secret
from cervella.text.markdown import cells, is_fence, is_ruled

_HTML_CELL = re.compile(r"<t[hd](?:\s[^<>]{0,200})?>(?P<inside>(?:(?!</t[hd]|<t[hd]).){0,400})", re.DOTALL)
_HTML_ROW = re.compile(r"<tr(?:\s[^<>]{0,200})?>(?:(?!</tr).){0,2000}", re.DOTALL)
_ROW, _TABLE = 1_000, 4_000  # characters of a row and of a table of HTML that are looked at
_CONTACT = re.compile(r"[A-Z]{2,}_?\d{1,3}")  # the pin of a chip: GPIO21

Line: TypeAlias = tuple[int, int]
"""Start and end of a line in its text."""


class Budget:
    """How many lines below names may still be looked at. It grows with the text, so that the time stays linear."""

    def __init__(self, lines: int) -> None:
        self.left = 8 * lines + 200
        self.table_end = 0
        """The line after the last one that was read as a row of a table: none before it is the header of another."""
        self._fenced: list[bool] = []

    def in_fence(self, text: str, lines: Sequence[Line], number: int) -> bool:
        """Whether a line is in a fence. All lines are looked at once."""
        if not self._fenced:
            inside = False
            for start, end in lines:
                inside ^= is_fence(text[start : min(end, start + 40)])
                self._fenced.append(inside)
        return self._fenced[number]

    def spend(self) -> bool:
        self.left -= 1
        return self.left >= 0


def in_columns(
    text: str, lines: Sequence[Line], number: int, head: str, names: Sequence[Name], budget: Budget
) -> Iterator[Secret]:
    """The cells of a table column whose header is the name of a secret."""
    if number + 2 >= len(lines) or "|" not in head or not is_ruled(text[slice(*lines[number + 1])]):
        return
    columns = list(_columns(head, cells(head), names))
    if columns:
        yield from _rows(text, lines, number + 2, columns, lambda row: cells(row) if "|" in row else [], budget)


def in_html(text: str, start: int, line: str, names: Sequence[Name]) -> Iterator[Secret]:
    """The cells below a header cell of an HTML table that is the name of a secret."""
    if "<t" not in line:
        return
    for name in names:
        at = start + name.start
        opens = text.rfind("<tr", max(0, at - _ROW), at)
        closes = text.find("</tr", at, at + _ROW)
        if opens < 0 or closes < 0:
            continue
        head = list(_HTML_CELL.finditer(text, opens, closes))
        place = next((n for n, cell in enumerate(head) if cell.start() <= at < cell.end()), None)
        if place is None or len(re.sub(r"<[^>]{0,80}>", " ", head[place]["inside"]).split()) > 5:
            continue
        for row in _HTML_ROW.finditer(text, closes, closes + _TABLE):
            own = list(_HTML_CELL.finditer(row.group()))
            if place < len(own):
                cell = own[place]
                if "<th" in cell.group()[:3]:
                    break
                first = row.start() + cell.start("inside")
                yield from in_cell(cell["inside"], name, first)


def in_fields(
    text: str, lines: Sequence[Line], number: int, head: str, names: Sequence[Name], budget: Budget
) -> Iterator[Secret]:
    """The fields of CSV whose header is the name of a secret."""
    sign = next((sign for sign in ("\t", ";", ",") if sign in head), None)
    if sign is None or "|" in head or number + 1 >= len(lines) or sign not in text[slice(*lines[number + 1])]:
        return
    fields = _fields(head, sign)
    if (
        len(fields) < 2
        or re.search(r"[:={}]", head)
        or any(last - first > 40 or len(head[first:last].split()) > 3 for first, last in fields)
    ):
        return
    columns = list(_columns(head, fields, names))
    if columns:
        width = len(fields)
        yield from _rows(
            text, lines, number + 1, columns, lambda row: own if len(own := _fields(row, sign)) == width else [], budget
        )


def _fields(row: str, sign: str) -> list[Line]:
    out, at = [], 0
    for part in row.split(sign):
        out.append((at, at + len(part)))
        at += len(part) + 1
    return out


def _columns(head: str, fields: Sequence[Line], names: Sequence[Name]) -> Iterator[tuple[int, Name]]:
    for place, (first, last) in enumerate(fields):
        cell = head[first:last]
        if len(cell.split()) > 6 or any(word.strip("(),.*_`").lower() in words("metadata") for word in cell.split()):
            continue
        own = next((name for name in names if first <= name.start and name.end <= last), None)
        if own is not None:
            yield place, own


def _rows(
    text: str,
    lines: Sequence[Line],
    number: int,
    columns: Sequence[tuple[int, Name]],
    cells_of: Callable[[str], Sequence[Line]],
    budget: Budget,
) -> Iterator[Secret]:
    for below in range(number, len(lines)):
        start, end = lines[below]
        row = text[start:end]
        own = cells_of(row)
        if not own or is_ruled(row):
            return
        budget.table_end = below + 1
        for place, name in columns:
            if place >= len(own):
                continue
            first, last = own[place]
            cell = row[first:last].rstrip()
            yield from in_cell(cell, name, start + first)


def in_cell(cell: str, name: Name, start: int) -> Iterator[Secret]:
    """The secret of a cell that starts at `start`, in a column or under a heading that has this name."""
    value = value_at(cell, 0, in_cell=True)
    if is_label(cell) or (name.group == "pins" and _CONTACT.fullmatch(value.text)):
        return
    if name.group == "pairs":
        word = "login: "  # one of the names before a user and a password
        found = beside_names(word + cell)
        yield from (secret.moved(start - len(word)) for secret in found if secret.start >= len(word))
    elif fits(name, value, "cell"):
        yield Secret(name.kind, start + value.start, start + value.end)


def is_label(text: str) -> bool:
    """Whether a line or cell is the label of a value that is not there: `HTTP port:`."""
    return text.rstrip(" \t\"'`*_").endswith((":", "："))
