"""Brains that are made of brains, by name: `fallback` and `router`, and a list of names, which is a fallback."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

from cervella.brains.routing.cooldown import Cooldown
from cervella.brains.routing.fallback import Fallback, Shielded
from cervella.brains.routing.router import TIERS, Router, rules_of
from cervella.errors import ConfigError, did_you_mean
from cervella.types import Prompt

COMPOSED = ("fallback", "router")
_OWN_KINDS = ("vllm", "ollama", "embedded")
"""Engines that are the owner's: the router's own tier where none is named, in the order of the configuration."""
_KEYS = {"fallback": ("kind", "members"), "router": ("kind", *TIERS, "rules")}


def kind_of(name: str, options: Mapping[str, Mapping[str, Any]]) -> str:
    """What implements the brain of this name."""
    return str(options.get(name, {}).get("kind", name))


def compose(
    name: str,
    options: Mapping[str, Mapping[str, Any]],
    *,
    shield: Callable[[str], Shielded],
    cooldown: Cooldown,
    affordable: Callable[[Shielded, Prompt], bool] | None = None,
) -> Fallback:
    """The fallback or router that [brains.NAME] describes; `shield` gives a member by its name.

    Raises ConfigError, also where a member is missing.
    """
    kind, own = kind_of(name, options), options.get(name, {})
    for key in own:
        if key not in _KEYS[kind]:
            raise ConfigError(
                f"The brain {name!r} has no option {key!r}.",
                remedy=f"{did_you_mean(key, _KEYS[kind])}Options of {kind!r}: {', '.join(_KEYS[kind])}.",
                code="unknown_key",
            )
    if kind == "fallback":
        members = _names(name, "members", own.get("members", ()))
        if not members:
            raise ConfigError(
                f"The fallback {name!r} has no members.",
                remedy=f'Name them, best first: [brains.{name}] members = ["vllm", "claude"].',
                code="bad_value",
            )
        return Fallback([shield(member) for member in members], name=name, cooldown=cooldown)
    tiers = {tier: _names(name, tier, own.get(tier, ())) for tier in TIERS}
    if "strong" not in own:
        tiers["strong"] = ("claude",)
    if "own" not in own:
        tiers["own"] = tuple(one for one in options if one != name and kind_of(one, options) in _OWN_KINDS)
    if not tiers["own"]:
        raise ConfigError(
            f"The router {name!r} has no brain of your own to send the simple questions to.",
            remedy=f'Name one, or a small cloud model: [brains.{name}] own = "vllm".',
            code="bad_value",
        )
    rules = own.get("rules")
    return Router(
        {tier: [shield(member) for member in members] for tier, members in tiers.items()},
        name=name,
        rules=None if rules is None else rules_of(rules),
        cooldown=cooldown,
        affordable=affordable,
    )


def _names(name: str, key: str, value: Any) -> tuple[str, ...]:
    named: Sequence[Any] = (value,) if isinstance(value, str) else value
    if not isinstance(named, (list, tuple)) or not all(isinstance(one, str) and one for one in named):
        raise ConfigError(
            f"[brains.{name}] {key} is {value!r}.",
            remedy="Give the name of a brain, or a list of names.",
            code="bad_value",
        )
    return tuple(named)
