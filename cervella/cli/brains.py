"""The commands `cervella brains`, `cervella brains route` and `cervella brains pull` list, choose and download
brains."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Annotated

import typer

from cervella.agent.agent import Agent
from cervella.brains import brain_names
from cervella.brains.embedded.pull import models_folder, pull_model, suggested_models
from cervella.cli.options import AsJson, ConfigPath
from cervella.cli.output import note, picked, print_json, print_line, progress_bar
from cervella.cli.stdin import given_or_stdin
from cervella.errors import CervellaError, ConfigError
from cervella.protocols import optional_members

app = typer.Typer(invoke_without_command=True, help="Show which brains can run here, and which would be asked.")


@app.callback()
def brains(context: typer.Context, config: ConfigPath = None, as_json: AsJson = False) -> None:
    """Show which brains can run here, and what the others need."""
    if context.invoked_subcommand is not None:
        return
    rows = []
    with Agent(config=config) as agent:
        chosen = agent.brain_name
        for name in brain_names(agent.config.brains):
            row = {"name": name, "chosen": name == chosen, **dict.fromkeys(("model", "location", "problem", "cure"))}
            try:
                shield = agent.brain_named(name)
                row |= {"model": shield.model, "location": shield.location}
                check = optional_members(shield.brain).check
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
    question: Annotated[str, typer.Argument(help="The question; - for standard input.")],
    batch: Annotated[bool, typer.Option("--batch", help="Route it as one of a batch, which may be slow.")] = False,
    config: ConfigPath = None,
    as_json: AsJson = False,
) -> None:
    """Say which brain would be asked a question, and why. No brain is asked."""
    question = given_or_stdin(question, "question")
    with Agent(config=config) as agent:
        decision = agent.route(question, batch=batch)
    if as_json:
        print_json({"question": question, **decision.as_dict()})
        return
    print_line(f"{decision.brain}: {decision.reason} (rule: {decision.rule})")
    if len(decision.order) > 1:
        print_line(f"then, if it fails: {', '.join(decision.order[1:])}")
    for name, reason in decision.excluded.items():
        print_line(f"not asked: {name} {reason}")


@app.command("pull")
def pull(
    model: Annotated[
        str | None,
        typer.Argument(help="A suggested name, or OWNER/REPOSITORY/FILE.gguf.", show_default=False),
    ] = None,
    suggested: Annotated[bool, typer.Option("--list", help="Show the suggested models; download nothing.")] = False,
    folder: Annotated[
        Path | None,
        typer.Option("--to", help="The folder for the model; by default one of your user.", show_default=False),
    ] = None,
    as_json: AsJson = False,
) -> None:
    """Download a model for the brain `embedded` from the Hugging Face hub. A second run resumes a broken download."""
    if suggested:
        _list_models(as_json)
        return
    if model is None:
        raise ConfigError(
            "No model was named.", remedy="Name one: `cervella brains pull --list` shows some.", code="model_unknown"
        )
    with progress_bar() as progress:
        pulled = pull_model(model, folder, progress=progress)
    if as_json:
        sizes = {"bytes": pulled.size, "fetched_bytes": pulled.fetched}
        print_json({"path": str(pulled.path), **picked(pulled, "repository", "sha256"), **sizes})
        return
    state = "verified" if pulled.fetched else "it was here already, and its checksum is right"
    note(f"{pulled.path.name}, {pulled.size / 1e9:.2f} GB, sha256 {pulled.sha256[:12]}…: {state}. For cervella.toml:")
    print_line("[brains.embedded]")
    print_line(f"model = {json.dumps(str(pulled.path), ensure_ascii=False)}")


def _list_models(as_json: bool) -> None:
    date, models = suggested_models()
    if as_json:
        names = ("name", "repository", "file", "gigabytes", "ram_gigabytes", "licence")
        rows = [picked(model, *names) for model in models]
        print_json({"date": date, "folder": str(models_folder()), "models": rows})
        return
    width = max(len(model.name) for model in models)
    for model in models:
        sizes = f"{model.gigabytes:5.2f} GB, {model.ram_gigabytes:4.1f} GB of memory"
        print_line(f"{model.name:<{width}}  {sizes}  {model.licence:<18}  {model.repository}")
    note(f"As of {date}. The memory is an estimate for a context window of 8192 tokens.")
