"""The spellings that a right or a wrong answer to a question holds, and how a text is searched for one."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Mapping
from dataclasses import dataclass
from difflib import get_close_matches
from typing import Any

UNANSWERABLE = ("near_miss", "off_topic", "chat")
"""The kinds of question that the base does not answer. `near_miss`: the base treats the subject, and does not say this;
`off_topic`: another subject; `chat`: small talk."""
PERSONA = "persona"
"""The kind of a question about the persona herself: its source counts, its words do not."""
_KEYS = (
    *("id", "question", "lang", "kind", "answerable", "answer", "must", "must_not", "files", "evidence"),
    *("superseded", "current", "draft"),
)
_LONGEST = 500
"""Maximum length of a spelling, in characters. The time to search for one grows with it."""
_LONGEST_KEY = 40
_SPACES = re.compile(r"[\s\u00a0\u202f]+")


@dataclass(frozen=True, slots=True, kw_only=True)
class Spellings:
    """What decides whether an answer to one question is right."""

    must: tuple[tuple[str, ...], ...] = ()
    """A right answer holds one spelling of each group."""
    must_not: tuple[str, ...] = ()
    """Spellings of a wrong or an outdated answer."""


def folded(text: str) -> str:
    """The text without accents, capitals and white space, and with straight apostrophes.

    >>> folded("Dalle 8,30: «È l’ora»")
    "dalle8,30:«el'ora»"
    """
    plain = "".join(c for c in unicodedata.normalize("NFKD", text) if not unicodedata.combining(c))
    return _SPACES.sub("", plain.lower().replace("’", "'"))


def place(text: str, spelling: str) -> int | None:
    """Where a folded text holds the spelling, as an index into that text; None where it does not.

    A figure at the start or the end of a spelling must be whole in the text.

    >>> place(folded("Costa 690 €"), "90 €") is None, place(folded("Costa 90 €"), "90 €")
    (True, 5)
    """
    wanted = folded(spelling)
    before = r"(?<![\d.,])" if wanted[:1].isdigit() else ""
    after = r"(?!\d|[.,]\d)" if spelling[-1:].isdigit() else ""
    found = re.search(before + re.escape(wanted) + after, text)
    return found.start() if found else None


def has_spellings(row: Mapping[str, Any]) -> bool:
    """Whether a row of a question file names spellings. One such row makes it a file whose answers they score."""
    return "must" in row or "must_not" in row


def read_answerable(row: Mapping[str, Any]) -> bool:
    """Whether the base answers the row's question; without `answerable`, its kind decides. Raises WrongRowError."""
    kind = row.get("kind")
    answerable = row.get("answerable", kind not in UNANSWERABLE)
    if not isinstance(answerable, bool):
        raise WrongRowError("has an `answerable` that is neither true nor false", "Write true or false.")
    if answerable and kind in UNANSWERABLE:
        raise WrongRowError(
            f"is answerable, and of the kind {kind!r}, which the base does not answer", "Correct one of the two."
        )
    if not answerable and kind not in (*UNANSWERABLE, PERSONA):
        said = f"of the kind {kind!r}" if kind else "without a `kind`"
        raise WrongRowError(
            f"is not answerable and {said}, so that no figure would count it",
            f"Give it one of the kinds {', '.join(UNANSWERABLE)}.",
        )
    return answerable


def read_spellings(row: Mapping[str, Any], *, answerable: bool) -> Spellings:
    """The spellings of a row. Raises WrongRowError if they can't score an answer."""
    for key in row:
        near = get_close_matches(key[:_LONGEST_KEY].lower(), _KEYS, n=1, cutoff=0.86)
        if key not in _KEYS and near:
            raise WrongRowError(
                f"has the key {key[:_LONGEST_KEY]!r}, which has no meaning", f"Did you mean {near[0]!r}?"
            )
    must = row.get("must")
    if must is None:
        must = []
    if not isinstance(must, list):
        raise WrongRowError("has a `must` that is not a list", 'Write it as [["8 €", "8 euro"], ["a notte"]].')
    groups = tuple(_group(one) for one in must)
    if groups and not answerable and row.get("kind") != PERSONA:
        raise WrongRowError(
            "is not answerable and has a `must`, which only an answer could meet",
            "Take out the `must`, or give it the kind of a question that the base answers. "
            "What a wrong answer says belongs in `must_not`.",
        )
    if answerable and row.get("kind") != PERSONA:
        if not groups:
            raise WrongRowError(
                "is answerable and has no `must`, so that every answer would be right",
                'Write what a right answer holds, as [["8 €", "8 euro"]].',
            )
        if not row.get("files", row.get("current")):
            raise WrongRowError("is answerable and names no `files`", "Name the files that answer it.")
    if row.get("kind") == PERSONA and not row.get("files", row.get("current")):
        raise WrongRowError("is about the persona and names no `files`", "Name the file of the Constitution.")
    must_not = row.get("must_not")
    if must_not is None:
        must_not = []
    if not isinstance(must_not, list):
        raise WrongRowError("has a `must_not` that is not a list", 'Write it as ["20 %", "20 per cento"].')
    return Spellings(must=groups, must_not=tuple(_spelling(one, "must_not") for one in must_not))


def _group(value: object) -> tuple[str, ...]:
    spellings = [value] if isinstance(value, str) else value
    if not isinstance(spellings, list):
        raise WrongRowError("has a `must` that holds something else than texts", 'Write it as [["8 €", "8 euro"]].')
    if not spellings:
        raise WrongRowError("has an empty list in `must`, which no answer meets", "Write a spelling, or take it out.")
    return tuple(_spelling(one, "must") for one in spellings)


def _spelling(value: object, key: str) -> str:
    if not isinstance(value, str):
        raise WrongRowError(f"has a `{key}` that holds something else than texts", "Put it in quotation marks.")
    if not folded(value[: _LONGEST + 1]):
        raise WrongRowError(f"has an empty spelling in `{key}`, which every answer holds", "Write it, or take it out.")
    if len(value) > _LONGEST:
        raise WrongRowError(
            f"has a spelling of {len(value)} characters in `{key}`", f"Write what decides, {_LONGEST} at most."
        )
    return value


class WrongRowError(ValueError):
    """A row that can't score an answer: what is wrong with it, and what cures it."""

    def __init__(self, what: str, remedy: str) -> None:
        super().__init__(what)
        self.what = what
        self.remedy = remedy
