"""What a text puts in quotation marks: « », “ ”, „ “, " ", ‘ ’ and ' '."""

from __future__ import annotations

import re

__all__ = ["quotations", "strip_quotes", "without_quotations"]

# An apostrophe is a quotation mark only at the ends of words. The bounds are for marks that are never closed.
_QUOTATION = re.compile(
    r"«[^«»]{1,2000}»|“[^“”]{1,2000}”|„[^„“”]{1,2000}[“”]|\"[^\"\n]{1,600}\""
    r"|(?<![^\W_])[‘'](?=\w)[^‘’'\n]{1,200}(?:['’]\w[^‘’'\n]{0,200}){0,6}(?<=[\w.!?…])[’'](?!\w)"
)
_INK = re.compile(r"[^\r\n]")


def quotations(text: str, start: int = 0) -> list[tuple[int, int]]:
    """Where the quotations of a text stand from `start` on, their marks included, in order; one inside another is left
    out.

    >>> text = "Dice «mai “prima”» e l'altro 'sì'."
    >>> [text[first:last] for first, last in quotations(text)]
    ['«mai “prima”»', "'sì'"]
    """
    return [match.span() for match in _QUOTATION.finditer(text, start)]


def without_quotations(text: str) -> str:
    """The text with spaces in the place of its quotations: whatever else stands in it keeps its place."""
    return _QUOTATION.sub(lambda match: _INK.sub(" ", match[0]), text)


def strip_quotes(text: str) -> str:
    """A text without white space and quotation marks at its ends, unless they belong to a part of it.

    >>> strip_quotes(" «utente» "), strip_quotes("mai «utente»"), strip_quotes("«a» e «b»"), strip_quotes("«Sì.»")
    ('utente', 'mai «utente»', '«a» e «b»', 'Sì.')
    """
    text = text.strip()
    return text[1:-1].strip() if quotations(text) == [(0, len(text))] else text
