"""Search over an index: small chunks are scored by words and by vectors, the passages that they belong to are shown."""

from __future__ import annotations

import os
import unicodedata
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from cervella.errors import ConfigError, IndexDamagedError, IndexMissingError, KnowledgeError
from cervella.knowledge.documents.local_only import LocalOnly, local_only_of
from cervella.knowledge.documents.markdown import split_lines
from cervella.knowledge.documents.roles import Roles
from cervella.knowledge.documents.scan import digest
from cervella.knowledge.index.confidence import ABSTAIN_BELOW, confidence
from cervella.knowledge.index.freshness import Freshness
from cervella.knowledge.index.manifest import FileRow
from cervella.knowledge.index.snapshot import Snapshot, load_snapshot
from cervella.knowledge.index.storage import IndexFolder
from cervella.knowledge.search.ranking import (
    Standing,
    by_vectors,
    by_words,
    newest_first,
    selected,
    standing,
    with_file,
)
from cervella.privacy.redaction import mask_secrets
from cervella.process.forks import ForkLock
from cervella.protocols import Embedder
from cervella.text.language import DEFAULT_LANGUAGE, language, words
from cervella.types import Filters, Passage, Retrieval

if TYPE_CHECKING:
    import numpy as np

_NEAREST = 200  # vectors that take part in the fusion


class HybridRetriever:
    """Finds passages. Thread-safe. Loads at the first search, and again when the index has changed."""

    def __init__(
        self,
        index_dir: str | Path,
        *,
        folder: str | Path,
        embedder: str | Embedder | None = "auto",
        language: str = DEFAULT_LANGUAGE,
        local_only: Sequence[str] = (),
        roles: Mapping[str, Any] | None = None,
        exclude: Sequence[str] | None = None,
        constitution: str | Path | None = None,
        persona: str | None = None,
    ) -> None:
        """`folder` is where the markdown lies, for `lines` and for `Retrieval.behind`. `local_only` adds to what the
        index has marked already.

        `roles` is what `[knowledge.roles]` holds, as a dict. `exclude` is what the index is kept with: by default what
        it was last updated with. `constitution` is the file that answers questions about the persona, and `persona` her
        name; without the file it is each current document of the role `constitution`.
        """
        self._storage = IndexFolder(Path(index_dir))
        self._folder = Path(folder)
        self._asked = embedder
        self._spoken = language
        self._patterns = tuple(local_only)
        self._local_only = LocalOnly(self._folder)  # the patterns as they fit what is loaded
        self._warned: set[str] = set()
        self._lock = ForkLock()
        self._loaded: Snapshot | None = None
        self._roles = Roles.of(roles)
        self._freshness = Freshness(self._folder, self._storage.path, exclude=exclude)
        self._constitution = None if constitution is None else _paths_within(Path(folder), Path(constitution))
        self._persona = persona
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

        `behind` comes from a look at the folder, at most every five seconds.

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
                found = self._search(self._current(), query, top_k, wanted)
            except (IndexMissingError, IndexDamagedError):
                # A writer may have swapped the index under this search: look once more before believing it.
                self.close()
                found = self._search(self._current(), query, top_k, wanted)
            assert self._loaded is not None
            files, generation = self._loaded.files, self._loaded.generation.path
        # Not under the lock: other threads search meanwhile.
        distance = self._freshness.look(files, generation)
        return replace(found, behind=distance.behind, unchecked=distance.unchecked)

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

    def changed(self, passage: Passage, /) -> bool | None:
        """Whether a passage's file is another than it was indexed, or gone; also where the index is a newer one that
        has other lines there. None where it can't be looked at: the folder is not there, or the file can't be read.
        """
        with self._lock:
            loaded = self._current()
            file = loaded.files.get(passage.path)
            lines = loaded.manifest.lines(passage.path, passage.start_line, passage.end_line)
        if file is None or lines != passage.text:
            return True
        if not self._folder.is_dir():
            return None
        try:
            return digest(self._folder / file.disk_path, file.size) != file.sha256
        except PermissionError:
            return None
        except OSError:
            return True

    @property
    def warning(self) -> str | None:
        """Why vectors are not searched although the index has them; None where all is well."""
        with self._lock:
            return self._current().warning

    def _current(self) -> Snapshot:
        build = self._storage.current()
        if self._loaded is None or not self._loaded.is_current(build):
            self.close()
            self._loaded = self._with_her_role(load_snapshot(self._storage, self._asked))
            self._standing = standing(self._loaded, self._roles)
            self._local_only = local_only_of(self._loaded.files, self._folder, self._patterns)
            if not self._warned.issuperset(self._local_only.nearest):
                self._local_only.warn()
                self._warned.update(self._local_only.nearest)
        return self._loaded

    def _with_her_role(self, loaded: Snapshot) -> Snapshot:
        """The Constitution has its role whatever its name is, where the owner's table gives it no other."""
        own = {path: replace(file, role="constitution") for path, file in loaded.files.items() if self._is_hers(file)}
        return replace(loaded, files={**loaded.files, **own}) if own else loaded

    def _is_hers(self, file: FileRow) -> bool:
        return self._constitution is not None and file.path in self._constitution and file.role is None

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
        asked = spoken.asks_identity(query, self._persona)
        herself = self._about_her(loaded, base, asked, allowed)
        hers = asked == "" or (asked is not None and self._persona is not None)
        if herself or (hers and self._constitution is not None):
            # Who she is, the Constitution says first and in its own order; the rest follows, its drafts do not.
            scores[[place for place, path in enumerate(loaded.paths) if _is_constitution(loaded.files[path])]] = -np.inf
            scores[herself] = scores.max(initial=0.0, where=np.isfinite(scores)) + 1.0
        candidates = np.flatnonzero(np.isfinite(scores))
        # Without the Constitution nothing says who she is, however near the words of the question come.
        unknown = 0.0 if hers else confidence(loaded, query, spoken, cosines, candidates)
        sure = 1.0 if herself else unknown
        found = selected(loaded, base, scores, top_k, in_order=bool(herself))
        return Retrieval(
            query=query,
            passages=tuple(self._passage(loaded, place, float(scores[place])) for place in found),
            confidence=round(sure, 4),
            abstain=sure < ABSTAIN_BELOW,
            coverage=loaded.coverage(),
            local_only_unmatched=len(self._local_only.nearest),
        )

    def _allowed(self, loaded: Snapshot, filters: Filters | None) -> Sequence[int]:
        if filters is None:
            return range(len(loaded.ids))
        good = {path for path, file in loaded.files.items() if filters.match(_as_passage(file))}
        return [place for place, path in enumerate(loaded.paths) if path in good]

    def _about_her(self, loaded: Snapshot, base: Standing, name: str | None, allowed: Sequence[int]) -> list[int]:
        """The places of the Constitution's chunks, where the question asks for the persona that it is about."""
        if name is None:
            return []
        if self._constitution is not None:
            hers = set(self._constitution)
        else:
            files = zip(base.files, base.replaced, strict=True)
            hers = {file.path for file, replaced in files if not replaced and _is_about(file, name)}
        return [place for place in allowed if loaded.paths[place] in hers]

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
            local_only=file.local_only or self._local_only.covers(file.path),
        )


def _is_constitution(file: FileRow) -> bool:
    return file.role == "constitution"


def _is_about(file: FileRow, name: str) -> bool:
    """Whether a file is a Constitution that holds, of the persona of this name; of any where it is empty."""
    named = set(name.split()) <= set(words(file.title or ""))
    return _is_constitution(file) and file.status == "current" and named


def _paths_within(folder: Path, file: Path) -> frozenset[str]:
    """How an index of the folder may name the file, as it is written and with links followed; none outside of it."""
    places = ((Path(os.path.abspath(folder)), Path(os.path.abspath(file))), (folder.resolve(), file.resolve()))
    inside = (file.relative_to(folder).as_posix() for folder, file in places if file.is_relative_to(folder))
    return frozenset(unicodedata.normalize("NFC", path) for path in inside)


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
