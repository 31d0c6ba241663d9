"""`cervella index`: what it says of the files that it leaves out."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from cervella.cli import main
from tests.cli.test_newcomer import PAGES


@pytest.fixture
def home(isolated: Path) -> Path:
    for name, text in PAGES.items():
        path = isolated / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text, encoding="utf-8")
    for number in range(40):
        (isolated / f"note/foto-{number:02}.png").write_bytes(b"x")
    (isolated / "note/zz.md").write_bytes(b"# a\x00b")
    return isolated


def run(capsys: pytest.CaptureFixture[str], *arguments: str) -> tuple[str, str]:
    capsys.readouterr()
    assert main(["index", *arguments]) == 0
    out, err = capsys.readouterr()
    return out, err


def test_many_skipped_files_are_a_summary_and_at_most_ten_lines(home: Path, capsys: Any) -> None:
    lines = [line for line in run(capsys)[1].splitlines() if line.startswith("skipped:")]
    assert len(lines) == 10
    assert lines[0].startswith("skipped: 41 files (40 not_markdown, 1 not_text)")
    assert "--verbose" in lines[0]
    assert lines[1] == "skipped: zz.md (not_text)", "the rarest reasons come first"


@pytest.mark.parametrize("option", ["--verbose", "-v"])
def test_verbose_names_every_skipped_file(home: Path, capsys: Any, option: str) -> None:
    lines = [line for line in run(capsys, option)[1].splitlines() if line.startswith("skipped:")]
    assert lines.pop(0) == "skipped: 41 files (40 not_markdown, 1 not_text):"
    assert len(lines) == 41
    assert all(line.endswith(")") for line in lines)


def test_json_names_every_skipped_file(home: Path, capsys: Any) -> None:
    out, err = run(capsys, "--json")
    assert len(json.loads(out)["files_skipped"]) == 41
    assert "skipped:" not in err


def test_few_skipped_files_are_all_named_behind_the_summary(home: Path, capsys: Any) -> None:
    for path in sorted(home.glob("note/foto-*.png"))[8:]:
        path.unlink()
    lines = [line for line in run(capsys)[1].splitlines() if line.startswith("skipped:")]
    assert lines[0] == "skipped: 9 files (8 not_markdown, 1 not_text):"
    assert len(lines) == 10


def test_one_skipped_file_is_its_own_summary(home: Path, capsys: Any) -> None:
    for path in home.glob("note/foto-*.png"):
        path.unlink()
    lines = [line for line in run(capsys)[1].splitlines() if line.startswith("skipped:")]
    assert lines == ["skipped: zz.md (not_text)"]


def test_what_lies_in_git_and_in_our_own_folder_is_not_counted(home: Path, capsys: Any) -> None:
    before = json.loads(run(capsys, "--json")[0])
    for name in (".git/objects/aa/1", ".git/HEAD", ".cervella/conversations.sqlite", "lezioni/.git/HEAD"):
        path = home / "note" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(b"x")
    (home / "note/progetto").mkdir()
    (home / "note/progetto/.git").write_text("gitdir: ../x", encoding="utf-8")  # of a submodule or a worktree
    after = json.loads(run(capsys, "--json")[0])
    assert (after["files_seen"], after["files_skipped"]) == (before["files_seen"], before["files_skipped"])
    assert after["files_seen"] == after["files_indexed"] + len(after["files_skipped"])
