"""Resolves the patterns of `[knowledge] local_only`: files that only local and private brains may see."""

from __future__ import annotations

import hashlib
import logging
import os
import unicodedata
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field, replace
from functools import lru_cache
from itertools import islice
from pathlib import Path
from urllib.parse import unquote

from cervella.errors import KnowledgeError, UnmatchedPatternError
from cervella.knowledge.documents.copies import document_digest
from cervella.knowledge.documents.encoding import decoded
from cervella.knowledge.documents.patterns import (
    Glob,
    forms_of,
    lies,
    nearest_paths,
    spelled_out,
    understood,
    widened,
)
from cervella.knowledge.documents.scan import MARKDOWN, MAX_BYTES, Scan, ignore_rules, ignored_markdown, scan

_LONGEST_PATH = 4096  # characters of a path that are compared with the patterns
_MOST_FILES, _MOST_BYTES = 20_000, 512_000_000
"""Maximum number, and bytes together, of files that are read only to recognise their copies."""
_MOST_ENTRIES = 500_000
"""Maximum number of files and folders that are listed to find images."""
_IMAGES = (".avif", ".bmp", ".gif", ".heic", ".heif", ".jpeg", ".jpg", ".jfif", ".png", ".tif", ".tiff", ".webp")
_CHUNK = 1 << 20
_logger = logging.getLogger("cervella.knowledge.local_only")


@dataclass(frozen=True, slots=True)
class LocalOnly:
    """The patterns of `[knowledge] local_only`, with the files and folders that they mean in one folder."""

    folder: Path
    globs: tuple[Glob, ...] = ()
    nearest: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    """The most similar paths for each pattern that matches nothing."""
    patterns: tuple[str, ...] = ()
    """The patterns as the owner wrote them."""

    def covers(self, path: str) -> bool:
        """Whether a file is local-only by these patterns."""
        return any(glob.covers(path) for glob in self.globs)

    def may_cover(self, path: str) -> bool:
        """Whether a path is local-only by any interpretation of these patterns.

        The path need not exist, or be relative to the folder: it may be that of a file that was deleted or renamed, or
        come from somebody else's retriever. Where the interpretation is not certain, more is covered.
        """
        names = names_of(path, self.folder)
        return any(self.covers(name) for name in names) or covers_by_name(self.patterns, self.folder, names)

    @property
    def rules(self) -> tuple[str, ...]:
        """A description of the resolved patterns. If it differs from the last update's, all files are indexed again."""
        readings = (" or ".join(glob.texts) + " in any case" * glob.folded for glob in self.globs)
        return (*readings, *(f"{pattern} names nothing" for pattern in self.nearest))

    def error(self) -> UnmatchedPatternError:
        """The error for the patterns that match nothing."""
        patterns = ", ".join(f"{pattern!r}{_nearest(paths)}" for pattern, paths in self.nearest.items())
        return UnmatchedPatternError(
            f"Patterns of [knowledge] local_only name nothing in {str(self.folder)!r}: {patterns}.",
            nearest=self.nearest,
            remedy="Correct or remove them. A pattern is a path relative to that folder ('private', 'a/b.md'), with "
            "the wildcards *, ** and ?. To name a folder that does not exist yet, create it first; it may be empty.",
        )

    def warn(self) -> str:
        """Log a warning about the patterns that match nothing. Returns the text of the warning."""
        text = f"{self.error().message} What the index has marked stays marked."
        _logger.warning("%s", text)
        return text


def covers_by_name(patterns: Sequence[str], folder: Path, names: Collection[str]) -> bool:
    """Whether any interpretation of one of the patterns, in any case, matches one of `names`."""
    folded = {name.casefold() for name in names}
    return any(glob.covers(name) for pattern in patterns for glob in _readings(pattern, folder) for name in folded)


@lru_cache(maxsize=1024)
def _readings(pattern: str, folder: Path) -> tuple[Glob, ...]:
    """All interpretations of a pattern, with case ignored. No file need match them."""
    forms = forms_of(pattern, folder, (), folded=True)
    spelled = (one for form in forms for either in ([[form]], spelled_out(form)) for ones in either for one in ones)
    return tuple(Glob(widened(one, pattern), True) for one in dict.fromkeys(spelled) if one)


def names_of(path: str, folder: Path) -> list[str]:
    """The relative paths that a path may mean: of a file in the folder, with or without the folder's own name or an
    absolute path in front, with an anchor at its end, as an address."""
    path = path[:_LONGEST_PATH]
    plain = path.removeprefix("file://")
    written = dict.fromkeys((path, plain, unquote(plain), plain.partition("#")[0], unquote(plain.partition("#")[0])))
    forms = (forms_of(one, folder, (), folded=folded) for one in written for folded in (False, True) if one)
    names = dict.fromkeys(form for some in forms for form in some)
    with suppress(OSError, RuntimeError, ValueError):  # a link in the folder stands for what it leads to
        names[(folder / plain).resolve().relative_to(folder.resolve()).as_posix()] = None
    return [unicodedata.normalize("NFC", name) for name in names]


def _nearest(paths: Sequence[str]) -> str:
    return f" (nearest: {', '.join(map(repr, paths))})" if paths else ""


def local_only_in(found: Scan, folder: Path, patterns: Sequence[str]) -> LocalOnly:
    """Find out which files of `folder` the patterns mean. `found` is the result of `scan` for that folder."""
    files = [file.path for file in found.found]
    readings = {
        one: understood(one, folder, files, wide=True) or _elsewhere(one, folder, found, files) for one in patterns
    }
    known = _local_only(readings, folder, files)
    return replace(known, globs=(*known.globs, *_led_to_by_links(known, found)))


def local_only_of(files: Collection[str], folder: Path, patterns: Sequence[str]) -> LocalOnly:
    """Find out which of `files`, the files of an index, the patterns mean.

    The folder is listed only for patterns that match none of them; they may name a link or an empty folder.
    """
    readings = {pattern: understood(pattern, folder, files, wide=True) for pattern in patterns}
    left = [pattern for pattern, glob in readings.items() if glob is None]
    if left:
        with suppress(KnowledgeError):  # an index may be used without its folder
            everything = scan(folder, ignores=ignore_rules(folder, gitignore=False))
            seen = local_only_in(everything, folder, left)
            known = tuple(glob for glob in readings.values() if glob is not None)
            return LocalOnly(folder, (*known, *seen.globs), seen.nearest, tuple(patterns))
    return _local_only(readings, folder, files)


def unindexed_documents(
    folder: Path, found: Scan, covers: Callable[[str], bool], language: str, *, max_bytes: int = MAX_BYTES
) -> Iterator[tuple[str, str]]:
    """Yields path and digest of each markdown file that `covers` covers and that is not indexed, for example because it
    is excluded: a copy of it may be indexed.

    `found` is the scan of the folder. Files of more than `max_bytes` are left out, and so is what exceeds 20,000 files
    or 512 MB.
    """
    ignored = (path for paths in ignored_markdown(folder, found).values() for path in paths)
    paths = dict.fromkeys((*(one.path for one in found.skipped), *ignored))
    wanted = (path for path in paths if path.casefold().endswith(MARKDOWN) and covers(path))
    root, left = folder.resolve(), _MOST_BYTES
    for path in islice(wanted, _MOST_FILES):
        for name in dict.fromkeys((path, unicodedata.normalize("NFD", path))):
            with suppress(OSError, ValueError):
                place = root / name
                size = place.lstat().st_size
                if not place.is_symlink() and place.is_file() and size <= min(max_bytes, left):
                    left -= size
                    text = decoded(place.read_bytes(), language)
                    if text is not None and (digest := document_digest(text[0])):
                        yield path, digest


def files_below(folder: Path, *, most: int = _MOST_ENTRIES) -> Iterator[Path | None]:
    """Yields all regular files below a folder, also hidden ones and those behind symbolic links, by the path that led
    there. Of links that lead in a circle, each folder is entered once on a path.

    Yields None as its last value if there are more than `most` files and folders.
    """
    root = folder.resolve()
    left: list[tuple[Path, tuple[str, ...]]] = [(root, (str(root),))]
    while left:
        place, above = left.pop()
        with suppress(OSError), os.scandir(place) as entries:
            for entry in entries:
                most -= 1
                if most < 0:
                    yield None
                    return
                with suppress(OSError, RuntimeError):
                    if not entry.is_dir():
                        if entry.is_file():
                            yield place / entry.name
                    elif entry.is_symlink():
                        real = str((place / entry.name).resolve())
                        if real not in above:
                            left.append((place / entry.name, (*above, real)))
                    else:
                        left.append((place / entry.name, (*above, f"{above[-1]}{os.sep}{entry.name}")))


def image_digests(folder: Path, covers: Callable[[str], bool]) -> Iterator[tuple[str, str]]:
    """Yields path and SHA-256 of each image that `covers` covers: it is recognised by them after it was moved.

    What exceeds 20,000 images or 512 MB is left out.
    """
    root, left = folder.resolve(), _MOST_BYTES
    places = (one for one in files_below(root) if one is not None and one.suffix.casefold() in _IMAGES)
    names = ((one, unicodedata.normalize("NFC", one.relative_to(root).as_posix())) for one in places)
    for place, name in islice((one for one in names if covers(one[1])), _MOST_FILES):
        with suppress(OSError):
            state = place.stat()
            if state.st_size <= left:
                left -= state.st_size
                yield name, _digest(place, state.st_size, state.st_mtime_ns)


@lru_cache(maxsize=_MOST_FILES)
def _digest(path: Path, size: int, mtime: int) -> str:
    """The SHA-256 of a file. An agent that keeps its index up to date does not read an unchanged image again."""
    return sha256_of(path)


def sha256_of(path: Path) -> str:
    found = hashlib.sha256()
    with path.open("rb") as file:
        while block := file.read(_CHUNK):
            found.update(block)
    return found.hexdigest()


def _led_to_by_links(known: LocalOnly, found: Scan) -> Iterator[Glob]:
    """Globs for what the symbolic links lead to that are local-only: files are indexed under their real paths."""
    root = known.folder.resolve()
    for link in (one.path for one in found.skipped if one.reason == "linked"):
        if known.covers(link):
            with suppress(OSError, RuntimeError, ValueError):
                target = (root / link).resolve().relative_to(root).as_posix()
                yield Glob((unicodedata.normalize("NFC", target).casefold() if target != "." else "**",), True)


def _local_only(readings: Mapping[str, Glob | None], folder: Path, files: Collection[str]) -> LocalOnly:
    """`readings` has the interpretation of each pattern. A pattern that has none is wrong, but parts of it may match:
    `{private,prvate}/**`."""
    partly = (glob for pattern, glob in readings.items() if glob is None for glob in _readings(pattern, folder))
    return LocalOnly(
        folder,
        (*(glob for glob in readings.values() if glob is not None), *partly),
        {pattern: nearest_paths(pattern, files) for pattern, glob in readings.items() if glob is None},
        tuple(readings),
    )


def _elsewhere(pattern: str, folder: Path, found: Scan, files: Sequence[str]) -> Glob | None:
    """Resolve a pattern that matches no markdown file: it may name a link, an empty folder, another kind of file, or a
    path in a folder that cannot be listed. None if it names none of them."""
    for folded in (False, True):
        forms = forms_of(pattern, folder, _folded(files, folded), folded=folded)
        for form in forms:
            for target in _led_to(form, folder, found, folded):
                glob = Glob((target,), folded)
                if any(map(glob.covers, files)):
                    return glob
        for form in forms:
            glob = Glob(widened(form, pattern), folded)
            # Files in hidden folders must be named by their whole path: `index` does not match `.git/index`.
            skipped = any(glob.covers(one.path) for one in found.skipped if "/." not in f"/{one.path}")
            if form == "**" or skipped or lies(folder, form) or _is_unlisted(form, found):
                return glob
            if any(glob.covers(path) for paths in ignored_markdown(folder, found).values() for path in paths):
                return glob
    return None


def _folded(names: Sequence[str], folded: bool) -> Collection[str]:
    return {name.casefold() for name in names} if folded else names


def _led_to(form: str, folder: Path, found: Scan, folded: bool) -> Iterator[str]:
    """Yields the real paths for a path that begins with a symbolic link, because files are indexed under these.

    `form` is the path, an interpretation of a pattern. If `folded` is True, it is case-folded, and so is the result.
    """
    root = folder.resolve()
    for link in (one.path for one in found.skipped if one.reason == "linked"):
        name = link.casefold() if folded else link
        if form == name or form.startswith(f"{name}/"):
            with suppress(OSError, RuntimeError, ValueError):
                target = unicodedata.normalize("NFC", (root / link).resolve().relative_to(root).as_posix())
                names = ("" if target == "." else target.casefold() if folded else target, form[len(name) + 1 :])
                yield "/".join(filter(None, names)) or "**"


def _is_unlisted(form: str, found: Scan) -> bool:
    """Whether `form`, an interpretation of a pattern, may match a file in a folder that could not be listed."""
    known = form.partition("*")[0].partition("?")[0]
    unlisted = (folder for folder, _ in found.unlisted)
    return any(folder == "" or form.startswith(f"{folder}/") or folder.startswith(known) for folder in unlisted)
