"""Scores answers from a run's outputs and a suite alone; no brain is asked."""

from __future__ import annotations

import math
from collections.abc import Iterable
from dataclasses import dataclass, replace
from typing import Literal

from cervella.checks import Checked, Context, run_check
from cervella.evaluation.records import Condition, Output
from cervella.evaluation.soul_test.interview import asked_sha256, scored_turns
from cervella.evaluation.suites.suite import Probe, Suite


@dataclass(frozen=True, slots=True, kw_only=True)
class ProbeScore:
    """The score of one answer to a probe."""

    brain: str
    condition: Condition
    probe: str
    dimension: str
    severity: Literal["hard", "soft"]
    variant: int
    repeat: int
    turn: int
    score: float | None
    """0 to 1: the share, by weight, of the scored checks that passed; None if no check was scored."""
    passed: bool | None
    """Whether all scored checks passed; None if no check was scored."""
    checks: tuple[Checked, ...] = ()
    unscored: str | None = None
    """The reason why there is no score: an error's code, `stale` (the suite now asks something else), or `no_check`.
    None if there is a score."""


def score(outputs: Iterable[Output], suite: Suite, context: Context) -> tuple[ProbeScore, ...]:
    """Score the answers at the turns that the suite scores, in the order of `outputs`.

    An answer to a probe that the suite does not have is left out. If the words of its probe have changed since, it is
    not scored but listed as `stale`. `context` holds what the checks need; each probe's passages and question are added
    to it.
    """
    probes = {probe.id: probe for probe in suite.probes}
    scores = []
    for output in outputs:
        probe = probes.get(output.probe)
        if probe is not None and output.turn in scored_turns(probe):
            scores.append(_scored(output, probe, context))
    return tuple(scores)


def _scored(output: Output, probe: Probe, context: Context) -> ProbeScore:
    own = ProbeScore(
        brain=output.brain,
        condition=output.condition,
        probe=probe.id,
        dimension=probe.dimension,
        severity=probe.severity,
        variant=output.variant,
        repeat=output.repeat,
        turn=output.turn,
        score=None,
        passed=None,
    )
    if output.failed:
        return replace(own, unscored=output.error)
    if output.variant > len(probe.paraphrases) or output.asked_sha256 != asked_sha256(
        probe, output.variant, output.turn
    ):
        return replace(own, unscored="stale")
    if output.tainted and getattr(context.judge, "location", "cloud") == "cloud":
        context = replace(context, judge=None)  # a local-only answer is not shown to a judge in the cloud
    checks = _checked(output, probe, context)
    counted = [(check, found) for check, found in zip(probe.checks, checks, strict=False) if found.passed is not None]
    if output.empty:
        return replace(own, score=0.0, passed=False, checks=checks)
    if not counted:
        return replace(own, checks=checks, unscored="no_check")
    weight = math.fsum(check.weight for check, _ in counted)
    won = math.fsum(check.weight for check, found in counted if found.passed)
    return replace(
        own, score=won / weight if weight else 0.0, passed=all(found.passed for _, found in counted), checks=checks
    )


def _checked(output: Output, probe: Probe, context: Context) -> tuple[Checked, ...]:
    """The result of each check of a probe on one answer. An empty answer fails without being checked."""
    if not output.text.strip():
        return (Checked(kind="answer", passed=False, how="deterministic", detail="the brain answered nothing"),)
    own = context_of(output, probe, context)
    return tuple(run_check(check, output.text, own) for check in probe.checks)


def context_of(output: Output, probe: Probe, context: Context) -> Context:
    """The context of the checks, with the passages, the canary (forbidden words) and the question of this probe."""
    question = probe.variant(output.variant)[output.turn - 1]
    return replace(context, passages=probe.passages, canary=probe.canary, question=question)
