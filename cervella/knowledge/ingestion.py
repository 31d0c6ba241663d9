"""The steps of one run of the indexer: read, plan, words at once, vectors after, and only then drop the old."""

from __future__ import annotations

import shutil
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TypeAlias

from cervella.errors import IndexDamagedError
from cervella.knowledge.chunking import CHUNKER_VERSION, chunk
from cervella.knowledge.embedding import Choice
from cervella.knowledge.embedding_cache import EmbeddingCache
from cervella.knowledge.indexed_text import indexed_text
from cervella.knowledge.lexical import load_lexical, write_lexical
from cervella.knowledge.manifest import ChunkRow, FileRow, Manifest, chunk_id
from cervella.knowledge.markdown import parse
from cervella.knowledge.roles import ROLES_VERSION, facts_of, is_local_only
from cervella.knowledge.scan import Scan, Source, read
from cervella.knowledge.vectors import VectorStore
from cervella.language import Language
from cervella.protocols import Embedder
from cervella.types import IndexReport, SkippedFile

__all__ = ["Ingestion", "Plan", "Progress", "Reading", "is_unknown"]

Progress: TypeAlias = Callable[[str, int, int], None]
"""Called with a stage (`read`, `index`, `embed`, `verify`), how much of it is done, and how much there is."""

_BATCH = 16  # chunks embedded between two commits: what a power cut can cost


@dataclass(frozen=True, slots=True)
class Reading:
    """What the files of the folder came to."""

    sources: Mapping[str, Source]
    """By path. Texts are kept of all of them: markdown is small."""
    skipped: tuple[SkippedFile, ...]


@dataclass(frozen=True, slots=True)
class Plan:
    """What a run has to do, by path."""

    added: tuple[str, ...]
    changed: tuple[str, ...]
    removed: tuple[str, ...]
    unchanged: tuple[str, ...]
    redo: tuple[str, ...]
    """Unchanged, but cut or described by other rules than today's."""


def is_unknown(path: str, found: Scan) -> bool:
    """Whether a file lies in a folder that could not be listed: it is not known to be gone."""
    return any(folder == "" or path.startswith(folder + "/") for folder, _ in found.unlisted)


@dataclass(frozen=True, slots=True, kw_only=True)
class Ingestion:
    """The steps of one update, in the order in which they are called."""

    folder: Path
    build: Path
    manifest: Manifest
    language: Language
    choice: Choice
    local_only: tuple[str, ...]
    cache: EmbeddingCache | None
    notify: Progress

    def read(self, found: Scan, max_bytes: int) -> Reading:
        sources: dict[str, Source] = {}
        skipped = list(found.skipped)
        for number, file in enumerate(found.found, start=1):
            outcome = read(self.folder, file, max_bytes=max_bytes)
            if isinstance(outcome, Source):
                sources[file.path] = outcome
            else:
                skipped.append(outcome)
            self.notify("read", number, len(found.found))
        return Reading(sources, tuple(sorted(skipped, key=lambda item: item.path)))

    def plan(self, files: Mapping[str, FileRow], reading: Reading, found: Scan, *, force: bool) -> Plan:
        sources = reading.sources
        unchanged = [path for path, row in files.items() if path in sources and sources[path].sha256 == row.sha256]
        skipped = {item.path for item in reading.skipped}
        return Plan(
            added=tuple(path for path in sources if path not in files),
            changed=tuple(
                path for path, row in files.items() if path in sources and sources[path].sha256 != row.sha256
            ),
            removed=tuple(p for p in files if p not in sources and (p in skipped or not is_unknown(p, found))),
            unchanged=tuple(unchanged),
            redo=tuple(unchanged)
            if force or self.manifest.meta("rules") != self._rules() or not self._words_sound()
            else tuple(path for path in unchanged if files[path].disk_path != sources[path].disk_path),
        )

    def _words_sound(self) -> bool:
        """Whether the index of words is there, by a look that reads nothing."""
        name = self.manifest.meta("lexical")
        if not name:
            return True
        files = list((self.build / name).glob("*"))
        return bool(files) and all(file.stat().st_size for file in files)

    def _rules(self) -> str:
        """All that decides how a file is cut and described, but the file."""
        fingerprint = self.choice.built_with.fingerprint
        return repr((CHUNKER_VERSION, ROLES_VERSION, self.language.code, fingerprint, self.local_only))

    def commit_words(self, plan: Plan, reading: Reading) -> None:
        """Put files, chunks and the index of their words in place, in one step: from here on they are found."""
        todo = (*plan.added, *plan.changed, *plan.redo)
        rules = self._rules()
        if not todo and not plan.removed and self.manifest.meta("rules") == rules:
            return
        if not self._words_sound():
            shutil.rmtree(self.build / (self.manifest.meta("lexical") or ""), ignore_errors=True)
        ready = self.manifest.ids(embedded=True)
        with self.manifest.transaction():
            for path in plan.removed:
                self.manifest.delete_file(path)
            for number, path in enumerate(todo, start=1):
                file, chunks = self._rows(reading.sources[path])
                self.manifest.replace_file(file, chunks, embedded=ready)
                self.notify("index", number, len(todo))
            words = write_lexical(self.build, [self._stems(row) for row in self.manifest.chunks()])
            embedder = self.choice.built_with
            self.manifest.put_meta(
                {
                    "lexical": words,
                    "rules": rules,
                    "language": self.language.code,
                    "embedder": embedder.name,
                    "fingerprint": embedder.fingerprint,
                    "vectors": "stale",
                }
            )
            self.manifest.next_generation()
        for old in self.build.glob("lexical-*"):
            if old.name != words:
                shutil.rmtree(old, ignore_errors=True)

    def _rows(self, source: Source) -> tuple[FileRow, list[ChunkRow]]:
        document = parse(source.text)
        facts = facts_of(source.path, document, self.language)
        file = FileRow(
            path=source.path,
            disk_path=source.disk_path,
            sha256=source.sha256,
            size=source.size,
            title=facts.title,
            role=facts.role,
            project=facts.project,
            date=facts.date,
            status=facts.status,
            local_only=is_local_only(source.path, self.local_only),
        )
        fingerprint = self.choice.built_with.fingerprint
        chunks = [
            ChunkRow(
                id=chunk_id(source.path, piece, chunker=CHUNKER_VERSION, embedder=fingerprint),
                path=source.path,
                ordinal=piece.ordinal,
                start_line=piece.start_line,
                end_line=piece.end_line,
                heading=piece.heading,
                lead=piece.lead,
                text=piece.text,
            )
            for piece in chunk(document)
        ]
        return file, chunks

    def _stems(self, row: ChunkRow) -> list[str]:
        """A chunk's own words, those of its headings and those of its path: all of them say what it is about."""
        about = indexed_text(f"{row.lead}\n{row.text}")
        return self.language.stems(f"{row.path.removesuffix('.md')}\n{about}")

    def commit_vectors(self, reading: Reading) -> None:
        """Embed what has no vector yet, each batch stored and then noted; at the end drop the vectors of old chunks."""
        embedder, manifest = self.choice.embedder, self.manifest
        if embedder is None or (manifest.meta("vectors") == "current" and not manifest.count(embedded=False)):
            return
        with VectorStore(self.build, embedder.fingerprint) as store:
            held = store.ids()
            manifest.mark(manifest.ids(embedded=False) & held, embedded=True)  # stored by a run that was stopped
            manifest.mark(manifest.ids(embedded=True) - held, embedded=False)
            self._embed(embedder, store, reading)
            missing = manifest.ids(embedded=True) - store.ids()
            if missing:
                raise _lost(len(missing))
            store.delete(sorted(store.ids() - manifest.ids()))
            store.drop_others()
        manifest.put_meta({"vectors": "current"})

    def _embed(self, embedder: Embedder, store: VectorStore, reading: Reading) -> None:
        pending = frozenset(self.manifest.ids(embedded=False))
        paths = [path for path in self.manifest.pending_paths() if path in reading.sources]
        if not paths:
            return
        from cervella.knowledge.nodes import vectors_of  # LlamaIndex takes seconds to import

        done = 0
        texts = ((path, reading.sources[path].text) for path in paths)
        for vectors in vectors_of(texts, embedder, wanted=pending, batch=_BATCH, cache=self.cache):
            store.upsert(vectors)
            self.manifest.mark(vectors, embedded=True)
            done += len(vectors)
            self.notify("embed", done, len(pending))

    def verify(self) -> None:
        """Prove that everything that the manifest names can be found. Raises IndexDamagedError where it can't."""
        self.manifest.check()
        load_lexical(self.build, self.manifest.meta("lexical") or "", self.manifest.count())
        embedded = self.manifest.ids(embedded=True)
        if embedded:
            with VectorStore(self.build, self.choice.built_with.fingerprint) as store:
                lost = (embedded ^ store.ids()) or set(store.unfindable())
            if lost:
                raise _lost(len(lost))
        self.notify("verify", len(embedded), len(embedded))

    def copy_without_deleted(self, build: Path) -> Path:
        """The index once more in a new build: what SQLite and Chroma keep of deleted rows does not come along."""
        self.manifest.copy_to(build)
        for folder in self.build.glob("lexical-*"):
            shutil.copytree(folder, build / folder.name)
        if VectorStore.exists(self.build):
            fingerprint = self.choice.built_with.fingerprint
            wanted = self.manifest.ids()
            with VectorStore(self.build, fingerprint) as old, VectorStore(build, fingerprint) as new:
                for page in old.items():
                    new.upsert({one: vector for one, vector in page.items() if one in wanted})
        return build

    def report(self, plan: Plan, reading: Reading, found: Scan, *, seconds: float) -> IndexReport:
        indexed = len(self.manifest.files())
        warnings = [f"The folder {folder or '.'!r} can't be listed: {reason}." for folder, reason in found.unlisted]
        if not indexed:
            warnings.append(
                f"There is nothing to index in {str(self.folder)!r}: put files that end in .md there, or point "
                "[knowledge] folder at another folder."
            )
        if self.choice.warning:
            warnings.append(self.choice.warning)
        wants_vectors = self.choice.embedder is not None or self.choice.warning is not None
        return IndexReport(
            files_seen=indexed + len(reading.skipped),
            files_indexed=indexed,
            files_skipped=reading.skipped,
            added=len(plan.added),
            changed=len(plan.changed),
            removed=len(plan.removed),
            unchanged=indexed - len(plan.added) - len(plan.changed),
            chunks_total=self.manifest.count(),
            pending_embeddings=self.manifest.count(embedded=False) if wants_vectors else 0,
            embedder=self.choice.built_with.name,
            warnings=tuple(warnings),
            seconds=seconds,
        )


def _lost(count: int) -> IndexDamagedError:
    return IndexDamagedError(
        f"{count} chunks have no vector that can be found, though they were stored.",
        remedy="Build it anew with `cervella index --rebuild`.",
    )
