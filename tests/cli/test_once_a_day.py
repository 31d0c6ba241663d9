"""The warning about the soul's lock: once a day for what stays the same, at once for what is new."""

from __future__ import annotations

import datetime
import json
import logging
from pathlib import Path
from typing import Any

import pytest

import cervella.cli
from cervella.cli import main
from tests.cli.test_newcomer import PAGES, QUESTION

CHANGED = "not the one that soul.lock pins"


@pytest.fixture
def ask(isolated: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Any:
    """A project whose soul is locked; asks a question and gives what is on stderr."""
    monkeypatch.delenv("CI", raising=False)
    monkeypatch.setattr("platformdirs.user_state_path", lambda name: isolated.parent / "state")
    for name, text in PAGES.items():
        path = isolated / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text, encoding="utf-8")
    assert main(["index"]) == 0
    assert main(["soul", "lock", "--no-count"]) == 0

    def run() -> str:
        capsys.readouterr()
        assert main(["ask", QUESTION]) == 0
        return capsys.readouterr().err

    return run


def say(home: Path, words: str) -> None:
    (home / "anima.md").write_text(PAGES["anima.md"] + words, encoding="utf-8")


def test_the_same_warning_comes_once_a_day(ask: Any, isolated: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    assert CHANGED not in ask()
    say(isolated, "\nParla poco.\n")
    assert CHANGED in ask()
    assert CHANGED not in ask()

    class Tomorrow(datetime.date):
        @classmethod
        def today(cls) -> datetime.date:
            return datetime.date(2100, 1, 1)

    monkeypatch.setattr(cervella.cli.datetime, "date", Tomorrow)
    assert CHANGED in ask()
    assert len(json.loads((isolated / ".cervella/warned.json").read_text())) == 1, "yesterday's is forgotten"


def test_another_soul_is_another_warning(ask: Any, isolated: Path) -> None:
    say(isolated, "\nParla poco.\n")
    assert CHANGED in ask()
    say(isolated, "\nParla molto.\n")
    assert CHANGED in ask()
    say(isolated, "\nParla poco.\n")
    assert CHANGED not in ask()
    assert main(["soul", "lock", "--no-count"]) == 0
    say(isolated, "\nParla piano.\n")
    assert CHANGED in ask()


def test_the_log_has_it_each_time_and_strict_stays_an_error(
    ask: Any, isolated: Path, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch, capsys: Any
) -> None:
    say(isolated, "\nParla poco.\n")
    with caplog.at_level(logging.WARNING, logger="cervella.soul"):
        ask()
        ask()
    assert sum(CHANGED in record.getMessage() for record in caplog.records) == 2
    monkeypatch.setenv("CI", "true")
    for _ in range(2):
        assert main(["ask", QUESTION]) == 1
        assert CHANGED in capsys.readouterr().err


def test_where_nothing_can_be_kept_it_comes_each_time(
    ask: Any, isolated: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(*arguments: Any, **options: Any) -> Any:
        raise PermissionError(13, "may only be read")

    monkeypatch.setattr(cervella.cli, "replace_file", refuse)
    say(isolated, "\nParla poco.\n")
    assert CHANGED in ask()
    assert CHANGED in ask()


@pytest.mark.parametrize("kept", ["non è JSON", "[]", '{"x": 3}'])
def test_a_damaged_record_is_written_anew(ask: Any, isolated: Path, kept: str) -> None:
    (isolated / ".cervella/warned.json").write_text(kept, encoding="utf-8")
    say(isolated, "\nParla poco.\n")
    assert CHANGED in ask()
    assert CHANGED not in ask()
    assert (isolated / ".cervella/warned.json").stat().st_mode & 0o077 == 0
