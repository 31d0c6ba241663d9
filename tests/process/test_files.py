"""A file is replaced whole: a kill, a full disk and a disk for reading alone leave the old one."""

from __future__ import annotations

import ast
import errno
import os
import signal
import stat
import subprocess
import sys
import textwrap
import time
from pathlib import Path

import pytest

import cervella
from cervella.errors import ConfigError, EvaluationError, refused
from cervella.process.files import draft_of, locked, put_in_place, replace_file

SOURCES = sorted(Path(cervella.__file__).parent.rglob("*.py"))
MOVED_FOLDERS = {"knowledge/index/storage.py", "knowledge/index/vectors.py"}
"""These move folders, which nothing else replaces."""
LIMIT = """
    import resource
    resource.setrlimit(resource.RLIMIT_FSIZE, (100_000, 100_000))
"""


def run(code: str, *arguments: object) -> str:
    done = subprocess.run(
        [sys.executable, "-c", textwrap.dedent(code), *map(str, arguments)], capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout.strip()


def names(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir() if path.name != "cwd")


def test_a_file_takes_the_name_of_the_old_one_in_one_place_alone() -> None:
    found = set()
    for path in SOURCES:
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if isinstance(node, ast.Attribute) and ast.unparse(node) in ("os.replace", "os.rename", "shutil.move"):
                found.add(path.relative_to(SOURCES[0].parents[0]).as_posix())
    assert found <= MOVED_FOLDERS | {"process/files.py"}


def test_locks_are_taken_in_one_place_alone() -> None:
    asked = [path.name for path in SOURCES if "FileLock" in path.read_text(encoding="utf-8")]
    assert asked == ["files.py"]


@pytest.mark.skipif(os.name == "nt", reason="Windows has no limit on the size of files")
def test_a_page_that_does_not_fit_on_the_disk_leaves_the_old_page(tmp_path: Path) -> None:
    code = f"""
    import sys
    from cervella.cli import main
    from cervella.cli import stats
    stats.html_report = lambda *_: "x" * 1_000_000
    {LIMIT}
    assert main(["stats", "--html", sys.argv[1]]) == 1
    """
    page = tmp_path / "page.html"
    page.write_text("the old page")
    run(code, page)
    assert (page.read_text(), names(tmp_path)) == ("the old page", ["page.html"])


@pytest.mark.skipif(os.name == "nt", reason="Windows has no limit on the size of files")
def test_an_answer_that_can_not_be_kept_is_said_of_the_run(tmp_path: Path) -> None:
    code = f"""
    import sys
    from dataclasses import replace
    from pathlib import Path
    from cervella.errors import EvaluationError
    from cervella.evaluation.records import Output, Run
    one = Output(brain="a", model="m", condition="soul", probe="p", variant=0, repeat=0, turn=1, asked_sha256="",
                 prompt_sha256="", system_sha256="", text="x" * 60_000)
    run = Run.create(Path(sys.argv[1]), {{"brains": ["a"]}})
    {LIMIT}
    with run.writing() as write:
        write(one)
        try:
            write(replace(one, turn=2))
        except EvaluationError as error:
            print(error.code, error.message)
    print(len(run.outputs()))
    """
    said = run(code, tmp_path)
    assert said.startswith("run_unwritable The run at")
    assert "File too large" in said
    assert said.endswith("\n1"), "what was answered is kept"


def test_a_run_in_a_place_that_is_no_folder_is_said(tmp_path: Path) -> None:
    from cervella.evaluation.records import Run

    (tmp_path / "file").write_text("")
    with pytest.raises(EvaluationError) as caught:
        Run.create(tmp_path / "file", {})
    assert caught.value.code == "run_unwritable"


def test_a_writer_that_is_killed_leaves_the_old_file_and_its_draft_goes_an_hour_later(tmp_path: Path) -> None:
    code = """
    import os, signal, sys
    from pathlib import Path
    from cervella.process.files import draft_of
    with draft_of(Path(sys.argv[1])) as draft:
        draft.write_text("half")
        os.kill(os.getpid(), signal.SIGKILL)
    """
    file = tmp_path / "run.json"
    file.write_text("old")
    done = subprocess.run([sys.executable, "-c", textwrap.dedent(code), str(file)], check=False)
    assert done.returncode == -signal.SIGKILL
    assert file.read_text() == "old"
    [draft] = [tmp_path / name for name in names(tmp_path) if name != file.name]
    replace_file(file, "new")
    assert draft.exists(), "it may be another's that is at work"
    os.utime(draft, (time.time() - 4000,) * 2)
    replace_file(file, "newer")
    assert (names(tmp_path), file.read_text()) == (["run.json"], "newer")


def test_a_name_that_can_not_be_given_leaves_the_old_file_and_names_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(*_: object) -> None:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    file = tmp_path / "kept"
    replace_file(file, "old")
    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(OSError, match="No space left") as caught:
        replace_file(file, "new")
    assert caught.value.filename == str(file)
    assert (names(tmp_path), file.read_text()) == (["kept"], "old")


@pytest.mark.skipif(os.name == "nt", reason="Windows has no modes")
def test_a_new_file_is_private_and_an_old_one_keeps_its_mode_and_its_link(tmp_path: Path) -> None:
    (tmp_path / "far").mkdir()
    real, link = tmp_path / "far/real", tmp_path / "link"
    replace_file(real, "one")
    assert stat.S_IMODE(real.stat().st_mode) == 0o600
    real.chmod(0o640)
    link.symlink_to(real)
    replace_file(link, b"two")
    assert (link.is_symlink(), real.read_text(), stat.S_IMODE(real.stat().st_mode)) == (True, "two", 0o640)


@pytest.mark.skipif(not os.path.exists("/dev/null"), reason="no device to write to")
def test_a_device_is_written_to_and_not_replaced() -> None:
    replace_file(Path("/dev/null"), "x")
    assert not Path("/dev/null").is_file()


def test_half_a_character_does_not_keep_a_file_from_being_written(tmp_path: Path) -> None:
    replace_file(tmp_path / "file", "a\ud800b")
    assert (tmp_path / "file").read_text(encoding="utf-8") == "a?b"


def test_a_draft_that_is_not_put_in_place_is_gone(tmp_path: Path) -> None:
    with draft_of(tmp_path / "file") as draft:
        assert draft.exists()
    with draft_of(tmp_path / "file") as draft:
        put_in_place(draft, tmp_path / "file")
    assert names(tmp_path) == ["file"]


def test_of_two_that_want_a_lock_the_second_is_told(tmp_path: Path) -> None:
    with locked(tmp_path / "lock"):
        with pytest.raises(EvaluationError), locked(tmp_path / "lock", busy=lambda: EvaluationError("taken")):
            pass
        with pytest.raises(TimeoutError), locked(tmp_path / "lock"):
            pass
    with locked(tmp_path / "lock"):
        pass


def test_a_file_that_is_no_utf_8_is_said_with_its_place_and_cure() -> None:
    with pytest.raises(ConfigError, match="not UTF-8: byte 4") as caught, refused(ConfigError, "It", remedy="Look."):
        b"caff\xe8".decode()
    assert caught.value.remedy == "Save the file again as UTF-8."


def test_a_users_own_file_with_partial_in_its_name_is_never_swept_away(tmp_path: Path) -> None:
    own = [tmp_path / ".report.html.partial-review.html", tmp_path / ".report.html.partially-done.md"]
    abandoned = [tmp_path / f".report.html.{'a' * 12}.partial", tmp_path / f".report.html.{'b' * 12}.partial-wal"]
    for path in (*own, *abandoned):
        path.write_text("x", encoding="utf-8")
        os.utime(path, (1, 1))
    replace_file(tmp_path / "report.html", "y")
    assert names(tmp_path) == sorted([*(path.name for path in own), "report.html"])
