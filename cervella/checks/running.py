"""Runs one check: a built-in kind, or one that a plugin adds by entry point."""

from __future__ import annotations

from functools import lru_cache
from importlib.metadata import EntryPoint, entry_points
from typing import Any

from cervella.checks import knowing, persona, secrets, shape, stance, texts
from cervella.checks.check import Check, Checked, Context
from cervella.checks.prose import Prose
from cervella.checks.reading import NoRuleError, rules_for
from cervella.errors import EvaluationError, did_you_mean
from cervella.text.language import DEFAULT_LANGUAGE, Language, known_languages, language

MOST_CHARACTERS = 40_000
"""Maximum characters of a text that is checked: about 10,000 tokens. A longer text is not scored."""

_BUILT_IN: dict[str, Any] = {
    **texts.KINDS,
    **shape.KINDS,
    **secrets.KINDS,
    **persona.KINDS,
    **stance.KINDS,
    **knowing.KINDS,
}
_LANGUAGE_FREE = {
    "regex",
    "not_regex",
    "language",
    "length",
    "structure",
    "similar",
    "judge",
    "no_canary",
    "no_leak",
    "no_emoji",
}
_EVERY_LANGUAGE = {"abstains"}
"""Checks that a known language has rules for without a checks.toml."""


def check_kinds() -> list[str]:
    """The kinds of checks, those of plugins included."""
    return sorted({*_BUILT_IN, *_plugins()})


def run_check(check: Check, text: str, context: Context) -> Checked:
    """Run one check on a text. An empty text fails; one of more than `MOST_CHARACTERS` is not scored.

    Raises EvaluationError where the kind is unknown or the arguments are wrong.
    """
    kind = check.kind
    plugin = _plugins().get(kind)
    if kind not in _BUILT_IN and plugin is None:
        known = check_kinds()
        raise EvaluationError(
            f"There is no check {kind!r}.",
            remedy=f"{did_you_mean(kind, known)}Known checks: {', '.join(known)}.",
            code="unknown_check",
        )
    if not text.strip():
        return Checked(kind=kind, passed=False, detail="the text is empty")
    if len(text) > MOST_CHARACTERS:
        return Checked(kind=kind, passed=None, detail=f"{len(text)} characters: too long to be checked")
    try:
        if kind not in _BUILT_IN:
            return _result(kind, plugin.load()(dict(check.args), text, context) if plugin else None)
        listed = context.language in known_languages()
        prose = _prose(text, language(context.language if listed else DEFAULT_LANGUAGE))
        ruled = listed and (prose.rules.complete or kind in _EVERY_LANGUAGE)
        if kind not in _LANGUAGE_FREE and not ruled:
            return Checked(kind=kind, passed=None, detail=f"no rules for {context.language!r}")
        return _result(kind, _BUILT_IN[kind](check.args, prose, context))
    except NoRuleError as missing:
        return Checked(kind=kind, passed=None, detail=f"no rules {missing} for {context.language!r}")
    except (KeyError, TypeError, ValueError, AttributeError) as error:
        raise EvaluationError(
            f"The check {kind!r} can't be run: {type(error).__name__}: {error}.",
            remedy=f"Check its arguments: {dict(check.args)!r}.",
            code="bad_check",
        ) from error


@lru_cache(maxsize=4)  # the checks of one answer follow one another
def _prose(text: str, lang: Language) -> Prose:
    return Prose(text, lang, rules_for(lang))


def _result(kind: str, given: Any) -> Checked:
    if isinstance(given, Checked):
        return given
    if isinstance(given, tuple):
        return Checked(kind=kind, passed=given[0], detail=given[1])
    return Checked(kind=kind, passed=None if given is None else bool(given))


@lru_cache(maxsize=1)
def _plugins() -> dict[str, EntryPoint]:
    return {point.name: point for point in entry_points(group="cervella.checks") if point.name not in _BUILT_IN}
