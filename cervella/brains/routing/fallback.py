"""Asks several brains in order, until one answers. If a brain fails after its first token, no other brain is asked."""

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
"""Codes of a BrainResponseError that concern the brain itself. Other codes, such as `bad_request`, concern one
question."""
_NONE_ANSWERED = "no_brain_answered"
_SHARE = 0.5
"""The share of the caller's remaining time within which a brain must give its first token, if other brains follow
it."""


class Shielded(Protocol):
    """A brain with its shield, or a group of such brains that answers like one."""

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
        """The brain inside the shield; a group returns itself."""
        ...

    async def fit(self, prompt: Prompt) -> Fitted: ...
    def stream(
        self, prompt: Prompt, /, *, timeout: Deadline | float | None = None
    ) -> AsyncGenerator[AnswerEvent, None]: ...
    async def aclose(self) -> None: ...


class Fallback:
    """Answers with the first of its members that does not fail.

    Each member has its own shield, which removes the parts that this member may not see. A member that failed rests for
    a while (`Cooldown`) and is asked after the others. If all members rest, all are tried.
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
        """The least private location of its members."""
        places = {member.location for member in self.members}
        return "cloud" if "cloud" in places else "private" if "private" in places else "local"

    @property
    def context_tokens(self) -> int | None:
        """The largest context window of its members, in tokens; None if a member names none."""
        windows = [member.context_tokens for member in self.members]
        return None if None in windows else max(window for window in windows if window is not None)

    @property
    def capabilities(self) -> frozenset[str]:
        return frozenset().union(*(member.capabilities for member in self.members))

    def check(self) -> None:
        """Raise the members' errors, as one BrainError, if the `check` of every member fails."""
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
        """The prompt as the first member would get it that can answer it: without what it may not see, cut to its
        window."""
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
        """Do nothing: the members are closed by the code that created them."""


def leaves(shielded: Shielded) -> Iterator[Shielded]:
    """The single brains in a group of brains, each with its shield. A single brain yields itself."""
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
    """The events of the first member that begins to answer.

    The Completion, or the error, has the attempts of all members; the flag `fallbacks` counts the failed members.
    Raises the StreamInterruptedError of a member that broke off. If none answered, raises BrainUnavailableError
    (`no_brain_answered`), or BudgetError if the budget was the only reason.
    """
    deadline = Deadline.of(timeout)
    waiting = [member for member in members if cooldown.left(member.name) == 0] or list(members)
    rested = [member for member in members if member not in waiting]
    waiting += rested  # asked last: a resting brain may have recovered
    failures: list[tuple[str, CervellaError]] = []
    attempts: list[Attempt] = []
    for number, member in enumerate(waiting):
        if member not in rested and not cooldown.may_try(member.name) and len(waiting) > 1:
            rested.append(member)
            waiting.append(member)  # another caller probes it: ask it last
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
            cause = error.__cause__
            _record(cooldown, member.name, cause if isinstance(cause, CervellaError) else error)
            error.attempts = (*attempts, *error.attempts)
            if failures:
                error.flags = {**error.flags, "fallbacks": len(failures)}
            raise
        except (BrainError, BudgetError) as error:
            _record(cooldown, member.name, error)
            attempts += getattr(error, "attempts", ())
            if begun and isinstance(error, BrainError):  # a cut soul is only noticed at the end, after the text
                error.attempts = tuple(attempts)
                raise
            failures.append((member.name, error))
        except BaseException:  # the caller left
            cooldown.released(member.name)
            raise
    raise _none_answered(failures, attempts)


def _routed(prompt: Prompt, failures: Sequence[tuple[str, CervellaError]]) -> Prompt:
    """The prompt for the next member: its hints contain the failures so far as the reason why this member is asked."""
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


def _record(cooldown: Cooldown, name: str, error: CervellaError) -> None:
    """Let a brain rest if the failure concerns the brain itself, not only this prompt."""
    of_the_prompt = isinstance(error, (PromptTooLongError, PersonaTruncatedError, BudgetError))
    of_its_members = error.code == _NONE_ANSWERED  # a group inside the group: its members rest separately
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
    messages = "; ".join(f"{name}: {error.message}" for name, error in failures)
    remedies = " ".join(dict.fromkeys(f"{name}: {error.remedy}" for name, error in failures if error.remedy))
    none = BrainUnavailableError(
        f"None of the brains answered. {messages}",
        brain=", ".join(name for name, _ in failures),
        remedy=remedies or "List the brains with `cervella brains`.",
        code=_NONE_ANSWERED,
        attempts=attempts,
    )
    none.__cause__ = failures[-1][1]
    return none
