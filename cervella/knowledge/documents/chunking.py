"""Splits a document into chunks along its structure: tables, fences and boxes stay whole if they fit.

Every non-blank line of a file belongs to exactly one chunk, and every chunk to exactly one passage. Only a line that is
longer than a chunk is split between several, at the ends of sentences. Chunks are embedded
and are small, because the vector of a short text is more exact. Passages are shown, because an answer needs context.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from itertools import accumulate
from typing import TypeAlias

from cervella.knowledge.documents.indexed_text import indexed_lines, indexed_text
from cervella.knowledge.documents.markdown import Block, Document, parts_of_fence
from cervella.text.markdown import is_ruled

CHUNKER_VERSION = "4"
"""Version of the chunking rules. If it changes, the next update chunks every file again."""

SHOWN_CHARACTERS_PER_TOKEN = 3.0  # the estimate used for prompts
INDEXED_CHARACTERS_PER_TOKEN = 3.2  # measured on 199 Italian files with the tokenizer of multilingual-e5
_SHOWN_PER_INDEXED = 2.5  # from how many characters of the reading for each indexed one the reading counts
_DEEPEST = 40  # maximum nesting of blocks; deeper ones are split by lines
_REPEATED_HEADER = 500  # maximum characters of a table's header that is repeated in the lead of each part


@dataclass(frozen=True, slots=True, kw_only=True)
class Sizes:
    """The sizes, in tokens, by which a document is split.

    The size of a chunk is measured in its indexed text (without markup), that of a passage in its reading. Lines that
    are mostly drawn, or blanks in code, count by their reading in both.
    """

    small: int = 50
    """A section smaller than this is joined with its neighbour."""
    target: int = 150
    """Sections are joined up to this size."""
    cap: int = 512
    """A table, fence or box up to this size stays whole. A longer one is split at rows or lines."""
    passage: int = 650
    """Adjacent chunks form one passage up to this size. A longer chunk is a passage by itself."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Chunk:
    """A part of a file, some adjacent lines, that is indexed as one text."""

    ordinal: int
    """The chunk's number within the file, from 0."""
    parent: int
    """The passage's number within the file, from 0. Chunks with the same parent are adjacent."""
    start_line: int
    """1-based, inclusive."""
    end_line: int
    """1-based, inclusive."""
    text: str
    """The lines of the chunk as they are in the file, joined by \\n."""
    reading: str
    """What is read in these lines, see `Reading`. Of a line that is split between chunks, it is one part.

    It is empty for a chunk of nothing but front matter or markup, which no search finds.
    """
    reading_start: int
    """Where it starts in the reading of the whole file, whose lines are joined by \\n, in characters from 0."""
    heading: str
    """The heading above most of the chunk's text; empty if there is none."""
    lead: str
    """The context that is indexed with the text: the titles of `heading` and those above it, as `Title > Section`.

    The document's other names follow its title in brackets: `Title (other name) > Section`.
    If a long table was split between chunks, its header rows follow in all chunks but the first, unless they are long.
    """
    indexed: str
    """The reading as it is indexed, see `indexed_text`."""
    sections: tuple[tuple[str, ...], ...]
    """The headings above each part of the text, outermost first; parts under the same headings count once.

    A chunk has several if small sections were joined.
    """

    @property
    def reading_end(self) -> int:
        """Where its reading ends in that of the whole file, exclusive."""
        return self.reading_start + len(self.reading)


@dataclass(frozen=True, slots=True)
class _Span:
    """A range of lines that is not split any further."""

    start: int
    end: int
    size: float
    """Tokens of the indexed text."""
    headings: tuple[str, ...]
    leads_on: bool = False
    """Whether the span introduces the next one, because it is a heading, or ends in a colon such as `Prices:`."""
    header: str = ""
    """If the span continues a table that was split, the header rows of that table; else empty.

    A span with a header starts a new chunk.
    """
    part: tuple[int, int] | None = None
    """If the span is a part of one long line: start and end of the part in the reading of that line."""


class _Run:
    """Adjacent spans that may become one chunk, with their total size."""

    def __init__(self) -> None:
        self.spans: list[_Span] = []
        self.size = 0.0
        self.leads_on = True
        """Whether the run has only spans that introduce a text which follows later, such as headings."""

    def extend(self, spans: Iterable[_Span]) -> None:
        for span in spans:
            self.spans.append(span)
            self.size += span.size
            self.leads_on = self.leads_on and span.leads_on


Sentences: TypeAlias = Callable[[str], Iterable[tuple[int, int]]]
"""A function that gives start and end of each sentence of a text, in order."""


def chunk(
    document: Document,
    sizes: Sizes | None = None,
    *,
    reading: Sequence[str] | None = None,
    subject: str = "",
    aliases: Sequence[str] = (),
    sentences: Sentences | None = None,
) -> list[Chunk]:
    """Split a document into chunks, in file order. If `sizes` is None, the defaults of `Sizes` apply.

    `reading` is what is read in each line of the file; if it is None, the lines are read as they are. `subject` is what
    the whole document is about, if no heading says so: it precedes the headings in the lead of each chunk. `aliases`
    are other names of the document: they follow the first title of each lead in brackets. `sentences` splits a line
    that is too long for a chunk; if it is None, such a line is split between words.

    The number of tokens is estimated from the number of characters.
    """
    sizes = sizes or Sizes()
    packer = _Packer(document, document.body if reading is None else reading, sizes, sentences)
    runs = list(packer.pack(document.blocks))
    paths = [_under(subject, _main_headings(run)) for run in runs]
    shown = [packer.shown_tokens(run) for run in runs]
    parents = _grouped(paths, shown, sizes.passage)
    named = [_named(path, aliases) for path in paths]
    headings = [path[-1] if path else "" for path in paths]
    return [
        packer.finish(ordinal, parents[ordinal], run, named[ordinal], headings[ordinal])
        for ordinal, run in enumerate(runs)
    ]


def joined(document: Document, reading: Sequence[str]) -> tuple[str, list[int]]:
    """The reading of a whole file as one text, and where that of each line starts in it, then where the text ends.

    `reading` is what is read in each line. Lines are separated by \\n, but a line of which only its markup was in the
    file, or whose text stands in another line, is not even a blank line.
    """
    parts: list[str] = []
    starts: list[int] = []
    size = 0
    left_out = False  # since the last line that is read
    for number, (line, written) in enumerate(zip(reading, document.lines, strict=True), 1):
        starts.append(size)
        if not line and (written.strip(" \t>") or number in document.absorbed):
            left_out = True
        elif line or not left_out or (parts and parts[-1]):
            parts.append(line)
            size += len(line) + 1
            left_out = left_out and not line
    return "\n".join(parts), [*starts, size]


def _main_headings(spans: Sequence[_Span]) -> tuple[str, ...]:
    weight: dict[tuple[str, ...], float] = {}
    for span in spans:
        weight[span.headings] = weight.get(span.headings, 0) + span.size
    return max(weight, key=weight.__getitem__)


def _under(subject: str, headings: tuple[str, ...]) -> tuple[str, ...]:
    return headings if not subject or headings[:1] == (subject,) else (subject, *headings)


def _named(headings: tuple[str, ...], aliases: Sequence[str]) -> tuple[str, ...]:
    """The path with the document's other names at its first title: `Title (name, other name)`."""
    if not aliases:
        return headings
    names = ", ".join(aliases)
    return (f"{headings[0]} ({names})", *headings[1:]) if headings else (names,)


def _grouped(paths: Sequence[tuple[str, ...]], sizes: Sequence[float], most: float) -> list[int]:
    """The passage number of each chunk. Neighbours with the longest common path of headings are joined first.

    `sizes` are those of the chunks in tokens, `most` the maximum size of a passage.
    """
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
    """The number of equal headings at the start of two paths."""
    return next(
        (place for place, (a, b) in enumerate(zip(one, other, strict=False)) if a != b), min(len(one), len(other))
    )


def _packed(text: str, sentences: Sentences | None, most: int) -> Iterator[tuple[int, int]]:
    """Start and end of parts of a long text: whole sentences, together at most `most` characters, without gaps.

    Of a text with several lines it splits off whole lines. A longer sentence or line is split between words, a longer
    word anywhere. The time is linear in the length of the text.
    """
    if "\n" in text:
        places = [place + 1 for place, letter in enumerate(text) if letter == "\n"]
    else:
        places = [start for start, _ in sentences(text) if start] if sentences is not None else []
    first = last = 0
    for place in (*places, len(text)):
        if place - first > most and last > first:
            yield first, last
            first = last
        while place - first > most:
            cut = text.rfind(" ", first + 1, first + most) + 1 or first + most
            yield first, cut
            first = cut
        last = place
    if first < len(text):
        yield first, len(text)


def _weight(indexed: str, shown: str) -> float:
    """The size of a line in tokens. One that is mostly blanks and drawn lines is also shown, so it counts as such."""
    least = 0.0 if is_ruled(shown) else len(shown) / _SHOWN_PER_INDEXED
    return max(len(indexed) + 1 if indexed else 0.0, least) / INDEXED_CHARACTERS_PER_TOKEN


class _Packer:
    def __init__(self, document: Document, reading: Sequence[str], sizes: Sizes, sentences: Sentences | None) -> None:
        self._lines = document.lines
        self._reading = reading
        self._text, self._starts = joined(document, reading)
        self._small, self._target, self._cap = sizes.small, sizes.target, sizes.cap
        self._sentences = sentences
        self._indexed = indexed_lines(reading)
        weights = map(_weight, self._indexed, reading)
        self._before = list(accumulate(weights, initial=0.0))

    def pack(self, blocks: Sequence[Block]) -> Iterator[list[_Span]]:
        """Yields the spans of each chunk."""
        waiting = _Run()
        for section in self._sections(blocks):
            for run in self._fill(section):
                if waiting.spans and not self._may_join(waiting, run):
                    yield waiting.spans
                    waiting = _Run()
                waiting.extend(run.spans)
        if waiting.spans:
            yield waiting.spans

    def finish(self, ordinal: int, parent: int, spans: Sequence[_Span], titles: tuple[str, ...], heading: str) -> Chunk:
        """Make the chunk of these spans. `titles` are those of its lead, outermost first."""
        lead = " > ".join(titles)
        if spans[0].header:
            lead = f"{lead}\n{spans[0].header}".lstrip("\n")
        start, end = spans[0].start, spans[-1].end
        first, last = self._place(spans)
        last = last if self._text[first:last].strip() else first
        whole = spans[0].part is None and spans[-1].part is None
        lines = (line for line in self._indexed[start - 1 : end] if line)
        return Chunk(
            ordinal=ordinal,
            parent=parent,
            start_line=start,
            end_line=end,
            text="\n".join(self._lines[start - 1 : end]),
            reading=self._text[first:last],
            reading_start=first,
            heading=heading,
            lead=lead,
            sections=tuple(dict.fromkeys(span.headings for span in spans if span.headings)),
            indexed="\n".join(lines) if whole else indexed_text(self._text[first:last]),
        )

    def shown_tokens(self, spans: Sequence[_Span]) -> float:
        """The estimated size of a chunk in a prompt, in tokens."""
        first, last = self._place(spans)
        return (last - first + 1) / SHOWN_CHARACTERS_PER_TOKEN

    def _place(self, spans: Sequence[_Span]) -> tuple[int, int]:
        """Start and end of the spans' reading in that of the whole file."""
        first, last = spans[0], spans[-1]
        start = self._starts[first.start - 1] + (first.part[0] if first.part else 0)
        if last.part:
            return start, self._starts[last.start - 1] + last.part[1]
        return start, max(start, self._starts[last.end] - 1)

    def _may_join(self, before: _Run, after: _Run) -> bool:
        if after.spans[0].header:
            return False
        if before.leads_on and before.size <= self._target:
            return True  # a heading never is a chunk without text
        smaller, both = min(before.size, after.size), before.size + after.size
        return smaller < self._small and both <= (self._cap if smaller < self._small / 3 else self._target)

    def _sections(self, blocks: Sequence[Block]) -> Iterator[list[_Span]]:
        section = _Run()
        for block in blocks:
            if block.kind == "heading" and not section.leads_on:
                yield section.spans
                section = _Run()
            section.extend(self._spans(block, block.headings))
        if section.spans:
            yield section.spans

    def _fill(self, section: Sequence[_Span]) -> Iterator[_Run]:
        """Split a section into runs of at most the target size. A single span may be longer."""
        run = _Run()
        for span in section:
            full = run.size + span.size > self._target
            if run.spans and (span.header or full) and not (run.leads_on and run.size <= self._target):
                leading: list[_Span] = []
                while not (span.header or run.leads_on) and run.spans[-1].leads_on:
                    leading.insert(0, run.spans.pop())
                    run.size -= leading[0].size
                yield run
                run = _Run()
                run.extend(leading)
            run.extend([span])
        if run.spans:
            yield run

    def _spans(self, block: Block, headings: tuple[str, ...], depth: int = 0) -> Iterator[_Span]:
        size = self._length(block.start_line, block.end_line)
        if size <= self._target or (block.kind in ("table", "fence", "math", "box") and size <= self._cap):
            leads_on = block.kind in ("heading", "front_matter") or self._introduces(block, size)
            yield _Span(block.start_line, block.end_line, size, headings, leads_on)
        elif depth < _DEEPEST and (block.children or (block.kind == "fence" and block.start_line < block.end_line)):
            for child in block.children or parts_of_fence(self._lines, block):
                yield from self._spans(child, headings, depth + 1)
        elif block.kind == "table":
            yield from self._rows(block, headings)
        else:
            yield from self._by_lines(block.start_line, block.end_line, headings)

    def _parts(self, span: _Span) -> Iterator[_Span]:
        """Split one line that is longer than a chunk may be into spans of about the target size."""
        text = self._reading[span.start - 1]
        most = int(self._target * INDEXED_CHARACTERS_PER_TOKEN)
        for start, end in _packed(text, self._sentences, most):
            size = (end - start + 1) / INDEXED_CHARACTERS_PER_TOKEN
            yield replace(span, size=size, part=(start, end))

    def _rows(self, block: Block, headings: tuple[str, ...]) -> Iterator[_Span]:
        """Split a long table into spans. Each span but the first gets the table's header rows, unless they are long."""
        header, least, rows = "", 0, 0
        while rows < 3 and block.start_line + least <= block.end_line:
            line = self._reading[block.start_line - 1 + least]
            least += 1
            rows += line.count("\n") + 1 if line else 0
        filled = [line for line in self._reading[block.start_line - 1 : block.start_line - 1 + least] if line]
        header = "\n".join("\n".join(filled).split("\n")[:2])
        header = header if len(header) <= _REPEATED_HEADER and is_ruled(header.rsplit("\n", 1)[-1]) else ""
        for number, span in enumerate(self._by_lines(block.start_line, block.end_line, headings, least=least)):
            continues = number or (span.part is not None and span.part[0])
            yield replace(span, header=header) if continues else span

    def _by_lines(self, first: int, last: int, headings: tuple[str, ...], *, least: int = 1) -> Iterator[_Span]:
        """Split lines into spans of about the target size, at a blank line if one is near.

        A line that is longer than `Sizes.cap` is split into several spans.

        The first span has at least `least` lines: for a table, its two header rows and a row.
        """
        start = first
        while start <= last:
            end = min(first + least - 1, last) if start == first else start
            blank = None
            while end < last and (not self._reading[end] or self._length(start, end + 1) <= self._target):
                end += 1
                if not self._lines[end - 1].strip() and self._length(start, end) > self._target / 2:
                    blank = end
            if end < last and blank is not None:
                end = blank
            trimmed = end
            while trimmed > start and not self._lines[trimmed - 1].strip():
                trimmed -= 1
            if self._lines[trimmed - 1].strip():
                span = _Span(start, trimmed, self._length(start, trimmed), headings)
                read = [number for number in range(start, trimmed + 1) if self._reading[number - 1]]
                alone = len(read) == 1 and span.size > self._cap
                yield from self._parts(replace(span, start=read[0])) if alone else (span,)
            start = end + 1
            while start <= last and not self._lines[start - 1].strip():
                start += 1

    def _introduces(self, block: Block, size: float) -> bool:
        return size < self._small and self._lines[block.end_line - 1].rstrip(" \t*_").endswith(":")

    def _length(self, first: int, last: int) -> float:
        return self._before[last] - self._before[first - 1]
