"""`python -m bench.staleness [CHUNKS …]`: what it takes to look at a folder, and to index what changed before a search.

The text and the vectors are synthetic, as in bench/search_growth.py. Times are of this process: seconds by the clock,
and of the CPU in brackets. The estimates of cervella/knowledge/index/pace.py are beside them.
"""

from __future__ import annotations

import statistics
import sys
import tempfile
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.table import Table

from bench.search_growth import CHUNKS_PER_FILE, SeededEmbedder, grow
from cervella.knowledge import HybridRetriever, KnowledgeIndex
from cervella.knowledge.index import freshness, pace, refresh
from cervella.knowledge.index.snapshot import Snapshot

SIZES = (1_000, 5_000, 10_000)
CHANGES = (1, 10, 100)
"""Numbers of files that are changed at once."""
LOOKS = 100


def timed(work: Callable[[], object]) -> tuple[float, float]:
    started, cpu = time.perf_counter(), time.process_time()
    work()
    return time.perf_counter() - started, time.process_time() - cpu


def told(times: Sequence[tuple[float, float]]) -> str:
    clock, cpu = (statistics.median(column) for column in zip(*times, strict=True))
    return f"{clock:.2f} ({cpu:.2f})"


def loaded_by(retriever: HybridRetriever) -> Snapshot:
    retriever.retrieve("prova")
    assert retriever._loaded is not None
    return retriever._loaded


def looks(folder: Path, index_dir: Path, embedder: Any) -> str:
    """The median and the 95th percentile of a look, in milliseconds."""
    with HybridRetriever(index_dir, folder=folder, embedder=embedder) as retriever:
        loaded = loaded_by(retriever)
        look = freshness.Freshness(folder, index_dir)
        times = sorted(timed(lambda: look.look(loaded.files, loaded.generation))[0] for _ in range(LOOKS))
    return f"{times[LOOKS // 2] * 1e3:.1f} / {times[int(LOOKS * 0.95)] * 1e3:.1f}"


def changed(folder: Path, files: int, turn: int) -> int:
    """Change a paragraph of some files; returns the size of these files."""
    paths = sorted(folder.glob("*.md"))[:files]
    for path in paths:
        text = path.read_text(encoding="utf-8").partition("\n\nGiro ")[0]
        path.write_text(f"{text}\n\nGiro {turn}.\n", encoding="utf-8")
    return sum(path.stat().st_size for path in paths)


def main(sizes: Sequence[int]) -> None:
    freshness._EVERY = 0.0
    refresh.WORDS_SECONDS = pace.WORDS_SECONDS = 1e9  # everything is tried, whatever it takes
    table = Table("chunks", "with", "files changed", "look ms", "search after it s", "estimate s", "vectors s")
    console = Console(width=130)
    for size in sizes:
        with tempfile.TemporaryDirectory() as place:
            folder = Path(place, "notes")
            folder.mkdir()
            grow(folder, 0, size // CHUNKS_PER_FILE)
            kinds: dict[str, Any] = {"words": "none", "vectors": SeededEmbedder()}
            for kind, embedder in kinds.items():
                index_dir = Path(place, kind)
                writer = KnowledgeIndex(folder, index_dir, embedder=embedder)
                writer.update()
                look = looks(folder, index_dir, embedder)
                with HybridRetriever(
                    index_dir,
                    folder=folder,
                    embedder=embedder,
                    refresh="auto",
                    writer=lambda writer=writer: writer,
                ) as retriever:
                    loaded = loaded_by(retriever)
                    for files in (count for count in CHANGES if count <= size // CHUNKS_PER_FILE):
                        searches, followed, data = [], [], 0
                        for turn in range(3):
                            data = changed(folder, files, turn)
                            searches.append(timed(lambda: retriever.retrieve("prova")))
                            followed.append(timed(retriever.close))
                            retriever.retrieve("prova")
                        estimate = pace.words_seconds(chunks=len(loaded.ids), changed_bytes=data)
                        row = (f"{len(loaded.ids):,}", kind, str(files), look, told(searches), f"{estimate:.2f}")
                        table.add_row(*row, told(followed) if kind == "vectors" else "")
    console.print(table)


if __name__ == "__main__":
    main([int(one) for one in sys.argv[1:]] or SIZES)
