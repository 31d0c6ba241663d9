"""Finds what a misspelt word of a query stands for among the terms that an index holds.

Only words are corrected that the index lacks, and only to terms that it has: no dictionary is needed, and names are
corrected like other words. Terms are stems, but mistakes are made in words: "prenotazzione" and "prenotazione" have
stems that are far apart. So every spelling that is one mistake away from the word is stemmed and looked up, which costs
the same in every index; and only two mistakes in a long word are looked for among the stems themselves.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from functools import cached_property
from itertools import chain, islice
from typing import TYPE_CHECKING

from cervella.knowledge.index.words import Bm25
from cervella.text.folding import fold, fold_in_place
from cervella.text.language import Language
from cervella.text.misspelling import LONGEST, Mistake, distances, letter_codes, one_mistake, slips, sound
from cervella.text.terms import Wanted

if TYPE_CHECKING:
    import numpy as np

_SHORTEST, _SHORTEST_FOR_ANY, _SHORTEST_FOR_TWO = 4, 5, 8
"""The fewest letters of a word with two letters swapped or an h left out, of one with any other mistake, and of one
with two mistakes."""
_ANY_TWO, _SOUNDS = 9, 7
"""From so many letters of a stem on, any two mistakes are corrected. In a shorter one of at least `_SOUNDS` sounds, one
of the two has to be of a sound."""
_SURE = 7
"""From so many letters of a stem on, a doubled letter or two that changed places need not be looked up in the texts."""
_INFLECTED = 7
"""From so many letters on, the last one may differ, or another be added: "prenotazione" is there as "prenotazioni"."""
_EXACTLY = 9
"""Up to so many letters, a word with any letter for another has to be written exactly so in a text."""
_READ, _MOST_WORDS = 200, 8
"""The first words of a query, which are read, and how many of them are corrected at most: the time of a search is
bounded."""
_MOST_TERMS, _TRIED, _EXAMINED = 3, 6, 20
"""Terms that a word may stand for at most, those that are looked up in the texts, and the chunks of each."""
_WEIGHT = 0.8
"""What a term counts that stands for a misspelt word, beside 1 for a word that is there as it is written."""
_LETTERS = 48
"""The most frequent letters of the index's terms, with which words are corrected."""
_ELIDED_BEFORE = "aeiouh"
"""What a word begins with after an elision, folded."""
_SHORT_ARTICLE = 2
"""An article of so few letters is read into a word only if at least `_SHORTEST_FOR_ANY` letters are left of it."""
_WORD = re.compile(r"[^\W_]+")


class Spelling:
    """Corrects the words of queries by the terms of one index. What it needs of the index is read at the first use."""

    def __init__(self, stems: Bm25, language: Language, reading: Callable[[int], str]) -> None:
        """`stems` are those of the index, in `language`. `reading` gives the text of a chunk."""
        self._stems = stems
        self._language = language
        self._reading = reading

    def corrections(self, text: str, spoken: Language, without: Collection[str] = ()) -> dict[str, Sequence[Wanted]]:
        """What the words of a query stand for that are misspelt, joined or written in two, by their stems.

        Each stands for one or several words, given as terms with their weights. `spoken` is the language of the query.
        In another language than that of the index, words are not misspelt though the index lacks them: there only names
        are corrected, and swapped or doubled letters. The words in `without` are left as they are.
        """
        lang = self._language
        found: dict[str, Sequence[Wanted]] = {}
        matches = list(islice(_WORD.finditer(fold_in_place(text)), _READ))
        tried = 0
        for number, match in enumerate(matches):
            word = match[0]
            stem = next(iter(lang.stems(word, without)), "")
            if not stem or not word.isalpha() or len(word) > LONGEST or stem in found:
                continue
            if self._has(stem):
                after = next(iter(lang.stems(matches[number + 1][0], without)), "") if number + 1 < len(matches) else ""
                if joined := self._joined(matches[number : number + 2], 3) if after else None:
                    found |= {one: [{one: 1.0, joined: _WEIGHT}] for one in (stem, after)}
                elif others := self._after_elision(word, written=True):
                    found[stem] = [{stem: 1.0, **dict.fromkeys(others, _WEIGHT)}]
                continue
            if tried == _MOST_WORDS:
                break
            tried += 1
            own = spoken is lang or (number > 0 and text[match.start()].isupper())
            pairs = (matches[one : one + 2] for one in (number, number - 1) if one >= 0)
            if joined := next(filter(None, (self._joined(pair, 2, without) for pair in pairs)), None):
                found[stem] = [{joined: 1.0}]
            elif parts := self._after_elision(word, written=False) or self._apart(word):
                found[stem] = [{part: 1.0} for part in parts]
            elif word not in self._usual and (
                terms := self.nearest(word, Mistake.ANY_LETTER if own else Mistake.SWAPPED)
            ):
                found[stem] = [dict.fromkeys(terms, _WEIGHT)]
        return found

    def nearest(self, word: str, worst: Mistake = Mistake.ANY_LETTER) -> Sequence[str]:
        """The terms that a misspelt word most likely stands for, at most three, the most frequent first.

        `word` is folded. `worst` is the unlikeliest kind of mistake that is corrected.
        """
        if not _SHORTEST <= len(word) <= LONGEST:
            return ()
        if len(word) < _SHORTEST_FOR_ANY:
            short = ((one, kind) for one, kind in slips(word) if one == f"h{word}" or sorted(one) == sorted(word))
            return self._likeliest(word, short)
        found = self._likeliest(word, ((one, kind) for one, kind in one_mistake(word, self._letters) if kind <= worst))
        if found or worst < Mistake.ANY_LETTER:
            return found
        stem = self._language.stems(word)[0]
        return self._most_frequent(self._by_sound.get(sound(stem)) or self._two_mistakes(word, stem))[:_MOST_TERMS]

    def _likeliest(self, word: str, spellings: Iterable[tuple[str, Mistake]]) -> Sequence[str]:
        """The terms of the likeliest spellings of a word that the index's texts have. Each comes with its mistake."""
        kinds: dict[str, Mistake] = {}
        for spelling, kind in spellings:
            kinds[spelling] = min(kind, kinds.get(spelling, kind))
        kinds.pop(word, None)
        by_kind: dict[Mistake, dict[str, list[str]]] = {}
        for spelling, stem in zip(kinds, self._stemmed(list(kinds)), strict=True):
            if self._has(stem):
                by_kind.setdefault(kinds[spelling], {}).setdefault(stem, []).append(spelling)
        for kind in sorted(by_kind):
            exactly = len(word) < _INFLECTED or (kind is Mistake.ANY_LETTER and len(word) <= _EXACTLY)
            there = [
                stem
                for stem in self._most_frequent(by_kind[kind])[:_TRIED]
                if (kind is Mistake.SWAPPED and len(stem) >= _SURE)
                or self._is_written(
                    "|".join(one if exactly else rf"{one[:-1]}\w\w?" for one in by_kind[kind][stem]), stem
                )
            ]
            if there:
                return there[:_MOST_TERMS]
        return ()

    def _is_written(self, pattern: str, stem: str) -> bool:
        """Whether one of the first texts that have a stem has a word, or words, of this pattern.

        Many spellings that nobody writes have the stem of a word: "abbondamento" that of "abbondanza".
        """
        wanted = re.compile(rf"(?<!\w)(?:{pattern})(?!\w)")
        chunks = self._stems.holders(stem)[:_EXAMINED].tolist()
        return any(wanted.search(fold(self._reading(chunk))) for chunk in chunks)

    def _has(self, stem: str) -> bool:
        return stem in self._stems.columns

    def _most_frequent(self, terms: Iterable[str]) -> list[str]:
        return sorted(terms, key=lambda term: (-len(self._stems.holders(term)), term))

    def _stemmed(self, spellings: list[str]) -> list[str]:
        """The stem of each word; that of a stop word is empty."""
        plain = [one for one in spellings if one not in self._language.stop_words]
        stems = dict(zip(plain, self._language.stems(" ".join(plain)), strict=True))
        return [stems.get(one, "") for one in spellings]

    @cached_property
    def _usual(self) -> frozenset[str]:
        """Frequent words of the language, which are not misspelt though the index may lack them."""
        lang = self._language
        listed = chain.from_iterable(map(_WORD.findall, map(fold, lang.file("detection.txt") or ())))
        light = _WORD.findall(fold(lang.phrases.get("light", "")))
        return frozenset(chain(listed, light, lang.calendar_names, lang.numbers))

    @cached_property
    def _letters(self) -> str:
        """The most frequent letters of the terms."""
        import numpy as np

        codes = np.frombuffer("".join(self._stems.columns).encode("utf-32-le", "surrogatepass"), np.uint32)
        found, often = np.unique(codes, return_counts=True)
        ranked = (chr(code) for code in found[np.argsort(-often, kind="stable")].tolist())
        return "".join(one for one in ranked if one.isalpha())[:_LETTERS]

    # Two mistakes

    def _two_mistakes(self, word: str, stem: str) -> list[str]:
        """The terms that are two mistakes away from a word's stem, of which one is of a sound if the stem is short."""
        near = self._by_first.get(stem[0])
        if near is None or len(word) < _SHORTEST_FOR_TWO:
            return []
        terms, codes = near
        found = [terms[place] for place in (distances(stem, codes) == 2).nonzero()[0].tolist()]
        own = sound(stem)
        if len(own) >= _SOUNDS and found:
            alike = distances(own, letter_codes([sound(term) for term in found])).tolist()
            if best := [term for term, far in zip(found, alike, strict=True) if far <= 1]:
                return best
        # Stems that end otherwise may be of two words.
        return [term for term in found if term[-2:] == stem[-2:]] if len(stem) >= _ANY_TWO else []

    @cached_property
    def _long_terms(self) -> Sequence[str]:
        return [one for one in self._stems.columns if _SHORTEST_FOR_ANY <= len(one) <= LONGEST and one.isalpha()]

    @cached_property
    def _by_sound(self) -> Mapping[str, list[str]]:
        """The terms that sound alike, by their sound."""
        found: dict[str, list[str]] = {}
        for term in self._long_terms:
            found.setdefault(sound(term), []).append(term)
        return found

    @cached_property
    def _by_first(self) -> Mapping[str, tuple[list[str], np.ndarray]]:
        """The terms by their first letters, with the codes of their letters."""
        found: dict[str, list[str]] = {}
        for term in self._long_terms:
            found.setdefault(term[0], []).append(term)
        return {first: (terms, letter_codes(terms)) for first, terms in found.items()}

    # Words written in two, or joined

    def _joined(self, pair: Sequence[re.Match[str]], fewest: int, without: Collection[str] = ()) -> str | None:
        """The term of a word that a query writes in two: "wi fi" is "wifi". None if the index has none.

        Each of the two has at least `fewest` letters. The second may be a stop word ("check in"), not the first: "con
        tatto" is no "contatto".
        """
        if len(pair) < 2:
            return None
        lang, (one, other) = self._language, pair
        whole = one[0] + other[0]
        if one.string[one.end() : other.start()] not in {" ", "-"} or not whole.isalpha() or len(whole) > LONGEST:
            return None
        if min(len(one[0]), len(other[0])) < fewest or not lang.stems(one[0], without):
            return None
        stem = next(iter(lang.stems(whole)), "")
        return stem if self._has(stem) and self._is_written(whole, stem) else None

    def _after_elision(self, word: str, *, written: bool) -> list[str]:
        """The term of a word after an article whose apostrophe is missing: "dellorto" is "dell'orto". Empty if none.

        `written` asks that a text has the two so, as it has to for a word that is one by itself: "allora", "all'ora".
        """
        for article in self._language.file("language.toml")["elided"] or ():
            rest = word.removeprefix(article)
            fewest = _SHORTEST_FOR_ANY if len(article) <= _SHORT_ARTICLE else 3
            if rest == word or len(rest) < fewest or rest[0] not in _ELIDED_BEFORE:
                continue
            stems = self._language.stems(rest)
            if stems and self._has(stems[0]) and self._is_written(f"{article}'{rest}" if written else rest, stems[0]):
                return stems
        return []

    def _apart(self, word: str) -> list[str]:
        """The terms of two words that a query joins: "checkin" is "check-in". They must stand side by side in a text.

        One of the two may be a stop word.
        """
        for place in range(1, len(word)):
            parts = word[:place], word[place:]
            stems = [stem for part in parts for stem in self._language.stems(part)]
            if not stems or max(map(len, stems)) < 2 or not all(map(self._has, stems)):
                continue
            rarest = min(stems, key=lambda stem: len(self._stems.holders(stem)))
            if self._is_written(f"{parts[0]}[ '-]{parts[1]}", rarest):
                return stems
        return []
