"""Protects against the effects of `os.fork`: the child has the memory of its parent, but only the forking thread.

There are three dangers. A lock may be held by a thread that does not exist in the child. A library may wait forever for
its threads. And a child that inherits an open SQLite connection assumes that it has the file locks of its parent, so
that its writes are lost when the parent closes the file.
"""

from __future__ import annotations

import ctypes
import os
import threading
import weakref
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any, Generic, Protocol, TypeVar

T = TypeVar("T")

_PATIENCE_SECONDS = 10.0
"""Maximum seconds that a fork waits for running SQLite calls."""


class ForkLock:
    """A reentrant lock that is always free in a forked child."""

    def __init__(self) -> None:
        self._locks: dict[int, Any] = {}

    def __enter__(self) -> None:
        self._own().acquire()

    def _own(self) -> Any:
        pid = os.getpid()
        return self._locks.get(pid) or self._locks.setdefault(pid, threading.RLock())

    @contextmanager
    def within(self, seconds: float) -> Iterator[bool]:
        """Hold the lock in the block, if it is free within `seconds`. Gives whether it is held."""
        held = self._own().acquire(timeout=seconds)
        try:
            yield held
        finally:
            if held:
                self.__exit__()

    def __exit__(self, *_: object) -> None:
        own = self._locks.get(os.getpid())
        if own is not None:  # None: the process was forked while this was held
            own.release()


class PerProcess(Generic[T]):
    """A value that a forked child makes anew, such as a thread with its state, which the child does not have."""

    def __init__(self, make: Callable[[], T], end: Callable[[T], object]) -> None:
        """`end` is called with the value when this object is garbage collected, and at the end of the process.

        The value must not refer to the owner of this object, which could then never be garbage collected. A child also
        calls `end` with the value of its parent.
        """
        self._make = make
        self._end = end
        self._renewing = ForkLock()
        self._made = self._new()

    def _new(self) -> tuple[int, T]:
        value = self._make()
        weakref.finalize(self, self._end, value)
        return os.getpid(), value

    def here(self) -> T:
        """The value of this process."""
        if self._made[0] != os.getpid():
            with self._renewing:
                if self._made[0] != os.getpid():
                    self._made = self._new()
        return self._made[1]


class LibraryThreads:
    """Records the process in which a native library started its threads. A forked child must not call the library."""

    def __init__(self) -> None:
        self._pids: set[int] = set()

    def started(self) -> None:
        """Record that the library has started its threads in this process."""
        self._pids.add(os.getpid())

    @property
    def lost(self) -> bool:
        """Whether the threads were started in a parent process, so that a call of the library would never return."""
        return bool(self._pids - {os.getpid()})


def immortal(value: object) -> None:
    """Keep an object alive forever, even at exit, because its destructor would wait for threads that do not exist."""
    ctypes.pythonapi.Py_IncRef(ctypes.py_object(value))


class _Closable(Protocol):
    def close(self) -> None: ...


class _Gate:
    """Use `with unforked:` around each use of a SQLite connection: a fork in another thread waits until its end.

    `idle` contains the objects that keep a connection open between calls. They are closed before each fork and open a
    new connection when they need it.
    """

    def __init__(self) -> None:
        self.idle: weakref.WeakSet[_Closable] = weakref.WeakSet()
        self._changed = threading.Condition()
        self._inside: dict[int, int] = {}
        """By thread id, the number of `with` blocks that the thread is in."""
        self._forking = False

    def __enter__(self) -> None:
        me = threading.get_ident()
        with self._changed:
            while self._forking and me not in self._inside:
                self._changed.wait()
            self._inside[me] = self._inside.get(me, 0) + 1

    def __exit__(self, *_: object) -> None:
        me = threading.get_ident()
        with self._changed:
            count = self._inside.pop(me, 1) - 1
            if count:
                self._inside[me] = count
            if self._forking:
                self._changed.notify_all()

    def before(self) -> None:
        self._changed.acquire()
        self._forking = True
        if self._changed.wait_for(lambda: not self._others(), _PATIENCE_SECONDS):
            for one in list(self.idle):
                one.close()

    def in_parent(self) -> None:
        self._forking = False
        self._changed.notify_all()
        self._changed.release()

    def in_child(self) -> None:
        me = threading.get_ident()
        self._changed, self._forking = threading.Condition(), False
        self._inside = {me: self._inside[me]} if me in self._inside else {}

    def _others(self) -> set[int]:
        return set(self._inside) - {threading.get_ident()}


unforked = _Gate()
if hasattr(os, "register_at_fork"):  # Windows has no fork
    os.register_at_fork(before=unforked.before, after_in_parent=unforked.in_parent, after_in_child=unforked.in_child)
