"""Keeps an index up to date while a program runs: the system reports changes of the folder, and a thread follows them.

The reports only say when to look. What changed is found as in a search, so that a lost or wrong report does no harm.
"""

from __future__ import annotations

import logging
import os
import threading
import time
import weakref
from collections.abc import Callable, Iterator
from pathlib import Path
from types import TracebackType
from typing import Self

import cervella.knowledge  # its names in annotations are imported when the hints are read
from cervella.errors import CervellaError, IndexLockedError
from cervella.knowledge.index.following import Follower
from cervella.types import IndexReport, Progress

_DEBOUNCE_SECONDS = 0.4
"""Changes that follow each other within this time are one update."""
_LONGEST_SECONDS = 5.0
"""An update begins at the latest this long after the first change, even if changes go on."""
_LOOK_SECONDS = 30.0
"""The folder is also looked at this often, because network drives report no changes."""
_AGAIN_SECONDS = 5.0
"""The time after which a failed update, or failed watching, is tried again."""
_TURN_SECONDS = 1.0
"""The longest wait for a report. What was written before the system began to report is found after the first one."""
_POLL_SECONDS = 2.0
"""The time between two looks at the folder if the system can't report changes."""
_END_SECONDS = 10.0
_BOOKKEEPING = frozenset({".git", ".cervella"})

_logger = logging.getLogger("cervella.knowledge.watching")


class Watch:
    """Keeps an index up to date in a `with` block, words first. Errors are logged and do not end it.

    Its threads end with the block, when it is garbage collected, and with the process. In a forked child it does
    nothing.
    """

    def __init__(
        self,
        writer: Callable[[], cervella.knowledge.KnowledgeIndex],
        folder: Path,
        index_dir: Path,
        *,
        on_update: Callable[[IndexReport], None] | None = None,
        progress: Progress | None = None,
    ) -> None:
        """`on_update` is called, in the watching thread, with the report of each update that changed something.

        `progress` is called with the step, the number of items done, and their total.
        """
        self._writer = writer
        self._folder = folder
        self._index_dir = index_dir
        self._on_update = on_update
        self._progress = progress
        self._state: _State | None = None

    def __enter__(self) -> Self:
        """Bring the index up to date, by words, and begin to watch. Raises the errors of `KnowledgeIndex.update`."""
        writer = self._writer()  # one for all updates, because it keeps the embedder
        report = writer.update_words(progress=self._progress)
        state = self._state = _State(lambda: writer, self._progress)
        weakref.finalize(self, _State.abandon, state)
        if report is not None and _has_changes(report) and self._on_update is not None:
            self._on_update(report)
        state.follower.start()
        state.thread = threading.Thread(
            target=_watch,
            args=(state, writer, self._folder, self._index_dir, self._on_update, self._progress),
            name="cervella-watch",
            daemon=True,
        )
        state.thread.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None = None,
        error: BaseException | None = None,
        traceback: TracebackType | None = None,
    ) -> None:
        self.close()

    def close(self) -> None:
        """Stop watching. Vectors that are being made are stored as far as they are made."""
        state, self._state = self._state, None
        if state is not None:
            state.stop()

    @property
    def running(self) -> bool:
        state = self._state
        return state is not None and state.pid == os.getpid() and state.thread is not None and state.thread.is_alive()


class _State:
    """The threads and what ends them. It has no reference to its Watch: see `BackgroundLoop`."""

    def __init__(self, writer: Callable[[], cervella.knowledge.KnowledgeIndex], progress: Progress | None) -> None:
        self.pid = os.getpid()
        self.ending = threading.Event()
        self.thread: threading.Thread | None = None
        self.follower = Follower(writer, progress=progress)

    def abandon(self) -> None:
        """End the threads. Vectors that are not stored yet are lost: see `Follower.abandon`."""
        self.follower.abandon()
        self.stop()

    def stop(self) -> None:
        if self.pid != os.getpid():
            return
        self.ending.set()
        self.follower.stop()
        if self.thread is not None and self.thread is not threading.current_thread():
            self.thread.join(_END_SECONDS)


def _watch(
    state: _State,
    writer: cervella.knowledge.KnowledgeIndex,
    folder: Path,
    index_dir: Path,
    on_update: Callable[[IndexReport], None] | None,
    progress: Progress | None,
) -> None:
    told = ""
    for _ in _occasions(state.ending, folder, index_dir):
        while not state.ending.is_set():
            try:
                if not writer.is_behind():
                    told = ""
                    break
                report = writer.update_words(progress=progress)
                if report is not None and _has_changes(report):
                    told = ""
                    if on_update is not None:
                        on_update(report)
                state.follower.start()
                break
            except IndexLockedError:
                state.ending.wait(_AGAIN_SECONDS)  # another process writes: look again when it may be done
            except CervellaError as error:
                if error.message != told:
                    told = error.message
                    _logger.warning("%s %s", error.message, error.remedy or "")
                break
            except Exception:  # the watch goes on, whatever one update did
                _logger.exception("the index can't be brought up to date")
                break


def _occasions(ending: threading.Event, folder: Path, index_dir: Path) -> Iterator[None]:
    """Yield soon after the system began to report changes, at each change, and every `_LOOK_SECONDS`, until the end."""
    import watchfiles

    root, own = folder.resolve(), index_dir.resolve()

    def counts(change: watchfiles.Change, path: str) -> bool:
        changed = Path(path)
        return not changed.is_relative_to(own) and not _BOOKKEEPING.intersection(changed.parts[len(root.parts) :])

    polling: bool | None = None
    while not ending.is_set():
        looked: float | None = None
        try:
            for changes in watchfiles.watch(
                root,
                watch_filter=counts,
                debounce=int(_LONGEST_SECONDS * 1000),
                step=int(_DEBOUNCE_SECONDS * 1000),
                rust_timeout=int(_TURN_SECONDS * 1000),
                yield_on_timeout=True,
                stop_event=ending,
                raise_interrupt=False,
                force_polling=polling,
                poll_delay_ms=int(_POLL_SECONDS * 1000),
                ignore_permission_denied=True,
            ):
                if ending.is_set():
                    return
                if changes or looked is None or time.monotonic() - looked >= _LOOK_SECONDS:
                    yield None
                    looked = time.monotonic()
        except Exception as error:  # the folder is gone, or the system's limit of watched folders is reached
            if polling is None:
                _logger.warning(
                    "The system can't report changes in %r: %s. The folder is searched for them instead.",
                    str(folder),
                    error,
                )
            polling = True
            ending.wait(_AGAIN_SECONDS)
            yield None


def _has_changes(report: IndexReport) -> bool:
    return bool(report.added or report.changed or report.removed)
