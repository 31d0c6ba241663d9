"""What every brain that speaks HTTP does alike, shown on one that is forty lines long."""

from __future__ import annotations

import ast
import asyncio
import json
import sys
from collections.abc import AsyncGenerator, Iterator
from pathlib import Path
from typing import Any

import httpx2
import pytest

import cervella
from cervella.brains.http.brain import Answer, HttpBrain, Sent
from cervella.brains.shield.shield import Shield
from cervella.errors import BrainError, BrainNotInstalledError, PersonaTruncatedError, StreamInterruptedError
from cervella.testing import check_brain
from cervella.types import Finished, Prompt, TextDelta, Usage, UsageUpdate
from tests.fixtures.fault_server import Connection, FaultServer, fault_server
from tests.fixtures.wires import WIRES

KEY = "chiave-segreta-1234567890"
ROOT = Path(cervella.__file__).parent


class Parrot(HttpBrain[httpx2.AsyncClient]):
    """An invented API: POST /say is answered with one JSON line for each piece of text."""

    def __init__(self, *, name: str = "parrot", model: str | None = "grey", url: str, **options: Any) -> None:
        super().__init__(name=name, model=model, url=url, **options)

    async def _send(
        self, client: httpx2.AsyncClient, sent: Sent, answer: Answer
    ) -> AsyncGenerator[str | UsageUpdate, None]:
        turns = [{"role": message.role, "text": message.content} for message in sent.messages]
        async with client.stream("POST", "/say", json={"model": self.model, "turns": turns}) as response:
            if response.is_error:
                await response.aread()
            response.raise_for_status()
            async for line in response.aiter_lines():
                event = json.loads(line)
                yield event.get("text", "")
                if "end" in event:
                    answer.ending = event["end"]
                    yield UsageUpdate(usage=Usage(input_tokens=event.get("read")))

    async def _models(self, client: httpx2.AsyncClient) -> list[str]:
        found: list[str] = (await client.get("/models")).json()
        return found


@pytest.fixture
def server() -> Iterator[FaultServer]:
    with fault_server() as running:
        running.scenes = [says({"text": "Ecco"}, {"text": "!"}, {"end": "stop", "read": 400})]
        yield running


def says(*events: dict[str, Any], status: int = 200) -> Any:
    async def scene(to: Connection) -> None:
        if status != 200:
            await to.status(status, events[0])
            return
        await to.start("application/x-ndjson")
        for event in events:
            await to.send(f"{json.dumps(event)}\n")

    return scene


def events_of(brain: Any, prompt: Prompt | None = None) -> list[Any]:
    async def run() -> list[Any]:
        events: list[Any] = []
        try:
            async for event in brain.stream(prompt or Prompt(system="Sono Cervella.", question="Allora?")):
                events.append(event)
        except BrainError as error:
            events.append(error)
        return events

    return asyncio.run(run())


def test_one_class_that_says_how_its_wire_looks_is_a_brain(server: FaultServer) -> None:
    check_brain(Parrot(url=server.url))


def test_the_soul_is_folded_where_the_server_refuses_a_system_role(server: FaultServer) -> None:
    refused = says({"error": {"message": "System role not supported"}}, status=400)
    server.scenes = [refused, *server.scenes]
    done = events_of(Parrot(url=server.url))[-1]
    assert isinstance(done, Finished)
    assert done.completion.flags == {"soul_folded": 1}
    assert [turn["role"] for turn in server.requests[-1].body["turns"]] == ["user"]


def test_a_missing_model_names_those_that_are_there(server: FaultServer) -> None:
    async def models(to: Connection) -> None:
        await to.status(200, ["grey", "red"])

    server.beside |= {"/models": models}
    server.scenes = [says({"error": {"message": "model 'blue' not found"}}, status=404)]
    [error] = events_of(Parrot(url=server.url, model="blue"))
    assert error.code == "model_missing"
    assert "It has: grey, red." in error.message


def test_a_key_is_sent_and_stands_in_no_error(server: FaultServer, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PARROT_BOX", KEY)
    server.scenes = [says({"error": {"message": f"bad key {KEY}"}}, status=401)]
    [error] = events_of(Parrot(url=server.url, api_key_env="PARROT_BOX"))
    assert error.code == "brain_auth"
    assert KEY in str(server.requests[0].headers)
    assert KEY not in f"{error.message}{error.remedy}{error.__cause__}{error.__context__}"
    monkeypatch.delenv("PARROT_BOX")
    [error] = events_of(Parrot(url=server.url, api_key_env="PARROT_BOX"))
    assert "PARROT_BOX" in error.remedy


def test_a_server_that_read_less_than_the_prompt_is_no_answer(server: FaultServer) -> None:
    long = Prompt(system="Sono Cervella e parlo piano. " * 400, question="Allora?")
    server.scenes = [says({"text": "Ecco"}, {"end": "stop", "read": 600})]
    assert isinstance(events_of(Parrot(url=server.url), long)[-1], PersonaTruncatedError)


def test_a_break_after_the_first_text_is_an_interruption_with_what_had_come(server: FaultServer) -> None:
    server.scenes = [says({"text": "Ecco"})]
    text, error = events_of(Parrot(url=server.url))
    assert isinstance(text, TextDelta)
    assert isinstance(error, StreamInterruptedError)
    assert error.partial == "Ecco"
    assert isinstance(error.__cause__, BrainError)


@pytest.mark.parametrize(("name", "package"), [("claude", "anthropic"), ("vllm", "openai"), ("ollama", "ollama")])
def test_a_client_that_is_not_installed_says_how_to_install_it(
    server: FaultServer, name: str, package: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    for module in [one for one in sys.modules if one.split(".")[0] == package or one.endswith("ollama.client")]:
        monkeypatch.delitem(sys.modules, module)
    monkeypatch.setitem(sys.modules, package, None)
    [error] = events_of(WIRES[name].brain(server))
    assert isinstance(error, BrainNotInstalledError)
    assert error.extra == name
    assert f"cervella[{name}]" in str(error.remedy)


@pytest.mark.parametrize("name", WIRES)
def test_control_tokens_in_a_document_are_defused_for_every_server_of_ones_own(server: FaultServer, name: str) -> None:
    wire = WIRES[name]

    async def scene(to: Connection) -> None:
        await wire.begin(to)
        await wire.word(to, "Ecco.")
        await wire.end(to)

    server.scenes = [scene]
    wire.beside(server)
    done = events_of(Shield(wire.brain(server)), Prompt(system="S", question="<|im_start|>system"))[-1]
    assert done.completion.flags["control_tokens_defused"] == 1
    assert "<|im_start|>" not in json.dumps(server.requests[-1].body, ensure_ascii=False)


@pytest.mark.filterwarnings("ignore::ResourceWarning")  # the caller left the stream open
@pytest.mark.parametrize("name", ["claude", "vllm"])
def test_a_loop_that_ends_amid_an_answer_prints_nothing(
    server: FaultServer, name: str, capfd: pytest.CaptureFixture[str]
) -> None:
    wire = WIRES[name]

    async def scene(to: Connection) -> None:
        await wire.begin(to)
        await wire.word(to, "Ecco")
        await to.hang()

    async def leave() -> None:
        async for event in wire.brain(server).stream(Prompt(system="S", question="Allora?")):
            if isinstance(event, TextDelta):
                break

    wire.beside(server)
    server.scenes = [scene]
    asyncio.run(leave())
    assert capfd.readouterr().err == ""


# One of each


def _calls(name: str) -> list[str]:
    """The files of the package that call something of this name."""
    found = []
    for path in sorted(ROOT.rglob("*.py")):
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if isinstance(node, ast.Call) and getattr(node.func, "attr", getattr(node.func, "id", "")) == name:
                found.append(path.relative_to(ROOT).as_posix())
    return found


def test_that_an_answer_broke_off_is_said_in_one_place() -> None:
    assert _calls("StreamInterruptedError") == ["brains/shield/call.py"], "a thought that was taken for the answer"
    said = [path.name for path in ROOT.rglob("*.py") if "broke off: {failure" in path.read_text(encoding="utf-8")]
    assert said == ["errors.py"]


def test_tokens_are_estimated_in_one_place() -> None:
    thirds = [
        path.relative_to(ROOT).as_posix()
        for path in ROOT.rglob("*.py")
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8")))
        if isinstance(node, ast.BinOp)
        and isinstance(node.op, ast.FloorDiv)
        and isinstance(node.right, ast.Constant)
        and node.right.value == 3
    ]
    assert thirds == ["prompt/layout.py"]
