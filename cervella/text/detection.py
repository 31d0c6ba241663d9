"""Detection of a text's language, by frequent words, and by character n-grams for words that are on no list.

Each language has a list of words: `detection.txt` of its folder, else its stop words. The lists in `recognised/` are of
languages that the persona does not speak but that a model may answer in. The result is None where a text is too short.
"""

from __future__ import annotations

import math
import re
import unicodedata
from collections import Counter
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from importlib import resources

from cervella.text.folder import LanguageFolder, folder_of, known_languages, listed_words
from cervella.text.folding import APOSTROPHES
from cervella.text.language import Language, fold, language, language_names, words
from cervella.text.quotations import without_quotations

_EMPHASIS = re.compile(r"(?<![\w*])\*(?![\s*])[^*\n]{1,100}\*(?![\w*])")
_SYMBOLS = re.compile(r"(?<!\S)\S*(?:[\d_/\\@=#<>{}|~^]|\w\.\w)\S*")
_SENTENCE = re.compile(r"[^.!?…\n]+[.!?…\n]*")
_WORD = re.compile(r"[^\W\d_]+(?:'(?=[^\W\d_]))?|[¿¡]")
_LETTER = re.compile(r"[^\W\d_]")
_LATIN = re.compile(r"[a-z]")
_LONGEST, _LONGEST_WORD = 20_000, 30
"""Maximum number of characters read of a text, and of a word for its n-grams."""
_AGAINST = {1: 0.8, 2: 1.6}
_AGAINST_LONG = 2.5
"""Penalty of a listed word for each language that lacks it, by its number of letters; an accent adds one."""
_NGRAMS, _MOST_BY_NGRAMS = 0.35, 1.2
"""Weight of the log likelihood ratio of n-grams, and the maximum penalty of one word by n-grams."""
_NAME, _TITLE = 0.5, 0.3
"""Weight of a listed word with a capital inside a sentence, and in a title: it may be part of a name."""
_SURE, _SURE_PER_WORD = 2.2, 0.04
"""Minimum score lead of a certain result: about one word that only one language lists; and the addition per word."""
_NEAR = 1.0
"""Maximum score distance from the likeliest language of a question for a language that is also possible."""
_FEWEST_FOREIGN = 2
"""Minimum lead in listed words over the own languages for a text to be foreign, unless every word is listed."""
_OTHER_SHARE, _SHORTEST = 0.25, 4
"""Maximum share of words in foreign sentences, and minimum number of words of a sentence that is counted."""


def foreign_language(text: str, languages: Collection[str]) -> str | None:
    """The language of a text that is certainly in none of `languages`, else None.

    A text is foreign as well where more than a quarter of it is in such a language. Quotations and titles may be in any
    language. Nothing is certain against a language without detection.txt: its stop words are too few words.

    >>> foreign_language("The launch is on Tuesday.", ["it"]), foreign_language("Il backup è su Drive.", ["it"])
    ('en', None)
    """
    own = frozenset(languages).intersection(_lists().codes)
    if not all(folder_of(code).file("detection.txt") for code in own.intersection(known_languages())):
        return None
    unquoted = without_quotations(text[:_LONGEST], lines=True)
    found = _found(_EMPHASIS.sub(" ", unquoted), own) if own else None
    return None if found in own else found


def language_of(text: str, lang: Language) -> Language:
    """The language of a text where it is a known one and certain, else `lang`."""
    found = foreign_language(text, [lang.code])
    return language(found) if found in known_languages() else lang


def languages_asked_for(question: str) -> frozenset[str]:
    """The languages that a question may be in, and those that it names: its answer may be in any of them.

    A question whose words fit every language equally well, such as an acronym, adds none.

    >>> sorted(languages_asked_for("Come si dice grazie in tedesco?"))
    ['de', 'it']
    """
    lists = _lists()
    read = _sum(_readings(question, lists), lists)
    best = max(read.scores)
    near = [code for code, score in zip(lists.codes, read.scores, strict=True) if best - score < _NEAR]
    names = language_names()
    named = (names[word] for word in words(question[:_LONGEST]) if word in names)
    return frozenset(near if len(near) < len(lists.codes) else ()).union(named)


_Row = tuple[float, ...]
"""A figure for each language."""


class _Lists:
    """The listed words of each language, and the character n-grams that they are made of."""

    def __init__(self, listed: Mapping[str, Iterable[str]]) -> None:
        self.codes = tuple(listed)
        self.nothing: _Row = (0.0,) * len(self.codes)
        self._listed: dict[str, set[int]] = {}
        self.capital = frozenset(entry for entries in listed.values() for entry in entries if entry[0].isupper())
        self._trigrams: list[Counter[str]] = []
        self._bigrams: list[Counter[str]] = []
        for place, entries in enumerate(listed.values()):
            forms = {part for entry in entries for form in (entry.lower(), fold(entry)) for part in _WORD.findall(form)}
            for form in forms:
                self._listed.setdefault(form, set()).add(place)
            trigrams = Counter(gram for form in forms for gram in _trigrams_of(form))
            self._trigrams.append(trigrams)
            bigrams: Counter[str] = Counter()
            for gram, count in trigrams.items():
                bigrams[gram[:2]] += count
            self._bigrams.append(bigrams)
        self._likelihood: Callable[[str], _Row] = lru_cache(maxsize=20_000)(self._of_trigram)
        self.evidence: Callable[[str], tuple[_Row, _Row | None]] = lru_cache(maxsize=20_000)(self._evidence)

    def _evidence(self, word: str) -> tuple[_Row, _Row | None]:
        """The scores of a lower-case word, 0 or less; and 1 for each list with the word, None where there is none."""
        having = self._listed.get(word) or self._listed.get(fold(word))
        if having:
            against = _AGAINST.get(len(word.rstrip("'")) + (not word.isascii()), _AGAINST_LONG)
            lists = tuple(float(place in having) for place in range(len(self.codes)))
            return tuple(against * (one - 1) for one in lists), lists
        likely = [sum(logs) for logs in zip(*map(self._likelihood, _trigrams_of(word[:_LONGEST_WORD])), strict=True)]
        best = max(likely)
        return tuple(max(_NGRAMS * (one - best), -_MOST_BY_NGRAMS) for one in likely), None

    def _of_trigram(self, gram: str) -> _Row:
        counts = zip(self._trigrams, self._bigrams, strict=True)
        return tuple(math.log((three.get(gram, 0) + 0.1) / (two.get(gram[:2], 0) + 3.0)) for three, two in counts)


def _trigrams_of(word: str) -> list[str]:
    padded = f"^{word}$"
    return [padded[start : start + 3] for start in range(len(padded) - 2)]


def _lists() -> _Lists:
    return _lists_of(tuple(folder_of(code) for code in known_languages()))


@lru_cache(maxsize=4)
def _lists_of(spoken: tuple[LanguageFolder, ...]) -> _Lists:
    """The lists of the known languages, and of those that are only recognised."""
    found: dict[str, Collection[str]] = {
        folder.code: folder.file("detection.txt") or folder.file("stop-words.txt") for folder in spoken
    }
    for item in sorted((resources.files("cervella.text") / "recognised").iterdir(), key=lambda item: item.name):
        code, _, ending = item.name.partition(".")
        if ending == "txt" and code not in found:
            found[code] = listed_words(item.read_text(encoding="utf-8"))
    return _Lists(found)


@dataclass(frozen=True, slots=True)
class _Reading:
    """The scores of a text for each language."""

    scores: _Row
    """The penalties: 0 or less."""
    listed: _Row
    """The number of words of the text on each list."""
    words: int


def _readings(text: str, lists: _Lists) -> list[_Reading]:
    """The scores of each sentence, without paths, figures and code."""
    text = _SYMBOLS.sub(" ", unicodedata.normalize("NFC", text[:_LONGEST]).translate(APOSTROPHES))
    return [_read(sentence, lists) for sentence in _SENTENCE.findall(text)]


def _read(sentence: str, lists: _Lists) -> _Reading:
    found = _WORD.findall(sentence)
    loud = len(found) > 2 and sentence.isupper()
    # A name or a title: "Rio de Janeiro".
    titled = all(len(word) <= 3 or _has_capital(word) for word in found) and any(
        _has_capital(word) and word not in lists.capital for word in found[1:]
    )
    against, listed = [lists.nothing], [lists.nothing]
    for place, word in enumerate(found):
        capital = _has_capital(word) and not loud
        speaks, has = lists.evidence(word.lower())
        if has is not None:
            named = (titled or (capital and place > 0)) and not loud and word not in lists.capital
            weight = (_TITLE if titled else _NAME) if named else 1.0
            against.append(speaks if weight == 1.0 else tuple(weight * one for one in speaks))
            listed.append(has)
        elif not capital:  # with a capital it is a name, and has letters of any language
            against.append(speaks)
    return _Reading(_added(against), _added(listed), len(found))


def _has_capital(word: str) -> bool:
    return word != word.lower()


def _added(rows: Iterable[_Row]) -> _Row:
    return tuple(map(sum, zip(*rows, strict=True)))


def _sum(readings: Sequence[_Reading], lists: _Lists) -> _Reading:
    return _Reading(
        _added([lists.nothing, *(one.scores for one in readings)]),
        _added([lists.nothing, *(one.listed for one in readings)]),
        sum(one.words for one in readings),
    )


def _found(text: str, own: Collection[str]) -> str | None:
    """The language of a text: each foreign language against all of `own` together."""
    lists = _lists()
    readings = _readings(text, lists)
    total = _sum(readings, lists)
    if not any(total.listed) and _is_other_script(text):
        return "other"
    shares: Counter[str] = Counter()
    for reading in readings:
        if reading.words >= _SHORTEST and (code := _winner(reading, lists, own)):
            shares[code] += reading.words
    others = {code: share for code, share in shares.items() if code not in own}
    if sum(others.values()) > _OTHER_SHARE * shares.total():
        return max(others, key=others.__getitem__)
    return _winner(total, lists, own)


def _winner(reading: _Reading, lists: _Lists, own: Collection[str]) -> str | None:
    ranked = sorted(zip(reading.scores, reading.listed, lists.codes, strict=True), reverse=True)
    score, listed, code = ranked[0]
    rivals = [one for one in ranked[1:] if (one[2] in own) is not (code in own)]
    if not rivals or not listed or score - rivals[0][0] < _SURE + _SURE_PER_WORD * reading.words:
        return None
    if code not in own and listed < reading.words:
        # One word that her language does not have may be of a name, a dish or a trade.
        return code if listed - max(one[1] for one in rivals) >= _FEWEST_FOREIGN else None
    return code


def _is_other_script(text: str) -> bool:
    letters = len(_LETTER.findall(text))
    return letters > 4 and len(_LATIN.findall(fold(text))) < 0.5 * letters
