"""Reads a query once for all parts of a search: its language, its stems, and the terms that satisfy it."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from itertools import chain

from cervella.knowledge.index.spelling import Spelling
from cervella.text.detection import language_of, languages_asked_for
from cervella.text.folder import known_languages
from cervella.text.folding import APOSTROPHES
from cervella.text.language import Language, fold, language
from cervella.text.terms import Wanted, asked_terms

_ELIDED = re.compile(rf"(?<!\w)[^\W\d_]['{''.join(map(chr, APOSTROPHES))}](?=[^\W\d_])")
"""An article or another function word of one letter before a vowel, in any language: "l'orto"."""
ASKS = ("asks_amount", "asks_time", "asks_cause")
"""The words of quotes.toml that only ask: for a figure, a date, a reason."""


@dataclass(frozen=True, kw_only=True)
class Query:
    """What was searched for. Each property is computed once, when it is first needed."""

    text: str
    language: Language
    """The language of the index."""
    spelling: Spelling | None = None
    """Corrects its words by those of the index; None takes them as they are written."""

    @cached_property
    def spoken(self) -> Language:
        """The language of the query, where it is certain; else that of the index."""
        return language_of(self.text, self.language)

    @cached_property
    def function_words(self) -> frozenset[str]:
        """The stop words of the query's own language: as such they say nothing, whatever they mean in the index's.

        Where that language is not certain, those of all that it may be in. Empty if it may be that of the index, whose
        stop words have no stems.
        """
        lang = self.language
        possible = {self.spoken.code} if self.spoken is not lang else languages_asked_for(self.text)
        if lang.code in possible:
            return frozenset()
        known = possible.intersection(known_languages())
        return frozenset(chain.from_iterable(language(code).stop_words for code in known))

    @cached_property
    def corrections(self) -> Mapping[str, Sequence[Wanted]]:
        """What each of its words stands for that the index lacks and that seems misspelt, by the word's stem."""
        return {} if self.spelling is None else self.spelling.corrections(self._bare, self.spoken, self.function_words)

    @cached_property
    def stems(self) -> Sequence[str]:
        """The distinct stems of its words, corrected."""
        return self._corrected(self.language.stems(self._bare, self.function_words))

    @cached_property
    def wanted(self) -> Sequence[Wanted]:
        """Its words and figures, each with the terms that satisfy it; of a corrected word only the correction."""
        found: list[Wanted] = []
        for one in asked_terms(self._bare, self.language, self.spoken, self.function_words):
            stem = next(iter(one))
            corrected = self.corrections.get(stem, ({stem: 1.0},))
            rest = {term: weight for term, weight in one.items() if term != stem}
            found += ({**instead, **rest} for instead in corrected)
        return [dict(one) for one in dict.fromkeys(tuple(one.items()) for one in found)]

    @cached_property
    def content(self) -> frozenset[str]:
        """Its stems, corrected, without those that carry little or only ask for a figure, a date or a reason."""
        lang = self.language
        asks = "|".join(lang.phrases[name] for name in ASKS if lang.phrases.get(name))
        bare = re.sub(asks, " ", fold(self._bare)) if asks else self._bare
        stems = self._corrected(lang.stems(bare, self.function_words))
        return frozenset(stems) - frozenset(lang.stems(lang.phrases["light"]))

    @cached_property
    def _bare(self) -> str:
        """Its text without elided words of one letter."""
        return _ELIDED.sub(" ", self.text)

    def _corrected(self, stems: Iterable[str]) -> list[str]:
        """The distinct stems, the likeliest term in place of each that is corrected."""
        found = (next(iter(one)) for stem in stems for one in self.corrections.get(stem, ({stem: 1.0},)))
        return list(dict.fromkeys(found))
