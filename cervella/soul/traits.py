"""Reads the traits of the persona (name, gender, tone, …) that a Constitution declares. Soul tests and checks use them.

They are in a section TRATTI (TRAITS, RASGOS, …), one `- key: value` per line; a list may be indented below its key.
Keys are recognised in every known language, without regard to accents and case. Each key of `[soul.traits]` in
cervella.toml overrides the Constitution. A trait that is not declared is None or empty.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, fields
from functools import lru_cache
from itertools import pairwise
from types import MappingProxyType
from typing import Any, Literal

from cervella.errors import ConfigError, check_names
from cervella.protocols import Soul
from cervella.soul.constitution import sections_of
from cervella.text.language import fold, known_languages, language, language_names, words
from cervella.text.quotations import quotations, strip_quotes, without_quotations

_ITEM = re.compile(r"(?P<indent>[ \t]*)(?:[-*+]|\d{1,3}[.)])[ \t]+(?P<text>.+)")
_KEY = re.compile(r"(?P<key>[^:«»\"“”]{1,80}?)\s*:(?:\s+|$)(?P<value>.*)")


@dataclass(frozen=True, slots=True, kw_only=True)
class Traits:
    """The declared traits of a persona. A trait that is not declared is None or empty."""

    name: str
    """The declared name, else the name of the soul."""
    gender: Literal["feminine", "masculine"] | None = None
    language: str
    """ISO 639-1 code. The language of the soul, if the traits declare none that is supported."""
    role: str | None = None
    """The persona's relation to the person who talks with her, for example `partner`."""
    tone: tuple[str, ...] = ()
    rules: tuple[str, ...] = ()
    """The names of the persona's rules, in order."""
    aim: str | None = None
    """The purpose of the persona's work."""
    person: str | None = None
    """The task of the person who talks with the persona."""
    address: str | None = None
    """The form in which the persona addresses the person, for example with the informal «tu» of Italian."""
    never_called: tuple[str, ...] = ()
    """Words that the persona never calls the person, for example `utente` ("user")."""
    emoji: bool | None = None
    """False if the persona never uses emoji, True if she may. None if the Constitution does not say."""
    says_unknown: bool | None = None
    """Whether the persona says that she does not know an answer."""
    empty_phrases: tuple[str, ...] = ()
    """Phrases that the persona never uses."""
    mottos: tuple[str, ...] = ()
    max_tokens: int | None = None
    """Maximum length of an ordinary answer, in tokens."""
    declared: Mapping[str, str] = field(default_factory=dict)
    """The text of each declared trait, by field name. A trait that is not a field of this class is under its own key,
    in lower case and without accents."""

    def __reduce__(self) -> tuple[Any, ...]:  # a mapping proxy does not pickle
        return _restored, (
            {one.name: getattr(self, one.name) for one in fields(self)} | {"declared": {**self.declared}},
        )

    @classmethod
    def of(cls, soul: Soul, configured: Mapping[str, Any] | None = None) -> Traits:
        """The traits of a soul, overridden by `configured`, which maps field names to values as in `[soul.traits]`.

        Sections that are not part of the system prompt are ignored. Raises ConfigError for an unknown key or a value of
        the wrong type.
        """
        known = {one.name for one in fields(cls)} - {"declared"}
        declared: dict[str, str] = {}
        found: dict[str, Any] = {}
        for key, value, listed in _items(soul):
            name = _names().get(key)
            if name is None or name in declared:
                declared.setdefault(key, value)
                continue
            declared[name] = value
            read = _read(name, value, listed)
            if read not in (None, ()):
                found[name] = read
            if name == "address" and (never := _after_never(value)):
                found.setdefault("never_called", never)
        check_names("trait", configured or (), known, code="unknown_key")
        for name, given in (configured or {}).items():
            if given is None:
                continue
            found[name] = _checked(name, given)
            declared[name] = ", ".join(map(str, given)) if isinstance(given, (list, tuple)) else str(given)
        return cls(**{"name": soul.name, "language": soul.language} | found, declared=MappingProxyType(declared))


def _restored(values: dict[str, Any]) -> Traits:
    return Traits(**values | {"declared": MappingProxyType(values["declared"])})


_LISTS = {one.name for one in fields(Traits) if one.default == ()}


@lru_cache(maxsize=1)
def _names() -> dict[str, str]:
    """The field for each trait name in every language, in lower case and without accents."""
    known = {one.name for one in fields(Traits)}
    own = {" ".join(words(name)): name for name in known - {"declared"}}
    translated = {
        " ".join(words(word)): key
        for code in known_languages()
        for key, spelled in language(code).traits.items()
        if key in known
        for word in spelled
    }
    return own | translated


@lru_cache(maxsize=16)
def _words(kind: str) -> frozenset[str]:
    return frozenset(" ".join(words(word)) for code in known_languages() for word in language(code).traits[kind])


def _items(soul: Soul) -> Iterator[tuple[str, str, tuple[str, ...]]]:
    """For each trait: its key in lower case without accents, its value, and the items of a list below the key."""
    inside: int | None = None
    for section in sections_of(soul.system_prompt()):
        if inside is not None and section.level <= inside:
            inside = None
        if " ".join(words(section.title)) in _words("titles"):
            inside = section.level
        if inside is not None:
            yield from _of_section(section.text)


def _of_section(text: str) -> Iterator[tuple[str, str, tuple[str, ...]]]:
    key, value, listed = "", "", list[str]()
    for line in [*text.split("\n"), "- : "]:  # the added line ends the last trait
        item = _ITEM.fullmatch(line.rstrip())
        if item and not item["indent"]:
            if key:
                yield key, "; ".join([value, *listed] if value else listed), tuple(listed)
            pair = _KEY.fullmatch(item["text"].replace("**", "").replace("__", ""))
            key = " ".join(words(pair["key"])) if pair else ""
            value, listed = (pair["value"].strip(), []) if pair else ("", [])
        elif item:
            listed.append(strip_quotes(item["text"]))
        elif key and line[:1].isspace() and line.strip():  # an indented line continues the one before
            if listed:
                listed[-1] += f" {line.strip()}"
            else:
                value = f"{value} {line.strip()}".strip()


def _read(name: str, value: str, listed: tuple[str, ...]) -> Any:
    """The value of a field, parsed from the text of a trait. None or () if it can't be parsed."""
    plain = " ".join(words(value))
    if name in _LISTS:
        return listed or _split(value)
    if name == "gender":
        genders: tuple[Literal["feminine", "masculine"], ...] = ("feminine", "masculine")
        named = [gender for gender in genders if set(plain.split()) & _words(gender)]
        return named[0] if len(named) == 1 else None
    if name == "language":
        names = {**language_names(), **{code: code for code in known_languages()}}
        return next((names[word] for word in plain.split() if word in names), None)
    if name in ("emoji", "says_unknown"):
        if set(plain.split()[:1]) & _words("no"):
            return False
        return True if any(plain == yes or plain.startswith(f"{yes} ") for yes in _words("yes")) else None
    if name == "max_tokens":
        after = "|".join(map(re.escape, _words("after_length"))) or "(?!)"
        ends = rf"(?:$|[.,;()]|\b(?:{after})\b)"
        number = re.search(rf"(\d{{1,3}}(?:[. ]\d{{3}})+|\d+)\s*(?:tokens?)?\s*{ends}", fold(value))
        return int(re.sub(r"\D", "", number[1])) if number else None
    return strip_quotes(value) or None


def _split(value: str) -> tuple[str, ...]:
    """Split a list at semicolons if it has any, else at commas. Separators in quotations are ignored.

    >>> _split("Fantastico!, «Sì sì, faccio subito», Ecco fatto!")
    ('Fantastico!', 'Sì sì, faccio subito', 'Ecco fatto!')
    """
    outside = without_quotations(value)
    sign = ";" if ";" in outside else ","
    cuts = [-1, *(at for at, letter in enumerate(outside) if letter == sign), len(value)]
    parts = (strip_quotes(value[before + 1 : after]) for before, after in pairwise(cuts))
    return tuple(part for part in parts if part)


def _after_never(value: str) -> tuple[str, ...]:
    """The quoted words after a word for "never", such as the Italian «mai»: the words that the persona never calls the
    person."""
    for match in re.finditer(r"\w+", value):
        if fold(match.group()) in _words("no"):
            return tuple(value[start + 1 : end - 1] for start, end in quotations(value, match.end()))
    return ()


def _checked(name: str, given: Any) -> Any:
    """A configured value, checked against the type of its field. Raises ConfigError."""
    if name in _LISTS:
        parts = (given,) if isinstance(given, str) else given
        if isinstance(parts, (list, tuple)) and all(isinstance(part, str) for part in parts):
            return tuple(parts)
    elif name in ("emoji", "says_unknown"):
        if isinstance(given, bool):
            return given
    elif name == "max_tokens":
        if isinstance(given, int) and not isinstance(given, bool) and given > 0:
            return given
    elif name == "gender":
        if given in ("feminine", "masculine"):
            return given
    elif isinstance(given, str) and given.strip():
        return given.strip()
    kinds = {"emoji": "true or false", "says_unknown": "true or false", "max_tokens": "a whole number above 0"}
    kind = kinds.get(name, "feminine or masculine" if name == "gender" else "text")
    raise ConfigError(
        f"The trait {name!r} can't be {given!r}.",
        remedy=f"Give {'a list of texts' if name in _LISTS else kind}.",
        code="bad_value",
    )
