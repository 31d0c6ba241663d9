"""Keeping the index equal to its folder: one writer, which can be stopped at any moment."""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence, Set
from contextlib import closing
from dataclasses import replace
from pathlib import Path
from typing import Any

from cervella.errors import KnowledgeError
from cervella.knowledge.builder import Builder
from cervella.knowledge.embedding import Choice, choose_embedder
from cervella.knowledge.embedding_cache import EmbeddingCache
from cervella.knowledge.indexed_text import embedding_text
from cervella.knowledge.ingestion import Ingestion, Progress, Reading, is_unknown
from cervella.knowledge.manifest import FileRow, Manifest
from cervella.knowledge.roles import Roles
from cervella.knowledge.scan import MAX_BYTES, Scan, scan
from cervella.knowledge.storage import Generation, IndexFolder
from cervella.knowledge.vectors import VectorStore
from cervella.language import language
from cervella.protocols import Embedder
from cervella.types import IndexReport

__all__ = ["KnowledgeIndex"]

_MANY = 20  # files gone at once, that together with the next look like an unmounted disk
_SHARE = 1 / 3


class KnowledgeIndex:
    """The index of one folder, for one writer at a time. Any number of processes may search meanwhile."""

    def __init__(
        self,
        folder: str | Path,
        index_dir: str | Path,
        *,
        embedder: str | Embedder | None = "auto",
        language: str = "it",
        exclude: Sequence[str] = (),
        local_only: Sequence[str] = (),
        roles: Mapping[str, Any] | None = None,
        max_bytes: int = MAX_BYTES,
        cache: EmbeddingCache | None = None,
    ) -> None:
        """`exclude` and `local_only` are globs over paths relative to the folder; a folder's name means all in it.

        `roles` is what `[knowledge.roles]` holds, as a dict. Without a `cache` every chunk that is not in the index is
        embedded.
        """
        self._folder = Path(folder)
        self._storage = IndexFolder(Path(index_dir))
        self._asked = embedder
        self._language = language
        self._exclude = tuple(exclude)
        self._local_only = tuple(pattern.rstrip("/") for pattern in local_only)
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
        progress: Progress | None = None,
    ) -> IndexReport:
        """Make the index equal to the folder. It can be stopped at any moment; the next run goes on from there.

        `force` cuts every file anew, lets another embedder take over, and accepts that many files are gone. `rebuild`
        builds from nothing beside the old index, then swaps. `verify` asks for every vector by itself. `purge` leaves
        nothing of deleted text in the index folder; the cache of embeddings forgets it too.

        Raises KnowledgeError: no folder (`folder_missing`, `not_a_folder`, `folder_unreadable`), too many files gone
        (`too_many_removed`), a forked process (`forked`), IndexLockedError, IndexMismatchError, IndexDamagedError.
        """
        started = time.perf_counter()
        found = scan(self._folder, exclude=self._exclude, keep_out=self._storage.path)
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
                run = self._run(builder, choice, progress)
                reading = run.read(found, self._max_bytes)
                if not force:
                    _refuse_if_many_are_gone(_files(former), reading, found)
                plan = run.plan(reading, found, force=force)
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
        return report

    def _forget(self, texts: Set[str]) -> None:
        """Drop from the cache the vectors of texts that are in the index no more."""
        latest = self._storage.latest()
        if self._cache is not None and latest is not None:
            self._cache.forget(sorted(texts - _texts(latest)))

    def roll_back(self) -> None:
        """Let readers have the generation before the current one again. The next `update` goes on from there.

        Raises IndexMissingError where there is none to go back to, IndexLockedError, IndexDamagedError.
        """
        with self._storage.writing():
            self._storage.roll_back()

    def drift(self) -> IndexReport:
        """How far the index is from the folder: what `update` would do, none of it done.

        Raises what `update` raises, and IndexMissingError.
        """
        started = time.perf_counter()
        found = scan(self._folder, exclude=self._exclude, keep_out=self._storage.path)
        with closing(self._storage.hold()) as base:
            choice = self._choice(base)
            fingerprint = choice.built_with.fingerprint
            with closing(Builder(self._storage, base=base, former=None, fingerprint=fingerprint)) as builder:
                run = self._run(builder, choice, None)
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

    def _run(self, builder: Builder, choice: Choice, progress: Progress | None) -> Ingestion:
        return Ingestion(
            folder=self._folder,
            builder=builder,
            language=language(self._language),
            choice=choice,
            local_only=self._local_only,
            roles=self._roles,
            cache=self._cache,
            notify=progress or (lambda stage, done, total: None),
        )

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
