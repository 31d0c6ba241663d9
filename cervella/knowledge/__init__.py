"""What is known: a folder of markdown, its index, and the search over it."""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from cervella.knowledge.documents.scan import SKIP_REASONS
    from cervella.knowledge.embedders.registry import default_embedder, load_embedder
    from cervella.knowledge.index.writer import KnowledgeIndex
    from cervella.knowledge.search.retrieval import HybridRetriever

__all__ = ["SKIP_REASONS", "HybridRetriever", "KnowledgeIndex", "default_embedder", "load_embedder"]

_HOMES = {
    "SKIP_REASONS": "documents.scan",
    "HybridRetriever": "search.retrieval",
    "KnowledgeIndex": "index.writer",
    "default_embedder": "embedders.registry",
    "load_embedder": "embedders.registry",
}


if not TYPE_CHECKING:  # else every misspelt name of the package would be known to a type checker

    def __getattr__(name: str) -> Any:
        if name not in _HOMES:
            raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
        return getattr(import_module(f"{__name__}.{_HOMES[name]}"), name)


def __dir__() -> list[str]:
    return sorted(__all__)
