"""Cervella: a persona chatbot that knows its owner's knowledge base. The soul stays, the engine changes.

```python
import cervella

agent = cervella.Agent()
reply = agent.ask("Perché abbiamo rimandato il lancio?")
print(reply.text, reply.citations)
```

Importing this package imports no SDK, no numpy and no store: the module of a public name is imported when the name is
first used. The names and their modules are listed in `__init__.pyi`.
"""

from __future__ import annotations

import ast
import importlib
import logging
import pkgutil
from typing import Any

__version__ = "0.1.0"


def _read_stub() -> dict[str, str]:
    """The module of each public name, relative to this package, as the stub beside this file lists them."""
    stub = ast.parse(pkgutil.get_data(__name__, "__init__.pyi") or b"")
    imports = (statement for statement in stub.body if isinstance(statement, ast.ImportFrom))
    return {name.name: str(statement.module) for statement in imports for name in statement.names}


_HOME = _read_stub()
__all__ = sorted([*_HOME, "__version__"])

logging.getLogger("cervella").addHandler(logging.NullHandler())


def __getattr__(name: str) -> Any:
    if name in _HOME:
        value = getattr(importlib.import_module(f"cervella.{_HOME[name]}"), name)
        globals()[name] = value
        return value
    raise AttributeError(f"module 'cervella' has no attribute {name!r}")


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
