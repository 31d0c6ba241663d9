"""The ledger: a row for every call, safe for threads and processes, and nobody's words after they are deleted."""

from __future__ import annotations

import datetime
import multiprocessing
import os
import signal
import sqlite3
import subprocess
import sys
import threading
import time
import warnings
from collections.abc import Callable
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest

from cervella.errors import BudgetError, LedgerError
from cervella.records.ledger import Ledger, Limit, Row
from cervella.records.ledger.rows import stored

NOW = datetime.datetime.now(datetime.UTC)
needs_fork = pytest.mark.skipif(not hasattr(os, "fork"), reason="this system has no fork")
A_DAY = (Limit(usd=Decimal("1.00"), period="day"),)


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "kept" / "ledger.sqlite"


def row(*, ago: datetime.timedelta = datetime.timedelta(0), **facts: Any) -> Row:
    at = (NOW - ago).isoformat(timespec="milliseconds")
    return Row(**{"at": at, "brain": "claude", "model": "m", "reply": "r1", "location": "cloud", **facts})


def test_a_row_comes_back_as_it_was_written(path: Path) -> None:
    full = row(
        session="ospite-42", soul="f" * 64, route="code", reason="una domanda di codice", outcome="interrupted",
        error="stream_interrupted", retries=2, input_tokens=10, cache_read_tokens=0, cache_write_tokens=3,
        cache_write_1h_tokens=1, output_tokens=5, estimated=True, seconds=1.25, first_token_seconds=0.5,
        load_seconds=0.25,
        cost_usd=Decimal("0.000000000001"), price_source="elenco", price_date="2026-11-01",
        estimate_usd=Decimal("0.1"), question="Perché?", answer="Perché sì, già.",
    )  # fmt: skip
    empty = row(reply="r2")
    Ledger(path).record([full, empty])
    assert Ledger(path).rows() == [full, empty]  # in another process, as it were
    assert empty.input_tokens is None
    assert empty.cost_usd is None


def test_rows_are_asked_for_from_a_time_on(path: Path) -> None:
    ledger = Ledger(path)
    ledger.record([row(reply="nuova"), row(reply="vecchia", ago=datetime.timedelta(days=3))])
    assert [one.reply for one in ledger.rows()] == ["vecchia", "nuova"]
    assert [one.reply for one in ledger.rows(NOW - datetime.timedelta(days=1))] == ["nuova"]


def test_reading_makes_no_file(path: Path) -> None:
    ledger = Ledger(path)
    assert ledger.rows() == []
    assert ledger.feedback() == []
    assert ledger.spent(A_DAY[0]) == 0
    ledger.forget("nessuno")
    assert not path.parent.exists()


@pytest.mark.skipif(os.name == "nt", reason="Windows has no such rights")
def test_nobody_else_on_the_machine_reads_it(path: Path) -> None:
    Ledger(path).record([row()])
    assert path.stat().st_mode & 0o077 == 0


def test_a_file_that_is_moved_away_is_made_again(path: Path) -> None:
    ledger = Ledger(path)
    ledger.record([row()])
    if os.name == "nt":  # Windows moves no open file
        ledger.close()
    path.rename(path.with_name("old.sqlite"))
    ledger.record([row(reply="r9")])
    assert [one.reply for one in ledger.rows()] == ["r9"]


# Feedback


def test_feedback_is_kept_after_a_restart_and_replaced_by_a_second_word(path: Path) -> None:
    Ledger(path).record([row()])
    Ledger(path).add_feedback("r1", good=False, note="troppo lunga")
    Ledger(path).add_feedback("r1", good=True)
    [said] = Ledger(path).feedback()
    assert (said.reply, said.good, said.note) == ("r1", True, None)


def test_feedback_on_a_reply_that_is_not_there_is_an_error(path: Path) -> None:
    ledger = Ledger(path)
    with pytest.raises(LedgerError) as caught:
        ledger.add_feedback("mai vista", good=True)
    assert caught.value.code == "reply_missing"
    ledger.record([row()])  # and the ledger goes on
    assert len(ledger.rows()) == 1


# Several writers


def write(path: Path, calls: int) -> None:
    ledger = Ledger(path)
    for number in range(calls):
        ledger.record([row(reply=f"r{number}")])


def test_threads_write_at_once_and_lose_nothing(path: Path) -> None:
    ledger, failures = Ledger(path), []

    def work() -> None:
        try:
            for _ in range(40):
                ledger.record([row()])
        except BaseException as error:
            failures.append(error)

    threads = [threading.Thread(target=work) for _ in range(6)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert failures == []
    assert len(ledger.rows()) == 240


def test_processes_write_at_once_and_lose_nothing(path: Path) -> None:
    context = multiprocessing.get_context("spawn")
    workers = [context.Process(target=write, args=(path, 50)) for _ in range(2)]
    for worker in workers:
        worker.start()
    for worker in workers:
        worker.join(60)
    assert [worker.exitcode for worker in workers] == [0, 0]
    assert len(Ledger(path).rows()) == 100


# Budgets


def test_a_second_ledger_of_the_file_does_not_let_another_process_delete_its_log(path: Path) -> None:
    first, second = Ledger(path), Ledger(path)
    first.record([row(reply="prima")])
    second.rows()

    def elsewhere(sql: str) -> str:
        code = f"import sqlite3; d = sqlite3.connect({str(path)!r}); print(d.execute({sql!r}).fetchall()); d.close()"
        return subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout

    elsewhere("SELECT count(*) FROM attempt")
    first.record([row(reply="seconda")])
    assert elsewhere("SELECT reply FROM attempt").strip() == "[('prima',), ('seconda',)]"


def test_what_is_spent_is_an_exact_sum(path: Path) -> None:
    ledger = Ledger(path)
    ledger.record([row(cost_usd=Decimal("0.1")) for _ in range(10)] + [row(cost_usd=Decimal("1e-12"))])
    assert ledger.spent(A_DAY[0]) == Decimal("1.000000000001")


def test_a_call_that_could_pass_the_limit_is_refused_with_the_figures(path: Path) -> None:
    ledger = Ledger(path)
    ledger.record([row(cost_usd=Decimal("0.95"))])
    ledger.reserve("claude", Decimal("0.05"), A_DAY)  # to the limit, not past it
    with pytest.raises(BudgetError) as caught:
        ledger.reserve("claude", Decimal("0.000001"), A_DAY)
    assert (caught.value.spent_usd, caught.value.limit_usd) == (Decimal("0.95"), Decimal("1.00"))
    assert "0.05" in caught.value.message  # what is set aside is told too
    assert caught.value.remedy


def test_what_is_set_aside_counts_until_its_call_is_written(path: Path) -> None:
    ledger, other = Ledger(path), Ledger(path)  # two processes, as it were
    held = ledger.reserve("claude", Decimal("0.9"), A_DAY)
    with pytest.raises(BudgetError):
        other.reserve("claude", Decimal("0.2"), A_DAY)
    ledger.record([row(cost_usd=Decimal("0.1"))], reserved=[held])
    other.reserve("claude", Decimal("0.9"), A_DAY)


def test_many_that_ask_at_once_never_get_more_than_there_is(path: Path) -> None:
    allowed, start = [], threading.Barrier(8)

    def work() -> None:
        ledger = Ledger(path)
        start.wait()
        for _ in range(10):
            try:
                allowed.append(ledger.reserve("claude", Decimal("0.1"), A_DAY))
            except BudgetError:
                return

    threads = [threading.Thread(target=work) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(allowed) == 10


def test_what_a_killed_process_had_set_aside_is_given_back_in_time(path: Path) -> None:
    ledger = Ledger(path)
    ledger.reserve("claude", Decimal("1"), A_DAY)
    with sqlite3.connect(path) as database:
        database.execute("UPDATE reservation SET expires = '2026-01-01T00:00:00.000+00:00'")
    database.close()
    ledger.reserve("claude", Decimal("1"), A_DAY)


def test_a_call_of_unknown_cost_takes_what_was_set_aside_for_it(path: Path) -> None:
    ledger = Ledger(path)
    ledger.record([row(estimate_usd=Decimal("0.4"), outcome="cancelled"), row(cost_usd=None)])
    assert ledger.spent(A_DAY[0]) == Decimal("0.4")


def test_a_day_and_a_month_are_those_of_the_calendar(path: Path) -> None:
    here = datetime.datetime.now().astimezone()
    day, month = (Limit(usd=Decimal(1), period=period).since(here) for period in ("day", "month"))
    assert (day.date(), day.hour, day.minute) == (here.date(), 0, 0)
    assert (month.day, month.month, month.hour) == (1, here.month, 0)
    ledger = Ledger(path)
    before = (day - datetime.timedelta(seconds=1)).astimezone(datetime.UTC).isoformat(timespec="milliseconds")
    ledger.record([row(cost_usd=Decimal("0.25")), row(at=before, cost_usd=Decimal("8"))])
    assert ledger.spent(A_DAY[0]) == Decimal("0.25")


def test_a_limit_of_one_brain_counts_that_brain_alone(path: Path) -> None:
    ledger = Ledger(path)
    own = (Limit(usd=Decimal("1"), period="month", brain="claude"),)
    ledger.record([row(brain="vllm", cost_usd=Decimal("5"))])
    ledger.reserve("vllm", Decimal("5"), own)
    ledger.reserve("claude", Decimal("1"), own)
    with pytest.raises(BudgetError, match="claude"):
        ledger.reserve("claude", Decimal("1"), own)


# Deleting

WORDS = ("Segretissima", "Rispostissima", "Commentino", "ospite-via")


def on_disk(path: Path) -> bytes:
    return b"".join(one.read_bytes() for one in path.parent.iterdir())


def test_a_session_that_is_forgotten_leaves_no_word_and_its_cost_stays(path: Path) -> None:
    ledger = Ledger(path)
    long = " e ancora" * 3000
    gone = row(session="ospite-via", question=f"Segretissima{long}", answer=f"Rispostissima{long}", cost_usd=Decimal(2))
    ledger.record([gone, row(reply="r2", session="resta", question="Questa resta")])
    ledger.add_feedback("r1", good=True, note="Commentino")
    assert all(word.encode() in on_disk(path) for word in WORDS)
    ledger.forget("ospite-via")
    assert [word for word in WORDS if word.encode() in on_disk(path)] == []
    first, second = ledger.rows()
    assert (first.session, first.question, first.answer, first.cost_usd) == (None, None, None, Decimal(2))
    assert (second.session, second.question) == ("resta", "Questa resta")
    assert [one.good for one in ledger.feedback()] == [True]


def test_words_that_another_reader_holds_are_an_error_and_can_be_deleted_again(path: Path) -> None:
    ledger = Ledger(path)
    ledger.record([row(session="ospite-via", question="Segretissima")])
    reader = sqlite3.connect(path, isolation_level=None)
    reader.execute("BEGIN")
    reader.execute("SELECT * FROM attempt").fetchall()
    with pytest.raises(LedgerError) as caught:
        ledger.forget("ospite-via")
    assert caught.value.code == "deletion_unfinished"
    reader.execute("ROLLBACK")
    reader.close()
    ledger.forget("ospite-via")
    assert b"Segretissima" not in on_disk(path)


def test_old_rows_are_deleted_where_days_are_given(path: Path) -> None:
    Ledger(path).record([row(ago=datetime.timedelta(days=40)), row(reply="r2")])
    Ledger(path).add_feedback("r1", good=True)
    ledger = Ledger(path, keep_days=31)
    assert [one.reply for one in ledger.rows()] == ["r2"]
    assert ledger.feedback() == []


# What can go wrong


def newer(path: Path) -> None:
    Ledger(path).record([row()])
    database = sqlite3.connect(path)
    database.execute("PRAGMA user_version = 99")
    database.close()


def garbage(path: Path) -> None:
    path.parent.mkdir(parents=True)
    path.write_bytes(b"questo non e' SQLite\n" * 400)


def folder(path: Path) -> None:
    path.mkdir(parents=True)


def under_a_file(path: Path) -> None:
    path.parent.write_text("un file dove serve una cartella")


@pytest.mark.parametrize("spoil", [newer, garbage, folder, under_a_file])
def test_a_file_that_can_not_be_used_is_an_error_with_its_cure(path: Path, spoil: Callable[[Path], None]) -> None:
    spoil(path)
    ledger = Ledger(path)
    for call in (lambda: ledger.record([row()]), lambda: ledger.reserve("claude", Decimal(1), A_DAY)):
        with pytest.raises(LedgerError) as caught:
            call()
        assert str(path) in caught.value.message
        assert caught.value.remedy


def fork(work: Callable[[], None]) -> int:
    """Do it in a forked child; gives its number."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)  # Python 3.12 and later warn of threads
        child = os.fork()
    if child == 0:
        try:
            signal.alarm(30)
            work()
            os._exit(0)
        finally:
            os._exit(1)
    return child


@needs_fork
def test_what_a_forked_child_writes_stays_when_its_parent_closes_the_ledger(path: Path) -> None:
    ledger = Ledger(path)
    ledger.record([row(reply="padre")])
    (said, tell), (heard, hear) = os.pipe(), os.pipe()

    def write() -> None:
        ledger.record([row(reply="figlio, prima")])
        os.write(tell, b".")
        os.read(heard, 1)
        ledger.record([row(reply="figlio, dopo")])

    child = fork(write)
    os.read(said, 1)
    ledger.close()
    os.write(hear, b".")
    assert os.waitpid(child, 0)[1] == 0
    assert [one.reply for one in ledger.rows()] == ["padre", "figlio, prima", "figlio, dopo"]
    for end in (said, tell, heard, hear):
        os.close(end)


@needs_fork
@pytest.mark.parametrize("moment", ["opens it", "writes"])
def test_a_fork_waits_while_another_thread_has_the_ledger(
    path: Path, moment: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    ledger = Ledger(path)
    if moment == "writes":
        ledger.record([row(reply="prima")])
    inside, parent = threading.Event(), os.getpid()

    def slow(work: Callable[..., Any]) -> Callable[..., Any]:
        def slowly(*arguments: Any) -> Any:
            if os.getpid() == parent:
                inside.set()
                time.sleep(0.3)
            return work(*arguments)

        return slowly

    if moment == "writes":
        monkeypatch.setattr("cervella.records.ledger.ledger.stored", slow(stored))
    else:
        monkeypatch.setattr(ledger, "_opened", slow(ledger._opened))
    thread = threading.Thread(target=lambda: ledger.record([row(reply="filo")]))
    thread.start()
    assert inside.wait(30)
    child = fork(lambda: ledger.record([row(reply="figlio")]))
    thread.join()
    assert os.waitpid(child, 0)[1] == 0
    assert {one.reply for one in ledger.rows()} >= {"filo", "figlio"}


@needs_fork
def test_a_fork_closes_the_file_and_both_processes_open_it_again(path: Path) -> None:
    ledger = Ledger(path)
    ledger.record([row()])
    assert ledger._open is not None
    child = fork(lambda: os._exit(0 if ledger._open is None else 1))
    assert os.waitpid(child, 0)[1] == 0
    assert len(ledger.rows()) == 1


@needs_fork
def test_a_call_that_never_ends_does_not_keep_a_fork_for_ever(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("cervella.process.forks._PATIENCE_SECONDS", 0.2)
    ledger = Ledger(path)
    ledger.record([row(reply="padre")])
    inside, leave = threading.Event(), threading.Event()

    def hold() -> None:
        with ledger._connected():
            inside.set()
            leave.wait()

    thread = threading.Thread(target=hold)
    thread.start()
    inside.wait()
    child = fork(lambda: ledger.record([row(reply="figlio")]))
    assert os.waitpid(child, 0)[1] == 0
    leave.set()
    thread.join()
    assert [one.reply for one in ledger.rows()] == ["padre", "figlio"]
