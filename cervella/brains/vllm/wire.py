"""OpenAI's chat completions as they go over the wire: messages there, usage, models and errors back."""

from __future__ import annotations

import base64
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from cervella.brains.http.failures import HttpFailures
from cervella.brains.http.refusals import Refusal, error_object
from cervella.errors import BrainError
from cervella.types import Message, Usage

if TYPE_CHECKING:
    from openai import AsyncOpenAI

__all__ = ["counted_tokens", "failure_of", "listed_models", "refusal_of", "usage_of", "window_of", "wire_message"]

_WINDOWS = ("max_model_len", "loaded_context_length", "context_length", "max_context_length")
"""What a server gives before what a model could have."""


async def listed_models(client: AsyncOpenAI) -> list[dict[str, Any]]:
    """What /models lists, as the server wrote it; nothing where it has no such list."""
    import openai

    try:
        listed: Any = await client.get("/models", cast_to=object)
    except openai.APIStatusError as error:
        if error.status_code in (404, 405, 501):
            return []
        raise
    data = listed.get("data") if isinstance(listed, dict) else listed
    return [model for model in data or () if isinstance(model, dict) and model.get("id")]


async def counted_tokens(client: AsyncOpenAI, model: str, messages: Sequence[Message]) -> int | None:
    """Tokens by the count of the Messages API, which vLLM and llama.cpp have; None where the server has none."""
    import openai

    system = "\n\n".join(message.content for message in messages if message.role == "system")
    body: dict[str, Any] = {
        "model": model,
        "messages": [{"role": m.role, "content": m.content} for m in messages if m.role != "system"],
        **({"system": system} if system else {}),
    }
    try:
        counted: Any = await client.post("/messages/count_tokens", body=body, cast_to=object)
    except openai.APIStatusError as error:
        if error.status_code not in (404, 405, 501):
            raise
        return None
    tokens = counted.get("input_tokens") if isinstance(counted, dict) else None
    return tokens if isinstance(tokens, int) else None


def window_of(model: Mapping[str, Any]) -> int | None:
    meta = model.get("meta")
    told = [model.get(key) for key in _WINDOWS] + ([meta.get("n_ctx")] if isinstance(meta, dict) else [])
    return next((value for value in told if isinstance(value, int) and value > 0), None)


def wire_message(message: Message) -> dict[str, Any]:
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


def usage_of(told: Any) -> Usage:
    read = _count(told, "prompt_tokens")
    cached = _count(getattr(told, "prompt_tokens_details", None), "cached_tokens")
    if read is not None and cached is not None and cached > read:
        read += cached  # this server counts apart what came from its cache
    return Usage(input_tokens=read, cache_read_tokens=cached, output_tokens=_count(told, "completion_tokens"))


def _count(told: Any, name: str) -> int | None:
    """A number of tokens, which some servers write as a text or with a decimal point."""
    value = getattr(told, name, None)
    try:
        return None if value is None or isinstance(value, bool) else int(value)
    except (TypeError, ValueError, OverflowError):
        return None


def refusal_of(error: Any) -> Refusal:
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
    """The whole body: the client keeps only what stands under `error`."""
    try:
        return None if response is None else response.json()
    except ValueError:
        return None


def failure_of(error: Exception, failures: HttpFailures) -> BrainError:
    """What a question came to, said as an error of the house."""
    import httpx2
    import openai

    if isinstance(error, openai.APIStatusError):
        return failures.refused(refusal_of(error))
    if isinstance(error, (openai.APITimeoutError, httpx2.TimeoutException)):
        return failures.silent()
    if isinstance(error, openai.APIConnectionError):
        return failures.unreachable(error.__cause__ or error)
    if isinstance(error, openai.APIError):
        return failures.refused(refusal_of(error))
    if isinstance(error, httpx2.HTTPError):
        return failures.broken_off(error)
    return failures.broken(f"answered what can't be read ({type(error).__name__})")
