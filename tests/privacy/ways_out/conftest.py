"""The base and the servers of the ways out."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.fixtures.ways_out import TOLD, Server, World


@pytest.fixture
def world(tmp_path: Path) -> Iterator[World]:
    made = World(tmp_path)
    yield made
    made.close()


@pytest.fixture
def servers() -> Iterator[dict[str, Server]]:
    made = {"near": Server(TOLD, "near"), "far": Server("Non lo so.", "far")}
    yield made
    for server in made.values():
        server.close()
