"""Lets each brain that failed rest for a while (a circuit breaker). Then one question, the probe, tests the brain."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass

from cervella.process.forks import ForkLock

FIRST_REST, LONGEST_REST = 30.0, 600.0
"""Seconds of the first rest, and of the longest. Each further failure doubles the rest."""


@dataclass(slots=True)
class _Rest:
    until: float
    seconds: float
    probing: bool = False


class Cooldown:
    """The brains that rest after a failure, by name. Thread-safe. `seconds` is the length of a brain's first rest."""

    def __init__(self, seconds: float = FIRST_REST, *, clock: Callable[[], float] = time.monotonic) -> None:
        self._seconds = seconds
        self._clock = clock
        self._lock = ForkLock()
        self._resting: dict[str, _Rest] = {}

    def may_try(self, name: str) -> bool:
        """Whether a brain may be asked now. After its rest only one caller may ask it: that question is the probe.

        A caller that got True must report the outcome: `failed`, `recovered`, or `released` where the outcome says
        nothing about the brain.
        """
        with self._lock:
            rest = self._resting.get(name)
            if rest is None:
                return True
            if rest.probing or self._clock() < rest.until:
                return False
            rest.probing = True
            return True

    def failed(self, name: str, *, seconds: float | None = None) -> None:
        """Let the brain rest for the first time, or for twice its last rest.

        `seconds` is the wait that the server asked for, at most ten minutes: the rest has at least this length.
        """
        with self._lock:
            former = self._resting.get(name)
            rest = self._seconds if former is None else min(2 * former.seconds, max(LONGEST_REST, self._seconds))
            asked = rest if seconds is None else min(max(seconds, 0.0), LONGEST_REST)
            self._resting[name] = _Rest(until=self._clock() + max(asked, rest), seconds=rest)

    def recovered(self, name: str) -> None:
        """End the rest of a brain that answered."""
        with self._lock:
            self._resting.pop(name, None)

    def released(self, name: str) -> None:
        """End a probe whose outcome says nothing about the brain: the caller left, or the prompt was too long."""
        with self._lock:
            if (rest := self._resting.get(name)) is not None:
                rest.probing = False

    def left(self, name: str) -> float:
        """Seconds until the end of the brain's rest; 0 if it does not rest."""
        with self._lock:
            rest = self._resting.get(name)
            return 0.0 if rest is None else max(0.0, rest.until - self._clock())
