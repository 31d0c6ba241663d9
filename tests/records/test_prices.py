"""What a call costs: worked by hand, per request, and None where it can't be known."""

from __future__ import annotations

import datetime
import logging
from decimal import Decimal
from typing import Any

import pytest

from cervella.errors import ConfigError
from cervella.records.ledger import Prices
from cervella.types import Attempt, Usage

NOVEMBER = datetime.datetime(2026, 11, 1, 12, tzinfo=datetime.UTC)


def call(model: str, *, brain: str = "claude", location: Any = "cloud", **facts: Any) -> Attempt:
    own = {name: facts.pop(name) for name in ("outcome", "error", "seconds") if name in facts}
    usage = Usage(**facts)
    return Attempt(brain=brain, model=model, location=location, usage=usage, **{"outcome": "ok", **own})


def of(prompt: int, output: int, *, read: int = 0, write: int = 0, hour: int = 0) -> dict[str, int]:
    return {
        "input_tokens": prompt,
        "output_tokens": output,
        "cache_read_tokens": read,
        "cache_write_tokens": write,
        "cache_write_1h_tokens": hour,
    }


# Rates by hand, US dollars per million tokens. The prompt counts include what is read from the cache and written to it.
GOLDEN = [
    # Haiku 5.5 to 100,000 tokens of prompt: 0.10 in, 0.50 out, 0.01 read, 0.125 written (5 minutes), 0.20 (an hour).
    ("claude-haiku-5-5", of(6_000, 400, read=4_000), "0.00044"),  # 2,000 x 0.10 + 4,000 x 0.01 + 400 x 0.50
    ("claude-haiku-5-5", of(6_000, 400, write=4_000, hour=4_000), "0.0012"),  # 0.0002 + 4,000 x 0.20 + 0.0002
    ("claude-haiku-5-5", of(100_000, 400), "0.0102"),  # the last of the lower tier: 0.01 + 0.0002
    # Above: 0.50, 2.50, 0.05, 0.625, on the whole request, cached tokens counted.
    ("claude-haiku-5-5", of(100_001, 400), "0.0510005"),  # 100,001 x 0.50 + 400 x 2.50
    ("claude-haiku-5-5", of(150_000, 1_000, read=90_000, write=20_000), "0.0395"),  # 0.02 + 0.0045 + 0.0125 + 0.0025
    # Sonnet 5.5: 2, 10, 0.10, 2.50, 4.
    ("claude-sonnet-5-5", of(6_000, 400, read=4_000), "0.0084"),  # 0.004 + 0.0004 + 0.004
    ("claude-sonnet-5-5", of(6_000, 400, write=4_000, hour=1_000), "0.0195"),  # 0.004 + 0.0075 + 0.004 + 0.004
    # Opus 5: 5, 25, 0.50, 6.25, 10.
    ("claude-opus-5", of(10_000, 800, read=3_000, write=5_000), "0.06275"),  # 0.01 + 0.0015 + 0.03125 + 0.02
    # Opus 4.5: 5, 25, 0.50; nine tenths of the prompt cached.
    ("claude-opus-4-5", of(10_000, 1_000), "0.075"),
    ("claude-opus-4-5", of(10_000, 1_000, read=9_000), "0.0345"),
    # Sonnet 4.5: 3, 15, 0.30 to 200,000 tokens of prompt, then 6 and 22.50.
    ("claude-sonnet-4-5", of(8_000, 1_000, read=7_200), "0.01956"),  # 0.0024 + 0.00216 + 0.015
    ("claude-sonnet-4-5", of(200_000, 1_000), "0.615"),
    ("claude-sonnet-4-5", of(200_001, 1_000), "1.222506"),
    # Haiku 4.5, under its dated name: 1, 5, 0.10, 1.25.
    ("claude-haiku-4-5-20251001", of(5_000, 200, write=2_000), "0.0065"),  # 0.003 + 0.0025 + 0.001
]


@pytest.mark.parametrize(("model", "usage", "usd"), GOLDEN)
def test_a_request_costs_what_it_comes_to_by_hand(model: str, usage: dict[str, int], usd: str) -> None:
    cost = Prices().cost(call(model, **usage), NOVEMBER)
    assert cost.usd == Decimal(usd)
    assert str(cost.usd) == usd  # no trailing zeros, no exponent
    assert cost.date == "2026-11-01"
    assert cost.source is not None
    assert cost.source.startswith("genai-prices ")


def test_requests_are_priced_one_by_one_and_never_as_a_sum() -> None:
    prices = Prices()
    one = prices.cost(call("claude-sonnet-4-5", **of(500, 200)), NOVEMBER).usd
    as_one = prices.cost(call("claude-sonnet-4-5", **of(15_000_000, 6_000_000)), NOVEMBER).usd
    assert one is not None
    assert one * 30_000 == 135
    assert as_one == 225  # what a sum would cost: the long prompt's price, which no request had


@pytest.mark.parametrize(("day", "usd"), [("2026-03-01", "2.03751"), ("2026-04-01", "1.025005")])
def test_a_price_is_the_one_of_the_day_of_the_request(day: str, usd: str) -> None:
    at = datetime.datetime.fromisoformat(f"{day}T12:00:00+00:00")  # Opus 4.6 lost its dearer tier on 13 March
    assert Prices().cost(call("claude-opus-4-6", **of(200_001, 1_000)), at).usd == Decimal(usd)


# Unknown


def test_an_unknown_model_has_no_cost_and_is_told_of_once(caplog: pytest.LogCaptureFixture) -> None:
    prices = Prices()
    with caplog.at_level(logging.WARNING, logger="cervella"):
        costs = [prices.cost(call("claude-che-non-esiste", **of(10, 10)), NOVEMBER) for _ in range(3)]
    assert [cost.usd for cost in costs] == [None] * 3
    [said] = caplog.records
    assert "claude-che-non-esiste" in said.getMessage()
    assert "[brains.claude.price]" in said.getMessage()


@pytest.mark.parametrize("usage", [{}, {"input_tokens": 5}, {"output_tokens": 5}])
def test_without_its_tokens_a_call_has_no_cost(usage: dict[str, int]) -> None:
    assert Prices().cost(call("claude-sonnet-5-5", **usage), NOVEMBER).usd is None


@pytest.mark.parametrize("outcome", ["cancelled", "interrupted"])
def test_a_call_that_broke_off_may_be_billed_and_has_no_known_cost(outcome: str) -> None:
    assert Prices().cost(call("claude-sonnet-5-5", outcome=outcome), NOVEMBER).usd is None
    timeout = call("claude-sonnet-5-5", outcome="error", error="brain_timeout")
    assert Prices().cost(timeout, NOVEMBER).usd is None


@pytest.mark.parametrize("code", ["brain_auth", "brain_rate_limit", "brain_unavailable", "prompt_too_long"])
def test_a_call_that_the_engine_refused_costs_nothing(code: str) -> None:
    assert Prices().cost(call("claude-sonnet-5-5", outcome="error", error=code), NOVEMBER).usd == 0


def test_tokens_that_do_not_add_up_have_no_cost() -> None:
    assert Prices().cost(call("claude-sonnet-5-5", **of(100, 10, read=400)), NOVEMBER).usd is None
    own = Prices({"claude": {"price": {"input": 2, "output": 10}}})
    assert own.cost(call("claude-sonnet-5-5", **of(100, 10, read=400)), NOVEMBER).usd is None


# Engines of one's own


@pytest.mark.parametrize("location", ["local", "private"])
def test_an_engine_of_ones_own_without_a_figure_has_no_known_cost(location: str) -> None:
    # Its model is in the list of a vendor who sells it: that is not what it costs here.
    assert Prices().cost(call("claude-sonnet-5-5", location=location, **of(100, 10)), NOVEMBER).usd is None


def test_an_engine_paid_by_the_hour_costs_the_time_that_it_was_busy() -> None:
    prices = Prices({"gpu-box": {"usd_per_hour": 1.2}})
    facts = {"brain": "gpu-box", "location": "private", "seconds": 1.5}
    cost = prices.cost(call("Qwen/Qwen3-4B", **facts), NOVEMBER)
    assert cost.usd == Decimal("0.0005")
    assert cost.source == "[brains.gpu-box] usd_per_hour"
    assert prices.cost(call("Qwen/Qwen3-4B", outcome="cancelled", **facts), NOVEMBER).usd == Decimal("0.0005")


# A price of one's own


def test_a_configured_price_comes_before_the_list() -> None:
    table = {"input": 1, "output": 2, "cache_read": "0.5", "cache_write": 4, "cache_write_1h": 8, "valid": "2026-10-07"}
    cost = Prices({"claude": {"price": table}}).cost(
        call("claude-sonnet-5-5", **of(10_000, 1_000, read=2_000, write=3_000, hour=1_000)), NOVEMBER
    )
    # 5,000 x 1 + 2,000 x 0.5 + 2,000 x 4 + 1,000 x 8 + 1,000 x 2
    assert cost.usd == Decimal("0.024")
    assert (cost.source, cost.date) == ("[brains.claude.price]", "2026-10-07")


def test_a_configured_price_without_cache_rates_takes_cached_tokens_for_input() -> None:
    prices = Prices({"box": {"price": {"input": 1, "output": 2}}})
    usage = of(10_000, 1_000, read=9_000, write=500)
    assert prices.cost(call("m", brain="box", location="private", **usage), NOVEMBER).usd == Decimal("0.012")


def test_a_configured_price_holds_from_its_day_on() -> None:
    prices = Prices({"claude": {"price": {"input": 9, "output": 9, "valid": datetime.date(2026, 11, 2)}}})
    before, after = (
        prices.cost(call("claude-sonnet-5-5", **of(6_000, 400, read=4_000)), NOVEMBER + datetime.timedelta(days=days))
        for days in (0, 1)
    )
    assert (before.usd, after.usd) == (Decimal("0.0084"), Decimal("0.0576"))


def test_another_url_is_another_vendor_and_a_kind_keeps_its_own() -> None:
    prices = Prices(
        {
            "api": {"kind": "vllm", "url": "https://api.openai.com/v1"},
            "elsewhere": {"kind": "vllm", "url": "https://gpu.example/v1"},
            "haiku": {"kind": "claude", "url": "https://proxy.example"},
        }
    )
    assert prices.cost(call("gpt-4o", brain="api", **of(600, 400)), NOVEMBER).usd == Decimal("0.0055")
    assert prices.cost(call("gpt-4o", brain="elsewhere", **of(600, 400)), NOVEMBER).usd is None
    assert prices.cost(call("claude-haiku-5-5", brain="haiku", **of(100_000, 400)), NOVEMBER).usd == Decimal("0.0102")


@pytest.mark.parametrize(
    ("own", "said"),
    [
        ({"price": 3}, "price"),
        ({"price": {"input": 1}}, "output"),
        ({"price": {"input": 1, "output": 1, "outptu": 1}}, "outptu"),
        ({"price": {"input": -1, "output": 1}}, "input"),
        ({"price": {"input": "tre", "output": 1}}, "input"),
        ({"price": {"input": True, "output": 1}}, "input"),
        ({"price": {"input": 1, "output": 1, "valid": "ieri"}}, "valid"),
        ({"usd_per_hour": "molto"}, "usd_per_hour"),
        ({"usd_per_hour": float("inf")}, "usd_per_hour"),
        ({"usd_per_hour": 1, "price": {"input": 1, "output": 1}}, "both"),
    ],
)
def test_a_price_that_can_not_be_used_is_an_error(own: dict[str, Any], said: str) -> None:
    with pytest.raises(ConfigError) as caught:
        Prices({"box": own})
    assert said in caught.value.message
    assert caught.value.remedy


# Before the call


def test_an_estimate_is_never_less_than_the_call_comes_to() -> None:
    prices = Prices()
    most = prices.estimate("claude", "claude-haiku-5-5", "cloud", input_tokens=9_000, output_tokens=400, at=NOVEMBER)
    assert most is not None
    for usage in (of(9_000, 400), of(9_000, 0), of(9_000, 400, write=9_000), of(9_000, 400, read=8_000)):
        cost = prices.cost(call("claude-haiku-5-5", **usage), NOVEMBER).usd
        assert cost is not None
        assert cost <= most


def test_an_estimate_is_unknown_where_the_price_is() -> None:
    ask = {"input_tokens": 10, "output_tokens": 10, "at": NOVEMBER}
    assert Prices().estimate("x", "che-non-esiste", "cloud", **ask) is None
    assert Prices().estimate("embedded", "smol", "local", **ask) is None
    assert Prices({"box": {"usd_per_hour": 3.6}}).estimate("box", "m", "private", **ask) == Decimal("0.06")
