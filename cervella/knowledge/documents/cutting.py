"""Turns files into the chunks, stems and document facts (date, role, status) of the index.

Many files are spread over all CPU cores.
"""

from __future__ import annotations

import json
import os
import re
from collections.abc import Callable, Generator, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from functools import lru_cache
from itertools import accumulate, islice
from queue import SimpleQueue
from threading import Event
from typing import Literal, TypeAlias, get_args

from cervella.errors import CervellaError
from cervella.knowledge.documents.characters import cleaned
from cervella.knowledge.documents.chunking import Chunk, Sizes, chunk, joined
from cervella.knowledge.documents.indexed_text import indexed_text
from cervella.knowledge.documents.linking import links_of
from cervella.knowledge.documents.markdown import Document
from cervella.knowledge.documents.masking import masked_by_reading, masked_reading
from cervella.knowledge.documents.naming import file_names, name_of, subject_of
from cervella.knowledge.documents.obsidian import is_board
from cervella.knowledge.documents.parsing import (
    SafeParser,
    bare,
    budget_for,
    budget_for_cutting,
    parse_within,
    plain,
    too_slow,
)
from cervella.knowledge.documents.reading import Reading, reading_of
from cervella.knowledge.documents.roles import DocumentFacts, Roles, facts_of
from cervella.knowledge.documents.scan import Source
from cervella.knowledge.documents.workers import (
    FAILURES,
    NotStartedError,
    TookTooLongError,
    Worker,
    interrupted_after,
    stopped_after,
)
from cervella.text.language import Language, language
from cervella.text.terms import terms
from cervella.types import Redaction

Subjects: TypeAlias = tuple[tuple[str, ...], ...]
_Way: TypeAlias = Literal["parsed", "plain", "bare"]
_WAYS: tuple[_Way, ...] = get_args(_Way)
"""How a file is cut, the next way if the one before fails: as parsed, by the lines of what `plain` makes of it, and by
its lines with all markup."""
_Parse: TypeAlias = Callable[[str], tuple[Document, str | None]]

_MOST_NAMES = 120  # characters of aliases in the lead of a chunk
_MOST_ALIASES, _MOST_WORDS = 100, 4_000  # aliases, and characters of path and aliases, indexed with each chunk
_MOST_SECTIONS, _LONGEST_SUBJECT = 60, 600
"""Maximum sections and terms of a chunk, and characters of a subject, whose stems are read."""
_TERM = re.compile(
    r"^(?:(?P<term>[^\s:#>|*+-][^\n]{0,120})\n(?:[ \t]*\n)? {0,3}:[ \t]+\S"
    r"|[ \t]*(?:(?:[-*+•]|\d{1,3}[.)])[ \t]+)?\*\*(?P<label>[^*\n]{1,80})\*\*)",
    re.MULTILINE,
)
"""A term with its definition (`: …`) below it, or in bold at the start of a paragraph or item."""
_MUCH = 400_000  # characters from which several processes save more time than their start takes


@dataclass(frozen=True, slots=True, kw_only=True)
class Cut:
    """The data that the index stores of one file."""

    text: str
    """The file's text with secrets masked."""
    reading: Reading
    read: str
    """The reading of the file as one text, in which the chunks have their places."""
    redactions: tuple[Redaction, ...]
    facts: DocumentFacts
    chunks: tuple[Chunk, ...]
    stems: tuple[list[str], ...]
    """For each chunk, the search terms of its reading, its lead (see `Chunk`), the file's path and its aliases."""
    subjects: tuple[Subjects, ...]
    """For each chunk, the stems of each of its subjects: what the file is called, and the headings of the chunk."""
    points: bool
    """Whether the file mostly links to others."""
    plain: str | None
    """The reason why the file was split by lines only, or not at all; None if it was parsed."""


def cut(source: Source, lang: Language, roles: Roles, parse: _Parse) -> Cut:
    """Mask the secrets of one file, parse it, and split it into chunks.

    `parse` takes the file's text and returns a document, then the reason why it was split by lines only, or None if it
    was parsed.
    """
    document, why = parse(source.text)
    reading = reading_of(document, lang, path=source.path)
    masked = masked_by_reading(source, document.lines, reading.lines)
    if masked is not None:  # title, headings and metadata are read from the text without these secrets too
        source = masked
        document, why = parse(source.text)
        reading = reading_of(document, lang, path=source.path)
        reading = replace(reading, lines=masked_reading(reading.lines, source.language))
    facts = facts_of(source.path, document, lang, roles, reading)
    links = links_of(document.body)
    facts = facts if facts.links else replace(facts, links=links.targets)
    return replace(_chunked(source, lang, document, reading, facts), points=links.mostly, plain=why)


def _chunked(source: Source, lang: Language, document: Document, reading: Reading, facts: DocumentFacts) -> Cut:
    subject = subject_of(document, source.path)
    shown = _first_names(facts.aliases)
    # Each column of a board is a passage of its own, so that its title is above its cards.
    chunks = tuple(
        chunk(
            document,
            Sizes(small=1, passage=0) if is_board(document.lines) else None,
            reading=reading.lines,
            subject=subject,
            aliases=shown,
            sentences=lang.sentences,
        )
    )
    called = file_names(source.path, lang)
    spelled = called[1:2] if not name_of(source.path) else ()  # the note of a day is called by its date
    others = facts.aliases[len(shown) : _MOST_ALIASES]
    names = "\n".join((source.path.rsplit(".", 1)[0], *spelled, *others))[:_MOST_WORDS]
    of_file = [_distinct_stems(name, lang) for name in (*called, *facts.aliases[:_MOST_ALIASES], document.title)]
    return Cut(
        text=source.text,
        redactions=source.redactions,
        reading=reading,
        read=joined(document, reading.lines)[0],
        facts=facts,
        chunks=chunks,
        stems=tuple(
            [*_known_terms(names, lang), *_lead_terms(piece.lead, lang), *terms(piece.indexed, lang)]
            for piece in chunks
        ),
        subjects=tuple(_subjects(piece, of_file, lang) for piece in chunks),
        points=False,
        plain=None,
    )


def _cut_bare(source: Source, lang: Language, roles: Roles) -> Cut:
    """Split a file that could not be read by its lines, with their markup. Only its path and title describe it."""
    document = bare(source.text)
    facts = _facts_by_path(source, document.title, roles)
    lines = masked_reading([*map(cleaned, document.lines)], source.language)
    return _chunked(source, lang, document, Reading(lines=lines), facts)


def _facts_by_path(source: Source, title: str, roles: Roles) -> DocumentFacts:
    """The facts of a file that could not be read."""
    role = roles.role_of(source.path, title)
    return DocumentFacts(title=title, role=role, project=None, date=None, session=None, status="current")


def _without_text(source: Source, roles: Roles, why: str) -> Cut:
    """The data of a file of which nothing could be read: it has no passages."""
    return Cut(
        text="",
        reading=Reading(lines=()),
        read="",
        redactions=(),
        facts=_facts_by_path(source, "", roles),
        chunks=(),
        stems=(),
        subjects=(),
        points=False,
        plain=f"{why}, nor by its lines, so nothing of it is found",
    )


def _cut_as(way: _Way, source: Source, lang: Language, roles: Roles, parse: _Parse, why: str) -> Cut | str:
    """Cut a file in one of three ways. If an exception shows a bug in it, the reason is returned for the report.

    `why` is the reason why the way before failed. A bug that one file brings to light must not cost the others.
    """
    by_lines = f"{why}, so it is cut by its lines"
    try:
        if way == "bare":
            return replace(_cut_bare(source, lang, roles), plain=by_lines)
        return cut(source, lang, roles, parse if way == "parsed" else lambda text: (plain(text), by_lines))
    except (CervellaError, MemoryError):
        raise
    except Exception as error:
        return f"it could not be read ({type(error).__name__})"


def _cut_here(source: Source, lang: Language, roles: Roles, parse: _Parse) -> Cut:
    """Cut a file in this process, within the limit of time that there can be."""
    budget, why = budget_for_cutting(source.raw), ""
    for way in _WAYS:
        try:
            with interrupted_after(budget):
                made = _cut_as(way, source, lang, roles, parse, why)
        except TookTooLongError:
            made = _unread(budget)
        if not isinstance(made, str):
            return made
        why = made
    return _without_text(source, roles, why)


def _unread(budget_seconds: float) -> str:
    return f"it could not be read within {budget_seconds:.1f} s"


def _subjects(piece: Chunk, of_file: Sequence[tuple[str, ...]], lang: Language) -> Subjects:
    """The stems of what a chunk is about.

    They are the names of its file, its headings, each alone, with the one and with all above it, and the terms that it
    defines.
    """
    named = dict.fromkeys(of_file)
    terms = (match["term"] or match["label"] for match in _TERM.finditer(piece.reading))
    named |= dict.fromkeys(_distinct_stems(term, lang) for term in islice(terms, _MOST_SECTIONS))
    for section in piece.sections[:_MOST_SECTIONS]:
        for first in {len(section) - 1, max(len(section) - 2, 0), 0}:
            named[_distinct_stems("\n".join(section[first:]), lang)] = None
    return tuple(subject for subject in named if subject)


@lru_cache(maxsize=1_024)  # the chunks of a file share their headings
def _distinct_stems(text: str, lang: Language) -> tuple[str, ...]:
    return tuple(dict.fromkeys(lang.stems(text[:_LONGEST_SUBJECT])))


def cut_all(sources: Sequence[Source], lang: Language, roles: Roles) -> Generator[Cut, None, None]:
    """Run `cut` for each file, and yield the results in the order of the files.

    `lang` is the language of the stems and dates. `roles` are the rules by which documents are described.
    """
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    if cores < 2 or sum(len(source.raw) for source in sources) < _MUCH:
        with SafeParser() as parser:
            for source in sources:
                yield _cut_here(source, lang, roles, parser.parse)
        return
    workers = [Worker() for _ in range(min(cores, len(sources)))]
    free: SimpleQueue[Worker] = SimpleQueue()
    for worker in workers:
        free.put(worker)

    own, ending = json.dumps(roles.own), Event()

    def by_a_process(source: Source) -> Cut:
        worker, why = free.get(), ""
        budgets = budget_for(source.raw), budget_for_cutting(source.raw)
        try:
            for way in _WAYS:
                try:
                    call = f"{__name__}:_cut_within", way, source, lang.code, own, budgets, why
                    made: Cut | str = worker.call(*call, budget_seconds=budgets[1])
                except FAILURES as error:
                    if ending.is_set():
                        raise
                    if isinstance(error, NotStartedError):
                        return _cut_here(source, lang, roles, lambda text: (plain(text), too_slow(budgets[0])))
                    made = _unread(budgets[way != "parsed"])
                if not isinstance(made, str):
                    return made
                why = made
            return _without_text(source, roles, why)
        finally:
            free.put(worker)

    threads = ThreadPoolExecutor(len(workers), thread_name_prefix="cervella-cut")
    try:
        yield from threads.map(by_a_process, sources)
    finally:  # if the caller stops early, running calls are killed
        ending.set()
        threads.shutdown(wait=False, cancel_futures=True)
        for worker in workers:
            worker.kill()
        threads.shutdown(wait=True)
        for worker in workers:
            worker.close()


def _cut_within(way: _Way, source: Source, code: str, own: str, budgets: tuple[float, float], why: str) -> Cut | str:
    """Run `_cut_as` in a worker process, which the system ends if parsing, or all of it, takes too long.

    `own` is the owner's role table as JSON. `budgets` are the limits for parsing and for all, in seconds.
    """
    parsing, whole = budgets
    with stopped_after(whole):
        return _cut_as(way, source, language(code), _roles(own), lambda text: parse_within(text, parsing), why)


@lru_cache(maxsize=1)
def _roles(own: str) -> Roles:
    return Roles.of(json.loads(own))


def _first_names(aliases: Sequence[str]) -> tuple[str, ...]:
    """The aliases that fit into the lead of each chunk. The others are indexed by their words only."""
    sizes = accumulate(len(alias) + 2 for alias in aliases)
    return tuple(alias for alias, size in zip(aliases, sizes, strict=True) if size <= _MOST_NAMES)


def _lead_terms(lead: str, lang: Language) -> Iterator[str]:
    """The terms of a lead, read heading by heading: the chunks of a section share most of them."""
    for part in lead.split(" > "):
        yield from _known_terms(_indexed(part), lang)


_indexed = lru_cache(maxsize=256)(indexed_text)
_known_terms = lru_cache(maxsize=256)(terms)
