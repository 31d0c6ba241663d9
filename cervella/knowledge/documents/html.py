"""Rewrites the HTML in markdown as markdown: tables as pipe tables, lists as items, other tags as the words in them.

Notes that were exported from Confluence, Notion, Word or Google Docs are markdown with HTML in it, well-formed or not.
A table is written row by row, each at the line where the row begins in the file, so that a row can be cited.

The standard library's `html.parser` is not used: it knows nothing of code between backticks, and takes quadratic time
for texts such as many `<!--` that never end. A tag is found by one pattern of bounded length instead.
"""

from __future__ import annotations

import re
from bisect import bisect_right
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from itertools import accumulate

from cervella.knowledge.documents.code import Code, code_spans
from cervella.knowledge.documents.inline import POWERS, decoded
from cervella.text.markdown import fence_for

_HINT = re.compile(r"<[A-Za-z!/?]")
_VALUE = r"""(?:[^<>"'{}=\s]|=\s*(?:"[^"]{0,4000}"|'[^']{0,4000}'|\{(?:[^{}]|\{[^{}]{0,500}\}){0,1000}+\})?|[\s"'{}])"""
_TAG = re.compile(
    rf"<!--|<!\[CDATA\[|\]\]>|<[!?][A-Za-z][^<>]{{0,2000}}>"
    rf"|</?(?P<name>[A-Za-z][\w:.-]{{0,60}})(?P<attributes>(?:\s{_VALUE}{{0,3000}}+)?)\s*/?>|<(?:</)?>|</>"
)
_END = re.compile(r"</([a-z][\w:.-]{0,60})\s*>")
_ATTRIBUTE = re.compile(r"""(?<![\w:-])([\w:-]++)\s*+=\s*+(?:"([^"]*)"|'([^']*)'|([^\s"'>]+))""")
_QUOTED = re.compile(r"(?:(?<![ \t])[ \t]++)?+(?:>[ \t]?)+")
_SPACE = re.compile(r"\s+")

_CELLS = frozenset({"td", "th"})
_TABLE_PARTS = frozenset({"thead", "tbody", "tfoot", "colgroup", "col", "caption"})
_BLOCKS = frozenset(
    _SPACE.split(
        """address article aside blockquote body center div fieldset figcaption figure footer form header hgroup html
    main nav p picture section video audio menu search legend label hr details"""
    )
)
_HEADINGS = frozenset({"h1", "h2", "h3", "h4", "h5", "h6"})
_INLINE = frozenset(
    _SPACE.split(
        """a abbr acronym b bdi bdo big br button cite code data del dfn em font i img input ins kbd link mark
        meta meter output progress q rp rt ruby s samp small source span strike strong sub sup time track tt
        u var wbr area map param embed nobr select option optgroup textarea iframe"""
    )
)
_GONE = frozenset({"script", "style", "head", "noscript", "template", "object", "svg", "math", "canvas"})
_CUT = frozenset({"script", "style"})
"""Elements whose content is no text. If such an element is never ended, it goes on to the next blank line."""
_KNOWN = _CELLS | _TABLE_PARTS | _BLOCKS | _HEADINGS | _INLINE | _GONE
_KNOWN |= {"table", "tr", "ul", "ol", "li", "dl", "dt", "dd", "summary", "pre"}
_OFTEN_OPEN = (
    _CELLS | _TABLE_PARTS | {"br", "hr", "wbr", "img", "p", "li", "tr", "dt", "dd", "table", "ul", "ol", "body"}
)
"""Elements that many people do not end."""
_SPACED = frozenset({"br", "p", "div", "li", "tr", "option", "hr", "dd", "dt"})
"""Elements that begin a new line, and so part the words of a cell."""
_LONGEST_HEADING = 2_000  # characters
_MOST_SPANNED = 1_000
_INDENTED = 10  # maximum levels of a list that are indented
_DEEPEST = 6  # maximum tables in one another
_SPARE_CELLS = 2_000


@dataclass(slots=True)
class _Cell:
    line: int
    """The index of the line where it begins."""
    head: bool
    columns: int = 1
    rows: int = 1
    bold: bool = False
    parts: list[str | _Table] = field(default_factory=list)
    joined: str | None = None

    def text(self) -> str:
        """Its words on one line; a table in it as its rows, one after another. Call it when the cell is complete."""
        if self.joined is None:
            self.joined = self._joined()
        return self.joined

    def _joined(self) -> str:
        made = "".join(part if isinstance(part, str) else f"\n{part.flat()}\n" for part in self.parts)
        lines = (_SPACE.sub(" ", line).strip() for line in made.split("\n"))
        words: list[str] = []
        for line in filter(None, lines):
            words += (" " if words[-1][-1] in ".,;:!?" else "; ", line) if words else (line,)
        return "".join(words)


@dataclass(slots=True)
class _Table:
    line: int
    rows: list[tuple[int, bool, list[_Cell]]] = field(default_factory=list)
    """For each row the index of its line, whether it stands in the head of the table, and its cells."""
    indent: str = ""
    caption: list[str] = field(default_factory=list)
    in_head: bool = False

    def flat(self) -> str:
        return "\n".join(", ".join(filter(None, (cell.text() for cell in cells))) for _, _, cells in self.rows)

    @property
    def is_layout(self) -> bool:
        """Whether it only arranges other tables, as mails and word processors do."""
        nested = any(isinstance(part, _Table) for _, _, cells in self.rows for cell in cells for part in cell.parts)
        return nested and all(sum(1 for cell in cells if cell.text()) <= 1 for _, _, cells in self.rows)

    def grid(self) -> list[tuple[int, bool, list[str]]]:
        """The rows as texts of equally many columns: a cell over several columns or rows is repeated in each."""
        budget = 4 * sum(len(cells) for _, _, cells in self.rows) + _SPARE_CELLS
        below: dict[int, tuple[int, str]] = {}  # by column: for how many more rows a cell goes on, and its text
        made: list[tuple[int, bool, list[str]]] = []
        for line, in_head, cells in self.rows:
            row: list[str] = []
            alone = len(cells) == 1 and not below
            for cell in cells:
                while len(row) in below:
                    row.append(_going_on(below, len(row)))
                text = cell.text().replace("|", "\\|")
                columns = min(cell.columns, _MOST_SPANNED, max(1, budget))
                budget -= columns
                for number in range(columns):
                    place = len(row)
                    if cell.rows > 1 and budget > 0:
                        below[place] = (min(cell.rows, _MOST_SPANNED) - 1, text)
                        budget -= 1
                    row.append("" if alone and number else text)
            while len(row) in below:
                row.append(_going_on(below, len(row)))
            if any(row):
                head = bool(cells) and all(cell.head or not cell.text() for cell in cells)
                made.append((line, in_head or head, row))
        return made

    def written(self) -> list[tuple[int, str]]:
        """Its lines as markdown, each with the index of the line of the file where it stands."""
        rows = self.grid()
        if not rows:
            return []
        heads = 0
        while heads < len(rows) and rows[heads][1]:
            heads += 1
        if heads == len(rows):
            heads = min(1, len(rows) - 1)
        if not heads and self._has_plain_head(rows):
            heads = 1
        width = max(len(row) for _, _, row in rows)
        head = [""] * width
        for _, _, row in rows[:heads]:
            for place, text in enumerate(row):
                head[place] = f"{head[place]} {text}".strip() if text not in head[place].split(" ") else head[place]
        first = rows[0][0]
        rule = f"{self.indent}|{'---|' * width}"
        made = [(first, f"{self.indent}{_row(head)}\n{rule}")] if width > 1 or heads else []
        made += [(line, f"{self.indent}{_row(row + [''] * (width - len(row)))}") for line, _, row in rows[heads:]]
        return made

    def _has_plain_head(self, rows: Sequence[tuple[int, bool, Sequence[str]]]) -> bool:
        """Whether the first row of a table without `th` is its header, as in exports of word processors."""
        first = next(cells for _, _, cells in self.rows if any(cell.text() for cell in cells))
        if any(cell.head for _, _, cells in self.rows for cell in cells) or len(rows) < 2 or len(first) < 2:
            return False
        if all(cell.bold for cell in first):
            return not all(cell.bold for _, _, cells in self.rows for cell in cells)
        titles, others = rows[0][2], [row for _, _, row in rows[1:]]
        if not all(titles) or any(map(_has_digit, titles)) or len({*titles}) < len(titles):
            return False
        if len(titles) > 2:
            return True
        counts = [sum(len(row) > place and _has_digit(row[place]) for row in others) for place in range(2)]
        return len(others) > 1 and max(counts) == len(others)


def _has_digit(text: str) -> bool:
    return any(map(str.isdigit, text))


def _going_on(below: dict[int, tuple[int, str]], place: int) -> str:
    left, text = below[place]
    if left > 1:
        below[place] = (left - 1, text)
    else:
        del below[place]
    return text


def _row(cells: Sequence[str]) -> str:
    return f"| {' | '.join(cells)} |"


def announced(title: str) -> str:
    """The title of a part of a text, with a colon that announces what is below."""
    return title if not title or title.endswith((".", ":", "!", "?", "…")) else f"{title}:"


def without_html(lines: Sequence[str], code: Sequence[Code]) -> tuple[list[str], set[int]]:
    """The lines without HTML, and the numbers, from 1, of those whose text now stands in another line.

    `code` says which lines are code. A tag that is none of HTML's stays, unless it is used as a component is: with
    attributes, or with an end. Then it is `<Nome>` in a text and is kept as its author wrote it.
    """
    if not any("<" in line and _HINT.search(line) for line in lines):
        return list(lines), set()
    return _Converter(lines, code).converted()


class _Converter:
    """Reads the lines once, from tag to tag."""

    def __init__(self, lines: Sequence[str], code: Sequence[Code]) -> None:
        self._lines = lines
        self._code = code
        self._text = "\n".join(lines)
        self._folded = self._text.lower()
        self._starts = list(accumulate((len(line) + 1 for line in lines), initial=0))
        self._out: list[list[str]] = [[] for _ in lines]
        self._absorbed: set[int] = set()
        self._tables: list[_Table] = []
        self._cells: list[_Cell | None] = []
        """For each open table its open cell."""
        self._lists: list[tuple[str, int]] = []
        """For each open list its kind, and the number of the next item."""
        self._deeper = 0
        """How many tables are open that are too deep in others to be read as tables."""
        self._open = 0
        """How many elements are open in which indentation means nothing."""
        self._captured: tuple[str, int, list[str]] | None = None
        """The open heading, term or summary: its element, the index of its line, and its words."""
        self._term = ""
        self._found: dict[str, tuple[int, int]] = {}
        """For each text that was searched for, from where it was, and where it is; -1 if it is nowhere."""
        self._fresh = False
        """Whether what follows has to begin after a blank line."""

    def converted(self) -> tuple[list[str], set[int]]:
        position = 0
        for start, end, in_html in self._stretches():
            if in_html:
                position = self._stretch(max(start, position), end)
            elif position <= start:
                self._verbatim(start, end)
        while self._tables:
            self._end_table()
        made = []
        for number, (parts, written) in enumerate(zip(self._out, self._lines, strict=True), 1):
            line = "".join(parts)
            if not line.strip() and written.strip():
                self._absorbed.add(number)
                line = ""
            made.append(line)
        return made, self._absorbed

    def _stretches(self) -> Iterator[tuple[int, int, bool]]:
        """Yields start and end of the fences and of what is between them, and whether it may contain HTML."""
        place, count = 0, len(self._lines)
        while place < count:
            end = place
            fenced = self._code[place] is Code.FENCED
            while end < count and (self._code[end] is Code.FENCED) == fenced:
                end += 1
            yield self._starts[place], self._starts[end] - 1, not fenced
            place = end

    def _line_of(self, position: int) -> int:
        return bisect_right(self._starts, position) - 1

    def _verbatim(self, start: int, end: int) -> None:
        first, last = self._line_of(start), self._line_of(end)
        if self._tables and self._cells[-1] is not None:
            self._cells[-1].parts.append(self._text[start:end])
            return
        for place in range(first, last + 1):
            self._out[place].append(self._lines[place])

    # Reading

    def _stretch(self, start: int, end: int) -> int:
        """Read from `start` to `end`. Returns where reading goes on: after `end`, if an element went beyond it."""
        position = start
        spans = [(start + first, start + last) for first, last, _ in code_spans(self._text[start:end])]
        span = 0
        done = start
        while True:
            match = _TAG.search(self._text, position, end)
            if match is None:
                break
            while span < len(spans) and spans[span][1] <= match.start():
                span += 1
            line = self._line_of(match.start())
            if span < len(spans) and spans[span][0] <= match.start():
                position = spans[span][1]
                continue
            if self._code[line] is Code.INDENTED and not self._open and not self._tables:
                position = min(end, self._starts[line + 1] - 1)
                continue
            if match["name"] and not self._is_markup(match):
                position = match.end()
                continue
            if match.start() > done:
                self._say(done, match.start())
            done = position = max(match.end(), self._take(match, line))
            if done >= end:
                return done
        if end > done:
            self._say(done, end)
        return end

    def _is_markup(self, match: re.Match[str]) -> bool:
        """Whether a tag is meant as one: `<data>` alone is a place to be filled in, and `](<a b.md>)` an address."""
        if self._text[max(0, match.start() - 2) : match.start()] == "](":
            return False
        name = match["name"].lower()
        if name in _OFTEN_OPEN or name in _CUT or (name in _KNOWN and match.group().startswith("</")):
            return True
        if ":" in name or "=" in match["attributes"] or match.group().endswith("/>"):
            return True
        return name in self._components

    @cached_property
    def _components(self) -> frozenset[str]:
        """The names that have an end somewhere in the text."""
        return frozenset(match[1] for match in _END.finditer(self._folded))

    def _find(self, wanted: str, position: int) -> int:
        """Where a text is, from a position on; -1 if it is nowhere. Many searches for one text take linear time."""
        since, found = self._found.get(wanted, (0, -2))
        if found == -2 or position < since or -1 < found < position:
            text = self._folded if len(self._folded) == len(self._text) else self._text
            found = text.find(wanted, position)
            self._found[wanted] = (position, found)
        return found

    def _take(self, match: re.Match[str], line: int) -> int:
        """Read a tag. Returns the position after what it removes with it."""
        written = match.group()
        if written == "<!--":
            found = self._find("-->", match.end())
            if found >= 0:
                self._absorbed.update(range(line + 2, self._line_of(found) + 1))
            return found + 3 if found >= 0 else match.end()
        if not match["name"]:
            return match.end()
        name, closing = match["name"].lower(), written.startswith("</")
        if name in _GONE:
            return self._left_out(name, match, closing=closing, line=line)
        if closing:
            self._ended(name, line)
        else:
            self._begun(name, match, line)
            if name == "pre":
                return self._preformatted(match.end(), line)
            if name in ("code", "tt"):
                return self._as_code(name, match.end(), line)
            if name == "sup":
                return self._power(match.end(), line)
        return match.end()

    def _left_out(self, name: str, match: re.Match[str], *, closing: bool, line: int) -> int:
        end = match.end()
        if not closing and not match.group().endswith("/>"):
            found = self._find(f"</{name}", match.end())
            if found >= 0:
                close = self._text.find(">", found)
                end = close + 1 if close >= 0 else len(self._text)
            elif name in _CUT:
                while line + 1 < len(self._lines) and self._lines[line + 1].strip() and not self._code[line + 1]:
                    line += 1
                end = max(end, self._starts[line + 1] - 1)
        if name == "svg" and not closing:
            self._put(line, "![](data:image/svg+xml;base64,)")
        return end

    def _preformatted(self, position: int, line: int) -> int:
        found = self._find("</pre>", position)
        if found < 0:
            return position
        inside = decoded(re.sub(r"<[/A-Za-z][^<>]{0,500}>", "", self._text[position:found])).strip("\n")
        if self._tables or self._captured:
            self._put(line, inside)
        else:
            fence = fence_for(inside, "`", 3)
            self._parted(line)
            last = self._line_of(found)
            if last - line >= 2 and inside.count("\n") <= last - line:
                self._out[line].append(fence)
                for place, text in enumerate(inside.split("\n"), line + 1):
                    self._out[min(place, last)].append(text if place < last else f"{text}\n")
                for place in range(line + 1 + len(inside.split("\n")), last):
                    self._absorbed.add(place + 1)
                self._out[last].append(fence)
            else:
                self._out[line].append(f"{fence}\n{inside}\n{fence}")
                self._absorbed.update(range(line + 2, last + 2))
            self._fresh = True
        return found + len("</pre>")

    def _as_code(self, name: str, position: int, line: int) -> int:
        found = self._find(f"</{name}>", position)
        if found < 0 or found - position > 1_000 or "\n" in self._text[position:found]:
            return position
        inside = decoded(re.sub(r"<[/A-Za-z][^<>]{0,200}>", "", self._text[position:found]))
        ticks = fence_for(inside, "`", 1)
        space = " " if inside[:1] == "`" or inside[-1:] == "`" else ""
        self._put(line, f"{ticks}{space}{inside}{space}{ticks}" if inside.strip() else "")
        return found + len(name) + 3

    def _power(self, position: int, line: int) -> int:
        """A power is no figure beside another: 10<sup>6</sup> is not 106."""
        found = self._find("</sup>", position)
        inside = self._text[position:found].strip() if 0 <= found - position <= 12 else ""
        if inside.isascii() and inside.isdigit():
            self._put(line, inside.translate(POWERS))
            return found + len("</sup>")
        return position

    # Elements

    def _begun(self, name: str, match: re.Match[str], line: int) -> None:
        own_end = match.group().endswith("/>")
        if name == "br":
            self._break(line)
        elif name in ("del", "s", "strike"):
            self._put(line, "~~")
        elif name == "img":
            self._image(match, line)
        elif name in ("b", "strong"):
            if self._tables and self._cells[-1] is not None and not self._cells[-1].parts:
                self._cells[-1].bold = True
        elif name in ("table", "tr", "caption", "thead", "tbody", "tfoot") or name in _CELLS:
            self._begun_in_table(name, match, line)
        elif self._tables and self._cells[-1] is not None:
            if name in _SPACED:
                self._cells[-1].parts.append("\n")
        elif name in _HEADINGS or name in ("summary", "dt"):
            self._capture(name, match, line)
        elif name in ("ul", "ol"):
            self._lists.append((name, 1))
            self._open += 1
            if len(self._lists) == 1:
                self._parted(line)
        elif name == "li":
            self._item(line)
        elif name == "dl":
            self._open += 1
            self._parted(line)
        elif name == "dd":
            self._new_line(line)
            self._put(line, f"- {self._term}: " if self._term else "- ")
        elif name in _BLOCKS and not own_end:
            self._open += name == "p"
            self._parted(line)
        elif name == "hr":
            self._parted(line)

    def _ended(self, name: str, line: int) -> None:
        if name in ("del", "s", "strike"):
            self._put(line, "~~")
        elif name == "table":
            if self._deeper:
                self._deeper -= 1
            elif self._tables:
                self._end_table()
        elif self._tables and (name in _CELLS or name == "tr"):
            self._cells[-1] = self._cells[-1] if self._deeper else None
        elif self._tables and name in ("thead", "caption"):
            self._tables[-1].in_head = False
            self._cells[-1] = None
        elif self._tables and self._cells[-1] is not None:
            if name in _SPACED:
                self._cells[-1].parts.append("\n")
        elif self._captured is not None and name == self._captured[0]:
            self._end_capture()
        elif name in ("ul", "ol"):
            if self._lists:
                self._lists.pop()
                self._open = max(0, self._open - 1)
                if not self._lists:
                    self._fresh = True
        elif name == "dl":
            self._open = max(0, self._open - 1)
            self._term = ""
            self._fresh = True
        elif name in _BLOCKS:
            if name == "p":
                self._open = max(0, self._open - 1)
            self._fresh = self._fresh or bool(self._lists == [])

    def _image(self, match: re.Match[str], line: int) -> None:
        attributes = _attributes(match)
        source, alt = attributes.get("src", ""), " ".join(attributes.get("alt", "").split())
        if source.lower().startswith("data:"):
            alt = alt.replace("[", "(").replace("]", ")")
            self._put(line, f"![{alt}]({source.split(',')[0][:100].replace(' ', '')},)")
        elif alt:
            self._put(line, alt)

    def _begun_in_table(self, name: str, match: re.Match[str], line: int) -> None:
        if self._deeper or (name == "table" and len(self._tables) >= _DEEPEST):
            self._deeper += name == "table"
            if self._tables[-1:] and self._cells[-1] is not None:
                self._cells[-1].parts.append("\n")
            return
        if name == "table":
            if self._find("</table", match.end()) < 0:
                self._parted(line)
                return
            written = self._lines[line]
            quoted = _QUOTED.match(written)
            indent = quoted.group() if quoted else written[: len(written) - len(written.lstrip())]
            deep = len(indent.expandtabs(4)) > 3 and not quoted and not self._below_item(line)
            if not self._tables:
                self._flush_capture()
            self._tables.append(_Table(line, indent="" if deep or self._open else indent))
            self._cells.append(None)
            return
        if not self._tables:
            self._parted(line)
            return
        table = self._tables[-1]
        if name == "thead":
            table.in_head = True
        elif name in ("tbody", "tfoot"):
            table.in_head = False
        elif name == "tr":
            table.rows.append((line, table.in_head, []))
            self._cells[-1] = None
        elif name == "caption":
            self._cells[-1] = cell = _Cell(line, head=False)
            cell.parts = table.caption  # type: ignore[assignment]
        else:
            if not table.rows:
                table.rows.append((line, table.in_head, []))
            attributes = _attributes(match)
            cell = _Cell(line, name == "th", _count(attributes, "colspan"), _count(attributes, "rowspan"))
            table.rows[-1][2].append(cell)
            self._cells[-1] = cell

    def _below_item(self, line: int) -> bool:
        """Whether a line is part of a list item: the line above it that is not blank is an item, or indented."""
        for place in range(line - 1, max(-1, line - 20), -1):
            written = self._lines[place]
            if written.strip():
                return bool(re.match(r"\s*(?:[-*+•]|\d{1,9}[.)])\s", written)) or written[0] in " \t"
        return False

    def _end_table(self) -> None:
        table = self._tables.pop()
        self._cells.pop()
        if self._tables:
            cell = self._cells[-1]
            if cell is not None:
                cell.parts.append(table)
            return
        self._write(table)
        last = max((line for line, _, _ in table.rows), default=table.line)
        self._absorbed.update(range(table.line + 1, last + 2))

    def _write(self, table: _Table) -> None:
        caption = " ".join("".join(part for part in table.caption if isinstance(part, str)).split())
        if caption:
            self._parted(table.line)
            self._out[table.line].append(f"{table.indent}{caption}")
            self._fresh = True
        if table.is_layout:
            for _, _, cells in table.rows:
                for cell in cells:
                    for part in cell.parts:
                        if isinstance(part, _Table):
                            self._write(part)
                        elif part.strip():
                            self._parted(cell.line)
                            self._out[cell.line].append(" ".join(part.split()))
                            self._fresh = True
            return
        written = table.written()
        if written:
            self._parted(written[0][0])
            self._fresh = False
        before = -1
        for line, row in written:
            self._out[line].append(f"\n{row}" if line == before or self._says(line) else row)
            before = line
        self._fresh = True

    def _capture(self, name: str, match: re.Match[str], line: int) -> None:
        found = self._find(f"</{name}", match.end())
        if name == "dt":
            self._flush_capture()
            self._term = ""
        if 0 <= found - match.end() <= _LONGEST_HEADING:
            self._captured = (name, line, [])
        else:
            self._parted(line)

    def _end_capture(self) -> None:
        assert self._captured is not None
        name, line, words = self._captured
        self._captured = None
        text = " ".join("".join(words).split())
        if not text:
            return
        if name == "dt":
            self._term = text.rstrip(":")
            return
        self._parted(line)
        self._fresh = True
        if name == "summary":
            self._out[line].append(announced(text))
        else:
            self._out[line].append(f"{'#' * int(name[1])} {text}")

    def _flush_capture(self) -> None:
        if self._captured is not None:
            self._end_capture()

    def _item(self, line: int) -> None:
        self._new_line(line)
        kind, number = self._lists[-1] if self._lists else ("ul", 1)
        if self._lists:
            self._lists[-1] = (kind, number + 1)
        indent = "".join(
            "   " if outer == "ol" else "  " for outer, _ in self._lists[: min(_INDENTED, len(self._lists) - 1)]
        )
        self._fresh = False
        self._out[line].append(f"{indent}{f'{number}.' if kind == 'ol' else '-'} ")

    # Writing

    def _says(self, line: int) -> bool:
        """Whether something is written in a line already."""
        return any(part.strip() for part in self._out[line])

    def _new_line(self, line: int) -> None:
        if self._captured is None and self._says(line) and not self._out[line][-1].endswith("\n"):
            self._out[line].append("\n")

    def _parted(self, line: int) -> None:
        """What follows is a paragraph of its own."""
        if self._captured is not None:
            self._captured[2].append(" ")
        elif self._says(line):
            if not self._out[line][-1].endswith("\n\n"):
                self._out[line].append("\n\n")
            self._fresh = False
        elif line and "".join(self._out[line - 1]).strip() and not self._lists:
            self._fresh = True

    def _break(self, line: int) -> None:
        if self._tables and self._cells[-1] is not None:
            self._cells[-1].parts.append("\n")
        elif self._captured is not None:
            self._captured[2].append(" ")
        else:
            written = "".join(self._out[line]).lstrip("> ")
            if written.startswith("|"):
                self._out[line].append("; ")
            elif written.startswith("#"):
                self._out[line].append(" ")
            elif written.strip():
                self._out[line].append("\n")

    def _put(self, line: int, text: str) -> None:
        if not text:
            return
        if self._tables:
            cell = self._cells[-1]
            if cell is not None:
                cell.parts.append(text)
            return
        if self._captured is not None:
            self._captured[2].append(text)
            return
        if self._fresh and text.strip():
            if self._says(line):
                self._new_line(line)
                self._out[line].append("\n")
            elif line:
                self._out[line].append("\n")
            self._fresh = False
        if self._out[line] and self._out[line][-1].endswith("\n"):
            text = text.lstrip(" \t")
        self._out[line].append(text)

    def _say(self, start: int, end: int) -> None:
        """Copy the text between two tags."""
        text = self._text[start:end]
        line = self._line_of(start)
        if self._tables:
            cell = self._cells[-1]
            if cell is not None:
                text = "\n".join(_QUOTED.sub("", part) for part in text.split("\n")) if "\n" in text else text
                cell.parts.append(text.replace("\n", " "))
            elif text.strip():  # outside any cell
                self._tables[-1].caption.append(text.replace("\n", " "))
            return
        if self._captured is not None:
            self._captured[2].append(text.replace("\n", " "))
            return
        if start > self._starts[line] and not self._says(line):
            text = text.lstrip(" \t")
        for place, part in enumerate(text.split("\n"), line):
            if place > line and self._open and not self._code[place] and not _QUOTED.match(part):
                part = f"{self._inner_indent()}{part.lstrip()}" if part.strip() else ""
            if place > line and not part.strip():
                self._fresh = self._fresh and bool(self._lines[place].strip())
            self._put(place, part)

    def _inner_indent(self) -> str:
        return "".join("   " if kind == "ol" else "  " for kind, _ in self._lists[:_INDENTED])


def _attributes(match: re.Match[str]) -> dict[str, str]:
    found = _ATTRIBUTE.finditer(match["attributes"])
    return {one[1].lower(): decoded(one[2] or one[3] or one[4] or "") for one in found}


def _count(attributes: dict[str, str], name: str) -> int:
    written = attributes.get(name, "1").strip()
    return max(1, int(written)) if written.isdecimal() and len(written) < 5 else 1
