"""The command `cervella review` checks an answer against the knowledge base."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any

import typer

from cervella.agent.agent import Agent
from cervella.cli.failures import no_config_note
from cervella.cli.options import AsJson, ConfigPath, Timeout, TopK, brain_option
from cervella.cli.output import note, print_json, print_line, print_verdict
from cervella.cli.stdin import read_stdin
from cervella.errors import ConfigError, refused
from cervella.records.conversations import Turn
from cervella.types import Filters


def review(
    answer: Annotated[
        str | None,
        typer.Argument(
            metavar="[ID]",
            help="A kept answer: the id of a reply, or of a session for its last answer. By default the last answer "
            "of all. - reviews a text on standard input, like --text -.",
        ),
    ] = None,
    text: Annotated[
        Path | None, typer.Option("--text", metavar="FILE", help="Review this text instead; - for standard input.")
    ] = None,
    question: Annotated[
        str | None, typer.Option("--question", help="The question that the text of --text answers.", show_default=False)
    ] = None,
    brain: Annotated[str | None, brain_option("The brain that gives a second opinion: `name` or `name:model`.")] = None,
    top_k: TopK = None,
    timeout: Timeout = None,
    strict: Annotated[bool, typer.Option("--strict", help="Exit code 1 if the answer is not approved.")] = False,
    config: ConfigPath = None,
    as_json: AsJson = False,
) -> None:
    """Check an answer against the base: figures, dates, quotations, sources, the soul's rules. No model is needed."""
    if answer == "-" and text is None:
        answer, text = None, Path("-")
    if text is not None and question is None and answer is None:
        raise ConfigError(
            "These arguments can't be combined: a text needs the question that it answers.",
            remedy='Add the question: --question "Perché abbiamo rimandato il lancio?".',
            code="no_question",
        )
    if (text is None) != (question is None) or (text is not None and answer is not None):
        raise ConfigError(
            "These arguments can't be combined.",
            remedy="Review a kept answer by its id, or a text with --text FILE --question QUESTION; "
            "write - in place of FILE for standard input.",
        )
    with Agent(config=config) as agent:
        options: dict[str, Any] = {"brain": brain, "top_k": top_k, "timeout": timeout}
        if text is not None and question is not None:
            words, asked, id = _read(text), question, None
        else:
            turn, filters = _kept(agent, answer)
            words, asked, id = turn.answer, turn.question, turn.reply
            options |= {"query": turn.query, "tainted": turn.tainted, "filters": filters}
        verdict = agent.review(words, question=asked, **options)
        if as_json:
            print_json({"question": asked, "answer": words, "reply": id, **verdict.as_dict()})
        else:
            if id is not None:
                print_line(f"> {asked}\n\n{words}\n")
            print_verdict(verdict)
            if id is not None:
                note("note: Compared with the base as it is now, not as it was when the answer was given.")
    if strict and not verdict.approved:
        raise typer.Exit(1)


def _read(file: Path) -> str:
    if str(file) == "-":
        return read_stdin("text")
    with refused(ConfigError, f"The text {str(file)!r} can't be read", remedy="Name a UTF-8 text file."):
        return file.read_text(encoding="utf-8")


def _kept(agent: Agent, id: str | None) -> tuple[Turn, Filters | None]:
    """The turn to review, and the filters of its session.

    `id` is that of a reply, or of a session, whose last turn is taken. None takes the last turn of the session that was
    used last.
    """
    store = agent.conversations
    for one in store.list():
        turns = store.turns(one.id)
        if matching := [turn for turn in turns if id in (None, one.id) or turn.reply == id]:
            return matching[-1], one.filters
    if id is None:
        raise ConfigError(
            "No answer is kept yet.",
            remedy=f"`cervella chat` keeps them; or give --text and --question.{no_config_note(agent.config)}",
        )
    raise ConfigError(
        f"There is no session or reply {id!r}.",
        remedy="Name a session or a reply: `cervella sessions --export ID --json` shows them.",
    )
