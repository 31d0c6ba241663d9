"""Prepares a soul test: chooses its probes, system prompts and brains, and computes the highest cost."""

from __future__ import annotations

import datetime
import random
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from decimal import Decimal
from typing import Any

from cervella import __version__
from cervella.agent.agent import Agent
from cervella.errors import EvaluationError
from cervella.evaluation.records import CONDITIONS, Condition, Key, canonical_sha256
from cervella.evaluation.soul_test.interview import (
    AnyOne,
    Plan,
    asked_sha256,
    conversations,
    prompt_of,
    scored_turns,
    scrambled,
    sha256_of,
)
from cervella.evaluation.suites.suite import Probe, Suite
from cervella.prompt.layout import LAYOUT_VERSION, estimate_tokens, render
from cervella.protocols import Brain, optional_members
from cervella.records.ledger.prices import Prices


def planned_calls(probes: Sequence[Probe], plan: Plan) -> int:
    """The number of answers that one brain is asked for."""
    return len(planned_keys("", probes, plan))


def most_cost(agent: Agent, brain: AnyOne, probes: Sequence[Probe], plan: Plan, lang: str) -> Decimal | None:
    """The most that one brain may cost, in US dollars: every answer as long as it may be, nothing from a cache.

    None if its price is not known.
    """
    prices, shield = Prices(agent.config.brains), agent.brain_named(brain, repeatable=True)
    systems, now, most = systems_of(agent.soul.system_prompt(), plan), datetime.datetime.now(datetime.UTC), Decimal(0)
    for one in conversations(probes, plan):
        said = 0
        for turn in range(1, max(scored_turns(one.probe, plan.max_turn), default=0) + 1):
            prompt = prompt_of(one, turn, plan, systems[one.condition], lang)
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
    """The keys of the answers that one brain is asked for."""
    return {
        one.key(name, turn)
        for one in conversations(probes, plan)
        for turn in range(1, max(scored_turns(one.probe, plan.max_turn), default=0) + 1)
    }


def check_plan(plan: Plan) -> None:
    """Raises EvaluationError if a value of the plan is out of range."""
    if not plan.conditions or plan.conditions[0] != "soul" or set(plan.conditions) - set(CONDITIONS):
        raise EvaluationError(
            f"The conditions are {', '.join(plan.conditions) or 'none'}.",
            remedy="Give soul first, then none, scrambled or both: the controls are compared with it.",
        )
    if plan.repeats < 1 or plan.paraphrases < 0 or (plan.max_turn is not None and plan.max_turn < 1):
        raise EvaluationError(
            "The soul test's repeats, paraphrases or max_turn are too low.",
            remedy="Give repeats and max_turn from 1, paraphrases from 0.",
        )


def name_of(brain: AnyOne) -> str:
    """The name by which a run keeps the answers of a brain. Several names are joined by commas."""
    if isinstance(brain, str):
        return brain
    return brain.name if isinstance(brain, Brain) else ", ".join(brain)


def brains_named(agent: Agent, brains: Sequence[AnyOne]) -> dict[str, AnyOne]:
    """The brains by name.

    An unknown brain, or one that can't be created, is an error here, before the first question.
    """
    named: dict[str, AnyOne] = {}
    for brain in brains:
        agent.brain_named(brain, repeatable=True)
        name = name_of(brain)
        if name in named:
            raise EvaluationError(f"The brain {name!r} is named twice.", remedy="Name each brain once.")
        named[name] = brain
    return named


def systems_of(system: str, plan: Plan) -> dict[Condition, str]:
    """The system prompt for each condition of the plan: with the soul, without it, with its words in random order.

    `system` is the prompt with the soul.
    """
    every: dict[Condition, str] = {"soul": system, "none": "", "scrambled": scrambled(system, plan.seed)}
    return {condition: every[condition] for condition in plan.conditions}


def probes_asked(suite: Suite, count: int | None, plan: Plan) -> tuple[tuple[Probe, ...], dict[str, str]]:
    """The probes that are asked; and, for each probe that is left out, its id and the reason.

    `count` limits the number of probes; None asks all. Raises EvaluationError if none is left.
    """
    left_out = dict(suite.left_out)
    reached = [probe for probe in suite.probes if scored_turns(probe, plan.max_turn)]
    late = f"its first scored turn is after turn {plan.max_turn}"
    left_out |= {probe.id: late for probe in suite.probes if probe not in reached}
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
    """The settings that identify a run: an unfinished run of the same settings continues."""
    return {
        "suite": {"name": suite.name, "language": suite.language, "probes": len(suite.probes)},
        "probes": [probe.id for probe in probes],
        # Not the checks: an unfinished run continues after a check was corrected.
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
    """The settings that identify the brains of a run."""
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
    """Whether a brain promises the same answer, byte for byte, for the same prompt; None if it does not say."""
    return _repeats(agent.brain_named(brain, repeatable=True))


def _repeats(shield: Any) -> bool | None:
    members = getattr(shield, "members", None)
    if members is None:
        return optional_members(shield.brain).repeatable
    said = [_repeats(member) for member in members]
    return False if False in said else None if None in said else True


# Which probes of a suite are asked


def selected(probes: Sequence[Probe], count: int | None, seed: int = 0) -> tuple[Probe, ...]:
    """Choose `count` of the probes, spread over the dimensions; all of them for None. Their order does not change.

    The same seed chooses the same probes. Twins (two similar probes with opposite right answers) are chosen together or
    not at all. The part of a dimension's share that its twins can't fill goes to the next dimensions, so that `count`
    is reached as long as single probes are left.
    """
    if count is None or count >= len(probes):
        return tuple(probes)
    groups = {name: _groups(probes, name, seed) for name in dict.fromkeys(probe.dimension for probe in probes)}
    chosen: set[str] = set()
    left = count
    for number, own in enumerate(groups.values()):
        share = -(-left // (len(groups) - number))
        left -= _take(own, share, chosen)
    for own in groups.values():  # to make up for small dimensions
        left -= _take(own, left, chosen)
    return tuple(probe for probe in probes if probe.id in chosen)


def _groups(probes: Sequence[Probe], dimension: str, seed: int) -> list[tuple[str, ...]]:
    """The ids of a dimension's probes in random order. Twins form one group, every other probe a group of its own."""
    groups: dict[str, tuple[str, ...]] = {}
    for probe in probes:
        if probe.dimension == dimension:
            name = min(probe.id, probe.pair or probe.id)
            groups[name] = (*groups.get(name, ()), probe.id)
    order = list(groups.values())
    random.Random(f"{seed}:{dimension}").shuffle(order)
    return order


def _take(groups: list[tuple[str, ...]], share: int, chosen: set[str]) -> int:
    """Move groups from `groups` to `chosen`, as long as they have no more than `share` probes together.

    Returns the number of probes that were moved.
    """
    taken = 0
    for group in list(groups):
        if taken + len(group) <= share:
            groups.remove(group)
            chosen.update(group)
            taken += len(group)
    return taken
