"""Loads the soul's KV state into the engine's slots before a question: from a file, or computed and saved once.

The soul is the system prompt, and the state is the one after its last token. These tokens are found as the common
beginning of two rendered prompts that have only the soul in common.

The name of a slot file contains a hash of everything that the state depends on, and the digest of the file's bytes. The
engine may abort the process on an invalid file, so it only gets files whose digest is correct. A file gets its final
name when it is complete.
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

from cervella.process.files import draft_of, make_private_folder, open_regular, put_in_place

if TYPE_CHECKING:
    from cervella.brains.embedded.engine import Engine

_logger = logging.getLogger("cervella")
_TURN_SECONDS = 0.05
"""Seconds between two attempts to get the lock `Engine.turn`."""
_OTHER_QUESTIONS = ("Ciao", "42?")
"""Two questions that begin with different tokens: two prompts with the same soul then have nothing else in common, so
their common beginning is the tokens of the soul."""
_FAILURES = (httpx2.HTTPError, OSError, ValueError, KeyError, TypeError)
_SUFFIX = ".slot"
_MOST_FILES = 4
"""Maximum number of slot files in a folder. A soul of 1,500 tokens has 34 MB with a model of 135 million parameters,
and about 220 MB with one of 4 billion."""
_HEAD = struct.Struct("<4s2I")
_MAGIC = b"qsgg"
_MARKER = (-1, 1)
_MOST_EXTRA_WORDS = 8
"""Maximum number of 32-bit words that the engine writes into a slot file besides the tokens: a marker, a version, a
count, and zeros at the end."""


class Warmth:
    """Loads the KV states of souls into an engine, and keeps them as files in one folder."""

    def __init__(self, folder: Path) -> None:
        self._files = SlotFiles(folder)

    async def warm(self, engine: Engine, soul: str, template: Mapping[str, Any]) -> int:
        """Load the soul's state into a slot. Returns the number of tokens that had to be computed for it; 0 if none.

        `template` are the arguments of the chat template. Raises no error: after a failure the engine computes the soul
        as a part of the question's prompt.
        """
        fingerprint = hashlib.sha256(soul.encode("utf-8", "replace")).hexdigest()
        key = slot_key({**engine.facts, "soul": fingerprint, "template": dict(template)})
        if key in engine.souls:
            return 0
        while not engine.turn.acquire(blocking=False):  # concurrent first questions wait for the one that loads
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
            _logger.info("the soul's state could not be loaded or saved: %s", error)
            engine.warmed(slots, key)  # no further attempt at the next questions
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
                raise OSError("the engine could not write the file: the disk may be full")
            kept = await anyio.to_thread.run_sync(self._files.keep, path, key, tokens)
        if kept is not None:
            for slot in slots[1:]:
                await server.restore(kept, slot)


async def forget(engine: Engine) -> None:
    """Erase all slots, so that the next prompt finds no earlier question in the cache.

    A failure is only logged: a repeatable engine has the same results with a filled cache.
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
    """Sends requests about slots to llama.cpp's server. A slot contains the KV state of one prompt."""

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
        """Let the engine read a prompt in a slot and generate nothing, so that the slot contains the prompt's KV state.

        Returns the number of tokens that were computed: not those that were in the slot before.
        """
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
    """The JSON of a request's body in UTF-8; a lone surrogate becomes "?"."""
    return json.dumps(body, ensure_ascii=False).encode("utf-8", "replace")


def slot_key(facts: Mapping[str, Any]) -> str:
    """A hash of `facts`, which are all that a KV state depends on: 24 hexadecimal digits for the name of its file."""
    return hashlib.sha256(json.dumps(facts, sort_keys=True, default=str).encode()).hexdigest()[:24]


@dataclass(frozen=True, slots=True)
class SlotFiles:
    """The slot files in one folder, which is private to this user. Invalid files are deleted without an error."""

    folder: Path

    def find(self, key: str) -> Path | None:
        """The file for this key whose digest is correct; None if there is none. Reads the whole file, and deletes wrong
        ones."""
        for path in sorted(self.folder.glob(f"{key}-*{_SUFFIX}")):
            with contextlib.suppress(OSError):
                if path.name == self._name(key, path):
                    os.utime(path)  # the least recently used files are deleted first
                    return path
            self.remove(path)
        return None

    @contextlib.contextmanager
    def new(self) -> Iterator[Path]:
        """A new empty file, which is deleted afterwards unless `keep` renamed it. Raises OSError if it can't be
        created."""
        make_private_folder(self.folder)
        with draft_of(self.folder / "state") as path:
            yield path

    def keep(self, path: Path, key: str, tokens: Sequence[int]) -> Path | None:
        """Rename the file `path` to its final name, and return this name.

        Returns None, and renames nothing, if the file contains other tokens than `tokens`, those of the soul. Raises
        OSError if the file can't be read or renamed.
        """
        if not _holds_only(path, tokens):
            return None
        kept = self.folder / self._name(key, path)
        put_in_place(path, kept, durable=False)  # after a crash an incomplete file has another digest
        self._prune()
        return kept

    def remove(self, path: Path) -> None:
        with contextlib.suppress(OSError):
            path.unlink()

    def _name(self, key: str, path: Path) -> str:
        with open_regular(path) as file:
            return f"{key}-{hashlib.file_digest(file, 'sha256').hexdigest()[:32]}{_SUFFIX}"

    def _prune(self) -> None:
        with contextlib.suppress(OSError):
            files = sorted(self.folder.glob(f"*{_SUFFIX}"), key=lambda path: path.stat().st_mtime, reverse=True)
            for path in files[_MOST_FILES:]:
                self.remove(path)


def _holds_only(path: Path, tokens: Sequence[int]) -> bool:
    """Whether a slot file contains only these tokens: it must not contain a passage or a question."""
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
    marked = words[:3] == (*_MARKER, len(tokens)) and words[3 : 3 + len(tokens)] == tuple(tokens)
    return plain or (marked and not any(words[3 + len(tokens) :]))
