"""Counts the files that changed since the index was built. This is quick enough to be done in every search.

A file's stamp is its size and modification time when its content was last hashed. A file with the same stamp counts as
unchanged. If the stamp differs, the content is hashed, so that touching or copying a file is no change. Files for which
there was no time to do so are counted as unchecked.
"""

from __future__ import annotations

import json
import logging
import os
import time
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path

from cervella.errors import KnowledgeError
from cervella.knowledge.documents.ignored import IgnoreRules
from cervella.knowledge.documents.scan import (
    MAX_BYTES,
    FoundFile,
    Scan,
    Source,
    digest,
    ignore_rules,
    is_unknown,
    read,
    scan,
)
from cervella.knowledge.index.entries import read_file
from cervella.knowledge.index.manifest import FileRow
from cervella.knowledge.index.storage import Generation
from cervella.process.files import FILE_MODE, replace_file
from cervella.process.forks import ForkLock

_logger = logging.getLogger("cervella.knowledge")
_FILE_NAME = "stamps.json"
_MOST_BYTES = 500_000_000
"""A larger file of stamps, of millions of files, is ignored."""
_EVERY = 5.0
"""Seconds between two comparisons of a folder with its index."""
_COMPARING, _FIRST_COMPARING = 0.008, 0.05
"""Time limit in seconds for hashing contents; the second is for the first comparison of a newly loaded index."""
_AT_LEAST_FILES, _AT_LEAST_BYTES = 64, 2**20
"""The time limit applies only after this many files or bytes were hashed, whichever comes first."""
_TICK, _COARSE_TICK = 20_000_000, 2_000_000_000
"""Nanoseconds within which two writes of a file may get the same modification time.

The second value is for file systems that store whole seconds only.
"""


@dataclass(frozen=True, slots=True)
class Stamp:
    """A file's size and modification time when its content was hashed, and the hash."""

    size: int
    """Bytes."""
    mtime_ns: int
    sha256: str | None
    """The hash, in hexadecimal; None if the file was not indexed, because it was empty, too large or not text."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Stamps:
    """The stamps of a folder's files by path, and the settings of the update that wrote them."""

    files: Mapping[str, Stamp] = field(default_factory=dict)
    exclude: tuple[str, ...] = ()
    gitignore: bool = True
    kept: tuple[str, ...] = ()
    """Files that `.gitignore` files leave out, but that are indexed because git tracks them."""
    ignore_state: tuple[tuple[str, int, int], ...] = ()
    """See `Scan`. As long as it is the same, `kept` holds, and git need not be asked."""
    max_bytes: int = MAX_BYTES

    @classmethod
    def load(cls, index_dir: Path) -> Stamps | None:
        """Read the stamps from the folder of an index; None if the file is missing or unreadable."""
        try:
            data = json.loads(read_file(index_dir / _FILE_NAME, _MOST_BYTES))
            rows = {str(path): Stamp(int(size), int(mtime), sha) for path, (size, mtime, sha) in data["files"].items()}
            state = tuple((str(path), int(mtime), int(size)) for path, mtime, size in data.get("ignore_state", ()))
            return cls(
                files=rows,
                exclude=tuple(map(str, data["exclude"])),
                gitignore=bool(data.get("gitignore", True)),
                kept=tuple(map(str, data.get("kept", ()))),
                ignore_state=state,
                max_bytes=int(data["max_bytes"]),
            )
        except (OSError, ValueError, KeyError, TypeError, AttributeError, RecursionError):
            return None  # without stamps, contents are compared

    def save(self, index_dir: Path, mode: int = FILE_MODE) -> None:
        """Write the stamps to the folder of an index. A failure is only logged: contents are compared instead."""
        rows = {path: (stamp.size, stamp.mtime_ns, stamp.sha256) for path, stamp in self.files.items()}
        ignoring = {"gitignore": self.gitignore, "kept": self.kept, "ignore_state": self.ignore_state}
        data = {"exclude": self.exclude, **ignoring, "max_bytes": self.max_bytes, "files": rows}
        try:
            if self != Stamps.load(index_dir):
                replace_file(index_dir / _FILE_NAME, json.dumps(data), mode=mode)
        except OSError as error:
            _logger.info("the stamps of the index can't be written: %s", error.strerror)


def settled(found: Scan) -> dict[str, FoundFile]:
    """The files, by path, whose stamp can be trusted: writing them again from now on changes their modification time.

    A file that was written just before may be written again within the same tick of the clock. To include most of such
    files, this call sleeps up to 20 ms. The contents must be read after this call.
    """
    young = [file for file in found.found if 0 <= time.time_ns() - file.mtime_ns < _TICK]
    if young:
        time.sleep(_TICK / 1e9)
    now = time.time_ns()
    return {file.path: file for file in found.found if _is_settled(file, now)}


def _is_settled(file: FoundFile, now_ns: int) -> bool:
    tick = _TICK if file.mtime_ns % 1_000_000_000 else _COARSE_TICK
    return abs(now_ns - file.mtime_ns) >= tick


@dataclass(frozen=True, slots=True, kw_only=True)
class Distance:
    """The number of differences between an index and its folder."""

    behind: int
    """Files added, changed or removed since the last update. A renamed file counts twice."""
    unchecked: int
    """Indexed files that were not compared: there was no time, or their folder cannot be listed."""
    changed_bytes: int = 0
    """The size of the files that were added or changed."""


class Freshness:
    """Counts the differences between a folder and its index, at most every five seconds. Thread-safe."""

    def __init__(
        self,
        folder: Path,
        index_dir: Path,
        *,
        exclude: Sequence[str] | None = None,
        gitignore: bool | None = None,
    ) -> None:
        """`exclude` are the patterns of files to leave out; None means those of the last update. `gitignore` says
        whether `.gitignore` files apply; None means as in the last update.
        """
        self._folder = folder
        self._index_dir = index_dir
        self._given = None if exclude is None else tuple(exclude)
        self._gitignore = gitignore
        self._lock = ForkLock()
        self._generation: Generation | None = None
        self._seen_at = 0.0
        self._last = Distance(behind=0, unchecked=0)
        self._warned = 0
        self._rules = Stamps()
        self._stamps: dict[str, Stamp] = {}
        self._judged: dict[str, bool] = {}
        self._ignores: IgnoreRules | None = None
        self._ignore_state: tuple[tuple[str, int, int], ...] = ()

    def look(self, files: Mapping[str, FileRow], generation: Generation, *, quiet: bool = False) -> Distance:
        """Compare the folder with `files`, the indexed files of `generation`. `quiet` logs no warning.

        Within five seconds, the last result for the same generation is returned: the same object.
        """
        with self._lock:
            first = generation != self._generation
            if first:
                self._begin(generation)
            if first or time.monotonic() - self._seen_at >= _EVERY:
                self._last = self._distance(files, _FIRST_COMPARING if first else _COMPARING)
                self._seen_at = time.monotonic()
            if not quiet:
                self._warn()
            return self._last

    def _begin(self, generation: Generation) -> None:
        self._generation = generation
        self._rules = Stamps.load(self._index_dir) or Stamps()
        self._stamps.update(self._rules.files)
        self._judged.clear()
        self._ignores = None

    def _distance(self, files: Mapping[str, FileRow], seconds: float) -> Distance:
        now = time.time_ns()
        try:
            found = self._found()
        except KnowledgeError:  # the index was copied without its folder, or a disk is not mounted
            return Distance(behind=0, unchecked=len(files))
        there = {file.path: file for file in found.found}
        self._forget(there)
        gone = [path for path in files if path not in there]
        unknown = sum(is_unknown(path, found) for path in gone)
        verdicts = [(file, self._is_changed(file, files.get(path))) for path, file in there.items()]
        open_ones = [file for file, verdict in verdicts if verdict is None]
        differing, unchecked = self._compared(open_ones, files, now, seconds)
        differing += [file for file, verdict in verdicts if verdict]
        return Distance(
            behind=len(gone) - unknown + len(differing),
            unchecked=unchecked + unknown,
            changed_bytes=sum(file.size for file in differing),
        )

    def _found(self) -> Scan:
        """The files to index, by the rules of the index. git is asked only if an ignore file or its list changed."""
        if self._ignores is None:
            gitignore = self._rules.gitignore if self._gitignore is None else self._gitignore
            self._ignores = ignore_rules(self._folder, gitignore=gitignore, kept=self._rules.kept)
            self._ignore_state = self._rules.ignore_state
        found = self._listed(self._ignores)
        if found.ignore_state != self._ignore_state:
            self._ignores.forget_tracked()
            found = self._listed(self._ignores)
            self._ignore_state = found.ignore_state
            self._ignores.keep(found.kept)
        return found

    def _listed(self, ignores: IgnoreRules) -> Scan:
        return scan(
            self._folder,
            exclude=self._rules.exclude if self._given is None else self._given,
            keep_out=self._index_dir,
            indexable_only=True,
            judged=self._judged,
            ignores=ignores,
        )

    def _forget(self, there: Mapping[str, FoundFile]) -> None:
        """Drop the stamps of removed files, so that memory does not grow without limit.

        `there` are the files that exist now, by path.
        """
        if len(self._stamps) > len(there):
            self._stamps = {path: stamp for path, stamp in self._stamps.items() if path in there}
        if len(self._judged) > 4 * len(there) + 1000:
            self._judged.clear()

    def _is_changed(self, file: FoundFile, row: FileRow | None) -> bool | None:
        """Whether a file is new or changed, by size and stamp alone. None if only its content can tell.

        `row` is the indexed file of this path; None if there is none.
        """
        if row is not None and file.size != row.size:
            return True
        stamp = self._stamps.get(file.path)
        if stamp is not None and stamp.size == file.size and stamp.mtime_ns == file.mtime_ns:
            return stamp.sha256 != (row.sha256 if row is not None else None)
        if row is None and (not file.size or file.size > self._rules.max_bytes):
            return False
        return None

    def _compared(
        self, waiting: Sequence[FoundFile], files: Mapping[str, FileRow], now_ns: int, seconds: float
    ) -> tuple[list[FoundFile], int]:
        """Compare the contents of `waiting` with `files`, the indexed files, for at most about `seconds`.

        The file that was modified last comes first. Returns the files that are new or changed, and how many of the
        indexed ones were not compared.
        """
        differing: list[FoundFile] = []
        until, taken = time.perf_counter() + seconds, 0
        waiting = sorted(waiting, key=lambda file: file.mtime_ns, reverse=True)
        for number, file in enumerate(waiting):
            enough = number >= _AT_LEAST_FILES or taken >= _AT_LEAST_BYTES
            if enough and time.perf_counter() > until:
                rest = waiting[number:]
                # A path that is not in the index is new, whatever its content.
                new = [one for one in rest if one.path not in files]
                return differing + new, len(rest) - len(new)
            if self._differs(file, files.get(file.path), now_ns):
                differing.append(file)
            taken += file.size
        return differing, 0

    def _differs(self, file: FoundFile, row: FileRow | None, now_ns: int) -> bool:
        """Whether a file is new or changed, by its content. Its stamp is kept, so that the next comparison is quick."""
        indexed = row.sha256 if row is not None else None
        sha256, readable = self._content(file, indexed)
        if readable and _is_settled(file, now_ns):
            self._stamps[file.path] = Stamp(file.size, file.mtime_ns, sha256)
        return sha256 != indexed

    def _content(self, file: FoundFile, indexed: str | None) -> tuple[str | None, bool]:
        """The SHA-256 of a file's content, None if it would not be indexed; then whether the file could be read.

        `indexed` is the SHA-256 that the index has for this path; None if it has none.
        """
        with suppress(OSError):  # hashing is faster than `read`, which also decodes the text
            if indexed is not None and digest(os.path.join(self._folder, file.disk_path), file.size) == indexed:
                return indexed, True
        outcome = read(self._folder, file, max_bytes=self._rules.max_bytes)
        if isinstance(outcome, Source):
            return outcome.sha256, True
        return None, outcome.reason != "unreadable"

    def _warn(self) -> None:
        behind = self._last.behind
        if behind and behind != self._warned:
            _logger.warning(
                "%d file%s changed since the index was built; run `cervella index`", behind, "s" if behind > 1 else ""
            )
        self._warned = behind
