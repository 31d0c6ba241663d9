"""Looks at an index folder before it is used: a stranger may have made it, or put something into it.

A link would make the index read or overwrite a file elsewhere, and a pipe would make it wait for ever. An index has
only regular files and folders, so anything else is damage. What an entry contains is judged where it is read.
"""

from __future__ import annotations

import errno
import os
import re
import stat
from collections.abc import Iterator
from pathlib import Path

from cervella.errors import IndexDamagedError
from cervella.process.files import open_regular

_FILES = re.compile(r"current|stamps\.json|writer\.(?:lock|pid)|\.\w.*\.partial")
_FOLDERS = re.compile(r"(?:gen|work|gone|build)-.+")
_MOST_ENTRIES = 10_000
"""A generation has a few dozen files and folders."""


def check_folder(index_dir: Path) -> None:
    """Check the entries of an index folder that belong to the index; a missing folder is right.

    Raises IndexDamagedError if one is a link, or of another kind than it should be.
    """
    for entry in _entries(index_dir):
        if is_own(entry.name):
            _check(entry, folder=bool(_FOLDERS.fullmatch(entry.name)))


def check_generation(generation: Path) -> None:
    """Check that a generation has only regular files and folders; a missing one is right. Raises IndexDamagedError."""
    try:
        if stat.S_ISLNK(generation.lstat().st_mode):
            raise _foreign(generation, "a link")
    except OSError:
        return
    waiting, seen = [generation], 0
    while waiting:
        for entry in _entries(waiting.pop()):
            _check(entry)
            seen += 1
            if seen > _MOST_ENTRIES:
                raise _foreign(generation, f"more than {_MOST_ENTRIES} entries")
            if entry.is_dir(follow_symlinks=False):
                waiting.append(Path(entry.path))


def read_file(path: Path, most_bytes: int) -> bytes:
    """The bytes of a regular file. Raises OSError for a link, a pipe, a device, and a file of more bytes."""
    with open_regular(path) as file:
        data = file.read(most_bytes + 1)
    if len(data) > most_bytes:
        raise OSError(errno.EFBIG, f"it has more than {most_bytes} bytes", str(path))
    return data


def is_own(name: str) -> bool:
    """Whether an entry of an index folder with this name belongs to the index."""
    return bool(_FILES.fullmatch(name) or _FOLDERS.fullmatch(name))


def is_inside(name: str) -> bool:
    """Whether a name from an index is a path below some folder on every system: relative, and without `..`.

    >>> is_inside("chroma/a b/data.bin"), is_inside("../seal.json"), is_inside("/etc/passwd"), is_inside("a/../../b")
    (True, False, False, False)
    """
    special = {"\0", *(":\\" if os.name == "nt" else "")}
    return not {"", ".", ".."}.intersection(name.split("/")) and special.isdisjoint(name)


def _entries(folder: Path) -> Iterator[os.DirEntry[str]]:
    try:
        with os.scandir(folder) as found:
            yield from found
    except (FileNotFoundError, NotADirectoryError, PermissionError):
        return  # whoever opens it says why it cannot be read


def _check(entry: os.DirEntry[str], *, folder: bool | None = None) -> None:
    """Raises IndexDamagedError if an entry is neither a regular file nor a folder, or not the one that it should be."""
    try:
        mode = entry.stat(follow_symlinks=False).st_mode
    except OSError:
        return  # it was removed meanwhile
    if stat.S_ISLNK(mode) or (os.name == "nt" and entry.is_junction() if hasattr(entry, "is_junction") else False):
        raise _foreign(Path(entry.path), "a link")
    if not (stat.S_ISREG(mode) or stat.S_ISDIR(mode)) or (folder is not None and stat.S_ISDIR(mode) != folder):
        raise _foreign(Path(entry.path), "no folder" if folder else "no regular file")


def linked(path: Path) -> IndexDamagedError | None:
    """The error for a file of an index that is a link; None if it is none."""
    return _foreign(path, "a link") if path.is_symlink() else None


def leads_nowhere(index_dir: Path) -> str | None:
    """Says that an index folder, or a folder above it, is a link to nothing; None if it is not."""
    for folder in (index_dir, *index_dir.parents):
        if folder.is_symlink() and not folder.exists():
            return f"{str(folder)!r} is a link to {os.readlink(folder)!r}, which does not exist"
    return None


def _foreign(path: Path, what: str) -> IndexDamagedError:
    copied = "If the index was put here as links to its files, copy the files themselves (`cp -rL`). Otherwise delete"
    return IndexDamagedError(
        f"The index has {what} at {str(path)!r}, which cervella did not make.",
        remedy=f"Nothing was read or written there. {copied if what == 'a link' else 'Delete'} it, or the whole index "
        "folder, then run `cervella index`.",
    )
