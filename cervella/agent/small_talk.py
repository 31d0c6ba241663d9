"""Puts together what the persona says to small talk, for a brain that generates nothing.

The texts are those of the language in which somebody talked to her, in the register of her Constitution. If she is
asked who she is, her Constitution answers in its own words.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from cervella.prompt.layout import instructions_for_small_talk
from cervella.protocols import Retriever, Soul
from cervella.soul.manners import introduction, is_formal, says_machine
from cervella.soul.traits import Traits
from cervella.text.folding import words
from cervella.text.language import Language, language
from cervella.text.small_talk import SmallTalk, small_talk

_WHO, _WHAT, _NAME, _MACHINE = "who", "what", "name", "machine"
_ABOUT_HER = (_NAME, _WHO, _WHAT, _MACHINE, "model", "abilities")
"""Kinds of which each is answered, in this order. Of the other kinds only the first of an utterance is."""


@dataclass(frozen=True, slots=True, kw_only=True)
class TalkPrompt:
    """What the prompt of small talk has, in place of passages and of the instructions about them."""

    instructions: str
    hints: Mapping[str, Any]
    """The language of the utterance, and what a brain that generates nothing says to it."""


def small_talk_beside(
    retriever: Retriever, question: str, lang: Language, persona: str | None = None
) -> SmallTalk | None:
    """What a question is if it is small talk, else None. A word alone that the retriever's base holds is a question."""
    holds = getattr(retriever, "holds", None)
    return small_talk(question, lang, persona, holds=holds if callable(holds) else None)


def talk_prompt(talk: SmallTalk, soul: Soul, traits: Traits, persona: str | None, *, today: str) -> TalkPrompt:
    """What the prompt of small talk has. `persona` is the persona's name, `today` an ISO 8601 date."""
    return TalkPrompt(
        instructions=instructions_for_small_talk(language(talk.language), today=today),
        hints={"language": talk.language, "small_talk": said_to(talk, soul, traits, persona)},
    )


def said_to(talk: SmallTalk, soul: Soul, traits: Traits, persona: str | None) -> str:
    """The persona's answer to small talk. Empty if its language has no text for it. `persona` is her name."""
    lang = language(talk.language)
    about_her = [kind for kind in _ABOUT_HER if kind in talk.kinds]
    answers = _Answers(lang, soul, traits, persona)
    said = (text for kind in about_her or talk.kinds[:1] for text in answers.to(kind))
    return " ".join(dict.fromkeys(filter(None, said)))


class _Answers:
    """The answers of a persona in one language."""

    def __init__(self, lang: Language, soul: Soul, traits: Traits, persona: str | None) -> None:
        data = lang.file("small-talk.toml")
        self._texts = {**data["answers"], **(data["answers_formal"] if is_formal(soul, traits) else {})}
        self._lang, self._soul = lang, soul
        self._own = soul.language == lang.code
        self._name = None if persona is None else shown_name(persona, language(soul.language))

    def to(self, kind: str) -> list[str]:
        """The sentences that answer one kind of small talk."""
        if kind == _WHO or (kind == _NAME and self._name is None):
            return self._who()
        if kind == _WHAT:
            return [*self._who(), *self.to(_MACHINE)]
        if kind == _MACHINE and self._own and (own := says_machine(self._soul, self._lang)):
            return [own]
        return [self._text(kind)]

    def _who(self) -> list[str]:
        """Her name, and what she is: in the words of her Constitution, if it is in the language of the question."""
        what = (introduction(self._soul, self._lang) if self._own else None) or self._text(_WHO)
        named = self._name is None or _has(words(what), words(self._name))
        return [what] if named else [self._text(_NAME), what]

    def _text(self, kind: str) -> str:
        return str(self._texts.get(kind, "")).format(name=self._name or "")


def _has(said: list[str], name: list[str]) -> bool:
    return any(said[at : at + len(name)] == name for at in range(len(said) - len(name) + 1))


def shown_name(persona: str, lang: Language) -> str | None:
    """A persona's name as it is said, without the title of her Constitution; None if that is all.

    In these examples, the Italian titles are those of the Constitution of Ada, and of a Constitution:

    >>> from cervella.text.language import language
    >>> shown_name("COSTITUZIONE DI ADA", language("it")), shown_name("Costituzione", language("it"))
    ('Ada', None)
    """
    if not lang.names_somebody(persona):
        return None
    spoken = persona.split()
    whole = next(iter(lang.names_of(persona)), "")
    while len(spoken) > 1 and words(" ".join(spoken)) != whole.split():
        if len(words(" ".join(spoken))) <= len(whole.split()):
            break
        spoken.pop(0)
    shown = " ".join(spoken)
    return shown.title() if persona.isupper() else shown
