"""Words of a question that are spelt with a small mistake, and the words of the texts that they may stand for."""

from __future__ import annotations

from collections.abc import Collection, Iterable

from cervella.text.folding import words
from cervella.text.language import Language

_SHORTEST, _LONG = 5, 9
"""Minimum letters of a word in which one mistake is looked for, and of one in which two are."""


def misspelt(question: str, stems: Collection[str], texts: Iterable[str], lang: Language) -> dict[str, set[str]]:
    """For each of these stems of the question, the stems of the words in `texts` that its word may be meant for.

    A mistake is a letter too many, missing, wrong, or exchanged with the next one. The first letter must be right.
    """
    asked: dict[str, list[str]] = {}
    for word in words(question):
        if len(word) >= _SHORTEST and word.isalpha():
            for stem in lang.stems(word):
                if stem in stems:
                    asked.setdefault(stem, []).append(word)
    if not asked:
        return {}
    known = {word for text in texts for word in words(text) if len(word) >= _SHORTEST - 1 and word.isalpha()}
    found: dict[str, set[str]] = {}
    for stem, spelt in asked.items():
        for word in spelt:
            near = (one for one in known if one[0] == word[0] and _is_near(word, one))
            found.setdefault(stem, set()).update(other for one in near for other in lang.stems(one))
    return found


def _is_near(one: str, other: str) -> bool:
    most = 2 if min(len(one), len(other)) >= _LONG else 1
    return abs(len(one) - len(other)) <= most and _distance(one, other, most) <= most


def _distance(one: str, other: str, most: int) -> int:
    """The optimal string alignment distance of two words, or more than `most` if it is more."""
    before, last = [], list(range(len(other) + 1))
    for i, a in enumerate(one, 1):
        row = [i]
        for j, b in enumerate(other, 1):
            cost = min(last[j] + 1, row[j - 1] + 1, last[j - 1] + (a != b))
            if i > 1 and j > 1 and a == other[j - 2] and one[i - 2] == b:
                cost = min(cost, before[j - 2] + 1)
            row.append(cost)
        if min(row) > most:
            return most + 1
        before, last = last, row
    return last[-1]
