"""Creates HTTP clients, one for each event loop, and checks the settings of a server: address, key, model and
numbers."""

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
"""Maximum size of the response to a single GET."""

T = TypeVar("T")


def checked_url(url: str) -> str:
    """Return the url without a slash at its end. Raises ValueError if it does not begin with http:// or https://, or
    has no host."""
    parts = urlsplit(url)
    if parts.scheme not in ("http", "https") or not parts.hostname:
        raise ValueError(f"url is {shown_url(url)!r}, and must begin with http:// or https:// and name a host")
    return url.rstrip("/")


def is_loopback(url: str) -> bool:
    """Whether a url is the address of this machine.

    >>> is_loopback("http://127.0.0.1:11434"), is_loopback("http://127.0.0.1.example.com")
    (True, False)
    """
    host = urlsplit(url).hostname or ""
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"


def location_of_url(url: str) -> Location:
    """`local` for this machine, else `cloud`. Only the owner can declare another machine private."""
    return "local" if is_loopback(url) else "cloud"


def shown_url(url: str) -> str:
    """The url without user, password, query and fragment, to be shown in messages and logs."""
    parts = urlsplit(url)
    return urlunsplit(parts._replace(netloc=parts.netloc.rpartition("@")[2], query="", fragment=""))


def login_of(url: str) -> tuple[str, str] | None:
    """User and password in a url; None where it has none.

    >>> login_of("http://io:so%40@gpu-box:8000/v1"), login_of("http://gpu-box:8000/v1")
    (('io', 'so@'), None)
    """
    user, _, password = urlsplit(url).netloc.rpartition("@")[0].partition(":")
    return (unquote(user), unquote(password)) if user or password else None


def key_from(*variables: str) -> str | None:
    """The value of the first of these environment variables that is set and not empty; None if none is."""
    return next((value for name in variables if (value := os.environ.get(name, "").strip())), None)


def checked_variable(name: str | None) -> str | None:
    """Return the name of an environment variable, or None, after a check.

    Raises ValueError if the text can't be such a name. The error does not show the text, because the user may have
    written the key itself there.
    """
    if name is not None and not _VARIABLE.fullmatch(name):
        raise ValueError("api_key_env must be the name of an environment variable, such as GPU_BOX_KEY, not a key")
    return name


def checked_model(model: str | None) -> str | None:
    """The model's name without outer blanks; None for an empty one. Raises ValueError if it is not a string."""
    if model is not None and not isinstance(model, str):
        raise ValueError(f"model is {model!r}, and must be a name")
    return (model or "").strip() or None


def checked_number(option: str, value: int | None, *, least: int = 1) -> int | None:
    """Return `value` if it is None or a whole number of `least` or more; else raise ValueError.

    `option` is the name of the setting, for the message.
    """
    if value is not None and (not isinstance(value, int) or value < least):
        raise ValueError(f"{option} is {value!r}, and must be a whole number, {least} or more")
    return value


def openai_address(url: str) -> str | None:
    """The address at which the server of `url` probably has its OpenAI-compatible API; None if that is `url` itself.

    Adds `/v1` to a url without a version, and removes the name of an endpoint such as `/chat/completions`.

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
    """Keyword arguments for a client of httpx or httpx2 that sends `key`, if there is one, with each request.

    Only connecting has a timeout, in seconds: the shield (the wrapper around every brain) limits the time of an answer.
    """
    # llama.cpp's server may close a connection after a stream, at the moment at which it is used again. On this machine
    # a new connection costs nothing.
    kept = 0 if is_loopback(url) else 20
    return {
        "auth": login_of(url),
        "headers": {"Authorization": f"Bearer {key}"} if key else None,
        "limits": {"max_connections": _MOST_CONNECTIONS, "max_keepalive_connections": kept},
        "timeout": {"timeout": None, "connect": connect_timeout},
        "follow_redirects": False,  # a local server must not redirect the question to a remote one
        "trust_env": not is_loopback(url),  # traffic within this machine must not pass through a proxy
        "verify": not url.startswith("http://"),  # httpx would load the certificates even for plain HTTP
    }


def async_client(url: str, connect_timeout: float, *, key: str | None = None) -> httpx2.AsyncClient:
    """A new client for the server at `url`, to which the paths of requests are relative. `connect_timeout` is in
    seconds."""
    import httpx2

    options = client_options(url, connect_timeout, key)
    limits, timeout = httpx2.Limits(**options.pop("limits")), httpx2.Timeout(**options.pop("timeout"))
    return httpx2.AsyncClient(**options, base_url=shown_url(url), limits=limits, timeout=timeout)


class Inner(Generic[T]):
    """Wraps an async generator so that the event loop does not close it. The code that iterates over it must close it.

    An event loop that ends closes all generators that it knows at the same time. A generator that reads from another
    one could not close that one then.
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
    """A context manager that closes a client's stream at its end, also after a cancellation: then the server stops
    generating."""

    def __init__(self, stream: Any) -> None:
        self._stream = stream

    async def __aenter__(self) -> Any:
        return self._stream

    async def __aexit__(self, *_: object) -> None:
        with anyio.CancelScope(shield=True):
            await self._stream.close()


class PerLoop(Generic[T]):
    """One client for each event loop, because a client's connections belong to the loop that opened them.

    `make` creates a client, and `close` closes one. A client is closed on its own loop, by `aclose` or at the end of
    the loop. A copy or pickle of this object contains no client.
    """

    def __init__(self, make: Callable[[], T], close: Callable[[T], Awaitable[None]]) -> None:
        self._make = make
        self._close = close
        self._open: dict[Any, tuple[AsyncGenerator[T, None], T]] = {}

    async def get(self) -> T:
        """The client of the running loop."""
        for loop in list(self._open):
            if getattr(loop.native_token, "is_closed", bool)():  # the loop was closed without closing its generators
                self._open.pop(loop, None)
        here = current_token()
        if here not in self._open:
            # An event loop closes its async generators at its end: this closes the client if the program does not.
            keeper = self._keep(here)
            self._open[here] = (keeper, await anext(keeper))
        return self._open[here][1]

    async def _keep(self, here: object) -> AsyncGenerator[T, None]:
        client = self._make()
        try:
            yield client
        finally:
            self._open.pop(here, None)
            await self._close(client)

    async def aclose(self) -> None:
        """Close the client of the running loop."""
        keeper, _ = self._open.pop(current_token(), (None, None))
        if keeper is not None:
            await keeper.aclose()

    def __getstate__(self) -> dict[str, Any]:
        return {"_make": self._make, "_close": self._close, "_open": {}}


def get_json(url: str, *, timeout: float, key: str | None = None) -> Any:
    """The JSON of the response to a GET request, with a timeout in seconds for the whole response.

    Raises httpx2.HTTPError for a failure of the connection, a timeout or an error status, and ValueError for a response
    that is not JSON or is too long.
    """
    import httpx2

    until = time.monotonic() + timeout
    # Half of the time for connecting, half for waiting. A single connection needs no limits.
    options = {**client_options(url, timeout, key), "limits": httpx2.Limits(), "timeout": timeout / 2}
    with httpx2.Client(**options) as client, client.stream("GET", shown_url(url)) as response:
        body = b""
        for piece in response.iter_bytes():
            body += piece
            if time.monotonic() > until:
                raise httpx2.ReadTimeout(f"no whole answer within {timeout:g} s")
            if len(body) > _MOST_BYTES:
                raise ValueError("the response is too long")
        response.raise_for_status()
        return json.loads(body)
