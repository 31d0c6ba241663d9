"""The four contracts: brain, soul, retriever, embedder. Any object that keeps one works wherever a name does."""

from __future__ import annotations

from collections.abc import AsyncIterator, Sequence
from typing import TYPE_CHECKING, Protocol, runtime_checkable

from cervella.types import BrainEvent, Filters, Prompt, Retrieval

if TYPE_CHECKING:
    import numpy as np

__all__ = ["Brain", "Embedder", "Retriever", "Soul"]


@runtime_checkable
class Brain(Protocol):
    """An engine that answers one prompt.

    Yields any number of `TextDelta`, then one `Finished`, last. The deltas joined are `completion.text`. A
    `UsageUpdate` may come at any time before: it is billed where the answer breaks off. Raises only `BrainError`;
    after the first delta, `StreamInterruptedError(partial=…)`, or `PersonaTruncatedError` where the engine turns out to
    have read less than the prompt. Closing the iterator stops the engine. `stream` may be
    called from several event loops, one after the other or at once.

    Optional, used by the shield where present: `location` (`"local"`, `"private"`, `"cloud"`; without it a brain is
    cloud), `context_tokens` (int: prompt and answer together), `capabilities` (frozenset: `"images"`, …),
    `async count_tokens(prompt) -> int` (without it: ceil(characters / 3)), `async aclose()`, and `check()`, which
    raises a BrainError where it could not answer, and loads nothing. `async prepare()` is awaited before a prompt is
    cut for this brain: what it learns there (`context_tokens`, …) counts. `remote = True` makes a brain cloud, whatever
    the configuration says of its location. `thinks_aloud = False` says that a `<think>` in its text is no thought.
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
