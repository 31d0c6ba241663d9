"""`cervella index`: what it says of the files that it leaves out."""

from __future__ import annotations

import itertools
import json
import os
import signal
import subprocess
import sys
import threading
from pathlib import Path
from typing import Any

import pytest

from cervella.cli import main
from tests.cli.test_newcomer import PAGES
from tests.conftest import PATIENCE, ROOT


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


def test_kinds_that_cannot_be_read_are_counted_and_not_listed(home: Path, capsys: Any) -> None:
    for name in ("a.pdf", "b.PDF", "c.docx", "senza"):
        (home / "note" / name).write_bytes(b"x")
    lines = [line for line in run(capsys)[1].splitlines() if line.startswith("skipped:")]
    assert lines == [
        "skipped: 45 files (44 not_markdown, 1 not_text):",
        "skipped: zz.md (not_text)",
        "skipped: 40 .png, 2 .pdf, 1 .docx, 1 without an ending cannot be read",
    ]


def test_many_skipped_files_are_a_summary_and_at_most_ten_lines(home: Path, capsys: Any) -> None:
    for number in range(20):
        (home / f"note/vuoto-{number:02}.md").write_bytes(b"")
    lines = [line for line in run(capsys)[1].splitlines() if line.startswith("skipped:")]
    assert len(lines) == 11, "and one for the kinds that cannot be read"
    assert lines[0].startswith("skipped: 61 files (40 not_markdown, 20 empty, 1 not_text)")
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
    for path in home.glob("note/foto-*.png"):
        path.unlink()
    for number in range(8):
        (home / f"note/vuoto-{number:02}.md").write_bytes(b"")
    lines = [line for line in run(capsys)[1].splitlines() if line.startswith("skipped:")]
    assert lines[0] == "skipped: 9 files (8 empty, 1 not_text):"
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


# --roll-back


@pytest.fixture
def twice(home: Path, capsys: pytest.CaptureFixture[str]) -> Path:
    """An index of two runs: the second has a page more, and one that is changed."""
    run(capsys)
    (home / "note/zanzibar.md").write_text("# Zanzibar\n\nIl zanzibarino si coltiva in serra.\n", encoding="utf-8")
    page = sorted((home / "note").rglob("*.md"))[0]
    page.write_text(page.read_text(encoding="utf-8") + "\nUna riga in più.\n", encoding="utf-8")
    run(capsys)
    return home


def found(capsys: pytest.CaptureFixture[str], query: str = "zanzibarino") -> dict[str, Any]:
    capsys.readouterr()
    assert main(["search", query, "--json"]) == 0
    out: dict[str, Any] = json.loads(capsys.readouterr().out)
    return out


def paths(data: dict[str, Any]) -> list[str]:
    return [one["path"] for one in data["passages"]]


def test_a_roll_back_shows_the_index_before_the_last_run_and_says_how_far_it_is_behind(
    twice: Path, capsys: Any
) -> None:
    assert "zanzibar.md" in paths(found(capsys))
    out, err = run(capsys, "--roll-back")
    assert "previous index" in out
    assert "warning: 2 files changed since the index was built; run `cervella index`." in err
    assert "--roll-back" in err, "how to take it back"
    after = found(capsys)
    assert "zanzibar.md" not in paths(after)
    assert after["behind"] == 2


def test_a_roll_back_twice_is_none_and_the_next_run_goes_on(twice: Path, capsys: Any) -> None:
    run(capsys, "--roll-back")
    run(capsys, "--roll-back")
    assert ("zanzibar.md" in paths(found(capsys)), found(capsys)["behind"]) == (True, 0)
    run(capsys, "--roll-back")
    report = json.loads(run(capsys, "--json")[0])
    assert (report["added"], report["changed"], report["removed"]) == (1, 1, 0)
    assert ("zanzibar.md" in paths(found(capsys)), found(capsys)["behind"]) == (True, 0)


def test_a_roll_back_is_one_document_with_json(twice: Path, capsys: Any) -> None:
    out, _ = run(capsys, "--roll-back", "--json")
    data = json.loads(out)
    assert data.keys() == {
        "generation", "former", "files", "chunks", "pending_embeddings", "embedder", "behind", "unchecked",
    }  # fmt: skip
    assert data["generation"] < data["former"]
    assert (data["behind"], data["unchecked"], data["embedder"]) == (2, 0, "none")
    pointer = (twice / ".cervella/index/current").read_text(encoding="utf-8")
    assert pointer.startswith(data["generation"])
    assert json.loads(run(capsys, "--json")[0])["files_indexed"] == data["files"] + 1


def failed(capsys: pytest.CaptureFixture[str], *arguments: str) -> tuple[int, str]:
    capsys.readouterr()
    code = main(["index", *arguments])
    out, err = capsys.readouterr()
    assert not out
    assert "help:" in err
    return code, err


def test_without_a_former_generation_the_index_stays_and_the_error_says_what_to_do(home: Path, capsys: Any) -> None:
    code, err = failed(capsys, "--roll-back")
    assert code == 1
    assert "No index" in err
    assert not (home / ".cervella/index").exists(), "nothing is made for it"
    run(capsys)
    pointer = (home / ".cervella/index/current").read_bytes()
    code, err = failed(capsys, "--roll-back", "--json")
    assert code == 1
    assert "no generation to go back to" in err
    assert "--rebuild" in err
    assert (home / ".cervella/index/current").read_bytes() == pointer


def test_a_purge_leaves_nothing_to_roll_back_to(twice: Path, capsys: Any) -> None:
    run(capsys, "--purge")
    assert "no generation to go back to" in failed(capsys, "--roll-back")[1]


@pytest.mark.parametrize("harm", ["damage", "remove"])
def test_a_damaged_former_generation_is_not_rolled_back_to(twice: Path, capsys: Any, harm: str) -> None:
    index = twice / ".cervella/index"
    pointer = (index / "current").read_text(encoding="utf-8")
    former = index / pointer.splitlines()[1].split()[0]
    if harm == "damage":
        manifest = former / "manifest.sqlite"
        manifest.write_bytes(manifest.read_bytes()[:-1] + b"\xff")
    else:
        former.rename(index / "elsewhere")
    code, err = failed(capsys, "--roll-back")
    assert code == 1
    assert "the generation to go back to" in err
    assert "Nothing was changed" in err
    assert (index / "current").read_text(encoding="utf-8") == pointer
    assert "zanzibar.md" in paths(found(capsys))


def test_a_damaged_index_can_be_rolled_back(twice: Path, capsys: Any) -> None:
    index = twice / ".cervella/index"
    current = index / (index / "current").read_text(encoding="utf-8").split()[0]
    (current / "manifest.sqlite").write_bytes(b"x")
    assert main(["search", "niente"]) == 1
    run(capsys, "--roll-back")
    assert found(capsys)["behind"] == 2


@pytest.mark.parametrize("option", ["--force", "--rebuild", "--verify", "--purge", "--verbose"])
def test_a_roll_back_reads_no_file_and_takes_no_option_that_does(twice: Path, capsys: Any, option: str) -> None:
    pointer = (twice / ".cervella/index/current").read_bytes()
    code, err = failed(capsys, "--roll-back", option)
    assert code == 2
    assert option in err
    assert (twice / ".cervella/index/current").read_bytes() == pointer


def test_a_roll_back_where_the_folder_is_gone_claims_nothing_of_it(twice: Path, capsys: Any) -> None:
    (twice / "note").rename(twice / "altrove")
    data = json.loads(run(capsys, "--roll-back", "--json")[0])
    assert (data["behind"], data["unchecked"]) == (0, data["files"])


def test_ignored_folders_and_other_encodings_are_one_line_each(home: Path, capsys: Any) -> None:
    (home / "note/node_modules/pacco").mkdir(parents=True)
    (home / "note/node_modules/pacco/README.md").write_text("# Pacco", encoding="utf-8")
    (home / "note/vecchio.txt").write_bytes("# Caffè\n\nPerché sì.\n".encode("cp1252"))
    err = run(capsys)[1].splitlines()
    assert "ignored: node_modules" in err
    assert "note: 1 file not in UTF-8, read as: vecchio.txt (cp1252)" in err
    assert json.loads(run(capsys, "--json")[0])["encodings"] == {"vecchio.txt": "cp1252"}


def test_most_notes_ignored_stops_with_the_setting_that_goes_on(home: Path, capsys: Any) -> None:
    for number in range(4):
        (home / f"note/mia-{number}.md").write_text("# Mia\n", encoding="utf-8")
    (home / "note/.gitignore").write_text("*.md\n", encoding="utf-8")
    capsys.readouterr()
    assert main(["index"]) != 0
    err = capsys.readouterr().err
    assert "'.gitignore'" in err
    assert "gitignore = false" in err
    file = home / "cervella.toml"
    file.write_text(file.read_text("utf-8").replace("[knowledge]", "[knowledge]\ngitignore = false"), encoding="utf-8")
    assert main(["index"]) == 0


# --watch, and searches that index first


def test_a_watch_tells_each_update_on_a_line_and_ends_cleanly_with_ctrl_c(home: Path) -> None:
    environment = {**os.environ, "PYTHONPATH": str(ROOT), "PYTHONUNBUFFERED": "1"}
    watch = subprocess.Popen(
        [sys.executable, "-m", "cervella", "index", "--watch"],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        encoding="utf-8",
        cwd=home,
        env=environment,
    )
    assert watch.stderr is not None
    assert watch.stdout is not None
    guard = threading.Timer(PATIENCE, watch.kill)
    guard.start()
    try:
        before = list(itertools.takewhile(lambda line: "is watched; Ctrl-C ends it." not in line, watch.stderr))
        assert not any("warning" in line for line in before)
        (home / "note/zanzibar.md").write_text("# Zanzibar\n\nUn'isola.\n", encoding="utf-8")
        for line in watch.stdout:
            if "1 added, 0 changed, 0 removed" in line and line[2] == ":":
                break
        watch.send_signal(signal.SIGINT)
        out, err = watch.communicate()
    finally:
        guard.cancel()
        watch.kill()
    assert err == "note: The watch has ended.\n"
    assert (out, watch.returncode) == ("", 0)


@pytest.mark.parametrize("other", ["--json", "--roll-back"])
def test_a_watch_can_not_be_one_document_or_a_roll_back(home: Path, other: str, capsys: Any) -> None:
    assert main(["index", "--watch", other]) == 2
    assert "Leave out" in capsys.readouterr().err


def test_a_search_finds_what_was_written_since_and_has_nothing_to_warn_of(home: Path, capsys: Any) -> None:
    run(capsys)
    (home / "note/zanzibar.md").write_text("# Zanzibar\n\nUn'isola delle spezie.\n", encoding="utf-8")
    for command in (["search", "spezie"], ["search", "--json", "spezie"], ["ask", "Che isola è Zanzibar?"]):
        capsys.readouterr()
        assert main(command) == 0
        out, err = capsys.readouterr()
        assert "zanzibar.md" in out
        assert "changed since" not in err


def test_an_owner_who_wants_no_look_gets_none_and_no_claim(
    home: Path, capsys: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    run(capsys)
    monkeypatch.setenv("CERVELLA_KNOWLEDGE__REFRESH", "off")
    (home / "note/zanzibar.md").write_text("# Zanzibar\n", encoding="utf-8")
    capsys.readouterr()
    assert main(["search", "--json", "zanzibar"]) == 0
    out, err = capsys.readouterr()
    data = json.loads(out)
    assert (data["behind"], data["unchecked"]) == (None, 2)
    assert err == ""


def test_documents_that_are_gone_are_named_on_stderr(home: Path, capsys: Any) -> None:
    run(capsys)
    for path in (home / "note").rglob("*.md"):
        path.unlink()
    capsys.readouterr()
    assert main(["search", "prova"]) == 0
    err = capsys.readouterr().err
    assert "indexed files are gone" in err
    assert "run `cervella index`" in err


def test_parts_that_are_no_text_are_counted_in_one_line(home: Path, capsys: Any) -> None:
    picture = "![pianta](data:image/png;base64,iVBORw0KGgo=)"
    (home / "note/pianta.md").write_text(f"# Pianta\n\n{picture} {picture}\n\n<svg><path/></svg>\n", encoding="utf-8")
    out, err = run(capsys)
    assert "note: 2 encoded images, 1 drawing in the files are no text: a placeholder stands in their place." in err
    assert "2 encoded images" not in out
