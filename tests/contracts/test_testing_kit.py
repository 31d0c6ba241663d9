"""The kit for people who write brains and retrievers: it accepts good ones and names the broken promise."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from dataclasses import replace
from typing import Any

import pytest

from cervella.errors import BrainUnavailableError, ConfigError, KnowledgeError
from cervella.protocols import Brain, Retriever
from cervella.testing import EchoBrain, FixedRetriever, ScriptedBrain, check_brain, check_retriever
from cervella.types import BrainEvent, Completion, Filters, Finished, Passage, Prompt, Retrieval, TextDelta
from tests.conftest import make_passage

ONE = Prompt(system="s", question="Quando si parte?")


async def events(brain: Any, prompt: Prompt = ONE) -> list[BrainEvent]:
    return [event async for event in brain.stream(prompt)]


# Good ones


@pytest.mark.parametrize(
    "brain", [EchoBrain(), EchoBrain, ScriptedBrain(), ScriptedBrain("Ciao a te."), lambda: EchoBrain(name="altro")]
)
def test_good_brains_pass(brain: Any) -> None:
    check_brain(brain, timeout=5)


def test_good_retrievers_pass(passages: tuple[Passage, ...]) -> None:
    check_retriever(FixedRetriever(passages))
    check_retriever(FixedRetriever())


@pytest.mark.parametrize("question", ["Quando?", "  due  parole \n e una ", "x", "è \u2028 qui", "a" * 5000])
def test_echo_gives_the_question_back_word_by_word(question: str) -> None:
    *deltas, last = asyncio.run(events(EchoBrain(), replace(ONE, question=question)))
    assert "".join(delta.text for delta in deltas) == question  # type: ignore[union-attr]
    assert last.completion.text == question  # type: ignore[union-attr]


def test_scripted_answers_in_turn_and_the_last_one_for_ever() -> None:
    brain = ScriptedBrain(["uno due", " tre"])
    texts = [asyncio.run(events(brain))[-1].completion.text for _ in range(4)]  # type: ignore[union-attr]
    assert texts == ["uno due", " tre", " tre", " tre"]
    assert len(brain.prompts) == 4
    with pytest.raises(ConfigError):
        ScriptedBrain([])


def test_scripted_raises_and_breaks_off_as_told() -> None:
    brain = ScriptedBrain([BrainUnavailableError("giù"), ("metà ", OSError("rotto"))])
    with pytest.raises(BrainUnavailableError):
        asyncio.run(events(brain))
    with pytest.raises(OSError, match="rotto"):
        asyncio.run(events(brain))


def test_fixed_retriever_filters_and_cuts(passages: tuple[Passage, ...]) -> None:
    found = FixedRetriever(passages, confidence=0.4).retrieve(
        "x", top_k=1, filters=Filters(role=["research", "decision"])
    )
    assert [passage.id for passage in found] == ["rinvio"]
    assert (found.query, found.confidence, found.abstain) == ("x", 0.4, False)
    assert FixedRetriever().retrieve("x").abstain
    check_retriever(FixedRetriever(passages, confidence=None))


def test_the_kits_own_keep_the_protocols() -> None:
    assert isinstance(EchoBrain(), Brain)
    assert isinstance(ScriptedBrain(), Brain)
    assert isinstance(FixedRetriever(), Retriever)


# Bad brains


class Bad(EchoBrain):
    def __init__(self, made: Any = None, **facts: Any) -> None:
        super().__init__()
        self._made = made
        for name, value in facts.items():
            setattr(self, name, value)

    async def stream(self, prompt: Prompt, /) -> AsyncIterator[Any]:
        if self._made is None:
            async for event in super().stream(prompt):
                yield event
            return
        for event in self._made:
            if isinstance(event, BaseException):
                raise event
            yield event


class Coroutine(EchoBrain):
    async def stream(self, prompt: Prompt, /) -> Any:  # type: ignore[override]
        return []


class Slow(EchoBrain):
    async def stream(self, prompt: Prompt, /) -> AsyncIterator[Any]:
        await asyncio.sleep(30)
        yield


class Once(EchoBrain):
    loop: Any = None

    async def stream(self, prompt: Prompt, /) -> AsyncIterator[Any]:
        now = asyncio.get_running_loop()
        self.loop = self.loop or now
        if self.loop is not now:
            raise RuntimeError("bound to a different event loop")
        async for event in super().stream(prompt):
            yield event


class NeverStops(EchoBrain):
    async def stream(self, prompt: Prompt, /) -> AsyncIterator[Any]:
        try:
            async for event in super().stream(prompt):
                yield event
        except GeneratorExit:
            await asyncio.sleep(30)


async def _count_text(prompt: Prompt) -> Any:
    return "7"


async def _count_nothing(prompt: Prompt) -> int:
    return 0


def done(text: str, **facts: Any) -> Finished:
    return Finished(completion=Completion(text=text, **facts))


A = TextDelta(text="a")


@pytest.mark.parametrize(
    ("brain", "promise"),
    [
        (Bad(name=""), "name is empty"),
        (Bad(model=None), "model must be a string"),
        (Bad(location="casa"), "location is 'casa'"),
        (Bad(context_tokens=0), "context_tokens is 0"),
        (Bad(context_tokens="8k"), "context_tokens is '8k'"),
        (Bad([]), "stream is empty"),
        (Bad([A]), "0 Finished events"),
        (Bad([A, done("a"), done("a")]), "2 Finished events"),
        (Bad([done("a"), A]), "Finished must be the last"),
        (Bad([A, "a", done("a")]), "unknown events"),
        (Bad([A, done("b")]), "are not completion.text"),
        (Bad([A, done("a", usage={"input_tokens": 3})]), "must be a Usage"),
        (Bad([OSError("rete")]), "raises only BrainError, not OSError"),
        (Bad([BrainUnavailableError("giù")]), "did not answer a short question: giù"),
        (Bad(count_tokens=_count_text), "count_tokens gave '7'"),
        (Bad(count_tokens=_count_nothing), "count_tokens gave 0"),
        (Slow(), "did not answer a short question within"),
        (Once(), "different event loop"),
        (NeverStops(), "did not be closed|be closed after its first event"),
        (lambda: Coroutine(), "not a coroutine"),
        (lambda: object(), "name must be a string"),
        (Bad([done("")]), "answered nothing"),
    ],
)
def test_a_bad_brain_is_told_which_promise_it_breaks(brain: Any, promise: str) -> None:
    with pytest.raises(AssertionError, match=promise):
        check_brain(brain, timeout=0.2)


# Bad retrievers


class BadRetriever:
    def __init__(self, make: Any) -> None:
        self._make = make
        self.calls = 0

    def retrieve(self, query: str, /, *, top_k: int = 6, filters: Filters | None = None) -> Any:
        self.calls += 1
        return self._make(self, query, top_k, filters)


def found(query: str, passages: Any, **facts: Any) -> Retrieval:
    return Retrieval(query=query, passages=tuple(passages), **facts)


LOW, HIGH = make_passage("a", id="1", score=0.1), make_passage("b", id="2", score=0.9)


def _raise(error: Exception) -> Any:
    raise error


@pytest.mark.parametrize(
    ("make", "promise"),
    [
        (lambda s, q, k, f: [LOW], "gave list: a Retrieval"),
        (lambda s, q, k, f: found(q, [HIGH, LOW]), "2 passages for top_k=1"),
        (lambda s, q, k, f: found(q.upper(), []), "not the one asked"),
        (lambda s, q, k, f: found(q, [], confidence=3), "confidence is 3"),
        (lambda s, q, k, f: found(q, [], coverage=-1), "coverage is -1"),
        (lambda s, q, k, f: found(q, [], behind=-1), "behind is -1"),
        (lambda s, q, k, f: found(q, [], behind=0.5), "behind is 0.5"),
        (lambda s, q, k, f: found(q, [], unchecked=None), "unchecked is None"),
        (lambda s, q, k, f: found(q, [LOW, HIGH][:k]), "best passage must come first"),
        (lambda s, q, k, f: found(q, [HIGH, HIGH][:k]), "comes twice"),
        (lambda s, q, k, f: found(q, [replace(LOW, end_line=99)]), "is not its 88 lines"),
        (lambda s, q, k, f: found(q, [replace(LOW, start_line=0, end_line=0)]), "lines count from 1"),
        (lambda s, q, k, f: found(q, [replace(LOW, path="a\\b.md")]), "POSIX"),
        (lambda s, q, k, f: found(q, [replace(LOW, path="/etc/x.md")]), "relative"),
        (lambda s, q, k, f: found(q, [replace(LOW, id=str(s.calls))]), "another answer"),
        (lambda s, q, k, f: found(q, [LOW]), "a filter that nothing passes"),
        (lambda s, q, k, f: _raise(KnowledgeError("vuoto")) if "zz" in q else found(q, []), "is no error: vuoto"),
        (lambda s, q, k, f: found(q, [replace(LOW, date="9 gennaio")]), "date"),
    ],
)
def test_a_bad_retriever_is_told_which_promise_it_breaks(make: Any, promise: str) -> None:
    with pytest.raises(AssertionError, match=promise):
        check_retriever(BadRetriever(make))


def test_a_retriever_whose_folder_goes_on_meanwhile_keeps_the_contract() -> None:
    check_retriever(BadRetriever(lambda s, q, k, f: found(q, [], behind=s.calls)))
