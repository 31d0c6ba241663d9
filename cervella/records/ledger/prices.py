"""Computes the cost of a call from the token counts that the engine reports. An unknown cost is None, never 0.

Each call is priced alone, never a sum of calls: some prices depend on the length of the prompt.
"""

from __future__ import annotations

import datetime
import logging
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from decimal import Decimal
from typing import Any

from cervella.errors import ConfigError, did_you_mean
from cervella.process.forks import ForkLock
from cervella.records.ledger.budget import amount
from cervella.types import Attempt, Location, Usage

_logger = logging.getLogger("cervella")

_PROVIDERS = {"claude": "anthropic"}
"""For a kind of brain, its provider in the price list. Other kinds are found by their url or their model's name."""
_UNBILLED = frozenset({"brain_auth", "brain_not_installed", "brain_rate_limit", "brain_unavailable", "prompt_too_long"})
"""Error codes of calls that the engine rejected or never received: they cost nothing."""
_RATES = ("input", "output", "cache_read", "cache_write", "cache_write_1h")
_SMALLEST = Decimal("1e-12")
_MILLION = Decimal(1_000_000)
_RUNNING_SECONDS = Decimal(60)
"""The cost of this many seconds is reserved for a call of an engine that is paid by the hour."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Cost:
    """The cost of one call, and the source of its price."""

    usd: Decimal | None = None
    """US dollars; None if unknown."""
    source: str | None = None
    """The source of the price: the price list with its version, a key of the configuration, or `refused` for a call
    that costs nothing."""
    date: str | None = None
    """The date for which the price was found, ISO 8601."""


class Prices:
    """The prices of the configured brains. Thread-safe.

    The first of these prices is used: `[brains.NAME.price]`, US dollars per million tokens; `[brains.NAME]
    usd_per_hour` times the duration of the call; for a cloud brain, the price list of the package genai-prices, which
    is read from this machine's disk. A local engine without a configured price has an unknown cost.
    """

    def __init__(self, brains: Mapping[str, Mapping[str, Any]] | None = None) -> None:
        """`brains` are the [brains.NAME] tables. Raises ConfigError for a price that can't be used."""
        self._brains = brains or {}
        self._tables = {name: _table(name, own["price"]) for name, own in self._brains.items() if "price" in own}
        self._hourly = {
            name: amount(own["usd_per_hour"], f"[brains.{name}] usd_per_hour")
            for name, own in self._brains.items()
            if "usd_per_hour" in own
        }
        for name in self._tables.keys() & self._hourly.keys():
            raise ConfigError(
                f"[brains.{name}] has both price and usd_per_hour.",
                remedy="Give price for an engine that is paid by the token, usd_per_hour for a machine.",
            )
        self._warned: set[tuple[str, str]] = set()
        self._lock = ForkLock()

    def cost(self, attempt: Attempt, at: datetime.datetime) -> Cost:
        """The cost of a call that was made at the time `at`."""
        name, usage = attempt.brain, attempt.usage
        if (hourly := self._hourly.get(name)) is not None:
            usd = hourly * Decimal(str(attempt.seconds)) / 3600
            return Cost(usd=_exact(usd), source=f"[brains.{name}] usd_per_hour", date=_day(at))
        if self._table(name, at) is None and attempt.location != "cloud":
            return Cost()
        if usage == Usage() and attempt.outcome == "error" and attempt.error in _UNBILLED:
            return Cost(usd=Decimal(0), source="refused", date=_day(at))
        return self._priced(name, attempt.model, usage, at)

    def estimate(
        self,
        brain: str,
        model: str,
        location: Location,
        *,
        input_tokens: int,
        output_tokens: int,
        at: datetime.datetime,
    ) -> Decimal | None:
        """The most that a call may cost in US dollars, if none of its prompt is cached; None if unknown."""
        if (hourly := self._hourly.get(brain)) is not None:
            return _exact(hourly * _RUNNING_SECONDS / 3600)
        if self._table(brain, at) is None and location != "cloud":
            return None
        most = Usage(input_tokens=input_tokens, cache_write_tokens=input_tokens, output_tokens=output_tokens)
        return self._priced(brain, model, most, at).usd

    def _priced(self, name: str, model: str, usage: Usage, at: datetime.datetime) -> Cost:
        if usage.input_tokens is None or usage.output_tokens is None:
            return Cost()
        if (table := self._table(name, at)) is not None:
            return _by_table(name, table, usage, at)
        import genai_prices  # takes half a second: only for brains that are billed

        own = self._brains.get(name, {})
        provider = _PROVIDERS.get(str(own.get("kind", name)))
        known_as = {"provider_id": provider} if provider else {"provider_api_url": own.get("url")}
        try:
            used = genai_prices.Usage(**asdict(usage))
            found = genai_prices.calc_price(used, model, genai_request_timestamp=at, **known_as)
        except (LookupError, ValueError) as error:
            self._warn(name, model, error)
            return Cost()
        source = f"genai-prices {genai_prices.__version__}: {found.provider.id}/{found.model.id}"
        return Cost(usd=_exact(found.total_price), source=source, date=_day(at))

    def _table(self, name: str, at: datetime.datetime) -> Mapping[str, Any] | None:
        """The price of a brain that the configuration gives; None if it gives none, or one that is valid only from a
        later date."""
        table = self._tables.get(name)
        return table if table is not None and (table["valid"] is None or table["valid"] <= at.date()) else None

    def _warn(self, name: str, model: str, error: Exception) -> None:
        with self._lock:
            if (name, model) in self._warned:
                return
            self._warned.add((name, model))
        problem = f"no price is known for {model!r} of the brain {name!r} ({error}): its cost is unknown"
        _logger.warning("%s; [brains.%s.price] gives one", problem, name)


def _by_table(name: str, table: Mapping[str, Any], usage: Usage, at: datetime.datetime) -> Cost:
    read, write, hour = usage.cache_read_tokens or 0, usage.cache_write_tokens or 0, usage.cache_write_1h_tokens or 0
    counts = {
        "input": (usage.input_tokens or 0) - read - write,
        "cache_read": read,
        "cache_write": write - hour,
        "cache_write_1h": hour,
        "output": usage.output_tokens or 0,
    }
    if min(counts.values()) < 0:  # the reported counts contradict each other
        return Cost()
    usd = sum((table[rate] * count / _MILLION for rate, count in counts.items()), Decimal(0))
    return Cost(usd=_exact(usd), source=f"[brains.{name}.price]", date=(table["valid"] or at.date()).isoformat())


def _table(name: str, given: Any) -> dict[str, Any]:
    """A price from the configuration, checked and with all its rates.

    If a rate for cached tokens is missing, the rate for input tokens stands in; for the cache of one hour, that of the
    ordinary cache.
    """
    key_path = f"[brains.{name}.price]"
    if not isinstance(given, Mapping):
        raise ConfigError(
            f"{key_path} is {given!r:.40}.", remedy=f"Write it as a table with the keys {', '.join(_RATES)}, valid."
        )
    known = (*_RATES, "valid")
    for key in given:
        if key not in known:
            raise ConfigError(
                f"{key_path} has no key {key!r}.",
                remedy=f"{did_you_mean(key, known)}Known keys: {', '.join(known)}.",
                code="unknown_key",
            )
    table: dict[str, Any] = {rate: amount(given[rate], f"{key_path} {rate}") for rate in _RATES if rate in given}
    for rate in ("input", "output"):
        if rate not in table:
            raise ConfigError(f"{key_path} has no {rate}.", remedy="Give US dollars per million tokens.")
    table.setdefault("cache_read", table["input"])
    table.setdefault("cache_write", table["input"])
    table.setdefault("cache_write_1h", table["cache_write"])
    return {**table, "valid": _date(given.get("valid"), key_path)}


def _date(given: Any, key_path: str) -> datetime.date | None:
    try:
        return given if given is None or isinstance(given, datetime.date) else datetime.date.fromisoformat(given)
    except (TypeError, ValueError):
        raise ConfigError(
            f"{key_path} valid is {given!r:.40}.", remedy="Give a date, as 2026-10-07.", code="bad_value"
        ) from None


def _day(at: datetime.datetime) -> str:
    return at.date().isoformat()


def _exact(usd: Decimal) -> Decimal:
    """The amount rounded to 10^-12 dollars, without trailing zeros, as the ledger stores it."""
    rounded = usd.quantize(_SMALLEST).normalize()
    return rounded if rounded.as_tuple().exponent <= 0 else rounded.quantize(Decimal(1))  # type: ignore[operator]
