"""Keeping the index equal to its folder: one writer, which can be stopped at any moment."""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path

from cervella.errors import KnowledgeError
from cervella.knowledge.embedding import BuiltWith, choose_embedder
from cervella.knowledge.embedding_cache import EmbeddingCache
from cervella.knowledge.ingestion import Ingestion, Progress, Reading, is_unknown
from cervella.knowledge.manifest import FileRow, Manifest
from cervella.knowledge.scan import MAX_BYTES, Scan, scan
from cervella.knowledge.storage import IndexFolder
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
        max_bytes: int = MAX_BYTES,
        cache: EmbeddingCache | None = None,
    ) -> None:
        """`exclude` and `local_only` are globs over paths relative to the folder; a folder's name means all in it.
        Without a `cache` every chunk that is not in the index is embedded."""
        self._folder = Path(folder)
        self._storage = IndexFolder(Path(index_dir))
        self._asked = embedder
        self._language = language
        self._exclude = tuple(exclude)
        self._local_only = tuple(pattern.rstrip("/") for pattern in local_only)
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
        nothing of deleted text in the index folder.

        Raises KnowledgeError: no folder (`folder_missing`, `not_a_folder`, `folder_unreadable`), too many files gone
        (`too_many_removed`), IndexLockedError, IndexMismatchError, IndexDamagedError.
        """
        started = time.perf_counter()
        found = scan(self._folder, exclude=self._exclude, keep_out=self._storage.path)
        with self._storage.writing():
            former = self._storage.current_or_none()
            build = former if former and not rebuild else self._storage.new_build()
            with Manifest.open(build) if build == former else Manifest.create(build) as manifest:
                files, built = manifest.files(), manifest.built_with
                if former and rebuild:
                    files_before, _ = _still_readable(former)
                    built = None  # from nothing: what "auto" stands for is chosen again too
                else:
                    files_before = files
                run = self._run(build, manifest, built, replace=force or rebuild, progress=progress)
                reading = run.read(found, self._max_bytes)
                if not force:
                    _refuse_if_many_are_gone(files_before, reading, found)
                plan = run.plan(files, reading, found, force=force)
                run.commit_words(plan, reading)
                if former is None:
                    self._storage.publish(build)  # there is nothing better: words are found while vectors are made
                run.commit_vectors(reading)
                if verify:
                    run.verify()
                self._storage.publish(build)
                if purge:
                    self._storage.publish(run.copy_without_deleted(self._storage.new_build()))
                report = run.report(plan, reading, found, seconds=time.perf_counter() - started)
            self._storage.sweep()
        return report

    def drift(self) -> IndexReport:
        """How far the index is from the folder: what `update` would do, none of it done.

        Raises what `update` raises, and IndexMissingError.
        """
        started = time.perf_counter()
        found = scan(self._folder, exclude=self._exclude, keep_out=self._storage.path)
        build = self._storage.current()
        with Manifest.open(build) as manifest:
            run = self._run(build, manifest, manifest.built_with)
            reading = run.read(found, self._max_bytes)
            plan = run.plan(manifest.files(), reading, found, force=False)
            report = run.report(plan, reading, found, seconds=time.perf_counter() - started)
        seen = len(reading.sources) + len(reading.skipped)
        return replace(report, files_seen=seen, unchanged=len(plan.unchanged))

    def _run(
        self,
        build: Path,
        manifest: Manifest,
        built: BuiltWith | None,
        *,
        replace: bool = False,
        progress: Progress | None = None,
    ) -> Ingestion:
        return Ingestion(
            folder=self._folder,
            build=build,
            manifest=manifest,
            language=language(self._language),
            choice=choose_embedder(self._asked, built, replace=replace),
            local_only=self._local_only,
            cache=self._cache,
            notify=progress or (lambda stage, done, total: None),
        )


def _still_readable(build: Path) -> tuple[dict[str, FileRow], BuiltWith | None]:
    """Files and embedder of an index that is about to be replaced, perhaps because it is damaged."""
    try:
        with Manifest.open(build) as manifest:
            return manifest.files(), manifest.built_with
    except KnowledgeError:
        return {}, None


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
