"""Defines `Agent`, the public class that joins a soul, a knowledge base and a brain."""

from __future__ import annotations

import copy
import logging
import os
from collections.abc import AsyncGenerator, Callable, Generator, Iterable, Iterator
from typing import Literal, Self, Unpack

import cervella  # its names in annotations are imported when the hints are read
from cervella.agent.faces import (
    AnyBrain,
    AnyFilters,
    AskOptions,
    BatchQuestion,
    CompleteOptions,
    IndexOptions,
    ReviewOptions,
    in_order,
    last_reply,
)
from cervella.errors import CervellaError, ConfigError, check_flags, check_names
from cervella.process.loop import BackgroundLoop
from cervella.protocols import Embedder, Retriever, Soul
from cervella.types import (
    Attempt,
    CitedLines,
    Event,
    Filters,
    IndexReport,
    Passage,
    Preview,
    Progress,
    Prompt,
    Reply,
    Retrieval,
)
from cervella.types.verdict import ReviewVerdict

_logger = logging.getLogger("cervella")


class Agent:
    """A persona that answers questions from a knowledge base, through the brain that is configured.

    Every argument is optional. The configuration is the nearest cervella.toml in this folder or a parent; without one,
    the defaults apply. An argument overrides the configuration. Where a name is expected, an object works too:
    `Agent(brain=EchoBrain(), retriever=…, soul=…)`.

    `ask`, `stream`, `search`, `index` and `preview` can be called from scripts, from threads and while an event loop
    is running. `aask`, `astream`, `asearch`, `aindex` and `apreview` do the same on the caller's event loop. One Agent
    can be used from several threads at once. Close it after use, or use it in a `with` block.

    An Agent loads its parts at first use: the soul and the index at the first question, a brain at its first answer.
    """

    def __init__(
        self,
        *,
        config: str | os.PathLike[str] | cervella.Config | None = None,
        brain: AnyBrain | None = None,
        knowledge: str | os.PathLike[str] | None = None,
        constitution: str | os.PathLike[str] | None = None,
        index: str | os.PathLike[str] | None = None,
        embedder: str | Embedder | None = None,
        refresh: Literal["auto", "warn", "off"] | None = None,
        soul: Soul | None = None,
        retriever: Retriever | None = None,
        guard: cervella.Guard | None = None,
        on_attempt: Callable[[Attempt], None] | None = None,
    ) -> None:
        from cervella.agent.answering import Answering
        from cervella.agent.assembly import Assembly
        from cervella.agent.bookkeeping import Bookkeeping
        from cervella.configuration.config import load_config

        if soul is not None and constitution is not None:
            raise ConfigError("Both soul and constitution are given.", remedy="Give the object or the path, not both.")
        arguments = {
            "soul": {"constitution": constitution},
            "knowledge": {
                "folder": knowledge,
                "index": index,
                "embedder": embedder if isinstance(embedder, str) else None,
                "refresh": refresh,
            },
            "brain": brain if isinstance(brain, str) else None,
        }
        loaded = load_config(config, arguments)
        self._books = Bookkeeping(loaded, guard=guard, on_attempt=on_attempt)
        self._assembly = Assembly(
            loaded,
            self._books,
            brain=None if isinstance(brain, str) else brain,
            embedder=embedder,
            soul=soul,
            retriever=retriever,
            locked=constitution is None,  # the lock pins the configured Constitution, not one given as an argument
        )
        self._answering = Answering(self._assembly, self._books)
        self._loop = BackgroundLoop()

    def __repr__(self) -> str:
        return f"Agent(brain={self._assembly.brain_name!r}, knowledge={str(self.config.knowledge.folder)!r})"

    # The parts of the agent

    @property
    def config(self) -> cervella.Config:
        """The configuration in use, with absolute paths."""
        return self._assembly.config

    @property
    def soul(self) -> Soul:
        """The soul of the persona. Raises SoulError if the Constitution can't be used."""
        return self._assembly.soul

    @property
    def retriever(self) -> Retriever:
        """The retriever that searches the knowledge base."""
        return self._assembly.retriever

    @property
    def brain_name(self) -> str:
        """The name of the brain that answers by default. The brain itself is not loaded."""
        return self._assembly.brain_name

    @property
    def brain(self) -> cervella.Shielded:
        """The brain that answers by default, wrapped in its shield."""
        return self._assembly.shield(None)

    def brain_named(self, brain: AnyBrain, *, repeatable: bool = False) -> cervella.Shielded:
        """The brain with this name, wrapped in its shield. The brain is not called.

        `repeatable` asks for the same output whenever the prompt is the same: see the option of this name of
        `acomplete`.
        """
        return self._assembly.shield(brain, repeatable=repeatable)

    @property
    def brain_reason(self) -> str | None:
        """Why the default brain was chosen. None if the configuration or an argument names a brain."""
        _ = self.brain
        return self._assembly.brain_reason

    @property
    def traits(self) -> cervella.Traits:
        """The traits that the Constitution declares, overridden by `[soul.traits]`."""
        return self._assembly.traits

    @property
    def persona(self) -> str | None:
        """The persona's name: the trait `name`, else the title of the Constitution. None if it can't be read."""
        return self._assembly.persona

    @property
    def language(self) -> cervella.Language:
        """The language of the knowledge base."""
        return self._assembly.language

    def with_brain(self, brain: AnyBrain) -> Agent:
        """An agent with the same soul and knowledge and another brain. Raises UnknownBrainError for an unknown name."""
        other = copy.copy(self)
        other._assembly = self._assembly.with_brain(brain)
        other._answering = self._answering.of(other._assembly)
        other._loop = BackgroundLoop()
        other._assembly.shield(None)
        return other

    # One question

    def astream(self, question: str, **options: Unpack[AskOptions]) -> AsyncGenerator[Event, None]:
        """Stream the answer: first `Retrieved`, then any number of `TextDelta`, last `Answered`.

        With `review`, the answer is checked and, if it is refused, revised. `Reviewed` then comes before `Answered`
        and has the final text. If `Reviewed.verdict.revised` is true, that text replaces all streamed text.

        If the answer breaks off after its first text, the stream yields `Interrupted` with the partial reply and then
        raises StreamInterruptedError. Closing the generator stops the brain. Raises ConfigError for an unknown option.
        """
        check_names("option", options, AskOptions.__optional_keys__)
        return self._answering.stream(question, options)

    async def aask(self, question: str, **options: Unpack[AskOptions]) -> Reply:
        """The complete answer to a question. Raises the errors of `astream`."""
        return await last_reply(self.astream(question, **options))

    def ask(self, question: str, **options: Unpack[AskOptions]) -> Reply:
        """The complete answer to a question. Can be called while an event loop is running."""
        return self._loop.run(lambda: self.aask(question, **options))

    def stream(self, question: str, **options: Unpack[AskOptions]) -> Iterator[Event]:
        """Stream the answer: see `astream`. Closing the iterator stops the brain."""
        events = self.astream(question, **options)
        return self._loop.iterate(lambda: events)

    async def acomplete(self, prompt: Prompt, **options: Unpack[CompleteOptions]) -> Reply:
        """The answer to a complete prompt. Nothing is retrieved and nothing is added to the prompt, not even the soul.

        The call goes through the brain's shield and into the ledger, as for a question. `Reply.soul` is the
        fingerprint of the prompt's own system text, empty if the prompt has none. Meant for evaluations, which send
        the same prompt to every brain.
        """
        check_names("option", options, CompleteOptions.__optional_keys__)
        return await self._answering.complete(prompt, options)

    def complete(self, prompt: Prompt, **options: Unpack[CompleteOptions]) -> Reply:
        """The answer to a complete prompt: see `acomplete`."""
        return self._loop.run(lambda: self.acomplete(prompt, **options))

    async def apreview(self, question: str, **options: Unpack[AskOptions]) -> Preview:
        """The prompt that would be sent for a question, with token counts. No brain answers and nothing is stored."""
        check_names("option", options, AskOptions.__optional_keys__)
        return await self._answering.preview(question, options)

    def preview(self, question: str, **options: Unpack[AskOptions]) -> Preview:
        """The prompt that would be sent for a question: see `apreview`."""
        return self._loop.run(lambda: self.apreview(question, **options))

    async def aroute(self, question: str, **options: Unpack[AskOptions]) -> cervella.RouteDecision:
        """The brain that would answer a question, and why. No brain is called."""
        check_names("option", options, AskOptions.__optional_keys__)
        return await self._answering.route(question, options)

    def route(self, question: str, **options: Unpack[AskOptions]) -> cervella.RouteDecision:
        """The brain that would answer a question, and why: see `aroute`."""
        return self._loop.run(lambda: self.aroute(question, **options))

    async def areview(self, answer: Reply | str, **options: Unpack[ReviewOptions]) -> ReviewVerdict:
        """The verdict of a review of an answer. The answer is not revised.

        A Reply is compared with its own passages and its own question. A text is compared with the passages that a
        search for `query`, else for `question`, returns: the mark `[F1]` in the text is the first of them.
        """
        check_names("option", options, ReviewOptions.__optional_keys__)
        return await self._answering.review(answer, options)

    def review(self, answer: Reply | str, **options: Unpack[ReviewOptions]) -> ReviewVerdict:
        """The verdict of a review of an answer: see `areview`."""
        return self._loop.run(lambda: self.areview(answer, **options))

    def read(self, passage: Passage) -> CitedLines:
        """The current lines of a passage's file, and whether they differ from the passage."""
        return self._answering.read(passage)

    # Many questions

    def abatch(
        self, questions: Iterable[str | BatchQuestion], *, concurrency: int = 4, **options: Unpack[AskOptions]
    ) -> AsyncGenerator[Reply | CervellaError, None]:
        """Answer many questions, at most `concurrency` at once, and yield the replies in the order of the questions.

        A question that fails yields its error instead of a reply. A question is a text, or a mapping with the key
        `question` and options for that question alone. Closing the generator stops the brains.
        """
        check_names("option", options, AskOptions.__optional_keys__)
        return in_order(self.aask, questions, options, concurrency=concurrency)

    def batch(
        self, questions: Iterable[str | BatchQuestion], *, concurrency: int = 4, **options: Unpack[AskOptions]
    ) -> Generator[Reply | CervellaError, None, None]:
        """Answer many questions and yield the replies in the order of the questions: see `abatch`."""
        answers = self.abatch(questions, concurrency=concurrency, **options)
        return self._loop.iterate(lambda: answers)

    # The ledger and the conversations

    @property
    def ledger(self) -> cervella.Ledger:
        """The ledger: the tokens, the time and the cost of every call of a brain."""
        return self._books.ledger

    def feedback(self, reply: Reply | str, *, good: bool, note: str | None = None) -> None:
        """Store a judgement of a reply, given as a Reply or as its id. It replaces an earlier judgement of that reply.

        `good` is the judgement, `note` an optional comment. Raises LedgerError if the ledger does not contain the
        reply, or can't be written.
        """
        self._books.feedback(reply if isinstance(reply, str) else reply.id, good=good, note=note)

    def session(self, id: str, *, filters: AnyFilters = None) -> cervella.Session:
        """Open the conversation with this id, which is kept across restarts.

        `filters` apply to all its questions, also when the conversation is opened again.
        """
        from cervella.agent.session import Session

        return Session(self, id, Filters.of(filters), self.conversations, self._loop)

    @property
    def conversations(self) -> cervella.Conversations:
        """All conversations: list, export or delete them. Deleting one also deletes its questions from the ledger."""
        from cervella.records.conversations import Conversations

        return Conversations(
            self.config.conversations.path,
            on_delete=lambda id: self.ledger.forget(id),
            language=self.config.knowledge_language,
            is_tainted=self._assembly.taint.is_turn_tainted,
        )

    # The knowledge, without a brain

    def search(self, query: str, *, top_k: int | None = None, filters: AnyFilters = None) -> Retrieval:
        """The passages for a query, best first. Raises IndexMissingError if there is no index.

        `top_k` is the maximum number of passages, by default that of the configuration. Only passages that meet
        `filters` are returned.
        """
        return self._answering.search(query, top_k=top_k, filters=filters)

    async def asearch(self, query: str, *, top_k: int | None = None, filters: AnyFilters = None) -> Retrieval:
        """The passages for a query, best first: see `search`. The search runs in a worker thread."""
        return await self._answering.retrieve(query, top_k=top_k, filters=filters)

    def index(self, **options: Unpack[IndexOptions]) -> IndexReport:
        """Update the index with the files that were added, changed or removed since the last run.

        An interrupted run continues at the next call.
        """
        check_names("option", options, IndexOptions.__optional_keys__)
        check_flags(options, IndexOptions.__optional_keys__ - {"progress"})
        self._assembly.stop_vectors()  # the run makes them, and all others
        return self._assembly.index().update(**options)

    async def aindex(self, **options: Unpack[IndexOptions]) -> IndexReport:
        """Update the index in a worker thread: see `index`."""
        import anyio.to_thread

        return await anyio.to_thread.run_sync(lambda: self.index(**options))

    def watch(
        self,
        *,
        on_update: Callable[[IndexReport], None] | None = None,
        progress: Progress | None = None,
    ) -> cervella.Watch:
        """Keep the index up to date in a `with` block, for programs that run for long.

        The block begins with an index of all words. Changes of the folder are then followed within seconds: words at
        once, vectors in the background, however many. Errors are logged as warnings and do not end it. `on_update` is
        called in another thread with the report of each update that changed something, `progress` with the progress.

        The block, or `close`, ends it. Raises the errors of `index` at its beginning.
        """
        return self._assembly.watch(on_update, progress)

    def drift(self) -> IndexReport:
        """Report what `index` would do, without changing the index."""
        return self._assembly.index().drift()

    def roll_back(self) -> cervella.RolledBack:
        """Restore the index to its state before the last run that changed it. A second call undoes the first.

        Raises KnowledgeError if there is no earlier state; the index is not changed then.
        """
        self._assembly.stop_vectors()
        return self._assembly.index().roll_back()

    # Closing

    async def aclose(self) -> None:
        """Close the connections that the brains opened on this event loop, then everything that `close` closes."""
        import anyio.to_thread

        await self._close_brains()
        await anyio.to_thread.run_sync(self.close)

    def close(self) -> None:
        """Close the brains, the index and the background event loop. A closed agent can be used again.

        If a search indexed changed files (`[knowledge] refresh = "auto"`), their vectors are finished first, which
        takes a few seconds at most.
        """
        if self._loop.running:
            self._loop.run(self._close_brains)
        self._loop.close()
        self._books.close()
        self._assembly.close()

    async def _close_brains(self) -> None:
        for shield in self._assembly.shields():
            try:
                await shield.aclose()
            except Exception:  # the other brains must still be closed
                _logger.exception("the brain %s could not be closed", shield.name)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None = None, *_: object) -> None:
        if kind is not None:  # an error, such as that of Ctrl-C, must not wait for vectors
            self._assembly.stop_vectors()
        self.close()

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.aclose()
