"""Run the torture: `python -m bench.torture`, or `--short`. Prints what was done, and fails with the first loss."""

from __future__ import annotations

import argparse
import json
import shutil
import sys
import tempfile
import time
import warnings
from collections.abc import Callable
from importlib import import_module
from pathlib import Path
from typing import Any

from bench import SNCP
from bench.torture.corpus import write_versions
from bench.torture.trials import Arena


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m bench.torture", description=__doc__)
    parser.add_argument("--short", action="store_true", help="a few of each, as in the tests")
    parser.add_argument("--kills", type=int, help="runs that are killed over the small folder")
    parser.add_argument("--only", help="one trial, by its name")
    parser.add_argument("--seed", type=int, default=4)
    options = parser.parse_args()
    short = options.short
    kills = options.kills if options.kills is not None else 2 if short else 190
    _load_once()
    with tempfile.TemporaryDirectory(prefix="cervella-torture-") as folder:
        where = Path(folder)
        versions = write_versions(where, files=6 if short else 36, seed=options.seed)
        arena = Arena.of(where, versions, seed=options.seed)
        trials: dict[str, Callable[[], Any]] = {
            "kills": lambda: _kill(arena, kills),
            "kills over the 199 files": lambda: _kill_large(where, options.seed),
            "two writers, seconds": arena.two_writers,
            "answers of four readers": lambda: arena.readers(switches=2 if short else 40),
            "embedder failures": arena.fail_embedder,
            "failed writes": lambda: arena.fail_writes(step=40 if short else 1),
            "file size limits that hurt": lambda: arena.fill_disk(limits=2 if short else 40),
            "damaged files": lambda: arena.damage(rounds=1 if short else 6, every=4 if short else 1),
        }
        if short or not SNCP.is_dir():
            del trials["kills over the 199 files"]
        for name, trial in trials.items():
            if options.only in (None, name):
                _tell(name, trial)


def _kill_large(where: Path, seed: int) -> dict[str, int]:
    large = where / "large"
    large.mkdir()
    return _kill(Arena.of(large, [SNCP, _later(SNCP, large / "later")], seed=seed, embedder="none"), 10)


def _later(folder: Path, copy: Path) -> Path:
    """A copy of a folder in which some files are gone and some have grown."""
    shutil.copytree(folder, copy)
    for number, path in enumerate(sorted(copy.rglob("*.md"))):
        if number % 20 == 0:
            path.unlink()
        elif number % 20 == 1:
            path.write_text(f"{path.read_text(encoding='utf-8')}\nUna riga in più.\n", encoding="utf-8")
    return copy


def _load_once() -> None:
    """What the children need is imported before they are made: a fork is then all that a run costs."""
    warnings.simplefilter("ignore", DeprecationWarning)
    for name in ("chromadb", "cervella.knowledge.index.nodes"):
        import_module(name)


def _kill(arena: Arena, kills: int) -> dict[str, int]:
    runs = hits = 0
    while hits < kills:
        runs += 1
        hits += arena.kill()
    return {"killed": hits, "runs": runs}


def _tell(what: str, trial: Callable[[], Any]) -> None:
    started = time.perf_counter()
    result = trial()
    print(json.dumps({"trial": what, "result": result, "seconds": round(time.perf_counter() - started, 1)}), flush=True)


if __name__ == "__main__":
    sys.exit(main())
