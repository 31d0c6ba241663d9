"""Reads standard input where a command is given `-` in place of a text, as in `cervella ask -`."""

from __future__ import annotations

import sys

from cervella.cli.output import note
from cervella.cli.terminal import is_terminal
from cervella.errors import ConfigError


def given_or_stdin(text: str, name: str) -> str:
    """The given text; if it is `-`, the content of standard input instead.

    `name` says in error messages what the text is, for example "question".
    """
    return read_stdin(name) if text.strip() == "-" else text


def read_stdin(name: str) -> str:
    """All of standard input, without white space at both ends. Raises ConfigError if it is empty or not UTF-8.

    `name` says in error messages what the text is, for example "question".
    """
    if sys.stdin is not None and is_terminal(sys.stdin):
        end = "Ctrl-Z and Enter" if sys.platform == "win32" else "Ctrl-D"
        note(f"note: Type the {name}, then end it with {end} on a line of its own.")
    try:
        # Not through the text layer, which may decode with another encoding; None: a process without standard streams.
        buffer = getattr(sys.stdin, "buffer", None)
        text = buffer.read().decode("utf-8-sig") if buffer is not None else sys.stdin.read() if sys.stdin else ""
    except UnicodeDecodeError as error:
        raise ConfigError(
            f"The {name} on standard input is not UTF-8: byte {error.start} can't be read.",
            remedy="Convert it to UTF-8 first, for example with `iconv -t UTF-8`.",
            code="not_utf8",
        ) from error
    if text := text.strip():
        return text
    raise ConfigError(
        f"Standard input holds no {name}.",
        remedy=f"Pipe the {name} in (`cat FILE | cervella … -`), or write it on the command line in place of `-`.",
        code="empty_stdin",
    )
