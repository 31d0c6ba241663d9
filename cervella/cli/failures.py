"""How a failed command is explained: what went wrong, and one sentence that cures it."""

from __future__ import annotations

import re
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from cervella.configuration.config import CONFIG_NAME, Config, find_config
from cervella.errors import CervellaError

__all__ = ["cure_without_config", "no_config_note", "told_unconfigured", "usage_help"]

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


# A command that was typed wrongly

_QUOTES = 'Put a text of several words in quotes: cervella ask "Perché abbiamo rimandato il lancio?".'
_EXTRA = {
    "chat": 'A chat asks for each question by itself; `cervella ask "…"` asks one.',
    "index": "The folder to index stands in cervella.toml: [knowledge] folder.",
    "sessions": "Print a session with --export ID, delete it with --delete ID.",
    "doctor": "It takes no text: it looks at everything.",
    "stats": "Name a time with --since, as 24h, 7d or 2026-01-31.",
}
"""By command: what to do about a word that it does not take."""
_OPTIONS = {
    "--model": "A model is named after its brain: --brain ollama:qwen3:4b.",
    "--folder": "The folder stands in cervella.toml: [knowledge] folder.",
    "--knowledge": "The folder stands in cervella.toml: [knowledge] folder.",
    "--filter": "Filters are --role, --project, --status, --path, --since and --until.",
    "--verbose": "--debug shows the traceback of an error.",
}
_COMMANDS = {
    "version": "Print it with `cervella --version`.",
    "help": "Print it with `cervella -h`.",
    "start": "Talk with `cervella chat`; set a folder up with `cervella init`.",
    "config": "Everything that is configured stands in cervella.toml; `cervella doctor` looks at it.",
}


def usage_help(error: Any) -> str:
    """One sentence that cures a usage error of typer: what was meant, if that can be recognised, else where to look."""
    context, names = getattr(error, "ctx", None), list[str]()
    while context is not None and context.parent is not None:
        names.insert(0, context.info_name)
        context = context.parent
    see = f"See `{' '.join(['cervella', *names])} --help`."
    message = error.format_message()
    if "unexpected extra argument" in message:
        return _EXTRA.get(" ".join(names), _QUOTES if names[:1] in (["ask"], ["search"], ["brains"]) else see)
    if option := re.match(r"No such option: (--[\w-]+)", message):
        before = "An option stands after its command: cervella ask --config FILE. " if not names else ""
        return f"{before}{_OPTIONS.get(option[1], '')}".strip() or see
    if command := re.match(r"No such command '(.*?)'", message, re.DOTALL):
        typed = command[1].strip()
        if re.search(r"\s|\?$", typed) and not names:
            return 'Ask it with `cervella ask "…"`.'
        return _COMMANDS.get(typed.lower(), see) if not names else see
    return see
