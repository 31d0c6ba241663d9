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

if TYPE_CHECKING:
    from cervella.agent.agent import (
        Agent,
    )
    from cervella.agent.question import (
        AnyBrain,
        AnyFilters,
        AskOptions,
        ReviewOptions,
    )
    from cervella.agent.session import (
        Session,
    )
    from cervella.brains.routing.fallback import (
        Shielded,
    )
    from cervella.brains.routing.router import (
        RouteDecision,
    )
    from cervella.brains.shield.fitting import (
        Fitted,
    )
    from cervella.brains.shield.shield import (
        Guard,
    )
    from cervella.configuration.config import (
        Config,
        load_config,
    )
    from cervella.configuration.settings import (
        BudgetConfig,
        ConversationsConfig,
        EvaluationConfig,
        KnowledgeConfig,
        LedgerConfig,
        ReviewConfig,
        RoleConfig,
        RolesConfig,
        SoulConfig,
        TraitsConfig,
    )
    from cervella.errors import (
        BrainAuthError,
        BrainError,
        BrainNotInstalledError,
        BrainRateLimitError,
        BrainResponseError,
        BrainTimeoutError,
        BrainUnavailableError,
        BudgetError,
        CervellaError,
        ConfigError,
        ConversationError,
        EvaluationError,
        IndexDamagedError,
        IndexLockedError,
        IndexMismatchError,
        IndexMissingError,
        KnowledgeError,
        LedgerError,
        PersonaTruncatedError,
        PromptTooLongError,
        SoulChangedError,
        SoulError,
        StreamInterruptedError,
        UnknownBrainError,
        UnmatchedPatternError,
    )
    from cervella.knowledge.index.index import RolledBack
    from cervella.protocols import (
        Brain,
        Embedder,
        OptionalMembers,
        Retriever,
        Soul,
    )
    from cervella.records.conversations import (
        Conversation,
        Conversations,
        Turn,
    )
    from cervella.records.ledger.budget import (
        Limit,
        Period,
    )
    from cervella.records.ledger.ledger import (
        Ledger,
    )
    from cervella.records.ledger.rows import (
        Feedback,
        Row,
    )
    from cervella.soul import (
        Constitution,
        Section,
        Traits,
    )
    from cervella.text.language import (
        Language,
    )
    from cervella.types import (
        Answered,
        AnswerEvent,
        Attempt,
        BrainEvent,
        Citation,
        CitedLines,
        Completion,
        Event,
        Filters,
        Finished,
        Image,
        IndexReport,
        Interrupted,
        Location,
        Message,
        Passage,
        Preview,
        Progress,
        Prompt,
        Redaction,
        Reply,
        Retrieval,
        Retrieved,
        Reviewed,
        ReviewIssue,
        ReviewVerdict,
        Role,
        SecondHand,
        SkippedFile,
        Status,
        TextDelta,
        Timings,
        Usage,
        UsageUpdate,
    )
    from cervella.types.deadline import (
        Deadline,
    )

__version__ = "0.1.0"

_HOME = {
    "Agent": "agent.agent",
    "AnswerEvent": "types",
    "Answered": "types",
    "AnyBrain": "agent.question",
    "AnyFilters": "agent.question",
    "AskOptions": "agent.question",
    "Attempt": "types",
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
    "ReviewOptions": "agent.question",
    "ReviewVerdict": "types",
    "Reviewed": "types",
    "Role": "types",
    "RoleConfig": "configuration.settings",
    "RolesConfig": "configuration.settings",
    "RolledBack": "knowledge.index.index",
    "RouteDecision": "brains.routing.router",
    "Row": "records.ledger.rows",
    "SecondHand": "types",
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

__all__ = [
    "Agent",
    "AnswerEvent",
    "Answered",
    "AnyBrain",
    "AnyFilters",
    "AskOptions",
    "Attempt",
    "Brain",
    "BrainAuthError",
    "BrainError",
    "BrainEvent",
    "BrainNotInstalledError",
    "BrainRateLimitError",
    "BrainResponseError",
    "BrainTimeoutError",
    "BrainUnavailableError",
    "BudgetConfig",
    "BudgetError",
    "CervellaError",
    "Citation",
    "CitedLines",
    "Completion",
    "Config",
    "ConfigError",
    "Constitution",
    "Conversation",
    "ConversationError",
    "Conversations",
    "ConversationsConfig",
    "Deadline",
    "Embedder",
    "EvaluationConfig",
    "EvaluationError",
    "Event",
    "Feedback",
    "Filters",
    "Finished",
    "Fitted",
    "Guard",
    "Image",
    "IndexDamagedError",
    "IndexLockedError",
    "IndexMismatchError",
    "IndexMissingError",
    "IndexReport",
    "Interrupted",
    "KnowledgeConfig",
    "KnowledgeError",
    "Language",
    "Ledger",
    "LedgerConfig",
    "LedgerError",
    "Limit",
    "Location",
    "Message",
    "OptionalMembers",
    "Passage",
    "Period",
    "PersonaTruncatedError",
    "Preview",
    "Progress",
    "Prompt",
    "PromptTooLongError",
    "Redaction",
    "Reply",
    "Retrieval",
    "Retrieved",
    "Retriever",
    "ReviewConfig",
    "ReviewIssue",
    "ReviewOptions",
    "ReviewVerdict",
    "Reviewed",
    "Role",
    "RoleConfig",
    "RolesConfig",
    "RolledBack",
    "RouteDecision",
    "Row",
    "SecondHand",
    "Section",
    "Session",
    "Shielded",
    "SkippedFile",
    "Soul",
    "SoulChangedError",
    "SoulConfig",
    "SoulError",
    "Status",
    "StreamInterruptedError",
    "TextDelta",
    "Timings",
    "Traits",
    "TraitsConfig",
    "Turn",
    "UnknownBrainError",
    "UnmatchedPatternError",
    "Usage",
    "UsageUpdate",
    "__version__",
    "load_config",
]

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
