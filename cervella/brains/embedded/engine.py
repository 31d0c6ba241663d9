"""Loads a model and answers requests with it: llama.cpp's own server runs inside this process, through xllamacpp.

These facts were measured with xllamacpp 2026.10 and SmolLM2-135M on two cores:

- The server always listens on a loopback port. Its port and its key are random.
- The server notices a closed request after each batch of the prompt, but only if the request asks for progress.
  Otherwise it checks once a second, and never while another request runs.
- Flash attention computes batches of 64 tokens or more in another order than smaller ones, and also a single token
  after about 500 others if keys and values have 16 or 32 bits. Therefore the text for one prompt at temperature 0 can
  depend on the part of the prompt that was in the prefix cache. With batches of 32 tokens and values in bfloat16 all
  results are bit-identical. The option `repeatable` sets this, and prompts are then read at a third of the speed.
  Without flash attention, the results for a single token differ at any length.
- A forked child has none of the server's threads, so that a request there would never be answered.
- Loading holds the interpreter's lock, so that no other Python thread runs.
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
"""Tokens in a batch. A cancelled request stops at the end of a batch."""
_REPEATABLE_BATCH_TOKENS = 32
"""Tokens in a batch that is small enough for bit-identical results."""
_HTTP_THREADS = 32
_SILENCE_SECONDS = 600.0
_CONNECT_SECONDS = 10.0


class EngineFailure(Exception):
    """The engine could not load a model, although the head of its file is valid."""


class ForkedError(EngineFailure):
    """This process was forked after its parent had loaded a model: it can't use that model or load another.

    Such a process must end by os._exit, like those of multiprocessing: llama.cpp's exit handler would wait for threads
    that do not exist in it.
    """


@dataclass(frozen=True, slots=True, kw_only=True)
class EngineOptions:
    """The options of an engine. Brains with equal options share one engine."""

    path: str
    """Absolute path of the GGUF file."""
    context_tokens: int
    """The window of one request, for prompt and answer together."""
    parallel: int
    """The number of requests that are answered at the same time, each with its own window."""
    threads: int | None
    """Number of CPU threads; None for one thread per physical core."""
    repeatable: bool = False
    """Whether results are bit-identical for the same prompt, independent of earlier prompts."""

    @property
    def batch_tokens(self) -> int:
        return _REPEATABLE_BATCH_TOKENS if self.repeatable else _BATCH_TOKENS


class Engine:
    """A loaded model. It is unloaded when it is no longer referenced, and at exit."""

    def __init__(self, options: EngineOptions) -> None:
        self._key = secrets.token_urlsafe(32)
        spellings = sorted(read_control_tokens(options.path), key=len, reverse=True)
        self.control_tokens = re.compile("|".join(map(re.escape, spellings)) or "(?!)")
        """Finds the model's control tokens, which the engine obeys in any text; matches nothing if the model has
        none."""
        file = os.stat(options.path)
        model = {"path": os.path.basename(options.path), "bytes": file.st_size, "written": file.st_mtime_ns}
        self.facts = {**asdict(options), **model, "batch": options.batch_tokens, "engine": version("xllamacpp")}
        """Everything that influences the engine's results: its options, the model file and the version of xllamacpp."""
        self.souls: list[str | None] = [None] * options.parallel
        """For each slot (the place of one request in the engine) the key of the soul that was last loaded into it, else
        None."""
        self.turn = threading.Lock()
        """The lock that is held while a soul's state is loaded into slots, or while slots are erased."""
        self._last = -1
        self._links = tempfile.mkdtemp(prefix="cervella-")
        server = _start(options, self._key, self._links)
        self.url: str = server.listening_address
        # A server that is alive at exit with a running request crashes the process: only the finalizer may own it.
        weakref.finalize(self, _stop, [server], os.getpid(), self._links)

    def client(self) -> httpx2.AsyncClient:
        """A new HTTP client for one request to the engine. Closing the client stops the work on the request."""
        import httpx2

        return httpx2.AsyncClient(
            base_url=self.url,
            headers={"Authorization": f"Bearer {self._key}"},
            timeout=httpx2.Timeout(_SILENCE_SECONDS, connect=_CONNECT_SECONDS),
            # After a stream the server may close a connection at the moment at which it is used again.
            limits=httpx2.Limits(max_keepalive_connections=0),
            trust_env=False,  # traffic within this machine must not pass through a proxy
            verify=False,
        )

    def next_slots(self) -> range:
        """The numbers of the slots for the state of a new soul: all slots for the first soul, then one slot in turn."""
        if not any(self.souls):
            return range(len(self.souls))
        self._last = (self._last + 1) % len(self.souls)
        return range(self._last, self._last + 1)

    def warmed(self, slots: range, soul: str) -> None:
        for slot in slots:
            self.souls[slot] = soul

    @contextmanager
    def link(self, path: Path) -> Iterator[str]:
        """Make a temporary link to a file in the server's own folder, and yield the name of the link.

        The server reads and writes files only in that folder.
        """
        link = Path(self._links) / secrets.token_hex(8)
        link.symlink_to(path.absolute())
        try:
            yield link.name
        finally:
            link.unlink(missing_ok=True)


def _start(options: EngineOptions, key: str, links: str) -> Any:
    xllamacpp = _import()
    params = xllamacpp.CommonParams()
    params.model.path = options.path
    params.model_alias = {os.path.basename(options.path)}
    params.hostnames = ["127.0.0.1"]
    params.port = 0
    params.api_keys = [key]
    params.n_threads_http = _HTTP_THREADS
    params.sse_ping_interval = 1  # seconds; unloading waits as long for a request that was just closed
    params.n_parallel = options.parallel
    params.n_ctx = options.context_tokens * options.parallel
    params.n_batch = params.n_ubatch = options.batch_tokens
    params.cache_ram_mib = 0  # the slot keeps the common prefix; a cache of old prompts would take up to 8 GB
    params.ui = params.endpoint_slots = False
    params.slot_save_path = f"{links}/"
    if options.repeatable and not any("GPU" in str(device["type"]) for device in xllamacpp.get_device_info()):
        params.cache_type_v = xllamacpp.ggml_type.GGML_TYPE_BF16  # on a GPU, keys and values must have one type
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
    """Wait until the server's main loop runs, by a request that only this loop answers: erasing an empty slot.

    xllamacpp returns the server just before its main loop starts. A server that is destroyed before this never stops,
    and the destroying thread waits for it forever while it holds the interpreter's lock.
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
        immortal(held[0])  # destroying the object in a forked child, without its threads, would crash
    else:
        shutil.rmtree(links, ignore_errors=True)
    held.clear()


# The only global state of the package: weights are too large to be loaded for each brain.
_engines: weakref.WeakValueDictionary[EngineOptions, Engine] = weakref.WeakValueDictionary()
_threads = LibraryThreads()
_loading = ForkLock()


def engine_for(options: EngineOptions) -> Engine:
    """The shared engine with these options. Loads it if necessary, and blocks until it is loaded.

    Raises ForkedError in a forked child of a process with an engine, ImportError without xllamacpp, OSError or
    GgufError for a fault of the file, and EngineFailure for other failures.
    """
    with _loading:
        check_fork()
        engine = _engines.get(options)
        if engine is None:
            engine = _engines[options] = Engine(options)
            _threads.started()
        return engine


def check_fork() -> None:
    """Raise ForkedError in a forked child of a process that has loaded an engine."""
    if _threads.lost:
        raise ForkedError
