"""Lists the commands. The module of a command is imported when the command is called or its help is shown."""

from __future__ import annotations

import importlib
import inspect
import re
from collections.abc import Iterator, Mapping
from functools import cache
from typing import Any

import typer
from typer.core import TyperGroup

COMMANDS = {
    "init": ("init:init", "Set a folder up: cervella.toml, a Constitution to fill in, a line in .gitignore."),
    "index": ("index:index", "Bring the index up to date with the folder."),
    "search": ("search:search", "Find the passages for a query; no brain is asked."),
    "ask": ("ask:ask", "Ask a question and print the answer with its sources."),
    "chat": ("chat:chat", "Have a conversation that is kept; each answer comes with its sources."),
    "review": (
        "review:review",
        "Check an answer against the base: figures, dates, quotations, sources, the soul's rules.",
    ),
    "sessions": ("sessions:sessions", "List the conversations that are kept, export one, or delete one."),
    "stats": ("stats:stats", "Show the times, tokens, costs, failures and feedback of every brain."),
    "compare": (
        "compare:compare_brains",
        "Compare brains under the same soul: which can replace the present one?",
    ),
    "doctor": ("doctor:doctor", "Check the configuration, soul, index, brains, disk and clock."),
    "brains": ("brains:app", "Show which brains can run here, and which would be asked."),
    "soul": ("soul:app", "Show the soul, lock it, and see what changed since."),
    "questions": ("questions:app", "Draft questions with known answers, which measure the search and the brains."),
}
"""For each command, in the order of the help: `module:function` (or `module:Typer`, for a group), and its help line.

The help line is the first sentence of the function's docstring, or the help of the Typer.
"""


def typer_of(name: str) -> typer.Typer:
    """A Typer that has only the command or group `name`, whose module is imported.

    Raises KeyError for an unknown name.
    """
    module, _, attribute = COMMANDS[name][0].partition(":")
    found = getattr(importlib.import_module(f"cervella.cli.{module}"), attribute)
    alone = typer.Typer(rich_markup_mode=None, pretty_exceptions_enable=False)
    if isinstance(found, typer.Typer):
        alone.add_typer(found, name=name)
    else:
        alone.command(name)(found)
    _set_short_helps(alone)
    return alone


def _set_short_helps(commands: typer.Typer) -> None:
    """List each command with the whole first sentence of its help: Typer would cut it on a narrow terminal."""
    for command in commands.registered_commands:
        command.short_help = re.split(r"(?<=[.]) ", inspect.getdoc(command.callback) or "")[0]
    for group in commands.registered_groups:
        assert group.typer_instance is not None
        group.short_help = group.typer_instance.info.help
        _set_short_helps(group.typer_instance)


@cache
def _built(name: str) -> Any:
    return typer.main.get_group(typer_of(name)).commands[name]


class _LazyCommands(Mapping[str, Any]):
    """The commands by name. A command is imported and built when it is looked up."""

    def __iter__(self) -> Iterator[str]:
        return iter(COMMANDS)

    def __len__(self) -> int:
        return len(COMMANDS)

    def __getitem__(self, name: str) -> Any:
        return _built(name)


class Commands(TyperGroup):
    """The group of all commands. Its help lists the commands without importing them."""

    def __init__(self, **options: Any) -> None:
        super().__init__(**options)
        self.commands: Any = _LazyCommands()

    def format_commands(self, ctx: Any, formatter: Any) -> None:
        with formatter.section("Commands"):
            formatter.write_dl([(name, line) for name, (_, line) in COMMANDS.items()])
