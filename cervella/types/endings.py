"""How engines say that an answer has ended, and which of their words end a whole one."""

from __future__ import annotations

from typing import Any

WHOLE = frozenset({"stop", "length"})
"""The endings of an answer that is one; `length` is cut at max_output_tokens, as was asked."""

_ENDINGS = {
    "stop": "stop",
    "end_turn": "stop",
    "stop_sequence": "stop",
    "eos_token": "stop",
    "length": "length",
    "max_tokens": "length",
    "model_context_window_exceeded": "length",
    "refusal": "refusal",
    # Not `content_filter`: a filter took text away. That the model refused, OpenAI says with a `refusal` of its own.
}


def ending_of(word: Any) -> Any:
    """An engine's word for the end as `stop`, `length` or `refusal`; any other word as it is: that answer is not whole.

    >>> ending_of("end_turn"), ending_of("max_tokens"), ending_of("abort")
    ('stop', 'length', 'abort')
    """
    return _ENDINGS.get(word, word) if isinstance(word, str) else word
