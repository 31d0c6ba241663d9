"""The Agent: the only place where soul, knowledge and brain meet."""

from __future__ import annotations

import copy
import datetime
import functools
import hashlib
import logging
import os
import uuid
from collections.abc import AsyncGenerator, Callable, Generator, Iterable, Mapping
from contextlib import aclosing
from dataclasses import replace
from types import TracebackType
from typing import TYPE_CHECKING, Any

import anyio
import anyio.to_thread

from cervella.agent.assembly import Parts
from cervella.agent.batch import in_order
from cervella.agent.bookkeeping import Recording
from cervella.agent.faces import Asking
from cervella.agent.question import AnyBrain, AnyFilters, checked_options, checked_question
from cervella.agent.session import Session
from cervella.brains.routing.fallback import Shielded
from cervella.brains.routing.router import RouteDecision, Router
from cervella.brains.shield.deadline import Clock
from cervella.brains.shield.shield import Guard
from cervella.claims.citations import LinesReader, find_citations_within
from cervella.configuration.config import Config, load_config
from cervella.errors import CervellaError, ConfigError, KnowledgeError, StreamInterruptedError
from cervella.process.loop import BackgroundLoop
from cervella.prompt.history import asked_before, history_of, query_after
from cervella.prompt.layout import find_marks, instructions_for, render, strip_marks
from cervella.protocols import Embedder, Retriever, Soul
from cervella.records.conversations import Conversations
from cervella.records.ledger import Ledger
from cervella.soul import Traits
from cervella.text.language import Language, known_languages, language
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
    Progress,
    Prompt,
    Reply,
    Retrieval,
    Retrieved,
    Reviewed,
)
from cervella.types.verdict import ReviewVerdict

if TYPE_CHECKING:
    from typing import Self

    from cervella.review.revision import Reviewing

__all__ = ["Agent"]

_logger = logging.getLogger("cervella")


class Agent(Asking):
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
        self._recording = Recording(loaded, guard=guard, on_attempt=on_attempt)
        self._parts = Parts(
            loaded,
            brain=None if isinstance(brain, str) else brain,
            embedder=embedder,
            soul=soul,
            retriever=retriever,
            guard=self._recording.guard,
            on_attempt=self._recording.on_attempt,
            affordable=self._recording.affordable,
            locked=constitution is None,  # another Constitution than the configured one is not what the lock pins
        )
        self._loop = BackgroundLoop()

    def __repr__(self) -> str:
        return f"Agent(brain={self._parts.brain_name!r}, knowledge={str(self.config.knowledge.folder)!r})"

    # The parts

    @property
    def config(self) -> Config:
        """What was configured, paths resolved."""
        return self._parts.config

    @property
    def soul(self) -> Soul:
        """Who speaks. Raises SoulError where the Constitution can't be used."""
        return self._parts.soul

    @property
    def retriever(self) -> Retriever:
        """What is known."""
        return self._parts.retriever

    @property
    def brain_name(self) -> str:
        """The name of the brain that answers, or would, if it could be made."""
        return self._parts.brain_name

    @property
    def brain(self) -> Shielded:
        """What thinks, behind its shield."""
        return self._parts.shield(None)

    def brain_named(self, brain: AnyBrain, *, repeatable: bool = False) -> Shielded:
        """The brain of this name behind its shield, as a question would find it; nobody is asked.

        `repeatable`: as `acomplete` finds it where that asks for one.
        """
        return self._parts.shield(brain, repeatable=repeatable)

    @property
    def brain_reason(self) -> str | None:
        """Why this brain answers, where none was named; None where one was."""
        _ = self.brain
        return self._parts.brain_reason

    @property
    def traits(self) -> Traits:
        """What the Constitution declares of her, `[soul.traits]` on top."""
        return Traits.of(self.soul, self.config.soul.traits.model_dump(exclude_none=True))

    @property
    def persona(self) -> str | None:
        """Her name: the trait, else the title of the Constitution; None where that can't be read."""
        return self._parts.persona

    @property
    def language(self) -> Language:
        """The language of the knowledge base."""
        return language(self.config.knowledge_language)

    def with_brain(self, brain: AnyBrain) -> Agent:
        """An agent with the same soul and knowledge, and another engine."""
        other = copy.copy(self)
        other._parts = self._parts.with_brain(brain)
        other._loop = BackgroundLoop()
        other._parts.shield(None)  # an unknown name fails here, not at the first question
        return other

    # One question

    async def astream(
        self,
        question: str,
        *,
        filters: AnyFilters = None,
        history: Iterable[Any] | None = None,
        brain: AnyBrain | None = None,
        timeout: float | None = None,
        top_k: int | None = None,
        max_output_tokens: int | None = None,
        temperature: float | None = None,
        images: Iterable[Image] = (),
        query: str | None = None,
        batch: bool = False,
        session: str | None = None,
        review: bool | AnyBrain | None = None,
    ) -> AsyncGenerator[Event, None]:
        """The answer as it comes: `Retrieved`, then `TextDelta`s, then `Answered`, last.

        With `review` the answer is checked, and revised where it does not stand: `Reviewed` comes before `Answered`,
        with the text that was kept; where `Reviewed.verdict.revised`, that text takes the place of all that was
        streamed. True asks for the checks and the second hand of `[review]`, a brain for that one as second hand,
        False for none; by default `[review] enabled` says.

        An answer that breaks off after its first text gives `Interrupted` with the partial reply, then raises
        StreamInterruptedError. `timeout` is in seconds, for all of it; `history` holds Messages, Replies,
        `(question, answer)` pairs or `{"role", "content"}` dicts, oldest first; `query` is what to search for, by
        default the question, and a follow-up («e quanto costa?») together with the one before it; `session` is whose
        question the ledger says it is; `batch` says that nobody waits for this answer, which a router looks at. Closing
        the generator stops the engine.
        """
        reply = uuid.uuid4().hex
        clock = Clock(timeout)
        shield = self._parts.shield(brain)
        reviewing = self._reviewing(review)
        prompt, retrieval = await self._prompt(
            question,
            clock,
            filters=filters,
            history=history,
            top_k=top_k,
            max_output_tokens=max_output_tokens,
            temperature=temperature,
            images=tuple(images),
            query=query,
            batch=batch,
            reply=reply,
        )
        if brain is not None:
            prompt = replace(prompt, hints={**prompt.hints, "route": "explicit", "reason": "the caller named it"})
        clock.retrieved()
        yield Retrieved(retrieval=retrieval)
        soul = self.soul.fingerprint
        async with aclosing(self._answer(shield, prompt, retrieval, clock, session, soul, reviewing)) as events:
            async for event in events:
                yield event

    async def acomplete(
        self,
        prompt: Prompt,
        *,
        brain: AnyBrain | None = None,
        timeout: float | None = None,
        session: str | None = None,
        repeatable: bool = False,
    ) -> Reply:
        """The answer to a prompt that is whole already: nothing is retrieved or added, the soul neither.

        It goes through the brain's shield and into the ledger as a question does. `Reply.soul` is the fingerprint of
        the prompt's own system text, empty where it has none. For evaluations, which ask every brain the same bytes.

        `repeatable` makes a brain that is asked for by name with its option `repeatable`, where it has one and the
        configuration does not set it: the same prompt then gives the same bytes.
        """
        clock = Clock(timeout)
        shield = self._parts.shield(brain, repeatable=repeatable)
        prompt = replace(prompt, reply=uuid.uuid4().hex)
        given = Retrieval(query=prompt.question, passages=prompt.passages)
        soul = hashlib.sha256(prompt.system.encode()).hexdigest() if prompt.system else ""
        async with aclosing(self._answer(shield, prompt, given, clock, session, soul, looked=False)) as events:
            async for event in events:
                if isinstance(event, Answered):
                    return event.reply
        raise AssertionError("an answer ends with Answered, or raises")

    def complete(self, prompt: Prompt, **options: Any) -> Reply:
        """The answer to a prompt that is whole already: see `acomplete`."""
        return self._loop.run(functools.partial(self.acomplete, prompt, **options))

    async def _answer(
        self,
        shield: Shielded,
        prompt: Prompt,
        retrieval: Retrieval,
        clock: Clock,
        session: str | None,
        soul: str,
        reviewing: Reviewing | None = None,
        *,
        looked: bool = True,
    ) -> AsyncGenerator[Event, None]:
        """`TextDelta`s, `Reviewed` where it is wanted, then `Answered`; in the books whatever becomes of it."""
        self._recording.begin(prompt.reply, session=session, soul=soul, question=prompt.question)
        try:
            async with aclosing(shield.stream(prompt, timeout=clock.left())) as events:
                async for event in events:
                    if isinstance(event, Finished):
                        break
                    clock.token()
                    yield event
            assert isinstance(event, Finished)
            answer = await self._reply(prompt, retrieval, event.completion, clock, soul, looked=looked)
            if reviewing is not None:
                answer = await self._reviewed(reviewing, prompt, retrieval, answer, shield, clock)
                assert answer.review is not None
                yield Reviewed(verdict=answer.review, text=answer.text)
            yield Answered(reply=answer)
        except StreamInterruptedError as error:
            partial = Completion(
                text=error.partial,
                finish_reason="interrupted",
                model=error.model,
                attempts=error.attempts,
                flags=error.flags,
            )
            yield Interrupted(reply=await self._reply(prompt, retrieval, partial, clock, soul, looked=looked))
            raise
        finally:
            self._recording.end(prompt.reply)

    async def apreview(
        self, question: str, *, brain: AnyBrain | None = None, timeout: float | None = None, **options: Any
    ) -> Preview:
        """The prompt as it would be sent, with token counts; no brain is asked. Takes the options of `astream`."""
        shield = self._parts.shield(brain)
        prompt, retrieval = await self._prompt(question, Clock(timeout), **options)
        fitted = await shield.fit(prompt)
        return Preview(
            prompt=fitted.prompt,
            messages=render(fitted.prompt),
            prompt_tokens=fitted.prompt_tokens,
            limit_tokens=fitted.limit_tokens,
            brain=shield.name,
            retrieval=retrieval,
            flags={**fitted.flags, **retrieval.index_flags()},
        )

    async def aroute(
        self, question: str, *, brain: AnyBrain | None = None, timeout: float | None = None, **options: Any
    ) -> RouteDecision:
        """Which brain would be asked, and why; nobody is called. Takes the options of `astream`."""
        shield = self._parts.shield(brain)
        prompt, _ = await self._prompt(question, Clock(timeout), **options)
        if isinstance(shield, Router):
            return await anyio.to_thread.run_sync(shield.decide, prompt)
        members = [member.name for member in getattr(shield, "members", (shield,))]
        rule, reason = ("explicit", "the caller named it") if brain is not None else ("configured", "it is configured")
        return RouteDecision(brain=members[0], rule=rule, reason=reason, features={}, order=tuple(members))

    def route(self, question: str, **options: Any) -> RouteDecision:
        """Which brain would be asked, and why; nobody is called."""
        return self._loop.run(functools.partial(self.aroute, question, **options))

    def preview(self, question: str, **options: Any) -> Preview:
        """The prompt as it would be sent, with token counts; no brain is asked."""
        return self._loop.run(functools.partial(self.apreview, question, **options))

    async def _prompt(
        self,
        question: str,
        clock: Clock,
        *,
        filters: AnyFilters = None,
        history: Iterable[Any] | None = None,
        top_k: int | None = None,
        max_output_tokens: int | None = None,
        temperature: float | None = None,
        images: tuple[Image, ...] = (),
        query: str | None = None,
        batch: bool = False,
        reply: str = "",
        retrieval: Retrieval | None = None,
    ) -> tuple[Prompt, Retrieval]:
        question = checked_question(question)
        checked_options(max_output_tokens, temperature, images)
        given = tuple(history) if isinstance(history, Iterable) else history  # an iterator is read once
        turns = history_of(given)
        soul, lang, today = self.soul, self.language, datetime.date.today().isoformat()
        if retrieval is None:
            query = query or query_after(question, asked_before(given or ()), lang, self.persona) or question
            retrieval = await self._retrieve(query, clock, top_k=top_k, filters=Filters.of(filters))
        prompt = Prompt(
            system=soul.system_prompt(),
            history=turns,
            passages=retrieval.passages,
            question=question,
            images=images,
            instructions=instructions_for(lang, today=today, passages=len(retrieval), abstain=retrieval.abstain),
            max_output_tokens=max_output_tokens,
            temperature=temperature,
            hints={
                "abstain": retrieval.abstain,
                "confidence": retrieval.confidence,
                "language": lang.code,
                "persona": self.persona,
                "batch": batch,
                "instructions_without_passages": instructions_for(lang, today=today, passages=0),
            },
            reply=reply,
        )
        return prompt, retrieval

    async def _retrieve(self, query: str, clock: Clock, *, top_k: int | None, filters: Filters | None) -> Retrieval:
        work = functools.partial(self.retriever.retrieve, query, top_k=self._top_k(top_k), filters=filters)
        try:
            with anyio.fail_after(clock.left()):
                return await anyio.to_thread.run_sync(work, abandon_on_cancel=True)
        except TimeoutError as error:
            raise KnowledgeError(
                "Retrieval did not end in the time that the caller set.",
                remedy="Give a longer timeout; the first search of a process loads the index.",
                code="retrieval_timeout",
            ) from error

    async def _reply(
        self,
        prompt: Prompt,
        retrieval: Retrieval,
        completion: Completion,
        clock: Clock,
        soul: str,
        *,
        looked: bool = True,
    ) -> Reply:
        """`looked` is false for passages that no retriever gave: their files are not looked at."""
        id = prompt.reply
        await self._recording.written(id, completion.text)
        last = completion.attempts[-1] if completion.attempts else None
        shown = prompt.sources if last is None else {m: p for m, p in prompt.sources.items() if m in last.shown}
        lang = self.language
        answer = "" if completion.finish_reason == "refusal" else completion.text  # a refusal answers nothing
        cited = {item.mark: shown[item.mark] for item in find_marks(answer) if item.mark in shown}
        changed = await anyio.to_thread.run_sync(self._changed, cited) if looked and cited else {}
        read_back = await find_citations_within(clock.left(), answer, shown, lang, reader=self._reader, changed=changed)
        stale = {citation.path for citation in read_back.citations if citation.changed}  # since the last look, maybe
        behind = replace(retrieval, behind=max(retrieval.behind, len(stale)))
        said = strip_marks(answer)  # an engine may say it in another language than the base's
        abstains = any(language(code).abstains(said) for code in known_languages())
        return Reply(
            id=id,
            question=prompt.question,
            retrieval_query=retrieval.query,
            text=completion.text,
            citations=read_back.citations,
            invented_marks=read_back.invented_marks,
            passages=retrieval.passages,
            usage=completion.usage,
            cost_usd=self._recording.cost(id),
            brain=last.brain if last else "",
            model=completion.model,
            soul=soul,
            timings=clock.timings(),
            finish_reason=completion.finish_reason,
            abstained=abstains and not any(citation.supported for citation in read_back.citations),
            tainted=last.tainted if last else prompt.tainted,
            flags={
                **completion.flags,
                **behind.index_flags(),
                **({"citations_unread": read_back.unread} if read_back.unread else {}),
            },
            attempts=completion.attempts,
        )

    def _changed(self, cited: Mapping[str, Passage]) -> dict[str, bool | None]:
        """By mark whether the file behind it has changed since it was indexed; None where nobody can tell."""
        look: Callable[[Passage], bool | None] | None = getattr(self.retriever, "changed", None)
        if look is None and hasattr(self.retriever, "lines"):
            look = self._lines_changed
        if look is None:
            return {}
        try:
            return {mark: look(passage) for mark, passage in cited.items()}
        except Exception:  # the answer is there, and is not lost for this
            _logger.exception("whether the cited files have changed could not be looked at")
            return {}

    def _lines_changed(self, passage: Passage) -> bool:
        return self.read(passage).changed

    # A second pair of hands

    def _reviewing(self, review: bool | AnyBrain | None) -> Reviewing | None:
        own = self.config.review
        if review is False or (review is None and not own.enabled):
            return None
        from cervella.review.revision import Reviewing  # the checks: most answers are not reviewed

        second = own.brain if review is None or review is True else review
        return Reviewing(
            lang=self.language,
            traits=self.traits,
            threshold=own.threshold,
            rounds=own.rounds,
            second=None if second is None else self._parts.shield(second),
        )

    async def _reviewed(
        self, reviewing: Reviewing, prompt: Prompt, retrieval: Retrieval, answer: Reply, shield: Shielded, clock: Clock
    ) -> Reply:
        async def remade(_: Prompt, completion: Completion) -> Reply:
            return await self._reply(prompt, retrieval, completion, clock, answer.soul)

        kept = await reviewing.revised(prompt, answer, shield, clock, remade)
        await self._recording.written(prompt.reply, kept.text)
        return replace(kept, cost_usd=self._recording.cost(prompt.reply))

    async def areview(
        self,
        answer: Reply | str,
        *,
        question: str | None = None,
        brain: AnyBrain | None = None,
        filters: AnyFilters = None,
        query: str | None = None,
        tainted: bool = False,
        timeout: float | None = None,
        top_k: int | None = None,
    ) -> ReviewVerdict:
        """The verdict on an answer; nothing is revised.

        A Reply is held against the passages that it was written from, and `question` and the rest are its own. A text
        is held against what the base gives for `question`, in that order: its `[F1]` is the first passage of
        `search(query or question)`. `brain` is the second hand, by default that of `[review]`; `tainted` says that the
        text was written with something local-only in sight, which no cloud brain may see.
        """
        clock = Clock(timeout)
        reviewing = self._reviewing(True if brain is None else brain)
        assert reviewing is not None
        written = answer if isinstance(answer, Reply) else None
        asked = written.question if written is not None else question
        if not asked:
            raise ConfigError(
                "A text is reviewed beside the question that it answers.",
                remedy="Give it as question=…",
                code="no_question",
            )
        found = None if written is None else Retrieval(query=written.retrieval_query, passages=written.passages)
        prompt, retrieval = await self._prompt(
            asked, clock, filters=filters, top_k=top_k, query=query, reply=uuid.uuid4().hex, retrieval=found
        )
        soul = self.soul.fingerprint
        self._recording.begin(prompt.reply, session=None, soul=soul, question=asked)
        try:
            if written is None:
                completion = Completion(text=answer if isinstance(answer, str) else answer.text)
                written = await self._reply(prompt, retrieval, completion, clock, soul)
                written = replace(written, tainted=tainted or prompt.tainted)
            verdict, _ = await reviewing.review(prompt, written, clock)
            return verdict
        finally:
            self._recording.end(prompt.reply)

    def review(self, answer: Reply | str, **options: Any) -> ReviewVerdict:
        """The verdict on an answer; nothing is revised: see `areview`."""
        return self._loop.run(functools.partial(self.areview, answer, **options))

    def read(self, passage: Passage) -> CitedLines:
        """A passage's lines as on disk now, and whether they changed since it was indexed."""
        lines: Callable[[str, int, int], str | None] | None = getattr(self.retriever, "lines", None)
        text = passage.text if lines is None else lines(passage.path, passage.start_line, passage.end_line)
        return CitedLines(text=text, changed=text != passage.text)

    def _reader(self, passage: Passage) -> Callable[[], CitedLines]:
        return LinesReader(self.read, passage)

    # Many questions

    async def abatch(
        self, questions: Iterable[str | Mapping[str, Any]], *, concurrency: int = 4, **options: Any
    ) -> AsyncGenerator[Reply | CervellaError, None]:
        """The answers in the order of the questions, so many asked at once; a question that fails gives its error.

        A question is a text, or a mapping with `question` and options of `astream` that hold for it alone. Closing the
        generator stops the engines.
        """

        async def answer(question: str, own: Mapping[str, Any]) -> Reply:
            return await self.aask(question, **{"batch": True, **options, **own})

        async with aclosing(in_order(answer, questions, concurrency=concurrency)) as replies:
            async for reply in replies:
                yield reply

    def batch(
        self, questions: Iterable[str | Mapping[str, Any]], *, concurrency: int = 4, **options: Any
    ) -> Generator[Reply | CervellaError, None, None]:
        """The answers in the order of the questions, as they come: see `abatch`."""
        return self._loop.iterate(functools.partial(self.abatch, questions, concurrency=concurrency, **options))

    # The ledger

    @property
    def ledger(self) -> Ledger:
        """What every call of an engine took and cost."""
        return self._recording.ledger

    def feedback(self, reply: Reply | str, *, good: bool, note: str | None = None) -> None:
        """Keep in the ledger what somebody says of a reply, or of the id of one; a second word replaces the first.

        Raises LedgerError where the ledger does not hold the reply, or can't be written.
        """
        self._recording.feedback(reply if isinstance(reply, str) else reply.id, good=good, note=note)

    # Conversations

    def session(self, id: str, *, filters: AnyFilters = None) -> Session:
        """A conversation that is kept across restarts, by its id. `filters` hold for all its questions, for ever."""
        return Session(self, id, Filters.of(filters), self.conversations, self._loop)

    @property
    def conversations(self) -> Conversations:
        """All sessions: list, export, delete. A deleted one leaves the ledger too."""
        return Conversations(self.config.conversations.path, on_delete=lambda id: self.ledger.forget(id))

    # The knowledge, without a brain

    def search(self, query: str, *, top_k: int | None = None, filters: AnyFilters = None) -> Retrieval:
        """The passages for a query, best first. Raises IndexMissingError where nothing is indexed yet."""
        return self.retriever.retrieve(checked_question(query), top_k=self._top_k(top_k), filters=Filters.of(filters))

    def _top_k(self, asked: int | None) -> int:
        return self.config.knowledge.top_k if asked is None else asked

    async def asearch(self, query: str, *, top_k: int | None = None, filters: AnyFilters = None) -> Retrieval:
        """The passages for a query, best first, found in a worker thread."""
        return await self._retrieve(checked_question(query), Clock(None), top_k=top_k, filters=Filters.of(filters))

    def index(
        self,
        *,
        force: bool = False,
        rebuild: bool = False,
        verify: bool = False,
        purge: bool = False,
        strict: bool = False,
        progress: Progress | None = None,
    ) -> IndexReport:
        """Bring the index up to date with the folder: what was added, changed and removed, and nothing else.

        `force` reads every file again and accepts that many are gone; `rebuild` starts from nothing; `verify` holds
        the whole index against its manifest; `purge` leaves no byte of what was deleted. Interrupted, it goes on where
        it was.

        Where a pattern of `[knowledge] local_only` names nothing, `strict` raises UnmatchedPatternError before anything
        is written, as `cervella index` does. Else the log and the report warn of it, and what was marked stays marked.
        """
        index = self._parts.index()
        return index.update(force=force, rebuild=rebuild, verify=verify, purge=purge, strict=strict, progress=progress)

    def drift(self) -> IndexReport:
        """How far the index is from the folder: what `index` would do, none of it done."""
        return self._parts.index().drift()

    async def aindex(self, **options: Any) -> IndexReport:
        """`index`, in a worker thread."""
        return await anyio.to_thread.run_sync(functools.partial(self.index, **options))

    # The end

    async def aclose(self) -> None:
        """Release what the brains hold on this loop, then everything else."""
        await self._close_brains()
        await anyio.to_thread.run_sync(self.close)

    def close(self) -> None:
        """Release the engines, the index and the background loop. A closed agent can be used again."""
        if self._loop.running:
            self._loop.run(self._close_brains)
        self._loop.close()
        self._recording.close()
        self._parts.close()

    async def _close_brains(self) -> None:
        for shield in self._parts.shields():
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
