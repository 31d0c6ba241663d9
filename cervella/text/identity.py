"""Recognises questions about who the persona is, in one language, by the patterns of its `identity.toml`.

The patterns are for folded words (lower case, no accents) without punctuation.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

from cervella.text.folding import fold, words

_RUN = re.compile(r"(.)\1+")
_SHORT_NAME = 3  # letters: a shorter first word is no name by itself


@dataclass(frozen=True, eq=False)  # one object a language: identity is equality
class Identity:
    """The patterns and words of one language's `identity.toml`. languages/required.toml explains each key."""

    herself: str
    named: str
    articles: frozenset[str]
    titles: frozenset[str]
    own_name: str
    around: str

    @classmethod
    def of(cls, data: Mapping[str, Any]) -> Identity:
        return cls(
            herself=data["herself"],
            named=data["named"],
            articles=frozenset(map(fold, data["articles"])),
            titles=frozenset(words(data["titles"])),
            own_name="|".join(map(re.escape, data["own_name"])),
            around=data["around"],
        )

    def asked(self, said: str, names: tuple[str, ...] | None) -> str | None:
        """The name in a question about somebody; empty for one about the persona herself, None for any other question.

        `said` is the question's folded words with one space between them. `names` are the persona's names, and only
        these count as a name; if None, any word does. The question is read from left to right without going back, so
        the time is linear in its length.
        """
        part = _part(self, names)
        place, found = 0, None
        while place < len(said):
            match = part.match(said, place)
            if match is None:
                return None
            if match["about"]:
                found = found or next((name for name in match.groups()[1:] if name), "")
            place = match.end()
        return found

    def names(self, spoken: Sequence[str]) -> tuple[str, ...]:
        """The names of somebody: all words of her name, and the first word alone if it has three letters or more.

        `spoken` are the folded words of the name, or of a Constitution's title. Articles and the words of any title at
        its start, such as «Costituzione di» ("Constitution of"), are left out.
        """
        before = self.articles | self.titles
        start = next((place for place, word in enumerate(spoken) if word not in before), max(len(spoken) - 1, 0))
        said = spoken[start:]
        first = said[:1] if said and len(said[0]) >= _SHORT_NAME else ()
        return tuple(dict.fromkeys(name for name in (" ".join(said), *first) if name))

    def names_somebody(self, title: Sequence[str]) -> bool:
        """Whether a Constitution's title, given as folded words, has a word that is not in `titles`: a persona's name.

        «Costituzione di Otto» ("Constitution of Otto") has one.
        """
        return any(word not in self.titles for word in title)

    def name_in(self, text: str) -> str | None:
        """The name that a persona gives herself in a text, such as «Mi chiamo Otto» ("my name is Otto"), as written.

        None if she gives none.
        """
        articles = "|".join(map(re.escape, self.articles))
        says = rf"(?m)(?:^|[.!?:] )[ >*_-]*(?:{self.own_name}) (?:(?:{articles}) )?\**([^\W\d_]+)"
        names = (match[1] for match in re.finditer(says, text))
        return next((name for name in names if name.istitle()), None)


def once(text: str) -> str:
    """A text with each run of an equal character shortened to one, because people lengthen words for emphasis.

    In this example, «chi sei» is Italian for "who are you":

    >>> once("chi seiii")
    'chi sei'
    """
    return _RUN.sub(r"\1", text)


@lru_cache(maxsize=64)
def _part(own: Identity, names: tuple[str, ...] | None) -> re.Pattern[str]:
    """The pattern of one part of such a question: a part that asks about her, one of `names`, or words such as "hello".

    The group `about` matches if the part asks about her. `names` are those of `Identity.asked`.
    """
    called = [re.escape(name) for name in names or ()]
    articles = "|".join(map(re.escape, own.articles)) or "(?!)"
    name = r"([^\W\d_]+)" if names is None else rf"(?:(?:{articles}) )?({'|'.join(called) or '(?!)'})"
    forms = f"{own.named}|{own.herself}".replace("{name}", name)
    return re.compile(rf"(?:(?P<about>{forms})|{'|'.join((*called, own.around))})(?: |$)")
