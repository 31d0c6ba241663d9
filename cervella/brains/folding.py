"""For models whose template knows no system role: the soul as the beginning of the first user turn."""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import replace

from cervella.types import Message

__all__ = ["fold_system", "refuses_system"]

_REFUSAL = re.compile(
    r"system (?:role|messages?|prompts?) (?:is |are )?(?:not |un)support|(?:not|n't) support (?:the |a )?system"
    r"|roles must alternate|only user(?:, | and )(?:model|assistant)|must start with a user"
    r"|unknown role:? .{0,3}system",
    re.IGNORECASE,
)


def refuses_system(message: str) -> bool:
    """Whether a server's error says that its template takes no system role, or wants the roles to alternate.

    >>> refuses_system("System role not supported"), refuses_system("Conversation roles must alternate user/assistant/")
    (True, True)
    """
    return _REFUSAL.search(message) is not None


def fold_system(messages: Iterable[Message]) -> tuple[Message, ...]:
    """The messages without a system role: it opens the first user turn, and roles alternate, beginning with the user.

    >>> folded = fold_system([Message(role="system", content="S"), Message(role="user", content="U")])
    >>> [(message.role, message.content) for message in folded]
    [('user', 'S\\n\\nU')]
    """
    folded: list[Message] = []
    for message in messages:
        turn = replace(message, role="user") if message.role == "system" else message
        if folded and folded[-1].role == turn.role:
            last = folded[-1]
            folded[-1] = replace(last, content=f"{last.content}\n\n{turn.content}", images=(*last.images, *turn.images))
        else:
            folded.append(turn)
    return tuple(folded)
