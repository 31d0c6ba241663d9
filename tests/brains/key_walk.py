"""Everything that somebody who holds an error can print of it, and whether a key is in it, however it is spelled."""

from __future__ import annotations

import base64
import html
import json
import re
import traceback
from collections.abc import Iterator
from typing import Any
from urllib.parse import quote, unquote

import cervella

_RUN = 10
"""Letters and digits of a key in a row that are a leak."""


def spellings(key: str) -> dict[str, str]:
    """A key as a server may repeat it."""
    middle = len(key) // 2
    return {
        "plain": key,
        "bearer": f"Authorization: Bearer {key}",
        "upper": key.upper(),
        "percent": quote(key, safe=""),
        "every_letter_percent": "".join(f"%{ord(letter):02X}" for letter in key),
        "percent_twice": quote(quote(key, safe=""), safe=""),
        "basic": base64.b64encode(f"user:{key}".encode()).decode(),
        "base64_url": base64.urlsafe_b64encode(key.encode()).decode(),
        "two_lines": f"{key[:middle]}\r\n  {key[middle:]}",
        "spaced": " ".join(key),
        "json_escapes": "".join(f"\\u{ord(letter):04x}" for letter in key),
        "json_in_json": json.dumps(json.dumps({"key": f"{key[:middle]}\n{key[middle:]}"})),
        "html": "".join(f"&#{ord(letter)};" for letter in key),
        "hex": key.encode().hex(),
        "beginning": f"the key {key[: middle + 4]}",
        "end": f"…{key[middle - 4 :]}",
        "across_the_limit": f"{'no ' * 160}{key}",
        "after_much": f"{'no ' * 3000}{key}",
        "as_bytes": repr(key.encode()),
        "question_mark_key": f"http://example.com/?key={quote(key, safe='')}",
    }


def _plain(text: str) -> str:
    text = html.unescape(unquote(unquote(text)))
    text = re.sub(r"\\+u00([0-9a-fA-F]{2})|\\+x([0-9a-fA-F]{2})", lambda m: chr(int(m[1] or m[2], 16)), text)
    return re.sub(r"[^a-z0-9]", "", re.sub(r"\\+[nrt]", "", text).lower())


def leaks(text: str, key: str) -> str | None:
    """The part of the text in which a part of the key stands; None where it holds none."""
    needles = [key, key.encode().hex()]
    for before in ("", "a", "ab"):  # base64 spells the same bytes in three ways
        needles.append(base64.b64encode(f"{before}{key}".encode()).decode()[4:-4])
    plain = _plain(text)
    for needle in map(_plain, needles):
        for start in range(len(needle) - _RUN + 1):
            if (at := plain.find(needle[start : start + _RUN])) >= 0:
                return plain[max(0, at - 40) : at + 60]
    return None


def reached(error: BaseException) -> list[BaseException]:
    """The error and all that is behind it."""
    found: dict[int, BaseException] = {}
    waiting: list[Any] = [error]
    while waiting:
        one = waiting.pop()
        if isinstance(one, BaseException) and id(one) not in found:
            found[id(one)] = one
            waiting += [one.__cause__, one.__context__, *getattr(one, "exceptions", ())]
    return list(found.values())


def shown(error: BaseException) -> Iterator[tuple[str, str]]:
    """Where, and what can be read there."""
    yield "formatted", "".join(traceback.format_exception(error))
    for one in reached(error):
        name = type(one).__name__
        yield f"{name} str", str(one)
        yield f"{name} repr", repr(one)
        yield f"{name} args", repr(one.args)
        for attribute, value in [*vars(one).items(), *((a, getattr(one, a, None)) for a in ("request", "response"))]:
            yield f"{name}.{attribute}", _deep(value)
        frame = one.__traceback__
        while frame is not None:
            code, held = frame.tb_frame.f_code, frame.tb_frame.f_locals
            if _is_ours_or_a_vendors(code.co_filename):
                for local, value in list(held.items()):
                    yield f"{name} local {local} in {code.co_name}", repr(value)
            frame = frame.tb_next


def _is_ours_or_a_vendors(file: str) -> bool:
    return "/tests/" not in file and (file.startswith(cervella.__path__[0]) or "site-packages" in file)


def _deep(value: Any, depth: int = 2) -> str:
    """A value with its headers, body and what else hangs on it."""
    texts = [repr(value)]
    for name in ("headers", "text", "content", "body", "url", "request", "response") if depth else ():
        try:
            inner = getattr(value, name, None)
        except Exception:  # a body that was not read
            continue
        if callable(inner) or inner is None:
            continue
        texts.append(repr(dict(inner)) if name == "headers" else str(inner))
        texts.append(_deep(inner, depth - 1))
    return " ".join(texts)


def keys_in(error: BaseException, *keys: str) -> list[str]:
    """Each place where a part of a key can be read."""
    return [f"{where}: {found}" for where, text in shown(error) for key in keys if (found := leaks(text, key))]
