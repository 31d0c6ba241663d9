"""What `-h` shows: of every command, on a terminal of any width, and as it was written."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any

import pytest
import typer

from cervella.cli import app, main
from cervella.cli.commands import COMMANDS


def commands(group: Any = None, before: tuple[str, ...] = ()) -> Iterator[tuple[str, ...]]:
    """The words of every command and of every group of commands."""
    group = typer.main.get_command(app) if group is None else group
    yield before
    for name, command in getattr(group, "commands", {}).items():
        yield from commands(command, (*before, name))


def test_every_command_is_walked_through() -> None:
    assert {words for words in commands() if len(words) == 1} == {(name,) for name in COMMANDS}
    assert {("soul", "test"), ("soul", "lock"), ("brains", "pull"), ("questions", "propose")} <= set(commands())


@pytest.mark.parametrize("name", COMMANDS)
def test_the_line_that_lists_a_command_is_the_first_sentence_of_its_help(name: str) -> None:
    built = typer.main.get_command(app).commands[name]
    assert COMMANDS[name][1] == built.short_help
    assert " ".join(built.help.split()).startswith(built.short_help)


@pytest.mark.parametrize("name", COMMANDS)
def test_the_name_of_a_command_is_that_of_its_module(name: str) -> None:
    assert COMMANDS[name][0].partition(":")[0] == name


def shown(capsys: pytest.CaptureFixture[str], *arguments: str) -> str:
    capsys.readouterr()
    assert main(list(arguments)) == 0
    out, err = capsys.readouterr()
    assert err == ""
    return out


@pytest.mark.parametrize("words", list(commands()), ids=lambda words: " ".join(words) or "cervella")
def test_every_command_takes_h_and_help(words: tuple[str, ...], capsys: pytest.CaptureFixture[str]) -> None:
    short, long = shown(capsys, *words, "-h"), shown(capsys, *words, "--help")
    assert short == long
    assert short.startswith(f"Usage: {' '.join(['cervella', *words])} [OPTIONS]")
    assert "-h, --help" in short


@pytest.mark.parametrize("words", list(commands()), ids=lambda words: " ".join(words) or "cervella")
def test_a_flag_is_shown_without_a_type(words: tuple[str, ...], capsys: pytest.CaptureFixture[str]) -> None:
    assert "bool" not in shown(capsys, *words, "--help").lower()


@pytest.mark.parametrize("words", list(commands()), ids=lambda words: " ".join(words) or "cervella")
def test_no_word_in_brackets_is_taken_for_markup(words: tuple[str, ...], capsys: pytest.CaptureFixture[str]) -> None:
    said = " ".join(shown(capsys, *words, "--help").split())
    for text in _helps(words):
        for bracketed in re.findall(r"\[[\w.]+\]", text):
            assert bracketed in said


def _helps(words: tuple[str, ...]) -> list[str]:
    command: Any = typer.main.get_command(app)
    for word in words:
        command = command.commands[word]
    return [command.help or "", *(parameter.help or "" for parameter in command.params if hasattr(parameter, "help"))]


def test_a_section_of_the_configuration_is_named_in_a_help_text(capsys: pytest.CaptureFixture[str]) -> None:
    assert "[evaluation] judge" in " ".join(shown(capsys, "compare", "--help").split())


def test_a_list_of_commands_cuts_no_sentence_short(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("COLUMNS", "60")
    for words in commands():
        assert "..." not in shown(capsys, *words, "-h").partition("Commands:")[2]
