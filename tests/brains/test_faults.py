"""Every brain that speaks HTTP against a server that does one wrong thing at a time."""

from __future__ import annotations

import asyncio
import email.utils
import logging
import pickle
import time
import traceback
from collections.abc import Iterator
from typing import Any

import pytest

from cervella.brains.http.refusals import retry_after
from cervella.brains.shield.shield import Shield
from cervella.errors import (
    BrainAuthError,
    BrainError,
    BrainRateLimitError,
    BrainResponseError,
    BrainTimeoutError,
    BrainUnavailableError,
    PromptTooLongError,
    StreamInterruptedError,
)
from cervella.prompt.layout import render
from cervella.testing import check_brain
from cervella.types import Attempt, Completion, Finished, Message, Passage, Prompt, TextDelta, Usage
from tests.fixtures.fault_server import Connection, FaultServer, fault_server, says
from tests.fixtures.wires import TEXT, WIRES, WORDS, well

ONE = Prompt(system="Sono Cervella.", question="Quando si parte?")
CANARY = "canary-7f3a-not-a-key"


@pytest.fixture
def server() -> Iterator[FaultServer]:
    with fault_server() as running:
        yield running


@pytest.fixture(params=WIRES)
def wire(request: pytest.FixtureRequest, server: FaultServer) -> Any:
    found = WIRES[request.param]
    found.beside(server)
    server.name = request.param  # type: ignore[attr-defined]
    return found


@pytest.fixture(autouse=True)
def no_wait(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("cervella.brains.shield.shield._FIRST_WAIT", 0.001)
    monkeypatch.setattr("cervella.brains.shield.shield._JITTER", 0.001)


def answer(shield: Shield, prompt: Prompt = ONE, **options: Any) -> Completion:
    async def whole() -> Completion:
        events = [event async for event in shield.stream(prompt, **options)]
        assert isinstance(events[-1], Finished)
        return events[-1].completion

    return asyncio.run(asyncio.wait_for(whole(), 60))


# All is well


def test_it_keeps_the_contract_of_a_brain(wire: Any, server: FaultServer) -> None:
    server.scenes = [well(wire)]
    check_brain(wire.brain(server))


def test_an_answer_comes_as_it_is_written_with_the_engines_counts(wire: Any, server: FaultServer) -> None:
    server.scenes = [well(wire)]
    completion = answer(Shield(wire.brain(server)))
    assert (completion.text, completion.finish_reason, completion.model) == (TEXT, "stop", "prova-1")
    assert (completion.usage.input_tokens, completion.usage.output_tokens) == (100, 3)
    read, write = {"claude": (70, 25), "vllm": (70, None), "ollama": (None, None)}[server.name]  # type: ignore[attr-defined]
    assert (completion.usage.cache_read_tokens, completion.usage.cache_write_tokens) == (read, write)


def test_soul_history_and_question_go_over_the_wire_byte_for_byte(
    wire: Any, server: FaultServer, passages: tuple[Passage, ...]
) -> None:
    server.scenes = [well(wire)]
    soul = "# Chi sono\n\nSono Cervella, «calma» e precisa: perché no?\n"
    history = (Message(role="user", content="Chi sei?"), Message(role="assistant", content="Cervella."))
    prompt = Prompt(system=soul, question="Perché?", history=history, passages=passages, instructions="Cita.")
    answer(Shield(wire.brain(server)), prompt)
    sent = server.requests[0].body
    messages = sent["messages"]
    if server.name == "claude":  # type: ignore[attr-defined]
        messages = [{"role": "system", "content": sent["system"]}, *messages]
    told = [(m["role"], m["content"] if isinstance(m["content"], str) else m["content"][0]["text"]) for m in messages]
    assert told == [(message.role, message.content) for message in render(prompt)]
    assert "41 per cento" in told[-1][1], "a url of this machine is local"


def test_counts_that_are_not_told_are_unknown_and_not_zero(wire: Any, server: FaultServer) -> None:
    server.scenes = [well(wire, usage=False)]
    completion = answer(Shield(wire.brain(server)))
    assert completion.text == TEXT
    assert completion.usage == Usage()


def test_an_answer_that_was_cut_says_so(wire: Any, server: FaultServer) -> None:
    word = "max_tokens" if server.name == "claude" else "length"  # type: ignore[attr-defined]
    server.scenes = [well(wire, reason=word)]
    assert answer(Shield(wire.brain(server))).finish_reason == "length"


def test_without_a_model_a_cloud_model_is_the_last_choice_and_then_it_is_cloud(server: FaultServer) -> None:
    wire, there = WIRES["vllm"], [{"id": "gpt-oss:120b-CLOUD"}, {"id": "prova"}]
    wire.beside(server)

    async def models(to: Connection) -> None:
        await to.status(200, {"data": there})

    server.beside["/models"] = models
    server.scenes = [well(wire)]
    subject = wire.brain(server, model=None)
    answer(Shield(subject))
    assert (subject.model, subject.remote) == ("prova", False)
    del there[1]
    shield = Shield(wire.brain(server, model=None), location="private")
    secret = Passage(
        id="a", path="a.md", heading="", text="Il margine è 41.", start_line=1, end_line=1, local_only=True
    )
    prompt = Prompt(system="Sono Cervella.", question="Quanto?", passages=(secret,))
    with pytest.raises(BrainError, match="local only"):
        asyncio.run(anext(wire.brain(server, model=None).stream(prompt)))
    assert answer(shield, prompt).flags["passages_withheld"] == 1
    assert "41" not in str([request.body for request in server.requests])


# What is no use trying again


@pytest.mark.parametrize(
    ("status", "kind", "error"),
    [
        (401, "authentication_error", BrainAuthError),
        (403, "permission_error", BrainAuthError),
        (400, "invalid_request_error", BrainResponseError),
        (302, "", BrainResponseError),
    ],
)
def test_a_refusal_is_not_tried_again(
    wire: Any, server: FaultServer, status: int, kind: str, error: type[BrainError]
) -> None:
    server.scenes = [says(status, wire.error(kind, "così non va"), Location="http://example.com/")]
    with pytest.raises(error) as caught:
        answer(Shield(wire.brain(server)))
    assert len(server.requests) == 1
    assert [attempt.outcome for attempt in caught.value.attempts] == ["error"]
    assert caught.value.remedy
    assert status == 302 or "così non va" in caught.value.message


def test_a_model_that_is_not_there_is_told_with_those_that_are(wire: Any, server: FaultServer) -> None:
    async def models(to: Connection) -> None:
        await to.status(
            200, {"data": [{"id": "altra", "type": "model", "display_name": "", "created_at": "2026-01-01"}]}
        )

    server.beside.setdefault("/models", models)
    server.scenes = [says(404, wire.error("not_found_error", "model 'prova' not found"))]
    with pytest.raises(BrainResponseError, match="altra") as caught:
        answer(Shield(wire.brain(server)))
    assert caught.value.code == "model_missing"
    assert server.name != "ollama" or "ollama pull prova" in str(caught.value.remedy)  # type: ignore[attr-defined]


@pytest.mark.parametrize(
    ("said", "counts"),
    [
        ("prompt is too long: 210000 tokens > 200000 maximum", (210000, 200000)),
        ("This model's maximum context length is 4096 tokens. However, you requested 4200 tokens (4100 in the "
         "messages, 100 in the completion).", (4100, 4096)),
        ("the input length exceeds the context length", None),
    ],
)  # fmt: skip
def test_a_prompt_that_is_too_long_is_told_as_that(wire: Any, server: FaultServer, said: str, counts: Any) -> None:
    server.scenes = [says(400, wire.error("invalid_request_error", said))]
    with pytest.raises(PromptTooLongError) as caught:
        answer(Shield(wire.brain(server)))
    if counts and server.name != "ollama":  # type: ignore[attr-defined]
        assert (caught.value.prompt_tokens, caught.value.limit_tokens) == counts
    assert len(server.requests) == 1


# What may pass


@pytest.mark.parametrize("status", [500, 503, 529])
def test_a_server_that_can_not_now_is_asked_again(wire: Any, server: FaultServer, status: int) -> None:
    server.scenes = [says(status, wire.error("api_error", "giù")), says(status, "<html>giù</html>"), well(wire)]
    told: list[Attempt] = []
    assert answer(Shield(wire.brain(server), on_attempt=told.append)).text == TEXT
    assert [attempt.error for attempt in told] == ["brain_unavailable", "brain_unavailable", None]
    assert len(server.requests) == 3


@pytest.mark.parametrize(
    "headers",
    [
        {"Retry_After": "0"},
        {"Retry_After": "0.01"},
        {"retry_after_ms": "10"},
        {"Retry_After": "-5"},
        {"Retry_After": "presto"},
        {"Retry_After": email.utils.formatdate(0, usegmt=True)},
        {},
    ],
    ids=str,
)
def test_too_many_requests_are_waited_for(wire: Any, server: FaultServer, headers: dict[str, str]) -> None:
    server.scenes = [says(429, wire.error("rate_limit_error", "piano"), **headers), well(wire)]
    completion = answer(Shield(wire.brain(server)))
    assert [attempt.error for attempt in completion.attempts] == ["brain_rate_limit", None]


@pytest.mark.parametrize("huge", ["4290000", email.utils.formatdate(time.time() + 9e5, usegmt=True)], ids=["s", "date"])
@pytest.mark.parametrize("status", [429, 503])
def test_a_wait_beyond_the_callers_time_is_not_waited(wire: Any, server: FaultServer, huge: str, status: int) -> None:
    server.scenes = [says(status, wire.error("rate_limit_error", "piano"), Retry_After=huge), well(wire)]
    with pytest.raises((BrainRateLimitError, BrainUnavailableError)) as caught:
        answer(Shield(wire.brain(server)), timeout=30.0)
    assert caught.value.retry_after is not None
    assert caught.value.retry_after > 8e5
    assert len(server.requests) == 1


def test_an_error_after_200_and_before_a_word_is_asked_again(wire: Any, server: FaultServer) -> None:
    async def overloaded(to: Connection) -> None:
        await wire.begin(to)
        await wire.trouble(to)

    server.scenes = [overloaded, well(wire)]
    if server.name == "ollama":  # type: ignore[attr-defined]  # it gives no kind: what fails so may fail again
        with pytest.raises(BrainResponseError, match="running the model"):
            answer(Shield(wire.brain(server)))
    else:
        assert answer(Shield(wire.brain(server))).text == TEXT


def test_an_error_amid_the_answer_is_no_answer(wire: Any, server: FaultServer) -> None:
    async def overloaded(to: Connection) -> None:
        await wire.begin(to)
        await wire.word(to, "Ecco")
        await wire.trouble(to)

    server.scenes = [overloaded]
    with pytest.raises(BrainError) as caught:
        answer(Shield(wire.brain(server), retries=0))
    if server.name != "ollama":  # type: ignore[attr-defined]  # whose first answer is held back: nothing was given out
        assert isinstance(caught.value, StreamInterruptedError)
        assert caught.value.partial == "Ecco"
        [attempt] = caught.value.attempts
        assert (attempt.outcome, attempt.estimated) == ("interrupted", True)
        assert attempt.usage.output_tokens == 2
        assert attempt.usage.input_tokens == (100 if server.name == "claude" else attempt.usage.input_tokens)  # type: ignore[attr-defined]


async def _reset_first(wire: Any, to: Connection) -> None:
    to.reset()


async def _reset_midway(wire: Any, to: Connection) -> None:
    await wire.begin(to)
    await wire.word(to, "Ecco")
    await asyncio.sleep(0.05)
    to.reset()


async def _half_an_event(wire: Any, to: Connection) -> None:
    await wire.begin(to)
    await wire.half(to)


async def _nothing(wire: Any, to: Connection) -> None:
    await to.start("application/x-ndjson")


async def _no_end(wire: Any, to: Connection) -> None:
    await wire.begin(to)
    await wire.word(to, "Ecco")


@pytest.mark.parametrize("scene", [_reset_first, _reset_midway, _half_an_event, _nothing, _no_end])
def test_a_connection_that_breaks_is_never_an_answer(wire: Any, server: FaultServer, scene: Any) -> None:
    async def play(to: Connection) -> None:
        await scene(wire, to)

    server.scenes = [play]
    with pytest.raises(BrainError) as caught:
        answer(Shield(wire.brain(server), retries=0))
    assert caught.value.remedy
    assert len(caught.value.attempts) == 1
    if scene is _reset_first:
        assert isinstance(caught.value, BrainUnavailableError)
    if scene in (_reset_midway, _no_end) and server.name != "ollama":  # type: ignore[attr-defined]
        assert isinstance(caught.value, StreamInterruptedError)
        assert caught.value.partial == "Ecco"


# Times


def test_a_server_that_stalls_is_left(wire: Any, server: FaultServer) -> None:
    async def stall(to: Connection) -> None:
        await wire.begin(to)
        await to.hang()

    server.scenes = [stall]
    with pytest.raises(BrainTimeoutError, match="no text within"):
        answer(Shield(wire.brain(server), first_token_timeout=1.0, retries=0))
    assert server.left.wait(10), "the server sees that nobody waits any more"


def test_an_answer_that_nobody_reads_on_ends_the_call_and_is_billed(wire: Any, server: FaultServer) -> None:
    async def endless(to: Connection) -> None:
        await wire.begin(to)
        await wire.word(to, "Ecco")
        await to.hang()

    server.scenes = [endless]
    told: list[Attempt] = []

    async def leave() -> None:
        stream = Shield(wire.brain(server), on_attempt=told.append).stream(ONE)
        reading = asyncio.create_task(anext(stream))
        while not server.requests:
            await asyncio.sleep(0.01)
        if server.name == "ollama":  # type: ignore[attr-defined]  # it holds its first answer back
            await asyncio.sleep(0.2)
            reading.cancel()
            with pytest.raises(asyncio.CancelledError):
                await reading
        else:
            assert isinstance(await reading, TextDelta)
        await stream.aclose()

    asyncio.run(leave())
    assert server.left.wait(10)
    [attempt] = told
    assert (attempt.outcome, attempt.estimated) == ("cancelled", True)
    assert attempt.usage.input_tokens


# Templates that know no system role


def test_a_template_without_a_system_role_gets_the_soul_in_the_first_turn(wire: Any, server: FaultServer) -> None:
    refusal = says(400, wire.error("BadRequestError", "System role not supported"))
    server.scenes = [refusal, well(wire), well(wire)]
    shield = Shield(wire.brain(server))
    history = (Message(role="user", content="Ciao"), Message(role="assistant", content="Ciao."))
    prompt = Prompt(system="Sono Cervella.", question="Quando si parte?", history=history)
    for _ in range(2):
        completion = answer(shield, prompt)
        assert completion.text == TEXT
        assert completion.flags["soul_folded"] == 1
        assert len(completion.attempts) == 1
    assert len(server.requests) == 3, "it is known after the first"
    sent = server.requests[-1].body
    assert "system" not in sent
    assert [message["role"] for message in sent["messages"]] == ["user", "assistant", "user"]
    first = sent["messages"][0]["content"]
    assert first.startswith("Sono Cervella.")
    assert "Ciao" in first


@pytest.mark.parametrize(
    ("status", "said"),
    [(400, "temperature is not supported; see the system prompt guide"), (401, "System role not supported"),
     (404, "System role not supported"), (503, "System role not supported")],
)  # fmt: skip
def test_nothing_but_a_refusal_of_the_system_role_folds_the_soul(
    wire: Any, server: FaultServer, status: int, said: str
) -> None:
    server.scenes = [says(status, wire.error("BadRequestError", said)), well(wire)]
    shield = Shield(wire.brain(server), retries=0)
    with pytest.raises(BrainError):
        answer(shield)
    assert "soul_folded" not in answer(shield).flags


def test_an_error_that_repeats_the_question_folds_nothing(wire: Any, server: FaultServer) -> None:
    words = "bad field " + "x" * 700 + " this model does not support system messages"
    server.scenes = [says(422, wire.error("invalid_request_error", words)), well(wire)]
    shield = Shield(wire.brain(server), retries=0)
    with pytest.raises(BrainError):
        answer(shield)
    assert "soul_folded" not in answer(shield).flags


def test_another_model_at_the_same_address_is_not_folded_for_the_first(server: FaultServer) -> None:
    wire, there = WIRES["vllm"], ["prova"]
    wire.beside(server)

    async def models(to: Connection) -> None:
        await to.status(200, {"data": [{"id": name} for name in there]})

    server.beside["/models"] = models
    refusal = says(400, wire.error("BadRequestError", "System role not supported"))
    missing = says(404, wire.error("NotFoundError", "The model `prova` does not exist."))
    server.scenes = [refusal, well(wire), missing, well(wire)]
    shield = Shield(wire.brain(server, model=None), retries=0)
    assert answer(shield).flags["soul_folded"] == 1
    there[0] = "altra"
    with pytest.raises(BrainResponseError):
        answer(shield)
    assert "soul_folded" not in answer(shield).flags
    assert server.requests[-1].body["messages"][0]["role"] == "system"


def test_anthropics_own_service_is_never_sent_a_folded_soul() -> None:
    brain = WIRES["claude"].brain(FaultServer(), url=None)
    assert not brain._may_fold


# Thoughts


@pytest.mark.parametrize(
    "words",
    [
        ("<think>", "dovrei", "</think>", "\n\n", *WORDS),
        ("<th", "ink>dov", "rei</thi", "nk>", *WORDS),
        ("dovrei</think>\n" + TEXT,),
        (*WORDS, "<think>ancora"),
    ],
)
def test_thoughts_never_reach_the_answer(wire: Any, server: FaultServer, words: tuple[str, ...]) -> None:
    async def play(to: Connection) -> None:
        await wire.begin(to)
        for word in words:
            await wire.word(to, word)
        await wire.end(to)

    server.scenes = [play]
    completion = answer(Shield(wire.brain(server)))
    assert completion.text == TEXT
    assert completion.flags["thoughts_removed"] == 1


def test_a_thought_without_an_answer_is_an_error(wire: Any, server: FaultServer) -> None:
    async def play(to: Connection) -> None:
        await wire.begin(to)
        await wire.word(to, "<think>e se")
        await wire.end(to, reason="max_tokens" if server.name == "claude" else "length")  # type: ignore[attr-defined]

    server.scenes = [play]
    with pytest.raises(BrainResponseError) as caught:
        answer(Shield(wire.brain(server)))
    assert caught.value.code == "thinking_unfinished"


# Keys


def test_a_key_goes_to_its_server_and_nowhere_else(
    wire: Any, server: FaultServer, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setenv("CANARY_KEY", CANARY)
    caplog.set_level(logging.DEBUG)
    brain = wire.brain(server, api_key_env="CANARY_KEY")
    echo = says(401, wire.error("authentication_error", f"invalid key {CANARY}"))
    shown = []
    for scene in (echo, says(400, f"<html>{CANARY}</html>"), says(500, wire.error("api_error", CANARY))):
        server.scenes = [scene]
        with pytest.raises(BrainError) as caught:
            answer(Shield(brain, retries=0))
        shown += [repr(caught.value), "".join(traceback.format_exception(caught.value)), str(vars(caught.value))]
        shown.append(pickle.dumps(caught.value).decode("latin-1"))
    shown += [repr(brain), str(vars(brain)), pickle.dumps(brain).decode("latin-1"), caplog.text]
    assert all(CANARY not in text for text in shown)
    assert CANARY in str(server.requests[0].headers), "the server itself gets it"


@pytest.mark.parametrize("variable", ["ANTHROPIC_API_KEY", "OPENAI_API_KEY", "OLLAMA_API_KEY", "OPENAI_ORG_ID"])
def test_a_vendors_key_is_not_sent_to_a_server_of_ones_own(
    wire: Any, server: FaultServer, monkeypatch: pytest.MonkeyPatch, variable: str
) -> None:
    monkeypatch.setenv(variable, CANARY)
    server.scenes = [well(wire)]
    answer(Shield(wire.brain(server)))
    assert all(CANARY not in str(request.headers) for request in server.requests + server.asked_beside)


def test_two_hundred_questions_at_once_do_not_mix(wire: Any, server: FaultServer) -> None:
    async def echo(to: Connection) -> None:
        await wire.begin(to, usage=False)
        await asyncio.sleep(0.01)
        await wire.word(to, str(to.request.body["messages"][-1]["content"]))
        await wire.end(to, usage=False)

    server.scenes = [echo]
    shield = Shield(wire.brain(server), retries=0)

    async def one(question: str) -> bool:
        events = [e async for e in shield.stream(Prompt(system="Sono Cervella.", question=question))]
        assert isinstance(events[-1], Finished)
        return events[-1].completion.text == question

    async def all_at_once() -> list[bool]:
        return await asyncio.gather(*(one(f"domanda {n}") for n in range(200)))

    assert all(asyncio.run(all_at_once()))


# Retry-After


@pytest.mark.parametrize(
    ("headers", "seconds"),
    [
        ({"retry-after": "3"}, 3.0),
        ({"retry-after": "1.5"}, 1.5),
        ({"retry-after-ms": "250", "retry-after": "9"}, 0.25),
        ({"retry-after": "-3"}, 0.0),
        ({"retry-after-ms": "-3"}, 0.0),
        ({"retry-after": "Thu, 01 Jan 1970 00:01:40 GMT"}, 90.0),
        ({"retry-after": "Thu, 01 Jan 1970 00:00:01 GMT"}, 0.0),
        ({"retry-after": "4290000"}, 4290000.0),
        ({"retry-after": "inf"}, None),
        ({"retry-after": "nan"}, None),
        ({"retry-after": "domani"}, None),
        ({"retry-after": ""}, None),
        ({}, None),
    ],
)
def test_retry_after_is_read_in_every_form(headers: dict[str, str], seconds: float | None) -> None:
    assert retry_after(headers, now=10.0) == seconds
