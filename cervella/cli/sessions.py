"""The command `cervella sessions` lists, exports and deletes kept conversations."""

from __future__ import annotations

from typing import Annotated

import typer

from cervella.agent.agent import Agent
from cervella.cli.failures import no_config_note
from cervella.cli.options import AsJson, ConfigPath
from cervella.cli.output import counted, note, picked, print_json, print_line
from cervella.errors import ConfigError
from cervella.types import Location


def sessions(
    config: ConfigPath = None,
    export: Annotated[str | None, typer.Option("--export", metavar="ID", help="Print all of one session.")] = None,
    delete: Annotated[str | None, typer.Option("--delete", metavar="ID", help="Delete one session for good.")] = None,
    location: Annotated[
        Location,
        typer.Option(
            "--location",
            help="Where the export is read: local or private includes the turns that only local and private brains "
            "may see, cloud leaves them out.",
        ),
    ] = "cloud",
    as_json: AsJson = False,
) -> None:
    """List the conversations that are kept, export one, or delete one."""
    if export and delete:
        raise ConfigError("Both --export and --delete are given.", remedy="Export first, then delete.")
    with Agent(config=config) as agent:
        kept = agent.conversations
        if delete:
            kept.delete(delete)
            note(f"Deleted {delete}: none of its words is left in {agent.config.conversations.path.name}.")
        elif export:
            data = kept.export(export, location=location)
            if as_json:
                print_json(data)
            else:
                print_line(f"# {data['id']}")
                for turn in data["turns"]:
                    print_line(f"\n> {turn['question']}\n\n{turn['answer']}")
            if data["turns_withheld"]:
                left = counted(data["turns_withheld"], "turn")
                note(f"note: {left} left out as local-only: --location local prints them too.")
        elif as_json:
            print_json({"sessions": [picked(one, "id", "created", "updated", "turns") for one in kept.list()]})
        else:
            listed = kept.list()
            for one in listed:
                print_line(f"{one.id}  {counted(one.turns, 'turn')}, last {one.updated[:16].replace('T', ' ')} UTC")
            if not listed:
                note(f"No conversation is kept yet: `cervella chat` starts one.{no_config_note(agent.config)}")
