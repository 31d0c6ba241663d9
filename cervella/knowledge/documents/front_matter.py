"""Reads the front matter of a document: the metadata at its very top, between lines of `---`."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import TypeAlias

from cervella.text.language import fold

Value: TypeAlias = str | tuple[str, ...]
"""A value as text; a list as a tuple of texts."""

_LONGEST = 100  # lines
_PAIR = re.compile(r"([^\s:#][^:]*):\s*(.*)")


@dataclass(frozen=True, slots=True, kw_only=True)
class FrontMatter:
    """The front matter of one document. Without one, all is empty."""

    lines: int = 0
    """The number of lines at the top of the file that belong to it, its first and last line included."""
    fields: Mapping[str, Value] = field(default_factory=dict)
    """Its values by their keys, as they are written; the keys of a nested table as `author.name`."""

    @property
    def title(self) -> str:
        """The document's title; empty if it has none."""
        return self.texts().get("title", "")

    def texts(self) -> dict[str, str]:
        """Its values as texts, by folded keys (lower case without accents); of a list, the items joined by commas."""
        pairs = ((fold(key), value) for key, value in self.fields.items())
        return {key: value if isinstance(value, str) else ", ".join(value) for key, value in pairs}


def front_matter(lines: Sequence[str]) -> FrontMatter:
    """Read the front matter of a document with these lines. Nested values are ignored."""
    if not lines or lines[0].rstrip() != "---":
        return FrontMatter()
    for number, line in enumerate(lines[1:_LONGEST], start=2):
        if line.rstrip() in ("---", "..."):
            found = (_PAIR.fullmatch(inner) for inner in lines[1 : number - 1])
            fields = {match[1].strip(): match[2].strip().strip("\"'") for match in found if match}
            # Front matter begins with a pair; without one, these are two horizontal rules around prose.
            return FrontMatter(lines=number, fields=fields) if _PAIR.fullmatch(lines[1]) else FrontMatter()
    return FrontMatter()
