"""The shield wraps one brain and applies the rules that are the same for every brain.

It removes the parts of a prompt that the brain may not see, fits the prompt into the window, asks the budget guard,
applies timeouts, retries before the first token, removes thoughts from the answer, and reports each attempt at its end.
"""

from __future__ import annotations

import contextlib
import inspect
import logging
import time
from collections.abc import AsyncGenerator, Awaitable, Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace

import anyio
import anyio.to_thread

from cervella.brains.shield.call import Call
from cervella.brains.shield.fitting import Fitted, fit, location_of
from cervella.errors import BrainError, BrainTimeoutError, StreamInterruptedError
from cervella.privacy.causes import keyless
from cervella.privacy.remembered import MaskedTexts
from cervella.protocols import Brain, optional_members
from cervella.types import AnswerEvent, Attempt, Finished, Location, Prompt
from cervella.types.deadline import Deadline

_logger = logging.getLogger("cervella")

_FIRST_WAIT, _LONGEST_WAIT, _JITTER = 0.2, 8.0, 0.3
"""Seconds to wait before a retry: the first wait, which is doubled for each further retry; the longest wait; the
maximum of a random time that is added."""

Guard = Callable[[Brain, Prompt], Awaitable[None] | None]
"""A function that is called, and awaited if it is async, before each call of a brain. It raises BudgetError to forbid
the call."""


class Shield:
    """A wrapper around one brain, with the rules that are the same for every brain.

    `first_token_timeout` and `idle_timeout` are seconds, for the first text and between two deltas. `retries` is the
    number of further calls before the first token, after retryable errors. There is no retry if the server's
    Retry-After is longer than the time left or than `first_token_timeout`. Every `remind_every` turns the soul (the
    system prompt) is repeated in the last user turn, if it fits the window; with None it never is.

    `mask_personal` masks personal data in the prompt of a cloud brain, and puts them back into its answer. It is the
    code of the base's language, whose countries' telephone and identity numbers are recognised; None masks none.

    `location` is set by the owner and overrules the brain's own, but a brain with `remote` set is always cloud. `guard`
    may forbid a call. `on_attempt` is called with the record of each call (`Attempt`) at its end. The records are also
    in the Completion, or in the error of a failed answer. `judged` gives a prompt for a cloud brain today's local-only
    marks; it is called in a worker thread.
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
        mask_personal: str | None = None,
        guard: Guard | None = None,
        on_attempt: Callable[[Attempt], None] | None = None,
        judged: Callable[[Prompt], Prompt] | None = None,
    ) -> None:
        self.brain = brain
        self._location = location
        self._first_token_timeout = first_token_timeout
        self._idle_timeout = idle_timeout
        self._retries = retries
        self._remind_every = remind_every
        self._mask_personal = mask_personal
        self._guard = guard
        self._on_attempt = on_attempt
        self._judged = judged
        self._masks = MaskedTexts()

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
        """The prompt as this brain would get it: without the parts that it may not see, cut to its window. Raises
        BrainError."""
        with contextlib.suppress(BrainError):  # a question would raise the same error
            await self._prepare()
        try:
            return await self._fit(prompt, exact=True)
        except BrainError as error:
            keyless(error)
            raise

    async def _fit(self, prompt: Prompt, *, exact: bool) -> Fitted:
        if self._judged is not None and self.location == "cloud":
            prompt = await anyio.to_thread.run_sync(self._judged, prompt)
        return await fit(
            prompt,
            self.brain,
            self.location,
            exact=exact,
            remind_every=self._remind_every,
            mask_personal=self._mask_personal,
            masks=self._masks,
        )

    async def _prepare(self) -> None:
        prepare = optional_members(self.brain).prepare
        if prepare is not None:
            await prepare()

    async def stream(
        self, prompt: Prompt, /, *, timeout: Deadline | float | None = None
    ) -> AsyncGenerator[AnswerEvent, None]:
        """The events of the brain's answer.

        `timeout` is for the whole answer, in seconds; None for no limit. A Deadline may also limit the time to the
        first text.
        """
        import stamina  # imported at the first question, because importing it takes some milliseconds

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
                except Exception:  # an error of the callback must not break the answer
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
        """Release the brain's resources on the running event loop."""
        close = optional_members(self.brain).aclose
        if close is not None:
            await close()

    async def _prepare_in_time(self, deadline: Deadline, report: Callable[[Attempt], None]) -> None:
        """Await the brain's `prepare`. A failure is reported as an attempt, because it was a request to the engine."""
        started = time.monotonic()
        try:
            with self._in_time(deadline):
                await self._prepare()
        except BrainError as error:
            seconds = time.monotonic() - started
            failed = Attempt(
                brain=self.name,
                model=self.model,
                location=self.location,
                outcome="error",
                seconds=seconds,
                error=error.code,
            )
            report(failed)
            raise

    async def _ask_guard(self, prompt: Prompt) -> None:
        if self._guard is not None:
            allowed = self._guard(self.brain, prompt)
            if inspect.isawaitable(allowed):
                await allowed

    @contextmanager
    def _in_time(self, deadline: Deadline) -> Iterator[None]:
        """Apply the time limit to the steps before the engine is called: `prepare`, counting tokens, and the guard."""
        seconds, callers = deadline.tighter(deadline.first_token)
        try:
            with anyio.fail_after(seconds):
                yield
        except TimeoutError as error:
            when = "within the caller's timeout" if callers else f"within {deadline.first_token:g} s"
            cure = "Set a longer timeout" if callers else f"Raise first_token_timeout in [brains.{self.name}]"
            raise BrainTimeoutError(
                f"The brain {self.name!r} was not reached {when}.",
                brain=self.name,
                model=self.model,
                remedy=f"{cure}, or ask a faster brain.",
            ) from error

    def _backoff(self, error: BaseException, deadline: Deadline, tries: int) -> bool | float:
        """False to stop retrying, True to retry after the usual wait, or the seconds to wait before a retry."""
        if not isinstance(error, BrainError) or not error.retryable:
            return False
        asked = getattr(error, "retry_after", None)
        if asked is not None:
            wait = max(0.0, float(asked))
            return wait if wait < deadline.tighter(deadline.first_token)[0] else False
        _, too_late = deadline.tighter(min(_LONGEST_WAIT, _FIRST_WAIT * 2.0 ** max(0, tries - 1) + _JITTER))
        return not too_late
