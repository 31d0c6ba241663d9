"""Runs an event loop in the background, so that synchronous callers can run async code in scripts, threads and
notebooks."""

from __future__ import annotations

import contextlib
import os
import queue
import threading
from collections.abc import AsyncGenerator, Awaitable, Callable, Generator
from contextlib import AbstractContextManager, aclosing
from typing import TYPE_CHECKING, Any, TypeVar

from cervella.process.forks import PerProcess, immortal

if TYPE_CHECKING:
    from anyio.from_thread import BlockingPortal

T = TypeVar("T")


class _Portal:
    """The running loop and its thread. It has no reference to its BackgroundLoop: that object can then be garbage
    collected, and its finalizer stops the loop."""

    def __init__(self) -> None:
        self.pid = os.getpid()
        self.lock = threading.Lock()
        self.manager: AbstractContextManager[BlockingPortal] | None = None
        self.portal: BlockingPortal | None = None
        self.thread: int | None = None

    def stop(self) -> None:
        if self.pid != os.getpid():
            immortal(self.manager)  # after a fork, ending the loop would wait for a thread of the parent
            return
        with self.lock:
            manager, portal, self.manager, self.portal = self.manager, self.portal, None, None
        if manager is None or portal is None:
            return
        if threading.get_ident() == self.thread:
            # Garbage collection may run in the loop's own thread, which can't wait for its own end.
            threading.Thread(target=_end, args=(manager, portal), name="cervella-end").start()
        else:
            _end(manager, portal)


def _end(manager: AbstractContextManager[BlockingPortal], portal: BlockingPortal) -> None:
    # Cancels running tasks; otherwise __exit__ would wait for them.
    with contextlib.suppress(RuntimeError):
        portal.start_task_soon(portal.stop, True)
    manager.__exit__(None, None, None)


class BackgroundLoop:
    """Runs coroutines and async generators for synchronous callers, also while another event loop is running.

    The thread of the loop starts at the first call. It ends at `close`, or when this object is garbage collected. A
    call after `close` or in a forked child starts a new thread.
    """

    def __init__(self) -> None:
        self._state = PerProcess(_Portal, _Portal.stop)

    @property
    def running(self) -> bool:
        return self._state.here().portal is not None

    def _portal(self) -> BlockingPortal:
        from anyio.from_thread import start_blocking_portal

        state = self._state.here()
        with state.lock:
            if state.portal is None:
                manager = start_blocking_portal(name="cervella")
                state.portal = manager.__enter__()
                state.manager = manager
                state.thread = state.portal.call(threading.get_ident)
            return state.portal

    def run(self, work: Callable[[], Awaitable[T]]) -> T:
        """Run a coroutine and return its result. An exception in the caller, such as Ctrl-C, cancels it."""
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
        """Yield the items of an async generator as they arrive. Closing the returned generator also closes the async
        one."""
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
                    raise RuntimeError("the process was forked during the answer; only the parent can read it")
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
                # Wait until the engine has stopped.
                while kind == "item":
                    kind, _ = items.get()

    def close(self) -> None:
        """Stop the loop and its thread."""
        self._state.here().stop()
