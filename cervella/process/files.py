"""Files: replaced whole, locked, and for their owner alone from the moment they are made.

The umask is the whole process's and stays as it is. Windows knows no modes of files; nothing fails there.
"""

from __future__ import annotations

import contextlib
import os
import secrets
import stat
import time
import tomllib
from collections.abc import Callable, Iterator
from importlib import resources
from pathlib import Path
from typing import IO, Any

__all__ = [
    "FILE_MODE",
    "append_line",
    "draft_of",
    "flush",
    "folder_mode",
    "locked",
    "make_private_folder",
    "open_private",
    "put_in_place",
    "read_packaged",
    "replace_file",
    "set_modes",
]

FILE_MODE = 0o600
_ABANDONED_SECONDS = 3600.0
"""A draft that is older was left by a process that was killed."""
_FOLDER_MODE = 0o700
_OWN = ".cervella"
_READ_OR_WRITE = 0o066  # of group and others; a right of passage alone is one that the owner gave on purpose


def folder_mode(file_mode: int) -> int:
    """The mode of a folder whose files have this mode: who may read them may enter it.

    >>> oct(folder_mode(0o600)), oct(folder_mode(0o640))
    ('0o700', '0o750')
    """
    return 0o700 | file_mode | (file_mode & 0o444) >> 2


def make_private_folder(path: Path) -> None:
    """Make a folder, and those above it that are missing, for the owner alone.

    One that is there keeps its mode, unless it is `.cervella` or lies in it: what an earlier version left open to
    others is closed. Raises OSError.
    """
    for folder in reversed((path, *path.parents)):
        if not folder.exists():
            folder.mkdir(mode=_FOLDER_MODE, exist_ok=True)
    for folder in (path, *path.parents):
        if _is_own(folder):
            _close(folder)


def open_private(path: Path, mode: str, **options: Any) -> IO[Any]:
    """`open`, but a file that is made is for the owner alone. One that is there keeps its mode, as a folder does."""
    return open(path, mode, opener=_opener, **options)


def replace_file(path: Path, data: str | bytes, *, mode: int | None = FILE_MODE) -> None:
    """Write a file whole: whoever reads it, also after a crash, finds the old content or the new one.

    `mode` is as in `draft_of`. A text is written as UTF-8, half characters as `?`. Raises OSError, which has the file's
    name; the old content then stays.
    """
    data = data if isinstance(data, bytes) else data.encode("utf-8", "replace")
    if path.exists() and not path.is_file():  # a pipe or a device: nothing can take its place
        with path.open("wb") as file:
            file.write(data)
        return
    with draft_of(path, mode=mode) as draft:
        draft.write_bytes(data)
        put_in_place(draft, path)


@contextlib.contextmanager
def draft_of(path: Path, *, mode: int | None = FILE_MODE) -> Iterator[Path]:
    """An empty file beside `path` to write to, which `put_in_place` gives its name; gone afterwards if nothing did.

    `mode` is that of a new file, or None for what the umask leaves. Raises OSError; its file name is that of `path`.
    """
    whole = Path(os.path.realpath(path))  # of a link, what it leads to is replaced
    stem = f".{whole.name[:40]}."
    _sweep(whole.parent, stem)
    draft = whole.with_name(f"{stem}{secrets.token_hex(6)}.partial")
    try:
        os.close(os.open(draft, os.O_CREAT | os.O_EXCL | os.O_WRONLY, 0o666 if mode is None else FILE_MODE))
        if mode is not None:
            _set(draft, mode)
        yield draft
    except OSError as error:
        if error.filename in (None, str(draft)):
            error.filename = str(path)
        raise
    finally:
        with contextlib.suppress(OSError):
            draft.unlink()


def put_in_place(draft: Path, path: Path, *, durable: bool = True) -> None:
    """Give a written file its name, at once; one that has the name loses it, and leaves its mode. Raises OSError.

    `durable`: have it on the disk first, so that a crash of the machine leaves no empty file either.
    """
    whole = Path(os.path.realpath(path))
    if whole.exists() and not _is_own(whole):
        draft.chmod(stat.S_IMODE(whole.stat().st_mode))
    if durable:
        flush(draft)
    os.replace(draft, whole)
    if durable:
        with contextlib.suppress(OSError):  # not every file system can flush a folder
            flush(whole.parent)


def append_line(file: IO[bytes], text: str) -> None:
    """Append a line to a file that is open without a buffer, and have it on the disk. Raises OSError."""
    line = memoryview(text.encode("utf-8", "replace") + b"\n")
    while line:  # a disk that is full takes a part, and refuses the rest
        line = line[file.write(line) :]
    os.fsync(file.fileno())


def flush(path: Path) -> None:
    """Have a file or folder on the disk, not only on its way there."""
    if os.name == "nt" and path.is_dir():
        return  # Windows can't open a folder
    descriptor = os.open(path, os.O_RDONLY if path.is_dir() or not os.access(path, os.W_OK) else os.O_RDWR)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def _sweep(folder: Path, stem: str) -> None:
    """Remove the drafts of processes that were killed."""
    with contextlib.suppress(OSError):
        for name in os.listdir(folder):
            if name.startswith(stem) and ".partial" in name:
                with contextlib.suppress(OSError):
                    if time.time() - os.stat(folder / name).st_mtime > _ABANDONED_SECONDS:
                        os.unlink(folder / name)


@contextlib.contextmanager
def locked(path: Path, *, seconds: float = 0.0, busy: Callable[[], Exception] | None = None) -> Iterator[None]:
    """Hold a lock file, for which another process is waited for so many seconds.

    Raises OSError, and where the other one does not let go what `busy` gives, else a TimeoutError.
    """
    from filelock import FileLock, Timeout  # 12 ms that only the first use pays

    lock = FileLock(path, timeout=seconds, mode=FILE_MODE)
    try:
        lock.acquire()
    except Timeout as error:
        if busy is None:
            raise
        raise busy() from error
    try:
        yield
    finally:
        lock.release()


def read_packaged(package: str, *names: str) -> dict[str, Any]:
    """A TOML file that lies in a package.

    >>> read_packaged("cervella.text", "units.toml")["symbols"]["€"]
    'eur'
    """
    return tomllib.loads(resources.files(package).joinpath(*names).read_text(encoding="utf-8"))


def set_modes(path: Path, file_mode: int) -> None:
    """Give a file this mode; or all that is in a folder, the folders in it and itself the one that goes with it.

    What belongs to another user stays as it is.
    """
    if path.is_file():
        _set(path, file_mode)
    for folder, _, names in os.walk(path):
        for name in names:
            _set(Path(folder, name), file_mode)
        _set(Path(folder), folder_mode(file_mode))


def _opener(path: str, flags: int) -> int:
    descriptor = os.open(path, flags, FILE_MODE)
    if _is_own(Path(path)):
        _close(Path(path))
    return descriptor


def _is_own(path: Path) -> bool:
    return _OWN in path.parts


def _close(path: Path) -> None:
    """Take from group and others what they were given by chance."""
    with contextlib.suppress(OSError):
        mode = path.stat().st_mode
        if mode & _READ_OR_WRITE:
            path.chmod(stat.S_IMODE(mode) & 0o700)


def _set(path: Path, mode: int) -> None:
    with contextlib.suppress(OSError):
        found = path.lstat().st_mode
        if not stat.S_ISLNK(found) and stat.S_IMODE(found) != mode:
            path.chmod(mode)
