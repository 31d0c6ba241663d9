"""The Agent: the only place where soul, knowledge and brain meet."""

from __future__ import annotations

import copy
import logging
import os
from collections.abc import AsyncGenerator, Awaitable, Callable, Generator, Iterable, Mapping
from types import TracebackType
from typing import TYPE_CHECKING, Any, Unpack, cast

from cervella.agent.faces import (
    AskOptions,
    CompleteOptions,
    Faces,
    IndexOptions,
    ReviewOptions,
    checked_names,
    in_order,
)
from cervella.errors import CervellaError, ConfigError
from cervella.process.loop import BackgroundLoop
from cervella.types import Filters

if TYPE_CHECKING:
    from typing import Self

    from cervella.agent.faces import AnyBrain, AnyFilters, BatchQuestion
    from cervella.agent.session import Session
    from cervella.brains.routing.fallback import Shielded
    from cervella.brains.routing.router import RouteDecision
    from cervella.brains.shield.shield import Guard
    from cervella.configuration.config import Config
    from cervella.knowledge.index.writer import RolledBack
    from cervella.protocols import Embedder, Retriever, Soul
    from cervella.records.conversations import Conversations
    from cervella.records.ledger import Ledger
    from cervella.soul import Traits
    from cervella.text.language import Language
    from cervella.types import Attempt, CitedLines, Event, IndexReport, Passage, Preview, Prompt, Reply, Retrieval
    from cervella.types.verdict import ReviewVerdict

__all__ = ["Agent"]

_logger = logging.getLogger("cervella")


class Agent(Faces):
    """A persona that answers from a knowledge base, through whichever brain is named.

    Everything has a default: the nearest cervella.toml in this folder or a parent, else the built-in ones. An argument
    beats the configuration, and an object works wherever a name does: `Agent(brain=EchoBrain(), retriever=…, soul=…)`.

    `ask`, `stream`, `search`, `index` and `preview` work in scripts, in threads and under a running event loop;
    `aask`, `astream`, `asearch`, `aindex` and `apreview` are the same on the caller's own loop. One Agent can be used
    both ways and from several threads at once. Close it, or use it in a `with`.

    Nothing is read before it is needed: the soul and the index at the first question, an engine at its first answer.
    """

    def __init__(
        self,
        *,
        config: str | os.PathLike[str] | Config | None = None,
        brain: AnyBrain | None = None,
        knowledge: str | os.PathLike[str] | None = None,
        constitution: str | os.PathLike[str] | None = None,
        index: str | os.PathLike[str] | None = None,
        embedder: str | Embedder | None = None,
        soul: Soul | None = None,
        retriever: Retriever | None = None,
        guard: Guard | None = None,
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
            locked=constitution is None,  # another Constitution than the configured one is not what the lock pins
        )
        self._answering = Answering(self._assembly, self._books)
        self._loop = BackgroundLoop()

    def __repr__(self) -> str:
        return f"Agent(brain={self._assembly.brain_name!r}, knowledge={str(self.config.knowledge.folder)!r})"

    # What she is made of

    @property
    def config(self) -> Config:
        """What was configured, paths resolved."""
        return self._assembly.config

    @property
    def soul(self) -> Soul:
        """Who speaks. Raises SoulError where the Constitution can't be used."""
        return self._assembly.soul

    @property
    def retriever(self) -> Retriever:
        """What is known."""
        return self._assembly.retriever

    @property
    def brain_name(self) -> str:
        """The name of the brain that answers, or would, if it could be made."""
        return self._assembly.brain_name

    @property
    def brain(self) -> Shielded:
        """What thinks, behind its shield."""
        return self._assembly.shield(None)

    def brain_named(self, brain: AnyBrain, *, repeatable: bool = False) -> Shielded:
        """The brain of this name behind its shield, as a question would find it; nobody is asked.

        `repeatable`: as `acomplete` finds it where that asks for one.
        """
        return self._assembly.shield(brain, repeatable=repeatable)

    @property
    def brain_reason(self) -> str | None:
        """Why this brain answers, where none was named; None where one was."""
        _ = self.brain
        return self._assembly.brain_reason

    @property
    def traits(self) -> Traits:
        """What the Constitution declares of her, `[soul.traits]` on top."""
        return self._assembly.traits

    @property
    def persona(self) -> str | None:
        """Her name: the trait, else the title of the Constitution; None where that can't be read."""
        return self._assembly.persona

    @property
    def language(self) -> Language:
        """The language of the knowledge base."""
        return self._assembly.language

    def with_brain(self, brain: AnyBrain) -> Agent:
        """An agent with the same soul and knowledge, and another engine."""
        other = copy.copy(self)
        other._assembly = self._assembly.with_brain(brain)
        other._answering = self._answering.of(other._assembly)
        other._loop = BackgroundLoop()
        other._assembly.shield(None)  # an unknown name fails here, not at the first question
        return other

    # One question

    def astream(self, question: str, **options: Unpack[AskOptions]) -> AsyncGenerator[Event, None]:
        """The answer as it comes: `Retrieved`, then `TextDelta`s, then `Answered`, last.

        With `review` the answer is checked, and revised where it does not stand: `Reviewed` comes before `Answered`,
        with the text that was kept; where `Reviewed.verdict.revised`, that text takes the place of all that was
        streamed.

        An answer that breaks off after its first text gives `Interrupted` with the partial reply, then raises
        StreamInterruptedError. Closing the generator stops the engine. Raises ConfigError for an unknown option.
        """
        checked_names(options, AskOptions)
        return self._answering.stream(question, options)

    async def acomplete(self, prompt: Prompt, **options: Unpack[CompleteOptions]) -> Reply:
        """The answer to a prompt that is whole already: nothing is retrieved or added, the soul neither.

        It goes through the brain's shield and into the ledger as a question does. `Reply.soul` is the fingerprint of
        the prompt's own system text, empty where it has none. For evaluations, which ask every brain the same bytes.
        """
        checked_names(options, CompleteOptions)
        return await self._answering.complete(prompt, options)

    def complete(self, prompt: Prompt, **options: Unpack[CompleteOptions]) -> Reply:
        """The answer to a prompt that is whole already: see `acomplete`."""
        return self._loop.run(lambda: self.acomplete(prompt, **options))

    async def apreview(self, question: str, **options: Unpack[AskOptions]) -> Preview:
        """The prompt as it would be sent, with token counts; no brain is asked, nothing is reviewed or kept."""
        checked_names(options, AskOptions)
        return await self._answering.preview(question, options)

    def preview(self, question: str, **options: Unpack[AskOptions]) -> Preview:
        """The prompt as it would be sent, with token counts: see `apreview`."""
        return self._loop.run(lambda: self.apreview(question, **options))

    async def aroute(self, question: str, **options: Unpack[AskOptions]) -> RouteDecision:
        """Which brain would be asked, and why; nobody is called."""
        checked_names(options, AskOptions)
        return await self._answering.route(question, options)

    def route(self, question: str, **options: Unpack[AskOptions]) -> RouteDecision:
        """Which brain would be asked, and why; nobody is called."""
        return self._loop.run(lambda: self.aroute(question, **options))

    # A second opinion

    async def areview(self, answer: Reply | str, **options: Unpack[ReviewOptions]) -> ReviewVerdict:
        """The verdict on an answer; nothing is revised.

        A Reply is held against the passages that it was written from, and the question is its own. A text is held
        against what the base gives for `question`, in that order: its `[F1]` is the first passage of
        `search(query or question)`.
        """
        checked_names(options, ReviewOptions)
        return await self._answering.review(answer, options)

    def review(self, answer: Reply | str, **options: Unpack[ReviewOptions]) -> ReviewVerdict:
        """The verdict on an answer; nothing is revised: see `areview`."""
        return self._loop.run(lambda: self.areview(answer, **options))

    def read(self, passage: Passage) -> CitedLines:
        """A passage's lines as on disk now, and whether they changed since it was indexed."""
        return self._answering.read(passage)

    # Many questions

    def abatch(
        self, questions: Iterable[BatchQuestion], *, concurrency: int = 4, **options: Unpack[AskOptions]
    ) -> AsyncGenerator[Reply | CervellaError, None]:
        """The answers in the order of the questions, so many asked at once; a question that fails gives its error.

        A question is a text, or a mapping with `question` and options that hold for it alone. Closing the generator
        stops the engines.
        """
        checked_names(options, AskOptions)

        def answer(question: str, own: Mapping[str, Any]) -> Awaitable[Reply]:
            asked = AskOptions(batch=True)
            asked.update(options)
            asked.update(cast(AskOptions, own))
            return self.aask(question, **asked)

        return in_order(answer, questions, concurrency=concurrency)

    def batch(
        self, questions: Iterable[BatchQuestion], *, concurrency: int = 4, **options: Unpack[AskOptions]
    ) -> Generator[Reply | CervellaError, None, None]:
        """The answers in the order of the questions, as they come: see `abatch`."""
        checked_names(options, AskOptions)
        return self._loop.iterate(lambda: self.abatch(questions, concurrency=concurrency, **options))

    # The ledger

    @property
    def ledger(self) -> Ledger:
        """What every call of an engine took and cost."""
        return self._books.ledger

    def feedback(self, reply: Reply | str, *, good: bool, note: str | None = None) -> None:
        """Keep in the ledger what somebody says of a reply, or of the id of one; a second word replaces the first.

        Raises LedgerError where the ledger does not hold the reply, or can't be written.
        """
        self._books.feedback(reply if isinstance(reply, str) else reply.id, good=good, note=note)

    # Conversations

    def session(self, id: str, *, filters: AnyFilters = None) -> Session:
        """A conversation that is kept across restarts, by its id. `filters` hold for all its questions, for ever."""
        from cervella.agent.session import Session

        return Session(self, id, Filters.of(filters), self.conversations, self._loop)

    @property
    def conversations(self) -> Conversations:
        """All sessions: list, export, delete. A deleted one leaves the ledger too."""
        from cervella.records.conversations import Conversations

        return Conversations(self.config.conversations.path, on_delete=lambda id: self.ledger.forget(id))

    # The knowledge, without a brain

    def search(self, query: str, *, top_k: int | None = None, filters: AnyFilters = None) -> Retrieval:
        """The passages for a query, best first. Raises IndexMissingError where nothing is indexed yet."""
        return self._answering.search(query, top_k=top_k, filters=filters)

    async def asearch(self, query: str, *, top_k: int | None = None, filters: AnyFilters = None) -> Retrieval:
        """The passages for a query, best first, found in a worker thread."""
        return await self._answering.retrieve(query, top_k=top_k, filters=filters)

    def index(self, **options: Unpack[IndexOptions]) -> IndexReport:
        """Bring the index up to date with the folder: what was added, changed and removed, and nothing else.

        Interrupted, it goes on where it was.
        """
        checked_names(options, IndexOptions)
        return self._assembly.index().update(**options)

    async def aindex(self, **options: Unpack[IndexOptions]) -> IndexReport:
        """`index`, in a worker thread."""
        import anyio.to_thread

        return await anyio.to_thread.run_sync(lambda: self.index(**options))

    def drift(self) -> IndexReport:
        """How far the index is from the folder: what `index` would do, none of it done."""
        return self._assembly.index().drift()

    def roll_back(self) -> RolledBack:
        """Let searches have the index as it was before the last run that changed it; once more undoes it.

        Raises KnowledgeError where there is nothing to go back to; nothing is changed then.
        """
        return self._assembly.index().roll_back()

    # The end

    async def aclose(self) -> None:
        """Release what the brains hold on this loop, then everything else."""
        import anyio.to_thread

        await self._close_brains()
        await anyio.to_thread.run_sync(self.close)

    def close(self) -> None:
        """Release the engines, the index and the background loop. A closed agent can be used again."""
        if self._loop.running:
            self._loop.run(self._close_brains)
        self._loop.close()
        self._books.close()
        self._assembly.close()

    async def _close_brains(self) -> None:
        for shield in self._assembly.shields():
            try:
                await shield.aclose()
            except Exception:  # one brain that can't be closed is no reason to leave the rest open
                _logger.exception("the brain %s could not be closed", shield.name)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self.close()

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        await self.aclose()
