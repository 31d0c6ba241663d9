"""Collects a document's other names, tags, links and further fields, from its front matter and from its text."""

from __future__ import annotations

import re
from collections.abc import Collection, Iterable, Iterator, Mapping
from dataclasses import dataclass, field

from cervella.knowledge.documents.front_matter import FrontMatter, Value
from cervella.knowledge.documents.reading import Reading
from cervella.knowledge.documents.vocabulary import every_language, key_of
from cervella.text.language import fold

_LINK = re.compile(r"!?\[\[(?P<target>[^\[\]|#\n]{0,300})(?:#[^\[\]|\n]{0,300})?(?:\|(?P<shown>[^\[\]\n]{0,300}))?\]\]")
_COMMAS, _SPACES = re.compile(r"[,;\n]"), re.compile(r"[\s,;]+")
_TAXONOMIES = "taxonomies."  # the table in which Zola keeps a page's tags


@dataclass(frozen=True, slots=True, kw_only=True)
class Metadata:
    """The metadata of one document that has no other place. The fields are those of `DocumentFacts`."""

    aliases: tuple[str, ...] = ()
    tags: tuple[str, ...] = ()
    meta: Mapping[str, Value] = field(default_factory=dict)
    links: tuple[str, ...] = ()


def metadata_of(front: FrontMatter, reading: Reading | None, understood: Collection[str] = ()) -> Metadata:
    """Collect the metadata of a document. If `reading` is None, only its front matter counts.

    `understood` are the keys, in the form of `key_of`, of the fields of the front matter that have become attributes.
    """
    aliases: list[str] = []
    tags: list[str] = []
    links: list[str] = []
    meta: dict[str, Value] = {}
    spelled: dict[str, str] = {}
    names = {kind: every_language(f"{kind}_keys") for kind in ("title", "alias", "tag", "category")}
    own = {} if reading is None else reading.fields
    for source in (front.fields, own):
        for key, value in source.items():
            name = key_of(key).removeprefix(_TAXONOMIES)
            links += _links(value)
            if name in names["alias"]:
                given = _split(value, _COMMAS)
                aliases += (one for one in given if not _is_address(one))
                # Hugo lists a page's former addresses there.
                _add(meta, spelled, key, tuple(filter(_is_address, given)))
            elif name in names["tag"]:
                tags += _tags(value, _SPACES)
            elif source is own or name not in (*names["title"], *understood):
                if name in names["category"]:
                    tags += _tags(value, _COMMAS)
                _add(meta, spelled, key, shown_text(value) if isinstance(value, str) else tuple(map(shown_text, value)))
    if reading is not None:
        tags += reading.tags
        links += reading.links
    return Metadata(aliases=_once(aliases), tags=_once(tags), meta=meta, links=_once(links))


def _add(meta: dict[str, Value], spelled: dict[str, str], key: str, value: Value) -> None:
    """Add a field. If there is one of the same name, it gets the values of both.

    `spelled` has the keys of `meta` by their folded forms.
    """
    if not value:
        return
    same = spelled.setdefault(fold(key), key)
    if same not in meta:
        meta[same] = value
        return
    values = (one for known in (meta[same], value) for one in ((known,) if isinstance(known, str) else known))
    both = _once(values)
    meta[same] = both if len(both) > 1 else meta[same]


def _split(value: Value, separators: re.Pattern[str]) -> list[str]:
    parts = separators.split(value) if isinstance(value, str) else value
    return [part for one in parts if (part := shown_text(one).strip(" \t\"'"))]


def _tags(value: Value, separators: re.Pattern[str]) -> Iterator[str]:
    """The tags in a value, without `#`. A text with commas is split there, any other at `separators`."""
    if isinstance(value, str) and _COMMAS.search(value):
        separators = _COMMAS
    for one in _split(value, separators):
        parts = one.split("#") if one.startswith("#") else (one,)
        yield from (tag for part in parts if (tag := part.strip(" \t,;/")))


def _links(value: Value) -> Iterator[str]:
    for text in (value,) if isinstance(value, str) else value:
        yield from (target for match in _LINK.finditer(text) if (target := match["target"].strip()))


def shown_text(text: str) -> str:
    """The text with each `[[Note|words]]` as it is shown: as the words, else as the note's name."""
    return _LINK.sub(lambda match: match["shown"] or match["target"], text).strip()


def _is_address(name: str) -> bool:
    return name.startswith("/") or name.endswith(("/", ".html")) or "://" in name


def _once(texts: Iterable[str]) -> tuple[str, ...]:
    """The texts without repetitions; of those that differ only in case or accents, the first."""
    first: dict[str, str] = {}
    for text in texts:
        first.setdefault(fold(text), text)
    return tuple(first.values())
