"""Changes messages for servers that need alternating roles, support no system role, or obey control tokens."""

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
"""HTTP statuses of a server whose template can't render a prompt. 200 is that of an error inside a stream."""
_READ_AT_MOST = 600
"""Maximum characters of an error message that are searched. The rest of a longer one may repeat the prompt."""
# Control tokens of the common model families. Which of them one model obeys is only known from its vocabulary.
_CONTROL = re.compile(
    r"<\|[^|<>\s]{1,40}\|>|<｜[^｜<>\s]{1,40}｜>|</?(?:start|end)_of_turn>|\[/?(?:INST|SYSTEM_PROMPT|AVAILABLE_TOOLS)\]"
    r"|<</?SYS>>|</?s>|<(?:bos|eos|unk|pad)>"
)


def defuse_control_tokens(
    messages: Iterable[Message], control: re.Pattern[str] = _CONTROL
) -> tuple[tuple[Message, ...], int]:
    """The messages with a zero-width space inside each control token, and the number of these tokens.

    Some servers obey control tokens in any text: a document with one could act as the system message. The system
    message itself is never changed, because the soul belongs to the owner. `control` finds the tokens of one model; by
    default those of the common model families are found.
    """
    found = 0

    def broken(match: re.Match[str]) -> str:
        nonlocal found
        found += 1
        return f"{match[0][0]}\u200b{match[0][1:]}"

    changed = tuple(
        message if message.role == "system" else replace(message, content=control.sub(broken, message.content))
        for message in messages
    )
    return changed, found


def system_refused(refusal: Refusal, sent: Sequence[Message]) -> bool:
    """Whether a server refused the messages `sent` because its template does not support a system role.

    "Roles must alternate" says this only if the user and assistant turns in `sent` do alternate: then the system
    message is the cause.

    >>> system_refused(Refusal(status=400, message="System role not supported"), ())
    True
    >>> system_refused(Refusal(status=400, message="This server does not support system_fingerprint."), ())
    False
    """
    message = refusal.message
    if refusal.status not in _REFUSING:
        return False
    if "in source:" in message:  # llama.cpp quotes the template first, which may contain any words
        message = message.rpartition("Error:")[2]
    text = message[:_READ_AT_MOST]
    if _REFUSAL.search(text):
        return True
    turns = [message.role for message in sent if message.role != "system"]
    alternate = all(role == ("assistant" if number % 2 else "user") for number, role in enumerate(turns))
    return alternate and bool(_ORDER.search(text)) and not _OPTIONAL.search(text)


def merge_neighbours(messages: Iterable[Message]) -> tuple[Message, ...]:
    """The messages, with neighbours of the same role joined into one: many templates require alternating roles."""
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
    """The messages with the system message moved to the beginning of the first user turn. The roles alternate.

    >>> folded = fold_system([Message(role="system", content="S"), Message(role="user", content="U")])
    >>> [(message.role, message.content) for message in folded]
    [('user', 'S\\n\\nU')]
    """
    return merge_neighbours(replace(m, role="user") if m.role == "system" else m for m in messages)
