"""A few of each of what `make torture` does to an index."""

from __future__ import annotations

import json
import os
import subprocess
import sys

import pytest


@pytest.mark.timeout(600)
@pytest.mark.skipif(not hasattr(os, "fork"), reason="the torture forks and kills")
def test_nothing_is_lost_by_a_kill_a_full_disk_a_flipped_byte_or_a_second_process() -> None:
    command = [sys.executable, "-m", "bench.torture", "--short"]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    told = {line["trial"]: line["result"] for line in map(json.loads, done.stdout.splitlines())}
    assert len(told) == 7
    assert told["embedder failures"] > 0
    assert told["failed writes"] > 0
    assert told["damaged files"]["detected"] > 0
