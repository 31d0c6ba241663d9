"""Creates the soul, the retriever and the brains of an agent, from its configuration or from the given objects.

Each part is created at its first use: the soul and the index at the first question, a brain at its first answer.
"""

from __future__ import annotations

import copy
import functools
import logging
import weakref
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from cervella.agent.bookkeeping import Bookkeeping
from cervella.agent.faces import AnyBrain
from cervella.agent.taint import Taint
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
from cervella.types import IndexReport, Progress, Prompt

if TYPE_CHECKING:
    from cervella.knowledge import KnowledgeIndex
    from cervella.knowledge.index.watching import Watch

_logger = logging.getLogger("cervella")


class Assembly:
    """The soul, the retriever and the brains of an Agent. Thread-safe. Each is created once.

    `locked` is true if the configured soul is to be compared with its lock file.
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
        self.taint = Taint(
            folder=config.knowledge.folder,
            patterns=config.knowledge.local_only,
            index=config.knowledge.index,
            retriever=lambda: self.retriever,
            own_retriever=retriever is None,
            conversations=config.conversations.path,
            language=config.knowledge_language,
        )
        self._watches: weakref.WeakSet[Watch] = weakref.WeakSet()
        self._default_choice: tuple[str, str] | None = None
        self._answer_with(brain)

    def _answer_with(self, brain: AnyBrain | None) -> None:
        self._brain = brain
        self.brain_reason: str | None = None
        """Why the default brain was chosen. None before it is chosen, and if the configuration or an argument names a
        brain."""
        self._lock = ForkLock()
        self._shields: dict[tuple[object, bool], Shielded] = {}
        self._cooldown = Cooldown()
        self._composing: list[str] = []

    def with_brain(self, brain: AnyBrain) -> Assembly:
        """A copy with the same soul and knowledge and another brain."""
        _ = self.soul, self.retriever
        other = copy.copy(self)
        other._owns_retriever = False
        other._watches = weakref.WeakSet()
        other._answer_with(brain)
        return other

    @property
    def brain_name(self) -> str:
        """The name of the configured brain, or of the default brain. Several names are joined by commas."""
        named = self._brain if self._brain is not None else self.config.brain or self._default()[0]
        several = named if isinstance(named, (list, tuple)) else (named,)
        return ", ".join(
            one.partition(":")[0] if isinstance(one, str) else str(getattr(one, "name", one)) for one in several
        )

    @property
    def soul(self) -> Soul:
        """The soul. At the first use it is read, checked and compared with its lock file. Raises SoulError."""
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
                f"The soul {self._soul.name!r} contains a secret.",
                remedy="Remove it, because the soul is sent to every brain.",
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
                    refresh=self.config.knowledge.refresh,
                    writer=self.index,
                    **self._of_the_base(),
                )
            return self._retriever

    def _constitution(self) -> Path | None:
        """The file of the Constitution. None if the soul is an object that was not read from a file."""
        if self._soul is None:
            return self.config.soul.constitution
        return self._soul.files[0][0] if isinstance(self._soul, Constitution) else None

    @property
    def persona(self) -> str | None:
        """The persona's name. None if the Constitution can't be read: a search works without it, an answer does not."""
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
        """The traits that the Constitution declares, overridden by `[soul.traits]`."""
        return Traits.of(self.soul, self.config.soul.traits.model_dump(exclude_none=True))

    @functools.cached_property
    def language(self) -> Language:
        """The language of the knowledge base."""
        return language(self.config.knowledge_language)

    def index(self) -> KnowledgeIndex:
        """A new object that writes the index of the knowledge folder."""
        from cervella.knowledge import KnowledgeIndex
        from cervella.knowledge.embedders.cache import EmbeddingCache, default_cache_folder

        own = self.config.knowledge
        cache = None if own.embedding_cache is False else EmbeddingCache(own.embedding_cache or default_cache_folder())
        return KnowledgeIndex(own.folder, own.index, cache=cache, mode=int(own.index_mode, 8), **self._of_the_base())

    def watch(self, on_update: Callable[[IndexReport], None] | None, progress: Progress | None) -> Watch:
        """An object that keeps the index up to date in a `with` block. `close` ends it too."""
        from cervella.knowledge.index.watching import Watch

        own = self.config.knowledge
        watch = Watch(self.index, own.folder, own.index, on_update=on_update, progress=progress)
        self._watches.add(watch)
        return watch

    def _of_the_base(self) -> dict[str, Any]:
        """Settings that must be the same for the writer and the reader of the index."""
        own = self.config.knowledge
        return {
            "embedder": self.embedder,
            "language": self.config.knowledge_language,
            "exclude": own.exclude,
            "gitignore": own.gitignore,
            "local_only": own.local_only,
            "roles": own.roles.model_dump(exclude_defaults=True),
        }

    def shield(self, brain: AnyBrain | None, *, repeatable: bool = False) -> Shielded:
        """The given brain, else the configured one, wrapped in its shield.

        `repeatable` sets the option of that name, if the brain is given by name and its configuration does not set it.
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
                    f"The brain {named!r} contains itself: {' > '.join([*self._composing, named])}.",
                    remedy="Remove it from its own members.",
                )
            self._composing.append(named)
            try:
                return compose(named, options, shield=own, cooldown=self._cooldown, affordable=self._may_afford)
            finally:
                self._composing.pop()
        beside: dict[str, Any] = {
            "slots": self.config.knowledge.index.parent / "slots",
            "similarity": self._similarity,
        }
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
            mask_personal=self.config.knowledge_language if self.config.privacy.personal == "mask" else None,
            guard=self._books.guard,
            on_attempt=self._books.on_attempt,
            judged=self.taint.prompt,
        )

    def _similarity(self, question: str, texts: Sequence[str]) -> Sequence[float] | None:
        """The cosines of the question with the texts, by the embedder of the index; None if it has no vectors."""
        similarity = getattr(self.retriever, "similarity", None)
        return None if similarity is None else similarity(question, texts)

    def _may_afford(self, shielded: Shielded, prompt: Prompt) -> bool:
        """Whether the budget allows this prompt for the brain, or for at least one of its members."""
        return any(self._books.affordable(leaf.brain, prompt) for leaf in leaves(shielded))

    def _configured(self) -> str | tuple[str, ...]:
        named = self.config.brain
        if named is None:
            named, why = self._default()
            _logger.info("brain %s: %s", named, why)
            self._brain, self.brain_reason = named, why
        return named

    def _default(self) -> tuple[str, str]:
        """The name of the default brain, used if none is configured, and the reason. Determined once."""
        if self._default_choice is None:
            self._default_choice = default_brain(self.config.brains)
        return self._default_choice

    def shields(self) -> list[Shielded]:
        """The brains that have been created so far."""
        with self._lock:
            return list(self._shields.values())

    def stop_vectors(self) -> None:
        """Stop the vectors of changed files that are being made, so that nothing waits for all of them."""
        stop = getattr(self._retriever, "stop_vectors", None)
        if stop is not None:
            stop()

    def close(self) -> None:
        """End the watches of the folder, finish the vectors of changed files, and close the index.

        The agent closes the brains, because each must be closed on its own event loop.
        """
        with self._lock:
            self._shields.clear()
            close = getattr(self._retriever, "close", None)
        for watch in list(self._watches):
            watch.close()
        if self._owns_retriever and close is not None:
            close()


def _key(brain: Any) -> object:
    """A cache key: a name itself, the id of an object, a tuple of keys for several brains."""
    if isinstance(brain, (list, tuple)):
        return tuple(map(_key, brain))
    return brain if isinstance(brain, str) else id(brain)
