"""What can be asked: a question and its options, checked before anything is done."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any, TypeAlias

from cervella.errors import ConfigError
from cervella.protocols import Brain
from cervella.text.language import is_blank
from cervella.types import Filters, Image

__all__ = ["AnyBrain", "AnyFilters", "checked_options", "checked_question"]

AnyBrain: TypeAlias = str | Brain | Sequence[str | Brain]
"""A name, an object, or several of them: the first that answers."""
AnyFilters: TypeAlias = Filters | Mapping[str, Any] | None
"""Filters, or their fields as a mapping."""


def checked_question(question: Any) -> str:
    """The question, which is a text that is not empty; raises ConfigError."""
    if not isinstance(question, str) or is_blank(question):
        raise ConfigError(
            f"The question is {question!r:.40}.",
            remedy="Ask something: a text that is not empty.",
            code="empty_question",
        )
    return question


def checked_options(max_output_tokens: Any, temperature: Any, images: Iterable[Any]) -> None:
    """Raises ConfigError for an option that can't be used."""

    def wrong(name: str, value: object, cure: str) -> ConfigError:
        return ConfigError(f"{name} is {value!r:.40}.", remedy=cure, code="bad_value")

    whole = isinstance(max_output_tokens, int) and not isinstance(max_output_tokens, bool) and max_output_tokens > 0
    if max_output_tokens is not None and not whole:
        raise wrong("max_output_tokens", max_output_tokens, "Give a whole number above 0, or None.")
    number = isinstance(temperature, (int, float)) and not isinstance(temperature, bool) and temperature >= 0
    if temperature is not None and not number:
        raise wrong("temperature", temperature, "Give a number, 0 or more, or None.")
    for image in images:
        if not isinstance(image, Image):
            raise wrong("images", image, "Give Image objects: Image(media_type='image/png', data=…).")
