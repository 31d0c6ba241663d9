"""Sessions: they remember, they last, and they never see more than they were opened with."""

from __future__ import annotations

import asyncio
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings, strategies as st

from cervella import Agent
from cervella.errors import ConfigError, StreamInterruptedError
from cervella.testing import EchoBrain, FixedRetriever, ScriptedBrain
from cervella.types import Answered, Filters, Interrupted, Message, Passage, Retrieved, TextDelta
from tests.conftest import PlainSoul, make_passage

PLACES = ("ospiti/camere.md", "ospiti/cucina/colazione.md", "staff/turni.md", "riservato/margine.md")
ROLES = ("decision", "lesson", None)
DATES = ("2026-01-01", "2026-01-10", None)
EVERYTHING = tuple(
    make_passage(f"Testo {n}.", id=f"p{n}", path=path, role=role, date=date, project="miracollo", score=1 / (n + 1))
    for n, (path, role, date) in enumerate((p, r, d) for p in PLACES for r in ROLES for d in DATES)
)


@pytest.fixture
def store(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The file that keeps the conversations of all agents of a test."""
    path = tmp_path / "kept" / "conversations.sqlite"
    monkeypatch.setenv("CERVELLA_CONVERSATIONS__PATH", str(path))
    return path


@pytest.fixture
def make(store: Path, passages: tuple[Passage, ...], soul: PlainSoul) -> Iterator[Any]:
    """Makes agents over the sample passages, and closes them: each is a program that starts anew."""
    made: list[Agent] = []

    def agent(brain: Any = None, **options: Any) -> Agent:
        known = {"brain": brain or EchoBrain(), "retriever": FixedRetriever(passages), "soul": soul, **options}
        made.append(Agent(**known))
        return made[-1]

    yield agent
    for one in made:
        one.close()


# They remember


def test_a_session_goes_on_after_a_restart(make: Any) -> None:
    with make(ScriptedBrain(["Il 20 gennaio.", "Sì."])) as agent:
        talk = agent.session("ospite-42")
        talk.ask("Quando parte il lancio di Miracollo?")
        talk.ask("È confermato il lancio di gennaio?")
    brain = EchoBrain()
    again = make(brain).session("ospite-42")
    assert [(turn.question, turn.answer) for turn in again.turns()] == [
        ("Quando parte il lancio di Miracollo?", "Il 20 gennaio."),
        ("È confermato il lancio di gennaio?", "Sì."),
    ]
    again.ask("Chi ha firmato la decisione del rinvio?")
    assert [(m.role, m.content) for m in brain.prompts[0].history] == [
        ("user", "Quando parte il lancio di Miracollo?"),
        ("assistant", "Il 20 gennaio."),
        ("user", "È confermato il lancio di gennaio?"),
        ("assistant", "Sì."),
    ]


def test_two_sessions_know_nothing_of_each_other(make: Any) -> None:
    brain = EchoBrain()
    agent = make(brain)
    agent.session("a").ask("Quanto costa il piano piccolo?")
    agent.session("b").ask("Quanto costa il piano grande?")
    assert brain.prompts[1].history == ()
    assert [turn.question for turn in agent.session("b").turns()] == ["Quanto costa il piano grande?"]


def test_another_brain_goes_on_with_the_same_conversation(make: Any) -> None:
    agent, other = make(), ScriptedBrain(["Ecco."])
    agent.session("a").ask("Quando parte il lancio di Miracollo?")
    with agent.with_brain(other) as swapped:
        swapped.session("a").ask("Quanto costa il piano piccolo?")
    assert other.prompts[0].history[0].content == "Quando parte il lancio di Miracollo?"
    assert [turn.brain for turn in agent.session("a").turns()] == ["echo", "scripted"]


def test_every_face_of_a_session_keeps_its_turn(make: Any) -> None:
    async def both(talk: Any) -> None:
        await talk.aask("Due?")
        async for _ in talk.astream("Quattro?"):
            pass

    talk = make().session("a")
    talk.ask("Uno?")
    asyncio.run(both(talk))
    events = list(talk.stream("Cinque?"))
    assert isinstance(events[0], Retrieved)
    assert isinstance(events[-1], Answered)
    assert [turn.question for turn in talk.turns()] == ["Uno?", "Due?", "Quattro?", "Cinque?"]


@pytest.mark.parametrize("option", [{"history": []}, {"query": "altro"}])
def test_a_session_has_its_own_history_and_query(make: Any, option: Any) -> None:
    with pytest.raises(ConfigError, match="own history"):
        make().session("a").ask("Quando?", **option)


# What breaks off


def test_an_answer_that_breaks_off_is_kept_and_told(make: Any) -> None:
    brain = ScriptedBrain(
        [("Il lancio parte", StreamInterruptedError("Rotto.", partial="Il lancio parte")), "Va bene."]
    )
    talk = make(brain).session("a")
    events: list[Any] = []
    with pytest.raises(StreamInterruptedError):
        events.extend(talk.stream("Quando parte il lancio di Miracollo?"))
    assert isinstance(events[-1], Interrupted)
    [turn] = talk.turns()
    assert (turn.answer.strip(), turn.finish_reason) == ("Il lancio parte", "interrupted")
    talk.ask("Quanto costa il piano piccolo?")
    assert brain.prompts[1].history[1].content.strip() == "Il lancio parte"


def test_an_answer_that_the_reader_left_is_not_kept(make: Any) -> None:
    brain = ScriptedBrain(["uno due tre quattro"], delay=0.05)
    talk = make(brain).session("a")
    for event in talk.stream("Quando parte il lancio di Miracollo?"):
        if isinstance(event, TextDelta):
            break
    assert brain.closed == 1
    assert talk.turns() == []


# Taint


def test_a_tainted_turn_stays_tainted_after_a_restart(make: Any, passages: tuple[Passage, ...]) -> None:
    with make(ScriptedBrain(["Il margine è 41 per cento."])) as agent:
        assert agent.session("a").ask("Qual è il margine riservato del lancio?").tainted
    cloud = ScriptedBrain(["Eccomi."], location="cloud")
    public = FixedRetriever(passages[:2])
    reply = make(cloud, retriever=public).session("a").ask("Quanto costa il piano piccolo?")
    assert "41" not in str(cloud.prompts[0])
    assert reply.flags["turns_withheld"] == 1
    assert not reply.tainted
    local = EchoBrain()
    reply = make(local, retriever=public).session("a").ask("Quanto costa il piano grande?")
    assert "41 per cento" in local.prompts[0].history[1].content
    assert reply.tainted, "what is written with a tainted turn in sight is tainted too"
    assert [turn.tainted for turn in make().session("a").turns()] == [True, False, True]


# Follow-ups

FIRST = "Quanta memoria ha la scheda RTX 4090 di RunPod?"


@pytest.mark.parametrize("question", ["e quanto costa?", "E quanto costa?", "e quello?", "quanto costa quella?"])
def test_a_follow_up_is_searched_for_with_the_question_before(make: Any, question: str) -> None:
    talk = make().session("a")
    assert talk.ask(FIRST).retrieval_query == FIRST
    reply = talk.ask(question)
    assert reply.retrieval_query == f"{FIRST} {question}"
    assert reply.question == question


def test_a_follow_up_of_a_follow_up_still_knows_what_it_is_about(make: Any) -> None:
    with make() as agent:
        talk = agent.session("a")
        talk.ask(FIRST)
        talk.ask("e quanto costa?")
    reply = make().session("a").ask("e al mese?")
    assert reply.retrieval_query == f"{FIRST} e quanto costa? e al mese?"


def test_a_long_chain_of_follow_ups_keeps_its_subject(make: Any) -> None:
    talk = make().session("a")
    talk.ask(FIRST)
    for _ in range(60):
        reply = talk.ask("e quanto costa quello?")
    assert len(reply.retrieval_query) <= 600
    assert reply.retrieval_query.startswith(FIRST)
    assert reply.retrieval_query.endswith("e quanto costa quello?")


@pytest.mark.parametrize("question", ["Perché il lancio di Miracollo è rinviato a gennaio?", "Qual è il tuo scopo?"])
def test_an_independent_question_is_searched_for_alone(make: Any, question: str) -> None:
    talk = make().session("a")
    talk.ask(FIRST)
    assert talk.ask(question).retrieval_query == question


def test_the_first_question_follows_on_nothing(make: Any) -> None:
    assert make().session("a").ask("e quanto costa?").retrieval_query == "e quanto costa?"


# Filters

GUEST = {"path": "ospiti/**"}


def seen(talk: Any, filters: Any = None) -> set[str]:
    return {passage.path for passage in talk.ask("Quando?", filters=filters, top_k=99).passages}


def test_a_question_narrows_the_filters_and_never_widens_them(make: Any) -> None:
    talk = make(retriever=FixedRetriever(EVERYTHING)).session("ospite", filters=GUEST)
    assert seen(talk) == set(PLACES[:2])
    assert seen(talk, {"path": "ospiti/cucina/**"}) == {PLACES[1]}
    assert seen(talk, {"path": "**"}) == set(PLACES[:2])
    assert seen(talk, {"path": "riservato/**"}) == set()
    assert seen(talk, {"project": "miracollo"}) == set(PLACES[:2])


def test_opening_it_again_does_not_widen_it(make: Any) -> None:
    retriever = FixedRetriever(EVERYTHING)
    with make(retriever=retriever) as agent:
        agent.session("ospite", filters=GUEST)
    for other in (None, {"path": "**"}, {"path": ["staff/**", "ospiti/**"]}, Filters()):
        assert seen(make(retriever=retriever).session("ospite", filters=other)) == set(PLACES[:2])


def test_a_wrong_filter_is_said_before_anything_is_asked(make: Any) -> None:
    agent = make()
    with pytest.raises(ConfigError, match="colour"):
        agent.session("a", filters={"colour": "red"})
    with pytest.raises(ConfigError, match="within"):
        agent.session("a").ask("Quando?", filters={"within": None})
    assert agent.session("a").turns() == []


def one_or_more(values: Any) -> Any:
    return st.none() | st.sampled_from(values) | st.lists(st.sampled_from(values), min_size=1, max_size=3)


FILTERS = st.none() | st.builds(
    Filters,
    role=one_or_more(["decision", "lesson", "research"]),
    path=one_or_more(["**", "ospiti/**", "ospiti/*", "staff/**", "**/*.md", "riservato/margine.md"]),
    project=one_or_more(["miracollo", "altro"]),
    status=one_or_more(["current", "archived"]),
    since=st.none() | st.sampled_from(["2025-12-31", "2026-01-05", "2026-01-10"]),
    until=st.none() | st.sampled_from(["2026-01-01", "2026-01-05", "2027-01-01"]),
)


def allowed(*filters: Filters | None) -> set[str]:
    return {p.id for p in EVERYTHING if all(one is None or one.match(p) for one in filters)}


@settings(max_examples=25)
@given(opened=FILTERS, reopened=FILTERS, narrowed=FILTERS, asked=st.lists(FILTERS, min_size=1, max_size=2))
def test_whatever_is_asked_nothing_outside_the_filters_is_seen(
    opened: Filters | None, reopened: Filters | None, narrowed: Filters | None, asked: list[Filters | None]
) -> None:
    def ids(reply: Any) -> set[str]:
        return {passage.id for passage in reply.passages}

    with tempfile.TemporaryDirectory() as folder, pytest.MonkeyPatch.context() as patch:
        patch.setenv("CERVELLA_CONVERSATIONS__PATH", str(Path(folder) / "c.sqlite"))
        with Agent(brain=EchoBrain(), retriever=FixedRetriever(EVERYTHING), soul=PlainSoul()) as agent:
            talk = agent.session("a", filters=opened)
            for one in asked:
                assert ids(talk.ask("Quando?", filters=one, top_k=99)) == allowed(opened, one)
            again = agent.session("a", filters=reopened)
            for one in asked:
                assert ids(again.ask("Quando?", filters=one, top_k=99)) == allowed(opened, reopened, one)
            assert ids(agent.session("a", filters=narrowed).ask("Quando?", top_k=99)) == allowed(opened, narrowed)
            assert ids(agent.session("a").ask("Quando?", top_k=99)) == allowed(opened)


# History that a caller keeps himself

CHAIN = (FIRST, "e quanto costa?", "e al mese?")


def shapes(agent: Any) -> dict[str, Any]:
    """The first two questions of the chain, as callers write their history."""
    messages = [
        Message(role=role, content=text) for q in CHAIN[:2] for role, text in (("user", q), ("assistant", "Ok."))
    ]
    first = agent.ask(CHAIN[0])
    return {
        "replies": [first, agent.ask(CHAIN[1], history=[first])],
        "messages": messages,
        "pairs": [(question, "Ok.") for question in CHAIN[:2]],
        "dicts": [{"role": message.role, "content": message.content} for message in messages],
        "mixed": [first, (CHAIN[1], "Ok.")],
        "with a blank turn": [(CHAIN[0], "Ok."), (" ", ""), (CHAIN[1], "")],
        "without answers": [message for message in messages if message.role == "user"],
        "from an answer on": [Message(role="assistant", content="Eccomi."), *messages],
    }


SHAPES = (
    "replies", "messages", "pairs", "dicts", "mixed", "with a blank turn", "without answers", "from an answer on"
)  # fmt: skip


@pytest.mark.parametrize("shape", SHAPES)
def test_a_given_history_is_searched_as_a_session_is(make: Any, shape: str) -> None:
    agent = make()
    talk = agent.session("a")
    for question in CHAIN:
        in_session = talk.ask(question)
    history = shapes(agent)[shape]
    assert in_session.retrieval_query == " ".join(CHAIN)
    assert agent.ask(CHAIN[2], history=history).retrieval_query == in_session.retrieval_query
    assert agent.ask(CHAIN[2], history=(turn for turn in history)).retrieval_query == in_session.retrieval_query


def test_every_face_searches_for_a_follow_up_with_its_history(make: Any) -> None:
    agent, whole = make(), f"{FIRST} e quanto costa?"
    asked: dict[str, Any] = {"question": "e quanto costa?", "history": [(FIRST, "24 GB.")]}
    assert asyncio.run(make().aask(**asked)).retrieval_query == whole
    assert next(iter(agent.stream(**asked))).retrieval.query == whole
    assert agent.preview(**asked).retrieval.query == whole
    assert next(iter(agent.batch([asked]))).retrieval_query == whole
    assert agent.preview(**asked).prompt.question == "e quanto costa?"


def test_a_query_that_is_given_wins_over_the_history(make: Any) -> None:
    reply = make().ask("e quanto costa?", history=[(FIRST, "24 GB.")], query="listino")
    assert reply.retrieval_query == "listino"


@pytest.mark.parametrize("question", ["Perché il lancio di Miracollo è rinviato a gennaio?", "Qual è il tuo scopo?"])
def test_a_question_that_stands_alone_is_searched_for_alone_whatever_the_history(make: Any, question: str) -> None:
    assert make().ask(question, history=[(FIRST, "24 GB.")]).retrieval_query == question


def test_a_long_history_of_follow_ups_gives_the_query_of_a_session(make: Any) -> None:
    agent, history = make(), [(FIRST, "24 GB."), *[("e quanto costa quello?", "Ok.")] * 40]
    talk = agent.session("a")
    talk.ask(FIRST)
    for _ in range(41):
        in_session = talk.ask("e quanto costa quello?")
    assert agent.ask("e quanto costa quello?", history=history).retrieval_query == in_session.retrieval_query


def test_one_huge_question_before_does_not_make_a_huge_query(make: Any) -> None:
    reply = make().ask("e quanto costa?", history=[("Quanta memoria " + "x " * 100_000, "Ok.")])
    assert len(reply.retrieval_query) <= 600


def test_a_history_that_is_no_list_is_an_error_as_before(make: Any) -> None:
    with pytest.raises(ConfigError, match="history is int"):
        make().ask("e quanto costa?", history=7)
