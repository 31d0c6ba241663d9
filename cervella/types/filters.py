"""Selects the passages of a search by role, project, status, path and date."""

from __future__ import annotations

import datetime
import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, fields, replace
from functools import lru_cache
from typing import TYPE_CHECKING, Any

from cervella.errors import ConfigError, check_names

if TYPE_CHECKING:
    from cervella.types import Passage

_STATUSES = ("current", "superseded", "deprecated", "archived")


def _values(name: str, value: Any) -> tuple[str, ...] | None:
    if value is None:
        return None
    values = tuple(value) if isinstance(value, Iterable) and not isinstance(value, str) else (value,)
    if not values or not all(isinstance(item, str) and item for item in values):
        raise ConfigError(f"The filter {name!r} is {value!r}.", remedy="Give one non-empty string, or a list of them.")
    return values


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
    status: str | Sequence[str] | None = None
    path: str | Sequence[str] | None = None
    """Globs over `Passage.path`: `progetti/**`, `memoria/*/2026*.md`."""
    since: str | datetime.date | None = None
    """Earliest date, inclusive, ISO 8601."""
    until: str | datetime.date | None = None
    """Latest date, inclusive, ISO 8601."""
    within: Filters | None = field(default=None, repr=False)
    """Further filters that a passage must also pass, for example those of the session."""

    def __post_init__(self) -> None:
        for name in ("role", "project", "status", "path"):
            object.__setattr__(self, name, _values(name, getattr(self, name)))
        for name in ("since", "until"):
            object.__setattr__(self, name, _day(name, getattr(self, name)))
        check_names("status", self.status or (), _STATUSES)

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

    def match(self, passage: Passage) -> bool:
        """Whether the passage meets every condition."""
        return (
            (self.role is None or passage.role in self.role)
            and (self.project is None or passage.project in self.project)
            and (self.status is None or passage.status in self.status)
            and (self.path is None or any(path_matches(passage.path, pattern) for pattern in self.path))
            and (self.since is None or (passage.date is not None and passage.date >= str(self.since)))
            and (self.until is None or (passage.date is not None and passage.date <= str(self.until)))
            and (self.within is None or self.within.match(passage))
        )
