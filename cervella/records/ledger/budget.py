"""Checks budgets: limits of spending by day and by month, for all brains or for one."""

from __future__ import annotations

import datetime
from collections.abc import Mapping
from dataclasses import dataclass
from decimal import Decimal, InvalidOperation
from typing import Any, Literal

from cervella.errors import BudgetError, ConfigError

Period = Literal["day", "month"]
_PERIODS: tuple[Period, ...] = ("day", "month")


@dataclass(frozen=True, slots=True, kw_only=True)
class Limit:
    """The most that may be spent in a period."""

    usd: Decimal
    period: Period
    brain: str | None = None
    """The brain that the limit is for; None for all brains together."""

    def holds_for(self, brain: str) -> bool:
        return self.brain is None or self.brain == brain

    def since(self, now: datetime.datetime) -> datetime.datetime:
        """The time when the present day or month began, in the time zone of this machine."""
        day = now.astimezone().replace(hour=0, minute=0, second=0, microsecond=0, tzinfo=None)
        return (day.replace(day=1) if self.period == "month" else day).astimezone()

    def check(self, spent: Decimal, running: Decimal, estimate: Decimal) -> None:
        """Raises BudgetError if a call with this estimated cost could exceed the limit. All amounts are US dollars.

        `spent` is the amount of finished calls, `running` the amount that is reserved for calls in progress.
        """
        if spent + running + estimate <= self.usd:
            return
        of = "" if self.brain is None else f" of {self.brain!r}"
        flight = f", {running:f} USD are reserved for running calls" if running else ""
        section = "[budget]" if self.brain is None else f"[brains.{self.brain}]"
        when = "tomorrow" if self.period == "day" else "next month"
        raise BudgetError(
            f"The budget{of} is {self.usd:f} USD a {self.period}: {spent:f} USD are spent{flight}, and this call may "
            f"cost up to {estimate:f} USD.",
            spent_usd=spent,
            limit_usd=self.usd,
            remedy=f"Raise usd_per_{self.period} in {section}, give a smaller max_output_tokens, ask a brain of your "
            f"own, or wait until {when}.",
        )


def limits_of(
    per_day: Decimal | None, per_month: Decimal | None, brains: Mapping[str, Mapping[str, Any]]
) -> tuple[Limit, ...]:
    """The limits of [budget] and of the [brains.NAME] tables. Raises ConfigError for a limit that is not an amount."""
    overall: dict[Period, Decimal | None] = {"day": per_day, "month": per_month}
    found = [Limit(usd=usd, period=period) for period, usd in overall.items() if usd is not None]
    for name, table in brains.items():
        for period in _PERIODS:
            if (given := table.get(f"usd_per_{period}")) is not None:
                found.append(Limit(usd=amount(given, f"[brains.{name}] usd_per_{period}"), period=period, brain=name))
    return tuple(found)


def amount(given: Any, key: str) -> Decimal:
    """A value of the configuration as US dollars.

    Raises ConfigError, which names `key`, if it is no number or below 0.
    """
    try:
        usd = Decimal(str(given)) if not isinstance(given, bool) else Decimal("nan")
    except InvalidOperation:
        usd = Decimal("nan")
    if not usd.is_finite() or usd < 0:
        raise ConfigError(f"{key} is {given!r:.40}.", remedy="Give US dollars: a number, 0 or more.", code="bad_value")
    return usd
