"""Makes the reading of a document: its text as somebody sees it who reads the note, without markup.

The steps, each in a module of its own: what is no text becomes a placeholder, Obsidian's syntax is read, footnotes move
to the sentences that cite them, inline syntax becomes words, and characters that nobody sees are removed. The signs of
structure stay, because they say how lines belong together: those of headings, items, quotes, tables and fences.
"""

from __future__ import annotations

import re
import textwrap
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import partial

from cervella.knowledge.documents import inline
from cervella.knowledge.documents.characters import cleaned
from cervella.knowledge.documents.code import code_lines, code_spans
from cervella.knowledge.documents.encoded import image_words, without_encoded
from cervella.knowledge.documents.footnotes import with_footnotes
from cervella.knowledge.documents.front_matter import Value
from cervella.knowledge.documents.markdown import Block, Document
from cervella.knowledge.documents.obsidian import is_board, note_text
from cervella.text.language import Language
from cervella.text.markdown import cells, is_fence, is_ruled

_UNDERLINE = re.compile(r"\s{0,3}(?:>\s?)*(?:=+|-+)\s*")
_CLOSED = re.compile(r"(?<=\S)[ \t]+#+[ \t]*$")
_QUOTE = re.compile(r"[ \t]*(?:>[ \t]?)*")
_QUOTE_SIGNS = re.compile(r"([ \t]*)(?:>[ \t]?)+")
_MODULE = re.compile(r"(?:import|export)\b(?=.*(?:['\"{(=]|\bfrom\b|\bdefault\b))")
_PADDING = re.compile(r"(?!(?<=\|)  \|)(?<=\S)[ \t]{2,}")
_LONG_RULE = re.compile(r"-{4,}|={4,}")
_IMPORT = re.compile(
    r"import\s++(?P<names>[\w$]+|[\w$ ,]*\{[^{}]{1,300}\}|\*\s+as\s+\w+)\s+from\s+(['\"])[^'\"]+\2;?\s*"
)
_EXPRESSION = re.compile(
    r"\{/\*(?:(?!\{/\*|\*/\}).)*+\*/\}|\{(?:'(?P<one>[^'{}]*)'|\"(?P<two>[^\"{}]*)\"|`(?P<three>[^`{}$]*)`)\}|\{\.\.\.[\w.]+\}"
    r"|\{[A-Za-z_$][\w$]*(?:\??\.[\w$]+)*(?:\([^(){}]{0,200}\))?\}"
)
_COMPONENT, _NAME = re.compile(r"<([A-Z]\w{0,60})"), re.compile(r"\w+")
_LONGEST_MODULE = 300  # lines of one import or export


@dataclass(frozen=True, slots=True, kw_only=True)
class Reading:
    """A document as it is indexed, shown to a brain and quoted, with the metadata that stands in its text."""

    lines: tuple[str, ...] = field(repr=False)
    """For each line of the file, what is read there. It is empty for a line of markup alone, and has several lines of
    its own where one line of the file contains several rows of a table."""
    tags: tuple[str, ...] = ()
    """The `#tags` in the text, without `#` and without repetitions, in order."""
    fields: Mapping[str, Value] = field(default_factory=dict)
    """The fields in the text, such as `Prezzo:: 12`, by their names as written; several values of one as a tuple."""
    links: tuple[str, ...] = ()
    """The notes and paths in the knowledge folder that the text links to, as written, without repetitions."""
    left_out: Mapping[str, int] = field(default_factory=dict)
    """How many parts that are no text were replaced by a placeholder, by kind: `drawing`, `image`, `data`, `code`."""


def reading_of(document: Document, lang: Language, *, path: str = "") -> Reading:
    """Make the reading of a document. `lang` is the language of the base: the words for done tasks and placeholders.

    `path` is the file's path; some kinds of file, such as `.mdx`, are read differently.
    """
    in_code = _code(document)
    flat, owners, code = _flat(document, in_code)
    if path.casefold().endswith(".mdx"):
        flat = _without_modules(flat, code)
    elif any(line.startswith("import ") for line in flat):
        flat = _without_imports(flat, code, document.lines)
    words = lang.file("documents.toml")["left_out"]
    flat, code, left = without_encoded(flat, code, words)
    note = note_text(flat, code, lang, board=is_board(document.lines))
    lines = with_footnotes(note.lines, code, lang.sentences)
    lines = list(_read(lines, code, partial(image_words, words, left)))
    joined: list[list[str]] = [[] for _ in document.body]
    for owner, line, is_code in zip(owners, lines, code, strict=True):
        line = cleaned(line)
        joined[owner].append(line if is_code else _PADDING.sub(" ", line))
    made = ["\n".join(parts) for parts in joined]
    _structured(document.blocks, made)
    made = _unquoted(made, in_code)
    return Reading(lines=tuple(made), tags=note.tags, fields=note.fields, links=note.links, left_out=dict(left))


def _flat(document: Document, in_code: Sequence[bool]) -> tuple[list[str], list[int], list[bool]]:
    """The lines of the body one by one, the index of the line of the file for each, and whether each is code.

    `in_code` is the same for the lines of the file.
    """
    flat: list[str] = []
    owners: list[int] = []
    code: list[bool] = []
    for place, entry in enumerate(document.body):
        if "\n" in entry:
            parts = entry.split("\n")
            flat += parts
            owners += [place] * len(parts)
            code += [True] * len(parts) if in_code[place] else map(bool, code_lines(parts))
        else:
            flat.append(entry)
            owners.append(place)
            code.append(in_code[place])
    return flat, owners, code


def _code(document: Document) -> list[bool]:
    """For each line, whether it is in a fence, in indented code, a formula, or a box drawn with characters."""
    code = [False] * len(document.body)
    for block in _leaves(document.blocks):
        if block.kind in ("fence", "math", "box"):
            code[block.start_line - 1 : block.end_line] = [True] * (block.end_line - block.start_line + 1)
    return code


def _leaves(blocks: Sequence[Block]) -> Iterator[Block]:
    waiting = list(blocks)
    while waiting:
        block = waiting.pop()
        if block.children:
            waiting += block.children
        else:
            yield block


def _without_modules(lines: list[str], code: Sequence[bool]) -> list[str]:
    """The lines of an .mdx file without imports, exports and empty expressions."""
    out: list[str] = []
    end = 0
    for place, line in enumerate(lines):
        if place >= end and not code[place] and _MODULE.match(line):
            end = _module_end(lines, code, place)
        if place < end:
            line = ""
        elif "{" in line and not code[place]:
            line = _without_expressions(line)
        out.append(line)
    return out


def _module_end(lines: Sequence[str], code: Sequence[bool], first: int) -> int:
    """The line after an import or export: its brackets are closed there, else the first blank line."""
    depth = 0
    blank = None
    for place in range(first, min(len(lines), first + _LONGEST_MODULE)):
        line = lines[place]
        if not line.strip():
            if depth <= 0:
                return place
            blank = place if blank is None else blank
        elif code[place] and not line.startswith((" ", "\t")):
            break
        depth += sum(map(line.count, "{[(")) - sum(map(line.count, "}])"))
        following = lines[place + 1] if place + 1 < len(lines) else ""
        if depth <= 0 and blank is not None and not following.strip():
            return place + 1
    return first + 1 if blank is None and depth <= 0 else blank if blank is not None else len(lines)


def _without_expressions(line: str) -> str:
    """A line of an .mdx file with the text of expressions such as `{'a'}`, and without others. Code is kept."""
    made: list[str] = []
    done = 0
    for start, end, _ in (*code_spans(line), (len(line), len(line), 0)):
        made += (_EXPRESSION.sub(_literal, line[done:start]), line[start:end])
        done = end
    return "".join(made)


def _literal(match: re.Match[str]) -> str:
    return (match["one"] or match["two"] or match["three"] or "").strip(" ") if match.group() else ""


def _without_imports(lines: list[str], code: Sequence[bool], written: Sequence[str]) -> list[str]:
    """The lines of an .md file without the imports of components that are used in it."""
    used = {match[1] for line in written if "<" in line for match in _COMPONENT.finditer(line)}
    found = [None if in_code else _IMPORT.fullmatch(line) for line, in_code in zip(lines, code, strict=True)]
    return [
        "" if match and not used.isdisjoint(_NAME.findall(match["names"])) else line
        for line, match in zip(lines, found, strict=True)
    ]


def _read(lines: Sequence[str], code: Sequence[bool], image: Callable[[str], str]) -> Iterator[str]:
    """Yields each line with its inline syntax read."""
    references: set[str] = set()
    cited = {label for line, in_code in zip(lines, code, strict=True) if not in_code for label in inline.cited_in(line)}
    kept = list(lines)
    for place, line in enumerate(lines):
        if "]:" in line and not code[place] and (label := inline.definition_of(line, cited)) is not None:
            references.add(label)
            kept[place] = ""
    start = 0
    while start < len(kept):
        end = start + 1
        if code[start]:
            yield kept[start]
            start = end
            continue
        while end < len(kept) and not code[end]:
            end += 1
        yield from _prose(kept[start:end], references, image)
        start = end


def _prose(lines: list[str], references: Collection[str], image: Callable[[str], str]) -> Iterator[str]:
    for first, last in inline.groups(lines):
        text = "\n".join(lines[first:last])
        if inline.SPECIAL.search(text):
            row = last - first == 1 and text.lstrip(" \t>").startswith("|")
            text = inline.read(text, references=references, image=image, row=row)
            text = inline.hard_ends(text)
        yield from text.split("\n")


def _structured(blocks: Sequence[Block], lines: list[str]) -> None:
    """Give the rows of tables their outer pipes and equal numbers of cells, and underlined headings their signs."""
    for block in _leaves(blocks):
        first, last = block.start_line - 1, block.end_line
        if block.kind == "table":
            _rows(lines, first, last)
        elif block.kind == "fence" and lines[first].startswith(("    ", "\t")):
            _fenced(lines, first, last)
        elif block.kind == "heading" and last - first == 1:
            lines[first] = _CLOSED.sub("", lines[first])
        elif block.kind == "heading" and _UNDERLINE.fullmatch(lines[last - 1]):
            signs = _QUOTE.match(lines[first])
            before = signs.group() if signs else ""
            title = " ".join(lines[place][len(before) :].strip() for place in range(first, last - 1))
            lines[first:last] = [f"{before}{'#' * block.level} {title}", *[""] * (last - first - 1)]


def _fenced(lines: list[str], first: int, last: int) -> None:
    """Put indented code into a fence, so that it is known as code when a part of the document is quoted."""
    part = lines[first:last]
    if any(is_fence(line) for line in part) or any("\n" in line for line in part):
        return
    bare = textwrap.dedent("\n".join(line.expandtabs(4) for line in part)).split("\n")
    bare[0] = f"```\n{bare[0]}"
    bare[-1] += "\n```"
    lines[first:last] = bare


def _unquoted(lines: Sequence[str], code: Sequence[bool]) -> list[str]:
    """The lines without the `>` of quotations, each of which becomes a paragraph of its own."""
    made: list[str] = []
    quoted = False
    for line, in_code in zip(lines, code, strict=True):
        signs = _QUOTE_SIGNS.match(line) if ">" in line and "\n" not in line and not in_code else None
        if signs is None:
            quoted = quoted and bool(line.strip())  # a line without the sign may go on with the quotation
            made.append(line)
            continue
        rest = line[signs.end() :]
        before = made[-1].rsplit("\n", 1)[-1] if made else ""
        parted = not quoted and before.strip() and rest.strip() and not signs[1]
        made.append(f"\n{rest}" if parted else f"{signs[1]}{rest}" if rest.strip() else "")
        quoted = True
    return made


def _rows(lines: list[str], first: int, last: int) -> None:
    columns = 0
    for place in range(first, last):
        if "\n" in lines[place] or "|" not in lines[place]:
            continue
        line = lines[place]
        if is_ruled(line):
            line = lines[place] = _LONG_RULE.sub("---", line)
        bare = line.strip()
        if columns and bare[0] == bare[-1] == "|" and bare.count("|") == columns + 1:
            continue
        quote = _QUOTE.match(line)
        before = quote.group() if quote else ""
        row = line[len(before) :]
        found = [row[start:end].strip() for start, end in cells(row)]
        columns = columns or len(found)
        if is_ruled(row):
            found = [cell or "---" for cell in found] + ["---"] * (columns - len(found))
        elif bare[0] == bare[-1] == "|" and len(found) == columns:
            continue
        else:
            found += [""] * (columns - len(found))
        lines[place] = f"{before}| {' | '.join(found)} |"
