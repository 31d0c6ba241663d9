"""How people ask who the persona is, in one language: data of its file, read over folded words without punctuation."""

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
    """The forms of such questions: `identity.toml` of a language's folder."""

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
        """The name that a question asks for, empty where it asks for the persona herself, None where for neither.

        `said` are its words with one space between them; `names` are what she is called, None for any one word. It is
        read from the left, and nothing is tried twice: linear in its length.
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
        """What somebody is called: all words of her name, or the first; of a title, what follows «Costituzione di»."""
        before = self.articles | self.titles
        start = next((place for place, word in enumerate(spoken) if word not in before), max(len(spoken) - 1, 0))
        said = spoken[start:]
        first = said[:1] if said and len(said[0]) >= _SHORT_NAME else ()
        return tuple(dict.fromkeys(name for name in (" ".join(said), *first) if name))

    def names_somebody(self, title: Sequence[str]) -> bool:
        """Whether the title of a Constitution has more words than those that any has: «Costituzione di Otto»."""
        return any(word not in self.titles for word in title)

    def name_in(self, text: str) -> str | None:
        """The name that somebody gives herself in a text, not folded; None where she gives none."""
        articles = "|".join(map(re.escape, self.articles))
        says = rf"(?m)(?:^|[.!?:] )[ >*_-]*(?:{self.own_name}) (?:(?:{articles}) )?\**([^\W\d_]+)"
        names = (match[1] for match in re.finditer(says, text))
        return next((name for name in names if name.istitle()), None)


def once(text: str) -> str:
    """A text without its doubled letters: «chi seiii» is «chi sei».

    >>> once("chi seiii")
    'chi sei'
    """
    return _RUN.sub(r"\1", text)


@lru_cache(maxsize=64)
def _part(own: Identity, names: tuple[str, ...] | None) -> re.Pattern[str]:
    """What such a question is made of, one part at a time; `about` is a part that asks for her."""
    called = [re.escape(name) for name in names or ()]
    articles = "|".join(map(re.escape, own.articles)) or "(?!)"
    name = r"([^\W\d_]+)" if names is None else rf"(?:(?:{articles}) )?({'|'.join(called) or '(?!)'})"
    forms = f"{own.named}|{own.herself}".replace("{name}", name)
    return re.compile(rf"(?:(?P<about>{forms})|{'|'.join((*called, own.around))})(?: |$)")
