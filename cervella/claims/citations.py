"""Finds the citations of an answer: its marks, such as [F1], their sources, and whether these support the answer."""

from __future__ import annotations

import logging
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

_logger = logging.getLogger("cervella")

MOST_CLAIMS, MOST_CHARACTERS = 500, 50_000
"""Maximum number of distinct claims of one answer that are checked, and of their characters together."""
_LONGEST_BLOCK = 100
"""Maximum number of sentences, rows or items before a mark on a line of its own that it applies to."""
_SHORT = 4_000
"""Characters. A shorter answer is checked in the calling thread: a worker thread would cost more than it saves."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Citations:
    """The citations of one answer."""

    citations: tuple[Citation, ...]
    invented_marks: int
    """Number of occurrences of marks that belong to no passage in the prompt."""
    unread: int = 0
    """Number of citations that were not checked, or not fully: the time was over, or the answer is too long."""


class LinesReader:
    """A callable that reads the lines of a citation. Copies of the citation, deep ones included, share it."""

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
    """The citations of an answer, one for each mark of a source, in order of first appearance.

    `sources` are the passages of the prompt, by mark. A citation is supported only if every claim with its mark is;
    `supported` is None where one of these claims was not checked. `reader` makes the callable that reads a passage's
    lines from disk. `changed` says, by mark, whether the file has changed since it was indexed: then the citation is
    not supported. Checking stops when `time.monotonic()` is past `until`.
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
    """Do the work of `find_citations` within `seconds`; a long text is checked in a worker thread, off the event loop.

    If the time is over or a check raises an error, no claim counts as checked: `supported` is None in every citation.
    """
    until = None if seconds is None else time.monotonic() + seconds
    work = partial(find_citations, text, sources, lang, until=until, **options)
    try:
        return work() if len(text) <= _SHORT else await anyio.to_thread.run_sync(work, abandon_on_cancel=True)
    except Exception:  # the answer is complete and must not be lost
        _logger.exception("the citations of an answer could not be checked")
        return find_citations(text, sources, lang, **{**options, "until": 0.0})


def looked_at(
    claims: Sequence[Claim], *, most: int = MOST_CLAIMS, characters: int = MOST_CHARACTERS
) -> frozenset[Claim]:
    """The claims of an answer that are checked: the first ones, at most `most`, of at most `characters` in all.

    The first claim is checked however long it is.
    """
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
    """The claims of an answer, of which those in `read` are checked. Each is read once, however many marks it has."""

    def __init__(
        self, read: Collection[Claim], sources: Mapping[str, Passage], lang: Language, until: float | None
    ) -> None:
        self._read = read
        self._sources = sources
        self._lang = lang
        self._until = until
        self._grounding = cache(self._ground)

    def _group(self, claim: Claim) -> list[str]:
        """The marks of a claim that belong to a passage, each once."""
        return [mark for mark in dict.fromkeys(claim.group) if mark in self._sources]

    def _ground(self, claim: Claim) -> Grounding:
        return Grounding(claim.text, [self._sources[mark] for mark in self._group(claim)], self._lang)

    def supports(self, mark: str, claims: Sequence[Claim]) -> bool | None:
        """False where one checked claim is not supported; else None where one claim was not checked; else True."""
        verdict: bool | None = None if _past(self._until) else bool(claims)
        for claim in claims:
            checked = claim in self._read and not _past(self._until)
            supported = self._supported(mark, claim) if checked else None
            if supported is False:
                return False
            verdict = None if supported is None else verdict
        return verdict

    def _supported(self, mark: str, claim: Claim) -> bool | None:
        supported = self._grounding(claim).supports(self._group(claim).index(mark))
        return supported if claim.whole or not supported else None

    def quote(self, mark: str, claims: Sequence[Claim]) -> str:
        """The sentence or row of the passage that fits the claims best; empty where the time is over."""
        if _past(self._until):
            return ""
        read = [self._grounding(claim).claim for claim in claims if claim in self._read]
        return best_quote(read, self._sources[mark], self._lang)


def claims_of(text: str, lang: Language, found: list[FoundMark] | None = None) -> list[Claim]:
    """The claims of an answer: the text that belongs to each group of adjacent marks.

    A mark belongs to the words before it in its sentence, row or line, back to the previous mark. At the start of a
    sentence that follows another on the same line, it belongs to that other sentence. With no words before it, it
    belongs to those after it. Words after the last mark of a sentence belong to that mark too.

    >>> from cervella.text.language import language
    >>> [(c.text, c.group) for c in claims_of("A costa 3 [F1] e B costa 4 [F2]. Fine. [F3]", language("it"))]
    [('A costa 3', ('F1',)), ('e B costa 4 .', ('F2',)), ('Fine.', ('F3',))]
    >>> [claim.text for claim in claims_of("«Uno. Due», dice [F1].", language("it"))]
    ['«Uno. Due», dice .']
    """
    groups = [(*span, group) for span, group in {(m.start, m.end): m.group for m in found or find_marks(text)}.items()]
    parts = quotables(text, lang)
    starts = [part.start for part in parts]
    blocks = _Blocks(text, parts)
    claims = []
    taken = 0  # end of the text that belongs to an earlier mark
    for number, (start, end, group) in enumerate(groups):
        home = bisect_right(starts, start) - 1
        if home < 0 or start >= parts[home].end:
            claims.append(blocks.claim(home + 1, group))
            continue
        part = parts[home]
        follows = groups[number + 1][0] if number + 1 < len(groups) else len(text)
        left = text[_opening(text, taken, max(part.start, taken), start) : start].strip(" \t.,;:([")
        right = text[end : min(part.end, follows)]
        if blocks.bare(home) and not _same_line(text, parts, home):
            claims.append(blocks.claim(home, group))
        elif not left and home and part.start >= start and _same_line(text, parts, home):
            claims.append(Claim(text=blocks.text(home - 1), group=group))
            taken = end
        elif len(lang.stems(left)) < 2 and len(lang.stems(right)) > len(lang.stems(left)):
            claims.append(Claim(text=f"{left} {right}".strip(), group=group))
            taken = min(part.end, follows)
        else:
            before = text[max(part.start, start - 9) : start].rstrip(' \t*_"»”)')
            stopped = before.endswith((".", "!", "?", "…"))  # "… costa 3 euro.[F1] Poi"
            tail = right if follows >= part.end and not stopped else ""
            claims.append(Claim(text=f"{left} {tail}".strip(), group=group))
            taken = part.end if tail else end
    return claims


def _opening(text: str, floor: int, begin: int, end: int) -> int:
    """The start of the words that belong to a mark: the start of a quotation that spans several sentences, if any."""
    for opening, closing in ("«»", "“”"):
        missing = text.count(closing, begin, end) - text.count(opening, begin, end)
        while missing > 0 and (before := text.rfind(opening, floor, begin)) >= 0:
            missing += text.count(closing, before, begin) - 1
            begin = before
    return begin


def _same_line(text: str, parts: Sequence[Quotable], number: int) -> bool:
    """Whether another part precedes the part with this number on its line."""
    return number > 0 and "\n" not in text[parts[number - 1].end : parts[number].start]


class _Blocks:
    """The parts of an answer (sentences, rows, …) without their marks. Each is stripped once."""

    def __init__(self, text: str, parts: Sequence[Quotable]) -> None:
        self._parts = parts
        self._bare_texts = [strip_marks(text[part.start : part.end]) for part in parts]
        self._full: list[int] = []  # for each part, the last one of its block so far that has words; -1 for none
        for number in range(len(parts)):
            here = number if not self.bare(number) else self._full_before(number)
            self._full.append(here)
        self._joined = cache(self._join)

    def text(self, number: int) -> str:
        return self._bare_texts[number]

    def bare(self, number: int) -> bool:
        """Whether the part with this number has no words besides marks."""
        return not self._bare_texts[number].strip(" .,;:")

    def claim(self, stop: int, group: tuple[str, ...]) -> Claim:
        """The claim of marks on a line of their own: the last block before the part with number `stop`."""
        text, whole = self._joined(self._full[stop - 1]) if stop else ("", True)
        return Claim(text=text, group=group, whole=whole)

    def _full_before(self, number: int) -> int:
        same = number > 0 and self._parts[number - 1].block == self._parts[number].block
        return self._full[number - 1] if same else -1

    def _join(self, last: int) -> tuple[str, bool]:
        words: list[str] = []
        while last >= 0 and len(words) < _LONGEST_BLOCK:
            words.append(self._bare_texts[last])
            last = self._full_before(last)
        return "\n".join(reversed(words)), last < 0
