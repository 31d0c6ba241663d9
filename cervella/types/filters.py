"""Selects the passages of a search by role, project, status, path, date, tags and further fields."""

from __future__ import annotations

import datetime
import re
import unicodedata
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, fields, replace
from decimal import Decimal
from functools import lru_cache
from typing import Any

import cervella
from cervella.errors import ConfigError, check_names

STATUSES = ("current", "superseded", "deprecated", "archived", "draft")
"""The values of `Passage.status`."""


def _values(name: str, value: Any) -> tuple[str, ...] | None:
    if value is None:
        return None
    values = tuple(value) if isinstance(value, Iterable) and not isinstance(value, str) else (value,)
    if not values or not all(isinstance(item, str) and item for item in values):
        raise ConfigError(f"The filter {name!r} is {value!r}.", remedy="Give one non-empty string, or a list of them.")
    return values


def _tags(value: Any) -> tuple[str, ...] | None:
    """Tags without `#`."""
    values = _values("tags", value)
    if values is None:
        return None
    tags = tuple(tag.strip().removeprefix("#").rstrip("/") for tag in values)
    if not all(tags):
        raise ConfigError(f"The filter 'tags' is {value!r}.", remedy="Give one tag, or a list of them: 'prezzi'.")
    return tags


def _meta(value: Any) -> dict[str, tuple[str, ...]] | None:
    """For each field, the accepted values as texts."""
    if value is None:
        return None
    remedy = "Give a mapping of fields to a value or a list of values, such as {'autore': 'Rossi'}."
    if not isinstance(value, Mapping) or not value:
        raise ConfigError(f"The filter 'meta' is {value!r}.", remedy=remedy)
    accepted: dict[str, tuple[str, ...]] = {}
    for key, one in value.items():
        listed = tuple(one) if isinstance(one, Iterable) and not isinstance(one, str | Mapping) else (one,)
        texts = tuple(text for item in listed if (text := _text(item)) is not None)
        if not isinstance(key, str) or not key.strip() or not texts or len(texts) < len(listed):
            raise ConfigError(f"The filter 'meta' is {value!r}.", remedy=remedy)
        accepted[key] = texts
    return accepted


def _text(value: Any) -> str | None:
    """A value as front matter spells it: `true`, `12`, `2026-01-31`. None for what is no single value, or empty."""
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, datetime.date):
        return value.isoformat()
    return str(value).strip() or None if isinstance(value, str | int | float | Decimal) else None


def _day(name: str, value: Any) -> str | None:
    if value is None:
        return None
    try:
        if isinstance(value, datetime.datetime):
            value = value.date()
        return (value if isinstance(value, datetime.date) else datetime.date.fromisoformat(value)).isoformat()
    except (TypeError, ValueError) as error:
        raise ConfigError(
            f"The filter {name!r} is {value!r}, which is not a date.", remedy="Write the date as 2026-01-31."
        ) from error


@lru_cache(maxsize=256)
def _glob(pattern: str) -> tuple[tuple[str, ...], tuple[str, ...]]:
    """The tokens of a glob, which are wildcards (`**/`, `**`, `*`, `?`) and literal texts; and the literals alone."""
    tokens = tuple(re.findall(r"\*\*/|\*\*+|\*|\?|[^*?]+", pattern))
    return tokens, tuple(token for token in tokens if token[0] not in "*?")


@lru_cache(maxsize=4096)
def _folded(text: str) -> str:
    """A text without case, accents and repeated white space."""
    plain = unicodedata.normalize("NFKD", text)
    return " ".join("".join(one for one in plain if not unicodedata.combining(one)).casefold().split())


def same_project(project: str | None, wanted: str) -> bool:
    """Whether a document's project is the wanted one, without case, accents and hyphens.

    >>> same_project("Cervella Baby", "cervella-baby"), same_project(None, "cervella-baby")
    (True, False)
    """
    one, other = (_folded(name.replace("-", " ").replace("_", " ")) for name in (project or "", wanted))
    return one == other


def tag_matches(tag: str, wanted: str) -> bool:
    """Whether a document's tag is the wanted one or below it, without case and accents.

    >>> tag_matches("Prezzi/Estate", "prezzi"), tag_matches("prezziario", "prezzi")
    (True, False)
    """
    return f"{_folded(tag)}/".startswith(f"{_folded(wanted)}/")


def meta_values(meta: Mapping[str, str | Sequence[str]], key: str) -> list[str]:
    """The values of a field of `meta`. Case and accents of its name do not count.

    >>> meta_values({"Città": "Roma"}, "citta"), meta_values({"Città": "Roma"}, "autore")
    (['Roma'], [])
    """
    values = (value for name, value in meta.items() if _folded(name) == _folded(key))
    return [one for value in values for one in (value if isinstance(value, tuple | list) else (value,))]


def meta_matches(meta: Mapping[str, str | Sequence[str]], key: str, accepted: Iterable[str]) -> bool:
    """Whether a field of `meta` has one of the accepted values, without case and accents.

    >>> meta_matches({"Autore": ("Anna Bianchi", "Ugo Neri")}, "autore", ["ugo neri"])
    True
    """
    wanted = {_folded(one) for one in accepted}
    return any(_folded(_text(value) or "") in wanted for value in meta_values(meta, key))


def path_matches(path: str, pattern: str) -> bool:
    """Whether a POSIX path matches a glob: `*` and `?` do not match `/`, `**` does.

    The time is bounded by the product of both lengths: after each token, the set of all possible end positions is kept.

    >>> path_matches("progetti/miracollo/stato.md", "progetti/**"), path_matches("a/b.md", "*.md")
    (True, False)
    """
    tokens, literals = _glob(pattern)
    if not all(literal in path for literal in literals):  # a fast test that rejects most paths
        return False
    ends = {0}
    for token in tokens:
        if token == "**/":
            ends |= {n + 1 for n in range(min(ends), len(path)) if path[n] == "/"}
        elif token.startswith("**"):
            ends = set(range(min(ends), len(path) + 1))
        elif token == "*":
            ends = {n for first, last in _ranges_in_folder(path, ends) for n in range(first, last + 1)}
        elif token == "?":
            ends = {n + 1 for n in ends if n < len(path) and path[n] != "/"}
        else:
            ends = {n + len(token) for n in ends if path.startswith(token, n)}
        if not ends:
            return False
    return len(path) in ends


def _ranges_in_folder(path: str, starts: set[int]) -> Iterator[tuple[int, int]]:
    """For each path component that contains a start: the first such start, and the end of the component."""
    last = -1
    for start in sorted(starts):
        if start > last:
            slash = path.find("/", start)
            last = slash if slash >= 0 else len(path)
            yield start, last


@dataclass(frozen=True, slots=True, kw_only=True)
class Filters:
    """Conditions on the passages of a search. A passage must meet all of them; each takes one value or several.

    Values are stored as tuples and dates as ISO strings. A passage without a date is outside any date range.
    """

    role: str | Sequence[str] | None = None
    project: str | Sequence[str] | None = None
    """Case, accents and hyphens do not count: `cervella-baby` is `Cervella Baby`."""
    status: str | Sequence[str] | None = None
    path: str | Sequence[str] | None = None
    """Globs over `Passage.path`: `progetti/**`, `memoria/*/2026*.md`."""
    tags: str | Sequence[str] | None = None
    """A passage needs one of these tags, with or without `#`. Case and accents do not count; `a` also means `a/b`."""
    meta: Mapping[str, Any] | None = field(default=None, hash=False)
    """For each field of `Passage.meta`, the accepted value or several. Case and accents do not count. Numbers and
    booleans are compared as texts: `True` means `true`. If a passage has several values, one of them must fit."""
    since: str | datetime.date | None = None
    """Earliest date, inclusive, ISO 8601."""
    until: str | datetime.date | None = None
    """Latest date, inclusive, ISO 8601."""
    within: Filters | None = field(default=None, repr=False)
    """Further filters that a passage must also pass, for example those of the session."""

    def __post_init__(self) -> None:
        for name in ("role", "project", "status", "path"):
            object.__setattr__(self, name, _values(name, getattr(self, name)))
        object.__setattr__(self, "tags", _tags(self.tags))
        object.__setattr__(self, "meta", _meta(self.meta))
        for name in ("since", "until"):
            object.__setattr__(self, name, _day(name, getattr(self, name)))
        check_names("status", self.status or (), STATUSES)

    @classmethod
    def of(cls, value: Filters | Mapping[str, Any] | None) -> Filters | None:
        """Make Filters from a mapping; Filters and None are returned unchanged. Raises ConfigError for unknown keys."""
        if value is None or isinstance(value, Filters):
            return value
        if not isinstance(value, Mapping):
            raise ConfigError(
                f"filters is {value!r}.", remedy="Give a Filters or a dict such as {'project': 'miracollo'}."
            )
        check_names("filter", value, [item.name for item in fields(cls) if item.name != "within"])
        return cls(**value)

    def narrowed(self, other: Filters | None) -> Filters:
        """Filters that a passage passes only if it passes both these and `other`."""
        if other is None:
            return self
        return replace(other, within=self if other.within is None else self.narrowed(other.within))

    def match(self, passage: cervella.Passage) -> bool:
        """Whether the passage meets every condition."""
        return (
            (self.role is None or passage.role in self.role)
            and (self.project is None or any(same_project(passage.project, one) for one in self.project))
            and (self.status is None or passage.status in self.status)
            and (self.path is None or any(path_matches(passage.path, pattern) for pattern in self.path))
            and (self.tags is None or any(tag_matches(tag, one) for tag in passage.tags for one in self.tags))
            and (self.meta is None or all(meta_matches(passage.meta, key, self.meta[key]) for key in self.meta))
            and (self.since is None or (passage.date is not None and passage.date >= str(self.since)))
            and (self.until is None or (passage.date is not None and passage.date <= str(self.until)))
            and (self.within is None or self.within.match(passage))
        )
