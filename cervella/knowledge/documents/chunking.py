"""Structural chunks: whole tables, fences and boxes where they fit, sections kept together, exact line ranges.

Every non-blank line of a file belongs to exactly one chunk, and every chunk to exactly one passage. Chunks are small,
because a vector of little text is exact; what is shown is the passage, because an answer wants its surroundings.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from itertools import accumulate

from cervella.knowledge.documents.indexed_text import indexed_lines
from cervella.knowledge.documents.markdown import Block, Document, parts_of_fence

CHUNKER_VERSION = "2"
"""Changes whenever a file would be cut or indexed otherwise: the next run of the indexer cuts every file anew."""

SHOWN_CHARACTERS_PER_TOKEN = 3.0  # as everywhere where a prompt is measured
INDEXED_CHARACTERS_PER_TOKEN = 3.2  # of 199 Italian files, by the tokenizer of multilingual-e5
_DEEPEST = 40  # blocks in blocks; below that, lines
_REPEATED_HEADER = 500  # characters of a table's header that are worth repeating with each piece of it


@dataclass(frozen=True, slots=True, kw_only=True)
class Sizes:
    """How long chunks and passages are, in tokens. Of chunks the indexed text counts, of passages the text as shown."""

    small: int = 50
    """A section below this is joined with its neighbour."""
    target: int = 150
    """Sections are packed up to this."""
    cap: int = 512
    """A table, fence or box up to this stays whole; a longer one is split at its rows or lines."""
    passage: int = 650
    """Chunks that follow each other are one passage up to this; a longer chunk is a passage of its own."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Chunk:
    """A piece of a file."""

    ordinal: int
    """Its place in the file, from 0."""
    parent: int
    """The passage that it belongs to, from 0 in file order: chunks with the same parent follow each other."""
    start_line: int
    """1-based, inclusive."""
    end_line: int
    """1-based, inclusive."""
    text: str
    """Exactly those lines, joined by \\n."""
    heading: str
    """The heading that most of it stands under; empty before the first."""
    lead: str
    """The path of that heading, `Titolo > Sezione`; for a piece of a split table its header rows below."""
    indexed: str
    """The words of its text: what of it is indexed."""


@dataclass(frozen=True, slots=True)
class _Piece:
    """Lines that are not split any further, before packing."""

    start: int
    end: int
    size: float
    """Tokens of the indexed text."""
    headings: tuple[str, ...]
    leads_on: bool = False
    """A heading, or a line such as `Prezzi:`: it belongs to what follows."""
    header: str = ""
    """The header rows of the table that it was split from; such a piece starts a chunk of its own."""


class _Run:
    """Pieces that follow each other, with what is asked of them all the time."""

    def __init__(self) -> None:
        self.pieces: list[_Piece] = []
        self.size = 0.0
        self.leads_on = True
        """Whether all of them lead on to something that is not there yet."""

    def extend(self, pieces: Iterable[_Piece]) -> None:
        for piece in pieces:
            self.pieces.append(piece)
            self.size += piece.size
            self.leads_on = self.leads_on and piece.leads_on


def chunk(document: Document, sizes: Sizes | None = None) -> list[Chunk]:
    """Cut a document into chunks, in order. Lengths are estimated from characters."""
    sizes = sizes or Sizes()
    packer = _Packer(document.lines, sizes)
    runs = list(packer.pack(document.blocks))
    paths = [_main_headings(run) for run in runs]
    shown = [_shown_tokens(document.lines, run) for run in runs]
    parents = _grouped(paths, shown, sizes.passage)
    return [packer.finish(ordinal, parents[ordinal], run, paths[ordinal]) for ordinal, run in enumerate(runs)]


def _main_headings(pieces: Sequence[_Piece]) -> tuple[str, ...]:
    weight: dict[tuple[str, ...], float] = {}
    for piece in pieces:
        weight[piece.headings] = weight.get(piece.headings, 0) + piece.size
    return max(weight, key=weight.__getitem__)


def _shown_tokens(lines: Sequence[str], pieces: Sequence[_Piece]) -> float:
    return sum(len(line) + 1 for line in lines[pieces[0].start - 1 : pieces[-1].end]) / SHOWN_CHARACTERS_PER_TOKEN


def _grouped(paths: Sequence[tuple[str, ...]], sizes: Sequence[float], most: float) -> list[int]:
    """The passage of each chunk: those that share the longest path of headings are joined first, while they fit."""
    groups = [[place] for place in range(len(paths))]
    for depth in range(max(map(len, paths), default=0), -1, -1):
        joined: list[list[int]] = []
        for group in groups:
            before = joined[-1] if joined else None
            if (
                before
                and _shared(paths[before[-1]], paths[group[0]]) >= depth
                and sum(sizes[place] for place in (*before, *group)) <= most
            ):
                before.extend(group)
            else:
                joined.append(group)
        groups = joined
    return [number for number, group in enumerate(groups) for _ in group]


def _shared(one: tuple[str, ...], other: tuple[str, ...]) -> int:
    """How many headings two paths have in common, from the outermost on."""
    return next(
        (place for place, (a, b) in enumerate(zip(one, other, strict=False)) if a != b), min(len(one), len(other))
    )


class _Packer:
    def __init__(self, lines: Sequence[str], sizes: Sizes) -> None:
        self._lines = lines
        self._small, self._target, self._cap = sizes.small, sizes.target, sizes.cap
        self._indexed = indexed_lines(lines)
        weights = ((len(line) + 1) / INDEXED_CHARACTERS_PER_TOKEN if line else 0.0 for line in self._indexed)
        self._before = list(accumulate(weights, initial=0.0))

    def pack(self, blocks: Sequence[Block]) -> Iterator[list[_Piece]]:
        """The pieces of each chunk."""
        waiting = _Run()
        for section in self._sections(blocks):
            for run in self._fill(section):
                if waiting.pieces and not self._may_join(waiting, run):
                    yield waiting.pieces
                    waiting = _Run()
                waiting.extend(run.pieces)
        if waiting.pieces:
            yield waiting.pieces

    def finish(self, ordinal: int, parent: int, pieces: Sequence[_Piece], headings: tuple[str, ...]) -> Chunk:
        lead = " > ".join(headings)
        if pieces[0].header:
            lead = f"{lead}\n{pieces[0].header}".lstrip("\n")
        start, end = pieces[0].start, pieces[-1].end
        return Chunk(
            ordinal=ordinal,
            parent=parent,
            start_line=start,
            end_line=end,
            text="\n".join(self._lines[start - 1 : end]),
            heading=headings[-1] if headings else "",
            lead=lead,
            indexed="\n".join(line for line in self._indexed[start - 1 : end] if line),
        )

    def _may_join(self, before: _Run, after: _Run) -> bool:
        if after.pieces[0].header:
            return False
        if before.leads_on and before.size <= self._target:
            return True  # a heading never stands alone, whatever follows
        smaller, both = min(before.size, after.size), before.size + after.size
        return smaller < self._small and both <= (self._cap if smaller < self._small / 3 else self._target)

    def _sections(self, blocks: Sequence[Block]) -> Iterator[list[_Piece]]:
        section = _Run()
        for block in blocks:
            if block.kind == "heading" and not section.leads_on:
                yield section.pieces
                section = _Run()
            section.extend(self._pieces(block, block.headings))
        if section.pieces:
            yield section.pieces

    def _fill(self, section: Sequence[_Piece]) -> Iterator[_Run]:
        """The section in runs of at most the target's length; a single piece may be longer."""
        run = _Run()
        for piece in section:
            full = run.size + piece.size > self._target
            if run.pieces and (piece.header or full) and not (run.leads_on and run.size <= self._target):
                leading: list[_Piece] = []
                while not (piece.header or run.leads_on) and run.pieces[-1].leads_on:
                    leading.insert(0, run.pieces.pop())
                    run.size -= leading[0].size
                yield run
                run = _Run()
                run.extend(leading)
            run.extend([piece])
        if run.pieces:
            yield run

    def _pieces(self, block: Block, headings: tuple[str, ...], depth: int = 0) -> Iterator[_Piece]:
        size = self._length(block.start_line, block.end_line)
        if size <= self._target or (block.kind in ("table", "fence", "box") and size <= self._cap):
            leads_on = block.kind == "heading" or self._introduces(block, size)
            yield _Piece(block.start_line, block.end_line, size, headings, leads_on)
        elif depth < _DEEPEST and (block.children or (block.kind == "fence" and block.start_line < block.end_line)):
            for child in block.children or parts_of_fence(self._lines, block):
                yield from self._pieces(child, headings, depth + 1)
        elif block.kind == "table":
            yield from self._rows(block, headings)
        else:
            yield from self._by_lines(block.start_line, block.end_line, headings)

    def _rows(self, block: Block, headings: tuple[str, ...]) -> Iterator[_Piece]:
        """A long table: the first piece has the header in its lines, the others in their lead."""
        header = "\n".join(self._lines[block.start_line - 1 : block.start_line + 1])
        header = header if len(header) <= _REPEATED_HEADER else ""
        for number, piece in enumerate(self._by_lines(block.start_line, block.end_line, headings, least=3)):
            yield replace(piece, header=header) if number else piece

    def _by_lines(self, first: int, last: int, headings: tuple[str, ...], *, least: int = 1) -> Iterator[_Piece]:
        """Pieces of about the target's length, cut at a blank line where one is near. A long line stays one piece.

        The first has `least` lines: a table's header and a row.
        """
        start = first
        while start <= last:
            end = min(first + least - 1, last) if start == first else start
            blank = None
            while end < last and self._length(start, end + 1) <= self._target:
                end += 1
                if not self._lines[end - 1].strip() and self._length(start, end) > self._target / 2:
                    blank = end
            if end < last and blank is not None:
                end = blank
            trimmed = end
            while trimmed > start and not self._lines[trimmed - 1].strip():
                trimmed -= 1
            if self._lines[trimmed - 1].strip():
                yield _Piece(start, trimmed, self._length(start, trimmed), headings)
            start = end + 1
            while start <= last and not self._lines[start - 1].strip():
                start += 1

    def _introduces(self, block: Block, size: float) -> bool:
        return size < self._small and self._lines[block.end_line - 1].rstrip(" \t*_").endswith(":")

    def _length(self, first: int, last: int) -> float:
        return self._before[last] - self._before[first - 1]
