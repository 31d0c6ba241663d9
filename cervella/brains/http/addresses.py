"""The usual mistakes in the address of a server, and how it is written."""

from __future__ import annotations

import re
from urllib.parse import urlsplit, urlunsplit

__all__ = ["openai_address", "without_openai_path"]

_VERSION = re.compile(r"/v\d+(?:/|$|[a-z])")


def openai_address(url: str) -> str | None:
    """Where an OpenAI-compatible server usually answers, for a url that names no version; None for one that does.

    >>> openai_address("http://gpu-box:8000"), openai_address("http://gpu-box:8000/v1")
    ('http://gpu-box:8000/v1', None)
    """
    return None if _VERSION.search(urlsplit(url).path) else f"{url.rstrip('/')}/v1"


def without_openai_path(url: str) -> str | None:
    """The address of the server itself, for a url that ends in `/v1`; None for any other.

    >>> without_openai_path("http://127.0.0.1:11434/v1/"), without_openai_path("http://127.0.0.1:11434")
    ('http://127.0.0.1:11434', None)
    """
    parts = urlsplit(url)
    path = parts.path.rstrip("/")
    return urlunsplit(parts._replace(path=path.removesuffix("/v1"))) if path.endswith("/v1") else None
