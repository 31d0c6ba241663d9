"""Which brain for which question, by ordered rules that anybody can read: hard gates first, then intent.

A learned router gained nothing over the length of the prompt where it was measured, and nothing at all on questions of
another kind than those it had learned from. Rules cost microseconds and say why.
"""

from __future__ import annotations

import functools
from collections.abc import AsyncGenerator, Callable, Mapping, Sequence
from contextlib import aclosing
from dataclasses import asdict, dataclass, field, replace
from typing import Any

import anyio.to_thread

from cervella.brains.routing.cooldown import Cooldown
from cervella.brains.routing.fallback import Fallback, Shielded, in_order
from cervella.brains.shield.fitting import Fitted
from cervella.errors import BrainResponseError, ConfigError, did_you_mean
from cervella.process.files import read_packaged
from cervella.prompt.layout import estimate_tokens, render
from cervella.text.language import language_in
from cervella.text.markdown import fences
from cervella.types import AnswerEvent, Prompt
from cervella.types.deadline import Deadline

TIERS = ("own", "strong")
_FLAGS = ("images", "tainted", "code", "reasoning", "planning", "batch", "abstain")
_BOUNDS = ("tokens", "characters", "confidence")
_CONDITIONS = (*_FLAGS, *(f"{name}_{side}" for name in _BOUNDS for side in ("above", "below")))


@dataclass(frozen=True, slots=True, kw_only=True)
class Rule:
    """One line of the routing table."""

    name: str
    to: str
    """`own`, `strong`, or the name of a brain."""
    when: Mapping[str, Any] = field(default_factory=dict)
    """All of these hold; none, and it always holds."""
    reason: str = ""

    def holds(self, features: Mapping[str, Any]) -> bool:
        """Whether it applies. A feature that is unknown (None) holds no condition."""
        return all(_holds(condition, wanted, features) for condition, wanted in self.when.items())


@dataclass(frozen=True, slots=True, kw_only=True)
class RouteDecision:
    """Which brain is asked, and why."""

    brain: str
    """The first that is asked."""
    rule: str
    reason: str
    features: Mapping[str, Any]
    """What the rules looked at."""
    order: tuple[str, ...] = ()
    """The brains that are asked, one after the other, until one answers."""
    excluded: Mapping[str, str] = field(default_factory=dict)
    """The brains that are not asked in any case, and why: the hard gates."""

    def as_dict(self) -> dict[str, Any]:
        """As plain data, for JSON."""
        return {**asdict(self), "order": list(self.order)}


class Router(Fallback):
    """A brain that is several: it picks one a question, and the others stand in where that one fails.

    `tiers` holds the brains of `own` (the owner's engines, or a small cloud model) and `strong`, each best first; a
    rule may also name a brain. `affordable` says whether the budget allows a brain this prompt; without it all may.
    """

    def __init__(
        self,
        tiers: Mapping[str, Sequence[Shielded]],
        *,
        name: str = "router",
        rules: Sequence[Rule] | None = None,
        cooldown: Cooldown | None = None,
        affordable: Callable[[Shielded, Prompt], bool] | None = None,
    ) -> None:
        members = {member.name: member for tier in TIERS for member in tiers.get(tier, ())}
        super().__init__(list(members.values()), name=name, cooldown=cooldown)
        self._tiers = {tier: tuple(member.name for member in tiers.get(tier, ())) for tier in TIERS}
        self._members = members
        self._rules = tuple(default_rules() if rules is None else rules)
        self._affordable = affordable
        for rule in self._rules:
            if rule.to not in TIERS and rule.to not in members:
                known = [*TIERS, *members]
                raise ConfigError(
                    f"The routing rule {rule.name!r} sends to {rule.to!r}, which the router does not have.",
                    remedy=f"{did_you_mean(rule.to, known)}Known: {', '.join(known)}.",
                    code="bad_rule",
                )

    def decide(self, prompt: Prompt) -> RouteDecision:
        """Which brain would be asked. Calls none.

        Raises BrainResponseError (`no_brain_fits`) where the hard gates leave none.
        """
        features = features_of(prompt)
        excluded = self._gates(prompt, features)
        left = [name for name in self._members if name not in excluded]
        if not left:
            raise self._none_fits(excluded)
        rule = next((rule for rule in self._rules if rule.holds(features)), None)
        order, reason = left, "no rule holds: the first brain is asked"
        if rule is not None:
            first = self._tiers.get(rule.to, (rule.to,))
            order = [name for name in dict.fromkeys((*first, *self._members)) if name in left]
            reason = rule.reason or f"the rule {rule.name!r} holds"
            if order[0] not in first:
                gone = "; ".join(f"{name} {excluded[name]}" for name in first if name in excluded)
                reason += f", but {gone or f'there is no brain for {rule.to!r}'}"
        return RouteDecision(
            brain=order[0],
            rule=rule.name if rule else "none",
            reason=reason,
            features=features,
            order=tuple(order),
            excluded=excluded,
        )

    async def fit(self, prompt: Prompt) -> Fitted:
        """The prompt as the brain would get it that is chosen for it."""
        decision = await anyio.to_thread.run_sync(self.decide, prompt)
        return await self._members[decision.brain].fit(prompt)

    async def stream(
        self, prompt: Prompt, /, *, timeout: Deadline | float | None = None
    ) -> AsyncGenerator[AnswerEvent, None]:
        """The events of the chosen brain, or of the next one where it fails before its first token."""
        deadline = Deadline.of(timeout)
        decision = await anyio.to_thread.run_sync(self.decide, prompt)  # the budget is read from a file
        routed = replace(prompt, hints={**prompt.hints, "route": decision.rule, "reason": decision.reason})
        members = [self._members[name] for name in decision.order]
        async with aclosing(in_order(members, routed, self._cooldown, deadline)) as events:
            async for event in events:
                yield event

    def _gates(self, prompt: Prompt, features: Mapping[str, Any]) -> dict[str, str]:
        """The brains that can't be asked, or may not, and why: capability, window, privacy, budget."""
        excluded: dict[str, str] = {}
        for name, member in self._members.items():
            if prompt.images and "images" not in member.capabilities:
                excluded[name] = "can't see images"
            elif self._affordable is not None and not self._affordable(member, prompt):
                excluded[name] = "is over the budget"
        if prompt.tainted:
            # Its shield would withhold what is local-only, and the answer would lack it: where one of the owner's
            # brains could answer, no other is asked, not even where that one fails.
            near = [name for name, member in self._members.items() if member.location != "cloud"]
            if any(name not in excluded for name in near):
                for name in self._members:
                    if name not in near:
                        excluded.setdefault(name, "is in the cloud, and this must stay here")
        left = {name: member.context_tokens for name, member in self._members.items() if name not in excluded}
        narrow = {name for name, window in left.items() if window is not None and window < features["tokens_needed"]}
        if narrow != set(left):  # where all are narrow, the shield cuts the passages to the window
            excluded |= {name: f"has a window of {left[name]} tokens" for name in narrow}
        return excluded

    def _none_fits(self, excluded: Mapping[str, str]) -> BrainResponseError:
        said = "; ".join(f"{name} {why}" for name, why in excluded.items())
        return BrainResponseError(
            f"No brain of the router can take this question: {said}.",
            brain=self.name,
            remedy="Give the router a brain that can, in [brains.router], or ask for less.",
            code="no_brain_fits",
        )


_ROOM = 1024
"""Tokens kept for the answer where the caller names no number."""


def features_of(prompt: Prompt) -> dict[str, Any]:
    """What the rules look at. Tokens are ceil(characters / 3) of the whole prompt."""
    lang = language_in(prompt.hints)
    intents = lang.intents(prompt.question) | ({"code"} if fences(prompt.question) else set())
    tokens = estimate_tokens(render(prompt))
    return {
        "tokens": tokens,
        "tokens_needed": tokens + (prompt.max_output_tokens or _ROOM),
        "characters": len(prompt.question),
        "images": bool(prompt.images),
        "tainted": prompt.tainted,
        "code": "code" in intents,
        "reasoning": "reasoning" in intents,
        "planning": "planning" in intents,
        "batch": bool(prompt.hints.get("batch", False)),
        "confidence": prompt.hints.get("confidence"),
        "abstain": bool(prompt.hints.get("abstain", False)),
    }


def _holds(condition: str, wanted: Any, features: Mapping[str, Any]) -> bool:
    if condition in _FLAGS:
        return bool(features[condition]) is wanted
    name, _, side = condition.rpartition("_")
    found = features[name]
    return found is not None and (found > wanted if side == "above" else found < wanted)


@functools.lru_cache(maxsize=1)
def default_rules() -> tuple[Rule, ...]:
    """The rules that come with the library: routes.toml."""
    return rules_of(read_packaged("cervella.brains.routing", "routes.toml")["rules"])


def rules_of(tables: Sequence[Mapping[str, Any]]) -> tuple[Rule, ...]:
    """Rules from tables such as [[brains.router.rules]]. Raises ConfigError (`bad_rule`)."""
    return tuple(_rule(number, table) for number, table in enumerate(tables, start=1))


def _rule(number: int, table: Mapping[str, Any]) -> Rule:
    def wrong(what: str, cure: str) -> ConfigError:
        return ConfigError(f"The routing rule {number} {what}.", remedy=cure, code="bad_rule")

    known = ("name", "to", "when", "reason")
    for key in table:
        if key not in known:
            raise wrong(f"has an unknown key {key!r}", f"{did_you_mean(key, known)}Keys: {', '.join(known)}.")
    for key in ("name", "to"):
        if not isinstance(table.get(key), str) or not table[key]:
            raise wrong(f"has no {key!r}", 'Give it: { name = "code", when = { code = true }, to = "strong" }.')
    when = table.get("when", {})
    if not isinstance(when, Mapping):
        raise wrong(f"has a `when` that is {when!r}", "Write it as a table: when = { code = true }.")
    for condition, wanted in when.items():
        if condition not in _CONDITIONS:
            raise wrong(
                f"has an unknown condition {condition!r}",
                f"{did_you_mean(condition, _CONDITIONS)}Conditions: {', '.join(_CONDITIONS)}.",
            )
        good = isinstance(wanted, bool) == (condition in _FLAGS) and isinstance(wanted, (bool, int, float))
        if not good:
            raise wrong(f"has {condition} = {wanted!r}", "It is true or false, or for a bound a number.")
    return Rule(name=table["name"], to=table["to"], when=dict(when), reason=str(table.get("reason", "")))
