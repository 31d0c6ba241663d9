"""Messages as servers take them: roles alternate, the soul has a place, and no document holds a control token."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from dataclasses import replace

from cervella.brains.http.refusals import Refusal
from cervella.types import Message

_NO = r"(?:not|un|n't) ?(?:be )?(?:support|allow|permit|accept|enabl|implement)"
_REFUSAL = re.compile(
    rf"(?:system|developer) (?:roles?|messages?|prompts?|instructions?) (?:is |are |can)?{_NO}"
    r"|(?:not|n't) (?:support|allow|accept|take|permit|have) (?:an? |the |any )?"
    r"system (?:role|message|prompt|instruction)"
    r"|(?:unknown|unsupported|invalid|unexpected) (?:message )?role:? ?['\"`]?system\b"
    rf"|role:? ['\"`]?system['\"`]? (?:is )?{_NO}"
    r"|only (?:the )?user(?:, | and | or )(?:model|assistant)\b(?!.{0,60}\boptional system)",
    re.IGNORECASE,
)
_ORDER = re.compile(r"roles must alternate|must start with (?:a |the )?user", re.IGNORECASE)
_OPTIONAL = re.compile(r"\boptional system\b", re.IGNORECASE)
_REFUSING = (200, 400, 422, 500, 501)
"""Statuses of a prompt that the template could not lay out. 200 where the error came inside a stream."""
_READ_AT_MOST = 600
"""Characters: a longer error repeats what was sent."""
# The spellings of the common families of models; only its vocabulary says which of them a model knows.
_CONTROL = re.compile(
    r"<\|[^|<>\s]{1,40}\|>|<｜[^｜<>\s]{1,40}｜>|</?(?:start|end)_of_turn>|\[/?(?:INST|SYSTEM_PROMPT|AVAILABLE_TOOLS)\]"
    r"|<</?SYS>>|</?s>|<(?:bos|eos|unk|pad)>"
)


def defuse_control_tokens(messages: Iterable[Message]) -> tuple[tuple[Message, ...], int]:
    """The messages with a zero-width space in whatever looks like a control token, and how many there were.

    Some servers obey control tokens wherever they stand: a document that holds one could speak as the system. The
    system message is never changed: the soul is the owner's.
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


def refuses_system(message: str, sent: Sequence[Message] = (), *, status: int = 400) -> bool:
    """Whether a server's error says that its template takes no system role.

    "Roles must alternate" says so only where the turns in `sent` do alternate: then the system message is the one that
    is too many.

    >>> refuses_system("System role not supported"), refuses_system("Conversation roles must alternate user/assistant/")
    (True, True)
    >>> refuses_system("This server does not support system_fingerprint.")
    False
    """
    if status not in _REFUSING:
        return False
    if "in source:" in message:  # llama.cpp quotes the template first, which may hold any words
        message = message.rpartition("Error:")[2]
    said = message[:_READ_AT_MOST]
    if _REFUSAL.search(said):
        return True
    turns = [message.role for message in sent if message.role != "system"]
    alternate = all(role == ("assistant" if number % 2 else "user") for number, role in enumerate(turns))
    return alternate and bool(_ORDER.search(said)) and not _OPTIONAL.search(said)


def system_refused(refusal: Refusal, sent: Sequence[Message]) -> bool:
    """Whether a server said of these messages that its template takes no system role: see `refuses_system`."""
    return refuses_system(refusal.message, sent, status=refusal.status)


def merge_neighbours(messages: Iterable[Message]) -> tuple[Message, ...]:
    """The messages, neighbours of one role as one: many templates want the roles to alternate."""
    merged: list[Message] = []
    for message in messages:
        if merged and merged[-1].role == message.role:
            last = merged[-1]
            content = f"{last.content}\n\n{message.content}"
            merged[-1] = replace(last, content=content, images=(*last.images, *message.images))
        else:
            merged.append(message)
    return tuple(merged)


def fold_system(messages: Iterable[Message]) -> tuple[Message, ...]:
    """The messages without a system role: it opens the first user turn, and roles alternate, beginning with the user.

    >>> folded = fold_system([Message(role="system", content="S"), Message(role="user", content="U")])
    >>> [(message.role, message.content) for message in folded]
    [('user', 'S\\n\\nU')]
    """
    return merge_neighbours(replace(m, role="user") if m.role == "system" else m for m in messages)
