"""The soul's own rules, checked in an answer: those that the traits declare, and no others."""

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

__all__ = ["SOUL_KINDS", "soul_issues"]

SOUL_KINDS: Mapping[str, str] = {
    "empty_phrase": "An empty phrase that she never says.",
    "gender": "She speaks of herself in another gender.",
    "address": "She does not address the person so.",
    "emoji": "She uses no emoji.",
    "served": "She is a partner, and calls herself something else.",
    "identity": "She gives herself another name.",
    "language": "The answer is in neither her language nor the question's.",
}
"""By kind of issue, its meaning."""
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
    """The kind of each broken rule, and the words that break it.

    Sentences that she repeats word for word from a passage are not checked. She may answer in the language of the
    question, or in one that it names.
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
    """The answer without its marks, and without the sentences that stand in the passages as they are."""
    known = " ".join(normal(f"{passage.lead} {passage.text}") for passage in passages)
    # A word or two may stand in any list of what she never says: only as a sentence of its own is it the passage's.
    whole = {normal(p.text[one.start : one.end]) for p in passages for one in quotables(p.text, lang)}
    bare = strip_marks(text)
    kept = []
    for one in quotables(bare, lang):
        piece = bare[one.start : one.end]
        words = normal(piece)
        if words not in (known if len(words.split()) > 2 else whole):
            kept.append(piece)
    own = "\n".join(kept)
    shown = {letter for passage in passages for letter in f"{passage.lead}{passage.text}"}
    return "".join(
        letter for letter in own if ord(letter) < 0x2190 or letter not in shown
    )  # a source's ✅ is no emoji of hers
