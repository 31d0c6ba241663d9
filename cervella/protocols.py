"""The four contracts: brain, soul, retriever, embedder. Any object that keeps one works wherever a name does."""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable, Callable, Collection, Sequence
from typing import TYPE_CHECKING, Any, Protocol, cast, runtime_checkable

from cervella.types import BrainEvent, Filters, Location, Prompt, Retrieval

if TYPE_CHECKING:
    import numpy as np


@runtime_checkable
class Brain(Protocol):
    """An engine that answers one prompt.

    Yields any number of `TextDelta`, then one `Finished`, last. The deltas joined are `completion.text`. A
    `UsageUpdate` may come at any time before: it is billed where the answer breaks off. Raises only `BrainError`;
    after the first delta, `StreamInterruptedError(partial=…)`, or `PersonaTruncatedError` where the engine turns out to
    have read less than the prompt. Closing the iterator stops the engine. `stream` may be
    called from several event loops, one after the other or at once.

    What it may have besides is in `OptionalMembers`.
    """

    @property
    def name(self) -> str:
        """As configured: "claude", "gpu-box"."""
        ...

    @property
    def model(self) -> str:
        """The weights."""
        ...

    def stream(self, prompt: Prompt, /) -> AsyncIterator[BrainEvent]: ...


class OptionalMembers(Protocol):
    """What a brain may have besides the members of `Brain`. It needs none of them, and each is looked for by itself.

    The value here is what holds for a brain that has no such member.
    """

    location: Location | None = None
    """Where its weights run, for `[brains.NAME] location` to overrule; without it a brain is cloud."""
    remote: bool = False
    """True makes a brain cloud, whatever the configuration says of its location; without it false."""
    context_tokens: int | None = None
    """Its window, prompt and answer together; without it nothing is cut."""
    max_output_tokens: int | None = None
    """The longest answer, where the question does not say; without it 1024 tokens or a quarter of the window are kept
    free."""
    capabilities: Collection[str] = ()
    """What it can do besides text: `"images"`; without it nothing."""
    thinks_aloud: bool = True
    """False says that a `<think>` in its text is no thought; without it true."""
    opens_thinking: bool = False
    """True says that its text begins inside a thought; without it false. The shield sets it where it learns so."""
    quotes_only: bool = False
    """True says that it quotes and does not write, so that a review asks for no revision; without it false."""
    repeatable: bool | None = None
    """Whether the same prompt gives the same bytes; without it nobody knows."""
    check: Callable[[], None] | None = None
    """Raises a BrainError where it could not answer, and loads nothing."""
    prepare: Callable[[], Awaitable[None]] | None = None
    """Awaited before a prompt is cut for this brain: what it learns there (`context_tokens`, …) counts."""
    count_tokens: Callable[[Prompt], Awaitable[int]] | None = None
    """What a prompt takes of its window; without it ceil(characters / 3)."""
    aclose: Callable[[], Awaitable[None]] | None = None
    """Releases what it holds on the running loop."""


class _Members:
    """The optional members of a brain, read when they are asked for: what it learns later counts."""

    def __init__(self, brain: object) -> None:
        self._brain = brain

    def __getattr__(self, name: str) -> Any:
        return getattr(self._brain, name, getattr(OptionalMembers, name))


def optional_members(brain: object) -> OptionalMembers:
    """The optional members of a brain, each with its default where the brain does not have it."""
    return cast(OptionalMembers, _Members(brain))


@runtime_checkable
class Soul(Protocol):
    """Who speaks. `system_prompt` gives the same text at every call."""

    @property
    def name(self) -> str: ...

    @property
    def language(self) -> str:
        """ISO 639-1: "it"."""
        ...

    @property
    def fingerprint(self) -> str:
        """sha256 of the system prompt's UTF-8 bytes, in hexadecimal."""
        ...

    def system_prompt(self) -> str:
        """The kept text of the Constitution, nothing of ours: a library update never changes a soul."""
        ...


@runtime_checkable
class Retriever(Protocol):
    """Finds the passages for a query. Thread-safe. An unanswerable query is no error: `abstain` is true then.

    Optional, used by the agent where present: `lines(path, start, end) -> str | None`, the lines of a file as they are
    now, None where they are gone; `changed(passage) -> bool | None`, whether the passage's file is another than it was
    indexed, or gone, None where that can't be looked at.
    """

    def retrieve(self, query: str, /, *, top_k: int = 6, filters: Filters | None = None) -> Retrieval: ...


@runtime_checkable
class Embedder(Protocol):
    """Turns text into vectors. Thread-safe."""

    @property
    def name(self) -> str: ...

    @property
    def dimensions(self) -> int: ...

    @property
    def fingerprint(self) -> str:
        """Changes whenever the same text would get another vector: it decides whether an index can be used."""
        ...

    def embed_passages(self, texts: Sequence[str], /) -> np.ndarray:
        """Vectors of shape (n, dimensions), float32, unit length."""
        ...

    def embed_query(self, text: str, /) -> np.ndarray:
        """A vector of shape (dimensions,), float32, unit length."""
        ...
