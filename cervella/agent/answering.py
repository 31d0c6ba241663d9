"""The steps of a question: retrieve passages, build the prompt, call the brain, check citations, review the answer."""

from __future__ import annotations

import datetime
import functools
import hashlib
import logging
import uuid
from collections.abc import AsyncGenerator, Callable, Iterable, Mapping
from contextlib import aclosing
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

import anyio
import anyio.to_thread

from cervella.agent.assembly import Assembly
from cervella.agent.bookkeeping import Bookkeeping
from cervella.agent.faces import (
    AnyBrain,
    AnyFilters,
    AskOptions,
    CompleteOptions,
    ReviewOptions,
    last_reply,
)
from cervella.agent.small_talk import small_talk_beside, talk_prompt
from cervella.brains.routing.fallback import Shielded
from cervella.brains.routing.router import RouteDecision, Router
from cervella.claims.citations import LinesReader, find_citations_within
from cervella.errors import ConfigError, KnowledgeError, StreamInterruptedError, check_flags
from cervella.privacy.stored import quoted
from cervella.prompt.history import asked_before, history_of, query_after
from cervella.prompt.layout import find_marks, instructions_for, render, strip_marks
from cervella.text.language import is_blank, known_languages, language
from cervella.types import (
    Answered,
    CitedLines,
    Completion,
    Event,
    Filters,
    Finished,
    Image,
    Interrupted,
    Passage,
    Preview,
    Prompt,
    Reply,
    Retrieval,
    Retrieved,
    Reviewed,
    ReviewVerdict,
)
from cervella.types.deadline import Deadline

if TYPE_CHECKING:
    from cervella.review.revision import Review

_logger = logging.getLogger("cervella")


@dataclass(frozen=True, eq=False, kw_only=True)
class _Asked:
    """A question whose prompt is ready to be sent."""

    prompt: Prompt
    retrieval: Retrieval
    deadline: Deadline
    soul: str
    """The fingerprint of the prompt's system text."""
    session: str | None = None
    searched: bool = True
    """Whether the retriever found the passages. If not, their files are not compared with the index."""


class Answering:
    """Answers questions with the parts of an agent, and records every call in the ledger."""

    def __init__(self, assembly: Assembly, books: Bookkeeping) -> None:
        self._assembly = assembly
        self._books = books

    def of(self, assembly: Assembly) -> Answering:
        """A copy with other parts and the same bookkeeping."""
        return Answering(assembly, self._books)

    async def stream(self, question: str, options: AskOptions) -> AsyncGenerator[Event, None]:
        """See `Agent.astream`."""
        deadline = Deadline(options.get("timeout"))
        shield = self._assembly.shield(options.get("brain"))
        review = self._review(options.get("review"))
        prompt, retrieval = await self._prompt(question, options, deadline)
        deadline.retrieved()
        asked = _Asked(
            prompt=prompt,
            retrieval=retrieval,
            deadline=deadline,
            soul=self._assembly.soul.fingerprint,
            session=options.get("session"),
        )
        yield Retrieved(retrieval=retrieval)
        async with aclosing(self._answer(asked, shield, review)) as events:
            async for event in events:
                yield event

    # Retrieve

    async def retrieve(
        self, query: str, deadline: Deadline | None = None, *, top_k: int | None, filters: AnyFilters
    ) -> Retrieval:
        """The passages for a query. The search runs in a worker thread. Raises KnowledgeError at the deadline."""
        work = functools.partial(self.search, query, top_k=top_k, filters=filters)
        try:
            with anyio.fail_after(None if deadline is None else deadline.left()):
                return await anyio.to_thread.run_sync(work, abandon_on_cancel=True)
        except TimeoutError as error:
            raise KnowledgeError(
                "The retrieval took longer than the timeout of the question.",
                remedy="Set a longer timeout. The first search of a process is slower, because it loads the index.",
                code="retrieval_timeout",
            ) from error

    def search(self, query: str, *, top_k: int | None, filters: AnyFilters) -> Retrieval:
        """The passages for a query. Raises ConfigError if the query is empty."""
        _check_text(query, "question")
        top_k = _checked_top_k(top_k) or self._assembly.config.knowledge.top_k
        found = self._assembly.retriever.retrieve(query, top_k=top_k, filters=Filters.of(filters))
        return self._assembly.taint.retrieval(found)

    # Make the prompt

    async def _prompt(
        self, question: str, options: AskOptions, deadline: Deadline, retrieval: Retrieval | None = None
    ) -> tuple[Prompt, Retrieval]:
        """The prompt for a question and its retrieval. Searches for passages unless `retrieval` is given."""
        _check_text(question, "question")
        images = _checked_images(options.get("images"))
        _check_session(options.get("session"))
        check_flags(options, ("batch",))
        max_output_tokens, temperature = options.get("max_output_tokens"), options.get("temperature")
        _check_numbers(max_output_tokens, temperature)
        top_k, filters = _checked_top_k(options.get("top_k")), Filters.of(options.get("filters"))
        history = options.get("history")
        given = tuple(history) if isinstance(history, Iterable) else history  # an iterator can be read only once
        taint, today = self._assembly.taint, datetime.date.today().isoformat()
        turns = await anyio.to_thread.run_sync(taint.history, history_of(given))
        confidential = await anyio.to_thread.run_sync(taint.is_local_only, images) if images else False
        soul, lang, persona = self._assembly.soul, self._assembly.language, self._assembly.persona
        query = options.get("query")
        talk = None
        if not (query or images or retrieval):
            look = functools.partial(small_talk_beside, self._assembly.retriever, question, lang, persona)
            talk = await anyio.to_thread.run_sync(look)
        if talk is not None:
            retrieval = Retrieval(query="", passages=())
        elif retrieval is None:
            if query:
                _check_text(query, "query")
            else:
                query = query_after(question, asked_before(given or ()), lang, persona)
            retrieval = await self.retrieve(query or question, deadline, top_k=top_k, filters=filters)
        else:
            passages = await anyio.to_thread.run_sync(taint.passages, retrieval.passages)
            retrieval = replace(retrieval, passages=passages)
        named = {"route": "explicit", "reason": "the caller named it"} if options.get("brain") is not None else {}
        if talk is None:
            instructions = instructions_for(lang, today=today, passages=len(retrieval), abstain=retrieval.abstain)
            bare = instructions_for(lang, today=today, passages=0)
        else:
            say = functools.partial(talk_prompt, talk, soul, self._assembly.traits, persona, today=today)
            said = await anyio.to_thread.run_sync(say)
            bare = instructions = said.instructions
            named |= said.hints
        prompt = Prompt(
            system=soul.system_prompt(),
            history=turns,
            passages=retrieval.passages,
            question=question,
            images=images,
            instructions=instructions,
            max_output_tokens=max_output_tokens,
            temperature=temperature,
            hints={
                "abstain": retrieval.abstain,
                "confidence": retrieval.confidence,
                "language": lang.code,
                "persona": persona,
                "batch": bool(options.get("batch")),
                "instructions_without_passages": bare,
                **named,
            },
            confidential=confidential,
            reply=uuid.uuid4().hex,
        )
        return prompt, retrieval

    # Ask

    async def _answer(
        self, asked: _Asked, shield: Shielded, review: Review | None = None
    ) -> AsyncGenerator[Event, None]:
        """Yield `TextDelta` events, `Reviewed` if there is a review, then `Answered`. All calls go into the ledger."""
        prompt = asked.prompt
        with self._books.reply(prompt.reply, session=asked.session, soul=asked.soul, question=prompt.question):
            try:
                async with aclosing(shield.stream(prompt, timeout=asked.deadline)) as events:
                    async for event in events:
                        if isinstance(event, Finished):
                            break
                        asked.deadline.token()
                        yield event
                assert isinstance(event, Finished)
                reply = await self._reply(asked, event.completion)
                if review is not None:
                    reply = await self._reviewed(asked, shield, review, reply)
                    assert reply.review is not None
                    yield Reviewed(verdict=reply.review, text=reply.text)
                yield Answered(reply=reply)
            except StreamInterruptedError as error:
                partial = Completion(
                    text=error.partial,
                    finish_reason="interrupted",
                    model=error.model,
                    attempts=error.attempts,
                    flags=error.flags,
                )
                yield Interrupted(reply=await self._reply(asked, partial))
                raise

    # Check the citations

    async def _reply(self, asked: _Asked, completion: Completion, *, remembered: bool = True) -> Reply:
        """The reply for a completion: its citations are checked, and its calls are in the ledger.

        `remembered`: the reply may be part of the history of a later question.
        """
        prompt, retrieval, lang = asked.prompt, asked.retrieval, self._assembly.language
        await self._books.written(prompt.reply, completion.text)
        last = completion.attempts[-1] if completion.attempts else None
        shown = prompt.sources if last is None else {m: p for m, p in prompt.sources.items() if m in last.shown}
        answer = "" if completion.finish_reason == "refusal" else completion.text  # a refusal has no citations
        cited = {item.mark: shown[item.mark] for item in find_marks(answer) if item.mark in shown}
        changed = await anyio.to_thread.run_sync(self._changed, cited) if asked.searched and cited else {}
        read_back = await find_citations_within(
            asked.deadline.left(),
            answer,
            shown,
            lang,
            reader=functools.partial(LinesReader, self.read),
            changed=changed,
        )
        # A cited file may have changed after the retriever last compared the folder with the index.
        stale = {citation.path for citation in read_back.citations if citation.changed}
        behind = replace(retrieval, behind=max(retrieval.behind or 0, len(stale)) or retrieval.behind)
        bare = strip_marks(answer)
        abstains = any(language(code).abstains(bare) for code in known_languages())  # a brain may use any language
        location = last.location if last else "local"
        reply = Reply(
            id=prompt.reply,
            question=prompt.question,
            retrieval_query=retrieval.query,
            text=completion.text,
            citations=read_back.citations,
            invented_marks=read_back.invented_marks,
            passages=retrieval.passages,
            usage=completion.usage,
            cost_usd=self._books.cost(prompt.reply),
            brain=last.brain if last else "",
            model=completion.model,
            soul=asked.soul,
            timings=asked.deadline.timings(),
            finish_reason=completion.finish_reason,
            abstained=abstains,
            tainted=last.tainted if last else prompt.tainted,
            sources=self._assembly.taint.sources(shown.values(), prompt.history, location),
            flags={
                **completion.flags,
                **behind.index_flags(),
                **({"citations_unread": read_back.unread} if read_back.unread else {}),
            },
            attempts=completion.attempts,
        )
        if remembered:
            self._assembly.taint.remember(reply)
        return reply

    def _changed(self, cited: Mapping[str, Passage]) -> dict[str, bool | None]:
        """For each citation mark, whether its file has changed since it was indexed. None if this is not known."""
        retriever = self._assembly.retriever
        look: Callable[[Passage], bool | None] | None = getattr(retriever, "changed", None)
        if look is None and hasattr(retriever, "lines"):

            def look(passage: Passage) -> bool | None:
                return self.read(passage).changed

        if look is None:
            return {}
        try:
            return {mark: look(passage) for mark, passage in cited.items()}
        except Exception:  # the answer is complete and must not be lost
            _logger.exception("the cited files could not be compared with the index")
            return {}

    def read(self, passage: Passage) -> CitedLines:
        """See `Agent.read`."""
        lines: Callable[[str, int, int], str | None] | None = getattr(self._assembly.retriever, "lines", None)
        text = passage.text if lines is None else lines(passage.path, passage.start_line, passage.end_line)
        return CitedLines(text=text, changed=text != passage.text)

    # Review

    def _review(self, review: bool | AnyBrain | None) -> Review | None:
        """The settings of the review for the option `review`. None if the answer is not reviewed."""
        own = self._assembly.config.review
        if review is False or (review is None and not own.enabled):
            return None
        from cervella.review.revision import Review  # imported late, because most answers are not reviewed

        second = own.brain if review is None or review is True else review
        return Review(
            lang=self._assembly.language,
            traits=self._assembly.traits,
            threshold=own.threshold,
            rounds=own.rounds,
            second=None if second is None else self._assembly.shield(second),
            is_tainted=self._assembly.taint.reply,
        )

    async def _reviewed(self, asked: _Asked, shield: Shielded, review: Review, reply: Reply) -> Reply:
        remade = functools.partial(self._reply, asked)
        kept = await review.revised(asked.prompt, reply, shield, asked.deadline, remade)
        self._assembly.taint.remember(kept)
        await self._books.written(asked.prompt.reply, kept.text)
        return replace(kept, cost_usd=self._books.cost(asked.prompt.reply), timings=asked.deadline.timings())

    async def review(self, answer: Reply | str, options: ReviewOptions) -> ReviewVerdict:
        """See `Agent.areview`."""
        deadline, brain = Deadline(options.get("timeout")), options.get("brain")
        review = self._review(True if brain is None else brain)
        assert review is not None
        if not isinstance(answer, (Reply, str)):
            raise _wrong("answer", answer, "Give a Reply or a text.")
        check_flags(options, ("tainted",))
        written = answer if isinstance(answer, Reply) else None
        question = written.question if written is not None else options.get("question")
        if not question:
            raise ConfigError(
                "The review of a text needs the question that the text answers.",
                remedy="Add question=… to the call.",
                code="no_question",
            )
        found = None if written is None else Retrieval(query=written.retrieval_query, passages=written.passages)
        wanted = AskOptions(filters=options.get("filters"), query=options.get("query"), top_k=options.get("top_k"))
        prompt, retrieval = await self._prompt(question, wanted, deadline, found)
        soul = self._assembly.soul.fingerprint
        with self._books.reply(prompt.reply, session=None, soul=soul, question=question):
            taint, said = self._assembly.taint, options.get("tainted")
            if written is not None:
                tainted = await anyio.to_thread.run_sync(taint.reply, written)
            else:
                judged = functools.partial(taint.text, str(answer), question, vouched=said is False)
                tainted = bool(said) or await anyio.to_thread.run_sync(judged)
                asked = _Asked(prompt=prompt, retrieval=retrieval, deadline=deadline, soul=soul)
                written = await self._reply(asked, Completion(text=str(answer)), remembered=False)
                tainted = tainted or prompt.tainted
            written = replace(written, tainted=tainted)
            verdict, _ = await review.review(prompt, written, deadline)
            return verdict

    # A complete prompt, and a question that is not sent

    async def complete(self, prompt: Prompt, options: CompleteOptions) -> Reply:
        """See `Agent.acomplete`."""
        if not isinstance(prompt, Prompt):
            raise _wrong("prompt", prompt, "Give a Prompt, or use ask for a question.")
        _check_session(options.get("session"))
        check_flags(options, ("repeatable",))
        prompt = await anyio.to_thread.run_sync(self._assembly.taint.prompt, prompt)
        prompt = replace(prompt, reply=uuid.uuid4().hex)
        asked = _Asked(
            prompt=prompt,
            retrieval=Retrieval(query=prompt.question, passages=prompt.passages),
            deadline=Deadline(options.get("timeout")),
            soul=hashlib.sha256(prompt.system.encode()).hexdigest() if prompt.system else "",
            session=options.get("session"),
            searched=False,
        )
        shield = self._assembly.shield(options.get("brain"), repeatable=options.get("repeatable", False))
        return await last_reply(self._answer(asked, shield))

    async def preview(self, question: str, options: AskOptions) -> Preview:
        """See `Agent.apreview`."""
        shield, prompt, retrieval = await self._unsent(question, options)
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
        shield, prompt, _ = await self._unsent(question, options)
        if isinstance(shield, Router):
            return await anyio.to_thread.run_sync(shield.decide, prompt)
        members = [member.name for member in getattr(shield, "members", (shield,))]
        named = options.get("brain") is not None
        rule, reason = ("explicit", "the caller named it") if named else ("configured", "it is configured")
        return RouteDecision(brain=members[0], rule=rule, reason=reason, features={}, order=tuple(members))

    async def _unsent(self, question: str, options: AskOptions) -> tuple[Shielded, Prompt, Retrieval]:
        """The brain, the prompt and the retrieval for a question. Fails if its brains can't be loaded."""
        deadline = Deadline(options.get("timeout"))
        shield = self._assembly.shield(options.get("brain"))
        if options.get("review") is not None:
            self._review(options.get("review"))
        prompt, retrieval = await self._prompt(question, options, deadline)
        return shield, replace(prompt, reply=""), retrieval


# Checks of the arguments


def _check_text(text: Any, name: str) -> None:
    """Raises ConfigError if `text` is not a string or is empty."""
    if not isinstance(text, str) or is_blank(text):
        raise ConfigError(
            f"The {name} is {quoted(text, 40)}.", remedy="Give a text that is not empty.", code="empty_question"
        )


def _check_numbers(max_output_tokens: Any, temperature: Any) -> None:
    """Raises ConfigError if one of the numbers is out of range."""
    whole = isinstance(max_output_tokens, int) and not isinstance(max_output_tokens, bool) and max_output_tokens > 0
    if max_output_tokens is not None and not whole:
        raise _wrong("max_output_tokens", max_output_tokens, "Give a whole number above 0, or None.")
    number = isinstance(temperature, (int, float)) and not isinstance(temperature, bool)
    if temperature is not None and not (number and 0 <= temperature < float("inf")):
        raise _wrong("temperature", temperature, "Give a number, 0 or more, or None.")


def _checked_top_k(top_k: Any) -> int | None:
    """Raises ConfigError if the number of passages is neither None nor a whole number above 0."""
    if top_k is not None and (isinstance(top_k, bool) or not isinstance(top_k, int) or top_k < 1):
        raise _wrong("top_k", top_k, "Give a whole number above 0, such as 6.")
    return top_k


def _check_session(session: Any) -> None:
    """Raises ConfigError if the session id is not a text."""
    if session is not None and (not isinstance(session, str) or is_blank(session)):
        raise _wrong("session", session, "Give a text that is not empty, such as 'guest-42', or None.")


def _checked_images(images: Any) -> tuple[Image, ...]:
    """The images as a tuple; None is no images. Raises ConfigError if one is not an Image."""
    cure = "Give Image objects: [Image(media_type='image/png', data=…)]."
    if images is None:
        return ()
    if not isinstance(images, Iterable):
        raise _wrong("images", images, cure)
    given = tuple(images)
    for image in given:
        if not isinstance(image, Image):
            raise _wrong("images", image, cure)
    return given


def _wrong(name: str, value: object, cure: str) -> ConfigError:
    return ConfigError(f"{name} is {quoted(value, 40)}.", remedy=cure, code="bad_value")
