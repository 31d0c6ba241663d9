"""Search over an index: small chunks are scored by words and by vectors, the passages that they belong to are shown."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from cervella.errors import ConfigError, IndexDamagedError, IndexMissingError, KnowledgeError
from cervella.forks import ForkLock
from cervella.knowledge.confidence import ABSTAIN_BELOW, confidence
from cervella.knowledge.manifest import FileRow
from cervella.knowledge.markdown import split_lines
from cervella.knowledge.ranking import Standing, by_vectors, by_words, newest_first, standing, with_file
from cervella.knowledge.roles import Roles, is_local_only
from cervella.knowledge.selection import selected
from cervella.knowledge.snapshot import Snapshot, load_snapshot
from cervella.knowledge.storage import IndexFolder
from cervella.language import language, words
from cervella.protocols import Embedder
from cervella.redaction import mask_secrets
from cervella.types import Filters, Passage, Retrieval

if TYPE_CHECKING:
    import numpy as np

__all__ = ["HybridRetriever"]

_NEAREST = 200  # vectors that take part in the fusion


class HybridRetriever:
    """Finds passages. Thread-safe. Loads at the first search, and again when the index has changed."""

    def __init__(
        self,
        index_dir: str | Path,
        *,
        folder: str | Path,
        embedder: str | Embedder | None = "auto",
        language: str = "it",
        local_only: Sequence[str] = (),
        roles: Mapping[str, Any] | None = None,
    ) -> None:
        """`folder` is where the markdown lies, for `lines`. `local_only` adds to what the index has marked already.

        `roles` is what `[knowledge.roles]` holds, as a dict.
        """
        self._storage = IndexFolder(Path(index_dir))
        self._folder = Path(folder)
        self._asked = embedder
        self._spoken = language
        self._local_only = tuple(local_only)
        self._lock = ForkLock()
        self._loaded: Snapshot | None = None
        self._roles = Roles.of(roles)
        self._standing: Standing | None = None  # of what is loaded: the same for every query

    def close(self) -> None:
        """Let go of the index. A later search opens it again."""
        with self._lock:
            if self._loaded is not None:
                self._loaded.close()
                self._loaded = None

    def __enter__(self) -> HybridRetriever:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def retrieve(self, query: str, /, *, top_k: int = 6, filters: Filters | None = None) -> Retrieval:
        """The passages that answer best, best first; `abstain` where none seems to.

        Raises KnowledgeError for a query without a word, ConfigError for a top_k below 1, IndexMissingError,
        IndexMismatchError, IndexDamagedError.
        """
        if not query.strip():
            raise KnowledgeError("The query is empty.", remedy="Give at least one word.", code="empty_query")
        if isinstance(top_k, bool) or not isinstance(top_k, int) or top_k < 1:
            raise ConfigError(f"top_k is {top_k!r}.", remedy="Give a whole number from 1 up, such as 6.")
        wanted = Filters.of(filters)
        with self._lock:
            try:
                return self._search(self._current(), query, top_k, wanted)
            except (IndexMissingError, IndexDamagedError):
                # A writer may have swapped the index under this search: look once more before believing it.
                self.close()
                return self._search(self._current(), query, top_k, wanted)

    def lines(self, path: str, start: int, end: int) -> str | None:
        """Lines of an indexed file as on disk now, secrets masked as when it was indexed; None where they are gone.

        1-based, inclusive, joined by \\n.
        """
        with self._lock:
            file = self._current().files.get(path)
        if file is None:
            return None
        root = self._folder.resolve()
        try:
            where = (root / file.disk_path).resolve(strict=True)
            if not where.is_relative_to(root):
                return None
            lines = split_lines(mask_secrets(where.read_bytes().decode("utf-8-sig"), self._spoken)[0])
        except (OSError, RuntimeError, UnicodeDecodeError):
            return None
        return "\n".join(lines[start - 1 : end]) if 1 <= start <= end <= len(lines) else None

    @property
    def warning(self) -> str | None:
        """Why vectors are not searched although the index has them; None where all is well."""
        with self._lock:
            return self._current().warning

    def _current(self) -> Snapshot:
        build = self._storage.current()
        if self._loaded is None or not self._loaded.is_current(build):
            self.close()
            self._loaded = load_snapshot(self._storage, self._asked)
            self._standing = standing(self._loaded, self._roles)
        return self._loaded

    def _search(self, loaded: Snapshot, query: str, top_k: int, filters: Filters | None) -> Retrieval:
        import numpy as np

        assert self._standing is not None
        base, spoken = self._standing, language(self._spoken)
        allowed = self._allowed(loaded, filters)
        vector, cosines = self._cosines(loaded, query, allowed if filters else None)
        known = loaded.coverage() if cosines else 0.0
        words, said = by_words(loaded, spoken.stems(query), vectors=known)
        scores = words + base.worth
        if vector is not None:
            scores += known * by_vectors(loaded, vector, cosines)
            said[list(cosines)] = True
        if filters is not None:
            among = np.zeros(len(scores), dtype=bool)
            among[allowed] = True
            said &= among
        scores[~said] = -np.inf
        scores = newest_first(with_file(scores, base), base)
        herself = _about_her(loaded, spoken.asks_identity(query), allowed)
        # Who she is, the Constitution says first and in its own order; the rest follows.
        scores[herself] = scores.max(initial=0.0, where=np.isfinite(scores)) + 1.0
        candidates = np.flatnonzero(np.isfinite(scores))
        sure = 1.0 if herself else confidence(loaded, query, spoken, cosines, candidates)
        found = selected(loaded, base, scores, top_k, in_order=bool(herself))
        return Retrieval(
            query=query,
            passages=tuple(self._passage(loaded, place, float(scores[place])) for place in found),
            confidence=round(sure, 4),
            abstain=sure < ABSTAIN_BELOW,
            coverage=loaded.coverage(),
        )

    def _allowed(self, loaded: Snapshot, filters: Filters | None) -> Sequence[int]:
        if filters is None:
            return range(len(loaded.ids))
        good = {path for path, file in loaded.files.items() if filters.match(_as_passage(file))}
        return [place for place, path in enumerate(loaded.paths) if path in good]

    def _cosines(
        self, loaded: Snapshot, query: str, allowed: Sequence[int] | None
    ) -> tuple[np.ndarray | None, dict[int, float]]:
        """The vector of the query, and the cosine of the nearest chunks, by place."""
        if loaded.vectors is None or loaded.embedder is None:
            return None, {}
        among = None if allowed is None else [loaded.ids[place] for place in allowed]
        vector = loaded.embedder.embed_query(query)
        found = loaded.vectors.query(vector, _NEAREST, among=among)
        # A vector whose chunk is gone from the manifest is one that the next run of the indexer drops.
        return vector, {loaded.places[one]: cosine for one, cosine in found.items() if one in loaded.places}

    def _passage(self, loaded: Snapshot, place: int, score: float) -> Passage:
        """The passage that a chunk belongs to, under the headings that stand above its first line."""
        around = loaded.passages[place]
        first = loaded.manifest.chunks([loaded.ids[around[0]]])[0]
        file = loaded.files[first.path]
        return Passage(
            id=first.id,
            path=first.path,
            text=loaded.text(around),
            start_line=first.start_line,
            end_line=loaded.lines[around[-1]][1],
            heading=first.heading,
            lead=first.lead,
            score=score,
            date=file.date,
            role=file.role,
            project=file.project,
            status=file.status,
            local_only=file.local_only or is_local_only(file.path, self._local_only),
        )


def _about_her(loaded: Snapshot, name: str | None, allowed: Sequence[int]) -> list[int]:
    """The places of the Constitution's chunks, where the question asks for the persona that it is about."""
    if name is None:
        return []
    asked = {
        path
        for path, file in loaded.files.items()
        if file.role == "constitution" and file.status == "current" and (not name or name in words(file.title or ""))
    }
    return [place for place in allowed if loaded.paths[place] in asked]


def _as_passage(file: FileRow) -> Passage:
    """A file as the filters see it: they ask for nothing that differs within one."""
    return Passage(
        id="",
        path=file.path,
        text="",
        start_line=1,
        end_line=1,
        date=file.date,
        role=file.role,
        project=file.project,
        status=file.status,
    )
