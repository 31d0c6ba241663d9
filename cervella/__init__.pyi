"""The public names of `cervella`, each with its module: read by type checkers, by editors and by `__init__.py`."""

from .agent.agent import Agent as Agent
from .agent.faces import (
    AnyBrain as AnyBrain,
)
from .agent.faces import (
    AnyFilters as AnyFilters,
)
from .agent.faces import (
    AskOptions as AskOptions,
)
from .agent.faces import (
    BatchQuestion as BatchQuestion,
)
from .agent.faces import (
    CompleteOptions as CompleteOptions,
)
from .agent.faces import (
    IndexOptions as IndexOptions,
)
from .agent.faces import (
    ReviewOptions as ReviewOptions,
)
from .agent.session import Session as Session
from .brains.routing.fallback import Shielded as Shielded
from .brains.routing.router import RouteDecision as RouteDecision
from .brains.shield.fitting import Fitted as Fitted
from .brains.shield.shield import Guard as Guard
from .configuration.config import (
    Config as Config,
)
from .configuration.config import (
    load_config as load_config,
)
from .configuration.settings import (
    BudgetConfig as BudgetConfig,
)
from .configuration.settings import (
    ConversationsConfig as ConversationsConfig,
)
from .configuration.settings import (
    EvaluationConfig as EvaluationConfig,
)
from .configuration.settings import (
    KnowledgeConfig as KnowledgeConfig,
)
from .configuration.settings import (
    LedgerConfig as LedgerConfig,
)
from .configuration.settings import (
    ReviewConfig as ReviewConfig,
)
from .configuration.settings import (
    RoleConfig as RoleConfig,
)
from .configuration.settings import (
    RolesConfig as RolesConfig,
)
from .configuration.settings import (
    SoulConfig as SoulConfig,
)
from .configuration.settings import (
    TraitsConfig as TraitsConfig,
)
from .errors import (
    BrainAuthError as BrainAuthError,
)
from .errors import (
    BrainError as BrainError,
)
from .errors import (
    BrainNotInstalledError as BrainNotInstalledError,
)
from .errors import (
    BrainRateLimitError as BrainRateLimitError,
)
from .errors import (
    BrainResponseError as BrainResponseError,
)
from .errors import (
    BrainTimeoutError as BrainTimeoutError,
)
from .errors import (
    BrainUnavailableError as BrainUnavailableError,
)
from .errors import (
    BudgetError as BudgetError,
)
from .errors import (
    CervellaError as CervellaError,
)
from .errors import (
    ConfigError as ConfigError,
)
from .errors import (
    ConversationError as ConversationError,
)
from .errors import (
    EvaluationError as EvaluationError,
)
from .errors import (
    IndexDamagedError as IndexDamagedError,
)
from .errors import (
    IndexLockedError as IndexLockedError,
)
from .errors import (
    IndexMismatchError as IndexMismatchError,
)
from .errors import (
    IndexMissingError as IndexMissingError,
)
from .errors import (
    KnowledgeError as KnowledgeError,
)
from .errors import (
    LedgerError as LedgerError,
)
from .errors import (
    PersonaTruncatedError as PersonaTruncatedError,
)
from .errors import (
    PromptTooLongError as PromptTooLongError,
)
from .errors import (
    SoulChangedError as SoulChangedError,
)
from .errors import (
    SoulError as SoulError,
)
from .errors import (
    StreamInterruptedError as StreamInterruptedError,
)
from .errors import (
    UnknownBrainError as UnknownBrainError,
)
from .errors import (
    UnmatchedPatternError as UnmatchedPatternError,
)
from .knowledge.index.index import RolledBack as RolledBack
from .protocols import (
    Brain as Brain,
)
from .protocols import (
    Embedder as Embedder,
)
from .protocols import (
    OptionalMembers as OptionalMembers,
)
from .protocols import (
    Retriever as Retriever,
)
from .protocols import (
    Soul as Soul,
)
from .records.conversations import (
    Conversation as Conversation,
)
from .records.conversations import (
    Conversations as Conversations,
)
from .records.conversations import (
    Turn as Turn,
)
from .records.ledger.budget import (
    Limit as Limit,
)
from .records.ledger.budget import (
    Period as Period,
)
from .records.ledger.ledger import Ledger as Ledger
from .records.ledger.rows import (
    Feedback as Feedback,
)
from .records.ledger.rows import (
    Row as Row,
)
from .soul import (
    Constitution as Constitution,
)
from .soul import (
    Section as Section,
)
from .soul import (
    Traits as Traits,
)
from .text.language import Language as Language
from .types import (
    Answered as Answered,
)
from .types import (
    AnswerEvent as AnswerEvent,
)
from .types import (
    Attempt as Attempt,
)
from .types import (
    BrainEvent as BrainEvent,
)
from .types import (
    Citation as Citation,
)
from .types import (
    CitedLines as CitedLines,
)
from .types import (
    Completion as Completion,
)
from .types import (
    Event as Event,
)
from .types import (
    Filters as Filters,
)
from .types import (
    Finished as Finished,
)
from .types import (
    Image as Image,
)
from .types import (
    IndexReport as IndexReport,
)
from .types import (
    Interrupted as Interrupted,
)
from .types import (
    Location as Location,
)
from .types import (
    Message as Message,
)
from .types import (
    Passage as Passage,
)
from .types import (
    Preview as Preview,
)
from .types import (
    Progress as Progress,
)
from .types import (
    Prompt as Prompt,
)
from .types import (
    Redaction as Redaction,
)
from .types import (
    Reply as Reply,
)
from .types import (
    Retrieval as Retrieval,
)
from .types import (
    Retrieved as Retrieved,
)
from .types import (
    Reviewed as Reviewed,
)
from .types import (
    ReviewIssue as ReviewIssue,
)
from .types import (
    ReviewVerdict as ReviewVerdict,
)
from .types import (
    Role as Role,
)
from .types import (
    SecondOpinion as SecondOpinion,
)
from .types import (
    SkippedFile as SkippedFile,
)
from .types import (
    Status as Status,
)
from .types import (
    TextDelta as TextDelta,
)
from .types import (
    Timings as Timings,
)
from .types import (
    Usage as Usage,
)
from .types import (
    UsageUpdate as UsageUpdate,
)
from .types.deadline import Deadline as Deadline

__version__: str
