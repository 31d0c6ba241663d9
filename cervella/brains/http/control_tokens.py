"""Control tokens of chat templates: a server that obeys them wherever they stand must not find them in a document."""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import replace

from cervella.types import Message

__all__ = ["defuse_control_tokens"]

# The spellings of the common families; which of them this model knows, only its vocabulary tells.
_CONTROL = re.compile(
    r"<\|[^|<>\s]{1,40}\|>|<｜[^｜<>\s]{1,40}｜>|</?(?:start|end)_of_turn>|\[/?(?:INST|SYSTEM_PROMPT|AVAILABLE_TOOLS)\]"
    r"|<</?SYS>>|</?s>|<(?:bos|eos|unk|pad)>"
)


def defuse_control_tokens(messages: Iterable[Message]) -> tuple[tuple[Message, ...], int]:
    """The messages with a zero-width space in whatever looks like a control token, and how many there were.

    The system message stays as it is: the soul is the owner's, and nobody changes it.
    """
    found = 0

    def broken(match: re.Match[str]) -> str:
        nonlocal found
        found += 1
        return f"{match[0][0]}\u200b{match[0][1:]}"

    changed = tuple(
        message if message.role == "system" else replace(message, content=_CONTROL.sub(broken, message.content))
        for message in messages
    )
    return changed, found
