"""Names under which people look for an engine that is here under another kind, and how it is configured."""

from __future__ import annotations

import re

from cervella.process.files import read_packaged

_FAMILY = re.compile(r"(openai|chatgpt|gpt|gemini|anthropic|claude)\b(?!-oss)")
"""Models that one maker alone serves begin with these; gpt-oss runs anywhere."""


def known_elsewhere(name: str, *, table: str | None = None) -> str | None:
    """How to configure an engine that is known by this name elsewhere, in [brains.TABLE]; None for any other name.

    >>> known_elsewhere("anthropic"), known_elsewhere("cluade")
    ('That engine is the kind "claude" here.', None)
    """
    if name.lower().endswith(".gguf"):
        return f'A GGUF file runs in the brain "embedded": brain = "embedded", [brains.embedded] model = {name!r}.'
    if name.startswith(("http://", "https://")):
        return 'A server is a brain of its own: [brains.NAME] kind = "vllm" or "ollama", and its url there.'
    known = read_packaged("cervella.brains", "other_names.toml")
    family = _FAMILY.match(name.lower())
    bare = family[1] if family else re.sub(r"[^a-z]", "", name.lower())
    if bare in known["kinds"]:
        return f'That engine is the kind "{known["kinds"][bare]}" here.'
    server = known["other_names"].get(bare, bare)
    url = known["compatible"].get(server)
    if url is None:
        return None
    key = "" if "localhost" in url else f', api_key_env = "{server.upper()}_API_KEY"'
    here = ' A GGUF file can also run in this process: kind = "embedded".' if server == "llamacpp" else ""
    table = table or server
    return (
        f'The kind "vllm" speaks with every OpenAI-compatible server: [brains.{table}] kind = "vllm", '
        f'url = "{url}", model = "…"{key}; then brain = "{table}".{here}'
    )
