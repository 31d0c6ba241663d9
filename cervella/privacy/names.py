"""The names of secrets (`password`, `PIN`, `chiave API`, `client_secret`) in all known languages, as one pattern.

All languages apply to every text, because notes mix languages. Their words are data: secrets.toml of each language.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from functools import lru_cache
from itertools import groupby
from typing import Literal, TypeAlias

from cervella.privacy.secret import Kind
from cervella.text.language import known_languages, language

Strength: TypeAlias = Literal["enough", "likely", "weak"]
"""How much a name says. `enough`: a word beside it may be a secret (`password`). `likely`: a value with digits may be
one (`api_key`). `weak`: the name has other meanings, so the value must look random (`key`, `token`)."""

_GROUPS: tuple[tuple[str, Kind, Strength], ...] = (
    ("passwords", "password", "enough"),
    ("endings", "password", "enough"),
    ("pins", "password", "enough"),
    ("combinations", "password", "enough"),
    ("api_keys", "api_key", "likely"),
    ("tokens", "token", "likely"),
    ("others", "password", "likely"),
    ("pairs", "password", "enough"),
)
_OF_NAMES = (
    "(?:(?:min|max|len|url|uri|env|id|exp|arg|var|form)(?![A-Za-z])|hash|salt|polic|reset|field|file|path|manag|name|type|"
    "length|expir|conf|count|limit|usage|hint|label|rotat|prompt|requir|valid|strength|check|input|error|column|param)"
)
"""Suffixes that make a name metadata and not a secret: `password_hash`, `token_count`."""
_NAMES = "(?:pass|pwd|pw|key|pin|token|secret|kenn|schl|code|psk)"
"""Suffixes that begin another name: `WLAN-Passwort`."""


@dataclass(frozen=True, slots=True)
class Name:
    """The name of a secret at a place of a text."""

    kind: Kind
    strength: Strength
    group: str
    """The list of secrets.toml that has it, such as `pins`."""
    start: int
    end: int
    plural: bool = False
    after_user: bool = False
    """Whether the name of a user stands right before it: `user: anna, password: …`."""


@lru_cache(maxsize=1)
def any_stem() -> re.Pattern[str]:
    """A part of the name of a secret, in lower case. A line that contains none names no secret, and the rules for names
    skip it. The stems are sorted by their first letter, so that at most places of a text one letter is compared."""
    stems = sorted({stem for code in known_languages() for stem in language(code).redaction["stems"].split()})
    by_head = groupby(stems, key=lambda stem: stem[0])
    return re.compile(
        "|".join(f"{re.escape(head)}(?:{'|'.join(re.escape(stem[1:]) for stem in own)})" for head, own in by_head)
        or "(?!)"
    )


def names_in(text: str) -> list[Name]:
    """The names of secrets in a text, in order."""
    pattern, groups = _names()
    weak = words("weak")
    found = []
    for match in pattern.finditer(text):
        group = groups[(match.lastindex or 1) - 1]
        kind, strength = _KINDS[group]
        said = match[match.lastindex or 0].lower().replace("_", " ").replace("-", " ")
        if said in weak:
            strength = "weak"
        before = _WORD_BEFORE.search(text, max(0, match.start() - 24), match.start())
        if group not in ("passwords", "endings") and before and before[1].lower() in words("words_before"):
            continue  # a keyword
        after_user = _after_user().search(text, max(0, match.start() - 60), match.start()) is not None
        if said == "pwd" and text[max(0, match.start() - 2) : match.start()] == "$(":
            continue  # the folder of a shell
        if said == "pass":
            if after_user:
                strength = "enough"
            elif (before and before[1].lower() not in words("owners_of_pass")) or _masked_before(text, match.start()):
                continue  # a ski pass
            elif before or match[0].isupper() or not _ASSIGNED.match(text, match.end()):
                strength = "likely"
        plural = len(said) > 3 and (said.endswith("s") or (group == "pins" and said.startswith("codici")))
        found.append(Name(kind, strength, group, *match.span(), plural=plural, after_user=after_user))
    return found


def _masked_before(text: str, start: int) -> bool:
    return text[max(0, start - 2) : start].strip() == "["  # a mask's place, as find_secrets leaves it


@lru_cache(maxsize=1)
def _after_user() -> re.Pattern[str]:
    """A user's name before the word `pass`: `user: anna pass: …`."""
    return re.compile(rf"(?i)(?<!\w)(?:{one_of('users')})[ \t:=\"'`*]{{1,4}}[^\s|,;]{{1,40}}[ \t,;/|*_`]{{1,4}}\Z")


@lru_cache(maxsize=16)
def words(key: str) -> frozenset[str]:
    """The words of one list of secrets.toml in all known languages, in lower case."""
    return frozenset(map(str.lower, entries(key)))


def entries(key: str) -> set[str]:
    """The entries of one list of secrets.toml in all known languages: words or regular expressions."""
    return {entry for code in known_languages() for entry in language(code).redaction.get(key, ())}


@lru_cache(maxsize=16)
def one_of(key: str) -> str:
    """A regular expression for one of the entries of a list of secrets.toml in any known language."""
    return "|".join(sorted(entries(key), key=lambda entry: (-len(entry), entry))) or "(?!)"


_KINDS: dict[str, tuple[Kind, Strength]] = {group: (kind, strength) for group, kind, strength in _GROUPS}


_ASSIGNED = re.compile(r"[\"'`*_]{0,4}[ \t]?[:=]")
_WORD_BEFORE = re.compile(r"([^\W_]+)[ \t_-]\Z")
_HEAD = re.compile(r"[a-zà-ÿ]")
_HEADS = re.compile(r"(?:^|[?:|)*}])(?:([^\W_])|\[([^\]\\]+)\])")


def heads_of(entry: str) -> frozenset[str]:
    """The letters that an entry of secrets.toml can start with, and perhaps some that it can't.

    >>> sorted(heads_of("(?:db[ _-]?)?(?:pwd|kennwort)"))
    ['d', 'k', 'p']
    """
    return frozenset(filter(str.isalnum, "".join(one or several for one, several in _HEADS.findall(entry))))


@lru_cache(maxsize=1)
def _names() -> tuple[re.Pattern[str], list[str]]:
    """The pattern of all names, and the list of secrets.toml that each of its groups belongs to.

    The names are sorted by their first letter, so that at most places of a text one letter is compared and no more.
    """
    by_head: dict[str, dict[str, list[str]]] = {}
    endings: dict[str, list[str]] = {}
    ending_heads: set[str] = set()
    for group, _, _ in _GROUPS:
        for entry in sorted(entries(group), key=lambda entry: (-len(entry), entry)):
            if group == "endings":
                endings.setdefault(group, []).append(entry)
                ending_heads |= heads_of(entry)
            else:
                head = entry[0] if _HEAD.match(entry) and entry[1:2] not in ("?", "*", "{") else ""
                before = "" if head else f"(?=[{''.join(sorted(heads_of(entry)))}])"
                by_head.setdefault(head, {}).setdefault(group, []).append(before + entry)
    groups: list[str] = []

    def either(own: dict[str, list[str]]) -> str:
        groups.extend(own)
        return "|".join(f"({'|'.join(entries)})" for entries in own.values())

    bounded = "|".join(f"{f'(?={head})' if head else ''}(?:{either(own)})" for head, own in sorted(by_head.items()))
    ends = f"(?=[{''.join(sorted(ending_heads))}])(?<![0-9])(?:{either(endings)})" if endings else "(?!)"
    tail = (
        rf"s?\d{{0,3}}(?:[_-](?!{_OF_NAMES}|{_NAMES})[A-Za-z0-9]{{1,16}}){{0,3}}"
        rf"(?-i:(?!(?i:{_OF_NAMES}))[A-Z][a-z]{{1,12}})?(?![A-Za-z0-9À-ÿ]|[_-][A-Za-z0-9])"
    )
    start = r"(?:(?<![A-Za-z0-9À-ÿ])|(?-i:(?<=[a-z0-9])(?=[A-Z])))"
    return re.compile(rf"(?i)(?:{start}(?:{bounded})|{ends}){tail}"), groups
