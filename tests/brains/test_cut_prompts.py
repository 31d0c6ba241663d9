"""A soul that a server cuts, on the wires where nobody can ask for a window: stubs, not verified against an Ollama.

What the stub of Ollama says of a prompt that is too long (the window's half and a little, a signature on OpenAI's wire,
/api/version, /api/ps, and /api/chat, which refuses where it may not cut) is what its sources say.
"""

from __future__ import annotations

import asyncio
import json
from collections.abc import Iterator
from dataclasses import replace
from typing import Any

import pytest

from cervella.agent.agent import Agent
from cervella.brains.http.prompt_meter import PromptMeter
from cervella.brains.routing.fallback import Fallback
from cervella.brains.shield.shield import Shield
from cervella.errors import BrainError, BrainResponseError, PersonaTruncatedError, PromptTooLongError
from cervella.prompt.layout import render
from cervella.testing import FixedRetriever, ScriptedBrain
from cervella.types import Attempt, Completion, Finished, Image, Message, Prompt, TextDelta
from tests.conftest import PlainSoul, make_passage
from tests.fixtures.fault_server import Connection, FaultServer, fault_server
from tests.fixtures.wires import TEXT, WIRES, WORDS

SOUL = "Sono Cervella, la partner strategica. Rispondo con calma, in italiano, e cito le fonti che leggo. " * 60
NOTES = "Il lancio è rinviato al 20 gennaio 2026 perché mancavano i test di carico; ne parliamo giovedì. " * 40


class Stub:
    """A server that has a window and cuts what is longer, on the wire of OpenAI or of Anthropic."""

    def __init__(self, server: FaultServer, kind: str) -> None:
        self.server, self.kind, self.wire = server, kind, WIRES[kind]
        self.window = 4096
        self.kept = 2
        self.characters_a_token = 2.77
        self.ollama = False
        """It is an Ollama, which signs what it says and has a wire of its own."""
        self.counts: dict[str, Any] | None = None
        """What it says that it read, whatever it was sent."""
        self.own: list[Any] = []
        server.scenes = [self.answer]

        async def nothing(to: Connection) -> None:
            await to.status(404, {"error": "not found"})

        async def models(to: Connection) -> None:
            await to.status(200, {"data": [{"id": "prova:latest", "object": "model", "owned_by": "library"}]})

        async def version(to: Connection) -> None:
            await (to.status(200, {"version": "0.33.0"}) if self.ollama else nothing(to))

        async def running(to: Connection) -> None:
            await to.status(200, {"models": [{"model": "prova:latest", "context_length": self.window}]})

        server.beside = {
            "/models": models, "/count_tokens": nothing, "/api/version": version, "/api/ps": running,
            "/api/chat": self.chat}  # fmt: skip

    def brain(self, **options: Any) -> Any:
        return self.wire.brain(self.server, **options)

    def tokens(self, body: Any) -> int:
        texts = [body.get("system") or [], *(message["content"] for message in body["messages"])]
        flat = [part["text"] for text in texts if isinstance(text, list) for part in text if "text" in part]
        flat += [text for text in texts if isinstance(text, str)]
        return int(sum(map(len, flat)) / self.characters_a_token)

    async def chat(self, to: Connection) -> None:
        self.own.append(to.request.body)
        count = self.tokens(to.request.body)
        if not self.ollama:
            await to.status(404, {"error": "not found"})
        elif count > self.window:
            said = {"error": {"code": 400, "n_prompt_tokens": count, "n_ctx": self.window, "message": "too long"}}
            await to.status(400, {"error": json.dumps(said)})
        else:
            await to.status(200, {"message": {"role": "assistant", "content": "E"}, "prompt_eval_count": count})

    async def answer(self, to: Connection) -> None:
        count = self.tokens(to.request.body)
        if count > self.window:
            count = self.window - (self.window - self.kept) // 2
        told = self.counts
        if self.kind == "vllm":
            signed = {"system_fingerprint": "fp_ollama"} if self.ollama else {}
            await to.start()
            for word in WORDS:
                choice = {"index": 0, "delta": {"content": word}, "finish_reason": None}
                await self.wire._chunk(to, choices=[choice], **signed)
            await self.wire._choice(to, {}, "stop")
            usage = {"prompt_tokens": count, "completion_tokens": 3} if told is None else told
            await self.wire._chunk(to, usage=usage)
            await to.send("data: [DONE]\n\n")
        else:
            await to.start()
            message = {"id": "m", "type": "message", "role": "assistant", "content": [], "model": "prova"}
            guess = {"input_tokens": 4000, "output_tokens": 0}
            await self.wire._event(to, "message_start", message={**message, "usage": guess if told is None else {}})
            for word in WORDS:
                await self.wire.word(to, word)
            usage = {"input_tokens": count, "output_tokens": 3} if told is None else told
            delta = {"stop_reason": "end_turn", "stop_sequence": None}
            await self.wire._event(to, "message_delta", delta=delta, usage=usage)
            await self.wire._event(to, "message_stop")


@pytest.fixture(params=["vllm", "claude"])
def stub(request: pytest.FixtureRequest) -> Iterator[Stub]:
    with fault_server() as server:
        yield Stub(server, request.param)


@pytest.fixture
def ollama() -> Iterator[Stub]:
    with fault_server() as server:
        made = Stub(server, "vllm")
        made.ollama = True
        yield made


def asked(question: str = "Quando si parte?", **parts: Any) -> Prompt:
    passages = (make_passage(NOTES),)
    return Prompt(**{"system": SOUL, "question": question, "passages": passages, "max_output_tokens": 64, **parts})


def stream(subject: Any, prompt: Prompt) -> list[Any]:
    async def whole() -> list[Any]:
        return [event async for event in subject.stream(prompt)]

    return asyncio.run(asyncio.wait_for(whole(), 30))


def answer(subject: Any, prompt: Prompt) -> Completion:
    last = stream(subject, prompt)[-1]
    assert isinstance(last, Finished)
    return last.completion


# It is found out


@pytest.mark.parametrize(
    ("window", "kept"), [(1024, 0), (2048, 4), (3000, 5), (3000, 24), (3500, 5), (2560, 0)]
)  # fmt: skip
def test_a_soul_that_was_cut_is_no_answer(stub: Stub, window: int, kept: int) -> None:
    stub.window, stub.kept = window, kept
    for subject in (stub.brain(), Shield(stub.brain())):
        with pytest.raises(PersonaTruncatedError) as caught:
            stream(subject, asked())
        seen = window - (window - kept) // 2
        sent = stub.tokens(stub.server.requests[-1].body)
        assert caught.value.seen_tokens == seen
        assert sent * 0.8 <= (caught.value.prompt_tokens or 0) <= sent * 1.3
        assert "window" in str(caught.value.remedy)


@pytest.mark.parametrize(("count", "cut"), [(2048, True), (2049, False), (2100, False)])
def test_a_count_that_is_a_whole_window_is_all_that_was_left(stub: Stub, count: int, cut: bool) -> None:
    stub.counts = {"prompt_tokens" if stub.kind == "vllm" else "input_tokens": count, "completion_tokens": 3}
    if cut:
        with pytest.raises(PersonaTruncatedError) as caught:
            stream(stub.brain(), asked(system=SOUL[: len(SOUL) // 60 * 42]))
        assert caught.value.seen_tokens == count
    else:
        assert answer(stub.brain(), asked(system=SOUL[: len(SOUL) // 60 * 42])).text == TEXT


def test_every_way_of_asking_an_agent_finds_it_and_keeps_nothing(stub: Stub, soul: PlainSoul) -> None:
    told: list[Any] = []
    soul = replace(soul, text=SOUL)
    retriever = FixedRetriever([make_passage(NOTES)])
    stub.window = 1024
    with Agent(brain=stub.brain(), soul=soul, retriever=retriever) as agent:
        chat = agent.session("a")
        for ask in (agent.ask, chat.ask, lambda question: list(agent.stream(question))):
            with pytest.raises(PersonaTruncatedError) as caught:
                ask("Quando si parte?")
            assert caught.value.seen_tokens == 513
            assert not hasattr(caught.value, "partial")
            told += caught.value.attempts
        assert TEXT not in str(agent.conversations.export("a"))
    assert [(attempt.outcome, attempt.error) for attempt in told] == [("error", "persona_truncated")] * 3
    assert all(attempt.usage.input_tokens == 513 for attempt in told), "what was read is billed"


def test_a_cut_that_begins_later_in_a_talk_is_found(stub: Stub) -> None:
    subject = stub.brain()
    assert answer(subject, asked(passages=())).text == TEXT
    with pytest.raises(PersonaTruncatedError):
        answer(subject, asked(passages=tuple(make_passage(NOTES, id=str(n)) for n in range(2))))


def test_another_brain_does_not_go_on_where_a_cut_soul_had_begun_to_speak(stub: Stub) -> None:
    stub.window = 1024
    other = ScriptedBrain("Altro.")
    pair = Fallback([Shield(stub.brain()), Shield(other)])
    with pytest.raises(PersonaTruncatedError) as caught:
        stream(pair, asked())
    assert not other.prompts
    assert len(caught.value.attempts) == 1


def test_a_prompt_that_is_refused_is_too_long_and_not_cut(stub: Stub) -> None:
    async def refused(to: Connection) -> None:
        await to.status(400, stub.wire.error("invalid_request_error", "prompt is too long: 5972 tokens > 4096 maximum"))

    stub.server.scenes = [refused]
    with pytest.raises(PromptTooLongError):
        stream(stub.brain(), asked())


# An Ollama behind the wire


def test_an_ollamas_answer_waits_until_it_is_known_to_be_hers(ollama: Stub) -> None:
    given: list[Any] = []

    async def listen() -> None:
        async for event in ollama.brain().stream(asked()):
            given.append(event)

    ollama.window = 2048
    with pytest.raises(PersonaTruncatedError) as caught:
        asyncio.run(listen())
    assert not [event for event in given if isinstance(event, TextDelta)]
    assert 'kind = "ollama"' in str(caught.value.remedy)
    assert f'url = "{ollama.server.url}"' in str(caught.value.remedy)
    assert caught.value.prompt_tokens == ollama.tokens(ollama.server.requests[-1].body), "it was asked for the count"
    assert ollama.own[0]["truncate"] is False


def test_an_ollama_with_a_large_window_streams_from_the_second_question(ollama: Stub) -> None:
    ollama.window = 32768
    subject = ollama.brain()
    deltas = [
        [e.text for e in stream(subject, asked(q)) if isinstance(e, TextDelta)] for q in ("Quando?", "E poi che?")
    ]
    assert deltas == [[TEXT], list(WORDS)]
    assert not ollama.own, "nothing was in doubt"


@pytest.mark.parametrize(("count", "cut"), [(2050, True), (2061, True), (2060, False)])
def test_a_count_that_a_cut_often_leaves_is_asked_of_the_ollama_itself(ollama: Stub, count: int, cut: bool) -> None:
    text = "所有人生而自由，在尊严和权利上一律平等。他们赋有理性和良心，并应以兄弟关系的精神相对待。"
    prompt = asked(system=text * 90, passages=())
    ollama.characters_a_token = sum(len(m.content) for m in render(prompt)) / (4300.0 if cut else count + 0.5)
    ollama.kept = 2 * count - 4096
    if cut:
        with pytest.raises(PersonaTruncatedError) as caught:
            stream(ollama.brain(), prompt)
        assert (caught.value.prompt_tokens, caught.value.seen_tokens) == (4300, count)
    else:
        assert answer(ollama.brain(), prompt).text == TEXT
    assert len(ollama.own) == 1


@pytest.mark.parametrize("kind", ["vllm", "claude"])
def test_check_names_the_kind_of_an_ollama_behind_the_wire(ollama: Stub, kind: str) -> None:
    subject = WIRES[kind].brain(ollama.server, name="box", model="prova")
    with pytest.raises(BrainResponseError, match=r"Ollama \(0\.33\.0\)") as caught:
        subject.check()
    assert 'kind = "ollama"' in str(caught.value.remedy)
    assert "[brains.box]" in str(caught.value.remedy)
    assert not ollama.server.requests
    ollama.ollama = False
    WIRES[kind].brain(ollama.server, model="prova:latest").check()


# No false alarm


@pytest.mark.parametrize("count", [None, 0, 1, 12])
def test_a_count_that_is_not_told_or_is_none_is_not_judged(stub: Stub, count: int | None) -> None:
    name = "prompt_tokens" if stub.kind == "vllm" else "input_tokens"
    stub.counts = {} if count is None else {name: count, "completion_tokens": 3}
    assert answer(stub.brain(), asked()).text == TEXT


@pytest.mark.parametrize("count", ["3600", 3600.0, "molti", [], True])
def test_a_count_of_another_type_loses_no_answer(count: Any) -> None:
    with fault_server() as server:
        stub = Stub(server, "vllm")
        stub.counts = {"prompt_tokens": count, "completion_tokens": "3"}
        done = answer(stub.brain(), asked())
    assert (done.text, done.usage.output_tokens) == (TEXT, 3)
    assert done.usage.input_tokens == (3600 if count in ("3600", 3600.0) else None)


def test_a_server_that_does_not_cut_streams_from_its_first_word(stub: Stub) -> None:
    stub.window = 32768
    assert [e.text for e in stream(stub.brain(), asked()) if isinstance(e, TextDelta)] == list(WORDS)


def test_tokens_that_a_server_counts_apart_were_read_too() -> None:
    with fault_server() as server:
        stub = Stub(server, "vllm")
        stub.counts = {"prompt_tokens": 300, "prompt_tokens_details": {"cached_tokens": 3300}}
        assert answer(stub.brain(), asked()).usage.input_tokens == 3600


def test_a_server_that_leaves_cached_tokens_out_of_its_count_is_known_by_what_it_read_before(stub: Stub) -> None:
    stub.window = 32768
    subject = stub.brain()
    answer(subject, asked())
    stub.counts = {"prompt_tokens" if stub.kind == "vllm" else "input_tokens": 90, "completion_tokens": 3}
    for question in ("Quando si parte?", "E allora?", "Perché? " * 400):
        assert answer(subject, asked(question)).text == TEXT


def test_a_picture_is_no_text_and_teaches_nothing(stub: Stub) -> None:
    stub.window = 32768
    subject = stub.brain(**({"images": True} if stub.kind == "vllm" else {}))
    stub.characters_a_token = 0.5
    picture = Image(media_type="image/png", data=b"x")
    answer(subject, asked(images=(picture,)))
    stub.characters_a_token = 2.77
    assert answer(subject, asked()).text == TEXT


# Texts of many kinds, and their tokens by three vocabularies: of 200,000, of 100,000 and of 49,000 entries.
ROWS = [{"id": i, "nome": f"prodotto {i}", "prezzo": i * 1.5, "attivo": bool(i % 2)} for i in range(400)]
LINKS = [f"https://example.com/percorso/{i}/pagina-{i * 3}?utm_source=x&id={i * 999331:x}" for i in range(300)]
TABLE = [f"| {f'voce {i}':<40} | {'':>20} | {i * 37:>10} |" for i in range(200)]
LOREM = (
    "Lorem ipsum dolor sit amet, consectetur adipiscing elit, sed do eiusmod tempor incididunt ut labore et dolore "
    "magna aliqua. "
)
CHINESE = (
    "所有人生而自由，在尊严和权利上一律平等。他们赋有理性和良心，并应以兄弟关系的精神相对待。"
    "人人有资格享有本宣言所载的一切权利和自由，不分种族、肤色、性别、语言、宗教、政治或其他见解、"
    "国籍或社会出身、财产、出生或其他身份等任何区别。"
)
RUSSIAN = (
    "Все люди рождаются свободными и равными в своем достоинстве и правах. Они наделены разумом и совестью "
    "и должны поступать в отношении друг друга в духе братства. Каждый человек должен обладать всеми "
    "правами и всеми свободами, провозглашенными настоящей Декларацией. "
)
HINDI = (
    "सभी मनुष्यों को गौरव और अधिकारों के मामले में जन्मजात स्वतन्त्रता और समानता प्राप्त है। "
    "उन्हें बुद्धि और अन्तरात्मा की देन प्राप्त है और परस्पर उन्हें भाईचारे के भाव से बर्ताव करना चाहिए। "
)
KINDS = {
    "italiano": (SOUL[: len(SOUL) // 60 * 40], (1121, 1241, 1321)),
    "tabella": ("\n".join(TABLE) + "\n" + "-" * 3000, (2619, 2820, 3806)),
    "spazi": (("parola" + " " * 60 + "altra\n\n\n\n") * 200, (1000, 1200, 1799)),
    "parola": ("perché " * 600, (602, 602, 1202)),
    "lorem": (LOREM * 60, (1321, 1321, 2582)),
    "una lettera": ("a" * 8000, (1000, 1000, 2000)),
    "emoji": ("😀👍🏽🎉 va bene ❤️ ok 🚀🔥 " * 300, (3901, 6302, 7202)),
    "json": (json.dumps(ROWS, indent=4), (15602, 15602, 17709)),
    "indirizzi": ("\n".join(LINKS), (7197, 7195, 11057)),
    "中文": (CHINESE * 60, (5460, 7500, 11820)),
    "русский": (RUSSIAN * 60, (3961, 7201, 11580)),
    "हिन्दी": (HINDI * 60, (3182, 10801, 11941)),
}


@pytest.mark.parametrize("vocabulary", [0, 1, 2])
@pytest.mark.parametrize("before", [None, *KINDS])
@pytest.mark.parametrize("kind", KINDS)
def test_no_text_that_was_read_whole_is_taken_for_cut(kind: str, before: str | None, vocabulary: int) -> None:
    meter = PromptMeter()
    if before is not None:
        text, counts = KINDS[before]
        meter.learn((Message(role="user", content=text),), counts[vocabulary])
    text, counts = KINDS[kind]
    assert meter.reading((Message(role="user", content=text),), counts[vocabulary] + 5, 512) == "whole"


@pytest.mark.parametrize("vocabulary", [0, 1, 2])
def test_half_a_soul_is_seen_with_every_vocabulary_at_the_first_question(vocabulary: int) -> None:
    text, counts = KINDS["italiano"]
    messages = (Message(role="system", content=text * 5), Message(role="user", content="Quando?"))
    for share in (0.3, 0.4, 0.5, 0.52):
        assert PromptMeter().reading(messages, int(counts[vocabulary] * 5 * share), 512) == "cut"


def test_an_attempt_that_was_cut_tells_what_was_read(stub: Stub) -> None:
    told: list[Attempt] = []
    stub.window = 1024
    with pytest.raises(BrainError):
        answer(Shield(stub.brain(), on_attempt=told.append), asked())
    assert [(one.outcome, one.usage.input_tokens) for one in told] == [
        ("error", 513 if stub.kind == "vllm" else told[0].usage.input_tokens)
    ]
