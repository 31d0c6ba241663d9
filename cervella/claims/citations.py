"""From an answer's marks to checked sources."""

from __future__ import annotations

import time
from bisect import bisect_right
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass
from functools import cache, partial
from typing import Any

import anyio.to_thread

from cervella.claims.grounding import Claim, Grounding, best_quote
from cervella.prompt.layout import FoundMark, find_marks, strip_marks
from cervella.text.language import Language
from cervella.text.sentences import Quotable, quotables
from cervella.types import Citation, CitedLines, Passage

__all__ = [
    "MOST_CHARACTERS",
    "MOST_CLAIMS",
    "Citations",
    "LinesReader",
    "claims_of",
    "find_citations",
    "find_citations_within",
    "looked_at",
]


MOST_CLAIMS, MOST_CHARACTERS = 500, 50_000
"""Of one answer: different claims, and characters of them, that are held against the passages."""
_LONGEST_BLOCK = 100
"""Sentences, rows or items of a block that a mark on a line of its own stands for, the last ones."""
_SHORT = 4_000
"""Characters of an answer that is read at once: no thread is worth its while."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Citations:
    """What the marks of one answer come to."""

    citations: tuple[Citation, ...]
    invented_marks: int
    """Marks in the text that stand for no passage that the brain was shown, each occurrence counted."""
    unread: int = 0
    """Citations that were not looked at, or not whole: there was no time, or the answer is too long."""


class LinesReader:
    """Reads a citation's lines. A copy of the citation, a deep one too, has the same reader."""

    def __init__(self, read: Callable[[Passage], CitedLines], passage: Passage) -> None:
        self._read = read
        self._passage = passage

    def __call__(self) -> CitedLines:
        return self._read(self._passage)

    def __deepcopy__(self, memo: object) -> LinesReader:
        return self


def find_citations(
    text: str,
    sources: Mapping[str, Passage],
    lang: Language,
    *,
    reader: Callable[[Passage], Callable[[], CitedLines]] | None = None,
    changed: Mapping[str, bool | None] | None = None,
    until: float | None = None,
) -> Citations:
    """The citations of an answer, one for each mark that stands for a source, in order of first appearance.

    `sources` are the passages that the brain was shown, by mark. A citation is supported only if every claim that
    carries its mark is; it is None where one of them was not looked at, for an answer may have any number of them.
    `reader` gives a citation the means to read its lines on disk. `changed` says by mark whether the file has changed
    since it was indexed: such a citation is not supported. Nothing more is looked at once `time.monotonic()` is past
    `until`.
    """
    new = changed or {}
    found = find_marks(text)
    own: dict[str, list[Claim]] = {item.mark: [] for item in found if item.mark in sources}
    every = [] if _past(until) else list(dict.fromkeys(claims_of(text, lang, found)))
    for claim in every:
        for mark in dict.fromkeys(claim.group):
            if mark in own:
                own[mark].append(claim)
    answer = _Answer(looked_at(every), sources, lang, until)
    citations = [
        Citation(
            mark=mark,
            path=sources[mark].path,
            heading=sources[mark].heading,
            start_line=sources[mark].start_line,
            end_line=sources[mark].end_line,
            supported=False if new.get(mark) else answer.supports(mark, claims),
            quote=answer.quote(mark, claims),
            changed=new.get(mark),
            reader=reader(sources[mark]) if reader else None,
        )
        for mark, claims in own.items()
    ]
    return Citations(
        citations=tuple(citations),
        invented_marks=sum(item.mark not in sources for item in found),
        unread=sum(one.supported is None for one in citations),
    )


async def find_citations_within(
    seconds: float | None, text: str, sources: Mapping[str, Passage], lang: Language, **options: Any
) -> Citations:
    """`find_citations`, within so many seconds; in a worker thread where the text is long, so that others can go on."""
    until = None if seconds is None else time.monotonic() + seconds
    work = partial(find_citations, text, sources, lang, until=until, **options)
    return work() if len(text) <= _SHORT else await anyio.to_thread.run_sync(work, abandon_on_cancel=True)


def looked_at(
    claims: Sequence[Claim], *, most: int = MOST_CLAIMS, characters: int = MOST_CHARACTERS
) -> frozenset[Claim]:
    """The claims of an answer that are held against its passages: its first ones, within the bounds."""
    read: list[Claim] = []
    for claim in claims[:most]:
        characters -= len(claim.text)
        if characters < 0 and read:
            break
        read.append(claim)
    return frozenset(read)


def _past(until: float | None) -> bool:
    return until is not None and time.monotonic() > until


class _Answer:
    """The claims of an answer that are looked at, each read once, however many marks stand behind it."""

    def __init__(
        self, read: Collection[Claim], sources: Mapping[str, Passage], lang: Language, until: float | None
    ) -> None:
        self._read = read
        self._sources = sources
        self._lang = lang
        self._until = until
        self._grounding = cache(self._ground)

    def _ground(self, claim: Claim) -> Grounding:
        group = [mark for mark in dict.fromkeys(claim.group) if mark in self._sources]
        return Grounding(claim.text, [self._sources[mark] for mark in group], self._lang)

    def supports(self, mark: str, claims: Sequence[Claim]) -> bool | None:
        """False where one claim that was looked at is not supported; else None where one was not looked at."""
        verdict: bool | None = None if _past(self._until) else bool(claims)
        for claim in claims:
            looked = claim in self._read and not _past(self._until)
            stands = self._supported(mark, claim) if looked else None
            if stands is False:
                return False
            verdict = None if stands is None else verdict
        return verdict

    def _supported(self, mark: str, claim: Claim) -> bool | None:
        group = [item for item in dict.fromkeys(claim.group) if item in self._sources]
        stands = self._grounding(claim).supports(group.index(mark))
        return stands if claim.whole or not stands else None

    def quote(self, mark: str, claims: Sequence[Claim]) -> str:
        """The words of the passage that fit the claims best; empty where there is no time to look."""
        if _past(self._until):
            return ""
        read = [self._grounding(claim).claim for claim in claims if claim in self._read]
        return best_quote(read, self._sources[mark], self._lang)


def claims_of(text: str, lang: Language, found: list[FoundMark] | None = None) -> list[Claim]:
    """What an answer says with each group of its marks.

    A mark stands for the words before it in its sentence, row or line, back to the mark before; at the head of a
    sentence that follows another on the same line, for the sentence before; where nothing stands before it, for what
    follows. Words after the last mark of a sentence belong to that mark too.

    >>> from cervella.text.language import language
    >>> [(c.text, c.group) for c in claims_of("A costa 3 [F1] e B costa 4 [F2]. Fine. [F3]", language("it"))]
    [('A costa 3', ('F1',)), ('e B costa 4 .', ('F2',)), ('Fine.', ('F3',))]
    >>> [claim.text for claim in claims_of("«Uno. Due», dice [F1].", language("it"))]
    ['«Uno. Due», dice .']
    """
    groups = [(*span, group) for span, group in {(m.start, m.end): m.group for m in found or find_marks(text)}.items()]
    pieces = quotables(text, lang)
    starts = [piece.start for piece in pieces]
    blocks = _Blocks(text, pieces)
    claims = []
    taken = 0  # how far the text already belongs to an earlier mark
    for number, (start, end, group) in enumerate(groups):
        home = bisect_right(starts, start) - 1
        if home < 0 or start >= pieces[home].end:
            claims.append(blocks.claim(home + 1, group))
            continue
        piece = pieces[home]
        follows = groups[number + 1][0] if number + 1 < len(groups) else len(text)
        left = text[_opening(text, taken, max(piece.start, taken), start) : start].strip(" \t.,;:([")
        right = text[end : min(piece.end, follows)]
        if blocks.bare(home) and not _same_line(text, pieces, home):
            claims.append(blocks.claim(home, group))
        elif not left and home and piece.start >= start and _same_line(text, pieces, home):
            claims.append(Claim(text=blocks.said(home - 1), group=group))
            taken = end
        elif len(lang.stems(left)) < 2 and len(lang.stems(right)) > len(lang.stems(left)):
            claims.append(Claim(text=f"{left} {right}".strip(), group=group))
            taken = min(piece.end, follows)
        else:
            before = text[max(piece.start, start - 9) : start].rstrip(' \t*_"»”)')
            stopped = before.endswith((".", "!", "?", "…"))  # "… costa 3 euro.[F1] Poi"
            tail = right if follows >= piece.end and not stopped else ""
            claims.append(Claim(text=f"{left} {tail}".strip(), group=group))
            taken = piece.end if tail else end
    return claims


def _opening(text: str, floor: int, begin: int, end: int) -> int:
    """Where the words before a mark begin, back to the head of a quotation that spans several sentences."""
    for opening, closing in ("«»", "“”"):
        missing = text.count(closing, begin, end) - text.count(opening, begin, end)
        while missing > 0 and (before := text.rfind(opening, floor, begin)) >= 0:
            missing += text.count(closing, before, begin) - 1
            begin = before
    return begin


def _same_line(text: str, pieces: Sequence[Quotable], number: int) -> bool:
    """Whether another piece stands before this one on its line."""
    return number > 0 and "\n" not in text[pieces[number - 1].end : pieces[number].start]


class _Blocks:
    """The words of an answer's pieces without their marks, each read once, however many marks stand for them."""

    def __init__(self, text: str, pieces: Sequence[Quotable]) -> None:
        self._pieces = pieces
        self._said = [strip_marks(text[piece.start : piece.end]) for piece in pieces]
        self._full: list[int] = []  # the last piece of the same block, up to each, that is more than marks; else -1
        for number in range(len(pieces)):
            here = number if not self.bare(number) else self._full_before(number)
            self._full.append(here)
        self._joined = cache(self._join)

    def said(self, number: int) -> str:
        return self._said[number]

    def bare(self, number: int) -> bool:
        """Whether a piece is marks and nothing else."""
        return not self._said[number].strip(" .,;:")

    def claim(self, stop: int, group: tuple[str, ...]) -> Claim:
        """The words of the last block before a piece: what marks on a line of their own stand for."""
        text, whole = self._joined(self._full[stop - 1]) if stop else ("", True)
        return Claim(text=text, group=group, whole=whole)

    def _full_before(self, number: int) -> int:
        same = number > 0 and self._pieces[number - 1].block == self._pieces[number].block
        return self._full[number - 1] if same else -1

    def _join(self, last: int) -> tuple[str, bool]:
        words: list[str] = []
        while last >= 0 and len(words) < _LONGEST_BLOCK:
            words.append(self._said[last])
            last = self._full_before(last)
        return "\n".join(reversed(words)), last < 0
