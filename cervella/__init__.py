"""Cervella: a persona chatbot that knows its owner's knowledge base. The soul stays, the engine changes.

```python
import cervella

agent = cervella.Agent()
reply = agent.ask("Perché abbiamo rimandato il lancio?")
print(reply.text, reply.citations)
```

Importing this package imports no SDK, no numpy, no store: each name below loads what it needs when it is first used.
"""

from __future__ import annotations

import importlib
import logging
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:  # each name under its own name, so that type checkers take it for one of this package
    from cervella.agent.agent import Agent as Agent
    from cervella.agent.faces import (
        AnyBrain as AnyBrain,
        AnyFilters as AnyFilters,
        AskOptions as AskOptions,
        BatchQuestion as BatchQuestion,
        CompleteOptions as CompleteOptions,
        IndexOptions as IndexOptions,
        ReviewOptions as ReviewOptions,
    )
    from cervella.agent.session import Session as Session
    from cervella.brains.routing.fallback import Shielded as Shielded
    from cervella.brains.routing.router import RouteDecision as RouteDecision
    from cervella.brains.shield.fitting import Fitted as Fitted
    from cervella.brains.shield.shield import Guard as Guard
    from cervella.configuration.config import (
        Config as Config,
        load_config as load_config,
    )
    from cervella.configuration.settings import (
        BudgetConfig as BudgetConfig,
        ConversationsConfig as ConversationsConfig,
        EvaluationConfig as EvaluationConfig,
        KnowledgeConfig as KnowledgeConfig,
        LedgerConfig as LedgerConfig,
        ReviewConfig as ReviewConfig,
        RoleConfig as RoleConfig,
        RolesConfig as RolesConfig,
        SoulConfig as SoulConfig,
        TraitsConfig as TraitsConfig,
    )
    from cervella.errors import (
        BrainAuthError as BrainAuthError,
        BrainError as BrainError,
        BrainNotInstalledError as BrainNotInstalledError,
        BrainRateLimitError as BrainRateLimitError,
        BrainResponseError as BrainResponseError,
        BrainTimeoutError as BrainTimeoutError,
        BrainUnavailableError as BrainUnavailableError,
        BudgetError as BudgetError,
        CervellaError as CervellaError,
        ConfigError as ConfigError,
        ConversationError as ConversationError,
        EvaluationError as EvaluationError,
        IndexDamagedError as IndexDamagedError,
        IndexLockedError as IndexLockedError,
        IndexMismatchError as IndexMismatchError,
        IndexMissingError as IndexMissingError,
        KnowledgeError as KnowledgeError,
        LedgerError as LedgerError,
        PersonaTruncatedError as PersonaTruncatedError,
        PromptTooLongError as PromptTooLongError,
        SoulChangedError as SoulChangedError,
        SoulError as SoulError,
        StreamInterruptedError as StreamInterruptedError,
        UnknownBrainError as UnknownBrainError,
        UnmatchedPatternError as UnmatchedPatternError,
    )
    from cervella.knowledge.index.writer import RolledBack as RolledBack
    from cervella.protocols import (
        Brain as Brain,
        Embedder as Embedder,
        OptionalMembers as OptionalMembers,
        Retriever as Retriever,
        Soul as Soul,
    )
    from cervella.records.conversations import (
        Conversation as Conversation,
        Conversations as Conversations,
        Turn as Turn,
    )
    from cervella.records.ledger.budget import (
        Limit as Limit,
        Period as Period,
    )
    from cervella.records.ledger.ledger import Ledger as Ledger
    from cervella.records.ledger.rows import (
        Feedback as Feedback,
        Row as Row,
    )
    from cervella.soul import (
        Constitution as Constitution,
        Section as Section,
        Traits as Traits,
    )
    from cervella.text.language import Language as Language
    from cervella.types import (
        Answered as Answered,
        AnswerEvent as AnswerEvent,
        Attempt as Attempt,
        BrainEvent as BrainEvent,
        Citation as Citation,
        CitedLines as CitedLines,
        Completion as Completion,
        Event as Event,
        Filters as Filters,
        Finished as Finished,
        Image as Image,
        IndexReport as IndexReport,
        Interrupted as Interrupted,
        Location as Location,
        Message as Message,
        Passage as Passage,
        Preview as Preview,
        Progress as Progress,
        Prompt as Prompt,
        Redaction as Redaction,
        Reply as Reply,
        Retrieval as Retrieval,
        Retrieved as Retrieved,
        Reviewed as Reviewed,
        ReviewIssue as ReviewIssue,
        ReviewVerdict as ReviewVerdict,
        Role as Role,
        SecondOpinion as SecondOpinion,
        SkippedFile as SkippedFile,
        Status as Status,
        TextDelta as TextDelta,
        Timings as Timings,
        Usage as Usage,
        UsageUpdate as UsageUpdate,
    )
    from cervella.types.deadline import Deadline as Deadline

__version__ = "0.1.0"

_HOME = {
    "Agent": "agent.agent",
    "AnswerEvent": "types",
    "Answered": "types",
    "AnyBrain": "agent.faces",
    "AnyFilters": "agent.faces",
    "AskOptions": "agent.faces",
    "Attempt": "types",
    "BatchQuestion": "agent.faces",
    "Brain": "protocols",
    "BrainAuthError": "errors",
    "BrainError": "errors",
    "BrainEvent": "types",
    "BrainNotInstalledError": "errors",
    "BrainRateLimitError": "errors",
    "BrainResponseError": "errors",
    "BrainTimeoutError": "errors",
    "BrainUnavailableError": "errors",
    "BudgetConfig": "configuration.settings",
    "BudgetError": "errors",
    "CervellaError": "errors",
    "Citation": "types",
    "CitedLines": "types",
    "CompleteOptions": "agent.faces",
    "Completion": "types",
    "Config": "configuration.config",
    "ConfigError": "errors",
    "Constitution": "soul",
    "Conversation": "records.conversations",
    "ConversationError": "errors",
    "Conversations": "records.conversations",
    "ConversationsConfig": "configuration.settings",
    "Deadline": "types.deadline",
    "Embedder": "protocols",
    "EvaluationConfig": "configuration.settings",
    "EvaluationError": "errors",
    "Event": "types",
    "Feedback": "records.ledger.rows",
    "Filters": "types",
    "Finished": "types",
    "Fitted": "brains.shield.fitting",
    "Guard": "brains.shield.shield",
    "Image": "types",
    "IndexDamagedError": "errors",
    "IndexLockedError": "errors",
    "IndexMismatchError": "errors",
    "IndexMissingError": "errors",
    "IndexOptions": "agent.faces",
    "IndexReport": "types",
    "Interrupted": "types",
    "KnowledgeConfig": "configuration.settings",
    "KnowledgeError": "errors",
    "Language": "text.language",
    "Ledger": "records.ledger.ledger",
    "LedgerConfig": "configuration.settings",
    "LedgerError": "errors",
    "Limit": "records.ledger.budget",
    "Location": "types",
    "Message": "types",
    "OptionalMembers": "protocols",
    "Passage": "types",
    "Period": "records.ledger.budget",
    "PersonaTruncatedError": "errors",
    "Preview": "types",
    "Progress": "types",
    "Prompt": "types",
    "PromptTooLongError": "errors",
    "Redaction": "types",
    "Reply": "types",
    "Retrieval": "types",
    "Retrieved": "types",
    "Retriever": "protocols",
    "ReviewConfig": "configuration.settings",
    "ReviewIssue": "types",
    "ReviewOptions": "agent.faces",
    "ReviewVerdict": "types",
    "Reviewed": "types",
    "Role": "types",
    "RoleConfig": "configuration.settings",
    "RolesConfig": "configuration.settings",
    "RolledBack": "knowledge.index.writer",
    "RouteDecision": "brains.routing.router",
    "Row": "records.ledger.rows",
    "SecondOpinion": "types",
    "Section": "soul",
    "Session": "agent.session",
    "Shielded": "brains.routing.fallback",
    "SkippedFile": "types",
    "Soul": "protocols",
    "SoulChangedError": "errors",
    "SoulConfig": "configuration.settings",
    "SoulError": "errors",
    "Status": "types",
    "StreamInterruptedError": "errors",
    "TextDelta": "types",
    "Timings": "types",
    "Traits": "soul",
    "TraitsConfig": "configuration.settings",
    "Turn": "records.conversations",
    "UnknownBrainError": "errors",
    "UnmatchedPatternError": "errors",
    "Usage": "types",
    "UsageUpdate": "types",
    "load_config": "configuration.config",
}
"""The module of each public name."""
__all__ = sorted([*_HOME, "__version__"])

logging.getLogger("cervella").addHandler(logging.NullHandler())


if not TYPE_CHECKING:  # else every misspelt name of the package would be known to a type checker

    def __getattr__(name: str) -> Any:
        if name in _HOME:
            value = getattr(importlib.import_module(f"cervella.{_HOME[name]}"), name)
            globals()[name] = value
            return value
        raise AttributeError(f"module 'cervella' has no attribute {name!r}")


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
