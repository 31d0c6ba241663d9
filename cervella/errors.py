"""Everything that can go wrong, as one tree. Each error says what happened, carries the facts, and names the cure.

```
CervellaError
├── ConfigError
│   ├── UnknownBrainError
│   └── UnmatchedPatternError
├── SoulError
│   └── SoulChangedError
├── KnowledgeError
│   ├── IndexMissingError
│   ├── IndexMismatchError
│   ├── IndexLockedError
│   └── IndexDamagedError
├── BrainError
│   ├── BrainNotInstalledError
│   ├── BrainAuthError
│   ├── BrainUnavailableError      (retryable)
│   ├── BrainRateLimitError        (retryable)
│   ├── BrainTimeoutError          (retryable)
│   ├── PromptTooLongError
│   ├── PersonaTruncatedError
│   ├── BrainResponseError
│   └── StreamInterruptedError
├── BudgetError
├── ConversationError
├── LedgerError
└── EvaluationError
```
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any, ClassVar

if TYPE_CHECKING:
    from cervella.types import Attempt

__all__ = [
    "BrainAuthError",
    "BrainError",
    "BrainNotInstalledError",
    "BrainRateLimitError",
    "BrainResponseError",
    "BrainTimeoutError",
    "BrainUnavailableError",
    "BudgetError",
    "CervellaError",
    "ConfigError",
    "ConversationError",
    "EvaluationError",
    "IndexDamagedError",
    "IndexLockedError",
    "IndexMismatchError",
    "IndexMissingError",
    "KnowledgeError",
    "LedgerError",
    "PersonaTruncatedError",
    "PromptTooLongError",
    "SoulChangedError",
    "SoulError",
    "StreamInterruptedError",
    "UnknownBrainError",
    "UnmatchedPatternError",
]


def _restore(kind: type[CervellaError], message: str, facts: dict[str, Any]) -> CervellaError:
    error = kind.__new__(kind, message)
    error.args = (message,)
    error.__dict__.update(facts)
    return error


class CervellaError(Exception):
    """The root of the tree: catch it, and nothing of Cervella's escapes.

    Every error survives pickling with its facts; its cause and its traceback, as everywhere in Python, do not.
    """

    code: str = "cervella"
    """Stable name of this kind of error, for programs; it does not change when the wording does."""
    retryable: ClassVar[bool] = False
    """Whether the same call may succeed later with nothing changed."""

    def __init__(self, message: str, *, remedy: str | None = None, code: str | None = None) -> None:
        super().__init__(message)
        self.message = message
        self.remedy = remedy
        """One sentence that cures it, or None where nothing can be advised."""
        if code is not None:
            self.code = code

    def __reduce__(self) -> tuple[Any, ...]:
        return _restore, (type(self), self.message, self.__dict__.copy())


class ConfigError(CervellaError):
    """The configuration, or an argument that stands for it, can't be used."""

    code = "config"


class UnknownBrainError(ConfigError):
    """No brain has this name."""

    code = "unknown_brain"

    def __init__(self, message: str, *, name: str, known: Sequence[str], remedy: str | None = None) -> None:
        super().__init__(message, remedy=remedy)
        self.name = name
        self.known = tuple(known)


class UnmatchedPatternError(ConfigError):
    """Patterns of `[knowledge] local_only` name nothing in the folder: what they were to protect is not protected."""

    code = "local_only_unmatched"

    def __init__(self, message: str, *, nearest: Mapping[str, Sequence[str]], remedy: str | None = None) -> None:
        super().__init__(message, remedy=remedy)
        self.nearest = {pattern: tuple(paths) for pattern, paths in nearest.items()}
        """By pattern, the paths in the folder that are most like it, best first; at most three."""


class SoulError(CervellaError):
    """The Constitution can't be read, or may not be used as it stands."""

    code = "soul"


class SoulChangedError(SoulError):
    """The Constitution is not the one that was locked."""

    code = "soul_changed"

    def __init__(self, message: str, *, locked: str, found: str, remedy: str | None = None) -> None:
        super().__init__(message, remedy=remedy)
        self.locked = locked
        self.found = found


class KnowledgeError(CervellaError):
    """The folder of markdown, or the index over it, can't be used."""

    code = "knowledge"


class IndexMissingError(KnowledgeError):
    """There is no index yet."""

    code = "index_missing"


class IndexMismatchError(KnowledgeError):
    """The index was built with another embedder than the one asked for."""

    code = "index_mismatch"

    def __init__(self, message: str, *, built_with: str, asked_for: str, remedy: str | None = None) -> None:
        super().__init__(message, remedy=remedy)
        self.built_with = built_with
        self.asked_for = asked_for


class IndexLockedError(KnowledgeError):
    """Another process is writing the index."""

    code = "index_locked"

    def __init__(self, message: str, *, pid: int | None, remedy: str | None = None) -> None:
        super().__init__(message, remedy=remedy)
        self.pid = pid
        """The process that holds the lock; None where it can't be read."""


class IndexDamagedError(KnowledgeError):
    """The index does not hold what its manifest says."""

    code = "index_damaged"


class BrainError(CervellaError):
    """A brain could not answer. `attempts` says what was tried.

    Its cause is another error of this tree or a `cervella.privacy.causes.Cause`: what another library raised, as text.
    That library's own exception would hold the request, and with it the key.
    """

    code = "brain"

    def __init__(
        self,
        message: str,
        *,
        brain: str = "",
        model: str = "",
        remedy: str | None = None,
        code: str | None = None,
        attempts: Sequence[Attempt] = (),
    ) -> None:
        super().__init__(message, remedy=remedy, code=code)
        self.brain = brain
        self.model = model
        self.attempts = tuple(attempts)


class BrainNotInstalledError(BrainError):
    """The package that this brain needs is not installed."""

    code = "brain_not_installed"

    def __init__(self, message: str, *, extra: str | None = None, **facts: Any) -> None:
        super().__init__(message, **facts)
        self.extra = extra
        """The extra that brings it: `pip install 'cervella[extra]'`."""


class BrainAuthError(BrainError):
    """The engine refused the key, or there is none."""

    code = "brain_auth"


class BrainUnavailableError(BrainError):
    """The engine does not answer, or says that it can't now."""

    code = "brain_unavailable"
    retryable = True

    def __init__(self, message: str, *, retry_after: float | None = None, **facts: Any) -> None:
        super().__init__(message, **facts)
        self.retry_after = retry_after
        """Seconds to wait, as the engine says; None where it does not say."""


class BrainRateLimitError(BrainError):
    """The engine asks for fewer requests."""

    code = "brain_rate_limit"
    retryable = True

    def __init__(self, message: str, *, retry_after: float | None = None, **facts: Any) -> None:
        super().__init__(message, **facts)
        self.retry_after = retry_after
        """Seconds to wait, as the engine says; None where it does not say."""


class BrainTimeoutError(BrainError):
    """The engine did not answer in time."""

    code = "brain_timeout"
    retryable = True


class PromptTooLongError(BrainError):
    """The prompt does not fit the engine's window, even with no passages and no history."""

    code = "prompt_too_long"

    def __init__(
        self, message: str, *, prompt_tokens: int | None = None, limit_tokens: int | None = None, **facts: Any
    ) -> None:
        super().__init__(message, **facts)
        self.prompt_tokens = prompt_tokens
        self.limit_tokens = limit_tokens


class PersonaTruncatedError(BrainError):
    """The engine cut the prompt, so that the soul may not have been read whole: its answer is not hers."""

    code = "persona_truncated"

    def __init__(
        self, message: str, *, prompt_tokens: int | None = None, seen_tokens: int | None = None, **facts: Any
    ) -> None:
        super().__init__(message, **facts)
        self.prompt_tokens = prompt_tokens
        self.seen_tokens = seen_tokens


class BrainResponseError(BrainError):
    """The engine answered something that is no answer.

    Finer codes: `bad_request` where this question or its parameters are refused and another may well be answered, so
    that no fallback lets the brain rest; `model_missing` and `model_not_loaded` where every question meets the same;
    `empty_answer` and `thinking_unfinished` where nothing was said.
    """

    code = "brain_response"


class StreamInterruptedError(BrainError):
    """The answer broke off after its first token. `partial` is the text that had come; nothing is replayed."""

    code = "stream_interrupted"

    def __init__(self, message: str, *, partial: str = "", **facts: Any) -> None:
        super().__init__(message, **facts)
        self.partial = partial
        self.flags: Mapping[str, int] = {}
        """As on a Completion; put in by the shield."""

    @classmethod
    def after(cls, partial: str, failure: BrainError) -> BrainError:
        """The error for a failure that came after `partial` was given out; the failure becomes its cause.

        Without a text the failure stays as it is. So does PersonaTruncatedError: that text is no part of an answer.
        """
        if not partial or isinstance(failure, (cls, PersonaTruncatedError)):
            return failure
        error = cls(
            f"The answer of {failure.brain!r} broke off: {failure.message}",
            partial=partial,
            brain=failure.brain,
            model=failure.model,
            remedy="Ask again: part of the answer was shown already, so it is not repeated automatically.",
        )
        error.__cause__ = failure
        return error


class BudgetError(CervellaError):
    """The call would pass the spending limit; it was not made."""

    code = "budget"

    def __init__(
        self, message: str, *, spent_usd: Any = None, limit_usd: Any = None, remedy: str | None = None
    ) -> None:
        super().__init__(message, remedy=remedy)
        self.spent_usd = spent_usd
        """A Decimal: what was spent so far, calls that are still running not counted."""
        self.limit_usd = limit_usd
        """A Decimal; None where no limit is passed, but a price is not known."""


class ConversationError(CervellaError):
    """A conversation can't be read, continued or stored."""

    code = "conversation"


class LedgerError(CervellaError):
    """The ledger can't be read, or does not hold what was asked for. No answer fails for it."""

    code = "ledger"


class EvaluationError(CervellaError):
    """A test of the soul, a comparison or a question file can't be run."""

    code = "evaluation"


def did_you_mean(word: str, known: Sequence[str]) -> str:
    """Give "Did you mean 'claude'? " where a known word is near, else an empty string.

    >>> did_you_mean("cluade", ["claude", "echo"])
    "Did you mean 'claude'? "
    """
    from difflib import get_close_matches

    near = get_close_matches(word, known, n=1, cutoff=0.5)
    return f"Did you mean {near[0]!r}? " if near else ""
