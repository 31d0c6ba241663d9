"""What is said where a command finds nothing because no cervella.toml is here or above."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from cervella.configuration.config import CONFIG_NAME, Config, find_config
from cervella.errors import CervellaError

__all__ = ["cure_without_config", "no_config_note", "told_unconfigured"]

_MISSING = frozenset({"soul_missing", "folder_missing", "index_missing"})
"""Codes of errors about files that the configuration names."""


def told_unconfigured(error: CervellaError, arguments: Sequence[str]) -> tuple[str, str | None]:
    """The message and the remedy of an error; of one about a missing file, that there is no configuration, if so."""
    named = any(argument.partition("=")[0] == "--config" for argument in arguments)
    if error.code not in _MISSING or named or find_config() is not None:
        return error.message, error.remedy
    return f"No {CONFIG_NAME} here or above. {error.message}", cure_without_config()


def no_config_note(config: Config) -> str:
    """A sentence to add where a command finds nothing; empty where there is a configuration."""
    return f" No {CONFIG_NAME} here or above. {cure_without_config()}" if config.file is None else ""


def cure_without_config() -> str:
    """What to do where there is no configuration: a sentence, which names one that is right below."""
    below = _below(Path.cwd())
    if below is not None:
        return f"There is one in {below.parent.name!r}: go there, or name it with --config {below.as_posix()}."
    return (
        "Go to the folder that has one, name it with --config, or set this folder up: `cervella init`, then "
        "`cervella index`."
    )


def _below(folder: Path) -> Path | None:
    """The first cervella.toml in a folder right below."""
    try:
        found = sorted(folder.glob(f"*/{CONFIG_NAME}"))
    except OSError:
        return None
    return found[0].relative_to(folder) if found else None
