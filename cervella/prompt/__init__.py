"""Lays out prompts, finds the citation marks of an answer, and prepares the history of a conversation."""

from cervella.prompt.layout import (
    LAYOUT_VERSION as LAYOUT_VERSION,
    estimate_tokens as estimate_tokens,
    find_marks as find_marks,
    render as render,
    strip_marks as strip_marks,
    without as without,
)
