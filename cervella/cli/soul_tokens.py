"""What the soul takes of each brain's window, by the brain's own count."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import anyio

from cervella.agent.agent import Agent
from cervella.brains.routing.fallback import Shielded
from cervella.brains.shield.fitting import count_tokens
from cervella.errors import CervellaError
from cervella.prompt.layout import estimate_tokens
from cervella.protocols import optional_members
from cervella.soul.lock import BrainTokens
from cervella.types import Prompt

__all__ = ["soul_tokens"]

_SECONDS = 30.0  # for one brain: a model may have to be loaded


def soul_tokens(agent: Agent) -> list[tuple[BrainTokens, str]]:
    """The count of each brain that is configured, or why there is none; empty where there is one."""
    return anyio.run(_counted, agent)


async def _counted(agent: Agent) -> list[tuple[BrainTokens, str]]:
    counts: dict[tuple[str, str], tuple[BrainTokens, str]] = {}
    for shield in _leaves(agent):
        key = (shield.name, shield.model)
        if key in counts:
            continue
        try:
            with anyio.fail_after(_SECONDS):
                tokens, why = await _of(shield.brain, agent.soul.system_prompt()), ""
        except TimeoutError:
            tokens, why = None, f"it did not answer in {_SECONDS:g} s."
        except CervellaError as error:
            tokens, why = None, error.message
        finally:
            await shield.aclose()
        by_itself = hasattr(shield.brain, "count_tokens")
        counts[key] = (BrainTokens(brain=key[0], model=key[1], tokens=tokens, counted=by_itself), why)
    return list(counts.values())


async def _of(brain: Any, system: str) -> int | None:
    """The soul alone: the prompt with it, less the prompt without."""
    if optional_members(brain).count_tokens is None:
        return estimate_tokens(system)
    prepare = optional_members(brain).prepare
    if prepare is not None:
        await prepare()
    with_soul = await count_tokens(Prompt(system=system, question="?"), brain)
    without = await count_tokens(Prompt(system="", question="?"), brain)
    return with_soul - without if with_soul > without else None


def _leaves(agent: Agent) -> Iterator[Shielded]:
    for name in (None, *agent.config.brains):
        try:
            shield = agent.brain if name is None else agent.brain_named(name)
        except CervellaError:  # `cervella doctor` says what is wrong with it
            continue
        yield from _members(shield)


def _members(shield: Shielded) -> Iterator[Shielded]:
    members = getattr(shield, "members", None)
    if members is None:
        yield shield
    else:
        for member in members:
            yield from _members(member)
