"""Finds out whether a server read the whole prompt, where a request can't set the window.

Ollama also speaks the APIs of OpenAI and Anthropic. In these a request can't set the size of the window, and Ollama
silently cuts a prompt that is longer than the window: the soul (the system prompt) is lost first. Ollama's own API on
the same server can count the tokens of a prompt, and reports the size of the window.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import Any

import anyio

from cervella.brains.http.clients import get_json, shown_url
from cervella.brains.http.failures import HttpFailures
from cervella.brains.http.ollama_server import loaded_window
from cervella.brains.http.prompt_meter import PromptMeter, is_full_window
from cervella.types import Message, Usage

_SECONDS = 2.0
"""Timeout of a request that Ollama answers at once."""
_COUNTING_SECONDS = 60.0
"""Timeout of a request that counts tokens."""
_SAME, _SAME_TOKENS = 1.02, 8
"""A prompt was read whole if Ollama's own count of it is at most this factor times the reported count, plus this number
of tokens: the two APIs render a prompt slightly differently."""


class PromptReading:
    """Compares the token counts of one server with the prompts that were sent to it. `url` is its API's address."""

    def __init__(self, url: str) -> None:
        self._root = url.removesuffix("/v1")
        self._meter = PromptMeter()
        self.is_ollama: bool | None = None
        """Whether the server is Ollama; None while this is unknown."""

    def holds_back(self, messages: Sequence[Message], room: int) -> bool:
        """Whether the answer must wait for its token count, because this server may have cut the prompt."""
        return self.is_ollama is True and not self._meter.is_sure(messages, room)

    async def ends(
        self, client: Any, messages: Sequence[Message], usage: Usage, *, room: int, failures: HttpFailures
    ) -> None:
        """Raise PersonaTruncatedError if the server's token count shows that it read only a part of the messages.

        `usage` contains the count; without one nothing is checked. `room` is the maximum length of the answer, in
        tokens.
        """
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
            tokens = counted or self._meter.fewest_tokens(messages, seen)
            raise failures.cut(tokens, seen, remedy=self._cure(failures.brain) if self.is_ollama else None)
        if self.is_ollama and not self._meter.is_sure(messages, room):
            window = loaded_window(await self._get(client, "/api/ps"), failures.model)
            self._meter.loaded_window = window or self._meter.loaded_window
        if not any(message.images for message in messages):
            self._meter.learn(messages, seen)

    def check(self, failures: HttpFailures, *, key: str | None) -> None:
        """Raise BrainResponseError if the server is Ollama, which reads prompts whole only through its own API.

        A server that does not answer raises nothing here.
        """
        import httpx2

        try:
            response = get_json(f"{self._root}/api/version", timeout=_SECONDS, key=key)
        except (httpx2.HTTPError, ValueError):
            return
        if _is_version(response):
            problem = (
                f"uses Ollama ({response['version']}) through an API in which it cuts a prompt that is longer than "
            )
            raise failures.broken(f"{problem}its window, the soul first", self._cure(failures.brain), code="wrong_kind")

    def _cure(self, brain: str) -> str:
        return (
            f'Set kind = "ollama" and url = "{shown_url(self._root)}" in [brains.{brain}]: then the window is as large '
            "as the prompt needs it, and nothing is cut."
        )

    async def _found_ollama(self, client: Any) -> bool:
        if self.is_ollama is None:
            self.is_ollama = _is_version(await self._get(client, "/api/version"))
        return self.is_ollama

    async def _get(self, client: Any, path: str) -> Any:
        """The JSON of a GET to Ollama's own API; None for any failure, because the server need not be Ollama."""
        try:
            with anyio.fail_after(_SECONDS):
                return await client.get(f"{self._root}{path}", cast_to=object)
        except Exception:
            return None

    async def _counted(self, client: Any, model: str, messages: Sequence[Message]) -> int | None:
        """The number of tokens of the messages, as Ollama counts them; None if it reports no count.

        The request forbids Ollama to cut the messages and asks for one token of answer: Ollama either refuses messages
        that are too long, with their count in the error, or reads them all and reports the count.
        """
        body = {
            "model": model,
            "messages": [{"role": message.role, "content": message.content} for message in messages],
            "truncate": False,
            "stream": False,
            "options": {"num_predict": 1},
        }
        try:
            with anyio.fail_after(_COUNTING_SECONDS):
                response = await client.post(f"{self._root}/api/chat", body=body, cast_to=object)
            count = response.get("prompt_eval_count")
        except Exception as error:
            count = _prompt_tokens(getattr(error, "body", None))
        return count if isinstance(count, int) and count > 0 else None


def _is_version(response: Any) -> bool:
    return isinstance(response, dict) and isinstance(response.get("version"), str)


def _prompt_tokens(body: Any) -> Any:
    """The value of `n_prompt_tokens` in the body of an error, which may contain JSON texts in objects; None if it has
    none."""
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
