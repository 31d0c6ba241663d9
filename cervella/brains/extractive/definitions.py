"""Words that the notes define themselves: `OPT = ortopanoramica, la lastra grande che fa vedere tutta la bocca`.

A question in the words of a definition finds what is said of the defined word elsewhere, and a question with the word
finds its definition: a price list says what an OPT costs, and patients ask for the large X-ray.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping

from cervella.brains.extractive.asked import terms_of
from cervella.brains.extractive.excerpts import Excerpt
from cervella.text.language import Language
from cervella.text.terms import Wanted

_DEFINITION = re.compile(r"\W*([^\W_][^\n=:.–—]{0,40}?)(?:\*\*)? [=–—] (\S[^\n=]{2,200})")
_NAMES = re.compile(r"[/,;()]| o | or ")
"""What separates several defined words: `ablazione / detartrasi = …`."""
_SHARE, _FEW = 0.5, 3
"""A question uses a definition if it has at least this share of the definition's words, of at most `_FEW` of them."""
_DEFINED, _DEFINING = 0.8, 0.6
"""Weights of a defined word for the words of its definition, and of the words of a definition for the defined word."""


def definitions(text: str) -> Iterator[tuple[str, str]]:
    """The defined words of a line and what they mean; none if the text is no definition."""
    if found := _DEFINITION.match(text):
        for name in _NAMES.split(found[1]):
            if name.strip():
                yield name.strip(), found[2]


def satisfied_by_definitions(
    excerpts: Iterable[Excerpt],
    related: Mapping[str, Mapping[str, float]],
    wanted: Mapping[str, Wanted],
    lang: Language,
) -> dict[str, dict[str, float]]:
    """What satisfies each term of a question, with what definitions among the excerpts add to it.

    `related` maps the first term of each word of the question to the terms of the passages that satisfy it, with their
    weights, and `wanted` to those that satisfy it anywhere.
    """
    out = {term: dict(others) for term, others in related.items()}
    light = frozenset(lang.stems(lang.phrases["light"]))
    for excerpt in excerpts:
        for name, meaning in definitions(excerpt.text):
            names, means = terms_of(name, lang), terms_of(meaning, lang) - light
            covered = [t for t, others in related.items() if t not in light and not means.isdisjoint(others)]
            if names and covered and len(covered) >= _SHARE * min(len(means), _FEW):
                for term in covered:
                    _add(out[term], names, _DEFINED)
            for term, one in wanted.items():
                if names and names <= one.keys():
                    _add(out[term], means, _DEFINING)
    return out


def _add(others: dict[str, float], terms: Iterable[str], weight: float) -> None:
    for term in terms:
        others[term] = max(others.get(term, 0.0), weight)
