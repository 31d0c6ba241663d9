"""The claude and the vllm brain against a real server: llama.cpp's own, through the vendors' own clients."""

from __future__ import annotations

import asyncio
import pickle
from collections.abc import Callable
from typing import Any

import pytest

from cervella.agent.agent import Agent
from cervella.brains.claude.brain import ClaudeBrain
from cervella.brains.shield.shield import Shield
from cervella.brains.vllm.brain import VllmBrain
from cervella.errors import BrainAuthError, BrainUnavailableError, PromptTooLongError
from cervella.prompt.layout import render
from cervella.testing import FixedRetriever, check_brain
from cervella.types import Attempt, Completion, Finished, Message, Prompt, TextDelta
from tests.brains.real_server import MODEL, WINDOW, RealServer, needs_server, server
from tests.conftest import PlainSoul, make_passage

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


def test_what_does_not_answer_names_its_address_and_the_cure(make: Make) -> None:
    with pytest.raises(BrainUnavailableError, match=r"127\.0\.0\.1:1") as caught:
        answer(make(url="http://127.0.0.1:1"), asked())
    assert caught.value.remedy


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
