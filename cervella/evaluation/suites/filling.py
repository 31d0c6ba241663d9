"""Traits put into probes: `{name}`, `{rules}`, and `pront{a|o}` by the persona's gender."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from cervella.checks import PersonaTraits
from cervella.text.language import words

__all__ = ["Filling"]

_PLACE = re.compile(r"\{([a-z_]+)\}")
_GENDER = re.compile(r"\{([^{}|]*)\|([^{}|]*)\}")
_FIRST = {"first_motto": "mottos", "first_empty": "empty_phrases"}
_FIELDS = ("name", "role", "aim", "person", "rules", "mottos", "tone", "address", "never_called", "empty_phrases")
_OF_KINDS = {  # what a check reads of the traits
    "gender": ("gender",),
    "no_empty_phrases": ("empty_phrases",),
    "identity": ("name",),
    "no_emoji": ("emoji",),
}


class Filling:
    """Fills texts from traits."""

    def __init__(self, traits: PersonaTraits) -> None:
        self._traits = traits

    def missing(self, row: Mapping[str, Any], needs: Sequence[str]) -> list[str]:
        """The traits that a probe wants and that are not declared, or do not hold what it wants of them."""
        wanted = list(needs)
        for text in _texts(row):
            places = [_FIRST.get(name, name) for name in _PLACE.findall(text)]
            wanted += [name for name in places if name in _FIELDS]
            wanted += ["gender"] if _GENDER.search(text) else []
        for check in row.get("checks", ()):
            if isinstance(check, Mapping) and not {"name", "gender", "phrases"} & set(check):
                wanted += _OF_KINDS.get(str(check.get("kind")), ())
        return [need for need in dict.fromkeys(wanted) if not self._has(need)]

    def _has(self, need: str) -> bool:
        """`name`: declared. `mottos~bene`: and holds the word. `emoji=false`: and is that."""
        name, told, wanted = re.fullmatch(r"(\w+)([~=]?)(.*)", need, re.DOTALL).groups()  # type: ignore[union-attr]
        value = getattr(self._traits, name, None)
        if value is None:
            value = self._traits.declared.get(name)
        if value in (None, (), ""):
            return False
        if told == "=":
            return str(value).lower() == wanted.strip().lower()
        flat = value if isinstance(value, str) else " ; ".join(map(str, value)) if isinstance(value, tuple) else ""
        own = {word[:5] for word in words(flat)}
        return not told or all(word[:5] in own for word in words(wanted))

    def fill(self, row: Mapping[str, Any]) -> dict[str, Any]:
        """The probe with its places filled. A list's item that is a place for a list (`"~{rules}"`) is one for each."""
        return {key: self._filled(value) for key, value in row.items()}

    def _filled(self, value: Any) -> Any:
        if isinstance(value, str):
            return self._text(value)
        if isinstance(value, Mapping):
            return {key: self._filled(one) for key, one in value.items()}
        if isinstance(value, list):
            filled: list[Any] = []
            for one in value:
                spread = re.fullmatch(r"(~?)\{([a-z_]+)\}", one) if isinstance(one, str) else None
                parts = getattr(self._traits, spread[2], None) if spread else None
                if spread and isinstance(parts, tuple):  # a list of terms: one for each
                    filled += [spread[1] + piece for part in parts for piece in _pieces(spread[2], part)]
                else:
                    filled.append(self._filled(one))
            return filled
        return value

    def _text(self, text: str) -> str:
        def place(match: re.Match[str]) -> str:
            if match[1] in _FIRST:
                return str(getattr(self._traits, _FIRST[match[1]])[0])
            value = getattr(self._traits, match[1], None) if match[1] in _FIELDS else None
            if value is None:
                return match.group()
            return ", ".join(value) if isinstance(value, tuple) else str(value)

        feminine = self._traits.gender != "masculine"
        return _PLACE.sub(place, _GENDER.sub(lambda match: match[1 if feminine else 2], text))


def _pieces(name: str, text: str) -> list[str]:
    """A motto whole, and each of its sentences: one of them is enough to have said it."""
    if name != "mottos":
        return [text]
    parts = [part.strip() for part in re.split(r"[.;!?>]", text)]
    return list(dict.fromkeys([text, *(part for part in parts if len(part.split()) > 1)]))


def _texts(value: Any) -> Iterator[str]:
    if isinstance(value, str):
        yield value
    elif isinstance(value, Mapping):
        for one in value.values():
            yield from _texts(one)
    elif isinstance(value, list):
        for one in value:
            yield from _texts(one)
