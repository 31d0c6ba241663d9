"""Processes of our own for work that can be too much: each answers one call at a time, and can be ended.

They import this package and nothing of the user's: multiprocessing would run the user's own script once more, whether
it is guarded by `__name__` or not.
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
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from typing import IO, Any

FAILURES = (OSError, EOFError, pickle.UnpicklingError)
"""What a call raises where there is no process, or it ended before it answered."""

_SIZE = struct.Struct(">Q")
_PATIENCE = 60.0  # seconds on the wall, where the processor's time is counted


class Worker:
    """One process, started at its first call and again after it ended. Not thread-safe. Close it."""

    def __init__(self) -> None:
        self._process: subprocess.Popen[bytes] | None = None

    def call(self, function: str, *arguments: Any, budget_seconds: float) -> Any:
        """What `module:function` of this package gives for arguments that can be pickled. Raises one of FAILURES.

        A process that takes far longer on the wall than its budget is ended; what it may work is for it to count, with
        `stopped_after`.
        """
        process = self._process = self._process or _start()
        assert process.stdin is not None
        assert process.stdout is not None
        # The child's own clock counts its work, so that a busy machine cuts a file like an idle one. Windows has none.
        wall = 4 * budget_seconds + (_PATIENCE if hasattr(signal, "setitimer") else 1)
        guard = threading.Timer(wall, process.kill)
        guard.start()
        try:
            _send(process.stdin, (function, arguments))
            return _receive(process.stdout)
        except FAILURES:
            self.close()
            raise
        finally:
            guard.cancel()

    def kill(self) -> None:
        """End the process from another thread: the call that is under way fails. `close` it all the same."""
        process = self._process
        if process is not None:
            process.kill()

    def close(self) -> None:
        """End the process, where there is one."""
        if self._process is not None:
            self._process.kill()
            self._process.communicate()
            self._process = None


@contextmanager
def stopped_after(seconds: float) -> Iterator[None]:
    """Have the system end this process when what is inside works for so long. Windows has no such clock.

    Not a handler: a regular expression lets none run.
    """
    timed = hasattr(signal, "setitimer")
    if timed:
        signal.signal(signal.SIGPROF, signal.SIG_DFL)
        signal.setitimer(signal.ITIMER_PROF, seconds)
    yield
    if timed:
        signal.setitimer(signal.ITIMER_PROF, 0)


def _start() -> subprocess.Popen[bytes]:
    code = f"import sys; sys.path[:] = {sys.path!r}; from cervella.knowledge.documents import workers; workers._serve()"
    return subprocess.Popen(
        [sys.executable, "-c", code], stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL
    )


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
    """What the process does: calls come in, answers go out, until nobody asks."""
    gc.disable()  # a parser makes many objects and no cycles: looking for cycles in them is a third of its time
    with suppress(EOFError):
        while True:
            function, arguments = _receive(sys.stdin.buffer)
            module, _, name = function.partition(":")
            _send(sys.stdout.buffer, getattr(importlib.import_module(module), name)(*arguments))
