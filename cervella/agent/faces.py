"""The ways to ask, and their options: sync and async, whole and as it comes, one question and many."""

from __future__ import annotations

import contextlib
from collections import deque
from collections.abc import AsyncGenerator, Awaitable, Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import aclosing
from typing import Any, TypeAlias, TypedDict, Unpack

from cervella.errors import CervellaError, ConfigError, did_you_mean
from cervella.process.loop import BackgroundLoop
from cervella.protocols import Brain
from cervella.types import Answered, Event, Filters, Image, Progress, Reply

__all__ = [
    "BATCH_OPTIONS",
    "AnyBrain",
    "AnyFilters",
    "AskOptions",
    "BatchQuestion",
    "CompleteOptions",
    "Faces",
    "IndexOptions",
    "ReviewOptions",
    "answered",
    "checked_names",
    "in_order",
]

AnyBrain: TypeAlias = str | Brain | Sequence[str | Brain]
"""A name, an object, or several of them: the first that answers."""
AnyFilters: TypeAlias = Filters | Mapping[str, Any] | None
"""Filters, or their fields as a mapping."""
BatchQuestion: TypeAlias = str | Mapping[str, Any]
"""A text, or a mapping with `question` and options that hold for it alone."""
BATCH_OPTIONS = ("brain", "filters", "history", "max_output_tokens", "query", "temperature", "timeout", "top_k")
"""The options that one question of a batch can have."""
_AHEAD = 4
"""Answers that may wait for a slower one before them, as a multiple of those asked at once."""


class AskOptions(TypedDict, total=False):
    """The options of a question, the same for `ask`, `stream`, `preview`, `route`, `batch` and a session.

    All can be left out. A session has its own `history`, `query` and `session`, and raises ConfigError for them.
    """

    batch: bool
    """Nobody waits for this answer, which a router looks at. By default false; true in `batch`."""
    brain: AnyBrain | None
    """Who answers this question; by default the brain of the agent."""
    filters: AnyFilters
    """What the question may see of the base; by default all of it."""
    history: Iterable[Any] | None
    """What was said before, oldest first: Messages, Replies, `(question, answer)` pairs or `{"role", "content"}` dicts.
    By default nothing."""
    images: Iterable[Image]
    """Pictures that go with the question; by default none."""
    max_output_tokens: int | None
    """The longest answer, in tokens; by default as the brain is configured."""
    query: str | None
    """What to search for; by default the question, and a follow-up («e quanto costa?») with the one before it."""
    review: bool | AnyBrain | None
    """True: the checks and the second opinion of `[review]`; a brain: it gives the second opinion; False: no review.
    By default `[review] enabled` says."""
    session: str | None
    """Whose question the ledger says it is; by default nobody's."""
    temperature: float | None
    """0 or more; by default as the brain is configured."""
    timeout: float | None
    """Seconds for all of it, retrieval included; by default no limit."""
    top_k: int | None
    """How many passages to retrieve; by default that of `[knowledge]`."""


class CompleteOptions(TypedDict, total=False):
    """The options of `complete`. All can be left out."""

    brain: AnyBrain | None
    """Who answers; by default the brain of the agent."""
    repeatable: bool
    """A brain that is asked for by name is made with its option `repeatable`, where it has one and the configuration
    does not set it: the same prompt then gives the same bytes. By default false."""
    session: str | None
    """Whose prompt the ledger says it is; by default nobody's."""
    timeout: float | None
    """Seconds for all of it; by default no limit."""


class ReviewOptions(TypedDict, total=False):
    """The options of `review`. All can be left out; those of the search count only for a text, not for a Reply."""

    brain: AnyBrain | None
    """Who gives the second opinion; by default the brain of `[review]`."""
    filters: AnyFilters
    """What the search may see of the base; by default all of it."""
    query: str | None
    """What to search for; by default the question."""
    question: str | None
    """What a text answers: a text needs it, a Reply has its own."""
    tainted: bool
    """The text was written with something local-only in sight: no cloud brain may see it. By default false."""
    timeout: float | None
    """Seconds for all of it; by default no limit."""
    top_k: int | None
    """How many passages to retrieve; by default that of `[knowledge]`."""


class IndexOptions(TypedDict, total=False):
    """The options of `index`. All can be left out, and are then false."""

    force: bool
    """Read every file again, and accept that many are gone."""
    rebuild: bool
    """Start from nothing."""
    verify: bool
    """Hold the whole index against its manifest."""
    purge: bool
    """Leave no byte of what was deleted."""
    strict: bool
    """Where a pattern of `[knowledge] local_only` names nothing, raise UnmatchedPatternError before anything is
    written, as `cervella index` does. Else the log and the report warn of it, and what was marked stays marked."""
    progress: Progress | None
    """Called as the work goes on; by default nobody is."""


def checked_names(given: Iterable[str], known: Any) -> None:
    """Raises ConfigError for a name that is no option of `known`, a TypedDict."""
    names = sorted(known.__optional_keys__)
    for name in given:
        if name not in names:
            raise ConfigError(
                f"There is no option {name!r}.",
                remedy=f"{did_you_mean(name, names)}Options: {', '.join(names)}.",
                code="unknown_option",
            )


class Faces:
    """`ask`, `stream` and `aask` over an `astream` that ends with `Answered`, or raises."""

    _loop: BackgroundLoop

    def astream(self, question: str, **options: Unpack[AskOptions]) -> AsyncGenerator[Event, None]:
        """The answer as it comes."""
        raise NotImplementedError

    async def aask(self, question: str, **options: Unpack[AskOptions]) -> Reply:
        """The answer, whole. Raises what `astream` raises."""
        return await answered(self.astream(question, **options))

    def ask(self, question: str, **options: Unpack[AskOptions]) -> Reply:
        """The answer, whole; works under a running event loop too."""
        return self._loop.run(lambda: self.aask(question, **options))

    def stream(self, question: str, **options: Unpack[AskOptions]) -> Iterator[Event]:
        """The answer as it comes: see `astream`. A caller that stops early stops the engine."""
        checked_names(options, AskOptions)
        return self._loop.iterate(lambda: self.astream(question, **options))


async def answered(answer: AsyncGenerator[Event, None]) -> Reply:
    """The reply that a stream ends with."""
    async with aclosing(answer) as events:
        async for event in events:
            if isinstance(event, Answered):
                return event.reply
    raise AssertionError("a stream ends with Answered, or raises")


async def in_order(
    ask: Callable[[str, Mapping[str, Any]], Awaitable[Reply]], questions: Iterable[BatchQuestion], *, concurrency: int
) -> AsyncGenerator[Reply | CervellaError, None]:
    """The answers in the order of the questions, at most `concurrency` asked at once; an error in the place of its own.

    The questions are taken as they are needed. Closing the generator cancels what is still being asked.
    """
    import asyncio

    if isinstance(concurrency, bool) or not isinstance(concurrency, int) or concurrency < 1:
        raise ConfigError(f"concurrency is {concurrency!r}.", remedy="Give a whole number above 0.", code="bad_value")
    if isinstance(questions, (str, Mapping)):
        raise ConfigError("The questions are one question.", remedy="Give a list of them.", code="bad_value")
    free = asyncio.Semaphore(concurrency)

    async def answer(asked: BatchQuestion) -> Reply | CervellaError:
        async with free:
            try:
                return await ask(*_question_and_options(asked))
            except CervellaError as error:
                return error

    # Tasks of asyncio and no task group: a group can't be left open across a yield.
    asking: deque[asyncio.Task[Reply | CervellaError]] = deque()
    try:
        for asked in questions:
            asking.append(asyncio.create_task(answer(asked)))
            if len(asking) >= concurrency * _AHEAD:
                yield await asking[0]
                asking.popleft()
        while asking:
            yield await asking[0]
            asking.popleft()
    finally:
        for task in asking:
            task.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await asyncio.gather(*asking, return_exceptions=True)


def _question_and_options(asked: BatchQuestion) -> tuple[str, Mapping[str, Any]]:
    if isinstance(asked, str):
        return asked, {}
    if not isinstance(asked, Mapping) or "question" not in asked:
        raise ConfigError(
            f"A question of the batch is {asked!r:.60}.", remedy="Give a text, or a mapping with `question`."
        )
    for key in asked:
        if key not in (*BATCH_OPTIONS, "question"):
            raise ConfigError(
                f"A question of the batch has no option {key!r}.",
                remedy=f"{did_you_mean(str(key), BATCH_OPTIONS)}Options: {', '.join(BATCH_OPTIONS)}.",
                code="unknown_key",
            )
    return asked["question"], {key: value for key, value in asked.items() if key != "question"}
