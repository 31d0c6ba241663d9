"""Search over an index: chunks are scored by words and vectors, and the passages that contain them are returned."""

from __future__ import annotations

import json
import os
import unicodedata
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, get_args

import cervella.knowledge  # its names in annotations are imported when the hints are read
from cervella.errors import ConfigError, IndexDamagedError, IndexMissingError, KnowledgeError
from cervella.knowledge.documents.encoding import decoded
from cervella.knowledge.documents.local_only import LocalOnly, local_only_in, local_only_of, unindexed_documents
from cervella.knowledge.documents.markdown import split_lines
from cervella.knowledge.documents.naming import without_endings
from cervella.knowledge.documents.roles import Roles
from cervella.knowledge.documents.scan import digest, ignore_rules, scan
from cervella.knowledge.index.confidence import confidence
from cervella.knowledge.index.freshness import Freshness
from cervella.knowledge.index.manifest import FileRow
from cervella.knowledge.index.marks import Marks, marks_of
from cervella.knowledge.index.query import Query
from cervella.knowledge.index.refresh import Refresh, Refresher
from cervella.knowledge.index.snapshot import Snapshot, load_snapshot
from cervella.knowledge.index.spelling import Spelling
from cervella.knowledge.index.storage import IndexFolder
from cervella.knowledge.search.off_subject import vote
from cervella.knowledge.search.ranking import (
    FileFacts,
    by_vectors,
    by_words,
    current_first,
    file_facts,
    linked_first,
    selected,
)
from cervella.knowledge.search.recent import RecentVectors
from cervella.privacy.redaction import mask_secrets
from cervella.process.forks import ForkLock
from cervella.protocols import Embedder
from cervella.text.folding import without_invisible
from cervella.text.language import DEFAULT_LANGUAGE, Language, language, words
from cervella.types import Filters, Passage, Retrieval

if TYPE_CHECKING:
    import numpy as np

_NEAREST = 200  # nearest vectors that are scored
_FACTS = ("path", "document", "date", "role", "project", "status", "tags", "aliases", "meta", "links")


class HybridRetriever:
    """Finds passages. Thread-safe. Loads the index at the first search, and again after the index changed."""

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
        gitignore: bool | None = None,
        constitution: str | Path | None = None,
        persona: str | None = None,
        refresh: Refresh = "warn",
        writer: Callable[[], cervella.knowledge.KnowledgeIndex] | None = None,
    ) -> None:
        """`folder` contains the markdown; `lines` and `Retrieval.behind` read it.

        Files that match `local_only` are local-only besides those that the index recorded so. `roles` is the table
        `[knowledge.roles]` as a dict. `exclude` and `gitignore` default to those of the index's last update.
        `constitution` is the file that answers questions about the persona called `persona`. Without it, every current
        document with the role `constitution` answers them.

        `refresh` says what a search does about files that changed since the index was built: "warn" counts them, "off"
        does not look, "auto" indexes them first if that takes about a second. "auto" needs `writer`, a function that
        returns the KnowledgeIndex that writes this index.
        """
        if refresh not in get_args(Refresh):
            raise ConfigError(f"refresh is {refresh!r}.", remedy='Give "auto", "warn" or "off".', code="bad_value")
        if refresh == "auto" and writer is None:
            raise ConfigError(
                'refresh is "auto", and there is no writer.',
                remedy="Give writer=lambda: KnowledgeIndex(folder, index_dir, …), with the settings of the index.",
                code="bad_value",
            )
        self._storage = IndexFolder(Path(index_dir))
        self._folder = Path(folder)
        self._asked = embedder
        self._language = language
        self._patterns = tuple(local_only)
        self._local_only = LocalOnly(self._folder)  # the patterns, resolved against the loaded files
        self._marks = Marks()  # the local-only ones of the loaded files
        self._marks_also: tuple[Snapshot, Marks] | None = None
        self._warned: set[str] = set()
        self._lock = ForkLock()
        self._loaded: Snapshot | None = None
        self._roles = Roles.of(roles)
        self._freshness = (
            None
            if refresh == "off"
            else Freshness(self._folder, self._storage.path, exclude=exclude, gitignore=gitignore)
        )
        self._refresher = Refresher(writer, self._storage) if writer is not None and refresh == "auto" else None
        self._constitution = None if constitution is None else _paths_within(Path(folder), Path(constitution))
        self._persona = persona
        self._facts: FileFacts | None = None
        self._recent: RecentVectors | None = None
        self._spelling: Spelling | None = None
        self._readable: np.ndarray | None = None  # for each chunk, whether there is anything to read in it

    def close(self) -> None:
        """Release the index, after the vectors that are being made are stored. A later search opens it again."""
        if self._refresher is not None:
            self._refresher.follower.finish()
        with self._lock:
            self._release()

    def stop_vectors(self) -> None:
        """Stop the vectors that are being made; those made so far are stored. For an end that shall be quick."""
        if self._refresher is not None:
            self._refresher.follower.stop()

    def _release(self) -> None:
        if self._loaded is not None:
            self._loaded.close()
            self._loaded = None

    def __enter__(self) -> HybridRetriever:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def retrieve(self, query: str, /, *, top_k: int = 6, filters: Filters | None = None) -> Retrieval:
        """The best passages for a query, best first. `abstain` is true if none of them seems to answer it.

        The folder is compared with the index, for `behind`, at most every five seconds. If `refresh` is "auto", files
        that changed are indexed first, and the vectors of new chunks are made in the background.

        Raises KnowledgeError for an empty query, ConfigError for a top_k below 1, IndexMissingError,
        IndexMismatchError, IndexDamagedError.
        """
        query = without_invisible(query)
        if not query.strip():
            raise KnowledgeError("The query is empty.", remedy="Give at least one word.", code="empty_query")
        if isinstance(top_k, bool) or not isinstance(top_k, int) or top_k < 1:
            raise ConfigError(f"top_k is {top_k!r}.", remedy="Give a whole number from 1 up, such as 6.")
        wanted = Filters.of(filters)
        if self._refresher is None or self._freshness is None:
            found, loaded = self._found(query, top_k, wanted)
        else:
            self._bring_up_to_date(self._refresher, self._freshness)
            with self._refresher.follower.giving_way():
                found, loaded = self._found(query, top_k, wanted)
        if self._refresher is None or not self._refresher.vectors(loaded):
            found = replace(found, pending=loaded.pending if loaded.embedder is not None else 0)
        if self._freshness is None:
            return replace(found, behind=None, unchecked=len(loaded.files))
        distance = self._freshness.look(loaded.files, loaded.generation)
        return replace(found, behind=distance.behind, unchecked=distance.unchecked)

    def _bring_up_to_date(self, refresher: Refresher, freshness: Freshness) -> None:
        """Index what changed, if that is quick. Outside the lock, so that other threads can search meanwhile."""
        try:
            with self._lock:
                loaded = self._current()
        except (IndexMissingError, IndexDamagedError):
            return  # the search tries once more, or raises it
        refresher.words(loaded, freshness.look(loaded.files, loaded.generation, quiet=True))

    def _found(self, query: str, top_k: int, wanted: Filters | None) -> tuple[Retrieval, Snapshot]:
        """The result of a search, and the state of the index that was searched."""
        with self._lock:
            try:
                found = self._search(self._current(), query, top_k, wanted)
            except (IndexMissingError, IndexDamagedError):
                # A writer may have replaced the index during this search, so it is tried once more.
                self._release()
                found = self._search(self._current(), query, top_k, wanted)
            assert self._loaded is not None
            return found, self._loaded

    def lines(self, path: str, start: int, end: int) -> str | None:
        """Lines `start` to `end` (1-based, inclusive) of an indexed file as it is on disk now, joined by \\n.

        Secrets are masked as in the index. None if the lines no longer exist.
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
            text = decoded(where.read_bytes(), self._language)
        except (OSError, RuntimeError):
            return None
        if text is None:
            return None
        lines = split_lines(mask_secrets(text[0], self._language)[0])
        return "\n".join(lines[start - 1 : end]) if 1 <= start <= end <= len(lines) else None

    def changed(self, passage: Passage, /) -> bool | None:
        """Whether the passage's file was changed or removed, or a newer index has other text at the passage's lines.

        None if that cannot be checked: the folder is missing, or the file cannot be read.
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

    def similarity(self, question: str, texts: Sequence[str]) -> list[float] | None:
        """The cosines of a question with texts, by the embedder of the index; None if its vectors are not searched."""
        with self._lock:
            recent = self._recent if self._current().vectors is not None else None
        if recent is None:
            return None
        asked = recent.question(question)
        return [float(asked @ one) for one in recent.texts(texts)]

    def holds(self, word: str) -> bool:
        """Whether some passage has this word, or another form of it; False for a stop word, and without an index."""
        with self._lock, suppress(KnowledgeError):
            stems = self._current().words.stems
            return any(stems.holders(stem).size for stem in language(self._language).stems(word))
        return False

    @property
    def local_only(self) -> tuple[str, ...]:
        """The patterns of local-only files."""
        return self._patterns

    def local_only_files(self, also: Sequence[str] = ()) -> Marks:
        """The marks of the local-only files of the index: their paths, and the digests of their texts.

        `also` are patterns besides those of the retriever. Raises IndexMissingError, IndexMismatchError,
        IndexDamagedError.
        """
        with self._lock:
            loaded = self._current()
            if set(also) <= set(self._patterns):
                return self._marks
            if self._marks_also is None or self._marks_also[0] is not loaded:
                patterns = local_only_of(loaded.files, self._folder, (*self._patterns, *also))
                self._marks_also = loaded, marks_of(loaded.files, patterns)
            return self._marks_also[1]

    @property
    def warning(self) -> str | None:
        """The reason why the index's vectors are not searched; None if they are, or the index has none."""
        with self._lock:
            return self._current().warning

    def _current(self) -> Snapshot:
        if self._loaded is None or not self._storage.is_current(self._loaded.generation):
            self._release()
            self._loaded = self._with_constitution(load_snapshot(self._storage, self._asked))
            self._recent = None if self._loaded.embedder is None else RecentVectors(self._loaded.embedder)
            self._facts = file_facts(self._loaded, self._roles, language(self._language))
            self._spelling = _spelling(self._loaded, language(self._language))
            self._readable = _readable(self._loaded)
            self._local_only, unindexed = self._understood(self._loaded)
            self._marks = marks_of(self._loaded.files, self._local_only, unindexed)
            if not self._warned.issuperset(self._local_only.nearest):
                self._local_only.warn()
                self._warned.update(self._local_only.nearest)
        return self._loaded

    def _understood(self, loaded: Snapshot) -> tuple[LocalOnly, Sequence[tuple[str, str]]]:
        """The patterns, resolved against the loaded files, and path and digest of the local-only files that are not
        indexed. If the index was made with these patterns, it knows the latter, and where links lead, already."""
        if self._patterns and loaded.manifest.meta("patterns") != json.dumps(self._patterns):
            with suppress(KnowledgeError):  # an index may be used without its folder
                found = scan(self._folder, ignores=ignore_rules(self._folder, gitignore=False))
                known = local_only_in(found, self._folder, self._patterns)
                both = local_only_of(loaded.files, self._folder, self._patterns)
                both = replace(both, globs=(*both.globs, *known.globs))
                return both, list(unindexed_documents(self._folder, found, both.covers, self._language))
        return local_only_of(loaded.files, self._folder, self._patterns), ()

    def _with_constitution(self, loaded: Snapshot) -> Snapshot:
        """The snapshot, with the role `constitution` for the configured Constitution if its file has no role."""
        own = {
            path: replace(loaded.files[path], role="constitution")
            for path in self._constitution or ()
            if path in loaded.files and loaded.files[path].role is None
        }
        return replace(loaded, files={**loaded.files, **own}) if own else loaded

    def _search(self, loaded: Snapshot, query: str, top_k: int, filters: Filters | None) -> Retrieval:
        import numpy as np

        assert self._facts is not None
        assert self._readable is not None
        facts, lang = self._facts, language(self._language)
        allowed = self._allowed(loaded, filters)
        vector, cosines = self._cosines(loaded, query, allowed if filters else None)
        coverage = loaded.coverage() if cosines else 0.0
        bare = Query(text=without_endings(query), language=lang, spelling=self._spelling)
        subject = loaded.words.subject_shares(bare.stems)
        lexical, eligible = by_words(loaded, bare.wanted, subject, vectors=coverage)
        scores = lexical + facts.prior
        if vector is not None:
            scores += coverage * by_vectors(loaded, vector, cosines)
            eligible[list(cosines)] = True
        eligible &= self._readable
        if filters is not None:
            among = np.zeros(len(scores), dtype=bool)
            among[allowed] = True
            eligible &= among
        scores[~eligible] = -np.inf
        scores = current_first(scores, loaded, facts, query)
        scores = linked_first(scores, loaded, facts, subject, bare)
        name = lang.asks_identity(query, self._persona)
        own = self._constitution_chunks(loaded, facts, name, allowed)
        about_persona = name == "" or (name is not None and self._persona is not None)
        if own or (about_persona and self._constitution is not None):
            # A question about the persona gets the Constitution first, in file order; drafts of it are left out.
            scores[[place for place, path in enumerate(loaded.paths) if _is_constitution(loaded.files[path])]] = -np.inf
            scores[own] = scores.max(initial=0.0, where=np.isfinite(scores)) + 1.0
        candidates = np.flatnonzero(np.isfinite(scores))
        sure, off_subject = self._judged(loaded, bare, cosines, candidates, subject)
        if own or about_persona:  # only the Constitution can answer a question about the persona
            sure, off_subject = (1.0, False) if own else (0.0, True)
        found = selected(loaded, facts, scores, top_k, in_order=bool(own))
        return Retrieval(
            query=query,
            passages=tuple(self._passage(loaded, place, float(scores[place])) for place in found),
            confidence=sure,
            abstain=off_subject,
            coverage=loaded.coverage(),
            local_only_unmatched=len(self._local_only.nearest),
        )

    def _judged(
        self, loaded: Snapshot, query: Query, cosines: Mapping[int, float], places: np.ndarray, subject: np.ndarray
    ) -> tuple[float | None, bool]:
        """The confidence, and whether the question is off the subject of the chunks at `places`."""
        if not len(places):
            return 0.0, True
        voted = vote(loaded, query, cosines, places, subject)
        sure = None if voted.unseen else confidence(loaded.calibration, cosines)
        return None if sure is None else round(sure, 4), voted.off_subject

    def _allowed(self, loaded: Snapshot, filters: Filters | None) -> Sequence[int]:
        if filters is None:
            return range(len(loaded.ids))
        # A filter depends on facts of the file alone, so one passage per file is enough.
        good = {path for path, file in loaded.files.items() if filters.match(_file_passage(file, 1, 1, id="", text=""))}
        return [place for place, path in enumerate(loaded.paths) if path in good]

    def _constitution_chunks(
        self, loaded: Snapshot, facts: FileFacts, name: str | None, allowed: Sequence[int]
    ) -> list[int]:
        """The positions of the chunks of the Constitution of the persona called `name`; empty if `name` is None."""
        if name is None:
            return []
        if self._constitution is not None:
            paths = set(self._constitution)
        else:
            files = zip(facts.files, facts.replaced, strict=True)
            paths = {file.path for file, replaced in files if not replaced and _is_about(file, name)}
        return [place for place in allowed if loaded.paths[place] in paths]

    def _cosines(
        self, loaded: Snapshot, query: str, allowed: Sequence[int] | None
    ) -> tuple[np.ndarray | None, dict[int, float]]:
        """The query's vector, and the cosines of the nearest chunks by position."""
        if loaded.vectors is None or loaded.embedder is None:
            return None, {}
        among = None if allowed is None else [loaded.ids[place] for place in allowed]
        vector = self._recent.question(query) if self._recent else loaded.embedder.embed_query(query)
        found = loaded.vectors.query(vector, _NEAREST, among=among)
        # The store may still contain vectors of removed chunks; the next update deletes them.
        return vector, {loaded.places[one]: cosine for one, cosine in found.items() if one in loaded.places}

    def _passage(self, loaded: Snapshot, place: int, score: float) -> Passage:
        """The passage that contains the chunk at `place`, with the headings of its first chunk."""
        around = loaded.passages[place]
        first = loaded.manifest.chunks([loaded.ids[around[0]]])[0]
        file = loaded.files[first.path]
        return _file_passage(
            file,
            first.start_line,
            loaded.lines[around[-1]][1],
            id=first.id,
            text=loaded.text(around),
            reading=loaded.reading(around),
            heading=first.heading,
            lead=first.lead,
            score=score,
            local_only=file.path in self._marks.paths,
        )


def _spelling(loaded: Snapshot, lang: Language) -> Spelling:
    return Spelling(loaded.words.stems, lang, lambda chunk: loaded.reading(range(chunk, chunk + 1)))


def _readable(loaded: Snapshot) -> np.ndarray:
    """For each chunk, whether there is anything to read in it. A note may have front matter alone. Shape (chunks,)."""
    import numpy as np

    return np.fromiter((start < end for start, end in loaded.readings), dtype=bool, count=len(loaded.readings))


def _is_constitution(file: FileRow) -> bool:
    return file.role == "constitution"


def _is_about(file: FileRow, name: str) -> bool:
    """Whether a file is a current Constitution whose title contains the words of `name`; an empty name fits any."""
    named = set(name.split()) <= set(words(file.title or ""))
    return _is_constitution(file) and file.status == "current" and named


def _paths_within(folder: Path, file: Path) -> frozenset[str]:
    """The relative paths that the file may have in the folder's index: as given, and with symbolic links resolved."""
    places = ((Path(os.path.abspath(folder)), Path(os.path.abspath(file))), (folder.resolve(), file.resolve()))
    inside = (file.relative_to(folder).as_posix() for folder, file in places if file.is_relative_to(folder))
    return frozenset(unicodedata.normalize("NFC", path) for path in inside)


def _file_passage(file: FileRow, start: int, end: int, **values: Any) -> Passage:
    facts = {name: getattr(file, name) for name in _FACTS}
    return Passage(start_line=start, end_line=end, **facts, **values)
