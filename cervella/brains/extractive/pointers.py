"""Recognises excerpts that only point to what is said elsewhere: lists of headings, links to other notes."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import islice
from typing import Literal, TypeAlias

from cervella.brains.extractive.asked import terms_of
from cervella.brains.extractive.excerpts import Excerpt
from cervella.knowledge.documents.linking import link_name, link_texts, opens_entry
from cervella.text.language import Language

Points: TypeAlias = Literal["", "titles", "links"]
"""How an excerpt points elsewhere: empty if it does not.

`titles`: it has no word besides some of the question, or besides links, or mostly names headings of its passage;
`links`: it mostly names notes that it links to.
"""
_MOST_LINKS = 200
"""Maximum links of a passage that are read."""
_MOSTLY = 0.5
"""The share of an excerpt's stems from which on it mostly consists of titles or links."""


class Pointers:
    """What the excerpts of one question point to: the headings of their passages, and the notes that these link to."""

    def __init__(self, excerpts: Sequence[Excerpt], asked: frozenset[str], lang: Language) -> None:
        """`asked` are the terms of the passages that match the question."""
        self._asked, self._lang = asked, lang
        self._titles: dict[str, set[frozenset[str]]] = {}
        for excerpt in excerpts:
            own = self._titles.setdefault(excerpt.mark, set())
            own.update(terms_of(title, lang) for title in excerpt.headings[-1:])
        passages = {excerpt.mark: excerpt.passage for excerpt in excerpts}
        self._links = {
            mark: [(text, terms_of(text, lang)) for text in islice(link_texts(passage.text), _MOST_LINKS)]
            for mark, passage in passages.items()
        }
        names = ((excerpt.rank, name) for excerpt in reversed(excerpts) for name in _names(excerpt))
        ranks = {link_name(name): rank for rank, name in names}
        self._below_linked = frozenset(
            excerpt.mark
            for excerpt in excerpts
            if any(ranks.get(link_name(link), excerpt.rank) < excerpt.rank for link in excerpt.passage.links)
        )
        """The marks of the passages that a note to which they link is ranked above."""

    def points(self, excerpt: Excerpt, stems: frozenset[str], *, confirms: bool) -> Points:
        """Whether an excerpt with these stems points elsewhere. `confirms`: what it repeats is an answer."""
        items = [terms_of(excerpt.passage.reading[start:end], self._lang) for start, end in excerpt.above]
        if stems.union(*items) <= self._asked and not confirms and not any(map(str.isdigit, excerpt.text)):
            return "titles"
        titles = [title for title in self._titles[excerpt.mark] if title and title <= stems]
        if len(titles) > 1 and len(frozenset().union(*titles)) >= _MOSTLY * len(stems):
            return "titles"
        links = [(text, link) for text, link in self._links[excerpt.mark] if text in excerpt.text]
        linked = frozenset[str]().union(*(link for _, link in links))
        if links and stems <= linked and excerpt.mark in self._below_linked:
            return "titles"
        if linked.isdisjoint(self._asked):  # a link may be the answer: «- [[Rossi]]»
            return ""
        if stems <= linked:
            return "titles"
        mostly = len(linked & stems) >= _MOSTLY * len(stems)
        return "links" if links and (mostly or any(opens_entry(excerpt.text, text) for text, _ in links)) else ""


def _names(excerpt: Excerpt) -> tuple[str, ...]:
    return (excerpt.passage.path, *excerpt.passage.aliases)
