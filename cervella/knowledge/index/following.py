"""Makes missing vectors in a background thread, so that no search waits for them."""

from __future__ import annotations

import logging
import os
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING

from cervella.errors import CervellaError, IndexLockedError
from cervella.knowledge.index.pace import Pace
from cervella.process.forks import PerProcess

if TYPE_CHECKING:
    from cervella.knowledge.index.writer import KnowledgeIndex
    from cervella.protocols import Embedder
    from cervella.types import Progress

_GIVE_WAY_SECONDS = 1.0
"""The longest time for which the thread waits for the searches that run now: the embedder serves one at a time."""
_END_SECONDS = 10.0
"""At the end of the process, the time to wait for the thread to stop."""

_logger = logging.getLogger("cervella.knowledge")


class _Abandoned(Exception):
    """Ends the work of the thread."""


class _State:
    """The thread and what it is told. It has no reference to its Follower: see `PerProcess`."""

    def __init__(self) -> None:
        self.pid = os.getpid()
        self.changed = threading.Condition()
        self.thread: threading.Thread | None = None
        self.again = False
        self.stopping = False
        self.abandoned = False
        self.searches = 0
        self.embedder: Embedder | None = None
        self.pace = Pace()

    @property
    def running(self) -> bool:
        return self.thread is not None and self.thread.is_alive()

    def stopped(self) -> bool:
        """Wait until no search runs, for a moment at most; then say whether the thread is to stop.

        Raises _Abandoned if the vectors made so far must not be stored either.
        """
        with self.changed:
            self.changed.wait_for(lambda: self.stopping or not self.searches, _GIVE_WAY_SECONDS)
            if self.abandoned:
                raise _Abandoned
            return self.stopping

    def abandon(self) -> None:
        """End the thread without storing anything: at the end of the process, Chroma can't start its own threads."""
        self.abandoned = True
        self.stop(_END_SECONDS)

    def stop(self, seconds: float | None = None) -> None:
        """Stop the thread after the texts that are being embedded, and wait for its end, or for `seconds`."""
        if self.pid != os.getpid():
            return  # the thread is one of the parent process
        with self.changed:
            self.stopping = True
            self.changed.notify_all()
            thread = self.thread
        if thread is not None and thread is not threading.current_thread():
            thread.join(seconds)


class Follower:
    """Makes the vectors that an index lacks, in a thread that starts when there is something to do.

    The thread stops at `stop`, when this object is garbage collected, and at the end of the process. A forked child has
    no thread of its parent, and starts its own.
    """

    def __init__(
        self, writer: Callable[[], KnowledgeIndex], *, seconds: float | None = None, progress: Progress | None = None
    ) -> None:
        """`writer` is called in the thread. Nothing is made if all missing vectors are estimated to take more than
        `seconds`; None: there is no limit.
        """
        self._writer = writer
        self._seconds = seconds
        self._progress = progress
        self._state = PerProcess(_State, _State.abandon)

    @property
    def running(self) -> bool:
        return self._state.here().running

    def seconds(self, chunks: int) -> float:
        """The estimated time for the vectors of `chunks`, by those that were made in this process if there are any."""
        return self._state.here().pace.seconds(chunks)

    def start(self, embedder: Embedder | None = None) -> None:
        """Make the vectors that are missing now. If the thread is at work, it looks again when it is done.

        `embedder` is the one of the index, if it is loaded already: a second one would need as much memory.
        """
        state = self._state.here()
        with state.changed:
            state.again, state.embedder = True, embedder
            if state.running:
                return
            state.stopping = False
            state.thread = threading.Thread(
                target=_follow,
                args=(state, self._writer, self._seconds, self._progress),
                name="cervella-vectors",
                daemon=True,
            )
            state.thread.start()

    @contextmanager
    def giving_way(self) -> Iterator[None]:
        """While the block runs, the thread begins no new texts, so that a search gets the embedder."""
        state = self._state.here()
        with state.changed:
            state.searches += 1
        try:
            yield
        finally:
            with state.changed:
                state.searches -= 1
                state.changed.notify_all()

    def finish(self) -> None:
        """Wait until the thread has made the vectors."""
        thread = self._state.here().thread
        if thread is not None:
            thread.join()

    def stop(self) -> None:
        """Stop after the texts that are being embedded. The vectors made so far are stored."""
        self._state.here().stop()

    def abandon(self) -> None:
        """Stop as at the end of the process: nothing more is stored. The vectors made so far may be in the cache."""
        self._state.here().abandon()


def _follow(
    state: _State, writer: Callable[[], KnowledgeIndex], seconds: float | None, progress: Progress | None
) -> None:
    while True:
        with state.changed:
            if not state.again or state.stopping:
                state.thread = None
                return
            state.again = False
        _attempt(state, writer, seconds, progress)


def _attempt(
    state: _State, writer: Callable[[], KnowledgeIndex], seconds: float | None, progress: Progress | None
) -> None:
    try:
        writer().update_vectors(
            embedder=state.embedder, seconds=seconds, stopped=state.stopped, pace=state.pace, progress=progress
        )
    except _Abandoned:
        pass
    except IndexLockedError as error:
        _logger.info("no vectors are made: %s", error.message)
    except CervellaError as error:
        _logger.warning("The missing vectors can't be made: %s %s", error.message, error.remedy or "")
    except Exception:  # a search must go on without vectors
        _logger.exception("the missing vectors can't be made")
