"""The folder of a language: files of data, read on first use and checked against required.toml."""

from __future__ import annotations

import contextlib
import os
import re
import tomllib
from collections.abc import Mapping
from functools import lru_cache
from importlib import resources
from importlib.resources.abc import Traversable
from pathlib import Path
from types import MappingProxyType
from typing import Any

from cervella.errors import ConfigError, did_you_mean
from cervella.text.folding import any_of

FOLDERS = "CERVELLA_LANGUAGES"
"""The environment variable that names further folders of languages, as PATH names programs."""
_KINDS: Mapping[str, tuple[type[Any], str]] = {
    "text": (str, "a string"),
    "texts": (list, "a list of strings"),
    "words": (str, "a string of words"),
    "phrases": (list, "a list of phrases"),
    "number": (int, "a whole number"),
    "pattern": (str, "a regular expression"),
    "table": (dict, "a table"),
}
_WHOLE = "."
_CODE = re.compile(r"[a-z]{2,8}")
_PLACE = re.compile(r"\{(\w+)\}")


@lru_cache(maxsize=1)
def required() -> Mapping[str, Mapping[str, tuple[str, str]]]:
    """required.toml: for each file of a language and each of its keys, the kind and the purpose."""
    text = (_shipped() / "required.toml").read_text(encoding="utf-8")
    files: Mapping[str, Mapping[str, tuple[str, str]]] = tomllib.loads(text)
    return files


def known_languages() -> list[str]:
    """The codes of the usable languages: those of the library, and an owner's own whose folders are complete."""
    return list(_folders(os.environ.get(FOLDERS, ""))[0])


def folder_of(code: str) -> LanguageFolder:
    """The folder of a language, by its code. Raises ConfigError where it is missing or incomplete."""
    folders, faults = _folders(os.environ.get(FOLDERS, ""))
    if code in faults:
        raise faults[code]
    if code not in folders:
        raise ConfigError(
            f"The language {code!r} is not known.",
            remedy=f"{did_you_mean(code, known_languages())}Known languages: {', '.join(folders)}.",
            code="unknown_language",
        )
    return folders[code]


def check_folders() -> None:
    """Raise ConfigError where a folder of an owner's own is incomplete, also one that is not in use."""
    for fault in _folders(os.environ.get(FOLDERS, ""))[1].values():
        raise fault


@lru_cache(maxsize=4)
def _folders(own: str) -> tuple[Mapping[str, LanguageFolder], Mapping[str, ConfigError]]:
    """The folders by code, and the errors of the owner's folders that can't be used."""
    found = {item.name: LanguageFolder(item.name, item) for item in _shipped().iterdir() if item.is_dir()}
    found.pop("__pycache__", None)
    shipped, faults = frozenset(found), dict[str, ConfigError]()
    for parent in map(Path, filter(None, own.split(os.pathsep))):
        try:
            paths = [path for path in sorted(parent.iterdir()) if path.is_dir() and _CODE.fullmatch(path.name)]
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


def _shipped() -> Traversable:
    return resources.files("cervella.text") / "languages"


class LanguageFolder:
    """The files of one language. Each is read once, on first use."""

    def __init__(self, code: str, folder: Traversable) -> None:
        self.code = code
        self._folder = folder
        self._read: dict[str, Any] = {}

    def check(self, *, taken: bool = False) -> None:
        """Read every file. Raises ConfigError where a required file or key is missing, or where a kind is wrong.

        `taken` says that a language of the library has the same code.
        """
        if taken:
            raise self._broken("comes with the library", "Give the folder another code.")
        for file, keys in required().items():
            values = self.file(file)
            for key in (key for key, (kind, _) in keys.items() if kind.startswith(("phrases", "pattern"))):
                try:
                    re.compile(values[key])  # not where a file is read: most patterns are never asked for
                except re.error as error:
                    raise self._broken(f"has a bad pattern for {key!r} in {file}: {error}", "Correct it.") from error

    def has(self, name: str) -> bool:
        """Whether an optional file is there."""
        return (self._folder / name).is_file()

    def file(self, name: str) -> Any:
        """The values of a file: a table of its keys, or the one value of a file that is read whole.

        Phrases come as one regular expression, words as a list. A missing optional value is empty.
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
                return self._table(name, text)
            if name.endswith(".md"):
                self._check_places(name, _WHOLE, text, keys[_WHOLE][1])
                return text
            return " ".join(_lines(text)).split() if kind.startswith("words") else _lines(text)
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
        type_, words = _KINDS[kind]
        if value is None and optional:
            value = type_()
        if value is None:
            raise self._broken(f"lacks the key {key!r} in {name}", f"Add it, {words}: {purpose}")
        lists = kind in ("texts", "phrases")
        if not isinstance(value, type_) or (lists and not all(isinstance(one, str) for one in value)):
            raise self._broken(f"has another kind of value for {key!r} in {name}", f"Give {words}: {purpose}")
        if kind == "texts" and parts and len(value) != int(parts[0]):
            raise self._broken(f"has {len(value)} texts for {key!r} in {name}", f"Give {parts[0]}: {purpose}")
        if kind == "table" and (missing := [part for part in parts if part not in value]):
            raise self._broken(f"lacks {', '.join(missing)} under {key!r} in {name}", f"Add it: {purpose}")
        for text in [value] if kind == "text" else value.values() if kind == "table" else ():
            self._check_places(name, key, str(text), purpose)
        if kind == "phrases":
            return any_of(value)
        return value.strip() if kind == "text" else tuple(value) if kind == "texts" else value

    def _check_places(self, name: str, key: str, text: str, purpose: str) -> None:
        known = _PLACE.findall(purpose)
        with contextlib.suppress(KeyError, IndexError, ValueError):
            text.format(**dict.fromkeys(known, ""))
            return
        where = name if key == _WHOLE else f"{key!r} in {name}"
        places = " ".join(known) or "none: write { and } twice"
        raise self._broken(f"has a place that nothing fills, or a lone brace, in {where}", f"Its places: {places}.")

    def _broken(self, what: str, remedy: str) -> ConfigError:
        return ConfigError(
            f"The language {self.code!r} {what}.", remedy=f"{self._folder}: {remedy}", code="bad_language"
        )


def _lines(text: str) -> tuple[str, ...]:
    return tuple(line.strip() for line in text.splitlines() if line.strip() and not line.lstrip().startswith("#"))
