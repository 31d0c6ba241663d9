"""Work in a child process that may be killed, may crash, and never touches the parent's own state."""

from __future__ import annotations

import os
import pickle
import select
import signal
from collections.abc import Callable
from typing import Any

__all__ = ["Died", "finish_child", "run_in_child", "start_child"]

_PATIENCE = 300.0  # seconds after which a child hangs


class Died(Exception):
    """The child ended without a result: killed, or crashed."""

    def __init__(self, status: int) -> None:
        super().__init__(f"the child ended with status {status}")
        self.signal = os.WTERMSIG(status) if os.WIFSIGNALED(status) else None


def start_child(work: Callable[[], Any]) -> tuple[int, int]:
    """Fork. Gives the child's pid, and where its result will come."""
    reading, writing = os.pipe()
    pid = os.fork()
    if pid:
        os.close(writing)
        return pid, reading
    try:
        os.close(reading)
        try:
            result = (True, work())
        except BaseException as error:
            result = (False, error)
        with os.fdopen(writing, "wb") as pipe:
            pickle.dump(result, pipe)
    finally:
        os._exit(0)


def finish_child(pid: int, reading: int, *, kill_after: float | None = None) -> Any:
    """What the child's work gave, or raised. Raises Died where it was killed, by us or by its own fault."""
    with os.fdopen(reading, "rb") as pipe:
        if not select.select([pipe], [], [], _PATIENCE if kill_after is None else kill_after)[0]:
            os.kill(pid, signal.SIGKILL)
        data = pipe.read()
    _, status = os.waitpid(pid, 0)
    if not data or os.WIFSIGNALED(status):
        raise Died(status)
    good, result = pickle.loads(data)
    if good:
        return result
    raise result


def run_in_child(work: Callable[[], Any], *, kill_after: float | None = None) -> Any:
    """Do the work in a child, killed with SIGKILL after so many seconds."""
    return finish_child(*start_child(work), kill_after=kill_after)
