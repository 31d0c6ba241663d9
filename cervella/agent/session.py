"""A conversation with one person: it remembers, it lasts, and it never sees more than it was opened with."""

from __future__ import annotations

import functools
from collections.abc import AsyncGenerator
from contextlib import aclosing
from typing import TYPE_CHECKING, Unpack

import anyio.to_thread

from cervella.agent.faces import AskOptions, Faces, checked_names
from cervella.errors import ConfigError
from cervella.process.loop import BackgroundLoop
from cervella.prompt.history import query_after
from cervella.records.conversations import Conversations, Turn
from cervella.types import Answered, Event, Filters, Interrupted

if TYPE_CHECKING:
    from cervella.agent.agent import Agent

__all__ = ["Session"]

_REMEMBERED = 50


class Session(Faces):
    """Questions and answers that follow on each other, kept across restarts.

    `filters` are fixed when it is opened: a question can narrow them, never widen them; nor can opening it again. A
    question that only the one before explains («e quanto costa?») is searched for together with it:
    `Reply.retrieval_query` shows what was searched for. Ask one question at a time.
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
        """The answer as it comes: see `Agent.astream`. The turn is kept when it ends, one that broke off too."""
        checked_names(options, AskOptions)
        if not options.keys().isdisjoint(("history", "query", "session")):
            raise ConfigError(
                "A session has its own history, query and session.", remedy="Use Agent.ask to give others."
            )
        return self._astream(question, options)

    async def _astream(self, question: str, options: AskOptions) -> AsyncGenerator[Event, None]:
        turns = await anyio.to_thread.run_sync(functools.partial(self._store.turns, self.id, last=_REMEMBERED))
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
