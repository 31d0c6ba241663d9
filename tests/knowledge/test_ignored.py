"""Ignore files: the same decisions as git's, in linear time, and a stop where they would leave most notes out."""

from __future__ import annotations

import os
import random
import shutil
import subprocess
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from cervella.errors import KnowledgeError, UnmatchedPatternError
from cervella.knowledge import HybridRetriever, KnowledgeIndex
from cervella.knowledge.documents import git as git_module
from cervella.knowledge.documents.ignored import NEVER_OPENED
from cervella.knowledge.documents.scan import ignore_rules, scan
from cervella.knowledge.index.freshness import Stamps
from cervella.types import IndexReport
from tests.conftest import PATIENCE
from tests.knowledge.test_repositories import git

Write = Callable[[Path, str, str | bytes], Path]
needs_git = pytest.mark.skipif(shutil.which("git") is None, reason="git is not installed")


def update(folder: Path, index_dir: Path, **options: Any) -> IndexReport:
    return KnowledgeIndex(folder, index_dir, embedder="none", **options).update()


def behind(folder: Path, index_dir: Path, **options: Any) -> int:
    with HybridRetriever(index_dir, folder=folder, **options) as retriever:
        return retriever.retrieve("pane").behind


def ignored(report: IndexReport) -> list[str]:
    return [one.path for one in report.files_skipped if one.reason == "ignored"]


def found(folder: Path) -> set[str]:
    return {file.path for file in scan(folder).found}


NAMES = ("a", "b", "ab", "a.md", "b.md", "ab.md", "x y.md", "é.md")
PATTERNS = (
    *("*", "*/", "!*/", "/*", "a", "a/", "/a", "!/a", "a/*", "a/**", "**/a", "**/a/**", "a/**/b", "a/b", "!a/b", "b/"),
    *("*.md", "!a*.md", "!ab.md", "a?", "[ab]", "[!a]", "?", "a*b*", "*b*.md", "**", "!**", "x\\ y.md", "x y.md "),
    *("#a", "\\#a", "", "é.md", "!é.md", "a**b", "/**/ab", "*/a.md", "**/", "!/a/", "/a/b/"),
)


@needs_git
@pytest.mark.parametrize("seed", range(12))
def test_the_decisions_are_those_of_git(tmp_path: Path, write: Write, seed: int) -> None:
    dice = random.Random(seed)
    git(tmp_path, "init", "-q")
    for _ in range(60):
        depth = [dice.choice(NAMES[:3]) for _ in range(dice.randrange(4))]
        path = "/".join((*depth, dice.choice(NAMES[3:])))
        write(tmp_path, path, "# Nota\n")
    for folder in ("", *dice.sample(sorted({"a/", "b/", "ab/", "a/b/"}), 2)):
        if (tmp_path / folder).is_dir():
            write(tmp_path, f"{folder}.gitignore", "\n".join(dice.choices(PATTERNS, k=dice.randrange(1, 6))) + "\n")
    out = git_module.tracked(tmp_path, (".md",))
    assert not out
    git(tmp_path, "-c", "core.excludesFile=", "add", ".")
    kept = git_module.tracked(tmp_path, (".md",))
    shutil.rmtree(tmp_path / ".git")
    assert found(tmp_path) == kept


def test_an_ignored_folder_is_one_row_and_is_not_opened(
    notes: Path, index_dir: Path, write: Write, monkeypatch: pytest.MonkeyPatch
) -> None:
    write(notes, ".gitignore", "/costruito/\n*.bozza.md\n")
    for number in range(2):
        write(notes, f"costruito/sotto/{number}.md", "# Costruito\n")
    write(notes, "idea.bozza.md", "# Idea\n")
    update(notes, index_dir)
    opened: list[str] = []
    really_scan = __import__("os").scandir

    def listed(path: Any) -> Any:
        opened.append(str(path))
        return really_scan(path)

    found = scan(notes)
    assert [(one.path, one.by, one.is_folder) for one in found.ignored] == [
        ("costruito", ".gitignore", True),
        ("idea.bozza.md", ".gitignore", False),
    ]
    monkeypatch.setattr("os.scandir", listed)
    scan(notes, indexable_only=True)
    assert opened
    assert not any("costruito" in path for path in opened)


def test_folders_of_the_closed_list_are_never_opened(notes: Path, index_dir: Path, write: Write) -> None:
    for name in NEVER_OPENED:
        write(notes, f"progetti/{name}/README.md", "# Pacchetto\n")
    report = update(notes, index_dir, gitignore=False)
    assert report.files_indexed == 3
    assert ignored(report) == sorted(f"progetti/{name}" for name in NEVER_OPENED - {".git", ".cervella"})
    assert report.files_seen == 3
    assert behind(notes, index_dir) == 0


def test_the_folder_itself_is_read_whatever_its_name(tmp_path: Path, index_dir: Path, write: Write) -> None:
    write(tmp_path, ".gitignore", "node_modules/\n")
    write(tmp_path, "node_modules/pacco/README.md", "# Pacco\n")
    assert update(tmp_path / "node_modules", index_dir).files_indexed == 1


def test_the_file_written_for_cervella_comes_before_gits(notes: Path, index_dir: Path, write: Write) -> None:
    write(notes, "ricette/.gitignore", "*\n")
    write(notes, "privato/diario.md", "# Diario\n")
    write(notes, ".cervellaignore", "privato/\n!ricette/*.md\n")
    report = update(notes, index_dir)
    assert report.files_indexed == 3
    assert "privato" in ignored(report)
    assert update(notes, index_dir, gitignore=False).files_indexed == 3, "it applies whatever the setting"


def test_most_notes_ignored_is_a_stop_and_nothing_is_lost(notes: Path, index_dir: Path, write: Write) -> None:
    for number in range(5):
        write(notes, f"privato/{number}.md", "# Pane\n")
    assert update(notes, index_dir).files_indexed == 8
    write(notes, ".gitignore", "privato/\n")
    with pytest.raises(KnowledgeError) as caught:
        update(notes, index_dir)
    assert caught.value.code == "mostly_ignored"
    assert "5 of the 8 markdown files" in caught.value.message
    assert "'.gitignore'" in caught.value.message
    assert "gitignore = false" in caught.value.remedy
    with HybridRetriever(index_dir, folder=notes) as retriever:
        assert retriever.retrieve("pane", top_k=20).passages[0].path.startswith(("privato", "ricette"))
    assert update(notes, index_dir, gitignore=False).files_indexed == 8
    assert update(notes, index_dir, exclude=["privato"]).files_indexed == 3, "left out on purpose"
    write(notes, ".cervellaignore", "privato/\n")
    assert update(notes, index_dir).files_indexed == 3, "left out on purpose"


def test_in_a_folder_of_fewer_than_four_notes_nothing_stops(tmp_path: Path, index_dir: Path, write: Write) -> None:
    base = tmp_path / "base"
    for name in ("uno.md", "due.md", "tre.md"):
        write(base, name, "# Nota\n")
    write(base, ".gitignore", "due.md\ntre.md\n")
    assert update(base, index_dir).files_indexed == 1


@needs_git
def test_tracked_files_are_read_and_a_look_asks_git_only_after_a_change(
    notes: Path, index_dir: Path, write: Write, monkeypatch: pytest.MonkeyPatch
) -> None:
    git(notes, "init", "-q")
    write(notes, "atti/pubblico.md", "# Pubblico\n")
    write(notes, "atti/privato.md", "# Privato\n")
    write(notes, ".gitignore", "atti/\n")
    git(notes, "add", "-f", "atti/pubblico.md", "ricette")
    git(notes, "commit", "-q", "-m", "x")
    report = update(notes, index_dir)
    assert report.files_indexed == 4
    assert ignored(report) == ["atti/privato.md"]
    calls: list[Any] = []
    really_asked = git_module.tracked
    monkeypatch.setattr(git_module, "tracked", lambda *given: calls.append(given) or really_asked(*given))
    assert behind(notes, index_dir) == 0
    assert not calls
    with HybridRetriever(index_dir, folder=notes) as retriever:
        git(notes, "add", "-f", "atti/privato.md")
        assert retriever.retrieve("pane").behind == 1
        assert len(calls) == 1
        monkeypatch.setattr("cervella.knowledge.index.freshness._EVERY", 0.0)
        assert retriever.retrieve("pane").behind == 1
        assert len(calls) == 1, "nothing changed since"


def test_a_look_follows_the_ignore_files(notes: Path, index_dir: Path, write: Write) -> None:
    write(notes, ".gitignore", "bozze/\n")
    write(notes, "bozze/uno.md", "# Uno\n")
    update(notes, index_dir)
    assert behind(notes, index_dir) == 0
    assert behind(notes, index_dir, gitignore=False) == 1
    write(notes, "ricette/.cervellaignore", "pane.md\n")
    assert behind(notes, index_dir) == 1, "what is ignored from now on is removed"
    (notes / ".gitignore").unlink()
    assert behind(notes, index_dir) == 2
    update(notes, index_dir)
    assert behind(notes, index_dir) == 0
    update(notes, index_dir, gitignore=False)
    assert Stamps.load(index_dir).gitignore is False
    write(notes, ".gitignore", "bozze/\n")
    assert behind(notes, index_dir) == 0


@pytest.mark.parametrize(
    "line",
    ["*a" * 400 + "b", "**/" * 400 + "b", "/**/a" * 30, "[a" * 30_000, "?*" * 500 + "b", "*" * 50_000 + "b", "\\"],
    ids=lambda line: line[:6],
)
def test_hostile_patterns_take_no_time(tmp_path: Path, write: Write, line: str) -> None:
    deep = "/".join(["a" * 200] * 15)
    write(tmp_path, f"{deep}/{'a' * 240}.md", "# A\n")
    write(tmp_path, "nota.md", "# Nota\n")
    write(tmp_path, ".gitignore", f"{line}\n")
    started = time.process_time()
    assert "nota.md" in found(tmp_path)
    assert time.process_time() - started < PATIENCE / 10


def test_a_huge_ignore_file_is_not_applied_and_that_is_said(notes: Path, index_dir: Path, write: Write) -> None:
    write(notes, ".gitignore", "*.md\n" * 200_000)
    report = update(notes, index_dir)
    assert report.files_indexed == 3
    assert any(".gitignore" in warning for warning in report.warnings)


def test_an_ignore_file_that_is_a_link_is_not_followed(notes: Path, tmp_path: Path, write: Write) -> None:
    (notes / ".gitignore").symlink_to(write(tmp_path, "fuori", "*.md\n"))
    assert len(found(notes)) == 3


def test_windows_line_ends_and_a_byte_order_mark_are_fine(notes: Path, write: Write) -> None:
    write(notes, ".gitignore", b"\xef\xbb\xbfricette/\r\n# altro\r\n\r\n")
    assert len(found(notes)) == 2


def test_no_ignore_rules_are_kept_of_a_folder_that_is_gone(notes: Path, write: Write) -> None:
    write(notes, ".gitignore", "ricette/\n")
    rules = ignore_rules(notes)
    assert len(scan(notes, ignores=rules).found) == 2
    write(notes, ".gitignore", "decisioni/\n")
    assert len(scan(notes, ignores=rules).found) == 1
    (notes / ".gitignore").unlink()
    assert len(scan(notes, ignores=rules).found) == 3


def test_a_third_of_the_notes_newly_ignored_is_no_missing_disk(notes: Path, index_dir: Path, write: Write) -> None:
    for number in range(40):
        write(notes, f"{'bozze' if number < 21 else 'fatte'}/{number}.md", "# Pane\n")
    update(notes, index_dir)
    write(notes, ".gitignore", "bozze/\n")
    assert update(notes, index_dir).removed == 21


def test_a_local_only_pattern_may_name_files_in_an_ignored_folder(notes: Path, index_dir: Path, write: Write) -> None:
    write(notes, "privato/diario.md", "# Diario\n")
    write(notes, ".gitignore", "privato/\n")
    index = KnowledgeIndex(notes, index_dir, embedder="none", local_only=["privato/d*.md", "**/diario.md"])
    assert index.update(strict=True).files_indexed == 3
    with pytest.raises(UnmatchedPatternError):
        KnowledgeIndex(notes, index_dir, embedder="none", local_only=["**/dario.md"]).update(strict=True)


def test_a_folder_a_thousand_deep_is_read(tmp_path: Path, index_dir: Path) -> None:
    place = tmp_path / "base"
    place.mkdir()
    (place / "nota.md").write_text("# Nota\n", encoding="utf-8")
    here = os.getcwd()
    os.chdir(place)
    try:
        for _ in range(1_500):
            os.mkdir("a")
            os.chdir("a")
        os.chdir(here)
        assert update(place, index_dir).files_indexed == 1
    finally:
        os.chdir(here)
        subprocess.run(["rm", "-rf", str(place)], check=True)  # shutil.rmtree calls itself for each folder
