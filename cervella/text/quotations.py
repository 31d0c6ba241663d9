"""Quotation marks (« », » «, ‹ ›, “ ”, „ “, ‚ ‘, " ", ‘ ’), and the normal form in which quotations are compared."""

from __future__ import annotations

import re
from functools import lru_cache

from cervella.text.folding import fold

# An apostrophe is a quotation mark only at the edge of a word. The bounds limit the search for a missing closing mark.
_QUOTATION = re.compile(
    r"«[^«»]{1,2000}»|‹[^‹›]{1,600}›|“[^“”]{1,2000}”|„[^„“”]{1,2000}[“”]|\"[^\"\n]{1,600}\""
    r"|(?<!\w)\"(?:[^\"\n]|\n(?!\s*\n)){1,600}\""  # over several lines of a paragraph
    r"|(?<![^\W_])(?:»(?=\S)[^«»]{1,2000}(?<=\S)«|›(?=\S)[^‹›]{1,600}(?<=\S)‹)(?!\w)"  # opening by their place
    r"|(?<![^\W_])‚(?=\w)[^‚‘’\n]{1,200}(?:’\w[^‚‘’\n]{0,200}){0,6}[‘’](?!\w)"
    r"|(?<![^\W_])[‘'](?=\w)[^‘’'\n]{1,200}(?:['’]\w[^‘’'\n]{0,200}){0,6}(?<=[\w.!?…])[’'](?!\w)"
)
_QUOTED_LINE = re.compile(r"^[ \t]*>[^\n]*", re.MULTILINE)
_ELLIPSIS = re.compile(r"\[\s*(?:…|\.{3})\s*\]|\(\s*(?:…|\.{3})\s*\)|…|\.{3}")
_WORD = re.compile(r"\w+")
_EDGE = "\0"
_MOST_PLACES = 1_000
"""Maximum number of places that are tried for a quotation that begins or ends with a sign."""
_VISIBLE = re.compile(r"[^\r\n]")


def quotations(text: str, start: int = 0) -> list[tuple[int, int]]:
    """Start and end of each quotation from `start` on, with its marks; a quotation inside another is left out.

    >>> text = "Dice «mai “prima”» e l'altro 'sì'."
    >>> [text[first:last] for first, last in quotations(text)]
    ['«mai “prima”»', "'sì'"]
    """
    return [match.span() for match in _QUOTATION.finditer(text, start)]


def quoted_lines(text: str) -> list[tuple[int, int]]:
    """Start and end of each line that opens with `>`."""
    return [match.span() for match in _QUOTED_LINE.finditer(text)]


def quoted_texts(text: str) -> list[str]:
    """The texts inside quotation marks, cut at each ellipsis.

    >>> quoted_texts('Dice «mancano i test […] di carico».')
    ['mancano i test', 'di carico']
    """
    parts = (part for start, end in quotations(text) for part in _ELLIPSIS.split(text[start + 1 : end - 1]))
    return [part.strip() for part in parts if normal(part)]


def without_quotations(text: str, *, lines: bool = False) -> str:
    """The text with spaces for its quotations, and with `lines` also for its quoted lines: the rest keeps its place."""
    text = _QUOTATION.sub(_blank, text)
    return _QUOTED_LINE.sub(_blank, text) if lines else text


def _blank(match: re.Match[str]) -> str:
    return _VISIBLE.sub(" ", match[0])


def strip_quotes(text: str) -> str:
    """A text without white space and without the quotation marks around the whole of it.

    >>> strip_quotes(" «utente» "), strip_quotes("mai «utente»"), strip_quotes("«a» e «b»"), strip_quotes("«Sì.»")
    ('utente', 'mai «utente»', '«a» e «b»', 'Sì.')
    """
    text = text.strip()
    return text[1:-1].strip() if quotations(text) == [(0, len(text))] else text


def normal(text: str) -> str:
    """The folded words with one space between: no emphasis, and punctuation only inside figures; `24GB` is `24 GB`."""
    text = fold(text)
    text = re.sub(r"\]\([^()\s]*\)", "]", text)  # the target of a link
    text = re.sub(r"(?<=\d)(?=[^\W\d_])", " ", re.sub(r"[–—−]", "-", text))
    # Single spaces first: `\s+` on long runs of spaces takes quadratic time.
    text = " ".join(re.sub(r"[^\w%€$£+.,:\-/]|_", " ", text).split())
    text = re.sub(r"(?<!\d)[.,:]|[.,:](?!\d)| - |(?<=\d) (?=%)", lambda found: "-" if "-" in found[0] else "", text)
    return " ".join(text.split())


def occurs(quote: str, words: str) -> bool:
    """Whether a quotation occurs in a text as whole words. Both must be normalised by `normal` before."""
    if not quote:
        return re.search(r"(?<!\w)(?!\w)", words) is not None
    text, wanted = _with_edges(words), _with_edges(quote)
    place = text.find(wanted)
    first, last = wanted[0] == _EDGE, wanted[-1] == _EDGE
    for _ in range(_MOST_PLACES):
        end = place + len(wanted)
        if place < 0 or ((first or text[place - 1 : place] != _EDGE) and (last or text[end : end + 1] != _EDGE)):
            return place >= 0
        place = text.find(wanted, place + 1)
    return False


@lru_cache(maxsize=64)
def _with_edges(words: str) -> str:
    """The text with a sign at each edge of a word: then one search, in linear time, finds whole words only."""
    return _WORD.sub(rf"{_EDGE}\g<0>{_EDGE}", words)
