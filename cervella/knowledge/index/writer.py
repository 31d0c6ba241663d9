"""Keeping the index equal to its folder: one writer, which can be stopped at any moment."""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence, Set
from contextlib import closing, suppress
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from cervella.errors import KnowledgeError
from cervella.knowledge.documents.indexed_text import embedding_text
from cervella.knowledge.documents.local_only import LocalOnly, local_only_in, local_only_of
from cervella.knowledge.documents.roles import Roles
from cervella.knowledge.documents.scan import MAX_BYTES, FoundFile, Scan, is_unknown, scan
from cervella.knowledge.embedders.cache import EmbeddingCache
from cervella.knowledge.embedders.registry import Choice, choose_embedder
from cervella.knowledge.index.builder import Builder
from cervella.knowledge.index.freshness import Freshness, Stamp, Stamps, settled
from cervella.knowledge.index.ingestion import Ingestion, Reading
from cervella.knowledge.index.manifest import FileRow, Manifest
from cervella.knowledge.index.storage import Generation, IndexFolder
from cervella.knowledge.index.vectors import VectorStore
from cervella.process.files import FILE_MODE
from cervella.protocols import Embedder
from cervella.text.language import DEFAULT_LANGUAGE, language
from cervella.types import IndexReport, Progress

_MANY = 20  # files gone at once, that together with the next look like an unmounted disk
_SHARE = 1 / 3


@dataclass(frozen=True, slots=True, kw_only=True)
class RolledBack:
    """What readers have after a roll-back."""

    generation: str
    """The current one from now on, by the name of its folder."""
    former: str
    """The one that was current before: another roll-back brings it back."""
    files: int
    chunks: int
    pending_embeddings: int
    """Chunks that have no vector."""
    embedder: str
    behind: int
    """Files added, changed or removed since: what `cervella index` would do."""
    unchecked: int
    """Indexed files that were not compared with the folder: there was no time, or they can't be listed."""


class KnowledgeIndex:
    """The index of one folder, for one writer at a time. Any number of processes may search meanwhile."""

    def __init__(
        self,
        folder: str | Path,
        index_dir: str | Path,
        *,
        embedder: str | Embedder | None = "auto",
        language: str = DEFAULT_LANGUAGE,
        exclude: Sequence[str] = (),
        local_only: Sequence[str] = (),
        roles: Mapping[str, Any] | None = None,
        max_bytes: int = MAX_BYTES,
        cache: EmbeddingCache | None = None,
        mode: int = FILE_MODE,
    ) -> None:
        """`exclude` and `local_only` are globs over paths relative to the folder; a folder's name means all in it. What
        is plainly meant is understood: an absolute path, the folder's own name in front, backslashes, another case.

        `roles` is what `[knowledge.roles]` holds, as a dict. Without a `cache` every chunk that is not in the index is
        embedded. `mode` is that of the index's files: 0o640 where another user of the group reads them.
        """
        self._folder = Path(folder)
        self._storage = IndexFolder(Path(index_dir), mode)
        self._asked = embedder
        self._language = language
        self._exclude = tuple(exclude)
        self._local_only = tuple(local_only)
        self._roles = Roles.of(roles)
        self._max_bytes = max_bytes
        self._cache = cache

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
        """Make the index equal to the folder. It can be stopped at any moment; the next run goes on from there.

        `force` cuts every file anew, lets another embedder take over, and accepts that many files are gone. `rebuild`
        builds from nothing beside the old index, then swaps. `verify` asks for every vector by itself. `purge` leaves
        nothing of deleted text in the index folder; the cache of embeddings forgets it too.

        Where a pattern of `local_only` names nothing, `strict` raises UnmatchedPatternError before anything is written.
        Else it is a warning, and what was marked stays marked: by its path, and by its text where the file was moved.

        Raises KnowledgeError: no folder (`folder_missing`, `not_a_folder`, `folder_unreadable`), too many files gone
        (`too_many_removed`), a forked process (`forked`), IndexLockedError, IndexMismatchError, IndexDamagedError.
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
            choice = self._choice(base, replace=force or rebuild)
            if choice.embedder is not None:
                VectorStore.check_fork()  # now, not after all files were read
            builder = Builder(
                self._storage,
                base=base,
                former=former,
                fingerprint=choice.built_with.fingerprint,
                thorough=verify or rebuild,
            )
            with closing(builder):
                builder.check()
                run = self._run(builder, choice, local_only, progress)
                believed = settled(found)
                reading = run.read(found, self._max_bytes)
                if not force:
                    _refuse_if_many_are_gone(_files(former), reading, found)
                plan = run.plan(reading, found, force=force)
                stamps = self._stamps(believed, reading)
                stamps.save(self._storage.path, self._storage.mode)
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

    def _stamps(self, files: Mapping[str, FoundFile], reading: Reading) -> Stamps:
        """What the files that were read looked like, so that a search can tell whether they changed since."""
        digests: dict[str, str | None] = {path: source.sha256 for path, source in reading.sources.items()}
        digests |= {item.path: None for item in reading.skipped if item.reason in ("empty", "not_text", "too_large")}
        stamps = {
            path: Stamp(file.size, file.mtime_ns, digests[path]) for path, file in files.items() if path in digests
        }
        return Stamps(files=stamps, exclude=self._exclude, max_bytes=self._max_bytes)

    def _forget(self, texts: Set[str]) -> None:
        """Drop from the cache the vectors of texts that are in the index no more."""
        latest = self._storage.latest()
        if self._cache is not None and latest is not None:
            self._cache.forget(sorted(texts - _texts(latest)))

    def roll_back(self) -> RolledBack:
        """Let readers have the generation before the current one again. The next `update` goes on from there.

        Raises IndexMissingError where there is none to go back to (`no_former_generation`), IndexLockedError,
        IndexDamagedError, and KnowledgeError where it would show a text unmarked that is marked local-only now
        (`local_only_exposed`). Nothing is changed then.
        """
        self._storage.former()  # an error makes no folder
        with self._storage.writing():
            self._refuse_if_exposed(_files(self._storage.former()))
            left = self._storage.readable()[0].path.name
            self._storage.roll_back()
            current = self._storage.current()
            with Manifest.open(current) as manifest:
                files, built_with = manifest.files(), manifest.built_with
                embedder = "none" if built_with is None else built_with.name
                distance = Freshness(self._folder, self._storage.path, exclude=self._exclude).look(files, current)
                return RolledBack(
                    generation=current.name,
                    former=left,
                    files=len(files),
                    chunks=manifest.count(),
                    pending_embeddings=0 if embedder == "none" else manifest.count(embedded=False),
                    embedder=embedder,
                    behind=distance.behind,
                    unchecked=distance.unchecked,
                )

    def _refuse_if_exposed(self, files: Mapping[str, FileRow]) -> None:
        """A generation from before a file was marked has it without the mark, maybe under another path."""
        marked, patterns = self._marked(), local_only_of(files, self._folder, self._local_only)
        for path, file in files.items():
            if not file.local_only and not patterns.covers(path) and {path, file.sha256} & marked:
                raise KnowledgeError(
                    f"The generation to go back to has {path!r} unmarked, and its text is marked local-only now.",
                    remedy="Nothing was changed. Build the index anew with `cervella index --rebuild`.",
                    code="local_only_exposed",
                )

    def drift(self) -> IndexReport:
        """How far the index is from the folder: what `update` would do, none of it done.

        Raises what `update` raises, and IndexMissingError.
        """
        started = time.perf_counter()
        found = self._scan()
        local_only = local_only_in(found, self._folder, self._local_only)
        with closing(self._storage.hold()) as base:
            choice = self._choice(base)
            fingerprint = choice.built_with.fingerprint
            with closing(Builder(self._storage, base=base, former=None, fingerprint=fingerprint)) as builder:
                run = self._run(builder, choice, local_only, None)
                reading = run.read(found, self._max_bytes)
                plan = run.plan(reading, found, force=False)
                report = run.report(plan, reading, found, seconds=time.perf_counter() - started)
        seen = len(reading.sources) + len(reading.skipped)
        return replace(report, files_seen=seen, unchanged=len(plan.unchanged))

    def _choice(self, base: Generation | None, *, replace: bool = False) -> Choice:
        if base is None:  # from nothing: what "auto" stands for is chosen again too
            return choose_embedder(self._asked, None, replace=replace)
        with Manifest.open(base.path) as manifest:
            return choose_embedder(self._asked, manifest.built_with, replace=replace)

    def _scan(self) -> Scan:
        return scan(self._folder, exclude=self._exclude, keep_out=self._storage.path)

    def _run(self, builder: Builder, choice: Choice, local_only: LocalOnly, progress: Progress | None) -> Ingestion:
        return Ingestion(
            folder=self._folder,
            builder=builder,
            language=language(self._language),
            choice=choice,
            local_only=local_only,
            marked=self._marked() if local_only.nearest else frozenset(),
            roles=self._roles,
            cache=self._cache,
            notify=progress or (lambda stage, done, total: None),
        )

    def _marked(self) -> Set[str]:
        """The paths and digests of what the index has marked; nothing where there is none that can be read."""
        latest = self._storage.current_or_none()
        if latest is None:
            return frozenset()
        with suppress(KnowledgeError), Manifest.open(latest) as manifest:
            files = [file for file in manifest.files().values() if file.local_only]
            return frozenset(fact for file in files for fact in (file.path, file.sha256))
        return frozenset()

    def _sound_or_none(self) -> Generation | None:
        """The index that is about to be replaced, unless it is damaged."""
        try:
            latest = self._storage.latest()
            if latest:
                latest.check()
                latest.check_vectors()
        except KnowledgeError:
            return None
        return latest


def _files(generation: Generation | None) -> Mapping[str, FileRow]:
    if generation is None:
        return {}
    with Manifest.open(generation.path) as manifest:
        return manifest.files()


def _texts(generation: Generation) -> set[str]:
    """What was embedded of each chunk; nothing of a generation that can't be read any more."""
    try:
        with Manifest.open(generation.path) as manifest:
            return {embedding_text(row.lead, row.text) for row in manifest.chunks()}
    except KnowledgeError:
        return set()


def _refuse_if_many_are_gone(files: Mapping[str, FileRow], reading: Reading, found: Scan) -> None:
    skipped = {item.path for item in reading.skipped}
    gone = [
        path for path in files if path not in reading.sources and path not in skipped and not is_unknown(path, found)
    ]
    if len(gone) > _MANY and len(gone) > len(files) * _SHARE:
        raise KnowledgeError(
            f"{len(gone)} of the {len(files)} indexed files are gone, {gone[0]!r} for one.",
            remedy="Check that the folder is the right one and mounted; if they are meant to be gone, "
            "run `cervella index --force`.",
            code="too_many_removed",
        )
