"""The Agent: the only place where soul, knowledge and brain meet."""

from __future__ import annotations

import datetime
import functools
import logging
import os
import threading
import time
import uuid
from collections.abc import AsyncGenerator, Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import aclosing
from pathlib import Path
from types import TracebackType
from typing import TYPE_CHECKING, Any, TypeVar

import anyio
import anyio.to_thread

from cervella.brains import load_brain, shield_options
from cervella.brains.shield import Guard, Shield
from cervella.citations import find_citations
from cervella.config import Config, load_config
from cervella.errors import ConfigError, KnowledgeError, SoulError, StreamInterruptedError
from cervella.language import Language, language
from cervella.loop import BackgroundLoop
from cervella.prompt import instructions_for, render, strip_marks
from cervella.protocols import Brain, Embedder, Retriever, Soul
from cervella.redaction import find_secrets
from cervella.soul import Constitution
from cervella.types import (
    Answered,
    Attempt,
    CitedLines,
    Completion,
    Event,
    Filters,
    Finished,
    Image,
    IndexReport,
    Interrupted,
    Passage,
    Preview,
    Prompt,
    Reply,
    Retrieval,
    Retrieved,
    Timings,
    history_of,
)

if TYPE_CHECKING:
    from typing import Self

__all__ = ["Agent"]

T = TypeVar("T")
_logger = logging.getLogger("cervella")
AnyFilters = Filters | Mapping[str, Any] | None
Progress = Callable[[str, int, int], None]
"""Called with what is being done, how much of it is done, and how much there is."""


class Agent:
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
        brain: str | Brain | None = None,
        knowledge: str | os.PathLike[str] | None = None,
        constitution: str | os.PathLike[str] | None = None,
        index: str | os.PathLike[str] | None = None,
        embedder: str | Embedder | None = None,
        soul: Soul | None = None,
        retriever: Retriever | None = None,
        guard: Guard | None = None,
        on_attempt: Callable[[Attempt], None] | None = None,
    ) -> None:
        if soul is not None and constitution is not None:
            raise ConfigError("Both soul and constitution are given.", remedy="Give the object or the path, not both.")
        arguments: dict[str, Any] = {
            "soul": _given(constitution=constitution),
            "knowledge": _given(
                folder=knowledge, index=index, embedder=embedder if isinstance(embedder, str) else None
            ),
            **_given(brain=brain if isinstance(brain, str) else None),
        }
        if isinstance(config, Config):
            given = any(arguments.values())
            self.config = (
                load_config(config.file, {**config.model_dump(exclude_unset=True), **arguments}) if given else config
            )
        else:
            self.config = load_config(config, arguments)
        self._brain: str | Brain | None = brain if brain is not None else self.config.brain  # type: ignore[assignment]
        self._embedder: str | Embedder = embedder if embedder is not None else self.config.knowledge.embedder
        self._soul = soul
        self._retriever = retriever
        self._own_retriever = retriever is None
        self._guard = guard
        self._on_attempt = on_attempt
        self._lock = threading.RLock()
        self._shields: dict[str | int, Shield] = {}
        self._loop = BackgroundLoop()

    def __repr__(self) -> str:
        brain = self._brain if isinstance(self._brain, str) else getattr(self._brain, "name", "default")
        return f"Agent(brain={brain!r}, knowledge={str(self.config.knowledge.folder)!r})"

    # The parts

    @property
    def soul(self) -> Soul:
        """Who speaks. Raises SoulError where the Constitution can't be used."""
        with self._lock:
            if self._soul is None:
                own = self.config.soul
                self._soul = Constitution.load(
                    own.constitution, own.also, language=own.language, max_tokens=own.max_tokens
                )
            elif not isinstance(self._soul, Constitution) and find_secrets(self._soul.system_prompt()):
                raise SoulError(
                    f"The soul {self._soul.name!r} holds a secret.",
                    remedy="Take it out: the soul is sent to every brain.",
                    code="secret_in_soul",
                )
            return self._soul

    @property
    def retriever(self) -> Retriever:
        """What is known."""
        with self._lock:
            if self._retriever is None:
                from cervella.knowledge import HybridRetriever

                own = self.config.knowledge
                self._retriever = HybridRetriever(
                    own.index, folder=own.folder, embedder=self._embedder, language=self.config.knowledge_language
                )
            return self._retriever

    @property
    def brain(self) -> Shield:
        """What thinks, behind its shield."""
        return self._shield(None)

    @property
    def language(self) -> Language:
        """The language of the knowledge base."""
        return language(self.config.knowledge_language)

    def _shield(self, brain: str | Brain | None) -> Shield:
        with self._lock:
            named = self._brain if brain is None else brain
            if named is None:
                named = self._default_brain()
            if isinstance(named, (list, tuple)):
                raise ConfigError(
                    f"brain is a list: {', '.join(map(str, named))}.",
                    remedy="Name one brain: this version has no fallback.",
                )
            key = named if isinstance(named, str) else id(named)
            if key not in self._shields:
                options = self.config.brains
                leaf = load_brain(named, options) if isinstance(named, str) else named
                if not isinstance(leaf, Brain):
                    raise ConfigError(
                        f"brain is {type(leaf).__name__}, which has no name, model and stream.",
                        remedy="Give the name of a brain, or an object with the Brain protocol.",
                    )
                self._shields[key] = Shield(
                    leaf,
                    **shield_options(named if isinstance(named, str) else leaf.name, options),
                    guard=self._guard,
                    on_attempt=self._on_attempt,
                )
            return self._shields[key]

    def _default_brain(self) -> str:
        if self.config.brains.get("embedded", {}).get("model"):
            chosen, why = "embedded", "[brains.embedded] names a model"
        else:
            chosen, why = "extractive", "no brain is named; it quotes the sources and generates nothing"
        _logger.info("brain %s: %s", chosen, why)
        self._brain = chosen
        return chosen

    def with_brain(self, brain: str | Brain) -> Agent:
        """An agent with the same soul and knowledge, and another engine."""
        other = Agent(
            config=self.config,
            soul=self.soul,
            retriever=self.retriever,
            embedder=None if isinstance(self._embedder, str) else self._embedder,
            guard=self._guard,
            on_attempt=self._on_attempt,
        )
        other._brain = brain
        other._own_retriever = False
        other._shield(None)  # an unknown name fails here, not at the first question
        return other

    # One question

    async def astream(
        self,
        question: str,
        *,
        filters: AnyFilters = None,
        history: Sequence[Any] | None = None,
        brain: str | Brain | None = None,
        timeout: float | None = None,
        top_k: int | None = None,
        max_output_tokens: int | None = None,
        temperature: float | None = None,
        images: Iterable[Image] = (),
    ) -> AsyncGenerator[Event, None]:
        """The answer as it comes: `Retrieved`, then `TextDelta`s, then `Answered`, last.

        An answer that breaks off after its first text gives `Interrupted` with the partial reply, then raises
        StreamInterruptedError. `timeout` is in seconds, for all of it; `history` holds Messages, Replies,
        `(question, answer)` pairs or `{"role", "content"}` dicts, oldest first. Closing the generator stops the engine.
        """
        clock = _Clock(timeout)
        shield = self._shield(brain)
        prompt, retrieval = await self._prompt(
            question,
            clock,
            filters=filters,
            history=history,
            top_k=top_k,
            max_output_tokens=max_output_tokens,
            temperature=temperature,
            images=tuple(images),
        )
        clock.retrieved()
        yield Retrieved(retrieval=retrieval)
        try:
            async with aclosing(shield.stream(prompt, timeout=clock.left())) as events:
                async for event in events:
                    if isinstance(event, Finished):
                        break
                    clock.token()
                    yield event
            assert isinstance(event, Finished)
            yield Answered(reply=self._reply(prompt, retrieval, event.completion, clock))
        except StreamInterruptedError as error:
            partial = Completion(
                text=error.partial, finish_reason="interrupted", model=error.model, attempts=error.attempts
            )
            yield Interrupted(reply=self._reply(prompt, retrieval, partial, clock))
            raise

    async def aask(self, question: str, **options: Any) -> Reply:
        """The answer, whole. Takes the options of `astream`, and raises what it raises."""
        async with aclosing(self.astream(question, **options)) as events:
            async for event in events:
                if isinstance(event, Answered):
                    return event.reply
        raise AssertionError("a stream ends with Answered, or raises")

    def ask(self, question: str, **options: Any) -> Reply:
        """The answer, whole. Takes the options of `astream`; works under a running event loop too."""
        return self._loop.run(functools.partial(self.aask, question, **options))

    def stream(self, question: str, **options: Any) -> Iterator[Event]:
        """The answer as it comes: see `astream`. A caller that stops early stops the engine."""
        return self._loop.iterate(functools.partial(self.astream, question, **options))

    async def apreview(
        self, question: str, *, brain: str | Brain | None = None, timeout: float | None = None, **options: Any
    ) -> Preview:
        """The prompt as it would be sent, with token counts; no brain is asked. Takes the options of `astream`."""
        shield = self._shield(brain)
        prompt, retrieval = await self._prompt(question, _Clock(timeout), **options)
        fitted = await shield.fit(prompt)
        return Preview(
            prompt=fitted.prompt,
            messages=render(fitted.prompt),
            prompt_tokens=fitted.prompt_tokens,
            limit_tokens=fitted.limit_tokens,
            brain=shield.name,
            retrieval=retrieval,
            flags=fitted.flags,
        )

    def preview(self, question: str, **options: Any) -> Preview:
        """The prompt as it would be sent, with token counts; no brain is asked."""
        return self._loop.run(functools.partial(self.apreview, question, **options))

    async def _prompt(
        self,
        question: str,
        clock: _Clock,
        *,
        filters: AnyFilters = None,
        history: Sequence[Any] | None = None,
        top_k: int | None = None,
        max_output_tokens: int | None = None,
        temperature: float | None = None,
        images: tuple[Image, ...] = (),
    ) -> tuple[Prompt, Retrieval]:
        question = _checked(question)
        turns = history_of(history)
        soul = self.soul
        retrieval = await self._retrieve(question, clock, top_k=top_k, filters=Filters.of(filters))
        lang = self.language
        prompt = Prompt(
            system=soul.system_prompt(),
            history=turns,
            passages=retrieval.passages,
            question=question,
            images=images,
            instructions=instructions_for(
                lang,
                today=datetime.date.today().isoformat(),
                passages=len(retrieval),
                abstain=retrieval.abstain,
            ),
            max_output_tokens=max_output_tokens,
            temperature=temperature,
            hints={"abstain": retrieval.abstain, "confidence": retrieval.confidence, "language": lang.code},
        )
        return prompt, retrieval

    async def _retrieve(self, query: str, clock: _Clock, *, top_k: int | None, filters: Filters | None) -> Retrieval:
        work = functools.partial(
            self.retriever.retrieve, query, top_k=top_k or self.config.knowledge.top_k, filters=filters
        )
        try:
            with anyio.fail_after(clock.left()):
                return await anyio.to_thread.run_sync(work, abandon_on_cancel=True)
        except TimeoutError as error:
            raise KnowledgeError(
                "Retrieval did not end in the time that the caller set.",
                remedy="Give a longer timeout; the first search of a process loads the index.",
                code="retrieval_timeout",
            ) from error

    def _reply(self, prompt: Prompt, retrieval: Retrieval, completion: Completion, clock: _Clock) -> Reply:
        last = completion.attempts[-1] if completion.attempts else None
        shown = prompt.sources if last is None else {m: p for m, p in prompt.sources.items() if m in last.shown}
        lang = self.language
        read_back = find_citations(completion.text, shown, lang, reader=self._reader)
        abstains = lang.abstains(strip_marks(completion.text))
        return Reply(
            id=uuid.uuid4().hex,
            question=prompt.question,
            text=completion.text,
            citations=read_back.citations,
            invented_marks=read_back.invented_marks,
            passages=retrieval.passages,
            usage=completion.usage,
            brain=last.brain if last else "",
            model=completion.model,
            soul=self.soul.fingerprint,
            timings=clock.timings(),
            finish_reason=completion.finish_reason,
            abstained=abstains and not any(citation.supported for citation in read_back.citations),
            tainted=last.tainted if last else prompt.tainted,
            flags=completion.flags,
            attempts=completion.attempts,
        )

    def _reader(self, passage: Passage) -> Callable[[], CitedLines]:
        lines: Callable[[str, int, int], str | None] | None = getattr(self.retriever, "lines", None)

        def read() -> CitedLines:
            text = passage.text if lines is None else lines(passage.path, passage.start_line, passage.end_line)
            return CitedLines(text=text, changed=text != passage.text)

        return read

    # The knowledge, without a brain

    def search(self, query: str, *, top_k: int | None = None, filters: AnyFilters = None) -> Retrieval:
        """The passages for a query, best first. Raises IndexMissingError where nothing is indexed yet."""
        return self.retriever.retrieve(
            _checked(query), top_k=top_k or self.config.knowledge.top_k, filters=Filters.of(filters)
        )

    async def asearch(self, query: str, *, top_k: int | None = None, filters: AnyFilters = None) -> Retrieval:
        """The passages for a query, best first, found in a worker thread."""
        return await self._retrieve(_checked(query), _Clock(None), top_k=top_k, filters=Filters.of(filters))

    def index(
        self,
        *,
        force: bool = False,
        rebuild: bool = False,
        verify: bool = False,
        purge: bool = False,
        progress: Progress | None = None,
    ) -> IndexReport:
        """Bring the index up to date with the folder: what was added, changed and removed, and nothing else.

        `force` reads every file again and accepts that many are gone; `rebuild` starts from nothing; `verify` holds
        the whole index against its manifest; `purge` leaves no byte of what was deleted. Interrupted, it goes on where
        it was.
        """
        from cervella.knowledge import KnowledgeIndex

        own = self.config.knowledge
        index = KnowledgeIndex(
            own.folder,
            own.index,
            embedder=self._embedder,
            language=self.config.knowledge_language,
            exclude=own.exclude,
            local_only=own.local_only,
        )
        return index.update(force=force, rebuild=rebuild, verify=verify, purge=purge, progress=progress)

    async def aindex(self, **options: Any) -> IndexReport:
        """`index`, in a worker thread."""
        return await anyio.to_thread.run_sync(functools.partial(self.index, **options))

    # The end

    async def aclose(self) -> None:
        """Release what the brains hold on this loop, then everything else."""
        for shield in list(self._shields.values()):
            await shield.aclose()
        await anyio.to_thread.run_sync(self.close)

    def close(self) -> None:
        """Release the engines, the index and the background loop. A closed agent can be used again."""
        with self._lock:
            shields, self._shields = list(self._shields.values()), {}
        if self._loop.running:
            for shield in shields:
                self._loop.run(shield.aclose)
        self._loop.close()
        close = getattr(self._retriever, "close", None)
        if self._own_retriever and close is not None:
            close()

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


class _Clock:
    """The times of one answer."""

    def __init__(self, timeout: float | None) -> None:
        if timeout is not None and not timeout > 0:
            raise ConfigError(f"timeout is {timeout!r}.", remedy="Give seconds above 0, or None for no limit.")
        self._started = time.monotonic()
        self._timeout = timeout
        self._retrieved: float | None = None
        self._first_token: float | None = None

    def left(self) -> float | None:
        """Seconds that are left; None for no limit."""
        return None if self._timeout is None else max(0.0, self._timeout - (time.monotonic() - self._started))

    def retrieved(self) -> None:
        self._retrieved = time.monotonic() - self._started

    def token(self) -> None:
        if self._first_token is None:
            self._first_token = time.monotonic() - self._started

    def timings(self) -> Timings:
        return Timings(
            retrieval_seconds=self._retrieved,
            first_token_seconds=self._first_token,
            total_seconds=time.monotonic() - self._started,
        )


def _given(**values: Any) -> dict[str, Any]:
    return {key: str(value) if isinstance(value, Path) else value for key, value in values.items() if value is not None}


def _checked(question: Any) -> str:
    if not isinstance(question, str) or not question.strip():
        raise ConfigError(
            f"The question is {question!r:.40}.",
            remedy="Ask something: a text that is not empty.",
            code="empty_question",
        )
    return question
