"""One state of an index, loaded for searching."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from cervella.knowledge.embedding import NO_EMBEDDER, choose_embedder
from cervella.knowledge.letters import LetterIndex
from cervella.knowledge.lexical import LexicalIndex, load_lexical
from cervella.knowledge.manifest import FileRow, Manifest
from cervella.knowledge.storage import Generation, IndexFolder
from cervella.knowledge.vectors import VectorStore
from cervella.language import known_languages, language
from cervella.protocols import Embedder

__all__ = ["Snapshot", "load_snapshot"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Snapshot:
    """One generation of an index, in memory; texts stay on disk."""

    generation: Generation
    """Held, so that no writer removes it."""
    manifest: Manifest
    files: Mapping[str, FileRow]
    ids: Sequence[str]
    paths: Sequence[str]
    """Of the chunk at the same place."""
    places: Mapping[str, int]
    """By id."""
    words: LexicalIndex
    heads: LetterIndex
    """The words of each chunk's path and headings alone."""
    embedder: Embedder | None
    vectors: VectorStore | None
    """None while there is none, or none that can be asked here."""
    wants_vectors: bool
    pending: int
    """Chunks that have no vector yet."""
    warning: str | None
    """Why vectors are not searched although the index is made for them."""

    def is_current(self, path: Path) -> bool:
        """Whether this is the generation in that folder."""
        return self.generation.path == path

    def coverage(self) -> float:
        """Chunks with vectors / chunks; 1.0 where no vectors are wanted."""
        if not self.wants_vectors or not self.ids:
            return 1.0
        return 1.0 - self.pending / len(self.ids)

    def close(self) -> None:
        if self.vectors is not None:
            self.vectors.close()
        self.manifest.close()
        self.generation.close()


def load_snapshot(storage: IndexFolder, asked: str | Embedder | None) -> Snapshot:
    """Load the current generation. Raises IndexMissingError, IndexMismatchError, IndexDamagedError."""
    generation = storage.hold()
    manifest = None
    try:
        manifest = Manifest.open(generation.path)
        chunks, built = manifest.places(), manifest.built_with
        choice = choose_embedder(asked, built)
        words = load_lexical(generation.path, manifest.meta("lexical") or "", len(chunks))
        heads = _heads(manifest, [one for one, _ in chunks])
        files, pending = manifest.files(), manifest.count(embedded=False)
        vectors = None
        if choice.embedder is not None and VectorStore.exists(generation.path):
            generation.check_vectors()
            vectors = VectorStore(generation.path, choice.embedder.fingerprint)
    except BaseException:
        if manifest is not None:
            manifest.close()
        generation.close()
        raise
    return Snapshot(
        generation=generation,
        manifest=manifest,
        files=files,
        ids=[one for one, _ in chunks],
        paths=[path for _, path in chunks],
        places={one: place for place, (one, _) in enumerate(chunks)},
        words=words,
        heads=heads,
        embedder=choice.embedder,
        vectors=vectors,
        wants_vectors=built is not None and built.name != NO_EMBEDDER,
        pending=pending,
        warning=choice.warning,
    )


def _heads(manifest: Manifest, ids: Sequence[str]) -> LetterIndex:
    spoken = manifest.meta("language") or ""
    lang = language(spoken if spoken in known_languages() else "it")
    texts = {row.id: f"{row.path.removesuffix('.md')}\n{row.lead}" for row in manifest.chunks()}
    stems = {text: lang.stems(text) for text in set(texts.values())}
    return LetterIndex.of([stems[texts[one]] if one in texts else [] for one in ids])
