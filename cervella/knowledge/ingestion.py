"""The steps of one run of the indexer: read, plan, words at once, vectors after, and only then drop the old.

Each generation is made in a folder of its own, from a copy of the last, checked, and only then shown to readers.
"""

from __future__ import annotations

import random
import shutil
from collections.abc import Callable, Collection, Mapping, Set
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import TypeAlias

from cervella.errors import IndexDamagedError, KnowledgeError
from cervella.knowledge.chunking import CHUNKER_VERSION, chunk
from cervella.knowledge.embedding import Choice
from cervella.knowledge.indexed_text import indexed_text
from cervella.knowledge.lexical import load_lexical, write_lexical
from cervella.knowledge.manifest import ChunkRow, FileRow, Manifest, chunk_id
from cervella.knowledge.markdown import parse
from cervella.knowledge.roles import Roles, facts_of, is_local_only
from cervella.knowledge.scan import Scan, Source, read
from cervella.knowledge.storage import Generation, IndexFolder
from cervella.knowledge.vectors import VectorStore
from cervella.language import Language
from cervella.protocols import Embedder
from cervella.types import IndexReport, SkippedFile

__all__ = ["Ingestion", "Plan", "Progress", "Reading", "is_unknown"]

Progress: TypeAlias = Callable[[str, int, int], None]
"""Called with a stage (`read`, `index`, `embed`, `verify`), how much of it is done, and how much there is."""

_BATCH = 16  # chunks embedded between two looks at whether to publish
_FIRST = 256  # chunks embedded before vectors are published for the first time; then each time twice as many
_SAMPLE = 200  # vectors asked for by themselves in every run, besides those that it wrote
_SEED = 4  # of the sample: the same index is asked for the same
_FIRST_ROLES = ("constitution", "resume", "state", "decision")
_LAST_ROLES = ("archive", "template")


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


class Ingestion:
    """The steps of one update, in the order in which they are called. `close` it, whatever happened."""

    def __init__(
        self,
        *,
        folder: Path,
        storage: IndexFolder,
        base: Generation | None,
        former: Generation | None,
        language: Language,
        choice: Choice,
        local_only: tuple[str, ...],
        roles: Roles,
        notify: Progress,
    ) -> None:
        """`base` is the generation to go on from; without one everything is made anew. `former` is kept beside."""
        self._folder = folder
        self._storage = storage
        self._base = base
        self._former = former
        self._language = language
        self._choice = choice
        self._local_only = local_only
        self._roles = roles
        self._notify = notify
        self._manifest = Manifest.open(base.path) if base else None
        self._work: Path | None = None
        self._store: VectorStore | None = None
        self._written: set[str] = set()
        self._vectors_sound = True
        self.thorough = False
        """Whether every vector is asked for by itself before it is published, not a sample."""

    def close(self) -> None:
        """Throw away what was not published."""
        if self._store is not None:
            self._store.close()
            self._store = None
        if self._manifest is not None:
            self._manifest.close()
            self._manifest = None
        if self._work is not None:
            self._storage.discard(self._work)
            self._work = None

    def __enter__(self) -> Ingestion:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    # What is to be done

    def check(self) -> None:
        """Compare the base with its seal; vectors that are not as they were stored are made again.

        Raises IndexDamagedError: with `thorough` for vectors too, and for those that do not find themselves.
        """
        if self._base is None:
            return
        self._base.check()
        try:
            self._base.check_vectors()
        except IndexDamagedError:
            if self.thorough:
                raise
            self._vectors_sound = False

    def read(self, found: Scan, max_bytes: int) -> Reading:
        sources: dict[str, Source] = {}
        skipped = list(found.skipped)
        for number, file in enumerate(found.found, start=1):
            outcome = read(self._folder, file, max_bytes=max_bytes)
            if isinstance(outcome, Source):
                sources[file.path] = outcome
            else:
                skipped.append(outcome)
            self._notify("read", number, len(found.found))
        return Reading(sources, tuple(sorted(skipped, key=lambda item: item.path)))

    def files(self) -> dict[str, FileRow]:
        """What is indexed, by path."""
        return self._manifest.files() if self._manifest else {}

    def plan(self, reading: Reading, found: Scan, *, force: bool) -> Plan:
        files, sources = self.files(), reading.sources
        unchanged = [path for path, row in files.items() if path in sources and sources[path].sha256 == row.sha256]
        skipped = {item.path for item in reading.skipped}
        anew = force or self._meta("rules") != self._rules()
        return Plan(
            added=tuple(path for path in sources if path not in files),
            changed=tuple(
                path for path, row in files.items() if path in sources and sources[path].sha256 != row.sha256
            ),
            removed=tuple(p for p in files if p not in sources and (p in skipped or not is_unknown(p, found))),
            unchanged=tuple(unchanged),
            redo=tuple(path for path in unchanged if anew or files[path].disk_path != sources[path].disk_path),
        )

    def _rules(self) -> str:
        """All that decides how a file is cut and described, but the file."""
        fingerprint = self._choice.built_with.fingerprint
        return repr((CHUNKER_VERSION, ROLES_VERSION, self._language.code, fingerprint, self._local_only))

    def _meta(self, key: str) -> str | None:
        return self._manifest.meta(key) if self._manifest else None

    # Words

    def write_words(self, plan: Plan, reading: Reading) -> None:
        """Make a generation of the files and chunks that are wanted, and of the index of their words."""
        todo = (*plan.added, *plan.changed, *plan.redo)
        if not todo and not plan.removed and self._meta("rules") == self._rules():
            return
        manifest, work = self._begin(lexical=False)
        ready = manifest.ids(embedded=True)
        with manifest.transaction():
            for path in plan.removed:
                manifest.delete_file(path)
            for number, path in enumerate(todo, start=1):
                file, chunks = self._rows(reading.sources[path])
                manifest.replace_file(file, reading.sources[path].text, chunks, embedded=ready)
                self._notify("index", number, len(todo))
            stems = [self._stems(row) for row in manifest.chunks()]
            embedder = self._choice.built_with
            with self._storage.border():
                lexical = write_lexical(work, stems)
            manifest.put_meta(
                {
                    "lexical": lexical,
                    "rules": self._rules(),
                    "language": self._language.code,
                    "embedder": embedder.name,
                    "fingerprint": embedder.fingerprint,
                    "vectors": "stale",
                }
            )

    def _rows(self, source: Source) -> tuple[FileRow, list[ChunkRow]]:
        document = parse(source.text)
        facts = facts_of(source.path, document, self._language)
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
            local_only=is_local_only(source.path, self._local_only),
        )
        fingerprint = self._choice.built_with.fingerprint
        chunks = [
            ChunkRow(
                id=chunk_id(source.path, piece, chunker=CHUNKER_VERSION, embedder=fingerprint),
                path=source.path,
                ordinal=piece.ordinal,
                parent=piece.parent,
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
        return self._language.stems(f"{row.path.removesuffix('.md')}\n{about}")

    # Vectors

    def write_vectors(self, reading: Reading, *, partial: bool) -> None:
        """Embed what has no vector yet, and then drop the vectors of chunks that are gone.

        With `partial` the words are published first, and then vectors as they come: a search uses what is there.
        """
        embedder = self._choice.embedder
        if not self._vectors_sound:
            self._begin()
        if embedder is None or self._manifest is None:
            return
        pending = frozenset(self._manifest.ids(embedded=False))
        if not pending and self._meta("vectors") == "current":
            return
        if partial and pending:
            self.publish()
        if pending:
            try:
                self._embed(embedder, pending, reading, partial=partial)
            except KnowledgeError:
                raise
            except BaseException:  # whoever stopped it has what was made so far
                if partial and self._work is not None:
                    with suppress(KnowledgeError):
                        self.publish()
                raise
        manifest, work = self._begin()
        store = self._vectors()
        wanted = manifest.ids()
        stale = store.ids() - wanted
        store.delete(sorted(stale))
        # Chroma only marks vectors as gone: when most of them are, its graph is made anew.
        dropped = int(self._meta("dropped") or 0) + len(stale)
        if dropped > len(wanted):
            self._refill(work, wanted)
            dropped = 0
        manifest.put_meta({"vectors": "current", "dropped": str(dropped)})

    def _embed(self, embedder: Embedder, pending: frozenset[str], reading: Reading, *, partial: bool) -> None:
        from cervella.knowledge.nodes import vectors_of  # LlamaIndex takes seconds to import

        done, until = 0, _FIRST
        texts = ((path, reading.sources[path].text) for path in self._by_use() if path in reading.sources)
        for vectors in vectors_of(texts, embedder, wanted=pending, batch=_BATCH):
            manifest, _ = self._begin()
            self._vectors().upsert(vectors)
            manifest.mark(vectors, embedded=True)
            self._written.update(vectors)
            done += len(vectors)
            self._notify("embed", done, len(pending))
            if partial and until <= done < len(pending):
                self.publish()
                until = 2 * done

    def _by_use(self) -> list[str]:
        """The files with chunks that have no vector: those that are most asked for first, and the newest of them."""
        assert self._manifest is not None
        files = self._manifest.files()

        def late(path: str) -> int:
            role = files[path].role or ""
            return 0 if role in _FIRST_ROLES else 2 if role in _LAST_ROLES else 1

        newest_first = sorted(self._manifest.pending_paths(), key=lambda path: files[path].date or "", reverse=True)
        return sorted(newest_first, key=late)

    def _vectors(self) -> VectorStore:
        """The vectors of the generation that is being made."""
        if self._store is None:
            self._store = VectorStore(self._begin()[1], self._choice.built_with.fingerprint)
        return self._store

    def _refill(self, work: Path, wanted: Collection[str]) -> None:
        """Make the store anew from its own vectors: Chroma never gives up what it was given."""
        aside = work / "aside"
        with VectorStore(aside, self._choice.built_with.fingerprint) as new:
            for page in self._vectors().items():
                new.upsert({one: vector for one, vector in page.items() if one in wanted})
        self._vectors().close()
        self._store = None
        with self._storage.border():
            VectorStore.move(aside, work)
            aside.rmdir()

    # Generations

    def _begin(self, *, lexical: bool = True) -> tuple[Manifest, Path]:
        """The generation that is being made: a copy of the base, where there is one."""
        if self._work is not None and self._manifest is not None:
            return self._manifest, self._work
        self._work = work = self._storage.new_work()
        if self._base is None:
            self._manifest = manifest = Manifest.create(work)
            return manifest, work
        if self._manifest is not None:
            self._manifest.close()
        self._manifest = manifest = Manifest.copy(self._base.path, work)
        built = manifest.built_with
        if self._vectors_sound and built and built.fingerprint == self._choice.built_with.fingerprint:
            VectorStore.copy(self._base.path, work)
        else:
            manifest.mark(manifest.ids(embedded=True), embedded=False)
            manifest.put_meta({"vectors": "stale", "dropped": "0"})
            self._vectors_sound = True
        name = manifest.meta("lexical")
        if lexical and name:
            with self._storage.border():
                shutil.copytree(self._base.path / name, work / name)
        return manifest, work

    def publish(self) -> None:
        """Check the generation that was made, and show it to readers."""
        if self._work is None or self._manifest is None:
            return
        written, self._written = self._written, set()
        if self._store is not None:
            self._store.compact()
            self._store = None
            self._prove(self._work, written)
        if self.thorough:
            self._manifest.check()
            load_lexical(self._work, self._manifest.meta("lexical") or "", self._manifest.count())
        self._manifest.close()
        self._base = self._storage.publish(self._work, former=self._former)
        self._work = None
        self._manifest = Manifest.open(self._base.path)
        self._storage.sweep()

    def verify(self) -> None:
        """Prove of what is published that all that it names can be found. Raises IndexDamagedError where it can't."""
        if self._base is None or self._manifest is None:
            return
        self._manifest.check()
        load_lexical(self._base.path, self._manifest.meta("lexical") or "", self._manifest.count())
        if VectorStore.exists(self._base.path):
            self._prove(self._base.path, set())
        count = self._manifest.count(embedded=True)
        self._notify("verify", count, count)

    def _prove(self, folder: Path, written: Set[str]) -> None:
        """Raises IndexDamagedError where a vector that should be there is not, or does not find itself."""
        assert self._manifest is not None
        embedded = self._manifest.ids(embedded=True)
        with VectorStore(folder, self._choice.built_with.fingerprint) as store:
            missing = embedded - store.ids()
            if not missing:
                sample = random.Random(_SEED).sample(sorted(embedded), min(_SAMPLE, len(embedded)))
                asked = embedded if self.thorough else embedded & (written | set(sample))
                missing = set(store.unfindable(asked))
        if missing:
            raise IndexDamagedError(
                f"{len(missing)} chunks have no vector that can be found, though they were stored.",
                remedy="Build it anew with `cervella index --rebuild`.",
            )

    def purge(self) -> None:
        """Publish the index once more with no byte of what was deleted, and remove all other generations."""
        manifest, work = self._begin()
        manifest.vacuum()
        if VectorStore.exists(work):
            self._refill(work, manifest.ids())
            self._vectors()
        self._former = None
        self.publish()
        self._storage.sweep(force=True)

    def report(self, plan: Plan, reading: Reading, found: Scan, *, seconds: float) -> IndexReport:
        manifest = self._manifest
        assert manifest is not None
        indexed = len(manifest.files())
        warnings = [f"The folder {folder or '.'!r} can't be listed: {reason}." for folder, reason in found.unlisted]
        if not indexed:
            warnings.append(
                f"There is nothing to index in {str(self._folder)!r}: put files that end in .md there, or point "
                "[knowledge] folder at another folder."
            )
        if self._choice.warning:
            warnings.append(self._choice.warning)
        wants_vectors = self._choice.embedder is not None or self._choice.warning is not None
        return IndexReport(
            files_seen=indexed + len(reading.skipped),
            files_indexed=indexed,
            files_skipped=reading.skipped,
            added=len(plan.added),
            changed=len(plan.changed),
            removed=len(plan.removed),
            unchanged=indexed - len(plan.added) - len(plan.changed),
            chunks_total=manifest.count(),
            pending_embeddings=manifest.count(embedded=False) if wants_vectors else 0,
            embedder=self._choice.built_with.name,
            warnings=tuple(warnings),
            seconds=seconds,
        )
