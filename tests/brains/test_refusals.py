"""Whether a refusal is of this question alone, or of every question: the second rests the brain, the first nobody."""

from __future__ import annotations

import asyncio
import json
import time
from collections.abc import Iterator
from typing import Any

import pytest

from cervella.brains.http.refusals import Refusal
from cervella.brains.routing.cooldown import Cooldown
from cervella.brains.routing.fallback import Fallback
from cervella.brains.routing.router import Router
from cervella.brains.shield.shield import Shield
from cervella.errors import BrainError
from cervella.testing import ScriptedBrain
from cervella.types import Finished, Prompt
from tests.conftest import DATA
from tests.fixtures.fault_server import Connection, FaultServer, Play, fault_server, says
from tests.fixtures.wires import TEXT, WIRES, well

ONE = Prompt(system="Sono Cervella.", question="Quando si parte?")
CASES = [json.loads(line) for line in (DATA / "refusals.jsonl").read_text(encoding="utf-8").splitlines()]
"""Refusals as servers send them, written by somebody who had not read the rule; `unsure` where one could disagree."""
ALSO = {
    "missing_model": {"brain_auth", "brain_unavailable"},
    "unavailable": {"brain_rate_limit", "model_not_loaded", "brain_response"},
    "timeout": {"brain_unavailable"},
    "rate": {"brain_billing"},
}
"""Other codes that rest the brain all the same."""
CODES = {
    "auth": "brain_auth",
    "bad_request": "bad_request",
    "billing": "brain_billing",
    "missing_model": "model_missing",
    "rate": "brain_rate_limit",
    "timeout": "brain_timeout",
    "too_long": "prompt_too_long",
    "unavailable": "brain_unavailable",
}


@pytest.fixture
def server() -> Iterator[FaultServer]:
    with fault_server() as running:
        yield running


@pytest.fixture(params=WIRES)
def wire(request: pytest.FixtureRequest, server: FaultServer) -> Any:
    WIRES[request.param].beside(server)
    return WIRES[request.param]


async def who(brain: Any) -> str:
    async for event in brain.stream(ONE):
        if isinstance(event, Finished):
            return event.completion.attempts[-1].brain
    raise AssertionError("no Finished")


def asked_twice(wire: Any, server: FaultServer, refusal: Play, *, router: bool = False) -> tuple[str, str]:
    """Who answers a question that is refused, and the one behind it."""
    server.scenes = [refusal, well(wire)]
    first = Shield(wire.brain(server, name="primo"), retries=0)
    second = Shield(ScriptedBrain("Eccomi.", name="secondo"), retries=0)
    brain = Router({"own": [first], "strong": [second]}, rules=[]) if router else Fallback([first, second])

    async def both() -> tuple[str, str]:
        try:
            return await who(brain), await who(brain)
        finally:
            await first.brain.aclose()

    return asyncio.run(both())


@pytest.mark.parametrize("router", [False, True], ids=["fallback", "router"])
@pytest.mark.parametrize(
    ("status", "said"),
    [
        (400, "messages: text content blocks must be non-empty"),
        (400, "max_tokens: 100000 > 8192, which is the maximum allowed number of output tokens"),
        (400, "Invalid value for temperature: must be at most 1"),
        (400, ""),
        (409, "the resource was changed meanwhile"),
        (413, "Request exceeds the maximum size"),
        (422, "Input should be a valid string"),
        (422, "1 validation error for Request\nmessages.1.content\n  Input should be a valid string "
              "[type=string_type, input_value='La fattura: your credit balance is too low, invalid API key']"),
        (400, 'could not parse "the model gpt-9 does not exist; you exceeded your current quota" as an image'),
    ],
)  # fmt: skip
def test_a_bad_request_rests_nobody(wire: Any, server: FaultServer, status: int, said: str, router: bool) -> None:
    refusal = says(status, wire.error("invalid_request_error", said))
    assert asked_twice(wire, server, refusal, router=router) == ("secondo", "primo")


@pytest.mark.parametrize("router", [False, True], ids=["fallback", "router"])
@pytest.mark.parametrize(
    ("status", "said"),
    [
        (400, "Your credit balance is too low to access the API. Please go to Plans & Billing to add credits."),
        (400, "You have reached your specified API usage limits. You will regain access on 2027-01-01."),
        (422, "Insufficient balance"),
        (400, "API key not valid. Please pass a valid API key."),
        (400, "The model `prova` does not exist"),
        (422, "Unknown model: prova"),
        (401, ""),
        (404, "page not found"),
        (402, "messages: this request wants more"),
    ],
)  # fmt: skip
def test_what_every_question_would_meet_rests_the_brain(
    wire: Any, server: FaultServer, status: int, said: str, router: bool
) -> None:
    refusal = says(status, wire.error("invalid_request_error", said))
    assert asked_twice(wire, server, refusal, router=router) == ("secondo", "secondo")


def test_a_bad_request_has_a_code_of_its_own(wire: Any, server: FaultServer) -> None:
    server.scenes = [says(422, wire.error("invalid_request_error", "temperature: must be at most 1"))]
    with pytest.raises(BrainError, match="temperature") as caught:
        asyncio.run(who(Shield(wire.brain(server))))
    assert (caught.value.code, caught.value.retryable) == ("bad_request", False)
    assert len(server.requests) == 1


def test_a_brain_whose_model_was_put_right_comes_back_by_the_probe(wire: Any, server: FaultServer) -> None:
    now = [0.0]
    server.scenes = [says(400, wire.error("invalid_request_error", "The model 'prova' does not exist")), well(wire)]
    first = Shield(wire.brain(server, name="primo"), retries=0)
    second = Shield(ScriptedBrain("Eccomi.", name="secondo"))
    fallback = Fallback([first, second], cooldown=Cooldown(30, clock=lambda: now[0]))

    async def asked() -> list[str]:
        told = [await who(fallback), await who(fallback)]
        now[0] = 31.0
        told += [await who(fallback), await who(fallback)]
        await first.brain.aclose()
        return told

    assert asyncio.run(asked()) == ["secondo", "secondo", "primo", "primo"]
    assert TEXT


def test_a_fallback_within_a_router_does_not_rest_for_one_bad_question(wire: Any, server: FaultServer) -> None:
    server.scenes = [says(400, wire.error("invalid_request_error", "max_tokens: too high")), well(wire)]
    first = Shield(wire.brain(server, name="primo"), retries=0)
    other = Shield(ScriptedBrain([BrainError("no", code="brain_billing")], name="altro"), retries=0)
    cooldown = Cooldown()
    within = Fallback([first, other], name="dentro", cooldown=cooldown)
    fallback = Fallback([within, Shield(ScriptedBrain("Eccomi.", name="secondo"))], cooldown=cooldown)

    async def both() -> tuple[str, str]:
        told = await who(fallback), await who(fallback)
        await first.brain.aclose()
        return told

    assert asyncio.run(both()) == ("secondo", "primo")


def test_what_breaks_an_answer_off_is_judged_as_what_refuses_one(server: FaultServer) -> None:
    wire = WIRES["claude"]
    wire.beside(server)

    async def filtered(to: Connection) -> None:
        await wire.begin(to)
        await wire.word(to, "Ecco")
        await to.send(wire.line("messages: blocked by the content policy"))

    server.scenes = [filtered, well(wire)]
    first = Shield(wire.brain(server, name="primo"), retries=0)
    fallback = Fallback([first, Shield(ScriptedBrain("Eccomi.", name="secondo"))])

    async def both() -> str:
        with pytest.raises(BrainError):
            await who(fallback)
        told = await who(fallback)
        await first.brain.aclose()
        return told

    assert asyncio.run(both()) == "primo"


@pytest.mark.parametrize(
    ("refusal", "category"),
    [
        (Refusal(status=400, message="your credit balance is too low", kind="invalid_prompt"), "request"),
        (Refusal(status=400, message="no", facts={"code": "billing_hard_limit_reached"}), "billing"),
        (Refusal(status=400, message="no", kind="invalid_request_error", facts={"code": "model_not_found"}), "missing"),
        (Refusal(status=400, message="no", facts={"param": "messages[1].content"}), "request"),
        (Refusal(status=400, message="no", facts={"param": "model"}), "missing"),
        (Refusal(status=422, message="", facts={"detail": [{"loc": ["body", "messages", 0], "msg": "bad",
                                                           "input": "insufficient credits"}]}), "request"),
        (Refusal(status=500, message='AnthropicException - {"type":"error","error":{"type":"invalid_request_error",'
                                     '"message":"Your credit balance is too low"}}'), "billing"),
        (Refusal(status=400, message="Provider returned error",
                 facts={"metadata": {"raw": '{"error":{"code":"invalid_api_key","message":"x"}}'}}), "auth"),
        (Refusal(status=403, message="Your input was flagged by moderation"), "request"),
        (Refusal(status=413, message="Request too large", facts={"code": "rate_limit_exceeded"}), "too_long"),
        (Refusal(status=429, message="You exceeded your current quota, please check your plan and billing details"),
         "billing"),
        (Refusal(status=429, message="Rate limit reached; add a payment method to raise it"), "rate"),
        (Refusal(status=400, message="This model does not support image input"), "request"),
        (Refusal(status=400, message="`temperature` is deprecated for this model"), "request"),
        (Refusal(status=400, message="reasoning_effort for this model is not valid"), "request"),
        (Refusal(status=400, message="Value error, could not parse message 3: insufficient credits"), "request"),
        (Refusal(status=400, message="'prova' is not a supported model"), "missing"),
        (Refusal(status=400, message="You have no credits left"), "billing"),
        (Refusal(status=405, message="Method Not Allowed"), "response"),
        (Refusal(status=503, message="Loading model", kind="unavailable_error"), "unavailable"),
    ],
)  # fmt: skip
def test_the_servers_typed_word_counts_first_then_what_it_writes_of_its_own(refusal: Refusal, category: str) -> None:
    assert refusal.category == category


@pytest.mark.parametrize("text", ['"' * 200_000, "'a " * 90_000, "{" * 200_000, "model " * 50_000, "key " * 50_000])
def test_a_refusal_of_any_length_is_read_in_no_time(text: str) -> None:
    started = time.perf_counter()
    assert Refusal(status=400, message=text, facts={"message": text}).category
    assert time.perf_counter() - started < 1.0


def refused(wire: Any, case: dict[str, Any]) -> Play:
    async def play(to: Connection) -> None:
        if case["status"] != 200:
            return await to.status(case["status"], case["body"])
        await wire.begin(to)
        text = json.dumps(case["body"])
        event = "event: error\n" if wire is WIRES["claude"] else ""
        return await to.send(f"{text}\n" if wire is WIRES["ollama"] else f"{event}data: {text}\n\n")

    return play


async def judged(wire: Any, server: FaultServer, case: dict[str, Any]) -> tuple[bool, str]:
    """Whether the brain rests, and the code of its error."""
    server.scenes = [refused(wire, case)]
    cooldown = Cooldown()
    shield = Shield(wire.brain(server), retries=0)
    try:
        with pytest.raises(BrainError) as caught:
            await who(Fallback([shield], cooldown=cooldown))
    finally:
        await shield.brain.aclose()
    return cooldown.left(shield.name) > 0, caught.value.code


def test_refusals_as_servers_send_them_are_told_apart(wire: Any, server: FaultServer) -> None:
    name = {"vllm": "openai"}.get(wire.brain(server).name, wire.brain(server).name)
    wrong = []
    for case in (case for case in CASES if case["wire"] == name):
        rests, code = asyncio.run(judged(wire, server, case))
        if rests != case["rests"] or code not in {CODES[case["kind"]], *ALSO.get(case["kind"], ())}:
            wrong.append((case["id"], rests, code))
    assert wrong == []
