"""The soul in the engine's slots before the first question: read from a file, or computed once and written to one.

The state that is written is the one after the system prompt alone. Which tokens those are is read off the model's own
template: the common beginning of two prompts that share nothing but the soul.

A slot file is named by what it was computed for and by its own digest. The engine trusts what it loads, and may abort
the process on a file that is not its own: so none is handed to it whose digest is not in its name. A name is given by
one rename, so a file is there whole or not at all.
"""

from __future__ import annotations

import contextlib
import hashlib
import json
import logging
import os
import struct
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import takewhile
from pathlib import Path
from typing import TYPE_CHECKING, Any

import anyio
import anyio.to_thread
import httpx2

from cervella.process.files import draft_of, make_private_folder, put_in_place

if TYPE_CHECKING:
    from cervella.brains.embedded.engine import Engine

_logger = logging.getLogger("cervella")
_TURN_SECONDS = 0.05
_OTHER_QUESTIONS = ("Ciao", "42?")
"""Two that begin with different tokens."""
_FAILURES = (httpx2.HTTPError, OSError, ValueError, KeyError, TypeError)
_SUFFIX = ".slot"
_MOST_FILES = 4
"""A soul of 1,500 tokens takes 34 MB under a model of 135 million parameters, some 220 MB under one of 4 billion."""
_HEAD = struct.Struct("<4s2I")
_MAGIC = b"qsgg"
_MARK = (-1, 1)
_MOST_EXTRA_WORDS = 8
"""Of its own that the engine writes around the tokens: marker, version, count before them, noughts behind."""


class Warmth:
    """Keeps the state of souls in one folder."""

    def __init__(self, folder: Path) -> None:
        self._files = SlotFiles(folder)

    async def warm(self, engine: Engine, soul: str, template: Mapping[str, Any]) -> int:
        """See that the soul is in a slot. Gives how many tokens had to be computed for it now.

        It raises nothing but what cancels it: where files fail, the question is answered cold.
        """
        fingerprint = hashlib.sha256(soul.encode("utf-8", "replace")).hexdigest()
        key = slot_key({**engine.facts, "soul": fingerprint, "template": dict(template)})
        if key in engine.souls:
            return 0
        while not engine.turn.acquire(blocking=False):  # of several first questions one warms, the others profit
            await anyio.sleep(_TURN_SECONDS)
        computed = 0
        try:
            if key not in engine.souls:
                slots = engine.next_slots()
                async with engine.client() as client:
                    server = _Slots(client, engine)
                    if not await self._restored(server, key, slots):
                        tokens = await server.soul_tokens(soul, template)
                        computed = await server.compute(tokens, slots[0])
                        await self._save(server, key, slots, tokens)
                engine.warmed(slots, key)
        except _FAILURES as error:
            _logger.info("the soul's state was neither read nor written: %s", error)
            engine.warmed(slots, key)  # not tried again at every question
        finally:
            engine.turn.release()
        return computed

    async def _restored(self, server: _Slots, key: str, slots: range) -> bool:
        path = await anyio.to_thread.run_sync(self._files.find, key)
        if path is None:
            return False
        done = [await server.restore(path, slot) for slot in slots]
        if not all(done):
            self._files.remove(path)
        return all(done)

    async def _save(self, server: _Slots, key: str, slots: range, tokens: list[int]) -> None:
        with self._files.new() as path:
            if not await server.save(path, slots[0]):
                raise OSError("the engine could not write it: is the disk full?")
            kept = await anyio.to_thread.run_sync(self._files.keep, path, key, tokens)
        if kept is not None:
            for slot in slots[1:]:
                await server.restore(kept, slot)


async def forget(engine: Engine) -> None:
    """Empty every slot: the next prompt finds what a soul's file holds, and nothing that was asked before.

    Where it fails the answer is given all the same: a repeatable engine computes the same numbers from a warm slot.
    """
    while not engine.turn.acquire(blocking=False):
        await anyio.sleep(_TURN_SECONDS)
    try:
        async with engine.client() as client:
            server = _Slots(client, engine)
            for slot in range(len(engine.souls)):
                await server.erase(slot)
                engine.souls[slot] = None
    except _FAILURES as error:
        _logger.info("the engine's slots were not emptied: %s", error)
    finally:
        engine.turn.release()


class _Slots:
    """What llama.cpp's server says and does about its slots."""

    def __init__(self, client: httpx2.AsyncClient, engine: Engine) -> None:
        self._client = client
        self._engine = engine

    async def soul_tokens(self, soul: str, template: Mapping[str, Any]) -> list[int]:
        one, other = [await self._tokens(soul, question, template) for question in _OTHER_QUESTIONS]
        return [mine for mine, _ in takewhile(lambda pair: pair[0] == pair[1], zip(one, other, strict=False))]

    async def _tokens(self, soul: str, question: str, template: Mapping[str, Any]) -> list[int]:
        messages = [{"role": "system", "content": soul}, {"role": "user", "content": question}]
        text = await self._post("/apply-template", messages=messages, chat_template_kwargs=dict(template))
        found = await self._post("/tokenize", content=text["prompt"], add_special=True, parse_special=True)
        return list(found["tokens"])

    async def compute(self, tokens: list[int], slot: int) -> int:
        """Read a prompt and answer nothing. A caller who leaves stops it within a batch."""
        body = {"prompt": tokens, "n_predict": 0, "id_slot": slot, "stream": True, "return_progress": True}
        computed = 0
        async with self._client.stream("POST", "/completion", content=json_bytes(body)) as response:
            response.raise_for_status()
            async for line in response.aiter_lines():
                if line.startswith("data: {"):
                    event = json.loads(line.removeprefix("data: "))
                    if "error" in event:
                        raise ValueError(event["error"])
                    computed = event.get("timings", {}).get("prompt_n", computed)
        return int(computed)

    async def save(self, path: Path, slot: int) -> bool:
        with self._engine.link(path) as name:
            done = await self._post(f"/slots/{slot}?action=save", filename=name)
        return bool(0 < done["n_written"] == path.stat().st_size)

    async def restore(self, path: Path, slot: int) -> bool:
        with self._engine.link(path) as name, contextlib.suppress(*_FAILURES):
            return bool((await self._post(f"/slots/{slot}?action=restore", filename=name))["n_restored"])
        return False

    async def erase(self, slot: int) -> None:
        await self._post(f"/slots/{slot}?action=erase")

    async def _post(self, url: str, **body: Any) -> dict[str, Any]:
        response = await self._client.post(url, content=json_bytes(body))
        if response.status_code != httpx2.codes.OK:
            raise ValueError(f"the engine answered {response.status_code} to {url}")
        found: dict[str, Any] = response.json()
        return found


def json_bytes(body: Mapping[str, Any]) -> bytes:
    """A request's body; half a surrogate pair becomes a "?"."""
    return json.dumps(body, ensure_ascii=False).encode("utf-8", "replace")


def slot_key(facts: Mapping[str, Any]) -> str:
    """One short name for everything that makes two KV states the same."""
    return hashlib.sha256(json.dumps(facts, sort_keys=True, default=str).encode()).hexdigest()[:24]


@dataclass(frozen=True, slots=True)
class SlotFiles:
    """The slot files of one folder, private to this user. Damaged and foreign ones are thrown away, never an error."""

    folder: Path

    def find(self, key: str) -> Path | None:
        """The sound file of this key; None where there is none. Reads it whole."""
        for path in sorted(self.folder.glob(f"{key}-*{_SUFFIX}")):
            with contextlib.suppress(OSError):
                if path.name == self._name(key, path):
                    os.utime(path)  # the last used are the last to go
                    return path
            self.remove(path)
        return None

    @contextlib.contextmanager
    def new(self) -> Iterator[Path]:
        """An empty file to write into; gone afterwards if it was not kept. Raises OSError."""
        make_private_folder(self.folder)
        with draft_of(self.folder / "state") as path:
            yield path

    def keep(self, path: Path, key: str, tokens: Sequence[int]) -> Path | None:
        """Give a written file its name, if it holds these tokens and no others. Raises OSError."""
        if not _holds_only(path, tokens):
            return None
        kept = self.folder / self._name(key, path)
        put_in_place(path, kept, durable=False)  # one that a crash cuts short has not its digest
        self._prune()
        return kept

    def remove(self, path: Path) -> None:
        with contextlib.suppress(OSError):
            path.unlink()

    def _name(self, key: str, path: Path) -> str:
        with path.open("rb") as file:
            return f"{key}-{hashlib.file_digest(file, 'sha256').hexdigest()[:32]}{_SUFFIX}"

    def _prune(self) -> None:
        with contextlib.suppress(OSError):
            files = sorted(self.folder.glob(f"*{_SUFFIX}"), key=lambda path: path.stat().st_mtime, reverse=True)
            for path in files[_MOST_FILES:]:
                self.remove(path)


def _holds_only(path: Path, tokens: Sequence[int]) -> bool:
    """Whether the head of a slot file lists these tokens and no others: no passage and no question may be in it."""
    with path.open("rb") as file:
        head = file.read(_HEAD.size)
        if len(head) < _HEAD.size:
            return False
        magic, _, count = _HEAD.unpack(head)
        if magic != _MAGIC or not 0 <= count - len(tokens) <= _MOST_EXTRA_WORDS:
            return False
        listed = file.read(4 * count)
    if len(listed) < 4 * count:
        return False
    words = struct.unpack(f"<{count}i", listed)
    plain = words == tuple(tokens)
    marked = words[:3] == (*_MARK, len(tokens)) and words[3 : 3 + len(tokens)] == tuple(tokens)
    return plain or (marked and not any(words[3 + len(tokens) :]))
