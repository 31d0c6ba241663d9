"""Finds the secrets whose name stands in another line: a heading, a header cell, a YAML key, the line above."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Sequence

from cervella.privacy.beside import Value, beside_names, fits, phrase_at, value_at
from cervella.privacy.names import Name, names_in, words
from cervella.privacy.secret import Secret
from cervella.privacy.values import is_passphrase, is_seed, is_striking
from cervella.text.markdown import cells, is_fence, is_ruled

_MARKS = r"(?:[ \t\"'`*_~)\]>»”\\]|</?\w{1,12}(?:[ \t][^<>\n]{0,80})?/?>|&quot;)*+"
_REST = re.compile(
    rf"{_MARKS},?[ \t]{{0,3}}"
    rf"(?P<said>(?:[^\W_][^\s:=|<>?]{{0,24}}+(?:[ \t]{{1,3}}|(?![^\s:=|<>?]))|\([^()]{{0,40}}\)[ \t]{{0,3}}){{0,7}})"
    rf"{_MARKS}"
    rf"(?P<separator>\?{{1,3}}|:|=|=>|->|→|：)?{_MARKS}[|>]?[-+]?[ \t]*\Z"
)
_HEADING = re.compile(r"[ \t>]{0,9}(#{1,6})[ \t]")
_ALONE = re.compile(
    r"[ \t>]*(?:\[!\w{1,20}\][-+]?[ \t]|"
    r"#{1,6}[ \t]|[-*+][ \t]|\d{1,3}[.)][ \t]|<\w{1,12}[^<>\n]{0,80}>|\*\*|__|[\"'])*[ \t]*"
)
_ITEM = re.compile(r"[ \t>]*(?:[-*+:][ \t]+|\d{1,3}[.)][ \t]+)")
_INDENT = re.compile(r"[ \t>]*")
_UNDERLINE = re.compile(r"[ \t>]*(?:[=~-]{2,}|```.*|<\w{1,12}>|\{|\[)[ \t]*")
_ENTRY = re.compile(
    r"[ \t>]*(?:[-*+][ \t]+|\d{1,3}[.)][ \t]+)?(?P<label>[^:=|"
    r"\n]{1,60}?)[\"'`*_]{0,4}[ \t]{0,9}(?::(?!//)|=|=>|->|→|[-–—](?=[ \t]))(?=[ \t\"'`*])"
)
_VALUE_KEY = re.compile(
    r"[ \t>]*[-{,]?[ \t]*[\"']?(?:value|val|valore|valor|wert|default|content|"
    r"string)[\"']?[ \t]*[:=]|[ \t]*<(?:string|value)>"
)
_SETTING = re.compile(r"(?i)[ \t>]*(?:-[ \t]+)?[{,]?[\"']?(?:name|key|id)[\"']?[ \t]*[:=]")  # see settings.py
_SPEAKER = re.compile(r"[ \t>*_-]*(?:\[[^\[\]\n]{1,40}\][ \t]*)?(?:[^\W\d_][\w .]{0,24}[*_]{0,2}:[*_]{0,2}[ \t]+)?")
_LABELLED = re.compile(r"(?:[\w.&-]{1,24}[ \t]{1,8}){1,3}(?=\S+[ \t]*\Z)")
_CONTACT = re.compile(r"[A-Z]{2,}_?\d{1,3}")  # the pin of a chip: GPIO21
_CODES = re.compile(r"(?i)c[oó]d\w{0,3}[is]\b")  # recovery codes are lists
_HTML_CELL = re.compile(r"<t[hd](?:\s[^<>]{0,200})?>(?P<inside>(?:(?!</t[hd]|<t[hd]).){0,400})", re.DOTALL)
_HTML_ROW = re.compile(r"<tr(?:\s[^<>]{0,200})?>(?:(?!</tr).){0,2000}", re.DOTALL)
_ROW, _TABLE = 1_000, 4_000  # characters of a row and of a table of HTML that are looked at
_MOST_LINES, _MOST_BLANK = 40, 3
_NOTE = re.compile(r"(?m)^[ \t>]{0,9}\[\^(?P<label>[\w-]{1,40})\]:[ \t]+(?=\S)")
_CITED = re.compile(r"\[\^(?P<label>[\w-]{1,40})\](?!:)")
_BEFORE_NOTE = 80  # characters before a footnote's sign in which the name of its secret may stand
_LONGEST = 1_000  # characters of a line that can be a heading, an entry or a row of such a block

Line = tuple[int, int]


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


def by_position(
    text: str, lines: Sequence[Line], number: int, names: Sequence[Name], budget: Budget
) -> Iterator[Secret]:
    """The secrets that line `number`, which has the names of secrets, announces for the lines after it.

    `lines` are the start and end of each line that is not empty.
    """
    start, end = lines[number]
    line = text[start:end]
    if len(line) > _LONGEST:
        return
    yield from _in_html(text, start, line, names)
    if number >= budget.table_end:
        yield from _in_columns(text, lines, number, line, names, budget)
        yield from _in_fields(text, lines, number, line, names, budget)
    name = names[-1]
    if line[name.end : name.end + 1] == ";" and not line[: name.start].strip(" \t>\"'"):
        value = value_at(line, name.end + 1)
        if value.alone and is_striking(value.text):  # a row of CSV, and no header
            yield Secret(name.kind, start + value.start, start + value.end)
            return
    rest = _REST.match(line, name.end)
    if (
        rest is None
        or _SETTING.match(line)
        or any(word.strip("(),.").lower() in words("metadata") for word in rest["said"].split())
    ):
        return
    opens = _ALONE.match(line)
    before = line[opens.end() if opens else 0 : name.start]
    only = len(before.split()) <= 4 and not re.search(r"[.;!?|]|\w[,:][ \t]", before.strip(" \t:").removesuffix(","))
    asks = (rest["separator"] or "").startswith("?")
    if asks:
        yield from _answer(text, lines, number, name)
        return
    if not (rest["separator"] or only):
        return
    if only:
        name = next((one for one in names if one.group != "pairs"), name)
    yield from _below(text, lines, number, name, line, certain=bool(rest["separator"]), budget=budget)


def _answer(text: str, lines: Sequence[Line], number: int, name: Name) -> Iterator[Secret]:
    """The value that is alone in the line after a question: `What is the password?`, then `A: Mario.Rossi85`."""
    if number + 1 >= len(lines) or _gap(text, lines, number + 1) > _MOST_BLANK:
        return
    start, end = lines[number + 1]
    line = text[start : min(end, start + _LONGEST)]
    speaker = _SPEAKER.match(line)
    value = value_at(line, speaker.end() if speaker else 0)
    if value.alone and fits(name, value, "dash"):
        yield Secret(name.kind, start + value.start, start + value.end)


def in_footnotes(text: str) -> Iterator[Secret]:
    """The secrets that are alone in a footnote, whose sign stands after their name: `the password[^1]`."""
    notes = {match["label"]: match.end() for match in _NOTE.finditer(text)}
    if not notes:
        return
    for sign in _CITED.finditer(text):
        at = notes.get(sign["label"])
        if at is None:
            continue
        first = max(text.rfind("\n", 0, sign.start()) + 1, sign.start() - _BEFORE_NOTE)
        names = names_in(text[first : sign.start()])
        end = text.find("\n", at, at + _LONGEST)
        value = value_at(text[at : end if end >= 0 else at + _LONGEST], 0)
        if names and value.alone and fits(names[-1], value, "dash"):
            del notes[sign["label"]]
            yield Secret(names[-1].kind, at + value.start, at + value.end)


def _below(
    text: str, lines: Sequence[Line], number: int, name: Name, head: str, *, certain: bool, budget: Budget
) -> Iterator[Secret]:
    """The value in the next line, or the values of the list, the block or the table under a name."""
    heading = _HEADING.match(head)
    depth = _depth(head)
    inside = budget.in_fence(text, lines, number)
    fenced = False
    codes = _CODES.search(head, name.start, name.end) is not None
    taken = 0
    for at in range(number + 1, min(len(lines), number + 1 + _MOST_LINES)):
        if not budget.spend():
            return
        start, end = lines[at]
        line = text[start:end]
        if is_fence(line):
            if inside or (fenced and (taken or not heading)):
                return
            fenced = not fenced
            continue
        if _UNDERLINE.fullmatch(line) or not line.strip():
            continue
        other = _HEADING.match(line)
        if len(line) > _LONGEST or (other and (heading is None or len(other[1]) <= len(heading[1]))):
            return
        if not taken and not heading and _gap(text, lines, at) > _MOST_BLANK:
            return
        if "|" in line and at + 1 < len(lines) and is_ruled(text[slice(*lines[at + 1])][:_LONGEST]):
            continue  # the header of a table
        inner = _VALUE_KEY.match(line)
        if inner:
            value = value_at(line, inner.end())
            if fits(name, value, "direct"):
                yield Secret(name.kind, start + value.start, start + value.end)
            if not heading:
                return
            taken += 1
            continue
        if name.group == "pairs":
            if "/" not in line and "|" not in line:
                if not taken and (heading or certain):
                    yield from _second(text, lines, at, name)
                return
            whole = list(_in_cell(line[_depth_end(line) :], name, start + _depth_end(line)))
            yield from whole
            if not (whole or heading or _ITEM.match(line)):
                return
            taken += 1
            continue
        phrase = phrase_at(line, 0) if taken == 0 and name.strength == "enough" else None
        if phrase and (is_seed(phrase.text) or (fenced and is_passphrase(phrase.text))):
            yield Secret(name.kind, start + phrase.start, start + phrase.end)
            return
        lone = _whole(line)
        in_list = bool(_ITEM.match(line) or fenced or heading or codes)
        if lone is not None and (taken == 0 or in_list):
            ends = taken == 0 and name.group in ("passwords", "endings") and _ends_section(text, lines, at)
            sure = certain or codes or fenced or lone.quoted or (heading and ends) or is_striking(lone.text)
            if fits(name, lone, "direct" if sure else "near"):
                yield Secret(name.kind, start + lone.start, start + lone.end)
                taken += 1
                if not in_list and _depth(line) <= depth:
                    return
                continue
            if not heading and taken == 0 and not _ITEM.match(line):
                return
        if certain and not heading and name.strength == "enough" and (labelled := _labelled(line)):
            if not fits(name, labelled, "near"):
                return
            yield Secret(name.kind, start + labelled.start, start + labelled.end)
            taken += 1
            continue
        in_block = heading or fenced or _ITEM.match(line) or _depth(line) > depth or (taken and "|" in line)
        if not in_block:
            return
        taken += 1
        indented = certain and not heading and _depth(line) > depth
        for value in _in_entry(line, name, indented=indented):
            yield Secret(name.kind, start + value.start, start + value.end)


def _second(text: str, lines: Sequence[Line], number: int, name: Name) -> Iterator[Secret]:
    """The password that is alone in its line, below a user that is alone in line `number`."""
    if number + 1 >= len(lines):
        return
    start, end = lines[number + 1]
    user, password = _whole(text[slice(*lines[number])]), _whole(text[start : min(end, start + _LONGEST)])
    if user and password and is_striking(password.text):
        yield Secret(name.kind, start + password.start, start + password.end)


def _labelled(line: str) -> Value | None:
    """The last word of a line that has one to three words before it: `NAS Mario.Rossi85`."""
    item = _ITEM.match(line)
    label = _LABELLED.match(line, item.end() if item else _depth_end(line))
    value = value_at(line, label.end()) if label else None
    return value if value and value.alone else None


def _in_entry(line: str, name: Name, *, indented: bool) -> Iterator[Value]:
    """The value of an entry of a list, such as `- gestionale: Mario.Rossi85`, or of a row of a table.

    In an indented entry, as in YAML, the value may be an ordinary word.
    """
    entry = _ENTRY.match(line)
    if entry and not names_in(entry["label"]):
        value = value_at(line, entry.end())
        how = "direct" if name.strength == "enough" or indented else "near"
        telling = is_striking(value.text) or name.group == "pins" or (indented and "-" not in entry.group()[-2:])
        if " " not in value.text and value.alone and telling and fits(name, value, how):
            yield value
    elif "|" in line and not is_ruled(line) and name.strength == "enough":
        for first, _ in cells(line)[1:]:
            value = value_at(line, first, in_cell=True)
            if value.alone and fits(name, value, "near"):
                yield value


def _ends_section(text: str, lines: Sequence[Line], number: int) -> bool:
    return number + 1 >= len(lines) or _HEADING.match(text[slice(*lines[number + 1])]) is not None


def _depth(line: str) -> int:
    indent = _INDENT.match(line)
    return len(indent.group().expandtabs(4)) if indent else 0


def _gap(text: str, lines: Sequence[Line], number: int) -> int:
    return text.count("\n", lines[number - 1][1], lines[number][0])


def _whole(line: str) -> Value | None:
    """The value that is alone in a line, if it is one word or in quotation marks."""
    if _is_label(line):
        return None
    item = _ITEM.match(line)
    value = value_at(line, item.end() if item else _depth_end(line))
    return value if value.alone and value.text else None


def _is_label(text: str) -> bool:
    """Whether a line or cell is the label of a value that is not there: `HTTP port:`."""
    return text.rstrip(" \t\"'`*_").endswith((":", "："))


def _depth_end(line: str) -> int:
    indent = _INDENT.match(line)
    return indent.end() if indent else 0


def _in_columns(
    text: str, lines: Sequence[Line], number: int, head: str, names: Sequence[Name], budget: Budget
) -> Iterator[Secret]:
    """The cells of a table column whose header is the name of a secret."""
    if number + 2 >= len(lines) or "|" not in head or not is_ruled(text[slice(*lines[number + 1])]):
        return
    columns = list(_columns(head, cells(head), names))
    if columns:
        yield from _rows(text, lines, number + 2, columns, lambda row: cells(row) if "|" in row else [], budget)


def _in_html(text: str, start: int, line: str, names: Sequence[Name]) -> Iterator[Secret]:
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
                yield from _in_cell(cell["inside"], name, first)


def _in_fields(
    text: str, lines: Sequence[Line], number: int, head: str, names: Sequence[Name], budget: Budget
) -> Iterator[Secret]:
    """The fields of CSV whose header is the name of a secret."""
    sign = next((sign for sign in ("\t", ";", ",") if head.count(sign) >= 1), None)
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
            yield from _in_cell(cell, name, start + first)


def _in_cell(cell: str, name: Name, start: int) -> Iterator[Secret]:
    value = value_at(cell, 0, in_cell=True)
    if _is_label(cell) or (name.group == "pins" and _CONTACT.fullmatch(value.text)):
        return
    if name.group == "pairs":
        word = "login: "  # one of the names before a user and a password
        found = beside_names(word + cell)
        yield from (secret.moved(start - len(word)) for secret in found if secret.start >= len(word))
    elif fits(name, value, "cell"):
        yield Secret(name.kind, start + value.start, start + value.end)
