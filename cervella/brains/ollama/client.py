"""Ollama's own client, with what it leaves out of a chat."""

from __future__ import annotations

from collections.abc import AsyncGenerator
from typing import Any

import httpx
import ollama

from cervella.brains.http.clients import bare_url, is_loopback, login_of
from cervella.brains.http.failures import HttpFailures
from cervella.brains.http.refusals import Refusal, error_object
from cervella.errors import BrainError

__all__ = ["OllamaClient", "failure_of", "refusal_of"]

_MOST_CONNECTIONS = 1000
_OLLAMAS_OWN = ("https://ollama.com", "https://api.ollama.com")


class OllamaClient(ollama.AsyncClient):
    """Sends `truncate` and `shift` with a chat: a server that knows them says that a prompt is too long, and stops an
    answer at the end of the window, where it would else drop the beginning of the prompt. One that does not know them
    passes them over."""

    def __init__(self, url: str, *, key: str | None, connect_timeout: float) -> None:
        super().__init__(
            bare_url(url),
            auth=login_of(url),
            timeout=httpx.Timeout(None, connect=connect_timeout),
            limits=httpx.Limits(max_connections=_MOST_CONNECTIONS, max_keepalive_connections=20),
            follow_redirects=False,  # a server that is local may not send the question on to one that is not
            trust_env=not is_loopback(url),
            verify=not url.startswith("http://"),
            headers={"Authorization": f"Bearer {key}"} if key else None,
        )
        if key is None and not url.startswith(_OLLAMAS_OWN):
            self._client.headers.pop("authorization", None)  # OLLAMA_API_KEY is meant for Ollama's own service

    async def chat_whole(self, body: dict[str, Any]) -> AsyncGenerator[ollama.ChatResponse, None]:
        """A chat as it streams, with nothing cut."""
        body = {**body, "stream": True, "truncate": False, "shift": False}
        return await self._request(ollama.ChatResponse, "POST", "/api/chat", json=body, stream=True)  # type: ignore[return-value]

    async def rendered(self, body: dict[str, Any]) -> str | None:
        """The prompt as the server would lay it out, without an answer: since 0.12, and written down nowhere.

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


def refusal_of(error: ollama.ResponseError) -> Refusal:
    response = getattr(error.__context__, "response", None)  # the client keeps the headers nowhere else
    headers = response.headers if response is not None else {}
    facts = error_object(error.error)
    status = error.status_code if error.status_code > 0 else 200
    return Refusal(status=status, message=str(facts.get("message") or error.error), headers=headers, facts=facts)


def failure_of(error: Exception, failures: HttpFailures) -> BrainError:
    """What a question came to, said as an error of the house."""
    import httpx
    import ollama

    if isinstance(error, ollama.ResponseError):
        if "system memory" in str(error):
            return failures.broken(
                f"has too little memory for its model: {failures.said(error.error)}",
                remedy=f"Lower context_tokens in [brains.{failures.brain}], or take a smaller model.",
                code="model_not_loaded",
            )
        return failures.refused(refusal_of(error))
    if isinstance(error, httpx.TimeoutException):
        return failures.silent()
    if isinstance(error, (ConnectionError, httpx.ConnectError)):
        return failures.unreachable(error)
    if isinstance(error, httpx.HTTPError):
        return failures.broken_off(error)
    return failures.broken(f"answered what can't be read ({type(error).__name__})")
