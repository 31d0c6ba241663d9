"""Decides which files and folders are left out by ignore files (`.gitignore`, `.cervellaignore`) and by their names.

An ignore file applies to its own folder and below, as in git; the last line that matches a path decides, and the ignore
file nearest to the path is asked first. All `.cervellaignore` files come before all `.gitignore` files. pathspec parses
the patterns.
"""

from __future__ import annotations

import os
import re
import unicodedata
from collections.abc import Callable, Collection, Iterable, Iterator
from contextlib import suppress
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from pathspec.pattern import Pattern

NEVER_OPENED = frozenset({"node_modules", ".venv", "venv", ".git", ".obsidian", ".trash", "__pycache__", ".cervella"})
"""Names of folders that are never opened, at any depth. The list is closed: a project's other folders are its own."""
GITIGNORE, CERVELLAIGNORE = ".gitignore", ".cervellaignore"

_MOST_BYTES, _MOST_PATTERNS = 100_000, 2_000
"""Limits of one ignore file. A longer one is not applied at all: half of its lines could mean the opposite."""
_MOST_DEEP = 2
"""Maximum number of `**` in a pattern, besides one at its end. The time to match grows with this power of the depth."""
_DEEP_ENOUGH = 64
"""Folders above a file beyond which a pattern with `**` between two names is not tried."""
_STAR = "[^/]*"  # pathspec's regular expression for `*`
_ANY_FOLDERS = ("(?:.+/)?", "(?:/.+)?")  # pathspec's regular expressions for `**`


@dataclass(frozen=True, slots=True)
class _Line:
    """One pattern of an ignore file."""

    regex: re.Pattern[str]
    ignores: bool
    """False for a line that begins with `!`."""
    deep: bool
    """Whether the pattern has `**` between two names."""

    def matches(self, path: str) -> bool:
        """Whether the pattern matches the path itself and not only a folder above it. A folder's path ends in `/`."""
        if self.deep and path.count("/") > _DEEP_ENOUGH:
            return False
        found = self.regex.search(path)
        if found is None:
            return False
        through_folder = found.lastindex is not None  # pathspec's only group is the slash that ends a folder's name
        if path.endswith("/"):
            if not through_folder:  # `name/**` matches what is in the folder, and not the folder
                return found.end() < len(path)
            # `*/` has no place in the path: the first folder matches, and the last one too.
            return found.end() == len(path) or self.regex.search(path, len(path) - 1) is not None
        return not through_folder


@dataclass(frozen=True, slots=True)
class _IgnoreFile:
    path: str
    """Relative to the knowledge folder, in NFC."""
    lines: tuple[_Line, ...]

    def verdict(self, path: str) -> bool | None:
        """Whether the file ignores a path below its folder; None if no line matches it."""
        inside = path[len(self.path.rpartition("/")[0]) :].lstrip("/")
        return next((line.ignores for line in reversed(self.lines) if line.matches(inside)), None)


@dataclass(frozen=True, slots=True)
class Frame:
    """The ignore files that apply in one folder, the nearest first."""

    own: tuple[_IgnoreFile, ...] = ()
    """The `.cervellaignore` files."""
    git: tuple[_IgnoreFile, ...] = ()
    """The `.gitignore` files."""


@dataclass(frozen=True, slots=True)
class Ignored:
    """A file or folder that is left out."""

    path: str
    """Relative to the knowledge folder, in NFC."""
    by: str | None
    """The path of the ignore file; None if the name is in `NEVER_OPENED`."""
    is_folder: bool


@dataclass(eq=False)
class IgnoreRules:
    """The ignore files of one knowledge folder. What it has read is kept, so that the next walk is quick."""

    gitignore: bool = True
    """Whether `.gitignore` files apply."""
    tracked: Callable[[str], Collection[str]] = field(default=lambda repository: ())
    """Returns the files that git tracks below a folder, relative to it. The folder is the root of a repository.

    The folder's path ends in `/`; "" is the knowledge folder, which may lie deeper in a repository. It is called only
    if a `.gitignore` file would leave something out.
    """
    problems: list[str] = field(default_factory=list)
    """Warnings about ignore files that are not applied, or not completely, in one sentence each."""
    _read: dict[str, tuple[tuple[int, int], _IgnoreFile]] = field(default_factory=dict)
    """The ignore files by path, each with its modification time in nanoseconds and its size."""
    _seen: set[str] = field(default_factory=set)
    """The ignore files of the current walk."""
    _verdicts: dict[str, str] = field(default_factory=dict)
    """For each path the ignore file that leaves it out, or "". A folder's path ends in `/`."""
    _kept: dict[str, set[str]] = field(default_factory=dict)
    """By repository: its tracked files, and all folders above them, which end in `/`."""
    _known: set[str] | None = None

    def begin(self) -> None:
        """Begin a walk over the folder."""
        self._seen.clear()

    def end(self) -> tuple[tuple[str, int, int], ...]:
        """End a walk. Returns path, modification time and size of each ignore file that was found."""
        if gone := self._read.keys() - self._seen:
            for path in gone:
                del self._read[path]
            self._verdicts.clear()
        return tuple(sorted((path, *stamp) for path, (stamp, _) in self._read.items()))

    def enter(self, prefix: str, entries: Iterable[os.DirEntry[str]], outer: Frame) -> Frame:
        """The ignore files that apply in a folder, given its path (with `/` at the end) and those of the folder above.

        `entries` are the ignore files in the folder.
        """
        own, git = outer.own, outer.git
        for entry in entries:
            is_own = entry.name == CERVELLAIGNORE
            if is_own or self.gitignore:
                with suppress(OSError):
                    read = (self._file(prefix, entry),)
                    own, git = (read + own, git) if is_own else (own, read + git)
        return Frame(own, git)

    def _file(self, prefix: str, entry: os.DirEntry[str]) -> _IgnoreFile:
        status, path = entry.stat(follow_symlinks=False), prefix + entry.name
        stamp = (status.st_mtime_ns, status.st_size)
        self._seen.add(path)
        known = self._read.get(path)
        if known is None or known[0] != stamp:
            self._verdicts.clear()
            with open(entry.path, "rb") as file:
                lines = tuple(self._lines(path, file.read(_MOST_BYTES + 1)))
            known = self._read[path] = stamp, _IgnoreFile(path, lines)
        return known[1]

    def _lines(self, path: str, data: bytes) -> Iterator[_Line]:
        written = os.fsdecode(data.removeprefix(b"\xef\xbb\xbf")).split("\n")
        written = [line for line in written if line.strip() and not line.startswith("#")]
        if len(data) > _MOST_BYTES or len(written) > _MOST_PATTERNS:
            self.problems.append(
                f"{path!r} is not applied: it has more than {_MOST_BYTES:,} bytes or {_MOST_PATTERNS:,} patterns."
            )
            return
        for line in written:
            try:
                parsed = _line(unicodedata.normalize("NFC", line))
            except ValueError:
                self.problems.append(f"{path!r}: the line {line[:60]!r} can't be applied.")
            else:
                if parsed is not None:
                    yield parsed

    def ignored(self, path: str, frame: Frame, inside: str = "") -> str:
        """The ignore file that leaves a path out, or "" if none does. A folder's path ends in `/`.

        `inside` is the ignore file that leaves out the folder above, if it does.
        """
        if not frame.own and not frame.git:
            return inside
        by = self._verdicts.get(path)
        if by is None:
            verdicts = ((file.path, file.verdict(path)) for file in (*frame.own, *frame.git))
            decided = next(((file, verdict) for file, verdict in verdicts if verdict is not None), ("", False))
            by = self._verdicts[path] = decided[0] if decided[1] else ""
        return by or inside

    def is_kept(self, path: str, repository: str) -> bool:
        """Whether git tracks a file, or a file in a folder, whose path ends in `/`.

        `repository` is the path of the git repository's folder, with `/` at the end; "" for the knowledge folder or one
        above it.
        """
        if self._known is not None:
            return path in self._known
        kept = self._kept.get(repository)
        if kept is None:
            kept = self._kept[repository] = _with_folders(repository + file for file in self.tracked(repository))
        return path in kept

    def keep(self, files: Collection[str]) -> None:
        """Take these files for the only tracked ones that matter, until `forget_tracked`."""
        self._known = _with_folders(files)

    def forget_tracked(self) -> None:
        """Ask again which files git tracks."""
        self._known = None
        self._kept.clear()


def _with_folders(files: Iterable[str]) -> set[str]:
    """The files, and all folders above them, which end in `/`."""
    kept: set[str] = set()
    for file in files:
        kept.add(file)
        kept.update(file[: at + 1] for at, letter in enumerate(file) if letter == "/")
    return kept


def _line(written: str) -> _Line | None:
    """Parse one line; None if it means nothing. Raises ValueError if it can't be parsed, or would take too long."""
    from pathspec import GitIgnoreSpec  # a slow import, needed only if there is an ignore file

    # Stars in a row within a name mean one star.
    single = "/".join(part if part == "**" else re.sub(r"\*{2,}", "*", part) for part in written.split("/"))
    pattern: Pattern = GitIgnoreSpec.from_lines([single]).patterns[0]
    regex: re.Pattern[str] | None = getattr(pattern, "regex", None)
    if pattern.include is None or regex is None:
        return None
    depth = sum(regex.pattern.count(folders) for folders in _ANY_FOLDERS)
    if depth > _MOST_DEEP:
        raise ValueError("too many wildcards")
    return _Line(re.compile(_linear(regex.pattern)), pattern.include, _ANY_FOLDERS[1] in regex.pattern)


def _linear(regex: str) -> str:
    """pathspec's regular expression for a pattern, changed so that several stars in one name take no power of time.

    Of a name's stars all but the last match as little as possible, and are not tried again: a later place for what
    follows such a star never allows more for the rest of the name.
    """
    parts = regex.split(_STAR)
    for at in range(1, len(parts) - 1):
        within_a_name = "/" not in parts[at].replace("[^/]", "")
        parts[at] = f"(?>[^/]*?{parts[at]})" if within_a_name and parts[at] else _STAR + parts[at]
    return parts[0] + "".join(parts[1:-1]) + (_STAR + parts[-1] if len(parts) > 1 else "")
