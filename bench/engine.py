"""`python -m bench.engine`: the embedded brain beside its own engine with plain settings, in one run.

Each way runs in a process of its own, because OpenMP reads its variables once; the processes take turns. `plain` is
xllamacpp as it comes, with the same window, threads and prompt; `patient` the same with threads that wait as ours do,
which is what can be compared while other programs have the cores. `--busy 2` keeps two cores busy meanwhile.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import multiprocessing
import os
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager, nullcontext
from pathlib import Path
from typing import Any

import httpx2
from rich.console import Console
from rich.table import Table

from bench import ROOT
from cervella import Agent
from cervella.brains.embedded.brain import EmbeddedBrain, smollm2_path
from cervella.process.openmp import short_spin

QUESTION = "Quanto costa all'ora la RTX 4090 di RunPod?"
WAYS = ("plain", "patient", "embedded", "repeatable")
VARIABLES = ("OMP_WAIT_POLICY", "GOMP_SPINCOUNT")
WRITTEN = 128
"""Tokens of the answer whose writing is timed, behind a prompt of some 1,000 tokens."""
SHORT = "Il lancio è stato rimandato perché mancavano i test di carico. " * 45
CONTEXT = 8192


def messages() -> list[dict[str, str]]:
    """The demo's prompt, with as many passages as a search gives."""
    base = {"knowledge": ROOT / "knowledge", "constitution": ROOT / "knowledge" / "COSTITUZIONE.md"}
    with (
        tempfile.TemporaryDirectory() as folder,
        Agent(**base, index=Path(folder) / "index", embedder="none", brain="echo") as agent,
    ):
        agent.index()
        return [{"role": one.role, "content": one.content} for one in agent.preview(QUESTION).messages]


# One process, one way


def plain(model: str, threads: int | None, *, patient: bool) -> tuple[str, str]:
    """The url and the key of xllamacpp's server with its own settings."""
    with short_spin() if patient else nullcontext():
        import xllamacpp

    params = xllamacpp.CommonParams()
    params.model.path = model
    params.hostnames, params.port, params.api_keys = ["127.0.0.1"], 0, ["key"]
    params.n_ctx, params.n_parallel = CONTEXT, 1
    params.verbosity = -1
    if threads is not None:
        params.cpuparams.n_threads = params.cpuparams_batch.n_threads = threads
    server = xllamacpp.Server(params)
    _HELD.append(server)
    return server.listening_address, "key"


_HELD: list[Any] = []


def ours(model: str, threads: int | None, *, repeatable: bool) -> tuple[str, str]:
    brain = EmbeddedBrain(model=model, context_tokens=CONTEXT, threads=threads, repeatable=repeatable)
    engine = asyncio.run(brain._loaded())
    _HELD.append(engine)
    return engine.url, engine._key


def worker(way: str, model: str, threads: int | None) -> None:
    if way in ("plain", "patient"):
        url, key = plain(model, threads, patient=way == "patient")
    else:
        url, key = ours(model, threads, repeatable=way == "repeatable")
    long = json.load(sys.stdin)
    short = [{"role": "user", "content": SHORT}]
    read, written = timings(url, key, long, 1), timings(url, key, short, WRITTEN)
    print(
        json.dumps(
            {
                "tokens": read["prompt_n"],
                "read": read["prompt_per_second"],
                "processor": read["processor"],
                "written": written["predicted_n"],
                "write": written["predicted_per_second"],
            }
        )
    )


def timings(url: str, key: str, asked: Any, count: int) -> dict[str, Any]:
    """What the engine says of the times of one answer of so many tokens; nothing of it comes from the cache.

    `processor`: seconds of all its threads, which other programs on the same cores change less than the clock's.
    """
    body = {"messages": asked, "max_tokens": count, "temperature": 0.0, "cache_prompt": False, "ignore_eos": True}
    spent = time.process_time()
    answer = httpx2.post(
        f"{url}/v1/chat/completions",
        json=body,
        headers={"Authorization": f"Bearer {key}"},
        timeout=3600,
        trust_env=False,
    ).json()
    return {**answer["timings"], "processor": time.process_time() - spent}


# All of them, in turns


@contextmanager
def busy(count: int) -> Iterator[None]:
    """So many processes that do nothing but work."""
    workers = [multiprocessing.get_context("spawn").Process(target=_spin, daemon=True) for _ in range(count)]
    for one in workers:
        one.start()
    try:
        yield
    finally:
        for one in workers:
            one.kill()
            one.join()


def _spin() -> None:
    while True:
        pass


def measured(way: str, prompt: str, model: str, threads: int | None) -> dict[str, float]:
    environment = {name: value for name, value in os.environ.items() if name not in VARIABLES}
    command = [sys.executable, "-m", "bench.engine", "--worker", way, "--model", model]
    command += ["--threads", str(threads)] if threads else []
    done = subprocess.run(command, input=prompt, capture_output=True, text=True, cwd=ROOT, env=environment, check=True)
    found: dict[str, float] = json.loads(done.stdout)
    print(f"{time.strftime('%H:%M:%S')} {way}: {found}", file=sys.stderr, flush=True)
    return found


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--busy", type=int, default=0, metavar="N", help="processes that work meanwhile")
    parser.add_argument("--ways", nargs="*", choices=WAYS, default=["plain", "embedded"])
    parser.add_argument("--model", default=str(smollm2_path()))
    parser.add_argument("--threads", type=int)
    parser.add_argument("--worker", choices=WAYS, help=argparse.SUPPRESS)
    given = parser.parse_args()
    if given.worker:
        worker(given.worker, given.model, given.threads)
        return
    prompt = json.dumps(messages())
    rows: dict[str, list[dict[str, float]]] = {way: [] for way in given.ways}
    with busy(given.busy):
        for number in range(given.rounds):
            for way in given.ways if number % 2 == 0 else given.ways[::-1]:
                rows[way].append(measured(way, prompt, given.model, given.threads))
    table = Table("way", "tokens", "read, tokens/s", "of plain", "written, tokens/s", "of plain", "read, processor s")
    for way, found in rows.items():
        cells = [way, f"{found[0]['tokens']:.0f}"]
        for name in ("read", "write"):
            own = statistics.median(one[name] for one in found)
            peer = statistics.median(one[name] for one in rows[given.ways[0]])
            cells += [f"{own:.1f}", f"{own / peer:.2f}"]
        table.add_row(*cells, f"{statistics.median(one['processor'] for one in found):.0f}")
    table.title = f"{Path(given.model).stem}, {given.rounds} rounds, {given.busy} busy, first way is the peer"
    Console(width=100).print(table)


if __name__ == "__main__":
    main()
