"""What is asked of git: dates and tracked files, without running anything that a repository names."""

from __future__ import annotations

import shutil
import stat
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from cervella.knowledge import KnowledgeIndex
from cervella.knowledge.documents import git as git_module
from cervella.knowledge.documents.git import Days, index_of, repository_of, tracked
from cervella.knowledge.index.manifest import Manifest
from cervella.knowledge.index.storage import IndexFolder
from tests.knowledge.test_repositories import git

pytestmark = pytest.mark.skipif(shutil.which("git") is None, reason="git is not installed")
Write = Callable[[Path, str, str | bytes], Path]


def commit(folder: Path, day: str, *paths: str) -> None:
    git(folder, "add", "-f", "--", *paths)
    git(folder, "commit", "-q", "-m", "x", day=day)


@pytest.fixture
def repository(notes: Path, write: Write) -> Path:
    git(notes, "init", "-q")
    commit(notes, "2024-03-01", "ricette/pane.md")
    return notes


def dates(folder: Path, index_dir: Path) -> dict[str, str | None]:
    KnowledgeIndex(folder, index_dir, embedder="none").update()
    with Manifest.open(IndexFolder(index_dir).current()) as manifest:
        return {path: file.date for path, file in manifest.files().items()}


def test_only_an_undated_file_gets_the_day_of_its_last_commit(repository: Path, index_dir: Path) -> None:
    commit(repository, "2024-05-05", "decisioni/20260110_hosting.md")
    assert dates(repository, index_dir) == {
        "decisioni/20260109_hosting.md": "2026-01-09",
        "decisioni/20260110_hosting.md": "2026-01-10",
        "ricette/pane.md": "2024-03-01",
    }


def test_a_commit_dates_a_file_that_did_not_change_since_it_was_indexed(
    repository: Path, index_dir: Path, write: Write
) -> None:
    write(repository, "ricette/dolce.md", "# Dolce\n\nUova e zucchero.\n")
    assert dates(repository, index_dir)["ricette/dolce.md"] is None
    commit(repository, "2024-06-01", "ricette/dolce.md")
    assert dates(repository, index_dir)["ricette/dolce.md"] == "2024-06-01"


@pytest.mark.parametrize(("others", "day"), [(49, "2024-07-01"), (50, None)])
def test_a_commit_of_more_than_fifty_files_dates_none(
    repository: Path, write: Write, others: int, day: str | None
) -> None:
    names = [
        write(repository, f"codice/{number}.py", "x").relative_to(repository).as_posix() for number in range(others)
    ]
    write(repository, "ricette/pane.md", "# Pane\n\nSolo farina.\n")
    commit(repository, "2024-07-01", "ricette/pane.md", *names)
    found = repository_of(repository)
    assert found is not None
    assert found.dates(["ricette/pane.md"]).get("ricette/pane.md") == day, "nor does an older commit"


def test_a_folder_in_a_repository_and_a_repository_in_the_folder(repository: Path, write: Write) -> None:
    within = repository_of(repository / "ricette")
    assert within is not None
    assert within.dates(["pane.md", "manca.md"]) == {"pane.md": "2024-03-01"}
    write(repository, "altro/nota.md", "# Nota\n")
    git(repository / "altro", "init", "-q")
    commit(repository / "altro", "2024-09-09", "nota.md")
    days = Days(heads={}, days={}).now(repository, ["altro/"], ["altro/nota.md", "ricette/pane.md", "nuovo.md"])
    assert days.days == {"altro/nota.md": "2024-09-09", "ricette/pane.md": "2024-03-01", "nuovo.md": ""}


def test_the_log_is_read_again_only_after_a_commit(repository: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    days = Days(heads={}, days={}).now(repository, [], ["ricette/pane.md", "nuovo.md"])
    monkeypatch.setattr(git_module, "_commits", None)
    assert Days.load(days.save()).now(repository, [], ["ricette/pane.md", "nuovo.md"]) == days


def test_a_shallow_clone_dates_nothing(repository: Path, tmp_path: Path) -> None:
    git(tmp_path, "clone", "-q", "--depth", "1", repository.as_uri(), "copia")
    found = repository_of(tmp_path / "copia")
    assert found is not None
    assert found.is_shallow
    assert found.dates(["ricette/pane.md"]) == {}


def test_a_worktree_is_a_repository_too(repository: Path, tmp_path: Path) -> None:
    git(repository, "worktree", "add", "-q", str(tmp_path / "ramo"))
    assert tracked(tmp_path / "ramo", (".md",)) == {"ricette/pane.md"}
    assert index_of(tmp_path / "ramo") is not None


def test_names_are_given_as_they_are_written(repository: Path, write: Write) -> None:
    for name in ('perche\u0301 "qui".md', "a\nb.MD", "*.md"):
        write(repository, name, "# x\n")
    git(repository, "add", "--", ".")
    assert tracked(repository, (".md",)) >= {'perché "qui".md', "a\nb.MD", "*.md"}


def test_without_git_or_a_repository_nothing_is_known(
    repository: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "vuota").mkdir()
    assert repository_of(tmp_path / "vuota") is None
    monkeypatch.setattr(shutil, "which", lambda name: None)
    assert repository_of(repository) is None
    assert tracked(repository, (".md",)) == frozenset()


def test_an_empty_or_a_broken_repository_is_none(notes: Path) -> None:
    git(notes, "init", "-q")
    assert repository_of(notes) is None
    shutil.rmtree(notes / ".git")
    (notes / ".git").write_text("gitdir: /nowhere\n", encoding="utf-8")
    assert repository_of(notes) is None
    assert tracked(notes, (".md",)) == frozenset()
    (notes / ".git").write_bytes(b"\xff" * 100)
    assert index_of(notes) is None


def test_no_program_that_a_repository_names_is_run_and_nothing_is_written(
    repository: Path, tmp_path: Path, write: Write, index_dir: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    trap = write(tmp_path, "trappola", f"#!/bin/sh\necho run >> {tmp_path / 'caduto'}\n")
    trap.chmod(trap.stat().st_mode | stat.S_IXUSR)
    for key in (
        *("core.fsmonitor", "core.pager", "core.sshCommand", "diff.external", "gpg.program", "core.editor"),
        *("filter.x.clean", "filter.x.smudge", "filter.x.process", "diff.x.textconv", "credential.helper"),
    ):
        git(repository, "config", key, str(trap))
    git(repository, "config", "log.showSignature", "true")
    write(repository, ".gitattributes", "* filter=x diff=x\n")
    for hook in ("post-index-change", "pre-auto-gc", "reference-transaction"):
        shutil.copy(trap, repository / ".git/hooks" / hook)
    monkeypatch.setenv("GIT_EXTERNAL_DIFF", str(trap))
    monkeypatch.setenv("GIT_DIR", str(tmp_path / "altrove"))
    write(repository, ".gitignore", "ricette/\n")
    before = {path: path.stat().st_mtime_ns for path in (repository / ".git").rglob("*")}
    assert dates(repository, index_dir)["ricette/pane.md"] == "2024-03-01"
    assert not (tmp_path / "caduto").exists()
    assert {path: path.stat().st_mtime_ns for path in (repository / ".git").rglob("*")} == before


def test_git_that_hangs_is_ended(
    repository: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, write: Write
) -> None:
    slow = write(tmp_path, "git", f"#!{sys.executable}\nimport time\ntime.sleep(600)\n")
    slow.chmod(0o700)
    monkeypatch.setattr(shutil, "which", lambda name: str(slow))
    monkeypatch.setattr(git_module, "_SECONDS", 0.2)
    assert repository_of(repository) is None


def test_the_list_of_a_commit_that_git_did_not_finish_is_not_believed(repository: Path) -> None:
    assert list(git_module._commits(iter([b"\x01\x012024-01-01\x01\0\na.md\0b", b".md"]))) == []
    whole = subprocess.run(
        ["git", "log", "-z", "--name-only", "--format=%x01%x01%as%x01"], cwd=repository, capture_output=True, check=True
    ).stdout
    assert list(git_module._commits(iter([whole]))) == [("2024-03-01", ["ricette/pane.md"])]
