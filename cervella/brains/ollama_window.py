"""How large a prompt is, and whether a server read all of it: Ollama tells only afterwards how many tokens it read."""

from __future__ import annotations

import math
from collections.abc import Sequence

from cervella.prompt import estimate_tokens
from cervella.types import Message

__all__ = ["PromptMeter"]

_TEMPLATE_TOKENS = 8
"""Of one message."""
_STEP = 2048
"""Windows grow by this: a server loads the model anew for each size."""
_MARGIN = 1.25
"""How far a prompt may be larger than it was reckoned."""
_MOST_CHARACTERS = 7
"""For each token, in a long text. Where fewer tokens were read than this gives, the prompt was cut."""
_LEAST_SHARE = 0.75
"""Of the tokens that a text of this model was seen to have for its length."""
_LEARNT_FROM = 200
"""Characters: in a shorter prompt the template counts for too much."""


class PromptMeter:
    """Reckons the tokens of prompts for one model, and learns from what the server says that it read."""

    def __init__(self) -> None:
        self._ratio: float | None = None
        """Tokens for each character, as last seen."""
        self._largest = 0
        """Tokens of the largest prompt that was read whole."""
        self._loaded: int | None = None
        """The window that the server really gave."""
        self._window = 0

    def tokens(self, messages: Sequence[Message]) -> int:
        """About how many tokens these messages are; until one was read, ceil(characters / 3)."""
        if self._ratio is None:
            return estimate_tokens(messages) + _TEMPLATE_TOKENS * len(messages)
        return math.ceil(_characters(messages) * self._ratio) + _TEMPLATE_TOKENS * len(messages)

    def window(self, messages: Sequence[Message], room: int, *, most: int) -> int:
        """The window to ask for. It never shrinks: to change it, a server loads the model again."""
        needed = math.ceil(self.tokens(messages) * _MARGIN) + room
        self._window = min(most, max(self._window, math.ceil(needed / _STEP) * _STEP))
        return self._window

    def loaded(self, window: int) -> None:
        """The server says which window it gave."""
        self._loaded = window

    def is_sure(self, messages: Sequence[Message], room: int, window: int) -> bool:
        """Whether a prompt of this length will be read whole, as far as can be known before."""
        if self._ratio is None:
            return False
        tokens = self.tokens(messages)
        honoured = self._loaded is not None and self._loaded >= window
        return tokens <= self._largest or (honoured and tokens * 1.1 + room <= window)

    def read_whole(self, messages: Sequence[Message], seen: int, room: int, window: int, *, learn: bool = True) -> bool:
        """Whether `seen` tokens are all of the messages. If so, it is learnt from."""
        characters, expected = _characters(messages), self.tokens(messages)
        least = characters / _MOST_CHARACTERS if self._ratio is None else characters * self._ratio * _LEAST_SHARE
        given = window if self._loaded is None else min(window, self._loaded)
        cut = (
            seen < least
            or seen >= given
            # A server that cuts fills its window, or half of it and a little.
            or (expected > seen * 1.1 and _is_a_window(seen))
            or (expected + room > given and expected > seen * 1.1 and given < window)
        )
        if not cut and learn:
            self._largest = max(self._largest, seen)
            if characters >= _LEARNT_FROM:
                self._ratio = seen / characters
        return not cut


def _characters(messages: Sequence[Message]) -> int:
    return sum(len(message.content) for message in messages)


def _is_a_window(tokens: int) -> bool:
    """Whether this is the size of a window, or what is left of one that was cut to its half."""
    return any(tokens in (size, size - 1, size // 2 + 1, size // 2 + 2) for size in (2**n for n in range(11, 19)))
