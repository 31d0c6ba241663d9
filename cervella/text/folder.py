"""The folder of a language: files of data that are read when somebody asks for them, and held against required.toml."""

from __future__ import annotations

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

__all__ = ["FOLDERS", "LanguageFolder", "folder_of", "known_languages", "required"]

FOLDERS = "CERVELLA_LANGUAGES"
"""The environment variable that names further folders of languages, as PATH names programs."""
_KINDS: Mapping[str, tuple[type[Any], str]] = {
    "text": (str, "a string"),
    "texts": (list, "a list of strings"),
    "words": (str, "a string of words"),
    "phrases": (list, "a list of phrases"),
    "number": (int, "a whole number"),
    "table": (dict, "a table"),
}
_WHOLE = "."
_CODE = re.compile(r"[a-z]{2,8}")


@lru_cache(maxsize=1)
def required() -> Mapping[str, Mapping[str, tuple[str, str]]]:
    """For each file of a language, for each of its keys, its kind and what it is for: required.toml."""
    text = (_shipped() / "required.toml").read_text(encoding="utf-8")
    return {
        file: {key: (kind, told) for key, (kind, told) in keys.items()} for file, keys in tomllib.loads(text).items()
    }


def known_languages() -> list[str]:
    """The codes of the languages that have a folder: those that come with the library, and an owner's own."""
    return list(_folders(os.environ.get(FOLDERS, "")))


def folder_of(code: str) -> LanguageFolder:
    """The folder of a language, by its code. Raises ConfigError: it has none, or one that lacks something."""
    folders = _folders(os.environ.get(FOLDERS, ""))
    if code not in folders:
        raise ConfigError(
            f"The language {code!r} is not known.",
            remedy=f"{did_you_mean(code, known_languages())}Known languages: {', '.join(folders)}.",
            code="unknown_language",
        )
    return folders[code]


@lru_cache(maxsize=4)
def _folders(own: str) -> Mapping[str, LanguageFolder]:
    found = {item.name: LanguageFolder(item.name, item) for item in _shipped().iterdir() if item.is_dir()}
    found.pop("__pycache__", None)
    for parent in filter(None, own.split(os.pathsep)):
        if not Path(parent).is_dir():
            raise ConfigError(
                f"{FOLDERS} names {parent!r}, which is no folder.",
                remedy="Name a folder that holds one folder for each language.",
                code="bad_language",
            )
        for path in sorted(path for path in Path(parent).iterdir() if path.is_dir() and _CODE.fullmatch(path.name)):
            if path.name in found:
                raise ConfigError(
                    f"{str(path)!r} is a second folder for the language {path.name!r}.",
                    remedy="Give it another code: what comes with the library can't be replaced.",
                    code="bad_language",
                )
            found[path.name] = LanguageFolder(path.name, path)
            found[path.name].check()
    return MappingProxyType(dict(sorted(found.items())))


def _shipped() -> Traversable:
    return resources.files("cervella.text") / "languages"


class LanguageFolder:
    """The files of one language. Each is read once, when it is asked for."""

    def __init__(self, code: str, folder: Traversable) -> None:
        self.code = code
        self._folder = folder
        self._read: dict[str, Any] = {}

    def check(self) -> None:
        """Read every file. Raises ConfigError where a required file or key is missing, or is of another kind."""
        for file in required():
            self.file(file)

    def has(self, name: str) -> bool:
        """Whether an optional file is there."""
        return (self._folder / name).is_file()

    def file(self, name: str) -> Any:
        """The values of a file: a table of its keys, or the one value of a file that is read whole.

        Phrases have become one regular expression, words a list. What is optional and missing is None or empty.
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
            value = text if name.endswith(".md") else _lines(text) if name.endswith(".txt") else self._table(name, text)
            return " ".join(value).split() if kind == "words" else value
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
            raise self._broken(f"has a file {name} that is no TOML: {error}", "Mend that line.") from error

    def _value(self, name: str, key: str, value: Any) -> Any:
        kind, told = required()[name][key]
        optional, kind = kind.endswith("?"), kind.removesuffix("?")
        type_, words = _KINDS[kind]
        if value is None and optional:
            value = type_()
        if value is None:
            raise self._broken(f"lacks the key {key!r} in {name}", f"Add it, {words}: {told}")
        texts = kind in ("texts", "phrases")
        if not isinstance(value, type_) or (texts and not all(isinstance(one, str) for one in value)):
            raise self._broken(f"has another kind of value for {key!r} in {name}", f"Give {words}: {told}")
        if kind != "phrases":
            return value.strip() if kind == "text" else tuple(value) if kind == "texts" else value
        try:
            pattern = any_of(value)
            re.compile(pattern)
        except re.error as error:
            raise self._broken(f"has a phrase that can't be read for {key!r} in {name}: {error}", told) from error
        return pattern

    def _broken(self, what: str, remedy: str) -> ConfigError:
        return ConfigError(
            f"The language {self.code!r} {what}.", remedy=f"{self._folder}: {remedy}", code="bad_language"
        )


def _lines(text: str) -> tuple[str, ...]:
    return tuple(line.strip() for line in text.splitlines() if line.strip() and not line.lstrip().startswith("#"))
