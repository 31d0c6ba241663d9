"""Estimates the tokens of a prompt, and judges from a server's count whether it read all of them."""

from __future__ import annotations

import math
import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal, TypeAlias

from cervella.prompt.layout import estimate_tokens
from cervella.types import Message

_TEMPLATE_TOKENS = 8
"""Of one message."""
_STEP = 2048
"""Windows grow by this: a server loads the model anew for each size."""
_MARGIN = 1.25
"""How far a prompt may be larger than it was estimated."""
_LEAST_SHARE = 0.75
"""Of the tokens that a text of this model was seen to have for its length."""
_LEARNT_FROM = 200
"""Characters: in a shorter prompt the template counts for too much."""
_ALIKE = 1.2
"""Two texts are alike where neither tokens by the word nor bytes by the character differ by more than this factor."""
_SAME = 1.05
"""A prompt that is estimated to be larger by no more than this factor is no larger."""
_LEAST_COUNT = 512
"""Tokens: no server in use cuts to so little, so a smaller count is a placeholder or leaves out what was cached."""
_WINDOWS = tuple(2**n for n in range(11, 19))
_KEPT = 40
"""Tokens that a server may keep of a prompt's beginning, beside the half of its window: `num_keep`."""
_HALVED = 1.4
"""A prompt that was cut to the half had nearly twice the tokens; an estimate may be too low by a third."""
Reading: TypeAlias = Literal["whole", "cut", "doubtful"]
"""How much of a prompt was read; `doubtful` where the count is one that a cut often leaves."""

_SHORT = 256
_MOST_CHARACTERS = 7
"""For each token of a short text."""

_ASCII_SIGNS = r"!-/:-@\[-`{-~"
_WORD = re.compile(rf"[{_ASCII_SIGNS}]?[^\s\d{_ASCII_SIGNS}]+|\d{{1,4}}|[{_ASCII_SIGNS}]+")
"""In every vocabulary at least one token: a word with one punctuation sign before it, four digits, a run of signs."""
_IDEOGRAPH = re.compile(r"[\u3040-\u30ff\u3400-\u9fff\uf900-\ufaff]")
_CHARACTERS_AN_IDEOGRAPHIC_TOKEN = 3
"""At most: vocabularies reach 1.8 on Chinese text."""


@dataclass(frozen=True, slots=True, kw_only=True)
class _Text:
    """A prompt's text, measured without a vocabulary."""

    characters: int
    size: int
    """Bytes in UTF-8."""
    words: int
    """The fewest tokens that a vocabulary makes of it."""

    @property
    def least(self) -> float:
        """Fewer tokens than these are not all of it. Of a short text, which no window cuts, much less is enough."""
        return self.words if self.words >= _SHORT else min(self.words, self.characters / _MOST_CHARACTERS)

    @property
    def middling(self) -> float:
        """Tokens of a common vocabulary: a token for three characters, and half a token for each byte beyond ASCII."""
        return self.characters / 3 + (self.size - self.characters) / 2

    def alike(self, other: _Text) -> bool:
        by_word = (self.words / self.characters) / (other.words / other.characters)
        by_byte = (self.size / self.characters) / (other.size / other.characters)
        return all(1 / _ALIKE <= factor <= _ALIKE for factor in (by_word, by_byte))


class PromptMeter:
    """Estimates the tokens of prompts for one model, and learns from what the server reports that it read."""

    def __init__(self) -> None:
        self._ratio: float | None = None
        """Tokens for each character, as last seen."""
        self._learnt: _Text | None = None
        """Where the ratio was seen."""
        self._largest = 0
        """Tokens of the largest prompt that was read whole."""
        self._loaded: int | None = None
        """The window that the server really gave."""
        self._window = 0
        self._leaves_out_cached = False
        """The server counts only what it had to compute."""

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

    def is_sure(self, messages: Sequence[Message], room: int, window: int | None = None) -> bool:
        """Whether a prompt of this length will be read whole, as far as can be known before.

        `window` is the one that was asked for; None where none can be asked for.
        """
        if self._ratio is None:
            return False
        tokens, given = self.tokens(messages), self._loaded
        honoured = given is not None and given >= (window or 0)
        return tokens <= self._largest or (honoured and tokens * 1.1 + room <= (window or given or 0))

    def reading(
        self,
        messages: Sequence[Message],
        seen: int,
        room: int,
        window: int | None = None,
        *,
        cached: int = 0,
    ) -> Reading:
        """What `seen` tokens are of these messages. `cached` came from a cache, and `seen` may leave them out."""
        text = _text(messages)
        if seen + cached < _LEAST_COUNT or not text.words:
            return "whole"
        expected, known = self._expected(text)
        given = min(size for size in (window, self._loaded, math.inf) if size)
        if window is not None and seen >= given:
            return "cut"
        if window is not None and given < window and expected + room > given and expected > seen * 1.1:
            return "cut"
        if seen + cached < max(text.least, expected * _LEAST_SHARE if known else 0.0):
            if self._ratio is not None and text.characters * self._ratio <= self._largest * _SAME:
                self._leaves_out_cached = True  # it read as much before: this prompt's beginning is in its cache
            if not self._leaves_out_cached:
                return "cut"
        return "doubtful" if _is_a_window(seen, expected) else "whole"

    def learn(self, messages: Sequence[Message], seen: int) -> None:
        """A prompt was read whole."""
        text = _text(messages)
        if self._leaves_out_cached or (seen < _LEAST_COUNT and seen < text.least):
            return
        self._largest = max(self._largest, seen)
        if text.characters >= _LEARNT_FROM and text.words:
            self._ratio, self._learnt = seen / text.characters, text

    def missed(self, messages: Sequence[Message], seen: int) -> int:
        """About how many tokens a prompt has of which no more than `seen` were read."""
        return max(self.tokens(messages), _text(messages).words, seen + 1)

    def _expected(self, text: _Text) -> tuple[float, bool]:
        """Tokens of a text, and whether that is learnt from one like it."""
        if self._ratio is not None and self._learnt is not None and self._learnt.alike(text):
            return text.characters * self._ratio, True
        return text.middling, False


def _characters(messages: Sequence[Message]) -> int:
    return sum(len(message.content) for message in messages)


def _text(messages: Sequence[Message]) -> _Text:
    whole = "\n".join(message.content for message in messages)
    dense = sum(1 for _ in _IDEOGRAPH.finditer(whole))
    return _Text(
        characters=_characters(messages),
        size=len(whole.encode("utf-8", "replace")),
        words=sum(1 for _ in _WORD.finditer(whole)) + dense // _CHARACTERS_AN_IDEOGRAPHIC_TOKEN,
    )


def is_full_window(seen: int) -> bool:
    """Whether `seen` is the size of a common window: what a server has read that cuts a prompt to all that it has."""
    return seen in _WINDOWS


def _is_a_window(seen: int, expected: float) -> bool:
    """Whether `seen` is the size of a window, or what is left of one that was cut to its half and a little."""
    for size in _WINDOWS:
        if seen in (size, size - 1) and expected > seen * 1.1:
            return True
        if size // 2 <= seen <= size // 2 + _KEPT and expected > seen * _HALVED:
            return True
    return False
