"""Which files only local and private brains may see, by the owner's patterns; and the patterns that name nothing."""

from __future__ import annotations

import logging
import unicodedata
from collections.abc import Collection, Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path

from cervella.errors import KnowledgeError, UnmatchedPatternError
from cervella.knowledge.documents.patterns import Glob, forms_of, lies, nearest_paths, understood, widened
from cervella.knowledge.documents.scan import Scan, scan

_logger = logging.getLogger("cervella.knowledge.local_only")


@dataclass(frozen=True, slots=True)
class LocalOnly:
    """The patterns of `[knowledge] local_only`, held against a folder."""

    folder: Path
    globs: tuple[Glob, ...] = ()
    nearest: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    """Of each pattern that names nothing the paths that are most like it."""

    def covers(self, path: str) -> bool:
        """Whether a file is marked."""
        return any(glob.covers(path) for glob in self.globs)

    @property
    def rules(self) -> tuple[str, ...]:
        """All that decides what is marked, but the files."""
        readings = (" or ".join(glob.texts) + " in any case" * glob.folded for glob in self.globs)
        return (*readings, *(f"{pattern} names nothing" for pattern in self.nearest))

    def error(self) -> UnmatchedPatternError:
        """What is said of the patterns that name nothing."""
        told = ", ".join(f"{pattern!r}{_nearest(paths)}" for pattern, paths in self.nearest.items())
        return UnmatchedPatternError(
            f"Patterns of [knowledge] local_only name nothing in {str(self.folder)!r}: {told}.",
            nearest=self.nearest,
            remedy="Correct them, or take them out: a pattern is a path from that folder ('private', 'a/b.md'), with "
            "*, ** and ? for what varies. For a folder that is still to come make the folder first, empty as it is.",
        )

    def warn(self) -> str:
        """Say it in the log, with what holds meanwhile."""
        text = f"{self.error().message} What the index has marked stays marked."
        _logger.warning("%s", text)
        return text


def _nearest(paths: Sequence[str]) -> str:
    return f" (nearest: {', '.join(map(repr, paths))})" if paths else ""


def local_only_in(found: Scan, folder: Path, patterns: Sequence[str]) -> LocalOnly:
    """The patterns held against the folder as it is."""
    files = [file.path for file in found.found]
    readings = {
        one: understood(one, folder, files, wide=True) or _elsewhere(one, folder, found, files) for one in patterns
    }
    return _local_only(readings, folder, files)


def local_only_of(files: Collection[str], folder: Path, patterns: Sequence[str]) -> LocalOnly:
    """The patterns held against the files of an index; only what names none of them is looked for in the folder."""
    readings = {pattern: understood(pattern, folder, files, wide=True) for pattern in patterns}
    left = [pattern for pattern, glob in readings.items() if glob is None]
    if left:
        with suppress(KnowledgeError):  # an index may be used where its folder is not
            seen = local_only_in(scan(folder), folder, left)
            known = tuple(glob for glob in readings.values() if glob is not None)
            return LocalOnly(folder, (*known, *seen.globs), seen.nearest)
    return _local_only(readings, folder, files)


def _local_only(readings: Mapping[str, Glob | None], folder: Path, files: Collection[str]) -> LocalOnly:
    return LocalOnly(
        folder,
        tuple(glob for glob in readings.values() if glob is not None),
        {pattern: nearest_paths(pattern, files) for pattern, glob in readings.items() if glob is None},
    )


def _elsewhere(pattern: str, folder: Path, found: Scan, files: Sequence[str]) -> Glob | None:
    """What a pattern that names no file to be indexed names all the same: a link, an empty folder, a file of another
    kind, or something in a folder that can't be listed."""
    for folded in (False, True):
        forms = forms_of(pattern, folder, _folded(files, folded), folded=folded)
        for form in forms:
            for target in _led_to(form, folder, found, folded):
                glob = Glob((target,), folded)
                if any(map(glob.covers, files)):
                    return glob
        for form in forms:
            glob = Glob(widened(form, pattern), folded)
            # What is hidden is named outright or not at all: `index` is no name for `.git/index`.
            skipped = any(glob.covers(one.path) for one in found.skipped if "/." not in f"/{one.path}")
            if form == "**" or skipped or lies(folder, form) or _is_unlisted(form, found):
                return glob
    return None


def _folded(names: Sequence[str], folded: bool) -> Collection[str]:
    return {name.casefold() for name in names} if folded else names


def _led_to(form: str, folder: Path, found: Scan, folded: bool) -> Iterator[str]:
    """What a form means whose first names are a symbolic link in the folder: the files are read where it leads to."""
    root = folder.resolve()
    for link in (one.path for one in found.skipped if one.reason == "linked"):
        name = link.casefold() if folded else link
        if form == name or form.startswith(f"{name}/"):
            with suppress(OSError, RuntimeError, ValueError):
                target = unicodedata.normalize("NFC", (root / link).resolve().relative_to(root).as_posix())
                names = ("" if target == "." else target.casefold() if folded else target, form[len(name) + 1 :])
                yield "/".join(filter(None, names)) or "**"


def _is_unlisted(form: str, found: Scan) -> bool:
    """Whether it may name something in a folder that could not be listed."""
    known = form.partition("*")[0].partition("?")[0]
    unlisted = (folder for folder, _ in found.unlisted)
    return any(folder == "" or form.startswith(f"{folder}/") or folder.startswith(known) for folder in unlisted)
