"""What changed between two texts of a soul, sentence by sentence."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from difflib import SequenceMatcher

from cervella.soul.constitution import sections_of
from cervella.text.language import Language

__all__ = ["Change", "changed_sentences"]

_STANDS_ALONE = re.compile(r"\s*(?:#{1,6}\s|[-*+]\s|\d{1,3}[.)]\s|>|\||```|~~~|<!--)|^ {4}|^\t")


@dataclass(frozen=True, slots=True, kw_only=True)
class Change:
    """Sentences that went, and those that came in their place, in one section."""

    section: str
    """Its title; empty before the first heading."""
    removed: tuple[str, ...]
    added: tuple[str, ...]


def changed_sentences(before: str, after: str, language: Language) -> tuple[Change, ...]:
    """What changed, in the order of the new text. White space and the places of line breaks are no change.

    >>> from cervella.text.language import language
    >>> old, new = "# Io\\n\\nSono calma. Parlo\\npoco.\\n", "# Io\\n\\nSono calma. Parlo molto.\\n"
    >>> changed_sentences(old, new, language("it"))
    (Change(section='Io', removed=('Parlo poco.',), added=('Parlo molto.',)),)
    """
    old, new = list(_sentences(before, language)), list(_sentences(after, language))
    matcher = SequenceMatcher(None, [text for _, text in old], [text for _, text in new], autojunk=False)
    changes = []
    for kind, old_start, old_end, new_start, new_end in matcher.get_opcodes():
        if kind != "equal":
            gone, come = old[old_start:old_end], new[new_start:new_end]
            changes.append(
                Change(
                    section=(come or gone)[0][0],
                    removed=tuple(text for _, text in gone),
                    added=tuple(text for _, text in come),
                )
            )
    return tuple(changes)


def _sentences(text: str, language: Language) -> Iterator[tuple[str, str]]:
    """Each sentence with the title of its section; a heading, an item or a row is one by itself."""
    for section in sections_of(text):
        paragraph: list[str] = []
        for line in [*section.text.split("\n"), ""]:
            if line.strip() and not _STANDS_ALONE.match(line):
                paragraph.append(line)
                continue
            if paragraph:
                whole = " ".join(" ".join(paragraph).split())
                for start, end in language.sentences(whole):
                    yield section.title, whole[start:end]
                paragraph = []
            if line.strip():
                yield section.title, " ".join(line.split())
