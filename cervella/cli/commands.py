"""Which commands there are. The module of a command is imported when it is called, or its own help is asked for."""

from __future__ import annotations

import importlib
import inspect
import re
from collections.abc import Iterator, Mapping
from typing import Any

import typer
from typer.core import TyperGroup

__all__ = ["COMMANDS", "Commands", "typer_of"]

COMMANDS = {
    "init": ("init:init", "Set a folder up: cervella.toml, a Constitution to fill in, a line in .gitignore."),
    "index": ("index:index", "Bring the index up to date with the folder."),
    "search": ("search:search", "Find the passages for a query; no brain is asked."),
    "ask": ("ask:ask", "Ask, and get an answer with its sources."),
    "chat": ("chat:chat", "Talk: answers as they come, with their sources; the conversation is kept."),
    "review": (
        "review:review",
        "Check an answer against the base: figures, dates, quotations, sources, the soul's rules.",
    ),
    "sessions": ("sessions:sessions", "List the conversations that are kept, export one, or delete one."),
    "stats": ("stats:stats", "Show what every brain took: times, tokens, cost, failures, feedback."),
    "compare": ("compare:compare_brains", "Compare brains under the same soul: who may take her place, and why."),
    "doctor": ("doctor:doctor", "Look whether everything stands: configuration, soul, index, brains, disk, clock."),
    "brains": ("brains:app", "Show which brains can run here, and who would be asked."),
    "soul": ("soul:app", "Who speaks: show the soul, pin it, see what changed."),
    "questions": ("questions:app", "Questions with known answers, to measure the search and the brains by."),
}
"""By name, in the order of the help: module and function (or Typer, of a group), and the line that lists it.

The line is the first sentence of the function's docstring, or the help of the Typer.
"""


def typer_of(name: str) -> typer.Typer:
    """A Typer that holds the command or group of this name, and nothing else. Imports its module."""
    module, _, attribute = COMMANDS[name][0].partition(":")
    found = getattr(importlib.import_module(f"cervella.cli.{module}"), attribute)
    alone = typer.Typer(rich_markup_mode=None, pretty_exceptions_enable=False)
    if isinstance(found, typer.Typer):
        alone.add_typer(found, name=name)
    else:
        alone.command(name)(found)
    _list_whole(alone)
    return alone


def _list_whole(commands: typer.Typer) -> None:
    """List each command with the whole first sentence of its help, however narrow the terminal is."""
    for command in commands.registered_commands:
        command.short_help = re.split(r"(?<=[.]) ", inspect.getdoc(command.callback) or "")[0]
    for group in commands.registered_groups:
        assert group.typer_instance is not None
        group.short_help = group.typer_instance.info.help
        _list_whole(group.typer_instance)


class _OnCall(Mapping[str, Any]):
    """The commands by name; one is imported and built when it is looked up."""

    def __init__(self) -> None:
        self._built: dict[str, Any] = {}

    def __iter__(self) -> Iterator[str]:
        return iter(COMMANDS)

    def __len__(self) -> int:
        return len(COMMANDS)

    def __contains__(self, name: object) -> bool:
        return name in COMMANDS

    def __getitem__(self, name: str) -> Any:
        if name not in self._built:
            if name not in COMMANDS:
                raise KeyError(name)
            self._built[name] = typer.main.get_group(typer_of(name)).commands[name]
        return self._built[name]


class Commands(TyperGroup):
    """The group of all commands, which lists them without importing one."""

    def __init__(self, **options: Any) -> None:
        super().__init__(**options)
        self.commands: Any = _OnCall()

    def format_commands(self, ctx: Any, formatter: Any) -> None:
        with formatter.section("Commands"):
            formatter.write_dl([(name, line) for name, (_, line) in COMMANDS.items()])
