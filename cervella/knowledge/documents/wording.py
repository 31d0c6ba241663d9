"""The words by which documents name their properties, from `documents.toml` of every language."""

from __future__ import annotations

from cervella.text.language import known_languages, language


def every_language(key: str) -> tuple[str, ...]:
    """The list under a key of `documents.toml`, joined over all languages, because notes mix them."""
    return tuple(one for code in known_languages() for one in language(code).file("documents.toml")[key])
