"""How far the folder is from what was indexed: what counts, what does not, and what a look costs."""

from __future__ import annotations

import os
import random
import shutil
import signal
import stat
import threading
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest

from cervella.knowledge import HybridRetriever, KnowledgeIndex
from cervella.knowledge.index import freshness
from cervella.knowledge.index.freshness import Stamps
from cervella.knowledge.index.storage import Generation, IndexFolder

Write = Callable[[Path, str, str | bytes], Path]
LONG_AGO = 1_700_000_000


def update(folder: Path, index_dir: Path, **options: Any) -> None:
    KnowledgeIndex(folder, index_dir, embedder="none", **options).update()


def behind(folder: Path, index_dir: Path, **options: Any) -> int:
    """As somebody sees it who has not looked before."""
    with HybridRetriever(index_dir, folder=folder, **options) as retriever:
        found = retriever.retrieve("pane e fatturazione")
        assert found.unchecked == 0
        return found.behind


def touch(path: Path, when: float = LONG_AGO) -> None:
    os.utime(path, (when, when))


def test_an_index_of_its_folder_as_it_is_is_not_behind(notes: Path, index_dir: Path) -> None:
    update(notes, index_dir)
    assert behind(notes, index_dir) == 0


def test_what_was_added_changed_and_removed_is_counted_once_each(notes: Path, index_dir: Path, write: Write) -> None:
    update(notes, index_dir)
    write(notes, "nuovo/dolce.md", "# Tiramisù\n")
    assert behind(notes, index_dir) == 1
    write(notes, "ricette/pane.md", "# Pane\n\nUna riga nuova.\n")
    assert behind(notes, index_dir) == 2
    (notes / "decisioni/20260109_hosting.md").unlink()
    assert behind(notes, index_dir) == 3
    update(notes, index_dir)
    assert behind(notes, index_dir) == 0


def test_a_renamed_file_is_one_removed_and_one_added(notes: Path, index_dir: Path) -> None:
    update(notes, index_dir)
    (notes / "ricette").rename(notes / "cucina")
    assert behind(notes, index_dir) == 2


def test_a_change_that_keeps_the_size_is_seen(notes: Path, index_dir: Path, write: Write) -> None:
    path = notes / "ricette/pane.md"
    update(notes, index_dir)
    write(notes, "ricette/pane.md", path.read_text("utf-8").replace("otto", "nove"))
    assert behind(notes, index_dir) == 1


def test_a_change_that_keeps_the_size_is_seen_however_soon_it_follows(
    notes: Path, index_dir: Path, write: Write
) -> None:
    one, other = "# Uno\n\nOtto ore.\n", "# Uno\n\nNove ore.\n"
    for _ in range(5):
        write(notes, "uno.md", one)
        update(notes, index_dir)
        write(notes, "uno.md", other)
        assert behind(notes, index_dir) == 1


def test_a_file_of_which_only_the_time_is_new_is_no_change(notes: Path, index_dir: Path, write: Write) -> None:
    for number in range(30):
        write(notes, f"nota_{number}.md", f"# Nota {number}\n")
    update(notes, index_dir)
    for path in notes.rglob("*.md"):  # as after a clone, a checkout, an rsync
        touch(path)
    assert behind(notes, index_dir) == 0
    write(notes, "nota_7.md", "# Nota 8\n")
    assert behind(notes, index_dir) == 1


def test_an_index_without_stamps_is_not_behind(notes: Path, index_dir: Path, write: Write) -> None:
    update(notes, index_dir)
    for damaged in (None, b"", b"[]", b"{", b'{"files": {"a.md": 3}, "exclude": [], "max_bytes": 1}', b"\xff"):
        if damaged is None:  # an older version kept none
            (index_dir / "stamps.json").unlink()
        else:
            (index_dir / "stamps.json").write_bytes(damaged)
        assert behind(notes, index_dir) == 0
    write(notes, "ricette/pane.md", "# Pane\n")
    assert behind(notes, index_dir) == 1
    update(notes, index_dir)
    assert Stamps.load(index_dir) is not None


def test_what_is_not_indexed_never_counts(notes: Path, index_dir: Path, write: Write, tmp_path: Path) -> None:
    def skipped(number: int) -> None:
        for name, text in {
            f"foto{number}.png": b"\x89PNG",
            f".nascosta/{number}.md": "# Nascosta\n",
            f".nascosto{number}.md": "# Nascosto\n",
            f"secrets/{number}.md": "# Segreto\n",
            f"credenziali/{number}.md": "# Credenziali\n",
            f"bozze/{number}.md": "# Bozza\n",
            f"vuoto{number}.md": "",
            f"bianco{number}.md": " \n\n",
            f"binario{number}.md": b"\xff\xfe\x00\x01",
            f"grande{number}.md": "parola " * 500,
        }.items():
            write(notes, name, text)
        (notes / f"dentro{number}.md").symlink_to(notes / "ricette/pane.md")
        (notes / f"fuori{number}.md").symlink_to(tmp_path)
        os.mkfifo(notes / f"coda{number}.md")

    skipped(1)
    rules: dict[str, Any] = {"exclude": ["bozze"], "max_bytes": 2000}
    update(notes, index_dir, **rules)
    assert behind(notes, index_dir) == 0
    skipped(2)
    assert behind(notes, index_dir) == 0
    assert behind(notes, index_dir, exclude=["bozze/"]) == 0


def test_two_names_for_one_are_counted_as_they_are_indexed(notes: Path, index_dir: Path, write: Write) -> None:
    write(notes, "caffe\u0300.md", "# Uno\n")
    update(notes, index_dir)
    write(notes, "caff\u00e8.md", "# Due\n")
    if len(list(notes.glob("caff*.md"))) < 2:
        pytest.skip("this file system has one of the two names only")
    assert behind(notes, index_dir) == 0


def test_an_indexed_file_that_would_be_skipped_now_counts(notes: Path, index_dir: Path, write: Write) -> None:
    update(notes, index_dir)
    write(notes, "ricette/pane.md", "")
    assert behind(notes, index_dir) == 1


def test_what_the_configuration_excludes_since_counts_as_the_next_run_will_remove_it(
    notes: Path, index_dir: Path
) -> None:
    update(notes, index_dir)
    assert behind(notes, index_dir, exclude=["decisioni"]) == 2
    update(notes, index_dir, exclude=["decisioni"])
    assert behind(notes, index_dir, exclude=["decisioni"]) == 0
    assert behind(notes, index_dir, exclude=[]) == 2
    assert behind(notes, index_dir) == 0, "without rules of its own a retriever has those of the index"


@pytest.mark.parametrize("seed", range(12))
def test_the_count_is_what_the_indexer_would_do(seed: int, tmp_path: Path, index_dir: Path, write: Write) -> None:
    chance = random.Random(seed)
    folder, exclude = tmp_path / "note", ["fuori", "**/*.tmp.md"]
    names = [
        f"{area}{name}{end}"
        for area in ("", "a/", "a/b/", "fuori/", ".git/", "àccénti/")
        for name in ("uno", "due", "tre")
        for end in (".md", ".tmp.md", ".txt", ".MARKDOWN")
    ]
    texts: list[str | bytes] = ["# Uno\n", "# Due\n", "# Tre, più lungo\n", "", " \n", b"\xff\xfe", "\0"]
    for name in chance.sample(names, 40):
        write(folder, name, chance.choice(texts))
    update(folder, index_dir, exclude=exclude)
    for name in chance.sample(names, 25):
        path = folder / name
        if path.exists() and chance.random() < 0.4:
            path.unlink()
        elif path.exists() and chance.random() < 0.3:
            touch(path)
        else:
            write(folder, name, chance.choice(texts))
    report = KnowledgeIndex(folder, index_dir, embedder="none", exclude=exclude).drift()
    expected = report.added + report.changed + report.removed
    assert behind(folder, index_dir, exclude=exclude) == behind(folder, index_dir) == expected


def test_the_index_folder_is_no_part_of_the_folder(notes: Path, write: Write) -> None:
    update(notes, notes / "indice")
    write(notes, "indice/nota.md", "# Nota\n")
    assert behind(notes, notes / "indice") == 0


# What can't be looked at


def test_a_folder_that_is_not_there_is_unknown_not_gone(notes: Path, index_dir: Path) -> None:
    update(notes, index_dir)
    notes.rename(notes.with_name("altrove"))
    with HybridRetriever(index_dir, folder=notes) as retriever:
        found = retriever.retrieve("pane")
        assert (found.behind, found.unchecked) == (0, 3)
        assert retriever.changed(found[0]) is None


def test_a_folder_that_can_not_be_listed_is_unknown_not_gone(
    notes: Path, index_dir: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    update(notes, index_dir)
    listed = os.scandir

    def refuse(path: Any) -> Any:
        if str(path).rstrip("/").endswith("decisioni"):
            raise PermissionError(13, "Permission denied")
        return listed(path)

    monkeypatch.setattr(os, "scandir", refuse)
    with HybridRetriever(index_dir, folder=notes) as retriever:
        found = retriever.retrieve("pane")
        assert (found.behind, found.unchecked) == (0, 2)


def test_what_there_is_no_time_to_compare_is_counted_apart_and_compared_later(
    notes: Path, index_dir: Path, write: Write, monkeypatch: pytest.MonkeyPatch
) -> None:
    for number in range(20):
        write(notes, f"nota_{number:02}.md", f"# Nota {number:02}\n")
    update(notes, index_dir)
    for path in notes.rglob("*.md"):
        touch(path)
    write(notes, "nota_07.md", "# Nota 99\n")
    touch(notes / "nota_07.md", LONG_AGO + 60)  # what was written last is compared first
    monkeypatch.setattr(freshness, "_COMPARING", 0.0)
    monkeypatch.setattr(freshness, "_FIRST_COMPARING", 0.0)
    monkeypatch.setattr(freshness, "_AT_LEAST_FILES", 8)
    monkeypatch.setattr(freshness, "_EVERY", 0.0)
    with HybridRetriever(index_dir, folder=notes) as retriever:
        looks = [retriever.retrieve("pane") for _ in range(4)]
    assert [(look.behind, look.unchecked) for look in looks] == [(1, 15), (1, 7), (1, 0), (1, 0)]


def test_a_name_that_is_new_counts_before_it_is_read(
    notes: Path, index_dir: Path, write: Write, monkeypatch: pytest.MonkeyPatch
) -> None:
    update(notes, index_dir)
    for number in range(20):
        write(notes, f"nota_{number:02}.md", f"# Nota {number:02}\n")
    monkeypatch.setattr(freshness, "_COMPARING", 0.0)
    monkeypatch.setattr(freshness, "_FIRST_COMPARING", 0.0)
    monkeypatch.setattr(freshness, "_AT_LEAST_FILES", 8)
    assert behind(notes, index_dir) == 20


def test_an_index_run_that_changes_nothing_learns_the_new_times(
    notes: Path, index_dir: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    update(notes, index_dir)
    for path in notes.rglob("*.md"):
        touch(path, LONG_AGO + 0.5)
    generation = IndexFolder(index_dir).current()
    update(notes, index_dir)
    assert IndexFolder(index_dir).current() == generation
    monkeypatch.setattr(freshness, "read", None)  # nothing is left to compare
    assert behind(notes, index_dir) == 0


# When it looks


def test_it_does_not_look_again_within_five_seconds(
    notes: Path, index_dir: Path, write: Write, monkeypatch: pytest.MonkeyPatch
) -> None:
    update(notes, index_dir)
    looks, now = [], [1000.0]
    scan = freshness.scan
    monkeypatch.setattr(freshness, "scan", lambda *given, **named: looks.append(1) or scan(*given, **named))
    monkeypatch.setattr(time, "monotonic", lambda: now[0])
    with HybridRetriever(index_dir, folder=notes) as retriever:
        assert retriever.retrieve("pane").behind == 0
        write(notes, "dolce.md", "# Tiramisù\n")
        now[0] += 4.9
        assert retriever.retrieve("pane").behind == 0
        with ThreadPoolExecutor(8) as pool:
            list(pool.map(lambda _: retriever.retrieve("pane"), range(16)))
        assert len(looks) == 1
        now[0] += 0.2
        assert retriever.retrieve("pane").behind == 1
        with ThreadPoolExecutor(8) as pool:
            assert {found.behind for found in pool.map(lambda _: retriever.retrieve("pane"), range(16))} == {1}
        assert len(looks) == 2


def test_a_new_index_is_looked_at_at_once(notes: Path, index_dir: Path, write: Write) -> None:
    update(notes, index_dir)
    write(notes, "dolce.md", "# Tiramisù\n")
    with HybridRetriever(index_dir, folder=notes) as retriever:
        assert retriever.retrieve("pane").behind == 1
        update(notes, index_dir)
        assert retriever.retrieve("pane").behind == 0
        KnowledgeIndex(notes, index_dir, embedder="none").roll_back()
        assert retriever.retrieve("pane").behind == 1


def test_an_index_that_was_deleted_and_built_again_is_compared_by_its_own_settings(
    notes: Path, index_dir: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(freshness, "_EVERY", 0.0)
    update(notes, index_dir, exclude=["ricette"])
    with HybridRetriever(index_dir, folder=notes) as retriever:
        assert retriever.retrieve("pane").behind == 0
        shutil.rmtree(index_dir)
        update(notes, index_dir)
        assert retriever.retrieve("pane").behind == 0


def test_the_log_says_it_once_for_each_state(
    notes: Path, index_dir: Path, write: Write, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(freshness, "_EVERY", 0.0)
    update(notes, index_dir)
    caplog.set_level("WARNING", "cervella")
    with HybridRetriever(index_dir, folder=notes) as retriever:
        for name in ("uno.md", "due.md"):
            write(notes, name, "# Nota\n")
            for _ in range(3):
                retriever.retrieve("pane")
    assert [record.getMessage() for record in caplog.records if record.name == "cervella.knowledge"] == [
        "1 file changed since the index was built; run `cervella index`",
        "2 files changed since the index was built; run `cervella index`",
    ]


def test_a_look_at_a_thousand_files_takes_at_most_twenty_milliseconds(
    tmp_path: Path, index_dir: Path, write: Write, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder, times = tmp_path / "note", []
    for number in range(1000):
        write(
            folder, f"area{number % 10}/tema{number % 50}/nota_{number}.md", f"# Nota {number}\n\n{'parola ' * 200}\n"
        )
    update(folder, index_dir, exclude=["bozze", "**/*.tmp.md"])
    monkeypatch.setattr(freshness, "_EVERY", 0.0)
    with HybridRetriever(index_dir, folder=folder) as retriever:
        retriever.retrieve("parola")
        looked = retriever._freshness.look
        assert retriever._loaded is not None
        for again in range(20):
            if again == 10:
                for path in folder.rglob("*.md"):
                    touch(path)
            before = time.thread_time()  # of this thread alone: other programs run on this machine
            distance = looked(retriever._loaded.files, retriever._loaded.generation)
            times.append(time.thread_time() - before)
            assert distance.behind == 0
    assert min(times[:10]) < 0.02
    assert min(times[10:13]) < 0.02, "contents are compared in these, as far as there is time"


# One cited file


def test_a_cited_file_is_compared_whatever_its_size_and_time(notes: Path, index_dir: Path, write: Write) -> None:
    path = notes / "ricette/pane.md"
    update(notes, index_dir)
    with HybridRetriever(index_dir, folder=notes) as retriever:
        passage = retriever.retrieve("lievito madre")[0]
        assert retriever.changed(passage) is False
        touch(path)
        assert retriever.changed(passage) is False
        status, text = path.stat(), path.read_text("utf-8")
        write(notes, "ricette/pane.md", text.replace("otto", "nove"))
        os.utime(path, ns=(status.st_atime_ns, status.st_mtime_ns))
        assert retriever.changed(passage) is True
        write(notes, "ricette/pane.md", text)
        assert retriever.changed(passage) is False
        path.unlink()
        assert retriever.changed(passage) is True
        path.symlink_to(notes / "decisioni/20260110_hosting.md")
        assert retriever.changed(passage) is True
        path.unlink()
        path.mkdir()
        assert retriever.changed(passage) is True


def test_a_passage_of_an_index_that_was_renewed_since_has_changed(notes: Path, index_dir: Path, write: Write) -> None:
    update(notes, index_dir)
    with HybridRetriever(index_dir, folder=notes) as retriever:
        passage = retriever.retrieve("lievito madre")[0]
        write(notes, "ricette/pane.md", "# Pane\n\nFarina, acqua, lievito madre e nove ore di riposo.\n")
        update(notes, index_dir)
        assert retriever.changed(passage) is True
        assert retriever.changed(retriever.retrieve("lievito madre")[0]) is False
        (notes / "ricette/pane.md").unlink()
        update(notes, index_dir)
        assert retriever.changed(passage) is True


# What is kept


def test_stamps_are_as_readable_as_the_index_and_hold_no_trace_of_what_is_gone(notes: Path, index_dir: Path) -> None:
    update(notes, index_dir)
    (index_dir / "current").chmod(0o640)
    (notes / "ricette/pane.md").unlink()
    update(notes, index_dir)
    kept = index_dir / "stamps.json"
    assert "pane" not in kept.read_text(encoding="utf-8")
    assert stat.S_IMODE(kept.stat().st_mode) == stat.S_IMODE((index_dir / "current").stat().st_mode)
    written = kept.stat().st_mtime_ns
    update(notes, index_dir)
    assert kept.stat().st_mtime_ns == written


@pytest.mark.skipif(not hasattr(os, "fork"), reason="no fork here")
@pytest.mark.filterwarnings("ignore:.*fork.*:DeprecationWarning")
def test_a_forked_child_looks_though_another_thread_was_looking(tmp_path: Path) -> None:
    looking = freshness.Freshness(tmp_path, tmp_path / "index")
    held, done = threading.Event(), threading.Event()

    def look() -> None:
        with looking._lock:
            held.set()
            done.wait(60.0)

    thread = threading.Thread(target=look)
    thread.start()
    assert held.wait(10.0)
    child = os.fork()
    if child == 0:
        signal.alarm(10)  # a child that waits for a thread which it does not have is ended
        looking.look({}, Generation(tmp_path / "generation", ""))
        os._exit(0)
    status = os.waitpid(child, 0)[1]
    done.set()
    thread.join()
    assert os.waitstatus_to_exitcode(status) == 0
