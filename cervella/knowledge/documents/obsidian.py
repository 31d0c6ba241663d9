"""Reads the syntax that Obsidian and similar programs add to markdown: links, tags, fields, tasks, callouts."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from cervella.knowledge.documents.front_matter import Value
from cervella.text.language import Language


@dataclass(frozen=True, slots=True, kw_only=True)
class NoteText:
    """The lines of a note without that syntax, and the metadata in it. The fields are explained at `Reading`."""

    lines: tuple[str, ...]
    tags: tuple[str, ...] = ()
    fields: Mapping[str, Value] = field(default_factory=dict)
    links: tuple[str, ...] = ()


def prepared(lines: Sequence[str]) -> list[str]:
    """The lines of a file before they are parsed, with those empty that are no text for anybody: `%%comments%%`."""
    return list(lines)


def note_text(lines: Sequence[str], code: Sequence[bool], lang: Language) -> NoteText:
    """Read the lines of a note. Those whose `code` is true, in fences or indented code, stay as they are.

    `lang` is the language of the base: done and open tasks are told in its words.
    """
    return NoteText(lines=tuple(lines))
