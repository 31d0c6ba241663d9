"""Creates the brains that consist of other brains: fallbacks and routers."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

from cervella.brains import check_options
from cervella.brains.routing.cooldown import Cooldown
from cervella.brains.routing.fallback import Fallback, Shielded
from cervella.brains.routing.router import TIERS, Router, rules_of
from cervella.errors import ConfigError
from cervella.privacy.stored import quoted
from cervella.types import Prompt

COMPOSED = ("fallback", "router")
_OWN_KINDS = ("vllm", "ollama", "embedded")
"""Kinds of the owner's own engines. They form the tier `own` of a router whose table does not name one."""
_KEYS = {"fallback": ("kind", "members"), "router": ("kind", *TIERS, "rules")}


def kind_of(name: str, options: Mapping[str, Mapping[str, Any]]) -> str:
    """The kind of the brain with this name: the `kind` in its table, else the name itself."""
    return str(options.get(name, {}).get("kind", name))


def compose(
    name: str,
    options: Mapping[str, Mapping[str, Any]],
    *,
    shield: Callable[[str], Shielded],
    cooldown: Cooldown,
    affordable: Callable[[Shielded, Prompt], bool] | None = None,
) -> Fallback:
    """The fallback or router that is configured in [brains.NAME].

    `options` are all [brains.NAME] tables. `shield` returns the member with a given name, `cooldown` records the brains
    that failed, and `affordable` is the budget check of a router. Raises ConfigError for a table with a wrong key or
    value, or without members.
    """
    kind, own = kind_of(name, options), options.get(name, {})
    check_options(name, kind, own, _KEYS[kind])
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
        tiers["own"] = tuple(other for other in options if other != name and kind_of(other, options) in _OWN_KINDS)
    if not tiers["own"]:
        raise ConfigError(
            f"The router {name!r} has no brain in its tier `own`, for simple questions.",
            remedy=f'Name one, or a small cloud model: [brains.{name}] own = "vllm".',
            code="bad_value",
        )
    return Router(
        {tier: [shield(member) for member in members] for tier, members in tiers.items()},
        name=name,
        rules=rules_of(own["rules"]) if own.get("rules") is not None else None,
        cooldown=cooldown,
        affordable=affordable,
    )


def _names(name: str, key: str, value: Any) -> tuple[str, ...]:
    named: Sequence[Any] = (value,) if isinstance(value, str) else value
    if not isinstance(named, (list, tuple)) or not all(isinstance(item, str) and item for item in named):
        raise ConfigError(
            f"[brains.{name}] {key} is {quoted(value)}.",
            remedy="Give the name of a brain, or a list of names.",
            code="bad_value",
        )
    return tuple(named)
