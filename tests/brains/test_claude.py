"""What the claude brain sends, and what it makes of what comes back; the wire itself is in test_faults and
test_real_server."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Iterator
from typing import Any

import pytest

from cervella.brains.claude.brain import ClaudeBrain
from cervella.brains.shield.shield import Shield
from cervella.errors import BrainAuthError, BrainResponseError
from cervella.types import Completion, Finished, Image, Message, Prompt
from tests.fixtures.fault_server import Connection, FaultServer, fault_server
from tests.fixtures.wires import ClaudeWire

HISTORY = (
    Message(role="user", content="Chi sei?"),
    Message(role="assistant", content="Cervella."),
    Message(role="user", content="E poi?"),
    Message(role="assistant", content="Poi basta."),
)
ASKED = Prompt(system="Sono Cervella.", question="Quando si parte?", history=HISTORY)
CACHED = {"type": "ephemeral", "ttl": "5m"}


@pytest.fixture
def server() -> Iterator[FaultServer]:
    with fault_server() as running:
        ClaudeWire().beside(running)
        yield running


def answer(brain: Any, prompt: Prompt = ASKED) -> Completion:
    async def whole() -> Completion:
        events = [event async for event in Shield(brain).stream(prompt)]
        assert isinstance(events[-1], Finished)
        return events[-1].completion

    return asyncio.run(asyncio.wait_for(whole(), 30))


def plays(server: FaultServer, *, reason: str = "end_turn", words: tuple[str, ...] = ("Ecco",), **usage: Any) -> None:
    wire = ClaudeWire()

    async def play(to: Connection) -> None:
        await to.start()
        message = {"id": "m", "type": "message", "role": "assistant", "content": [], "model": "prova-1", "usage": usage}
        await wire._event(to, "message_start", message=message)
        thought = {"type": "thinking_delta", "thinking": "dovrei"}
        await wire._event(to, "content_block_delta", index=0, delta=thought)
        for word in words:
            await wire.word(to, word)
        await wire.end(to, reason=reason)

    server.scenes = [play]


def test_the_soul_is_one_cached_block_and_the_conversation_is_cached_behind_it(server: FaultServer) -> None:
    plays(server, input_tokens=9)
    answer(ClaudeBrain(url=server.url))
    sent = server.requests[0].body
    assert sent["system"] == [{"type": "text", "text": "Sono Cervella.", "cache_control": CACHED}]
    assert sent["messages"] == [
        {"role": "user", "content": "Chi sei?"},
        {"role": "assistant", "content": "Cervella."},
        {"role": "user", "content": "E poi?"},
        {"role": "assistant", "content": [{"type": "text", "text": "Poi basta.", "cache_control": CACHED}]},
        {"role": "user", "content": "Quando si parte?"},
    ]
    assert not {"temperature", "thinking", "output_config", "tools"} & set(sent)
    assert sent["messages"][-1]["role"] == "user", "no words are put into her mouth"


@pytest.mark.parametrize("ttl", ["1h", "off"])
def test_how_long_it_is_cached_is_the_owners(server: FaultServer, ttl: Any) -> None:
    plays(server, input_tokens=9)
    answer(ClaudeBrain(url=server.url, cache_ttl=ttl))
    sent = server.requests[0].body
    assert str(sent).count("cache_control") == (0 if ttl == "off" else 2)
    assert ttl == "off" or sent["system"][0]["cache_control"]["ttl"] == "1h"


def test_the_beginning_is_the_same_bytes_from_turn_to_turn(server: FaultServer) -> None:
    plays(server, input_tokens=9)
    brain = ClaudeBrain(url=server.url)
    first = Prompt(system="Sono Cervella.", question="Chi sei?")
    answer(brain, first)
    answer(brain)
    one, two = (request.body for request in server.requests)
    assert one["system"] == two["system"]
    assert one["messages"][0] == two["messages"][0]


def test_caching_that_does_nothing_is_said_once_with_the_numbers(
    server: FaultServer, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.WARNING, logger="cervella")
    plays(server, input_tokens=400, cache_read_input_tokens=0, cache_creation_input_tokens=0)
    brain = ClaudeBrain(url=server.url, model="claude-opus-5")
    assert [answer(brain).flags["cache_unused"] for _ in range(2)] == [1, 1]
    [said] = [record.getMessage() for record in caplog.records if record.name == "cervella"]
    assert "400 prompt tokens" in said
    assert "512 tokens" in said


@pytest.mark.parametrize("usage", [{}, {"cache_read_input_tokens": 5, "cache_creation_input_tokens": 0}])
def test_caching_that_works_or_is_not_told_is_not_complained_of(server: FaultServer, usage: dict[str, int]) -> None:
    plays(server, input_tokens=9, **usage)
    assert answer(ClaudeBrain(url=server.url)).flags == {}


def test_what_is_written_for_an_hour_is_told_apart(server: FaultServer) -> None:
    kinds = {"ephemeral_5m_input_tokens": 5, "ephemeral_1h_input_tokens": 20}
    plays(server, input_tokens=9, cache_creation_input_tokens=25, cache_read_input_tokens=0, cache_creation=kinds)
    usage = answer(ClaudeBrain(url=server.url, cache_ttl="1h")).usage
    assert (usage.input_tokens, usage.cache_write_tokens, usage.cache_write_1h_tokens) == (34, 25, 20)


def test_thinking_has_its_own_room_beside_the_answer(server: FaultServer) -> None:
    plays(server, input_tokens=9)
    options: dict[str, Any] = {"url": server.url, "thinking_tokens": 3000, "max_output_tokens": 100}
    answer(ClaudeBrain(**options))
    answer(ClaudeBrain(**options, thinking="adaptive", effort="low"))
    answer(ClaudeBrain(**options, thinking="enabled"))
    plain, adaptive, enabled = (request.body for request in server.requests)
    assert plain["max_tokens"] == 100
    assert (adaptive["max_tokens"], adaptive["thinking"]) == (3100, {"type": "adaptive"})
    assert adaptive["output_config"] == {"effort": "low"}
    assert enabled["thinking"] == {"type": "enabled", "budget_tokens": 3000}


def test_a_model_that_thinks_unasked_has_room_for_it() -> None:
    assert ClaudeBrain(model="claude-opus-5-5")._request(ASKED)["max_tokens"] == 2048 + 4096
    assert ClaudeBrain(model="claude-haiku-4-5-20251001")._request(ASKED)["max_tokens"] == 2048
    assert ClaudeBrain(model="claude-opus-5", thinking="disabled")._request(ASKED)["max_tokens"] == 2048
    assert ClaudeBrain(model="mai-sentito")._request(ASKED)["max_tokens"] == 2048


@pytest.mark.parametrize(
    ("reason", "finish_reason"),
    [("refusal", "refusal"), ("max_tokens", "length"), ("model_context_window_exceeded", "length")],
)
def test_why_it_ended_is_told_in_the_words_of_the_house(server: FaultServer, reason: str, finish_reason: str) -> None:
    plays(server, reason=reason, input_tokens=9)
    assert answer(ClaudeBrain(url=server.url)).finish_reason == finish_reason


def test_a_refusal_may_be_empty_and_a_thought_may_not(server: FaultServer) -> None:
    plays(server, reason="refusal", words=(), input_tokens=9)
    assert answer(ClaudeBrain(url=server.url)).finish_reason == "refusal"
    plays(server, reason="max_tokens", words=(), input_tokens=9)
    with pytest.raises(BrainResponseError, match="thinking") as caught:
        answer(ClaudeBrain(url=server.url))
    assert caught.value.code == "thinking_unfinished"


def test_images_go_before_the_question(server: FaultServer) -> None:
    plays(server, input_tokens=9)
    picture = Image(media_type="image/png", data=b"x")
    answer(ClaudeBrain(url=server.url), Prompt(system="S", question="Che cos'è?", images=(picture,)))
    [image, text] = server.requests[0].body["messages"][0]["content"]
    assert image["source"] == {"type": "base64", "media_type": "image/png", "data": "eA=="}
    assert text["text"] == "Che cos'è?"


def test_without_a_key_nobody_is_asked(monkeypatch: pytest.MonkeyPatch) -> None:
    brain = ClaudeBrain()
    for ask in (brain.check, lambda: answer(brain)):
        with pytest.raises(BrainAuthError, match="no key") as caught:
            ask()
        assert "ANTHROPIC_API_KEY" in str(caught.value.remedy)
    for variable in ("ANTHROPIC_API_KEY", "ANTHROPIC_AUTH_TOKEN"):
        monkeypatch.setenv(variable, "k")
        brain.check()
        monkeypatch.delenv(variable)


def test_it_is_cloud_unless_its_url_is_this_machine() -> None:
    assert ClaudeBrain().location == "cloud"
    assert ClaudeBrain(url="https://gateway.example.com").location == "cloud"
    assert ClaudeBrain(url="http://[::1]:8080/v1/").location == "local"


def test_a_short_prompt_is_not_counted_for_nothing(server: FaultServer) -> None:
    plays(server, input_tokens=9)
    answer(ClaudeBrain(url=server.url, context_tokens=8000))
    assert not server.asked_beside


@pytest.mark.parametrize(
    "options",
    [
        {"cache_ttl": "2h"},
        {"thinking": "sempre"},
        {"effort": "tanto"},
        {"max_output_tokens": 0},
        {"url": "localhost:8080"},
        {"api_key_env": "sk-ant-una-chiave"},
    ],
)
def test_an_option_that_can_not_be_used_is_refused(options: dict[str, Any]) -> None:
    with pytest.raises(ValueError, match=next(iter(options))) as caught:
        ClaudeBrain(**options)
    assert "una-chiave" not in str(caught.value)
