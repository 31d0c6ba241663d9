"""A key goes to its server and nowhere else: not into an error, what caused it, its traceback's locals, or a log."""

from __future__ import annotations

import asyncio
import base64
import logging
import sys
from collections.abc import Awaitable, Callable, Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from cervella import Agent
from cervella.brains.routing.fallback import Fallback
from cervella.brains.shield.shield import Shield
from cervella.cli import main
from cervella.errors import BrainError, CervellaError, StreamInterruptedError
from cervella.types import Prompt
from tests.fixtures.fault_server import Connection, FaultServer, Play, fault_server, says
from tests.fixtures.key_walk import keys_in, leaks, reached, spellings
from tests.fixtures.wires import WIRES

KEY, OTHER, PASSWORD = "sk-canary-Zq7+f3Tn/9xKd2=Vw5rLp8", "canary+second/H4jU8sWq0bNc6", "canary-Pw3dX9fG5hT1"
SPELLINGS = spellings(KEY)
ONE = Prompt(system="Sono Cervella.", question="Quando si parte?")
SCENES = ("in_stream", "after_words", "broken_json", "no_json", "headers", "reset_midway", "reset_first")
STATUSES = (302, 400, 401, 402, 403, 404, 409, 413, 422, 429, 500, 503, 529)


@pytest.fixture
def server() -> Iterator[FaultServer]:
    with fault_server() as running:
        yield running


@pytest.fixture(params=WIRES)
def wire(request: pytest.FixtureRequest, server: FaultServer) -> Any:
    WIRES[request.param].beside(server)
    return WIRES[request.param]


@pytest.fixture(autouse=True)
def keys(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CANARY_KEY", KEY)
    for variable in ("ANTHROPIC_API_KEY", "ANTHROPIC_AUTH_TOKEN", "OPENAI_API_KEY", "VLLM_API_KEY", "OLLAMA_API_KEY"):
        monkeypatch.setenv(variable, OTHER)
    monkeypatch.setattr("cervella.brains.shield.shield._FIRST_WAIT", 0.001)
    monkeypatch.setattr("cervella.brains.shield.shield._JITTER", 0.001)


def url_of(wire: Any, server: FaultServer) -> str:
    """With a user and a password, and a key behind it."""
    path = "/v1" if wire is WIRES["vllm"] else ""
    return server.url.replace("http://", f"http://canary:{PASSWORD}@") + path


def all_of(wire: Any, said: str) -> dict[str, Play]:
    """What a server may say amid an answer, or instead of one."""

    async def in_stream(to: Connection) -> None:
        await wire.begin(to)
        await to.send(wire.line(said))

    async def after_words(to: Connection) -> None:
        await wire.begin(to)
        await wire.word(to, "Ecco")
        await to.send(wire.line(said))

    async def broken_json(to: Connection) -> None:
        await wire.begin(to)
        await to.send(f'data: {{"key": "{said}", \n\n{{"key": "{said}", \n')

    async def no_json(to: Connection) -> None:
        await to.status(200, said)

    async def headers(to: Connection) -> None:
        plain = " ".join(said.split())
        await to.status(307, "", Location=f"http://127.0.0.1:9/{plain}", WWW_Authenticate=f'Bearer realm="{plain}"')

    async def reset_midway(to: Connection) -> None:
        await wire.begin(to)
        await wire.word(to, "Ecco")
        await asyncio.sleep(0.02)
        to.reset()

    async def reset_first(to: Connection) -> None:
        to.reset()

    scenes = (in_stream, after_words, broken_json, no_json, headers, reset_midway, reset_first)
    return dict(zip(SCENES, scenes, strict=True))


async def read(stream: Any) -> None:
    async for _ in stream:
        pass


WAYS: dict[str, Callable[[Any], Awaitable[Any]]] = {
    "shield": lambda brain: read(Shield(brain, retries=1).stream(ONE)),
    "bare": lambda brain: read(brain.stream(ONE)),
    "fallback": lambda brain: read(Fallback([Shield(brain, retries=0)] * 2).stream(ONE)),
    "fit": lambda brain: Shield(brain).fit(ONE),
    "prepare": lambda brain: getattr(brain, "prepare", _nothing)(),
    "count_tokens": lambda brain: brain.count_tokens(ONE),
    "check": lambda brain: asyncio.to_thread(brain.check),
}


async def _nothing() -> None:
    return None


def failure(way: str, brain: Any) -> BaseException | None:
    async def work() -> None:
        try:
            await asyncio.wait_for(WAYS[way](brain), 30)
        finally:
            await brain.aclose()

    try:
        asyncio.run(work())
    except Exception as error:
        return error
    return None


def held(way: str, brain: Any) -> list[str]:
    error = failure(way, brain)
    if error is None:
        return []
    assert isinstance(error, CervellaError), repr(error)
    return keys_in(error, KEY, OTHER, PASSWORD)


@pytest.mark.parametrize("way", ["shield", "bare", "fallback"])
@pytest.mark.parametrize("status", STATUSES)
def test_a_refusal_that_repeats_the_key_tells_it_to_nobody(
    wire: Any, server: FaultServer, way: str, status: int
) -> None:
    brain = wire.brain(server, api_key_env="CANARY_KEY")
    for body in (
        wire.error("invalid_request_error", f"model {KEY} {OTHER}"),
        f"<html>{KEY} {OTHER}</html>",
        {"a": KEY},
    ):
        server.scenes = [says(status, body)]
        assert held(way, brain) == []


@pytest.mark.parametrize("spelling", SPELLINGS)
@pytest.mark.parametrize("status", [404, 413])
def test_a_key_is_known_in_every_spelling(wire: Any, server: FaultServer, status: int, spelling: str) -> None:
    server.scenes = [says(status, wire.error("invalid_request_error", f"no: {SPELLINGS[spelling]}"))]
    assert leaks(SPELLINGS[spelling], KEY), "else this test sees nothing"
    assert held("shield", wire.brain(server, api_key_env="CANARY_KEY")) == []


@pytest.mark.parametrize("way", ["shield", "bare", "fallback"])
@pytest.mark.parametrize("scene", SCENES)
def test_an_answer_that_breaks_tells_no_key(wire: Any, server: FaultServer, scene: str, way: str) -> None:
    brain = wire.brain(server, api_key_env="CANARY_KEY")
    for said in (KEY, SPELLINGS["percent"], SPELLINGS["basic"]):
        server.scenes = [all_of(wire, said)[scene]]
        error = failure(way, brain)
        assert isinstance(error, BrainError)
        assert keys_in(error, KEY, OTHER) == []


@pytest.mark.parametrize("way", ["fit", "prepare", "count_tokens", "check"])
@pytest.mark.parametrize("status", [302, 400, 401, 404, 413, 500])
def test_what_is_asked_beside_questions_tells_no_key(wire: Any, server: FaultServer, way: str, status: int) -> None:
    body = wire.error("invalid_request_error", f"model {KEY} and {OTHER}")
    server.beside = {}
    server.scenes = [says(status, body)]
    brain = wire.brain(server, api_key_env="CANARY_KEY")
    assert held(way, brain) == []
    brain = wire.brain(server, api_key_env="CANARY_KEY", url=url_of(wire, server))
    assert held(way, brain) == []


@pytest.mark.parametrize("way", WAYS)
def test_a_list_of_models_that_holds_the_key_tells_it_to_nobody(wire: Any, server: FaultServer, way: str) -> None:
    server.beside = {}
    listed = {"data": [{"id": KEY, "max_model_len": 9}], "models": [{"name": KEY, "model": KEY}]}

    async def play(to: Connection) -> None:
        if to.request.method == "GET":
            await to.status(200, listed)
        else:
            await to.status(404, wire.error("not_found_error", f"model {KEY}"))

    server.scenes = [play]
    assert held(way, wire.brain(server, api_key_env="CANARY_KEY")) == []


@pytest.mark.parametrize("way", WAYS)
@pytest.mark.parametrize("status", [400, 404, 500])
def test_a_password_in_the_url_is_a_key_too(
    wire: Any, server: FaultServer, way: str, status: int, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.DEBUG)
    server.beside = {}
    server.scenes = [says(status, wire.error("invalid_request_error", f"canary:{PASSWORD}, {OTHER}"))]
    assert held(way, wire.brain(server, url=url_of(wire, server))) == []
    assert PASSWORD not in caplog.text
    sent = base64.b64encode(f"canary:{PASSWORD}".encode()).decode()
    assert all(request.headers["authorization"] == f"Basic {sent}" for request in server.requests)


@pytest.mark.parametrize("way", WAYS)
@pytest.mark.parametrize("key", [f"{KEY}\nX: y", f"{KEY}é", f"{KEY}\x07"], ids=["two lines", "no ascii", "bell"])
def test_a_key_that_can_not_be_sent_is_not_told(
    wire: Any, server: FaultServer, way: str, key: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("CANARY_KEY", key)
    server.scenes = [says(400, "")]
    assert held(way, wire.brain(server, api_key_env="CANARY_KEY")) == []


@pytest.mark.parametrize("way", WAYS)
def test_a_server_that_is_not_there_is_told_without_its_password(wire: Any, server: FaultServer, way: str) -> None:
    path = "/v1" if wire is WIRES["vllm"] else ""
    brain = wire.brain(server, api_key_env="CANARY_KEY", url=f"http://canary:{PASSWORD}@127.0.0.1:9{path}?key={OTHER}")
    assert held(way, brain) == []


@pytest.mark.parametrize("status", [400, 404])
def test_an_agent_and_the_command_tell_no_key(
    wire: Any,
    server: FaultServer,
    status: int,
    isolated: Path,
    capsys: pytest.CaptureFixture[str],
    caplog: pytest.LogCaptureFixture,
) -> None:
    caplog.set_level(logging.DEBUG)
    kind = next(name for name, one in WIRES.items() if one is wire)
    server.scenes = [says(status, wire.error("invalid_request_error", f"model {KEY} {OTHER}"))]
    (isolated / "knowledge").mkdir(exist_ok=True)
    (isolated / "knowledge" / "COSTITUZIONE.md").write_text("# Chi sono\n\nSono Cervella.\n", encoding="utf-8")
    url = f"{server.url}/v1" if kind == "vllm" else server.url
    (isolated / "cervella.toml").write_text(
        f'brain = "{kind}"\n[knowledge]\nembedder = "none"\n'
        f'[brains.{kind}]\nmodel = "prova"\nurl = "{url}"\napi_key_env = "CANARY_KEY"\n',
        encoding="utf-8",
    )
    assert main(["index"]) == 0
    with Agent(config="cervella.toml") as agent:
        for ask in (agent.ask, agent.session("a").ask, lambda text: list(agent.stream(text))):
            with pytest.raises(BrainError) as caught:
                ask("Quando?")
            assert keys_in(caught.value, KEY, OTHER) == []
    assert main(["ask", "Quando?", "--json"]) == 1
    assert main(["brains", "--json"]) in (0, 1)
    said = capsys.readouterr()
    assert "refused this question" in said.err or "no model" in said.err
    assert all(leaks(f"{said.out}{said.err}{caplog.text}", key) is None for key in (KEY, OTHER))


def test_a_brain_of_somebody_else_tells_no_key_either() -> None:
    """What it raises is not ours, and may hold anything."""

    class VendorsError(Exception):
        def __init__(self, text: str) -> None:
            super().__init__(text)
            self.request = {"Authorization": f"Bearer {KEY}"}

    class Foreign:
        name, model, location = "altrui", "m", "cloud"

        async def stream(self, prompt: Prompt, /) -> Any:
            raise ExceptionGroup("due", [VendorsError(KEY), ValueError(OTHER)]) from VendorsError(f"refused {KEY}")
            yield

    with pytest.raises(BrainError, match="ExceptionGroup") as caught:
        asyncio.run(read(Shield(Foreign(), retries=0).stream(ONE)))  # type: ignore[arg-type]
    assert keys_in(caught.value, KEY, OTHER) == []
    assert "VendorsError" in " ".join(map(str, reached(caught.value))), "what caused it is told all the same"


def test_a_word_that_stands_where_a_key_is_wanted_hides_nothing(
    wire: Any, server: FaultServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Servers that want no key are given "ollama" or "EMPTY"."""
    monkeypatch.setenv("CANARY_KEY", "ollama")
    server.scenes = [says(401, wire.error("authentication_error", "no such key"))]
    error = failure("shield", wire.brain(server, api_key_env="CANARY_KEY", name="ollama"))
    assert isinstance(error, BrainError)
    assert error.brain == "ollama"
    assert "'ollama'" in error.message


def test_what_caused_a_failure_is_told_as_text(wire: Any, server: FaultServer) -> None:
    server.scenes = [says(404, wire.error("not_found_error", f"model 'prova' not found for {KEY}"))]
    error = failure("shield", wire.brain(server, api_key_env="CANARY_KEY"))
    assert error is not None
    cause = str(error.__cause__)
    assert "Error: " in cause
    assert "not found" in cause
    assert error.__context__ is None
    assert error.__cause__.__traceback__ is None, "its frames would hold the request"


def test_an_interruption_keeps_what_broke_it_off(server: FaultServer) -> None:
    wire = WIRES["claude"]
    wire.beside(server)
    server.scenes = [all_of(wire, KEY)["after_words"]]
    error = failure("shield", wire.brain(server, api_key_env="CANARY_KEY"))
    assert isinstance(error, StreamInterruptedError)
    assert isinstance(error.__cause__, BrainError)
    assert keys_in(error, KEY) == []


class _Engine:
    """Stands where a loaded model would: its server says what a scene says."""

    souls = ()

    def __init__(self, url: str) -> None:
        self._url = url

    def defuse(self, text: str) -> tuple[str, int]:
        return text, 0

    def client(self) -> Any:
        import httpx2

        return httpx2.AsyncClient(base_url=self._url, headers={"Authorization": f"Bearer {KEY}"}, trust_env=False)


@pytest.mark.parametrize("way", ["shield", "bare", "fit", "count_tokens", "check"])
@pytest.mark.parametrize("scene", [*SCENES, 400, 401, 404, 500])
def test_the_embedded_engines_own_key_is_in_no_error(server: FaultServer, scene: Any, way: str) -> None:
    from cervella.brains.embedded.brain import EmbeddedBrain

    wire = WIRES["vllm"]
    refusal = says(scene, wire.error("invalid_request_error", KEY)) if isinstance(scene, int) else None
    server.scenes = [refusal or all_of(wire, KEY)[scene]]
    brain = EmbeddedBrain(model="none.gguf", slots=False)
    brain._engine = _Engine(server.url)  # type: ignore[assignment]
    assert held(way, brain) == []


@pytest.mark.parametrize("status", [401, 403, 404, 429, 500])
def test_a_download_tells_no_token(status: int, server: FaultServer, tmp_path: Path) -> None:
    hub = pytest.importorskip("huggingface_hub", reason="wants pip install 'cervella[embedded]'")
    from cervella.brains.embedded.pull import pull_model

    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("HF_TOKEN", KEY)
        patch.setenv("NO_PROXY", "127.0.0.1")
        server.scenes = [says(status, {"error": f"no {KEY} {server.url}/f?X-Amz-Signature={OTHER}"})]
        hub.close_session()
        with pytest.raises(BrainError) as caught:
            pull_model("owner/small/a.gguf", tmp_path, endpoint=server.url)
        hub.close_session()
    assert KEY in str(server.requests[0].headers), "the hub itself gets it"
    assert keys_in(caught.value, KEY, OTHER) == []


def test_an_embedder_that_is_not_fetched_tells_no_token(monkeypatch: pytest.MonkeyPatch) -> None:
    from cervella.knowledge.embedders import registry as embedding

    monkeypatch.setitem(sys.modules, "sentence_transformers", SimpleNamespace(SentenceTransformer=None))

    class HubError(OSError):
        pass

    def download(model: str) -> Path:
        error = HubError(f"401 for {KEY}")
        error.request = {"Authorization": f"Bearer {KEY}"}  # type: ignore[attr-defined]
        raise error

    monkeypatch.setattr(embedding, "download", download)
    monkeypatch.setattr(embedding, "local_folder", lambda _: None)
    monkeypatch.setenv("HF_TOKEN", KEY)
    with pytest.raises(CervellaError) as caught:
        embedding.SentenceTransformer("owner/model").embed_passages(["ciao"])
    assert keys_in(caught.value, KEY) == []
