"""What to do about a command that was typed wrongly."""

from __future__ import annotations

import re
from typing import Any

__all__ = ["usage_help"]

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
    """One sentence that cures a usage error of typer: what was meant, where that can be told, else where to look."""
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
