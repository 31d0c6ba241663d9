"""Runs one call of a brain: applies the time limits, checks the answer, and reports an Attempt to the ledger of
costs."""

from __future__ import annotations

import contextlib
import time
from collections.abc import AsyncIterator, Callable
from dataclasses import replace
from typing import Any, Literal, cast

import anyio

from cervella.brains.shield.fitting import Fitted
from cervella.brains.shield.thinking import ThoughtFilter, ThoughtLeakedError
from cervella.errors import (
    BrainError,
    BrainResponseError,
    BrainTimeoutError,
    CervellaError,
    StreamInterruptedError,
)
from cervella.privacy.causes import keyless, known_keys, mask_keys
from cervella.privacy.masks import Restored
from cervella.privacy.redaction import mask_secrets
from cervella.prompt.layout import estimate_tokens
from cervella.protocols import Brain, optional_members
from cervella.text.language import is_blank, language_in
from cervella.types import (
    AnswerEvent,
    Attempt,
    BrainEvent,
    Completion,
    Finished,
    Location,
    TextDelta,
    Usage,
    UsageUpdate,
)
from cervella.types.deadline import Deadline
from cervella.types.endings import WHOLE, ending_of

_CLOSING_SECONDS = 5.0
"""Timeout for closing the brain's stream."""


class Call:
    """One call of a brain.

    It gives its `Attempt` (the record of the call) to `report` exactly once, at its end, also after an error or a
    cancellation.
    """

    def __init__(
        self,
        brain: Brain,
        fitted: Fitted,
        *,
        location: Location,
        deadline: Deadline,
        report: Callable[[Attempt], None],
    ) -> None:
        self._brain = brain
        self._fitted = fitted
        self._location: Location = location
        self._deadline = deadline
        self._report = report
        self._started = time.monotonic()
        self._first_token: float | None = None
        self._streamed: list[str] = []
        """All text that the brain has streamed, thoughts included."""
        self._held: list[str] = []
        """White space before the first word, not yet yielded: an answer of white space alone counts as empty."""
        self._text: list[str] = []
        """The text that was yielded to the caller: the answer without thoughts, and with the personal data that the
        brain saw as masks."""
        self._thoughts = ThoughtFilter(inside=bool(optional_members(brain).opens_thinking))
        self._restored = Restored(fitted.personal)
        self._thinks_aloud = optional_members(brain).thinks_aloud
        self._usage = Usage()
        self._finished: Finished | None = None
        self._ended = False
        self._events: AsyncIterator[BrainEvent] | None = None

    async def open(self) -> AnswerEvent:
        """Start the brain, and return its first event. If this raises an exception, the call is closed first."""
        try:
            return await self.next()
        except BaseException:
            await self.close()
            raise

    async def next(self) -> AnswerEvent:
        """The next event, after the checks of this class. Raises only BrainError.

        An error after the first text is a StreamInterruptedError, or a PersonaTruncatedError if the soul (the system
        prompt) was cut: then the text is no part of an answer.
        """
        try:
            return await self._next()
        except StopAsyncIteration:
            failure: BrainError = self._broken("ended its stream without Finished")
        except BrainError as error:
            failure = error
        except ThoughtLeakedError as error:
            failure = self._leaked()
            failure.__cause__ = error
        except Exception as error:
            detail = mask_keys(mask_secrets(str(error))[0], known_keys(), parts=True)
            failure = self._broken(f"raised {type(error).__name__}: {detail}")
            failure.__cause__ = error
        failure = self._ended_by(failure)
        self._end("interrupted" if isinstance(failure, StreamInterruptedError) else "error", error=failure)
        raise failure

    async def _next(self) -> AnswerEvent:
        wait = self._deadline.idle if self._text else self._deadline.first_token
        until = (time.monotonic() if self._text else self._started) + wait
        while True:
            if self._finished is not None:
                return self._finish(self._finished)
            event = await self._wait(wait, until)
            if isinstance(event, UsageUpdate):
                self._usage = event.usage
            elif isinstance(event, TextDelta):
                if text := self._shown(event.text):
                    return self._given(text)
                if event.text and self._text:
                    until = time.monotonic() + wait  # a thought inside the answer also shows that the engine works
            elif isinstance(event, Finished):
                self._finished = event
                if text := self._rest(event.completion):
                    return TextDelta(text=text)
            else:
                raise self._broken(f"yielded {type(event).__name__}, which is no brain event")

    def _ended_by(self, failure: BrainError) -> BrainError:
        """The error to raise for a failure: without keys, and with the text that was yielded before it."""
        if isinstance(failure, StreamInterruptedError) and self._streamed:
            failure.partial = "".join(self._text)
            if not self._text and isinstance(failure.__cause__, BrainError):
                # It broke off inside a thought. Nothing was yielded, therefore the call can be retried.
                failure = failure.__cause__
        # A vendor's message may contain the refused key, and its exception the request.
        failure.message = mask_secrets(failure.message)[0]
        keyless(failure)
        failure.brain = failure.brain or self._brain.name
        failure.model = failure.model or self._brain.model
        return StreamInterruptedError.after("".join(self._text), failure)

    def _shown(self, text: str) -> str:
        self._streamed.append(text)
        return self._begun(self._restored.feed(self._thoughts.feed(text) if self._thinks_aloud else text))

    def _begun(self, text: str) -> str:
        """The text, after the white space that was held back before it; empty until the first word of the answer."""
        if not self._text and is_blank(text):
            self._held.append(text)
            return ""
        text = "".join((*self._held, text))
        self._held.clear()
        return text

    def _rest(self, done: Completion) -> str:
        """The text after the last delta: the text that was held back and, if the model refused, a sentence that says
        so."""
        rest = self._begun(self._restored.feed(self._thoughts.end()) + self._restored.end())
        if rest:
            self._given(rest)
        if ending_of(done.finish_reason) != "refusal":
            return rest
        words = language_in(self._fitted.prompt.hints)
        sentence = words.refused(mask_secrets(done.refusal or "")[0])
        sentence = f"\n\n{sentence}" if self._text else sentence
        self._text.append(sentence)
        return rest + sentence

    def _given(self, text: str) -> TextDelta:
        if self._first_token is None:
            self._first_token = time.monotonic() - self._started
        self._text.append(text)
        return TextDelta(text=text)

    async def _wait(self, wait: float, until: float) -> BrainEvent:
        seconds, callers = self._deadline.tighter(until - time.monotonic())
        try:
            if seconds <= 0:  # a brain that never awaits anything would not be interrupted
                raise TimeoutError
            with anyio.fail_after(seconds):
                if self._events is None:
                    self._events = self._brain.stream(self._fitted.prompt)
                return await anext(self._events)
        except TimeoutError as error:
            option = "idle_timeout" if self._text else "first_token_timeout"
            what, cure = f"gave no text within {wait:g} s", f"Raise {option} in [brains.{self._brain.name}]"
            if callers:
                what, cure = "did not answer within the caller's timeout", "Set a longer timeout"
            elif self._text:
                what = f"sent no text for {wait:g} s"
            raise BrainTimeoutError(
                f"The brain {self._brain.name!r} {what}.", remedy=f"{cure}, or ask a faster brain.", **self._facts
            ) from error

    def _finish(self, event: Finished) -> Finished:
        completion = event.completion
        if completion.text != "".join(self._streamed):
            raise self._broken("gave a text that is not what it streamed")
        if completion.usage != Usage():
            self._usage = completion.usage
        ending = ending_of(completion.finish_reason)
        if ending != "refusal":
            self._check_whole(ending)
        model = completion.model or self._brain.model
        outcome: Literal["ok", "refused"] = "refused" if ending == "refusal" else "ok"
        self._end(outcome, usage=completion.usage, model=model, load_seconds=completion.load_seconds)
        removed = {"thoughts_removed": self._thoughts.removed} if self._thoughts.removed else {}
        flags = {**completion.flags, **self._fitted.flags, **removed}
        text = "".join(self._text)
        return Finished(completion=replace(completion, text=text, finish_reason=ending, model=model, flags=flags))

    def _check_whole(self, ending: Any) -> None:
        """Raise BrainResponseError if the answer is empty, or if it is not complete.

        `ending` is the reason for its end that the brain reported.
        """
        longer = f"Raise max_output_tokens in [brains.{self._brain.name}]"
        if ending not in WHOLE:
            word = f"{ending!r:.60}"
            if self._text:
                cure = "Ask again, or ask another brain: the engine's log may contain the reason."
                raise self._broken(f"did not finish its answer: it stopped with {word}", remedy=cure)
            raise self._broken(f"answered nothing, and ended with {word}", code="empty_answer")
        if self._text:
            return
        if self._thoughts.removed:
            cure = f"{longer}, or let it think less."
            raise self._broken("thought, and answered nothing", code="thinking_unfinished", remedy=cure)
        if ending == "length":
            cure = f"{longer}, or set a higher limit in the question."
            raise self._broken("answered nothing before its length limit", code="empty_answer", remedy=cure)
        raise self._broken("answered nothing", code="empty_answer")

    def _leaked(self) -> BrainError:
        """The error for a thought without an opening tag, whose text was yielded as the answer.

        Sets `opens_thinking` on the brain if it has this member: its next answer waits for the end of the thought.
        """
        name = self._brain.name
        if hasattr(self._brain, "opens_thinking"):
            with contextlib.suppress(Exception):
                cast(Any, self._brain).opens_thinking = True
            cure = f"Ask again: it is removed next time. Set opens_thinking = true in [brains.{name}] to prevent it."
        else:
            cure = "Configure the server to separate thoughts from the answer, or to generate none."
        self._text.clear()  # a thought must not be stored in the history
        return StreamInterruptedError(
            f"The text from the brain {name!r} was a thought, not its answer.",
            remedy=cure,
            code="thoughts_leaked",
            **self._facts,
        )

    def _broken(self, what: str, *, code: str | None = None, remedy: str | None = None) -> BrainResponseError:
        return BrainResponseError(
            f"The brain {self._brain.name!r} {what}.",
            remedy=remedy
            or "Ask again, or ask another brain; if it happens again, test the brain with "
            "cervella.testing.check_brain.",
            code=code,
            **self._facts,
        )

    @property
    def _facts(self) -> dict[str, Any]:
        return {"brain": self._brain.name, "model": self._brain.model}

    def _end(
        self,
        outcome: Literal["ok", "refused", "error", "interrupted", "cancelled"],
        *,
        usage: Usage | None = None,
        model: str = "",
        load_seconds: float | None = None,
        error: BaseException | None = None,
    ) -> None:
        if self._ended:
            return
        self._ended = True
        estimated = False
        if usage is None:
            usage, estimated = self._consumed() if outcome != "error" else (self._usage, False)
        self._report(
            Attempt(
                brain=self._brain.name,
                model=model or self._brain.model,
                location=self._location,
                outcome=outcome,
                usage=usage,
                estimated=estimated,
                seconds=time.monotonic() - self._started,
                first_token_seconds=self._first_token,
                load_seconds=load_seconds,
                shown=self._fitted.prompt.marks,
                tainted=self._fitted.prompt.tainted,
                error=error.code if isinstance(error, CervellaError) else None,
                reply=self._fitted.prompt.reply,
                route=self._fitted.prompt.hints.get("route"),
                reason=self._fitted.prompt.hints.get("reason"),
            )
        )

    def _consumed(self) -> tuple[Usage, bool]:
        """Token counts of a call that broke off. Counts that the engine did not report are estimated.

        The second value says whether any count was estimated.
        """
        read, written = self._usage.input_tokens, self._usage.output_tokens
        usage = replace(
            self._usage,
            input_tokens=self._fitted.prompt_tokens if read is None else read,
            output_tokens=estimate_tokens("".join(self._streamed)) if written is None else written,
        )
        return usage, usage != self._usage

    async def close(self) -> None:
        """Close the brain's stream, even if the caller is cancelled. A call that had not ended is reported as
        cancelled."""
        aclose: Any = getattr(self._events, "aclose", None)
        if aclose is not None:
            with anyio.move_on_after(_CLOSING_SECONDS, shield=True), contextlib.suppress(Exception):
                await aclose()  # an error while stopping makes no difference to the caller
        self._end("cancelled")
