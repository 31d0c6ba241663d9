"""Slot files: a soul's KV state on disk, named by what it was computed for and by its own digest.

The engine trusts what it loads, and may abort the process on a file that is not its own: so none is handed to it whose
digest is not in its name. A name is given by one rename, so a file is there whole or not at all.
"""

from __future__ import annotations

import contextlib
import hashlib
import json
import os
import struct
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from cervella.process.files import draft_of, make_private_folder, put_in_place

__all__ = ["SlotFiles", "slot_key"]

_SUFFIX = ".slot"
_MOST_FILES = 4
"""A soul of 1,500 tokens takes 34 MB under a model of 135 million parameters, some 220 MB under one of 4 billion."""
_HEAD = struct.Struct("<4s2I")
_MAGIC = b"qsgg"
_MARK = (-1, 1)
_MOST_EXTRA_WORDS = 8
"""Of its own that the engine writes around the tokens: marker, version, count before them, noughts behind."""


def slot_key(facts: Mapping[str, Any]) -> str:
    """One short name for everything that makes two KV states the same."""
    return hashlib.sha256(json.dumps(facts, sort_keys=True, default=str).encode()).hexdigest()[:24]


@dataclass(frozen=True, slots=True)
class SlotFiles:
    """The slot files of one folder, private to this user. Damaged and foreign ones are thrown away, never an error."""

    folder: Path

    def find(self, key: str) -> Path | None:
        """The sound file of this key; None where there is none. Reads it whole."""
        for path in sorted(self.folder.glob(f"{key}-*{_SUFFIX}")):
            with contextlib.suppress(OSError):
                if path.name == self._name(key, path):
                    os.utime(path)  # the last used are the last to go
                    return path
            self.remove(path)
        return None

    @contextlib.contextmanager
    def new(self) -> Iterator[Path]:
        """An empty file to write into; gone afterwards if it was not kept. Raises OSError."""
        make_private_folder(self.folder)
        with draft_of(self.folder / "state") as path:
            yield path

    def keep(self, path: Path, key: str, tokens: Sequence[int]) -> Path | None:
        """Give a written file its name, if it holds these tokens and no others. Raises OSError."""
        if not _holds_only(path, tokens):
            return None
        kept = self.folder / self._name(key, path)
        put_in_place(path, kept, durable=False)  # one that a crash cuts short has not its digest
        self._prune()
        return kept

    def remove(self, path: Path) -> None:
        with contextlib.suppress(OSError):
            path.unlink()

    def _name(self, key: str, path: Path) -> str:
        with path.open("rb") as file:
            return f"{key}-{hashlib.file_digest(file, 'sha256').hexdigest()[:32]}{_SUFFIX}"

    def _prune(self) -> None:
        with contextlib.suppress(OSError):
            files = sorted(self.folder.glob(f"*{_SUFFIX}"), key=lambda path: path.stat().st_mtime, reverse=True)
            for path in files[_MOST_FILES:]:
                self.remove(path)


def _holds_only(path: Path, tokens: Sequence[int]) -> bool:
    """Whether the head of a slot file lists these tokens and no others: no passage and no question may be in it."""
    with path.open("rb") as file:
        head = file.read(_HEAD.size)
        if len(head) < _HEAD.size:
            return False
        magic, _, count = _HEAD.unpack(head)
        if magic != _MAGIC or not 0 <= count - len(tokens) <= _MOST_EXTRA_WORDS:
            return False
        listed = file.read(4 * count)
    if len(listed) < 4 * count:
        return False
    words = struct.unpack(f"<{count}i", listed)
    plain = words == tuple(tokens)
    marked = words[:3] == (*_MARK, len(tokens)) and words[3 : 3 + len(tokens)] == tuple(tokens)
    return plain or (marked and not any(words[3 + len(tokens) :]))
