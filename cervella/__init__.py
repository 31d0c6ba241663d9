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
    from cervella.agent.agent import Agent
    from cervella.agent.session import Session
    from cervella.configuration.config import Config, load_config
    from cervella.errors import CervellaError
    from cervella.protocols import Brain, Embedder, Retriever, Soul
    from cervella.records.conversations import Conversation, Conversations, Turn
    from cervella.soul import Constitution
    from cervella.types import (
        Answered,
        Attempt,
        Citation,
        Completion,
        Event,
        Filters,
        Finished,
        Image,
        IndexReport,
        Interrupted,
        Message,
        Passage,
        Preview,
        Prompt,
        Reply,
        Retrieval,
        Retrieved,
        Reviewed,
        ReviewIssue,
        ReviewVerdict,
        SecondHand,
        TextDelta,
        Timings,
        Usage,
        UsageUpdate,
    )

__version__ = "0.1.0"

_HOME = {
    "Agent": "agent.agent",
    "Answered": "types",
    "Attempt": "types",
    "Brain": "protocols",
    "CervellaError": "errors",
    "Citation": "types",
    "Completion": "types",
    "Config": "configuration.config",
    "Constitution": "soul",
    "Conversation": "records.conversations",
    "Conversations": "records.conversations",
    "Embedder": "protocols",
    "Event": "types",
    "Filters": "types",
    "Finished": "types",
    "Image": "types",
    "IndexReport": "types",
    "Interrupted": "types",
    "Message": "types",
    "Passage": "types",
    "Preview": "types",
    "Prompt": "types",
    "Reply": "types",
    "Retrieval": "types",
    "Retrieved": "types",
    "Retriever": "protocols",
    "ReviewIssue": "types",
    "ReviewVerdict": "types",
    "Reviewed": "types",
    "SecondHand": "types",
    "Session": "agent.session",
    "Soul": "protocols",
    "TextDelta": "types",
    "Timings": "types",
    "Turn": "records.conversations",
    "Usage": "types",
    "UsageUpdate": "types",
    "load_config": "configuration.config",
}

__all__ = [
    "Agent",
    "Answered",
    "Attempt",
    "Brain",
    "CervellaError",
    "Citation",
    "Completion",
    "Config",
    "Constitution",
    "Conversation",
    "Conversations",
    "Embedder",
    "Event",
    "Filters",
    "Finished",
    "Image",
    "IndexReport",
    "Interrupted",
    "Message",
    "Passage",
    "Preview",
    "Prompt",
    "Reply",
    "Retrieval",
    "Retrieved",
    "Retriever",
    "ReviewIssue",
    "ReviewVerdict",
    "Reviewed",
    "SecondHand",
    "Session",
    "Soul",
    "TextDelta",
    "Timings",
    "Turn",
    "Usage",
    "UsageUpdate",
    "__version__",
    "load_config",
]

logging.getLogger("cervella").addHandler(logging.NullHandler())


def __getattr__(name: str) -> Any:
    if name in _HOME:
        value = getattr(importlib.import_module(f"cervella.{_HOME[name]}"), name)
        globals()[name] = value
        return value
    raise AttributeError(f"module 'cervella' has no attribute {name!r}")


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
