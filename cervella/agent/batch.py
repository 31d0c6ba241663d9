"""Many questions: asked several at once, answered in order; in files, resumable."""

from __future__ import annotations

import asyncio
import contextlib
import hashlib
import json
from collections import Counter, deque
from collections.abc import AsyncGenerator, Awaitable, Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from cervella.errors import CervellaError, ConfigError, did_you_mean, refused
from cervella.types import Reply

__all__ = ["OPTIONS", "Question", "answered_rows", "in_order", "questions_in"]

OPTIONS = ("brain", "filters", "history", "max_output_tokens", "query", "temperature", "timeout", "top_k")
"""What a question of a batch can have of its own, besides its text."""
_AHEAD = 4
"""Answers that may wait for a slower one before them, as a multiple of those asked at once."""

Asked = str | Mapping[str, Any]


async def in_order(
    ask: Callable[[str, Mapping[str, Any]], Awaitable[Reply]], questions: Iterable[Asked], *, concurrency: int
) -> AsyncGenerator[Reply | CervellaError, None]:
    """The answers in the order of the questions, at most `concurrency` asked at once; an error in the place of its own.

    The questions are taken as they are needed. Closing the generator cancels what is still being asked.
    """
    if isinstance(concurrency, bool) or not isinstance(concurrency, int) or concurrency < 1:
        raise ConfigError(f"concurrency is {concurrency!r}.", remedy="Give a whole number above 0.", code="bad_value")
    if isinstance(questions, (str, Mapping)):
        raise ConfigError("The questions are one question.", remedy="Give a list of them.", code="bad_value")
    free = asyncio.Semaphore(concurrency)

    async def answer(asked: Asked) -> Reply | CervellaError:
        async with free:
            try:
                return await ask(*_parts(asked))
            except CervellaError as error:
                return error

    # Tasks of asyncio and no task group: a group can't be left open across a yield.
    asking: deque[asyncio.Task[Reply | CervellaError]] = deque()
    try:
        for asked in questions:
            asking.append(asyncio.create_task(answer(asked)))
            if len(asking) >= concurrency * _AHEAD:
                yield await asking[0]
                asking.popleft()
        while asking:
            yield await asking[0]
            asking.popleft()
    finally:
        for task in asking:
            task.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await asyncio.gather(*asking, return_exceptions=True)


def _parts(asked: Asked) -> tuple[str, Mapping[str, Any]]:
    if isinstance(asked, str):
        return asked, {}
    if not isinstance(asked, Mapping) or "question" not in asked:
        raise ConfigError(
            f"A question of the batch is {asked!r:.60}.", remedy="Give a text, or a mapping with `question`."
        )
    for key in asked:
        if key not in (*OPTIONS, "question"):
            raise ConfigError(
                f"A question of the batch has no option {key!r}.",
                remedy=f"{did_you_mean(str(key), OPTIONS)}Options: {', '.join(OPTIONS)}.",
                code="unknown_key",
            )
    return asked["question"], {key: value for key, value in asked.items() if key != "question"}


@dataclass(frozen=True, slots=True, kw_only=True)
class Question:
    """A line of a file of questions."""

    line: int
    """1-based."""
    id: Any
    """As the line gives it; without one, of the line's own text."""
    asked: Asked | None = None
    """None where the line can't be read."""
    problem: str = ""
    """Why it can't."""
    left_out: tuple[str, ...] = field(default=())
    """Keys that mean nothing to us."""

    @property
    def key(self) -> str:
        """The id as text, by which a row is found again."""
        return json.dumps(self.id, sort_keys=True)


def questions_in(path: Path) -> Iterator[Question]:
    """The questions of a file in JSON Lines, each a text or an object with `question`; raises ConfigError.

    A line that can't be read is a Question with its problem; an empty one is none.
    """
    for number, line in enumerate(_lines(path), 1):
        if not line.strip():
            continue
        own = hashlib.sha256(line.strip()).hexdigest()[:16]
        try:
            data = json.loads(line)
        except ValueError:  # not UTF-8, or not JSON
            yield Question(line=number, id=own, problem="it is no JSON")
            continue
        if isinstance(data, str):
            yield Question(line=number, id=own, asked=data)
        elif isinstance(data, dict):
            id = own if data.get("id") is None else data["id"]
            if "question" not in data:
                yield Question(line=number, id=id, problem="it has no `question`")
                continue
            asked = {key: value for key, value in data.items() if key in (*OPTIONS, "question")}
            left_out = tuple(key for key in data if key not in asked and key != "id")
            yield Question(line=number, id=id, asked=asked, left_out=left_out)
        else:
            yield Question(line=number, id=own, problem="it is neither a text nor an object")


def answered_rows(path: Path) -> Counter[str]:
    """How often each key is in a file of answers. A last row that was cut off is taken out of the file."""
    if not path.exists():
        return Counter()
    lines = _lines(path)
    whole = lines if lines and lines[-1].endswith(b"\n") else lines[:-1]
    done: Counter[str] = Counter()
    for number, line in enumerate(whole, 1):
        try:
            done[json.dumps(json.loads(line)["id"], sort_keys=True)] += 1
        except (KeyError, TypeError, ValueError) as error:
            raise ConfigError(
                f"The line {number} of {str(path)!r} is no row of a batch.",
                remedy="Name another file with --out, or take that line out.",
            ) from error
    if len(whole) < len(lines):
        with path.open("r+b") as file:
            file.truncate(sum(map(len, whole)))
    return done


def _lines(path: Path) -> list[bytes]:
    with refused(ConfigError, f"The file {str(path)!r} can't be read", remedy="Correct its path."):
        return path.read_bytes().removeprefix(b"\xef\xbb\xbf").splitlines(keepends=True)
