"""What kind of thing a question asks for: a person, a price, a yes or no. `shows` is the other half: it says whether a
text holds such a thing.

The words of each language are in the asking.toml of its folder. A language without that file has no kinds.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from functools import lru_cache
from itertools import islice
from typing import NamedTuple, get_args

from cervella.text.detection import languages_asked_for
from cervella.text.folder import known_languages
from cervella.text.folding import fold
from cervella.text.language import Language, language
from cervella.text.showing import Kind, shows

__all__ = ["Kind", "asked_kinds", "shows"]

KINDS: tuple[Kind, ...] = get_args(Kind)
_LONGEST = 4_000
"""Maximum number of characters of a question that are read."""
_MOST = 2
"""Maximum number of kinds of a question."""
_MOST_PARTS = 60
"""Maximum number of parts of a question that are read, and of the cues in one of them."""
_MOST_BETWEEN = 3
"""Maximum number of words between a question word such as "which" and the noun that says what it asks for."""
_FEWEST_WORDS = 4
"""Minimum number of words of a question without any question word that yes or no answers."""
_SHORTEST_MISSPELT = 4
"""Minimum number of letters of a word in which a small mistake is looked for."""
_SENTENCE = re.compile(r"[^.!?…;\n]++(?:\.(?=\w)[^.!?…;\n]*+)*+[.!?…;\n]*+")
_WORD = re.compile(r"[^\W\d_]+")
_AFTER_LETTER = re.compile(r"(?<=\w)'(?!\w)")
_NO_WORDS = "(?!)"
_OPEN: Mapping[str, Kind | None] = {"ask_other": None, "what_is": "definition", "which_are": "list"}
"""The question words after which a noun says the kind, and the kind where no such noun follows."""
_NOUNS: tuple[Kind, ...] = ("person", "place", "time", "duration", "price", "quantity", "contact")
_ASKS = (*(f"ask_{kind}" for kind in KINDS), *_OPEN)
_OTHER_KEYS = (*(f"noun_{kind}" for kind in _NOUNS), "frames", "alternatives", "subordinate", "conditions")
_EDGES = " ?!.;…¿¡\"'«»“”"


class _Cue(NamedTuple):
    """Words of a question that say what it asks for: `text[start:end]`."""

    start: int
    end: int
    key: str
    """Their key in asking.toml."""


def asked_kinds(question: str, lang: Language) -> tuple[Kind, ...]:
    """The kinds of thing that a question asks for, the first asked first; two for a two-part question; empty where it
    cannot be told.

    `lang` is the language that the question is in. A short question may be in another: where `lang` finds nothing, the
    other languages that it may be in are tried. These ask whom to buy from and what to spend, and for opening hours:

    >>> it = language("it")
    >>> asked_kinds("Da chi lo prendo e quanto devo spendere?", it), asked_kinds("orari sabato", it)
    (('person', 'price'), ('time',))
    """
    question = question[:_LONGEST]
    kinds = _kinds(question, lang)
    if not kinds and any(map(str.isalpha, question)):
        near = languages_asked_for(question) - {lang.code}
        others = (_kinds(question, language(code)) for code in known_languages() if code in near)
        kinds = next(filter(None, others), ())
    return kinds


def _kinds(question: str, lang: Language) -> tuple[Kind, ...]:
    if not lang.has("asking.toml"):
        return ()
    sentences = _SENTENCE.findall(" ".join(_in_usual_spelling(line, lang) for line in fold(question).split("\n")))
    asking = [one for one in sentences if "?" in one]
    for some in (asking, [one for one in sentences if one not in asking]):
        found = list(dict.fromkeys(kind for one in some[:_MOST_PARTS] for kind in _kinds_of_sentence(one, lang)))
        if found:
            return tuple(found[:_MOST])
    return ()


def _in_usual_spelling(folded: str, lang: Language) -> str:
    """A folded line with question words as they are usually spelt: "qunto costa" (Italian) is "quanto costa"."""
    spellings = _spellings(lang)
    known = _known_words(lang)

    def usual(match: re.Match[str]) -> str:
        word = match[0]
        if word in known:
            return word
        return spellings.get(word, word)

    return " ".join(_AFTER_LETTER.sub("", _WORD.sub(usual, folded)).split())


@lru_cache(maxsize=16)
def _known_words(lang: Language) -> frozenset[str]:
    """The words of a language that are not read as another word with a mistake."""
    listed = frozenset(map(fold, lang.file("detection.txt"))) | lang.stop_words
    return listed.difference(lang.file("asking.toml")["spellings"])


@lru_cache(maxsize=16)
def _spellings(lang: Language) -> Mapping[str, str]:
    """The usual spelling of each misspelt question word: a letter left out or doubled, or two exchanged."""
    words = lang.file("asking.toml")["misspelt"].split()
    found: dict[str, str] = {}
    for word in words:
        for place in range(1, len(word)):
            exchanged = word[: place - 1] + word[place] + word[place - 1] + word[place + 1 :]
            doubled = word[:place] + word[place - 1 :]
            left_out = word[:place] + word[place + 1 :] if len(word) > _SHORTEST_MISSPELT else ""
            for one in (exchanged, doubled, left_out):
                if len(one) >= _SHORTEST_MISSPELT:
                    found.setdefault(one, word)
    own = {fold(one): fold(word) for one, word in lang.file("asking.toml")["spellings"].items()}
    return {one: word for one, word in found.items() if one not in words} | own


def _kinds_of_sentence(sentence: str, lang: Language) -> list[Kind]:
    found: list[tuple[Kind, bool]] = []  # and whether the next part may be what is asked: "when I come, where …"
    asked = False
    parts = list(islice(_parts(sentence, lang), _MOST_PARTS))
    for joined, part in parts:
        kind, asks = _kind_of_part(part, lang)
        if found and found[-1][1] and not joined and asks and kind != "yes_no":
            found.pop()
        if kind is not None:
            found.append((kind, kind == "yes_no" or _patterns(lang)["subordinate"].match(part) is not None))
        asked = asked or asks
    kinds = [kind for kind, _ in found]
    if _is_choice(sentence, kinds, lang):
        return ["choice"]
    if asked:
        return kinds
    nouns = [kind for _, part in parts if (kind := _kind_of_noun(part, lang)) is not None]
    framed = _patterns(lang)["frames"].search(sentence) is not None
    if nouns or framed or "?" not in sentence or len(_WORD.findall(sentence)) < _FEWEST_WORDS:
        return nouns
    return ["yes_no"]


def _parts(sentence: str, lang: Language) -> Iterator[tuple[bool, str]]:
    """The parts of a sentence, cut at commas, colons and words such as "and": each with whether such a word opens it.

    A cut inside a cue is none: the folded "qual e" is Italian for "which is", and "e" is "and".
    """
    start, joined = 0, False
    cues = _cues(sentence, lang)
    for match in _cuts(lang).finditer(sentence):
        if any(cue.start <= match.start("join") and match.end() <= cue.end for cue in cues if match["join"]):
            continue
        if part := sentence[start : match.start()].strip(_EDGES):
            yield joined, part
        start, joined = match.end(), bool(match["join"] or match["after"])
    if part := sentence[start:].strip(_EDGES):
        yield joined, part


@lru_cache(maxsize=16)
def _cuts(lang: Language) -> re.Pattern[str]:
    joins = lang.file("asking.toml")["joins"] or _NO_WORDS
    return re.compile(rf"[,:] ?(?P<after>{joins})|[,:](?!\d)|[()–—]| - |(?P<join>{joins})")


@lru_cache(maxsize=16)
def _patterns(lang: Language) -> Mapping[str, re.Pattern[str]]:
    data = lang.file("asking.toml")
    return {key: re.compile(data[key] or _NO_WORDS) for key in (*_ASKS, *_OTHER_KEYS)}


def _cues(part: str, lang: Language) -> list[_Cue]:
    """The cues of a part, in order. Of two that overlap the one that begins first is kept, and then the longer one."""
    patterns = _patterns(lang)
    frames = [match.span() for match in islice(patterns["frames"].finditer(part), _MOST_PARTS)]
    found = [_Cue(*match.span(), key) for key in _ASKS for match in islice(patterns[key].finditer(part), _MOST_PARTS)]
    kept: list[_Cue] = []
    for cue in sorted(found, key=lambda cue: (cue.start, -cue.end, _ASKS.index(cue.key))):
        framed = any(start <= cue.start and cue.end <= end for start, end in frames)
        if not framed and (not kept or cue.start >= kept[-1].end):
            kept.append(cue)
    return kept


def _kind_of_part(part: str, lang: Language) -> tuple[Kind | None, bool]:
    """The kind that a part asks for, and whether it asks at all: "what" asks, and its kind is unknown."""
    cues = _cues(part, lang)
    if _patterns(lang)["conditions"].match(part):  # "if I can come, when …": not whether I can
        cues = [cue for cue in cues if cue.key != "ask_yes_no"] or cues
    if not cues:
        return None, False
    if cues[0].key in _OPEN:
        return _kind_after(part, cues[0], lang) or _OPEN[cues[0].key], True
    return _kind_named(cues[0].key), True


def _kind_named(key: str) -> Kind:
    name = key.partition("_")[2]
    return next(kind for kind in KINDS if kind == name)


def _kind_after(part: str, cue: _Cue, lang: Language) -> Kind | None:
    """The kind of the noun that follows a question word: "what is the weekend price" asks for a price."""
    noun = _first_noun(part[cue.end :], lang)
    if noun is None:
        return None
    between = _WORD.findall(part[cue.end : cue.end + noun.start])
    breaks = lang.file("asking.toml")["breaks"].split()
    if len(between) > _MOST_BETWEEN or any(word in breaks for word in between):
        return None
    return _kind_named(noun.key)


def _kind_of_noun(part: str, lang: Language) -> Kind | None:
    noun = _first_noun(part, lang)
    return None if noun is None else _kind_named(noun.key)


def _first_noun(text: str, lang: Language) -> _Cue | None:
    patterns = _patterns(lang)
    found = [_Cue(*match.span(), f"noun_{kind}") for kind in _NOUNS if (match := patterns[f"noun_{kind}"].search(text))]
    return min(found, key=lambda cue: (cue.start, -cue.end), default=None)


def _is_choice(sentence: str, kinds: list[Kind], lang: Language) -> bool:
    """Whether a sentence names two alternatives and asks for nothing else: "tea or coffee?"."""
    if any(kind not in ("yes_no", "choice") for kind in kinds) or "?" not in sentence:
        return False
    return _patterns(lang)["alternatives"].search(sentence) is not None
