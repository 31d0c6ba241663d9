"""The border to LlamaIndex: files go in as Documents, an IngestionPipeline makes embedded TextNodes of them.

Only transformations are LlamaIndex's here. What changed, what is stored and what is removed stays with the manifest:
a pipeline with a document store deletes the old before the new exists.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any

from llama_index.core.ingestion import IngestionPipeline
from llama_index.core.node_parser import NodeParser
from llama_index.core.schema import BaseNode, Document, TextNode, TransformComponent

from cervella.knowledge.chunking import CHUNKER_VERSION, chunk
from cervella.knowledge.indexed_text import indexed_text
from cervella.knowledge.manifest import chunk_id
from cervella.knowledge.markdown import parse
from cervella.knowledge.parsing import plain
from cervella.protocols import Embedder

__all__ = ["ChunkParser", "EmbedTransform", "embedding_text", "vectors_of"]


def embedding_text(lead: str, text: str) -> str:
    """What is embedded of a chunk: where it stands, then what it says."""
    return indexed_text(f"{lead}\n{text}" if lead else text)


class ChunkParser(NodeParser):
    """Our structural chunks as LlamaIndex nodes, under the ids that the manifest knows."""

    fingerprint: str
    """The embedder's."""
    plain: frozenset[str] = frozenset()
    """The paths of files that are cut by their lines: parsing them takes too long."""

    def _parse_nodes(self, nodes: Sequence[BaseNode], show_progress: bool = False, **_: Any) -> list[BaseNode]:
        made: list[BaseNode] = []
        for node in nodes:
            path = node.metadata["path"]
            text = node.get_content()
            for piece in chunk(plain(text) if path in self.plain else parse(text)):
                own_id = chunk_id(path, piece, chunker=CHUNKER_VERSION, embedder=self.fingerprint)
                lines = {"start_line": piece.start_line, "end_line": piece.end_line}
                facts = {"path": path, "heading": piece.heading, "lead": piece.lead, **lines}
                made.append(TextNode(id_=own_id, text=piece.text, metadata=facts))
        return made


class EmbedTransform(TransformComponent):
    """An embedder of ours as a LlamaIndex transformation."""

    embedder: Any

    def __call__(self, nodes: Sequence[BaseNode], **_: Any) -> Sequence[BaseNode]:
        texts = [embedding_text(node.metadata["lead"], node.get_content()) for node in nodes]
        for node, vector in zip(nodes, self.embedder.embed_passages(texts), strict=True):
            node.embedding = vector.tolist()
        return nodes


def vectors_of(
    texts: Iterable[tuple[str, str]], embedder: Embedder, *, wanted: frozenset[str], batch: int, lines: frozenset[str]
) -> Iterator[Mapping[str, Sequence[float]]]:
    """The vectors of the wanted chunks of `(path, text)` files, by id, at most `batch` at a time, as they are made.

    `lines` are the paths of files that are cut by their lines, since parsing them takes too long.
    """
    parser = ChunkParser(fingerprint=embedder.fingerprint, plain=lines)
    parsing = IngestionPipeline(transformations=[parser], disable_cache=True)
    embedding = IngestionPipeline(transformations=[EmbedTransform(embedder=embedder)], disable_cache=True)
    waiting: list[BaseNode] = []
    for path, text in texts:
        document = Document(text=text, metadata={"path": path}, id_=path)
        waiting += [node for node in parsing.run(documents=[document]) if node.node_id in wanted]
        while len(waiting) >= batch:
            yield _embedded(embedding, waiting[:batch])
            waiting = waiting[batch:]
    if waiting:
        yield _embedded(embedding, waiting)


def _embedded(pipeline: IngestionPipeline, nodes: list[BaseNode]) -> dict[str, Sequence[float]]:
    return {node.node_id: node.embedding or [] for node in pipeline.run(nodes=nodes)}
