"""The registry of brains: loads a brain by its name, and imports only the module of that brain."""

from __future__ import annotations

import importlib
import inspect
import os
import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from importlib.metadata import EntryPoint, entry_points
from typing import Any, cast

from cervella.errors import (
    BrainError,
    BrainNotInstalledError,
    CervellaError,
    ConfigError,
    UnknownBrainError,
    did_you_mean,
)
from cervella.privacy.redaction import mask_secrets
from cervella.privacy.stored import quoted
from cervella.process.files import read_packaged
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
_PROBE_SECONDS = 0.5
"""Timeout in seconds of the request that looks for an Ollama server."""
_ONE_MAKERS_MODEL = re.compile(r"(openai|chatgpt|gpt|gemini|anthropic|claude)\b(?!-oss)")
"""Finds the name of a model that only its maker serves, such as `gpt-5` or `claude-opus`. `gpt-oss` is left out,
because any server can run it."""
SHIELD_OPTIONS = ("location", "first_token_timeout", "idle_timeout", "retries", "remind_every")
"""Keys of a [brains.NAME] table that the shield (the wrapper around every brain) reads, not the brain itself."""
COST_OPTIONS = ("price", "usd_per_hour", "usd_per_day", "usd_per_month")
"""Keys of a [brains.NAME] table that the ledger (the record of costs) reads, not the brain itself."""


def _third_party() -> dict[str, EntryPoint]:
    return {point.name: point for point in entry_points(group="cervella.brains") if point.name not in _BUILT_IN}


def brain_names(options: Mapping[str, Mapping[str, Any]] | None = None) -> list[str]:
    """The names of all brains that can be used: built in, installed by entry point, and configured in `options`, the
    [brains.NAME] tables."""
    return sorted({*_BUILT_IN, *_third_party(), "router", *(options or {})})


def load_brain(
    spec: str,
    options: Mapping[str, Mapping[str, Any]] | None = None,
    *,
    defaults: Mapping[str, Any] | None = None,
) -> Brain:
    """Create the brain that `spec` names: `name`, or `name:model` to choose its model too.

    `options` are the [brains.NAME] tables, by name. `defaults` are options for any brain: a brain gets those that it
    has as parameters and that its table does not set. Raises UnknownBrainError, ConfigError for an option that the
    brain does not have, and BrainNotInstalledError where its package is missing.
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
        known, message = brain_names(options), f"No brain is called {quoted(kind)}."
        advice = _advice_for(spec) or _advice_for(kind)
    else:
        known, message = brain_names(), f"The brain {quoted(name)} is of the kind {quoted(kind)}, which does not exist."
        advice = _advice_for(kind, table=name)
    advice = f"{advice} " if advice else did_you_mean(kind, known)
    if model and not advice:
        advice = f'Write the name of the brain before a model of Ollama: "ollama:{mask_secrets(spec)[0]}". '
    return UnknownBrainError(message, name=kind, known=known, remedy=f"{advice}Known brains: {', '.join(known)}.")


def _advice_for(name: str, *, table: str | None = None) -> str | None:
    """A sentence for a user who wrote another name of an engine: how to configure it. None for an unknown name.

    The sentence shows the settings under [brains.TABLE]; `table` defaults to the name of the server.

    >>> _advice_for("anthropic"), _advice_for("cluade")
    ('Here the name of that engine is "claude".', None)
    """
    if name.lower().endswith(".gguf"):
        return f'A GGUF file runs in the brain "embedded": brain = "embedded", [brains.embedded] model = {name!r}.'
    if name.startswith(("http://", "https://")):
        return 'Give the server a table: [brains.NAME] kind = "vllm" or "ollama", and set url there.'
    known = read_packaged("cervella.brains", "other_names.toml")
    family = _ONE_MAKERS_MODEL.match(name.lower())
    bare = family[1] if family else re.sub(r"[^a-z]", "", name.lower())
    if bare in known["kinds"]:
        return f'Here the name of that engine is "{known["kinds"][bare]}".'
    server = known["other_names"].get(bare, bare)
    url = known["compatible"].get(server)
    if url is None:
        return None
    key = "" if "localhost" in url else f', api_key_env = "{server.upper()}_API_KEY"'
    local = ' A GGUF file can also run in this process: kind = "embedded".' if server == "llamacpp" else ""
    table = table or server
    return (
        f'The kind "vllm" can use every OpenAI-compatible server: [brains.{table}] kind = "vllm", '
        f'url = "{url}", model = "…"{key}; then brain = "{table}".{local}'
    )


def default_brain(options: Mapping[str, Mapping[str, Any]] | None = None) -> tuple[str, str]:
    """The name of the brain that answers if the configuration names none, and the reason for this choice.

    The first that applies: Claude if its key is in the environment; Ollama if a server answers within half a second and
    has a model that runs there; the embedded brain if a model is configured; else the extractive brain. A brain of a
    third party is never the default.
    """
    options = options or {}
    if os.environ.get("ANTHROPIC_API_KEY", "").strip():
        return "claude", "ANTHROPIC_API_KEY is set"
    own = options.get("ollama", {})
    if own.get("kind", "ollama") == "ollama":
        from cervella.brains.http.ollama_server import find_model

        if model := find_model(own.get("url"), own.get("model"), timeout=_PROBE_SECONDS):
            return "ollama", f"an Ollama server answers, and has {model}"
    if options.get("embedded", {}).get("model"):
        return "embedded", "[brains.embedded] names a model"
    return "extractive", "no brain is configured; this one quotes the sources and generates nothing"


def _load(kind: str, third_party: Mapping[str, EntryPoint]) -> Any:
    try:
        if kind in third_party:
            return third_party[kind].load()
        module, _, attribute = _BUILT_IN[kind].partition(":")
        return getattr(importlib.import_module(module), attribute)
    except ImportError as error:
        raise _not_installed(kind, error) from error
    except BrainError:
        raise
    except Exception as error:
        raise ConfigError(
            f"The brain {kind!r} fails when it is loaded: {error}.",
            remedy="Update or remove the package that contains it.",
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
    """Raise ConfigError for the first option in `own` (the brain's table) that `factory`, which creates the brain,
    lacks."""
    parameters = inspect.signature(factory).parameters.values()
    if any(parameter.kind is parameter.VAR_KEYWORD for parameter in parameters):
        return
    known = [parameter.name for parameter in parameters if parameter.name not in ("self", "name")]
    check_options(name, kind, own, sorted([*known, "kind", *SHIELD_OPTIONS, *COST_OPTIONS]))


def check_options(name: str, kind: str, own: Iterable[str], known: Sequence[str]) -> None:
    """Raise ConfigError for the first option in `own`, the table of the brain `name`, that is not in `known`."""
    for key in own:
        if key not in known:
            raise ConfigError(
                f"The brain {name!r} has no option {key!r}.",
                remedy=f"{did_you_mean(key, known)}Options of {kind!r}: {', '.join(known)}.",
                code="unknown_key",
            )


def shield_options(spec: str, options: Mapping[str, Mapping[str, Any]] | None = None) -> dict[str, Any]:
    """The options in the [brains.NAME] table of the brain `spec` that its shield reads; empty if it has none.

    Raises ConfigError for an invalid value.
    """
    name = spec.partition(":")[0].strip()
    found = {key: value for key, value in (options or {}).get(name, {}).items() if key in SHIELD_OPTIONS}
    for key, value in found.items():
        valid, expected = _SHIELD_VALUES.get(key, _SECONDS)
        if isinstance(value, bool) or not valid(value):
            raise ConfigError(
                f"[brains.{name}] {key} is {quoted(value)}.", remedy=f"Set it to {expected}.", code="bad_value"
            )
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
"""For each shield option: a function that says whether a value is valid, and a description of the valid values.
An option that is missing here takes seconds."""
