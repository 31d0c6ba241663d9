"""Before a soul test begins: which probes, under which system prompts, of whom, at what cost."""

from __future__ import annotations

import datetime
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from decimal import Decimal
from typing import Any, TypeAlias

from cervella import __version__
from cervella.agent.agent import Agent
from cervella.errors import EvaluationError
from cervella.evaluation.records import CONDITIONS, Condition, Key, canonical_sha256
from cervella.evaluation.soul_test.interview import (
    Plan,
    asked_sha256,
    conversations,
    prompt_of,
    scored_turns,
    scrambled,
    sha256_of,
)
from cervella.evaluation.suites.selection import selected
from cervella.evaluation.suites.suite import Probe, Suite
from cervella.prompt.layout import LAYOUT_VERSION, estimate_tokens, render
from cervella.protocols import Brain, optional_members
from cervella.records.ledger.prices import Prices

__all__ = [
    "AnyOne",
    "brains_named",
    "check_plan",
    "most_cost",
    "name_of",
    "planned_calls",
    "planned_keys",
    "probes_asked",
    "repeats",
    "settings_of",
    "settings_of_brains",
    "systems_of",
]

AnyOne: TypeAlias = str | Brain | Sequence[str]
"""A name, an object, or several names: the first that answers."""


def planned_calls(probes: Sequence[Probe], plan: Plan) -> int:
    """How many answers one brain is asked for."""
    return sum(max(scored_turns(one.probe, plan.max_turn), default=0) for one in conversations(probes, plan))


def most_cost(agent: Agent, brain: AnyOne, probes: Sequence[Probe], plan: Plan, lang: str) -> Decimal | None:
    """What one brain may cost at most, in US dollars: every answer as long as it may be, nothing from a cache.

    None where its price is not known, and for an engine of one's own that has none.
    """
    prices, shield = Prices(agent.config.brains), agent.brain_named(brain, repeatable=True)
    systems, now, most = systems_of(agent.soul.system_prompt(), plan), datetime.datetime.now(datetime.UTC), Decimal(0)
    for one in conversations(probes, plan):
        said = 0
        for turn in range(1, max(scored_turns(one.probe, plan.max_turn), default=0) + 1):
            prompt = prompt_of(one, turn, (), plan, systems[one.condition], lang)
            usd = prices.estimate(
                shield.name,
                shield.model,
                shield.location,
                input_tokens=estimate_tokens(render(prompt)) + said,
                output_tokens=plan.max_output_tokens,
                at=now,
            )
            if usd is None:
                return None
            most += usd
            said += estimate_tokens(prompt.question) + plan.max_output_tokens
    return most


def planned_keys(name: str, probes: Sequence[Probe], plan: Plan) -> set[Key]:
    """The answers that one brain is asked for."""
    return {
        one.key(name, turn)
        for one in conversations(probes, plan)
        for turn in range(1, max(scored_turns(one.probe, plan.max_turn), default=0) + 1)
    }


def check_plan(plan: Plan) -> None:
    """Raises EvaluationError for a plan that means nothing."""
    if not plan.conditions or plan.conditions[0] != "soul" or set(plan.conditions) - set(CONDITIONS):
        raise EvaluationError(
            f"The conditions are {', '.join(plan.conditions) or 'none'}.",
            remedy="Give soul first, then none, scrambled or both: the controls mean nothing without it.",
        )
    if plan.repeats < 1 or plan.paraphrases < 0 or (plan.max_turn is not None and plan.max_turn < 1):
        raise EvaluationError(
            "The soul test has repeats, paraphrases or turns below their least.",
            remedy="Give repeats and max_turn from 1, paraphrases from 0.",
        )


def name_of(brain: AnyOne) -> str:
    """What a brain is called in a run."""
    if isinstance(brain, str):
        return brain
    return brain.name if isinstance(brain, Brain) else ", ".join(brain)


def brains_named(agent: Agent, brains: Sequence[AnyOne]) -> dict[str, AnyOne]:
    """The brains by name; one that is not known, or can't be made, fails here and not after the first hour."""
    named: dict[str, AnyOne] = {}
    for brain in brains:
        agent.brain_named(brain, repeatable=True)
        name = name_of(brain)
        if name in named:
            raise EvaluationError(f"The brain {name!r} is named twice.", remedy="Name each brain once.")
        named[name] = brain
    return named


def systems_of(system: str, plan: Plan) -> dict[Condition, str]:
    """What stands in the system prompt, by condition."""
    every: dict[Condition, str] = {"soul": system, "none": "", "scrambled": scrambled(system, plan.seed)}
    return {condition: every[condition] for condition in plan.conditions}


def probes_asked(suite: Suite, count: int | None, plan: Plan) -> tuple[tuple[Probe, ...], dict[str, str]]:
    """The probes that are asked, and why others are not. Raises EvaluationError where none is left."""
    left_out = dict(suite.left_out)
    reached = [probe for probe in suite.probes if scored_turns(probe, plan.max_turn)]
    left_out |= {
        probe.id: f"its first scored turn is after turn {plan.max_turn}"
        for probe in suite.probes
        if not scored_turns(probe, plan.max_turn)
    }
    chosen = selected(reached, count, plan.seed)
    if not chosen:
        raise EvaluationError(
            f"The suite {suite.name!r} has no probe to ask.",
            remedy="Declare the traits that its probes need, or name another suite with --suite.",
        )
    return chosen, left_out


def settings_of(
    agent: Agent,
    suite: Suite,
    probes: Sequence[Probe],
    brains: Mapping[str, AnyOne],
    systems: Mapping[Condition, str],
    plan: Plan,
) -> dict[str, Any]:
    """What makes a run the one that it is, and finds it again when it goes on."""
    return {
        "suite": {"name": suite.name, "language": suite.language, "probes": len(suite.probes)},
        "probes": [probe.id for probe in probes],
        # What is asked, not what is checked: an unfinished run goes on after a check was mended.
        "asked_sha256": canonical_sha256(
            [asked_sha256(probe, wording, len(probe.turns)) for probe in probes for wording in range(probe.variants)]
        ),
        "soul": {"name": agent.soul.name, "language": agent.soul.language, "fingerprint": agent.soul.fingerprint},
        "systems": {condition: sha256_of(text) for condition, text in systems.items()},
        "layout_version": LAYOUT_VERSION,
        "version": __version__,
        "brains": settings_of_brains(agent, brains),
        "plan": {**asdict(plan), "conditions": list(plan.conditions)},
    }


def settings_of_brains(agent: Agent, brains: Mapping[str, AnyOne]) -> list[dict[str, Any]]:
    """What makes the brains of a run the ones that they are."""
    own = agent.config.brains
    return [
        {
            "name": name,
            "model": agent.brain_named(brain, repeatable=True).model,
            "location": agent.brain_named(brain, repeatable=True).location,
            "options_sha256": canonical_sha256(own.get(name.partition(":")[0], {})),
            "repeatable": repeats(agent, brain),
        }
        for name, brain in brains.items()
    ]


def repeats(agent: Agent, brain: AnyOne) -> bool | None:
    """Whether a brain promises the same bytes for the same prompt; None where it says nothing of it."""
    return _repeats(agent.brain_named(brain, repeatable=True))


def _repeats(shield: Any) -> bool | None:
    members = getattr(shield, "members", None)
    if members is None:
        return optional_members(shield.brain).repeatable
    said = [_repeats(member) for member in members]
    return False if False in said else None if None in said else True
