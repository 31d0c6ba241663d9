"""Finds the links of a note to other notes, and tells whether the note says anything besides them."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from urllib.parse import unquote

_LINK = re.compile(
    r"!?\[\[(?P<note>[^\[\]|\n]{1,300})(?:\|(?P<alias>[^\[\]\n]{1,300}))?\]\]"
    r"|!?\[(?P<text>[^\[\]\n]{0,300})\]\((?P<path><[^<>\n]{1,500}>|[^()\s]{1,500})(?:[ \t][^()\n]{0,100})?\)"
)
_ELSEWHERE = re.compile(r"[a-z][a-z0-9+.-]*:|//|#", re.IGNORECASE)
"""Begins the target of a link that is no file of the folder: an address, or a place in the same file."""
_ENDING = re.compile(r"\.(?:md|mdx|markdown|txt)$")
_MARKER = re.compile(r"[ \t>]*(?:(?:[-*+•]|\d{1,3}[.)])[ \t]+(?:\[.\][ \t]+)?)?")
_TITLED = re.compile(r"[\s*_]*(?:[:(|–—→-]|$)")
"""Follows a link that begins an entry of an index: nothing, or a mark with the entry's description."""
_WORD = re.compile(r"[^\W_]+")
_STRUCTURE = re.compile(r"\s{0,3}#{1,6}\s|[\s|:*_-]*$")
_HALF, _MOST_LINES = 0.5, 2 / 3
_LONGEST_LINE = 4_000
"""Maximum characters of a line that are read. A longer one is hardly an entry of an index."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Links:
    """The links of a note to others."""

    targets: tuple[str, ...]
    """The names and paths as written, without the part after `#`, each once."""
    mostly: bool
    """Whether the note mostly links: in two of three lines of its text, at least half of the words are the words of
    links, or a link opens the line and a mark such as a colon divides it from a description."""


def links_of(lines: Sequence[str]) -> Links:
    """Read the links in the lines of a note, which are without front matter. Headings count as no text.

    >>> links_of(["# Casa", "- [[Caldaia]]", "- [[bollette/Gas|gas]]: quanto si paga"])
    Links(targets=('Caldaia', 'bollette/Gas'), mostly=True)
    >>> links_of(["Il tecnico della [[Caldaia]] viene martedì."]).mostly
    False
    """
    targets: dict[str, None] = {}
    content = entries = 0
    for line in lines:
        line = line[:_LONGEST_LINE]
        if _STRUCTURE.match(line):
            continue
        own = list(_links(line))
        targets.update(dict.fromkeys(target for _, _, target in own))
        content += 1
        entries += _is_entry(line, own)
    return Links(targets=tuple(targets), mostly=entries > 0 and entries >= _MOST_LINES * content)


def link_texts(text: str) -> Iterator[str]:
    """The words that somebody reads in place of each link to a note."""
    for match in _LINK.finditer(text):
        if _target(match):
            yield _shown(match)


def link_name(target: str) -> str:
    """The name of the note that a link or a path leads to, as it is compared.

    >>> link_name("vino/Travasi.md#quando") == link_name("travasi")
    True
    """
    return link_path(target).rpartition("/")[2]


def link_path(target: str) -> str:
    """A link's target or a path as it is compared: without the part after `#` and the ending, in one form and case."""
    return _ENDING.sub("", unicodedata.normalize("NFC", target.partition("#")[0].strip()).casefold())


def opens_entry(text: str, link: str) -> bool:
    """Whether a text begins with the words of a link and a mark that divides them from a description, or nothing else.

    >>> opens_entry("Caldaia: quando si accende", "Caldaia"), opens_entry("Caldaia accesa", "Caldaia")
    (True, False)
    """
    plain = text.lstrip("[]*_ ")
    return bool(link) and plain.startswith(link) and _TITLED.match(plain[len(link) :].lstrip("]")) is not None


def _links(line: str) -> Iterator[tuple[int, int, str]]:
    for match in _LINK.finditer(line):
        if target := _target(match):
            yield match.start(), match.end(), target


def _target(match: re.Match[str]) -> str:
    """The note or path that a link leads to; empty if it is none of the folder."""
    written = match["note"] or unquote((match["path"] or "").strip("<>"))
    if match["note"] is None and _ELSEWHERE.match(written):
        return ""
    return written.partition("#")[0].strip()


def _shown(match: re.Match[str]) -> str:
    return match["alias"] or match["text"] or (match["note"] or "").rpartition("/")[2]


def _is_entry(line: str, links: Sequence[tuple[int, int, str]]) -> bool:
    if not links:
        return False
    linked = sum(len(_WORD.findall(text)) for text in link_texts(line))
    outside = len(_WORD.findall(_LINK.sub(" ", line)))
    if linked >= _HALF * (linked + outside):
        return True
    marker = _MARKER.match(line)
    start, end, _ = links[0]
    opens = marker is not None and start == marker.end() and marker.end() > 0
    return opens and _TITLED.match(line, end) is not None
