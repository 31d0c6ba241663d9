"""Brings an index up to date before a search, if that is quick, and lets its vectors follow."""

from __future__ import annotations

import logging
from collections.abc import Callable
from typing import TYPE_CHECKING, Literal, TypeAlias

from cervella.errors import CervellaError, IndexLockedError
from cervella.knowledge.index.following import Follower
from cervella.knowledge.index.freshness import Distance
from cervella.knowledge.index.pace import VECTORS_SECONDS, WORDS_SECONDS, words_seconds
from cervella.knowledge.index.snapshot import Snapshot
from cervella.knowledge.index.storage import Generation, IndexFolder
from cervella.process.forks import ForkLock

if TYPE_CHECKING:
    from cervella.knowledge.index.writer import KnowledgeIndex

Refresh: TypeAlias = Literal["auto", "warn", "off"]
"""What a search does about files that changed since the index was built.

`auto`: it indexes them first if that takes about a second, else it warns. `warn`: it counts them and warns. `off`: it
does not look.
"""

_WAIT_SECONDS = 1.0
"""The longest time for which a search waits for another one, or for another process, that updates the index."""

_logger = logging.getLogger("cervella.knowledge.refresh")


class Refresher:
    """Updates an index for the searches of this process. Thread-safe. It never raises an error: it warns."""

    def __init__(self, writer: Callable[[], KnowledgeIndex], storage: IndexFolder) -> None:
        """`writer` is called when there is something to write, because importing the writer takes time."""
        self._writer = writer
        self._storage = storage
        self._lock = ForkLock()
        self._tried: Distance | None = None
        self._locked_out: Generation | None = None
        self._told = ""
        self._followed: Generation | None = None
        self.follower = Follower(writer, seconds=VECTORS_SECONDS)

    def words(self, loaded: Snapshot, distance: Distance) -> None:
        """Index the files that changed, by words. `distance` is what `Freshness.look` found for `loaded`.

        Nothing is done after a roll-back, if it would take too long, or if more than half of the documents are gone. A
        search that comes while another one updates the index waits for it, for about a second at most.
        """
        chunks, generation = len(loaded.ids), loaded.generation
        if not distance.behind or words_seconds(chunks=chunks, changed_bytes=distance.changed_bytes) > WORDS_SECONDS:
            return
        with self._lock.within(_WAIT_SECONDS) as held:
            if not held or distance is self._tried:
                return
            self._tried = distance
            try:
                if self._storage.is_current(generation) and not self._storage.is_rolled_back:
                    # Another process may write for minutes. Each state of the index is waited for once.
                    wait = 0.0 if self._locked_out == generation else _WAIT_SECONDS
                    self._writer().update_words(seen=generation, seconds=WORDS_SECONDS, wait=wait)
            except IndexLockedError:
                self._locked_out = generation
            except CervellaError as error:
                self._tell(error)
            except Exception:  # the index of before can be searched
                _logger.exception("the index can't be brought up to date")

    def _tell(self, error: CervellaError) -> None:
        if error.message != self._told:
            self._told = error.message
            level = logging.WARNING if error.code == "too_many_removed" else logging.INFO
            _logger.log(level, "%s %s", error.message, error.remedy or "")

    def vectors(self, loaded: Snapshot) -> bool:
        """Let the thread make the vectors that `loaded` lacks, if they are few. Returns whether they are being made."""
        if not loaded.pending or loaded.embedder is None:
            return False
        try:
            if self._followed != loaded.generation:
                self._followed = loaded.generation
                if not self._storage.is_rolled_back and self._is_quick(loaded.pending):
                    self.follower.start(loaded.embedder)
            return self.follower.running or self._storage.is_being_written()
        except CervellaError:  # the index was deleted meanwhile
            return False

    def _is_quick(self, pending: int) -> bool:
        if self.follower.seconds(pending) <= VECTORS_SECONDS:
            return True
        # An edited file keeps most of its texts, whose vectors are in the cache.
        return self.follower.seconds(self._writer().unmade_vectors()) <= VECTORS_SECONDS
