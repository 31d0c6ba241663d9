"""What a search does about a folder that changed: the table of docs/explanation/index.md, cell by cell."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from cervella.agent.agent import Agent
from cervella.errors import IndexLockedError
from cervella.knowledge import HybridRetriever, KnowledgeIndex
from cervella.knowledge.embedders.cache import EmbeddingCache
from cervella.knowledge.index import following, freshness, pace, pending, refresh
from cervella.knowledge.index.storage import IndexFolder
from cervella.testing import ScriptedBrain
from cervella.types import Retrieval, Retrieved
from tests.conftest import PATIENCE, ROOT, PlainSoul
from tests.knowledge.conftest import HOSTING_NEW, HashEmbedder, write

PAGE = ROOT / "docs" / "explanation" / "index.md"
LONG_AGO = 1_700_000_000
PANE = "# Pane\n\nFarina, acqua, lievito madre e nove ore di riposo.\n"


def rows() -> list[tuple[str, str, str]]:
    """The change, the mode and the outcome of each cell."""
    lines = PAGE.read_text(encoding="utf-8").split("\n")
    start = next(number for number, line in enumerate(lines) if line.startswith("| change |"))
    modes = [cell.strip().strip("`") for cell in lines[start].strip("|").split("|")][1:]
    out = []
    for line in lines[start + 2 :]:
        if not line.startswith("|"):
            break
        change, *cells = (cell.strip() for cell in line.strip("|").split("|"))
        out += [(change, mode, cell) for mode, cell in zip(modes, cells, strict=True)]
    return out


@dataclass(frozen=True)
class Base:
    """An indexed folder of three notes."""

    folder: Path
    index_dir: Path
    patch: pytest.MonkeyPatch
    held: ExitStack

    def writer(self, **options: Any) -> KnowledgeIndex:
        return KnowledgeIndex(self.folder, self.index_dir, **{"embedder": "none", **options})

    def retriever(self, mode: Any, **options: Any) -> HybridRetriever:
        embedder = options.get("embedder", "none")
        writer = (lambda: self.writer(**options)) if mode == "auto" else None
        return HybridRetriever(self.index_dir, folder=self.folder, embedder=embedder, refresh=mode, writer=writer)


@pytest.fixture
def base(notes: Path, index_dir: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Base]:
    monkeypatch.setattr(refresh, "_WAIT_SECONDS", 0.05)
    monkeypatch.setattr(freshness, "_EVERY", 0.0)
    with ExitStack() as held:
        base = Base(notes, index_dir, monkeypatch, held)
        base.writer().update()
        yield base


New = Callable[[Retrieval], bool]
"""Whether a result is that of the folder as it is now, and not that of the index before."""


def finds(text: str) -> New:
    return lambda found: any(text in passage.text for passage in found)


def has(path: str) -> New:
    return lambda found: any(passage.path == path for passage in found)


def edited(base: Base) -> New:
    write(base.folder, "ricette/pane.md", PANE)
    return finds("nove ore")


def added(base: Base) -> New:
    write(base.folder, "ricette/focaccia.md", "# Focaccia\n\nAnche qui il lievito madre riposa.\n")
    return has("ricette/focaccia.md")


def deleted(base: Base) -> New:
    (base.folder / "ricette/pane.md").unlink()
    return lambda found: not has("ricette/pane.md")(found)


def renamed(base: Base) -> New:
    (base.folder / "ricette/pane.md").rename(base.folder / "ricette/pagnotta.md")
    return has("ricette/pagnotta.md")


def folder_renamed(base: Base) -> New:
    (base.folder / "decisioni").rename(base.folder / "scelte")
    return lambda found: any(passage.path.startswith("scelte/") for passage in found)


def touched(base: Base) -> New:
    for path in base.folder.rglob("*.md"):
        os.utime(path, (LONG_AGO, LONG_AGO))
    return lambda found: False


def restored(base: Base) -> New:
    path = base.folder / "ricette/pane.md"
    before = path.read_text(encoding="utf-8")
    edited(base)
    path.write_text(before, encoding="utf-8")
    return finds("nove ore")


def hundred(base: Base) -> New:
    for number in range(100):
        write(base.folder, f"note/{number:03}.md", f"# Nota {number}\n\nIl lievito madre numero {number}.\n")
    return lambda found: any(passage.path.startswith("note/") for passage in found)


def too_much(base: Base) -> New:
    write(base.folder, "lungo.md", f"# Lievito madre\n\n{'parola ' * 100_000}\n")
    return has("lungo.md")


def most_deleted(base: Base) -> New:
    (base.folder / "ricette/pane.md").unlink()
    (base.folder / "decisioni/20260110_hosting.md").unlink()
    return lambda found: not has("ricette/pane.md")(found)


def gone(base: Base) -> New:
    base.folder.rename(base.folder.with_name("altrove"))
    return lambda found: not found


def read_only(base: Base) -> New:
    def refuse(*given: Any, **named: Any) -> Any:
        raise PermissionError(13, "Permission denied")

    base.patch.setattr("cervella.knowledge.index.storage.locked", refuse)  # a mode does not bind root
    return edited(base)


def locked(base: Base) -> New:
    base.held.enter_context(IndexFolder(base.index_dir).writing())
    return edited(base)


def rolled_back(base: Base) -> New:
    new = edited(base)
    base.writer().update()
    base.writer().roll_back()
    return new


CHANGES: dict[str, Callable[[Base], New]] = {
    "a file is edited": edited,
    "a file is added": added,
    "a file is deleted": deleted,
    "a file is renamed": renamed,
    "a folder with most files is renamed": folder_renamed,
    "all files are touched": touched,
    "a file is edited and restored": restored,
    "a hundred files are added": hundred,
    "more is added than a second allows": too_much,
    "most files are deleted": most_deleted,
    "the folder is gone": gone,
    "a file is edited, the index is read-only": read_only,
    "a file is edited, another process writes": locked,
    "the index was rolled back": rolled_back,
}
QUERIES = {"a folder with most files is renamed": "fatturazione a consumo"}


def outcome(found: Retrieval, new: New) -> str:
    if found.behind is None:
        said = "unknown"
    else:
        said = f"{found.behind} behind" + (f", {found.unchecked} unchecked" if found.unchecked else "")
    return f"{said}, {'new' if new(found) else 'old'}"


def test_the_table_has_every_change_in_every_mode() -> None:
    assert [change for change, mode, _ in rows() if mode == "auto"] == list(CHANGES)
    assert {mode for _, mode, _ in rows()} == {"auto", "warn", "off"}


@pytest.mark.parametrize(("change", "mode", "expected"), rows())
@pytest.mark.parametrize("seen_before", [False, True], ids=["another process", "the same process"])
def test_what_is_said_and_what_is_searched(
    base: Base, change: str, mode: str, expected: str, seen_before: bool
) -> None:
    with base.retriever(mode) as retriever:
        if seen_before:
            retriever.retrieve("pane")
        new = CHANGES[change](base)
        query = QUERIES.get(change, "lievito madre")
        first = retriever.retrieve(query, top_k=200)
        assert outcome(first, new) == expected
        again = retriever.retrieve(query, top_k=200)
        assert outcome(again, new) == expected, "a second search says the same"


@pytest.mark.parametrize("change", ["all files are touched", "a file is edited and restored"])
def test_no_change_makes_no_generation(base: Base, change: str) -> None:
    with base.retriever("auto") as retriever:
        retriever.retrieve("pane")
        before = IndexFolder(base.index_dir).current()
        CHANGES[change](base)
        retriever.retrieve("pane")
        assert IndexFolder(base.index_dir).current() == before


# What is not done silently


def test_most_documents_are_not_dropped_and_the_log_says_how_to(base: Base, caplog: pytest.LogCaptureFixture) -> None:
    with base.retriever("auto") as retriever:
        most_deleted(base)
        for _ in range(3):
            retriever.retrieve("pane")
    [told] = [one.getMessage() for one in caplog.records if one.name == "cervella.knowledge.refresh"]
    assert told.startswith("2 of the 3 indexed files are gone")
    assert "cervella index" in told
    base.writer().update()
    with base.retriever("auto") as retriever:
        assert retriever.retrieve("pane").behind == 0


def test_files_that_became_empty_are_documents_that_are_gone(base: Base) -> None:
    for path in base.folder.rglob("*.md"):
        path.write_bytes(b"")
    with base.retriever("auto") as retriever:
        found = retriever.retrieve("lievito madre")
    assert (found.behind, len(found)) == (3, 1)


def test_a_roll_back_returns_to_the_index_before_the_last_run_whatever_searches_did_since(base: Base) -> None:
    first = IndexFolder(base.index_dir).current().name
    write(base.folder, "uno.md", "# Uno\n")
    base.writer().update()
    with base.retriever("auto") as retriever:
        for number in range(3):
            write(base.folder, "due.md", f"# Due {number}\n")
            assert retriever.retrieve(f"due {number}").behind == 0
        done = base.writer().roll_back()
        assert done.generation == first
        assert retriever.retrieve("due").behind == 2, "and it stays so"
        assert base.writer().roll_back().former == first
        write(base.folder, "due.md", "# Due, ancora\n")
        assert retriever.retrieve("due").behind == 0, "undoing it lets searches go on"


def test_a_broken_update_never_breaks_a_search(base: Base, caplog: pytest.LogCaptureFixture) -> None:
    def broken() -> Any:
        raise RuntimeError("broken")

    with HybridRetriever(
        base.index_dir, folder=base.folder, embedder="none", refresh="auto", writer=broken
    ) as retriever:
        new = edited(base)
        assert outcome(retriever.retrieve("lievito madre"), new) == "1 behind, old"
    assert "broken" in caplog.text


# Several at once


def test_a_search_waits_for_another_process_once_and_not_again(base: Base) -> None:
    waits: list[float] = []
    update = KnowledgeIndex.update_words

    def noted(self: KnowledgeIndex, *, wait: float, **named: Any) -> Any:
        waits.append(wait)
        return update(self, wait=wait, **named)

    base.patch.setattr(KnowledgeIndex, "update_words", noted)
    with base.retriever("auto") as retriever, ExitStack() as held:
        held.enter_context(IndexFolder(base.index_dir).writing())
        new = edited(base)
        for _ in range(3):
            assert outcome(retriever.retrieve("lievito madre"), new) == "1 behind, old"
        assert waits == [0.05, 0.0, 0.0]
        held.close()
        assert outcome(retriever.retrieve("lievito madre"), new) == "0 behind, new"


def test_threads_that_search_at_once_make_one_generation(base: Base) -> None:
    base.patch.setattr(refresh, "_WAIT_SECONDS", PATIENCE)
    base.patch.setattr(freshness, "_EVERY", 5.0)
    with base.retriever("auto") as retriever:
        new = edited(base)
        found: list[Retrieval] = []
        threads = [threading.Thread(target=lambda: found.append(retriever.retrieve("lievito madre"))) for _ in range(6)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
    assert [outcome(one, new) for one in found] == ["0 behind, new"] * 6
    assert IndexFolder(base.index_dir).current().name == "gen-00000002"


def test_a_run_of_the_index_waits_for_a_search_that_writes(base: Base) -> None:
    edited(base)
    held = ExitStack()
    held.enter_context(IndexFolder(base.index_dir).writing(brief=True))
    timer = threading.Timer(1.5, held.close)  # longer than another run is waited for
    timer.start()
    assert base.writer().update().changed == 1
    timer.join()
    with IndexFolder(base.index_dir).writing(), pytest.raises(IndexLockedError, match=str(os.getpid())):
        base.writer().update()


SEARCH = """
import json, sys
from cervella.knowledge import HybridRetriever, KnowledgeIndex
from cervella.knowledge.embedders.cache import EmbeddingCache
folder, index = sys.argv[1:]
with HybridRetriever(
    index, folder=folder, embedder="none", refresh="auto", writer=lambda: KnowledgeIndex(folder, index, embedder="none")
) as retriever:
    sys.stdin.read()
    found = retriever.retrieve("lievito madre")
    print(json.dumps([found.behind, found.passages[0].text]))
"""


def test_processes_that_search_at_once_make_one_generation_and_none_is_behind_in_silence(base: Base) -> None:
    edited(base)
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    searches = [
        subprocess.Popen(
            [sys.executable, "-c", SEARCH, str(base.folder), str(base.index_dir)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            env=environment,
        )
        for _ in range(3)
    ]
    outputs = [search.communicate(timeout=PATIENCE)[0] for search in searches]
    for behind, text in map(json.loads, outputs):
        assert ("nove ore" in text) == (behind == 0)
        assert behind in (0, 1)
    assert IndexFolder(base.index_dir).current().name == "gen-00000002"
    base.writer().update(verify=True)


def test_a_change_during_a_stream_does_not_disturb_it(base: Base, soul: PlainSoul) -> None:
    brain = ScriptedBrain("Otto ore di riposo [F1].", delay=0.01)
    options: dict[str, Any] = {"knowledge": base.folder, "index": base.index_dir, "embedder": "none", "soul": soul}
    with Agent(brain=brain, **options) as agent:
        events = agent.stream("Quanto riposa il lievito madre?")
        first = next(events)
        assert isinstance(first, Retrieved)
        edited(base)
        assert finds("nove ore")(agent.search("lievito madre")), "another search has the new text meanwhile"
        *_, last = events
        [citation] = last.reply.citations
        assert last.reply.text == "Otto ore di riposo [F1]."
        assert last.reply.passages == first.retrieval.passages
        assert (citation.changed, citation.supported) == (True, False)


# Vectors


@pytest.fixture
def embedder(base: Base) -> HashEmbedder:
    base.writer(embedder=HashEmbedder()).update(force=True)
    return HashEmbedder()


def test_vectors_follow_in_the_background_and_are_there_at_the_end(base: Base, embedder: HashEmbedder) -> None:
    with base.retriever("auto", embedder=embedder) as retriever:
        new = edited(base)
        found = retriever.retrieve("lievito madre")
        assert outcome(found, new) == "0 behind, new"
        assert (found.pending, found.coverage < 1) == (0, True), "they are being made"
    with base.retriever("off", embedder=embedder) as retriever:
        found = retriever.retrieve("lievito madre")
        assert (found.coverage, found.pending) == (1.0, 0)
    base.writer(embedder=embedder).update(verify=True)


def test_vectors_that_would_take_long_are_left_and_said(base: Base, embedder: HashEmbedder) -> None:
    base.patch.setattr(pace, "SECONDS_PER_CHUNK", 100.0)
    with base.retriever("auto", embedder=embedder) as retriever:
        new = edited(base)
        found = retriever.retrieve("lievito madre")
        assert outcome(found, new) == "0 behind, new"
    assert embedder.embedded == []
    assert found.pending == 1
    assert found.index_flags() == {"index_pending": 1}


def test_vectors_in_the_cache_follow_however_slow_the_embedder_is(
    base: Base, embedder: HashEmbedder, tmp_path: Path
) -> None:
    options: dict[str, Any] = {"embedder": embedder, "cache": EmbeddingCache(tmp_path / "cache")}
    path = base.folder / "ricette/pane.md"
    before = path.read_text(encoding="utf-8")
    edited(base)
    base.writer(**options).update()
    path.write_text(before, encoding="utf-8")
    base.writer(**options).update(force=True)
    embedder.embedded.clear()
    base.patch.setattr(pace, "SECONDS_PER_CHUNK", 100.0)
    with base.retriever("auto", **options) as retriever:
        edited(base)
        assert retriever.retrieve("lievito madre").pending == 0
        retriever.close()
        assert retriever.retrieve("lievito madre").coverage == 1.0
    assert embedder.embedded == []


def test_an_embedder_that_turns_out_slow_is_stopped(base: Base, embedder: HashEmbedder) -> None:
    now = [0.0]
    base.patch.setattr(pace, "SECONDS_PER_CHUNK", 0.05)
    base.patch.setattr(pending.time, "perf_counter", lambda: now[0])
    embed = embedder.embed_passages

    def slow(texts: Any) -> Any:
        now[0] += 1.0 * len(texts)
        return embed(texts)

    embedder.embed_passages = slow  # type: ignore[method-assign]
    with base.retriever("auto", embedder=embedder) as retriever:
        for number in range(40):
            write(base.folder, f"note/{number}.md", f"# Nota {number}\n\nIl numero {number}.\n")
        assert retriever.retrieve("numero").pending == 0, "40 chunks are 2 seconds, by the estimate"
        retriever.close()
        assert retriever.retrieve("numero").pending == 32, "two calls of four texts; the second was timed"
    assert len(embedder.embedded) == 8


def test_a_search_does_not_wait_for_vectors(base: Base, embedder: HashEmbedder) -> None:
    base.patch.setattr(following, "_GIVE_WAY_SECONDS", PATIENCE)
    going, goes_on = threading.Event(), threading.Event()
    embed = embedder.embed_passages

    def held(texts: Any) -> Any:
        going.set()
        assert goes_on.wait(PATIENCE)
        return embed(texts)

    embedder.embed_passages = held  # type: ignore[method-assign]
    with base.retriever("auto", embedder=embedder) as retriever:
        edited(base)
        retriever.retrieve("lievito madre")
        assert going.wait(PATIENCE)
        write(base.folder, "decisioni/20260110_hosting.md", HOSTING_NEW + "\nAggiunta: il lievito madre non conta.\n")
        assert finds("Aggiunta")(retriever.retrieve("lievito madre")), "words are indexed while vectors are made"
        goes_on.set()
    with base.retriever("off", embedder=embedder) as retriever:
        assert retriever.retrieve("pane").coverage == 1.0


def test_an_embedder_that_fails_leaves_the_words(
    base: Base, embedder: HashEmbedder, caplog: pytest.LogCaptureFixture
) -> None:
    def fails(texts: Any) -> Any:
        raise RuntimeError("no model")

    embedder.embed_passages = fails  # type: ignore[method-assign]
    with base.retriever("auto", embedder=embedder) as retriever:
        new = edited(base)
        retriever.retrieve("lievito madre")
        retriever.close()
        found = retriever.retrieve("lievito madre")
    assert outcome(found, new) == "0 behind, new"
    assert found.pending == 1
    assert "no model" in caplog.text


def test_an_error_in_the_block_of_an_agent_does_not_wait_for_vectors(
    base: Base, embedder: HashEmbedder, soul: PlainSoul
) -> None:
    base.patch.setattr(pace, "SECONDS_PER_CHUNK", 0.05)
    second, goes_on = threading.Event(), threading.Event()
    embed = embedder.embed_passages

    def held(texts: Any) -> Any:
        if embedder.embedded:
            second.set()
            assert goes_on.wait(PATIENCE)
        return embed(texts)

    embedder.embed_passages = held  # type: ignore[method-assign]

    def interrupted() -> None:
        options: dict[str, Any] = {"knowledge": base.folder, "index": base.index_dir, "embedder": embedder}
        with Agent(brain="echo", soul=soul, **options) as agent:
            for number in range(40):
                write(base.folder, f"note/{number}.md", f"# Nota {number}\n\nIl numero {number}.\n")
            agent.search("numero")
            assert second.wait(PATIENCE)
            threading.Timer(0.3, goes_on.set).start()
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        interrupted()
    assert len(embedder.embedded) == 8, "the texts that were being embedded, and no others"
    with base.retriever("warn", embedder=embedder) as retriever:
        assert retriever.retrieve("numero").pending == 32, "they are stored"


LEAVES = """
import sys, time
import numpy as np
from cervella import Agent
class Slow:
    name = fingerprint = "hash-1"
    dimensions = 32
    def embed_passages(self, texts):
        print("embedding", flush=True)
        time.sleep(0.3)
        return np.ones((len(texts), 32), dtype=np.float32) / np.sqrt(32)
    def embed_query(self, text):
        return self.embed_passages([text])[0]
class Soul:
    name, language, fingerprint = "Cervella", "it", "0" * 64
    def system_prompt(self): return "Sono Cervella."
agent = Agent(knowledge=sys.argv[1], index=sys.argv[2], embedder=Slow(), soul=Soul(), brain="echo")
agent.search("numero")
"""


def test_a_program_that_closes_nothing_ends_at_once_and_cleanly(base: Base, embedder: HashEmbedder) -> None:
    for number in range(20):
        write(base.folder, f"note/{number}.md", f"# Nota {number}\n\nIl numero {number}.\n")
    done = subprocess.run(
        [sys.executable, "-W", "error", "-c", LEAVES, str(base.folder), str(base.index_dir)],
        env={**os.environ, "PYTHONPATH": str(ROOT)},
        capture_output=True,
        text=True,
        check=False,
        timeout=PATIENCE,
    )
    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout.count("embedding") < 6
    base.writer(embedder=embedder).update(verify=True)


@pytest.mark.skipif(not hasattr(os, "fork"), reason="no fork here")
@pytest.mark.filterwarnings("ignore:.*fork.*:DeprecationWarning")
def test_a_forked_child_refreshes_by_itself(base: Base) -> None:
    with base.retriever("auto") as retriever:
        retriever.retrieve("pane")
        new = edited(base)
        child = os.fork()
        if child == 0:
            found = retriever.retrieve("lievito madre")
            retriever.close()
            os._exit(0 if outcome(found, new) == "0 behind, new" else 1)
        assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0
        assert outcome(retriever.retrieve("lievito madre"), new) == "0 behind, new"


# The estimate


def test_a_large_index_is_not_written_before_a_search_and_a_small_change_of_a_usual_one_is() -> None:
    assert pace.words_seconds(chunks=5_000, changed_bytes=20_000) < pace.WORDS_SECONDS
    assert pace.words_seconds(chunks=100, changed_bytes=300_000) < pace.WORDS_SECONDS
    assert pace.words_seconds(chunks=50_000, changed_bytes=1) > pace.WORDS_SECONDS
    assert pace.words_seconds(chunks=100, changed_bytes=1_000_000) > pace.WORDS_SECONDS


def test_close_is_quick_without_vectors_to_make(base: Base) -> None:
    retriever = base.retriever("auto")
    retriever.retrieve("pane")
    started = time.perf_counter()
    retriever.close()
    assert time.perf_counter() - started < PATIENCE / 10
