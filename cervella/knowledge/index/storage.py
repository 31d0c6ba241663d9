"""The index folder: generations that nobody writes any more, which of them is the current one, and who may write.

```
INDEX/current          the current generation and the one before it, each with the SHA-256 of its seal
INDEX/gen-…/           manifest.sqlite, lexical-…/, chroma/, seal.json; readers.lock, which its readers share
INDEX/work-…/          the next generation, while it is made
INDEX/writer.lock      held while a process writes; writer.pid says which
```
"""

from __future__ import annotations

import os
import re
import shutil
import uuid
from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from cervella.errors import IndexDamagedError, IndexLockedError, IndexMissingError, KnowledgeError, refused
from cervella.knowledge.index.checksums import check_seal, check_vectors, outdated, read_checksums, write_checksums
from cervella.knowledge.index.manifest import damaged
from cervella.process.files import FILE_MODE, flush, locked, make_private_folder, replace_file, set_modes

try:
    import fcntl
except ImportError:  # Windows: an open file there keeps its folder from being moved, which is lock enough
    fcntl = None  # type: ignore[assignment]

_LOCK_SECONDS = 1.0  # long enough for a writer that is just leaving
_POINTER = re.compile(r"(gen-\d{8,}) ([0-9a-f]{64})")
_ENTRY = re.compile(r"current|stamps\.json|writer\.(lock|pid)|\.\w.*\.partial|(gen|work|gone|build)-.+")
_READERS = "readers.lock"
_TRIES = 100  # a reader that is overtaken by a writer as often as this is not overtaken by a writer


@dataclass(frozen=True, slots=True)
class Generation:
    """A published generation."""

    path: Path
    digest: str
    """The SHA-256 of its seal."""
    lock: int | None = field(default=None, compare=False)
    """The open file that keeps it from being removed; None where it is not held."""

    def check(self) -> None:
        """Compare all but the vectors with the seal. Raises IndexDamagedError."""
        check_seal(self.path, self.seal())

    def check_vectors(self) -> None:
        """Compare Chroma's folder with the seal. Raises IndexDamagedError."""
        check_vectors(self.path, self.seal())

    def seal(self) -> Mapping[str, Any]:
        return read_checksums(self.path, self.digest)

    def close(self) -> None:
        """Let go of it: a writer may remove it now. Only once."""
        if self.lock is not None:
            os.close(self.lock)


class IndexFolder:
    """The folder that holds an index."""

    def __init__(self, path: Path, mode: int = FILE_MODE) -> None:
        """`mode` is that of the files which a writer makes; a folder's goes with it."""
        self.path = path
        self._mode = mode
        self._seen: tuple[str, Path] | None = None

    def current(self) -> Path:
        """The generation to read, by a look at the pointer. Raises IndexMissingError, IndexDamagedError."""
        text = self._pointer()
        if self._seen is None or self._seen[0] != text:
            self._seen = (text, self._generations(text)[0].path)
        return self._seen[1]

    def current_or_none(self) -> Path | None:
        """The same, None where there is none that this version reads."""
        try:
            return self.current()
        except KnowledgeError:
            return None

    def latest(self) -> Generation | None:
        """The current generation, for the writer; None where there is none, or one of an older version's format.

        Raises IndexDamagedError.
        """
        try:
            generation = self._generations(self._pointer())[0]
            generation.seal()
        except IndexMissingError:
            return None
        except IndexDamagedError as error:
            if error.code == "index_outdated":
                return None
            raise
        return generation

    def readable(self) -> list[Generation]:
        """The current generation, and the one to go back to where there is one. Raises what `current` raises."""
        return [generation for generation in self._generations(self._pointer()) if generation.path.is_dir()]

    def hold(self) -> Generation:
        """The current generation, as it was sealed but for the vectors, kept from being removed until it is closed.

        Raises IndexMissingError, IndexDamagedError.
        """
        for _ in range(_TRIES):
            text = self._pointer()
            generation = self._generations(text)[0]
            lock = _share(generation.path)
            try:
                if lock is None:
                    generation.seal()  # says what is wrong with it
                    raise damaged("index", self.path, f"{generation.path.name!r} is being removed")
                generation.check()
            except BaseException as error:
                if lock is not None:
                    os.close(lock)
                if isinstance(error, IndexDamagedError) and self._pointer() != text:
                    continue  # a writer was quicker
                raise
            return Generation(generation.path, generation.digest, lock)
        raise damaged("index", self.path, "no generation stays long enough to be read")

    def _pointer(self) -> str:
        try:
            return (self.path / "current").read_text(encoding="utf-8")
        except FileNotFoundError:
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
                f"The index at {str(self.path)!r} is not for this user to read.",
                remedy='Where it is written, set [knowledge] index_mode to "0640" (this user in its group) '
                'or "0644", run `cervella index`, and let this user pass (x) through the folders above it.',
                code="index_unreadable",
            ) from error
        except (OSError, UnicodeDecodeError) as error:
            raise damaged("index", self.path, f"'current' can't be read: {error}") from error

    def _generations(self, pointer: str) -> list[Generation]:
        """The current one and, where there is one to go back to, the former."""
        found = [_POINTER.fullmatch(line) for line in pointer.splitlines()]
        if not found or found[0] is None:
            if pointer.startswith("build-"):
                raise outdated(self.path)
            raise damaged("index", self.path, "'current' names no generation")
        return [Generation(self.path / match[1], match[2]) for match in found if match]

    def new_work(self) -> Path:
        """An empty folder to make the next generation in."""
        with self.translated_errors():
            work = self.path / f"work-{uuid.uuid4().hex[:12]}"
            work.mkdir(mode=0o700)  # until it is published nobody else comes to what is in it
            (work / _READERS).touch(mode=FILE_MODE)
        return work

    def discard(self, work: Path) -> None:
        """Remove what was not published."""
        shutil.rmtree(work, ignore_errors=True)

    def publish(self, work: Path, *, former: Generation | None) -> Generation:
        """Seal a folder and make it the current generation, at once or not at all."""
        with self.translated_errors():
            digest = write_checksums(work)
            set_modes(work, self._mode)  # Chroma and numpy make their files as the umask says
            taken = [int(path.name[4:]) for path in self.path.glob("gen-*") if path.name[4:].isdigit()]
            generation = Generation(self.path / f"gen-{max(taken, default=0) + 1:08}", digest)
            os.replace(work, generation.path)
            flush(self.path)
            self._point(generation, former)
        return generation

    def former(self) -> Generation:
        """The generation to go back to, as it was sealed. Raises IndexMissingError, IndexDamagedError."""
        generations = self._generations(self._pointer())
        if len(generations) < 2:
            raise IndexMissingError(
                f"The index at {str(self.path)!r} has no generation to go back to.",
                remedy="Bring it up to date with `cervella index`, or build it anew with `cervella index --rebuild`.",
                code="no_former_generation",
            )
        former = generations[1]
        try:
            former.check()
            former.check_vectors()
        except IndexDamagedError as error:
            raise IndexDamagedError(
                f"{error.message} It is the one to go back to.",
                remedy="Nothing was changed. Where the current index does not do, build it anew with "
                "`cervella index --rebuild`.",
                code=error.code,
            ) from error
        return former

    def roll_back(self) -> None:
        """Make the former generation the current one, and the current one the former. For the writer."""
        current = self._generations(self._pointer())[0]
        former = self.former()
        with self.translated_errors():
            self._point(former, current)

    def _point(self, generation: Generation, former: Generation | None) -> None:
        lines = [f"{one.path.name} {one.digest}\n" for one in (generation, former) if one is not None]
        replace_file(self.path / "current", "".join(lines), mode=self._mode)

    def sweep(self, *, force: bool = False) -> None:
        """Remove what is neither current nor kept to go back to. What a reader holds stays, unless `force`."""
        try:
            kept = {generation.path for generation in self._generations(self._pointer())}
        except KnowledgeError:
            return  # nothing is known to be needless
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
        """What the system refuses inside is a KnowledgeError."""
        with refused(
            KnowledgeError,
            f"The index folder {str(self.path)!r} can't be written",
            remedy="Check its free space and this user's right to write there, or point [knowledge] index "
            "somewhere else.",
            code="index_unwritable",
        ):
            yield

    @property
    def mode(self) -> int:
        """The mode of the index's files."""
        return self._mode

    def _tidy(self) -> None:
        """Give all of it the mode that it is to have: an earlier version left it to the umask."""
        entries = list(self.path.iterdir())
        own = [path for path in entries if _ENTRY.fullmatch(path.name)]
        for path in [self.path] if len(own) == len(entries) else own:  # a folder that others use too is theirs
            set_modes(path, self._mode)
        for path in own:
            if path.name.startswith("w"):  # of the one who writes
                set_modes(path, FILE_MODE)

    @contextmanager
    def writing(self) -> Iterator[None]:
        """Be the only writer. Raises IndexLockedError where another one is at work."""
        note = self.path / "writer.pid"

        def busy() -> IndexLockedError:
            pid = _pid(note)
            return IndexLockedError(
                f"Another process{f' ({pid})' if pid else ''} is writing the index at {str(self.path)!r}.",
                pid=pid,
                remedy="Wait until it is done; searching works meanwhile.",
            )

        with ExitStack() as held:
            with self.translated_errors():
                make_private_folder(self.path)
                held.enter_context(locked(self.path / "writer.lock", seconds=_LOCK_SECONDS, busy=busy))
                held.callback(note.unlink, missing_ok=True)
                replace_file(note, str(os.getpid()))
                self._tidy()
            yield


def _share(generation: Path) -> int | None:
    """Keep a generation from being removed; None where it is gone or going."""
    try:
        lock = os.open(generation / _READERS, os.O_RDONLY)
    except OSError:
        return None
    try:
        if fcntl is not None:
            fcntl.flock(lock, fcntl.LOCK_SH | fcntl.LOCK_NB)
        if os.path.samestat(os.fstat(lock), os.stat(generation / _READERS)):
            return lock
    except BlockingIOError:
        pass  # a writer has it: it is being removed
    except OSError:
        return lock  # a file system without locks: whoever is too late looks at the pointer again
    os.close(lock)
    return None


def _remove(folder: Path, *, force: bool) -> bool:
    """Remove a folder that no reader holds; whether it is gone."""
    lock = None
    try:
        if fcntl is not None and not force and (folder / _READERS).is_file():
            lock = os.open(folder / _READERS, os.O_RDWR)
            try:
                fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                return False
            except OSError:
                pass  # a file system without locks
        gone = folder.with_name(f"gone-{uuid.uuid4().hex[:12]}")
        os.replace(folder, gone)  # from here on nobody finds it, however much of it is left
    except OSError:
        return False
    finally:
        if lock is not None:
            os.close(lock)
    shutil.rmtree(gone, ignore_errors=True)
    return not gone.exists()


def _pid(note: Path) -> int | None:
    try:
        return int(note.read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return None
