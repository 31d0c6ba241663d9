"""The words around a figure that say what it is: «tel.», «carta d'identità», «ordine n.», also as a column's header."""

from __future__ import annotations

import re
from bisect import bisect_right
from collections.abc import Sequence
from functools import lru_cache

from cervella.text.language import known_languages, language
from cervella.text.markdown import cells, is_ruled

_REACH = 60
"""Characters before a figure in which its name is looked for."""
_KEYS = {
    "phone": "phones",
    "tax_code": "tax_codes",
    "identity_document": "identity_documents",
    "social_security": "social_security",
    "other": "other_figures",
}
_UNIT = (
    r"(?:[kKMGTP]i?[Bb](?:ps|/s|it)?|B|bits?|bytes?|[kMGT]?Hz|[kMGT]Wh?|Wh|kV|mA|[kcmµn]m[²³]?|m[²³]|[km]g|ml|"
    r"[mµn]s|px|dpi|fps|rpm|ppm|kcal)"
)
_LINE = re.compile(r"[^\r\n]+")
_LONGEST_ROW = 2_000  # characters of a line that is read as a row of a table
_NEAR, _FAR = 5, 10
"""Words between a name and its figure: «il passaporto di Anna Rossi è il …»; of a telephone: «chiama … al …»."""
_TAKEN = re.compile(r"\d\W*?[,;]\s*[^\W\d_]")  # the name's own figure, and another subject after it
_WORD = re.compile(r"[^\W\d_]+")
_ASIDE = re.compile(r"[,;][^\d\n]{0,9}[^\W\d_]|\)")
# The end of a sentence: what it names is no name of the next figure.
_BREAK = re.compile(r"[.!?](?=\s+[A-ZÀ-Ý])|;(?=\s*[^\W\d_])")


def any_word(key: str) -> str:
    """The words under a key of personal.toml in all languages, as alternatives of a regular expression."""
    return "|".join(one for code in known_languages() for one in language(code).file("personal.toml")[key])


@lru_cache(maxsize=1)
def _names() -> re.Pattern[str]:
    """The names of all kinds of figures in all languages, in one pattern with a group for each kind."""
    groups = (f"(?P<{kind}>{any_word(key)})" for kind, key in _KEYS.items())
    return re.compile(rf"(?<!\w)(?:{'|'.join(groups)})(?!\w)", re.IGNORECASE)


@lru_cache(maxsize=1)
def _counted() -> re.Pattern[str]:
    """A unit, or what is counted, right after a figure. A name with a colon or a figure of its own is another field."""
    words = any_word("counted")
    return re.compile(rf"[ \u00a0\u202f]?(?:{_UNIT}(?![\w&])|(?:[^\W\d_]{{2,15}} )?(?i:{words})(?!\w)(?! ?:| \d))")


@lru_cache(maxsize=1)
def _numbered() -> re.Pattern[str]:
    """The word for a number, right before it: «n.», «Nr.»."""
    return re.compile(rf"(?<!\w)(?:{any_word('numbered')})[.:º°#]{{0,2}}\s?\Z", re.IGNORECASE)


class Context:
    """What the words of a text say about the figures after them."""

    def __init__(self, text: str) -> None:
        self._text = text
        self._lines = [match.span() for match in _LINE.finditer(text)]
        self._starts = [start for start, _ in self._lines]
        self._heads = self._headers()
        self._columns: dict[int, list[str | None]] = {}
        """The kinds that the cells of a header announce, by the header's line."""

    def before(self, position: int) -> str | None:
        """The kind of figure that the nearest name before a position announces, `other` for an ordinary one.

        The name stands in the same line, alone in the line before, or in the header of the column. None if there is
        none.
        """
        number = bisect_right(self._starts, position) - 1
        if number < 0:
            return None
        start, end = self._lines[number]
        within = self._text[max(start, position - _REACH) : position]
        row = end - start <= _LONGEST_ROW and "|" in self._text[start:end]
        if row:
            within = within.rpartition("|")[2]
        if cut := [*_BREAK.finditer(within)]:
            within = within[cut[-1].end() :]
        if found := _last(within):
            return found
        if row and (head := self._heads[number]) is not None:
            own = cells(self._text[start:end])
            place = next((at for at, (first, last) in enumerate(own) if first <= position - start <= last), len(own))
            columns = self._header(head)
            return columns[place] if place < len(columns) else None
        if not within.strip(" \t>*-#`\"'|") and number and not row:
            first, last = self._lines[number - 1]
            former = self._text[max(first, last - _REACH) : last].rstrip(" \t*_`")
            if former.endswith(":") or former.lstrip().startswith("#"):
                return _last(former)
        return None

    def is_counted(self, position: int) -> bool:
        """Whether a unit or a counted noun follows a figure that ends here: «347 765 432 abitanti»."""
        return _counted().match(self._text, position) is not None

    def _headers(self) -> Sequence[int | None]:
        """For each line, the number of the line with the header of its table."""
        heads: list[int | None] = []
        head: int | None = None
        for number, (start, end) in enumerate(self._lines):
            line = self._text[start : min(end, start + _LONGEST_ROW)]
            if "|" not in line:
                head = None
            elif is_ruled(line) and number:
                head = number - 1
            heads.append(head)
        return heads

    def _header(self, number: int) -> list[str | None]:
        if number not in self._columns:
            line = self._text[slice(*self._lines[number])][:_LONGEST_ROW]
            self._columns[number] = [_last(line[first:last][-_REACH:]) for first, last in cells(line)]
        return self._columns[number]


def _last(text: str) -> str | None:
    """The kind that the last name in a text announces for the figure after the text.

    `other` counts only right before the figure, or with «n.» between them: in «Fattura di Mario Rossi, 340 1234567» it
    says nothing of the number.
    """
    kind = None
    for match in _names().finditer(text):
        gap = text[match.end() :]
        words = len(_WORD.findall(gap))
        if match.lastgroup == "other":
            beside = words <= (_NEAR if _numbered().search(gap) else 2) and not _ASIDE.search(gap)
        elif match.lastgroup == "phone":
            beside = words <= _FAR
        else:
            beside = words <= _NEAR and not _TAKEN.search(gap)
        if beside:
            kind = match.lastgroup
    return kind
