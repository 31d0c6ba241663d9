"""Chooses a brain for each question: excludes those that can't or may not answer, then applies ordered rules.

Rules take microseconds and have a reason that can be read. When measured, a learned router was no better than a
threshold on the prompt's length, and useless on questions unlike its training data.
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
    """A rule of a router: the conditions for it, and the brain or tier that it chooses."""

    name: str
    to: str
    """The tier that answers, `own` or `strong`, or the name of a brain."""
    when: Mapping[str, Any] = field(default_factory=dict)
    """Conditions that must all be true. Without conditions the rule always applies."""
    reason: str = ""

    def applies(self, features: Mapping[str, Any]) -> bool:
        """Whether the rule applies. A condition on an unknown feature (None) is false."""
        return all(_is_true(condition, wanted, features) for condition, wanted in self.when.items())


@dataclass(frozen=True, slots=True, kw_only=True)
class RouteDecision:
    """The brain that is asked, and the reason."""

    brain: str
    """The name of the brain that is asked first."""
    rule: str
    reason: str
    features: Mapping[str, Any]
    """The properties of the prompt that the rules compare: see `features_of`."""
    order: tuple[str, ...] = ()
    """Names of the brains in the order in which they are asked, until one answers."""
    excluded: Mapping[str, str] = field(default_factory=dict)
    """Names of the brains that can't or may not answer, each with the reason."""

    def as_dict(self) -> dict[str, Any]:
        """The decision as a dict of plain values that can be written as JSON."""
        return {**asdict(self), "order": list(self.order)}


class Router(Fallback):
    """Chooses one of its brains for each question. If that one fails, it asks the others.

    `tiers` contains the brains of `own` (the owner's engines, or a small cloud model) and `strong`, best first. A rule
    chooses a tier or one brain. `affordable` says whether the budget allows a prompt for a brain; without it, all are
    allowed.
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
                    f"The routing rule {rule.name!r} chooses {rule.to!r}, which is no tier and no brain of the router.",
                    remedy=f"{did_you_mean(rule.to, known)}Known: {', '.join(known)}.",
                    code="bad_rule",
                )

    def decide(self, prompt: Prompt) -> RouteDecision:
        """The decision for a prompt, without asking a brain.

        Raises BrainResponseError (`no_brain_fits`) if no brain can and may answer.
        """
        features = features_of(prompt)
        excluded = self._gates(prompt, features)
        left = [name for name in self._members if name not in excluded]
        if not left:
            raise self._none_fits(excluded)
        rule = next((rule for rule in self._rules if rule.applies(features)), None)
        order, reason = left, "no rule applies: the first brain is asked"
        if rule is not None:
            first = self._tiers.get(rule.to, (rule.to,))
            order = [name for name in dict.fromkeys((*first, *self._members)) if name in left]
            reason = rule.reason or f"the rule {rule.name!r} applies"
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
        """The prompt as the chosen brain would get it: without the parts that it may not see, cut to its window."""
        decision = await anyio.to_thread.run_sync(self.decide, prompt)
        return await self._members[decision.brain].fit(prompt)

    async def stream(
        self, prompt: Prompt, /, *, timeout: Deadline | float | None = None
    ) -> AsyncGenerator[AnswerEvent, None]:
        """The events of the chosen brain, or of the next one if it fails before its first token."""
        deadline = Deadline.of(timeout)
        decision = await anyio.to_thread.run_sync(self.decide, prompt)  # the budget is read from a file
        routed = replace(prompt, hints={**prompt.hints, "route": decision.rule, "reason": decision.reason})
        members = [self._members[name] for name in decision.order]
        async with aclosing(in_order(members, routed, self._cooldown, deadline)) as events:
            async for event in events:
                yield event

    def _gates(self, prompt: Prompt, features: Mapping[str, Any]) -> dict[str, str]:
        """The brains that can't or may not answer, each with the reason: capability, window, privacy, or budget."""
        excluded: dict[str, str] = {}
        for name, member in self._members.items():
            if prompt.images and "images" not in member.capabilities:
                excluded[name] = "can't see images"
            elif self._affordable is not None and not self._affordable(member, prompt):
                excluded[name] = "is over the budget"
        if prompt.tainted:
            # A cloud brain's shield removes local-only text, so that its answer would be incomplete. If one of the
            # owner's brains can answer, no cloud brain is asked, even if that one fails.
            near = [name for name, member in self._members.items() if member.location != "cloud"]
            if any(name not in excluded for name in near):
                for name in self._members:
                    if name not in near:
                        excluded.setdefault(name, "is in the cloud, and the prompt is local only")
        left = {name: member.context_tokens for name, member in self._members.items() if name not in excluded}
        narrow = {name for name, window in left.items() if window is not None and window < features["tokens_needed"]}
        if narrow != set(left):  # if all windows are too small, the shield drops passages
            excluded |= {name: f"has a window of {left[name]} tokens" for name in narrow}
        return excluded

    def _none_fits(self, excluded: Mapping[str, str]) -> BrainResponseError:
        reasons = "; ".join(f"{name} {reason}" for name, reason in excluded.items())
        return BrainResponseError(
            f"No brain of the router can answer this question: {reasons}.",
            brain=self.name,
            remedy="Add a brain that can answer it to [brains.router], or ask a simpler question.",
            code="no_brain_fits",
        )


_ROOM = 1024
"""Tokens reserved for the answer if the caller sets no limit."""


def features_of(prompt: Prompt) -> dict[str, Any]:
    """The properties of a prompt that the rules compare, by name. A property that is unknown is None.

    `tokens` is ceil(characters / 3) of the whole prompt; `tokens_needed` includes the answer.
    """
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
        "abstain": prompt.hints.get("abstain"),
    }


def _is_true(condition: str, wanted: Any, features: Mapping[str, Any]) -> bool:
    if condition in _FLAGS:
        return features[condition] is not None and bool(features[condition]) is wanted
    name, _, side = condition.rpartition("_")
    found = features[name]
    return found is not None and (found > wanted if side == "above" else found < wanted)


@functools.lru_cache(maxsize=1)
def default_rules() -> tuple[Rule, ...]:
    """The package's own rules, from routes.toml."""
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
            raise wrong(
                f"has {condition} = {wanted!r}",
                "Use true or false, or a number if its name ends in `_above` or `_below`.",
            )
    return Rule(name=table["name"], to=table["to"], when=dict(when), reason=str(table.get("reason", "")))
