"""The errors of this package, as one tree. Each has a message, the facts as attributes, and a remedy.

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

from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any, ClassVar

import cervella  # the hints name its types: importing them here would be a cycle
from cervella.visible import visible

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
    """The base class of all errors of this package.

    An error keeps its attributes when it is pickled. Python does not pickle its cause and its traceback.
    """

    code: str = "cervella"
    """Identifier of this kind of error, for programs. It stays the same when the message is reworded."""
    retryable: ClassVar[bool] = False
    """Whether the same call may succeed later although nothing else has changed."""

    def __init__(self, message: str, *, remedy: str | None = None, code: str | None = None) -> None:
        super().__init__(message)
        self.message = message
        self.remedy = remedy
        """One sentence that tells the user how to solve the problem. None if there is no advice."""
        if code is not None:
            self.code = code

    def __str__(self) -> str:
        """The message for a reader: what a server or a file name smuggled into it does not steer a terminal."""
        return visible(super().__str__())

    def __reduce__(self) -> tuple[Any, ...]:
        return _restore, (type(self), self.message, self.__dict__.copy())


class ConfigError(CervellaError):
    """The configuration or an argument is not valid."""

    code = "config"


class UnknownBrainError(ConfigError):
    """No brain has this name."""

    code = "unknown_brain"

    def __init__(self, message: str, *, name: str, known: Sequence[str], remedy: str | None = None) -> None:
        super().__init__(message, remedy=remedy)
        self.name = name
        """The name that was asked for."""
        self.known = tuple(known)
        """The names of all brains that exist."""


class UnmatchedPatternError(ConfigError):
    """A pattern of `[knowledge] local_only` matches no file, so the files that it was written for are not protected."""

    code = "local_only_unmatched"

    def __init__(self, message: str, *, nearest: Mapping[str, Sequence[str]], remedy: str | None = None) -> None:
        super().__init__(message, remedy=remedy)
        self.nearest = {pattern: tuple(paths) for pattern, paths in nearest.items()}
        """For each unmatched pattern, at most three paths of the folder that are similar to it, the best first."""


class SoulError(CervellaError):
    """The Constitution can't be read, or its content is not allowed."""

    code = "soul"


class SoulChangedError(SoulError):
    """The Constitution differs from the one that the lock file pins."""

    code = "soul_changed"

    def __init__(self, message: str, *, locked: str, found: str, remedy: str | None = None) -> None:
        super().__init__(message, remedy=remedy)
        self.locked = locked
        """The fingerprint in the lock file; the language, if only the language differs."""
        self.found = found
        """The fingerprint of the soul now; its language, if only the language differs."""


class KnowledgeError(CervellaError):
    """The knowledge folder or its index can't be used."""

    code = "knowledge"


class IndexMissingError(KnowledgeError):
    """The index does not exist yet."""

    code = "index_missing"


class IndexMismatchError(KnowledgeError):
    """The index was built with another embedder than the configured one."""

    code = "index_mismatch"

    def __init__(self, message: str, *, built_with: str, asked_for: str, remedy: str | None = None) -> None:
        super().__init__(message, remedy=remedy)
        self.built_with = built_with
        """The embedder that the index was built with."""
        self.asked_for = asked_for
        """The embedder that is configured."""


class IndexLockedError(KnowledgeError):
    """Another process is writing the index."""

    code = "index_locked"

    def __init__(self, message: str, *, pid: int | None, remedy: str | None = None) -> None:
        super().__init__(message, remedy=remedy)
        self.pid = pid
        """The id of the process that has the lock. None if it can't be read."""


class IndexDamagedError(KnowledgeError):
    """The content of the index differs from its manifest."""

    code = "index_damaged"


class BrainError(CervellaError):
    """A brain could not answer.

    The cause is another error of this tree, or a `cervella.privacy.causes.Cause`: the name and the message of another
    library's exception, as text. The exception itself is not kept, because it may contain the request and the API key.
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
        attempts: Sequence[cervella.Attempt] = (),
    ) -> None:
        super().__init__(message, remedy=remedy, code=code)
        self.brain = brain
        """The name of the brain, as configured."""
        self.model = model
        """The name of the model."""
        self.attempts = tuple(attempts)
        """Every call that was made for this answer, in order."""


class BrainNotInstalledError(BrainError):
    """The Python package that this brain needs is not installed."""

    code = "brain_not_installed"

    def __init__(self, message: str, *, extra: str | None = None, **facts: Any) -> None:
        super().__init__(message, **facts)
        self.extra = extra
        """The extra that installs the package: `pip install 'cervella[extra]'`."""


class BrainAuthError(BrainError):
    """The API key is missing, or the engine rejected it."""

    code = "brain_auth"


class BrainUnavailableError(BrainError):
    """The engine does not respond, or reports that it is temporarily unavailable."""

    code = "brain_unavailable"
    retryable = True

    def __init__(self, message: str, *, retry_after: float | None = None, **facts: Any) -> None:
        super().__init__(message, **facts)
        self.retry_after = retry_after
        """Seconds to wait before a retry, as the engine reports. None if it does not report them."""


class BrainRateLimitError(BrainError):
    """The engine rejected the call because too many requests were sent."""

    code = "brain_rate_limit"
    retryable = True

    def __init__(self, message: str, *, retry_after: float | None = None, **facts: Any) -> None:
        super().__init__(message, **facts)
        self.retry_after = retry_after
        """Seconds to wait before a retry, as the engine reports. None if it does not report them."""


class BrainTimeoutError(BrainError):
    """The engine did not answer within the time limit."""

    code = "brain_timeout"
    retryable = True


class PromptTooLongError(BrainError):
    """The prompt does not fit into the engine's context window, even without passages and history."""

    code = "prompt_too_long"

    def __init__(
        self, message: str, *, prompt_tokens: int | None = None, limit_tokens: int | None = None, **facts: Any
    ) -> None:
        super().__init__(message, **facts)
        self.prompt_tokens = prompt_tokens
        """Tokens of the prompt. None if they can't be counted."""
        self.limit_tokens = limit_tokens
        """Tokens that the prompt may have. None if the limit is not known."""


class PersonaTruncatedError(BrainError):
    """The engine cut the prompt, so it may not have read the whole soul. Its answer is discarded."""

    code = "persona_truncated"

    def __init__(
        self, message: str, *, prompt_tokens: int | None = None, seen_tokens: int | None = None, **facts: Any
    ) -> None:
        super().__init__(message, **facts)
        self.prompt_tokens = prompt_tokens
        """Tokens of the prompt that was sent. None if they can't be counted."""
        self.seen_tokens = seen_tokens
        """Tokens of the prompt that the engine reports as read. None if it does not report them."""


class BrainResponseError(BrainError):
    """The engine's response is an error or not a valid answer.

    Some errors have a more specific `code`. `bad_request`: the engine rejected this question or its parameters; other
    questions may succeed, so a fallback does not pause the brain. `model_missing` and `model_not_loaded`: every
    question would fail. `empty_answer` and `thinking_unfinished`: the answer has no text.
    """

    code = "brain_response"


class StreamInterruptedError(BrainError):
    """The answer broke off after its first text. The call is not repeated automatically."""

    code = "stream_interrupted"

    def __init__(self, message: str, *, partial: str = "", **facts: Any) -> None:
        super().__init__(message, **facts)
        self.partial = partial
        """The text that was received before the answer broke off."""
        self.flags: Mapping[str, int] = {}
        """Notices about the partial answer, each with a count, as in `Completion.flags`. The brain's shield sets
        them."""

    @classmethod
    def after(cls, partial: str, failure: BrainError) -> BrainError:
        """The error to raise when `failure` happens after the text `partial` was received. `failure` is its cause.

        Returns `failure` itself if `partial` is empty, or if `failure` is a StreamInterruptedError already, or a
        PersonaTruncatedError, after which the text is discarded.
        """
        if not partial or isinstance(failure, (cls, PersonaTruncatedError)):
            return failure
        error = cls(
            f"The answer of {failure.brain!r} broke off: {failure.message}",
            partial=partial,
            brain=failure.brain,
            model=failure.model,
            remedy="Ask again. Part of the answer was already shown, so the call is not repeated automatically.",
        )
        error.__cause__ = failure
        return error


class BudgetError(CervellaError):
    """The call could exceed the spending limit, so it was not made."""

    code = "budget"

    def __init__(
        self, message: str, *, spent_usd: Any = None, limit_usd: Any = None, remedy: str | None = None
    ) -> None:
        super().__init__(message, remedy=remedy)
        self.spent_usd = spent_usd
        """US dollars spent so far, as a Decimal, without the calls that are still running."""
        self.limit_usd = limit_usd
        """The spending limit in US dollars, as a Decimal. None if the call was refused because its price is unknown."""


class ConversationError(CervellaError):
    """A conversation can't be read, continued or stored."""

    code = "conversation"


class LedgerError(CervellaError):
    """The ledger can't be read or written, or does not contain the reply. An answer never fails because of it."""

    code = "ledger"


class EvaluationError(CervellaError):
    """A soul test, a comparison or a file of questions can't be run."""

    code = "evaluation"


@contextmanager
def refused(kind: type[CervellaError], message: str, *, remedy: str, **facts: Any) -> Iterator[None]:
    """Turn a failure to read or write a file inside the `with` block into an error of class `kind`.

    The error's text is `message`, followed by the reason that the operating system gives.

    >>> with refused(ConfigError, "The file 'x' can't be read", remedy="Correct its path."):
    ...     open("/there/is/none")
    Traceback (most recent call last):
    cervella.errors.ConfigError: The file 'x' can't be read: No such file or directory.
    """
    try:
        yield
    except OSError as error:
        raise kind(f"{message}: {error.strerror or error}.", remedy=remedy, **facts) from error
    except UnicodeDecodeError as error:
        reason = f"it is not UTF-8: byte {error.start} is not part of a character"
        raise kind(f"{message}: {reason}.", remedy="Save the file again as UTF-8.", **facts) from error


def did_you_mean(word: str, known: Sequence[str]) -> str:
    """Return "Did you mean 'claude'? " if a known word is similar to `word`, else an empty string.

    >>> did_you_mean("cluade", ["claude", "echo"])
    "Did you mean 'claude'? "
    """
    from difflib import get_close_matches

    near = get_close_matches(word, known, n=1, cutoff=0.5)
    return f"Did you mean {near[0]!r}? " if near else ""


def check_flags(options: Mapping[str, Any], names: Iterable[str]) -> None:
    """Raises ConfigError if one of these options is neither a bool nor None, its default."""
    for name in names:
        if not isinstance(options.get(name), bool | None):
            raise ConfigError(f"{name} is {options[name]!r:.40}.", remedy="Give True or False.", code="bad_value")


def check_names(kind: str, given: Iterable[object], known: Collection[str], *, code: str | None = None) -> None:
    """Raise ConfigError for the first name in `given` that is not in `known`.

    `kind` says in the message what the names stand for, for example "option". The error's code is `unknown_` and the
    kind, unless `code` is given.
    """
    for name in given:
        if name not in known:
            raise ConfigError(
                f"There is no {kind} {name!r}.",
                remedy=f"{did_you_mean(str(name), sorted(known))}Known: {', '.join(sorted(known))}.",
                code=code or f"unknown_{kind}",
            )
