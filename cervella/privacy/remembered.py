"""Masks the secrets of texts that come again with each question, such as the turns of a conversation, only once."""

from __future__ import annotations

import hashlib
from collections import OrderedDict

from cervella.privacy.redaction import mask_secrets
from cervella.process.forks import ForkLock
from cervella.text.language import DEFAULT_LANGUAGE

_MOST_CHARACTERS = 4_000_000
"""Characters of masked texts that are kept: some 400 long answers. The least recently used go first."""


class MaskedTexts:
    """`mask_secrets` with a memory, which ends with this object. It has masked texts and digests, and no secret.

    Thread-safe.

    >>> MaskedTexts().mask("password: Segreta99!")
    ('password: [REDATTO: password]', 1)
    """

    def __init__(self, most_characters: int = _MOST_CHARACTERS) -> None:
        self._most = most_characters
        self._size = 0
        self._known: OrderedDict[tuple[str, bytes], tuple[str, int]] = OrderedDict()
        self._lock = ForkLock()

    def mask(self, text: str, language: str = DEFAULT_LANGUAGE) -> tuple[str, int]:
        """The text with its secrets masked, and their number."""
        key = (language, hashlib.sha256(text.encode("utf-8", "surrogatepass")).digest())
        with self._lock:
            if key in self._known:
                self._known.move_to_end(key)
                return self._known[key]
        found = mask_secrets(text, language)
        with self._lock:
            if key not in self._known:
                self._size += len(found[0])
            self._known[key] = found
            while self._size > self._most:
                self._size -= len(self._known.popitem(last=False)[1][0])
        return found
