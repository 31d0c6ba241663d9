"""Replaces the exceptions of other libraries by their text, with API keys masked.

The exception of a vendor's library refers to its request, with the Authorization header, and to stack frames whose
local variables contain the API key. A brain therefore raises errors whose cause is a `Cause`, which has only text.
"""

from __future__ import annotations

import base64
import os
import re
import traceback
from collections.abc import Collection, Iterable, Iterator
from typing import TypeVar
from urllib.parse import parse_qsl, unquote, urlsplit

from cervella.errors import CervellaError
from cervella.privacy.redaction import mask_secrets

E = TypeVar("E", bound=CervellaError)

_SHORTEST_KEY = 4
"""Minimum characters of a key that is masked: a shorter text would match inside ordinary words."""
_RUN = 8
"""Number of consecutive letters and digits of a key that are masked, even without the rest of the key."""
_LONGEST_TEXT, _LONGEST_CAUSE = 20_000, 500
_DEEPEST, _FRAMES = 8, 3
_NAMES = ("brain", "code", "partial")
"""Attributes of an error that are not masked: the owner chose them, or the user has already seen them."""
_IS_SECRET = re.compile(r"(?:^|_)(?:KEY|TOKEN|SECRET|PASSWORD|PASSWD|CREDENTIALS?)$", re.IGNORECASE)
_QUERY = re.compile(r"(?<=[\w/])\?[\w.%+~-]{1,200}=[^\s'\"<>]+")
_ESCAPE = re.compile(
    r"%(?:25){0,3}(?P<percent>[0-9a-fA-F]{2})|(?<!\\)\\++u00(?P<unicode>[0-9a-fA-F]{2})|(?<!\\)\\++x(?P<hex>[0-9a-fA-F]{2})"
    r"|&#[xX](?P<entity>[0-9a-fA-F]{1,4});|&#(?P<decimal>\d{1,5});|(?<!\\)\\++[nrtbf]|&[a-z]{2,6};|."
    , re.DOTALL
)  # fmt: skip


class Cause(Exception):
    """Another library's exception as text: its class name and message with keys masked, and its last stack frames."""


def keyless(error: E, keys: Collection[str] = ()) -> E:
    """Mask the API keys in an error and in its causes, and return the same error.

    `keys` are the keys to mask; if it is empty, `known_keys()` are masked. A cause that is not a CervellaError becomes
    a `Cause`. Call this outside an `except` block, or after the error was raised: otherwise Python adds the exception
    that is being handled as a new cause.
    """
    _clean(error, keys or known_keys(), set())
    return error


def _clean(error: CervellaError, keys: Collection[str], seen: set[int]) -> None:
    seen.add(id(error))
    for name, value in vars(error).items():
        if isinstance(value, str) and name not in _NAMES:
            setattr(error, name, mask_keys(value, keys))
    error.args = (error.message,)
    behind = _behind(error)
    cause: BaseException | None = None
    if isinstance(behind, CervellaError):
        if id(behind) not in seen:
            _clean(behind, keys, seen)
            cause = behind.with_traceback(None)  # local variables of its frames may contain the key
    elif behind is not None:
        cause = _as_cause(behind, keys, seen)
    error.__cause__, error.__context__, error.__suppress_context__ = cause, None, True


def _behind(error: BaseException) -> BaseException | None:
    return error.__cause__ or (None if error.__suppress_context__ else error.__context__)


def _as_cause(error: BaseException, keys: Collection[str], seen: set[int]) -> BaseException | None:
    """Another library's exception and its causes, as `Cause` objects."""
    if id(error) in seen or len(seen) > _DEEPEST:
        return None
    seen.add(id(error))
    cause = Cause(_as_text(error, keys))
    if not isinstance(error, Cause):
        for frame in _frames(error):
            cause.add_note(mask_keys(frame, keys))
    else:
        cause.__notes__ = getattr(error, "__notes__", [])
    behind = _behind(error)
    if isinstance(behind, CervellaError):
        if id(behind) not in seen:
            _clean(behind, keys, seen)
            cause.__cause__ = behind.with_traceback(None)
    elif behind is not None:
        cause.__cause__ = _as_cause(behind, keys, seen)
    return cause


def _as_text(error: BaseException, keys: Collection[str]) -> str:
    try:
        message = str(error)
    except Exception:  # a faulty __str__ of another library
        message = ""
    message = mask_secrets(mask_keys(message, keys, parts=True))[0][:_LONGEST_CAUSE]
    if isinstance(error, Cause):
        return message
    parts = [_as_text(one, keys) for one in error.exceptions[:4]] if isinstance(error, BaseExceptionGroup) else []
    module = type(error).__module__.partition(".")[0]
    name = type(error).__qualname__ if module in ("builtins", "__main__") else f"{module}.{type(error).__qualname__}"
    return "; ".join([f"{name}: {message}" if message else name, *parts])


def _frames(error: BaseException) -> list[str]:
    """The file, line and function of the last stack frames, without local variables."""
    frames = list(traceback.walk_tb(error.__traceback__))[-_FRAMES:]
    return [f'  File "{frame.f_code.co_filename}", line {line}, in {frame.f_code.co_name}' for frame, line in frames]


# Keys


def known_keys(*variables: str, url: str | None = None) -> frozenset[str]:
    """The secrets that an error message could contain.

    These are the values of the given environment variables and of those with a name such as `…_API_KEY`, and the user,
    password and query values of `url` and of the proxy addresses.
    """
    named = (os.environ.get(name, "").strip() for name in variables)
    found = {value for value in named if len(value) >= _RUN or not value.isalpha()}  # placeholders such as "EMPTY"
    for name, value in os.environ.items():
        if _IS_SECRET.search(name) and len(value) >= _RUN:
            found.add(value)
        elif name.lower().endswith("_proxy"):
            found |= set(_in_url(value))
    if url is not None:
        found |= set(_in_url(url))
    return frozenset(key for one in found if len(key := one.strip()) >= _SHORTEST_KEY)


def _in_url(url: str) -> Iterator[str]:
    try:
        parts = urlsplit(url)
        user, _, password = parts.netloc.rpartition("@")[0].partition(":")
    except ValueError:
        return
    yield unquote(password or user)
    if password and len(user) >= _RUN:
        yield unquote(user)
    if password:
        yield f"{unquote(user)}:{unquote(password)}"
    yield from (value for _, value in parse_qsl(parts.query) if len(value) >= _RUN)


def mask_keys(text: str, keys: Iterable[str], *, parts: bool = False) -> str:
    """Replace every key in the text by "…", also if it is percent-encoded, base64, escaped, split or in capitals.

    `parts` also masks parts of a key: for a text of another program, which may have shortened the key. Only the first
    20,000 characters of the text are returned.

    >>> mask_keys("no such key: sk-Zq7f3Tn9xK%64 2Vw5rLp8, try again", ["sk-Zq7f3Tn9xKd2Vw5rLp8"])
    'no such key: …, try again'
    """
    text = text[:_LONGEST_TEXT]
    if parts:
        text = _QUERY.sub("?…", text)  # the query of a signed URL is a secret
    long: list[str] = []
    short: list[str] = []
    for key in keys:
        text = text.replace(key, "…")
        (long if len(_plain(key)) >= _RUN else short).append(key)
    for key in short:
        for spelled in (re.escape(key), *map(re.escape, _encoded(key))):
            text = re.sub(spelled, "…", text, flags=re.IGNORECASE)
    return _mask_long(text, long, parts) if long else text


def _mask_long(text: str, keys: Iterable[str], parts: bool) -> str:
    pieces = list(_pieces(text))
    plain = "".join(letter for letter, _, _ in pieces)
    covered = bytearray(len(plain))
    needles = {_plain(one) for key in keys for one in (key, *_encoded(key))}
    if parts:
        runs = {needle[at : at + _RUN] for needle in needles for at in range(len(needle) - _RUN + 1)}
        for at in range(len(plain) - _RUN + 1):
            if plain[at : at + _RUN] in runs:
                covered[at : at + _RUN] = b"\1" * _RUN
    else:
        for needle in filter(None, needles):
            at = plain.find(needle)
            while at >= 0:
                covered[at : at + len(needle)] = b"\1" * len(needle)
                at = plain.find(needle, at + 1)
    out, done = [], 0
    for at, (_, start, end) in enumerate(pieces):
        if not covered[at]:
            continue
        if not at or not covered[at - 1]:
            out += [text[done:start], "…"]
        done = end
    return "".join([*out, text[done:]])


def _encoded(key: str) -> Iterator[str]:
    """The key in hexadecimal, and in base64 at each of the three possible byte offsets."""
    whole = key.encode("utf-8", "replace")
    yield whole.hex()
    for before in range(3):
        coded = base64.b64encode(bytes(before) + whole).decode().rstrip("=")
        yield coded[-(-8 * before // 6) : -1]
        yield base64.urlsafe_b64encode(bytes(before) + whole).decode().rstrip("=")[-(-8 * before // 6) : -1]


def _plain(text: str) -> str:
    return "".join(letter for letter, _, _ in _pieces(text))


def _pieces(text: str) -> Iterator[tuple[str, int, int]]:
    """The letters and digits of a text in lower case, with escapes decoded, each with its start and end offset."""
    for found in _ESCAPE.finditer(text):
        letter = found[0]
        if len(letter) > 1:
            sixteen = found["percent"] or found["unicode"] or found["hex"] or found["entity"]
            number = int(sixteen, 16) if sixteen else int(found["decimal"] or 0)
            letter = chr(number)
        if letter.isalnum():
            yield letter.lower()[:1], *found.span()
