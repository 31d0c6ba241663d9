"""The shield around a brain: what it lets through, how long it waits, and that every attempt is told once."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator, Callable
from dataclasses import replace
from typing import Any

import anyio
import pytest

from cervella.brains.shield.shield import Shield
from cervella.errors import (
    BrainAuthError,
    BrainError,
    BrainRateLimitError,
    BrainResponseError,
    BrainTimeoutError,
    BrainUnavailableError,
    BudgetError,
    PromptTooLongError,
    StreamInterruptedError,
)
from cervella.prompt.layout import estimate_tokens, render
from cervella.testing import EchoBrain, ScriptedBrain
from cervella.types import Attempt, BrainEvent, Completion, Finished, Image, Message, Passage, Prompt, TextDelta, Usage
from tests.conftest import PATIENCE, SECRET, make_passage
from tests.fixtures.whole import whole

ONE = Prompt(system="Sono Cervella.", question="Quando si parte?")


class Brain:
    """A brain made of one function."""

    name = "prova"
    model = "modello"
    location = "local"

    def __init__(self, stream: Callable[[Prompt], AsyncIterator[Any]], **facts: Any) -> None:
        self._stream = stream
        self.calls = 0
        self.closed = 0
        for name, value in facts.items():
            setattr(self, name, value)

    async def stream(self, prompt: Prompt, /) -> AsyncIterator[BrainEvent]:
        self.calls += 1
        try:
            async for event in self._stream(prompt):
                yield event
        except (GeneratorExit, asyncio.CancelledError):
            self.closed += 1
            raise


def done(text: str, **facts: Any) -> Finished:
    return Finished(completion=Completion(text=text, **facts))


def run(shield: Shield, prompt: Prompt = ONE, **options: Any) -> list[BrainEvent]:
    async def whole() -> list[BrainEvent]:
        return [event async for event in shield.stream(prompt, **options)]

    return asyncio.run(asyncio.wait_for(whole(), 10))


def answer(shield: Shield, prompt: Prompt = ONE, **options: Any) -> Completion:
    last = run(shield, prompt, **options)[-1]
    assert isinstance(last, Finished)
    return last.completion


@pytest.fixture(autouse=True)
def no_wait(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("cervella.brains.shield.shield._FIRST_WAIT", 0.001)
    monkeypatch.setattr("cervella.brains.shield.shield._JITTER", 0.001)


# The good way


def test_an_answer_passes_as_it_comes_with_its_attempt() -> None:
    told: list[Attempt] = []
    brain = ScriptedBrain("Si parte lunedì.", usage=Usage(input_tokens=7, output_tokens=3))
    events = run(Shield(brain, on_attempt=told.append))
    assert [e.text for e in events if isinstance(e, TextDelta)] == ["Si ", "parte ", "lunedì."]
    completion = events[-1].completion  # type: ignore[union-attr]
    assert completion.attempts == tuple(told)
    [attempt] = told
    assert (attempt.brain, attempt.model, attempt.location, attempt.outcome) == ("scripted", "scripted", "local", "ok")
    assert attempt.usage == brain._usage
    assert attempt.first_token_seconds is not None
    assert attempt.seconds >= attempt.first_token_seconds >= 0


def test_the_model_is_the_engines_word_or_else_the_brains() -> None:
    async def other(_: Prompt) -> AsyncIterator[Any]:
        yield TextDelta(text="a")
        yield done("a", model="modello-2026")

    assert answer(Shield(Brain(other))).attempts[0].model == "modello-2026"
    assert answer(Shield(EchoBrain())).model == "echo"


def test_a_refusal_may_be_empty() -> None:
    async def refuse(_: Prompt) -> AsyncIterator[Any]:
        yield done("", finish_reason="refusal")

    assert answer(Shield(Brain(refuse))).finish_reason == "refusal"


# What fits


def long_prompt(passages: int = 4, history: int = 4) -> Prompt:
    return Prompt(
        system="Sono Cervella. " * 10,
        question="Quando si parte?",
        instructions="Cita le fonti.",
        history=tuple(
            Message(role=role, content=f"{role} {n} " + "x" * 90)  # type: ignore[arg-type]
            for n in range(history)
            for role in ("user", "assistant")
        ),
        passages=tuple(make_passage(f"passo {n} " + "y" * 90, id=str(n)) for n in range(passages)),
    )


def cost(prompt: Prompt) -> int:
    return estimate_tokens(render(prompt))


def test_a_prompt_that_fits_is_sent_whole() -> None:
    prompt = long_prompt()
    brain = ScriptedBrain("ok", context_tokens=cost(prompt) + 100)
    completion = answer(Shield(brain), replace(prompt, max_output_tokens=100))
    assert brain.prompts[0].passages == prompt.passages
    assert brain.prompts[0].history == prompt.history
    assert completion.flags == {}


def test_the_lowest_passages_go_first_then_the_oldest_turns_and_never_the_soul() -> None:
    prompt = replace(long_prompt(), max_output_tokens=50)
    seen = []
    for window in range(cost(prompt) + 50, 130, -20):
        brain = ScriptedBrain("ok", context_tokens=window)
        try:
            completion = answer(Shield(brain), prompt)
        except PromptTooLongError:
            break
        [sent] = brain.prompts
        assert cost(sent) <= window - 50
        assert (sent.system, sent.question, sent.instructions) == (prompt.system, prompt.question, prompt.instructions)
        assert sent.passages == prompt.passages[: len(sent.passages)]
        assert sent.marks == prompt.marks[: len(sent.marks)]
        assert sent.history == prompt.history[len(prompt.history) - len(sent.history) :]
        assert len(sent.history) % 2 == 0
        assert not sent.passages or len(sent.history) == len(prompt.history)
        assert completion.flags.get("passages_dropped", 0) == 4 - len(sent.passages)
        assert completion.flags.get("turns_dropped", 0) == 4 - len(sent.history) // 2
        assert completion.flags.get("no_source_fits", 0) == (not sent.passages)
        assert completion.attempts[0].shown == sent.marks
        seen.append((len(sent.passages), len(sent.history)))
    assert {(4, 8), (0, 8), (0, 2)} <= set(seen)


def test_no_more_is_dropped_than_must_be() -> None:
    prompt = replace(long_prompt(), max_output_tokens=10)
    three = replace(prompt, passages=prompt.passages[:3], marks=prompt.marks[:3])
    brain = ScriptedBrain("ok", context_tokens=cost(three) + 10)
    answer(Shield(brain), prompt)
    assert len(brain.prompts[0].passages) == 3


def test_a_prompt_that_can_not_fit_is_an_error_with_its_numbers_and_nobody_is_called() -> None:
    brain = ScriptedBrain("ok", context_tokens=60)
    with pytest.raises(PromptTooLongError) as caught:
        run(Shield(brain), replace(long_prompt(), max_output_tokens=20))
    bare = replace(long_prompt(), passages=(), marks=(), history=())
    assert (caught.value.prompt_tokens, caught.value.limit_tokens) == (cost(bare), 40)
    assert str(cost(bare)) in str(caught.value)
    assert caught.value.attempts == ()
    assert not brain.prompts


def test_a_brain_that_counts_is_believed() -> None:
    async def count(prompt: Prompt) -> int:
        return 10 + 5 * len(prompt.passages)

    brain = ScriptedBrain("ok", context_tokens=40)
    brain.count_tokens = count  # type: ignore[attr-defined]
    answer(Shield(brain), replace(long_prompt(), max_output_tokens=20))
    assert len(brain.prompts[0].passages) == 2


@pytest.mark.parametrize("count", [lambda p: 1 / 0, lambda p: 5, lambda p: None])
def test_a_brain_that_can_not_count_is_a_brain_error(count: Any) -> None:
    brain = ScriptedBrain("ok", context_tokens=60)
    brain.count_tokens = count  # type: ignore[attr-defined]
    with pytest.raises(BrainResponseError, match="can't count"):
        run(Shield(brain))
    assert not brain.prompts


def test_images_reach_only_a_brain_that_sees() -> None:
    prompt = replace(ONE, images=(Image(media_type="image/png", data=b"x"),))
    assert answer(Shield(EchoBrain()), prompt).text
    blind = EchoBrain()
    blind.capabilities = frozenset()  # type: ignore[misc]
    with pytest.raises(BrainResponseError) as caught:
        run(Shield(blind), prompt)
    assert caught.value.code == "images_unsupported"


# Privacy


def test_a_brain_that_does_not_say_where_it_runs_is_cloud(passages: tuple[Passage, ...]) -> None:
    async def say(_: Prompt) -> AsyncIterator[Any]:
        yield TextDelta(text="a")
        yield done("a")

    for location in (None, "Local", "casa", ""):
        brain = Brain(say)
        brain.location = location  # type: ignore[assignment]
        assert Shield(brain).location == "cloud"
    assert Shield(Brain(say), location="private").location == "private"


@pytest.mark.parametrize("location", ["local", "private", "cloud"])
def test_local_only_text_reaches_every_brain_but_cloud_ones(location: Any, passages: tuple[Passage, ...]) -> None:
    history = (
        Message(role="user", content="riservato?", tainted=True),
        Message(role="assistant", content="sì, riservato", tainted=True),
        Message(role="user", content="e poi?"),
        Message(role="assistant", content="poi basta"),
    )
    brain = ScriptedBrain("ok", location=location)
    prompt = replace(ONE, passages=passages, marks=(), history=history)
    completion = answer(Shield(brain), prompt)
    [sent] = brain.prompts
    shown = "\n".join(message.content for message in render(sent))
    if location == "cloud":
        assert "riservato" not in shown
        assert sent.marks == ("F1", "F2")
        assert completion.flags == {"passages_withheld": 1, "turns_withheld": 1}
        assert not completion.attempts[0].tainted
    else:
        assert "41 per cento" in shown
        assert sent == prompt
        assert completion.flags == {}
        assert completion.attempts[0].tainted


def test_secrets_are_masked_and_counted_for_a_cloud_brain_only() -> None:
    prompt = Prompt(
        system="Sono Cervella.",
        question=f"Uso {SECRET}?",
        history=(Message(role="user", content=f"ecco {SECRET}"), Message(role="assistant", content="no")),
        passages=(make_passage(f"chiave {SECRET}", lead=SECRET, path=f"{SECRET}.md", heading=SECRET),),
    )
    cloud, home = ScriptedBrain("ok", location="cloud"), ScriptedBrain("ok", location="private")
    assert answer(Shield(cloud), prompt).flags["secrets_masked"] >= 4
    assert SECRET not in "".join(message.content for message in render(cloud.prompts[0]))
    assert SECRET not in whole(cloud.prompts[0])
    assert answer(Shield(home), prompt).flags == {}
    assert home.prompts[0] == prompt


# Retries


@pytest.mark.parametrize("error", [BrainUnavailableError, BrainRateLimitError, BrainTimeoutError])
def test_a_passing_failure_before_the_first_token_is_tried_again(error: type[BrainError]) -> None:
    told: list[Attempt] = []
    brain = ScriptedBrain([error("giù"), error("giù"), "Eccomi."])
    completion = answer(Shield(brain, on_attempt=told.append))
    assert completion.text == "Eccomi."
    assert [attempt.outcome for attempt in told] == ["error", "error", "ok"]
    assert [attempt.error for attempt in told] == [error.code, error.code, None]
    assert completion.attempts == tuple(told)


def test_the_retries_end_and_the_error_carries_every_attempt() -> None:
    brain = ScriptedBrain([BrainUnavailableError("giù")])
    with pytest.raises(BrainUnavailableError) as caught:
        run(Shield(brain, retries=1))
    assert [attempt.outcome for attempt in caught.value.attempts] == ["error", "error"]
    assert len(brain.prompts) == 2


@pytest.mark.parametrize("error", [BrainAuthError("no"), BrainResponseError("no"), RuntimeError("no"), KeyError("no")])
def test_any_other_failure_is_not_tried_again(error: Exception) -> None:
    brain = ScriptedBrain([error, "Eccomi."])
    with pytest.raises(BrainError) as caught:
        run(Shield(brain))
    assert len(caught.value.attempts) == len(brain.prompts) == 1


def test_a_short_retry_after_is_waited_for() -> None:
    brain = ScriptedBrain([BrainRateLimitError("piano", retry_after=0.15), "Eccomi."])
    started = time.perf_counter()
    assert answer(Shield(brain)).text == "Eccomi."
    assert 0.15 <= time.perf_counter() - started < PATIENCE


@pytest.mark.parametrize(
    ("retry_after", "options"), [(3600.0, {}), (4.29e6, {"timeout": 5.0}), (1.0, {"timeout": 0.5}), (float("inf"), {})]
)
def test_a_retry_after_beyond_the_deadline_is_not_waited_for(retry_after: float, options: Any) -> None:
    brain = ScriptedBrain([BrainRateLimitError("piano", retry_after=retry_after), "Eccomi."])
    started = time.perf_counter()
    with pytest.raises(BrainRateLimitError):
        run(Shield(brain), **options)
    assert time.perf_counter() - started < PATIENCE


@pytest.mark.parametrize("retry_after", [0.0, -5.0])
def test_a_retry_after_of_nothing_means_at_once(retry_after: float) -> None:
    assert answer(Shield(ScriptedBrain([BrainRateLimitError("piano", retry_after=retry_after), "Eccomi."]))).text


def test_no_retry_starts_after_the_deadline(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("cervella.brains.shield.shield._FIRST_WAIT", 0.2)
    brain = ScriptedBrain([BrainUnavailableError("giù")])
    started = time.perf_counter()
    with pytest.raises(BrainUnavailableError):
        run(Shield(brain, retries=50), timeout=0.15)
    assert time.perf_counter() - started < PATIENCE


# Times


async def _stall(_: Prompt) -> AsyncIterator[Any]:
    await asyncio.sleep(30)
    yield TextDelta(text="tardi")


async def _stall_after_a_word(_: Prompt) -> AsyncIterator[Any]:
    yield TextDelta(text="Ecco ")
    await asyncio.sleep(30)


async def _empty_for_ever(_: Prompt) -> AsyncIterator[Any]:
    while True:
        await asyncio.sleep(0.01)
        yield TextDelta(text="")


async def _words_for_ever(_: Prompt) -> AsyncIterator[Any]:
    while True:
        await asyncio.sleep(0.01)
        yield TextDelta(text="a ")


@pytest.mark.parametrize("stream", [_stall, _empty_for_ever])
def test_a_brain_without_a_first_text_is_given_up(stream: Any) -> None:
    brain = Brain(stream)
    with pytest.raises(BrainTimeoutError, match=r"no text within 0\.1 s") as caught:
        run(Shield(brain, first_token_timeout=0.1, retries=0))
    assert brain.closed == 1
    assert [attempt.outcome for attempt in caught.value.attempts] == ["error"]


def test_a_brain_that_falls_silent_is_interrupted() -> None:
    brain = Brain(_stall_after_a_word)
    with pytest.raises(StreamInterruptedError) as caught:
        run(Shield(brain, idle_timeout=0.1))
    assert caught.value.partial == "Ecco "
    assert isinstance(caught.value.__cause__, BrainTimeoutError)
    assert brain.calls == brain.closed == 1


@pytest.mark.parametrize(("stream", "kind"), [(_stall, BrainTimeoutError), (_words_for_ever, StreamInterruptedError)])
def test_the_callers_time_bounds_the_whole_answer(stream: Any, kind: type[BrainError]) -> None:
    brain = Brain(stream)
    started = time.perf_counter()
    with pytest.raises(kind, match=r"caller's timeout"):
        run(Shield(brain), timeout=0.15)
    assert time.perf_counter() - started < PATIENCE
    assert brain.closed == 1


def test_the_callers_time_bounds_a_brain_that_never_waits_for_anything() -> None:
    async def without_a_pause(_: Prompt) -> AsyncIterator[Any]:
        for _number in range(10_000):
            time.sleep(0.001)
            yield TextDelta(text="a ")
        yield done("a " * 10_000)

    started = time.monotonic()
    with pytest.raises(StreamInterruptedError) as caught:
        answer(Shield(Brain(without_a_pause)), timeout=0.2)
    assert caught.value.partial.startswith("a a")
    assert time.monotonic() - started < 5


def test_the_callers_time_bounds_the_counting_and_the_guard_too() -> None:
    async def hang(*_: Any) -> int:
        await asyncio.sleep(30)
        return 1

    counting = ScriptedBrain("ok", context_tokens=60)
    counting.count_tokens = hang  # type: ignore[attr-defined]
    for shield in (Shield(counting), Shield(EchoBrain(), guard=hang)):  # type: ignore[arg-type]
        started = time.perf_counter()
        with pytest.raises(BrainTimeoutError):
            run(shield, timeout=0.1)
        assert time.perf_counter() - started < PATIENCE


def test_a_slow_reader_is_not_a_silent_brain() -> None:
    async def slowly() -> int:
        shield = Shield(ScriptedBrain("uno due tre"), idle_timeout=0.05, first_token_timeout=0.05)
        count = 0
        async for _ in shield.stream(ONE):
            await asyncio.sleep(0.08)
            count += 1
        return count

    assert asyncio.run(slowly()) == 4


# Brains that break their contract


async def _no_finished(_: Prompt) -> AsyncIterator[Any]:
    yield TextDelta(text="a")


async def _nothing(_: Prompt) -> AsyncIterator[Any]:
    return
    yield


async def _other_text(_: Prompt) -> AsyncIterator[Any]:
    yield TextDelta(text="a")
    yield done("b")


async def _only_finished(_: Prompt) -> AsyncIterator[Any]:
    yield done("a")


async def _empty(_: Prompt) -> AsyncIterator[Any]:
    yield done("")


async def _blank(_: Prompt) -> AsyncIterator[Any]:
    yield TextDelta(text=" \n")
    yield done(" \n")


async def _string(_: Prompt) -> AsyncIterator[Any]:
    yield "a"


async def _raises(_: Prompt) -> AsyncIterator[Any]:
    raise OSError(f"rotto con {SECRET}")
    yield


async def _raises_midway(_: Prompt) -> AsyncIterator[Any]:
    yield TextDelta(text="a")
    raise OSError(f"rotto con {SECRET}")


async def _group(_: Prompt) -> AsyncIterator[Any]:
    async with anyio.create_task_group():
        raise ValueError("rotto")
    yield


class _NotAsync(Brain):
    def stream(self, prompt: Prompt, /) -> Any:
        raise OSError(f"rotto con {SECRET}")


class _NoIterator(Brain):
    def stream(self, prompt: Prompt, /) -> Any:
        return [TextDelta(text="a")]


BROKEN = {
    "no Finished": (Brain(_no_finished), StreamInterruptedError, "interrupted"),
    "nothing at all": (Brain(_nothing), BrainResponseError, "error"),
    "deltas that are not the text": (Brain(_other_text), StreamInterruptedError, "interrupted"),
    "a text without deltas": (Brain(_only_finished), BrainResponseError, "error"),
    "an empty answer": (Brain(_empty), BrainResponseError, "error"),
    "a blank answer": (Brain(_blank), BrainResponseError, "error"),
    "a string": (Brain(_string), BrainResponseError, "error"),
    "OSError": (Brain(_raises), BrainResponseError, "error"),
    "OSError midway": (Brain(_raises_midway), StreamInterruptedError, "interrupted"),
    "an exception group": (Brain(_group), BrainResponseError, "error"),
    "stream raises when called": (_NotAsync(_raises), BrainResponseError, "error"),
    "stream is no iterator": (_NoIterator(_raises), BrainResponseError, "error"),
}


@pytest.mark.parametrize("what", BROKEN)
def test_a_broken_brain_gives_a_brain_error_and_one_attempt(what: str) -> None:
    brain, kind, outcome = BROKEN[what]
    told: list[Attempt] = []
    with pytest.raises(BrainError) as caught:
        run(Shield(brain, on_attempt=told.append))
    assert type(caught.value) is kind
    assert [attempt.outcome for attempt in told] == [outcome]
    assert caught.value.attempts == tuple(told)
    assert (caught.value.brain, caught.value.model) == ("prova", "modello")
    assert SECRET not in str(caught.value)
    assert caught.value.remedy


def test_what_comes_after_finished_is_not_read() -> None:
    async def twice(_: Prompt) -> AsyncIterator[Any]:
        yield TextDelta(text="a")
        yield done("a")
        yield TextDelta(text="b")
        yield done("b")

    told: list[Attempt] = []
    events = run(Shield(Brain(twice), on_attempt=told.append))
    assert [type(event) for event in events] == [TextDelta, Finished]
    assert [attempt.outcome for attempt in told] == ["ok"]


def test_a_stream_that_breaks_off_is_not_replayed() -> None:
    brain = ScriptedBrain([("Il lancio è", BrainUnavailableError("giù")), "Eccomi."])
    with pytest.raises(StreamInterruptedError) as caught:
        run(Shield(brain))
    assert caught.value.partial == "Il lancio è"
    assert len(brain.prompts) == 1


# Whoever leaves


@pytest.mark.parametrize("events", [0, 1, 2])
def test_a_reader_that_leaves_stops_the_engine_and_one_attempt_is_told(events: int) -> None:
    told: list[Attempt] = []
    brain = Brain(_words_for_ever if events else _stall)

    async def leave() -> None:
        stream = Shield(brain, on_attempt=told.append).stream(ONE)

        async def read() -> None:
            for _ in range(max(events, 1)):
                await anext(stream)

        if events:
            await read()
            await stream.aclose()
        else:
            task = asyncio.create_task(read())
            await asyncio.sleep(0.05)
            task.cancel()
            with pytest.raises(asyncio.CancelledError):
                await task

    asyncio.run(leave())
    assert [attempt.outcome for attempt in told] == ["cancelled"]
    assert brain.closed == 1


def test_a_reader_cancelled_between_two_texts_is_told_once() -> None:
    told: list[Attempt] = []
    brain = Brain(_stall_after_a_word)

    async def leave() -> None:
        async def read() -> None:
            async for _ in Shield(brain, on_attempt=told.append).stream(ONE):
                pass

        with anyio.move_on_after(0.05):
            await read()

    asyncio.run(leave())
    assert [attempt.outcome for attempt in told] == ["cancelled"]
    assert brain.closed == 1


def test_a_brain_that_will_not_stop_does_not_hold_the_caller(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("cervella.brains.shield.call._CLOSING_SECONDS", 0.1)

    async def stubborn(_: Prompt) -> AsyncIterator[Any]:
        try:
            yield TextDelta(text="a ")
            await asyncio.sleep(30)
        finally:
            await asyncio.sleep(30)

    class Stubborn(Brain):
        def stream(self, prompt: Prompt, /) -> Any:
            return stubborn(prompt)

    async def leave() -> None:
        stream = Shield(Stubborn(stubborn)).stream(ONE)
        await anext(stream)
        await stream.aclose()

    started = time.perf_counter()
    asyncio.run(leave())
    assert time.perf_counter() - started < PATIENCE


# The guard


def test_a_guard_that_says_no_keeps_the_engine_from_being_called() -> None:
    def no(brain: Any, prompt: Prompt) -> None:
        raise BudgetError("finito", spent_usd=2, limit_usd=1)

    brain, told = EchoBrain(), []
    with pytest.raises(BudgetError):
        run(Shield(brain, guard=no, on_attempt=told.append))
    assert not brain.prompts
    assert not told


def test_a_guard_may_be_async_and_sees_the_prompt_as_it_is_sent(passages: tuple[Passage, ...]) -> None:
    seen: list[Prompt] = []

    async def guard(brain: Any, prompt: Prompt) -> None:
        await asyncio.sleep(0)
        seen.append(prompt)

    brain = ScriptedBrain([BrainUnavailableError("giù"), "ok"], location="cloud")
    answer(Shield(brain, guard=guard), replace(ONE, passages=passages, marks=()))
    assert len(seen) == 2
    assert seen == brain.prompts
    assert not any(passage.local_only for passage in seen[0].passages)


def test_a_guard_that_says_no_to_the_second_call_ends_the_retries() -> None:
    calls = []

    def guard(brain: Any, prompt: Prompt) -> None:
        calls.append(1)
        if len(calls) > 1:
            raise BudgetError("finito")

    told: list[Attempt] = []
    with pytest.raises(BudgetError):
        run(Shield(ScriptedBrain([BrainUnavailableError("giù")]), guard=guard, on_attempt=told.append))
    assert [attempt.outcome for attempt in told] == ["error"]


def test_closing_a_shield_closes_its_brain_where_it_can_be_closed() -> None:
    closed = []

    async def aclose() -> None:
        closed.append(1)

    brain = EchoBrain()
    asyncio.run(Shield(brain).aclose())
    brain.aclose = aclose  # type: ignore[attr-defined]
    asyncio.run(Shield(brain).aclose())
    assert closed == [1]


def test_a_retry_prints_nothing(capsys: pytest.CaptureFixture[str]) -> None:
    answer(Shield(ScriptedBrain([BrainUnavailableError("giù"), "ok"])))
    assert capsys.readouterr() == ("", "")
