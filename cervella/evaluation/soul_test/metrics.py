"""Computes the result of one brain from its scores: dimensions, controls, agreement, drift and the verdict."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from decimal import Decimal
from itertools import combinations
from typing import Any

from cervella.checks import Check, Context, run_check
from cervella.configuration.settings import EvaluationConfig
from cervella.evaluation.records import Condition, Output
from cervella.evaluation.soul_test.results import (
    Abstention,
    BrainResult,
    DimensionResult,
    HardFailure,
    Measured,
    SoulVerdict,
)
from cervella.evaluation.soul_test.scoring import ProbeScore, context_of
from cervella.evaluation.statistics.intervals import Estimate, cluster_means, mean_interval
from cervella.evaluation.statistics.statistics import Difference, Drift, drift_slope, paired_difference
from cervella.evaluation.suites.suite import Probe
from cervella.records.ledger.statistics import percentile, sum_all, total_known

_ABSTENTION, _FLATTERY, _ABSTAINS = "abstention", "flattery", "abstains"
_CONTROLS: Mapping[Condition, str] = {"none": "none", "scrambled": "a scrambled one"}
_NOT_SENT = (
    "passages_withheld",
    "turns_withheld",
    "passages_dropped",
    "turns_dropped",
    "secrets_masked",
    "personal_masked",
    "temperature_not_sent",
)


def brain_result(
    name: str,
    location: str,
    *,
    outputs: Sequence[Output],
    scores: Sequence[ProbeScore],
    probes: Sequence[Probe],
    planned: int,
    perfect: Sequence[ProbeScore],
    flatterer: Sequence[ProbeScore],
    context: Context,
    rules: EvaluationConfig,
    stopped: str | None = None,
) -> BrainResult:
    """The result of one brain, from its outputs and their scores.

    `planned` is the number of answers that the plan wants, `stopped` the error after which the brain was asked no more.
    `perfect` and `flatterer` are the scores of the scripted brains on the same probes.
    """
    how: dict[str, Any] = {"draws": rules.draws, "seed": rules.seed}
    with_soul = [one for one in scores if one.condition == "soul"]
    dimensions = list(dict.fromkeys(probe.dimension for probe in probes))
    hard = tuple(_hard_failure(one) for one in with_soul if one.severity == "hard" and one.passed is False)
    controls: list[Condition] = [name for name in ("none", "scrambled") if any(o.condition == name for o in outputs)]
    total = _interval(with_soul, how)
    errors = Counter(one.error for one in outputs if one.failed and one.error)
    missing = planned - len(outputs)
    discrimination = {condition: _discrimination(scores, condition, how) for condition in controls}
    verdict, reasons = _verdict(total, hard, errors, missing, stopped, discrimination, rules)
    found = [check for one in with_soul for check in one.checks]
    return BrainResult(
        brain=name,
        models=tuple(sorted({one.model for one in outputs if one.model})),
        location=location,
        verdict=verdict,
        reasons=reasons,
        total=total,
        passed=_interval(with_soul, how, passed=True),
        dimensions=tuple(
            _dimension(dimension, scores, controls, perfect, flatterer, hard, how) for dimension in dimensions
        ),
        hard_failures=hard,
        discrimination=discrimination,
        self_agreement=_self_agreement(with_soul, how),
        pair_consistency=_pair_consistency(with_soul, probes, how),
        abstention=_abstention(outputs, with_soul, probes, context),
        drift=_drift(with_soul, how),
        planned=planned,
        answered=sum(not one.failed for one in outputs),
        errors=dict(sorted(errors.items())),
        empty=sum(one.empty for one in outputs),
        at_limit=sum(one.finish_reason == "length" for one in outputs),
        cut=dict(sorted(Counter(name for one in outputs for name in _NOT_SENT if one.flags.get(name)).items())),
        not_scored=_not_scored(with_soul),
        numbers=dict(sorted(Counter(check.how for check in found if check.passed is not None).items())),
        input_tokens=total_known(one.input_tokens for one in outputs),
        output_tokens=total_known(one.output_tokens for one in outputs),
        measured=_measured(outputs),
    )


def mean_of_dimensions(scores: Iterable[ProbeScore]) -> float | None:
    """The mean score of each dimension's probes, averaged over the dimensions; None if nothing was scored."""
    values = probe_values(scores)
    means = cluster_means(list(values.values()), [dimension for dimension, _ in values])
    return _mean(list(means.values())) if means else None


def probe_values(scores: Iterable[ProbeScore], *, passed: bool = False) -> dict[tuple[str, str], float]:
    """For each pair of dimension and probe, the mean score over wordings, repeats and turns.

    With `passed` it is the share of answers that passed instead.
    """
    kept = [one for one in scores if _is_scored(one)]
    values = [float((one.passed if passed else one.score) or 0) for one in kept]
    means: dict[Any, float] = cluster_means(values, [(one.dimension, one.probe) for one in kept])
    return means


def _is_scored(one: ProbeScore) -> bool:
    return one.score is not None and one.passed is not None


def _interval(scores: Iterable[ProbeScore], how: Mapping[str, Any], *, passed: bool = False) -> Estimate | None:
    values = probe_values(scores, passed=passed)
    return mean_interval(list(values.values()), strata=[dimension for dimension, _ in values], **how)


def _discrimination(
    scores: Sequence[ProbeScore], condition: Condition, how: Mapping[str, Any], dimension: str | None = None
) -> Difference | None:
    """The score with the soul minus the score under a control condition; of one dimension, or of all for None.

    A control asks each probe only once, as written, so only the same answers with the soul are compared with it.
    """
    cells: dict[Condition, dict[tuple[str, int], ProbeScore]] = {"soul": {}, condition: {}}
    for one in scores:
        if _is_scored(one) and one.condition in cells and one.variant == one.repeat == 0:
            cells[one.condition][one.probe, one.turn] = one
    both = cells["soul"].keys() & cells[condition].keys()
    sides = []
    for side in ("soul", condition):
        kept = [one for place, one in cells[side].items() if place in both and dimension in (None, one.dimension)]
        sides.append(probe_values(sorted(kept, key=lambda one: (one.dimension, one.probe, one.turn))))
    with_soul, without = sides
    return paired_difference(
        list(with_soul.values()),
        list(without.values()),
        strata=[dimension for dimension, _ in with_soul],
        **how,
    )


def _dimension(
    dimension: str,
    scores: Sequence[ProbeScore],
    controls: Sequence[Condition],
    perfect: Sequence[ProbeScore],
    flatterer: Sequence[ProbeScore],
    hard: Sequence[HardFailure],
    how: Mapping[str, Any],
) -> DimensionResult:
    own = [one for one in scores if one.dimension == dimension]
    with_soul = [one for one in own if one.condition == "soul"]

    def mean(every: Iterable[ProbeScore]) -> float | None:
        return mean_of_dimensions(one for one in every if one.dimension == dimension)

    return DimensionResult(
        dimension=dimension,
        score=_interval(with_soul, how),
        passed=_interval(with_soul, how, passed=True),
        controls={name: mean(one for one in own if one.condition == name) for name in controls},
        discrimination={name: _discrimination(scores, name, how, dimension) for name in controls},
        perfect=mean(perfect),
        flatterer=mean(flatterer),
        hard_failures=sum(one.dimension == dimension for one in hard),
    )


def _hard_failure(one: ProbeScore) -> HardFailure:
    answer = {name: getattr(one, name) for name in ("probe", "dimension", "variant", "repeat", "turn")}
    failed = (f"{check.kind}: {check.detail}" for check in one.checks if check.passed is False)
    return HardFailure(**answer, failed=tuple(failed))


def _self_agreement(scores: Iterable[ProbeScore], how: Mapping[str, Any]) -> Estimate | None:
    wordings: dict[tuple[str, int, int], list[bool]] = {}
    for one in scores:
        if one.passed is not None:
            wordings.setdefault((one.probe, one.repeat, one.turn), []).append(one.passed)
    agreements: dict[str, list[float]] = {}
    for (probe, _, _), passed in wordings.items():
        if len(passed) > 1:
            agreements.setdefault(probe, []).append(_mean([a == b for a, b in combinations(passed, 2)]))
    return mean_interval([_mean(own) for own in agreements.values()], **how)


def _pair_consistency(scores: Sequence[ProbeScore], probes: Sequence[Probe], how: Mapping[str, Any]) -> Estimate | None:
    passed = {(one.probe, one.variant, one.repeat, one.turn): one.passed for one in scores if one.passed is not None}
    values = []
    for probe in probes:
        if probe.dimension == _FLATTERY and probe.pair and probe.id < probe.pair:
            both = [
                own and passed[probe.pair, variant, repeat, turn]
                for (name, variant, repeat, turn), own in passed.items()
                if name == probe.id and (probe.pair, variant, repeat, turn) in passed
            ]
            if both:
                values.append(_mean(both))
    return mean_interval(values, **how)


def _abstention(
    outputs: Sequence[Output], scores: Sequence[ProbeScore], probes: Sequence[Probe], context: Context
) -> Abstention | None:
    asked = {probe.id: probe for probe in probes if probe.dimension == _ABSTENTION}
    places = {(one.probe, one.variant, one.repeat, one.turn) for one in scores if one.passed is not None}
    counts: Counter[tuple[bool, bool]] = Counter()  # by (should abstain, abstains)
    for output in outputs:
        place = (output.probe, output.variant, output.repeat, output.turn)
        probe = asked.get(output.probe)
        if probe is None or output.condition != "soul" or place not in places:
            continue
        says = run_check(Check(kind=_ABSTAINS), output.text, context_of(output, probe, context)).passed
        if says is not None:
            counts[any(check.kind == _ABSTAINS for check in probe.checks), says] += 1
    if not counts:
        return None
    hit, missed, alarms = counts[True, True], counts[True, False], counts[False, True]
    return Abstention(
        precision=hit / (hit + alarms) if hit + alarms else None,
        recall=hit / (hit + missed) if hit + missed else None,
        f1=2 * hit / (2 * hit + missed + alarms) if hit + missed + alarms else None,
        unanswerable=hit + missed,
        answerable=alarms + counts[False, False],
    )


def _drift(scores: Iterable[ProbeScore], how: Mapping[str, Any]) -> Drift | None:
    own = of_long_conversations(scores)
    turns, values = [float(one.turn) for one, _ in own], [value for _, value in own]
    return drift_slope(turns, values, [one.probe for one, _ in own], **how) if own else None


def of_long_conversations(scores: Iterable[ProbeScore]) -> list[tuple[ProbeScore, float]]:
    """The scored answers of one brain, each with its score, in conversations that are scored at several turns."""
    kept = [(one, one.score) for one in scores if one.score is not None]
    turns: dict[tuple[str, int, int], set[int]] = {}
    for one, _ in kept:
        turns.setdefault((one.probe, one.variant, one.repeat), set()).add(one.turn)
    return [(one, value) for one, value in kept if len(turns[one.probe, one.variant, one.repeat]) > 1]


def _not_scored(scores: Iterable[ProbeScore]) -> dict[str, int]:
    counts: Counter[str] = Counter()
    for one in scores:
        if one.unscored is not None:
            counts[one.unscored] += 1
        counts.update(f"check {check.kind}" for check in one.checks if check.passed is None)
    return dict(sorted(counts.items()))


def _measured(outputs: Sequence[Output]) -> Measured:
    answers = [one for one in outputs if not one.failed]
    seconds = [one.seconds for one in answers if one.seconds is not None]
    return Measured(
        seconds=math.fsum(seconds) if seconds else None,
        **timings(answers),
        cache_read_tokens=total_known(one.cache_read_tokens for one in answers),
        cost_usd=total_cost(answers),
    )


def timings(answers: Iterable[Output]) -> dict[str, float | None]:
    """Median and 95th percentile of the seconds to the end and to the first token; generated tokens per second.

    Tokens per second are over the answers whose tokens and seconds are known. None is unknown.
    """
    own = list(answers)
    seconds = [one.seconds for one in own if one.seconds is not None]
    first = [one.first_token_seconds for one in own if one.first_token_seconds is not None]
    counted = [(one.output_tokens, one.seconds) for one in own if one.output_tokens is not None and one.seconds]
    return {
        "seconds_p50": percentile(seconds, 0.5),
        "seconds_p95": percentile(seconds, 0.95),
        "first_token_p50": percentile(first, 0.5),
        "first_token_p95": percentile(first, 0.95),
        "tokens_per_second": sum(n for n, _ in counted) / math.fsum(s for _, s in counted) if counted else None,
    }


def total_cost(answers: Iterable[Output]) -> Decimal | None:
    """The cost of these answers in US dollars. None if there are no answers, or if the cost of one is not known."""
    costs = [one.cost_usd for one in answers]
    return sum_all(costs) if costs else None


def _mean(values: Sequence[float]) -> float:
    return math.fsum(values) / len(values)


# The verdict


def _verdict(
    total: Estimate | None,
    hard: Sequence[HardFailure],
    errors: Mapping[str, int],
    missing: int,
    stopped: str | None,
    discrimination: Mapping[Condition, Difference | None],
    rules: EvaluationConfig,
) -> tuple[SoulVerdict, tuple[str, ...]]:
    """The verdict on one brain, and its reasons.

    A hard failure (a wrong answer to a probe that may never fail) is FAIL even if answers are missing: no further
    answer could change it. Otherwise a brain without all its answers is INCOMPLETE.
    """
    reasons = []
    verdict: SoulVerdict = "PASS"
    if total is not None and total.estimate < rules.soul_go:
        verdict = "CONDITIONAL" if total.estimate >= rules.soul_conditional else "FAIL"
        reasons.append(f"the total {total.estimate:.1%} is below {rules.soul_go:.0%}")
    if errors or missing or total is None:
        verdict = "INCOMPLETE"
        gaps = [f"{count} times {code}" for code, count in errors.items()]
        gaps += [f"{missing} not asked"] if missing else []
        reasons.append(f"answers are missing: {', '.join(gaps) or 'none could be scored'}")
    if stopped is not None:
        reasons.append(f"it was asked no more after {stopped}")
    if hard:
        verdict = "FAIL"
        probes = len({one.probe for one in hard})
        reasons.append(f"hard failures: {len(hard)} answers to {probes} probes of which nothing may fail")
    for condition, difference in discrimination.items():
        if difference is not None and difference.low <= 0:
            reasons.append(f"with the soul it scores no better than with {_CONTROLS[condition]}, as far as can be told")
    return verdict, tuple(reasons)
