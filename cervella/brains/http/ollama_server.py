"""Facts about an Ollama server: its address, its models, and what it says of each. No client is imported."""

from __future__ import annotations

import os
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any
from urllib.parse import urlsplit, urlunsplit

from cervella.brains.http.chat_templates import is_jinja, takes_system
from cervella.brains.http.clients import checked_url, get_json, shown_url

_URL = "http://127.0.0.1:11434"
_BELOW = re.compile(r"(?:/v1(?:/chat/completions|/completions|/models)?|/api/(?:chat|generate|show|tags))$")
"""What people leave at the end of its address."""
_PORT = 11434


def server_url(url: str | None) -> str:
    """Where the server is: `url`, or OLLAMA_HOST, or this machine. Raises ValueError where that is no address of
    Ollama's own API.

    >>> server_url("gpu-box"), server_url("http://0.0.0.0:11434/")
    ('http://gpu-box:11434', 'http://127.0.0.1:11434')
    """
    given = (url or os.environ.get("OLLAMA_HOST", "")).strip() or _URL
    bare = "://" not in given
    parts = urlsplit(f"http://{given}" if bare else given)
    if bare and parts.port is None:
        parts = parts._replace(netloc=f"{parts.netloc}:{_PORT}")
    if parts.hostname == "0.0.0.0":  # where a server listens, not where one finds it
        parts = parts._replace(netloc=f"127.0.0.1:{parts.port or 80}")
    address = checked_url(urlunsplit(parts))
    path = parts.path.rstrip("/")
    own_path = _BELOW.sub("", path)
    if own_path != path:
        own = urlunsplit(parts._replace(path=own_path))
        raise ValueError(
            f"url is {shown_url(address)!r}, and Ollama is found at its address alone, not below /v1: write "
            f'{shown_url(own)!r}, or take kind = "vllm" for its OpenAI-compatible API'
        )
    return address


def is_cloud_tag(model: str) -> bool:
    """Whether a model's name says that Ollama's own service runs it, in any case and with blanks around it.

    >>> is_cloud_tag("gpt-oss:120B-CLOUD "), is_cloud_tag("cloudy:7b")
    (True, False)
    """
    name = model.strip().lower()
    _, tagged, tag = name.rpartition(":")
    return tag.strip().endswith("cloud") if tagged else name.endswith("-cloud")


def is_ollamas_cloud(model: str) -> bool:
    """Whether a name is one of Ollama's cloud models, where the server may be another than Ollama: only with a tag."""
    return ":" in model and is_cloud_tag(model)


def same_model(one: str, other: str) -> bool:
    """Whether two names are of one model: without a tag it is `latest`."""
    names = (one.strip(), other.strip())
    first, second = (name if ":" in name.rpartition("/")[2] else f"{name}:latest" for name in names)
    return first == second


def name_of(model: Mapping[str, Any]) -> str:
    """The name of a model as /api/tags and /api/ps list it; empty where it has none."""
    return str(model.get("model") or model.get("name") or "")


def listed(tags: Any) -> list[dict[str, Any]]:
    """The models that /api/tags lists."""
    models = tags.get("models") if isinstance(tags, dict) else None
    return [model for model in models or () if isinstance(model, dict) and name_of(model)]


def models_now(url: str | None, model: str | None, *, timeout: float) -> str | None:
    """The model that a server would answer with, if it answers in time: `model`, or the newest; None where it does not.

    A model that runs elsewhere is none: nobody has chosen to send anything there.
    """
    import httpx2

    try:
        there = chat_models(listed(get_json(f"{server_url(url)}/api/tags", timeout=timeout)))
    except (httpx2.HTTPError, ValueError):
        return None
    if model is not None and model.strip():
        return next((name for name in there if same_model(name, model)), None)
    return there[0] if there else None


def window_given(running: Any, model: str) -> int | None:
    """The window that a server gave a model, as /api/ps lists it; None where it does not."""
    mine = [one for one in listed(running) if same_model(name_of(one), model)]
    given = mine[0].get("context_length") if mine else None
    return given if isinstance(given, int) and given > 0 else None


def chat_models(models: Iterable[Mapping[str, Any]]) -> list[str]:
    """The names of those that can hold a conversation here: no embedders, and none that runs elsewhere."""
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
    """What /api/show says of a model."""

    context_tokens: int | None
    """What it was trained with."""
    remote: bool
    """Another server runs it."""
    sees: bool
    thinks: bool
    takes_system: bool
    """Whether its template plainly shows a system message to it."""
    jinja: bool
    """Its template came with the model; else it is in Go's language, and Ollama's own."""


def model_facts(told: Mapping[str, Any]) -> ModelFacts:
    info = told.get("model_info") or {}
    lengths = [v for k, v in info.items() if k.endswith(".context_length") and isinstance(v, int) and v > 0]
    own = info.get(f"{info.get('general.architecture')}.context_length")
    capabilities = told.get("capabilities") or ()
    template = str(told.get("template") or "")
    return ModelFacts(
        context_tokens=own if isinstance(own, int) and own > 0 else max(lengths, default=None),
        remote=bool(told.get("remote_host") or told.get("remote_model")),
        sees="vision" in capabilities,
        thinks="thinking" in capabilities,
        takes_system=takes_system(template, str(told.get("modelfile") or "")),
        jinja=is_jinja(template),
    )
