"""The index folder: which of its builds is the current one, and who may write.

```
INDEX/current          the name of the build that readers open
INDEX/build-…/         manifest.sqlite, lexical-…/, chroma/
INDEX/writer.lock      held while a process writes; writer.pid says which
```
"""

from __future__ import annotations

import os
import shutil
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from cervella.errors import IndexLockedError, IndexMissingError, KnowledgeError

__all__ = ["IndexFolder"]

_LOCK_SECONDS = 1.0  # long enough for a writer that is just leaving


class IndexFolder:
    """The folder that holds an index."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def current(self) -> Path:
        """The build to read. Raises IndexMissingError where there is none."""
        build = self.current_or_none()
        if build is None:
            raise IndexMissingError(
                f"No index at {str(self.path)!r}.",
                remedy="Build it with `cervella index`, or point [knowledge] index at an existing one.",
            )
        return build

    def current_or_none(self) -> Path | None:
        try:
            name = (self.path / "current").read_text(encoding="utf-8").strip()
        except (OSError, UnicodeDecodeError):
            return None
        build = self.path / name
        return build if name.startswith("build-") and "/" not in name and build.is_dir() else None

    def new_build(self) -> Path:
        """An empty build that nobody reads yet."""
        build = self.path / f"build-{uuid.uuid4().hex[:12]}"
        build.mkdir()
        return build

    def publish(self, build: Path) -> None:
        """Make a build the current one, at once or not at all."""
        if build == self.current_or_none():
            return
        draft = self.path / "current.part"
        with draft.open("w", encoding="utf-8") as file:
            file.write(build.name + "\n")
            file.flush()
            os.fsync(file.fileno())
        os.replace(draft, self.path / "current")

    def sweep(self) -> None:
        """Remove the builds that are not current: the former one, and those of runs that were stopped."""
        current = self.current_or_none()
        for build in self.path.glob("build-*"):
            if build != current:
                shutil.rmtree(build, ignore_errors=True)

    @contextmanager
    def writing(self) -> Iterator[None]:
        """Be the only writer. Raises IndexLockedError where another one is at work."""
        from filelock import FileLock, Timeout

        lock, note = self.path / "writer.lock", self.path / "writer.pid"
        try:
            self.path.mkdir(parents=True, exist_ok=True)
            held = FileLock(lock, timeout=_LOCK_SECONDS)
            held.acquire()
        except Timeout:
            pid = _pid(note)
            raise IndexLockedError(
                f"Another process{f' ({pid})' if pid else ''} is writing the index at {str(self.path)!r}.",
                pid=pid,
                remedy="Wait until it is done; searching works meanwhile.",
            ) from None
        except OSError as error:
            raise KnowledgeError(
                f"The index folder {str(self.path)!r} can't be written: {error.strerror or error}.",
                remedy="Give this user the right to write there, or point [knowledge] index somewhere else.",
                code="index_unwritable",
            ) from error
        try:
            note.write_text(str(os.getpid()), encoding="utf-8")
            yield
        finally:
            note.unlink(missing_ok=True)
            held.release()


def _pid(note: Path) -> int | None:
    try:
        return int(note.read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return None
