"""What is known: a folder of markdown, its index, and the search over it."""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from cervella.knowledge.embedding import default_embedder, load_embedder
    from cervella.knowledge.index import KnowledgeIndex
    from cervella.knowledge.retrieval import HybridRetriever
    from cervella.knowledge.scan import SKIP_REASONS

__all__ = ["SKIP_REASONS", "HybridRetriever", "KnowledgeIndex", "default_embedder", "load_embedder"]

_HOMES = {
    "SKIP_REASONS": "scan",
    "HybridRetriever": "retrieval",
    "KnowledgeIndex": "index",
    "default_embedder": "embedding",
    "load_embedder": "embedding",
}


def __getattr__(name: str) -> Any:
    if name not in _HOMES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(f"{__name__}.{_HOMES[name]}"), name)


def __dir__() -> list[str]:
    return sorted(__all__)
