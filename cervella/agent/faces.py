"""The faces of whatever answers questions, built once over its async stream."""

from __future__ import annotations

from collections.abc import AsyncGenerator, Iterator
from contextlib import aclosing
from typing import Unpack

from cervella.agent.question import AskOptions, checked_names
from cervella.process.loop import BackgroundLoop
from cervella.types import Answered, Event, Reply

__all__ = ["Asking"]


class Asking:
    """`ask`, `stream` and `aask` over an `astream` that ends with `Answered`, or raises."""

    _loop: BackgroundLoop

    def astream(self, question: str, **options: Unpack[AskOptions]) -> AsyncGenerator[Event, None]:
        """The answer as it comes."""
        raise NotImplementedError

    async def aask(self, question: str, **options: Unpack[AskOptions]) -> Reply:
        """The answer, whole. Raises what `astream` raises."""
        async with aclosing(self.astream(question, **options)) as events:
            async for event in events:
                if isinstance(event, Answered):
                    return event.reply
        raise AssertionError("a stream ends with Answered, or raises")

    def ask(self, question: str, **options: Unpack[AskOptions]) -> Reply:
        """The answer, whole; works under a running event loop too."""
        return self._loop.run(lambda: self.aask(question, **options))

    def stream(self, question: str, **options: Unpack[AskOptions]) -> Iterator[Event]:
        """The answer as it comes: see `astream`. A caller that stops early stops the engine."""
        checked_names(options, AskOptions)
        return self._loop.iterate(lambda: self.astream(question, **options))
