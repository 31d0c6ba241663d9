"""A server on loopback that does one wrong thing at a time, in the wire format of the engine that is asked.

It speaks plain sockets: what a framework would mend (a reset, half a line, silence) is what it is for.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import socket
import struct
import threading
from collections.abc import Awaitable, Callable, Iterator
from dataclasses import dataclass, field
from typing import Any


@dataclass
class Request:
    method: str
    path: str
    headers: dict[str, str]
    body: Any


class Connection:
    """One request's answer, written piece by piece."""

    def __init__(self, request: Request, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.request = request
        self._reader = reader
        self._writer = writer
        self.left = asyncio.Event()
        """Set once the client is gone."""

    async def send(self, data: str) -> None:
        self._writer.write(data.encode())
        await self._writer.drain()

    async def status(self, status: int, body: Any = "", **headers: str) -> None:
        text = body if isinstance(body, str) else json.dumps(body)
        told = {"Content-Type": "application/json", "Content-Length": str(len(text.encode())), "Connection": "close"}
        told |= {name.replace("_", "-"): value for name, value in headers.items()}
        lines = "".join(f"{name}: {value}\r\n" for name, value in told.items())
        await self.send(f"HTTP/1.1 {status} -\r\n{lines}\r\n{text}")

    async def start(self, media_type: str = "text/event-stream") -> None:
        await self.send(f"HTTP/1.1 200 OK\r\nContent-Type: {media_type}\r\nConnection: close\r\n\r\n")

    def reset(self) -> None:
        """Break the connection, as a machine that goes down does."""
        raw = self._writer.get_extra_info("socket")
        raw.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        self._writer.transport.abort()

    async def hang(self) -> None:
        """Say nothing until the client has left."""
        await self._reader.read()
        self.left.set()


Play = Callable[[Connection], Awaitable[None]]


@dataclass
class FaultServer:
    """Plays one scene for each request, the last one for ever. What is asked beside is answered by `beside`."""

    scenes: list[Play] = field(default_factory=list)
    beside: dict[str, Play] = field(default_factory=dict)
    """By the end of the path."""
    requests: list[Request] = field(default_factory=list)
    """Those that a scene was played for."""
    asked_beside: list[Request] = field(default_factory=list)
    left: threading.Event = field(default_factory=threading.Event)
    """Set once a client left a scene that was hanging."""
    port: int = 0

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            with contextlib.suppress(ConnectionError, asyncio.IncompleteReadError):
                await self._answer(reader, writer)
            writer.close()
            with contextlib.suppress(ConnectionError):
                await writer.wait_closed()
        finally:
            writer.transport.abort()

    async def _answer(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        head = (await reader.readuntil(b"\r\n\r\n")).decode().split("\r\n")
        method, path, _ = head[0].split(" ")
        headers = {k.lower(): v.strip() for k, _, v in (line.partition(":") for line in head[1:] if line)}
        raw = await reader.readexactly(int(headers.get("content-length", 0)))
        request = Request(method=method, path=path, headers=headers, body=json.loads(raw) if raw else None)
        connection = Connection(request, reader, writer)
        beside = next((play for end, play in self.beside.items() if path.endswith(end)), None)
        if beside is not None:
            self.asked_beside.append(request)
            await beside(connection)
        else:
            self.requests.append(request)
            await self.scenes[min(len(self.requests), len(self.scenes)) - 1](connection)
        if connection.left.is_set():
            self.left.set()


@contextlib.contextmanager
def fault_server() -> Iterator[FaultServer]:
    server, ready, loop = FaultServer(), threading.Event(), asyncio.new_event_loop()
    stopping = asyncio.Event()

    async def run() -> None:
        listening = await asyncio.start_server(server._serve, "127.0.0.1", 0)
        server.port = listening.sockets[0].getsockname()[1]
        ready.set()
        async with listening:
            await stopping.wait()
        open_still = asyncio.all_tasks() - {asyncio.current_task()}
        for task in open_still:
            task.cancel()
        await asyncio.gather(*open_still, return_exceptions=True)
        await asyncio.sleep(0)  # a connection that was aborted is closed at the loop's next turn
        await asyncio.sleep(0)

    def serve() -> None:
        with asyncio.Runner(loop_factory=lambda: loop) as runner:
            runner.run(run())

    thread = threading.Thread(target=serve, daemon=True)
    thread.start()
    assert ready.wait(10)
    try:
        yield server
    finally:
        loop.call_soon_threadsafe(stopping.set)
        thread.join(10)
