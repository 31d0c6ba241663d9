"""Loads the rules of the checks for one language from `checks.toml` in the folder of that language."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

from cervella.errors import ConfigError
from cervella.text.folding import any_of, phrase
from cervella.text.language import Language

_MACRO = re.compile(r"<([a-z_]+)>")


class NoRuleError(Exception):
    """The language lacks a rule that a check needs: the check is not scored."""


class _Known(dict[str, Any]):
    def __missing__(self, key: str) -> Any:
        raise NoRuleError(key)


@dataclass(frozen=True, eq=False)
class Rules:
    """The rules of one language. The patterns are for text in lower case and without accents."""

    negators: re.Pattern[str]
    """The language's words of negation (claims.toml), and the further ones of checks.toml, such as "instead of"."""
    turns: re.Pattern[str]
    """Idioms that contain a negation but negate nothing: «non solo» ("not only"), «nessun problema» ("no problem")."""
    reports: re.Pattern[str]
    """Words at the end of a clause which show that the words after them are somebody else's, or a phrase to avoid."""
    clauses: re.Pattern[str]
    """Separators of clauses."""
    patterns: Mapping[str, tuple[re.Pattern[str], ...]]
    texts: Mapping[str, tuple[str, ...]]
    """Patterns with a placeholder `{name}`, which the method `named` replaces by names."""
    words: Mapping[str, frozenset[str]]
    families: tuple[tuple[re.Pattern[str], re.Pattern[str]], ...]
    """For empty phrases: a pattern for the declared phrase, and one for its variants."""
    complete: bool
    """Whether the language has a checks.toml: without it only checks that need no rules are run."""

    def named(self, key: str, *names: str) -> tuple[re.Pattern[str], ...]:
        """The patterns of `texts[key]` for any of these names, folded."""
        either = "(?:" + "|".join(map(re.escape, names)) + ")"
        return tuple(re.compile(text.replace("{name}", either)) for text in self.texts[key]) if names else ()


@lru_cache(maxsize=16)
def rules_for(lang: Language) -> Rules:
    """The rules of a language. If it has no checks.toml, they contain no patterns and `complete` is false.

    Raises ConfigError if its checks.toml can't be used.
    """
    try:
        return _rules(lang)
    except (re.error, TypeError, AttributeError, KeyError) as error:
        raise ConfigError(
            f"The language {lang.code!r} has a checks.toml that can't be used: {type(error).__name__}: {error}.",
            remedy="Follow the checks.toml of a language of the library, such as Italian.",
            code="bad_language",
        ) from error


def _rules(lang: Language) -> Rules:
    data: Mapping[str, Any] = lang.file("checks.toml")
    macros: dict[str, str] = {}
    for name, text in data.get("macros", {}).items():  # a macro may use those above it
        macros[name] = _expanded(text, macros)
    prose, lists, named = (
        {key: [_expanded(one, macros) for one in many] for key, many in data.get(table, {}).items()}
        for table in ("prose", "patterns", "named")
    )
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
