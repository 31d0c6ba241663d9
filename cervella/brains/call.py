"""One call of one engine: its patience, its end, and the Attempt that it comes to."""

from __future__ import annotations

import contextlib
import time
from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass, replace
from typing import Any, Literal

import anyio

from cervella.brains.fitting import Fitted
from cervella.errors import BrainError, BrainResponseError, BrainTimeoutError, CervellaError, StreamInterruptedError
from cervella.protocols import Brain
from cervella.redaction import mask_secrets
from cervella.types import Attempt, BrainEvent, Finished, Location, TextDelta, Usage

__all__ = ["Call", "Patience"]

_CLOSING_SECONDS = 5.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Patience:
    """How long a call may take, in seconds."""

    first_token: float
    """For the first text."""
    idle: float
    """Between two pieces of text."""
    deadline: float | None = None
    """`time.monotonic()` by which the whole answer must be there, retries included."""

    def left(self) -> float:
        """Seconds to the deadline; infinite where there is none."""
        return float("inf") if self.deadline is None else self.deadline - time.monotonic()


class Call:
    """One call of the engine. Reports its Attempt once, the moment it ends, however it ends."""

    def __init__(
        self,
        brain: Brain,
        fitted: Fitted,
        *,
        location: Location,
        patience: Patience,
        report: Callable[[Attempt], None],
    ) -> None:
        self._brain = brain
        self._fitted = fitted
        self._location: Location = location
        self._patience = patience
        self._report = report
        self._started = time.monotonic()
        self._first_token: float | None = None
        self._text: list[str] = []
        self._ended = False
        self._events: AsyncIterator[BrainEvent] | None = None

    async def open(self) -> BrainEvent:
        """The first event. Whatever fails before it has ended this call."""
        try:
            return await self.next()
        except BaseException:
            await self.close()
            raise

    async def next(self) -> BrainEvent:
        """The next event, checked. Raises BrainError only: StreamInterruptedError once a text has come."""
        wait = self._patience.idle if self._text else self._patience.first_token
        until = (time.monotonic() if self._text else self._started) + wait
        try:
            while True:
                event = await self._wait(wait, until)
                if isinstance(event, Finished):
                    return self._finish(event)
                if not isinstance(event, TextDelta):
                    raise self._broken(f"yielded {type(event).__name__}, which is no brain event")
                if event.text:
                    if self._first_token is None:
                        self._first_token = time.monotonic() - self._started
                    self._text.append(event.text)
                    return event
        except StopAsyncIteration:
            error: BrainError = self._broken("ended its stream without Finished")
        except BrainError as raised:
            error = raised
        except Exception as raised:
            error = self._broken(f"raised {type(raised).__name__}: {mask_secrets(str(raised))[0]}")
            error.__cause__ = raised
        # A vendor's message may hold the key that it refused.
        error.message = mask_secrets(error.message)[0]
        error.args = (error.message,)
        error.brain = error.brain or self._brain.name
        error.model = error.model or self._brain.model
        if self._text and not isinstance(error, StreamInterruptedError):
            cause, error = (
                error,
                StreamInterruptedError(
                    f"The answer of {self._brain.name!r} broke off: {error.message}",
                    partial="".join(self._text),
                    brain=error.brain,
                    model=error.model,
                    remedy="Ask again: part of the answer was shown already, so nothing is replayed on its own.",
                ),
            )
            error.__cause__ = cause
        self._end("interrupted" if self._text else "error", error=error)
        raise error

    async def _wait(self, wait: float, until: float) -> BrainEvent:
        left, own = self._patience.left(), until - time.monotonic()
        try:
            with anyio.fail_after(max(0.0, min(own, left))):
                if self._events is None:
                    self._events = self._brain.stream(self._fitted.prompt)
                return await anext(self._events)
        except TimeoutError as error:
            if left <= own:
                what, cure = "did not answer in the time that the caller set", "Give it a longer timeout"
            elif self._text:
                what, cure = f"fell silent for {wait:g} s", f"Raise idle_timeout in [brains.{self._brain.name}]"
            else:
                what = f"gave no text within {wait:g} s"
                cure = f"Raise first_token_timeout in [brains.{self._brain.name}]"
            raise BrainTimeoutError(
                f"The brain {self._brain.name!r} {what}.",
                brain=self._brain.name,
                model=self._brain.model,
                remedy=f"{cure}, or ask a faster brain.",
            ) from error

    def _finish(self, event: Finished) -> Finished:
        completion = event.completion
        joined = "".join(self._text)
        if completion.text != joined:
            raise self._broken("gave a text that is not what it streamed")
        if not joined.strip() and completion.finish_reason == "stop":
            raise self._broken("answered nothing", code="empty_answer")
        model = completion.model or self._brain.model
        self._end("ok", usage=completion.usage, model=model, load_seconds=completion.load_seconds)
        return Finished(completion=replace(completion, model=model, flags={**completion.flags, **self._fitted.flags}))

    def _broken(self, what: str, *, code: str | None = None) -> BrainResponseError:
        return BrainResponseError(
            f"The brain {self._brain.name!r} {what}.",
            brain=self._brain.name,
            model=self._brain.model,
            remedy="Ask again, or ask another brain; if it stays so, the brain does not keep its contract: "
            "cervella.testing.check_brain shows where.",
            code=code,
        )

    def _end(
        self,
        outcome: Literal["ok", "error", "interrupted", "cancelled"],
        *,
        usage: Usage | None = None,
        model: str = "",
        load_seconds: float | None = None,
        error: BaseException | None = None,
    ) -> None:
        if self._ended:
            return
        self._ended = True
        self._report(
            Attempt(
                brain=self._brain.name,
                model=model or self._brain.model,
                location=self._location,
                outcome=outcome,
                usage=usage or Usage(),
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

    async def close(self) -> None:
        """Stop the engine, even where the caller was cancelled; a call that had not ended was cancelled."""
        aclose: Any = getattr(self._events, "aclose", None)
        if aclose is not None:
            with anyio.move_on_after(_CLOSING_SECONDS, shield=True), contextlib.suppress(Exception):
                await aclose()  # what a brain says while it is being stopped changes nothing for the caller
        self._end("cancelled")
