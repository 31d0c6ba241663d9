"""The words by which documents of any language name their metadata: `documents.toml` of every language."""

from __future__ import annotations

import re
from functools import lru_cache

from cervella.text.folder import own_folders
from cervella.text.language import fold, known_languages, language

_SEPARATORS = re.compile(r"[\s_-]+")
_CAMEL_CASE = re.compile(r"(?<=[a-z\d])(?=[A-Z])")


def every_language(key: str) -> tuple[str, ...]:
    """The list under a key of `documents.toml`, joined over all languages, because notes mix them."""
    return _joined(key, own_folders())


@lru_cache(maxsize=256)
def _joined(key: str, own: str) -> tuple[str, ...]:
    """The same; `own` names the folders of the owner's languages, which an environment may change."""
    return tuple(one for code in known_languages() for one in language(code).file("documents.toml")[key])


@lru_cache(maxsize=1_024)  # the files of a folder share their keys
def key_of(name: str) -> str:
    """A field's name as it is compared: folded words with one space between them.

    >>> key_of("publishDate"), key_of("Ultimo_aggiornamento"), key_of("last-modified-at"), key_of("Stato ")
    ('publish date', 'ultimo aggiornamento', 'last modified at', 'stato')
    """
    return _SEPARATORS.sub(" ", fold(_CAMEL_CASE.sub(" ", name))).strip()
