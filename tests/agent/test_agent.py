"""The Agent: one question, one way, from every side that a caller can come from."""

from __future__ import annotations

import asyncio
import hashlib
import pickle
import threading
import time
from collections.abc import AsyncIterator, Iterator
from dataclasses import asdict
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings, strategies as st

from cervella import Agent
from cervella.errors import (
    BrainAuthError,
    BrainTimeoutError,
    BrainUnavailableError,
    BudgetError,
    CervellaError,
    ConfigError,
    KnowledgeError,
    SoulError,
    StreamInterruptedError,
    UnknownBrainError,
)
from cervella.prompt.layout import render
from cervella.testing import EchoBrain, FixedRetriever, ScriptedBrain
from cervella.types import (
    Answered,
    Filters,
    Finished,
    Interrupted,
    Message,
    Passage,
    Prompt,
    Reply,
    Retrieval,
    Retrieved,
    TextDelta,
    Usage,
)
from tests.conftest import PATIENCE, SECRET, PlainSoul, make_passage


@pytest.fixture
def make(passages: tuple[Passage, ...], soul: PlainSoul) -> Iterator[Any]:
    """Makes agents over the sample passages, and closes them."""
    made: list[Agent] = []

    def agent(brain: Any = None, **options: Any) -> Agent:
        known = {"brain": brain or EchoBrain(), "retriever": FixedRetriever(passages), "soul": soul, **options}
        made.append(Agent(**known))
        return made[-1]

    yield agent
    for agent_ in made:
        agent_.close()


class Endless(EchoBrain):
    """Talks until somebody stops it."""

    def __init__(self) -> None:
        super().__init__()
        self.stopped = threading.Event()

    async def stream(self, prompt: Prompt, /) -> AsyncIterator[Any]:
        try:
            while True:
                yield TextDelta(text="ancora ")
                await asyncio.sleep(0.005)
        finally:
            self.stopped.set()


# Four ways to ask


def test_every_way_of_asking_gives_the_same_answer(make: Any) -> None:
    agent = make(ScriptedBrain("Il lancio è il 20 gennaio 2026 [F1]."))

    async def asked() -> Reply:
        return await agent.aask("Quando?")

    async def streamed() -> list[Any]:
        return [event async for event in agent.astream("Quando?")]

    replies = [agent.ask("Quando?"), asyncio.run(asked()), list(agent.stream("Quando?"))[-1].reply]
    replies.append(asyncio.run(streamed())[-1].reply)
    for reply in replies:
        assert reply.text == "Il lancio è il 20 gennaio 2026 [F1]."
        assert [(c.mark, c.supported) for c in reply.citations] == [("F1", True)]
    assert len({reply.id for reply in replies}) == 4


def test_events_come_in_their_order(make: Any) -> None:
    first, *deltas, last = make(ScriptedBrain("uno due")).stream("Quando?")
    assert isinstance(first, Retrieved)
    assert [delta.text for delta in deltas] == ["uno ", "due"]
    assert isinstance(last, Answered)
    assert "".join(delta.text for delta in deltas) == last.reply.text


def test_a_reply_says_who_answered_what_it_took_and_what_was_found(make: Any, passages: Any, soul: PlainSoul) -> None:
    reply = make(ScriptedBrain("Sì.", name="gpu", model="qwen", usage=Usage(input_tokens=9, output_tokens=1))).ask(
        "Si parte?"
    )
    assert (reply.question, reply.text, reply.brain, reply.model) == ("Si parte?", "Sì.", "gpu", "qwen")
    assert reply.passages == passages
    assert reply.usage.input_tokens == 9
    assert reply.cost_usd is None
    assert reply.soul == soul.fingerprint
    assert [attempt.outcome for attempt in reply.attempts] == ["ok"]
    times = reply.timings
    assert 0 <= times.retrieval_seconds <= times.first_token_seconds <= times.total_seconds  # type: ignore[operator]
    assert pickle.loads(pickle.dumps(reply)) == reply


def test_search_and_preview_ask_no_brain(make: Any, passages: Any, soul: PlainSoul) -> None:
    brain = ScriptedBrain("no", location="cloud", context_tokens=5000)
    agent = make(brain)
    assert agent.search("lancio", top_k=2).passages == passages[:2]
    preview = agent.preview("Quando?")
    assert not brain.prompts
    assert preview.messages == render(preview.prompt)
    assert preview.messages[0].content == soul.text
    assert preview.flags == {"passages_withheld": 1}
    assert preview.brain == "scripted"
    assert preview.prompt_tokens == -(-sum(len(m.content) for m in preview.messages) // 3)
    agent.ask("Quando?")
    assert brain.prompts[0] == preview.prompt


def test_filters_and_top_k_reach_the_retriever(make: Any) -> None:
    agent = make()
    assert [p.id for p in agent.ask("x?", filters={"role": "research"}).passages] == ["prezzi"]
    assert [p.id for p in agent.search("x", filters=Filters(project="miracollo"))] == ["rinvio"]
    assert len(agent.ask("x?", top_k=1).passages) == 1
    with pytest.raises(ConfigError, match="'projct'"):
        agent.ask("x?", filters={"projct": "y"})


@pytest.mark.parametrize("question", ["", "  \n", None, 5, b"ciao"])
def test_a_question_that_is_none_is_a_config_error(make: Any, question: Any) -> None:
    brain = EchoBrain()
    agent = make(brain)
    for ask in (agent.ask, agent.search, agent.preview, lambda q: list(agent.stream(q))):
        with pytest.raises(ConfigError) as caught:
            ask(question)
        assert caught.value.code == "empty_question"
    assert not brain.prompts


# History


def test_history_of_every_form_reaches_the_brain_bare(make: Any) -> None:
    brain = EchoBrain()
    agent = make(brain)
    reply = agent.ask("Chi sei?")
    agent.ask(
        "E poi?", history=[("a", "b"), {"role": "user", "content": "c"}, Message(role="assistant", content="d"), reply]
    )
    assert [m.content for m in brain.prompts[1].history] == ["a", "b", "c", "d", "Chi sei?", "Chi sei?"]
    with pytest.raises(ConfigError, match="history"):
        agent.ask("E poi?", history="ciao")


@pytest.mark.parametrize("content", [[{"type": "text", "text": "Quando?"}], b"Quando?", 7])
def test_a_message_whose_content_is_no_text_is_refused_and_not_written_out(make: Any, content: Any) -> None:
    brain = ScriptedBrain(["Bene."])
    with pytest.raises(ConfigError, match="content"):
        make(brain).ask("E poi?", history=[{"role": "user", "content": content}])
    assert not brain.prompts


# Another engine


def test_with_brain_keeps_soul_and_knowledge(make: Any) -> None:
    one, other = EchoBrain(), ScriptedBrain("Sì.", name="altro")
    agent = make(one)
    with agent.with_brain(other) as second:
        assert second.ask("Quando?").brain == "altro"
        assert second.soul is agent.soul
        assert second.retriever is agent.retriever
        assert second.brain.name == "altro"
    assert agent.ask("Quando?").brain == "echo"
    with pytest.raises(UnknownBrainError):
        agent.with_brain("cluade")


def test_a_brain_can_be_named_or_given_for_one_question(make: Any) -> None:
    agent = make(EchoBrain())
    assert agent.ask("Quando?", brain=ScriptedBrain("Sì.", name="altro")).brain == "altro"
    assert agent.ask("Quando?", brain="scripted").text == "Non lo so."
    assert agent.ask("Quando?").brain == "echo"
    with pytest.raises(UnknownBrainError, match="'cluade'"):
        agent.ask("Quando?", brain="cluade")
    with pytest.raises(ConfigError, match="no name, model and stream"):
        agent.ask("Quando?", brain=object())


@pytest.mark.parametrize("text", [PlainSoul().text, "  # A\n\n~~~~\n[F1]\n\u2028\t\x0c fine  \n\n"])
def test_the_soul_is_byte_identical_and_the_passages_the_same_under_every_brain(
    make: Any, text: str, passages: Any
) -> None:
    brains = [EchoBrain(), ScriptedBrain("Sì."), ScriptedBrain("No.", location="private", context_tokens=9000)]
    replies = [make(brain, soul=PlainSoul(text)).ask("Quando?") for brain in brains]
    for brain, reply in zip(brains, replies, strict=True):
        [prompt] = brain.prompts
        assert prompt.system.encode() == text.encode()
        system = render(prompt)[0]
        assert (system.role, system.content.encode()) == ("system", text.encode())
        assert prompt.passages == reply.passages == passages
        assert reply.soul == hashlib.sha256(text.encode()).hexdigest()


def test_objects_work_wherever_names_do(tmp_path: Path) -> None:
    page = tmp_path / "C.md"
    page.write_text("# Cervella\n\nCalma.\n", encoding="utf-8")
    with Agent(brain="echo", retriever=FixedRetriever(), constitution=page) as agent:
        assert agent.ask("Ciao?").text == "Ciao?"
        assert agent.soul.system_prompt() == "# Cervella\n\nCalma.\n"
    with pytest.raises(ConfigError, match="Both soul and constitution"):
        Agent(soul=PlainSoul(), constitution=page)


def test_a_config_object_keeps_what_arguments_do_not_change() -> None:
    from cervella import load_config

    config = load_config(None, {"knowledge": {"top_k": 3}, "soul": {"max_tokens": 99}})
    agent = Agent(config=config, brain="echo", index="altrove")
    assert (agent.config.knowledge.top_k, agent.config.soul.max_tokens, agent.config.brain) == (3, 99, "echo")


# What can go wrong


def test_a_missing_constitution_is_a_soul_error_at_the_first_question_only(make: Any) -> None:
    agent = Agent(brain=EchoBrain(), retriever=FixedRetriever())
    assert len(agent.search("x")) == 0
    with pytest.raises(SoulError) as caught:
        agent.ask("x?")
    assert caught.value.code == "soul_missing"
    agent.close()


def test_a_secret_in_a_soul_of_any_kind_is_refused(make: Any) -> None:
    brain = EchoBrain()
    with pytest.raises(SoulError) as caught:
        make(brain, soul=PlainSoul(f"Uso {SECRET}")).ask("x?")
    assert SECRET not in f"{caught.value}{caught.value.remedy}"
    assert not brain.prompts


def test_an_interrupted_stream_gives_the_partial_reply_then_raises(make: Any) -> None:
    agent = make(ScriptedBrain([("Il lancio è il 20 gennaio 2026 [F1]", BrainUnavailableError("giù"))]))
    events: list[Any] = []
    with pytest.raises(StreamInterruptedError) as caught:
        events.extend(agent.stream("Quando?"))  # a list grows as the iterator goes
    last = events[-1]
    assert isinstance(last, Interrupted)
    assert last.reply.text == caught.value.partial == "Il lancio è il 20 gennaio 2026 [F1]"
    assert last.reply.finish_reason == "interrupted"
    assert last.reply.brain == "scripted"
    assert [attempt.outcome for attempt in last.reply.attempts] == ["interrupted"]
    assert [attempt.outcome for attempt in caught.value.attempts] == ["interrupted"]
    assert last.reply.citations[0].supported
    with pytest.raises(StreamInterruptedError):
        agent.ask("Quando?")


def test_every_attempt_is_told_to_the_caller(make: Any) -> None:
    told: list[Any] = []
    agent = make(ScriptedBrain([BrainUnavailableError("giù"), "Sì."]), on_attempt=told.append)
    reply = agent.ask("Quando?")
    assert [attempt.outcome for attempt in told] == ["error", "ok"]
    assert reply.attempts == tuple(told)


def test_a_whole_prompt_is_asked_as_it_is_through_the_shield_and_into_the_books(make: Any, passages: Any) -> None:
    brain = EchoBrain()
    agent = make(brain)
    told: list[Any] = []
    other = make(brain, on_attempt=told.append)
    prompt = Prompt(system="Altra anima.", question="Quando?", passages=passages[:1], instructions="Cita.")
    reply = agent.complete(prompt, session="prova")
    assert (reply.text, reply.passages) == ("Quando?", prompt.passages)
    assert brain.prompts[-1] == prompt
    assert reply.soul == hashlib.sha256(b"Altra anima.").hexdigest()
    (row,) = agent.ledger.rows()
    assert (row.soul, row.session, row.reply) == (reply.soul, "prova", reply.id)
    assert other.complete(Prompt(system="", question="Quando?")).soul == ""
    assert [attempt.outcome for attempt in told] == ["ok"]


def test_a_whole_prompt_is_cut_for_a_cloud_brain_and_a_guard_stops_it(make: Any, passages: Any) -> None:
    brain = ScriptedBrain("Sì.", location="cloud")
    reply = make(brain).complete(Prompt(system="", question="Quando?", passages=passages))
    assert not any(passage.local_only for passage in brain.prompts[0].passages)
    assert (reply.flags["passages_withheld"], reply.tainted) == (1, False)

    def guard(brain: Any, prompt: Prompt) -> None:
        raise BudgetError("finito", spent_usd=2, limit_usd=1)

    with pytest.raises(BudgetError):
        make(guard=guard).complete(Prompt(system="", question="Quando?"))


def test_a_guard_stops_the_question(make: Any) -> None:
    def guard(brain: Any, prompt: Prompt) -> None:
        raise BudgetError("finito", spent_usd=2, limit_usd=1)

    with pytest.raises(BudgetError):
        make(guard=guard).ask("Quando?")


def test_a_timeout_bounds_retrieval_and_answer(make: Any) -> None:
    class Slow(FixedRetriever):
        def retrieve(self, query: str, /, **options: Any) -> Retrieval:
            time.sleep(0.25)
            return super().retrieve(query, **options)

    with pytest.raises(KnowledgeError) as caught:
        make(retriever=Slow()).ask("Quando?", timeout=0.05)
    assert caught.value.code == "retrieval_timeout"
    brain = Endless()
    started = time.perf_counter()
    with pytest.raises(StreamInterruptedError) as interrupted:
        make(brain).ask("Quando?", timeout=0.1)
    assert time.perf_counter() - started < PATIENCE
    assert isinstance(interrupted.value.__cause__, BrainTimeoutError)
    assert brain.stopped.is_set()


@pytest.mark.parametrize("timeout", [0, -1, float("nan")])
def test_a_timeout_that_is_none_is_a_config_error(make: Any, timeout: float) -> None:
    with pytest.raises(ConfigError, match="timeout"):
        make().ask("Quando?", timeout=timeout)


# Abstaining, citing


@pytest.mark.parametrize(
    ("answer", "abstained"),
    [
        ("Non lo so: la base di conoscenza non lo dice.", True),
        ("Non lo so [F2].", True),
        ("Non lo so di preciso, ma il lancio è il 20 gennaio 2026 [F1].", False),
        ("Il lancio è il 20 gennaio 2026 [F1].", False),
        ("Il lancio è il 7 marzo 2031 [F1].", False),
    ],
)
def test_abstained_is_a_form_of_not_knowing_without_a_source_that_holds(
    make: Any, answer: str, abstained: bool
) -> None:
    assert make(ScriptedBrain(answer)).ask("Quando?").abstained is abstained


def test_a_brain_is_asked_also_when_retrieval_abstains_and_is_told(make: Any, passages: Any) -> None:
    brain = ScriptedBrain("Sì.")
    reply = make(brain, retriever=FixedRetriever(passages, abstain=True, confidence=0.1)).ask("Quando?")
    assert not reply.abstained
    assert reply.passages == passages
    assert brain.prompts[0].hints["abstain"] is True
    assert "probabilmente nessuna" in brain.prompts[0].instructions


def test_a_mark_that_was_not_shown_is_invented(make: Any) -> None:
    answer = "A [F1], b [F3], c [F9]."
    cloud = make(ScriptedBrain(answer, location="cloud")).ask("Quando?")
    assert ([c.mark for c in cloud.citations], cloud.invented_marks) == (["F1"], 2)
    home = make(ScriptedBrain(answer)).ask("Quando?")
    assert ([c.mark for c in home.citations], home.invented_marks) == (["F1", "F3"], 1)


def test_a_citation_reads_the_lines_as_they_are_now(make: Any, passages: Any) -> None:
    class Live(FixedRetriever):
        def lines(self, path: str, start: int, end: int) -> str | None:
            return {passages[0].path: "cambiato"}.get(path)

    answer = "A [F1] b [F2]."
    first, second = make(ScriptedBrain(answer), retriever=Live(passages)).ask("Quando?").citations
    assert (first.read().text, first.read().changed) == ("cambiato", True)
    assert (second.read().text, second.read().changed) == (None, True)
    fixed = make(ScriptedBrain(answer)).ask("Quando?").citations[0].read()
    assert (fixed.text, fixed.changed) == (passages[0].text, False)


# A folder that went on


class Watched(FixedRetriever):
    """Knows of some of its files whether they changed since they were indexed."""

    def __init__(self, passages: Any, changed: dict[str, bool | None], *, behind: int = 0) -> None:
        super().__init__(passages, behind=behind)
        self._changed = changed

    def changed(self, passage: Passage, /) -> bool | None:
        return self._changed[passage.id]


ANSWER = "Mancano i test di carico [F1]. Il piano Piccolo costa 12,50 € [F2]."


def test_a_stale_index_is_in_the_flags_of_every_answer(make: Any, passages: Any) -> None:
    agent = make(ScriptedBrain(ANSWER), retriever=FixedRetriever(passages, behind=3))
    replies = [agent.ask("Perché?"), asyncio.run(agent.aask("Perché?")), agent.session("prova").ask("Perché?")]
    first, *_, last = agent.stream("Perché?")
    assert [reply.flags["index_behind"] for reply in [*replies, last.reply]] == [3] * 4
    assert first.retrieval.behind == agent.search("Perché?").behind == agent.preview("Perché?").retrieval.behind == 3
    assert agent.preview("Perché?").flags["index_behind"] == 3
    assert next(agent.batch(["Perché?"])).flags["index_behind"] == 3
    broken = make(
        ScriptedBrain([("Il 20", BrainUnavailableError("giù"))]), retriever=FixedRetriever(passages, behind=3)
    )
    events: list[Any] = []
    with pytest.raises(StreamInterruptedError):
        events.extend(broken.stream("Perché?"))
    assert events[-1].reply.flags["index_behind"] == 3


def test_an_index_that_is_not_behind_has_no_flag(make: Any) -> None:
    assert "index_behind" not in make(ScriptedBrain(ANSWER)).ask("Perché?").flags


def test_a_citation_whose_file_has_changed_is_not_supported(make: Any, passages: Any) -> None:
    retriever = Watched(passages, {"rinvio": True, "prezzi": False})
    agent = make(ScriptedBrain(ANSWER), retriever=retriever)
    first, second = agent.ask("Perché?").citations
    assert (first.changed, first.supported) == (True, False)
    assert (second.changed, second.supported) == (False, True)
    assert "changed or gone since it was indexed" in agent.ask("Perché?")._repr_markdown_()
    assert "changed or gone since it was indexed" in agent.ask("Perché?")._repr_html_()


def test_where_nobody_can_look_changed_is_unknown_and_the_answer_is_not_lost(make: Any, passages: Any) -> None:
    for retriever in (
        FixedRetriever(passages),
        Watched(passages, {"rinvio": None, "prezzi": None}),
        Watched(passages, {}),
    ):
        citations = make(ScriptedBrain(ANSWER), retriever=retriever).ask("Perché?").citations
        assert [(one.changed, one.supported) for one in citations] == [(None, True)] * 2


def test_a_retriever_that_reads_lines_only_is_asked_for_them(make: Any, passages: Any) -> None:
    class Live(FixedRetriever):
        def lines(self, path: str, start: int, end: int) -> str | None:
            return passages[1].text if path == passages[1].path else None

    citations = make(ScriptedBrain(ANSWER), retriever=Live(passages)).ask("Perché?").citations
    assert [(one.changed, one.supported) for one in citations] == [(True, False), (False, True)]
    assert [one.read().changed for one in citations] == [True, False]


def test_the_files_behind_a_whole_prompt_are_not_looked_at(make: Any, passages: Any) -> None:
    agent = make(ScriptedBrain(ANSWER), retriever=Watched(passages, {"rinvio": True, "prezzi": True}, behind=3))
    reply = agent.complete(Prompt(system="s", question="Perché?", passages=passages))
    assert [(one.changed, one.supported) for one in reply.citations] == [(None, True)] * 2
    assert "index_behind" not in reply.flags


def test_what_changed_on_disk_after_the_index_is_seen_in_the_answer(tmp_path: Path, soul: PlainSoul) -> None:
    page = tmp_path / "note/lancio.md"
    page.parent.mkdir()
    page.write_text("# Lancio\n\nIl lancio è rinviato: mancano i test di carico.\n", encoding="utf-8")
    options: dict[str, Any] = {
        "brain": ScriptedBrain("Mancano i test di carico [F1]."),
        "knowledge": page.parent,
        "index": tmp_path / "indice",
        "embedder": "none",
        "refresh": "warn",
        "soul": soul,
    }
    with Agent(**options) as agent:
        agent.index()
        [citation] = agent.ask("Perché il lancio è rinviato?").citations
        assert (citation.changed, citation.supported) == (False, True)
        page.write_text("# Lancio\n\nIl lancio è confermato.\n", encoding="utf-8")
        reply = agent.ask("Perché il lancio è rinviato?")
        [citation] = reply.citations
        assert (citation.changed, citation.supported) == (True, False), "at once: a cited file is always looked at"
        assert reply.flags == {"index_behind": 1}
        assert citation.read().changed
    with Agent(**options) as agent:
        assert agent.ask("Perché il lancio è rinviato?").flags == {"index_behind": 1}
        page.unlink()
        [citation] = agent.ask("Perché il lancio è rinviato?").citations
        assert (citation.changed, citation.supported) == (True, False)
        agent.index()
        assert agent.ask("Perché il lancio è rinviato?").flags == {}


# Privacy


def test_tainted_follows_the_attempt_that_answered(make: Any) -> None:
    assert make(ScriptedBrain("Sì.")).ask("Quando?").tainted
    assert make(ScriptedBrain("Sì.", location="private")).ask("Quando?").tainted
    assert not make(ScriptedBrain("Sì.", location="cloud")).ask("Quando?").tainted
    assert not make(ScriptedBrain("Sì.")).ask("Quando?", top_k=2).tainted


def test_a_tainted_reply_as_history_is_dropped_for_a_cloud_brain_and_kept_at_home(make: Any) -> None:
    cloud = ScriptedBrain("Va bene.", location="cloud")
    agent = make(ScriptedBrain("Il margine è 41 per cento [F3]."))
    reply = agent.ask("Qual è il margine riservato?")
    assert reply.tainted
    after = agent.ask("E ora?", history=[reply, ("ciao", "eccomi")], brain=cloud)
    assert [m.content for m in cloud.prompts[0].history] == ["ciao", "eccomi"]
    assert after.flags["turns_withheld"] == 1
    home = EchoBrain()
    agent.ask("E ora?", history=[reply], brain=home)
    assert len(home.prompts[0].history) == 2


TAINT = "riservatissimo-41"
turn = st.tuples(
    st.sampled_from(["pair", "reply", "messages", "dicts", "answer", "question"]), st.booleans(), st.booleans()
)


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    history=st.lists(turn, max_size=5),
    shown=st.lists(st.tuples(st.booleans(), st.booleans()), max_size=4),
    failures=st.integers(0, 2),
    secret_question=st.booleans(),
    window=st.sampled_from([None, 400, 4000]),
)
def test_no_order_of_things_lets_taint_or_a_secret_reach_the_cloud(
    history: list[tuple[str, bool, bool]],
    shown: list[tuple[bool, bool]],
    failures: int,
    secret_question: bool,
    window: int | None,
) -> None:
    def text(tainted: bool, secret: bool) -> str:
        return f"testo{' ' + TAINT if tainted else ''}{' ' + SECRET if secret else ''}"

    turns: list[Any] = []
    for form, tainted, secret in history:
        said = text(tainted, secret)
        if form == "reply" or (tainted and form == "pair"):
            turns.append(Reply(question=said, text=said, tainted=tainted))
        elif form == "pair":
            turns.append((said, said))
        elif form == "messages":
            turns += [Message(role=r, content=said, tainted=tainted) for r in ("user", "assistant")]  # type: ignore[arg-type]
        elif form == "dicts":
            turns += [{"role": r, "content": said, "tainted": tainted} for r in ("user", "assistant")]
        else:
            turns.append(Message(role="assistant" if form == "answer" else "user", content=said, tainted=tainted))
    passages = [
        make_passage(
            text(local, secret),
            id=str(n),
            local_only=local,
            lead=text(local, secret),
            path=f"{n}/{text(local, secret)}.md",
        )
        for n, (local, secret) in enumerate(shown)
    ]
    told: list[Any] = []
    cloud = ScriptedBrain(
        [
            *[
                BrainUnavailableError(
                    "giù",
                )
                for _ in range(failures)
            ],
            "Sì.",
        ],
        location="cloud",
        context_tokens=window,
    )
    question = f"Quando {SECRET}?" if secret_question else "Quando?"
    with Agent(brain=cloud, retriever=FixedRetriever(passages), soul=PlainSoul(), on_attempt=told.append) as agent:
        try:
            reply = agent.ask(question, history=turns, max_output_tokens=50)
        except CervellaError as error:
            assert error.code == "prompt_too_long"  # noqa: PT017
            return
        preview = agent.preview(question, history=turns, max_output_tokens=50)
    for prompt in (*cloud.prompts, preview.prompt):
        sent = f"{prompt!r}" + "".join(message.content for message in render(prompt))
        assert TAINT not in sent
        assert SECRET not in sent
        assert not prompt.tainted
    assert not reply.tainted
    assert not any(attempt.tainted for attempt in told)


@pytest.fixture(autouse=True)
def quick_retries(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("cervella.brains.shield.shield._FIRST_WAIT", 0.001)
    monkeypatch.setattr("cervella.brains.shield.shield._JITTER", 0.001)


# Loops and threads


def test_the_sync_face_works_under_a_running_loop(make: Any) -> None:
    agent = make()

    async def inside() -> tuple[str, int, int]:
        return agent.ask("Quando?").text, len(list(agent.stream("Quando?"))), len(agent.search("x"))

    assert asyncio.run(inside()) == ("Quando?", 3, 3)


def test_one_agent_is_used_from_two_threads_and_a_loop_at_once(make: Any) -> None:
    agent = make()
    wrong: list[str] = []

    def ask(name: str) -> None:
        for n in range(15):
            question = f"{name} {n}?"
            if agent.ask(question).text != question or list(agent.stream(question))[-1].reply.text != question:
                wrong.append(question)

    async def both() -> None:
        threads = [threading.Thread(target=ask, args=(name,)) for name in ("uno", "due")]
        for thread in threads:
            thread.start()
        replies = await asyncio.gather(*(agent.aask(f"tre {n}?") for n in range(30)))
        assert [reply.text for reply in replies] == [f"tre {n}?" for n in range(30)]
        for thread in threads:
            await asyncio.to_thread(thread.join)

    asyncio.run(both())
    assert not wrong


def test_a_stream_that_is_left_stops_the_engine(make: Any) -> None:
    brain, told = Endless(), []
    for event in make(brain, on_attempt=told.append).stream("Quando?"):
        if isinstance(event, TextDelta):
            break
    assert brain.stopped.wait(1)
    assert [attempt.outcome for attempt in told] == ["cancelled"]


def test_a_cancelled_question_stops_the_engine(make: Any) -> None:
    brain, told = Endless(), []
    agent = make(brain, on_attempt=told.append)

    async def leave() -> None:
        with pytest.raises(TimeoutError):
            await asyncio.wait_for(agent.aask("Quando?"), 0.05)
        stream = agent.astream("Quando?")
        async for event in stream:
            if isinstance(event, TextDelta):
                break
        await stream.aclose()

    asyncio.run(leave())
    assert brain.stopped.is_set()
    assert [attempt.outcome for attempt in told] == ["cancelled", "cancelled"]


def test_closing_the_agent_stops_a_stream_that_is_open(make: Any) -> None:
    brain = Endless()
    agent = make(brain)
    stream = agent.stream("Quando?")
    assert isinstance(next(stream), Retrieved)
    next(stream)
    started = time.perf_counter()
    agent.close()
    assert time.perf_counter() - started < PATIENCE
    assert brain.stopped.is_set()
    with pytest.raises(RuntimeError, match="closed"):
        for _ in stream:
            pass


def test_a_closed_agent_can_be_used_again_and_leaves_no_thread(make: Any) -> None:
    agent = make()
    before = threading.active_count()
    for _ in range(3):
        assert agent.ask("Quando?").text == "Quando?"
        agent.close()
        agent.close()
    assert not [thread.name for thread in threading.enumerate() if thread.name == "cervella"]
    assert threading.active_count() <= before + 1


def test_an_agent_closes_the_brains_it_used(make: Any) -> None:
    closed: list[int] = []

    class Client(EchoBrain):
        async def aclose(self) -> None:
            closed.append(id(asyncio.get_running_loop()))

    with make(Client()) as agent:
        agent.ask("Quando?")
    assert len(closed) == 1

    async def inside() -> None:
        async with make(Client()) as other:
            await other.aask("Quando?")

    asyncio.run(inside())
    assert len(closed) >= 2


def test_a_retriever_of_the_callers_is_not_closed() -> None:
    class Mine(FixedRetriever):
        closed = False

        def close(self) -> None:
            self.closed = True

    mine = Mine()
    with Agent(brain=EchoBrain(), retriever=mine, soul=PlainSoul()) as agent:
        agent.ask("Quando?")
    assert not mine.closed


def test_an_agent_says_what_it_is_and_never_a_key(make: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("ANTHROPIC_API_KEY", SECRET)
    assert "echo" in repr(make())
    assert SECRET not in f"{make()!r}{make().config!r}"


def test_finished_never_leaves_the_agent(make: Any) -> None:
    assert not any(isinstance(event, Finished) for event in make().stream("Quando?"))


def test_a_reply_becomes_plain_data_with_its_readers_kept(make: Any) -> None:
    reply = make(ScriptedBrain("Mancano i test di carico [F1].")).ask("Perché?")
    assert reply.citations
    assert asdict(reply)["citations"][0]["mark"] == "F1"


@pytest.mark.parametrize(
    "options",
    [
        {"max_output_tokens": 0},
        {"max_output_tokens": "x"},
        {"temperature": "hot"},
        {"images": [b"x"]},
        {"timeout": "x"},
    ],
)
def test_an_option_of_the_wrong_kind_is_a_config_error(make: Any, options: Any) -> None:
    with pytest.raises(ConfigError):
        make().ask("Quando?", **options)


def test_a_vendors_message_never_shows_the_key_that_it_refused(make: Any) -> None:
    with pytest.raises(BrainAuthError) as caught:
        make(ScriptedBrain([BrainAuthError(f"HTTP 401 for key {SECRET}")])).ask("Quando?")
    assert SECRET not in f"{caught.value} {caught.value.message} {caught.value!r}"
