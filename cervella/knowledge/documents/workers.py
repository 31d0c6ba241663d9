"""Worker processes for calls that may take too long. A worker runs one call at a time, and can be killed.

multiprocessing is not used, because its workers would run the user's main script again if it lacks a `__name__` guard.
"""

from __future__ import annotations

import gc
import importlib
import pickle
import signal
import struct
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from typing import IO, Any

FAILURES = (OSError, EOFError, pickle.UnpicklingError)
"""The exceptions of a call whose process could not be started, or ended before it returned a result."""


class NotStartedError(OSError):
    """The system starts no process."""


class TookTooLongError(BaseException):
    """A block of `interrupted_after` used more processor time. No `Exception`, so that no catch-all in it stops it."""


_SIZE = struct.Struct(">Q")
_EXTRA_SECONDS = 60.0  # of wall time, beyond four times the limit of processor time


class Worker:
    """One process, started by the first call, and again after it ended. Not thread-safe. Close it."""

    def __init__(self) -> None:
        self._process: subprocess.Popen[bytes] | None = None

    def call(self, function: str, *arguments: Any, budget_seconds: float) -> Any:
        """Call a function of this package in the process, and return its result. `function` is `module:name`.

        Arguments and result must be picklable. The function itself must limit its processor time with `stopped_after`.
        A process that takes far more wall time than `budget_seconds` is killed. If the process ends without a result,
        one of FAILURES is raised.
        """
        process = self._process = self._process or _start()
        assert process.stdin is not None
        assert process.stdout is not None
        # Processor time is counted, so that the result does not depend on the machine's load. Windows cannot count it.
        wall = 4 * budget_seconds + (_EXTRA_SECONDS if hasattr(signal, "setitimer") else 1)
        guard = threading.Timer(wall, process.kill)
        guard.start()
        try:
            _send(process.stdin, (function, arguments))
            return _receive(process.stdout)
        except BaseException:  # also an interruption: the next call must not get the result of this one
            self.close()
            raise
        finally:
            guard.cancel()

    def kill(self) -> None:
        """End the process from another thread. The running call fails. `close` is still needed afterwards."""
        process = self._process
        if process is not None:
            process.kill()

    def close(self) -> None:
        """End the process, if there is one."""
        if self._process is not None:
            self._process.kill()
            self._process.communicate()
            self._process = None


@contextmanager
def stopped_after(seconds: float) -> Iterator[None]:
    """Let the system end this process if the block uses more processor time. Without effect on Windows.

    It ends during any code, also that of a library in C. Blocks may be nested.
    """
    if not hasattr(signal, "setitimer"):
        yield
        return
    signal.signal(signal.SIGPROF, signal.SIG_DFL)
    begun = time.process_time()
    outer = signal.getitimer(signal.ITIMER_PROF)[0]
    signal.setitimer(signal.ITIMER_PROF, min(seconds, outer or seconds))
    yield
    left = max(outer - (time.process_time() - begun), 1e-3) if outer else 0
    signal.setitimer(signal.ITIMER_PROF, left)


@contextmanager
def interrupted_after(seconds: float) -> Iterator[None]:
    """Raise TookTooLongError in the block if this thread uses more processor time in it.

    For a block that must run in the caller's process. It interrupts Python code and regular expressions. Python runs
    signal handlers in the main thread only, so it has no effect in another one, nor on Windows, nor if the program
    itself uses the timer of the process's processor time.
    """
    main = threading.current_thread() is threading.main_thread()
    if not main or not hasattr(signal, "setitimer") or signal.getsignal(signal.SIGVTALRM) != signal.SIG_DFL:
        yield
        return
    until: float | None = time.thread_time() + seconds

    def look(*_: object) -> None:
        nonlocal until
        # The timer counts all threads, such as those that embed in the background.
        if until is not None and time.thread_time() >= until:
            until = None
            raise TookTooLongError

    signal.signal(signal.SIGVTALRM, look)
    signal.setitimer(signal.ITIMER_VIRTUAL, seconds, max(seconds / 10, 0.01))
    try:
        yield
    finally:
        until = None
        signal.setitimer(signal.ITIMER_VIRTUAL, 0)
        signal.signal(signal.SIGVTALRM, signal.SIG_DFL)


def _start() -> subprocess.Popen[bytes]:
    code = f"import sys; sys.path[:] = {sys.path!r}; from cervella.knowledge.documents import workers; workers._serve()"
    try:
        return subprocess.Popen(
            [sys.executable, "-c", code], stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL
        )
    except OSError as error:
        raise NotStartedError(*error.args) from error


def _send(stream: IO[bytes], value: Any) -> None:
    data = pickle.dumps(value, pickle.HIGHEST_PROTOCOL)
    stream.write(_SIZE.pack(len(data)) + data)
    stream.flush()


def _receive(stream: IO[bytes]) -> Any:
    (size,) = _SIZE.unpack(_exactly(stream, _SIZE.size))
    return pickle.loads(_exactly(stream, size))


def _exactly(stream: IO[bytes], size: int) -> bytes:
    data = stream.read(size)
    if len(data) < size:
        raise EOFError
    return data


def _serve() -> None:
    """The worker's main loop: read a call from stdin, write its result to stdout, until stdin is closed."""
    gc.disable()  # parsing makes no reference cycles, and the search for them takes a third of its time
    with suppress(EOFError):
        while True:
            function, arguments = _receive(sys.stdin.buffer)
            module, _, name = function.partition(":")
            _send(sys.stdout.buffer, getattr(importlib.import_module(module), name)(*arguments))
