"""The usual mistakes in the address of a server, and how it is written."""

from __future__ import annotations

import re
from urllib.parse import urlsplit, urlunsplit

__all__ = ["openai_address", "without_openai_path"]

_VERSION = re.compile(r"/v\d+(?:/|$|[a-z])")
_ENDPOINT = re.compile(r"/(?:chat/completions|completions|responses|models)$")
_BELOW_OLLAMA = re.compile(r"(?:/v1(?:/chat/completions|/completions|/models)?|/api/(?:chat|generate|show|tags))$")


def openai_address(url: str) -> str | None:
    """Where an OpenAI-compatible server usually answers, for a url that names no version, or one of its endpoints;
    None for any other.

    >>> openai_address("http://gpu-box:8000"), openai_address("http://gpu-box:8000/v1")
    ('http://gpu-box:8000/v1', None)
    >>> openai_address("http://gpu-box:8000/v1/chat/completions")
    'http://gpu-box:8000/v1'
    """
    bare = url.rstrip("/")
    server = _ENDPOINT.sub("", bare)
    if not _VERSION.search(urlsplit(server).path):
        return f"{server}/v1"
    return None if server == bare else server


def without_openai_path(url: str) -> str | None:
    """The address of an Ollama itself, for a url that ends in `/v1` or in an endpoint; None for any other.

    >>> without_openai_path("http://127.0.0.1:11434/v1/"), without_openai_path("http://127.0.0.1:11434")
    ('http://127.0.0.1:11434', None)
    """
    parts = urlsplit(url)
    path = parts.path.rstrip("/")
    own = _BELOW_OLLAMA.sub("", path)
    return None if own == path else urlunsplit(parts._replace(path=own))
