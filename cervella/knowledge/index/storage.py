"""The index folder: its published generations, the pointer to the current one, and the locks.

```
INDEX/current          the current generation and the one before it, each with the SHA-256 of its seal.json
INDEX/gen-…/           manifest.sqlite, lexical-…/, chroma/, seal.json (checksums); readers.lock, shared by readers
INDEX/work-…/          the next generation, unfinished
INDEX/writer.lock      locked while a process writes; writer.pid contains its process id
```
"""

from __future__ import annotations

import os
import re
import shutil
import uuid
from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from cervella.errors import IndexDamagedError, IndexLockedError, IndexMissingError, KnowledgeError, refused
from cervella.knowledge.index.checksums import check_files, check_vectors, outdated, read_checksums, write_checksums
from cervella.knowledge.index.entries import check_folder, check_generation, is_own, leads_nowhere, linked, read_file
from cervella.knowledge.index.manifest import damaged
from cervella.process.files import FILE_MODE, flush, locked, make_private_folder, open_regular, replace_file, set_modes

try:
    import fcntl
except ImportError:  # Windows has no flock, but there an open file keeps its folder from being moved
    fcntl = None  # type: ignore[assignment]

_LOCK_SECONDS = 1.0  # wait for the writer lock, in case another writer is about to finish
_BRIEF_SECONDS = 20.0  # wait for a brief writer
_POINTER = re.compile(r"(gen-\d{8,}) ([0-9a-f]{64})")
_MOST_POINTER = 1000  # bytes of 'current', which has two lines
_MOST_REMNANTS = 10  # generations that are looked at; an index has two, and one more after a crash
_NOWHERE = (
    "Mount the disk or make the folder that it leads to, delete the link, or point [knowledge] index somewhere else."
)
_READERS = "readers.lock"
_WRITER = "writer.lock"
_TRIES = 100  # attempts to lock a generation while writers replace it; more failures have another cause


@dataclass(frozen=True, slots=True)
class Generation:
    """A published generation."""

    path: Path
    digest: str
    """The SHA-256 of its file of checksums."""
    lock: int | None = field(default=None, compare=False)
    """The descriptor of the lock file that keeps it from being removed; None if it is not locked."""

    @property
    def number(self) -> int:
        """The number in its name. A later generation has a higher one."""
        return int(self.path.name.removeprefix("gen-"))

    def check(self) -> None:
        """Compare all files except the vectors with their checksums. Raises IndexDamagedError."""
        check_files(self.path, self.checksums())

    def check_vectors(self) -> None:
        """Compare Chroma's folder with its checksums. Raises IndexDamagedError."""
        check_vectors(self.path, self.checksums())

    def checksums(self) -> Mapping[str, Any]:
        return read_checksums(self.path, self.digest)

    def close(self) -> None:
        """Release the lock, so that a writer may remove the generation. Call it once."""
        if self.lock is not None:
            os.close(self.lock)


class IndexFolder:
    """The folder of an index."""

    def __init__(self, path: Path, mode: int = FILE_MODE) -> None:
        """`mode` are the permission bits of files that a writer makes; those of folders are derived from it."""
        self.path = path
        self.mode = mode
        self._seen: tuple[str, Generation] | None = None

    def current(self) -> Path:
        """The folder of the current generation. Raises IndexMissingError, IndexDamagedError."""
        return self._current().path

    def is_current(self, generation: Generation) -> bool:
        """Whether this is the current generation, with the same checksums: an index that was deleted and built again
        uses its names again. Raises IndexMissingError, IndexDamagedError."""
        return self._current() == generation

    def _current(self) -> Generation:
        text = self._pointer()
        if self._seen is None or self._seen[0] != text:
            self._seen = (text, _sound(self._generations(text)[0]))
        return self._seen[1]

    def current_or_none(self) -> Path | None:
        """The folder of the current generation; None if there is none that this version can read."""
        try:
            return self.current()
        except KnowledgeError:
            return None

    def latest(self) -> Generation | None:
        """The current generation, for the writer; None if there is none, or an older version wrote it.

        Raises IndexDamagedError.
        """
        try:
            generation = _sound(self._generations(self._pointer())[0])
            generation.checksums()
        except IndexMissingError:
            return None
        except IndexDamagedError as error:
            if error.code == "index_outdated":
                return None
            raise
        return generation

    def readable(self) -> list[Generation]:
        """The current generation, then the former one if it exists. Raises what `current` raises."""
        return [_sound(one) for one in self._generations(self._pointer()) if one.path.is_dir()]

    def remnants(self) -> list[Path]:
        """The folders of all generations that are there, newest first, even if no pointer names them. They may be
        damaged."""
        found = []
        for folder in sorted(self.path.glob("gen-*"), reverse=True)[:_MOST_REMNANTS]:
            with suppress(KnowledgeError):
                check_generation(folder)
                found.append(folder)
        return found

    def hold(self) -> Generation:
        """Lock the current generation until it is closed, and check its files except the vectors.

        Raises IndexMissingError, IndexDamagedError.
        """
        for _ in range(_TRIES):
            text = self._pointer()
            generation = _sound(self._generations(text)[0])
            lock = _share(generation.path)
            try:
                if lock is None:
                    generation.checksums()  # raises a more exact error if the files are gone
                    raise damaged("index", self.path, f"{generation.path.name!r} is being removed")
                generation.check()
            except BaseException as error:
                if lock is not None:
                    os.close(lock)
                if isinstance(error, IndexDamagedError) and self._pointer() != text:
                    continue  # a writer replaced the generation meanwhile
                raise
            return Generation(generation.path, generation.digest, lock)
        raise damaged("index", self.path, "no generation stays long enough to be read")

    def _pointer(self) -> str:
        try:
            return read_file(self.path / "current", _MOST_POINTER).decode()
        except FileNotFoundError:
            if nowhere := leads_nowhere(self.path):
                raise IndexMissingError(f"No index at {str(self.path)!r}: {nowhere}.", remedy=_NOWHERE) from None
            raise IndexMissingError(
                f"No index at {str(self.path)!r}.",
                remedy="Build it with `cervella index`, or point [knowledge] index at an existing one.",
            ) from None
        except NotADirectoryError:
            raise IndexMissingError(
                f"No index at {str(self.path)!r}.", remedy="Point [knowledge] index at a folder."
            ) from None
        except PermissionError as error:
            raise KnowledgeError(
                f"This user has no permission to read the index at {str(self.path)!r}.",
                remedy='As the user who writes it, set [knowledge] index_mode to "0640" (for a user of its group) '
                'or "0644", run `cervella index`, and give this user the right x on the folders above it.',
                code="index_unreadable",
            ) from error
        except (OSError, UnicodeDecodeError) as error:
            reason = error.strerror if isinstance(error, OSError) and error.strerror else error
            raise linked(self.path / "current") or damaged(
                "index", self.path, f"'current' can't be read: {reason}"
            ) from error

    def _generations(self, pointer: str) -> list[Generation]:
        """The generations that the text of the pointer names: the current one, then the former one if there is one."""
        found = [_POINTER.fullmatch(line) for line in pointer.splitlines()]
        if not found or found[0] is None:
            if pointer.startswith("build-"):
                raise outdated(self.path)
            raise damaged("index", self.path, "'current' names no generation")
        return [Generation(self.path / match[1], match[2]) for match in found if match]

    def new_work(self) -> Path:
        """Create an empty folder for the next generation."""
        with self.translated_errors():
            work = self.path / f"work-{uuid.uuid4().hex[:12]}"
            work.mkdir(mode=0o700)  # only the owner may read it until it is published
            (work / _READERS).touch(mode=FILE_MODE)
        return work

    def publish(self, work: Path, *, former: Generation | None) -> Generation:
        """Write the checksums of `work` and make it the current generation, atomically."""
        with self.translated_errors():
            digest = write_checksums(work)
            set_modes(work, self.mode)  # Chroma and numpy create files with the umask's mode
            taken = [int(path.name[4:]) for path in self.path.glob("gen-*") if path.name[4:].isdigit()]
            generation = Generation(self.path / f"gen-{max(taken, default=0) + 1:08}", digest)
            os.replace(work, generation.path)
            flush(self.path)
            self._point(generation, former)
        return generation

    def former(self) -> Generation:
        """The former generation, after a check of all its files. Raises IndexMissingError, IndexDamagedError."""
        generations = self._generations(self._pointer())
        if len(generations) < 2:
            raise IndexMissingError(
                f"The index at {str(self.path)!r} has no generation to go back to.",
                remedy="Bring it up to date with `cervella index`, or build it anew with `cervella index --rebuild`.",
                code="no_former_generation",
            )
        former = generations[1]
        try:
            _sound(former).check()
            former.check_vectors()
        except IndexDamagedError as error:
            raise IndexDamagedError(
                f"{error.message} It is the generation to go back to.",
                remedy="Nothing was changed. If the current index is not usable either, build it anew with "
                "`cervella index --rebuild`.",
                code=error.code,
            ) from error
        return former

    def roll_back(self, former: Generation) -> None:
        """Make the former generation, as `former` returned it, the current one, and the current one the former.

        Only the writer may call it.
        """
        current = self._generations(self._pointer())[0]
        with self.translated_errors():
            self._point(former, current)

    def _point(self, generation: Generation, former: Generation | None) -> None:
        lines = [f"{one.path.name} {one.digest}\n" for one in (generation, former) if one is not None]
        replace_file(self.path / "current", "".join(lines), mode=self.mode)

    def sweep(self, *, force: bool = False) -> None:
        """Remove all generations except the current and the former one. Locked ones stay, unless `force`."""
        try:
            kept = {generation.path for generation in self._generations(self._pointer())}
        except KnowledgeError:
            return  # without a pointer, any generation may be needed
        for folder in [path for kind in ("gen-*", "work-*", "gone-*", "build-*") for path in self.path.glob(kind)]:
            if folder in kept:
                continue
            removed = _remove(folder, force=force)
            if force and not removed:
                raise KnowledgeError(
                    f"{str(folder)!r} is in use and can't be removed.",
                    remedy="Close the programs that search this index, then run it again.",
                    code="index_in_use",
                )

    @contextmanager
    def translated_errors(self) -> Iterator[None]:
        """Raise a KnowledgeError for any OSError in the block."""
        with refused(
            KnowledgeError,
            f"The index folder {str(self.path)!r} can't be written",
            remedy="Check its free space and this user's right to write there, or point [knowledge] index "
            "somewhere else.",
            code="index_unwritable",
        ):
            yield

    def _set_modes(self) -> None:
        """Set the permission bits of all files: an earlier version used the umask's."""
        entries = list(self.path.iterdir())
        own = [path for path in entries if is_own(path.name)]
        for path in [self.path] if len(own) == len(entries) else own:  # a folder with foreign files keeps its mode
            set_modes(path, self.mode)
        for path in own:
            if path.name.startswith("w"):  # the writer's own files
                set_modes(path, FILE_MODE)

    @property
    def is_rolled_back(self) -> bool:
        """Whether `roll_back` was the last change: the current generation is then older than the former one.

        Raises IndexMissingError, IndexDamagedError.
        """
        generations = self._generations(self._pointer())
        return len(generations) > 1 and generations[0].number < generations[1].number

    def kept(self) -> Generation | None:
        """The generation that a roll-back would restore; None if there is none."""
        return next(iter(self._generations(self._pointer())[1:]), None)

    def is_being_written(self) -> bool:
        """Whether a process has the writer lock now. False if that can't be found out."""
        try:
            check_folder(self.path)
            with locked(self.path / _WRITER):
                return False
        except IndexDamagedError:
            return False
        except TimeoutError:
            return True
        except OSError:
            return False

    @contextmanager
    def writing(self, *, seconds: float = _LOCK_SECONDS, brief: bool = False) -> Iterator[None]:
        """Lock the index for writing. Raises IndexLockedError if another process still has the lock after `seconds`.

        A `brief` writer, such as a search that indexes what changed, leaves no note of its process id. Others wait for
        it longer, so that a run of the index does not fail because somebody searches.
        """
        note = self.path / "writer.pid"

        def busy() -> IndexLockedError:
            pid = _pid(note)
            return IndexLockedError(
                f"Another process{f' ({pid})' if pid else ''} is writing the index at {str(self.path)!r}.",
                pid=pid,
                remedy="Wait until it is done; searching works meanwhile.",
            )

        if nowhere := leads_nowhere(self.path):
            raise KnowledgeError(
                f"The index folder {str(self.path)!r} can't be written: {nowhere}.",
                remedy=_NOWHERE,
                code="index_unwritable",
            )
        with ExitStack() as held:
            with self.translated_errors():
                make_private_folder(self.path)
                check_folder(self.path)
                try:
                    held.enter_context(locked(self.path / _WRITER, seconds=seconds))
                except TimeoutError:
                    if brief or note.exists():
                        raise busy() from None
                    held.enter_context(locked(self.path / _WRITER, seconds=_BRIEF_SECONDS, busy=busy))
                if not brief:
                    held.callback(note.unlink, missing_ok=True)
                    replace_file(note, str(os.getpid()))
                self._set_modes()
            yield


def _sound(generation: Generation) -> Generation:
    """The generation, if it has only regular files and folders. Raises IndexDamagedError."""
    check_generation(generation.path)
    return generation


def _share(generation: Path) -> int | None:
    """Lock a generation against removal, and return the descriptor; None if it is removed or being removed."""
    try:
        with open_regular(generation / _READERS) as file:
            lock = os.dup(file.fileno())
    except OSError:
        return None
    try:
        if fcntl is not None:
            fcntl.flock(lock, fcntl.LOCK_SH | fcntl.LOCK_NB)
        if os.path.samestat(os.fstat(lock), os.stat(generation / _READERS)):
            return lock
    except BlockingIOError:
        pass  # a writer has the lock, in order to remove the generation
    except OSError:
        return lock  # the file system has no locks; a reader of a removed generation reads the pointer again
    os.close(lock)
    return None


def _remove(folder: Path, *, force: bool) -> bool:
    """Remove a folder unless a reader has locked it. Returns whether it was removed."""
    lock = None
    try:
        if fcntl is not None and not force and (folder / _READERS).is_file():
            lock = os.open(folder / _READERS, os.O_RDWR | getattr(os, "O_NOFOLLOW", 0) | getattr(os, "O_NONBLOCK", 0))
            try:
                fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                return False
            except OSError:
                pass  # a file system without locks
        gone = folder.with_name(f"gone-{uuid.uuid4().hex[:12]}")
        os.replace(folder, gone)  # renamed first, so that no reader finds a half-removed folder
    except OSError:
        return False
    finally:
        if lock is not None:
            os.close(lock)
    shutil.rmtree(gone, ignore_errors=True)
    return not gone.exists()


def _pid(note: Path) -> int | None:
    try:
        return int(read_file(note, 32))
    except (OSError, ValueError):
        return None
