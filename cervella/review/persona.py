"""Checks an answer against the rules that the traits of the soul declare."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from cervella.checks import Check, Context, run_check
from cervella.checks.check import PersonaTraits
from cervella.prompt.layout import strip_marks
from cervella.text.detection import foreign_language, languages_asked_for
from cervella.text.language import Language
from cervella.text.markdown import without_code
from cervella.text.quotations import normal
from cervella.text.sentences import quotables
from cervella.types import Passage

SOUL_KINDS: Mapping[str, str] = {
    "empty_phrase": "The persona never uses this phrase.",
    "gender": "The persona refers to herself in the wrong grammatical gender.",
    "address": "The persona addresses the person in another way.",
    "emoji": "The persona uses no emoji.",
    "served": "The persona is a partner, but calls herself something else.",
    "identity": "The persona gives herself another name.",
    "language": "The answer is neither in the persona's language nor in that of the question.",
}
"""For each kind of issue that breaks a rule of the soul, the sentence that describes the issue to the user."""
_CHECKS = {
    "no_empty_phrases": "empty_phrase",
    "gender": "gender",
    "address": "address",
    "no_emoji": "emoji",
    "not_served": "served",
    "identity": "identity",
}
_DECLARED = {"no_empty_phrases": "empty_phrases", "gender": "gender", "address": "address", "not_served": "role"}


def soul_issues(
    text: str, traits: PersonaTraits, lang: Language, *, passages: Sequence[Passage] = (), question: str = ""
) -> list[tuple[str, str]]:
    """Find the rules of the soul that an answer breaks: pairs of a kind of `SOUL_KINDS` and the words that break the
    rule.

    A rule that `traits` do not declare is not checked. Sentences copied word for word from a passage are not checked
    either. The answer may be in the persona's language, in the language of `question`, or in a language that the
    question names. `lang` is the language whose rules split the text into sentences.
    """
    own = _own_words(text, passages, lang)
    found = []
    if own.strip():
        context = Context(language=traits.language, traits=traits, passages=tuple(passages), question=question)
        for kind, issue in _CHECKS.items():
            needs = _DECLARED.get(kind)
            if (needs and not getattr(traits, needs)) or (kind == "no_emoji" and traits.emoji is not False):
                continue
            args = {"named": False} if kind == "identity" else {}
            checked = run_check(Check(kind=kind, args=args), own, context)
            if checked.passed is False:
                found.append((issue, checked.detail))
        if foreign_language(without_code(own), {traits.language, *languages_asked_for(question)}):
            found.append(("language", own.strip()[:80]))
    return found


def _own_words(text: str, passages: Sequence[Passage], lang: Language) -> str:
    """The persona's own words in an answer: without citation marks, without sentences copied from the passages, and
    without symbols that occur in the passages."""
    known = " ".join(normal(f"{passage.lead} {passage.reading}") for passage in passages)
    # One or two words count as copied only if they are a whole sentence of a passage.
    whole = {normal(p.reading[one.start : one.end]) for p in passages for one in quotables(p.reading, lang)}
    bare = strip_marks(text)
    kept = []
    for one in quotables(bare, lang):
        piece = bare[one.start : one.end]
        words = normal(piece)
        if words not in (known if len(words.split()) > 2 else whole):
            kept.append(piece)
    own = "\n".join(kept)
    shown = {letter for passage in passages for letter in f"{passage.lead}{passage.reading}"}
    # A symbol such as ✅ that a passage contains is not an emoji of the persona.
    return "".join(letter for letter in own if ord(letter) < 0x2190 or letter not in shown)
