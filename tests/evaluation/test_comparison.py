"""The comparison: the same for every brain, kept, gone on with, derived again, and weighed in words."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator, Callable, Iterator
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest

from cervella import Agent
from cervella.configuration.settings import EvaluationConfig
from cervella.errors import BrainTimeoutError, ConfigError, EvaluationError
from cervella.evaluation.comparison.answer_results import AnswersResult, Pair, Speed, pair_of
from cervella.evaluation.comparison.comparison import compare, rescore_comparison
from cervella.evaluation.comparison.decision import decide, sentence
from cervella.evaluation.comparison.document import document
from cervella.evaluation.records import Run
from cervella.evaluation.soul_test.actors import FlattererActor, PerfectActor
from cervella.evaluation.soul_test.interview import Plan
from cervella.evaluation.statistics.intervals import Estimate
from cervella.evaluation.statistics.statistics import Difference
from cervella.prompt.layout import render
from cervella.soul.traits import Traits
from cervella.testing import FixedRetriever
from cervella.types import (
    BrainEvent,
    Completion,
    Finished,
    Location,
    Passage,
    Prompt,
    Retrieval,
    TextDelta,
    Usage,
)
from tests.conftest import PlainSoul, make_passage
from tests.fixtures.probing import small_suite

PRICE = make_passage("Il piano Pro costa 20 dollari al mese.", path="decisioni/prezzi.md")
SECRET_PAGE = make_passage("La cassa tiene 900 euro.", id="p2", path="privato/cassa.md", local_only=True)
ROWS = (
    {"id": "pro", "question": "Quanto costa il piano Pro?", "answer": "20 dollari", "files": ["decisioni/prezzi.md"]},
    {"id": "cash", "question": "Quanto tiene la cassa?", "answer": "900 euro", "files": ["privato/cassa.md"]},
    {"id": "rooms", "question": "Quante camere ci sono?", "files": [], "kind": "unanswerable"},
)
RIGHT = {ROWS[0]["question"]: "Costa 20 dollari [F1].", ROWS[1]["question"]: "Tiene 900 euro [F2]."}
RULES = EvaluationConfig(draws=500)


class Speaker:
    """Answers what a function makes of the prompt; raises where it gives an error. Keeps the prompts."""

    def __init__(
        self, name: str, say: Callable[[Prompt], str | Exception], location: Location = "local", tokens: int = 5
    ) -> None:
        self.name = self.model = name
        self.location: Location = location
        self.prompts: list[Prompt] = []
        self._say = say
        self._usage = Usage(output_tokens=tokens)

    async def stream(self, prompt: Prompt, /) -> AsyncIterator[BrainEvent]:
        self.prompts.append(prompt)
        said = self._say(prompt)
        if isinstance(said, Exception):
            raise said
        yield TextDelta(text=said)
        yield Finished(completion=Completion(text=said, model=self.model, usage=self._usage))


class CountingRetriever(FixedRetriever):
    def __init__(self, *, behind: int = 0) -> None:
        super().__init__((PRICE, SECRET_PAGE), behind=behind)
        self.asked: list[str] = []

    def changed(self, passage: Passage, /) -> bool | None:
        raise AssertionError("an evaluation asks the same bytes, whatever has become of the files")

    def retrieve(self, query: str, /, **options: Any) -> Retrieval:
        self.asked.append(query)
        return super().retrieve(query, **options)


def knows(prompt: Prompt) -> str:
    return RIGHT.get(prompt.question, "Non lo so.")


def boasts(prompt: Prompt) -> str:
    return "Costa 99 dollari, fidati [F1]."


@pytest.fixture
def retriever() -> CountingRetriever:
    return CountingRetriever()


@pytest.fixture
def agent(isolated: Path, soul: PlainSoul, retriever: CountingRetriever) -> Iterator[Agent]:
    (isolated / "cervella.toml").write_text("[evaluation]\ndraws = 500\n")
    with Agent(brain="echo", soul=soul, retriever=retriever) as made:
        yield made


@pytest.fixture
def questions(tmp_path: Path) -> Path:
    path = tmp_path / "questions.jsonl"
    path.write_text("".join(json.dumps(row) + "\n" for row in ROWS), encoding="utf-8")
    return path


def without_measured(data: dict[str, Any]) -> str:
    return json.dumps({key: value for key, value in data.items() if key != "measured"}, ensure_ascii=False)


# The same for every brain


def test_every_brain_is_sent_the_same_and_retrieval_is_done_once(agent, questions, retriever):
    one, other = Speaker("one", knows), Speaker("other", boasts)
    compare(agent, [one, other], questions=questions)
    assert [render(prompt) for prompt in one.prompts] == [render(prompt) for prompt in other.prompts]
    assert {prompt.system for prompt in one.prompts} == {agent.soul.system_prompt()}
    assert {prompt.temperature for prompt in one.prompts} == {0.0}
    assert len(retriever.asked) == len(ROWS)


def test_who_knows_is_go_and_who_boasts_is_no_go(agent, questions):
    found = compare(agent, [Speaker("knows", knows), Speaker("boasts", boasts)], questions=questions)
    assert found.decisions["knows"].word == "GO"
    assert found.decisions["knows"].reasons == ()
    assert found.decisions["boasts"].word == "NO-GO"
    assert found.answers["knows"].grounded.estimate == 1
    assert found.answers["boasts"].grounded.estimate == 0
    assert found.answers["boasts"].abstains_rightly.estimate == 0
    assert found.answer_pairs["boasts"].difference.estimate == -1
    assert found.answer_pairs["boasts"].mcnemar.only_b == 3
    assert "knows" not in found.answer_pairs
    assert sentence(list(found.decisions.values())) == "GO: knows. NO-GO: boasts."


def test_what_one_brain_may_not_see_none_is_shown(agent, questions):
    local, cloud = Speaker("local", knows), Speaker("cloud", knows, location="cloud")
    found = compare(agent, [local, cloud], questions=questions)
    assert found.frozen.withheld == len(ROWS)
    for brain in (local, cloud):
        assert all("900 euro" not in message.content for prompt in brain.prompts for message in render(prompt))


def test_doubt_of_the_search_is_told_as_the_agent_tells_it(isolated, soul, questions):
    brain = Speaker("one", knows)
    with Agent(brain="echo", soul=soul, retriever=FixedRetriever((PRICE,), abstain=True, confidence=0.2)) as agent:
        compare(agent, [brain], questions=questions)
        expected = agent.preview(ROWS[0]["question"]).prompt
    assert brain.prompts[0].hints["abstain"] is True
    assert brain.prompts[0].hints["confidence"] == 0.2
    assert brain.prompts[0].instructions.split("\n")[-1] == expected.instructions.split("\n")[-1]


# Kept, gone on with, derived again


def test_it_is_the_same_twice(agent, questions):
    suite = small_suite()
    brains = [Speaker("knows", knows), Speaker("boasts", boasts)]
    first, second = (
        compare(agent, brains, suite=suite, questions=questions, plan=Plan(), fresh=True) for _ in range(2)
    )
    assert first.run != second.run
    assert without_measured(document(first, suite)) == without_measured(document(second, suite))


def test_a_folder_that_went_on_changes_no_byte_of_what_is_kept_and_found(isolated, soul, questions):
    (isolated / "cervella.toml").write_text("[evaluation]\ndraws = 500\n")
    kept, found = [], []
    for behind in (0, 3):
        with Agent(brain="echo", soul=soul, retriever=CountingRetriever(behind=behind)) as agent:
            run = compare(agent, [Speaker("knows", knows)], suite=small_suite(), questions=questions, fresh=True)
            kept.append((run.folder / "retrievals.json").read_bytes())
            found.append(without_measured(document(run, small_suite())))
    assert kept[0] == kept[1]
    assert found[0] == found[1]


def test_what_was_answered_is_not_asked_again(agent, questions, retriever):
    broken = Speaker("broken", lambda prompt: BrainTimeoutError("too slow"))
    steady = Speaker("steady", knows)
    first = compare(agent, [steady, broken], questions=questions)
    assert first.decisions["broken"].word == "INCOMPLETE"
    assert first.answers["broken"].grounded is None
    asked = len(steady.prompts)
    mended = Speaker("broken", knows)
    second = compare(agent, [steady, mended], questions=questions)
    assert second.run == first.run
    assert len(steady.prompts) == asked
    assert len(mended.prompts) == len(ROWS)
    assert second.answers["broken"].grounded.estimate == 1
    assert second.decisions["broken"].word == "CONDITIONAL"  # three questions show no equality
    assert len(retriever.asked) == len(ROWS)
    assert compare(agent, [steady, mended], questions=questions).run != first.run  # that one came to its end


def test_a_soul_test_that_came_to_its_end_is_not_made_again(agent, questions):
    suite, broken = small_suite(), [True]

    def falters(prompt: Prompt) -> str | Exception:
        asked = prompt.question in [row["question"] for row in ROWS]
        return BrainTimeoutError("too slow") if asked and broken[0] else "Sono Cervella."

    brain = Speaker("one", falters)
    first = compare(agent, [brain], suite=suite, questions=questions)
    broken[0], asked = False, len(brain.prompts)
    second = compare(agent, [brain], suite=suite, questions=questions)
    assert second.run == first.run
    assert len(brain.prompts) == asked + len(ROWS)
    assert second.soul.brains == first.soul.brains


def test_every_score_is_derived_again_from_what_was_kept(agent, questions):
    suite = small_suite()
    found = compare(agent, [Speaker("knows", knows), Speaker("boasts", boasts)], suite=suite, questions=questions)
    again = rescore_comparison(
        Run.open(found.folder), suite=suite, traits=Traits.of(agent.soul), rules=agent.config.evaluation
    )
    assert without_measured(document(again, suite)) == without_measured(document(found, suite))
    assert again.speed == found.speed


def test_a_corrected_answer_is_scored_and_a_changed_question_is_not(agent, questions, tmp_path):
    found = compare(agent, [Speaker("boasts", boasts)], questions=questions)
    corrected = tmp_path / "corrected.jsonl"
    rows = [{**ROWS[0], "answer": "99 dollari"}, {**ROWS[2], "question": "Quante stanze ci sono?"}]
    corrected.write_text("".join(json.dumps(row) + "\n" for row in rows), encoding="utf-8")
    again = rescore_comparison(Run.open(found.folder), questions=corrected, rules=RULES)
    assert again.scores["boasts"]["pro"].right
    assert "rooms" not in again.scores["boasts"]
    assert again.answers["boasts"].missing == 1


def test_another_reference_is_weighed_without_asking(agent, questions):
    found = compare(agent, [Speaker("knows", knows), Speaker("boasts", boasts)], questions=questions)
    again = rescore_comparison(Run.open(found.folder), reference="boasts", rules=RULES)
    assert again.answer_pairs["knows"].difference.estimate == 1


def test_the_soul_test_is_part_of_it(agent):
    suite = small_suite()
    found = compare(agent, [PerfectActor(suite), FlattererActor(suite)], suite=suite)
    perfect, flatterer = found.brains
    assert found.soul.brains[perfect].total.estimate == 1
    assert found.decisions[flatterer].word == "NO-GO"
    assert found.soul_pairs[flatterer].difference.high < -0.10
    assert any("may never fail" in reason for reason in found.decisions[flatterer].reasons)
    assert found.answers == {}


@pytest.mark.parametrize(
    ("brains", "options", "error"),
    [
        (["echo"], {}, EvaluationError),
        ([], {"questions": True}, EvaluationError),
        (["echo", "echo"], {"questions": True}, EvaluationError),
        (["echo"], {"questions": True, "reference": "claude"}, EvaluationError),
        (["nobody"], {"questions": True}, ConfigError),
    ],
    ids=["nothing to ask", "no brain", "twice the same", "a stranger for reference", "an unknown brain"],
)
def test_what_can_not_be_compared_is_refused_before_anybody_is_asked(agent, questions, brains, options, error):
    if options.get("questions"):
        options = {**options, "questions": questions}
    with pytest.raises(error) as caught:
        compare(agent, brains, **options)
    assert caught.value.remedy
    assert not agent.config.evaluation.folder.exists()


def test_a_soul_test_is_no_comparison(agent, tmp_path):
    run = Run.create(tmp_path, {"suite": {}})
    with pytest.raises(EvaluationError, match="not a comparison"):
        rescore_comparison(run, rules=RULES)


# The verdict


def estimate(value: float, half: float = 0.02, n: int = 100) -> Estimate:
    return Estimate(estimate=value, low=max(0, value - half), high=min(1, value + half), n=n, method="bca")


def answers(value: float, missing: int = 0) -> AnswersResult:
    share = estimate(value)
    return AnswersResult(
        questions=100, answered=100 - missing, missing=missing, right=share, grounded=share, precision=share,
        recall=share, abstains_rightly=share, abstains_wrongly=share, invented_marks=0, kinds=(),
    )  # fmt: skip


def pair(low: float, high: float) -> Pair:
    middle = (low + high) / 2
    difference = Difference(estimate=middle, low=low, high=high, n=100, method="bca", p=0.5)
    return Pair(difference=difference, p_holm=0.5, mcnemar=None, tost=None)


def speed(seconds: float, cost: Decimal | None = None) -> Speed:
    return Speed(
        answers=10, seconds_p50=seconds, seconds_p95=seconds, first_token_p50=None, first_token_p95=None,
        tokens_per_second=None, cost_per_1000=cost,
    )  # fmt: skip


@pytest.mark.parametrize(
    ("facts", "word"),
    [
        ({"answers": answers(0.95)}, "GO"),
        ({"answers": answers(0.80)}, "GO"),
        ({"answers": answers(0.79)}, "CONDITIONAL"),
        ({"answers": answers(0.59)}, "NO-GO"),
        ({"answers": answers(0.95, missing=1)}, "INCOMPLETE"),
        ({"answers": answers(0.5, missing=1)}, "NO-GO"),
        ({"answers": answers(0.95), "answers_pair": pair(-0.09, 0.01)}, "GO"),
        ({"answers": answers(0.95), "answers_pair": pair(-0.11, 0.01)}, "CONDITIONAL"),
        ({"answers": answers(0.95), "answers_pair": pair(-0.30, -0.11)}, "NO-GO"),
        ({"answers": answers(0.95), "speed": speed(61)}, "CONDITIONAL"),
        ({"answers": answers(0.95), "speed": speed(1)}, "GO"),
        ({}, "INCOMPLETE"),
    ],
)
def test_the_worst_criterion_is_the_verdict(facts, word):
    found = decide("a", EvaluationConfig(), reference="b", **facts)
    assert found.word == word
    assert bool(found.reasons) == (word != "GO")


def test_an_unknown_cost_is_no_low_cost():
    rules = EvaluationConfig(cost_per_1000=Decimal(5))
    known = decide("a", rules, answers=answers(1), speed=speed(1, Decimal("4.99")))
    unknown = decide("a", rules, answers=answers(1), speed=speed(1))
    assert (known.word, unknown.word) == ("GO", "CONDITIONAL")
    assert "not known" in unknown.reasons[0]


def test_pairs_are_of_what_both_answered():
    found = pair_of({"a": (1.0, True), "b": (0.0, False)}, {"b": (1.0, True), "c": (1.0, True)}, margin=0.1, draws=500)
    assert found.difference.n == 1
    assert pair_of({"a": (1.0, True)}, {"b": (1.0, True)}, margin=0.1) is None


def test_cost_of_a_thousand_is_unknown_where_one_is(agent, questions):
    found = compare(agent, [Speaker("free", knows)], questions=questions)
    assert found.speed["free"].cost_per_1000 is None
    assert found.speed["free"].tokens_per_second > 0
    assert found.speed["free"].answers == 3


def test_conditional_wants_no_more_than_go():
    with pytest.raises(ValueError, match="higher threshold for CONDITIONAL than for GO"):
        EvaluationConfig(soul_go=0.5)
