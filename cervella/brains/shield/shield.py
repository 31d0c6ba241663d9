"""The shield around every leaf brain does what no brain should have to.

It drops what this brain may not see, fits the prompt into the window, asks the budget guard, keeps the time limits,
retries before the first token, takes thoughts out of the answer, and reports every attempt the moment it ends.
"""

from __future__ import annotations

import contextlib
import inspect
import logging
import time
from collections.abc import AsyncGenerator, Awaitable, Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from typing import Any

import anyio

from cervella.brains.shield.call import Call
from cervella.brains.shield.fitting import Fitted, fit, location_of
from cervella.errors import BrainError, BrainTimeoutError, StreamInterruptedError
from cervella.privacy.causes import keyless
from cervella.protocols import Brain, optional_members
from cervella.types import AnswerEvent, Attempt, Finished, Location, Prompt
from cervella.types.deadline import Deadline

_logger = logging.getLogger("cervella")

_FIRST_WAIT, _LONGEST_WAIT, _JITTER = 0.2, 8.0, 0.3
"""Seconds between two calls: the first wait, doubled each time up to the longest, and what chance adds."""

Guard = Callable[[Brain, Prompt], Awaitable[None] | None]
"""Called before each call of an engine; raises BudgetError to stop it."""


class Shield:
    """A brain around a brain. Its attempts come on the Completion, and on the error where there is none.

    `first_token_timeout` and `idle_timeout` are seconds: for the first text, and between two pieces of it. `retries`
    are further calls before the first token, for errors that are retryable; a Retry-After that is longer than the
    time left, or than `first_token_timeout`, is not waited for. Every `remind_every` turns the soul is said once more,
    in the last user turn, where there is room for it.

    `location` is the owner's word, and counts more than the brain's; but a brain that says `remote` is cloud.
    """

    def __init__(
        self,
        brain: Brain,
        *,
        location: Location | None = None,
        first_token_timeout: float = 300.0,
        idle_timeout: float = 60.0,
        retries: int = 2,
        remind_every: int | None = None,
        guard: Guard | None = None,
        on_attempt: Callable[[Attempt], None] | None = None,
    ) -> None:
        self.brain = brain
        self._location = location
        self._first_token_timeout = first_token_timeout
        self._idle_timeout = idle_timeout
        self._retries = retries
        self._remind_every = remind_every
        self._guard = guard
        self._on_attempt = on_attempt

    @property
    def name(self) -> str:
        return self.brain.name

    @property
    def model(self) -> str:
        return self.brain.model

    @property
    def location(self) -> Location:
        return location_of(self.brain, self._location)

    @property
    def context_tokens(self) -> int | None:
        return optional_members(self.brain).context_tokens

    @property
    def capabilities(self) -> frozenset[str]:
        return frozenset(optional_members(self.brain).capabilities)

    async def fit(self, prompt: Prompt) -> Fitted:
        """The prompt as this brain would get it. Raises PromptTooLongError."""
        with contextlib.suppress(BrainError):  # the same error comes when it is asked a question
            await self._prepare()
        try:
            return await self._fit(prompt, exact=True)
        except BrainError as error:
            keyless(error)
            raise

    async def _fit(self, prompt: Prompt, *, exact: bool) -> Fitted:
        return await fit(prompt, self.brain, self.location, exact=exact, remind_every=self._remind_every)

    async def _prepare(self) -> None:
        prepare = optional_members(self.brain).prepare
        if prepare is not None:
            await prepare()

    async def stream(
        self, prompt: Prompt, /, *, timeout: Deadline | float | None = None
    ) -> AsyncGenerator[AnswerEvent, None]:
        """The brain's events for what it may see of the prompt. `timeout` is for the whole answer, in seconds; a
        Deadline may also limit the wait for its first text."""
        import stamina  # with its hooks it costs some milliseconds: the first question pays them, not the import

        # stamina logs each retry as a warning; without a handler Python would print it on the user's terminal.
        if not logging.getLogger("stamina").handlers:
            logging.getLogger("stamina").addHandler(logging.NullHandler())

        deadline = Deadline.of(timeout).narrowed(first_token=self._first_token_timeout, idle=self._idle_timeout)
        attempts: list[Attempt] = []

        def report(attempt: Attempt) -> None:
            attempts.append(attempt)
            if self._on_attempt is not None:
                try:
                    self._on_attempt(attempt)
                except Exception:  # the bookkeeping may fail; the answer may not
                    _logger.exception("an attempt of %s could not be reported", self.name)

        fitted: Fitted | None = None
        try:
            async for retry in stamina.retry_context(
                on=lambda error: self._backoff(error, deadline, len(attempts)),
                attempts=self._retries + 1,
                timeout=None,
                wait_initial=_FIRST_WAIT,
                wait_max=_LONGEST_WAIT,
                wait_jitter=_JITTER,
            ):
                with retry:
                    if fitted is None:
                        await self._prepare_in_time(deadline, report)
                        with self._in_time(deadline):
                            fitted = await self._fit(prompt, exact=False)
                    with self._in_time(deadline):
                        await self._ask_guard(fitted.prompt)
                    call = Call(self.brain, fitted, location=self.location, deadline=deadline, report=report)
                    event = await call.open()
            try:
                while not isinstance(event, Finished):
                    yield event
                    event = await call.next()
            finally:
                await call.close()
            yield Finished(completion=replace(event.completion, attempts=tuple(attempts)))
        except BrainError as error:
            error.attempts = tuple(attempts)
            keyless(error)
            if isinstance(error, StreamInterruptedError) and fitted is not None:
                error.flags = dict(fitted.flags)
            raise

    async def aclose(self) -> None:
        """Release what the brain holds, where it holds anything."""
        close = optional_members(self.brain).aclose
        if close is not None:
            await close()

    async def _prepare_in_time(self, deadline: Deadline, report: Callable[[Attempt], None]) -> None:
        """Let the brain get ready. A failure is an attempt: its engine was asked for something."""
        started = time.monotonic()
        try:
            with self._in_time(deadline):
                await self._prepare()
        except BrainError as error:
            seconds = time.monotonic() - started
            where: Any = {"brain": self.name, "model": self.model, "location": self.location}
            report(Attempt(**where, outcome="error", seconds=seconds, error=error.code))
            raise

    async def _ask_guard(self, prompt: Prompt) -> None:
        if self._guard is not None:
            allowed = self._guard(self.brain, prompt)
            if inspect.isawaitable(allowed):
                await allowed

    @contextmanager
    def _in_time(self, deadline: Deadline) -> Iterator[None]:
        """Limits what is awaited before the engine is called: what it must learn first, a token count, the guard."""
        seconds, callers = deadline.tighter(deadline.first_token)
        try:
            with anyio.fail_after(seconds):
                yield
        except TimeoutError as error:
            when = "in the time that the caller set" if callers else f"within {deadline.first_token:g} s"
            cure = "Give it a longer timeout" if callers else f"Raise first_token_timeout in [brains.{self.name}]"
            raise BrainTimeoutError(
                f"The brain {self.name!r} was not reached {when}.",
                brain=self.name,
                model=self.model,
                remedy=f"{cure}, or ask a faster brain.",
            ) from error

    def _backoff(self, error: BaseException, deadline: Deadline, tries: int) -> bool | float:
        """Whether to call again, or after how many seconds."""
        if not isinstance(error, BrainError) or not error.retryable:
            return False
        asked = getattr(error, "retry_after", None)
        if asked is not None:
            wait = max(0.0, float(asked))
            return wait if wait < deadline.tighter(deadline.first_token)[0] else False
        _, too_late = deadline.tighter(min(_LONGEST_WAIT, _FIRST_WAIT * 2.0 ** max(0, tries - 1) + _JITTER))
        return not too_late
