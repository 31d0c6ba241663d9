"""The vllm brain against vLLM itself, where one runs: `make test-vllm VLLM_URL=http://127.0.0.1:8000/v1`.

Nothing here starts it: its package on PyPI is built for CUDA, and the CPU build is compiled from its sources.
"""

from __future__ import annotations

import asyncio
import os

import pytest

from cervella.brains.vllm.brain import VllmBrain
from cervella.testing import check_brain
from cervella.types import Completion, Finished, Prompt

URL = os.environ.get("VLLM_URL", "")
pytestmark = pytest.mark.skipif(not URL, reason="no vLLM: `make test-vllm VLLM_URL=…` names one that runs")
SOUL = "Sei Cervella, la partner strategica. Rispondi in italiano, con calma. " * 40


def ask(brain: VllmBrain, *prompts: Prompt) -> list[Completion]:
    async def all_of_them() -> list[Completion]:
        done = []
        for prompt in prompts:
            last = [event async for event in brain.stream(prompt)][-1]
            assert isinstance(last, Finished)
            done.append(last.completion)
        return done

    return asyncio.run(all_of_them())


def prompt(question: str) -> Prompt:
    return Prompt(system=SOUL, question=question, max_output_tokens=16, temperature=0.0)


def test_it_keeps_the_contract_of_a_brain() -> None:
    check_brain(VllmBrain(url=URL))


def test_the_count_is_the_servers() -> None:
    brain = VllmBrain(url=URL)
    counted = asyncio.run(brain.count_tokens(prompt("Chi sei?")))
    (done,) = ask(brain, prompt("Chi sei?"))
    assert done.usage.input_tokens == counted


def test_the_soul_is_read_once() -> None:
    """With --enable-prompt-tokens-details; without it the server tells nothing, and nothing is claimed."""
    first, second = ask(VllmBrain(url=URL), prompt("Chi sei?"), prompt("Che cosa proteggi?"))
    assert first.usage.input_tokens
    cached = second.usage.cache_read_tokens
    if cached is None:
        pytest.skip("this server does not tell what came from its cache: start it with --enable-prompt-tokens-details")
    assert cached >= 0.5 * first.usage.input_tokens
