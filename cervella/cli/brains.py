"""`cervella brains`, `cervella brains route`"""

from __future__ import annotations

from typing import Annotated

import typer

from cervella.agent import Agent
from cervella.brains import brain_names
from cervella.cli.options import AsJson, ConfigPath
from cervella.cli.output import print_json, print_line
from cervella.errors import CervellaError

app = typer.Typer(invoke_without_command=True, help="Show which brains can run here, and who would be asked.")


@app.callback()
def brains(context: typer.Context, config: ConfigPath = None, as_json: AsJson = False) -> None:
    """Show which brains can run here, and what the others want."""
    if context.invoked_subcommand is not None:
        return
    rows = []
    with Agent(config=config) as agent:
        chosen = agent.brain_name
        for name in brain_names(agent.config.brains):
            row = {
                "name": name,
                "chosen": name == chosen,
                "model": None,
                "location": None,
                "problem": None,
                "cure": None,
            }
            try:
                shield = agent.brain_named(name)
                row |= {"model": shield.model, "location": shield.location}
                check = getattr(shield.brain, "check", None)
                if check is not None:
                    check()
            except CervellaError as error:
                row |= {"problem": error.message, "cure": error.remedy}
            rows.append(row)
    if as_json:
        print_json({"brains": rows})
        return
    width = max(len(str(row["name"])) for row in rows)
    for row in rows:
        state = f"no: {row['problem']}" if row["problem"] else f"{row['model']}, {row['location']}"
        state += ", for tests" if row["name"] in ("echo", "scripted") else ""
        print_line(f"{'*' if row['chosen'] else ' '} {row['name']:<{width}}  {state}")
        if row["cure"]:
            print_line(f"  {'':<{width}}  help: {row['cure']}")


@app.command("route")
def route(
    question: Annotated[str, typer.Argument(help="The question.")],
    batch: Annotated[bool, typer.Option("--batch", help="As one of many, that nobody waits for.")] = False,
    config: ConfigPath = None,
    as_json: AsJson = False,
) -> None:
    """Say which brain would be asked a question, and why. Nobody is called."""
    with Agent(config=config) as agent:
        decision = agent.route(question, batch=batch)
    if as_json:
        print_json({"question": question, **decision.as_dict()})
        return
    print_line(f"{decision.brain}: {decision.reason} (rule: {decision.rule})")
    if len(decision.order) > 1:
        print_line(f"then, where it fails: {', '.join(decision.order[1:])}")
    for name, why in decision.excluded.items():
        print_line(f"not asked: {name} {why}")
