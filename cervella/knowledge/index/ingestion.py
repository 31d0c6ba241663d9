"""Runs the steps of one update of the index: read, plan, write words, write vectors, then remove old vectors."""

from __future__ import annotations

import gc
import json
import shutil
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from contextlib import closing, contextmanager, suppress
from dataclasses import dataclass
from itertools import chain
from pathlib import Path
from typing import TYPE_CHECKING, Any

from cervella.errors import KnowledgeError
from cervella.knowledge.documents.chunking import CHUNKER_VERSION
from cervella.knowledge.documents.cutting import Cut, cut_all
from cervella.knowledge.documents.git import Days
from cervella.knowledge.documents.local_only import LocalOnly, image_digests, unindexed_documents
from cervella.knowledge.documents.roles import Roles
from cervella.knowledge.documents.scan import Scan, Source, is_unknown, read
from cervella.knowledge.embedders.cache import EmbeddingCache
from cervella.knowledge.embedders.registry import Choice
from cervella.knowledge.index.builder import Builder
from cervella.knowledge.index.confidence import calibrated
from cervella.knowledge.index.manifest import ChunkRow, FileRow, chunk_id
from cervella.knowledge.index.marks import MARKS_VERSION, Marks
from cervella.knowledge.index.words import write_lexical
from cervella.privacy.redaction import REDACTION_VERSION
from cervella.protocols import Embedder
from cervella.text.language import Language
from cervella.text.terms import TERMS_VERSION
from cervella.types import IndexReport, Progress, Redaction, SkippedFile

if TYPE_CHECKING:
    import numpy as np

_BATCH = 16  # texts in one call of the embedder
_FIRST = 256  # chunks embedded before vectors are first published; the number doubles each time
_FIRST_ROLES = ("constitution", "resume", "state", "decision")  # embedded first
_LAST_ROLES = ("archive", "template")  # embedded last
_HEADINGS, _NEAR = 48, 60  # for the calibration: about how many headings are searched, and results for each


@dataclass(frozen=True, slots=True)
class Reading:
    """The files of a folder: in `sources` those that were read, by path; in `skipped` the others, with the reason."""

    sources: Mapping[str, Source]
    skipped: tuple[SkippedFile, ...]


@dataclass(frozen=True, slots=True)
class Plan:
    """The paths of the files that an update adds to the index, replaces, removes and keeps."""

    added: tuple[str, ...]
    changed: tuple[str, ...]
    removed: tuple[str, ...]
    unchanged: tuple[str, ...]
    redo: tuple[str, ...]
    """Those of `unchanged` that are chunked again nevertheless: the rules or the name on disk changed, or `force`."""


class Ingestion:
    """One update of an index. Its methods are in the order in which they must be called."""

    def __init__(
        self,
        *,
        folder: Path,
        builder: Builder,
        language: Language,
        choice: Choice,
        local_only: LocalOnly,
        marks: Marks,
        roles: Roles,
        cache: EmbeddingCache | None,
        notify: Progress,
    ) -> None:
        """`marks` are those that the index remembers.

        `notify` is called with each step, the number of items done, and their total.
        """
        self._folder = folder
        self._builder = builder
        self._language = language
        self._choice = choice
        self._local_only = local_only
        self._marks = marks.in_force(local_only)
        self._roles = roles
        self._cache = cache
        self._git = Days(heads={}, days={})
        self.notify = notify

    def read(self, found: Scan, max_bytes: int) -> Reading:
        sources: dict[str, Source] = {}
        skipped = list(found.skipped)
        for number, file in enumerate(found.found, start=1):
            outcome = read(self._folder, file, max_bytes=max_bytes, language=self._language.code)
            if isinstance(outcome, Source):
                sources[file.path] = outcome
            else:
                skipped.append(outcome)
            self.notify("read", number, len(found.found))
        if self._local_only.patterns or self._marks.documents:
            covers, code = self._local_only.covers, self._language.code
            unindexed = chain(
                unindexed_documents(self._folder, found, covers, code, max_bytes=max_bytes),
                image_digests(self._folder, covers),
            )
            self._marks = self._marks.with_files(sources.values(), self._local_only, unindexed)
        return Reading(sources, tuple(sorted(skipped, key=lambda item: item.path)))

    def plan(self, reading: Reading, found: Scan, *, force: bool) -> Plan:
        files, sources = self._builder.files(), reading.sources
        former = self._builder.read_meta("git", Days.load)
        self._git = former.now(self._folder, found.repositories, sources)
        unchanged = [path for path, row in files.items() if path in sources and sources[path].sha256 == row.sha256]
        skipped = {item.path for item in reading.skipped}
        anew = force or self._builder.meta("rules") != self._rules()
        return Plan(
            added=tuple(path for path in sources if path not in files),
            changed=tuple(
                path for path, row in files.items() if path in sources and sources[path].sha256 != row.sha256
            ),
            removed=tuple(p for p in files if p not in sources and (p in skipped or not is_unknown(p, found))),
            unchanged=tuple(unchanged),
            redo=tuple(
                path
                for path in unchanged
                if anew
                or files[path].disk_path != sources[path].disk_path
                or files[path].local_only != (path in self._marks.paths)
                or self._is_redated(files[path], former)
            ),
        )

    def _is_redated(self, file: FileRow, former: Days) -> bool:
        """Whether git has another day now for a file that has no date of its own."""
        was, now = former.days.get(file.path, ""), self._git.days.get(file.path, "")
        return was != now and file.date in (None, was)

    def _rules(self) -> str:
        """The versions and settings that decide how files are chunked and described, as a text.

        If it differs from that of the last update, all files are chunked again.
        """
        fingerprint = self._choice.built_with.fingerprint
        versions = (CHUNKER_VERSION, TERMS_VERSION, REDACTION_VERSION, MARKS_VERSION, self._roles.fingerprint)
        return repr((*versions, self._language.code, fingerprint, self._local_only.rules))

    def write_words(self, plan: Plan, reading: Reading) -> None:
        """Begin a generation, and write the planned files, their chunks and the lexical index to it.

        Does nothing if nothing changed.
        """
        todo = (*plan.added, *plan.changed, *plan.redo)
        same = self._builder.meta("rules") == self._rules() and self._builder.read_meta("marks", self._marks.are_in)
        if not todo and not plan.removed and same:
            return
        manifest, work = self._builder.begin(lexical=False)
        ready = manifest.ids(embedded=True)
        noted = self._noted()
        sources = [reading.sources[path] for path in todo]
        with manifest.transaction(), _no_collector():
            for path in plan.removed:
                manifest.delete_file(path)
                noted.pop(path, None)
            with closing(cut_all(sources, self._language, self._roles)) as cuts:
                for number, (source, made) in enumerate(zip(sources, cuts, strict=True), start=1):
                    file, chunks = self._rows(source, made)
                    manifest.replace_file(
                        file,
                        made.text,
                        chunks,
                        made.stems,
                        subjects=made.subjects,
                        reading=made.read,
                        embedded=ready,
                    )
                    noted[source.path] = {
                        "redactions": [(one.line, one.kind) for one in made.redactions],
                        "plain": made.plain,
                        "left_out": dict(made.reading.left_out),
                    }
                    self.notify("index", number, len(todo))
            stems, subjects = manifest.stems_and_subjects()
            embedder = self._choice.built_with
            with self._builder.storage.translated_errors():
                lexical = write_lexical(work, stems, subjects)
                for other in work.glob("lexical-*"):
                    if other.name != lexical:
                        shutil.rmtree(other)
            manifest.put_meta(
                {
                    "lexical": lexical,
                    "rules": self._rules(),
                    "language": self._language.code,
                    "embedder": embedder.name,
                    "fingerprint": embedder.fingerprint,
                    "git": self._git.save(),
                    "vectors": "stale",
                    "patterns": json.dumps(self._local_only.patterns),
                    **self._marks.as_meta(),
                    "noted": json.dumps({path: notes for path, notes in noted.items() if any(notes.values())}),
                }
            )

    def _noted(self) -> dict[str, dict[str, Any]]:
        """Notes for the report by path.

        They are `redactions`; `plain`, the reason why a file was split by lines only; and `left_out`, see `Reading`.
        """
        return self._builder.read_meta("noted", _notes)

    def _rows(self, source: Source, made: Cut) -> tuple[FileRow, list[ChunkRow]]:
        facts = made.facts
        file = FileRow(
            path=source.path,
            disk_path=source.disk_path,
            sha256=source.sha256,
            size=source.size,
            title=facts.title,
            role=facts.role,
            project=facts.project,
            date=facts.date or self._git.days.get(source.path) or None,
            status=facts.status,
            tags=facts.tags,
            aliases=facts.aliases,
            meta=facts.meta,
            links=facts.links,
            session=facts.session,
            supersedes=facts.supersedes,
            superseded_by=facts.superseded_by,
            points=made.points,
            local_only=source.path in self._marks.paths,
            document=source.document,
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
                reading_start=piece.reading_start,
                reading_end=piece.reading_end,
                text=piece.text,
                reading=piece.reading,
            )
            for piece in made.chunks
        ]
        return file, chunks

    def write_vectors(self, *, partial: bool) -> None:
        """Embed all chunks without a vector, then remove the vectors of deleted chunks.

        `partial` publishes the words at once and vectors at intervals, so that searches can use them.
        """
        embedder, builder = self._choice.embedder, self._builder
        if embedder is None:
            return
        pending = builder.manifest.count(embedded=False)
        if not pending and builder.meta("vectors") == "current":
            return
        if partial and pending:
            builder.publish()
        try:
            self._embed(embedder, pending, partial=partial)
        except KnowledgeError:
            raise
        except BaseException:  # an interrupted update keeps the vectors made so far
            if partial:
                with suppress(KnowledgeError):
                    builder.publish()
            raise
        self._tidy(embedder)

    def _tidy(self, embedder: Embedder) -> None:
        self._builder.drop_stale()
        if self._builder.centring_is_new:
            self._calibrate(embedder)

    def _calibrate_first(self, embedder: Embedder) -> None:
        """Calibrate an index that never had all its vectors by those that it has."""
        if not self._builder.meta("centring"):
            self._calibrate(embedder)

    def _calibrate(self, embedder: Embedder) -> None:
        """Compute and store the cosines by which a question is judged. See confidence.py."""
        manifest, _ = self._builder.begin()
        rows = [row for row in manifest.headings() if len(self._language.stems(row[0])) > 1]
        some = rows[:: max(1, len(rows) // _HEADINGS)]
        paths = {one: path for one, path, *_ in manifest.places()}

        def nearest(question: str) -> list[tuple[str, float]]:
            found = self._builder.nearest(embedder.embed_query(question), _NEAR)
            return [(paths[one], cosine) for one, cosine in found.items() if one in paths]

        found = calibrated(self._language, some, nearest)
        manifest.put_meta({"calibration": found.to_json() if found else ""})

    def _embed(self, embedder: Embedder, pending: int, *, partial: bool) -> None:
        if not pending:
            return
        from cervella.knowledge.index.nodes import vectors_of  # LlamaIndex takes seconds to import

        done, until = 0, _FIRST
        for vectors in vectors_of(self.without_vectors(), embedder, batch=_BATCH, cache=self._cache):
            self._builder.add(vectors)
            done += len(vectors)
            self.notify("embed", done, pending)
            if partial and until <= done < pending:
                self._calibrate_first(embedder)
                self._builder.publish()
                until = 2 * done

    def add_vectors(self, vectors: Mapping[str, Sequence[float] | np.ndarray]) -> None:
        """Store vectors by chunk id, except those of chunks that have been removed meanwhile.

        If no chunk is left without a vector, the vectors of deleted chunks are removed.
        """
        builder, embedder = self._builder, self._choice.embedder
        waiting = builder.manifest.ids(embedded=False)
        if not waiting and builder.meta("vectors") == "current":
            return
        builder.add({one: vector for one, vector in vectors.items() if one in waiting})
        if embedder is None:
            return
        if waiting <= vectors.keys():
            self._tidy(embedder)
        else:
            self._calibrate_first(embedder)

    def without_vectors(self) -> Iterator[ChunkRow]:
        """The chunks that have no vector, in the order in which they are embedded."""
        for path in self._by_use():
            yield from self._builder.manifest.pending(path)  # publishing replaces the manifest

    def _by_use(self) -> list[str]:
        """The paths of files with chunks that have no vector, in the order in which the chunks are embedded.

        Files of important roles, such as decisions, come first, archives last; within that, the newest come first.
        """
        manifest = self._builder.manifest
        files = manifest.files()

        def late(path: str) -> int:
            role = files[path].role or ""
            return 0 if role in _FIRST_ROLES else 2 if role in _LAST_ROLES else 1

        current_first = sorted(manifest.pending_paths(), key=lambda path: files[path].date or "", reverse=True)
        return sorted(current_first, key=late)

    def report(self, plan: Plan, reading: Reading, found: Scan, *, seconds: float) -> IndexReport:
        manifest = self._builder.manifest
        indexed = len(manifest.files())
        warnings = list(found.problems)
        warnings += [f"The folder {folder or '.'!r} can't be listed: {reason}." for folder, reason in found.unlisted]
        if not indexed:
            warnings.append(
                f"There is nothing to index in {str(self._folder)!r}: put files that end in .md or .txt there, or "
                "point [knowledge] folder at another folder."
            )
        if self._choice.warning:
            warnings.append(self._choice.warning)
        noted = sorted(self._noted().items())
        warnings += (f"{path}: {notes['plain']}." for path, notes in noted if notes["plain"])
        left_out: Counter[str] = Counter()
        for _, notes in noted:
            left_out.update(notes["left_out"])
        wants_vectors = self._choice.embedder is not None or self._choice.warning is not None
        return IndexReport(
            files_seen=indexed + sum(one.reason != "ignored" for one in reading.skipped),
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
            left_out=dict(left_out),
            redactions=tuple(
                Redaction(path=path, line=line, kind=kind)
                for path, notes in noted
                for line, kind in notes["redactions"]
            ),
            encodings={path: source.encoding for path, source in reading.sources.items() if source.encoding},
            seconds=seconds,
        )


def _notes(text: str | None) -> dict[str, dict[str, Any]]:
    return {
        path: {
            "redactions": [(int(line), str(kind)) for line, kind in notes["redactions"]],
            "plain": notes["plain"] and str(notes["plain"]),
            "left_out": {str(kind): int(count) for kind, count in notes["left_out"].items()},
        }
        for path, notes in json.loads(text or "{}").items()
    }


@contextmanager
def _no_collector() -> Iterator[None]:
    """Turn off garbage collection in the block, because parsing makes no reference cycles.

    The search for such cycles would take a third of the time.
    """
    was_on = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if was_on:
            gc.enable()
