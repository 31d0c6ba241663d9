"""The translated_errors to LlamaIndex: chunks go in as TextNodes, an IngestionPipeline embeds them.

Only that transformation is LlamaIndex's here. What changed, what is stored and what is removed stays with the manifest:
a pipeline with a document store deletes the old before the new exists. What was embedded once is kept by our own cache:
LlamaIndex's knows a whole batch of nodes or nothing.
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
"""Chunks that are sorted by length before they are embedded: enough for batches of even lengths, few enough that what
was asked for first comes first."""


class EmbedTransform(TransformComponent):
    """An embedder of ours as a LlamaIndex transformation; what it makes goes into the cache at once."""

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
    """The vectors of chunks, by id, as they come, roughly in the order of the chunks.

    First those that the cache knows, then those that are made, at most `batch` texts at a time; a batch is in the cache
    before it is yielded. Equal texts are embedded once.
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
        ids.setdefault(embedding_text(chunk.lead, chunk.text), []).append(chunk.id)
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
