"""Prints the output of commands: one JSON document, or lines for a person to read."""

from __future__ import annotations

import json
import logging
import sys
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import asdict
from decimal import Decimal
from typing import TYPE_CHECKING, Any

from cervella.cli.terminal import WordWrap, is_terminal, styled, width_of, wrapped
from cervella.visible import VisibleStream, visible, visible_json

if TYPE_CHECKING:
    from rich.console import Console

    from cervella.text.language import Language
    from cervella.types import Citation, Passage, Progress, Reply, Retrieval, ReviewVerdict

_SHOWN_LINES = 4
"""Number of lines that are printed of each passage."""
_NOTE_STYLES = {"error:": "red", "warning:": "yellow", "help:": "green"}


def print_text(text: str) -> None:
    """Print a part of the result on stdout. Control characters are escaped: a document must not steer a terminal."""
    _write(visible(text))


def _write(text: str) -> None:
    sys.stdout.write(text)
    sys.stdout.flush()


def print_line(text: str = "") -> None:
    """Print a line of the result on stdout. Secrets are masked."""
    print_text(f"{_masked(text)}\n")


class Flow:
    """Prints an answer on stdout while it is generated. On a terminal, lines break between words."""

    def __init__(self) -> None:
        width = width_of(sys.stdout)
        self._wrap = WordWrap(width) if width else None
        self._visible = VisibleStream()

    def show(self, text: str) -> None:
        self._print(self._visible.feed(text))

    def end(self) -> None:
        """Print the last word. It was held back because the next piece of text might have continued it."""
        self._print(self._visible.end())
        _write(self._wrap.end() if self._wrap else "")

    def _print(self, text: str) -> None:
        _write(self._wrap.feed(text) if self._wrap else text)


def print_wrapped(text: str, *, start: str = "", style: str = "bold", indent: int = 0) -> None:
    """Print `start` and `text` as one line of the result.

    On a terminal `start` is shown in `style`, and a line that is too long breaks between words; the lines after the
    break begin with `indent` spaces.
    """
    start = visible(start)
    line = wrapped(start + visible(_masked(text)), width_of(sys.stdout), indent=indent)
    _write(f"{styled(start, style, sys.stdout) if start else ''}{line[len(start) :]}\n")


def note(text: str) -> None:
    """Print a line on stderr, for a note, a warning or an error that is not part of the result. Secrets are masked."""
    sys.stdout.flush()
    text = _masked(text)
    start = next((word for word in _NOTE_STYLES if text.startswith(word)), "")
    line = wrapped(visible(text), width_of(sys.stderr))
    sys.stderr.write(f"{styled(start, _NOTE_STYLES[start], sys.stderr) if start else ''}{line[len(start) :]}\n")
    sys.stderr.flush()


def warn_of_index(flags: Mapping[str, int], refresh: str = "warn") -> None:
    """Print one line on stderr if the flags of a reply say that files changed since the index was built.

    Another line says that chunks have no vector. With `[knowledge] refresh` "off", it is not printed that no file was
    compared: that is what "off" means.
    """
    behind, unchecked = flags.get("index_behind", 0), flags.get("index_unchecked", 0)
    if pending := flags.get("index_pending", 0):
        only = "has no vector yet and is" if pending == 1 else "have no vectors yet and are"
        note(f"note: {counted(pending, 'chunk')} {only} found by words only; `cervella index` makes the vectors.")
    if refresh == "off":
        return
    if behind:
        also = f", and {unchecked} could not be compared" if unchecked else ""
        note(f"warning: {counted(behind, 'file')} changed since the index was built{also}; run `cervella index`.")
    elif unchecked:
        note(f"note: {counted(unchecked, 'file')} could not be compared with the index.")


def warn_of_window(flags: Mapping[str, int]) -> None:
    """Print one line on stderr if the flags of a reply say that passages were too long for the brain's window."""
    dropped = flags.get("passages_dropped", 0)
    if flags.get("no_source_fits"):
        note(
            f"warning: The brain saw no source: none of {counted(dropped, 'passage')} fits in its window. "
            "Use a brain with a larger window, or a smaller --top-k."
        )
    elif dropped:
        note(f"note: {counted(dropped, 'passage')} did not fit in the brain's window and {_were(dropped)} not sent.")


def _were(number: int) -> str:
    return "was" if number == 1 else "were"


@contextmanager
def warnings_shown(
    name: str = "cervella", *, only: Callable[[logging.LogRecord], bool] | None = None
) -> Iterator[None]:
    """Print the warnings of the logger `name` on stderr while the block runs.

    `only` decides for each warning whether it is printed; by default all are.
    """
    handler = _NoteHandler(logging.WARNING)
    if only is not None:
        handler.addFilter(only)
    logger = logging.getLogger(name)
    logger.addHandler(handler)
    try:
        yield
    finally:
        logger.removeHandler(handler)


class _NoteHandler(logging.Handler):
    def emit(self, record: logging.LogRecord) -> None:
        note(f"warning: {record.getMessage()}")


def print_json(data: Mapping[str, Any]) -> None:
    """Print the JSON document of a command with --json."""
    sys.stdout.write(json_text(data))


def json_text(data: Any, indent: int | None = 2) -> str:
    """A document as JSON, with a line break at its end.

    Secrets in its texts are masked. Characters that a reader cannot see are `\\u` escapes.
    """
    return visible_json(json.dumps(_masked(data), ensure_ascii=False, indent=indent, default=_as_json)) + "\n"


def _masked(data: Any) -> Any:
    from cervella.privacy.stored import masked  # imported late: `cervella --help` prints no secret

    return masked(data)


def _as_json(value: Any) -> Any:
    if isinstance(value, Decimal):
        return float(value)
    raise TypeError(f"{type(value).__name__} is no JSON")


def picked(value: object, *names: str) -> dict[str, Any]:
    """A dict of those attributes of `value` that have these names."""
    return {name: getattr(value, name) for name in names}


_PLACE = ("path", "heading", "start_line", "end_line")


def _passages_data(passages: Iterable[Passage]) -> list[dict[str, Any]]:
    names = (
        *_PLACE,
        "score",
        "date",
        "role",
        "project",
        "status",
        "tags",
        "aliases",
        "meta",
        "links",
        "text",
        "reading",
    )
    return [{"rank": rank, **picked(passage, *names)} for rank, passage in enumerate(passages, 1)]


def retrieval_data(found: Retrieval) -> dict[str, Any]:
    return {
        **picked(found, "query", "confidence", "abstain", "coverage", "behind"),
        **{name: count for name in ("unchecked", "pending") if (count := getattr(found, name))},
        "passages": _passages_data(found),
    }


def reply_data(reply: Reply) -> dict[str, Any]:
    counts = ("input_tokens", "cache_read_tokens", "cache_write_tokens", "output_tokens")
    return {
        "question": reply.question,
        "answer": reply.text,
        **picked(reply, "finish_reason", "abstained"),
        "citations": [picked(one, "mark", *_PLACE, "quote", "supported", "changed") for one in reply.citations],
        "passages": _passages_data(reply.passages),
        **picked(reply, "invented_marks", "brain", "model", "soul"),
        "usage": picked(reply.usage, *counts),
        "cost_usd": reply.cost_usd,
        "timings": asdict(reply.timings),
        "flags": dict(reply.flags),
        **({} if reply.review is None else {"review": reply.review.as_dict()}),
    }


def print_table(header: Sequence[str], rows: Iterable[Sequence[str]]) -> None:
    """Print a table: the first column aligned left, the others right. A cell that is too wide gets further lines."""
    from rich.table import Table

    table = Table(box=None, pad_edge=False, header_style="bold")
    for number, name in enumerate(header):
        table.add_column(visible(name), justify="right" if number else "left", overflow="fold")
    for row in rows:
        table.add_row(*map(visible, row))
    console().print(table)


def console() -> Console:
    """A rich console on standard output, which prints text literally."""
    from rich.console import Console

    return Console(file=sys.stdout, highlight=False, emoji=False, markup=False)


def print_verdict(verdict: ReviewVerdict) -> None:
    """Print a review: one line, then one line for each issue with its place in the answer."""
    start, _, rest = verdict.headline().partition(":")
    print_wrapped(f":{rest}", start=start, style="green" if verdict.approved else "yellow", indent=2)
    for issue in verdict.issues:
        by = "" if issue.by == "checks" else f" ({issue.by})"
        text = " ".join(issue.text.split())
        place = f"  {', '.join(issue.lines)}" if issue.lines else ""
        line = f" {text}{by}" if issue.kind == "opinion" else f" «{text}»: {issue.problem}{by}{place}"
        print_wrapped(line, start=f"  {issue.kind}:", style="cyan", indent=4)


def counted(number: int, noun: str) -> str:
    """A number with its noun: `1 turn`, `2 turns`."""
    return f"{number} {noun}{'' if number == 1 else 's'}"


def place_of(source: Passage | Citation, lang: Language, date: str | None, status: str = "current") -> str:
    """A source with its lines, its date and its status, in the persona's language.

    In Italian, "9 January 2026, superseded" gives `decisioni/20260109_rinvio.md:12-19  (9 gennaio 2026, superata)`.
    """
    details = [lang.format_date(date)] if date else []
    details += [lang.status[status]] if status in lang.status else []
    place = f"{source.path}:{source.start_line}-{source.end_line}"
    return f"{place}  ({', '.join(details)})" if details else place


def print_passages(found: Retrieval, lang: Language) -> None:
    """Print the passages that a search found.

    Of each only a few lines are shown, around the sentence that fits the query best.
    """
    from cervella.claims.grounding import best_quote
    from cervella.text.reading import ReadText

    for rank, passage in enumerate(found, 1):
        print_wrapped(f" {place_of(passage, lang, passage.date, passage.status)}", start=f"{rank}.", indent=3)
        if passage.lead or passage.heading:
            print_wrapped(f"   {(passage.lead or passage.heading).splitlines()[0]}", indent=3)
        lines = [line for line in passage.reading.split("\n") if line.strip()]
        best = best_quote([ReadText(found.query, lang)], passage, lang).split("\n")[0]
        first = next((number for number, line in enumerate(lines) if best in line), 0)
        first = min(first, max(0, len(lines) - _SHOWN_LINES))
        for line in [*(["…"] if first else []), *lines[first : first + _SHOWN_LINES]]:
            print_wrapped(f"     {line}", indent=5)
        if (more := len(lines) - first - _SHOWN_LINES) > 0:
            print_line(f"     … ({more} more lines)")


@contextmanager
def progress_bar(*, vanishing: bool = False) -> Iterator[Progress | None]:
    """Give a function that shows progress as bars; None if stderr is not a terminal.

    `vanishing` removes each bar when it is full, and the bars of a step that comes again start anew.
    """
    if not is_terminal(sys.stderr):
        yield None
        return
    from rich.console import Console
    from rich.progress import BarColumn, MofNCompleteColumn, Progress as Bars, TextColumn, TimeRemainingColumn

    columns = (TextColumn("{task.description}", markup=False), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn())
    both = is_terminal(sys.stdout)  # else lines for a file would be printed on the terminal
    with Bars(*columns, console=Console(stderr=True), transient=True, redirect_stdout=both) as bars:
        tasks: dict[str, Any] = {}

        def show(task: str, done: int, total: int) -> None:
            if task not in tasks:
                tasks[task] = bars.add_task(visible(task), total=total)
            bars.update(tasks[task], completed=done, total=total)
            if vanishing and done >= total:
                bars.remove_task(tasks.pop(task))

        yield show
