"""From an answer's marks to checked sources."""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Callable, Mapping
from dataclasses import dataclass

from cervella.grounding import Claim, Unit, best_unit, supports, units
from cervella.language import Language
from cervella.prompt import FoundMark, find_marks, strip_marks
from cervella.types import Citation, CitedLines, Passage

__all__ = ["Citations", "LinesReader", "claims_of", "find_citations"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Citations:
    """What the marks of one answer come to."""

    citations: tuple[Citation, ...]
    invented_marks: int
    """Marks in the text that stand for no passage that the brain was shown, each occurrence counted."""


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
) -> Citations:
    """The citations of an answer, one for each mark that stands for a source, in order of first appearance.

    `sources` are the passages that the brain was shown, by mark. A citation is supported only if every claim that
    carries its mark is. `reader` gives a citation the means to read its lines on disk. `changed` says by mark whether
    the file has changed since it was indexed: such a citation is not supported.
    """
    new = changed or {}
    found = find_marks(text)
    claims = claims_of(text, lang, found)
    citations = []
    for mark in dict.fromkeys(item.mark for item in found if item.mark in sources):
        passage = sources[mark]
        own = [claim for claim in claims if mark in claim.group]
        citations.append(
            Citation(
                mark=mark,
                path=passage.path,
                heading=passage.heading,
                start_line=passage.start_line,
                end_line=passage.end_line,
                quote=best_unit([claim.text for claim in own], passage, lang),
                supported=not new.get(mark)
                and bool(own)
                and all(_supported(mark, claim, sources, lang) for claim in own),
                changed=new.get(mark),
                reader=reader(passage) if reader else None,
            )
        )
    return Citations(citations=tuple(citations), invented_marks=sum(item.mark not in sources for item in found))


def _supported(mark: str, claim: Claim, sources: Mapping[str, Passage], lang: Language) -> bool:
    group = [item for item in dict.fromkeys(claim.group) if item in sources]
    return supports(claim.text, [sources[item] for item in group], lang, mark=group.index(mark))


def claims_of(text: str, lang: Language, found: list[FoundMark] | None = None) -> list[Claim]:
    """What an answer says with each group of its marks.

    A mark stands for the words before it in its sentence, row or line, back to the mark before; at the head of a
    sentence that follows another on the same line, for the sentence before; where nothing stands before it, for what
    follows. Words after the last mark of a sentence belong to that mark too.

    >>> from cervella.language import language
    >>> [(c.text, c.group) for c in claims_of("A costa 3 [F1] e B costa 4 [F2]. Fine. [F3]", language("it"))]
    [('A costa 3', ('F1',)), ('e B costa 4 .', ('F2',)), ('Fine.', ('F3',))]
    >>> [claim.text for claim in claims_of("«Uno. Due», dice [F1].", language("it"))]
    ['«Uno. Due», dice .']
    """
    groups = list(dict.fromkeys((item.start, item.end, item.group) for item in (found or find_marks(text))))
    pieces = units(text, lang)
    starts = [piece.start for piece in pieces]
    bare: dict[int, bool] = {}  # whether a piece is marks and nothing else
    claims = []
    taken = 0  # how far the text already belongs to an earlier mark
    for number, (start, end, group) in enumerate(groups):
        home = bisect_right(starts, start) - 1
        if home < 0 or start >= pieces[home].end:
            claims.append(Claim(text=_block_text(text, pieces, home + 1), group=group))
            continue
        unit = pieces[home]
        follows = groups[number + 1][0] if number + 1 < len(groups) else len(text)
        left = text[_opening(text, taken, max(unit.start, taken), start) : start].strip(" \t.,;:([")
        right = text[end : min(unit.end, follows)]
        if home not in bare:
            bare[home] = not strip_marks(text[unit.start : unit.end]).strip(" .,;:")
        if bare[home] and not _same_line(text, pieces, home):
            claims.append(Claim(text=_block_text(text, pieces, home), group=group))
        elif not left and home and unit.start >= start and _same_line(text, pieces, home):
            previous = pieces[home - 1]
            claims.append(Claim(text=strip_marks(text[previous.start : previous.end]), group=group))
            taken = end
        elif len(lang.stems(left)) < 2 and len(lang.stems(right)) > len(lang.stems(left)):
            claims.append(Claim(text=f"{left} {right}".strip(), group=group))
            taken = min(unit.end, follows)
        else:
            before = text[max(unit.start, start - 9) : start].rstrip(' \t*_"»”)')
            stopped = before.endswith((".", "!", "?", "…"))  # "… costa 3 euro.[F1] Poi"
            tail = right if follows >= unit.end and not stopped else ""
            claims.append(Claim(text=f"{left} {tail}".strip(), group=group))
            taken = unit.end if tail else end
    return claims


def _opening(text: str, floor: int, begin: int, end: int) -> int:
    """Where the words before a mark begin, back to the head of a quotation that spans several sentences."""
    for opening, closing in ("«»", "“”"):
        while text.count(closing, begin, end) > text.count(opening, begin, end):
            before = text.rfind(opening, floor, begin)
            if before < 0:
                break
            begin = before
    return begin


def _same_line(text: str, pieces: list[Unit], number: int) -> bool:
    """Whether another unit stands before this one on its line."""
    return number > 0 and "\n" not in text[pieces[number - 1].end : pieces[number].start]


def _block_text(text: str, pieces: list[Unit], stop: int) -> str:
    """The words of the last block before a piece: what a mark on a line of its own stands for."""
    first = stop
    while first > 0 and pieces[first - 1].block == pieces[stop - 1].block:
        first -= 1
    return strip_marks("\n".join(text[piece.start : piece.end] for piece in pieces[first:stop]))
