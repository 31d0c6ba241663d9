"""The former name of `Deadline`."""

from __future__ import annotations

from cervella.types.deadline import Deadline as Clock

__all__ = ["Clock"]
