"""What is done to the index. A trial raises Loss where something was lost, invented, or left without a cure."""

from __future__ import annotations

import errno
import os
import random
import resource
import shutil
import signal
import sqlite3
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from bench.torture.children import Died, finish_child, run_in_child, start_child
from bench.torture.corpus import QUERIES, Answers, HashEmbedder, answers, build
from cervella.errors import CervellaError, IndexDamagedError, IndexLockedError, IndexMissingError
from cervella.knowledge import HybridRetriever

__all__ = ["Arena", "Loss"]


class Loss(Exception):
    """What must never happen has happened."""


def _hold(promise: bool, otherwise: str) -> None:
    if not promise:
        raise Loss(otherwise)


@dataclass
class Arena:
    """Versions of a folder, a clean index of each, and what each answers."""

    where: Path
    versions: list[Path]
    expected: list[Answers]
    seconds: float
    """The latest moment of a run at which it is killed: about as long as a run takes."""
    rng: random.Random
    embedder: Any = None
    """None for the hash embedder, "none" for words alone."""

    @classmethod
    def of(cls, where: Path, versions: list[Path], *, seed: int, embedder: Any = None) -> Arena:
        expected = []
        seconds = 0.0
        for number, folder in enumerate(versions):
            index = where / f"clean_{number}"
            started = time.perf_counter()
            run_in_child(lambda folder=folder, index=index: build(folder, index, embedder))
            seconds = seconds or time.perf_counter() - started
            expected.append(run_in_child(lambda folder=folder, index=index: answers(folder, index, embedder)))
        return cls(where, versions, expected, seconds, random.Random(seed), embedder)

    def start(self, version: int | None) -> Path:
        """An index to work on: a copy of a clean one, or none yet."""
        index = self.where / "index"
        shutil.rmtree(index, ignore_errors=True)
        if version is not None:
            shutil.copytree(self.where / f"clean_{version}", index)
        return index

    def build(self, version: int, index: Path, **options: Any) -> Callable[[], None]:
        return lambda: build(self.versions[version], index, self.embedder, **options)

    def ask(self, version: int, index: Path) -> Answers:
        answer: Answers = run_in_child(lambda: answers(self.versions[version], index, self.embedder))
        return answer

    def readable(self, index: Path, versions: set[int]) -> None:
        """What is published can be searched, and is of one of these versions."""
        try:
            said = self.ask(0, index)
        except IndexMissingError:
            return
        _hold(said.ids in {self.expected[version].ids for version in versions}, "it is of no version")

    def resumed(self, version: int, index: Path) -> None:
        """One more run, and it is equal to a clean build."""
        run_in_child(self.build(version, index))
        said = self.ask(version, index)
        _hold(said.ids == self.expected[version].ids, "other chunks than a clean build")
        _hold(said == self.expected[version], "other answers than a clean build")
        _hold(not [path for path in index.iterdir() if path.name.startswith(("work-", "gone-"))], "left behind")

    def kill(self) -> bool:
        """Kill -9 at a random moment of a run, perhaps twice; whether a run was hit."""
        before = self.rng.choice([None, *range(len(self.versions))])
        after = self.rng.choice([version for version in range(len(self.versions)) if version != before])
        options = {"rebuild": True} if before is not None and self.rng.random() < 0.2 else {}
        index = self.start(before)
        hit = False
        for _ in range(self.rng.choice([1, 1, 2])):
            try:
                run_in_child(self.build(after, index, **options), kill_after=self.rng.uniform(0, self.seconds))
            except Died as died:
                _hold(died.signal == signal.SIGKILL, str(died))
                hit = True
                self.seconds *= 1.1
            else:
                self.seconds *= 0.9  # it was done before: the next is killed sooner
            self.readable(index, {after} if before is None else {before, after})
        self.resumed(after, index)
        return hit

    def fail_embedder(self) -> int:
        """The embedder fails at its n-th call, for every n; how many there were."""
        call = 1
        while True:
            index = self.start(None)
            broken = HashEmbedder(fail_at=call)
            try:
                run_in_child(lambda broken=broken, index=index: build(self.versions[0], index, broken))
            except ConnectionError:
                pass
            else:
                return call - 1
            self.readable(index, {0, 1})
            self.resumed(0, index)
            call += 1

    def fail_writes(self, *, step: int = 1) -> int:
        """The n-th write that Python makes in the index folder fails, for every n; how many there were."""
        number = 1
        while True:
            index = self.start(1)
            try:
                failed = run_in_child(lambda number=number, index=index: _fail_at(self.build(0, index), index, number))
            except CervellaError as error:
                _hold(error.remedy, f"no cure: {error!r}")
                failed = True
            if not failed:
                return (number - 1) // step
            self.readable(index, {0, 1})
            self.resumed(0, index)
            number += step

    def fill_disk(self, *, limits: int) -> int:
        """No file can grow beyond a limit, SQLite's and Chroma's included; how many limits hurt."""
        hurt = 0
        for number in range(limits):
            index = self.start(self.rng.choice([None, 1]))
            limit = int(512 * 4096 ** (number / max(limits - 1, 1)))
            try:
                run_in_child(lambda limit=limit, index=index: _with_small_files(self.build(0, index), limit))
            except CervellaError as error:
                _hold(error.remedy, f"no cure: {error!r}")
                hurt += 1
            self.readable(index, {0, 1})
            self.resumed(0, index)
        return hurt

    def damage(self, *, rounds: int, every: int = 1) -> dict[str, int]:
        """Flip and cut bytes of every file of an index: each is detected, with a cure that cures, or does no harm."""
        count = {"detected": 0, "harmless": 0}
        pristine = self.start(1)
        run_in_child(self.build(0, pristine))  # two generations
        kept = self.where / "pristine"
        shutil.rmtree(kept, ignore_errors=True)
        os.replace(pristine, kept)
        files = sorted(path.relative_to(kept) for path in kept.rglob("*") if path.is_file() and path.stat().st_size)
        for name in files[::every]:
            for _ in range(rounds):
                index = self.where / "index"
                shutil.rmtree(index, ignore_errors=True)
                shutil.copytree(kept, index)
                self._hurt(index / name)
                count["detected" if self._detected(index, name) else "harmless"] += 1
        return count

    def _hurt(self, file: Path) -> None:
        data = bytearray(file.read_bytes())
        if self.rng.random() < 0.3:
            file.write_bytes(data[: self.rng.randrange(len(data))])
            return
        for _ in range(self.rng.choice([1, 1, 16])):
            data[self.rng.randrange(len(data))] ^= 1 << self.rng.randrange(8)
        file.write_bytes(data)

    def _detected(self, index: Path, name: Path) -> bool:
        try:
            _hold(self.ask(0, index) == self.expected[0], f"{name}: a silent difference")
            detected = False
        except (IndexDamagedError, IndexMissingError) as error:
            _hold(error.remedy, f"{name}: no cure")
            detected = True
        try:
            run_in_child(self.build(0, index))
        except IndexDamagedError as error:
            _hold("--rebuild" in (error.remedy or ""), f"{name}: no cure")
            run_in_child(self.build(0, index, rebuild=True))
        _hold(self.ask(0, index) == self.expected[0], f"{name}: not cured")
        return detected

    def two_writers(self) -> float:
        """While one writes, another is refused, with the first one's pid; the seconds that took."""
        index = self.start(None)
        gate, opened = os.pipe()
        first, result = start_child(
            lambda: build(self.versions[0], index, HashEmbedder(before=lambda: os.read(gate, 1) and None))
        )
        while not (index / "current").exists():  # the words are there: it is at the vectors, and waits
            time.sleep(0.02)
        started = time.perf_counter()
        try:
            run_in_child(self.build(1, index))
        except IndexLockedError as error:
            _hold(error.pid == first, f"{error.pid} is not {first}")
        else:
            raise Loss("two wrote at once")
        seconds = time.perf_counter() - started
        self.readable(index, {0})
        os.write(opened, b"." * 10_000)
        finish_child(first, result)
        os.close(gate)
        os.close(opened)
        self.resumed(0, index)
        return seconds

    def readers(self, *, switches: int) -> int:
        """Four processes search while one switches versions: no error, each answer of one version; how many answers."""
        index = self.start(0)
        done = self.where / "done"
        done.unlink(missing_ok=True)
        children = [start_child(lambda: self._read(index, done)) for _ in range(4)]
        for number in range(switches):
            run_in_child(self.build((number + 1) % len(self.versions), index))
        done.touch()
        return sum(finish_child(*child) for child in children)

    def _read(self, index: Path, done: Path) -> int:
        by_query = [{one.found[place] for one in self.expected} for place in range(len(QUERIES))]
        count = 0
        embedder = HashEmbedder() if self.embedder is None else self.embedder
        with HybridRetriever(index, folder=self.versions[0], embedder=embedder) as retriever:
            while not done.exists():
                place = count % len(QUERIES)
                reply = retriever.retrieve(QUERIES[place], top_k=8)
                ids = {one.id for one in reply.passages}
                _hold(any(ids <= one.ids for one in self.expected), "passages of two generations")
                if reply.coverage == 1.0:
                    said = tuple((one.id, one.text, round(one.score, 4)) for one in reply.passages)
                    _hold(said in by_query[place], "an answer of no version")
                count += 1
                time.sleep(0.005)
        return count


def _fail_at(work: Callable[[], None], index: Path, number: int) -> bool:
    """Do the work with the n-th write in a folder failing; whether there was an n-th."""
    count = 0
    inside = str(index)
    sync = os.fsync

    def strike(event: str = "") -> None:
        nonlocal count
        count += 1
        if count == number and event == "sqlite3.connect":
            raise sqlite3.OperationalError("unable to open database file")
        if count == number:
            raise OSError(errno.ENOSPC, "No space left on device")

    def watch(event: str, args: tuple[Any, ...]) -> None:
        makes = event in ("os.mkdir", "os.rename", "sqlite3.connect")
        writes = makes or (event == "open" and args[2] & (os.O_WRONLY | os.O_RDWR))
        if writes and str(args[0]).removeprefix("file://").startswith(inside):
            strike(event)

    def fsync(descriptor: int) -> None:
        strike()
        sync(descriptor)

    os.fsync = fsync
    sys.addaudithook(watch)
    work()
    return count >= number


def _with_small_files(work: Callable[[], None], limit: int) -> None:
    signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
    resource.setrlimit(resource.RLIMIT_FSIZE, (limit, limit))
    work()
