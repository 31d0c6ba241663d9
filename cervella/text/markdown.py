"""The structure of a markdown text: code, lists, tables, headings, as CommonMark reads them, by markdown-it-py.

The rules of emphasis and links are left out: nothing here asks for them, and they are where fifty thousand opening
brackets cost minutes. What is known of a single line stands last, for where there is no whole text to parse.
"""

from __future__ import annotations

import re
from bisect import bisect_right
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import lru_cache
from itertools import accumulate
from typing import TYPE_CHECKING, Any, Literal, TypeAlias

if TYPE_CHECKING:
    from markdown_it import MarkdownIt
    from markdown_it.token import Token

Kind: TypeAlias = Literal["heading", "paragraph", "bullet", "number", "row", "fence", "code", "html"]

_KINDS: dict[str, Kind] = {
    "heading_open": "heading",
    "paragraph_open": "paragraph",
    "tr_open": "row",
    "fence": "fence",
    "code_block": "code",
    "html_block": "html",
}
_ITEMS: dict[str, Kind] = {"bullet_list_open": "bullet", "ordered_list_open": "number"}
_LINE = re.compile(r"[^\r\n]*(?:\r\n|\r|\n|\Z)")
_INK = re.compile(r"[^\r\n]")
_FENCE = re.compile(r"\s{0,3}(`{3,}|~{3,})")
_PIPE = re.compile(r"(?<!\\)\|")


@dataclass(frozen=True, slots=True, kw_only=True)
class Block:
    """One block that holds text itself, or a list's item with all that is in it."""

    kind: Kind
    start_line: int
    """From 0."""
    end_line: int
    """From 0, exclusive."""
    depth: int
    """How many lists, items and quotes it stands in, each counted."""
    text: str
    """Of a fence, a heading and a paragraph what is in it, without the signs of the lists and quotes around it."""


def blocks(text: str) -> Iterator[Block]:
    """The blocks of a text in order, an item before those that stand in it.

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
    """What stands in the fences of a text.

    >>> fences("Così:\\n```python\\nx = 1\\n```\\nUn ``` da solo è testo.")
    ['x = 1\\n']
    """
    return [block.text for block in blocks(text) if block.kind == "fence"] if "```" in text or "~~~" in text else []


def code_in(text: str) -> list[tuple[int, int]]:
    """Where a text is code, fenced, indented or between backticks: start and end of each stretch, in order.

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
    """The text with spaces in the place of its code, line ends apart: whatever else stands in it keeps its place.

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
    """The code between the backticks of one paragraph or heading, found where it stands in the text."""
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
    """Blocks and tables; the content of a paragraph is left as it is written."""
    from markdown_it import MarkdownIt

    return MarkdownIt("commonmark").enable("table").disable(["inline", "text_join"])


@lru_cache(maxsize=1)
def _code_parser() -> MarkdownIt:
    """Without tables: a row is a line of a paragraph, whose columns are known."""
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
    """A fence that no line of the text can close.

    >>> fence_for("a ~~~~~ b"), fence_for("", "`", 3)
    ('~~~~~~', '```')
    """
    return mark * max(least, 1 + max(map(len, re.findall(f"{mark}+", text)), default=0))


def is_fence(line: str) -> bool:
    """Whether a line by itself looks like the start or the end of a fence."""
    return line.lstrip().startswith(("```", "~~~"))


def fence_of(line: str) -> str:
    """The signs of a fence that a line opens or closes; empty where it does neither.

    >>> fence_of("  ~~~~ python"), fence_of("    ```")
    ('~~~~', '')
    """
    match = _FENCE.match(line)
    return match[1] if match else ""


def is_ruled(line: str) -> bool:
    """Whether a line is what stands between a table's header and its rows.

    >>> is_ruled("|:---|---:|"), is_ruled("| a | b |")
    (True, False)
    """
    return "-" in line and all(letter in ":|+=-" or letter.isspace() for letter in line)


def cells(row: str) -> list[tuple[int, int]]:
    """Where the cells of a table's row stand; the pipes at its ends bound none, and `\\|` bounds none either.

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
