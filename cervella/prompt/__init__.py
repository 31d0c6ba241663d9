"""The prompt's layout, written and read back; and history as callers write it."""

from __future__ import annotations

from cervella.prompt.layout import (
    LAYOUT_VERSION,
    FoundMark,
    defuse_marks,
    estimate_tokens,
    find_marks,
    instructions_for,
    render,
    strip_marks,
    without,
)

__all__ = [
    "LAYOUT_VERSION",
    "FoundMark",
    "defuse_marks",
    "estimate_tokens",
    "find_marks",
    "instructions_for",
    "render",
    "strip_marks",
    "without",
]
