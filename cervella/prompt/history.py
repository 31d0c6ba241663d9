"""Prepares the history of a conversation: converts it to messages, groups these into turns, and builds the search query
of a follow-up question."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any

from cervella.errors import ConfigError
from cervella.privacy.stored import quoted
from cervella.text.language import Language, is_blank, says_refusal
from cervella.text.small_talk import small_talk, without_courtesies
from cervella.types import Message, Reply

_LONGEST_QUERY = 500  # characters


def history_of(turns: Sequence[Any] | None) -> tuple[Message, ...]:
    """Convert a history to messages. It may contain Messages, Replies, `(question, answer)` pairs and dicts.

    A dict has the keys `role` and `content`. Refused turns and empty turns are left out.
    """
    return sendable(tuple(_messages(turns or ())))


def _messages(turns: Iterable[Any]) -> Iterator[Message]:
    if not isinstance(turns, Iterable):
        raise ConfigError(f"history is {type(turns).__name__}, which is no list.", remedy="Give a list of turns.")
    for turn in turns:
        if isinstance(turn, Message):
            _check_role(turn.role)
            yield turn
        elif isinstance(turn, Reply):
            yield from turn.as_turn()
        elif isinstance(turn, Mapping) and set(turn) >= {"role", "content"}:
            _check_role(turn["role"])
            yield Message(role=turn["role"], content=_content(turn), tainted=bool(turn.get("tainted", False)))
        elif isinstance(turn, (tuple, list)) and len(turn) == 2 and all(isinstance(part, str) for part in turn):
            yield Message(role="user", content=turn[0])
            yield Message(role="assistant", content=turn[1])
        else:
            raise ConfigError(
                f"history holds {type(turn).__name__} {quoted(turn)}.",
                remedy='Give Messages, Replies, (question, answer) pairs or {"role": …, "content": …} dicts.',
            )


def _content(turn: Mapping[str, Any]) -> str:
    """The text of a message given as a dict. Empty for a refusal, whose turn is then left out."""
    content = turn["content"]
    if turn.get("finish_reason") == "refusal" or turn.get("refusal") or content is None:
        return ""
    if not isinstance(content, str):
        raise ConfigError(
            f"history holds a message whose content is {type(content).__name__} {quoted(content)}.",
            remedy="Give its text, as a string.",
        )
    return content


def asked_before(history: Sequence[Any]) -> list[tuple[str, str | None]]:
    """The questions of a history, oldest first, each with the query that was searched for, or None if unknown."""
    asked: list[tuple[str, str | None]] = []
    for turn in history:
        if isinstance(turn, Reply):
            asked.append((turn.question, turn.retrieval_query or None))
        else:
            asked += [(message.content, None) for message in _messages([turn]) if message.role == "user"]
    return asked


def query_after(
    question: str, before: Sequence[tuple[str, str | None]], lang: Language, persona: str | None = None
) -> str | None:
    """The search query for a follow-up question: the query of the turn before, then the question. None for small talk,
    and for any other question that is searched for as it is. A greeting or thanks beside a question is left out.

    `before` are the earlier questions, oldest first, each with its query. A query that is None is rebuilt from the
    questions before it. `persona` is the persona's name: a question about her is never a follow-up. Small talk is
    passed over: after a price, thanks and «e quanto dura?» ("and how long does it take?"), the price is followed up.
    """
    if small_talk(question, lang, persona) is not None:
        return None
    asked_now, question = question, without_courtesies(question, lang, persona)
    chain: list[str] = []
    follows = lang.follows_up(question, persona)
    for asked, query in reversed(before):
        if not follows:
            break
        if asked.strip() and small_talk(asked, lang, persona) is None:
            chain.append(query or without_courtesies(asked, lang, persona))
            follows = query is None and lang.follows_up(asked, persona)
    if not chain:
        return None if question == asked_now else question
    found = chain.pop()
    for asked in (*reversed(chain), question):
        found = _shortened(f"{found} {asked}")
    return found


def _shortened(query: str) -> str:
    """Cut the middle out of a long query. The start is kept, because it names the topic of the follow-ups."""
    if len(query) <= _LONGEST_QUERY:
        return query
    head, tail = query[: _LONGEST_QUERY // 2], query[-_LONGEST_QUERY // 2 :]
    return f"{head.rpartition(' ')[0] or head} {tail.partition(' ')[2] or tail}"


def _check_role(role: Any) -> None:
    if role not in ("user", "assistant"):
        raise ConfigError(
            f"history holds a message of role {quoted(role)}.",
            remedy="History is questions (user) and answers (assistant); the system prompt is the soul's alone.",
        )


def turns(history: Sequence[Message]) -> list[tuple[Message, ...]]:
    """Group the messages of a history into turns: a user message with the messages that follow it."""
    cut: list[list[Message]] = []
    for message in history:
        if message.role == "user" or not cut:
            cut.append([message])
        else:
            cut[-1].append(message)
    return [tuple(turn) for turn in cut]


def sendable(history: Sequence[Message]) -> tuple[Message, ...]:
    """A history without refused turns and without empty turns.

    Engines reject empty messages, and tend to refuse again after a refused turn. Question and answer are removed
    together, so that the roles still alternate.
    """
    return tuple(message for turn in turns(history) for message in _sendable(turn))


def _sendable(turn: tuple[Message, ...]) -> tuple[Message, ...]:
    kept = tuple(message for message in turn if message.images or not is_blank(message.content))
    refused = any(message.role == "assistant" and says_refusal(message.content) for message in kept)
    whole = {message.role for message in kept} == {message.role for message in turn}
    return kept if whole and not refused else ()
