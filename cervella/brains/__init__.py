"""What thinks: the brains by name. Asking for one never imports another."""

from __future__ import annotations

import importlib
import inspect
import os
from collections.abc import Callable, Mapping
from importlib.metadata import EntryPoint, entry_points
from typing import Any, cast

from cervella.brains.other_names import known_elsewhere
from cervella.errors import (
    BrainError,
    BrainNotInstalledError,
    CervellaError,
    ConfigError,
    UnknownBrainError,
    did_you_mean,
)
from cervella.protocols import Brain

_BUILT_IN: Mapping[str, str] = {
    "claude": "cervella.brains.claude.brain:ClaudeBrain",
    "echo": "cervella.testing:EchoBrain",
    "embedded": "cervella.brains.embedded.brain:EmbeddedBrain",
    "extractive": "cervella.brains.extractive.brain:ExtractiveBrain",
    "ollama": "cervella.brains.ollama.brain:OllamaBrain",
    "scripted": "cervella.testing:ScriptedBrain",
    "vllm": "cervella.brains.vllm.brain:VllmBrain",
}
_GROUP = "cervella.brains"
_PROBE_SECONDS = 0.5
SHIELD_OPTIONS = ("location", "first_token_timeout", "idle_timeout", "retries", "remind_every")
"""Keys of [brains.NAME] that the shield reads, for every brain."""
COST_OPTIONS = ("price", "usd_per_hour", "usd_per_day", "usd_per_month")
"""Keys of [brains.NAME] that the ledger reads, for every brain."""


def _third_party() -> dict[str, EntryPoint]:
    return {point.name: point for point in entry_points(group=_GROUP) if point.name not in _BUILT_IN}


def brain_names(options: Mapping[str, Mapping[str, Any]] | None = None) -> list[str]:
    """The names that a brain can be asked for by: built in, installed by entry point, and configured."""
    return sorted({*_BUILT_IN, *_third_party(), "router", *(options or {})})


def load_brain(
    spec: str,
    options: Mapping[str, Mapping[str, Any]] | None = None,
    *,
    defaults: Mapping[str, Any] | None = None,
) -> Brain:
    """Make the brain that `name` or `name:model` stands for; it splits at the first colon.

    `options` are the [brains.NAME] tables; `defaults` are for the brains that have such an option and whose table does
    not name it. Raises UnknownBrainError, ConfigError for an option that the brain does
    not have, BrainNotInstalledError where its package is missing.
    """
    options = options or {}
    name, _, model = spec.partition(":")
    name = name.strip()
    own = dict(options.get(name, {}))
    kind = str(own.pop("kind", name))
    third_party = _third_party()
    if kind not in _BUILT_IN and kind not in third_party:
        raise _unknown(spec, kind, options)
    if model:
        own["model"] = model.strip()
    for key in (*SHIELD_OPTIONS, *COST_OPTIONS):
        own.pop(key, None)
    factory = _load(kind, third_party)
    _check(name, kind, factory, own)
    parameters = inspect.signature(factory).parameters
    given = {key: value for key, value in (defaults or {}).items() if key in parameters}
    try:
        brain = factory(name=name, **{**given, **own})
    except CervellaError:
        raise
    except ImportError as error:
        raise _not_installed(kind, error) from error
    except Exception as error:
        raise ConfigError(
            f"The brain {name!r} can't be made: {error or type(error).__name__}.",
            remedy=f"Check the values of [brains.{name}].",
        ) from error
    return cast(Brain, brain)


def _unknown(spec: str, kind: str, options: Mapping[str, Mapping[str, Any]]) -> UnknownBrainError:
    name, _, model = spec.partition(":")
    if kind == name.strip():
        known, what = brain_names(options), f"No brain is called {kind!r}."
        cure = known_elsewhere(spec) or known_elsewhere(kind)
    else:
        known, what = brain_names(), f"The brain {name!r} is of kind {kind!r}: there is none."
        cure = known_elsewhere(kind, table=name)
    near = f"{cure} " if cure else did_you_mean(kind, known)
    if model and not near:
        near = f'A model of Ollama is named after its brain: "ollama:{spec}". '
    return UnknownBrainError(what, name=kind, known=known, remedy=f"{near}Known brains: {', '.join(known)}.")


def default_brain(options: Mapping[str, Mapping[str, Any]] | None = None) -> tuple[str, str]:
    """The brain that answers where none is named, and why: Claude, Ollama, the embedded one, or the quoting one.

    Claude where its key is in the environment; Ollama where it answers within half a second and has a model that runs
    there; the embedded brain where a model is configured. Third parties' brains are never a default.
    """
    options = options or {}
    if os.environ.get("ANTHROPIC_API_KEY", "").strip():
        return "claude", "ANTHROPIC_API_KEY is set"
    own = options.get("ollama", {})
    if own.get("kind", "ollama") == "ollama":
        from cervella.brains.http.ollama_server import models_now

        if there := models_now(own.get("url"), own.get("model"), timeout=_PROBE_SECONDS):
            return "ollama", f"an Ollama server answers, and has {there}"
    if options.get("embedded", {}).get("model"):
        return "embedded", "[brains.embedded] names a model"
    return "extractive", "no brain is named, and this one quotes the sources and generates nothing"


def _load(kind: str, third_party: Mapping[str, EntryPoint]) -> Any:
    try:
        if kind in third_party:
            return third_party[kind].load()
        module, _, attribute = _BUILT_IN[kind].partition(":")
        return getattr(importlib.import_module(module), attribute)
    except ImportError as error:
        raise _not_installed(kind, error) from error
    except Exception as error:
        if isinstance(error, BrainError):
            raise
        raise ConfigError(
            f"The brain {kind!r} fails when it is loaded: {error}.",
            remedy="Update or remove the package that brings it.",
        ) from error


def _not_installed(kind: str, error: ImportError) -> BrainNotInstalledError:
    built_in = kind in _BUILT_IN
    return BrainNotInstalledError(
        f"The brain {kind!r} needs a package that is not installed: {error}.",
        brain=kind,
        remedy=f"Install it: `pip install 'cervella[{kind}]'`." if built_in else "Install its package again.",
        extra=kind if built_in else None,
    )


def _check(name: str, kind: str, factory: Any, own: Mapping[str, Any]) -> None:
    parameters = inspect.signature(factory).parameters.values()
    if any(parameter.kind is parameter.VAR_KEYWORD for parameter in parameters):
        return
    known = [parameter.name for parameter in parameters if parameter.name not in ("self", "name")]
    for key in own:
        if key not in known:
            every = sorted([*known, "kind", *SHIELD_OPTIONS, *COST_OPTIONS])
            raise ConfigError(
                f"The brain {name!r} has no option {key!r}.",
                remedy=f"{did_you_mean(key, every)}Options of {kind!r}: {', '.join(every)}.",
                code="unknown_key",
            )


def shield_options(spec: str, options: Mapping[str, Mapping[str, Any]] | None = None) -> dict[str, Any]:
    """The options in this brain's [brains.NAME] table that its shield reads, checked.

    Raises ConfigError for a value that can't be used.
    """
    name = spec.partition(":")[0].strip()
    found = {key: value for key, value in (options or {}).get(name, {}).items() if key in SHIELD_OPTIONS}
    for key, value in found.items():
        good, cure = _SHIELD_VALUES.get(key, _SECONDS)
        if isinstance(value, bool) or not good(value):
            raise ConfigError(f"[brains.{name}] {key} is {value!r}.", remedy=f"It is {cure}.", code="bad_value")
    return found


_SECONDS: tuple[Callable[[Any], bool], str] = (
    lambda value: isinstance(value, (int, float)) and value > 0,
    "a number of seconds above 0",
)
_SHIELD_VALUES: Mapping[str, tuple[Callable[[Any], bool], str]] = {
    "location": (lambda value: value in ("local", "private", "cloud"), "'local', 'private' or 'cloud'"),
    "retries": (lambda value: isinstance(value, int) and value >= 0, "a whole number, 0 or more"),
    "remind_every": (lambda value: isinstance(value, int) and value > 0, "a whole number of turns above 0"),
}
"""For each option, whether a value can be used, and what it must be; the others are seconds."""
