"""Defines `Session`, a conversation with one person that is stored across restarts."""

from __future__ import annotations

import functools
from collections.abc import AsyncGenerator
from contextlib import aclosing
from typing import TYPE_CHECKING, Unpack

import anyio.to_thread

from cervella.agent.faces import AskOptions, Faces
from cervella.errors import ConfigError, check_names
from cervella.process.loop import BackgroundLoop
from cervella.prompt.history import query_after
from cervella.records.conversations import Conversations, Turn
from cervella.types import Answered, Event, Filters, Interrupted

if TYPE_CHECKING:
    from cervella.agent.agent import Agent

_MAX_TURNS = 50
"""Number of stored turns, the newest ones, that are sent as history with a question."""


class Session(Faces):
    """A conversation: each question is sent with the turns before it, and the turns are kept across restarts.

    `filters` are fixed when the session is first opened. A question, or opening the session again, can narrow them but
    never widen them. For a follow-up question («e quanto costa?», "and what does it cost?") the search includes the
    question before it: `Reply.retrieval_query` is the text that was searched for. Ask one question at a time.
    """

    def __init__(
        self, agent: Agent, id: str, filters: Filters | None, store: Conversations, loop: BackgroundLoop
    ) -> None:
        self.id = id
        self.filters = store.open(id, filters)
        self._agent = agent
        self._store = store
        self._loop = loop

    def turns(self) -> list[Turn]:
        """All turns, oldest first."""
        return self._store.turns(self.id)

    def astream(self, question: str, **options: Unpack[AskOptions]) -> AsyncGenerator[Event, None]:
        """Stream the answer: see `Agent.astream`. The turn is stored when it ends, also if the answer breaks off."""
        check_names("option", options, AskOptions.__optional_keys__)
        if not options.keys().isdisjoint(("history", "query", "session")):
            raise ConfigError(
                "A session sets its own history, query and session.", remedy="Use Agent.ask to set them yourself."
            )
        return self._astream(question, options)

    async def _astream(self, question: str, options: AskOptions) -> AsyncGenerator[Event, None]:
        turns = await anyio.to_thread.run_sync(functools.partial(self._store.turns, self.id, last=_MAX_TURNS))
        narrowed = Filters.of(options.get("filters"))
        if self.filters is not None:
            narrowed = self.filters.narrowed(narrowed)
        history = [message for turn in turns for message in turn.messages()]
        before = [(turn.question, turn.query) for turn in turns]
        query = query_after(question, before, self._agent.language, self._agent.persona)
        own = AskOptions(filters=narrowed, history=history, query=query, session=self.id)
        asked = AskOptions(**{**options, **own})
        async with aclosing(self._agent.astream(question, **asked)) as events:
            async for event in events:
                if isinstance(event, (Answered, Interrupted)):
                    await anyio.to_thread.run_sync(self._store.append, self.id, event.reply)
                yield event
