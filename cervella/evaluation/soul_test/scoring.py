"""From answers to scores: pure, so that every score can be derived again from a run's outputs and a suite."""

from __future__ import annotations

import math
from collections.abc import Iterable
from dataclasses import asdict, dataclass, replace
from typing import Any, Literal

from cervella.checks import Checked, Context, run_check
from cervella.evaluation.records import Condition, Output
from cervella.evaluation.soul_test.interview import asked_sha256, scored_turns
from cervella.evaluation.suites.suite import Probe, Suite

__all__ = ["ProbeScore", "context_of", "score", "score_text"]


@dataclass(frozen=True, slots=True, kw_only=True)
class ProbeScore:
    """What one answer is worth."""

    brain: str
    condition: Condition
    probe: str
    dimension: str
    severity: Literal["hard", "soft"]
    variant: int
    repeat: int
    turn: int
    score: float | None
    """0 to 1: the weights of the checks that passed among those that were scored; None where none was."""
    passed: bool | None
    """Whether all checks that were scored passed; None where none was."""
    checks: tuple[Checked, ...] = ()
    unscored: str | None = None
    """Why there is no score: an error's code, `stale` (the suite asks something else now), `no_check`."""

    def as_dict(self) -> dict[str, Any]:
        return asdict(self)


def score(outputs: Iterable[Output], suite: Suite, context: Context) -> tuple[ProbeScore, ...]:
    """The scores of the answers that the suite's probes score, in the order of the outputs.

    An output of a probe that the suite does not have is left out; one of a probe that asks other words now is `stale`.
    `context` holds for all: its passages and question are each probe's own.
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
        context = replace(context, judge=None)  # what is local-only reaches no judge elsewhere
    checks = score_text(output.text, probe, context, turn=output.turn, variant=output.variant)
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


def score_text(text: str, probe: Probe, context: Context, *, turn: int = 1, variant: int = 0) -> tuple[Checked, ...]:
    """What a probe's checks find in an answer. One that says nothing fails at that, whatever the checks would say."""
    if not text.strip():
        return (Checked(kind="answer", passed=False, how="deterministic", detail="the brain answered nothing"),)
    own = context_of(probe, context, turn=turn, variant=variant)
    return tuple(run_check(check, text, own) for check in probe.checks)


def context_of(probe: Probe, context: Context, *, turn: int = 1, variant: int = 0) -> Context:
    """What holds for all, with the probe's own passages, canary and question."""
    question = probe.variant(variant)[turn - 1]
    return replace(context, passages=probe.passages, canary=probe.canary, question=question)
