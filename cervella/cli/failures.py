"""Explains why a command failed: what went wrong, and one sentence that cures it."""

from __future__ import annotations

import re
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from cervella.configuration.config import CONFIG_NAME, Config, find_config
from cervella.errors import CervellaError

_MISSING = frozenset({"soul_missing", "folder_missing", "index_missing"})
"""Codes of errors about missing files whose paths the configuration gives."""


def message_and_remedy(error: CervellaError, arguments: Sequence[str]) -> tuple[str, str | None]:
    """The message and the remedy of an error, for a command with these arguments.

    If a file is missing because there is no cervella.toml here, they say that cervella.toml is missing.
    """
    named = any(argument.partition("=")[0] == "--config" for argument in arguments)
    if error.code not in _MISSING or named or find_config() is not None:
        return error.message, error.remedy
    return f"No {CONFIG_NAME} here or above. {error.message}", cure_without_config()


def no_config_note(config: Config) -> str:
    """A sentence for a command that finds nothing: it says that there is no cervella.toml. Empty if there is one."""
    return f" No {CONFIG_NAME} here or above. {cure_without_config()}" if config.file is None else ""


def cure_without_config() -> str:
    """The remedy for a missing cervella.toml, as a sentence.

    If a folder directly below this one has the file, it names that folder.
    """
    try:
        below = sorted(Path.cwd().glob(f"*/{CONFIG_NAME}"))
    except OSError:
        below = []
    if below:
        file = below[0].relative_to(Path.cwd())
        return f"There is one in {file.parent.name!r}: go there, or name it with --config {file.as_posix()}."
    return (
        "Go to the folder that has one, name it with --config, or set this folder up: `cervella init`, then "
        "`cervella index`."
    )


_QUOTES = 'Put a text of several words in quotes: cervella ask "Perché abbiamo rimandato il lancio?".'
_EXTRA = {
    "chat": 'A chat asks for each question by itself; `cervella ask "…"` asks one.',
    "index": "The folder to index is set in cervella.toml: [knowledge] folder.",
    "sessions": "Print a session with --export ID, delete it with --delete ID.",
    "doctor": "It takes no text: it checks everything.",
    "stats": "Give a time with --since: 24h, 7d or 2026-01-31.",
}
"""For each command: the remedy if the user gives it a word too many."""
_FOLDER = "The folder is set in cervella.toml: [knowledge] folder."
_OPTIONS = {
    "--model": "Write the model after its brain: --brain ollama:qwen3:4b.",
    "--folder": _FOLDER,
    "--knowledge": _FOLDER,
    "--filter": "Filters are --role, --project, --status, --path, --tag, --meta, --since and --until.",
    "--verbose": "--debug shows the traceback of an error.",
}
"""Remedies for options that users try although they do not exist."""
_COMMANDS = {
    "version": "Print it with `cervella --version`.",
    "help": "Print it with `cervella -h`.",
    "start": "Start a conversation with `cervella chat`; set a folder up with `cervella init`.",
    "config": "The configuration is the file cervella.toml; `cervella doctor` checks it.",
}
"""Remedies for commands that users try although they do not exist."""


def usage_help(error: Any) -> str:
    """One sentence that cures a wrong usage that typer found: the command or option that was probably meant, else the
    help to read."""
    context, names = getattr(error, "ctx", None), list[str]()
    while context is not None and context.parent is not None:
        names.insert(0, context.info_name)
        context = context.parent
    see = f"See `{' '.join(['cervella', *names])} --help`."
    message = error.format_message()
    if "unexpected extra argument" in message:
        return _EXTRA.get(" ".join(names), _QUOTES if names[:1] in (["ask"], ["search"], ["brains"]) else see)
    if option := re.match(r"No such option: (--[\w-]+)", message):
        before = "Write an option after its command: cervella ask --config FILE. " if not names else ""
        return f"{before}{_OPTIONS.get(option[1], '')}".strip() or see
    if command := re.match(r"No such command '(.*?)'", message, re.DOTALL):
        typed = command[1].strip()
        if re.search(r"\s|\?$", typed) and not names:
            return 'Ask it with `cervella ask "…"`.'
        return _COMMANDS.get(typed.lower(), see) if not names else see
    return see
