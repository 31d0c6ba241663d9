"""Answers with a model of vLLM, or of any server with OpenAI's chat completions API: llama.cpp, LM Studio, TGI, …"""

from __future__ import annotations

import base64
from collections.abc import AsyncGenerator, Mapping, Sequence
from typing import TYPE_CHECKING, Any

from cervella.brains.http.brain import Answer, HttpBrain, Sent
from cervella.brains.http.clients import async_client, closing, openai_address, shown_url
from cervella.brains.http.messages import system_refused
from cervella.brains.http.ollama_server import is_ollamas_cloud
from cervella.brains.http.prompt_reading import PromptReading
from cervella.brains.http.refusals import Refusal, error_object
from cervella.errors import BrainError
from cervella.types import Message, Prompt, Usage, UsageUpdate

if TYPE_CHECKING:
    from openai import AsyncOpenAI

_URL = "http://localhost:8000/v1"
_KEY = "VLLM_API_KEY"
_NO_SUCH_ROUTE = (404, 405, 501)
"""HTTP statuses of a route that the server does not have."""
_WINDOWS = ("max_model_len", "loaded_context_length", "context_length", "max_context_length")
"""Keys by which servers name the window in their list of models, in the order in which they are looked up: the window
that the server uses comes before the one that the model was trained with."""


class VllmBrain(HttpBrain["AsyncOpenAI"]):
    """Answers with a model behind an OpenAI-compatible server, through OpenAI's own client.

    Without `model` it takes the first one in the server's list. The key is read from the environment variable
    `api_key_env`; without one, from VLLM_API_KEY if it is set. `context_tokens` defaults to the window that the server
    reports. Set `images` if the model accepts images. `thinking_tokens` is the length of the thoughts, in addition to
    that of the answer. Set `opens_thinking` if the model's template writes the opening `<think>` itself.

    `chat_template_kwargs` are passed to the template (`{enable_thinking = false}`), `cache_salt` separates this brain's
    part of the server's prefix cache, and `extra_body` is added to each request unchanged.
    """

    extra = "vllm"
    start = "Start its server (`vllm serve MODEL`), or change url in [brains.{name}]."
    _reading: PromptReading

    def __init__(
        self,
        *,
        name: str = "vllm",
        model: str | None = None,
        url: str | None = None,
        api_key_env: str | None = None,
        context_tokens: int | None = None,
        max_output_tokens: int = 1024,
        thinking_tokens: int = 0,
        opens_thinking: bool = False,
        images: bool = False,
        chat_template_kwargs: Mapping[str, Any] | None = None,
        cache_salt: str | None = None,
        extra_body: Mapping[str, Any] | None = None,
        connect_timeout: float = 10.0,
    ) -> None:
        super().__init__(
            name=name,
            model=model,
            url=url or _URL,
            api_key_env=api_key_env,
            key_variables=(_KEY,),
            context_tokens=context_tokens,
            max_output_tokens=max_output_tokens,
            thinking_tokens=thinking_tokens,
            connect_timeout=connect_timeout,
        )
        self.capabilities = frozenset({"images"} if images else ())
        self.opens_thinking = opens_thinking
        self._extra_body = {
            **({"chat_template_kwargs": dict(chat_template_kwargs)} if chat_template_kwargs else {}),
            **({"cache_salt": cache_salt} if cache_salt else {}),
            **(extra_body or {}),
        }

    async def _send(self, client: AsyncOpenAI, sent: Sent, answer: Answer) -> AsyncGenerator[str | UsageUpdate, None]:
        refusal: list[str] = []
        async with closing(await client.chat.completions.create(**self._request(sent))) as chunks:
            async for chunk in chunks:
                if getattr(chunk, "system_fingerprint", None) == "fp_ollama":
                    self._reading.is_ollama = True
                answer.model = getattr(chunk, "model", None) or answer.model
                if getattr(chunk, "usage", None) is not None:
                    yield UsageUpdate(usage=_usage_of(chunk.usage))
                for choice in getattr(chunk, "choices", None) or ():
                    answer.ending = choice.finish_reason or answer.ending
                    refusal.append(getattr(choice.delta, "refusal", None) or "")
                    yield getattr(choice.delta, "content", None) or ""
        answer.refusal = "".join(refusal).strip() or None
        if answer.refusal and answer.ending:
            answer.ending = "refusal"

    def _request(self, sent: Sent) -> dict[str, Any]:
        body: dict[str, Any] = {
            "model": self.model,
            "messages": [_wire_message(message) for message in sent.messages],
            "max_tokens": sent.room,
            "stream": True,
            "stream_options": {"include_usage": True},
            "extra_body": self._extra_body,
        }
        if sent.prompt.temperature is not None:
            body["temperature"] = sent.prompt.temperature
        if "seed" in sent.prompt.hints:
            body["seed"] = int(sent.prompt.hints["seed"])
        return body

    # The server

    async def _learn(self) -> None:
        client = await self._clients.get()
        listed = await self._listed(client)
        one = self._own_entry(listed)
        if self._named is None:
            if not listed:
                raise self._missing([])
            one = next((m for m in listed if not is_ollamas_cloud(str(m["id"]))), listed[0])
            self.model = str(one["id"])
            self.remote = is_ollamas_cloud(self.model)
        if self._window is None and one is not None:
            self._window = _window_of(one)
        self._reading = PromptReading(self._url)  # the server may have another model now
        await self._try_system(client)

    async def _listed(self, client: AsyncOpenAI) -> list[dict[str, Any]]:
        """The entries of the server's list of models; empty if it has no such list."""
        import openai

        try:
            return _models_of(await client.get("/models", cast_to=object))
        except openai.APIStatusError as error:
            if error.status_code in _NO_SUCH_ROUTE:
                return []
            raise

    def _own_entry(self, models: Sequence[dict[str, Any]]) -> dict[str, Any] | None:
        """The entry of the configured model, under its name or an alias; None if it is not listed."""
        return next((m for m in models if self._named in (m["id"], *m.get("aliases", ()))), None)

    async def _models(self, client: AsyncOpenAI) -> list[str]:
        return [str(model["id"]) for model in await self._listed(client)]

    def _missing(self, available: list[str], detail: str = "") -> BrainError:
        usual = openai_address(self._url)
        if available or not usual:
            return super()._missing(available, detail)
        return self._failures().broken(
            f"finds no OpenAI-compatible server at {shown_url(self._url)}",
            remedy=f'Their API is usually at /v1: set url = "{shown_url(usual)}" in [brains.{self.name}].',
            code="wrong_address",
        )

    async def _count(self, client: AsyncOpenAI, prompt: Prompt) -> int | None:
        return None if prompt.images else await self._counted(client, self._messages(prompt)[0])

    async def _counted(self, client: AsyncOpenAI, messages: Sequence[Message]) -> int | None:
        """The number of tokens that the messages have in the model's template; None if the server can't count (vLLM
        can)."""
        import openai

        system = "\n\n".join(message.content for message in messages if message.role == "system")
        body: dict[str, Any] = {
            "model": self.model,
            "messages": [{"role": m.role, "content": m.content} for m in messages if m.role != "system"],
            **({"system": system} if system else {}),
        }
        counted: Any = None
        try:
            counted = await client.post("/messages/count_tokens", body=body, cast_to=object)
        except openai.APIStatusError as error:
            if error.status_code not in _NO_SUCH_ROUTE:
                raise
        tokens = counted.get("input_tokens") if isinstance(counted, dict) else None
        self._counts = isinstance(tokens, int)
        return tokens if self._counts else None

    async def _try_system(self, client: AsyncOpenAI) -> None:
        """Decide whether the soul (the system prompt) is sent as a system message or in the first user turn.

        It is sent in the first user turn if the model's template refuses a system message, or ignores it. A template
        ignores it if a longer system message does not add tokens.
        """
        import openai

        self._folded = False  # the server may have another model now
        user = Message(role="user", content="a")
        counts = []
        try:
            for words in (1, 64):  # two lengths, because a template may add its own text to the first
                system = Message(role="system", content="a " * words)
                counts.append(await self._counted(client, (system, user)))
        except openai.APIStatusError as error:
            refusal = self._refusal(error)
            # Any other error comes again with the question.
            self._folded = refusal is not None and system_refused(refusal, (system, user))
            return
        short, long = counts
        self._folded = short is not None and long is not None and long - short < 8

    def _look(self) -> None:
        import httpx2

        listed: Any = None
        not_found = False
        try:
            listed = self._get("/models")
        except httpx2.HTTPStatusError as error:
            not_found = error.response.status_code == 404
        except ValueError:
            not_found = True  # the server answers, but not with a list of models
        self._reading.check(self._failures(), key=self._key())
        if not_found and openai_address(self._url):
            raise self._missing([])
        models = _models_of(listed)
        if self._named and models and self._own_entry(models) is None:
            raise self._missing([str(model["id"]) for model in models])

    def _connect(self, key: str | None) -> AsyncOpenAI:
        from openai import AsyncOpenAI, Omit

        # OPENAI_ORG_ID and OPENAI_PROJECT_ID in the environment are meant for OpenAI, not for this server.
        headers: Any = {"OpenAI-Organization": Omit(), "OpenAI-Project": Omit()}
        return AsyncOpenAI(
            api_key=key or "none",
            base_url=shown_url(self._url),
            default_headers=headers,
            max_retries=0,  # the shield has the only retry loop
            http_client=async_client(self._url, self._connect_timeout),
        )

    def _refusal(self, error: Exception) -> Refusal | None:
        import openai

        if not isinstance(error, openai.APIError) or isinstance(error, openai.APIConnectionError):
            return None
        response = getattr(error, "response", None)
        facts = error_object(_body(response)) or error_object(error.body)
        return Refusal(
            status=getattr(error, "status_code", 200),
            kind=str(facts.get("type") or facts.get("code") or ""),
            message=str(facts.get("message") or facts.get("detail") or error.message),
            headers=response.headers if response is not None else {},
            facts=facts,
        )


def _body(response: Any) -> Any:
    """The JSON body of a response; None for other bodies. The client's exception contains only the field `error` of
    it."""
    try:
        return None if response is None else response.json()
    except ValueError:
        return None


def _models_of(listed: Any) -> list[dict[str, Any]]:
    data = listed.get("data") if isinstance(listed, dict) else listed
    return [model for model in data or () if isinstance(model, dict) and model.get("id")]


def _window_of(model: Mapping[str, Any]) -> int | None:
    meta = model.get("meta")
    values = [model.get(key) for key in _WINDOWS] + ([meta.get("n_ctx")] if isinstance(meta, dict) else [])
    return next((value for value in values if isinstance(value, int) and value > 0), None)


def _wire_message(message: Message) -> dict[str, Any]:
    if not message.images:
        return {"role": message.role, "content": message.content}
    parts: list[dict[str, Any]] = [
        {
            "type": "image_url",
            "image_url": {"url": f"data:{image.media_type};base64,{base64.b64encode(image.data).decode('ascii')}"},
        }
        for image in message.images
    ]
    if message.content.strip():
        parts.append({"type": "text", "text": message.content})
    return {"role": message.role, "content": parts}


def _usage_of(usage: Any) -> Usage:
    read = _count(usage, "prompt_tokens")
    cached = _count(getattr(usage, "prompt_tokens_details", None), "cached_tokens")
    if read is not None and cached is not None and cached > read:
        read += cached  # this server does not count cached tokens as prompt tokens
    return Usage(input_tokens=read, cache_read_tokens=cached, output_tokens=_count(usage, "completion_tokens"))


def _count(counts: Any, name: str) -> int | None:
    """The number of tokens under `name`; None if missing or no number. Some servers write it as a string or with a
    point."""
    value = getattr(counts, name, None)
    try:
        return None if value is None or isinstance(value, bool) else int(value)
    except (TypeError, ValueError, OverflowError):
        return None
