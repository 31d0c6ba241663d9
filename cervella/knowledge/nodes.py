"""The border to LlamaIndex: files go in as Documents, an IngestionPipeline makes embedded TextNodes of them.

Only transformations are LlamaIndex's here. What changed, what is stored and what is removed stays with the manifest:
a pipeline with a document store deletes the old before the new exists. What was embedded once is kept by our own cache:
LlamaIndex's knows a whole batch of nodes or nothing.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from typing import Any

from llama_index.core.ingestion import IngestionPipeline
from llama_index.core.node_parser import NodeParser
from llama_index.core.schema import BaseNode, Document, TextNode, TransformComponent

from cervella.knowledge.chunking import CHUNKER_VERSION, Sizes, chunk
from cervella.knowledge.embedding_cache import EmbeddingCache
from cervella.knowledge.indexed_text import embedding_text
from cervella.knowledge.manifest import chunk_id
from cervella.knowledge.markdown import parse
from cervella.knowledge.parsing import plain
from cervella.protocols import Embedder

__all__ = ["ChunkParser", "EmbedTransform", "vectors_of"]

_WINDOW = 256
"""Chunks that are sorted by length before they are embedded: enough for batches of even lengths, few enough that what
was asked for first comes first."""


class ChunkParser(NodeParser):
    """Our structural chunks as LlamaIndex nodes, under the ids that the manifest knows."""

    fingerprint: str
    """The embedder's."""
    sizes: Any = None
    """`Sizes`, and what counts tokens, both as `chunk` takes them."""
    count: Any = None
    plain: frozenset[str] = frozenset()
    """The paths of files that are cut by their lines: parsing them takes too long."""

    def _parse_nodes(self, nodes: Sequence[BaseNode], show_progress: bool = False, **_: Any) -> list[BaseNode]:
        made: list[BaseNode] = []
        for node in nodes:
            path = node.metadata["path"]
            text = node.get_content()
            document = plain(text) if path in self.plain else parse(text)
            for piece in chunk(document, self.sizes, count=self.count):
                own_id = chunk_id(path, piece, chunker=CHUNKER_VERSION, embedder=self.fingerprint)
                lines = {"start_line": piece.start_line, "end_line": piece.end_line}
                facts = {"path": path, "heading": piece.heading, "lead": piece.lead, **lines}
                made.append(TextNode(id_=own_id, text=piece.text, metadata=facts))
        return made


class EmbedTransform(TransformComponent):
    """An embedder of ours as a LlamaIndex transformation; what it makes goes into the cache at once."""

    embedder: Any
    cache: Any = None

    def __call__(self, nodes: Sequence[BaseNode], **_: Any) -> Sequence[BaseNode]:
        texts = [_text(node) for node in nodes]
        vectors = self.embedder.embed_passages(texts)
        if self.cache is not None:
            self.cache.put(self.embedder.fingerprint, texts, vectors)
        for node, vector in zip(nodes, vectors, strict=True):
            node.embedding = vector.tolist()
        return nodes


def vectors_of(
    texts: Iterable[tuple[str, str]],
    embedder: Embedder,
    *,
    wanted: frozenset[str],
    batch: int,
    cache: EmbeddingCache | None = None,
    plain_files: frozenset[str] = frozenset(),
    sizes: Sizes | None = None,
    count: Callable[[str], int] | None = None,
) -> Iterator[Mapping[str, Sequence[float]]]:
    """The vectors of the wanted chunks of `(path, text)` files, by id, as they come, roughly in the order of the files.

    First those that the cache knows, then those that are made, at most `batch` texts at a time; a batch is in the cache
    before it is yielded. Equal texts are embedded once. `plain_files`, `sizes` and `count` say how the chunks were cut:
    `plain_files` are those that are cut by their lines, since parsing them takes too long.
    """
    parser = ChunkParser(fingerprint=embedder.fingerprint, plain=plain_files, sizes=sizes, count=count)
    parsing = IngestionPipeline(transformations=[parser], disable_cache=True)
    embedding = IngestionPipeline(transformations=[EmbedTransform(embedder=embedder, cache=cache)], disable_cache=True)
    waiting: list[BaseNode] = []
    for path, text in texts:
        document = Document(text=text, metadata={"path": path}, id_=path)
        waiting += [node for node in parsing.run(documents=[document]) if node.node_id in wanted]
        while len(waiting) >= _WINDOW:
            yield from _embedded(waiting[:_WINDOW], embedding, embedder.fingerprint, cache, batch)
            waiting = waiting[_WINDOW:]
    yield from _embedded(waiting, embedding, embedder.fingerprint, cache, batch)


def _embedded(
    nodes: Sequence[BaseNode], pipeline: IngestionPipeline, fingerprint: str, cache: EmbeddingCache | None, batch: int
) -> Iterator[dict[str, Sequence[float]]]:
    ids: dict[str, list[str]] = {}
    first: dict[str, BaseNode] = {}
    for node in nodes:
        ids.setdefault(_text(node), []).append(node.node_id)
        first.setdefault(_text(node), node)
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
        made = pipeline.run(nodes=[first[text] for text in missing[start : start + batch]])
        yield {one: node.embedding or [] for node in made for one in ids[_text(node)]}


def _text(node: BaseNode) -> str:
    return embedding_text(node.metadata["lead"], node.get_content())
