"""Files and folders for their owner alone: so from the moment they are made, whatever the umask of the process.

The umask is the whole process's and stays as it is. Windows knows no such modes; nothing fails there.
"""

from __future__ import annotations

import contextlib
import os
import stat
from pathlib import Path
from typing import IO, Any

__all__ = ["FILE_MODE", "folder_mode", "make_private_folder", "open_private", "set_modes", "write_private"]

FILE_MODE = 0o600
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


def write_private(path: Path, data: str | bytes, *, errors: str = "strict") -> None:
    """Write a file through `open_private`; a text as UTF-8."""
    options = {} if isinstance(data, bytes) else {"encoding": "utf-8", "errors": errors}
    with open_private(path, "wb" if isinstance(data, bytes) else "w", **options) as file:
        file.write(data)


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
