"""The three wire formats, as scenes for the fault server: what an engine says when all is well, and of an error."""

from __future__ import annotations

import json
from typing import Any

from cervella.brains.claude.brain import ClaudeBrain
from cervella.brains.ollama.brain import OllamaBrain
from cervella.brains.vllm.brain import VllmBrain
from tests.brains.fault_server import Connection, FaultServer

WORDS = ("Ecco", "mi", ".")
TEXT = "".join(WORDS)


class ClaudeWire:
    """The Messages API."""

    usage = True

    def brain(self, server: FaultServer, **options: Any) -> Any:
        return ClaudeBrain(**{"url": server.url, "model": "prova", **options})

    def beside(self, server: FaultServer) -> None:
        async def counted(to: Connection) -> None:
            await to.status(200, {"input_tokens": 100})

        server.beside |= {"/count_tokens": counted}

    async def _event(self, to: Connection, kind: str, **facts: Any) -> None:
        await to.send(f"event: {kind}\ndata: {json.dumps({'type': kind, **facts})}\n\n")

    async def begin(self, to: Connection, usage: bool = True) -> None:
        await to.start()
        told = {"input_tokens": 5, "cache_read_input_tokens": 70, "cache_creation_input_tokens": 25, "output_tokens": 1}
        message = {"id": "m", "type": "message", "role": "assistant", "content": [], "model": "prova-1"}
        await self._event(to, "message_start", message={**message, **({"usage": told} if usage else {})})

    async def word(self, to: Connection, word: str) -> None:
        await self._event(to, "content_block_delta", index=0, delta={"type": "text_delta", "text": word})

    async def half(self, to: Connection) -> None:
        await to.send('event: content_block_delta\ndata: {"type":"content_block_delta","del\n\n')

    async def end(self, to: Connection, usage: bool = True, reason: str = "end_turn") -> None:
        told = {"usage": {"output_tokens": 3}} if usage else {}
        await self._event(to, "message_delta", delta={"stop_reason": reason, "stop_sequence": None}, **told)
        await self._event(to, "message_stop")

    async def trouble(self, to: Connection, kind: str = "overloaded_error") -> None:
        await self._event(to, "error", error={"type": kind, "message": "Overloaded"})

    def error(self, kind: str, message: str) -> Any:
        return {"type": "error", "error": {"type": kind, "message": message}}

    def line(self, message: str) -> str:
        """An error amid the answer."""
        return f"event: error\ndata: {json.dumps(self.error('invalid_request_error', message))}\n\n"


class VllmWire:
    """OpenAI's chat completions."""

    usage = True

    def brain(self, server: FaultServer, **options: Any) -> Any:
        return VllmBrain(**{"url": f"{server.url}/v1", "model": "prova", **options})

    def beside(self, server: FaultServer) -> None:
        async def models(to: Connection) -> None:
            await to.status(200, {"object": "list", "data": [{"id": "prova", "max_model_len": 4096}, {"id": "altra"}]})

        async def nothing(to: Connection) -> None:
            await to.status(404, {"detail": "Not Found"})

        server.beside |= {"/models": models, "/count_tokens": nothing}

    async def _chunk(self, to: Connection, **facts: Any) -> None:
        chunk = {"id": "c", "object": "chat.completion.chunk", "created": 1, "model": "prova-1", "choices": []}
        await to.send(f"data: {json.dumps({**chunk, **facts})}\n\n")

    async def _choice(self, to: Connection, delta: Any, reason: str | None = None) -> None:
        await self._chunk(to, choices=[{"index": 0, "delta": delta, "finish_reason": reason}])

    async def begin(self, to: Connection, usage: bool = True) -> None:
        await to.start()
        await self._chunk(
            to, choices=[{"index": 0, "delta": {"role": "assistant", "content": ""}, "finish_reason": None}]
        )

    async def word(self, to: Connection, word: str) -> None:
        await self._choice(to, {"content": word})

    async def half(self, to: Connection) -> None:
        await to.send('data: {"id":"c","choices":[{"del\n\n')

    async def end(self, to: Connection, usage: bool = True, reason: str = "stop") -> None:
        await self._choice(to, {}, reason)
        if usage:
            told = {"prompt_tokens": 100, "completion_tokens": 3, "prompt_tokens_details": {"cached_tokens": 70}}
            await self._chunk(to, usage=told)
        await to.send("data: [DONE]\n\n")

    async def trouble(self, to: Connection, kind: str = "overloaded_error") -> None:
        await to.send(f"data: {json.dumps({'error': {'type': kind, 'message': 'Overloaded', 'code': 503}})}\n\n")

    def error(self, kind: str, message: str) -> Any:
        return {"error": {"type": kind, "message": message, "code": None, "param": None}}

    def line(self, message: str) -> str:
        """An error amid the answer."""
        return f"data: {json.dumps(self.error('invalid_request_error', message))}\n\n"


class OllamaWire:
    """Ollama's own /api/chat: a stub from its documents, not verified against a real Ollama."""

    usage = True

    def brain(self, server: FaultServer, **options: Any) -> Any:
        return OllamaBrain(**{"url": server.url, "model": "prova", **options})

    def beside(self, server: FaultServer) -> None:
        async def show(to: Connection) -> None:
            info = {"general.architecture": "qwen3", "qwen3.context_length": 40960}
            template = "{{ .System }}{{ .Prompt }}"
            await to.status(200, {"template": template, "model_info": info, "capabilities": ["completion"]})

        async def tags(to: Connection) -> None:
            await to.status(200, {"models": [{"model": "altra:latest", "name": "altra:latest", "details": {}}]})

        async def running(to: Connection) -> None:
            await to.status(200, {"models": [{"model": "prova:latest", "context_length": 40960}]})

        server.beside |= {"/api/show": show, "/api/tags": tags, "/api/ps": running}

    async def _line(self, to: Connection, **facts: Any) -> None:
        await to.send(json.dumps({"model": "prova-1", "created_at": "2026-11-22T10:00:00Z", **facts}) + "\n")

    async def begin(self, to: Connection, usage: bool = True) -> None:
        await to.start("application/x-ndjson")

    async def word(self, to: Connection, word: str) -> None:
        await self._line(to, message={"role": "assistant", "content": word}, done=False)

    async def half(self, to: Connection) -> None:
        await to.send('{"model":"prova-1","mess\n')

    async def end(self, to: Connection, usage: bool = True, reason: str = "stop") -> None:
        told = {"prompt_eval_count": 100, "eval_count": 3, "load_duration": 1_500_000_000} if usage else {}
        await self._line(to, message={"role": "assistant", "content": ""}, done=True, done_reason=reason, **told)

    async def trouble(self, to: Connection, kind: str = "overloaded_error") -> None:
        await to.send(json.dumps({"error": "an error was encountered while running the model"}) + "\n")

    def error(self, kind: str, message: str) -> Any:
        return {"error": message}

    def line(self, message: str) -> str:
        """An error amid the answer."""
        return f"{json.dumps(self.error('', message))}\n"


WIRES = {"claude": ClaudeWire(), "vllm": VllmWire(), "ollama": OllamaWire()}
