"""Ollama, through its own client and its own /api/chat: the only route that takes a window with the question."""

from __future__ import annotations

import base64
import contextlib
from collections.abc import AsyncGenerator, Mapping
from contextlib import aclosing
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import anyio

from cervella.brains.http.brain import LISTING_SECONDS, UNKNOWN_MODEL, Answer, HttpBrain, Sent
from cervella.brains.http.clients import Inner, checked_number
from cervella.brains.http.failures import HttpFailures
from cervella.brains.http.messages import system_refused
from cervella.brains.http.ollama_server import (
    chat_models,
    is_cloud_tag,
    listed,
    model_facts,
    name_of,
    same_model,
    server_url,
    window_given,
)
from cervella.brains.http.prompt_meter import PromptMeter
from cervella.brains.http.refusals import Refusal, error_object
from cervella.errors import BrainError, PromptTooLongError
from cervella.types import Message, Prompt, Usage, UsageUpdate

if TYPE_CHECKING:
    from cervella.brains.ollama.client import OllamaClient

_CANARY = "cervella-lantern"
_SUGGESTED = "qwen3:4b"


class OllamaBrain(HttpBrain["OllamaClient"]):
    """Answers with a model that an Ollama server runs. Without `model` it takes the newest that the server has.

    `url` is OLLAMA_HOST, or this machine. The window (`num_ctx`) is sent with every question: as large as the prompt
    wants it, never larger than `context_tokens` and than what the model was trained with. `keep_alive` is how long
    the model stays loaded: "10m", seconds, or -1 for ever. `thinking` is true, false, or "low" to "max"; it has
    `thinking_tokens` beside those of the answer. `opens_thinking` says that the model's template begins the thought.

    The soul is never cut: whether the server read the whole prompt is held against its count. Until that is sure for a
    prompt of this length, the answer is given out at its end, in one piece.

    A model that Ollama's own service runs is a cloud brain, wherever the server is.
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
        self._thinks = self._go_template = False
        self._place_known = True
        """Whether it is known that the model is shown a system message."""
        self._meter = PromptMeter()

    # The request

    async def _lay_out(self, client: OllamaClient, prompt: Prompt) -> Sent:
        sent = self._sent(prompt)
        if self._meter.tokens(sent.messages) + sent.room > self._window:
            raise self._too_long(sent)
        window = self._meter.window(sent.messages, sent.room, most=self._window)
        if not self._place_known:
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
            "messages": [_wire(message) for message in sent.messages],
            "options": options,
            "keep_alive": self._keep_alive,
        }
        if self._thinking or self._thinks:  # a model that can't think would refuse to be told
            body["think"] = self._thinking
        return body

    async def _send(self, client: OllamaClient, sent: Sent, answer: Answer) -> AsyncGenerator[str | UsageUpdate, None]:
        import ollama

        try:
            async with aclosing(Inner(await client.chat_whole(self._request(sent)))) as parts:
                async for part in parts:
                    yield part.message.content or ""
                    if part.done:
                        answer.ending, answer.model = part.done_reason or "stop", part.model or self.model
                        answer.load_seconds = None if part.load_duration is None else part.load_duration / 1e9
                        usage = Usage(input_tokens=part.prompt_eval_count, output_tokens=part.eval_count)
                        yield UsageUpdate(usage=usage)
        except ollama.ResponseError as error:
            if _refusal_of(error).sort == "too_long":
                raise self._too_long(sent) from error
            raise

    # Whether the prompt was read whole

    async def count_tokens(self, prompt: Prompt) -> int:
        """About how many tokens the prompt has: Ollama can't count, so what its answers reported is the measure."""
        return self._meter.tokens(self._messages(prompt)[0])

    def _holds_back(self, sent: Sent) -> bool:
        return not self._meter.is_sure(sent.messages, sent.room, sent.window)

    async def _check_read(self, client: OllamaClient, sent: Sent, answer: Answer) -> None:
        if self._holds_back(sent):
            await self._look_at_window(client, sent.window or 0)
        seen = answer.usage.input_tokens
        if seen and self._meter.reading(sent.messages, seen, sent.room, sent.window) != "whole":
            raise self._failures().cut(self._meter.missed(sent.messages, seen), seen)
        if seen and not sent.prompt.images:
            self._meter.learn(sent.messages, seen)

    async def _look_at_window(self, client: OllamaClient, window: int) -> None:
        """Learn which window the server really gave the model, where it tells."""
        loaded = None
        with contextlib.suppress(Exception), anyio.fail_after(LISTING_SECONDS):  # an old server has no such list
            loaded = window_given(await client.told("GET", "/api/ps"), self.model)
        if loaded is not None:
            self._meter.loaded(loaded)
            if loaded < window:
                self._window = min(self._window, loaded)

    # The server

    async def _learn(self) -> None:
        client = await self._clients.get()
        if self._named is None:
            there = chat_models(listed(await client.told("GET", "/api/tags")))
            if not there:
                raise self._missing([])
            self.model = there[0]
        facts = model_facts(await self._shown(client))
        self.remote = facts.remote or is_cloud_tag(self.model)
        self._window = min(self._most_tokens, facts.context_tokens or self._most_tokens)
        self.capabilities = frozenset({"images"} if facts.sees else ())
        self._thinks, self._folded = facts.thinks, False
        self._go_template = not facts.jinja
        self._place_known = facts.takes_system or self.remote

    async def _shown(self, client: OllamaClient) -> dict[str, Any]:
        """What /api/show tells of the model; nothing where the server has no such route."""
        import ollama

        try:
            return await client.told("POST", "/api/show", model=self.model)
        except ollama.ResponseError as error:
            if error.status_code in (404, 405) and "model" not in str(error.error).lower():
                return {}
            if error.status_code == 404:
                raise await self._model_missing(client) from error
            raise

    async def _models(self, client: OllamaClient) -> list[str]:
        return [name_of(model) for model in listed(await client.told("GET", "/api/tags"))]

    async def _reads_system(self, client: OllamaClient, body: Mapping[str, Any]) -> bool:
        """Whether a system message reaches the model, asked of the server where the template does not say so plainly.

        With the options of the question, for which the model is loaded in any case.
        """
        import ollama

        sent = (Message(role="system", content=_CANARY), Message(role="user", content="?"))
        options = {**body["options"], "num_predict": 1}  # an older server takes it for a question
        rendered = None
        try:
            rendered = await client.rendered({**body, "messages": [_wire(m) for m in sent], "options": options})
            self._place_known = True
        except ollama.ResponseError as error:
            refused = system_refused(_refusal_of(error), sent)
            self._place_known = refused or error.status_code < 500  # one that failed may know it the next time
            if refused:
                return False
        if rendered is None:
            # It is Ollama's own engine that fills a template of Go: it leaves out what the template does not name.
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

    def _connect(self, key: str | None) -> OllamaClient:
        from cervella.brains.ollama.client import OllamaClient

        return OllamaClient(self._url, key=key, connect_timeout=self._connect_timeout)

    # Failures

    def _refusal(self, error: Exception) -> Refusal | None:
        import ollama

        return _refusal_of(error) if isinstance(error, ollama.ResponseError) else None

    def _refused(self, refusal: Refusal, failures: HttpFailures) -> BrainError:
        if "system memory" in refusal.message:
            return failures.broken(
                f"has too little memory for its model: {failures.said(refusal.message)}",
                remedy=f"Lower context_tokens in [brains.{self.name}], or take a smaller model.",
                code="model_not_loaded",
            )
        return failures.refused(refusal)

    def _missing(self, there: list[str], said: str = "") -> BrainError:
        if self._named is None and self.model == UNKNOWN_MODEL:
            cure = f"Fetch one, such as `ollama pull {_SUGGESTED}`."
            return self._failures().broken("has no model", remedy=cure, code="model_missing")
        cure = f"Fetch it with `ollama pull {self.model}`, or set model in [brains.{self.name}] to one that is there."
        return self._failures().model_missing(there=there, cure=cure)

    def _too_long(self, sent: Sent) -> PromptTooLongError:
        tokens, limit = self._meter.tokens(sent.messages), max(0, self._window - sent.room)
        return PromptTooLongError(
            f"The prompt has about {tokens} tokens, and the brain {self.name!r} room for {limit}.",
            brain=self.name,
            model=self.model,
            prompt_tokens=tokens,
            limit_tokens=limit,
            remedy=f"Raise context_tokens in [brains.{self.name}] if the model and the memory allow it, shorten the "
            "Constitution, or ask another brain.",
        )


def _refusal_of(error: Any) -> Refusal:
    response = getattr(error.__context__, "response", None)  # the client keeps the headers nowhere else
    headers = response.headers if response is not None else {}
    facts = error_object(error.error)
    status = error.status_code if error.status_code > 0 else 200
    return Refusal(status=status, message=str(facts.get("message") or error.error), headers=headers, facts=facts)


def _wire(message: Message) -> dict[str, Any]:
    images = [base64.b64encode(image.data).decode("ascii") for image in message.images]
    return {"role": message.role, "content": message.content, **({"images": images} if images else {})}
