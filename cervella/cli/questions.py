"""The command `cervella questions propose` drafts questions with known answers."""

from __future__ import annotations

from collections import Counter
from pathlib import Path
from typing import Annotated

import typer

from cervella.agent.agent import Agent
from cervella.cli.options import AsJson, ConfigPath, brain_option
from cervella.cli.output import counted, note, print_json, print_line, progress_bar
from cervella.errors import EvaluationError

app = typer.Typer(
    no_args_is_help=True, help="Draft questions with known answers, which measure the search and the brains."
)


@app.callback()
def questions() -> None:
    """Draft questions with known answers, which measure the search and the brains."""


@app.command("propose")
def propose(
    file: Annotated[Path, typer.Argument(help="The new file.")] = Path("questions.jsonl"),
    limit: Annotated[int, typer.Option("--limit", min=1, help="Number of questions.")] = 30,
    seed: Annotated[int, typer.Option("--seed", help="Another number draws other questions.")] = 0,
    brain: Annotated[str | None, brain_option("Let this brain word them; by default no brain is asked.")] = None,
    config: ConfigPath = None,
    as_json: AsJson = False,
) -> None:
    """Draft questions from the base, for a person to correct. No local-only text and no secret is used."""
    if file.exists():
        raise EvaluationError(
            f"{str(file)!r} exists, and is not overwritten: somebody may have corrected its questions.",
            remedy="Name another file.",
            code="file_exists",
        )
    from cervella.evaluation.suites.proposing import phrased, propose_questions, write_drafts

    with Agent(config=config) as agent, progress_bar() as progress:
        proposal = propose_questions(agent, limit=limit, seed=seed)
        if brain is not None:
            proposal = phrased(agent, proposal, brain, progress=progress)
    write_drafts(file, proposal)
    if as_json:
        print_json({"path": str(file), "local_only": proposal.local_only, "questions": proposal.rows()})
        return
    kinds = Counter(draft.kind for draft in proposal.drafts)
    print_line(f"written  {file}: {counted(len(proposal.drafts), 'question')}")
    print_line(f"         {', '.join(f'{count} {kind}' for kind, count in kinds.items())}")
    if proposal.local_only:
        note(f"note: {counted(proposal.local_only, 'document')} left out: only local and private brains may see them.")
    note('Next: correct each question, remove its "draft" and "why", then `cervella compare --retrieval FILE`.')
