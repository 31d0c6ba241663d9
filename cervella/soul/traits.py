"""What a Constitution declares of the persona, as values: probes and checks follow from them.

A section TRATTI (TRAITS, TRAÇOS) holds them, one `- key: value` a line; a list may also stand indented below its key.
Keys are known in every language that has a file; accents and case do not matter. `[soul.traits]` in cervella.toml wins
key by key. What nobody declares is None or empty: it is never guessed.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, fields
from functools import lru_cache
from itertools import pairwise
from types import MappingProxyType
from typing import Any, Literal

from cervella.errors import ConfigError, did_you_mean
from cervella.protocols import Soul
from cervella.soul.constitution import sections_of
from cervella.text.language import fold, known_languages, language, language_names, words
from cervella.text.quotations import quotations, strip_quotes, without_quotations

__all__ = ["Traits"]

_ITEM = re.compile(r"(?P<indent>[ \t]*)(?:[-*+]|\d{1,3}[.)])[ \t]+(?P<text>.+)")
_KEY = re.compile(r"(?P<key>[^:«»\"“”]{1,80}?)\s*:(?:\s+|$)(?P<value>.*)")


@dataclass(frozen=True, slots=True, kw_only=True)
class Traits:
    """Who she is, as far as it is declared: undeclared is None, or empty."""

    name: str
    """As declared, else what the soul is called."""
    gender: Literal["feminine", "masculine"] | None = None
    language: str
    """ISO 639-1; that of the soul where the traits name none, or one that has no file here."""
    role: str | None = None
    """What she is to the person: `partner`."""
    tone: tuple[str, ...] = ()
    rules: tuple[str, ...] = ()
    """Their names, in order."""
    aim: str | None = None
    """What the work is for in the end."""
    person: str | None = None
    """What the person who speaks with her does: keeps the why, decides."""
    address: str | None = None
    never_called: tuple[str, ...] = ()
    """What she never calls the person: `utente`."""
    emoji: bool | None = None
    """False: never."""
    says_unknown: bool | None = None
    """Whether she says so when she does not know."""
    empty_phrases: tuple[str, ...] = ()
    """What she never says."""
    mottos: tuple[str, ...] = ()
    max_tokens: int | None = None
    """The longest ordinary answer, in tokens."""
    declared: Mapping[str, str] = field(default_factory=dict)
    """Each trait as it was written, by field; one that no field holds, by its folded key."""

    def __reduce__(self) -> tuple[Any, ...]:  # a mapping proxy does not pickle
        return _restored, (
            {one.name: getattr(self, one.name) for one in fields(self)} | {"declared": {**self.declared}},
        )

    @classmethod
    def of(cls, soul: Soul, configured: Mapping[str, Any] | None = None) -> Traits:
        """The traits that a soul declares; `configured` maps fields to values, as `[soul.traits]` holds them.

        Only what brains are sent counts: a section kept for retrieval declares nothing. Raises ConfigError: a
        configured key that is no field, or a value that is none of its kind.
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
        for name, given in (configured or {}).items():
            if name not in known:
                raise ConfigError(
                    f"There is no trait {name!r}.",
                    remedy=f"{did_you_mean(name, sorted(known))}Traits are: {', '.join(sorted(known))}.",
                    code="unknown_key",
                )
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
    """What each field is called, in every language, folded."""
    known = {one.name for one in fields(Traits)}
    own = {" ".join(words(name)): name for name in known - {"declared"}}
    told = {
        " ".join(words(word)): key
        for code in known_languages()
        for key, spelled in language(code).traits.items()
        if key in known
        for word in spelled
    }
    return own | told


@lru_cache(maxsize=16)
def _words(kind: str) -> frozenset[str]:
    return frozenset(" ".join(words(word)) for code in known_languages() for word in language(code).traits[kind])


def _items(soul: Soul) -> Iterator[tuple[str, str, tuple[str, ...]]]:
    """Folded key, value as written, and the items of a list below the key."""
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
    for line in [*text.split("\n"), "- : "]:  # the last one ends the one before
        item = _ITEM.fullmatch(line.rstrip())
        if item and not item["indent"]:
            if key:
                yield key, "; ".join([value, *listed] if value else listed), tuple(listed)
            pair = _KEY.fullmatch(item["text"].replace("**", "").replace("__", ""))
            key = " ".join(words(pair["key"])) if pair else ""
            value, listed = (pair["value"].strip(), []) if pair else ("", [])
        elif item:
            listed.append(strip_quotes(item["text"]))
        elif key and line[:1].isspace() and line.strip():  # a line that goes on
            if listed:
                listed[-1] += f" {line.strip()}"
            else:
                value = f"{value} {line.strip()}".strip()


def _read(name: str, value: str, listed: tuple[str, ...]) -> Any:
    """The value of a field, from what a line says; None or () where it can't be told."""
    plain = " ".join(words(value))
    if name in _LISTS:
        return listed or _split(value)
    if name == "gender":
        genders: tuple[Literal["feminine", "masculine"], ...] = ("feminine", "masculine")
        told = [gender for gender in genders if set(plain.split()) & _words(gender)]
        return told[0] if len(told) == 1 else None
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
    """The parts of a list: between semicolons where there are any, else between commas; quoted ones stay whole.

    >>> _split("Fantastico!, «Sì sì, faccio subito», Ecco fatto!")
    ('Fantastico!', 'Sì sì, faccio subito', 'Ecco fatto!')
    """
    outside = without_quotations(value)
    sign = ";" if ";" in outside else ","
    cuts = [-1, *(at for at, letter in enumerate(outside) if letter == sign), len(value)]
    parts = (strip_quotes(value[before + 1 : after]) for before, after in pairwise(cuts))
    return tuple(part for part in parts if part)


def _after_never(value: str) -> tuple[str, ...]:
    """The quoted words that stand after a «mai»."""
    for match in re.finditer(r"\w+", value):
        if fold(match.group()) in _words("no"):
            return tuple(value[start + 1 : end - 1] for start, end in quotations(value, match.end()))
    return ()


def _checked(name: str, given: Any) -> Any:
    """A configured value, of its field's kind."""
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
