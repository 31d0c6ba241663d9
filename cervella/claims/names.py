"""Finds the names in a claim: people, firms and places by their capital letters, products and versions by their
digits."""

from __future__ import annotations

import re
from collections.abc import Sequence

from cervella.claims.evidence import Source
from cervella.text.language import Language, fold, words

_NAME = re.compile(r"[^\W\d_][\w'’\-]*")
_NO_NAME_BEFORE = re.compile(r"(?:^|[.!?…:;|>•]|\n|[«“\"„‘]|(?:^|\n)\s*[-*+]|\*\*|__)[\s*_]*$")


def names(claim: str, lang: Language) -> list[str]:
    """The words of a claim with a capital letter, except at the start of a sentence."""
    found = []
    for match in _NAME.finditer(claim):
        word = match.group()
        bare = re.sub(r"^[^\W_]{1,5}['’](?=\w)", "", word)  # "dell'Olanda"
        if len(bare) >= 3 and bare[0].isupper() and fold(bare) not in lang.stop_words:
            if word is bare and _NO_NAME_BEFORE.search(claim[max(0, match.start() - 12) : match.start()]):
                continue
            if fold(bare) in lang.calendar_names:
                continue
            found.append(bare)
    return list(dict.fromkeys(found))


_CODE = re.compile(r"(?<![\w./-])(?=[\w./-]*[^\W\d_])(?=[\w./-]*\d)[^\W\d_][\w./-]*\w")


def codes(claim: str) -> list[str]:
    """The words of a claim that mix letters and digits: `n1-standard-4`, `A100`. A figure with its unit (`40km`) is not
    one."""
    return [match.group() for match in _CODE.finditer(claim)]


def is_known(name: str, sources: Sequence[Source]) -> bool:
    """Whether a passage contains a name, or, for each word of the name, a word with the same beginning."""
    if any(letter.isdigit() for letter in name):
        return any(fold(name) in source.folded for source in sources)
    for word in words(name):
        if not any(word in source.vocabulary for source in sources):
            root = word[: max(4, len(word) - 2)]
            if not any(source.begins(root) for source in sources):
                return False
    return True
