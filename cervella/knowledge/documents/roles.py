"""Reads a document's role, project, date, session and status from its path, title and first lines.

The words and patterns are data: `documents.toml` of every language, `roles.toml` beside this file, and the owner's
`[knowledge.roles]`, which comes first.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import lru_cache
from types import MappingProxyType
from typing import Any

from cervella.knowledge.documents.dating import date_of
from cervella.knowledge.documents.forms import is_form
from cervella.knowledge.documents.front_matter import Value
from cervella.knowledge.documents.markdown import Document
from cervella.knowledge.documents.metadata import metadata_of, shown_text
from cervella.knowledge.documents.reading import Reading
from cervella.knowledge.documents.replacing import Replacing, after_openings, links_a_document, replacing_of
from cervella.knowledge.documents.series import InSeries, in_series
from cervella.knowledge.documents.vocabulary import every_language, key_of
from cervella.process.files import read_packaged
from cervella.text.folding import fold_in_place
from cervella.text.language import Language, fold, known_languages, language
from cervella.types import Status
from cervella.types.filters import path_matches

ROLES_VERSION = "7"
"""Version of the rules. If it changes, the next update describes all documents again."""

_STATED: tuple[Status, ...] = ("superseded", "deprecated", "archived", "draft")
_SHORTEST_CAPITALS = 4  # letters of a word that states a status in capitals in a heading: `NO` is too short
_HEAD_LINES = 12  # non-blank lines that are searched for a status
_DECORATION = re.compile(r"^[\W_]+")
_NAME_DATE = re.compile(r"(?<!\d)(?:19|20)\d\d[-_]?\d\d[-_]?\d\d(?!\d)")
_NOT_A_WORD = re.compile(r"[\W_]+")
_MINUTES = re.compile(r"(\d{8})\d{4}(?:\d\d)?")  # the day in a date such as 202603141230
_TRUE = ("1", "x")


@dataclass(frozen=True, slots=True, kw_only=True)
class DocumentFacts:
    """The properties of one document that filters and the ranking use. None means unknown."""

    title: str
    role: str | None
    project: str | None
    """As written in the front matter, else in lower case with hyphens: `cervella-baby`."""
    date: str | None
    """The date in the document's header, file name or first lines, as ISO 8601: `2026-01-31`."""
    session: str | None
    """The number of the working session in which the document was written, such as `159e`.

    A document with a higher number is not always newer, because sessions run in parallel.
    """
    status: Status
    aliases: tuple[str, ...] = ()
    """Other names of the document."""
    tags: tuple[str, ...] = ()
    meta: Mapping[str, Value] = field(default_factory=dict)
    """The fields that no other attribute contains, by their names as written."""
    links: tuple[str, ...] = ()
    supersedes: tuple[str, ...] = ()
    """The documents that this one says it supersedes, as it writes them. See `Replacing`."""
    superseded_by: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Role:
    """How documents of one kind are recognised and weighted. roles.toml explains each field."""

    paths: tuple[str, ...] = ()
    forms: tuple[str, ...] = ()
    titles: tuple[str, ...] = ()
    weight: float = 1.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Roles:
    """The rules by which a document gets its role and its status.

    All globs and words are folded: lower case without accents.
    """

    own: Mapping[str, Any] = field(repr=False)
    """The owner's table `[knowledge.roles]`; `Roles.of(own)` makes the same rules in another process."""
    by_name: Mapping[str, Role]
    archived: tuple[str, ...]
    deprecated: tuple[str, ...]
    fingerprint: str
    """A hash of all rules. If it changes, the next update describes all documents again."""
    paths: tuple[tuple[str, str, bool], ...] = field(repr=False)
    """Glob, role, and whether the glob is one of `forms`. The first glob that matches a document decides its role."""
    titles: tuple[tuple[str, str], ...] = field(repr=False)
    """Pairs of words and role. If no path matches, the first words with which the title begins decide the role."""
    openings: tuple[tuple[re.Pattern[str], Status], ...] = field(repr=False)
    """Patterns for the start of a line near the top, with the status that it states."""
    capitals: tuple[tuple[re.Pattern[str], Status], ...] = field(repr=False)
    """Patterns for words in capitals in a heading, with the status that they state."""
    superseded_words: tuple[str, ...] = field(repr=False)
    """How a line says that another document supersedes this one, folded."""
    draft_words: tuple[str, ...] = field(repr=False)
    """Words in a folded file name that make it a draft."""
    final_words: tuple[str, ...] = field(repr=False)
    """Words in a folded file name that make it the final version."""

    @classmethod
    def of(cls, own: Mapping[str, Any] | None = None) -> Roles:
        """Combine an owner's table `[knowledge.roles]` with the shipped one. The owner's lists come first, and the
        owner's values replace the shipped ones."""
        tables = (own or {}, _shipped())
        names = dict.fromkeys(name for table in tables for name, entry in table.items() if isinstance(entry, Mapping))
        roles = {name: _role(*(table.get(name, {}) for table in tables)) for name in names}
        # All roles of the owner come before all shipped ones.
        entries = [(name, entry) for table in tables for name, entry in table.items() if isinstance(entry, Mapping)]
        archived, deprecated, ended, replaced, openings, drafts = (
            tuple(fold(one) for table in tables for one in table.get(key, ()))
            for key in ("archived", "deprecated", "deprecated_words", "superseded_words", "openings", "draft_words")
        )
        begun = rf"(?:(?:{'|'.join(openings)}) )*"
        words: tuple[tuple[tuple[str, ...], Status], ...] = ((replaced, "superseded"), (ended, "deprecated"))
        paths = tuple(
            (fold(glob), name, key == "forms")
            for name, entry in entries
            for key in ("paths", "forms")
            for glob in entry.get(key, ())
        )
        titles = tuple((fold(word), name) for name, entry in entries for word in entry.get("titles", ()))
        table = (ROLES_VERSION, roles, archived, deprecated, ended, replaced, openings, paths, titles)
        return cls(
            own=dict(own or {}),
            by_name=MappingProxyType(roles),
            archived=archived,
            deprecated=deprecated,
            fingerprint=hashlib.sha256(repr(table).encode()).hexdigest(),
            paths=paths,
            titles=titles,
            openings=tuple((re.compile(rf"{begun}(?:{_either(some)})\b"), status) for some, status in words),
            capitals=tuple((_capitals(some), status) for some, status in words),
            superseded_words=replaced,
            draft_words=drafts,
            final_words=every_language("final_words"),
        )

    def weight(self, role: str | None) -> float:
        """The weight of passages with this role in the ranking; 1.0 for None and unknown roles."""
        known = self.by_name.get(role or "")
        return known.weight if known else 1.0

    def in_series(self, path: str) -> InSeries:
        """The place of a document in its series, by its file name."""
        return in_series(path, self.draft_words, self.final_words)

    def role_of(self, path: str, title: str, document: Document | None = None) -> str | None:
        """The role of a document by its path, else by the first words of its title.

        Globs in `forms` count only if `document` has places to fill in.

        If neither gives a role, it is `archive` for a path in an archive, else None.
        """
        folded = fold(path)
        matching = ((role, form) for glob, role, form in self.paths if _matches(folded, glob))
        named = next(
            (role for role, form in matching if not form or (document is not None and is_form(document))), None
        )
        if named is None:
            words = _DECORATION.sub("", fold(title))
            named = next((role for word, role in self.titles if _begins(words, word)), None)
        return named or ("archive" if self._is_archived(folded) else None)

    def status_of(self, path: str, document: Document, replacing: Replacing) -> Status:
        """The status of a document: by the globs in `deprecated`, else by its header and first lines.

        If neither gives a status, it is `archived` for a path that a glob in `archived` matches, else `current`.
        `replacing` is what the document says about others.
        """
        folded = fold(path)
        if any(_matches(folded, glob) for glob in self.deprecated):
            return "deprecated"
        stated = _status(document)[0]
        if stated is None and replacing.is_superseded:
            return "superseded"
        return stated or self._stated(document) or ("archived" if self._is_archived(folded) else "current")

    def _is_archived(self, folded: str) -> bool:
        return any(_matches(folded, glob) for glob in self.archived)

    def _stated(self, document: Document) -> Status | None:
        after = document.front.lines
        code = {
            number
            for block in document.blocks
            if block.kind == "fence" and block.start_line <= after + 2 * _HEAD_LINES
            for number in range(block.start_line, min(block.end_line, after + 2 * _HEAD_LINES) + 1)
        }
        body = enumerate(document.body[after : after + 2 * _HEAD_LINES], after + 1)
        head = [line for number, line in body if line.strip() and number not in code][:_HEAD_LINES]
        for line in head:
            if line.lstrip().startswith(("|", "- ", "* ", "+ ")):
                continue
            plain = _plain(line)
            for opening, status in self.openings:
                # Things are replaced too: a line that names no document is resolved with the others of the index.
                if opening.match(plain) and (status != "superseded" or links_a_document(line)):
                    return status
            if _superseded_line().match(fold_in_place(line)):
                return "superseded"
            for capitals, status in self.capitals:
                if line.startswith("#") and capitals.search(line):
                    return status
        return None


@lru_cache(maxsize=1)
def _shipped() -> Mapping[str, Any]:
    """The table roles.toml, with the lists of every language appended to its own."""
    table = dict(read_packaged("cervella.knowledge.documents", "roles.toml"))
    lists = ("deprecated_words", "superseded_words", "draft_words", "openings")
    table |= {key: [*table.get(key, ()), *every_language(key)] for key in lists}
    table["archived"] = [*table["archived"], *every_language("archived_paths")]
    for code in known_languages():
        words = language(code).file("documents.toml")
        for key, own in (("paths", words["paths"]), ("titles", words["first_words"])):
            for role, listed in own.items():
                role_entry = table.setdefault(role, {})
                role_entry[key] = [*role_entry.get(key, ()), *listed]
    return table


def _role(own: Mapping[str, Any], shipped: Mapping[str, Any]) -> Role:
    values = {**shipped, **{key: value for key, value in own.items() if value is not None}}
    return Role(
        paths=(*own.get("paths", ()), *shipped.get("paths", ())),
        forms=(*own.get("forms", ()), *shipped.get("forms", ())),
        titles=(*own.get("titles", ()), *shipped.get("titles", ())),
        weight=values.get("weight", 1.0),
    )


def _begins(text: str, word: str) -> bool:
    """Whether a text begins with a word, and the word ends there."""
    return text.startswith(word) and re.match(rf"{re.escape(word)}\b", text) is not None


@lru_cache(maxsize=1)
def _superseded_line() -> re.Pattern[str]:
    """A folded line that says that this document is superseded, and nothing else: `Documento superato.`"""
    stems = "|".join(map(re.escape, every_language("superseded")))
    return re.compile(rf"{after_openings()}(?:{stems})\w{{0,4}}[\W_]*$")


def _either(words: Sequence[str]) -> str:
    return "|".join(re.escape(_plain(word)) for word in words)


def _capitals(words: Sequence[str]) -> re.Pattern[str]:
    """A pattern that finds, in a heading, a word in capitals that states a status: after a bracket, a dash or a colon.

    Of each entry of `words`, the pattern contains the first word, if it is long enough.
    """
    first = (word.split()[0] for word in words if word)
    capitals = (
        "|".join(dict.fromkeys(re.escape(word.upper()) for word in first if len(word) >= _SHORTEST_CAPITALS)) or "(?!)"
    )
    return re.compile(rf"(?:\(|\[|— |– |- |: )(?:{capitals})\b")


def _plain(line: str) -> str:
    """The folded words of a line with one space between them, and without apostrophes."""
    return " ".join(_NOT_A_WORD.sub(" ", fold(line).replace("'", "")).split())


def _matches(folded: str, glob: str) -> bool:
    return path_matches(folded, glob) or path_matches(folded, glob.rstrip("/") + "/**")


def facts_of(
    path: str, document: Document, language: Language, roles: Roles | None = None, reading: Reading | None = None
) -> DocumentFacts:
    """Read a document's facts from its path, its title and its first lines.

    `language` is the language of the dates. If `roles` is None, the shipped rules apply. `reading` has the tags, fields
    and links of the text; if it is None, only those of the front matter count.
    """
    roles = roles or Roles.of()
    date, dated_by = _stated_date(document, language)
    understood = (_status(document)[1], dated_by, *every_language("project_keys"))
    about = metadata_of(document.front, reading, understood)
    replacing = replacing_of(document, roles.superseded_words)
    return DocumentFacts(
        title=document.title,
        role=roles.role_of(path, document.title, document),
        project=_project(path, document),
        date=date or date_of(path, document, language),
        session=_session(path, document),
        status=roles.status_of(path, document, replacing),
        aliases=about.aliases,
        tags=about.tags,
        meta=about.meta,
        links=about.links,
        supersedes=replacing.supersedes,
        superseded_by=replacing.superseded_by,
    )


def _status(document: Document) -> tuple[Status | None, str]:
    """The status in a document's header, and the key of the field that states it.

    Besides a field for the status there may be one that is named after it, such as `draft: true`,
    `archived: 2026-01-31`, or `superseded by: other.md`.
    """
    for key in filter(document.header.__contains__, every_language("status_keys")):
        stated = _DECORATION.sub("", fold(document.header[key]))
        for status in _STATED:
            if stated.startswith(every_language(status)):
                return status, key
    texts = document.front.texts()
    if not texts:
        return None, ""
    yes, no = (*_TRUE, *every_language("yes")), every_language("no")
    replaced = tuple(map(_plain, every_language("superseded_words")))
    for key, value in texts.items():
        folded = fold(value)
        if key in replaced and folded not in no:
            return "superseded", key
        for status in _STATED:
            dated = status != "draft" and _NAME_DATE.match(value)
            if (folded in yes or dated) and key.startswith(every_language(status)):
                return status, key
    return None, ""


def _project(path: str, document: Document) -> str | None:
    """The project in the front matter as written, else that of the folder, else that in the first lines."""
    folders = fold(path).split("/")[:-1]
    fields = {key_of(key): value for key, value in document.front.fields.items()}
    projects, names = every_language("projects"), every_language("project_keys")
    values = (fields[key] for key in names if key in fields)
    own = (shown_text(value if isinstance(value, str) else value[0]) for value in values)
    by_folder = (path.split("/")[position + 1] for position, folder in enumerate(folders[:-1]) if folder in projects)
    header = (_project_name(document.header[key]) for key in names if key in document.header)
    return next(filter(None, (*own, *by_folder, *header)), None)


def _project_name(text: str) -> str:
    """A project's name in lower case with hyphens, from a text such as `Cervella Baby - study`."""
    named = re.split(r" [-–—] |[(,;|]", text)[0].strip()
    return re.sub(r"[\s_]+", "-", fold(named))


def _stated_date(document: Document, own: Language) -> tuple[str | None, str]:
    """The date in a document's header, and its key. The words of the base's language come first, then any other's."""
    languages = (own, *(language(code) for code in known_languages() if code != own.code))
    dates = every_language("date_keys")
    # In front matter, `date` is the day on which a text was written, so that a later change of it comes first.
    for fields, kinds in (
        (document.front.texts(), ("updated", "date", "created")),
        (document.header, ("date", "updated", "created")),
    ):
        if not fields:
            continue
        # The table `date: {created: …, updated: …}` holds dates by their kinds.
        named = {(last if outer in dates else key): key for key in fields for outer, _, last in (key.rpartition("."),)}
        for name in (name for kind in kinds for name in every_language(f"{kind}_keys") if name in named):
            text = fields[named[name]]
            text = _MINUTES.sub(r"\1", text) if _MINUTES.fullmatch(text) else text
            if date := next((date for one in languages if (date := one.find_date(text))), None):
                return date, named[name]
    return None, ""


def _session(path: str, document: Document) -> str | None:
    for key in filter(document.header.__contains__, every_language("session_keys")):
        if number := re.match(r"\W*(\d{1,4}[a-z]?)\b", fold(document.header[key])):
            return number[1]
    texts = (*document.header.values(), path.rsplit("/", 1)[-1], document.title)
    return next((match[1] for text in texts if (match := _numbered().search(fold(text)))), None)


@lru_cache(maxsize=1)
def _numbered() -> re.Pattern[str]:
    names = "|".join(sorted(map(re.escape, every_language("session_keys")), key=len, reverse=True))
    return re.compile(rf"(?<![a-z])(?:s|sess|{names})[ _#-]*(\d{{2,4}}[a-z]?)(?![a-z\d])")
