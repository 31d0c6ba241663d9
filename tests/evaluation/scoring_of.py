"""A probe's score of a text, as tests need it: the weights of the checks that passed among those that were scored."""

from __future__ import annotations

from collections.abc import Iterator

from cervella.checks import Context, PersonaTraits, run_check
from cervella.evaluation import Probe, Suite
from cervella.evaluation.soul_test.actors import Actor
from cervella.types import Message, Prompt


def score_of(text: str, probe: Probe, traits: PersonaTraits, *, system: str = "", question: str = "") -> float:
    context = Context(
        language="it",
        passages=probe.passages,
        traits=traits,
        canary=probe.canary,
        system=system or None,
        question=question or probe.turns[-1],
    )
    found = [(check.weight, run_check(check, text, context).passed) for check in probe.checks]
    counted = [(weight, passed) for weight, passed in found if passed is not None]
    return sum(weight for weight, passed in counted if passed) / sum(weight for weight, _ in counted)


def interview(actor: Actor, probe: Probe, system: str, variant: int = 0) -> Iterator[tuple[int, str]]:
    """The turn and the answer at each scored turn, the actor's own answers as history."""
    history: list[Message] = []
    for turn, question in enumerate(probe.variant(variant), 1):
        prompt = Prompt(system=system, question=question, history=tuple(history), passages=probe.passages)
        answer = actor.answer(prompt)
        history += [Message(role="user", content=question), Message(role="assistant", content=answer)]
        if turn in probe.at_turns:
            yield turn, answer


def scores(
    actor: Actor, suite: Suite, traits: PersonaTraits, system: str, *, variants: bool = False
) -> dict[str, float]:
    """The score of each probe, the mean over its variants and scored turns."""
    result = {}
    for probe in suite.probes:
        own = [
            score_of(text, probe, traits, system=system, question=probe.variant(variant)[turn - 1])
            for variant in (range(probe.variants) if variants else (0,))
            for turn, text in interview(actor, probe, system, variant)
        ]
        result[probe.id] = sum(own) / len(own)
    return result


def by_dimension(suite: Suite, scores: dict[str, float]) -> dict[str, float]:
    return {
        dimension: sum(scores[probe.id] for probe in suite.of(dimension)) / len(suite.of(dimension))
        for dimension in suite.dimensions
    }
