"""What the checks know of a language, as data: `checks.toml` of its folder."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

from cervella.text.folding import any_of, phrase
from cervella.text.language import Language

__all__ = ["NoRuleError", "Rules", "rules_for"]

_MACRO = re.compile(r"<([a-z_]+)>")


class NoRuleError(Exception):
    """A check asks for a rule that its language does not have: it is not scored."""


class _Known(dict[str, Any]):
    def __missing__(self, key: str) -> Any:
        raise NoRuleError(key)


@dataclass(frozen=True, eq=False)
class Rules:
    """The rules of one language; every pattern is over folded words."""

    negators: re.Pattern[str]
    """The language's words of negation (claims.toml), and the further ones of checks.toml, such as "instead of"."""
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
    complete: bool
    """Whether the language has a file of rules: without it only checks that read no words are run."""

    def named(self, key: str, *names: str) -> tuple[re.Pattern[str], ...]:
        """The patterns of `texts[key]` for any of these names, folded."""
        either = "(?:" + "|".join(map(re.escape, names)) + ")"
        return tuple(re.compile(text.replace("{name}", either)) for text in self.texts[key]) if names else ()


@lru_cache(maxsize=16)
def rules_for(lang: Language) -> Rules:
    """The rules of a language; none of them where it has no checks.toml."""
    data: Mapping[str, Any] = lang.file("checks.toml")
    macros: dict[str, str] = {}
    for name, text in data.get("macros", {}).items():  # a macro may use those above it
        macros[name] = _expanded(text, macros)
    prose = {key: [_expanded(one, macros) for one in many] for key, many in data.get("prose", {}).items()}
    lists = {key: [_expanded(one, macros) for one in many] for key, many in data.get("patterns", {}).items()}
    named = {key: [_expanded(one, macros) for one in many] for key, many in data.get("named", {}).items()}
    negators = [*lang.review["negations"], *prose.get("negators", ())]
    return Rules(
        negators=re.compile(any_of(negators)),
        **{key: re.compile(any_of(prose.get(key, ()))) for key in ("turns", "reports", "clauses")},
        patterns=_Known({key: tuple(re.compile(phrase(one)) for one in many) for key, many in lists.items()}),
        texts=_Known({key: tuple(map(phrase, many)) for key, many in named.items()}),
        words=_Known({key: frozenset(text.split()) for key, text in data.get("words", {}).items()}),
        families=tuple(
            (re.compile(phrase(_expanded(one["declared"], macros))), re.compile(phrase(_expanded(one["said"], macros))))
            for one in data.get("families", ())
        ),
        complete=bool(data),
    )


def _expanded(text: str, macros: Mapping[str, str]) -> str:
    return _MACRO.sub(lambda match: macros[match[1]] if match[1] in macros else match.group(), text.strip())
