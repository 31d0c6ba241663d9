"""A due mani through the Agent: the second hand, the revision, the better kept; and nothing that can lose an answer."""

from __future__ import annotations

import asyncio
import json
import pickle
from collections.abc import Iterator, Sequence
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, strategies as st

import cervella.review.revision
from cervella import Agent
from cervella.errors import BrainUnavailableError, ConfigError, StreamInterruptedError, UnknownBrainError
from cervella.review.second_opinion import read_opinion
from cervella.testing import FixedRetriever, ScriptedBrain
from cervella.text.language import known_languages, language
from cervella.types import Answered, Passage, Retrieved, Reviewed, TextDelta, Usage
from tests.conftest import PlainSoul

WRONG, RIGHT = "Il lancio è il 21 gennaio 2026 [F1].", "Il lancio è il 20 gennaio 2026 [F1]."
FINE = "FATTI: 10\nFONTI: 10\nANIMA: 10\nFORMA: 10\nPROBLEMI: nessuno\nESITO: APPROVATA"
POOR = "FATTI: 4\nFONTI: 9\nPROBLEMI:\n- «il 20 gennaio»: la fonte non dice l'ora [F1]\nESITO: DA RIVEDERE"
DOWN = BrainUnavailableError("Nobody there.", brain="due", remedy="Wait.")


def hand(*answers: Any, name: str = "due", **options: Any) -> ScriptedBrain:
    return ScriptedBrain(answers or (FINE,), name=name, model=f"model-{name}", **options)


@pytest.fixture
def make(passages: Sequence[Passage], soul: PlainSoul, tmp_path: Path) -> Iterator[Any]:
    """Makes agents over the sample passages, and closes them."""
    made: list[Agent] = []

    def agent(*answers: Any, review: str = "", name: str = "una", more: str = "", **options: Any) -> Agent:
        config = tmp_path / "cervella.toml"
        config.write_text(f"[review]\n{review}\n{more}", encoding="utf-8")
        brain = ScriptedBrain(answers, name=name, model=f"model-{name}", **options)
        made.append(Agent(config=config, brain=brain, retriever=FixedRetriever(passages), soul=soul))
        return made[-1]

    yield agent
    for one in made:
        one.close()


class Stale(FixedRetriever):
    """Whose files have all changed since they were indexed."""

    def changed(self, passage: Passage, /) -> bool | None:
        return True


# With no second hand


def test_without_review_nothing_changes(make: Any) -> None:
    agent = make(WRONG)
    assert agent.ask("Quando?").review is None
    assert not any(isinstance(event, Reviewed) for event in agent.stream("Quando?"))


def test_a_stale_source_is_an_issue_for_which_no_revision_is_asked(soul: PlainSoul, passages: Any) -> None:
    brain = ScriptedBrain([RIGHT, WRONG, RIGHT])
    with Agent(brain=brain, retriever=Stale(passages), soul=soul) as agent:
        reply = agent.ask("Quando?", review=True)
        assert (reply.text, reply.review.approved, reply.review.rounds) == (RIGHT, False, 0)
        assert [issue.kind for issue in reply.review.issues] == ["stale"]
        assert agent.review(reply).issues == agent.review(RIGHT, question="Quando?").issues == reply.review.issues
        assert len(brain.prompts) == 1
        mended = agent.ask("Quando?", review=True)  # another issue is mended, and only that one is told
    assert (mended.text, mended.review.revised) == (RIGHT, True)
    assert [issue.kind for issue in mended.review.issues] == ["stale"]
    assert "indexed" not in brain.prompts[2].question


def test_an_answer_that_does_not_stand_is_revised_once_and_the_better_kept(make: Any) -> None:
    agent = make(WRONG, RIGHT)
    reply = agent.ask("Quando?", review=True)
    assert reply.text == RIGHT
    assert (reply.review.approved, reply.review.revised, reply.review.rounds) == (True, True, 1)
    assert (reply.review.draft, reply.review.draft_score) == (WRONG, 6.0)
    assert [(one.brain, one.route) for one in reply.attempts] == [("una", None), ("una", "revision")]
    assert [citation.supported for citation in reply.citations] == [True]
    asked = agent.brain.brain.prompts[1]
    assert asked.system == agent.brain.brain.prompts[0].system
    assert asked.instructions == agent.brain.brain.prompts[0].instructions
    assert WRONG in asked.question
    assert "«21 gennaio 2026»" in asked.question


@pytest.mark.parametrize(
    "second", [WRONG.replace("21", "23"), "", "Il lancio è il 21 gennaio 2027 e costa 9.999 € [F1]."]
)
def test_a_revision_that_is_no_better_is_not_kept(make: Any, second: str) -> None:
    reply = make(WRONG, second).ask("Quando?", review=True)
    assert reply.text == WRONG
    assert (reply.review.approved, reply.review.revised, reply.review.rounds) == (False, False, 1)


def test_an_approved_answer_asks_nobody_again(make: Any) -> None:
    agent = make(RIGHT)
    assert agent.ask("Quando?", review=True).review.approved
    assert len(agent.brain.brain.prompts) == 1


def test_no_rounds_no_revision(make: Any) -> None:
    agent = make(WRONG, RIGHT, review="rounds = 0")
    assert agent.ask("Quando?", review=True).text == WRONG
    assert len(agent.brain.brain.prompts) == 1


def test_the_configuration_can_review_every_answer_and_a_question_can_refuse(make: Any) -> None:
    agent = make(RIGHT, review="enabled = true")
    assert agent.ask("Quando?").review.approved
    assert agent.ask("Quando?", review=False).review is None


@pytest.mark.parametrize(
    "answer",
    [
        "Non lo so: la base di conoscenza non lo dice.",
        "Non ho trovato informazioni su questo.",
        "Mi dispiace, ma non lo so.",
        "Non lo so. Le fonti non parlano di caffè, e la base non lo dice.",
    ],
)
def test_an_honest_i_do_not_know_passes_and_troubles_no_second_hand(make: Any, answer: str) -> None:
    second = hand(POOR)
    reply = make(answer).ask("Quanto costa un caffè?", review=second)
    assert (reply.abstained, reply.review.approved, reply.text) == (True, True, answer)
    assert not second.prompts


def test_saying_nothing_is_no_better_than_an_answer_that_mostly_stands(make: Any) -> None:
    draft = "Il lancio è rinviato [F1]. È il 20 gennaio 2026 [F1]. Costa 4.000 €."
    reply = make(draft, "Non lo so: la base di conoscenza non lo dice.").ask("Quando?", review=True)
    assert (reply.text, reply.review.approved) == (draft, False)
    reply = make(WRONG, "Non lo so: la base di conoscenza non lo dice.").ask("Quando?", review=True)
    assert (reply.abstained, reply.review.approved) == (True, True)


# In a stream


def test_reviewed_comes_before_answered_with_the_text_that_was_kept(make: Any) -> None:
    first, *deltas, reviewed, last = make(WRONG, RIGHT).stream("Quando?", review=True)
    assert isinstance(first, Retrieved)
    assert isinstance(reviewed, Reviewed)
    assert isinstance(last, Answered)
    assert "".join(delta.text for delta in deltas if isinstance(delta, TextDelta)) == WRONG
    assert all(isinstance(delta, TextDelta) for delta in deltas)
    assert reviewed.text == last.reply.text == RIGHT
    assert reviewed.verdict == last.reply.review


def test_an_answer_that_breaks_off_is_not_reviewed(make: Any) -> None:
    agent = make(("Il lancio ", BrainUnavailableError("Gone.", brain="una", remedy="Wait.")))
    events: list[Any] = []
    with pytest.raises(StreamInterruptedError):
        events.extend(agent.stream("Quando?", review=True))
    assert not any(isinstance(event, Reviewed) for event in events)


# The second hand


def test_the_second_hand_gets_the_same_soul_and_only_what_the_first_was_shown(make: Any, passages: Any) -> None:
    second = hand(POOR, FINE)
    agent = make(RIGHT, RIGHT + " Mancano i test di carico [F1].", location="cloud")
    reply = agent.ask("Quando?", review=second, history=[("Prima?", "Sì.")])
    asked = second.prompts[0]
    assert asked.system == agent.soul.system_prompt()
    assert asked.history == ()
    assert RIGHT in asked.question
    assert not any(passage.local_only for passage in asked.passages)  # the cloud brain did not see them either
    assert set(asked.marks) < {f"F{n}" for n in range(1, len(passages) + 1)}
    assert reply.review.second.brain == "due"
    assert [(one.brain, one.route) for one in reply.attempts] == [
        ("una", None), ("due", "review"), ("una", "revision"), ("due", "review"),
    ]  # fmt: skip


def test_what_the_second_hand_refuses_is_not_approved_and_its_marks_stay_its_own(make: Any) -> None:
    reply = make(RIGHT).ask("Quando?", review=hand(POOR))
    verdict = reply.review
    assert (verdict.approved, verdict.score) == (False, 10.0)
    assert (verdict.second.score, verdict.second.approved) == (6.5, False)
    assert dict(verdict.second.grades) == {"facts": 4.0, "sources": 9.0}
    (issue,) = verdict.issues
    assert (issue.by, issue.kind, issue.marks, issue.serious) == ("due", "opinion", ("F1",), True)


@pytest.mark.parametrize("silent", ["Che bella risposta!", DOWN, ""])
def test_a_refusal_is_not_undone_by_silence(make: Any, silent: Any) -> None:
    agent = make(RIGHT, RIGHT + " Mancano i test di carico [F1].")
    reply = agent.ask("Quando?", review=hand(POOR, silent))
    assert (reply.text, reply.review.approved, reply.review.revised) == (RIGHT, False, False)
    assert (reply.review.second.score, reply.review.second.approved) == (6.5, False)


def test_a_revision_that_the_checks_find_better_is_kept_with_the_refusal(make: Any) -> None:
    reply = make(WRONG, RIGHT).ask("Quando?", review=hand(POOR, "Che bella risposta!"))
    assert (reply.text, reply.review.approved, reply.review.score) == (RIGHT, False, 10.0)
    assert (reply.review.second.approved, reply.review.second.error) == (False, "unreadable")
    assert [issue.by for issue in reply.review.issues] == ["due"]


def test_the_second_hand_itself_can_take_its_refusal_back(make: Any) -> None:
    agent = make(RIGHT, RIGHT + " Mancano i test di carico [F1].")
    assert agent.ask("Quando?", review=hand(POOR, FINE)).review.approved


@pytest.mark.parametrize(
    "answer",
    [
        "Non lo so, le camere sono tante e il colore è rosso.",
        "Non lo so. Le camere sono rosse.",
        "Non saprei, ma le camere sono rosse.",
    ],
)
def test_what_is_said_after_an_i_do_not_know_is_reviewed(make: Any, answer: str) -> None:
    second = hand(POOR)
    reply = make(answer, answer).ask("Di che colore sono le camere?", review=second)
    assert second.prompts
    assert not reply.review.approved


def test_a_second_hand_that_only_ever_says_ten_lifts_nothing(make: Any) -> None:
    reply = make(WRONG).ask("Quando?", review=hand(FINE))
    assert (reply.review.approved, reply.review.score) == (False, 6.0)
    assert reply.review.second.score == 10.0


@pytest.mark.parametrize(
    ("answer", "code"),
    [
        (DOWN, DOWN.code),
        ("Che bella risposta!", "unreadable"),
        ("{", "unreadable"),
        ("", "empty_answer"),
        ('{"voti": "boh"}', "unreadable"),
        (("FATTI: 1", DOWN), "stream_interrupted"),
    ],
)
def test_a_second_hand_that_fails_never_loses_the_answer(make: Any, answer: Any, code: str) -> None:
    reply = make(RIGHT).ask("Quando?", review=hand(answer))
    assert (reply.text, reply.review.approved) == (RIGHT, True)
    assert (reply.review.second.score, reply.review.second.error) == (None, code)


def test_a_revision_that_fails_never_loses_the_answer(make: Any) -> None:
    reply = make(WRONG, DOWN).ask("Quando?", review=True)
    assert (reply.text, reply.review.approved, reply.review.error) == (WRONG, False, DOWN.code)


def test_time_that_is_up_never_loses_the_answer(make: Any) -> None:
    reply = make(RIGHT).ask("Quando?", review=hand(FINE, delay=0.5), timeout=1.0)
    assert reply.text == RIGHT
    assert reply.review.second.error is not None


def test_no_brain_reviews_itself_by_name_or_by_weights(make: Any) -> None:
    reply = make(RIGHT).ask("Quando?", review=hand(FINE, name="una"))
    assert reply.review.second.error == "same_brain"
    twin = ScriptedBrain(FINE, name="altra", model="model-una")
    assert make(RIGHT).ask("Quando?", review=twin).review.second.error == "same_brain"
    assert not twin.prompts
    other = hand(FINE)
    assert make(RIGHT).ask("Quando?", review=[twin, other]).review.second.brain == "due"


def test_an_unknown_second_hand_is_an_error_before_anybody_answers(make: Any) -> None:
    agent = make(RIGHT, review='brain = "cluade"')
    with pytest.raises(UnknownBrainError):
        agent.ask("Quando?", review=True)
    assert not agent.brain.brain.prompts


# What may leave the machine


def test_a_tainted_answer_is_shown_to_no_cloud_reviewer(make: Any) -> None:
    cloud, local = hand(FINE, location="cloud"), hand(FINE, name="tre")
    agent = make(RIGHT)  # a local brain: it was shown the local-only passage
    reply = agent.ask("Quando?", review=cloud)
    assert reply.tainted
    assert reply.review.second.error == "withheld"
    assert not cloud.prompts
    assert agent.ask("Quando?", review=[cloud, local]).review.second.brain == "tre"
    assert not cloud.prompts


def test_a_taint_that_comes_with_the_history_alone_is_kept(make: Any, soul: PlainSoul, passages: Any) -> None:
    from cervella.types import Message

    cloud = hand(FINE, location="cloud")
    past = [Message(role="user", content="a", tainted=True), Message(role="assistant", content="b", tainted=True)]
    open_ = FixedRetriever([one for one in passages if not one.local_only])
    with Agent(brain=ScriptedBrain(RIGHT, name="una", model="m"), retriever=open_, soul=soul) as agent:
        reply = agent.ask("Quando?", history=past, review=cloud)
    assert reply.tainted
    assert reply.review.second.error == "withheld"
    assert not cloud.prompts


def test_the_revision_of_a_tainted_answer_stays_where_it_is(make: Any) -> None:
    cloud = ScriptedBrain(RIGHT, name="nube", model="n", location="cloud")
    local = ScriptedBrain([WRONG, DOWN], name="una", model="m")
    agent = make(RIGHT)
    reply = agent.ask("Quando?", brain=[local, cloud], review=True)
    assert (reply.text, reply.tainted) == (WRONG, True)
    assert not cloud.prompts


# The books


def test_all_calls_are_priced_and_written(make: Any) -> None:
    price = "[brains.{0}.price]\ninput = 1.0\noutput = 1.0\n"
    agent = make(
        WRONG, RIGHT, more=price.format("una") + price.format("due"), usage=Usage(input_tokens=1000, output_tokens=0)
    )
    reply = agent.ask("Quando?", review=hand(FINE, usage=Usage(input_tokens=500, output_tokens=0)))
    assert len(reply.attempts) == 4
    rows = agent.ledger.rows()
    assert {row.reply for row in rows} == {reply.id}
    assert sorted(str(row.route) for row in rows) == ["None", "review", "review", "revision"]
    assert reply.cost_usd == sum((row.cost_usd for row in rows), Decimal(0))


def test_a_budget_that_is_spent_stops_the_second_hand_and_not_the_answer(make: Any) -> None:
    more = "[brains.due]\nkind = 'scripted'\nlocation = 'cloud'\n[brains.due.price]\ninput = 1000.0\noutput = 1000.0\n"
    agent = make(RIGHT, more=more + "[budget]\nusd_per_day = 0.01\n")
    open_ = [one for one in agent.retriever.retrieve("x").passages if not one.local_only]
    with Agent(config=agent.config, brain=agent.brain.brain, retriever=FixedRetriever(open_), soul=agent.soul) as other:
        reply = other.ask("Quando?", review=hand(FINE, location="cloud"))
    assert (reply.text, reply.review.approved) == (RIGHT, True)
    assert reply.review.second.error == "budget"


# Reviews by themselves


def test_a_reply_and_a_text_can_be_reviewed_later(make: Any) -> None:
    agent = make(WRONG)
    reply = agent.ask("Quando?")
    assert not agent.review(reply).approved
    assert agent.review(RIGHT, question="Quando?").approved
    assert asyncio.run(agent.areview(WRONG, question="Quando?", brain=hand(FINE))).second.score == 10.0
    with pytest.raises(ConfigError, match="needs the question"):
        agent.review(RIGHT)


def test_a_reviewed_reply_pickles_shows_and_is_json(make: Any) -> None:
    reply = make(WRONG).ask("Quando?", review=hand(POOR))
    assert pickle.loads(pickle.dumps(reply)) == reply
    assert "not approved" in reply._repr_markdown_()
    assert "21 gennaio 2026" in reply._repr_html_()
    data = json.loads(json.dumps(reply.review.as_dict()))
    assert (data["approved"], data["second"]["brain"]) == (False, "due")


def test_a_session_keeps_the_text_that_stands(make: Any) -> None:
    talk = make(WRONG, RIGHT).session("ospite")
    assert talk.ask("Quando?", review=True).text == RIGHT
    assert [turn.answer for turn in talk.turns()] == [RIGHT]


# What a second hand writes


@pytest.mark.parametrize(
    ("text", "score", "approved", "problems"),
    [
        (FINE, 10.0, True, 0),
        (POOR, 6.5, False, 1),
        ("**Fatti:** 8,5\n**Fonti** = 90/100\n- Anima: 10\nforma 9/10\nEsito: APPROVATA.", 9.12, True, 0),
        ('```json\n{"facts": 10, "sources": 8, "issues": [], "approved": true}\n```', 9.0, True, 0),
        ('{"facts": 10, "genehmigt": true}', 10.0, True, 0),
        ('{"facts": 10, "is_approved": false}', 10.0, False, 0),
        ('{"facts": 10, "not_approved": true}', 10.0, False, 0),
        ("FAKTEN: 70 von 100\nQUELLEN: 8 von 10", 7.5, None, 0),
        ("HECHOS: 70 sobre 100\nFUENTES: 8 de 10", 7.5, None, 0),
        ('{"voti": {"fatti": 3, "fonti": 4}, "problemi": [{"claim": "x", "wrong": "y"}]}', 3.5, None, 1),
        ("Voto complessivo: 7/10", 7.0, None, 0),
        ("FATTI: 11\nESITO: non approvata", None, False, 0),
        ("FACTS: 9\nSOURCES: 9\nPROBLEMS: none\nVERDICT: APPROVED", 9.0, True, 0),
        ("Ottima risposta, la approvo di cuore!", None, None, 0),
        ("10", None, None, 0),
    ],
)
def test_marks_are_read_as_small_models_write_them(
    text: str, score: float | None, approved: bool | None, problems: int
) -> None:
    opinion = read_opinion(text, language("it"))
    assert (opinion.score, opinion.approved, len(opinion.problems)) == (score, approved, problems)


@pytest.mark.parametrize("code", known_languages())
def test_the_form_that_is_asked_for_can_be_read_in_every_language(code: str) -> None:
    lang = language(code)
    lines = [line.partition(":")[0] for line in lang.review["form"].strip().splitlines()[1:]]
    outcome = lang.review["form"].strip().splitlines()[-1].partition(":")[2].strip().split(" ")[0]
    written = "\n".join(f"{name}: 8" for name in lines[:4]) + f"\n{lines[-1]}: {outcome}"
    opinion = read_opinion(written, lang)
    assert (opinion.score, opinion.approved, len(opinion.grades)) == (8.0, True, 4)


@given(st.text(max_size=200))
def test_nothing_that_it_writes_makes_reading_fail(text: str) -> None:
    opinion = read_opinion(text, language("it"))
    assert opinion.score is None or 0 <= opinion.score <= 10


# An error of the program itself


def broken(*_: Any, **__: Any) -> Any:
    raise IndexError("list index out of range")


def test_an_unexpected_error_of_the_checks_does_not_cost_the_answer(
    make: Any, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    agent = make(RIGHT, RIGHT)
    monkeypatch.setattr("cervella.review.revision.review_text", broken)
    events = list(agent.stream("Quando?", review=True))
    assert [type(event) for event in events[-2:]] == [Reviewed, Answered]
    reply = events[-1].reply
    assert (reply.text, reply.review.approved, reply.review.error) == (RIGHT, False, "unexpected")
    assert "not checked" in reply.review.issues[0].problem
    assert len(agent.brain.brain.prompts) == 1, "an answer that was not checked is not revised"
    assert agent.review(RIGHT, question="Quando?").error == "unexpected"
    assert "list index out of range" in caplog.text


def test_an_unexpected_error_in_the_second_opinion_keeps_the_verdict_of_the_checks(
    make: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("cervella.review.revision.read_opinion", broken)
    review = make(RIGHT).ask("Quando?", review=hand()).review
    assert (review.approved, review.second.error, review.second.approved) == (True, "unexpected", None)


def test_an_unexpected_error_in_a_revision_keeps_the_draft_and_its_verdict(
    make: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    agent, real = make(WRONG, RIGHT), cervella.review.revision.review_text

    def once(text: str, *given: Any, **options: Any) -> Any:
        return broken() if text == RIGHT else real(text, *given, **options)

    monkeypatch.setattr("cervella.review.revision.review_text", once)
    reply = agent.ask("Quando?", review=True)
    assert (reply.text, reply.review.error, reply.review.rounds) == (WRONG, "unexpected", 1)
    assert reply.review.issues[0].kind == "date"
    assert len(reply.attempts) == 2


@pytest.mark.parametrize("text", [RIGHT, RIGHT + " Poi altro." * 500], ids=["short", "long"])
def test_an_unexpected_error_in_the_check_of_citations_leaves_them_unchecked(
    make: Any, monkeypatch: pytest.MonkeyPatch, text: str
) -> None:
    monkeypatch.setattr("cervella.claims.citations.Grounding", broken)
    reply = make(text).ask("Quando?")
    assert (reply.text, [one.supported for one in reply.citations]) == (text, [None])
    assert reply.flags["citations_unread"] == 1
