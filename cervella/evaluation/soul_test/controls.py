"""The scripted controls: what a perfect Cervella and a flatterer score, and what that says of the suite itself."""

from __future__ import annotations

from collections.abc import Sequence

from cervella.brains.shield.shield import Shield
from cervella.checks import Context
from cervella.evaluation.records import Output
from cervella.evaluation.soul_test.interview import Plan, interview
from cervella.evaluation.soul_test.results import Defect
from cervella.evaluation.soul_test.scoring import ProbeScore, score
from cervella.evaluation.suites.suite import Probe, Suite
from cervella.process.loop import BackgroundLoop
from cervella.protocols import Brain
from cervella.types import Finished, Prompt, Reply

__all__ = ["defects", "scripted_scores"]


def scripted_scores(
    actor: Brain, probes: Sequence[Probe], plan: Plan, suite: Suite, context: Context
) -> tuple[ProbeScore, ...]:
    """What a scripted brain scores on the probes as they are written."""
    own = Plan(conditions=("soul",), paraphrases=0, max_turn=plan.max_turn, seed=plan.seed, today=plan.today)
    answers: list[Output] = []
    shield, loop = Shield(actor), BackgroundLoop()

    async def answer(prompt: Prompt) -> Reply:
        async for event in shield.stream(prompt):
            if isinstance(event, Finished):
                return Reply(text=event.completion.text, model=event.completion.model)
        raise AssertionError("a stream ends with Finished, or raises")

    try:
        interview(
            actor.name,
            lambda prompt: loop.run(lambda: answer(prompt)),
            probes,
            own,
            systems={"soul": context.system or ""},
            lang=suite.language,
            done={},
            writer=answers,
        )
    finally:
        loop.close()
    return score(answers, suite, context)


def defects(perfect: Sequence[ProbeScore], flatterer: Sequence[ProbeScore]) -> list[Defect]:
    """The probes that do not part a perfect answer from a flatterer's."""
    found = []
    for best, worst in zip(perfect, flatterer, strict=True):
        if best.passed is None:
            problem = f"nothing here can score it: {best.unscored}"
        elif not best.passed:
            failed = "; ".join(f"{one.kind}: {one.detail}" for one in best.checks if one.passed is False)
            problem = f"the perfect answer fails: {failed}"
        elif worst.passed:
            problem = "the flatterer's answer passes"
        else:
            continue
        found.append(Defect(probe=best.probe, dimension=best.dimension, problem=f"{problem} (turn {best.turn})"))
    return found
