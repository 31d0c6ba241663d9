"""Parses markdown into blocks with exact line ranges, and reads the key-value pairs at the top of a document.

Inline syntax is not parsed, because chunking needs blocks only. That is faster, and safe from inputs such as fifty
thousand opening brackets.
"""

from __future__ import annotations

import re
from collections.abc import Container, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from types import MappingProxyType
from typing import TYPE_CHECKING, Literal, TypeAlias

from cervella.knowledge.documents import flavours
from cervella.knowledge.documents.characters import cleaned
from cervella.knowledge.documents.fences import inner_fences, opens_inside, without_inner_fences
from cervella.knowledge.documents.front_matter import FrontMatter, front_matter, known_keys
from cervella.knowledge.documents.inline import definition_of, read
from cervella.knowledge.documents.obsidian import prepared, title_of
from cervella.knowledge.documents.vocabulary import every_language
from cervella.text.language import fold
from cervella.text.markdown import block_parser, cells, is_ruled

if TYPE_CHECKING:
    from markdown_it.token import Token

Kind: TypeAlias = Literal[
    "heading", "paragraph", "list", "item", "quote", "table", "fence", "math", "box", "html", "rule", "front_matter"
]

_KINDS: dict[str, Kind] = {
    "heading_open": "heading",
    "bullet_list_open": "list",
    "ordered_list_open": "list",
    "list_item_open": "item",
    "blockquote_open": "quote",
    "table_open": "table",
    "fence": "fence",
    "code_block": "fence",
    "html_block": "html",
    "hr": "rule",
    "math_block": "math",
}
_CONTAINERS = ("list", "item", "quote")

_LINE_END = re.compile(r"\r\n|\r|\n")
_BOX_LINE = re.compile(r"\s*+(?:[|+].*[|+]\s*$|.*[\u2500-\u259f])")
_BOX_BORDER = re.compile(r"\s*+(?:\+[-=+ ]{2,}\+\s*$|.*[\u2500-\u257f])")
_TABLE_LINE = re.compile(r"\s*\|.*\|\s*")
_HEADER_LINES = 30
_HEADER_PAIR = re.compile(r"(?P<bold>\*\*)?(?P<key>[^\W\d_][^:*|]{0,39}?)(?:\*\*\s*:|:\s*\*\*|:)\s*(?P<value>\S.*)")


_BETWEEN_PAIRS = re.compile(r"(?<=\s)\|(?=\s)|\n")
_NO_TEXT = re.compile(
    r"!?\[(?:!\[[^\[\]]{0,300}\](?:\([^()\n]{0,2000}\)|\[[^\[\]]{0,300}\])|[^\[\]]{0,300})\]"
    r"(?:\([^()\n]{0,2000}\)|\[[^\[\]]{0,300}\])|!?\[\[[^\[\]]{0,300}\]\]|<[^<>]{0,2000}>|(?<!\S)#[^\s#]+"
)
"""Pictures, links, tags of HTML and `#tags`: what many files have above their title."""
_NOTED = re.compile(r"[^\W\d_][\w -]{0,40}::\s")


@dataclass(frozen=True, slots=True, kw_only=True)
class Block:
    """One block of a document, without trailing blank lines."""

    kind: Kind
    start_line: int
    """1-based, inclusive."""
    end_line: int
    """1-based, inclusive."""
    headings: tuple[str, ...] = ()
    """The titles of the headings above it, outermost first; for a heading, its own title is the last, if it has one."""
    level: int = 0
    """Of a heading its level, 1 to 6; else 0."""
    children: tuple[Block, ...] = ()
    """For a list, an item or a quote: the blocks inside it. Together they contain all its non-blank lines."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Document:
    """A parsed file. Each non-blank line is in exactly one of the blocks, which are in file order."""

    lines: tuple[str, ...] = field(repr=False)
    """The file's lines without line ends."""
    body: tuple[str, ...] = field(repr=False)
    """The same lines as they were parsed: those of front matter and comments are empty.

    An entry has several lines of its own where one line of the file has several rows of an HTML table.
    """
    blocks: tuple[Block, ...]
    title: str
    """The title in the front matter, else the text of the first heading if no text is above it; else empty."""
    named: bool
    """Whether the title stands above all of the text: in the front matter, or as a heading of the first level."""
    header: Mapping[str, str]
    """The key-value pairs at the top of the document, such as its date. Keys are folded: lower case without accents.

    They are read from the front matter, from lines such as `> **Data:** …`, `**Data**: …` and
    `> Data: …`, where `Data` is Italian for date, and from rows such as `| Data | … |` of a table with two columns.
    Several pairs on one line are separated by ` | `.
    """
    front: FrontMatter
    absorbed: frozenset[int] = frozenset()
    """The numbers of the lines, some of them blank, whose text stands in another line of `body`, if anywhere."""


def split_lines(text: str) -> list[str]:
    """The lines of a text by CommonMark's rule: only \\n, \\r\\n and \\r end a line.

    >>> split_lines("a\\r\\nb\\rc\\u2028d\\n")
    ['a', 'b', 'c\\u2028d']
    """
    lines = _LINE_END.split(text)
    if lines[-1] == "":
        lines.pop()
    return lines


def parse(text: str) -> Document:
    """Parse a file's text. If the parser fails, each run of non-blank lines is a paragraph, so that no line is lost."""
    lines = split_lines(text)
    front = front_matter(lines)
    body, absorbed = body_of(lines, front)
    flat, numbers = _flat(lines, body, absorbed)
    try:
        blocks = _numbered(_under_headings(_top_level(flat)), _Lines(lines, flat, numbers, front.lines))
    except Exception:  # a bug in the parser must not keep a file out of the index
        blocks = tuple(_paragraphs(lines, front.lines + 1, len(lines)))
    if not blocks:  # nothing but markup
        filled = [number for number in range(front.lines + 1, len(lines) + 1) if lines[number - 1].strip()]
        blocks = (Block(kind="html", start_line=filled[0], end_line=filled[-1]),) if filled else ()
    first = _title_block(lines, body, blocks)
    own = first is not None and first.level == 1
    title = front.title or (first.headings[-1] if first is not None and first.headings else "")
    header = {**dict(_header_pairs(body, blocks)), **front.texts()}
    if front.lines:
        blocks = (Block(kind="front_matter", start_line=1, end_line=front.lines), *blocks)
    return Document(
        lines=tuple(lines),
        body=body,
        absorbed=absorbed,
        blocks=blocks,
        title=title,
        named=bool(front.title) or own,
        header=MappingProxyType(header),
        front=front,
    )


def body_of(lines: Sequence[str], front: FrontMatter) -> tuple[tuple[str, ...], frozenset[int]]:
    """`Document.body` and `Document.absorbed` of a file with these lines."""
    made = flavours.prepared(prepared(lines[front.lines :]))
    return ("",) * front.lines + made.lines, frozenset(number + front.lines for number in made.absorbed)


def _flat(lines: Sequence[str], body: Sequence[str], absorbed: Container[int]) -> tuple[list[str], list[int]]:
    """The lines that are parsed, and for each of them the number of its line in the file."""
    flat: list[str] = []
    numbers: list[int] = []
    for number, (written, line) in enumerate(zip(lines, body, strict=True), 1):
        if line or (number not in absorbed and not written.strip()):
            parts = line.split("\n")
            flat += parts
            numbers += [number] * len(parts)
    return flat, numbers


class _Lines:
    """Where the parsed lines are in the file. A line that was not parsed is with the one before it, or the next one."""

    def __init__(self, lines: Sequence[str], parsed: Sequence[str], numbers: Sequence[int], above: int) -> None:
        self._lines, self._numbers, self._above = lines, numbers, above
        following = len(lines) + 1
        self._following: list[int] = []
        """For each parsed line, where the next one is that is not blank."""
        for line, number in zip(reversed(parsed), reversed(numbers), strict=True):
            self._following.append(following)
            following = number if line.strip() else following
        self._following.reverse()
        self._opening = next((number for number, line in enumerate(parsed, 1) if line.strip()), 0)
        """The first parsed line that is not blank, counted from 1."""

    def first(self, parsed: int) -> int:
        """The number in the file of the first line of a block that begins with a parsed line, counted from 1."""
        number = self._numbers[parsed - 1]
        return number if parsed > self._opening else self._filled(self._above + 1, number)

    def last(self, parsed: int) -> int:
        """The same for the last line of a block."""
        number = self._numbers[parsed - 1]
        end = max(number, self._following[parsed - 1] - 1)
        while end > number and not self._lines[end - 1].strip():
            end -= 1
        return end

    def _filled(self, first: int, last: int) -> int:
        return next((number for number in range(first, last) if self._lines[number - 1].strip()), last)


def _numbered(blocks: Iterable[Block], lines: _Lines) -> tuple[Block, ...]:
    """The blocks with the numbers of their lines in the file. Those that stand on one line become one block."""
    made: list[Block] = []
    for block in blocks:
        start, end = lines.first(block.start_line), lines.last(block.end_line)
        children = _numbered(block.children, lines) if block.children else ()
        if (start, end) != (block.start_line, block.end_line) or children != block.children:
            block = replace(block, start_line=start, end_line=end, children=children)
        if made and start <= made[-1].end_line:
            kind: Kind = "table" if "table" in (block.kind, made[-1].kind) else "paragraph"
            block = replace(block, kind=kind, level=0, start_line=made.pop().start_line, children=())
        made.append(block)
    return tuple(made)


def _key(text: str) -> str:
    return " ".join(fold(text).split())


def _header_pairs(lines: Sequence[str], blocks: Sequence[Block]) -> Iterator[tuple[str, str]]:
    """Yields key and value of each pair above the second heading. If a key occurs twice, its first value counts."""
    headings = [block.start_line for block in blocks if block.kind == "heading"]
    last = min(headings[1] - 1 if len(headings) > 1 else len(lines), _HEADER_LINES)
    seen: set[str] = set()
    for block in blocks:
        if block.kind == "table" and block.start_line <= last:
            for key, value in _table_pairs(lines[block.start_line - 1 : min(block.end_line, last)]):
                if key not in seen:
                    seen.add(key)
                    yield key, value
        if block.kind not in ("paragraph", "quote") or block.start_line > last:
            continue
        for line in lines[block.start_line - 1 : min(block.end_line, last)]:
            quoted = line.lstrip().startswith(">")
            parts = _BETWEEN_PAIRS.split(line.strip().lstrip("> "))
            pairs = [_HEADER_PAIR.fullmatch(part.strip()) for part in parts]
            last_pair = max((place for place, match in enumerate(pairs) if match), default=-1)
            for place, match in enumerate(pairs):
                choice = len(pairs) > place + 2 and place == last_pair  # `Status: A | B | C`
                if match and (quoted or match["bold"]) and not choice and _key(match["key"]) not in seen:
                    seen.add(_key(match["key"]))
                    yield _key(match["key"]), match["value"].strip().strip("*").strip()


def _title_block(lines: Sequence[str], body: Sequence[str], blocks: Sequence[Block]) -> Block | None:
    """The first heading that has words, if no text is above it: only pictures, links, tags and key-value pairs."""
    for block in blocks:
        if block.kind == "heading":
            if block.headings:
                return block
        elif block.kind != "rule":
            places = range(block.start_line - 1, block.end_line)
            if any(body[place].strip() and _is_text(lines[place]) for place in places):
                return None
    return None


def _is_text(line: str) -> bool:
    """Whether a line above a title is text, so that the title is not that of the whole document."""
    bare = line.strip().lstrip("> ")
    pair = _HEADER_PAIR.match(bare)
    if definition_of(line) is not None or (pair and (pair["bold"] or bare != line.strip())) or _NOTED.match(bare):
        return False
    return any(map(str.isalnum, _NO_TEXT.sub("", bare)))


def _table_pairs(lines: Iterable[str]) -> Iterator[tuple[str, str]]:
    """Yields the facts of a document in a table of two columns: `| Status | Draft |`. Other rows than facts are left.

    A table is none of facts if its first column has anything but words: `| Date | Event |` above `| 2026-01-31 | … |`.
    """
    rows = [line for entry in lines for line in entry.split("\n") if not is_ruled(line)]
    found = [[row[start:end].strip(" \t*_:") for start, end in cells(row)] for row in rows]
    named = all(len(row) == 2 and (not row[0] or row[0][0].isalpha()) for row in found)
    verbs = (*every_language("superseded_words"), *every_language("replaces"))
    known = known_keys().union(map(_key, verbs))
    for key, value in found if named else ():
        if value and _key(key) in known:
            yield _key(key), value


def _top_level(lines: Sequence[str]) -> tuple[Block, ...]:
    tokens = block_parser().parse("\n".join(lines))
    fences = (lines[token.map[0] : token.map[1]] for token in tokens if token.type == "fence" and token.map)
    if any(opens_inside(fence) for fence in fences):
        tokens = block_parser().parse("\n".join(without_inner_fences(lines)))
    return tuple(_blocks(lines, tokens, 0, 1, len(lines)))


def _blocks(lines: Sequence[str], tokens: Sequence[Token], level: int, first: int, last: int) -> Iterator[Block]:
    """Yields the blocks of one nesting level between two lines. Lines without a token become paragraphs."""
    position = first
    for index, token in enumerate(tokens):
        if token.level != level or token.nesting < 0 or token.map is None:
            continue
        start, end = max(token.map[0] + 1, position), min(token.map[1], last)
        while end >= start and not lines[end - 1].strip():
            end -= 1
        if end < start:
            continue
        yield from _paragraphs(lines, position, start - 1)
        kind = _KINDS.get(token.type, "paragraph")
        if kind in _CONTAINERS:
            inner = _blocks(lines, _inside(tokens, index), level + 1, start, end)
            yield Block(kind=kind, start_line=start, end_line=end, children=tuple(inner))
        elif kind == "heading" and token.markup == "-" and _is_prose(lines[start - 1 : end - 1]):
            yield Block(kind="paragraph", start_line=start, end_line=end - 1)
            yield Block(kind="rule", start_line=end, end_line=end)
        elif kind == "heading":  # level and title; `_under_headings` replaces them by the path
            own = (token.tag, _plain(tokens[index + 1].content))
            yield Block(kind=kind, start_line=start, end_line=end, headings=own)
        elif kind == "paragraph" and _is_box(lines[start - 1 : end]):
            yield Block(kind="box", start_line=start, end_line=end)
        else:
            yield Block(kind=kind, start_line=start, end_line=end)
        position = end + 1
    yield from _paragraphs(lines, position, last)


def _is_prose(lines: Sequence[str]) -> bool:
    """Whether these lines are prose, so that the dashes under them were meant as a horizontal rule.

    CommonMark reads every text above a line of dashes as a heading.
    """
    pair = _HEADER_PAIR.match(lines[0].strip())
    return len(lines) > 1 or bool(pair and pair["bold"])


def _inside(tokens: Sequence[Token], index: int) -> Sequence[Token]:
    level = tokens[index].level
    for end in range(index + 1, len(tokens)):
        if tokens[end].level == level:
            return tokens[index + 1 : end]
    return tokens[index + 1 :]


def _paragraphs(lines: Sequence[str], first: int, last: int) -> Iterator[Block]:
    """Yields each run of non-blank lines as a block, from line `first` to line `last`."""
    start = None
    for number in range(first, last + 2):
        blank = number > last or not lines[number - 1].strip()
        if not blank and start is None:
            start = number
        elif blank and start is not None:
            kind: Kind = "box" if _is_box(lines[start - 1 : number - 1]) else "paragraph"
            yield Block(kind=kind, start_line=start, end_line=number - 1)
            start = None


def parts_of_fence(lines: Sequence[str], fence: Block) -> Iterator[Block]:
    """Yields the parts into which a long fence is split: inner fences, tables, boxes and other runs of non-blank lines.

    `lines` are those of the whole file.
    """
    position = fence.start_line
    for first, last in inner_fences(lines[fence.start_line : fence.end_line - 1]):
        start, end = fence.start_line + 1 + first, fence.start_line + 1 + last
        yield from _runs(lines, position, start - 1)
        yield Block(kind="fence", start_line=start, end_line=end)
        position = end + 1
    yield from _runs(lines, position, fence.end_line)


def _runs(lines: Sequence[str], first: int, last: int) -> Iterator[Block]:
    """Yields runs of non-blank lines, with tables as separate blocks."""
    for run in _paragraphs(lines, first, last):
        start = run.start_line
        while run.kind != "box" and start <= run.end_line:
            in_table = bool(_TABLE_LINE.fullmatch(lines[start - 1]))
            end = start
            while end < run.end_line and bool(_TABLE_LINE.fullmatch(lines[end])) == in_table:
                end += 1
            yield Block(kind="table" if in_table else "paragraph", start_line=start, end_line=end)
            start = end + 1
        if run.kind == "box":
            yield run


def _is_box(lines: Sequence[str]) -> bool:
    return any(_BOX_BORDER.match(line) for line in lines) and sum(bool(_BOX_LINE.match(line)) for line in lines) > 1


def _plain(title: str) -> str:
    """A heading's text without inline markup."""
    return " ".join(cleaned(read(title_of(title))).split())


def _under_headings(blocks: Sequence[Block]) -> tuple[Block, ...]:
    """The blocks with their `headings` set to the path of titles above them."""
    path: list[tuple[str, str]] = []
    out = []
    for block in blocks:
        if block.kind == "heading":
            level, title = block.headings
            path = [outer for outer in path if outer[0] < level]
            if title:
                path.append((level, title))
            block = replace(block, level=int(level[1:]))
        out.append(replace(block, headings=tuple(title for _, title in path)))
    return tuple(out)
