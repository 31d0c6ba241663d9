"""Reads from a Constitution how the persona introduces herself, and whether she addresses people formally."""

from __future__ import annotations

import re
from collections.abc import Iterator

from cervella.protocols import Soul
from cervella.soul.constitution import sections_of
from cervella.soul.traits import Traits
from cervella.text.folding import fold, words
from cervella.text.language import Language, known_languages, language

_LONGEST, _MOST_WORDS = 300, 40
"""Maximum number of characters and of words of an introduction."""
_READ = 20_000
"""Maximum number of characters of a Constitution that are read."""
_NOT_PROSE = re.compile(r"\s*(?:#|>|\||[-*+] |\d{1,3}[.)] |<!--)")
_EMPHASIS = re.compile(r"[*_`]+|(?<=\])\([^()\n]{0,200}\)|[\[\]]")


def introduction(soul: Soul, lang: Language) -> str | None:
    """The first sentence of a Constitution in which the persona says what she is, without markup; None without one.

    It is in the first person, as «Sono Nina, la voce dello studio» ("I am Nina, the voice of the practice"), and in the
    language of the soul, `lang`.
    """
    opens = re.compile(rf"\W*{lang.phrases['shows_self']}")
    return next((sentence for sentence in _sentences(soul, lang) if opens.match(fold(sentence))), None)


def says_machine(soul: Soul, lang: Language) -> str | None:
    """The first sentence of a Constitution in which the persona says that she is a program; None without one.

    It begins in the first person. A sentence that also says that she is a person is none: «Sono una persona che usa un
    programma» ("I am a person who uses a program").
    """
    data = lang.file("small-talk.toml")
    opens = re.compile(rf"\W*(?:\w+ )?{lang.phrases['shows_self']}")  # perhaps after a "not"
    negations = frozenset(map(fold, lang.review["negations"]))
    for sentence in _sentences(soul, lang):
        folded = fold(sentence)
        machine, person = (_affirmed(folded, data[key], negations) for key in ("says_machine", "says_person"))
        if machine and not person and opens.match(folded):
            return sentence
    return None


def _affirmed(folded: str, pattern: str, negations: frozenset[str]) -> bool:
    """Whether a folded sentence has something that the pattern finds, with no negation in the three words before it."""
    found = re.finditer(pattern, folded)
    return any(negations.isdisjoint(words(folded[max(0, one.start() - 80) : one.start()])[-3:]) for one in found)


def _sentences(soul: Soul, lang: Language) -> Iterator[str]:
    """The sentences of a Constitution that are short enough to be said as they are."""
    for paragraph in _paragraphs(soul.system_prompt()[:_READ]):
        for start, end in lang.sentences(paragraph):
            if end - start <= _LONGEST and len(paragraph[start:end].split()) <= _MOST_WORDS:
                yield paragraph[start:end]


def _paragraphs(text: str) -> Iterator[str]:
    """The running text of a Constitution by paragraphs, each on one line: no headings, lists, tables or boxes."""
    for section in sections_of(text):
        lines = section.text.split("\n")[1 if section.title else 0 :]
        for block in "\n".join("" if _NOT_PROSE.match(line) else line for line in lines).split("\n\n"):
            if plain := " ".join(_EMPHASIS.sub("", block).split()):
                yield plain


def is_formal(soul: Soul, traits: Traits) -> bool:
    """Whether the persona addresses people formally, as with the Italian Lei: False if her Constitution does not say.

    The trait `address` decides if it says so, else the place in the Constitution that says so first.
    """
    codes = dict.fromkeys((traits.language, *known_languages()))
    for text in (traits.address or "", soul.system_prompt()[:_READ]):
        for code in codes:
            if code in known_languages() and (formal := _formal_in(fold(text), language(code))) is not None:
                return formal
    return False


def _formal_in(folded: str, lang: Language) -> bool | None:
    data = lang.file("small-talk.toml")
    formal, familiar = (re.search(data[key], folded) for key in ("formal", "familiar"))
    if formal is None or familiar is None:
        return None if formal is familiar else formal is not None
    return formal.start() < familiar.start()
