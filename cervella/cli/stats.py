"""The command `cervella stats` shows the statistics of the ledger."""

from __future__ import annotations

import datetime
import re
from dataclasses import asdict
from pathlib import Path
from typing import Annotated, Any

import typer

from cervella.cli.failures import no_config_note
from cervella.cli.options import AsJson, ConfigPath
from cervella.cli.output import console, note, picked, print_json, print_line, print_table
from cervella.configuration.config import Config, load_config
from cervella.errors import ConfigError
from cervella.process.files import make_private_folder, replace_file
from cervella.records.ledger import Ledger, Statistics, statistics_of
from cervella.records.ledger.budget import limits_of
from cervella.records.ledger.report import MEASURES, html_report, shown

_PERIODS = {"h": "hours", "d": "days", "w": "weeks"}


def stats(
    config: ConfigPath = None,
    since: Annotated[
        str | None, typer.Option("--since", metavar="WHEN", help="Only calls since then: 24h, 7d, 4w, or a day.")
    ] = None,
    html: Annotated[
        Path | None, typer.Option("--html", metavar="FILE", help="Write an HTML page with plots, in one file.")
    ] = None,
    as_json: AsJson = False,
) -> None:
    """Show the times, tokens, costs, failures and feedback of every brain."""
    begin = _moment(since)
    loaded = load_config(config)
    ledger = Ledger(loaded.ledger.path)
    found = statistics_of(ledger.rows(begin), ledger.feedback(), since=begin)
    budget = _budget(loaded, ledger)
    ledger.close()
    if html is not None:
        make_private_folder(html.parent)
        replace_file(html, html_report(found, budget))
        note(f"note: The page is {html}.")
    if as_json:
        print_json({**asdict(found), "budget": budget})
    elif not found.calls:
        when = "yet" if begin is None else f"since {found.since}"
        note(f"No call is recorded {when}.{no_config_note(loaded)}")
    else:
        _print(found, budget)


def _moment(text: str | None) -> datetime.datetime | None:
    if text is None:
        return None
    if match := re.fullmatch(r"(\d{1,5})([hdw])", text.strip()):
        return datetime.datetime.now().astimezone() - datetime.timedelta(**{_PERIODS[match[2]]: int(match[1])})
    try:
        return datetime.datetime.fromisoformat(text).astimezone()
    except ValueError:
        raise ConfigError(
            f"--since is {text!r}.", remedy="Give a time before now (24h, 7d, 4w) or a day (2026-01-31)."
        ) from None


def _budget(config: Config, ledger: Ledger) -> list[dict[str, Any]]:
    """The limits of the budget, each with the amount spent in its present day or month."""
    limits = limits_of(config.budget.usd_per_day, config.budget.usd_per_month, config.brains)
    return [{**picked(one, "brain", "period"), "limit_usd": one.usd, "spent_usd": ledger.spent(one)} for one in limits]


def _print(found: Statistics, budget: list[dict[str, Any]]) -> None:
    """Print the measures as tables with a column for each brain, as many side by side as the terminal has room for."""
    label, cell = max(len(name) for name, _ in MEASURES), 14
    beside = max(1, (console().width - label) // (cell + 2))
    for start in range(0, len(found.brains), beside):
        brains = found.brains[start : start + beside]
        rows = [(name, *(measure(one) for one in brains)) for name, measure in MEASURES]
        print_table(["", *(one.brain for one in brains)], rows)
        print_line()
    print_line(
        f"{found.requests} requests, {found.answered} answered, {found.calls} calls; "
        f"fallback {shown(found.fallback_rate, 'share')}; cost {shown(found.cost_usd, 'usd')}"
    )
    for limit in budget:
        of = f" for {limit['brain']}" if limit["brain"] else ""
        print_line(
            f"budget of this {limit['period']}{of}: {shown(limit['spent_usd'], 'usd')} "
            f"of {shown(limit['limit_usd'], 'usd')}"
        )
    if unknown := [one for one in found.brains if one.cost_unknown]:
        listed = ", ".join(f"{one.cost_unknown} of {one.brain}" for one in unknown)
        note(f"note: The cost of {found.cost_unknown} calls is unknown: {listed}.")
        note("help: Set [brains.NAME] usd_per_hour for your own machine, or [brains.NAME.price] for a price per token.")
