"""The time that is left for one answer."""

from __future__ import annotations

import time

from cervella.errors import ConfigError

__all__ = ["Deadline"]


class Deadline:
    """So many seconds from now, or None for no limit. Raises ConfigError for what is no such number."""

    def __init__(self, timeout: float | None) -> None:
        if timeout is not None and (not isinstance(timeout, (int, float)) or not timeout > 0):
            raise ConfigError(f"timeout is {timeout!r}.", remedy="Give seconds above 0, or None for no limit.")
        self._at = None if timeout is None else time.monotonic() + timeout

    def left(self) -> float | None:
        """Seconds that are left, 0 once it is past; None for no limit."""
        return None if self._at is None else max(0.0, self._at - time.monotonic())
