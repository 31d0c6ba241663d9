"""Helpers for tests of brains and retrievers.

EchoBrain and ScriptedBrain have known answers and call no engine, and FixedRetriever has known passages. `check_brain`
and `check_retriever` test an implementation against its contract (the protocol Brain or Retriever), and raise
AssertionError for the first broken promise.
"""

from __future__ import annotations

import asyncio
import datetime
import inspect
import re
from collections.abc import AsyncIterator, Callable, Iterable, Sequence
from dataclasses import replace
from typing import Any

from cervella.errors import BrainError, CervellaError, ConfigError
from cervella.protocols import Brain, Retriever
from cervella.text.language import DEFAULT_LANGUAGE
from cervella.types import (
    BrainEvent,
    Completion,
    Filters,
    Finished,
    Location,
    Message,
    Passage,
    Prompt,
    Retrieval,
    TextDelta,
    Usage,
    UsageUpdate,
)
from cervella.types.endings import WHOLE, ending_of

__all__ = ["EchoBrain", "FixedRetriever", "ScriptedBrain", "check_brain", "check_retriever"]


class EchoBrain:
    """A brain that answers with the question itself, word by word. All prompts that it got are in `prompts`."""

    location: Location = "local"
    capabilities = frozenset({"images"})
    thinks_aloud = False

    def __init__(self, *, name: str = "echo", model: str = "echo") -> None:
        self.name = name
        self.model = model
        self.prompts: list[Prompt] = []

    async def stream(self, prompt: Prompt, /) -> AsyncIterator[BrainEvent]:
        self.prompts.append(prompt)
        for word in re.findall(r"\s*\S+\s*$|\s*\S+", prompt.question):
            yield TextDelta(text=word)
        yield Finished(completion=Completion(text=prompt.question, model=self.model))


class ScriptedBrain:
    """A brain that answers with the entries of `answers`, one for each prompt, and after the last one with that again.

    A string is streamed as the answer, and an exception is raised. A pair `(text, error)` streams the text and then
    raises the error. A Completion is streamed and returned unchanged. `usage` are the token counts of an answer, by
    default unknown, and `delay` is the wait before each word, in seconds. All prompts that it got are in `prompts`.
    """

    capabilities: frozenset[str] = frozenset({"images"})

    def __init__(
        self,
        answers: str | Sequence[str | BaseException | Completion | tuple[str, BaseException]] = ("Non lo so.",),
        *,
        name: str = "scripted",
        model: str = "scripted",
        location: Location = "local",
        context_tokens: int | None = None,
        usage: Usage | None = None,
        delay: float = 0.0,
    ) -> None:
        self.name = name
        self.model = model
        self.location = location
        self.context_tokens = context_tokens
        self.prompts: list[Prompt] = []
        self.closed = 0
        """The number of streams that were closed before their end."""
        self._answers = (answers,) if isinstance(answers, str) else tuple(answers)
        if not self._answers:
            raise ConfigError("A scripted brain has no answers.", remedy="Pass at least one answer.")
        self._usage = usage or Usage()
        self._delay = delay

    async def stream(self, prompt: Prompt, /) -> AsyncIterator[BrainEvent]:
        turn = min(len(self.prompts), len(self._answers) - 1)
        self.prompts.append(prompt)
        answer = self._answers[turn]
        if isinstance(answer, BaseException):
            raise answer
        done = answer if isinstance(answer, Completion) else None
        text, error = answer if isinstance(answer, tuple) else ("", None)
        if isinstance(answer, str):
            text = answer
        elif done is not None:
            text = done.text
        try:
            for piece in re.findall(r"\S+\s*|^\s+", text):
                if self._delay:
                    await asyncio.sleep(self._delay)
                yield TextDelta(text=piece)
        except (GeneratorExit, asyncio.CancelledError):
            self.closed += 1
            raise
        if error is not None:
            raise error
        yield Finished(completion=done or Completion(text=text, model=self.model, usage=self._usage))


class FixedRetriever:
    """A retriever that returns the same passages for every query, filtered, and at most `top_k`.

    `abstain`, `confidence` and `behind` are those of each Retrieval. Without a passage, it abstains with confidence 0.
    """

    def __init__(
        self,
        passages: Iterable[Passage] = (),
        *,
        abstain: bool = False,
        confidence: float | None = 1.0,
        behind: int = 0,
    ) -> None:
        self._passages = tuple(passages)
        self._abstain = abstain
        self._confidence = confidence
        self._behind = behind

    def retrieve(self, query: str, /, *, top_k: int = 6, filters: Filters | None = None) -> Retrieval:
        kept = tuple(passage for passage in self._passages if filters is None or filters.match(passage))[:top_k]
        return Retrieval(
            query=query,
            passages=kept,
            confidence=self._confidence if kept else 0.0,
            abstain=self._abstain or not kept,
            behind=self._behind,
        )


_PASSAGE = Passage(
    id="contratto-1",
    path="decisioni/20260109_prova.md",
    heading="Decisione",
    lead="Prova > Decisione",
    text="Il lancio è stato rinviato al 20 gennaio 2026 perché mancavano i test di carico.",
    start_line=12,
    end_line=12,
    date="2026-01-09",
)


def _sample_prompt() -> Prompt:
    return Prompt(
        system="Sei Cervella, una partner. Rispondi in italiano.",
        history=(
            Message(role="user", content="Ciao."),
            Message(role="assistant", content="Ciao, sono pronta."),
        ),
        passages=(_PASSAGE,),
        question="Perché abbiamo rinviato il lancio?",
        instructions="Cita le fonti con il loro segno.",
        max_output_tokens=24,
        hints={"language": DEFAULT_LANGUAGE, "abstain": False, "confidence": 1.0},
    )


def check_brain(brain: Brain | Callable[[], Brain], *, prompt: Prompt | None = None, timeout: float = 120.0) -> None:
    """Test a brain against the contract of Brain. Raises AssertionError for the first broken promise.

    `brain` is a brain or a function that creates one. It gets `prompt`, by default a short question, three times: the
    first answer is read to its end, the second is closed after its first event, and the third runs on another event
    loop. `timeout` is in seconds, for each answer.
    """
    subject: Any = brain() if isinstance(brain, type) or not hasattr(brain, "stream") else brain
    asked = prompt or _sample_prompt()
    for attribute in ("name", "model"):
        value = getattr(subject, attribute, None)
        assert isinstance(value, str), f"{attribute} must be a string, not {value!r}"
        assert value, f"{attribute} is empty"
    location = getattr(subject, "location", "cloud")
    assert location in ("local", "private", "cloud"), f"location is {location!r}: local, private or cloud"
    window = getattr(subject, "context_tokens", None)
    assert window is None or (isinstance(window, int) and window > 0), f"context_tokens is {window!r}: a positive int"

    async def whole() -> list[Any]:
        stream = subject.stream(asked)
        if inspect.iscoroutine(stream):
            stream.close()
            raise AssertionError("stream must be an async generator, not a coroutine")
        return [event async for event in stream]

    events = _run(whole, timeout, "answer a short question")
    assert events, "the stream is empty: it must end with one Finished"
    kinds = [type(event) for event in events]
    unknown = set(kinds) - {TextDelta, UsageUpdate, Finished}
    assert not unknown, f"unknown events: {unknown}"
    assert kinds.count(Finished) == 1, f"{kinds.count(Finished)} Finished events: exactly one"
    assert kinds[-1] is Finished, "Finished must be the last event"
    completion = events[-1].completion
    joined = "".join(event.text for event in events if isinstance(event, TextDelta))
    assert joined == completion.text, (
        f"the deltas joined ({joined!r:.60}) are not completion.text ({completion.text!r:.60})"
    )
    assert ending_of(completion.finish_reason) in (*WHOLE, "refusal"), (
        f"the brain ended its answer with {completion.finish_reason!r}: stop, length or refusal; "
        "raise StreamInterruptedError where it broke off"
    )
    assert joined.strip() or ending_of(completion.finish_reason) != "stop", (
        "the brain answered nothing: an empty text, and `stop`"
    )
    assert isinstance(completion.usage, Usage), "completion.usage must be a Usage"

    async def closed() -> None:
        stream = subject.stream(asked)
        await anext(stream)
        await stream.aclose()

    _run(closed, timeout, "be closed after its first event")

    count_tokens = getattr(subject, "count_tokens", None)
    if count_tokens is not None:

        async def counted() -> Any:
            return await count_tokens(asked)

        tokens = _run(counted, timeout, "count the prompt's tokens")
        assert isinstance(tokens, int), f"count_tokens gave {tokens!r}: an int"
        assert tokens > 0, "count_tokens gave 0 for a prompt that is not empty"

    assert _run(whole, timeout, "answer on a second event loop"), "the second stream is empty"


def _is_day(date: str | None) -> bool:
    try:
        return date is None or datetime.date.fromisoformat(date).isoformat() == date
    except (TypeError, ValueError):
        return False


def _run(work: Callable[[], Any], timeout: float, task: str) -> Any:
    async def bounded() -> Any:
        return await asyncio.wait_for(work(), timeout)

    try:
        return asyncio.run(bounded())
    except TimeoutError:
        raise AssertionError(f"the brain did not {task} within {timeout:g} s") from None
    except AssertionError:
        raise
    except BrainError as error:
        raise AssertionError(f"the brain did not {task}: {error}") from error
    except Exception as error:
        raise AssertionError(f"a brain raises only BrainError, not {type(error).__name__}: {error}") from error


def check_retriever(retriever: Retriever, *, query: str = "decisione") -> None:
    """Test a retriever against the contract of Retriever. Raises AssertionError for the first broken promise.

    `query` is a text to search for; it need not find a passage.
    """
    for top_k in (1, 6):
        found = retriever.retrieve(query, top_k=top_k)
        assert isinstance(found, Retrieval), f"retrieve gave {type(found).__name__}: a Retrieval"
        assert len(found) <= top_k, f"{len(found)} passages for top_k={top_k}"
        assert found.query == query, f"query is {found.query!r}, not the one asked"
        sure = found.confidence
        assert sure is None or 0.0 <= sure <= 1.0, f"confidence is {sure}: 0 to 1, or None if it is not known"
        assert 0.0 <= found.coverage <= 1.0, f"coverage is {found.coverage}: 0 to 1"
        for count in ("behind", "unchecked", "pending"):
            value = getattr(found, count)
            if count == "behind" and value is None:
                continue  # not known
            assert isinstance(value, int), f"{count} is {value!r}: a whole number"
            assert value >= 0, f"{count} is {value}: a whole number, 0 or more"
        scores = [passage.score for passage in found]
        assert scores == sorted(scores, reverse=True), "the best passage must come first"
        assert len({passage.id for passage in found}) == len(found), "a passage comes twice"
        for passage in found:
            lines = passage.end_line - passage.start_line + 1
            assert passage.start_line >= 1, f"{passage.path}: lines count from 1"
            assert passage.text.count("\n") + 1 == lines, f"{passage.path}: text is not its {lines} lines"
            assert _is_day(passage.date), f"{passage.path}: date is {passage.date!r}: ISO, as 2026-01-31, or None"
            assert "\\" not in passage.path, f"{passage.path}: paths are POSIX"
            assert not passage.path.startswith("/"), f"{passage.path}: paths are relative to the folder"
        again = retriever.retrieve(query, top_k=top_k)  # its files may have changed between the calls
        now = replace(again, behind=found.behind, unchecked=found.unchecked, pending=found.pending)
        assert now == found, "the same query gave another answer"
    nothing = retriever.retrieve(query, filters=Filters(path="no/such/folder/**"))
    assert len(nothing) == 0, "a filter that nothing passes must give no passage"
    try:
        retriever.retrieve("zzqxw " * 3)
    except CervellaError as error:
        raise AssertionError(f"a query that nothing answers is no error: {error}") from error
