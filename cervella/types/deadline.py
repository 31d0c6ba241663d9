"""Measures the time of one answer: how much of its limit is left, and how long its stages have taken."""

from __future__ import annotations

import copy
import time

from cervella.errors import ConfigError
from cervella.types import Timings

_NO_LIMIT = float("inf")


class Deadline:
    """The time limits of one answer, in seconds. The clock starts when the object is created.

    `timeout` limits the whole answer, including retrieval and retries; None is no limit. Raises ConfigError if it is
    not above 0.
    """

    def __init__(self, timeout: float | None = None) -> None:
        number = isinstance(timeout, (int, float)) and not isinstance(timeout, bool)
        if timeout is not None and not (number and timeout > 0):
            raise ConfigError(f"timeout is {timeout!r}.", remedy="Give seconds above 0, or None for no limit.")
        self._started = time.monotonic()
        self._ends = _NO_LIMIT if timeout is None else self._started + timeout
        self.first_token = _NO_LIMIT
        """Maximum seconds from the call of an engine to its first text."""
        self.idle = _NO_LIMIT
        """Maximum seconds between two texts of a stream."""
        self._retrieved: float | None = None
        self._first_token: float | None = None

    @classmethod
    def of(cls, timeout: Deadline | float | None) -> Deadline:
        """Make a Deadline that ends `timeout` seconds from now. None is no limit; a Deadline is returned unchanged.

        Unlike the constructor, this accepts 0: the deadline has then already passed.
        """
        if isinstance(timeout, Deadline):
            return timeout
        made = cls()
        made._ends = _NO_LIMIT if timeout is None else made._started + timeout
        return made

    def narrowed(self, *, first_token: float | None = None, idle: float | None = None) -> Deadline:
        """A copy with the same end, but with stricter limits: `first_token` and `idle` are at most the given seconds.

        None leaves a limit as it is.
        """
        narrower = copy.copy(self)
        narrower.first_token = min(self.first_token, _NO_LIMIT if first_token is None else first_token)
        narrower.idle = min(self.idle, _NO_LIMIT if idle is None else idle)
        return narrower

    def left(self) -> float | None:
        """Seconds until the end, at least 0. None if there is no limit."""
        return None if self._ends == _NO_LIMIT else max(0.0, self._ends - time.monotonic())

    def tighter(self, own: float) -> tuple[float, bool]:
        """How many seconds a step may take whose own limit is `own`: the lower of `own` and the seconds left.

        The second value is True if the seconds left are the limit, False if `own` is.
        """
        left = max(0.0, self._ends - time.monotonic())
        return min(max(0.0, own), left), left <= own

    def retrieved(self) -> None:
        """Record that the retrieval has ended."""
        self._retrieved = time.monotonic() - self._started

    def token(self) -> None:
        """Record that a text has arrived. Only the first call has an effect."""
        if self._first_token is None:
            self._first_token = time.monotonic() - self._started

    def timings(self) -> Timings:
        """The seconds that each stage has taken so far."""
        return Timings(
            retrieval_seconds=self._retrieved,
            first_token_seconds=self._first_token,
            total_seconds=time.monotonic() - self._started,
        )
