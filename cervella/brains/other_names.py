"""What people call an engine that is here under another kind, and how it is configured."""

from __future__ import annotations

import re
from collections.abc import Mapping

__all__ = ["known_elsewhere"]

_COMPATIBLE: Mapping[str, str] = {
    "openai": "https://api.openai.com/v1",
    "azure": "https://RESOURCE.openai.azure.com/openai/v1",
    "gemini": "https://generativelanguage.googleapis.com/v1beta/openai",
    "mistral": "https://api.mistral.ai/v1",
    "groq": "https://api.groq.com/openai/v1",
    "deepseek": "https://api.deepseek.com/v1",
    "together": "https://api.together.xyz/v1",
    "openrouter": "https://openrouter.ai/api/v1",
    "huggingface": "https://router.huggingface.co/v1",
    "lmstudio": "http://localhost:1234/v1",
    "llamacpp": "http://localhost:8080/v1",
    "sglang": "http://localhost:30000/v1",
    "tgi": "http://localhost:8080/v1",
    "localai": "http://localhost:8080/v1",
    "litellm": "http://localhost:4000/v1",
}
"""Servers that speak OpenAI's protocol, which the kind `vllm` speaks with any of them, and where they usually are."""
_OTHER_NAMES: Mapping[str, str] = {
    "chatgpt": "openai",
    "gpt": "openai",
    "openaicompatible": "openai",
    "azureopenai": "azure",
    "google": "gemini",
    "vertexai": "gemini",
    "mistralai": "mistral",
    "togetherai": "together",
    "hf": "huggingface",
    "llamaserver": "llamacpp",
}
_KINDS: Mapping[str, str] = {
    "claude": "claude",
    "anthropic": "claude",
    "sonnet": "claude",
    "opus": "claude",
    "haiku": "claude",
    "gguf": "embedded",
    "llamacpppython": "embedded",
}

_FAMILY = re.compile(r"(openai|chatgpt|gpt|gemini|anthropic|claude)\b(?!-oss)")
"""Models that one maker alone serves begin with these; gpt-oss runs anywhere."""


def _model_alone(spec: str) -> str | None:
    """What to do about the name of a model, a file or an address in place of a brain's."""
    if spec.lower().endswith(".gguf"):
        return f'A GGUF file runs in the brain "embedded": brain = "embedded", [brains.embedded] model = {spec!r}.'
    if spec.startswith(("http://", "https://")):
        return 'A server is a brain of its own: [brains.NAME] kind = "vllm" or "ollama", and its url there.'
    return None


def known_elsewhere(name: str, *, table: str | None = None) -> str | None:
    """How to configure an engine that is known by this name elsewhere, in [brains.TABLE]; None for any other name.

    >>> known_elsewhere("anthropic"), known_elsewhere("cluade")
    ('That engine is the kind "claude" here.', None)
    """
    if alone := _model_alone(name):
        return alone
    family = _FAMILY.match(name.lower())
    bare = family[1] if family else re.sub(r"[^a-z]", "", name.lower())
    if bare in _KINDS:
        return f'That engine is the kind "{_KINDS[bare]}" here.'
    server = _OTHER_NAMES.get(bare, bare)
    if server not in _COMPATIBLE:
        return None
    key = "" if "localhost" in _COMPATIBLE[server] else f', api_key_env = "{server.upper()}_API_KEY"'
    here = ' A GGUF file can also run in this process: kind = "embedded".' if server == "llamacpp" else ""
    table = table or server
    return (
        f'The kind "vllm" speaks with every OpenAI-compatible server: [brains.{table}] kind = "vllm", '
        f'url = "{_COMPATIBLE[server]}", model = "…"{key}; then brain = "{table}".{here}'
    )
