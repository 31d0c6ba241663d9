"""Finds which documents of an index supersede which: a document names the other, and the name fits exactly one.

It is done when an index is loaded, from what each document says (see replacing.py): so a changed document changes the
status of the others at once.
"""

from __future__ import annotations

import posixpath
import re
import unicodedata
from collections import defaultdict
from collections.abc import Mapping
from functools import lru_cache
from typing import Protocol
from urllib.parse import unquote

from cervella.knowledge.documents.naming import name_of
from cervella.knowledge.documents.replacing import without_fillers
from cervella.knowledge.documents.vocabulary import every_language
from cervella.text.folding import fold, words

_NOT_IN_FORCE = frozenset({"draft"})
"""A document with one of these statuses supersedes nothing yet."""
_LONGEST_NAME = 16  # words
_NUMBERED = re.compile(r"(?P<letters>[^\W\d_]{2,12})?[-_ #]*0*(?P<number>\d{1,6})(?!\d|[-_.]\d\d(?!\d))")
_RECORDS = frozenset({"adr", "adrs", "decisions", "decisioni", "rfc", "rfcs"})
"""Folders whose files may leave out the letters of their number: `adr/0007-name.md` is ADR-0007."""
_WORD = re.compile(r"[^\W_]+")
_ENDING = re.compile(r"\.(?:md|mdx|markdown|txt)$", re.IGNORECASE)


class Stating(Protocol):
    """What is read of a file here; `FileRow` has it."""

    @property
    def path(self) -> str: ...
    @property
    def title(self) -> str: ...
    @property
    def aliases(self) -> tuple[str, ...]: ...
    @property
    def status(self) -> str: ...
    @property
    def supersedes(self) -> tuple[str, ...]: ...
    @property
    def superseded_by(self) -> tuple[str, ...]: ...


def successors(files: Mapping[str, Stating]) -> dict[str, tuple[str, ...]]:
    """For each superseded file, by path, the files that supersede it.

    A name that fits no file or several is ignored, and so are two files that each supersede the other.
    """
    stating = [file for file in files.values() if file.supersedes or file.superseded_by]
    if not stating:
        return {}
    names = _Names(files)
    pairs: set[tuple[str, str]] = set()
    for file in stating:
        if file.status not in _NOT_IN_FORCE:
            pairs.update((file.path, old) for name in file.supersedes if (old := names.find(name, file.path)))
        found = (names.find(name, file.path) for name in file.superseded_by)
        pairs.update((new, file.path) for new in found if new and files[new].status not in _NOT_IN_FORCE)
    out: defaultdict[str, list[str]] = defaultdict(list)
    for new, old in sorted(pairs):
        if (old, new) not in pairs:
            out[old].append(new)
    return {old: tuple(new) for old, new in out.items()}


class _Names:
    """The names under which the files of an index are known."""

    def __init__(self, files: Mapping[str, Stating]) -> None:
        self._paths = {_folded(path): path for path in files}
        self._names: defaultdict[tuple[str, ...], set[str]] = defaultdict(set)
        self._numbers: defaultdict[tuple[str, int], set[str]] = defaultdict(set)
        """The files by the letters and the number of their name."""
        self._bare_numbers: defaultdict[tuple[str, int], set[str]] = defaultdict(set)
        """The files by their folder and the number of their name."""
        for path, file in files.items():
            stem = _ENDING.sub("", path.rsplit("/", 1)[-1])
            for name in (stem, name_of(path), file.title, *file.aliases):
                if key := tuple(words(name)[: _LONGEST_NAME + 1]):
                    self._names[key].add(path)
            for name in (stem, file.title):
                self._add_number(name, path)

    def _add_number(self, name: str, path: str) -> None:
        if (match := _NUMBERED.match(fold(name))) is None:
            return
        number = int(match["number"])
        self._numbers[match["letters"] or "", number].add(path)
        self._bare_numbers[path.rpartition("/")[0], number].add(path)
        if not match["letters"]:
            for folder in _RECORDS.intersection(fold(path).split("/")[:-1]):
                self._numbers[folder.removesuffix("s"), number].add(path)

    def find(self, name: str, home: str) -> str | None:
        """The one file that a name in the file `home` means; None if it fits none or several."""
        candidates = (
            self._by_path(name, home),
            self._names.get(tuple(words(_ENDING.sub("", name.strip())))),
            self._names.get(tuple(words(_ENDING.sub("", name.strip().rsplit("/", 1)[-1])))),
            self._by_beginning(name),
            self._by_number(name, home),
        )
        for found in candidates:
            if found and len(found) > 2:  # thousands of files may have one name
                return None
            if others := (found or set()) - {home}:
                return next(iter(others)) if len(others) == 1 else None
        return None

    def _by_path(self, name: str, home: str) -> set[str]:
        written = unquote(name.strip()).split("#")[0].lstrip("/")
        folder = home.rpartition("/")[0]
        for start in (folder, ""):
            path = _folded(posixpath.normpath(posixpath.join(start, written)))
            for one in (path, f"{path}.md"):
                if one in self._paths:
                    return {self._paths[one]}
        return set()

    def _by_beginning(self, name: str) -> set[str] | None:
        """The files whose name begins this text and ends where the name of a document may end."""
        folded = fold(name)
        found = list(_WORD.finditer(folded))[: 2 * _LONGEST_NAME]
        fillers = len(words(name)) - len(words(without_fillers(name)))
        for first, start in enumerate(found[: fillers + 1]):  # `il listino 2025` may be called `Listino 2025`
            for last in reversed(found[first : first + _LONGEST_NAME]):
                key = tuple(words(folded[start.start() : last.end()]))
                known = self._names.get(key)
                alone = len(key) == 1 and key[0] not in _document_words()
                if known and not alone and _after_a_name().match(folded, last.end()):
                    return known
        return None

    def _by_number(self, name: str, home: str) -> set[str]:
        text = fold(name).strip()
        match = _NUMBERED.match(text) or _NUMBERED.match(fold(without_fillers(name)).strip())
        if match is None:
            return set()
        number = int(match["number"])
        if match["letters"]:
            return self._numbers.get((match["letters"], number), set())
        if text.strip("# ").isdigit() or without_fillers(name).strip().isdigit():  # a bare number: of the same folder
            return self._bare_numbers.get((home.rpartition("/")[0], number), set())
        return set()


def _folded(path: str) -> str:
    return unicodedata.normalize("NFC", path).casefold()


@lru_cache(maxsize=1)
def _document_words() -> frozenset[str]:
    return frozenset(map(fold, every_language("document_words")))


@lru_cache(maxsize=1)
def _after_a_name() -> re.Pattern[str]:
    names = "|".join(map(re.escape, every_language("after_names")))
    return re.compile(rf"\s*(?:$|[^\w\s'’])|\s+(?:{names})\b")
