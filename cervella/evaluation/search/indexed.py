"""Opens the manifest of an agent's index (its list of files and chunks) for reading."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager, suppress

from cervella.agent.agent import Agent
from cervella.errors import CervellaError
from cervella.knowledge import HybridRetriever
from cervella.knowledge.index.manifest import Manifest
from cervella.knowledge.index.storage import IndexFolder


@contextmanager
def manifest_of(agent: Agent) -> Iterator[Manifest | None]:
    """The manifest of the index. None if there is no index, if it is damaged, or if the retriever is not Cervella's."""
    manifest = None
    with suppress(CervellaError):
        build = IndexFolder(agent.config.knowledge.index).current_or_none()
        if build and isinstance(agent.retriever, HybridRetriever):
            manifest = Manifest.open(build)
    try:
        yield manifest
    finally:
        if manifest is not None:
            manifest.close()
