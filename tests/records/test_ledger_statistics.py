"""What rows come to: exact over all of them, None where there is nothing to tell."""

from __future__ import annotations

import datetime
import math
import re
from decimal import Decimal
from html.parser import HTMLParser
from typing import Any

import pytest
from hypothesis import given, strategies as st

from cervella.records.ledger import BrainStatistics, Feedback, Row, percentile, statistics_of
from cervella.records.ledger.report import html_report, shown

NOON = datetime.datetime(2026, 11, 2, 12, tzinfo=datetime.UTC)


def row(reply: str, brain: str = "claude", *, day: int = 0, **facts: Any) -> Row:
    at = (NOON + datetime.timedelta(days=day)).isoformat(timespec="milliseconds")
    return Row(at=at, reply=reply, brain=brain, model=f"{brain}-1", **facts)


def one(rows: list[Row], brain: str = "claude", feedback: list[Feedback] | None = None) -> BrainStatistics:
    return next(found for found in statistics_of(rows, feedback or ()).brains if found.brain == brain)


@given(st.lists(st.floats(0, 1e6), min_size=1, max_size=300), st.sampled_from([0.5, 0.95, 0.99]))
def test_a_percentile_is_the_smallest_value_that_so_many_do_not_exceed(values: list[float], share: float) -> None:
    found = percentile(values, share)
    assert found in values
    need = math.ceil(round(share * len(values), 9))
    assert sum(value <= found for value in values) >= need
    assert sum(value < found for value in values) < need


def test_percentiles_are_exact_over_the_answered_calls() -> None:
    rows = [row(f"r{n}", seconds=float(n), first_token_seconds=n / 10) for n in range(1, 101)]
    rows.append(row("lento", seconds=1e6, outcome="error"))
    found = one(rows)
    assert (found.latency.p50, found.latency.p95, found.latency.p99) == (50.0, 95.0, 99.0)
    assert found.first_token.p99 == 9.9


def test_rates_count_failures_and_leave_out_who_left() -> None:
    outcomes = ["ok", "ok", "error", "interrupted", "cancelled"]
    found = one([row(f"r{n}", outcome=outcome) for n, outcome in enumerate(outcomes)])
    assert (found.calls, found.answered, found.failed, found.cancelled) == (5, 2, 2, 1)
    assert found.error_rate == 0.5
    assert one([row("r", outcome="cancelled")]).error_rate is None


def test_a_fallback_is_told_of_the_brain_that_was_asked_first() -> None:
    rows = [
        row("a", "vllm", outcome="error"),
        row("a", "claude"),
        row("b", "vllm"),
        row("c", "vllm", outcome="error"),
        row("c", "vllm", retries=1),
        row("d", "vllm", outcome="error"),
    ]
    found = statistics_of(rows)
    assert (found.requests, found.answered, found.calls) == (4, 3, 6)
    assert found.fallback_rate == pytest.approx(1 / 3)
    assert one(rows, "vllm").fallback_rate == 0.25
    assert one(rows, "claude").fallback_rate is None
    assert one(rows, "vllm").retries == 1


def test_tokens_cache_and_speed_are_over_the_calls_that_report_them() -> None:
    found = one(
        [
            row("a", input_tokens=100, cache_read_tokens=80, output_tokens=50, seconds=2.0),
            row("b", input_tokens=300, cache_read_tokens=0, output_tokens=50, seconds=3.0),
            row("c", input_tokens=1000, seconds=9.0),
        ]
    )
    assert found.cache_share == 0.2
    assert found.tokens_per_second == 20.0
    assert (found.input_tokens, found.output_tokens) == (1400, 100)
    assert found.cache_write_tokens is None


def test_a_cost_that_is_not_known_is_counted_and_never_taken_for_nothing() -> None:
    rows = [
        row("a", cost_usd=Decimal("0.10"), outcome="error"),
        row("a", cost_usd=Decimal("0.20"), retries=1),
        row("b", cost_usd=Decimal("0.30")),
        row("c", cost_usd=Decimal("0.70"), outcome="interrupted", estimated=True),
        row("c", cost_usd=None, retries=1),
    ]
    found = one(rows)
    assert (found.cost_usd, found.cost_unknown, found.cost_estimated) == (Decimal("1.30"), 1, 1)
    assert found.cost_per_request == Decimal("0.30")  # of a and b: what c cost is not known
    nothing_known = one([row("a")])
    assert (nothing_known.cost_usd, nothing_known.cost_per_request, nothing_known.cost_unknown) == (None, None, 1)


def test_feedback_is_of_the_brain_that_gave_the_reply() -> None:
    rows = [row("a", "vllm", outcome="error"), row("a", "claude"), row("b", "vllm"), row("c", "vllm")]
    said = [Feedback(at="", reply=reply, good=good) for reply, good in (("a", True), ("b", False), ("altro", True))]
    assert (one(rows, "claude", said).feedback_good, one(rows, "claude", said).feedback_bad) == (1, 0)
    assert (one(rows, "vllm", said).feedback_good, one(rows, "vllm", said).feedback_bad) == (0, 1)


def test_nothing_comes_to_nothing() -> None:
    found = statistics_of([])
    assert (found.requests, found.calls, found.cost_usd, found.fallback_rate) == (0, 0, None, None)
    assert found.brains == ()
    assert found.days == ()


def test_rows_that_belong_to_no_reply_stand_by_themselves() -> None:
    assert statistics_of([row(""), row("")]).requests == 2


# As people read it


@pytest.mark.parametrize(
    ("value", "unit", "text"),
    [
        (None, "usd", "–"),
        (Decimal(0), "usd", "$0.00"),
        (Decimal("0.00044"), "usd", "$0.00044"),
        (Decimal("1234.5"), "usd", "$1,234.50"),
        (Decimal("0.0000000004"), "usd", "<$0.00000001"),
        (0.0, "share", "0.0 %"),
        (0.0042, "seconds", "4.2 ms"),
        (123.4, "seconds", "123 s"),
        (1234567, "count", "1,234,567"),
    ],
)
def test_figures_are_short_and_what_is_not_known_is_a_dash(value: Any, unit: Any, text: str) -> None:
    assert shown(value, unit) == text


class Page(HTMLParser):
    """Holds a page to its promises: whole, well-formed, no request and no script."""

    VOID = frozenset({"meta", "br"})

    def __init__(self, text: str) -> None:
        super().__init__()
        self.open: list[str] = []
        self.text: list[str] = []
        self.tags: list[tuple[str, dict[str, str | None]]] = []
        self.feed(text)
        assert self.open == []

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, dict(attrs)))

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, dict(attrs)))
        assert tag not in ("script", "link", "img", "iframe", "object")
        assert not {name for name, _ in attrs} & {"src", "href", "onload", "onclick"}
        if tag not in self.VOID:
            self.open.append(tag)

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag

    def handle_data(self, data: str) -> None:
        self.text.append(data)


ROWS = [
    row("a", "vllm", outcome="error", seconds=0.1, cost_usd=Decimal("0.0001")),
    row("a", "claude", seconds=2.0, first_token_seconds=0.4, cost_usd=Decimal("0.0084"), input_tokens=6000),
    row("b", "claude", day=3, seconds=4.0, first_token_seconds=0.6, cost_usd=Decimal("0.01")),
    row("c", "extractive", day=9, seconds=0.004, first_token_seconds=0.003),
    row("d", "extractive", day=9, outcome="error"),
]


def test_the_page_is_whole_and_asks_for_nothing() -> None:
    text = html_report(statistics_of(ROWS), [{"brain": None, "period": "day", "limit_usd": Decimal(5),
                                              "spent_usd": Decimal("0.02")}])  # fmt: skip
    page = Page(text)
    assert "url(" not in text
    assert "http" not in re.sub(r"<title>.*?</title>", "", text)
    assert "prefers-color-scheme:dark" in text
    assert ("meta", {"name": "viewport", "content": "width=device-width,initial-scale=1"}) in page.tags
    for figure in ("4 s", "$0.02", "claude-1", "vllm", "no answer"):
        assert any(figure in piece for piece in page.text), figure


def test_a_plot_keeps_inside_its_width() -> None:
    page = Page(html_report(statistics_of(ROWS)))
    placed = [
        float(value.rstrip("%"))
        for _, attributes in page.tags
        for name, value in attributes.items()
        if name in ("x", "x1", "x2", "cx") and value
    ]
    assert placed
    assert all(0 <= place <= 100 for place in placed)


def test_a_name_on_the_page_is_shown_and_never_run() -> None:
    bad = '<script>alert("ciao")</script>'
    page = Page(html_report(statistics_of([row("a", bad, seconds=1.0, cost_usd=Decimal(1))])))
    assert any(bad in piece for piece in page.text)


def test_a_page_of_nothing_says_so() -> None:
    page = Page(html_report(statistics_of([])))
    assert any("No call is recorded yet" in piece for piece in page.text)
