"""Updates an index from its folder, makes the state before an update current again, and reports differences."""

from __future__ import annotations

import json
import logging
import time
from collections.abc import Callable, Mapping, Sequence, Set
from contextlib import closing, suppress
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from cervella.errors import KnowledgeError
from cervella.knowledge.documents.ignored import GITIGNORE
from cervella.knowledge.documents.indexed_text import embedding_text
from cervella.knowledge.documents.local_only import LocalOnly, local_only_in, local_only_of
from cervella.knowledge.documents.patterns import Glob
from cervella.knowledge.documents.roles import Roles
from cervella.knowledge.documents.scan import (
    MAX_BYTES,
    FoundFile,
    Scan,
    ignore_rules,
    ignored_markdown,
    is_ignored,
    is_unknown,
    scan,
)
from cervella.knowledge.embedders.cache import EmbeddingCache
from cervella.knowledge.embedders.registry import Choice, choose_embedder
from cervella.knowledge.index.builder import Builder
from cervella.knowledge.index.freshness import Freshness, Stamp, Stamps, settled
from cervella.knowledge.index.ingestion import Ingestion, Plan, Reading
from cervella.knowledge.index.manifest import FileRow, Manifest
from cervella.knowledge.index.marks import Marks, digests_of
from cervella.knowledge.index.pace import Pace, words_seconds
from cervella.knowledge.index.pending import LOOKED_UP, Pending, cached_vectors
from cervella.knowledge.index.storage import Generation, IndexFolder
from cervella.knowledge.index.vectors import VectorStore
from cervella.process.files import FILE_MODE
from cervella.protocols import Embedder
from cervella.text.language import DEFAULT_LANGUAGE, language
from cervella.types import IndexReport, Progress

if TYPE_CHECKING:
    import numpy as np

_logger = logging.getLogger(__name__)
_MARKS_LOST = (
    "The damaged index can't say which files were local-only: a file that was moved or copied to a place that no "
    "pattern of [knowledge] local_only matches may no longer be so. Look for such files, and name them in local_only."
)
_SMALL = 4
"""Markdown files below which it does not matter how many of them ignore files leave out."""
_PATIENCE_SECONDS = 30.0
"""The time to wait for another writer with vectors that are ready to be stored."""
_MANY, _SHARE = 20, 1 / 3
"""An update is refused if more than `_MANY` of the indexed files, and more than this share of them, are missing.

The folder may then be on a disk that is not mounted. `force` accepts it.
"""


@dataclass(frozen=True, slots=True, kw_only=True)
class RolledBack:
    """The state of the index after a roll-back."""

    generation: str
    """The name of the generation (the folder of one state of the index) that is current now."""
    former: str
    """The name of the generation that was current before. Another roll-back makes it current again."""
    files: int
    chunks: int
    pending_embeddings: int
    """Chunks that have no vector."""
    embedder: str
    """The name of the embedder that the current generation was built with; "none" for search by words only."""
    behind: int
    """Files of the folder that were added, changed or removed since the current generation was built."""
    unchecked: int
    """Indexed files of which it is unknown whether they changed: there was no time, or their folder can't be listed."""


class KnowledgeIndex:
    """The index of one folder. One process at a time may write; any number may search meanwhile."""

    def __init__(
        self,
        folder: str | Path,
        index_dir: str | Path,
        *,
        embedder: str | Embedder | None = "auto",
        language: str = DEFAULT_LANGUAGE,
        exclude: Sequence[str] = (),
        gitignore: bool = True,
        local_only: Sequence[str] = (),
        roles: Mapping[str, Any] | None = None,
        max_bytes: int = MAX_BYTES,
        cache: EmbeddingCache | None = None,
        mode: int = FILE_MODE,
    ) -> None:
        """`exclude` and `local_only` are globs over paths relative to the folder. A folder's name matches all files in
        it. An absolute path, the folder's own name in front, backslashes and other letter case are accepted too.

        `gitignore` says whether files are left out that a `.gitignore` file in the folder names and git does not track;
        `.cervellaignore` files always apply.

        `embedder` is a name, an object, or None for search by words only; "auto" keeps the embedder of an existing
        index. `language` is that of the files, as an ISO 639-1 code. Files of more than `max_bytes` are skipped.

        `roles` is the table `[knowledge.roles]` as a dict. Vectors that are in `cache` are not computed again. `mode`
        are the permission bits of the index's files, such as 0o640 to let the group read them.
        """
        self._folder = Path(folder)
        self._storage = IndexFolder(Path(index_dir), mode)
        self._asked = embedder
        self._language = language
        self._exclude = tuple(exclude)
        self._gitignore = gitignore
        self._local_only = tuple(local_only)
        self._roles = Roles.of(roles)
        self._max_bytes = max_bytes
        self._cache = cache
        self._kept_embedder: Embedder | None = None

    def update(
        self,
        *,
        force: bool = False,
        rebuild: bool = False,
        verify: bool = False,
        purge: bool = False,
        strict: bool = False,
        progress: Progress | None = None,
    ) -> IndexReport:
        """Bring the index up to date with the folder. If the update is stopped, the next one continues its work.

        `force` chunks every file again, accepts another embedder than before, and accepts that many files are missing.
        `rebuild` builds a new index beside the old one, then replaces the old one. `verify` checks that a search finds
        every vector. `purge` removes all bytes of deleted text from the index folder, and the vectors of that text
        from the cache. `progress` is called with the step, the number of items done, and their total.

        If a pattern of `local_only` matches no file, `strict` raises UnmatchedPatternError before anything is written.
        Otherwise it is a warning, and files that were local-only stay so, also after they were moved. A `rebuild` of a
        damaged index keeps the marks that it can read; if it can't read all, that is a warning.

        Raises KnowledgeError: no folder (`folder_missing`, `not_a_folder`, `folder_unreadable`), most files left out by
        `.gitignore` files (`mostly_ignored`), too many files gone (`too_many_removed`), a forked process (`forked`),
        IndexLockedError, IndexMismatchError, IndexDamagedError.
        """
        started = time.perf_counter()
        found = self._scan()
        local_only = local_only_in(found, self._folder, self._local_only)
        if local_only.nearest and strict:
            raise local_only.error()
        warnings = [local_only.warn()] if local_only.nearest else []
        with self._storage.writing():
            former = self._sound_or_none() if rebuild else self._storage.latest()
            base = None if rebuild else former
            marks, whole = (None, True) if base or not local_only.patterns else self._marks_left()
            if not whole:
                _logger.warning("%s", _MARKS_LOST)
                warnings.append(_MARKS_LOST)
            choice = self._choice(base, replace=force or rebuild)
            if choice.embedder is not None:
                VectorStore.check_fork()  # fails before the files are read
            with closing(self._builder(choice, base, former, thorough=verify or rebuild)) as builder:
                builder.check()
                run = self._run(builder, choice, local_only, progress, marks)
                believed = settled(found)
                reading = run.read(found, self._max_bytes)
                if not force:
                    _refuse_if_many_are_gone(_files(former), reading, found)
                plan = run.plan(reading, found, force=force)
                self._save_stamps(believed, reading, found)
                run.write_words(plan, reading)
                run.write_vectors(partial=not rebuild)
                builder.publish()
                if purge:
                    texts = {text for generation in self._storage.readable() for text in _texts(generation)}
                    builder.purge()
                    self._forget(texts)
                if verify:
                    builder.verify()
                    run.notify("verify", count := builder.manifest.count(), count)
                report = run.report(plan, reading, found, seconds=time.perf_counter() - started)
            self._storage.sweep()
        return replace(report, warnings=(*report.warnings, *warnings))

    def update_words(
        self,
        *,
        seen: Generation | None = None,
        seconds: float | None = None,
        wait: float = 1.0,
        progress: Progress | None = None,
    ) -> IndexReport | None:
        """Index and publish what changed, by words only: new chunks have no vector yet.

        None, and nothing is done, if `seen` is given and is no longer the current generation, so that another process
        has updated the index; or if the update is estimated to take more than `seconds`. A roll-back then returns to
        the index before the last `update`, not to the one before this call. `wait` is the number of seconds to wait
        for another writer. Patterns of `local_only` that the last `update` knew stay in force until the next one, even
        if they are no longer given.

        Raises the errors of `update`, and `too_many_removed` also if more than half of the documents would be removed.
        """
        started = time.perf_counter()
        with self._storage.writing(seconds=wait, brief=True):
            base = self._storage.latest()
            if seen is not None and base != seen:
                return None
            found = self._scan()
            local_only = self._with_former(local_only_in(found, self._folder, self._local_only), found, base)
            warnings = (local_only.warn(),) if local_only.nearest else ()
            choice = self._choice(base)
            former = base and (self._storage.kept() or base)
            with closing(self._builder(choice, base, former)) as builder:
                run = self._run(builder, choice, local_only, progress)
                believed = settled(found)
                reading = run.read(found, self._max_bytes)
                files = builder.files()
                _refuse_if_many_are_gone(files, reading, found)
                plan = run.plan(reading, found, force=False)
                _refuse_if_half_is_dropped(files, reading, plan)
                todo = sum(reading.sources[path].size for path in (*plan.added, *plan.changed, *plan.redo))
                chunks = builder.manifest.count() if base else 0
                if seconds is not None and words_seconds(chunks=chunks, changed_bytes=todo) > seconds:
                    return None
                builder.check()
                self._save_stamps(believed, reading, found)
                run.write_words(plan, reading)
                builder.publish()
                report = run.report(plan, reading, found, seconds=time.perf_counter() - started)
            self._storage.sweep()
        return replace(report, warnings=(*report.warnings, *warnings))

    def update_vectors(
        self,
        *,
        embedder: Embedder | None = None,
        seconds: float | None = None,
        stopped: Callable[[], bool] = lambda: False,
        pace: Pace | None = None,
        progress: Progress | None = None,
    ) -> int:
        """Make the vectors that are missing. Returns the number of chunks that still have none.

        `embedder` is that of the index, if the caller has loaded it. Otherwise it is loaded once, and kept.
        The index is locked only while the vectors are stored, so others may update it meanwhile. `stopped` is asked
        after every few chunks; if it returns true, the vectors made so far are stored, and no more are made. The same
        happens as soon as `pace`, which is measured meanwhile, estimates that the rest takes more than `seconds`.

        Raises the errors of `update`.
        """
        with closing(self._storage.hold()) as base:
            self._kept_embedder = embedder or self._kept_embedder
            choice = self._choice(base)
            self._kept_embedder = embedder = choice.embedder
            if embedder is None:
                return 0
            VectorStore.check_fork()
            with closing(self._builder(choice, base)) as builder:
                pending = builder.manifest.count(embedded=False)
                if not pending:
                    return 0
                run = self._run(builder, choice, LocalOnly(self._folder), progress)
                made = Pending(run.without_vectors(), pending, embedder, self._cache, pace or Pace(), run.notify)
                for vectors in made.in_portions(seconds, stopped):
                    self._store(vectors)
        latest = self._storage.latest()
        if latest is None:
            return 0
        with Manifest.open(latest.path) as manifest:
            return manifest.count(embedded=False)

    def unmade_vectors(self) -> int:
        """The number of chunks without a vector whose vector is not in the cache either.

        Only a few hundred chunks are looked up in the cache; if more have no vector, all of them are counted.
        """
        with closing(self._storage.hold()) as base, Manifest.open(base.path) as manifest:
            pending, built = manifest.count(embedded=False), manifest.built_with
            if built is None or self._cache is None or pending > LOOKED_UP:
                return pending
            rows = [row for path in manifest.pending_paths() for row in manifest.pending(path)]
            return sum(vector is None for vector in cached_vectors(rows, built.fingerprint, self._cache))

    def _store(self, vectors: Mapping[str, np.ndarray]) -> None:
        """Publish a generation with these vectors, by chunk id."""
        with self._storage.writing(seconds=_PATIENCE_SECONDS, brief=True):
            base = self._storage.latest()
            choice = self._choice(base)
            with closing(self._builder(choice, base, self._storage.kept())) as builder:
                builder.check()
                self._run(builder, choice, LocalOnly(self._folder), None).add_vectors(vectors)
                builder.publish()
            self._storage.sweep()

    def _save_stamps(self, believed: Mapping[str, FoundFile], reading: Reading, found: Scan) -> None:
        """Save the stamps of the files that were read. `believed` are those whose stamps can be trusted, by path."""
        self._stamps(believed, reading, found).save(self._storage.path, self._storage.mode)

    def _stamps(self, files: Mapping[str, FoundFile], reading: Reading, found: Scan) -> Stamps:
        """Size, modification time and hash of the files that were read, so that a search can detect later changes."""
        digests: dict[str, str | None] = {path: source.sha256 for path, source in reading.sources.items()}
        digests |= {item.path: None for item in reading.skipped if item.reason in ("empty", "not_text", "too_large")}
        stamps = {
            path: Stamp(file.size, file.mtime_ns, digests[path]) for path, file in files.items() if path in digests
        }
        return Stamps(
            files=stamps,
            exclude=self._exclude,
            gitignore=self._gitignore,
            kept=tuple(sorted(found.kept)),
            ignore_state=found.ignore_state,
            max_bytes=self._max_bytes,
        )

    def _forget(self, texts: Set[str]) -> None:
        """Remove the vectors of these texts from the cache, except those of texts that are still in the index."""
        latest = self._storage.latest()
        if self._cache is not None and latest is not None:
            self._cache.forget(sorted(texts - _texts(latest)))

    def roll_back(self) -> RolledBack:
        """Make the generation before the current one current again. The next `update` starts from it.

        Raises IndexMissingError if there is no such generation (`no_former_generation`), IndexLockedError,
        IndexDamagedError, and KnowledgeError if a text that is local-only now was not so in that generation
        (`local_only_exposed`). After an error nothing is changed.
        """
        self._storage.former()  # fails before `writing` makes the folder
        with self._storage.writing():
            former = self._storage.former()
            self._refuse_if_exposed(_files(former))
            left = self._storage.current().name
            self._storage.roll_back(former)
            with Manifest.open(former.path) as manifest:
                files, built_with = manifest.files(), manifest.built_with
                embedder = "none" if built_with is None else built_with.name
                distance = self._freshness().look(files, former)
                return RolledBack(
                    generation=former.path.name,
                    former=left,
                    files=len(files),
                    chunks=manifest.count(),
                    pending_embeddings=0 if embedder == "none" else manifest.count(embedded=False),
                    embedder=embedder,
                    behind=distance.behind,
                    unchecked=distance.unchecked,
                )

    def _refuse_if_exposed(self, files: Mapping[str, FileRow]) -> None:
        """Raises KnowledgeError if a roll-back would let cloud brains see a text that is local-only now.

        `files` are those of the generation to go back to.
        """
        marks, patterns = self._marks_left()[0], local_only_of(files, self._folder, self._local_only)
        for path, file in files.items():
            marked = path in marks.paths or any(digest in marks.documents for digest in digests_of(file))
            if marked and not file.local_only and not patterns.covers(path):
                raise KnowledgeError(
                    f"{path!r} is local-only now, but not in the generation to go back to.",
                    remedy="Nothing was changed. Build the index anew with `cervella index --rebuild`.",
                    code="local_only_exposed",
                )

    def drift(self) -> IndexReport:
        """The report that `update` would return, but the index is not changed.

        Raises the same errors as `update`, and IndexMissingError if there is no index.
        """
        started = time.perf_counter()
        found = self._scan()
        local_only = local_only_in(found, self._folder, self._local_only)
        with closing(self._storage.hold()) as base:
            choice = self._choice(base)
            with closing(self._builder(choice, base)) as builder:
                run = self._run(builder, choice, local_only, None)
                reading = run.read(found, self._max_bytes)
                plan = run.plan(reading, found, force=False)
                report = run.report(plan, reading, found, seconds=time.perf_counter() - started)
        seen = len(reading.sources) + sum(one.reason != "ignored" for one in reading.skipped)
        return replace(report, files_seen=seen, unchanged=len(plan.unchanged))

    def is_behind(self) -> bool:
        """Whether there is something to update: the folder differs from the index, or could not be compared in time.

        True if there is no index. False after a roll-back, which the next `update` ends. Raises IndexDamagedError.
        """
        base = self._storage.latest()
        if base is None:
            return True
        if self._storage.is_rolled_back:
            return False
        distance = self._freshness().look(_files(base), base, quiet=True)
        return bool(distance.behind or (distance.unchecked and self._folder.is_dir()))

    def _choice(self, base: Generation | None, *, replace: bool = False) -> Choice:
        if base is None:  # without a base, "auto" is chosen anew
            return choose_embedder(self._asked, None, replace=replace)
        with Manifest.open(base.path) as manifest:
            built, kept = manifest.built_with, self._kept_embedder
        if kept is not None and built is not None and kept.fingerprint == built.fingerprint and not replace:
            return choose_embedder(kept, built)
        return choose_embedder(self._asked, built, replace=replace)

    def _freshness(self) -> Freshness:
        return Freshness(self._folder, self._storage.path, exclude=self._exclude, gitignore=self._gitignore)

    def _scan(self) -> Scan:
        """List the folder. Raises KnowledgeError (`mostly_ignored`) if ignore files leave most of its markdown out."""
        rules = ignore_rules(self._folder, gitignore=self._gitignore) if self._folder.is_dir() else None
        found = scan(self._folder, exclude=self._exclude, keep_out=self._storage.path, ignores=rules)
        _refuse_if_most_is_ignored(self._folder, found, self._exclude)
        return found

    def _builder(
        self, choice: Choice, base: Generation | None, former: Generation | None = None, *, thorough: bool = False
    ) -> Builder:
        fingerprint = choice.built_with.fingerprint
        return Builder(self._storage, base=base, former=former, fingerprint=fingerprint, thorough=thorough)

    def _run(
        self,
        builder: Builder,
        choice: Choice,
        local_only: LocalOnly,
        progress: Progress | None,
        marks: Marks | None = None,
    ) -> Ingestion:
        """`marks` are those that the current index remembers, unless they are given."""
        if marks is None:
            marks = self._marks() if local_only.patterns else Marks()
        return Ingestion(
            folder=self._folder,
            builder=builder,
            language=language(self._language),
            choice=choice,
            local_only=local_only,
            marks=marks,
            roles=self._roles,
            cache=self._cache,
            notify=progress or (lambda stage, done, total: None),
        )

    def _with_former(self, local_only: LocalOnly, found: Scan, base: Generation | None) -> LocalOnly:
        """The patterns, and besides them those that the index `base` was made with."""
        if base is None:
            return local_only
        with Manifest.open(base.path) as manifest:
            former = manifest.read_meta("patterns", _patterns)
        patterns = tuple(dict.fromkeys((*self._local_only, *former)))
        if patterns == self._local_only:
            return local_only
        return replace(local_only_in(found, self._folder, patterns), nearest=local_only.nearest)

    def _marks(self) -> Marks:
        """The marks that the current index remembers; none without an index. Raises IndexDamagedError."""
        latest = self._storage.current_or_none()
        if latest is None:
            return Marks()
        with Manifest.open(latest) as manifest:
            return Marks.of(manifest, manifest.files())

    def _marks_left(self) -> tuple[Marks, bool]:
        """The marks that can be read in an index that is built anew, and whether those are all.

        If not all can be read in the current generation, those of the other ones count too: a mark too many keeps a
        text on this machine, a mark too few lets it out.
        """
        folders, current = self._storage.remnants(), self._storage.current_or_none()
        marks = Marks()
        for folder in sorted(folders, key=lambda folder: folder != current):
            with suppress(KnowledgeError), Manifest.open(folder) as manifest:
                found, whole = Marks.left_in(manifest)
                if whole and folder == current:
                    return found, True
                marks = marks.and_those_of(found)
        return marks, not folders

    def _sound_or_none(self) -> Generation | None:
        """The current generation; None if there is none or it is damaged."""
        try:
            latest = self._storage.latest()
            if latest:
                latest.check()
                latest.check_vectors()
        except KnowledgeError:
            return None
        return latest


def _patterns(text: str | None) -> list[str]:
    """The stored patterns of local-only files. Raises ValueError."""
    patterns = json.loads(text or "[]")
    if not isinstance(patterns, list) or not all(isinstance(pattern, str) for pattern in patterns):
        raise ValueError("the patterns are no list of texts")
    return patterns


def _files(generation: Generation | None) -> Mapping[str, FileRow]:
    if generation is None:
        return {}
    with Manifest.open(generation.path) as manifest:
        return manifest.files()


def _texts(generation: Generation) -> set[str]:
    """The texts of all chunks as they were embedded, without repetitions; empty if the generation cannot be read."""
    try:
        with Manifest.open(generation.path) as manifest:
            return {embedding_text(row.lead, row.reading) for row in manifest.chunks()}
    except KnowledgeError:
        return set()


def _refuse_if_many_are_gone(files: Mapping[str, FileRow], reading: Reading, found: Scan) -> None:
    skipped = {item.path for item in reading.skipped}
    gone = [
        path
        for path in files
        if path not in reading.sources
        and path not in skipped
        and not is_ignored(path, found)
        and not is_unknown(path, found)
    ]
    if len(gone) > _MANY and len(gone) > len(files) * _SHARE:
        raise KnowledgeError(
            f"{len(gone)} of the {len(files)} indexed files are missing, for example {gone[0]!r}.",
            remedy="Check that the folder is the right one and that its disk is mounted. If the files were deleted on "
            "purpose, run `cervella index --force`.",
            code="too_many_removed",
        )


def _refuse_if_half_is_dropped(files: Mapping[str, FileRow], reading: Reading, plan: Plan) -> None:
    """Raises KnowledgeError if an update would remove more than half of the documents. A renamed one is not removed."""
    kept = {source.sha256 for source in reading.sources.values()}
    dropped = [path for path in plan.removed if files[path].sha256 not in kept]
    if 2 * len(dropped) > len(files):
        raise KnowledgeError(
            f"{len(dropped)} of the {len(files)} indexed files are gone, for example {dropped[0]!r}: they stay in the "
            "index.",
            remedy="If they were deleted on purpose, run `cervella index`.",
            code="too_many_removed",
        )


def _refuse_if_most_is_ignored(folder: Path, found: Scan, exclude: Sequence[str]) -> None:
    on_purpose = [Glob((pattern.rstrip("/"),)) for pattern in exclude]
    lost = {
        file: left
        for file, paths in ignored_markdown(folder, found).items()
        if file.rpartition("/")[2] == GITIGNORE
        and (left := [path for path in paths if not any(glob.covers(path) for glob in on_purpose)])
    }
    count = sum(map(len, lost.values()))
    total = len(found.found) + count
    if total < _SMALL or count <= total / 2:
        return
    by = ", ".join(f"{len(paths)} by {file!r} (such as {paths[0]!r})" for file, paths in lost.items())
    raise KnowledgeError(
        f"Ignore files leave out {count} of the {total} markdown files in {str(folder)!r}: {by}.",
        remedy="Nothing was changed. To read them, set gitignore = false in [knowledge]. To leave them out on purpose, "
        "name them in [knowledge] exclude, or in a file .cervellaignore.",
        code="mostly_ignored",
    )
