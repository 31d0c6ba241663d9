"""The words of a language's asking.toml as regular expressions: how a question asks, and what shows an answer."""

from __future__ import annotations

import re
from functools import lru_cache

from cervella.text.language import Language

FILE = "asking.toml"
_NO_WORDS = "(?!)"


@lru_cache(maxsize=512)
def pattern(lang: Language, key: str, form: str = "{}") -> re.Pattern[str]:
    """The pattern of one key, for folded text, put into `form` at each `{}`. It never matches where there are no words.

    It is tried where a word may begin only: that is several times as fast, and no phrase begins elsewhere.
    """
    words = lang.file(FILE)[key] if lang.has(FILE) else ""
    return re.compile(form.replace("{}", rf"(?<!\w)(?:{words})" if words else _NO_WORDS))


def listed(lang: Language, key: str) -> tuple[str, ...]:
    """The single words of one key, folded."""
    return tuple(lang.file(FILE)[key].split()) if lang.has(FILE) else ()
