"""Evaluations ask for an engine that repeats itself; what the owner set himself holds, and is said."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator, Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from cervella import Agent
from cervella.brains import load_brain
from cervella.brains.embedded.brain import EmbeddedBrain
from cervella.cli.before_asking import tell_cost
from cervella.configuration.config import load_config
from cervella.errors import ConfigError
from cervella.evaluation.comparison.comparison import compare
from cervella.evaluation.soul_test.interview import Plan
from cervella.evaluation.soul_test.judging import BrainJudge
from cervella.evaluation.soul_test.preparation import repeats
from cervella.evaluation.soul_test.soul_test import run_soul_test
from cervella.testing import EchoBrain, FixedRetriever
from cervella.types import BrainEvent, Completion, Finished, Prompt, TextDelta
from tests.conftest import PlainSoul
from tests.fixtures.probing import small_suite

PLAN = Plan(conditions=("soul", "none"), paraphrases=0, max_output_tokens=6)


@pytest.fixture
def asked(monkeypatch: pytest.MonkeyPatch) -> list[bool]:
    """Whether each brain that was asked is one that repeats itself; none loads an engine."""
    found: list[bool] = []

    async def stream(self: EmbeddedBrain, prompt: Prompt, /) -> AsyncIterator[BrainEvent]:
        found.append(self.repeatable)
        yield TextDelta(text="A")
        yield Finished(completion=Completion(text="A", model=self.model))

    monkeypatch.setattr(EmbeddedBrain, "stream", stream)
    return found


@pytest.fixture(params=["", "repeatable = false\n", "repeatable = true\n"], ids=["unset", "false", "true"])
def agent(request: pytest.FixtureRequest, isolated: Path, soul: PlainSoul) -> Iterator[Agent]:
    (isolated / "cervella.toml").write_text(f"[brains.embedded]\n{request.param}\n", encoding="utf-8")
    config = load_config(isolated / "cervella.toml")
    with Agent(config=config, brain="embedded", soul=soul, retriever=FixedRetriever()) as made:
        yield made


def configured(agent: Agent) -> bool | None:
    found: bool | None = agent.config.brains["embedded"].get("repeatable")
    return found


def test_soul_test_comparison_and_judge_ask_a_brain_that_repeats_itself_unless_it_is_configured_not_to(
    agent: Agent, asked: list[bool], isolated: Path
) -> None:
    suite = small_suite()
    suite = replace(suite, probes=(suite.probe("ab-2"),))
    result = run_soul_test(agent, suite, ["embedded"], plan=PLAN)
    questions = isolated / "domande.jsonl"
    questions.write_text(json.dumps({"id": "a", "question": "Perché?", "files": [], "kind": "unanswerable"}) + "\n")
    compare(agent, ["embedded", "echo"], questions=questions)
    BrainJudge(agent, "embedded")("È cortese?", "Sì.")
    run_soul_test(agent, suite, plan=PLAN, fresh=True)
    expected = configured(agent) is not False
    assert len(asked) > 5
    assert set(asked) == {expected}
    assert result.settings["brains"][0]["repeatable"] is expected
    del asked[:]
    agent.ask("Perché?")
    assert asked == [configured(agent) is True], "a question gets the brain as it is configured"


def test_a_run_says_where_it_does_not_promise_to_repeat(agent: Agent, capsys: pytest.CaptureFixture[str]) -> None:
    tell_cost(agent, ["embedded", ["echo", "embedded"], "extractive"], 3, lambda brain: None, less="", yes=True)
    said = capsys.readouterr().err
    assert said.count("repeatable is false") == (2 if configured(agent) is False else 0)


def test_a_brain_of_several_repeats_itself_where_all_of_them_do(agent: Agent) -> None:
    own = configured(agent) is not False
    assert repeats(agent, "embedded") is own
    assert repeats(agent, "echo") is None
    assert repeats(agent, ["embedded", "embedded"]) is own
    assert repeats(agent, ["embedded", "echo"]) is (None if own else False)
    assert repeats(agent, EchoBrain()) is None
    assert repeats(agent, EmbeddedBrain()) is False, "an object is asked as it was made"


def test_members_of_a_fallback_repeat_themselves_too(isolated: Path, soul: PlainSoul, asked: list[bool]) -> None:
    (isolated / "cervella.toml").write_text(
        '[brains.team]\nkind = "fallback"\nmembers = ["embedded"]\n', encoding="utf-8"
    )
    config = load_config(isolated / "cervella.toml")
    with Agent(config=config, brain="team", soul=soul, retriever=FixedRetriever()) as agent:
        agent.complete(Prompt(system="", question="x"), repeatable=True)
        agent.complete(Prompt(system="", question="x"))
    assert asked == [True, False]


def test_repeatable_is_true_or_false() -> None:
    with pytest.raises(ValueError, match="repeatable"):
        EmbeddedBrain(repeatable="yes")  # type: ignore[arg-type]
    with pytest.raises(ConfigError, match="repeatable"):
        load_brain("embedded", {"embedded": {"repeatable": 1}})
