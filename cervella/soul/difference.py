"""Finds the sentences that differ between two versions of a soul."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from difflib import SequenceMatcher

from cervella.soul.constitution import sections_of
from cervella.text.language import Language
from cervella.text.markdown import blocks


@dataclass(frozen=True, slots=True, kw_only=True)
class Change:
    """Removed sentences and the sentences that replace them, in one section."""

    section: str
    """Title of the section. Empty before the first heading."""
    removed: tuple[str, ...]
    added: tuple[str, ...]


def changed_sentences(before: str, after: str, language: Language) -> tuple[Change, ...]:
    """The sentences that were removed from the text `before` or added in the text `after`, in the order of `after`.

    White space and line breaks are ignored. In the example, "I speak little" has become "I speak much".

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
    """Each sentence with the title of its section. A heading, a list item and a table row count as one sentence."""
    for section in sections_of(text):
        lines = section.text.split("\n")
        done = 0
        for block in blocks(section.text):
            if block.kind != "paragraph":
                continue
            yield from ((section.title, line) for line in _written(lines[done : block.start_line]))
            done = block.end_line
            whole = " ".join(" ".join(lines[block.start_line : done]).split())
            spans = [(0, len(whole))] if block.depth else language.sentences(whole)
            yield from ((section.title, whole[start:end]) for start, end in spans)
        yield from ((section.title, line) for line in _written(lines[done:]))


def _written(lines: Sequence[str]) -> Iterator[str]:
    return (" ".join(line.split()) for line in lines if line.strip())
