"""One model in memory: llama.cpp's own server inside this process, through xllamacpp.

What follows was measured on xllamacpp 2026.10 and SmolLM2-135M, on two cores.

- The server listens on a loopback port whether it is wanted or not. The port is random, and so is the key it asks for.
- A request that is closed while its prompt is read is noticed at the next batch, and only because progress is asked
  for: without it the server looks once a second, and not at all while another request keeps it busy.
- Flash attention takes another way through the numbers in batches of 64 tokens or more, and for a single token behind
  some 500 others where keys and values are of 16 or 32 plain bits: the same prompt at temperature 0 can give another
  text when another part of it was in the prefix cache. In batches of 32, and with values in bfloat16, every number is
  the same to the last bit: that is what `repeatable` asks for, and prompts are then read at a third of the speed.
  Without flash attention a single token is apart at any length.
- A forked child has none of its threads: what it asked for would never come.
- Loading holds the interpreter's lock: no Python thread runs meanwhile.
"""

from __future__ import annotations

import contextlib
import http.client
import importlib
import os
import re
import secrets
import shutil
import tempfile
import threading
import weakref
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from importlib.metadata import version
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

from cervella.brains.embedded.gguf import read_control_tokens
from cervella.process.forks import ForkLock, LibraryThreads, immortal
from cervella.process.openmp import short_spin

if TYPE_CHECKING:
    import httpx2

_BATCH_TOKENS = 512
"""Read at once: an answer that nobody waits for any more ends after as many."""
_REPEATABLE_BATCH_TOKENS = 32
"""Few enough for the same prompt to give the same numbers."""
_HTTP_THREADS = 32
_SILENCE_SECONDS = 600.0
_CONNECT_SECONDS = 10.0


class EngineFailure(Exception):
    """The engine can't load a model whose file looks sound."""


class ForkedError(EngineFailure):
    """This process was forked from one that holds a model: it can neither ask that one nor load another.

    Such a process must end by os._exit, as those of multiprocessing do: llama.cpp's own exit waits for threads that it
    does not have.
    """


@dataclass(frozen=True, slots=True, kw_only=True)
class EngineOptions:
    """What makes two engines the same one."""

    path: str
    """Absolute."""
    context_tokens: int
    """Of one request."""
    parallel: int
    """Requests answered at once; each has a window of its own."""
    threads: int | None
    """None: one for each physical core."""
    repeatable: bool = False
    """Whether the same prompt gives the same numbers whatever was asked before, at a third of the reading speed."""

    @property
    def batch_tokens(self) -> int:
        return _REPEATABLE_BATCH_TOKENS if self.repeatable else _BATCH_TOKENS


class Engine:
    """A loaded model. It is unloaded when nobody holds it any more, and at exit in any case."""

    def __init__(self, options: EngineOptions) -> None:
        self._key = secrets.token_urlsafe(32)
        spellings = sorted(read_control_tokens(options.path), key=len, reverse=True)
        self._control = re.compile("|".join(map(re.escape, spellings))) if spellings else None
        file = os.stat(options.path)
        model = {"path": os.path.basename(options.path), "bytes": file.st_size, "written": file.st_mtime_ns}
        self.facts = {**asdict(options), **model, "batch": options.batch_tokens, "engine": version("xllamacpp")}
        """What decides about the numbers that it computes."""
        self.souls: list[str | None] = [None] * options.parallel
        """For each slot, the soul that was brought there last."""
        self.turn = threading.Lock()
        """Held while a soul is brought into a slot."""
        self._last = -1
        self._links = tempfile.mkdtemp(prefix="cervella-")
        server = _start(options, self._key, self._links)
        self.url: str = server.listening_address
        # Alive at exit with a request under way, the server brings the process down. It must be the holder's alone.
        weakref.finalize(self, _stop, [server], os.getpid(), self._links)

    def client(self) -> httpx2.AsyncClient:
        """A client for one request: closing it is what stops the engine, and it is bound to one event loop."""
        import httpx2

        return httpx2.AsyncClient(
            base_url=self.url,
            headers={"Authorization": f"Bearer {self._key}"},
            timeout=httpx2.Timeout(_SILENCE_SECONDS, connect=_CONNECT_SECONDS),
            # After a stream the server may close a connection in the moment in which it is used again.
            limits=httpx2.Limits(max_keepalive_connections=0),
            trust_env=False,  # a proxy for the rest of the world must not see this
            verify=False,
        )

    def next_slots(self) -> range:
        """The slots that a new soul goes to: all of them the first time, then one after the other."""
        if not any(self.souls):
            return range(len(self.souls))
        self._last = (self._last + 1) % len(self.souls)
        return range(self._last, self._last + 1)

    def warmed(self, slots: range, soul: str) -> None:
        for slot in slots:
            self.souls[slot] = soul

    @contextmanager
    def link(self, path: Path) -> Iterator[str]:
        """A name that the server knows a file by: it reads and writes in one folder of its own only."""
        link = Path(self._links) / secrets.token_hex(8)
        link.symlink_to(path.absolute())
        try:
            yield link.name
        finally:
            link.unlink(missing_ok=True)

    def defuse(self, text: str) -> tuple[str, int]:
        """The text with the model's control tokens broken by a zero-width space, and how many there were.

        The engine obeys them wherever they stand: a document that holds `<|im_end|>` could speak as the system.
        """
        if self._control is None:
            return text, 0
        return self._control.subn(lambda found: f"{found[0][0]}\u200b{found[0][1:]}", text)


def _start(options: EngineOptions, key: str, links: str) -> Any:
    xllamacpp = _import()
    params = xllamacpp.CommonParams()
    params.model.path = options.path
    params.model_alias = {os.path.basename(options.path)}
    params.hostnames = ["127.0.0.1"]
    params.port = 0
    params.api_keys = [key]
    params.n_threads_http = _HTTP_THREADS
    params.sse_ping_interval = 1  # also how long unloading waits for a request that was just left
    params.n_parallel = options.parallel
    params.n_ctx = options.context_tokens * options.parallel
    params.n_batch = params.n_ubatch = options.batch_tokens
    params.cache_ram_mib = 0  # the common prefix stays in the slot; copies of old prompts would take up to 8 GB
    params.ui = params.endpoint_slots = False
    params.slot_save_path = f"{links}/"
    if options.repeatable and not any("GPU" in str(device["type"]) for device in xllamacpp.get_device_info()):
        params.cache_type_v = xllamacpp.ggml_type.GGML_TYPE_BF16  # a graphics card wants keys and values of one kind
    params.verbosity = -1
    if options.threads is not None:
        params.cpuparams.n_threads = params.cpuparams_batch.n_threads = options.threads
    try:
        server = xllamacpp.Server(params)
    except RuntimeError as error:
        raise EngineFailure(str(error)) from error
    _wait_until_it_works(server.listening_address, key)
    return server


def _wait_until_it_works(url: str, key: str) -> None:
    """Have it empty a slot that is empty, which its main loop answers and nobody else.

    A server is handed out just before that loop begins. Destroyed in between, it forgets that it was told to stop: who
    destroys it then waits for the loop for ever, and holds the interpreter's lock meanwhile.
    """
    address = urlsplit(url)
    connection = http.client.HTTPConnection(address.hostname or "127.0.0.1", address.port, timeout=_CONNECT_SECONDS)
    with contextlib.closing(connection), contextlib.suppress(OSError, http.client.HTTPException):
        connection.request("POST", "/slots/0?action=erase", headers={"Authorization": f"Bearer {key}"})
        connection.getresponse().read()


def _import() -> Any:
    with short_spin():
        return importlib.import_module("xllamacpp")


def _stop(held: list[Any], pid: int, links: str) -> None:
    if os.getpid() != pid:
        immortal(held[0])  # a forked child has the object but none of its threads: to destroy it there is a crash
    else:
        shutil.rmtree(links, ignore_errors=True)
    held.clear()


# The one thing of this package that a process shares: weights are too large to be held once for each brain.
_engines: weakref.WeakValueDictionary[EngineOptions, Engine] = weakref.WeakValueDictionary()
_threads = LibraryThreads()
_loading = ForkLock()


def engine_for(options: EngineOptions) -> Engine:
    """The engine of these options, loaded where this process does not have it. Blocks while it loads.

    Raises ForkedError in a child of a process that has loaded one, ImportError without xllamacpp, OSError and GgufError
    for the file, EngineFailure for the rest.
    """
    with _loading:
        check_fork()
        engine = _engines.get(options)
        if engine is None:
            engine = _engines[options] = Engine(options)
            _threads.started()
        return engine


def check_fork() -> None:
    """Raises ForkedError in a child of a process that has loaded an engine."""
    if _threads.lost:
        raise ForkedError
