"""Drafts questions from the base's own texts: headings, dated decisions, tables and superseded documents."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import islice
from typing import Any, Literal

from cervella.evaluation.search.retrieval import NEWEST_WINS, plain
from cervella.knowledge.index.manifest import ChunkRow, FileRow
from cervella.text.language import Language, fold
from cervella.text.markdown import block_parser, cells
from cervella.text.quotations import strip_quotes

__all__ = ["Draft", "Origin", "candidates"]

_LONGEST, _SHORTEST, _FEWEST_WORDS = 240, 25, 5
_LONGEST_CELL = 60
_ALIKE = 0.5  # two documents whose titles share at least this part of their words have the same subject
_CROSSED = 60  # pairs of a row and another table's column that are tried for an unanswerable question
_FACT = re.compile(r"\d|`[^`]+`")
_KIND_OF_TITLE = re.compile(r"^\w+:\s+(?=\S+\s+\S+\s+\S)")
_TASK = re.compile(r"\[[ xX]\]\s")
_FILE_NAME = re.compile(r"(?<![\w.-])[\w.-]+\.md\b")
_VALUE = re.compile(r"\w")


Origin = Literal["heading", "decision", "table", "replaced", "crossed", "elsewhere"]
"""The source of a draft: a section (`heading`), a decision, a table cell, a document that was `replaced`, a table row
and a column that no passage has together (`crossed`), or a subject that is not in the base (`elsewhere`)."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Draft:
    """A question that a program proposes and a person is to correct."""

    question: str
    kind: str
    origin: Origin
    why: str
    """How the draft was made, and what the person is to check."""
    file: FileRow | None = None
    """The file that answers the question; None if the base does not seem to answer it."""
    heading: str = ""
    evidence: str = ""
    answer: str = ""
    superseded: str = ""

    def as_row(self, number: int, lang: str) -> dict[str, Any]:
        """The draft as a line of a question file. Its id is made from `number`; `lang` is the language, ISO 639-1."""
        row: dict[str, Any] = {
            "id": f"d{number:03}",
            "lang": lang,
            "question": self.question,
            "answer": self.answer,
            "files": [self.file.path] if self.file else [],
            "heading": self.heading,
            "evidence": self.evidence,
            "kind": self.kind,
        }
        return {**row, **({"superseded": self.superseded} if self.superseded else {}), "draft": True, "why": self.why}


@dataclass(frozen=True, slots=True, kw_only=True)
class _TableRow:
    chunk: ChunkRow
    line: str
    cells: tuple[str, ...]
    columns: tuple[str, ...]


def candidates(files: Mapping[str, FileRow], chunks: Sequence[ChunkRow], lang: Language) -> Iterator[Draft]:
    """All possible drafts, in the order of the base; `chunks` are those of `files`."""
    wording = lang.file("questions.toml")
    sentences: dict[str, list[tuple[ChunkRow, str]]] = {}
    rows: list[_TableRow] = []
    for chunk in chunks:
        own, table = _read(chunk, lang)
        sentences.setdefault(chunk.path, []).extend((chunk, sentence) for sentence in own)
        rows += table
    for path, said in sentences.items():
        file = files[path]
        if file.status != "current":
            continue
        if file.role == "decision" and said:
            yield _decision(file, *said[0], wording, lang)
        yield from _facts(file, said, wording)
    for row in rows:
        if files[row.chunk.path].status == "current":
            yield from _cells(files[row.chunk.path], row, wording)
    yield from _replaced(files, sentences, chunks, wording, lang)
    yield from _unjoined(rows, chunks, wording)
    for question in wording["other_matters"]:
        why = "Of another matter. Ask instead what your people would ask and the base does not say."
        yield Draft(question=question, kind="unanswerable", origin="elsewhere", why=why)


def _read(chunk: ChunkRow, lang: Language) -> tuple[list[str], list[_TableRow]]:
    """The sentences of a chunk's running text that could be evidence, and its table rows, verbatim."""
    lines = chunk.text.split("\n")
    sentences: list[str] = []
    rows: list[_TableRow] = []
    columns: tuple[str, ...] = ()
    quoted = 0
    tokens = block_parser().parse(chunk.text)
    for number, token in enumerate(tokens):
        quoted += (token.type == "blockquote_open") - (token.type == "blockquote_close")
        if token.type == "paragraph_open" and not quoted:
            text = _TASK.sub("", tokens[number + 1].content)
            if not re.match(rf"\W*{lang.phrases['metadata']}\W*:", fold(text)):
                spans = (text[start:end] for start, end in lang.sentences(text))
                sentences += [sentence for sentence in spans if _could_be_evidence(sentence)]
        elif token.type == "tr_open" and token.map:
            line = lines[token.map[0]].strip()
            own = tuple(_bare(line[start:end].strip()) for start, end in cells(line))
            if not columns:
                columns = own
            elif len(own) == len(columns):
                rows.append(_TableRow(chunk=chunk, line=line, cells=own, columns=columns))
        elif token.type == "table_close":
            columns = ()
    return sentences, rows


def _could_be_evidence(sentence: str) -> bool:
    return (
        _SHORTEST <= len(sentence) <= _LONGEST
        and len(sentence.split()) >= _FEWEST_WORDS
        and not sentence.rstrip().endswith(("?", ":"))
    )


def _bare(cell: str) -> str:
    """A cell without emphasis, backticks and outer quotation marks; underscores within a name stay."""
    return strip_quotes(re.sub(r"(?<!\w)_+|_+(?!\w)", "", re.sub(r"[*`]+", "", cell)))


def _decision(file: FileRow, chunk: ChunkRow, sentence: str, wording: Mapping[str, str], lang: Language) -> Draft:
    question = wording["decision" if file.date else "undated"]
    return Draft(
        question=question.format(title=_title(file), date=lang.format_date(file.date or "")),
        kind="fact",
        origin="decision",
        why="The first sentence of a decision. Ask for what it settled, without the words of its title.",
        file=file,
        heading=chunk.heading,
        evidence=sentence,
    )


def _facts(file: FileRow, said: Sequence[tuple[ChunkRow, str]], wording: Mapping[str, str]) -> Iterator[Draft]:
    """One draft for each heading of a file, from the first sentence below it with a figure, a date or a name in
    code."""
    asked: set[str] = set()
    for chunk, sentence in said:
        if chunk.heading in asked or not _FACT.search(sentence):
            continue
        asked.add(chunk.heading)
        if chunk.heading.endswith("?"):
            question = chunk.heading
        elif chunk.heading and chunk.heading != file.title:
            question = wording["section"].format(title=_title(file), heading=chunk.heading)
        else:
            question = wording["file"].format(title=_title(file))
        yield Draft(
            question=question,
            kind="fact",
            origin="heading",
            why="The first sentence under a heading that states a fact. Ask for it like somebody who has forgotten it.",
            file=file,
            heading=chunk.heading,
            evidence=sentence,
        )


def _cells(file: FileRow, row: _TableRow, wording: Mapping[str, str]) -> Iterator[Draft]:
    name = row.cells[0]
    if not _names_something(name):
        return
    for column, value in zip(row.columns[1:], row.cells[1:], strict=True):
        if _names_something(column) and _VALUE.search(value) and len(value) <= _LONGEST_CELL:
            yield Draft(
                question=wording["table"].format(heading=row.chunk.heading or _title(file), column=column, row=name),
                kind="table",
                origin="table",
                why="A cell of a table. Ask for it in a sentence of your own.",
                file=file,
                heading=row.chunk.heading,
                evidence=row.line,
                answer=value,
            )


def _replaced(
    files: Mapping[str, FileRow],
    sentences: Mapping[str, Sequence[tuple[ChunkRow, str]]],
    chunks: Sequence[ChunkRow],
    wording: Mapping[str, str],
    lang: Language,
) -> Iterator[Draft]:
    """One draft for each superseded document.

    A current document answers it: one that is linked with the old one by name, or a newer one on the same subject.
    """
    named: dict[str, set[str]] = {}
    for chunk in chunks:
        named.setdefault(chunk.path, set()).update(_FILE_NAME.findall(chunk.text))
    stems = {path: frozenset(lang.stems(file.title)) for path, file in files.items()}
    current = [file for file in files.values() if file.status == "current" and sentences.get(file.path)]
    for old in files.values():
        if old.status not in ("superseded", "deprecated"):
            continue
        newer = [file for file in current if (file.date or "") >= (old.date or "")]
        naming = [file for file in newer if _file_name(old) in named.get(file.path, ())]
        naming += [file for file in newer if _file_name(file) in named.get(old.path, ())]
        shares = sorted(((_share(stems[old.path], stems[file.path]), file.path) for file in newer), reverse=True)
        close = [files[path] for share, path in shares if share >= _ALIKE]
        replaces = next(iter([file for file in naming if file.role == old.role] or naming or close), None)
        if replaces is None:
            continue
        chunk, sentence = sentences[replaces.path][0]
        yield Draft(
            question=wording["newest"].format(title=_title(replaces)),
            kind=NEWEST_WINS,
            origin="replaced",
            why=f"{old.path} no longer holds. See that this is what replaces it, and ask for what changed.",
            file=replaces,
            heading=chunk.heading,
            evidence=sentence,
            superseded=old.path,
        )


def _unjoined(rows: Sequence[_TableRow], chunks: Sequence[ChunkRow], wording: Mapping[str, str]) -> Iterator[Draft]:
    """Questions about a row of one table and a column of another, if no passage has both.

    The base can't answer them.
    """
    texts = [plain(f"{chunk.lead}\n\n{chunk.text}") for chunk in chunks]
    names = sorted({row.cells[0] for row in rows if _names_something(row.cells[0])}, key=_shuffled)
    columns = sorted({column for row in rows for column in row.columns[1:] if _names_something(column)}, key=_shuffled)

    def said(name: str, column: str) -> bool:
        one, other = plain(name), plain(column)
        return any(one in text and other in text for text in texts)

    pairs = ((name, columns[number % len(columns)]) for number, name in enumerate(names) if columns)
    for name, column in islice(pairs, _CROSSED):
        if not said(name, column):
            yield Draft(
                question=wording["unknown"].format(column=column, row=name),
                kind="unanswerable",
                origin="crossed",
                why=f"No passage holds both «{name}» and «{column}». See that the base really does not say it, "
                "and that somebody would ask it.",
            )


def _names_something(cell: str) -> bool:
    return 2 < len(cell) <= _LONGEST_CELL and any(letter.isalpha() for letter in cell) and "http" not in cell


def _shuffled(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()


def _title(file: FileRow) -> str:
    """The title of a file without its kind: `Decisione: una porta per servizio` ("Decision: one port per service")
    becomes `una porta per servizio`."""
    title = _bare(file.title)
    return _KIND_OF_TITLE.sub("", title) or title or file.path


def _file_name(file: FileRow) -> str:
    return file.path.rpartition("/")[2]


def _share(one: frozenset[str], other: frozenset[str]) -> float:
    return len(one & other) / len(one | other) if one | other else 0.0
