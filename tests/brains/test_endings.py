"""How an answer ends: which endings are whole, what a refusal says, and that no message that is sent is empty."""

from __future__ import annotations

import asyncio
import json
import re
from collections.abc import AsyncIterator, Iterator
from types import SimpleNamespace
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings, strategies as st

from cervella.brains.embedded.brain import EmbeddedBrain
from cervella.brains.routing.fallback import Fallback
from cervella.brains.shield.shield import Shield
from cervella.errors import BrainError, BrainResponseError, StreamInterruptedError
from cervella.testing import ScriptedBrain, check_brain
from cervella.types import BrainEvent, Completion, Finished, Image, Message, Prompt, TextDelta, Usage
from tests.conftest import DATA
from tests.fixtures.fault_server import Connection, FaultServer, Play, fault_server
from tests.fixtures.wires import WIRES

ONE = Prompt(system="Sono Cervella.", question="Quando si parte?")
HALF = [
    ("vllm", "abort"), ("vllm", "error"), ("vllm", "repetition"), ("vllm", "tool_calls"), ("vllm", "function_call"),
    ("vllm", "content_filter"),
    ("claude", "pause_turn"), ("claude", "tool_use"), ("ollama", "load"), ("ollama", "unload"),
    *((wire, "mai_sentito") for wire in WIRES), *((wire, "STOPPED") for wire in WIRES),
]  # fmt: skip
WHOLE = [
    ("vllm", "stop", "stop"), ("vllm", "length", "length"), ("vllm", "stop_sequence", "stop"),
    ("vllm", "eos_token", "stop"), ("claude", "end_turn", "stop"), ("claude", "stop_sequence", "stop"),
    ("claude", "max_tokens", "length"), ("claude", "model_context_window_exceeded", "length"),
    ("ollama", "stop", "stop"), ("ollama", "length", "length"),
]  # fmt: skip
REFUSED = "Il modello ha rifiutato di rispondere"


@pytest.fixture
def server() -> Iterator[FaultServer]:
    with fault_server() as running:
        for wire in WIRES.values():
            wire.beside(running)
        yield running


def says(wire: Any, reason: str | None, *words: str) -> Play:
    async def play(to: Connection) -> None:
        await wire.begin(to)
        for word in words:
            await wire.word(to, word)
        await wire.end(to, reason=reason)

    return play


def events_of(brain: Any, prompt: Prompt = ONE) -> list[Any]:
    """What the shield gives; the error that ends it is the last."""
    events: list[Any] = []

    async def whole() -> None:
        try:
            async for event in brain.stream(prompt):
                events.append(event)
        except BrainError as error:
            events.append(error)

    asyncio.run(asyncio.wait_for(whole(), 30))
    return events


def text_of(events: list[Any]) -> str:
    return "".join(event.text for event in events if isinstance(event, TextDelta))


class Ends:
    """A brain of somebody else's, which ends as it is told."""

    name, model, location = "altrui", "modello", "local"

    def __init__(self, text: str, reason: Any, *, refusal: str | None = None, before: tuple[Any, ...] = ()) -> None:
        self._text, self._facts = text, {"finish_reason": reason, "usage": Usage(input_tokens=7, output_tokens=3)}
        if refusal is not None:
            self._facts["refusal"] = refusal
        self.prompts: list[Prompt] = []

    async def stream(self, prompt: Prompt, /) -> AsyncIterator[BrainEvent]:
        self.prompts.append(prompt)
        if self._text:
            yield TextDelta(text=self._text)
        yield Finished(completion=Completion(text=self._text, **self._facts))


# Whole, and half


@pytest.mark.parametrize(("wire", "reason", "finish_reason"), WHOLE)
def test_a_known_good_ending_is_a_whole_answer(server: FaultServer, wire: str, reason: str, finish_reason: str) -> None:
    server.scenes = [says(WIRES[wire], reason, "Ecco", "lo.")]
    last = events_of(Shield(WIRES[wire].brain(server)))[-1]
    assert (last.completion.text, last.completion.finish_reason) == ("Eccolo.", finish_reason)
    assert [attempt.outcome for attempt in last.completion.attempts] == ["ok"]


@pytest.mark.parametrize(("wire", "reason"), HALF)
def test_a_text_that_ends_otherwise_is_an_interruption_with_its_partial(
    server: FaultServer, wire: str, reason: str
) -> None:
    server.scenes = [says(WIRES[wire], reason, "Ecco", " mezza")]
    events = events_of(Shield(WIRES[wire].brain(server)))
    error = events[-1]
    assert isinstance(error, StreamInterruptedError)
    assert error.partial == text_of(events) == "Ecco mezza"
    assert repr(reason) in error.message
    assert error.remedy
    [attempt] = error.attempts
    assert (attempt.outcome, attempt.error) == ("interrupted", "stream_interrupted")
    assert (attempt.usage.input_tokens, attempt.usage.output_tokens, attempt.estimated) == (100, 3, False)


@pytest.mark.parametrize("words", [(), (" ", "\n\n"), ("\u200b",)], ids=["nothing", "blank", "invisible"])
@pytest.mark.parametrize(("wire", "reason"), HALF)
def test_nothing_that_ends_otherwise_is_an_empty_answer(
    server: FaultServer, wire: str, reason: str, words: tuple[str, ...]
) -> None:
    server.scenes = [says(WIRES[wire], reason, *words)]
    events = events_of(Shield(WIRES[wire].brain(server)))
    [error] = events
    assert isinstance(error, BrainResponseError)
    assert error.code == "empty_answer"
    assert repr(reason) in error.message
    assert [(attempt.outcome, attempt.error) for attempt in error.attempts] == [("error", "empty_answer")]


@pytest.mark.parametrize("name", ["claude", "vllm"])
def test_an_answer_that_ends_without_a_word_for_it_is_half_or_empty(server: FaultServer, name: str) -> None:
    server.scenes = [says(WIRES[name], None, "Ecco")]
    half = events_of(Shield(WIRES[name].brain(server)))[-1]
    assert (type(half), half.partial) == (StreamInterruptedError, "Ecco")
    server.scenes = [says(WIRES[name], None, " ")]
    [empty] = events_of(Shield(WIRES[name].brain(server)))
    assert (type(empty), empty.code) == (BrainResponseError, "empty_answer")


def test_an_answer_with_no_room_for_a_word_is_none(server: FaultServer) -> None:
    server.scenes = [says(WIRES["claude"], "model_context_window_exceeded")]
    for brain in (Shield(WIRES["claude"].brain(server)), Shield(Ends("", "length")), Shield(Ends(" ", "max_tokens"))):
        [error] = events_of(brain)
        assert (type(error), error.code) == (BrainResponseError, "empty_answer")
        assert "max_output_tokens" in error.remedy


@pytest.mark.parametrize("reason", ["abort", "", None, "tool_calls", 3])
def test_a_brain_of_somebody_elses_is_held_to_the_same(reason: Any) -> None:
    half, empty = events_of(Shield(Ends("Ecco mezza", reason)))[-1], events_of(Shield(Ends("", reason)))[-1]
    assert isinstance(half, StreamInterruptedError)
    assert half.partial == "Ecco mezza"
    assert half.attempts[0].usage == Usage(input_tokens=7, output_tokens=3)
    assert isinstance(empty, BrainResponseError)
    assert empty.code == "empty_answer"


def test_a_brain_that_passes_its_engines_word_on_has_answered() -> None:
    assert events_of(Shield(Ends("Ecco.", "end_turn")))[-1].completion.finish_reason == "stop"


@pytest.mark.parametrize("blank", [" ", "\n\n", "\u200b \ufeff"])
def test_a_blank_answer_is_none_and_the_next_brain_is_asked(blank: str) -> None:
    [error] = events_of(Shield(Ends(blank, "stop")))
    assert (type(error), error.code) == (BrainResponseError, "empty_answer")
    both = Fallback([Shield(Ends(blank, "stop")), Shield(ScriptedBrain("Ecco."))])
    assert events_of(both)[-1].completion.text == "Ecco."


def test_white_space_before_the_first_word_is_kept_with_it() -> None:
    async def stream(prompt: Prompt, /) -> AsyncIterator[BrainEvent]:
        for piece in ("\n", " ", "Ecco", " ", "qua"):
            yield TextDelta(text=piece)
        yield Finished(completion=Completion(text="\n Ecco qua"))

    brain = SimpleNamespace(name="a", model="b", stream=stream)
    events = events_of(Shield(brain))  # type: ignore[arg-type]
    assert [event.text for event in events[:-1]] == ["\n Ecco", " ", "qua"]
    assert events[-1].completion.text == "\n Ecco qua"


def test_the_contract_knows_an_answer_that_is_not_whole() -> None:
    check_brain(Ends("Ecco.", "stop"))
    check_brain(Ends("", "refusal"))
    for reason in ("abort", "", None):
        with pytest.raises(AssertionError, match="ended its answer with"):
            check_brain(Ends("Ecco.", reason))


# Endings that somebody else collected, who did not know the rule


CASES = [json.loads(line) for line in (DATA / "endings.jsonl").read_text(encoding="utf-8").splitlines()]
_KINDS = {"stop": "whole", "length": "cut at length", "refusal": "refusal"}


@pytest.mark.parametrize("case", CASES, ids=[case["id"] for case in CASES])
def test_an_ending_that_somebody_else_collected(server: FaultServer, case: dict[str, str]) -> None:
    """`expect` is the collector's word, `held` ours where we differ, for the reason in `dispute`."""
    wire = WIRES["vllm" if case["wire"] == "openai" else case["wire"]]
    server.scenes = [says(wire, case["ending"], *filter(None, [case["text"]]))]
    events = events_of(Shield(wire.brain(server)))
    last = events[-1]
    attempts = last.completion.attempts if isinstance(last, Finished) else last.attempts
    kind = (
        _KINDS[last.completion.finish_reason]
        if isinstance(last, Finished)
        else "interrupted"
        if isinstance(last, StreamInterruptedError) and last.partial == case["text"] == text_of(events)
        else last.code
    )
    assert kind == case.get("held", case["expect"])
    assert (attempts[-1].outcome == "ok") == (kind in ("whole", "cut at length"))


# Refusals


class Refusal:
    """What a wire sends that refuses: its words so far, and why."""

    @staticmethod
    async def claude(to: Connection, words: tuple[str, ...], details: Any) -> None:
        wire = WIRES["claude"]
        await wire.begin(to)
        for word in words:
            await wire.word(to, word)
        delta = {"stop_reason": "refusal", "stop_sequence": None, "stop_details": details}
        await wire._event(to, "message_delta", delta=delta, usage={"output_tokens": 3})
        await wire._event(to, "message_stop")

    @staticmethod
    async def vllm(to: Connection, words: tuple[str, ...], details: Any, reason: str = "stop") -> None:
        wire = WIRES["vllm"]
        await wire.begin(to)
        for word in words:
            await wire.word(to, word)
        for piece in details:
            await wire._choice(to, {"refusal": piece})
        await wire.end(to, reason=reason)


CLAUDES_WORDS = [
    (None, f"{REFUSED}."),
    ({"type": "refusal", "category": None, "explanation": None}, f"{REFUSED}."),
    ({"type": "refusal", "category": "cyber", "explanation": None}, f"{REFUSED}: cyber"),
    ({"type": "refusal", "category": "cyber", "explanation": "Troppo\nrischioso."}, f"{REFUSED}: Troppo rischioso."),
]


@pytest.mark.parametrize(("details", "said"), CLAUDES_WORDS)
def test_a_refusal_of_claude_says_so_and_why(server: FaultServer, details: Any, said: str) -> None:
    server.scenes = [lambda to: Refusal.claude(to, (), details)]
    events = events_of(Shield(WIRES["claude"].brain(server)))
    completion = events[-1].completion
    assert (completion.text, completion.finish_reason) == (said, "refusal")
    assert text_of(events) == said
    [attempt] = completion.attempts
    assert (attempt.outcome, attempt.error, attempt.first_token_seconds) == ("refused", None, None)
    assert (attempt.usage.input_tokens, attempt.usage.output_tokens) == (100, 3)


@pytest.mark.parametrize("reason", ["stop", "length", "content_filter"])
def test_a_refusal_of_openais_wire_says_so_and_why(server: FaultServer, reason: str) -> None:
    server.scenes = [lambda to: Refusal.vllm(to, (), ("Non posso ", "aiutare."), reason)]
    events = events_of(Shield(WIRES["vllm"].brain(server)))
    completion = events[-1].completion
    assert (completion.text, completion.finish_reason) == (f"{REFUSED}: Non posso aiutare.", "refusal")
    assert text_of(events) == completion.text
    assert completion.attempts[0].outcome == "refused"


@pytest.mark.parametrize("wire", ["claude", "vllm"])
def test_what_came_before_a_refusal_stands_and_says_that_it_is_not_whole(server: FaultServer, wire: str) -> None:
    details = {"explanation": "No.", "type": "refusal"} if wire == "claude" else ("No.",)
    server.scenes = [lambda to: getattr(Refusal, wire)(to, ("Allora, ", "prendi"), details)]
    events = events_of(Shield(WIRES[wire].brain(server)))
    assert text_of(events) == events[-1].completion.text == f"Allora, prendi\n\n{REFUSED}: No."


@pytest.mark.parametrize(
    ("code", "said"),
    [("it", REFUSED), ("en", "The model refused to answer"), ("pt", "O modelo recusou-se a responder")],
)
def test_a_refusal_is_told_in_the_bases_language(code: str, said: str) -> None:
    prompt = Prompt(system="S", question="Q?", hints={"language": code})
    completion = events_of(Shield(Ends("", "refusal", refusal="x")), prompt)[-1].completion
    assert completion.text == f"{said}: x"


def test_a_refusal_does_not_move_on_to_the_next_brain() -> None:
    second = ScriptedBrain("Ecco.")
    done = events_of(Fallback([Shield(Ends("", "refusal")), Shield(second)]))[-1].completion
    assert done.finish_reason == "refusal"
    assert not second.prompts


def test_a_long_reason_is_cut() -> None:
    done = events_of(Shield(Ends("", "refusal", refusal="no " * 100_000)))[-1].completion
    assert len(done.text) < 600


# Claude's first words


@pytest.mark.parametrize("later", [(), (" mi", ".")], ids=["alone", "with more"])
def test_words_in_the_start_of_a_block_are_not_lost(server: FaultServer, later: tuple[str, ...]) -> None:
    wire = WIRES["claude"]

    async def play(to: Connection) -> None:
        await wire.begin(to)
        thought = {"type": "thinking", "thinking": "dovrei", "text": "segreto", "signature": ""}
        await wire._event(to, "content_block_start", index=0, content_block=thought)
        await wire._event(to, "content_block_stop", index=0)
        other = {"type": "mai_sentito", "text": "altro"}
        await wire._event(to, "content_block_start", index=1, content_block=other)
        await wire._event(to, "content_block_start", index=2, content_block={"type": "text", "text": "Ecco"})
        for word in later:
            await wire.word(to, word)
        await wire._event(to, "content_block_stop", index=2)
        await wire._event(to, "content_block_start", index=3, content_block={"type": "text", "text": ""})
        await wire.end(to)

    server.scenes = [play]
    events = events_of(Shield(wire.brain(server)))
    assert text_of(events) == events[-1].completion.text == "".join(("Ecco", *later))


# No message that is sent is empty


def strict(wire: Any) -> Play:
    """As Claude does: a request with an empty message is refused."""

    async def play(to: Connection) -> None:
        body = to.request.body
        system = [{"role": "system", "content": body["system"]}] if "system" in body else []
        bad = [m for m in (*system, *body["messages"]) if _is_empty(m)]
        if bad:
            await to.status(400, wire.error("invalid_request_error", f"messages: must be non-empty: {bad}"))
        else:
            await says(wire, _END[wire], "Ecco.")(to)

    return play


_END = {WIRES["claude"]: "end_turn", WIRES["vllm"]: "stop", WIRES["ollama"]: "stop"}


def _is_empty(message: dict[str, Any]) -> bool:
    content = message["content"]
    if isinstance(content, str):
        return not content.strip() and not message.get("images")
    return not content or any(part.get("type") == "text" and not part["text"].strip() for part in content)


BLANK = st.sampled_from(
    ["", " ", "\n\t", "\u00a0", "\u200b", "[F1]", " [F1][F2] ", f"{REFUSED}.", f"Ma\n\n{REFUSED}: no"]
)
WORDS = st.sampled_from(["Quando?", "Il 20 gennaio [F1].", "Ciao", "No"])
PICTURE = Image(media_type="image/png", data=b"x")
TURNS = st.lists(
    st.tuples(st.one_of(BLANK, WORDS), st.one_of(BLANK, WORDS), st.sampled_from([(), (), (), (PICTURE,)])), max_size=6
)


def as_history(turns: list[tuple[str, str, tuple[Image, ...]]]) -> tuple[Message, ...]:
    return tuple(
        message
        for question, answer, images in turns
        for message in (
            Message(role="user", content=question, images=images),
            Message(role="assistant", content=answer),
        )
    )


@pytest.mark.parametrize("name", WIRES)
@settings(max_examples=60, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(turns=TURNS, system=st.sampled_from(["Sono Cervella.", "", " \n"]), folded=st.booleans())
def test_no_message_over_the_wire_is_empty(
    server: FaultServer, name: str, turns: list[tuple[str, str, tuple[Image, ...]]], system: str, folded: bool
) -> None:
    wire = WIRES[name]
    server.scenes, server.requests = [strict(wire)], []
    brain = wire.brain(server)
    brain._ready, brain._folded = True, folded
    brain.capabilities = frozenset({"images"})
    last = events_of(Shield(brain), Prompt(system=system, question="E ora?", history=as_history(turns)))[-1]
    assert isinstance(last, Finished), last
    sent = [message["role"] for message in server.requests[-1].body["messages"] if message["role"] != "system"]
    assert sent == [("user", "assistant")[n % 2] for n in range(len(sent))]
    assert sent[-1] == "user"


@settings(max_examples=60)
@given(turns=TURNS, system=st.sampled_from(["Sono Cervella.", "", " \n"]))
def test_no_message_to_the_embedded_engine_is_empty(
    turns: list[tuple[str, str, tuple[Image, ...]]], system: str
) -> None:
    engine: Any = SimpleNamespace(control_tokens=re.compile("(?!)"))
    prompt = Prompt(system=system, question="E ora?", history=as_history([(q, a, ()) for q, a, _ in turns]))
    body, _ = EmbeddedBrain(model="nessuno.gguf")._request(engine, prompt)
    assert not [message for message in body["messages"] if _is_empty(message)]


def test_a_prompt_that_asks_nothing_is_not_sent() -> None:
    brain = ScriptedBrain("Ecco.")
    [error] = events_of(Shield(brain), Prompt(system="S", question=" \u200b"))
    assert isinstance(error, BrainResponseError)
    assert (error.code, brain.prompts) == ("empty_question", [])
