"""The values of a check: what is asked of a text, what it is held against, and what came out."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, Literal, Protocol, TypeAlias

from cervella.protocols import Embedder
from cervella.types import Passage

__all__ = ["Check", "Checked", "Context", "Judge", "Outcome", "PersonaTraits"]

Judge: TypeAlias = Callable[[str, str], bool | None]
"""Takes what is asked for and the text; gives the verdict, or None where it gave none (the two orders disagreed)."""
Outcome: TypeAlias = tuple[bool | None, str]
"""Whether a text passed, as in `Checked`, and the detail."""


class PersonaTraits(Protocol):
    """What a Constitution declares of the persona: `cervella.soul.Traits` has it all. None or () is undeclared."""

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
    """One thing that is asked of a text."""

    kind: str
    """A built-in kind (`cervella.checks.check_kinds`), or one of a plugin."""
    args: Mapping[str, Any] = field(default_factory=dict)
    weight: float = 1.0
    """Its share of a probe's score, beside the weights of the others."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Checked:
    """What a check found."""

    kind: str
    passed: bool | None
    """None: not scored (no embedder, no judge, no rules for the language). It counts neither way."""
    how: Literal["deterministic", "embedder", "judge", "human"] = "deterministic"
    """What kind of number it is."""
    detail: str = ""
    """Why, in words; where a text failed, the words of it that decided."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Context:
    """What a text is held against."""

    language: str
    """ISO 639-1: the language that the persona speaks, whose rules read the text."""
    passages: tuple[Passage, ...] = ()
    """What the brain was shown."""
    traits: PersonaTraits | None = None
    embedder: Embedder | None = None
    judge: Judge | None = None
    canary: str | None = None
    """Words that must not come out."""
    system: str | None = None
    """The system prompt that the brain was given."""
    question: str = ""
    """What was asked: a figure that stands there is not invented."""
