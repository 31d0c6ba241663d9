"""Reads the structure of a markdown text by CommonMark's rules, with markdown-it-py: code, lists, tables, headings.

Emphasis and links are not parsed, because nothing here needs them, and with them a parser needs minutes for fifty
thousand opening brackets. The functions at the end read a single line, for callers that have no whole text to parse.
"""

from __future__ import annotations

import re
from bisect import bisect_left, bisect_right
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from functools import lru_cache
from itertools import accumulate
from typing import TYPE_CHECKING, Any, Literal, TypeAlias

if TYPE_CHECKING:
    from markdown_it import MarkdownIt
    from markdown_it.rules_block import StateBlock
    from markdown_it.token import Token

Kind: TypeAlias = Literal["heading", "paragraph", "bullet", "number", "row", "fence", "code", "html"]

_KINDS: dict[str, Kind] = {
    "heading_open": "heading",
    "paragraph_open": "paragraph",
    "tr_open": "row",
    "fence": "fence",
    "code_block": "code",
    "html_block": "html",
    "math_block": "paragraph",
}
_ITEMS: dict[str, Kind] = {"bullet_list_open": "bullet", "ordered_list_open": "number"}
_LINE = re.compile(r"[^\r\n]*(?:\r\n|\r|\n|\Z)")
_INK = re.compile(r"[^\r\n]")
_FENCE = re.compile(r"\s{0,3}(`{3,}(?=[^`\n]*$)|~{3,})")
_FENCE_LINE = re.compile(r"^[ \t]{0,3}(?P<mark>`{3,}(?=[^`\n]*$)|~{3,})(?P<info>.*)$", re.MULTILINE)
_RULE = re.compile(r"\|?(?:\s*:?-+:?\s*\|)*+\s*(?::?-+:?\s*)?")
_PIPE = re.compile(r"(?<!\\)\|")
_MATH_END = re.compile(r"\$\$[ \t]*(?:\{#[^{}]{0,200}\})?$")


@dataclass(frozen=True, slots=True, kw_only=True)
class Block:
    """A heading, a paragraph, a table row, a block of code or HTML; or a list item, which contains other blocks."""

    kind: Kind
    start_line: int
    """The first line, counted from 0."""
    end_line: int
    """The line after the last one, counted from 0."""
    depth: int
    """The number of lists, list items and quotes around the block; for a row also its table and table part."""
    text: str
    """The content of a heading, a paragraph, code or HTML, without the characters that mark it as such, and without
    those of the lists and quotes around it. Empty for a list item and a row."""


def blocks(text: str) -> Iterator[Block]:
    """Yields the blocks of a text in order. A list item comes before the blocks that it contains.

    >>> [(block.kind, block.text) for block in blocks("# Uno\\n\\nDue\\ntre\\n\\n- quattro")]
    [('heading', 'Uno'), ('paragraph', 'Due\\ntre'), ('bullet', ''), ('paragraph', 'quattro')]
    """
    tokens = block_parser().parse(text)
    lists: list[Kind] = []
    for number, token in enumerate(tokens):
        if token.type in _ITEMS:
            lists.append(_ITEMS[token.type])
        elif token.type.endswith("list_close"):
            lists.pop()
        kind = lists[-1] if token.type == "list_item_open" else _KINDS.get(token.type)
        if kind and token.map:
            inside = tokens[number + 1] if token.type in ("heading_open", "paragraph_open") else token
            start, end = token.map
            yield Block(kind=kind, start_line=start, end_line=end, depth=token.level, text=inside.content)


def fences(text: str) -> list[str]:
    """The contents of the fenced code blocks of a text, in order, without their first and last lines.

    >>> fences("Così:\\n```python\\nx = 1\\n```\\nUn ``` da solo è testo.")
    ['x = 1\\n']
    """
    return [block.text for block in blocks(text) if block.kind == "fence"] if "```" in text or "~~~" in text else []


def code_in(text: str) -> list[tuple[int, int]]:
    """Start and end of each part of a text that is code: fenced, indented or between backticks. In order.

    >>> [text[start:end] for text in ["Usa `ls`.\\n\\n    rm x\\n"] for start, end in code_in(text)]
    ['`ls`', '    rm x']
    """
    if not any(sign in text for sign in ("`", "~~~", "    ", "\t")):
        return []
    lines = [match.group() for match in _LINE.finditer(text.replace("\0", "\ufffd"))]  # as the parser does
    starts = [0, *accumulate(map(len, lines))]
    found: list[tuple[int, int]] = []
    for token in _code_parser().parse(text):
        if token.map is None:
            continue
        if token.type in ("fence", "code_block"):
            last = min(token.map[1], len(lines)) - 1
            found.append((starts[token.map[0]], starts[last] + len(lines[last].rstrip("\r\n"))))
        elif token.type == "inline" and "`" in token.content:
            found += _spans(token, lines, starts)
    return found


def without_code(text: str) -> str:
    """The text with each character of its code, except line ends, replaced by a space.

    All other characters keep their positions. In this example, `Usa` and `ora` are Italian for "use" and "now":

    >>> without_code("Usa `ls` ora.")
    'Usa      ora.'
    """
    kept: list[str] = []
    done = 0
    for start, end in code_in(text):
        kept += (text[done:start], _INK.sub(" ", text[start:end]))
        done = end
    return "".join([*kept, text[done:]])


def _spans(token: Token, lines: Sequence[str], starts: Sequence[int]) -> Iterator[tuple[int, int]]:
    """Yields start and end, in the whole text, of each part between backticks in one paragraph or heading.

    `token` is the paragraph's inline token. `lines` are the lines of the text, `starts` their positions in it.
    """
    spans: list[tuple[int, int]] = []
    parser = _code_parser()
    parser.inline.parse(token.content, parser, {_SPANS: spans}, [])
    assert token.map is not None
    begins, moves, begin = [], [], 0  # of each line of the content: where it starts, and how far it is from the text
    for number, written in enumerate(token.content.split("\n"), token.map[0]):
        bare = written.strip()
        column = lines[number].rfind(bare)  # what stands before it are the signs of lists and quotes
        begins.append(begin)
        moves.append(starts[number] + column - begin - written.index(bare))
        begin += len(written) + 1
    for start, end in spans:
        yield start + moves[bisect_right(begins, start) - 1], end + moves[bisect_right(begins, end - 1) - 1]


_SPANS = "code"


@lru_cache(maxsize=1)
def block_parser() -> MarkdownIt:
    """The parser of blocks and tables, made once. It leaves the content of a paragraph as it is written."""
    from markdown_it import MarkdownIt

    parser = MarkdownIt("commonmark").enable("table").disable(["inline", "text_join"])
    parser.block.ruler.before(
        "fence", "math", _math, {"alt": ["paragraph", "reference", "blockquote", "list", "table"]}
    )
    parser.block.ruler.at("table", _table, {"alt": ["paragraph", "reference"]})
    return parser


def math_end(first: str, following: Iterable[str]) -> int | None:
    """How many of the `following` lines belong to the formula that the line `first` opens; None if it opens none.

    A formula over several lines begins with `$$` and ends with `$$`, or stands between `\\[` and `\\]`, each alone on
    its line, and has no blank line. The lines have no indentation. Many searches in one text take linear time.

    >>> math_end("$$", ["a", "= b", "$$", "c"]), math_end("$$ 20", ["euro"]), math_end("$$ a $$", ["$$"])
    (3, None, None)
    """
    dollars = first.startswith("$$") and "$$" not in first[2:]
    if not dollars and first != "\\[":
        return None
    for number, line in enumerate(following, 1):
        if (_MATH_END.search(line) and line.count("$$") == 1) if dollars else line == "\\]":
            return number
        if not line or line.startswith("$$" if dollars else "\\["):
            return None
    return None


def _math(state: StateBlock, start: int, end: int, silent: bool) -> bool:
    """The parser's rule for formulas over several lines, in which no sign means a heading, an item or a table."""
    if state.is_code_block(start):
        return False
    following = (
        _line_at(state, line) if state.sCount[line] >= state.blkIndent else "" for line in range(start + 1, end)
    )
    more = math_end(_line_at(state, start), following)
    if more is None:
        return False
    if not silent:
        state.line = start + more + 1
        token = state.push("math_block", "math", 0)
        token.map = [start, state.line]
        token.content = state.getLines(start, state.line, state.blkIndent, True)
    return True


def _table(state: StateBlock, start: int, end: int, silent: bool) -> bool:
    """The parser's rule for tables: as GitHub's, but rows may have more or fewer cells than the header has, the header
    too, and a line without a pipe is no row.

    It makes tokens for rows and none for cells, which would take a hundred times the memory of the text.
    """
    if start + 2 > end or state.sCount[start + 1] < state.blkIndent or state.is_code_block(start + 1):
        return False
    header, rule = _line_at(state, start), _line_at(state, start + 1)
    if "|" not in header or "|" not in rule or rule[:2] == "- " or not _RULE.fullmatch(rule):
        return False
    if state.is_code_block(start):
        return False
    if silent:
        return True
    outer, state.parentType = state.parentType, "table"
    ending = state.md.block.ruler.getRules("blockquote")
    line = start + 2
    while (
        line < end
        and state.sCount[line] >= state.blkIndent
        and not state.is_code_block(line)
        and "|" in _line_at(state, line)
        and not any(rule(state, line, end, True) for rule in ending)
    ):
        line += 1
    state.push("table_open", "table", 1).map = [start, line]
    for part, first, last in (("thead", start, start + 1), ("tbody", start + 2, line)):
        if first == last:
            continue
        state.push(f"{part}_open", part, 1).map = [first, last]
        for row in range(first, last):
            state.push("tr_open", "tr", 1).map = [row, row + 1]
            state.push("tr_close", "tr", -1)
        state.push(f"{part}_close", part, -1)
    state.push("table_close", "table", -1)
    state.parentType, state.line = outer, line
    return True


def _line_at(state: StateBlock, line: int) -> str:
    return state.src[state.bMarks[line] + state.tShift[line] : state.eMarks[line]].strip()


@lru_cache(maxsize=1)
def _code_parser() -> MarkdownIt:
    """The parser of blocks and of code between backticks, made once.

    It reads a table as a paragraph, because the positions of a paragraph's code are known, those of a cell's are not.
    """
    from markdown_it import MarkdownIt
    from markdown_it.rules_inline import backtick

    def noted(state: Any, silent: bool) -> bool:
        start, made = state.pos, len(state.tokens)
        done = backtick(state, silent)
        if len(state.tokens) > made and state.tokens[-1].type == "code_inline":
            state.env[_SPANS].append((start, state.pos))
        return done

    parser = MarkdownIt("commonmark").disable(["inline", "text_join"])
    parser.inline.ruler.at("backticks", noted)
    parser.inline.ruler.enableOnly(["text", "escape", "backticks"])
    return parser


def fence_for(text: str, mark: str = "~", least: int = 4) -> str:
    """The first line of a fence that no line of `text` can close.

    It repeats `mark`, a backtick or a tilde, at least `least` times, and more often than the text does at any place.

    >>> fence_for("a ~~~~~ b"), fence_for("", "`", 3)
    ('~~~~~~', '```')
    """
    return mark * max(least, 1 + max(map(len, re.findall(f"{mark}+", text)), default=0))


def is_fence(line: str) -> bool:
    """Whether a line by itself looks like the start or the end of a fence."""
    return line.lstrip().startswith(("```", "~~~"))


def fence_of(line: str) -> str:
    """The backticks or tildes with which a line opens or closes a fence; empty for any other line.

    >>> fence_of("  ~~~~ python"), fence_of("    ```")
    ('~~~~', '')
    """
    match = _FENCE.match(line)
    return match[1] if match else ""


@dataclass(frozen=True, slots=True)
class Fence:
    """Where a fence is in a text."""

    start: int
    """The position of its first line."""
    end: int
    """The position of its last line, or of the end of the text if it is never closed."""
    mark: str
    """Its backticks or tildes."""
    info: str
    """What follows them in its first line."""


def line_fences(text: str) -> list[Fence]:
    """The fences of a text in order, read line by line, so that it may begin anywhere but inside one."""
    found: list[Fence] = []
    opened: re.Match[str] | None = None
    for match in _FENCE_LINE.finditer(text):
        if opened is None:
            opened = match
        elif match["mark"].startswith(opened["mark"]) and not match["info"].strip(" `~"):
            found.append(Fence(opened.start(), match.start(), opened["mark"], opened["info"].rstrip()))
            opened = None
    if opened is not None:
        found.append(Fence(opened.start(), len(text), opened["mark"], opened["info"].rstrip()))
    return found


def with_whole_fences(text: str, start: int, end: int, fences: Sequence[Fence]) -> str:
    """The part `text[start:end]`, with a fence that begins before it opened again, and one that ends after it closed.

    `fences` are those of `text`, see `line_fences`. In this example the part begins and ends inside a fence:

    >>> text = "```sh\\n# a\\n# b\\n# c\\n```"
    >>> with_whole_fences(text, 10, 13, line_fences(text))
    '```sh\\n# b\\n```'
    """
    part = text[start:end].strip("\n")
    if not part or not fences:
        return part
    first = bisect_left(fences, start, key=lambda fence: fence.start) - 1
    if first >= 0 and start <= fences[first].end and start < len(text):
        part = f"{fences[first].mark}{fences[first].info}\n{part}"
    last = bisect_left(fences, end, key=lambda fence: fence.start) - 1
    if last >= 0 and end <= fences[last].end and text[end:].strip():
        part = f"{part}\n{fences[last].mark}"
    return part


def is_ruled(line: str) -> bool:
    """Whether a line can be the rule between the header and the rows of a table.

    >>> is_ruled("|:---|---:|"), is_ruled("| a | b |")
    (True, False)
    """
    return "-" in line and all(letter in ":|+=-" or letter.isspace() for letter in line)


def cells(row: str) -> list[tuple[int, int]]:
    """Start and end of each cell of a table row. The pipes at the ends of the row are left out.

    An escaped pipe, `\\|`, does not end a cell.

    >>> [row[start:end].strip() for row in [r"| a | b \\| c |"] for start, end in cells(row)]
    ['a', 'b \\\\| c']
    """
    start, end = len(row) - len(row.lstrip()), len(row.rstrip())
    pipes = [match.start() for match in _PIPE.finditer(row)]
    if pipes and pipes[0] == start:
        start = pipes.pop(0) + 1
    if pipes and pipes[-1] == end - 1:
        end = pipes.pop()
    return list(zip([start, *(pipe + 1 for pipe in pipes)], [*pipes, end], strict=True))
