"""The command `cervella ask` asks one question, or each question of a file."""

from __future__ import annotations

import hashlib
import json
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any, cast

import typer

from cervella.agent.agent import Agent
from cervella.agent.faces import BATCH_OPTIONS, BatchQuestion
from cervella.cli import options as option
from cervella.cli.output import (
    Flow,
    counted,
    json_text,
    note,
    picked,
    place_of,
    print_json,
    print_line,
    print_verdict,
    print_wrapped,
    progress_bar,
    reply_data,
    warn_of_index,
    warn_of_window,
)
from cervella.cli.stdin import given_or_stdin
from cervella.errors import CervellaError, ConfigError, refused
from cervella.privacy.stored import masked
from cervella.process.files import append_line, make_private_folder, open_private, remove_incomplete_line
from cervella.types import Answered, Event, Interrupted, Preview, Reply, Retrieval, Retrieved, Reviewed, TextDelta


def ask(
    question: Annotated[
        str | None, typer.Argument(help="The question; - for standard input.", show_default=False)
    ] = None,
    config: option.ConfigPath = None,
    brain: option.Brain = None,
    top_k: option.TopK = None,
    role: option.FilterRole = None,
    project: option.FilterProject = None,
    status: option.FilterStatus = None,
    path: option.FilterPath = None,
    tag: option.FilterTag = None,
    meta: option.FilterMeta = None,
    since: option.FilterSince = None,
    until: option.FilterUntil = None,
    timeout: option.Timeout = None,
    review: Annotated[
        bool | None,
        typer.Option("--review/--no-review", help="Check the answer, and revise it once if it is not approved."),
    ] = None,
    show_prompt: Annotated[bool, typer.Option("--show-prompt", help="Print the prompt; no brain is asked.")] = False,
    batch: Annotated[
        Path | None, typer.Option("--batch", metavar="FILE", help="Ask every line of this JSON Lines file.")
    ] = None,
    out: Annotated[
        Path | None,
        typer.Option(
            "--out", metavar="FILE", help="The file for the answers of --batch; its questions are not asked again."
        ),
    ] = None,
    concurrency: Annotated[
        int, typer.Option("--concurrency", min=1, help="Number of questions of --batch that are asked at once.")
    ] = 4,
    as_json: option.AsJson = False,
) -> None:
    """Ask a question and print the answer with its sources."""
    filters = option.filters_of(
        role=role, project=project, status=status, path=path, tags=tag, meta=meta, since=since, until=until
    )
    if (batch is None) != (out is None) or (question is None) == (batch is None) or (batch and show_prompt):
        nothing = question is None and batch is None
        raise ConfigError(
            "Missing argument 'question'." if nothing else "These arguments can't be combined.",
            remedy="Ask one question, or a file of them with --batch IN --out OUT: see `cervella ask --help`.",
        )
    if question is not None:
        question = given_or_stdin(question, "question")
    with Agent(config=config, brain=brain) as agent:
        option.warn_of_filters(agent, filters)
        if batch is not None and out is not None:
            common = {"filters": filters, "top_k": top_k, "timeout": timeout, "review": review}
            run_batch(agent, batch, out, concurrency=concurrency, as_json=as_json, **common)
            return
        assert question is not None
        if show_prompt:
            preview = agent.preview(question, filters=filters, top_k=top_k, timeout=timeout)
            _print_notes(agent, preview.flags)
            warn_of_window(preview.flags)
            _print_preview(preview, as_json)
        elif as_json:
            reply = agent.ask(question, filters=filters, top_k=top_k, timeout=timeout, review=review)
            _print_notes(agent, reply.flags)
            warn_of_window(reply.flags)
            print_json(reply_data(reply))
        else:
            waits = agent.config.review.enabled if review is None else review
            events = agent.stream(question, filters=filters, top_k=top_k, timeout=timeout, review=review)
            print_answer(events, agent, lambda found: _print_notes(agent, found.index_flags()), waits=waits)


def print_answer(
    events: Iterable[Event], agent: Agent, on_retrieved: Callable[[Retrieval], None], *, waits: bool
) -> Reply | None:
    """Print an answer while it is generated, then its sources. Returns the reply; None if the answer broke off.

    `on_retrieved` is called with the passages before the answer is printed. `waits` is True if a review may replace the
    draft: then only the final text is printed.
    """
    answer, reply = Flow(), None
    for event in events:
        if isinstance(event, Retrieved):
            on_retrieved(event.retrieval)
        elif (isinstance(event, TextDelta) and not waits) or isinstance(event, Reviewed):
            answer.show(event.text)
        elif isinstance(event, Answered):
            answer.end()
            reply = event.reply
            _print_sources(reply, agent)
        elif isinstance(event, Interrupted):
            if waits:
                answer.show(event.reply.text)
            answer.end()
            print_line()
    return reply


def _print_notes(agent: Agent, flags: Mapping[str, int]) -> None:
    """Print why this brain answers, if the user named none, and whether the index is out of date.

    It is called after the retrieval, so that an error of the retrieval is printed first.
    """
    if reason := agent.brain_reason:
        note(f"note: {agent.brain.name} answers: {reason}.")
    warn_of_index(flags, agent.config.knowledge.refresh)


def _print_preview(preview: Preview, as_json: bool) -> None:
    if as_json:
        messages = [picked(message, "role", "content") for message in preview.messages]
        counts = picked(preview, "brain", "prompt_tokens", "limit_tokens")
        print_json({**counts, "flags": dict(preview.flags), "messages": messages})
        return
    for message in preview.messages:
        print_line(f"--- {message.role}")
        print_line(message.content.rstrip("\n"))
    limit = f" of {preview.limit_tokens}" if preview.limit_tokens else ""
    note(f"note: {preview.prompt_tokens} tokens{limit} for {preview.brain}; no brain was asked.")


def _print_sources(reply: Reply, agent: Agent) -> None:
    """Print the sources of an answer, its review, and warnings about it."""
    print_line()
    if reply.citations:
        print_line()
    shown = {(p.path, p.start_line, p.end_line): p for p in reply.passages}
    for citation in reply.citations:
        passage = shown.get((citation.path, citation.start_line, citation.end_line))
        date, status = (passage.date, passage.status) if passage else (None, "current")
        mark, doubt = f"[{citation.mark}]", f"  {citation.doubt}" if citation.doubt else ""
        place = place_of(citation, agent.language, date, status)
        print_wrapped(f" {place}{doubt}", start=mark, style="cyan", indent=len(mark) + 1)
    if reply.review is not None:
        print_line()
        print_verdict(reply.review)
    elif reply.invented_marks:
        note(f"warning: The answer has citation marks that belong to no source: {reply.invented_marks}.")
    warn_of_window(reply.flags)
    if reply.flags.get("test_size"):
        note(f"note: {reply.model} is a small English model for tests: it shows that the engine runs, no more.")
    if reply.finish_reason == "refusal":
        note("note: The model refused. Ask in other words or another brain; the refused question is not sent again.")
    if reply.finish_reason == "length":
        note("note: The answer was cut at its maximum length.")


# A file of questions


@dataclass(frozen=True, slots=True, kw_only=True)
class QuestionLine:
    """A line of a file of questions."""

    line: int
    """Line number, from 1."""
    id: Any
    """The `id` that the line gives; if it gives none, a hash of the line."""
    asked: str | BatchQuestion | None = None
    """The question with its options; None if the line can't be read."""
    problem: str = ""
    """The reason why the line can't be read; empty if it can."""
    ignored: tuple[str, ...] = ()
    """Keys of the line that are ignored, because no option of a question has such a name."""

    @property
    def key(self) -> str:
        """The id as text, which identifies the row in the file of answers."""
        return json.dumps(masked(self.id), sort_keys=True)


def run_batch(agent: Agent, questions: Path, out: Path, *, concurrency: int, as_json: bool, **options: Any) -> None:
    """Ask the questions that have no row in `out` yet, and append a row for each, in the order of the questions.

    Raises typer.Exit with code 1 if any question failed; its row says why.
    """
    if out.exists() and questions.exists() and out.samefile(questions):
        raise ConfigError("--batch and --out are one file.", remedy="Name another file for the answers.")
    rows = list(questions_in(questions))
    done = answered_rows(out)
    todo: list[QuestionLine] = []
    for row in rows:
        if done[row.key] > 0:
            done[row.key] -= 1
        else:
            todo.append(row)
    if ignored := sorted({key for row in todo for key in row.ignored}):
        note(f"note: These keys of the questions mean nothing here: {', '.join(ignored)}.")
    if todo:
        _ = agent.soul, agent.brain  # an error that every question would have is raised once, before the first
        warn_of_index(agent.search("?", top_k=1).index_flags(), agent.config.knowledge.refresh)
    failed = refusals = 0
    make_private_folder(out.parent)
    asked = (row.asked for row in todo if row.asked is not None)
    with (
        progress_bar() as progress,
        open_private(out, "ab", buffering=0) as file,
        closing(agent.batch(asked, concurrency=concurrency, **options)) as answers,
    ):
        for number, row in enumerate(todo, 1):
            data = _unreadable(row) if row.asked is None else _answered(row, next(answers))
            failed += "error" in data
            refusals += data.get("finish_reason") == "refusal"
            # Each row is on the disk before the next: a crash can cut off only the last one, which is asked again.
            append_line(file, json_text(data, indent=None).rstrip("\n"))
            if progress is not None:
                progress("questions", number, len(todo))
    answered, skipped = len(todo) - failed - refusals, len(rows) - len(todo)
    if as_json:
        counts = {"answered": answered, "refused": refusals, "failed": failed}
        print_json({"rows": len(rows), "skipped": skipped, **counts, "out": str(out)})
    else:
        before = f", {skipped} were answered already" if skipped else ""
        note(f"{answered} answered, {f'{refusals} refused, ' if refusals else ''}{failed} failed{before}: {out}")
    if failed:
        note(f"error: {failed} of {counted(len(todo), 'question')} failed: their rows in {str(out)!r} say why.")
        note("help: Remove the rows that have an `error` from that file, then run the same command again.")
        raise typer.Exit(1)


def _answered(row: QuestionLine, answer: Reply | CervellaError) -> dict[str, Any]:
    if isinstance(answer, Reply):
        return {"id": row.id, **reply_data(answer)}
    asked = row.asked["question"] if isinstance(row.asked, dict) else row.asked
    error = {"code": answer.code, "message": answer.message, "help": answer.remedy}
    return {"id": row.id, "question": asked, "error": error}


def _unreadable(row: QuestionLine) -> dict[str, Any]:
    message = f"The line {row.line} can't be asked: {row.problem}."
    cure = 'A line is a text, as "Perché?", or an object, as {"id": 7, "question": "Perché?"}.'
    return {"id": row.id, "question": None, "error": {"code": "bad_row", "message": message, "help": cure}}


def questions_in(path: Path) -> Iterator[QuestionLine]:
    """The questions of a JSON Lines file, each a text or an object with `question`.

    Empty lines are skipped. A line that can't be used still gives a QuestionLine, which says why in `problem`. Raises
    ConfigError if the file can't be read.
    """
    for number, line in enumerate(_lines(path), 1):
        if not line.strip():
            continue
        id: Any = hashlib.sha256(line.strip()).hexdigest()[:16]
        try:
            data = json.loads(line)
        except ValueError:  # not UTF-8, or not JSON
            yield QuestionLine(line=number, id=id, problem="it is no JSON")
            continue
        if isinstance(data, str):
            yield QuestionLine(line=number, id=id, asked=data)
            continue
        if not isinstance(data, dict):
            yield QuestionLine(line=number, id=id, problem="it is neither a text nor an object")
            continue
        id = id if data.get("id") is None else data["id"]
        if "question" not in data:
            yield QuestionLine(line=number, id=id, problem="it has no `question`")
            continue
        asked = {key: value for key, value in data.items() if key in (*BATCH_OPTIONS, "question")}
        ignored = tuple(key for key in data if key not in asked and key != "id")
        yield QuestionLine(line=number, id=id, asked=cast(BatchQuestion, asked), ignored=ignored)


def answered_rows(path: Path) -> Counter[str]:
    """The number of rows that each question has in a file of answers, by `QuestionLine.key`.

    A last row that is incomplete, because the program was ended while writing it, is removed from the file.
    """
    if not path.exists():
        return Counter()
    lines = _lines(path)
    whole = lines if lines and lines[-1].endswith(b"\n") else lines[:-1]
    done: Counter[str] = Counter()
    for number, line in enumerate(whole, 1):
        try:
            done[json.dumps(masked(json.loads(line)["id"]), sort_keys=True)] += 1
        except (KeyError, TypeError, ValueError) as error:
            raise ConfigError(
                f"The line {number} of {str(path)!r} is not a row of a batch.",
                remedy="Name another file with --out, or remove that line.",
            ) from error
    remove_incomplete_line(path)
    return done


def _lines(path: Path) -> list[bytes]:
    with refused(ConfigError, f"The file {str(path)!r} can't be read", remedy="Correct its path."):
        return path.read_bytes().removeprefix(b"\xef\xbb\xbf").splitlines(keepends=True)
