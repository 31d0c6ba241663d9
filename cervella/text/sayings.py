"""Recognises utterances that are made of known sayings and nothing else.

An utterance is read if every word of it belongs to a saying. No pattern is tried again: for each place of an utterance,
which has at most `_LONGEST` characters, the places where a saying can end are collected as a set.
"""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property

from cervella.text.folding import fold
from cervella.text.identity import once

FILLER = "filler"
"""The key of the phrases that may stand around the others and say nothing themselves."""
_LONGEST, _MOST_WORDS = 200, 30
"""Maximum number of characters and of words of an utterance."""
_SHORTEST_TYPO = 5
"""Minimum number of letters of a word in which a typing error is corrected; one more if it is the only word."""
_DEEPEST = 8
"""Maximum number of brackets inside brackets in a saying."""
_WORD = re.compile(r"[^\W_]+")
_SIGN = re.compile(r"[()|]|[^()|]+")
_PIECE = re.compile(r"\{\w+\}|[_*]|[^\W_]+|[^\w*{]+")
_NAME, _ADDRESS, _ANY, _REST, _SPACE = "{name}", "{address}", "_", "*", " "


@dataclass(frozen=True, slots=True)
class _Heard:
    """An utterance: its folded words with one space between them, and the names in it."""

    text: str
    names: tuple[str, ...]
    """The persona's names."""
    others: frozenset[str]
    """Words with a capital that are a form of address."""

    def boundary(self, at: int) -> int | None:
        """The start of the word that follows a place between two words; None if the place is inside a word."""
        if at == len(self.text) or at == 0 or self.text[at - 1] == " ":
            return at
        return at + 1 if self.text[at] == " " else None

    def end_of_word(self, at: int) -> int:
        end = self.text.find(" ", at)
        return len(self.text) if end < 0 else end


@dataclass(frozen=True, slots=True)
class _Path:
    """How the words up to some place are read. `fillers` counts the words of fillers."""

    fillers: int
    sayings: int
    kinds: frozenset[str]


@dataclass(frozen=True, slots=True)
class _Part:
    """A part of a saying."""

    ends: Callable[[_Heard, set[int]], set[int]]
    """The places where it can end, for the places where it can begin."""
    letters: frozenset[str] | None
    """What it can begin with; None if that is anything."""
    empty: bool = False
    """Whether it may be left out."""


class Sayings:
    """The sayings of one language, by kind: phrases of whole words with `(a|b)`, `(a |)`, `_` and `word*`.

    `{name}` in a saying is the persona's name, `{address}` another name that somebody is called by.
    """

    def __init__(self, phrases: Mapping[str, Sequence[str]]) -> None:
        self._phrases = phrases

    def kinds_in(self, utterance: str, names: Sequence[str] = ()) -> tuple[str, ...]:
        """The kinds of the sayings of an utterance, in the order of `phrases`; empty if a word belongs to none.

        `names` are the persona's names, folded.
        """
        if len(utterance) > _LONGEST:
            return ()
        said = [once(word) for word in _WORD.findall(fold(utterance))]
        if not said or len(said) > _MOST_WORDS:
            return ()
        called = tuple(map(once, names))
        hers = {word for name in called for word in name.split()}
        said = [word if word in hers else self._corrected(word, alone=len(said) == 1) for word in said]
        unknown = {word for word in said if word not in hers and not self._knows(word)}
        if len(unknown) > 1:  # most questions: at most one word can be a name that the sayings do not have
            return ()
        heard = _Heard(" ".join(said), called, _addressed(utterance) & unknown)
        return self._read(heard)

    def _read(self, heard: _Heard) -> tuple[str, ...]:
        paths: dict[int, _Path] = {0: _Path(0, 0, frozenset())}
        for place in (0, *(at + 1 for at, sign in enumerate(heard.text) if sign == " ")):
            if (path := paths.get(place)) is None:
                continue
            for end, kind in self._sayings_at(heard, place):
                fillers = heard.text.count(" ", place, end) + 1 if kind == FILLER else 0
                kinds = path.kinds if kind == FILLER else path.kinds | {kind}
                further, known = _Path(path.fillers + fillers, path.sayings + 1, kinds), paths.get(end)
                if known is None or (further.fillers, further.sayings) < (known.fillers, known.sayings):
                    paths[end] = further
        found = paths.get(len(heard.text))
        return () if found is None else tuple(kind for kind in self._phrases if kind in found.kinds)

    def _sayings_at(self, heard: _Heard, place: int) -> Iterator[tuple[int, str]]:
        """The end and the kind of each saying that begins at a place; a name that is called is a filler.

        The end is where the next word starts.
        """
        for kind, saying in self._sayings[heard.text[place]]:
            ends = saying.ends(heard, {place})
            yield from ((end, kind) for at in ends if (end := heard.boundary(at)) is not None and end > place)
        for end in _ends_of_name(heard, {place}):
            if (after := heard.boundary(end)) is not None:
                yield after, FILLER

    @cached_property
    def _sayings(self) -> Mapping[str, Sequence[tuple[str, _Part]]]:
        """The kind and the matcher of each saying that can begin with a letter, by that letter."""
        every = [(kind, compiled(phrase)) for kind, phrases in self._phrases.items() for phrase in phrases]
        letters = {letter for _, saying in every for letter in saying.letters or ()}
        anywhere = [(kind, saying) for kind, saying in every if saying.letters is None]
        found: defaultdict[str, list[tuple[str, _Part]]] = defaultdict(lambda: anywhere)
        for letter in letters:
            found[letter] = [one for one in every if one[1].letters is None or letter in one[1].letters]
        return found

    @cached_property
    def _words(self) -> frozenset[str]:
        """All words of the sayings, by which most utterances are excluded before any saying is tried."""
        whole = once(fold("\n".join(phrase for phrases in self._phrases.values() for phrase in phrases)))
        return frozenset(_WORD.findall(whole)).union(_inflected(whole))

    @cached_property
    def _starts(self) -> tuple[str, ...]:
        """What words with a `*` begin with."""
        starred = (part for phrases in self._phrases.values() for one in phrases for part in one.split("*")[:-1])
        return tuple(once(_WORD.findall(fold(part))[-1]) for part in starred)

    def _knows(self, word: str) -> bool:
        return word in self._words or word.startswith(self._starts)

    def _corrected(self, word: str, *, alone: bool) -> str:
        """The word of the sayings that differs from `word` by one typing error, else `word`."""
        if not _SHORTEST_TYPO + alone <= len(word) <= 20 or self._knows(word):
            return word
        return min((one for one in self._words if len(one) >= _SHORTEST_TYPO and _is_typo(word, one)), default=word)


def compiled(phrase: str) -> _Part:
    """The matcher of a saying. Raises ValueError for a lone bracket or too many brackets inside others."""
    signs = _SIGN.findall(fold(phrase))
    matcher, rest = _either(signs, 0, 0)
    if rest < len(signs):
        raise ValueError(f"a lone bracket in {phrase!r}")
    return matcher


def _either(signs: Sequence[str], at: int, depth: int) -> tuple[_Part, int]:
    """The matcher of alternatives that begin at a sign, and the number of the sign that ends them."""
    if depth > _DEEPEST:
        raise ValueError("too many brackets inside brackets")
    ways: list[list[_Part]] = [[]]
    while at < len(signs) and signs[at] != ")":
        if signs[at] == "(":
            inside, at = _either(signs, at + 1, depth + 1)
            if at == len(signs):
                raise ValueError("a lone bracket")
            ways[-1].append(inside)
        elif signs[at] == "|":
            ways.append([])
        else:
            ways[-1] += map(_matcher, _PIECE.findall(signs[at]))
        at += 1
    if at < len(signs) and depth == 0:
        raise ValueError("a lone bracket")

    def ends(heard: _Heard, starts: set[int]) -> set[int]:
        found: set[int] = set()
        for parts in ways:
            places = starts
            for part in parts:
                if not places:
                    break
                places = part.ends(heard, places)
            found |= places
        return found

    begins = [_letters_of(parts) for parts in ways]
    letters = None if None in begins else frozenset().union(*(one for one in begins if one is not None))
    return _Part(ends, letters, empty=any(all(part.empty for part in parts) for parts in ways)), at


def _letters_of(parts: Sequence[_Part]) -> frozenset[str] | None:
    """What parts in a row can begin with; None if that is anything."""
    found: frozenset[str] = frozenset()
    for part in parts:
        if part.letters is None:
            return None
        found |= part.letters
        if not part.empty:
            break
    return found


def _matcher(piece: str) -> _Part:
    if piece == _NAME:
        return _Part(_ends_of_name, None)
    if piece == _ADDRESS:
        return _Part(
            lambda heard, starts: {
                end for at in starts if heard.text[at : (end := heard.end_of_word(at))] in heard.others
            },
            None,
        )
    if piece == _ANY:
        return _Part(lambda heard, starts: {end for at in starts if (end := heard.end_of_word(at)) > at}, None)
    if piece == _REST:
        return _Part(lambda heard, starts: {heard.end_of_word(at) for at in starts}, frozenset(), empty=True)
    if not piece[0].isalnum():
        return _Part(
            lambda heard, starts: {after for at in starts if (after := heard.boundary(at)) is not None},
            frozenset(),
            empty=True,
        )
    letters = once(piece)
    return _Part(
        lambda heard, starts: {at + len(letters) for at in starts if heard.text.startswith(letters, at)},
        frozenset(letters[0]),
    )


def _ends_of_name(heard: _Heard, starts: set[int]) -> set[int]:
    return {at + len(name) for at in starts for name in heard.names if name and heard.text.startswith(name, at)}


def _inflected(phrase: str) -> Iterable[str]:
    """The words in folded phrases of which a part stands in brackets, such as "caro" and "cara" of "car(o|a)"."""
    for before, inside, after in re.findall(r"(?<![^\W_])([^\W_]++)\(([^() ]{0,60})\)([^\W_]*)", phrase):
        yield from (before + part + after for part in inside.split("|"))


def _addressed(utterance: str) -> frozenset[str]:
    """The folded words with a capital that somebody is called by: beside a comma, or at the end of a statement.

    >>> sorted(_addressed("Ciao Marta! Come va, Luca?")), sorted(_addressed("hallo, Preise?"))
    (['luca', 'marta'], [])
    """
    before = re.findall(r"(?:^|[.!?;,])\s*([^\W\d_]+)\s*,", utterance)
    after = re.findall(r"[^\W\d_],?\s+([^\W\d_]+)\s*(?:[.!;]|$)", utterance)
    called = re.findall(r"[^\W\d_]\s*,\s*([^\W\d_]+)\s*\?", utterance) if utterance.count(" ") > 1 else []
    return frozenset(once(fold(word)) for word in (*before, *after, *called) if word.istitle())


def _is_typo(word: str, known: str) -> bool:
    """Whether one letter is missing, added, wrong inside the word, or swapped with the next."""
    if word[0] != known[0] or abs(len(word) - len(known)) > 1:
        return False
    start = next((n for n, (a, b) in enumerate(zip(word, known, strict=False)) if a != b), min(len(word), len(known)))
    if len(word) < len(known):
        return word[start:] == known[start + 1 :]
    if len(word) > len(known):
        return word[start + 1 :] == known[start:]
    if word[start + 2 :] == known[start + 2 :] and word[start : start + 2] == known[start : start + 2][::-1]:
        return True
    return start < len(word) - 1 and word[start + 1 :] == known[start + 1 :]
