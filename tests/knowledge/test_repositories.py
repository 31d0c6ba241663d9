"""What of a repository is read: cases by somebody who had not read the rules, run with the real git."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
from pathlib import Path
from typing import Any

import pytest

import cervella
from cervella.errors import KnowledgeError
from cervella.knowledge import KnowledgeIndex
from cervella.knowledge.index.manifest import Manifest
from cervella.knowledge.index.storage import IndexFolder
from cervella.text.language import fold
from tests.conftest import DATA, PlainSoul

CASES = [json.loads(line) for line in (DATA / "repositories.jsonl").read_text(encoding="utf-8").splitlines()]
pytestmark = pytest.mark.skipif(shutil.which("git") is None, reason="git is not installed")


def git(folder: Path, *arguments: str, day: str = "2026-01-01") -> None:
    when = f"{day}T12:00:00+0000"
    environment = {
        **{name: value for name, value in os.environ.items() if not name.startswith("GIT_")},
        "GIT_AUTHOR_DATE": when,
        "GIT_COMMITTER_DATE": when,
        "GIT_CONFIG_NOSYSTEM": "1",
        "GIT_CONFIG_GLOBAL": os.devnull,
        **{f"GIT_{who}_{what}": "x@x" for who in ("AUTHOR", "COMMITTER") for what in ("NAME", "EMAIL")},
    }
    subprocess.run(["git", *arguments], cwd=folder, env=environment, check=True, capture_output=True)


def laid_out(case: dict[str, Any], folder: Path) -> Path:
    """The files of a case, and its repository. Returns the knowledge folder."""
    folder.mkdir()
    for path, text in case["files"].items():
        (folder / path).parent.mkdir(parents=True, exist_ok=True)
        (folder / path).write_text(text, encoding="utf-8")
    made = case.get("git") or {}
    if made.get("init"):
        git(folder, "init", "-q")
        if "ignored_by_global" in made:
            (folder / ".git/info/exclude").write_text("\n".join(made["ignored_by_global"]), encoding="utf-8")
        for commit in made.get("commits", ()):
            for number in range(commit.get("filler", 0)):
                (folder / f"filler-{number}.txt").write_text(str(number), encoding="utf-8")
            for path in commit["paths"]:
                if commit is not next(one for one in made["commits"] if path in one["paths"]):
                    with (folder / path).open("a", encoding="utf-8") as file:  # touched once more
                        file.write("\n")
            git(folder, "add", "-f", "--", *commit["paths"])
            git(folder, "commit", "-q", "--allow-empty", "-m", commit["message"], day=commit["date"])
        if made.get("shallow"):
            git(folder.parent, "clone", "-q", "--depth", "1", folder.as_uri(), "shallow")
            folder = folder.parent / "shallow"
    return folder / case["folder"]


@pytest.mark.parametrize("case", CASES, ids=lambda case: case["id"])
def test_what_of_a_repository_is_read(case: dict[str, Any], tmp_path: Path) -> None:
    base, report = laid_out(case, tmp_path / "repository"), case["report"]
    index = KnowledgeIndex(base, tmp_path / "index", embedder="none", **case.get("config", {}))
    if report.get("stops"):
        with pytest.raises(KnowledgeError) as caught:
            index.update()
        assert caught.value.code == "mostly_ignored"
        assert "gitignore" in caught.value.remedy
        return
    done = index.update()
    with Manifest.open(IndexFolder(tmp_path / "index").current()) as manifest:
        files = manifest.files()
    skipped = {one.path: one.reason for one in done.files_skipped}
    assert set(report.get("indexed", ())) <= set(files)
    assert not set(report.get("absent", ())) & set(files)
    assert report.get("skipped", {}).items() <= skipped.items()
    assert done.files_seen == done.files_indexed + sum(reason != "ignored" for reason in skipped.values())
    for passage in case.get("passages", ()):
        assert files[passage["path"]].date == passage["date"], passage["path"]


@pytest.mark.parametrize("case", [case for case in CASES if "ask" in case], ids=lambda case: case["id"])
def test_an_ignored_file_answers_nothing(case: dict[str, Any], tmp_path: Path, isolated: Path) -> None:
    base = laid_out(case, tmp_path / "repository")
    with cervella.Agent(knowledge=base, brain="extractive", soul=PlainSoul()) as agent:
        agent.index()
        for row in case["ask"]:
            reply = agent.ask(row["question"])
            text = fold(reply.text).replace(" ", "")
            assert all(any(fold(one).replace(" ", "") in text for one in either) for either in row["must"])
            assert not any(fold(one).replace(" ", "") in text for one in row["must_not"])
            assert reply.citations[0].path == row["source"]
