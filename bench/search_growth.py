"""`python -m bench.search_growth [CHUNKS …]`: what a search takes as the base grows.

The text is synthetic, of words as frequent as words are (Zipf), and the vectors are seeded: neither says how well the
search finds, only how long it takes. A passage's vector is near that of its file, as those of real texts are.
"""

from __future__ import annotations

import hashlib
import random
import statistics
import sys
import tempfile
import time
from collections.abc import Sequence
from itertools import accumulate
from pathlib import Path

import numpy as np
from rich.console import Console
from rich.table import Table

from cervella.knowledge import HybridRetriever, KnowledgeIndex
from cervella.text.language import language

SIZES = (1_000, 10_000, 50_000, 100_000)
WORDS, DIMENSIONS, QUERIES, TOP_K = 40_000, 384, 200, 6
CHUNKS_PER_FILE = 25
SYLLABLES = [
    c + v for c in ("b", "c", "d", "f", "g", "l", "m", "n", "p", "r", "s", "t", "v", "st", "tr") for v in "aeiou"
]


class SeededEmbedder:
    """Unit vectors from a text's hash, drawn half of the way to that of its first line."""

    name = fingerprint = "seeded-384"
    dimensions = DIMENSIONS

    def embed_passages(self, texts: Sequence[str], /) -> np.ndarray:
        rows = np.stack([_drawn(text) + _drawn(text.split("\n", 1)[0]) for text in texts])
        made: np.ndarray = (rows / np.linalg.norm(rows, axis=1, keepdims=True)).astype(np.float32)
        return made

    def embed_query(self, text: str, /) -> np.ndarray:
        one: np.ndarray = self.embed_passages([text])[0]
        return one


def _drawn(text: str) -> np.ndarray:
    seed = int.from_bytes(hashlib.sha256(text.encode()).digest()[:8], "big")
    return np.random.default_rng(seed).standard_normal(DIMENSIONS)


def vocabulary(draw: random.Random) -> list[str]:
    made = ["".join(draw.choices(SYLLABLES, k=draw.randint(2, 4))) for _ in range(WORDS)]
    common = sorted(language("it").stop_words)  # in any text the most frequent words are these
    return [*common, *made[len(common) :]]


def grow(folder: Path, first: int, last: int) -> None:
    """Write the files `first` to `last`; the same whatever was written before."""
    words = vocabulary(random.Random(4))
    weights = list(accumulate(1 / rank for rank in range(1, WORDS + 1)))
    for number in range(first, last):
        draw = random.Random(number)
        parts = [f"# {' '.join(draw.choices(words, cum_weights=weights, k=4))}\n"]
        for _ in range(CHUNKS_PER_FILE):
            heading = " ".join(draw.choices(words, cum_weights=weights, k=3))
            parts.append(f"## {heading}\n\n{' '.join(draw.choices(words, cum_weights=weights, k=60))}.\n")
        (folder / f"f{number:05}.md").write_text("\n".join(parts), encoding="utf-8")


def questions() -> list[str]:
    draw = random.Random(7)
    words = vocabulary(random.Random(4))
    weights = list(accumulate(1 / rank for rank in range(1, WORDS + 1)))
    return [" ".join(draw.choices(words, cum_weights=weights, k=8)) for _ in range(QUERIES)]


def main(sizes: Sequence[int]) -> None:
    table = Table("chunks", "with", "index s", "load s", "p50 ms", "p95 ms", "x the first")
    console = Console(width=120)
    with tempfile.TemporaryDirectory() as place:
        folder, written = Path(place, "notes"), 0
        folder.mkdir()
        first: dict[str, float] = {}
        for size in sizes:
            grow(folder, written, size // CHUNKS_PER_FILE)
            written = size // CHUNKS_PER_FILE
            for name, embedder in (("words", "none"), ("words and vectors", SeededEmbedder())):
                index = Path(place, name)
                started = time.perf_counter()
                report = KnowledgeIndex(folder, index, embedder=embedder).update()
                indexed = time.perf_counter() - started
                with HybridRetriever(index, folder=folder, embedder=embedder) as retriever:
                    started = time.perf_counter()
                    retriever.retrieve("prima domanda", top_k=TOP_K)
                    loaded = time.perf_counter() - started
                    times = []
                    for question in questions():
                        started = time.perf_counter()
                        retriever.retrieve(question, top_k=TOP_K)
                        times.append(1000 * (time.perf_counter() - started))
                p50, p95 = statistics.median(times), statistics.quantiles(times, n=20)[-1]
                ratio = p50 / first.setdefault(name, p50)
                row = (f"{indexed:.0f}", f"{loaded:.1f}", f"{p50:.1f}", f"{p95:.1f}", f"{ratio:.1f}")
                table.add_row(f"{report.chunks_total:,}", name, *row)
                console.print(f"{report.chunks_total:,} chunks, {name}: p50 {p50:.1f} ms, indexed in {indexed:.0f} s")
    console.print(table)


if __name__ == "__main__":
    main([int(argument) for argument in sys.argv[1:]] or SIZES)
