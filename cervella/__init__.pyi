"""The public names of `cervella`, each with its module: read by type checkers, by editors and by `__init__.py`."""

from .agent.agent import Agent as Agent
from .agent.faces import (
    AnyBrain as AnyBrain,
    AnyFilters as AnyFilters,
    AskOptions as AskOptions,
    BatchQuestion as BatchQuestion,
    CompleteOptions as CompleteOptions,
    IndexOptions as IndexOptions,
    ReviewOptions as ReviewOptions,
    SessionOptions as SessionOptions,
)
from .agent.session import Session as Session
from .brains.routing.fallback import Shielded as Shielded
from .brains.routing.router import RouteDecision as RouteDecision
from .brains.shield.fitting import Fitted as Fitted
from .brains.shield.shield import Guard as Guard
from .configuration.config import (
    Config as Config,
    load_config as load_config,
)
from .configuration.settings import (
    BudgetConfig as BudgetConfig,
    ConversationsConfig as ConversationsConfig,
    EvaluationConfig as EvaluationConfig,
    KnowledgeConfig as KnowledgeConfig,
    LedgerConfig as LedgerConfig,
    PrivacyConfig as PrivacyConfig,
    ReviewConfig as ReviewConfig,
    RoleConfig as RoleConfig,
    RolesConfig as RolesConfig,
    SoulConfig as SoulConfig,
    TraitsConfig as TraitsConfig,
)
from .errors import (
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
from .knowledge.index.watching import Watch as Watch
from .knowledge.index.writer import RolledBack as RolledBack
from .privacy.masks import PersonalMasks as PersonalMasks
from .protocols import (
    Brain as Brain,
    Embedder as Embedder,
    OptionalMembers as OptionalMembers,
    Retriever as Retriever,
    Soul as Soul,
)
from .records.conversations import (
    Conversation as Conversation,
    Conversations as Conversations,
    Turn as Turn,
)
from .records.ledger.budget import (
    Limit as Limit,
    Period as Period,
)
from .records.ledger.ledger import Ledger as Ledger
from .records.ledger.rows import (
    Feedback as Feedback,
    Row as Row,
)
from .soul import (
    Constitution as Constitution,
    Section as Section,
    Traits as Traits,
)
from .text.language import Language as Language
from .types import (
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
    ShownDocument as ShownDocument,
    SkippedFile as SkippedFile,
    Status as Status,
    TextDelta as TextDelta,
    Timings as Timings,
    Usage as Usage,
    UsageUpdate as UsageUpdate,
)
from .types.deadline import Deadline as Deadline

__version__: str
