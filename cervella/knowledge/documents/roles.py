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

from cervella.knowledge.documents.front_matter import Value
from cervella.knowledge.documents.markdown import Document
from cervella.knowledge.documents.reading import Reading
from cervella.process.files import read_packaged
from cervella.text.language import Language, fold, known_languages, language
from cervella.types import Status
from cervella.types.filters import path_matches

ROLES_VERSION = "5"
"""Version of the rules. If it changes, the next update describes all documents again."""

_DATED_LINES, _DATED_CHARACTERS = 40, 700  # the first lines and characters that are searched for a date
_STATED: tuple[Status, ...] = ("superseded", "deprecated", "archived")
_SHORTEST_CAPITALS = 4  # letters of a word that states a status in capitals in a heading: `NO` is too short
_HEAD_LINES = 12  # non-blank lines that are searched for a status
_DECORATION = re.compile(r"^[\W_]+")
_NAME_DATE = re.compile(r"(?<!\d)(?:19|20)\d\d[-_]?\d\d[-_]?\d\d(?!\d)")
_NOT_A_WORD = re.compile(r"[\W_]+")


@dataclass(frozen=True, slots=True, kw_only=True)
class DocumentFacts:
    """The properties of one document that filters and the ranking use. None means unknown."""

    title: str
    role: str | None
    project: str | None
    """In lower case with hyphens: `cervella-baby`."""
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


@dataclass(frozen=True, slots=True, kw_only=True)
class Role:
    """How documents of one kind are recognised and weighted. roles.toml explains each field."""

    paths: tuple[str, ...] = ()
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
    paths: tuple[tuple[str, str], ...] = field(repr=False)
    """Pairs of glob and role. The first glob that matches a document's path decides its role."""
    titles: tuple[tuple[str, str], ...] = field(repr=False)
    """Pairs of words and role. If no path matches, the first words with which the title begins decide the role."""
    openings: tuple[tuple[re.Pattern[str], Status], ...] = field(repr=False)
    """Patterns for the start of a line near the top, with the status that it states."""
    capitals: tuple[tuple[re.Pattern[str], Status], ...] = field(repr=False)
    """Patterns for words in capitals in a heading, with the status that they state."""
    drafts: re.Pattern[str] = field(repr=False)
    """Finds the version in a folded file name: a number such as `v2`, in the group `number`, or a word for a draft."""

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
        paths = tuple((fold(glob), name) for name, entry in entries for glob in entry.get("paths", ()))
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
            drafts=re.compile(rf"(?<![^\W_])(?:v(?P<number>\d{{1,2}}(?:[._]\d{{1,2}})?)|{_either(drafts)})(?![^\W_])"),
        )

    def weight(self, role: str | None) -> float:
        """The weight of passages with this role in the ranking; 1.0 for None and unknown roles."""
        known = self.by_name.get(role or "")
        return known.weight if known else 1.0

    def version_of(self, path: str) -> tuple[str, float]:
        """The path of a document without its version, and the version as a number.

        The path is equal for all versions of one document. The number is -1.0 for a draft, 1.0 if the file name has no
        version.
        """
        folder, _, name = fold(path.removesuffix(".md")).rpartition("/")
        numbers = [one["number"] for one in self.drafts.finditer(name)]
        found = [float(number.replace("_", ".")) if number else -1.0 for number in numbers]
        bare = _NOT_A_WORD.sub(" ", _NAME_DATE.sub("", self.drafts.sub(" ", name))).strip()
        return f"{folder}/{bare}", min(found, default=1.0)

    def role_of(self, path: str, title: str) -> str | None:
        """The role of a document by its path, else by the first words of its title.

        If neither gives a role, it is `archive` for a path in an archive, else None.
        """
        folded = fold(path)
        named = next((role for glob, role in self.paths if _matches(folded, glob)), None)
        if named is None:
            words = _DECORATION.sub("", fold(title))
            named = next((role for word, role in self.titles if re.match(rf"{re.escape(word)}\b", words)), None)
        return named or ("archive" if self._is_archived(folded) else None)

    def status_of(self, path: str, document: Document) -> Status:
        """The status of a document: by the globs in `deprecated`, else by its header and first lines.

        If neither gives a status, it is `archived` for a path that a glob in `archived` matches, else `current`.
        """
        folded = fold(path)
        if any(_matches(folded, glob) for glob in self.deprecated):
            return "deprecated"
        for key in every_language("status_keys"):
            stated = _DECORATION.sub("", fold(document.header.get(key, "")))
            for status in _STATED:
                if stated.startswith(every_language(status)):
                    return status
        return self._stated(document) or ("archived" if self._is_archived(folded) else "current")

    def _is_archived(self, folded: str) -> bool:
        return any(_matches(folded, glob) for glob in self.archived)

    def _stated(self, document: Document) -> Status | None:
        head = [line for line in document.lines[: 2 * _HEAD_LINES] if line.strip()][:_HEAD_LINES]
        for line in head:
            if line.lstrip().startswith(("|", "- ", "* ", "+ ")):
                continue
            plain = _plain(line)
            for opening, status in self.openings:
                if opening.match(plain):
                    return status
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


def every_language(key: str) -> tuple[str, ...]:
    """The list under a key of `documents.toml`, joined over all languages, because notes mix them."""
    return tuple(one for code in known_languages() for one in language(code).file("documents.toml")[key])


def _role(own: Mapping[str, Any], shipped: Mapping[str, Any]) -> Role:
    values = {**shipped, **{key: value for key, value in own.items() if value is not None}}
    return Role(
        paths=(*own.get("paths", ()), *shipped.get("paths", ())),
        titles=(*own.get("titles", ()), *shipped.get("titles", ())),
        weight=values.get("weight", 1.0),
    )


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
    return DocumentFacts(
        title=document.title,
        role=roles.role_of(path, document.title),
        project=_project(path, document),
        date=_date(path, document, language),
        session=_session(path, document),
        status=roles.status_of(path, document),
        tags=() if reading is None else reading.tags,
        meta={} if reading is None else {**reading.fields},
        links=() if reading is None else reading.links,
    )


def _project(path: str, document: Document) -> str | None:
    folders = fold(path).split("/")[:-1]
    for position, folder in enumerate(folders[:-1]):
        if folder in every_language("projects"):
            return path.split("/")[position + 1]
    for key in every_language("project_keys"):
        if named := re.split(r" [-–—] |[(,;|]", document.header.get(key, ""))[0].strip():
            return re.sub(r"[\s_]+", "-", fold(named))
    return None


def _date(path: str, document: Document, language: Language) -> str | None:
    stated = (document.header.get(key, "") for key in every_language("date_keys"))
    name = path.rsplit("/", 1)[-1]
    # A date in prose is less certain than one under a key or in the name: the first lines are searched last. A key in a
    # list or table may be of something else than the document, and comes after the name.
    head = "\n".join(document.lines[:_DATED_LINES])[:_DATED_CHARACTERS]
    rows = [(bool(row["item"]), row["value"]) for row in _dated().finditer(fold(head))]
    plain, listed = ([value for item, value in rows if item is within] for within in (False, True))
    texts = (*stated, *plain, name, *listed, head)
    return next((date for text in texts if (date := language.find_date(text))), None)


@lru_cache(maxsize=1)
def _dated() -> re.Pattern[str]:
    """A line with a key of a date, in a list or table where `item` matches."""
    names = "|".join(sorted(map(re.escape, every_language("date_keys")), key=len, reverse=True))
    return re.compile(rf"(?m)^[ \t>]*+(?P<item>[-*+|] ?)?[^\w\n]*+(?:{names})[*_ \t]*[:|](?P<value>.*)")


def _session(path: str, document: Document) -> str | None:
    for key in every_language("session_keys"):
        if number := re.match(r"\W*(\d{1,4}[a-z]?)\b", fold(document.header.get(key, ""))):
            return number[1]
    texts = (*document.header.values(), path.rsplit("/", 1)[-1], document.title)
    return next((match[1] for text in texts if (match := _numbered().search(fold(text)))), None)


@lru_cache(maxsize=1)
def _numbered() -> re.Pattern[str]:
    names = "|".join(sorted(map(re.escape, every_language("session_keys")), key=len, reverse=True))
    return re.compile(rf"(?<![a-z])(?:s|sess|{names})[ _#-]*(\d{{2,4}}[a-z]?)(?![a-z\d])")
