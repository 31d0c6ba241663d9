"""For models whose template knows no system role: the soul as the beginning of the first user turn."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from dataclasses import replace

from cervella.brains.http.refusals import Refusal
from cervella.types import Message

__all__ = ["fold_system", "merge_neighbours", "refuses_system", "system_refused"]

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
"""Statuses of a prompt that could not be laid out. 200 where the error came inside a stream."""
_READ_AT_MOST = 600
"""Characters: a longer error repeats what was sent."""


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
    return bool(_ORDER.search(said)) and not _OPTIONAL.search(said) and _alternate(sent)


def system_refused(refusal: Refusal, sent: Sequence[Message]) -> bool:
    """Whether a server said of these messages that its template takes no system role: see `refuses_system`."""
    return refuses_system(refusal.message, sent, status=refusal.status)


def _alternate(messages: Sequence[Message]) -> bool:
    turns = [message.role for message in messages if message.role != "system"]
    return all(role == ("assistant" if number % 2 else "user") for number, role in enumerate(turns))


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
