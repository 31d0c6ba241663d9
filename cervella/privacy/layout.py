"""Finds the secrets whose name stands in another line: a heading, a header cell, a YAML key, the line above."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence

from cervella.privacy.beside import phrase_at, value_at
from cervella.privacy.fitting import Value, fits
from cervella.privacy.names import Name, names_in, words
from cervella.privacy.scanning import line_end, line_start
from cervella.privacy.secret import Secret
from cervella.privacy.tables import Budget, Line, in_cell, in_columns, in_fields, in_html, is_label
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
    r"[ \t>]*+(?:[-*+][ \t]++|\d{1,3}[.)][ \t]++)?(?:(?P<label>[^:=|"
    r"\n]{1,60}?)|(?<=[ \t>]))[\"'`*_]{0,4}[ \t]{0,9}(?::(?!//)|=|=>|->|→|[-–—](?=[ \t]))(?=[ \t\"'`*])"
)
_VALUE_KEY = re.compile(
    r"[ \t>]*+(?:[-{,][ \t]*+)?[\"']?(?:value|val|valore|valor|wert|default|content|"
    r"string)[\"']?[ \t]*+[:=]|[ \t]*+<(?:string|value)>"
)
_SETTING = re.compile(r"(?i)[ \t>]*(?:-[ \t]+)?[{,]?[\"']?(?:name|key|id)[\"']?[ \t]*[:=]")  # see settings.py
_ASSIGNED = re.compile(r"[ \t>]*(?:export[ \t]+)?[A-Za-z_][\w.-]{0,60}=(?=\S)")  # judged by its own name
_SPEAKER = re.compile(r"[ \t>*_-]*(?:\[[^\[\]\n]{1,40}\][ \t]*)?(?:[^\W\d_][\w .]{0,24}[*_]{0,2}:[*_]{0,2}[ \t]+)?")
_LABELLED = re.compile(r"(?:[\w.&-]{1,24}[ \t]{1,8}){1,3}(?=\S+[ \t]*\Z)")
_CODES = re.compile(r"(?i)c[oó]d\w{0,3}[is]\b")  # recovery codes are lists
_MOST_LINES, _MOST_BLANK = 40, 3
_NOTE = re.compile(r"(?m)^[ \t>]{0,9}\[\^(?P<label>[\w-]{1,40})\]:[ \t]+(?=\S)")
_CITED = re.compile(r"\[\^(?P<label>[\w-]{1,40})\](?!:)")
_BEFORE_NOTE = 80  # characters before a footnote's sign in which the name of its secret may stand
_LONGEST = 1_000  # characters of a line that can be a heading, an entry or a row of such a block


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
    yield from in_html(text, start, line, names)
    if number >= budget.table_end:
        yield from in_columns(text, lines, number, line, names, budget)
        yield from in_fields(text, lines, number, line, names, budget)
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
        names = names_in(text[line_start(text, sign.start(), _BEFORE_NOTE) : sign.start()])
        if not names:
            continue
        value = value_at(text[at : line_end(text, at, _LONGEST)], 0)
        if value.alone and fits(names[-1], value, "dash"):
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
            whole = list(in_cell(line[_depth_end(line) :], name, start + _depth_end(line)))
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
    label = _LABELLED.match(line, _content_start(line))
    value = value_at(line, label.end()) if label else None
    return value if value and value.alone else None


def _in_entry(line: str, name: Name, *, indented: bool) -> Iterator[Value]:
    """The value of an entry of a list, such as `- gestionale: Mario.Rossi85`, or of a row of a table.

    In an indented entry, as in YAML, the value may be an ordinary word.
    """
    entry = _ENTRY.match(line)
    if entry and not names_in(entry["label"] or ""):
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
    if is_label(line) or _ASSIGNED.match(line):
        return None
    value = value_at(line, _content_start(line))
    return value if value.alone and value.text else None


def _content_start(line: str) -> int:
    """Where the text of a line begins: after its indentation, and after the sign of a list."""
    item = _ITEM.match(line)
    return item.end() if item else _depth_end(line)


def _depth_end(line: str) -> int:
    indent = _INDENT.match(line)
    return indent.end() if indent else 0
