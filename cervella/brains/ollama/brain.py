"""Answers with a model of an Ollama server, through Ollama's client and its own API (/api/chat).

Of the APIs that Ollama has, only this one lets a request set the size of the window.
"""

from __future__ import annotations

import base64
import contextlib
from collections.abc import AsyncGenerator, Mapping
from contextlib import aclosing
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import anyio

from cervella.brains.http.brain import LISTING_SECONDS, UNKNOWN_MODEL, Answer, HttpBrain, Sent
from cervella.brains.http.clients import Inner, checked_number, client_options, shown_url
from cervella.brains.http.failures import HttpFailures
from cervella.brains.http.messages import system_refused
from cervella.brains.http.ollama_server import (
    chat_models,
    is_cloud_tag,
    listed,
    loaded_window,
    model_facts,
    name_of,
    same_model,
    server_url,
)
from cervella.brains.http.prompt_meter import PromptMeter
from cervella.brains.http.refusals import Refusal, error_object
from cervella.errors import BrainError, PromptTooLongError
from cervella.types import Message, Prompt, Usage, UsageUpdate

if TYPE_CHECKING:
    from ollama import AsyncClient

_CANARY = "cervella-lantern"
"""A word that no template contains: in a rendered prompt it shows that the system message is there."""
_KEPT_CONNECTIONS = 20
"""Maximum idle connections that are kept open, also to a server on this machine, because other requests follow each
question."""
_OLLAMAS_OWN = ("https://ollama.com", "https://api.ollama.com")
_UNCUT = {"truncate": False, "shift": False}
"""Fields of a request. With them a server reports a prompt that is too long, and ends an answer at the end of the
window. Without them it drops the beginning of the prompt. Old servers ignore them."""


class OllamaBrain(HttpBrain["AsyncClient"]):
    """Answers with a model that an Ollama server runs. Without `model` it takes the newest one of the server.

    `url` defaults to OLLAMA_HOST, else to this machine. Every request sets the window (`num_ctx`) to the size that the
    prompt needs, at most `context_tokens` and the window that the model was trained with. `keep_alive` is the time for
    which the server keeps the model in memory: "10m", a number of seconds, or -1 for no limit. `thinking` is true,
    false, or "low" to "max"; `thinking_tokens` is the length of the thoughts, in addition to that of the answer. Set
    `opens_thinking` if the model's template writes the opening `<think>` itself.

    The soul is never cut: the token count of the server is compared with the prompt. Until it is certain that the
    server reads a prompt of this length whole, the answer arrives in one delta at its end.

    A model that Ollama's own service runs makes this a cloud brain, also if the local server passes requests on to it.
    """

    extra = "ollama"
    start = "Start it with `ollama serve`, or change url in [brains.{name}]."
    _window: int

    def __init__(
        self,
        *,
        name: str = "ollama",
        model: str | None = None,
        url: str | None = None,
        api_key_env: str | None = None,
        context_tokens: int = 16384,
        max_output_tokens: int = 1024,
        thinking: bool | str = False,
        thinking_tokens: int = 2048,
        opens_thinking: bool = False,
        keep_alive: str | float = "10m",
        connect_timeout: float = 5.0,
    ) -> None:
        if thinking not in (True, False, "low", "medium", "high", "max"):
            raise ValueError(f"thinking is {thinking!r}, and must be true, false, low, medium, high or max")
        checked_number("thinking_tokens", thinking_tokens)
        super().__init__(
            name=name,
            model=model,
            url=server_url(url),
            api_key_env=api_key_env,
            context_tokens=context_tokens,
            max_output_tokens=max_output_tokens,
            thinking_tokens=thinking_tokens if thinking else 0,
            connect_timeout=connect_timeout,
        )
        self.remote = is_cloud_tag(self.model)
        self.opens_thinking = opens_thinking
        self._most_tokens = context_tokens
        self._thinking = thinking
        self._keep_alive = keep_alive
        self._can_think = self._go_template = False
        self._system_decided = True
        """False until the server was asked whether the model's template shows a system message."""
        self._meter = PromptMeter()

    # The request

    async def _lay_out(self, client: AsyncClient, prompt: Prompt) -> Sent:
        sent = self._sent(prompt)
        if self._meter.tokens(sent.messages) + sent.room > self._window:
            raise self._too_long(sent)
        window = self._meter.window(sent.messages, sent.room, most=self._window)
        if not self._system_decided:
            self._folded = not await self._reads_system(client, self._request(replace(sent, window=window)))
            sent = self._sent(prompt)
        return replace(sent, window=window)

    def _request(self, sent: Sent) -> dict[str, Any]:
        options: dict[str, Any] = {"num_ctx": sent.window, "num_predict": sent.room}
        if sent.prompt.temperature is not None:
            options["temperature"] = sent.prompt.temperature
        if "seed" in sent.prompt.hints:
            options["seed"] = int(sent.prompt.hints["seed"])
        body: dict[str, Any] = {
            "model": self.model,
            "messages": [_wire_message(message) for message in sent.messages],
            "options": options,
            "keep_alive": self._keep_alive,
        }
        if self._thinking or self._can_think:  # the server refuses this field for a model that can't think
            body["think"] = self._thinking
        return body

    async def _send(self, client: AsyncClient, sent: Sent, answer: Answer) -> AsyncGenerator[str | UsageUpdate, None]:
        import ollama

        # The client's own method `chat` has no argument for the fields of _UNCUT.
        ask: Any = client._request
        body = {**self._request(sent), **_UNCUT, "stream": True}
        try:
            chunks = await ask(ollama.ChatResponse, "POST", "/api/chat", json=body, stream=True)
            async with aclosing(Inner(chunks)) as parts:
                async for part in parts:
                    yield part.message.content or ""
                    if part.done:
                        answer.ending, answer.model = part.done_reason or "stop", part.model or self.model
                        answer.load_seconds = None if part.load_duration is None else part.load_duration / 1e9
                        usage = Usage(input_tokens=part.prompt_eval_count, output_tokens=part.eval_count)
                        yield UsageUpdate(usage=usage)
        except ollama.ResponseError as error:
            if _refusal_of(error).category == "too_long":
                raise self._too_long(sent) from error
            raise

    # Whether the server read the whole prompt

    async def count_tokens(self, prompt: Prompt) -> int:
        """The prompt's tokens, estimated from the counts of earlier answers: Ollama can't count without answering."""
        return self._meter.tokens(self._messages(prompt)[0])

    def _holds_back(self, sent: Sent) -> bool:
        return not self._meter.is_sure(sent.messages, sent.room, sent.window)

    async def _check_read(self, client: AsyncClient, sent: Sent, answer: Answer) -> None:
        if self._holds_back(sent):
            await self._learn_window(client, sent.window or 0)
        seen = answer.usage.input_tokens
        if seen and self._meter.reading(sent.messages, seen, sent.room, sent.window) != "whole":
            raise self._failures().cut(self._meter.fewest_tokens(sent.messages, seen), seen)
        if seen and not sent.prompt.images:
            self._meter.learn(sent.messages, seen)

    async def _learn_window(self, client: AsyncClient, asked: int) -> None:
        """Ask the server with which window it loaded the model. `asked` is the window of the request, in tokens.

        If the server's window is smaller, it is the largest window of all later requests.
        """
        loaded = None
        with contextlib.suppress(Exception), anyio.fail_after(LISTING_SECONDS):  # an old server has no such list
            loaded = loaded_window(await _fetch(client, "GET", "/api/ps"), self.model)
        if loaded is not None:
            self._meter.loaded_window = loaded
            if loaded < asked:
                self._window = min(self._window, loaded)

    # The server

    async def _learn(self) -> None:
        client = await self._clients.get()
        if self._named is None:
            available = chat_models(listed(await _fetch(client, "GET", "/api/tags")))
            if not available:
                raise self._missing([])
            self.model = available[0]
        facts = model_facts(await self._shown(client))
        self.remote = facts.remote or is_cloud_tag(self.model)
        self._window = min(self._most_tokens, facts.context_tokens or self._most_tokens)
        self.capabilities = frozenset({"images"} if facts.sees else ())
        self._can_think, self._folded = facts.thinks, False
        self._go_template = not facts.jinja
        self._system_decided = facts.takes_system or self.remote

    async def _shown(self, client: AsyncClient) -> dict[str, Any]:
        """The server's description of the model, from /api/show; empty if the server has no such route."""
        import ollama

        try:
            return await _fetch(client, "POST", "/api/show", model=self.model)
        except ollama.ResponseError as error:
            if error.status_code in (404, 405) and "model" not in str(error.error).lower():
                return {}
            if error.status_code == 404:
                raise await self._model_missing(client) from error
            raise

    async def _models(self, client: AsyncClient) -> list[str]:
        return [name_of(model) for model in listed(await _fetch(client, "GET", "/api/tags"))]

    async def _reads_system(self, client: AsyncClient, body: Mapping[str, Any]) -> bool:
        """Whether the model's template shows a system message. Asks the server to render one.

        `body` is the request of the question: with its options the server loads the model only once.
        """
        import ollama

        messages = (Message(role="system", content=_CANARY), Message(role="user", content="?"))
        options = {**body["options"], "num_predict": 1}  # an old server does not render, but answers
        request = {**body, **_UNCUT, "messages": [_wire_message(m) for m in messages], "options": options}
        rendered = None
        try:
            # Since 0.12 a server renders the prompt and does not answer; this field is not documented.
            response = await _fetch(client, "POST", "/api/chat", **request, stream=False, _debug_render_only=True)
            info = response.get("_debug_info")
            rendered = info.get("rendered_template") if isinstance(info, dict) else None
            self._system_decided = True
        except ValueError:  # an old server streams its answer, line by line
            self._system_decided = True
        except ollama.ResponseError as error:
            refused = system_refused(_refusal_of(error), messages)
            self._system_decided = refused or error.status_code < 500  # after a fault of the server, ask again later
            if refused:
                return False
        if not isinstance(rendered, str):
            # Ollama's own engine fills a template in Go's language, and drops a message that the template does not use.
            return not self._go_template
        return _CANARY in rendered

    def _look(self) -> None:
        import httpx2

        try:
            models = listed(self._get("/api/tags"))
        except httpx2.HTTPStatusError as error:
            raise self._failures().refused(Refusal(status=error.response.status_code, message="")) from error
        except ValueError as error:
            raise self._failures().unreachable(error) from error
        names = [name_of(model) for model in models]
        if not (chat_models(models) if self._named is None else any(same_model(self._named, name) for name in names)):
            raise self._missing(names)

    def _connect(self, key: str | None) -> AsyncClient:
        import httpx
        import ollama

        options = client_options(self._url, self._connect_timeout, key)
        limits = httpx.Limits(**{**options.pop("limits"), "max_keepalive_connections": _KEPT_CONNECTIONS})
        timeout = httpx.Timeout(**options.pop("timeout"))
        client = ollama.AsyncClient(shown_url(self._url), **options, limits=limits, timeout=timeout)
        if key is None and not self._url.startswith(_OLLAMAS_OWN):
            client._client.headers.pop("authorization", None)  # OLLAMA_API_KEY is meant for Ollama's own service
        return client

    # Failures

    def _refusal(self, error: Exception) -> Refusal | None:
        import ollama

        return _refusal_of(error) if isinstance(error, ollama.ResponseError) else None

    def _refused(self, refusal: Refusal, failures: HttpFailures) -> BrainError:
        if "system memory" in refusal.message:
            return failures.broken(
                f"has too little memory for its model: {failures.quoted(refusal.message)}",
                remedy=f"Lower context_tokens in [brains.{self.name}], or use a smaller model.",
                code="model_not_loaded",
            )
        return failures.refused(refusal)

    def _missing(self, available: list[str], detail: str = "") -> BrainError:
        if self._named is None and self.model == UNKNOWN_MODEL:
            cure = "Download one, for example with `ollama pull qwen3:4b`."
            return self._failures().broken("has no model", remedy=cure, code="model_missing")
        cure = (
            f"Download it with `ollama pull {self.model}`, or set model in [brains.{self.name}] to one of its models."
        )
        return self._failures().model_missing(available=available, cure=cure)

    def _too_long(self, sent: Sent) -> PromptTooLongError:
        tokens, limit = self._meter.tokens(sent.messages), max(0, self._window - sent.room)
        return PromptTooLongError(
            f"The prompt has about {tokens} tokens, and the brain {self.name!r} accepts {limit}.",
            brain=self.name,
            model=self.model,
            prompt_tokens=tokens,
            limit_tokens=limit,
            remedy=f"Raise context_tokens in [brains.{self.name}] if the model and the memory allow it, shorten the "
            "Constitution, or ask another brain.",
        )


async def _fetch(client: AsyncClient, method: str, path: str, **body: Any) -> dict[str, Any]:
    """The JSON object of a response, with the fields that the client's own types leave out; {} for other JSON."""
    ask: Any = client._request_raw
    answer = (await ask(method, path, **({"json": body} if body else {}))).json()
    return answer if isinstance(answer, dict) else {}


def _refusal_of(error: Any) -> Refusal:
    response = getattr(error.__context__, "response", None)  # only there does the client keep the headers
    headers = response.headers if response is not None else {}
    facts = error_object(error.error)
    status = error.status_code if error.status_code > 0 else 200
    return Refusal(status=status, message=str(facts.get("message") or error.error), headers=headers, facts=facts)


def _wire_message(message: Message) -> dict[str, Any]:
    images = [base64.b64encode(image.data).decode("ascii") for image in message.images]
    return {"role": message.role, "content": message.content, **({"images": images} if images else {})}
