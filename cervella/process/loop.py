"""One background event loop, for the sync face of an async core: it works in scripts, threads and notebooks alike."""

from __future__ import annotations

import contextlib
import os
import queue
import threading
import weakref
from collections.abc import AsyncGenerator, Awaitable, Callable, Generator
from contextlib import AbstractContextManager, aclosing
from typing import TYPE_CHECKING, Any, TypeVar

from cervella.process.forks import ForkLock, immortal

if TYPE_CHECKING:
    from anyio.from_thread import BlockingPortal

T = TypeVar("T")


class _Portal:
    """What has to be stopped; it knows nothing of who uses it, so that a finalizer can hold it."""

    def __init__(self) -> None:
        self.pid = os.getpid()
        self.lock = threading.Lock()
        self.manager: AbstractContextManager[BlockingPortal] | None = None
        self.portal: BlockingPortal | None = None
        self.thread: int | None = None

    def stop(self) -> None:
        if self.pid != os.getpid():
            immortal(self.manager)  # a fork: what ends the loop would wait for the thread, which is the parent's
            return
        with self.lock:
            manager, portal, self.manager, self.portal = self.manager, self.portal, None, None
        if manager is None or portal is None:
            return
        if threading.get_ident() == self.thread:
            # The last reference went in the loop's own thread, as garbage may; it can't wait for its own end.
            threading.Thread(target=_end, args=(manager, portal), name="cervella-end").start()
        else:
            _end(manager, portal)


def _end(manager: AbstractContextManager[BlockingPortal], portal: BlockingPortal) -> None:
    # Without this the exit would wait for every answer that is still being written.
    with contextlib.suppress(RuntimeError):
        portal.start_task_soon(portal.stop, True)
    manager.__exit__(None, None, None)


class BackgroundLoop:
    """Runs coroutines and async generators for callers that have no event loop, or are inside one.

    The loop's thread starts with the first call and ends with `close`, or with the last reference. After `close` the
    next call starts another; so does the first call in a forked child.
    """

    def __init__(self) -> None:
        self._renewing = ForkLock()
        self._state = self._new_state()

    def _new_state(self) -> _Portal:
        state = _Portal()
        weakref.finalize(self, _Portal.stop, state)
        return state

    def _here(self) -> _Portal:
        """The state of this process: the thread stays behind in a fork."""
        if self._state.pid != os.getpid():
            with self._renewing:
                if self._state.pid != os.getpid():
                    self._state = self._new_state()
        return self._state

    @property
    def running(self) -> bool:
        return self._here().portal is not None

    def _portal(self) -> BlockingPortal:
        from anyio.from_thread import start_blocking_portal

        state = self._here()
        with state.lock:
            if state.portal is None:
                manager = start_blocking_portal(name="cervella")
                state.portal = manager.__enter__()
                state.manager = manager
                state.thread = state.portal.call(threading.get_ident)
            return state.portal

    def run(self, work: Callable[[], Awaitable[T]]) -> T:
        """The result of a coroutine. Whatever interrupts the caller, Ctrl-C too, cancels it."""
        from concurrent.futures import CancelledError

        future = self._portal().start_task_soon(work)
        try:
            return future.result()
        except CancelledError:
            raise RuntimeError("closed while the answer was being written") from None
        except BaseException:
            future.cancel()
            raise

    def iterate(self, work: Callable[[], AsyncGenerator[T, None]]) -> Generator[T, None, None]:
        """The items of an async generator, as they come. A caller that stops early closes it."""
        items: queue.SimpleQueue[tuple[str, Any]] = queue.SimpleQueue()

        async def pump() -> None:
            try:
                async with aclosing(work()) as generator:
                    async for item in generator:
                        items.put(("item", item))
            except BaseException as error:
                items.put(("error", error))
                if not isinstance(error, Exception):
                    raise
            else:
                items.put(("end", None))

        future, pid = self._portal().start_task_soon(pump), os.getpid()
        kind = "start"
        try:
            while True:
                if pid != os.getpid():
                    raise RuntimeError("forked while the answer was being written: it is the parent's to read")
                kind, value = items.get()
                if kind == "end":
                    return
                if kind == "error":
                    if not isinstance(value, Exception):
                        raise RuntimeError("closed while the answer was being written") from value
                    raise value
                yield value
        finally:
            if pid == os.getpid():
                future.cancel()
                # The engine must have stopped when the caller goes on, so that nothing runs on unseen.
                while kind == "item":
                    kind, _ = items.get()

    def close(self) -> None:
        """Stop the loop and its thread."""
        self._here().stop()
