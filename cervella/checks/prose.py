"""Prepares a text for the checks: sentences in lower case and without accents, with each quoted character marked.

A phrase is asserted where it is outside quotation marks, code and quoted lines, is not negated and is not reported as
the words of somebody else. Accents, case and the kind of apostrophe are ignored.
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

_EDGES = re.compile(r"[*]|(?<!\w)_|_(?!\w)|[«»“”„\"]|<[^<>\n]{1,40}>")
_ACCENT = re.compile(r"(?<=[aeiou])'(?!\w)")
_INVISIBLE = re.compile(r"[\u00ad\u200b-\u200f\u2060\ufeff]")
_CONTEXT = 34
"""Characters shown before and after a phrase."""
_CLAUSE = 300
"""Maximum number of characters before a phrase that are searched for a negation: keeps the time linear."""
_LONGEST_SENTENCE, _OVERLAP = 1_200, 200
"""Characters of the longest sentence that is read whole, and of the overlap between parts of a longer one. Sentences
are divided because patterns take more than linear time; the overlap keeps phrases whole."""


@dataclass(frozen=True, slots=True)
class Sentence:
    """One sentence, item, row or line."""

    folded: str
    """The sentence in lower case and without accents, with single spaces, without quotation marks and markdown
    emphasis."""
    quoted: tuple[bool, ...]
    """For each character, whether it is in a quotation."""
    capital: tuple[bool, ...]
    """For each character, whether it is a capital letter in the original text."""
    number: int
    """Its place in the text, from 0."""

    @property
    def loud(self) -> bool:
        """Whether most letters are capitals: then a capital does not mean a name."""
        letters = sum(char.isalpha() for char in self.folded)
        return sum(self.capital) > 0.6 * letters

    @property
    def asks(self) -> bool:
        """Whether the sentence ends with a question mark that is not quoted."""
        end = self.folded.rfind("?")
        return end >= len(self.folded.rstrip(" !?.…)")) - 1 >= 0 and not self.quoted[end]


@dataclass(frozen=True, slots=True)
class Found:
    """An occurrence of a phrase."""

    sentence: Sentence
    match: re.Match[str]

    @property
    def text(self) -> str:
        return self.match.group()

    @property
    def place(self) -> tuple[int, int]:
        """The number of the sentence, and the start in it: earlier places are smaller."""
        return self.sentence.number, self.match.start()

    @property
    def shown(self) -> str:
        """The phrase with some characters before and after it."""
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
    def empty(self) -> bool:
        return not re.search(r"\w", self.text)

    def find(self, *patterns: re.Pattern[str], quoted: bool = False) -> Iterator[Found]:
        """Yields the matches of each pattern in turn, in the folded sentences.

        Matches inside quotations are left out, unless `quoted` is true.
        """
        for pattern in patterns:
            for sentence in self.sentences:
                for match in pattern.finditer(sentence.folded):
                    if quoted or not all(sentence.quoted[slice(*match.span())]):
                        yield Found(sentence, match)

    def said(self, *patterns: re.Pattern[str]) -> Found | None:
        """The first place that asserts one of the patterns: not quoted, negated or reported. None if there is none."""
        found = (one for one in self.find(*patterns) if not (self.negated(one) or self.reported(one)))
        return next(found, None)

    def negated(self, found: Found) -> bool:
        """Whether a negation precedes the phrase in its clause. Idioms such as «nessun problema» ("no problem") are no
        negation."""
        before = self.clause_before(found)
        before = self.rules.turns.sub(lambda match: " " * len(match.group()), before)
        return self.rules.negators.search(before) is not None

    def reported(self, found: Found) -> bool:
        """Whether the phrase is attributed to somebody else, or mentioned as a phrase to avoid."""
        before = found.sentence.folded[max(0, found.match.start() - _CLAUSE) : found.match.start()]
        clause = re.split(r"[;,()]|\s[—–-]\s", before)[-1]
        return self.rules.reports.search(clause) is not None

    def clause_before(self, found: Found) -> str:
        """The words between the start of the clause and the phrase."""
        before = found.sentence.folded[max(0, found.match.start() - _CLAUSE) : found.match.start()]
        start = max((match.end() for match in self.rules.clauses.finditer(before)), default=0)
        return before[start:]


@lru_cache(maxsize=4096)
def pattern_of(term: str) -> re.Pattern[str]:
    """The pattern that finds a phrase in text without capitals and accents. `libert*` finds every word that begins so.

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
        inside = bytearray(len(text))  # the whole answer is in quotation marks: then it is asserted
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
