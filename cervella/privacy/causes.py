"""What another library raised, kept as text: its own exception holds the request, and the request holds the key.

An exception of a vendor keeps its request with the Authorization header, the body that may repeat the key, and frames
whose locals hold both. None of that leaves a brain: what caused a failure is told by a `Cause`.
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
"""Characters: what is shorter keeps no secret, and would be found in every word."""
_RUN = 8
"""Letters and digits of a key in a row that tell too much of it."""
_LONGEST_TEXT, _LONGEST_CAUSE = 20_000, 500
_DEEPEST, _FRAMES = 8, 3
_NAMES = ("brain", "code", "partial")
"""What an error says that is the owner's own, or was shown already."""
_IS_SECRET = re.compile(r"(?:^|_)(?:KEY|TOKEN|SECRET|PASSWORD|PASSWD|CREDENTIALS?)$", re.IGNORECASE)
_QUERY = re.compile(r"(?<=[\w/])\?[\w.%+~-]{1,200}=[^\s'\"<>]+")
_ESCAPE = re.compile(
    r"%(?:25){0,3}(?P<percent>[0-9a-fA-F]{2})|\\+u00(?P<unicode>[0-9a-fA-F]{2})|\\+x(?P<hex>[0-9a-fA-F]{2})"
    r"|&#[xX](?P<entity>[0-9a-fA-F]{1,4});|&#(?P<decimal>\d{1,5});|\\+[nrtbf]|&[a-z]{2,6};|."
    , re.DOTALL
)  # fmt: skip


class Cause(Exception):
    """What another library raised: the name of its exception, its message without keys, and where it was raised."""


def keyless(error: E, keys: Collection[str] = ()) -> E:
    """The same error, with no key in it nor in anything that caused it.

    Whatever is not an error of the house becomes a `Cause`. Call it where the error is already raised, or where no
    exception is being handled when it will be: Python puts that one behind it.
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
            cause = behind.with_traceback(None)  # the locals of its frames hold what the server said
    elif behind is not None:
        cause = _told(behind, keys, seen)
    error.__cause__, error.__context__, error.__suppress_context__ = cause, None, True


def _behind(error: BaseException) -> BaseException | None:
    return error.__cause__ or (None if error.__suppress_context__ else error.__context__)


def _told(error: BaseException, keys: Collection[str], seen: set[int]) -> BaseException | None:
    """An exception of somebody else, and what is behind it, as text."""
    if id(error) in seen or len(seen) > _DEEPEST:
        return None
    seen.add(id(error))
    cause = Cause(_as_text(error, keys))
    if not isinstance(error, Cause):
        for where in _frames(error):
            cause.add_note(mask_keys(where, keys))
    else:
        cause.__notes__ = getattr(error, "__notes__", [])
    behind = _behind(error)
    if isinstance(behind, CervellaError):
        if id(behind) not in seen:
            _clean(behind, keys, seen)
            cause.__cause__ = behind.with_traceback(None)
    elif behind is not None:
        cause.__cause__ = _told(behind, keys, seen)
    return cause


def _as_text(error: BaseException, keys: Collection[str]) -> str:
    try:
        said = str(error)
    except Exception:  # an exception that can't be printed says nothing
        said = ""
    said = mask_secrets(mask_keys(said, keys, parts=True))[0][:_LONGEST_CAUSE]
    if isinstance(error, Cause):
        return said
    parts = [_as_text(one, keys) for one in error.exceptions[:4]] if isinstance(error, BaseExceptionGroup) else []
    module = type(error).__module__.partition(".")[0]
    name = type(error).__qualname__ if module in ("builtins", "__main__") else f"{module}.{type(error).__qualname__}"
    return "; ".join([f"{name}: {said}" if said else name, *parts])


def _frames(error: BaseException) -> list[str]:
    """The last places that it went through, without what their variables held."""
    frames = list(traceback.walk_tb(error.__traceback__))[-_FRAMES:]
    return [f'  File "{frame.f_code.co_filename}", line {line}, in {frame.f_code.co_name}' for frame, line in frames]


# Keys


def known_keys(*variables: str | None, url: str | None = None) -> frozenset[str]:
    """The secrets that a message could repeat: what these environment variables hold, and those whose name says that
    they keep a secret; user, password and query of the url, and of the proxies."""
    named = (os.environ.get(name, "").strip() for name in variables if name)
    found = {value for value in named if len(value) >= _RUN or not value.isalpha()}  # "EMPTY" and "ollama" are no keys
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
    """The text with "…" for every key, however it is spelled: percent-encoded, base64, escaped, split, in capitals.

    `parts` masks what is a part of a key, too: for a text that somebody else wrote, and may have cut. Of a text
    longer than 20,000 characters only the beginning is kept.

    >>> mask_keys("no such key: sk-Zq7f3Tn9xK%64 2Vw5rLp8, try again", ["sk-Zq7f3Tn9xKd2Vw5rLp8"])
    'no such key: …, try again'
    """
    text = text[:_LONGEST_TEXT]
    if parts:
        text = _QUERY.sub("?…", text)  # a signed address is a key, too
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
    """The key in hexadecimal and in base64, which spells the same bytes in three ways: alone, or behind a user."""
    whole = key.encode("utf-8", "replace")
    yield whole.hex()
    for before in range(3):
        coded = base64.b64encode(bytes(before) + whole).decode().rstrip("=")
        yield coded[-(-8 * before // 6) : -1]
        yield base64.urlsafe_b64encode(bytes(before) + whole).decode().rstrip("=")[-(-8 * before // 6) : -1]


def _plain(text: str) -> str:
    return "".join(letter for letter, _, _ in _pieces(text))


def _pieces(text: str) -> Iterator[tuple[str, int, int]]:
    """The letters and digits of a text in lower case, what is escaped unescaped, each with its place."""
    for found in _ESCAPE.finditer(text):
        letter = found[0]
        if len(letter) > 1:
            sixteen = found["percent"] or found["unicode"] or found["hex"] or found["entity"]
            number = int(sixteen, 16) if sixteen else int(found["decimal"] or 0)
            letter = chr(number)
        if letter.isalnum():
            yield letter.lower()[:1], *found.span()
