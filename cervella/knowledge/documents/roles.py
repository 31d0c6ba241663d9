"""What a document is (role), whose (project), of when (date, session) and whether it still holds (status).

How people name things is data: `documents.toml` of every language, weights in `roles.toml` beside this file, and
`[knowledge.roles]` before both.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import lru_cache
from types import MappingProxyType
from typing import Any

from cervella.knowledge.documents.markdown import Document
from cervella.process.files import read_packaged
from cervella.text.language import Language, fold, known_languages, language
from cervella.types import Status
from cervella.types.filters import path_matches

ROLES_VERSION = "4"
"""Changes when documents are described by other rules: the next run of the indexer reads all of them anew."""

_DATED_LINES, _DATED_CHARACTERS = 40, 700
_STATED: tuple[Status, ...] = ("superseded", "deprecated", "archived")
_SHORTEST_MARK = 4
"""Letters of a word that in capitals marks a heading: `NO` does not."""
_HEAD_LINES = 12
_DECORATION = re.compile(r"^[\W_]+")
_NAME_DATE = re.compile(r"(?<!\d)(?:19|20)\d\d[-_]?\d\d[-_]?\d\d(?!\d)")
_NOT_A_WORD = re.compile(r"[\W_]+")


@dataclass(frozen=True, slots=True, kw_only=True)
class DocumentFacts:
    """What is known of a document as a whole."""

    title: str
    role: str | None
    project: str | None
    """As a folder would be named: `cervella-baby`."""
    date: str | None
    """ISO 8601."""
    session: str | None
    """The number of the working session that wrote it, as written: `159e`. Not an order: sessions run side by side."""
    status: Status


@dataclass(frozen=True, slots=True, kw_only=True)
class Role:
    """What is said of the documents of one kind; each field is told in roles.toml."""

    paths: tuple[str, ...] = ()
    titles: tuple[str, ...] = ()
    weight: float = 1.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Roles:
    """How documents are told apart."""

    own: Mapping[str, Any] = field(repr=False)
    """The owner's table, from which the same can be made elsewhere."""
    by_name: Mapping[str, Role]
    archived: tuple[str, ...]
    """Folded globs, as all of them here."""
    deprecated: tuple[str, ...]
    fingerprint: str
    """Another table, another fingerprint."""
    paths: tuple[tuple[str, str], ...] = field(repr=False)
    """Glob and role; the first that fits decides."""
    titles: tuple[tuple[str, str], ...] = field(repr=False)
    signs: tuple[tuple[re.Pattern[str], Status], ...] = field(repr=False)
    """What a plain line near the head begins with."""
    marks: tuple[tuple[re.Pattern[str], Status], ...] = field(repr=False)
    """What stands in capitals in a heading."""
    drafts: re.Pattern[str] = field(repr=False)
    """What in a folded name tells a version: the group `number`, or a word for a draft."""

    @classmethod
    def of(cls, own: Mapping[str, Any] | None = None) -> Roles:
        """The shipped table, and an owner's `[knowledge.roles]` on top: lists before its lists, values instead."""
        tables = (own or {}, _shipped())
        names = dict.fromkeys(name for table in tables for name, entry in table.items() if isinstance(entry, Mapping))
        roles = {name: _role(*(table.get(name, {}) for table in tables)) for name in names}
        # Owner's first whatever the role, then the shipped ones in their order.
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
            signs=tuple((re.compile(rf"{begun}(?:{_either(told)})\b"), status) for told, status in words),
            marks=tuple((_mark(told), status) for told, status in words),
            drafts=re.compile(rf"(?<![^\W_])(?:v(?P<number>\d{{1,2}}(?:[._]\d{{1,2}})?)|{_either(drafts)})(?![^\W_])"),
        )

    def weight(self, role: str | None) -> float:
        """What passages of this role are worth beside others; 1.0 for none."""
        known = self.by_name.get(role or "")
        return known.weight if known else 1.0

    def version_of(self, path: str) -> tuple[str, float]:
        """What a path says of a document in whatever version, and which version it is: a draft comes before all."""
        folder, _, name = fold(path.removesuffix(".md")).rpartition("/")
        numbers = [one["number"] for one in self.drafts.finditer(name)]
        found = [float(number.replace("_", ".")) if number else -1.0 for number in numbers]
        bare = _NOT_A_WORD.sub(" ", _NAME_DATE.sub("", self.drafts.sub(" ", name))).strip()
        return f"{folder}/{bare}", min(found, default=1.0)

    def role_of(self, path: str, title: str) -> str | None:
        """What the path tells, else the title's first word, else whether it lies in the archive."""
        folded = fold(path)
        named = next((role for glob, role in self.paths if _matches(folded, glob)), None)
        if named is None:
            words = _DECORATION.sub("", fold(title))
            named = next((role for word, role in self.titles if re.match(rf"{re.escape(word)}\b", words)), None)
        return named or ("archive" if self._is_archived(folded) else None)

    def status_of(self, path: str, document: Document) -> Status:
        """What the owner says of the path, else what the document says of itself near its head, else its folder."""
        folded = fold(path)
        if any(_matches(folded, glob) for glob in self.deprecated):
            return "deprecated"
        for key in said("status_keys"):
            stated = _DECORATION.sub("", fold(document.header.get(key, "")))
            for status in _STATED:
                if stated.startswith(said(status)):
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
            for begins, status in self.signs:
                if begins.match(plain):
                    return status
            for mark, status in self.marks:
                if line.startswith("#") and mark.search(line):
                    return status
        return None


@lru_cache(maxsize=1)
def _shipped() -> Mapping[str, Any]:
    """roles.toml, and after its lists those of every language."""
    table = dict(read_packaged("cervella.knowledge.documents", "roles.toml"))
    lists = ("deprecated_words", "superseded_words", "draft_words", "openings")
    table |= {key: [*table.get(key, ()), *said(key)] for key in lists}
    table["archived"] = [*table["archived"], *said("archived_paths")]
    for code in known_languages():
        words = language(code).file("documents.toml")
        for key, own in (("paths", words["paths"]), ("titles", words["first_words"])):
            for role, listed in own.items():
                role_entry = table.setdefault(role, {})
                role_entry[key] = [*role_entry.get(key, ()), *listed]
    return table


def said(key: str) -> tuple[str, ...]:
    """What `documents.toml` says under a key, in every language: notes mix them."""
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


def _mark(words: Sequence[str]) -> re.Pattern[str]:
    """A heading's mark: the word, without what it is followed by, in capitals."""
    first = (word.split()[0] for word in words if word)
    capitals = (
        "|".join(dict.fromkeys(re.escape(word.upper()) for word in first if len(word) >= _SHORTEST_MARK)) or "(?!)"
    )
    return re.compile(rf"(?:\(|\[|— |– |- |: )(?:{capitals})\b")


def _plain(line: str) -> str:
    """The folded words of a line with one space between them; an apostrophe that stands for an accent is gone."""
    return " ".join(_NOT_A_WORD.sub(" ", fold(line).replace("'", "")).split())


def _matches(folded: str, glob: str) -> bool:
    return path_matches(folded, glob) or path_matches(folded, glob.rstrip("/") + "/**")


def facts_of(path: str, document: Document, language: Language, roles: Roles | None = None) -> DocumentFacts:
    """Read a document's facts off its path, its title and its head."""
    roles = roles or Roles.of()
    return DocumentFacts(
        title=document.title,
        role=roles.role_of(path, document.title),
        project=_project(path, document),
        date=_date(path, document, language),
        session=_session(path, document),
        status=roles.status_of(path, document),
    )


def _project(path: str, document: Document) -> str | None:
    folders = fold(path).split("/")[:-1]
    for position, folder in enumerate(folders[:-1]):
        if folder in said("projects"):
            return path.split("/")[position + 1]
    for key in said("project_keys"):
        if named := re.split(r" [-–—] |[(,;|]", document.header.get(key, ""))[0].strip():
            return re.sub(r"[\s_]+", "-", fold(named))
    return None


def _date(path: str, document: Document, language: Language) -> str | None:
    stated = (document.header.get(key, "") for key in said("date_keys"))
    name = path.rsplit("/", 1)[-1]
    # Last of all the first date near the top: a title or a line of prose that says of when it is.
    head = "\n".join(document.lines[:_DATED_LINES])[:_DATED_CHARACTERS]
    return next((date for text in (*stated, name, head) if (date := language.find_date(text))), None)


def _session(path: str, document: Document) -> str | None:
    for key in said("session_keys"):
        if number := re.match(r"\W*(\d{1,4}[a-z]?)\b", fold(document.header.get(key, ""))):
            return number[1]
    texts = (*document.header.values(), path.rsplit("/", 1)[-1], document.title)
    return next((match[1] for text in texts if (match := _numbered().search(fold(text)))), None)


@lru_cache(maxsize=1)
def _numbered() -> re.Pattern[str]:
    names = "|".join(sorted(map(re.escape, said("session_keys")), key=len, reverse=True))
    return re.compile(rf"(?<![a-z])(?:s|sess|{names})[ _#-]*(\d{{2,4}}[a-z]?)(?![a-z\d])")
