"""Makes the reading of a document: its text as somebody sees it who reads the note, without markup."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from cervella.knowledge.documents.front_matter import Value
from cervella.knowledge.documents.markdown import Document
from cervella.knowledge.documents.obsidian import note_text
from cervella.text.language import Language


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
    note = note_text(document.body, _code(document), lang)
    return Reading(lines=note.lines, tags=note.tags, fields=note.fields, links=note.links)


def _code(document: Document) -> list[bool]:
    """For each line, whether it is in a fence or in indented code."""
    code = [False] * len(document.body)
    waiting = list(document.blocks)
    while waiting:
        block = waiting.pop()
        waiting += block.children
        if block.kind == "fence":
            code[block.start_line - 1 : block.end_line] = [True] * (block.end_line - block.start_line + 1)
    return code
