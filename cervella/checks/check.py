"""Defines the data types of a check: the check, its context and its result."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, Literal, Protocol, TypeAlias

from cervella.protocols import Embedder
from cervella.types import Passage

Judge: TypeAlias = Callable[[str, str], bool | None]
"""A function that asks a model whether a text (second argument) meets a rubric (first argument). Returns True or False,
or None if the model gave no verdict."""
Outcome: TypeAlias = tuple[bool | None, str]
"""The values `passed` and `detail` of a `Checked`, as the function of a built-in check returns them."""


class PersonaTraits(Protocol):
    """The persona's traits in a Constitution, as in `cervella.soul.Traits`; None or () means undeclared."""

    @property
    def name(self) -> str: ...
    @property
    def gender(self) -> Literal["feminine", "masculine"] | None: ...
    @property
    def language(self) -> str: ...
    @property
    def role(self) -> str | None: ...
    @property
    def tone(self) -> tuple[str, ...]: ...
    @property
    def rules(self) -> tuple[str, ...]: ...
    @property
    def aim(self) -> str | None: ...
    @property
    def person(self) -> str | None: ...
    @property
    def address(self) -> str | None: ...
    @property
    def never_called(self) -> tuple[str, ...]: ...
    @property
    def emoji(self) -> bool | None: ...
    @property
    def says_unknown(self) -> bool | None: ...
    @property
    def empty_phrases(self) -> tuple[str, ...]: ...
    @property
    def mottos(self) -> tuple[str, ...]: ...
    @property
    def max_tokens(self) -> int | None: ...
    @property
    def declared(self) -> Mapping[str, str]: ...


@dataclass(frozen=True, slots=True, kw_only=True)
class Check:
    """One requirement on a text."""

    kind: str
    """A built-in kind (`cervella.checks.check_kinds`), or one of a plugin."""
    args: Mapping[str, Any] = field(default_factory=dict)
    weight: float = 1.0
    """The weight of the check in the score of its probe, which is one question of a soul test."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Checked:
    """The result of a check."""

    kind: str
    passed: bool | None
    """Whether the text meets the requirement. None if this can't be checked, because there is no embedder, no judge or
    no rule for the language; the check then does not change the score."""
    how: Literal["deterministic", "embedder", "judge", "human"] = "deterministic"
    """The method that gave the result."""
    detail: str = ""
    """The reason for the result as a short text. If the check failed, it contains the words of the text that
    decided."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Context:
    """The facts that a check may need beside the text."""

    language: str
    """ISO 639-1 code of the persona's language. Its rules are applied to the text."""
    passages: tuple[Passage, ...] = ()
    """The passages of the prompt."""
    traits: PersonaTraits | None = None
    embedder: Embedder | None = None
    judge: Judge | None = None
    canary: str | None = None
    """A secret phrase that must not occur in the text."""
    system: str | None = None
    """The system prompt that the brain was given."""
    question: str = ""
    """The question that the text answers. A figure that occurs in it does not count as invented."""
