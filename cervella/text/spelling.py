"""Words of a question that are spelt with a small mistake, and the words of the texts that they may stand for."""

from __future__ import annotations

from collections.abc import Collection, Iterable

from cervella.text.folding import words
from cervella.text.language import Language
from cervella.text.misspelling import LONGEST, distances, letter_codes

_SHORTEST, _LONG = 5, 9
"""Minimum letters of a word in which one mistake is looked for, and of one in which two are."""


def misspelt(question: str, stems: Collection[str], texts: Iterable[str], lang: Language) -> dict[str, set[str]]:
    """For each of these stems of the question, the stems of the words in `texts` that its word may be meant for.

    A mistake is a letter too many, missing, wrong, or exchanged with the next one. The first letter must be right.
    """
    asked: dict[str, list[str]] = {}
    for word in words(question):
        if _SHORTEST <= len(word) <= LONGEST and word.isalpha():
            for stem in lang.stems(word):
                if stem in stems:
                    asked.setdefault(stem, []).append(word)
    if not asked:
        return {}
    known = {word for text in texts for word in words(text) if _SHORTEST - 1 <= len(word) <= LONGEST and word.isalpha()}
    found: dict[str, set[str]] = {}
    for stem, spelt in asked.items():
        for word in spelt:
            near = sorted(one for one in known if one[0] == word[0])
            most = 2 if len(word) >= _LONG else 1
            mistakes = distances(word, letter_codes(near)) if near else ()
            likely = (one for one, count in zip(near, mistakes, strict=True) if count <= most)
            found.setdefault(stem, set()).update(other for one in likely for other in lang.stems(one))
    return found
