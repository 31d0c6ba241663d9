"""Brains in order: the next one is asked where one fails before its first token. After it nothing is replayed."""

from __future__ import annotations

from collections.abc import AsyncGenerator, Iterator, Sequence
from contextlib import aclosing
from dataclasses import replace
from typing import Any, Protocol

from cervella.brains.routing.cooldown import Cooldown
from cervella.brains.shield.fitting import Fitted
from cervella.errors import (
    BrainError,
    BrainRateLimitError,
    BrainResponseError,
    BrainUnavailableError,
    BudgetError,
    CervellaError,
    ConfigError,
    PersonaTruncatedError,
    PromptTooLongError,
    StreamInterruptedError,
)
from cervella.privacy.causes import keyless
from cervella.protocols import optional_members
from cervella.types import AnswerEvent, Attempt, Finished, Location, Prompt
from cervella.types.deadline import Deadline

_THE_BRAINS_OWN = (BrainResponseError.code, "model_missing", "model_not_loaded")
"""Codes of a BrainResponseError that every question would meet; the others, as `bad_request`, are of one question."""
_NONE_ANSWERED = "no_brain_answered"
_SHARE = 0.5
"""The part of the caller's time left that a brain may take to its first token, where other members follow it."""


class Shielded(Protocol):
    """A brain behind its shield, or several of them that answer as one."""

    @property
    def name(self) -> str: ...
    @property
    def model(self) -> str: ...
    @property
    def location(self) -> Location: ...
    @property
    def context_tokens(self) -> int | None: ...
    @property
    def capabilities(self) -> frozenset[str]: ...
    @property
    def brain(self) -> Any:
        """What stands behind the shield."""
        ...

    async def fit(self, prompt: Prompt) -> Fitted: ...
    def stream(
        self, prompt: Prompt, /, *, timeout: Deadline | float | None = None
    ) -> AsyncGenerator[AnswerEvent, None]: ...
    async def aclose(self) -> None: ...


class Fallback:
    """The first of its members that answers.

    Each member keeps its own shield: what it may not see is dropped, whoever failed before it. A member that failed
    rests for a while (`Cooldown`) and is passed over meanwhile; where all rest, all are tried.
    """

    def __init__(self, members: Sequence[Shielded], *, name: str = "", cooldown: Cooldown | None = None) -> None:
        if not members:
            raise ConfigError("A fallback has no brains.", remedy='Name some: brain = ["vllm", "claude"].')
        self.members = tuple(members)
        self.name = name or ", ".join(member.name for member in members)
        self._cooldown = cooldown or Cooldown()

    @property
    def brain(self) -> Fallback:
        return self

    @property
    def model(self) -> str:
        return ", ".join(member.model for member in self.members)

    @property
    def location(self) -> Location:
        """The farthest that a prompt may travel."""
        places = {member.location for member in self.members}
        return "cloud" if "cloud" in places else "private" if "private" in places else "local"

    @property
    def context_tokens(self) -> int | None:
        """The widest window; None where a member names none."""
        windows = [member.context_tokens for member in self.members]
        return None if None in windows else max(window for window in windows if window is not None)

    @property
    def capabilities(self) -> frozenset[str]:
        return frozenset().union(*(member.capabilities for member in self.members))

    def check(self) -> None:
        """Raise where none of the members could answer."""
        failures = []
        for member in self.members:
            check = optional_members(member.brain).check
            try:
                if check is not None:
                    check()
            except BrainError as error:
                failures.append((member.name, keyless(error)))
            else:
                return
        raise _none_answered(failures, ())

    async def fit(self, prompt: Prompt) -> Fitted:
        """The prompt as the first member would get it that can take it."""
        for member in self.members[:-1]:
            try:
                return await member.fit(prompt)
            except BrainError:
                continue
        return await self.members[-1].fit(prompt)

    def stream(
        self, prompt: Prompt, /, *, timeout: Deadline | float | None = None
    ) -> AsyncGenerator[AnswerEvent, None]:
        """The events of the first member that answers. `timeout` is for the whole answer, in seconds."""
        return in_order(self.members, prompt, self._cooldown, timeout)

    async def aclose(self) -> None:
        """The members are closed by the code that made them."""


def leaves(shielded: Shielded) -> Iterator[Shielded]:
    """The brains that it is made of, each behind its own shield; a single brain is its own leaf."""
    members: Sequence[Shielded] = getattr(shielded, "members", ())
    if not members:
        yield shielded
    for member in members:
        yield from leaves(member)


async def in_order(
    members: Sequence[Shielded],
    prompt: Prompt,
    cooldown: Cooldown,
    timeout: Deadline | float | None = None,
) -> AsyncGenerator[AnswerEvent, None]:
    """Ask one after the other until one begins to answer.

    The Completion, or the error, carries the attempts of all; the flag `fallbacks` counts the members that failed.
    Raises StreamInterruptedError from the member that broke off; where none answered, BrainUnavailableError
    (`no_brain_answered`), or BudgetError where nothing but the budget stood in the way.
    """
    deadline = Deadline.of(timeout)
    waiting = [member for member in members if cooldown.left(member.name) == 0] or list(members)
    rested = [member for member in members if member not in waiting]
    waiting += rested  # last of all: perhaps one is back already
    failures: list[tuple[str, CervellaError]] = []
    attempts: list[Attempt] = []
    for number, member in enumerate(waiting):
        if member not in rested and not cooldown.may_try(member.name) and len(waiting) > 1:
            rested.append(member)
            waiting.append(member)  # somebody else's probe is under way: after all others
            continue
        left = deadline.left() if number < len(waiting) - 1 else None
        limits = deadline if left is None else deadline.narrowed(first_token=left * _SHARE)
        begun = False
        try:
            async with aclosing(member.stream(_routed(prompt, failures), timeout=limits)) as events:
                async for event in events:
                    if isinstance(event, Finished):
                        event = _counted(event, attempts, len(failures))
                        cooldown.recovered(member.name)
                    begun = True
                    yield event
            return
        except StreamInterruptedError as error:
            broke_it = error.__cause__
            _judge(cooldown, member.name, broke_it if isinstance(broke_it, CervellaError) else error)
            error.attempts = (*attempts, *error.attempts)
            if failures:
                error.flags = {**error.flags, "fallbacks": len(failures)}
            raise
        except (BrainError, BudgetError) as error:
            _judge(cooldown, member.name, error)
            attempts += getattr(error, "attempts", ())
            if begun and isinstance(error, BrainError):  # a cut soul shows at the end: the text was given out
                error.attempts = tuple(attempts)
                raise
            failures.append((member.name, error))
        except BaseException:  # the caller left
            cooldown.released(member.name)
            raise
    raise _none_answered(failures, attempts)


def _routed(prompt: Prompt, failures: Sequence[tuple[str, CervellaError]]) -> Prompt:
    """The prompt, saying why this brain is asked."""
    if not failures:
        return prompt
    reason = "; ".join(f"{name}: {error.code}" for name, error in failures)
    if prompt.hints.get("route"):
        reason = f"{prompt.hints['route']}: {prompt.hints.get('reason')}; {reason}"
    return replace(prompt, hints={**prompt.hints, "route": "fallback", "reason": reason})


def _counted(event: Finished, attempts: Sequence[Attempt], failures: int) -> Finished:
    done = event.completion
    flags = {**done.flags, "fallbacks": failures} if failures else done.flags
    return Finished(completion=replace(done, attempts=(*attempts, *done.attempts), flags=flags))


def _judge(cooldown: Cooldown, name: str, error: CervellaError) -> None:
    """Whether a failure is the brain's own, so that the next question need not wait for it too."""
    of_the_prompt = isinstance(error, (PromptTooLongError, PersonaTruncatedError, BudgetError))
    of_its_members = error.code == _NONE_ANSWERED  # a fallback within: each of them rests for itself
    if of_the_prompt or of_its_members or (isinstance(error, BrainResponseError) and error.code not in _THE_BRAINS_OWN):
        cooldown.released(name)
    else:
        cooldown.failed(name, seconds=error.retry_after if isinstance(error, BrainRateLimitError) else None)


def _none_answered(failures: Sequence[tuple[str, CervellaError]], attempts: Sequence[Attempt]) -> CervellaError:
    if len(failures) == 1 or all(isinstance(error, BudgetError) for _, error in failures):
        error = failures[-1][1]
        if isinstance(error, BrainError):
            error.attempts = tuple(attempts) or error.attempts
        return error
    said = "; ".join(f"{name}: {error.message}" for name, error in failures)
    remedies = " ".join(dict.fromkeys(f"{name}: {error.remedy}" for name, error in failures if error.remedy))
    none = BrainUnavailableError(
        f"None of the brains answered. {said}",
        brain=", ".join(name for name, _ in failures),
        remedy=remedies or "See `cervella brains`.",
        code=_NONE_ANSWERED,
        attempts=attempts,
    )
    none.__cause__ = failures[-1][1]
    return none
