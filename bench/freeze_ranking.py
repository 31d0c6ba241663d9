"""`python -m bench.freeze_ranking`: freeze anew what tests/knowledge/test_ranking_pin.py compares with.

It cuts and embeds knowledge/, embeds the questions of tests/data/ranking-questions.jsonl, and notes what the search
makes of them today. `--answers` keeps the chunks and the vectors, and notes only the answers: for a change of the
ranking that is meant. Both print how many answers changed; that line goes into the note of the change.
"""

from __future__ import annotations

import argparse
import json
import tempfile
from collections.abc import Iterable
from dataclasses import asdict
from pathlib import Path
from typing import Any

import numpy as np

from bench import ROOT
from cervella.knowledge import KnowledgeIndex
from cervella.knowledge.documents.indexed_text import indexed_text
from cervella.knowledge.embedders.registry import load_embedder
from cervella.knowledge.index.manifest import Manifest
from cervella.knowledge.index.storage import IndexFolder
from cervella.knowledge.index.vectors import VectorStore
from tests.fixtures.frozen_ranking import (
    BASE,
    QUESTIONS,
    VECTORS,
    WAYS,
    Answer,
    build,
    differences,
    frozen_answers,
    rows,
    search,
)

KNOWLEDGE = ROOT / "knowledge"
_CHUNK = ("id", "ordinal", "parent", "start_line", "end_line", "heading", "lead")


def freeze_base(scratch: Path) -> None:
    """Write the chunks, their vectors and those of the questions."""
    embedder = load_embedder("auto")
    assert embedder is not None, "pip install 'cervella[embedded]'"
    KnowledgeIndex(KNOWLEDGE, scratch, embedder=embedder).update()
    generation = IndexFolder(scratch).current()
    with Manifest.open(generation) as manifest, VectorStore(generation, embedder.fingerprint) as store:
        write(BASE, frozen_files(manifest))
        ids = [row.id for row in manifest.chunks()]
        vectors = store.get(ids)
        asked = [embedder.embed_query(row["question"]) for row in rows(QUESTIONS)]
        np.savez_compressed(
            VECTORS,
            chunks=np.asarray([vectors[one] for one in ids], dtype=np.float16),
            questions=np.asarray(asked, dtype=np.float16),
            calibration=np.asarray(list(json.loads(manifest.meta("calibration") or "{}").values())),
        )


def frozen_files(manifest: Manifest) -> list[dict[str, Any]]:
    """A row for each file: its facts, its text, and its chunks with the words that are looked for in them."""
    files = []
    for path, file in manifest.files().items():
        chunks = [row for row in manifest.chunks() if row.path == path]
        name = path.removesuffix(".md")
        kept = [
            {
                **{field: getattr(row, field) for field in _CHUNK},
                "words": "\n".join((name, indexed_text(row.lead), indexed_text(row.text))),
            }
            for row in chunks
        ]
        text = manifest.lines(path, 1, max(row.end_line for row in chunks))
        files.append({"file": asdict(file), "text": text, "chunks": kept})
    return files


def write(path: Path, lines: Iterable[dict[str, Any]]) -> None:
    path.write_text("".join(json.dumps(one, ensure_ascii=False) + "\n" for one in lines), encoding="utf-8")


def answers(scratch: Path, way: str) -> list[Answer]:
    index = scratch / way / "index"
    return search(index, build(index, way=way))


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m bench.freeze_ranking", description=__doc__)
    parser.add_argument("--answers", action="store_true", help="keep the chunks and the vectors")
    options = parser.parse_args()
    questions = rows(QUESTIONS)
    with tempfile.TemporaryDirectory() as name:
        scratch = Path(name)
        if not options.answers:
            freeze_base(scratch / "base")
        for way in WAYS:
            now = answers(scratch, way)
            if all(way in row for row in questions):
                print(f"{way}: answered otherwise than before: {differences(now, frozen_answers(way))}")
            found, abstained = sum(bool(one.found) for one in now), sum(one.abstain for one in now)
            answerable = sum(bool(row["files"]) for row in questions)
            print(f"{way}: recall@5 {found} of {answerable}, abstains {abstained} times of {len(now)}")
            for row, one in zip(questions, now, strict=True):
                row[way] = asdict(one)
    write(QUESTIONS, questions)


if __name__ == "__main__":
    main()
