"""Splits passages into excerpts, parts that can be quoted: sentences, list items, table rows, lines of boxes."""

from __future__ import annotations

import re
from collections.abc import Collection, Iterator, Sequence
from dataclasses import dataclass, replace
from itertools import pairwise

from cervella.brains.extractive.pairs import Pairs, is_question
from cervella.knowledge.documents.naming import file_names
from cervella.text.language import Language
from cervella.text.markdown import cells, is_ruled
from cervella.text.sentences import Quotable, quotables
from cervella.types import Passage

_LONGEST_PASSAGE = 16_000
"""Maximum characters of a passage that are read. A chunk is much shorter."""
_MOST_ALIASES = 20
"""Maximum number of other names of a note that count as its subject."""
_LONGEST_EXCERPT = 400
"""Maximum characters of an excerpt. A longer sentence is split."""
_TITLE = 6
"""Maximum words of a list item that is only a title of the items inside it."""
_CAPTION = 7
"""Maximum words for an image that only name what it shows. Longer ones state something: "The valve is below the …"."""
_LONGEST_ITEM = 220
"""Maximum characters of the sentences of a list item that are one excerpt."""
_HEAD_LINES = 15
"""Maximum lines of the head of a note: its title, and lines such as `Date: …`."""

_ITEM = re.compile(r"^\s*(?:>\s*)*(?:[-*+•]|\d{1,3}[.)])\s+(?:\[[ xX]\]\s+)?$")
_LABEL = re.compile(
    r"\n(?=[ \t]*(?:>[ \t]*)*(?:\*\*|[^\W\d_][^\n:.]{0,30}:\s|[^\W_][^\n:.=]{0,40} = |[^\w\s>*`\"'«“(\[-]+\s))"
)
"""Where a line begins that can be quoted by itself: with a label (`Date: …`) or a definition (`OPT = …`)."""
_CLAUSE = re.compile(r"(?<=[;:,])\s+")
_TURN = re.compile(r"(?<=\s)(?=[\[(]?\d{1,2}:\d\d:\d\d[\])]?\s|[\[(]\d{1,2}:\d\d[\])]\s)")
"""A time in a transcript, at which somebody begins to speak: `[00:23:33] INES: …`."""
_TITLED = re.compile(r"[^\n:.!?]{1,80}:[*_]{0,3}\n")
"""The first line of a paragraph that is its title, as that of a callout."""
_COMMENT = re.compile(r"^\s*(?:<!--|</?\w++[^>]*+>\s*$|!\[)")
_FIELD = re.compile(r"\W*[^\n:]{1,40}:")
_FORMULA = re.compile(r"\s*(?:\$\$[^\n]*\$\$|\\\[[^\n]*\\\])[\s.,;]*")
_WORD = re.compile(r"(?<![^\W_])(?:[^\W_]{2,36}|\d)(?![^\W_])")
"""A word or a figure. What is longer is no word of any language, and has nothing to say by itself."""
_IMAGE = re.compile(
    r"!\[\[[^\[\]|\n]{1,300}\|([^\[\]\n]{1,300})\]\]|!\[([^\[\]\n]{1,300})\]|\balt=[\"']([^\"'<>\n]{1,300})[\"']"
)
"""The words for an image: `![[image|words]]`, `![words](image)` or `alt="words"`."""
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
    """For a row, the numbers of the columns to quote, from 0; empty for all of them."""
    in_head: bool = False
    """Whether it is a line such as `Date: …` in the head of the note, before its first paragraph."""

    @property
    def text(self) -> str:
        return self.passage.reading[self.start : self.end]

    @property
    def words(self) -> int:
        """The number of words, pipes of tables included, of what is quoted of it."""
        return self._shown_words(self.text)

    def _shown_words(self, text: str) -> int:
        return len((" ".join(only(cells_of(text), self.columns)) if self.columns else text).split())

    @property
    def outdated(self) -> bool:
        """Whether its document no longer holds, or does not hold yet because it is a draft."""
        return self.passage.status in ("superseded", "deprecated", "draft")

    @property
    def announced(self) -> str:
        """The line that announces it, without its end; empty if none does."""
        return self.passage.reading[self.intro : self.intro + 300].split("\n", 1)[0] if self.intro >= 0 else ""

    @property
    def is_answer(self) -> bool:
        """Whether it is part of the answer to a question of the notes: one is its heading, or stands above it."""
        if self.kind not in ("sentence", "item"):
            return False
        asked = self.headings[-1:] if self.kind == "sentence" else ()
        return any(map(is_question, (*asked, *(self.passage.reading[start:end] for start, end in self.above))))

    @property
    def asks(self) -> bool:
        """Whether it is a question."""
        return is_question(self.text)

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
        return (*self.headings, self.announced, *(reading[start:end] for start, end in self.above))


def excerpts(mark: str, passage: Passage, rank: int, lang: Language) -> list[Excerpt]:
    """The excerpts of a passage, in order. `mark` is the passage's label (such as F1), `rank` its place in the prompt.

    Table headers, comments, formulas, short words for images, headings that contain no figure, and what has neither a
    word nor a figure are left out.
    """
    passage = _bounded(passage)
    text = passage.reading
    found: list[Excerpt] = []
    path = _HeadingPath(passage, lang)
    header, intro, group = "", -1, 0
    pairs = Pairs(text)
    images = {" ".join(words.split()) for match in _IMAGE.finditer(passage.text) for words in match.groups() if words}
    in_html = "<table" in passage.text
    head = passage.start_line <= 1
    before: tuple[str, Quotable] | None = None
    parts = quotables(text, lang)
    parents = frozenset(start for part in parts for start, _ in part.above)
    for quotable in parts:
        written = text[quotable.start : quotable.end]
        if quotable.kind == "heading":
            path.enter(written, _level(text, quotable.start))
            intro, before = -1, None
            pairs.leave()
            head = head and not found and path.entered <= 1
        if (quotable.kind == "heading" and not _STATES.match(written)) or _says_nothing(quotable, written, images):
            continue
        kind = _kind(text, quotable, before)
        head = head and _is_field(text, quotable)
        if not _continues(text, quotable, kind, before, in_html=in_html):
            group += 1
            intro = -1 if kind == "sentence" else intro
            header = _header(text, quotable, passage.lead) if kind == "row" else ""
        same_item = before is not None and kind == "item" == before[0] and quotable.block == before[1].block
        before = (kind, quotable) if quotable.kind != "heading" else None
        if kind == "row" and written == header:
            continue
        if same_item and quotable.end - found[-1].start <= _LONGEST_ITEM and not pairs.is_open(found[-1].start):
            found[-1] = replace(found[-1], end=quotable.end)
            continue
        opens = quotable.start in parents
        for part in _parts(text, quotable, kind):
            start, end = pairs.read(*part, group)
            above = pairs.above(start, group, quotable.above) if kind != "line" else quotable.above
            titles = path.titles(nearer=pairs.stands_between(group))
            place = (start, end, kind, group, titles, header, intro, above, opens)
            found.append(Excerpt(mark, passage, rank, *place, in_head=head))
        if kind == "sentence" and written.rstrip("*_ ").endswith(":"):
            intro = found[-1].start
        elif kind == "sentence" and intro < 0 and _TITLED.match(written):
            intro = quotable.start
    if head:  # without a body, these lines are what the note says
        return [replace(excerpt, in_head=False) for excerpt in found]
    return found


def _says_nothing(quotable: Quotable, written: str, images: Collection[str]) -> bool:
    """Whether a part has nothing that answers a question: a comment, a formula, the name of an image, no word."""
    return (
        quotable.formula
        or bool(_COMMENT.match(written) or _FORMULA.fullmatch(written))
        or not any(map(str.isalnum, written))
        or (quotable.kind == "sentence" and (not _WORD.search(written) or _is_caption(written, images)))
    )


def _is_caption(written: str, images: Collection[str]) -> bool:
    """Whether a sentence only names an image. A reading has a linked one in brackets, after a word: `(see the hut)`."""
    if len(written.split()) > _CAPTION or any(map(str.isdigit, written)):
        return False
    words = " ".join(written.split())
    linked = words[1:-1].partition(" ")[2] if words[0] == "(" and words[-1] == ")" else words
    return words in images or linked in images


def _is_field(text: str, quotable: Quotable) -> bool:
    """Whether a part is a line such as `Date: …` among the first lines of a passage."""
    if quotable.kind not in ("sentence", "line") or text.count("\n", 0, quotable.start) >= _HEAD_LINES:
        return False
    return bool(_FIELD.match(text, quotable.start, quotable.end))


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
        self.entered = 0
        """How many headings the passage contains up to here."""
        self._names = (*file_names(passage.path, lang), *passage.aliases[:_MOST_ALIASES])

    def titles(self, *, nearer: bool) -> tuple[str, ...]:
        """The names of the file, then the headings, outermost first.

        Of those that are questions, only the innermost one is a subject, and none if another question stands `nearer`.
        """
        titles = [title for _, title in self._levels]
        asked = [place for place, title in enumerate(titles) if is_question(title)]
        outer = frozenset(asked if nearer else asked[:-1])
        return tuple(dict.fromkeys((*self._names, *(one for place, one in enumerate(titles) if place not in outer))))

    def enter(self, title: str, level: int) -> None:
        """A heading begins a section."""
        self.entered += 1
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


def _continues(text: str, quotable: Quotable, kind: str, before: tuple[str, Quotable] | None, *, in_html: bool) -> bool:
    """Whether an excerpt belongs to the same paragraph, list, table or fence as the one before it.

    `before` is the kind and the place of that one; None for the first excerpt after a heading. `in_html` is whether
    the passage has a table in HTML, which may follow another table without a blank line.
    """
    if before is None or before[0] != kind:
        return False
    if kind == "item":
        return True
    if kind == "row":
        return not _begins_table(text, before[1], quotable, in_html=in_html)
    return before[1].block == quotable.block


def _begins_table(text: str, last: Quotable, row: Quotable, *, in_html: bool) -> bool:
    """Whether a row begins another table than the row before it, `last`.

    It does if it is a header after a blank line, or a header with another number of columns: within one table, a rule
    may part its rows. So does the first row below an empty header (`|  |  |`), and a row below other text.
    """
    between = text[last.end : row.start].split("\n")[1:-1]
    if any(line.strip() and any(map(str.isalnum, line)) for line in between):
        return True
    blank = any(not line.strip() for line in between)
    if _is_above_rule(text, row):
        widths = {len(cells_of(text[one.start : one.end])) for one in (last, row)}
        return blank or in_html or len(widths) > 1
    empty = (not is_ruled(line) and is_ruled(below) for line, below in pairwise(between) if line.strip())
    return blank and any(empty)


def _is_above_rule(text: str, row: Quotable) -> bool:
    following = text[row.end : row.end + 2000].split("\n", 2)
    return len(following) > 1 and is_ruled(following[1])


def _header(text: str, quotable: Quotable, lead: str) -> str:
    """The header row of the table to which a row of a passage belongs; empty if there is none.

    `quotable` is the first row of the table in the passage. If a ruled line follows it, it is the header; if one is
    above it, its header is empty. Else the table was split between chunks, and its header is the row with as many
    columns in `lead`, the context that the index stores with a chunk.
    """
    if _is_above_rule(text, quotable):
        return text[quotable.start : quotable.end]
    if is_ruled(
        text[max(0, quotable.start - 2000) : quotable.start].rstrip(" \t").removesuffix("\n").rpartition("\n")[2]
    ):
        return ""
    columns = len(cells_of(text[quotable.start : quotable.end]))
    rows = [line.strip() for line in lead.split("\n") if line.count("|") > 1 and not is_ruled(line)]
    return next((row for row in reversed(rows) if len(cells_of(row)) == columns), "")


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


def cells_of(row: str) -> list[str]:
    return [row[start:end].strip() for start, end in cells(row)]


def only(row: Sequence[str], columns: Sequence[int]) -> list[str]:
    """The cells of these columns. A row may be shorter than the header."""
    return [row[column] if column < len(row) else "" for column in columns]
