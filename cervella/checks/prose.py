"""A text as a check reads it: sentences of folded words, and for each stretch whether it is said or only quoted.

Code is no prose. A phrase counts as said where it stands outside quotation marks, code and quoted lines, is not
negated, and is not what somebody else says. Accents, apostrophes and case never decide.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property, lru_cache

from cervella.checks.reading import Rules
from cervella.prompt.layout import strip_marks
from cervella.text.language import Language, fold
from cervella.text.markdown import without_code
from cervella.text.quotations import quotations, quoted_lines
from cervella.text.reading import ReadText
from cervella.text.sentences import quotables

__all__ = ["Found", "Prose", "Sentence", "pattern_of"]

_EDGES = re.compile(r"[*]|(?<!\w)_|_(?!\w)|[«»“”„\"]|<[^<>\n]{1,40}>")
_ACCENT = re.compile(r"(?<=[aeiou])'(?!\w)")
_LETTER = re.compile(r"[^\W\d_]")
_INVISIBLE = re.compile(r"[\u00ad\u200b-\u200f\u2060\ufeff]")
_CONTEXT = 34
_CLAUSE = 300
"""Letters before a phrase that are looked at for what governs it: a sentence without end is read in linear time."""
_LONGEST_SENTENCE, _OVERLAP = 1_200, 200
"""Letters of a sentence that are read at once, since patterns take more than linear time. A longer one is read in parts
that overlap, so that no phrase is cut."""


@dataclass(frozen=True, slots=True)
class Sentence:
    """One sentence, item, row or line."""

    folded: str
    """Folded, white space single, quotation marks and emphasis taken out."""
    quoted: tuple[bool, ...]
    """Of each character, whether it stands in a quotation."""
    capital: tuple[bool, ...]
    """Of each character, whether it was a capital."""
    number: int
    """Its place in the text, from 0."""

    @property
    def loud(self) -> bool:
        """Whether it is all in capitals: then they tell no name."""
        letters = sum(char.isalpha() for char in self.folded)
        return sum(self.capital) > 0.6 * letters

    @property
    def asks(self) -> bool:
        """Whether it ends as a question, and is none that is only quoted."""
        end = self.folded.rfind("?")
        return end >= len(self.folded.rstrip(" !?.…)")) - 1 >= 0 and not self.quoted[end]


@dataclass(frozen=True, slots=True)
class Found:
    """A phrase where it stands."""

    sentence: Sentence
    match: re.Match[str]

    @property
    def text(self) -> str:
        return self.match.group()

    @property
    def shown(self) -> str:
        """The phrase with a little of what stands around it."""
        start, end = self.match.span()
        before, after = max(0, start - _CONTEXT), end + _CONTEXT
        text = self.sentence.folded
        return ("…" if before else "") + text[before:after].strip() + ("…" if after < len(text) else "")


class Prose:
    """A text, read with the rules of one language."""

    def __init__(self, text: str, lang: Language, rules: Rules) -> None:
        self.text = text
        self.rules = rules
        self.lang = lang
        self.plain = _INVISIBLE.sub("", without_code(strip_marks(text)))
        self.sentences = tuple(_sentences(self.plain, lang))

    @cached_property
    def read(self) -> tuple[ReadText, ...]:
        """The sentences, each read once for its figures and dates."""
        return tuple(ReadText(sentence.folded, self.lang) for sentence in self.sentences)

    @property
    def letters(self) -> int:
        """How many letters of prose there are."""
        return len(_LETTER.findall(self.plain))

    @property
    def empty(self) -> bool:
        return not re.search(r"\w", self.text)

    def find(self, pattern: re.Pattern[str], *, quoted: bool = False) -> Iterator[Found]:
        """Where a pattern over folded words stands outside quotations; with `quoted`, inside them too."""
        for sentence in self.sentences:
            for match in pattern.finditer(sentence.folded):
                if quoted or not all(sentence.quoted[slice(*match.span())]):
                    yield Found(sentence, match)

    def said(self, *patterns: re.Pattern[str]) -> Found | None:
        """The first place where one of the patterns is asserted: not quoted, negated or reported."""
        for pattern in patterns:
            for found in self.find(pattern):
                if not (self.negated(found) or self.reported(found)):
                    return found
        return None

    def denied(self, *patterns: re.Pattern[str]) -> Found | None:
        """The first place where one of the patterns stands negated."""
        return next((f for p in patterns for f in self.find(p) if self.negated(f)), None)

    def negated(self, found: Found) -> bool:
        """Whether a negation governs a phrase: it stands before it in its clause, and is no mere turn of speech."""
        before = self.clause_before(found)
        before = self.rules.turns.sub(lambda match: " " * len(match.group()), before)
        return self.rules.negators.search(before) is not None

    def reported(self, found: Found) -> bool:
        """Whether somebody else says it, or it is named as what is not to be said."""
        before = found.sentence.folded[max(0, found.match.start() - _CLAUSE) : found.match.start()]
        clause = re.split(r"[;,()]|\s[—–-]\s", before)[-1]
        return self.rules.reports.search(clause) is not None

    def clause_before(self, found: Found) -> str:
        """The words between the head of its clause and a phrase."""
        before = found.sentence.folded[max(0, found.match.start() - _CLAUSE) : found.match.start()]
        start = max((match.end() for match in self.rules.clauses.finditer(before)), default=0)
        return before[start:]


@lru_cache(maxsize=4096)
def pattern_of(term: str) -> re.Pattern[str]:
    """A phrase as a pattern over folded words: `libert*` stands for every word that begins so.

    >>> bool(pattern_of("città d'arte").search("la citta d'arte")), bool(pattern_of("libert*").search("la liberta"))
    (True, True)
    """
    parts = re.findall(r"[^\W_]+\*?|[^\w\s*]", _ACCENT.sub("", fold(term)))
    kept = [part for part in parts if re.match(r"\w", part)] or [part for part in parts if part.strip()]
    body = r"[\W_]+".join(re.escape(part.rstrip("*")) + (r"\w*" if part.endswith("*") else "") for part in kept)
    return re.compile(rf"(?<![^\W_]){body}(?![^\W_])" if kept and kept[0][0].isalnum() else body or r"(?!)")


def _sentences(text: str, lang: Language) -> Iterator[Sentence]:
    inside = bytearray(len(text))
    for start, end in (*quotations(text), *quoted_lines(text)):
        inside[start:end] = b"\1" * (end - start)
    if not any(char.isalnum() and not inside[at] for at, char in enumerate(text)):
        inside = bytearray(len(text))  # the whole answer stands in quotation marks: then she says it
    spans = (span for one in quotables(text, lang) for span in _parts(one.start, one.end))
    for number, (start, end) in enumerate(spans):
        yield _sentence(text, start, end, inside, number)


def _parts(start: int, end: int) -> Iterator[tuple[int, int]]:
    while end - start > _LONGEST_SENTENCE:
        yield start, start + _LONGEST_SENTENCE
        start += _LONGEST_SENTENCE - _OVERLAP
    yield start, end


def _sentence(text: str, start: int, end: int, inside: bytearray, number: int) -> Sentence:
    folded: list[str] = []
    origin: list[int] = []
    dropped = {at for match in _EDGES.finditer(text, start, end) for at in range(*match.span())}
    for at in range(start, end):
        if at in dropped:
            continue
        char = text[at]
        for piece in " " if char.isspace() else fold(char):
            if piece == " " and (not folded or folded[-1] == " "):
                continue
            folded.append(piece)
            origin.append(at)
    accents = {match.start() for match in _ACCENT.finditer("".join(folded))}
    kept = [(piece, at) for place, (piece, at) in enumerate(zip(folded, origin, strict=True)) if place not in accents]
    return Sentence(
        folded="".join(piece for piece, _ in kept),
        quoted=tuple(bool(inside[at]) for _, at in kept),
        capital=tuple(text[at].isupper() for _, at in kept),
        number=number,
    )
