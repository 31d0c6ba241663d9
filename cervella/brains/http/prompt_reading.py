"""Finds out whether a server that takes no window with the question read the whole prompt, and whether it is Ollama.

Ollama also speaks the APIs of OpenAI and of Anthropic, in which a request can't say how large a window it needs: a
longer prompt is cut without a word, the soul first. Its own API runs beside them, and can be asked.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import Any

import anyio

from cervella.brains.http.clients import get_json, shown_url
from cervella.brains.http.failures import HttpFailures
from cervella.brains.http.ollama_server import window_given
from cervella.brains.http.prompt_meter import PromptMeter, is_full_window
from cervella.types import Message, Usage

_SECONDS = 2.0
"""For a question to Ollama's own API that is answered at once."""
_COUNTING_SECONDS = 60.0
_SAME, _SAME_TOKENS = 1.02, 8
"""Two counts of one prompt differ by less: the wires lay it out a little differently."""


class PromptReading:
    """Compares the tokens that a server reports with the prompt that was sent. `url` is the address of its API."""

    def __init__(self, url: str) -> None:
        self._root = url.removesuffix("/v1")
        self._meter = PromptMeter()
        self._is_ollama: bool | None = None

    def begins(self, fingerprint: Any) -> None:
        """Takes the fingerprint of an answer's first event; Ollama has one of its own."""
        if fingerprint == "fp_ollama":
            self._is_ollama = True

    def holds_back(self, messages: Sequence[Message], room: int) -> bool:
        """Whether an answer must wait for its token count: this server cuts, and may have cut this prompt."""
        return self._is_ollama is True and not self._meter.is_sure(messages, room)

    async def ends(
        self, client: Any, messages: Sequence[Message], usage: Usage, *, room: int, failures: HttpFailures
    ) -> None:
        """Raises PersonaTruncatedError where the tokens that the server read are not all of the messages."""
        seen, cached = usage.input_tokens, usage.cache_read_tokens or 0
        if seen is None:
            return
        reading = self._meter.reading(messages, seen, room, cached=cached)
        counted: int | None = None
        if reading != "whole" and await self._found_ollama(client):
            counted = await self._counted(client, failures.model, messages)
            reading = "whole" if counted is not None and counted <= seen * _SAME + _SAME_TOKENS else "cut"
        elif reading == "doubtful" and is_full_window(seen):
            reading = "cut"
        if reading == "cut":
            missed = counted or self._meter.missed(messages, seen)
            raise failures.cut(missed, seen, remedy=self._cure(failures.brain) if self._is_ollama else None)
        if self._is_ollama and not self._meter.is_sure(messages, room):
            running = await self._asked(client, "/api/ps")
            if given := window_given(running, failures.model):
                self._meter.loaded(given)
        if not any(message.images for message in messages):
            self._meter.learn(messages, seen)

    def check(self, failures: HttpFailures, *, key: str | None) -> None:
        """Raises where the server is Ollama, whose own API reads prompts whole."""
        import httpx2

        try:
            told = get_json(f"{self._root}/api/version", timeout=_SECONDS, key=key)
        except (httpx2.HTTPError, ValueError):
            return
        if _is_version(told):
            what = f"asks Ollama ({told['version']}) by another's API, where it cuts a prompt that is longer than its "
            raise failures.broken(f"{what}window, the soul first", self._cure(failures.brain), code="wrong_kind")

    def _cure(self, brain: str) -> str:
        return (
            f'Set kind = "ollama" and url = "{shown_url(self._root)}" in [brains.{brain}]: then the window is as large '
            "as the prompt needs it, and nothing is cut."
        )

    # Questions to Ollama's own API

    async def _found_ollama(self, client: Any) -> bool:
        if self._is_ollama is None:
            self._is_ollama = _is_version(await self._asked(client, "/api/version"))
        return self._is_ollama

    async def _asked(self, client: Any, path: str) -> Any:
        try:
            with anyio.fail_after(_SECONDS):
                return await client.get(f"{self._root}{path}", cast_to=object)
        except Exception:  # it need not have such a route
            return None

    async def _counted(self, client: Any, model: str, messages: Sequence[Message]) -> int | None:
        """The tokens of the messages: it refuses to cut them, or answers with one token and its count."""
        body = {
            "model": model,
            "messages": [{"role": message.role, "content": message.content} for message in messages],
            "truncate": False,
            "stream": False,
            "options": {"num_predict": 1},
        }
        try:
            with anyio.fail_after(_COUNTING_SECONDS):
                told = await client.post(f"{self._root}/api/chat", body=body, cast_to=object)
            count = told.get("prompt_eval_count")
        except Exception as error:
            count = _prompt_tokens(getattr(error, "body", None))
        return count if isinstance(count, int) and count > 0 else None


def _is_version(told: Any) -> bool:
    return isinstance(told, dict) and isinstance(told.get("version"), str)


def _prompt_tokens(body: Any) -> Any:
    """The prompt's tokens, as an error names them: in an object, or in a JSON text inside one."""
    for _ in range(4):
        if isinstance(body, str):
            try:
                body = json.loads(body)
            except ValueError:
                return None
        if not isinstance(body, dict):
            return None
        if "n_prompt_tokens" in body:
            return body["n_prompt_tokens"]
        body = body.get("error")
    return None
