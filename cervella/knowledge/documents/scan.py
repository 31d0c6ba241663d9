"""Lists the regular files of a folder: markdown to be read, and skipped files with the reason."""

from __future__ import annotations

import hashlib
import os
import stat
import unicodedata
from collections.abc import Collection, Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path

from cervella.errors import KnowledgeError
from cervella.knowledge.documents import git
from cervella.knowledge.documents.copies import document_digest
from cervella.knowledge.documents.encoding import decoded
from cervella.knowledge.documents.ignored import CERVELLAIGNORE, GITIGNORE, NEVER_OPENED, Frame, Ignored, IgnoreRules
from cervella.knowledge.documents.patterns import Glob, understood
from cervella.privacy.redaction import mask_path, redact
from cervella.text.language import DEFAULT_LANGUAGE
from cervella.types import Redaction, SkippedFile
from cervella.types.filters import path_matches

SKIP_REASONS: dict[str, str] = {
    "not_markdown": "its name does not end in .md, .markdown, .mdx or .txt",
    "excluded": "hidden, secret by its name, or excluded by the configuration",
    "secret_name": "a secret in its own name or in a folder's: it is shown masked",
    "ignored": "a file or a whole folder that an ignore file leaves out, or a folder that is never opened",
    "too_large": "larger than the size limit",
    "not_text": "no text, whatever the encoding",
    "unreadable": "the system refuses to read it, or its name is not Unicode",
    "outside": "a symbolic link that leads out of the folder, to nothing, or to itself",
    "linked": "a symbolic link to something in the folder, which is read under its own name",
    "empty": "nothing but white space",
    "name_clash": "the same name as another file once Unicode is normalised",
}
"""The reasons why a file is not in the index: the name of each reason, and its explanation."""

MAX_BYTES = 5_000_000
"""Maximum size of an indexed file."""

MARKDOWN = (".md", ".markdown", ".mdx", ".txt")
"""Endings, in any case, of the names of files that are read as markdown."""
_BOOKKEEPING = frozenset({".git", ".cervella"})
"""Folders that are not even reported as ignored."""
_MOST_COUNTED = 200_000
"""Maximum number of names that are looked at to count the markdown in ignored folders."""
_SECRET = ("**/secrets/**", "**/*credenziali*", "**/*credenziali*/**", "**/.env*")


@dataclass(frozen=True, slots=True, kw_only=True)
class FoundFile:
    """A markdown file that was listed, but not read yet."""

    path: str
    """Relative to the folder, POSIX, NFC."""
    disk_path: str
    """The same path with the Unicode normalisation of the disk."""
    size: int
    """Bytes, when the folder was listed."""
    mtime_ns: int
    """Modification time when the folder was listed, nanoseconds since 1970."""


@dataclass(frozen=True, eq=False, kw_only=True)  # no slots, because of cached_property
class Source:
    """A markdown file that was read. `path` and `disk_path` are explained at `FoundFile`."""

    path: str
    disk_path: str
    raw: str = field(repr=False)
    """The text on disk, with its secrets. Use `text` instead."""
    sha256: str
    """The SHA-256 of the bytes on disk, in hexadecimal. It decides whether the file changed."""
    size: int
    """Bytes."""
    encoding: str = ""
    """The name of Python's codec for the text on disk; empty for UTF-8."""
    language: str = DEFAULT_LANGUAGE
    """The language, as an ISO 639-1 code, of the words that are written in place of secrets."""
    masked: tuple[str, tuple[Redaction, ...]] | None = field(default=None, repr=False)
    """The text and its redactions, if they are known already: see `masked_by_reading`."""

    @property
    def text(self) -> str:
        """The text with secrets masked, with the same number of lines. Only this text is indexed."""
        return self._redacted[0]

    @property
    def redactions(self) -> tuple[Redaction, ...]:
        """The lines and kinds of the masked secrets."""
        return self._redacted[1]

    @cached_property
    def document(self) -> str:
        """A digest that all copies of the file have: see `document_digest`."""
        return document_digest(self.raw)

    @cached_property
    def _redacted(self) -> tuple[str, tuple[Redaction, ...]]:
        return redact(self.raw, self.path, self.language) if self.masked is None else self.masked


@dataclass(frozen=True, slots=True, kw_only=True)
class Scan:
    """The files of a folder."""

    found: tuple[FoundFile, ...]
    skipped: tuple[SkippedFile, ...]
    unlisted: tuple[tuple[str, str], ...]
    """Folders that could not be listed, with the system's reason. Their files are unknown, not removed."""
    ignored: tuple[Ignored, ...] = ()
    """Files and folders that ignore files leave out, and folders that are never opened."""
    kept: frozenset[str] = frozenset()
    """Files that a `.gitignore` file leaves out, but that are read because git tracks them."""
    ignore_state: tuple[tuple[str, int, int], ...] = ()
    """Path, modification time and size of each ignore file, and of git's lists of tracked files if they were needed.

    As long as it is the same, the same files are ignored.
    """
    repositories: tuple[str, ...] = ()
    """The folders that are the root of a git repository; "" for the scanned folder itself."""
    problems: tuple[str, ...] = ()
    """Warnings about ignore files, in one sentence each."""


def is_unknown(path: str, found: Scan) -> bool:
    """Whether a file is in a folder that could not be listed, so that it may still exist."""
    return any(folder == "" or path.startswith(folder + "/") for folder, _ in found.unlisted)


def scan(
    folder: Path,
    *,
    exclude: Sequence[str] = (),
    keep_out: Path | None = None,
    indexable_only: bool = False,
    judged: dict[str, bool] | None = None,
    ignores: IgnoreRules | None = None,
) -> Scan:
    """List a folder's files. The folder itself may be hidden; hidden files and folders in it are skipped.

    `exclude` are patterns of files to skip, see patterns.py.
    `keep_out` is the index's folder. Its files, and those in `.git` and `.cervella`, are not counted.
    `indexable_only` leaves `skipped` empty and does not open folders without files to index.
    `judged` is a cache that maps a path to whether it is excluded. It is valid for one `exclude`, and is extended.
    `ignores` has the ignore files that were read before; by default all ignore files below the folder apply.
    Raises KnowledgeError if the folder is missing, is a file, or cannot be listed.
    """
    _check(folder)
    root = folder.resolve()
    out = keep_out.resolve() if keep_out else None
    rules = ignore_rules(folder) if ignores is None else ignores
    walk = _Walk(root, tuple(exclude), out, rules, indexable_only=indexable_only, judged=judged)
    rules.begin()
    walk.list_all()
    state = rules.end()
    walk.sort_out(folder)
    found: dict[str, FoundFile] = {}
    for disk_path in sorted(walk.markdown):
        path = _display(disk_path)
        if path in found:
            walk.skip(disk_path, "name_clash")
        else:
            status = walk.markdown[disk_path]
            found[path] = FoundFile(path=path, disk_path=disk_path, size=status.st_size, mtime_ns=status.st_mtime_ns)
    skipped = sorted(walk.skipped, key=lambda item: item.path)
    return Scan(
        found=tuple(found.values()),
        skipped=tuple(skipped),
        unlisted=tuple(walk.unlisted),
        ignored=tuple(walk.ignored),
        kept=frozenset(walk.kept & found.keys()),
        ignore_state=(*state, *_git_state(root, walk.judged_by_git)),
        repositories=tuple(walk.repositories),
        problems=tuple(dict.fromkeys(rules.problems)),
    )


def ignore_rules(folder: Path, *, gitignore: bool = True, kept: Collection[str] | None = None) -> IgnoreRules:
    """The rules of the ignore files below a folder. `gitignore` says whether `.gitignore` files apply.

    `kept` are the files that git tracks, as far as ignore files would leave them out; if None, git is asked.
    """
    root = folder.resolve()
    rules = IgnoreRules(gitignore=gitignore, tracked=lambda repository: git.tracked(root / repository, MARKDOWN))
    if kept is not None:
        rules.keep(kept)
    return rules


def _git_state(root: Path, repositories: Collection[str]) -> Iterator[tuple[str, int, int]]:
    for repository in sorted(repositories):
        stamp = git.stamp_of(root / repository)
        if stamp is not None:
            yield (f"{repository}.git", *stamp)


def is_ignored(path: str, found: Scan) -> bool:
    """Whether a file, or a folder above it, is left out by an ignore file or by its name."""
    return any(path == one.path or (one.is_folder and path.startswith(one.path + "/")) for one in found.ignored)


def ignored_markdown(folder: Path, found: Scan) -> Mapping[str, Sequence[str]]:
    """The markdown files that ignore files leave out, by the ignore file, without hidden ones.

    `found` is the scan of the folder. At most 200,000 names in ignored folders are looked at.
    """
    root, left = folder.resolve(), _MOST_COUNTED
    lost: dict[str, list[str]] = {}
    for one in found.ignored:
        if one.by is None:
            continue
        for name in _names_below(root, one.path) if one.is_folder else iter((one.path,)):
            left -= 1
            if left < 0:
                return lost
            path = _display(name)
            if path.casefold().endswith(MARKDOWN) and not _is_hidden(path):
                lost.setdefault(one.by, []).append(path)
    return lost


def _names_below(root: Path, folder: str) -> Iterator[str]:
    waiting = [folder]
    while waiting:  # not os.walk, which calls itself for each folder in a folder
        place = waiting.pop()
        with suppress(OSError), os.scandir(root / place) as entries:
            for entry in entries:
                if not entry.is_dir(follow_symlinks=False):
                    yield f"{place}/{entry.name}"
                elif entry.name not in NEVER_OPENED and not entry.name.startswith("."):
                    waiting.append(f"{place}/{entry.name}")


def _check(folder: Path) -> None:
    remedy = (
        "Name the folder that contains the markdown, with [knowledge] folder or knowledge= in Python; "
        "`cervella init` makes a new one."
    )
    if not folder.exists():
        raise KnowledgeError(f"There is no folder {str(folder)!r}.", remedy=remedy, code="folder_missing")
    if not folder.is_dir():
        raise KnowledgeError(f"{str(folder)!r} is a file, not a folder.", remedy=remedy, code="not_a_folder")
    try:
        os.scandir(folder).close()
    except OSError as error:
        raise KnowledgeError(
            f"The folder {str(folder)!r} can't be listed: {error.strerror}.",
            remedy="Give this user the right to read it.",
            code="folder_unreadable",
        ) from error


def _display(disk_path: str) -> str:
    """A path in the form that can be printed and written as JSON: in NFC, with bytes replaced that are not UTF-8."""
    if disk_path.isascii():
        return disk_path
    return unicodedata.normalize("NFC", os.fsencode(disk_path).decode("utf-8", "replace"))


def _is_regular(entry: os.DirEntry[str]) -> bool:
    return entry.is_file(follow_symlinks=False)


def _is_hidden(path: str) -> bool:
    return path.startswith(".") or "/." in path


class _Walk:
    def __init__(
        self,
        root: Path,
        exclude: tuple[str, ...],
        keep_out: Path | None,
        ignores: IgnoreRules,
        *,
        indexable_only: bool,
        judged: dict[str, bool] | None,
    ) -> None:
        self._root = root
        self._written = {pattern: Glob((pattern.rstrip("/"),)) for pattern in exclude}
        """The patterns of `exclude` as globs, read literally."""
        self._globs: list[Glob] = []
        self._pruned: set[str] = set()
        """Patterns that matched a folder, which was therefore not opened."""
        inside = keep_out is not None and keep_out != root and keep_out.is_relative_to(root)
        self._keep_out = keep_out.relative_to(root).as_posix() if keep_out is not None and inside else None
        self._ignores = ignores
        self._indexable_only = indexable_only
        self._judged = {} if judged is None else judged
        self._files: list[tuple[str, os.DirEntry[str]]] = []
        self._waiting: list[tuple[str, Frame, str, str]] = []
        """The folders that are not listed yet, as the arguments of `_folder`."""
        self.markdown: dict[str, os.stat_result] = {}
        self.skipped: list[SkippedFile] = []
        self.unlisted: list[tuple[str, str]] = []
        self.ignored: list[Ignored] = []
        self.kept: set[str] = set()
        self.repositories: list[str] = []
        self.judged_by_git: set[str] = set()
        """The paths of the repositories in which a `.gitignore` file leaves something out."""

    def skip(self, disk_path: str, reason: str) -> None:
        if not self._indexable_only:
            self.skipped.append(SkippedFile(path=mask_path(_display(disk_path)), reason=reason))

    def list_all(self) -> None:
        """List the root and all folders in it, except those that are left out."""
        self._waiting.append(("", Frame(), "", ""))
        while self._waiting:
            self._folder(*self._waiting.pop())

    def _folder(self, prefix: str, outer: Frame, repository: str, inside: str) -> None:
        """List a folder. `prefix` is its path with `/` at the end; empty for the root.

        `outer` are the ignore files of the folder above, and `repository` is the path of its git repository. `inside`
        is the ignore file that leaves the folder out; it is then opened for the files that git tracks.
        """
        entries = list(self._entries(prefix))
        if any(entry.name == ".git" for entry in entries):
            self.repositories.append(prefix)
            repository = prefix
        frame = outer
        if not self._is_closed(prefix):  # nothing is read there in any case
            own = [entry for entry in entries if entry.name in (CERVELLAIGNORE, GITIGNORE)]
            frame = self._ignores.enter(_display(prefix), filter(_is_regular, own), outer) if own else outer
        judged = bool(frame.own or frame.git or inside)
        for entry in entries:
            disk_path = prefix + entry.name
            if entry.name in _BOOKKEEPING:
                continue
            try:
                if entry.is_symlink():
                    if not self._indexable_only:
                        self.skip(disk_path, self._link_reason(disk_path))
                elif entry.is_dir(follow_symlinks=False):
                    if self._is_left_out(disk_path):
                        continue
                    if entry.name in NEVER_OPENED:
                        self._ignore(disk_path, None, is_folder=True)
                        continue
                    by = self._ignored_by(disk_path, frame, repository, inside, is_folder=True) if judged else ""
                    if by is not None:
                        self._waiting.append((disk_path + "/", frame, repository, by))
                elif entry.is_file(follow_symlinks=False):
                    if judged and self._ignored_by(disk_path, frame, repository, inside, is_folder=False) is None:
                        continue
                    self._files.append((disk_path, entry))
                # Pipes, sockets and devices are left out: opening one could block for ever.
            except OSError:
                self.skip(disk_path, "unreadable")

    def _ignored_by(self, disk_path: str, frame: Frame, repository: str, inside: str, *, is_folder: bool) -> str | None:
        """None if an ignore file leaves a file or a folder out; this is then noted.

        Else the ignore file that would leave it out if git did not track it, or a file in it; "" if there is none.
        """
        path = _display(disk_path)
        is_closed = self._is_closed(path)
        if is_closed and not is_folder:
            return ""
        name = f"{path}/" if is_folder else path
        by = self._ignores.ignored(name, frame, inside)
        if not by:
            return ""
        if by.rpartition("/")[2] == GITIGNORE:
            if not is_closed:
                self.judged_by_git.add(repository)
            if self._ignores.is_kept(name, repository):
                self.kept.add(path)
                return by
        self._ignore(disk_path, by, is_folder=is_folder)
        return None

    def _ignore(self, disk_path: str, by: str | None, *, is_folder: bool) -> None:
        self.ignored.append(Ignored(_display(disk_path), by, is_folder))
        self.skip(disk_path, "ignored")

    def _is_closed(self, path: str) -> bool:
        """Whether nothing at a path is read: it is hidden, or matches a pattern of `exclude` literally."""
        return _is_hidden(path) or any(glob.covers(path.rstrip("/")) for glob in self._written.values())

    def _is_left_out(self, disk_path: str) -> bool:
        """Whether a folder is not opened. Excluded folders are opened only to report their files as skipped."""
        if disk_path == self._keep_out:
            return True
        if not self._indexable_only:
            return False
        path = _display(disk_path)
        pruned = {pattern for pattern, glob in self._written.items() if glob.covers(path)}
        self._pruned |= pruned
        return bool(pruned) or _is_hidden(path)

    def sort_out(self, folder: Path) -> None:
        """Sort the listed files into markdown and skipped ones. All names are needed to interpret `exclude`."""
        names = [_display(disk_path) for disk_path, _ in self._files]
        if not all(name in self._judged for name in names):
            self._judged.clear()
            self._globs = list(self._understood(folder, names))
        for disk_path, entry in self._files:
            try:
                self._file(disk_path, entry)
            except OSError:
                self.skip(disk_path, "unreadable")

    def _understood(self, folder: Path, names: Sequence[str]) -> Iterator[Glob]:
        for pattern, written in self._written.items():
            glob = written if pattern in self._pruned else understood(pattern, folder, names)
            # An interpretation that excludes every file is rejected, unless it is the literal one.
            if glob is not None and (glob.texts == written.texts or not all(map(glob.covers, names))):
                yield glob

    def _entries(self, prefix: str) -> Iterator[os.DirEntry[str]]:
        try:
            with os.scandir(os.path.join(self._root, prefix)) as entries:
                listed = sorted(entries, key=lambda entry: entry.name)
        except OSError as error:
            self.unlisted.append((_display(prefix).rstrip("/"), error.strerror or type(error).__name__))
            return
        yield from listed

    def _file(self, disk_path: str, entry: os.DirEntry[str]) -> None:
        path = _display(disk_path)
        if self._is_excluded(path):
            self.skip(disk_path, "excluded")
        elif not path.casefold().endswith(MARKDOWN):
            self.skip(disk_path, "not_markdown")
        elif not disk_path.isascii() and any("\udc80" <= character <= "\udcff" for character in disk_path):
            self.skip(disk_path, "unreadable")
        elif mask_path(path) != path:
            self.skip(disk_path, "secret_name")  # its path would be in the index, in citations and in prompts
        else:
            self.markdown[disk_path] = entry.stat(follow_symlinks=False)

    def _is_excluded(self, path: str) -> bool:
        known = self._judged.get(path)
        if known is None:
            known = self._judged[path] = self._judge(path)
        return known

    def _judge(self, path: str) -> bool:
        if _is_hidden(path):
            return True
        if any(path_matches(path.casefold(), pattern) for pattern in _SECRET):
            return True
        return any(glob.covers(path) for glob in self._globs)

    def _link_reason(self, disk_path: str) -> str:
        try:
            target = (self._root / disk_path).resolve(strict=True)
        except (OSError, RuntimeError):  # a broken link, or a loop
            return "outside"
        return "linked" if target.is_relative_to(self._root) else "outside"


def read(
    folder: Path, file: FoundFile, *, max_bytes: int = MAX_BYTES, language: str = DEFAULT_LANGUAGE
) -> Source | SkippedFile:
    """Read a file's text, without a byte order mark. Returns a SkippedFile with the reason if it can't be indexed.

    `language` is that of the words that are written in place of secrets. It also helps to tell the text's encoding.
    """
    try:
        data = _bytes(folder / file.disk_path, max_bytes)
    except OSError:
        return SkippedFile(path=file.path, reason="unreadable")
    if data is None:
        return SkippedFile(path=file.path, reason="too_large")
    text, encoding = decoded(data, language) or (None, "")
    if text is None:
        return SkippedFile(path=file.path, reason="not_text")
    if not text.strip():
        return SkippedFile(path=file.path, reason="empty")
    digest = hashlib.sha256(data).hexdigest()
    return Source(
        path=file.path,
        disk_path=file.disk_path,
        raw=text,
        sha256=digest,
        size=len(data),
        encoding=encoding,
        language=language,
    )


def _bytes(path: str | Path, max_bytes: int) -> bytes | None:
    """The file's bytes; None if there are more than `max_bytes`. Raises OSError for a link, a pipe or a device."""
    descriptor = os.open(path, os.O_RDONLY | getattr(os, "O_NOFOLLOW", 0) | getattr(os, "O_NONBLOCK", 0))
    with os.fdopen(descriptor, "rb") as file:
        if not stat.S_ISREG(os.fstat(descriptor).st_mode):
            raise OSError("not a regular file")
        data = file.read(max_bytes + 1)
    return data if len(data) <= max_bytes else None


def digest(path: str | Path, size: int) -> str | None:
    """The SHA-256 of a regular file, in hexadecimal; None if it has more than `size` bytes. Raises OSError."""
    data = _bytes(path, size)
    return None if data is None else hashlib.sha256(data).hexdigest()
