"""What kind of thing a question asks for: a person, a price, a yes or no. `shows` is the other half: it says whether a
text holds such a thing.

The words of each language are in the asking.toml of its folder. A language without that file has no kinds.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from functools import lru_cache
from itertools import islice
from typing import NamedTuple, get_args

from cervella.text.asking_words import FILE, listed, pattern
from cervella.text.detection import languages_asked_for
from cervella.text.folder import known_languages
from cervella.text.folding import fold
from cervella.text.language import Language, language
from cervella.text.showing import Kind, shows

__all__ = ["Kind", "asked_kinds", "asking_words", "shows"]

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
_OPEN: Mapping[str, Kind | None] = {
    "what_is": "definition",
    "which_are": "list",
    "which": "choice",
    "ask_name": None,
    "ask_other": None,
}
"""The question words after which a noun says the kind, and the kind where no such noun follows."""
_NOUNS: tuple[Kind, ...] = ("person", "place", "time", "duration", "price", "quantity", "contact")
_WEAK = "may_be_yes_no"
_ASKS = (*(f"ask_{kind}" for kind in KINDS), *_OPEN, _WEAK)
_MEASURES = ("ask_quantity", "ask_duration", "ask_price")
_NOMINAL = ("ask_procedure", "ask_reason", "ask_comparison", "ask_contact", "ask_definition")
"""Cues that are nouns too, and may follow a question word: the procedure, the reason."""
_NEAR = 12
"""Maximum number of characters between the two."""
_ARTICLE = 4
"""Maximum number of characters before a question word that stands alone: "di quanto" (Italian, "of how much")."""
_EDGES = " ?!.;…¿¡\"'«»“”"


class _Cue(NamedTuple):
    """Words of a question that say what it asks for: `text[start:end]`."""

    start: int
    end: int
    key: str
    """Their key in asking.toml."""


class _Part(NamedTuple):
    """What one part of a sentence asks for."""

    joined: bool
    """Whether a word such as "and" joins it to the part before."""
    kind: Kind | None
    asks: bool
    """Whether it asks at all: "what" asks, and its kind is unknown."""
    yields: bool = False
    """Whether the next part, without "and", is what is asked: "when I come, where …"."""
    elliptic: bool = False
    """Whether it is question words only, and so makes exact what was asked before: "how many days?"."""


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
        kinds = next(filter(None, others), ()) or _by_form(question, lang)
    return kinds


def asking_words(question: str, lang: Language) -> frozenset[str]:
    """The folded words of a question that say what kind of thing it asks for, and nothing of what it asks about.

    >>> sorted(asking_words("Quanto costa la pulizia?", language("it")))
    ['costa', 'quanto']
    """
    sentences = _sentences(question[:_LONGEST], lang)
    cues = ((one, cue) for one in sentences for cue in (*_cues(one, lang), *_frame_cues(one, lang)))
    said = (pattern(lang, "noun_person").sub(" ", one[cue.start : cue.end]) for one, cue in cues)
    return frozenset(word for text in said for word in _WORD.findall(text)) & _known_words(lang)


def _frame_cues(sentence: str, lang: Language) -> list[_Cue]:
    return [_Cue(start, end, "frames") for start, end in _frames(sentence, lang)]


def _by_form(question: str, lang: Language) -> tuple[Kind, ...]:
    """The kind of a question in which no word tells it: the longer ones are for yes or no.

    "If the power fails?" asks what to do; "if I come, is it far?" does not.
    """
    sentence = next((one for one in _sentences(question, lang) if "?" in one), "")
    if len(_WORD.findall(sentence)) < _FEWEST_WORDS or _frames(sentence, lang) or _cues(sentence, lang):
        return ()
    parts = [part for _, part in islice(_parts(sentence, lang), _MOST_PARTS)]
    return ("procedure",) if len(parts) == 1 and pattern(lang, "conditions").match(parts[0]) else ("yes_no",)


def _sentences(question: str, lang: Language) -> list[str]:
    """The last sentences of a question, folded and in the usual spelling."""
    if not lang.has(FILE):
        return []
    lines = (_in_usual_spelling(line, lang) for line in fold(question).split("\n"))
    return _SENTENCE.findall(" ".join(lines))[-_MOST_PARTS:]


def _kinds(question: str, lang: Language) -> tuple[Kind, ...]:
    sentences = _sentences(question, lang)
    asking = [one for one in sentences if "?" in one]
    if asking and asking[-1] is not sentences[-1] and _opens_with_cue(sentences[-1], lang):
        asking.append(sentences[-1])  # "does it take long? how many days"
    for some in (asking, [one for one in sentences if one not in asking]):
        found: list[Kind] = []
        for one in some:
            kinds = _kinds_of_sentence(one, lang)
            if found and _is_elliptic(one, lang):
                kinds = [kind for kind in kinds if kind not in ("list", "choice")]
                found = [] if found == ["yes_no"] and kinds else found
            found += kinds
        if found:
            return _in_money(tuple(dict.fromkeys(found))[:_MOST], sentences, lang)
    return ()


def _opens_with_cue(sentence: str, lang: Language) -> bool:
    cues = _cues(sentence.strip(_EDGES), lang)
    return bool(cues) and cues[0].start == 0 and cues[0].key not in ("ask_yes_no", _WEAK)


def _is_elliptic(sentence: str, lang: Language) -> bool:
    return _kind_of_part(sentence.strip(_EDGES), lang)[3]


def _in_money(kinds: tuple[Kind, ...], sentences: Sequence[str], lang: Language) -> tuple[Kind, ...]:
    """The kinds, with a bare "how much?" after words about money as a price: "is there a discount, and how much?"."""
    if "quantity" not in kinds or "price" in kinds:
        return kinds
    text = " ".join(sentences)
    bare = any(
        cue.key == "ask_quantity" and not text[cue.end :].strip(_EDGES) for cue in _cues(text.strip(_EDGES), lang)[-1:]
    )
    if bare and (pattern(lang, "noun_price").search(text) or pattern(lang, "price_words").search(text)):
        return tuple("price" if kind == "quantity" else kind for kind in kinds)
    return kinds


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
    frequent = frozenset(map(fold, lang.file("detection.txt"))) | lang.stop_words
    return frequent.difference(lang.file(FILE)["spellings"])


@lru_cache(maxsize=16)
def _spellings(lang: Language) -> Mapping[str, str]:
    """The usual spelling of each misspelt question word: a letter left out or doubled, or two exchanged."""
    words = listed(lang, "misspelt")
    found: dict[str, str] = {}
    for word in words:
        for place in range(1, len(word)):
            exchanged = word[: place - 1] + word[place] + word[place - 1] + word[place + 1 :]
            doubled = word[:place] + word[place - 1 :]
            left_out = word[:place] + word[place + 1 :] if len(word) > _SHORTEST_MISSPELT else ""
            for one in (exchanged, doubled, left_out):
                if len(one) >= _SHORTEST_MISSPELT:
                    found.setdefault(one, word)
    own = {fold(one): fold(word) for one, word in lang.file(FILE)["spellings"].items()}
    return {one: word for one, word in found.items() if one not in words} | own


def _kinds_of_sentence(sentence: str, lang: Language) -> list[Kind]:
    parts = [_Part(joined, *_kind_of_part(part, lang)) for joined, part in islice(_parts(sentence, lang), _MOST_PARTS)]
    kinds = _joined(parts)
    asks = any(part.asks for part in parts)
    if (asks or "?" in sentence) and _is_choice(sentence, kinds, lang):
        return ["choice"]
    if asks:
        return kinds
    texts = (part for _, part in islice(_parts(sentence, lang), _MOST_PARTS))
    return [kind for part in texts if (kind := _kind_of_noun(part, lang)) is not None]


def _joined(parts: Sequence[_Part]) -> list[Kind]:
    """The kinds of the parts of a question, without those that a later part makes a condition: "when I come, where do I
    park" asks where only."""
    found: list[_Part] = []
    for part in parts:
        if found and found[-1].yields and not part.joined and part.asks and part.kind != "yes_no":
            found.pop()
        if part.kind is not None and not (found and part.elliptic and part.kind in ("list", "choice")):
            found.append(part)
    return [part.kind for part in found if part.kind is not None]


def _parts(sentence: str, lang: Language) -> Iterator[tuple[bool, str]]:
    """The parts of a sentence, cut at commas, colons and words such as "and": each with whether such a word opens it.

    A cut inside a cue is none: the folded "qual e" is Italian for "which is", and "e" is "and".
    """
    start, joined = 0, False
    whole = [*_frames(sentence, lang), *((cue.start, cue.end) for cue in _cues(sentence, lang))]
    for match in _cuts(lang).finditer(sentence):
        is_join = match.lastgroup is not None
        if is_join and any(first <= match.start() and match.end() <= last for first, last in whole):
            continue
        if part := sentence[start : match.start()].strip(_EDGES):
            yield joined, part
        start, joined = match.end(), is_join
    if part := sentence[start:].strip(_EDGES):
        yield joined, part


@lru_cache(maxsize=16)
def _cuts(lang: Language) -> re.Pattern[str]:
    return pattern(lang, "joins", r"[,:](?!\d)|[()–—]| - |(?P<join>{})")


def _cues(part: str, lang: Language) -> list[_Cue]:
    """The cues of a part, in order. Of two that overlap the one that begins first is kept, and then the longer one."""
    frames = _frames(part, lang)
    found = [
        _Cue(*match.span(), key) for key in _ASKS for match in islice(pattern(lang, key).finditer(part), _MOST_PARTS)
    ]
    kept: list[_Cue] = []
    for cue in sorted(found, key=lambda cue: (cue.start, -cue.end, _ASKS.index(cue.key))):
        framed = any(start <= cue.start and cue.end <= end for start, end in frames)
        if not framed and (not kept or cue.start >= kept[-1].end):
            kept.append(cue)
    return kept


def _frames(part: str, lang: Language) -> list[tuple[int, int]]:
    return [match.span() for match in islice(pattern(lang, "frames").finditer(part), _MOST_PARTS)]


def _kind_of_part(part: str, lang: Language) -> tuple[Kind | None, bool, bool, bool]:
    """The kind that a part asks for, and the other fields of `_Part` after it."""
    cues = _cues(part, lang)
    if pattern(lang, "conditions").match(part):  # "if I can come, when …": not whether I can
        cues = [cue for cue in cues if cue.key not in ("ask_yes_no", _WEAK)] or cues
    if not cues:
        return None, False, False, False
    first, last = cues[0], cues[-1]
    if first.key in ("ask_yes_no", _WEAK) and last.end == len(part) and last.key in _MEASURES:
        first = last  # "there is a discount of how much?"
    kind = _kind_of_cue(part, first, lang)
    if kind is None and cues[1:] and cues[1].start - first.end <= _NEAR and cues[1].key in _NOMINAL:
        kind = _kind_named(cues[1].key)  # "what is the procedure for …"
    if kind in (None, "yes_no", "list", "choice") and pattern(lang, "ask_tasks").search(part):
        kind = "tasks"
    yields = first.key == _WEAK or pattern(lang, "subordinate").match(part) is not None
    elliptic = first.start <= _ARTICLE and first.end == len(part)
    return kind, True, yields, elliptic and (first.key in _MEASURES or first.key in _OPEN)


def _kind_of_cue(part: str, cue: _Cue, lang: Language) -> Kind | None:
    if cue.key == "ask_name" and (
        pattern(lang, "show_person").search(part) or pattern(lang, "noun_person").search(part)
    ):
        return "person"
    if cue.key in _OPEN:
        return _kind_after(part, cue, lang) or _OPEN[cue.key]
    return "yes_no" if cue.key == _WEAK else _kind_named(cue.key)


def _kind_named(key: str) -> Kind:
    name = key.partition("_")[2]
    return next(kind for kind in KINDS if kind == name)


def _kind_after(part: str, cue: _Cue, lang: Language) -> Kind | None:
    """The kind of the noun that follows a question word: "what is the weekend price" asks for a price."""
    noun = _first_noun(part[cue.end :], lang)
    if noun is None:
        return None
    between = _WORD.findall(part[cue.end : cue.end + noun.start])
    breaks = listed(lang, "breaks")
    if len(between) > _MOST_BETWEEN or any(word in breaks for word in between):
        return None
    return _kind_named(noun.key)


def _kind_of_noun(part: str, lang: Language) -> Kind | None:
    noun = _first_noun(part, lang)
    return None if noun is None else _kind_named(noun.key)


def _first_noun(text: str, lang: Language) -> _Cue | None:
    found = [
        _Cue(*match.span(), f"noun_{kind}") for kind in _NOUNS if (match := pattern(lang, f"noun_{kind}").search(text))
    ]
    return min(found, key=lambda cue: (cue.start, -cue.end), default=None)


def _is_choice(sentence: str, kinds: list[Kind], lang: Language) -> bool:
    """Whether a sentence names two alternatives and asks for nothing else: "tea or coffee?"."""
    if any(kind not in ("yes_no", "choice") for kind in kinds):
        return False
    return pattern(lang, "alternatives").search(sentence) is not None
