"""The protocols Brain, Soul, Retriever and Embedder. Any object that has the members of a protocol can be used."""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable, Callable, Collection, Sequence
from typing import TYPE_CHECKING, Any, Protocol, cast, runtime_checkable

from cervella.types import BrainEvent, Filters, Location, Prompt, Retrieval

if TYPE_CHECKING:
    import numpy as np


@runtime_checkable
class Brain(Protocol):
    """An engine that answers one prompt.

    `stream` yields any number of `TextDelta` and, last, one `Finished`. The joined deltas are `completion.text`. A
    `UsageUpdate` may come at any time before `Finished`; the last one is used for the cost if the answer breaks off.

    `stream` raises only `BrainError`. After the first delta it raises `StreamInterruptedError(partial=…)`, or
    `PersonaTruncatedError` if the engine turns out to have read only a part of the prompt. Closing the iterator stops
    the engine. `stream` may be called from several event loops, also at the same time.

    A brain may also have any of the `OptionalMembers`.
    """

    @property
    def name(self) -> str:
        """The name of the brain in the configuration, for example "claude" or "gpu-box"."""
        ...

    @property
    def model(self) -> str:
        """The name of the model."""
        ...

    def stream(self, prompt: Prompt, /) -> AsyncIterator[BrainEvent]: ...


class OptionalMembers(Protocol):
    """Members that a brain may have in addition to those of `Brain`. Each is optional.

    The value below is the default for a brain that does not have the member.
    """

    location: Location | None = None
    """Where the model runs. `[brains.NAME] location` overrides it. None counts as cloud."""
    remote: bool = False
    """True: the brain counts as cloud, even if the configuration says otherwise."""
    context_tokens: int | None = None
    """Size of the context window in tokens, for prompt and answer together. None: the prompt is never cut."""
    max_output_tokens: int | None = None
    """Maximum length of an answer in tokens, if the question sets none. None: the smaller of 1024 tokens and a quarter
    of the context window is reserved for the answer."""
    capabilities: Collection[str] = ()
    """Inputs that the brain accepts besides text. The only one that exists is `"images"`."""
    thinks_aloud: bool = True
    """Whether a `<think>` block in the output is reasoning, which is removed from the answer."""
    opens_thinking: bool = False
    """True: the output begins inside a reasoning block, without an opening `<think>`. The shield sets this when it sees
    such an output."""
    quotes_only: bool = False
    """True: the brain only quotes passages, so a review does not ask it for a revision."""
    repeatable: bool | None = None
    """Whether the same prompt always gives the same output. None: not known."""
    check: Callable[[], None] | None = None
    """A function that raises a BrainError if the brain can't answer now. It does not load the model."""
    prepare: Callable[[], Awaitable[None]] | None = None
    """Awaited before a prompt is cut for this brain, so that the brain can find out its `context_tokens`."""
    count_tokens: Callable[[Prompt], Awaitable[int]] | None = None
    """Counts the tokens of a prompt. Without it the count is ceil(characters / 3)."""
    aclose: Callable[[], Awaitable[None]] | None = None
    """Closes the connections that belong to the running event loop."""


class _Members:
    """Reads the optional members of a brain at each access, because a brain may set them later."""

    def __init__(self, brain: object) -> None:
        self._brain = brain

    def __getattr__(self, name: str) -> Any:
        return getattr(self._brain, name, getattr(OptionalMembers, name))


def optional_members(brain: object) -> OptionalMembers:
    """The optional members of a brain; a member that the brain does not have has its default value."""
    return cast(OptionalMembers, _Members(brain))


@runtime_checkable
class Soul(Protocol):
    """The persona. `system_prompt` returns the same text at every call."""

    @property
    def name(self) -> str: ...

    @property
    def language(self) -> str:
        """The language that the persona speaks, as an ISO 639-1 code, for example "en" for English."""
        ...

    @property
    def fingerprint(self) -> str:
        """SHA-256 of the system prompt in UTF-8, in hexadecimal."""
        ...

    def system_prompt(self) -> str:
        """The text of the Constitution. The library adds nothing, so an update of the library never changes it."""
        ...


@runtime_checkable
class Retriever(Protocol):
    """Finds the passages for a query; thread-safe. If no passage answers the query, `Retrieval.abstain` is true.

    A retriever without a calibrated estimate leaves `Retrieval.confidence` None; its `abstain` counts all the same.

    The agent also uses three optional methods. `lines(path, start, end) -> str | None` returns the current lines of a
    file, or None if they no longer exist. `changed(passage) -> bool | None` returns whether the file has changed or was
    deleted since it was indexed, or None if this can't be determined. `holds(word) -> bool` returns whether the base
    has a word: alone it is then a question, even if it is one of small talk such as "great".

    The agent marks passages as local-only by their paths, if `[knowledge] local_only` names them, or the attribute
    `local_only` of the retriever, a sequence of such patterns, if it has one.
    """

    def retrieve(self, query: str, /, *, top_k: int = 6, filters: Filters | None = None) -> Retrieval: ...


@runtime_checkable
class Embedder(Protocol):
    """Turns texts into vectors. It must be thread-safe."""

    @property
    def name(self) -> str: ...

    @property
    def dimensions(self) -> int: ...

    @property
    def fingerprint(self) -> str:
        """Identifies the vectors: it must change whenever the same text would get another vector. An index can only be
        used with the fingerprint that it was built with."""
        ...

    def embed_passages(self, texts: Sequence[str], /) -> np.ndarray:
        """Vectors of shape (n, dimensions), float32, unit length."""
        ...

    def embed_query(self, text: str, /) -> np.ndarray:
        """A vector of shape (dimensions,), float32, unit length."""
        ...
