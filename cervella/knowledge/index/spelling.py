"""Finds what a misspelt word of a query stands for among the terms that an index holds.

Only words are corrected that the index lacks, and only to terms that it has: no dictionary is needed, and names are
corrected like other words. Terms are stems, but mistakes are made in words: "prenotazzione" and "prenotazione" have
stems that are far apart. So every spelling that is one mistake away from the word is stemmed and looked up, which costs
the same in every index; and only two mistakes in a long word are looked for among the stems themselves.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from functools import cached_property
from itertools import chain, pairwise
from typing import TYPE_CHECKING

from cervella.knowledge.index.words import Bm25
from cervella.text.folding import fold, fold_in_place
from cervella.text.language import Language
from cervella.text.terms import Wanted

if TYPE_CHECKING:
    import numpy as np

_SHORTEST, _SHORTEST_FOR_TWO, _LONGEST = 5, 8, 24
"""The fewest letters of a word that may have one mistake, of one that may have two, and the most of either."""
_LIKELY_ONLY = 9
"""Up to so many letters, one letter for another is a mistake only if the two are neighbours on a keyboard, or sound or
look alike: short words that differ in one letter are often different words, such as "torta" and "porta"."""
_ANY_TWO = 9
"""From so many letters of a stem on, any two mistakes are corrected; in a shorter one, one of them has to be a doubled
letter or one that sounds alike."""
_FEWEST_SOUNDS = 7
"""The fewest letters of a stem without those that aren't heard, if two mistakes in it may be one of sound."""
_MOST_WORDS = 8
"""Words of a query that are corrected at most: the time of a search is bounded."""
_MOST_TERMS, _TRIED = 3, 6
"""Terms that a word may stand for at most, and those that are looked up in the texts."""
_WEIGHT = 0.8
"""What a term counts that stands for a misspelt word, beside 1 for a word that is there as it is written."""
_LETTERS = 48
"""The most frequent letters of the index's terms, with which words are corrected."""
_SURE = 7
"""From so many letters of a stem on, a doubled letter or two that changed places need not be looked up in the texts."""
_INFLECTED = 7
"""From so many letters on, the last one may differ, or another be added: "prenotazione" is there as "prenotazioni"."""
_ROWS = ("qwertyuiop", "asdfghjkl", "zxcvbnm")
_ALIKE = "bp bv cg ck cq ei dt fv gj ij il iy kq mn ou sz vw xs"
"""Letters that people write for each other, since they sound alike or look alike."""
_WORD = re.compile(r"[^\W_]+")
_EXAMINED, _SPLITS = 20, 16
"""Chunks in which a spelling is looked up, and the letters after which a word may be split."""
_SOUNDS = str.maketrans({"c": "k", "q": "k", "j": "i", "y": "i", "w": "v", "z": "s", "x": "s", "h": None})
_DOUBLED = re.compile(r"(.)\1+")


def _likely_pairs() -> frozenset[frozenset[str]]:
    beside = (row[place : place + 2] for row in _ROWS for place in range(len(row) - 1))
    below = (one + row[place] for upper, row in pairwise(_ROWS) for place, one in _over(upper, row))
    return frozenset(map(frozenset, chain(beside, below, _ALIKE.split())))


def _over(upper: str, row: str) -> Iterator[tuple[int, str]]:
    """The keys of a row, each with the place of those of the next row that it touches."""
    return ((place, one) for number, one in enumerate(upper) for place in (number - 1, number) if 0 <= place < len(row))


_LIKELY = _likely_pairs()


class Spelling:
    """Corrects the words of queries by the terms of one index. What it needs of the index is read at the first use."""

    def __init__(self, stems: Bm25, language: Language, reading: Callable[[int], str]) -> None:
        """`stems` are those of the index, in `language`. `reading` gives the text of a chunk."""
        self._stems = stems
        self._language = language
        self._reading = reading

    def corrections(self, text: str, spoken: Language, without: Collection[str] = ()) -> dict[str, Sequence[Wanted]]:
        """What the words of a query stand for that the index lacks, by their stems: terms, each with its weight.

        A word that is written in two has the term of the whole, one that joins two words the terms of both. `spoken` is
        the language of the query. In another language than that of the index, only names are corrected: its words
        are not misspelt, though the index lacks them. The words in `without` are left as they are.
        """
        lang = self._language
        found: dict[str, Sequence[Wanted]] = {}
        matches = list(_WORD.finditer(fold_in_place(text)))
        tried = 0
        for number, match in enumerate(matches):
            word = match[0]
            if not word.isalpha() or word in without or not self._lacks(word):
                continue
            stem = lang.stems(word)[0]
            if stem in found:
                continue
            if tried == _MOST_WORDS:
                break
            tried += 1
            if joined := self._joined(matches, number):
                found[stem] = [{joined: 1.0}]
            elif spoken is not lang and not (number and text[match.start()].isupper()):
                continue
            elif parts := self._apart(word):
                found[stem] = [{part: 1.0} for part in parts]
            elif word not in self._usual and (terms := self.nearest(word)):
                found[stem] = [dict.fromkeys(terms, _WEIGHT)]
        return found

    def nearest(self, word: str) -> Sequence[str]:
        """The terms that a misspelt word most likely stands for, at most three, the most frequent first.

        `word` is folded. One mistake is a letter too many, missing or another, or two that have changed places. A
        doubled letter and swapped ones are likelier than a letter for another.
        """
        if not _SHORTEST <= len(word) <= _LONGEST:
            return ()
        by_cost: dict[int, dict[str, list[str]]] = {}
        spellings = dict(self._one_mistake(word))
        for spelling, stem in zip(spellings, self._stemmed(list(spellings)), strict=True):
            if stem in self._stems.columns:
                by_cost.setdefault(spellings[spelling], {}).setdefault(stem, []).append(spelling)
        for cost in sorted(by_cost):
            likely = self._most_frequent(by_cost[cost])[:_TRIED]
            sure = _SURE if cost == 0 else _LONGEST
            if there := [stem for stem in likely if len(stem) >= sure or self._is_written(stem, by_cost[cost][stem])]:
                return there[:_MOST_TERMS]
        return self._most_frequent(self._two_mistakes(word))[:_MOST_TERMS]

    def _most_frequent(self, terms: Iterable[str]) -> list[str]:
        return sorted(terms, key=lambda term: (-len(self._stems.holders(term)), term))

    def _is_written(self, stem: str, spellings: Sequence[str]) -> bool:
        """Whether a text of the index has one of these spellings of a stem, apart from its ending.

        Many spellings that nobody writes have the stem of a word: "abbondamento" that of "abbondanza".
        """
        written = "|".join(rf"{one[:-1]}\w\w?" if len(one) >= _INFLECTED else one for one in spellings)
        return self._is_in_texts(rf"(?<!\w)(?:{written})(?!\w)", stem)

    def _is_in_texts(self, pattern: str, stem: str) -> bool:
        """Whether a pattern is found in one of the first texts that have a stem."""
        wanted = re.compile(pattern)
        chunks = self._stems.holders(stem)[:_EXAMINED].tolist()
        return any(wanted.search(fold(self._reading(chunk))) for chunk in chunks)

    def _lacks(self, word: str) -> bool:
        """Whether a word is none that says little, and the index does not have it."""
        stems = self._language.stems(word)
        return bool(stems) and stems[0] not in self._stems.columns

    @cached_property
    def _usual(self) -> frozenset[str]:
        """Frequent words of the language, which are not misspelt though the index may lack them."""
        lang = self._language
        listed = chain.from_iterable(map(_WORD.findall, map(fold, lang.file("detection.txt") or ())))
        light = _WORD.findall(fold(lang.phrases.get("light", "")))
        return frozenset(chain(listed, light, lang.calendar_names, lang.numbers))

    def _stemmed(self, spellings: list[str]) -> list[str]:
        """The stem of each word; that of a stop word is empty."""
        plain = [one for one in spellings if one not in self._language.stop_words]
        stems = dict(zip(plain, self._language.stems(" ".join(plain)), strict=True))
        return [stems.get(one, "") for one in spellings]

    def _one_mistake(self, word: str) -> Iterator[tuple[str, int]]:
        """The spellings that are one mistake away from a word, with the cost of the mistake: a low one is likely.

        The likeliest mistake of a spelling comes last, so that it is the one which a dict of them keeps. The first
        letter stays, but for a silent h, and so does the last: another one is another form of a word that the index
        lacks.
        """
        letters, last = self._letters, len(word) - 1
        for place in range(1, last):
            one, before, after = word[place], word[:place], word[place + 1 :]
            for other in letters:
                likely = frozenset((one, other)) in _LIKELY
                if other != one and (likely or len(word) > _LIKELY_ONLY):
                    yield before + other + after, 2 if likely else 3
        for place in range(1, last + 1):
            yield from ((word[:place] + one + word[place:], 1) for one in letters)
        for place in range(1, last):
            yield word[:place] + word[place + 1 :], 1
        yield f"h{word}", 1
        if word[0] == "h":
            yield word[1:], 1
        for place in range(1, last + 1):
            one, before = word[place], word[place - 1]
            yield word[:place] + one + word[place:], 0
            if one == before:
                yield word[:place] + word[place + 1 :], 0
            yield word[: place - 1] + one + before + word[place + 1 :], 0

    @cached_property
    def _letters(self) -> str:
        """The most frequent letters of the terms."""
        import numpy as np

        codes = np.frombuffer("".join(self._stems.columns).encode("utf-32-le", "surrogatepass"), np.uint32)
        found, often = np.unique(codes, return_counts=True)
        ranked = (chr(code) for code in found[np.argsort(-often, kind="stable")].tolist())
        return "".join(one for one in ranked if one.isalpha())[:_LETTERS]

    def _two_mistakes(self, word: str) -> list[str]:
        """The terms that are two mistakes away from a word's stem, or one beside letters that sound alike."""
        stem = self._language.stems(word)[0]
        near = self._by_first.get(stem[0])
        if near is None or len(word) < _SHORTEST_FOR_TWO or len(stem) < _SHORTEST_FOR_TWO - 2:
            return []
        terms, letters = near
        found = [terms[place] for place in (_distances(stem, letters) == 2).nonzero()[0].tolist()]
        sound = _sound(stem)
        if len(sound) >= _FEWEST_SOUNDS and found:
            alike = _distances(sound, _codes(list(map(_sound, found))))
            if best := [term for term, far in zip(found, alike.tolist(), strict=True) if far <= 1]:
                return best
        return [term for term in found if term[-2:] == stem[-2:]] if len(stem) >= _ANY_TWO else []

    @cached_property
    def _by_first(self) -> Mapping[str, tuple[list[str], np.ndarray]]:
        """The terms that are long enough for two mistakes, by their first letters, with the codes of their letters."""
        found: dict[str, list[str]] = {}
        for term in self._stems.columns:
            if _SHORTEST_FOR_TWO - 3 <= len(term) <= _LONGEST and term.isalpha():
                found.setdefault(term[0], []).append(term)
        return {first: (terms, _codes(terms)) for first, terms in found.items()}

    # Words written in two, or joined

    def _joined(self, matches: Sequence[re.Match[str]], number: int) -> str | None:
        """The term of a word that a query writes in two: "wi fi" is "wifi". None if the index has none.

        The second of the two may be a stop word ("check in"), not the first: "con tatto" is no "contatto".
        """
        for first, second in ((number, number + 1), (number - 1, number)):
            if first < 0 or second == len(matches):
                continue
            one, other = matches[first], matches[second]
            apart = one.string[one.end() : other.start()]
            whole = one[0] + other[0]
            if apart not in {" ", "-"} or len(whole) > _LONGEST or min(len(one[0]), len(other[0])) < 2:
                continue
            stems = self._language.stems(whole) if self._language.stems(one[0]) else []
            if stems and stems[0] in self._stems.columns and len(stems[0]) > max(len(one[0]), len(other[0])):
                return stems[0]
        return None

    def _apart(self, word: str) -> list[str]:
        """The terms of two words that a query joins: "checkin" is "check-in". They must stand side by side in a text.

        One of the two may be a stop word.
        """
        if len(word) > _LONGEST:
            return []
        for place in range(1, min(len(word), _SPLITS)):
            parts = word[:place], word[place:]
            known = [stem for part in parts for stem in self._language.stems(part)]
            if not known or max(map(len, known)) < 2 or any(stem not in self._stems.columns for stem in known):
                continue
            rarest = min(known, key=lambda stem: len(self._stems.holders(stem)))
            if self._is_in_texts(rf"(?<!\w){parts[0]}[ '-]{parts[1]}(?!\w)", rarest):
                return known
        return []


def _sound(term: str) -> str:
    """A term without doubled letters and an h, and with one letter for those that sound alike."""
    return _DOUBLED.sub(r"\1", term.replace("ph", "f").translate(_SOUNDS))


def _codes(terms: Sequence[str]) -> np.ndarray:
    """The codes of the letters of terms, shape (terms, `_LONGEST`), uint32; 0 after the end of a term."""
    import numpy as np

    return np.asarray(terms, dtype=f"<U{_LONGEST}").view(np.uint32).reshape(len(terms), _LONGEST)


def _distances(word: str, codes: np.ndarray) -> np.ndarray:
    """The number of mistakes between a word and each of several terms, up to 2; 3 stands for more. Shape (terms,).

    It is the distance of optimal string alignment: an insertion, a deletion, a substitution and a swap of neighbours
    cost 1 each. `codes` are the letters of the terms, see `_codes`. Cells that are more than two columns
    off the diagonal can't matter, so that the time is linear in the length of the word.
    """
    import numpy as np

    lengths = (codes != 0).sum(axis=1)
    letters = [ord(one) for one in word]
    far = np.full(len(codes), 3, dtype=np.int8)
    width = codes.shape[1]
    rows: list[dict[int, np.ndarray]] = [{j: np.full(len(codes), j, dtype=np.int8) for j in range(3)}]
    for i, letter in enumerate(letters, 1):
        row: dict[int, np.ndarray] = {}
        for j in range(max(0, i - 2), min(width, i + 2) + 1):
            if j == 0:
                row[j] = np.full(len(codes), i, dtype=np.int8)
                continue
            same = codes[:, j - 1] == letter
            best = np.minimum(rows[-1].get(j - 1, far) + (~same), far)
            best = np.minimum(best, rows[-1].get(j, far) + 1)
            best = np.minimum(best, row.get(j - 1, far) + 1)
            if i > 1 and j > 1 and j - 2 in rows[-2]:
                swapped = (codes[:, j - 2] == letter) & (codes[:, j - 1] == letters[i - 2])
                best = np.minimum(best, np.where(swapped, rows[-2][j - 2] + 1, far))
            row[j] = best.astype(np.int8)
        rows.append(row)
    out = far.copy()
    for j, last in rows[-1].items():
        ends = lengths == j
        out[ends] = np.minimum(last[ends], 3)
    return out
