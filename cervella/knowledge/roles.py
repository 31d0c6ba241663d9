"""What a document is (role), whose (project), of when (date) and whether it still holds (status).

The tables below are data: how the people of an SNCP name files and folders. Paths and words are compared folded.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass

from cervella.filters import path_matches
from cervella.knowledge.markdown import Document
from cervella.language import Language, fold
from cervella.types import Status

__all__ = ["ROLES_VERSION", "DocumentFacts", "facts_of", "is_local_only"]

ROLES_VERSION = "3"
"""Changes with the tables: the next run of the indexer reads every document's facts anew."""

_ROLE_BY_PATH: tuple[tuple[str, str], ...] = (  # the first that matches decides
    ("**/*template*", "template"),
    ("**/*template*/**", "template"),
    ("**/costituzione*", "constitution"),
    ("**/prompt_ripresa*", "resume"),
    ("**/*handoff*", "handoff"),
    ("**/handoff/**", "handoff"),
    ("**/lezioni/**", "lesson"),
    ("**/*lezion*", "lesson"),
    ("**/decisioni/**", "decision"),
    ("**/*decision*", "decision"),
    ("**/stato.md", "state"),
    ("**/stato/**", "state"),
    ("**/*stato*", "state"),
    ("**/ricerche/**", "research"),
    ("**/ricerca/**", "research"),
    ("**/*ricerca*", "research"),
)
_ROLE_BY_TITLE: tuple[tuple[str, str], ...] = (
    ("ricerca", "research"),
    ("research", "research"),
    ("studio", "research"),
    ("analisi", "research"),
    ("decisione", "decision"),
    ("decision", "decision"),
    ("lezione", "lesson"),
    ("stato", "state"),
    ("handoff", "handoff"),
    ("costituzione", "constitution"),
)
_ARCHIVE_FOLDERS = frozenset({"archivio", "archive"})
_PROJECT_FOLDERS = frozenset({"progetti", "projects"})
_PROJECT_KEYS = ("progetto", "project")
_DATED_LINES, _DATED_CHARACTERS = 40, 700
_STATUS_KEYS = ("stato", "status")
_DATE_KEYS = (
    "data",
    "date",
    "data ricerca",
    "data decisione",
    "ultimo aggiornamento",
    "aggiornato",
    "creata",
    "creato",
)
_STATUS_WORDS: tuple[tuple[str, Status], ...] = (  # how the first word of a header's `Stato:` begins
    ("superat", "superseded"),
    ("sostituit", "superseded"),
    ("supersed", "superseded"),
    ("deprecat", "deprecated"),
    ("obsolet", "deprecated"),
    ("archivi", "archived"),
)
# At the start of a line near the head, or alone in capitals: "ha superato Llama" and "File obsoleti" say nothing of the
# document that they stand in.
_HEAD_SIGNS: tuple[tuple[str, Status], ...] = (
    (r"(?i:(?:superat|sostituit)[oa] da\b|superseded by\b)", "superseded"),
    (
        r"(?i:(?:(?:questo|il) (?:file|documento) e['’]? )?(?:deprecat[oa]|deprecated|obsolet[oa]|obsolete)\b)",
        "deprecated",
    ),
)
_HEAD_MARKS = re.compile(r"(?:\(|\[|— |- |: )(?:DEPRECAT[OA]|DEPRECATED|OBSOLET[OA]|SUPERAT[OA])\b")
_HEAD_LINES = 12
_DECORATION = re.compile(r"^[\W_]+")


@dataclass(frozen=True, slots=True, kw_only=True)
class DocumentFacts:
    """What is known of a document as a whole."""

    title: str
    role: str | None
    project: str | None
    """As a folder would be named: `cervella-baby`."""
    date: str | None
    """ISO 8601."""
    status: Status


def facts_of(path: str, document: Document, language: Language) -> DocumentFacts:
    """Read a document's facts off its path, its title and its head."""
    folded = fold(path)
    folders = folded.split("/")[:-1]
    return DocumentFacts(
        title=document.title,
        role=_role(folded, folders, document),
        project=_project(path, folders, document),
        date=_date(path, document, language),
        status=_status(folders, document),
    )


def _role(path: str, folders: Sequence[str], document: Document) -> str | None:
    for pattern, role in _ROLE_BY_PATH:
        if path_matches(path, pattern):
            return role
    title = _DECORATION.sub("", fold(document.title))
    for word, role in _ROLE_BY_TITLE:
        if re.match(rf"{word}\b", title):
            return role
    return "archive" if _ARCHIVE_FOLDERS.intersection(folders) else None


def _project(path: str, folders: Sequence[str], document: Document) -> str | None:
    for position, folder in enumerate(folders[:-1]):
        if folder in _PROJECT_FOLDERS:
            return path.split("/")[position + 1]
    for key in _PROJECT_KEYS:
        if named := re.split(r" [-–—] |[(,;|]", document.header.get(key, ""))[0].strip():
            return re.sub(r"[\s_]+", "-", fold(named))
    return None


def _date(path: str, document: Document, language: Language) -> str | None:
    stated = (document.header.get(key, "") for key in _DATE_KEYS)
    name = path.rsplit("/", 1)[-1]
    # Last of all the first date near the top: a title or a line of prose that says of when it is.
    head = "\n".join(document.lines[:_DATED_LINES])[:_DATED_CHARACTERS]
    return next((date for text in (*stated, name, head) if (date := language.find_date(text))), None)


def _status(folders: Sequence[str], document: Document) -> Status:
    for key in _STATUS_KEYS:
        stated = _DECORATION.sub("", fold(document.header.get(key, "")))
        for beginning, status in _STATUS_WORDS:
            if stated.startswith(beginning):
                return status
    head = [line for line in document.lines[: 2 * _HEAD_LINES] if line.strip()][:_HEAD_LINES]
    for line in head:
        if line.lstrip().startswith(("|", "- ", "* ", "+ ")):
            continue
        bare = _DECORATION.sub("", line)
        for sign, status in _HEAD_SIGNS:
            if re.match(sign, bare):
                return status
        if line.startswith("#") and _HEAD_MARKS.search(line):
            return "deprecated"
    return "archived" if _ARCHIVE_FOLDERS.intersection(folders) else "current"


def is_local_only(path: str, patterns: Sequence[str]) -> bool:
    """Whether a path is one that only local and private brains may see; a folder's name means all in it."""
    names = (pattern.rstrip("/") for pattern in patterns)
    return any(path_matches(path, name) or path_matches(path, name + "/**") for name in names)
