"""Reads what a document says about replacing others: which documents it supersedes, and by which it is superseded.

Two places count: a field of its header (`supersedes: ADR-0003`), and one of its first lines that begins with a verb
such as `Sostituisce` and goes on with the name of a document, or a link to it. A line in which another word stands
between the two is about a part of the document, or about a thing.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import lru_cache
from itertools import islice

from cervella.knowledge.documents.front_matter import Value
from cervella.knowledge.documents.markdown import Document
from cervella.knowledge.documents.vocabulary import every_language
from cervella.text.folding import any_of, fold, fold_in_place, words
from cervella.text.language import known_languages, language

FIRST_LINES = 5
"""Lines of a document in which such a statement counts, headings included; front matter and blank lines aside."""
_LONGEST = 400  # characters of a line that are read
_MOST = 20  # documents that one statement may name
_LINK = re.compile(
    r"\[\[(?P<note>[^\[\]|#^\n]{1,200})(?P<part>[#^][^\[\]|\n]{1,200})?(?:\|[^\[\]\n]{0,200})?\]\]"
    r"|\[(?P<text>[^\[\]\n]{0,200})\]\(<?(?P<target>[^()<>\n]{1,300}?)>?(?:\s+\"[^\"\n]{0,200}\")?\)"
    r"|[`«“\"](?P<quoted>[^`«»“”\"\n]{1,200})[`»”\"]"
    r"|(?P<path>[\w./%-]{1,200}\.(?:md|mdx|markdown|txt))(?![\w])"
    r"|(?P<code>(?:[A-Z]{2,8}[-_ ]|[^\W\d_]{2,12}[-_]?)\d{1,6})(?![\w-])"
)
_MARKS = re.compile(r"[*_~\s:>]+")
_SENTENCE_END = re.compile(r"[.!?](?:\s|$)")
_NUMBER_SIGN = re.compile(r"\bn(?:[ro]?\.|[°º])\s*(?=\d)", re.IGNORECASE)
_NAME_SEPARATORS = re.compile(r"[\s_-]+")


@dataclass(frozen=True, slots=True)
class Replacing:
    """The documents that a document names, as it writes them: paths, names, titles, numbers or texts of links."""

    supersedes: tuple[str, ...] = ()
    superseded_by: tuple[str, ...] = ()
    is_superseded: bool = False
    """Whether the document says of itself that it is superseded, also where the other one is not in the folder."""


def replacing_of(document: Document, superseded_words: Sequence[str] = ()) -> Replacing:
    """Read what a document says about replacing others.

    `superseded_words`, folded, are how a line says that another document supersedes this one: `superato da`.
    """
    new, old = (
        every_language("replaces"),
        tuple(dict.fromkeys((*superseded_words, *every_language("superseded_words")))),
    )
    fields = [(_NAME_SEPARATORS.sub(" ", fold(key)).strip(), value) for key, value in _fields(document)]
    supersedes = [one for key, value in fields if key in new for one in _values(value)]
    stated = [one for key, value in fields if key in old for one in _values(value)]
    superseded_by, explicit = list(stated), bool(stated)
    for line in _first_lines(document):
        # The passive first: in German it begins with the active form.
        if (at := _verb(old).match(fold_in_place(line))) is not None:
            names, linked = _named(line[at.end() :])
            superseded_by += names
            explicit |= linked
        elif (at := _verb(new).match(fold_in_place(line))) is not None:
            supersedes += _named(line[at.end() :])[0]
    return Replacing(_unique(supersedes), _unique(superseded_by), explicit)


def links_a_document(line: str) -> bool:
    """Whether a line has a link, a path, a quoted name or a number such as ADR-0007."""
    return _LINK.search(line[:_LONGEST]) is not None


def after_openings() -> str:
    """A pattern for what may stand in a folded line before a verb that states something: words such as `Decisione:`."""
    begun = "|".join(fold(one) for one in every_language("openings"))
    return rf"[\W_]*(?:(?:{begun})[\W_]+){{0,6}}"


def without_fillers(text: str) -> str:
    """A text without the articles and the words for a document at its start: `il listino` is empty.

    >>> without_fillers("la vecchia procedura Check-in estivo")
    'Check-in estivo'
    """
    match = _fillers().match(fold_in_place(text))
    return text[match.end() :] if match else text


def _fields(document: Document) -> Iterator[tuple[str, Value]]:
    yield from document.front.fields.items()
    in_front = document.front.texts()
    yield from ((key, value) for key, value in document.header.items() if key not in in_front)


def _values(value: Value) -> Iterator[str]:
    """The documents that a field names, as they are written."""
    for text in (value,) if isinstance(value, str) else value:
        if " ".join(words(text[:_LONGEST])) in ("", *every_language("nothing")):
            continue
        text = text[:_LONGEST].strip()
        linked = [name for match in _LINK.finditer(text) if (name := _name(match))]
        yield from linked if linked and not _prose(text) else (text.strip("[]\"' "),)
        if not linked and "," in text:
            yield from (part.strip("[]\"' ") for part in text.split(",") if part.strip("[]\"' "))


def _prose(text: str) -> bool:
    """Whether a text has words besides links: a title that contains a number, such as `Listino 2026`."""
    return any(len(word) > 2 and word.isalpha() for word in words(_LINK.sub(" ", text)))


def _first_lines(document: Document) -> list[str]:
    """Those of the first lines that are no heading, rule or code."""
    left_out = {
        number
        for block in document.blocks
        if block.kind in ("heading", "rule", "fence", "front_matter")
        for number in range(block.start_line, min(block.end_line, block.start_line + 200) + 1)
    }
    filled = (number for number, line in enumerate(document.body, start=1) if line.strip())
    return [document.body[number - 1][:_LONGEST] for number in islice(filled, FIRST_LINES) if number not in left_out]


def _named(rest: str) -> tuple[list[str], bool]:
    """The documents that stand right after a verb, and whether they are linked, quoted, or named by path or number.

    Else the rest of the sentence is returned, which may begin with the title of a document.
    """
    if _partly().search(fold(rest)):
        return [], False
    rest = _NUMBER_SIGN.sub("", rest)
    position, names = _start(rest), list[str]()
    while len(names) < _MOST and (match := _LINK.match(rest, position)) is not None:
        if (name := _name(match)) is None:
            return [], False
        names.append(name)
        position = match.end()
        if (more := _and().match(rest, position)) is None:
            break
        position = _start(rest, more.end())
    if names:
        return names, True
    said = _MARKS.sub(" ", _SENTENCE_END.split(rest, maxsplit=1)[0]).strip()
    own = words(without_fillers(said))
    one_thing = len(own) == 1 and not own[0].isdigit()  # one word may be the name of anything
    return [] if one_thing or not said else [said], False


def _start(text: str, position: int = 0) -> int:
    """Where a text goes on after marks, articles and words for a document."""
    if (marks := _MARKS.match(text, position)) is not None:
        position = marks.end()
    fillers = _fillers().match(fold_in_place(text), position)
    return fillers.end() if fillers else position


def _name(match: re.Match[str]) -> str | None:
    """The document that a link names; None for a part of one."""
    if match["part"] or (match["target"] and "#" in match["target"]):
        return None
    if match["target"] and "://" in match["target"]:
        return match["text"] or None
    return (match["note"] or match["target"] or match["quoted"] or match["path"] or match["code"]).strip()


def _unique(names: Sequence[str]) -> tuple[str, ...]:
    return tuple(dict.fromkeys(name for name in names if name))[:_MOST]


@lru_cache(maxsize=8)
def _verb(verbs: tuple[str, ...]) -> re.Pattern[str]:
    """A folded line that begins with one of these verbs, after words such as `Decisione:`."""
    names = "|".join(
        r"\s+".join(map(re.escape, verb.split())) for verb in sorted(map(fold, verbs), key=len, reverse=True)
    )
    return re.compile(rf"{after_openings()}(?:{names})(?!\w)")


@lru_cache(maxsize=1)
def _and() -> re.Pattern[str]:
    """What stands between two names of a list."""
    words_ = "|".join(language(code).file("numbers.toml")["and"] or "(?!)" for code in known_languages())
    return re.compile(rf"[*_\s]*(?:[,;/&+]|(?<!\w)(?:{words_})(?!\w))[*_\s]*(?:(?:{words_})\s+)?", re.IGNORECASE)


@lru_cache(maxsize=1)
def _fillers() -> re.Pattern[str]:
    """Articles and words for a document, each with what stands between it and the next word."""
    articles = {
        word
        for code in known_languages()
        for one in language(code).file("identity.toml")["articles"]
        for word in words(one)
    }
    names = "|".join(
        map(re.escape, sorted({*map(fold, every_language("document_words")), *articles}, key=len, reverse=True))
    )
    return re.compile(rf"(?:(?:{names})(?:['’]|[*_\s]+|$))*")


@lru_cache(maxsize=1)
def _partly() -> re.Pattern[str]:
    return re.compile(any_of(every_language("partly")))
