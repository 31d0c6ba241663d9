"""`cervella ask`"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Annotated

import typer

from cervella.agent.agent import Agent
from cervella.cli.batch import run_batch
from cervella.cli.manifest import warn_of_filters
from cervella.cli.options import (
    AsJson,
    ConfigPath,
    FilterPath,
    FilterProject,
    FilterRole,
    FilterSince,
    FilterStatus,
    FilterUntil,
    TopK,
    brain_option,
    filters_of,
)
from cervella.cli.output import (
    Flow,
    note,
    picked,
    print_json,
    print_line,
    print_verdict,
    print_wrapped,
    reply_data,
    warn_of_index,
    where,
)
from cervella.cli.stdin import given_or_stdin
from cervella.errors import ConfigError
from cervella.types import Answered, Event, Interrupted, Preview, Reply, Retrieval, Retrieved, Reviewed, TextDelta


def ask(
    question: Annotated[
        str | None, typer.Argument(help="What you want to know; - for standard input.", show_default=False)
    ] = None,
    config: ConfigPath = None,
    brain: Annotated[
        str | None,
        brain_option("Ask this brain, as `name` or `name:model`."),
    ] = None,
    top_k: TopK = None,
    role: FilterRole = None,
    project: FilterProject = None,
    status: FilterStatus = None,
    path: FilterPath = None,
    since: FilterSince = None,
    until: FilterUntil = None,
    timeout: Annotated[float | None, typer.Option("--timeout", help="Seconds that the answer may take.")] = None,
    review: Annotated[
        bool | None,
        typer.Option("--review/--no-review", help="Check the answer, and revise it once where it does not stand."),
    ] = None,
    show_prompt: Annotated[bool, typer.Option("--show-prompt", help="Show the prompt, and ask nobody.")] = False,
    batch: Annotated[
        Path | None, typer.Option("--batch", metavar="FILE", help="Ask every line of this JSON Lines file.")
    ] = None,
    out: Annotated[
        Path | None,
        typer.Option(
            "--out", metavar="FILE", help="Where the answers of --batch go; what is there is not asked again."
        ),
    ] = None,
    concurrency: Annotated[int, typer.Option("--concurrency", min=1, help="Questions of --batch asked at once.")] = 4,
    as_json: AsJson = False,
) -> None:
    """Ask, and get an answer with its sources."""
    filters = filters_of(role=role, project=project, status=status, path=path, since=since, until=until)
    if (batch is None) != (out is None) or (question is None) == (batch is None) or (batch and show_prompt):
        nothing = question is None and batch is None
        raise ConfigError(
            "Missing argument 'question'." if nothing else "These arguments do not go together.",
            remedy="Ask one question, or a file of them with --batch IN --out OUT: see `cervella ask --help`.",
        )
    if question is not None:
        question = given_or_stdin(question, "question")
    with Agent(config=config, brain=brain) as agent:
        warn_of_filters(agent, filters)
        if batch is not None and out is not None:
            common = {"filters": filters, "top_k": top_k, "timeout": timeout, "review": review}
            run_batch(agent, batch, out, concurrency=concurrency, as_json=as_json, **common)
            return
        assert question is not None
        if show_prompt:
            preview = agent.preview(question, filters=filters, top_k=top_k, timeout=timeout)
            _say_who_answers(agent)
            warn_of_index(preview.flags)
            _show(preview, as_json)
        elif as_json:
            reply = agent.ask(question, filters=filters, top_k=top_k, timeout=timeout, review=review)
            _say_who_answers(agent)
            warn_of_index(reply.flags)
            print_json(reply_data(reply))
        else:

            def begun(found: Retrieval) -> None:
                _say_who_answers(agent)
                warn_of_index(found.index_flags())

            waits = agent.config.review.enabled if review is None else review
            events = agent.stream(question, filters=filters, top_k=top_k, timeout=timeout, review=review)
            print_answer(events, agent, begun, waits=waits)


def print_answer(
    events: Iterable[Event], agent: Agent, begun: Callable[[Retrieval], None], *, waits: bool
) -> Reply | None:
    """An answer as it comes, with its sources; the reply where it is whole.

    With `waits` a draft that may be revised is not shown: what is printed is the text that stands.
    """
    answer, reply = Flow(), None
    for event in events:
        if isinstance(event, Retrieved):
            begun(event.retrieval)
        elif (isinstance(event, TextDelta) and not waits) or isinstance(event, Reviewed):
            answer.show(event.text)
        elif isinstance(event, Answered):
            answer.end()
            reply = event.reply
            print_sources(reply, agent)
        elif isinstance(event, Interrupted):
            if waits:
                answer.show(event.reply.text)
            answer.end()
            print_line()
    return reply


def _say_who_answers(agent: Agent) -> None:
    """Why this brain, where none was named; not before a failure, which is the one thing to say then."""
    if reason := agent.brain_reason:
        note(f"note: {agent.brain.name} answers: {reason}.")


def _show(preview: Preview, as_json: bool) -> None:
    if as_json:
        messages = [picked(message, "role", "content") for message in preview.messages]
        counts = picked(preview, "brain", "prompt_tokens", "limit_tokens")
        print_json({**counts, "flags": dict(preview.flags), "messages": messages})
        return
    for message in preview.messages:
        print_line(f"--- {message.role}")
        print_line(message.content.rstrip("\n"))
    limit = f" of {preview.limit_tokens}" if preview.limit_tokens else ""
    note(f"note: {preview.prompt_tokens} tokens{limit} for {preview.brain}; nobody was asked.")


def print_sources(reply: Reply, agent: Agent) -> None:
    """The sources of an answer, and what a reader should know of it."""
    print_line()
    if reply.citations:
        print_line()
    shown = {(p.path, p.start_line, p.end_line): p for p in reply.passages}
    for citation in reply.citations:
        passage = shown.get((citation.path, citation.start_line, citation.end_line))
        place = where(
            citation, agent.language, passage.date if passage else None, passage.status if passage else "current"
        )
        mark = f"[{citation.mark}]"
        doubt = f"  {citation.doubt}" if citation.doubt else ""
        print_wrapped(f" {place}{doubt}", start=mark, style="cyan", indent=len(mark) + 1)
    if reply.review is not None:
        print_line()
        print_verdict(reply.review)
    if reply.invented_marks and reply.review is None:
        note(f"warning: Marks in the answer that stand for no source: {reply.invented_marks}.")
    if reply.flags.get("test_size"):
        note(
            f"note: {reply.model} is a test-size model, and English: it shows that the engine runs, not what to think."
        )
    if reply.finish_reason == "refusal":
        note("note: The model refused. Ask in other words or another brain; what was refused is not sent again.")
    if reply.finish_reason == "length":
        note("note: The answer was cut at its longest length.")
