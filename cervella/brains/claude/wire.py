"""The Messages API as it goes over the wire: messages there, usage and errors back, and what is known of the models."""

from __future__ import annotations

import base64
import re
from functools import cache
from typing import Any

from cervella.brains.http.failures import HttpFailures
from cervella.brains.http.refusals import Refusal, error_object
from cervella.errors import BrainError
from cervella.process.files import read_packaged
from cervella.types import Message, Usage

__all__ = ["failure_of", "model_facts", "reason_of", "refusal_of", "text_of", "usage_of", "wire_message"]


@cache
def _models() -> dict[str, dict[str, Any]]:
    return read_packaged("cervella.brains.claude", "models.toml")


def model_facts(model: str) -> dict[str, Any]:
    """What is known of a model; of a dated one, what is known of its name without the date."""
    return _models().get(re.sub(r"-\d{8}$", "", model), {})


def wire_message(message: Message, caching: dict[str, Any]) -> dict[str, Any]:
    if not message.images and not (caching and message.content.strip()):
        return {"role": message.role, "content": message.content}
    blocks: list[dict[str, Any]] = [
        {
            "type": "image",
            "source": {
                "type": "base64",
                "media_type": image.media_type,
                "data": base64.b64encode(image.data).decode("ascii"),
            },
        }
        for image in message.images
    ]
    if message.content.strip():
        blocks.append({"type": "text", "text": message.content, **caching})
    return {"role": message.role, "content": blocks}


def text_of(event: Any) -> str:
    """The text that an event of the stream brings; a block of text may begin with some."""
    if event.type == "content_block_delta":
        return (event.delta.text or "") if event.delta.type == "text_delta" else ""
    block = getattr(event, "content_block", None)
    return (getattr(block, "text", None) or "") if getattr(block, "type", None) == "text" else ""


def reason_of(delta: Any) -> str | None:
    """Why the model refused: its explanation, or else the category."""
    details = getattr(delta, "stop_details", None)
    return getattr(details, "explanation", None) or getattr(details, "category", None)


def usage_of(told: Any, before: Usage) -> Usage:
    """The API's counts, in which cached tokens are no input tokens, as the house counts; what is not told stays."""
    read = _count(told, "cache_read_input_tokens", before.cache_read_tokens)
    write = _count(told, "cache_creation_input_tokens", before.cache_write_tokens)
    fresh = _count(told, "input_tokens", None)
    return Usage(
        input_tokens=before.input_tokens if fresh is None else fresh + (read or 0) + (write or 0),
        cache_read_tokens=read,
        cache_write_tokens=write,
        cache_write_1h_tokens=_count(
            getattr(told, "cache_creation", None), "ephemeral_1h_input_tokens", before.cache_write_1h_tokens
        ),
        output_tokens=_count(told, "output_tokens", before.output_tokens),
    )


def _count(told: Any, name: str, before: int | None) -> int | None:
    value = getattr(told, name, None)
    return value if isinstance(value, int) else before


def refusal_of(error: Any) -> Refusal:
    facts = error_object(error.body)
    message = facts.get("message") or error.message
    return Refusal(
        status=error.status_code,
        kind=str(facts.get("type") or ""),
        message=str(message),
        headers=error.response.headers,
        facts=facts,
    )


def failure_of(error: Exception, failures: HttpFailures) -> BrainError:
    """What a question came to, said as an error of the house."""
    import anthropic
    import httpx2

    if isinstance(error, anthropic.APIStatusError):
        return failures.refused(refusal_of(error))
    if isinstance(error, (anthropic.APITimeoutError, httpx2.TimeoutException)):
        return failures.silent()
    if isinstance(error, anthropic.APIConnectionError):
        return failures.unreachable(error.__cause__ or error)
    if isinstance(error, httpx2.HTTPError):
        return failures.broken_off(error)
    return failures.broken(f"answered what can't be read ({type(error).__name__})")
