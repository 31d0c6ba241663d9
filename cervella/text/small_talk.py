"""Recognises small talk (greetings, thanks, «who are you?») by the phrases of each language's `small-talk.toml`.

An utterance is small talk if all its words belong to such phrases. One other word makes it a question for the search:
«ciao» is small talk, «ciao, quanto costa la pulizia?» ("hi, what does the cleaning cost?") is not.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Callable
from dataclasses import dataclass
from functools import lru_cache

from cervella.text.detection import language_of, languages_asked_for
from cervella.text.folder import known_languages, own_folders, required
from cervella.text.folding import fold, words
from cervella.text.language import Language, language
from cervella.text.sayings import FILLER, Sayings, only_word

_FILE = "small-talk.toml"
_NEVER_ASKED = frozenset({"bye", "love", "meet", "mood", "remark", "wishes"})
"""Kinds that are no small talk in a question: «fino a lunedì?» ("until Monday?") asks for something."""
_COURTESIES = frozenset(
    {"greeting", "thanks", "bye", "how", "love", "meet", "offer", "present", "sorry", "wishes", "ack"}
)
"""Kinds that say nothing of what is asked beside them."""
_CLEAR = frozenset({"greeting", "thanks"})
"""Kinds of which one word is small talk in any language: «hola», «merci»."""
_UNASKED = frozenset({"greeting", "thanks", "bye", "who"})
"""Kinds of which one word is small talk even if the base has it."""
_HEARD = frozenset({"ack", "mood", "sorry"})
"""Kinds of which that is so for a filler: «ok», «bene»."""
_EVERYWHERE = "en"
"""The language in which one word is small talk besides those of the base and of the question."""
_MOST_COURTESIES = 4
"""Maximum number of parts that are cut off at each end of a question."""
_PART_END = re.compile(r"[,.;:!?…]\s+|\s[-–—]+\s+")
_REACTION, _LONGEST = "ack", 200
"""The kind of an utterance without words, such as a raised thumb, and its maximum number of characters."""


@dataclass(frozen=True, slots=True, kw_only=True)
class SmallTalk:
    """An utterance that asks nothing of the notes."""

    kinds: tuple[str, ...]
    """The keys of small-talk.toml whose phrases it has, in the order of required.toml: the first decides the answer."""
    language: str
    """The code of the language that it is in."""


def small_talk(
    utterance: str, lang: Language, persona: str | None = None, *, holds: Callable[[str], bool] | None = None
) -> SmallTalk | None:
    """What an utterance is, if it is small talk in any known language, else None.

    `lang` is the language of the base, which is tried first. `persona` is the persona's name: she may be called by it.
    One word alone may as well be a word to search for: it is small talk only as it is written, in the language of the
    base or its own or in English, but a greeting or thanks in any language. If `holds` is given and says that the base
    has the word, it is searched for, unless it is a greeting, thanks or leave-taking in the language of the base, or a
    word such as "ok" that says nothing beside others either.

    >>> from cervella.text.language import language
    >>> it = language("it")
    >>> small_talk("Grazie mille!", it).kinds, small_talk("Hola, ¿qué tal?", it).language
    (('thanks',), 'es')
    >>> small_talk("Grazie, e quanto costa?", it) is None
    True
    """
    if len(utterance) > _LONGEST:
        return None
    if not words(utterance):
        shown = any(unicodedata.category(sign) == "So" for sign in utterance)
        return SmallTalk(kinds=(_REACTION,), language=lang.code) if shown else None
    names = () if persona is None else lang.names_of(persona)
    only = only_word(words(utterance), lang.articles)
    likely = languages_asked_for(utterance)
    others = [code for code in known_languages() if not likely or code in likely]
    if only is not None:  # of one word they are little more than a guess
        others += known_languages()
    asks = re.search(r"[?？]\W*$", utterance) is not None
    near = {lang.code, _EVERYWHERE, _own_language(only or "", utterance, lang)}
    for code in dict.fromkeys((lang.code, *others)):
        sayings = _sayings(code, own_folders())
        kinds = sayings.kinds_in(utterance, names, lang.articles)
        if not kinds or (asks and _NEVER_ASKED.issuperset(kinds)):
            continue
        if only is not None and code != lang.code:
            if code not in near and not _CLEAR.issuperset(kinds):
                continue
            if only in lang.stop_words:  # English «we» is an Italian greeting
                continue
        if only is not None and holds is not None and holds(only):
            filler = not asks and _HEARD.issuperset(kinds) and sayings.is_filler(only)
            sure = filler or (_CLEAR - {"thanks"} if asks else _UNASKED).issuperset(kinds)
            if code != lang.code or not sure:
                return None
        return SmallTalk(kinds=kinds, language=code)
    return None


def _own_language(word: str, utterance: str, lang: Language) -> str:
    """The code of the language of one folded word, if it is certain also by the word's accents; else that of `lang`.

    The Italian «voce» ("voice") is no Portuguese «você» ("you").
    """
    found = language_of(utterance, lang)
    accented = {one.lower() for one in found.file("detection.txt") or () if fold(one) == word}
    return found.code if not accented or accented & set(re.findall(r"\w+", utterance.lower())) else lang.code


def without_courtesies(question: str, lang: Language, persona: str | None = None) -> str:
    """A question without the small talk at its start and its end, which would count as words to search for.

    Only whole parts between punctuation marks are cut off, and nothing of a text that is all small talk. In this
    example the rest asks "what does the cleaning cost?":

    >>> from cervella.text.language import language
    >>> without_courtesies("Buongiorno, scusi il disturbo. Quanto costa la pulizia? Grazie!", language("it"))
    'Quanto costa la pulizia?'
    """

    def is_courtesy(part: str) -> bool:
        talk = small_talk(part, lang, persona)
        return talk is not None and _COURTESIES.issuperset(talk.kinds)

    rest = question
    for _ in range(_MOST_COURTESIES):
        end = _PART_END.search(rest, 1, _LONGEST)
        if end is None or not is_courtesy(rest[: end.end()].strip()):
            break
        rest = rest[end.end() :]
    for _ in range(_MOST_COURTESIES):
        length = len(rest.rstrip())
        *_, end = [None, *_PART_END.finditer(rest, max(0, length - _LONGEST), length)]
        if end is None or not is_courtesy(rest[end.end() :].strip()):
            break
        rest = rest[: end.end()].rstrip(" ,;:-–—\n\t")
    return rest if words(rest) and small_talk(rest, lang, persona) is None else question


@lru_cache(maxsize=64)
def _sayings(code: str, own: str) -> Sayings:
    """The sayings of a language. `own` is the value of the environment variable that names the owner's folders."""
    file = language(code).file(_FILE)
    kinds = [key for key, (kind, _) in required()[_FILE].items() if kind.startswith("sayings")]
    return Sayings({key: file[key] for key in (*(key for key in kinds if key != FILLER), FILLER)})
