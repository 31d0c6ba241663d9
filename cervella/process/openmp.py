"""Limits how long idle OpenMP threads spin before they sleep."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager

from cervella.process.forks import ForkLock

_SPIN = "GOMP_SPINCOUNT"
_TURNS = "1000"
_POLICY = "OMP_WAIT_POLICY"
_loading = ForkLock()


@contextmanager
def short_spin() -> Iterator[None]:
    """Context manager for loading a library: its idle OpenMP threads then spin for 1,000 iterations before they sleep.

    By default they spin for milliseconds and use cores that other threads need. With the wait policy `passive` they
    sleep at once and wake up late. libgomp reads the environment variables once, when it is loaded, and each wheel may
    contain its own libgomp. If the user has set `GOMP_SPINCOUNT` or `OMP_WAIT_POLICY`, nothing is changed. Afterwards
    the environment is restored, so that child processes do not inherit the variable.
    """
    with _loading:
        if _SPIN in os.environ or _POLICY in os.environ:
            yield
            return
        os.environ[_SPIN] = _TURNS
        try:
            yield
        finally:
            os.environ.pop(_SPIN, None)
