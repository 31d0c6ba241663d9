"""Embeds chunks with LlamaIndex: each text is a TextNode, and an IngestionPipeline runs the embedder.

LlamaIndex's document store is not used, because it deletes old nodes before the new ones exist; the manifest records
changes instead. LlamaIndex's cache is not used, because its entries are whole batches, not single texts.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any

from llama_index.core.ingestion import IngestionPipeline
from llama_index.core.schema import BaseNode, TextNode, TransformComponent

from cervella.knowledge.documents.indexed_text import embedding_text
from cervella.knowledge.embedders.cache import EmbeddingCache
from cervella.knowledge.index.manifest import ChunkRow
from cervella.protocols import Embedder

_WINDOW = 256
"""The number of chunks that are sorted by length at a time, because texts of equal length make efficient batches.

It is small, so that chunks are still embedded about in the order in which they come.
"""


class EmbedTransform(TransformComponent):
    """Runs an embedder of Cervella as a LlamaIndex transformation. `cache`, if there is one, gets the new vectors."""

    embedder: Any
    cache: Any = None

    def __call__(self, nodes: Sequence[BaseNode], **_: Any) -> Sequence[BaseNode]:
        texts = [node.get_content() for node in nodes]
        vectors = self.embedder.embed_passages(texts)
        if self.cache is not None:
            self.cache.put(self.embedder.fingerprint, texts, vectors)
        for node, vector in zip(nodes, vectors, strict=True):
            node.embedding = vector.tolist()
        return nodes


def vectors_of(
    chunks: Iterable[ChunkRow], embedder: Embedder, *, batch: int, cache: EmbeddingCache | None = None
) -> Iterator[Mapping[str, Sequence[float]]]:
    """Yields the vectors of all chunks, some at a time, by chunk id, roughly in the order of the chunks.

    The chunks are taken in groups of `_WINDOW`. Of each group, the vectors that `cache` has come first; the other texts
    are embedded in batches of at most `batch`. A batch is cached before it is yielded. Equal texts in a group are
    embedded once.
    """
    pipeline = IngestionPipeline(transformations=[EmbedTransform(embedder=embedder, cache=cache)], disable_cache=True)
    waiting: list[ChunkRow] = []
    for chunk in chunks:
        waiting.append(chunk)
        if len(waiting) == _WINDOW:
            yield from _embedded(waiting, pipeline, embedder.fingerprint, cache, batch)
            waiting = []
    yield from _embedded(waiting, pipeline, embedder.fingerprint, cache, batch)


def _embedded(
    chunks: Sequence[ChunkRow], pipeline: IngestionPipeline, fingerprint: str, cache: EmbeddingCache | None, batch: int
) -> Iterator[dict[str, Sequence[float]]]:
    ids: dict[str, list[str]] = {}
    for chunk in chunks:
        ids.setdefault(embedding_text(chunk.lead, chunk.reading), []).append(chunk.id)
    texts = sorted(ids, key=len)
    known = cache.get(fingerprint, texts) if cache is not None else [None] * len(texts)
    ready = {
        one: vector.tolist()
        for text, vector in zip(texts, known, strict=True)
        if vector is not None
        for one in ids[text]
    }
    if ready:
        yield ready
    missing = [text for text, vector in zip(texts, known, strict=True) if vector is None]
    for start in range(0, len(missing), batch):
        made = pipeline.run(nodes=[TextNode(text=text) for text in missing[start : start + batch]])
        yield {one: node.embedding or [] for node in made for one in ids[node.get_content()]}
