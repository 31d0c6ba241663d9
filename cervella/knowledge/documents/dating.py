"""Finds the date of a document: the day on which it was written or last revised.

Texts are full of other dates: deadlines, birthdays, the day of a feast. So a date counts only in the places where
people date a document, in this order: its header, a line with the key of a date, its name, its headings, and a line at
its start or end that has nothing but a date (`Roma, 3 marzo 2026`) or opens as minutes do (`Verbale del 3 marzo 2026`).
In none of them does a date count that a deadline introduces (`entro il 31/12/2029`). The words are data:
`documents.toml` of every language.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from functools import lru_cache

from cervella.knowledge.documents.markdown import Document
from cervella.knowledge.documents.vocabulary import every_language
from cervella.text.folding import any_of, fold, fold_in_place, words
from cervella.text.language import Language

_HEAD_LINES, _HEAD_CHARACTERS = 40, 700
_TAIL_LINES = 3  # non-blank lines at the end, where letters have their date
_LONGEST = 200  # characters of a line that is searched
_OPENING_WORDS = 8  # words before the date of a line that opens as minutes do
_PLACE = re.compile(r"[^\W\d_][\w'’. -]{0,40}")
_SENTENCE_END = re.compile(r"[.!?;]\s")
_LISTED = re.compile(r"[>\s]*(?:[-*+|] |\||\d{1,3}[.)] )")
_NOT_A_LETTER = re.compile(r"[\W_]+")


def date_of(path: str, document: Document, language: Language) -> str | None:
    """The date of a document as ISO 8601, `2026-01-31`; None if it has none. `language` is that of the dates."""
    head, tail = _head(document), _tail(document)
    return next(
        (
            date
            for texts in (
                (document.header[key] for key in _date_keys() if key in document.header),
                _keyed(head, listed=False),
                [re.sub(r"[_-]+(?=[^\W\d])|(?<=[^\W\d])[_-]+", " ", path.rsplit("/", 1)[-1])],
                _keyed(head, listed=True),
                _titles(document),
                _dated(head, language),
                _keyed(tail, listed=False),
                _dated(tail, language),
            )
            for text in texts
            if (date := _date_in(text, language))
        ),
        None,
    )


def _date_in(text: str, language: Language) -> str | None:
    """The first date in a text, unless a word such as `entro` stands before it."""
    for start, _, date in language.find_dates(text[:_LONGEST]):
        return None if _other_dates().search(fold(text[:start])) else date
    return None


def _head(document: Document) -> list[str]:
    """The first lines, without headings and code."""
    out, size = [], 0
    for number in _prose_lines(document, range(1, min(len(document.body), _HEAD_LINES + document.front.lines) + 1)):
        line = document.body[number - 1]
        out.append(line[:_LONGEST])
        size += len(line)
        if size > _HEAD_CHARACTERS:
            break
    return out


def _tail(document: Document) -> list[str]:
    filled: list[int] = []
    for number in range(len(document.body), 0, -1):
        if document.body[number - 1].strip():
            filled.append(number)
            if len(filled) == _TAIL_LINES:
                break
    return [document.body[number - 1][:_LONGEST] for number in _prose_lines(document, filled)]


def _prose_lines(document: Document, numbers: range | list[int]) -> Iterator[int]:
    """Those of the numbers, counted from 1, whose line is not blank, no heading and not in a fence."""
    wanted = set(numbers)
    for block in document.blocks:
        if block.kind in ("fence", "heading") and wanted:
            wanted.difference_update(one for one in numbers if block.start_line <= one <= block.end_line)
    return (number for number in numbers if number in wanted and document.body[number - 1].strip())


def _titles(document: Document) -> Iterator[str]:
    yield document.front.title
    for block in document.blocks:
        if block.start_line > _HEAD_LINES + document.front.lines:
            return
        if block.kind == "heading" and block.headings:
            yield block.headings[-1]


def _keyed(lines: list[str], *, listed: bool) -> Iterator[str]:
    """The values of lines with the key of a date, such as `Data: 9 gennaio 2026`.

    Those in a list or table, where `listed` is true, may be of something else than the document.
    """
    for line in lines:
        if (row := _key_line().match(fold_in_place(line))) and bool(row["item"]) is listed:
            yield line[row.start("value") :]


def _dated(lines: list[str], language: Language) -> Iterator[str]:
    """The dates of lines that have nothing else, or open with words that introduce the date of a document."""
    for line in lines:
        found = () if _LISTED.match(line) else language.find_dates(line)
        for start, end, date in found[:1]:
            before, after = line[:start], line[end:]
            if _is_alone(before, after) or _introduces(before, after):
                yield f"{before} {date}"


def _is_alone(before: str, after: str) -> bool:
    """Whether a date's line has, besides it, only the day of the week, a place before a comma, or a time."""
    place, comma, rest = before.rpartition(",")
    if comma and not _PLACE.fullmatch(place.strip(" \t>*_#(")):
        return False
    left = [*words(rest if comma else before), *words(after)]
    return all(word in _beside_dates() or word.isdigit() for word in left) and len(left) <= _OPENING_WORDS


def _introduces(before: str, after: str) -> bool:
    """Whether the words before a date are such as `Verbale della riunione del` or `Documento aggiornato il`."""
    said = words(before)
    if not said or len(said) > _OPENING_WORDS or _SENTENCE_END.search(before):
        return False
    text = " ".join(said)
    if _minutes().match(text):
        return True
    alone = not _NOT_A_LETTER.sub("", after)
    match = _revised().search(text)
    return match is not None and (
        alone or match.start() == 0 or _document_opening().fullmatch(text[: match.start()]) is not None
    )


def _date_keys() -> tuple[str, ...]:
    return (*every_language("date_keys"), *every_language("updated_keys"), *every_language("created_keys"))


@lru_cache(maxsize=1)
def _key_line() -> re.Pattern[str]:
    """A line with a key of a date, in a list or table where `item` matches."""
    names = "|".join(sorted(map(re.escape, _date_keys()), key=len, reverse=True))
    return re.compile(rf"^[ \t>]*+(?P<item>[-*+|] ?)?[^\w\n]*+(?:{names})[*_ \t]*[:|](?P<value>.*)")


@lru_cache(maxsize=1)
def _minutes() -> re.Pattern[str]:
    return re.compile(any_of(every_language("minutes")))


@lru_cache(maxsize=1)
def _revised() -> re.Pattern[str]:
    """A key of a date or a word such as `aggiornato`, as the last word before a date, prepositions apart."""
    keys = (re.escape(" ".join(words(key))) for key in _date_keys())
    beside = "|".join(map(re.escape, sorted(_beside_dates())))
    return re.compile(rf"(?<!\w)(?:{'|'.join(keys)}|{any_of(every_language('dated_words'))})(?: (?:{beside}))*$")


@lru_cache(maxsize=1)
def _document_opening() -> re.Pattern[str]:
    return re.compile(rf"(?:(?:{'|'.join(every_language('openings'))}) )*")


@lru_cache(maxsize=1)
def _beside_dates() -> frozenset[str]:
    return frozenset(word for text in every_language("beside_dates") for word in words(text))


@lru_cache(maxsize=1)
def _other_dates() -> re.Pattern[str]:
    return re.compile(any_of(every_language("other_dates")))
