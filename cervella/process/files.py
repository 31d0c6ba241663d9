"""Files: atomic replacement, lock files, and files that only their owner can read.

The umask is not changed, because it belongs to the whole process. On Windows, file modes have no effect.
"""

from __future__ import annotations

import contextlib
import errno
import os
import re
import secrets
import stat
import time
import tomllib
from collections.abc import Callable, Iterator
from importlib import resources
from io import BufferedReader
from pathlib import Path
from typing import IO, Any

FILE_MODE = 0o600
_ABANDONED_SECONDS = 3600.0
"""Age at which a temporary file is deleted: the process that made it must have been killed."""
_DRAFT = re.compile(r"[0-9a-f]{12}\.partial(?:-wal|-shm|-journal)?")
"""The end of the name of a temporary file, after the stem, and of the files that SQLite adds to it."""
_FOLDER_MODE = 0o700
_OWN = ".cervella"
_READ_OR_WRITE = 0o066  # rights of group and others; the right to enter a folder (x) is kept, since the owner set it


def folder_mode(file_mode: int) -> int:
    """The mode of a folder whose files have `file_mode`: everybody who may read the files may enter the folder.

    >>> oct(folder_mode(0o600)), oct(folder_mode(0o640))
    ('0o700', '0o750')
    """
    return 0o700 | file_mode | (file_mode & 0o444) >> 2


def make_private_folder(path: Path) -> None:
    """Make a folder and its missing parents, accessible only to the owner.

    An existing folder keeps its mode, except `.cervella` and folders in it: rights of other users are removed. Raises
    OSError.
    """
    for folder in reversed((path, *path.parents)):
        if not folder.exists():
            folder.mkdir(mode=_FOLDER_MODE, exist_ok=True)
    for folder in (path, *path.parents):
        if _is_own(folder):
            _close(folder)


def open_private(path: Path, mode: str, **options: Any) -> IO[Any]:
    """Like `open`, but a new file is accessible only to the owner. An existing file keeps its mode."""
    return open(path, mode, opener=_opener, **options)


def open_regular(path: Path) -> BufferedReader:
    """Open a regular file for reading. Raises OSError for a link, a pipe and a device, and waits for none of them."""
    flags = os.O_RDONLY | getattr(os, "O_NOFOLLOW", 0) | getattr(os, "O_NONBLOCK", 0) | getattr(os, "O_BINARY", 0)
    descriptor = os.open(path, flags)
    if not stat.S_ISREG(os.fstat(descriptor).st_mode):
        os.close(descriptor)
        raise _irregular(path)
    return os.fdopen(descriptor, "rb")


def check_regular(path: Path) -> None:
    """Raises OSError for what `open_regular` refuses, without opening the file.

    For a file that this process may have open in SQLite: on POSIX, closing any descriptor of a file releases all locks
    of the process on it, and another process may then delete SQLite's log with what is written to it later.
    """
    if not stat.S_ISREG(path.lstat().st_mode):
        raise _irregular(path)


def _irregular(path: Path) -> OSError:
    return OSError(errno.EINVAL, "it is not a regular file", str(path))


def replace_file(path: Path, data: str | bytes, *, mode: int | None = FILE_MODE) -> None:
    """Replace a file atomically: a reader sees the old content or the new content, also after a crash.

    `mode` is as in `draft_of`. Text is encoded as UTF-8, with `?` for lone surrogates. Raises OSError with the name of
    the file; the old content is kept then.
    """
    data = data if isinstance(data, bytes) else data.encode("utf-8", "replace")
    if path.exists() and not path.is_file():  # a pipe or a device can't be replaced
        with path.open("wb") as file:
            file.write(data)
        return
    with draft_of(path, mode=mode) as draft:
        draft.write_bytes(data)
        put_in_place(draft, path)


@contextlib.contextmanager
def draft_of(path: Path, *, mode: int | None = FILE_MODE) -> Iterator[Path]:
    """Context manager: an empty temporary file beside `path`. `put_in_place` renames it; otherwise it is deleted.

    `mode` is the mode of the new file; None leaves it to the umask. Raises OSError with the file name of `path`.
    """
    whole = _target(path)
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
    """Rename the temporary file to `path`. Raises OSError.

    An existing file is replaced; the new one gets its mode and, if this user may set them, its owner and group.

    `durable`: flush the file to disk first, so that a crash of the machine can't leave an empty file.
    """
    whole = _target(path)
    if whole.exists():
        old = whole.stat()
        _give(draft, old.st_uid, old.st_gid)
        if not _is_own(whole):
            draft.chmod(stat.S_IMODE(old.st_mode))
    if durable:
        flush(draft)
    os.replace(draft, whole)
    if durable:
        with contextlib.suppress(OSError):  # some file systems can't flush a folder
            flush(whole.parent)


def _target(path: Path) -> Path:
    """The file that a link leads to: it is replaced, not the link. Raises OSError for a link to itself."""
    whole = Path(os.path.realpath(path))
    if whole.is_symlink():
        raise OSError(errno.ELOOP, os.strerror(errno.ELOOP), str(path))
    return whole


def _give(path: Path, owner: int, group: int) -> None:
    """Set owner and group as far as this user may: another owner only as root, the group as a member of it."""
    if os.name == "nt" or (owner, group) == (path.stat().st_uid, path.stat().st_gid):
        return
    with contextlib.suppress(OSError):
        try:
            os.chown(path, owner, group)
        except OSError:
            os.chown(path, -1, group)


def append_line(file: IO[bytes], text: str) -> None:
    """Append a line to an unbuffered file and flush it to disk. Raises OSError; a part of the line is removed then."""
    line, written = memoryview(text.encode("utf-8", "replace") + b"\n"), 0
    try:
        while written < len(line):  # a full disk may write only a part
            written += file.write(line[written:])
        os.fsync(file.fileno())
    except BaseException:
        with contextlib.suppress(OSError):  # a pipe has no position
            if file.tell() == os.fstat(file.fileno()).st_size:  # another process may have appended more
                file.truncate(file.tell() - written)
        raise


def remove_incomplete_line(path: Path) -> None:
    """Remove the last line of a file, if it exists, unless the line is complete: a crash may have cut it off."""
    if path.is_file():
        data = path.read_bytes()
        if not data.endswith(b"\n") and data:
            os.truncate(path, data.rfind(b"\n") + 1)


def flush(path: Path) -> None:
    """Flush a file or folder to disk."""
    if os.name == "nt" and path.is_dir():
        return  # Windows can't open a folder
    descriptor = os.open(path, os.O_RDONLY if path.is_dir() or not os.access(path, os.W_OK) else os.O_RDWR)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def _sweep(folder: Path, stem: str) -> None:
    """Delete the drafts of processes that were killed, with the files that SQLite makes beside a draft."""
    with contextlib.suppress(OSError):
        for name in os.listdir(folder):
            if name.startswith(stem) and _DRAFT.fullmatch(name, len(stem)):
                with contextlib.suppress(OSError):
                    if time.time() - os.stat(folder / name).st_mtime > _ABANDONED_SECONDS:
                        os.unlink(folder / name)


@contextlib.contextmanager
def locked(path: Path, *, seconds: float = 0.0, busy: Callable[[], Exception] | None = None) -> Iterator[None]:
    """Context manager that holds a lock file. It waits at most `seconds` for another process to release it.

    Raises OSError. If the lock is not released in time, raises the error that `busy` returns, else a TimeoutError.
    """
    from filelock import FileLock, Timeout  # imported late: the import takes 12 ms

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
    """The parsed content of a TOML file in a package.

    >>> read_packaged("cervella.text", "units.toml")["symbols"]["€"]
    'eur'
    """
    return tomllib.loads(resources.files(package).joinpath(*names).read_text(encoding="utf-8"))


def set_modes(path: Path, file_mode: int) -> None:
    """Set the mode of a file, or of all files in a folder; the folders get `folder_mode(file_mode)`.

    Files of other users are left unchanged, and so are files with a second name (a hard link): the mode of a file is
    that of all its names, and another name may be anywhere.
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
    """Remove all rights of group and others, if they may read or write."""
    with contextlib.suppress(OSError):
        mode = path.stat().st_mode
        if mode & _READ_OR_WRITE:
            path.chmod(stat.S_IMODE(mode) & 0o700)


def _set(path: Path, mode: int) -> None:
    with contextlib.suppress(OSError):
        found = path.lstat()
        second_name = stat.S_ISREG(found.st_mode) and found.st_nlink > 1
        if not stat.S_ISLNK(found.st_mode) and not second_name and stat.S_IMODE(found.st_mode) != mode:
            path.chmod(mode)
