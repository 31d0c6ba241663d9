"""Which language a text is in, by its function words: no model, and no verdict where there is too little to tell."""

from __future__ import annotations

import re
import tomllib
from collections.abc import Mapping
from functools import lru_cache
from importlib import resources
from types import MappingProxyType

from cervella.text.language import fold
from cervella.text.quotations import without_quotations

__all__ = ["tongue_of"]

_LETTER = re.compile(r"[^\W\d_]")
_LATIN = re.compile(r"[a-z]")
_QUOTED_LINE = re.compile(r"^[ \t]*>[^\n]*", re.MULTILINE)
_SENTENCE = re.compile(r"[^.!?…\n]+[.!?…\n]*")
_WORD = re.compile(r"[^\W\d_]+(?:'[^\W\d_]+)?")
_OTHER_SHARE = 0.25
"""Of the letters that can be told: more than this in another language, and the text is in that one."""


@lru_cache(maxsize=1)
def _tongues() -> Mapping[str, frozenset[str]]:
    data = tomllib.loads((resources.files("cervella.text") / "detection.toml").read_text(encoding="utf-8"))
    return MappingProxyType({code: frozenset(text.split()) for code, text in data.items()})


def tongue_of(text: str, *, enough: int = 40) -> str | None:
    """The ISO 639-1 code of a text's language; `other` for another script; None where it can't be told.

    Quoted words count only where they are all there is. A text of which a quarter or more is in a second language is
    in that one: it changed over. Below `enough` letters it takes two function words of one language alone.

    >>> tongue_of("Non lo so: gli appunti non lo dicono."), tongue_of("I do not know what it is."), tongue_of("OK")
    ('it', 'en', None)
    """
    unquoted = _QUOTED_LINE.sub(" ", without_quotations(text))
    text = unquoted if len(_LETTER.findall(unquoted)) >= min(enough, 12) else text
    letters = fold(text)
    if len(_LETTER.findall(letters)) > 4 and len(_LATIN.findall(letters)) < 0.5 * len(_LETTER.findall(letters)):
        return "other"
    if len(_LETTER.findall(text)) < enough:
        counts = _counts(text)
        first, second = _best(counts)
        return first if counts[first] >= 2 and counts[first] >= counts[second] + 1 else None
    whole = _told(text, 2)
    shares: dict[str, int] = {}
    for sentence in _SENTENCE.findall(text):
        length = len(_LETTER.findall(sentence))
        if length >= enough // 2 and (told := _told(sentence, 2)):
            shares[told] = shares.get(told, 0) + length
    others = {code: share for code, share in shares.items() if code != whole}
    if whole and others and max(others.values()) > _OTHER_SHARE * sum(shares.values()):
        return max(others, key=others.__getitem__)
    return whole


def _told(text: str, least: int) -> str | None:
    counts = _counts(text)
    first, second = _best(counts)
    return first if counts[first] >= least and counts[first] > 1.15 * counts[second] else None


def _counts(text: str) -> dict[str, float]:
    said = list(_WORD.findall(fold(text)))
    said += [piece for word in said if "'" in word for piece in word.split("'")]
    counts = {}
    for code, own in _tongues().items():
        # A word that only one language has tells more than one that several share.
        counts[code] = sum(
            1.0 + 0.5 * (sum(word in other for other in _tongues().values()) == 1) for word in said if word in own
        )
    return counts


def _best(counts: Mapping[str, float]) -> tuple[str, str]:
    first, second, *_ = sorted(counts, key=lambda code: -counts[code])
    return first, second
