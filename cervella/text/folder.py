"""Reads the folder of a language: files of data, each read on first use and checked against required.toml."""

from __future__ import annotations

import contextlib
import os
import re
import tomllib
from collections.abc import Iterable, Iterator, Mapping
from functools import lru_cache
from importlib import resources
from importlib.resources.abc import Traversable
from pathlib import Path
from types import MappingProxyType
from typing import Any

from cervella.errors import ConfigError, did_you_mean
from cervella.text.dates import Calendar
from cervella.text.folding import any_of, phrase
from cervella.text.sayings import compiled

FOLDERS = "CERVELLA_LANGUAGES"
"""The environment variable with further folders, separated as in PATH. Each has one folder for each language."""
_KINDS: Mapping[str, tuple[type[Any], type[Any] | None, str]] = {
    # The type of the value, and that of each of its parts where it has any.
    "text": (str, None, "a string"),
    "texts": (list, str, "a list of strings"),
    "words": (str, None, "a string of words"),
    "phrases": (list, str, "a list of phrases"),
    "phrases-apart": (list, str, "a list of phrases"),
    "sayings": (list, str, "a list of phrases"),
    "number": (int, None, "a whole number"),
    "numbers": (dict, int, "a table of whole numbers"),
    "pattern": (str, None, "a regular expression"),
    "patterns": (list, str, "a list of regular expressions"),
    "pattern-table": (dict, str, "a table of regular expressions"),
    "table": (dict, str, "a table of strings"),
    "lists": (dict, list, "a table of lists of strings"),
    "any": (dict, None, "a table"),
}
_WHOLE = "."
_CODE = re.compile(r"[a-z]{2,8}")
_PLACE = re.compile(r"\{(\w+)\}")


@lru_cache(maxsize=1)
def required() -> Mapping[str, Mapping[str, tuple[str, str]]]:
    """The table of required.toml: for each file of a language and each key, the kind of value and its purpose."""
    text = (_shipped() / "required.toml").read_text(encoding="utf-8")
    files: Mapping[str, Mapping[str, tuple[str, str]]] = tomllib.loads(text)
    return files


def own_folders() -> str:
    """The folders of the owner's languages, as the environment names them: the key of a cache over all languages."""
    return os.environ.get(FOLDERS, "")


def known_languages() -> list[str]:
    """The codes of the usable languages: those of the library, and an owner's own whose folders are complete."""
    return list(_folders(own_folders())[0])


def folder_of(code: str) -> LanguageFolder:
    """The folder of a language, by its code. Raises ConfigError where it is missing or incomplete."""
    folders, faults = _folders(own_folders())
    if code in faults:
        raise faults[code]
    if code not in folders:
        raise ConfigError(
            f"The language {code!r} is not known.",
            remedy=f"{did_you_mean(code.lower(), known_languages())}Known languages: {', '.join(folders)}.",
            code="unknown_language",
        )
    return folders[code]


def check_folders() -> None:
    """Raise ConfigError where a folder of an owner's own is incomplete, also one that is not in use."""
    for fault in _folders(own_folders())[1].values():
        raise fault


@lru_cache(maxsize=4)
def _folders(own: str) -> tuple[Mapping[str, LanguageFolder], Mapping[str, ConfigError]]:
    """The usable folders, by code, and the errors of the owner's folders that can't be used, by code or path.

    `own` is the value of the environment variable CERVELLA_LANGUAGES.
    """
    found = {item.name: LanguageFolder(item.name, item) for item in _shipped().iterdir() if item.is_dir()}
    found.pop("__pycache__", None)
    shipped, faults = frozenset(found), dict[str, ConfigError]()
    for parent in (Path(one).expanduser() for one in own.split(os.pathsep) if one):
        try:
            paths = [path for path in sorted(parent.iterdir()) if _is_language(path)]
        except OSError as error:
            faults[str(parent)] = ConfigError(
                f"{FOLDERS} names {str(parent)!r}, which can't be read: {error.strerror}.",
                remedy="Name a folder that holds one folder for each language.",
                code="bad_language",
            )
            continue
        for path in paths:
            folder = LanguageFolder(path.name, path)
            try:
                folder.check(taken=path.name in shipped)
                found[path.name] = folder
            except ConfigError as error:
                faults[str(path) if path.name in shipped else path.name] = error
    return MappingProxyType(dict(sorted(found.items()))), MappingProxyType(faults)


def _is_language(path: Path) -> bool:
    """Whether a path is meant as the folder of a language: its name is a code, or it contains language.toml."""
    return path.is_dir() and (_CODE.fullmatch(path.name) is not None or (path / "language.toml").is_file())


def _shipped() -> Traversable:
    return resources.files("cervella.text") / "languages"


class LanguageFolder:
    """The files of one language. Each is read once, on first use."""

    def __init__(self, code: str, folder: Traversable) -> None:
        self.code = code
        self._folder = folder
        self._read: dict[str, Any] = {}

    def check(self, *, taken: bool = False) -> None:
        """Read every file and compile every pattern. Raises ConfigError where anything is missing or wrong.

        `taken` says that a language of the library has the same code, which is an error too.
        """
        if taken:
            raise self._broken("comes with the library", "Give the folder another code.")
        if not _CODE.fullmatch(self.code):
            raise self._broken("has a name that is no code", "Name it with two to eight lower-case letters: `ptbr`.")
        for file, keys in required().items():
            values = self.file(file)
            for key, (kind, _) in keys.items():
                # Not where a file is read: most patterns are never asked for.
                for pattern in _patterns_of(
                    kind.removesuffix("?").split()[0], values if key == _WHOLE else values[key]
                ):
                    self._check_pattern(file, key, pattern)
                if kind.startswith("sayings"):
                    self._check_sayings(file, key, values[key])
        Calendar(self.file("dates.toml"))
        self._check_stemmer(self.file("language.toml")["snowball"])

    def _check_pattern(self, file: str, key: str, pattern: str) -> None:
        try:
            re.compile(pattern)
            names = re.compile(f"(?:{pattern})").groupindex  # it is joined to others
        except re.error as error:
            raise self._broken(f"has a bad pattern for {key!r} in {file}: {error}", "Correct it.") from error
        if names:
            raise self._broken(f"has a named group in a pattern for {key!r} in {file}", "Write (?:…) there.")

    def _check_sayings(self, file: str, key: str, sayings: Iterable[str]) -> None:
        for saying in sayings:
            try:
                compiled(saying)
            except ValueError as error:
                raise self._broken(f"has a bad phrase for {key!r} in {file}: {error}", "Correct it.") from error

    def _check_stemmer(self, name: str) -> None:
        if name == "none":
            return
        import Stemmer  # a C extension

        if name not in Stemmer.algorithms():
            raise self._broken(
                f"names the stemmer {name!r}, which Snowball does not have",
                f"Write `none`, or one of: {', '.join(Stemmer.algorithms())}.",
            )

    def has(self, name: str) -> bool:
        """Whether an optional file is there."""
        return (self._folder / name).is_file()

    def file(self, name: str) -> Any:
        """The values of the file `name`: a table of its keys, or one value for a file that required.toml reads whole.

        Phrases are joined to one regular expression. The words of a text file are a list, those of a key one string. A
        missing optional value is empty.
        """
        if name not in self._read:
            self._read[name] = self._values(name)
        return self._read[name]

    def _values(self, name: str) -> Any:
        keys = required()[name]
        if _WHOLE in keys:
            kind = keys[_WHOLE][0]
            text = self._text(name, optional=kind.endswith("?"))
            if text is None:
                return MappingProxyType({})
            if name.endswith(".toml"):
                return self._value(name, _WHOLE, self._table(name, text))
            if name.endswith(".md"):
                self._check_places(name, _WHOLE, text, keys[_WHOLE][1])
                return text
            return listed_words(text) if kind.startswith("words") else _lines(text)
        text = self._text(name, optional=all(kind.endswith("?") for kind, _ in keys.values()))
        table = {} if text is None else self._table(name, text)
        for key in table:
            if key not in keys:
                near = did_you_mean(key, list(keys))
                raise self._broken(f"has an unknown key {key!r} in {name}", f"{near}Take it out.")
        return MappingProxyType({key: self._value(name, key, table.get(key)) for key in keys})

    def _text(self, name: str, *, optional: bool) -> str | None:
        if not self.has(name):
            if optional:
                return None
            keys = ", ".join(key for key in required()[name] if key != _WHOLE)
            raise self._broken(f"has no file {name}", f"Write it{f' with the keys {keys}' if keys else ''}.")
        try:
            return (self._folder / name).read_text(encoding="utf-8")
        except (OSError, UnicodeDecodeError) as error:
            raise self._broken(f"has a file {name} that can't be read: {error}", "Write it as UTF-8.") from error

    def _table(self, name: str, text: str) -> dict[str, Any]:
        try:
            return tomllib.loads(text)
        except tomllib.TOMLDecodeError as error:
            raise self._broken(f"has a file {name} that is no TOML: {error}", "Correct that line.") from error

    def _value(self, name: str, key: str, value: Any) -> Any:
        kind, purpose = required()[name][key]
        optional, (kind, *parts) = kind.endswith("?"), kind.removesuffix("?").split()
        type_, _, words = _KINDS[kind]
        if value is None and optional:
            value = type_()
        if value is None:
            raise self._broken(f"lacks the key {key!r} in {name}", f"Add it, {words}: {purpose}")
        self._check_types(name, key, value)
        if kind == "texts" and parts and len(value) != int(parts[0]):
            raise self._broken(f"has {len(value)} texts for {key!r} in {name}", f"Give {parts[0]}: {purpose}")
        if type_ is dict and (missing := [part for part in parts if part not in value]):
            raise self._broken(f"lacks {', '.join(missing)} under {key!r} in {name}", f"Add it: {purpose}")
        for text in [value] if kind == "text" else value.values() if kind == "table" else ():
            self._check_places(name, key, text, purpose)
        if kind == "phrases":
            return any_of(value)
        return value.strip() if kind == "text" else tuple(value) if type_ is list else value

    def _check_types(self, name: str, key: str, value: Any) -> None:
        """Raise ConfigError where a value or a part of it has another type than its kind says, or is an empty text."""
        kind, purpose = required()[name][key]
        kind = kind.removesuffix("?").split()[0]
        type_, part_type, words = _KINDS[kind]
        wrong = key if not _is_a(value, type_) else next(_wrong_parts(key, value, part_type), None)
        if wrong is not None:
            raise self._broken(f"has another kind of value for {_place(name, wrong)}", f"Give {words}: {purpose}")
        for part, one in _parts_of(key, value) if kind not in ("table", "numbers", "any") else ():
            if not all(map(str.strip, one if isinstance(one, list) else [one])):
                raise self._broken(f"has an empty text for {_place(name, part)}", f"Take it out: {purpose}")

    def _check_places(self, name: str, key: str, text: str, purpose: str) -> None:
        """Raise ConfigError where a text has a place such as `{today}` that its purpose in required.toml lacks."""
        known = _PLACE.findall(purpose)
        with contextlib.suppress(KeyError, IndexError, ValueError, AttributeError, TypeError):
            text.format(**dict.fromkeys(known, ""))
            return
        places = " ".join(known) or "none: write { and } twice"
        raise self._broken(
            f"has a place that nothing fills, or a lone brace, in {_place(name, key)}", f"Its places: {places}."
        )

    def _broken(self, what: str, remedy: str) -> ConfigError:
        return ConfigError(
            f"The language {self.code!r} {what}.", remedy=f"{self._folder}: {remedy}", code="bad_language"
        )


def _lines(text: str) -> tuple[str, ...]:
    return tuple(line.strip() for line in text.splitlines() if line.strip() and not line.lstrip().startswith("#"))


def listed_words(text: str) -> list[str]:
    """The words of a file that is a list of words, several to a line. A line that begins with `#` is a comment."""
    return " ".join(_lines(text)).split()


def _is_a(value: Any, kind: type[Any] | None) -> bool:
    return kind is not None and isinstance(value, kind) and not isinstance(value, bool)


def _parts_of(key: str, value: Any) -> Iterable[tuple[str, Any]]:
    """Pairs of key and part: the items of a table, or each element of a list with `key`. Any other value has none."""
    if isinstance(value, dict):
        return value.items()
    return [(key, one) for one in value] if isinstance(value, list) else ()


def _wrong_parts(key: str, value: Any, kind: type[Any] | None) -> Iterator[str]:
    """The key of each part of `value` that is not of type `kind`, or is a list with items other than strings."""
    for part, one in _parts_of(key, value) if kind else ():
        if not _is_a(one, kind) or not all(isinstance(item, str) for item in (one if isinstance(one, list) else ())):
            yield part


def _place(name: str, key: str) -> str:
    return name if key == _WHOLE else f"{key!r} in {name}"


def _patterns_of(kind: str, value: Any) -> list[str]:
    """The regular expressions of a value of this kind."""
    if kind in ("phrases", "pattern"):
        return [value]
    if kind == "phrases-apart":
        return [phrase(one) for one in value]
    return [*(value.values() if isinstance(value, Mapping) else value)] if kind in ("patterns", "pattern-table") else []
