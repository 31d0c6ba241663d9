"""The time that one answer has, and what it took so far."""

from __future__ import annotations

import copy
import time

from cervella.errors import ConfigError
from cervella.types import Timings

_NO_LIMIT = float("inf")


class Deadline:
    """Starts when it is made, with the question. All limits are in seconds; None is no limit.

    `timeout` is for the whole answer, retrieval and retries included. Raises ConfigError where it is not above 0.
    """

    def __init__(self, timeout: float | None = None) -> None:
        if timeout is not None and (not isinstance(timeout, (int, float)) or not timeout > 0):
            raise ConfigError(f"timeout is {timeout!r}.", remedy="Give seconds above 0, or None for no limit.")
        self._started = time.monotonic()
        self._ends = _NO_LIMIT if timeout is None else self._started + timeout
        self.first_token = _NO_LIMIT
        """For one engine to its first text, from when it is called."""
        self.idle = _NO_LIMIT
        """Between two texts."""
        self._retrieved: float | None = None
        self._first_token: float | None = None

    @classmethod
    def of(cls, timeout: Deadline | float | None) -> Deadline:
        """A deadline as it is; a number of seconds, or None, as one that starts now. 0 seconds are over at once."""
        if isinstance(timeout, Deadline):
            return timeout
        made = cls()
        made._ends = _NO_LIMIT if timeout is None else made._started + timeout
        return made

    def narrowed(self, *, first_token: float | None = None, idle: float | None = None) -> Deadline:
        """The same end, with these limits where they are lower than its own."""
        narrower = copy.copy(self)
        narrower.first_token = min(self.first_token, _NO_LIMIT if first_token is None else first_token)
        narrower.idle = min(self.idle, _NO_LIMIT if idle is None else idle)
        return narrower

    def left(self) -> float | None:
        """Seconds to the end, 0 or more; None for no limit."""
        return None if self._ends == _NO_LIMIT else max(0.0, self._ends - time.monotonic())

    def tighter(self, own: float) -> tuple[float, bool]:
        """The lower of `own` seconds and those left, and whether it is those left: the caller's limit."""
        left = max(0.0, self._ends - time.monotonic())
        return min(max(0.0, own), left), left <= own

    def retrieved(self) -> None:
        """The passages were found now."""
        self._retrieved = time.monotonic() - self._started

    def token(self) -> None:
        """A text came now; only the first one counts."""
        if self._first_token is None:
            self._first_token = time.monotonic() - self._started

    def timings(self) -> Timings:
        """What each stage took so far."""
        return Timings(
            retrieval_seconds=self._retrieved,
            first_token_seconds=self._first_token,
            total_seconds=time.monotonic() - self._started,
        )
