"""Reads cervella.toml, and explains its mistakes with their place in the file."""

from __future__ import annotations

import re
import tomllib
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from pydantic import BaseModel, ValidationError

from cervella.configuration.settings import PATHS, SECTIONS, Config, RoleConfig, RolesConfig, TraitsConfig
from cervella.errors import ConfigError, did_you_mean, refused
from cervella.privacy.redaction import find_secrets, mask_secrets

_WINDOWS_PATH = re.compile(r'"(?P<path>(?:[A-Za-z]:|\\|\.{1,2}\\|[\w.-]+\\)[^"\n]*)"')
"""Text in double quotes that begins like a Windows path: `C:\\…`, `\\\\server\\…`, `.\\…`, `folder\\…`."""
_CONTROL = re.compile(r"[\x00-\x1f\x7f]")
_MOST_BYTES, _MOST_DOTS = 1_000_000, 1_000
"""Maximum bytes of a configuration, and full stops of one of its lines: for a key of many parts tomllib takes quadratic
time."""
_SECRET_KEY = re.compile(r"(?i)(?:^|_)(?:api_?key|key|token|secret|password|passwd|auth_token)$")


def read_config(file: Path) -> dict[str, Any]:
    with refused(
        ConfigError,
        f"The configuration {str(file)!r} can't be read",
        remedy="Correct the path given with --config, or create the file with `cervella init`.",
    ):
        with file.open("rb") as opened:
            data_bytes = opened.read(_MOST_BYTES + 1)
        text = data_bytes[:_MOST_BYTES].decode("utf-8-sig", "strict" if len(data_bytes) <= _MOST_BYTES else "replace")
    if len(data_bytes) > _MOST_BYTES or any(line.count(".") > _MOST_DOTS for line in text.split("\n")):
        raise ConfigError(
            f"The file {str(file)!r} is too large to be a configuration.",
            remedy=f"Give one of at most {_MOST_BYTES:,} bytes, with at most {_MOST_DOTS:,} full stops in a line.",
        )
    try:
        data = tomllib.loads(text)
    except RecursionError as error:
        raise ConfigError(
            f"The configuration {str(file)!r} has too many brackets inside brackets.",
            remedy="Write each list on one level.",
        ) from error
    except tomllib.TOMLDecodeError as error:
        raise ConfigError(
            f"The configuration {str(file)!r} is not valid TOML: {error}.", remedy=_cure_of(error, text)
        ) from error
    for keys, value in _leaves(data):
        if (_SECRET_KEY.search(keys[-1]) and isinstance(value, str) and value) or (
            isinstance(value, str) and find_secrets(value)
        ):
            raise ConfigError(
                f"The configuration {str(file)!r} contains a secret at {'.'.join(keys)!r}{_at_line(text, keys[-1])}.",
                remedy="Remove it from the file (and from its history): keys are read from the environment only, "
                "such as ANTHROPIC_API_KEY.",
                code="secret_in_config",
            )
        if isinstance(value, str) and _CONTROL.search(value) and _is_path(keys, value):
            raise ConfigError(
                f"The path at {'.'.join(keys)!r} in {str(file)!r}{_at_line(text, keys[-1])} has a control character: "
                r"in double quotes, \n and \t are escapes.",
                remedy="Put a Windows path in single quotes, or write it with slashes.",
                code="bad_value",
            )
    if "file" in data:
        raise unknown_key(("file",), file, text)
    return data


def _cure_of(error: tomllib.TOMLDecodeError, text: str) -> str:
    """The remedy for a line that is not valid TOML. The usual reason is a Windows path in double quotes."""
    at = re.search(r"line (\d+)", str(error))
    lines = text.split("\n")
    line = lines[int(at[1]) - 1] if at and int(at[1]) <= len(lines) else lines[-1]
    if path := _WINDOWS_PATH.search(line):
        start, end = path.span("path")
        plain = line[start:end]
        return (
            "In double quotes a backslash begins an escape. Put a Windows path in single quotes, as "
            f"'{mask_secrets(plain)[0]}', or write it with slashes: \"{mask_secrets(plain.replace(chr(92), '/'))[0]}\"."
        )
    return 'Correct that line: text goes in quotes (brain = "claude"), a section is [knowledge].'


def _is_path(keys: tuple[str, ...], value: str) -> bool:
    return keys[:2] in PATHS or keys[0] == "brains" or re.match(r"[A-Za-z]:", value) is not None


def _leaves(data: Any, keys: tuple[str, ...] = ()) -> Iterator[tuple[tuple[str, ...], Any]]:
    if isinstance(data, dict):
        for key, value in data.items():
            yield from _leaves(value, (*keys, str(key)))
    elif isinstance(data, list):
        for value in data:
            yield from _leaves(value, keys)
    elif keys:
        yield keys, data


def explained(error: ValidationError, file: Path | None, from_file: Mapping[str, Any]) -> ConfigError:
    """The error for the first wrong value that pydantic found, with its key, its place and a remedy.

    The place is named only if the value comes from the file, whose data are `from_file`.
    """
    first = error.errors(include_url=False, include_context=False)[0]
    keys = tuple(str(part) for part in first["loc"])
    text = file.read_text(encoding="utf-8-sig") if file is not None else ""
    no_role = first["type"] == "model_type" and keys[:2] == ("knowledge", "roles")  # another value in place of a table
    if first["type"] == "extra_forbidden" or no_role:
        return unknown_key(keys, file, text)
    named = keys[:2] if keys[0] == "brains" else keys[: _model_of(keys)[1] + 1]
    written: Any = from_file
    for key in named:
        written = written.get(key) if isinstance(written, Mapping) else None
    own = written is not None and written == first["input"]  # else it comes from the environment or an argument
    where = _where(file, text, next((key for key in reversed(named) if _at_line(text, key)), "")) if own else ""
    what, given = first["msg"].removeprefix("Value error, "), mask_secrets(repr(first["input"]))[0]
    listed = ""
    if first["type"] == "tuple_type":
        what = "it is no list"
        if isinstance(first["input"], str):
            listed = f" Write [{given.replace(chr(39), chr(34)):.80}]."
    return ConfigError(
        f"The value of {'.'.join(named)!r}{where} can't be used: {what}.",
        remedy=f"{_description(keys)} Given: {given:.80}.{listed}".strip(),
        code="bad_value",
    )


def _description(keys: tuple[str, ...]) -> str:
    model, depth = _model_of(keys)
    field = model.model_fields.get(keys[depth])
    return (field.description or "") if field else ""


def unknown_key(keys: tuple[str, ...], file: Path | None, text: str) -> ConfigError:
    model, depth = _model_of(keys)
    key, section = keys[depth], ".".join(keys[:depth])
    known = [name for name in model.model_fields if name != "file"]
    place = mask_secrets(f"[{section}] {key}" if section else key)[0]
    where = _where(file, text, key)
    near = _elsewhere(key, section) or did_you_mean(key, known)
    return ConfigError(
        f"There is no configuration key {place!r}{where}.",
        remedy=f"{near}Known keys{f' of [{section}]' if section else ''}: {', '.join(known)}.",
        code="unknown_key",
    )


def _elsewhere(key: str, section: str) -> str:
    """A sentence that names the section to which a misplaced key belongs; empty if no section has such a key."""
    if key in ("model", "url", "kind") and not section:
        return f"It belongs in the table of a brain, as [brains.ollama] {key}. "
    if section and key == "brain":
        return "It belongs at the top of the file, before the first section. "
    places = [f"[{name}]" for name, model in SECTIONS.items() if key in model.model_fields and name != section]
    return f"It belongs in {' or '.join(places)}. " if places else ""


def _model_of(keys: tuple[str, ...]) -> tuple[type[BaseModel], int]:
    """The model that should have the last of these keys as a field, and the position of that key in `keys`."""
    if keys[:2] == ("knowledge", "roles") and len(keys) > 2:
        return (RolesConfig, 2) if len(keys) == 3 else (RoleConfig, 3)
    if keys[:2] == ("soul", "traits") and len(keys) > 2:
        return TraitsConfig, 2
    return (SECTIONS[keys[0]], 1) if len(keys) > 1 and keys[0] in SECTIONS else (Config, 0)


def _where(file: Path | None, text: str, key: str) -> str:
    """The name of the file and the line of a key, for an error message; empty if the key is not in the file."""
    line = _at_line(text, key) if key else ""
    return f" in {str(file)!r}{line}" if file is not None and line else ""


def _at_line(text: str, key: str) -> str:
    match = re.search(rf"(?m)^[ \t]*(?:\[+[^\]\n]*\b)?[\"']?{re.escape(key)}[\"']?(?=[ \t]*=|[^\]\n]*\])", text)
    return f", line {text.count(chr(10), 0, match.start()) + 1}" if match else ""
