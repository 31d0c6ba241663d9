"""Reads from git which files of a folder are tracked, and on which day each was last changed in a commit.

The program `git` is called. It writes nothing, uses no network, and runs no program that a repository's configuration
names. Where git or a repository is missing, or git fails, nothing is known, and that is no error.
"""

from __future__ import annotations

import json
import logging
import os
import re
import shutil
import subprocess
import threading
import unicodedata
from collections.abc import Collection, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import IO

_logger = logging.getLogger("cervella.knowledge")

MOST_FILES = 50
"""A commit that touched more files is a move, a new format or an import, and dates none of them."""
_SECONDS = 10.0
"""Time limit of one call of git. What it has written until then is used for dates."""
_MOST_COMMITS, _MOST_BYTES, _MOST_REPOSITORIES = 20_000, 64_000_000, 50
_CHUNK = 1 << 16
_DAY = re.compile(r"\d{4}-\d\d-\d\d")

# A repository's own configuration can name programs, for hooks, a file system monitor or signatures: all off.
_SAFE = (
    *("--no-pager", "--no-optional-locks", "--no-replace-objects"),
    *("-c", "core.fsmonitor=false", "-c", f"core.hooksPath={os.devnull}", "-c", "log.showSignature=false"),
    *("-c", "log.showRoot=true", "-c", "log.mailmap=false", "-c", "core.quotePath=false"),
    *("-c", "protocol.allow=never", "-c", "core.untrackedCache=false", "-c", "submodule.recurse=false"),
)
_KEPT_VARIABLES = frozenset({"GIT_CEILING_DIRECTORIES", "GIT_CONFIG_GLOBAL", "GIT_CONFIG_SYSTEM", "GIT_EXEC_PATH"})


@dataclass(frozen=True, slots=True, kw_only=True)
class Repository:
    """The git repository that contains a folder."""

    folder: Path
    """The folder, which may be the repository's root or any folder in it."""
    head: str
    """The id of the current commit, in hexadecimal."""
    inside: str
    """The path of the folder in the repository, with `/` at the end; empty for the root."""
    is_shallow: bool
    """Whether only the last commits were cloned, so that the first of them seems to touch every file."""

    def dates(self, wanted: Collection[str]) -> dict[str, str]:
        """For each of `wanted` the day of the last commit that touched it, by the author's date, as 2026-01-31.

        `wanted` are relative to the folder, in NFC. A file is left out if that commit touched more than 50 files, if it
        is not tracked, or if it was last touched before the last 20,000 commits. Empty for a shallow clone.
        """
        if self.is_shallow or not wanted:
            return {}
        found: dict[str, str] = {}
        left = set(wanted)
        arguments = (
            *("log", "-z", "--name-only", "--no-renames", "--no-ext-diff", "--no-textconv", "--no-color"),
            *("--no-show-signature", f"--max-count={_MOST_COMMITS}", "--format=%x01%x01%as%x01", "HEAD", "--"),
        )
        with _output(self.folder, arguments) as chunks:
            for day, files in _commits(chunks):
                touched = left.intersection(self._here(files))
                left -= touched
                if day and len(files) <= MOST_FILES:
                    found.update(dict.fromkeys(touched, day))
                if not left:
                    break
        return found

    def _here(self, files: Sequence[str]) -> Iterator[str]:
        return (file[len(self.inside) :] for file in files if file.startswith(self.inside))


@dataclass(frozen=True, slots=True, kw_only=True)
class Days:
    """The days of a folder's files by git, with what is needed to get them again quickly."""

    heads: Mapping[str, str]
    """The current commit of each repository, by the repository's path in the folder."""
    days: Mapping[str, str]
    """The day of each file, by path; "" if git has none for it."""

    @classmethod
    def load(cls, text: str | None) -> Days:
        """The value that `save` returned; nothing if it is None."""
        data = json.loads(text or '{"heads": {}, "days": {}}')
        heads, days = ({str(path): str(value) for path, value in data[name].items()} for name in ("heads", "days"))
        return cls(heads=heads, days=days)

    def save(self) -> str:
        return json.dumps({"heads": self.heads, "days": self.days})

    def now(self, folder: Path, repositories: Sequence[str], paths: Collection[str]) -> Days:
        """The days of `paths` now. Git's log is read only for repositories that have a new commit, or for new files.

        `repositories` are the paths of the repositories in the folder, each with `/` at the end. A file belongs to the
        nearest one above it, or to the repository that contains the folder.
        """
        roots = sorted({"", *repositories[:_MOST_REPOSITORIES]}, key=len, reverse=True)
        own: dict[str, list[str]] = {root: [] for root in roots}
        for path in paths:
            own[next(root for root in roots if path.startswith(root))].append(path)
        heads: dict[str, str] = {}
        days: dict[str, str] = {}
        for root in roots:
            repository = repository_of(folder / root) if own[root] else None
            if repository is None:
                continue
            heads[root] = repository.head
            known = self.days if self.heads.get(root) == repository.head else {}
            found = repository.dates([path[len(root) :] for path in own[root] if path not in known])
            days |= {path: known.get(path) or found.get(path[len(root) :], "") for path in own[root]}
        return Days(heads=heads, days=days)


def repository_of(folder: Path) -> Repository | None:
    """The repository that contains a folder; None if there is none, it has no commit, or git is missing or fails."""
    if index_of(folder) is None:
        return None
    arguments = ("rev-parse", "--is-shallow-repository", "--show-prefix", "--verify", "HEAD^{commit}")
    lines = _text(_whole(folder, arguments)).split("\n")
    if len(lines) < 3 or not re.fullmatch(r"[0-9a-f]{40,64}", lines[2]):
        return None
    return Repository(folder=folder, head=lines[2], inside=lines[1], is_shallow=lines[0] != "false")


def tracked(folder: Path, endings: Sequence[str]) -> frozenset[str]:
    """The files below a folder that git tracks and whose names end in one of `endings`, relative to it, in NFC.

    Empty if there is no repository, or git is missing or fails. Files of a repository in the repository are not listed.
    """
    if index_of(folder) is None:
        return frozenset()
    names = [f":(icase,glob)**/*{ending}" for ending in endings]
    return frozenset(_text(_whole(folder, ("ls-files", "-z", "--cached", "--", *names))).split("\0")) - {""}


def index_of(folder: Path) -> Path | None:
    """The file in which git lists the tracked files of the repository around a folder; None if there is none.

    git is not called.
    """
    for above in (folder, *folder.resolve().parents):
        place = above / ".git"
        if place.is_dir():
            return place / "index"
        if place.is_file():  # a worktree or a submodule
            try:
                with place.open(encoding="utf-8") as file:
                    key, _, where = file.read(10_000).partition(":")
            except (OSError, UnicodeDecodeError):
                return None
            return above / where.strip() / "index" if key == "gitdir" else None
    return None


def stamp_of(folder: Path) -> tuple[int, int] | None:
    """Modification time in nanoseconds and size of the list of tracked files; None if there is none.

    The stamp changes if the tracked files do. git is not called.
    """
    index = index_of(folder)
    try:
        status = None if index is None else index.stat()
    except OSError:
        return None
    return None if status is None else (status.st_mtime_ns, status.st_size)


def _text(data: bytes) -> str:
    text = os.fsdecode(data)
    return text if text.isascii() else unicodedata.normalize("NFC", text)


def _commits(chunks: Iterator[bytes]) -> Iterator[tuple[str, list[str]]]:
    """The commits in the output of `git log`, as the day and the files of each."""
    rest = b""
    for chunk in chunks:
        *whole, rest = (rest + chunk).split(b"\x01\x01")
        yield from map(_commit, filter(None, whole))
    if rest.endswith(b"\0"):  # else git was stopped within this commit
        yield _commit(rest)


def _commit(data: bytes) -> tuple[str, list[str]]:
    day, _, names = _text(data).partition("\x01")
    files = [name.lstrip("\n") for name in names.split("\0")]
    return (day if _DAY.fullmatch(day) else ""), [name for name in files if name]


def _whole(folder: Path, arguments: Sequence[str]) -> bytes:
    """All that git writes; empty if it fails or writes too much."""
    with _output(folder, arguments) as chunks:
        return b"".join(chunks)


@contextmanager
def _output(folder: Path, arguments: Sequence[str]) -> Iterator[Iterator[bytes]]:
    """What git writes, in pieces, for at most ten seconds; nothing if git is missing. In the end it is stopped."""
    program = shutil.which("git")
    if program is None:
        yield iter(())
        return
    try:
        process = subprocess.Popen(
            [program, *_SAFE, *arguments],
            cwd=folder,
            env=_environment(os.environ),
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
        )
    except OSError as error:
        _logger.info("git can't be started: %s", error)
        yield iter(())
        return
    assert process.stdout is not None
    guard = threading.Timer(_SECONDS, process.kill)
    guard.daemon = True
    guard.start()
    try:
        yield _chunks(process.stdout)
    finally:
        guard.cancel()
        process.kill()
        process.stdout.close()
        process.wait()


def _chunks(stream: IO[bytes]) -> Iterator[bytes]:
    read = 0
    while read < _MOST_BYTES and (chunk := stream.read(_CHUNK)):
        read += len(chunk)
        yield chunk


def _environment(own: Mapping[str, str]) -> dict[str, str]:
    """The environment for git, without variables that name another repository or a program."""
    kept = {name: value for name, value in own.items() if not name.startswith("GIT_") or name in _KEPT_VARIABLES}
    return {
        **kept,
        "GIT_OPTIONAL_LOCKS": "0",
        "GIT_TERMINAL_PROMPT": "0",
        "GIT_NO_LAZY_FETCH": "1",
        "GIT_PAGER": "cat",
        "LC_ALL": "C",
    }
