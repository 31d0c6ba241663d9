"""`cervella stats`: what was asked, counted; nothing is a friendly nothing."""

from __future__ import annotations

import datetime
import json
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest

from cervella.cli import main
from cervella.records.ledger import Ledger, Row

STATISTICS = {
    "since", "requests", "calls", "answered", "cost_usd", "cost_unknown", "fallback_rate", "brains", "days", "budget",
}  # fmt: skip
BRAIN = {
    "brain", "models", "calls", "answered", "refused", "failed", "cancelled", "retries", "error_rate", "fallback_rate",
    "latency", "first_token", "tokens_per_second", "input_tokens", "cache_read_tokens", "cache_write_tokens",
    "output_tokens", "cache_share", "cost_usd", "cost_unknown",
    "cost_estimated", "cost_per_request", "feedback_good", "feedback_bad",
}  # fmt: skip


@pytest.fixture
def run(isolated: Path, capsys: pytest.CaptureFixture[str]) -> Any:
    def call(*arguments: str) -> tuple[int, str, str]:
        code = main(["stats", *arguments])
        said = capsys.readouterr()
        return code, said.out, said.err

    return call


@pytest.fixture
def kept(isolated: Path) -> Ledger:
    (isolated / "cervella.toml").write_text("[budget]\nusd_per_month = 5\n[brains.claude]\nusd_per_day = 1\n")
    ledger = Ledger(isolated / ".cervella" / "ledger.sqlite")
    now = datetime.datetime.now(datetime.UTC)
    for days, brain, cost in ((0, "claude", "0.25"), (0, "gpu-box", None), (40, "claude", "9")):
        at = (now - datetime.timedelta(days=days)).isoformat(timespec="milliseconds")
        usd = None if cost is None else Decimal(cost)
        ledger.record([Row(at=at, reply=f"{brain}{days}", brain=brain, model="m", seconds=2.0, cost_usd=usd)])
    return ledger


def test_an_empty_ledger_is_no_error(run: Any, isolated: Path) -> None:
    code, out, err = run()
    assert (code, out) == (0, "")
    assert err.startswith("No call is recorded yet. No cervella.toml here or above.")
    (isolated / "cervella.toml").write_text("", encoding="utf-8")
    assert run() == (0, "", "No call is recorded yet.\n")
    code, out, _ = run("--json", "--since", "7d")
    assert code == 0
    assert json.loads(out)["brains"] == []
    assert run("--html", "pagine/vuota.html")[0] == 0
    assert "No call is recorded yet" in (isolated / "pagine" / "vuota.html").read_text(encoding="utf-8")
    assert not (isolated / ".cervella").exists()


def test_the_document_holds_every_brain(run: Any, kept: Ledger) -> None:
    code, out, _ = run("--json", "--since", "7d")
    data = json.loads(out)
    assert code == 0
    assert data.keys() == STATISTICS
    assert all(brain.keys() == BRAIN for brain in data["brains"])
    assert [(brain["brain"], brain["cost_usd"]) for brain in data["brains"]] == [("claude", 0.25), ("gpu-box", None)]
    assert data["cost_unknown"] == 1
    limits = [(limit["brain"], limit["period"], limit["limit_usd"]) for limit in data["budget"]]
    assert limits == [(None, "month", 5.0), ("claude", "day", 1.0)]
    assert data["budget"][1]["spent_usd"] == 0.25


def test_the_table_tells_what_is_not_known(run: Any, kept: Ledger) -> None:
    code, out, err = run()
    assert code == 0
    assert "claude" in out
    assert "$9.25" in out
    assert "of gpu-box" in err
    assert "usd_per_hour" in err


@pytest.mark.parametrize("since", ["ieri", "7", "7m", "2026-13-01"])
def test_a_time_that_can_not_be_read_is_a_usage_error(run: Any, since: str) -> None:
    code, _, err = run("--since", since)
    assert code == 2
    assert "help:" in err


@pytest.mark.parametrize(("since", "calls"), [("24h", 2), ("5w", 2), ("41d", 3), ("2020-01-01", 3), ("2999-01-01", 0)])
def test_since_is_a_time_back_from_now_or_a_day(run: Any, kept: Ledger, since: str, calls: int) -> None:
    assert json.loads(run("--json", "--since", since)[1])["calls"] == calls


def test_a_page_is_written(run: Any, kept: Ledger, isolated: Path) -> None:
    code, _, err = run("--html", "stats.html")
    assert code == 0
    assert "stats.html" in err
    assert "gpu-box" in (isolated / "stats.html").read_text(encoding="utf-8")


def test_a_damaged_ledger_is_an_error_with_its_cure(run: Any, isolated: Path) -> None:
    (isolated / ".cervella").mkdir()
    (isolated / ".cervella" / "ledger.sqlite").write_bytes(b"niente" * 500)
    code, out, err = run()
    assert (code, out) == (1, "")
    assert "error:" in err
    assert "help:" in err
