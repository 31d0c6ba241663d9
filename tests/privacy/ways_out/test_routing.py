"""Ways out for local-only text: fallbacks, routers, retries.

Written from the documentation by somebody who had not read the code.
"""

from __future__ import annotations

import contextlib
from typing import Any

import pytest

from cervella import (
    Agent,
    BrainError,
    BrainRateLimitError,
    BrainResponseError,
    BrainUnavailableError,
    CervellaError,
    Completion,
    PromptTooLongError,
    StreamInterruptedError,
)
from tests.fixtures.ways_out import (
    Q_PUBLIC,
    TOLD,
    Cloud,
    Q,
    Server,
    World,
    brains_of,
    near_brain,
    no_leak,
    saw,
    server_clean,
    server_saw,
)


def _failing(kind):
    return {
        "unavailable": BrainUnavailableError("giù"),
        "rate-limit": BrainRateLimitError("piano", retry_after=0.01),
        "too-long": PromptTooLongError("troppo lungo"),
        "quoting": BrainResponseError("bad prompt: Il codice della cessione riservata è ZAFFERANO-77"),
        "empty": Completion(text="", model="near-1"),
    }[kind]


@pytest.mark.parametrize("kind", ["unavailable", "rate-limit", "too-long", "quoting", "empty"])
def test_fallback_local_fails_then_cloud(world: World, kind: Any) -> None:
    agent = world.indexed()
    near, far = near_brain([_failing(kind)]), Cloud()
    with contextlib.suppress(CervellaError):
        agent.ask(Q, brain=[near, far], timeout=60)
    saw(near)
    no_leak(far, asked=kind != "too-long")


def test_fallback_cloud_first_then_local(world: World) -> None:
    agent = world.indexed()
    far, near = Cloud([PromptTooLongError("troppo lungo"), BrainUnavailableError("giù")]), near_brain()
    reply = agent.ask(Q, brain=[far, near])
    assert reply.brain == "near"
    assert reply.tainted
    saw(near)
    no_leak(far)


def test_fallback_of_the_agent_in_a_session(world: World) -> None:
    far = Cloud()
    near = near_brain([TOLD, BrainUnavailableError("giù"), BrainUnavailableError("giù"), BrainUnavailableError("giù")])
    agent = world.agent(objects={"brain": [near, far]})
    agent.index()
    session = agent.session("s")
    session.ask(Q)
    session.ask("E quando è la firma?")
    saw(near)
    no_leak(far)


def test_fallback_after_the_first_token_asks_no_cloud(world: World) -> None:
    agent = world.indexed()
    near, far = near_brain([("Il codice è ZAFFERANO-77", BrainUnavailableError("giù"))]), Cloud()
    with pytest.raises(StreamInterruptedError):
        agent.ask(Q, brain=[near, far])
    no_leak(far, asked=False)


def test_retries_of_the_cloud(world: World) -> None:
    agent = world.indexed()
    far = Cloud(
        [BrainRateLimitError("piano", retry_after=0.01), BrainRateLimitError("piano", retry_after=0.01), "Non lo so."]
    )
    reply = agent.ask(Q, brain=far, history=[agent.ask(Q, brain=near_brain())])
    assert reply.text == "Non lo so.", "control: not retried"
    assert len(far.prompts) > 1, "control: not retried"
    no_leak(far)


def test_context_limit_error_of_the_cloud(world: World) -> None:
    agent = world.indexed()
    far = Cloud([PromptTooLongError("troppo lungo"), "Non lo so."])
    with contextlib.suppress(CervellaError):
        agent.ask(Q, brain=far, history=[agent.ask(Q, brain=near_brain())])
    no_leak(far)


@pytest.mark.parametrize("window", [700, 1100, 1600, 3000])
def test_cut_prompt(world: World, window: Any) -> None:
    for number in range(12):
        world.write(
            f"altre/{number}.md", f"# Nota {number}\n\nLa cessione numero {number}. " + "Parole di prova. " * 40
        )
    agent = world.indexed()
    history = [agent.ask(Q, brain=near_brain()), ("Ciao, come va?", "Bene. " * 200)]
    far = Cloud(context_tokens=window)
    with contextlib.suppress(PromptTooLongError):
        agent.ask(Q, brain=far, history=history, top_k=20, max_output_tokens=50)
    no_leak(far, asked=False)
    assert far.prompts or far.counted, "control: nothing was given to the brain"


def test_router_rule_that_sends_tainted_questions_to_the_cloud(world: World, servers: dict[str, Server]) -> None:
    rules = [
        {"name": "tainted", "when": {"tainted": True}, "to": "strong", "reason": "prova"},
        {"name": "rest", "to": "strong", "reason": "prova"},
    ]
    path = world.toml(
        brain="router", brains={**brains_of(servers), "router": {"own": "near", "strong": "far", "rules": rules}}
    )
    with Agent(config=path) as agent:
        agent.index()
        first = agent.ask(Q, brain="near")
        agent.ask(Q)
        agent.ask("Prepara un piano di migrazione dei turni", history=[first])
        agent.ask(Q, batch=True)
    server_saw(servers["near"])
    server_clean(servers["far"], asked=False)


def test_router_local_tier_is_down(world: World, servers: dict[str, Server]) -> None:
    dead = {"kind": "vllm", "url": "http://127.0.0.1:9/v1", "model": "m", "location": "local", "retries": 0}
    brains = {"near": dead, "far": servers["far"].brain("cloud"), "router": {"own": "near", "strong": "far"}}
    with Agent(config=world.toml(brain="router", brains=brains)) as agent:
        agent.index()
        with contextlib.suppress(BrainError):  # the gate `privacy` may exclude the cloud brain
            agent.ask(Q, timeout=60)
        agent.ask(Q_PUBLIC, filters={"path": "turni.md"}, timeout=60)
    server_clean(servers["far"])


def test_fallback_by_names_with_local_down(world: World, servers: dict[str, Server]) -> None:
    dead = {"kind": "vllm", "url": "http://127.0.0.1:9/v1", "model": "m", "location": "local", "retries": 0}
    with Agent(
        config=world.toml(brain=["near", "far"], brains={"near": dead, "far": servers["far"].brain("cloud")})
    ) as agent:
        agent.index()
        agent.ask(Q, timeout=60)
    server_clean(servers["far"])
