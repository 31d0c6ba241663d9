"""Standard input in place of a text on the command line: `cervella ask -`."""

from __future__ import annotations

import sys

from cervella.cli.output import note
from cervella.cli.terminal import is_terminal
from cervella.errors import ConfigError

__all__ = ["given_or_stdin", "read_stdin"]


def given_or_stdin(text: str, what: str) -> str:
    """The text, or what standard input holds where the text is `-`. `what` names it in messages: "question"."""
    return read_stdin(what) if text.strip() == "-" else text


def read_stdin(what: str) -> str:
    """All of standard input, without white space at its ends.

    Raises ConfigError where it holds nothing, or is not UTF-8.
    """
    if sys.stdin is not None and is_terminal(sys.stdin):
        end = "Ctrl-Z and Enter" if sys.platform == "win32" else "Ctrl-D"
        note(f"note: Type the {what}, then end it with {end} on a line of its own.")
    try:
        text = _all_of_it().strip()
    except UnicodeDecodeError as error:
        raise ConfigError(
            f"The {what} on standard input is not UTF-8: byte {error.start} can't be read.",
            remedy="Convert it to UTF-8 first, for example with `iconv -t UTF-8`.",
            code="not_utf8",
        ) from error
    if not text:
        raise ConfigError(
            f"Standard input holds no {what}.",
            remedy=f"Pipe the {what} in (`cat FILE | cervella … -`), or write it on the command line in place of `-`.",
            code="empty_stdin",
        )
    return text


def _all_of_it() -> str:
    if sys.stdin is None:  # a process without standard streams
        return ""
    buffer = getattr(sys.stdin, "buffer", None)  # the text layer may decode with another encoding than UTF-8
    return sys.stdin.read() if buffer is None else buffer.read().decode("utf-8-sig")
