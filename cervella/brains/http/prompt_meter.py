"""Estimates the tokens of a prompt, and decides from a server's token count whether it read the whole prompt."""

from __future__ import annotations

import math
import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal, TypeAlias

from cervella.prompt.layout import estimate_tokens
from cervella.types import Message

_TEMPLATE_TOKENS = 8
"""Tokens that a chat template adds to each message, estimated."""
_STEP = 2048
"""Windows grow in steps of this many tokens, because a server loads the model again for each new size."""
_MARGIN = 1.25
"""The window has room for this multiple of the estimated prompt."""
_LEAST_SHARE = 0.75
"""If a server counts less than this share of the expected tokens, it has probably cut the prompt. Only used if the
ratio of tokens to characters is known from an earlier prompt."""
_LEARNT_FROM = 200
"""Minimum characters of a prompt from which the ratio is learnt: in a shorter one the template's tokens dominate."""
_ALIKE = 1.2
"""Two texts are similar, so that one ratio of tokens to characters is valid for both, if their words per character and
their bytes per character differ at most by this factor."""
_SAME = 1.05
"""A prompt counts as no larger than the largest one read so far if its estimated tokens are at most this factor times
the tokens of that one."""
_LEAST_COUNT = 512
"""A server's count below this number does not show a cut: no server cuts to so few tokens, so such a count is a
placeholder or leaves out cached tokens."""
_WINDOWS = tuple(2**n for n in range(11, 19))
"""Common window sizes, in tokens."""
_KEPT = 40
"""Ollama cuts to half of the window, and may keep up to this many tokens of the prompt's beginning (`num_keep`)."""
_HALVED = 1.4
"""A prompt may have been cut to half of the window if the expected tokens are more than this factor times the counted
ones. It is less than 2, because the expected tokens are an estimate."""
Reading: TypeAlias = Literal["whole", "cut", "doubtful"]
"""How much of a prompt the server read. `doubtful`: its count is one that a cut often leaves, such as a window's
size."""

_SHORT = 256
"""A text with fewer words than this counts as short: no window is small enough to cut it."""
_MOST_CHARACTERS = 7
"""Maximum characters of one token in a short text."""

_ASCII_SIGNS = r"!-/:-@\[-`{-~"
_WORD = re.compile(rf"[{_ASCII_SIGNS}]?[^\s\d{_ASCII_SIGNS}]+|\d{{1,4}}|[{_ASCII_SIGNS}]+")
"""Finds the parts of a text that are at least one token each in every vocabulary: a word with a punctuation sign before
it, up to four digits, or signs."""
_IDEOGRAPH = re.compile(r"[\u3040-\u30ff\u3400-\u9fff\uf900-\ufaff]")
_CHARACTERS_AN_IDEOGRAPHIC_TOKEN = 3
"""Maximum ideographs of one token; the best vocabularies reach 1.8 on Chinese text."""


@dataclass(frozen=True, slots=True, kw_only=True)
class _Text:
    """Sizes of a prompt's text that can be measured without the model's vocabulary."""

    characters: int
    size: int
    """Bytes in UTF-8."""
    words: int
    """The fewest tokens that any vocabulary makes of the text."""

    @property
    def least(self) -> float:
        """A count of fewer tokens than this shows that the text was cut."""
        return self.words if self.words >= _SHORT else min(self.words, self.characters / _MOST_CHARACTERS)

    @property
    def typical(self) -> float:
        """Estimated tokens: one for three characters, and half a token for each byte beyond ASCII."""
        return self.characters / 3 + (self.size - self.characters) / 2

    def alike(self, other: _Text) -> bool:
        by_word = (self.words / self.characters) / (other.words / other.characters)
        by_byte = (self.size / self.characters) / (other.size / other.characters)
        return all(1 / _ALIKE <= factor <= _ALIKE for factor in (by_word, by_byte))


class PromptMeter:
    """Estimates the tokens of prompts for one model, and learns from the counts that its server reports."""

    def __init__(self) -> None:
        self.loaded_window: int | None = None
        """The window with which the server loaded the model, in tokens; None while unknown."""
        self._ratio: float | None = None
        """Tokens per character in the last prompt that was read whole; None before the first one."""
        self._learnt: _Text | None = None
        """The text from which the ratio was learnt."""
        self._largest = 0
        """Tokens of the largest prompt that was read whole."""
        self._window = 0
        self._leaves_out_cached = False
        """Whether the server's counts leave out the tokens from its cache."""

    def tokens(self, messages: Sequence[Message]) -> int:
        """The estimated tokens of these messages; ceil(characters / 3) until the ratio is learnt."""
        if self._ratio is None:
            return estimate_tokens(messages) + _TEMPLATE_TOKENS * len(messages)
        return math.ceil(_characters(messages) * self._ratio) + _TEMPLATE_TOKENS * len(messages)

    def window(self, messages: Sequence[Message], room: int, *, most: int) -> int:
        """The window to request, in tokens, for these messages and an answer of `room` tokens; never more than `most`.

        It never shrinks, because a server loads the model again for a new size.
        """
        needed = math.ceil(self.tokens(messages) * _MARGIN) + room
        self._window = min(most, max(self._window, math.ceil(needed / _STEP) * _STEP))
        return self._window

    def is_sure(self, messages: Sequence[Message], room: int, window: int | None = None) -> bool:
        """Whether it is certain before the request that these messages will be read whole.

        `room` is the maximum length of the answer, and `window` is the requested window, in tokens; None where a
        request can't set one.
        """
        if self._ratio is None:
            return False
        tokens, given = self.tokens(messages), self.loaded_window
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
        """How much of these messages the server read, if it reports `seen` prompt tokens.

        `room` is the maximum length of the answer, in tokens, and `window` the requested window; None where a request
        can't set one. `cached` tokens came from the server's cache; `seen` may leave them out.
        """
        text = _text(messages)
        if seen + cached < _LEAST_COUNT or not text.words:
            return "whole"
        expected, learnt = self._expected(text)
        given = min(size for size in (window, self.loaded_window, math.inf) if size)
        if window is not None and seen >= given:
            return "cut"
        if window is not None and given < window and expected + room > given and expected > seen * 1.1:
            return "cut"
        if seen + cached < max(text.least, expected * _LEAST_SHARE if learnt else 0.0):
            if self._ratio is not None and text.characters * self._ratio <= self._largest * _SAME:
                # The server has read a prompt of this size whole before: now the beginning is in its cache.
                self._leaves_out_cached = True
            if not self._leaves_out_cached:
                return "cut"
        return "doubtful" if _is_a_window(seen, expected) else "whole"

    def learn(self, messages: Sequence[Message], seen: int) -> None:
        """Record that these messages were read whole, and have `seen` tokens."""
        text = _text(messages)
        if self._leaves_out_cached or (seen < _LEAST_COUNT and seen < text.least):
            return
        self._largest = max(self._largest, seen)
        if text.characters >= _LEARNT_FROM and text.words:
            self._ratio, self._learnt = seen / text.characters, text

    def fewest_tokens(self, messages: Sequence[Message], seen: int) -> int:
        """The estimated tokens of messages that the server cut to `seen` tokens; always more than `seen`. For the error
        message."""
        return max(self.tokens(messages), _text(messages).words, seen + 1)

    def _expected(self, text: _Text) -> tuple[float, bool]:
        """Expected tokens of a text. The second value is True if they follow from the ratio in a similar text, else
        False."""
        if self._ratio is not None and self._learnt is not None and self._learnt.alike(text):
            return text.characters * self._ratio, True
        return text.typical, False


def _characters(messages: Sequence[Message]) -> int:
    return sum(len(message.content) for message in messages)


def _text(messages: Sequence[Message]) -> _Text:
    whole = "\n".join(message.content for message in messages)
    ideographs = sum(1 for _ in _IDEOGRAPH.finditer(whole))
    return _Text(
        characters=_characters(messages),
        size=len(whole.encode("utf-8", "replace")),
        words=sum(1 for _ in _WORD.finditer(whole)) + ideographs // _CHARACTERS_AN_IDEOGRAPHIC_TOKEN,
    )


def is_full_window(seen: int) -> bool:
    """Whether `seen` is a common window size: the count of a server that cut a prompt to its whole window."""
    return seen in _WINDOWS


def _is_a_window(seen: int, expected: float) -> bool:
    """Whether a count is one that a cut often leaves, and much less than the `expected` tokens.

    A server cuts a prompt to the size of its window, or to slightly more than half of it.
    """
    for size in _WINDOWS:
        if seen in (size, size - 1) and expected > seen * 1.1:
            return True
        if size // 2 <= seen <= size // 2 + _KEPT and expected > seen * _HALVED:
            return True
    return False
