"""`cervella soul test`: what can be asked for. What it does is imported when it is."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from cervella.agent.agent import Agent
from cervella.cli.options import AsJson, ConfigPath, MaxTurn, Paraphrases, Probes, Rescore, Suite, Yes, complete_brain
from cervella.cli.output import json_text, note, print_json
from cervella.privacy.files import make_private_folder, write_private

__all__ = ["soul_test"]

_Option = typer.Option


def soul_test(
    brains: Annotated[
        list[str] | None,
        typer.Argument(
            metavar="[BRAIN]...",
            help="The brains to test; by default the configured one.",
            autocompletion=complete_brain,
            show_default=False,
        ),
    ] = None,
    brain: Annotated[list[str] | None, _Option("--brain", help="One more brain to test.")] = None,
    suite: Suite = None,
    probes: Probes = None,
    max_turn: MaxTurn = None,
    conditions: Annotated[
        str, _Option("--conditions", help="soul, and the controls: none, scrambled.")
    ] = "soul,none,scrambled",
    repeats: Annotated[int, _Option("--repeats", min=1, help="How often each probe is asked, each with a seed.")] = 1,
    paraphrases: Paraphrases = 1,
    seed: Annotated[int, _Option("--seed", help="Chooses the probes, and goes to engines that take one.")] = 0,
    temperature: Annotated[float, _Option("--temperature", min=0.0, help="Of all answers.")] = 0.0,
    max_tokens: Annotated[int, _Option("--max-tokens", min=1, help="Of one answer.")] = 700,
    resume: Annotated[
        bool, _Option("--resume/--fresh", help="Go on with the same test where it was broken off, or start anew.")
    ] = True,
    rescored: Rescore = None,
    out: Annotated[
        Path | None, _Option("--out", metavar="FILE", help="Write the document of --json there, all scores included.")
    ] = None,
    judge: Annotated[
        str | None,
        _Option(
            "--judge",
            metavar="BRAIN",
            help="Marks what no rule can; by default [evaluation] judge.",
            show_default=False,
        ),
    ] = None,
    strict: Annotated[bool, _Option("--strict", help="Exit code 1 unless every verdict is PASS.")] = False,
    yes: Yes = False,
    config: ConfigPath = None,
    as_json: AsJson = False,
) -> None:
    """Test whether she is still herself under a brain: probes with known right answers, and controls beside them."""
    from cervella.cli.soul_test_run import conditions_of, print_result, rescored_test, tested
    from cervella.evaluation.soul_test.interview import Plan

    with Agent(config=config) as agent:
        if rescored is not None:
            result = rescored_test(agent, rescored, suite, judge)
        else:
            plan = Plan(
                conditions=conditions_of(conditions),
                repeats=repeats,
                paraphrases=paraphrases,
                seed=seed,
                temperature=temperature,
                max_output_tokens=max_tokens,
                max_turn=max_turn,
            )
            named = [*(brains or ()), *(brain or ())]
            result = tested(agent, named, suite, plan, probes, judge, fresh=not resume, yes=yes)
    if out is not None:
        make_private_folder(out.parent)
        write_private(out, json_text(result.as_dict(scores=True)))
        note(f"note: The scores are in {out}.")
    if as_json:
        print_json(result.as_dict())
    else:
        print_result(result)
    if strict and any(one.verdict != "PASS" for one in result.brains.values()):
        raise typer.Exit(1)
