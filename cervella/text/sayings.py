"""Recognises utterances that are made of known sayings and nothing else.

An utterance is read if every word of it belongs to a saying. No pattern is tried again: for each place of an utterance,
which has at most `_LONGEST` characters, the places where a saying can end are collected as a set.
"""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from itertools import groupby

from cervella.text.folding import fold
from cervella.text.identity import once

FILLER = "filler"
"""The key of the phrases that may stand around the others and say nothing themselves."""
_LONGEST, _MOST_WORDS = 200, 30
"""Maximum number of characters and of words of an utterance."""
_SHORTEST_TYPO = 5
"""Minimum number of letters of a word in which a typing error is corrected."""
_EMPHASIS = 3
"""Minimum number of equal letters in a row that are one lengthened letter and no spelling of another word."""
_DEEPEST = 8
"""Maximum number of brackets inside brackets in a saying."""
_WORD = re.compile(r"[^\W_]+")
_SIGN = re.compile(r"[()|]|[^()|]+")
_LAUGH = re.compile(r"(?<![^\W_])([^\W_]++)\*")
_PIECE = re.compile(r"\{\w+\}|_|[^\W_]+\*?|[^\w{]+")
_NAME, _ADDRESS, _ANY = "{name}", "{address}", "_"


@dataclass(frozen=True, slots=True)
class _Heard:
    """An utterance: its folded words with one space between them, and the names in it."""

    text: str
    names: tuple[str, ...]
    """The persona's names."""
    others: frozenset[str]
    """Words with a capital that are a form of address."""
    written: Mapping[int, str] = field(default_factory=dict)
    """Each folded word as it was written, with all its letters, by the place where it begins in `text`."""
    exact: bool = False
    """Whether `text` has the words with all their letters."""

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
    """The sayings of one language, by kind: phrases of whole words with `(a|b)`, `(a |)`, `_` and `haha*`.

    `haha*` is a laugh: these letters and any more of the same.

    `{name}` in a saying is the persona's name, `{address}` another name that somebody is called by.
    """

    def __init__(self, phrases: Mapping[str, Sequence[str]]) -> None:
        self._phrases = phrases

    def kinds_in(
        self, utterance: str, names: Sequence[str] = (), articles: Collection[str] = frozenset()
    ) -> tuple[str, ...]:
        """The kinds of the sayings of an utterance, in the order of `phrases`; empty if a word belongs to none.

        `names` are the persona's names, folded. Words are read with lengthened letters and a typing error; but one
        word alone, or beside a word of `articles`, only as it is written: with another letter it is another word.
        """
        if len(utterance) > _LONGEST:
            return ()
        written = _WORD.findall(fold(utterance))
        if not written or len(written) > _MOST_WORDS:
            return ()
        called = tuple(map(once, names))
        hers = {word for name in called for word in name.split()}
        if only := only_word(written, articles):
            return self._alone(written, only, tuple(names))
        said = [one if (one := once(word)) in hers else self._corrected(word) for word in written]
        unknown = {
            word for word, whole in zip(said, written, strict=True) if word not in hers and not self._knows(word, whole)
        }
        if len(unknown) > 1:  # most questions: at most one word can be a name that the sayings do not have
            return ()
        return self._read(_heard(said, written, called, _addressed(utterance) & unknown))

    def is_filler(self, word: str) -> bool:
        """Whether a folded word by itself is a filler, as it is written."""
        heard = _Heard(word, (), frozenset(), {0: word}, exact=True)
        found = self._sayings_at(heard, 0) if word else ()
        return any(kind == FILLER and end == len(heard.text) for end, kind in found)

    def _alone(self, written: Sequence[str], only: str, names: tuple[str, ...]) -> tuple[str, ...]:
        """The kinds of the sayings of one word, perhaps behind an article: as it is written, or with letters fewer."""
        forms = (one for one in self._forms.get(once(only), ()) if one != only and _is_lengthened(only, one))
        for form in (only, *sorted(forms)):
            if found := self._read(_heard([*written[:-1], form], written, names, frozenset(), exact=True)):
                return found
        return ()

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
        for kind, saying in (self._exact if heard.exact else self._sayings)[heard.text[place]]:
            ends = saying.ends(heard, {place})
            yield from ((end, kind) for at in ends if (end := heard.boundary(at)) is not None and end > place)
        for end in _ends_of_name(heard, {place}):
            if (after := heard.boundary(end)) is not None:
                yield after, FILLER

    @cached_property
    def _sayings(self) -> Mapping[str, Sequence[tuple[str, _Part]]]:
        """The kind and the matcher of each saying that can begin with a letter, by that letter; read with `once`."""
        return self._by_letter(once)

    @cached_property
    def _exact(self) -> Mapping[str, Sequence[tuple[str, _Part]]]:
        """The same for words as they are written."""
        return self._by_letter(str)

    def _by_letter(self, spelt: Callable[[str], str]) -> Mapping[str, Sequence[tuple[str, _Part]]]:
        every = [(kind, compiled(phrase, spelt)) for kind, phrases in self._phrases.items() for phrase in phrases]
        letters = {letter for _, saying in every for letter in saying.letters or ()}
        anywhere = [(kind, saying) for kind, saying in every if saying.letters is None]
        found: defaultdict[str, list[tuple[str, _Part]]] = defaultdict(lambda: anywhere)
        for letter in letters:
            found[letter] = [one for one in every if one[1].letters is None or letter in one[1].letters]
        return found

    @cached_property
    def _forms(self) -> Mapping[str, frozenset[str]]:
        """All words of the sayings, by what `once` makes of them; a laugh is none."""
        whole = _LAUGH.sub(" ", fold("\n".join(phrase for phrases in self._phrases.values() for phrase in phrases)))
        found: defaultdict[str, set[str]] = defaultdict(set)
        for word in (*_WORD.findall(whole), *_inflected(whole)):
            found[once(word)].add(word)
        return {word: frozenset(forms) for word, forms in found.items()}

    @cached_property
    def _laughs(self) -> tuple[re.Pattern[str], ...]:
        every = (stem for phrases in self._phrases.values() for one in phrases for stem in _LAUGH.findall(fold(one)))
        return tuple(map(_laugh, sorted(set(every))))

    def _knows(self, word: str, written: str) -> bool:
        """Whether the sayings have a word: `once` of it, or `written` if it is a laugh."""
        return word in self._forms or any(laugh.fullmatch(written) for laugh in self._laughs)

    def _corrected(self, written: str) -> str:
        """The word of the sayings that differs from `once` of a word by one typing error, else `once` of the word."""
        word = once(written)
        if not _SHORTEST_TYPO <= len(word) <= 20 or self._knows(word, written):
            return word
        return min((one for one in self._forms if len(one) >= _SHORTEST_TYPO and _is_typo(word, one)), default=word)


def only_word(said: Sequence[str], articles: Collection[str]) -> str | None:
    """The one word of an utterance, given as folded words, that has no other but an article before it; else None."""
    if len(said) == 2 and (said[0] in articles or len(said[0]) == 1):  # one letter: "l'agenda"
        return said[1]
    return said[0] if len(said) == 1 else None


def _heard(
    said: Sequence[str], written: Sequence[str], names: tuple[str, ...], others: frozenset[str], *, exact: bool = False
) -> _Heard:
    places, at = {}, 0
    for word, whole in zip(said, written, strict=True):
        places[at] = whole
        at += len(word) + 1
    return _Heard(" ".join(said), names, others, places, exact)


def compiled(phrase: str, spelt: Callable[[str], str] = once) -> _Part:
    """The matcher of a saying, whose words are compared as `spelt` makes them.

    Raises ValueError for a lone bracket or too many brackets inside others.
    """
    signs = _SIGN.findall(fold(phrase))
    matcher, rest = _either(signs, 0, 0, spelt)
    if rest < len(signs):
        raise ValueError(f"a lone bracket in {phrase!r}")
    return matcher


def _either(signs: Sequence[str], at: int, depth: int, spelt: Callable[[str], str]) -> tuple[_Part, int]:
    """The matcher of alternatives that begin at a sign, and the number of the sign that ends them."""
    if depth > _DEEPEST:
        raise ValueError("too many brackets inside brackets")
    ways: list[list[_Part]] = [[]]
    while at < len(signs) and signs[at] != ")":
        if signs[at] == "(":
            inside, at = _either(signs, at + 1, depth + 1, spelt)
            if at == len(signs):
                raise ValueError("a lone bracket")
            ways[-1].append(inside)
        elif signs[at] == "|":
            ways.append([])
        else:
            ways[-1] += (_matcher(piece, spelt) for piece in _PIECE.findall(signs[at]))
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


def _matcher(piece: str, spelt: Callable[[str], str]) -> _Part:
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
    if piece.endswith("*") and piece[0].isalnum():
        laugh = _laugh(piece[:-1])
        return _Part(
            lambda heard, starts: {
                heard.end_of_word(at) for at in starts if laugh.fullmatch(heard.written.get(at, ""))
            },
            frozenset(piece[0]),
        )
    if not piece[0].isalnum():
        return _Part(
            lambda heard, starts: {after for at in starts if (after := heard.boundary(at)) is not None},
            frozenset(),
            empty=True,
        )
    letters = spelt(piece)
    return _Part(
        lambda heard, starts: {at + len(letters) for at in starts if heard.text.startswith(letters, at)},
        frozenset(letters[0]),
    )


def _laugh(stem: str) -> re.Pattern[str]:
    """The words that begin with a stem and go on with letters of it, each of which may be lengthened.

    >>> [bool(_laugh("haha").fullmatch(word)) for word in ("haha", "haaahahah", "hahahaus")]
    [True, True, False]
    """
    letters = "".join(sorted(set(stem)))  # of word characters only: none has a meaning in brackets
    if len(letters) > 1:
        stem = once(stem)
    begins = "".join(letter if len(letters) == 1 else f"{letter}++" for letter in stem)
    return re.compile(rf"(?<![^\W_]){begins}[{letters}]*+")


def _is_lengthened(word: str, known: str) -> bool:
    """Whether a word is a known one, or has a letter of it more often for emphasis: at the end, or thrice in a row.

    The two are equal after `once`.

    >>> [_is_lengthened(word, "notte") for word in ("notte", "nooootte", "nottee", "note", "noottee")]
    [True, True, True, False, False]
    """
    runs = [
        (len(list(one)), len(list(other))) for (_, one), (_, other) in zip(groupby(word), groupby(known), strict=True)
    ]
    last = len(runs) - 1
    return all(
        one == other or (one > other and (one >= _EMPHASIS or place == last)) for place, (one, other) in enumerate(runs)
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
