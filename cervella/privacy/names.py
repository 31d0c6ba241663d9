"""The names of secrets (`password`, `PIN`, `chiave API`, `client_secret`) in all known languages, as one pattern.

All languages apply to every text, because notes mix languages. Their words are data: secrets.toml of each language.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from functools import lru_cache
from typing import Literal, TypeAlias

from cervella.privacy.secret import Kind
from cervella.text.language import known_languages, language

Strength: TypeAlias = Literal["enough", "likely", "weak"]
"""How much a name says. `enough`: a word beside it may be a secret (`password`). `likely`: a value with digits may be one
(`api_key`). `weak`: the name has other meanings, so the value must look random (`key`, `token`)."""

_GROUPS: tuple[tuple[str, Kind, Strength], ...] = (
    ("passwords", "password", "enough"),
    ("pins", "password", "enough"),
    ("api_keys", "api_key", "likely"),
    ("tokens", "token", "likely"),
    ("others", "password", "likely"),
    ("pairs", "password", "enough"),
)
_OF_NAMES = (
    "(?:hash|salt|min|max|len|polic|reset|field|file|path|url|uri|env|manag|id|name|type|exp|conf|count|limit|usage|"
    "hint|label|rotat|prompt|requir|valid|strength|check|input|form|error|column|param|arg|var)"
)
"""Suffixes that make a name metadata and not a secret: `password_hash`, `token_count`."""


@dataclass(frozen=True, slots=True)
class Name:
    """The name of a secret at a place of a text."""

    kind: Kind
    strength: Strength
    group: str
    """The list of secrets.toml that has it, such as `pins`."""
    start: int
    end: int


def stems() -> tuple[str, ...]:
    """Parts of the names of secrets, in lower case. A line that contains none of them names no secret, and the rules
    for names skip it."""
    return tuple({stem for code in known_languages() for stem in language(code).redaction["stems"].split()})


def names_in(text: str) -> Iterator[Name]:
    """The names of secrets in a text, in order."""
    weak = words("weak")
    for match in _names().finditer(text):
        group = next(name for name in _KINDS if match[name] is not None)
        kind, strength = _KINDS[group]
        said = match[group].lower()
        if said in weak or said.replace("_", " ").replace("-", " ") in weak:
            strength = "weak"
        yield Name(kind, strength, group, *match.span())


@lru_cache(maxsize=8)
def words(key: str) -> frozenset[str]:
    """The words of one list of secrets.toml in all known languages, in lower case."""
    return frozenset(word.lower() for code in known_languages() for word in language(code).redaction.get(key, ()))


@lru_cache(maxsize=8)
def one_of(key: str) -> str:
    """A regular expression for one of the entries of a list of secrets.toml in any known language."""
    entries = {entry for code in known_languages() for entry in language(code).redaction.get(key, ())}
    return "|".join(sorted(entries, key=lambda entry: (-len(entry), entry))) or "(?!)"


_KINDS: dict[str, tuple[Kind, Strength]] = {group: (kind, strength) for group, kind, strength in _GROUPS}


@lru_cache(maxsize=1)
def _names() -> re.Pattern[str]:
    groups = "|".join(f"(?P<{group}>{one_of(group)})" for group, _, _ in _GROUPS)
    tail = (
        rf"s?\d{{0,3}}(?:[_-](?!{_OF_NAMES})[A-Za-z0-9]{{1,16}}){{0,3}}"
        rf"(?-i:(?!(?i:{_OF_NAMES}))[A-Z][a-z]{{1,12}})?(?![A-Za-z0-9_-]|[À-ÿ])"
    )
    return re.compile(rf"(?:(?<![A-Za-z0-9À-ÿ])|(?<=[a-z0-9])(?=[A-Z]))(?i:(?:{groups}){tail})")
