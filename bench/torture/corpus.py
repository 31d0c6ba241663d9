"""Small folders of Italian markdown, each made from the last, an embedder that costs nothing, an index's answers."""

from __future__ import annotations

import hashlib
import random
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from cervella.knowledge import HybridRetriever, KnowledgeIndex
from cervella.knowledge.index.manifest import Manifest
from cervella.knowledge.index.storage import IndexFolder
from cervella.text.language import words

__all__ = ["QUERIES", "Answers", "HashEmbedder", "answers", "build", "write_versions"]

_ITALIAN = """memoria sessione decisione regina pane lievito server fatturazione prenotazione cliente prezzo camera
ricerca vettore indice parola costo modello risposta domanda persona documento cartella lezione stato progetto"""
_WORDS = words(_ITALIAN)
QUERIES = ("lievito madre", "decisione sul prezzo", "memoria della sessione", "prenotazione camera cliente", "xyzzy")


class HashEmbedder:
    """Texts that share words get near vectors. Raises `error` at the call of this number, from 1."""

    name = "hash"
    dimensions = 32
    fingerprint = "hash-torture"

    def __init__(self, *, fail_at: int | None = None, before: Callable[[], None] | None = None) -> None:
        self.calls = 0
        self._fail_at = fail_at
        self._before = before

    def embed_passages(self, texts: Sequence[str], /) -> np.ndarray:
        self.calls += 1
        if self._before is not None:
            self._before()
        if self.calls == self._fail_at:
            raise ConnectionError("the embedder is gone")
        return np.stack([self.embed_query(text) for text in texts])

    def embed_query(self, text: str, /) -> np.ndarray:
        vector = np.full(self.dimensions, 1e-3, dtype=np.float32)
        for word in words(text):
            vector[int(hashlib.sha256(word.encode()).hexdigest(), 16) % self.dimensions] += 1
        return vector / np.linalg.norm(vector)


@dataclass(frozen=True)
class Answers:
    """All that an index says of a folder."""

    ids: frozenset[str]
    found: tuple[tuple[tuple[str, str, float], ...], ...]
    """By query: id, text and score of each passage."""
    coverage: float


def write_versions(where: Path, *, files: int, seed: int) -> list[Path]:
    """Folders of about `files` markdown files, each the one before with some changed, some new and some gone."""
    rng = random.Random(seed)
    texts = {f"n{number:03}.md": _text(rng, number) for number in range(files)}
    made, some = [], max(1, files // 8)
    for version in range(4):
        folder = where / f"version_{version}"
        for name, text in texts.items():
            path = folder / ("decisioni" if int(name[1:4]) % 3 else "ricerche") / name
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(text, encoding="utf-8")
        made.append(folder)
        for name in rng.sample(sorted(texts), some):
            del texts[name]
        for name in rng.sample(sorted(texts), some):
            texts[name] += f"\n## Aggiunta {version}\n\n{_sentence(rng)}\n"
        for number in range(files * (version + 1), files * (version + 1) + some):
            texts[f"n{number:03}.md"] = _text(rng, number)
    return made


def _text(rng: random.Random, number: int) -> str:
    sections = "".join(f"\n## Sezione {n}\n\n{_sentence(rng)} {_sentence(rng)}\n" for n in range(rng.randint(1, 5)))
    table = "\n| voce | valore |\n|---|---|\n" + "".join(f"| {rng.choice(_WORDS)} | {n} |\n" for n in range(4))
    return f"# Nota {number}\n\n> **Data:** {rng.randint(1, 28)} gennaio 2026\n{sections}{table}"


def _sentence(rng: random.Random) -> str:
    return " ".join(rng.choices(_WORDS, k=rng.randint(8, 40))).capitalize() + "."


def build(folder: Path, index: Path, embedder: Any = None, **options: Any) -> None:
    """Run the indexer, with the embedder that costs nothing where none is given."""
    KnowledgeIndex(folder, index, embedder=HashEmbedder() if embedder is None else embedder).update(**options)


def answers(folder: Path, index: Path, embedder: Any = None) -> Answers:
    """Ask an index everything."""
    with HybridRetriever(index, folder=folder, embedder=HashEmbedder() if embedder is None else embedder) as retriever:
        replies = [retriever.retrieve(query, top_k=8) for query in QUERIES]
    with Manifest.open(IndexFolder(index).current()) as manifest:
        ids = frozenset(manifest.ids())
    return Answers(
        ids=ids,
        found=tuple(tuple((one.id, one.text, round(one.score, 4)) for one in reply.passages) for reply in replies),
        coverage=min(reply.coverage for reply in replies),
    )
