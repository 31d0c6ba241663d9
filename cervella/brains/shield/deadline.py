"""The times of one answer."""

from __future__ import annotations

import time

from cervella.errors import ConfigError
from cervella.types import Timings

__all__ = ["Clock"]


class Clock:
    """Started with the question; `timeout` is in seconds, None for no limit."""

    def __init__(self, timeout: float | None) -> None:
        if timeout is not None and (not isinstance(timeout, (int, float)) or not timeout > 0):
            raise ConfigError(f"timeout is {timeout!r}.", remedy="Give seconds above 0, or None for no limit.")
        self._started = time.monotonic()
        self._timeout = timeout
        self._retrieved: float | None = None
        self._first_token: float | None = None

    def left(self) -> float | None:
        """Seconds that are left; None for no limit."""
        return None if self._timeout is None else max(0.0, self._timeout - (time.monotonic() - self._started))

    def retrieved(self) -> None:
        self._retrieved = time.monotonic() - self._started

    def token(self) -> None:
        if self._first_token is None:
            self._first_token = time.monotonic() - self._started

    def timings(self) -> Timings:
        return Timings(
            retrieval_seconds=self._retrieved,
            first_token_seconds=self._first_token,
            total_seconds=time.monotonic() - self._started,
        )
