"""The claude and the vllm brain against a real server: llama.cpp's own, through the vendors' own clients."""

from __future__ import annotations

import asyncio
import os
import pickle
import socket
import stat
import sys
import time
from collections.abc import Callable
from contextlib import suppress
from typing import Any
from urllib.parse import urlsplit

import httpx2
import pytest

from cervella.agent.agent import Agent
from cervella.brains.claude.brain import ClaudeBrain
from cervella.brains.shield.shield import Shield
from cervella.brains.vllm.brain import VllmBrain
from cervella.errors import BrainAuthError, BrainUnavailableError, PromptTooLongError
from cervella.prompt.layout import render
from cervella.testing import FixedRetriever, check_brain
from cervella.types import Attempt, Completion, Finished, Message, Prompt, TextDelta
from tests.conftest import PlainSoul, make_passage
from tests.fixtures.real_server import MODEL, WINDOW, RealServer, needs_server, server

__all__ = ["server"]

pytestmark = needs_server
SOUL = "Sei Cervella, la partner strategica. Rispondi in italiano, con calma. " * 3
Make = Callable[..., Any]


def asked(question: str = "Say hello in five words.", **parts: Any) -> Prompt:
    return Prompt(**{"system": SOUL, "question": question, "max_output_tokens": 16, "temperature": 0.0, **parts})


async def collect(brain: Any, prompt: Prompt) -> Completion:
    last = [event async for event in brain.stream(prompt)][-1]
    assert isinstance(last, Finished)
    return last.completion


def answer(brain: Any, prompt: Prompt) -> Completion:
    return asyncio.run(collect(brain, prompt))


@pytest.fixture(params=["claude", "vllm"])
def make(request: pytest.FixtureRequest, server: RealServer, monkeypatch: pytest.MonkeyPatch) -> Make:
    monkeypatch.setenv("BOX_KEY", server.key)

    def made(**options: Any) -> Any:
        options = {"name": "box", "api_key_env": "BOX_KEY", **options}
        if request.param == "claude":
            return ClaudeBrain(**{"model": MODEL, "url": server.url, **options})
        return VllmBrain(**{"url": f"{server.url}/v1", **options})

    return made


def test_it_keeps_the_contract_of_a_brain(make: Make) -> None:
    check_brain(make())


def test_a_loopback_url_is_local(make: Make) -> None:
    assert make().location == "local"
    assert make(url="http://gpu-box:8000/v1").location == "cloud"


def test_the_counts_are_the_servers_with_what_came_from_its_cache(make: Make) -> None:
    brain = make()
    prompt = asked("Count to ten, slowly.")

    async def twice() -> tuple[int, Completion, Completion]:
        return await brain.count_tokens(prompt), await collect(brain, prompt), await collect(brain, prompt)

    counted, first, second = asyncio.run(twice())
    assert first.usage.input_tokens == second.usage.input_tokens == counted
    assert second.usage.cache_read_tokens == counted - 1, "all but the last token come from the cache"
    assert 0 < (second.usage.output_tokens or 0) <= 16
    assert first.usage.cache_write_tokens is None, "llama.cpp does not tell it"
    assert first.model == MODEL


def test_turn_two_reads_the_soul_and_the_first_turn_from_the_cache(make: Make) -> None:
    brain = make()
    system = SOUL * 2
    first = asked("Who are you?", system=system)

    async def conversation() -> tuple[Completion, Completion]:
        one = await collect(brain, first)
        history = (Message(role="user", content="Who are you?"), Message(role="assistant", content=one.text))
        return one, await collect(brain, asked("And what do you do?", system=system, history=history))

    one, two = asyncio.run(conversation())
    assert two.usage.cache_read_tokens is not None
    assert one.usage.input_tokens is not None
    assert two.usage.cache_read_tokens >= one.usage.input_tokens - 16


def test_an_answer_that_is_cut_says_so(make: Make) -> None:
    completion = answer(make(), asked("Write a long story.", max_output_tokens=4))
    assert completion.finish_reason == "length"
    assert completion.usage.output_tokens == 4


def test_a_prompt_beyond_the_window_is_told_with_its_numbers(make: Make) -> None:
    with pytest.raises(PromptTooLongError) as caught:
        answer(make(), asked("ciao " * 1500))
    assert caught.value.limit_tokens == WINDOW
    assert caught.value.prompt_tokens is not None
    assert caught.value.prompt_tokens > WINDOW


def test_a_wrong_key_is_refused_and_never_repeated(make: Make, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("BOX_KEY", "canary-not-the-key-9")
    brain = make()
    with pytest.raises(BrainAuthError) as caught:
        answer(brain, asked())
    assert "BOX_KEY" in str(caught.value.remedy)
    shown = f"{caught.value!r} {caught.value} {caught.value.__cause__} {vars(brain)!r}"
    assert "canary" not in shown
    assert b"canary" not in pickle.dumps(caught.value)
    monkeypatch.delenv("BOX_KEY")
    with pytest.raises(BrainAuthError, match="no key"):
        answer(brain, asked())


def test_a_closed_answer_is_billed_by_what_was_seen_of_it(make: Make) -> None:
    told: list[Attempt] = []

    async def leave() -> None:
        stream = Shield(make(), on_attempt=told.append).stream(asked("Write a long story.", max_output_tokens=64))
        assert isinstance(await anext(stream), TextDelta)
        await stream.aclose()

    asyncio.run(leave())
    [attempt] = told
    assert (attempt.outcome, attempt.estimated) == ("cancelled", True)
    assert attempt.usage.input_tokens
    assert attempt.usage.output_tokens


def test_it_answers_on_loops_that_end_and_on_many_at_once(make: Make) -> None:
    brain = make()
    for _ in range(2):
        assert answer(brain, asked(max_output_tokens=2)).text

    async def several() -> list[Completion]:
        return await asyncio.gather(*(collect(brain, asked(f"Say {n}.", max_output_tokens=2)) for n in range(4)))

    assert len(asyncio.run(several())) == 4
    assert answer(pickle.loads(pickle.dumps(brain)), asked(max_output_tokens=2)).text


def test_an_agent_speaks_through_it_with_the_same_soul(
    server: RealServer, monkeypatch: pytest.MonkeyPatch, soul: PlainSoul
) -> None:
    monkeypatch.setenv("BOX_KEY", server.key)
    options = {
        "claude": ClaudeBrain(model=MODEL, url=server.url, api_key_env="BOX_KEY"),
        "vllm": VllmBrain(url=f"{server.url}/v1", api_key_env="BOX_KEY"),
    }
    retriever = FixedRetriever([make_passage("Il lancio è il 20 gennaio 2026.", local_only=True)])
    for name, brain in options.items():
        with Agent(brain=brain, soul=soul, retriever=retriever) as agent:
            reply = agent.ask("Quando si parte?", max_output_tokens=8)
            assert agent.preview("Quando si parte?").prompt_tokens > 0
        assert (reply.brain, reply.model, reply.soul) == (name, MODEL, soul.fingerprint)
        assert reply.tainted, "a loopback server may see what is local only"
        assert reply.usage.input_tokens


@pytest.mark.parametrize(("temperature", "alike"), [(0.0, True), (1.5, False)])
def test_the_server_gets_the_temperature_that_was_asked_for(make: Make, temperature: float, alike: bool) -> None:
    brain = make()
    prompt = asked("Tell me a story about the sea.", temperature=temperature, max_output_tokens=24)
    answer(brain, prompt)  # the others all read the prompt from the cache
    assert (len({answer(brain, prompt).text for _ in range(3)}) == 1) is alike


def connections(server: RealServer) -> int:
    """The open connections of this process to the server, whatever holds them."""
    port, count = urlsplit(server.url).port, 0
    for descriptor in map(int, os.listdir("/dev/fd")):
        with suppress(OSError):
            if stat.S_ISSOCK(os.fstat(descriptor).st_mode):
                with socket.socket(fileno=os.dup(descriptor)) as one:
                    count += one.family == socket.AF_INET and one.getpeername()[1] == port
    return count


@pytest.mark.skipif(not os.path.isdir("/dev/fd"), reason="counts open files")
def test_a_closed_answer_leaves_no_connection_to_the_garbage_collector(make: Make, server: RealServer) -> None:
    uncollected: list[Any] = []

    async def leave() -> int:
        brain = make()
        sys.set_asyncgen_hooks(finalizer=uncollected.append)  # for this loop: the collector closes nothing
        await collect(brain, asked(max_output_tokens=1))
        stream = brain.stream(asked("Write a long story.", max_output_tokens=600))
        while not isinstance(await anext(stream), TextDelta):
            pass
        assert connections(server) > before, "else this test sees nothing"
        await stream.aclose()
        until = time.monotonic() + 10
        while (left := connections(server) - before) and time.monotonic() < until:
            await asyncio.sleep(0.01)
        for one in uncollected:
            await one.aclose()
        return left

    before = connections(server)
    assert asyncio.run(leave()) == 0


def test_what_does_not_answer_names_its_address_and_the_cure(make: Make) -> None:
    with pytest.raises(BrainUnavailableError, match=r"127\.0\.0\.1:1") as caught:
        answer(make(url="http://127.0.0.1:1"), asked())
    assert caught.value.remedy


def posted(server: RealServer, path: str, body: dict[str, Any]) -> Any:
    headers = {"Authorization": f"Bearer {server.key}"}
    return httpx2.post(f"{server.url}{path}", json=body, headers=headers, trust_env=False).raise_for_status().json()


def test_the_soul_is_the_system_turn_of_the_models_template_and_nothing_else(make: Make, server: RealServer) -> None:
    turns = [{"role": "system", "content": SOUL}, {"role": "user", "content": "Say hello in five words."}]
    template = posted(server, "/apply-template", {"messages": turns})["prompt"]
    assert template.count(SOUL.strip()) == template.count("<|im_start|>system") == 1
    tokens = posted(server, "/tokenize", {"content": template, "parse_special": True})["tokens"]
    completion = answer(make(), asked(max_output_tokens=1))
    assert completion.usage.input_tokens == len(tokens)
    assert "soul_folded" not in completion.flags


# What only one of them does


def test_vllm_learns_model_and_window_from_the_server(server: RealServer, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("VLLM_API_KEY", server.key)
    brain = VllmBrain(url=f"{server.url}/v1")
    assert (brain.model, brain.context_tokens) == ("unknown", None)
    asyncio.run(brain.prepare())
    assert (brain.model, brain.context_tokens) == (MODEL, WINDOW)
    assert not brain._folded, "SmolLM2's template takes a system role"
    brain.check()


def test_vllm_is_cut_to_the_window_that_the_server_has(server: RealServer, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("VLLM_API_KEY", server.key)
    passages = [make_passage("Il lancio è rinviato. " * 60, id=str(n)) for n in range(3)]

    async def fitted() -> tuple[int, Completion]:
        shield = Shield(VllmBrain(url=f"{server.url}/v1"))
        prompt = asked("Quando?", passages=tuple(passages), max_output_tokens=4)
        events = [event async for event in shield.stream(prompt)]
        assert isinstance(events[-1], Finished)
        return len(render(prompt)), events[-1].completion

    _, completion = asyncio.run(fitted())
    assert completion.flags["passages_dropped"] >= 1
    assert (completion.usage.input_tokens or 0) <= WINDOW - 4


def test_vllm_sends_a_seed_where_one_is_asked_for() -> None:
    brain = VllmBrain()
    assert "seed" not in brain._request(asked())[0]
    assert brain._request(asked(hints={"seed": 7}))[0]["seed"] == 7


def test_claude_streams_no_temperature_unless_it_is_asked(server: RealServer) -> None:
    brain = ClaudeBrain(model=MODEL, url=server.url)
    assert "temperature" not in brain._request(asked(temperature=None))
    assert brain._request(asked(temperature=0.2))["extra_body"] == {"temperature": 0.2}
