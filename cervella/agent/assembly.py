"""Soul, retriever and brains, made of a configuration and of the objects that stand in for parts of it.

Nothing is read before it is needed: the soul and the index at the first question, a brain at its first answer.
"""

from __future__ import annotations

import copy
import functools
import logging
from pathlib import Path
from typing import TYPE_CHECKING, Any

from cervella.agent.bookkeeping import Bookkeeping
from cervella.agent.faces import AnyBrain
from cervella.brains import default_brain, load_brain, shield_options
from cervella.brains.routing.composed import COMPOSED, compose, kind_of
from cervella.brains.routing.cooldown import Cooldown
from cervella.brains.routing.fallback import Fallback, Shielded, leaves
from cervella.brains.shield.shield import Shield
from cervella.configuration.config import Config
from cervella.errors import ConfigError, SoulError
from cervella.privacy.redaction import find_secrets
from cervella.process.forks import ForkLock
from cervella.protocols import Brain, Embedder, Retriever, Soul
from cervella.soul import Constitution, Traits
from cervella.text.language import Language, language
from cervella.types import Prompt

if TYPE_CHECKING:
    from cervella.knowledge import KnowledgeIndex

_logger = logging.getLogger("cervella")


class Assembly:
    """The parts of an Agent. Thread-safe; each part is made once.

    `locked`: the soul of the configuration is compared with its lock.
    """

    def __init__(
        self,
        config: Config,
        books: Bookkeeping,
        *,
        brain: AnyBrain | None,
        embedder: str | Embedder | None,
        soul: Soul | None,
        retriever: Retriever | None,
        locked: bool,
    ) -> None:
        for name, given, has in (
            ("embedder", embedder, "embed_query"),
            ("soul", soul, "system_prompt"),
            ("retriever", retriever, "retrieve"),
        ):
            if given is not None and not hasattr(given, has) and not (name == "embedder" and isinstance(given, str)):
                raise ConfigError(
                    f"{name} is {type(given).__name__}, which has no {has}.",
                    remedy=f"Give an object with the {name.capitalize()} protocol of cervella.protocols.",
                )
        self.config = config
        self.embedder: str | Embedder = config.knowledge.embedder if embedder is None else embedder
        self._books = books
        self._soul = soul
        self._checked_soul: Soul | None = None
        self._persona: str | None = None
        self._locked = locked
        self._retriever = retriever
        self._owns_retriever = retriever is None
        self._default_choice: tuple[str, str] | None = None
        self._answer_with(brain)

    def _answer_with(self, brain: AnyBrain | None) -> None:
        self._brain = brain
        self.brain_reason: str | None = None
        """Why this brain answers, where none was named; None before it is chosen, and where one was."""
        self._lock = ForkLock()
        self._shields: dict[tuple[object, bool], Shielded] = {}
        self._cooldown = Cooldown()
        self._composing: list[str] = []

    def with_brain(self, brain: AnyBrain) -> Assembly:
        """The same soul and knowledge, and another brain."""
        _ = self.soul, self.retriever
        other = copy.copy(self)
        other._owns_retriever = False
        other._answer_with(brain)
        return other

    @property
    def brain_name(self) -> str:
        """The name of what was asked for, or of the default; nothing is loaded for it."""
        named = self._brain if self._brain is not None else self.config.brain or self._default()[0]
        several = named if isinstance(named, (list, tuple)) else (named,)
        return ", ".join(
            one.partition(":")[0] if isinstance(one, str) else str(getattr(one, "name", one)) for one in several
        )

    @property
    def soul(self) -> Soul:
        """Read, checked and compared with its lock at the first use. Raises SoulError."""
        with self._lock:
            if self._checked_soul is None:
                self._checked_soul = self._soul = self._soul_to_check()
            return self._checked_soul

    def _soul_to_check(self) -> Soul:
        own = self.config.soul
        if self._soul is None:
            soul = Constitution.load(own.constitution, own.also, language=own.language, max_tokens=own.max_tokens)
            if self._locked and own.lock.exists():
                from cervella.soul.lock_check import held_against_lock

                held_against_lock(soul, own.lock, strict=own.strict)
            return soul
        if not isinstance(self._soul, Constitution) and find_secrets(self._soul.system_prompt()):
            raise SoulError(
                f"The soul {self._soul.name!r} holds a secret.",
                remedy="Take it out: the soul is sent to every brain.",
                code="secret_in_soul",
            )
        return self._soul

    @property
    def retriever(self) -> Retriever:
        with self._lock:
            if self._retriever is None:
                from cervella.knowledge import HybridRetriever

                self._retriever = HybridRetriever(
                    self.config.knowledge.index,
                    folder=self.config.knowledge.folder,
                    constitution=self._constitution(),
                    persona=self.persona,
                    **self._of_the_base(),
                )
            return self._retriever

    def _constitution(self) -> Path | None:
        """The file that the soul is read from; None where the soul is an object that was read from none."""
        if self._soul is None:
            return self.config.soul.constitution
        return self._soul.files[0][0] if isinstance(self._soul, Constitution) else None

    @property
    def persona(self) -> str | None:
        """Her name; None where her Constitution can't be read: an answer then raises SoulError, a search need not."""
        if self._persona is None:
            own = self.config.soul
            try:
                soul = self._soul or Constitution.load(own.constitution, max_tokens=own.max_tokens)
            except SoulError:
                return own.traits.name
            words = language(own.language)
            name = None if words.names_somebody(soul.name) else words.own_name(soul.system_prompt())
            self._persona = own.traits.name or name or soul.name
        return self._persona

    @property
    def traits(self) -> Traits:
        """What the Constitution declares of her, `[soul.traits]` on top."""
        return Traits.of(self.soul, self.config.soul.traits.model_dump(exclude_none=True))

    @functools.cached_property
    def language(self) -> Language:
        """The language of the knowledge base."""
        return language(self.config.knowledge_language)

    def index(self) -> KnowledgeIndex:
        """The writer of the index."""
        from cervella.knowledge import KnowledgeIndex
        from cervella.knowledge.embedders.cache import EmbeddingCache, default_cache_folder

        own = self.config.knowledge
        cache = None if own.embedding_cache is False else EmbeddingCache(own.embedding_cache or default_cache_folder())
        return KnowledgeIndex(own.folder, own.index, cache=cache, mode=int(own.index_mode, 8), **self._of_the_base())

    def _of_the_base(self) -> dict[str, Any]:
        """What the writer of the index and its reader must agree on."""
        own = self.config.knowledge
        return {
            "embedder": self.embedder,
            "language": self.config.knowledge_language,
            "exclude": own.exclude,
            "local_only": own.local_only,
            "roles": own.roles.model_dump(exclude_defaults=True),
        }

    def shield(self, brain: AnyBrain | None, *, repeatable: bool = False) -> Shielded:
        """The brain that was asked for, or the configured one, behind its shield.

        `repeatable` sets that option of a brain that is made here, unless its configuration does.
        """
        with self._lock:
            named = brain if brain is not None else self._brain if self._brain is not None else self._configured()
            key = (_key(named), repeatable)
            if key not in self._shields:
                self._shields[key] = self._made(named, repeatable)
            return self._shields[key]

    def _made(self, named: Any, repeatable: bool) -> Shielded:
        own, options = functools.partial(self.shield, repeatable=repeatable), self.config.brains
        if isinstance(named, (list, tuple)):
            return Fallback([own(one) for one in named], cooldown=self._cooldown)
        if isinstance(named, str) and kind_of(named, options) in COMPOSED:
            if named in self._composing:
                raise ConfigError(
                    f"The brain {named!r} is made of itself: {' > '.join([*self._composing, named])}.",
                    remedy="Name other members.",
                )
            self._composing.append(named)
            try:
                return compose(named, options, shield=own, cooldown=self._cooldown, affordable=self._may_afford)
            finally:
                self._composing.pop()
        beside: dict[str, Any] = {"slots": self.config.knowledge.index.parent / "slots"}
        if repeatable:
            beside["repeatable"] = True
        leaf = load_brain(named, options, defaults=beside) if isinstance(named, str) else named
        if not isinstance(leaf, Brain):
            raise ConfigError(
                f"brain is {type(leaf).__name__}, which has no name, model and stream.",
                remedy="Give the name of a brain, or an object with the Brain protocol.",
            )
        return Shield(
            leaf,
            **shield_options(named if isinstance(named, str) else leaf.name, options),
            guard=self._books.guard,
            on_attempt=self._books.on_attempt,
        )

    def _may_afford(self, shielded: Shielded, prompt: Prompt) -> bool:
        """Whether the budget allows a brain this prompt; of several brains, one of them."""
        return any(self._books.affordable(leaf.brain, prompt) for leaf in leaves(shielded))

    def _configured(self) -> str | tuple[str, ...]:
        named = self.config.brain
        if named is None:
            named, why = self._default()
            _logger.info("brain %s: %s", named, why)
            self._brain, self.brain_reason = named, why
        return named

    def _default(self) -> tuple[str, str]:
        """The brain that answers where none is named, and why; looked up once."""
        if self._default_choice is None:
            self._default_choice = default_brain(self.config.brains)
        return self._default_choice

    def shields(self) -> list[Shielded]:
        """The brains that were asked so far."""
        with self._lock:
            return list(self._shields.values())

    def close(self) -> None:
        """Close the index. The agent closes the brains, each on the loop that it ran on."""
        with self._lock:
            self._shields.clear()
            close = getattr(self._retriever, "close", None)
        if self._owns_retriever and close is not None:
            close()


def _key(brain: Any) -> object:
    """A name, or which object it is; of several, of each."""
    if isinstance(brain, (list, tuple)):
        return tuple(map(_key, brain))
    return brain if isinstance(brain, str) else id(brain)
