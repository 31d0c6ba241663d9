"""Computes the statistics of the ledger: times, tokens, costs, failures and feedback of each brain."""

from __future__ import annotations

import datetime
import math
from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from decimal import Decimal
from functools import lru_cache

from cervella.records.ledger.rows import Feedback, Row


@dataclass(frozen=True, slots=True, kw_only=True)
class Percentiles:
    """Percentiles of a time: `p95` is the number of seconds that 95 of 100 calls did not exceed.

    None if there was no call.
    """

    p50: float | None = None
    p95: float | None = None
    p99: float | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class BrainStatistics:
    """Statistics of one brain. A rate is between 0 and 1; None if its denominator is 0."""

    brain: str
    models: tuple[str, ...]
    calls: int
    """All calls: answered, refused, failed, broken off and cancelled."""
    answered: int
    refused: int
    """Calls in which the model declined to answer. They are billed, and are no failure of the brain."""
    failed: int
    """Calls that failed or broke off."""
    cancelled: int
    """Calls that the caller ended. They are no failure of the brain."""
    retries: int
    error_rate: float | None
    """Share of the calls that failed or broke off, without cancelled calls: failed / (calls - cancelled)."""
    fallback_rate: float | None
    """Among the replies for which this brain was asked first, the share that another brain gave in its place."""
    latency: Percentiles
    """Seconds from the question to the end of the answer, over the answered calls."""
    first_token: Percentiles
    """Seconds from the question to the first text, over all calls that generated text."""
    tokens_per_second: float | None
    """Generated tokens per second, over the answered calls whose output tokens are known."""
    input_tokens: int | None
    """Sum over the calls that reported their prompt tokens; None if none did. The next three counts are such sums
    too."""
    cache_read_tokens: int | None
    cache_write_tokens: int | None
    output_tokens: int | None
    cache_share: float | None
    """Share of the prompt tokens that came from the cache, over the calls that reported both counts."""
    cost_usd: Decimal | None
    """Sum of the known costs in US dollars; None if none is known."""
    cost_unknown: int
    """Number of calls whose cost is unknown."""
    cost_estimated: int
    """Number of calls that broke off, so that their cost is estimated from the text."""
    cost_per_request: Decimal | None
    """Mean cost in US dollars of the replies for which all calls of this brain have a known cost."""
    feedback_good: int
    """Number of good judgements of this brain's replies."""
    feedback_bad: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Day:
    """One day in the time zone of this machine."""

    day: str
    requests: Mapping[str, int]
    """Number of questions that each brain answered on this day. The empty name counts the questions without an
    answer."""
    cost_usd: Mapping[str, Decimal]
    """Sum of the known costs in US dollars, for each brain."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Statistics:
    """Statistics of all brains."""

    since: str | None
    """Start of the statistics, ISO 8601; None for all rows."""
    requests: int
    """Number of replies that were asked for. A reply can take several calls."""
    calls: int
    answered: int
    """Number of replies that some brain gave."""
    cost_usd: Decimal | None
    cost_unknown: int
    fallback_rate: float | None
    """Share of the given replies that came from another brain than the one that was asked first."""
    brains: tuple[BrainStatistics, ...]
    """Sorted by name."""
    days: tuple[Day, ...]
    """The days with at least one request."""


def percentile(values: Iterable[float], share: float) -> float | None:
    """The smallest of the values that at least this share of them does not exceed (nearest rank); None without values.

    >>> percentile([1.0, 2.0, 3.0, 4.0], 0.5), percentile([1.0, 2.0, 3.0, 4.0], 0.95)
    (2.0, 4.0)
    """
    ordered = sorted(values)
    return ordered[max(0, math.ceil(round(share * len(ordered), 9)) - 1)] if ordered else None


def statistics_of(
    rows: Sequence[Row], feedback: Iterable[Feedback] = (), *, since: datetime.datetime | None = None
) -> Statistics:
    """Compute the statistics of these rows. `since` only says from when the rows are, and is copied into the result."""
    replies = _replies(rows)
    judged = {one.reply: one.good for one in feedback}
    by_brain: dict[str, list[Row]] = defaultdict(list)
    for row in rows:
        by_brain[row.brain].append(row)
    first, moved = defaultdict[str, int](int), defaultdict[str, int](int)
    opinions: dict[str, list[bool]] = defaultdict(list)
    answered = 0
    for calls in replies:
        giver = _giver(calls)
        first[calls[0].brain] += 1
        answered += giver is not None
        moved[calls[0].brain] += giver is not None and giver != calls[0].brain
        if giver is not None and calls[0].reply in judged:
            opinions[giver].append(judged[calls[0].reply])
    return Statistics(
        since=None if since is None else since.isoformat(timespec="seconds"),
        requests=len(replies),
        calls=len(rows),
        answered=answered,
        cost_usd=_sum_known(row.cost_usd for row in rows),
        cost_unknown=sum(row.cost_usd is None for row in rows),
        fallback_rate=_rate(sum(moved.values()), answered),
        brains=tuple(
            _of_brain(name, calls, _rate(moved[name], first[name]), opinions[name])
            for name, calls in sorted(by_brain.items())
        ),
        days=_days(rows, replies),
    )


def _replies(rows: Sequence[Row]) -> list[list[Row]]:
    """The calls of each reply, in order. A call without a reply forms a group alone."""
    grouped: dict[str | int, list[Row]] = defaultdict(list)
    for number, row in enumerate(rows):
        grouped[row.reply or number].append(row)
    return list(grouped.values())


def _giver(calls: Sequence[Row]) -> str | None:
    """The brain that gave the final answer; None if none did."""
    return next((call.brain for call in reversed(calls) if call.outcome == "ok"), None)


def _of_brain(name: str, calls: Sequence[Row], fallback: float | None, opinions: Sequence[bool]) -> BrainStatistics:
    ok = [call for call in calls if call.outcome == "ok"]
    failed = sum(call.outcome in ("error", "interrupted") for call in calls)
    cancelled = sum(call.outcome == "cancelled" for call in calls)
    measured = [call for call in ok if call.output_tokens is not None]
    cached = [
        (call.cache_read_tokens, call.input_tokens)
        for call in calls
        if call.cache_read_tokens is not None and call.input_tokens is not None
    ]
    costs = [sum_all(call.cost_usd for call in of_reply) for of_reply in _replies(calls)]
    known = [cost for cost in costs if cost is not None]
    return BrainStatistics(
        brain=name,
        models=tuple(sorted({call.model for call in calls})),
        calls=len(calls),
        answered=len(ok),
        refused=sum(call.outcome == "refused" for call in calls),
        failed=failed,
        cancelled=cancelled,
        retries=sum(call.retries > 0 for call in calls),
        error_rate=_rate(failed, len(calls) - cancelled),
        fallback_rate=fallback,
        latency=_percentiles(call.seconds for call in ok),
        first_token=_percentiles(c.first_token_seconds for c in calls if c.first_token_seconds is not None),
        tokens_per_second=_rate(sum(c.output_tokens or 0 for c in measured), sum(c.seconds for c in measured)),
        input_tokens=total_known(call.input_tokens for call in calls),
        cache_read_tokens=total_known(call.cache_read_tokens for call in calls),
        cache_write_tokens=total_known(call.cache_write_tokens for call in calls),
        output_tokens=total_known(call.output_tokens for call in calls),
        cache_share=_rate(sum(read for read, _ in cached), sum(all_of_it for _, all_of_it in cached)),
        cost_usd=_sum_known(call.cost_usd for call in calls),
        cost_unknown=sum(call.cost_usd is None for call in calls),
        cost_estimated=sum(call.cost_usd is not None and call.estimated for call in calls),
        cost_per_request=sum(known, Decimal(0)) / len(known) if known else None,
        feedback_good=sum(opinions),
        feedback_bad=len(opinions) - sum(opinions),
    )


def _days(rows: Sequence[Row], replies: Sequence[Sequence[Row]]) -> tuple[Day, ...]:
    requests: dict[str, dict[str, int]] = defaultdict(lambda: defaultdict(int))
    costs: dict[str, dict[str, Decimal]] = defaultdict(lambda: defaultdict(Decimal))
    for calls in replies:
        requests[_day_of_minute(calls[-1].at[:16])][_giver(calls) or ""] += 1
    for row in rows:
        if row.cost_usd is not None:
            costs[_day_of_minute(row.at[:16])][row.brain] += row.cost_usd
    return tuple(
        Day(day=day, requests=dict(requests[day]), cost_usd=dict(costs[day])) for day in sorted(requests | costs)
    )


@lru_cache(maxsize=4096)
def _day_of_minute(at: str) -> str:
    """The local date of a minute in UTC. Cached: converting time zones is slow, and many calls share a minute."""
    return datetime.datetime.fromisoformat(f"{at}+00:00").astimezone().date().isoformat()


def _percentiles(values: Iterable[float]) -> Percentiles:
    every = list(values)
    return Percentiles(p50=percentile(every, 0.5), p95=percentile(every, 0.95), p99=percentile(every, 0.99))


def _rate(part: float, whole: float) -> float | None:
    return part / whole if whole else None


def total_known(counts: Iterable[int | None]) -> int | None:
    """The sum of the known counts; None if none is known."""
    known = [count for count in counts if count is not None]
    return sum(known) if known else None


def _sum_known(costs: Iterable[Decimal | None]) -> Decimal | None:
    known = [cost for cost in costs if cost is not None]
    return sum(known, Decimal(0)) if known else None


def sum_all(costs: Iterable[Decimal | None]) -> Decimal | None:
    """The sum of the costs; None if one of them is unknown."""
    every = list(costs)
    return None if None in every else sum((cost for cost in every if cost is not None), Decimal(0))
