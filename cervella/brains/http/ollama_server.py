"""Finds out the address of an Ollama server, its models, and their properties, without importing Ollama's client."""

from __future__ import annotations

import os
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any
from urllib.parse import urlsplit, urlunsplit

from cervella.brains.http.chat_templates import is_jinja, takes_system
from cervella.brains.http.clients import checked_url, get_json, shown_url

_PORT = 11434
_ROUTES = re.compile(r"(?:/v1(?:/chat/completions|/completions|/models)?|/api/(?:chat|generate|show|tags))$")
"""Routes that users copy into the url by mistake."""


def server_url(url: str | None) -> str:
    """The address of the server: `url`, else OLLAMA_HOST, else this machine.

    Raises ValueError for an address that can't be the one of Ollama's own API.

    >>> server_url("gpu-box"), server_url("http://0.0.0.0:11434/")
    ('http://gpu-box:11434', 'http://127.0.0.1:11434')
    """
    given = (url or os.environ.get("OLLAMA_HOST", "")).strip() or f"http://127.0.0.1:{_PORT}"
    bare = "://" not in given
    parts = urlsplit(f"http://{given}" if bare else given)
    if bare and parts.port is None:
        parts = parts._replace(netloc=f"{parts.netloc}:{_PORT}")
    if parts.hostname == "0.0.0.0":  # a server can listen there, but a client can't connect to it
        parts = parts._replace(netloc=f"127.0.0.1:{parts.port or 80}")
    address = checked_url(urlunsplit(parts))
    path = parts.path.rstrip("/")
    own_path = _ROUTES.sub("", path)
    if own_path != path:
        own = urlunsplit(parts._replace(path=own_path))
        raise ValueError(
            f"url is {shown_url(address)!r}, but the url of Ollama ends without a route such as /v1: write "
            f'{shown_url(own)!r}, or set kind = "vllm" for its OpenAI-compatible API'
        )
    return address


def is_cloud_tag(model: str) -> bool:
    """Whether the tag in a model's name says that Ollama's own service runs it. Ignores case and outer blanks.

    >>> is_cloud_tag("gpt-oss:120B-CLOUD "), is_cloud_tag("cloudy:7b")
    (True, False)
    """
    name = model.strip().lower()
    _, tagged, tag = name.rpartition(":")
    return tag.strip().endswith("cloud") if tagged else name.endswith("-cloud")


def is_ollamas_cloud(model: str) -> bool:
    """Whether a model's name is that of a model in Ollama's cloud, for a server that may not be Ollama.

    Unlike in `is_cloud_tag`, a name without a tag, such as `my-cloud`, is not: another server may run such a model
    itself.
    """
    return ":" in model and is_cloud_tag(model)


def same_model(one: str, other: str) -> bool:
    """Whether two names are names of one model. A name without a tag has the tag `latest`."""
    names = (one.strip(), other.strip())
    first, second = (name if ":" in name.rpartition("/")[2] else f"{name}:latest" for name in names)
    return first == second


def name_of(model: Mapping[str, Any]) -> str:
    """The name of a model, from its entry in a response of /api/tags or /api/ps; empty if the entry has no name."""
    return str(model.get("model") or model.get("name") or "")


def listed(response: Any) -> list[dict[str, Any]]:
    """The models in a response of /api/tags or /api/ps."""
    models = response.get("models") if isinstance(response, dict) else None
    return [model for model in models or () if isinstance(model, dict) and name_of(model)]


def find_model(url: str | None, model: str | None, *, timeout: float) -> str | None:
    """The model that an Ollama server would answer with: `model`, or the newest one if `model` is None.

    None if the server does not answer within `timeout` seconds or does not run such a model itself. A model in
    Ollama's cloud is never found: a cloud brain needs the user's choice.
    """
    import httpx2

    try:
        available = chat_models(listed(get_json(f"{server_url(url)}/api/tags", timeout=timeout)))
    except (httpx2.HTTPError, ValueError):
        return None
    if model is not None and model.strip():
        return next((name for name in available if same_model(name, model)), None)
    return available[0] if available else None


def loaded_window(running: Any, model: str) -> int | None:
    """The window, in tokens, with which a server loaded a model; None where `running`, from /api/ps, has none."""
    window = next((m.get("context_length") for m in listed(running) if same_model(name_of(m), model)), None)
    return window if isinstance(window, int) and window > 0 else None


def chat_models(models: Iterable[Mapping[str, Any]]) -> list[str]:
    """The names of the models that can chat and that this server runs itself: no embedding models, no cloud models."""
    return [
        name
        for model in models
        if not is_cloud_tag(name := name_of(model))
        and not model.get("remote_host")
        and "embed" not in name.lower()
        and "bert" not in str((model.get("details") or {}).get("family", "")).lower()
    ]


@dataclass(frozen=True, slots=True, kw_only=True)
class ModelFacts:
    """Properties of a model, from /api/show."""

    context_tokens: int | None
    """The window that the model was trained with, in tokens."""
    remote: bool
    """Whether the server passes requests for the model on to another server."""
    sees: bool
    thinks: bool
    takes_system: bool
    """Whether the text of its template shows with certainty that the model gets a system message."""
    jinja: bool
    """Whether its template is in Jinja, the language of templates from the model's makers. Ollama's own are in Go's."""


def model_facts(shown: Mapping[str, Any]) -> ModelFacts:
    """The properties in a response of /api/show."""
    info = shown.get("model_info") or {}
    lengths = [v for k, v in info.items() if k.endswith(".context_length") and isinstance(v, int) and v > 0]
    own = info.get(f"{info.get('general.architecture')}.context_length")
    capabilities = shown.get("capabilities") or ()
    template = str(shown.get("template") or "")
    return ModelFacts(
        context_tokens=own if isinstance(own, int) and own > 0 else max(lengths, default=None),
        remote=bool(shown.get("remote_host") or shown.get("remote_model")),
        sees="vision" in capabilities,
        thinks="thinking" in capabilities,
        takes_system=takes_system(template, str(shown.get("modelfile") or "")),
        jinja=is_jinja(template),
    )
