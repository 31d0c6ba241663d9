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
from cervella.process.files import append_line, draft_of, locked, put_in_place, replace_file

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


def test_only_drafts_are_swept_and_a_file_of_the_user_with_a_similar_name_stays(tmp_path: Path) -> None:
    draft = ".notes.0123456789ab.partial"
    swept = [draft, f"{draft}-wal", f"{draft}-shm", f"{draft}-journal"]
    mine = [".notes.partial", ".notes.partial.md", ".notes.html.partial-review.html", f"{draft}-old", f"{draft}.md"]
    mine += [".notes.0123456789a.partial", ".notes.0123456789AB.partial", f".x{draft}", ".notes.md.partial"]
    for name in (*swept, *mine):
        (tmp_path / name).write_text("x")
        os.utime(tmp_path / name, (1, 1))
    replace_file(tmp_path / "notes", "x")
    assert names(tmp_path) == sorted([*mine, "notes"])


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


@pytest.mark.skipif(os.name == "nt" or os.geteuid() != 0, reason="only root may give a file away")
@pytest.mark.parametrize("name", ["file", ".cervella/file"])
def test_an_old_file_keeps_its_owner_and_its_group(tmp_path: Path, name: str) -> None:
    file = tmp_path / name
    file.parent.mkdir(exist_ok=True)
    file.write_text("old")
    os.chown(file, 65534, 65533)
    file.chmod(0o640)
    replace_file(file, "new")
    found = file.stat()
    assert (file.read_text(), found.st_uid, found.st_gid) == ("new", 65534, 65533)
    assert stat.S_IMODE(found.st_mode) == (0o600 if name != "file" else 0o640)


def test_a_file_is_replaced_where_its_owner_can_not_be_kept(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def no(*given: int) -> None:
        asked.append(given[1:])
        raise PermissionError(errno.EPERM, os.strerror(errno.EPERM))

    asked: list[tuple[int, ...]] = []
    file = tmp_path / "file"
    file.write_text("old")
    uid, gid = os.getuid(), os.getgid()
    monkeypatch.setattr(os, "chown", no)
    replace_file(file, "new")
    assert (file.read_text(), asked) == ("new", [])
    real = Path.stat

    def of_another(path: Path, **options: bool) -> os.stat_result:
        found = real(path, **options)
        return found if path != file else os.stat_result((*found[:4], uid + 1, gid + 1, *found[6:]))

    monkeypatch.setattr(Path, "stat", of_another)
    replace_file(file, "newer")
    assert (file.read_text(), asked) == ("newer", [(uid + 1, gid + 1), (-1, gid + 1)])


@pytest.mark.parametrize("name", ["loop", "one"])
def test_a_link_to_itself_is_an_error_and_stays(tmp_path: Path, name: str) -> None:
    (tmp_path / "loop").symlink_to(tmp_path / "loop")
    (tmp_path / "one").symlink_to(tmp_path / "two")
    (tmp_path / "two").symlink_to(tmp_path / "one")
    with pytest.raises(OSError, match="symbolic links") as caught:
        replace_file(tmp_path / name, "x")
    assert caught.value.filename == str(tmp_path / name)
    assert all((tmp_path / link).is_symlink() for link in ("loop", "one", "two"))
    assert names(tmp_path) == ["loop", "one", "two"]


@pytest.mark.skipif(os.name == "nt", reason="Windows has no limit on the size of files")
def test_a_line_that_does_not_fit_is_removed_and_the_next_one_stands_alone(tmp_path: Path) -> None:
    code = """
    import resource, sys
    from cervella.process.files import append_line
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    with open(sys.argv[1], "ab", buffering=0) as file:
        append_line(file, "first")
        resource.setrlimit(resource.RLIMIT_FSIZE, (1000, hard))
        try:
            append_line(file, "x" * 2000)
        except OSError as error:
            print(error.strerror)
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
        append_line(file, "second")
    """
    assert run(code, tmp_path / "rows") == "File too large"
    assert (tmp_path / "rows").read_text() == "first\nsecond\n"


@pytest.mark.skipif(os.name == "nt", reason="Windows has no limit on the size of files")
def test_a_judgement_that_does_not_fit_leaves_the_others_readable(tmp_path: Path) -> None:
    code = f"""
    import sys
    from pathlib import Path
    from cervella.errors import EvaluationError
    from cervella.evaluation.comparison.rubric_run import _FILE, kept_judgements
    from cervella.evaluation.records import append_row
    folder = Path(sys.argv[1])
    with open(folder / _FILE, "ab", buffering=0) as file:
        append_row(file, {{"what": "marks", "n": 1}}, folder)
        {LIMIT.strip().replace(chr(10), chr(10) + "    ")}
        try:
            append_row(file, {{"what": "x" * 200_000}}, folder)
        except EvaluationError as error:
            print(error.code)
        append_row(file, {{"what": "marks", "n": 2}}, folder)
    print([row["n"] for row in kept_judgements(folder)])
    """
    assert run(code, tmp_path).splitlines() == ["run_unwritable", "[1, 2]"]


def test_a_line_goes_through_a_pipe() -> None:
    reader, writer = os.pipe()
    with open(reader, "rb") as end, open(writer, "wb", buffering=0) as file:
        with pytest.raises(OSError):  # noqa: PT011 - a pipe can't be flushed to disk
            append_line(file, "x")
        assert end.read(2) == b"x\n"


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
