"""Addresses that are nearly right: an OpenAI-compatible server without `/v1`, Ollama with it."""

from __future__ import annotations

from collections.abc import Iterator

import anyio
import pytest

from cervella.brains import load_brain
from cervella.errors import BrainError, ConfigError, UnknownBrainError
from cervella.types import Prompt
from tests.fixtures.fault_server import Connection, FaultServer, fault_server


@pytest.fixture
def server() -> Iterator[FaultServer]:
    """An OpenAI-compatible server, at `/v1` and nowhere else."""

    async def nothing(to: Connection) -> None:
        await to.status(404, {"detail": "Not Found"})

    async def models(to: Connection) -> None:
        await to.status(200, {"data": [{"id": "prova"}]})

    with fault_server() as running:
        running.beside = {"/v1/models": models}
        running.scenes = [nothing]
        yield running


def asked(brain: object) -> None:
    async def ask() -> None:
        async for _ in brain.stream(Prompt(system="", question="Ciao?")):  # type: ignore[attr-defined]
            pass

    anyio.run(ask)


@pytest.mark.parametrize("model", ["prova", None])
def test_a_url_without_v1_is_told_with_the_right_one(server: FaultServer, model: str | None) -> None:
    own = {"url": server.url, **({"model": model} if model else {})}
    brain = load_brain("vllm", {"vllm": own})
    for look in (brain.check, lambda: asked(brain)):  # type: ignore[attr-defined]
        with pytest.raises(BrainError) as caught:
            look()
        assert caught.value.code == "wrong_address"
        assert f'url = "{server.url}/v1"' in str(caught.value.remedy)


@pytest.mark.parametrize("end", ["/v1/chat/completions", "/v1/models/", "/chat/completions"])
def test_the_address_of_an_endpoint_is_told_with_that_of_the_server(server: FaultServer, end: str) -> None:
    brain = load_brain("vllm", {"vllm": {"url": server.url + end, "model": "prova"}})
    for look in (brain.check, lambda: asked(brain)):  # type: ignore[attr-defined]
        with pytest.raises(BrainError) as caught:
            look()
        assert caught.value.code == "wrong_address"
        assert f'url = "{server.url}/v1"' in str(caught.value.remedy)


def test_a_page_in_place_of_an_api_is_told_too(server: FaultServer) -> None:
    async def page(to: Connection) -> None:
        await to.status(200, "<html></html>")

    server.scenes = [page]
    with pytest.raises(BrainError, match="no OpenAI-compatible server"):
        load_brain("vllm", {"vllm": {"url": server.url}}).check()  # type: ignore[attr-defined]


def test_the_right_address_is_no_mistake(server: FaultServer) -> None:
    load_brain("vllm", {"vllm": {"url": f"{server.url}/v1", "model": "prova"}}).check()  # type: ignore[attr-defined]
    other = load_brain("vllm", {"vllm": {"url": f"{server.url}/v1", "model": "altra"}})
    with pytest.raises(BrainError) as caught:
        other.check()  # type: ignore[attr-defined]
    assert caught.value.code == "model_missing"


@pytest.mark.parametrize(
    "url",
    [
        "http://127.0.0.1:11434/v1",
        "http://127.0.0.1:11434/v1/",
        "127.0.0.1/v1",
        "http://127.0.0.1:11434/v1/chat/completions",
        "http://127.0.0.1:11434/api/chat",
    ],
)
def test_ollama_below_v1_is_told_with_the_right_one(url: str, monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(ConfigError, match=r"write 'http://127\.0\.0\.1:11434'"):
        load_brain("ollama", {"ollama": {"url": url}})
    monkeypatch.setenv("OLLAMA_HOST", url)
    with pytest.raises(ConfigError, match='kind = "vllm"'):
        load_brain("ollama")


@pytest.mark.parametrize(
    "name",
    ["openai", "OpenAI", "openai-api", "gpt-5", "gpt-4o", "lmstudio", "llama.cpp", "mistral", "groq", "hugging-face"],
)
def test_an_engine_that_is_known_by_another_name_says_how(name: str) -> None:
    with pytest.raises(UnknownBrainError) as caught:
        load_brain(name)
    assert 'kind = "vllm", url = "http' in str(caught.value.remedy)
    with pytest.raises(UnknownBrainError) as caught:
        load_brain("mio", {"mio": {"kind": name}})
    assert '[brains.mio] kind = "vllm"' in str(caught.value.remedy)


def test_a_model_that_runs_anywhere_is_not_sent_to_one_maker() -> None:
    with pytest.raises(UnknownBrainError) as caught:
        load_brain("gpt-oss")
    assert "api.openai.com" not in str(caught.value.remedy)
