"""How the threads of OpenMP wait for work: for a moment awake, then asleep."""

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
    """Load a library inside: its OpenMP threads then wait for a thousand turns awake, and after that asleep.

    By default they spin for milliseconds, on cores that others need; with the policy `passive` they sleep at once, and
    are woken late. libgomp reads the two variables once, when the library that brings it is loaded, and each wheel may
    bring its own. Where the user set `GOMP_SPINCOUNT` or `OMP_WAIT_POLICY`, theirs holds. Afterwards the environment is
    as it was: programs that this process starts get what the user gave them.
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
