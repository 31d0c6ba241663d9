"""What the checks know of a language, as data: one file a language, `cervella/checks/rules/CODE.toml`."""

from __future__ import annotations

import re
import tomllib
from collections.abc import Mapping
from dataclasses import dataclass
from functools import lru_cache
from importlib import resources
from types import MappingProxyType
from typing import Any

__all__ = ["Rules", "rules_for"]

_MACRO = re.compile(r"<([a-z_]+)>")


@dataclass(frozen=True, eq=False)
class Rules:
    """The rules of one language; every pattern is over folded words."""

    negators: re.Pattern[str]
    turns: re.Pattern[str]
    """Turns of speech with a negation in them that negate nothing: «non solo», «nessun problema»."""
    reports: re.Pattern[str]
    """At the end of a clause: what follows is somebody else's word, or is named as what is not said."""
    clauses: re.Pattern[str]
    """What parts one clause from the next."""
    patterns: Mapping[str, tuple[re.Pattern[str], ...]]
    texts: Mapping[str, tuple[str, ...]]
    """Patterns that take a name: `{name}` stands for it."""
    words: Mapping[str, frozenset[str]]
    families: tuple[tuple[re.Pattern[str], re.Pattern[str]], ...]
    """Of empty phrases: what a declared phrase must look like, and the ways in which the same is said."""

    def named(self, key: str, *names: str) -> tuple[re.Pattern[str], ...]:
        """The patterns of `texts[key]` for any of these names, folded."""
        either = "(?:" + "|".join(map(re.escape, names)) + ")"
        return tuple(re.compile(text.replace("{name}", either)) for text in self.texts[key]) if names else ()


@lru_cache(maxsize=16)
def rules_for(code: str) -> Rules | None:
    """The rules of a language by its ISO 639-1 code; None where it has no file here."""
    file = resources.files("cervella.checks") / "rules" / f"{code}.toml"
    if not code.isalpha() or not file.is_file():
        return None
    data: dict[str, Any] = tomllib.loads(file.read_text(encoding="utf-8"))
    macros: dict[str, str] = {}
    for name, text in data["macros"].items():  # a macro may use those above it
        macros[name] = _expanded(text, macros)
    prose = {key: re.compile(_expanded(text, macros)) for key, text in data["prose"].items()}
    return Rules(
        negators=prose["negators"],
        turns=prose["turns"],
        reports=prose["reports"],
        clauses=prose["clauses"],
        patterns=MappingProxyType(
            {key: tuple(re.compile(_expanded(one, macros)) for one in many) for key, many in data["patterns"].items()}
        ),
        texts=MappingProxyType(
            {key: tuple(_expanded(one, macros) for one in many) for key, many in data["named"].items()}
        ),
        words=MappingProxyType({key: frozenset(text.split()) for key, text in data["words"].items()}),
        families=tuple(
            (re.compile(_expanded(one["declared"], macros)), re.compile(_expanded(one["said"], macros)))
            for one in data["families"]
        ),
    )


def _expanded(text: str, macros: Mapping[str, str]) -> str:
    return _MACRO.sub(lambda match: macros[match[1]] if match[1] in macros else match.group(), text.strip())
