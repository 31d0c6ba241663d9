"""The mistakes that people make in a word: letters doubled, swapped, left out, replaced by others that sound alike.

Everything here is about the letters of folded words (lower case, without accents), of no language in particular.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from enum import IntEnum
from itertools import chain, pairwise
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import numpy as np

LONGEST = 24
"""The most letters of a word whose mistakes are looked at."""
_FEWEST_TO_DROP, _FEWEST_FOR_ANY = 6, 7
"""The fewest letters of a word that may have a letter too many, and of one that may have any letter for another: short
words that differ in one letter are often different words, such as "torta" and "porta"."""
_ROWS = ("qwertyuiop", "asdfghjkl", "zxcvbnm")
_ALIKE = "bp bv cg ei dt fv il mn ou"
"""Letters that people write for each other, since they sound alike or look alike."""
_RESPELT = "k-c k-ch q-c q-k ck-k y-i j-i j-g ph-f th-t w-v z-s x-s h-"
"""Spellings of one sound, in either direction."""
_PAIRS = tuple((one, other) for pair in _RESPELT.split() for one, _, other in (pair.partition("-"),))
_EITHER_WAY = (*_PAIRS, *((other, one) for one, other in _PAIRS))
_SOUNDS = str.maketrans({"c": "k", "q": "k", "j": "i", "y": "i", "w": "v", "z": "s", "x": "s", "h": None})
_DOUBLED = re.compile(r"(.)\1+")


class Mistake(IntEnum):
    """The kinds of mistakes, the likeliest first."""

    SWAPPED = 0
    """Two neighbours have changed places, or a letter is doubled, or is not."""
    RESPELLED = 1
    """Another spelling of a sound: `k` for `ch`."""
    ONE_LETTER = 2
    """A letter too many, or one missing."""
    LIKELY_LETTER = 3
    """A letter for its neighbour on the keyboard, or for one that sounds or looks alike."""
    ANY_LETTER = 4


def _likely_letters() -> frozenset[frozenset[str]]:
    beside = (one + other for row in _ROWS for one, other in pairwise(row))
    # A key touches two of the row below.
    below = (
        one + row[place]
        for upper, row in pairwise(_ROWS)
        for number, one in enumerate(upper)
        for place in (number - 1, number)
        if 0 <= place < len(row)
    )
    return frozenset(map(frozenset, chain(beside, below, _ALIKE.split())))


_LIKELY = _likely_letters()


def slips(word: str) -> Iterator[tuple[str, Mistake]]:
    """The spellings that a mistake of the two likeliest kinds makes of a word, each with the kind.

    >>> {one for one, kind in slips("orkid") if kind is Mistake.RESPELLED} >= {"orchid", "orcid"}
    True
    """
    for place, one in enumerate(word):
        before, after = word[:place], word[place + 1 :]
        yield before + one + one + after, Mistake.SWAPPED
        if place and one == word[place - 1]:
            yield before + after, Mistake.SWAPPED
        elif place:
            yield word[: place - 1] + one + word[place - 1] + after, Mistake.SWAPPED
    for written, other in _EITHER_WAY:
        for place in range(len(word) + (not written)):
            if word.startswith(written, place):
                yield word[:place] + other + word[place + len(written) :], Mistake.RESPELLED


def one_mistake(word: str, letters: str) -> Iterator[tuple[str, Mistake]]:
    """The spellings that are one mistake away from a word, each with the kind. `letters` are those of the alphabet.

    The first letter and the last one are replaced by none but one of the same sound: another last letter is another
    form of the word. A spelling may come more than once. Their number is linear in the length of the word.
    """
    yield from slips(word)
    last = len(word) - 1
    for place in range(1, last + 1):
        one, before, after = word[place], word[:place], word[place + 1 :]
        yield from ((before + other + one + after, Mistake.ONE_LETTER) for other in letters)
        if place == last:
            break
        if len(word) >= _FEWEST_TO_DROP:
            yield before + after, Mistake.ONE_LETTER
        for other in letters:
            if frozenset((one, other)) in _LIKELY:
                yield before + other + after, Mistake.LIKELY_LETTER
            elif len(word) >= _FEWEST_FOR_ANY:
                yield before + other + after, Mistake.ANY_LETTER


def sound(word: str) -> str:
    """A word without doubled letters and h, and with one letter for those that sound alike.

    >>> sound("lucchetto") == sound("luketo")
    True
    """
    return _DOUBLED.sub(r"\1", word.replace("ph", "f").translate(_SOUNDS))


def letter_codes(words: Sequence[str]) -> np.ndarray:
    """The codes of the letters of words, shape (LONGEST, words), uint32; 0 after the end of a word."""
    import numpy as np

    return np.ascontiguousarray(np.asarray(words, dtype=f"<U{LONGEST}").view(np.uint32).reshape(len(words), LONGEST).T)


def distances(word: str, codes: np.ndarray) -> np.ndarray:
    """The number of mistakes between a word and each of several others, up to 2; 3 stands for more. Shape (words,).

    It is the distance of optimal string alignment: a letter too many, missing or another, and a swap of neighbours cost
    1 each. `codes` are those of the other words, see `letter_codes`. Cells that are more than two columns off the
    diagonal can't matter, so that the time is linear in the length of the word.

    >>> distances("bianhci", letter_codes(["bianchi", "bianco", "rossi"])).tolist()
    [1, 2, 3]
    """
    import numpy as np

    lengths = (codes != 0).sum(axis=0)
    letters = [ord(one) for one in word]
    out = np.full(codes.shape[1], 3, dtype=np.int8)
    near = np.flatnonzero(np.abs(lengths - len(word)) <= 2)
    codes, lengths, far = codes[:, near], lengths[near], out[near]
    before: dict[int, np.ndarray] = {}
    above = {j: np.full(len(near), j, dtype=np.int8) for j in range(3)}
    for i, letter in enumerate(letters, 1):
        row = {0: np.full(len(near), i, dtype=np.int8)} if i <= 2 else {}
        for j in range(max(1, i - 2), min(len(codes), i + 2) + 1):
            other = codes[j - 1] != letter
            best = np.minimum(above.get(j - 1, far) + other, above.get(j, far) + 1)
            best = np.minimum(best, row.get(j - 1, far) + 1)
            if j > 1 and j - 2 in before:
                swapped = (codes[j - 2] == letter) & (codes[j - 1] == letters[i - 2])
                best = np.minimum(best, np.where(swapped, before[j - 2] + 1, 3))
            row[j] = np.minimum(best, 3).astype(np.int8)
        before, above = above, row
    for j, last in above.items():
        far[lengths == j] = last[lengths == j]
    out[near] = far
    return out
