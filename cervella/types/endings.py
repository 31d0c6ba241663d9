"""Translates the words that engines use for the end of an answer to `stop`, `length` or `refusal`."""

from __future__ import annotations

from typing import Any

WHOLE = frozenset({"stop", "length"})
"""The finish reasons of a usable answer. `length` is one of them, because the caller set max_output_tokens."""

_ENDINGS = {
    "stop": "stop",
    "end_turn": "stop",
    "stop_sequence": "stop",
    "eos_token": "stop",
    "length": "length",
    "max_tokens": "length",
    "model_context_window_exceeded": "length",
    "refusal": "refusal",
    # `content_filter` is not listed: a filter removed text. OpenAI reports a refusal in a separate field.
}


def ending_of(word: Any) -> Any:
    """Translate an engine's finish reason to `stop`, `length` or `refusal`. Other words are returned unchanged.

    >>> ending_of("end_turn"), ending_of("max_tokens"), ending_of("abort")
    ('stop', 'length', 'abort')
    """
    return _ENDINGS.get(word, word) if isinstance(word, str) else word
