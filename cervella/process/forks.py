"""Forks: a child has the memory of all threads of its parent, and only the thread that forked.

A lock may then be held by a thread that is not there, and a library may wait for its threads for ever. SQLite keeps
the file locks of a process in its memory: a child that inherits an open connection believes that it holds locks that
only its parent has, and what the child writes is lost when the parent closes the file. This module prevents all three.
"""

from __future__ import annotations

import ctypes
import os
import threading
import weakref
from typing import Any, Protocol

_PATIENCE_SECONDS = 10.0
"""For calls that keep a fork waiting; then it goes on all the same."""


class ForkLock:
    """A reentrant lock that is free in a forked child, whichever thread held it in the parent."""

    def __init__(self) -> None:
        self._locks: dict[int, Any] = {}

    def __enter__(self) -> None:
        pid = os.getpid()
        (self._locks.get(pid) or self._locks.setdefault(pid, threading.RLock())).acquire()

    def __exit__(self, *_: object) -> None:
        own = self._locks.get(os.getpid())
        if own is not None:  # None: the process was forked while this was held
            own.release()


class LibraryThreads:
    """The threads that a native library starts. A child of the process that has them must not call the library."""

    def __init__(self) -> None:
        self._pids: set[int] = set()

    def started(self) -> None:
        """Say that this process has them from here on."""
        self._pids.add(os.getpid())

    @property
    def lost(self) -> bool:
        """Whether a process that this one was forked from has them: a call of the library would never return."""
        return bool(self._pids - {os.getpid()})


def immortal(value: object) -> None:
    """Never destroy this object, not even at exit: what destroys it would wait for threads that are not there."""
    ctypes.pythonapi.Py_IncRef(ctypes.py_object(value))


class _Closable(Protocol):
    def close(self) -> None: ...


class _Gate:
    """`with unforked:` around each use of a SQLite connection: no fork of any thread comes in between.

    `idle` are those that keep a connection between their calls: they are closed before each fork, and open another
    when they need one.
    """

    def __init__(self) -> None:
        self.idle: weakref.WeakSet[_Closable] = weakref.WeakSet()
        self._changed = threading.Condition()
        self._inside: dict[int, int] = {}
        """How often each thread has entered."""
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
