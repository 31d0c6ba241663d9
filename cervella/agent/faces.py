"""The options of a question, the last reply of a stream, and batches."""

from __future__ import annotations

import contextlib
from collections import deque
from collections.abc import AsyncGenerator, Awaitable, Callable, Iterable, Mapping, Sequence
from contextlib import aclosing
from typing import Any, Required, TypeAlias, TypedDict, cast

from cervella.errors import CervellaError, ConfigError, check_names
from cervella.protocols import Brain
from cervella.types import Answered, Event, Filters, Image, Progress, Reply

AnyBrain: TypeAlias = str | Brain | Sequence[str | Brain]
"""A brain's name, a brain object, or a list of them. With a list, the first brain that succeeds answers."""
AnyFilters: TypeAlias = Filters | Mapping[str, Any] | None
"""A Filters object, or a mapping with its fields. None: no filters."""
_WAITING_PER_CALL = 4
"""Tasks that may be waiting or finished, per concurrent call: limits how far ahead of a slow answer a batch reads."""


class _CommonOptions(TypedDict, total=False):
    brain: AnyBrain | None
    """The brain that answers this question. Default: the agent's brain."""
    filters: AnyFilters
    """Which passages may be retrieved. Default: all."""
    max_output_tokens: int | None
    """Maximum length of the answer, in tokens. Default: as configured for the brain."""
    temperature: float | None
    """Sampling temperature, 0 or more. Default: as configured for the brain."""
    timeout: float | None
    """Maximum seconds for the whole answer, retrieval included. Default: no limit."""
    top_k: int | None
    """Number of passages to retrieve. Default: `[knowledge] top_k`."""


class SessionOptions(_CommonOptions, total=False):
    """The options of a question in a session. All are optional."""

    batch: bool
    """True if no person is waiting for the answer. A router then may choose a slower or cheaper brain. The default is
    False, and True for the questions of `Agent.batch`."""
    images: Iterable[Image] | None
    """Images that are sent with the question. Default: none."""
    review: bool | AnyBrain | None
    """True: review the answer as `[review]` configures. A brain: review it with that brain as second opinion. False:
    no review. Default: `[review] enabled`."""


class AskOptions(SessionOptions, total=False):
    """The options of a question, the same for `ask`, `stream`, `preview`, `route` and `batch`. All are optional."""

    history: Iterable[Any] | None
    """The earlier turns, oldest first: Messages, Replies, `(question, answer)` pairs or `{"role", "content"}` dicts.
    Default: none. If files are declared local-only, a cloud brain is not sent a turn whose answer the agent does not
    know."""
    query: str | None
    """The text to search for. Default: the question; for a follow-up question, the earlier question and this one."""
    session: str | None
    """The session id that the ledger stores for this question. Default: none."""


class BatchQuestion(_CommonOptions, total=False):
    """A question of a batch, with options for that question alone. Only `question` is required."""

    question: Required[str]
    """The text of the question."""
    id: Any
    """A name of yours for the question. It is not used: the replies come in the order of the questions."""
    history: Iterable[Any] | None
    """The earlier turns, as for `ask`. Default: none."""
    query: str | None
    """The text to search for, as for `ask`."""


BATCH_OPTIONS = tuple(sorted(BatchQuestion.__optional_keys__ - {"id"}))
"""The options that one question of a batch can set for itself."""


class CompleteOptions(TypedDict, total=False):
    """The options of `complete`. All are optional."""

    brain: AnyBrain | None
    """The brain that answers. Default: the agent's brain."""
    repeatable: bool
    """Ask for identical output for an identical prompt: sets the brain's option `repeatable`, if the brain is given by
    name, has that option and the configuration does not set it. Default: false."""
    session: str | None
    """The session id that the ledger stores for this prompt. Default: none."""
    timeout: float | None
    """Maximum seconds for the answer. Default: no limit."""


class ReviewOptions(TypedDict, total=False):
    """The options of `review`. All are optional. For a Reply, `filters`, `query` and `top_k` are ignored."""

    brain: AnyBrain | None
    """The brain that gives the second opinion. Default: `[review] brain`."""
    filters: AnyFilters
    """Which passages may be retrieved. Default: all."""
    query: str | None
    """The text to search for. Default: the question."""
    question: str | None
    """The question that the text answers. Required for a text; a Reply has its own."""
    tainted: bool
    """Whether the author of the text had seen local-only passages: it is then not sent to a cloud brain. Default, if
    files are declared local-only: true, unless the agent knows the text as an answer made without them."""
    timeout: float | None
    """Maximum seconds for the review. Default: no limit."""
    top_k: int | None
    """Number of passages to retrieve. Default: `[knowledge] top_k`."""


class IndexOptions(TypedDict, total=False):
    """The options of `index`. All are optional and false by default."""

    force: bool
    """Read every file again, and accept that many files have disappeared."""
    rebuild: bool
    """Delete the index and build it again."""
    verify: bool
    """Compare the whole index with its manifest."""
    purge: bool
    """Remove deleted text from the index files on disk, down to the last byte."""
    strict: bool
    """Raise UnmatchedPatternError before writing, if a pattern of `[knowledge] local_only` matches no file. The command
    `cervella index` is strict. Otherwise the log and the report warn, and files that were marked stay marked."""
    progress: Progress | None
    """A callback that receives the progress. Default: none."""


async def last_reply(answer: AsyncGenerator[Event, None]) -> Reply:
    """The reply of the `Answered` event that ends a stream."""
    async with aclosing(answer) as events:
        async for event in events:
            if isinstance(event, Answered):
                return event.reply
    raise AssertionError("the stream ended without Answered")


async def in_order(
    ask: Callable[..., Awaitable[Reply]],
    questions: Iterable[str | BatchQuestion],
    options: AskOptions,
    *,
    concurrency: int,
) -> AsyncGenerator[Reply | CervellaError, None]:
    """Yield the replies in the order of the questions, with at most `concurrency` calls of `ask` at once.

    A question that fails yields its error. `questions` is read lazily. Closing the generator cancels running calls.
    """
    import asyncio

    if isinstance(concurrency, bool) or not isinstance(concurrency, int) or concurrency < 1:
        raise ConfigError(f"concurrency is {concurrency!r}.", remedy="Give a whole number above 0.", code="bad_value")
    if isinstance(questions, (str, Mapping)):
        raise ConfigError(
            "questions is a single question.", remedy="Give a list of questions, or use ask.", code="bad_value"
        )
    free = asyncio.Semaphore(concurrency)
    shared: dict[str, Any] = {"batch": True, **options}
    for name in ("history", "images"):  # an iterator can be read only once, and every question needs its items
        if isinstance(shared.get(name), Iterable):
            shared[name] = tuple(shared[name])

    async def answer(item: str | BatchQuestion) -> Reply | CervellaError:
        async with free:
            try:
                question, own = _question_and_options(item)
                return await ask(question, **{**shared, **own})
            except CervellaError as error:
                return error

    # asyncio tasks, because a task group can't stay open across a yield
    tasks: deque[asyncio.Task[Reply | CervellaError]] = deque()
    try:
        for item in questions:
            tasks.append(asyncio.create_task(answer(item)))
            if len(tasks) >= concurrency * _WAITING_PER_CALL:
                yield await tasks[0]
                tasks.popleft()
        while tasks:
            yield await tasks[0]
            tasks.popleft()
    finally:
        for task in tasks:
            task.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await asyncio.gather(*tasks, return_exceptions=True)


def _question_and_options(item: str | BatchQuestion) -> tuple[str, AskOptions]:
    if isinstance(item, str):
        return item, {}
    if not isinstance(item, Mapping) or "question" not in item:
        from cervella.privacy.stored import quoted  # imported late: it loads the languages

        raise ConfigError(
            f"A question of the batch is {quoted(item)}.", remedy="Give a text, or a mapping with the key `question`."
        )
    own = {key: value for key, value in item.items() if key not in ("question", "id")}
    check_names("batch option", own, BATCH_OPTIONS, code="unknown_key")
    return item["question"], cast(AskOptions, own)
