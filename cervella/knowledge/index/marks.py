"""Decides which files of an index are local-only: those that a pattern covers, their copies, and what became of them.

A mark belongs to the text of a file that a pattern of `[knowledge] local_only` covered. It stays with that text in
every other file, and with a file that was marked once, even if it is renamed, moved or changed later. It ends when no
pattern covers the path any more that the text was marked under.
"""

from __future__ import annotations

import json
import os
from collections.abc import Collection, Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from itertools import islice
from pathlib import Path
from typing import Protocol

from cervella.errors import IndexMissingError, KnowledgeError
from cervella.knowledge.documents.local_only import LocalOnly
from cervella.knowledge.index.manifest import FileRow, Manifest
from cervella.knowledge.index.storage import Generation, IndexFolder
from cervella.process.forks import ForkLock

MARKS_VERSION = 1
"""Version of the digests by which copies are recognised. If it changes, all files are indexed again."""
UNKNOWN = ""
"""In place of the path under which a pattern covered a text, where the index could not tell it any more: such a mark is
in force as long as there are patterns."""
_META = "marks"
_MOST = 100_000
"""Maximum number of digests that an index remembers; the oldest are forgotten first."""


class Document(Protocol):
    """A file, as far as its marks are concerned."""

    @property
    def path(self) -> str: ...
    @property
    def sha256(self) -> str: ...
    @property
    def document(self) -> str:
        """See `document_digest`; empty if it is not known."""
        ...


@dataclass(frozen=True, slots=True)
class Marks:
    """The marks that an index remembers. Each is kept with the path under which a pattern covered it."""

    documents: Mapping[str, str] = field(default_factory=dict)
    """That path by digest of a local-only text or image, of its bytes or as of `document_digest`."""
    paths: Mapping[str, str] = field(default_factory=dict)
    """That path by path of a local-only file."""

    @classmethod
    def of(cls, manifest: Manifest, files: Mapping[str, FileRow]) -> Marks:
        """The marks that an index has stored, and those of its files. Raises IndexDamagedError."""
        documents, paths = manifest.read_meta(_META, _stored)
        return cls(documents, paths).with_rows(files.values())

    @classmethod
    def left_in(cls, manifest: Manifest) -> tuple[Marks, bool]:
        """The marks that can be read in a manifest that may be damaged, and whether those are all."""
        whole = True
        try:
            documents, paths = _stored(manifest.meta(_META))
        except (ValueError, RecursionError, KnowledgeError):
            documents, paths, whole = {}, {}, False
        try:
            files = manifest.files()
        except KnowledgeError:
            files, whole = {}, False
        return cls(documents, paths).with_rows(files.values(), whole=whole), whole

    def with_rows(self, files: Iterable[FileRow], *, whole: bool = True) -> Marks:
        """These marks, and those of the local-only files of an index. If they are not `whole`, it is not known under
        which path a pattern covered such a file."""
        documents, paths = dict(self.documents), dict(self.paths)
        for file in files:
            if file.local_only:
                origin = paths.setdefault(file.path, file.path if whole else UNKNOWN)
                documents |= {digest: documents.get(digest, origin) for digest in digests_of(file)}
        return Marks(documents, paths)

    def and_those_of(self, other: Marks) -> Marks:
        """All marks of both; where they differ, these count, unless their path is unknown."""
        return Marks(_united(self.documents, other.documents), _united(self.paths, other.paths))

    def as_meta(self) -> dict[str, str]:
        """The marks as an entry of the manifest's table `meta`."""
        return {_META: json.dumps({"documents": self._newest(), "paths": dict(self.paths)}, ensure_ascii=False)}

    def are_in(self, meta: str | None) -> bool:
        """Whether the entry `meta` of a manifest, see `as_meta`, has all these digests."""
        return not self.documents or self._newest().keys() <= _stored(meta)[0].keys()

    def _newest(self) -> dict[str, str]:
        return dict(islice(self.documents.items(), max(0, len(self.documents) - _MOST), None))

    def in_force(self, local_only: LocalOnly) -> Marks:
        """The marks that today's patterns keep. While a pattern matches nothing, it may be misspelt: all are kept."""
        if local_only.nearest:
            return self
        origins = {*self.documents.values(), *self.paths.values()}
        kept = {
            origin
            for origin in origins
            if origin == UNKNOWN or local_only.covers(origin) or local_only.may_cover(origin)
        }
        return Marks(
            {digest: origin for digest, origin in self.documents.items() if origin in kept},
            {path: origin for path, origin in self.paths.items() if origin in kept},
        )

    def with_files(
        self, files: Iterable[Document], local_only: LocalOnly, unindexed: Iterable[tuple[str, str]] = ()
    ) -> Marks:
        """The marks of these files, after those in force have reached all copies.

        `unindexed` are paths and digests of local-only files that are not among them. Marks of paths that are not among
        the files are left out; those of texts are kept.
        """
        here = list(files)
        documents, paths = dict(self.documents), dict[str, str]()
        for file in here:
            origin = file.path if local_only.covers(file.path) else self.paths.get(file.path)
            if origin is not None:
                paths[file.path] = origin
                documents |= dict.fromkeys(digests_of(file), origin)
        documents |= {digest: path for path, digest in unindexed}
        for file in here:
            copied = next((documents[digest] for digest in digests_of(file) if digest in documents), None)
            if copied is not None and file.path not in paths:
                paths[file.path] = copied
                documents |= dict.fromkeys(digests_of(file), copied)
        return Marks(documents, paths)


def _stored(text: str | None) -> tuple[dict[str, str], dict[str, str]]:
    """The two parts of the stored marks. Raises ValueError, RecursionError."""
    stored = json.loads("{}" if text is None else text)
    parts = [stored.get(name, {}) for name in ("documents", "paths")] if isinstance(stored, dict) else []
    if not parts or not all(isinstance(part, dict) for part in parts):
        raise ValueError("the marks are no tables")
    for origin in (origin for part in parts for origin in part.items()):
        if not all(isinstance(one, str) for one in origin):
            raise ValueError("a mark is no path")
        "".join(origin).encode()  # a lone surrogate can't be stored again
    return parts[0], parts[1]


def _united(first: Mapping[str, str], second: Mapping[str, str]) -> dict[str, str]:
    return {**first, **second, **{key: origin for key, origin in first.items() if origin != UNKNOWN}}


def digests_of(file: Document) -> Iterator[str]:
    yield from filter(None, (file.sha256, file.document))


def marks_of(files: Mapping[str, FileRow], local_only: LocalOnly, unindexed: Collection[tuple[str, str]] = ()) -> Marks:
    """The marks of the files of an index: those that it recorded, those of today's patterns, and their copies."""
    recorded = Marks(paths={path: path for path, file in files.items() if file.local_only})
    return recorded.with_files(files.values(), local_only, unindexed)


@dataclass(frozen=True, slots=True)
class Recorded:
    """What an index records about local-only files."""

    marks: Marks = field(default_factory=Marks)
    patterns: tuple[str, ...] = ()
    """The patterns that it was made with."""
    files: Collection[str] = ()
    """The paths of its files."""


class RecordedMarks:
    """Reads what an index records about local-only files, without loading the index. Thread-safe."""

    def __init__(self, index: Path) -> None:
        self._storage = IndexFolder(index)
        self._read: tuple[Generation | None, Recorded] = (None, Recorded())
        self._lock = ForkLock()

    def current(self) -> Recorded:
        """The marks of the current generation; none if there is no index.

        If it cannot be read, they are those that were read last.
        """
        with self._lock:
            if not os.path.lexists(self._storage.path):
                self._read = None, Recorded()
                return self._read[1]
            for _ in range(2):  # a writer may replace the index meanwhile
                try:
                    if self._read[0] is None or not self._storage.is_current(self._read[0]):
                        generation = self._storage.hold()
                        try:
                            with Manifest.open(generation.path) as manifest:
                                self._read = generation, _recorded(manifest)
                        finally:
                            generation.close()
                    break
                except IndexMissingError:
                    self._read = None, Recorded()
                except KnowledgeError:
                    continue
            return self._read[1]


def _recorded(manifest: Manifest) -> Recorded:
    patterns = manifest.read_meta("patterns", lambda text: tuple(map(str, json.loads(text or "[]"))))
    files = manifest.files()
    return Recorded(Marks.of(manifest, files), patterns, frozenset(files))
