"""Through the agent: every call is written the moment it ends, priced, and asked for before; no answer fails for it."""

from __future__ import annotations

import asyncio
import logging
import os
import sqlite3
import subprocess
import sys
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest

from cervella import Agent, load_config
from cervella.errors import (
    BrainAuthError,
    BrainRateLimitError,
    BrainUnavailableError,
    BudgetError,
    ConfigError,
    LedgerError,
    StreamInterruptedError,
)
from cervella.records.ledger import Limit
from cervella.testing import EchoBrain, FixedRetriever, ScriptedBrain
from cervella.types import Attempt, Interrupted, Passage, Prompt, TextDelta, Usage
from tests.conftest import SECRET, PlainSoul

SONNET = {"location": "cloud", "model": "claude-sonnet-5-5", "name": "claude"}
USAGE = Usage(input_tokens=6_000, cache_read_tokens=4_000, cache_write_tokens=0, output_tokens=400)
"""$0.0084 of Sonnet 5.5."""


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "kept" / "ledger.sqlite"


@pytest.fixture
def make(path: Path, passages: tuple[Passage, ...], soul: PlainSoul, tmp_path: Path) -> Iterator[Any]:
    """Makes agents over the sample passages that share one ledger, and closes them."""
    made: list[Agent] = []

    def agent(brain: Any = None, *, guard: Any = None, on_attempt: Any = None, **sections: Any) -> Agent:
        sections["ledger"] = {"path": path, **sections.get("ledger", {})}
        sections["conversations"] = {"path": tmp_path / "talk.sqlite"}
        made.append(
            Agent(
                config=load_config(None, sections),
                brain=brain or EchoBrain(),
                retriever=FixedRetriever(passages[:2]),
                soul=soul,
                guard=guard,
                on_attempt=on_attempt,
            )
        )
        return made[-1]

    yield agent
    for one in made:
        one.close()


def claude(*answers: Any, usage: Usage = USAGE, **options: Any) -> ScriptedBrain:
    return ScriptedBrain(list(answers) or ["Il 20 gennaio [F1]."], usage=usage, **{**SONNET, **options})


# Every call is written


def test_an_answer_is_a_row_with_its_cost(make: Any, soul: PlainSoul) -> None:
    agent = make(claude())
    reply = agent.ask("Quando parte?")
    [row] = agent.ledger.rows()
    assert reply.cost_usd == Decimal("0.0084") == row.cost_usd
    assert (row.reply, row.brain, row.model, row.soul) == (reply.id, "claude", "claude-sonnet-5-5", soul.fingerprint)
    assert (row.outcome, row.error, row.retries, row.session) == ("ok", None, 0, None)
    assert (row.input_tokens, row.cache_read_tokens, row.cache_write_tokens, row.output_tokens) == (6000, 4000, 0, 400)
    assert row.first_token_seconds is not None
    assert row.seconds >= row.first_token_seconds
    assert row.price_source is not None
    assert row.price_source.startswith("genai-prices")
    assert row.price_date == row.at[:10]


@pytest.mark.parametrize("count", [10**30, -1, 1.5, True])
def test_a_token_count_that_can_not_be_is_unknown(make: Any, count: Any) -> None:
    agent = make(claude(usage=Usage(input_tokens=count, cache_read_tokens=4_000, output_tokens=400)))
    reply = agent.ask("Quando parte?")
    agent.close()
    [row] = agent.ledger.rows()
    assert (row.input_tokens, row.cache_read_tokens, row.output_tokens) == (None, 4_000, 400)
    assert reply.usage.input_tokens is None
    assert reply.cost_usd is row.cost_usd is None


def test_it_is_written_when_the_answer_is_there(make: Any, path: Path) -> None:
    make().ask("ciao")
    database = sqlite3.connect(path)
    assert database.execute("SELECT count(*) FROM attempt").fetchone() == (1,)
    database.close()


def test_a_local_answer_has_no_known_cost(make: Any) -> None:
    reply = make().ask("ciao")
    assert reply.cost_usd is None


def test_failed_calls_are_rows_of_the_same_reply_and_counted(make: Any) -> None:
    agent = make(claude(BrainUnavailableError("giù"), "Ecco [F1]."))
    reply = agent.ask("Quando parte?")
    first, second = agent.ledger.rows()
    assert {first.reply, second.reply} == {reply.id}
    assert (first.outcome, first.error, first.retries, first.cost_usd) == ("error", "brain_unavailable", 0, 0)
    assert (second.outcome, second.retries) == ("ok", 1)
    assert reply.cost_usd == Decimal("0.0084")


def test_a_reply_has_no_known_cost_where_one_of_its_calls_has_none(make: Any) -> None:
    from cervella.errors import BrainTimeoutError

    reply = make(claude(BrainTimeoutError("lenta"), "Ecco [F1].")).ask("Quando parte?")
    assert [attempt.outcome for attempt in reply.attempts] == ["error", "ok"]
    assert reply.cost_usd is None  # what the engine did before the timeout may be billed


def test_an_answer_that_fails_is_a_row_all_the_same(make: Any) -> None:
    agent = make(claude(BrainAuthError("chiave")))
    with pytest.raises(BrainAuthError):
        agent.ask("Quando parte?")
    [row] = agent.ledger.rows()
    assert (row.outcome, row.error) == ("error", "brain_auth")


def test_an_answer_that_breaks_off_has_no_cost_that_is_taken_for_known(make: Any) -> None:
    agent = make(claude(("Il 20 ", BrainUnavailableError("giù"))))
    events: list[Any] = []
    with pytest.raises(StreamInterruptedError):
        events.extend(agent.stream("Quando parte?"))
    assert isinstance(events[-1], Interrupted)
    [row] = agent.ledger.rows()
    assert row.cost_usd is None or row.estimated
    assert events[-1].reply.cost_usd == row.cost_usd
    assert (row.outcome, row.reply) == ("interrupted", events[-1].reply.id)


def test_a_caller_that_leaves_is_a_cancelled_row(make: Any) -> None:
    agent = make(claude("Una risposta di molte parole [F1].", delay=0.01))
    for event in agent.stream("Quando parte?"):
        if isinstance(event, TextDelta):
            break
    [row] = agent.ledger.rows()
    assert row.outcome == "cancelled"
    assert row.cost_usd is None or row.estimated
    assert row.reply


def test_many_at_once_keep_each_its_own(make: Any) -> None:
    agent = make(claude("Ecco [F1].", delay=0.001))

    async def ask() -> list[Any]:
        return await asyncio.gather(*(agent.aask(f"Domanda {n}?") for n in range(40)))

    replies = asyncio.run(ask())
    rows = agent.ledger.rows()
    assert sorted(row.reply for row in rows) == sorted(reply.id for reply in replies)
    assert {reply.cost_usd for reply in replies} == {Decimal("0.0084")}


def test_the_session_is_written(make: Any) -> None:
    agent = make(claude())
    agent.session("ospite-42").ask("ciao")
    assert [row.session for row in agent.ledger.rows()] == ["ospite-42"]


def test_who_chose_the_brain_and_why_is_written(make: Any) -> None:
    agent = make(claude())
    prompt = Prompt(system="Sono.", question="ciao", hints={"route": "code", "reason": "chiede del codice"})

    async def ask() -> None:
        async for _ in agent.brain.stream(prompt):
            pass

    asyncio.run(ask())
    [row] = agent.ledger.rows()
    assert (row.route, row.reason, row.reply) == ("code", "chiede del codice", "")


def test_the_callers_own_hooks_are_called_too(make: Any) -> None:
    guarded: list[str] = []
    seen: list[Attempt] = []
    agent = make(claude(), guard=lambda brain, prompt: guarded.append(brain.name), on_attempt=seen.append)
    reply = agent.ask("Quando parte?")
    assert guarded == ["claude"]
    assert [attempt.reply for attempt in seen] == [reply.id]


def test_agents_of_one_soul_share_the_ledger(make: Any) -> None:
    agent = make(EchoBrain())
    with agent.with_brain(claude()) as other:
        other.ask("ciao")
    agent.ask("ciao")
    assert sorted(row.brain for row in agent.ledger.rows()) == ["claude", "echo"]


def test_without_a_ledger_an_answer_has_its_cost_and_nothing_is_written(make: Any, path: Path) -> None:
    assert make(claude(), ledger={"enabled": False}).ask("Quando?").cost_usd == Decimal("0.0084")
    assert not path.parent.exists()


# No words, unless they are asked for


def test_no_word_of_question_or_answer_is_kept(make: Any, path: Path) -> None:
    agent = make(claude("Rispostissima [F1]."))
    agent.session("ospite").ask("Segretissima?")
    agent.close()
    data = b"".join(one.read_bytes() for one in path.parent.iterdir())
    assert b"Segretissima" not in data
    assert b"Rispostissima" not in data


def test_kept_text_has_its_secrets_masked(make: Any) -> None:
    agent = make(claude(f"La chiave è {SECRET}."), ledger={"keep_text": True})
    reply = agent.ask(f"Va bene {SECRET}?")
    agent.feedback(reply, good=False, note=f"ha detto {SECRET}")
    [row], [said] = agent.ledger.rows(), agent.ledger.feedback()
    for text in (row.question, row.answer, said.note):
        assert text is not None
        assert SECRET not in text
        assert "[REDATTO" in text


def test_a_deleted_session_leaves_the_ledger_too(make: Any, path: Path) -> None:
    agent = make(claude("Rispostissima."), ledger={"keep_text": True})
    reply = agent.session("ospite-via").ask("Segretissima?")
    agent.feedback(reply, good=True, note="Commentino")
    agent.conversations.delete("ospite-via")
    data = b"".join(one.read_bytes() for one in path.parent.iterdir())
    assert [w for w in (b"Rispostissima", b"Segretissima", b"Commentino", b"ospite-via") if w in data] == []
    assert [row.cost_usd for row in agent.ledger.rows()] == [Decimal("0.0084")]


# Feedback


def test_feedback_works_after_a_restart_by_the_replys_id(make: Any) -> None:
    with make() as agent:
        reply = agent.ask("ciao")
    again = make()
    again.feedback(reply.id, good=True, note="giusta")
    [said] = again.ledger.feedback()
    assert (said.reply, said.good, said.note) == (reply.id, True, "giusta")
    with pytest.raises(LedgerError):
        again.feedback("mai vista", good=True)


# Budgets


def test_a_call_past_the_budget_is_not_made(make: Any) -> None:
    brain = claude()
    agent = make(brain, budget={"usd_per_day": "0.0001"})
    with pytest.raises(BudgetError) as caught:
        agent.ask("Quando parte?")
    assert brain.prompts == []
    assert caught.value.limit_usd == Decimal("0.0001")
    assert agent.ledger.rows() == []


def test_a_budget_counts_what_was_spent_before_a_restart(make: Any) -> None:
    options = {"budget": {"usd_per_month": "0.06"}}
    with make(claude(usage=Usage(input_tokens=10_000, output_tokens=3_500)), **options) as agent:
        assert agent.ask("Quando?", max_output_tokens=50).cost_usd == Decimal("0.055")
    with pytest.raises(BudgetError) as caught:
        make(claude(), **options).ask("Quando?", max_output_tokens=1000)
    assert caught.value.spent_usd == Decimal("0.055")


def test_calls_that_are_running_count_against_the_budget(make: Any) -> None:
    # Each may cost about 0.005 + the prompt: of ten at once only some can be allowed, however little they use.
    brain = claude("Una risposta [F1].", delay=0.05, usage=Usage(input_tokens=10, output_tokens=10))
    agent = make(brain, budget={"usd_per_day": "0.03"})

    async def ask() -> list[Any]:
        asked = (agent.aask(f"Domanda {n}?", max_output_tokens=500) for n in range(10))
        return await asyncio.gather(*asked, return_exceptions=True)

    results = asyncio.run(ask())
    refused = [result for result in results if isinstance(result, BudgetError)]
    assert 0 < len(refused) < 10
    assert len(brain.prompts) == 10 - len(refused)
    agent.ask("E dopo?", max_output_tokens=500)  # what was set aside is free again


def test_what_was_set_aside_is_given_back_however_the_call_ends(make: Any, path: Path) -> None:
    failing = [BrainAuthError("no"), BrainRateLimitError("piano", retry_after=1e6), ("Il ", BrainUnavailableError("x"))]
    agent = make(claude(*failing, "Una risposta lunga.", delay=0.01), budget={"usd_per_day": 5})
    for _ in failing:
        with pytest.raises((BrainAuthError, BrainRateLimitError, StreamInterruptedError)):
            agent.ask("Quando?")
    next(event for event in agent.stream("E poi?") if isinstance(event, TextDelta))
    agent.ledger.close()
    database = sqlite3.connect(path)
    assert database.execute("SELECT count(*) FROM reservation").fetchone() == (0,)
    database.close()
    # Two calls may have been billed, and nobody says how much: they count all the same.
    broken = [row for row in agent.ledger.rows() if row.outcome in ("interrupted", "cancelled")]
    taken = [row.estimate_usd if row.cost_usd is None else row.cost_usd for row in broken]
    assert all(usd is not None and usd > 0 for usd in taken)
    assert agent.ledger.spent(Limit(usd=Decimal(5), period="day")) == sum(taken)


def test_a_brain_can_have_a_limit_of_its_own(make: Any) -> None:
    agent = make(EchoBrain(), brains={"claude": {"usd_per_day": 0}})
    agent.ask("ciao")
    with pytest.raises(BudgetError, match="claude"):
        agent.ask("ciao", brain=claude())


def test_an_unknown_price_under_a_budget_is_refused_or_allowed_as_configured(
    make: Any, caplog: pytest.LogCaptureFixture
) -> None:
    unknown = {"model": "mai-sentito"}
    with pytest.raises(BudgetError) as caught:
        make(claude(**unknown), budget={"usd_per_day": 5, "unknown": "refuse"}).ask("ciao")
    assert "mai-sentito" in caught.value.message
    assert caught.value.remedy is not None
    assert "[brains.claude.price]" in caught.value.remedy
    with caplog.at_level(logging.WARNING, logger="cervella"):
        agent = make(claude(**unknown), budget={"usd_per_day": 5})
        assert [agent.ask("ciao").cost_usd for _ in range(3)] == [None] * 3
    assert (
        sum("allow" in record.getMessage() or "unknown says" in record.getMessage() for record in caplog.records) == 1
    )


def test_a_local_brain_without_a_figure_is_never_refused(make: Any) -> None:
    assert make(EchoBrain(), budget={"usd_per_day": 0, "unknown": "refuse"}).ask("ciao").text == "ciao"


def test_a_budget_without_a_ledger_is_an_error(make: Any) -> None:
    with pytest.raises(ConfigError, match="budget"):
        make(ledger={"enabled": False}, budget={"usd_per_day": 1})


# The books can't be written


@pytest.fixture
def locked(path: Path) -> Iterator[sqlite3.Connection]:
    """A ledger that somebody else is writing, without end."""
    path.parent.mkdir(parents=True, exist_ok=True)
    database = sqlite3.connect(path, isolation_level=None, check_same_thread=False)
    database.execute("PRAGMA journal_mode = WAL")
    database.execute("PRAGMA user_version = 0")
    database.execute("BEGIN IMMEDIATE")
    yield database
    database.close()


def test_a_locked_ledger_breaks_no_answer_and_gets_its_rows_later(
    make: Any, locked: sqlite3.Connection, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("cervella.records.ledger.ledger._BUSY_SECONDS", 0.05)
    agent = make(claude())
    with caplog.at_level(logging.WARNING, logger="cervella"):
        assert [agent.ask("Quando?").cost_usd for _ in range(3)] == [Decimal("0.0084")] * 3
    assert sum("kept in memory" in record.getMessage() for record in caplog.records) == 1
    locked.execute("ROLLBACK")
    assert len(agent.ledger.rows()) == 3


def test_a_ledger_that_can_not_be_made_breaks_no_answer(
    make: Any, path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    path.parent.write_text("un file dove serve una cartella")
    agent = make(claude())
    with caplog.at_level(logging.WARNING, logger="cervella"):
        assert agent.ask("Quando?").cost_usd == Decimal("0.0084")
        agent.close()
    assert any(str(path) in record.getMessage() for record in caplog.records)
    with pytest.raises(LedgerError):
        agent.feedback("chissà", good=True)


@pytest.mark.parametrize("unknown", ["allow", "refuse"])
def test_a_budget_that_can_not_be_reckoned_is_an_unknown_one(make: Any, path: Path, unknown: str) -> None:
    path.parent.write_text("un file dove serve una cartella")
    agent = make(claude(), budget={"usd_per_day": 5, "unknown": unknown})
    if unknown == "allow":
        assert agent.ask("Quando?").cost_usd == Decimal("0.0084")
    else:
        with pytest.raises(BudgetError, match="computed"):
            agent.ask("Quando?")


# Processes

SCRIPT = """
import os, sys, cervella
from cervella.testing import EchoBrain, FixedRetriever
class Soul:
    name = "n"; language = "it"; fingerprint = "f"
    def system_prompt(self): return "Sono."
agent = cervella.Agent(brain=EchoBrain(), retriever=FixedRetriever(), soul=Soul())
agent.ask("prima")
{then}
"""


def run(folder: Path, then: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-W", "error", "-c", SCRIPT.format(then=then)],
        capture_output=True,
        text=True,
        cwd=folder,
        check=False,
    )


def test_an_agent_that_nobody_closes_loses_nothing(isolated: Path) -> None:
    done = run(isolated, "agent.ask('seconda')")
    assert (done.returncode, done.stderr) == (0, "")
    with Agent(brain=EchoBrain(), retriever=FixedRetriever(), soul=PlainSoul()) as agent:
        assert len(agent.ledger.rows()) == 2


@pytest.mark.skipif(not hasattr(os, "fork"), reason="this system has no fork")
@pytest.mark.parametrize("before", ["agent.close(); agent.ledger.rows()", "agent.ledger.rows()", "pass"])
def test_a_forked_process_writes_to_the_same_ledger(isolated: Path, before: str) -> None:
    fork = (
        "import warnings; warnings.simplefilter('ignore')\n"
        f"{before}\n"
        "child = os.fork()\n"
        "agent.ask('figlio' if child == 0 else 'padre')\n"
        "agent.close()\n"
        "if child == 0: os._exit(0)\n"
        "assert os.waitpid(child, 0)[1] == 0"
    )
    done = run(isolated, fork)
    assert done.returncode == 0, done.stderr
    with Agent(brain=EchoBrain(), retriever=FixedRetriever(), soul=PlainSoul()) as agent:
        assert len(agent.ledger.rows()) == 3


def test_threads_share_an_agent_and_its_books(make: Any) -> None:
    agent = make(claude("Ecco [F1]."))
    with ThreadPoolExecutor(8) as pool:
        replies = list(pool.map(lambda n: agent.ask(f"Domanda {n}?"), range(24)))
    assert {reply.cost_usd for reply in replies} == {Decimal("0.0084")}
    assert len(agent.ledger.rows()) == 24
