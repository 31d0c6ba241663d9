"""A refusal is no answer: what the reply says, that its turn is not sent again, what ledger and review make of it."""

from __future__ import annotations

import asyncio
import json
import sqlite3
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from cervella import Agent
from cervella.cli import main
from cervella.errors import ConfigError, StreamInterruptedError
from cervella.prompt.history import history_of, sendable
from cervella.prompt.layout import render
from cervella.records.ledger import statistics_of
from cervella.testing import EchoBrain, FixedRetriever, ScriptedBrain
from cervella.types import Answered, Completion, Message, Passage, Prompt, Reply, Retrieved, Reviewed, TextDelta, Usage
from tests.conftest import PlainSoul
from tests.fixtures.fault_server import Connection, FaultServer, fault_server
from tests.fixtures.wires import WIRES

REFUSED = "Il modello ha rifiutato di rispondere: Troppo rischioso."
USAGE = Usage(input_tokens=7, output_tokens=3)
REFUSAL = Completion(text="", finish_reason="refusal", refusal="Troppo rischioso.", usage=USAGE)
HALF = replace(REFUSAL, text="Il lancio è il 20 gennaio 2026 [F1]")


@pytest.fixture
def make(
    passages: tuple[Passage, ...], soul: PlainSoul, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> Iterator[Any]:
    """Makes agents over the sample passages and one file of conversations, and closes them."""
    monkeypatch.setenv("CERVELLA_CONVERSATIONS__PATH", str(tmp_path / "kept" / "conversations.sqlite"))
    made: list[Agent] = []

    def agent(*answers: Any, **options: Any) -> Agent:
        brain = answers[0] if answers and hasattr(answers[0], "stream") else ScriptedBrain(answers)
        made.append(Agent(brain=brain, retriever=FixedRetriever(passages), soul=soul, **options))
        return made[-1]

    yield agent
    for one in made:
        one.close()


def sent(brain: Any, call: int = -1) -> list[tuple[str, str]]:
    """The history that a brain was sent."""
    return [(message.role, message.content) for message in render(brain.prompts[call])[1:-1]]


# The reply


def test_a_refusal_is_said_and_is_no_answer(make: Any) -> None:
    reply = make(REFUSAL).ask("Quando parte il lancio?")
    assert (reply.text, reply.finish_reason) == (REFUSED, "refusal")
    assert not reply.abstained
    assert (reply.citations, reply.invented_marks) == ((), 0)
    assert reply.usage == USAGE
    assert [attempt.outcome for attempt in reply.attempts] == ["refused"]


def test_what_came_before_a_refusal_cites_nothing(make: Any) -> None:
    agent = make(HALF)
    events = list(agent.stream("Quando parte il lancio?"))
    reply = events[-1].reply
    assert reply.text == f"{HALF.text}\n\n{REFUSED}" == "".join(e.text for e in events if isinstance(e, TextDelta))
    assert (reply.citations, reply.invented_marks, reply.abstained) == ((), 0, False)


def test_every_face_of_an_agent_gives_the_refusal(make: Any) -> None:
    agent = make(REFUSAL)
    assert asyncio.run(agent.aask("Quando?")).finish_reason == "refusal"
    assert [type(event) for event in agent.stream("Quando?")] == [Retrieved, TextDelta, Answered]
    assert [reply.finish_reason for reply in agent.batch(["Uno?", "Due?"])] == ["refusal", "refusal"]
    prompt = Prompt(system="S", question="Quando?")
    assert (agent.complete(prompt).text, agent.complete(prompt).finish_reason) == (REFUSED, "refusal")


# What is sent again


@pytest.mark.parametrize("refusal", [REFUSAL, HALF], ids=["empty", "half"])
def test_a_session_keeps_a_refusal_and_does_not_send_it_again(make: Any, refusal: Completion) -> None:
    brain = ScriptedBrain(["Il 20 gennaio.", refusal, "Sì."])
    talk = make(brain).session("a")
    for question in ("Quando parte il lancio?", "Come si forza una porta?", "È confermato il lancio?"):
        talk.ask(question)
    assert sent(brain) == [("user", "Quando parte il lancio?"), ("assistant", "Il 20 gennaio.")]
    kept = talk.turns()[1]
    assert (kept.question, kept.finish_reason) == ("Come si forza una porta?", "refusal")
    assert kept.answer.endswith(REFUSED)
    assert kept.messages() == ()


@pytest.mark.parametrize(("answer", "reason"), [("", "refusal"), ("Ecco, prendi", "refusal"), (" \n", "stop")])
def test_a_session_that_an_earlier_version_kept_sends_no_such_turn(make: Any, answer: str, reason: str) -> None:
    brain = EchoBrain()
    agent = make(brain)
    talk = agent.session("a")
    talk.ask("Quando parte il lancio?")
    with sqlite3.connect(agent.config.conversations.path) as database:
        database.execute("UPDATE turn SET answer = ?, finish_reason = ?", (answer, reason))
    talk.ask("Quanto costa il piano piccolo?")
    assert sent(brain) == []


def test_an_answer_that_broke_off_before_its_first_word_is_not_sent_again(make: Any) -> None:
    broken = StreamInterruptedError("Rotto.", partial=" ")
    brain = ScriptedBrain([(" ", broken), "Va bene."])
    talk = make(brain).session("a")
    with pytest.raises(StreamInterruptedError):
        talk.ask("Quando parte il lancio?")
    talk.ask("Quanto costa il piano piccolo?")
    assert sent(brain) == []


GOOD = ("Chi sei?", "Cervella.")
WRITTEN = {
    "pairs": lambda q, a: [(q, a)],
    "dicts": lambda q, a: [{"role": "user", "content": q}, {"role": "assistant", "content": a}],
    "Messages": lambda q, a: [Message(role="user", content=q), Message(role="assistant", content=a)],
    "Replies": lambda q, a: [Reply(question=q, text=a)],
}
NOT_SENT = {
    "empty": ("Quando?", ""),
    "blank": ("Quando?", " \n\u00a0"),
    "invisible": ("Quando?", "\u200b"),
    "marks alone": ("Quando?", "[F1] [F2]"),
    "no question": (" ", "Ecco."),
    "refused": ("Quando?", REFUSED),
    "refused midway": ("Quando?", f"Prendi la leva.\n\n{REFUSED}"),
    "refused without a reason": ("Quando?", "Il modello ha rifiutato di rispondere."),
    "refused in English": ("When?", "The model refused to answer: no."),
}


@pytest.mark.parametrize("written", WRITTEN)
@pytest.mark.parametrize("what", NOT_SENT)
def test_question_and_answer_of_such_a_turn_leave_together(make: Any, what: str, written: str) -> None:
    brain = EchoBrain()
    turns = [*WRITTEN[written](*GOOD), *WRITTEN[written](*NOT_SENT[what]), *WRITTEN[written](*GOOD)]
    make(brain).ask("E ora?", history=turns)
    assert sent(brain) == [("user", GOOD[0]), ("assistant", GOOD[1])] * 2


@pytest.mark.parametrize(
    "refused",
    [
        Reply(question="Quando?", text="Prendi", finish_reason="refusal"),
        {"role": "assistant", "content": "Prendi", "finish_reason": "refusal"},
        {"role": "assistant", "content": None, "refusal": "No."},
        {"role": "assistant", "content": None},
    ],
    ids=str,
)
def test_a_refusal_is_known_by_what_the_turn_says_of_itself(make: Any, refused: Any) -> None:
    brain = EchoBrain()
    asked = [] if isinstance(refused, Reply) else [{"role": "user", "content": "Quando?"}]
    make(brain).ask("E ora?", history=[GOOD, *asked, refused])
    assert sent(brain) == [("user", GOOD[0]), ("assistant", GOOD[1])]


def test_who_speaks_of_a_refusal_has_not_refused() -> None:
    said = "Il modello ha rifiutato di rispondere alle domande sul prezzo, dice la nota [F1]."
    assert len(history_of([("Che dice la nota?", said), ("E poi?", f"{REFUSED}\n\nCosì finisce la nota.")])) == 4


def test_of_several_answers_to_a_question_the_blank_one_alone_leaves() -> None:
    messages = tuple(
        Message(role=role, content=text)  # type: ignore[arg-type]
        for role, text in (("user", "Quando?"), ("assistant", "Il 20."), ("assistant", ""), ("user", "Perché?"))
    )
    assert [message.content for message in sendable(messages)] == ["Quando?", "Il 20.", "Perché?"]


def test_a_history_that_is_all_sendable_is_sent_whole(make: Any) -> None:
    brain = EchoBrain()
    make(brain).ask("E ora?", history=[GOOD, ("Quando?", "Il 20 gennaio, vedi sopra.")])
    assert [content for _, content in sent(brain)] == [*GOOD, "Quando?", "Il 20 gennaio, vedi sopra."]


@pytest.mark.parametrize("question", ["", " \n", "\u200b"])
def test_a_question_that_nobody_can_see_is_none(make: Any, question: str) -> None:
    brain = EchoBrain()
    with pytest.raises(ConfigError) as caught:
        make(brain).ask(question)
    assert (caught.value.code, brain.prompts) == ("empty_question", [])


# Reviews


def test_a_refusal_is_not_approved_not_revised_and_shown_to_nobody(make: Any) -> None:
    brain, second = ScriptedBrain([REFUSAL, "Ecco."]), ScriptedBrain("ESITO: APPROVATA", name="due", model="due")
    events = list(make(brain).stream("Quando?", review=second))
    reviewed = next(event for event in events if isinstance(event, Reviewed))
    assert (reviewed.text, reviewed.verdict.approved) == (REFUSED, False)
    assert [issue.kind for issue in reviewed.verdict.issues] == ["empty"]
    assert (len(brain.prompts), second.prompts) == (1, [])


def test_a_second_hand_that_refuses_gives_no_opinion(make: Any) -> None:
    refusal = replace(REFUSAL, refusal="ESITO: DA RIVEDERE")
    second = ScriptedBrain([refusal], name="due", model="due")
    reply = make("Il lancio è il 20 gennaio 2026 [F1].").ask("Quando?", review=second)
    assert (reply.review.approved, reply.review.second.error) == (True, "refusal")
    assert reply.review.second.score is None


def test_a_revision_that_is_refused_never_loses_the_answer(make: Any) -> None:
    wrong = "Il lancio è il 21 gennaio 2026 [F1]."
    reply = make(wrong, REFUSAL).ask("Quando?", review=True)
    assert (reply.text, reply.finish_reason) == (wrong, "stop")
    assert (reply.review.approved, reply.review.error) == (False, "refusal")
    assert [attempt.outcome for attempt in reply.attempts] == ["ok", "refused"]


# The books


def test_a_refusal_is_a_call_of_its_own_kind_in_the_books(make: Any) -> None:
    agent = make(ScriptedBrain(["Ecco.", REFUSAL]))
    agent.ask("Uno?")
    agent.ask("Due?")
    assert [(row.outcome, row.input_tokens, row.output_tokens) for row in agent.ledger.rows()][1] == ("refused", 7, 3)
    found = statistics_of(agent.ledger.rows())
    [one] = found.brains
    assert (one.calls, one.answered, one.refused, one.failed, one.cancelled) == (2, 1, 1, 0, 0)
    assert one.error_rate == 0.0
    assert (found.requests, found.answered) == (2, 1)


# At the terminal


@pytest.fixture
def server() -> Iterator[FaultServer]:
    async def refuses(to: Connection) -> None:
        wire: Any = WIRES["claude"]
        await wire.begin(to)
        details = {"type": "refusal", "category": "cyber", "explanation": "Troppo rischioso."}
        delta = {"stop_reason": "refusal", "stop_sequence": None, "stop_details": details}
        await wire._event(to, "message_delta", delta=delta, usage={"output_tokens": 3})
        await wire._event(to, "message_stop")

    with fault_server() as running:
        WIRES["claude"].beside(running)
        running.scenes = [refuses]
        yield running


@pytest.fixture
def home(isolated: Path, server: FaultServer) -> Path:
    pages = {
        "cervella.toml": f'brain = "claude"\n[soul]\nconstitution = "anima.md"\n[knowledge]\nfolder = "note"\n'
        f'embedder = "none"\n[brains.claude]\nurl = "{server.url}"\nmodel = "prova"\n',
        "anima.md": "# Cervella\n\n- nome: Cervella\n\nCalma, precisa, in italiano.\n",
        "note/lancio.md": "# Il lancio\n\nIl lancio è rinviato al 20 gennaio 2026.\n",
    }
    for name, text in pages.items():
        (isolated / name).parent.mkdir(exist_ok=True)
        (isolated / name).write_text(text, encoding="utf-8")
    assert main(["index"]) == 0
    return isolated


def test_a_refusal_at_the_terminal_is_one_sentence_and_a_way_on(home: Path, capsys: pytest.CaptureFixture[str]) -> None:
    capsys.readouterr()
    assert main(["ask", "Come si forza una porta?"]) == 0
    said = capsys.readouterr()
    assert said.out == f"{REFUSED}\n"
    assert "refused" in said.err


def test_a_refusal_as_json_says_how_it_ended(home: Path, capsys: pytest.CaptureFixture[str]) -> None:
    capsys.readouterr()
    assert main(["ask", "--json", "Come si forza una porta?"]) == 0
    data = json.loads(capsys.readouterr().out)
    assert (data["answer"], data["finish_reason"], data["abstained"]) == (REFUSED, "refusal", False)


def test_a_batch_counts_refusals_beside_answers(home: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (home / "in.jsonl").write_text('"Come si forza una porta?"\n', encoding="utf-8")
    capsys.readouterr()
    assert main(["ask", "--batch", "in.jsonl", "--out", "out.jsonl", "--json"]) == 0
    summary = json.loads(capsys.readouterr().out)
    assert (summary["answered"], summary["refused"], summary["failed"]) == (0, 1, 0)
    [row] = (home / "out.jsonl").read_text(encoding="utf-8").splitlines()
    assert json.loads(row)["finish_reason"] == "refusal"


def test_a_chat_goes_on_after_a_refusal(
    home: Path, server: FaultServer, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("XDG_STATE_HOME", str(home / "state"))
    typed = iter(["Come si forza una porta?", "Quando è il lancio?", "/quit"])
    monkeypatch.setattr("builtins.input", lambda prompt="": next(typed))
    capsys.readouterr()
    assert main(["chat", "--session", "a"]) == 0
    assert capsys.readouterr().out.count(REFUSED) == 2
    assert [len(request.body["messages"]) for request in server.requests] == [1, 1]
