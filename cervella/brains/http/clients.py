"""Addresses of servers, a client for each event loop, a short look at a server."""

from __future__ import annotations

import ipaddress
import json
import os
import re
import sys
import time
from collections.abc import AsyncGenerator, Awaitable, Callable
from typing import TYPE_CHECKING, Any, Generic, TypeVar
from urllib.parse import unquote, urlsplit, urlunsplit

import anyio
from anyio.lowlevel import current_token

from cervella.types import Location

if TYPE_CHECKING:
    import httpx2

_VARIABLE = re.compile(r"[A-Za-z_][A-Za-z0-9_]*")
_VERSION = re.compile(r"/v\d+(?:/|$|[a-z])")
_ENDPOINT = re.compile(r"/(?:chat/completions|completions|responses|models)$")
_MOST_CONNECTIONS = 1000
_MOST_BYTES = 4 * 2**20

T = TypeVar("T")


def checked_url(url: str) -> str:
    """The url without a slash at its end. Raises ValueError where it is none."""
    parts = urlsplit(url)
    if parts.scheme not in ("http", "https") or not parts.hostname:
        raise ValueError(f"url is {shown_url(url)!r}, and must begin with http:// or https:// and name a host")
    return url.rstrip("/")


def is_loopback(url: str) -> bool:
    """Whether a url leads to this machine.

    >>> is_loopback("http://127.0.0.1:11434"), is_loopback("http://127.0.0.1.example.com")
    (True, False)
    """
    host = urlsplit(url).hostname or ""
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"


def location_of_url(url: str) -> Location:
    """`local` for this machine, else `cloud`: that a machine is the owner's, only the owner can say."""
    return "local" if is_loopback(url) else "cloud"


def shown_url(url: str) -> str:
    """The url without user, password, query and fragment: for a message, and for a client, which logs it."""
    parts = urlsplit(url)
    return urlunsplit(parts._replace(netloc=parts.netloc.rpartition("@")[2], query="", fragment=""))


def login_of(url: str) -> tuple[str, str] | None:
    """User and password that stand in the url.

    >>> login_of("http://io:so%40@gpu-box:8000/v1"), login_of("http://gpu-box:8000/v1")
    (('io', 'so@'), None)
    """
    user, _, password = urlsplit(url).netloc.rpartition("@")[0].partition(":")
    return (unquote(user), unquote(password)) if user or password else None


def key_from(*variables: str | None) -> str | None:
    """What the first of these environment variables holds that holds anything: read where it is used, kept nowhere."""
    return next((value for name in variables if name and (value := os.environ.get(name, "").strip())), None)


def checked_variable(name: str | None) -> str | None:
    """The name of an environment variable. Raises ValueError where it can't be one, without repeating it."""
    if name is not None and not _VARIABLE.fullmatch(name):
        raise ValueError("api_key_env must be the name of an environment variable, such as GPU_BOX_KEY, not a key")
    return name


def checked_model(model: str | None) -> str | None:
    """The name of a model without blanks around it; None where there is none. Raises ValueError where it is no name."""
    if model is not None and not isinstance(model, str):
        raise ValueError(f"model is {model!r}, and must be a name")
    return (model or "").strip() or None


def checked_number(option: str, value: int | None, *, least: int = 1) -> int | None:
    """The number. Raises ValueError where it is not a whole number of `least` or more; None is no number."""
    if value is not None and (not isinstance(value, int) or value < least):
        raise ValueError(f"{option} is {value!r}, and must be a whole number, {least} or more")
    return value


def openai_address(url: str) -> str | None:
    """Where an OpenAI-compatible server usually answers, for a url that names no version, or one of its endpoints;
    None for any other.

    >>> openai_address("http://gpu-box:8000"), openai_address("http://gpu-box:8000/v1")
    ('http://gpu-box:8000/v1', None)
    >>> openai_address("http://gpu-box:8000/v1/chat/completions")
    'http://gpu-box:8000/v1'
    """
    bare = url.rstrip("/")
    server = _ENDPOINT.sub("", bare)
    if not _VERSION.search(urlsplit(server).path):
        return f"{server}/v1"
    return None if server == bare else server


def client_options(url: str, connect_timeout: float, key: str | None = None) -> dict[str, Any]:
    """Options of a client for one server, in the words of httpx and httpx2; `timeout` is left to be made of
    `connect_timeout`: the shield limits how long an answer may take."""
    # After a stream llama.cpp's server may close a connection in the moment in which it is used again; on this machine
    # a new one costs nothing.
    kept = 0 if is_loopback(url) else 20
    return {
        "auth": login_of(url),
        "headers": {"Authorization": f"Bearer {key}"} if key else None,
        "limits": {"max_connections": _MOST_CONNECTIONS, "max_keepalive_connections": kept},
        "timeout": {"timeout": None, "connect": connect_timeout},
        "follow_redirects": False,  # a server that is local may not send the question on to one that is not
        "trust_env": not is_loopback(url),  # a proxy for the rest of the world must not see what stays on this machine
        "verify": not url.startswith("http://"),  # certificates that nobody asks for would be read all the same
    }


def async_client(url: str, connect_timeout: float, *, key: str | None = None) -> httpx2.AsyncClient:
    """A client for one server."""
    import httpx2

    options = client_options(url, connect_timeout, key)
    limits, timeout = httpx2.Limits(**options.pop("limits")), httpx2.Timeout(**options.pop("timeout"))
    return httpx2.AsyncClient(**options, base_url=shown_url(url), limits=limits, timeout=timeout)


class Inner(Generic[T]):
    """An async generator that another one reads and closes, so that the loop must not do it.

    A loop that ends closes all generators that it knows at once: the outer one would find the inner one busy.
    """

    def __init__(self, generator: AsyncGenerator[T, None]) -> None:
        self._generator = generator
        self.aclose = generator.aclose

    def __aiter__(self) -> Inner[T]:
        return self

    def __anext__(self) -> Awaitable[T]:
        hooks = sys.get_asyncgen_hooks()
        sys.set_asyncgen_hooks(None, None)
        try:
            return self._generator.__anext__()
        finally:
            sys.set_asyncgen_hooks(*hooks)


class closing:
    """Closes a stream of a client's, also where the reader was cancelled: then the server stops writing."""

    def __init__(self, stream: Any) -> None:
        self._stream = stream

    async def __aenter__(self) -> Any:
        return self._stream

    async def __aexit__(self, *_: object) -> None:
        with anyio.CancelScope(shield=True):
            await self._stream.close()


class PerLoop(Generic[T]):
    """One client for each event loop: a client's connections belong to the loop that opened them.

    A client is closed on its loop: by `aclose` there, or when the loop ends. A copy, a pickled one too, has none.
    """

    def __init__(self, make: Callable[[], T], close: Callable[[T], Awaitable[None]]) -> None:
        self._make = make
        self._close = close
        self._open: dict[Any, tuple[AsyncGenerator[T, None], T]] = {}

    async def get(self) -> T:
        """The client of the running loop."""
        for loop in [loop for loop in self._open if getattr(loop, "is_closed", bool)()]:
            self._open.pop(loop, None)
        here = current_token()
        if here not in self._open:
            # A loop that ends closes the async generators that it began: that is what closes the client of a
            # program that does not.
            keeper = self._keep()
            self._open[here] = (keeper, await anext(keeper))
        return self._open[here][1]

    async def _keep(self) -> AsyncGenerator[T, None]:
        client = self._make()
        try:
            yield client
        finally:
            await self._close(client)

    async def aclose(self) -> None:
        """Close the client of the running loop."""
        keeper, _ = self._open.pop(current_token(), (None, None))
        if keeper is not None:
            await keeper.aclose()

    def __getstate__(self) -> dict[str, Any]:
        return {"_make": self._make, "_close": self._close, "_open": {}}


def get_json(url: str, *, timeout: float, key: str | None = None) -> Any:
    """What a server says to one GET, in `timeout` seconds at most. Raises httpx2.HTTPError, ValueError."""
    import httpx2

    until = time.monotonic() + timeout
    # Each step may take half of it: connecting, and then the wait for the answer.
    with (
        httpx2.Client(
            auth=login_of(url), timeout=timeout / 2, trust_env=not is_loopback(url), follow_redirects=False
        ) as client,
        client.stream("GET", shown_url(url), headers={"Authorization": f"Bearer {key}"} if key else {}) as response,
    ):
        body = b""
        for piece in response.iter_bytes():
            body += piece
            if time.monotonic() > until:
                raise httpx2.ReadTimeout(f"no whole answer within {timeout:g} s")
            if len(body) > _MOST_BYTES:
                raise ValueError("its answer is too long")
        response.raise_for_status()
        return json.loads(body)
