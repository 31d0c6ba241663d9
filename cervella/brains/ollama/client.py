"""Ollama's own client, with what it leaves out of a chat."""

from __future__ import annotations

from collections.abc import AsyncGenerator
from typing import Any

import httpx
import ollama

from cervella.brains.http.clients import client_options, shown_url

_KEPT_CONNECTIONS = 20
"""To this machine too: a question comes with further requests."""
_OLLAMAS_OWN = ("https://ollama.com", "https://api.ollama.com")


class OllamaClient(ollama.AsyncClient):
    """Sends `truncate` and `shift` with a chat: a server that knows them says that a prompt is too long, and stops an
    answer at the end of the window, where it would else drop the beginning of the prompt. One that does not know them
    passes them over."""

    def __init__(self, url: str, *, key: str | None, connect_timeout: float) -> None:
        options = client_options(url, connect_timeout, key)
        options["limits"]["max_keepalive_connections"] = _KEPT_CONNECTIONS
        limits, timeout = httpx.Limits(**options.pop("limits")), httpx.Timeout(**options.pop("timeout"))
        super().__init__(shown_url(url), **options, limits=limits, timeout=timeout)
        if key is None and not url.startswith(_OLLAMAS_OWN):
            self._client.headers.pop("authorization", None)  # OLLAMA_API_KEY is meant for Ollama's own service

    async def chat_whole(self, body: dict[str, Any]) -> AsyncGenerator[ollama.ChatResponse, None]:
        """A chat as it streams, with nothing cut."""
        body = {**body, "stream": True, "truncate": False, "shift": False}
        return await self._request(ollama.ChatResponse, "POST", "/api/chat", json=body, stream=True)  # type: ignore[return-value]

    async def rendered(self, body: dict[str, Any]) -> str | None:
        """The prompt as the server would lay it out, without an answer: since 0.12, and not documented.

        None where the server can't say. Raises what `told` raises, where the template refuses the messages.
        """
        body = {**body, "stream": False, "truncate": False, "shift": False, "_debug_render_only": True}
        try:
            info = (await self.told("POST", "/api/chat", **body)).get("_debug_info")
        except ValueError:  # an older server answers, line by line
            return None
        told = info.get("rendered_template") if isinstance(info, dict) else None
        return told if isinstance(told, str) else None

    async def told(self, method: str, path: str, **body: Any) -> dict[str, Any]:
        """What the server says, with the fields that the client's own types leave out."""
        ask: Any = self._request_raw
        answer = (await ask(method, path, **({"json": body} if body else {}))).json()
        return answer if isinstance(answer, dict) else {}
