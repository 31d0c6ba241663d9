"""Reads a query once for all parts of a search: its language, its stems, and the terms that satisfy it."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property

from cervella.text.detection import language_of
from cervella.text.language import Language, fold
from cervella.text.terms import Wanted, asked_terms

_ASKS = ("asks_amount", "asks_time", "asks_cause")


@dataclass(frozen=True, kw_only=True)
class Query:
    """What was searched for. Each property is computed once, when it is first needed."""

    text: str
    language: Language
    """The language of the index."""

    @cached_property
    def spoken(self) -> Language:
        """The language of the query, where it is certain; else that of the index."""
        return language_of(self.text, self.language)

    @cached_property
    def stems(self) -> Sequence[str]:
        return self.language.stems(self.text)

    @cached_property
    def wanted(self) -> Sequence[Wanted]:
        """Its words and figures, each with the terms that satisfy it."""
        return asked_terms(self.text, self.language, self.spoken)

    @cached_property
    def content(self) -> frozenset[str]:
        """Its stems without those that carry little or only ask for a figure, a date or a reason."""
        lang = self.language
        asks = "|".join(lang.phrases[name] for name in _ASKS if lang.phrases.get(name))
        bare = re.sub(asks, " ", fold(self.text)) if asks else self.text
        return frozenset(lang.stems(bare)) - frozenset(lang.stems(lang.phrases["light"]))
