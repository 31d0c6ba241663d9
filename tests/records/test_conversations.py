"""Conversations: one file, several writers, and nothing left of what was deleted."""

from __future__ import annotations

import multiprocessing
import os
import sqlite3
import threading
from collections.abc import Callable
from pathlib import Path

import pytest

import cervella.records.conversations
from cervella.errors import ConversationError
from cervella.records.conversations import Conversations, Turn
from cervella.types import Filters, Reply

GUESTS = Filters(path="ospiti/**")
WORDS = ("zibaldone", "quisquilia", "ammennicolo", "perepepè")


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "kept" / "conversations.sqlite"


@pytest.fixture
def kept(path: Path) -> Conversations:
    return Conversations(path)


def reply(question: str = "Quando?", text: str = "Domani.", **facts: object) -> Reply:
    return Reply(question=question, text=text, brain="echo", model="m", soul="s", id="r", **facts)  # type: ignore[arg-type]


def on_disk(path: Path) -> bytes:
    """Every byte of every file beside the conversations, the log and the shared memory too."""
    return b"".join(file.read_bytes() for file in path.parent.rglob("*") if file.is_file())


# One store


def test_nothing_is_made_before_the_first_call(path: Path, kept: Conversations) -> None:
    assert kept.list() == []
    with pytest.raises(ConversationError):
        kept.delete("manca")
    with pytest.raises(ConversationError):
        kept.export("manca")
    assert not path.exists()


def test_a_turn_is_kept_whole(path: Path, kept: Conversations) -> None:
    kept.open("a", None)
    kept.append("a", reply("Perché?", "Perché sì.", retrieval_query="x perché", tainted=True, finish_reason="length"))
    [turn] = Conversations(path).turns("a")
    assert (turn.question, turn.answer, turn.query) == ("Perché?", "Perché sì.", "x perché")
    assert (turn.tainted, turn.finish_reason) == (True, "length")
    assert (turn.brain, turn.model, turn.soul, turn.reply) == ("echo", "m", "s", "r")
    assert [(m.role, m.content, m.tainted) for m in turn.messages()] == [
        ("user", "Perché?", True),
        ("assistant", "Perché sì.", True),
    ]


def test_turns_come_in_order_and_the_last_ones_on_request(kept: Conversations) -> None:
    kept.open("a", None)
    kept.open("b", None)
    for number in range(5):
        kept.append("a", reply(f"{number}?"))
        kept.append("b", reply("altro?"))
    assert [turn.question for turn in kept.turns("a")] == ["0?", "1?", "2?", "3?", "4?"]
    assert [turn.question for turn in kept.turns("a", last=2)] == ["3?", "4?"]
    assert kept.turns("manca") == []


@pytest.mark.parametrize(
    "text", ["due\nrighe\ttab", "nul \0 dentro", "'; DROP TABLE turn; --", "mezzo \ud83d surrogato"]
)
def test_any_text_is_kept(kept: Conversations, text: str) -> None:
    kept.open(text, None)
    kept.append(text, reply(text, text))
    readable = text.encode("utf-8", "replace").decode()
    [turn] = kept.turns(text)
    assert (turn.question, turn.answer) == (readable, readable)
    kept.delete(text)
    assert kept.list() == []


@pytest.mark.parametrize("id", ["", "  ", None, 42])
def test_an_id_is_a_name(kept: Conversations, id: object) -> None:
    with pytest.raises(ConversationError) as caught:
        kept.open(id, None)  # type: ignore[arg-type]
    assert "guest-42" in str(caught.value.remedy)


def test_a_turn_of_a_session_that_was_never_opened_is_refused(kept: Conversations) -> None:
    with pytest.raises(ConversationError, match="manca"):
        kept.append("manca", reply())


# Filters


def test_the_filters_of_the_first_opening_hold_for_ever(path: Path, kept: Conversations) -> None:
    assert kept.open("a", GUESTS) == GUESTS
    again = Conversations(path)
    assert again.open("a", None) == GUESTS
    assert again.open("a", GUESTS) == GUESTS
    narrower = again.open("a", Filters(status="current"))
    assert narrower is not None
    assert (narrower.status, narrower.within) == (("current",), GUESTS)
    assert again.open("a", None) == GUESTS


def test_filters_of_filters_are_kept_too(path: Path, kept: Conversations) -> None:
    both = GUESTS.narrowed(Filters(role=["decision", "lesson"], since="2026-01-01"))
    kept.open("a", both)
    assert Conversations(path).open("a", None) == both
    assert kept.export("a")["filters"]["within"]["path"] == ["ospiti/**"]


def test_tags_and_further_fields_are_kept(path: Path) -> None:
    given = Filters(tags=["prezzi"], meta={"autore": ["Rossi", "Neri"], "anno": 2026})
    Conversations(path).open("a", given)
    assert Conversations(path).open("a", None) == given


@pytest.mark.parametrize("text", ["[", "[]", "5", '{"colour": "red"}', '{"path": [3]}', '{"since": "domani"}'])
def test_filters_that_can_not_be_read_let_nobody_in(path: Path, kept: Conversations, text: str) -> None:
    kept.open("a", GUESTS)
    with sqlite3.connect(path) as database:
        database.execute("UPDATE session SET filters = ?", (text,))
    database.close()
    with pytest.raises(ConversationError) as caught:
        kept.open("a", None)
    assert caught.value.remedy


# List, export, delete


def test_the_list_has_the_last_used_first(kept: Conversations, monkeypatch: pytest.MonkeyPatch) -> None:
    moments = iter(f"2026-01-0{day}T00:00:00.000+00:00" for day in range(1, 9))
    monkeypatch.setattr(cervella.records.conversations, "_now", lambda: next(moments))
    kept.open("a", GUESTS)
    kept.open("b", None)
    kept.append("a", reply())
    assert [(one.id, one.turns, one.filters) for one in kept.list()] == [("a", 1, GUESTS), ("b", 0, None)]


def test_an_export_is_plain_data(kept: Conversations) -> None:
    kept.open("a", GUESTS)
    kept.append("a", reply("Quando?", "Domani."))
    data = kept.export("a")
    assert set(data) == {"id", "created", "updated", "filters", "turns", "turns_withheld"}
    assert data["filters"] == {"path": ["ospiti/**"]}
    assert set(data["turns"][0]) == set(Turn.__slots__)
    with pytest.raises(ConversationError, match="manca") as caught:
        kept.export("manca")
    assert caught.value.code == "session_missing"


def fill(kept: Conversations, session: str) -> None:
    kept.open(session, Filters(path=f"{WORDS[3]}/**"))
    for number in range(40):  # enough for several pages, and for overflow pages
        kept.append(session, reply(f"{WORDS[0]} {number}?", f"{WORDS[1]} " * 400, retrieval_query=WORDS[2]))


def test_after_a_deletion_no_byte_of_it_is_left(path: Path, kept: Conversations) -> None:
    fill(kept, "via")
    kept.open("resta", None)
    kept.append("resta", reply("Resta?", "Resta."))
    assert all(word.encode() in on_disk(path) for word in WORDS)
    kept.delete("via")
    left = on_disk(path)
    assert [word for word in (*WORDS, "via") if word.encode() in left] == []
    assert [turn.answer for turn in kept.turns("resta")] == ["Resta."]
    with pytest.raises(ConversationError, match="via"):
        kept.delete("via")


def test_a_deletion_reaches_the_log_of_a_program_that_still_runs(path: Path, kept: Conversations) -> None:
    fill(kept, "via")
    with sqlite3.connect(path) as other:  # an idle connection keeps the log on disk
        other.execute("SELECT count(*) FROM turn").fetchone()
        other.commit()
        kept.delete("via")
        left = on_disk(path)
        assert path.with_name(path.name + "-wal").exists()
    other.close()
    assert [word for word in WORDS if word.encode() in left] == []


def test_a_deletion_that_a_reader_holds_up_is_not_called_done(
    path: Path, kept: Conversations, monkeypatch: pytest.MonkeyPatch
) -> None:
    fill(kept, "via")
    monkeypatch.setattr(cervella.records.conversations, "_BUSY_SECONDS", 0.2)
    reader = sqlite3.connect(path, isolation_level=None)
    reader.execute("BEGIN")
    reader.execute("SELECT count(*) FROM turn").fetchone()  # it sees the turns, and so they are still there
    with pytest.raises(ConversationError) as caught:
        kept.delete("via")
    assert caught.value.code == "deletion_unfinished"
    reader.execute("ROLLBACK")
    reader.close()
    kept.delete("via")  # again, as the cure says
    assert [word for word in WORDS if word.encode() in on_disk(path)] == []


# Several writers


def write(path: Path, session: str, turns: int) -> None:
    kept = Conversations(path)
    kept.open(session, GUESTS)
    for number in range(turns):
        kept.append(session, reply(f"{number}?"))


def test_threads_write_at_once_and_lose_nothing(path: Path) -> None:
    failures: list[BaseException] = []

    def work() -> None:
        try:
            write(path, "insieme", 15)
        except BaseException as error:
            failures.append(error)

    threads = [threading.Thread(target=work) for _ in range(6)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert failures == []
    assert len(Conversations(path).turns("insieme")) == 90


def test_processes_write_at_once_and_lose_nothing(path: Path) -> None:
    context = multiprocessing.get_context("spawn")
    workers = [context.Process(target=write, args=(path, "insieme", 20)) for _ in range(2)]
    for worker in workers:
        worker.start()
    for worker in workers:
        worker.join(60)
    assert [worker.exitcode for worker in workers] == [0, 0]
    assert len(Conversations(path).turns("insieme")) == 40
    assert [one.filters for one in Conversations(path).list()] == [GUESTS]


def test_two_that_open_the_same_session_at_once_get_the_filters_of_the_first(path: Path) -> None:
    Conversations(path).open("altra", None)
    start = threading.Barrier(8)
    given: list[tuple[Filters, Filters | None]] = []
    failures: list[BaseException] = []

    def work(number: int) -> None:
        mine = Filters(project=f"p{number}")
        start.wait()
        try:
            given.append((mine, Conversations(path).open("nuova", mine)))
        except BaseException as error:
            failures.append(error)

    threads = [threading.Thread(target=work, args=(number,)) for number in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert failures == []
    [kept] = [one.filters for one in Conversations(path).list() if one.id == "nuova"]
    assert kept is not None
    assert all(got == (mine if mine == kept else kept.narrowed(mine)) for mine, got in given)


# What can go wrong


def newer(path: Path) -> None:
    Conversations(path).open("a", None)
    database = sqlite3.connect(path)
    database.execute("PRAGMA user_version = 99")
    database.close()


def garbage(path: Path) -> None:
    path.parent.mkdir(parents=True)
    path.write_bytes(b"questo non e' SQLite\n" * 400)


def overwritten(path: Path) -> None:
    fill(Conversations(path), "a")
    data = bytearray(path.read_bytes())
    data[1024:] = b"\xa5" * (len(data) - 1024)
    path.write_bytes(data)


def folder(path: Path) -> None:
    path.mkdir(parents=True)


def under_a_file(path: Path) -> None:
    path.parent.write_text("un file dove serve una cartella")


@pytest.mark.parametrize("spoil", [newer, garbage, overwritten, folder, under_a_file])
def test_a_file_that_can_not_be_used_is_an_error_with_its_cure(
    path: Path, kept: Conversations, spoil: Callable[[Path], None]
) -> None:
    spoil(path)
    before = path.read_bytes() if path.is_file() else None
    calls: list[Callable[[], object]] = [
        lambda: kept.open("a", None),
        lambda: kept.append("a", reply()),
        lambda: kept.turns("a"),
        lambda: kept.delete("a"),
    ]
    for call in calls:
        with pytest.raises(ConversationError) as caught:
            call()
        assert str(path) in caught.value.message or caught.value.code == "session_missing"
        assert caught.value.remedy
    assert (path.read_bytes() if path.is_file() else None) == before


@pytest.mark.skipif(os.name == "nt", reason="Windows has no such rights")
def test_nobody_else_on_the_machine_reads_the_questions(tmp_path: Path) -> None:
    Conversations(tmp_path / "talk.sqlite").open("guest", None)
    assert (tmp_path / "talk.sqlite").stat().st_mode & 0o077 == 0
