"""A base whose chunks, vectors and questions are frozen in tests/data, so that only the ranking can change an answer.

`python -m tests.benchmarks.freeze_ranking` freezes it anew.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from cervella.knowledge import HybridRetriever
from cervella.knowledge.index.builder import Builder
from cervella.knowledge.index.manifest import ChunkRow, FileRow
from cervella.knowledge.index.storage import IndexFolder
from cervella.knowledge.index.words import write_lexical
from cervella.text.language import language

DATA = Path(__file__).resolve().parents[1] / "data"
BASE, QUESTIONS, VECTORS = (DATA / f"ranking-{name}" for name in ("base.jsonl", "questions.jsonl", "vectors.npz"))
SHOWN = 5
WAYS = ("vectors", "words")
"""The frozen vectors and the words, and the words alone."""


def rows(path: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines()]


@dataclass(frozen=True)
class Answer:
    """What the search made of one question."""

    order: tuple[str, ...]
    """The first five passages, each as `path:first line-last line`."""
    abstain: bool
    found: bool | None
    """Whether the passage that answers is among them; None for a question that the base does not answer."""


class FrozenEmbedder:
    """Knows the vectors of the frozen questions and nothing else."""

    name = "frozen"
    fingerprint = "frozen"

    def __init__(self, vectors: dict[str, np.ndarray]) -> None:
        self._vectors = vectors
        self.dimensions = len(next(iter(vectors.values())))

    def embed_query(self, text: str, /) -> np.ndarray:
        return self._vectors[text]

    def embed_passages(self, texts: Sequence[str], /) -> np.ndarray:
        raise AssertionError("nothing is embedded here")


def unit(vectors: np.ndarray) -> np.ndarray:
    wide = vectors.astype(np.float32)
    return wide / np.linalg.norm(wide, axis=1, keepdims=True)


def build(index: Path, *, way: str) -> FrozenEmbedder | str:
    """Write the index of the frozen base, without a parser or an embedder. Gives the embedder to search it with."""
    files, frozen = rows(BASE), np.load(VECTORS)
    questions = [row["question"] for row in rows(QUESTIONS)]
    embedder: FrozenEmbedder | str = "none"
    if way == "vectors":
        embedder = FrozenEmbedder(dict(zip(questions, unit(frozen["questions"]), strict=True)))
    named = embedder if isinstance(embedder, str) else embedder.name
    storage = IndexFolder(index)
    with storage.writing(), closing(Builder(storage, base=None, former=None, fingerprint=named)) as builder:
        manifest, work = builder.begin()
        for row in files:
            chunks = row["chunks"]
            stems = [language("it").stems(chunk["words"]) for chunk in chunks]
            manifest.replace_file(FileRow(**row["file"]), row["text"], [_chunk(row, one) for one in chunks], stems)
        lexical = write_lexical(work, manifest.stems())
        manifest.put_meta({"lexical": lexical, "language": "it", "embedder": named, "fingerprint": named})
        if way == "vectors":
            ids = [chunk["id"] for row in files for chunk in row["chunks"]]
            builder.add(dict(zip(ids, unit(frozen["chunks"]), strict=True)))
            builder.drop_stale()
            manifest.put_meta({"calibration": json.dumps(frozen["calibration"].tolist())})
        builder.publish()
    return embedder


def _chunk(row: dict[str, Any], chunk: dict[str, Any]) -> ChunkRow:
    facts = {name: value for name, value in chunk.items() if name != "words"}
    lines = row["text"].split("\n")[facts["start_line"] - 1 : facts["end_line"]]
    return ChunkRow(**facts, path=row["file"]["path"], text="\n".join(lines))


def search(index: Path, embedder: FrozenEmbedder | str) -> list[Answer]:
    """What the real search makes of the frozen questions."""
    with HybridRetriever(index, folder=index.parent, embedder=embedder) as retriever:
        return [_answer(retriever, row) for row in rows(QUESTIONS)]


def _answer(retriever: HybridRetriever, row: dict[str, Any]) -> Answer:
    passages = retriever.retrieve(row["question"], top_k=SHOWN)
    return Answer(
        order=tuple(f"{one.path}:{one.start_line}-{one.end_line}" for one in passages),
        abstain=passages.abstain,
        found=any(one.path in row["files"] and row["evidence"] in one.text for one in passages)
        if row["files"]
        else None,
    )


def frozen_answers(way: str) -> list[Answer]:
    told = [row[way] for row in rows(QUESTIONS)]
    return [Answer(order=tuple(one["order"]), abstain=one["abstain"], found=one["found"]) for one in told]


def differences(now: Sequence[Answer], then: Sequence[Answer]) -> dict[str, int]:
    """How many questions are answered otherwise, by what is compared."""
    pairs = list(zip(now, then, strict=True))
    return {
        "order": sum(a.order != b.order for a, b in pairs),
        "abstain": sum(a.abstain != b.abstain for a, b in pairs),
        "recall": abs(sum(bool(a.found) for a in now) - sum(bool(b.found) for b in then)),
    }
