"""Ways out for local-only text: where a brain runs.

Written from the documentation by somebody who had not read the code.
"""

from __future__ import annotations

import contextlib
from typing import Any

import pytest

from cervella import (
    Agent,
    CervellaError,
)
from cervella.testing import ScriptedBrain
from tests.fixtures.ways_out import (
    Q_PUBLIC,
    TOLD,
    Cloud,
    Q,
    Server,
    Undeclared,
    World,
    brains_of,
    found_in,
    near_brain,
    no_leak,
    saw,
    server_clean,
    server_saw,
)


class Moving(Cloud):
    """Its location is read again each time."""

    where = "local"

    @property
    def location(self):
        return self.where

    @location.setter
    def location(self, value):
        self.where = value


def test_brain_that_declares_nothing(world: World) -> None:
    agent = world.indexed()
    bare = Undeclared()
    first = agent.ask(Q, brain=near_brain())
    agent.ask(Q, brain=bare, history=[first])
    no_leak(bare)


@pytest.mark.parametrize("location", [None, "cloud", "Cloud", "on-prem", "", "LOCAL?"])
def test_brain_with_another_location(world: World, location: Any) -> None:
    agent = world.indexed()
    far = Cloud()
    far.location = location
    with contextlib.suppress(CervellaError):
        agent.ask(Q, brain=far)
    no_leak(far, asked=False)


def test_brain_that_is_remote_though_it_says_local(world: World) -> None:
    agent = world.indexed()
    far = Cloud(location="local")
    far.remote = True
    agent.ask(Q, brain=far)
    no_leak(far)


def test_private_brain_gets_it(world: World) -> None:
    agent = world.indexed()
    private = ScriptedBrain(TOLD, location="private", name="box")
    reply = agent.ask(Q, brain=private)
    assert reply.tainted
    saw(private)
    far = Cloud()
    agent.ask(Q_PUBLIC, brain=far, history=[reply])
    no_leak(far)


@pytest.mark.parametrize("kind", ["attribute", "property"])
def test_brain_whose_location_changes_at_run_time(world: World, kind: Any) -> None:
    agent = world.indexed()
    brain = Cloud([TOLD], location="local") if kind == "attribute" else Moving([TOLD], location="local")
    reply = agent.ask(Q, brain=brain)
    saw(brain)
    brain.location = "cloud"
    brain.prompts.clear()
    brain.counted.clear()
    agent.ask(Q, brain=brain, history=[reply])
    no_leak(brain)


def test_agents_default_brain_whose_location_changes(world: World) -> None:
    brain = Moving([TOLD], location="local")
    agent = world.agent(objects={"brain": brain})
    agent.index()
    session = agent.session("s")
    session.ask(Q)
    saw(brain)
    brain.location = "cloud"
    brain.prompts.clear()
    brain.counted.clear()
    session.ask(Q)
    no_leak(brain)


def test_brain_becomes_remote_at_run_time(world: World) -> None:
    brain = Cloud([TOLD], location="local")
    agent = world.agent(objects={"brain": brain})
    agent.index()
    agent.ask(Q)
    brain.remote = True
    brain.prompts.clear()
    brain.counted.clear()
    agent.ask(Q)
    no_leak(brain)


def test_brain_learns_its_location_in_prepare(world: World) -> None:
    """`prepare` is awaited before the prompt is cut: there the brain finds out that its server is remote."""

    class Learning(Cloud):
        async def prepare(self):
            self.remote = True

    brain = Learning(location="local")
    world.indexed().ask(Q, brain=brain)
    no_leak(brain)


@pytest.mark.parametrize("kind", ["claude", "vllm", "ollama"])
@pytest.mark.parametrize(
    ("url", "local"),
    [
        ("http://127.0.0.1:9", True),
        ("http://10.255.255.1:9", False),
        ("http://127.0.0.1.example.invalid:9", False),
        ("http://localhost@example.invalid:9", False),
    ],
)
def test_location_of_a_server_by_its_url(world: World, kind: Any, url: Any, local: Any) -> None:
    options = {"kind": kind, "url": url, "model": "m", "context_tokens": 8000, "connect_timeout": 0.5}
    agent = world.indexed(brains={"there": options})
    try:
        preview = agent.preview(Q, brain="there", timeout=20)
    except CervellaError as error:
        if local:
            pytest.skip(f"the preview needs the server: {error.code}")
        return
    hits = found_in([preview.prompt, preview.messages])
    assert local or not hits, f"leak: {kind} at {url} would get {hits}"
    assert hits or not local, "control: a server of this machine is local"


def test_configured_cloud_location_of_a_loopback_server(world: World, servers: dict[str, Server]) -> None:
    """`[brains.NAME] location` overrides: a proxy on this machine that leads to a cloud."""
    with Agent(config=world.toml(brain="far", brains=brains_of(servers))) as agent:
        agent.index()
        first = agent.ask(Q, brain="near")
        agent.ask(Q, history=[first])
    server_saw(servers["near"])
    server_clean(servers["far"])


def test_the_same_server_under_two_names(world: World, servers: dict[str, Server]) -> None:
    """One server, twice configured: what the name that is cloud is sent is free of local-only text."""
    brains = {"near": servers["near"].brain("local"), "gate": servers["near"].brain("cloud")}
    with Agent(config=world.toml(brain="near", brains=brains)) as agent:
        agent.index()
        agent.session("s").ask(Q)
        sent = len(servers["near"].bodies)
        agent.session("s").ask("E quando è la firma?", brain="gate")
    assert not found_in(servers["near"].bodies[sent:]), "leak: the brain `gate` is cloud"


def test_name_with_a_model_keeps_the_configured_location(world: World, servers: dict[str, Server]) -> None:
    with Agent(config=world.toml(brain="near", brains=brains_of(servers))) as agent:
        agent.index()
        agent.ask(Q, brain="far:far-model")
    server_clean(servers["far"])
