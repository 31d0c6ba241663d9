"""What can be asked: a question and its options, checked before anything is done."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any, TypeAlias, TypedDict

from cervella.errors import ConfigError, did_you_mean
from cervella.protocols import Brain
from cervella.types import Filters, Image

__all__ = [
    "AnyBrain",
    "AnyFilters",
    "AskOptions",
    "ReviewOptions",
    "checked_images",
    "checked_names",
    "checked_numbers",
    "checked_question",
]

AnyBrain: TypeAlias = str | Brain | Sequence[str | Brain]
"""A name, an object, or several of them: the first that answers."""
AnyFilters: TypeAlias = Filters | Mapping[str, Any] | None
"""Filters, or their fields as a mapping."""


class AskOptions(TypedDict, total=False):
    """The options of a question, the same for `ask`, `stream`, `preview`, `route`, `batch` and a session.

    All can be left out. A session has its own `history`, `query` and `session`, and raises ConfigError for them.
    """

    batch: bool
    """Nobody waits for this answer, which a router looks at. By default false; true in `batch`."""
    brain: AnyBrain | None
    """Who answers this question; by default the brain of the agent."""
    filters: AnyFilters
    """What the question may see of the base; by default all of it."""
    history: Iterable[Any] | None
    """What was said before, oldest first: Messages, Replies, `(question, answer)` pairs or `{"role", "content"}` dicts.
    By default nothing."""
    images: Iterable[Image]
    """Pictures that go with the question; by default none."""
    max_output_tokens: int | None
    """The longest answer, in tokens; by default as the brain is configured."""
    query: str | None
    """What to search for; by default the question, and a follow-up («e quanto costa?») with the one before it."""
    review: bool | AnyBrain | None
    """True: the checks and the second opinion of `[review]`; a brain: it gives the second opinion; False: no review.
    By default `[review] enabled` says."""
    session: str | None
    """Whose question the ledger says it is; by default nobody's."""
    temperature: float | None
    """0 or more; by default as the brain is configured."""
    timeout: float | None
    """Seconds for all of it, retrieval included; by default no limit."""
    top_k: int | None
    """How many passages to retrieve; by default that of `[knowledge]`."""


class ReviewOptions(TypedDict, total=False):
    """The options of `review`. All can be left out; those of the search count only for a text, not for a Reply."""

    brain: AnyBrain | None
    """Who gives the second opinion; by default the brain of `[review]`."""
    filters: AnyFilters
    """What the search may see of the base; by default all of it."""
    query: str | None
    """What to search for; by default the question."""
    question: str | None
    """What a text answers: a text needs it, a Reply has its own."""
    tainted: bool
    """The text was written with something local-only in sight: no cloud brain may see it. By default false."""
    timeout: float | None
    """Seconds for all of it; by default no limit."""
    top_k: int | None
    """How many passages to retrieve; by default that of `[knowledge]`."""


def checked_names(given: Iterable[str], known: Any) -> None:
    """Raises ConfigError for a name that is no option of `known`, a TypedDict."""
    names = sorted(known.__optional_keys__)
    for name in given:
        if name not in names:
            raise ConfigError(
                f"There is no option {name!r}.",
                remedy=f"{did_you_mean(name, names)}Options: {', '.join(names)}.",
                code="unknown_option",
            )


def checked_question(question: Any) -> str:
    """The question, which is a text that is not empty; raises ConfigError."""
    from cervella.text.language import is_blank

    if not isinstance(question, str) or is_blank(question):
        raise ConfigError(
            f"The question is {question!r:.40}.",
            remedy="Ask something: a text that is not empty.",
            code="empty_question",
        )
    return question


def checked_numbers(max_output_tokens: Any, temperature: Any) -> None:
    """Raises ConfigError for a number that can't be used."""
    whole = isinstance(max_output_tokens, int) and not isinstance(max_output_tokens, bool) and max_output_tokens > 0
    if max_output_tokens is not None and not whole:
        raise _wrong("max_output_tokens", max_output_tokens, "Give a whole number above 0, or None.")
    number = isinstance(temperature, (int, float)) and not isinstance(temperature, bool) and temperature >= 0
    if temperature is not None and not number:
        raise _wrong("temperature", temperature, "Give a number, 0 or more, or None.")


def checked_images(images: Any) -> tuple[Image, ...]:
    """The images, read once; raises ConfigError for what is none."""
    cure = "Give Image objects: [Image(media_type='image/png', data=…)]."
    if not isinstance(images, Iterable):
        raise _wrong("images", images, cure)
    given = tuple(images)
    for image in given:
        if not isinstance(image, Image):
            raise _wrong("images", image, cure)
    return given


def _wrong(name: str, value: object, cure: str) -> ConfigError:
    return ConfigError(f"{name} is {value!r:.40}.", remedy=cure, code="bad_value")
