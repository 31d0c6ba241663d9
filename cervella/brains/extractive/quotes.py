"""Splits passages into excerpts, and formats them as quotations: sentences, items, table rows, and boxes."""

from __future__ import annotations

import re
import textwrap
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from itertools import pairwise

from cervella.claims.citations import claims_of
from cervella.claims.grounding import supports
from cervella.knowledge.documents.naming import file_names
from cervella.prompt.layout import defuse_marks, find_marks
from cervella.text.language import Language
from cervella.text.markdown import cells, fence_for, is_fence, is_ruled
from cervella.text.sentences import Quotable, quotables
from cervella.types import Passage

_LONGEST_PASSAGE = 16_000
"""Maximum characters of a passage that are read. A chunk is much shorter."""
_MOST_ALIASES = 20
"""Maximum number of other names of a note that count as its subject."""
_LONGEST_EXCERPT = 400
"""Maximum characters of an excerpt. A longer sentence is split."""
_WHOLE_BOX = 10
"""Maximum lines of a code fence, or of a box drawn with line characters, that is quoted whole. Of a longer one, only a
part is quoted."""

_TITLE = 6
"""Maximum words of a list item that is only a title of the items inside it."""
_LONGEST_ABOVE = 120
"""Maximum characters that are shown of each list item above a quoted one."""

_WIDE = 12
"""Maximum columns of a table of which whole rows are quoted. Of a wider one, the columns asked for are, if any is."""

_ITEM = re.compile(r"^\s*(?:>\s*)*(?:[-*+•]|\d{1,3}[.)])\s+(?:\[[ xX]\]\s+)?$")
_LABEL = re.compile(r"\n(?=[ \t]*(?:>[ \t]*)*(?:\*\*|[^\W\d_][^\n:.]{1,30}:\s|[^\w\s>*`\"'«“(\[-]+\s))")
_CLAUSE = re.compile(r"(?<=[;:,])\s+")
_TURN = re.compile(r"(?<=\s)(?=[\[(]?\d{1,2}:\d\d:\d\d[\])]?\s|[\[(]\d{1,2}:\d\d[\])]\s)")
"""A time in a transcript, at which somebody begins to speak: `[00:23:33] INES: …`."""
_TITLED = re.compile(r"[^\n:.!?]{1,80}:[*_]{0,3}\n")
"""The first line of a paragraph that is its title, as that of a callout."""
_COMMENT = re.compile(r"^\s*(?:<!--|</?\w++[^>]*+>\s*$|!\[)")
_EDGES = re.compile(r"^\s*[|│┃║]|[|│┃║]\s*$")
_QUOTE_SIGNS = re.compile(r"\n\s*+(?:>\s?)*")
_STATES = re.compile(r"(?>.*?\w: ).*\d")
"""Finds a figure after a colon: a heading such as «Salute: 9,2 su 10» ("Health: 9.2 out of 10") can be quoted."""


@dataclass(frozen=True, slots=True)
class Excerpt:
    """An excerpt of a passage that can be quoted: `passage.reading[start:end]`."""

    mark: str
    passage: Passage
    rank: int
    """The place of its passage among those in the prompt, from 0 for the best."""
    start: int
    end: int
    kind: str
    """`sentence`, `item` (of a list), `row` (of a table), `line` (of a fence or a box)."""
    group: int
    """Sentences of one paragraph, items of one list, rows of one table and lines of one fence share a number."""
    headings: tuple[str, ...]
    """The name of the file, then the headings above the excerpt, outermost first."""
    header: str
    """For a row, the header of its table; else empty."""
    intro: int
    """Where the sentence or line that announces the excerpt (`…:`) starts in the passage's text; -1 if none does."""
    above: tuple[tuple[int, int], ...] = ()
    """The list items that contain it, or the term that it defines, as in `Quotable`."""
    opens: bool = False
    """Whether it is a list item that contains other items, or a term with a definition."""
    columns: tuple[int, ...] = ()
    """For a row of a wide table, the numbers of the columns to quote, from 0; empty for all of them."""

    @property
    def text(self) -> str:
        return self.passage.reading[self.start : self.end]

    @property
    def words(self) -> int:
        """The number of words, pipes of tables included, of what is quoted of it."""
        return self._shown_words(self.text)

    @property
    def header_words(self) -> int:
        """The same for the header of its table."""
        return self._shown_words(self.header)

    def _shown_words(self, text: str) -> int:
        return len((" ".join(_only(_cells(text), self.columns)) if self.columns else text).split())

    @property
    def outdated(self) -> bool:
        """Whether its document no longer holds, or does not hold yet because it is a draft."""
        return self.passage.status in ("superseded", "deprecated", "draft")

    @property
    def announces(self) -> bool:
        """Whether what follows belongs to it: it ends with a colon, or is a title of the items below it."""
        text = self.text.rstrip("*_ ")
        titles = self.opens and len(text.split()) <= _TITLE and not any(map(str.isdigit, text)) and ":" not in text
        return titles or (text.endswith(":") and not self.passage.reading[self.end :].split("\n", 1)[0].strip("*_ "))

    @property
    def subjects(self) -> tuple[str, ...]:
        """The texts above the excerpt that say what it is about.

        They are its headings, the sentence that announces it, and the list items or the term above it.
        """
        reading = self.passage.reading
        announced = reading[self.intro : self.intro + 300].split("\n", 1)[0] if self.intro >= 0 else ""
        return (*self.headings, announced, *(reading[start:end] for start, end in self.above))


def excerpts(mark: str, passage: Passage, rank: int, lang: Language) -> list[Excerpt]:
    """The excerpts of a passage, in order. `mark` is the passage's label (such as F1), `rank` its place in the prompt.

    Table headers, comments, and headings that contain no figure are left out.
    """
    passage = _bounded(passage)
    text = passage.reading
    found: list[Excerpt] = []
    path = _HeadingPath(passage, lang)
    header, intro, group = "", -1, 0
    before: tuple[str, Quotable] | None = None
    parts = quotables(text, lang)
    parents = frozenset(start for part in parts for start, _ in part.above)
    for quotable in parts:
        written = text[quotable.start : quotable.end]
        if quotable.kind == "heading":
            path.enter(written, _level(text, quotable.start))
            intro, before = -1, None
        if (
            (quotable.kind == "heading" and not _STATES.match(written))
            or _COMMENT.match(written)
            or not any(map(str.isalnum, written))
        ):
            continue
        kind = _kind(text, quotable, before)
        if not _continues(text, quotable, kind, before):
            group += 1
            intro = -1 if kind == "sentence" else intro
            header = _header(text, quotable, passage.lead) if kind == "row" else ""
        same_item = before is not None and kind == "item" == before[0] and quotable.block == before[1].block
        before = (kind, quotable) if quotable.kind != "heading" else None
        if kind == "row" and written == header:
            continue
        if same_item and quotable.end - found[-1].start <= _LONGEST_EXCERPT:
            found[-1] = replace(found[-1], end=quotable.end)
            continue
        place = (mark, passage, rank)
        opens = quotable.start in parents
        for start, end in _parts(text, quotable, kind):
            found.append(Excerpt(*place, start, end, kind, group, path.titles, header, intro, quotable.above, opens))
        if kind == "sentence" and written.rstrip("*_ ").endswith(":"):
            intro = found[-1].start
        elif kind == "sentence" and intro < 0 and _TITLED.match(written):
            intro = quotable.start
    return found


class _HeadingPath:
    """The headings above the part of a passage that is read.

    `Passage.lead` has the path above the start of the passage, but not the levels of its headings. The level of one
    becomes known when the passage contains it; until then, they count from 1.
    """

    def __init__(self, passage: Passage, lang: Language) -> None:
        lead = passage.lead.split("\n", 1)[0]
        titles = lead.split(" > ") if lead else []
        if passage.heading and passage.heading not in titles:
            titles = [passage.heading]
        self._levels = [(number, title) for number, title in enumerate(titles, 1)]
        self._names = (*file_names(passage.path, lang), *passage.aliases[:_MOST_ALIASES])

    @property
    def titles(self) -> tuple[str, ...]:
        return tuple(dict.fromkeys((*self._names, *(title for _, title in self._levels))))

    def enter(self, title: str, level: int) -> None:
        """A heading begins a section."""
        known = next((place for place, (_, other) in enumerate(self._levels) if other == title), None)
        if known is not None:
            self._levels = [(level - known + place, other) for place, (_, other) in enumerate(self._levels[:known])]
        else:
            self._levels = [(above, other) for above, other in self._levels if above < level]
        self._levels.append((level, title))


def _level(text: str, start: int) -> int:
    """The level of the heading whose text starts there, 1 to 6."""
    line = text[text.rfind("\n", 0, start) + 1 : start]
    underline = text[start : start + 600].partition("\n")[2]
    return line.count("#") or (1 if underline.lstrip().startswith("=") else 2)


def _bounded(passage: Passage) -> Passage:
    if len(passage.reading) <= _LONGEST_PASSAGE:
        return passage
    cut = max(passage.reading.rfind(space, 0, _LONGEST_PASSAGE) for space in " \n")
    return replace(passage, reading=passage.reading[: cut if cut > 0 else _LONGEST_PASSAGE])


def _kind(text: str, quotable: Quotable, before: tuple[str, Quotable] | None) -> str:
    if quotable.kind == "heading":
        return "sentence"
    if quotable.kind != "sentence":
        return quotable.kind if quotable.end - quotable.start <= 2 * _LONGEST_EXCERPT else "sentence"
    later = before is not None and before[0] == "item" and before[1].block == quotable.block
    return (
        "item" if later or _ITEM.match(text[text.rfind("\n", 0, quotable.start) + 1 : quotable.start]) else "sentence"
    )


def _continues(text: str, quotable: Quotable, kind: str, before: tuple[str, Quotable] | None) -> bool:
    """Whether an excerpt belongs to the same paragraph, list, table or fence as the one before it.

    `before` is the kind and the place of that one; None for the first excerpt after a heading.
    """
    if before is None or before[0] != kind:
        return False
    if kind == "item":
        return True
    if kind == "row":
        between = text[before[1].end : quotable.start].strip("\n")
        return "\n" not in between or all(map(is_ruled, between.split("\n")))
    return before[1].block == quotable.block


def _header(text: str, quotable: Quotable, lead: str) -> str:
    """The header row of the table to which a row of a passage belongs; empty if there is none.

    `quotable` is the first row of the table in the passage. If a ruled line follows it, it is the header. Else the
    table was split between chunks, and its header is the row with as many columns in `lead`, the context that the
    index stores with a chunk.
    """
    following = text[quotable.end : quotable.end + 2000].split("\n", 2)
    if len(following) > 1 and is_ruled(following[1]):
        return text[quotable.start : quotable.end]
    columns = len(_cells(text[quotable.start : quotable.end]))
    rows = [line.strip() for line in lead.split("\n") if line.count("|") > 1 and not is_ruled(line)]
    return next((row for row in reversed(rows) if len(_cells(row)) == columns), "")


def _parts(text: str, quotable: Quotable, kind: str) -> Iterator[tuple[int, int]]:
    """The start and end of each part of an excerpt.

    It is split before lines that begin with a label, such as `Date: …`, and where a part is too long: at the turns of a
    transcript, else at clauses. A row or line is never split.
    """
    if kind in ("row", "line"):
        yield quotable.start, quotable.end
        return
    labels = [m.start() for m in _LABEL.finditer(text, quotable.start, quotable.end)]
    if quotable.end - quotable.start > _LONGEST_EXCERPT:
        labels = sorted({*labels, *(m.start() for m in _TURN.finditer(text, quotable.start + 1, quotable.end))})
    cuts = [quotable.start, *labels, quotable.end]
    for first, last in pairwise(cuts):
        start = first
        while last - start > _LONGEST_EXCERPT:
            clauses = [m.start() for m in _CLAUSE.finditer(text, start + 80, start + _LONGEST_EXCERPT)]
            cut = clauses[-1] if clauses else text.rfind(" ", start + 80, start + _LONGEST_EXCERPT)
            cut = cut if cut > start else start + _LONGEST_EXCERPT
            yield _trimmed(text, start, cut)
            start = cut
        yield _trimmed(text, start, last)


def _trimmed(text: str, start: int, end: int) -> tuple[int, int]:
    while start < end and text[start] in " \t\n>":
        start += 1
    return start, start + len(text[start:end].rstrip())


def quote(chosen: Sequence[Excerpt], group: Sequence[Excerpt], lang: Language) -> str:
    """Excerpts of one group as a markdown quotation with their mark, such as [F1].

    `chosen` are the excerpts to quote, in the order of the passage; `group` contains all excerpts of the group. Empty
    if a check finds that the passage does not support the quotation.
    """
    first = chosen[0]
    layout = {"row": _table, "line": _box, "item": _list, "sentence": _prose}[first.kind]
    block = _warned(layout(chosen, group), first, lang)
    if not _is_supported(block, first, lang):  # for example, a lone backtick turns the mark into code
        block = _warned(re.sub("[`~]", "", _prose(chosen, group)), first, lang)
    return block if _is_supported(block, first, lang) else ""


def _warned(block: str, first: Excerpt, lang: Language) -> str:
    """The block, with a warning before it if its source is outdated. `first` is its first excerpt."""
    passage = first.passage
    if not first.outdated:
        return block
    status = lang.status.get(passage.status, passage.status)
    if passage.date is None:
        warning = lang.phrases.get("outdated_undated", "{status}:").format(status=status)
    else:
        warning = lang.phrases.get("outdated", "{status}, {date}:")
        warning = warning.format(status=status, date=lang.format_date(passage.date))
    return f"{warning} {block}" if block[0] in "«“" else f"{warning}\n\n{block}"


def _is_supported(block: str, first: Excerpt, lang: Language) -> bool:
    found = find_marks(block)
    claims = claims_of(block, lang, found)
    return (
        bool(claims)
        and {item.mark for item in found} == {first.mark}
        and supports("\n".join(claim.text for claim in claims), [first.passage], lang) is True
    )


def _prose(chosen: Sequence[Excerpt], group: Sequence[Excerpt]) -> str:
    return " ".join(_under(run) + _quoted(run) for run in _runs(chosen, group))


def _list(chosen: Sequence[Excerpt], group: Sequence[Excerpt]) -> str:
    runs = [_under(run) + _quoted(run).rstrip(".") for run in _runs(chosen, group)]
    return "\n".join(f"- {run}" for run in runs) if len(runs) > 1 else f"{runs[0]}."


def _under(run: Sequence[Excerpt]) -> str:
    """The list items, or the term, above a run, each as a quotation: `«Kitchen» › «evening» › `."""
    reading = run[0].passage.reading
    texts = (_shortened(reading[start:end]) for start, end in run[0].above)
    return "".join(f"{_in_quotation_marks(text)} › " for text in texts if any(map(str.isalnum, text)))


def _shortened(text: str) -> str:
    text = " ".join(text.split())
    return text if len(text) <= _LONGEST_ABOVE else text[:_LONGEST_ABOVE].rsplit(" ", 1)[0]


def _runs(chosen: Sequence[Excerpt], group: Sequence[Excerpt]) -> list[list[Excerpt]]:
    """The chosen excerpts in runs: those of a run are neighbours in `group`, and are written as one quotation."""
    places = {excerpt.start: place for place, excerpt in enumerate(group)}
    runs: list[list[Excerpt]] = []
    for excerpt in chosen:
        last = runs[-1][-1] if runs else None
        if (
            last
            and last.above == excerpt.above
            and places.get(excerpt.start, -9) == places.get(last.start, -9) + 1
            and _one_line(last, excerpt)
        ):
            runs[-1].append(excerpt)
        else:
            runs.append([excerpt])
    return runs


def _one_line(last: Excerpt, excerpt: Excerpt) -> bool:
    """Whether two excerpts may be in one quotation: only white space and `>` signs are between these sentences or
    items."""
    between = excerpt.passage.reading[last.end : excerpt.start]
    return not between.strip(" \t\n>") and excerpt.kind in ("sentence", "item")


def _quoted(run: Sequence[Excerpt]) -> str:
    """The text of a run as a quotation with its mark: `«words» [F1].`, or `“words” [F1].` if « or » occurs in the
    text."""
    text = run[0].passage.reading[run[0].start : run[-1].end]
    text = defuse_marks(" ".join(_QUOTE_SIGNS.sub(" ", text).split()).strip())
    if run[0].kind in ("row", "line"):
        text = _EDGES.sub("", text).strip()
    text = text[:-1] if text.endswith((".", ";", ",")) and not text.endswith("..") else text
    stop = "" if text.rstrip("*_").endswith(("?", "!", ":", "…")) else "."
    return f"{_in_quotation_marks(text)} [{run[0].mark}]{stop}"


def _in_quotation_marks(text: str) -> str:
    if "«" not in text and "»" not in text:
        return f"«{text}»"
    return "“{}”".format(text.replace("“", '"').replace("”", '"'))


def _cells(row: str) -> list[str]:
    return [row[start:end].strip() for start, end in cells(row)]


def wide_header(excerpt: Excerpt) -> list[str]:
    """The cells of the header above a row of a wide table; empty for any other excerpt."""
    found = _cells(excerpt.header) if excerpt.kind == "row" and excerpt.header else []
    return found if len(found) > _WIDE else []


def _only(row: Sequence[str], columns: Sequence[int]) -> list[str]:
    """The cells of these columns. A row may be shorter than the header."""
    return [row[column] if column < len(row) else "" for column in columns]


def _table(chosen: Sequence[Excerpt], group: Sequence[Excerpt]) -> str:
    """The chosen rows as a markdown table with aligned columns, under the header of the first one.

    Of a wide table, only the columns that are asked for.
    """
    header = chosen[0].header
    if not header:
        return _prose(chosen, group)
    rows = [_cells(defuse_marks(row)) for row in (header, *(excerpt.text for excerpt in chosen))]
    if all(excerpt.columns for excerpt in chosen):
        columns = sorted({column for excerpt in chosen for column in excerpt.columns})
        rows = [_only(row, columns) for row in rows]
    widths = [max(3, *(len(row[n]) for row in rows if n < len(row))) for n in range(len(rows[0]))]
    rows.insert(1, ["-" * width for width in widths])
    lines = [" | ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=False)) for row in rows]
    return "\n".join(f"| {line} |" for line in lines) + f"\n\n[{chosen[0].mark}]"


def _box(chosen: Sequence[Excerpt], group: Sequence[Excerpt]) -> str:
    """Lines of a box or code fence of the passage as a code fence: all lines if they are few, else the chosen lines
    with their neighbours."""
    lines = chosen[0].passage.reading.split("\n")
    numbers = [chosen[0].passage.reading.count("\n", 0, excerpt.start) for excerpt in group]
    wanted = {number for number, excerpt in zip(numbers, group, strict=True) if excerpt in chosen}
    first, last = numbers[0], numbers[-1]
    while first > 0 and _is_edge(lines[first - 1]):
        first -= 1
    while last + 1 < len(lines) and _is_edge(lines[last + 1]):
        last += 1
    if last - first >= _WHOLE_BOX:
        first, last = _window(lines, min(wanted), max(wanted), first, last)
    shown = [line.rstrip() for line in lines[first : last + 1]]
    if len(shown) == 1:
        return _quoted(chosen)
    written = [line for line in shown if line.strip()]
    if all(len(_EDGES.findall(line)) == 2 for line in written if not _is_edge(line)):
        shown = [_EDGES.sub("", line).rstrip() for line in shown if not _is_edge(line)]
    body = defuse_marks(textwrap.dedent("\n".join(shown)).strip("\n"))
    fence = fence_for(body, "`", 3)
    return f"{fence}text\n{body}\n{fence}\n[{chosen[0].mark}]"


def _is_edge(line: str) -> bool:
    return bool(line.strip()) and not any(map(str.isalnum, line)) and not is_fence(line)


def _window(lines: Sequence[str], low: int, high: int, first: int, last: int) -> tuple[int, int]:
    """The numbers of the first and last line to show of a long box: the chosen lines and some lines above and below.

    `low` and `high` are the first and last chosen line, `first` and `last` those of the box. Neighbours are shown up to
    a line without a letter or digit.
    """
    above, below = low, min(high, low + _WHOLE_BOX - 1)
    while above > first and low - above < 4 and any(map(str.isalnum, lines[above - 1])):
        above -= 1
    while below < last and below - high < 4 and any(map(str.isalnum, lines[below + 1])):
        below += 1
    return above, below
