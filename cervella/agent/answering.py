"""The path of a question: a prompt is made, a brain answers it, the answer is read back, reviewed and kept."""

from __future__ import annotations

import datetime
import functools
import hashlib
import uuid
from collections.abc import AsyncGenerator, Iterable
from contextlib import aclosing
from dataclasses import replace
from typing import TYPE_CHECKING

import anyio
import anyio.to_thread

from cervella.agent.assembly import Parts
from cervella.agent.bookkeeping import Recording
from cervella.agent.question import (
    AnyBrain,
    AskOptions,
    ReviewOptions,
    checked_images,
    checked_numbers,
    checked_question,
)
from cervella.agent.replies import Replies
from cervella.brains.routing.fallback import Shielded
from cervella.brains.routing.router import RouteDecision, Router
from cervella.brains.shield.deadline import Clock
from cervella.errors import ConfigError, KnowledgeError, StreamInterruptedError
from cervella.prompt.history import asked_before, history_of, query_after
from cervella.prompt.layout import instructions_for, render
from cervella.types import (
    Answered,
    CitedLines,
    Completion,
    Event,
    Filters,
    Finished,
    Interrupted,
    Passage,
    Preview,
    Prompt,
    Reply,
    Retrieval,
    Retrieved,
    Reviewed,
)
from cervella.types.verdict import ReviewVerdict

if TYPE_CHECKING:
    from cervella.review.revision import Reviewing

__all__ = ["Answering"]


class Answering:
    """Answers questions with the parts of an agent, and keeps the books of every call."""

    def __init__(self, parts: Parts, recording: Recording) -> None:
        self._parts = parts
        self._recording = recording
        self._replies = Replies(parts, recording)

    async def stream(self, question: str, options: AskOptions) -> AsyncGenerator[Event, None]:
        """See `Agent.astream`."""
        clock = Clock(options.get("timeout"))
        shield = self._parts.shield(options.get("brain"))
        reviewing = self._reviewing(options.get("review"))
        prompt, retrieval = await self._prompt(question, options, clock, reply=uuid.uuid4().hex)
        clock.retrieved()
        yield Retrieved(retrieval=retrieval)
        soul, session = self._parts.soul.fingerprint, options.get("session")
        async with aclosing(self._answer(shield, prompt, retrieval, clock, session, soul, reviewing)) as events:
            async for event in events:
                yield event

    async def complete(
        self, prompt: Prompt, *, brain: AnyBrain | None, timeout: float | None, session: str | None, repeatable: bool
    ) -> Reply:
        """See `Agent.acomplete`."""
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
            answer = await self._replies.reply(prompt, retrieval, event.completion, clock, soul, looked=looked)
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
            yield Interrupted(reply=await self._replies.reply(prompt, retrieval, partial, clock, soul, looked=looked))
            raise
        finally:
            self._recording.end(prompt.reply)

    async def preview(self, question: str, options: AskOptions) -> Preview:
        """See `Agent.apreview`."""
        shield, prompt, retrieval = await self._unasked(question, options)
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

    async def route(self, question: str, options: AskOptions) -> RouteDecision:
        """See `Agent.aroute`."""
        shield, prompt, _ = await self._unasked(question, options)
        if isinstance(shield, Router):
            return await anyio.to_thread.run_sync(shield.decide, prompt)
        members = [member.name for member in getattr(shield, "members", (shield,))]
        named = options.get("brain") is not None
        rule, reason = ("explicit", "the caller named it") if named else ("configured", "it is configured")
        return RouteDecision(brain=members[0], rule=rule, reason=reason, features={}, order=tuple(members))

    async def _unasked(self, question: str, options: AskOptions) -> tuple[Shielded, Prompt, Retrieval]:
        """What a question would be asked with; a second brain that can't be made fails here as it would there."""
        clock = Clock(options.get("timeout"))
        shield = self._parts.shield(options.get("brain"))
        if options.get("review") is not None:
            self._reviewing(options.get("review"))
        return shield, *await self._prompt(question, options, clock)

    async def _prompt(
        self, question: str, options: AskOptions, clock: Clock, *, reply: str = "", retrieval: Retrieval | None = None
    ) -> tuple[Prompt, Retrieval]:
        """The prompt for a question, with what was retrieved for it, or with what is given as `retrieval`."""
        question, images = checked_question(question), checked_images(options.get("images", ()))
        max_output_tokens, temperature = options.get("max_output_tokens"), options.get("temperature")
        checked_numbers(max_output_tokens, temperature)
        history = options.get("history")
        given = tuple(history) if isinstance(history, Iterable) else history  # an iterator is read once
        turns = history_of(given)
        parts, today = self._parts, datetime.date.today().isoformat()
        soul, lang = parts.soul, parts.language
        if retrieval is None:
            query = options.get("query") or query_after(question, asked_before(given or ()), lang, parts.persona)
            filters = Filters.of(options.get("filters"))
            retrieval = await self.retrieve(query or question, clock, top_k=options.get("top_k"), filters=filters)
        named = {"route": "explicit", "reason": "the caller named it"} if options.get("brain") is not None else {}
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
                "persona": parts.persona,
                "batch": options.get("batch", False),
                "instructions_without_passages": instructions_for(lang, today=today, passages=0),
                **named,
            },
            reply=reply,
        )
        return prompt, retrieval

    async def retrieve(self, query: str, clock: Clock, *, top_k: int | None, filters: Filters | None) -> Retrieval:
        """The passages for a query, found in a worker thread, in the time that the clock has left."""
        work = functools.partial(self._parts.retriever.retrieve, query, top_k=self.top_k(top_k), filters=filters)
        try:
            with anyio.fail_after(clock.left()):
                return await anyio.to_thread.run_sync(work, abandon_on_cancel=True)
        except TimeoutError as error:
            raise KnowledgeError(
                "Retrieval did not end in the time that the caller set.",
                remedy="Give a longer timeout; the first search of a process loads the index.",
                code="retrieval_timeout",
            ) from error

    def top_k(self, asked: int | None) -> int:
        """How many passages to retrieve."""
        return self._parts.config.knowledge.top_k if asked is None else asked

    # A second opinion

    def _reviewing(self, review: bool | AnyBrain | None) -> Reviewing | None:
        own = self._parts.config.review
        if review is False or (review is None and not own.enabled):
            return None
        from cervella.review.revision import Reviewing  # the checks: most answers are not reviewed

        second = own.brain if review is None or review is True else review
        return Reviewing(
            lang=self._parts.language,
            traits=self._parts.traits,
            threshold=own.threshold,
            rounds=own.rounds,
            second=None if second is None else self._parts.shield(second),
        )

    async def _reviewed(
        self, reviewing: Reviewing, prompt: Prompt, retrieval: Retrieval, answer: Reply, shield: Shielded, clock: Clock
    ) -> Reply:
        async def remade(_: Prompt, completion: Completion) -> Reply:
            return await self._replies.reply(prompt, retrieval, completion, clock, answer.soul)

        kept = await reviewing.revised(prompt, answer, shield, clock, remade)
        await self._recording.written(prompt.reply, kept.text)
        return replace(kept, cost_usd=self._recording.cost(prompt.reply))

    async def review(self, answer: Reply | str, options: ReviewOptions) -> ReviewVerdict:
        """See `Agent.areview`."""
        clock, brain = Clock(options.get("timeout")), options.get("brain")
        reviewing = self._reviewing(True if brain is None else brain)
        assert reviewing is not None
        written = answer if isinstance(answer, Reply) else None
        asked = written.question if written is not None else options.get("question")
        if not asked:
            raise ConfigError(
                "A text is reviewed beside the question that it answers.",
                remedy="Give it as question=…",
                code="no_question",
            )
        found = None if written is None else Retrieval(query=written.retrieval_query, passages=written.passages)
        wanted = AskOptions(filters=options.get("filters"), query=options.get("query"), top_k=options.get("top_k"))
        prompt, retrieval = await self._prompt(asked, wanted, clock, reply=uuid.uuid4().hex, retrieval=found)
        soul = self._parts.soul.fingerprint
        self._recording.begin(prompt.reply, session=None, soul=soul, question=asked)
        try:
            if written is None:
                completion = Completion(text=answer if isinstance(answer, str) else answer.text)
                written = await self._replies.reply(prompt, retrieval, completion, clock, soul)
                written = replace(written, tainted=options.get("tainted", False) or prompt.tainted)
            verdict, _ = await reviewing.review(prompt, written, clock)
            return verdict
        finally:
            self._recording.end(prompt.reply)

    def read(self, passage: Passage) -> CitedLines:
        """See `Agent.read`."""
        return self._replies.read(passage)
