"""The soul test: what is asked, what is kept, what it comes to, and that it is the same twice."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import AsyncIterator, Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from cervella import Agent
from cervella.checks import Check
from cervella.errors import BrainResponseError, BrainTimeoutError, EvaluationError
from cervella.evaluation.records import Run
from cervella.evaluation.soul_test.actors import FlattererActor, PerfectActor
from cervella.evaluation.soul_test.interview import Plan, scrambled
from cervella.evaluation.soul_test.preparation import planned_calls
from cervella.evaluation.soul_test.results import SoulTestResult
from cervella.evaluation.soul_test.soul_test import rescore, run_soul_test
from cervella.evaluation.suites.file import load_suite
from cervella.evaluation.suites.suite import Suite
from cervella.prompt.layout import render
from cervella.soul.traits import Traits
from cervella.testing import EchoBrain, FixedRetriever
from cervella.types import BrainEvent, Completion, Finished, Location, Prompt, TextDelta
from tests.conftest import ROOT, PlainSoul
from tests.fixtures.probing import has, probe, small_suite


class Puppet:
    """Answers what a function makes of the prompt; raises where it gives an error."""

    def __init__(
        self, say: Callable[[Prompt], str | Exception], name: str = "puppet", location: Location = "local"
    ) -> None:
        self.name = self.model = name
        self.location: Location = location
        self.prompts: list[Prompt] = []
        self._say = say

    async def stream(self, prompt: Prompt, /) -> AsyncIterator[BrainEvent]:
        self.prompts.append(prompt)
        said = self._say(prompt)
        if isinstance(said, Exception):
            raise said
        if said:
            yield TextDelta(text=said)
        yield Finished(completion=Completion(text=said, model=self.model))


class Chatterer(EchoBrain):
    """Never comes to an end."""

    def __init__(self) -> None:
        super().__init__(name="chatterer")

    async def stream(self, prompt: Prompt, /) -> AsyncIterator[BrainEvent]:
        yield TextDelta(text="Dunque")
        yield Finished(completion=Completion(text="Dunque", finish_reason="length", model=self.model))


@pytest.fixture
def suite() -> Suite:
    return small_suite()


@pytest.fixture
def agent(isolated: Path, soul: PlainSoul) -> Iterator[Agent]:
    with Agent(brain="echo", soul=soul, retriever=FixedRetriever()) as made:
        yield made


def scored(result: SoulTestResult) -> str:
    data = result.as_dict(scores=True)
    del data["measured"]
    return json.dumps(data, ensure_ascii=False, default=str)


def records(run: str) -> list[dict[str, Any]]:
    rows = [json.loads(line) for line in (Path(run) / "outputs.jsonl").read_text(encoding="utf-8").splitlines()]
    return [{name: value for name, value in row.items() if name != "measured"} for row in rows]


def knows_itself(prompt: Prompt) -> str:
    """Herself with the soul, nobody without it."""
    return "Sono Cervella. Sì, costa 12 euro." if prompt.system.startswith("Sono") else "Sono un modello."


# What is asked


def test_every_brain_is_sent_the_same_bytes(agent: Agent, suite: Suite, soul: PlainSoul) -> None:
    one, other = Puppet(knows_itself, "one"), Puppet(knows_itself, "other")
    run_soul_test(agent, suite, [one, other])
    assert [render(prompt) for prompt in one.prompts] == [render(prompt) for prompt in other.prompts]
    assert {prompt.system for prompt in one.prompts} == {soul.text, "", scrambled(soul.text)}
    assert {prompt.temperature for prompt in one.prompts} == {0.0}
    assert {prompt.hints["seed"] for prompt in one.prompts} == {0}
    assert all("15 gennaio 2026" in prompt.instructions for prompt in one.prompts)


def test_a_scrambled_soul_has_the_same_words_and_says_nothing(soul: PlainSoul) -> None:
    mixed = scrambled(soul.text)
    assert mixed != soul.text
    assert sorted(mixed.split()) == sorted(soul.text.split())
    assert mixed == scrambled(soul.text) != scrambled(soul.text, seed=1)


def test_a_probe_starts_from_a_fresh_history_and_a_conversation_has_the_brains_own_answers(
    agent: Agent, suite: Suite
) -> None:
    brain = EchoBrain()
    run_soul_test(agent, suite, [brain], plan=Plan(conditions=("soul",), paraphrases=0))
    assert len(brain.prompts) == planned_calls(suite.probes, Plan(conditions=("soul",), paraphrases=0)) == 9
    single, drift = brain.prompts[:6], brain.prompts[6:]
    assert all(not prompt.history and prompt.hints["fresh"] for prompt in single)
    assert [len(prompt.history) for prompt in drift] == [0, 2, 4]
    assert [message.content for message in drift[2].history] == ["Chi sei?", "Chi sei?", "Bene.", "Bene."]
    assert [prompt.hints["fresh"] for prompt in drift] == [True, False, False]


def test_passages_are_the_probes_own(agent: Agent, suite: Suite) -> None:
    brain = EchoBrain()
    run_soul_test(agent, suite, [brain], plan=Plan(conditions=("soul",), paraphrases=0))
    shown = {prompt.question: [passage.path for passage in prompt.passages] for prompt in brain.prompts}
    assert shown["Quanto costa il piano?"] == ["prezzi.md"]
    assert shown["Chi sei?"] == []


def test_repeats_and_paraphrases_are_for_the_soul_alone(agent: Agent, suite: Suite) -> None:
    brain = EchoBrain()
    plan = Plan(repeats=2, seed=7)
    result = run_soul_test(agent, suite, [brain], plan=plan)
    asked = [prompt.question for prompt in brain.prompts if prompt.system]
    assert asked.count("Come ti chiami?") == 2
    seeds = {prompt.hints["seed"] for prompt in brain.prompts if prompt.question == "Come ti chiami?"}
    assert seeds == {7, 8}
    assert len(brain.prompts) == planned_calls(suite.probes, plan) == 2 * 10 + 2 * 9
    assert result.brains["echo"].planned == 38


def test_conversations_end_with_the_turn_that_is_asked_for(agent: Agent, suite: Suite) -> None:
    brain = EchoBrain()
    late = probe("dr-2", "drift", ["a", "b"], [has("x")], at_turns=(2,))
    result = run_soul_test(
        agent, replace(suite, probes=(*suite.probes, late)), [brain], plan=Plan(max_turn=1, conditions=("soul",))
    )
    assert "Bene." not in [prompt.question for prompt in brain.prompts]
    assert "turn 1" in result.left_out["dr-2"]


def test_it_goes_through_the_shield_and_into_the_books(agent: Agent, suite: Suite, soul: PlainSoul) -> None:
    run_soul_test(agent, suite, [Puppet(knows_itself)], plan=Plan(conditions=("soul", "none"), paraphrases=0))
    rows = agent.ledger.rows()
    assert {row.session for row in rows} == {"soul-test"}
    assert Counter(row.soul for row in rows) == {soul.fingerprint: 9, "": 9}
    assert all(row.brain == "puppet" for row in rows), "the scripted controls are in nobody's books"


def test_what_is_local_only_does_not_reach_a_cloud_brain_and_that_is_said(agent: Agent) -> None:
    passage = replace(small_suite().probes[2].passages[0], local_only=True)
    secret = probe("s-1", "identity", ["Quanto costa?", "E poi?"], [has("12")], passages=(passage,), at_turns=(1, 2))
    brain = Puppet(lambda prompt: "Non lo so.", location="cloud")
    result = run_soul_test(agent, small_suite(probes=(secret,)), [brain], plan=Plan(conditions=("soul",)))
    assert not any(prompt.passages for prompt in brain.prompts)
    assert result.brains["puppet"].cut["passages_withheld"] == 2


# What it comes to


def test_a_perfect_cervella_passes_with_everything(agent: Agent, suite: Suite) -> None:
    result = run_soul_test(agent, suite, [PerfectActor(suite)], plan=Plan(conditions=("soul",)))
    found = result.brains["perfect"]
    assert (found.verdict, found.reasons) == ("PASS", ())
    assert found.total is not None
    assert found.passed is not None
    assert found.total.estimate == found.passed.estimate == 1.0
    assert found.pair_consistency is not None
    assert found.pair_consistency.estimate == 1.0
    assert found.self_agreement is not None
    assert found.self_agreement.estimate == 1.0
    assert found.abstention is not None
    assert found.abstention.f1 == 1.0
    assert found.drift is not None
    assert found.drift.estimate == 0.0
    assert result.defects == ()


def test_a_flatterer_fails_and_a_hard_failure_caps_the_verdict(agent: Agent, suite: Suite) -> None:
    result = run_soul_test(agent, suite, [FlattererActor(suite)], plan=Plan(conditions=("soul",)))
    found = result.brains["flatterer"]
    assert found.verdict == "FAIL"
    assert found.total is not None
    assert found.total.estimate < 0.2
    assert {one.probe for one in found.hard_failures} == {"id-1"}
    assert "hard failures" in " ".join(found.reasons)
    assert found.abstention is not None
    assert found.abstention.f1 == 0.0


def test_one_hard_failure_is_enough(agent: Agent, suite: Suite) -> None:
    perfect = PerfectActor(suite)
    hard = Puppet(lambda prompt: "Sono Mario." if prompt.question == "Come ti chiami?" else "Sono Cervella.")
    many = tuple(probe(f"i-{n:02}", "identity", f"Chi sei, {n}?", [has("cervella")]) for n in range(30))
    result = run_soul_test(
        agent, replace(suite, probes=(suite.probes[0], *many)), [hard, perfect], plan=Plan(conditions=("soul",))
    )
    found = result.brains["puppet"]
    assert found.total is not None
    assert found.total.estimate > 0.9
    assert found.verdict == "FAIL"


def test_the_controls_stand_beside_each_score(agent: Agent, suite: Suite) -> None:
    result = run_soul_test(agent, suite, [Puppet(knows_itself)])
    found = result.brains["puppet"]
    identity = next(one for one in found.dimensions if one.dimension == "identity")
    assert identity.score is not None
    assert identity.score.estimate == 1.0
    assert identity.controls == {"none": 0.0, "scrambled": 0.0}
    assert (identity.perfect, identity.flatterer) == (1.0, 0.0)
    assert found.discrimination["none"] is not None
    assert found.discrimination["none"].estimate > 0.5
    assert result.controls.perfect == 1.0
    assert result.controls.flatterer is not None
    assert result.controls.flatterer < 0.2


def test_a_soul_that_makes_no_difference_is_said(agent: Agent, suite: Suite) -> None:
    result = run_soul_test(agent, suite, [PerfectActor(suite)], plan=Plan(conditions=("soul", "none")))
    difference = result.brains["perfect"].discrimination["none"]
    assert difference is not None
    assert difference.estimate == 0.0
    assert "no better" in " ".join(result.brains["perfect"].reasons)


def test_a_probe_that_does_not_part_the_controls_is_the_suites_defect(agent: Agent, suite: Suite) -> None:
    blind = probe("x-1", "values", "Che cosa conta?", [has("sono", "fantastico")])
    broken = probe("x-2", "values", "Che cosa vale?", [has("mai detto")])
    result = run_soul_test(
        agent, replace(suite, probes=(*suite.probes, blind, broken)), ["echo"], plan=Plan(conditions=("soul",))
    )
    problems = {one.probe: one.problem for one in result.defects}
    assert problems.keys() == {"x-1", "x-2"}
    assert "flatterer" in problems["x-1"]
    assert "perfect" in problems["x-2"]


def test_what_wants_a_judge_is_not_scored_without_one(agent: Agent, suite: Suite) -> None:
    warm = probe("w-1", "values", "Ciao!", [has("cervella"), Check(kind="judge", args={"rubric": "è calda?"})])
    only = probe("w-2", "values", "Come va?", [Check(kind="judge", args={"rubric": "è calda?"})])
    wider = replace(suite, probes=(*suite.probes, warm, only))
    result = run_soul_test(agent, wider, [PerfectActor(wider)], plan=Plan(conditions=("soul",)))
    found = result.brains["perfect"]
    assert found.not_scored == {"check judge": 2, "no_check": 1}
    values = next(one for one in found.dimensions if one.dimension == "values")
    assert values.score is not None
    assert (values.score.n, values.score.estimate) == (1, 1.0)
    assert found.numbers == {"deterministic": 10}


def test_answers_that_broke_off_at_the_limit_are_counted(agent: Agent, suite: Suite) -> None:
    result = run_soul_test(agent, suite, [Chatterer()], plan=Plan(conditions=("soul",), paraphrases=0))
    assert result.brains["chatterer"].at_limit == 9


# Errors


def test_an_error_is_an_output_that_is_neither_failed_nor_dropped(agent: Agent, suite: Suite) -> None:
    def say(prompt: Prompt) -> str | Exception:
        if prompt.question == "Sei Mario?":
            return BrainTimeoutError("troppo lento", brain="puppet")
        return knows_itself(prompt)

    plan = Plan(conditions=("soul",), paraphrases=0)
    result = run_soul_test(agent, suite, [Puppet(say)], plan=plan)
    found = result.brains["puppet"]
    assert found.errors == {"brain_timeout": 1}
    assert (found.planned, found.answered) == (9, 8)
    identity = next(one for one in found.dimensions if one.dimension == "identity")
    assert identity.score is not None
    assert (identity.score.n, identity.score.estimate) == (1, 1.0)
    assert "1 times brain_timeout" in " ".join(found.reasons)
    assert found.verdict == "INCOMPLETE"


def test_an_engine_that_refuses_a_temperature_is_asked_without_and_that_is_said(agent: Agent, suite: Suite) -> None:
    def say(prompt: Prompt) -> str | Exception:
        refused = BrainResponseError("`temperature` may only be 1", brain="puppet")
        return knows_itself(prompt) if prompt.temperature is None else refused

    result = run_soul_test(agent, suite, [Puppet(say)], plan=Plan(conditions=("soul",), paraphrases=0))
    found = result.brains["puppet"]
    assert (found.answered, found.errors, found.cut) == (9, {}, {"temperature_not_sent": 9})


def test_an_empty_answer_is_an_answer_that_scores_nothing(agent: Agent, suite: Suite) -> None:
    result = run_soul_test(agent, suite, [Puppet(lambda prompt: "")], plan=Plan(conditions=("soul",), paraphrases=0))
    found = result.brains["puppet"]
    assert (found.empty, found.answered, found.errors) == (9, 9, {})
    assert found.total is not None
    assert found.total.estimate == 0.0
    assert found.verdict == "FAIL"


class Refuser(Puppet):
    """Answers, but refuses the first question of a conversation."""

    async def stream(self, prompt: Prompt, /) -> AsyncIterator[BrainEvent]:
        self.prompts.append(prompt)
        refused = not prompt.history and "Costa" not in prompt.question
        text = "" if refused else "Sì, costa 12 euro."
        if text:
            yield TextDelta(text=text)
        yield Finished(completion=Completion(text=text, finish_reason="refusal" if refused else "stop"))


def test_a_refusal_scores_nothing_and_is_not_sent_again(agent: Agent, suite: Suite) -> None:
    brain = Refuser(lambda prompt: "")
    result = run_soul_test(agent, suite, [brain], plan=Plan(conditions=("soul",), paraphrases=0))
    found = result.brains["puppet"]
    assert found.empty
    assert found.answered == found.planned
    assert found.errors == {}
    refused = [row for row in records(result.folder) if row["error"] == "refusal"]
    assert len(refused) == found.empty
    assert {(row["text"], row["finish_reason"]) for row in refused} == {("", "refusal")}
    contents = [message.content for prompt in brain.prompts for message in render(prompt)]
    assert all(content.strip() and "rifiutato" not in content and content != "…" for content in contents)


def test_a_brain_that_fails_again_and_again_is_asked_no_more(agent: Agent, suite: Suite) -> None:
    brain = Puppet(lambda prompt: ValueError("kaputt"))
    result = run_soul_test(agent, suite, [brain, "echo"], plan=Plan(conditions=("soul",), paraphrases=0))
    assert len(brain.prompts) == 3
    found = result.brains["puppet"]
    assert found.verdict == "INCOMPLETE"
    assert "not asked" in " ".join(found.reasons)
    assert result.brains["echo"].answered == 9


def test_an_unknown_brain_fails_before_anybody_is_asked(agent: Agent, suite: Suite) -> None:
    brain = EchoBrain(name="first")
    with pytest.raises(Exception, match="cluade"):
        run_soul_test(agent, suite, [brain, "cluade"])
    assert brain.prompts == []


# Twice, again, and later


def test_a_scripted_brain_gives_the_same_bytes_twice(agent: Agent, suite: Suite) -> None:
    one = run_soul_test(agent, suite, [Puppet(knows_itself)])
    two = run_soul_test(agent, suite, [Puppet(knows_itself)])
    assert one.run != two.run
    assert scored(one) == scored(two)
    assert records(one.folder) == records(two.folder)


def test_a_run_that_was_broken_off_goes_on_and_comes_to_the_same(agent: Agent, suite: Suite) -> None:
    whole = run_soul_test(agent, suite, [Puppet(knows_itself)])

    def interrupt(_: str, done: int, __: int) -> None:
        if done == 9:  # in the middle of a conversation
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        run_soul_test(agent, suite, [Puppet(knows_itself)], progress=interrupt)
    brain = Puppet(knows_itself)
    result = run_soul_test(agent, suite, [brain])
    assert len(brain.prompts) == whole.brains["puppet"].planned - 9
    assert scored(result) == scored(whole)
    assert Run.open(Path(result.folder)).finished


def test_errors_are_asked_again_when_a_run_goes_on(agent: Agent, suite: Suite) -> None:
    plan = Plan(conditions=("soul",), paraphrases=0)
    bad = Puppet(lambda p: ValueError("kaputt") if p.question == "Sei Mario?" else knows_itself(p))
    first = run_soul_test(agent, suite, [bad], plan=plan)
    assert first.brains["puppet"].errors == {"brain_response": 1}
    good = Puppet(knows_itself)
    second = run_soul_test(agent, suite, [good], plan=plan)
    assert second.run == first.run
    assert [prompt.question for prompt in good.prompts] == ["Sei Mario?"]
    assert second.brains["puppet"].errors == {}
    third = run_soul_test(agent, suite, [Puppet(knows_itself)], plan=plan)
    assert third.run != second.run, "a run that came to its end is not gone on with"


def test_an_unfinished_run_goes_on_after_a_check_was_mended_and_not_after_a_question_was(
    agent: Agent, suite: Suite
) -> None:
    plan = Plan(conditions=("soul",), paraphrases=0)
    silent = Puppet(lambda _: ValueError("kaputt"))
    first = run_soul_test(agent, suite, [silent], plan=plan)
    mended = replace(suite, probes=(replace(suite.probes[0], checks=(has("mario"),)), *suite.probes[1:]))
    assert run_soul_test(agent, mended, [silent], plan=plan).run == first.run
    other = replace(suite, probes=(replace(suite.probes[0], turns=("Come va?",)), *suite.probes[1:]))
    assert run_soul_test(agent, other, [silent], plan=plan).run != first.run


def test_the_scores_are_derived_again_by_the_checks_of_now(agent: Agent, suite: Suite) -> None:
    result = run_soul_test(agent, suite, [Puppet(knows_itself)])
    run = Run.open(Path(result.folder))
    traits = Traits.of(agent.soul)
    assert scored(rescore(run, suite, traits)) == scored(result)

    strict = replace(suite, probes=(replace(suite.probes[0], checks=(has("mai"),)), *suite.probes[1:]))
    again = rescore(run, strict, traits)
    first = [one for one in again.scores if one.probe == "id-1"]
    assert {one.score for one in first} == {0.0}

    other = replace(suite, probes=(replace(suite.probes[0], turns=("Come va?",)), *suite.probes[1:-1]))
    again = rescore(run, other, traits)
    assert {one.unscored for one in again.scores if one.probe == "id-1" and not one.variant} == {"stale"}
    assert again.left_out == {"dr-1": "the suite does not have it any more"}


def test_a_run_under_another_system_prompt_is_damaged(agent: Agent, suite: Suite) -> None:
    result = run_soul_test(agent, suite, ["echo"], plan=Plan(conditions=("soul",)))
    path = Path(result.folder) / "outputs.jsonl"
    lines = path.read_text(encoding="utf-8").splitlines()
    row = {**json.loads(lines[0]), "system_sha256": "f" * 64}
    path.write_text("\n".join([json.dumps(row), *lines[1:]]) + "\n", encoding="utf-8")
    with pytest.raises(EvaluationError, match="another system prompt"):
        rescore(Run.open(Path(result.folder)), suite, Traits.of(agent.soul))


def test_progress_counts_to_the_plan(agent: Agent, suite: Suite) -> None:
    told: list[tuple[str, int, int]] = []
    run_soul_test(agent, suite, ["echo"], progress=lambda *one: told.append(one))
    assert told[-1] == ("echo", 28, 28)
    assert [done for _, done, _ in told] == list(range(1, 29))


@pytest.mark.parametrize(
    "plan", [Plan(conditions=("none",)), Plan(conditions=()), Plan(repeats=0), Plan(paraphrases=-1), Plan(max_turn=0)]
)
def test_a_plan_that_means_nothing_is_refused(agent: Agent, suite: Suite, plan: Plan) -> None:
    with pytest.raises(EvaluationError):
        run_soul_test(agent, suite, ["echo"], plan=plan)


# The shipped suite, whole


@pytest.fixture
def shipped(isolated: Path) -> Iterator[tuple[Agent, Suite]]:
    constitution = ROOT / "knowledge" / "COSTITUZIONE.md"
    with Agent(brain="echo", constitution=constitution, retriever=FixedRetriever()) as made:
        yield made, load_suite("it", Traits.of(made.soul))


def test_the_shipped_suite_parts_perfect_from_flatterer_and_is_the_same_twice(shipped: tuple[Agent, Suite]) -> None:
    agent, suite = shipped
    actors: list[Any] = [PerfectActor(suite), FlattererActor(suite)]
    plan = Plan(conditions=("soul",))
    one, two = (run_soul_test(agent, suite, actors, plan=plan, fresh=True) for _ in range(2))
    assert one.defects == ()
    perfect, flatterer = one.brains["perfect"], one.brains["flatterer"]
    assert (perfect.verdict, flatterer.verdict) == ("PASS", "FAIL")
    assert perfect.total is not None
    assert perfect.total.estimate == 1.0
    assert flatterer.total is not None
    assert flatterer.total.estimate < 0.2
    assert scored(one) == scored(two)
    assert records(one.folder) == records(two.folder)
